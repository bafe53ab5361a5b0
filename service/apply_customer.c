/* apply_customer.c - customer parts, at the customer's owner: the one place that knows what is permitted.
 *
 * Everything is off until the customer switches it on. Data of a kind that is not permitted are dropped here, before any store; what
 * rested on a kind that is switched off is gone in the same batch. */
#include "service/apply_customer.h"
#include "pricing/money.h"
#include "pricing/policy.h"
#include "service/metrics.h"

#include <string.h>

#define LEASE_DEFAULT_S 900

static unsigned permitted(const struct partition *partition, uint32_t customer, unsigned kinds)
{
    if (customer == STATE_NONE)
        return 0;
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    return record->consent & kinds;
}

bool customer_permits(const struct partition *partition, uint32_t customer, unsigned kinds)
{
    return permitted(partition, customer, kinds) != 0;
}

bool customer_permits_all(const struct partition *partition, uint32_t customer, unsigned kinds)
{
    return permitted(partition, customer, kinds) == kinds;
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

static int64_t earlier_ms(int64_t due_ms, int64_t end_ms)
{
    return end_ms != 0 && (due_ms == 0 || end_ms < due_ms) ? end_ms : due_ms;
}

/* When the first of the customer's tier, segments and spend ends; 0 = there are none. */
static int64_t attributes_end_ms(const struct customer_record *record)
{
    int64_t due_ms = earlier_ms((int64_t)record->tier_until_s * 1000, (int64_t)record->spend_until_s * 1000);
    for (uint32_t i = 0; i < record->segment_count; i++)
        due_ms = earlier_ms(due_ms, (int64_t)record->segment_until_s[i] * 1000);
    return due_ms;
}

/* Of who is nowhere: no older word of where they were is taken at the door any more, so the time of the last one is of no use. 0 = no such
 * time is kept, or the customer is somewhere. */
static int64_t zone_time_ends_ms(const struct worker *worker, const struct customer_record *record)
{
    if (record->zone_until_ms != 0 || record->zone_time_ms == 0)
        return 0;
    return record->zone_time_ms + (int64_t)worker->config->signal_age_max_s * 1000;
}

int64_t customer_due_ms(const struct worker *worker, const struct customer_record *record)
{
    int64_t due_ms = earlier_ms(record->zone_until_ms, attributes_end_ms(record));
    due_ms = earlier_ms(due_ms, zone_time_ends_ms(worker, record));
    due_ms = earlier_ms(due_ms, affinity_due_ms(worker, record));
    if (due_ms == 0 && record->consent == 0 && record->offer_count == 0)
        return customer_refusal_ends_ms(worker, record);
    return due_ms;
}

/* Signals older than signal_age_max_s are refused at the door: of what is older nothing need be known any longer. */
int64_t offer_time_ends_ms(const struct worker *worker, const struct offer_record *record)
{
    if (record->kind != RIALTO_OFFER_NONE || record->time_kinds == 0)
        return 0;
    return record->time_ms + (int64_t)worker->config->signal_age_max_s * 1000;
}

int64_t offer_due_ms(const struct worker *worker, const struct offer_record *record)
{
    int64_t due_ms = record->kind == RIALTO_OFFER_NONE ? 0 : record->until_ms;
    due_ms = earlier_ms(due_ms, offer_time_ends_ms(worker, record));
    due_ms = earlier_ms(due_ms, record->locked == 0 ? 0 : record->lock_until_ms);
    due_ms = earlier_ms(due_ms, (int64_t)record->events_until_s * 1000);
    return earlier_ms(due_ms, (int64_t)record->cooldown_until_s * 1000);
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
    record->spend_party = 0;
}

static void purchases_forget(struct customer_record *record)
{
    spend_forget(record);
    record->spend_until_s = 0;
    record->month = 0;
    record->month_currency = 0;
    memset(record->month_spend, 0, sizeof record->month_spend);
}

static void tier_forget(struct customer_record *record)
{
    memset(record->tier, 0, sizeof record->tier);
    record->tier_until_s = 0;
    record->tier_party = 0;
}

/* Takes one out of the list; the others keep their order. */
static void segment_forget(struct customer_record *record, uint32_t at)
{
    uint32_t last = --record->segment_count;
    for (uint32_t i = at; i < last; i++) {
        memcpy(record->segment[i], record->segment[i + 1], sizeof record->segment[i]);
        record->segment_until_s[i] = record->segment_until_s[i + 1];
        record->segment_party[i] = record->segment_party[i + 1];
    }
    memset(record->segment[last], 0, sizeof record->segment[last]);
    record->segment_until_s[last] = 0;
    record->segment_party[last] = 0;
}

static void profile_forget(struct customer_record *record)
{
    tier_forget(record);
    while (record->segment_count > 0)
        segment_forget(record, record->segment_count - 1u);
}

/* What others said. */
static void others_forget(struct customer_record *record)
{
    if (party_is_other(record->tier_party))
        tier_forget(record);
    if (party_is_other(record->spend_party))
        spend_forget(record);
    for (uint32_t i = record->segment_count; i-- > 0;)
        if (party_is_other(record->segment_party[i]))
            segment_forget(record, i);
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
        purchases_forget(record);
    if (kinds & RIALTO_KIND_PROFILE)
        profile_forget(record);
    affinity_revoke(record, kinds);
    if (kinds & RIALTO_KIND_PARTNER)
        others_forget(record);
    if (kinds & (RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES))
        publisher_forget(worker->publisher, record->id);
    past_wipe(worker->past, record->head.key);
    worker->erased = true;
}

/* Whoever's word it is: others' needs consent to partner data, too. */
static bool may_keep(const struct customer_record *record, unsigned kind, unsigned party)
{
    unsigned kinds = kind | (party_is_other(party) ? RIALTO_KIND_PARTNER : 0);
    return (record->consent & kinds) == kinds;
}

/* When a datum of this signal ends: as it says (0 = it does not), at the latest when it is too old to count. Unix time. */
static uint32_t attribute_until_s(const struct worker *worker, const struct signal *signal, int64_t until_ms)
{
    int64_t latest_ms = signal->time_ms + (int64_t)worker->config->attribute_age_max_s * 1000;
    int64_t end_s = (until_ms == 0 || latest_ms < until_ms ? latest_ms : until_ms) / 1000;
    return end_s < UINT32_MAX ? (uint32_t)end_s : UINT32_MAX;
}

static bool is_over(const struct worker *worker, uint32_t until_s)
{
    return (int64_t)until_s * 1000 <= worker->tick_ms;
}

/* What no model may name without a policy in force that permits it is of use to nobody. */
static bool may_be_named(const struct worker *worker, const char *word)
{
    int attribute = policy_sensitive(word);
    return attribute < 0 || policies_permit(&worker->models->policies, attribute);
}

/* The list is the word of the signal's party: without consent to that it replaces nothing. Each in it may be somebody else's. */
static enum signal_reason segments_set(const struct worker *worker, struct customer_record *record,
                                       const struct signal *signal, unsigned party)
{
    enum signal_reason reason = REASON_none;
    if (!may_keep(record, RIALTO_KIND_PROFILE, party))
        return REASON_no_consent;
    while (record->segment_count > 0)
        segment_forget(record, record->segment_count - 1u);
    for (uint32_t i = 0; i < signal->segments.count; i++) {
        unsigned own = signal->segments.party[i] == 0 ? party : signal->segments.party[i] - 1u;
        uint32_t until_s = attribute_until_s(worker, signal, signal->segments.until_ms[i]);
        if (!may_keep(record, RIALTO_KIND_PROFILE, own)) {
            reason = REASON_no_consent;
        } else if (!may_be_named(worker, signal->segments.word[i])) {
            reason = REASON_sensitive_attribute;
        } else if (!is_over(worker, until_s)) {
            uint32_t at = record->segment_count++;
            memcpy(record->segment[at], signal->segments.word[i], strlen(signal->segments.word[i]) + 1);
            record->segment_until_s[at] = until_s;
            record->segment_party[at] = (uint8_t)own;
        }
    }
    return reason;
}

static enum signal_reason tier_set(const struct worker *worker, struct customer_record *record,
                                   const struct signal *signal, unsigned party)
{
    if (!may_keep(record, RIALTO_KIND_PROFILE, party))
        return REASON_no_consent;
    if (!may_be_named(worker, signal->tier))
        return REASON_sensitive_attribute;
    uint32_t until_s = attribute_until_s(worker, signal, signal->tier_until_ms);
    tier_forget(record);
    if (signal->tier[0] == '\0' || is_over(worker, until_s))
        return REASON_none;
    memcpy(record->tier, signal->tier, strlen(signal->tier) + 1);
    record->tier_until_s = until_s;
    record->tier_party = (uint8_t)party;
    return REASON_none;
}

/* What was spent counts for so long after it was last heard of. False: that was too long ago. */
static bool spend_lives(const struct worker *worker, struct customer_record *record, const struct signal *signal)
{
    uint32_t until_s = attribute_until_s(worker, signal, 0);
    if (is_over(worker, until_s))
        return false;
    if (record->spend_until_s < until_s)
        record->spend_until_s = until_s;
    return true;
}

/* What the shop says was spent in all replaces what was known; months are counted from purchases alone. */
static enum signal_reason spend_set(const struct worker *worker, struct customer_record *record,
                                    const struct signal *signal, unsigned party)
{
    if (!may_keep(record, RIALTO_KIND_PURCHASES, party))
        return REASON_no_consent;
    if (!spend_lives(worker, record, signal))
        return REASON_none;
    record->spend = signal->spend;
    record->spend_currency = currency_find(signal->currency)->number;
    record->spend_party = (uint8_t)party;
    return REASON_none;
}

static enum signal_reason attributes_set(const struct worker *worker, struct customer_record *record,
                                         const struct signal *signal)
{
    enum signal_reason reason = REASON_none, each;
    unsigned party = signal_has(signal, SIGNAL_FIELD_party) ? (unsigned)signal->party : PARTY_FIRST;
    if (signal_has(signal, SIGNAL_FIELD_tier) && (each = tier_set(worker, record, signal, party)) != REASON_none)
        reason = each;
    if (signal_has(signal, SIGNAL_FIELD_segments) &&
        (each = segments_set(worker, record, signal, party)) != REASON_none)
        reason = each;
    if (signal_has(signal, SIGNAL_FIELD_spend) && (each = spend_set(worker, record, signal, party)) != REASON_none)
        reason = each;
    return reason;
}

/* Who said what about each of these kinds, when, and on which wording. Who opted out of everything leaves nothing of it. */
static void notes_set(struct customer_record *record, const struct signal *signal, unsigned kinds)
{
    if (record->consent & CUSTOMER_OPTED_OUT) {
        memset(record->note, 0, sizeof record->note);
        return;
    }
    for (unsigned kind = 0; kind < CONSENT_KINDS; kind++) {
        const struct consent_note *said = &signal->consent.note[kind];
        struct customer_consent *note = &record->note[kind];
        if ((kinds & 1u << kind) == 0)
            continue;
        memset(note, 0, sizeof *note);
        note->time_s = (uint32_t)((said->time_ms != 0 ? said->time_ms : signal->time_ms) / 1000);
        memcpy(note->source, said->source, strlen(said->source) + 1);
        memcpy(note->text, said->text, strlen(said->text) + 1);
    }
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

/* These kinds end, and all that rests on them; the record may go with them. */
static void consent_ends(struct worker *worker, struct partition *partition, uint32_t customer, unsigned kinds)
{
    revoke(worker, state_at(partition->state, POOL_CUSTOMERS, customer), kinds);
    offers_prune(worker, partition, customer, kinds);
}

/* Did what is known happen after this? A time that is still to come was said by a clock that is ahead, by signal_future_max_s at most. */
bool is_newer(const struct worker *worker, int64_t known_ms, int64_t time_ms)
{
    if (known_ms > worker->tick_ms)
        known_ms -= (int64_t)worker->config->signal_future_max_s * 1000;
    return known_ms > time_ms;
}

/* A customer signal that is older than another one of this customer, which may have been about something else, or of a clock that is ahead:
 * what it takes away is taken away all the same, but for kinds that were granted after it. Nothing else of it counts. */
static enum signal_reason revoke_late(struct worker *worker, struct partition *partition, uint32_t customer,
                                      const struct signal *signal)
{
    struct customer_record *record = customer_touch(partition, customer);
    unsigned unwanted = opts_out(signal) ? CUSTOMER_KINDS : signal->consent.given & ~signal->consent.granted, kinds = 0;
    for (unsigned kind = 0; kind < CONSENT_KINDS; kind++)
        if ((record->consent & unwanted & 1u << kind) != 0 &&
            !is_newer(worker, (int64_t)record->note[kind].time_s * 1000, signal->time_ms))
            kinds |= 1u << kind;
    bool out = opts_out(signal) && (record->consent & ~kinds) == 0 &&
               (kinds != 0 || !is_newer(worker, record->consent_time_ms, signal->time_ms));
    if (kinds == 0 && !out)
        return REASON_superseded;
    record->consent |= out ? CUSTOMER_OPTED_OUT : 0;
    notes_set(record, signal, kinds);
    if (kinds != 0)
        consent_ends(worker, partition, customer, kinds);
    if (!key_is_none(record->head.key)) {
        due_at_latest(partition, POOL_CUSTOMERS, customer, zone_time_ends_ms(worker, record));
        customer_drop_if_empty(worker, partition, customer);
    }
    bool more = signal->consent.granted != 0 || signal_has(signal, SIGNAL_FIELD_tier) ||
                signal_has(signal, SIGNAL_FIELD_segments) || signal_has(signal, SIGNAL_FIELD_spend);
    return more ? REASON_superseded : REASON_none;
}

/* What only takes away finds nothing to take from somebody who is not known. That it is not remembered, so that a consent would count, its
 * sender cannot guess from a word that a consent is refused with, too. */
static enum signal_reason no_room_reason(const struct signal *signal)
{
    return opts_out(signal) || signal->consent.granted == 0 ? REASON_refusal_not_kept : REASON_table_full;
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
            return no_room_reason(signal);
    }
    struct customer_record *record = customer_touch(partition, customer);
    if (record->consent_time_ms > signal->time_ms)
        return revoke_late(worker, partition, customer, signal);
    record->consent_time_ms = signal->time_ms;
    unsigned granted = opt_out_set(record, signal);
    unsigned given = record->consent & CUSTOMER_OPTED_OUT ? CUSTOMER_KINDS : signal->consent.given;
    unsigned revoked = record->consent & given & ~granted;
    record->consent |= (uint8_t)granted;
    notes_set(record, signal, signal->consent.given);
    enum signal_reason reason = granted != signal->consent.granted ? REASON_opted_out : REASON_none;
    if (revoked != 0)
        consent_ends(worker, partition, customer, revoked);
    if (key_is_none(record->head.key)) /* it went with its last offer */
        return reason;
    enum signal_reason data = attributes_set(worker, record, signal);
    due_at_latest(partition, POOL_CUSTOMERS, customer, attributes_end_ms(record));
    due_at_latest(partition, POOL_CUSTOMERS, customer, zone_time_ends_ms(worker, record));
    customer_drop_if_empty(worker, partition, customer);
    return reason == REASON_none ? data : reason;
}

static void erasure_fill(const struct partition *partition, uint32_t customer, struct erasure *note)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    note->record = true;
    note->consent = record->consent;
    note->tier = record->tier[0] != '\0';
    note->spend = record->spend_currency != 0 || record->month_currency != 0;
    note->zone = record->zone_until_ms != 0;
    note->segments = record->segment_count;
    note->affinity = !affinity_is_none(&record->affinity);
    for (unsigned kind = 0; kind < CONSENT_KINDS; kind++)
        note->consents += record->note[kind].time_s != 0;
    for (uint32_t i = state_first(partition->state, POOL_OFFERS, customer); i != STATE_NONE;
         i = state_next(partition->state, POOL_OFFERS, i)) {
        const struct offer_record *offer = state_at(partition->state, POOL_OFFERS, i);
        note->offers += offer->kind != RIALTO_OFFER_NONE;
        note->locks += offer->locked != 0;
        note->offer_events += offer->events_until_s != 0 || offer->cooldown_until_s != 0;
        note->offer_times += offer->time_kinds != 0;
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
    bool late = left ? is_newer(worker, known->zone_time_ms, signal->time_ms) : known->zone_time_ms > signal->time_ms;
    if (late || elsewhere || (!left && until_ms <= worker->tick_ms))
        return REASON_superseded;
    struct customer_record *record = customer_touch(partition, customer);
    zone_forget(record);
    if (record->zone_time_ms < signal->time_ms) /* it may be said to have left before it was said to have come */
        record->zone_time_ms = signal->time_ms;
    if (left) {
        due_at_latest(partition, POOL_CUSTOMERS, customer, zone_time_ends_ms(worker, record));
        return REASON_none;
    }
    memcpy(record->zone, signal->zone, sizeof record->zone);
    record->zone_until_ms = until_ms;
    due_at_latest(partition, POOL_CUSTOMERS, customer, until_ms);
    return REASON_none;
}

static void attributes_end(const struct worker *worker, struct customer_record *record)
{
    if (record->tier_until_s != 0 && is_over(worker, record->tier_until_s))
        tier_forget(record);
    if (record->spend_until_s != 0 && is_over(worker, record->spend_until_s))
        purchases_forget(record);
    for (uint32_t i = record->segment_count; i-- > 0;)
        if (is_over(worker, record->segment_until_s[i]))
            segment_forget(record, i);
}

void apply_customer_timer(struct worker *worker, struct partition *partition, uint32_t index)
{
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, index);
    if (key_is_none(record->head.key))
        return;
    if (record->zone_until_ms != 0 && record->zone_until_ms <= worker->tick_ms)
        zone_forget(customer_touch(partition, index));
    int64_t away_ms = zone_time_ends_ms(worker, record);
    if (away_ms != 0 && away_ms <= worker->tick_ms)
        customer_touch(partition, index)->zone_time_ms = 0;
    int64_t end_ms = attributes_end_ms(record);
    if (end_ms != 0 && end_ms <= worker->tick_ms)
        attributes_end(worker, customer_touch(partition, index));
    if (!affinity_is_none(&record->affinity)) /* touched, so that terms are made anew */
        affinity_tick(worker, customer_touch(partition, index));
    customer_drop_if_empty(worker, partition, index);
    if (!key_is_none(record->head.key))
        due_at_latest(partition, POOL_CUSTOMERS, index, customer_due_ms(worker, record));
}

