/* test_journal.c - entries of the price journal as text and back, and what stood when: against a history that is looked
 * through millisecond by millisecond. */
#include "service/journal.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SPAN_MS 400
#define MOST    64
#define ROUNDS  3000

static struct journal_entry made_up(uint64_t *state)
{
    struct journal_entry e = { .when_ms = random_between(state, 0, 9999999999999),
                               .amount = random_between(state, 0, RIALTO_BOUND_MAX),
                               .before = random_between(state, -1, RIALTO_BOUND_MAX),
                               .moves = (uint32_t)random_between(state, 0, UINT32_MAX),
                               .low = random_between(state, 0, RIALTO_BOUND_MAX),
                               .list = random_between(state, 1, RIALTO_BOUND_MAX),
                               .floor = random_between(state, 0, RIALTO_BOUND_MAX),
                               .ceiling = random_between(state, 0, RIALTO_BOUND_MAX),
                               .currency = "EUR",
                               .guards = (uint32_t)random_between(state, 0, 255),
                               .ending_step = 10,
                               .model = "groceries",
                               .version = "2026-11-01" };
    e.first_ms = random_between(state, 0, e.when_ms);
    e.low_ms = random_between(state, e.first_ms, e.when_ms);
    memset(e.sku, 'x', (size_t)random_between(state, 1, RIALTO_ID_MAX - 1));
    memset(e.zone, 'z', (size_t)random_between(state, 0, RIALTO_ID_MAX - 1));
    e.factor_count = (uint32_t)random_between(state, 0, MODEL_FACTORS_MAX);
    for (uint32_t i = 0; i < e.factor_count; i++) {
        memset(e.factor[i].name, 'f', (size_t)random_between(state, 1, RIALTO_NAME_MAX - 1));
        e.factor[i].micro = (int32_t)random_between(state, 0, INT32_MAX);
    }
    return e;
}

Test(journal, an_entry_comes_back_from_its_text)
{
    uint64_t state = 1;
    char text[JOURNAL_TEXT_MAX];
    for (int i = 0; i < 20000; i++) {
        struct journal_entry e = made_up(&state), back;
        size_t bytes = journal_entry_write(&e, text);
        cr_assert_lt(bytes, sizeof text);
        cr_assert_eq(bytes, strlen(text));
        cr_assert(journal_entry_read(text, bytes, &back), "%s", text);
        cr_assert_arr_eq(&e, &back, sizeof e, "%s", text);
    }
}

/* Goal: whatever stands in Redis under the key, reading it harms nobody and nothing is read that is not whole. */
Test(journal, a_damaged_text_is_none)
{
    uint64_t state = 2;
    char text[JOURNAL_TEXT_MAX], damaged[JOURNAL_TEXT_MAX];
    struct journal_entry e = made_up(&state), back;
    size_t bytes = journal_entry_write(&e, text);
    unsigned tabs = 0;
    for (size_t cut = 0; cut < bytes; cut++) {
        if (tabs < 17 || tabs % 2 == 0) /* fields are missing, or a factor's number is */
            cr_expect(!journal_entry_read(text, cut, &back), "cut at %zu", cut);
        tabs += text[cut] == '\t';
    }
    for (int i = 0; i < 50000; i++) { /* under the sanitizers: no byte beyond */
        memcpy(damaged, text, bytes);
        for (int n = 0; n < 3; n++)
            damaged[random_between(&state, 0, (int64_t)bytes - 1)] = (char)random_between(&state, -128, 127);
        if (journal_entry_read(damaged, bytes, &back))
            cr_assert(back.first_ms <= back.when_ms && back.factor_count <= MODEL_FACTORS_MAX && back.before >= -1);
    }
    static char long_text[2 * JOURNAL_TEXT_MAX];
    memset(long_text, '\t', sizeof long_text);
    cr_expect(!journal_entry_read(long_text, sizeof long_text, &back));
}

