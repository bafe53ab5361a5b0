/* test_signal.c - what is taken for a signal, what is refused, and what is said about it. */
#include "service/signal_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define DAY_MS INT64_C(86400000)

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = NOW_MS,
                                           .age_max_ms = 7 * DAY_MS,
                                           .future_max_ms = 60000,
                                           .sensitive = "health,adult" };

static enum signal_reason parse(const char *text, struct signal *ret, struct fault *fault)
{
    cJSON *object = json_parse(text, strlen(text), 0, fault);
    cr_assert_not_null(object, "the test's own JSON is bad: %s", text);
    enum signal_reason reason = signal_parse(object, &RULES, ret, fault);
    cJSON_Delete(object);
    return reason;
}

static struct signal good(const char *text)
{
    struct signal signal;
    struct fault fault = { .reason = "" };
    enum signal_reason reason = parse(text, &signal, &fault);
    cr_assert_eq(reason, REASON_none, "%s: %s %s %s", text, signal_reason_name(reason), fault.pointer, fault.reason);
    return signal;
}

struct refusal {
    const char *text;
    enum signal_reason reason;
    const char *pointer;
};

static void refused(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct signal signal;
        struct fault fault = { .reason = "" };
        enum signal_reason reason = parse(rows[i].text, &signal, &fault);
        cr_expect_eq(reason, rows[i].reason, "%s: found %s (%s)", rows[i].text, signal_reason_name(reason),
                     fault.reason);
        cr_expect_str_eq(fault.pointer, rows[i].pointer, "%s: found %s", rows[i].text, fault.pointer);
        cr_expect(fault.reason[0] != '\0', "%s: nothing was said", rows[i].text);
    }
}
#define REFUSED(...)                                                                                                   \
    do {                                                                                                               \
        static const struct refusal rows[] = { __VA_ARGS__ };                                                          \
        refused(rows, sizeof rows / sizeof rows[0]);                                                                   \
    } while (0)

/* Goal: each type is taken in its smallest and in a full form, and splits into the parts that the design names. */
Test(signal, every_type_is_taken_and_knows_its_parts)
{
    static const struct {
        const char *text;
        unsigned parts;
    } rows[] = {
        { "{\"type\":\"product\",\"sku\":\"A\",\"list\":1999,\"currency\":\"EUR\"}", PART_PRODUCT },
        { "{\"type\":\"product\",\"sku\":\"A\",\"zone\":\"de/south\",\"category\":\"fresh/"
          "dairy\",\"title\":\"Milk\",\"list\":109,"
          "\"cost\":60,\"currency\":\"EUR\",\"unit\":\"l\",\"tax\":\"included\",\"promotion\":0.8,\"until\":\"2026-02-"
          "01T00:00:00Z\","
          "\"time\":\"2026-01-01T00:00:00Z\",\"source\":\"erp\",\"id\":\"17\"}",
          PART_PRODUCT },
        { "{\"type\":\"zone\",\"zone\":\"de/south\"}", PART_COMMON },
        { "{\"type\":\"zone\",\"zone\":\"x\",\"parent\":\"de\",\"lat\":48.1,\"lon\":11.6,\"region\":\"EU\",\"utc_"
          "offset_min\":60,"
          "\"currency\":\"EUR\"}",
          PART_COMMON },
        { "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"view\"}", PART_PRODUCT },
        { "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"order\",\"quantity\":2.5,\"amount\":500,\"currency\":\"EUR\","
          "\"customer\":"
          "\"C1\",\"zone\":\"de\"}",
          PART_PRODUCT | PART_CUSTOMER },
        { "{\"type\":\"supply\",\"sku\":\"A\",\"available\":0}", PART_PRODUCT },
        { "{\"type\":\"supply\",\"sku\":\"A\",\"available\":3,\"capacity\":40,\"zone\":\"de\"}", PART_PRODUCT },
        { "{\"type\":\"location\",\"customer\":\"C1\",\"zone\":\"de/south/store:25\",\"lease_s\":60}", PART_CUSTOMER },
        { "{\"type\":\"location\",\"customer\":\"C1\",\"left\":true}", PART_CUSTOMER },
        { "{\"type\":\"location\",\"customer\":\"C1\",\"zone\":\"de\",\"left\":false}", PART_CUSTOMER },
        { "{\"type\":\"weather\",\"zone\":\"gh:u28\",\"humidity\":0.5}", PART_COMMON },
        { "{\"type\":\"competitor\",\"sku\":\"A\",\"competitor\":\"X\",\"amount\":1,\"currency\":\"JPY\"}",
          PART_PRODUCT },
        { "{\"type\":\"customer\",\"customer\":\"C1\"}", PART_CUSTOMER },
        { "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"profile\":true},\"tier\":\"\",\"spend\":0,"
          "\"currency\":\"EUR\","
          "\"segments\":[]}",
          PART_CUSTOMER },
        { "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"withdraw\"}", PART_CUSTOMER },
        { "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"percent\",\"percent\":12.5,\"stackable\":"
          "true}",
          PART_CUSTOMER },
        { "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"lock\",\"amount\":5,\"currency\":\"EUR\","
          "\"basis\":"
          "\"behaviour\"}",
          PART_CUSTOMER },
        { "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"fixed\",\"amount\":0,\"currency\":\"EUR\"}",
          PART_CUSTOMER },
        { "{\"type\":\"receipt\",\"customer\":\"C1\",\"amount\":5,\"currency\":\"EUR\"}", PART_CUSTOMER },
        { "{\"type\":\"forget\",\"customer\":\"C1\"}", PART_CUSTOMER },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct signal signal = good(rows[i].text);
        cr_expect_eq(signal_parts(&signal), rows[i].parts, "%s", rows[i].text);
    }
}

