/* explain.c - the steps behind a price. It walks the same way as model_price() and quote_compose() and writes down what
 * they only compute; tests hold the two together over millions of inputs. */
#include "pricing/explain.h"

#include "pricing/guardrails.h"

#include <string.h>

#define E4         10000
#define KINDS_MASK 0x00FFu

static struct explain_step *add(struct explain *explain, enum explain_op op, int64_t minor)
{
    struct explain_step *step = &explain->step[explain->count];
    if (explain->count < EXPLAIN_STEPS_MAX - 1)
        explain->count++;
    *step = (struct explain_step){ .op = op, .times_micro = MICRO, .minor = minor };
    return step;
}

static void add_exact(struct explain *explain, enum explain_op op, int128 micro, int64_t times_micro)
{
    struct explain_step *step = add(explain, op, (int64_t)(micro / MICRO));
    step->micro = (int32_t)(micro % MICRO);
    step->times_micro = times_micro;
}

/* A step that leaves the amount where it is says nothing. */
static void add_if_moved(struct explain *explain, enum explain_op op, int64_t *amount, int64_t to)
{
    if (to != *amount)
        (void)add(explain, op, to);
    *amount = to;
}

static void round_last(struct explain *explain, int64_t to)
{
    if (explain->step[explain->count - 1].micro != 0)
        (void)add(explain, EXPLAIN_round, to);
}

static bool add_factors(const struct explain_made *made, struct explain *explain, int64_t *ret_raw)
{
    int128 amount_micro = (int128)made->list * MICRO;
    (void)add(explain, EXPLAIN_list, made->list);
    for (uint32_t i = 0; i < made->factor_count && i < MODEL_FACTORS_MAX; i++) {
        amount_micro = div_half_even(amount_micro * made->factor_micro[i], MICRO);
        if (amount_micro > (int128)INT64_MAX * MICRO)
            return false;
        add_exact(explain, EXPLAIN_factor, amount_micro, made->factor_micro[i]);
        explain->step[explain->count - 1].factor = i;
    }
    *ret_raw = (int64_t)div_half_even(amount_micro, MICRO);
    round_last(explain, *ret_raw);
    return true;
}

static void add_bounds(struct explain *explain, int64_t *amount, struct bounds bounds, enum explain_op below)
{
    int64_t inside = clamp_i64(*amount, bounds.floor, bounds.ceiling);
    add_if_moved(explain, inside > *amount ? below : EXPLAIN_ceiling, amount, inside);
}

static enum explain_op held_by(uint32_t guards)
{
    if (guards & GUARD_FROZEN)
        return EXPLAIN_frozen;
    if (guards & GUARD_DWELL)
        return EXPLAIN_dwell;
    if (guards & GUARD_DEAD_BAND)
        return EXPLAIN_dead_band;
    if (guards & GUARD_RISE)
        return EXPLAIN_largest_rise;
    return guards & GUARD_STEP ? EXPLAIN_largest_step : EXPLAIN_waits;
}

enum rialto_status explain_made(const struct explain_made *made, int64_t published, uint32_t guards, struct explain *ret)
{
    struct explain explain = { .count = 0 };
    struct bounds bounds = { .floor = made->floor, .ceiling = made->ceiling };
    int64_t amount;
    if (!add_factors(made, &explain, &amount))
        return RIALTO_OVERFLOW;
    add_bounds(&explain, &amount, bounds, made->margin ? EXPLAIN_margin : EXPLAIN_floor);
    add_if_moved(&explain, EXPLAIN_ending, &amount,
                 ending_within(amount, made->ending_step, made->ending_less, bounds.floor, bounds.ceiling));
    add_if_moved(&explain, held_by(guards), &amount, published);
    *ret = explain;
    return RIALTO_OK;
}

enum rialto_status explain_baseline(const struct model *model, const struct price_inputs *in, int64_t published,
                                    uint32_t guards, struct explain *ret)
{
    struct explain_made made = { .list = in->list, .ending_step = model->ending_step, .ending_less = model->ending_less,
                                 .factor_count = model->factor_count };
    struct bounds bounds;
    if (!guard_bounds(&model->guard, in, &bounds, &made.margin))
        return RIALTO_OVERFLOW;
    made.floor = bounds.floor;
    made.ceiling = bounds.ceiling;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        bool known;
        made.factor_micro[i] = model_factor_value(model, &model->factor[i], in, &known);
    }
    return explain_made(&made, published, guards, ret);
}

/* ---- one quote --------------------------------------------------------------------------------------------------- */

static bool passed(uint32_t until_s, int64_t now_ms)
{
    return until_s != 0 && now_ms >= (int64_t)until_s * 1000;
}

static struct bounds bounds_of(const struct rialto_cell_line *cell)
{
    return (struct bounds){ .floor = (int64_t)(cell->lo_product & (uint64_t)RIALTO_BOUND_MAX),
                            .ceiling = (int64_t)(cell->hi_place & (uint64_t)RIALTO_BOUND_MAX) };
}

/* amount x e4 / 10000: exact first, then rounded. */
static int64_t add_scaled(struct explain *explain, enum explain_op op, int64_t amount, int64_t e4)
{
    int128 micro = (int128)amount * e4 * (MICRO / E4);
    int64_t rounded = (int64_t)div_half_even(micro, MICRO);
    add_exact(explain, op, micro, e4 * (MICRO / E4));
    round_last(explain, rounded);
    return rounded;
}

