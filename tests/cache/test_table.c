/* test_table.c - a partition's owner against a plain list, and what a dead owner leaves behind. */
#include "cache/folder.h"
#include "cache/line.h"
#include "cache/segment.h"
#include "tests/cache/fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

TestSuite(table, .init = setup, .fini = teardown);

static struct rialto_terms_line line_of(uint64_t lo, uint64_t hi, uint32_t value)
{
    return (struct rialto_terms_line){ .key = { .lo = lo, .hi = hi }, .zone = value, .until_s = value * 3 };
}

static uint64_t put(const struct rialto_terms_line *line, uint32_t partition)
{
    uint64_t slot = SLOT_NONE;
    if (table_claim(f.cache, RIALTO_TABLE_TERMS, partition, line->key, &slot) != RIALTO_OK)
        return SLOT_NONE;
    (void)table_write(f.cache, RIALTO_TABLE_TERMS, partition, slot, line);
    return slot;
}

static bool reader_finds(struct rialto_key key, uint32_t partition, struct rialto_terms_line *ret)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, false, &folder), RIALTO_OK);
    struct probe p;
    uint64_t image[8];
    const struct folder_table *table = &folder.table[RIALTO_TABLE_TERMS];
    probe_start(&p, table, 8, partition, key, true);
    enum rialto_status status = probe_find(&p, table, 8, image);
    folder_close(&folder);
    memcpy(ret, image, sizeof *ret);
    return status == RIALTO_OK;
}

Test(table, what_is_written_is_found)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 3, line.key), SLOT_NONE);
    uint64_t slot = put(&line, 3);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 3, line.key), slot);
    cr_assert(table_read(f.cache, RIALTO_TABLE_TERMS, 3, slot, &got));
    cr_assert_eq(got.zone, 7);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 3), 1);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 4, line.key), SLOT_NONE, "partitions are apart");
    cr_assert(reader_finds(line.key, 3, &got));
    cr_assert_eq(got.until_s, 21);
}

Test(table, the_same_again_writes_nothing)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    uint64_t slot = put(&line, 3);
    line.seq = 12345;
    cr_assert_not(table_write(f.cache, RIALTO_TABLE_TERMS, 3, slot, &line), "the sequence is not content");
    line.zone = 8;
    cr_assert(table_write(f.cache, RIALTO_TABLE_TERMS, 3, slot, &line));
    line.consent = 1;
    cr_assert(table_write(f.cache, RIALTO_TABLE_TERMS, 3, slot, &line), "the last byte is");
    cr_assert(table_read(f.cache, RIALTO_TABLE_TERMS, 3, slot, &got));
    cr_assert_eq(got.zone, 8);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 3), 1);
}

Test(table, a_claim_is_not_an_entry)
{
    struct rialto_key key = { .lo = 5, .hi = 5 };
    uint64_t one = SLOT_NONE, two = SLOT_NONE;
    cr_assert_eq(table_claim(f.cache, RIALTO_TABLE_TERMS, 0, key, &one), RIALTO_OK);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, key), SLOT_NONE);
    cr_assert_eq(table_claim(f.cache, RIALTO_TABLE_TERMS, 0, key, &two), RIALTO_OK);
    cr_assert_eq(one, two);
}

/* Goal: the same home for all keys, so that probes run along, wrap at the end, and end when the bound says so. */
Test(table, a_run_wraps_around_the_end_and_ends_at_the_bound)
{
    uint64_t capacity = table_capacity(f.cache, RIALTO_TABLE_TERMS, 0);
    uint64_t room = capacity < RIALTO_PROBE_MAX ? capacity : RIALTO_PROBE_MAX;
    for (uint64_t i = 0; i < room; i++) {
        struct rialto_terms_line line = line_of(UINT64_MAX - 5, i + 1, (uint32_t)i + 1);
        uint64_t slot = put(&line, 0);
        cr_assert_eq(slot, (capacity - 1 + i) % capacity, "home is the last line");
    }
    struct rialto_terms_line extra = line_of(UINT64_MAX - 5, 999999, 1), got;
    cr_assert_eq(put(&extra, 0), SLOT_NONE, "full");
    cr_assert_not(reader_finds(extra.key, 0, &got));
    cr_assert(reader_finds((struct rialto_key){ UINT64_MAX - 5, room }, 0, &got));
    cr_assert_eq(got.zone, room);
}

