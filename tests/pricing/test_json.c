/* test_json.c - what JSON from outside is accepted, and where a fault is said to be.
 *
 * The rows follow the categories of N. Seriot's JSON test suite ("Parsing JSON is a Minefield", 2016): y must be
 * accepted, n must be refused. Of what a parser may decide for itself, we refuse what C strings or doubles cannot
 * hold. */
#include "pricing/json_member.h"
#include "pricing/json_text.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sample {
    const char *text;
    size_t bytes; /* 0 = strlen */
    unsigned options;
};

static size_t bytes_of(const struct sample *sample)
{
    return sample->bytes != 0 ? sample->bytes : strlen(sample->text);
}

Test(json, accepts_what_rfc_8259_allows)
{
    const struct sample samples[] = {
        /* arrays */
        { "[[]   ]", 0, 0 },
        { "[\"\"]", 0, 0 },
        { "[]", 0, 0 },
        { "[\"a\"]", 0, 0 },
        { "[false]", 0, 0 },
        { "[null, 1, \"1\", {}]", 0, 0 },
        { "[1\n]", 0, 0 },
        { " [1]", 0, 0 },
        { "[1,null,null,null,2]", 0, 0 },
        { "[2] ", 0, 0 },
        { "\t[\r\n1]\n", 0, 0 },
        /* numbers */
        { "[123e65]", 0, 0 },
        { "[0e+1]", 0, 0 },
        { "[0e1]", 0, 0 },
        { "[ 4]", 0, 0 },
        { "[-0]", 0, 0 },
        { "[-123]", 0, 0 },
        { "[-1]", 0, 0 },
        { "[1E22]", 0, 0 },
        { "[1E-2]", 0, 0 },
        { "[1E+2]", 0, 0 },
        { "[123e45]", 0, 0 },
        { "[123.456e78]", 0, 0 },
        { "[1e-2]", 0, 0 },
        { "[1e+2]", 0, 0 },
        { "[123]", 0, 0 },
        { "[123.456789]", 0, 0 },
        { "[20e1]", 0, 0 },
        { "[-0.0]", 0, 0 },
        { "[1e-400]", 0, 0 },
        /* objects */
        { "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", 0, 0 },
        { "{\"asd\":\"sdf\"}", 0, 0 },
        { "{}", 0, 0 },
        { "{\"\":0}", 0, 0 },
        { "{\"min\": -1.0e+28, \"max\": 1.0e+28}", 0, 0 },
        { "{\"a\":[]}", 0, 0 },
        { "{\n\"a\": \"b\"\n}", 0, 0 },
        { "{\"a\":{\"a\":1}}", 0, 0 },
        { "{\"A\":1,\"a\":2}", 0, 0 },
        /* strings */
        { "[\"\\u0060\\u012a\\u12AB\"]", 0, 0 },
        { "[\"\\uD801\\udc37\"]", 0, 0 },
        { "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", 0, 0 },
        { "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", 0, 0 },
        { "[\"\\\\u0000\"]", 0, 0 },
        { "[\"\\\"\"]", 0, 0 },
        { "[\"a/*b*/c/*d//e\"]", 0, 0 },
        { "[\"\\\\a\"]", 0, 0 },
        { "[\"\\\\n\"]", 0, 0 },
        { "[\"\\u0012\"]", 0, 0 },
        { "[\"\\uFFFF\"]", 0, 0 },
        { "[\"asd\"]", 0, 0 },
        { "[ \"asd\"]", 0, 0 },
        { "[\"\xF4\x8F\xBF\xBF\"]", 0, 0 },
        { "[\"\xEF\xBF\xBF\"]", 0, 0 },
        { "[\"\xC3\xA9\xE2\x82\xAC\"]", 0, 0 },
        { "[\"\x7F\"]", 0, 0 },
        { "[\"\xE2\x80\xA8\"]", 0, 0 },
        { "[\"\\uFEFF\"]", 0, 0 },
        { "\" \"", 0, 0 },
        { "[\"\\u0022\"]", 0, 0 },
        /* structure */
        { "false", 0, 0 },
        { "42", 0, 0 },
        { "-0.1", 0, 0 },
        { "null", 0, 0 },
        { "\"asd\"", 0, 0 },
        { "true", 0, 0 },
        { "\"\"", 0, 0 },
        { "[true]", 0, 0 },
        { " [] ", 0, 0 },
        /* with comments, where they are allowed */
        { "// a\n{\"a\": 1} // b", 0, JSON_COMMENTS },
        { "/**/[/* , */1/***/,// ]\n2]/* x */", 0, JSON_COMMENTS },
        { "[1, /* \n\n */ 2]", 0, JSON_COMMENTS },
        { "[\"// no comment\"]", 0, JSON_COMMENTS },
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct fault fault = { .line = 77 };
        cJSON *tree = json_parse(samples[i].text, bytes_of(&samples[i]), samples[i].options, &fault);
        cr_assert_not_null(tree, "%s: %s", samples[i].text, fault.reason);
        cr_assert_eq(fault.line, 77, "an accepted text leaves the fault alone");
        cJSON_Delete(tree);
    }
}

