/* test_offers.c - the offers of a model file: what is read, what is refused and where, what one is worth. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line a part, so that the rows below can say "line 5". Every key of an offer is in it. */
static const char full_text[] =
    /*  1 */ "{ \"model\": \"shop\", \"version\": \"1\", \"factors\": [], \"offers\": [\n"
             /*  2 */ "  { \"name\": \"cart\",\n"
             /*  3 */ "    \"trigger\": { \"event\": \"cart\", \"times\": 3, \"within\": \"7d\", \"apart\": \"2h\", "
                      "\"unless\": \"order\" },\n"
             /*  4 */ "    \"discount\": { \"percent\": 12.5, \"stackable\": true },\n"
             /*  5 */ "    \"valid_for\": \"2d\", \"cooldown\": \"30d\",\n"
             /*  6 */ "    \"per_customer\": { \"offers\": 2, \"per\": \"30d\" },\n"
             /*  7 */ "    \"budget\": { \"offers\": 1000, \"per\": \"7d\" } },\n"
             /*  8 */ "  { \"name\": \"again\",\n"
             /*  9 */ "    \"trigger\": { \"event\": \"order\", \"times\": 2, \"within\": \"60d\" },\n"
             /* 10 */ "    \"discount\": { \"amount_off\": 250, \"currency\": \"CNY\" },\n"
             /* 11 */ "    \"valid_for\": \"1h\", \"cooldown\": \"2h\",\n"
             /* 12 */ "    \"per_customer\": { \"offers\": 16, \"per\": \"1h\" },\n"
             /* 13 */ "    \"budget\": { \"offers\": 64, \"amount\": 16000, \"per\": \"365d\" } } ],\n"
             /* 14 */ "  \"scope\": { \"categories\": [\"*\"], \"currencies\": [\"EUR\", \"CNY\"] } }\n";

static struct model model;
static struct fault fault;

static enum rialto_status parse(const char *text)
{
    return model_parse(text, strlen(text), "models/shop.json", &model, &fault);
}

Test(offers, every_key_reaches_its_place)
{
    cr_assert_eq(parse(full_text), RIALTO_OK, "%u:%u %s %s", fault.line, fault.column, fault.pointer, fault.reason);
    cr_assert_eq(model.offer_count, 2);
    const struct model_offer *o = &model.offer[0];
    cr_assert(strcmp(o->name, "cart") == 0 && o->event == DEMAND_CART && o->has_unless && o->unless == DEMAND_ORDER);
    cr_assert(o->times == 3 && o->within_s == 604800 && o->apart_s == 7200);
    cr_assert(o->kind == RIALTO_OFFER_PERCENT && o->value == 1250 && o->stackable && o->currency_number == 0);
    cr_assert_eq(o->kinds, RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES, "what it looks at is what it rests on");
    cr_assert(o->valid_s == 172800 && o->cooldown_s == 2592000 && o->customer_offers == 2 &&
              o->customer_per_s == 2592000);
    cr_assert(o->budget_offers == 1000 && o->budget_amount == 0 && o->budget_per_s == 604800);
    o++;
    cr_assert(o->event == DEMAND_ORDER && !o->has_unless && o->apart_s == 60 && o->kinds == RIALTO_KIND_PURCHASES);
    cr_assert(o->kind == RIALTO_OFFER_AMOUNT_OFF && o->value == 250 && o->currency_number == 156 && !o->stackable);
    cr_assert_eq(o->budget_amount, 16000);
}

