/* reader.c - librialto: open a cache folder, and look at single lines. Quotes are in page.c, changes in follow.c.
 *
 * A handle is written by rialto_open() alone; after that any number of threads may use it. */
#include "cache/reader.h"

#include "cache/segment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum rialto_status rialto_open(const char *folder, struct rialto **ret)
{
    if (ret == NULL)
        return RIALTO_BAD_INPUT;
    *ret = NULL;
    const char *path = folder != NULL ? folder : getenv("RIALTO_CACHE");
    if (path == NULL || path[0] == '\0')
        path = RIALTO_CACHE_FOLDER;

    struct rialto *r = calloc(1, sizeof *r);
    if (r == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = folder_open(path, false, &r->folder);
    if (status != RIALTO_OK) {
        free(r);
        return status;
    }
    memcpy(r->secret, r->folder.control->secret, sizeof r->secret);
    r->world = key_of_world(r->secret);
    *ret = r;
    return RIALTO_OK;
}

void rialto_close(struct rialto *r)
{
    if (r == NULL)
        return;
    folder_close(&r->folder);
    free(r);
}

int64_t reader_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t rialto_now_ms(const struct rialto *r)
{
    return reader_mono_ms() + atomic_load_explicit(&r->folder.control->clock_offset_ms, memory_order_relaxed);
}

const struct rialto_rule_row *reader_rule(const struct rialto *r, uint16_t rule)
{
    /* Acquire pairs with rule_append(): a row that count covers is whole. */
    uint32_t count = atomic_load_explicit(&r->folder.rules->count, memory_order_acquire);
    return rule < count && rule < RIALTO_RULES_MAX ? &r->folder.rule[rule] : NULL;
}

enum rialto_status rialto_rule(const struct rialto *r, uint16_t rule, struct rialto_rule_row *ret)
{
    const struct rialto_rule_row *row = reader_rule(r, rule);
    if (row == NULL)
        return RIALTO_NOT_FOUND;
    *ret = *row;
    return RIALTO_OK;
}

enum rialto_status reader_line_at(const struct rialto *r, enum rialto_table table, uint32_t partition, uint64_t slot,
                                  uint64_t *ret)
{
    if (partition >= RIALTO_PARTITIONS)
        return RIALTO_BAD_INPUT;
    const struct folder_table *t = &r->folder.table[table];
    uint32_t words = folder_table_words(table);
    struct probe p = { .segment = &t->segment[partition] };
    for (int retry = 0; retry < PROBE_RETRIES; retry++) {
        probe_aim(&p, t, words);
        if (slot >= p.capacity)
            return RIALTO_BAD_INPUT;
        if (!line_read(p.segment, &p.lines[slot * words], slot, words, ret))
            return RIALTO_BUSY;
        if (atomic_load_explicit(&p.segment->generation, memory_order_relaxed) != p.generation)
            continue;
        struct rialto_key key = { .lo = ret[1], .hi = ret[2] };
        return key_is_none(key) || key_is_tombstone(key) ? RIALTO_NOT_FOUND : RIALTO_OK;
    }
    return RIALTO_BUSY;
}
