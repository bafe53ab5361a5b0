/* apply_offer.c - a customer's offers and locks, one record for each product: given, taken back, over.
 *
 * The record remembers, too, what may lead to an offer of a model (apply_issue.c). An offer rests on a kind of personal data, and goes with the consent to it. A lock is owed: nothing but its end and `forget` takes
 * it away. How a customer asks for one stands in apply_lock.c. */
#include "pricing/fixed.h"
#include "pricing/money.h"
#include "service/apply_customer.h"
#include "service/capacity.h"
#include "service/metrics.h"

#include <string.h>

enum { WITHDRAW, FIXED, PERCENT, AMOUNT_OFF, LOCK }; /* order of CHOICES_OFFER */

/* ---- locks ----------------------------------------------------------------------------------------------------- */

uint32_t locks_count(struct partition *partition)
{
    for (uint32_t i = 0; i < state_capacity(partition->state, POOL_OFFERS) && !partition->locks_counted; i++) {
        const struct offer_record *record = state_at(partition->state, POOL_OFFERS, i);
        partition->locks += !key_is_none(record->head.key) && record->locked != 0;
    }
    partition->locks_counted = true;
    return partition->locks;
}

void locks_add(struct partition *partition, int difference)
{
    if (partition->locks_counted)
        partition->locks += (uint32_t)difference;
}

bool lock_has_room(const struct worker *worker, struct partition *partition, uint32_t offer)
{
    const struct offer_record *record = offer == STATE_NONE ? NULL : state_at(partition->state, POOL_OFFERS, offer);
    if ((record != NULL && record->locked != 0) || locks_count(partition) < capacity_of_locks(worker->config))
        return true;
    metric_add(METRIC_locks_full_total, 1);
    return false;
}

/* What a customer asked for, and was promised, is not made worse by whoever gives locks of his own accord. */
static bool lock_is_better(const struct offer_record *record, int64_t amount)
{
    return record->lock_request != 0 && record->locked != 0 && record->locked <= amount;
}

int64_t lock_end_ms(const struct offer_record *record, int64_t until_ms)
{
    bool later = record->locked != 0 && record->lock_request != 0 && record->lock_until_ms > until_ms;
    return later && until_ms != 0 ? record->lock_until_ms : until_ms;
}

void lock_clear(struct partition *partition, struct offer_record *record)
{
    locks_add(partition, record->locked != 0 ? -1 : 0);
    record->locked = record->lock_from_ms = record->lock_until_ms = 0;
    record->lock_request = 0;
    memset(record->lock_nonce, 0, sizeof record->lock_nonce);
}

bool lock_lives(const struct worker *worker, const struct offer_record *record)
{
    return record->locked != 0 && (record->lock_until_ms == 0 || record->lock_until_ms > worker->tick_ms);
}

bool currency_is_taken(const struct worker *worker, const struct offer_record *record, bool lock, uint16_t currency)
{
    bool money = record->kind == RIALTO_OFFER_FIXED || record->kind == RIALTO_OFFER_AMOUNT_OFF;
    return (lock_lives(worker, record) || (lock && money)) && record->currency != currency;
}

/* ---- offers --------------------------------------------------------------------------------------------------- */

static void offer_delete(struct worker *worker, struct partition *partition, uint32_t offer)
{
    const struct offer_record *record = state_at(partition->state, POOL_OFFERS, offer);
    uint32_t customer = state_find(partition->state, POOL_CUSTOMERS, record->customer);
    state_delete(partition->state, POOL_OFFERS, offer);
    if (customer == STATE_NONE)
        return;
    customer_touch(partition, customer)->offer_count--;
    customer_drop_if_empty(worker, partition, customer);
}

void offer_clear(struct offer_record *record)
{
    record->kind = RIALTO_OFFER_NONE;
    record->is_issued = 0;
    record->flags = 0;
    record->kinds = 0;
    record->value = record->from_ms = record->until_ms = 0;
    record->units_micro = record->ordered_micro = record->units_time_ms = 0;
    if (record->locked == 0)
        record->currency = 0;
}

/* No offer, no lock, and nothing that leads to one: at most the time of the shop's last word. */
static bool holds_nothing(const struct offer_record *record)
{
    return record->kind == RIALTO_OFFER_NONE && record->locked == 0 && record->events_until_s == 0 &&
           record->cooldown_until_s == 0;
}

/* A time by itself is kept while no more than half is in use, and so many more; as what models remember. */
static bool times_have_room(const struct partition *partition, uint32_t more)
{
    bool room = state_used(partition->state, POOL_OFFERS) + more <= state_capacity(partition->state, POOL_OFFERS) / 2;
    metric_add(METRIC_offer_times_dropped_total, room ? 0 : 1);
    return room;
}

