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

/* As far as amounts in millionths fit into 64 bits, which those of shops do: the number of factors that they came through. */
static uint32_t apply_narrow(const struct model *model, const int64_t values[], int64_t *amount_micro)
{
    uint32_t i = 0;
    for (int64_t next = *amount_micro; i < model->factor_count; i++) {
        if (!mul_micro_narrow(next, values[i], &next))
            break;
        *amount_micro = next;
    }
    return i;
}

/* The list price through all factors, in millionths of a minor unit: only the end rounds to money. */
static bool apply_factors(const struct model *model, const struct price_inputs *in, const int64_t values[], int64_t *ret_raw)
{
    int64_t narrow = in->list;
    uint32_t done = 0;
    int128 amount_micro = (int128)in->list * MICRO;
    if (amount_micro <= INT64_MAX) {
        narrow = (int64_t)amount_micro;
        done = apply_narrow(model, values, &narrow);
        amount_micro = narrow;
    }
    for (uint32_t i = done; i < model->factor_count; i++) {
        if (values[i] != MICRO)
            amount_micro = div_half_even(amount_micro * values[i], MICRO);
        if (amount_micro > (int128)INT64_MAX * MICRO)
            return false;
    }
    *ret_raw = (int64_t)div_half_even(amount_micro, MICRO);
    return true;
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

/* `values`: what each factor comes to. Every member of *ret is written once, and none before all is well. */
static enum rialto_status price(const struct model *model, const struct price_inputs *in, const int64_t values[], struct price_result *ret)
{
    struct bounds bounds;
    bool margin;
    int64_t raw;
    if (!guard_bounds(&model->guard, in, &bounds, &margin) || !apply_factors(model, in, values, &raw))
        return RIALTO_OVERFLOW;
    for (uint32_t i = 0; i < MODEL_FACTORS_MAX; i++)
        ret->factor_micro[i] = i < model->factor_count ? values[i] : 0;
    ret->raw = raw;
    ret->floor = bounds.floor;
    ret->ceiling = bounds.ceiling;
    ret->reference = guard_reference(&model->guard, in, &ret->reference_ms);
    apply_bounds(model, in, bounds, margin, ret);
    if (guard_has_rise(&model->guard, in) && ret->reference == 0)
        ret->reference = ret->baseline; /* a window that begins with the first price under this list price */
    return RIALTO_OK;
}

enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret)
{
    int64_t values[MODEL_FACTORS_MAX];
    for (uint32_t i = 0; i < model->factor_count; i++)
        values[i] = factor_value(model, i, in);
    return price(model, in, values, ret);
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
