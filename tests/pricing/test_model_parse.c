/* test_model_parse.c - what a model file may say, and what a pricing manager is told when it says something else. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line a part, so that the rows below can say "line 7". Every key of the language is in it. */
static const char full_text[] =
    /*  1 */
    "{ \"model\": \"shop\", \"version\": \"2026-11-01\", \"about\": \"All of it\", // comment\n"
    /*  2 */ "  \"scope\": { \"categories\": [\"fresh/*\", \"dry/tea\"], \"skus\": [\"a-*\", \"b\"], \"currencies\": "
    "[\"CNY\", \"EUR\"] },\n"
    /*  3 */ "  \"zone_levels\": 2, \"group\": \"food\", \"stale_limit\": \"2h\",\n"
    /*  4 */ "  \"demand\": { \"half_life\": \"12h\", \"slow_half_life\": \"14d\", \"prior_events\": 2.5, "
    "\"min_events\": 8,\n"
    /*  5 */ "    \"weights\": { \"view\": 0.01, \"search\": 0.02, \"cart\": 0.4, \"order\": 2, \"return\": 0.000001 } "
    "},\n"
    /*  6 */ "  \"factors\": [\n"
    /*  7 */ "    { \"name\": \"demand\", \"input\": \"demand_pressure\", \"curve\": [[0.5, 0.97], [1, 1], [2, 1.08]] "
    "},\n"
    /*  8 */ "    { \"name\": \"cold\", \"input\": \"temperature_c\", \"steps\": [[-10.5, 1.02], [0, 1]] } ],\n"
    /*  9 */ "  \"personal\": [\n"
    /* 10 */ "    { \"name\": \"loyalty\", \"tier\": { \"gold\": 0.95, \"silver\": 0.97 } },\n"
    /* 11 */ "    { \"name\": \"family\", \"segment\": { \"family\": 0.9 } },\n"
    /* 12 */ "    { \"name\": \"near\", \"zone\": { \"c1/s25\": 0.98, \"gh:u4p\": 1 } },\n"
    /* 13 */ "    { \"name\": \"spend\", \"spend\": [[0, 1], [500, 0.98]] },\n"
    /* 14 */ "    { \"name\": \"big\", \"spend_steps\": [[0, 1], [9000, 0.99]] } ],\n"
    /* 15 */ "  \"guardrails\": { \"floor\": 0.7, \"ceiling\": 1.3, \"margin\": 0.05, \"largest_step\": { \"of\": 0.1, "
    "\"per\": \"1h\" },\n"
    /* 16 */ "    \"dead_band\": { \"of\": 0.005, \"settle\": \"90m\" }, \"personal\": [0.85, 1.1], "
    "\"never_above_baseline\": false },\n"
    /* 17 */ "  \"rounding\": { \"step\": 10, \"less\": 1 },\n"
    /* 18 */ "  \"age_limits\": { \"weather\": \"26h\", \"competitor\": \"90s\", \"supply\": \"3d\" } /* end */ }\n";

#define MINIMAL                                                                                                        \
    "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, "         \
    "\"factors\": []"

static struct model model;
static struct fault fault;

static enum rialto_status parse(const char *text)
{
    return model_parse(text, strlen(text), "models/shop.json", &model, &fault);
}

/* ---- what is read ------------------------------------------------------------------------------------------ */

Test(model_parse, every_key_reaches_its_place)
{
    cr_assert_eq(parse(full_text), RIALTO_OK, "%u:%u %s %s", fault.line, fault.column, fault.pointer, fault.reason);
    cr_assert_str_eq(model.name, "shop");
    cr_assert_str_eq(model.version, "2026-11-01");
    cr_assert_str_eq(model.about, "All of it");
    cr_assert_str_eq(model.file, "models/shop.json");
    cr_assert(model.category_count == 2 && strcmp(model.category[0], "fresh/*") == 0 &&
              strcmp(model.category[1], "dry/tea") == 0);
    cr_assert(model.sku_count == 2 && strcmp(model.sku[0], "a-*") == 0 && strcmp(model.sku[1], "b") == 0);
    cr_assert(model.currency_count == 2 && strcmp(model.currency[1], "EUR") == 0);
    cr_assert(model.zone_depth_max == 2 && strcmp(model.group_name, "food") == 0 && model.stale_limit_s == 7200);
    cr_assert(model.demand.half_life_s == 43200 && model.demand.slow_half_life_s == 14 * 86400);
    cr_assert(model.demand.prior_micro == 2500000 && model.demand.min_events_micro == 8000000);
    const int64_t weights[] = { 10000, 20000, 400000, 2000000, 1 };
    cr_assert_arr_eq(model.demand.weight_micro, weights, sizeof weights);
    cr_assert(model.ending_step == 10 && model.ending_less == 1);
    cr_assert(model.weather_age_s == 26 * 3600 && model.competitor_age_s == 90 && model.supply_age_s == 3 * 86400);
}

