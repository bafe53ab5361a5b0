/* reach.h - how far personal data can move prices, out of the models alone: what `rialto notice` tells customers. Pure. */
#ifndef PRICING_REACH_H
#define PRICING_REACH_H

#include "pricing/model.h"

struct reach {     /* multipliers on the baseline, 1e-4; 10000 = nothing */
    uint8_t kinds; /* RIALTO_KIND_* that are read at all */
    uint16_t low;  /* <= 10000 */
    uint16_t high; /* >= 10000 */
};

/* model_reach - the lowest and the highest personal multiplier that quotes of products which `model` prices can have for a customer who
 * permits `kinds` (RIALTO_KIND_*) and whatever is known of them: of all models of its price group that have not ended at now_ms. Before
 * the rounding to an amount; offers are not part of it. With never_above (a policy asks so) nothing lies above the baseline. */
struct reach model_reach(const struct model_set *set, const struct model *model, uint8_t kinds, bool never_above,
                         int64_t now_ms);
#endif
