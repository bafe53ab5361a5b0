/* test_signal_json.c - what RFC 8259 forbids gets into no signal, by neither of the two readers; what it allows they read alike.
 *
 * tests/pricing/test_json.c holds the cases for a whole text, with categories and names of N. Seriot's test suite ("Parsing JSON is a
 * Minefield", 2016). Here they stand where the scanner could meet them: as a value, and around a signal. y: the grammar allows it;
 * n: it does not. Whether a signal takes the value is another matter, so y says only that both agree. */
#include "pricing/json_text.h"
#include "service/signal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = INT64_C(1767225600000),
                                           .age_max_ms = INT64_C(604800000),
                                           .future_max_ms = 60000 };

static const char *const VALID[] = {
    /* sections 3, 6 and 7 */
    "0",
    "-0",
    "7",
    "123",
    "-1",
    "1.5",
    "0.1",
    "1e2",
    "1E2",
    "1e+2",
    "1E-2",
    "0e1",
    "-0.0",
    "123456789012345",
    "1234567890123456789",
    "1e400000",
    "1e-400",
    "true",
    "false",
    "null",
    "[]",
    "[[]]",
    "{}",
    "{\"a\":[1,{}]}",
    "\"\"",
    "\"a\"",
    "\" \"",
    "\"\\u0061\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\uD83D\\uDE00\"",
    "\"\x7F\"",
    "\"\xC3\xA9\"",
    "\"\xF0\x9F\x98\x80\"",
    "\"\xE2\x80\xA8\"",
    "\"a/*b*/\"",
    " 7 ",
    "\t7\r",
    "\n7\n",
};

static const char *const INVALID[] = {
    /* n_number */
    "01",
    "-01",
    "00",
    "012",
    "1.",
    ".1",
    "-.1",
    "-",
    "- 1",
    "+1",
    "++1",
    "1e",
    "1e+",
    "1E-",
    "1.e1",
    "1eE2",
    "0.1.2",
    "1 2",
    "1_0",
    "0x1",
    "1a",
    "1+2",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "Inf",
    "\xEF\xBC\x91",
    "1\xE5",
    /* n_string */
    "\"a",
    "a\"",
    "'a'",
    "\"\t\"",
    "\"\n\"",
    "\"\x1F\"",
    "\"\\a\"",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\uqqqq\"",
    "\"\\U0041\"",
    "\"\\",
    "\"\\\"",
    "\"a\" \"b\"",
    "abc",
    "\\u0041",
    /* n_array, n_object */
    "[",
    "]",
    "[1",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1:2]",
    "{",
    "}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{,}",
    "{\"a\",1}",
    /* n_structure */
    "",
    " ",
    "tru",
    "nul",
    "True",
    "NULL",
    "undefined",
    "*",
    "7/**/",
    "7//",
    "7#",
    "7;",
    ("\xC2\xA0"
     "7"),
    ("\xE2\x81\xA0"
     "7"),
    "\f7",
    "\v7",
    "@",
    /* of what a parser may decide for itself (i_string): not UTF-8, halves of surrogates; texts that C strings cannot hold */
    "\"\xFF\"",
    "\"\x80\"",
    "\"\xC0\xAF\"",
    "\"\xE0\x80\xAF\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xC3\"",
    "\"\\uD800\"",
    "\"\\uDC00\"",
    "\"\\uD800\\u0041\"",
    "\"\\uDE00\\uD83D\"",
    "\"\\u0000\"",
};

static const char *const MEMBERS[] = {
    "quantity", "sku", "zone", "time", "source", "event", "id", "amount", "unknown"
};

static bool scan(const char *text, size_t bytes, struct signal *ret)
{
    static struct signal_scanner scanner;
    if (scanner.rules == NULL)
        signal_scanner_init(&scanner, &RULES);
    return signal_scan(&scanner, text, bytes, ret);
}

