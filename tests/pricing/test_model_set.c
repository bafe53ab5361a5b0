/* test_model_set.c - folders of models: loaded whole or refused whole; which model prices what; the models we ship. */
#include "pricing/model.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOP_MODELS "models" /* tests run in the root of the tree */

static char folder[] = "/tmp/rialto-models-XXXXXX";
static struct fault fault;

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(model_set, .init = make_folder, .fini = remove_folder);

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

/* scope: the inside of the scope object; more: further keys with a comma before them. */
static void write_model(const char *file, const char *name, const char *scope, const char *more)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "{\"model\": \"%s\", \"version\": \"1\",\n\"scope\": {%s},\n\"factors\": []%s}\n",
                   name, scope, more);
    write_file(file, text);
}

#define EUR ", \"currencies\": [\"EUR\"]"

static struct model_set *load(void)
{
    struct model_set *set = NULL;
    enum rialto_status status = model_set_load(folder, &set, &fault);
    cr_assert((status == RIALTO_OK) == (set != NULL), "a refused set is no set");
    cr_assert(status == RIALTO_OK || status == RIALTO_REFUSED);
    return set;
}

/* ---- loading ---------------------------------------------------------------------------------------------- */

Test(model_set, reads_every_json_file_of_the_folder_and_sorts_by_name)
{
    write_model("1.json", "zebra", "\"categories\": [\"z/*\"]" EUR, "");
    write_model("2.json", "ant", "\"categories\": [\"a/*\"]" EUR, "");
    write_file("README.md", "not a model");
    write_file(".hidden.json", "not a model");
    write_file("x.json~", "not a model");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/schema", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    write_file("schema/model.schema.json", "{}");
    struct model_set *set = load();
    cr_assert_not_null(set, "%s", fault.reason);
    cr_assert_eq(set->count, 2);
    cr_assert_str_eq(set->model[0].name, "ant");
    cr_assert_str_eq(set->model[1].name, "zebra");
    model_set_free(set);
    model_set_free(NULL);
}

Test(model_set, is_refused_whole_with_the_first_fault_by_file_name)
{
    write_model("b.json", "good", "\"categories\": [\"g\"]" EUR, "");
    write_file("c.json", "{\n  \"model\": 5 }");
    write_file("a.json", "\n{ oops");
    cr_assert_null(load());
    char text[512], expected[512];
    fault_text(&fault, sizeof text, text);
    (void)snprintf(expected, sizeof expected, "%s/a.json:2:3: expected a key in double quotes", folder);
    cr_assert_str_eq(text, expected);
    write_model("a.json", "other", "\"categories\": [\"o\"]" EUR, "");
    cr_assert_null(load());
    fault_text(&fault, sizeof text, text);
    (void)snprintf(expected, sizeof expected, "%s/c.json:2:12: /model: expected a text", folder);
    cr_assert_str_eq(text, expected);
}

Test(model_set, the_first_fault_does_not_depend_on_the_order_of_the_directory)
{
    char file[32];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(file, sizeof file, "%02d.json", (i * 23 + 17) % 40);
        write_file(file, "oops");
    }
    cr_assert_null(load());
    cr_assert(strstr(fault.file, "/00.json") != NULL, "%s", fault.file);
}

Test(model_set, an_empty_or_missing_folder_is_refused)
{
    cr_assert_null(load());
    cr_assert_str_eq(fault.reason, "no model (*.json) in this folder");
    cr_assert_str_eq(fault.file, folder);
    struct model_set *set = NULL;
    cr_assert_eq(model_set_load("/nonexistent/models", &set, &fault), RIALTO_REFUSED);
    cr_assert_neq(fault.reason[0], '\0');
}

Test(model_set, holds_64_models_and_no_more)
{
    char file[32], name[32], scope[64];
    for (int i = 0; i <= (int)MODELS_MAX; i++) {
        (void)snprintf(file, sizeof file, "%03d.json", i);
        (void)snprintf(name, sizeof name, "m%03d", i);
        (void)snprintf(scope, sizeof scope, "\"categories\": [\"c%d\"]" EUR, i);
        write_model(file, name, scope, "");
        struct model_set *set = i + 1 >= (int)MODELS_MAX ? load() : NULL;
        if (i + 1 == (int)MODELS_MAX)
            cr_assert(set != NULL && set->count == MODELS_MAX, "%s", fault.reason);
        model_set_free(set);
    }
    cr_assert_str_eq(fault.reason, "more than 64 models in one folder");
}

