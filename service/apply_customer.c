/* apply_customer.c - customer parts, at the customer's owner: the one place that knows what is permitted.
 *
 * Everything is off until the customer switches it on. Data of a kind that is not permitted are dropped here, before any store; what
 * rested on a kind that is switched off is gone in the same batch. */
#include "service/apply_customer.h"
#include "pricing/money.h"
#include "service/metrics.h"

#include <string.h>

#define LEASE_DEFAULT_S 900

bool customer_permits(const struct partition *partition, uint32_t customer, unsigned kind)
{
    if (customer == STATE_NONE)
        return false;
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    return (record->consent & kind) != 0;
}

uint32_t customer_insert(struct worker *worker, struct partition *partition, const char *id)
{
    uint32_t customer = room_insert(partition->state, POOL_CUSTOMERS, id_key(worker, id));
    if (customer != STATE_NONE)
        memcpy(customer_touch(partition, customer)->id, id, strlen(id) + 1);
    return customer;
}

/* An earlier deadline that stands already is left: when it comes, the record says what is still to come. So a lease that is
 * extended over and over moves nothing. */
void due_at_latest(struct partition *partition, enum state_pool pool, uint32_t index, int64_t due_ms)
{
    int64_t now_ms = state_due(partition->state, pool, index);
    if (due_ms != 0 && (now_ms == 0 || now_ms > due_ms))
        state_set_due(partition->state, pool, index, due_ms);
}

static int64_t customer_refusal_ends_ms(const struct worker *worker, const struct customer_record *record)
{
    return record->consent_time_ms + (int64_t)worker->config->signal_age_max_s * 1000;
}

int64_t customer_due_ms(const struct worker *worker, const struct customer_record *record)
{
    if (record->zone_until_ms != 0)
        return record->zone_until_ms;
    return record->consent == 0 && record->offer_count == 0 ? customer_refusal_ends_ms(worker, record) : 0;
}

int64_t offer_due_ms(const struct offer_record *record)
{
    int64_t until_ms = record->kind == RIALTO_OFFER_NONE ? 0 : record->until_ms;
    int64_t lock_ms = record->locked == 0 ? 0 : record->lock_until_ms;
    return until_ms == 0 || (lock_ms != 0 && lock_ms < until_ms) ? lock_ms : until_ms;
}

/* A record that permits nothing and owes nothing is not kept, save of who opted out (a yes that comes later must not count), and for the time of a refusal: an older yes that arrives late must
 * not overrule it. Signals older than signal_age_max_s are refused at the door, so it need not be kept for longer. */
void customer_drop_if_empty(struct worker *worker, struct partition *partition, uint32_t customer)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    if (record->consent != 0 || record->offer_count != 0)
        return;
    int64_t ends_ms = customer_refusal_ends_ms(worker, record);
    if (ends_ms > worker->tick_ms)
        due_at_latest(partition, POOL_CUSTOMERS, customer, ends_ms);
    else
        state_delete(partition->state, POOL_CUSTOMERS, customer);
}

/* ---- consent, profile ---------------------------------------------------------------------------------------------- */

static void spend_forget(struct customer_record *record)
{
    record->spend = 0;
    record->spend_currency = 0;
}

static void zone_forget(struct customer_record *record)
{
    memset(record->zone, 0, sizeof record->zone);
    record->zone_until_ms = 0;
}

static void revoke(struct worker *worker, struct customer_record *record, unsigned kinds)
{
    record->consent &= (uint8_t)~kinds;
    if (kinds & RIALTO_KIND_LOCATION) {
        zone_forget(record);
        record->zone_time_ms = record->consent_time_ms; /* what was seen before this moment, and arrives late, does not count */
    }
    if (kinds & RIALTO_KIND_PURCHASES)
        spend_forget(record);
    if (kinds & RIALTO_KIND_PROFILE) {
        memset(record->tier, 0, sizeof record->tier);
        memset(record->segment, 0, sizeof record->segment);
        record->segment_count = 0;
    }
    if (kinds & (RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES))
        publisher_forget(worker->publisher, record->id);
    past_wipe(worker->past, record->head.key);
    worker->erased = true;
}

static void segments_set(struct customer_record *record, const struct signal *signal)
{
    memset(record->segment, 0, sizeof record->segment);
    record->segment_count = (uint8_t)signal->segments.count;
    memcpy(record->segment, signal->segments.word, sizeof record->segment);
}

