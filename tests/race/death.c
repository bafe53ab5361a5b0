/* death.c - an owner in a process of its own is stopped at every instruction of a publish, and killed behind every store.
 *
 *   owner      insert, change, delete, repair, grow, append to a ring, append a rule: the code as it is released, under ptrace
 *   readers    here, in another process, after every instruction that changed the memory, while the owner stands still:
 *              each line reads as its last good version in at most LINE_ATTEMPTS_MAX looks
 *   successor  a third process: repairs (and is killed there, too), then goes on
 *
 * An owner that stands still is a preempted one, as long as we like. No wall time is measured. Nothing is left to chance,
 * so the time to run does not matter. */
#define LINE_SPINS        2
#define LINE_ATTEMPTS_MAX 4
#include "cache/folder.h"
#include "cache/ring.h"
#include "cache/segment.h"
#include "cache/table.h"
#include "tests/race/race.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARTITION        5u
#define GROWS_AT_PERCENT 62u /* as in cache/table.c */
#define KEYS             8u  /* 0 to 5 are there, 6 is inserted, 7 never is */
#define NEW_KEY          6u
#define OLD              1u /* version of what is there */
#define REGIONS_MAX      3u
#define STATE_BYTES      8192u
#define INSTRUCTIONS_MAX 20000000u
#define RING_SPAN        4u
#if defined(__SANITIZE_THREAD__)
#define DEATHS_IN_REPAIR 1u /* a sanitized owner takes many times the instructions: a change of a short line will do */
#define TABLES           1u
#define STRIDE           5u /* of the stores at which owners are killed */
#define ALL_DEEDS        false
#else
#define DEATHS_IN_REPAIR 16u
#define TABLES           3u
#define STRIDE           1u
#define ALL_DEEDS        true
#endif

static struct cache *cache;   /* the owner's mapping; children inherit it */
static struct folder written; /* another one, to put the memory back as it was */
static struct folder read_only;
static enum rialto_table table;
static uint32_t words;

static atomic_uint *phase; /* of the owner: 1 = inside its deed, 2 = done */

static struct {
    uint64_t instructions, stops, kills, kills_in_repair, looks, busy, wrong, open, uncounted, torn, traced;
} found;

/* ---- the memory that a deed may change ----------------------------------------------------------------------- */

static struct {
    uint8_t *at;
    size_t bytes;
} region[REGIONS_MAX];
static uint32_t regions;

struct state {
    uint8_t bytes[STATE_BYTES];
};

static void add_region(void *at, size_t bytes)
{
    size_t used = bytes;
    for (uint32_t i = 0; i < regions; i++)
        used += region[i].bytes;
    if (used > STATE_BYTES || regions == REGIONS_MAX)
        abort();
    region[regions].at = at;
    region[regions++].bytes = bytes;
}

static void save(struct state *s)
{
    size_t used = 0;
    for (uint32_t i = 0; i < regions; used += region[i++].bytes)
        memcpy(s->bytes + used, region[i].at, region[i].bytes);
}

static void put_back(const struct state *s)
{
    size_t used = 0;
    for (uint32_t i = 0; i < regions; used += region[i++].bytes)
        memcpy(region[i].at, s->bytes + used, region[i].bytes);
}

static bool changed(const struct state *s)
{
    size_t used = 0;
    for (uint32_t i = 0; i < regions; used += region[i++].bytes) {
        if (memcmp(region[i].at, s->bytes + used, region[i].bytes) != 0)
            return true;
    }
    return false;
}

/* ---- owners ------------------------------------------------------------------------------------------------------ */

typedef void deed_fn(void);

static void owner_main(deed_fn *deed)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
        _exit(9);
    (void)raise(SIGSTOP);
    atomic_store(phase, 1);
    deed();
    atomic_store(phase, 2);
    _exit(0);
}

/* Start an owner, step it through its deed, and kill it behind its `stores`th change of the memory, or (0) let it end.
 * `at_stop` looks at the memory after each change. The value: did it come to its end? */
