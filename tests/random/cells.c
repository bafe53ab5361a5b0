/* cells.c - how the cells of a product hang together, kept up cell by cell, against linking all of them anew.
 *
 *   random zones (with declared parents, circles too), prices, orders, stock --batch_apply()--> the nearest cell around each, its model
 *                                                              cells_relink() of everything --> must be the same
 *
 *   cells [SECONDS]      RIALTO_SEED */
#include "cli/replica.h"
#include "pricing/money.h"
#include "service/log.h"
#include "tests/pricing/random.h"
#include "tests/race/race.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKUS      3
#define BATCHES   60
#define BATCH_MAX 12
#define START_MS  INT64_C(1760000000000)

static const char *const ZONE[] = { "",       "de",     "fr",       "de/n", "de/s", "fr/p", "de/n/1", "de/n/2",
                                    "de/s/1", "fr/p/1", "gh:u33db", "x",    "y",    "z",    "w" };
#define ZONES ((int)(sizeof ZONE / sizeof ZONE[0]))
#define ODD   11 /* from here on they only lie where they are declared to */

static const char *const MODEL[] = {
    "{\"model\":\"all\",\"version\":\"1\",\"scope\":{\"categories\":[\"a/*\",\"b/"
    "*\"],\"currencies\":[\"EUR\",\"CNY\"]},\"zone_levels\":3,"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.1,0.8],[1,1],[10,1.2]]}]}",
    "{\"model\":\"pilot\",\"version\":\"1\",\"scope\":{\"categories\":[\"a/"
    "*\"],\"currencies\":[\"EUR\"],\"zones\":[\"de/n\",\"x\"]},\"zone_levels\":3,"
    "\"factors\":[]}",
};

static struct replica replica;
static uint64_t dice;
static uint64_t cells_compared, histories;
static char what_differs[256];

static int pick(int count)
{
    return (int)random_between(&dice, 0, count - 1);
}

static struct signal signal_at(enum signal_type type, int zone, int64_t time_ms)
{
    struct signal signal = { .type = type, .time_ms = time_ms };
    (void)snprintf(signal.zone, sizeof signal.zone, "%s", ZONE[zone]);
    return signal;
}

static void give(struct signal *signal, enum signal_field field)
{
    signal->present |= UINT64_C(1) << field;
}

static struct signal declared(int64_t now_ms)
{
    struct signal signal = signal_at(SIGNAL_zone, 1 + pick(ZONES - 1), now_ms);
    give(&signal, SIGNAL_FIELD_zone);
    give(&signal, SIGNAL_FIELD_parent);
    (void)snprintf(signal.parent, sizeof signal.parent, "%s",
                   ZONE[pick(3) > 0 ? pick(ZONES) : ODD + pick(ZONES - ODD)]);
    return signal;
}

static struct signal about_product(int64_t now_ms)
{
    static const enum signal_type TYPE[] = { SIGNAL_product, SIGNAL_product, SIGNAL_demand, SIGNAL_supply };
    struct signal signal = signal_at(TYPE[pick(4)], pick(ZONES), now_ms);
    int sku = pick(SKUS);
    (void)snprintf(signal.sku, sizeof signal.sku, "sku-%d", sku);
    give(&signal, SIGNAL_FIELD_sku);
    if (signal.zone[0] != '\0')
        give(&signal, SIGNAL_FIELD_zone);
    if (signal.type == SIGNAL_product) {
        signal.list = 100 + pick(900);
        (void)snprintf(signal.currency, sizeof signal.currency, "%s", pick(6) > 0 ? "EUR" : "CNY");
        (void)snprintf(signal.category, sizeof signal.category, "%s", pick(4) > 0 ? "a/x" : "b/x");
        give(&signal, SIGNAL_FIELD_list);
        give(&signal, SIGNAL_FIELD_currency);
        give(&signal, SIGNAL_FIELD_category);
    } else if (signal.type == SIGNAL_demand) {
        signal.event = DEMAND_ORDER;
        give(&signal, SIGNAL_FIELD_event);
    } else {
        signal.available = (int64_t)pick(100) * MICRO;
        give(&signal, SIGNAL_FIELD_available);
    }
    return signal;
}

/* ---- kept up and anew --------------------------------------------------------------------------------------------------- */

