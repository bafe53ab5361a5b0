/* test_create.c - the files of a cache: made, kept, replaced, refused. */
#include "cache/folder.h"
#include "tests/cache/fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static char folder[64];
static struct cache_plan plan;
static const char *const NAMES[] = { "control.v3", "cells.v3",    "terms.v3", "offers.v3",
                                     "zones.v3",   "products.v3", "rules.v3", "rings.v3" };

static void setup(void)
{
    fixture_folder(folder);
    cr_assert_eq(rmdir(folder), 0); /* cache_create() makes it */
    plan = fixture_plan(folder);
}

static void teardown(void)
{
    (void)umount2(folder, MNT_DETACH); /* a test that failed may have left one */
    cache_remove(folder);
}

TestSuite(create, .init = setup, .fini = teardown);

static enum rialto_status create(bool *ret_kept)
{
    uint64_t missing = 0;
    *ret_kept = false;
    return cache_create(&plan, ret_kept, &missing);
}

static bool stat_of(const char *name, struct stat *ret)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, ret) == 0;
}

/* Change bytes of a file in place. */
static void poke(const char *name, off_t offset, const void *bytes, size_t n)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDWR);
    cr_assert_neq(fd, -1);
    cr_assert_eq(pwrite(fd, bytes, n, offset), (ssize_t)n);
    (void)close(fd);
}

Test(create, modes_are_as_promised_whatever_the_umask)
{
    bool kept = true;
    struct stat st;
    mode_t before = umask(0077);
    cr_assert_eq(create(&kept), RIALTO_OK);
    (void)umask(before);
    cr_assert_not(kept);
    cr_assert_eq(stat(folder, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0750);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        cr_assert(stat_of(NAMES[i], &st), "%s", NAMES[i]);
        cr_assert_eq(st.st_mode & 07777, 0640, "%s", NAMES[i]);
    }
}

/* Goal: no store into the tables can ever find the file system full. */
Test(create, space_is_really_reserved)
{
    bool kept = true;
    struct stat st;
    cr_assert_eq(create(&kept), RIALTO_OK);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        cr_assert(stat_of(NAMES[i], &st));
        uint64_t reserved = (uint64_t)st.st_blocks * 512;
        if (strcmp(NAMES[i], "rings.v3") == 0)
            cr_assert_geq(reserved, folder_rings_bytes(plan.workers), "the rings in use are");
        else
            cr_assert_geq(reserved, (uint64_t)st.st_size, "%s", NAMES[i]);
    }
    cr_assert(stat_of("rings.v3", &st));
    cr_assert_eq((uint64_t)st.st_size, folder_rings_bytes(RIALTO_WORKERS_MAX));
}

Test(create, the_same_plan_keeps_files_and_readers)
{
    bool kept = true;
    struct rialto *reader = NULL;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    plan.stale_after_ms = 777;
    plan.demo = true;
    plan.path_depths[2] = 0;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert(kept);
    struct rialto_quote q;
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ 0 }, "x", &q), RIALTO_UNKNOWN_PRODUCT, "goes on");
    struct cache *cache = NULL;
    cr_assert_eq(cache_open(folder, &cache), RIALTO_OK);
    cr_assert_eq(cache_control(cache)->stale_after_ms, 777, "settings are refreshed");
    cr_assert_eq(cache_control(cache)->demo, 1);
    cr_assert_eq(cache_control(cache)->path_depths[2], 0);
    cache_close(cache);
    rialto_close(reader);
}

static void expect_replaced(void)
{
    bool kept = true;
    struct rialto *reader = NULL;
    struct rialto_quote q;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert_not(kept);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ 0 }, "x", &q), RIALTO_UNKNOWN_PRODUCT);
    rialto_close(reader);
}

Test(create, another_secret_replaces_the_files_and_retires_the_old_ones)
{
    bool kept = true;
    struct rialto *reader = NULL;
    struct rialto_quote q;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    plan.secret[100] ^= 1;
    expect_replaced();
    memset(&q, 0xFF, sizeof q);
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ 0 }, "x", &q), RIALTO_RETIRED);
    cr_assert_eq(q.amount, 0, "and the quote is all zero");
    rialto_close(reader);
}

