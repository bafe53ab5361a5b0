/* block.c - a sorted queue of recorded signals. */
#include "demo/block.h"

#include "demo/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recorded *block_add(struct block *block, enum recorded_rank rank, int64_t at_ms, const char *source)
{
    block->item = grown(block->item, block->count, sizeof *block->item);
    struct recorded *item = &block->item[block->count++];
    *item = (struct recorded){ .rank = rank, .at_ms = at_ms };
    snprintf(item->source, sizeof item->source, "%s", source);
    return item;
}

/* qsort() may exchange equals; the id, which names the row, keeps them apart. */
static int by_time(const void *left, const void *right)
{
    const struct recorded *a = left, *b = right;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    size_t a_bytes = strlen(a->id), b_bytes = strlen(b->id);
    if (a_bytes != b_bytes)
        return a_bytes < b_bytes ? -1 : 1;
    return strcmp(a->id, b->id);
}

void block_sort(struct block *block)
{
    if (block->count > 1) /* an empty block has no array to hand over */
        qsort(block->item, block->count, sizeof *block->item, by_time);
}

bool block_take(struct block *block, struct recorded *ret)
{
    if (block->taken == block->count) {
        block->taken = block->count = 0;
        return false;
    }
    *ret = block->item[block->taken++];
    return true;
}

void block_fini(struct block *block)
{
    free(block->item);
    *block = (struct block){ 0 };
}
