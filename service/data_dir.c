/* data_dir.c - small private files of rialtod. See data_dir.h for the list.
 *
 * Owner      supervisor and prepare, before any other process of ours runs.
 * Crash      each file is replaced as a whole, after it reached the disk: the old one or the new one is there. */
#include "service/data_dir.h"

#include "service/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 8000 /* children of a dead rialtod are killed by the kernel; redis-server writes its file first */
#define LOCK_STEP_MS 50

void data_path(const struct config *config, const char *name, char ret[DATA_PATH_MAX])
{
    (void)snprintf(ret, DATA_PATH_MAX, "%s/%s", config->data_dir, name);
}

bool data_dir_make(const struct config *config)
{
    char path[CONFIG_TEXT_MAX];
    (void)snprintf(path, sizeof path, "%s", config->data_dir);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) == -1 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    if (mkdir(path, 0700) == -1 && errno != EEXIST)
        return false;
    struct stat info;
    if (stat(path, &info) == -1)
        return false;
    if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return false;
    }
    /* Secret, state and sockets are nobody else's: a folder that was there before is closed to others too. */
    return (info.st_mode & 077) == 0 || chmod(path, 0700) == 0;
}

/* ---- lock ------------------------------------------------------------------------------------------------------- */

static long holder_of(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static bool process_lives(long pid)
{
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static bool lock_wait(int fd)
{
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) == -1; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK || waited >= LOCK_WAIT_MS || process_lives(holder_of(fd)))
            return false;
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000L }, NULL);
    }
    return true;
}

int data_dir_lock(const struct config *config)
{
    char path[DATA_PATH_MAX], text[32];
    data_path(config, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT, 0600); /* no O_CLOEXEC: children hold the lock with us */
    if (fd == -1) {
        log_line(LOG_ERROR, "DATA-DIR", "path=%s error=\"%s\"", path, strerror(errno));
        return -1;
    }
    if (!lock_wait(fd)) {
        if (errno == EWOULDBLOCK)
            log_line(LOG_ERROR, "DATA-DIR-IN-USE",
                     "data_dir=%s pid=%ld: another rialtod (or a child of it) works with these "
                     "data; give each instance a data_dir of its own",
                     config->data_dir, holder_of(fd));
        else
            log_line(LOG_ERROR, "DATA-DIR", "lock=%s error=\"%s\"", path, strerror(errno));
        (void)close(fd);
        return -1;
    }
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)length, 0) != length)
        log_line(LOG_WARNING, "DATA-DIR", "path=%s error=\"%s\"", path, strerror(errno));
    return fd;
}

/* ---- files as a whole ------------------------------------------------------------------------------------------- */

bool bytes_write(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t n = write(fd, at, count);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        count -= (size_t)n;
    }
    return true;
}

bool file_replace(const char *path, const void *bytes, size_t count)
{
    char fresh[DATA_PATH_MAX + 8];
    int length = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1)
        return false;
    bool written = bytes_write(fd, bytes, count) && fsync(fd) == 0;
    int error = errno;
    (void)close(fd);
    if (written && rename(fresh, path) == 0)
        return true;
    if (written)
        error = errno;
    (void)unlink(fresh);
    errno = error;
    return false;
}

/* ---- secret ----------------------------------------------------------------------------------------------------- */

static bool secret_make(const char *path, uint8_t ret[RIALTO_SECRET_BYTES])
{
    uint8_t fresh[RIALTO_SECRET_BYTES];
    if (getrandom(fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh || !file_replace(path, fresh, sizeof fresh)) {
        log_line(LOG_ERROR, "SECRET", "path=%s cannot be made: %s", path, strerror(errno));
        return false;
    }
    memcpy(ret, fresh, sizeof fresh);
    return true;
}

bool secret_load(const struct config *config, uint8_t ret[RIALTO_SECRET_BYTES])
{
    char path[DATA_PATH_MAX];
    uint8_t bytes[RIALTO_SECRET_BYTES + 1];
    data_path(config, "secret", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 && errno == ENOENT)
        return secret_make(path, ret);
    ssize_t n = fd == -1 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd != -1)
        (void)close(fd);
    if (n == RIALTO_SECRET_BYTES) {
        memcpy(ret, bytes, RIALTO_SECRET_BYTES);
        return true;
    }
    if (n == -1)
        log_line(LOG_ERROR, "SECRET", "path=%s error=\"%s\"", path, strerror(errno));
    else
        log_line(LOG_ERROR, "SECRET",
                 "path=%s is not %u bytes long: restore it; without it, state and cache of this folder are of no "
                 "use and have to be removed with it",
                 path, RIALTO_SECRET_BYTES);
    return false;
}

