/* Signals of the common shapes are read without a tree, and all others are left alone. That both ways agree, the fuzzer shows. */
#include "service/signal_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = INT64_C(1767225600000),
                                           .age_max_ms = INT64_C(604800000),
                                           .future_max_ms = 60000 };

static bool scan(const char *text, struct signal *ret)
{
    static struct signal_scanner scanner;
    if (scanner.rules == NULL)
        signal_scanner_init(&scanner, &RULES);
    return signal_scan(&scanner, text, strlen(text), ret);
}

Test(signal_scan, common_shapes_are_read)
{
    struct signal signal = { .present = 0 };
    for (int again = 0; again < 2; again++) { /* the second time out of what is remembered */
        cr_assert(scan("{\"type\":\"demand\",\"sku\":\"milk-1l\",\"event\":\"order\",\"quantity\":2,\"zone\":\"de/south/a/b\","
                       "\"source\":\"pos-25\",\"seq\":1009}",
                       &signal));
        cr_assert(signal.type == SIGNAL_demand && signal.event == 3 && signal.quantity == 2000000 && signal.seq == 1009);
        cr_assert_str_eq(signal.sku, "milk-1l");
        cr_assert_str_eq(signal.zone, "de/south/a", "cut to the levels in use");
        cr_assert_str_eq(signal.source, "pos-25");
        cr_assert_eq(signal.time_ms, RULES.now_ms);
    }
    cr_assert(scan(" { \"type\" : \"supply\" , \"sku\" : \"a\" , \"available\" : 40 , \"time\":\"2026-01-01T00:00:01Z\" } \r", &signal));
    cr_assert(signal.available == 40000000 && signal.time_ms == INT64_C(1767225601000));
}

/* Goal: only what may hold something is cleared; whatever was read before, whole or not, and by whom, nothing of it is in the next signal. */
Test(signal_scan, nothing_is_left_of_the_signal_before)
{
    static const char *const BEFORE[] = {
        "{\"type\":\"customer\",\"customer\":\"c1\",\"consent\":{\"profile\":true,\"behaviour\":false},\"tier\":"
        "\"gold\",\"segments\":[\"a\",\"b\"]}",
        "{\"type\":\"customer\",\"customer\":\"c1\",\"segments\":[\"a\",\"b\"],\"consent\":{\"profile\":true,\"none\":"
        "1}}",
        "{\"type\":\"product\",\"sku\":\"a\",\"category\":\"food\",\"title\":\"Milk\",\"list\":100,\"currency\":"
        "\"EUR\",\"attributes\":{\"weight\":1}}",
        "{\"type\":\"product\",\"sku\":\"a\",\"category\":\"food\",\"list\":100,\"currency\":\"EUR\"}",
        "{\"type\":\"product\",\"sku\":\"a\",\"title\":\"Milk\",\"category\":1}",
        "{\"type\":\"offer\",\"customer\":\"c1\",\"sku\":\"a\",\"kind\":\"percent\",\"percent\":5,\"units\":2.5,\"until\":"
        "1767225700000}",
        "{\"type\":\"demand\",\"sku\":\"abcdefghijklmnopqrstuvwxyz\",\"event\":\"cart\",\"quantity\":7,\"category\":"
        "\"food\",\"session\":\"s\",\"customer\":\"c\"}",
        "{\"type\":\"demand\",\"sku\":\"abcdefghijklmnopqrstuvwxyz\",\"event\":\"cart\",\"quantity\":7,\"amount\":-1}",
        "{\"type\":\"weather\",\"zone\":\"de\",\"temperature_c\":31,\"wind_m_s\":3}",
    };
    static const char LINE[] = "{\"type\":\"demand\",\"sku\":\"milk\",\"event\":\"view\"}";
    struct signal fresh = { .present = 0 }, signal = { .present = 0 };
    cr_assert(scan(LINE, &fresh));
    for (size_t i = 0; i < 2 * sizeof BEFORE / sizeof BEFORE[0]; i++) {
        const char *before = BEFORE[i / 2];
        struct fault fault;
        bool scanned = i % 2 == 0 && scan(before, &signal);
        cJSON *tree = scanned ? NULL : json_parse(before, strlen(before), 0, &fault);
        cr_assert(scanned || tree != NULL);
        if (!scanned)
            (void)signal_parse(tree, &RULES, &signal, &fault);
        cJSON_Delete(tree);
        cr_assert(memcmp(&signal, &fresh, sizeof fresh) != 0, "%s left nothing at all", before);
        cr_assert(scan(LINE, &signal));
        cr_assert_eq(memcmp(&signal, &fresh, sizeof fresh), 0, "something is left of %s", before);
    }
}

