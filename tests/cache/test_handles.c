/* test_handles.c - kept keys: whose they are, how long they hold, and what is refused. That they give the same quotes as ids
 * do, for every status, is asked in test_reader.c with each of its questions. */
#include "tests/cache/fixture.h"

static struct fixture f;
static struct rialto_product_handle milk;
static struct rialto_customer_handle customer;
static struct rialto_zone_handle zone;

static void setup(void)
{
    fixture_setup(&f);
    cr_assert_eq(rialto_product_handle(f.reader, "milk-1l", &milk), RIALTO_OK);
    cr_assert_eq(rialto_customer_handle(f.reader, "C123", &customer), RIALTO_OK);
    cr_assert_eq(rialto_zone_handle(f.reader, "de/south", &zone), RIALTO_OK);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

TestSuite(handles, .init = setup, .fini = teardown);

/* Prices that tell who asked, and where. */
static void fill(void)
{
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 9000);
    (void)fixture_terms(&f, &terms);
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    (void)fixture_cell(&f, "milk-1l", "de/south", 2000);
}

static const struct rialto_handle_request whole = { .customer = &customer, .zone = &zone };

static void expect_amount(const struct rialto_handle_request *request, int64_t amount)
{
    struct rialto_quote q;
    enum rialto_status status = rialto_quote_handle(f.reader, request, &milk, &q);
    cr_assert_eq(status, RIALTO_OK, "%s", rialto_status_name(status));
    cr_expect_eq(q.amount, amount, "%ld, not %ld", (long)q.amount, (long)amount);
}

static void expect_refusal(const struct rialto_handle_request *request, const struct rialto_product_handle *product,
                           enum rialto_status wanted)
{
    struct rialto_quote q, zero;
    memset(&zero, 0, sizeof zero);
    memset(&q, 0xEE, sizeof q);
    enum rialto_status status = rialto_quote_handle(f.reader, request, product, &q);
    cr_expect_eq(status, wanted, "%s, not %s", rialto_status_name(status), rialto_status_name(wanted));
    cr_expect_arr_eq(&q, &zero, sizeof q, "all zero");
}

/* The service makes its files anew: the same folder, other tables. */
static void make_anew(void)
{
    bool kept = true;
    uint64_t missing = 0;
    struct rialto_rule_row gbp = fixture_rule("GBP", 826);
    rialto_close(f.reader);
    cache_close(f.cache);
    cr_assert_eq(cache_create(&f.plan, &kept, &missing), RIALTO_OK);
    cr_assert_not(kept);
    cr_assert_eq(cache_open(f.folder, &f.cache), RIALTO_OK);
    cr_assert_eq(rule_append(f.cache, &gbp, &f.gbp), RIALTO_OK);
    fixture_beat(&f);
    cr_assert_eq(rialto_open(f.folder, &f.reader), RIALTO_OK);
}

Test(handles, hold_across_tables_that_are_made_anew_with_the_same_secret)
{
    fill();
    expect_amount(&whole, 1800);
    f.plan.lines[RIALTO_TABLE_CELLS] *= 2;
    make_anew();
    expect_refusal(&whole, &milk, RIALTO_UNKNOWN_PRODUCT);
    fill();
    expect_amount(&whole, 1800);
}

/* Goal: a handle of another secret would look into a stranger's line; it is named, each kind of handle on its own. */
Test(handles, of_another_secret_are_refused_by_name)
{
    const struct rialto_product_handle old_milk = milk;
    const struct rialto_customer_handle old_customer = customer;
    const struct rialto_zone_handle old_zone = zone;
    fill();
    f.plan.secret[100] ^= 1;
    make_anew();
    fill();
    expect_refusal(&whole, &milk, RIALTO_OTHER_SECRET);
    cr_assert_eq(rialto_product_handle(f.reader, "milk-1l", &milk), RIALTO_OK);
    cr_assert_eq(rialto_customer_handle(f.reader, "C123", &customer), RIALTO_OK);
    cr_assert_eq(rialto_zone_handle(f.reader, "de/south", &zone), RIALTO_OK);
    expect_amount(&whole, 1800);
    expect_refusal(&whole, &old_milk, RIALTO_OTHER_SECRET);
    expect_refusal(&(struct rialto_handle_request){ .customer = &old_customer }, &milk, RIALTO_OTHER_SECRET);
    expect_refusal(&(struct rialto_handle_request){ .zone = &old_zone }, &milk, RIALTO_OTHER_SECRET);
    expect_refusal(&(struct rialto_handle_request){ .customer = &customer, .zone = &old_zone }, &milk,
                   RIALTO_OTHER_SECRET);
}

Test(handles, of_tables_that_are_gone_say_retired)
{
    fill();
    struct cache *cache = f.cache;
    bool kept = true;
    uint64_t missing = 0;
    f.plan.secret[100] ^= 1;
    cr_assert_eq(cache_create(&f.plan, &kept, &missing), RIALTO_OK);
    expect_refusal(&whole, &milk, RIALTO_RETIRED);
    cr_assert_eq(f.cache, cache);
}

