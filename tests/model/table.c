/* table.c - every outcome of a probe beside an owner that inserts, changes, deletes and grows, dies at any store, is
 * repaired, dies in the repair, and goes on. The real cache/table.c, cache/segment.h and cache/grow.h over 16 lines of four
 * words, and 16 more that they may grow to.
 *
 * What must hold for each key, whatever is done to the others: a reader finds a version that the key had at some moment
 * of its look; a key that is there all the time is found; a key that is not there all the time is not. */
#include "tests/model/views.h"

#define SEGMENT_WORDS     /* the model watches loads of words; sixteen tags at once are as many bytes, in whatever order */
#define LINE_WORD_BY_WORD /* and stores of words; two at once are as many words, in whatever order */
#define LINE_SPINS        1
#define LINE_ATTEMPTS_MAX 3
#include "cache/folder.h"

/* Lines of this model are shorter than any table's. */
#define WORDS                          4u
#define TABLE_OTHER_WORDS              WORDS
#define folder_table_words(table)      ((void)(table), WORDS)
#define folder_table_line_bytes(table) ((void)(table), WORDS * 8)
#include "cache/table.c"

#define LINES   16u /* of an extent */
#define TABLE   RIALTO_TABLE_TERMS
#define COMMITS 8u
#define LATER   UINT32_MAX
#define REGIONS 3u /* to grow into: two may be lost */
#define NOWHERE UINT64_MAX

struct region {
    _Atomic uint64_t tag[LINES / 8];
    _Atomic uint64_t line[LINES][WORDS];
    uint8_t rest[GROW_ALIGN - LINES - LINES * WORDS * 8];
};

static struct {
    struct rialto_table_header header;
    struct rialto_extents extents;
    struct rialto_segment segment;
    uint8_t rest[GROW_ALIGN - sizeof(struct rialto_extents) - sizeof(struct rialto_segment)];
    struct region region[1 + REGIONS];
} memory, sparse, crowded;
static_assert(sizeof memory <= VIEWS_BYTES_MAX, "all that readers may load is watched");

static struct cache cache;

enum rialto_status folder_open(const char *path, bool writable, struct folder *ret)
{
    (void)path, (void)writable, (void)ret;
    return RIALTO_SYSTEM;
}

void folder_close(struct folder *folder)
{
    (void)folder;
}

enum rialto_status reserve_large(int fd, uint8_t *base, uint64_t from, uint64_t bytes, uint64_t end)
{
    (void)fd, (void)base, (void)from, (void)bytes, (void)end;
    return RIALTO_OK;
}

/* Homes are 6 for most, so that runs go from one word of tags to the next; A and B have one tag, and so has Z, which is
 * never there. From F on: what makes a segment crowded. */
enum { A, B, C, D, E, Z, WATCHED, F = WATCHED, KEYS = F + 6 };
#define HOME(n) ((uint64_t)(n) << 60 | 5)
static const struct rialto_key KEY[KEYS] = {
    [A] = { HOME(6), 0x111 },      [B] = { HOME(6), 0x211 },      [C] = { HOME(6), 0x322 },
    [D] = { HOME(6), 0x433 },      [E] = { HOME(7), 0x544 },      [Z] = { HOME(6), 0x611 },
    [F] = { HOME(0), 0x755 },      [F + 1] = { HOME(1), 0x866 },  [F + 2] = { HOME(2), 0x977 },
    [F + 3] = { HOME(12), 0xA88 }, [F + 4] = { HOME(13), 0xB99 }, [F + 5] = { HOME(14), 0xCAA },
};

static struct {
    struct {
        uint32_t version, by;
    } commit[COMMITS];
    uint32_t commits;
} history[WATCHED];

static struct {
    uint64_t mixed, wrong, stuck, unreachable, strayed, miscounted, overlapping, reads, busy;
} found;

static void committed(int key, uint32_t version, uint32_t by)
{
    if (history[key].commits == COMMITS)
        views_stop("versions");
    history[key].commit[history[key].commits].version = version;
    history[key].commit[history[key].commits++].by = by;
}

static uint32_t newest(int key)
{
    return history[key].commit[history[key].commits - 1].version;
}

