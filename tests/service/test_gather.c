/* test_gather.c - what cells have in common is gathered once a round, and stays good while the round finds zones that nobody looked at yet. */
#include "service/gather.h"

#include "cache/keys.h"
#include "tests/service/replica_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCTS 6
#define ZONES    100 /* of each product's own: all together are more than there is room for at first */
#define START_MS INT64_C(1760000000000)
#define HOUR_MS  INT64_C(3600000)

static const char model[] =
    "{\"model\":\"all\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},\"zone_levels\":"
    "2,"
    "\"factors\":[{\"name\":\"place\",\"zones\":{\"common\":1.1},\"when\":{\"from\":\"2020-01-01\"}},"
    "{\"name\":\"promotion\",\"input\":\"promotion\",\"curve\":[[0.1,0.1],[1,1]]}]}";

static struct replica replica;

static void tell(const char *sku, const char *zone)
{
    struct signal signal = { .type = SIGNAL_product, .time_ms = START_MS, .list = 1000, .currency = "EUR" };
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    (void)snprintf(signal.zone, sizeof signal.zone, "%s", zone);
    (void)snprintf(signal.category, sizeof signal.category, "a");
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_list |
                     UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_category;
    if (zone[0] != '\0') {
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_zone;
    } else { /* the price everywhere, for an hour */
        signal.promotion = MICRO / 2;
        signal.until_ms = START_MS + HOUR_MS;
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_promotion | UINT64_C(1) << SIGNAL_FIELD_until_ms;
    }
    cr_assert(replica_add(&replica, &signal));
}

static void open_world(void)
{
    replica_begin(&replica, "gather", model, 1024, 65536);
}

/* Names of products of one partition: they are priced in one round. */
static void name_products(char ret[PRODUCTS][RIALTO_ID_MAX])
{
    int found = 0;
    for (int i = 0; found < PRODUCTS; i++) {
        (void)snprintf(ret[found], RIALTO_ID_MAX, "sku-%d", i);
        found += key_partition(key_of_id(replica.worker->control->secret, ret[found], strlen(ret[found]))) == 7;
    }
}

/* A new worker knows no place but the world; cells_ready() finds them again, product by product. */
static void forget_places(void)
{
    struct worker *worker = replica.worker;
    free(worker->place);
    free(worker->place_slot);
    worker->place = NULL;
    worker->place_slot = NULL;
    worker->place_count = worker->place_room = worker->place_mask = 0;
    cr_assert_eq(place_of(worker, ""), 0);
    worker->picture++;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        if (worker->partition[p].zone_slot_room > 0)
            memset(worker->partition[p].zone_slot, 0,
                   worker->partition[p].zone_slot_room * sizeof worker->partition[p].zone_slot[0]);
}

/* Goal: names of zones are those of the places where they are now, not where they were when the round began. */
Test(gather, zones_that_a_round_finds_move_no_names_from_under_it)
{
    char sku[PRODUCTS][RIALTO_ID_MAX], zone[RIALTO_ID_MAX];
    open_world();
    name_products(sku);
    for (int i = 0; i < PRODUCTS; i++) {
        tell(sku[i], "");
        tell(sku[i], "common");
        for (int z = 0; z < ZONES; z++) {
            (void)snprintf(zone, sizeof zone, "zone-%d-%d", i, z);
            tell(sku[i], zone);
        }
    }
    cr_assert(replica_apply(&replica, START_MS));
    cr_assert_eq(replica_price(&replica, sku[0], "common", NULL)->published, 550);

    forget_places();
    cr_assert(replica_apply(&replica, START_MS + 2 * HOUR_MS)); /* promotions have ended: all is priced */
    cr_assert_gt(replica.worker->place_count, 512);
    for (int i = 0; i < PRODUCTS; i++)
        cr_assert_eq(replica_price(&replica, sku[i], "common", NULL)->published, 1100);
    replica_close(&replica);
}
