/* merge.c - both readers and the made-up shoppers in one order of time.
 *
 *   fresh (head) ---\                         /-- queue: what goes with an order, a round of locations
 *   retail (head) ---> earliest, then rank ---
 *   round due ------/
 *
 * The gift shop's times are moved by whole weeks into the first week of the groceries: weekdays and hours stay. */
#include "demo/block.h"
#include "demo/fresh.h"
#include "demo/recording.h"
#include "demo/retail.h"
#include "demo/shoppers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct head { /* the next signal of a reader */
    bool present;
    struct recorded item;
};

struct recording {
    struct fresh *fresh;
    struct retail *retail;
    struct shoppers *shoppers;
    struct head fresh_head, retail_head;
    int64_t retail_shift_ms;
    int64_t begin_ms;
    struct block queue;
};

static enum recorded_next pull_fresh(struct recording *recording, struct fault *fault)
{
    struct head *head = &recording->fresh_head;
    enum recorded_next got = recording->fresh == NULL ? RECORDED_END : fresh_next(recording->fresh, &head->item, fault);
    head->present = got == RECORDED_ITEM;
    return got;
}

static enum recorded_next pull_retail(struct recording *recording, struct fault *fault)
{
    struct head *head = &recording->retail_head;
    enum recorded_next got =
        recording->retail == NULL ? RECORDED_END : retail_next(recording->retail, &head->item, fault);
    head->present = got == RECORDED_ITEM;
    if (head->present)
        head->item.at_ms += recording->retail_shift_ms;
    return got;
}

/* Whole weeks that move `from` to where it is at or after `to` and less than a week later. */
static int64_t weeks_between(int64_t from, int64_t to)
{
    int64_t weeks = (to - from) / WEEK_MS;
    if (from + weeks * WEEK_MS < to)
        weeks++;
    return weeks * WEEK_MS;
}

static int64_t day_of(int64_t at_ms, int64_t utc_offset_min)
{
    return (at_ms + utc_offset_min * 60000) / DAY_MS * DAY_MS;
}

static void align(struct recording *recording)
{
    if (recording->retail == NULL) {
        recording->begin_ms = fresh_begin_ms(recording->fresh);
        return;
    }
    recording->begin_ms = retail_begin_ms(recording->retail);
    if (recording->fresh == NULL)
        return;
    int64_t fresh_day = day_of(fresh_begin_ms(recording->fresh), FRESH_UTC_OFFSET_MIN);
    recording->retail_shift_ms = weeks_between(retail_begin_ms(recording->retail), fresh_day);
    recording->begin_ms = fresh_begin_ms(recording->fresh);
}

static enum rialto_status open_sources(struct recording *recording, const struct recording_paths *paths,
                                       struct fault *fault)
{
    enum rialto_status status = RIALTO_OK;
    if (paths->fresh_dir != NULL)
        status = fresh_open(paths->fresh_dir, &recording->fresh, fault);
    if (status == RIALTO_OK && paths->retail_file != NULL)
        status = retail_open(paths->retail_file, &recording->retail, fault);
    if (status != RIALTO_OK)
        return status;
    align(recording);
    bool groceries = recording->fresh != NULL;
    recording->shoppers = shoppers_create(groceries ? fresh_skus(recording->fresh) : NULL,
                                          groceries ? fresh_stores(recording->fresh) : NULL);
    if (recording->shoppers == NULL)
        return RIALTO_NO_MEMORY;
    if (pull_fresh(recording, fault) == RECORDED_BROKEN || pull_retail(recording, fault) == RECORDED_BROKEN)
        return RIALTO_REFUSED;
    return RIALTO_OK;
}

enum rialto_status recording_open(const struct recording_paths *paths, struct recording **ret, struct fault *fault)
{
    assert(paths->fresh_dir != NULL || paths->retail_file != NULL);
    struct recording *recording = calloc(1, sizeof *recording);
    if (recording == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = open_sources(recording, paths, fault);
    if (status != RIALTO_OK) {
        recording_close(recording);
        return status;
    }
    *ret = recording;
    return RIALTO_OK;
}

void recording_close(struct recording *recording)
{
    if (recording == NULL)
        return;
    block_fini(&recording->queue);
    shoppers_destroy(recording->shoppers);
    retail_close(recording->retail);
    fresh_close(recording->fresh);
    free(recording);
}

static bool comes_first(const struct head *a, const struct head *b)
{
    if (!a->present || !b->present)
        return a->present;
    if (a->item.at_ms != b->item.at_ms)
        return a->item.at_ms < b->item.at_ms;
    return a->item.rank <= b->item.rank;
}

/* An order of a known customer goes out among what was made up around it: the customer before, the looks after. */
static void queue_order(struct recording *recording, const struct recorded *order)
{
    shoppers_order(recording->shoppers, order, &recording->queue);
    struct recorded *copy = block_add(&recording->queue, order->rank, order->at_ms, order->source);
    *copy = *order;
    block_sort(&recording->queue);
}

enum recorded_next recording_next(struct recording *recording, struct recorded *ret, struct fault *fault)
{
    while (!block_take(&recording->queue, ret)) {
        bool from_fresh = comes_first(&recording->fresh_head, &recording->retail_head);
        struct head *head = from_fresh ? &recording->fresh_head : &recording->retail_head;
        if (!head->present)
            return RECORDED_END;
        if (shoppers_due_ms(recording->shoppers) <= head->item.at_ms) {
            shoppers_round(recording->shoppers, &recording->queue);
            continue;
        }
        struct recorded item = head->item;
        if ((from_fresh ? pull_fresh(recording, fault) : pull_retail(recording, fault)) == RECORDED_BROKEN)
            return RECORDED_BROKEN;
        if (item.customer[0] == 0) {
            *ret = item;
            return RECORDED_ITEM;
        }
        queue_order(recording, &item);
    }
    return RECORDED_ITEM;
}

int64_t recording_begin_ms(const struct recording *recording)
{
    return recording->begin_ms;
}

uint32_t recording_accounts(const struct recording *recording, struct account ret[ACCOUNTS_MAX])
{
    static_assert(FRESH_FILES + 1 <= ACCOUNTS_MAX, "room for every file");
    uint32_t count = 0;
    for (uint32_t i = 0; recording->fresh != NULL && i < FRESH_FILES; i++)
        if (fresh_accounts(recording->fresh)[i].file != NULL)
            ret[count++] = fresh_accounts(recording->fresh)[i];
    if (recording->retail != NULL)
        ret[count++] = *retail_account(recording->retail);
    return count;
}
