/* price.c - list x factors, guardrails, ending: the baseline price of one product in one zone.
 *
 *   list --factors--> raw --bounds, ending--> free price --largest step, dead band--> baseline
 *
 * docs/pricing.md states every rounding. Nothing here reads a clock, allocates or touches a global. */
#include "pricing/guardrails.h"
#include "pricing/quote.h"

/* The list price through all factors, in millionths of a minor unit: only the end rounds to money. */
static bool apply_factors(const struct model *model, const struct price_inputs *in, struct price_result *result)
{
    int128 amount_micro = (int128)in->list * MICRO;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        const struct model_factor *factor = &model->factor[i];
        bool known = (in->present >> factor->input) & 1u;
        int64_t value =
            known ? model_curve(factor->kind, factor->point_count, factor->point, in->input_micro[factor->input])
                  : MICRO;
        amount_micro = div_half_even(amount_micro * value, MICRO);
        if (amount_micro > (int128)INT64_MAX * MICRO)
            return false;
        result->factor_micro[i] = value;
    }
    result->raw = (int64_t)div_half_even(amount_micro, MICRO);
    return true;
}

static int64_t round_into(const struct model *model, int64_t amount, struct bounds bounds)
{
    return ending_within(clamp_i64(amount, bounds.floor, bounds.ceiling), model->ending_step, model->ending_less,
                         bounds.floor, bounds.ceiling);
}

static uint32_t bounds_that_spoke(int64_t raw, struct bounds bounds, bool margin)
{
    if (raw < bounds.floor)
        return margin ? GUARD_MARGIN : GUARD_FLOOR;
    return raw > bounds.ceiling ? GUARD_CEILING : 0;
}

enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret)
{
    struct price_result result = { .baseline = 0 };
    struct bounds bounds;
    bool margin;
    if (!guard_bounds(&model->guard, in, &bounds, &margin) || !apply_factors(model, in, &result))
        return RIALTO_OVERFLOW;
    result.floor = bounds.floor;
    result.ceiling = bounds.ceiling;
    result.guards = bounds_that_spoke(result.raw, bounds, margin);

    int64_t wanted = round_into(model, result.raw, bounds); /* where the price would stand if nothing calmed it */
    result.baseline = round_into(model, result.raw, guard_step(model, in, bounds));
    if (result.baseline != wanted)
        result.guards |= GUARD_STEP;
    if (guard_rests(&model->guard, in, bounds, result.baseline)) {
        result.baseline = in->published;
        result.guards |= GUARD_DEAD_BAND;
    }
    result.pending = result.baseline != wanted;
    *ret = result;
    return RIALTO_OK;
}
