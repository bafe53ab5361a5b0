/* remark.c - see remark.h. */
#include "pricing/remark.h"

#include "pricing/fixed.h"
#include "pricing/nano.h"
#include "pricing/reach.h"
#include "pricing/scope.h"

#include <stdio.h>
#include <string.h>

#define ALL_KINDS 0xFFu

/* A formula that can only come to what no multiplier may be says nothing. Not a fault: its value is cut, as one that is outside now and
 * then is. */
uint32_t remark_factors(const struct model *model, struct remark ret[MODEL_FACTORS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        const struct model_factor *factor = &model->factor[i];
        int64_t cut = model_factor_cut(factor);
        if (cut == 0)
            continue;
        double low = (double)factor->program.low / NANO, high = (double)factor->program.high / NANO;
        char range[64] = "";
        if (high > low)
            (void)snprintf(range, sizeof range, " to %.4g", high);
        struct remark *remark = &ret[count++];
        *remark = (struct remark){ "factor-outside",  model->name,   "factor", factor->name,
                                   { "low", "high" }, { low, high }, "" };
        (void)snprintf(
            remark->text, sizeof remark->text,
            "the factor %s comes to %.4g%s whatever its inputs are, and is cut to %.4g: a multiplier is 0.1 to 10",
            factor->name, low, range, (double)cut / MICRO);
    }
    return count;
}

/* An offer off the baseline takes the place of personal terms, even of better ones: whoever they serve better pays more while it lives. By
 * how much money off, or at which price, that happens depends on prices; of a percentage it is known from the models alone. Not a fault:
 * a shop may want an offer to be the same for everybody. */
uint32_t remark_offers(const struct model_set *set, const struct model *model, int64_t now_ms,
                       struct remark ret[MODEL_OFFERS_MAX])
{
    struct reach reach = model_reach(set, model, ALL_KINDS, false, now_ms);
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->offer_count; i++) {
        const struct model_offer *offer = &model->offer[i];
        if (offer->kind != RIALTO_OFFER_PERCENT || offer->stackable || 10000 - offer->value <= reach.low)
            continue;
        double off = (double)offer->value / 100, terms_off = (10000 - reach.low) / 100.0;
        struct remark *remark = &ret[count++];
        *remark =
            (struct remark){ "offer-above-terms", model->name, "offer", offer->name, { "percent", "terms_percent" },
                             { off, terms_off },  "" };
        (void)snprintf(remark->text, sizeof remark->text,
                       "the offer %s, %.4g %% off the baseline, replaces personal terms, which reach %.4g %% off: some "
                       "pay more with it than "
                       "without (\"stackable\" takes it off their own price)",
                       offer->name, off, terms_off);
    }
    return count;
}

/* ---- who wins where --------------------------------------------------------------------------------------------------- */

static size_t add_words(size_t used, size_t n, char *ret, uint32_t count, const char *words, size_t word_bytes)
{
    for (uint32_t i = 0; i < count && used < n; i++)
        used += (size_t)snprintf(ret + used, n - used, "%s%s", i > 0 ? ", " : "", words + i * word_bytes);
    return used;
}

/* A day of the clock that the model goes by. */
static size_t add_day(size_t used, size_t n, char *ret, const char *before, int64_t at_ms,
                      const struct local_clock *clock)
{
    int year, month, day;
    int64_t offset_ms = clock->name[0] != '\0' ? (int64_t)local_clock_offset(clock, at_ms) * 1000 : 0;
    date_split((int32_t)((at_ms + offset_ms) / 86400000), &year, &month, &day); /* none lies before 1970 */
    return used + (size_t)snprintf(ret + used, n - used, "%s%04d-%02d-%02d", before, year, month, day);
}

void remark_claim(const struct model *model, const char *by, size_t n, char *ret)
{
    size_t used = 0;
    ret[0] = '\0';
    if (strcmp(by, "zone") == 0)
        (void)add_words(0, n, ret, model->zone_count, model->zone[0], sizeof model->zone[0]);
    else if (strcmp(by, "sku") == 0)
        (void)add_words(0, n, ret, model->sku_count, model->sku[0], sizeof model->sku[0]);
    else if (strcmp(by, "category") == 0)
        (void)add_words(0, n, ret, model->category_count, model->category[0], sizeof model->category[0]);
    else {
        if (model->from_ms != INT64_MIN)
            used = add_day(0, n, ret, "from ", model->from_ms, &model->clock);
        if (model->until_ms != INT64_MAX)
            (void)add_day(used, n, ret, used > 0 ? " until " : "until ", model->until_ms, &model->clock);
    }
}

/* Where two models claim the same products, one of them wins: so that a pilot in one shop, or a successor with a date, can be seen
 * to speak where it should. */
bool remark_winner(const struct model *a, const struct model *b, struct remark_winner *ret)
{
    const char *why = "product";
    int winner = scope_winner(a, b, &why);
    if (winner == 0)
        return false;
    const struct model *first = winner == -1 ? b : a, *second = winner == -1 ? a : b;
    *ret = (struct remark_winner){ .winner = winner == 2 ? "" : first->name,
                                   .model = { first->name, second->name },
                                   .by = winner == 2 ? "product" : why };
    if (winner == 2) {
        (void)snprintf(ret->text, sizeof ret->text,
                       "%s and %s both claim some products: the narrower claim wins, product by product", a->name,
                       b->name);
        return true;
    }
    remark_claim(first, why, sizeof ret->where, ret->where);
    (void)snprintf(ret->text, sizeof ret->text, "%s wins over %s where both claim a product: its %s %s (%s)",
                   first->name, second->name, why, strcmp(why, "dates") == 0 ? "are narrower" : "is narrower",
                   ret->where);
    return true;
}
