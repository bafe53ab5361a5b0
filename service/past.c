#include "service/past.h"

#include "cache/keys.h"
#include "service/metrics.h"

#include <stdlib.h>
#include <string.h>

struct change {
    struct rialto_key owner, key; /* owner of zeros: wiped */
    uint64_t before;              /* number of the change before it in its chain, + 1; 0 = none */
    enum rialto_table table;
    struct past_line line;
};

struct past {
    struct change *ring;
    uint64_t *newest; /* per chain: number of its newest change + 1. A chain is of all owners whose keys end alike */
    uint64_t count;   /* ever */
    uint32_t room, mask;
    int64_t keep_us, horizon_us;
};

struct past *past_create(uint32_t changes, int64_t keep_us, int64_t now_us)
{
    struct past *past = calloc(1, sizeof *past);
    uint32_t chains = 1024;
    while (chains < changes)
        chains *= 2;
    if (past == NULL)
        return NULL;
    *past = (struct past){ .ring = calloc(changes, sizeof *past->ring), .newest = calloc(chains, sizeof *past->newest),
                           .room = changes, .mask = chains - 1, .keep_us = keep_us, .horizon_us = now_us };
    if (past->ring != NULL && past->newest != NULL)
        return past;
    past_destroy(past);
    return NULL;
}

void past_destroy(struct past *past)
{
    if (past == NULL)
        return;
    free(past->ring);
    free(past->newest);
    free(past);
}

/* The change with this number + 1, or NULL when it was overwritten or is none. Chains lead to ever older ones, so that the first
 * that is gone ends them. */
static struct change *change_at(const struct past *past, uint64_t number)
{
    return number == 0 || number + past->room <= past->count ? NULL : &past->ring[(number - 1) % past->room];
}

void past_note(struct past *past, int64_t now_us, enum rialto_table table, struct rialto_key owner, struct rialto_key key,
               const void *line)
{
    struct change *change = &past->ring[past->count % past->room];
    uint64_t *newest = &past->newest[owner.lo & past->mask];
    if (past->count >= past->room && change->line.until_us > past->horizon_us) {
        past->horizon_us = change->line.until_us;
        if (now_us - change->line.until_us < past->keep_us)
            metric_add(METRIC_lock_history_lost_total, 1);
    }
    change->owner = owner;
    change->key = key;
    change->before = *newest;
    change->table = table;
    change->line.until_us = now_us;
    change->line.is = line != NULL;
    if (line != NULL)
        memcpy(change->line.bytes, line, sizeof change->line.bytes);
    else
        memset(change->line.bytes, 0, sizeof change->line.bytes);
    *newest = ++past->count;
}

void past_fetch(const struct past *past, struct rialto_key owner)
{
    __builtin_prefetch(&past->newest[owner.lo & past->mask], 1);
}

size_t past_of(const struct past *past, int64_t since_us, enum rialto_table table, struct rialto_key owner,
               struct rialto_key key, size_t n, struct past_line ret[])
{
    size_t count = 0;
    const struct change *change = change_at(past, past->newest[owner.lo & past->mask]);
    for (; change != NULL && change->line.until_us > since_us && count < n; change = change_at(past, change->before))
        if (change->table == table && key_equal(change->owner, owner) && key_equal(change->key, key))
            ret[count++] = change->line;
    return count;
}

void past_wipe(struct past *past, struct rialto_key owner)
{
    struct change *change = change_at(past, past->newest[owner.lo & past->mask]);
    for (; change != NULL; change = change_at(past, change->before)) {
        if (!key_equal(change->owner, owner))
            continue;
        memset(&change->line.bytes, 0, sizeof change->line.bytes);
        change->owner = change->key = (struct rialto_key){ 0, 0 };
    }
}

int64_t past_horizon_us(const struct past *past)
{
    return past->horizon_us;
}