/* What was bought and came back in the month of the signal's time. A newer month begins in the currency of its first purchase; amounts in
 * another one are not mixed in. What belongs to a month before the last one is of no use to anybody. */
static void month_add(const struct worker *worker, struct customer_record *record, uint16_t currency, int64_t time_ms,
                      int64_t amount)
{
    int32_t month = local_clock_month(&worker->month_clock, time_ms), back = record->month - month;
    if (record->month_currency == 0 || back < 0) {
        bool next = record->month_currency == currency && back == -1;
        record->month_spend[1] = next ? record->month_spend[0] : 0;
        record->month_spend[0] = 0;
        record->month = month;
        record->month_currency = currency;
        back = 0;
    }
    if (back > 1 || record->month_currency != currency)
        return;
    record->month_spend[back] =
        clamp_i64(record->month_spend[back] + amount, -RIALTO_BOUND_MAX, RIALTO_BOUND_MAX); /* both at most 2^48 */
}

/* Spend adds up in the currency that it began in; amounts in another one are not mixed in. */
static void spend_add(const struct worker *worker, struct partition *partition, uint32_t customer,
                      const struct signal *signal, int64_t sign)
{
    struct customer_record *record = customer_touch(partition, customer);
    uint16_t currency = currency_find(signal->currency)->number;
    if (!spend_lives(worker, record, signal))
        return;
    month_add(worker, record, currency, signal->time_ms, sign * signal->amount);
    if (record->spend_currency == 0) {
        record->spend_currency = currency;
        record->spend_party = PARTY_FIRST;
    }
    due_at_latest(partition, POOL_CUSTOMERS, customer, attributes_end_ms(record));
    if (record->spend_currency == currency)
        record->spend =
            clamp_i64(record->spend + sign * signal->amount, 0, RIALTO_BOUND_MAX); /* both at most 2^48: no overflow */
}

