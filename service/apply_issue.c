/* apply_issue.c - offers that models make by themselves: what leads to one is counted, and one is made, at the customer's owner alone.
 *
 *   demand of a customer who permits it, with what the product costs and who prices it (from the gateway, in the record)
 *     --> times of views, carts, orders of this customer and product        in the offer's record, as long as a rule may look at them
 *     --> a rule of the model has what it asks for, nothing stands against it --> its budget --> the offer
 *
 * Invariant  an event is counted only where a rule in force looks at it and the customer permits all that the rule rests on: who permits
 *            less leads to nothing, and leaves nothing.
 * Bounds     OFFER_PRODUCTS_MAX products of a customer, OFFER_TIMES_MAX times of each kind of event, half of the room for offers.
 * Budget     each partition may give away its share, a 64th: exact without asking anybody, and never more than the whole.
 * Time       windows, distances and ends are of event time; cooldowns and budgets of the tick. Nothing else is looked at, so that a batch
 *            that comes again after a death decides the same.
 * Not here   what shops give by signals (apply_offer.c), how the event got its price (gateway_offer.c). */
#include "pricing/money.h"
#include "service/apply_customer.h"
#include "service/log.h"
#include "service/metrics.h"

#include <stdio.h>

#define LOOKED_AT_MAX 256u /* offers of a customer; who has more by the shop's signals gets none of models */

struct hearing { /* of one event */
    struct worker *worker;
    struct partition *partition;
    uint32_t customer;
    const struct signal *signal;
    struct wire_priced priced;
    const struct model *model;
    unsigned consent;
    uint32_t time_s, tick_s; /* Unix time */
    uint32_t keep_s;         /* longest window of the rules that apply; 0 = none looks at the event */
    uint32_t apart_s;        /* shortest distance */
};

static int slot_of(unsigned event)
{
    return event == DEMAND_VIEW ? 0 : event == DEMAND_CART ? 1 : event == DEMAND_ORDER ? 2 : -1;
}

static unsigned kind_of_slot(unsigned slot)
{
    return slot == 2 ? RIALTO_KIND_PURCHASES : RIALTO_KIND_BEHAVIOUR;
}

static struct rialto_key rule_key(const struct worker *worker, const char *model, const char *offer)
{
    char text[RIALTO_NAME_MAX + OFFER_NAME_MAX + 1];
    int bytes = snprintf(text, sizeof text, "%s\n%s", model, offer);
    return key_of_id(worker->control->secret, text, (size_t)bytes);
}

/* ---- what is remembered ------------------------------------------------------------------------------------------ */

static void events_forget(struct offer_record *record)
{
    memset(record->event_s, 0, sizeof record->event_s);
    memset(record->last_s, 0, sizeof record->last_s);
    record->events_until_s = 0;
}

static void issue_forget(struct offer_record *record)
{
    record->issued_s = record->cooldown_until_s = 0;
    record->issued_kinds = record->issued_unless = 0;
    record->issued_rule = 0;
    memset(record->issued_model, 0, sizeof record->issued_model);
    memset(record->issued_version, 0, sizeof record->issued_version);
    memset(record->issued_name, 0, sizeof record->issued_name);
}

void offer_forget(const struct worker *worker, struct offer_record *record, unsigned kinds)
{
    int64_t tick_s = worker->tick_ms / 1000;
    bool any = false;
    for (unsigned slot = 0; slot < OFFER_EVENTS; slot++) {
        if (kind_of_slot(slot) & kinds) {
            memset(record->event_s[slot], 0, sizeof record->event_s[slot]);
            record->last_s[slot] = 0;
        }
        any = any || record->last_s[slot] != 0;
    }
    if (!any || record->events_until_s <= tick_s)
        events_forget(record);
    if (record->cooldown_until_s <= tick_s || (record->issued_kinds & kinds) != 0)
        issue_forget(record);
}

