/* table.c - a partition's table against a map as simple as can be: an array of versions, one for each key there may be.
 *
 *   history    inserts, changes, deletions in phases of filling, churning and draining; segments grow; tables of all three line
 *              sizes; keys spread, or crowded in few homes with few tags; more keys than there is room for
 *   deaths     the owner stops at a random store of what it is doing, and all that its process knew is gone. Readers find the
 *              last good version of every key; a successor, which may die in the repair, finds the same and goes on
 *   compared   after each step the key that it was about, and now and then all keys: by readers, by the owner, by number (a line
 *              keeps its number as long as its key is there), and the count of live lines
 *
 *   table [SECONDS]      RIALTO_SEED: of the first history; a failure prints the one that shows it */
static void owner_step(void);
static void grow_step_(void);
#define LINE_STEP() owner_step()
#define GROW_STEP() grow_step_()
#include "cache/table.c"

#include "tests/race/race.h"

#include <setjmp.h>
#include <unistd.h>

#define KEYS        1500u
#define STEPS       5000u /* of a history */
#define PHASE       250u  /* steps of one phase, at most */
#define FILL        2500u /* steps of the first phase */
#define WHOLE_EACH  400u  /* steps between two comparisons of all keys */
#define DEATHS_OF   16u   /* one step in so many */
#define GROWTHS_OF  12u   /* and one store of growth in so many */
#define REFUSE_FROM 75u   /* percent: below that no key may be refused */

static struct {
    uint32_t version; /* 0 = not there */
    uint32_t slot;
    struct rialto_key key;
} map[KEYS];
static uint32_t map_count;

static struct cache *cache;
static struct folder readers_folder;
static enum rialto_table table;
static uint32_t words, partition;
static uint64_t seed, random_state;
static const char *folder_name;

static struct {
    uint64_t histories, steps, deaths, deaths_in_repair, refused, extents, compared;
} done;

/* ---- the owner's death ------------------------------------------------------------------------------------------------- */

static jmp_buf dead;
static int64_t steps_left = -1; /* -1 = it lives */
static bool mortal;             /* within run() */

static void owner_step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        longjmp(dead, 1);
}

/* Growth is rare, and more of it is tried to its death. */
static void grow_step_(void)
{
    if (mortal && race_random(&random_state) % GROWTHS_OF == 0)
        longjmp(dead, 1);
}

/* ---- what went wrong ----------------------------------------------------------------------------------------------------- */

static int failures;

static void expect(bool held, const char *what)
{
    done.compared++;
    if (!held && failures++ == 0)
        printf("not ok - %s (RIALTO_SEED=%lu, step %lu)\n", what, (unsigned long)seed, (unsigned long)done.steps);
}

/* ---- versions -------------------------------------------------------------------------------------------------------------- */

static uint64_t word_of(uint32_t number, uint32_t version, uint64_t i)
{
    return (version + i) * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)number << 17;
}

static void image_of(uint32_t number, uint32_t version, uint64_t ret[LINE_WORDS_MAX])
{
    ret[0] = (uint64_t)version << 32;
    ret[1] = map[number].key.lo;
    ret[2] = map[number].key.hi;
    for (uint64_t i = 3; i < words; i++)
        ret[i] = word_of(number, version, i);
}

/* The version in which a reader finds a key; 0 = not at all. */
static uint32_t read_version(uint32_t number)
{
    const struct folder_table *t = &readers_folder.table[table];
    uint64_t image[LINE_WORDS_MAX], wanted[LINE_WORDS_MAX];
    struct probe p;
    probe_start(&p, t, words, partition, map[number].key, false);
    enum rialto_status status = probe_find(&p, t, words, image);
    expect(status == RIALTO_OK || status == RIALTO_NOT_FOUND, "a read in bounded steps");
    if (status != RIALTO_OK)
        return 0;
    image_of(number, (uint32_t)(image[0] >> 32), wanted);
    expect(memcmp(&image[1], &wanted[1], (words - 1) * 8) == 0, "an image of one version");
    return (uint32_t)(image[0] >> 32);
}

/* ---- comparing --------------------------------------------------------------------------------------------------------------- */

static void compare(uint32_t number)
{
    expect(read_version(number) == map[number].version, "a reader finds what the map says");
    uint64_t slot = table_find(cache, table, partition, map[number].key);
    expect(slot == (map[number].version != 0 ? map[number].slot : SLOT_NONE),
           "the owner finds it in the line where it was");
}

