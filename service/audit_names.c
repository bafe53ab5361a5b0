/* audit_names.c - see audit_names.h. */
#include "service/audit_names.h"

#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC  UINT64_C(0x3153454D414E4152) /* "RANAMES1" */
#define WAYS   16u                          /* rows in which a customer may stand */
#define SETS   (AUDIT_NAMES / WAYS)
#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct row {
    uint64_t lo, hi; /* keyed hash of the customer's id, zeros: free */
    uint64_t name;
    int64_t used_ms; /* when it was told last, Unix time */
};

struct file {
    uint64_t magic;
    uint64_t spare[3];
    struct row row[AUDIT_NAMES];
};
_Static_assert(sizeof(struct row) == 32 && offsetof(struct file, row) == 32, "moved: another MAGIC");
_Static_assert((SETS & (SETS - 1)) == 0, "a set is some bits of the hash");

struct audit_names {
    struct file *file;
};

/* Open and as long as it must be; -1 with errno set. */
static int file_open(const struct config *config)
{
    char path[DATA_PATH_MAX];
    struct stat info;
    data_path(config, AUDIT_NAMES_FILE, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1 || (fstat(fd, &info) == 0 && info.st_size == (off_t)sizeof(struct file)))
        return fd;
    int error = ftruncate(fd, 0) == -1 ? errno : posix_fallocate(fd, 0, (off_t)sizeof(struct file));
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

struct audit_names *audit_names_open(const struct config *config)
{
    struct audit_names *names = malloc(sizeof *names);
    int fd = names != NULL ? file_open(config) : -1;
    void *at = fd != -1 ? mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    int error = errno;
    if (fd != -1)
        (void)close(fd);
    if (at == MAP_FAILED) {
        log_line(LOG_ERROR, "AUDIT-NAMES", "file=%s error=\"%s\": who is looked at has no name in the audit log",
                 AUDIT_NAMES_FILE, strerror(error));
        free(names);
        return NULL;
    }
    names->file = at;
    if (names->file->magic != MAGIC) {
        memset(names->file, 0, sizeof *names->file);
        names->file->magic = MAGIC;
    }
    return names;
}

void audit_names_close(struct audit_names *names)
{
    if (names == NULL)
        return;
    (void)munmap(names->file, sizeof *names->file);
    free(names);
}

static bool is_of(const struct row *row, struct rialto_key customer)
{
    return row->lo == customer.lo && row->hi == customer.hi && (row->lo | row->hi) != 0;
}

static struct row *set_of(struct file *file, struct rialto_key customer)
{
    return &file->row[(customer.hi & (SETS - 1)) * WAYS];
}

static struct row *find(struct file *file, struct rialto_key customer)
{
    struct row *set = set_of(file, customer);
    for (uint32_t i = 0; i < WAYS; i++)
        if (is_of(&set[i], customer))
            return &set[i];
    return NULL;
}

static void clear(struct row *row)
{
    row->lo = row->hi = 0;
    atomic_signal_fence(memory_order_seq_cst); /* the name is nobody's before it is gone */
    row->name = 0;
    row->used_ms = 0;
}

/* A free row, or that of whoever was not looked at for longest. */
static struct row *make_room(struct file *file, struct rialto_key customer)
{
    struct row *set = set_of(file, customer), *oldest = set;
    for (uint32_t i = 0; i < WAYS; i++) {
        if ((set[i].lo | set[i].hi) == 0)
            return &set[i];
        if (set[i].used_ms < oldest->used_ms)
            oldest = &set[i];
    }
    metric_add(METRIC_audit_names_dropped_total, 1);
    clear(oldest);
    return oldest;
}

void audit_names_take(struct audit_names *names, struct rialto_key customer, int64_t unix_ms, char ret[AUDIT_NAME_MAX])
{
    uint64_t fresh;
    ret[0] = '\0';
    if (names == NULL)
        return;
    struct row *row = find(names->file, customer);
    if (row == NULL) {
        if (getrandom(&fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
            return; /* a line without a name, rather than with one that can be guessed */
        row = make_room(names->file, customer);
        row->name = fresh;
        row->used_ms = unix_ms;
        atomic_signal_fence(memory_order_seq_cst); /* a row that is somebody's is whole */
        row->hi = customer.hi;
        row->lo = customer.lo;
    }
    row->used_ms = unix_ms;
    (void)snprintf(ret, AUDIT_NAME_MAX, "%016" PRIx64, row->name);
}

void audit_names_forget(struct audit_names *names, struct rialto_key customer)
{
    struct row *row = names != NULL ? find(names->file, customer) : NULL;
    if (row != NULL)
        clear(row);
}

void audit_names_age(struct audit_names *names, int64_t unix_ms)
{
    for (uint32_t i = 0; names != NULL && i < AUDIT_NAMES; i++)
        if (names->file->row[i].used_ms != 0 && names->file->row[i].used_ms < unix_ms - AUDIT_NAME_DAYS * DAY_MS)
            clear(&names->file->row[i]);
}

bool audit_names_find(const struct config *config, struct rialto_key customer, char ret[AUDIT_NAME_MAX])
{
    char path[DATA_PATH_MAX];
    data_path(config, AUDIT_NAMES_FILE, path);
    struct file *file = malloc(sizeof *file);
    int fd = file != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool good = fd != -1 && read(fd, file, sizeof *file) == (ssize_t)sizeof *file && file->magic == MAGIC;
    if (fd != -1)
        (void)close(fd);
    const struct row *row = good ? find(file, customer) : NULL;
    if (row != NULL)
        (void)snprintf(ret, AUDIT_NAME_MAX, "%016" PRIx64, row->name);
    free(file);
    return row != NULL;
}
