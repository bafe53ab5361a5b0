/* price_cells.c - a worker's own code in this process: batches of signals go to batch_apply(), which fires timers, gathers inputs,
 * computes factors and guardrails, commits records, writes lines of shared memory and tells of them in the ring. What a worker does
 * beside that, on other threads (Redis), and the way of signals to it are not in these figures. */
#include "bench/price.h"
#include "cli/replica.h"
#include "service/log.h"
#include "service/temporary.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIGNALS_A_BATCH 4096u
#define ROUNDS_LEAST    4u /* two of each weather */

struct pricing {
    struct replica replica;
    const struct price_catalogue *catalogue;
    int64_t tick_ms;
    char models[64]; /* folder */
};

static bool write_model(struct pricing *p)
{
    char path[128];
    if (!temporary_folder("/tmp", "price", p->models))
        return false;
    (void)snprintf(path, sizeof path, "%s/bench.json", p->models);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    bool good = fputs(PRICE_MODEL, file) >= 0;
    return fclose(file) == 0 && good;
}

static bool open_world(struct pricing *p)
{
    struct config config;
    struct fault fault;
    uint32_t products = p->catalogue->products;
    config_defaults(&config);
    config.products_max = products + products / 8 + 64;
    config.cells_max = products * (p->catalogue->shops + 2) + 64 * 64;
    (void)snprintf(config.instance, sizeof config.instance, "bench%d", (int)getpid());
    return config_finish(&config, &fault) == RIALTO_OK && write_model(p) &&
           replica_open(&p->replica, &config, p->models);
}

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool add(struct pricing *p, const char *line)
{
    struct signal signal;
    struct fault fault;
    cJSON *object = cJSON_Parse(line);
    p->replica.rules.now_ms = p->tick_ms;
    bool good = object != NULL && signal_parse(object, &p->replica.rules, &signal, &fault) == REASON_none &&
                replica_add(&p->replica, &signal);
    cJSON_Delete(object);
    return good && (p->replica.count < SIGNALS_A_BATCH || replica_apply(&p->replica, p->tick_ms));
}

static bool fill(struct pricing *p)
{
    char line[PRICE_LINE_MAX];
    bool good = true;
    for (uint32_t i = 0; i < p->catalogue->products && good; i++) {
        good = price_product_line(i, line) > 0 && add(p, line) && price_competitor_line(i, line) > 0 && add(p, line);
        for (uint32_t shop = 0; shop < p->catalogue->shops && good; shop++)
            good = price_supply_line(i, shop, line) > 0 && add(p, line);
    }
    for (uint32_t i = 0; i < p->catalogue->products && good; i++)
        good = price_order_line(i, line) > 0 && add(p, line);
    return good && replica_apply(&p->replica, p->tick_ms) && p->replica.refused == 0;
}

/* Prices in the records that lines are made of, all of them. */
static uint64_t count_wrong(struct pricing *p, unsigned weather)
{
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < p->catalogue->products; i++) {
        for (uint32_t shop = 0; shop < p->catalogue->shops; shop++) {
            char sku[16], zone[16];
            (void)snprintf(sku, sizeof sku, "sku-%06u", i);
            (void)snprintf(zone, sizeof zone, "c1/s%u", shop);
            const struct cell_record *record = replica_price(&p->replica, sku, zone, NULL);
            wrong += record == NULL || strcmp(record->zone, zone) != 0 ||
                     !price_is(price_expected(i, shop, weather, true), record->published);
        }
    }
    return wrong;
}

/* One batch at the next second: every product is due, because demand fades. */
static bool apply_timed(struct pricing *p, double *seconds)
{
    double from = cpu_seconds();
    bool good = replica_apply(&p->replica, p->tick_ms);
    *seconds += cpu_seconds() - from;
    return good;
}

static bool measure(struct pricing *p, const struct bench_options *options, struct price_figures *ret)
{
    double changing = 0, calm = 0, cells = (double)p->catalogue->products * p->catalogue->shops;
    char line[PRICE_LINE_MAX];
    uint64_t rounds = 0;
    for (bool good = true; rounds < ROUNDS_LEAST || changing + calm < options->seconds; rounds++) {
        p->tick_ms += 1000;
        good = price_weather_line((unsigned)rounds & 1u, line) > 0 && add(p, line) && apply_timed(p, &changing);
        p->tick_ms += 1000;
        good = good && apply_timed(p, &calm);
        if (!good)
            return false;
        if (rounds == 1) /* fair to fair was no change; from here on all prices move */
            changing = calm = 0;
        if (rounds == 1 || rounds == 2)
            ret->wrong += count_wrong(p, (unsigned)rounds & 1u);
    }
    ret->cells_per_s = cells * (double)(rounds - 2) / changing;
    ret->cells_calm_per_s = cells * (double)(rounds - 2) / calm;
    return p->replica.refused == 0;
}

bool price_cells(const struct price_catalogue *catalogue, const struct bench_options *options,
                 struct price_figures *ret)
{
    static struct pricing p;
    memset(&p, 0, sizeof p);
    p.catalogue = catalogue;
    p.tick_ms = (int64_t)time(NULL) * 1000;
    log_setup("bench", "error", "text");
    bool good = open_world(&p) && fill(&p) && measure(&p, options, ret);
    if (!good)
        fprintf(stderr, "rialto-bench: the catalogue could not be priced\n");
    replica_close(&p.replica);
    temporary_remove(p.models);
    return good;
}