static bool step_owner(deed_fn *deed, uint32_t stores, void (*at_stop)(void), uint32_t *ret_changes)
{
    static struct state last;
    uint32_t changes = 0;
    int status = 0;
    atomic_store(phase, 0);
    save(&last);
    pid_t pid = fork();
    if (pid == 0)
        owner_main(deed);
    bool alive = pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
    for (uint32_t i = 0; alive && i < INSTRUCTIONS_MAX; i++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == -1 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            break;
        found.traced++;
        if (atomic_load(phase) == 0)
            continue;
        found.instructions++;
        bool change = changed(&last);
        if (change) {
            save(&last);
            changes++;
            found.stops++;
            if (at_stop != NULL)
                at_stop();
        }
        if (change && changes == stores)
            break;
        if (atomic_load(phase) == 2)
            break;
    }
    bool ended = atomic_load(phase) == 2;
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    *ret_changes = changes;
    return ended;
}

/* Another process does something, whole. */
static void in_successor(deed_fn *deed)
{
    pid_t pid = fork();
    if (pid == 0) {
        deed();
        _exit(0);
    }
    int status = 0;
    found.wrong += pid == -1 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* ---- lines ---------------------------------------------------------------------------------------------------------- */

/* Homes crowd in one line; tags of 0 and 1, and of 5 and 7, are equal. */
static struct rialto_key key_of(uint32_t number)
{
    static const uint8_t tag[KEYS] = { 0x10, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x50 };
    return (struct rialto_key){ .lo = UINT64_C(1) << 62 | number, .hi = (uint64_t)(number + 1) << 8 | tag[number] };
}

static void image_of(uint32_t number, uint32_t version, uint64_t ret[LINE_WORDS_MAX])
{
    struct rialto_key key = key_of(number);
    ret[0] = (uint64_t)version << 32;
    ret[1] = key.lo;
    ret[2] = key.hi;
    for (uint64_t i = 3; i < words; i++)
        ret[i] = (version + i) * UINT64_C(0x9E3779B97F4A7C15) ^ number;
}

static void write_version(uint32_t number, uint32_t version)
{
    uint64_t slot = 0, image[LINE_WORDS_MAX];
    image_of(number, version, image);
    if (table_claim(cache, table, PARTITION, key_of(number), &slot) != RIALTO_OK)
        _exit(8);
    (void)table_write(cache, table, PARTITION, slot, image);
}

static void delete_key(uint32_t number)
{
    uint64_t slot = table_find(cache, table, PARTITION, key_of(number));
    if (slot != SLOT_NONE)
        table_delete(cache, table, PARTITION, slot);
}

static void insert(void)
{
    write_version(NEW_KEY, 2);
}

static void change(void)
{
    write_version(2, 2);
}

static void delete_first(void)
{
    delete_key(0);
}

static void delete_last(void)
{
    delete_key(5);
}

static void repair(void)
{
    table_repair(cache, table, PARTITION);
}

/* What successors do: it takes a line that was deleted, and makes one that was not there before. */
static void go_on(void)
{
    write_version(2, 3);
    write_version(0, 3);
    write_version(NEW_KEY, 3);
    delete_key(5);
}

#define BUSY UINT32_MAX /* what look() says instead of a version */
#define TORN (UINT32_MAX - 1)

/* The version in which a reader finds a key; 0 = not at all. */
static uint32_t look(uint32_t number)
{
    const struct folder_table *t = &read_only.table[table];
    uint64_t image[LINE_WORDS_MAX], wanted[LINE_WORDS_MAX];
    struct probe p;
    probe_start(&p, t, words, PARTITION, key_of(number), false);
    enum rialto_status status = probe_find(&p, t, words, image);
    found.looks++;
    if (status == RIALTO_NOT_FOUND)
        return 0;
    if (status != RIALTO_OK)
        return BUSY;
    image_of(number, (uint32_t)(image[0] >> 32), wanted);
    return memcmp(&image[1], &wanted[1], (words - 1) * 8) == 0 ? (uint32_t)(image[0] >> 32) : TORN;
}

/* The key that the deed is about, in which version it was before, will be after, and was seen last. */
static struct {
    uint32_t key, before, after, seen;
} subject;

static void expect_versions(void)
{
    for (uint32_t number = 0; number < KEYS; number++) {
        uint32_t version = look(number), resting = number < NEW_KEY ? OLD : 0;
        found.busy += version == BUSY;
        found.torn += version == TORN;
        if (number != subject.key) {
            found.wrong += version != resting;
            continue;
        }
        /* The old one or the new one, and never the old one again once the new one was there. */
        found.wrong += version != subject.after && (version != subject.before || subject.seen == subject.after);
        subject.seen = version;
    }
}

/* Behind a repair: all at rest, found by its owner as by readers, and counted. */
static void expect_rest(void)
{
    const struct folder_table *t = &read_only.table[table];
    const struct extent_view in = extent_view(t, words, &t->extents[PARTITION].extent[0]);
    uint64_t live = 0;
    for (uint64_t s = 0; s < in.capacity; s++) {
        found.open += atomic_load(&in.lines[s * words]) & 1u;
        live += atomic_load(&in.lines[s * words + 1]) != 0 ? 1 : 0;
    }
    found.uncounted += atomic_load(&t->segment[PARTITION].used) != live;
    for (uint32_t number = 0; number < KEYS; number++) {
        bool owned = table_find(cache, table, PARTITION, key_of(number)) != SLOT_NONE;
        found.wrong += owned != (look(number) != 0);
    }
}

static void expect_gone_on(void)
{
    expect_rest();
    for (uint32_t number = 0; number < KEYS; number++) {
        bool renewed = number == 0 || number == 2 || number == NEW_KEY;
        found.wrong += look(number) != (renewed ? 3 : number < 5 ? OLD : 0);
    }
}

/* The memory is what a dead owner left: die in the repair as well, repair, go on. */
static void expect_successors(void)
{
    static struct state left;
    uint32_t changes = 0, seen = subject.seen;
    save(&left);
    for (uint32_t death = 0; death <= DEATHS_IN_REPAIR; death++) {
        put_back(&left);
        subject.seen = seen;
        bool ended = true;
        if (death > 0)
            ended = step_owner(repair, 1 + (death - 1) * (words / 8), expect_versions, &changes);
        found.kills_in_repair += !ended;
        expect_versions();
        in_successor(repair);
        expect_versions();
        expect_rest();
        in_successor(go_on);
        expect_gone_on();
        if (death > 0 && ended)
            return;
    }
}

static void kill_everywhere(deed_fn *deed, uint32_t key, uint32_t before, uint32_t after)
{
    static struct state initial;
    uint32_t all = 0, changes = 0;
    save(&initial);
    subject.key = key, subject.before = before, subject.after = after, subject.seen = before;
    bool ended = step_owner(deed, 0, expect_versions, &all);
    found.wrong += !ended || look(key) != after || all == 0;
    for (uint32_t stores = 1; stores <= all; stores += STRIDE) {
        put_back(&initial);
        subject.seen = before;
        (void)step_owner(deed, stores, NULL, &changes);
        found.kills++;
        expect_versions();
        expect_successors();
    }
    put_back(&initial);
}

static void prepare_table(enum rialto_table which)
{
    table = which;
    words = folder_table_words(table);
    const struct folder_table *t = &written.table[table];
    const struct extent_view in = extent_view(t, words, &t->extents[PARTITION].extent[0]);
    for (uint32_t number = 0; number < NEW_KEY; number++)
        write_version(number, OLD);
    regions = 0;
    add_region(&t->segment[PARTITION], sizeof t->segment[0]);
    add_region((void *)in.tags, in.capacity);
    /* All lines that any of the keys may have: from their common home on. */
    add_region((void *)&in.lines[segment_home(key_of(0), in.capacity) * words], 2 * KEYS * words * 8);
}

static int kill_in_lines(void)
{
    static const enum rialto_table tables[3] = { RIALTO_TABLE_TERMS, RIALTO_TABLE_ZONES, RIALTO_TABLE_PRODUCTS };
    int failures = 0;
    for (size_t i = 0; i < TABLES; i++) {
        memset(&found, 0, sizeof found);
        prepare_table(tables[i]);
        if (ALL_DEEDS && words == 8) { /* deleting and inserting are the same code for longer lines */
            kill_everywhere(insert, NEW_KEY, 0, 2);
            kill_everywhere(delete_first, 0, OLD, 0);
            kill_everywhere(delete_last, 5, OLD, 0);
        }
        kill_everywhere(change, 2, OLD, 2);
        printf("# %u words: stopped at %lu instructions, %lu of them changed something; %lu owners killed, %lu "
               "successors killed in repair, %lu looks\n",
               words, (unsigned long)found.instructions, (unsigned long)found.stops, (unsigned long)found.kills,
               (unsigned long)found.kills_in_repair, (unsigned long)found.looks);
        failures +=
            race_report(found.kills > 16 / STRIDE && found.kills_in_repair > 0, "owners and successors were killed");
        failures += race_report(found.busy == 0, "each line was read in bounded steps");
        failures += race_report(found.torn == 0 && found.wrong == 0, "each line read as its last good version");
        failures += race_report(found.open == 0 && found.uncounted == 0, "repair left all at rest, and counted");
    }
    return failures;
}

/* ---- growth ------------------------------------------------------------------------------------------------------------- */

static uint32_t growing; /* partition */
static uint64_t keys_before;

static struct rialto_key growth_key(uint64_t n)
{
    return (struct rialto_key){ (n + 1) * UINT64_C(0x9E3779B97F4A7C15), (n + 1) * UINT64_C(0xD1B54A32D192ED03) };
}

static void put_growth_key(uint64_t n)
{
    const struct rialto_key key = growth_key(n);
    const uint64_t image[8] = { n << 32, key.lo, key.hi, n, n, n, n, n };
    uint64_t slot = 0;
    if (table_claim(cache, RIALTO_TABLE_TERMS, growing, key, &slot) != RIALTO_OK)
        _exit(8);
    (void)table_write(cache, RIALTO_TABLE_TERMS, growing, slot, image);
}

static void put_and_grow(void)
{
    put_growth_key(keys_before);
}

static void repair_and_grow(void)
{
    table_repair(cache, RIALTO_TABLE_TERMS, growing);
    for (uint64_t n = keys_before; n < keys_before * 2; n++)
        put_growth_key(n);
}

static void expect_growth_keys(uint64_t count)
{
    const struct folder_table *t = &read_only.table[RIALTO_TABLE_TERMS];
    for (uint64_t n = 0; n < count; n++) {
        struct probe p;
        uint64_t image[8] = { 0 };
        probe_start(&p, t, 8, growing, growth_key(n), false);
        enum rialto_status status = probe_find(&p, t, 8, image);
        found.looks++;
        found.busy += status == RIALTO_BUSY;
        found.wrong += status != RIALTO_OK || image[0] >> 32 != n || image[7] != n;
    }
}

static void expect_all_before(void)
{
    expect_growth_keys(keys_before);
}

static uint64_t growing_capacity(void)
{
    return folder_capacity(&read_only.table[RIALTO_TABLE_TERMS].extents[growing]);
}

/* Fill a segment until its next key makes it grow. */
static void fill_to_growth(uint32_t partition)
{
    growing = partition;
    for (keys_before = 0; (keys_before + 1) * 100 < growing_capacity() * 60; keys_before++)
        put_growth_key(keys_before);
    while (table_used(cache, RIALTO_TABLE_TERMS, growing) * 100 < growing_capacity() * GROWS_AT_PERCENT)
        put_growth_key(keys_before++);
    regions = 0;
    add_region((void *)&written.table[RIALTO_TABLE_TERMS].header->file_end, 16);
    add_region(&written.table[RIALTO_TABLE_TERMS].extents[partition], sizeof(struct rialto_extents));
    add_region(&written.table[RIALTO_TABLE_TERMS].segment[partition], sizeof(struct rialto_segment));
}

/* A segment of its own for each death. */
static int kill_in_growth(void)
{
    uint32_t all = 0, changes = 0;
    memset(&found, 0, sizeof found);
    fill_to_growth(PARTITION + 1);
    uint64_t capacity = growing_capacity();
    found.wrong += !step_owner(put_and_grow, 0, expect_all_before, &all);
    found.wrong += growing_capacity() <= capacity;
    for (uint32_t stores = 1; stores <= all && PARTITION + 1 + stores < RIALTO_PARTITIONS; stores += STRIDE) {
        fill_to_growth(PARTITION + 1 + stores);
        (void)step_owner(put_and_grow, stores, expect_all_before, &changes);
        found.kills++;
        expect_all_before();
        in_successor(repair_and_grow);
        expect_growth_keys(keys_before * 2);
        found.wrong += growing_capacity() < 2 * capacity;
    }
    printf("# growth: stopped at %lu instructions, %lu of them changed something; %lu owners killed\n",
           (unsigned long)found.instructions, (unsigned long)found.stops, (unsigned long)found.kills);
    return race_report(all > 10 && found.busy == 0 && found.wrong == 0,
                       "a segment whose owner dies in growing keeps all keys, and its successor makes it grow");
}

/* ---- ring ------------------------------------------------------------------------------------------------------------- */

static uint64_t ring_base; /* head before the deed */

static void append(void)
{
    uint64_t position = ring_head(&written.ring[0]);
    struct rialto_ring_entry entry = { .when_ms = (int64_t)position,
                                       .before = (int64_t)position * 3,
                                       .after = (int64_t)position * 5,
                                       .slot = (uint32_t)position,
                                       .reason_ppm = (int32_t)position };
    memset(entry.reason, (int)(position % 251), sizeof entry.reason);
    ring_append(cache, 0, &entry);
}

static void expect_entries(void)
{
    const struct rialto_ring *ring = &read_only.ring[0];
    uint64_t head = ring_head(ring);
    union ring_image image;
    found.wrong += head != ring_base && head != ring_base + 1;
    for (uint64_t back = 1; back < RING_SPAN; back++) {
        uint64_t position = head - back;
        found.looks++;
        bool got = ring_get(ring, position, &image);
        found.wrong += !got || image.entry.when_ms != (int64_t)position ||
                       image.entry.before != (int64_t)position * 3 || image.entry.after != (int64_t)position * 5 ||
                       image.entry.slot != (uint32_t)position || (uint8_t)image.entry.reason[0] != position % 251 ||
                       (uint8_t)image.entry.reason[19] != position % 251;
    }
    /* The oldest is overwritten now, or not yet: then it is whole. */
    uint64_t oldest = ring_base - RIALTO_RING_ENTRIES;
    if (ring_get(ring, oldest, &image))
        found.torn += image.entry.when_ms != (int64_t)oldest || image.entry.before != (int64_t)oldest * 3 ||
                      image.entry.after != (int64_t)oldest * 5;
}

static int kill_in_ring(void)
{
    static struct state initial;
    struct rialto_ring *ring = &written.ring[0];
    uint32_t all = 0, changes = 0;
    memset(&found, 0, sizeof found);
    for (uint32_t i = 0; i < RIALTO_RING_ENTRIES; i++) /* a full lap: the next one overwrites the first */
        append();
    regions = 0;
    add_region((void *)&ring->head, 64);
    add_region((void *)ring->entry[0], 64);
    ring_base = ring_head(ring);
    save(&initial);
    bool ended = step_owner(append, 0, expect_entries, &all);
    found.wrong += !ended || ring_head(ring) != ring_base + 1;
    for (uint32_t stores = 1; stores <= all; stores += STRIDE) {
        put_back(&initial);
        (void)step_owner(append, stores, expect_entries, &changes);
        found.kills++;
        expect_entries();
        bool was_appended = ring_head(ring) != ring_base;
        if (!was_appended)
            in_successor(append);
        expect_entries();
        found.wrong += ring_head(ring) != ring_base + 1;
    }
    printf("# ring: stopped at %lu instructions, %lu owners killed\n", (unsigned long)found.instructions,
           (unsigned long)found.kills);
    return race_report(all > RING_WORDS && found.torn == 0 && found.wrong == 0,
                       "an append that dies anywhere leaves all entries whole, and its successor appends it");
}

/* ---- rules ------------------------------------------------------------------------------------------------------------ */

static uint32_t rules_before;

static struct rialto_rule_row row_of(uint32_t number)
{
    struct rialto_rule_row row = { .currency = "EUR", .currency_number = 978, .decimals = 2, .model_hash = number };
    memset(row.model, 'a' + (int)(number % 26), sizeof row.model - 1);
    memset(row.policy, 'a' + (int)(number % 26), sizeof row.policy - 1);
    return row;
}

static void append_rule(void)
{
    struct rialto_rule_row row = row_of(rules_before);
    uint16_t number = 0;
    if (rule_append(cache, &row, &number) != RIALTO_OK || number != rules_before)
        _exit(8);
}

static void expect_rows(void)
{
    uint32_t count = atomic_load_explicit(&read_only.rules->count, memory_order_acquire);
    found.wrong += count != rules_before && count != rules_before + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct rialto_rule_row wanted = row_of(i);
        found.looks++;
        found.torn += memcmp(&read_only.rule[i], &wanted, sizeof wanted) != 0;
    }
}