/* Goal: a field that somebody else set meanwhile, as the gateway does with a product's category, is not in the next signal either. */
Test(signal_scan, nothing_is_left_of_what_was_added_to_the_signal_before)
{
    static const char LINE[] = "{\"type\":\"product\",\"sku\":\"a\",\"category\":\"tea\",\"list\":100,\"currency\":\"EUR\"}";
    struct signal signal = { .present = 0 };
    cr_assert(scan("{\"type\":\"demand\",\"sku\":\"milk\",\"event\":\"view\",\"customer\":\"c1\"}", &signal));
    memcpy(signal.category, "food/dairy", sizeof "food/dairy");
    signal.present |= UINT64_C(1) << SIGNAL_FIELD_category;
    cr_assert(scan(LINE, &signal));
    cr_assert_str_eq(signal.category, "tea");
}

Test(signal_scan, everything_else_is_left_to_the_strict_reader)
{
    static const char *const LEFT[] = {
        "", "{", "{}", "[]", "{\"type\":\"demand\"}", "{\"sku\":\"a\",\"type\":\"demand\",\"event\":\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\"", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\"}}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",}", "{\"type\":\"demand\",\"sku\":\"a\",\"sku\":\"a\",\"event\":\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\\u0041\",\"event\":\"view\"}", "{\"type\":\"demand\",\"sku\":\"\xC3\xA4\",\"event\":\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"quantity\":01}", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"quantity\":1.5}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"quantity\":1e3}", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"quantity\":-1}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"amount\":9007199254740993}", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"seq\":1}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"customer\":\"a@b.de\"}", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"look\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"colour\":\"red\"}", "{\"type\":\"demand\",\"sku\":\"\",\"event\":\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"zone\":\"a//b\"}", "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"time\":1}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\n\"quantity\":1}",
    };
    struct signal signal = { .present = 0 };
    for (size_t i = 0; i < sizeof LEFT / sizeof LEFT[0]; i++)
        cr_expect_not(scan(LEFT[i], &signal), "%s", LEFT[i]);
}

/* Goal: texts are looked at eight bytes at a time; every byte that is not plain is seen wherever it stands, and no other is taken for one. */
Test(signal_scan, every_byte_of_a_text_is_looked_at)
{
    enum { BYTES = 21 };
    for (unsigned byte = 0; byte < 256; byte++) {
        bool plain = byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
        for (unsigned at = 0; at < BYTES; at++) {
            static const char HEAD[] = "{\"type\":\"demand\",\"sku\":\"", TAIL[] = "\",\"event\":\"view\"}";
            static struct signal_scanner scanner;
            char sku[BYTES + 1], text[sizeof HEAD + BYTES + sizeof TAIL];
            memset(sku, 'a' + (int)(at % 20), BYTES);
            sku[at] = (char)byte;
            sku[BYTES] = '\0';
            size_t bytes = sizeof HEAD - 1;
            memcpy(text, HEAD, bytes);
            memcpy(text + bytes, sku, BYTES);
            memcpy(text + bytes + BYTES, TAIL, sizeof TAIL - 1);
            struct signal signal = { .present = 0 };
            if (scanner.rules == NULL)
                signal_scanner_init(&scanner, &RULES);
            bool read = signal_scan(&scanner, text, bytes + BYTES + sizeof TAIL - 1, &signal);
            cr_assert_eq(read, plain, "byte %u at %u", byte, at);
            if (plain)
                cr_assert_str_eq(signal.sku, sku);
        }
    }
}

