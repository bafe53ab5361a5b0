/* price.c - how fast prices follow signals: what is priced, and what came out. */
#include "bench/price.h"

#include "bench/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define AHEAD          16u
#define ZONE_GOAL_MS   150.0
#define CHANGE_GOAL_MS 1000.0
#define CELLS_GOAL     1e7
#define SIGNAL_GOAL    3.0 /* times two ping-pongs */
#define LIST_FIRST     2000u
#define LINES_PART     (2.0 / 3)
#define WRITES_SECONDS 0.5

/* A model, and what its table of zones says of two shops and of all others. */
#define MODEL_TEXT(first, second, others)                                                                              \
    "{\"model\":\"bench\",\"version\":\"1\",\"scope\":{\"categories\":[\"bench\"],\"currencies\":[\"EUR\"]},"          \
    "\"zone_levels\":2,\"stale_limit\":\"1h\",\"competitors\":true,"                                                   \
    "\"demand\":{\"half_life\":\"1d\",\"slow_half_life\":\"14d\",\"prior_events\":5,\"min_events\":0.5},"              \
    "\"factors\":["                                                                                                    \
    "{\"name\":\"demand\",\"input\":\"demand_pressure\",\"steps\":[[0,0.96],[0.5,0.98],[0.9,1],[1.001,1.04],[50,1.08]]}"\
    ","                                                                                                                \
    "{\"name\":\"scarcity\",\"input\":\"available_ratio\",\"curve\":[[0,1.05],[0.25,1.03],[0.5,1]]},"                  \
    "{\"name\":\"heat\",\"input\":\"temperature_c\",\"curve\":[[-5,1.02],[5,1],[28,1],[34,0.94]]},"                    \
    "{\"name\":\"rain\",\"input\":\"precipitation_mm_h\",\"steps\":[[0,1],[0.6,1.01],[1.5,1.02]]},"                    \
    "{\"name\":\"competitor\",\"input\":\"competitor_ratio\",\"curve\":[[0.8,0.95],[1,1],[1.25,1.02]]},"               \
    "{\"name\":\"promotion\",\"input\":\"promotion\",\"curve\":[[0.1,0.1],[1,1]]},"                                    \
    "{\"name\":\"storm\",\"expression\":\"1 + clamp(0.005 * (wind_m_s - 8), 0, 0.03)\"},"                              \
    "{\"name\":\"shop\",\"zones\":{\"c1/s0\":" first ",\"c1/s1\":" second ",\"c1\":" others "}}],"                     \
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5,\"margin\":0.05,\"largest_step\":{\"of\":0.3,\"per\":\"0s\"},"      \
    "\"dead_band\":{\"of\":0.0005,\"settle\":\"1m\"}},\"rounding\":{\"step\":1}}\n"
const char PRICE_MODEL[] = MODEL_TEXT("1.02", "0.99", "1.01");
const char PRICE_MODEL_CHANGED[] = MODEL_TEXT("1.04", "1.01", "1.03");

static double place_factor(uint32_t shop, bool changed)
{
    double factor = shop == 0 ? 1.02 : shop == 1 ? 0.99 : 1.01;
    return changed ? factor + 0.02 : factor;
}

/* ---- the catalogue ---------------------------------------------------------------------------------------------- */

static uint32_t list_of(uint32_t product)
{
    return LIST_FIRST + product % 9973;
}

static uint32_t available_of(uint32_t product, uint32_t shop)
{
    return (product * 7 + shop * 13) % 100;
}

static size_t written(int bytes)
{
    return bytes > 0 && bytes < (int)PRICE_LINE_MAX ? (size_t)bytes : 0;
}

size_t price_product_line(uint32_t product, char ret[PRICE_LINE_MAX])
{
    return written(snprintf(ret, PRICE_LINE_MAX,
                            "{\"type\":\"product\",\"sku\":\"sku-%06u\",\"category\":\"bench\",\"list\":%u,"
                            "\"cost\":%u,\"currency\":\"EUR\",\"promotion\":0.9}\n",
                            product, list_of(product), list_of(product) / 2));
}

