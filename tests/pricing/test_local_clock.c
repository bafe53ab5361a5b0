/* test_local_clock.c - named time zones against dates that the world knows. */
#include "pricing/local_clock.h"

#include <criterion/criterion.h>
#include <string.h>

static struct local_clock berlin_clock;

static const struct local_clock *clock_of(const char *name)
{
    const char *reason;
    cr_assert(local_clock_load(name, &berlin_clock, &reason), "%s: %s", name, reason);
    return &berlin_clock;
}

static int64_t utc_ms(int year, int month, int day, int hour, int minute)
{
    return ((int64_t)date_days(year, month, day) * 1440 + hour * 60 + minute) * 60000;
}

/* Months begin at midnight of the clock, wherever that is in UTC. */
Test(local_clock, months_begin_at_its_midnight)
{
    static const struct {
        const char *zone;
        int begins[5]; /* UTC */
        int year, month;
    } rows[] = {
        { "UTC", { 2027, 3, 1, 0, 0 }, 2027, 3 },
        { "Asia/Shanghai", { 2027, 2, 28, 16, 0 }, 2027, 3 },
        { "Asia/Kolkata", { 2026, 12, 31, 18, 30 }, 2027, 1 },
        { "America/New_York", { 2026, 11, 1, 4, 0 }, 2026, 11 }, /* the day on which summer time ends, before it does */
        { "America/New_York", { 2026, 12, 1, 5, 0 }, 2026, 12 },
        { "America/Havana", { 2026, 11, 1, 4, 0 }, 2026, 11 }, /* at one o'clock it is midnight again */
        { "Europe/Berlin", { 2026, 3, 31, 22, 0 }, 2026, 4 },
        { "Europe/Berlin", { 2028, 2, 29, 23, 0 }, 2028, 3 }, /* behind a leap day */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct local_clock *clock = clock_of(rows[i].zone);
        const int *at = rows[i].begins;
        int64_t begins_ms = utc_ms(at[0], at[1], at[2], at[3], at[4]);
        int32_t month = rows[i].year * 12 + rows[i].month - 1;
        cr_expect_eq(local_clock_month_ms(clock, month), begins_ms, "%s", rows[i].zone);
        cr_expect_eq(local_clock_month(clock, begins_ms), month, "%s", rows[i].zone);
        cr_expect_eq(local_clock_month(clock, begins_ms - 1), month - 1, "%s", rows[i].zone);
    }
}