/* Goal: the one currency of a model need not be said again. */
Test(offers, amounts_are_in_the_models_currency_if_it_is_one)
{
    static const char text[] = "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], "
                               "\"currencies\": [\"JPY\"]}, \"factors\": [],"
                               "\"offers\": [{\"name\": \"a\", \"trigger\": {\"event\": \"view\", \"times\": 1, "
                               "\"within\": \"1m\"}, \"discount\": {\"fixed\": 980},"
                               "\"valid_for\": \"1m\", \"cooldown\": \"1h\", \"per_customer\": {\"offers\": 1, "
                               "\"per\": \"1h\"}, \"budget\": {\"offers\": 64, \"per\": \"1h\"}}]}";
    cr_assert_eq(parse(text), RIALTO_OK, "%s %s", fault.pointer, fault.reason);
    cr_assert(model.offer[0].currency_number == 392 && model.offer[0].kind == RIALTO_OFFER_FIXED &&
              model.offer[0].value == 980);
    cr_assert_eq(model.offer[0].kinds, RIALTO_KIND_BEHAVIOUR);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------ */

static const struct bad {
    const char *from, *to; /* replaced in full_text, once */
    unsigned line;
    const char *at, *pointer, *reason; /* what stands there; its pointer; how the reason begins */
} bads[] = {
    { "\"times\": 3", "\"times\": 0", 3, "0, \"within\"", "/offers/0/trigger/times",
      "expected a whole number from 1 to 8" },
    { "\"times\": 3", "\"times\": 9", 3, "9, \"within\"", "/offers/0/trigger/times",
      "expected a whole number from 1 to 8" },
    { "\"times\": 3", "\"tims\": 3", 3, "3, \"within\"", "/offers/0/trigger/tims",
      "unknown key; did you mean \"times\"?" },
    { "\"event\": \"cart\"", "\"event\": \"search\"", 3, "\"search\"", "/offers/0/trigger/event",
      "expected \"view\", \"cart\" or \"order\"" },
    { "\"event\": \"cart\"", "\"event\": 1", 3, "1, \"times\"", "/offers/0/trigger/event",
      "expected \"view\", \"cart\" or \"order\"" },
    { "\"unless\": \"order\"", "\"unless\": \"cart\"", 3, "{ \"event\"", "/offers/0/trigger",
      "\"unless\" must be another event" },
    { "\"within\": \"7d\"", "\"within\": \"181d\"", 3, "\"181d\"", "/offers/0/trigger/within",
      "expected a time from 1m to 180d" },
    { "\"within\": \"7d\"", "\"within\": \"59s\"", 3, "\"59s\"", "/offers/0/trigger/within",
      "expected a time from 1m to 180d" },
    { "\"within\": \"7d\"", "\"within\": \"4h\"", 3, "{ \"event\"", "/offers/0/trigger",
      "so many \"times\" so far \"apart\"" },
    { "\"apart\": \"2h\"", "\"apart\": \"61d\"", 3, "\"61d\"", "/offers/0/trigger/apart",
      "expected a time from 0s to 60d" },
    { "12.5", "0.009", 4, "0.009", "/offers/0/discount/percent", "expected a number from 0.01 to 90" },
    { "12.5", "90.01", 4, "90.01", "/offers/0/discount/percent", "expected a number from 0.01 to 90" },
    { "12.5", "12.501", 4, "12.501", "/offers/0/discount/percent", "a percentage may have at most 2 decimals" },
    { "\"percent\": 12.5", "\"percent\": 5, \"fixed\": 9", 4, "9, \"stackable\"", "/offers/0/discount/fixed",
      "one offer is one of" },
    { "\"percent\": 12.5, \"stackable\": true", "\"fixed\": 9, \"currency\": \"EUR\", \"stackable\": true", 4,
      "{ \"fixed\"", "/offers/0/discount", "a fixed price is not stackable" },
    { "\"percent\": 12.5, ", "", 4, "{ \"stackable\"", "/offers/0/discount", "a discount needs" },
    { "\"stackable\": true", "\"stackable\": 1", 4, "1 }", "/offers/0/discount/stackable", "expected true or false" },
    { "\"valid_for\": \"2d\"", "\"valid_for\": \"91d\"", 5, "\"91d\"", "/offers/0/valid_for",
      "expected a time from 1m to 90d" },
    { "\"cooldown\": \"30d\"", "\"cooldown\": \"366d\"", 5, "\"366d\"", "/offers/0/cooldown",
      "expected a time from 1h to 365d" },
    { "\"cooldown\": \"30d\"", "\"cooldown\": \"1d\"", 2, "{ \"name\": \"cart\"", "/offers/0",
      "\"cooldown\" must be at least as long as \"valid_for\"" },
    { "\"per\": \"30d\"", "\"per\": \"31d\"", 2, "{ \"name\": \"cart\"", "/offers/0",
      "\"cooldown\" must be at least as long as \"per_customer\"" },
    { "{ \"offers\": 2, ", "{ \"offers\": 17, ", 6, "17, \"per\"", "/offers/0/per_customer/offers",
      "expected a whole number from 1 to 16" },
    { "{ \"offers\": 1000, ", "{ \"offers\": 0, ", 7, "0, \"per\"", "/offers/0/budget/offers",
      "expected a whole number from 1 to 4000000000" },
    { "{ \"offers\": 1000, \"per\": \"7d\" }", "{ \"per\": \"7d\" }", 7, "{ \"per\"", "/offers/0/budget",
      "\"offers\" is missing" },
    { ",\n    \"budget\": { \"offers\": 1000, \"per\": \"7d\" }", "", 2, "{ \"name\": \"cart\"", "/offers/0",
      "\"budget\" is missing" },
    { "\"name\": \"again\"", "\"name\": \"cart\"", 8, "{ \"name\": \"cart\"", "/offers/1",
      "another offer has the name \"cart\" already" },
    { "250, \"currency\": \"CNY\"", "250", 8, "{ \"name\": \"again\"", "/offers/1",
      "an offer with amounts says its \"currency\"" },
    { "250, \"currency\": \"CNY\"", "250, \"currency\": \"USD\"", 8, "{ \"name\": \"again\"", "/offers/1",
      "the model does not price in \"USD\"" },
    { "250, \"currency\"", "251, \"currency\"", 8, "{ \"name\": \"again\"", "/offers/1",
      "\"budget\": a share of the amount" },
    { "250, \"currency\"", "0, \"currency\"", 10, "0, \"currency\"", "/offers/1/discount/amount_off",
      "expected a whole number from 1 to 1000000000" },
    { "\"amount\": 16000", "\"amount\": 1.5", 13, "1.5, \"per\"", "/offers/1/budget/amount",
      "expected a whole number" },
};

static const char *text_at(const char *text, unsigned line, unsigned column)
{
    for (; line > 1; line--)
        text = strchr(text, '\n') + 1;
    return text + column - 1;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

Test(offers, every_fault_says_where_and_why)
{
    static char text[sizeof full_text + 256];
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const struct bad *bad = &bads[i];
        const char *at = strstr(full_text, bad->from);
        cr_assert_not_null(at, "%s is not in the text", bad->from);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - full_text), full_text, bad->to,
                       at + strlen(bad->from));
        cr_assert_eq(parse(text), RIALTO_REFUSED, "accepted: %s", bad->to);
        char got[512];
        fault_text(&fault, sizeof got, got);
        cr_expect_str_eq(fault.pointer, bad->pointer, "%s -> %s", bad->to, got);
        cr_expect(begins(fault.reason, bad->reason), "%s -> %s", bad->to, got);
        cr_expect_eq(fault.line, bad->line, "%s -> %s", bad->to, got);
        cr_expect(begins(text_at(text, fault.line, fault.column), bad->at), "%s -> %s", bad->to, got);
    }
}

