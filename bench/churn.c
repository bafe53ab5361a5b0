/* churn.c - customers who go and others who come, for ever, in a table that is as full as the goal wants it: does it slow down?
 *
 * One operation is a delete of a random key that is there (found by its key, as a worker finds it) or an insert of a key that never
 * was there before. They take turns, so that the load stays what it is. Time is that of the processor, because somebody
 * else's work on it is not a table that slows down. Beside it stands what a slowing down would come from: tags of deleted lines,
 * which make probes longer.
 *
 * What is compared is the median of the last three tenths and that of the second to the fourth: the first still warms up, and somebody
 * else's use of the same caches in one of the others, which shows in processor time too, is not a table that slows down.
 *
 * After each tenth, untimed: keys drawn from those that are there read as what was written last; the last ones deleted are
 * absent; and all tags in the file, counted, are as many as keys. */
#include "bench/bench.h"
#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/segment.h"
#include "cache/table.h"
#include "service/temporary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TENTHS       10u
#define LOAD_PERCENT 70u
#define CHECKED      100000u
#define GONE         1024u /* deleted keys that are remembered */
#define SLOWEST      0.8   /* of the early tenths' speed: what the late ones have at least */

struct tenth {
    double ops_per_s;
    double deleted_share; /* of all lines: tags of deleted ones */
    double empty_share;
};

struct churn {
    char folder[64];
    struct cache *cache;
    uint64_t *live; /* [count] numbers of the keys that are there */
    uint64_t count, capacity;
    uint64_t next; /* number of the next key */
    uint64_t gone[GONE], gone_count;
    uint64_t random;
    uint64_t refused, lost, returned;
    struct tenth tenth[TENTHS];
};

static struct rialto_key key_number(uint64_t number)
{
    return key_unreserved((struct rialto_key){ .lo = bench_mix(number), .hi = bench_mix(~number) });
}

static void line_number(uint64_t number, struct rialto_terms_line *ret)
{
    *ret = (struct rialto_terms_line){ .key = key_number(number), .until_s = (uint32_t)bench_mix(number + 1) };
}

static bool insert(struct churn *c, uint64_t number)
{
    struct rialto_terms_line line;
    uint64_t slot = 0;
    line_number(number, &line);
    uint32_t partition = key_partition(line.key);
    if (table_claim(c->cache, RIALTO_TABLE_TERMS, partition, line.key, &slot) != RIALTO_OK)
        return false;
    return table_write(c->cache, RIALTO_TABLE_TERMS, partition, slot, &line);
}

static bool delete (struct churn *c, uint64_t number)
{
    struct rialto_key key = key_number(number);
    uint32_t partition = key_partition(key);
    uint64_t slot = table_find(c->cache, RIALTO_TABLE_TERMS, partition, key);
    if (slot == SLOT_NONE)
        return false;
    table_delete(c->cache, RIALTO_TABLE_TERMS, partition, slot);
    return true;
}

/* ---- setup ---------------------------------------------------------------------------------------------- */

static bool make_table(struct churn *c, uint64_t customers, uint64_t start_percent)
{
    struct cache_plan plan = {
        .folder = c->folder,
        .instance = "churn",
        .group_id = -1,
        .lines = { 64, customers, 64, 64, 64 },
        .start_percent = (uint32_t)start_percent,
        .workers = 1,
        .path_depths = { 1 },
        .stale_after_ms = 1000,
        .personal_stale_ms = 1000,
    };
    static_assert(RIALTO_TABLE_TERMS == 1 && RIALTO_TABLE_COUNT == 5, "the order of plan.lines");
    bool kept = false;
    uint64_t missing = 0;
    enum rialto_status status = cache_create(&plan, &kept, &missing);
    if (status == RIALTO_OK)
        status = cache_open(c->folder, &c->cache);
    if (status != RIALTO_OK)
        fprintf(stderr, "rialto-bench: churn: %s (%" PRIu64 " bytes missing)\n", rialto_status_text(status), missing);
    return status == RIALTO_OK;
}

static uint64_t capacity_now(const struct churn *c)
{
    uint64_t lines = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        lines += table_capacity(c->cache, RIALTO_TABLE_TERMS, p);
    return lines;
}

static bool fill(struct churn *c)
{
    c->capacity = table_capacity_max(c->cache, RIALTO_TABLE_TERMS) * RIALTO_PARTITIONS;
    c->count = c->capacity * LOAD_PERCENT / 100;
    c->live = calloc(c->count, sizeof c->live[0]);
    if (c->live == NULL)
        return false;
    for (uint64_t i = 0; i < c->count; i++) {
        c->live[i] = c->next;
        if (!insert(c, c->next++)) {
            fprintf(stderr, "rialto-bench: churn: the table is full at %" PRIu64 " of %" PRIu64 " lines\n", i,
                    c->capacity);
            return false;
        }
    }
    c->capacity = capacity_now(c);
    return true;
}

/* ---- the measured part ------------------------------------------------------------------------------------ */

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void exchange(struct churn *c)
{
    uint64_t i = bench_random(&c->random) % c->count, old = c->live[i];
    c->lost += !delete (c, old);
    c->gone[c->gone_count++ % GONE] = old;
    c->live[i] = c->next;
    c->refused += !insert(c, c->next++);
}

/* ---- checks ------------------------------------------------------------------------------------------------ */

