/* remark.h - what is no fault of a model, but its author may not know: remarks, and which of two models wins where both claim a product.
 *
 *   model set --remark_*()--> word, numbers and words for people --> rialto check, POST /v1/models/check, the console
 *
 * One place, so that all say the same. Pure, thread-safe; pointers are into the models, or constants. */
#ifndef PRICING_REMARK_H
#define PRICING_REMARK_H

#include "pricing/model.h"

#define REMARK_TEXT_MAX  320u
#define REMARK_CLAIM_MAX (32u * (RIALTO_ID_MAX + 2))
#define REMARKS_MAX      (MODEL_FACTORS_MAX > MODEL_OFFERS_MAX ? MODEL_FACTORS_MAX : MODEL_OFFERS_MAX) /* at once */

struct remark {
    const char *word; /* "offer-above-terms", "factor-outside" */
    const char *model;
    const char *of, *name;      /* "offer" or "factor", and which */
    const char *number_name[2]; /* as programs call them */
    double number[2];
    char text[REMARK_TEXT_MAX]; /* without the model's name */
};

/* remark_factors - formulas that can only come to what no multiplier may be: a sign is wrong, or a sum was meant. remark_offers - of `model`,
 * one of the set: offers by percent that replace personal terms which some customer has better, of models that have not ended at now_ms.
 * Each returns how many. */
uint32_t remark_factors(const struct model *model, struct remark ret[MODEL_FACTORS_MAX]);
uint32_t remark_offers(const struct model_set *set, const struct model *model, int64_t now_ms,
                       struct remark ret[MODEL_OFFERS_MAX]);

/* remark_claim - what a model claims by `by`, "zone", "sku", "category" or "dates" (of its own clock), in words; "": it does not say. */
void remark_claim(const struct model *model, const char *by, size_t n, char *ret);

struct remark_winner {
    const char *winner;           /* "": product by product */
    const char *model[2];         /* the winner first, if there is one */
    const char *by;               /* "zone", "sku", "category", "dates"; "product" */
    char where[REMARK_CLAIM_MAX]; /* the winner's claim */
    char text[REMARK_CLAIM_MAX + 256];
};

/* remark_winner - false: they claim no product in common. */
bool remark_winner(const struct model *a, const struct model *b, struct remark_winner *ret);
#endif