/* ---- models among themselves ------------------------------------------------------------------------------- */

static void check_pair(const char *scope_a, const char *scope_b, const char *reason)
{
    write_model("a.json", "a", scope_a, "");
    write_model("b.json", "b", scope_b, "");
    struct model_set *set = load();
    cr_assert_eq(set != NULL, reason == NULL, "%s and %s: %s", scope_a, scope_b,
                 set == NULL ? fault.reason : "accepted");
    if (set == NULL) {
        cr_assert_str_eq(fault.reason, reason);
        cr_assert_str_eq(fault.pointer, "/scope");
        cr_assert_eq(fault.line, 2);
        cr_assert_eq(fault.column, 10);
    }
    model_set_free(set);
}

Test(model_set, two_claims_on_one_product_at_equal_precision_are_a_conflict)
{
    check_pair("\"categories\": [\"a/*\"]" EUR, "\"categories\": [\"a/*\"]" EUR,
               "model a claims category \"a/*\" just as precisely");
    check_pair("\"categories\": [\"x\", \"a/b\"]" EUR, "\"categories\": [\"a/b\", \"y\"]" EUR,
               "model a claims category \"a/b\" just as precisely");
    check_pair("\"categories\": [\"*\"], \"skus\": [\"a-*\"]" EUR, "\"skus\": [\"b\", \"a-*\"]" EUR,
               "model a claims sku \"a-*\" in category \"*\" just as precisely");
    check_pair("\"skus\": [\"a\"]" EUR, "\"skus\": [\"a\"]" EUR,
               "model a claims sku \"a\" in category \"*\" just as precisely");
    check_pair("\"categories\": [\"*\"]" EUR, "\"categories\": [\"*\"]" EUR,
               "model a claims category \"*\" just as precisely");
}

Test(model_set, different_precision_or_currency_is_none)
{
    check_pair("\"categories\": [\"a/*\"]" EUR, "\"categories\": [\"a/b/*\"]" EUR, NULL);
    check_pair("\"categories\": [\"a/b\"]" EUR, "\"categories\": [\"a/b/*\"]" EUR, NULL);
    check_pair("\"categories\": [\"a/*\"]" EUR, "\"categories\": [\"*\"]" EUR, NULL);
    check_pair("\"categories\": [\"a/*\"]" EUR, "\"categories\": [\"a/*\"], \"skus\": [\"x-*\"]" EUR, NULL);
    check_pair("\"skus\": [\"x-*\"]" EUR, "\"skus\": [\"x-1*\"]" EUR, NULL);
    check_pair("\"categories\": [\"a/*\"]" EUR, "\"categories\": [\"a/*\"], \"currencies\": [\"GBP\"]", NULL);
    check_pair("\"skus\": [\"x\"], \"categories\": [\"a\"]" EUR, "\"skus\": [\"x\"], \"categories\": [\"b\"]" EUR,
               NULL);
}

Test(model_set, names_and_personal_groups_belong_to_one_model)
{
    write_model("a.json", "same", "\"categories\": [\"a\"]" EUR, "");
    write_model("b.json", "same", "\"categories\": [\"b\"]" EUR, "");
    cr_assert_null(load());
    cr_assert_str_eq(fault.pointer, "/model");
    cr_assert(strstr(fault.reason, "a.json has a model of the same name") != NULL);
    const char *personal = ", \"group\": \"g\", \"personal\": [{\"name\": \"p\", \"tier\": {\"x\": 0.9}}]";
    write_model("a.json", "a", "\"categories\": [\"a\"]" EUR, personal);
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, personal);
    cr_assert_null(load());
    cr_assert_str_eq(fault.pointer, "/personal");
    cr_assert_str_eq(fault.reason, "model a gives personal terms to the group \"g\" already");
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, ", \"group\": \"g\"");
    struct model_set *set = load();
    cr_assert_not_null(set, "sharing a group is allowed; only one model speaks for it");
    model_set_free(set);
    write_model("a.json", "a", "\"categories\": [\"a\"]" EUR, ", \"group\": \"g\"");
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, personal);
    set = load();
    cr_assert_not_null(set, "whichever of them it is");
    model_set_free(set);
}

