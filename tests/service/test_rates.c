/* test_rates.c - nobody passes the rate in the long run, a pause is worth one second of it, and producers do not share. The right
 * level is worked out in rational numbers by hand: filled at R a second, never above R. */
#include "service/rates.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SECOND INT64_C(1000000)

/* Sends messages of `signals` as early as allowed until `until_us`; how many signals that were. */
static int64_t pour(struct rates *rates, const char *name, uint32_t signals, int64_t from_us, int64_t until_us)
{
    int64_t sent = 0;
    for (int64_t now_us = from_us; now_us < until_us;) {
        int64_t wait_us = rates_wait_us(rates, name, now_us);
        cr_assert_geq(wait_us, 0);
        if (wait_us == 0) {
            rates_charge(rates, name, signals, now_us);
            sent += signals;
        }
        now_us += wait_us;
    }
    return sent;
}

Test(rates, the_first_second_is_there_at_once_and_then_the_rate_holds)
{
    struct rates *rates = rates_create(100);
    cr_assert_not_null(rates);
    int64_t sent = pour(rates, "a", 1, 0, 10 * SECOND);
    cr_expect_geq(sent, 100 + 10 * 100 - 1);
    cr_expect_leq(sent, 100 + 10 * 100 + 1);
    rates_destroy(rates);
}

Test(rates, a_message_larger_than_a_bucket_is_taken_and_paid_back)
{
    struct rates *rates = rates_create(10);
    cr_assert_eq(rates_wait_us(rates, "a", 0), 0);
    rates_charge(rates, "a", 1000, 0);
    /* 10 were there: 990 are owed, and one must be there again: 991 signals at 10 a second */
    cr_expect_eq(rates_wait_us(rates, "a", 0), 991 * SECOND / 10);
    cr_expect_eq(rates_wait_us(rates, "a", 991 * SECOND / 10 - 1), 1);
    cr_expect_eq(rates_wait_us(rates, "a", 991 * SECOND / 10), 0);
    rates_destroy(rates);
}

Test(rates, a_long_silence_is_worth_one_second)
{
    struct rates *rates = rates_create(10000000); /* the largest rate, and a silence of many years */
    cr_assert_eq(rates_wait_us(rates, "a", 0), 0);
    rates_charge(rates, "a", 65536, 0);
    int64_t late_us = INT64_MAX / 2;
    cr_assert_eq(rates_wait_us(rates, "a", late_us), 0);
    rates_charge(rates, "a", 10000000, late_us);
    cr_expect_eq(rates_wait_us(rates, "a", late_us), 1, "a ten millionth of a second, rounded up");
    rates_destroy(rates);
}

Test(rates, time_that_seems_to_go_back_gives_nothing)
{
    struct rates *rates = rates_create(1);
    cr_assert_eq(rates_wait_us(rates, "a", 50 * SECOND), 0);
    rates_charge(rates, "a", 1, 50 * SECOND);
    cr_expect_eq(rates_wait_us(rates, "a", 40 * SECOND), SECOND);
    cr_expect_eq(rates_wait_us(rates, "a", 50 * SECOND + SECOND / 2), SECOND / 2);
    rates_destroy(rates);
}

Test(rates, one_producer_does_not_use_up_anothers_share)
{
    struct rates *rates = rates_create(5);
    rates_charge(rates, "loud", 100000, 0);
    cr_expect_gt(rates_wait_us(rates, "loud", SECOND), 0);
    cr_expect_eq(rates_wait_us(rates, "quiet", SECOND), 0);
    rates_destroy(rates);
}

Test(rates, a_flood_of_names_has_no_more_than_all_places_are_worth)
{
    struct rates *rates = rates_create(1);
    int64_t sent = 0;
    char name[RATES_NAME_MAX];
    for (int i = 0; i < 100000; i++) { /* each new, all at once */
        (void)snprintf(name, sizeof name, "address:%d", i);
        if (rates_wait_us(rates, name, 0) > 0)
            continue;
        rates_charge(rates, name, 1, 0);
        sent++;
    }
    cr_expect_leq(sent, (int64_t)RATES_SETS * RATES_WAYS);
    cr_expect_gt(sent, (int64_t)RATES_SETS * RATES_WAYS * 9 / 10, "a hash spreads them");
    /* a second later all of that is forgotten */
    cr_expect_eq(rates_wait_us(rates, "somebody", 2 * SECOND), 0);
    rates_destroy(rates);
}
