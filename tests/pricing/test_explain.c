/* test_explain.c - the steps behind a price: they lead to the price, one after the other, over many random inputs. The
 * chain is followed here with exact rational arithmetic of its own (128-bit integers). */
#include "pricing/explain.h"

#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW_MS INT64_C(1761955200000)
#define ROUNDS 200000

static int128 exact(const struct explain_step *step)
{
    return (int128)step->minor * MICRO + step->micro;
}

/* |a x d - n| x 2 <= d: a is n / d to the nearest, whichever way a tie went. */
static bool is_nearest(int128 a, int128 n, int128 d)
{
    int128 off = a * d - n;
    return (off < 0 ? -off : off) * 2 <= d;
}

static bool follows(const struct explain_step *before, const struct explain_step *step)
{
    switch (step->op) {
    case EXPLAIN_factor: return is_nearest(exact(step), exact(before) * step->times_micro, MICRO);
    case EXPLAIN_personal: return exact(step) * MICRO == exact(before) * step->times_micro;
    case EXPLAIN_round: return step->micro == 0 && is_nearest(step->minor, exact(before), MICRO);
    case EXPLAIN_floor:
    case EXPLAIN_margin: return step->micro == 0 && exact(step) > exact(before);
    case EXPLAIN_ceiling:
    case EXPLAIN_lock:
    case EXPLAIN_never_above: return step->micro == 0 && exact(step) < exact(before);
    default: return true;
    }
}

static void check_chain(const struct explain *explain)
{
    cr_assert_gt(explain->count, 0);
    cr_assert_lt(explain->count, EXPLAIN_STEPS_MAX);
    for (uint32_t i = 1; i < explain->count; i++)
        cr_assert(follows(&explain->step[i - 1], &explain->step[i]), "step %u (%s) does not follow", i,
                  explain_op_name(explain->step[i].op));
}

static struct model random_model(uint64_t *state)
{
    struct model model = { .ending_step = (uint32_t)random_between(state, 1, 100) };
    model.ending_less = (uint32_t)random_between(state, 0, model.ending_step - 1);
    model.factor_count = (uint32_t)random_between(state, 0, MODEL_FACTORS_MAX);
    for (uint32_t i = 0; i < model.factor_count; i++) {
        struct model_factor *factor = &model.factor[i];
        factor->input = (enum model_input)random_between(state, 0, INPUT_COUNT - 1);
        factor->missing_micro = MICRO;
        factor->point_count = 2;
        factor->point[0] = (struct model_point){ 0, random_between(state, 700000, 1300000) };
        factor->point[1] = (struct model_point){ 5000000, random_between(state, 700000, 1300000) };
    }
    model.guard = (struct model_guardrails){ .floor_micro = random_between(state, 300000, 1000000),
                                             .ceiling_micro = random_between(state, 1000000, 2000000),
                                             .margin_micro = random_between(state, -1, 300000),
                                             .step_micro = random_between(state, 0, 1) * 50000,
                                             .step_interval_s = (uint32_t)random_between(state, 0, 2),
                                             .dead_band_micro = random_between(state, 0, 1) * 30000,
                                             .settle_s = 60,
                                             .dwell_s = (uint32_t)random_between(state, 0, 3) / 3,
                                             .rise_micro = 30000,
                                             .rise_window_s = (uint32_t)random_between(state, 0, 1) * 3600,
                                             .spread_micro = -1 };
    return model;
}

static struct price_inputs random_inputs(uint64_t *state)
{
    struct price_inputs in = { .list = random_between(state, 1, 100000),
                               .cost = random_between(state, -1, 80000),
                               .now_ms = NOW_MS,
                               .present = (uint32_t)random_next(state) };
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        in.input_micro[i] = random_between(state, 0, 5000000);
    in.published = random_between(state, 0, 100000);
    in.published_list = random_between(state, 0, 1) ? in.list : 1;
    in.changed_ms = NOW_MS - random_between(state, 0, 3000);
    in.reference = random_between(state, 0, 1) * in.published;
    in.reference_ms = NOW_MS;
    return in;
}

Test(explain, the_steps_of_a_baseline_lead_to_the_price_that_the_model_makes)
{
    uint64_t state = 4;
    uint32_t seen = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct model model = random_model(&state);
        struct price_inputs in = random_inputs(&state);
        struct price_result result;
        struct explain explain;
        cr_assert_eq(model_price(&model, &in, &result), RIALTO_OK);
        cr_assert_eq(explain_baseline(&model, &in, result.baseline, result.guards, &explain), RIALTO_OK);
        check_chain(&explain);
        const struct explain_step *last = &explain.step[explain.count - 1];
        cr_assert_eq(exact(&explain.step[0]), (int128)in.list * MICRO);
        cr_assert_eq(exact(last), (int128)result.baseline * MICRO, "the last step is not the price");
        for (uint32_t s = 0; s < explain.count; s++) {
            const struct explain_step *step = &explain.step[s];
            seen |= 1u << step->op;
            cr_assert_neq(step->op, EXPLAIN_waits, "a fresh price does not wait");
            if (step->op == EXPLAIN_factor)
                cr_assert_eq(step->times_micro, result.factor_micro[step->factor]);
            if (step->op == EXPLAIN_floor)
                cr_assert(result.guards & GUARD_FLOOR && step->minor == result.floor);
            if (step->op == EXPLAIN_margin)
                cr_assert(result.guards & GUARD_MARGIN && step->minor == result.floor);
            if (step->op == EXPLAIN_ceiling)
                cr_assert(result.guards & GUARD_CEILING && step->minor == result.ceiling);
            if (step->op == EXPLAIN_largest_step)
                cr_assert(result.guards & GUARD_STEP);
            if (step->op == EXPLAIN_dead_band)
                cr_assert(result.guards & GUARD_DEAD_BAND);
            if (step->op == EXPLAIN_largest_rise)
                cr_assert(result.guards & GUARD_RISE);
            if (step->op == EXPLAIN_dwell)
                cr_assert(result.guards & GUARD_DWELL);
        }
    }
    cr_assert_eq(seen, (1u << EXPLAIN_frozen) - 1, "only %x was met", seen); /* every kind of step up to frozen */
}