Test(table, after_a_deletion_keys_behind_it_are_still_found)
{
    struct rialto_terms_line a = line_of(1, 1, 1), b = line_of(1, 2, 2), c = line_of(1, 3, 3), got;
    uint64_t slot_a = put(&a, 0), slot_b = put(&b, 0), slot_c = put(&c, 0);
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_b);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, b.key), SLOT_NONE);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, c.key), slot_c);
    cr_assert(reader_finds(c.key, 0, &got));
    cr_assert_not(reader_finds(b.key, 0, &got));
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 0), 2);
    cr_assert_eq(put(&b, 0), slot_b, "the gap is used again");
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_a);
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_a);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 0), 2, "deleting nothing is nothing");
}

/* The raw words of a line, and its tag, as the file has them. */
static uint64_t raw_line(uint32_t partition, uint64_t slot, uint64_t ret[8])
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, false, &folder), RIALTO_OK);
    const struct folder_table *t = &folder.table[RIALTO_TABLE_TERMS];
    memcpy(ret, t->base + t->extents[partition].extent[0].lines + slot * 64, 64);
    uint8_t tag = t->base[t->extents[partition].extent[0].tags + slot];
    folder_close(&folder);
    return tag;
}

static void set_raw_tag(uint32_t partition, uint64_t slot, uint8_t tag)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    const struct folder_table *t = &folder.table[RIALTO_TABLE_TERMS];
    t->base[t->extents[partition].extent[0].tags + slot] = tag;
    folder_close(&folder);
}

/* Goal: deleted lines that no probe needs become empty, or probes would grow longer for ever. */
Test(table, deleted_lines_that_nobody_passes_become_empty)
{
    struct rialto_terms_line a = line_of(1, 1, 1), b = line_of(1, 2, 2), c = line_of(1, 3, 3);
    uint64_t slot_a = put(&a, 0), slot_b = put(&b, 0), slot_c = put(&c, 0), raw[8];
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_a);
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_b);
    cr_assert_eq(raw_line(0, slot_a, raw), RIALTO_TAG_DELETED, "c's probe passes");
    cr_assert_eq(raw_line(0, slot_b, raw), RIALTO_TAG_DELETED, "c's probe passes");
    cr_assert(raw[1] == 0 && raw[2] == 0, "but the key is gone");
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_c);
    uint64_t slots[] = { slot_a, slot_b, slot_c };
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(raw_line(0, slots[i], raw), RIALTO_TAG_EMPTY, "line %zu is empty again", i);
}

Test(table, a_deleted_line_that_only_later_homes_follow_becomes_empty_at_once)
{
    uint64_t capacity = table_capacity(f.cache, RIALTO_TABLE_TERMS, 0), raw[8];
    struct rialto_terms_line a = line_of(1, 1, 1), b = line_of(UINT64_MAX / capacity * 3 / 2, 2, 2);
    uint64_t slot_a = put(&a, 0), slot_b = put(&b, 0);
    cr_assert_eq(slot_b, slot_a + 1, "b is at its home, right behind a");
    table_delete(f.cache, RIALTO_TABLE_TERMS, 0, slot_a);
    cr_assert_eq(raw_line(0, slot_a, raw), RIALTO_TAG_EMPTY);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, b.key), slot_b);
}

/* Goal: two keys with one tag and one home are told apart by the key. */
Test(table, equal_tags_are_not_equal_keys)
{
    struct rialto_terms_line a = line_of(1, 0x100, 1), b = line_of(1, 0x200, 2), c = line_of(1, 0x300, 3), got;
    (void)put(&a, 0);
    uint64_t slot_b = put(&b, 0);
    cr_assert_eq(segment_tag(a.key), segment_tag(b.key));
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, b.key), slot_b);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 0, c.key), SLOT_NONE);
    cr_assert(reader_finds(b.key, 0, &got));
    cr_assert_eq(got.zone, 2);
    cr_assert_not(reader_finds(c.key, 0, &got));
}

Test(table, tags_are_compared_eight_at_a_time_and_exactly)
{
    uint64_t state = 1;
    for (int i = 0; i < 100000; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t word = state & (UINT64_C(0x0303030303030303) << (i % 6)), tag = state >> 60, equal = 0;
        for (int byte = 0; byte < 8; byte++)
            equal |= (word >> (byte * 8) & 0xFF) == tag ? UINT64_C(0x80) << (byte * 8) : 0;
        cr_assert_eq(tags_equal(word, tag), equal);
    }
}