Test(signal, fields_arrive_converted_and_absent_ones_are_zero)
{
    struct signal signal =
        good("{\"sku\":\"A\",\"type\":\"demand\",\"event\":\"return\",\"quantity\":2.5,\"amount\":-0,"
             "\"currency\":\"EUR\",\"source\":\"s\",\"id\":\"i\"}");
    cr_expect_eq(signal.type, SIGNAL_demand);
    cr_expect_str_eq(signal.sku, "A");
    cr_expect_eq(signal.event, DEMAND_RETURN);
    cr_expect_eq(signal.quantity, 2500000);
    cr_expect_eq(signal.amount, 0);
    cr_expect(signal_has(&signal, SIGNAL_FIELD_amount));
    cr_expect_str_eq(signal.currency, "EUR");
    cr_expect_str_eq(signal.source, "s");
    cr_expect_str_eq(signal.id, "i");
    cr_expect(!signal_has(&signal, SIGNAL_FIELD_zone) && signal.zone[0] == '\0');
    cr_expect(!signal_has(&signal, SIGNAL_FIELD_customer) && signal.customer[0] == '\0');
    cr_expect_eq(signal.time_ms, NOW_MS, "left out: when it arrived");
    cr_expect(!signal_has(&signal, SIGNAL_FIELD_time_ms));
}

Test(signal, what_is_no_signal_is_named)
{
    REFUSED({ "5", REASON_not_object, "" }, { "null", REASON_not_object, "" }, { "[]", REASON_not_object, "" },
            { "\"x\"", REASON_not_object, "" }, { "{}", REASON_missing_field, "/type" },
            { "{\"type\":5}", REASON_wrong_type, "/type" }, { "{\"type\":\"\"}", REASON_unknown_type, "/type" },
            { "{\"type\":\"Demand\"}", REASON_unknown_type, "/type" },
            { "{\"type\":\"demand \"}", REASON_unknown_type, "/type" },
            { "{\"type\":\"unknown\"}", REASON_unknown_type, "/type" });
}

Test(signal, fields_that_are_missing_unknown_or_elsewhere_are_named)
{
    REFUSED({ "{\"type\":\"demand\",\"sku\":\"A\"}", REASON_missing_field, "/event" },
            { "{\"type\":\"demand\",\"event\":\"view\"}", REASON_missing_field, "/sku" },
            { "{\"type\":\"product\",\"sku\":\"A\",\"currency\":\"EUR\"}", REASON_missing_field, "/list" },
            { "{\"type\":\"weather\",\"humidity\":1}", REASON_missing_field, "/zone" },
            { "{\"type\":\"forget\"}", REASON_missing_field, "/customer" },
            { "{\"type\":\"forget\",\"customer\":\"C1\",\"x\":1}", REASON_unknown_field, "/x" },
            { "{\"type\":\"forget\",\"customer\":\"C1\",\"a/b~c\":1}", REASON_unknown_field, "/a~1b~0c" },
            { "{\"type\":\"forget\",\"customer\":\"C1\",\"\":1}", REASON_unknown_field, "/" },
            { "{\"type\":\"forget\",\"Customer\":\"C1\"}", REASON_unknown_field, "/Customer" },
            { "{\"type\":\"forget\",\"customer\":\"C1\",\"sku\":\"A\"}", REASON_unknown_field, "/sku" },
            { "{\"type\":\"product\",\"sku\":\"A\",\"list\":1,\"currency\":\"EUR\",\"customer\":\"C1\"}",
              REASON_unknown_field, "/customer" });
}

/* Goal: a pointer that is too long is cut between characters: the answer must stay UTF-8. */
Test(signal, a_long_name_is_cut_between_characters)
{
    for (size_t lead = 0; lead < 4; lead++) {
        char text[1200] = "{\"type\":\"forget\",\"customer\":\"C1\",\"";
        struct signal signal;
        struct fault fault = { .reason = "" };
        memset(text + strlen(text), 'x', lead);
        for (int i = 0; i < 200; i++)
            memcpy(text + strlen(text), "\xe2\x82\xac", 3);
        memcpy(text + strlen(text), "\":1}", 4);
        cr_expect_eq(parse(text, &signal, &fault), REASON_unknown_field);
        size_t bytes = strlen(fault.pointer);
        cr_expect(bytes > FAULT_POINTER_MAX - 5 && (bytes - 1 - lead) % 3 == 0, "%zu bytes", bytes);
    }
}

