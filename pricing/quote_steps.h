/* quote_steps.h - the steps of a quote's arithmetic, for who makes many quotes in a row: quote.h says what they do. A flat list
 * of steps, each of which may change the amount and says so in flags. */
#ifndef PRICING_QUOTE_STEPS_H
#define PRICING_QUOTE_STEPS_H

#include "pricing/fixed.h"
#include "pricing/quote.h"

#include <string.h>

#define NEUTRAL_E4 10000
#define KINDS_MASK 0x00FFu /* RIALTO_KIND_* in a field that carries other bits too */
/* What the steps work on: with all of them in one function the compiler keeps it in registers. */
#define STEP       static inline __attribute__((always_inline))
#define MADE_BY    (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER | RIALTO_FLAG_LOCK | RIALTO_FLAG_BOUNDED)

struct draft {
    int64_t amount, baseline, list, floor, ceiling, valid_until_ms;
    uint32_t age_ms, flags, multiplier_e4, kinds, used;
};

STEP bool passed(uint32_t until_s, int64_t now_ms)
{
    return until_s != 0 && now_ms >= (int64_t)until_s * 1000;
}

static __attribute__((noinline, cold)) int64_t scaled_wide_e4(int64_t amount, int64_t e4)
{
    return (int64_t)div_half_even((int128)amount * e4, NEUTRAL_E4);
}

/* amount x e4 / 10000, half to even; 0 <= e4 < 2^17. Most products are not negative and fit 63 bits, where dividing is several
 * times faster. */
STEP int64_t scaled_e4(int64_t amount, int64_t e4)
{
    int64_t product = 0;
    if (__builtin_expect(__builtin_mul_overflow(amount, e4, &product) || product < 0, 0))
        return scaled_wide_e4(amount, e4);
    uint64_t raised = (uint64_t)product + NEUTRAL_E4 / 2, quotient = raised / NEUTRAL_E4;
    /* Half up, and then back where it was a half and came out odd. No branch: which way an amount is rounded cannot be guessed. */
    return (int64_t)(quotient - ((raised == quotient * NEUTRAL_E4) & quotient & 1));
}

/* The earlier of two deadlines in ms, where 0 is none. */
STEP int64_t sooner(int64_t a_ms, uint32_t b_s)
{
    int64_t b_ms = (int64_t)b_s * 1000;
    return b_ms == 0 || (a_ms != 0 && a_ms < b_ms) ? a_ms : b_ms;
}

/* The ending nearest to an amount that lies in [floor, ceiling], where a bound or the smallest ending may be in the way; step > 1.
 * `rest` is that of amount + less divided by step. Of a set within [floor, ceiling] the member nearest to any amount is also
 * nearest to the clamped one. */
static __attribute__((noinline, cold)) int64_t ending_near(int64_t inside, int64_t rest, int64_t step, int64_t less,
                                                           int64_t floor, int64_t ceiling)
{
    /* The neighbours k * step - less on both sides. */
    int64_t lower = inside - rest, upper = lower + step;
    bool lower_fits = lower >= floor;
    if (lower + less < step) { /* its k would be less than 1: the first that there is lies above */
        lower_fits = false;
        upper = step - less;
    }
    bool upper_fits = upper >= floor && upper <= ceiling;
    if (lower_fits && upper_fits)
        return inside - lower <= upper - inside ? lower : upper;
    if (lower_fits)
        return lower;
    return upper_fits ? upper : inside;
}

/* The rest of a number below 2^49 divided by a step below 2^32, by the step's ending_inverse: the quotient is right or one too small. */
STEP uint64_t rest_by_inverse(uint64_t number, uint64_t step, uint64_t inverse)
{
    uint64_t rest = number - (uint64_t)(((uint128)number * inverse) >> 64) * step;
    return rest >= step ? rest - step : rest;
}

/* ending_within() for a cell's bounds, which have 48 bits and no sign: nothing overflows, and the rest is that of a number without
 * one. Nearly always both neighbours lie in the bounds; which is nearer cannot be guessed. */
STEP int64_t ending_bounded(int64_t amount, const struct quote_shared *shared, int64_t floor, int64_t ceiling)
{
    int64_t inside = clamp_i64(amount, floor, ceiling), step = shared->ending_step, less = shared->ending_less;
    if (step <= 1)
        return inside;
    int64_t rest = (int64_t)rest_by_inverse((uint64_t)inside + (uint64_t)less, (uint64_t)step, shared->ending_inverse);
    int64_t lower = inside - rest, upper = lower + step;
    if (__builtin_expect((lower < floor) | (upper > ceiling) | (lower + less < step), 0))
        return ending_near(inside, rest, step, less, floor, ceiling);
    return rest <= step - rest ? lower : upper;
}

