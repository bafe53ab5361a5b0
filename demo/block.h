/* block.h - the signals of one stretch of time, put into order before they go out.
 *
 * A reader fills a block with everything that its rows say about one hour (or minute), sorts it, and hands it out. As
 * blocks follow each other in time, so does everything in them. */
#ifndef DEMO_BLOCK_H
#define DEMO_BLOCK_H

#include "demo/recording.h"

struct block {
    struct recorded *item;
    uint32_t count;
    uint32_t taken;
};

/* block_add - a new element, empty but for rank, time and source. It stays where it is until the next block_add(). */
struct recorded *block_add(struct block *block, enum recorded_rank rank, int64_t at_ms, const char *source);

/* block_sort - by time, then rank, then the order in which they were added. */
void block_sort(struct block *block);

/* block_take - the next one; false, and the block is empty again, when all are taken. */
bool block_take(struct block *block, struct recorded *ret);
void block_fini(struct block *block);
#endif