Test(model_parse, factors_and_personal_rows_reach_their_places)
{
    cr_assert_eq(parse(full_text), RIALTO_OK);
    cr_assert_eq(model.factor_count, 2);
    cr_assert(model.factor[0].input == INPUT_demand_pressure && model.factor[0].kind == CURVE_LINEAR);
    cr_assert(model.factor[0].point_count == 3 && model.factor[0].point[2].x_micro == 2000000);
    cr_assert(model.factor[0].point[2].y_micro == 1080000);
    cr_assert(model.factor[1].input == INPUT_temperature_c && model.factor[1].kind == CURVE_STEPS);
    cr_assert_eq(model.factor[1].point[0].x_micro, -10500000);
    const struct model_personal *p = model.personal;
    cr_assert_eq(model.personal_count, 5);
    cr_assert(p[0].kind == PERSONAL_TIER && p[0].consent == RIALTO_KIND_PROFILE && p[0].point_count == 2);
    cr_assert(strcmp(p[0].word[1], "silver") == 0 && p[0].point[1].y_micro == 970000);
    cr_assert(p[1].kind == PERSONAL_SEGMENT && p[1].consent == RIALTO_KIND_PROFILE);
    cr_assert(p[2].kind == PERSONAL_ZONE && p[2].consent == RIALTO_KIND_LOCATION &&
              strcmp(p[2].word[1], "gh:u4p") == 0);
    cr_assert(p[3].kind == PERSONAL_SPEND && p[3].consent == RIALTO_KIND_PURCHASES && p[3].curve == CURVE_LINEAR);
    cr_assert(p[4].kind == PERSONAL_SPEND && p[4].curve == CURVE_STEPS && p[4].point[1].x_micro == 9000000000);
    const struct model_guardrails *g = &model.guard;
    cr_assert(g->floor_micro == 700000 && g->ceiling_micro == 1300000 && g->margin_micro == 50000);
    cr_assert(g->step_micro == 100000 && g->step_interval_s == 3600 && g->dead_band_micro == 5000 &&
              g->settle_s == 5400);
    cr_assert(g->personal_low_micro == 850000 && g->personal_high_micro == 1100000 && !g->never_above);
}

Test(model_parse, what_is_left_out_has_its_default)
{
    cr_assert_eq(parse(MINIMAL "}"), RIALTO_OK);
    cr_assert_str_eq(model.group_name, "m", "the group is named like the model");
    cr_assert(model.zone_depth_max == 0 && model.factor_count == 0 && model.personal_count == 0 &&
              model.sku_count == 0);
    cr_assert(model.demand.half_life_s == 6 * 3600 && model.demand.slow_half_life_s == 7 * 86400);
    cr_assert(model.demand.prior_micro == 5 * MICRO && model.demand.min_events_micro == 10 * MICRO);
    const int64_t weights[] = { MICRO / 10, MICRO / 10, MICRO / 2, MICRO, 0 };
    cr_assert_arr_eq(model.demand.weight_micro, weights, sizeof weights);
    const struct model_guardrails *g = &model.guard;
    cr_assert(g->floor_micro == 500000 && g->ceiling_micro == 1500000 && g->margin_micro == -1 && g->step_micro == 0);
    cr_assert(g->dead_band_micro == 0 && g->personal_low_micro == 800000 && g->personal_high_micro == MICRO &&
              g->never_above);
    cr_assert(model.ending_step == 1 && model.ending_less == 0 && model.stale_limit_s == 3600);
    cr_assert(model.weather_age_s == 3 * 3600 && model.competitor_age_s == 86400 && model.supply_age_s == 7 * 86400);
}