static bool product_is_right(struct partition *partition, uint32_t product)
{
    struct worker *worker = replica.worker;
    static struct cell_extra kept[4096];
    uint32_t count = 0;
    if (partition->product[product].picture != worker->picture)
        return true; /* all of it is found anew before anybody looks */
    for (uint32_t cell = state_first(partition->state, POOL_CELLS, product); cell != STATE_NONE;
         cell = state_next(partition->state, POOL_CELLS, cell))
        kept[count++] = partition->cell[cell];
    cells_relink(worker, partition, product);
    count = 0;
    for (uint32_t cell = state_first(partition->state, POOL_CELLS, product); cell != STATE_NONE;
         cell = state_next(partition->state, POOL_CELLS, cell)) {
        const struct cell_extra *was = &kept[count++], *is = &partition->cell[cell];
        cells_compared++;
        if (was->place == is->place && was->parent == is->parent && was->model == is->model)
            continue;
        (void)snprintf(what_differs, sizeof what_differs, "zone \"%s\": around it %d, model %d; anew %d, %d",
                       cell_at(partition, cell)->zone, (int)was->parent, (int)was->model, (int)is->parent,
                       (int)is->model);
        return false;
    }
    return true;
}

static bool all_are_right(void)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct partition *partition = &replica.worker->partition[p];
        for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++)
            if (!product_is_right(partition, i))
                return false;
    }
    return true;
}

static bool go_through_history(uint64_t seed)
{
    dice = seed;
    bool circles = pick(3) == 0, zones_first = pick(2) == 0;
    int64_t now_ms = START_MS;
    for (int b = 0; b < BATCHES; b++, now_ms += 1000) {
        for (int i = pick(BATCH_MAX); i >= 0; i--) {
            bool zone = circles ? pick(4) == 0 : zones_first ? b == 0 : pick(30) == 0;
            struct signal signal = zone ? declared(now_ms) : about_product(now_ms);
            if (!replica_add(&replica, &signal))
                return false;
        }
        (void)alarm(20); /* a circle that somebody goes round for ever ends the program */
        if (!replica_apply(&replica, now_ms) || !all_are_right())
            return false;
    }
    return true;
}

/* ---- a world for each history --------------------------------------------------------------------------------------------- */

static bool write_models(const char *folder)
{
    for (size_t i = 0; i < sizeof MODEL / sizeof MODEL[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/model-%zu.json", folder, i);
        FILE *file = fopen(path, "we");
        if (file == NULL || fputs(MODEL[i], file) < 0 || fclose(file) != 0)
            return false;
    }
    return true;
}

static void remove_models(const char *folder)
{
    for (size_t i = 0; i < sizeof MODEL / sizeof MODEL[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/model-%zu.json", folder, i);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static bool open_world(const char *models)
{
    struct config config;
    struct fault fault;
    config_defaults(&config);
    config.products_max = 64;
    config.cells_max = 16384;
    (void)snprintf(config.instance, sizeof config.instance, "random%d", (int)getpid());
    return config_finish(&config, &fault) == RIALTO_OK && replica_open(&replica, &config, models);
}

int main(int argc, char *argv[])
{
    char models[] = "/tmp/rialto-random.XXXXXX";
    const char *first = getenv("RIALTO_SEED");
    int64_t end_ms = race_now_ms() + race_duration_ms(argc, argv);
    uint64_t seed = first != NULL ? strtoull(first, NULL, 10) : (uint64_t)race_now_ms() << 16;
    bool held = true;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    log_setup("random", "error", "text");
    if (mkdtemp(models) == NULL || !write_models(models))
        return 2;
    for (; held && race_now_ms() < end_ms; seed++, histories++) {
        held = open_world(models) && go_through_history(seed);
        replica_close(&replica);
    }
    remove_models(models);
    printf("# %" PRIu64 " histories, %" PRIu64 " cells compared%s%s\n", histories, cells_compared, held ? "" : ": ",
           what_differs);
    if (!held)
        printf("# RIALTO_SEED=%" PRIu64 "\n", seed - 1);
    int failures = race_report(held, "links that were kept up are those that are found anew");
    failures += race_report(cells_compared > 1000, "cells were compared");
    return failures == 0 ? 0 : 1;
}