Test(json, refuses_everything_else)
{
    const struct sample samples[] = {
        /* arrays */
        { "[1 true]", 0, 0 },
        { "[a\xE5]", 0, 0 },
        { "[\"\": 1]", 0, 0 },
        { "[\"\"],", 0, 0 },
        { "[,1]", 0, 0 },
        { "[1,,2]", 0, 0 },
        { "[\"x\",,]", 0, 0 },
        { "[\"x\"]]", 0, 0 },
        { "[\"\",]", 0, 0 },
        { "[\"x\"", 0, 0 },
        { "[x", 0, 0 },
        { "[3[4]]", 0, 0 },
        { "[1:2]", 0, 0 },
        { "[,]", 0, 0 },
        { "[-]", 0, 0 },
        { "[   , \"\"]", 0, 0 },
        { "[\"a\",\n4\n,1,", 0, 0 },
        { "[1,]", 0, 0 },
        { "[*]", 0, 0 },
        { "[\"\"", 0, 0 },
        { "[1,", 0, 0 },
        { "[{}", 0, 0 },
        { "[fals]", 0, 0 },
        { "[nul]", 0, 0 },
        { "[tru]", 0, 0 },
        { "[True]", 0, 0 },
        { "[undefined]", 0, 0 },
        /* numbers */
        { "[++1234]", 0, 0 },
        { "[+1]", 0, 0 },
        { "[+Inf]", 0, 0 },
        { "[-01]", 0, 0 },
        { "[-1.0.]", 0, 0 },
        { "[-2.]", 0, 0 },
        { "[-NaN]", 0, 0 },
        { "[.-1]", 0, 0 },
        { "[.2e-3]", 0, 0 },
        { "[0.1.2]", 0, 0 },
        { "[0.3e+]", 0, 0 },
        { "[0.3e]", 0, 0 },
        { "[0.e1]", 0, 0 },
        { "[0E+]", 0, 0 },
        { "[0E]", 0, 0 },
        { "[0e+]", 0, 0 },
        { "[0e]", 0, 0 },
        { "[1.0e+]", 0, 0 },
        { "[1.0e-]", 0, 0 },
        { "[1.0e]", 0, 0 },
        { "[1 000.0]", 0, 0 },
        { "[1eE2]", 0, 0 },
        { "[2.e+3]", 0, 0 },
        { "[2.e-3]", 0, 0 },
        { "[2.e3]", 0, 0 },
        { "[9.e+]", 0, 0 },
        { "[Inf]", 0, 0 },
        { "[NaN]", 0, 0 },
        { "[\xEF\xBC\x91]", 0, 0 },
        { "[1+2]", 0, 0 },
        { "[0x1]", 0, 0 },
        { "[0x42]", 0, 0 },
        { "[Infinity]", 0, 0 },
        { "[0e+-1]", 0, 0 },
        { "[-123.123foo]", 0, 0 },
        { "[-Infinity]", 0, 0 },
        { "[-foo]", 0, 0 },
        { "[- 1]", 0, 0 },
        { "[-012]", 0, 0 },
        { "[-.123]", 0, 0 },
        { "[1ea]", 0, 0 },
        { "[1.]", 0, 0 },
        { "[.123]", 0, 0 },
        { "[1.2a-3]", 0, 0 },
        { "[1.8011670033376514H-308]", 0, 0 },
        { "[012]", 0, 0 },
        { "[-00]", 0, 0 },
        { "[00.0]", 0, 0 },
        { "[1e5\xE5]", 0, 0 },
        { "01", 0, 0 },
        { "1.", 0, 0 },
        { "[1e999]", 0, 0 },
        { "[-1e999]", 0, 0 },
        { "[0.4e006699999999999999999999999999999999]", 0, 0 }, /* no double holds these */
        /* objects */
        { "[\"x\", truth]", 0, 0 },
        { "{[: \"x\"}\n", 0, 0 },
        { "{\"x\", null}", 0, 0 },
        { "{\"x\"::\"b\"}", 0, 0 },
        { "{\"a\":\"a\" 123}", 0, 0 },
        { "{key: 'value'}", 0, 0 },
        { "{\"a\" b}", 0, 0 },
        { "{:\"b\"}", 0, 0 },
        { "{\"a\" \"b\"}", 0, 0 },
        { "{\"a\":", 0, 0 },
        { "{\"a\"", 0, 0 },
        { "{1:1}", 0, 0 },
        { "{9999E9999:1}", 0, 0 },
        { "{null:null,null:null}", 0, 0 },
        { "{\"id\":0,,,,,}", 0, 0 },
        { "{'a':0}", 0, 0 },
        { "{\"id\":0,}", 0, 0 },
        { "{\"a\":\"b\",,\"c\":\"d\"}", 0, 0 },
        { "{a: \"b\"}", 0, 0 },
        { "{\"a\":\"a", 0, 0 },
        { "{\"a\":\"b\"}#", 0, 0 },
        { "{\"a\":\"b\"}/**/", 0, 0 },
        { "{\"a\":\"b\"}//", 0, 0 },
        { "{\"a\":\"b\"}/", 0, 0 },
        { "{,", 0, 0 },
        { "{[", 0, 0 },
        { "{", 0, 0 },
        { "{\"a\"=1}", 0, 0 },
        { "{\"a\":1,\"a\":2}", 0, 0 },
        { "{\"a\":1,\"\\u0061\":2}", 0, 0 },
        { "{\"a\":null,\"b\":{\"c\":1,\"d\":2,\"c\":3}}", 0, 0 },
        /* strings */
        { "[\"\\uD800\\\"]", 0, 0 },
        { "[\"\\uD800\\u\"]", 0, 0 },
        { "[\"\\uD800\\u1\"]", 0, 0 },
        { "[\"\\uD800\\u1x\"]", 0, 0 },
        { "[\xC3\xA9]", 0, 0 },
        { "[\"\\\x00\"]", 6, 0 },
        { "[\"\\\\\\\"]", 0, 0 },
        { "[\"\\\t\"]", 0, 0 },
        { "[\"\\x00\"]", 0, 0 },
        { "[\"\\\"]", 0, 0 },
        { "[\"\\u00A\"]", 0, 0 },
        { "[\"\\uD834\\uDd\"]", 0, 0 },
        { "[\"\\a\"]", 0, 0 },
        { "[\"\\uqqqq\"]", 0, 0 },
        { "[\"\\\xE5\"]", 0, 0 },
        { "[\\u0020\"asd\"]", 0, 0 },
        { "[\\n]", 0, 0 },
        { "\"", 0, 0 },
        { "['single quote']", 0, 0 },
        { "abc", 0, 0 },
        { "[\"\\", 0, 0 },
        { "[\"a\x00"
          "a\"]",
          7, 0 },
        { "[\"new\nline\"]", 0, 0 },
        { "[\"\t\"]", 0, 0 },
        { "\"\\UA66D\"", 0, 0 },
        { "\"\"x", 0, 0 },
        { "[\"\x1F\"]", 0, 0 },
        { "[\"\\u0000\"]", 0, 0 },
        { "[\"\\uD800\"]", 0, 0 },
        { "[\"\\uDC00\"]", 0, 0 },
        { "[\"\\uD888\\u1234\"]", 0, 0 },
        { "[\"\\uDd1e\\uD834\"]", 0, 0 },
        /* text that is not UTF-8 */
        { "[\"\xFF\"]", 0, 0 },
        { "[\"\x81\"]", 0, 0 },
        { "[\"\xC0\xAF\"]", 0, 0 },
        { "[\"\xE0\x80\xAF\"]", 0, 0 },
        { "[\"\xED\xA0\x80\"]", 0, 0 },
        { "[\"\xF4\xBF\xBF\xBF\"]", 0, 0 },
        { "[\"\xF0\x80\x80\x80\"]", 0, 0 },
        { "[\"\xFC\x83\xBF\xBF\xBF\xBF\"]", 0, 0 },
        { "[\"\xE5\"]", 0, 0 },
        { "[\"\xC3", 0, 0 },
        { "[\"\xF0\x9F\x98\"]", 0, 0 },
        { "[\"\xC1\x81\"]", 0, 0 },
        /* structure */
        { "<.>", 0, 0 },
        { "[<null>]", 0, 0 },
        { "aaa", 0, 0 },
        { "[1]x", 0, 0 },
        { "[1]]", 0, 0 },
        { "[\"asd]", 0, 0 },
        { "a\xC3\xA5", 0, 0 },
        { "[True]", 0, 0 },
        { "1]", 0, 0 },
        { "{\"x\": true,", 0, 0 },
        { "[][]", 0, 0 },
        { "]", 0, 0 },
        { "[", 0, 0 },
        { "", 0, 0 },
        { " ", 0, 0 },
        { "[\x00]", 3, 0 },
        { "\x00", 1, 0 },
        { "2@", 0, 0 },
        { "{}}", 0, 0 },
        { "{\"\":", 0, 0 },
        { "{\"a\":/*comment*/\"b\"}", 0, 0 },
        { "{\"a\": true} \"x\"", 0, 0 },
        { "['", 0, 0 },
        { "[\"a", 0, 0 },
        { "{,", 0, 0 },
        { "{'a'", 0, 0 },
        { "*", 0, 0 },
        { "[\f]", 0, 0 },
        { "\xC2\xA0[]", 0, 0 },
        { "\xE2\x81\xA0", 0, 0 },
        { "\xEF\xBB\xBF{}", 0, 0 },
        { "[1]\x00", 4, 0 },
        { "{} {}", 0, 0 },
        { "1 2", 0, 0 },
        { "nullx", 0, 0 },
        /* comments */
        { "/* open", 0, JSON_COMMENTS },
        { "/*/ 1", 0, JSON_COMMENTS },
        { "/ 1", 0, JSON_COMMENTS },
        { "1 /", 0, JSON_COMMENTS },
        { "# 1\n1", 0, JSON_COMMENTS },
        { "// only a comment", 0, JSON_COMMENTS },
        { "[1 // ]", 0, JSON_COMMENTS },
        { "1/*a*//*b*/2", 0, JSON_COMMENTS },
        { "// \n 1", 0, 0 },
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct fault fault = { .reason = "" };
        cJSON *tree = json_parse(samples[i].text, bytes_of(&samples[i]), samples[i].options, &fault);
        cr_assert_null(tree, "accepted: %s", samples[i].text);
        cr_assert(fault.reason[0] != '\0' && fault.line >= 1 && fault.column >= 1, "%s", samples[i].text);
    }
}