static void compare_all(void)
{
    uint64_t live = 0, image[LINE_WORDS_MAX];
    for (uint32_t number = 0; number < KEYS; number++)
        compare(number);
    for (uint64_t slot = 0; slot < table_capacity(cache, table, partition); slot++)
        live += table_read(cache, table, partition, slot, image);
    expect(live == map_count && table_used(cache, table, partition) == map_count, "as many lines as the map has keys");
}

/* Readers find all other keys as ever, while nobody owns the table. */
static void compare_others(uint32_t number)
{
    for (uint32_t other = 0; other < KEYS; other += 7)
        expect(other == number || read_version(other) == map[other].version, "others are untouched by a death");
}

/* ---- steps --------------------------------------------------------------------------------------------------------------------- */

struct deed {
    uint32_t number;
    uint32_t version; /* 0 = delete */
    enum rialto_status status;
    uint64_t slot;
};
static struct deed deed;

static void act(void)
{
    uint64_t image[LINE_WORDS_MAX];
    deed.status = RIALTO_OK;
    if (deed.version == 0) {
        table_delete(cache, table, partition, map[deed.number].slot);
        return;
    }
    deed.status = table_claim(cache, table, partition, map[deed.number].key, &deed.slot);
    if (deed.status != RIALTO_OK)
        return;
    image_of(deed.number, deed.version, image);
    (void)table_write(cache, table, partition, deed.slot, image);
}

/* Does it come to its end, if it dies ahead of its `steps`th store (-1 = never)? */
static bool run(void (*what)(void), int64_t steps)
{
    steps_left = steps;
    mortal = true;
    bool ended = setjmp(dead) == 0;
    if (ended)
        what();
    steps_left = -1;
    mortal = false;
    return ended;
}

static void set(uint32_t number, uint32_t version, uint64_t slot)
{
    map_count = map_count + (version != 0) - (map[number].version != 0);
    map[number].version = version;
    map[number].slot = (uint32_t)slot;
}

static void repair(void)
{
    table_repair(cache, table, partition);
}

static bool reopen(void)
{
    done.extents += table_growth(cache, table).extents;
    cache_close(cache);
    cache = NULL;
    bool opened = cache_open(folder_name, &cache) == RIALTO_OK;
    expect(opened, "the files can be opened behind a dead owner");
    return opened;
}

/* The owner is dead. What a reader finds now is what stays. */
static bool succeed(void)
{
    uint32_t before = map[deed.number].version, seen = read_version(deed.number);
    done.deaths++;
    expect(seen == before || seen == deed.version, "a dead owner's line reads as its last or its next version");
    compare_others(deed.number);
    if (!reopen())
        return false;
    while (race_random(&random_state) % 3 == 0 && !run(repair, (int64_t)(race_random(&random_state) % (words + 4)))) {
        done.deaths_in_repair++;
        expect(read_version(deed.number) == seen, "a successor that dies in the repair changes nothing");
        if (!reopen())
            return false;
    }
    repair();
    /* An insertion that was written, and not yet marked, is there from the repair on. */
    uint32_t now = read_version(deed.number);
    expect(now == seen || (before == 0 && now == deed.version), "repair brings no older version back");
    uint64_t slot = table_find(cache, table, partition, map[deed.number].key);
    expect((slot != SLOT_NONE) == (now != 0) && (before == 0 || now == 0 || slot == map[deed.number].slot),
           "the successor finds what readers find");
    set(deed.number, now, slot);
    return true;
}

static void expect_room(void)
{
    uint64_t most = table_capacity_max(cache, table);
    done.refused++;
    expect(map[deed.number].version == 0 && map_count * 100 >= most * REFUSE_FROM,
           "a key is refused only when there is no room");
    expect(read_version(deed.number) == 0, "a refused key is not there");
}

/* One step of a history; put_percent says what phase it is in. */
static bool take_step(uint32_t put_percent)
{
    uint64_t roll = race_random(&random_state);
    uint32_t number = (uint32_t)(roll % KEYS);
    bool put = (roll >> 32) % 100 < put_percent;
    if (!put && map[number].version == 0)
        return true;
    deed = (struct deed){ .number = number, .version = put ? (uint32_t)done.steps % UINT32_MAX + 1 : 0 };
    bool dies = (roll >> 40) % DEATHS_OF == 0;
    /* Stores of a line, its copy, a tag, and growing. */
    int64_t steps = dies ? (int64_t)(race_random(&random_state) % (2 * words + 24)) : -1;
    if (!run(act, steps))
        return succeed();
    if (deed.status == RIALTO_FULL) {
        expect_room();
        return true;
    }
    set(number, deed.version, deed.version != 0 ? deed.slot : 0);
    compare(number);
    return true;
}

