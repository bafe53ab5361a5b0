/* change_over.c - a worker's part in a change: models ready beforehand, and the change-over of its prices.
 *
 *   ask "prepare" --> the new set, loaded and numbered, beside the one in use          (any refusal stops the change)
 *   batch with the number of the change --> the sets are exchanged --> partition after partition: prices, commit,
 *                                           lines, Redis; a heartbeat in between
 *
 * Frozen     orders to freeze leave models alone: only products that one of them may mean, which came, went or moved, are priced.
 *
 * Steps      a partition at a time, 1 of 64: no journal grows beyond one partition's records, and readers see a heart
 *            that beats. Signals wait until all is done, so that a recorded stream prices alike however long it takes.
 * Disk       what is written lies in mapped files: a thread makes the next partitions' pages writable meanwhile (ahead.h).
 * Invariant  a line is wholly of the old models or of the new: its amount and its rule are written as one, from one
 *            record, and the record says by which model it was priced.
 * Crash      in the middle: the file of the change was there before the batch, so the next process starts with the new set
 *            (restart.c); when the batch comes again, partitions that have it pass it over, all others change over. */
#include "cache/keys.h"
#include "service/ask.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- a set of models, ready for use -------------------------------------------------------------------------------- */

static bool rules_find(const struct worker *worker, struct ready_models *ready, struct fault *fault)
{
    uint32_t sets = ready->set->policies.mask_count;
    ready->rule = calloc((size_t)ready->set->count * sets + 1, sizeof *ready->rule);
    if (ready->rule == NULL)
        return fault_set(fault, NULL, 0, "", "out of memory") == RIALTO_OK;
    for (uint32_t m = 0; m < ready->set->count; m++) {
        const struct model *model = &ready->set->model[m];
        for (uint32_t i = 0; i < model->currency_count * sets; i++) {
            uint64_t hash = model_rule_hash(ready->set, model, i % sets);
            if (rule_find(worker->cache, hash, model->currency[i / sets],
                          &ready->rule[m * sets + i % sets][i / sets]) != RIALTO_OK)
                return fault_set(fault, NULL, 0, "", "model %s has no row in the table of rules for %s", model->name,
                                 model->currency[i / sets]) == RIALTO_OK;
        }
    }
    return true;
}

void ready_models_free(struct ready_models *ready)
{
    model_set_free(ready->set);
    free(ready->rule);
    memset(ready, 0, sizeof *ready);
}

static bool models_ready(const struct worker *worker, uint64_t number, struct ready_models *ret, struct fault *fault)
{
    char folder[DATA_PATH_MAX], groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX];
    uint8_t count = worker->control->group_count;
    memset(ret, 0, sizeof *ret);
    ret->number = number;
    memcpy(groups, worker->control->groups, sizeof groups);
    change_models_path(worker->config, number, folder);
    if (model_set_load(folder, &ret->set, fault) == RIALTO_OK &&
        model_set_number_groups(ret->set, groups, &count, fault) == RIALTO_OK && rules_find(worker, ret, fault))
        return true;
    ready_models_free(ret);
    return false;
}

static bool models_take(struct worker *worker, uint64_t number)
{
    struct ready_models ready = { 0 };
    struct fault fault = { 0 };
    char text[512];
    if (worker->next.number == number) {
        ready = worker->next;
        memset(&worker->next, 0, sizeof worker->next);
    } else if (!models_ready(worker, number, &ready, &fault)) {
        (void)fault_text(&fault, sizeof text, text);
        log_line(LOG_ERROR, "MODELS-REFUSED", "models=%" PRIu64 " %s", number, text);
        return false;
    }
    model_set_free(worker->models);
    free(worker->rule);
    worker->models = ready.set;
    worker->rule = ready.rule;
    return true;
}

enum rialto_status change_over_setup(struct worker *worker)
{
    enum rialto_status status = change_load(worker->config, &worker->change);
    if (status == RIALTO_OK && !models_take(worker, worker->change.models))
        status = RIALTO_REFUSED;
    if (status == RIALTO_OK)
        metric_set(METRIC_change, worker->change.number);
    return status;
}

/* ---- ready? --------------------------------------------------------------------------------------------------------- */

/* Prices that stand now and that no model of the set would make; *ret_sku is one of their products. */
static uint64_t count_uncovered(struct worker *worker, const struct model_set *set, const char **ret_sku)
{
    uint64_t count = 0;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        struct partition *partition = &worker->partition[p];
        for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
            const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
            if (key_is_none(product->head.key))
                continue;
            cells_ready(worker, partition, i);
            for (uint32_t cell = state_first(partition->state, POOL_CELLS, i); cell != STATE_NONE;
                 cell = state_next(partition->state, POOL_CELLS, cell)) {
                const struct cell_record *record = state_at(partition->state, POOL_CELLS, cell);
                if (record->published == 0 || cell_model(worker, set, partition, product, cell) >= 0 ||
                    cell_maker(worker, set, partition, cell) >= 0)
                    continue;
                count++;
                *ret_sku = product->sku;
            }
        }
    }
    return count;
}