/* ---- the owner --------------------------------------------------------------------------------------------- */

static void write_key(int key, uint32_t version)
{
    const uint64_t image[WORDS] = { (uint64_t)version << 32, KEY[key].lo, KEY[key].hi, version * 10 };
    uint64_t slot = 0;
    if (table_claim(&cache, TABLE, 0, KEY[key], &slot) != RIALTO_OK)
        views_stop("lines");
    (void)table_write(&cache, TABLE, 0, slot, image);
}

static void delete_key(int key)
{
    table_delete(&cache, TABLE, 0, table_find(&cache, TABLE, 0, KEY[key]));
}

/* The memory as it is, by slot. */
static uint64_t capacity_now(void)
{
    const struct rialto_extent *last = &memory.extents.extent[memory.extents.count - 1];
    return (uint64_t)last->first + last->capacity;
}

static const struct rialto_extent *extent_now(uint64_t slot)
{
    uint32_t i = memory.extents.count - 1;
    while (slot < memory.extents.extent[i].first)
        i--;
    return &memory.extents.extent[i];
}

static const uint64_t *line_now(uint64_t slot)
{
    const struct rialto_extent *in = extent_now(slot);
    return (const uint64_t *)(const void *)((const uint8_t *)&memory + in->lines) + (slot - in->first) * WORDS;
}

static uint8_t tag_now(uint64_t slot)
{
    const struct rialto_extent *in = extent_now(slot);
    return ((const uint8_t *)&memory)[in->tags + (slot - in->first)];
}

/* A line that is the key's and at rest; NOWHERE = none. */
static uint64_t slot_of_key(int key)
{
    for (uint64_t s = 0; s < capacity_now(); s++) {
        const uint64_t *line = line_now(s);
        if ((line[0] & 1u) == 0 && line[1] == KEY[key].lo && line[2] == KEY[key].hi)
            return s;
    }
    return NOWHERE;
}

/* What a process knows of the segment dies with it. */
static void forget(void)
{
    memset(cache.counted, 0, sizeof cache.counted);
    memset(cache.view, 0, sizeof cache.view);
    view_extents(&cache, TABLE, 0);
    cache.claims_to_slice = 0;
}

static bool put(int32_t steps, int key, uint32_t version)
{
    bool ended = VIEWS_RUN(steps, write_key(key, version));
    uint64_t slot = slot_of_key(key);
    if (ended && slot == NOWHERE)
        views_fault(&found.unreachable, true);
    else if (slot != NOWHERE && line_now(slot)[0] >> 32 == version)
        committed(key, version, tag_now(slot) == segment_tag(KEY[key]) ? views.stores : LATER);
    if (!ended)
        forget();
    return ended;
}

static bool drop(int32_t steps, int key)
{
    uint64_t slot = slot_of_key(key);
    if (slot == NOWHERE || table_find(&cache, TABLE, 0, KEY[key]) != slot) {
        views_fault(&found.unreachable, true);
        return true;
    }
    uint64_t before = line_now(slot)[0];
    bool ended = VIEWS_RUN(steps, delete_key(key));
    if (line_now(slot)[0] != before) /* open or done: a deletion is rolled forward */
        committed(key, 0, views.stores);
    if (!ended)
        forget();
    return ended;
}

static bool repair(int32_t steps)
{
    bool ended = VIEWS_RUN(steps, table_repair(&cache, TABLE, 0));
    for (int key = 0; ended && key < WATCHED; key++) {
        for (uint32_t i = 0; i < history[key].commits; i++)
            history[key].commit[i].by = history[key].commit[i].by == LATER ? views.stores : history[key].commit[i].by;
    }
    if (!ended)
        forget();
    return ended;
}

/* Start with A, B and C in a row from line 6 on, and E at line 9 behind them; crowded: one key short of growing. */
static void begin_with(const void *filled)
{
    memcpy(&memory, filled, sizeof memory);
    views_begin(&memory);
    forget();
    for (int key = 0; key < WATCHED; key++) {
        history[key].commits = 0;
        committed(key, key <= C || key == E ? 1 : 0, 0);
    }
}

static void begin(void)
{
    begin_with(&sparse);
}

