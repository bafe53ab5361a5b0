/* test_reader.c - quotes out of shared memory: who asks, where, in which currency, and what has gone wrong. */
#include "cache/folder.h"
#include "tests/cache/fixture.h"

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

TestSuite(reader, .init = setup, .fini = teardown);

static bool is_there(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The same question by handles; what no handle can be made of is refused there. */
static enum rialto_status ask_by_handles(const struct rialto_request *q, const char *sku, struct rialto_quote *ret)
{
    struct rialto_customer_handle customer;
    struct rialto_product_handle product;
    struct rialto_zone_handle zone;
    enum rialto_status status = rialto_product_handle(f.reader, sku, &product);
    if (status == RIALTO_OK && q != NULL && is_there(q->customer))
        status = rialto_customer_handle(f.reader, q->customer, &customer);
    if (status == RIALTO_OK && q != NULL && is_there(q->zone))
        status = rialto_zone_handle(f.reader, q->zone, &zone);
    if (status != RIALTO_OK || q == NULL) {
        memset(ret, 0, sizeof *ret);
        return q == NULL ? rialto_quote_handle(f.reader, NULL, &product, ret) : status;
    }
    const struct rialto_handle_request request = { .customer = is_there(q->customer) ? &customer : NULL,
                                                   .zone = is_there(q->zone) ? &zone : NULL,
                                                   .basis = q->basis,
                                                   .currency = q->currency };
    return rialto_quote_handle(f.reader, &request, &product, ret);
}

/* Every question of this file is asked both ways: by ids and by handles, and both must say the same. */
static enum rialto_status ask(const struct rialto_request *request, const char *sku, struct rialto_quote *ret)
{
    struct rialto_quote kept;
    memset(ret, 0xEE, sizeof *ret);
    memset(&kept, 0xEE, sizeof kept); /* padding included */
    enum rialto_status status = rialto_quote(f.reader, request, sku, ret);
    enum rialto_status by_handles = ask_by_handles(request, sku, &kept);
    cr_expect_eq(by_handles, status, "by ids %s, by handles %s", rialto_status_name(status),
                 rialto_status_name(by_handles));
    kept.age_ms = ret->age_ms; /* time goes on between the two */
    cr_expect_arr_eq(&kept, ret, sizeof kept, "another quote by handles");
    return status;
}

static void expect_quote(const struct rialto_request *request, const char *sku, int64_t amount, const char *zone,
                         uint32_t flags)
{
    struct rialto_quote q;
    enum rialto_status status = ask(request, sku, &q);
    cr_assert_eq(status, RIALTO_OK, "%s: %s", sku, rialto_status_name(status));
    cr_expect_eq(q.amount, amount, "%s: %ld, not %ld", sku, (long)q.amount, (long)amount);
    cr_expect_str_eq(q.zone, zone);
    cr_expect_eq(q.flags, flags, "%s: flags %x, not %x", sku, q.flags, flags);
}

static void expect_no_quote(const struct rialto_request *request, const char *sku, enum rialto_status wanted)
{
    struct rialto_quote q, zero;
    memset(&zero, 0, sizeof zero);
    enum rialto_status status = ask(request, sku, &q);
    cr_expect_eq(status, wanted, "%s: %s", sku, rialto_status_name(status));
    cr_expect_arr_eq(&q, &zero, sizeof q, "all zero");
}

#define NOBODY (&(struct rialto_request){ 0 })
#define C123   (&(struct rialto_request){ .customer = "C123" })

static void put_terms(const char *customer, uint16_t m_e4)
{
    struct rialto_terms_line line = fixture_terms_line(&f, customer, m_e4);
    (void)fixture_terms(&f, &line);
}

/* ---- who ---------------------------------------------------------------------------------------------- */

Test(reader, nobody_in_particular_gets_the_baseline)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
    expect_quote(C123, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
    expect_quote(&(struct rialto_request){ .customer = "" }, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
}

Test(reader, a_customer_gets_their_own_price)
{
    struct rialto_quote q;
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    put_terms("C123", 9000);
    put_terms("C124", 10000);
    expect_quote(C123, "milk-1l", 900, "", RIALTO_FLAG_PERSONAL);
    expect_quote(&(struct rialto_request){ .customer = "C124" }, "milk-1l", 1000, "", 0);
    cr_assert_eq(ask(C123, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.baseline, 1000);
    cr_expect_eq(q.list, 1100);
    cr_expect_eq(q.kinds, RIALTO_KIND_PURCHASES);
    cr_expect_eq(q.rule, f.gbp);
    cr_expect_str_eq(q.currency, "GBP");
    cr_expect_eq(q.zone_level, 0);
    cr_expect_lt(q.age_ms, 5000);
}

Test(reader, unknown_products_have_no_quote)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    expect_no_quote(NOBODY, "milk-2l", RIALTO_UNKNOWN_PRODUCT);
    expect_no_quote(NOBODY, "", RIALTO_UNKNOWN_PRODUCT);
}

Test(reader, arguments_outside_their_domain)
{
    char longest[RIALTO_ID_MAX], too_long[RIALTO_ID_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[RIALTO_ID_MAX - 1] = '\0';
    memset(too_long, 'a', sizeof too_long);
    too_long[RIALTO_ID_MAX] = '\0';
    expect_no_quote(NOBODY, NULL, RIALTO_BAD_INPUT);
    expect_no_quote(NULL, "x", RIALTO_BAD_INPUT);
    expect_no_quote(NOBODY, too_long, RIALTO_BAD_INPUT);
    expect_no_quote(NOBODY, longest, RIALTO_UNKNOWN_PRODUCT);
    expect_no_quote(&(struct rialto_request){ .customer = too_long }, "x", RIALTO_BAD_INPUT);
    expect_no_quote(&(struct rialto_request){ .zone = too_long }, "x", RIALTO_BAD_INPUT);
    expect_no_quote(&(struct rialto_request){ .zone = "a//b" }, "x", RIALTO_BAD_INPUT);
    expect_no_quote(&(struct rialto_request){ .currency = "EURO" }, "x", RIALTO_BAD_INPUT);
    expect_no_quote(&(struct rialto_request){ .basis = (enum rialto_zone_basis)9 }, "x", RIALTO_BAD_INPUT);
}

/* ---- where -------------------------------------------------------------------------------------------- */

Test(reader, the_nearest_zone_that_has_a_price_answers)
{
    const struct rialto_request store = { .zone = "de/south/store:25/dairy" };
    struct rialto_quote q;
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    expect_quote(&store, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "de", 1010);
    expect_quote(&store, "milk-1l", 1010, "de", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "de/south", 1020);
    expect_quote(&store, "milk-1l", 1020, "de/south", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "de/south/store:25", 1030);
    expect_quote(&store, "milk-1l", 1030, "de/south/store:25", RIALTO_FLAG_ANONYMOUS);
    cr_assert_eq(ask(&store, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.zone_level, 3);
    expect_quote(&(struct rialto_request){ .zone = "de/north" }, "milk-1l", 1010, "de",
                 RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    expect_quote(&(struct rialto_request){ .zone = "world" }, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
}

Test(reader, positions_are_cut_to_the_levels_in_use)
{
    const struct rialto_request here = { .zone = "gh:u4pruydqqvj" };
    (void)fixture_cell(&f, "milk-1l", "gh:u4p", 1010);
    expect_quote(&here, "milk-1l", 1010, "gh:u4p", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "gh:u4pru", 1020);
    expect_quote(&here, "milk-1l", 1020, "gh:u4pru", RIALTO_FLAG_ANONYMOUS);
    (void)fixture_cell(&f, "milk-1l", "gh:u4pruydqqvj", 1030); /* no such level: nobody ever asks for it */
    expect_quote(&here, "milk-1l", 1020, "gh:u4pru", RIALTO_FLAG_ANONYMOUS);
}

Test(reader, a_declared_zone_has_the_parents_that_it_declared)
{
    const struct rialto_request store = { .zone = "store-25" };
    (void)fixture_zone(&f, "store-25", "store-25", 2, (const char *const[]){ "uk/london", "uk" }, 0);
    (void)fixture_zone(&f, "uk/london", "uk/london", 1, (const char *const[]){ "uk" }, 0);
    (void)fixture_zone(&f, "uk", "uk", 0, NULL, 0);
    (void)fixture_cell(&f, "milk-1l", "uk", 1010);
    expect_quote(&store, "milk-1l", 1010, "uk", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "uk/london", 1020);
    expect_quote(&store, "milk-1l", 1020, "uk/london", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
    (void)fixture_cell(&f, "milk-1l", "store-25", 1030);
    expect_quote(&store, "milk-1l", 1030, "store-25", RIALTO_FLAG_ANONYMOUS);
}

/* Goal: a zone that nobody declared, inside one that somebody did, has that one's parents and currency. */
Test(reader, an_undeclared_zone_within_a_declared_one)
{
    const struct rialto_request shelf = { .zone = "paris/shop" };
    (void)fixture_zone(&f, "paris", "paris", 1, (const char *const[]){ "fr" }, 978);
    struct rialto_cell_line cell = fixture_cell_line(&f, "milk-1l", "fr", 1010);
    cell.rule = f.eur;
    (void)fixture_put(&f, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), &cell);
    (void)fixture_cell(&f, "milk-1l", "", 1000); /* in pounds */
    struct rialto_quote q;
    cr_assert_eq(ask(&shelf, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.amount, 1010);
    cr_expect_str_eq(q.currency, "EUR");
    cr_expect_eq(q.zone_level, 1);
    (void)fixture_cell(&f, "tea", "", 1000);
    expect_no_quote(&shelf, "tea", RIALTO_OTHER_CURRENCY);
}

Test(reader, the_customers_own_zone_is_that_of_their_terms)
{
    uint64_t slot = fixture_zone(&f, "C123", "de/south", 1, (const char *const[]){ "de" }, 0);
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 10000);
    terms.zone = (uint32_t)slot + 1;
    (void)fixture_terms(&f, &terms);
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    (void)fixture_cell(&f, "tea", "", 500);
    (void)fixture_cell(&f, "tea", "de", 510);
    (void)fixture_cell(&f, "milk-1l", "de/south", 1020);
    expect_quote(C123, "milk-1l", 1020, "de/south", 0);
    expect_quote(C123, "tea", 510, "de", RIALTO_FLAG_WIDER_ZONE);
    expect_quote(&(struct rialto_request){ .customer = "C123", .zone = "fr" }, "milk-1l", 1000, "",
                 RIALTO_FLAG_WIDER_ZONE);
    expect_quote(&(struct rialto_request){ .customer = "C123", .zone = "world" }, "milk-1l", 1000, "", 0);
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);

    terms.until_s = 1; /* long ago: the zone is personal data too */
    (void)fixture_terms(&f, &terms);
    expect_quote(C123, "milk-1l", 1000, "", RIALTO_FLAG_NEUTRAL);
    terms.until_s = 0;
    terms.zone = 100000; /* a slot that is none */
    (void)fixture_terms(&f, &terms);
    expect_quote(C123, "milk-1l", 1000, "", 0);
}

/* ---- consent to location ------------------------------------------------------------------------------- */

static void expect_location_is(const struct rialto_request *request, bool used, uint32_t flags)
{
    if (used)
        expect_quote(request, "milk-1l", 1020, "de", flags);
    else
        expect_quote(request, "milk-1l", 1000, "", flags | RIALTO_FLAG_IGNORED_ZONE);
}

Test(reader, device_and_ip_need_consent_store_and_address_do_not)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    (void)fixture_cell(&f, "milk-1l", "de", 1020);
    struct rialto_request request = { .customer = "C123", .zone = "de" };
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 10000);
    for (int consent = 0; consent < 2; consent++) {
        terms.consent = (uint8_t)(RIALTO_KIND_PURCHASES | (consent ? RIALTO_KIND_LOCATION : 0));
        (void)fixture_terms(&f, &terms);
        request.basis = RIALTO_BASIS_STORE;
        expect_location_is(&request, true, 0);
        request.basis = RIALTO_BASIS_ADDRESS;
        expect_location_is(&request, true, 0);
        request.basis = RIALTO_BASIS_DEVICE;
        expect_location_is(&request, consent, 0);
        request.basis = RIALTO_BASIS_IP;
        expect_location_is(&request, consent, 0);
    }
    request.customer = NULL;
    expect_location_is(&request, false, RIALTO_FLAG_ANONYMOUS);
    request.customer = "C999";
    expect_location_is(&request, false, RIALTO_FLAG_ANONYMOUS);
}

Test(reader, consent_fails_closed)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    (void)fixture_cell(&f, "milk-1l", "de", 1020);
    const struct rialto_request request = { .customer = "C123", .zone = "de", .basis = RIALTO_BASIS_DEVICE };
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 10000);
    terms.consent |= RIALTO_KIND_LOCATION;
    (void)fixture_terms(&f, &terms);
    expect_location_is(&request, true, 0);

    uint32_t partition = key_partition(fixture_key(&f, "C123"));
    atomic_store(&cache_control(f.cache)->heartbeat[partition].beat_mono_ms, fixture_mono_ms() - 60000);
    struct rialto_quote q;
    cr_assert_eq(ask(&request, "milk-1l", &q), RIALTO_OK);
    cr_expect(q.flags & RIALTO_FLAG_NEUTRAL, "its owner is silent");
    cr_expect(q.flags & RIALTO_FLAG_IGNORED_ZONE);
    cr_expect_eq(q.amount, 1000);
    fixture_beat(&f);
    cache_control(f.cache)->group_map = 9;
    expect_location_is(&request, false, RIALTO_FLAG_NEUTRAL);
}

/* ---- currency ------------------------------------------------------------------------------------------ */

Test(reader, prices_in_other_currencies_are_no_answer)
{
    struct rialto_quote q;
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    struct rialto_cell_line euro = fixture_cell_line(&f, "milk-1l", "de", 1200);
    euro.rule = f.eur;
    (void)fixture_put(&f, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), &euro);

    expect_quote(&(struct rialto_request){ .zone = "de" }, "milk-1l", 1200, "de", RIALTO_FLAG_ANONYMOUS);
    cr_assert_eq(ask(&(struct rialto_request){ .zone = "de", .currency = "GBP" }, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.amount, 1000, "the world's price is in pounds");
    expect_no_quote(&(struct rialto_request){ .zone = "de", .currency = "USD" }, "milk-1l", RIALTO_OTHER_CURRENCY);
    expect_no_quote(&(struct rialto_request){ .zone = "de", .currency = "USD" }, "tea", RIALTO_UNKNOWN_PRODUCT);
    expect_no_quote(&(struct rialto_request){ .currency = "EUR" }, "milk-1l", RIALTO_OTHER_CURRENCY);
}

/* Goal: a fall-back never crosses a currency that the zone has declared. */
Test(reader, a_fall_back_stays_in_the_zones_currency)
{
    (void)fixture_zone(&f, "de", "de", 0, NULL, 978);
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    expect_no_quote(&(struct rialto_request){ .zone = "de" }, "milk-1l", RIALTO_OTHER_CURRENCY);
    expect_no_quote(&(struct rialto_request){ .zone = "de" }, "tea", RIALTO_UNKNOWN_PRODUCT);
    expect_quote(&(struct rialto_request){ .zone = "fr" }, "milk-1l", 1000, "",
                 RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_WIDER_ZONE);
}

/* ---- offers -------------------------------------------------------------------------------------------- */

Test(reader, offers_are_read_when_the_terms_say_that_there_are_any)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    (void)fixture_cell(&f, "tea", "", 1000);
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 10000);
    (void)fixture_terms(&f, &terms);
    struct rialto_offer_line offer = { .key = key_pair(fixture_key(&f, "C123"), fixture_key(&f, "milk-1l")),
                                       .kind = RIALTO_OFFER_FIXED,
                                       .value = 800,
                                       .currency = 826,
                                       .kinds = RIALTO_KIND_PURCHASES };
    (void)fixture_put(&f, RIALTO_TABLE_OFFERS, key_partition(fixture_key(&f, "C123")), &offer);
    expect_quote(C123, "milk-1l", 1000, "", 0);
    terms.kinds |= RIALTO_TERMS_HAS_OFFERS;
    (void)fixture_terms(&f, &terms);
    expect_quote(C123, "milk-1l", 800, "", RIALTO_FLAG_OFFER);
    expect_quote(C123, "tea", 1000, "", 0);
    expect_quote(&(struct rialto_request){ .customer = "C124" }, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
    terms.until_s = 1;
    (void)fixture_terms(&f, &terms);
    expect_quote(C123, "milk-1l", 1000, "", RIALTO_FLAG_NEUTRAL);
    offer.locked = 700; /* is owed, whatever else is out of date */
    (void)fixture_put(&f, RIALTO_TABLE_OFFERS, key_partition(fixture_key(&f, "C123")), &offer);
    expect_quote(C123, "milk-1l", 700, "", RIALTO_FLAG_NEUTRAL | RIALTO_FLAG_LOCK);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

Test(reader, service_time_is_the_monotonic_clock_and_an_offset)
{
    atomic_store(&cache_control(f.cache)->clock_offset_ms, 1000000);
    int64_t low = fixture_mono_ms() + 1000000, now = rialto_now_ms(f.reader);
    cr_assert(now >= low - 50 && now <= low + 1000, "within the coarse clock's step");
}

Test(reader, expiries_are_measured_in_service_time)
{
    struct rialto_cell_line cell = fixture_cell_line(&f, "milk-1l", "", 1000);
    cell.until_s = 2000000000;
    (void)fixture_put(&f, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), &cell);
    atomic_store(&cache_control(f.cache)->clock_offset_ms, INT64_C(1999999000) * 1000 - fixture_mono_ms());
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
    atomic_store(&cache_control(f.cache)->clock_offset_ms, INT64_C(2000000100) * 1000 - fixture_mono_ms());
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_STALE);
}