cJSON *ask_prepare(struct worker *worker, const cJSON *question)
{
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(question, "models");
    struct fault fault = { 0 };
    char text[512];
    const char *sku = "";
    ready_models_free(&worker->next);
    if (!cJSON_IsNumber(models) || !models_ready(worker, (uint64_t)models->valuedouble, &worker->next, &fault)) {
        (void)fault_text(&fault, sizeof text, text);
        return ask_refusal("models_refused", text);
    }
    uint64_t uncovered = count_uncovered(worker, worker->next.set, &sku);
    if (uncovered > 0 && !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(question, "allow_uncovered"))) {
        (void)snprintf(text, sizeof text,
                       "%" PRIu64 " prices would be made by no model any more, those of %s among them; --allow-uncovered "
                       "takes them away",
                       uncovered, sku);
        ready_models_free(&worker->next);
        return ask_refusal("uncovered", text);
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddNumberToObject(answer, "uncovered", (double)uncovered);
    return answer;
}

/* ---- frozen prices -------------------------------------------------------------------------------------------------- */

static bool covers_zone(const struct place *place, const char *zone)
{
    for (uint32_t level = 0; level < place->chain_count; level++)
        if (strcmp(place->name[level], zone) == 0)
            return true;
    return false;
}

static bool covers(const struct freeze *freeze, const struct product_record *product, const struct place *place)
{
    switch (freeze->by) {
    case FREEZE_SKU: return freeze_covers(freeze, product->sku);
    case FREEZE_CATEGORY: return freeze_covers(freeze, product->category);
    case FREEZE_ZONE: return covers_zone(place, freeze->pattern);
    }
    return false;
}

/* Of a zone that depends on where the price is. */
static bool may_cover(const struct freeze *freeze, const struct product_record *product)
{
    return freeze->by == FREEZE_ZONE || covers(freeze, product, NULL);
}

/* ---- the change-over ------------------------------------------------------------------------------------------------ */

static void all_dirty(struct worker *worker, struct partition *partition)
{
    for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
        const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
        if (key_is_none(product->head.key))
            continue;
        cells_ready(worker, partition, i);
        product_dirty(partition, i);
    }
}

/* What no model prices any more, nor made, is no price any more. */
static void withdraw_uncovered(const struct worker *worker, struct partition *partition)
{
    for (uint32_t cell = 0; cell < state_end(partition->state, POOL_CELLS); cell++) {
        const struct cell_record *record = state_at(partition->state, POOL_CELLS, cell);
        if (partition->cell[cell].model >= 0 || /* nearly all: their records are not waited for */
            key_is_none(record->head.key) || record->published == 0 ||
            cell_model_of_price(worker, partition, cell) >= 0)
            continue;
        struct cell_record *touched = state_touch(partition->state, POOL_CELLS, cell);
        touched->published = touched->published_list = 0;
        touched->model_hash = 0;
    }
}

static void open_all_zones(struct worker *worker, struct partition *partition)
{
    for (uint32_t i = 0; worker->models->zoned && i < state_end(partition->state, POOL_PRODUCTS); i++) {
        const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
        if (!key_is_none(product->head.key))
            cells_open_zones(worker, partition, i);
    }
}

/* Prices that stand and that the newest order means. */
static uint64_t count_held(const struct worker *worker, struct partition *partition)
{
    const struct freeze *newest = &worker->change.freeze[worker->change.freeze_count - 1];
    uint64_t count = 0;
    for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
        const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
        if (key_is_none(product->head.key) || !may_cover(newest, product))
            continue;
        for (uint32_t cell = state_first(partition->state, POOL_CELLS, i); cell != STATE_NONE;
             cell = state_next(partition->state, POOL_CELLS, cell))
            count += covers(newest, product, &worker->place[partition->cell[cell].place]) &&
                     ((const struct cell_record *)state_at(partition->state, POOL_CELLS, cell))->published != 0;
    }
    return count;
}

/* Does an order that came, went or moved mean a price of this product? In a set that is before or after the change. */
static bool is_meant(const struct worker *worker, const struct partition *partition, uint32_t index,
                     const struct change *change, uint32_t from)
{
    const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, index);
    for (uint32_t i = from; i < change->freeze_count; i++) {
        const struct freeze *freeze = &change->freeze[i];
        bool meant = freeze->by != FREEZE_ZONE && covers(freeze, product, NULL);
        uint32_t cell = freeze->by == FREEZE_ZONE ? state_first(partition->state, POOL_CELLS, index) : STATE_NONE;
        for (; cell != STATE_NONE && !meant; cell = state_next(partition->state, POOL_CELLS, cell))
            meant = covers(freeze, product, &worker->place[partition->cell[cell].place]);
        if (meant)
            return true;
    }
    return false;
}

