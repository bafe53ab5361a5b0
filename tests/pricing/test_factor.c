/* test_factor.c - every kind of factor out of a model's text, when it speaks, and the waterfall of a price. */
#include "pricing/distance.h"
#include "pricing/explain.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct model model;
static struct price_inputs in;

static void load(const char *before, const char *factors)
{
    char text[4096];
    struct fault fault;
    snprintf(
        text, sizeof text,
        "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, %s"
        "\"factors\": [%s], \"guardrails\": {\"floor\": 0.1, \"ceiling\": 10}}",
        before, factors);
    cr_assert_eq(model_parse(text, strlen(text), "m.json", &model, &fault), RIALTO_OK, "%u:%u %s: %s", fault.line,
                 fault.column, fault.pointer, fault.reason);
}

static double value(void)
{
    bool known;
    return (double)model_factor_value(&model, &model.factor[0], &in, &known) / 1e6;
}

static int64_t local(int year, int month, int day, int hour, int minute)
{
    return ((int64_t)date_days(year, month, day) * 1440 + hour * 60 + minute) * 60000;
}

static void init(void)
{
    static const char zones[3][RIALTO_ID_MAX] = { "c1/s25/dairy", "c1/s25", "c1" };
    in = (struct price_inputs){
        .list = 1000, .cost = -1, .category = "fresh/dairy/milk", .zone_count = 3, .zone = zones
    };
}
TestSuite(factor, .init = init);

Test(factor, table_by_category_takes_the_most_precise_row)
{
    load("", "{\"name\": \"f\", \"categories\": {\"*\": 1.01, \"fresh/*\": 1.02, \"fresh/dairy/*\": 1.03, \"dry/tea\": "
             "1.04}}");
    cr_expect_eq(value(), 1.03);
    in.category = "fresh/fish";
    cr_expect_eq(value(), 1.02);
    in.category = "dry/tea";
    cr_expect_eq(value(), 1.04);
    in.category = "dry";
    cr_expect_eq(value(), 1.01);
    in.category = NULL;
    cr_expect_eq(value(), 1);
}

Test(factor, table_by_zone_takes_the_nearest_row)
{
    load("", "{\"name\": \"f\", \"zones\": {\"c1\": 1.01, \"c1/s25\": 1.02, \"c2\": 1.03}}");
    cr_expect_eq(value(), 1.02);
    in.zone_count = 0;
    cr_expect_eq(value(), 1);
}

Test(factor, table_by_condition_takes_the_first_that_holds)
{
    load("", "{\"name\": \"f\", \"cases\": [{\"if\": \"temperature_c > 30\", \"then\": 0.9}, {\"if\": \"temperature_c "
             "> 20 and "
             "humidity > 0.5\", \"then\": 0.95}], \"else\": 1.01, \"missing\": 0.99}");
    cr_expect_eq(value(), 0.99, "what is missing has a value of its own");
    in.present = UINT64_MAX;
    in.input_micro[INPUT_temperature_c] = 31 * MICRO;
    in.input_micro[INPUT_humidity] = 900000;
    cr_expect_eq(value(), 0.9);
    in.input_micro[INPUT_temperature_c] = 25 * MICRO;
    cr_expect_eq(value(), 0.95);
    in.input_micro[INPUT_humidity] = 100000;
    cr_expect_eq(value(), 1.01);
}

Test(factor, expressions_are_cut_to_what_a_multiplier_may_be)
{
    load("", "{\"name\": \"f\", \"expression\": \"demand_pressure\"}");
    in.present = UINT64_MAX;
    in.input_micro[INPUT_demand_pressure] = 1234567;
    cr_expect_eq(value(), 1.234567);
    in.input_micro[INPUT_demand_pressure] = 50 * MICRO;
    cr_expect_eq(value(), 10);
    in.input_micro[INPUT_demand_pressure] = 10000;
    cr_expect_eq(value(), 0.1);
}

Test(factor, optimal_mark_up_multiplies_list_to_the_best_price)
{
    load("", "{\"name\": \"f\", \"markup\": {\"elasticity\": -2.62}}");
    cr_expect_eq(value(), 1, "no cost, no opinion");
    in.cost = 600;
    cr_expect_float_eq(value() * 1000 / 600, 1.6173, 5e-5);
    load("", "{\"name\": \"f\", \"markup\": {\"utility\": 3, \"sensitivity\": 1}}");
    in.cost = 0;
    cr_expect_float_eq(value(), 2.557146, 5e-7);
}

