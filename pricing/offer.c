/* offer.c - what an offer that a model makes is worth: the same steps and roundings as in a quote (quote.c). */
#include "pricing/model.h"

#define WHOLE_E4 10000

int64_t model_offer_worth(const struct model_offer *offer, int64_t baseline)
{
    switch (offer->kind) {
    case RIALTO_OFFER_FIXED: return baseline > offer->value ? baseline - offer->value : 0;
    case RIALTO_OFFER_PERCENT:
        return baseline - (int64_t)div_half_even((int128)baseline * (WHOLE_E4 - offer->value), WHOLE_E4);
    case RIALTO_OFFER_AMOUNT_OFF: return offer->value < baseline ? offer->value : baseline;
    default: return 0;
    }
}

int64_t model_offer_share(uint32_t whole, uint32_t part, uint32_t parts, int64_t window)
{
    uint32_t more = whole % parts, turn = (uint32_t)((part + window % parts * more) % parts);
    return whole / parts + (turn < more);
}
