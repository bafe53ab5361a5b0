/* test_past.c - versions of lines come back newest first, for as long as they are asked for, and nothing of a customer who wipes them. */
#include "service/metrics.h"
#include "service/past.h"

#include <criterion/criterion.h>
#include <string.h>

#define ROOM 1024u

static const struct rialto_key A = { 1, 2 }, B = { 1, 3 }, C = { 1025, 2 }; /* lo alike in their low bits: one chain */

static struct past *fresh(void)
{
    struct past *past = past_create(ROOM, 100, 5);
    cr_assert_not_null(past);
    return past;
}

static void note(struct past *past, int64_t at, struct rialto_key owner, struct rialto_key key, int64_t value)
{
    struct rialto_offer_line line = { .value = value };
    past_note(past, at, RIALTO_TABLE_OFFERS, owner, key, value == 0 ? NULL : &line);
}

Test(past, versions_are_told_the_newest_first_and_only_of_the_line_that_is_asked_for)
{
    struct past *past = fresh();
    struct past_line got[4];
    note(past, 10, A, A, 0);
    note(past, 20, A, A, 1);
    note(past, 20, A, B, 2);
    note(past, 30, C, A, 3);
    note(past, 40, A, A, 4);
    cr_assert_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 4, got), 3);
    cr_expect(got[0].until_us == 40 && got[0].is && got[0].offer.value == 4);
    cr_expect(got[1].until_us == 20 && got[1].is && got[1].offer.value == 1);
    cr_expect(got[2].until_us == 10 && !got[2].is);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 2, got), 2, "no more than there is room for");
    cr_expect_eq(past_of(past, 20, RIALTO_TABLE_OFFERS, A, A, 4, got), 1, "what ended by then did not hold after it");
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_TERMS, A, A, 4, got), 0);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, C, A, 4, got), 1);
    past_destroy(past);
}

Test(past, what_is_wiped_is_gone_and_what_is_another_owners_is_not)
{
    struct past *past = fresh();
    struct past_line got[4];
    note(past, 10, A, A, 1);
    note(past, 11, C, A, 2);
    note(past, 12, A, B, 3);
    past_wipe(past, A);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 4, got) + past_of(past, 0, RIALTO_TABLE_OFFERS, A, B, 4, got), 0);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, C, A, 4, got), 1);
    past_destroy(past);
}

/* Goal: a line that is read to be noted, and then is not, costs nothing that is kept, and leaves nothing of who was forgotten. */
Test(past, the_place_of_the_next_one_is_nobody_elses)
{
    struct past *past = fresh();
    struct past_line got[1];
    static const unsigned char nothing[64];
    note(past, 10, A, A, 7);
    for (uint32_t i = 1; i < ROOM; i++)
        note(past, 11, B, B, 1);
    memset(past_place(past), 0xFF, sizeof nothing);
    cr_assert_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 1, got), 1);
    cr_expect(got[0].is && got[0].offer.value == 7);
    note(past, 12, B, B, 1);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 1, got), 0);
    cr_expect_arr_eq(past_place(past), nothing, sizeof nothing);
    past_destroy(past);
}

/* Goal: a ring that was overrun never passes off an older version for a newer one, says from when on it is whole, and counts. */
Test(past, a_ring_that_is_full_forgets_the_oldest_says_so_and_counts_it)
{
    struct past *past = fresh();
    struct past_line got[4];
    uint64_t lost = metrics_own->word[METRIC_lock_history_lost_total];
    cr_expect_eq(past_horizon_us(past), 5);
    note(past, 10, A, A, 1);
    for (int64_t i = 0; i < (int64_t)ROOM; i++)
        note(past, 11 + i / 512, B, B, 2);
    cr_expect_eq(past_of(past, 0, RIALTO_TABLE_OFFERS, A, A, 4, got), 0);
    cr_expect_eq(past_horizon_us(past), 10);
    cr_expect_eq(metrics_own->word[METRIC_lock_history_lost_total], lost + 1);
    past_destroy(past);
}
