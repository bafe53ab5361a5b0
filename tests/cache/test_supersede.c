/* test_supersede.c - tables of another layout: frozen, marked, kept for the grace, removed; and what is left alone. */
#include "cache/folder.h"
#include "cache/supersede.h"
#include "tests/cache/fixture.h"

#include <fcntl.h>
#include <rialto/quote.h>
#include <sys/stat.h>

#define NOW_MS   INT64_C(1764000000000)
#define GRACE_MS INT64_C(60000)

static struct fixture f;

static void setup(void)
{
    fixture_setup(&f);
}

static void teardown(void)
{
    int64_t next = 0;
    (void)old_tables_remove(f.folder, 0, 0, &next);
    fixture_teardown(&f);
}

TestSuite(supersede, .init = setup, .fini = teardown);

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f.folder, name);
    return path;
}

static void make(const char *name, const void *bytes, size_t n)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0640);
    cr_assert_neq(fd, -1);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    (void)close(fd);
}

static bool there(const char *name)
{
    struct stat st;
    return lstat(path_of(name), &st) == 0;
}

/* A control file as any layout from 2 on has it: the promised words, the rest unknown bytes. */
static void make_control(const char *name, uint32_t layout)
{
    uint8_t page[4096];
    const uint64_t magic = RIALTO_CONTROL_MAGIC;
    const uint32_t order = RIALTO_BYTE_ORDER;
    memset(page, 0xA5, sizeof page);
    memcpy(&page[0], &magic, 8);
    memcpy(&page[8], &layout, 4);
    memcpy(&page[12], &order, 4);
    memset(&page[28], 0, 4);
    memset(&page[112], 0, 8);
    make(name, page, sizeof page);
}

static void make_layout_9(void)
{
    make_control("control.v9", 9);
    make("cells.v9", "lines", 5);
    make("something.v9", "of the future", 13);
}

static void read_page(const char *name, uint8_t ret[4096])
{
    int fd = open(path_of(name), O_RDONLY);
    cr_assert_eq(read(fd, ret, 4096), 4096);
    (void)close(fd);
}

Test(supersede, marking_writes_two_words_and_nothing_else)
{
    uint8_t before[4096], after[4096];
    make_layout_9();
    read_page("control.v9", before);
    cr_assert_eq(old_tables_mark(f.folder, NOW_MS), 1);
    read_page("control.v9", after);
    const uint32_t superseded = 2;
    const int64_t now = NOW_MS;
    memcpy(&before[28], &superseded, 4);
    memcpy(&before[112], &now, 8);
    cr_assert_eq(memcmp(before, after, 4096), 0);
    cr_assert_eq(old_tables_mark(f.folder, NOW_MS + 5), 0, "the time of the first mark counts");
    struct old_tables old[OLD_TABLES_MAX];
    cr_assert_eq(old_tables_find(f.folder, old), 1);
    cr_assert_eq(old[0].layout, 9);
    cr_assert(old[0].readable);
    cr_assert_eq(old[0].superseded_unix_ms, NOW_MS);
}

Test(supersede, tables_stay_for_the_grace_and_not_longer)
{
    int64_t next = 0;
    make_layout_9();
    cr_assert_eq(old_tables_remove(f.folder, NOW_MS, GRACE_MS, &next), 0, "not marked: the grace has not begun");
    cr_assert_eq(next, -1);
    (void)old_tables_mark(f.folder, NOW_MS);
    cr_assert_eq(old_tables_remove(f.folder, NOW_MS + GRACE_MS - 1, GRACE_MS, &next), 0);
    cr_assert_eq(next, 1);
    cr_assert(there("control.v9") && there("cells.v9") && there("something.v9"));
    cr_assert_gt(old_tables_remove(f.folder, NOW_MS + GRACE_MS, GRACE_MS, &next), 0);
    cr_assert_eq(next, -1);
    cr_assert(!there("control.v9") && !there("cells.v9") && !there("something.v9"));
    cr_assert(there("control.v3") && there("cells.v3"), "our own are none of it");
}

Test(supersede, a_mark_from_the_future_lasts_no_longer_than_a_grace)
{
    int64_t next = 0;
    make_layout_9();
    (void)old_tables_mark(f.folder, NOW_MS + 100 * GRACE_MS);
    cr_assert_eq(old_tables_remove(f.folder, NOW_MS, GRACE_MS, &next), 0);
    cr_assert_eq(next, GRACE_MS);
}

Test(supersede, a_mark_that_is_no_time_lasts_no_longer_either)
{
    struct old_tables old = { .layout = 9, .readable = true, .superseded_unix_ms = INT64_MIN };
    cr_assert_eq(old_tables_left_ms(&old, NOW_MS, GRACE_MS), 0);
    old.superseded_unix_ms = INT64_MAX;
    cr_assert_eq(old_tables_left_ms(&old, NOW_MS, GRACE_MS), GRACE_MS);
}

Test(supersede, without_a_grace_all_goes_at_once_and_whoever_has_it_mapped_is_told)
{
    int64_t next = 0;
    make_layout_9();
    int fd = open(path_of("control.v9"), O_RDONLY);
    cr_assert_gt(old_tables_remove(f.folder, NOW_MS, 0, &next), 0);
    uint32_t retired = 0;
    cr_assert_eq(pread(fd, &retired, 4, 28), 4);
    cr_assert_eq(retired, (uint32_t)RIALTO_RETIRED_REPLACED);
    (void)close(fd);
    cr_assert(!there("control.v9") && !there("something.v9"));
}