/* Values, too: nothing of the text may be lost or read past its length. */
Test(json, reads_values_exactly_and_only_within_its_bytes)
{
    struct fault fault;
    const char text[] = "{\"a\": [1.5, \"x\\u00e9\\n\", true]}garbage";
    cJSON *tree = json_parse(text, sizeof text - 1 - 7, 0, &fault);
    cr_assert_not_null(tree);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "a");
    cr_assert_eq(list->child->valuedouble, 1.5);
    cr_assert_str_eq(list->child->next->valuestring, "x\xC3\xA9\n");
    cr_assert(cJSON_IsTrue(list->child->next->next));
    cJSON_Delete(tree);
}

/* cJSON reads 63 characters of a number; a longer one is refused rather than misread. */
Test(json, numbers_have_at_most_63_characters)
{
    char text[80];
    for (int characters = 60; characters <= 70; characters++) {
        struct fault fault;
        int length = snprintf(text, sizeof text, "[0.%0*d]", characters - 2, 1);
        cJSON *tree = json_parse(text, (size_t)length, 0, &fault);
        cr_assert_eq(tree != NULL, characters <= 63, "%d characters", characters);
        cJSON_Delete(tree);
    }
}

static cJSON *parse_nested(unsigned depth, char open, struct fault *fault)
{
    char text[512];
    size_t length = 0;
    for (unsigned i = 0; i < depth; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, open == '[' ? "[" : "{\"a\":");
    text[length++] = '1';
    for (unsigned i = 0; i < depth; i++)
        text[length++] = open == '[' ? ']' : '}';
    return json_parse(text, length, 0, fault);
}