Test(model_parse, keys_stand_in_any_order)
{
    static const char text[] =
        "{\"factors\": [{\"when\": {\"calendar\": \"feast\"}, \"expression\": \"1 + product.weight\", "
        "\"name\": \"f\"}], \"attributes\": {\"product.weight\": {\"to\": 1, \"from\": 0}}, "
        "\"schedule\": {\"calendars\": {\"feast\": [\"2026-12-24\"]}}, "
        "\"scope\": {\"currencies\": [\"EUR\"], \"skus\": [\"a\"]}, \"version\": \"1\", \"model\": \"m\"}";
    cr_assert_eq(parse(text), RIALTO_OK, "%s %s", fault.pointer, fault.reason);
    cr_assert_eq(model.factor[0].when.calendar, 1);
}

Test(model_parse, a_changed_text_has_another_hash)
{
    cr_assert_eq(parse(MINIMAL "}"), RIALTO_OK);
    uint64_t hash = model.text_hash;
    cr_assert_eq(parse(MINIMAL "}"), RIALTO_OK);
    cr_assert_eq(model.text_hash, hash);
    cr_assert_eq(parse(MINIMAL "} "), RIALTO_OK);
    cr_assert_neq(model.text_hash, hash);
    cr_assert_eq(parse("{}"), RIALTO_REFUSED);
}

/* Decimal numbers become millionths without the error of the double in between. */
Test(model_parse, decimals_are_exact_to_the_sixth)
{
    char text[512];
    for (int i = 0; i < 20000; i++) {
        int micro = 1 + i * 49 + i % 7;
        (void)snprintf(text, sizeof text, MINIMAL ", \"demand\": {\"weights\": {\"view\": %d.%06d}}}", micro / 1000000,
                       micro % 1000000);
        cr_assert_eq(parse(text), RIALTO_OK, "%s", text);
        cr_assert_eq(model.demand.weight_micro[DEMAND_VIEW], micro);
    }
    const char *const large[] = { "999999999.999999", "-999999999.999999", "1e9", "1.5e-6" };
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(
            text, sizeof text,
            "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"skus\": [\"x\"], \"currencies\": [\"EUR\"]},"
            "\"factors\": [{\"name\": \"f\", \"input\": \"available\", \"curve\": [[%s, 1]]}]}",
            large[i]);
        enum rialto_status status = parse(text);
        cr_assert_eq(status, i == 3 ? RIALTO_REFUSED : RIALTO_OK, "%s", text);
    }
    cr_assert_str_eq(fault.reason, "a number may have at most 6 decimals");
}

/* ---- what is refused --------------------------------------------------------------------------------------- */

struct bad {
    const char *from, *to; /* replaced in full_text, once */
    unsigned line;
    const char *at; /* what stands at the place */
    const char *pointer;
    const char *reason; /* its beginning */
};