static void fill(void)
{
    cache.folder.table[TABLE] = (struct folder_table){
        .header = &memory.header,
        .extents = &memory.extents,
        .segment = &memory.segment,
        .base = (uint8_t *)&memory,
        .bytes = sizeof memory,
    };
    memory.header.capacity_max = 2u * LINES;
    memory.header.bytes_max = sizeof memory;
    memory.header.file_end = offsetof(__typeof__(memory), region[1]);
    memory.extents.extent[0].tags = offsetof(__typeof__(memory), region[0].tag);
    memory.extents.extent[0].lines = offsetof(__typeof__(memory), region[0].line);
    memory.extents.extent[0].capacity = LINES;
    memory.extents.count = 1;
    views_begin(&memory);
    for (int key = A; key <= C; key++)
        write_key(key, 1);
    write_key(E, 1);
    memcpy(&sparse, &memory, sizeof sparse);
    for (int key = F; key < KEYS; key++)
        write_key(key, 1);
    memcpy(&crowded, &memory, sizeof crowded);
}

/* ---- readers ------------------------------------------------------------------------------------------------ */

static void look_up(int key, uint32_t seen, bool standing)
{
    struct probe p;
    uint64_t image[WORDS] = { 0 };
    probe_start(&p, &cache.folder.table[TABLE], WORDS, 0, KEY[key], false);
    enum rialto_status status = probe_find(&p, &cache.folder.table[TABLE], WORDS, image);
    found.reads++;
    if (status == RIALTO_BUSY) {
        found.busy++;
        views_fault(&found.stuck, standing || p.in->capacity == 0); /* or an extent was seen that is not whole */
        return;
    }
    uint32_t version = status == RIALTO_OK ? (uint32_t)(image[0] >> 32) : 0, i = history[key].commits;
    views_fault(&found.mixed, status == RIALTO_OK && image[3] != version * 10);
    while (history[key].commit[--i].version != version) {
        if (i == 0 || history[key].commit[i].by <= seen) {
            views_fault(&found.wrong, true);
            return;
        }
    }
}

static void all_readers(void)
{
    for (int key = 0; key < WATCHED; key++) {
        for (uint32_t i = 0; i < history[key].commits; i++) {
            uint32_t seen = history[key].commit[i].by;
            if (seen != LATER)
                VIEWS_ALL(seen, look_up(key, seen, false));
        }
    }
}

static void standing_readers(void)
{
    for (int key = 0; key < WATCHED; key++)
        VIEWS_ALL(views.stores, look_up(key, views.stores, true));
}

static void expect_repaired(void)
{
    uint64_t live = 0;
    for (uint64_t s = 0; s < capacity_now(); s++) {
        const struct rialto_key key = { line_now(s)[1], line_now(s)[2] };
        live += !key_is_none(key);
        views_fault(&found.strayed, key_is_none(key) ? tag_now(s) >= RIALTO_TAG_MIN : tag_now(s) != segment_tag(key));
    }
    views_fault(&found.miscounted, table_used(&cache, TABLE, 0) != live);
    for (int key = 0; key < WATCHED; key++) {
        uint64_t slot = table_find(&cache, TABLE, 0, KEY[key]);
        views_fault(&found.unreachable, (slot == SLOT_NONE) != (newest(key) == 0));
        if (slot != SLOT_NONE)
            views_fault(&found.unreachable, line_now(slot)[0] >> 32 != newest(key));
    }
}

/* The segment has grown once, into lines of its own. */
static void expect_grown(void)
{
    const struct rialto_extent *one = &memory.extents.extent[0], *two = &memory.extents.extent[1];
    views_fault(&found.overlapping, memory.extents.count != 2 || two->first != LINES || two->capacity != LINES ||
                                        two->tags < one->lines + LINES * WORDS * 8 || two->lines != two->tags + LINES ||
                                        two->lines + LINES * WORDS * 8 > memory.header.file_end);
    views_fault(&found.overlapping, memory.segment.grow_lines != 0);
}

/* ---- scenarios ------------------------------------------------------------------------------------------------ */

