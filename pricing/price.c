/* price.c - list x factors, guardrails, ending: the baseline price of one product in one zone.
 *
 *   list --factors--> raw --bounds, rise, step, ending--> --dwell, dead band--> baseline
 *
 * docs/pricing.md states every rounding. Nothing here reads a clock, allocates or touches a global. */
#include "pricing/chain.h"
#include "pricing/guardrails.h"
#include "pricing/quote.h"

#include <string.h>

/* No model says more than 10.0. */
static int32_t factor_value(const struct model *model, uint32_t factor, const struct price_inputs *in)
{
    bool known;
    return (int32_t)clamp_i64(model_factor_value(model, &model->factor[factor], in, &known), 0, 10 * MICRO);
}

static void zone_ask(const struct model *model, const struct price_inputs *in, struct zone_memory *zone)
{
    memset(zone->value_micro, 0, sizeof zone->value_micro);
    for (uint32_t left = model->zone_factors; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        zone->value_micro[i] = factor_value(model, i, in);
    }
    zone->model = model;
}

/* Values of the factors that the mask names. How many there may be is known to the compiler, and that nothing overlaps: four a step. */
static inline void take_masked(int32_t *restrict values, const int32_t *restrict from, const int32_t *restrict mask)
{
    for (uint32_t i = 0; i < MODEL_FACTORS_MAX; i++)
        values[i] ^= (values[i] ^ from[i]) & mask[i];
}

/* Factors that look at nothing but their zone always come to the same in it. */
static void zone_factors(const struct model *model, const struct price_inputs *in, struct price_memory *memory)
{
    if (memory->zone->model != model)
        zone_ask(model, in, memory->zone);
    take_masked(memory->value_micro, memory->zone->value_micro, model->zone_mask);
}

/* What each factor comes to; those that look at nothing new come to what they came to. */
static void remember_factors(const struct model *model, const struct price_inputs *in, uint64_t differ,
                             struct price_memory *memory)
{
    uint32_t known = memory->zone == NULL ? 0 : model->zone_factors;
    if (differ == UINT64_MAX)
        memset(memory->value_micro, 0, sizeof memory->value_micro);
    if (memory->zone != NULL)
        zone_factors(model, in, memory);
    if (known != 0 && (differ & model->cell_looks) == 0)
        return;
    for (uint32_t left = ~known & ((UINT32_C(1) << model->factor_count) - 1); left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        if ((model->factor_looks[i] & differ) != 0 || differ == UINT64_MAX)
            memory->value_micro[i] = factor_value(model, i, in);
    }
}

static void remember_bounds(const struct model *model, const struct price_inputs *in, struct price_memory *memory)
{
    struct bounds bounds = { 0, 0 };
    memory->bounded = guard_bounds(&model->guard, in, &bounds, &memory->margin);
    memory->floor = bounds.floor;
    memory->ceiling = bounds.ceiling;
}

static int64_t ending_of(const struct model *model, int64_t amount, struct bounds bounds)
{
    if (model->ending_step <= 1) /* every amount is one: no call */
        return clamp_i64(amount, bounds.floor, bounds.ceiling);
    return ending_within(amount, model->ending_step, model->ending_less, bounds.floor, bounds.ceiling);
}

static uint32_t bounds_that_spoke(int64_t raw, struct bounds bounds, bool margin)
{
    if (raw < bounds.floor)
        return margin ? GUARD_MARGIN : GUARD_FLOOR;
    return raw > bounds.ceiling ? GUARD_CEILING : 0;
}

/* The price that is published, within the bounds, and no ending to ask for: no step leads away from it, and it does not rest. */
static bool stands(const struct model *model, const struct price_inputs *in, int64_t raw, struct bounds bounds)
{
    return raw == in->published && raw >= bounds.floor && raw <= bounds.ceiling && model->ending_step <= 1;
}

/* The raw price within all bounds that hold now, each one narrower than the one before, then the ending within the last. */
static void apply_bounds(const struct model *model, const struct price_inputs *in, struct bounds bounds, bool margin,
                         bool rises, struct price_result *result)
{
    if (!rises && stands(model, in, result->raw, bounds)) {
        result->baseline = result->raw;
        result->guards = 0;
        result->pending = false;
        return;
    }
    int64_t kept = clamp_i64(result->raw, bounds.floor, bounds.ceiling);
    result->guards = bounds_that_spoke(result->raw, bounds, margin);
    struct bounds rise = rises ? guard_rise(&model->guard, in, result->reference, bounds) : bounds;
    if (in->cap != NULL) /* the law's: no personal amount lies above it either */
        result->ceiling = rise.ceiling;
    int64_t risen = clamp_i64(kept, rise.floor, rise.ceiling);
    struct bounds step = guard_step(model, in, rise);
    int64_t stepped = clamp_i64(risen, step.floor, step.ceiling);
    result->baseline = ending_of(model, stepped, step);

    int64_t wanted = ending_of(model, kept, bounds); /* where the price would stand if nothing calmed it */
    int64_t unstepped = ending_of(model, risen, rise);
    if (unstepped != wanted)
        result->guards |= GUARD_RISE;
    if (result->baseline != unstepped)
        result->guards |= GUARD_STEP;
    uint32_t rests = guard_rests(&model->guard, in, rise, result->baseline);
    if (rests != 0) {
        result->baseline = in->published;
        result->guards |= rests;
    }
    result->pending = result->baseline != wanted;
}

/* `memory`: what each factor comes to, and the bounds. Every member of *ret is written once, and none before all is well. */
static enum rialto_status price(const struct model *model, const struct price_inputs *in,
                                const struct price_memory *memory, struct price_result *ret)
{
    struct bounds bounds = { memory->floor, memory->ceiling };
    int64_t raw;
    if (!memory->bounded || !chain_apply(in->list, memory->value_micro, model->factor_count, &raw))
        return RIALTO_OVERFLOW;
    ret->raw = raw;
    ret->floor = bounds.floor;
    ret->ceiling = bounds.ceiling;
    bool rises = guard_has_rise(&model->guard, in);
    ret->reference = 0;
    ret->reference_ms = in->now_ms;
    if (rises)
        ret->reference = guard_reference(&model->guard, in, &ret->reference_ms);
    apply_bounds(model, in, bounds, memory->margin, rises, ret);
    if (rises && ret->reference == 0)
        ret->reference = ret->baseline; /* a window that begins with the first price under this list price */
    return RIALTO_OK;
}

enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret)
{
    struct price_memory memory = { .model = model };
    for (uint32_t i = 0; i < model->factor_count; i++)
        memory.value_micro[i] = factor_value(model, i, in);
    remember_bounds(model, in, &memory);
    enum rialto_status status = price(model, in, &memory, ret);
    if (status == RIALTO_OK)
        memcpy(ret->factor_micro, memory.value_micro, sizeof ret->factor_micro);
    return status;
}

enum rialto_status model_price_like(const struct model *model, const struct price_inputs *in,
                                    struct price_memory *memory, struct price_result *ret)
{
    uint64_t differ = price_memory_differs(memory, model, in);
    remember_factors(model, in, differ, memory);
    if ((differ & LOOKS_MONEY) != 0)
        remember_bounds(model, in, memory);
    return price(model, in, memory, ret);
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