static enum signal_reason apply_customer_demand(struct worker *worker, struct partition *partition, uint32_t customer,
                                                const struct signal *signal)
{
    bool purchase = signal->event == DEMAND_ORDER || signal->event == DEMAND_RETURN;
    if (!customer_permits(partition, customer, purchase ? RIALTO_KIND_PURCHASES : RIALTO_KIND_BEHAVIOUR))
        return REASON_no_consent;
    if (purchase && signal_has(signal, SIGNAL_FIELD_amount))
        spend_add(worker, partition, customer, signal, signal->event == DEMAND_ORDER ? 1 : -1);
    offer_meets(worker, partition, customer, signal);
    if (signal->priced != NULL)
        offers_heed(worker, partition, customer, signal);
    if (worker->models->affinity)
        affinity_learn(worker, partition, customer, signal);
    publisher_watch(worker->publisher, signal->customer, signal->sku, worker->config->watch_ttl_s);
    return REASON_none;
}

static enum signal_reason apply_receipt(const struct worker *worker, struct partition *partition, uint32_t customer,
                                        const struct signal *signal)
{
    if (!customer_permits(partition, customer, RIALTO_KIND_PURCHASES))
        return REASON_no_consent;
    spend_add(worker, partition, customer, signal, 1);
    return REASON_none;
}

