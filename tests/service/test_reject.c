/* test_reject.c - what is kept of a rejected signal: enough to send it again, and nothing of a customer. */
#include "service/reject.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static const struct signal_rules RULES = {
    .levels = { { 3, 5 }, { 1, 2, 3 } }, .now_ms = NOW_MS, .age_max_ms = 1000000, .future_max_ms = 60000
};

static struct reject of_text(const char *text)
{
    struct fault fault = { .reason = "" };
    struct signal signal;
    struct reject reject;
    cJSON *value = json_parse(text, strlen(text), 0, &fault);
    cr_assert_not_null(value, "%s", text);
    enum signal_reason reason = signal_parse(value, &RULES, &signal, &fault);
    reject_of_value(value, &RULES, reason, &fault, &reject);
    cJSON_Delete(value);
    return reject;
}

/* Goal: a refused value keeps its known, good members as they were said, and says whether that is all of it. */
Test(reject, keeps_what_is_good_of_a_value)
{
    struct reject r = of_text(
        "{\"type\":\"supply\",\"sku\":\"a\\\"b\\\\c\",\"available\":2.5,\"time\":5,\"source\":\"w\",\"id\":\"7\"}");
    cr_expect_str_eq(r.signal, "{\"type\":\"supply\",\"sku\":\"a\\\"b\\\\c\",\"available\":2.500000,\"time\":5,"
                               "\"source\":\"w\",\"id\":\"7\"}");
    cr_expect(r.whole && r.reason == REASON_too_old);
    cr_expect_str_eq(r.pointer, "/time");
    cr_expect_str_eq(r.source, "w");
    cr_expect_str_eq(r.type, "supply");

    r = of_text("{\"type\":\"product\",\"sku\":\"4006381333931\",\"list\":1.5,\"currency\":\"EUR\",\"unit\":\"kg\","
                "\"colour\":\"red\"}");
    cr_expect_str_eq(r.signal, "{\"type\":\"product\",\"sku\":\"4006381333931\",\"currency\":\"EUR\",\"unit\":\"kg\"}");
    cr_expect(!r.whole);
}

/* Goal: no customer, whatever the fault is and wherever the name stands. */
Test(reject, keeps_nothing_of_a_customer)
{
    static const char *const TEXTS[] = {
        "{\"type\":\"customer\",\"customer\":\"anna7\",\"tier\":5}",
        "{\"type\":\"customer\",\"customer\":\"anna7\",\"anna7\":5}",
        "{\"type\":\"customer\",\"customer\":\"anna7\",\"consent\":{\"anna7\":true}}",
        "{\"type\":\"location\",\"customer\":\"anna7\",\"lat\":48.5,\"lon\":500}",
        "{\"type\":\"forget\",\"customer\":\"anna7\",\"source\":5}",
        ("{\"type\":\"demand\",\"customer\":\"anna7\",\"sku\":\"m\",\"event\":\"view\",\"quantity\":-1,\"id\":"
         "\"anna7\","
         "\"source\":\"s\"}"),
        "{\"type\":\"supply\",\"customer\":\"anna7\",\"sku\":\"m\",\"available\":1,\"id\":\"anna7\"}",
        "{\"type\":\"supply\",\"sku\":\"m\",\"available\":\"anna7\",\"capacity\":5}",
        "{\"type\":\"anna7\"}",
        "{\"type\":\"customer\",\"customer\":\"anna7\",\"tier\":5,\"source\":\"phone-of-anna7\"}",
        ("{\"type\":\"demand\",\"session\":\"anna7\",\"sku\":\"m\",\"event\":\"view\",\"quantity\":-1,"
         "\"source\":\"visit/anna7\"}"),
        ("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/customers/anna7\",\"type\":\"demand\","
         "\"data\":{\"customer\":\"anna7\",\"sku\":\"m\",\"event\":\"view\",\"quantity\":-1}}"),
        "[\"anna7\"]",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct reject r = of_text(TEXTS[i]);
        const char *const kept[] = { r.signal, r.pointer, r.text, r.source, r.type };
        for (unsigned k = 0; k < 5; k++)
            cr_expect_null(strstr(kept[k], "anna7"), "%s: %s", TEXTS[i], kept[k]);
        cr_expect(!r.whole, "%s", TEXTS[i]);
    }
}

/* Goal: a refused part can be sent again as it is, in every type of product and common part. */
Test(reject, a_part_comes_back_the_same)
{
    static const char *const TEXTS[] = {
        ("{\"type\":\"product\",\"sku\":\"m\",\"category\":\"a/"
         "b\",\"title\":\"M\",\"list\":109,\"cost\":50,\"currency\":\"EUR\","
         "\"unit\":\"l\",\"tax\":\"excluded\",\"promotion\":0.8,\"until\":1767225601000,\"zone\":\"de\"}"),
        "{\"type\":\"demand\",\"sku\":\"m\",\"event\":\"return\",\"quantity\":0.000001,\"zone\":\"de/x\"}",
        "{\"type\":\"supply\",\"sku\":\"m\",\"available\":40,\"capacity\":240.25}",
        "{\"type\":\"competitor\",\"sku\":\"m\",\"competitor\":\"c\",\"amount\":115,\"currency\":\"EUR\"}",
        "{\"type\":\"weather\",\"zone\":\"de\",\"temperature_c\":-31.5,\"humidity\":0.25}",
        ("{\"type\":\"zone\",\"zone\":\"de\",\"lat\":-0.5,\"lon\":11.575,\"utc_offset_min\":-60,\"region\":\"r\","
         "\"parent\":\"\"}"),
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct fault fault;
        struct signal before, after;
        struct reject r;
        cJSON *value = json_parse(TEXTS[i], strlen(TEXTS[i]), 0, &fault);
        cr_assert_eq(signal_parse(value, &RULES, &before, &fault), REASON_none, "%s: %s", TEXTS[i], fault.reason);
        cJSON_Delete(value);
        reject_of_part(&before, signal_parts(&before) & PART_COMMON ? PART_COMMON : PART_PRODUCT, REASON_table_full,
                       &r);
        cr_assert(r.whole, "%s: %s", TEXTS[i], r.signal);
        value = json_parse(r.signal, strlen(r.signal), 0, &fault);
        cr_assert_not_null(value, "%s", r.signal);
        cr_assert_eq(signal_parse(value, &RULES, &after, &fault), REASON_none, "%s: %s", r.signal, fault.reason);
        cJSON_Delete(value);
        before.present |= UINT64_C(1) << SIGNAL_FIELD_time_ms; /* it is said now */
        cr_expect_arr_eq(&before, &after, sizeof before, "%s", r.signal);
    }
}
