/* test_follow.c - change rings and listings. */
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

TestSuite(follow, .init = setup, .fini = teardown);

static void append(uint32_t worker, int64_t after)
{
    ring_append(f.cache, worker,
                &(struct rialto_ring_entry){ .when_ms = 5, .after = after, .table = RIALTO_TABLE_TERMS });
}

static bool next(struct rialto_follower *follower, int64_t *ret_after)
{
    struct rialto_change change;
    if (!rialto_next_change(f.reader, follower, &change))
        return false;
    *ret_after = change.entry.after;
    return true;
}

Test(follow, a_follower_starts_at_the_present_and_sees_each_change_once)
{
    struct rialto_follower one, two;
    int64_t after = 0;
    append(0, 1);
    rialto_follow(f.reader, &one);
    cr_assert_not(next(&one, &after));
    append(0, 2);
    rialto_follow(f.reader, &two);
    append(0, 3);
    cr_assert(next(&one, &after) && after == 2);
    cr_assert(next(&one, &after) && after == 3);
    cr_assert_not(next(&one, &after));
    cr_assert(next(&two, &after) && after == 3, "followers do not take from each other");
    cr_assert_eq(one.missed, 0);
}

Test(follow, no_busy_worker_hides_the_others)
{
    struct rialto_follower follower;
    int64_t after = 0, seen_of_1 = 0;
    rialto_follow(f.reader, &follower);
    for (int i = 0; i < 100; i++)
        append(0, 10);
    append(1, 20);
    for (int i = 0; i < 3; i++) {
        cr_assert(next(&follower, &after));
        seen_of_1 += after == 20;
    }
    cr_assert_eq(seen_of_1, 1);
}

/* Goal: who falls a whole ring behind is told how much was lost, and goes on with what is still there, in order. */
Test(follow, an_overrun_is_counted)
{
    struct rialto_follower follower;
    rialto_follow(f.reader, &follower);
    const int64_t appended = RIALTO_RING_ENTRIES + 5000;
    for (int64_t i = 1; i <= appended; i++)
        append(0, i);
    int64_t after = 0, last = 0, seen = 0;
    while (next(&follower, &after)) {
        cr_assert(last == 0 || after == last + 1, "%ld after %ld", (long)after, (long)last);
        last = after;
        seen++;
    }
    cr_assert_eq(last, appended);
    cr_assert_gt(follower.missed, 0);
    cr_assert_eq(follower.missed + (uint64_t)seen, (uint64_t)appended);
}

Test(follow, a_full_ring_is_no_overrun)
{
    struct rialto_follower follower;
    rialto_follow(f.reader, &follower);
    for (int64_t i = 1; i <= RIALTO_RING_ENTRIES; i++)
        append(0, i);
    int64_t after = 0;
    cr_assert(next(&follower, &after));
    cr_assert_eq(after, 1);
    cr_assert_eq(follower.missed, 0);
}

static void put_product(const char *sku, const char *title, uint64_t *ret_slot)
{
    struct rialto_product_line line = { .key = fixture_key(&f, sku), .category = "dairy" };
    (void)snprintf(line.sku, sizeof line.sku, "%s", sku);
    (void)snprintf(line.title, sizeof line.title, "%s", title);
    *ret_slot = fixture_put(&f, RIALTO_TABLE_PRODUCTS, key_partition(line.key), &line);
}

/* A cell that says by slot where its names are. */
static uint64_t put_named_cell(const char *sku, const char *zone, uint64_t product, uint64_t place)
{
    struct rialto_cell_line line = fixture_cell_line(&f, sku, zone, 1000);
    line.lo_product |= (product & 0xFFFF) << 48;
    line.hi_place |= (product >> 16) << 48 | place << 50;
    return fixture_put(&f, RIALTO_TABLE_CELLS, key_partition(fixture_key(&f, sku)), &line);
}

Test(follow, cells_are_listed_with_their_names)
{
    uint64_t product = 0, place = fixture_zone(&f, "milk-1l", "de/south", 0, NULL, 0);
    put_product("milk-1l", "Whole milk", &product);
    uint32_t partition = key_partition(fixture_key(&f, "milk-1l"));
    uint64_t here = put_named_cell("milk-1l", "de/south", product, place);
    uint64_t world = put_named_cell("milk-1l", "", product, 0);
    struct rialto_cell cell;
    cr_assert_eq(rialto_cell_at(f.reader, partition, here, &cell), RIALTO_OK);
    cr_assert_str_eq(cell.sku, "milk-1l");
    cr_assert_str_eq(cell.zone, "de/south");
    cr_assert_str_eq(cell.title, "Whole milk");
    cr_assert_str_eq(cell.category, "dairy");
    cr_assert_eq(cell.line.baseline, 1000);
    cr_assert_eq(rialto_cell_at(f.reader, partition, world, &cell), RIALTO_OK);
    cr_assert_str_eq(cell.sku, "milk-1l");
    cr_assert_str_eq(cell.zone, "");
}

