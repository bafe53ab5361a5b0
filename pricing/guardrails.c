/* guardrails.c - floor, ceiling and margin; largest step and dead band.
 *
 * Bounds are rounded inwards (floor up, ceiling down), so that no minor unit slips through by rounding. Where they
 * contradict each other, the stronger promise wins: margin over ceiling, and bounds over step and dead band. */
#include "pricing/guardrails.h"

const char *const guard_names[GUARD_COUNT] = { "floor",     "ceiling", "margin",       "largest_step",
                                               "dead_band", "frozen",  "largest_rise", "dwell" };

bool guard_bounds(const struct model_guardrails *guard, const struct price_inputs *in, struct bounds *ret,
                  bool *ret_margin)
{
    if (in->list < 1 || in->list > RIALTO_BOUND_MAX)
        return false;
    int128 floor = div_up((int128)in->list * guard->floor_micro, MICRO);
    int128 ceiling = div_down((int128)in->list * guard->ceiling_micro, MICRO);
    if (ceiling > RIALTO_BOUND_MAX)
        ceiling = RIALTO_BOUND_MAX;
    *ret_margin = false;
    if (in->cost >= 0 && guard->margin_micro >= 0) {
        int128 least = div_up((int128)in->cost * ((int128)MICRO + guard->margin_micro), MICRO);
        *ret_margin = least > floor;
        if (least > floor)
            floor = least;
    }
    if (floor > RIALTO_BOUND_MAX)
        return false;
    *ret = (struct bounds){ .floor = (int64_t)floor, .ceiling = (int64_t)(ceiling < floor ? floor : ceiling) };
    return true;
}

/* Step and dead band speak about a change of one published price; a new list price starts afresh. */
static bool follows_on(const struct price_inputs *in)
{
    return in->published > 0 && in->published <= RIALTO_BOUND_MAX && in->published_list == in->list;
}

static bool within_ms(const struct price_inputs *in, uint32_t seconds)
{
    int128 since_ms = (int128)in->now_ms - in->changed_ms;
    return since_ms < (int128)seconds * 1000;
}

struct bounds guard_step(const struct model *model, const struct price_inputs *in, struct bounds bounds)
{
    const struct model_guardrails *guard = &model->guard;
    if (guard->step_micro <= 0 || !follows_on(in))
        return bounds;
    int64_t reach = 0;
    if (!within_ms(in, guard->step_interval_s)) {
        reach = (int64_t)div_down((int128)in->published * guard->step_micro, MICRO);
        /* A cheap product could never move if a step were smaller than the distance between two allowed amounts. */
        int64_t least = model->ending_step > 1 ? model->ending_step : 1;
        reach = reach > least ? reach : least;
    }
    return (struct bounds){ .floor = clamp_i64(in->published - reach, bounds.floor, bounds.ceiling),
                            .ceiling = clamp_i64(in->published + reach, bounds.floor, bounds.ceiling) };
}

/* Which window of `per` a time lies in; windows begin at multiples of it since 1970. */
static int64_t window_of(const struct model_guardrails *guard, int64_t ms)
{
    return ms / ((int64_t)guard->rise_window_s * 1000);
}

int64_t guard_reference(const struct model_guardrails *guard, const struct price_inputs *in, int64_t *ret_ms)
{
    *ret_ms = in->now_ms;
    bool kept = in->reference > 0 && in->reference <= RIALTO_BOUND_MAX;
    if (in->cap != NULL) {
        if (in->published <= 0 || in->published > RIALTO_BOUND_MAX)
            return 0;
        if (!kept || in->reference_ms < in->cap->from_ms)
            return in->published;
        *ret_ms = in->reference_ms;
        return in->reference;
    }
    if (guard->rise_window_s == 0 || !follows_on(in))
        return 0;
    if (!kept ||
        window_of(guard, in->reference_ms) != window_of(guard, in->now_ms))
        return in->published;
    *ret_ms = in->reference_ms;
    return in->reference;
}

struct bounds guard_rise(const struct model_guardrails *guard, const struct price_inputs *in, int64_t reference,
                         struct bounds bounds)
{
    if (!guard_has_rise(guard, in) || reference == 0)
        return bounds;
    int64_t rise = guard->rise_window_s != 0 ? guard->rise_micro : INT64_MAX - MICRO;
    if (in->cap != NULL && in->cap->rise_micro < rise)
        rise = in->cap->rise_micro;
    int128 most = (int128)reference * ((int128)MICRO + rise) / MICRO;
    int64_t ceiling = most < bounds.ceiling ? (int64_t)most : bounds.ceiling;
    return (struct bounds){ .floor = bounds.floor, .ceiling = ceiling < bounds.floor ? bounds.floor : ceiling };
}

uint32_t guard_rests(const struct model_guardrails *guard, const struct price_inputs *in, struct bounds bounds,
                     int64_t amount)
{
    if (!follows_on(in) || in->published < bounds.floor || in->published > bounds.ceiling || amount == in->published)
        return 0;
    if (within_ms(in, guard->dwell_s))
        return GUARD_DWELL;
    int128 distance = amount > in->published ? (int128)amount - in->published : (int128)in->published - amount;
    bool small = distance * MICRO < (int128)guard->dead_band_micro * in->published;
    return small && within_ms(in, guard->settle_s) ? GUARD_DEAD_BAND : 0;
}