Test(local_clock, knows_when_clocks_change)
{
    static const struct {
        const char *zone;
        int at[5];
        int offset_min;
    } rows[] = {
        { "UTC", { 2026, 7, 1, 0, 0 }, 0 },
        { "Europe/Berlin", { 2026, 3, 29, 0, 59 }, 60 },
        { "Europe/Berlin", { 2026, 3, 29, 1, 0 }, 120 },
        { "Europe/Berlin", { 2026, 10, 25, 0, 59 }, 120 },
        { "Europe/Berlin", { 2026, 10, 25, 1, 0 }, 60 },
        { "Europe/Berlin", { 2085, 7, 1, 12, 0 }, 120 }, /* past the last year that the files write out */
        { "America/New_York", { 2026, 3, 8, 6, 59 }, -300 },
        { "America/New_York", { 2026, 3, 8, 7, 0 }, -240 },
        { "Asia/Shanghai", { 2026, 7, 1, 0, 0 }, 480 },
        { "Asia/Kolkata", { 2026, 7, 1, 0, 0 }, 330 },
        { "Australia/Lord_Howe", { 2026, 1, 15, 0, 0 }, 660 }, /* half an hour of summer time, in January */
        { "Australia/Lord_Howe", { 2026, 7, 15, 0, 0 }, 630 },
        { "Europe/Dublin", { 2026, 7, 1, 0, 0 }, 60 }, /* its winter is written as negative summer time */
        { "Europe/Dublin", { 2026, 1, 1, 0, 0 }, 0 },
        { "Asia/Gaza", { 2026, 7, 1, 0, 0 }, 180 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int *at = rows[i].at;
        cr_expect_eq(local_clock_offset(clock_of(rows[i].zone), utc_ms(at[0], at[1], at[2], at[3], at[4])),
                     rows[i].offset_min * 60, "%s %d-%d", rows[i].zone, at[0], at[1]);
    }
}

Test(local_clock, finds_the_moment_of_a_local_time)
{
    const struct local_clock *clock = clock_of("Europe/Berlin");
    cr_expect_eq(local_clock_utc_ms(clock, utc_ms(2026, 12, 1, 0, 0)), utc_ms(2026, 11, 30, 23, 0));
    cr_expect_eq(local_clock_utc_ms(clock, utc_ms(2026, 3, 29, 0, 0)), utc_ms(2026, 3, 28, 23, 0));
    cr_expect_eq(local_clock_utc_ms(clock, utc_ms(2026, 7, 1, 0, 0)), utc_ms(2026, 6, 30, 22, 0));
}

/* Expected: Python's zoneinfo, fold=0. A time that is skipped is shown never; the answer is as long after the change as it is after the
 * time at which clocks were put on. A day that has no midnight begins when clocks are put on. */
Test(local_clock, finds_times_that_come_twice_or_never)
{
    static const struct {
        const char *zone;
        int local[5], utc[5];
    } rows[] = {
        { "Europe/Zurich", { 2026, 3, 29, 1, 59 }, { 2026, 3, 29, 0, 59 } },
        { "Europe/Zurich", { 2026, 3, 29, 2, 0 }, { 2026, 3, 29, 1, 0 } }, /* never */
        { "Europe/Zurich", { 2026, 3, 29, 2, 30 }, { 2026, 3, 29, 1, 30 } },
        { "Europe/Zurich", { 2026, 3, 29, 3, 0 }, { 2026, 3, 29, 1, 0 } },
        { "Europe/Zurich", { 2026, 10, 25, 1, 59 }, { 2026, 10, 24, 23, 59 } },
        { "Europe/Zurich", { 2026, 10, 25, 2, 0 }, { 2026, 10, 25, 0, 0 } }, /* twice */
        { "Europe/Zurich", { 2026, 10, 25, 2, 59 }, { 2026, 10, 25, 0, 59 } },
        { "Europe/Zurich", { 2026, 10, 25, 3, 0 }, { 2026, 10, 25, 2, 0 } },
        { "America/New_York", { 2026, 3, 8, 2, 30 }, { 2026, 3, 8, 7, 30 } },
        { "America/New_York", { 2026, 11, 1, 1, 30 }, { 2026, 11, 1, 5, 30 } },
        { "America/New_York", { 2026, 11, 1, 2, 0 }, { 2026, 11, 1, 7, 0 } },
        { "Australia/Sydney", { 2026, 4, 5, 2, 30 }, { 2026, 4, 4, 15, 30 } },
        { "Australia/Sydney", { 2026, 10, 4, 2, 30 }, { 2026, 10, 3, 16, 30 } },
        { "Australia/Lord_Howe", { 2026, 4, 5, 1, 45 }, { 2026, 4, 4, 14, 45 } }, /* by half an hour */
        { "America/Santiago", { 2026, 9, 6, 0, 0 }, { 2026, 9, 6, 4, 0 } },       /* a day without a midnight */
        { "America/Havana", { 2026, 11, 1, 0, 0 }, { 2026, 11, 1, 4, 0 } },       /* and days with two */
        { "Atlantic/Azores", { 2026, 10, 25, 0, 0 }, { 2026, 10, 25, 0, 0 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int *local = rows[i].local, *utc = rows[i].utc;
        cr_expect_eq(
            local_clock_utc_ms(clock_of(rows[i].zone), utc_ms(local[0], local[1], local[2], local[3], local[4])),
            utc_ms(utc[0], utc[1], utc[2], utc[3], utc[4]), "%s %d-%d %d:%d", rows[i].zone, local[1], local[2],
            local[3], local[4]);
    }
}

Test(local_clock, refuses_what_is_no_time_zone)
{
    struct local_clock clock = { .count = 0 };
    const char *reason;
    static const char *const names[] = { "", "Mars/Base", "../etc/passwd", "/etc/passwd", "Europe", "a b" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect(!local_clock_load(names[i], &clock, &reason), "%s", names[i]);
    unsigned char bytes[200] = "TZif2";
    for (size_t size = 0; size < sizeof bytes; size++) {
        memset(bytes + 5, (int)(size * 37), sizeof bytes - 5);
        cr_expect(!local_clock_parse(bytes, size, &clock, &reason));
    }
}

Test(local_clock, dates_of_two_centuries_go_there_and_back)
{
    int year = 1970, month = 1, day = 1;
    for (int32_t days = 0; days < 84000; days++) {
        int y, m, d;
        date_split(days, &y, &m, &d);
        cr_assert(y == year && m == month && d == day, "%d", days);
        if (y < 2200)
            cr_assert_eq(date_days(y, m, d), days);
        static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if (++day > lengths[month - 1] + (month == 2 && leap)) {
            day = 1;
            month = month % 12 + 1;
            year += month == 1;
        }
    }
    cr_assert_eq(date_days(2026, 2, 29), INT32_MIN);
}
