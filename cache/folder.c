/* folder.c - open, check and map the files of a cache folder. Nothing here trusts a file beyond what it has checked. */
#include "cache/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const FILE_NAMES[FOLDER_FILE_COUNT] = {
    [RIALTO_TABLE_CELLS] = "cells", [RIALTO_TABLE_TERMS] = "terms",       [RIALTO_TABLE_OFFERS] = "offers",
    [RIALTO_TABLE_ZONES] = "zones", [RIALTO_TABLE_PRODUCTS] = "products", [FOLDER_FILE_RULES] = "rules",
    [FOLDER_FILE_RINGS] = "rings",  [FOLDER_FILE_CONTROL] = "control",
};

const char *folder_file_name(uint32_t file)
{
    return FILE_NAMES[file];
}

bool folder_file_path(const char *folder, uint32_t file, const char *suffix, char ret[FOLDER_PATH_MAX])
{
    int length = snprintf(ret, FOLDER_PATH_MAX, "%s/%s%s%s", folder, FILE_NAMES[file], RIALTO_FILE_SUFFIX, suffix);
    return length > 0 && length < FOLDER_PATH_MAX;
}

enum rialto_status folder_status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return RIALTO_NO_CACHE;
    case EACCES:
    case EPERM:
    case EROFS: return RIALTO_NO_PERMISSION;
    case ENOMEM: return RIALTO_NO_MEMORY;
    case ENOSPC:
    case EDQUOT: return RIALTO_NO_SPACE;
    default: return RIALTO_SYSTEM;
    }
}

void *folder_map(int fd, uint64_t bytes, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *at = NULL;
    if (bytes < FOLDER_LARGE_PAGE) {
        at = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
        return at == MAP_FAILED ? NULL : at;
    }
    /* Take more addresses than needed, use the aligned ones, and give the rest back. */
    uint8_t *room =
        mmap(NULL, bytes + FOLDER_LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    uint64_t before = (FOLDER_LARGE_PAGE - (uintptr_t)room % FOLDER_LARGE_PAGE) % FOLDER_LARGE_PAGE;
    at = mmap(room + before, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);
    if (at == MAP_FAILED) {
        int error = errno;
        (void)munmap(room, bytes + FOLDER_LARGE_PAGE);
        errno = error;
        return NULL;
    }
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = (bytes + page - 1) / page * page;
    if (before > 0)
        (void)munmap(room, before);
    if (before + end < bytes + FOLDER_LARGE_PAGE)
        (void)munmap(room + before + end, bytes + FOLDER_LARGE_PAGE - before - end);
    return at;
}

/* Map a file whole; its size is at least bytes_min. */
static enum rialto_status map_file(const char *path, bool writable, size_t bytes_min, void **ret, size_t *ret_bytes)
{
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd == -1)
        return folder_status_of_errno(errno);

    enum rialto_status status = RIALTO_OK;
    struct stat st;
    if (fstat(fd, &st) == -1) {
        status = RIALTO_SYSTEM;
    } else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)bytes_min) {
        status = RIALTO_TRUNCATED;
    } else {
        void *at = folder_map(fd, (uint64_t)st.st_size, writable);
        if (at == NULL) {
            status = folder_status_of_errno(errno);
        } else {
            *ret = at;
            *ret_bytes = (size_t)st.st_size;
        }
    }
    (void)close(fd);
    return status;
}

/* The first words of every file: is it ours, complete, of this build's layout and of this machine's byte order? */
static enum rialto_status check_magic(const _Atomic uint64_t *magic, uint64_t wanted, uint32_t layout, uint32_t order)
{
    /* Acquire pairs with the creator's release: whoever sees the magic sees the whole header. */
    uint64_t seen = atomic_load_explicit(magic, memory_order_acquire);
    if (seen == 0)
        return RIALTO_NO_CACHE;
    if (seen == __builtin_bswap64(wanted) || (seen == wanted && order == __builtin_bswap32(RIALTO_BYTE_ORDER)))
        return RIALTO_OTHER_BYTE_ORDER;
    if (seen != wanted || order != RIALTO_BYTE_ORDER || layout != RIALTO_LAYOUT)
        return RIALTO_OTHER_LAYOUT;
    return RIALTO_OK;
}

/* The header's own page: what the rest of the file should be is known only from it. */
static enum rialto_status check_header(const struct rialto_table_header *h, uint32_t table, int64_t stamp,
                                       uint64_t bytes)
{
    enum rialto_status status = check_magic(&h->magic, RIALTO_TABLE_MAGIC, h->layout, h->byte_order);
    if (status != RIALTO_OK)
        return status;
    if (h->table != table || h->line_bytes != folder_table_line_bytes(table) || h->partition_count != RIALTO_PARTITIONS)
        return RIALTO_OTHER_LAYOUT;
    if (h->created_unix_ms != stamp)
        return RIALTO_NO_CACHE;
    if (h->file_bytes > bytes || h->file_bytes < FOLDER_LINES_AT || h->bytes_max < h->file_bytes ||
        h->bytes_max > RIALTO_TABLE_BYTES_MAX || h->capacity_max >= UINT32_MAX)
        return RIALTO_TRUNCATED;
    return RIALTO_OK;
}