Test(signal, wrong_types_of_values_are_named)
{
    REFUSED({ "{\"type\":\"demand\",\"event\":\"view\",\"sku\":5}", REASON_wrong_type, "/sku" },
            { "{\"type\":\"demand\",\"event\":\"view\",\"sku\":null}", REASON_wrong_type, "/sku" },
            { "{\"type\":\"demand\",\"event\":0,\"sku\":\"A\"}", REASON_wrong_type, "/event" },
            { "{\"type\":\"demand\",\"event\":\"buy\",\"sku\":\"A\"}", REASON_out_of_range, "/event" },
            { "{\"type\":\"demand\",\"event\":\"vie\",\"sku\":\"A\"}", REASON_out_of_range, "/event" },
            { "{\"type\":\"demand\",\"event\":\"view|cart\",\"sku\":\"A\"}", REASON_out_of_range, "/event" },
            { "{\"type\":\"demand\",\"event\":\"\",\"sku\":\"A\"}", REASON_out_of_range, "/event" },
            { "{\"type\":\"supply\",\"sku\":\"A\",\"available\":\"5\"}", REASON_wrong_type, "/available" },
            { "{\"type\":\"product\",\"sku\":\"A\",\"currency\":\"EUR\",\"list\":\"5\"}", REASON_wrong_type, "/list" },
            { "{\"type\":\"location\",\"customer\":\"C1\",\"left\":1}", REASON_wrong_type, "/left" },
            { "{\"type\":\"location\",\"customer\":\"C1\",\"zone\":\"de\",\"lease_s\":1.5}", REASON_wrong_type,
              "/lease_s" },
            { "{\"type\":\"location\",\"customer\":\"C1\",\"zone\":\"de\",\"lease_s\":\"1\"}", REASON_wrong_type,
              "/lease_s" },
            { "{\"type\":\"location\",\"customer\":\"C1\",\"zone\":\"de\",\"lease_s\":0}", REASON_out_of_range,
              "/lease_s" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":[]}", REASON_wrong_type, "/consent" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"profile\":1}}", REASON_wrong_type,
              "/consent/profile" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"x~y\":true}}", REASON_unknown_field,
              "/consent/x~0y" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":\"a\"}", REASON_wrong_type, "/segments" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"a\",5]}", REASON_wrong_type, "/segments/1" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"a\",\"\"]}", REASON_bad_text, "/segments/1" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\","
              "\"8\",\"9\"]}",
              REASON_too_long, "/segments" });
}

/* Goal: attributes are numbers under good names, eight at most; a name that stands for people is refused with its place. */
Test(signal, attributes_are_numbers_with_names)
{
#define ZONE   "{\"type\":\"zone\",\"zone\":\"x\",\"attributes\":"
#define THIRTY "012345678901234567890123456789"
    REFUSED({ ZONE "5}", REASON_wrong_type, "/attributes" }, { ZONE "[1]}", REASON_wrong_type, "/attributes" },
            { ZONE "{\"size\":\"5\"}}", REASON_wrong_type, "/attributes/size" },
            { ZONE "{\"size\":null}}", REASON_wrong_type, "/attributes/size" },
            { ZONE "{\"size\":1000000000.000001}}", REASON_out_of_range, "/attributes/size" },
            { ZONE "{\"size\":-1e300}}", REASON_out_of_range, "/attributes/size" },
            { ZONE "{\"Size\":1}}", REASON_bad_attribute, "/attributes/Size" },
            { ZONE "{\"2nd\":1}}", REASON_bad_attribute, "/attributes/2nd" },
            { ZONE "{\"\":1}}", REASON_bad_attribute, "/attributes/" },
            { ZONE "{\"a/b\":1}}", REASON_bad_attribute, "/attributes/a~1b" },
            { ZONE "{\"mean_age\":1}}", REASON_bad_attribute, "/attributes/mean_age" },
            { ZONE "{\"religion\":1}}", REASON_bad_attribute, "/attributes/religion" },
            { ZONE "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1}}", REASON_too_long,
              "/attributes" },
            { ZONE "{\"a" THIRTY "\":1,\"b" THIRTY "\":1,\"c" THIRTY "\":1,\"d\":1}}", REASON_too_long,
              "/attributes" });
    struct signal signal = good(ZONE "{\"size_m2\":0.0000015,\"open\":true,\"shut\":false,\"most\":1e9}}");
    cr_expect_eq(signal.attributes.count, 4);
    cr_expect_str_eq(signal.attributes.name[3], "most");
    cr_expect_eq(signal.attributes.micro[0], 2, "half to even of 1.5");
    cr_expect(signal.attributes.micro[1] == MICRO && signal.attributes.micro[2] == 0);
    cr_expect_eq(signal.attributes.micro[3], 1000000000 * MICRO);
    signal = good(ZONE "{\"a" THIRTY "\":1,\"b" THIRTY "\":1,\"c" THIRTY "\":1}}");
    cr_expect_eq(signal.attributes.count, 3, "96 bytes with their ends");
#undef THIRTY
#undef ZONE
}

/* Goal: an amount is an exact integer of minor units, or refused; never rounded. */
Test(signal, amounts_are_integers_of_minor_units)
{
#define PRODUCT(list) "{\"type\":\"product\",\"sku\":\"A\",\"currency\":\"EUR\",\"list\":" list "}"
    REFUSED({ PRODUCT("19.99"), REASON_not_minor_units, "/list" }, { PRODUCT("1e-3"), REASON_not_minor_units, "/list" },
            { PRODUCT("0"), REASON_out_of_range, "/list" }, { PRODUCT("-5"), REASON_out_of_range, "/list" },
            { PRODUCT("281474976710656"), REASON_out_of_range, "/list" },
            { PRODUCT("9007199254740993"), REASON_out_of_range, "/list" },
            { PRODUCT("1e300"), REASON_out_of_range, "/list" }, { PRODUCT("true"), REASON_wrong_type, "/list" });
    cr_expect_eq(good(PRODUCT("1")).list, 1);
    cr_expect_eq(good(PRODUCT("281474976710655")).list, RIALTO_BOUND_MAX);
    cr_expect_eq(good(PRODUCT("1999")).list, 1999);
#undef PRODUCT
}

