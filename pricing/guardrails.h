/* guardrails.h - bounds that no factor, rounding or ending may cross, and what keeps prices calm. Private to
 * pricing/. Pure. */
#ifndef PRICING_GUARDRAILS_H
#define PRICING_GUARDRAILS_H

#include "pricing/model.h"

struct bounds {
    int64_t floor, ceiling; /* minor units, 1 <= floor <= ceiling <= RIALTO_BOUND_MAX */
};

/* guard_bounds - floor and ceiling of a price. *ret_margin: the floor is the one that cost and margin ask for. False on
 * overflow: the list price or the floor is outside the range of money. */
bool guard_bounds(const struct model_guardrails *guard, const struct price_inputs *in, struct bounds *ret,
                  bool *ret_margin);

/* guard_step - the part of `bounds` that one step from the published price may reach now; `bounds` itself for a new
 * cell, a new list price or a model without a largest step. Never empty. */
struct bounds guard_step(const struct model *model, const struct price_inputs *in, struct bounds bounds);

/* guard_reference - the price at the beginning of the window that now lies in: the one kept in `in`, or the published one if that
 * is of an earlier window; 0 without a largest rise, or when this price follows on nothing. *ret_ms: a time within its window.
 * While a policy caps the rise its window is the only one, and a new list price does not begin another. */
int64_t guard_reference(const struct model_guardrails *guard, const struct price_inputs *in, int64_t *ret_ms);

/* guard_rise - the part of `bounds` below the largest rise over a reference price; the floor wins. */
struct bounds guard_rise(const struct model_guardrails *guard, const struct price_inputs *in, int64_t reference,
                         struct bounds bounds);

/* guard_has_rise - is there a largest rise, of the model or of a policy? Without one the two above are 0 and now, and `bounds`. */
static inline bool guard_has_rise(const struct model_guardrails *guard, const struct price_inputs *in)
{
    return guard->rise_window_s != 0 || in->cap != NULL;
}

/* guard_rests - does the published price stand instead of `amount`? GUARD_DWELL, GUARD_DEAD_BAND or 0. Only one that lies within
 * `bounds` can. */
uint32_t guard_rests(const struct model_guardrails *guard, const struct price_inputs *in, struct bounds bounds,
                     int64_t amount);
#endif
