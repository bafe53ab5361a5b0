/* quote.h - the arithmetic of one quote: baseline x personal terms, bounds, offer, lock. Version 1.
 *
 *   m = 1.0000 :  p = baseline, untouched
 *   else       :  p = ending(round_half_even(baseline x m / 10000)) within [floor, ceiling]; the ending may not leave them
 *   offer      :  fixed amount, or percent or amount off the baseline (off p if stackable), then the same bounds
 *   never above:  with RIALTO_CELL_NEVER_ABOVE, p = min(p, baseline)
 *   stale      :  p = min(p, list); past the rule's stale limit p = list, at most the ceiling
 *   mode list  :  p = list, at most the ceiling
 *   lock       :  p = min(p, locked): owed, so it comes last, whatever the customer permits and however
 *                 old the rest of their terms is; may lie below the floor
 *
 * The same function makes the quote in librialto, behind HTTP and for Redis. Pure integer arithmetic: no clock, no
 * allocation, no I/O; safe from any thread. */
#ifndef PRICING_QUOTE_H
#define PRICING_QUOTE_H

#include <rialto/quote.h>

struct quote_inputs {
    const struct rialto_cell_line *cell;
    const struct rialto_rule_row *rule;
    const struct rialto_terms_line *terms; /* NULL = none */
    const struct rialto_offer_line *offer; /* NULL = none */
    int64_t now_ms;                        /* service time, Unix ms */
    uint32_t age_ms;                       /* of the cell's partition's heartbeat */
    uint32_t terms_age_ms;                 /* of the terms' partition's heartbeat */
    uint32_t stale_after_ms;
    uint32_t personal_stale_ms;
    uint8_t group_map;
    enum rialto_mode mode;
    uint8_t zone_kinds; /* RIALTO_KIND_* of the customer's data that chose the zone */
};

/* What quotes of one request under one rule share: a page asks for many products, of few rules. */
struct quote_shared {
    const struct rialto_terms_line *terms; /* NULL = none that may be used */
    int64_t terms_until_ms;                /* 0 = none */
    uint64_t ending_inverse;               /* 2^64 / ending_step: dividing by that is a multiplication */
    uint32_t ending_step, ending_less;     /* of the rule */
    uint32_t fresh_ms;                     /* a partition older than that makes the amount stale, or past its limit */
    uint32_t flags;                        /* RIALTO_FLAG_*, of all these quotes */
    uint8_t used;                          /* RIALTO_KIND_* that are read for them, offers aside */
};

/* quote_share - of a request and a rule: all members of `in` but cell, offer and age_ms. */
void quote_share(const struct quote_inputs *in, struct quote_shared *ret);

/* quote_alike - what quotes of one request under one rule have alike: rule, disclosure, currency, decimals and `used`, as long as no
 * offer adds to it. Of the cell only its rule is looked at; no other member of *ret is written. */
void quote_alike(const struct quote_inputs *in, const struct quote_shared *shared, struct rialto_quote *ret);

/* quote_compose_alike - quote_compose() into a quote that has what quote_alike() writes. */
void quote_compose_alike(const struct quote_inputs *in, const struct quote_shared *shared, struct rialto_quote *ret);

/* quote_compose - fills every member of *ret but zone and zone_level. Amounts are in minor units of the rule's currency. */
void quote_compose(const struct quote_inputs *in, struct rialto_quote *ret);

/* ending_within - the amount of form k * step - less (k >= 1) nearest to `amount` that lies in [floor, ceiling], ties to the
 * lower; where none lies in them, `amount` clamped to the bounds. step <= 1 means every amount is allowed. An amount beyond
 * 2^62 is no money and is clamped only. */
int64_t ending_within(int64_t amount, uint32_t step, uint32_t less, int64_t floor, int64_t ceiling);
#endif
