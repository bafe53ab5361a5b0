/* test_models.c - the models that come along, at stated points: what a pricing team reads off the file with a pocket calculator.
 * Prices of perishable stock come from the closed form of Gallego and van Ryzin, evaluated elsewhere in doubles. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOUR_MS   INT64_C(3600000)
#define DAY_MS    (24 * HOUR_MS)
#define SATURDAY  INT64_C(20785) /* 28 November 2026, in days since 1970 */
#define MINUTE_MS INT64_C(60000)

static struct model_set *set;

static void load_models(void)
{
    struct fault fault;
    cr_assert_eq(model_set_load("models", &set, &fault), RIALTO_OK, "%s", fault.reason);
}

static void free_models(void)
{
    model_set_free(set);
}

TestSuite(models, .init = load_models, .fini = free_models);

static const struct model *model_of(const char *name)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (strcmp(set->model[i].name, name) == 0)
            return &set->model[i];
    cr_assert_fail("no model %s", name);
    return NULL;
}

static struct price_inputs at_list(int64_t list)
{
    return (struct price_inputs){ .list = list, .cost = -1, .now_ms = SATURDAY * DAY_MS };
}

static void say(struct price_inputs *in, enum model_input input, double value)
{
    in->input_micro[input] = (int64_t)(value * (double)MICRO + 0.5);
    in->present |= UINT64_C(1) << input;
}

static int64_t price(const char *name, const struct price_inputs *in)
{
    struct price_result result;
    cr_assert_eq(model_price(model_of(name), in, &result), RIALTO_OK);
    return result.baseline;
}

struct said {
    enum model_input input;
    double value;
};

static int64_t price_at(const char *name, int64_t list, size_t count, const struct said said[])
{
    struct price_inputs in = at_list(list);
    for (size_t i = 0; i < count; i++)
        say(&in, said[i].input, said[i].value);
    return price(name, &in);
}

#define PRICE(name, list, ...)                                                                                         \
    price_at(name, list, sizeof((const struct said[]){ __VA_ARGS__ }) / sizeof(struct said),                           \
             (const struct said[]){ __VA_ARGS__ })

/* ---- groceries ------------------------------------------------------------------------------------------------------ */

Test(models, groceries_follow_the_weather)
{
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_temperature_c, 31 }), 990,
                 "half way from 28 to 34 degrees: 1 %% less");
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_temperature_c, 40 }), 980);
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_temperature_c, 20 }), 1000);
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_precipitation_mm_h, 1.5 }), 1020);
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_precipitation_mm_h, 0.59 }), 1000);
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_precipitation_mm_h, 0.6 }, { INPUT_hour, 19.5 }), 980,
                 "1.01 x 0.97 = 0.9797");
}

/* 8 left, 6 hours, 10 orders a day: 10 e^1.5 = 44.8 would come for nothing in a day. p = 0.689984 of list. */
Test(models, groceries_clear_what_perishes)
{
    cr_expect_eq(
        PRICE("groceries", 1000, { INPUT_available, 8 }, { INPUT_orders_per_day, 10 }, { INPUT_hours_to_expiry, 6 }),
        690);
    cr_expect_eq(
        PRICE("groceries", 1000, { INPUT_available, 3 }, { INPUT_orders_per_day, 10 }, { INPUT_hours_to_expiry, 6 }),
        1080, "0.689984 becomes 1.079355 when only three are left");
    cr_expect_eq(
        PRICE("groceries", 1000, { INPUT_available, 2 }, { INPUT_orders_per_day, 10 }, { INPUT_hours_to_expiry, 24 }),
        1150, "2.114392, and the ceiling");
    cr_expect_eq(
        PRICE("groceries", 1000, { INPUT_available, 20 }, { INPUT_orders_per_day, 0 }, { INPUT_hours_to_expiry, 3 }),
        670, "more than anybody wants: 1 / 1.5, to the jiao");
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_available, 20 }, { INPUT_orders_per_day, 10 }), 1000,
                 "nobody said when it ends");
}

Test(models, groceries_give_promotions_at_face_value_and_never_less_than_the_floor)
{
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_promotion, 0.8 }, { INPUT_temperature_c, 34 }), 780, "784");
    cr_expect_eq(PRICE("groceries", 1000, { INPUT_promotion, 0.3 }), 400);
}

/* ---- gifts ------------------------------------------------------------------------------------------------------------ */

Test(models, gifts_follow_demand_gently)
{
    cr_expect_eq(PRICE("gifts", 400, { INPUT_demand_pressure, 1.4 }), 400);
    cr_expect_eq(PRICE("gifts", 400, { INPUT_demand_pressure, 2.2 }), 412, "half way from 1.4 to 3: 3 %%");
    cr_expect_eq(PRICE("gifts", 400, { INPUT_demand_pressure, 3 }), 424);
    cr_expect_eq(PRICE("gifts", 400, { INPUT_demand_pressure, 50 }), 432);
    cr_expect_eq(PRICE("gifts", 400, { INPUT_demand_pressure, 0.5 }), 392, "half way from 0.3 to 0.7");
    struct price_inputs in = at_list(400);
    say(&in, INPUT_demand_pressure, 0.3);
    in.cost = 390;
    cr_expect_eq(price("gifts", &in), 410, "5 %% over cost: 409.5, upwards");
}