/* Orders that stand alike at the beginning of both: where a price is meant by two, the later one holds, so that what follows counts anew. */
static uint32_t alike(const struct change *a, const struct change *b)
{
    uint32_t count = 0;
    while (count < a->freeze_count && count < b->freeze_count && a->freeze[count].by == b->freeze[count].by &&
           a->freeze[count].to_list == b->freeze[count].to_list &&
           strcmp(a->freeze[count].pattern, b->freeze[count].pattern) == 0)
        count++;
    return count;
}

/* Those whose prices other orders may hold than before. */
static void meant_dirty(struct worker *worker, struct partition *partition, const struct change *before)
{
    uint32_t from = alike(before, &worker->change);
    for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
        const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
        if (key_is_none(product->head.key))
            continue;
        cells_ready(worker, partition, i);
        if (is_meant(worker, partition, i, before, from) || is_meant(worker, partition, i, &worker->change, from))
            product_dirty(partition, i);
    }
}

/* Other models, or every price is held from now on, or no longer. */
static bool means_all(const struct worker *worker, const struct change *before, bool models)
{
    return models || (before->mode == RIALTO_MODE_FROZEN) != (worker->change.mode == RIALTO_MODE_FROZEN);
}

static void partition_over(struct worker *worker, struct partition *partition, const struct change *before, bool models)
{
    if (means_all(worker, before, models))
        all_dirty(worker, partition);
    else
        meant_dirty(worker, partition, before);
    if (state_applied(partition->state) >= worker->batch)
        return; /* a death in the middle of this very batch: its prices are computed again with the next one */
    state_begin(partition->state, worker->batch);
    if (models) {
        open_all_zones(worker, partition);
        withdraw_uncovered(worker, partition);
    }
    reprice_dirty(worker, partition);
    state_commit(partition->state);
    lines_publish_changed(worker, partition);
    persist_changed(worker, partition->number, partition->state);
    worker_beat(worker);
}

/* A step is a partition. */
static struct ahead *begin_ahead(const struct worker *worker)
{
    struct ahead_step step[RIALTO_PARTITIONS];
    uint32_t count = 0;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers)
        step[count++] = state_ahead(worker->partition[p].state);
    return ahead_start(step, count);
}

static uint64_t faults(void)
{
    struct rusage usage = { .ru_minflt = 0 };
    (void)getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

bool change_over(struct worker *worker, uint64_t number)
{
    int64_t began = mono_us();
    uint64_t faults_before = faults();
    struct change change, before = worker->change;
    bool begun = number == worker->change.number; /* set up with it: a death fell into this very batch, or just before */
    if (change_load(worker->config, &change) != RIALTO_OK)
        return false;
    bool models = change.models != worker->change.models;
    if (models && !models_take(worker, change.models))
        return false;
    worker->change = change;
    models |= begun;
    if (models) {
        restart_models(worker);
        places_policies(worker);
        worker->terms_stale = true; /* their lines are written at the end of this batch */
    }
    publisher_stand_back(worker->publisher, true); /* until the end of this batch */
    bool counts = !models && change.freeze_count > 0; /* who brings models does not wait for a look at every price */
    uint64_t held = 0;
    struct ahead *ahead = means_all(worker, &before, models) ? begin_ahead(worker) : NULL;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        partition_over(worker, &worker->partition[p], &before, models);
        ahead_next(ahead);
        held += counts ? count_held(worker, &worker->partition[p]) : 0;
    }
    ahead_end(ahead);
    worker->held = !counts ? 0 : held < UINT32_MAX ? (uint32_t)held + 1 : UINT32_MAX;
    metric_set(METRIC_change, change.number);
    metric_set(METRIC_change_us, (uint64_t)(mono_us() - began));
    metric_set(METRIC_change_faults, faults() - faults_before);
    log_line(LOG_INFO, "CHANGED", "change=%" PRIu64 " models=%" PRIu64 " us=%lld", change.number, change.models,
             (long long)(mono_us() - began));
    return true;
}

/* Where a price is covered twice, what was said last holds. */
enum hold change_hold(const struct worker *worker, const struct product_record *product, uint32_t place)
{
    const struct change *change = &worker->change;
    for (uint32_t i = change->freeze_count; i-- > 0;)
        if (covers(&change->freeze[i], product, &worker->place[place]))
            return change->freeze[i].to_list ? HOLD_LIST : HOLD_LAST;
    return change->mode == RIALTO_MODE_FROZEN ? HOLD_LAST : HOLD_NOT;
}
