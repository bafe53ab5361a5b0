/* metrics.c - the metrics file: made by prepare, one block per process, counted in with relaxed adds, read by anybody
 * allowed.
 *
 * Owner      prepare makes the file (or empties the one that is there), then each process writes only its own block.
 * Restart    a process that is started again goes on counting in its block; its gauges start at 0.
 * Crash      words are independent: nothing to repair. */
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define METRICS_MAGIC UINT64_C(0x5254454D4C544952) /* "RITLMETR" */

enum metric_kind { COUNTER, GAUGE };

static const struct {
    const char *name, *unit, *text;
    enum metric_kind kind;
} rows[] = {
#define METRIC_ROW_(name, kind, unit, text) { #name, unit, text, kind },
    METRICS(METRIC_ROW_)
#undef METRIC_ROW_
};
static const struct {
    const char *name, *text;
} times[] = {
#define HISTOGRAM_ROW_(name, text) { #name, text },
    HISTOGRAMS(HISTOGRAM_ROW_)
#undef HISTOGRAM_ROW_
};
static const uint32_t bounds[] = HISTOGRAM_BOUNDS;
_Static_assert(sizeof bounds / sizeof bounds[0] + 1 == HISTOGRAM_BUCKETS, "a bound per bucket, but for the last");
_Static_assert(sizeof rows / sizeof rows[0] == METRIC_COUNT, "a row per metric");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a hidden lock is private to one process");

static struct metrics_block private_block;
struct metrics_block *metrics_own = &private_block;

const char *metric_name(enum metric metric)
{
    return rows[metric].name;
}

const char *metric_unit(enum metric metric)
{
    return rows[metric].unit;
}

const char *metric_text(enum metric metric)
{
    return rows[metric].text;
}

const char *histogram_name(enum histogram histogram)
{
    return times[histogram].name;
}

const char *histogram_text(enum histogram histogram)
{
    return times[histogram].text;
}

uint64_t histogram_bound_us(size_t i)
{
    return i < HISTOGRAM_BUCKETS - 1 ? bounds[i] : UINT64_MAX;
}

void histogram_add(enum histogram histogram, int64_t us)
{
    struct metrics_histogram *h = &metrics_own->histogram[histogram];
    size_t i = 0;
    while (i < HISTOGRAM_BUCKETS - 1 && us > (int64_t)bounds[i])
        i++;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us > 0 ? (uint64_t)us : 0, memory_order_relaxed);
}

void metrics_describe(void *out)
{
    (void)fprintf(out, "| metric | kind | unit | what it counts |\n|---|---|---|---|\n");
    for (size_t i = 0; i < METRIC_COUNT; i++)
        (void)fprintf(out, "| `%s` | %s | %s | %s |\n", rows[i].name, rows[i].kind == COUNTER ? "counter" : "gauge",
                      rows[i].unit, rows[i].text);
    for (size_t i = 0; i < HISTOGRAM_COUNT; i++)
        (void)fprintf(out, "| `%s` | histogram | us | %s |\n", times[i].name, times[i].text);
}

static bool path_of(const char *cache_dir, const char *suffix, size_t n, char *ret)
{
    int length = snprintf(ret, n, "%s/" METRICS_FILE "%s", cache_dir, suffix);
    return length > 0 && (size_t)length < n;
}

static enum rialto_status status_of_errno(void)
{
    if (errno == ENOENT)
        return RIALTO_NO_CACHE;
    if (errno == EACCES || errno == EPERM)
        return RIALTO_NO_PERMISSION;
    return errno == ENOSPC ? RIALTO_NO_SPACE : RIALTO_SYSTEM;
}

static bool file_valid(const struct metrics_file *file)
{
    return atomic_load_explicit(&file->magic, memory_order_acquire) == METRICS_MAGIC && file->layout == RIALTO_LAYOUT &&
           file->metric_count == METRIC_COUNT && file->block_count == METRICS_BLOCKS_MAX &&
           file->histogram_count == HISTOGRAM_COUNT;
}

static struct metrics_file *file_map(const char *path, int open_flags, int protection)
{
    int fd = open(path, open_flags | O_CLOEXEC);
    if (fd == -1)
        return NULL;
    struct stat info;
    struct metrics_file *file = NULL;
    if (fstat(fd, &info) == 0 && info.st_size >= (off_t)sizeof *file) {
        void *map = mmap(NULL, sizeof *file, protection, MAP_SHARED, fd, 0);
        file = map == MAP_FAILED ? NULL : map;
    }
    (void)close(fd);
    if (file != NULL && !file_valid(file)) {
        (void)munmap(file, sizeof *file);
        file = NULL;
    }
    return file;
}

static void histogram_clear(struct metrics_histogram *h)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&h->bucket[i], 0, memory_order_relaxed);
    atomic_store_explicit(&h->sum_us, 0, memory_order_relaxed);
}