Test(explain, a_price_that_stands_for_no_known_reason_is_said_to_wait_and_a_frozen_one_to_be_frozen)
{
    struct model model = { .ending_step = 1,
                           .guard = { .floor_micro = MICRO / 2, .ceiling_micro = 2 * MICRO, .margin_micro = -1 } };
    struct price_inputs in = { .list = 1000, .cost = -1, .now_ms = NOW_MS };
    struct explain explain;
    cr_assert_eq(explain_baseline(&model, &in, 990, 0, &explain), RIALTO_OK);
    cr_assert_eq(explain.count, 2);
    cr_assert(explain.step[1].op == EXPLAIN_waits && explain.step[1].minor == 990);
    cr_assert_eq(explain_baseline(&model, &in, 990, GUARD_FROZEN | GUARD_FLOOR, &explain), RIALTO_OK);
    cr_assert(explain.step[1].op == EXPLAIN_frozen && explain.step[1].minor == 990);
    in.list = 0;
    struct explain untouched = explain;
    cr_assert_eq(explain_baseline(&model, &in, 990, 0, &explain), RIALTO_OVERFLOW);
    cr_assert_eq(memcmp(&untouched, &explain, sizeof explain), 0);
}

/* ---- one quote ----------------------------------------------------------------------------------------------------- */

static uint32_t random_time_s(uint64_t *state)
{
    const uint32_t now_s = (uint32_t)(NOW_MS / 1000);
    const uint32_t times[] = { 0, now_s - 900, now_s - 2, now_s + 2, now_s + 900 };
    return times[random_between(state, 0, 4)];
}

Test(explain, the_steps_of_a_quote_lead_to_its_amount)
{
    uint64_t state = 5;
    uint32_t seen = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t floor = random_between(&state, 1, 900), ceiling = random_between(&state, floor, 2000);
        struct rialto_cell_line cell = { .baseline = random_between(&state, floor, ceiling),
                                         .list = random_between(&state, 1, 2500),
                                         .lo_product = (uint64_t)floor | UINT64_C(0xABCD) << 48,
                                         .hi_place = (uint64_t)ceiling | UINT64_C(0x1234) << 48,
                                         .until_s = random_time_s(&state),
                                         .flags = (uint8_t)random_between(&state, 0, 3),
                                         .group = 2 };
        struct rialto_rule_row rule = { .currency_number = 826,
                                        .ending_step = (uint32_t)random_between(&state, 1, 50),
                                        .stale_limit_s = (uint32_t)random_between(&state, 0, 600) };
        struct rialto_terms_line terms = { .until_s = random_between(&state, 0, 3) ? 0 : random_time_s(&state),
                                           .group_map = 7,
                                           .consent = (uint8_t)random_between(&state, 0, 31) };
        terms.multiplier_e4[2] = (uint16_t)(random_between(&state, 0, 3) ? random_between(&state, 7000, 11000) : 10000);
        struct rialto_offer_line offer = { .kind = (uint8_t)random_between(&state, 0, 4),
                                           .value = random_between(&state, 0, 1500),
                                           .locked = random_between(&state, 0, 1) * random_between(&state, 1, 1500),
                                           .from_s = random_time_s(&state),
                                           .until_s = random_time_s(&state),
                                           .lock_until_s = random_time_s(&state),
                                           .currency = (uint16_t)random_between(&state, 825, 826),
                                           .flags = (uint8_t)random_between(&state, 0, 1),
                                           .kinds = (uint16_t)random_between(&state, 0, 8) };
        struct quote_inputs in = { .cell = &cell,
                                   .rule = &rule,
                                   .now_ms = NOW_MS,
                                   .stale_after_ms = 5000,
                                   .terms = random_between(&state, 0, 5) ? &terms : NULL,
                                   .offer = random_between(&state, 0, 1) ? &offer : NULL,
                                   .age_ms = (uint32_t)random_between(&state, 0, 6) * 1000,
                                   .personal_stale_ms = 5000,
                                   .group_map = (uint8_t)(random_between(&state, 0, 9) ? 7 : 6),
                                   .mode = random_between(&state, 0, 9) ? RIALTO_MODE_NORMAL : RIALTO_MODE_LIST };
        struct rialto_quote quote;
        struct explain explain = { .count = 1, .step = { { .op = EXPLAIN_list, .minor = cell.baseline } } };
        quote_compose(&in, &quote);
        explain_quote(&in, &explain);
        check_chain(&explain);
        cr_assert_eq(exact(&explain.step[explain.count - 1]), (int128)quote.amount * MICRO, "round %d", i);
        for (uint32_t s = 1; s < explain.count; s++)
            seen |= 1u << explain.step[s].op;
    }
    for (enum explain_op op = EXPLAIN_personal; op < EXPLAIN_OP_COUNT; op++)
        cr_assert(seen >> op & 1u, "%s was never met", explain_op_name(op));
}

Test(explain, every_step_has_a_name_and_a_text_of_its_own)
{
    for (enum explain_op op = 0; op < EXPLAIN_OP_COUNT; op++) {
        cr_assert_gt(strlen(explain_op_text(op)), 3);
        for (enum explain_op other = 0; other < op; other++)
            cr_assert_str_neq(explain_op_name(op), explain_op_name(other));
    }
}
