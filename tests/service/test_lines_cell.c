/* test_lines_cell.c - lines of prices that moved are made while these are computed, and written behind the commit: as the records say, each once, with
 * the right reason, and with what stood there before for locks. */
#include "cache/keys.h"
#include "tests/service/replica_fixture.h"

#include <math.h>
#include <rialto/quote.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS    INT64_C(1760000000000)
#define PRODUCTS    30
#define SHOPS       5
#define FIELD(name) (UINT64_C(1) << SIGNAL_FIELD_##name)

static const char model[] =
    "{\"model\":\"all\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},\"zone_levels\":"
    "2,"
    "\"factors\":[{\"name\":\"scarcity\",\"input\":\"available_ratio\",\"curve\":[[0,1.2],[0.5,1]]},"
    "{\"name\":\"rain\",\"input\":\"precipitation_mm_h\",\"steps\":[[0,1],[1,1.1]]},"
    "{\"name\":\"shop\",\"zones\":{\"c/s0\":1.1,\"c\":0.9}}]}";

static struct replica replica;
static struct rialto *reader;
static struct rialto_follower follower;
static int64_t available[PRODUCTS][SHOPS]; /* of 100 */
static bool rains;

static void open_world(void)
{
    replica_begin(&replica, "lines", model, 1024, 65536);
    cr_assert_eq(rialto_open(replica.config.cache_dir, &reader), RIALTO_OK);
}

static void close_world(void)
{
    rialto_close(reader);
    replica_close(&replica);
}

TestSuite(lines_cell, .init = open_world, .fini = close_world);

static void sku_of(int product, char ret[RIALTO_ID_MAX])
{
    (void)snprintf(ret, RIALTO_ID_MAX, "sku-%d", product);
}

static void shop_of(int shop, char ret[RIALTO_ID_MAX])
{
    (void)snprintf(ret, RIALTO_ID_MAX, "c/s%d", shop);
}

static void list(int product)
{
    struct signal signal = {
        .type = SIGNAL_product, .time_ms = START_MS, .list = 1000 + product, .currency = "EUR", .category = "a"
    };
    sku_of(product, signal.sku);
    signal.present = FIELD(sku) | FIELD(list) | FIELD(currency) | FIELD(category);
    cr_assert(replica_add(&replica, &signal));
}

static void supply(int product, int shop, int64_t left, int64_t time_ms)
{
    struct signal signal = {
        .type = SIGNAL_supply, .time_ms = time_ms, .available = left * MICRO, .capacity = 100 * MICRO
    };
    sku_of(product, signal.sku);
    shop_of(shop, signal.zone);
    signal.present = FIELD(sku) | FIELD(zone) | FIELD(available) | FIELD(capacity);
    available[product][shop] = left;
    cr_assert(replica_add(&replica, &signal));
}

static void weather(bool rain, int64_t time_ms)
{
    struct signal signal = {
        .type = SIGNAL_weather, .time_ms = time_ms, .zone = "c", .precipitation = rain ? 2 * MICRO : 0
    };
    signal.present = FIELD(zone) | FIELD(precipitation);
    rains = rain;
    cr_assert(replica_add(&replica, &signal));
}

/* Lists, supply, and the first prices, in dry weather. */
static void begin(void)
{
    weather(false, START_MS);
    for (int i = 0; i < PRODUCTS; i++) {
        list(i);
        for (int s = 0; s < SHOPS; s++)
            supply(i, s, (i * 7 + s * 13) % 100, START_MS);
    }
    cr_assert(replica_apply(&replica, START_MS));
    rialto_follow(reader, &follower);
}

/* By hand, in doubles. */
static double expected(int product, int shop)
{
    double left = (double)available[product][shop] / 100, scarcity = left < 0.5 ? 1.2 - 0.4 * left : 1;
    return (1000 + product) * scarcity * (rains ? 1.1 : 1) * (shop == 0 ? 1.1 : 0.9);
}

static int64_t quoted(int product, int shop)
{
    char sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX];
    struct rialto_quote quote;
    sku_of(product, sku);
    shop_of(shop, zone);
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ .zone = zone }, sku, &quote), RIALTO_OK);
    const struct cell_record *record = replica_price(&replica, sku, zone, NULL);
    cr_assert(strcmp(quote.zone, zone) == 0 && quote.list == 1000 + product && strcmp(quote.currency, "EUR") == 0);
    cr_assert_eq(quote.baseline, record->published);
    cr_assert_eq(quote.floor, record->floor);
    cr_assert_eq(quote.ceiling, record->ceiling);
    cr_assert_eq(quote.as_of_ms, record->changed_ms / 1000 * 1000);
    return quote.baseline;
}

static void check_quotes(void)
{
    for (int i = 0; i < PRODUCTS; i++)
        for (int s = 0; s < SHOPS; s++)
            cr_assert_leq(fabs((double)quoted(i, s) - expected(i, s)), 0.51, "product %d, shop %d: %lld, not %f", i, s,
                          (long long)quoted(i, s), expected(i, s));
}

static uint32_t cell_of(int product, int shop, struct partition **ret_partition, struct rialto_key *ret_key)
{
    char sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX];
    sku_of(product, sku);
    shop_of(shop, zone);
    const struct cell_record *record = replica_price(&replica, sku, zone, NULL);
    *ret_partition = &replica.worker->partition[key_partition(record->product)];
    *ret_key = record->head.key;
    return state_find((*ret_partition)->state, POOL_CELLS, record->head.key);
}