/* Who is looked at, and at what, stands in Redis beside the quotes: as a permitted view would, and no further. */
enum signal_reason apply_watch(struct worker *worker, const struct partition *partition, const struct signal *signal)
{
    uint32_t customer = state_find(partition->state, POOL_CUSTOMERS, id_key(worker, signal->customer));
    if (!customer_permits(partition, customer, RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES))
        return REASON_no_consent;
    publisher_watch(worker->publisher, signal->customer, signal->sku, (uint32_t)signal->lease_s);
    return REASON_none;
}

enum signal_reason apply_customer_part(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    uint32_t customer = state_find(partition->state, POOL_CUSTOMERS, id_key(worker, signal->customer));
    switch ((unsigned)signal->type) {
    case SIGNAL_customer: return apply_customer(worker, partition, customer, signal);
    case SIGNAL_location: return apply_location(worker, partition, customer, signal);
    case SIGNAL_demand: return apply_customer_demand(worker, partition, customer, signal);
    case SIGNAL_receipt: return apply_receipt(worker, partition, customer, signal);
    case SIGNAL_offer: return apply_offer(worker, partition, customer, signal);
    case WIRE_TYPE_LOCK: return apply_lock(worker, partition, customer, signal);
    case SIGNAL_forget: return apply_forget(worker, partition, customer, signal);
    default: return REASON_unknown_type;
    }
}
