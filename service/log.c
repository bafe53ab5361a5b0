/* log.c - one write(2) per line, so that lines of several processes on one standard error never mix. */
#include "service/log.h"

#include "pricing/json_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES_MAX  4096u /* PIPE_BUF: what goes into a pipe at once stays in one piece */
#define TEXT_BYTES_MAX 1800u /* twice as long in JSON, if all of it were quotes */
#define ID_BYTES_MAX   64u

static const char *const level_names[] = { "debug", "info", "warning", "error" };

static char log_speaker[64] = "rialtod";
static enum log_level log_from = LOG_INFO;
static bool log_as_json;

void log_setup(const char *speaker, const char *level, const char *format)
{
    log_as_json = strcmp(format, "json") == 0;
    (void)snprintf(log_speaker, sizeof log_speaker, "%s", speaker);
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(level, level_names[i]) == 0)
            log_from = (enum log_level)i;
    }
}

static void time_write(char ret[32])
{
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret + n, 32 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* What came from outside must not be able to start a line of its own, nor to talk to a terminal. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
}

/* A string of JSON: nothing in it needs an escape but quotes and backslashes; a byte that belongs to no character becomes a question mark. */
static size_t put_json(char *to, const char *text)
{
    size_t n = 0, left = strlen(text);
    to[n++] = '"';
    while (left > 0) {
        size_t bytes = json_utf8_bytes(text, left);
        if (*text == '"' || *text == '\\')
            to[n++] = '\\';
        if (bytes == 0)
            to[n++] = '?';
        memcpy(to + n, text, bytes);
        n += bytes;
        text += bytes > 0 ? bytes : 1;
        left -= bytes > 0 ? bytes : 1;
    }
    to[n++] = '"';
    return n;
}

static size_t put_member(char *to, const char *begin, const char *value)
{
    size_t n = strlen(begin);
    memcpy(to, begin, n);
    return n + put_json(to + n, value);
}

static size_t line_json(char line[LOG_BYTES_MAX], const char *time, enum log_level level, const char *id, const char *text)
{
    size_t n = put_member(line, "{\"time\":", time);
    n += put_member(line + n, ",\"level\":", level_names[level]);
    n += put_member(line + n, ",\"process\":", log_speaker);
    n += put_member(line + n, ",\"event\":", id);
    n += put_member(line + n, ",\"text\":", text);
    line[n++] = '}';
    return n;
}

static size_t line_text(char line[LOG_BYTES_MAX], const char *time, enum log_level level, const char *id, const char *text)
{
    int n = snprintf(line, LOG_BYTES_MAX, "%s %s %s %s%s%s", time, level_names[level], log_speaker, id, text[0] != '\0' ? " " : "", text);
    return n > 0 ? (size_t)n : 0;
}

void log_line(enum log_level level, const char *id, const char *format, ...)
{
    if (level < log_from)
        return;
    char time[32], name[ID_BYTES_MAX], text[TEXT_BYTES_MAX], line[LOG_BYTES_MAX];
    time_write(time);
    (void)snprintf(name, sizeof name, "%s", id);
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    make_printable(text);
    size_t end = strlen(text);
    while (end > 0 && text[end - 1] == ' ')
        text[--end] = '\0';
    size_t used = (log_as_json ? line_json : line_text)(line, time, level, name, text);
    line[used++] = '\n';
    ssize_t gone = write(STDERR_FILENO, line, used); /* a log that cannot be written must not stop a price */
    (void)gone;
}