Test(handles, that_were_never_filled_are_bad_input)
{
    const struct rialto_product_handle no_product = { .secret_mark = 0 };
    const struct rialto_customer_handle nobody = { .secret_mark = 0 };
    const struct rialto_zone_handle nowhere = { .secret_mark = 0 };
    fill();
    expect_refusal(&whole, &no_product, RIALTO_BAD_INPUT);
    expect_refusal(&whole, NULL, RIALTO_BAD_INPUT);
    expect_refusal(NULL, &milk, RIALTO_BAD_INPUT);
    expect_refusal(&(struct rialto_handle_request){ .customer = &nobody }, &milk, RIALTO_BAD_INPUT);
    expect_refusal(&(struct rialto_handle_request){ .zone = &nowhere }, &milk, RIALTO_BAD_INPUT);
    expect_refusal(&(struct rialto_handle_request){ .currency = "EURO" }, &milk, RIALTO_BAD_INPUT);
    expect_refusal(&(struct rialto_handle_request){ .basis = (enum rialto_zone_basis)9 }, &milk, RIALTO_BAD_INPUT);
}

Test(handles, of_what_is_no_id_are_all_zero)
{
    static const struct rialto_zone_handle no_zone;
    static const struct rialto_customer_handle nobody;
    static const struct rialto_product_handle no_product;
    char too_long[RIALTO_ID_MAX + 1];
    memset(too_long, 'a', sizeof too_long);
    too_long[RIALTO_ID_MAX] = '\0';
    const char *const bad_customer[] = { NULL, "", too_long }, *const bad_zone[] = { NULL, "", too_long, "a//b",
                                                                                     "gh:a" };
    const char *const bad_sku[] = { NULL, too_long };
    for (size_t i = 0; i < sizeof bad_customer / sizeof bad_customer[0]; i++) {
        memset(&customer, 0xEE, sizeof customer);
        cr_expect_eq(rialto_customer_handle(f.reader, bad_customer[i], &customer), RIALTO_BAD_INPUT, "%zu", i);
        cr_expect_arr_eq(&customer, &nobody, sizeof customer);
    }
    for (size_t i = 0; i < sizeof bad_zone / sizeof bad_zone[0]; i++) {
        memset(&zone, 0xEE, sizeof zone);
        cr_expect_eq(rialto_zone_handle(f.reader, bad_zone[i], &zone), RIALTO_BAD_INPUT, "%zu", i);
        cr_expect_arr_eq(&zone, &no_zone, sizeof zone);
    }
    for (size_t i = 0; i < sizeof bad_sku / sizeof bad_sku[0]; i++) {
        memset(&milk, 0xEE, sizeof milk);
        cr_expect_eq(rialto_product_handle(f.reader, bad_sku[i], &milk), RIALTO_BAD_INPUT, "%zu", i);
        cr_expect_arr_eq(&milk, &no_product, sizeof milk);
    }
}

/* A zone's handle was cut to the levels in use: where the tables use others, the name counts and not what was kept. */
Test(handles, of_zones_follow_the_levels_in_use)
{
    fill();
    (void)fixture_cell(&f, "milk-1l", "de", 3000);
    expect_amount(&(struct rialto_handle_request){ .zone = &zone }, 2000);
    struct rialto_control *control = cache_control(f.cache);
    for (size_t i = 0; i < sizeof control->path_depths; i++)
        __atomic_store_n(&control->path_depths[i], i == 0 ? 1 : 0, __ATOMIC_RELAXED);
    expect_amount(&(struct rialto_handle_request){ .zone = &zone }, 3000);
}

/* Goal: a page by handles is the page by ids, item by item; a product's handle that is none fails alone. */
Test(handles, a_page_by_handles_is_the_page_by_ids)
{
    enum { N = 130, BAD = 77, STRANGE = 78 };
    static char name[N][32];
    static const char *sku[N];
    static struct rialto_product_handle product[N];
    static struct rialto_quote by_ids[N], by_handles[N];
    static enum rialto_status status_ids[N], status_handles[N];
    fill();
    for (int i = 0; i < N; i++) {
        (void)snprintf(name[i], sizeof name[i], "sku-%d", i);
        sku[i] = i == BAD ? NULL : name[i];
        cr_assert_eq(rialto_product_handle(f.reader, sku[i], &product[i]), i == BAD ? RIALTO_BAD_INPUT : RIALTO_OK);
        if (i % 3 != 0)
            (void)fixture_cell(&f, name[i], i % 2 ? "" : "de", 1000 + i);
    }
    product[STRANGE].secret_mark ^= 2;
    const struct rialto_request request = { .customer = "C123", .zone = "de/south" };
    memset(by_ids, 0xEE, sizeof by_ids); /* padding included */
    memset(by_handles, 0xEE, sizeof by_handles);
    cr_assert_eq(rialto_quote_page(f.reader, &request, N, sku, by_ids, status_ids), RIALTO_OK);
    cr_assert_eq(rialto_quote_page_handles(f.reader, &whole, N - 1, product, by_handles, status_handles), RIALTO_OK);
    for (int i = 0; i < N - 1; i++) {
        cr_expect_eq(status_handles[i], i == STRANGE ? RIALTO_OTHER_SECRET : status_ids[i], "product %d", i);
        by_handles[i].age_ms = by_ids[i].age_ms;
        if (i != STRANGE)
            cr_expect_arr_eq(&by_handles[i], &by_ids[i], sizeof by_ids[i], "product %d", i);
    }
    cr_expect_eq((unsigned char)by_handles[N - 1].zone[0], 0xEE, "nothing is written past the page");
    cr_expect_eq(rialto_quote_page_handles(f.reader, &whole, RIALTO_PAGE_MAX + 1, product, by_handles, status_handles),
                 RIALTO_BAD_INPUT);
}