static bool parse(const char *text, size_t bytes, bool *ret_json, struct signal *ret)
{
    struct fault fault;
    memset(ret, 0, sizeof *ret);
    cJSON *tree = json_parse(text, bytes, 0, &fault);
    *ret_json = tree != NULL;
    bool taken = tree != NULL && signal_parse(tree, &RULES, ret, &fault) == REASON_none;
    cJSON_Delete(tree);
    return taken;
}

/* The scanner takes nothing that the strict reader refuses, and reads what it takes to the same bytes. */
static void both(const char *text, size_t bytes, bool valid)
{
    static struct signal fast, strict; /* as the one before left them */
    bool json, scanned = scan(text, bytes, &fast), parsed = parse(text, bytes, &json, &strict);
    cr_expect(valid || !json, "read as JSON: %s", text);
    cr_expect(valid || (!scanned && !parsed), "taken: %s", text);
    cr_expect(!scanned || parsed, "only the scanner takes: %s", text);
    cr_expect(!scanned || !parsed || memcmp(&fast, &strict, sizeof fast) == 0, "read differently: %s", text);
}

static void value_in_each_member(const char *value, bool valid)
{
    char text[512];
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++)
        for (int last = 0; last < 2; last++) {
            int bytes = snprintf(text, sizeof text, "{\"type\":\"demand\",\"%s\":%s%s}", MEMBERS[i], value,
                                 last ? "" : ",\"session\":\"s\"");
            both(text, (size_t)bytes, valid);
        }
}

Test(signal_json, values_are_read_alike_and_what_the_grammar_forbids_is_no_value)
{
    for (size_t i = 0; i < sizeof VALID / sizeof VALID[0]; i++)
        value_in_each_member(VALID[i], true);
    for (size_t i = 0; i < sizeof INVALID / sizeof INVALID[0]; i++)
        value_in_each_member(INVALID[i], false);
}

#define SIGNAL "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\"}"

Test(signal_json, what_stands_around_a_signal)
{
    static const char *const forbidden[] = {
        (SIGNAL "}"),
        (SIGNAL "]"),
        (SIGNAL ","),
        (SIGNAL "x"),
        (SIGNAL SIGNAL),
        (SIGNAL "//"),
        (SIGNAL "/**/"),
        (SIGNAL "#"),
        ("\xEF\xBB\xBF" SIGNAL),
        ("\xFF\xFE" SIGNAL),
        ("," SIGNAL),
        ("[" SIGNAL),
        ("(" SIGNAL ")"),
        (SIGNAL "\xE5"),
        ("\xC2\xA0" SIGNAL),
        (SIGNAL "\f"),
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\",}",
        "{,\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\"}",
        "{\"type\":\"demand\" \"sku\":\"a\",\"event\":\"view\"}",
        "{\"type\":\"demand\",,\"sku\":\"a\",\"event\":\"view\"}",
        "{'type':\"demand\",\"sku\":\"a\",\"event\":\"view\"}",
        "{type:\"demand\",\"sku\":\"a\",\"event\":\"view\"}",
        "{\"type\"=\"demand\",\"sku\":\"a\",\"event\":\"view\"}",
        "{\"type\":\"demand\",\"sku\":\"a\",\"event\":\"view\"",
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        both(forbidden[i], strlen(forbidden[i]), false);
    both(SIGNAL "\0", sizeof SIGNAL, false); /* a byte 0 behind it, and one within */
    both("{\"type\":\"demand\",\"sku\":\"a\0\",\"event\":\"view\"}",
         sizeof "{\"type\":\"demand\",\"sku\":\"a\0\",\"event\":\"view\"}" - 1, false);
    for (size_t bytes = 0; bytes < sizeof SIGNAL - 1; bytes++)
        both(SIGNAL, bytes, false);

    struct signal signal = { .present = 0 };
    cr_assert(scan(SIGNAL, sizeof SIGNAL - 1, &signal), "and it is one that the scanner takes");
    both(" \t" SIGNAL " \r\t ", sizeof " \t" SIGNAL " \r\t " - 1, true);
}