/* Keep an amount within the model's bounds, and say whether they spoke. */
STEP int64_t bounded(int64_t amount, struct draft *q)
{
    int64_t inside = clamp_i64(amount, q->floor, q->ceiling);
    if (inside != amount)
        q->flags |= RIALTO_FLAG_BOUNDED;
    return inside;
}

/* Baseline x multiplier, rounded once, then the ending. */
STEP void apply_multiplier(const struct quote_inputs *in, const struct quote_shared *shared, struct draft *q)
{
    uint16_t m = shared->terms->multiplier_e4[in->cell->group % RIALTO_GROUPS_MAX];
    q->multiplier_e4 = m;
    if (m == NEUTRAL_E4)
        return;
    q->amount = ending_bounded(bounded(scaled_e4(q->baseline, m), q), shared, q->floor, q->ceiling);
    q->kinds = shared->terms->kinds & KINDS_MASK;
    q->flags |= RIALTO_FLAG_PERSONAL;
}

/* What the offer makes of an amount, before bounds. */
STEP int64_t offered(const struct rialto_offer_line *offer, int64_t from)
{
    switch (offer->kind) {
    case RIALTO_OFFER_FIXED: return offer->value;
    case RIALTO_OFFER_PERCENT: return scaled_e4(from, NEUTRAL_E4 - clamp_i64(offer->value, 0, NEUTRAL_E4));
    case RIALTO_OFFER_AMOUNT_OFF: return from - clamp_i64(offer->value, 0, RIALTO_BOUND_MAX);
    default: return from;
    }
}

STEP void apply_offer(const struct quote_inputs *in, struct draft *q)
{
    const struct rialto_offer_line *offer = in->offer;
    bool money = offer->kind == RIALTO_OFFER_FIXED || offer->kind == RIALTO_OFFER_AMOUNT_OFF;
    if (offer->kind == RIALTO_OFFER_NONE || offer->kind > RIALTO_OFFER_AMOUNT_OFF || passed(offer->until_s, in->now_ms))
        return;
    if (money && offer->currency != in->rule->currency_number)
        return;
    if (in->now_ms < (int64_t)offer->from_s * 1000) { /* not yet; but the quote holds no longer than till then */
        q->valid_until_ms = sooner(q->valid_until_ms, offer->from_s);
        return;
    }
    bool stackable = (offer->flags & RIALTO_OFFER_STACKABLE) != 0 && offer->kind != RIALTO_OFFER_FIXED;
    if (!stackable) {
        q->kinds = 0;
        q->flags &= ~MADE_BY;
    }
    q->amount = bounded(offered(offer, stackable ? q->amount : q->baseline), q);
    q->kinds |= offer->kinds & KINDS_MASK;
    q->flags |= RIALTO_FLAG_OFFER;
    q->valid_until_ms = sooner(q->valid_until_ms, offer->until_s);
}

/* The owner judges consent before it publishes; a kind that is not permitted now ends an older offer here too. */
STEP bool offer_permitted(const struct quote_inputs *in)
{
    unsigned kinds = in->offer->kinds & KINDS_MASK;
    return (kinds & ~(unsigned)in->terms->consent) == 0 && (kinds & in->rule->forbidden) == 0;
}

STEP void apply_personal(const struct quote_inputs *in, const struct quote_shared *shared, bool plain, struct draft *q)
{
    apply_multiplier(in, shared, q);
    if (!plain && in->offer != NULL && offer_permitted(in)) {
        apply_offer(in, q);
        if (q->flags & RIALTO_FLAG_OFFER)
            q->used |= in->offer->kinds & KINDS_MASK;
    }
}

/* An amount that nothing personal is part of. */
STEP void set_impersonal(struct draft *q, int64_t amount)
{
    q->amount = amount;
    q->kinds = 0;
    q->flags &= ~MADE_BY;
}

STEP void apply_age(const struct quote_inputs *in, const struct quote_shared *shared, bool late, struct draft *q)
{
    if (__builtin_expect(!late && in->age_ms <= shared->fresh_ms, 1))
        return;
    int64_t age_ms = in->age_ms;
    if (late) {
        int64_t past_ms = in->now_ms - (int64_t)in->cell->until_s * 1000;
        age_ms = past_ms > age_ms ? past_ms : age_ms;
    }
    q->age_ms = (uint32_t)clamp_i64(age_ms, 0, UINT32_MAX);

    bool limit = in->rule->stale_limit_s != 0 && age_ms > (int64_t)in->rule->stale_limit_s * 1000;
    q->flags |= RIALTO_FLAG_STALE;
    if (limit)
        set_impersonal(q, q->list < q->ceiling ? q->list : q->ceiling);
    else if (q->list < q->amount)
        set_impersonal(q, q->list);
}

