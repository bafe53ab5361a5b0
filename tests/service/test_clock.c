/* test_clock.c - how service time follows a wall clock that is set, sleeps, or has a leap second. */
#include "service/clock.h"

#include <criterion/criterion.h>

#define HOUR_MS INT64_C(3600000)
#define LOOK_MS 100

/* One day of looks at a wall clock whose offset `wall_of` says; each step of service time is checked against the rate. */
static int64_t day(int64_t offset, int64_t (*wall_of)(int64_t at_ms))
{
    for (int64_t at = 0; at < 24 * HOUR_MS; at += LOOK_MS) {
        int64_t next = clock_follow(offset, wall_of(at), LOOK_MS, 0);
        cr_assert(next >= offset && next - offset <= LOOK_MS / 20, "%lld at %lld", (long long)(next - offset),
                  (long long)at);
        offset = next;
    }
    return offset;
}

static int64_t set_ahead(int64_t at_ms)
{
    return at_ms < HOUR_MS ? 0 : 300000; /* five minutes, at one o'clock */
}

static int64_t set_back_and_ahead(int64_t at_ms)
{
    return at_ms < HOUR_MS ? 0 : at_ms < 2 * HOUR_MS ? -1800000 : 2000;
}

static int64_t leap_second(int64_t at_ms)
{
    return at_ms < 12 * HOUR_MS ? 0 : -1000; /* 23:59:59 twice */
}

static int64_t smeared_leap_second(int64_t at_ms)
{
    return -at_ms / 86400; /* over a day: one part in 86,400 */
}

Test(clock, a_clock_that_is_set_is_followed_by_a_twentieth_of_the_time_and_never_back)
{
    cr_assert_eq(day(0, set_ahead), 300000, "it is reached, and not passed");
    cr_assert_eq(day(0, set_back_and_ahead), 2000);
    cr_assert_eq(day(0, leap_second), 0, "a second that comes twice is not followed back");
    cr_assert_eq(day(0, smeared_leap_second), 0);
    /* Five minutes at a twentieth: a hundred minutes, not one look less. */
    int64_t offset = 0, looks = 0;
    for (; offset < 300000; looks++)
        offset = clock_follow(offset, 300000, LOOK_MS, 0);
    cr_assert_eq(looks, 100 * 60 * 1000 / LOOK_MS);
}

Test(clock, what_was_slept_is_real_and_counts_at_once_but_not_beyond_the_wall)
{
    cr_assert_eq(clock_follow(1000, 1000 + 8 * HOUR_MS, LOOK_MS, 8 * HOUR_MS), 1000 + 8 * HOUR_MS);
    cr_assert_eq(clock_follow(1000, 61000, LOOK_MS, 60000), 61000);
    cr_assert_eq(clock_follow(1000, 91000, LOOK_MS, 60000), 61005, "set ahead while asleep: that part slowly");
    cr_assert_eq(clock_follow(1000, 31000, LOOK_MS, 60000), 31000, "set back while asleep");
    cr_assert_eq(clock_follow(1000, 1000, LOOK_MS, 60000), 1000);
}

Test(clock, more_than_ten_minutes_ahead_is_followed_at_once)
{
    cr_assert_eq(clock_follow(0, 600000, LOOK_MS, 0), 5);
    cr_assert_eq(clock_follow(0, 600001, LOOK_MS, 0), 600001);
    cr_assert_eq(clock_follow(0, -24 * HOUR_MS, LOOK_MS, 0), 0, "back never");
    cr_assert_eq(clock_follow(0, 5, -LOOK_MS, -7), 0, "clocks that contradict themselves move nothing");
}
