/* test_attributes.c - names, what models declare, and prices by them. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct model model;

static enum rialto_status parse(const char *attributes, const char *factors, struct fault *fault)
{
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "{\"model\":\"m\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},"
                   "\"factors\":[%s],\"attributes\":{%s},\"guardrails\":{\"floor\":0.1,\"ceiling\":10}}",
                   factors, attributes);
    return model_parse(text, strlen(text), "m.json", &model, fault);
}

static void load(const char *attributes, const char *factors)
{
    struct fault fault;
    cr_assert_eq(parse(attributes, factors, &fault), RIALTO_OK, "%s: %s", fault.pointer, fault.reason);
}

static void refused(const char *attributes, const char *factors, const char *pointer, const char *part)
{
    struct fault fault = { .reason = "" };
    cr_assert_eq(parse(attributes, factors, &fault), RIALTO_REFUSED, "%s %s", attributes, factors);
    cr_expect_str_eq(fault.pointer, pointer, "%s: %s", fault.pointer, fault.reason);
    cr_expect_not_null(strstr(fault.reason, part), "%s", fault.reason);
}

/* A baseline of 1000000 at list: the multiplier in micro. */
static int64_t price_with(int64_t micro, bool known)
{
    struct price_inputs in = { .list = MICRO, .cost = -1 };
    struct price_result result;
    in.input_micro[attribute_input(0)] = micro;
    in.present = known ? UINT64_C(1) << attribute_input(0) : 0;
    model_state_attributes(&model, &in);
    cr_assert_eq(model_price(&model, &in, &result), RIALTO_OK);
    return result.baseline;
}

