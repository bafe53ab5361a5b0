/* What is said to those who wait for a start. */
#include "service/progress.h"

#include "service/redis_link.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct metrics_file *file;

static void setup(void)
{
    file = calloc(1, sizeof *file);
    cr_assert_not_null(file);
}

static void teardown(void)
{
    free(file);
}

TestSuite(progress, .init = setup, .fini = teardown);

static void worker_is(uint32_t index, uint64_t partitions, uint64_t back, uint64_t all, enum redis_state redis,
                      uint64_t permille)
{
    struct metrics_block *block = &file->block[METRICS_FIRST_WORKER + index];
    (void)strcpy(block->who, "worker");
    block->word[METRIC_restore_partitions] = partitions;
    block->word[METRIC_restore_records] = back;
    block->word[METRIC_restore_records_all] = all;
    block->word[METRIC_redis_state] = redis;
    block->word[METRIC_redis_loaded_permille] = permille;
}

static void says(const char *expected)
{
    char text[128] = "?";
    struct progress progress = progress_of(file);
    cr_assert_eq(progress_text(&progress, sizeof text, text), expected[0] != '\0');
    cr_assert_str_eq(text, expected);
}

Test(progress, a_service_that_runs_says_nothing)
{
    says("");
    worker_is(0, 0, 1000, 1000, REDIS_up, 0);
    worker_is(1, 0, 0, 0, REDIS_away, 0); /* Redis went away later: no start waits for it */
    says("");
}

Test(progress, records_of_all_workers_are_one_share)
{
    worker_is(0, 10, 250, 1000, REDIS_up, 0);
    worker_is(1, 5, 500, 1000, REDIS_up, 0);
    says("starting: 37.5 % of 2000 records are back, 15 partitions are to come");
}

/* Goal: an estimate of how many there are may be too low; nobody is told of more than all. */
Test(progress, no_share_is_more_than_all)
{
    worker_is(0, 1, 1200, 1000, REDIS_up, 0);
    says("starting: 100.0 % of 1000 records are back, 1 partitions are to come");
}

Test(progress, what_is_waited_for_goes_before_shares)
{
    worker_is(0, 32, 0, 0, REDIS_unknown, 0);
    says("starting: 32 partitions are to come back");
    worker_is(0, 32, 0, 0, REDIS_away, 0);
    says("starting: Redis is waited for, 32 partitions are to come back");
    worker_is(1, 32, 0, 0, REDIS_loading, 421);
    says("starting: Redis has read 42.1 % of its data, which is waited for");
}

/* Goal: a block that no process has, and those of others, are no worker's start. */
Test(progress, only_workers_count)
{
    file->block[METRICS_FIRST_WORKER].word[METRIC_restore_partitions] = 7;
    (void)strcpy(file->block[METRICS_WEB].who, "web");
    file->block[METRICS_WEB].word[METRIC_restore_partitions] = 9;
    says("");
}
