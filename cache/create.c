/* create.c - make, keep, retire and remove the files of a cache folder.
 *
 *   plan --> are the files there and right? --yes--> keep them, refresh the settings
 *                    |no
 *                    v
 *            new files beside the old ones ("*.new") --> old ones marked retired, unlinked --> new ones take the names
 *
 * Owner      one process at a time, before workers start. Readers may have the old files mapped all along: they see
 *            `retired` and open the folder again. Files of other layouts have other names (cache/supersede.c).
 * Crash      control takes its name last, and every file carries the creation's stamp, so a half-made set is "no cache".
 * Space      is really reserved: a store to a hole in a full tmpfs would be a SIGBUS in whoever stores. */
#include "cache/folder.h"
#include "cache/grow.h"
#include "cache/reserve.h"
#include "cache/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX_NEW       ".new"
#define LOAD_PERCENT     75u /* of a segment: far above it, some key soon needs more than RIALTO_PROBE_MAX lines */
#define LINES_MIN        64u /* per partition */
#define SPREAD_SIGMAS    4u
#define LOST_PERCENT     25u    /* addresses for regions that dying owners may lose */
#define FOLDER_OWN_BYTES 65536u /* directory entries and rounding to pages */

struct geometry {          /* of a keyed table */
    uint64_t capacity_max; /* lines that each segment may have */
    uint64_t capacity;     /* lines that it begins with */
    uint64_t tags_bytes;   /* of all segments; they come first, then all lines */
    uint64_t file_bytes;   /* at creation */
    uint64_t file_end;     /* where growth begins */
    uint64_t grown_bytes;  /* reserved when all have grown to the whole */
    uint64_t bytes_max;    /* addresses */
};

static uint64_t root_of(uint64_t n)
{
    uint64_t low = 0, high = UINT64_C(1) << 32;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (middle * middle <= n)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Hashing spreads ids over partitions like throws of a die: a partition's share varies by about its square root, and
 * more where one id brings many lines with it. */
uint64_t cache_share(uint64_t total, uint32_t group)
{
    uint64_t even = (total + RIALTO_PARTITIONS - 1) / RIALTO_PARTITIONS;
    return even + SPREAD_SIGMAS * root_of(even * (group == 0 ? 1 : group)) + LINES_MIN;
}

uint64_t cache_room_for(uint64_t bytes)
{
    return bytes * 100 / LOAD_PERCENT;
}

static uint64_t round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

static void plan_growth(struct geometry *g, uint32_t line_bytes)
{
    g->file_end = round_up(g->file_bytes, FOLDER_LARGE_PAGE); /* so that grown chunks are whole ones */
    uint64_t lines = g->capacity_max - g->capacity;
    uint64_t regions = RIALTO_PARTITIONS * (grow_region_bytes(lines, line_bytes) + RIALTO_EXTENTS_MAX * GROW_ALIGN);
    g->grown_bytes = g->file_bytes;
    g->bytes_max = g->file_bytes;
    if (lines == 0)
        return;
    g->grown_bytes = g->file_end + round_up(regions, FOLDER_LARGE_PAGE);
    g->bytes_max = g->file_end + round_up(regions + regions / 100 * LOST_PERCENT, FOLDER_LARGE_PAGE);
}

static struct geometry geometry_of(const struct cache_plan *plan, uint32_t table)
{
    uint32_t line_bytes = folder_table_line_bytes(table);
    uint64_t percent = plan->start_percent == 0 || plan->start_percent > 100 ? 100 : plan->start_percent;
    uint64_t share = cache_share(plan->lines[table], plan->group[table]);
    struct geometry g = { .capacity_max = round_up(cache_room_for(share), GROW_LINES_ROUND) };
    g.capacity = round_up(g.capacity_max * percent / 100, GROW_LINES_ROUND);
    g.tags_bytes = RIALTO_PARTITIONS * g.capacity;
    g.file_bytes = FOLDER_LINES_AT + g.tags_bytes + g.tags_bytes * line_bytes;
    plan_growth(&g, line_bytes);
    return g;
}

uint64_t cache_lines_max(const struct cache_plan *plan, enum rialto_table table)
{
    return geometry_of(plan, table).capacity_max;
}

static uint64_t file_bytes_of(const struct cache_plan *plan, uint32_t file)
{
    switch (file) {
    case FOLDER_FILE_RULES: return FOLDER_RULES_BYTES;
    case FOLDER_FILE_RINGS: return folder_rings_bytes(plan->workers);
    case FOLDER_FILE_CONTROL: return sizeof(struct rialto_control);
    default: return geometry_of(plan, file).file_bytes;
    }
}

/* CLOCK_MONOTONIC starts anew with each boot: heartbeats of another one mean nothing. */
static uint64_t boot_id(void)
{
    char text[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL)
            text[0] = '\0';
        (void)fclose(file);
    }
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    return hash;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- making files ------------------------------------------------------------------------------------ */

/* Tables get large pages: random reads save most of their page walks. About 1 s a GiB. */
static enum rialto_status reserve_table(int fd, uint64_t bytes)
{
    uint8_t *at = folder_map(fd, bytes, true);
    if (at == NULL)
        return folder_status_of_errno(errno);
    enum rialto_status status = reserve_large(fd, at, 0, bytes, bytes);
    int error = errno;
    (void)munmap(at, bytes);
    errno = error;
    return status;
}

/* A zero-filled file with its space reserved, mapped; its mode and group are the plan's whatever the umask. */
static enum rialto_status make_file(const struct cache_plan *plan, uint32_t file, void **ret)
{
    char path[FOLDER_PATH_MAX];
    if (!folder_file_path(plan->folder, file, SUFFIX_NEW, path))
        return RIALTO_BAD_INPUT;
    (void)unlink(path); /* what a creator that died may have left */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd == -1)
        return folder_status_of_errno(errno);

    uint64_t bytes = file_bytes_of(plan, file);
    uint64_t length = file == FOLDER_FILE_RINGS ? folder_rings_bytes(RIALTO_WORKERS_MAX) : bytes;
    enum rialto_status status = RIALTO_OK;
    void *at = NULL;
    if (fchmod(fd, 0640) == -1 || (plan->group_id >= 0 && fchown(fd, (uid_t)-1, (gid_t)plan->group_id) == -1))
        status = folder_status_of_errno(errno);
    if (status == RIALTO_OK && ftruncate(fd, (off_t)length) == -1)
        status = folder_status_of_errno(errno);
    if (status == RIALTO_OK)
        status = file < RIALTO_TABLE_COUNT ? reserve_table(fd, bytes) : reserve_range(fd, 0, bytes);
    if (status == RIALTO_OK) {
        at = folder_map(fd, bytes, true);
        if (at == NULL)
            status = folder_status_of_errno(errno);
    }
    (void)close(fd);
    if (status == RIALTO_OK)
        *ret = at;
    return status;
}