Test(reader, age_is_that_of_the_products_owner)
{
    struct rialto_quote q;
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    uint32_t partition = key_partition(fixture_key(&f, "milk-1l"));
    atomic_store(&cache_control(f.cache)->heartbeat[partition].beat_mono_ms, fixture_mono_ms() - 60000);
    cr_assert_eq(ask(NOBODY, "milk-1l", &q), RIALTO_OK);
    cr_expect(q.flags & RIALTO_FLAG_STALE);
    cr_expect(q.age_ms > 59900 && q.age_ms < 70000, "%u", q.age_ms);
    atomic_store(&cache_control(f.cache)->heartbeat[partition].beat_mono_ms, 0);
    cr_assert_eq(ask(NOBODY, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.age_ms, UINT32_MAX, "no tick yet");
    atomic_store(&cache_control(f.cache)->heartbeat[partition].beat_mono_ms, fixture_mono_ms() + 1000000);
    cr_assert_eq(ask(NOBODY, "milk-1l", &q), RIALTO_OK);
    cr_expect_eq(q.age_ms, UINT32_MAX, "a heartbeat of another boot");
}

/* Goal: whatever a damaged control says of time, an answer comes, and it does not claim to be fresh. */
Test(reader, times_at_the_ends_of_their_words_are_no_fault_of_ours)
{
    static const int64_t end[] = { INT64_MIN, INT64_MIN + 1, -1, INT64_MAX };
    struct rialto_quote q;
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    struct rialto_control *control = cache_control(f.cache);
    uint32_t partition = key_partition(fixture_key(&f, "milk-1l"));
    int64_t offset = atomic_load(&control->clock_offset_ms);
    for (size_t i = 0; i < sizeof end / sizeof end[0]; i++) {
        atomic_store(&control->heartbeat[partition].beat_mono_ms, end[i]);
        cr_assert_eq(ask(NOBODY, "milk-1l", &q), RIALTO_OK);
        cr_expect_eq(q.amount, 1000);
        if (end[i] != -1)
            cr_expect_eq(q.age_ms, UINT32_MAX, "a heartbeat of no time: %lld", (long long)end[i]);
        atomic_store(&control->clock_offset_ms, end[i]);
        (void)rialto_now_ms(f.reader);
        cr_assert_eq(ask(NOBODY, "milk-1l", &q), RIALTO_OK);
        cr_expect_eq(q.amount, 1000);
        atomic_store(&control->clock_offset_ms, offset);
    }
}

Test(reader, one_store_switches_every_quote_to_list)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    put_terms("C123", 9000);
    atomic_store(&cache_control(f.cache)->mode, RIALTO_MODE_LIST);
    expect_quote(C123, "milk-1l", 1100, "", RIALTO_FLAG_LIST_MODE);
    atomic_store(&cache_control(f.cache)->mode, RIALTO_MODE_NORMAL);
    expect_quote(C123, "milk-1l", 900, "", RIALTO_FLAG_PERSONAL);
}

