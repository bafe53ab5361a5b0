/* test_signal_event.c - a CloudEvent is taken for the signal in it, or refused with a place in the event. */
#include "service/reject.h"
#include "service/signal_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static const struct signal_rules RULES = {
    .levels = { { 3, 5 }, { 1, 2, 3 } }, .now_ms = NOW_MS, .age_max_ms = 1000000, .future_max_ms = 60000
};

static enum signal_reason parse(const char *text, struct signal *ret, struct fault *fault)
{
    cJSON *object = json_parse(text, strlen(text), 0, fault);
    cr_assert_not_null(object, "the test's own JSON is bad: %s", text);
    enum signal_reason reason = signal_parse(object, &RULES, ret, fault);
    cJSON_Delete(object);
    return reason;
}

static void same(const char *event, const char *bare)
{
    struct signal a, b;
    struct fault fault = { .reason = "" };
    cr_expect_eq(parse(event, &a, &fault), REASON_none, "%s: %s %s", event, fault.pointer, fault.reason);
    cr_expect_eq(parse(bare, &b, &fault), REASON_none, "%s: %s %s", bare, fault.pointer, fault.reason);
    cr_expect_eq(a.enclosed & SIGNAL_IN_DATA, SIGNAL_IN_DATA, "%s", event);
    cr_expect_eq(b.enclosed, 0, "%s", bare);
    a.enclosed = 0;
    cr_expect_arr_eq(&a, &b, sizeof a, "%s", event);
}

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/tills/25\","
#define TIME "\"time\":\"2025-12-31T23:59:59Z\""
#define VIEW "\"sku\":\"m\",\"event\":\"view\""

/* Goal: the forms of the specification, each beside the same signal without an envelope. */
Test(signal_event, means_the_signal_in_it)
{
    const char *bare = "{\"type\":\"demand\"," VIEW ",\"source\":\"/tills/25\",\"id\":\"7\"}";
    same(HEAD "\"type\":\"demand\",\"data\":{" VIEW "}}", bare);
    same(HEAD "\"type\":\"com.example.shop.demand\",\"data\":{" VIEW "}}", bare);
    same(HEAD "\"type\":\"com.example.seen\",\"data\":{\"type\":\"demand\"," VIEW "}}", bare);
    same(HEAD "\"type\":\"demand\",\"datacontenttype\":\"application/json; charset=utf-8\",\"data\":{" VIEW "}}", bare);
    same(HEAD "\"type\":\"demand\",\"datacontenttype\":\"application/vnd.shop+json\",\"data\":{" VIEW "}}", bare);
    same(HEAD "\"type\":\"demand\",\"subject\":\"m\",\"dataschema\":\"urn:x\",\"traceparent\":\"00-1\",\"partition\":5,"
              "\"sampled\":true,\"time\":null,\"data_base64\":null,\"data\":{" VIEW "}}",
         bare);
    same(HEAD "\"type\":\"demand\"," TIME ",\"data\":{" VIEW "}}",
         "{\"type\":\"demand\"," VIEW "," TIME ",\"source\":\"/tills/25\",\"id\":\"7\"}");
    same(HEAD "\"type\":\"demand\"," TIME ",\"data\":{" VIEW ",\"time\":1767225599500,\"id\":\"8\",\"source\":\"s\"}}",
         "{\"type\":\"demand\"," VIEW ",\"time\":1767225599500,\"source\":\"s\",\"id\":\"8\"}");
}