static enum signal_reason profile_set(struct customer_record *record, const struct signal *signal)
{
    enum signal_reason reason = REASON_none;
    bool profile = signal_has(signal, SIGNAL_FIELD_tier) || signal_has(signal, SIGNAL_FIELD_segments);
    if (profile && (record->consent & RIALTO_KIND_PROFILE) == 0)
        reason = REASON_no_consent;
    if (record->consent & RIALTO_KIND_PROFILE) {
        if (signal_has(signal, SIGNAL_FIELD_tier))
            memcpy(record->tier, signal->tier, sizeof record->tier);
        if (signal_has(signal, SIGNAL_FIELD_segments))
            segments_set(record, signal);
    }
    if (!signal_has(signal, SIGNAL_FIELD_spend))
        return reason;
    if ((record->consent & RIALTO_KIND_PURCHASES) == 0)
        return REASON_no_consent;
    record->spend = signal->spend;
    record->spend_currency = currency_find(signal->currency)->number;
    return reason;
}

static bool opts_out(const struct signal *signal)
{
    return (signal_has(signal, SIGNAL_FIELD_opt_out) && signal->opt_out) ||
           (signal_has(signal, SIGNAL_FIELD_gpc) && signal->gpc);
}

/* Takes an opt-out, or takes it back. Returns the kinds that the signal may grant after that. */
static unsigned opt_out_set(struct customer_record *record, const struct signal *signal)
{
    if (opts_out(signal))
        record->consent |= CUSTOMER_OPTED_OUT;
    else if (signal_has(signal, SIGNAL_FIELD_opt_out))
        record->consent &= (uint8_t)~CUSTOMER_OPTED_OUT;
    return record->consent & CUSTOMER_OPTED_OUT ? 0 : signal->consent.granted;
}

static enum signal_reason apply_customer(struct worker *worker, struct partition *partition, uint32_t customer,
                                         const struct signal *signal)
{
    if (customer == STATE_NONE) {
        bool data = signal_has(signal, SIGNAL_FIELD_tier) || signal_has(signal, SIGNAL_FIELD_spend) ||
                    signal_has(signal, SIGNAL_FIELD_segments);
        if (signal->consent.given == 0 &&
            !opts_out(signal)) /* nothing is permitted, and nothing is said about that: nothing is stored */
            return data ? REASON_no_consent : REASON_none;
        customer = customer_insert(worker, partition, signal->customer);
        if (customer == STATE_NONE)
            return REASON_table_full;
    }
    struct customer_record *record = customer_touch(partition, customer);
    if (record->consent_time_ms > signal->time_ms)
        return REASON_superseded;
    record->consent_time_ms = signal->time_ms;
    unsigned granted = opt_out_set(record, signal);
    unsigned given = record->consent & CUSTOMER_OPTED_OUT ? CUSTOMER_KINDS : signal->consent.given;
    unsigned revoked = record->consent & given & ~granted;
    record->consent |= (uint8_t)granted;
    enum signal_reason reason = granted != signal->consent.granted ? REASON_opted_out : REASON_none;
    if (revoked != 0) {
        revoke(worker, record, revoked);
        offers_prune(worker, partition, customer, revoked);
    }
    if (key_is_none(record->head.key)) /* it went with its last offer */
        return reason;
    enum signal_reason data = profile_set(record, signal);
    customer_drop_if_empty(worker, partition, customer);
    return reason == REASON_none ? data : reason;
}

static void erasure_fill(const struct partition *partition, uint32_t customer, struct erasure *note)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    note->record = true;
    note->consent = record->consent;
    note->tier = record->tier[0] != '\0';
    note->spend = record->spend_currency != 0;
    note->zone = record->zone_until_ms != 0;
    note->segments = record->segment_count;
    for (uint32_t i = state_first(partition->state, POOL_OFFERS, customer); i != STATE_NONE;
         i = state_next(partition->state, POOL_OFFERS, i)) {
        const struct offer_record *offer = state_at(partition->state, POOL_OFFERS, i);
        note->offers += offer->kind != RIALTO_OFFER_NONE;
        note->locks += offer->locked != 0;
    }
}

static enum signal_reason apply_forget(struct worker *worker, struct partition *partition, uint32_t customer,
                                       const struct signal *signal)
{
    publisher_forget(worker->publisher, signal->customer);
    past_wipe(worker->past, id_key(worker, signal->customer));
    worker->erased = true;
    metric_add(METRIC_erasures_total, 1);
    struct erasure *note = &worker->erasure[worker->erasures++ % ERASURES_KEPT];
    *note = (struct erasure){ .id_hash = worker->id_hash, .forgets = publisher_forgets_ordered(worker->publisher) };
    if (customer == STATE_NONE)
        return REASON_none;
    erasure_fill(partition, customer, note);
    offers_delete(partition, customer);
    state_delete(partition->state, POOL_CUSTOMERS, customer);
    return REASON_none;
}

