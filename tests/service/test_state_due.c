/* Goal: each deadline is told once, at the first look at or after it, whatever was set, moved, taken away or undone before. */
#include "service/state.h"
#include "service/timers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static uint64_t batch;

static void setup(void)
{
    memset(&config, 0, sizeof config);
    strcpy(config.data_dir, "/tmp/rialto-due-XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
    config.products_max = config.cells_max = config.customers_max = config.offers_max = 8192;
    config.zones_max = 64;
    config.ids_max = 64;
    config.batch_signals_max = 16;
    batch = 0;
}

static void teardown(void)
{
    char command[CONFIG_TEXT_MAX + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", config.data_dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(state_due, .init = setup, .fini = teardown);

static struct state *open_partition(uint32_t number)
{
    struct state *state = NULL;
    bool fresh;
    cr_assert_eq(state_open(&config, number, 0, &state, &fresh), RIALTO_OK);
    return state;
}

static uint32_t add(struct state *state, uint64_t n)
{
    uint32_t at = state_insert(state, POOL_OFFERS, (struct rialto_key){ n * UINT64_C(0x9E3779B97F4A7C15), n });
    cr_assert_neq(at, STATE_NONE);
    return at;
}

struct told {
    int64_t due_ms[256]; /* by index; 0 = not told */
    uint32_t count;
};

static void tell(void *user, enum state_pool pool, uint32_t index, int64_t due_ms)
{
    struct told *told = user;
    cr_assert_eq(pool, POOL_OFFERS);
    cr_assert_eq(told->due_ms[index], 0, "told twice");
    told->due_ms[index] = due_ms;
    told->count++;
}

static struct told advance(struct state *state, int64_t now_ms)
{
    struct told told = { 0 };
    state_advance(state, POOL_OFFERS, now_ms, UINT32_MAX, &told, tell);
    return told;
}

/* The same in turns of `most`, until nothing is left. */
static struct told advance_in_turns(struct state *state, int64_t now_ms, uint32_t most)
{
    struct told told = { 0 };
    for (uint32_t before = 0; state_wake_ms(state, POOL_OFFERS) <= now_ms; before = told.count) {
        state_advance(state, POOL_OFFERS, now_ms, most, &told, tell);
        cr_assert_leq(told.count - before, most);
        cr_assert(told.count - before == most || state_wake_ms(state, POOL_OFFERS) > now_ms,
                  "all that it may, or all there are");
    }
    return told;
}

#define NOW INT64_C(1700000000000)

Test(state_due, nothing_is_told_before_its_time_and_all_at_it)
{
    static const int64_t AHEAD[] = { 1,
                                     63,
                                     64,
                                     65,
                                     99,
                                     100,
                                     16383,
                                     16384,
                                     16385,
                                     70000,
                                     4194303,
                                     4194304,
                                     4194305,
                                     INT64_C(86400000),
                                     INT64_C(7) * 86400000,
                                     INT64_C(1073741824),
                                     INT64_C(400) * 86400000,
                                     INT64_C(5000) * 86400000 };
    enum { COUNT = sizeof AHEAD / sizeof AHEAD[0] };
    for (uint32_t number = 0; number < RIALTO_PARTITIONS; number += 21) {
        struct state *state = open_partition(number);
        state_begin(state, ++batch);
        (void)advance(state, NOW);
        for (uint64_t i = 0; i < COUNT; i++)
            state_set_due(state, POOL_OFFERS, add(state, i + 1), NOW + AHEAD[i]);
        for (uint32_t i = 0; i < COUNT; i++) {
            cr_assert_eq(advance(state, NOW + AHEAD[i] - 1).count, 0, "partition %u: %lld comes early", number,
                         (long long)AHEAD[i]);
            struct told told = advance(state, NOW + AHEAD[i]);
            cr_assert_eq(told.count, 1, "partition %u: %lld ms ahead", number, (long long)AHEAD[i]);
            cr_assert_eq(told.due_ms[i], NOW + AHEAD[i]);
            cr_assert_eq(state_due(state, POOL_OFFERS, i), 0);
        }
        cr_assert_eq(state_wake_ms(state, POOL_OFFERS), INT64_MAX);
        state_commit(state);
        state_close(state);
    }
}

Test(state_due, one_that_is_overdue_when_it_is_set_comes_at_the_next_look)
{
    struct state *state = open_partition(0);
    state_begin(state, ++batch);
    uint32_t first = add(state, 1), second = add(state, 2);
    state_set_due(state, POOL_OFFERS, first, NOW); /* before the clock was ever set */
    (void)advance(state, NOW - 1);
    state_set_due(state, POOL_OFFERS, second, NOW - 5000000);
    struct told told = advance(state, NOW - 1);
    cr_assert_eq(told.due_ms[second], NOW - 5000000);
    cr_assert_eq(told.count, 1);
    cr_assert_eq(advance(state, NOW).due_ms[first], NOW);
    state_commit(state);
    state_close(state);
}

static int64_t random_ahead(void)
{
    int64_t reach = INT64_C(1) << (rand() % 42);
    return ((int64_t)rand() << 15 ^ rand()) % reach;
}

/* A list of deadlines, looked through from one end to the other, is the reference. wake_ms() may be early, never late. */
Test(state_due, random_sets_moves_deletions_and_deaths_agree_with_a_list)
{
    enum { KEYS = 200, STEPS = 6000 };
    static int64_t due[KEYS], committed[KEYS];
    int64_t now = NOW;
    struct state *state = open_partition(37);
    srand(4711);
    state_begin(state, ++batch);
    for (uint64_t n = 0; n < KEYS; n++)
        cr_assert_eq(add(state, n + 1), n);
    state_set_clock(state, now);
    state_commit(state);
    for (int step = 0; step < STEPS; step++) {
        state_begin(state, ++batch);
        int64_t later = now + (rand() % 8 == 0 ? random_ahead() % (INT64_C(40) * 86400000) : rand() % 300);
        for (int change = rand() % 12; change > 0; change--) {
            uint32_t n = (uint32_t)(rand() % KEYS);
            due[n] = rand() % 5 == 0 ? 0 : now + 1 + random_ahead();
            if (rand() % 10 == 0) { /* gone and back: the same place, no deadline */
                struct rialto_key key = ((const struct state_head *)state_at(state, POOL_OFFERS, n))->key;
                state_delete(state, POOL_OFFERS, n);
                cr_assert_eq(state_insert(state, POOL_OFFERS, key), n);
                cr_assert_eq(state_due(state, POOL_OFFERS, n), 0);
            }
            state_set_due(state, POOL_OFFERS, n, due[n]);
        }
        int64_t wake = state_wake_ms(state, POOL_OFFERS);
        struct told told =
            rand() % 2 ? advance(state, later) : advance_in_turns(state, later, 1 + (uint32_t)rand() % 8);
        for (uint32_t n = 0; n < KEYS; n++) {
            bool over = due[n] != 0 && due[n] <= later;
            cr_assert_eq(told.due_ms[n], over ? due[n] : 0, "step %d, record %u", step, n);
            cr_assert(!over || wake <= due[n], "step %d: it would have slept over %lld", step, (long long)due[n]);
            due[n] = over ? 0 : due[n];
            cr_assert_eq(state_due(state, POOL_OFFERS, n), due[n]);
        }
        if (rand() % 5 == 0) { /* dies */
            state_close(state);
            state = open_partition(37);
            memcpy(due, committed, sizeof due);
        } else {
            state_commit(state);
            memcpy(committed, due, sizeof due);
            now = later;
        }
    }
    state_close(state);
}

/* Goal: what is due in one millisecond goes by turns, over batches and deaths; what is due behind it waits for it, and is not lost. */
Test(state_due, of_many_in_one_millisecond_so_many_are_told_at_a_time)
{
    enum { MANY = 200, MOST = 16 };
    struct state *state = open_partition(11);
    struct told all = { 0 }, none = { 0 };
    state_begin(state, ++batch);
    state_set_clock(state, NOW);
    for (uint64_t n = 0; n < MANY; n++)
        state_set_due(state, POOL_OFFERS, add(state, n + 1), NOW + 70000);
    uint32_t later = add(state, MANY + 1);
    state_set_due(state, POOL_OFFERS, later, NOW + 70001);
    state_advance(state, POOL_OFFERS, NOW + 69999, MOST, &none, tell);
    cr_assert_eq(none.count, 0);
    state_commit(state);
    for (uint32_t turn = 1; turn <= (MANY + MOST) / MOST; turn++) {
        state_begin(state, ++batch);
        struct told lost = all;
        state_advance(state, POOL_OFFERS, NOW + 70000 + turn, MOST, &lost, tell);
        state_close(state); /* dies, and does the batch again */
        state = open_partition(11);
        state_begin(state, batch);
        state_advance(state, POOL_OFFERS, NOW + 70000 + turn, MOST, &all, tell);
        cr_assert_eq(memcmp(&lost, &all, sizeof all), 0, "turn %u: the same ones", turn);
        cr_assert_eq(all.count, turn * MOST < MANY + 1 ? turn * MOST : MANY + 1);
        cr_assert_eq(state_wake_ms(state, POOL_OFFERS) <= NOW + 70000 + turn, all.count < MANY + 1, "turn %u", turn);
        state_commit(state);
    }
    cr_assert_eq(all.due_ms[later], NOW + 70001);
    state_close(state);
}

Test(state_due, cells_and_zones_wait_for_nothing)
{
    struct state *partition = open_partition(5), *common = open_partition(RIALTO_PARTITIONS);
    state_begin(partition, INT64_MAX / 3);
    state_begin(common, INT64_MAX / 3);
    for (uint64_t n = 1; n <= 64; n++) {
        cr_assert_neq(state_insert(partition, POOL_CELLS, (struct rialto_key){ n << 58, n }), STATE_NONE);
        cr_assert_neq(state_insert(common, POOL_ZONES, (struct rialto_key){ n << 58, n }), STATE_NONE);
    }
    cr_assert_eq(state_wake_ms(partition, POOL_CELLS), INT64_MAX);
    cr_assert_eq(state_wake_ms(common, POOL_ZONES), INT64_MAX);
    cr_assert_eq(state_wake_ms(common, POOL_OFFERS), INT64_MAX, "it holds none");
    state_close(partition);
    state_close(common);
}

static int compare(const void *a, const void *b)
{
    const struct timer *x = a, *y = b;
    bool priced = x->pool == POOL_PRODUCTS && y->pool == POOL_PRODUCTS;
    int64_t left[] = { x->pool == POOL_PRODUCTS, priced ? 0 : x->due_ms, x->partition, x->pool, x->index },
            right[] = { y->pool == POOL_PRODUCTS, priced ? 0 : y->due_ms, y->partition, y->pool, y->index };
    for (int i = 0; i < 5; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

Test(timers, they_come_out_in_one_order_and_products_last_as_they_lie_in_memory)
{
    enum { COUNT = 5000 };
    struct timers timers = { 0 };
    srand(7);
    for (int i = 0; i < COUNT; i++)
        cr_assert(timers_add(&timers, (struct timer){ .due_ms = rand() % 100,
                                                      .index = (uint32_t)(rand() % 50),
                                                      .partition = (uint8_t)(rand() % 3),
                                                      .pool = (uint8_t)(rand() % 3) }));
    timers_sort(&timers);
    cr_assert_eq(timers.count, COUNT);
    for (int i = 1; i < COUNT; i++)
        cr_assert(compare(&timers.timer[i - 1], &timers.timer[i]) <= 0);
    timers_fini(&timers);
}
