/* test_grow.c - segments grow beside readers; an owner that dies at any store of it harms nobody. */
#include <setjmp.h>
#include <stdint.h>

static jmp_buf died;
static long steps_left; /* below 0: for ever */

static void step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        longjmp(died, 1);
}
#define GROW_STEP() step()

#include "cache/folder.h"
#include "cache/grow.h"
#include "cache/reader.h"
#include "cache/segment.h"
#include "tests/cache/fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WORDS 8u
#define TERMS RIALTO_TABLE_TERMS

static struct fixture f;

static void setup_table(enum rialto_table table, uint64_t lines, uint32_t start_percent)
{
    memset(&f, 0, sizeof f);
    steps_left = -1;
    fixture_folder(f.folder);
    f.plan = fixture_plan(f.folder);
    f.plan.lines[table] = lines;
    f.plan.start_percent = start_percent;
    bool kept = true;
    uint64_t missing = 0;
    cr_assert_eq(cache_create(&f.plan, &kept, &missing), RIALTO_OK);
    cr_assert_eq(cache_open(f.folder, &f.cache), RIALTO_OK);
    cr_assert_eq(rialto_open(f.folder, &f.reader), RIALTO_OK);
}

static void setup_with(uint64_t lines, uint32_t start_percent)
{
    setup_table(TERMS, lines, start_percent);
}

static void setup(void)
{
    setup_with(64 * 3000, 10);
}

static void setup_cells(void)
{
    setup_table(RIALTO_TABLE_CELLS, 64 * 200, 10);
}

static void teardown(void)
{
    fixture_teardown(&f);
}

TestSuite(grow, .init = setup, .fini = teardown);
TestSuite(grow_cells, .init = setup_cells, .fini = teardown);

/* Keys whose homes are spread evenly (Weyl's sequence); the number can be read back from the line. */
static struct rialto_key key_of(uint64_t n)
{
    return (struct rialto_key){ (n + 1) * UINT64_C(0x9E3779B97F4A7C15), (n + 1) * UINT64_C(0xD1B54A32D192ED03) };
}

static uint64_t put(uint32_t partition, uint64_t n)
{
    struct rialto_terms_line line = { .key = key_of(n), .until_s = (uint32_t)n };
    uint64_t slot = SLOT_NONE;
    if (table_claim(f.cache, TERMS, partition, line.key, &slot) != RIALTO_OK)
        return SLOT_NONE;
    (void)table_write(f.cache, TERMS, partition, slot, &line);
    return slot;
}

static bool found_by(const struct folder_table *table, uint32_t partition, uint64_t n)
{
    union {
        uint64_t word[WORDS];
        struct rialto_terms_line line;
    } got;
    struct probe p;
    probe_start(&p, table, WORDS, partition, key_of(n), true);
    return probe_find(&p, table, WORDS, got.word) == RIALTO_OK && got.line.until_s == (uint32_t)n;
}