/* The newest first. What lies closer to another than every rule asks for counts with it. */
static void time_add(uint32_t times[OFFER_TIMES_MAX], uint32_t time_s, uint32_t apart_s)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < OFFER_TIMES_MAX && times[i] != 0; i++) {
        uint32_t distance_s = times[i] > time_s ? times[i] - time_s : time_s - times[i];
        if (distance_s < apart_s)
            return;
        at += times[i] > time_s;
    }
    if (at == OFFER_TIMES_MAX)
        return;
    memmove(&times[at + 1], &times[at], (OFFER_TIMES_MAX - 1 - at) * sizeof times[0]);
    times[at] = time_s;
}

/* What no rule can look at any more goes. */
static void times_prune(struct offer_record *record, uint32_t before_s)
{
    for (unsigned slot = 0; slot < OFFER_EVENTS; slot++) {
        for (uint32_t i = 0; i < OFFER_TIMES_MAX; i++)
            if (record->event_s[slot][i] <= before_s)
                record->event_s[slot][i] = 0;
        if (record->last_s[slot] <= before_s)
            record->last_s[slot] = 0;
    }
}

static bool remembers(const struct offer_record *record)
{
    return record->events_until_s != 0 || record->cooldown_until_s != 0;
}

/* Of two, which is given up first? What would be forgotten first; the key decides between equals, for every order of the list. */
static bool is_sooner(const struct offer_record *a, const struct offer_record *b)
{
    if (a->events_until_s != b->events_until_s)
        return a->events_until_s < b->events_until_s;
    return a->head.key.lo < b->head.key.lo;
}

/* Of the products that are remembered the one to give up for another: none that there was an offer for lately. */
static uint32_t least_of(const struct hearing *h, uint32_t *ret_count)
{
    const struct state *state = h->partition->state;
    uint32_t least = STATE_NONE;
    *ret_count = 0;
    for (uint32_t i = state_first(state, POOL_OFFERS, h->customer); i != STATE_NONE;
         i = state_next(state, POOL_OFFERS, i)) {
        const struct offer_record *record = state_at(state, POOL_OFFERS, i);
        *ret_count += remembers(record);
        if (record->events_until_s != 0 && record->cooldown_until_s == 0 &&
            (least == STATE_NONE || is_sooner(record, state_at(state, POOL_OFFERS, least))))
            least = i;
    }
    return least;
}

/* One more product may be remembered of this customer, perhaps in place of another. */
static bool make_room(const struct hearing *h)
{
    struct state *state = h->partition->state;
    const struct customer_record *customer = state_at(state, POOL_CUSTOMERS, h->customer);
    uint32_t used = state_used(state, POOL_OFFERS), half = state_capacity(state, POOL_OFFERS) / 2;
    if (customer->offer_count > LOOKED_AT_MAX || used > half ||
        (used == half && !offer_gives_way(h->worker, h->partition, customer->head.key, customer->head.key.lo)))
        return false;
    uint32_t count, least = least_of(h, &count);
    if (count < OFFER_PRODUCTS_MAX)
        return true;
    struct offer_record *record = least != STATE_NONE ? state_touch(state, POOL_OFFERS, least) : NULL;
    if (record == NULL || record->events_until_s > h->time_s + h->keep_s)
        return false;
    events_forget(record);
    offer_settle(h->worker, h->partition, least, offer_is_shown(record));
    metric_add(METRIC_offer_events_dropped_total, 1);
    return true;
}

/* The record of this customer and product; STATE_NONE: there is no room for one. */
static uint32_t record_get(const struct hearing *h)
{
    struct rialto_key owner = id_key(h->worker, h->signal->customer);
    struct rialto_key key = key_pair(owner, id_key(h->worker, h->signal->sku));
    uint32_t offer = state_find(h->partition->state, POOL_OFFERS, key);
    if (offer != STATE_NONE && remembers(state_at(h->partition->state, POOL_OFFERS, offer)))
        return offer;
    bool room = make_room(h);
    if (room)
        offer = offer_upsert(h->worker, h->partition, h->customer, h->signal);
    if (!room || offer == STATE_NONE)
        metric_add(METRIC_offer_events_dropped_total, 1);
    return room ? offer : STATE_NONE;
}

