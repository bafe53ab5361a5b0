/* batch.c - one batch, whole: timers up to its tick, its records, prices, commit, lines, Redis.
 *
 * Each partition commits by itself; the common state commits last and says what this worker has applied. A batch that comes
 * again after a death finds its finished partitions ahead of it and passes them over: every part counts once. What was found in those
 * parts died with the worker, so of them it says no_answer. */
#include "cache/keys.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCTS_MANY 1024u

/* Ready to take changes of this batch; false if it has them already. */
static bool partition_begin(struct worker *worker, struct partition *partition)
{
    if (state_applied(partition->state) >= worker->batch)
        return false;
    state_begin(partition->state, worker->batch);
    worker->busy |= UINT64_C(1) << partition->number;
    return true;
}

/* What all workers find in the same part is counted by the first of them. */
static void finding_count(const struct worker *worker, const struct wire_record *head, enum signal_reason reason)
{
    if (head->part == PART_COMMON && worker->index != 0)
        return;
    if (reason == REASON_no_consent)
        metric_add(METRIC_signals_no_consent_total, 1);
    else if (reason == REASON_duplicate)
        metric_add(METRIC_signals_duplicate_total, 1);
    else if (reason == REASON_superseded)
        metric_add(METRIC_signals_superseded_total, 1);
    else if (signal_reason_rejects(reason) && reason != REASON_no_answer)
        metric_add(METRIC_signals_rejected_total, 1);
    if (reason == REASON_table_full)
        metric_add(METRIC_table_full_total, 1);
    else if (reason == REASON_refusal_not_kept)
        metric_add(METRIC_refusals_not_kept_total, 1);
}

static void finding_add(struct worker *worker, const struct wire_record *head, enum signal_reason reason)
{
    finding_count(worker, head, reason);
    if (worker->finding_count < FINDINGS_MAX)
        worker->finding[worker->finding_count++] = (struct wire_finding){
            .seq = worker->batch, .ref = head->ref, .reason = (uint16_t)reason, .part = head->part,
        };
}

struct finding_due { /* whose wheel is being advanced */
    struct worker *worker;
    uint32_t partition;
};

static void note_due(void *user, enum state_pool pool, uint32_t index, int64_t due_ms)
{
    const struct finding_due *finding = user;
    const struct timer timer = { .due_ms = due_ms, .index = index, .partition = (uint8_t)finding->partition, .pool = (uint8_t)pool };
    if (!timers_add(&finding->worker->due, timer)) {
        log_line(LOG_ERROR, "NO-MEMORY", "deadlines=%zu: this batch is undone and begun again", finding->worker->due.count);
        abort(); /* rather than forget a deadline: personal terms end with it */
    }
}

static void find_due_in(struct worker *worker, struct partition *partition, enum state_pool pool, uint32_t most)
{
    struct finding_due finding = { worker, partition->number };
    state_advance(partition->state, pool, worker->tick_ms, most, &finding, note_due);
}

/* Behind a tick's deadlines: are there offers and locks at their end that wait for a later tick? */
static bool offers_wait(const struct worker *worker, struct partition *partition)
{
    return state_wake_ms(partition->state, POOL_OFFERS) <= worker->tick_ms;
}

static void find_due(struct worker *worker)
{
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        struct partition *partition = &worker->partition[p];
        for (int pool = 0; pool < POOL_COUNT; pool++)
            if (state_wake_ms(partition->state, (enum state_pool)pool) <= worker->tick_ms && partition_begin(worker, partition))
                find_due_in(worker, partition, (enum state_pool)pool, pool == POOL_OFFERS ? OFFERS_A_TICK : UINT32_MAX);
        if (offers_wait(worker, partition))
            metric_add(METRIC_offers_waited_total, 1);
    }
}

static void fire_due(struct worker *worker)
{
    timers_sort(&worker->due);
    for (size_t i = 0; i < worker->due.count; i++) {
        const struct timer *timer = &worker->due.timer[i];
        struct partition *partition = &worker->partition[timer->partition];
        if (timer->pool == POOL_PRODUCTS)
            product_dirty(partition, timer->index);
        else if (timer->pool == POOL_CUSTOMERS)
            apply_customer_timer(worker, partition, timer->index);
        else
            apply_offer_timer(worker, partition, timer->index);
    }
    worker->due.count = 0;
}

/* Once a tick: nothing becomes due at a tick that has come already. */
static void fire_timers(struct worker *worker)
{
    if (worker->fired_ms == worker->tick_ms)
        return;
    worker->fired_ms = worker->tick_ms;
    find_due(worker);
    fire_due(worker);
}