Test(reader, demo_data_are_marked)
{
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    cache_control(f.cache)->demo = 1;
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_DEMO);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------- */

/* Open a line as a writer does that then dies: the side line ready or not, the payload half done. */
static void leave_open(enum rialto_table table, uint32_t partition, uint64_t slot, bool side_ready)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    const struct folder_table *t = &folder.table[table];
    struct rialto_segment *segment = &t->segment[partition];
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(t->base + t->extents[partition].extent[0].lines + slot * 64);
    for (int i = 0; i < 8; i++)
        atomic_store(&segment->side[i], atomic_load(&word[i]));
    atomic_store(&segment->side_used, atomic_load(&segment->used));
    atomic_store(&segment->side_ref, side_ready ? (slot + 1) << 32 | (uint32_t)atomic_load(&word[0]) : 0);
    atomic_store(&word[0], atomic_load(&word[0]) + 1);
    atomic_store(&word[3], 0xDEAD);
    folder_close(&folder);
}

Test(reader, a_dead_writer_costs_a_moment_and_no_price)
{
    uint64_t slot = fixture_cell(&f, "milk-1l", "", 1000);
    uint32_t partition = key_partition(fixture_key(&f, "milk-1l"));
    leave_open(RIALTO_TABLE_CELLS, partition, slot, true);
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
    table_repair(f.cache, RIALTO_TABLE_CELLS, partition);
    expect_quote(NOBODY, "milk-1l", 1000, "", RIALTO_FLAG_ANONYMOUS);
}

