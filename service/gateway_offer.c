/* gateway_offer.c - what a product cost when a customer looked at it, for models that make offers.
 *
 *   demand that names a customer --librialto, of nobody in particular--> baseline, model --> customer part of the signal
 *
 * The owner of a customer knows no products: what it needs of them comes with the signal, fixed here like the time of its arrival, so that
 * a batch that is sent again decides the same. Nothing is looked up while no model in force makes offers. A product that is not priced
 * yet leads to none, and while the operator has switched all quotes to list none is made. */
#include "service/gateway.h"

#include <string.h>

void offering_of(const struct model_set *set, struct offering *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->affinity = set->affinity;
    for (uint32_t m = 0; m < set->count; m++) {
        const struct model *model = &set->model[m];
        if (model->offer_count == 0)
            continue;
        memcpy(ret->model[ret->count++], model->name, RIALTO_NAME_MAX);
        for (uint32_t i = 0; i < model->offer_count; i++)
            ret->events |=
                1u << model->offer[i].event | (model->offer[i].has_unless ? 1u << model->offer[i].unless : 0);
    }
}

static bool makes_offers(const struct offering *offering, const char *model)
{
    for (uint32_t i = 0; i < offering->count; i++)
        if (strcmp(offering->model[i], model) == 0)
            return true;
    return false;
}

const struct wire_priced *offering_price(struct gateway *gateway, const struct signal *signal)
{
    const struct rialto_request nobody = { .zone = signal->zone, .currency = signal->currency };
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    struct fault fault;
    if (signal->type != SIGNAL_demand || !signal_has(signal, SIGNAL_FIELD_customer) ||
        (gateway->offering.events >> signal->event & 1u) == 0 || gateway->control->mode == RIALTO_MODE_LIST ||
        gateway_quote(gateway, &nobody, signal->sku, &quote, &rule, &fault) != REASON_none || quote.baseline < 1 ||
        !makes_offers(&gateway->offering, rule.model))
        return NULL;
    gateway->priced = (struct wire_priced){ .baseline = quote.baseline,
                                            .currency = rule.currency_number,
                                            .forbidden = rule.forbidden };
    memcpy(gateway->priced.model, rule.model, sizeof gateway->priced.model);
    gateway->priced.model[sizeof gateway->priced.model - 1] = '\0';
    return &gateway->priced;
}