Test(json, nests_to_32_levels_and_no_further)
{
    struct fault fault;
    for (int shape = 0; shape < 2; shape++) {
        cJSON *tree = parse_nested(JSON_DEPTH_MAX, "[{"[shape], &fault);
        cr_assert_not_null(tree);
        cJSON_Delete(tree);
        cr_assert_null(parse_nested(JSON_DEPTH_MAX + 1, "[{"[shape], &fault));
        cr_assert_str_eq(fault.reason, "nested too deeply, at most 32 levels");
    }
}

static size_t many_members(size_t size, char *text, int count, int repeat_of)
{
    size_t length = (size_t)snprintf(text, size, "{");
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, size - length, "%s\"k%d\": %d", i == 0 ? "" : ",", i, i);
    if (repeat_of >= 0)
        length += (size_t)snprintf(text + length, size - length, ", \"k%d\": 0", repeat_of);
    return length + (size_t)snprintf(text + length, size - length, "}");
}

Test(json, duplicate_keys_are_found_in_small_and_large_objects)
{
    static char text[1 << 18];
    const int counts[] = { 1, 2, 63, 64, 65, 10000 };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct fault fault;
        cJSON *tree = json_parse(text, many_members(sizeof text, text, counts[i], -1), 0, &fault);
        cr_assert_not_null(tree, "%d members", counts[i]);
        cJSON_Delete(tree);
        int repeated = counts[i] / 2;
        size_t bytes = many_members(sizeof text, text, counts[i], repeated);
        cr_assert_null(json_parse(text, bytes, 0, &fault), "%d members", counts[i]);
        char pointer[16];
        (void)snprintf(pointer, sizeof pointer, "/k%d", repeated);
        cr_assert_str_eq(fault.pointer, pointer);
        cr_assert_eq(fault.column, bytes - 1, "the second one is named");
    }
}

