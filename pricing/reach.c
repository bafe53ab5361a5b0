/* reach.c - the bounds of personal multipliers, by the same steps and roundings as terms.c: each of them is monotone, so that the
 * least of all products is the product of the least. */
#include "pricing/reach.h"

#include <string.h>

/* The values that one personal factor can take: a table says nothing (1) about a word that it does not have, and a curve lies
 * between its points, whatever its kind. */
static void factor_reach(const struct model_personal *personal, int64_t *ret_low, int64_t *ret_high)
{
    *ret_low = *ret_high = MICRO; /* nothing known: nothing read */
    for (uint32_t i = 0; i < personal->point_count; i++) {
        int64_t y = personal->point[i].y_micro;
        *ret_low = y < *ret_low ? y : *ret_low;
        *ret_high = y > *ret_high ? y : *ret_high;
    }
}

static int64_t times(int64_t product, int64_t value)
{
    return mul_div_half_even(product, value, MICRO, &product) ? product : INT64_MAX;
}

/* What one model of the group makes of the kinds. */
static struct reach terms_reach(const struct model *terms, uint8_t kinds)
{
    struct reach reach = { .kinds = 0 };
    int64_t low = MICRO, high = MICRO;
    for (uint32_t i = 0; i < terms->personal_count; i++) {
        int64_t least, most;
        if (!personal_permitted(&terms->personal[i], kinds))
            continue;
        factor_reach(&terms->personal[i], &least, &most);
        low = times(low, least);
        high = times(high, most);
        reach.kinds = (uint8_t)(reach.kinds | (terms->personal[i].consent & kinds));
    }
    low = clamp_i64(low, terms->guard.personal_low_micro, terms->guard.personal_high_micro);
    high = clamp_i64(high, terms->guard.personal_low_micro, terms->guard.personal_high_micro);
    reach.low = (uint16_t)div_half_even(low, MICRO / 10000);
    reach.high = (uint16_t)div_half_even(high, MICRO / 10000);
    return reach;
}

struct reach model_reach(const struct model_set *set, const struct model *model, uint8_t kinds, bool never_above,
                         int64_t now_ms)
{
    struct reach all = { .kinds = 0, .low = 10000, .high = 10000 };
    for (uint32_t i = 0; i < set->count; i++) {
        const struct model *terms = &set->model[i];
        if (terms->until_ms <= now_ms || strcmp(terms->group_name, model->group_name) != 0)
            continue;
        struct reach one = terms_reach(terms, kinds);
        all.kinds = (uint8_t)(all.kinds | one.kinds);
        all.low = one.low < all.low ? one.low : all.low;
        all.high = one.high > all.high ? one.high : all.high;
    }
    if (never_above || model->guard.never_above)
        all.high = 10000;
    if (model->guard.spread_micro >= 0) { /* the lowest is so close to the highest, which is the baseline at least */
        int64_t least = (MICRO - model->guard.spread_micro) / (MICRO / 10000);
        if (least > all.low)
            all.low = (uint16_t)least;
    }
    return all;
}
