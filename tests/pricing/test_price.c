/* test_price.c - from list price to baseline: worked examples of every step in docs/pricing.md. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW_MS INT64_C(1761955200000)

/* A model without an opinion: wide bounds, every amount allowed. */
static struct model plain_model(void)
{
    return (struct model){ .guard = { .floor_micro = MICRO / 100,
                                      .ceiling_micro = 10 * MICRO,
                                      .margin_micro = -1,
                                      .personal_low_micro = MICRO,
                                      .personal_high_micro = MICRO },
                           .ending_step = 1 };
}

static void add_constant(struct model *model, enum model_input input, int64_t factor_micro)
{
    model->factor[model->factor_count++] = (struct model_factor){
        .input = input, .missing_micro = MICRO, .point_count = 1, .point = { { 0, factor_micro } }
    };
}

static struct price_inputs inputs_of(int64_t list)
{
    return (struct price_inputs){ .list = list, .cost = -1, .present = (UINT64_C(1) << INPUT_COUNT) - 1, .now_ms = NOW_MS };
}

static struct price_result priced(const struct model *model, const struct price_inputs *in)
{
    struct price_result result;
    cr_assert_eq(model_price(model, in, &result), RIALTO_OK);
    return result;
}

/* ---- factors -------------------------------------------------------------------------------------------- */

Test(price, without_factors_it_is_the_list_price)
{
    struct model model = plain_model();
    const int64_t lists[] = { 1, 2, 99, 499, 123456789, RIALTO_BOUND_MAX };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct price_inputs in = inputs_of(lists[i]);
        struct price_result result = priced(&model, &in);
        cr_assert_eq(result.baseline, lists[i]);
        cr_assert_eq(result.raw, lists[i]);
        cr_assert_eq(result.guards, 0);
        cr_assert(!result.pending);
    }
}

Test(price, factors_multiply_and_only_the_end_rounds_to_money)
{
    struct model model = plain_model();
    add_constant(&model, INPUT_demand_pressure, 1050000);
    add_constant(&model, INPUT_hour, 970000);
    struct price_inputs in = inputs_of(1000);
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1018, "1000 x 1.05 x 0.97 = 1018.5, half to even");
    cr_assert_eq(result.factor_micro[0], 1050000);
    cr_assert_eq(result.factor_micro[1], 970000);
    in = inputs_of(1001);
    cr_assert_eq(priced(&model, &in).baseline, 1020, "1019.5185");
}

Test(price, rounding_is_half_to_even)
{
    struct model model = plain_model();
    add_constant(&model, INPUT_hour, 500000);
    const int64_t lists[] = { 1, 3, 5, 7, 9, 10 }, expected[] = { 1, 2, 2, 4, 4, 5 }; /* 0.5 -> 0, but the floor is 1 */
    for (size_t i = 0; i < 6; i++) {
        struct price_inputs in = inputs_of(lists[i]);
        cr_assert_eq(priced(&model, &in).baseline, expected[i], "list %ld", (long)lists[i]);
    }
}

Test(price, a_missing_input_leaves_its_factor_at_one)
{
    struct model model = plain_model();
    add_constant(&model, INPUT_temperature_c, 1100000);
    add_constant(&model, INPUT_available, 1200000);
    struct price_inputs in = inputs_of(1000);
    in.present = UINT64_C(1) << INPUT_available;
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.factor_micro[0], MICRO);
    cr_assert_eq(result.baseline, 1200);
    in.present = 0;
    cr_assert_eq(priced(&model, &in).baseline, 1000);
}

/* ---- bounds --------------------------------------------------------------------------------------------- */