/* ---- places ---------------------------------------------------------------------------------------------- */

Test(json, faults_say_line_and_column)
{
    const struct {
        const char *text;
        unsigned line, column;
        const char *pointer;
    } faults[] = {
        { "", 1, 1, "" },
        { "[1,\n 2,\n  x]", 3, 3, "" },
        { "{\"a\": 1,\n \"b\" 2}", 2, 6, "" },
        { "[\"a\xFF\"]", 1, 4, "" },
        { "{\"a\": {\"b\": [0, 1e999]}}", 1, 17, "/a/b/1" },
        { "{\"x/y~\": {\"a\": 1,\n  \"a\": 2}}", 2, 8, "/x~1y~0/a" },
        { "[1] 2", 1, 5, "" },
        { "[[[[", 1, 5, "" },
        { "\n\n\"abc", 3, 1, "" },
        { "{\"a\": 01}", 1, 7, "" },
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct fault fault = { .file = "f.json" };
        cr_assert_null(json_parse(faults[i].text, strlen(faults[i].text), 0, &fault));
        cr_assert_eq(fault.line, faults[i].line, "%s: line %u", faults[i].text, fault.line);
        cr_assert_eq(fault.column, faults[i].column, "%s: column %u", faults[i].text, fault.column);
        cr_assert_str_eq(fault.pointer, faults[i].pointer);
        cr_assert_str_eq(fault.file, "f.json", "the file is its caller's");
    }
}

Test(json, a_fault_under_an_endless_key_is_placed_at_what_is_around_it)
{
    static char text[4096];
    (void)snprintf(text, sizeof text, "{\"a\":\n {\"%02000d\": {\"b\": 1e999}}}", 7);
    struct fault fault;
    cr_assert_null(json_parse(text, strlen(text), 0, &fault));
    cr_assert(fault.line == 2 && fault.column == 2, "%u:%u", fault.line, fault.column);
    cr_assert_str_eq(fault.reason, "this number is too large");
    cr_assert_eq(strlen(fault.pointer), FAULT_POINTER_MAX - 1);
}

