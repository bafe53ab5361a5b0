/* Goal: committed batches stay, open ones are undone, and indexes and lists always agree with the records. */
#include "service/state.h"
#include "service/state_parts.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct config config;

/* Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
static uint64_t splitmix(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void setup(void)
{
    memset(&config, 0, sizeof config);
    strcpy(config.data_dir, "/tmp/rialto-state-XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
    config.products_max = config.cells_max = config.customers_max = config.offers_max = 64;
    config.zones_max = 64;
    config.ids_max = 1024;
    config.batch_signals_max = 16;
}

static void teardown(void)
{
    char command[CONFIG_TEXT_MAX + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", config.data_dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(state, .init = setup, .fini = teardown);

static struct state *open_partition(bool *ret_fresh)
{
    struct state *state = NULL;
    cr_assert_eq(state_open(&config, 3, 0, &state, ret_fresh), RIALTO_OK);
    return state;
}

static struct rialto_key key(uint64_t n)
{
    return (struct rialto_key){ n * UINT64_C(0x9E3779B97F4A7C15), n };
}

static void put(struct state *state, uint64_t n, const char *sku)
{
    uint32_t at = state_insert(state, POOL_PRODUCTS, key(n));
    cr_assert_neq(at, STATE_NONE);
    struct product_record *record = state_touch(state, POOL_PRODUCTS, at);
    strcpy(record->sku, sku);
}

static const char *sku_of(struct state *state, uint64_t n)
{
    uint32_t at = state_find(state, POOL_PRODUCTS, key(n));
    return at == STATE_NONE ? NULL : ((struct product_record *)state_at(state, POOL_PRODUCTS, at))->sku;
}

Test(state, what_was_committed_is_there_after_reopening)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    cr_assert(fresh);
    state_begin(state, 7);
    put(state, 1, "milk");
    state_commit(state);
    state_close(state);

    state = open_partition(&fresh);
    cr_assert_not(fresh);
    cr_assert_eq(state_applied(state), 7);
    cr_assert_str_eq(sku_of(state, 1), "milk");
    state_close(state);
}

/* What the kernel says of the part of our file from this offset on: " rr" among its flags is "do not read ahead". */
static bool is_read_by_page(uint64_t wanted)
{
    char line[1024];
    bool ours = false, found = false, by_page = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t from, to, offset;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &from, &to, &offset) == 3) {
            ours = strstr(line, config.data_dir) != NULL && wanted >= offset && wanted < offset + (to - from);
            found = found || ours;
        } else if (ours && strncmp(line, "VmFlags:", 8) == 0) {
            by_page = strstr(line, " rr") != NULL;
        }
    }
    (void)fclose(file);
    cr_assert(found, "nothing is mapped at %#" PRIx64, wanted);
    return by_page;
}

/* Goal: the first batches of a new file do not wait for zeros far behind what they write; records are read as the disk likes it. */
Test(state, only_its_journal_is_not_read_ahead)
{
    for (int opened = 0; opened < 2; opened++) { /* a new file, and one that is there */
        bool fresh;
        struct state *state = open_partition(&fresh);
        cr_assert_eq(fresh, opened == 0);
        cr_assert(is_read_by_page(state->file->journal_offset));
        cr_assert(is_read_by_page(state->file->file_bytes - 1));
        cr_assert_not(is_read_by_page(0));
        cr_assert_not(is_read_by_page(state->file->journal_offset - 1));
        state_set_applied(state, 0);
        state_close(state);
    }
}

Test(state, a_file_that_was_never_filled_is_fresh_again)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_close(state); /* its owner ended before it had read Redis */
    state = open_partition(&fresh);
    cr_assert(fresh);
    state_set_applied(state, 0);
    state_close(state);
    state = open_partition(&fresh);
    cr_assert_not(fresh);
    state_close(state);
}