static void fill_table(const struct cache_plan *plan, uint32_t table, int64_t stamp, void *at)
{
    struct rialto_table_header *h = at;
    struct rialto_extents *extents = (struct rialto_extents *)(void *)((uint8_t *)at + FOLDER_EXTENTS_AT);
    struct geometry g = geometry_of(plan, table);
    uint64_t segment_bytes = g.capacity * folder_table_line_bytes(table);

    h->layout = RIALTO_LAYOUT;
    h->byte_order = RIALTO_BYTE_ORDER;
    h->table = table;
    h->line_bytes = folder_table_line_bytes(table);
    h->partition_count = RIALTO_PARTITIONS;
    h->file_bytes = g.file_bytes;
    h->created_unix_ms = stamp;
    h->capacity_max = g.capacity_max;
    h->bytes_max = g.bytes_max;
    atomic_store_explicit(&h->file_end, g.file_end, memory_order_relaxed);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct rialto_extent *extent = &extents[p].extent[0];
        uint64_t lines = FOLDER_LINES_AT + g.tags_bytes + p * segment_bytes;
        atomic_store_explicit(&extent->tags, FOLDER_LINES_AT + p * g.capacity, memory_order_relaxed);
        atomic_store_explicit(&extent->lines, lines, memory_order_relaxed);
        atomic_store_explicit(&extent->capacity, (uint32_t)g.capacity, memory_order_relaxed);
        atomic_store_explicit(&extents[p].count, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&h->magic, RIALTO_TABLE_MAGIC, memory_order_release); /* readers may enter */
}

static void fill_rules(int64_t stamp, void *at)
{
    struct rialto_rules_header *h = at;
    h->layout = RIALTO_LAYOUT;
    h->byte_order = RIALTO_BYTE_ORDER;
    h->created_unix_ms = stamp;
    atomic_store_explicit(&h->magic, RIALTO_TABLE_MAGIC, memory_order_release);
}