/* ---- budgets ------------------------------------------------------------------------------------------------------ */

static bool is_in_force(const struct worker *worker, struct rialto_key rule)
{
    for (uint32_t m = 0; m < worker->models->count; m++)
        for (uint32_t i = 0; i < worker->models->model[m].offer_count; i++)
            if (key_equal(rule,
                          rule_key(worker, worker->models->model[m].name, worker->models->model[m].offer[i].name)))
                return true;
    return false;
}

/* Rules in force are half as many as there is room for. */
static uint32_t budget_get(const struct worker *worker, struct state *state, struct rialto_key rule)
{
    uint32_t at = state_find(state, POOL_BUDGETS, rule);
    if (at != STATE_NONE)
        return at;
    for (uint32_t i = 0;
         state_used(state, POOL_BUDGETS) == state_capacity(state, POOL_BUDGETS) && i < state_end(state, POOL_BUDGETS);
         i++)
        if (!is_in_force(worker, ((const struct budget_record *)state_at(state, POOL_BUDGETS, i))->head.key))
            state_delete(state, POOL_BUDGETS, i);
    return room_insert(state, POOL_BUDGETS, rule);
}

/* Counted each time, and said once for each rule and window. */
static void budget_refused(const struct hearing *h, const struct model_offer *rule, uint64_t key, int64_t window_ms)
{
    static struct {
        uint64_t key;
        int64_t window_ms;
    } told[OFFERS_MAX];
    metric_add(METRIC_offers_over_budget_total, 1);
    uint32_t at = 0;
    while (at < OFFERS_MAX - 1 && told[at].key != 0 && told[at].key != key)
        at++;
    if (told[at].key == key && told[at].window_ms == window_ms)
        return;
    told[at].key = key;
    told[at].window_ms = window_ms;
    log_line(LOG_WARNING, "OFFER-BUDGET",
             "model=%s offer=%s partition=%u: its share of the budget is used up until the next window", h->model->name,
             rule->name, h->partition->number);
}

struct share { /* of a partition, in the window that runs */
    int64_t window_ms, offers_most, amount_most, offers, amount;
};

/* `at`: the record of what was given, or STATE_NONE. */
static struct share share_now(const struct worker *worker, const struct partition *partition,
                              const struct model_offer *rule, uint32_t at)
{
    int64_t per_ms = (int64_t)rule->budget_per_s * 1000, window = worker->tick_ms / per_ms;
    const struct budget_record *known = at == STATE_NONE ? NULL : state_at(partition->state, POOL_BUDGETS, at);
    bool same = known != NULL && known->window_ms == window * per_ms;
    return (struct share){
        .window_ms = window * per_ms,
        .offers_most = model_offer_share(rule->budget_offers, partition->number, RIALTO_PARTITIONS, window),
        .amount_most = model_offer_share(rule->budget_amount, partition->number, RIALTO_PARTITIONS, window),
        .offers = same ? known->offers : 0,
        .amount = same ? known->amount : 0,
    };
}

/* False: nothing is left of this partition's share. */
static bool budget_take(const struct hearing *h, const struct model_offer *rule, struct rialto_key key, int64_t worth)
{
    uint32_t at = budget_get(h->worker, h->partition->state, key);
    if (at == STATE_NONE)
        return false;
    struct share share = share_now(h->worker, h->partition, rule, at);
    if (share.offers >= share.offers_most || (rule->budget_amount != 0 && share.amount + worth > share.amount_most)) {
        budget_refused(h, rule, key.lo, share.window_ms);
        return false;
    }
    struct budget_record *record = state_touch(h->partition->state, POOL_BUDGETS, at);
    record->window_ms = share.window_ms;
    record->offers = (uint32_t)share.offers + 1;
    record->amount = clamp_i64(share.amount + worth, 0, RIALTO_BOUND_MAX); /* both at most 2^48 */
    return true;
}

