/* worker_world.c - a worker's world, set up from what is there: cache, models, state files, Redis. */
#include "cache/keys.h"
#include "service/clock.h"
#include "service/diff.h"
#include "service/gather.h"
#include "service/pricelist.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

/* Only an instance whose clock may be moved (clock_replay: recordings, tests; never production) listens to it. */
static const char *fault_point(const struct config *config)
{
    const char *sku = config->clock_replay ? getenv("RIALTO_TEST_POISON_SKU") : NULL;
    if (sku != NULL)
        log_line(LOG_WARNING, "FAULT-POINT", "what=\"this worker dies of records of one product\"");
    return sku;
}

enum rialto_status worker_setup(const struct config *config, uint32_t index, struct worker *worker)
{
    int64_t began = mono_us();
    memset(worker, 0, sizeof *worker);
    worker->config = config;
    worker->index = index;
    worker->poison_sku = fault_point(config);
    worker->picture = 1;
    const char *reason;
    if (!local_clock_load(config->month_zone, &worker->month_clock, &reason)) {
        log_line(LOG_ERROR, "TIME-ZONE-UNKNOWN", "month_zone=%s reason=\"%s\"", config->month_zone, reason);
        return RIALTO_SYSTEM;
    }
    memcpy(worker->levels.geohash_lengths, config->geohash_length, sizeof config->geohash_length);
    memcpy(worker->levels.path_depths, config->path_depth, sizeof config->path_depth);
    enum rialto_status status = cache_open(config->cache_dir, &worker->cache);
    if (status != RIALTO_OK) {
        log_line(LOG_ERROR, "CACHE-UNAVAILABLE", "folder=%s reason=%s", config->cache_dir, rialto_status_text(status));
        return status;
    }
    worker->control = cache_control(worker->cache);
    bool took_over = false;
    metric_set(METRIC_restart_records, 0);
    status = commons_setup(worker) ? change_over_setup(worker) : RIALTO_NO_MEMORY;
    if (status == RIALTO_OK)
        status = restore_all(worker, &took_over);
    if (status == RIALTO_OK)
        silence_setup(worker);
    if (status == RIALTO_OK && (!persist_setup(worker) || !journal_setup(worker)))
        status = RIALTO_NO_MEMORY;
    if (status == RIALTO_OK)
        worker->past = past_create(config->lock_history_max, (int64_t)config->lock_grace_s * 1000000, worker->tick_ms * 1000);
    if (status == RIALTO_OK && worker->past == NULL)
        status = RIALTO_NO_MEMORY;
    if (status != RIALTO_OK)
        return status;
    if (took_over)
        metric_add(METRIC_recoveries_total, 1);
    metric_set(METRIC_recovery_us, (uint64_t)(mono_us() - began));
    log_line(LOG_INFO, "STATE-READY", "took_over=%d applied=%llu us=%lld", took_over,
             (unsigned long long)state_applied(worker->common), (long long)(mono_us() - began));
    return RIALTO_OK;
}

void worker_teardown(struct worker *worker)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        state_close(worker->partition[p].state);
        free(worker->partition[p].cell);
        free(worker->partition[p].product);
        free(worker->partition[p].dirty);
        free(worker->partition[p].zone_slot);
    }
    pricelist_teardown(worker);
    state_close(worker->common);
    past_destroy(worker->past);
    persist_teardown(worker);
    journal_teardown(worker);
    commons_teardown(worker);
    staged_free(&worker->staged);
    timers_fini(&worker->due);
    free(worker->plan);
    free(worker->plan_order);
    free(worker->place);
    free(worker->place_slot);
    diff_free(worker);
    ready_models_free(&worker->next);
    free(worker->rule);
    model_set_free(worker->models);
    cache_close(worker->cache);
}