/* What was told since the last time: of each cell once, from what stood to what stands, for this reason (another one of one of them). */
static void check_told(const char *reason, int32_t micro, int64_t before[PRODUCTS][SHOPS], int other_product,
                       const char *other, int32_t other_micro)
{
    struct rialto_change change;
    int told[PRODUCTS][SHOPS] = { { 0 } };
    while (rialto_next_change(reader, &follower, &change)) {
        int product, shop;
        if (change.entry.table != RIALTO_TABLE_CELLS)
            continue;
        cr_assert(sscanf(change.sku, "sku-%d", &product) == 1 && sscanf(change.zone, "c/s%d", &shop) == 1, "%s, %s",
                  change.sku, change.zone);
        bool is_other = product == other_product && shop == 0;
        cr_assert_str_eq(change.entry.reason, is_other ? other : reason);
        cr_assert_eq(change.entry.reason_ppm, is_other ? other_micro : micro);
        cr_assert_eq(change.entry.before, before[product][shop]);
        cr_assert_eq(change.entry.after, quoted(product, shop));
        told[product][shop]++;
    }
    cr_assert_eq(follower.missed, 0);
    for (int i = 0; i < PRODUCTS; i++)
        for (int s = 0; s < SHOPS; s++)
            cr_assert_eq(told[i][s], 1, "product %d, shop %d: %d", i, s, told[i][s]);
}

static void take_quotes(int64_t ret[PRODUCTS][SHOPS])
{
    for (int i = 0; i < PRODUCTS; i++)
        for (int s = 0; s < SHOPS; s++)
            ret[i][s] = quoted(i, s);
}

/* The newest version in the history for locks is what was quoted before. */
static void check_past(int64_t before[PRODUCTS][SHOPS])
{
    struct partition *partition;
    struct rialto_key key;
    struct past_line line;
    for (int i = 0; i < PRODUCTS; i++)
        for (int s = 0; s < SHOPS; s++) {
            (void)cell_of(i, s, &partition, &key);
            cr_assert_eq(past_of(replica.worker->past, 0, RIALTO_TABLE_CELLS, key, key, 1, &line), 1);
            cr_assert(line.is && line.cell.baseline == before[i][s] && key_equal(line.cell.key, key));
        }
}

Test(lines_cell, each_price_that_moves_has_its_line_is_told_once_and_leaves_what_stood)
{
    int64_t before[PRODUCTS][SHOPS];
    begin();
    check_quotes();
    take_quotes(before);
    cr_assert_eq(replica.worker->staged.room, 0, "lines that are new are not made ahead");
    weather(true, START_MS + 1000);
    cr_assert(replica_apply(&replica, START_MS + 1000));
    cr_assert_gt(replica.worker->staged.room, 0, "lines that stand are");
    cr_assert_eq(replica.worker->staged.count, 0);
    check_quotes();
    check_told("rain", 1100000, before, -1, NULL, 0);
    check_past(before);
}

/* Goal: one whose record changes otherwise in the same batch goes by the other way, and is no less right. */
Test(lines_cell, a_cell_of_which_more_changes_in_the_batch)
{
    int64_t before[PRODUCTS][SHOPS];
    begin();
    supply(3, 0, 90, START_MS + 1000);
    cr_assert(replica_apply(&replica, START_MS + 1000));
    rialto_follow(reader, &follower);
    take_quotes(before);
    supply(3, 0, 0, START_MS + 2000); /* 1 to 1.2, more than the rain */
    weather(true, START_MS + 2000);
    cr_assert(replica_apply(&replica, START_MS + 2000));
    check_quotes();
    check_told("rain", 1100000, before, 3, "scarcity", 1200000);
    check_past(before);
}

/* Goal: a line that could not be written is no longer owed when it is. */
Test(lines_cell, a_cell_whose_line_was_owed)
{
    int64_t before[PRODUCTS][SHOPS];
    struct partition *partition;
    struct rialto_key key;
    begin();
    take_quotes(before);
    uint32_t cell = cell_of(5, 2, &partition, &key);
    state_set_line_stale(partition->state, cell, true);
    weather(true, START_MS + 1000);
    cr_assert(replica_apply(&replica, START_MS + 1000));
    cr_assert_not(state_line_stale(partition->state, cell));
    check_quotes();
    check_told("rain", 1100000, before, -1, NULL, 0);
}

/* Goal: of two factors that moved as far the first is named, and a factor that fell is as good as one that rose. */
Test(lines_cell, the_factor_that_moved_most_whichever_way)
{
    int64_t before[PRODUCTS][SHOPS];
    begin();
    weather(true, START_MS + 1000);
    supply(7, 0, 25, START_MS + 1000); /* 1.1 */
    cr_assert(replica_apply(&replica, START_MS + 1000));
    rialto_follow(reader, &follower);
    take_quotes(before);
    weather(false, START_MS + 2000);
    supply(7, 0, 50, START_MS + 2000); /* 1.1 to 1, as the rain */
    cr_assert(replica_apply(&replica, START_MS + 2000));
    check_quotes();
    check_told("rain", 1000000, before, 7, "scarcity", 1000000);
}