Test(signal_scan, words_are_found_whole_or_not_at_all)
{
    static const char *const NONE[] = {
        "", "v", "vie", "views", "return|", "|", "view|search", "orders", "rder", "ret"
    };
    static const char *const ALL[] = { "view", "search", "cart", "order", "return" };
    for (int i = 0; i < 5; i++)
        cr_expect_eq(choice_index(CHOICES_EVENT, ALL[i]), i, "%s", ALL[i]);
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        cr_expect_eq(choice_index(CHOICES_EVENT, NONE[i]), -1, "\"%s\"", NONE[i]);
}

/* Goal: what is expected to come next, because it came last time, is only a guess. */
/* Goal: what a word was last time is believed of the same word alone: not of one that begins, ends or is as long as it, nor of another field's. */
Test(signal_scan, a_remembered_word_stands_for_itself_alone)
{
    static const struct {
        const char *word;
        int64_t event; /* -1 = none */
    } turns[] = { { "view", 0 },   { "view", 0 },  { "order", 3 },    { "view", 0 },     { "vie", -1 },  { "views", -1 },
                  { "viev", -1 },  { "iiew", -1 }, { "vxew", -1 },    { "view", 0 },     { "order", 3 }, { "ordex", -1 },
                  { "xrder", -1 }, { "orxer", -1 }, { "order", 3 },   { "return", 4 },   { "retorn", -1 }, { "", -1 },
                  { "o", -1 },     { "view|cart", -1 }, { "cart", 2 }, { "search", 1 },  { "searcx", -1 } };
    struct signal_scanner scanner;
    signal_scanner_init(&scanner, &RULES);
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        struct signal signal = { .present = 0 };
        char text[128];
        int bytes = snprintf(text, sizeof text, "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"%s\"}", turns[i].word);
        bool read = signal_scan(&scanner, text, (size_t)bytes, &signal);
        cr_assert_eq(read, turns[i].event >= 0, "%s", turns[i].word);
        cr_assert(!read || signal.event == turns[i].event, "%s is %d", turns[i].word, (int)signal.event);
    }
}

Test(signal_scan, other_kinds_and_other_orders_are_read_as_well)
{
    static const char *const LINES[] = {
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"zone\":\"de\"}",
        "{\"type\":\"supply\",\"sku\":\"a\",\"available\":3}",
        "{\"type\":\"demand\",\"zone\":\"de\",\"event\":\"cart\",\"sku\":\"a\"}",
        "{\"type\":\"demand\",\"sku\":\"a\", \"event\" :\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",\"zone\":\"de\"}",
    };
    struct signal signal = { .present = 0 };
    for (unsigned round = 0; round < 25; round++) {
        const unsigned i = round * 3 % 5;
        cr_assert(scan(LINES[i], &signal), "%s", LINES[i]);
        cr_expect_eq(signal.type, i == 1 ? SIGNAL_supply : SIGNAL_demand);
        cr_expect_str_eq(signal.sku, "a");
        cr_expect_str_eq(signal.zone, i == 1 || i == 3 ? "" : "de");
        cr_expect_eq(signal.available, i == 1 ? 3000000 : 0);
    }
    cr_expect_not(scan("{\"type\":\"demand\",\"skx\":\"a\",\"event\":\"view\"}", &signal));
    cr_expect_not(scan("{\"type\":\"demand\",\"sku\"", &signal));
    cr_expect_not(scan("{\"type\":\"demandx\",\"sku\":\"a\",\"event\":\"view\"}", &signal));
}