/* By vectors where there are any, and by words: the same bits as byte after byte. */
Test(table, tags_are_compared_sixteen_at_a_time_and_exactly)
{
    uint64_t state = 1, word[2];
    for (int i = 0; i < 100000; i++) {
        for (int w = 0; w < 2; w++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            word[w] = (state >> 3) & (UINT64_C(0x0303030303030303) << (i % 7));
        }
        uint64_t tag = i % 8 == 0 ? state & 0xFF : (state >> 60) << (i % 5);
        uint32_t empty = 0, match = 0;
        for (uint32_t at = 0; at < 16; at++) {
            uint64_t byte = word[at / 8] >> (at % 8 * 8) & 0xFF;
            empty |= (uint32_t)(byte == 0) << at;
            match |= (uint32_t)(byte == tag) << at;
        }
        struct tags_sixteen fast = tags_sixteen(word[0], word[1], tag);
        struct tags_sixteen plain = tags_sixteen_words(word[0], word[1], tag);
        cr_assert_eq(fast.empty, empty);
        cr_assert_eq(fast.match, match);
        cr_assert_eq(plain.empty, empty);
        cr_assert_eq(plain.match, match);
    }
}

/* From any place on, also where no word begins. */
Test(table, tags_are_seen_from_any_place_on)
{
    static _Atomic uint64_t tags[16];
    uint64_t state = 7;
    for (int i = 0; i < 5000; i++) {
        for (size_t w = 0; w < 16; w++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            atomic_store(&tags[w], (state >> 5) & (UINT64_C(0x0303030303030303) << (i % 7)));
        }
        uint64_t from = (state >> 40) % (128 - TAGS_SEEN + 1), tag = (state >> 60) << (i % 5);
        const uint8_t *place = (const uint8_t *)(uintptr_t)tags + from;
        struct tags_sixteen seen = tags_sixteen_at(place, tag), words = tags_sixteen_words_at(place, tag);
        for (uint32_t at = 0; at < TAGS_SEEN; at++) {
            cr_assert_eq(seen.empty >> at & 1, tags_get(tags, from + at) == 0);
            cr_assert_eq(seen.match >> at & 1, tags_get(tags, from + at) == tag);
        }
        cr_assert_eq((seen.empty | seen.match) >> TAGS_SEEN, 0);
        cr_assert_eq(words.empty, seen.empty);
        cr_assert_eq(words.match, seen.match);
    }
}

static bool file_holds(const char *name, const void *bytes, size_t n)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f.folder, name);
    int fd = open(path, O_RDONLY);
    struct stat st;
    cr_assert(fd != -1 && fstat(fd, &st) == 0);
    char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert(at != MAP_FAILED);
    bool found = memmem(at, (size_t)st.st_size, bytes, n) != NULL;
    (void)munmap(at, (size_t)st.st_size);
    (void)close(fd);
    return found;
}

/* Goal: erasure. Neither key nor content of a deleted line is anywhere in the file, side lines included. */
Test(table, nothing_of_a_deleted_line_is_left)
{
    struct rialto_terms_line line = line_of(UINT64_C(0x1122334455667788), UINT64_C(0x99AABBCCDDEEFF01), 0x5EC12E7);
    memcpy(line.multiplier_e4, "a customer's secret payload here", 32);
    uint64_t slot = put(&line, 9);
    line.multiplier_e4[15] = 1; /* a second version, so that the side line holds the first */
    cr_assert(table_write(f.cache, RIALTO_TABLE_TERMS, 9, slot, &line));
    cr_assert(file_holds("terms.v3", &line.key.lo, 8));
    cr_assert(file_holds("terms.v3", "secret payload", 14));

    table_delete(f.cache, RIALTO_TABLE_TERMS, 9, slot);
    cr_assert_not(file_holds("terms.v3", &line.key.lo, 8));
    cr_assert_not(file_holds("terms.v3", &line.key.hi, 8));
    cr_assert_not(file_holds("terms.v3", "secret payload", 14));
    cr_assert_not(file_holds("terms.v3", &(uint32_t){ 0x5EC12E7 }, 4));
}

/* ---- against a plain list --------------------------------------------------------------------------- */

#define MODEL_KEYS 700u

struct model { /* what the table should hold: one entry per key, by number */
    bool live[MODEL_KEYS];
    uint32_t value[MODEL_KEYS];
    uint64_t live_count;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void) /* xorshift64 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Homes crowd in a quarter of the segment, so that runs are long, meet and wrap. */
