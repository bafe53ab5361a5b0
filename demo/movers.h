/* movers.h - which prices moved most lately: follows the change rings and keeps the newest changes. */
#ifndef DEMO_MOVERS_H
#define DEMO_MOVERS_H

#include <rialto/quote.h>

#define MOVERS_KEPT 2048u /* newest changes looked at */

struct mover { /* one change of one product's price in one zone */
    char sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX], title[96], currency[4], reason[20];
    uint8_t decimals;
    int64_t before, after;
    int32_t reason_ppm; /* value of the factor that moved most */
};

struct movers {
    struct rialto_follower follower;
    uint64_t changes; /* seen in all */
    uint32_t next, count;
    struct mover kept[MOVERS_KEPT]; /* ring */
};

void movers_start(struct movers *movers, const struct rialto *prices);

/* movers_read - take what has changed since the last call. */
void movers_read(struct movers *movers, const struct rialto *prices);

/* movers_top - the largest changes among those kept, one per product, at most n. Returns how many. */
uint32_t movers_top(const struct movers *movers, uint32_t n, struct mover ret[]);
#endif
