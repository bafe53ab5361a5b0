/* log.c - one write(2) per line, so that lines of several processes on one standard error never mix. */
#include "service/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES_MAX 2048

static const char *const level_names[] = { "debug", "info", "warning", "error" };

static char log_speaker[64] = "rialtod";
static enum log_level log_from = LOG_INFO;

void log_setup(const char *speaker, const char *level)
{
    (void)snprintf(log_speaker, sizeof log_speaker, "%s", speaker);
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(level, level_names[i]) == 0)
            log_from = (enum log_level)i;
    }
}

static size_t head_write(char line[LOG_BYTES_MAX], enum log_level level, const char *id)
{
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, LOG_BYTES_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + n, LOG_BYTES_MAX - n, ".%03ldZ %s %s %s", now.tv_nsec / 1000000, level_names[level],
                        log_speaker, id);
    return n + (more > 0 ? (size_t)more : 0);
}

/* What came from outside must not be able to start a line of its own, nor to talk to a terminal. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
}

void log_line(enum log_level level, const char *id, const char *format, ...)
{
    if (level < log_from)
        return;
    char line[LOG_BYTES_MAX];
    size_t used = head_write(line, level, id);
    if (used > LOG_BYTES_MAX / 2)
        used = LOG_BYTES_MAX / 2;
    line[used++] = ' ';

    size_t room = sizeof line - used - 1; /* one byte for the end of the line */
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line + used, room, format, args);
    va_end(args);
    if (written < 0)
        line[used] = '\0';
    make_printable(line);
    used = strlen(line);
    while (used > 0 && line[used - 1] == ' ')
        used--;
    line[used++] = '\n';
    ssize_t gone = write(STDERR_FILENO, line, used); /* a log that cannot be written must not stop a price */
    (void)gone;
}
