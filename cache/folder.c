/* folder.c - open, check and map the files of a cache folder. Nothing here trusts a file beyond what it has checked. */
#include "cache/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const FILE_NAMES[FOLDER_FILE_COUNT] = {
    [RIALTO_TABLE_CELLS] = "cells.v1", [RIALTO_TABLE_TERMS] = "terms.v1",       [RIALTO_TABLE_OFFERS] = "offers.v1",
    [RIALTO_TABLE_ZONES] = "zones.v1", [RIALTO_TABLE_PRODUCTS] = "products.v1", [FOLDER_FILE_RULES] = "rules.v1",
    [FOLDER_FILE_RINGS] = "rings.v1",  [FOLDER_FILE_CONTROL] = "control.v1",
};

static const uint32_t LINE_BYTES[RIALTO_TABLE_COUNT] = {
    [RIALTO_TABLE_CELLS] = sizeof(struct rialto_cell_line),
    [RIALTO_TABLE_TERMS] = sizeof(struct rialto_terms_line),
    [RIALTO_TABLE_OFFERS] = sizeof(struct rialto_offer_line),
    [RIALTO_TABLE_ZONES] = sizeof(struct rialto_zone_line),
    [RIALTO_TABLE_PRODUCTS] = sizeof(struct rialto_product_line),
};

bool folder_file_path(const char *folder, uint32_t file, const char *suffix, char ret[FOLDER_PATH_MAX])
{
    int length = snprintf(ret, FOLDER_PATH_MAX, "%s/%s%s", folder, FILE_NAMES[file], suffix);
    return length > 0 && length < FOLDER_PATH_MAX;
}

uint32_t folder_table_line_bytes(uint32_t table)
{
    return LINE_BYTES[table];
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

static enum rialto_status check_segments(const struct folder_table *t, uint32_t line_bytes)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        uint64_t offset = atomic_load_explicit(&t->segment[p].offset, memory_order_relaxed);
        uint64_t tags = atomic_load_explicit(&t->segment[p].tags, memory_order_relaxed);
        uint64_t lines = atomic_load_explicit(&t->segment[p].capacity, memory_order_relaxed);
        if (lines == 0 || lines >= UINT32_MAX || lines % 8 != 0 || offset % 64 != 0 || tags % 8 != 0)
            return RIALTO_TRUNCATED;
        if (offset < FOLDER_SEGMENTS_BYTES || offset > t->bytes || lines > (t->bytes - offset) / line_bytes)
            return RIALTO_TRUNCATED;
        if (tags < FOLDER_SEGMENTS_BYTES || tags > t->bytes || lines > t->bytes - tags)
            return RIALTO_TRUNCATED;
    }
    return RIALTO_OK;
}

static enum rialto_status open_table(const char *path, bool writable, uint32_t table, int64_t stamp,
                                     struct folder_table *ret)
{
    void *at = NULL;
    enum rialto_status status = map_file(path, writable, FOLDER_SEGMENTS_BYTES, &at, &ret->bytes);
    if (status != RIALTO_OK)
        return status;
    ret->base = at;
    ret->header = at;
    ret->segment = (struct rialto_segment *)(void *)(ret->base + sizeof(struct rialto_table_header));

    const struct rialto_table_header *h = ret->header;
    status = check_magic(&h->magic, RIALTO_TABLE_MAGIC, h->layout, h->byte_order);
    if (status != RIALTO_OK)
        return status;
    if (h->table != table || h->line_bytes != LINE_BYTES[table] || h->partition_count != RIALTO_PARTITIONS)
        return RIALTO_OTHER_LAYOUT;
    if (h->created_unix_ms != stamp)
        return RIALTO_NO_CACHE;
    if (h->file_bytes > ret->bytes)
        return RIALTO_TRUNCATED;
    return check_segments(ret, LINE_BYTES[table]);
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
    if (status == RIALTO_OK && atomic_load_explicit(&ret->control->retired, memory_order_acquire) != 0)
        return RIALTO_NO_CACHE;
    return status;
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

enum rialto_status folder_open(const char *path, bool writable, struct folder *ret)
{
    memset(ret, 0, sizeof *ret);
    enum rialto_status status = open_file(path, writable, FOLDER_FILE_CONTROL, ret);
    for (uint32_t file = 0; status == RIALTO_OK && file < FOLDER_FILE_CONTROL; file++)
        status = open_file(path, writable, file, ret);
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
        if (folder->table[t].base != NULL)
            (void)munmap(folder->table[t].base, folder->table[t].bytes);
    }
    if (folder->control != NULL)
        (void)munmap(folder->control, sizeof(struct rialto_control));
    memset(folder, 0, sizeof *folder);
}