/* ---- location, purchases, behaviour --------------------------------------------------------------------------------- */

static enum signal_reason apply_location(struct worker *worker, struct partition *partition, uint32_t customer,
                                         const struct signal *signal)
{
    if (!customer_permits(partition, customer, RIALTO_KIND_LOCATION))
        return REASON_no_consent;
    const struct customer_record *known = state_at(partition->state, POOL_CUSTOMERS, customer);
    int64_t lease_s = signal_has(signal, SIGNAL_FIELD_lease_s) ? signal->lease_s : LEASE_DEFAULT_S;
    int64_t until_ms = signal->time_ms + lease_s * 1000;
    bool left = signal->left != 0;
    bool elsewhere = left && signal->zone[0] != '\0' && strcmp(signal->zone, known->zone) != 0;
    if (known->zone_time_ms > signal->time_ms || elsewhere || (!left && until_ms <= worker->tick_ms))
        return REASON_superseded;
    struct customer_record *record = customer_touch(partition, customer);
    zone_forget(record);
    record->zone_time_ms = signal->time_ms;
    if (left)
        return REASON_none;
    memcpy(record->zone, signal->zone, sizeof record->zone);
    record->zone_until_ms = until_ms;
    due_at_latest(partition, POOL_CUSTOMERS, customer, until_ms);
    return REASON_none;
}

void apply_customer_timer(struct worker *worker, struct partition *partition, uint32_t index)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, index);
    if (key_is_none(record->head.key))
        return;
    if (record->zone_until_ms != 0 && record->zone_until_ms <= worker->tick_ms)
        zone_forget(customer_touch(partition, index));
    customer_drop_if_empty(worker, partition, index);
    if (!key_is_none(record->head.key))
        due_at_latest(partition, POOL_CUSTOMERS, index, customer_due_ms(worker, record));
}

/* Spend adds up in the currency that it began in; amounts in another one are not mixed in. */
static void spend_add(struct customer_record *record, const struct signal *signal, int64_t sign)
{
    uint16_t currency = currency_find(signal->currency)->number;
    if (record->spend_currency == 0)
        record->spend_currency = currency;
    if (record->spend_currency != currency)
        return;
    int64_t spend = record->spend + sign * signal->amount; /* both at most 2^48: no overflow */
    record->spend = spend < 0 ? 0 : spend > RIALTO_BOUND_MAX ? RIALTO_BOUND_MAX : spend;
}

static enum signal_reason apply_customer_demand(struct worker *worker, struct partition *partition, uint32_t customer,
                                                const struct signal *signal)
{
    bool purchase = signal->event == DEMAND_ORDER || signal->event == DEMAND_RETURN;
    if (!customer_permits(partition, customer, purchase ? RIALTO_KIND_PURCHASES : RIALTO_KIND_BEHAVIOUR))
        return REASON_no_consent;
    if (purchase && signal_has(signal, SIGNAL_FIELD_amount))
        spend_add(customer_touch(partition, customer), signal, signal->event == DEMAND_ORDER ? 1 : -1);
    publisher_watch(worker->publisher, signal->customer, signal->sku, worker->config->watch_ttl_s);
    return REASON_none;
}

static enum signal_reason apply_receipt(struct partition *partition, uint32_t customer, const struct signal *signal)
{
    if (!customer_permits(partition, customer, RIALTO_KIND_PURCHASES))
        return REASON_no_consent;
    spend_add(customer_touch(partition, customer), signal, 1);
    return REASON_none;
}

enum signal_reason apply_customer_part(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    uint32_t customer = state_find(partition->state, POOL_CUSTOMERS, id_key(worker, signal->customer));
    switch ((unsigned)signal->type) {
    case SIGNAL_customer: return apply_customer(worker, partition, customer, signal);
    case SIGNAL_location: return apply_location(worker, partition, customer, signal);
    case SIGNAL_demand: return apply_customer_demand(worker, partition, customer, signal);
    case SIGNAL_receipt: return apply_receipt(partition, customer, signal);
    case SIGNAL_offer: return apply_offer(worker, partition, customer, signal);
    case WIRE_TYPE_LOCK: return apply_lock(worker, partition, customer, signal);
    case SIGNAL_forget: return apply_forget(worker, partition, customer, signal);
    default: return REASON_unknown_type;
    }
}
