/* fuzz_model.c - any bytes as a model file: refused with a place, or a model whose prices keep within their bounds. */
#include "pricing/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_model: %s\n", what);
        abort();
    }
}

static void check_prices(const struct model *model)
{
    const int64_t lists[] = { 1, 499, 123456789, RIALTO_BOUND_MAX };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (int64_t x = -1000 * MICRO; x <= 1000 * MICRO; x += 125 * MICRO) {
            struct price_inputs in = { .list = lists[i],
                                       .cost = x / MICRO,
                                       .present = UINT64_MAX,
                                       .published = lists[i],
                                       .published_list = lists[i],
                                       .now_ms = 3600000 };
            for (unsigned k = 0; k < INPUT_SLOTS; k++)
                in.input_micro[k] = x;
            struct price_result result;
            if (model_price(model, &in, &result) != RIALTO_OK)
                continue;
            require(result.floor >= 1 && result.baseline >= result.floor && result.baseline <= result.ceiling,
                    "out of bounds");
        }
    }
}

static void check_terms(const struct model *model)
{
    struct model_set *set = malloc(sizeof *set + sizeof *model);
    if (set == NULL)
        return;
    set->count = 1;
    memcpy(&set->model[0], model, sizeof *model);
    struct terms_inputs in = { .consent = 0xFF,
                               .tier = "gold",
                               .segment_count = 1,
                               .segment = { "family" },
                               .spend_currency = "EUR",
                               .spend_micro = 500 * MICRO,
                               .month_currency = "EUR",
                               .month_micro = 50000 * MICRO,
                               .affinity = { .micro = { { 3 * MICRO }, { MICRO } } },
                               .zone_count = 1,
                               .zone = { "c1/s25" } };
    uint16_t multipliers[RIALTO_GROUPS_MAX], kinds;
    model_terms(set, &in, multipliers, &kinds);
    require(multipliers[0] >= 1000 && multipliers[0] <= 20000, "a multiplier outside what a model may say");
    in.consent = 0;
    model_terms(set, &in, multipliers, &kinds);
    require(multipliers[0] == 10000 && kinds == 0, "personal terms without consent");
    free(set);
}

static void check_offers(const struct model *model)
{
    const int64_t baselines[] = { 1, 499, 123456789, RIALTO_BOUND_MAX };
    for (uint32_t i = 0; i < model->offer_count; i++) {
        const struct model_offer *offer = &model->offer[i];
        require(offer->kinds != 0 && offer->budget_offers >= 1, "an offer without a consent or a budget");
        uint64_t shared = 0;
        for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
            shared += (uint64_t)model_offer_share(offer->budget_offers, p, RIALTO_PARTITIONS, 20457);
        require(shared == offer->budget_offers, "shares that are not the budget");
        require(offer->cooldown_s >= offer->valid_s && offer->cooldown_s >= offer->customer_per_s,
                "a cooldown that is over too early");
        require(offer->kind == RIALTO_OFFER_PERCENT || offer->currency_number != 0, "an amount of no currency");
        for (size_t b = 0; b < sizeof baselines / sizeof baselines[0]; b++) {
            int64_t worth = model_offer_worth(offer, baselines[b]);
            require(worth >= 0 && worth <= baselines[b], "an offer takes off more than there is");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct fault fault;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    if (model_parse(text, size, "models/fuzz.json", &model, &fault) != RIALTO_OK) {
        require(fault.reason[0] != '\0' && fault.line >= 1 && fault.column >= 1, "no reason or no place");
    } else {
        check_prices(&model);
        check_terms(&model);
        check_offers(&model);
        (void)model_for_cell(&(struct model_set){ .count = 0 },
                             &(struct model_claim){ .category = "fresh/x", .sku = "sku", .currency = "CNY" });
    }
    free(text);
    return 0;
}
