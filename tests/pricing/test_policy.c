/* test_policy.c - policy files: what is taken and what is refused; what holds where and when; what it asks of prices and quotes. */
#include "pricing/local_clock.h"
#include "pricing/policy.h"
#include "pricing/quote.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NY                                                                                                             \
    "{\"policy\":\"ny\",\"version\":\"1\",\"about\":\"a\",\"status\":\"in_force\",\"regions\":[\"US-NY\"],"            \
    "\"from\":\"2025-11-10\",\"disclosure\":{\"code\":1,\"text\":\"WORDS\",\"citation\":\"c\"}}"
#define US                                                                                                             \
    "{\"policy\":\"us\",\"version\":\"1\",\"about\":\"a\",\"status\":\"in_force\",\"regions\":[\"US\"],"               \
    "\"forbidden_data\":{\"kinds\":[\"location\",\"partner\"],\"citation\":\"c\"},"                                    \
    "\"never_above_baseline\":{\"categories\":[\"fresh/*\"],\"citation\":\"c\"}}"
#define CAP                                                                                                            \
    "{\"policy\":\"cap\",\"version\":\"1\",\"about\":\"a\",\"status\":\"in_force\",\"regions\":[\"US-CA\"],"           \
    "\"from\":\"2026-03-01\",\"until\":\"2026-04-01\",\"largest_rise\":{\"share\":0.1,\"citation\":\"c\"}}"

static struct fault_list faults;
static struct policy_book book;

static void setup(void)
{
    memset(&faults, 0, sizeof faults);
    memset(&book, 0, sizeof book);
    book.mask_count = 1;
}

TestSuite(policy, .init = setup);

static void take(const char *text)
{
    cr_assert_eq(policy_parse(text, strlen(text), "p.json", &book.policy[book.count], &faults), RIALTO_OK, "%s",
                 faults.fault[0].reason);
    book.count++;
    cr_assert(policies_masks(&book));
}

static int64_t day(int year, int month, int of_month)
{
    return date_days(year, month, of_month) * INT64_C(86400000);
}

static uint32_t mask(const char *region, int64_t ms)
{
    return book.mask[policies_at(&book, region, ms)];
}

Test(policy, holds_in_its_regions_and_days)
{
    take(NY);
    take(US);
    take(CAP);
    int64_t before = day(2025, 11, 10) - 1, after = day(2025, 11, 10), emergency = day(2026, 3, 31);
    cr_expect_eq(mask("US-NY", before), 2);
    cr_expect_eq(mask("US-NY", after), 3);
    cr_expect_eq(mask("US-NY-061", after), 3, "a county lies in its state");
    cr_expect_eq(mask("US-NYX", after), 2, "another state's name may begin alike");
    cr_expect_eq(mask("US", after), 2);
    cr_expect_eq(mask("USA", after), 0);
    cr_expect_eq(mask("US-CA", emergency), 6);
    cr_expect_eq(mask("US-CA", day(2026, 4, 1)), 2, "until is the first day after it");
    cr_expect_eq(mask("", after), 0);
    cr_expect_eq(mask("DE", after), 0);
    cr_expect_eq(policies_change_ms(&book, before), after);
    cr_expect_eq(policies_change_ms(&book, after), day(2026, 3, 1));
    cr_expect_eq(policies_change_ms(&book, day(2026, 4, 1)), INT64_MAX);
    cr_expect_neq(book.hash[policies_at(&book, "US-NY", after)], book.hash[policies_at(&book, "US", after)]);
    cr_expect_eq(book.hash[0], 0);
}

Test(policy, that_is_no_more_than_a_draft_does_nothing)
{
    char text[] = NY;
    take(text);
    book.policy[0].status = POLICY_DRAFT;
    cr_assert(policies_masks(&book));
    cr_expect_eq(mask("US-NY", day(2026, 1, 1)), 0);
}

Test(policy, whose_meaning_is_uncertain_or_that_is_off_does_nothing)
{
    static const char in_force[] = NY, *const said[] = { "uncertain", "off" };
    static const enum policy_status meant[] = { POLICY_UNCERTAIN, POLICY_OFF };
    const char *status = strstr(in_force, "in_force");
    cr_assert_not_null(status);
    for (uint32_t i = 0; i < 2; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(status - in_force), in_force, said[i],
                       status + strlen("in_force"));
        setup();
        take(text);
        cr_expect_eq(book.policy[0].status, meant[i], "%s", said[i]);
        cr_expect_str_eq(policy_status_text(book.policy[0].status), said[i]);
        cr_expect_eq(mask("US-NY", day(2026, 1, 1)), 0, "%s", said[i]);
    }
}