/* Goal: decimals become millionths, to the nearest; bounds hold after that. */
Test(signal, numbers_become_millionths)
{
#define SUPPLY(value) "{\"type\":\"supply\",\"sku\":\"A\",\"available\":1,\"capacity\":" value "}"
    cr_expect_eq(good(SUPPLY("0.1")).capacity, 100000);
    cr_expect_eq(good(SUPPLY("0.000001")).capacity, 1);
    cr_expect_eq(good(SUPPLY("0.0000006")).capacity, 1);
    cr_expect_eq(good(SUPPLY("2.675")).capacity, 2675000);
    cr_expect_eq(good(SUPPLY("1000000000")).capacity, INT64_C(1000000000000000));
    cr_expect_eq(good("{\"type\":\"weather\",\"zone\":\"de\",\"temperature_c\":-12.345}").temperature_c, -12345000);
    REFUSED({ SUPPLY("0"), REASON_out_of_range, "/capacity" },
            { SUPPLY("0.0000004"), REASON_out_of_range, "/capacity" },
            { SUPPLY("1000000000.000001"), REASON_out_of_range, "/capacity" },
            { SUPPLY("1e308"), REASON_out_of_range, "/capacity" }, { SUPPLY("-1"), REASON_out_of_range, "/capacity" },
            { "{\"type\":\"weather\",\"zone\":\"de\",\"humidity\":1.1}", REASON_out_of_range, "/humidity" },
            { "{\"type\":\"weather\",\"zone\":\"de\",\"temperature_c\":-101}", REASON_out_of_range, "/temperature_c" });
#undef SUPPLY
}

Test(signal, currencies_are_those_of_iso_4217)
{
#define PRODUCT(currency) "{\"type\":\"product\",\"sku\":\"A\",\"list\":1,\"currency\":" currency "}"
    REFUSED({ PRODUCT("\"eur\""), REASON_bad_currency, "/currency" },
            { PRODUCT("\"EURO\""), REASON_bad_currency, "/currency" },
            { PRODUCT("\"\""), REASON_bad_currency, "/currency" },
            { PRODUCT("\"QQQ\""), REASON_bad_currency, "/currency" },
            { PRODUCT("978"), REASON_wrong_type, "/currency" });
    cr_expect_str_eq(good(PRODUCT("\"JPY\"")).currency, "JPY");
#undef PRODUCT
}

Test(signal, texts_are_bounded_and_free_of_control_characters)
{
#define VIEW(sku) "{\"type\":\"demand\",\"event\":\"view\",\"sku\":\"" sku "\"}"
#define TEN       "0123456789"
    REFUSED({ VIEW(""), REASON_bad_text, "/sku" }, { VIEW("a\\nb"), REASON_bad_text, "/sku" },
            { VIEW("a\\u001f"), REASON_bad_text, "/sku" }, { VIEW("a\x7f"), REASON_bad_text, "/sku" },
            { VIEW("a\\u0085"), REASON_bad_text, "/sku" }, { VIEW("\\u009f"), REASON_bad_text, "/sku" },
            { VIEW(TEN TEN TEN TEN TEN TEN "0123"), REASON_too_long, "/sku" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"tier\":\"" TEN TEN TEN "01\"}", REASON_too_long, "/tier" },
            { "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"" TEN TEN TEN "01\"]}", REASON_too_long,
              "/segments/0" });
    cr_expect_str_eq(good(VIEW(TEN TEN TEN TEN TEN TEN "012")).sku, TEN TEN TEN TEN TEN TEN "012");
    cr_expect_str_eq(good(VIEW("\\u00a0\xc3\xa9\xe2\x82\xac \\\"\\\\")).sku, "\xc2\xa0\xc3\xa9\xe2\x82\xac \"\\");
    cr_expect_str_eq(good("{\"type\":\"customer\",\"customer\":\"C1\",\"tier\":\"\"}").tier, "");
#undef VIEW
}

/* Goal: people keep their names to themselves; numbers that a shop gives to its customers are taken. */
Test(signal, customers_are_pseudonyms)
{
    static const char *const personal[] = {
        "a@b.de",
        "anna.schmidt@example.com",
        "x@sub.example.org",
        "+49 89 1234567",
        "+4989123456",
        "+1234567",
        "089/1234567890",
        "(089) 123 456 78",
        "0049 89 123456",
        "004989123456",
        "123456789",
        "555-123-4567",
        "555.123.4567",
    };
    static const char *const fine[] = {
        "17850",
        "12345678",
        "00017850",
        "C123",
        "C123456789",
        "a@b",
        "@b.de",
        "a@.de",
        "a@de.",
        "123-4567",
        "user@host",
        "550e8400-e29b-41d4-a716-446655440000",
        "1234567890123456",
        "+123456",
        "+",
        "-",
        "()",
        "guest 42",
        "12345678x",
    };
    for (size_t i = 0; i < sizeof personal / sizeof personal[0]; i++)
        cr_expect(customer_looks_personal(personal[i]), "%s", personal[i]);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        cr_expect(!customer_looks_personal(fine[i]), "%s", fine[i]);

    struct signal signal;
    struct fault fault;
    cr_expect_eq(parse("{\"type\":\"forget\",\"customer\":\"anna@example.com\"}", &signal, &fault),
                 REASON_looks_personal);
    cr_expect_str_eq(fault.pointer, "/customer");
    cr_expect_null(strstr(fault.reason, "anna"), "what is said does not repeat it");
    cr_expect_str_eq(signal.customer, "", "nor is it kept");
}

