/* table.c - quotes beside an owner that inserts, changes and deletes at full speed.
 *
 * Products that stay must be found by every single quote, whatever comes and goes in the lines around them, and every
 * quote must be of one version: list = 3 x baseline + 7, ceiling = baseline + 5. */
#include "cache/table.h"
#include "cache/keys.h"
#include "tests/race/race.h"

#include <pthread.h>
#include <rialto/quote.h>
#include <string.h>
#include <unistd.h>

#define STAYING 60
#define COMING  200
#define READERS 2u

static struct cache_plan plan;
static struct cache *cache;
static struct rialto *prices;
static atomic_bool stop;
static char sku[STAYING + COMING][16];
static struct rialto_key sku_key[STAYING + COMING];

static void put(int number, int64_t baseline)
{
    struct rialto_cell_line line = {
        .key = key_pair(sku_key[number], key_of_world(plan.secret)),
        .baseline = baseline,
        .list = 3 * baseline + 7,
        .hi_place = (uint64_t)(baseline + 5),
    };
    uint64_t slot = 0;
    uint32_t partition = key_partition(sku_key[number]);
    if (table_claim(cache, RIALTO_TABLE_CELLS, partition, line.key, &slot) == RIALTO_OK)
        (void)table_write(cache, RIALTO_TABLE_CELLS, partition, slot, &line);
}

static void drop(int number)
{
    uint32_t partition = key_partition(sku_key[number]);
    struct rialto_key key = key_pair(sku_key[number], key_of_world(plan.secret));
    uint64_t slot = table_find(cache, RIALTO_TABLE_CELLS, partition, key);
    if (slot != SLOT_NONE)
        table_delete(cache, RIALTO_TABLE_CELLS, partition, slot);
}

/* Skus of one partition only, so that they crowd in one small segment. */
static void choose_skus(void)
{
    int found = 0;
    for (int i = 0; found < STAYING + COMING; i++) {
        (void)snprintf(sku[found], sizeof sku[found], "sku-%d", i);
        struct rialto_key key = key_of_id(plan.secret, sku[found], strlen(sku[found]));
        if (key_partition(key) == 11)
            sku_key[found++] = key;
    }
}

static void *owner(void *argument)
{
    uint64_t *writes = argument, state = 3;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t roll = race_random(&state);
        int number = (int)(roll % (STAYING + COMING));
        if (number >= STAYING && (roll >> 32 & 3) == 0)
            drop(number);
        else
            put(number, 1 + (int64_t)(roll >> 40));
        *writes += 1;
    }
    return NULL;
}

struct counts {
    uint64_t quotes, mixed, lost, wrong_status;
};

static void *reader(void *argument)
{
    struct counts *c = argument;
    uint64_t state = (uint64_t)(uintptr_t)argument | 1;
    const struct rialto_request nobody = { 0 };
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        int number = (int)(race_random(&state) % (STAYING + COMING));
        struct rialto_quote q;
        enum rialto_status status = rialto_quote(prices, &nobody, sku[number], &q);
        c->quotes++;
        c->lost += number < STAYING && status != RIALTO_OK;
        c->wrong_status += status != RIALTO_OK && status != RIALTO_UNKNOWN_PRODUCT;
        c->mixed += status == RIALTO_OK && (q.list != 3 * q.baseline + 7 || q.ceiling != q.baseline + 5);
    }
    return NULL;
}

static int prepare(char *folder)
{
    bool kept = false;
    uint64_t missing = 0;
    uint16_t rule = 0;
    plan = (struct cache_plan){ .folder = folder,
                                .group_id = -1,
                                .lines = { 3600, 64, 64, 64, 64 },
                                .workers = 1,
                                .stale_after_ms = UINT32_MAX,
                                .personal_stale_ms = 1000 };
    for (size_t i = 0; i < sizeof plan.secret; i++)
        plan.secret[i] = (uint8_t)(i * 37 + 11);
    const struct rialto_rule_row row = { .currency = "GBP", .currency_number = 826, .decimals = 2 };
    if (cache_create(&plan, &kept, &missing) != RIALTO_OK || cache_open(folder, &cache) != RIALTO_OK ||
        rule_append(cache, &row, &rule) != RIALTO_OK || rialto_open(folder, &prices) != RIALTO_OK)
        return race_report(false, "a cache to race on");
    choose_skus();
    for (int i = 0; i < STAYING + COMING; i++) /* those that stay stand behind others, and others behind them */
        put((i * 7) % (STAYING + COMING), 1 + i);
    return 0;
}

static int race(int64_t duration_ms)
{
    pthread_t thread[READERS + 1];
    struct counts count[READERS] = { 0 };
    uint64_t writes = 0;
    int failures = 0;
    (void)pthread_create(&thread[READERS], NULL, owner, &writes);
    for (uint32_t i = 0; i < READERS; i++)
        (void)pthread_create(&thread[i], NULL, reader, &count[i]);
    (void)usleep((useconds_t)(duration_ms * 1000));
    atomic_store(&stop, true);
    for (uint32_t i = 0; i <= READERS; i++)
        (void)pthread_join(thread[i], NULL);
    for (uint32_t i = 0; i < READERS; i++) {
        printf("# %lu quotes beside %lu writes; %lu lines live\n", (unsigned long)count[i].quotes,
               (unsigned long)writes, (unsigned long)table_used(cache, RIALTO_TABLE_CELLS, 11));
        failures += race_report(count[i].quotes > 0 && count[i].mixed == 0, "no quote mixes two versions");
        failures += race_report(count[i].lost == 0, "products that stay are always found");
        failures += race_report(count[i].wrong_status == 0, "no quote was busy");
    }
    failures += race_report(table_growth(cache, RIALTO_TABLE_CELLS).healed == 0,
                            "the owner left no tag that had to be put right");
    return failures;
}

int main(int argc, char *argv[])
{
    char folder[] = "/tmp/rialto-race.XXXXXX";
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (mkdtemp(folder) == NULL)
        return 2;
    int failures = prepare(folder);
    if (failures == 0)
        failures = race(race_duration_ms(argc, argv));
    rialto_close(prices);
    cache_close(cache);
    cache_remove(folder);
    return failures == 0 ? 0 : 1;
}
