/* test_line.c - the line protocol when its writer stops anywhere. LINE_STEP() is a fault point ahead of each store. */
static void line_fault(void);
#define LINE_STEP() line_fault()
#include "cache/line.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <string.h>

#define SLOT 5u

static jmp_buf stopped;
static int steps_left = -1; /* -1 = never stop */

static void line_fault(void)
{
    if (steps_left == 0)
        longjmp(stopped, 1);
    if (steps_left > 0)
        steps_left--;
}

static struct rialto_segment segment;
static _Atomic uint64_t words[LINE_WORDS_MAX];

static struct line_place place(uint32_t count)
{
    return (struct line_place){ .segment = &segment, .word = words, .slot = SLOT, .words = count };
}

/* A version whose words all follow from its number: what a mixture of two cannot look like. */
static void image_of(uint64_t version, uint64_t ret[LINE_WORDS_MAX])
{
    ret[0] = version << 32;
    for (uint32_t i = 1; i < LINE_WORDS_MAX; i++)
        ret[i] = version * UINT64_C(0x9E3779B97F4A7C15) + i;
}

static bool image_is(const uint64_t *image, uint32_t count, uint64_t version)
{
    uint64_t wanted[LINE_WORDS_MAX];
    image_of(version, wanted);
    return image[0] >> 32 == version && memcmp(&image[1], &wanted[1], (count - 1) * 8) == 0;
}

static void write_version(uint32_t count, uint64_t version, uint64_t used_before, uint64_t used)
{
    uint64_t image[LINE_WORDS_MAX];
    image_of(version, image);
    struct line_place at = place(count);
    line_write(&at, &(struct line_version){ .image = image, .used = used },
               &(struct line_version){ .image = NULL, .used = used_before });
}

static void repair(uint32_t count)
{
    struct line_place at = place(count);
    line_repair(&at);
}

static void clear(uint64_t used)
{
    memset(&segment, 0, sizeof segment);
    memset(words, 0, sizeof words);
    atomic_store(&segment.used, used);
}

/* Run a writer that is killed after `steps` stores. Version 0 stands for a repair. False when it came to its end. */
static bool killed_in(int steps, uint32_t count, uint64_t version, uint64_t used_before, uint64_t used)
{
    steps_left = steps;
    bool killed = setjmp(stopped) != 0;
    if (!killed) {
        if (version == 0)
            repair(count);
        else
            write_version(count, version, used_before, used);
    }
    steps_left = -1;
    return killed;
}

/* Version 1, then a writer of version 2 that is killed after `steps` stores. */
static bool killed_in_second(int steps, uint32_t count)
{
    clear(0);
    write_version(count, 1, 0, 1);
    return killed_in(steps, count, 2, 1, 1);
}

static bool reads_as(uint32_t count, uint64_t version)
{
    uint64_t got[LINE_WORDS_MAX];
    return line_read(&segment, words, SLOT, count, got) && image_is(got, count, version);
}

static bool is_open(void)
{
    return (atomic_load(&words[0]) & 1u) != 0;
}

static void expect_old_or_new_at_every_stop(uint32_t count)
{
    int stops = 0, open = 0;
    uint64_t seen = 1;
    for (; killed_in_second(stops, count); stops++) {
        uint64_t version = reads_as(count, 1) ? 1 : reads_as(count, 2) ? 2 : 0;
        cr_assert_neq(version, 0, "busy or a mixture after %d stores", stops);
        cr_assert_geq(version, seen, "the old version may not come back");
        seen = version;
        open += is_open();

        repair(count);
        cr_assert_not(is_open());
        cr_assert(reads_as(count, version), "repair changes nothing that a reader sees");
        write_version(count, 3, 1, 1);
        cr_assert(reads_as(count, 3), "the successor goes on");
    }
    /* Word 1, the others in units, the count of live lines, the even mark. */
    cr_assert_eq(open, (int)((count - 2) / LINE_UNIT) + 3, "every store while the line is open was a stop");
    cr_assert_eq(seen, 2, "the last stop is behind the end");
}

Test(line, a_writer_that_stops_anywhere_leaves_a_whole_version_of_8_words)
{
    expect_old_or_new_at_every_stop(8);
}

Test(line, a_writer_that_stops_anywhere_leaves_a_whole_version_of_16_words)
{
    expect_old_or_new_at_every_stop(16);
}

Test(line, a_writer_that_stops_anywhere_leaves_a_whole_version_of_32_words)
{
    expect_old_or_new_at_every_stop(32);
}

/* Of a line of 8 words: the side line (its mark twice, the count, words 0 and 1, and the others in units), the odd mark, word 1 and one
 * unit. */
#define STOP_INSIDE (5 + 6 / (int)LINE_UNIT + 3)

/* Goal: a repair that is itself killed anywhere can be done again. */
Test(line, a_repair_may_die_too)
{
    bool killed = true;
    for (int steps = 0; killed; steps++) {
        cr_assert(killed_in_second(STOP_INSIDE, 8));
        cr_assert(is_open());
        killed = killed_in(steps, 8, 0, 0, 0);
        cr_assert(reads_as(8, 1));
        repair(8);
        cr_assert_not(is_open());
        cr_assert(reads_as(8, 1));
    }
}

/* Goal: without a repair the next writer still publishes whole versions, and never takes the torn line for a good one. */
Test(line, a_write_over_an_unrepaired_line_keeps_the_good_side_copy)
{
    cr_assert(killed_in_second(STOP_INSIDE, 8));
    cr_assert(killed_in(4, 8, 3, 1, 1));
    cr_assert(is_open());
    cr_assert(reads_as(8, 1));
    write_version(8, 4, 1, 1);
    cr_assert(reads_as(8, 4));
}

Test(line, an_open_line_whose_side_copy_is_another_ones_is_busy)
{
    uint64_t got[LINE_WORDS_MAX];
    cr_assert(killed_in_second(STOP_INSIDE, 8));
    uint64_t ref = atomic_load(&segment.side_ref), first = atomic_load(&words[0]);

    atomic_store(&segment.side_ref, ref + (UINT64_C(1) << 32)); /* of another slot */
    cr_assert_not(line_read(&segment, words, SLOT, 8, got));
    atomic_store(&segment.side_ref, ref + 2); /* of another version */
    cr_assert_not(line_read(&segment, words, SLOT, 8, got));
    repair(8);
    cr_assert_eq(atomic_load(&words[0]), first, "there is nothing to repair it with");
}

Test(line, the_count_of_live_lines_is_that_of_the_version)
{
    bool killed = true;
    for (int steps = 0; killed; steps++) {
        clear(41);
        killed = killed_in(steps, 8, 1, 41, 42);
        repair(8);
        cr_assert_eq(atomic_load(&segment.used), reads_as(8, 1) ? 42 : 41, "after %d stores", steps);
    }
}

Test(line, the_sequence_wraps_around)
{
    clear(0);
    atomic_store(&words[0], UINT64_C(0x7FFFFFFFE));
    write_version(8, 2, 0, 0);
    cr_assert_eq((uint32_t)atomic_load(&words[0]), 0, "even");
    cr_assert_eq(atomic_load(&words[0]) >> 32, 2, "no carry into the other half");
    cr_assert(reads_as(8, 2));
}