/* Goal: eight of one model are accepted, nine are not. */
Test(offers, a_model_has_eight_at_most)
{
    static const char row[] =
        "%s{\"name\": \"n%d\", \"trigger\": {\"event\": \"view\", \"times\": 1, \"within\": \"1h\"}, \"discount\": "
        "{\"percent\": 1},"
        "\"valid_for\": \"1h\", \"cooldown\": \"1h\", \"per_customer\": {\"offers\": 1, \"per\": \"1h\"},"
        "\"budget\": {\"offers\": 64, \"per\": \"1h\"}}";
    static char text[8192];
    for (int count = 8; count <= 9; count++) {
        int bytes = snprintf(text, sizeof text,
                             "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], "
                             "\"currencies\": [\"EUR\"]}, \"factors\": [], \"offers\": [");
        for (int i = 0; i < count; i++)
            bytes += snprintf(text + bytes, sizeof text - (size_t)bytes, row, i > 0 ? "," : "", i);
        (void)snprintf(text + bytes, sizeof text - (size_t)bytes, "]}");
        cr_assert_eq(parse(text), count == 8 ? RIALTO_OK : RIALTO_REFUSED, "%d: %s", count, fault.reason);
    }
    cr_assert_str_eq(fault.pointer, "/offers");
}

/* ---- what it is worth: by hand ------------------------------------------------------------------------------------------ */

Test(offers, an_offer_takes_off_what_a_quote_with_it_takes_off)
{
    static const struct {
        uint8_t kind;
        int64_t value, baseline, worth;
    } rows[] = {
        { RIALTO_OFFER_PERCENT, 1000, 1000, 100 },
        { RIALTO_OFFER_PERCENT, 1250, 999, 125 }, /* 999 x 0.875 = 874.125 */
        { RIALTO_OFFER_PERCENT, 5000, 5, 3 },     /* 2.5 goes to the even 2 */
        { RIALTO_OFFER_PERCENT, 1, 100, 0 },
        { RIALTO_OFFER_AMOUNT_OFF, 250, 1000, 250 },
        { RIALTO_OFFER_AMOUNT_OFF, 250, 200, 200 },
        { RIALTO_OFFER_FIXED, 800, 1000, 200 },
        { RIALTO_OFFER_FIXED, 1000, 1000, 0 },
        { RIALTO_OFFER_FIXED, 1200, 1000, 0 },
        { RIALTO_OFFER_PERCENT, 9000, INT64_C(281474976710655),
          INT64_C(253327479039589) }, /* 2^48 - 1: what is left, 28147497671065.5, goes to the even 28147497671066 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct model_offer offer = { .kind = rows[i].kind, .value = rows[i].value };
        cr_expect_eq(model_offer_worth(&offer, rows[i].baseline), rows[i].worth, "row %zu: %lld", i,
                     (long long)model_offer_worth(&offer, rows[i].baseline));
    }
}

/* Goal: shares add up to the whole in every window, lie next to each other, and over as many windows as there are parts all parts get the same. */
Test(offers, shares_of_a_budget_add_up_to_it_and_come_round)
{
    static const uint32_t WHOLE[] = { 1, 2, 20, 63, 64, 65, 130, 4000000000u };
    for (size_t w = 0; w < sizeof WHOLE / sizeof WHOLE[0]; w++) {
        int64_t all[64] = { 0 };
        for (int64_t window = 500000; window < 500064; window++) {
            int64_t sum = 0, least = INT64_MAX, most = 0;
            for (uint32_t part = 0; part < 64; part++) {
                int64_t share = model_offer_share(WHOLE[w], part, 64, window);
                sum += share;
                least = share < least ? share : least;
                most = share > most ? share : most;
                all[part] += share;
            }
            cr_assert(sum == WHOLE[w] && most - least <= 1, "%u in window %lld: %lld", WHOLE[w], (long long)window, (long long)sum);
        }
        for (uint32_t part = 0; part < 64; part++)
            cr_assert_eq(all[part], WHOLE[w], "part %u of %u: %lld", part, WHOLE[w], (long long)all[part]);
    }
}