Test(signal, zones_are_cut_to_the_levels_in_use)
{
#define ZONE(name) "{\"type\":\"weather\",\"humidity\":1,\"zone\":\"" name "\"}"
    cr_expect_str_eq(good(ZONE("de/south/store:25/dairy/shelf:3")).zone, "de/south/store:25");
    cr_expect_str_eq(good(ZONE("de/south")).zone, "de/south");
    cr_expect_str_eq(good(ZONE("gh:u281zd9q")).zone, "gh:u281z");
    cr_expect_str_eq(good(ZONE("gh:u281")).zone, "gh:u28");
    cr_expect_str_eq(good(ZONE("gh:u2")).zone, "", "coarser than any level in use: the world");
    cr_expect_str_eq(good(ZONE("world")).zone, "");
    struct signal world = good(ZONE(""));
    cr_expect(signal_has(&world, SIGNAL_FIELD_zone), "named, not left out");
    REFUSED({ ZONE("de//south"), REASON_bad_zone, "/zone" }, { ZONE("/de"), REASON_bad_zone, "/zone" },
            { ZONE("gh:ail"), REASON_bad_zone, "/zone" }, { ZONE("de south"), REASON_bad_zone, "/zone" },
            { ZONE("caf\xc3\xa9"), REASON_bad_zone, "/zone" },
            { ZONE("a/" TEN TEN TEN TEN TEN TEN "01"), REASON_too_long, "/zone" });
#undef ZONE
}

/* Goal: a customer's position is a zone before anything else sees it, and is nowhere kept. */
Test(signal, a_position_becomes_a_zone_and_is_dropped)
{
    struct signal signal = good("{\"type\":\"location\",\"customer\":\"C1\",\"lat\":57.64911,\"lon\":10.40744}");
    cr_expect_str_eq(signal.zone, "gh:u4pru", "Niemeyer's own example, to five characters");
    cr_expect(signal_has(&signal, SIGNAL_FIELD_zone));
    cr_expect(!signal_has(&signal, SIGNAL_FIELD_lat) && !signal_has(&signal, SIGNAL_FIELD_lon));
    cr_expect_eq(signal.lat, 0);
    cr_expect_eq(signal.lon, 0);
    struct signal zone = good("{\"type\":\"zone\",\"zone\":\"de\",\"lat\":51,\"lon\":10.5}");
    cr_expect_eq(zone.lat, 51000000, "a zone's own position stays");
    cr_expect_eq(zone.lon, 10500000);
}