/* Other numbers of a budget hold from the next offer on: more may be given away than they allow. */
void budget_look(const struct worker *worker, const struct model *model, const struct model_offer *rule,
                 struct budget_look *ret)
{
    struct rialto_key key = rule_key(worker, model->name, rule->name);
    *ret = (struct budget_look){ 0 };
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        const struct partition *partition = &worker->partition[p];
        struct share share = share_now(worker, partition, rule, state_find(partition->state, POOL_BUDGETS, key));
        int64_t offers_left = share.offers < share.offers_most ? share.offers_most - share.offers : 0;
        int64_t amount_left = share.amount < share.amount_most ? share.amount_most - share.amount : 0;
        ret->offers_given += share.offers;
        ret->offers_left += offers_left;
        ret->amount_given += rule->budget_amount != 0 ? share.amount : 0;
        ret->amount_left += amount_left;
        ret->partitions++;
        ret->used_up += offers_left == 0 || (rule->budget_amount != 0 && amount_left == 0);
        ret->from_ms = share.window_ms;
    }
    ret->until_ms = ret->from_ms + (int64_t)rule->budget_per_s * 1000;
}

/* ---- rules -------------------------------------------------------------------------------------------------------- */

static bool applies(const struct hearing *h, const struct model_offer *rule)
{
    bool permitted = (rule->kinds & h->consent) == rule->kinds && (rule->kinds & h->priced.forbidden) == 0;
    return permitted && (rule->currency_number == 0 || rule->currency_number == h->priced.currency);
}

/* How long the event is of use to anybody. */
static void windows_find(struct hearing *h)
{
    bool heard = false;
    h->apart_s = UINT32_MAX;
    for (uint32_t i = 0; i < h->model->offer_count; i++) {
        const struct model_offer *rule = &h->model->offer[i];
        if (!applies(h, rule))
            continue;
        heard = heard || rule->event == h->signal->event || (rule->has_unless && rule->unless == h->signal->event);
        h->keep_s = rule->within_s > h->keep_s ? rule->within_s : h->keep_s;
        if (rule->event == h->signal->event && rule->apart_s < h->apart_s)
            h->apart_s = rule->apart_s;
    }
    if (h->apart_s == UINT32_MAX)
        h->apart_s = 0; /* only an `unless` */
    if (!heard || h->time_s + h->keep_s <= h->tick_s)
        h->keep_s = 0;
}

/* So many events, so far apart, in the window that ends with the newest, and none of those that speak against it. */
static bool is_triggered(const struct hearing *h, const struct model_offer *rule, const struct offer_record *record)
{
    const uint32_t *times = record->event_s[slot_of(rule->event)];
    uint32_t newest_s = times[0], last_s = newest_s, count = 1;
    if (newest_s == 0 || newest_s + rule->within_s <= h->tick_s)
        return false;
    for (uint32_t i = 1; i < OFFER_TIMES_MAX && times[i] != 0 && times[i] + rule->within_s > newest_s; i++) {
        if (last_s - times[i] < rule->apart_s)
            continue;
        last_s = times[i];
        count++;
    }
    uint32_t against_s = rule->has_unless ? record->last_s[slot_of(rule->unless)] : 0;
    return count >= rule->times && (against_s == 0 || against_s + rule->within_s <= newest_s);
}

static bool customer_has_room(const struct hearing *h, const struct model_offer *rule, uint64_t key)
{
    const struct state *state = h->partition->state;
    uint32_t count = 0, steps = 0;
    for (uint32_t i = state_first(state, POOL_OFFERS, h->customer); i != STATE_NONE && steps <= LOOKED_AT_MAX;
         i = state_next(state, POOL_OFFERS, i), steps++) {
        const struct offer_record *record = state_at(state, POOL_OFFERS, i);
        count += record->issued_rule == key && record->issued_s + rule->customer_per_s > h->tick_s;
    }
    return count < rule->customer_offers && steps <= LOOKED_AT_MAX;
}

