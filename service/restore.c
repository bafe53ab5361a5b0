/* restore.c - all partitions of a worker at its start: states from their files or out of Redis, and their lines.
 *
 *   files of before   opened, lines published where they are missing: needs no Redis
 *   fresh files       wait for Redis --> RESTORE_THREADS threads: records, lists and deadlines
 *                                            v  partition by partition
 *                                        this thread: lines
 *
 * Threads    while a partition is loaded only its loader touches its state, and of the worker it only looks at the configuration; the mutex hands
 *            the partition over.
 * Crash      a file counts as fresh until all of its records are in, and the common one until all partitions are: the batch to go on from
 *            is found in all of them.
 * Without    Redis an empty start is not silently taken for the truth: the worker waits. When Redis goes away in the middle it ends, and the
 *            supervisor starts the next one.
 * Progress   the gauges restore_*: how much is there to come, and how much is back. */
#include "service/pricelist.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define RESTORE_THREADS 2u /* Redis answers one while the other takes in what it was answered */

struct part { /* a file that is to be filled */
    uint32_t number;
    bool done;
    enum rialto_status status;
    struct restored restored;
};

struct restore {
    struct worker *worker;
    bool common_fresh, anew; /* anew: some partition's lines were all published */
    struct restored common;
    struct part fresh[RIALTO_PARTITIONS];
    uint32_t fresh_count;
    uint64_t newest; /* batch that any partition has */
    uint64_t back;   /* records */
    uint64_t listed; /* list prices that are there meanwhile */
    int64_t tick_ms; /* of the common state; constant while there are loaders */
    atomic_uint next;
    pthread_mutex_t mutex;
    pthread_cond_t news;
};

static enum rialto_status told(uint32_t number, enum rialto_status status)
{
    if (status != RIALTO_OK)
        log_line(LOG_ERROR, "STATE-UNAVAILABLE", "partition=%u reason=%s", number, rialto_status_text(status));
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static enum rialto_status open_state(const struct worker *worker, uint32_t number, struct state **ret, bool *ret_fresh)
{
    enum rialto_status status = state_open(worker->config, number, worker->index, ret, ret_fresh);
    if (status == RIALTO_OK && *ret_fresh && worker->config->alone) {
        state_set_applied(*ret, 0);
        *ret_fresh = false;
    }
    return told(number, status);
}

static enum rialto_status open_all(struct restore *restore)
{
    struct worker *worker = restore->worker;
    enum rialto_status status = open_state(worker, RIALTO_PARTITIONS, &worker->common, &restore->common_fresh);
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS && status == RIALTO_OK; p += worker->config->workers) {
        struct partition *partition = &worker->partition[p];
        bool fresh = false;
        partition->number = p;
        partition->busy = &worker->busy;
        status = open_state(worker, p, &partition->state, &fresh);
        if (status == RIALTO_OK && !cells_setup(partition))
            status = RIALTO_NO_MEMORY;
        if (status == RIALTO_OK && fresh)
            restore->fresh[restore->fresh_count++].number = p;
    }
    return status;
}

static bool is_fresh(const struct restore *restore, uint32_t partition)
{
    for (uint32_t i = 0; i < restore->fresh_count; i++)
        if (restore->fresh[i].number == partition)
            return true;
    return false;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static uint64_t records_of(const struct state *state)
{
    uint64_t count = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        count += state_used(state, (enum state_pool)pool);
    return count;
}

static void attach(struct restore *restore, struct partition *partition, uint32_t left)
{
    bool anew = restart_attach(restore->worker, partition);
    restore->anew |= anew;
    partition->pricelist_stale = partition->pricelist_stale || anew;
    if (restore->listed > 0)
        pricelist_leave(restore->worker, partition);
    if (state_applied(partition->state) > restore->newest)
        restore->newest = state_applied(partition->state);
    restore->back += records_of(partition->state);
    metric_set(METRIC_restore_records, restore->back);
    metric_set(METRIC_restore_partitions, left);
}

/* Those whose files were kept. */
static void attach_kept(struct restore *restore)
{
    struct worker *worker = restore->worker;
    uint64_t all = 0;
    uint32_t left = 0;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers, left++)
        all += is_fresh(restore, p) ? 0 : records_of(worker->partition[p].state);
    metric_set(METRIC_restore_records_all, restore->fresh_count == 0 ? all : 0);
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers)
        if (!is_fresh(restore, p))
            attach(restore, &worker->partition[p], --left);
}

/* Whoever asks before Redis has answered is told list prices. */
static void publish_listed(struct restore *restore)
{
    for (uint32_t i = 0; i < restore->fresh_count; i++)
        restore->listed += pricelist_publish(restore->worker, restore->fresh[i].number);
    if (restore->listed > 0)
        log_line(LOG_INFO, "LIST-PRICES", "prices=%llu partitions=%u: until their state is back",
                 (unsigned long long)restore->listed, restore->fresh_count);
}

/* ---- Redis ------------------------------------------------------------------------------------------------------- */