static const struct bad bads[] = {
    /* JSON itself */
    { "\"order\": 2,", "\"order\": 2,,", 5, ", \"return\": 0.", "", "expected a key in double quotes" },
    { "\"order\": 2,", "\"order\": 02,", 5, "02, \"return\":", "", "a number must not begin with a zero" },
    { "\"order\": 2,", "\"order\": 2, \"order\": 3,", 5, "3, \"return\": 0", "/demand/weights/order",
      "this key stands twice" },
    { "\"order\": 2,", "\"order\": 1e999,", 5, "1e999, \"return", "/demand/weights/order", "this number is too large" },
    { "/* end */ }", "/* end */ } x", 18, "x", "", "something follows" },
    { "/* end */ }", "/* end }", 18, "/* end }", "", "this comment is never closed" },
    /* keys */
    { "\"zone_levels\"", "\"zone_level\"", 3, "2, \"group\": \"f", "/zone_level",
      "unknown key; did you mean \"zone_levels\"?" },
    { "\"floor\"", "\"flor\"", 15, "0.7, \"ceiling\"", "/guardrails/flor", "unknown key; did you mean \"floor\"?" },
    { "\"weather\"", "\"Weather\"", 18, "\"26h\", \"compet", "/age_limits/Weather",
      "unknown key; did you mean \"weather\"?" },
    { "\"search\"", "\"a/~b\"", 5, "0.02, \"cart\":", "/demand/weights/a~1~0b", "unknown key; there are view" },
    { "\"model\": \"shop\", ", "", 1, "{ \"version\": \"", "", "\"model\" is missing" },
    { ", \"currencies\": [\"CNY\", \"EUR\"]", "", 2, "{ \"categories\"", "/scope", "\"currencies\" is missing" },
    { "\"per\": \"1h\"", "\"of\": 1", 15, "1 },", "/guardrails/largest_step/of", "this key stands twice" },
    { ", \"per\": \"1h\"", "", 15, "{ \"of\": 0.1 },", "/guardrails/largest_step", "\"per\" is missing" },
    { "\"name\": \"cold\", ", "", 8, "{ \"input\": \"te", "/factors/1", "\"name\" is missing" },
    /* texts */
    { "\"shop\"", "5", 1, "5, \"version\":", "/model", "expected a text" },
    { "\"shop\"", "\"\"", 1, "\"\", \"version\":", "/model", "expected 1 to 31 bytes of text, found 0" },
    { "\"shop\"", "\"a234567890123456789012345678901234\"", 1, "\"a234567890123", "/model",
      "expected 1 to 31 bytes of text, found 34" },
    { "\"shop\"", "\"a b\"", 1, "\"a b\", \"versio", "/model", "a name is made of letters" },
    { "\"2026-11-01\"", "\"caf\xC3\xA9\"", 1, "\"café\", \"about", "/version", "a name is made of letters" },
    { "\"All of it\"", "\"a\\nb\"", 1, "\"a\\nb\", // com", "/about", "control characters are not allowed here" },
    { "\"food\"", "\"food/x\"", 3, "\"food/x\", \"sta", "/group", "a name is made of letters" },
    /* numbers */
    { "\"zone_levels\": 2", "\"zone_levels\": 4", 3, "4, \"group\": \"f", "/zone_levels",
      "expected a whole number from 0 to 3" },
    { "\"zone_levels\": 2", "\"zone_levels\": 1.5", 3, "1.5, \"group\":", "/zone_levels", "expected a whole number" },
    { "\"zone_levels\": 2", "\"zone_levels\": -1", 3, "-1, \"group\": \"", "/zone_levels",
      "expected a whole number from 0 to 3" },
    { "\"zone_levels\": 2", "\"zone_levels\": \"2\"", 3, "\"2\", \"group\":", "/zone_levels",
      "expected a whole number" },
    { "\"prior_events\": 2.5", "\"prior_events\": 0", 4, "0, \"min_events", "/demand/prior_events",
      "expected a number from 0.001 to 1000000" },
    { "\"prior_events\": 2.5", "\"prior_events\": 2.1234567", 4, "2.1234567, \"mi", "/demand/prior_events",
      "a number may have at most 6 decimals" },
    { "\"prior_events\": 2.5", "\"prior_events\": null", 4, "null, \"min_eve", "/demand/prior_events",
      "expected a number" },
    { "\"view\": 0.01", "\"view\": -0.01", 5, "-0.01, \"search", "/demand/weights/view",
      "expected a number from 0 to 1000" },
    { "\"floor\": 0.7", "\"floor\": 1.2", 15, "1.2, \"ceiling\"", "/guardrails/floor",
      "expected a number from 0.01 to 1" },
    { "\"ceiling\": 1.3", "\"ceiling\": 0.9", 15, "0.9, \"margin\":", "/guardrails/ceiling",
      "expected a number from 1 to 10" },
    { "\"margin\": 0.05", "\"margin\": 1e300", 15, "1e300, \"larges", "/guardrails/margin",
      "expected a number from 0 to 10" },
    { "\"never_above_baseline\": false", "\"never_above_baseline\": 0", 16, "0 },", "/guardrails/never_above_baseline",
      "expected true or false" },
    /* times */
    { "\"2h\"", "2", 3, "2,", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"2\"", 3, "\"2\",", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"2 h\"", 3, "\"2 h\",", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"1.5h\"", 3, "\"1.5h\",", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"2hours\"", 3, "\"2hours\",", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"99999999999999999999s\"", 3, "\"9999999999999", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"-2h\"", 3, "\"-2h\",", "/stale_limit", "expected a time such as" },
    { "\"2h\"", "\"0s\"", 3, "\"0s\",", "/stale_limit", "expected a time from 1s to 30d" },
    { "\"2h\"", "\"31d\"", 3, "\"31d\",", "/stale_limit", "expected a time from 1s to 30d" },
    { "\"12h\"", "\"14d\"", 4, "{ \"half_life\":", "/demand", "slow_half_life must be longer than half_life" },
    /* scope */
    { "[\"fresh/*\", \"dry/tea\"], \"skus\": [\"a-*\", \"b\"]", "[]", 2, "{ \"categories\"", "/scope",
      "name categories, skus or both" },
    { "\"dry/tea\"", "\"fresh/*\"", 2, "\"fresh/*\"], \"s", "/scope/categories/1", "this entry stands twice" },
    { "\"dry/tea\"", "\"dry//tea\"", 2, "\"dry//tea\"], \"", "/scope/categories/1",
      "a category is names joined by single slashes" },
    { "\"dry/tea\"", "\"/dry\"", 2, "\"/dry\"], \"skus", "/scope/categories/1", "a category is names" },
    { "\"dry/tea\"", "\"dry/\"", 2, "\"dry/\"], \"skus", "/scope/categories/1", "a category is names" },
    { "\"dry/tea\"", "\"/*\"", 2, "\"/*\"], \"skus\":", "/scope/categories/1", "a category is names" },
    { "\"dry/tea\"", "\"dry*\"", 2, "\"dry*\"], \"skus", "/scope/categories/1",
      "a star stands alone, or at the end after a slash" },
    { "\"dry/tea\"", "\"*/tea\"", 2, "\"*/tea\"], \"sku", "/scope/categories/1", "a star stands alone" },
    { "\"dry/tea\"", "7", 2, "7], \"skus\": [\"", "/scope/categories/1", "expected a text" },
    { "[\"a-*\", \"b\"]", "\"a\"", 2, "\"a\", \"currenci", "/scope/skus", "expected a list in brackets" },
    { "\"a-*\"", "\"*\"", 2, "\"*\", \"b\"], \"cu", "/scope/skus/0", "a star needs a prefix before it" },
    { "\"a-*\"", "\"a*b\"", 2, "\"a*b\", \"b\"], \"", "/scope/skus/0", "a star stands at the end" },
    { "[\"CNY\", \"EUR\"]", "[]", 2, "[] },", "/scope/currencies", "expected 1 to 8 entries" },
    { "\"EUR\"", "\"eur\"", 2, "\"eur\"] },", "/scope/currencies/1", "not a currency of ISO 4217 in capital letters" },
    { "\"EUR\"", "\"EURO\"", 2, "\"EURO\"] },", "/scope/currencies/1", "expected 3 bytes of text, found 4" },
    { "\"EUR\"", "\"CNY\"", 2, "\"CNY\"] },", "/scope/currencies/1", "this entry stands twice" },
    /* curves and factors */
    { "\"input\": \"temperature_c\"", "\"input\": \"temperature\"", 8, "\"temperature\",", "/factors/1/input",
      "no such input" },
    { "\"input\": \"temperature_c\"", "\"input\": 3", 8, "3, \"steps\": [[", "/factors/1/input", "no such input" },
    { "\"name\": \"cold\"", "\"name\": \"demand\"", 8, "{ \"name\": \"dem", "/factors/1",
      "another factor has the name \"demand\" already" },
    { ", \"steps\": [[-10.5, 1.02], [0, 1]]", "", 8, "{ \"name\": \"col", "/factors/1",
      "a factor needs one of curve, steps" },
    { "\"steps\": [[-10.5", "\"curve\": [[1, 1]], \"steps\": [[-10.5", 8, "[[-10.5, 1.02]", "/factors/1/steps",
      "one way to compute it is enough" },
    { "[[-10.5, 1.02], [0, 1]]", "[]", 8, "[] } ],", "/factors/1/steps", "expected 1 to 24 entries" },
    { "[[-10.5, 1.02], [0, 1]]", "[1, 2]", 8, "1, 2] } ],", "/factors/1/steps/0", "expected a point [x, y]" },
    { "[[-10.5, 1.02], [0, 1]]", "[[1, 1, 1]]", 8, "[1, 1, 1]] } ]", "/factors/1/steps/0", "expected a point [x, y]" },
    { "[[-10.5, 1.02], [0, 1]]", "[[0, \"1\"]]", 8, "\"1\"]] } ],", "/factors/1/steps/0/1", "expected a number" },
    { "[0, 1]] } ]", "[-10.5, 1]] } ]", 8, "[-10.5, 1]] }", "/factors/1/steps/1",
      "a curve does not go back: x must be larger than in the point before" },
    { "[1, 1], [2, 1.08]", "[2, 1], [1, 1.08]", 7, "[1, 1.08]] },", "/factors/0/curve/2",
      "a curve does not go back: x must be larger" },
    { "[2, 1.08]", "[2, 0.09]", 7, "0.09]] },", "/factors/0/curve/2/1", "expected a number from 0.1 to 10" },
    { "[2, 1.08]", "[2, 10.1]", 7, "10.1]] },", "/factors/0/curve/2/1", "expected a number from 0.1 to 10" },
    { "[2, 1.08]", "[2e9, 1.08]", 7, "2e9, 1.08]] },", "/factors/0/curve/2/0",
      "expected a number from -1000000000 to 1000000000" },
    /* personal terms */
    { "\"name\": \"family\", \"segment\"", "\"name\": \"loyalty\", \"segment\"", 11, "{ \"name\": \"loy", "/personal/1",
      "another personal row has the name \"loyalty\" already" },
    { ", \"segment\": { \"family\": 0.9 }", "", 11, "{ \"name\": \"fam", "/personal/1",
      "a personal row needs \"tier\"" },
    { "\"segment\": { \"family\": 0.9 }", "\"segment\": { \"family\": 0.9 }, \"spend\": [[0, 1]]", 11, "[[0, 1]] },",
      "/personal/1/spend", "one row reads one kind of data" },
    { "\"segment\": { \"family\": 0.9 }", "\"segment\": { \"family\": 0.9 }, \"tier\": { \"x\": 1 }", 11,
      "{ \"x\": 1 } },", "/personal/1/tier", "one row reads one kind of data" },
    { "{ \"gold\": 0.95, \"silver\": 0.97 }", "{}", 10, "{} },", "/personal/0/tier", "expected at least one entry" },
    { "{ \"gold\": 0.95, \"silver\": 0.97 }", "[0.9]", 10, "[0.9] },", "/personal/0/tier",
      "expected an object such as" },
    { "\"gold\": 0.95", "\"gold\": 0", 10, "0, \"silver\": 0", "/personal/0/tier/gold",
      "expected a number from 0.1 to 10" },
    { "\"gold\": 0.95", "\"\": 0.95", 10, "0.95, \"silver\"", "/personal/0/tier/",
      "this name must have 1 to 31 bytes" },
    { "\"c1/s25\"", "\"c1//s25\"", 12, "0.98, \"gh:u4p\"", "/personal/2/zone/c1~1~1s25",
      "a zone is names joined by single slashes" },
    { "\"c1/s25\"", "\"c1/s 25\"", 12, "0.98, \"gh:u4p\"", "/personal/2/zone/c1~1s 25", "a zone is made of letters" },
    { "\"c1/s25\"", "\"world\"", 12, "0.98, \"gh:u4p\"", "/personal/2/zone/world", "the world is around everybody" },
    { "[500, 0.98]", "[0, 0.98]", 13, "[0, 0.98]] },", "/personal/3/spend/1",
      "a curve does not go back: x must be larger" },
    /* guardrails and rounding */
    { "[0.85, 1.1]", "[0.85]", 16, "[0.85], \"never", "/guardrails/personal",
      "expected the least and the largest personal multiplier" },
    { "[0.85, 1.1]", "[1.01, 1.1]", 16, "1.01, 1.1], \"n", "/guardrails/personal/0",
      "expected a number from 0.1 to 1" },
    { "[0.85, 1.1]", "[0.85, 0.9]", 16, "0.9], \"never_a", "/guardrails/personal/1", "expected a number from 1 to 2" },
    { "\"of\": 0.1,", "\"of\": 0,", 15, "0, \"per\": \"1h\"", "/guardrails/largest_step/of",
      "expected a number from 0.001 to 1" },
    { "\"of\": 0.005", "\"of\": 0.6", 16, "0.6, \"settle\":", "/guardrails/dead_band/of",
      "expected a number from 0 to 0.5" },
    { "\"step\": 10,", "\"step\": 0,", 17, "0, \"less\": 1 }", "/rounding/step",
      "expected a whole number from 1 to 1000000" },
    { "\"less\": 1 ", "\"less\": 10 ", 17, "{ \"step\": 10,", "/rounding", "\"less\" must be smaller than \"step\"" },
    { "\"rounding\": { \"step\": 10, \"less\": 1 }", "\"rounding\": 5", 17, "5,", "/rounding",
      "expected an object in braces" },
};

