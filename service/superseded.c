/* superseded.c - the grace that readers of another layout have: superseded_grace_s from when we took over. */
#include "service/superseded.h"

#include "cache/supersede.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>

static uint64_t bytes_left(const struct config *config)
{
    struct old_tables old[OLD_TABLES_MAX];
    uint64_t bytes = 0;
    for (uint32_t i = old_tables_find(config->cache_dir, old); i-- > 0;)
        bytes += old[i].bytes;
    return bytes;
}

static int64_t remove_due(const struct config *config)
{
    int64_t next_ms = -1;
    uint64_t bytes =
        old_tables_remove(config->cache_dir, unix_ms(), (int64_t)config->superseded_grace_s * 1000, &next_ms);
    if (bytes > 0)
        log_line(LOG_INFO, "SUPERSEDED-REMOVED",
                 "cache_dir=%s bytes=%" PRIu64 ": tables of another layout, past their grace", config->cache_dir,
                 bytes);
    return next_ms;
}

uint64_t superseded_make_room(const struct config *config)
{
    (void)remove_due(config);
    return bytes_left(config);
}

void superseded_mark(const struct config *config)
{
    struct old_tables old[OLD_TABLES_MAX];
    int64_t now_ms = unix_ms();
    if (old_tables_mark(config->cache_dir, now_ms) == 0)
        return;
    for (uint32_t i = old_tables_find(config->cache_dir, old); i-- > 0;) {
        if (old[i].superseded_unix_ms == now_ms)
            log_line(LOG_WARNING, "SUPERSEDED",
                     "layout=%u bytes=%" PRIu64
                     " grace_s=%u: readers of that layout have frozen prices until then; give "
                     "them a library of layout %d",
                     old[i].layout, old[i].bytes, config->superseded_grace_s, RIALTO_LAYOUT);
    }
}

int64_t superseded_left_ms(const struct config *config)
{
    struct old_tables old[OLD_TABLES_MAX];
    int64_t last_ms = -1, now_ms = unix_ms(), grace_ms = (int64_t)config->superseded_grace_s * 1000;
    for (uint32_t i = old_tables_find(config->cache_dir, old); i-- > 0;) {
        int64_t left_ms = old_tables_left_ms(&old[i], now_ms, grace_ms);
        left_ms = left_ms < 0 ? grace_ms : left_ms; /* not marked yet */
        last_ms = left_ms > last_ms ? left_ms : last_ms;
    }
    return last_ms;
}

int64_t superseded_watch(const struct config *config, int64_t most_ms)
{
    int64_t next_ms = remove_due(config);
    metric_set(METRIC_superseded_bytes, next_ms >= 0 ? bytes_left(config) : 0);
    metric_set(METRIC_superseded_until_ms, next_ms >= 0 ? (uint64_t)(unix_ms() + next_ms) : 0);
    return next_ms >= 0 && next_ms < most_ms ? next_ms + 1 : most_ms;
}