/* A price per millisecond, and the entries that a worker would write of it, one in `interval` ms at most. */
static uint32_t history(uint64_t *state, int64_t price[SPAN_MS], int64_t interval, struct journal_entry entry[MOST])
{
    uint32_t count = 0;
    struct journal_entry note = { .moves = 0 };
    for (int64_t t = 0; t < SPAN_MS; t++) {
        bool moves = t > 0 && random_between(state, 0, 19) == 0;
        int64_t before = t > 0 ? price[t - 1] : 0;
        price[t] = moves ? random_between(state, 0, 9) * 10 : before;
        if (price[t] != before) {
            if (note.moves++ == 0)
                note = (struct journal_entry){ .moves = 1, .before = before, .first_ms = t, .currency = "EUR" };
            if (note.moves == 1 || (price[t] > 0 && (note.low == 0 || price[t] < note.low))) {
                note.low = price[t];
                note.low_ms = t;
            }
            note.when_ms = t;
            note.amount = price[t];
        }
        if (note.moves > 0 && (t + 1) % interval == 0 && count < MOST) {
            entry[count++] = note;
            note.moves = 0;
        }
    }
    return count;
}

static int64_t lowest_of(const int64_t price[SPAN_MS], int64_t from, int64_t to)
{
    int64_t low = 0;
    for (int64_t t = from; t < to; t++)
        if (price[t] > 0 && (low == 0 || price[t] < low))
            low = price[t];
    return low;
}

/* Goal: a price is told only where it is known, and then it is the one that stood; the lowest never misses a lower one. */
Test(journal, what_stood_is_what_is_told)
{
    uint64_t state = 3;
    static struct journal_entry entry[MOST];
    int64_t price[SPAN_MS];
    unsigned known = 0, moved = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t interval = round % 3 == 0 ? 1 : 40, last;
        uint32_t count = history(&state, price, interval, entry);
        for (uint32_t i = count; i > 1; i--) { /* in any order, as pages may come */
            uint32_t j = (uint32_t)random_between(&state, 0, i - 1);
            struct journal_entry swap = entry[i - 1];
            entry[i - 1] = entry[j];
            entry[j] = swap;
        }
        count = journal_sort(entry, count);
        if (count == 0 || count == MOST)
            continue;
        last = SPAN_MS / interval * interval;
        for (int64_t at = 0; at < last; at++) {
            struct journal_price told = journal_price_at(entry, count, at);
            if (told.known == JOURNAL_KNOWN)
                cr_assert_eq(told.amount, price[at], "at %lld", (long long)at);
            else if (told.known == JOURNAL_MOVED)
                cr_assert(price[at] == 0 || told.amount == 0 || told.amount <= price[at]);
            known += told.known == JOURNAL_KNOWN;
            moved += told.known == JOURNAL_MOVED;
        }
        int64_t from = random_between(&state, 0, last - 2), to = random_between(&state, from + 1, last);
        struct journal_lowest lowest = journal_lowest(entry, count, from, to, "EUR");
        int64_t wanted = lowest_of(price, from, to);
        cr_assert(lowest.complete);
        if (interval == 1)
            cr_assert_eq(lowest.amount, wanted);
        else if (wanted > 0) /* not above the truth, and not below what stood within an interval of the two ends */
            cr_assert(lowest.amount > 0 && lowest.amount <= wanted &&
                          lowest.amount >=
                              lowest_of(price, from - from % interval, (to + interval - 1) / interval * interval),
                      "%lld, wanted %lld", (long long)lowest.amount, (long long)wanted);
    }
    cr_assert(known > 100000 && moved > 1000, "%u %u", known, moved);
}

/* Goal: a price that moved there and back within one tick ends where it ended, in whichever order the entries are read. */
Test(journal, moves_of_one_tick_are_put_in_order)
{
    const struct journal_entry chain[] = {
        { .when_ms = 100, .first_ms = 100, .moves = 1, .before = 0, .amount = 1044 },
        { .when_ms = 200, .first_ms = 200, .moves = 1, .before = 1044, .amount = 869 },
        { .when_ms = 200, .first_ms = 200, .moves = 1, .before = 869, .amount = 1044 },
    };
    static const unsigned order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (unsigned o = 0; o < 6; o++) {
        struct journal_entry entry[3] = { chain[order[o][0]], chain[order[o][1]], chain[order[o][2]] };
        cr_assert_eq(journal_sort(entry, 3), 3);
        cr_expect_eq(journal_price_at(entry, 3, 250).amount, 1044, "order %u", o);
        cr_expect_eq(journal_price_at(entry, 3, 150).amount, 1044, "order %u", o);
        cr_expect_eq(journal_lowest(entry, 3, 150, 300, "").amount, 869, "order %u", o);
    }
}