static struct rialto_key model_key(uint32_t number)
{
    uint64_t lo = (uint64_t)number * UINT64_C(0x9E3779B97F4A7C15);
    return (struct rialto_key){ .lo = lo % 8 == 0 ? lo : UINT64_MAX - (lo >> 2), .hi = number + 1 };
}

static void expect_like_model(const struct model *m, uint32_t number)
{
    struct rialto_key key = model_key(number);
    struct rialto_terms_line got;
    uint64_t slot = table_find(f.cache, RIALTO_TABLE_TERMS, 1, key);
    cr_assert_eq(slot != SLOT_NONE, m->live[number], "key %u", number);
    if (slot == SLOT_NONE)
        return;
    cr_assert(table_read(f.cache, RIALTO_TABLE_TERMS, 1, slot, &got));
    cr_assert_eq(got.zone, m->value[number], "key %u", number);
}

/* Every live key is reachable, and tags are those of the lines. A slow check over all lines. */
static void expect_invariant(void)
{
    uint64_t capacity = table_capacity(f.cache, RIALTO_TABLE_TERMS, 1);
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, false, &folder), RIALTO_OK);
    const struct folder_table *t = &folder.table[RIALTO_TABLE_TERMS];
    const uint8_t *tag = t->base + t->extents[1].extent[0].tags;
    const struct rialto_terms_line *line =
        (const struct rialto_terms_line *)(const void *)(t->base + t->extents[1].extent[0].lines);
    for (uint64_t s = 0; s < capacity; s++) {
        if (key_is_none(line[s].key)) {
            cr_assert_lt(tag[s], RIALTO_TAG_MIN);
            continue;
        }
        cr_assert_eq(tag[s], segment_tag(line[s].key));
        for (uint64_t at = segment_home(line[s].key, capacity); at != s; at = (at + 1) % capacity)
            cr_assert_neq(tag[at], RIALTO_TAG_EMPTY, "line %lu cannot be reached", (unsigned long)s);
    }
    folder_close(&folder);
}

Test(table, behaves_like_a_list_under_random_writes_and_deletions)
{
    static struct model m;
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t number = (uint32_t)(random_next() % MODEL_KEYS);
        bool want = random_next() % MODEL_KEYS < (step / 20000 % 2 == 0 ? 60 : 20); /* swells and shrinks */
        struct rialto_key key = model_key(number);
        uint64_t slot = table_find(f.cache, RIALTO_TABLE_TERMS, 1, key);
        if (want) {
            struct rialto_terms_line line = line_of(key.lo, key.hi, (uint32_t)random_next());
            slot = put(&line, 1);
            if (slot == SLOT_NONE)
                continue;
            m.live_count += !m.live[number];
            m.live[number] = true;
            m.value[number] = line.zone;
        } else if (slot != SLOT_NONE && random_next() % 16 == 0) {
            table_delete(f.cache, RIALTO_TABLE_TERMS, 1, slot);
            m.live_count--;
            m.live[number] = false;
        }
        expect_like_model(&m, number);
        cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 1), m.live_count);
        if (step % 5000 == 0)
            expect_invariant();
    }
    for (uint32_t number = 0; number < MODEL_KEYS; number++)
        expect_like_model(&m, number);
}

/* Goal: the lines that a plan asks for do fit, with ids as they come: no partition is full before its time. */
Test(table, as_many_lines_as_planned_fit)
{
    for (int i = 0; i < 2000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "C%d", i);
        struct rialto_terms_line line = { .key = fixture_key(&f, id), .zone = 1 };
        cr_assert_neq(put(&line, key_partition(line.key)), SLOT_NONE, "customer %d", i);
    }
    for (int i = 0; i < 2000; i++) { /* ten zones a product */
        char sku[32], zone[32];
        (void)snprintf(sku, sizeof sku, "sku-%d", i / 10);
        (void)snprintf(zone, sizeof zone, "z%d", i % 10);
        (void)fixture_cell(&f, sku, zone, 1000);
    }
}

/* ---- dead owners ------------------------------------------------------------------------------------- */

