/* restart.c - a worker goes on from what is there, and what may follow beside going on.
 *
 *   state file     as of its last commit (state_open() has undone an open batch), indexes and deadlines in it
 *   lines          as of the commit before, save those of the last commit's records: they are published again, and no others
 *   models changed (or settings that prices rest on, or some began or ended, or a death fell into a change-over): everything is priced
 *                  and published again, a bounded part behind each commit; each line is wholly of the old models or wholly of the
 *                  new, and its quote says which
 *   cells_ready()  what follows from zones and models is found when a product is looked at first, or here when there is time
 *
 * Another cache than the lines were published to, or state out of Redis: all lines are published before going on. */
#include "cache/keys.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <string.h>

#define STEP_RECORDS 8192u /* cells and customers that one batch prices again */
#define WARM_RECORDS 512u  /* cells made ready in one round */

/* ---- what prices rest on besides state ------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    return hash;
}

static uint64_t models_hash(const struct worker *worker)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    hash = mixed(hash, RIALTO_VERSION, sizeof RIALTO_VERSION);
    hash = mixed(hash, &worker->levels, sizeof worker->levels);
    hash = mixed(hash, &worker->config->open_min, sizeof worker->config->open_min);
    hash = mixed(hash, worker->config->month_zone, strlen(worker->config->month_zone));
    hash = mixed(hash, &worker->control->group_map, sizeof worker->control->group_map);
    for (uint32_t i = 0; i < worker->models->count; i++)
        hash = mixed(hash, &worker->models->model[i].text_hash, sizeof worker->models->model[i].text_hash);
    for (uint32_t i = 0; i < worker->models->policies.count; i++)
        hash = mixed(hash, &worker->models->policies.policy[i].text_hash, sizeof worker->models->policies.policy[i].text_hash);
    /* Which of them are in effect: until then it is the same ones. */
    hash = mixed(hash, &worker->models_change_ms, sizeof worker->models_change_ms);
    return hash == 0 ? 1 : hash;
}

/* ---- state out of Redis ----------------------------------------------------------------------------------------- */

/* What belongs to a product or a customer that did not come back is let go: nobody would price it, nobody could take it back, and it would stand
 * in the way of what is said again. */
static uint64_t fill_cells(struct state *state)
{
    uint32_t end = state_end(state, POOL_CELLS);
    uint64_t orphans = 0;
    for (uint32_t i = 0; i < end; i++) {
        const struct cell_record *record = state_at(state, POOL_CELLS, i);
        uint32_t product = state_find(state, POOL_PRODUCTS, record->product);
        if (product != STATE_NONE)
            state_join(state, POOL_CELLS, i, product);
        else
            state_delete(state, POOL_CELLS, i);
        orphans += product == STATE_NONE;
    }
    return orphans;
}

static uint64_t fill_offers(const struct worker *worker, struct state *state)
{
    uint32_t end = state_end(state, POOL_OFFERS);
    uint64_t orphans = 0;
    for (uint32_t i = 0; i < end; i++) {
        const struct offer_record *record = state_at(state, POOL_OFFERS, i);
        uint32_t customer = state_find(state, POOL_CUSTOMERS, record->customer);
        if (customer == STATE_NONE) {
            state_delete(state, POOL_OFFERS, i);
            orphans++;
            continue;
        }
        state_join(state, POOL_OFFERS, i, customer);
        state_set_due(state, POOL_OFFERS, i, offer_due_ms(worker, record));
    }
    return orphans;
}

static void fill_customers(const struct worker *worker, struct state *state)
{
    uint32_t end = state_end(state, POOL_CUSTOMERS);
    for (uint32_t i = 0; i < end; i++) {
        struct customer_record *record = state_at(state, POOL_CUSTOMERS, i);
        record->offer_count = state_count(state, POOL_OFFERS, i);
        state_set_due(state, POOL_CUSTOMERS, i, customer_due_ms(worker, record));
    }
}

