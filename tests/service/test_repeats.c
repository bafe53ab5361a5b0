/* test_repeats.c - what one visit does again and again is one act of demand, whoever the customer is. */
#include "service/repeats.h"
#include "service/metrics.h"

#include "pricing/demand.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define NOW_MS  (INT64_C(1767225600000) + 60000)

static struct signal act(enum demand_event event, const char *sku, const char *zone, const char *session, const char *customer)
{
    struct signal signal = { .type = SIGNAL_demand, .event = event };
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    (void)snprintf(signal.zone, sizeof signal.zone, "%s", zone);
    if (session != NULL) {
        (void)snprintf(signal.session, sizeof signal.session, "%s", session);
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_session;
    }
    if (customer != NULL) {
        (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_customer;
    }
    return signal;
}

static bool take(struct repeats *repeats, int64_t now_ms, struct signal signal)
{
    return repeats_take(repeats, &signal, now_ms);
}

Test(repeats, a_visit_counts_once_for_each_product_and_event_wherever_it_is)
{
    struct repeats *repeats = repeats_create(100, HOUR_MS);
    cr_assert_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", "v1", NULL)));
    cr_expect(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", "v1", NULL)));
    cr_expect(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "fr", "v1", NULL)), "another zone is the same visit");
    cr_expect_not(take(repeats, NOW_MS, act(DEMAND_CART, "milk", "de", "v1", NULL)));
    cr_expect_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "tea", "de", "v1", NULL)));
    cr_expect_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", "v2", NULL)));
    repeats_destroy(repeats);
}

Test(repeats, who_the_customer_is_plays_no_part)
{
    struct repeats *repeats = repeats_create(100, HOUR_MS);
    cr_assert_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", NULL, "anna")));
    cr_expect(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", NULL, "ben")));
    cr_expect(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", NULL, NULL)));
    cr_expect_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "fr", NULL, "anna")), "without a visit each zone has one");
    cr_expect_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "de", "de", NULL)), "a visit is not a zone of its name");
    repeats_destroy(repeats);
}

Test(repeats, what_costs_is_never_a_repeat)
{
    struct repeats *repeats = repeats_create(100, HOUR_MS);
    for (int i = 0; i < 3; i++) {
        cr_expect_not(take(repeats, NOW_MS, act(DEMAND_ORDER, "milk", "de", "v1", NULL)));
        cr_expect_not(take(repeats, NOW_MS, act(DEMAND_RETURN, "milk", "de", "v1", NULL)));
    }
    struct signal supply = act(DEMAND_VIEW, "milk", "de", NULL, NULL);
    supply.type = SIGNAL_supply;
    cr_expect_not(take(repeats, NOW_MS, supply));
    cr_expect_not(take(repeats, NOW_MS, supply));
    repeats_destroy(repeats);
}

Test(repeats, is_known_for_one_window_at_least_and_two_at_most)
{
    for (int64_t at = 0; at < HOUR_MS; at += HOUR_MS / 7) { /* wherever in its window it falls */
        struct repeats *repeats = repeats_create(100, HOUR_MS);
        int64_t begin = 1000 * HOUR_MS + at;
        cr_assert_not(take(repeats, begin, act(DEMAND_VIEW, "milk", "", "v1", NULL)));
        for (int64_t later = 0; later <= HOUR_MS; later += HOUR_MS / 10)
            cr_expect(take(repeats, begin + later, act(DEMAND_VIEW, "milk", "", "v1", NULL)), "after %lld ms", (long long)later);
        cr_expect_not(take(repeats, begin + 2 * HOUR_MS, act(DEMAND_VIEW, "milk", "", "v1", NULL)));
        repeats_destroy(repeats);
    }
}

Test(repeats, time_that_stands_still_or_seems_to_go_back_forgets_nothing)
{
    struct repeats *repeats = repeats_create(100, HOUR_MS);
    cr_assert_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "", "v1", NULL)));
    cr_expect(take(repeats, NOW_MS - 5 * HOUR_MS, act(DEMAND_VIEW, "milk", "", "v1", NULL)));
    cr_expect(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "", "v1", NULL)));
    repeats_destroy(repeats);
}

Test(repeats, a_full_window_ends_early_and_says_so)
{
    enum { MAX = 1000 };
    struct repeats *repeats = repeats_create(MAX, HOUR_MS);
    char visit[32];
    uint64_t before = atomic_load(&metrics_own->word[METRIC_repeats_forgotten_total]);
    for (int i = 0; i < 3 * MAX; i++) {
        (void)snprintf(visit, sizeof visit, "v%d", i);
        cr_assert_not(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "", visit, NULL)), "%s", visit);
        cr_assert(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "", visit, NULL)), "%s", visit);
    }
    for (int i = 3 * MAX - 1; i >= 2 * MAX; i--) { /* the newest are known at the least */
        (void)snprintf(visit, sizeof visit, "v%d", i);
        cr_assert(take(repeats, NOW_MS, act(DEMAND_VIEW, "milk", "", visit, NULL)), "%s", visit);
    }
    cr_expect_eq(atomic_load(&metrics_own->word[METRIC_repeats_forgotten_total]) - before, MAX);
    repeats_destroy(repeats);
}