Test(signal, fields_that_contradict_or_lack_each_other_are_named)
{
#define LOCATION(rest)    "{\"type\":\"location\",\"customer\":\"C1\"" rest "}"
#define OFFER(kind, rest) "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"" kind "\"" rest "}"
#define EUR(amount)       ",\"amount\":" amount ",\"currency\":\"EUR\""
    REFUSED(
        { LOCATION(""), REASON_missing_field, "/zone" }, { LOCATION(",\"left\":false"), REASON_missing_field, "/zone" },
        { LOCATION(",\"lat\":1"), REASON_missing_field, "/lon" },
        { LOCATION(",\"lon\":1"), REASON_missing_field, "/lat" },
        { LOCATION(",\"zone\":\"de\",\"lat\":1,\"lon\":1"), REASON_contradiction, "/zone" },
        { LOCATION(",\"zone\":\"de\",\"left\":true"), REASON_contradiction, "/left" },
        { LOCATION(",\"lat\":1,\"lon\":1,\"left\":true"), REASON_contradiction, "/left" },
        { LOCATION(",\"left\":true,\"lease_s\":5"), REASON_contradiction, "/lease_s" },
        { LOCATION(",\"lat\":90.1,\"lon\":1"), REASON_out_of_range, "/lat" },
        { "{\"type\":\"weather\",\"zone\":\"de\"}", REASON_missing_field, "/temperature_c" },
        { "{\"type\":\"zone\",\"zone\":\"de\",\"lat\":1}", REASON_missing_field, "/lon" },
        { "{\"type\":\"zone\",\"zone\":\"de\",\"parent\":\"de\"}", REASON_contradiction, "/parent" },
        { "{\"type\":\"zone\",\"zone\":\"a/b/c/d\",\"parent\":\"a/b/c\"}", REASON_contradiction, "/parent" },
        { "{\"type\":\"zone\",\"zone\":\"world\",\"parent\":\"de\"}", REASON_contradiction, "/parent" },
        { "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"order\",\"amount\":5}", REASON_missing_field, "/currency" },
        { "{\"type\":\"customer\",\"customer\":\"C1\",\"spend\":5}", REASON_missing_field, "/currency" },
        { "{\"type\":\"product\",\"sku\":\"A\",\"list\":1,\"currency\":\"EUR\",\"until\":1767225600000}",
          REASON_missing_field, "/promotion" },
        { OFFER("fixed", ""), REASON_missing_field, "/amount" },
        { OFFER("fixed", ",\"amount\":5"), REASON_missing_field, "/currency" },
        { OFFER("amount_off", ""), REASON_missing_field, "/amount" },
        { OFFER("lock", ""), REASON_missing_field, "/amount" },
        { OFFER("lock", EUR("0")), REASON_out_of_range, "/amount" },
        { OFFER("amount_off", EUR("0")), REASON_out_of_range, "/amount" },
        { OFFER("percent", ""), REASON_missing_field, "/percent" },
        { OFFER("percent", EUR("5") ",\"percent\":5"), REASON_contradiction, "/amount" },
        { OFFER("withdraw", EUR("5")), REASON_contradiction, "/amount" },
        { OFFER("fixed", EUR("5") ",\"percent\":5"), REASON_contradiction, "/percent" },
        { OFFER("withdraw", ",\"percent\":5"), REASON_contradiction, "/percent" },
        { OFFER("fixed", EUR("5") ",\"stackable\":true"), REASON_contradiction, "/stackable" },
        { OFFER("percent", ",\"percent\":5,\"from\":1767225600000,\"until\":1767225600000"), REASON_contradiction,
          "/until" },
        { OFFER("percent", ",\"percent\":5,\"units\":3"), REASON_missing_field, "/until" },
        { OFFER("withdraw", ",\"units\":3"), REASON_contradiction, "/units" },
        { OFFER("lock", EUR("5") ",\"units\":3,\"until\":1767225600001"), REASON_contradiction, "/units" },
        { OFFER("percent", ",\"percent\":5,\"until\":1767225600001,\"units\":0"), REASON_out_of_range, "/units" },
        { OFFER("percent", ",\"percent\":5,\"until\":1767225600001,\"units\":-1"), REASON_out_of_range, "/units" },
        { OFFER("percent", ",\"percent\":5,\"until\":1767225600001,\"units\":1000001"), REASON_out_of_range, "/units" },
        { OFFER("percent", ",\"percent\":5,\"until\":1767225600001,\"units\":\"3\""), REASON_wrong_type, "/units" },
        { OFFER("percent", ",\"percent\":0.001"), REASON_out_of_range, "/percent" },
        { OFFER("percent", ",\"percent\":101"), REASON_out_of_range, "/percent" });
    (void)good(OFFER("percent", ",\"percent\":5,\"from\":1767225600000,\"until\":1767225600001"));
    struct signal offer = good(OFFER("fixed", EUR("5") ",\"until\":1767225600001,\"units\":2.5"));
    cr_expect_eq(offer.units, 2500000);
}

Test(signal, consent_says_what_is_given_and_what_is_granted)
{
    struct signal signal =
        good("{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"location\":true,\"purchases\":false,"
             "\"partner\":true}}");
    cr_expect_eq(signal.consent.given, RIALTO_KIND_LOCATION | RIALTO_KIND_PURCHASES | RIALTO_KIND_PARTNER);
    cr_expect_eq(signal.consent.granted, RIALTO_KIND_LOCATION | RIALTO_KIND_PARTNER);
    struct signal words = good("{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[\"a\",\"bb\"]}");
    cr_expect_eq(words.segments.count, 2);
    cr_expect_str_eq(words.segments.word[1], "bb");
}

#define RECEIPT(category)                                                                                              \
    "{\"type\":\"receipt\",\"customer\":\"C1\",\"amount\":5,\"currency\":\"EUR\",\"category\":\"" category "\"}"

/* Goal: a step of the path decides, in any case, and whole. What is taken has no category any more. */
Test(signal, receipts_of_sensitive_categories_are_dropped_and_others_lose_their_category)
{
    REFUSED({ RECEIPT("health"), REASON_sensitive, "/category" },
            { RECEIPT("shop/Health/pain"), REASON_sensitive, "/category" },
            { RECEIPT("ADULT"), REASON_sensitive, "/category" },
            { RECEIPT("fresh/adult"), REASON_sensitive, "/category" });
    static const char *const taken[] = { RECEIPT("fresh/dairy"), RECEIPT("healthy"), RECEIPT("fresh/health-food"),
                                         RECEIPT("heal"), RECEIPT("/") };
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        struct signal signal = good(taken[i]);
        cr_expect(!signal_has(&signal, SIGNAL_FIELD_category), "%s", taken[i]);
        cr_expect_str_eq(signal.category, "", "%s", taken[i]);
        cr_expect_eq(signal_parts(&signal), PART_CUSTOMER, "%s", taken[i]);
    }
    (void)good(
        "{\"type\":\"product\",\"sku\":\"A\",\"list\":5,\"currency\":\"EUR\",\"category\":\"health\"}"); /* a shop may sell it */
}

#define VIEW(more) "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"view\"" more "}"

