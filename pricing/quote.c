/* quote.c - the arithmetic of one quote. Its steps are in quote_steps.h. */
#include "pricing/quote.h"

#include "pricing/quote_steps.h"

#define ENDING_MAX (INT64_C(1) << 62) /* beyond it no amount is money, and sums could overflow */

int64_t ending_within(int64_t amount, uint32_t step, uint32_t less, int64_t floor, int64_t ceiling)
{
    int64_t inside = clamp_i64(amount, floor, ceiling);
    if (step <= 1 || inside > ENDING_MAX || inside < -ENDING_MAX)
        return inside;
    int64_t rest = (inside + less) % step;
    return ending_near(inside, rest < 0 ? rest + step : rest, step, less, floor, ceiling);
}

/* Terms that rest on a kind of data that may move no price here are not looked at, whatever else they rest on. */
static bool terms_usable(const struct quote_inputs *in)
{
    return in->terms != NULL && (in->terms->kinds & in->rule->forbidden) == 0 &&
           !passed(in->terms->until_s, in->now_ms) && in->terms->group_map == in->group_map &&
           in->terms_age_ms <= in->personal_stale_ms;
}

void quote_share(const struct quote_inputs *in, struct quote_shared *ret)
{
    bool usable = in->terms != NULL && terms_usable(in);
    uint32_t step = in->rule->ending_step;
    int64_t limit_ms = (int64_t)in->rule->stale_limit_s * 1000;
    *ret = (struct quote_shared){
        .terms = usable ? in->terms : NULL,
        .terms_until_ms = usable ? (int64_t)in->terms->until_s * 1000 : 0,
        .ending_step = step,
        .ending_less = in->rule->ending_less,
        .ending_inverse = step > 1 ? UINT64_MAX / step : 0,
        .fresh_ms = limit_ms != 0 && limit_ms < in->stale_after_ms ? (uint32_t)limit_ms : in->stale_after_ms,
        .flags = in->terms == NULL ? RIALTO_FLAG_ANONYMOUS
                 : usable          ? 0
                                   : RIALTO_FLAG_NEUTRAL,
        .used = (uint8_t)(in->zone_kinds | (usable ? in->terms->kinds & in->rule->reads : 0)),
    };
}

void quote_alike(const struct quote_inputs *in, const struct quote_shared *shared, struct rialto_quote *ret)
{
    ret->rule = in->cell->rule;
    ret->disclosure = disclosure_of(in->rule, shared->used);
    ret->used = shared->used;
    ret->decimals = in->rule->decimals;
    memcpy(ret->currency, in->rule->currency, sizeof ret->currency);
    ret->currency[sizeof ret->currency - 1] = '\0';
}

void quote_compose_alike(const struct quote_inputs *in, const struct quote_shared *shared, struct rialto_quote *ret)
{
    struct draft draft = quote_draft(in, shared, false);
    hand_out(in, &draft, ret);
    ret->flags = draft.flags;
    ret->disclosure = disclosure_of(in->rule, draft.used);
    ret->used = (uint8_t)draft.used;
}

void quote_compose(const struct quote_inputs *in, struct rialto_quote *ret)
{
    struct quote_shared shared;
    quote_share(in, &shared);
    quote_alike(in, &shared, ret);
    quote_compose_alike(in, &shared, ret);
}