size_t price_competitor_line(uint32_t product, char ret[PRICE_LINE_MAX])
{
    return written(snprintf(ret, PRICE_LINE_MAX,
                            "{\"type\":\"competitor\",\"sku\":\"sku-%06u\",\"competitor\":\"other\",\"amount\":%u,"
                            "\"currency\":\"EUR\"}\n",
                            product, list_of(product) * 9 / 10));
}

size_t price_supply_line(uint32_t product, uint32_t shop, char ret[PRICE_LINE_MAX])
{
    return written(snprintf(ret, PRICE_LINE_MAX,
                            "{\"type\":\"supply\",\"sku\":\"sku-%06u\",\"zone\":\"c1/s%u\",\"available\":%u,"
                            "\"capacity\":100}\n",
                            product, shop, available_of(product, shop)));
}

size_t price_order_line(uint32_t product, char ret[PRICE_LINE_MAX])
{
    return written(
        snprintf(ret, PRICE_LINE_MAX, "{\"type\":\"demand\",\"sku\":\"sku-%06u\",\"event\":\"order\"}\n", product));
}

static const struct weather {
    int temperature, rain, wind;
} WEATHER[2] = { { 18, 0, 5 }, { 34, 2, 14 } };

size_t price_weather_line(unsigned weather, char ret[PRICE_LINE_MAX])
{
    const struct weather *w = &WEATHER[weather & 1u];
    return written(snprintf(ret, PRICE_LINE_MAX,
                            "{\"type\":\"weather\",\"zone\":\"c1\",\"temperature_c\":%d,\"precipitation_mm_h\":%d,"
                            "\"wind_m_s\":%d}\n",
                            w->temperature, w->rain, w->wind));
}

/* By hand, in doubles: what each factor of PRICE_MODEL says. */
double price_expected(uint32_t product, uint32_t shop, unsigned weather, bool ordered)
{
    double list = list_of(product), left = available_of(product, shop) / 100.0;
    double scarcity = left < 0.25 ? 1.05 - 0.02 * left / 0.25 : left < 0.5 ? 1.03 - 0.03 * (left - 0.25) / 0.25 : 1;
    double rival = floor(list * 9 / 10) / list;
    double competitor = 0.95 + 0.05 * (rival - 0.8) / 0.2;
    double sky = weather & 1u ? 0.94 * 1.02 * 1.03 : 1;
    return list * (ordered ? 1.04 : 1) * scarcity * sky * competitor * 0.9 * place_factor(shop, false);
}

double price_expected_changed(uint32_t product, uint32_t shop, unsigned weather)
{
    return price_expected(product, shop, weather, false) / place_factor(shop, false) * place_factor(shop, true);
}

bool price_is(double expected, int64_t amount)
{
    return fabs(expected - (double)amount) <= 0.51; /* inputs are in millionths: a price of 100 may be off by 0.0001 */
}

/* ---- what came out ---------------------------------------------------------------------------------------------------- */

static double cells_goal(const struct price_figures *f)
{
    return fmin(CELLS_GOAL, LINES_PART * f->line_writes_per_s);
}

static const char *met(bool yes)
{
    return yes ? "" : "   (missed)";
}