static int multiplier(uint8_t consent, const char *tier, const char *segment, int64_t pounds)
{
    struct terms_inputs in = { .consent = consent, .spend_micro = pounds * MICRO, .now_ms = SATURDAY * DAY_MS };
    uint16_t multiplier_e4[RIALTO_GROUPS_MAX], kinds;
    char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX] = { { 0 } };
    uint8_t count = 0;
    struct fault fault;
    (void)strcpy(in.tier, tier);
    (void)strcpy(in.segment[0], segment);
    (void)strcpy(in.spend_currency, pounds > 0 ? "GBP" : "");
    in.segment_count = segment[0] != '\0';
    cr_assert_eq(model_set_number_groups(set, groups, &count, &fault), RIALTO_OK);
    model_terms(set, &in, multiplier_e4, &kinds);
    return multiplier_e4[model_of("gifts")->group];
}

Test(models, gifts_cost_loyal_customers_less_with_their_consent)
{
    const uint8_t both = RIALTO_KIND_PROFILE | RIALTO_KIND_PURCHASES;
    cr_expect_eq(multiplier(both, "gold", "", 0), 9500);
    cr_expect_eq(multiplier(both, "gold", "family", 1000), 9031, "0.95 x 0.97 x 0.98 = 0.90307");
    cr_expect_eq(multiplier(both, "gold", "family", 20000), 8800, "0.875425, and the bound of all of it");
    cr_expect_eq(multiplier(both, "", "", 625), 9900, "half way from 250 to 1,000 pounds");
    cr_expect_eq(multiplier(RIALTO_KIND_PURCHASES, "gold", "family", 1000), 9800, "profile is not permitted");
    cr_expect_eq(multiplier(0, "gold", "family", 20000), 10000);
}

/* ---- rides -------------------------------------------------------------------------------------------------------------- */

Test(models, rides_surge_by_requests_for_each_free_car)
{
    cr_expect_eq(PRICE("rides", 200, { INPUT_orders_per_day, 960 }, { INPUT_available, 20 }), 200,
                 "40 an hour for 20 cars: two each");
    cr_expect_eq(PRICE("rides", 200, { INPUT_orders_per_day, 960 }, { INPUT_available, 10 }), 280,
                 "four each: 1 + 0.2 x 2");
    cr_expect_eq(PRICE("rides", 200, { INPUT_orders_per_day, 960 }, { INPUT_available, 0 }), 400, "double at most");
    cr_expect_eq(PRICE("rides", 200, { INPUT_orders_per_day, 960 }), 200, "nobody counted the cars");
    cr_expect_eq(
        PRICE("rides", 200, { INPUT_orders_per_day, 960 }, { INPUT_available, 10 }, { INPUT_precipitation_mm_h, 0.5 }),
        295, "1.4 x 1.05 = 1.47: 294, to 5 cents");
    cr_expect_eq(PRICE("rides", 200, { INPUT_orders_per_day, 960 }, { INPUT_available, 0 },
                       { INPUT_precipitation_mm_h, 9 }, { INPUT_demand_pressure, 6 }),
                 500, "2 x 1.15 x 1.1 = 2.53, and the ceiling");
}

static int64_t ride_at(int64_t day, int64_t hour)
{
    struct price_inputs in = at_list(200);
    in.local_ms = day * DAY_MS + hour * HOUR_MS;
    return price("rides", &in);
}

Test(models, rides_cost_more_at_night_far_out_and_at_the_airport)
{
    cr_expect_eq(ride_at(SATURDAY, 21), 200);
    cr_expect_eq(ride_at(SATURDAY, 22), 220);
    cr_expect_eq(ride_at(SATURDAY + 1, 4), 220, "Sunday before five belongs to Saturday's night");
    cr_expect_eq(ride_at(SATURDAY + 1, 5), 200);
    cr_expect_eq(ride_at(SATURDAY + 1, 23), 200);
    cr_expect_eq(PRICE("rides", 200, { INPUT_distance_km, 20 }), 220, "half way from 10 to 30 km");
    static const char airport[2][RIALTO_ID_MAX] = { "gh:u287h", "gh:u28" },
                      other[2][RIALTO_ID_MAX] = { "gh:u281z", "gh:u28" };
    struct price_inputs in = at_list(200);
    in.zone_count = 2;
    in.zone = airport;
    cr_expect_eq(price("rides", &in), 220);
    in.zone = other;
    cr_expect_eq(price("rides", &in), 200);
}

Test(models, rides_climb_slowly)
{
    struct price_inputs in = at_list(200);
    say(&in, INPUT_orders_per_day, 960);
    say(&in, INPUT_available, 0);
    in.published = in.published_list = 200;
    in.changed_ms = in.now_ms - 2 * MINUTE_MS;
    cr_expect_eq(price("rides", &in), 250, "a quarter at once");
    in.changed_ms = in.now_ms - 30000;
    cr_expect_eq(price("rides", &in), 200, "once a minute");
    in.published = 300;
    in.changed_ms = in.now_ms - 2 * MINUTE_MS;
    in.reference = 200;
    in.reference_ms = in.now_ms;
    cr_expect_eq(price("rides", &in), 320, "60 %% over the price at the beginning of the quarter of an hour");
}