Test(price, bounds_are_rounded_inwards)
{
    struct model model = plain_model();
    model.guard.floor_micro = 700000;
    model.guard.ceiling_micro = 1300000;
    add_constant(&model, INPUT_hour, 100000);
    struct price_inputs in = inputs_of(999);
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.floor, 700, "999 x 0.7 = 699.3, up");
    cr_assert_eq(result.ceiling, 1298, "999 x 1.3 = 1298.7, down");
    cr_assert_eq(result.raw, 100);
    cr_assert_eq(result.baseline, 700);
    cr_assert_eq(result.guards, GUARD_FLOOR);
    model.factor[0].point[0].y_micro = 9 * MICRO;
    result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1298);
    cr_assert_eq(result.guards, GUARD_CEILING);
}

Test(price, margin_lifts_the_floor_and_wins_over_the_ceiling)
{
    struct model model = plain_model();
    model.guard.floor_micro = 500000;
    model.guard.ceiling_micro = 1200000;
    model.guard.margin_micro = 50000;
    add_constant(&model, INPUT_hour, 600000);
    struct price_inputs in = inputs_of(1000);
    cr_assert_eq(priced(&model, &in).baseline, 600, "no cost is known");
    in.cost = 801;
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.floor, 842, "801 x 1.05 = 841.05, up");
    cr_assert_eq(result.baseline, 842);
    cr_assert_eq(result.guards, GUARD_MARGIN);
    in.cost = 2000;
    result = priced(&model, &in);
    cr_assert_eq(result.floor, 2100);
    cr_assert_eq(result.ceiling, 2100);
    cr_assert_eq(result.baseline, 2100);
    model.guard.margin_micro = -1; /* a model without a margin does not look at the cost */
    cr_assert_eq(priced(&model, &in).baseline, 600);
}

Test(price, endings_stay_within_the_bounds)
{
    struct model model = plain_model();
    model.ending_step = 10;
    model.ending_less = 1;
    model.guard.floor_micro = 900000;
    model.guard.ceiling_micro = 1100000;
    struct price_inputs in = inputs_of(500);
    cr_assert_eq(priced(&model, &in).baseline, 499);
    add_constant(&model, INPUT_hour, 1300000);
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.baseline, 549, "the ceiling is 550, and 559 lies above it");
    in = inputs_of(5); /* bounds 5..5: no ending fits, the amount itself is clamped */
    result = priced(&model, &in);
    cr_assert_eq(result.baseline, 5);
}

Test(price, amounts_outside_the_range_of_money_are_an_error_and_leave_the_result_alone)
{
    struct model model = plain_model();
    struct price_result result = { .baseline = 77 };
    const int64_t lists[] = { 0, -1, INT64_MIN, RIALTO_BOUND_MAX + 1, INT64_MAX };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct price_inputs in = inputs_of(lists[i]);
        cr_assert_eq(model_price(&model, &in, &result), RIALTO_OVERFLOW);
    }
    model.guard.margin_micro = 0;
    struct price_inputs in = inputs_of(1000);
    in.cost = RIALTO_BOUND_MAX + 1;
    cr_assert_eq(model_price(&model, &in, &result), RIALTO_OVERFLOW);
    in.cost = INT64_MAX;
    cr_assert_eq(model_price(&model, &in, &result), RIALTO_OVERFLOW);
    cr_assert_eq(result.baseline, 77);

    in = inputs_of(RIALTO_BOUND_MAX); /* the ceiling is cut to what a cell can hold */
    result = priced(&model, &in);
    cr_assert_eq(result.ceiling, RIALTO_BOUND_MAX);
    for (int i = 0; i < 12; i++)
        add_constant(&model, INPUT_hour, 10 * MICRO);
    cr_assert_eq(model_price(&model, &in, &result), RIALTO_OVERFLOW, "2^48 x 10^12 is no amount");
    in = inputs_of(1000);
    cr_assert_eq(priced(&model, &in).baseline, 10000, "10^15 is one, and the ceiling brings it down");
}

/* ---- what keeps prices calm ------------------------------------------------------------------------------- */

static struct model stepping_model(int64_t step_micro, uint32_t interval_s)
{
    struct model model = plain_model();
    model.guard.step_micro = step_micro;
    model.guard.step_interval_s = interval_s;
    add_constant(&model, INPUT_hour, 1500000);
    return model;
}

