/* test_reprice.c - prices that move with time: once a second, each product at a moment of its own that follows from its name alone. */
#include "cache/keys.h"
#include "tests/service/replica_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS INT64_C(1760000000000) /* a whole second */
#define DAY_MS   INT64_C(86400000)
#define TICK_MS  100
#define LIST     INT64_C(864000000) /* then the price rises by ten a millisecond */
#define MANY     1000
#define BUCKETS  10

/* From the list price at midnight to twice as much at the next one. */
static const char model[] =
    "{\"model\":\"day\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},"
    "\"factors\":[{\"name\":\"hour\",\"input\":\"hour\",\"curve\":[[0,1],[24,2]]}]}";

static struct replica replica;

static void open_world(void)
{
    replica_begin(&replica, "reprice", model, 4 * MANY, 16 * MANY);
}

static void close_world(void)
{
    replica_close(&replica);
}

TestSuite(reprice, .init = open_world, .fini = close_world);

static void tell(const char *sku, int64_t time_ms)
{
    struct signal signal = {
        .type = SIGNAL_product, .time_ms = time_ms, .list = LIST, .currency = "EUR", .category = "a"
    };
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_list |
                     UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_category;
    cr_assert(replica_add(&replica, &signal));
}

static int64_t due_of(const char *sku)
{
    struct rialto_key key = key_of_id(replica.worker->control->secret, sku, strlen(sku));
    const struct state *state = replica.worker->partition[key_partition(key)].state;
    return state_due(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key));
}

/* A factor is known to a millionth, here 86.4 ms: no other tick has this price. */
static void check_priced_at(const char *sku, int64_t at_ms, int64_t now_ms)
{
    int64_t wanted = LIST + LIST / DAY_MS * (at_ms % DAY_MS), found = replica_price(&replica, sku, "", NULL)->published;
    cr_assert_leq(llabs(found - wanted), 10 * TICK_MS / 2, "%s at +%lld: %lld instead of %lld of +%lld", sku,
                  (long long)(now_ms - START_MS), (long long)found, (long long)wanted, (long long)(at_ms - START_MS));
}

static int64_t tick_for(int64_t ms)
{
    return (ms + TICK_MS - 1) / TICK_MS * TICK_MS;
}

/* Goal: what a replay computes, and when, does not depend on keys, batches or the place in memory. The moment is the last digit of XXH32 of the
 * name, here computed by another program, after its specification: 1375667489, 2149391375, 814151562, 537502990. */
Test(reprice, a_price_that_moves_is_computed_once_a_second_at_the_moment_of_its_products_name)
{
    static const struct {
        const char *sku;
        int64_t moment_ms;
    } named[] = { { "sku-0", 900 },
                  { "milk", 500 },
                  { "p\xc3\xbcree 1 kg", 200 },
                  { "shop-of-the-north-0006-with-a-long-tail", 0 } };
    const size_t count = sizeof named / sizeof named[0];
    int64_t told_ms = START_MS + 3 * TICK_MS; /* of the first one again, ahead of its moment */
    for (size_t i = 0; i < count; i++)
        tell(named[i].sku, START_MS);
    for (int64_t now = START_MS; now <= START_MS + 3000; now += TICK_MS) {
        if (now == told_ms)
            tell(named[0].sku, now);
        cr_assert(replica_apply(&replica, now));
        for (size_t i = 0; i < count; i++) {
            int64_t due = START_MS + named[i].moment_ms;
            while (tick_for(due) <= now)
                due += 1000;
            int64_t priced = due - 1000 > START_MS ? tick_for(due - 1000) : START_MS;
            if (i == 0 && now >= told_ms && priced < told_ms)
                priced = told_ms;
            cr_assert_eq(due_of(named[i].sku), due);
            check_priced_at(named[i].sku, priced, now);
        }
    }
}

/* Goal: no tick computes them all, and holds up every signal behind it. Names often differ in a few places only. */
Test(reprice, the_moments_of_many_products_are_spread_over_the_second)
{
    static const char *const form[] = { "sku-%04d", "the-same-beginning-%04d-and-the-same-end", "%04d-and-the-same-end",
                                        "the-same-beginning-%04d" };
    for (size_t f = 0; f < sizeof form / sizeof form[0]; f++) {
        char sku[RIALTO_ID_MAX];
        uint32_t in[BUCKETS] = { 0 };
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(sku, sizeof sku, form[f], i);
            tell(sku, START_MS);
        }
        cr_assert(replica_apply(&replica, START_MS));
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(sku, sizeof sku, form[f], i);
            int64_t in_ms = due_of(sku) - START_MS;
            cr_assert(in_ms > 0 && in_ms <= 1000, "%s is due in %lld ms", sku, (long long)in_ms);
            in[(in_ms - 1) * BUCKETS / 1000]++;
        }
        for (size_t b = 0; b < BUCKETS; b++) /* 100 are expected, with a deviation of 9.5 */
            cr_assert(in[b] >= 60 && in[b] <= 140, "%u of %d like %s fall into tick %zu", in[b], MANY, form[f], b + 1);
    }
}