Test(state, an_open_batch_is_undone_whatever_it_did)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 7);
    put(state, 1, "milk");
    put(state, 2, "bread");
    state_remember(state, 99, 1000);
    state_commit(state);

    state_begin(state, 9); /* the owner dies inside this one */
    strcpy(((struct product_record *)state_touch(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1))))->sku, "cream");
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(2)));
    put(state, 3, "eggs");
    state_remember(state, 100, 1000);
    state_remember(state, 101, 1000);
    state_close(state);

    state = open_partition(&fresh);
    cr_assert_eq(state_applied(state), 7);
    cr_assert_str_eq(sku_of(state, 1), "milk");
    cr_assert_str_eq(sku_of(state, 2), "bread");
    cr_assert_null(sku_of(state, 3));
    cr_assert(state_seen(state, 99, 1000));
    cr_assert_not(state_seen(state, 100, 1000));
    cr_assert_not(state_seen(state, 101, 1000));
    cr_assert_eq(state_used(state, POOL_PRODUCTS), 2);
    state_close(state);
}

Test(state, a_batch_lists_what_it_changed_with_the_images_before)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    put(state, 1, "milk");
    state_commit(state);
    state_begin(state, 2);
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1)));
    put(state, 2, "bread"); /* takes the same place */
    state_commit(state);

    uint64_t at = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    cr_assert(state_changed(state, &at, &pool, &index, &old));
    cr_assert_eq(old->key.hi, 1);
    cr_assert_eq(((struct state_head *)state_at(state, pool, index))->key.hi, 2);
    cr_assert_not(state_changed(state, &at, &pool, &index, &old), "one record, listed once");
    cr_assert_eq(state_deleted(state), 2);
    state_close(state);
}

/* ---- a cell of which only the price or the demand is saved ------------------------------------------------------------------------ */

/* A committed cell in which no byte is what a fresh record has there. */
static uint32_t put_cell(struct state *state, struct cell_record *ret)
{
    state_begin(state, 1);
    uint32_t at = state_insert(state, POOL_CELLS, key(5));
    struct cell_record *record = state_touch(state, POOL_CELLS, at);
    uint64_t seed = 1;
    for (unsigned char *byte = (unsigned char *)(&record->head + 1); byte < (unsigned char *)(record + 1); byte++)
        *byte = (unsigned char)(splitmix(&seed) | 1u);
    state_commit(state);
    *ret = *record;
    return at;
}

static void change_price(struct state *state, uint32_t at)
{
    struct cell_record *record = state_touch_price(state, at);
    record->opened ^= 1u;
    record->guards ^= 255u;
    memset(&record->published, 'p', offsetof(struct cell_record, demand) - offsetof(struct cell_record, published));
}

static void change_demand(struct state *state, uint32_t at)
{
    struct cell_record *record = state_touch_demand(state, at);
    record->event_count++;
    memset(&record->demand, 'd', sizeof record->demand);
    memset(&record->rates, 'r', sizeof record->rates);
}

static void change_all(struct state *state, uint32_t at)
{
    struct cell_record *record = state_touch(state, POOL_CELLS, at);
    memset(&record->head + 1, 'a', sizeof *record - sizeof record->head);
}

Test(state, a_part_is_undone_to_the_last_byte_in_whatever_order_its_cell_was_touched)
{
    void (*const change[])(struct state *, uint32_t) = { NULL, change_price, change_demand, change_all };
    void (*order[64][3])(struct state *, uint32_t);
    for (size_t i = 0; i < 64; i++)
        for (size_t n = 0; n < 3; n++)
            order[i][n] = change[i >> 2 * n & 3u];
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        bool fresh;
        struct cell_record before;
        struct state *state = open_partition(&fresh);
        uint32_t at = put_cell(state, &before);
        state_begin(state, 2); /* the owner dies inside this one */
        for (unsigned n = 0; n < 3; n++)
            if (order[i][n] != NULL)
                order[i][n](state, at);
        cr_assert_eq(memcmp(state_at(state, POOL_CELLS, at), &before, sizeof before) == 0, i == 0);
        state_close(state);

        state = open_partition(&fresh);
        cr_assert_eq(memcmp(state_at(state, POOL_CELLS, at), &before, sizeof before), 0, "order %zu", i);
        state_begin(state, 2); /* the same batch again, and once more a death */
        change_all(state, at);
        state_close(state);
        state = open_partition(&fresh);
        cr_assert_eq(memcmp(state_at(state, POOL_CELLS, at), &before, sizeof before), 0, "order %zu, again", i);
        state_close(state);
        teardown();
        setup();
    }
}

