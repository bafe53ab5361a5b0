/* audit.c - see audit.h. */
#include "service/audit.h"

#include "pricing/json_text.h"
#include "service/clock.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPEN_ATTEMPTS   8
#define INTRUDER_GAP_MS 1000

/* At most `max` bytes of it, not in the middle of a character, and no control characters: a line is a line. */
static void put(cJSON *line, const char *name, const char *text, size_t max)
{
    char copy[AUDIT_NAMES_MAX + 1];
    if (text == NULL || text[0] == '\0')
        return;
    size_t bytes = strnlen(text, max + 1);
    if (bytes > max)
        for (bytes = max; bytes > 0 && ((unsigned char)text[bytes] & 0xC0u) == 0x80u; bytes--)
            ;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
    cJSON_AddStringToObject(line, name, copy);
}

static char *line_of(const struct audit_entry *entry)
{
    char at[40], clock[32];
    int64_t now_ms = unix_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(clock, sizeof clock, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(at, sizeof at, "%s.%03dZ", clock, (int)(now_ms % 1000));
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "at", at);
    put(line, "action", entry->action, AUDIT_TEXT_MAX);
    put(line, "outcome", entry->outcome, AUDIT_TEXT_MAX);
    put(line, "who", entry->who, AUDIT_TEXT_MAX);
    put(line, "from", entry->from, AUDIT_TEXT_MAX);
    put(line, "what", entry->what, AUDIT_NAMES_MAX);
    put(line, "receipt", entry->receipt, AUDIT_TEXT_MAX);
    put(line, "whose", entry->whose, AUDIT_TEXT_MAX);
    if (entry->change > 0)
        cJSON_AddNumberToObject(line, "change", (double)entry->change);
    if (entry->more > 0)
        cJSON_AddNumberToObject(line, "more", entry->more);
    char *text = cJSON_PrintUnformatted(line);
    cJSON_Delete(line);
    return text;
}

static bool is_at(int fd, const char *path)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_ino == named.st_ino &&
           open_one.st_dev == named.st_dev;
}

/* Open, locked, with room for a line: a full file is put aside by whoever holds its lock, and the others open the new one. -1 with
 * errno set. */
static int file_open(const struct config *config, bool of_customers)
{
    char path[DATA_PATH_MAX], old[DATA_PATH_MAX];
    data_path(config, of_customers ? ACCESS_FILE : AUDIT_FILE, path);
    data_path(config, of_customers ? ACCESS_FILE_OLD : AUDIT_FILE_OLD, old);
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        struct stat info;
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd == -1)
            return -1;
        bool locked = flock(fd, LOCK_EX) == 0;
        if (locked && is_at(fd, path) && fstat(fd, &info) == 0 && info.st_size < (off_t)config->audit_bytes_max)
            return fd;
        bool renamed = locked && is_at(fd, path) && rename(path, old) == 0;
        int error = errno;
        bool gone = !renamed && locked && !is_at(fd, path);
        (void)close(fd);
        errno = error;
        if (!renamed && !gone)
            return -1;
    }
    errno = EAGAIN;
    return -1;
}

/* Whole or not at all, to a file that is ours as long as it is open: half a line on a full disk would spoil the next one. */
static bool line_append(int fd, const char *line, size_t bytes)
{
    struct stat before;
    if (fstat(fd, &before) == -1)
        return false;
    if (bytes_write(fd, line, bytes))
        return true;
    int error = errno;
    (void)!ftruncate(fd, before.st_size);
    errno = error;
    return false;
}

bool audit_add(const struct config *config, const struct audit_entry *entry)
{
    char *text = line_of(entry);
    size_t bytes = text != NULL ? strlen(text) : 0;
    int fd = text != NULL ? file_open(config, entry->of_customers) : -1;
    bool written = false;
    if (fd != -1) {
        text[bytes] = '\n'; /* in place of the 0: one write */
        written = line_append(fd, text, bytes + 1);
        int error = errno;
        (void)close(fd);
        errno = error;
    }
    free(text);
    if (written) {
        metric_add(METRIC_audit_total, 1);
        return true;
    }
    metric_add(METRIC_audit_failed_total, 1);
    log_line(LOG_ERROR, "AUDIT-NOT-WRITTEN", "action=%s outcome=%s error=\"%s\"", entry->action, entry->outcome,
             strerror(errno));
    return false;
}

bool audit_add_intruder(const struct config *config, const struct audit_entry *entry)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t said_ms = -INTRUDER_GAP_MS;
    static uint32_t unsaid;
    (void)pthread_mutex_lock(&lock);
    bool say = mono_ms() - said_ms >= INTRUDER_GAP_MS;
    struct audit_entry line = *entry;
    line.more = unsaid;
    unsaid = say ? 0 : unsaid + 1;
    said_ms = say ? mono_ms() : said_ms;
    (void)pthread_mutex_unlock(&lock);
    return !say || audit_add(config, &line);
}
