/* grow.h - one more extent for a segment, beside readers that go on: every store of the growth protocol is in this file.
 *
 *   begin     grow_offset = 0 . grow_reserved = 0 . grow_lines = n                                       (G0)
 *             file_end moved on by compare and swap (other owners grow in the same file) . grow_offset   (G1)(G2)
 *   reserve   a slice in the file system . grow_reserved moved on                                        (G3)
 *   publish   the extent's words . count + 1 . grow_lines = 0                                            (G4)(G5)(G6)
 *
 * Owner      the segment's; only file_end and regions_lost are shared with the owners of other segments.
 * Readers    see the new extent with count, or not at all. Nothing that they have seen is moved, freed or written.
 * Crash      before (G0): nothing. Between (G0) and (G2): addresses of a region may be lost, never space, which is reserved
 *            from (G3) on; grow_repair() counts it and begins anew. From (G2) on: the successor goes on where it stopped.
 * No space   a refusal. The region stays the segment's, and the next try goes on with it.
 * GROW_STEP() is empty; tests stop the owner there. */
#ifndef CACHE_GROW_H
#define CACHE_GROW_H

#include "cache/folder.h"
#include "cache/reserve.h"

#ifndef GROW_STEP
#define GROW_STEP() ((void)0)
#endif

#define GROW_LINES_ROUND UINT64_C(64)   /* an extent's tags fill whole lines of the processor's cache */
#define GROW_ALIGN       UINT64_C(4096) /* of a region */

struct grow_place {
    const struct folder_table *table;
    struct rialto_extents *extents;
    struct rialto_segment *segment;
    uint32_t line_bytes;
};

static inline uint64_t grow_region_bytes(uint64_t lines, uint32_t line_bytes)
{
    uint64_t bytes = lines * (1 + (uint64_t)line_bytes);
    return (bytes + GROW_ALIGN - 1) / GROW_ALIGN * GROW_ALIGN;
}

/* grow_next_lines - lines of the next extent: as many as there are, so that few are ever needed; all that may be for the
 * last. 0 = the segment is as large as it may be. */
static inline uint64_t grow_next_lines(const struct grow_place *g)
{
    uint64_t now = folder_capacity(g->extents), most = g->table->header->capacity_max;
    uint32_t count = folder_extent_count(g->extents);
    if (count == 0 || count == RIALTO_EXTENTS_MAX || now >= most)
        return 0;
    return count == RIALTO_EXTENTS_MAX - 1 || now > most - now ? most - now : now;
}

static inline bool grow_pending(const struct grow_place *g)
{
    return atomic_load_explicit(&g->segment->grow_lines, memory_order_relaxed) != 0;
}

/* A region at the end of the file. 0 = there are no addresses left. */
static inline uint64_t grow_take_region_(const struct grow_place *g, uint64_t bytes)
{
    struct rialto_table_header *header = g->table->header;
    uint64_t at = atomic_load_explicit(&header->file_end, memory_order_relaxed);
    for (;;) {
        if (at % GROW_ALIGN != 0 || at > header->bytes_max || bytes > header->bytes_max - at)
            return 0;
        /* (G1) Relaxed: the word gives out numbers; what lies there is published by (G5). */
        if (atomic_compare_exchange_weak_explicit(&header->file_end, &at, at + bytes, memory_order_relaxed,
                                                  memory_order_relaxed))
            return at;
    }
}

/* grow_begin - choose the region. OK; FULL when the segment or the file may not grow any more. */
static inline enum rialto_status grow_begin(const struct grow_place *g)
{
    struct rialto_segment *s = g->segment;
    uint64_t lines = grow_next_lines(g);
    if (lines == 0)
        return RIALTO_FULL;
    GROW_STEP();
    atomic_store_explicit(&s->grow_offset, 0, memory_order_relaxed);
    GROW_STEP();
    atomic_store_explicit(&s->grow_reserved, 0, memory_order_relaxed);
    GROW_STEP();
    /* Release: a successor that finds lines finds no offset of an earlier growth with them. */
    atomic_store_explicit(&s->grow_lines, lines, memory_order_release); /* (G0) */
    GROW_STEP();
    uint64_t at = grow_take_region_(g, grow_region_bytes(lines, g->line_bytes));
    if (at == 0) {
        atomic_store_explicit(&s->grow_lines, 0, memory_order_relaxed);
        return RIALTO_FULL;
    }
    GROW_STEP();
    atomic_store_explicit(&s->grow_offset, at, memory_order_relaxed); /* (G2) */
    GROW_STEP();
    return RIALTO_OK;
}