/* What its customer has is as if none had to wait. A few others go, too: so there is room again for what comes in. */
static void offers_hurry(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    if (!offers_wait(worker, partition))
        return;
    find_due_in(worker, partition, POOL_OFFERS, OFFERS_A_PART);
    fire_due(worker);
    offers_end(worker, partition, signal);
}

/* `signal`: NULL of demand's product part, which the plan has read. */
static enum signal_reason apply_owned(struct worker *worker, const struct wire_record *head,
                                      const struct signal *signal, const struct planned *planned)
{
    struct partition *partition = &worker->partition[head->partition];
    if (head->type == WIRE_TYPE_WATCH)
        return apply_watch(worker, partition, signal);
    if (!partition_begin(worker, partition))
        return REASON_no_answer;
    uint32_t source;
    enum signal_reason reason = once_check(worker, partition->state, head, &source);
    if (reason != REASON_none)
        return reason;
    worker->id_hash = head->id_hash;
    if (signal == NULL)
        reason = apply_demand_part(worker, partition, head, planned);
    else if (head->part == PART_PRODUCT)
        reason = apply_product_part(worker, partition, signal);
    else {
        offers_hurry(worker, partition, signal);
        reason = apply_customer_part(worker, partition, signal);
    }
    if (!signal_reason_rejects(reason))
        once_remember(worker, partition->state, head, source);
    return reason;
}

static enum signal_reason apply_common(struct worker *worker, const struct wire_record *head, const struct signal *signal)
{
    if (head->type == WIRE_TYPE_CHANGE) {
        worker->change_due = head->id_hash;
        return REASON_none;
    }
    uint32_t source;
    enum signal_reason reason = once_check(worker, worker->common, head, &source);
    if (reason != REASON_none)
        return reason;
    reason = apply_common_part(worker, signal);
    if (!signal_reason_rejects(reason))
        once_remember(worker, worker->common, head, source);
    return reason;
}

static void die_of_poison(const struct worker *worker, const char *sku)
{
    if (worker->poison_sku != NULL && strcmp(sku, worker->poison_sku) == 0)
        abort(); /* planted by a test */
}

static enum signal_reason apply_record(struct worker *worker, const uint8_t *bytes, size_t size,
                                       const struct planned *planned)
{
    struct wire_record head;
    struct signal signal;
    size_t at = planned->at;
    memcpy(&head, bytes + at, sizeof head);
    if (planned->demand.sku != NULL) {
        die_of_poison(worker, planned->demand.sku);
        return apply_owned(worker, &head, NULL, planned);
    }
    (void)wire_record_decode(bytes, size, &at, &head, &signal); /* as when it was planned */
    die_of_poison(worker, signal.sku);
    return head.part == PART_COMMON ? apply_common(worker, &head, &signal)
                                    : apply_owned(worker, &head, &signal, planned);
}

/* In the order of the records, as the gateway looks for them. */
static void findings_add(struct worker *worker, const uint8_t *bytes)
{
    struct wire_record head;
    for (uint32_t i = 0; i < worker->plan_count; i++) {
        if (worker->plan[i].reason == REASON_none)
            continue;
        memcpy(&head, bytes + worker->plan[i].at, sizeof head);
        finding_add(worker, &head, (enum signal_reason)worker->plan[i].reason);
    }
}

static void apply_records(struct worker *worker, const uint8_t *bytes, size_t size)
{
    bool found = false;
    for (uint32_t turn = 0; turn < worker->plan_count; turn++) {
        struct planned *planned = &worker->plan[worker->plan_order[turn]];
        plan_fetch(worker, turn);
        planned->reason = (uint16_t)apply_record(worker, bytes, size, planned);
        found = found || planned->reason != REASON_none;
    }
    if (found)
        findings_add(worker, bytes);
    metric_add(METRIC_records_applied_total, worker->plan_count);
}

/* More signals than can be priced one batch after the other: the newest state wins, and is priced with the last of them, or with
 * the first of the next tick. This batch will not come again: that they are due is committed with it. */
static void reprice_later(struct worker *worker)
{
    for (uint64_t left = worker->busy; left != 0; left &= left - 1) {
        struct partition *partition = &worker->partition[__builtin_ctzll(left)];
        metric_add(METRIC_prices_coalesced_total, partition->dirty_count);
        if (partition->dirty_due == partition->dirty_count || !partition_begin(worker, partition))
            continue;
        for (; partition->dirty_due < partition->dirty_count; partition->dirty_due++)
            state_set_due(partition->state, POOL_PRODUCTS, partition->dirty[partition->dirty_due], worker->tick_ms);
    }
}