/* ---- which model prices what -------------------------------------------------------------------------------- */

static void expect_model(const struct model_set *set, const char *category, const char *sku, const char *currency,
                         const char *name)
{
    int index = model_for_cell(set, &(struct model_claim){ .category = category, .sku = sku, .currency = currency });
    const char *got = index < 0 ? "" : set->model[index].name;
    cr_assert_str_eq(got, name, "%s %s %s: %s", category, sku, currency, got);
}

Test(model_set, the_most_precise_claim_prices_the_product)
{
    write_model("1.json", "star", "\"categories\": [\"*\"]" EUR, "");
    write_model("2.json", "broad", "\"categories\": [\"fresh/*\"]" EUR, "");
    write_model("3.json", "dairy", "\"categories\": [\"fresh/dairy/*\"]" EUR, "");
    write_model("4.json", "dairy-itself", "\"categories\": [\"fresh/dairy\"]" EUR, "");
    write_model("5.json", "prefix", "\"skus\": [\"m-*\"]" EUR, "");
    write_model("6.json", "longer-prefix", "\"skus\": [\"m-1*\"]" EUR, "");
    write_model("7.json", "sku", "\"skus\": [\"m-12\"]" EUR, "");
    write_model("8.json", "milk-in-dairy", "\"skus\": [\"m-9*\"], \"categories\": [\"fresh/dairy/*\"]" EUR, "");
    write_model("9.json", "pounds", "\"categories\": [\"fresh/*\"], \"currencies\": [\"GBP\"]", "");
    struct model_set *set = load();
    cr_assert_not_null(set, "%s", fault.reason);
    expect_model(set, "", "x", "EUR", "star");
    expect_model(set, "dry", "x", "EUR", "star");
    expect_model(set, "freshly", "x", "EUR", "star");
    expect_model(set, "fresh", "x", "EUR", "broad");
    expect_model(set, "fresh/fruit/apple", "x", "EUR", "broad");
    expect_model(set, "fresh/dairy/milk", "x", "EUR", "dairy");
    expect_model(set, "fresh/dairy", "x", "EUR", "dairy-itself");
    expect_model(set, "fresh/dairy", "m-2", "EUR", "prefix");
    expect_model(set, "dry", "m-13", "EUR", "longer-prefix");
    expect_model(set, "dry", "m-12", "EUR", "sku");
    expect_model(set, "dry", "m-123", "EUR", "longer-prefix");
    expect_model(set, "dry", "m-9", "EUR", "prefix");
    expect_model(set, "fresh/dairy/milk", "m-9", "EUR", "milk-in-dairy");
    expect_model(set, "fresh", "m-12", "GBP", "pounds");
    expect_model(set, "dry", "x", "GBP", "");
    expect_model(set, "fresh", "x", "USD", "");
    model_set_free(set);
}

/* ---- affinity ------------------------------------------------------------------------------------------------- */

#define LIKES ", \"personal\": [{\"name\": \"p\", \"affinity\": [[0, 1], [0.5, 0.9]]}]"

static struct model_set *numbered(void)
{
    static char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX];
    uint8_t count = 0;
    struct model_set *set = load();
    cr_assert_not_null(set, "%s", fault.reason);
    cr_assert_eq(model_set_number_groups(set, groups, &count, &fault), RIALTO_OK);
    return set;
}

Test(model_set, models_that_read_affinity_measure_it_alike)
{
    write_model("a.json", "a", "\"categories\": [\"a\"]" EUR, LIKES);
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, LIKES ", \"affinity\": {\"half_life\": \"31d\"}");
    cr_assert_null(load());
    cr_assert_str_eq(fault.pointer, "/affinity");
    cr_assert_str_eq(fault.reason, "model a measures affinity by another half_life or other weights");
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, LIKES ", \"affinity\": {\"weights\": {\"view\": 0.2}}");
    cr_assert_null(load());
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, LIKES ", \"affinity\": {\"half_life\": \"30d\", \"prior_events\": 7}, \"age_limits\": {\"affinity\": \"2d\"}");
    struct model_set *set = load();
    cr_assert_not_null(set, "the prior and the age limit are each one's own: %s", fault.reason);
    cr_expect_eq(set->model[0].affinity.prior_micro, 3 * MICRO);
    cr_expect_eq(set->model[1].affinity.prior_micro, 7 * MICRO);
    cr_expect(set->model[0].affinity_age_s == 180 * 86400 && set->model[1].affinity_age_s == 2 * 86400);
    model_set_free(set);
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, ", \"affinity\": {\"half_life\": \"31d\"}");
    set = load();
    cr_assert_not_null(set, "who does not read it may say what they like");
    model_set_free(set);
}

