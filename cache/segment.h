/* segment.h - where a key lives in its segment, and a reader's probe for it.
 *
 * Bounded: RIALTO_PROBE_MAX lines, and PROBE_RETRIES starts anew when the segment has moved meanwhile. */
#ifndef CACHE_SEGMENT_H
#define CACHE_SEGMENT_H

#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/line.h"

#define PROBE_RETRIES 4

__extension__ typedef unsigned __int128 segment_wide;

static inline bool key_is_tombstone(struct rialto_key key)
{
    return (key.lo & key.hi) == UINT64_MAX;
}

/* Multiply-shift: lo as a fraction of 2^64, times the capacity. */
static inline uint64_t segment_home(struct rialto_key key, uint64_t capacity)
{
    return (uint64_t)(((segment_wide)key.lo * capacity) >> 64);
}

static inline uint64_t segment_next(uint64_t slot, uint64_t capacity)
{
    return slot + 1 == capacity ? 0 : slot + 1;
}

static inline uint64_t segment_probe_max(uint64_t capacity)
{
    return capacity < RIALTO_PROBE_MAX ? capacity : RIALTO_PROBE_MAX;
}

/* Small functions whose `words` is a constant where they are called: inlined, so that copying a line is straight code. */
#define SEGMENT_INLINE static inline __attribute__((always_inline))

struct probe { /* a reader's way to one key, from fetching to reading */
    const struct rialto_segment *segment;
    const _Atomic uint64_t *lines;
    struct rialto_key key;
    uint64_t capacity; /* 0 = the segment does not lie within the file */
    uint64_t home;
    uint32_t generation;
};

SEGMENT_INLINE void probe_aim(struct probe *p, const struct folder_table *table, uint32_t words)
{
    /* Acquire pairs with the owner's release when it publishes a segment: offset and capacity belong together, which
     * probe_read() checks by the generation afterwards. */
    p->generation = atomic_load_explicit(&p->segment->generation, memory_order_acquire);
    uint64_t offset = atomic_load_explicit(&p->segment->offset, memory_order_acquire);
    uint64_t capacity = atomic_load_explicit(&p->segment->capacity, memory_order_acquire);
    bool inside = capacity <= UINT32_MAX && offset <= table->bytes &&
                  capacity * words * sizeof(uint64_t) <= table->bytes - offset;
    p->lines = (const _Atomic uint64_t *)(const void *)(table->base + (inside ? offset : 0));
    p->capacity = inside ? capacity : 0;
    p->home = segment_home(p->key, p->capacity);
}

/* probe_start - where to look; begins to fetch the line. */
SEGMENT_INLINE void probe_start(struct probe *p, const struct folder_table *table, uint32_t words, uint32_t partition,
                                struct rialto_key key)
{
    p->segment = &table->segment[partition];
    p->key = key;
    probe_aim(p, table, words);
    for (uint32_t w = 0; w < words; w += 8)
        __builtin_prefetch((const void *)&p->lines[p->home * words + w]);
}

SEGMENT_INLINE enum rialto_status probe_along_(const struct probe *p, uint32_t words, uint64_t *ret)
{
    uint64_t slot = p->home;
    for (uint64_t looked = segment_probe_max(p->capacity); looked > 0; looked--) {
        const _Atomic uint64_t *word = &p->lines[slot * words];
        bool empty = false;
        if (line_key_is(word, p->key, &empty)) {
            if (!line_read(p->segment, word, slot, words, ret))
                return RIALTO_BUSY;
            if (ret[1] == p->key.lo && ret[2] == p->key.hi)
                return RIALTO_OK;
        } else if (empty) {
            return RIALTO_NOT_FOUND;
        }
        slot = segment_next(slot, p->capacity);
    }
    return RIALTO_NOT_FOUND;
}

/* probe_read - a whole version of the key's line; `table` and `words` are probe_start()'s. RIALTO_OK, NOT_FOUND, BUSY. */
SEGMENT_INLINE enum rialto_status probe_read(struct probe *p, const struct folder_table *table, uint32_t words,
                                             uint64_t *ret)
{
    for (int retry = 0; retry < PROBE_RETRIES; retry++) {
        enum rialto_status status = probe_along_(p, words, ret);
        /* The loads of the probe are acquire, so this one comes after them: had the segment moved, it would show. */
        uint32_t now = atomic_load_explicit(&p->segment->generation, memory_order_relaxed);
        if (now == p->generation && p->capacity != 0)
            return status;
        probe_aim(p, table, words);
    }
    return RIALTO_BUSY;
}
#endif