/* How often a cell is listed with what was published before (*ret, the first time), and how often for its demand. */
static void count_listed(const struct state *state, unsigned *ret_with, unsigned *ret_demand, int64_t *ret)
{
    uint64_t from = 0, ahead = 0;
    enum state_pool pool;
    uint32_t index, seen = 0, of_demand = 0;
    const struct state_head *head;
    *ret_with = *ret_demand = 0;
    while (state_changed(state, &from, &pool, &index, &head))
        if ((*ret_with)++ == 0)
            *ret = ((const struct cell_record *)(const void *)head)->published;
    while (state_changed_at(state, &ahead, &pool, &index))
        seen++;
    while (state_changed_demand(state, &of_demand, &index))
        (*ret_demand)++;
    cr_assert_eq(seen, *ret_with);
}

Test(state, a_cell_is_listed_with_its_price_unless_demand_alone_was_touched)
{
    void (*const change[])(struct state *, uint32_t) = { NULL, change_price, change_demand, change_all };
    bool fresh;
    struct cell_record before;
    struct state *state = open_partition(&fresh);
    uint32_t at = put_cell(state, &before);
    for (uint64_t i = 1; i < 64; i++) {
        int64_t published = ((const struct cell_record *)state_at(state, POOL_CELLS, at))->published, listed = 0;
        bool price = false, demand = false;
        state_begin(state, i + 1);
        for (unsigned n = 0; n < 3; n++) {
            unsigned what = (unsigned)(i >> 2 * n & 3u);
            if (what == 0)
                continue;
            change[what](state, at);
            demand = demand || what == 2;
            price = price || what != 2;
        }
        state_commit(state);
        unsigned with, by_demand;
        count_listed(state, &with, &by_demand, &listed);
        cr_assert_eq(with, price ? 1 : 0, "order %u", (unsigned)i);
        cr_assert_leq(by_demand, demand ? 1 : 0, "order %u", (unsigned)i);
        cr_assert_geq(with + by_demand, 1, "order %u", (unsigned)i);
        cr_assert(!price || listed == published, "order %u", (unsigned)i);
        if (i % 7 != 0)
            continue;
        state_close(state); /* what was committed is listed for the next owner, too */
        state = open_partition(&fresh);
        unsigned again, demand_again;
        count_listed(state, &again, &demand_again, &listed);
        cr_assert(again == with && demand_again == by_demand && (!price || listed == published), "order %u",
                  (unsigned)i);
    }
    state_close(state);
}

Test(state, a_price_that_changed_is_listed_once_with_what_stood_before)
{
    bool fresh;
    struct cell_record before;
    struct state *state = open_partition(&fresh);
    uint32_t at = put_cell(state, &before), index;
    state_begin(state, 2);
    change_price(state, at);
    change_all(state, at);
    state_commit(state);
    state_begin(state, 3);
    change_price(state, at);
    change_price(state, at);
    state_commit(state);

    uint64_t from = 0, ahead = 0;
    enum state_pool pool;
    const struct state_head *head;
    cr_assert(state_changed(state, &from, &pool, &index, &head));
    const struct cell_record *old = (const void *)head;
    cr_assert_eq(pool, POOL_CELLS);
    cr_assert_eq(index, at);
    cr_assert_eq(old->head.key.hi, 5);
    cr_assert_eq(old->published, INT64_C(0x6161616161616161), "what batch 2 left");
    cr_assert_eq(old->guards, 'a');
    cr_assert_eq(old->factor_micro[3], 0x61616161);
    cr_assert_eq(old->list, INT64_C(0x6161616161616161));
    cr_assert_not(state_changed(state, &from, &pool, &index, &head));
    cr_assert(state_changed_at(state, &ahead, &pool, &index));
    cr_assert_eq(index, at);
    cr_assert_not(state_changed_at(state, &ahead, &pool, &index));
    state_close(state);
}

Test(state, the_journal_has_room_for_every_cell_by_its_price_first)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    uint32_t capacity = state_capacity(state, POOL_CELLS);
    for (uint32_t i = 0; i < capacity; i++)
        cr_assert_neq(state_insert(state, POOL_CELLS, key(100 + i)), STATE_NONE);
    state_commit(state);
    state_begin(state, 2);
    for (uint32_t i = 0; i < capacity; i++)
        change_price(state, i);
    for (uint32_t i = 0; i < capacity; i++)
        state_delete(state, POOL_CELLS, i);
    state_close(state);
    state = open_partition(&fresh);
    cr_assert_eq(state_used(state, POOL_CELLS), capacity);
    for (uint32_t i = 0; i < capacity; i++)
        cr_assert_eq(((const struct cell_record *)state_at(state, POOL_CELLS, i))->published, 0);
    state_close(state);
}