/* Goal: each fault of an envelope has its reason and place; one of the signal stands under /data. */
Test(signal_event, faults_have_their_place)
{
    static const struct {
        const char *text;
        enum signal_reason reason;
        const char *pointer;
    } ROWS[] = {
        { "{\"specversion\":\"1.0\"}", REASON_missing_field, "/id" },
        { "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"demand\",\"data\":{}}",
          REASON_out_of_range, "/specversion" },
        { "{\"specversion\":1.0,\"id\":\"1\",\"source\":\"s\",\"type\":\"demand\",\"data\":{}}", REASON_wrong_type,
          "/specversion" },
        { "{\"specversion\":null,\"id\":\"1\"}", REASON_missing_field, "/specversion" },
        { "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"demand\",\"data\":{}}", REASON_missing_field, "/source" },
        { "{\"specversion\":\"1.0\",\"id\":1,\"source\":\"s\",\"type\":\"demand\",\"data\":{}}", REASON_wrong_type,
          "/id" },
        { "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"s\",\"type\":\"demand\",\"data\":{}}", REASON_bad_text,
          "/id" },
        { HEAD "\"type\":\"demand\"}", REASON_missing_field, "/data" },
        { HEAD "\"type\":\"demand\",\"data\":null}", REASON_missing_field, "/data" },
        { HEAD "\"type\":\"demand\",\"data\":\"{}\"}", REASON_not_object, "/data" },
        { HEAD "\"type\":\"demand\",\"data\":[]}", REASON_not_object, "/data" },
        { HEAD "\"type\":\"demand\",\"data_base64\":\"e30=\"}", REASON_unknown_field, "/data_base64" },
        { HEAD "\"type\":\"demand\",\"datacontenttype\":\"text/xml\",\"data\":{}}", REASON_out_of_range,
          "/datacontenttype" },
        { HEAD "\"type\":\"demand\",\"Data\":{},\"data\":{}}", REASON_unknown_field, "" },
        { HEAD "\"type\":\"demand\",\"ext\":{},\"data\":{}}", REASON_wrong_type, "" },
        { HEAD "\"type\":\"com.example.sold\",\"data\":{" VIEW "}}", REASON_unknown_type, "/type" },
        { HEAD "\"type\":\"demand\",\"data\":{\"type\":\"sold\"}}", REASON_unknown_type, "/data/type" },
        { HEAD "\"type\":\"demand\",\"data\":{\"event\":\"view\"}}", REASON_missing_field, "/data/sku" },
        { HEAD "\"type\":\"demand\",\"data\":{" VIEW ",\"a/b\":1}}", REASON_unknown_field, "/data/a~1b" },
        { HEAD "\"type\":\"demand\",\"data\":{" VIEW ",\"specversion\":\"1.0\"}}", REASON_unknown_field,
          "/data/specversion" },
        { HEAD "\"type\":\"demand\",\"time\":\"1999-01-01T00:00:00Z\",\"data\":{" VIEW "}}", REASON_too_old, "/time" },
        { HEAD "\"type\":\"demand\",\"time\":5,\"data\":{" VIEW "}}", REASON_wrong_type, "/time" },
        { "{\"specversion\":\"1.0\",\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\","
          "\"source\":\"s\","
          "\"type\":\"demand\",\"data\":{" VIEW "}}",
          REASON_too_long, "/id" },
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct signal signal;
        struct fault fault = { .reason = "" };
        enum signal_reason reason = parse(ROWS[i].text, &signal, &fault);
        cr_expect_eq(reason, ROWS[i].reason, "%s: %s", ROWS[i].text, signal_reason_name(reason));
        cr_expect_str_eq(fault.pointer, ROWS[i].pointer, "%s", ROWS[i].text);
        cr_expect(fault.reason[0] != '\0');
    }
}

/* Goal: a refused event becomes a dead letter of the signal in it, with the envelope's source, id and time. */
Test(signal_event, is_kept_as_a_signal)
{
    const char *text =
        HEAD "\"type\":\"x.supply\",\"time\":\"1999-01-01T00:00:00Z\",\"data\":{\"sku\":\"m\",\"available\":4}}";
    struct fault fault = { .reason = "" };
    struct signal signal;
    struct reject reject;
    cJSON *value = json_parse(text, strlen(text), 0, &fault);
    enum signal_reason reason = signal_parse(value, &RULES, &signal, &fault);
    reject_of_value(value, &RULES, reason, &fault, &reject);
    cJSON_Delete(value);
    cr_expect_str_eq(reject.signal,
                     "{\"type\":\"supply\",\"sku\":\"m\",\"available\":4,\"source\":\"/tills/25\",\"id\":\"7\","
                     "\"time\":915148800000}");
    cr_expect(reject.whole && reject.reason == REASON_too_old);
    cr_expect_str_eq(reject.source, "/tills/25");
}