/* The text from line and column on. */
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

static bool replaced(const char *from, const char *to, size_t size, char *ret)
{
    const char *at = strstr(full_text, from);
    if (at == NULL)
        return false;
    int length = snprintf(ret, size, "%.*s%s%s", (int)(at - full_text), full_text, to, at + strlen(from));
    return length > 0 && (size_t)length < size;
}

Test(model_parse, every_fault_says_where_and_why)
{
    static char text[sizeof full_text + 256];
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const struct bad *bad = &bads[i];
        cr_assert(replaced(bad->from, bad->to, sizeof text, text), "%s is not in the text", bad->from);
        cr_assert_eq(parse(text), RIALTO_REFUSED, "accepted: %s", bad->to);
        char got[512];
        fault_text(&fault, sizeof got, got);
        cr_expect_str_eq(fault.file, "models/shop.json");
        cr_expect_str_eq(fault.pointer, bad->pointer, "%s -> %s", bad->to, got);
        cr_expect(begins(fault.reason, bad->reason), "%s -> %s", bad->to, got);
        cr_expect_eq(fault.line, bad->line, "%s -> %s", bad->to, got);
        cr_expect(begins(text_at(text, fault.line, fault.column), bad->at), "%s -> %s", bad->to, got);
    }
}

/* ---- too many of something -------------------------------------------------------------------------------- */