/* ---- key --------------------------------------------------------------------------------------------------------- */

static bool key_make(const char *path)
{
    uint8_t bytes[16];
    char text[sizeof bytes * 2 + 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return file_replace(path, text, sizeof text - 1);
}

bool data_key(const struct config *config, bool make, char ret[DATA_KEY_MAX])
{
    char path[DATA_PATH_MAX];
    data_path(config, "key", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 && errno == ENOENT && make && key_make(path))
        fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : read(fd, ret, DATA_KEY_MAX - 1);
    if (fd != -1)
        (void)close(fd);
    if (n >= 0)
        ret[n] = '\0';
    if (n < 32 || strcspn(ret, "\n") < 32) { /* an empty line is no key that anybody could show */
        if (make)
            log_line(LOG_ERROR, "KEY", "path=%s error=\"%s\"", path, n == -1 ? strerror(errno) : "too short");
        return false;
    }
    ret[strcspn(ret, "\n")] = '\0';
    return true;
}

bool data_key_fits(const struct config *config, const char *given)
{
    char key[DATA_KEY_MAX];
    /* Equally long for every wrong key: nothing is learnt from how long a refusal takes. */
    return given != NULL && data_key(config, false, key) && strlen(given) == strlen(key) &&
           sodium_memcmp(given, key, strlen(key)) == 0;
}

/* ---- price groups ----------------------------------------------------------------------------------------------- */

static bool groups_parse(char *text, char ret[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t *ret_count)
{
    char *rest = NULL;
    uint8_t count = 0;
    memset(ret, 0, RIALTO_GROUPS_MAX * RIALTO_NAME_MAX);
    for (char *name = strtok_r(text, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
        if (count == RIALTO_GROUPS_MAX || strlen(name) >= RIALTO_NAME_MAX)
            return false;
        memcpy(ret[count++], name, strlen(name));
    }
    *ret_count = count;
    return true;
}

bool groups_load(const struct config *config, char ret[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t *ret_count)
{
    char path[DATA_PATH_MAX], text[RIALTO_GROUPS_MAX * RIALTO_NAME_MAX + 2];
    data_path(config, "groups", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
    int error = errno;
    if (fd != -1)
        (void)close(fd);
    if (n == -1 && error == ENOENT)
        n = 0;
    if (n == -1) {
        log_line(LOG_ERROR, "GROUPS", "path=%s error=\"%s\"", path, strerror(error));
        return false;
    }
    text[n] = '\0';
    if (groups_parse(text, ret, ret_count))
        return true;
    log_line(LOG_ERROR, "GROUPS", "path=%s is not a list of at most %u names", path, RIALTO_GROUPS_MAX);
    return false;
}

bool groups_save(const struct config *config, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t count)
{
    char path[DATA_PATH_MAX], text[RIALTO_GROUPS_MAX * (RIALTO_NAME_MAX + 1)];
    size_t used = 0;
    data_path(config, "groups", path);
    for (uint8_t i = 0; i < count; i++) {
        int length = snprintf(text + used, sizeof text - used, "%.*s\n", (int)RIALTO_NAME_MAX - 1, groups[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    if (file_replace(path, text, used))
        return true;
    log_line(LOG_ERROR, "GROUPS", "path=%s error=\"%s\"", path, strerror(errno));
    return false;
}
