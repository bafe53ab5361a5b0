/* apply_lock.c - a customer asks that a price be promised: was it theirs, and from now on it is kept.
 *
 *   what the product cost lately (from its owner, in the record) --+
 *   the customer's terms and offer lately (past.h) ----------------+--> every moment of the last lock_grace_s at which one of them
 *                                                                      changed: is the quote of that moment the amount?
 *
 * Between two such moments no quote changes, so that this looks at every quote that there was. A quote that was STALE is none that
 * anybody promises: the moments are those of living workers. */
#include "pricing/money.h"
#include "pricing/quote.h"
#include "service/apply_customer.h"
#include "service/metrics.h"

#define VERSIONS_MAX (WIRE_PRICES_MAX + 1u) /* of a line: those before, and the one that stands */
#define MOMENTS_MAX  64u
#define KINDS        0x00FFu /* RIALTO_KIND_* in a field that carries other bits too */

struct versions { /* newest first */
    size_t count;
    struct past_line line[VERSIONS_MAX];
};

struct look { /* back at one customer and product */
    int64_t since_us, now_us;
    unsigned consent; /* RIALTO_KIND_* permitted now */
    struct wire_lock lock;
    struct versions terms, offer;
    int64_t moment[MOMENTS_MAX];
    size_t moments;
};

static void versions_take(const struct worker *worker, const struct partition *partition, enum rialto_table table,
                          struct rialto_key owner, struct rialto_key key, int64_t since_us, struct versions *ret)
{
    uint64_t slot = table_find(worker->cache, table, partition->number, key);
    ret->line[0].until_us = INT64_MAX;
    ret->line[0].is = slot != SLOT_NONE && table_read(worker->cache, table, partition->number, slot, ret->line[0].bytes);
    ret->count = 1 + past_of(worker->past, since_us, table, owner, key, VERSIONS_MAX - 1, &ret->line[1]);
}

/* The version that stood then; NULL: there was none. */
static const struct past_line *version_at(const struct versions *versions, int64_t at_us)
{
    const struct past_line *found = NULL;
    for (size_t i = 0; i < versions->count && versions->line[i].until_us > at_us; i++)
        found = &versions->line[i];
    return found != NULL && found->is ? found : NULL;
}

static const struct wire_price *price_at(const struct wire_lock *lock, int64_t at_us)
{
    for (uint32_t i = 0; i < lock->count; i++)
        if (lock->price[i].from_us <= at_us)
            return key_is_none(lock->price[i].line.key) ? NULL : &lock->price[i];
    return NULL;
}

/* ---- moments ---------------------------------------------------------------------------------------------------- */

static void moment_add(struct look *look, int64_t at_us)
{
    if (at_us > look->since_us && at_us <= look->now_us && look->moments < MOMENTS_MAX)
        look->moment[look->moments++] = at_us;
}

static void moments_find(struct look *look)
{
    moment_add(look, look->now_us); /* first: it is what is asked for nearly always */
    moment_add(look, look->since_us + 1);
    for (uint32_t i = 0; i < look->lock.count; i++)
        moment_add(look, look->lock.price[i].from_us);
    for (size_t i = 0; i < look->terms.count; i++) {
        moment_add(look, look->terms.line[i].until_us);
        moment_add(look, (int64_t)look->terms.line[i].terms.until_s * 1000000);
    }
    for (size_t i = 0; i < look->offer.count; i++) {
        moment_add(look, look->offer.line[i].until_us);
        moment_add(look, (int64_t)look->offer.line[i].offer.from_s * 1000000);
        moment_add(look, (int64_t)look->offer.line[i].offer.until_s * 1000000);
        moment_add(look, (int64_t)look->offer.line[i].offer.lock_until_s * 1000000);
    }
}

/* ---- the quote of a moment --------------------------------------------------------------------------------------- */

/* Terms that rest on what is not permitted any more are none, whenever they stood. */
static bool terms_then(const struct look *look, int64_t at_us, struct rialto_terms_line *ret)
{
    const struct past_line *version = version_at(&look->terms, at_us);
    if (version == NULL)
        return false;
    *ret = version->terms;
    ret->consent &= (uint8_t)look->consent;
    if ((ret->kinds & KINDS & ~look->consent) == 0)
        return true;
    ret->kinds &= (uint16_t)~KINDS;
    for (unsigned i = 0; i < RIALTO_GROUPS_MAX; i++)
        ret->multiplier_e4[i] = 10000;
    return true;
}

static bool quote_then(const struct worker *worker, const struct look *look, int64_t at_us, enum rialto_mode mode,
                       struct rialto_quote *ret, uint16_t *ret_currency)
{
    const struct wire_price *price = price_at(&look->lock, at_us);
    const struct rialto_rule_row *rule = price == NULL ? NULL : rule_at(worker->cache, price->line.rule);
    const struct past_line *offer = version_at(&look->offer, at_us);
    struct rialto_terms_line terms;
    if (rule == NULL)
        return false;
    struct quote_inputs in = { .cell = &price->line,
                               .rule = rule,
                               .terms = terms_then(look, at_us, &terms) ? &terms : NULL,
                               .offer = offer != NULL ? &offer->offer : NULL,
                               .now_ms = at_us / 1000,
                               .stale_after_ms = worker->config->stale_after_ms,
                               .personal_stale_ms = worker->config->personal_stale_ms,
                               .group_map = worker->control->group_map,
                               .mode = mode };
    quote_compose(&in, ret);
    *ret_currency = rule->currency_number;
    return true;
}