static void owner_lives(void)
{
    begin();
    (void)put(-1, D, 1); /* behind the others */
    (void)put(-1, B, 2);
    (void)drop(-1, A);
    (void)put(-1, D, 2);
    all_readers();
    standing_readers();

    begin(); /* B moves to the line that was A's while C stays */
    (void)drop(-1, A);
    (void)drop(-1, B);
    (void)put(-1, B, 3);
    all_readers();
    standing_readers();

    begin(); /* the run is taken away from its end: deleted tags become empty */
    (void)drop(-1, C);
    (void)drop(-1, E);
    (void)drop(-1, B);
    all_readers();
    expect_repaired();
}

enum deed { CHANGE, INSERT, DELETE_FIRST, DELETE_LAST, DEEDS };

static bool act(enum deed deed, int32_t steps)
{
    switch (deed) {
    case CHANGE: return put(steps, B, 2);
    case INSERT: return put(steps, D, 2);
    case DELETE_FIRST: return drop(steps, A);
    default: return drop(steps, E);
    }
}

/* Die at step k of a deed, at step j of the repair, repair, and go on with something that takes the same line. */
static void owner_dies(enum deed deed)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool repaired = false;
        for (int32_t j = 0; !repaired; j++) {
            begin();
            ended = act(deed, k);
            standing_readers();
            repaired = repair(j);
            standing_readers();
            (void)repair(-1);
            standing_readers();
            expect_repaired();
            if (deed == DELETE_FIRST)
                (void)put(-1, D, 3);
            else if (newest(D) != 0)
                (void)drop(-1, D);
            else
                (void)put(-1, B, 3);
            expect_repaired();
            all_readers();
        }
    }
}

/* Die in a deed, be repaired, die in the next one, be repaired. */
static void owner_dies_twice(enum deed first, enum deed second)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool again = false;
        for (int32_t j = 0; !again; j++) {
            begin();
            ended = act(first, k);
            (void)repair(-1);
            again = first == second && slot_of_key(A) == NOWHERE ? true : act(second, j);
            standing_readers();
            (void)repair(-1);
            standing_readers();
            expect_repaired();
        }
    }
}

/* An insertion makes the segment grow: die anywhere in that, and in the repair; a successor ends it, and A, which was in
 * the old lines, comes back in the new ones. */
static void owner_grows(void)
{
    bool ended = false;
    for (int32_t k = 0; !ended; k++) {
        bool repaired = false;
        for (int32_t j = 0; !repaired; j++) {
            begin_with(&crowded);
            ended = put(k, D, 2);
            standing_readers();
            repaired = repair(j);
            standing_readers();
            (void)repair(-1);
            standing_readers();
            expect_repaired();
            (void)put(-1, D, 3);
            expect_grown();
            (void)drop(-1, A);
            (void)put(-1, A, 4);
            expect_repaired();
            expect_grown();
            all_readers();
        }
    }
}

int main(void)
{
    int failures = 0;
    fill();
    owner_lives();
    for (enum deed deed = 0; deed < DEEDS; deed++)
        owner_dies(deed);
    owner_dies_twice(DELETE_FIRST, INSERT);
    owner_dies_twice(INSERT, DELETE_FIRST);
    owner_dies_twice(INSERT, CHANGE);
    owner_dies_twice(CHANGE, DELETE_LAST);
    owner_grows();
    views_summary();
    printf("# %lu look-ups, %lu of them busy after %d looks\n", (unsigned long)found.reads, (unsigned long)found.busy,
           LINE_ATTEMPTS_MAX);
    failures += views_report(found.reads > 0 && found.mixed == 0, "no reader takes a torn line");
    failures += views_report(found.wrong == 0, "keys are found in a version of the moment, and only if they are there");
    failures += views_report(found.stuck == 0, "an owner that stands still makes nobody wait, nor does one that grows");
    failures += views_report(found.unreachable == 0, "repair leaves each key's last version where its owner finds it");
    failures += views_report(found.strayed == 0, "each line's tag that of its key");
    failures += views_report(found.miscounted == 0, "and the count of live lines right");
    failures += views_report(found.overlapping == 0, "a successor ends the growth that it finds, once");
    failures += views_report(views.failures == 0, "no reader stores");
    return failures == 0 ? 0 : 1;
}