static void repeat(size_t size, char *text, const char *before, const char *row, int count, const char *after)
{
    size_t length = (size_t)snprintf(text, size, "%s", before);
    for (int i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, size - length, "%s", i == 0 ? "" : ", ");
        for (const char *p = row; *p != '\0'; p++) /* # = the number of the row */
            length += (size_t)(*p == '#' ? snprintf(text + length, size - length, "%d", i)
                                         : snprintf(text + length, size - length, "%c", *p));
    }
    (void)snprintf(text + length, size - length, "%s", after);
}

Test(model_parse, limits_are_reached_and_not_passed)
{
    static char text[8192];
    static const char start[] = "{\"model\": \"m\", \"version\": \"1\", ";
    static const char scope[] = "\"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, ";
    const struct {
        int most;
        const char *before, *row, *after;
    } limits[] = {
        { MODEL_SCOPES_MAX, "\"factors\": [], \"scope\": {\"currencies\": [\"EUR\"], \"categories\": [", "\"c#\"",
          "]}}" },
        { MODEL_SCOPES_MAX, "\"factors\": [], \"scope\": {\"currencies\": [\"EUR\"], \"skus\": [", "\"s#\"", "]}}" },
        { MODEL_FACTORS_MAX, "\"factors\": [", "{\"name\": \"f#\", \"input\": \"hour\", \"curve\": [[1, 1]]}", "]}" },
        { MODEL_POINTS_MAX, "\"factors\": [{\"name\": \"f\", \"input\": \"hour\", \"curve\": [", "[#, 1]", "]}]}" },
        { MODEL_PERSONAL_MAX, "\"factors\": [], \"personal\": [", "{\"name\": \"p#\", \"tier\": {\"x\": 1}}", "]}" },
        { MODEL_POINTS_MAX, "\"factors\": [], \"personal\": [{\"name\": \"p\", \"tier\": {", "\"t#\": 1", "}}]}" },
        { MODEL_POINTS_MAX, "\"factors\": [], \"personal\": [{\"name\": \"p\", \"spend\": [", "[#, 1]", "]}]}" },
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char before[512];
        (void)snprintf(before, sizeof before, "%s%s%s", start, i < 2 ? "" : scope, limits[i].before);
        repeat(sizeof text, text, before, limits[i].row, limits[i].most, limits[i].after);
        cr_assert_eq(parse(text), RIALTO_OK, "%s %s", fault.pointer, fault.reason);
        repeat(sizeof text, text, before, limits[i].row, limits[i].most + 1, limits[i].after);
        cr_assert_eq(parse(text), RIALTO_REFUSED, "%s", text);
        repeat(sizeof text, text, before, limits[i].row, 3 * limits[i].most, limits[i].after);
        cr_assert_eq(parse(text), RIALTO_REFUSED, "%s", text);
    }
}