/* One partition at a time, from its prices to its lines: what the next step looks at is still near. Prices of a partition that has this
 * batch already wait for the next one: they are in its lines as of this tick. */
static void partition_finish(struct worker *worker, struct partition *partition, bool price)
{
    if (price && partition->dirty_count > 0 && partition_begin(worker, partition))
        reprice_dirty(worker, partition);
    if (partition->dirty_count == 0)
        worker->busy &= ~(UINT64_C(1) << partition->number);
    if (!state_is_open(partition->state))
        return;
    state_commit(partition->state);
    lines_publish_changed(worker, partition);
    worker->finished |= UINT64_C(1) << partition->number;
}

/* Behind the last line of the batch: no reader waits for it. */
static void partition_persist(struct worker *worker, struct partition *partition)
{
    if (worker->erased)
        lines_tell_revoked(worker, partition);
    persist_changed(worker, partition->number, partition->state);
    if (worker->erased)
        state_wipe_journal(partition->state);
}

/* Prices of so many products that readers would wait for what Redis is told of the first of them. */
static bool many_are_due(const struct worker *worker)
{
    uint64_t products = 0;
    for (uint64_t left = worker->busy; left != 0; left &= left - 1)
        products += worker->partition[__builtin_ctzll(left)].dirty_count;
    return products >= PRODUCTS_MANY;
}

static void finish_all(struct worker *worker, bool price)
{
    if (price && many_are_due(worker))
        publisher_stand_back(worker->publisher, true);
    for (uint64_t left = worker->busy; left != 0; left &= left - 1)
        partition_finish(worker, &worker->partition[__builtin_ctzll(left)], price);
    for (; worker->finished != 0; worker->finished &= worker->finished - 1)
        partition_persist(worker, &worker->partition[__builtin_ctzll(worker->finished)]);
    if (price)
        worker->priced_ms = worker->tick_ms;
    state_set_tick(worker->common, worker->tick_ms);
    state_commit(worker->common);
    if (worker->zone_lines_stale)
        lines_publish_zones(worker);
    if (worker->terms_stale)
        lines_publish_terms(worker);
    else if (worker->located_stale)
        lines_publish_located(worker);
    worker->terms_stale = worker->located_stale = false;
    publisher_stand_back(worker->publisher, false);
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

/* Lines may change several times within a tick: what stood in between was quoted too. */
static void moment_next(struct worker *worker)
{
    bool same = worker->moment_us / 1000 == worker->tick_ms;
    int64_t number = same ? worker->moment_us % 1000 + 1 : 0;
    worker->moment_us = worker->tick_ms * 1000 + (number < 998 ? number : 998);
}

bool batch_apply(struct worker *worker, const uint8_t *bytes, size_t size)
{
    const struct wire_header *header = wire_header_check(bytes, size);
    if (header == NULL || header->kind != WIRE_BATCH || !plan_batch(worker, bytes, size, header->count)) {
        log_line(LOG_ERROR, "BATCH-MALFORMED", "bytes=%zu", size);
        return false;
    }
    int64_t began_us = mono_us();
    worker->batch = header->seq;
    worker->pending.awaited = worker->pending.awaited || header->flags & WIRE_ANSWERED;
    if (header->tick_ms > worker->tick_ms)
        worker->tick_ms = header->tick_ms;
    moment_next(worker);
    state_begin(worker->common, worker->batch);
    fire_timers(worker);
    apply_records(worker, bytes, size);
    if (worker->tick_ms >= worker->models_change_ms) { /* a model begins or ends: who prices what is found anew */
        restart_models(worker);
        worker->zones_changed = worker->terms_stale = true;
    }
    if (worker->zones_changed)
        places_rebuild(worker);
    bool change = worker->change_due != 0;
    if (worker->change_due != 0 && !change_over(worker, worker->change_due))
        abort(); /* the next process says why, or starts with what is in force */
    worker->change_due = 0;
    bool later = header->flags & WIRE_MORE && !change && worker->priced_ms == worker->tick_ms;
    if (later)
        reprice_later(worker);
    finish_all(worker, !later);
    restart_step(worker);
    lines_retry_refused(worker);
    metric_add(METRIC_batches_applied_total, 1);
    observe(header, began_us);
    metric_set(METRIC_tick_ms, (uint64_t)worker->tick_ms);
    return true;
}
