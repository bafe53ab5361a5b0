#include "service/past.h"

#include "cache/fetch.h"
#include "cache/keys.h"
#include "service/metrics.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct change {
    struct rialto_key owner; /* zeros: wiped */
    uint64_t before;         /* number of the change before it in its chain, + 1; 0 = none */
    int64_t until_us;
    union {
        struct { /* in place of a sequence, which nobody looks back at */
            uint8_t table;
            bool is;
        };
        unsigned char line[64]; /* with its key, also where there was none */
    };
};
#define LINE_KEY 8u
_Static_assert(sizeof(struct change) == 96, "a line and a half");
_Static_assert(offsetof(struct rialto_cell_line, key) == LINE_KEY && offsetof(struct rialto_terms_line, key) == LINE_KEY &&
                   offsetof(struct rialto_offer_line, key) == LINE_KEY,
               "where each line has its key");
_Static_assert(offsetof(struct rialto_cell_line, seq) == 0 && offsetof(struct rialto_terms_line, seq) == 0 &&
                   offsetof(struct rialto_offer_line, seq) == 0 && sizeof(((struct rialto_cell_line *)0)->seq) == 4,
               "and its sequence");

struct past {
    struct change *ring;
    uint64_t *newest; /* per chain: number of its newest change + 1. A chain is of all owners whose keys end alike */
    uint64_t count;   /* ever */
    uint32_t room, mask;
    uint32_t next; /* place of the next one: there is one more than are kept, so that it may be filled before it is noted */
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
    *past = (struct past){ .ring = calloc((size_t)changes + 1, sizeof *past->ring), .newest = calloc(chains, sizeof *past->newest),
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
    return number == 0 || number + past->room <= past->count ? NULL : &past->ring[(number - 1) % ((uint64_t)past->room + 1)];
}

/* The oldest has no place any more. */
static void let_go(struct past *past, struct change *oldest, int64_t now_us)
{
    if (oldest->until_us > past->horizon_us) {
        past->horizon_us = oldest->until_us;
        if (now_us - oldest->until_us < past->keep_us)
            metric_add(METRIC_lock_history_lost_total, 1);
    }
    if (oldest->table != RIALTO_TABLE_CELLS) /* somebody's: nothing of them stays behind */
        memset(oldest, 0, sizeof *oldest);
}

unsigned char *past_place(struct past *past)
{
    return past->ring[past->next].line;
}

void past_noted(struct past *past, int64_t now_us, enum rialto_table table, struct rialto_key owner,
                struct rialto_key key, bool was)
{
    struct change *change = &past->ring[past->next];
    uint64_t *newest = &past->newest[owner.lo & past->mask];
    past->next = past->next == past->room ? 0 : past->next + 1;
    if (past->count >= past->room)
        let_go(past, &past->ring[past->next], now_us);
    change->owner = owner;
    change->before = *newest;
    change->until_us = now_us;
    memcpy(change->line + LINE_KEY, &key, sizeof key);
    change->table = (uint8_t)table;
    change->is = was;
    *newest = ++past->count;
}

void past_note(struct past *past, int64_t now_us, enum rialto_table table, struct rialto_key owner,
               struct rialto_key key, const void *line)
{
    unsigned char *place = past_place(past);
    if (line != NULL)
        memcpy(place, line, sizeof past->ring->line);
    else
        memset(place, 0, sizeof past->ring->line);
    past_noted(past, now_us, table, owner, key, line != NULL);
}

void past_fetch(const struct past *past, struct rialto_key owner)
{
    __builtin_prefetch(&past->newest[owner.lo & past->mask], 1);
    FETCH_STAYS();
}

static bool is_of(const struct change *change, enum rialto_table table, struct rialto_key owner, struct rialto_key key)
{
    return change->table == (uint8_t)table && key_equal(change->owner, owner) && memcmp(change->line + LINE_KEY, &key, sizeof key) == 0;
}

static struct past_line version(const struct change *change)
{
    struct past_line line = { .until_us = change->until_us, .is = change->is };
    memcpy(line.bytes, change->line, sizeof line.bytes);
    memset(line.bytes, 0, sizeof line.cell.seq);
    return line;
}

size_t past_of(const struct past *past, int64_t since_us, enum rialto_table table, struct rialto_key owner,
               struct rialto_key key, size_t n, struct past_line ret[])
{
    size_t count = 0;
    const struct change *change = change_at(past, past->newest[owner.lo & past->mask]);
    for (; change != NULL && change->until_us > since_us && count < n; change = change_at(past, change->before))
        if (is_of(change, table, owner, key))
            ret[count++] = version(change);
    return count;
}

void past_wipe(struct past *past, struct rialto_key owner)
{
    struct change *change = change_at(past, past->newest[owner.lo & past->mask]);
    for (; change != NULL; change = change_at(past, change->before)) {
        if (!key_equal(change->owner, owner))
            continue;
        memset(change->line, 0, sizeof change->line);
        change->owner = (struct rialto_key){ 0, 0 };
    }
}

int64_t past_horizon_us(const struct past *past)
{
    return past->horizon_us;
}