static long faults_so_far(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_minflt + usage.ru_majflt;
}

static void price_all(struct state *state, uint64_t batch)
{
    state_begin(state, batch);
    for (uint32_t i = 0; i < state_end(state, POOL_CELLS); i++)
        change_price(state, i);
    for (uint32_t i = 0; i < state_end(state, POOL_PRODUCTS); i++)
        state_set_due(state, POOL_PRODUCTS, i, 1000 + (int64_t)batch);
    state_commit(state);
}

/* All pages that other prices are written to, but for a few: the header, "newest", heads of deadlines. */
Test(state, what_is_said_to_be_written_by_other_prices_is_all_of_it)
{
    bool fresh;
    config.products_max = config.cells_max = 64 * 2000;
    struct state *state = open_partition(&fresh);
    if (!ahead_make_writable((struct pages){ state->file, 1 }))
        cr_skip_test("this kernel does not make pages writable beforehand");
    state_begin(state, 1);
    for (uint32_t i = 0; i < state_capacity(state, POOL_CELLS); i++)
        cr_assert_neq(state_insert(state, POOL_CELLS, key(100 + i)), STATE_NONE);
    for (uint32_t i = 0; i < state_capacity(state, POOL_PRODUCTS); i++)
        cr_assert_neq(state_insert(state, POOL_PRODUCTS, key(100 + i)), STATE_NONE);
    state_commit(state);
    price_all(state, 2); /* what lies beside the file is not met first from here on */

    cr_assert_eq(madvise(state->file, state->bytes, MADV_DONTNEED),
                 0); /* of a file's pages, which stay, this process loses sight */
    struct ahead_step step = state_ahead(state);
    size_t pages = 0;
    for (uint32_t i = 0; i < AHEAD_PARTS; i++) {
        cr_assert(ahead_make_writable(step.part[i]));
        pages += step.part[i].bytes / STATE_PAGE;
    }
    long before = faults_so_far();
    price_all(state, 3);
    long faults = faults_so_far() - before;
    cr_expect_leq(faults, 16, "%ld faults", faults);
    cr_expect_geq(pages, 2000u * (sizeof(struct cell_record) + sizeof(struct price_image)) / STATE_PAGE,
                  "there were many to be met");
    state_close(state);
}

Test(state, a_wiped_journal_holds_no_old_image)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    put(state, 1, "SECRETMILK");
    state_commit(state);
    state_begin(state, 2);
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1)));
    state_commit(state);
    state_wipe_journal(state);
    state_close(state);
    char command[CONFIG_TEXT_MAX + 64];
    (void)snprintf(command, sizeof command, "! grep -rq SECRETMILK '%s'", config.data_dir);
    cr_assert_eq(system(command), 0);
}

Test(state, a_batch_that_is_undone_leaves_no_image_behind)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    put(state, 1, "SECRETMILK");
    state_commit(state);
    state_begin(state, 2);
    struct product_record *record = state_touch(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1)));
    strcpy(record->sku, "OTHER");
    state_close(state); /* as a death would leave it: the image is in the journal */
    state = open_partition(&fresh);
    cr_assert_str_eq(sku_of(state, 1), "SECRETMILK", "undone");
    state_begin(state, 2);
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1)));
    state_commit(state);
    state_wipe_journal(state);
    state_close(state);
    char command[CONFIG_TEXT_MAX + 64];
    (void)snprintf(command, sizeof command, "! grep -rq SECRETMILK '%s'", config.data_dir);
    cr_assert_eq(system(command), 0);
}

Test(state, a_line_that_could_not_be_written_is_known_after_a_restart_and_an_undo)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    uint32_t cell = state_insert(state, POOL_CELLS, key(1));
    state_commit(state);
    cr_assert_not(state_line_stale(state, cell));
    state_set_line_stale(state, cell, true);
    state_begin(state, 2);
    state_delete(state, POOL_CELLS, cell); /* its link is saved and changed */
    state_close(state);
    state = open_partition(&fresh);
    cr_assert_not(fresh);
    cr_assert(state_line_stale(state, cell));
    state_set_line_stale(state, cell, false);
    state_close(state);
    state = open_partition(&fresh);
    cr_assert_not(state_line_stale(state, cell));
    state_close(state);
}

