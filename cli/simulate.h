/* simulate.h - what a simulation found, for the pages that show it: cli/simulate_report.c. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include "cli/cli.h"
#include "pricing/model.h"

#define SIMULATE_TALLIES_MAX 256u  /* categories, and zones; further ones are counted together */
#define SIMULATE_POINTS_MAX  1024u /* of the curve over time */
#define SIMULATE_LISTED      10u   /* winners, losers, moves */

struct tally { /* of one category or zone and currency; pct: of the other side's price, at every tick */
    char name[RIALTO_ID_MAX];
    char currency[4];
    uint8_t decimals;
    uint64_t looks, up, down;
    double sum_pct, least_pct, most_pct;
    double units, turnover[2]; /* major units of the currency: [0] against, [1] the models that are tried */
};

struct simulation {
    const char *models, *against;
    const char *const *file; /* of signals, in the order in which they were played; none: the bundled data */
    uint32_t file_count;
    uint64_t signals, ticks, orders, unpriced; /* unpriced: orders without a price on either side */
    int64_t begin_ms, end_ms;
    uint64_t looks, up, down, missing[2]; /* missing: looks at which only the other side had a price */
    double sum_pct, least_pct, most_pct;
    uint64_t changes[2], guard[2][GUARD_COUNT], refused[2];
    char first_refused[512]; /* the first signal that is none: where, and why; "" = there was none */
    struct tally category[SIMULATE_TALLIES_MAX + 1], zone[SIMULATE_TALLIES_MAX + 1], total[SIMULATE_TALLIES_MAX + 1];
    uint32_t category_count, zone_count, total_count;
    struct tally *product; /* by gain, the largest first; name is the sku */
    uint32_t product_count;
    struct {
        int64_t at_ms;
        double pct; /* mean of all prices */
    } point[SIMULATE_POINTS_MAX];
    uint32_t point_count;
    const char *failed[5]; /* gates that were crossed */
    uint32_t failed_count;
};


void simulate_text(const struct simulation *s);
void simulate_json(const struct simulation *s);
bool simulate_html(const struct simulation *s, const char *path); /* false after a message */
#endif