static void fill_rings(const struct cache_plan *plan, int64_t stamp, void *at)
{
    struct rialto_rings_header *h = at;
    h->layout = RIALTO_LAYOUT;
    h->byte_order = RIALTO_BYTE_ORDER;
    h->ring_count = plan->workers;
    h->entries = RIALTO_RING_ENTRIES;
    h->created_unix_ms = stamp;
    atomic_store_explicit(&h->magic, RIALTO_TABLE_MAGIC, memory_order_release);
}

/* What a new start may change under running readers: each is one aligned word or byte, and readers take them one by one. */
static void refresh_settings(const struct cache_plan *plan, struct rialto_control *c)
{
    __atomic_store_n(&c->stale_after_ms, plan->stale_after_ms, __ATOMIC_RELAXED);
    __atomic_store_n(&c->personal_stale_ms, plan->personal_stale_ms, __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof c->geohash_lengths; i++)
        __atomic_store_n(&c->geohash_lengths[i], plan->geohash_lengths[i], __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof c->path_depths; i++)
        __atomic_store_n(&c->path_depths[i], plan->path_depths[i], __ATOMIC_RELAXED);
    __atomic_store_n(&c->demo, plan->demo ? 1 : 0, __ATOMIC_RELAXED);
    (void)snprintf(c->instance, sizeof c->instance, "%s", plan->instance == NULL ? "" : plan->instance);
}

static void fill_control(const struct cache_plan *plan, int64_t stamp, void *at)
{
    struct rialto_control *c = at;
    c->layout = RIALTO_LAYOUT;
    c->byte_order = RIALTO_BYTE_ORDER;
    c->created_unix_ms = stamp;
    c->boot = boot_id();
    c->hash = 1; /* XXH3 */
    memcpy(c->secret, plan->secret, sizeof c->secret);
    int64_t offset = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_MONOTONIC);
    atomic_store_explicit(&c->clock_offset_ms, offset, memory_order_relaxed);
    refresh_settings(plan, c);
    atomic_store_explicit(&c->magic, RIALTO_CONTROL_MAGIC, memory_order_release);
}

static enum rialto_status make_filled(const struct cache_plan *plan, uint32_t file, int64_t stamp)
{
    void *at = NULL;
    enum rialto_status status = make_file(plan, file, &at);
    if (status != RIALTO_OK)
        return status;
    if (file == FOLDER_FILE_CONTROL)
        fill_control(plan, stamp, at);
    else if (file == FOLDER_FILE_RULES)
        fill_rules(stamp, at);
    else if (file == FOLDER_FILE_RINGS)
        fill_rings(plan, stamp, at);
    else
        fill_table(plan, file, stamp, at);
    (void)munmap(at, file_bytes_of(plan, file));
    return RIALTO_OK;
}

static void unlink_all(const char *folder, const char *suffix)
{
    char path[FOLDER_PATH_MAX];
    for (uint32_t file = FOLDER_FILE_COUNT; file-- > 0;) {
        if (folder_file_path(folder, file, suffix, path))
            (void)unlink(path); /* best effort: most often there is nothing */
    }
}

static enum rialto_status make_all(const struct cache_plan *plan)
{
    int64_t stamp = clock_ms(CLOCK_REALTIME);
    enum rialto_status status = RIALTO_OK;
    for (uint32_t file = 0; status == RIALTO_OK && file < FOLDER_FILE_COUNT; file++)
        status = make_filled(plan, file, stamp);
    if (status != RIALTO_OK) {
        int error = errno; /* of the failure, not of the clean-up */
        unlink_all(plan->folder, SUFFIX_NEW);
        errno = error;
    }
    return status;
}

static enum rialto_status name_all(const char *folder)
{
    char from[FOLDER_PATH_MAX], to[FOLDER_PATH_MAX];
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        if (!folder_file_path(folder, file, SUFFIX_NEW, from) || !folder_file_path(folder, file, "", to))
            return RIALTO_BAD_INPUT;
        if (rename(from, to) == -1)
            return folder_status_of_errno(errno);
    }
    return RIALTO_OK;
}

/* ---- retiring files ---------------------------------------------------------------------------------- */

/* The `retired` word of a mapped first page; NULL when the page is not one that we know. */
static _Atomic uint32_t *retired_word(uint32_t file, void *page)
{
    struct rialto_control *control = page;
    struct rialto_rules_header *rules = page;
    struct rialto_table_header *table = page;
    uint64_t magic = atomic_load_explicit(&table->magic, memory_order_acquire);
    if (file == FOLDER_FILE_CONTROL)
        return magic == RIALTO_CONTROL_MAGIC && control->layout == RIALTO_LAYOUT ? &control->retired : NULL;
    if (magic != RIALTO_TABLE_MAGIC || table->layout != RIALTO_LAYOUT || file == FOLDER_FILE_RINGS)
        return NULL;
    return file == FOLDER_FILE_RULES ? &rules->retired : &table->retired;
}