static int kill_in_rules(void)
{
    static struct state initial;
    uint32_t all = 0, changes = 0;
    memset(&found, 0, sizeof found);
    for (rules_before = 0; rules_before < 5; rules_before++)
        append_rule();
    regions = 0;
    add_region(written.rules, 64);
    add_region(&written.rule[0], 8 * sizeof written.rule[0]);
    save(&initial);
    bool ended = step_owner(append_rule, 0, expect_rows, &all);
    found.wrong += !ended;
    for (uint32_t stores = 1; stores <= all; stores += STRIDE) {
        put_back(&initial);
        (void)step_owner(append_rule, stores, expect_rows, &changes);
        found.kills++;
        expect_rows();
        in_successor(append_rule);
        expect_rows();
        found.wrong += written.rules->count != rules_before + 1;
    }
    printf("# rules: stopped at %lu instructions, %lu owners killed\n", (unsigned long)found.instructions,
           (unsigned long)found.kills);
    return race_report(all > 2 && found.torn == 0 && found.wrong == 0,
                       "a rule that is appended to its half is nobody's, and its successor appends it");
}

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

static bool may_trace(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 ? 9 : 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool prepare(char *folder)
{
    bool kept = false;
    uint64_t missing = 0;
    const struct cache_plan plan = { .folder = folder,
                                     .group_id = -1,
                                     .lines = { 64, 64 * 300, 64, 64, 64 },
                                     .start_percent = 10,
                                     .workers = 1,
                                     .stale_after_ms = 1000,
                                     .personal_stale_ms = 1000 };
    return cache_create(&plan, &kept, &missing) == RIALTO_OK && cache_open(folder, &cache) == RIALTO_OK &&
           folder_open(folder, true, &written) == RIALTO_OK && folder_open(folder, false, &read_only) == RIALTO_OK;
}

int main(void)
{
    char folder[] = "/tmp/rialto-death.XXXXXX";
    int failures = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!may_trace()) {
        printf("ok - owners killed at every store # SKIP ptrace is not allowed here\n");
        return 0;
    }
    phase = mmap(NULL, sizeof *phase, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (phase == MAP_FAILED || mkdtemp(folder) == NULL)
        return 2;
    if (prepare(folder))
        failures = kill_in_lines() + kill_in_growth() + kill_in_ring() + kill_in_rules();
    else
        failures = race_report(false, "a cache to die on");
    folder_close(&read_only);
    folder_close(&written);
    cache_close(cache);
    cache_remove(folder);
    return failures == 0 ? 0 : 1;
}
