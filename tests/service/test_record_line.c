/* test_record_line.c - a recorded part, read again as a signal, is the very same part; nothing of whom it came from is in it. */
#include "service/record_line.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = INT64_C(1767225600000),
                                           .age_max_ms = INT64_C(604800000),
                                           .future_max_ms = 60000 };

static const char *const SIGNALS[] = {
    "{\"type\":\"product\",\"sku\":\"A\\\"\\\\\",\"zone\":\"de/south\",\"category\":\"fresh/"
    "\\u00e9\",\"title\":\"M\\\\i \\\"l\\\" \\u20ac\","
    "\"list\":109,\"cost\":60,\"currency\":\"EUR\",\"unit\":\"l\",\"tax\":\"excluded\",\"promotion\":0.812345,"
    "\"until\":1769853600000,\"seller\":\"S\",\"source\":\"SECRET-erp\",\"id\":\"SECRET-17\"}",
    "{\"type\":\"zone\",\"zone\":\"x\",\"parent\":\"de\",\"lat\":-48.123457,\"lon\":0.000001,\"region\":\"EU\",\"utc_"
    "offset_min\":-60,"
    "\"currency\":\"EUR\"}",
    "{\"type\":\"zone\",\"zone\":\"y\",\"lat\":-0.5,\"lon\":-0.000001}",
    "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"order\",\"quantity\":2.5,\"amount\":500,\"currency\":\"EUR\","
    "\"time\":1767225500001,"
    "\"customer\":\"SECRET-C1\",\"zone\":\"de\",\"source\":\"SECRET-SHOP\",\"id\":\"SECRET-ID\"}",
    "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"view\",\"customer\":\"SECRET-C1\",\"session\":\"SECRET-VISIT\","
    "\"source\":\"SECRET-S\","
    "\"seq\":9007199254740991}",
    "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"cart\",\"repeated\":true,\"session\":\"SECRET-VISIT\"}",
    "{\"type\":\"supply\",\"sku\":\"A\",\"available\":999999999.999999,\"capacity\":1000000000,\"zone\":\"\","
    "\"expires\":1767225700000}",
    "{\"type\":\"weather\",\"zone\":\"gh:u28\",\"humidity\":0.5,\"temperature_c\":-12.5,\"wind_m_s\":3,\"precipitation_"
    "mm_h\":0.25,"
    "\"until\":\"2026-01-02T00:00:00Z\"}",
    "{\"type\":\"competitor\",\"sku\":\"A\",\"competitor\":\"X\",\"amount\":1,\"currency\":\"JPY\"}",
    "{\"type\":\"product\",\"sku\":\"B\",\"list\":1,\"currency\":\"EUR\",\"attributes\":{\"weight_kg\":-0.000001,"
    "\"a2345678901234567890123456789_1\":1000000000,\"organic\":true}}",
    "{\"type\":\"zone\",\"zone\":\"w\",\"attributes\":{}}",
};
#define SIGNAL_COUNT (sizeof SIGNALS / sizeof SIGNALS[0])

static struct signal parsed(const char *text, size_t bytes)
{
    struct signal signal;
    struct fault fault = { .reason = "" };
    cJSON *object = json_parse(text, bytes, 0, &fault);
    cr_assert_not_null(object, "%s", text);
    cr_assert_eq(signal_parse(object, &RULES, &signal, &fault), REASON_none, "%s: %s %s", text, fault.pointer,
                 fault.reason);
    cJSON_Delete(object);
    signal.repeated = signal_has(&signal, SIGNAL_FIELD_again) && signal.again != 0;
    return signal;
}

static size_t encoded(const struct signal *signal, uint8_t ret[WIRE_RECORD_MAX])
{
    enum signal_part part = signal_parts(signal) & PART_COMMON ? PART_COMMON : PART_PRODUCT;
    return wire_record_encode(signal, part, part == PART_PRODUCT ? 9 : 0, 77, 0xfedc, (uint64_t)signal->seq, ret);
}

Test(record_line, read_again_it_is_the_same_part_and_says_nothing_of_who_sent_it)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uint8_t record[WIRE_RECORD_MAX], again[WIRE_RECORD_MAX];
        char line[RECORD_LINE_MAX + 1];
        struct wire_record head;
        struct signal signal = parsed(SIGNALS[i], strlen(SIGNALS[i])), copy;
        size_t bytes = encoded(&signal, record), at = 0;
        cr_assert(wire_record_decode(record, bytes, &at, &head, &copy));
        size_t length = record_line(&head, &copy, 32768, line);
        line[length] = '\0';
        cr_assert_gt(length, 0);
        cr_assert_eq(line[length - 1], '\n');
        cr_assert_null(strstr(line, "SECRET"), "%s", line);
        struct signal replayed = parsed(line, length - 1);
        cr_assert_eq(encoded(&replayed, again), bytes, "%s", line);
        cr_assert_arr_eq(again, record, bytes, "%s", line);
        cr_assert_eq(replayed.id[0] != '\0' || replayed.seq != 0, true);
    }
}

Test(record_line, each_new_act_is_a_visit_of_its_own)
{
    uint8_t record[WIRE_RECORD_MAX];
    char line[3][RECORD_LINE_MAX];
    struct wire_record head;
    struct signal signal = parsed(SIGNALS[4], strlen(SIGNALS[4])), copy, read[3];
    size_t bytes = encoded(&signal, record), at = 0;
    cr_assert(wire_record_decode(record, bytes, &at, &head, &copy));
    for (unsigned i = 0; i < 3; i++) {
        head.ref = i % 2;
        read[i] = parsed(line[i], record_line(&head, &copy, i < 2 ? 32768 : 65536, line[i]) - 1);
    }
    cr_assert_str_neq(read[0].session, read[1].session);
    cr_assert_str_neq(read[0].session, read[2].session);
    cr_assert_str_neq(read[1].session, read[2].session);
}

Test(record_line, customer_parts_have_no_line)
{
    static const char text[] = "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"a\"]}";
    uint8_t record[WIRE_RECORD_MAX];
    char line[RECORD_LINE_MAX];
    struct wire_record head;
    struct signal signal = parsed(text, sizeof text - 1), copy;
    size_t at = 0, bytes = wire_record_encode(&signal, PART_CUSTOMER, 1, 0, 0, 0, record);
    cr_assert(wire_record_decode(record, bytes, &at, &head, &copy));
    cr_assert_eq(record_line(&head, &copy, 32768, line), 0);
}