Test(reader, what_cannot_be_read_in_bounded_time_is_busy_or_neutral)
{
    uint64_t slot = fixture_cell(&f, "milk-1l", "", 1000);
    leave_open(RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), slot, false);
    expect_no_quote(NOBODY, "milk-1l", RIALTO_BUSY);
    (void)fixture_cell(&f, "tea", "", 1000);
    struct rialto_terms_line terms = fixture_terms_line(&f, "C123", 9000);
    slot = fixture_terms(&f, &terms);
    leave_open(RIALTO_TABLE_TERMS, key_partition(terms.key), slot, false);
    expect_quote(C123, "tea", 1000, "", RIALTO_FLAG_NEUTRAL);
}

Test(reader, a_cell_of_a_rule_that_is_not_there_is_no_price)
{
    struct rialto_cell_line cell = fixture_cell_line(&f, "milk-1l", "", 1000);
    cell.rule = 4000;
    (void)fixture_put(&f, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), &cell);
    expect_no_quote(NOBODY, "milk-1l", RIALTO_UNKNOWN_PRODUCT);
}

Test(reader, a_deleted_product_is_unknown)
{
    uint64_t slot = fixture_cell(&f, "milk-1l", "", 1000);
    table_delete(f.cache, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, "milk-1l")), slot);
    expect_no_quote(NOBODY, "milk-1l", RIALTO_UNKNOWN_PRODUCT);
}