static void retire_file(const char *path, uint32_t file)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 4096) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) {
            _Atomic uint32_t *retired = retired_word(file, page);
            if (retired != NULL)
                atomic_store_explicit(retired, RIALTO_RETIRED_REPLACED, memory_order_release);
            (void)munmap(page, 4096);
        }
    }
    (void)close(fd);
}

/* Tell readers that have the files mapped, and take the names away. */
static void retire_all(const char *folder)
{
    char path[FOLDER_PATH_MAX];
    for (uint32_t file = FOLDER_FILE_COUNT; file-- > 0;) { /* control first: whoever opens now finds nothing */
        if (!folder_file_path(folder, file, "", path))
            continue;
        retire_file(path, file);
        (void)unlink(path);
    }
}

void cache_remove(const char *folder)
{
    retire_all(folder);
    unlink_all(folder, SUFFIX_NEW);
    (void)rmdir(folder); /* it may be a mount, or hold files of somebody else: then it stays */
}

/* ---- keeping files ----------------------------------------------------------------------------------- */

static bool fits_plan(const struct folder *f, const struct cache_plan *plan)
{
    if (memcmp(f->control->secret, plan->secret, sizeof plan->secret) != 0 || f->control->boot != boot_id())
        return false;
    if (f->rings->ring_count != plan->workers)
        return false;
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++) {
        if (f->table[t].header->capacity_max != geometry_of(plan, t).capacity_max)
            return false;
    }
    return true;
}

static enum rialto_status apply_owner(const struct cache_plan *plan)
{
    char path[FOLDER_PATH_MAX];
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        if (!folder_file_path(plan->folder, file, "", path))
            return RIALTO_BAD_INPUT;
        if (chmod(path, 0640) == -1 || (plan->group_id >= 0 && chown(path, (uid_t)-1, (gid_t)plan->group_id) == -1))
            return folder_status_of_errno(errno);
    }
    return RIALTO_OK;
}

/* RIALTO_OK when the files were kept; NOT_FOUND when new ones are due; NO_PERMISSION and others as they come. */
static enum rialto_status keep_files(const struct cache_plan *plan)
{
    struct folder f;
    enum rialto_status status = folder_open(plan->folder, true, &f);
    if (status == RIALTO_NO_PERMISSION || status == RIALTO_NO_MEMORY || status == RIALTO_SYSTEM)
        return status;
    if (status != RIALTO_OK)
        return RIALTO_NOT_FOUND;
    status = fits_plan(&f, plan) ? apply_owner(plan) : RIALTO_NOT_FOUND;
    if (status == RIALTO_OK)
        refresh_settings(plan, f.control);
    folder_close(&f);
    return status;
}

/* ---- space ------------------------------------------------------------------------------------------- */

uint64_t cache_table_bytes(const struct cache_plan *plan, enum rialto_table table, bool grown)
{
    struct geometry g = geometry_of(plan, table);
    return grown ? g.grown_bytes : g.file_bytes;
}

static uint64_t all_bytes(const struct cache_plan *plan, bool grown)
{
    uint64_t bytes = 0;
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++)
        bytes += file < RIALTO_TABLE_COUNT ? cache_table_bytes(plan, file, grown) : file_bytes_of(plan, file);
    return bytes;
}

uint64_t cache_bytes_start(const struct cache_plan *plan)
{
    return all_bytes(plan, false);
}

uint64_t cache_bytes_max(const struct cache_plan *plan)
{
    return all_bytes(plan, true);
}

uint64_t cache_bytes_needed(const struct cache_plan *plan)
{
    return FOLDER_OWN_BYTES + cache_bytes_max(plan) + plan->beside_bytes;
}

/* Of the file beside ours: it may be there already, and is not made anew then. */
static uint64_t bytes_beside(const struct cache_plan *plan)
{
    char path[FOLDER_PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof path, "%s/%s", plan->folder, plan->beside == NULL ? "" : plan->beside);
    if (plan->beside == NULL || length >= FOLDER_PATH_MAX || stat(path, &st) == -1)
        return 0;
    uint64_t bytes = (uint64_t)st.st_blocks * 512;
    return bytes < plan->beside_bytes ? bytes : plan->beside_bytes;
}