/* Goal: where the chain of entries has a hole, the answer does not say that it knows all. */
Test(journal, a_hole_is_told)
{
    struct journal_entry entry[] = {
        { .when_ms = 100,
          .first_ms = 100,
          .moves = 1,
          .before = 0,
          .amount = 500,
          .low = 500,
          .low_ms = 100,
          .currency = "EUR" },
        { .when_ms = 200,
          .first_ms = 200,
          .moves = 1,
          .before = 300,
          .amount = 400,
          .low = 400,
          .low_ms = 200,
          .currency = "EUR" },
        { .when_ms = 300,
          .first_ms = 300,
          .moves = 1,
          .before = 400,
          .amount = 600,
          .low = 600,
          .low_ms = 300,
          .currency = "EUR" },
    };
    struct journal_lowest lowest = journal_lowest(entry, 3, 110, 400, "EUR");
    cr_expect(!lowest.complete);
    cr_expect_eq(lowest.amount, 300, "it stood before the second entry");
    lowest = journal_lowest(entry, 3, 210, 400, "EUR");
    cr_expect(lowest.complete);
    cr_expect_eq(lowest.amount, 400);
    cr_expect_eq(lowest.when_ms, 210);
    cr_expect_eq(journal_price_at(entry, 3, 99).amount, 0);
    entry[0].before = JOURNAL_UNKNOWN;
    cr_expect_eq(journal_price_at(entry, 3, 99).known, JOURNAL_NOT_KNOWN);
    cr_expect(!journal_lowest(entry, 1, 50, 150, "EUR").complete);
}

/* Goal: the list prices that quotes may have stood at while nobody priced are those of what stood then; what is not known is told. */
Test(journal, the_lowest_list_price_of_what_stood)
{
    struct journal_entry entry[] = {
        { .when_ms = 100, .first_ms = 100, .moves = 1, .amount = 600, .list = 500, .currency = "EUR" },
        { .when_ms = 200,
          .moves = 0,
          .before = 600,
          .amount = 600,
          .list = 450,
          .currency = "EUR" },                                                                  /* another list price */
        { .when_ms = 300, .first_ms = 300, .moves = 1, .before = 600, .amount = 0, .list = 0 }, /* taken away */
        { .when_ms = 400, .first_ms = 400, .moves = 1, .before = 0, .amount = 700, .list = 800, .currency = "EUR" },
        { .when_ms = 550, .first_ms = 500, .moves = 3, .before = 700, .amount = 900, .list = 900, .currency = "EUR" },
    };
    cr_expect_eq(journal_list_lowest(entry, 5, 120, 180, "EUR"), 500);
    cr_expect_eq(journal_list_lowest(entry, 5, 120, 200, "EUR"), 500);
    cr_expect_eq(journal_list_lowest(entry, 5, 120, 201, "EUR"), 450);
    cr_expect_eq(journal_list_lowest(entry, 5, 310, 390, "EUR"), INT64_MAX, "no price stood");
    cr_expect_eq(journal_list_lowest(entry, 5, 10, 90, "EUR"), INT64_MAX, "nor before the first");
    cr_expect_eq(journal_list_lowest(entry, 5, 10, 101, "EUR"), 500);
    cr_expect_eq(journal_list_lowest(entry, 5, 350, 450, "EUR"), 800);
    cr_expect_eq(journal_list_lowest(entry, 5, 350, 450, "USD"), INT64_MAX, "in another currency");
    cr_expect_eq(journal_list_lowest(entry, 5, 450, 520, "EUR"), 0, "it moved several times");
    cr_expect_eq(journal_list_lowest(entry, 5, 550, 600, "EUR"), 900);
    cr_expect_eq(journal_list_lowest(entry + 1, 4, 120, 250, "EUR"), 0, "older than all entries");
    cr_expect_eq(journal_list_lowest(entry, 0, 120, 250, "EUR"), 0);
}