/* Leave a line as a writer does that dies with it open: the side line ready, the head odd, a word half done. */
static void leave_open(uint32_t partition, uint64_t slot)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    const struct folder_table *t = &folder.table[RIALTO_TABLE_TERMS];
    struct rialto_segment *segment = &t->segment[partition];
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(t->base + t->extents[partition].extent[0].lines + slot * 64);
    for (int i = 0; i < 8; i++)
        atomic_store(&segment->side[i], atomic_load(&word[i]));
    atomic_store(&segment->side_used, atomic_load(&segment->used));
    atomic_store(&segment->side_ref, (slot + 1) << 32 | (uint32_t)atomic_load(&word[0]));
    atomic_store(&word[0], atomic_load(&word[0]) + 1);
    atomic_store(&word[1], UINT64_C(0xDEAD));
    atomic_store(&word[7], UINT64_C(0xDEAD));
    folder_close(&folder);
}

Test(table, repair_puts_the_last_good_version_back)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    uint64_t slot = put(&line, 3);
    leave_open(3, slot);
    table_repair(f.cache, RIALTO_TABLE_TERMS, 3);
    cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 3, line.key), slot);
    cr_assert(table_read(f.cache, RIALTO_TABLE_TERMS, 3, slot, &got));
    cr_assert_eq(got.zone, 7);
    cr_assert_eq(got.until_s, 21);
    table_repair(f.cache, RIALTO_TABLE_TERMS, 3);
    table_repair(f.cache, RIALTO_TABLE_TERMS, 4);
    cr_assert(reader_finds(line.key, 3, &got), "a second repair, and one of an untouched partition, do nothing");
}

/* Goal: an owner that died between a line and its tag leaves no line that cannot be found, and no tag of nobody. */
Test(table, repair_makes_the_tag_that_of_the_line)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    uint64_t slot = put(&line, 3), raw[8];
    set_raw_tag(3, slot, RIALTO_TAG_EMPTY);
    cr_assert_not(reader_finds(line.key, 3, &got));
    table_repair(f.cache, RIALTO_TABLE_TERMS, 3);
    cr_assert(reader_finds(line.key, 3, &got));
    table_delete(f.cache, RIALTO_TABLE_TERMS, 3, slot);
    set_raw_tag(3, slot, (uint8_t)segment_tag(line.key));
    cr_assert_not(reader_finds(line.key, 3, &got), "the line is nobody's, whatever the tag says");
    table_repair(f.cache, RIALTO_TABLE_TERMS, 3);
    cr_assert_eq(raw_line(3, slot, raw), RIALTO_TAG_DELETED);
}

/* Goal: tags that damage made wrong cost nobody his line, and the owner his life even less. */
Test(table, a_place_that_its_tag_alone_calls_free_stays_its_keys)
{
    struct rialto_terms_line mine = line_of(100, 200, 7), other = line_of(100, 201, 9), got;
    uint64_t slot = put(&mine, 3); /* equal homes: the other key would get this very place */
    set_raw_tag(3, slot, RIALTO_TAG_EMPTY);
    uint64_t next = put(&other, 3);
    cr_assert_neq(next, slot);
    cr_assert(reader_finds(mine.key, 3, &got));
    cr_assert_eq(got.zone, 7);
    cr_assert(reader_finds(other.key, 3, &got));
    cr_assert_eq(got.zone, 9);
    cr_assert_eq(table_growth(f.cache, RIALTO_TABLE_TERMS).healed, 1);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 3), 2);
}

Test(table, a_key_whose_tag_was_lost_is_found_again_by_its_next_claim)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    uint64_t slot = put(&line, 3);
    set_raw_tag(3, slot, RIALTO_TAG_DELETED);
    line.zone = 8;
    cr_assert_eq(put(&line, 3), slot);
    cr_assert(reader_finds(line.key, 3, &got));
    cr_assert_eq(got.zone, 8);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 3), 1);
    cr_assert_eq(table_growth(f.cache, RIALTO_TABLE_TERMS).healed, 1);
}

Test(table, a_line_that_damage_gave_another_key_is_its_owners_again_when_he_writes)
{
    struct rialto_terms_line line = line_of(100, 200, 7), got;
    uint64_t slot = put(&line, 3);
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    struct folder_table *t = &folder.table[RIALTO_TABLE_TERMS];
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)(t->base + t->extents[3].extent[0].lines + slot * 64);
    atomic_store(&word[2], 777);
    folder_close(&folder);
    cr_assert_not(reader_finds(line.key, 3, &got));
    cr_assert(table_write(f.cache, RIALTO_TABLE_TERMS, 3, slot, &line));
    cr_assert(reader_finds(line.key, 3, &got));
    cr_assert_eq(got.zone, 7);
    cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 3), 1);
    cr_assert_eq(table_growth(f.cache, RIALTO_TABLE_TERMS).healed, 1);
}