static void offer_make(const struct hearing *h, const struct model_offer *rule, uint64_t key,
                       struct offer_record *record)
{
    if (rule->kind != RIALTO_OFFER_PERCENT)
        record->currency = h->priced.currency;
    record->kind = rule->kind;
    record->value = rule->value;
    record->flags = rule->stackable ? RIALTO_OFFER_STACKABLE : 0;
    record->kinds = record->issued_kinds = rule->kinds;
    record->from_ms = 0;
    record->until_ms = h->signal->time_ms + (int64_t)rule->valid_s * 1000;
    record->is_issued = 1;
    record->issued_s = h->tick_s;
    record->cooldown_until_s = h->tick_s + rule->cooldown_s;
    if ((int64_t)record->cooldown_until_s * 1000 < record->until_ms) /* an event a moment ahead */
        record->cooldown_until_s = (uint32_t)((record->until_ms + 999) / 1000);
    record->issued_unless = rule->has_unless ? (uint8_t)(rule->unless + 1u) : 0;
    record->issued_rule = key;
    memcpy(record->issued_model, h->model->name, sizeof record->issued_model);
    memcpy(record->issued_version, h->model->version, sizeof record->issued_version);
    memcpy(record->issued_name, rule->name, sizeof record->issued_name);
    events_forget(record); /* used up */
    metric_add(METRIC_offers_issued_total, 1);
}

static bool other_currency(const struct hearing *h, const struct model_offer *rule, const struct offer_record *record)
{
    return rule->kind != RIALTO_OFFER_PERCENT && currency_is_taken(h->worker, record, false, h->priced.currency);
}

/* The first rule in the order of the file that has what it asks for, and may. */
static void offer_try(const struct hearing *h, struct offer_record *record)
{
    for (uint32_t i = 0; i < h->model->offer_count && record->kind == RIALTO_OFFER_NONE; i++) {
        const struct model_offer *rule = &h->model->offer[i];
        int64_t worth = model_offer_worth(rule, h->priced.baseline);
        if (rule->event != h->signal->event || !applies(h, rule) || !is_triggered(h, rule, record) || worth <= 0 ||
            h->time_s + rule->valid_s <= h->tick_s || other_currency(h, rule, record))
            continue;
        struct rialto_key key = rule_key(h->worker, h->model->name, rule->name);
        if (customer_has_room(h, rule, key.lo) && budget_take(h, rule, key, worth))
            offer_make(h, rule, key.lo, record);
    }
}

static void event_take(const struct hearing *h, struct offer_record *record)
{
    unsigned event = (unsigned)h->signal->event;
    if (record->cooldown_until_s > h->tick_s)
        return; /* nothing is counted in the meantime */
    int slot = slot_of(event);
    times_prune(record, h->tick_s > h->keep_s ? h->tick_s - h->keep_s : 0);
    time_add(record->event_s[slot], h->time_s, h->apart_s);
    if (record->last_s[slot] < h->time_s)
        record->last_s[slot] = h->time_s;
    if (record->events_until_s < h->time_s + h->keep_s)
        record->events_until_s = h->time_s + h->keep_s;
    offer_try(h, record);
}

static const struct model *model_named(const struct model_set *set, const char *name)
{
    for (uint32_t m = 0; m < set->count; m++)
        if (set->model[m].offer_count > 0 && strcmp(set->model[m].name, name) == 0)
            return &set->model[m];
    return NULL;
}

void offers_heed(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    struct hearing h = { .worker = worker,
                         .partition = partition,
                         .customer = customer,
                         .signal = signal,
                         .consent = record->consent,
                         .time_s = (uint32_t)(signal->time_ms / 1000),
                         .tick_s = (uint32_t)(worker->tick_ms / 1000) };
    if (!wire_priced_of(signal, &h.priced) || slot_of((unsigned)signal->event) < 0)
        return;
    h.model = model_named(worker->models, h.priced.model);
    if (h.model == NULL)
        return;
    windows_find(&h);
    uint32_t offer = h.keep_s > 0 ? record_get(&h) : STATE_NONE;
    if (offer == STATE_NONE)
        return;
    struct offer_record *changed = state_touch(partition->state, POOL_OFFERS, offer);
    bool was_shown = offer_is_shown(changed);
    event_take(&h, changed);
    offer_settle(worker, partition, offer, was_shown);
}