Test(state, ids_are_remembered_for_a_window_and_not_for_ever)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    int64_t now = INT64_C(1700000000000);
    state_begin(state, 1);
    state_remember(state, 42, now);
    state_commit(state);
    cr_assert(state_seen(state, 42, now));
    cr_assert(state_seen(state, 42, now + 599999), "ten minutes, at least");
    cr_assert_not(state_seen(state, 42, now + 1200000), "twenty, at most");
    cr_assert_not(state_seen(state, 43, now));
    state_close(state);
}

Test(state, as_many_ids_as_configured_are_remembered_whatever_their_hashes)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    int64_t now = INT64_C(1700000000000);
    uint64_t seed = 7;
    for (uint64_t window = 0; window < 300; window++, now += 600000) {
        uint64_t first = seed;
        for (uint32_t batch = 0; batch < config.ids_max / 64; batch++) {
            state_begin(state, state_applied(state) + 1);
            for (int i = 0; i < 64; i++)
                state_remember(state, splitmix(&seed), now);
            state_commit(state);
        }
        for (uint32_t i = 0; i < config.ids_max; i++)
            cr_assert(state_seen(state, splitmix(&first), now + 599999), "id %u of window %lu", i, (unsigned long)window);
    }
    state_close(state);
}

/* Goal: what a batch reports of its ids is enough to remember them in another file, as Redis does, through two windows and more. */
Test(state, ids_taken_elsewhere_word_by_word_are_remembered_there)
{
    enum { WINDOWS = 5 };
    static uint64_t kept[STATE_ID_GENERATIONS][4096];
    size_t count[STATE_ID_GENERATIONS] = { 0 };
    bool fresh;
    struct state *state = open_partition(&fresh);
    int64_t start = INT64_C(1700000000000) / 600000 * 600000;
    uint64_t seed = 5;
    for (uint64_t batch = 0; batch < 10 * WINDOWS; batch++) {
        uint64_t at = 0, word;
        uint32_t generation;
        bool first;
        state_begin(state, batch + 1);
        for (int i = 0; i < 50; i++)
            state_remember(state, splitmix(&seed), start + (int64_t)batch * 60000);
        state_commit(state);
        while (state_id_changed(state, &at, &generation, &word, &first)) {
            if (first)
                count[generation] = 0;
            kept[generation][count[generation]++] = word;
        }
    }
    state_close(state);
    char command[CONFIG_TEXT_MAX + 64];
    (void)snprintf(command, sizeof command, "rm -r '%s/state'", config.data_dir);
    cr_assert_eq(system(command), 0);
    state = open_partition(&fresh);
    cr_assert(fresh);
    for (uint32_t generation = 0; generation < STATE_ID_GENERATIONS; generation++) {
        cr_assert_eq(count[generation], 500, "one window, of %zu", count[generation]);
        for (size_t i = 0; i < count[generation]; i++)
            state_load_id(state, kept[generation][i]);
    }
    int64_t now = start + (10 * WINDOWS - 1) * 60000;
    for (uint64_t i = 0, again = 5; i < 50 * 10 * WINDOWS; i++)
        cr_assert_eq(state_seen(state, splitmix(&again), now), i >= 50 * 10 * (WINDOWS - 2), "id %lu", (unsigned long)i);
    state_close(state);
}

Test(state, random_changes_and_deaths_agree_with_a_reference_map)
{
    enum { KEYS = 60, STEPS = 4000 };
    char committed[KEYS][16] = {{0}}, open[KEYS][16];
    bool fresh;
    struct state *state = open_partition(&fresh);
    uint64_t batch = 0;
    srand(12345);
    for (int step = 0; step < STEPS; step++) {
        memcpy(open, committed, sizeof open);
        state_begin(state, ++batch);
        for (int change = rand() % 8; change >= 0; change--) {
            uint64_t n = (uint64_t)(rand() % KEYS);
            uint32_t at = state_find(state, POOL_PRODUCTS, key(n + 1));
            cr_assert_eq(at != STATE_NONE, open[n][0] != '\0');
            if (at != STATE_NONE && rand() % 2) {
                state_delete(state, POOL_PRODUCTS, at);
                open[n][0] = '\0';
                continue;
            }
            (void)snprintf(open[n], sizeof open[n], "v%d", step);
            if (at == STATE_NONE)
                put(state, n + 1, open[n]);
            else
                strcpy(((struct product_record *)state_touch(state, POOL_PRODUCTS, at))->sku, open[n]);
        }
        if (rand() % 4 == 0) { /* dies */
            state_close(state);
            state = open_partition(&fresh);
        } else {
            state_commit(state);
            memcpy(committed, open, sizeof open);
        }
        for (uint64_t n = 0; n < KEYS; n++) {
            const char *sku = sku_of(state, n + 1);
            cr_assert_str_eq(sku == NULL ? "" : sku, committed[n]);
        }
    }
    state_close(state);
}