Test(policy, tells_readers_what_all_of_them_ask)
{
    struct rialto_rule_row row = { 0 };
    take(NY);
    take(US);
    policies_describe(&book, policies_at(&book, "US-NY", day(2026, 1, 1)), &row);
    cr_expect_eq(row.disclosure, 1);
    cr_expect_str_eq(row.disclosure_text, "WORDS");
    cr_expect_str_eq(row.policy, "ny");
    cr_expect_eq(row.forbidden, RIALTO_KIND_LOCATION | RIALTO_KIND_PARTNER);
    uint32_t at = policies_at(&book, "US", day(2026, 1, 1));
    cr_expect(policies_never_above(&book, at, "fresh/dairy"));
    cr_expect_not(policies_never_above(&book, at, "toys"));
    cr_expect_not(policies_never_above(&book, 0, "fresh/dairy"));
}

Test(policy, a_price_rises_no_further_than_the_least_of_their_caps)
{
    take(CAP);
    take("{\"policy\":\"less\",\"version\":\"1\",\"about\":\"a\",\"status\":\"in_force\",\"regions\":[\"US\"],"
         "\"from\":\"2026-03-10\",\"largest_rise\":{\"share\":0.05,\"citation\":\"c\"}}");
    cr_expect_eq(policies_rise(&book, policies_at(&book, "US-CA", day(2026, 3, 5)))->rise_micro, 100000);
    cr_expect_eq(policies_rise(&book, policies_at(&book, "US-CA", day(2026, 3, 15)))->rise_micro, 50000);
    cr_expect_null(policies_rise(&book, policies_at(&book, "US", day(2026, 3, 5))));
}

static const char *attribute_of(const char *name)
{
    const char *found = policy_sensitive_name(policy_sensitive(name));
    return found != NULL ? found : "none";
}

Test(policy, sensitive_attributes_are_known_by_their_words)
{
    cr_expect_str_eq(attribute_of("age:25-34"), "age");
    cr_expect_str_eq(attribute_of("Sex_F"), "sex");
    cr_expect_str_eq(attribute_of("high-income"), "income");
    cr_expect_str_eq(attribute_of("Female"), "female");
    cr_expect_str_eq(attribute_of("buyers/disabled"), "disabled");
    cr_expect_str_eq(attribute_of("teenage"), "none");
    cr_expect_str_eq(attribute_of("vintage-lover"), "none");
    cr_expect_str_eq(attribute_of(""), "none");
}

Test(policy, permits_a_sensitive_attribute_where_it_holds)
{
    take("{\"policy\":\"age\",\"version\":\"1\",\"about\":\"a\",\"status\":\"in_force\",\"regions\":[\"DE\"],"
         "\"permitted_attributes\":{\"attributes\":[\"age\"],\"citation\":\"c\"}}");
    cr_expect(policies_permit(&book, policy_sensitive("age")));
    cr_expect_not(policies_permit(&book, policy_sensitive("sex")));
    cr_expect_eq(policies_permitted(&book, policies_at(&book, "DE-BE", 0)), 1u << policy_sensitive("age"));
    cr_expect_eq(policies_permitted(&book, policies_at(&book, "FR", 0)), 0);
}

struct bad {
    const char *text, *pointer, *reason;
};

Test(policy, files_that_say_no_policy_are_refused_with_their_place)
{
    static const struct bad bads[] = {
        { "{}", "", "\"policy\" is missing" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"perhaps\",\"regions\":[\"US\"]}", "/status",
          "expected in_force" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"us\"]}", "/regions/0",
          "in capitals" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[]}", "/regions",
          "1 to 32" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\",\"US\"]}",
          "/regions/1", "twice" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],\"from\":\"2026-"
          "02-30\"}",
          "/from", "expected a date" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],\"from\":\"2026-"
          "02-03\","
          "\"until\":\"2026-02-03\"}",
          "", "later than" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],"
          "\"largest_rise\":{\"share\":0.1,\"citation\":\"c\"}}",
          "", "\"from\" is missing" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],"
          "\"disclosure\":{\"code\":1,\"text\":\"x\"}}",
          "/disclosure", "\"citation\" is missing" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],"
          "\"forbidden_data\":{\"kinds\":[\"hair\"],\"citation\":\"c\"}}",
          "/forbidden_data/kinds/0", "expected location" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],"
          "\"permitted_attributes\":{\"attributes\":[\"hats\"],\"citation\":\"c\"}}",
          "/permitted_attributes/attributes/0", "sensitive" },
        { "{\"policy\":\"a\",\"version\":\"1\",\"about\":\"a\",\"status\":\"off\",\"regions\":[\"US\"],\"time_zone\":"
          "\"Mars/Base\"}",
          "/time_zone", "" },
    };
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct policy policy;
        memset(&faults, 0, sizeof faults);
        cr_expect_eq(policy_parse(bads[i].text, strlen(bads[i].text), "p.json", &policy, &faults), RIALTO_REFUSED, "%s",
                     bads[i].text);
        cr_expect_str_eq(faults.fault[0].pointer, bads[i].pointer, "%s: %s", bads[i].text, faults.fault[0].pointer);
        cr_expect_not_null(strstr(faults.fault[0].reason, bads[i].reason), "%s: %s", bads[i].text,
                           faults.fault[0].reason);
    }
}

