/* folder.h - the cache folder mapped into this process: for reading by librialto, for writing by the service.
 *
 * Every file carries the same creation stamp; files of two creations are never used together. */
#ifndef CACHE_FOLDER_H
#define CACHE_FOLDER_H

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum folder_file { /* the keyed tables first, so that an enum rialto_table is one of these */
                   FOLDER_FILE_RULES = RIALTO_TABLE_COUNT,
                   FOLDER_FILE_RINGS,
                   FOLDER_FILE_CONTROL, /* last: it makes a new set of files visible */
                   FOLDER_FILE_COUNT
};

#define FOLDER_PATH_MAX    4096
#define FOLDER_LARGE_PAGE  (UINT64_C(2) << 20)
#define FOLDER_EXTENTS_AT  sizeof(struct rialto_table_header)
#define FOLDER_SEGMENTS_AT (FOLDER_EXTENTS_AT + RIALTO_PARTITIONS * sizeof(struct rialto_extents))
#define FOLDER_LINES_AT    (FOLDER_SEGMENTS_AT + RIALTO_PARTITIONS * sizeof(struct rialto_segment))
#define FOLDER_RULES_BYTES (sizeof(struct rialto_rules_header) + RIALTO_RULES_MAX * sizeof(struct rialto_rule_row))

struct extent_view { /* an extent in this process's addresses */
    const _Atomic uint64_t *tags;
    const _Atomic uint64_t *lines;
    uint64_t capacity; /* 0 = the extent does not lie within the file */
    uint64_t first;    /* slot of its first line */
};

struct extents_seen { /* of a segment, checked once: a published extent never changes */
    uint32_t count;
    struct extent_view extent[RIALTO_EXTENTS_MAX];
};

struct folder_table {
    struct rialto_table_header *header;
    struct rialto_extents *extents; /* [RIALTO_PARTITIONS] */
    struct rialto_segment *segment; /* [RIALTO_PARTITIONS] */
    uint8_t *base;                  /* offsets count from here */
    size_t bytes;                   /* mapped: all that the file may grow to */
    int fd;                         /* open for writing: to reserve what it grows by; for reading: -1 */
    struct extents_seen
        *seen; /* [RIALTO_PARTITIONS], of whoever opened the folder; NULL = each probe checks for itself */
};

struct folder {
    struct rialto_control *control;
    struct folder_table table[RIALTO_TABLE_COUNT];
    struct rialto_rules_header *rules;
    struct rialto_rule_row *rule; /* [RIALTO_RULES_MAX] */
    struct rialto_rings_header *rings;
    struct rialto_ring *ring; /* [rings->ring_count] */
};

/* folder_file_name - "cells", "terms", ...: without the layout's suffix. */
const char *folder_file_name(uint32_t file);

/* folder_file_path - "<folder>/<name>.v<RIALTO_LAYOUT><suffix>". False when that is too long. */
bool folder_file_path(const char *folder, uint32_t file, const char *suffix, char ret[FOLDER_PATH_MAX]);

/* folder_table_line_bytes - 64, 128 or 256. */
static inline uint32_t folder_table_line_bytes(uint32_t table)
{
    return table == RIALTO_TABLE_PRODUCTS ? (uint32_t)sizeof(struct rialto_product_line)
           : table == RIALTO_TABLE_ZONES  ? (uint32_t)sizeof(struct rialto_zone_line)
                                          : (uint32_t)sizeof(struct rialto_cell_line);
}
static_assert(sizeof(struct rialto_terms_line) == sizeof(struct rialto_cell_line) &&
                  sizeof(struct rialto_offer_line) == sizeof(struct rialto_cell_line),
              "three tables of one line size");

static inline uint32_t folder_table_words(uint32_t table)
{
    return folder_table_line_bytes(table) / 8;
}

/* folder_extent_count - extents of a segment that may be looked at; what they say is whole. */
static inline uint32_t folder_extent_count(const struct rialto_extents *extents)
{
    /* Acquire pairs with the owner's release in grow_publish_(): an extent that is counted is whole and reserved. */
    uint32_t count = atomic_load_explicit(&extents->count, memory_order_acquire);
    return count <= RIALTO_EXTENTS_MAX ? count : 0;
}

/* folder_capacity - lines of all extents of a segment. */
static inline uint64_t folder_capacity(const struct rialto_extents *extents)
{
    uint32_t count = folder_extent_count(extents);
    if (count == 0)
        return 0;
    const struct rialto_extent *last = &extents->extent[count - 1];
    return (uint64_t)atomic_load_explicit(&last->first, memory_order_relaxed) +
           atomic_load_explicit(&last->capacity, memory_order_relaxed);
}

/* folder_rings_bytes - of the rings file up to the last ring in use. */
static inline uint64_t folder_rings_bytes(uint32_t ring_count)
{
    return sizeof(struct rialto_rings_header) + (uint64_t)ring_count * sizeof(struct rialto_ring);
}

/* folder_map - map a file shared, on an address at which the kernel can use large pages if the file has any. NULL on
 * failure, with errno. */
void *folder_map(int fd, uint64_t bytes, bool writable);

/* folder_open - map all files. Returns as rialto_open(); on failure *ret is all zero. */
enum rialto_status folder_open(const char *path, bool writable, struct folder *ret);

/* folder_close - unmap what is mapped; a zeroed folder is allowed. */
void folder_close(struct folder *folder);

/* folder_status_of_errno - the answer for a failed open, mkdir, chmod, fallocate. */
enum rialto_status folder_status_of_errno(int error);
#endif