Test(create, other_line_counts_or_workers_replace_the_files)
{
    bool kept = true;
    cr_assert_eq(create(&kept), RIALTO_OK);
    plan.lines[RIALTO_TABLE_OFFERS] *= 2;
    expect_replaced();
    plan.workers++;
    expect_replaced();
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert(kept);
}

Test(create, damaged_missing_or_foreign_files_are_replaced)
{
    bool kept = true;
    char path[128];
    cr_assert_eq(create(&kept), RIALTO_OK);
    (void)snprintf(path, sizeof path, "%s/zones.v3", folder);
    cr_assert_eq(unlink(path), 0);
    expect_replaced();
    poke("cells.v3", 8, &(uint32_t){ 99 }, 4); /* another layout */
    expect_replaced();
    poke("control.v3", offsetof(struct rialto_control, boot), &(uint64_t){ 1 }, 8); /* of another boot */
    expect_replaced();
    cr_assert_eq(truncate(path, 5000), 0);
    expect_replaced();
}

/* Goal: a creator that died between two renames leaves no cache, not a mixed one. */
Test(create, files_of_two_creations_are_no_cache)
{
    bool kept = true;
    struct rialto *reader = NULL;
    cr_assert_eq(create(&kept), RIALTO_OK);
    poke("terms.v3", offsetof(struct rialto_table_header, created_unix_ms), &(int64_t){ 12345 }, 8);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_NO_CACHE);
    cr_assert_null(reader);
    expect_replaced();
}

Test(create, open_names_what_is_wrong)
{
    bool kept = true;
    struct rialto *reader = (struct rialto *)(void *)folder;
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_NO_CACHE);
    cr_assert_null(reader);
    cr_assert_eq(create(&kept), RIALTO_OK);

    poke("control.v3", 8, &(uint32_t){ RIALTO_LAYOUT + 1 }, 4);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OTHER_LAYOUT);
    poke("control.v3", 8, &(uint32_t){ RIALTO_LAYOUT }, 4);
    poke("control.v3", 12, &(uint32_t){ __builtin_bswap32(RIALTO_BYTE_ORDER) }, 4);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OTHER_BYTE_ORDER);
    poke("control.v3", 12, &(uint32_t){ RIALTO_BYTE_ORDER }, 4);
    poke("cells.v3", 0, &(uint64_t){ __builtin_bswap64(RIALTO_TABLE_MAGIC) }, 8);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OTHER_BYTE_ORDER);
    poke("cells.v3", 0, &(uint64_t){ 0 }, 8);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_NO_CACHE, "not published yet");
    poke("cells.v3", 0, &(uint64_t){ RIALTO_TABLE_MAGIC }, 8);
    poke("cells.v3", FOLDER_EXTENTS_AT + 8, &(uint64_t){ UINT64_C(1) << 40 }, 8);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_TRUNCATED, "a segment that reaches over the end");
    cr_assert_null(reader);
}

/* Goal: neither a reader nor the service's own start looks at rows behind the end of the table. */
Test(create, more_rules_than_there_are_rows_are_no_rules)
{
    bool kept = true;
    struct rialto *reader = NULL;
    cr_assert_eq(create(&kept), RIALTO_OK);
    poke("rules.v3", offsetof(struct rialto_rules_header, count), &(uint32_t){ RIALTO_RULES_MAX }, 4);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    rialto_close(reader);
    poke("rules.v3", offsetof(struct rialto_rules_header, count), &(uint32_t){ RIALTO_RULES_MAX + 1 }, 4);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_TRUNCATED);
    expect_replaced();
}

Test(create, files_shorter_than_their_header_says)
{
    bool kept = true;
    struct rialto *reader = NULL;
    char path[128];
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        cr_assert_eq(create(&kept), RIALTO_OK);
        (void)snprintf(path, sizeof path, "%s/%s", folder, NAMES[i]);
        cr_assert_eq(truncate(path, 4096), 0);
        cr_assert_eq(rialto_open(folder, &reader), RIALTO_TRUNCATED, "%s", NAMES[i]);
        cr_assert_eq(truncate(path, 0), 0);
        cr_assert_eq(rialto_open(folder, &reader), RIALTO_TRUNCATED, "%s", NAMES[i]);
    }
}