static bool range_inside(uint64_t from, uint64_t bytes, uint64_t end)
{
    return from >= FOLDER_LINES_AT && from <= end && bytes <= end - from;
}

static bool extents_inside(const struct rialto_extents *x, uint32_t line_bytes, uint64_t file_bytes)
{
    uint64_t first = 0;
    uint32_t count = folder_extent_count(x);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t lines = atomic_load_explicit(&x->extent[i].lines, memory_order_relaxed);
        uint64_t tags = atomic_load_explicit(&x->extent[i].tags, memory_order_relaxed);
        uint64_t capacity = atomic_load_explicit(&x->extent[i].capacity, memory_order_relaxed);
        if (atomic_load_explicit(&x->extent[i].first, memory_order_relaxed) != first)
            return false;
        first += capacity;
        if (capacity == 0 || first >= UINT32_MAX || capacity % 8 != 0 || lines % 64 != 0 || tags % 8 != 0 ||
            !range_inside(tags, capacity, file_bytes) || !range_inside(lines, capacity * line_bytes, file_bytes))
            return false;
    }
    return count > 0;
}

/* What segments say that they cover is there. A segment may grow meanwhile: the file's length counts as it is after a
 * look at the segment, when it has what was published before. */
static enum rialto_status check_extents(const struct folder_table *t, uint32_t line_bytes, int fd)
{
    struct stat st;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct rialto_extents seen = { .count = folder_extent_count(&t->extents[p]) };
        memcpy(seen.extent, (const void *)t->extents[p].extent, seen.count * sizeof seen.extent[0]);
        if (fstat(fd, &st) == -1)
            return RIALTO_SYSTEM;
        if (!extents_inside(&seen, line_bytes, (uint64_t)st.st_size))
            return RIALTO_TRUNCATED;
    }
    return RIALTO_OK;
}

static void aim_table(struct folder_table *t, uint8_t *base, size_t bytes)
{
    t->base = base;
    t->bytes = bytes;
    t->header = (struct rialto_table_header *)(void *)base;
    t->extents = (struct rialto_extents *)(void *)(base + FOLDER_EXTENTS_AT);
    t->segment = (struct rialto_segment *)(void *)(base + FOLDER_SEGMENTS_AT);
}

/* Map a keyed table once, at the size that it may grow to: pages past the file's end are addresses and nothing more, and
 * nobody touches them before a published extent says that they are there. */
static enum rialto_status map_table(int fd, bool writable, uint32_t table, int64_t stamp, struct folder_table *ret)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return RIALTO_SYSTEM;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < FOLDER_LINES_AT)
        return RIALTO_TRUNCATED;
    struct rialto_table_header *h = mmap(NULL, sizeof *h, PROT_READ, MAP_SHARED, fd, 0);
    if (h == MAP_FAILED)
        return folder_status_of_errno(errno);
    enum rialto_status status = check_header(h, table, stamp, (uint64_t)st.st_size);
    uint64_t bytes = h->bytes_max;
    (void)munmap(h, sizeof *h);
    if (status != RIALTO_OK)
        return status;
    uint8_t *base = folder_map(fd, bytes, writable);
    if (base == NULL)
        return folder_status_of_errno(errno);
    aim_table(ret, base, bytes);
    return check_extents(ret, folder_table_line_bytes(table), fd);
}

static enum rialto_status open_table(const char *path, bool writable, uint32_t table, int64_t stamp,
                                     struct folder_table *ret)
{
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd == -1)
        return folder_status_of_errno(errno);
    enum rialto_status status = map_table(fd, writable, table, stamp, ret);
    if (writable && status == RIALTO_OK)
        ret->fd = fd;
    else
        (void)close(fd);
    return status;
}

static enum rialto_status open_control(const char *path, bool writable, struct folder *ret)
{
    void *at = NULL;
    size_t bytes = 0;
    enum rialto_status status = map_file(path, writable, sizeof(struct rialto_control), &at, &bytes);
    if (status != RIALTO_OK)
        return status;
    if (bytes != sizeof(struct rialto_control)) {
        (void)munmap(at, bytes);
        return RIALTO_OTHER_LAYOUT;
    }
    ret->control = at;
    status = check_magic(&ret->control->magic, RIALTO_CONTROL_MAGIC, ret->control->layout, ret->control->byte_order);
    if (status != RIALTO_OK)
        return status;
    /* Replaced files are not to be found under these names. Superseded ones may be read as long as they are there. */
    uint32_t retired = atomic_load_explicit(&ret->control->retired, memory_order_acquire);
    return retired == RIALTO_NOT_RETIRED || (retired == RIALTO_RETIRED_SUPERSEDED && !writable) ? RIALTO_OK
                                                                                                : RIALTO_NO_CACHE;
}