static void publish(struct price_inputs *in, int64_t amount, int64_t changed_ms)
{
    in->published = amount;
    in->changed_ms = changed_ms;
    in->published_list = in->list;
}

Test(price, the_largest_step_is_taken_once_an_interval_until_the_price_is_there)
{
    struct model model = stepping_model(100000, 3600);
    struct price_inputs in = inputs_of(1000);
    publish(&in, 1000, NOW_MS);
    const int64_t expected[] = { 1100, 1210, 1331, 1464, 1500, 1500 };
    in.now_ms = NOW_MS + 3599999;
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1000, "a millisecond too early");
    cr_assert_eq(result.guards, GUARD_STEP);
    cr_assert(result.pending);
    for (int i = 0; i < 6; i++) {
        in.now_ms = in.changed_ms + 3600000;
        result = priced(&model, &in);
        cr_assert_eq(result.baseline, expected[i]);
        cr_assert_eq(result.pending, i < 4);
        cr_assert_eq(result.guards, i < 4 ? GUARD_STEP : 0u);
        publish(&in, result.baseline, in.now_ms);
    }
}

Test(price, a_new_cell_or_list_price_starts_afresh)
{
    struct model model = stepping_model(100000, 3600);
    struct price_inputs in = inputs_of(1000);
    cr_assert_eq(priced(&model, &in).baseline, 1500);
    publish(&in, 900, NOW_MS);
    in.list = 2000; /* published under 1000 */
    cr_assert_eq(priced(&model, &in).baseline, 3000);
}

Test(price, a_cheap_product_still_moves_by_one_ending)
{
    struct model model = stepping_model(50000, 0);
    struct price_inputs in = inputs_of(5);
    publish(&in, 5, NOW_MS);
    cr_assert_eq(priced(&model, &in).baseline, 6, "5 percent of 5 is less than a minor unit");
    model.ending_step = 10;
    model.ending_less = 1;
    in = inputs_of(100);
    publish(&in, 99, NOW_MS);
    cr_assert_eq(priced(&model, &in).baseline, 109, "5 percent of 99 is less than from one ending to the next");
}

Test(price, bounds_win_over_step_and_dead_band)
{
    struct model model = stepping_model(10000, 3600);
    model.guard.dead_band_micro = 500000;
    model.guard.settle_s = 3600;
    model.guard.margin_micro = 0;
    struct price_inputs in = inputs_of(1000);
    publish(&in, 1000, NOW_MS);
    in.cost = 1300;
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1300, "cost rose above the published price: no waiting");
    in.cost = -1;
    publish(&in, 20000, NOW_MS);
    cr_assert_eq(priced(&model, &in).baseline, 10000);
}

Test(price, small_changes_wait_until_the_price_has_rested)
{
    struct model model = plain_model();
    model.guard.dead_band_micro = 20000;
    model.guard.settle_s = 7200;
    add_constant(&model, INPUT_hour, 1010000);
    struct price_inputs in = inputs_of(1000);
    publish(&in, 1000, NOW_MS - 7199999);
    struct price_result result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1000);
    cr_assert_eq(result.guards, GUARD_DEAD_BAND);
    cr_assert(result.pending);
    in.changed_ms--;
    result = priced(&model, &in);
    cr_assert_eq(result.baseline, 1010, "it has rested long enough");
    cr_assert(!result.pending);
    in.changed_ms = NOW_MS;
    model.factor[0].point[0].y_micro = 1020000;
    cr_assert_eq(priced(&model, &in).baseline, 1020, "exactly the band is no small change");
}

Test(price, a_clock_that_went_back_holds_the_price)
{
    struct model model = stepping_model(100000, 60);
    struct price_inputs in = inputs_of(1000);
    publish(&in, 1000, INT64_MAX);
    in.now_ms = INT64_MIN;
    cr_assert_eq(priced(&model, &in).baseline, 1000);
}