Test(factor, clearing_follows_stock_and_the_time_that_is_left)
{
    load("", "{\"name\": \"f\", \"clearing\": {\"customers_per_day\": 40, \"sensitivity\": 1, \"until\": \"expiry\"}}");
    in.present = UINT64_C(1) << INPUT_available | UINT64_C(1) << INPUT_hours_to_expiry;
    in.input_micro[INPUT_hours_to_expiry] = 24 * MICRO;
    in.input_micro[INPUT_available] = 5 * MICRO + 999999; /* a part of a unit is none */
    cr_expect_float_eq(value(), 2.164413, 5e-7);
    in.present = UINT64_C(1) << INPUT_available;
    cr_expect_eq(value(), 1);
    load("", "{\"name\": \"f\", \"clearing\": {\"customers_per_day\": \"80 * orders_per_day\", \"sensitivity\": 1, "
             "\"until\": "
             "\"22:00\"}}");
    in.present = UINT64_MAX;
    in.input_micro[INPUT_orders_per_day] = 1 * MICRO;
    in.local_ms = local(2026, 5, 4, 10, 0); /* twelve hours left: 40 of the 80 come */
    cr_expect_float_eq(value(), 2.164413, 5e-7);
}

Test(factor, speaks_only_in_its_time)
{
    load("\"schedule\": {\"time_zone\": \"Europe/Berlin\", \"calendars\": {\"feast\": [\"2026-12-24\", "
         "\"2026-12-26\"]}},",
         "{\"name\": \"f\", \"expression\": \"1.5\", \"when\": {\"weekdays\": [\"fri\", \"sat\"], \"hours\": "
         "[\"22:00\", \"02:00\"]}}, "
         "{\"name\": \"g\", \"expression\": \"1.5\", \"when\": {\"calendar\": \"feast\"}}, "
         "{\"name\": \"h\", \"expression\": \"1.5\", \"when\": {\"from\": \"2026-12-01\", \"until\": \"2027-01-01\", "
         "\"hours\": "
         "[\"17:00\", \"19:30\"]}}");
    static const struct {
        unsigned factor;
        int at[5];
        double value;
    } rows[] = {
        { 0, { 2026, 11, 27, 21, 59 }, 1 },  { 0, { 2026, 11, 27, 22, 0 }, 1.5 }, /* a Friday */
        { 0, { 2026, 11, 28, 1, 59 }, 1.5 }, { 0, { 2026, 11, 28, 2, 0 }, 1 },    { 0, { 2026, 11, 29, 1, 0 }, 1.5 },
        { 0, { 2026, 11, 29, 23, 0 }, 1 },   { 1, { 2026, 12, 24, 0, 0 }, 1.5 },  { 1, { 2026, 12, 25, 12, 0 }, 1 },
        { 2, { 2026, 11, 30, 18, 0 }, 1 },   { 2, { 2026, 12, 1, 17, 0 }, 1.5 },  { 2, { 2026, 12, 1, 19, 30 }, 1 },
        { 2, { 2026, 12, 31, 18, 0 }, 1.5 }, { 2, { 2027, 1, 1, 18, 0 }, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int *at = rows[i].at;
        bool known;
        in.local_ms = local(at[0], at[1], at[2], at[3], at[4]);
        cr_expect_eq((double)model_factor_value(&model, &model.factor[rows[i].factor], &in, &known) / 1e6,
                     rows[i].value, "%zu", i);
    }
    /* The clock of the model is Berlin's, whatever the zone's own offset says. */
    cr_expect_eq(model_local_ms(&model, local(2026, 7, 1, 12, 0), 480), local(2026, 7, 1, 14, 0));
}

/* Windows go by what the clock on the wall shows: what it skips never was, what it shows twice counts twice. Expected: by hand, from
 * the hours at which clocks are put on (Zurich 29 March, 01:00 UTC; New York 8 March, 07:00; Sydney 3 October, 16:00) and back. */
Test(factor, speaks_by_the_wall_clock_when_clocks_change)
{
    static const struct {
        const char *zone, *from, *until;
        int at[5]; /* UTC */
        double value;
    } rows[] = {
        /* begins within what is skipped: when clocks are put on */
        { "Europe/Zurich", "02:30", "05:00", { 2026, 3, 29, 0, 59 }, 1 },
        { "Europe/Zurich", "02:30", "05:00", { 2026, 3, 29, 1, 0 }, 1.5 },
        { "Europe/Zurich", "02:30", "05:00", { 2026, 3, 29, 2, 59 }, 1.5 },
        { "Europe/Zurich", "02:30", "05:00", { 2026, 3, 29, 3, 0 }, 1 },
        { "America/New_York", "02:30", "05:00", { 2026, 3, 8, 6, 59 }, 1 },
        { "America/New_York", "02:30", "05:00", { 2026, 3, 8, 7, 0 }, 1.5 },
        { "Australia/Sydney", "02:30", "05:00", { 2026, 10, 3, 15, 59 }, 1 },
        { "Australia/Sydney", "02:30", "05:00", { 2026, 10, 3, 16, 0 }, 1.5 },
        /* ends within it: when clocks are put on */
        { "Europe/Zurich", "01:00", "02:30", { 2026, 3, 29, 0, 59 }, 1.5 },
        { "Europe/Zurich", "01:00", "02:30", { 2026, 3, 29, 1, 0 }, 1 },
        /* lies within it: not on that day */
        { "Europe/Zurich", "02:15", "02:45", { 2026, 3, 29, 0, 59 }, 1 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 3, 29, 1, 0 }, 1 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 3, 29, 1, 15 }, 1 },
        /* shown twice: twice */
        { "Europe/Zurich", "02:15", "02:45", { 2026, 10, 25, 0, 14 }, 1 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 10, 25, 0, 15 }, 1.5 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 10, 25, 0, 45 }, 1 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 10, 25, 1, 15 }, 1.5 },
        { "Europe/Zurich", "02:15", "02:45", { 2026, 10, 25, 1, 45 }, 1 },
        { "America/New_York", "01:00", "02:00", { 2026, 11, 1, 5, 0 }, 1.5 },
        { "America/New_York", "01:00", "02:00", { 2026, 11, 1, 6, 59 }, 1.5 },
        { "America/New_York", "01:00", "02:00", { 2026, 11, 1, 7, 0 }, 1 },
        { "Australia/Sydney", "22:00", "02:30", { 2026, 4, 4, 15, 29 }, 1.5 }, /* over midnight */
        { "Australia/Sydney", "22:00", "02:30", { 2026, 4, 4, 15, 30 }, 1 },
        { "Australia/Sydney", "22:00", "02:30", { 2026, 4, 4, 16, 0 }, 1.5 },
        { "Australia/Sydney", "22:00", "02:30", { 2026, 4, 4, 16, 30 }, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char schedule[64], factor[128];
        const int *at = rows[i].at;
        bool known;
        (void)snprintf(schedule, sizeof schedule, "\"schedule\": {\"time_zone\": \"%s\"},", rows[i].zone);
        (void)snprintf(factor, sizeof factor,
                       "{\"name\": \"f\", \"expression\": \"1.5\", \"when\": {\"hours\": [\"%s\", \"%s\"]}}",
                       rows[i].from, rows[i].until);
        load(schedule, factor);
        in.local_ms = model_local_ms(&model, local(at[0], at[1], at[2], at[3], at[4]), 0);
        cr_expect_eq((double)model_factor_value(&model, &model.factor[0], &in, &known) / 1e6, rows[i].value, "%zu: %s",
                     i, rows[i].zone);
    }
}