Test(model_set, affinity_is_counted_while_a_model_in_effect_reads_it_and_for_its_groups)
{
    uint32_t groups = 99;
    write_model("a.json", "a", "\"categories\": [\"a\"]" EUR, ", \"group\": \"one\"");
    write_model("b.json", "b", "\"categories\": [\"b\"]" EUR, LIKES ", \"group\": \"two\", \"schedule\": {\"from\": \"2026-01-01\", \"until\": \"2026-01-31\", \"time_zone\": \"UTC\"}");
    struct model_set *set = numbered();
    const int64_t begins_ms = INT64_C(1767225600000);
    cr_expect_null(model_set_affinity(set, begins_ms - 1, &groups));
    cr_expect_eq(groups, 0);
    const struct affinity_settings *settings = model_set_affinity(set, begins_ms, &groups);
    cr_assert_not_null(settings);
    cr_expect_eq(groups, 1u << set->model[1].group);
    cr_expect_eq(settings->half_life_s, 30 * 86400);
    cr_expect_null(model_set_affinity(set, begins_ms + INT64_C(31) * 86400000, &groups));
    model_set_free(set);
}

static void expect_group(const struct model_set *set, const char *category, const char *sku, const char *currency, int model)
{
    int group = model_group_of(set, &(struct model_claim){ .category = category, .sku = sku, .currency = currency });
    cr_expect_eq(group, model < 0 ? -1 : set->model[model].group, "%s %s %s", category, sku, currency);
}

Test(model_set, the_group_of_an_event_is_that_of_the_most_precise_scope_whatever_the_zone)
{
    write_model("a.json", "a", "\"categories\": [\"a/*\"]" EUR, "");
    write_model("b.json", "b", "\"categories\": [\"a/b\"], \"zones\": [\"de\"]" EUR, "");
    write_model("c.json", "c", "\"skus\": [\"x-*\"], \"currencies\": [\"GBP\"]", "");
    write_model("d.json", "d", "\"categories\": [\"a/b\"], \"zones\": [\"fr\"]" EUR, "");
    struct model_set *set = numbered();
    expect_group(set, "a/c", "1", "", 0);
    expect_group(set, "a/b", "1", "", 1); /* of equals the first by name */
    expect_group(set, "a/b", "x-1", "", 2);
    expect_group(set, "a/b", "x-1", "EUR", 1);
    expect_group(set, "a/b", "1", "GBP", -1);
    expect_group(set, "b", "1", "", -1);
    model_set_free(set);
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

Test(model_set, group_numbers_keep_their_meaning)
{
    char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX] = { "old", "b" };
    uint8_t count = 2;
    write_model("1.json", "a", "\"categories\": [\"a\"]" EUR, "");
    write_model("2.json", "b", "\"categories\": [\"b\"]" EUR, "");
    write_model("3.json", "c", "\"categories\": [\"c\"]" EUR, ", \"group\": \"a\"");
    struct model_set *set = load();
    cr_assert_eq(model_set_number_groups(set, groups, &count, &fault), RIALTO_OK);
    cr_assert_eq(count, 3);
    cr_assert_str_eq(groups[0], "old");
    cr_assert_str_eq(groups[2], "a");
    cr_assert(set->model[0].group == 2 && set->model[1].group == 1 && set->model[2].group == 2);
    cr_assert_eq(model_set_number_groups(set, groups, &count, &fault), RIALTO_OK);
    cr_assert_eq(count, 3, "numbering again changes nothing");
    count = RIALTO_GROUPS_MAX;
    for (int i = 0; i < (int)RIALTO_GROUPS_MAX; i++)
        (void)snprintf(groups[i], RIALTO_NAME_MAX, "g%d", i);
    cr_assert_eq(model_set_number_groups(set, groups, &count, &fault), RIALTO_REFUSED);
    cr_assert_eq(count, RIALTO_GROUPS_MAX);
    model_set_free(set);
}