static bool is_quote(const struct worker *worker, const struct look *look, int64_t at_us, enum rialto_mode mode,
                     const struct signal *signal)
{
    struct rialto_quote quote;
    uint16_t currency = 0;
    return quote_then(worker, look, at_us, mode, &quote, &currency) && quote.amount == signal->amount &&
           currency == currency_find(signal->currency)->number && (quote.flags & RIALTO_FLAG_STALE) == 0;
}

/* The operator's mode is not looked back at: list prices can be locked while they are ordered. */
static bool was_quoted(const struct worker *worker, const struct look *look, const struct signal *signal)
{
    if (worker->control->mode == RIALTO_MODE_LIST && is_quote(worker, look, look->now_us, RIALTO_MODE_LIST, signal))
        return true;
    for (size_t i = 0; i < look->moments; i++)
        if (is_quote(worker, look, look->moment[i], RIALTO_MODE_NORMAL, signal))
            return true;
    return false;
}

static bool look_back(struct worker *worker, const struct partition *partition, uint32_t customer, const struct signal *signal)
{
    struct rialto_key owner = id_key(worker, signal->customer), key = key_pair(owner, id_key(worker, signal->sku));
    int64_t now_us = worker->tick_ms * 1000 + 999, horizon_us = past_horizon_us(worker->past);
    struct look look = { .now_us = now_us, .since_us = now_us - (int64_t)worker->config->lock_grace_s * 1000000 };
    if (look.since_us < horizon_us)
        look.since_us = horizon_us < now_us ? horizon_us : now_us - 1; /* the present is always known */
    if (customer != STATE_NONE)
        look.consent = ((const struct customer_record *)state_at(partition->state, POOL_CUSTOMERS, customer))->consent;
    wire_lock_of(signal, &look.lock);
    versions_take(worker, partition, RIALTO_TABLE_TERMS, owner, owner, look.since_us, &look.terms);
    versions_take(worker, partition, RIALTO_TABLE_OFFERS, owner, key, look.since_us, &look.offer);
    moments_find(&look);
    return was_quoted(worker, &look, signal);
}

/* ---- the promise ---------------------------------------------------------------------------------------------------- */

/* One lock for each customer and product: a further one takes its place, never dearer and never ending earlier. */
static void lock_store(struct worker *worker, struct partition *partition, uint32_t offer, const struct signal *signal)
{
    struct wire_lock lock;
    struct offer_record *record = state_touch(partition->state, POOL_OFFERS, offer);
    bool was_shown = offer_is_shown(record);
    wire_lock_of(signal, &lock);
    int64_t until_ms = signal->until_ms;
    if (lock_lives(worker, record) && (record->lock_until_ms == 0 || record->lock_until_ms > until_ms))
        until_ms = record->lock_until_ms;
    lock_clear(partition, record);
    locks_add(partition, 1);
    record->locked = signal->amount;
    record->lock_from_ms = worker->tick_ms;
    record->lock_until_ms = until_ms;
    record->lock_request = lock.request;
    record->currency = currency_find(signal->currency)->number;
    memcpy(record->lock_nonce, lock.nonce, sizeof record->lock_nonce);
    offer_settle(worker, partition, offer, was_shown);
}

static enum signal_reason judge(struct worker *worker, struct partition *partition, uint32_t customer, uint32_t offer,
                                const struct signal *signal)
{
    struct wire_lock lock;
    const struct offer_record *record = offer == STATE_NONE ? NULL : state_at(partition->state, POOL_OFFERS, offer);
    wire_lock_of(signal, &lock);
    if (record != NULL && lock_lives(worker, record) && record->lock_request == lock.request)
        return REASON_duplicate;
    if (signal->until_ms <= worker->tick_ms)
        return REASON_too_old;
    if (record != NULL && currency_is_taken(worker, record, true, currency_find(signal->currency)->number))
        return REASON_other_currency;
    bool lower = record != NULL && lock_lives(worker, record) && record->locked < signal->amount;
    if (lower || !look_back(worker, partition, customer, signal)) {
        metric_add(METRIC_locks_refused_total, 1);
        return REASON_not_quoted;
    }
    return lock_has_room(worker, partition, offer) ? REASON_none : REASON_locks_full;
}

enum signal_reason apply_lock(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal)
{
    struct rialto_key key = key_pair(id_key(worker, signal->customer), id_key(worker, signal->sku));
    uint32_t offer = state_find(partition->state, POOL_OFFERS, key);
    metric_add(METRIC_locks_asked_total, 1);
    enum signal_reason reason = judge(worker, partition, customer, offer, signal);
    if (reason != REASON_none)
        return reason;
    if (customer == STATE_NONE)
        customer = customer_insert(worker, partition, signal->customer);
    if (customer != STATE_NONE && offer == STATE_NONE)
        offer = offer_upsert(worker, partition, customer, signal);
    if (offer != STATE_NONE)
        lock_store(worker, partition, offer, signal);
    else if (customer != STATE_NONE)
        customer_drop_if_empty(worker, partition, customer);
    return offer != STATE_NONE ? REASON_none : REASON_table_full;
}
