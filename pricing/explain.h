/* explain.h - why a price is what it is: the steps from list price to amount, each with what it made of the amount.
 *
 *   explain_baseline()  list price --factors, rounding, guardrails--> the baseline that stands published
 *   explain_quote()     baseline --personal terms, offer, lock, age, mode--> the amount of a quote
 *
 * Invariant  each step follows from the one before it by the arithmetic of docs/pricing.md, and the last one is the
 *            price itself: nothing is left over. A step that changes nothing is left out, save factors, which say
 *            "1" when they have no opinion.
 * Pure: no clock, no allocation, no I/O; safe from any thread. */
#ifndef PRICING_EXPLAIN_H
#define PRICING_EXPLAIN_H

#include "pricing/model.h"
#include "pricing/quote.h"

/* What a step may be. In JSON they go by these names.
 *    name          what it did, for people */
#define EXPLAIN_OPS(X)                                                                                                 \
    X(list, "list price")                                                                                              \
    X(factor, "factor")                                                                                                \
    X(round, "rounded to whole minor units")                                                                           \
    X(floor, "raised to the floor")                                                                                    \
    X(margin, "raised to cost plus margin")                                                                            \
    X(ceiling, "cut to the ceiling")                                                                                   \
    X(ending, "moved to the nearest price that looks right")                                                           \
    X(largest_rise, "held back: the largest rise since the beginning of its time")                                     \
    X(largest_step, "held back: the largest step at once")                                                             \
    X(dwell, "held back: the price that stands has not stood long enough")                                             \
    X(dead_band, "held back: too small a change to be made right away")                                                \
    X(frozen, "frozen by the operator")                                                                                \
    X(waits, "stands until it is computed again")                                                                      \
    X(personal, "personal terms")                                                                                      \
    X(offer, "personal offer")                                                                                         \
    X(lock, "price lock")                                                                                              \
    X(never_above, "never above the baseline price")                                                                   \
    X(stale, "out of date: never above list")                                                                          \
    X(list_mode, "list prices ordered by the operator")

#define EXPLAIN_ENUM_(name, text) EXPLAIN_##name,
enum explain_op { EXPLAIN_OPS(EXPLAIN_ENUM_) EXPLAIN_OP_COUNT };
#undef EXPLAIN_ENUM_

struct explain_step {
    enum explain_op op;
    uint32_t factor;     /* EXPLAIN_factor: which of the model's */
    int64_t times_micro; /* EXPLAIN_factor, EXPLAIN_personal: the multiplier */
    int64_t minor;       /* the amount after this step, minor units ... */
    int32_t micro;       /* ... and millionths of one, 0..999999 */
};

#define EXPLAIN_STEPS_MAX (MODEL_FACTORS_MAX + 20u)
struct explain {
    uint32_t count;
    struct explain_step step[EXPLAIN_STEPS_MAX];
};

/* explain_baseline - the steps from list price to the baseline that stands published.
 *   in         the inputs when it was computed
 *   published  that baseline, minor units; guards: the GUARD_* that were noted with it
 * A published price that differs from where factors, bounds and ending lead ends with the step that held it there.
 * Returns RIALTO_OK, or OVERFLOW as model_price() does, and then *ret is untouched. */
enum rialto_status explain_baseline(const struct model *model, const struct price_inputs *in, int64_t published,
                                    uint32_t guards, struct explain *ret);

/* explain_made - the same from what was noted when a price was made, for one that stood once. */
struct explain_made {
    int64_t list, floor, ceiling;      /* minor units; the bounds as they came of list price and cost */
    bool margin;                       /* cost plus margin was the floor */
    uint32_t ending_step, ending_less; /* of the model */
    uint32_t factor_count;             /* at most MODEL_FACTORS_MAX */
    int64_t factor_micro[MODEL_FACTORS_MAX];
};
enum rialto_status explain_made(const struct explain_made *made, int64_t published, uint32_t guards, struct explain *ret);

/* explain_quote - the steps from baseline to amount, appended to *ret. The last step's amount is quote_compose()'s. */
void explain_quote(const struct quote_inputs *in, struct explain *ret);

const char *explain_op_name(enum explain_op op);
const char *explain_op_text(enum explain_op op);
#endif