/* ---- the models we ship ------------------------------------------------------------------------------------------ */

static struct model_set *load_shipped(void)
{
    struct model_set *set = NULL;
    enum rialto_status status = model_set_load(SHOP_MODELS, &set, &fault);
    char text[512];
    fault_text(&fault, sizeof text, text);
    cr_assert_eq(status, RIALTO_OK, "%s", text);
    return set;
}

Test(model_set, shipped_models_load_and_claim_their_products)
{
    struct model_set *set = load_shipped();
    expect_model(set, "fresh/31/79", "4", "CNY", "groceries");
    expect_model(set, "gifts/christmas", "22086", "GBP", "gifts");
    expect_model(set, "gifts", "22086", "GBP", "gifts");
    expect_model(set, "rides/standard", "ride-1", "EUR", "rides");
    model_set_free(set);
}

/* Goal: silence brings the price back to list. With no input, and with every input at "as usual", no factor has an
 * opinion. */
Test(model_set, shipped_models_price_at_list_when_nothing_happens)
{
    struct model_set *set = load_shipped();
    for (uint32_t i = 0; i < set->count; i++) {
        int64_t list = 500 * (int64_t)set->model[i].ending_step - set->model[i].ending_less;
        struct price_inputs in = { .list = list, .cost = -1 };
        struct price_result result;
        cr_assert_eq(model_price(&set->model[i], &in, &result), RIALTO_OK);
        cr_assert_eq(result.baseline, list);
        const int64_t usual[INPUT_COUNT] = {
            [INPUT_demand_pressure] = MICRO,    [INPUT_available] = 1000 * MICRO, [INPUT_available_ratio] = MICRO,
            [INPUT_temperature_c] = 25 * MICRO, [INPUT_precipitation_mm_h] = 0,   [INPUT_wind_m_s] = 2 * MICRO,
            [INPUT_humidity] = MICRO / 2,       [INPUT_hour] = 12 * MICRO,        [INPUT_weekday] = 3 * MICRO,
            [INPUT_competitor_ratio] = MICRO,   [INPUT_promotion] = MICRO,
        };
        memcpy(in.input_micro, usual, sizeof usual);
        in.present = ((UINT64_C(1) << INPUT_COUNT) - 1) & ~(UINT64_C(1) << INPUT_hours_to_expiry); /* no end is near */
        cr_assert_eq(model_price(&set->model[i], &in, &result), RIALTO_OK);
        cr_assert_eq(result.baseline, list, "%s: %ld, list %ld", set->model[i].name, (long)result.baseline, (long)list);
    }
    model_set_free(set);
}

/* A promotion is applied one to one: 0.8 on the poster is 0.8 of list, within half an ending. */
Test(model_set, shipped_models_apply_promotions_at_face_value)
{
    struct model_set *set = load_shipped();
    for (uint32_t i = 0; i < set->count; i++) {
        if (strcmp(set->model[i].name, "rides") == 0) /* has none */
            continue;
        for (int64_t promotion = 650000; promotion <= MICRO; promotion += 1000) {
            struct price_inputs in = { .list = 49999,
                                       .cost = -1,
                                       .present = UINT64_C(1) << INPUT_promotion,
                                       .input_micro = { [INPUT_promotion] = promotion } };
            struct price_result result;
            cr_assert_eq(model_price(&set->model[i], &in, &result), RIALTO_OK);
            int64_t distance = result.baseline * MICRO - 49999 * promotion;
            cr_assert(llabs(distance) <= (set->model[i].ending_step + 1) * MICRO / 2, "%s at %ld: %ld",
                      set->model[i].name, (long)promotion, (long)result.baseline);
        }
    }
    model_set_free(set);
}

Test(model_set, shipped_models_never_lift_a_price_for_a_person)
{
    struct model_set *set = load_shipped();
    for (uint32_t i = 0; i < set->count; i++) {
        const struct model *model = &set->model[i];
        cr_assert(model->guard.never_above && model->guard.personal_high_micro == MICRO);
        for (uint32_t p = 0; p < model->personal_count; p++)
            for (uint32_t k = 0; k < model->personal[p].point_count; k++)
                cr_assert_leq(model->personal[p].point[k].y_micro, MICRO);
    }
    model_set_free(set);
}