static void blocks_clear(struct metrics_file *file)
{
    for (size_t b = 0; b < METRICS_BLOCKS_MAX; b++) {
        memset(file->block[b].who, 0, sizeof file->block[b].who);
        for (size_t w = 0; w < METRICS_WORDS - 8; w++)
            atomic_store_explicit(&file->block[b].word[w], 0, memory_order_relaxed);
        for (size_t h = 0; h < HISTOGRAM_COUNT; h++)
            histogram_clear(&file->block[b].histogram[h]);
    }
}

static enum rialto_status file_fill(int fd)
{
    int error = posix_fallocate(fd, 0, (off_t)sizeof(struct metrics_file));
    if (error != 0) {
        errno = error;
        return status_of_errno();
    }
    struct metrics_file *file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return RIALTO_SYSTEM;
    file->layout = RIALTO_LAYOUT;
    file->metric_count = METRIC_COUNT;
    file->block_count = METRICS_BLOCKS_MAX;
    file->histogram_count = HISTOGRAM_COUNT;
    /* Release pairs with file_valid(): who sees the magic sees the rest. */
    atomic_store_explicit(&file->magic, METRICS_MAGIC, memory_order_release);
    (void)munmap(file, sizeof *file);
    return RIALTO_OK;
}

/* Mode and group as the tables beside it have them, whatever the umask: -1 = the folder's group. */
static void allow_readers(const char *cache_dir, int64_t group_id, const char *path)
{
    struct stat folder;
    if (group_id < 0 && stat(cache_dir, &folder) == 0)
        group_id = (int64_t)folder.st_gid;
    if (chmod(path, 0640) == -1 || (group_id >= 0 && chown(path, (uid_t)-1, (gid_t)group_id) == -1))
        errno = 0; /* not ours to give away: readers outside our group will hear NO_PERMISSION */
}

/* A reader must never see a half-made file: it gets its name when it is whole. */
static enum rialto_status file_make(const char *cache_dir, int64_t group_id)
{
    char path[4096], fresh[4096];
    if (!path_of(cache_dir, "", sizeof path, path) || !path_of(cache_dir, ".new", sizeof fresh, fresh))
        return RIALTO_BAD_INPUT;
    int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd == -1)
        return status_of_errno();
    enum rialto_status status = file_fill(fd);
    (void)close(fd);
    if (status == RIALTO_OK)
        allow_readers(cache_dir, group_id, fresh);
    if (status == RIALTO_OK && rename(fresh, path) == -1)
        status = status_of_errno();
    if (status != RIALTO_OK)
        (void)unlink(fresh);
    return status;
}

/* Beside the one of another version that may be there; in its place where there is no room for two. */
static enum rialto_status file_replace(const char *cache_dir, int64_t group_id, const char *path)
{
    enum rialto_status status = file_make(cache_dir, group_id);
    if (status != RIALTO_NO_SPACE || unlink(path) == -1)
        return status;
    return file_make(cache_dir, group_id);
}

enum rialto_status metrics_create(const char *cache_dir, int64_t group_id)
{
    char path[4096];
    if (!path_of(cache_dir, "", sizeof path, path))
        return RIALTO_BAD_INPUT;
    struct metrics_file *file = file_map(path, O_RDWR, PROT_READ | PROT_WRITE);
    if (file == NULL)
        return file_replace(cache_dir, group_id, path);
    allow_readers(cache_dir, group_id, path);
    blocks_clear(file);
    (void)munmap(file, sizeof *file);
    return RIALTO_OK;
}

/* What was counted before metrics_open() is taken along. */
static void block_enter(struct metrics_block *block, const char *who)
{
    bool again = block->who[0] != '\0';
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        uint64_t before = rows[i].kind == GAUGE ? 0 : atomic_load_explicit(&block->word[i], memory_order_relaxed);
        uint64_t more = atomic_load_explicit(&private_block.word[i], memory_order_relaxed);
        atomic_store_explicit(&block->word[i], before + more, memory_order_relaxed);
    } /* no time is measured before */
    (void)snprintf(block->who, sizeof block->who, "%s", who);
    metrics_own = block;

    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    metric_set(METRIC_started_unix_ms, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    metric_set(METRIC_pid, (uint64_t)getpid());
    if (again)
        metric_add(METRIC_restarts_total, 1);
}

enum rialto_status metrics_open(const char *cache_dir, uint32_t block, const char *who)
{
    char path[4096];
    if (block >= METRICS_BLOCKS_MAX || !path_of(cache_dir, "", sizeof path, path))
        return RIALTO_BAD_INPUT;
    errno = 0;
    struct metrics_file *file = file_map(path, O_RDWR, PROT_READ | PROT_WRITE);
    if (file == NULL)
        return errno == 0 ? RIALTO_OTHER_LAYOUT : status_of_errno();
    block_enter(&file->block[block], who);
    return RIALTO_OK;
}

const struct metrics_file *metrics_read(const char *cache_dir)
{
    char path[4096];
    return path_of(cache_dir, "", sizeof path, path) ? file_map(path, O_RDONLY, PROT_READ) : NULL;
}