/* Goal: what is sensitive, or nobody's, is demand without a category, so that it teaches nothing about anybody. */
Test(signal, demand_keeps_its_category_only_for_a_customer_and_only_if_it_is_not_sensitive)
{
    struct signal signal = good(VIEW(",\"customer\":\"C1\",\"category\":\"gifts/home\""));
    cr_expect_str_eq(signal.category, "gifts/home");
    cr_expect_eq(signal_parts(&signal), PART_PRODUCT | PART_CUSTOMER);
    static const char *const bare[] = { VIEW(",\"category\":\"gifts/home\""), VIEW(",\"customer\":\"C1\",\"category\":\"gifts/Health\""),
                                        VIEW(",\"customer\":\"C1\",\"category\":\"adult\"") };
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        signal = good(bare[i]);
        cr_expect(!signal_has(&signal, SIGNAL_FIELD_category) && signal.category[0] == '\0', "%s", bare[i]);
        cr_expect((signal_parts(&signal) & PART_PRODUCT) != 0, "%s", bare[i]);
    }
}

#define CONSENT(value)  "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"profile\":" value "}}"
#define SEGMENTS(value) "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[" value "]}"

Test(signal, a_consent_may_say_who_said_so_when_and_on_which_wording)
{
    struct signal signal = good(CONSENT("{\"granted\":true,\"source\":\"till 25\",\"text\":\"2026-11-27/de-AT\"}"));
    unsigned profile = 3; /* its place among the kinds */
    cr_expect(signal.consent.given == RIALTO_KIND_PROFILE && signal.consent.granted == RIALTO_KIND_PROFILE);
    cr_expect_str_eq(signal.consent.note[profile].source, "till 25");
    cr_expect_str_eq(signal.consent.note[profile].text, "2026-11-27/de-AT");
    cr_expect_eq(signal.consent.note[profile].time_ms, 0, "it is not said");
    struct signal old = good(CONSENT("{\"time\":\"2001-09-09T01:46:40Z\",\"granted\":false}"));
    cr_expect(old.consent.given == RIALTO_KIND_PROFILE && old.consent.granted == 0);
    cr_expect_eq(old.consent.note[profile].time_ms, INT64_C(1000000000000), "a consent may be older than any signal");
    REFUSED(
        { CONSENT("{}"), REASON_missing_field, "/consent/profile" },
        { CONSENT("{\"source\":\"app\"}"), REASON_missing_field, "/consent/profile" },
        { CONSENT("{\"granted\":\"yes\"}"), REASON_wrong_type, "/consent/profile/granted" },
        { CONSENT("{\"granted\":true,\"source\":7}"), REASON_wrong_type, "/consent/profile/source" },
        { CONSENT("{\"granted\":true,\"source\":\"\"}"), REASON_bad_text, "/consent/profile/source" },
        { CONSENT("{\"granted\":true,\"source\":\"0123456789abcdefg\"}"), REASON_too_long, "/consent/profile/source" },
        { CONSENT("{\"granted\":true,\"text\":\"a@b.cd\"}"), REASON_looks_personal, "/consent/profile/text" },
        { CONSENT("{\"granted\":true,\"time\":0}"), REASON_out_of_range, "/consent/profile/time" },
        { CONSENT("{\"granted\":true,\"a/b\":1}"), REASON_unknown_field, "/consent/profile/a~1b" },
        { CONSENT("[true]"), REASON_wrong_type, "/consent/profile" });
}

Test(signal, a_segment_may_have_an_end_and_be_somebody_elses_word)
{
    struct signal signal =
        good(SEGMENTS("\"a\",{\"name\":\"student\",\"until\":\"2027-06-30T00:00:00Z\",\"party\":\"third\"}"));
    cr_expect_eq(signal.segments.count, 2);
    cr_expect(signal.segments.until_ms[0] == 0 && signal.segments.party[0] == 0);
    cr_expect_str_eq(signal.segments.word[1], "student");
    cr_expect_eq(signal.segments.until_ms[1], INT64_C(1814313600000));
    cr_expect_eq(signal.segments.party[1], PARTY_THIRD + 1);
    cr_expect_eq(good("{\"type\":\"customer\",\"customer\":\"C1\",\"party\":\"second\"}").party, PARTY_SECOND);
    REFUSED(
        { SEGMENTS("{}"), REASON_missing_field, "/segments/0" },
        { SEGMENTS("\"a\",{\"until\":1}"), REASON_missing_field, "/segments/1" },
        { SEGMENTS("{\"name\":\"\"}"), REASON_bad_text, "/segments/0/name" },
        { SEGMENTS("{\"name\":\"a\",\"until\":\"soon\"}"), REASON_wrong_type, "/segments/0/until" },
        { SEGMENTS("{\"name\":\"a\",\"until\":4102444800001}"), REASON_out_of_range, "/segments/0/until" },
        { SEGMENTS("{\"name\":\"a\",\"party\":\"fourth\"}"), REASON_out_of_range, "/segments/0/party" },
        { SEGMENTS("{\"name\":\"a\",\"from\":1}"), REASON_unknown_field, "/segments/0/from" },
        { "{\"type\":\"customer\",\"customer\":\"C1\",\"tier_until\":1800000000000}", REASON_missing_field, "/tier" });
}

