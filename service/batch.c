/* batch.c - one batch, whole: timers up to its tick, its records, prices, commit, lines, Redis.
 *
 * Each partition commits by itself; the common state commits last and says what this worker has applied. A batch that comes
 * again after a death finds its finished partitions ahead of it and passes them over: every part counts once. */
#include "cache/keys.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

/* Ready to take changes of this batch; false if it has them already. */
static bool partition_begin(struct worker *worker, struct partition *partition)
{
    if (state_applied(partition->state) >= worker->batch)
        return false;
    state_begin(partition->state, worker->batch);
    return true;
}

static void finding_add(struct worker *worker, const struct wire_record *head, enum signal_reason reason)
{
    if (reason == REASON_no_consent)
        metric_add(METRIC_signals_no_consent_total, 1);
    else if (reason == REASON_duplicate)
        metric_add(METRIC_signals_duplicate_total, 1);
    else if (reason == REASON_superseded)
        metric_add(METRIC_signals_superseded_total, 1);
    else if (signal_reason_rejects(reason))
        metric_add(METRIC_signals_rejected_total, 1);
    if (reason == REASON_table_full)
        metric_add(METRIC_table_full_total, 1);
    if (worker->finding_count < FINDINGS_MAX)
        worker->finding[worker->finding_count++] = (struct wire_finding){
            .seq = worker->batch, .ref = head->ref, .reason = (uint16_t)reason, .part = head->part,
        };
}

static void fire_timers(struct worker *worker)
{
    struct timer timer;
    while (timers_pop(&worker->timers, worker->tick_ms, &timer)) {
        struct partition *partition = &worker->partition[timer.partition];
        if (timer.kind == TIMER_PRODUCT) {
            if (partition->product[timer.index].due_ms == timer.due_ms)
                product_dirty(partition, timer.index);
        } else if (partition_begin(worker, partition)) {
            if (timer.kind == TIMER_CUSTOMER)
                apply_customer_timer(worker, partition, timer.index);
            else
                apply_offer_timer(worker, partition, timer.index);
        }
    }
}

static enum signal_reason apply_owned(struct worker *worker, const struct wire_record *head, const struct signal *signal)
{
    struct partition *partition = &worker->partition[head->partition];
    if (head->type == WIRE_TYPE_WATCH) {
        publisher_watch(worker->publisher, signal->customer, signal->sku, (uint32_t)signal->lease_s);
        return REASON_none;
    }
    if (!partition_begin(worker, partition))
        return REASON_none;
    enum signal_reason reason = once_check(worker, partition->state, head);
    if (reason != REASON_none)
        return reason;
    worker->id_hash = head->id_hash;
    reason = head->part == PART_PRODUCT ? apply_product_part(worker, partition, signal)
                                        : apply_customer_part(worker, partition, signal);
    if (!signal_reason_rejects(reason))
        once_remember(worker, partition->state, head);
    return reason;
}

static enum signal_reason apply_common(struct worker *worker, const struct wire_record *head, const struct signal *signal)
{
    if (head->type == WIRE_TYPE_CHANGE) {
        worker->change_due = head->id_hash;
        return REASON_none;
    }
    enum signal_reason reason = once_check(worker, worker->common, head);
    if (reason != REASON_none)
        return reason;
    reason = apply_common_part(worker, signal);
    if (!signal_reason_rejects(reason))
        once_remember(worker, worker->common, head);
    return reason;
}

static bool is_ours(const struct worker *worker, const struct wire_record *head)
{
    return head->part == PART_COMMON ||
           (head->partition < RIALTO_PARTITIONS && worker_owns(worker, head->partition));
}

/* The whole message is looked at before anything of it takes effect. */
static bool batch_is_valid(const struct worker *worker, const uint8_t *bytes, size_t size, uint32_t count)
{
    size_t at = sizeof(struct wire_header);
    struct wire_record head;
    struct signal signal;
    for (uint32_t i = 0; i < count; i++)
        if (!wire_record_decode(bytes, size, &at, &head, &signal) || !is_ours(worker, &head))
            return false;
    return at == size;
}