Test(create, a_reader_maps_nothing_writable)
{
    bool kept = true;
    struct rialto *reader = NULL;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    char line[512];
    size_t seen = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, folder) == NULL)
            continue;
        seen++;
        cr_assert_null(strstr(line, " rw"), "%s", line);
    }
    (void)fclose(maps);
    cr_assert_eq(seen, sizeof NAMES / sizeof NAMES[0]);
    rialto_close(reader);
}

Test(create, remove_retires_and_leaves_nothing)
{
    bool kept = true;
    struct rialto *reader = NULL;
    struct rialto_quote q;
    struct stat st;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);
    cache_remove(folder);
    cr_assert_neq(stat(folder, &st), 0);
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ 0 }, "x", &q), RIALTO_RETIRED);
    rialto_close(reader);
    cache_remove(folder);
    cache_remove("/nonexistent/rialto");
}

Test(create, plans_out_of_range_are_refused)
{
    bool kept = false;
    plan.workers = 0;
    cr_assert_eq(create(&kept), RIALTO_BAD_INPUT);
    plan.workers = RIALTO_WORKERS_MAX + 1;
    cr_assert_eq(create(&kept), RIALTO_BAD_INPUT);
    plan.workers = 1;
    plan.lines[RIALTO_TABLE_ZONES] = UINT64_C(64) * RIALTO_ZONE_SLOTS_MAX;
    cr_assert_eq(create(&kept), RIALTO_BAD_INPUT, "a cell could not name all zones");
    plan.lines[RIALTO_TABLE_ZONES] = 64;
    plan.lines[RIALTO_TABLE_CELLS] = UINT64_MAX;
    cr_assert_eq(create(&kept), RIALTO_BAD_INPUT);
    struct stat st;
    cr_assert_neq(stat(folder, &st), 0, "and nothing was made");
}

Test(create, no_parent_no_folder)
{
    bool kept = false;
    plan.folder = "/tmp/no-such-folder-here/rialto";
    cr_assert_eq(create(&kept), RIALTO_SYSTEM);
    plan.folder = folder;
}

/* Goal: NO_SPACE says how much is missing, and the old files go on. No tmpfs of our own: then the machine's own limit. */
Test(create, more_than_the_file_system_has_is_refused_with_the_difference)
{
    bool kept = false;
    cr_assert_eq(create(&kept), RIALTO_OK);
    struct rialto *reader = NULL;
    struct rialto_quote q;
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OK);

    struct statvfs fs;
    cr_assert_eq(statvfs(folder, &fs), 0);
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t missing = 0;
    struct cache_plan small = plan;
    if (available > 2 * RIALTO_TABLE_BYTES_MAX)
        cr_skip_test("a file system larger than tables may be");
    for (uint32_t t = RIALTO_TABLE_CELLS; t <= RIALTO_TABLE_OFFERS; t++)
        plan.lines[t] = available / 64 / 3 + 1000000;
    cr_assert_eq(cache_create(&plan, &kept, &missing), RIALTO_NO_SPACE);
    cr_assert_gt(missing, 64u * 1000000u);
    cr_assert_eq(rialto_quote(reader, &(struct rialto_request){ 0 }, "x", &q), RIALTO_UNKNOWN_PRODUCT, "untouched");
    plan = small;
    cr_assert_eq(create(&kept), RIALTO_OK);
    cr_assert(kept);
    rialto_close(reader);
}

/* The real thing, where mounting is allowed: a tmpfs that is a little too small. */
Test(create, a_small_tmpfs)
{
    cr_assert_eq(mkdir(folder, 0750), 0);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=12m") != 0)
        cr_skip_test("no right to mount");
    bool kept = true;
    uint64_t missing = 0;
    plan.workers = 1;
    cr_assert_eq(cache_create(&plan, &kept, &missing), RIALTO_OK);
    plan.lines[RIALTO_TABLE_CELLS] = 200000;
    cr_assert_eq(cache_create(&plan, &kept, &missing), RIALTO_NO_SPACE);
    cr_assert(missing > 4000000 && missing < 20000000, "%lu", (unsigned long)missing);
    plan.lines[RIALTO_TABLE_CELLS] = 12000; /* fits, but not beside the old files */
    cr_assert_eq(cache_create(&plan, &kept, &missing), RIALTO_OK);
    cr_assert_not(kept);
    cr_assert_eq(umount(folder), 0);
}