/* Goal: a reader that mapped the file when it was small finds every key at every moment, and no key ever changes its slot. */
Test(grow, from_a_tenth_to_the_whole_without_a_remap_or_a_moved_line)
{
    struct folder small;
    cr_assert_eq(folder_open(f.folder, false, &small), RIALTO_OK);
    const struct folder_table *t = &small.table[TERMS];
    uint64_t most = table_capacity_max(f.cache, TERMS), begin = table_capacity(f.cache, TERMS, 7);
    cr_assert_leq(begin * 9, most);
    struct stat st;
    char path[FOLDER_PATH_MAX];
    cr_assert(folder_file_path(f.folder, TERMS, "", path));
    cr_assert_eq(stat(path, &st), 0);
    uint64_t file_then = (uint64_t)st.st_size;

    uint64_t lines = most * 75 / 100, *slot = calloc(lines, sizeof *slot);
    cr_assert_not_null(slot);
    for (uint64_t n = 0; n < lines; n++) {
        slot[n] = put(7, n);
        cr_assert_neq(slot[n], SLOT_NONE, "%lu of %lu", (unsigned long)n, (unsigned long)lines);
        cr_assert(found_by(t, 7, n));
        cr_assert(found_by(t, 7, n / 2), "and the older ones too");
    }
    for (uint64_t n = 0; n < lines; n++) {
        cr_assert(found_by(t, 7, n));
        cr_assert_eq(table_find(f.cache, TERMS, 7, key_of(n)), slot[n], "where it always was");
    }
    cr_assert_not(found_by(t, 7, lines));
    cr_assert_eq(table_capacity(f.cache, TERMS, 7), most);
    cr_assert_eq(table_capacity(f.cache, TERMS, 8), begin, "others have not grown");
    cr_assert_eq(table_used(f.cache, TERMS, 7), lines);
    struct table_growth growth = table_growth(f.cache, TERMS);
    cr_assert(growth.extents >= 3 && growth.extents < RIALTO_EXTENTS_MAX, "%lu", (unsigned long)growth.extents);
    cr_assert_eq(growth.refused, 0);
    cr_assert_eq(growth.regions_lost, 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_gt((uint64_t)st.st_size, file_then);
    cr_assert_leq((uint64_t)st.st_size, t->bytes, "within what was mapped");
    free(slot);
    folder_close(&small);
}

static enum rialto_status asked(const struct rialto *r, const char *sku, struct rialto_quote *ret)
{
    return rialto_quote(r, &(struct rialto_request){ .zone = "de/south" }, sku, ret);
}

/* Products n of `count`, a page of up to 64 at a time: three in four have a price, one in four of these in the zone only. */
static void expect_pages(const struct rialto *r, uint32_t count)
{
    static char sku[RIALTO_PAGE_MAX][32];
    static struct rialto_quote quote[RIALTO_PAGE_MAX], one;
    static enum rialto_status status[RIALTO_PAGE_MAX];
    const char *list[RIALTO_PAGE_MAX];
    for (uint32_t from = 0; from < count; from += RIALTO_PAGE_MAX) {
        uint32_t n = count - from < RIALTO_PAGE_MAX ? count - from : RIALTO_PAGE_MAX;
        for (uint32_t i = 0; i < n; i++) {
            (void)snprintf(sku[i], sizeof sku[i], "sku-%u", from + i);
            list[i] = sku[i];
        }
        cr_assert_eq(rialto_quote_page(r, &(struct rialto_request){ .zone = "de/south" }, n, list, quote, status),
                     RIALTO_OK);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t number = from + i;
            enum rialto_status wanted = number % 4 == 3 ? RIALTO_UNKNOWN_PRODUCT : RIALTO_OK;
            cr_assert_eq(status[i], wanted, "%s: %s", list[i], rialto_status_text(status[i]));
            cr_assert_eq(asked(r, list[i], &one), wanted, "%s", list[i]);
            one.age_ms = quote[i].age_ms; /* time goes on in between */
            cr_assert_eq(memcmp(&one, &quote[i], sizeof one), 0, "%s", list[i]);
            if (wanted != RIALTO_OK)
                continue;
            cr_assert_eq(quote[i].baseline, 1000 + number, "%s", list[i]);
            cr_assert_str_eq(quote[i].zone, number % 4 == 0 ? "de/south" : "");
        }
    }
}

/* Goal: whoever opened the folder while its tables were small, and whoever opens it now, finds all products in all extents, and what is in
 * none of them is unknown. */
Test(grow_cells, quotes_are_found_in_all_extents)
{
    struct rialto_rule_row gbp = fixture_rule("GBP", 826);
    cr_assert_eq(rule_append(f.cache, &gbp, &f.gbp), RIALTO_OK);
    atomic_store(&cache_control(f.cache)->clock_offset_ms, 0);
    for (uint32_t n = 0; n < 6000; n++) {
        char sku[32];
        (void)snprintf(sku, sizeof sku, "sku-%u", n);
        if (n % 4 != 3)
            fixture_cell(&f, sku, n % 4 == 0 ? "de/south" : "", 1000 + (int64_t)n);
        if (n % 1000 == 999) {
            fixture_beat(&f);
            struct rialto *now;
            cr_assert_eq(rialto_open(f.folder, &now), RIALTO_OK);
            expect_pages(f.reader, n + 1);
            expect_pages(now, n + 1);
            rialto_close(now);
        }
    }
    struct table_growth growth = table_growth(f.cache, RIALTO_TABLE_CELLS);
    cr_assert_gt(growth.extents, 2, "%lu", (unsigned long)growth.extents);
}

/* Goal: the configured maximum is the end: then a visible refusal, and room again after deletions. */
Test(grow, at_the_maximum_it_is_full)
{
    uint64_t most = table_capacity_max(f.cache, TERMS), n = 0;
    while (put(0, n) != SLOT_NONE)
        n++;
    cr_assert(n > most * 3 / 4 && n <= most, "%lu of %lu", (unsigned long)n, (unsigned long)most);
    cr_assert_eq(table_capacity(f.cache, TERMS, 0), most);
    for (uint64_t i = 0; i < n; i += 2)
        table_delete(f.cache, TERMS, 0, table_find(f.cache, TERMS, 0, key_of(i)));
    cr_assert_neq(put(0, n), SLOT_NONE);
    cr_assert_eq(table_used(f.cache, TERMS, 0), n / 2 + 1);
}

