/* grow.c - probes beside an owner that makes one segment after the other grow to its maximum, as fast as it can.
 *
 * Whatever grows, a key that is there is found by every look, in its line of ever the same number; a key that never was there
 * is not; and each image is of one version: word 4 = 3 * word 3 + 7, word 5 = 5 * word 3 + key. New files, and so new growth,
 * round after round. */
#include "cache/folder.h"
#include "cache/segment.h"
#include "cache/table.h"
#include "tests/race/race.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define TABLE    RIALTO_TABLE_OFFERS
#define WORDS    8u
#define READERS  2u
#define KEYS_MAX 4096u /* of one partition */
#define OLD_EACH 8u    /* an old key is changed for every so many new ones */

static struct cache *cache;
static struct folder readers_folder;
static uint64_t keys_each;                            /* partition */
static _Atomic uint64_t there;                        /* partition << 32 | keys of it that are there */
static uint32_t slot_of[RIALTO_PARTITIONS][KEYS_MAX]; /* stored before `there` covers it */
static atomic_bool stop;

static struct rialto_key key_of(uint32_t partition, uint64_t n)
{
    uint64_t id = (uint64_t)partition << 32 | (n + 1);
    return (struct rialto_key){ id * UINT64_C(0x9E3779B97F4A7C15), id * UINT64_C(0xD1B54A32D192ED03) };
}

static bool put(uint32_t partition, uint64_t n, uint64_t value)
{
    const struct rialto_key key = key_of(partition, n);
    const uint64_t image[WORDS] = { value << 32, key.lo, key.hi, value, 3 * value + 7, 5 * value + n };
    uint64_t slot = 0;
    if (table_claim(cache, TABLE, partition, key, &slot) != RIALTO_OK)
        return false;
    (void)table_write(cache, TABLE, partition, slot, image);
    __atomic_store_n(&slot_of[partition][n], (uint32_t)slot, __ATOMIC_RELAXED);
    return true;
}

static void *owner(void *argument)
{
    uint64_t *failed = argument, random = 7;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS && !atomic_load_explicit(&stop, memory_order_relaxed); p++) {
        for (uint64_t n = 0; n < keys_each; n++) {
            *failed += !put(p, n, race_random(&random) & 0xFFFFFFF);
            atomic_store_explicit(&there, (uint64_t)p << 32 | (n + 1), memory_order_release);
            if (n % OLD_EACH == 0) {
                uint64_t old = race_random(&random) % (n + 1);
                const uint32_t before = slot_of[p][old];
                *failed += !put(p, old, race_random(&random) & 0xFFFFFFF) || slot_of[p][old] != before;
            }
        }
    }
    atomic_store(&stop, true);
    return NULL;
}

struct counts {
    uint64_t looks, lost, mixed, busy, invented, moved;
};

static void check(struct counts *c, const uint64_t *image, uint64_t n)
{
    uint64_t value = image[3];
    c->mixed += image[0] >> 32 != value || image[4] != 3 * value + 7 || image[5] != 5 * value + n || image[6] != 0 ||
                image[7] != 0;
}

static void look(struct counts *c, uint32_t partition, uint64_t n, bool exists)
{
    const struct folder_table *t = &readers_folder.table[TABLE];
    uint64_t image[WORDS] = { 0 };
    struct probe p;
    probe_start(&p, t, WORDS, partition, key_of(partition, n), false);
    enum rialto_status status = probe_find(&p, t, WORDS, image);
    c->looks++;
    c->busy += status == RIALTO_BUSY;
    c->lost += exists && status == RIALTO_NOT_FOUND;
    c->invented += !exists && status == RIALTO_OK;
    if (status == RIALTO_OK)
        check(c, image, n);
}

/* The same line by its number, which growth does not change. */
static void look_at(struct counts *c, uint32_t partition, uint64_t n)
{
    uint64_t image[WORDS];
    struct rialto_key key = key_of(partition, n);
    /* The owner stores the number again with every change; it is always the same one. */
    uint64_t slot = __atomic_load_n(&slot_of[partition][n], __ATOMIC_RELAXED);
    enum rialto_status status = segment_line_at(&readers_folder.table[TABLE], WORDS, partition, slot, image);
    c->looks++;
    c->busy += status == RIALTO_BUSY;
    c->moved += status != RIALTO_BUSY && (status != RIALTO_OK || image[1] != key.lo || image[2] != key.hi);
    if (status == RIALTO_OK)
        check(c, image, n);
}