Test(supersede, layout_1_knew_no_mark_and_goes_at_once)
{
    int64_t next = 0;
    make_control("control.v1", 1);
    make("terms.v1", "lines", 5);
    cr_assert_eq(old_tables_mark(f.folder, NOW_MS), 0);
    (void)old_tables_remove(f.folder, NOW_MS, GRACE_MS, &next);
    cr_assert(!there("control.v1") && !there("terms.v1"));
}

Test(supersede, what_is_not_proved_to_be_ours_is_left_alone)
{
    int64_t next = 0;
    struct old_tables old[OLD_TABLES_MAX];
    static const char *const foreign[] = { "library.v3",   "cells.v03",  "cells.v",       "Cells.v3",
                                           "cells.v3.old", "control.vx", "cells.v9999999" };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        make(foreign[i], "x", 1);
    cr_assert_eq(symlink("/etc/passwd", path_of("control.v7")), 0);
    cr_assert_eq(mkdir(path_of("control.v8"), 0700), 0);
    make_control("target", 6);
    cr_assert_eq(symlink("target", path_of("control.v6")), 0);
    uint8_t before[4096], after[4096];
    read_page("target", before);

    (void)old_tables_find(f.folder, old);
    cr_assert_eq(old_tables_mark(f.folder, NOW_MS), 0);
    (void)old_tables_remove(f.folder, NOW_MS, 0, &next);
    read_page("target", after);
    cr_expect_eq(memcmp(before, after, 4096), 0, "nothing is written through a link");
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        cr_expect(there(foreign[i]), "%s", foreign[i]);
    cr_expect(there("control.v6") && there("control.v7") && there("control.v8"));

    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        (void)unlink(path_of(foreign[i]));
    (void)unlink(path_of("control.v6")), (void)unlink(path_of("control.v7")), (void)unlink(path_of("target"));
    (void)rmdir(path_of("control.v8"));
}

Test(supersede, a_control_that_nobody_can_open_is_removed_with_the_names_that_are_known)
{
    int64_t next = 0;
    make("control.v5", "short", 5);
    make("cells.v5.new", "left by a creator that died", 27);
    make("library.v5", "x", 1);
    make_control("control.v4", 3); /* says another layout than its name */
    cr_assert_eq(old_tables_mark(f.folder, NOW_MS), 0);
    (void)old_tables_remove(f.folder, NOW_MS, GRACE_MS, &next);
    cr_expect(!there("control.v5") && !there("cells.v5.new") && !there("control.v4"));
    cr_expect(there("library.v5"));
    (void)unlink(path_of("library.v5"));
}

Test(supersede, a_reader_answers_from_superseded_tables_and_says_so)
{
    struct rialto_quote q;
    int64_t since = -1;
    fixture_cell(&f, "milk", "", 1000);
    fixture_beat(&f);
    cr_assert_eq(rialto_state(f.reader, &since), RIALTO_OK);
    cr_assert_eq(since, 0);
    cr_assert_eq(rialto_quote(f.reader, &(struct rialto_request){ 0 }, "milk", &q), RIALTO_OK);
    cr_assert_eq(q.flags & RIALTO_FLAG_SUPERSEDED, 0);

    atomic_store(&cache_control(f.cache)->superseded_unix_ms, NOW_MS);
    atomic_store(&cache_control(f.cache)->retired, RIALTO_RETIRED_SUPERSEDED);
    cr_assert_eq(rialto_state(f.reader, &since), RIALTO_SUPERSEDED);
    cr_assert_eq(since, NOW_MS);
    cr_assert_eq(rialto_quote(f.reader, &(struct rialto_request){ 0 }, "milk", &q), RIALTO_OK);
    cr_assert_eq(q.amount, 1000);
    cr_assert(q.flags & RIALTO_FLAG_SUPERSEDED);
    struct rialto *another = NULL;
    cr_assert_eq(rialto_open(f.folder, &another), RIALTO_OK, "and can be opened");
    rialto_close(another);
    struct cache *owner = NULL;
    cr_assert_neq(cache_open(f.folder, &owner), RIALTO_OK, "but not for writing");

    atomic_store(&cache_control(f.cache)->retired, RIALTO_RETIRED_REPLACED);
    cr_assert_eq(rialto_state(f.reader, NULL), RIALTO_RETIRED);
    cr_assert_eq(rialto_quote(f.reader, &(struct rialto_request){ 0 }, "milk", &q), RIALTO_RETIRED);
    cr_assert_eq(rialto_state(NULL, NULL), RIALTO_BAD_INPUT);
}

Test(supersede, a_folder_with_tables_of_another_layout_only_says_so)
{
    struct rialto *reader = NULL;
    char folder[64];
    fixture_folder(folder);
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_NO_CACHE);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/control.v9", folder);
    (void)close(open(path, O_WRONLY | O_CREAT, 0640));
    cr_assert_eq(rialto_open(folder, &reader), RIALTO_OTHER_LAYOUT);
    (void)unlink(path);
    (void)rmdir(folder);
}