Test(json, pointers_lead_to_places)
{
    const char *text = "// c\n{\"a\": [10,\n  {\"b~/c\": true}], /* x */ \"\": 5, \"\\u0064\": \"e\",\n\"big\": {}}";
    const struct {
        const char *pointer;
        unsigned line, column; /* 0 = no such value */
    } places[] = {
        { "", 2, 1 },
        { "/a", 2, 7 },
        { "/a/0", 2, 8 },
        { "/a/1", 3, 3 },
        { "/a/1/b~0~1c", 3, 12 },
        { "/", 3, 32 },
        { "/d", 3, 45 },
        { "/big", 4, 8 },
        { "/a/2", 0, 0 },
        { "/a/01", 0, 0 },
        { "/a/-", 0, 0 },
        { "/a/", 0, 0 },
        { "/b", 0, 0 },
        { "a", 0, 0 },
        { "/a/1/b~2", 0, 0 },
        { "/big/x", 0, 0 },
        { "/d/0", 0, 0 },
        { "/a/9999999999999999999999", 0, 0 },
        { "/A", 0, 0 },
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint32_t line = 0, column = 0;
        bool found = json_place(text, strlen(text), places[i].pointer, &line, &column);
        cr_assert_eq(found, places[i].line != 0, "%s", places[i].pointer);
        cr_assert(line == places[i].line && column == places[i].column, "%s: %u:%u", places[i].pointer, line, column);
    }
}

Test(json, places_in_broken_text_are_not_invented)
{
    const char *const broken[] = { "",  "{",  "{\"a\"", "{\"a\":",  "{\"a\": x",
                                   "[", "[1", "[1,",    "nonsense", "{\"b\": [1 2], \"a\": 3}" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint32_t line = 0, column = 0;
        (void)json_place(broken[i], strlen(broken[i]), "/a", &line, &column);
        cr_assert(!json_place(broken[i], strlen(broken[i]), "/a/0/0", &line, &column));
    }
}

/* ---- faults as text ---------------------------------------------------------------------------------------- */

Test(json, fault_text_leaves_out_what_is_not_known)
{
    char text[256];
    struct fault fault = {
        .file = "models/gifts.json", .line = 12, .column = 9, .pointer = "/factors/0/curve", .reason = "no"
    };
    size_t length = fault_text(&fault, sizeof text, text);
    cr_assert_str_eq(text, "models/gifts.json:12:9: /factors/0/curve: no");
    cr_assert_eq(length, strlen(text));
    cr_assert_eq(fault_text(&fault, 10, text), length, "the length it has, not the length that fits");
    cr_assert_str_eq(text, "models/gi");
    fault.line = 0;
    fault_text(&fault, sizeof text, text);
    cr_assert_str_eq(text, "models/gifts.json: /factors/0/curve: no");
    fault.pointer[0] = '\0';
    fault_text(&fault, sizeof text, text);
    cr_assert_str_eq(text, "models/gifts.json: no");
    fault.file[0] = '\0';
    fault_text(&fault, sizeof text, text);
    cr_assert_str_eq(text, "no");
    fault.line = 3;
    fault_text(&fault, sizeof text, text);
    cr_assert_str_eq(text, "3:9: no");
}

/* Goal: a fault is one harmless line of a log, whatever a stranger wrote. */
Test(json, faults_carry_no_control_characters_and_no_half_characters)
{
    struct fault fault = { .file = "" };
    cr_assert_eq(fault_set(&fault, NULL, 0, "/a\nb", "bad \x1b[31m \"%s\"", "x\r\n"), RIALTO_REFUSED);
    cr_assert_str_eq(fault.pointer, "/a?b");
    cr_assert_str_eq(fault.reason, "bad ?[31m \"x??\"");

    char long_key[400];
    for (size_t i = 0; i + 2 < sizeof long_key; i += 2)
        memcpy(long_key + i, "\xC3\xA9", 3);
    long_key[0] = '/';
    long_key[1] = '-'; /* now the cut falls within a character */
    fault_set(&fault, NULL, 0, long_key, "%s%s", "x", long_key + 2);
    cr_assert_leq(strlen(fault.pointer), FAULT_POINTER_MAX - 1);
    cr_assert_eq(strlen(fault.pointer) % 2, 0);
    cr_assert_eq(strlen(fault.reason) % 2, 1);
}

/* ---- files -------------------------------------------------------------------------------------------------- */