/* The signal that ends us is blocked, and waits to be read. */
static bool is_to_end(void *user)
{
    sigset_t pending;
    (void)user;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

static void time_not_before(struct worker *worker, int64_t tick_ms)
{
    if (tick_ms > worker->tick_ms)
        worker->tick_ms = tick_ms;
}

static void count_to_come(const struct restore *restore)
{
    uint32_t number[RIALTO_PARTITIONS];
    for (uint32_t i = 0; i < restore->fresh_count; i++)
        number[i] = restore->fresh[i].number;
    uint64_t to_come = mirror_count(restore->worker->config, restore->fresh_count, number);
    metric_set(METRIC_restore_records_all, restore->back + to_come);
}

static enum rialto_status load_common(struct restore *restore)
{
    struct worker *worker = restore->worker;
    enum rialto_status status = RIALTO_OK;
    if (restore->common_fresh) {
        status = told(RIALTO_PARTITIONS,
                      persist_load(worker, RIALTO_PARTITIONS, worker->common, worker->tick_ms, &restore->common));
        time_not_before(worker, restore->common.newest_ms);
    }
    time_not_before(worker, state_tick(worker->common));
    restore->tick_ms = worker->tick_ms;
    return status == RIALTO_OK && place_of(worker, "") == STATE_NONE ? RIALTO_NO_MEMORY : status;
}

static void load_next(struct restore *restore, uint32_t i)
{
    struct part *part = &restore->fresh[i];
    struct state *state = restore->worker->partition[part->number].state;
    struct restored restored;
    enum rialto_status status = persist_load(restore->worker, part->number, state, restore->tick_ms, &restored);
    if (status == RIALTO_OK)
        state_set_applied(state, restored.mark);
    (void)pthread_mutex_lock(&restore->mutex);
    part->status = status;
    part->restored = restored;
    part->done = true;
    (void)pthread_cond_signal(&restore->news);
    (void)pthread_mutex_unlock(&restore->mutex);
    if (status != RIALTO_OK)
        atomic_store(&restore->next, restore->fresh_count); /* it is all for nothing */
}

static void *loader(void *user)
{
    struct restore *restore = user;
    for (uint32_t i; (i = atomic_fetch_add(&restore->next, 1)) < restore->fresh_count;)
        load_next(restore, i);
    return NULL;
}

static void loaded_await(struct restore *restore, const struct part *part)
{
    (void)pthread_mutex_lock(&restore->mutex);
    while (!part->done)
        (void)pthread_cond_wait(&restore->news, &restore->mutex);
    (void)pthread_mutex_unlock(&restore->mutex);
}

/* In the order in which loaders take them: each before the first that fails is done, and the rest does not matter. */
static enum rialto_status attach_fresh(struct restore *restore)
{
    struct worker *worker = restore->worker;
    for (uint32_t i = 0; i < restore->fresh_count; i++) {
        struct part *part = &restore->fresh[i];
        loaded_await(restore, part);
        if (part->status != RIALTO_OK)
            return told(part->number, part->status);
        time_not_before(worker, part->restored.newest_ms);
        attach(restore, &worker->partition[part->number], restore->fresh_count - i - 1);
    }
    return RIALTO_OK;
}

static enum rialto_status load_all(struct restore *restore)
{
    pthread_t thread[RESTORE_THREADS];
    uint32_t threads = 0;
    while (threads < RESTORE_THREADS && threads < restore->fresh_count &&
           pthread_create(&thread[threads], NULL, loader, restore) == 0)
        threads++;
    if (threads == 0)
        (void)loader(restore);
    enum rialto_status status = attach_fresh(restore);
    atomic_store(&restore->next, restore->fresh_count);
    for (uint32_t i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

/* Filled from Redis: batches up to the newest mark are not coming again. After a mere death they are, and this stays. */
static void go_on_from(const struct restore *restore)
{
    uint64_t mark = restore->common.mark;
    if (restore->common_fresh)
        state_set_applied(restore->worker->common, mark > restore->newest ? mark : restore->newest);
}

static enum rialto_status restore_steps(struct restore *restore)
{
    struct worker *worker = restore->worker;
    enum rialto_status status = open_all(restore);
    if (status == RIALTO_OK)
        publish_listed(restore);
    if (status == RIALTO_OK && restore->common_fresh) /* no line without the zones in it */
        status = mirror_await(worker->config, is_to_end, NULL);
    if (status == RIALTO_OK)
        status = load_common(restore);
    if (status != RIALTO_OK)
        return status;
    attach_kept(restore);
    if (restore->fresh_count > 0) {
        status = mirror_await(worker->config, is_to_end, NULL);
        if (status == RIALTO_OK)
            count_to_come(restore);
        if (status == RIALTO_OK)
            status = load_all(restore);
    }
    return status;
}

enum rialto_status restore_all(struct worker *worker, bool *ret_took_over)
{
    struct restore restore = { .worker = worker, .mutex = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };
    metric_set(METRIC_restore_partitions, RIALTO_PARTITIONS / worker->config->workers);
    metric_set(METRIC_restore_records, 0);
    metric_set(METRIC_restore_records_all, 0);
    enum rialto_status status = restore_steps(&restore);
    *ret_took_over = !restore.common_fresh;
    if (status != RIALTO_OK)
        return status;
    go_on_from(&restore);
    restart_zones(worker, restore.anew || restore.common_fresh);
    restart_begin(worker);
    state_set_tick(worker->common, worker->tick_ms);
    return RIALTO_OK;
}