Test(state, a_full_pool_refuses_and_goes_on)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    uint32_t capacity = state_capacity(state, POOL_PRODUCTS);
    for (uint64_t n = 1; n <= capacity; n++)
        cr_assert_neq(state_insert(state, POOL_PRODUCTS, key(n)), STATE_NONE);
    cr_assert_eq(state_insert(state, POOL_PRODUCTS, key(capacity + 1)), STATE_NONE);
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1)));
    cr_assert_neq(state_insert(state, POOL_PRODUCTS, key(capacity + 1)), STATE_NONE);
    state_commit(state);
    state_close(state);
}

/* ---- owners' lists ------------------------------------------------------------------------------------------ */

Test(state, lists_of_owners_follow_joining_leaving_deletion_and_undo)
{
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    uint32_t customer = state_insert(state, POOL_CUSTOMERS, key(1)), offer[4];
    for (uint64_t i = 0; i < 4; i++) {
        offer[i] = state_insert(state, POOL_OFFERS, key(10 + i));
        state_join(state, POOL_OFFERS, offer[i], customer);
    }
    state_commit(state);

    state_begin(state, 2); /* dies in it */
    state_delete(state, POOL_OFFERS, offer[2]);
    state_leave(state, POOL_OFFERS, offer[3]);
    cr_assert_eq(state_count(state, POOL_OFFERS, customer), 2);
    state_close(state);

    state = open_partition(&fresh);
    uint32_t at = state_first(state, POOL_OFFERS, customer);
    for (int i = 3; i >= 0; i--, at = state_next(state, POOL_OFFERS, at)) {
        cr_assert_eq(at, offer[i]);
        cr_assert_eq(state_owner(state, POOL_OFFERS, at), customer);
    }
    cr_assert_eq(at, STATE_NONE);
    state_close(state);
}

/* Goal: whoever explains a price knows the tick it was computed at, after a restart too; never one that is still to come. */
Test(state, the_tick_of_the_last_prices_outlives_a_restart_and_lies_never_ahead)
{
    const int64_t tick = INT64_C(1795600000000);
    bool fresh;
    struct state *state = open_partition(&fresh);
    state_begin(state, 1);
    put(state, 1, "milk");
    state_commit(state);
    uint32_t at = state_find(state, POOL_PRODUCTS, key(1));
    cr_assert_eq(state_priced_ms(state, at, tick), tick, "not known: now");
    state_set_priced(state, at, tick);
    state_close(state);
    state = open_partition(&fresh);
    cr_assert_eq(state_priced_ms(state, at, tick + 3600000), tick);
    cr_assert_eq(state_priced_ms(state, at, tick), tick);
    cr_assert_eq(state_priced_ms(state, at, tick - 100), tick - 100, "of a batch that was undone");
    state_close(state);
}

Test(state, what_may_have_changed_is_found_by_blocks)
{
    bool fresh;
    config.products_max = 64 * 1000;
    struct state *state = open_partition(&fresh);
    uint32_t capacity = state_capacity(state, POOL_PRODUCTS);
    state_begin(state, 5);
    for (uint64_t n = 1; n <= capacity; n++)
        put(state, n, "x");
    state_commit(state);
    cr_assert_eq(state_next_newer(state, POOL_PRODUCTS, 0, 4), 0);
    cr_assert_eq(state_next_newer(state, POOL_PRODUCTS, 0, 5), capacity);
    state_begin(state, 6);
    (void)state_touch(state, POOL_PRODUCTS, 700);
    state_commit(state);
    uint32_t at = state_next_newer(state, POOL_PRODUCTS, 0, 5);
    cr_assert(at <= 700 && at + STATE_BLOCK > 700);
    cr_assert_eq(state_next_newer(state, POOL_PRODUCTS, 701 / STATE_BLOCK * STATE_BLOCK + STATE_BLOCK, 5), capacity);
    state_close(state);
}