static void apply_records(struct worker *worker, const uint8_t *bytes, size_t size, uint32_t count)
{
    size_t at = sizeof(struct wire_header);
    struct wire_record head;
    struct signal signal;
    for (uint32_t i = 0; i < count && wire_record_decode(bytes, size, &at, &head, &signal); i++) {
        if (worker->poison_sku != NULL && strcmp(signal.sku, worker->poison_sku) == 0)
            abort(); /* planted by a test */
        enum signal_reason reason = head.part == PART_COMMON ? apply_common(worker, &head, &signal)
                                                             : apply_owned(worker, &head, &signal);
        if (reason != REASON_none)
            finding_add(worker, &head, reason);
    }
    metric_add(METRIC_records_applied_total, count);
}

/* More signals than can be priced one batch after the other: the newest state wins, and is priced with the last of them, or with
 * the first of the next tick. */
static void reprice_later(struct worker *worker)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        metric_add(METRIC_prices_coalesced_total, worker->partition[p].dirty_count);
}

/* Prices of a partition that has this batch already wait for the next one: they are in its lines as of this tick. */
static void reprice_all(struct worker *worker)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct partition *partition = &worker->partition[p];
        if (partition->state != NULL && partition->dirty_count > 0 && partition_begin(worker, partition))
            reprice_dirty(worker, partition);
    }
    worker->priced_ms = worker->tick_ms;
}

static void commit_all(struct worker *worker)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct partition *partition = &worker->partition[p];
        if (partition->state == NULL || !state_is_open(partition->state))
            continue;
        state_commit(partition->state);
        lines_publish_changed(worker, partition);
        persist_changed(worker, p, partition->state);
        if (worker->erased)
            state_wipe_journal(partition->state);
    }
    state_set_tick(worker->common, worker->tick_ms);
    state_commit(worker->common);
    if (worker->zone_lines_stale)
        lines_publish_zones(worker);
    if (worker->terms_stale)
        lines_publish_terms(worker);
    worker->terms_stale = false;
    if (worker->index == 0)
        persist_changed(worker, MIRROR_COMMON, worker->common);
    persist_batch_ended(worker);
    if (worker->erased)
        mirror_erased(worker->mirror);
    worker->erased = false;
}

/* Ticks alone are no signals: they only count as batches. A price that waits for the next batch is not in it. */
static void observe(const struct wire_header *header, int64_t began_us)
{
    int64_t now = mono_us();
    histogram_add(HISTOGRAM_batch, now - began_us);
    if (header->arrived_us != 0 && (header->flags & WIRE_MORE) == 0)
        histogram_add(HISTOGRAM_signal_to_price, (uint32_t)now - header->arrived_us);
}

bool batch_apply(struct worker *worker, const uint8_t *bytes, size_t size)
{
    const struct wire_header *header = wire_header_check(bytes, size);
    if (header == NULL || header->kind != WIRE_BATCH || !batch_is_valid(worker, bytes, size, header->count)) {
        log_line(LOG_ERROR, "BATCH-MALFORMED", "bytes=%zu", size);
        return false;
    }
    int64_t began_us = mono_us();
    worker->batch = header->seq;
    worker->pending.awaited = worker->pending.awaited || header->flags & WIRE_ANSWERED;
    if (header->tick_ms > worker->tick_ms)
        worker->tick_ms = header->tick_ms;
    state_begin(worker->common, worker->batch);
    fire_timers(worker);
    apply_records(worker, bytes, size, header->count);
    if (worker->tick_ms >= worker->models_change_ms) { /* a model begins or ends: who prices what is found anew */
        worker->models_change_ms = model_set_changes_ms(worker->models, worker->tick_ms);
        worker->zones_changed = worker->terms_stale = true;
    }
    if (worker->zones_changed)
        places_rebuild(worker);
    bool change = worker->change_due != 0;
    if (worker->change_due != 0 && !change_over(worker, worker->change_due))
        abort(); /* the next process says why, or starts with what is in force */
    worker->change_due = 0;
    if (header->flags & WIRE_MORE && !change && worker->priced_ms == worker->tick_ms)
        reprice_later(worker);
    else
        reprice_all(worker);
    commit_all(worker);
    metric_add(METRIC_batches_applied_total, 1);
    observe(header, began_us);
    metric_set(METRIC_tick_ms, (uint64_t)worker->tick_ms);
    return true;
}
