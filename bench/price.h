/* price.h - how fast prices follow signals: the catalogue of the measurement, and its parts.
 *
 * `products` products of category "bench", each with a price of its own in the world and in each of `shops` shops c1/s0, c1/s1 and so
 * on, by a model of eight factors (demand, scarcity, heat, rain, competitor, promotion, a formula, a table of zones) with guardrails.
 * What the model makes of it can be worked out by hand: price_expected(). */
#ifndef BENCH_PRICE_H
#define BENCH_PRICE_H

#include "bench/bench.h"

#define PRICE_LINE_MAX   192u
#define PRICE_ZONE_CELLS 1000000u /* that a weather signal is about, unless the command line says how many */
#define PRICE_CELLS_MAX  8000000u
#define PRICE_SHOPS      50u

extern const char PRICE_MODEL[];         /* text of a model file */
extern const char PRICE_MODEL_CHANGED[]; /* the same with other factors for shops: every price there is another one */

struct price_catalogue {
    uint32_t products, shops;
};

struct price_figures {
    double cells_per_s;      /* every price changes: computed, guarded, committed, published */
    double cells_calm_per_s; /* time passes, and no price changes */
    double line_writes_per_s;
    double zone_ms;
    double change_over_ms; /* other models for all prices, as the worker counts it; they are ready beforehand */
    double change_ms;      /* from SIGHUP until the last line is of the new ones: they are checked and made ready, too */
    double freeze_ms;      /* one product is frozen, one that nobody knows, by name: as the worker counts it */
    double pin_ms;
    double signal_p50_us, signal_p99_us, pingpong_p50_us;
    uint64_t signals;
    uint64_t wrong; /* prices that are not what they should be */
};

/* Lines of JSON into ret; each returns its bytes, with a newline at the end. Weather 0 is fair, 1 is foul. */
size_t price_product_line(uint32_t product, char ret[PRICE_LINE_MAX]);
size_t price_competitor_line(uint32_t product, char ret[PRICE_LINE_MAX]);
size_t price_supply_line(uint32_t product, uint32_t shop, char ret[PRICE_LINE_MAX]);
size_t price_order_line(uint32_t product, char ret[PRICE_LINE_MAX]);
size_t price_weather_line(unsigned weather, char ret[PRICE_LINE_MAX]);

/* price_expected - the price in a shop, in minor units before rounding. `ordered`: somebody has just ordered the product. */
double price_expected(uint32_t product, uint32_t shop, unsigned weather, bool ordered);
/* price_expected_changed - by PRICE_MODEL_CHANGED; nobody has ordered. */
double price_expected_changed(uint32_t product, uint32_t shop, unsigned weather);
bool price_is(double expected, int64_t amount); /* rounded to the nearest, either way in the middle */

/* price_cells - a worker's own code in this process: cells per second of CPU time. price_service - a whole service: one weather signal
 * for all shops, and demand signals one by one, beside ping-pongs over a Unix socket. False after a message. */
bool price_cells(const struct price_catalogue *catalogue, const struct bench_options *options,
                 struct price_figures *ret);
bool price_service(const struct price_catalogue *catalogue, const struct bench_options *options,
                   struct price_figures *ret);
#endif