/* ---- an open costs what was changed, not what is there -------------------------------------------------------- */

static long pages_touched_by_opening(uint32_t records)
{
    bool fresh;
    config.products_max = records;
    struct state *state = open_partition(&fresh);
    cr_assert(fresh);
    state_begin(state, 1);
    uint64_t capacity = state_capacity(state, POOL_PRODUCTS);
    for (uint64_t n = 1; n <= capacity; n++)
        put(state, n, "x");
    state_commit(state);
    state_begin(state, 2); /* and a death with something to undo */
    for (uint64_t n = 1; n <= 20; n++)
        state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(n)));
    state_close(state);
    struct rusage before, after;
    cr_assert_eq(getrusage(RUSAGE_SELF, &before), 0);
    state = open_partition(&fresh);
    cr_assert_eq(getrusage(RUSAGE_SELF, &after), 0);
    cr_assert_not(fresh);
    cr_assert_eq(state_used(state, POOL_PRODUCTS), capacity);
    cr_assert_not_null(sku_of(state, 20));
    state_close(state);
    return after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt;
}

Test(state, opening_a_hundred_times_more_records_touches_no_more_pages)
{
    long few = pages_touched_by_opening(64 * 200), many = pages_touched_by_opening(64 * 20000);
    cr_log_info("page faults: %ld, %ld\n", few, many);
    cr_assert(many <= few + 200, "%ld pages for 250 records, %ld for 25,000", few, many);
}

/* ---- death at any instruction ------------------------------------------------------------------------------------ */

static void change_everything(struct state *state)
{
    state_begin(state, 2);
    strcpy(((struct product_record *)state_touch(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(1))))->sku, "cream");
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(2)));
    put(state, 4, "eggs");
    uint32_t customer = state_find(state, POOL_CUSTOMERS, key(20));
    uint32_t offer = state_insert(state, POOL_OFFERS, key(33));
    state_join(state, POOL_OFFERS, offer, customer);
    state_set_due(state, POOL_OFFERS, offer, 500000);
    state_set_due(state, POOL_OFFERS, state_find(state, POOL_OFFERS, key(31)), 70000);
    state_delete(state, POOL_OFFERS, state_find(state, POOL_OFFERS, key(30)));
    uint32_t cell = state_find(state, POOL_CELLS, key(40));
    state_touch_demand(state, cell)->event_count = 9;
    state_touch_price(state, cell)->published = 95;
    ((struct cell_record *)state_touch(state, POOL_CELLS, cell))->list = 90;
    state_touch_price(state, cell)->floor = 50;
    state_remember(state, 100, 1000);
    state_commit(state);
}

static void prepare_everything(struct state *state)
{
    state_begin(state, 1);
    put(state, 1, "milk");
    put(state, 2, "bread");
    put(state, 3, "salt");
    uint32_t customer = state_insert(state, POOL_CUSTOMERS, key(20));
    for (uint64_t n = 30; n < 33; n++) {
        uint32_t offer = state_insert(state, POOL_OFFERS, key(n));
        state_join(state, POOL_OFFERS, offer, customer);
        state_set_due(state, POOL_OFFERS, offer, (int64_t)n * 1000);
    }
    struct cell_record *cell = state_touch(state, POOL_CELLS, state_insert(state, POOL_CELLS, key(40)));
    cell->list = cell->published = 100;
    state_commit(state);
}

static void note_fired(void *user, enum state_pool pool, uint32_t index, int64_t due_ms)
{
    (void)pool;
    (void)index;
    *(int64_t *)user += due_ms;
}

