/* test_message.c - what a message is: one object, an array, or lines. */
#include "service/gateway.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct reading {
    unsigned values, bad;
    enum signal_reason reason; /* of the last bad one */
    bool broken;
};

static struct reading read_all(const char *text)
{
    struct message message;
    struct reading reading = { .reason = REASON_none };
    const cJSON *value = NULL;
    enum signal_reason reason = REASON_none;
    struct fault fault = { .reason = "" };
    message_open(&message, text, strlen(text));
    while (message_next(&message, &value, &reason, &fault)) {
        reading.values++;
        cr_assert((reason == REASON_none) == (value != NULL));
        if (reason != REASON_none) {
            reading.bad++;
            reading.reason = reason;
            cr_expect(fault.reason[0] != '\0', "%s", text);
        }
        cr_assert_leq(reading.values, 100u, "no end: %s", text);
    }
    reading.broken = message.broken;
    message_close(&message);
    return reading;
}

static void expect(const char *text, unsigned values, unsigned bad, enum signal_reason reason)
{
    struct reading reading = read_all(text);
    cr_expect_eq(reading.values, values, "%s: %u values", text, reading.values);
    cr_expect_eq(reading.bad, bad, "%s: %u bad", text, reading.bad);
    cr_expect_eq(reading.reason, reason, "%s: %s", text, signal_reason_name(reading.reason));
}

Test(message, one_object_may_stand_on_one_line_or_several)
{
    expect("{\"a\":1}", 1, 0, REASON_none);
    expect("  {\"a\":1} \r\n\n ", 1, 0, REASON_none);
    expect("\n\n{\n \"a\": 1,\n \"b\": [\n1\n]\n}\n", 1, 0, REASON_none);
    expect("5", 1, 0, REASON_none);
}

Test(message, an_array_holds_one_value_each)
{
    expect("[]", 0, 0, REASON_none);
    expect("[{\"a\":1},{\"b\":2},3]", 3, 0, REASON_none);
    expect(" [\n{\"a\":1},\n{\"b\":2}\n]\n", 2, 0, REASON_none);
}

Test(message, lines_hold_one_value_each_and_blank_ones_none)
{
    expect("{\"a\":1}\n{\"b\":2}", 2, 0, REASON_none);
    expect("{\"a\":1}\r\n\r\n  \n{\"b\":2}\r\n\n", 2, 0, REASON_none);
}

Test(message, a_bad_line_costs_itself_only)
{
    expect("{\"a\":1}\n{\"b\":\n{\"c\":3}", 3, 1, REASON_not_json);
    expect("{\"a\":\n{\"b\":2}\n{\"c\":3}", 3, 1, REASON_not_json);
    expect("{\"a\":1}\n\xff\n{\"c\":3}\n{}}", 4, 2, REASON_not_json);
    expect("{\"a\":1}\n\"\xed\xa0\x80\"", 2, 1, REASON_not_utf8);
}

Test(message, a_fault_in_an_array_costs_all_of_it)
{
    expect("[{\"a\":1},{\"b\":}]", 1, 1, REASON_not_json);
    cr_expect(read_all("[1,2").broken);
    cr_expect(read_all("[1]\n[2]").broken, "arrays are not lines");
}

Test(message, what_is_no_json_is_one_bad_value)
{
    expect("", 1, 1, REASON_not_json);
    expect(" \r\n\t ", 1, 1, REASON_not_json);
    expect("hello", 1, 1, REASON_not_json);
    expect("\xef\xbb\xbf{}", 1, 1, REASON_not_json);
    expect("\xc0\x80", 1, 1, REASON_not_utf8);
    expect("{\"a\":1,\"a\":2}", 1, 1, REASON_not_json);
}

/* Goal: what comes through the HTTP door without a token is marked, and otherwise read like anything else. */
Test(message, a_mark_in_front_says_who_sent_it_and_is_no_part_of_the_text)
{
    static const char *const texts[] = { "{\"a\":1}", "[{\"a\":1},2]", "{\"a\":1}\n{\"b\":2}\n", "" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char marked[64];
        struct message plain, message;
        (void)snprintf(marked, sizeof marked, "%c%s", SIGNALS_FROM_ANYBODY, texts[i]);
        message_open(&plain, texts[i], strlen(texts[i]));
        message_open(&message, marked, strlen(marked));
        cr_expect(!plain.from_anybody && message.from_anybody, "%s", texts[i]);
        cr_expect_eq(message.form, plain.form, "%s", texts[i]);
        cr_expect_eq(message.bytes, plain.bytes, "%s", texts[i]);
        message_close(&plain);
        message_close(&message);
        cr_expect_eq(read_all(marked).values, read_all(texts[i]).values, "%s", texts[i]);
    }
    expect("\x15\x15{\"a\":1}", 1, 1, REASON_not_json);
}