/* Goal: a slot that was given to another product since does not lend the cell a wrong name. */
Test(follow, a_name_that_does_not_make_the_key_is_none)
{
    uint64_t product = 0;
    put_product("milk-1l", "Whole milk", &product);
    uint32_t partition = key_partition(fixture_key(&f, "milk-1l"));
    struct rialto_cell_line line = fixture_cell_line(&f, "other", "", 1000);
    line.lo_product |= product << 48;
    uint64_t slot = fixture_put(&f, RIALTO_TABLE_CELLS, partition, &line);
    struct rialto_cell cell;
    cr_assert_eq(rialto_cell_at(f.reader, partition, slot, &cell), RIALTO_OK);
    cr_assert_str_eq(cell.sku, "");
    cr_assert_str_eq(cell.title, "");
}

Test(follow, a_sweep_finds_every_cell_and_ends)
{
    struct rialto_cell cell;
    uint64_t found = 0, ends = 0;
    for (int i = 0; i < 100; i++) {
        char sku[32];
        (void)snprintf(sku, sizeof sku, "sku-%d", i);
        (void)fixture_cell(&f, sku, "", 1000);
    }
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++) {
        enum rialto_status status = RIALTO_OK;
        for (uint64_t slot = 0; status != RIALTO_BAD_INPUT; slot++) {
            status = rialto_cell_at(f.reader, partition, slot, &cell);
            found += status == RIALTO_OK;
            ends += status == RIALTO_BAD_INPUT;
        }
    }
    cr_assert_eq(found, 100);
    cr_assert_eq(ends, RIALTO_PARTITIONS);
    cr_assert_eq(rialto_cell_at(f.reader, RIALTO_PARTITIONS, 0, &cell), RIALTO_BAD_INPUT);
}

Test(follow, a_change_of_a_cell_comes_with_words)
{
    struct rialto_follower follower;
    struct rialto_change change;
    uint64_t product = 0;
    put_product("milk-1l", "Whole milk", &product);
    uint64_t slot = put_named_cell("milk-1l", "", product, 0);
    rialto_follow(f.reader, &follower);
    ring_append(f.cache, 1,
                &(struct rialto_ring_entry){ .before = 990,
                                             .after = 1000,
                                             .slot = (uint32_t)slot,
                                             .partition = (uint8_t)key_partition(fixture_key(&f, "milk-1l")),
                                             .table = RIALTO_TABLE_CELLS,
                                             .rule = f.eur,
                                             .reason = "demand" });
    cr_assert(rialto_next_change(f.reader, &follower, &change));
    cr_assert_str_eq(change.sku, "milk-1l");
    cr_assert_str_eq(change.zone, "");
    cr_assert_str_eq(change.title, "Whole milk");
    cr_assert_str_eq(change.currency, "EUR");
    cr_assert_eq(change.decimals, 2);
    cr_assert_str_eq(change.entry.reason, "demand");
    cr_assert_eq(change.entry.before, 990);
}

Test(follow, money_as_text)
{
    static const struct {
        int64_t amount;
        uint8_t decimals;
        const char *text;
    } known[] = {
        { 1234, 2, "12.34 GBP" }, { 5, 2, "0.05 GBP" },      { 0, 2, "0.00 GBP" },
        { -5, 2, "-0.05 GBP" },   { 1234, 0, "1234 GBP" },   { 1234, 3, "1.234 GBP" },
        { 100, 2, "1.00 GBP" },   { -1234, 0, "-1234 GBP" }, { INT64_MIN, 2, "-92233720368547758.08 GBP" },
    };
    char text[64];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t length = rialto_money_text(known[i].amount, "GBP", known[i].decimals, sizeof text, text);
        cr_expect_str_eq(text, known[i].text);
        cr_expect_eq(length, strlen(known[i].text));
    }
    cr_expect_eq(rialto_money_text(1234, "GBP", 2, 5, text), 9, "the length that the text has");
    cr_expect_str_eq(text, "12.3");
    cr_expect_eq(rialto_money_text(1234, "", 2, sizeof text, text), 5);
    cr_expect_str_eq(text, "12.34");
    cr_expect_eq(rialto_money_text(1234, "GBP", 2, 0, NULL), 9);
}
