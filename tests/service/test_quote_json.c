/* test_quote_json.c - the JSON of a quote says what docs/redis.md says, and is JSON whatever is in the names. */
#include "service/publisher.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <string.h>

static struct rialto_quote quote_example(void)
{
    return (struct rialto_quote){
        .amount = 114,
        .baseline = 120,
        .list = 125,
        .floor = 60,
        .ceiling = 180,
        .as_of_ms = INT64_C(1790000000123),
        .valid_until_ms = INT64_C(1790000900000),
        .age_ms = 17,
        .flags = RIALTO_FLAG_PERSONAL,
        .multiplier_e4 = 9500,
        .kinds = RIALTO_KIND_PROFILE | RIALTO_KIND_LOCATION,
        .decimals = 2,
        .currency = "EUR",
        .zone = "c1/s25",
        .used = RIALTO_KIND_PROFILE | RIALTO_KIND_LOCATION,
        .disclosure = 1,
    };
}

static struct rialto_rule_row rule_example(void)
{
    return (struct rialto_rule_row){ .model = "groceries",
                                     .version = "2026-11-01",
                                     .policy = "us-ny-349-a",
                                     .disclosure_text = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA." };
}

Test(quote_json, is_the_text_that_the_reference_shows)
{
    struct rialto_quote quote = quote_example();
    struct rialto_rule_row rule = rule_example();
    char text[1024];
    const char *expected =
        "{\"amount\":114,\"baseline\":120,\"list\":125,\"currency\":\"EUR\",\"decimals\":2,\"text\":\"1.14 "
        "EUR\",\"flags\":[\"PERSONAL\"],"
        "\"zone\":\"c1/"
        "s25\",\"multiplier\":0.9500,\"rests_on\":[\"location\",\"profile\"],\"as_of\":\"2026-09-21T14:13:20.123Z\","
        "\"valid_until\":\"2026-09-21T14:28:20.000Z\",\"model\":\"groceries\",\"version\":\"2026-11-01\","
        "\"direction\":\"lower\",\"data_used\":[\"location\",\"profile\"],\"disclosure\":1,\"disclosure_text\":\"THIS PRICE WAS SET BY "
        "AN ALGORITHM USING YOUR PERSONAL DATA.\",\"policy\":\"us-ny-349-a\"}";
    size_t length = quote_json(&quote, &rule, sizeof text, text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(length, strlen(expected));
}

Test(quote_json, leaves_out_what_is_not_known_and_names_the_world)
{
    struct rialto_quote quote = quote_example();
    char text[1024];
    quote.valid_until_ms = 0;
    quote.zone[0] = '\0';
    quote.flags = quote.kinds = 0;
    (void)quote_json(&quote, NULL, sizeof text, text);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json);
    cr_assert_null(cJSON_GetObjectItemCaseSensitive(json, "valid_until"));
    cr_assert_null(cJSON_GetObjectItemCaseSensitive(json, "model"));
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(json, "zone")->valuestring, "world");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "flags")), 0);
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "rests_on")), 0);
    cJSON_Delete(json);
}

Test(quote_json, every_flag_has_a_name)
{
    struct rialto_quote quote = quote_example();
    char text[1024];
    for (unsigned bit = RIALTO_FLAG_ANONYMOUS; bit <= RIALTO_FLAG_STARTING; bit <<= 1) {
        quote.flags = bit;
        (void)quote_json(&quote, NULL, sizeof text, text);
        cJSON *json = cJSON_Parse(text);
        cr_assert_not_null(json);
        cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "flags")), 1, "flag %x", bit);
        cJSON_Delete(json);
    }
}

/* Goal: a model's name cannot break out of its string. */
Test(quote_json, escapes_names)
{
    struct rialto_quote quote = quote_example();
    struct rialto_rule_row rule = { .model = "a\"b\\c\n\x01", .version = "\xc3\xa9" };
    char text[1024];
    (void)quote_json(&quote, &rule, sizeof text, text);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json);
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(json, "model")->valuestring, "a\"b\\c\n\x01");
    cr_assert_str_eq(cJSON_GetObjectItemCaseSensitive(json, "version")->valuestring, "\xc3\xa9");
    cJSON_Delete(json);
}

Test(quote_json, says_how_long_it_is_and_never_writes_past_its_room)
{
    struct rialto_quote quote = quote_example();
    struct rialto_rule_row rule = rule_example();
    char whole[1024], cut[1024];
    size_t length = quote_json(&quote, &rule, sizeof whole, whole);
    for (size_t room = 1; room <= length + 1; room++) {
        memset(cut, 'x', sizeof cut);
        cr_assert_eq(quote_json(&quote, &rule, room, cut), length);
        cr_assert_eq(strlen(cut), room - 1);
        cr_assert_eq(memcmp(cut, whole, room - 1), 0);
        cr_assert_eq(cut[room], 'x');
    }
}