/* ---- quotes -------------------------------------------------------------------------------------------------------- */

static struct rialto_cell_line cell;
static struct rialto_rule_row rule;
static struct rialto_terms_line terms;
static struct rialto_offer_line offer;
static struct quote_inputs in;
static struct rialto_quote q;

static void quote_setup(void)
{
    cell = (struct rialto_cell_line){ .baseline = 1000, .list = 1100, .lo_product = 500, .hi_place = 2000 };
    rule = (struct rialto_rule_row){ .currency = "USD",
                                     .currency_number = 840,
                                     .decimals = 2,
                                     .ending_step = 1,
                                     .disclosure = 1,
                                     .reads = RIALTO_KIND_PROFILE,
                                     .model = "m" };
    terms = (struct rialto_terms_line){ .group_map = 1,
                                        .consent = RIALTO_KIND_PROFILE | RIALTO_KIND_LOCATION,
                                        .kinds = RIALTO_KIND_PROFILE };
    terms.multiplier_e4[0] = 9000;
    offer = (struct rialto_offer_line){ .kind = RIALTO_OFFER_PERCENT, .value = 2000, .kinds = RIALTO_KIND_LOCATION };
    in = (struct quote_inputs){ .cell = &cell,
                                .rule = &rule,
                                .terms = &terms,
                                .now_ms = INT64_C(1764000000000),
                                .stale_after_ms = 5000,
                                .personal_stale_ms = 5000,
                                .group_map = 1 };
}

TestSuite(policy_quote, .init = quote_setup);

Test(policy_quote, is_disclosed_where_data_were_read_though_they_changed_nothing)
{
    quote_compose(&in, &q);
    cr_expect(q.amount == 900 && q.disclosure == 1);
    terms.multiplier_e4[0] = 10000;
    quote_compose(&in, &q);
    cr_expect(q.amount == 1000 && q.disclosure == 1, "read, and neutral");
    terms.kinds = RIALTO_KIND_LOCATION;
    quote_compose(&in, &q);
    cr_expect_eq(q.disclosure, 0, "read for another price group only");
    in.terms = NULL;
    quote_compose(&in, &q);
    cr_expect_eq(q.disclosure, 0);
}

Test(policy_quote, of_a_list_price_still_says_what_was_read)
{
    in.mode = RIALTO_MODE_LIST;
    quote_compose(&in, &q);
    cr_expect_eq(q.used, RIALTO_KIND_PROFILE);
    cr_expect(q.amount == 1100 && q.kinds == 0);
}

Test(policy_quote, leaves_forbidden_data_out)
{
    rule.forbidden = RIALTO_KIND_PROFILE;
    quote_compose(&in, &q);
    cr_expect(q.amount == 1000 && q.disclosure == 0 && (q.flags & RIALTO_FLAG_NEUTRAL) != 0);
    rule.forbidden = RIALTO_KIND_LOCATION;
    in.offer = &offer;
    quote_compose(&in, &q);
    cr_expect_eq(q.amount, 900, "the offer rests on a forbidden kind");
    rule.forbidden = 0;
    quote_compose(&in, &q);
    cr_expect_eq(q.amount, 800);
    cr_expect_eq(q.disclosure, 1);
}

Test(policy_quote, tells_a_zone_that_the_customers_location_chose)
{
    in.zone_kinds = RIALTO_KIND_LOCATION;
    terms.kinds = 0;
    terms.multiplier_e4[0] = 10000;
    quote_compose(&in, &q);
    cr_expect(q.amount == 1000 && q.used == RIALTO_KIND_LOCATION && q.disclosure == 1);
}