uint64_t restart_fill(const struct worker *worker, struct state *state, int64_t tick_ms)
{
    state_set_clock(state, tick_ms);
    uint64_t orphans = fill_cells(state) + fill_offers(worker, state);
    fill_customers(worker, state);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        metric_add(METRIC_restart_records, state_used(state, (enum state_pool)pool));
    return orphans;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static uint64_t changed_count(const struct state *state)
{
    uint64_t at = 0, count = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    while (state_changed(state, &at, &pool, &index, &old))
        count++;
    return count;
}

/* true: all lines were published anew. */
bool restart_attach(struct worker *worker, struct partition *partition)
{
    uint64_t cache = (uint64_t)worker->control->created_unix_ms;
    for (int table = 0; table < RIALTO_TABLE_COUNT; table++)
        table_repair(worker->cache, (enum rialto_table)table, partition->number);
    if (state_lines_of(partition->state, LINES_CACHE) == cache) {
        metric_add(METRIC_restart_records, changed_count(partition->state));
        lines_publish_changed(worker, partition);
        state_wipe_journal(partition->state); /* its batch may have erased something */
        worker->restart.warming = true;
        if (state_lines_refused(partition->state)) {
            worker->refused |= UINT64_C(1) << partition->number;
            worker->zones_refused = true; /* it may be */
        }
        return false;
    }
    publisher_void(worker->config, worker->index);
    state_set_lines_of(partition->state, LINES_MODELS, 0);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        metric_add(METRIC_restart_records, state_used(partition->state, (enum state_pool)pool));
    state_set_lines_refused(partition->state, false);
    lines_publish_all(worker, partition);
    state_set_lines_of(partition->state, LINES_CACHE, cache);
    return true;
}

/* The last batch's zones are in their records; their lines may not be. Weather has no line. */
static bool places_outdate(const struct worker *worker)
{
    uint64_t at = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    while (state_changed(worker->common, &at, &pool, &index, &old)) {
        if (pool != POOL_ZONES)
            continue;
        const struct zone_record *now = state_at(worker->common, pool, index);
        if (key_is_none(old->key) || ((const struct zone_record *)(const void *)old)->zone_time_ms != now->zone_time_ms)
            return true;
    }
    return false;
}

void restart_zones(struct worker *worker, bool all)
{
    if (all || places_outdate(worker))
        lines_publish_zones(worker);
}

/* ---- other models than before ------------------------------------------------------------------------------------- */

static const enum state_pool KIND[] = { POOL_PRODUCTS, POOL_CUSTOMERS };
#define KINDS (sizeof KIND / sizeof KIND[0])

static bool is_published(const struct worker *worker, uint32_t number)
{
    return state_lines_of(worker->partition[number].state, LINES_MODELS) == worker->restart.models;
}

/* What was marked is priced, committed and published now: said only then, so that a death in between begins anew. */
static void tell_published(struct worker *worker)
{
    struct restart *restart = &worker->restart;
    uint32_t done = restart->kind == KINDS ? RIALTO_PARTITIONS : restart->kind == KINDS - 1 ? restart->number : 0;
    for (; restart->told < done && worker->partition[restart->told].dirty_count == 0; restart->told += worker->config->workers)
        state_set_lines_of(worker->partition[restart->told].state, LINES_MODELS, restart->models);
    restart->repricing = restart->told < RIALTO_PARTITIONS;
}

/* Marks or publishes one record again. Returns what it costs. */
static uint32_t again(struct worker *worker, struct partition *partition, enum state_pool pool, uint32_t index)
{
    const struct state_head *head = state_at(partition->state, pool, index);
    if (key_is_none(head->key))
        return 1;
    if (pool == POOL_CUSTOMERS) {
        lines_publish_customer(worker, partition, index);
        return 1;
    }
    product_dirty(partition, index);
    return 1 + state_count(partition->state, POOL_CELLS, index);
}

/* False: the budget was used up before the partition's end. */
static bool partition_again(struct worker *worker, struct partition *partition, enum state_pool pool, uint32_t *budget)
{
    struct restart *restart = &worker->restart;
    for (; restart->index < state_end(partition->state, pool); restart->index++) {
        if (*budget == 0)
            return false;
        uint32_t cost = again(worker, partition, pool, restart->index);
        *budget -= cost < *budget ? cost : *budget;
    }
    return true;
}

static void step(struct worker *worker)
{
    struct restart *restart = &worker->restart;
    uint32_t budget = STEP_RECORDS;
    for (; restart->kind < KINDS; restart->kind++, restart->number = worker->index) {
        for (; restart->number < RIALTO_PARTITIONS; restart->number += worker->config->workers, restart->index = 0) {
            struct partition *partition = &worker->partition[restart->number];
            if (!is_published(worker, restart->number) && !partition_again(worker, partition, KIND[restart->kind], &budget))
                return;
        }
    }
}

/* A month that begins moves the terms of everybody, as a model that begins does. */
static int64_t models_change_after(const struct worker *worker, int64_t now_ms)
{
    int64_t models_ms = model_set_changes_ms(worker->models, now_ms), month_ms = INT64_MAX;
    if (model_set_reads_month(worker->models))
        month_ms = local_clock_month_ms(&worker->month_clock, local_clock_month(&worker->month_clock, now_ms) + 1);
    return month_ms < models_ms ? month_ms : models_ms;
}

static void begin_at(struct worker *worker, uint32_t kind)
{
    struct restart *restart = &worker->restart;
    worker->models_change_ms = models_change_after(worker, worker->tick_ms);
    restart->models = models_hash(worker);
    restart->number = restart->told = worker->index;
    restart->kind = kind;
    restart->index = 0;
    restart->repricing = true;
}

void restart_begin(struct worker *worker)
{
    begin_at(worker, 0);
    step(worker);
}

/* Nothing is left to be marked. Until it is told, a death leaves the files saying other models: the successor does it all again. */
void restart_models(struct worker *worker)
{
    worker->picture++;
    begin_at(worker, KINDS);
}

void restart_step(struct worker *worker)
{
    if (!worker->restart.repricing)
        return;
    tell_published(worker);
    step(worker);
}

/* ---- when there is time ------------------------------------------------------------------------------------------- */

bool restart_warm(struct worker *worker)
{
    struct restart *restart = &worker->restart;
    uint32_t looked = 0;
    while (restart->warming && looked < WARM_RECORDS) {
        uint32_t number = worker->index + restart->warm_number * worker->config->workers;
        if (number >= RIALTO_PARTITIONS) {
            restart->warming = false;
            break;
        }
        struct partition *partition = &worker->partition[number];
        if (restart->warm_index >= state_end(partition->state, POOL_PRODUCTS)) {
            restart->warm_number++;
            restart->warm_index = 0;
            continue;
        }
        uint32_t product = restart->warm_index++;
        const struct state_head *head = state_at(partition->state, POOL_PRODUCTS, product);
        looked += 1 + state_count(partition->state, POOL_CELLS, product);
        if (!key_is_none(head->key))
            cells_ready(worker, partition, product);
    }
    return restart->warming;
}