/* A lock is owed, with its amount alone: it asks for no consent, rests on no personal data, and holds whatever made the amount. */
STEP void apply_lock(const struct quote_inputs *in, struct draft *q)
{
    const struct rialto_offer_line *offer = in->offer;
    if (offer->locked <= 0 || passed(offer->lock_until_s, in->now_ms) || offer->currency != in->rule->currency_number ||
        offer->locked >= q->amount)
        return;
    set_impersonal(q, offer->locked);
    q->flags |= RIALTO_FLAG_LOCK;
    q->valid_until_ms = sooner(q->valid_until_ms, offer->lock_until_s);
}

STEP struct draft drafted(const struct quote_inputs *in, const struct quote_shared *shared, bool late)
{
    const struct rialto_cell_line *cell = in->cell;
    return (struct draft){
        .amount = cell->baseline,
        .baseline = cell->baseline,
        .list = cell->list,
        .floor = (int64_t)(cell->lo_product & (uint64_t)RIALTO_BOUND_MAX),
        .ceiling = (int64_t)(cell->hi_place & (uint64_t)RIALTO_BOUND_MAX),
        .valid_until_ms = sooner(shared->terms_until_ms, late ? 0 : cell->until_s),
        .age_ms = in->age_ms,
        .flags = shared->flags,
        .multiplier_e4 = NEUTRAL_E4,
        .used = shared->used,
    };
}

/* Flags that hardly any cell has. */
STEP void apply_cell_flags(uint8_t flags, struct draft *q)
{
    if ((flags & RIALTO_CELL_GUARDED) != 0)
        q->flags |= RIALTO_FLAG_GUARDED;
    if ((flags & RIALTO_CELL_STARTING) != 0)
        q->flags |= RIALTO_FLAG_STARTING;
    if ((flags & RIALTO_CELL_NEVER_ABOVE) != 0 && q->amount > q->baseline)
        set_impersonal(q, q->baseline);
}

/* What hardly any quote needs. */
STEP void apply_rest(const struct quote_inputs *in, const struct quote_shared *shared, bool late, struct draft *q)
{
    apply_cell_flags(in->cell->flags, q);
    apply_age(in, shared, late, q);
    if (in->mode == RIALTO_MODE_LIST) {
        set_impersonal(q, q->list < q->ceiling ? q->list : q->ceiling);
        q->flags |= RIALTO_FLAG_LIST_MODE;
    }
    if (in->offer != NULL && in->terms != NULL)
        apply_lock(in, q);
}

/* Most quotes are: of an amount that is fresh, without an offer. */
STEP bool quote_plain(const struct quote_inputs *in, const struct quote_shared *shared)
{
    return in->age_ms <= shared->fresh_ms && in->offer == NULL && in->cell->flags == 0 &&
           in->mode != RIALTO_MODE_LIST && !passed(in->cell->until_s, in->now_ms);
}

/* A quote but for what is alike and where it is of. `plain`, a constant: what quote_plain() says. */
STEP struct draft quote_draft(const struct quote_inputs *in, const struct quote_shared *shared, bool plain)
{
    bool late = !plain && passed(in->cell->until_s, in->now_ms);
    struct draft draft = drafted(in, shared, late), *q = &draft;
    if (shared->terms != NULL)
        apply_personal(in, shared, plain, q);
    if (!plain)
        apply_rest(in, shared, late, q);
    if (q->amount == q->baseline) /* the multiplier, rounded, moved nothing */
        q->flags &= ~RIALTO_FLAG_PERSONAL;
    if ((q->flags & (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER)) == 0)
        q->kinds = 0;
    return draft;
}

/* A disclosure follows use: data that were read are told, though they changed nothing. */
STEP uint16_t disclosure_of(const struct rialto_rule_row *rule, uint32_t used)
{
    return used != 0 ? rule->disclosure : 0;
}

/* What differs from quote to quote, flags apart, into one that has what quote_alike() writes. */
STEP void hand_out(const struct quote_inputs *in, const struct draft *q, struct rialto_quote *ret)
{
    ret->amount = q->amount;
    ret->baseline = q->baseline;
    ret->list = q->list;
    ret->floor = q->floor;
    ret->ceiling = q->ceiling;
    ret->as_of_ms = (int64_t)in->cell->as_of_s * 1000;
    ret->valid_until_ms = q->valid_until_ms;
    ret->age_ms = q->age_ms;
    ret->multiplier_e4 = (uint16_t)q->multiplier_e4;
    ret->kinds = (uint16_t)q->kinds;
    ret->group = in->cell->group;
}
#endif