/* Everything as before the batch, or everything as after it; and it can be worked with. */
static void check_either(struct state *state, int step)
{
    bool after = state_applied(state) == 2;
    cr_assert(after || state_applied(state) == 1);
    cr_assert_str_eq(sku_of(state, 1), after ? "cream" : "milk", "step %d", step);
    cr_assert_eq(sku_of(state, 2) == NULL, after, "step %d", step);
    cr_assert_str_eq(sku_of(state, 3), "salt");
    cr_assert_eq(sku_of(state, 4) != NULL, after, "step %d", step);
    cr_assert_eq(state_used(state, POOL_PRODUCTS), 3);
    cr_assert_eq(state_used(state, POOL_OFFERS), 3);
    cr_assert_eq(state_seen(state, 100, 1000), after);
    const struct cell_record *cell = state_at(state, POOL_CELLS, state_find(state, POOL_CELLS, key(40)));
    cr_assert_eq(cell->published, after ? 95 : 100, "step %d", step);
    cr_assert_eq(cell->list, after ? 90 : 100, "step %d", step);
    cr_assert_eq(cell->floor, after ? 50 : 0, "step %d", step);
    cr_assert_eq(cell->event_count, after ? 9 : 0, "step %d", step);
    uint32_t count = 0;
    for (uint32_t at = state_first(state, POOL_OFFERS, 0); at != STATE_NONE; at = state_next(state, POOL_OFFERS, at))
        count++;
    cr_assert_eq(count, 3, "step %d", step);
    cr_assert_eq(state_find(state, POOL_OFFERS, key(33)) != STATE_NONE, after);
    int64_t fired = 0;
    state_begin(state, 3);
    state_advance(state, POOL_OFFERS, 1000000, UINT32_MAX, &fired, note_fired);
    cr_assert_eq(fired, after ? 500000 + 70000 + 32000 : 30000 + 31000 + 32000, "step %d: %lld", step, (long long)fired);
    state_delete(state, POOL_PRODUCTS, state_find(state, POOL_PRODUCTS, key(3)));
    put(state, 5, "rice");
    put(state, 6, "oats");
    cr_assert_str_eq(sku_of(state, 6), "oats");
    state_commit(state);
}

static size_t whole_file(const char *path, void **ret)
{
    struct stat info;
    int fd = open(path, O_RDONLY);
    cr_assert(fd != -1 && fstat(fd, &info) == 0);
    *ret = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert_neq(*ret, MAP_FAILED);
    (void)close(fd);
    return (size_t)info.st_size;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd != -1 && write(fd, bytes, size) == (ssize_t)size);
    (void)close(fd);
}

static void state_path(char ret[CONFIG_TEXT_MAX + 32])
{
    (void)snprintf(ret, CONFIG_TEXT_MAX + 32, "%s/state/p03.v%u", config.data_dir, STATE_LAYOUT);
}

/* The child runs the batch one instruction at a time; whenever a byte of the file has changed, what is in the file then is what a
 * death at that instruction leaves, and is opened by a successor. Each store of the batch is a step of its own. */
Test(state, a_death_at_any_store_leaves_the_batch_whole_or_undone, .timeout = 120)
{
    bool fresh;
    char path[CONFIG_TEXT_MAX + 32], original[CONFIG_TEXT_MAX];
    config.products_max = config.cells_max = config.customers_max = config.offers_max = 1;
    config.ids_max = 64;
    struct state *state = open_partition(&fresh);
    prepare_everything(state);
    state_path(path);
    void *now;
    size_t size = whole_file(path, &now);
    char *last = malloc(size);
    cr_assert_not_null(last);
    memcpy(last, now, size);
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
            _exit(3);
        (void)raise(SIGSTOP);
        change_everything(state);
        _exit(0);
    }
    strcpy(original, config.data_dir);
    strcat(config.data_dir, "/died");
    cr_assert_eq(mkdir(config.data_dir, 0700), 0);
    char copy[CONFIG_TEXT_MAX + 32], folder[CONFIG_TEXT_MAX + 8];
    (void)snprintf(folder, sizeof folder, "%s/state", config.data_dir);
    cr_assert_eq(mkdir(folder, 0700), 0);
    state_path(copy);
    int status, deaths = 0;
    long instructions = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSTOPPED(status), "it cannot be traced here");
    for (;; instructions++) {
        cr_assert_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status))
            break;
        if (memcmp(last, now, size) == 0)
            continue;
        memcpy(last, now, size);
        write_file(copy, last, size);
        struct state *successor = open_partition(&fresh);
        cr_assert_not(fresh);
        check_either(successor, deaths++);
        state_close(successor);
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_log_info("%ld instructions, %d deaths\n", instructions, deaths);
    cr_assert(deaths > 100, "only %d", deaths); /* 129 where a compiler stores a vector at once */
    strcpy(config.data_dir, original);
    free(last);
    (void)munmap(now, size);
    state_close(state);
}