/* Goal: an owner that walks over its lines meets each living key once, in whichever extent it is. */
Test(grow, a_walk_over_all_lines_meets_each_key_once)
{
    uint64_t lines = table_capacity_max(f.cache, TERMS) / 2, met = 0;
    uint8_t *seen = calloc(lines, sizeof *seen);
    cr_assert_not_null(seen);
    for (uint64_t n = 0; n < lines; n++)
        cr_assert_neq(put(5, n), SLOT_NONE);
    for (uint64_t n = 0; n < lines; n += 3)
        table_delete(f.cache, TERMS, 5, table_find(f.cache, TERMS, 5, key_of(n)));
    cr_assert_gt(table_growth(f.cache, TERMS).extents, 1);
    for (uint64_t slot = table_next(f.cache, TERMS, 5, 0); slot != SLOT_NONE;
         slot = table_next(f.cache, TERMS, 5, slot + 1)) {
        struct rialto_terms_line line;
        cr_assert(table_read(f.cache, TERMS, 5, slot, &line));
        cr_assert_lt(line.until_s, lines);
        cr_assert_eq(seen[line.until_s]++, 0);
        met++;
    }
    cr_assert_eq(met, lines - (lines + 2) / 3);
    cr_assert_eq(table_next(f.cache, TERMS, 6, 0), SLOT_NONE, "nobody is there");
    free(seen);
}

Test(grow, kept_files_stay_grown_and_another_owner_goes_on)
{
    uint64_t lines = table_capacity_max(f.cache, TERMS) / 2;
    for (uint64_t n = 0; n < lines; n++)
        cr_assert_neq(put(3, n), SLOT_NONE);
    uint64_t capacity = table_capacity(f.cache, TERMS, 3);
    cache_close(f.cache);
    bool kept = false;
    uint64_t missing = 0;
    cr_assert_eq(cache_create(&f.plan, &kept, &missing), RIALTO_OK);
    cr_assert(kept);
    cr_assert_eq(cache_open(f.folder, &f.cache), RIALTO_OK);
    table_repair(f.cache, TERMS, 3);
    cr_assert_eq(table_capacity(f.cache, TERMS, 3), capacity);
    for (uint64_t n = lines; n < lines * 3 / 2; n++)
        cr_assert_neq(put(3, n), SLOT_NONE);
    cr_assert_eq(table_capacity(f.cache, TERMS, 3), table_capacity_max(f.cache, TERMS));
    for (uint64_t n = 0; n < lines * 3 / 2; n++)
        cr_assert(found_by(&f.reader->folder.table[TERMS], 3, n));
}

/* ---- dead owners ------------------------------------------------------------------------------------------------ */

static struct grow_place place_in_folder(struct folder *folder, uint32_t partition)
{
    const struct folder_table *t = &folder->table[TERMS];
    return (struct grow_place){ t, &t->extents[partition], &t->segment[partition], 64 };
}

static void grow_whole(const struct grow_place *g)
{
    enum rialto_status status = grow_pending(g) ? RIALTO_OK : grow_begin(g);
    cr_assert_eq(status, RIALTO_OK);
    while (grow_missing(g) > 0)
        cr_assert_eq(grow_reserve(g, 65536), RIALTO_OK);
    grow_publish(g);
}

/* One segment grows and its owner dies at the step-th store. True when it lived to the end. */
static bool grow_and_die(struct folder *folder, uint32_t partition, long at)
{
    struct grow_place g = place_in_folder(folder, partition);
    steps_left = at;
    volatile bool lived = false;
    if (setjmp(died) == 0) {
        grow_whole(&g);
        lived = true;
    }
    steps_left = -1;
    return lived;
}

static void expect_all_found(uint32_t partition, uint64_t lines)
{
    for (uint64_t n = 0; n < lines; n++)
        cr_assert(found_by(&f.reader->folder.table[TERMS], partition, n), "partition %u key %lu", partition,
                  (unsigned long)n);
}

/* Goal: dead at any store, readers find all there was; the successor ends what was begun, and at most one region of
 * addresses is lost. A segment of its own for each store. */
