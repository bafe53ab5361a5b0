/* test_storefront.c - what counts as a breach, and percentiles against a sorted list. */
#include "demo/movers.h"
#include "demo/storefront.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct rialto_quote quote_of(int64_t amount, uint32_t flags)
{
    return (struct rialto_quote){ .amount = amount,
                                  .baseline = 1000,
                                  .list = 1000,
                                  .floor = 500,
                                  .ceiling = 1200,
                                  .multiplier_e4 = 10000,
                                  .flags = flags };
}

Test(storefront, an_amount_outside_its_bounds_is_a_breach)
{
    struct rialto_quote quote = quote_of(1000, 0);
    cr_assert_not(quote_breach(&quote));
    quote = quote_of(499, 0);
    cr_assert(quote_breach(&quote));
    quote = quote_of(499, RIALTO_FLAG_LOCK);
    cr_assert_not(quote_breach(&quote), "a lock may lie below the floor");
    quote = quote_of(1201, RIALTO_FLAG_LOCK);
    cr_assert(quote_breach(&quote), "nothing lies above the ceiling");
    quote = quote_of(1001, 0);
    cr_assert(quote_breach(&quote), "above the baseline with a neutral multiplier");
    quote = quote_of(1100, 0);
    quote.multiplier_e4 = 11000;
    cr_assert_not(quote_breach(&quote), "where a model permits it");
    quote = quote_of(1100, RIALTO_FLAG_STALE);
    cr_assert_not(quote_breach(&quote), "a stale quote may be the list price");
}

static int by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

Test(storefront, percentiles_are_those_of_the_sorted_measurements)
{
    static struct latency latency;
    enum { N = 10001 };
    static uint64_t ns[N];
    uint64_t seed = 5;
    cr_assert_eq(latency_at(&latency, 0.5), 0, "nothing measured");
    for (int i = 0; i < N; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        ns[i] = i % 50 == 0 ? (seed >> 40) * 10 : (seed >> 50); /* some go far into the coarse buckets */
        latency_add(&latency, ns[i]);
    }
    qsort(ns, N, sizeof ns[0], by_size);
    const double part[] = { 0.001, 0.25, 0.5, 0.9, 0.97 };
    for (int i = 0; i < 5; i++)
        cr_assert_eq(latency_at(&latency, part[i]), ns[(uint64_t)(part[i] * (double)N) - 1]);
    uint64_t p999 = ns[(uint64_t)(0.999 * (double)N) - 1];
    uint64_t expected = p999 < LATENCY_FINE ? p999 : p999 / 1000 * 1000;
    cr_assert_eq(latency_at(&latency, 0.999), expected < 65535000 ? expected : 65535000,
                 "to the microsecond where it is long");
}

static void keep(struct movers *movers, const char *sku, int64_t before, int64_t after)
{
    struct mover *mover = &movers->kept[movers->count++];
    strcpy(mover->sku, sku);
    mover->before = before;
    mover->after = after;
}

Test(movers, the_largest_changes_come_first_one_per_product)
{
    static struct movers movers;
    struct mover top[3];
    cr_assert_eq(movers_top(&movers, 3, top), 0);
    keep(&movers, "a", 100, 110);
    keep(&movers, "b", 100, 70);
    keep(&movers, "a", 110, 88);
    keep(&movers, "c", 100, 101);
    keep(&movers, "d", 100, 140);
    keep(&movers, "a", 100, 105);
    cr_assert_eq(movers_top(&movers, 3, top), 3);
    cr_assert_str_eq(top[0].sku, "d");
    cr_assert_str_eq(top[1].sku, "b");
    cr_assert_str_eq(top[2].sku, "a");
    cr_assert_eq(top[2].after, 88, "its largest change, down by a fifth");
}