/* Great-circle distances by the haversine formula in doubles. */
static double haversine_km(const int64_t a[2], const int64_t b[2])
{
    const double r = M_PI / 180 / 1e6;
    double u = sin((double)(b[0] - a[0]) * r / 2), v = sin((double)(b[1] - a[1]) * r / 2);
    return 2 * 6371.0088 * asin(sqrt(u * u + cos((double)a[0] * r) * cos((double)b[0] * r) * v * v));
}

Test(factor, distances_are_those_of_the_globe)
{
    uint64_t seed = 9;
    for (int i = 0; i < 20000; i++) {
        int64_t a[2] = { random_between(&seed, -65000000, 65000000), random_between(&seed, -180000000, 180000000) };
        int64_t b[2] = { a[0] + random_between(&seed, -1500000, 1500000),
                         a[1] + random_between(&seed, -1500000, 1500000) };
        if (b[1] > 180000000)
            b[1] -= 360000000;
        if (b[1] < -180000000)
            b[1] += 360000000;
        double exact = haversine_km(a, b);
        cr_assert_float_eq((double)distance_km_micro(a, b) / 1e6, exact, 0.0005 + exact * 1e-3);
    }
}

/* Goal: rise and dwell hold, and the waterfall of explain.h leads to this very price whatever kind of factor made it. */
Test(factor, rise_and_dwell_hold_and_are_explained)
{
    load("", "{\"name\": \"a\", \"expression\": \"1.013\"}, {\"name\": \"b\", \"input\": \"hour\", \"curve\": [[0, "
             "0.9], [24, 1.2]]}, "
             "{\"name\": \"c\", \"zones\": {\"c1\": 1.07}}");
    model.guard.step_micro = 50000;
    model.guard.step_interval_s = 60;
    model.guard.dead_band_micro = 5000;
    model.guard.settle_s = 3600;
    model.guard.dwell_s = 120;
    model.guard.rise_micro = 100000;
    model.guard.rise_window_s = 86400;
    model.guard.ceiling_micro = 1150000;
    model.ending_step = 10;
    model.ending_less = 1;
    uint64_t seed = 11;
    bool seen[EXPLAIN_OP_COUNT] = { false };
    for (int i = 0; i < 50000; i++) {
        struct price_result result;
        struct explain explain;
        in.list = random_between(&seed, 1, 100000);
        in.cost = random_next(&seed) % 4 ? -1 : random_between(&seed, 1, in.list);
        model.guard.margin_micro = random_next(&seed) % 2 ? -1 : 100000;
        in.present = random_next(&seed);
        in.input_micro[INPUT_hour] = random_between(&seed, 0, 24 * MICRO);
        in.published = random_next(&seed) % 3 ? random_between(&seed, in.list * 8 / 10 + 1, in.list * 12 / 10 + 1) : 0;
        in.published_list = in.list;
        in.now_ms = random_between(&seed, 1000000000000, 2000000000000);
        in.changed_ms = in.now_ms - random_between(&seed, 0, 200000);
        in.reference = random_next(&seed) % 2 ? random_between(&seed, in.list * 8 / 10 + 1, in.list * 12 / 10 + 1) : 0;
        in.reference_ms = in.now_ms;
        cr_assert_eq(model_price(&model, &in, &result), RIALTO_OK);
        cr_assert_eq(explain_baseline(&model, &in, result.baseline, result.guards, &explain), RIALTO_OK);
        cr_assert_eq(explain.step[explain.count - 1].minor, result.baseline);
        for (uint32_t s = 0; s < explain.count; s++)
            seen[explain.step[s].op] = true;
        if (in.published != 0 && in.reference != 0) /* at most a tenth above the price at the window's beginning */
            cr_assert(result.baseline <= result.floor || result.baseline * 10 <= in.reference * 11, "round %d", i);
        if (in.published != 0 && in.now_ms - in.changed_ms < 120000 && result.baseline != in.published)
            cr_assert(in.published < result.floor || in.published > result.ceiling ||
                      in.published * 10 > in.reference * 11 || result.reference != in.reference);
        if (in.published != 0)
            cr_assert_eq(result.reference, in.reference != 0 ? in.reference : in.published);
    }
    cr_expect(seen[EXPLAIN_largest_rise] && seen[EXPLAIN_dwell] && seen[EXPLAIN_dead_band] &&
              seen[EXPLAIN_largest_step]);
}

Test(factor, the_spread_between_customers_is_capped)
{
    load("", "");
    cr_expect_eq(model_personal_floor(&model, 999, 100, 2000), 100);
    model.guard.spread_micro = 100000;
    cr_expect_eq(model_personal_floor(&model, 999, 100, 2000), 900, "899.1 up");
    cr_expect_eq(model_personal_floor(&model, 999, 950, 2000), 950);
    model.guard.never_above = false;
    model.guard.personal_high_micro = 1050000;
    cr_expect_eq(model_personal_floor(&model, 1000, 100, 2000), 945, "nine tenths of 1050");
}

Test(factor, competitors_are_off_unless_switched_on)
{
    static const char text[] =
        "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, "
        "\"factors\": [{\"name\": \"f\", \"expression\": \"default(competitor_median, 1)\"}]}";
    struct fault fault;
    cr_assert_eq(model_parse(text, strlen(text), "m.json", &model, &fault), RIALTO_REFUSED);
    cr_expect_str_eq(fault.pointer, "/factors/0");
    load("\"competitors\": true,", "{\"name\": \"f\", \"expression\": \"default(competitor_median, 1)\"}");
}