static void add_terms(const struct quote_inputs *in, struct explain *explain, int64_t *amount)
{
    uint16_t m = in->terms->multiplier_e4[in->cell->group % RIALTO_GROUPS_MAX];
    struct bounds bounds = bounds_of(in->cell);
    if (m == E4)
        return;
    *amount = add_scaled(explain, EXPLAIN_personal, in->cell->baseline, m);
    add_bounds(explain, amount, bounds, EXPLAIN_floor);
    add_if_moved(explain, EXPLAIN_ending, amount,
                 ending_within(*amount, in->rule->ending_step, in->rule->ending_less, bounds.floor, bounds.ceiling));
}

static void add_offer(const struct quote_inputs *in, struct explain *explain, int64_t *amount)
{
    const struct rialto_offer_line *offer = in->offer;
    bool money = offer->kind == RIALTO_OFFER_FIXED || offer->kind == RIALTO_OFFER_AMOUNT_OFF;
    if (offer->kind == RIALTO_OFFER_NONE || offer->kind > RIALTO_OFFER_AMOUNT_OFF ||
        passed(offer->until_s, in->now_ms) || (money && offer->currency != in->rule->currency_number) ||
        in->now_ms < (int64_t)offer->from_s * 1000)
        return;
    bool stackable = (offer->flags & RIALTO_OFFER_STACKABLE) != 0 && offer->kind != RIALTO_OFFER_FIXED;
    int64_t from = stackable ? *amount : in->cell->baseline;
    if (offer->kind == RIALTO_OFFER_PERCENT) {
        *amount = add_scaled(explain, EXPLAIN_offer, from, E4 - clamp_i64(offer->value, 0, E4));
    } else {
        bool fixed = offer->kind == RIALTO_OFFER_FIXED;
        *amount = fixed ? offer->value : from - clamp_i64(offer->value, 0, RIALTO_BOUND_MAX);
        (void)add(explain, EXPLAIN_offer, *amount);
    }
    add_bounds(explain, amount, bounds_of(in->cell), EXPLAIN_floor);
}

static void add_lock(const struct quote_inputs *in, struct explain *explain, int64_t *amount)
{
    const struct rialto_offer_line *offer = in->offer;
    if (offer->locked > 0 && !passed(offer->lock_until_s, in->now_ms) && offer->currency == in->rule->currency_number &&
        offer->locked < *amount)
        add_if_moved(explain, EXPLAIN_lock, amount, offer->locked);
}

static void add_personal(const struct quote_inputs *in, struct explain *explain, int64_t *amount)
{
    bool usable = in->terms != NULL && !passed(in->terms->until_s, in->now_ms) &&
                  in->terms->group_map == in->group_map && in->terms_age_ms <= in->personal_stale_ms;
    if (!usable)
        return;
    add_terms(in, explain, amount);
    if (in->offer != NULL && (in->offer->kinds & KINDS_MASK & ~in->terms->consent) == 0)
        add_offer(in, explain, amount);
}

static void add_age(const struct quote_inputs *in, struct explain *explain, int64_t *amount)
{
    int64_t age_ms = in->age_ms, ceiling = bounds_of(in->cell).ceiling, list = in->cell->list;
    bool late = passed(in->cell->until_s, in->now_ms);
    if (late) {
        int64_t past_ms = in->now_ms - (int64_t)in->cell->until_s * 1000;
        age_ms = past_ms > age_ms ? past_ms : age_ms;
    }
    bool limit = in->rule->stale_limit_s != 0 && age_ms > (int64_t)in->rule->stale_limit_s * 1000;
    if (limit)
        add_if_moved(explain, EXPLAIN_stale, amount, list < ceiling ? list : ceiling);
    else if ((late || in->age_ms > in->stale_after_ms) && list < *amount)
        add_if_moved(explain, EXPLAIN_stale, amount, list);
}

void explain_quote(const struct quote_inputs *in, struct explain *ret)
{
    int64_t amount = in->cell->baseline, ceiling = bounds_of(in->cell).ceiling;
    add_personal(in, ret, &amount);
    if ((in->cell->flags & RIALTO_CELL_NEVER_ABOVE) != 0 && amount > in->cell->baseline)
        add_if_moved(ret, EXPLAIN_never_above, &amount, in->cell->baseline);
    add_age(in, ret, &amount);
    if (in->mode == RIALTO_MODE_LIST)
        add_if_moved(ret, EXPLAIN_list_mode, &amount, in->cell->list < ceiling ? in->cell->list : ceiling);
    if (in->terms != NULL && in->offer != NULL)
        add_lock(in, ret, &amount);
}

const char *explain_op_name(enum explain_op op)
{
#define NAME_(name, text) #name,
    static const char *const NAME[] = { EXPLAIN_OPS(NAME_) };
#undef NAME_
    return NAME[op];
}

const char *explain_op_text(enum explain_op op)
{
#define TEXT_(name, text) text,
    static const char *const TEXT[] = { EXPLAIN_OPS(TEXT_) };
#undef TEXT_
    return TEXT[op];
}