static void *reader(void *argument)
{
    struct counts *c = argument;
    uint64_t random = (uint64_t)(uintptr_t)argument | 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        /* Acquire pairs with the owner's release: what it counts is there. */
        uint64_t now = atomic_load_explicit(&there, memory_order_acquire);
        uint32_t partition = (uint32_t)(now >> 32), count = (uint32_t)now;
        if (count == 0)
            continue;
        uint64_t roll = race_random(&random);
        if (partition > 0 && roll % 4 == 0) { /* one that is grown */
            partition = (uint32_t)(roll >> 8) % partition;
            count = (uint32_t)keys_each;
        }
        uint64_t n = roll % 3 == 0 ? count - 1 : (roll >> 16) % count; /* often the newest */
        look(c, partition, n, true);
        if (roll % 16 == 0)
            look(c, partition, KEYS_MAX + n, false);
        if (roll % 8 == 1)
            look_at(c, partition, n);
    }
    return NULL;
}

static struct {
    uint64_t rounds, extents, keys, failed;
    struct counts reads;
} sum;

static bool prepare(const char *folder)
{
    bool kept = false;
    uint64_t missing = 0;
    const struct cache_plan plan = { .folder = folder,
                                     .group_id = -1,
                                     .lines = { 64, 64, 64 * 1000, 64, 64 },
                                     .start_percent = 5,
                                     .workers = 1,
                                     .stale_after_ms = 1000,
                                     .personal_stale_ms = 1000 };
    if (cache_create(&plan, &kept, &missing) != RIALTO_OK || cache_open(folder, &cache) != RIALTO_OK)
        return false;
    keys_each = table_capacity_max(cache, TABLE) * 7 / 10;
    return keys_each <= KEYS_MAX && folder_open(folder, false, &readers_folder) == RIALTO_OK;
}

static void add(const struct counts *c)
{
    sum.reads.looks += c->looks;
    sum.reads.lost += c->lost;
    sum.reads.mixed += c->mixed;
    sum.reads.busy += c->busy;
    sum.reads.invented += c->invented;
    sum.reads.moved += c->moved;
}

static bool go_round(const char *folder)
{
    pthread_t thread[READERS + 1];
    struct counts count[READERS] = { 0 };
    if (!prepare(folder))
        return false;
    atomic_store(&there, 0);
    atomic_store(&stop, false);
    (void)pthread_create(&thread[READERS], NULL, owner, &sum.failed);
    for (uint32_t i = 0; i < READERS; i++)
        (void)pthread_create(&thread[i], NULL, reader, &count[i]);
    for (uint32_t i = 0; i <= READERS; i++)
        (void)pthread_join(thread[i], NULL);
    for (uint32_t i = 0; i < READERS; i++)
        add(&count[i]);
    sum.rounds++;
    sum.keys += keys_each * RIALTO_PARTITIONS;
    sum.extents += table_growth(cache, TABLE).extents;
    folder_close(&readers_folder);
    cache_close(cache);
    cache_remove(folder);
    return true;
}

int main(int argc, char *argv[])
{
    char folder[64] = "/tmp/rialto-grow.XXXXXX";
    int64_t end_ms = race_now_ms() + race_duration_ms(argc, argv);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (mkdtemp(folder) == NULL)
        return 2;
    int failures = 0;
    while (failures == 0 && (sum.rounds == 0 || race_now_ms() < end_ms)) {
        if (!go_round(folder))
            failures = race_report(false, "a cache to grow");
    }
    printf("# %lu rounds, %lu keys put, %lu extents made beside %lu reads\n", (unsigned long)sum.rounds,
           (unsigned long)sum.keys, (unsigned long)sum.extents, (unsigned long)sum.reads.looks);
    failures += race_report(sum.failed == 0 && sum.extents >= sum.rounds * RIALTO_PARTITIONS * 2,
                            "every segment grew, and refused no key");
    failures += race_report(sum.reads.looks > 0 && sum.reads.lost == 0, "no key that is there was missed");
    failures += race_report(sum.reads.invented == 0, "no key that never was there was found");
    failures += race_report(sum.reads.mixed == 0, "no image mixes two versions");
    failures += race_report(sum.reads.moved == 0, "a line keeps its number");
    failures += race_report(sum.reads.busy == 0, "no read was busy");
    return failures == 0 ? 0 : 1;
}
