/* gateway_category.c - of which category a product is that a customer looked at, for models that read affinity.
 *
 *   demand that names a customer, and no category --librialto: the product's line--> category, in the customer part of the signal
 *
 * As with what it cost (gateway_offer.c): the owner of a customer knows no products, so what it needs of them is fixed here and comes with
 * the signal, and a batch that is sent again teaches the same. Nothing is looked up while no model in force reads affinity. A category
 * that the sender said goes before the product's, and one that is sensitive is neither taken from him nor from the product. */
#include "cache/reader.h"
#include "service/gateway.h"

#include <string.h>

/* Searches and returns teach nothing (apply_affinity.c), nor does what a visit repeats. */
static bool wants_category(const struct signal *signal)
{
    bool teaches = signal->event == DEMAND_VIEW || signal->event == DEMAND_CART || signal->event == DEMAND_ORDER;
    return signal->type == SIGNAL_demand && teaches && !signal->repeated && !signal->barred &&
           signal_has(signal, SIGNAL_FIELD_customer) && !signal_has(signal, SIGNAL_FIELD_category);
}

void category_fill(struct gateway *gateway, struct signal *signal)
{
    struct rialto_product_line product;
    if (!wants_category(signal) || !gateway_prices(gateway) ||
        reader_product(gateway->prices, signal->sku, &product) != RIALTO_OK)
        return;
    product.category[sizeof product.category - 1] = '\0';
    if (product.category[0] == '\0' || signal_is_sensitive(&gateway->rules, product.category))
        return;
    _Static_assert(sizeof signal->category == sizeof product.category, "one is taken for the other");
    memcpy(signal->category, product.category, sizeof signal->category);
    signal->present |= UINT64_C(1) << SIGNAL_FIELD_category;
}