Test(grow, an_owner_may_die_at_any_store)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    uint64_t begin = table_capacity(f.cache, TERMS, 0), lines = begin / 2, lost = 0, published = 0;
    uint32_t partition = 0;
    for (bool lived = false; !lived; partition++) {
        cr_assert_lt(partition, RIALTO_PARTITIONS, "more stores than segments");
        for (uint64_t n = 0; n < lines; n++)
            cr_assert_neq(put(partition, n), SLOT_NONE);
        lived = grow_and_die(&folder, partition, (long)partition);
        published += table_capacity(f.cache, TERMS, partition) == 2 * begin;
        cr_assert(table_capacity(f.cache, TERMS, partition) == begin ||
                  table_capacity(f.cache, TERMS, partition) == 2 * begin);
        expect_all_found(partition, lines);
        table_repair(f.cache, TERMS, partition);
        table_repair(f.cache, TERMS, partition);
        lost = table_growth(f.cache, TERMS).regions_lost;
        expect_all_found(partition, lines);
        for (uint64_t n = lines; n < begin * 5 / 4; n++)
            cr_assert_neq(put(partition, n), SLOT_NONE, "the successor ends it");
        cr_assert_geq(table_capacity(f.cache, TERMS, partition), 2 * begin);
        expect_all_found(partition, begin * 5 / 4);
    }
    cr_assert_gt(partition, 12, "every store was tried");
    cr_assert_geq(published, 2, "dead behind the publication as well");
    cr_assert(lost >= 1 && lost <= 4, "%lu: only a death between choosing and writing down can lose addresses",
              (unsigned long)lost);
    folder_close(&folder);
}

/* Goal: words of a growth that no owner can have begun are forgotten: a segment never grows into what is somebody else's. */
Test(grow, damaged_words_of_a_growth_are_forgotten)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    const struct rialto_table_header *header = folder.table[TERMS].header;
    uint64_t begin = table_capacity(f.cache, TERMS, 5), end = atomic_load(&header->file_end), most = header->bytes_max;
    uint64_t region = grow_region_bytes(begin, 64);
    const struct {
        uint64_t lines, offset, reserved;
    } damaged[] = {
        { begin, GROW_ALIGN, region }, /* the extents of all segments */
        { begin, header->file_bytes / 2 / GROW_ALIGN * GROW_ALIGN, region },
        { begin, end, region }, /* given to nobody yet */
        { begin, most, region },
        { begin, UINT64_MAX / GROW_ALIGN * GROW_ALIGN, 0 },
        { UINT64_MAX / 64, end - region, 0 },
    };
    for (uint32_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct rialto_segment *s = &folder.table[TERMS].segment[i];
        for (uint64_t n = 0; n < begin / 2; n++)
            cr_assert_neq(put(i, n), SLOT_NONE);
        atomic_store(&s->grow_lines, damaged[i].lines);
        atomic_store(&s->grow_offset, damaged[i].offset);
        atomic_store(&s->grow_reserved, damaged[i].reserved);
        table_repair(f.cache, TERMS, i);
        cr_expect_eq(atomic_load(&s->grow_lines), 0, "%u", i);
    }
    for (uint32_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        for (uint64_t n = begin / 2; n < begin * 5 / 4; n++)
            cr_assert_neq(put(i, n), SLOT_NONE);
        cr_expect_geq(table_capacity(f.cache, TERMS, i), 2 * begin);
    }
    for (uint32_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        expect_all_found(i, begin * 5 / 4);
    folder_close(&folder);
}

/* Goal: a successor that dies too, in the repair and after it, changes nothing. */
Test(grow, successors_may_die_as_well)
{
    struct folder folder;
    cr_assert_eq(folder_open(f.folder, true, &folder), RIALTO_OK);
    uint64_t begin = table_capacity(f.cache, TERMS, 5);
    for (uint64_t n = 0; n < begin / 2; n++)
        cr_assert_neq(put(5, n), SLOT_NONE);
    struct grow_place g = place_in_folder(&folder, 5);
    for (long at = 0; at < 40 && table_capacity(f.cache, TERMS, 5) == begin; at++) {
        (void)grow_and_die(&folder, 5, at % 5 + 1);
        steps_left = at % 2;
        if (setjmp(died) == 0)
            grow_repair(&g);
        steps_left = -1;
        expect_all_found(5, begin / 2);
    }
    steps_left = -1;
    grow_repair(&g);
    if (table_capacity(f.cache, TERMS, 5) == begin)
        grow_whole(&g);
    cr_assert_eq(table_capacity(f.cache, TERMS, 5), 2 * begin);
    expect_all_found(5, begin / 2);
    folder_close(&folder);
}

