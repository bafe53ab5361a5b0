/* movers.c - a ring of changes, and the largest moves among them. */
#include "demo/movers.h"

#include <math.h>
#include <string.h>

#define READ_MAX 20000u /* changes taken at once: the board must go on */

void movers_start(struct movers *movers, const struct rialto *prices)
{
    movers->next = movers->count = 0;
    rialto_follow(prices, &movers->follower);
}

static void keep(struct movers *movers, const struct rialto_change *change)
{
    struct mover *mover = &movers->kept[movers->next];
    *mover = (struct mover){ .decimals = change->decimals,
                             .before = change->entry.before,
                             .after = change->entry.after,
                             .reason_ppm = change->entry.reason_ppm };
    memcpy(mover->sku, change->sku, sizeof mover->sku);
    memcpy(mover->zone, change->zone, sizeof mover->zone);
    memcpy(mover->title, change->title, sizeof mover->title);
    memcpy(mover->currency, change->currency, sizeof mover->currency);
    memcpy(mover->reason, change->entry.reason, sizeof mover->reason);
    mover->reason[sizeof mover->reason - 1] = 0;
    movers->next = (movers->next + 1) % MOVERS_KEPT;
    movers->count += movers->count < MOVERS_KEPT;
}

void movers_read(struct movers *movers, const struct rialto *prices)
{
    struct rialto_change change;
    for (uint32_t i = 0; i < READ_MAX && rialto_next_change(prices, &movers->follower, &change); i++) {
        if (change.entry.table != RIALTO_TABLE_CELLS)
            continue;
        if (change.entry.before == change.entry.after)
            continue; /* bounds or flags changed, not the price */
        movers->changes++;
        if (change.entry.before > 0 && change.entry.after > 0 && change.sku[0] != 0)
            keep(movers, &change);
    }
}

static double move_of(const struct mover *mover)
{
    return fabs((double)mover->after / (double)mover->before - 1);
}

/* Puts a change into its place among the best; of one product only the largest stays. */
static uint32_t insert(struct mover best[], uint32_t count, uint32_t n, const struct mover *mover)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(best[i].sku, mover->sku) != 0)
            continue;
        if (move_of(&best[i]) >= move_of(mover))
            return count;
        memmove(&best[i], &best[i + 1], (count - i - 1) * sizeof best[0]);
        count--;
        break;
    }
    uint32_t place = count;
    while (place > 0 && move_of(&best[place - 1]) < move_of(mover))
        place--;
    if (place >= n)
        return count;
    count += count < n;
    memmove(&best[place + 1], &best[place], (count - place - 1) * sizeof best[0]);
    best[place] = *mover;
    return count;
}

uint32_t movers_top(const struct movers *movers, uint32_t n, struct mover ret[])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < movers->count; i++)
        count = insert(ret, count, n, &movers->kept[i]);
    return count;
}