static inline uint64_t grow_missing(const struct grow_place *g)
{
    uint64_t bytes =
        grow_region_bytes(atomic_load_explicit(&g->segment->grow_lines, memory_order_relaxed), g->line_bytes);
    uint64_t done = atomic_load_explicit(&g->segment->grow_reserved, memory_order_relaxed);
    return done < bytes ? bytes - done : 0;
}

/* grow_reserve - the next bytes of the region, at most so many. OK; NO_SPACE and others, with errno. */
static inline enum rialto_status grow_reserve(const struct grow_place *g, uint64_t bytes_most)
{
    struct rialto_segment *s = g->segment;
    uint64_t done = atomic_load_explicit(&s->grow_reserved, memory_order_relaxed), missing = grow_missing(g);
    uint64_t bytes = missing < bytes_most ? missing : bytes_most;
    if (bytes == 0)
        return RIALTO_OK;
    uint64_t from = atomic_load_explicit(&s->grow_offset, memory_order_relaxed) + done;
    enum rialto_status status = reserve_large(g->table->fd, g->table->base, from, bytes, g->table->bytes);
    if (status != RIALTO_OK)
        return status;
    GROW_STEP();
    atomic_store_explicit(&s->grow_reserved, done + bytes, memory_order_relaxed); /* (G3) */
    GROW_STEP();
    return RIALTO_OK;
}

/* grow_publish - when nothing is missing: tags first, then the lines, all of them zero, which means empty. */
static inline void grow_publish(const struct grow_place *g)
{
    struct rialto_segment *s = g->segment;
    uint32_t count = folder_extent_count(g->extents);
    struct rialto_extent *extent = &g->extents->extent[count];
    uint64_t lines = atomic_load_explicit(&s->grow_lines, memory_order_relaxed);
    uint64_t at = atomic_load_explicit(&s->grow_offset, memory_order_relaxed);
    GROW_STEP();
    atomic_store_explicit(&extent->tags, at, memory_order_relaxed); /* (G4) */
    GROW_STEP();
    atomic_store_explicit(&extent->lines, at + lines, memory_order_relaxed); /* (G4) */
    GROW_STEP();
    atomic_store_explicit(&extent->first, (uint32_t)folder_capacity(g->extents), memory_order_relaxed); /* (G4) */
    GROW_STEP();
    atomic_store_explicit(&extent->capacity, (uint32_t)lines, memory_order_relaxed); /* (G4) */
    GROW_STEP();
    /* (G5) Release pairs with folder_extent_count(): a reader that counts the extent sees its words. */
    atomic_store_explicit(&g->extents->count, count + 1, memory_order_release);
    GROW_STEP();
    atomic_store_explicit(&s->grow_lines, 0, memory_order_release); /* (G6) */
    GROW_STEP();
}

/* Could an owner of this segment have begun this? Otherwise the words are damaged, and what they name may be somebody else's. */
static inline bool grow_is_ours_(const struct grow_place *g, uint64_t at)
{
    const struct rialto_table_header *header = g->table->header;
    uint64_t lines = atomic_load_explicit(&g->segment->grow_lines, memory_order_relaxed);
    uint64_t end = atomic_load_explicit(&header->file_end, memory_order_relaxed);
    if (lines != grow_next_lines(g) || at % GROW_ALIGN != 0 || at < header->file_bytes || end > g->table->bytes || at > end)
        return false;
    uint64_t bytes = grow_region_bytes(lines, g->line_bytes);
    return bytes <= end - at && atomic_load_explicit(&g->segment->grow_reserved, memory_order_relaxed) <= bytes;
}

/* grow_repair - after the death of the owner: what it had begun is gone on with by the next grow_reserve(), or forgotten.
 * Harmless to repeat, and to die in. */
static inline void grow_repair(const struct grow_place *g)
{
    struct rialto_segment *s = g->segment;
    if (!grow_pending(g))
        return;
    uint64_t at = atomic_load_explicit(&s->grow_offset, memory_order_relaxed);
    uint32_t count = folder_extent_count(g->extents);
    bool published =
        count > 0 && at != 0 && atomic_load_explicit(&g->extents->extent[count - 1].tags, memory_order_relaxed) == at;
    if (at != 0 && !published && grow_is_ours_(g, at))
        return;
    if (!published)
        (void)atomic_fetch_add_explicit(&g->table->header->regions_lost, 1, memory_order_relaxed);
    GROW_STEP();
    atomic_store_explicit(&s->grow_lines, 0, memory_order_release);
}
#endif
