/* answer.c - what a store said, compared with the shop. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <string.h>

static bool offer_right(const struct shop_size *size, const struct draw *d, size_t i, const struct answer *a)
{
    struct rialto_offer_line offer;
    bool expected = false;
    for (uint64_t k = 0; k < d->offers; k++)
        expected = expected || shop_offer_product(size, d->customer_number, k) == d->product_number[i];
    shop_offer_fill(&offer);
    return expected ? a->has_offer[i] && memcmp(&a->offer[i], &offer, sizeof offer) == 0 : !a->has_offer[i];
}

uint64_t answer_wrong(const struct shop_size *size, const struct draw *d, size_t n, const struct answer *a)
{
    struct rialto_terms_line terms;
    shop_terms_fill(size, d->customer_number, &terms);
    if (!a->has_terms || memcmp(&a->terms, &terms, sizeof terms) != 0)
        return n;
    uint64_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct rialto_cell_line cell;
        bool in_zone = shop_product_zone(d->product_number[i]) == d->zone;
        shop_cell_fill(d->product_number[i], in_zone ? d->zone : SHOP_WORLD, 0, &cell);
        bool right = a->found[i] && a->in_zone[i] == in_zone && memcmp(&a->cell[i], &cell, sizeof cell) == 0;
        wrong += !right || !offer_right(size, d, i, a);
    }
    return wrong;
}
