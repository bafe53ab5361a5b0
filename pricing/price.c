/* price.c - list x factors, guardrails, ending: the baseline price of one product in one zone.
 *
 *   list --factors--> raw --bounds, rise, step, ending--> --dwell, dead band--> baseline
 *
 * docs/pricing.md states every rounding. Nothing here reads a clock, allocates or touches a global. */
#include "pricing/guardrails.h"
#include "pricing/quote.h"

static int64_t factor_value(const struct model *model, uint32_t factor, const struct price_inputs *in)
{
    bool known;
    return model_factor_value(model, &model->factor[factor], in, &known);
}

/* A table of zones that speaks always says the same in one zone. */
static int64_t zone_factor_value(const struct model *model, uint32_t factor, const struct price_inputs *in,
                                 struct zone_memory *zone, bool fresh)
{
    if (zone == NULL || model->factor_looks[factor] != LOOKS_ZONE)
        return factor_value(model, factor, in);
    if (fresh)
        zone->value_micro[factor] = factor_value(model, factor, in);
    return zone->value_micro[factor];
}

/* What each factor comes to; those that look at nothing new come to what they came to. */
static void remember_factors(const struct model *model, const struct price_inputs *in, struct price_memory *memory)
{
    struct zone_memory *zone = memory->zone;
    uint64_t differ = price_memory_differs(memory, model, in);
    bool fresh = zone != NULL && zone->model != model;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        uint64_t looks = model->factor_looks[i];
        if ((looks & LOOKS_ZONE) != 0)
            memory->value_micro[i] = zone_factor_value(model, i, in, zone, fresh);
        else if ((looks & differ) != 0 || differ == UINT64_MAX)
            memory->value_micro[i] = factor_value(model, i, in);
    }
    if (zone != NULL)
        zone->model = model;
}

/* The list price through all factors, in millionths of a minor unit: only the end rounds to money. */
static bool apply_factors(const struct model *model, const struct price_inputs *in, const int64_t *values,
                          struct price_result *result)
{
    int128 amount_micro = (int128)in->list * MICRO;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        int64_t value = values != NULL ? values[i] : factor_value(model, i, in);
        if (value != MICRO)
            amount_micro = mul_micro_half_even(amount_micro, value);
        if (amount_micro > (int128)INT64_MAX * MICRO)
            return false;
        result->factor_micro[i] = value;
    }
    result->raw = (int64_t)div_half_even(amount_micro, MICRO);
    return true;
}

static int64_t ending_of(const struct model *model, int64_t amount, struct bounds bounds)
{
    return ending_within(amount, model->ending_step, model->ending_less, bounds.floor, bounds.ceiling);
}

static uint32_t bounds_that_spoke(int64_t raw, struct bounds bounds, bool margin)
{
    if (raw < bounds.floor)
        return margin ? GUARD_MARGIN : GUARD_FLOOR;
    return raw > bounds.ceiling ? GUARD_CEILING : 0;
}

/* The raw price within all bounds that hold now, each one narrower than the one before, then the ending within the last. */
static void apply_bounds(const struct model *model, const struct price_inputs *in, struct bounds bounds, bool margin,
                         struct price_result *result)
{
    int64_t kept = clamp_i64(result->raw, bounds.floor, bounds.ceiling);
    result->guards = bounds_that_spoke(result->raw, bounds, margin);

    struct bounds rise = guard_rise(&model->guard, in, result->reference, bounds);
    if (in->cap != NULL) /* the law's: no personal amount lies above it either */
        result->ceiling = rise.ceiling;
    int64_t risen = clamp_i64(kept, rise.floor, rise.ceiling);
    struct bounds step = guard_step(model, in, rise);
    int64_t stepped = clamp_i64(risen, step.floor, step.ceiling);
    result->baseline = ending_of(model, stepped, step);

    int64_t wanted = ending_of(model, kept, bounds); /* where the price would stand if nothing calmed it */
    if (ending_of(model, risen, rise) != wanted)
        result->guards |= GUARD_RISE;
    if (result->baseline != ending_of(model, risen, rise))
        result->guards |= GUARD_STEP;
    uint32_t rests = guard_rests(&model->guard, in, rise, result->baseline);
    if (rests != 0) {
        result->baseline = in->published;
        result->guards |= rests;
    }
    result->pending = result->baseline != wanted;
}

static enum rialto_status price(const struct model *model, const struct price_inputs *in, const int64_t *values,
                                struct price_result *ret)
{
    struct price_result result = { .baseline = 0 };
    struct bounds bounds;
    bool margin;
    if (!guard_bounds(&model->guard, in, &bounds, &margin) || !apply_factors(model, in, values, &result))
        return RIALTO_OVERFLOW;
    result.floor = bounds.floor;
    result.ceiling = bounds.ceiling;
    result.reference = guard_reference(&model->guard, in, &result.reference_ms);
    apply_bounds(model, in, bounds, margin, &result);
    if (guard_has_rise(&model->guard, in) && result.reference == 0)
        result.reference = result.baseline; /* a window that begins with the first price under this list price */
    *ret = result;
    return RIALTO_OK;
}

enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret)
{
    return price(model, in, NULL, ret);
}

enum rialto_status model_price_like(const struct model *model, const struct price_inputs *in,
                                    struct price_memory *memory, struct price_result *ret)
{
    remember_factors(model, in, memory);
    return price(model, in, memory->value_micro, ret);
}

/* The highest that a multiplier can make of a baseline. Readers know it in 1e-4. */
static int128 personal_high(const struct model *model, int64_t baseline, struct bounds bounds)
{
    int64_t multiplier_e4 = (int64_t)div_half_even(model->guard.personal_high_micro, MICRO / 10000);
    return ending_of(model, (int64_t)div_half_even((int128)baseline * multiplier_e4, 10000), bounds);
}

bool model_personal_never_above(const struct model *model, int64_t baseline, int64_t floor, int64_t ceiling)
{
    const struct model_guardrails *guard = &model->guard;
    if (guard->never_above || guard->spread_micro < 0)
        return guard->never_above;
    int128 high = personal_high(model, baseline, (struct bounds){ floor, ceiling });
    return high * (MICRO - guard->spread_micro) > (int128)baseline * MICRO;
}

int64_t model_personal_floor(const struct model *model, int64_t baseline, int64_t floor, int64_t ceiling)
{
    const struct model_guardrails *guard = &model->guard;
    if (guard->spread_micro < 0)
        return floor;
    int128 high = personal_high(model, baseline, (struct bounds){ floor, ceiling });
    if (high < baseline || model_personal_never_above(model, baseline, floor, ceiling))
        high = baseline;
    int64_t least = (int64_t)((high * (MICRO - guard->spread_micro) + MICRO - 1) / MICRO);
    return clamp_i64(least, floor, baseline);
}