static void choose_keys(bool crowded)
{
    for (uint32_t n = 0; n < KEYS; n++) {
        uint64_t lo = race_random(&random_state), hi = race_random(&random_state);
        if (crowded) { /* in 64 homes, with 4 tags */
            lo = (lo & 63) << 58 | (lo & 0xFFFF00);
            hi = (hi & ~UINT64_C(0xFF)) | (hi & 3) << 4;
        }
        map[n].key = (struct rialto_key){ lo, hi };
        map[n].version = 0;
    }
    map_count = 0;
}

static bool go_through_history(void)
{
    static const enum rialto_table tables[] = { RIALTO_TABLE_OFFERS, RIALTO_TABLE_ZONES, RIALTO_TABLE_PRODUCTS };
    static const uint32_t put_percents[] = { 95, 55, 50, 15 };
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    table = tables[race_random(&random_state) % 3];
    words = folder_table_words(table);
    choose_keys(race_random(&random_state) % 3 == 0);
    uint32_t put_percent = put_percents[0], phase = FILL;
    for (uint32_t i = 0; i < STEPS && failures == 0; i++) {
        done.steps++;
        if (phase-- == 0) {
            put_percent = put_percents[race_random(&random_state) % 4];
            phase = (uint32_t)(race_random(&random_state) % PHASE);
        }
        if (!take_step(put_percent))
            return false;
        if (i % WHOLE_EACH == 0)
            compare_all();
    }
    compare_all();
    done.histories++;
    return failures == 0;
}

/* A partition of its own for each history, and new files when all have been used. */
static bool open_files(void)
{
    bool kept = false;
    uint64_t missing = 0;
    const struct cache_plan plan = { .folder = folder_name,
                                     .group_id = -1,
                                     .lines = { 64, 64, 64 * 600, 64 * 600, 64 * 600 },
                                     .start_percent = 10,
                                     .workers = 1,
                                     .stale_after_ms = 1000,
                                     .personal_stale_ms = 1000 };
    bool opened = cache_create(&plan, &kept, &missing) == RIALTO_OK && cache_open(folder_name, &cache) == RIALTO_OK &&
                  folder_open(folder_name, false, &readers_folder) == RIALTO_OK;
    expect(opened, "a cache to own");
    return opened;
}

static void close_files(void)
{
    done.extents += cache == NULL ? 0 : table_growth(cache, table).extents;
    expect(cache == NULL || table_growth(cache, table).healed == 0,
           "no tag that had to be put right, whoever died when");
    folder_close(&readers_folder);
    cache_close(cache);
    cache = NULL;
    cache_remove(folder_name);
}

int main(int argc, char *argv[])
{
    char folder[] = "/tmp/rialto-random.XXXXXX";
    const char *first = getenv("RIALTO_SEED");
    int64_t end_ms = race_now_ms() + race_duration_ms(argc, argv);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    folder_name = mkdtemp(folder);
    if (folder_name == NULL)
        return 2;
    seed = first != NULL ? strtoull(first, NULL, 10) : (uint64_t)time(NULL) << 20;
    for (bool going = true; going && failures == 0;) {
        going = open_files();
        for (partition = 0; going && partition < RIALTO_PARTITIONS; partition++, seed++)
            going = go_through_history() && race_now_ms() < end_ms;
        close_files();
    }
    printf("# %lu histories, %lu steps, %lu deaths, %lu in repair, %lu refused, %lu extents, %lu comparisons\n",
           (unsigned long)done.histories, (unsigned long)done.steps, (unsigned long)done.deaths,
           (unsigned long)done.deaths_in_repair, (unsigned long)done.refused, (unsigned long)done.extents,
           (unsigned long)done.compared);
    failures += race_report(failures == 0, "a table is a map, whatever dies");
    failures += race_report(done.deaths > 0 && done.deaths_in_repair > 0 && done.extents > 0,
                            "owners died, successors too, and segments grew");
    return failures == 0 ? 0 : 1;
}