Test(json, files_are_read_whole_or_refused_with_a_reason)
{
    char folder[] = "/tmp/rialto-json-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/f", folder);
    char *text = NULL;
    size_t bytes = 0;
    struct fault fault = { .reason = "" };

    cr_assert_neq(file_read(path, &text, &bytes, &fault), RIALTO_OK);
    cr_assert_str_eq(fault.file, path);
    cr_assert_neq(fault.reason[0], '\0');

    FILE *file = fopen(path, "w");
    (void)fputs("abc", file);
    (void)fclose(file);
    cr_assert_eq(file_read(path, &text, &bytes, &fault), RIALTO_OK);
    cr_assert_eq(bytes, 3);
    cr_assert_str_eq(text, "abc");
    free(text);

    cr_assert_eq(truncate(path, JSON_FILE_BYTES_MAX), 0);
    cr_assert_eq(file_read(path, &text, &bytes, &fault), RIALTO_OK);
    cr_assert_eq(bytes, JSON_FILE_BYTES_MAX);
    free(text);
    cr_assert_eq(truncate(path, JSON_FILE_BYTES_MAX + 1), 0);
    cr_assert_eq(file_read(path, &text, &bytes, &fault), RIALTO_REFUSED);
    cr_assert_str_eq(fault.reason, "larger than 1 MiB");
    (void)unlink(path);

    cr_assert_eq(file_read(folder, &text, &bytes, &fault), RIALTO_REFUSED);
    cr_assert_str_eq(fault.reason, "not a regular file");
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(file_read(path, &text, &bytes, &fault), RIALTO_REFUSED, "and it does not wait for a writer");
    (void)unlink(path);
    (void)rmdir(folder);
}

/* ---- anything at all ------------------------------------------------------------------------------------------ */

/* Goal: what is accepted prints and parses again to the same, and nothing breaks on the way. */
Test(json, survives_mutated_text)
{
    const char *const base =
        "{\"a\": [1, -2.5e3, \"x\\u00e9\\\"y\", null], \"b\": {\"c\": true, \"d\": \"\xE2\x82\xAC\"}}";
    uint64_t seed = 31;
    int accepted = 0;
    for (int round = 0; round < 100000; round++) {
        char text[128];
        size_t bytes = strlen(base);
        memcpy(text, base, bytes);
        for (int64_t changes = random_between(&seed, 1, 3); changes > 0; changes--)
            text[random_between(&seed, 0, (int64_t)bytes - 1)] = (char)random_next(&seed);
        struct fault fault;
        cJSON *tree = json_parse(text, (size_t)random_between(&seed, 0, (int64_t)bytes), 0, &fault);
        if (tree == NULL)
            tree = json_parse(text, bytes, JSON_COMMENTS, &fault);
        if (tree == NULL)
            continue;
        accepted++;
        char *printed = cJSON_PrintUnformatted(tree);
        cJSON *again = json_parse(printed, strlen(printed), 0, &fault);
        cr_assert_not_null(again, "%s: %s", printed, fault.reason);
        cr_assert(cJSON_Compare(tree, again, true));
        cJSON_Delete(again);
        cJSON_free(printed);
        cJSON_Delete(tree);
    }
    cr_assert_gt(accepted, 1000);
}

Test(json, a_member_that_is_missing_or_of_another_kind_counts_as_nothing)
{
    cJSON *object =
        cJSON_Parse("{\"text\":\"a\",\"part\":-2.9,\"high\":1e300,\"low\":-1e300,\"edge\":9223372036854775808}");
    cr_assert_not_null(object);
    cr_assert_str_eq(json_string(object, "text"), "a");
    cr_assert_str_eq(json_string(object, "part"), "");
    cr_assert_str_eq(json_string(object, "Text"), "", "names differ by case");
    cr_assert_str_eq(json_string(NULL, "text"), "");
    cr_assert_eq(json_number(object, "part"), -2.9);
    cr_assert_eq(json_number(object, "text"), 0);
    cr_assert_eq(json_number(NULL, "part"), 0);
    cr_assert_eq(json_whole(object, "part"), -2);
    cr_assert_eq(json_whole(object, "none"), 0);
    cr_assert_eq(json_whole(object, "high"), INT64_MAX);
    cr_assert_eq(json_whole(object, "edge"), INT64_MAX);
    cr_assert_eq(json_whole(object, "low"), INT64_MIN);
    cJSON_Delete(object);
}
