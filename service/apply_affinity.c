/* apply_affinity.c - what a customer's own permitted events say of price groups (pricing/affinity.h), at the customer's owner.
 *
 * An event teaches something only if a model in effect asks for affinity, the customer permits its kind of data and did so before it
 * happened, and it names its category: which product it was is not kept, nor when, beyond an eighth of the half-life. */
#include "service/apply_customer.h"
#include "service/metrics.h"

static const uint8_t KIND[AFFINITY_PARTS] = {
    [AFFINITY_BEHAVIOUR] = RIALTO_KIND_BEHAVIOUR, [AFFINITY_PURCHASES] = RIALTO_KIND_PURCHASES
};

/* Searches and returns say too little of what somebody likes. */
static bool event_of(const struct signal *signal, enum affinity_event *ret)
{
    switch (signal->event) {
    case DEMAND_VIEW: *ret = AFFINITY_VIEW; return true;
    case DEMAND_CART: *ret = AFFINITY_CART; return true;
    case DEMAND_ORDER: *ret = AFFINITY_ORDER; return true;
    default: return false;
    }
}

/* When the consent was given that an event rests on, Unix seconds. */
static uint32_t permitted_since_s(const struct customer_record *record, enum affinity_part part)
{
    return record->note[__builtin_ctz(KIND[part])].time_s;
}

void affinity_learn(struct worker *worker, struct partition *partition, uint32_t customer, const struct signal *signal)
{
    const struct customer_record *known = state_at(partition->state, POOL_CUSTOMERS, customer);
    struct affinity_act act = { .t_ms = signal->time_ms < worker->tick_ms ? signal->time_ms : worker->tick_ms };
    uint32_t groups;
    const struct affinity_settings *settings = model_set_affinity(worker->models, worker->tick_ms, &groups);
    if (settings == NULL || signal->repeated || !event_of(signal, &act.event) ||
        act.t_ms / 1000 < permitted_since_s(known, affinity_part_of(act.event)))
        return;
    const struct model_claim claim = {
        .category = signal->category, .sku = signal->sku, .currency = signal->currency, .now_ms = worker->tick_ms
    };
    int group = signal_has(signal, SIGNAL_FIELD_category) ? model_group_of(worker->models, &claim) : -1;
    if (group < 0) {
        metric_add(METRIC_affinity_unplaced_total, 1);
        return;
    }
    act.slot = groups >> group & 1u ? (uint32_t)group : AFFINITY_ELSEWHERE;
    struct customer_record *record = customer_touch(partition, customer);
    affinity_keep(&record->affinity, groups);
    if (affinity_add(&record->affinity, settings, affinity_phase(record->id), &act))
        metric_add(METRIC_affinity_events_total, 1);
    due_at_latest(partition, POOL_CUSTOMERS, customer, affinity_due_ms(worker, record));
}

void affinity_revoke(struct customer_record *record, unsigned kinds)
{
    for (unsigned part = 0; part < AFFINITY_PARTS; part++)
        if (kinds & KIND[part])
            affinity_forget(&record->affinity, (enum affinity_part)part);
}

/* Counted from the end of the newest event's eighth: when in it the event was is not known any more. */
static int64_t end_ms(const struct worker *worker, const struct customer_record *record, unsigned part)
{
    const struct affinity_sums *sums = &record->affinity.part[part];
    return affinity_eighth_ms(sums->half_life_s, affinity_phase(record->id), sums->newest + 1) +
           (int64_t)worker->config->attribute_age_max_s * 1000;
}

int64_t affinity_due_ms(const struct worker *worker, const struct customer_record *record)
{
    int64_t due_ms = 0;
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        uint32_t half_life_s = record->affinity.part[part].half_life_s;
        if (half_life_s == 0)
            continue;
        uint16_t phase = affinity_phase(record->id);
        uint32_t now = affinity_eighth(half_life_s, phase, worker->tick_ms);
        int64_t next_ms = affinity_eighth_ms(half_life_s, phase, now + 1), over_ms = end_ms(worker, record, part);
        next_ms = over_ms < next_ms ? over_ms : next_ms;
        due_ms = due_ms == 0 || next_ms < due_ms ? next_ms : due_ms;
    }
    return due_ms;
}

void affinity_tick(const struct worker *worker, struct customer_record *record)
{
    struct affinity_counts counts;
    affinity_read(&record->affinity, affinity_phase(record->id), worker->tick_ms, &counts);
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        bool faded = affinity_share(&counts, 1u << part, 0, 1) < 0;
        if (affinity_has(&record->affinity, (enum affinity_part)part) &&
            (faded || end_ms(worker, record, part) <= worker->tick_ms))
            affinity_forget(&record->affinity, (enum affinity_part)part);
    }
}