static bool is_there(const struct churn *c, uint64_t number)
{
    struct rialto_terms_line wanted, found = { 0 };
    line_number(number, &wanted);
    uint32_t partition = key_partition(wanted.key);
    uint64_t slot = table_find(c->cache, RIALTO_TABLE_TERMS, partition, wanted.key);
    return slot != SLOT_NONE && table_read(c->cache, RIALTO_TABLE_TERMS, partition, slot, &found) &&
           key_equal(found.key, wanted.key) && found.until_s == wanted.until_s;
}

static void check_keys(struct churn *c)
{
    for (uint64_t i = 0; i < CHECKED; i++)
        c->lost += !is_there(c, c->live[bench_random(&c->random) % c->count]);
    for (uint64_t i = 0; i < GONE && i < c->gone_count; i++) {
        struct rialto_key key = key_number(c->gone[i]);
        c->returned += table_find(c->cache, RIALTO_TABLE_TERMS, key_partition(key), key) != SLOT_NONE;
    }
}

static void count_tags(const struct extent_view *in, uint64_t *deleted, uint64_t *empty)
{
    for (uint64_t word = 0; word < in->capacity / TAGS_PER_WORD; word++) {
        uint64_t tags = atomic_load_explicit(&in->tags[word], memory_order_relaxed);
        *deleted += (uint64_t)__builtin_popcountll(tags_equal(tags, RIALTO_TAG_DELETED));
        *empty += (uint64_t)__builtin_popcountll(tags_zero(tags));
    }
}

static bool check_tags(struct churn *c, struct tenth *ret)
{
    struct folder folder;
    uint64_t deleted = 0, empty = 0;
    if (folder_open(c->folder, false, &folder) != RIALTO_OK)
        return false;
    const struct folder_table *terms = &folder.table[RIALTO_TABLE_TERMS];
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        for (uint32_t e = 0; e < folder_extent_count(&terms->extents[p]); e++) {
            struct extent_view in =
                extent_view(terms, folder_table_words(RIALTO_TABLE_TERMS), &terms->extents[p].extent[e]);
            count_tags(&in, &deleted, &empty);
        }
    }
    folder_close(&folder);
    ret->deleted_share = (double)deleted / (double)c->capacity;
    ret->empty_share = (double)empty / (double)c->capacity;
    return c->capacity - deleted - empty == c->count;
}

static bool run(struct churn *c, uint64_t operations)
{
    bool good = true;
    for (uint32_t t = 0; t < TENTHS; t++) {
        double began = cpu_seconds();
        for (uint64_t i = 0; i < operations / TENTHS / 2; i++)
            exchange(c);
        c->tenth[t].ops_per_s = (double)(operations / TENTHS / 2 * 2) / (cpu_seconds() - began);
        check_keys(c);
        good = check_tags(c, &c->tenth[t]) && good;
    }
    return good && c->refused == 0 && c->lost == 0 && c->returned == 0;
}

static double median_of_three(const struct tenth *of)
{
    double a = of[0].ops_per_s, b = of[1].ops_per_s, c = of[2].ops_per_s;
    double low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static double late_to_early(const struct churn *c)
{
    return median_of_three(&c->tenth[TENTHS - 3]) / median_of_three(&c->tenth[1]);
}

/* ---- printing ----------------------------------------------------------------------------------------------- */

static void print_table(const struct churn *c, uint64_t operations, double ratio)
{
    printf("churn: %" PRIu64 " deletes and inserts in turn, %" PRIu64 " keys in %" PRIu64 " lines (load 0.%u)\n\n",
           operations, c->count, c->capacity, LOAD_PERCENT);
    printf("%-8s %12s %14s %14s\n", "tenth", "M ops/s", "deleted tags", "empty tags");
    for (uint32_t t = 0; t < TENTHS; t++)
        printf("%-8u %12.2f %13.2f%% %13.2f%%\n", t + 1, c->tenth[t].ops_per_s / 1e6, c->tenth[t].deleted_share * 100,
               c->tenth[t].empty_share * 100);
    printf("\nlast three tenths / second to fourth, medians: %.2f (at least %.1f); refused %" PRIu64 ", lost %" PRIu64
           ", came back %" PRIu64 "\n",
           ratio, SLOWEST, c->refused, c->lost, c->returned);
}

static void print_json(const struct churn *c, uint64_t operations, double ratio)
{
    printf("{\"bench\":\"churn\",\"operations\":%" PRIu64 ",\"keys\":%" PRIu64 ",\"lines\":%" PRIu64 ",\"tenths\":[",
           operations, c->count, c->capacity);
    for (uint32_t t = 0; t < TENTHS; t++)
        printf("%s{\"ops_per_s\":%.0f,\"deleted_share\":%.5f,\"empty_share\":%.5f}", t == 0 ? "" : ",",
               c->tenth[t].ops_per_s, c->tenth[t].deleted_share, c->tenth[t].empty_share);
    printf("],\"late_to_early\":%.3f,\"refused\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"came_back\":%" PRIu64 "}\n", ratio,
           c->refused, c->lost, c->returned);
}

int bench_churn(const struct bench_options *options)
{
    struct churn *c = calloc(1, sizeof *c);
    bool good = c != NULL && temporary_folder("/dev/shm", "rialto-bench-churn", c->folder);
    good = good && make_table(c, options->customers, options->start_percent) && fill(c);
    if (good) {
        good = run(c, options->operations);
        double ratio = late_to_early(c);
        (options->json ? print_json : print_table)(c, options->operations, ratio);
        good = good && ratio >= SLOWEST;
    }
    if (c != NULL) {
        cache_close(c->cache);
        free(c->live);
        temporary_remove(c->folder);
    }
    free(c);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