/* ---- one file, many owners -------------------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* Goal: owners in processes of their own extend one file at once; no region overlaps another, none lies past the end. */
Test(grow, processes_extend_one_file_together)
{
    enum { OWNERS = 4 };
    uint64_t lines = table_capacity_max(f.cache, TERMS) * 7 / 10;
    pid_t child[OWNERS];
    for (uint32_t owner = 0; owner < OWNERS; owner++) {
        child[owner] = fork();
        if (child[owner] != 0)
            continue;
        bool good = cache_open(f.folder, &f.cache) == RIALTO_OK;
        for (uint64_t n = 0; n < lines; n++)
            for (uint32_t p = owner; p < RIALTO_PARTITIONS; p += OWNERS)
                good = put(p, n) != SLOT_NONE && good;
        _exit(good ? 0 : 1);
    }
    for (uint32_t owner = 0; owner < OWNERS; owner++) {
        int status = -1;
        cr_assert_eq(waitpid(child[owner], &status, 0), child[owner]);
        cr_assert_eq(status, 0);
    }
    uint64_t range[RIALTO_PARTITIONS * RIALTO_EXTENTS_MAX * 2][2];
    size_t count = 0;
    const struct folder_table *t = &f.reader->folder.table[TERMS];
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        expect_all_found(p, lines);
        for (uint32_t i = 0; i < folder_extent_count(&t->extents[p]); i++) {
            const struct rialto_extent *x = &t->extents[p].extent[i];
            range[count][0] = x->tags, range[count++][1] = x->capacity;
            range[count][0] = x->lines, range[count++][1] = x->capacity * 64u;
        }
    }
    qsort(range, count, sizeof range[0], by_offset);
    struct stat st;
    char path[FOLDER_PATH_MAX];
    cr_assert(folder_file_path(f.folder, TERMS, "", path));
    cr_assert_eq(stat(path, &st), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_leq(range[i][0] + range[i][1], i + 1 < count ? range[i + 1][0] : (uint64_t)st.st_size);
}

/* ---- no space ----------------------------------------------------------------------------------------------------- */

/* Goal: a full tmpfs is a refusal, counted, never a SIGBUS; when room comes, growth goes on. */
Test(grow_in_a_full_tmpfs, is_refused_and_goes_on_later)
{
    char folder[64], filler[96];
    fixture_folder(folder);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=64m") != 0) {
        (void)rmdir(folder);
        cr_skip_test("no right to mount");
    }
    steps_left = -1;
    memset(&f, 0, sizeof f);
    f.plan = fixture_plan(folder);
    f.plan.workers = 1;
    f.plan.lines[TERMS] = 64 * 3000;
    f.plan.start_percent = 10;
    bool kept = true;
    uint64_t missing = 0;
    cr_assert_eq(cache_create(&f.plan, &kept, &missing), RIALTO_OK);
    cr_assert_eq(cache_open(folder, &f.cache), RIALTO_OK);
    cr_assert_eq(rialto_open(folder, &f.reader), RIALTO_OK);
    (void)snprintf(filler, sizeof filler, "%s/filler", folder);
    int fd = open(filler, O_RDWR | O_CREAT, 0600);
    for (off_t at = 0; posix_fallocate(fd, at, 4096) == 0;)
        at += 4096;

    uint64_t begin = table_capacity(f.cache, TERMS, 1), n = 0;
    while (put(1, n) != SLOT_NONE)
        n++;
    cr_assert(n > begin * 3 / 4 && n <= begin, "brimful: %lu of %lu", (unsigned long)n, (unsigned long)begin);
    struct table_growth growth = table_growth(f.cache, TERMS);
    cr_assert_geq(growth.refused, 1);
    cr_assert_eq(growth.refusal, RIALTO_NO_SPACE);
    for (uint64_t i = 0; i < n; i++)
        cr_assert(found_by(&f.reader->folder.table[TERMS], 1, i));

    cr_assert_eq(close(fd), 0);
    cr_assert_eq(unlink(filler), 0);
    uint64_t tries = 0;
    while (put(1, n) == SLOT_NONE && tries < 100000)
        tries++;
    cr_assert(tries > 0 && tries < 100000, "asked again, but not at every claim");
    cr_assert_gt(table_capacity(f.cache, TERMS, 1), begin);
    for (uint64_t i = 0; i <= n; i++)
        cr_assert(found_by(&f.reader->folder.table[TERMS], 1, i));
    rialto_close(f.reader);
    cache_close(f.cache);
    cr_assert_eq(umount2(folder, MNT_DETACH), 0);
    cr_assert_eq(rmdir(folder), 0);
}
