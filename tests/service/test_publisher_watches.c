/* test_publisher_watches.c - the heap and the maps against plain lists, over many random steps. */
#include "cache/keys.h"
#include "service/publisher_watches.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CUSTOMERS 40u
#define SKUS      12u
#define SKUS_MAX  5u
#define REFRESH   1000

static const uint8_t secret[RIALTO_SECRET_BYTES] = { 7, 1, 9 };
static uint64_t random_state = 88172645463325252u;

static uint32_t roll(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state % n);
}

static struct rialto_key key_of(const char *id)
{
    return key_of_id(secret, id, strlen(id));
}

static struct watch *look(struct watches *watches, uint32_t customer, uint32_t sku, int64_t until, int64_t now,
                          bool *ret_replaced)
{
    char c[16], s[16];
    (void)snprintf(c, sizeof c, "C%u", customer);
    (void)snprintf(s, sizeof s, "sku-%u", sku);
    return watches_add(watches, key_of(c), c, key_of(s), s, until, now, ret_replaced);
}

/* What must hold after every step. */
static void check(const struct watches *watches)
{
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < watches->heap_count; i++) {
        const struct watcher *watcher = watches->heap[i];
        uint32_t live = 0;
        cr_assert_eq(watcher->heap_index, i);
        cr_assert(i == 0 || watches->heap[(i - 1) / 2]->due_ms <= watcher->due_ms, "the earliest is on top");
        cr_assert_eq(watches_customer(watches, watcher->key), watcher);
        for (const struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher, pairs++) {
            live += watch->until_ms != 0;
            cr_assert_eq(watch->watcher, watcher);
            bool linked = false;
            for (const struct watch *w = watch->product->first; w != NULL; w = w->next_of_product)
                linked = linked || w == watch;
            cr_assert(linked, "a product knows its watches");
        }
        cr_assert_eq(watcher->count, live);
        cr_assert_leq(live, SKUS_MAX);
    }
    cr_assert_eq(watches->pairs, pairs);
    cr_assert_eq(watches->offers.count, pairs);
    cr_assert_eq(watches->watchers.count, watches->heap_count);
    cr_assert_leq(watches->products.count, SKUS);
}

static void step(struct watches *watches, int64_t now)
{
    bool replaced = false;
    struct watcher *some = watches->heap_count > 0 ? watches->heap[roll(watches->heap_count)] : NULL;
    switch (some == NULL ? 0 : roll(6)) {
    case 0:
    case 1: {
        struct watch *watch = look(watches, roll(CUSTOMERS), roll(SKUS), now + 1 + roll(5000), now, &replaced);
        if (watch != NULL)
            watch->published = watch->published || roll(2) == 0;
        break;
    }
    case 2: watches_schedule(watches, some, now + roll(3000)); break;
    case 3:
        if (some->first != NULL)
            watch_remove(watches, some->first);
        break;
    case 4:
        if (roll(4) == 0)
            watcher_remove(watches, some);
        break;
    default: watches_product_changed(watches, "sku-3", now); break;
    }
}

Test(watches, heap_and_maps_agree_after_any_steps)
{
    struct watches watches;
    cr_assert(watches_setup(&watches, CUSTOMERS / 2, SKUS_MAX, REFRESH));
    for (int64_t now = 1; now < 30000; now++) {
        step(&watches, now);
        check(&watches);
    }
    watches_unpublished(&watches, 99);
    check(&watches);
    watches_teardown(&watches);
}

Test(watches, customers_over_the_limit_are_refused_and_known_ones_are_not)
{
    struct watches watches;
    bool replaced = false;
    cr_assert(watches_setup(&watches, 16, SKUS_MAX, REFRESH));
    for (uint32_t c = 0; c < 16; c++)
        cr_assert_not_null(look(&watches, c, 1, 100, 1, &replaced));
    cr_assert_null(look(&watches, 16, 1, 100, 1, &replaced));
    cr_assert_not_null(look(&watches, 3, 2, 100, 1, &replaced));
    watcher_remove(&watches, watches_customer(&watches, key_of("C5")));
    cr_assert_not_null(look(&watches, 16, 1, 100, 1, &replaced));
    check(&watches);
    watches_teardown(&watches);
}

Test(watches, a_change_makes_due_at_once_or_when_the_interval_is_over)
{
    struct watches watches;
    bool replaced = false;
    cr_assert(watches_setup(&watches, 16, SKUS_MAX, REFRESH));
    struct watch *watch = look(&watches, 1, 1, 60000, 10, &replaced);
    cr_assert_eq(watches_due(&watches, 10), watch->watcher, "a new pair is due at once");
    watch->dirty = false;
    watch->refreshed_ms = 10;
    watches_schedule(&watches, watch->watcher, 60000);
    cr_assert_null(watches_due(&watches, 500));
    watches_product_changed(&watches, "sku-1", 500);
    cr_assert_null(watches_due(&watches, 1009));
    cr_assert_eq(watches_due(&watches, 1010), watch->watcher);
    watches_teardown(&watches);
}

struct told {
    uint32_t count;
    char sku[SKUS_MAX][16];
    int64_t until_ms[SKUS_MAX];
};

static void note_told(void *user, const char *sku, int64_t until_ms)
{
    struct told *told = user;
    cr_assert_lt(told->count, SKUS_MAX);
    (void)snprintf(told->sku[told->count], sizeof told->sku[0], "%s", sku);
    told->until_ms[told->count++] = until_ms;
}

Test(watches, what_a_customer_looks_at_is_told_with_its_end_and_nothing_of_others)
{
    struct watches watches;
    struct told told = { 0 };
    bool replaced;
    cr_assert(watches_setup(&watches, CUSTOMERS, SKUS_MAX, REFRESH));
    (void)look(&watches, 1, 0, 9000, 10, &replaced);
    (void)look(&watches, 2, 1, 9000, 10, &replaced);
    for (uint32_t sku = 2; sku <= SKUS_MAX + 1; sku++)
        (void)look(&watches, 1, sku, 9000 + sku, 10, &replaced);
    cr_assert(replaced, "sku-0 made room");

    watches_tell(&watches, key_of("C1"), note_told, &told);
    cr_assert_eq(told.count, SKUS_MAX);
    for (uint32_t i = 0; i < told.count; i++) {
        char sku[16];
        (void)snprintf(sku, sizeof sku, "sku-%u", SKUS_MAX + 1 - i); /* the newest first */
        cr_assert_str_eq(told.sku[i], sku);
        cr_assert_eq(told.until_ms[i], 9000 + (int64_t)(SKUS_MAX + 1 - i));
    }
    told.count = 0;
    watches_tell(&watches, key_of("C3"), note_told, &told);
    cr_assert_eq(told.count, 0);
    watches_teardown(&watches);
}