static void print_table(const struct price_catalogue *catalogue, const struct price_figures *f)
{
    double pingpongs = 2 * f->pingpong_p50_us, goal = cells_goal(f);
    printf("%u products in %u shops, a model of eight factors\n", catalogue->products, catalogue->shops);
    printf("%-46s %12.0f cells/s   goal %.0f%s\n", "repriced by one core, every price changes", f->cells_per_s, goal,
           met(f->cells_per_s >= goal));
    printf("%-46s %12.0f cells/s\n", "  no price changes", f->cells_calm_per_s);
    printf("%-46s %12.0f lines/s\n", "random line writes of the memory", f->line_writes_per_s);
    printf("%-46s %12.1f ms        goal %.0f%s\n", "one weather signal, visible in every shop", f->zone_ms,
           ZONE_GOAL_MS, met(f->zone_ms <= ZONE_GOAL_MS));
    printf("%-46s %12.1f ms        goal %.0f%s\n", "the same prices by other models", f->change_over_ms, CHANGE_GOAL_MS,
           met(f->change_over_ms <= CHANGE_GOAL_MS));
    printf("%-46s %12.1f ms\n", "  from the order to apply them", f->change_ms);
    printf("%-46s %12.1f ms\n", "one product frozen by name", f->freeze_ms);
    printf("%-46s %12.1f ms\n", "models pinned", f->pin_ms);
    printf("%-46s %12.1f us        goal %.1f%s\n", "one demand signal to its visible price, p50", f->signal_p50_us,
           SIGNAL_GOAL * pingpongs, met(f->signal_p50_us <= SIGNAL_GOAL * pingpongs));
    printf("%-46s %12.1f us\n", "  p99", f->signal_p99_us);
    printf("%-46s %12.1f us\n", "one ping-pong over a Unix socket, p50", f->pingpong_p50_us);
    printf("%" PRIu64 " demand signals, %" PRIu64 " wrong prices\n", f->signals, f->wrong);
}

static void print_json(const struct price_catalogue *catalogue, const struct price_figures *f)
{
    printf("{\"bench\":\"price\",\"zone_cells\":%" PRIu64 ",\"cells_per_s\":%.0f,\"cells_calm_per_s\":%.0f,"
           "\"line_writes_per_s\":%.0f,\"zone_1m_ms\":%.1f,\"change_over_1m_ms\":%.1f,\"change_1m_ms\":%.1f,\"freeze_"
           "1m_ms\":%.1f,\"pin_1m_ms\":%.1f,\"signal_to_price_p50_us\":%.1f,"
           "\"signal_to_price_p99_us\":%.1f,\"unix_pingpong_p50_us\":%.1f,\"signals\":%" PRIu64 ",\"wrong\":%" PRIu64
           "}\n",
           (uint64_t)catalogue->products * catalogue->shops, f->cells_per_s, f->cells_calm_per_s, f->line_writes_per_s,
           f->zone_ms, f->change_over_ms, f->change_ms, f->freeze_ms, f->pin_ms, f->signal_p50_us, f->signal_p99_us,
           f->pingpong_p50_us, f->signals, f->wrong);
}

/* As many lines as the zone has cells, in large pages where the kernel gives them. */
static bool measure_memory(const struct price_catalogue *catalogue, const struct bench_options *options,
                           struct price_figures *figures)
{
    struct scratch scratch;
    if (!scratch_setup(&scratch, (uint64_t)catalogue->products * catalogue->shops)) {
        fprintf(stderr, "rialto-bench: no memory to write to\n");
        return false;
    }
    figures->line_writes_per_s = scratch_write_rate(&scratch, fmin(WRITES_SECONDS, options->seconds), AHEAD);
    scratch_teardown(&scratch);
    return true;
}

int bench_price(const struct bench_options *options)
{
    uint64_t most = options->cells_given ? PRICE_CELLS_MAX : PRICE_ZONE_CELLS;
    uint64_t cells = options->cells < most ? options->cells : most;
    const struct price_catalogue catalogue = { .products = (uint32_t)((cells + PRICE_SHOPS - 1) / PRICE_SHOPS),
                                               .shops = PRICE_SHOPS };
    struct price_figures figures = { .wrong = 0 };
    if (!measure_memory(&catalogue, options, &figures) || !price_cells(&catalogue, options, &figures) ||
        !price_service(&catalogue, options, &figures))
        return 1;
    if (options->json)
        print_json(&catalogue, &figures);
    else
        print_table(&catalogue, &figures);
    return figures.wrong == 0 ? 0 : 1;
}