static uint64_t bytes_of_old(const char *folder, const char *suffix)
{
    char path[FOLDER_PATH_MAX];
    uint64_t bytes = 0;
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        struct stat st;
        if (folder_file_path(folder, file, suffix, path) && stat(path, &st) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
    }
    return bytes;
}

static uint64_t bytes_free(const char *folder)
{
    struct statvfs fs;
    if (statvfs(folder, &fs) == -1 || fs.f_blocks == 0) /* a tmpfs without a limit says 0 */
        return UINT64_MAX / 2;
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* A folder that is there may be a mount, or somebody else's: its mode stays as it is, and its group where it is not ours to change. */
static void group_of_folder(const struct cache_plan *plan)
{
    struct stat st;
    if (plan->group_id >= 0 && stat(plan->folder, &st) == 0 && st.st_gid != (gid_t)plan->group_id &&
        chown(plan->folder, (uid_t)-1, (gid_t)plan->group_id) == -1)
        errno = 0;
}

static enum rialto_status make_folder(const struct cache_plan *plan)
{
    if (mkdir(plan->folder, 0750) == -1) {
        if (errno != EEXIST)
            return errno == ENOENT ? RIALTO_SYSTEM : folder_status_of_errno(errno);
        group_of_folder(plan);
        return RIALTO_OK;
    }
    if (chmod(plan->folder, 0750) == -1 ||
        (plan->group_id >= 0 && chown(plan->folder, (uid_t)-1, (gid_t)plan->group_id) == -1)) {
        int error = errno;
        (void)rmdir(plan->folder);
        return folder_status_of_errno(error);
    }
    return RIALTO_OK;
}

static bool plan_valid(const struct cache_plan *plan)
{
    if (plan->folder == NULL || plan->folder[0] == '\0' || plan->workers == 0 || plan->workers > RIALTO_WORKERS_MAX)
        return false;
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++) {
        if (plan->lines[t] > UINT64_C(1) << 36 || geometry_of(plan, t).bytes_max > RIALTO_TABLE_BYTES_MAX)
            return false;
    }
    /* Cells name their product and zone by slot, in 18 and 14 bits. */
    return geometry_of(plan, RIALTO_TABLE_PRODUCTS).capacity_max <= RIALTO_PRODUCT_SLOTS_MAX &&
           geometry_of(plan, RIALTO_TABLE_ZONES).capacity_max <= RIALTO_ZONE_SLOTS_MAX;
}

/* So that all of it fits, what the folder's files hold already counted in. */
static uint64_t bytes_missing(const struct cache_plan *plan, uint64_t needed)
{
    uint64_t there = bytes_free(plan->folder) + bytes_of_old(plan->folder, "");
    return there < needed ? needed - there : 0;
}

/* Make a new set of files and let it take the place of the old one. */
static enum rialto_status replace_files(const struct cache_plan *plan, uint64_t *ret_bytes_missing)
{
    unlink_all(plan->folder, SUFFIX_NEW);
    uint64_t needed = cache_bytes_needed(plan) - bytes_beside(plan), available = bytes_free(plan->folder);
    *ret_bytes_missing = bytes_missing(plan, needed);
    if (*ret_bytes_missing > 0)
        return RIALTO_NO_SPACE;
    if (available < needed) /* not both at once: readers are without a cache for a moment */
        retire_all(plan->folder);
    enum rialto_status status = make_all(plan);
    if (status == RIALTO_NO_SPACE) { /* readers may still hold the old files, or somebody else was faster */
        available = bytes_free(plan->folder);
        *ret_bytes_missing = available < needed ? needed - available : 1;
    }
    if (status != RIALTO_OK)
        return status;
    retire_all(plan->folder);
    return name_all(plan->folder);
}

enum rialto_status cache_create(const struct cache_plan *plan, bool *ret_kept, uint64_t *ret_bytes_missing)
{
    if (!plan_valid(plan))
        return RIALTO_BAD_INPUT;
    enum rialto_status status = make_folder(plan);
    if (status != RIALTO_OK)
        return status;
    status = keep_files(plan);
    if (status == RIALTO_OK) {
        *ret_kept = true;
        *ret_bytes_missing = bytes_missing(plan, cache_bytes_needed(plan) - bytes_beside(plan));
        return RIALTO_OK;
    }
    if (status != RIALTO_NOT_FOUND)
        return status;
    status = replace_files(plan, ret_bytes_missing);
    if (status == RIALTO_OK)
        *ret_kept = false;
    return status;
}
