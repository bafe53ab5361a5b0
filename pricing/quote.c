/* quote.c - the arithmetic of one quote. A flat list of steps, each of which may change the amount and says so in flags. */
#include "pricing/quote.h"

#include "pricing/fixed.h"

#include <string.h>

#define NEUTRAL_E4 10000
#define ENDING_MAX (INT64_C(1) << 62) /* beyond it no amount is money, and sums could overflow */
#define KINDS_MASK 0x00FFu            /* RIALTO_KIND_* in a field that carries other bits too */
/* What the steps work on: with all of them in one function the compiler keeps it in registers. */
#define STEP       static inline __attribute__((always_inline))
#define MADE_BY    (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER | RIALTO_FLAG_LOCK | RIALTO_FLAG_BOUNDED)

STEP bool passed(uint32_t until_s, int64_t now_ms)
{
    return until_s != 0 && now_ms >= (int64_t)until_s * 1000;
}

struct draft {
    int64_t amount, baseline, list, floor, ceiling, valid_until_ms;
    uint32_t age_ms, flags, multiplier_e4, kinds, used;
};

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

/* The ending nearest to an amount that lies in [floor, ceiling]; step > 1. `rest` is that of amount + less divided by step. Of a set
 * within [floor, ceiling] the member nearest to any amount is also nearest to the clamped one. */
STEP int64_t ending_near(int64_t inside, int64_t rest, int64_t step, int64_t less, int64_t floor, int64_t ceiling)
{
    /* The neighbours k * step - less on both sides. */
    int64_t lower = inside - rest, upper = lower + step;
    bool lower_fits = lower >= floor;
    if (__builtin_expect(lower + less < step, 0)) { /* its k would be less than 1: the first that there is lies above */
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

int64_t ending_within(int64_t amount, uint32_t step, uint32_t less, int64_t floor, int64_t ceiling)
{
    int64_t inside = clamp_i64(amount, floor, ceiling);
    if (step <= 1 || inside > ENDING_MAX || inside < -ENDING_MAX)
        return inside;
    int64_t rest = (inside + less) % step;
    return ending_near(inside, rest < 0 ? rest + step : rest, step, less, floor, ceiling);
}

/* The same within a cell's bounds, which have 48 bits and no sign: nothing overflows, and the rest is that of a number without one. */
STEP int64_t ending_bounded(int64_t amount, uint32_t step, uint32_t less, int64_t floor, int64_t ceiling)
{
    int64_t inside = clamp_i64(amount, floor, ceiling);
    if (step <= 1)
        return inside;
    int64_t rest = (int64_t)(((uint64_t)inside + less) % step);
    return ending_near(inside, rest, step, less, floor, ceiling);
}

/* Terms that rest on a kind of data that may move no price here are not looked at, whatever else they rest on. */
STEP bool terms_usable(const struct quote_inputs *in)
{
    return in->terms != NULL && (in->terms->kinds & in->rule->forbidden) == 0 &&
           !passed(in->terms->until_s, in->now_ms) && in->terms->group_map == in->group_map &&
           in->terms_age_ms <= in->personal_stale_ms;
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
STEP void apply_multiplier(const struct quote_inputs *in, const struct rialto_terms_line *terms, struct draft *q)
{
    uint16_t m = terms->multiplier_e4[in->cell->group % RIALTO_GROUPS_MAX];
    q->multiplier_e4 = m;
    if (m == NEUTRAL_E4)
        return;
    q->amount = ending_bounded(bounded(scaled_e4(q->baseline, m), q), in->rule->ending_step, in->rule->ending_less,
                               q->floor, q->ceiling);
    q->kinds = terms->kinds & KINDS_MASK;
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

STEP void apply_personal(const struct quote_inputs *in, const struct quote_shared *shared, struct draft *q)
{
    apply_multiplier(in, shared->terms, q);
    if (in->offer != NULL && offer_permitted(in)) {
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

STEP void apply_age(const struct quote_inputs *in, const struct quote_shared *shared, struct draft *q)
{
    bool late = passed(in->cell->until_s, in->now_ms);
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

STEP struct draft drafted(const struct quote_inputs *in, const struct quote_shared *shared)
{
    const struct rialto_cell_line *cell = in->cell;
    uint32_t until_s = passed(cell->until_s, in->now_ms) ? 0 : cell->until_s;
    return (struct draft){
        .amount = cell->baseline,
        .baseline = cell->baseline,
        .list = cell->list,
        .floor = (int64_t)(cell->lo_product & (uint64_t)RIALTO_BOUND_MAX),
        .ceiling = (int64_t)(cell->hi_place & (uint64_t)RIALTO_BOUND_MAX),
        .valid_until_ms = sooner(shared->terms_until_ms, until_s),
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

/* All but the zone's name and level, which only the caller knows. */
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
    ret->flags = q->flags;
    ret->multiplier_e4 = (uint16_t)q->multiplier_e4;
    ret->rule = in->cell->rule;
    ret->kinds = (uint16_t)q->kinds;
    /* A disclosure follows use: data that were read are told, though they changed nothing. */
    ret->disclosure = q->used != 0 ? in->rule->disclosure : 0;
    ret->used = (uint8_t)q->used;
    ret->decimals = in->rule->decimals;
    ret->group = in->cell->group;
    memcpy(ret->currency, in->rule->currency, sizeof ret->currency);
    ret->currency[sizeof ret->currency - 1] = '\0';
}

void quote_share(const struct quote_inputs *in, struct quote_shared *ret)
{
    bool usable = in->terms != NULL && terms_usable(in);
    int64_t limit_ms = (int64_t)in->rule->stale_limit_s * 1000;
    *ret = (struct quote_shared){
        .terms = usable ? in->terms : NULL,
        .terms_until_ms = usable ? (int64_t)in->terms->until_s * 1000 : 0,
        .fresh_ms = limit_ms != 0 && limit_ms < in->stale_after_ms ? (uint32_t)limit_ms : in->stale_after_ms,
        .flags = in->terms == NULL ? RIALTO_FLAG_ANONYMOUS
                 : usable          ? 0
                                   : RIALTO_FLAG_NEUTRAL,
        .used = (uint8_t)(in->zone_kinds | (usable ? in->terms->kinds & in->rule->reads : 0)),
    };
}

void quote_compose_shared(const struct quote_inputs *in, const struct quote_shared *shared, struct rialto_quote *ret)
{
    struct draft draft = drafted(in, shared), *q = &draft;
    if (shared->terms != NULL)
        apply_personal(in, shared, q);
    if (__builtin_expect(in->cell->flags != 0, 0))
        apply_cell_flags(in->cell->flags, q);
    apply_age(in, shared, q);
    if (__builtin_expect(in->mode == RIALTO_MODE_LIST, 0)) {
        set_impersonal(q, q->list < q->ceiling ? q->list : q->ceiling);
        q->flags |= RIALTO_FLAG_LIST_MODE;
    }
    if (in->offer != NULL && in->terms != NULL)
        apply_lock(in, q);
    if (q->amount == q->baseline) /* the multiplier, rounded, moved nothing */
        q->flags &= ~RIALTO_FLAG_PERSONAL;
    if ((q->flags & (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER)) == 0)
        q->kinds = 0;
    hand_out(in, q, ret);
}

void quote_compose(const struct quote_inputs *in, struct rialto_quote *ret)
{
    struct quote_shared shared;
    quote_share(in, &shared);
    quote_compose_shared(in, &shared, ret);
}