/* ---- pages --------------------------------------------------------------------------------------------- */

/* Goal: a page says of each product what a single quote says, whatever its length. */
Test(reader, a_page_is_its_single_quotes)
{
    enum { N = 200 };
    static char name[N][32];
    static const char *sku[N];
    static struct rialto_quote page[N], single;
    static enum rialto_status status[N];
    put_terms("C123", 8800);
    for (int i = 0; i < N; i++) {
        (void)snprintf(name[i], sizeof name[i], "sku-%d", i);
        sku[i] = i == 77 ? NULL : name[i];
        if (i % 3 != 0)
            (void)fixture_cell(&f, name[i], i % 2 ? "" : "de", 1000 + i);
    }
    const struct rialto_request request = { .customer = "C123", .zone = "de/south" };
    static const size_t lengths[] = { 0, 1, 50, 63, 64, 65, 128, N };
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        memset(page, 0xEE, sizeof page);
        cr_assert_eq(rialto_quote_page(f.reader, &request, lengths[l], sku, page, status), RIALTO_OK);
        for (size_t i = 0; i < lengths[l]; i++) {
            cr_assert_eq(status[i], ask(&request, sku[i], &single), "product %zu", i);
            page[i].age_ms = single.age_ms = 0;
            cr_assert_eq(page[i].amount, single.amount);
            cr_assert_eq(page[i].flags, single.flags);
            cr_assert_str_eq(page[i].zone, single.zone);
        }
        if (lengths[l] < N)
            cr_assert_eq((unsigned char)page[lengths[l]].zone[0], 0xEE, "nothing is written past the page");
    }
}