static enum rialto_status open_rules(const char *path, bool writable, int64_t stamp, struct folder *ret)
{
    void *at = NULL;
    size_t bytes = 0;
    enum rialto_status status = map_file(path, writable, FOLDER_RULES_BYTES, &at, &bytes);
    if (status != RIALTO_OK)
        return status;
    if (bytes != FOLDER_RULES_BYTES) {
        (void)munmap(at, bytes);
        return RIALTO_OTHER_LAYOUT;
    }
    ret->rules = at;
    ret->rule = (struct rialto_rule_row *)(void *)((uint8_t *)at + sizeof(struct rialto_rules_header));
    status = check_magic(&ret->rules->magic, RIALTO_TABLE_MAGIC, ret->rules->layout, ret->rules->byte_order);
    if (status == RIALTO_OK && ret->rules->created_unix_ms != stamp)
        return RIALTO_NO_CACHE;
    if (status == RIALTO_OK && atomic_load_explicit(&ret->rules->count, memory_order_acquire) > RIALTO_RULES_MAX)
        return RIALTO_TRUNCATED;
    return status;
}

/* The rings file is sparse behind the rings in use: map only those. */
static enum rialto_status open_rings(const char *path, bool writable, int64_t stamp, struct folder *ret)
{
    void *at = NULL;
    size_t bytes = 0;
    enum rialto_status status = map_file(path, writable, folder_rings_bytes(1), &at, &bytes);
    if (status != RIALTO_OK)
        return status;

    struct rialto_rings_header *h = at;
    uint64_t used = bytes;
    status = check_magic(&h->magic, RIALTO_TABLE_MAGIC, h->layout, h->byte_order);
    if (status == RIALTO_OK) {
        used = folder_rings_bytes(h->ring_count);
        if (h->created_unix_ms != stamp)
            status = RIALTO_NO_CACHE;
        else if (h->ring_count == 0 || h->ring_count > RIALTO_WORKERS_MAX || h->entries != RIALTO_RING_ENTRIES)
            status = RIALTO_OTHER_LAYOUT;
        else if (used > bytes)
            status = RIALTO_TRUNCATED;
    }
    if (status != RIALTO_OK) {
        (void)munmap(at, bytes);
        return status;
    }
    if (bytes > used)
        (void)munmap((uint8_t *)at + used, bytes - used);
    ret->rings = h;
    ret->ring = (struct rialto_ring *)(void *)((uint8_t *)at + sizeof(struct rialto_rings_header));
    return RIALTO_OK;
}

static enum rialto_status open_file(const char *folder, bool writable, uint32_t file, struct folder *ret)
{
    char path[FOLDER_PATH_MAX];
    if (!folder_file_path(folder, file, "", path))
        return RIALTO_BAD_INPUT;
    if (file == FOLDER_FILE_CONTROL)
        return open_control(path, writable, ret);
    if (file == FOLDER_FILE_RULES)
        return open_rules(path, writable, ret->control->created_unix_ms, ret);
    if (file == FOLDER_FILE_RINGS)
        return open_rings(path, writable, ret->control->created_unix_ms, ret);
    return open_table(path, writable, file, ret->control->created_unix_ms, &ret->table[file]);
}

/* Is there a control file of another layout? */
static bool other_layout_there(const char *path)
{
    bool there = false;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (const struct dirent *entry; !there && (entry = readdir(dir)) != NULL;) {
        const char *digits = entry->d_name + sizeof "control.v" - 1;
        there = strncmp(entry->d_name, "control.v", sizeof "control.v" - 1) == 0 && digits[0] != '\0' &&
                digits[strspn(digits, "0123456789")] == '\0' && strcmp(digits, RIALTO_TEXT(RIALTO_LAYOUT)) != 0;
    }
    (void)closedir(dir);
    return there;
}

enum rialto_status folder_open(const char *path, bool writable, struct folder *ret)
{
    memset(ret, 0, sizeof *ret);
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++)
        ret->table[t].fd = -1;
    enum rialto_status status = open_file(path, writable, FOLDER_FILE_CONTROL, ret);
    for (uint32_t file = 0; status == RIALTO_OK && file < FOLDER_FILE_CONTROL; file++)
        status = open_file(path, writable, file, ret);
    if (status == RIALTO_NO_CACHE && other_layout_there(path))
        status = RIALTO_OTHER_LAYOUT;
    if (status != RIALTO_OK)
        folder_close(ret);
    return status;
}

void folder_close(struct folder *folder)
{
    if (folder->rings != NULL)
        (void)munmap(folder->rings, folder_rings_bytes(folder->rings->ring_count));
    if (folder->rules != NULL)
        (void)munmap(folder->rules, FOLDER_RULES_BYTES);
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++) {
        if (folder->table[t].base == NULL)
            continue;
        (void)munmap(folder->table[t].base, folder->table[t].bytes);
        if (folder->table[t].fd != -1)
            (void)close(folder->table[t].fd);
    }
    if (folder->control != NULL)
        (void)munmap(folder->control, sizeof(struct rialto_control));
    memset(folder, 0, sizeof *folder);
}