/* A writer in a process of its own that writes and deletes until it is killed. */
static pid_t start_writer(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct rialto_terms_line line[4] = { line_of(1, 1, 0), line_of(1, 2, 0), line_of(1, 3, 0), line_of(1, 4, 0) };
    for (uint32_t i = 0; i < 200000000; i++) {
        struct rialto_terms_line *l = &line[i % 4];
        l->zone = i;
        l->until_s = i * 3;
        uint64_t slot = put(l, 2);
        if (i % 7 == 0)
            table_delete(f.cache, RIALTO_TABLE_TERMS, 2, slot);
    }
    _exit(0);
}

/* Goal: kill -9 at any moment leaves lines that repair makes whole, and a count that is right. */
Test(table, kill_9_in_the_middle_is_repaired, .timeout = 60)
{
    uint32_t found_open = 0;
    for (int kill_count = 0; kill_count < 100; kill_count++) {
        pid_t pid = start_writer();
        cr_assert_neq(pid, -1);
        (void)usleep(1000 + (useconds_t)(random_next() % 3000));
        cr_assert_eq(kill(pid, SIGKILL), 0);
        cr_assert_eq(waitpid(pid, NULL, 0), pid);

        uint64_t used = 0, raw[8];
        for (uint64_t slot = 0; slot < 8; slot++) {
            (void)raw_line(2, slot, raw);
            found_open += raw[0] & 1u;
        }
        table_repair(f.cache, RIALTO_TABLE_TERMS, 2);
        for (uint64_t slot = 0; slot < 8; slot++) {
            struct rialto_terms_line got;
            uint64_t tag = raw_line(2, slot, raw);
            cr_assert_eq(raw[0] & 1u, 0, "line %u is still open", (unsigned)slot);
            if (!table_read(f.cache, RIALTO_TABLE_TERMS, 2, slot, &got)) {
                cr_assert_lt(tag, RIALTO_TAG_MIN);
                continue;
            }
            used++;
            cr_assert_eq(got.until_s, got.zone * 3, "a mixture");
            cr_assert_eq(table_find(f.cache, RIALTO_TABLE_TERMS, 2, got.key), slot, "reachable");
        }
        cr_assert_eq(table_used(f.cache, RIALTO_TABLE_TERMS, 2), used, "counted %lu", (unsigned long)used);
    }
    cr_log_info("%u of 100 kills left a line open", found_open);
}

/* ---- rules ------------------------------------------------------------------------------------------- */

Test(table, rules_are_appended_once_and_found_by_model_and_currency)
{
    struct rialto_rule_row usd = fixture_rule("USD", 840);
    uint16_t rule = 99, again = 99;
    cr_assert_eq(rule_append(f.cache, &usd, &rule), RIALTO_OK);
    cr_assert_eq(rule, 2, "the fixture has two");
    cr_assert_eq(rule_append(f.cache, &usd, &again), RIALTO_OK);
    cr_assert_eq(again, rule, "the same row is not appended again");
    cr_assert_eq(rule_find(f.cache, 7, "USD", &again), RIALTO_OK);
    cr_assert_eq(again, rule);
    cr_assert_eq(rule_find(f.cache, 8, "USD", &again), RIALTO_NOT_FOUND);
    cr_assert_eq(rule_find(f.cache, 7, "JPY", &again), RIALTO_NOT_FOUND);
    cr_assert_null(rule_at(f.cache, 3));
    cr_assert_str_eq(rule_at(f.cache, 2)->currency, "USD");
    struct rialto_rule_row got;
    cr_assert_eq(rialto_rule(f.reader, 2, &got), RIALTO_OK);
    cr_assert_eq(got.currency_number, 840);
    cr_assert_eq(rialto_rule(f.reader, 3, &got), RIALTO_NOT_FOUND);
}

Test(table, the_rules_end_at_their_bound)
{
    uint16_t rule = 0;
    for (uint32_t i = 2; i < RIALTO_RULES_MAX; i++) {
        struct rialto_rule_row row = fixture_rule("USD", 840);
        row.model_hash = i;
        cr_assert_eq(rule_append(f.cache, &row, &rule), RIALTO_OK);
        cr_assert_eq(rule, i);
    }
    struct rialto_rule_row more = fixture_rule("JPY", 392);
    cr_assert_eq(rule_append(f.cache, &more, &rule), RIALTO_FULL);
}