/* Goal: RFC 3339 as written there, against the C library's calendar. */
Test(signal, times_are_those_of_the_calendar)
{
    for (int day = 0; day < 47482; day += 13) { /* 1970 to 2099 */
        time_t seconds = (time_t)day * 86400 + day * 7 % 86400;
        struct tm utc;
        char text[40];
        int64_t ms = -1;
        (void)gmtime_r(&seconds, &utc);
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        cr_assert(time_parse(text, &ms), "%s", text);
        cr_assert_eq(ms, (int64_t)seconds * 1000, "%s", text);
    }
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        { "2026-01-31T10:00:00.123Z", INT64_C(1769853600123) },
        { "2026-01-31T10:00:00.123999Z", INT64_C(1769853600123) },
        { "2026-01-31T10:00:00.1Z", INT64_C(1769853600100) },
        { "2026-01-31t10:00:00z", INT64_C(1769853600000) },
        { "2026-01-31T12:00:00+02:00", INT64_C(1769853600000) },
        { "2026-01-31T04:30:00-05:30", INT64_C(1769853600000) },
        { "2016-12-31T23:59:60Z", INT64_C(1483228800000) },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
        { "1969-12-31T23:59:59Z", -1000 },
        { "1970-01-01T00:00:00-00:00", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = 0;
        cr_expect(time_parse(rows[i].text, &ms), "%s", rows[i].text);
        cr_expect_eq(ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
    }
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T10:00Z",
        "2026-01-31T10:00:00",
        "2026-01-31 10:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T10:60:00Z",
        "2026-01-31T10:00:61Z",
        "2026-01-31T10:00:00.Z",
        "2026-01-31T10:00:00+24:00",
        "2026-01-31T10:00:00+1:00",
        "2026-01-31T10:00:00Zx",
        "26-01-31T10:00:00Z",
        "+026-01-31T10:00:00Z",
        "2026-01-31T10:00:00,5Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 77;
        cr_expect(!time_parse(bad[i], &ms), "%s", bad[i]);
        cr_expect_eq(ms, 77, "a refused time leaves the result alone");
    }
}

Test(signal, times_too_far_off_are_refused)
{
#define AT(time) "{\"type\":\"demand\",\"event\":\"view\",\"sku\":\"A\",\"time\":" time "}"
    REFUSED({ AT("\"2025-12-24T23:59:59.999Z\""), REASON_too_old, "/time" },
            { AT("\"2026-01-01T00:01:00.001Z\""), REASON_from_future, "/time" },
            { AT("1767225600"), REASON_too_old, "/time" }, /* seconds instead of milliseconds */
            { AT("-1"), REASON_out_of_range, "/time" }, { AT("4102444800001"), REASON_out_of_range, "/time" },
            { AT("1767225600000.5"), REASON_wrong_type, "/time" }, { AT("true"), REASON_wrong_type, "/time" },
            { AT("\"yesterday\""), REASON_wrong_type, "/time" }, { AT("1e300"), REASON_wrong_type, "/time" });
    cr_expect_eq(good(AT("\"2025-12-25T00:00:00Z\"")).time_ms, NOW_MS - 7 * DAY_MS);
    cr_expect_eq(good(AT("1767225660000")).time_ms, NOW_MS + 60000);
#undef AT
}

Test(signal, reasons_and_types_have_names)
{
    for (int i = 0; i < REASON_COUNT; i++) {
        enum signal_reason reason = (enum signal_reason)i;
        cr_expect(signal_reason_name(reason)[0] != '\0');
        cr_expect(i == REASON_none || signal_reason_text(reason)[0] != '\0');
    }
    cr_expect_str_eq(signal_reason_name(REASON_no_answer), "no_answer");
    cr_expect_str_eq(signal_reason_name((enum signal_reason)999), "unknown");
    cr_expect(signal_reason_rejects(REASON_unknown_product));
    cr_expect(!signal_reason_rejects(REASON_no_consent));
    cr_expect_str_eq(signal_type_name(SIGNAL_forget), "forget");
    cr_expect_str_eq(signal_type_name((enum signal_type)200), "unknown");
}

/* ---- docs/signals.md ------------------------------------------------------------------------------------------ */

static char *document(void)
{
    struct fault fault;
    char *text = NULL;
    size_t bytes = 0;
    cr_assert_eq(file_read("docs/signals.md", &text, &bytes, &fault), RIALTO_OK, "%s", fault.reason);
    return text;
}

/* Goal: the tables that people read are the tables that the parser uses. */
Test(signal, the_document_holds_what_the_tables_say)
{
    static const char begin[] = "<!-- signal_describe: begin -->\n", end[] = "<!-- signal_describe: end -->";
    char *wanted = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&wanted, &bytes);
    signal_describe(out);
    (void)fclose(out);
    char *text = document();
    char *from = strstr(text, begin), *to = strstr(text, end);
    cr_assert(from != NULL && to != NULL && from < to, "the markers are missing");
    from += strlen(begin);
    *to = '\0';
    cr_expect_str_eq(from, wanted, "docs/signals.md differs: put the output of signal_describe() between its markers");
    free(wanted);
    free(text);
}

/* Goal: what the document shows works: each fenced line of JSON that is a signal is taken. */
Test(signal, examples_in_the_document_are_taken)
{
    char *text = document();
    unsigned taken = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        struct fault fault;
        struct signal signal;
        if (strncmp(line, "{\"type\":", 8) != 0)
            continue;
        enum signal_reason reason = parse(line, &signal, &fault);
        cr_expect_eq(reason, REASON_none, "%s: %s %s", line, signal_reason_name(reason), fault.pointer);
        taken++;
    }
    cr_expect_geq(taken, (unsigned)SIGNAL_TYPE_COUNT, "an example of each type");
    free(text);
}