static bool time_is_kept(const struct worker *worker, const struct partition *partition,
                         const struct offer_record *record)
{
    if (offer_time_ends_ms(worker, record) <= worker->tick_ms)
        return false;
    return times_have_room(partition, 0);
}

void offer_settle(struct worker *worker, struct partition *partition, uint32_t offer, bool was_shown)
{
    const struct offer_record *record = state_at(partition->state, POOL_OFFERS, offer);
    if (holds_nothing(record) && !time_is_kept(worker, partition, record)) {
        offer_delete(worker, partition, offer);
        return;
    }
    due_at_latest(partition, POOL_OFFERS, offer, offer_due_ms(worker, record));
    uint32_t customer = offer_is_shown(record) == was_shown ? STATE_NONE
                                                            : state_find(partition->state, POOL_CUSTOMERS, record->customer);
    if (customer != STATE_NONE)
        (void)customer_touch(partition, customer);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Steps by the golden section reach every place, and any few of them in a row lie evenly among all: records lie in the order in which they came,
 * and so do those that are of no more use. */
static uint64_t step_among(uint64_t places)
{
    uint64_t step = (uint64_t)((double)places * 0.6180339887) + 1;
    while (common_divisor(step, places) != 1)
        step++;
    return step;
}

bool offer_gives_way(struct worker *worker, struct partition *partition, struct rialto_key owner, uint64_t from)
{
    struct state *state = partition->state;
    uint64_t end = state_end(state, POOL_OFFERS), step = end > 0 ? step_among(end) : 0;
    for (uint64_t i = 0; i < OFFER_TIMES_LOOKED_AT && i < end; i++) {
        uint32_t at = (uint32_t)((from % end + i * step) % end);
        const struct offer_record *record = state_at(state, POOL_OFFERS, at);
        if (key_is_none(record->head.key) || !holds_nothing(record) || key_equal(record->customer, owner))
            continue;
        metric_add(METRIC_offer_times_dropped_total, 1);
        offer_delete(worker, partition, at);
        return true;
    }
    return false;
}

/* Takes away what is over, or all offers that rest on any of `kinds`; locks are owed and stay. */
static void offer_prune(struct worker *worker, struct partition *partition, uint32_t offer, unsigned kinds)
{
    struct offer_record *record = state_touch(partition->state, POOL_OFFERS, offer);
    bool was_shown = offer_is_shown(record);
    bool over = record->until_ms != 0 && record->until_ms <= worker->tick_ms;
    if (record->kind != RIALTO_OFFER_NONE && (over || (record->kinds & kinds) != 0))
        offer_clear(record);
    if (record->locked != 0 && record->lock_until_ms != 0 && record->lock_until_ms <= worker->tick_ms)
        lock_clear(partition, record);
    offer_forget(worker, record, kinds);
    int64_t time_ends_ms = offer_time_ends_ms(worker, record);
    if ((record->time_kinds & kinds) != 0 || (time_ends_ms != 0 && time_ends_ms <= worker->tick_ms))
        record->time_kinds = 0;
    offer_settle(worker, partition, offer, was_shown);
}

void apply_offer_timer(struct worker *worker, struct partition *partition, uint32_t index)
{
    const struct offer_record *record = state_at(partition->state, POOL_OFFERS, index);
    int64_t due_ms = key_is_none(record->head.key) ? 0 : offer_due_ms(worker, record);
    if (due_ms != 0 && due_ms <= worker->tick_ms)
        offer_prune(worker, partition, index, 0);
    else
        due_at_latest(partition, POOL_OFFERS, index, due_ms);
}

void offers_end(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    uint32_t customer = state_find(partition->state, POOL_CUSTOMERS, id_key(worker, signal->customer)), next;
    uint32_t offer = customer == STATE_NONE ? STATE_NONE : state_first(partition->state, POOL_OFFERS, customer);
    for (; offer != STATE_NONE; offer = next) {
        next = state_next(partition->state, POOL_OFFERS, offer);
        apply_offer_timer(worker, partition, offer);
    }
}

void offers_prune(struct worker *worker, struct partition *partition, uint32_t customer, unsigned kinds)
{
    uint32_t next;
    for (uint32_t offer = state_first(partition->state, POOL_OFFERS, customer); offer != STATE_NONE; offer = next) {
        next = state_next(partition->state, POOL_OFFERS, offer);
        offer_prune(worker, partition, offer, kinds);
    }
}

void offers_delete(struct partition *partition, uint32_t customer)
{
    uint32_t next;
    for (uint32_t offer = state_first(partition->state, POOL_OFFERS, customer); offer != STATE_NONE; offer = next) {
        const struct offer_record *record = state_at(partition->state, POOL_OFFERS, offer);
        next = state_next(partition->state, POOL_OFFERS, offer);
        locks_add(partition, record->locked != 0 ? -1 : 0);
        state_delete(partition->state, POOL_OFFERS, offer);
    }
}

static bool is_money(const struct signal *signal)
{
    return signal->offer_kind != WITHDRAW && signal->offer_kind != PERCENT;
}

/* The same signal again finds what was ordered meanwhile: what is used up is not given twice. Another begins anew. */
static void units_fill(struct offer_record *record, const struct signal *signal)
{
    bool some = signal_has(signal, SIGNAL_FIELD_units), again = record->units_micro != 0 && record->units_time_ms == signal->time_ms;
    record->ordered_micro = some && again ? record->ordered_micro : 0;
    record->units_micro = some ? signal->units : 0;
    record->units_time_ms = some ? signal->time_ms : 0;
}

/* One that takes the place of another which would have stood for longer: its time outlives it, lest the other come back. */
static bool cuts_short(const struct offer_record *record, const struct signal *signal)
{
    return record->kind != RIALTO_OFFER_NONE && !record->is_issued && signal->until_ms != 0 &&
           (record->until_ms == 0 || record->until_ms > signal->until_ms);
}

static void offer_fill(struct partition *partition, struct offer_record *record, const struct signal *signal, unsigned kinds)
{
    if (is_money(signal))
        record->currency = currency_find(signal->currency)->number;
    if (signal->offer_kind == LOCK) {
        int64_t until_ms = lock_end_ms(record, signal->until_ms);
        lock_clear(partition, record);
        locks_add(partition, 1);
        record->locked = signal->amount;
        record->lock_from_ms = signal->time_ms;
        record->lock_until_ms = until_ms;
        return;
    }
    if (record->time_kinds == 0 && cuts_short(record, signal))
        record->time_kinds = (uint8_t)kinds;
    record->is_issued = 0;
    units_fill(record, signal);
    record->kind = (uint8_t)signal->offer_kind; /* CHOICES_OFFER stands in the order of RIALTO_OFFER_* */
    record->value = signal->offer_kind == PERCENT ? signal->percent / 10000 : signal->amount;
    record->flags = signal->stackable ? RIALTO_OFFER_STACKABLE : 0;
    record->kinds = (uint8_t)kinds;
    record->from_ms = signal->from_ms;
    record->until_ms = signal->until_ms;
}

uint32_t offer_upsert(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal)
{
    struct rialto_key owner = id_key(worker, signal->customer);
    struct rialto_key key = key_pair(owner, id_key(worker, signal->sku));
    uint32_t offer = state_find(partition->state, POOL_OFFERS, key);
    if (offer != STATE_NONE)
        return offer;
    if (state_used(partition->state, POOL_OFFERS) == state_capacity(partition->state, POOL_OFFERS))
        (void)offer_gives_way(worker, partition, owner, key.lo);
    offer = room_insert(partition->state, POOL_OFFERS, key);
    if (offer == STATE_NONE)
        return STATE_NONE;
    struct offer_record *record = state_touch(partition->state, POOL_OFFERS, offer);
    record->customer = owner;
    memcpy(record->sku, signal->sku, sizeof record->sku);
    customer_touch(partition, customer)->offer_count++;
    state_join(partition->state, POOL_OFFERS, offer, customer);
    return offer;
}

/* Orders use up an offer of so many units, from when it was given and holds. What was paid is not looked at: the customer's owner knows no
 * products. */
static bool is_used_by(const struct offer_record *record, const struct signal *signal)
{
    return signal->event == DEMAND_ORDER && record->units_micro != 0 && offer_gives(record) &&
           signal->time_ms >= record->units_time_ms && signal->time_ms >= record->from_ms &&
           (record->until_ms == 0 || signal->time_ms < record->until_ms);
}

static void units_use(struct offer_record *record, const struct signal *signal)
{
    int64_t left = record->units_micro - record->ordered_micro;
    int64_t quantity = signal_has(signal, SIGNAL_FIELD_quantity) ? signal->quantity : MICRO;
    record->ordered_micro += quantity < left ? quantity : left;
    metric_add(METRIC_offers_used_up_total, quantity >= left ? 1 : 0);
}

void offer_meets(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal)
{
    const struct customer_record *who = state_at(partition->state, POOL_CUSTOMERS, customer);
    if (who->offer_count == 0)
        return;
    uint32_t offer = state_find(partition->state, POOL_OFFERS, key_pair(who->head.key, id_key(worker, signal->sku)));
    if (offer == STATE_NONE)
        return;
    const struct offer_record *known = state_at(partition->state, POOL_OFFERS, offer);
    bool spoken_against = known->is_issued && known->issued_unless == signal->event + 1;
    if (!spoken_against && !is_used_by(known, signal))
        return;
    bool was_shown = offer_is_shown(known);
    struct offer_record *record = state_touch(partition->state, POOL_OFFERS, offer);
    if (spoken_against)
        offer_clear(record);
    else
        units_use(record, signal);
    offer_settle(worker, partition, offer, was_shown);
}

/* What must be permitted: who does not let orders be known would never use it up. */
static unsigned kinds_of(const struct signal *signal)
{
    unsigned basis = signal_has(signal, SIGNAL_FIELD_basis) ? 1u << signal->basis : RIALTO_KIND_PROFILE;
    return basis | (signal_has(signal, SIGNAL_FIELD_units) ? RIALTO_KIND_PURCHASES : 0);
}

/* What is remembered of an offer that is taken back rests on what the offer rested on. One that has not come yet would rest on the basis that is
 * said, or else on something that is permitted: 0 = on nothing, and it cannot come. */
static unsigned withdrawn_kinds(const struct partition *partition, uint32_t customer, const struct offer_record *known,
                                const struct signal *signal)
{
    if (known != NULL && known->kinds != 0)
        return known->kinds;
    if (customer == STATE_NONE)
        return 0;
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    unsigned consent = record->consent & CUSTOMER_KINDS, kinds = kinds_of(signal) & consent;
    return kinds != 0 ? kinds : consent;
}

/* What takes away need not wait for the time of a clock that was ahead. A lock is owed, whatever was offered or taken back since: it is late behind
 * another of the shop's alone, and an offer is not late behind a lock. */
static bool is_late(const struct worker *worker, const struct offer_record *record, const struct signal *signal)
{
    if (signal->offer_kind == WITHDRAW)
        return is_newer(worker, record->time_ms, signal->time_ms);
    if (signal->offer_kind == LOCK)
        return record->locked != 0 && record->lock_request == 0 && record->lock_from_ms > signal->time_ms;
    return record->time_ms > signal->time_ms;
}

/* A withdrawal comes behind what it takes away: of a clock that is ahead, the same offer again is the older one. */
static void time_move(struct offer_record *record, const struct signal *signal)
{
    if (signal->offer_kind == LOCK)
        return;
    if (record->time_ms <= signal->time_ms)
        record->time_ms = signal->time_ms;
    else if (signal->offer_kind == WITHDRAW && record->kind != RIALTO_OFFER_NONE)
        record->time_ms++;
}

enum signal_reason apply_offer(struct worker *worker, struct partition *partition, uint32_t customer,
                               const struct signal *signal)
{
    unsigned kinds = kinds_of(signal);
    bool lock = signal->offer_kind == LOCK, withdraw = signal->offer_kind == WITHDRAW;
    if (!lock && !withdraw && !customer_permits_all(partition, customer, kinds))
        return REASON_no_consent;
    if (signal->until_ms != 0 && signal->until_ms <= worker->tick_ms)
        return REASON_superseded;
    struct rialto_key key = key_pair(id_key(worker, signal->customer), id_key(worker, signal->sku));
    uint32_t offer = state_find(partition->state, POOL_OFFERS, key);
    const struct offer_record *known = offer == STATE_NONE ? NULL : state_at(partition->state, POOL_OFFERS, offer);
    unsigned withdrawn = withdraw ? withdrawn_kinds(partition, customer, known, signal) : 0;
    if (withdraw && known == NULL && (withdrawn == 0 || !times_have_room(partition, 1)))
        return REASON_superseded;
    if (lock && !lock_has_room(worker, partition, offer))
        return REASON_locks_full;
    if (known != NULL && is_money(signal) && currency_is_taken(worker, known, lock, currency_find(signal->currency)->number))
        return REASON_other_currency;
    if (lock && known != NULL && lock_is_better(known, signal->amount))
        return REASON_superseded;
    if (customer == STATE_NONE)
        customer = customer_insert(worker, partition, signal->customer);
    if (customer != STATE_NONE && offer == STATE_NONE)
        offer = offer_upsert(worker, partition, customer, signal);
    if (offer == STATE_NONE) {
        if (customer != STATE_NONE)
            customer_drop_if_empty(worker, partition, customer);
        return REASON_table_full;
    }
    struct offer_record *record = state_touch(partition->state, POOL_OFFERS, offer);
    if (is_late(worker, record, signal))
        return REASON_superseded;
    bool was_shown = offer_is_shown(record);
    time_move(record, signal);
    if (withdraw) {
        record->time_kinds = record->time_kinds != 0 ? record->time_kinds : (uint8_t)withdrawn;
        offer_clear(record);
    } else {
        offer_fill(partition, record, signal, kinds);
    }
    offer_settle(worker, partition, offer, was_shown);
    return REASON_none;
}