/* Goal: no prefix and no single changed byte of a model does anything but be accepted or refused with a place. */
Test(model_parse, damaged_files_are_refused_in_peace)
{
    static char text[sizeof full_text];
    for (size_t i = 0; i < sizeof full_text - 2; i++) { /* all but its last line feed */
        cr_assert_eq(model_parse(full_text, i, "f", &model, &fault), RIALTO_REFUSED, "the first %zu bytes", i);
        for (int c = 0; c < 256; c += 15) {
            memcpy(text, full_text, sizeof text);
            text[i] = (char)c;
            if (model_parse(text, sizeof text - 1, "f", &model, &fault) != RIALTO_OK)
                cr_assert(fault.line >= 1 && fault.column >= 1 && fault.reason[0] != '\0');
        }
    }
}

/* Goal: one go tells everything that is wrong. */
Test(model_parse, all_faults_are_found_in_one_go)
{
    static const char text[] =
        "{ \"model\": \"m\", \"versoin\": \"1\", \"scope\": {\"categories\": [\"*\", \"a//b\"], \"currencies\": "
        "[\"EUX\"]},\n"
        "  \"factors\": [ {\"name\": \"a\", \"input\": \"demand_presure\", \"curve\": [[1, 1], [1, 2], [3, 99]]},\n"
        "    {\"name\": \"b\", \"expression\": \"1 + available\"} ],\n"
        "  \"guardrails\": {\"flor\": 1} }";
    static const struct {
        unsigned line;
        const char *at, *pointer, *reason;
    } wanted[] = {
        { 1, "\"1\", \"scope", "/versoin", "unknown key; did you mean \"version\"?" },
        { 1, "\"a//b", "/scope/categories/1", "a category is names joined by single slashes" },
        { 1, "\"EUX", "/scope/currencies/0", "not a currency" },
        { 2, "\"demand_presure", "/factors/0/input", "no such input; did you mean \"demand_pressure\"?" },
        { 2, "[1, 2]", "/factors/0/curve/1", "a curve does not go back" },
        { 2, "99]", "/factors/0/curve/2/1", "expected a number from 0.1 to 10" },
        { 3, "1 + available", "/factors/1/expression", "impossible units: expected a plain number, found units" },
        { 4, "1}", "/guardrails/flor", "unknown key; did you mean \"floor\"?" },
        { 1, "{ \"model", "", "\"version\" is missing" },
    };
    struct fault_list *faults = calloc(1, sizeof *faults);
    cr_assert_eq(model_parse_all(text, strlen(text), "m.json", &model, faults), RIALTO_REFUSED);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct fault *f = &faults->fault[i];
        cr_expect(f->line == wanted[i].line && begins(text_at(text, f->line, f->column), wanted[i].at),
                  "%zu: %u:%u %s %s", i, f->line, f->column, f->pointer, f->reason);
        cr_expect_str_eq(f->pointer, wanted[i].pointer);
        cr_expect(begins(f->reason, wanted[i].reason), "%s", f->reason);
    }
    cr_expect_eq(faults->count, sizeof wanted / sizeof wanted[0]);
    free(faults);
}
