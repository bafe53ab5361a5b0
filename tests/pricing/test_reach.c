/* test_reach.c - how far personal data can move prices: against every customer that there can be, priced one by one. */
#include "pricing/reach.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_KINDS 0x1Fu

#define SHOP(guardrails)                                                                                               \
    "{\"model\": \"shop\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, "      \
    "\"factors\": [],"                                                                                                 \
    "\"personal\": ["                                                                                                  \
    "{\"name\": \"loyalty\", \"tier\": {\"gold\": 0.93, \"vip\": 1.07, \"silver\": 0.97}},"                            \
    "{\"name\": \"people\", \"segment\": {\"family\": 0.96, \"press\": 1.05}},"                                        \
    "{\"name\": \"spend\", \"spend\": [[100, 1], [500, 0.91], [900, 1.03]]},"                                          \
    "{\"name\": \"near\", \"zone\": {\"c1\": 0.99, \"c2\": 1.01}},"                                                    \
    "{\"name\": \"likes\", \"affinity_steps\": [[0, 1], [0.2, 0.94], [0.5, 1.02]]},"                              \
    "{\"name\": \"walk\", \"distance_km_steps\": [[0, 0.95], [10, 1.03]], \"to\": [[52, 13]]}],"                       \
    "\"guardrails\": {" guardrails "}}"

static struct model_set *set_of(const char *text)
{
    struct model_set *set = calloc(1, sizeof *set + sizeof set->model[0]);
    struct fault fault = { 0 };
    cr_assert_eq(model_parse(text, strlen(text), "", &set->model[0], &fault), RIALTO_OK, "%s", fault.reason);
    set->count = 1;
    return set;
}

/* The least and the largest multiplier of all customers who permit these kinds. */
static struct reach counted(const struct model_set *set, uint8_t kinds)
{
    static const char *const tier[] = { "", "gold", "vip", "silver", "other" },
                             *const segment[] = { "", "family", "press", "other" },
                             *const zone[] = { "", "c1", "c2", "c3", "c1", "c2" };
    static const int64_t lat[] = { 0, 52000000, 52000000, 52000000, 53000000, 53000000 }; /* where they lie: here, or far away */
    struct reach found = { .low = UINT16_MAX };
    for (size_t t = 0; t < sizeof tier / sizeof tier[0]; t++)
        for (size_t s = 0; s < sizeof segment / sizeof segment[0]; s++)
            for (size_t z = 0; z < sizeof zone / sizeof zone[0]; z++)
                for (int64_t n = 0; n <= 3 * 50 + 2; n++) {
                    int64_t spend = n / 3 * 20, likes = n % 3 == 2 ? 3 : n % 3; /* events: shares below, between and above its steps */
                    struct terms_inputs in = { .consent = kinds,
                                               .spend_currency = "EUR",
                                               .spend_micro = spend * MICRO,
                                               .segment_count = segment[s][0] != '\0',
                                               .zone_count = zone[z][0] != '\0',
                                               .has_position = zone[z][0] != '\0',
                                               .position_micro = { lat[z], 13000000 },
                                               .affinity = { .micro = { { likes * MICRO }, { likes * MICRO } } } };
                    uint16_t e4[RIALTO_GROUPS_MAX], read;
                    (void)snprintf(in.tier, sizeof in.tier, "%s", tier[t]);
                    (void)snprintf(in.segment[0], sizeof in.segment[0], "%s", segment[s]);
                    (void)snprintf(in.zone[0], sizeof in.zone[0], "%s", zone[z]);
                    model_terms(set, &in, e4, &read);
                    found.low = e4[0] < found.low ? e4[0] : found.low;
                    found.high = e4[0] > found.high ? e4[0] : found.high;
                    found.kinds |= (uint8_t)read;
                }
    return found;
}

Test(reach, is_what_some_customer_gets_and_none_gets_more)
{
    static const char *const text[] = { SHOP("\"personal\": [0.2, 2], \"never_above_baseline\": false"),
                                        SHOP("\"personal\": [0.9, 1.06], \"never_above_baseline\": false") };
    for (size_t i = 0; i < 2; i++) {
        struct model_set *set = set_of(text[i]);
        for (uint8_t kinds = 0; kinds <= ALL_KINDS; kinds++) {
            struct reach told = model_reach(set, &set->model[0], kinds, false, 0), found = counted(set, kinds);
            cr_expect_eq(told.low, found.low, "kinds %x: %u, found %u", kinds, told.low, found.low);
            cr_expect_eq(told.high, found.high, "kinds %x: %u, found %u", kinds, told.high, found.high);
            cr_expect_eq(told.kinds, found.kinds, "kinds %x", kinds);
        }
        model_set_free(set);
    }
}

Test(reach, ends_at_the_baseline_where_nothing_may_lie_above_it)
{
    struct model_set *set = set_of(SHOP("\"personal\": [0.5, 1.5], \"never_above_baseline\": true"));
    cr_expect_eq(model_reach(set, &set->model[0], ALL_KINDS, false, 0).high, 10000);
    set->model[0].guard.never_above = false;
    cr_expect_gt(model_reach(set, &set->model[0], ALL_KINDS, false, 0).high, 10000);
    cr_expect_eq(model_reach(set, &set->model[0], ALL_KINDS, true, 0).high, 10000);
    model_set_free(set);
}

Test(reach, is_no_wider_than_the_spread)
{
    struct model_set *set = set_of(SHOP("\"personal\": [0.5, 1], \"spread\": 0.05"));
    cr_expect_eq(model_reach(set, &set->model[0], ALL_KINDS, false, 0).low, 9500);
    model_set_free(set);
}

Test(reach, forgets_models_that_have_ended)
{
    struct model_set *set = set_of(SHOP("\"personal\": [0.5, 1]"));
    set->model[0].until_ms = 1000;
    cr_expect_lt(model_reach(set, &set->model[0], ALL_KINDS, false, 999).low, 10000);
    cr_expect_eq(model_reach(set, &set->model[0], ALL_KINDS, false, 1000).low, 10000);
    model_set_free(set);
}