Test(reader, pages_have_a_limit)
{
    static const char *sku[RIALTO_PAGE_MAX + 1];
    static struct rialto_quote page[RIALTO_PAGE_MAX + 1];
    static enum rialto_status status[RIALTO_PAGE_MAX + 1];
    for (size_t i = 0; i < RIALTO_PAGE_MAX + 1; i++)
        sku[i] = "milk-1l";
    (void)fixture_cell(&f, "milk-1l", "", 1000);
    cr_assert_eq(rialto_quote_page(f.reader, NOBODY, RIALTO_PAGE_MAX, sku, page, status), RIALTO_OK);
    cr_assert_eq(page[RIALTO_PAGE_MAX - 1].amount, 1000);
    cr_assert_eq(rialto_quote_page(f.reader, NOBODY, RIALTO_PAGE_MAX + 1, sku, page, status), RIALTO_BAD_INPUT);
}

Test(reader, close_takes_nothing)
{
    rialto_close(NULL);
    cache_close(NULL);
}

Test(reader, words_of_a_disclosure_go_with_its_rule)
{
    static const char words[] = "Set with your data.";
    struct rialto_rule_row row = fixture_rule("GBP", 826);
    uint16_t rule = 0;
    char text[RIALTO_DISCLOSURE_MAX];
    row.disclosure = 7;
    (void)snprintf(row.disclosure_text, sizeof row.disclosure_text, "%s", words);
    cr_assert_eq(rule_append(f.cache, &row, &rule), RIALTO_OK);
    cr_expect_eq(rialto_disclosure_text(f.reader, rule, 7, sizeof text, text), sizeof words - 1);
    cr_expect_str_eq(text, words);
    cr_expect_eq(rialto_disclosure_text(f.reader, rule, 7, 4, text), sizeof words - 1, "the length that the text has");
    cr_expect_str_eq(text, "Set");
    cr_expect_eq(rialto_disclosure_text(f.reader, rule, 7, 0, NULL), sizeof words - 1);
    cr_expect_eq(rialto_disclosure_text(f.reader, rule, 0, sizeof text, text), 0, "nothing was read");
    cr_expect_str_eq(text, "");
    cr_expect_eq(rialto_disclosure_text(f.reader, UINT16_MAX, 7, sizeof text, text), 0, "no such rule");
    cr_expect_str_eq(text, "");
}