Test(attributes, names_are_plain_words_and_never_stand_for_people)
{
    static const char *const good[] = { "a",          "weight_kg",   "size_m2",
                                        "page_count", "sexagesimal", "a234567890123456789012345678901" };
    static const char *const bad[] = { "",
                                       "A",
                                       "2a",
                                       "_a",
                                       "a-b",
                                       "a.b",
                                       "a b",
                                       "\xC3\xA4",
                                       "age",
                                       "mean_age2",
                                       "income_eur",
                                       "household_income",
                                       "sex",
                                       "health",
                                       "occupation_code",
                                       "a2345678901234567890123456789012" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect_null(attribute_name_fault(good[i]), "%s: %s", good[i], attribute_name_fault(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not_null(attribute_name_fault(bad[i]), "%s", bad[i]);
}

Test(attributes, as_many_are_kept_as_there_is_room_for_and_found_again)
{
    struct attributes_said said = { .time_ms = 1 };
    int64_t micro = 7;
    cr_expect_null(attributes_at(&said, 0, &micro));
    for (int i = 0; i < 8; i++) { /* eight names of twelve bytes with their end: all 96 */
        char name[ATTRIBUTE_NAME_MAX];
        (void)snprintf(name, sizeof name, "attribute_%d", i);
        cr_assert(attributes_add(&said, name, i * MICRO));
    }
    cr_expect(!attributes_add(&said, "x", 1), "no ninth one");
    cr_expect_str_eq(attributes_at(&said, 7, &micro), "attribute_7");
    cr_expect(attributes_find(&said, "attribute_5", &micro) && micro == 5 * MICRO);
    cr_expect(!attributes_find(&said, "attribute_", &micro) && !attributes_find(&said, "attribute_55", &micro) &&
              micro == 5 * MICRO);
    cr_expect_null(attributes_at(&said, 8, &micro));
    said = (struct attributes_said){ .time_ms = 1 };
    cr_expect(attributes_add(&said, "a234567890123456789012345678901", 1) &&
                  attributes_add(&said, "b234567890123456789012345678901", 2) &&
                  attributes_add(&said, "c23456789012345678901234567890", 3) && !attributes_add(&said, "d", 4),
              "95 bytes of 96");
    cr_expect(!attributes_find(&said, "d", &micro));
}

Test(attributes, a_price_by_one_is_the_closed_form)
{
    load("\"product.weight_kg\":{\"unit\":\"kg\",\"from\":0,\"to\":50,\"missing\":2}",
         "{\"name\":\"f\",\"expression\":\"1 + 0.004 * max(product.weight_kg - 1, 0)\"}");
    cr_expect_eq(price_with(5 * MICRO, true), 1016000);
    cr_expect_eq(price_with(MICRO / 2, true), 1000000);
    cr_expect_eq(price_with(0, false), 1004000, "as the model states");
    load("\"zone.size_m2\":{\"unit\":\"m^2\",\"from\":0,\"to\":5000}",
         "{\"name\":\"f\",\"input\":\"zone.size_m2\",\"curve\":[[100,1.2],[1100,1]],\"missing\":0.9}");
    cr_expect_eq(price_with(600 * MICRO, true), 1100000);
    cr_expect_eq(price_with(0, false), 900000, "the factor's own word");
    load("\"zone.size_m2\":{\"unit\":\"m^2\",\"from\":0,\"to\":5000}",
         "{\"name\":\"f\",\"expression\":\"if(known(zone.size_m2), 1.1, default(zone.size_m2, 800) / 1000)\"}");
    cr_expect_eq(price_with(7 * MICRO, true), 1100000);
    cr_expect_eq(price_with(0, false), 800000);
}

/* Goal: whatever stands in the slot, a formula sees nothing outside what was checked. */
Test(attributes, a_value_outside_is_cut_to_the_declared_range)
{
    load("\"product.weight_kg\":{\"unit\":\"kg\",\"from\":0.5,\"to\":4}",
         "{\"name\":\"f\",\"expression\":\"1 / product.weight_kg * 1\"}");
    cr_expect_eq(price_with(0, true), 2000000);
    cr_expect_eq(price_with(INT64_MIN, true), 2000000);
    cr_expect_eq(price_with(INT64_MAX, true), 250000);
    cr_expect_eq(price_with(2 * MICRO, true), 500000);
}

Test(attributes, each_model_has_its_own_slots)
{
    load("\"zone.b\":{\"from\":0,\"to\":1},\"product.a\":{\"from\":-1,\"to\":1,\"unit\":\"kg/"
         "m^3\",\"age_limit\":\"2h\"}",
         "");
    const struct model_attributes *own = &model.attributes;
    cr_assert_eq(own->count, 2);
    cr_expect_eq(model_input_find(own, "product.a"), attribute_input(1));
    cr_expect_eq(model_input_find(NULL, "product.a"), INPUT_NONE);
    cr_expect_eq(model_input_find(own, "hour"), INPUT_hour);
    struct model_input_row row = model_input_row(own, attribute_input(1));
    cr_expect(strcmp(row.name, "product.a") == 0 && strcmp(row.unit, "kg/m^3") == 0 && row.low == -MICRO &&
              row.high == MICRO);
    cr_expect(own->row[0].of_zone && !own->row[1].of_zone && own->row[1].age_s == 7200 && own->row[0].age_s == 0);
    cr_expect_str_eq(own->row[1].bare, "a");
    const char *names[INPUT_SLOTS];
    cr_expect_eq(model_input_names(own, names), INPUT_COUNT + 2u);
    cr_expect_str_eq(names[INPUT_COUNT], "zone.b");
}

Test(attributes, declarations_that_are_no_good_are_refused_with_their_place)
{
#define W "\"product.w\":{\"from\":0,\"to\":1}"
    refused("\"w\":{\"from\":0,\"to\":1}", "", "/attributes/w", "expected the name of an attribute");
    refused("\"product.\":{\"from\":0,\"to\":1}", "", "/attributes/product.", "lower-case");
    refused("\"zone.income\":{\"from\":0,\"to\":1}", "", "/attributes/zone.income", "no price may rest on this");
    refused("\"product.w\":{\"from\":1,\"to\":0}", "", "/attributes/product.w", "larger than");
    refused("\"product.w\":{\"from\":0,\"to\":1,\"missing\":1.5}", "", "/attributes/product.w", "must lie between");
    refused("\"product.w\":{\"from\":0,\"to\":1,\"unit\":\"m^4\"}", "", "/attributes/product.w/unit",
            "expected a unit");
    refused("\"product.w\":{\"from\":0}", "", "/attributes/product.w", "\"to\" is missing");
    refused(W, "{\"name\":\"f\",\"input\":\"product.v\",\"curve\":[[0,1]]}", "/factors/0/input",
            "did you mean \"product.w\"?");
    refused(W, "{\"name\":\"f\",\"expression\":\"1 + zone.w\"}", "/factors/0/expression", "is not declared");
    refused(W, "{\"name\":\"f\",\"expression\":\"1 / product.w\"}", "/factors/0/expression", "may be 0");
    refused("\"product.w\":{\"from\":1,\"to\":2,\"unit\":\"kg\"}",
            "{\"name\":\"f\",\"expression\":\"product.w + hour\"}", "/factors/0/expression",
            "impossible units: kg against h");
#undef W
}
