/* progress.c - see progress.h. */
#include "service/progress.h"

#include "service/redis_link.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t word_of(const struct metrics_block *block, enum metric metric)
{
    return atomic_load_explicit(&block->word[metric], memory_order_relaxed);
}

struct progress progress_of(const struct metrics_file *metrics)
{
    struct progress sum = { .partitions = 0 };
    for (uint32_t i = METRICS_FIRST_WORKER; i < METRICS_WEB; i++) {
        const struct metrics_block *block = &metrics->block[i];
        uint64_t state = word_of(block, METRIC_redis_state), permille = word_of(block, METRIC_redis_loaded_permille);
        uint64_t left = word_of(block, METRIC_restore_partitions);
        if (block->who[0] == '\0')
            continue;
        sum.partitions += left;
        sum.records += word_of(block, METRIC_restore_records);
        sum.all += word_of(block, METRIC_restore_records_all);
        sum.redis_permille = permille > sum.redis_permille ? permille : sum.redis_permille;
        sum.redis_awaited |= left > 0 && state != REDIS_up && state != REDIS_unknown;
    }
    return sum;
}

bool progress_text(const struct progress *progress, size_t n, char *ret)
{
    double share = progress->all == 0 ? 0 : 100.0 * (double)progress->records / (double)progress->all;
    (void)snprintf(ret, n, "%s", "");
    if (progress->partitions == 0)
        return false;
    if (progress->redis_permille > 0)
        (void)snprintf(ret, n, "starting: Redis has read %.1f %% of its data, which is waited for",
                       (double)progress->redis_permille / 10);
    else if (progress->redis_awaited)
        (void)snprintf(ret, n, "starting: Redis is waited for, %" PRIu64 " partitions are to come back",
                       progress->partitions);
    else if (progress->all == 0)
        (void)snprintf(ret, n, "starting: %" PRIu64 " partitions are to come back", progress->partitions);
    else
        (void)snprintf(ret, n, "starting: %.1f %% of %" PRIu64 " records are back, %" PRIu64 " partitions are to come",
                       share < 100 ? share : 100, progress->all, progress->partitions);
    return true;
}
