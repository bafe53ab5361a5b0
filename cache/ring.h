/* ring.h - the change ring: every atomic access to a ring is in this file.
 *
 *   writer     entry.seq = 0 . words 1..7 . entry.seq = position + 1 . head = position + 1
 *   follower   head . entry.seq is position + 1 . copy . entry.seq unchanged
 *
 * Writer     one worker per ring; it never waits for followers.
 * Overrun    a follower that is more than a ring behind sees another seq than it wants, and counts what it missed.
 * Crash      head has not moved: the successor writes the same entry again. */
#ifndef CACHE_RING_H
#define CACHE_RING_H

#include "cache/line.h"

#ifndef RING_STEP
#define RING_STEP() ((void)0) /* tests stop the writer here: ahead of each store */
#endif

#define RING_WORDS 8u
static_assert(sizeof(struct rialto_ring_entry) == RING_WORDS * 8, "an entry is eight words");

union ring_image {
    uint64_t word[RING_WORDS];
    struct rialto_ring_entry entry;
};

static inline uint64_t ring_head(const struct rialto_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire); /* pairs with (D): the entries below are whole */
}

/* `entry`: a struct rialto_ring_entry, whose seq is ignored. */
static inline void ring_put(struct rialto_ring *ring, const void *entry)
{
    uint64_t position = atomic_load_explicit(&ring->head, memory_order_relaxed);
    _Atomic uint64_t *word = ring->entry[position % RIALTO_RING_ENTRIES];

    RING_STEP();
    atomic_store_explicit(&word[0], 0, memory_order_relaxed); /* (A) */
    LINE_UNROLL
    for (uint32_t i = 1; i < RING_WORDS; i++) {
        RING_STEP();
        atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release); /* (B) brings (A) with it */
    }
    RING_STEP();
    atomic_store_explicit(&word[0], position + 1, memory_order_release); /* (C) */
    RING_STEP();
    atomic_store_explicit(&ring->head, position + 1, memory_order_release); /* (D) */
}

/* ring_get - the entry at a position below head. False: it has been overwritten, or is being. */
static inline bool ring_get(const struct rialto_ring *ring, uint64_t position, union ring_image *ret)
{
    const _Atomic uint64_t *word = ring->entry[position % RIALTO_RING_ENTRIES];

    /* Acquire pairs with (C): the entry's words are visible. */
    ret->word[0] = atomic_load_explicit(&word[0], memory_order_acquire);
    if (ret->word[0] != position + 1)
        return false;
    /* Acquire pairs with (B): one word of the next lap would bring its (A), and the second look would differ. */
    for (uint32_t i = 1; i < RING_WORDS; i++)
        ret->word[i] = atomic_load_explicit(&word[i], memory_order_acquire);
    return atomic_load_explicit(&word[0], memory_order_relaxed) == position + 1;
}
#endif
