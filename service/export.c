/* export.c - what is kept of a customer, for the customer: every datum with what it means, where it came from and how long it stays
 * (GDPR art. 15 and 20); and what a forget has removed.
 *
 *   {"ask":"export","customer":"C1"}             the owner of the customer, for who may see personal data
 *   {"ask":"erased","customer":"C1","id":"..."}  what the forget signal of that id removed, and whether anything is held now */
#include "cache/keys.h"
#include "pricing/fixed.h"
#include "pricing/money.h"
#include "service/ask.h"
#include "service/clock.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_number(cJSON *object, const char *member, int64_t value)
{
    cJSON_AddNumberToObject(object, member, (double)value);
}

static cJSON *datum(cJSON *list, const char *name, const char *meaning, const char *source, const char *kept)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", name);
    cJSON_AddStringToObject(item, "meaning", meaning);
    cJSON_AddStringToObject(item, "source", source);
    cJSON_AddStringToObject(item, "kept", kept);
    cJSON_AddItemToArray(list, item);
    return item;
}

static void add_currency(cJSON *item, uint16_t number)
{
    const struct currency *currency = currency_by_number(number);
    if (currency != NULL)
        cJSON_AddStringToObject(item, "currency", currency->letters);
}

/* Whose word a datum is. */
static void add_party(cJSON *item, unsigned party)
{
    size_t bytes = 0;
    const char *word = choice_at(CHOICES_PARTY, (int)(party & 3u), &bytes);
    char name[RIALTO_NAME_MAX];
    (void)snprintf(name, sizeof name, "%.*s", (int)bytes, word);
    cJSON_AddStringToObject(item, "party", name);
}

static void add_end(cJSON *item, uint32_t until_s)
{
    add_number(item, "until_ms", (int64_t)until_s * 1000);
}

/* What was said of each kind: granted or refused, when, where or by whom, on which wording. */
static void add_said(cJSON *item, const struct customer_record *record)
{
    cJSON *list = cJSON_AddArrayToObject(item, "said");
    for (int kind = 0; kind < (int)CONSENT_KINDS; kind++) {
        const struct customer_consent *note = &record->note[kind];
        if (note->time_s == 0)
            continue;
        size_t bytes = 0;
        char name[RIALTO_NAME_MAX];
        const char *word = choice_at(CHOICES_BASIS, kind, &bytes);
        (void)snprintf(name, sizeof name, "%.*s", (int)bytes, word);
        cJSON *said = cJSON_CreateObject();
        cJSON_AddStringToObject(said, "kind", name);
        cJSON_AddBoolToObject(said, "granted", (record->consent & 1u << kind) != 0);
        add_number(said, "time_ms", (int64_t)note->time_s * 1000);
        if (note->source[0] != '\0')
            cJSON_AddStringToObject(said, "source", note->source);
        if (note->text[0] != '\0')
            cJSON_AddStringToObject(said, "text", note->text);
        cJSON_AddItemToArray(list, said);
    }
}

static void add_segments(cJSON *data, const struct customer_record *record)
{
    cJSON *item = datum(
        data, "segments", "groups that the shop counts you among, and statuses; may move prices",
        "the shop: customer signals; party says whose word each is",
        "until each one's end, or until consent to profile (to partner, for second and third parties) is revoked");
    cJSON *names = cJSON_AddArrayToObject(item, "value"), *list = cJSON_AddArrayToObject(item, "each");
    for (uint32_t i = 0; i < record->segment_count && i < TERMS_SEGMENTS_MAX; i++) {
        cJSON *each = cJSON_CreateObject();
        cJSON_AddItemToArray(names, cJSON_CreateString(record->segment[i]));
        cJSON_AddStringToObject(each, "name", record->segment[i]);
        add_party(each, record->segment_party[i]);
        add_end(each, record->segment_until_s[i]);
        cJSON_AddItemToArray(list, each);
    }
}

static void add_month(cJSON *data, int32_t month, int64_t spend, const struct customer_record *record)
{
    char text[RIALTO_NAME_MAX];
    cJSON *item =
        datum(data, "month_spend",
              "what you bought in a month less what came back, in minor units of the currency; may move prices",
              "your orders, returns and receipts",
              "until the end, or until consent to purchases is revoked; two months at most");
    (void)snprintf(text, sizeof text, "%04d-%02d", month / 12, month % 12 + 1);
    cJSON_AddStringToObject(item, "month", text);
    add_number(item, "value", spend);
    add_currency(item, record->month_currency);
    add_end(item, record->spend_until_s);
}

/* How much of what was done lately was in which price group, as of now. */
static void add_affinity(cJSON *data, const struct worker *worker, const struct customer_record *record, enum affinity_part part)
{
    static const char *const NAME[AFFINITY_PARTS] = { "affinity_behaviour", "affinity_purchases" };
    static const char *const MEANING[AFFINITY_PARTS] = {
        "how much you looked at and put into your cart lately, by price group: counts that halve with each half-life, not what, and not when; may move prices",
        "how much you ordered lately, by price group: counts that halve with each half-life, not what, and not when; may move prices" };
    static const char *const SOURCE[AFFINITY_PARTS] = { "your views and carts", "your orders" };
    static const char *const KEPT[AFFINITY_PARTS] = {
        "it fades; until attribute_age_max_s after the newest, or until consent to behaviour is revoked",
        "it fades; until attribute_age_max_s after the newest, or until consent to purchases is revoked" };
    struct affinity_counts counts;
    if (!affinity_has(&record->affinity, part))
        return;
    affinity_read(&record->affinity, affinity_phase(record->id), worker->tick_ms, &counts);
    cJSON *item = datum(data, NAME[part], MEANING[part], SOURCE[part], KEPT[part]);
    cJSON *value = cJSON_AddObjectToObject(item, "value");
    for (uint32_t slot = 0; slot < AFFINITY_SLOTS; slot++) {
        char group[RIALTO_NAME_MAX] = "elsewhere";
        if (counts.micro[part][slot] == 0)
            continue;
        if (slot < RIALTO_GROUPS_MAX)
            (void)snprintf(group, sizeof group, "%.*s", (int)RIALTO_NAME_MAX - 1, worker->control->groups[slot]);
        cJSON_AddNumberToObject(value, group, (double)counts.micro[part][slot] / (double)MICRO);
    }
    add_number(item, "half_life_s", record->affinity.part[part].half_life_s);
    add_number(item, "age_ms", counts.age_ms[part]);
}

static void add_record(cJSON *data, const struct worker *worker, const struct customer_record *record)
{
    cJSON *item =
        datum(data, "consent",
              "kinds of personal data that you permitted to move your prices, and what was said of each last: when, by "
              "whom or where, on which wording",
              "what you told the shop: customer signals", "until you opt out of everything, or are forgotten");
    cJSON_AddItemToObject(item, "value", ask_kinds(record->consent));
    add_number(item, "since_ms", record->consent_time_ms);
    add_said(item, record);
    if (record->consent & CUSTOMER_OPTED_OUT) {
        item = datum(data, "opt_out", "you opted out of everything: none of your data moves a price, and no consent is taken",
                     "what you told the shop, or your browser's Global Privacy Control: customer signals", "until you take it back, or are forgotten");
        cJSON_AddTrueToObject(item, "value");
    }
    if (record->tier[0] != '\0') {
        item =
            datum(data, "tier", "your tier in the loyalty programme; may move prices", "the shop: customer signals",
                  "until its end, or until consent to profile (to partner, for second and third parties) is revoked");
        cJSON_AddStringToObject(item, "value", record->tier);
        add_party(item, record->tier_party);
        add_end(item, record->tier_until_s);
    }
    if (record->segment_count > 0)
        add_segments(data, record);
    if (record->spend_currency != 0) {
        item =
            datum(data, "spend", "what you spent, in minor units of the currency; may move prices",
                  "your orders, returns and receipts, or the shop",
                  "until its end, or until consent to purchases (to partner, for second and third parties) is revoked");
        add_number(item, "value", record->spend);
        add_currency(item, record->spend_currency);
        add_party(item, record->spend_party);
        add_end(item, record->spend_until_s);
    }
    for (int back = 0; back < 2 && record->month_currency != 0; back++)
        if (record->month_spend[back] != 0)
            add_month(data, record->month - back, record->month_spend[back], record);
    add_affinity(data, worker, record, AFFINITY_BEHAVIOUR);
    add_affinity(data, worker, record, AFFINITY_PURCHASES);
    if (record->zone_until_ms != 0) {
        item = datum(data, "zone", "the zone you are in; no position is kept; may move prices", "location signals",
                     "until it ends, you leave, or consent to location is revoked");
        cJSON_AddStringToObject(item, "value", record->zone);
        add_number(item, "since_ms", record->zone_time_ms);
        add_number(item, "until_ms", record->zone_until_ms);
    } else if (record->zone_time_ms != 0) {
        item = datum(data, "zone_time", "when your zone was last said, you left it, or you revoked consent to location: what is older does not count",
                     "location and customer signals", "signal_age_max_s after it, or until you are forgotten");
        add_number(item, "value_ms", record->zone_time_ms);
    }
}

static void add_times(cJSON *item, const char *name, uint32_t last_s, const uint32_t times[OFFER_TIMES_MAX])
{
    cJSON *list = last_s != 0 ? cJSON_AddArrayToObject(item, name) : NULL;
    if (last_s != times[0])
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)last_s * 1000));
    for (uint32_t i = 0; i < OFFER_TIMES_MAX && times[i] != 0; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)times[i] * 1000));
}

/* What may lead to an offer of a model. */
static void add_events(cJSON *data, const struct offer_record *offer)
{
    static const char *const NAME[OFFER_EVENTS] = { "views_ms", "carts_ms", "orders_ms" };
    cJSON *item = datum(data, "offer_events", "when you looked at a product, put it into your cart or ordered it; may lead to a personal offer",
                        "your visits and orders: demand signals",
                        "until the end, until it has led to an offer, or until consent to behaviour (of orders: to purchases) is revoked");
    cJSON_AddStringToObject(item, "sku", offer->sku);
    for (unsigned i = 0; i < OFFER_EVENTS; i++)
        add_times(item, NAME[i], offer->last_s[i], offer->event_s[i]);
    add_end(item, offer->events_until_s);
}

static void add_issued(cJSON *data, const struct offer_record *offer)
{
    cJSON *item = datum(data, "offer_made", "that a model made you a personal offer for a product, so that the next one waits",
                        "made by a model, from what you did with the product",
                        "until the end, or until consent to what it rests on is revoked");
    cJSON_AddStringToObject(item, "sku", offer->sku);
    cJSON_AddStringToObject(item, "model", offer->issued_model);
    cJSON_AddStringToObject(item, "version", offer->issued_version);
    cJSON_AddStringToObject(item, "offer", offer->issued_name);
    cJSON_AddItemToObject(item, "rests_on", ask_kinds(offer->issued_kinds));
    add_number(item, "at_ms", (int64_t)offer->issued_s * 1000);
    add_end(item, offer->cooldown_until_s);
}

/* When the shop spoke last: kept behind an offer that it took back, or that took another's place. */
static void add_time(cJSON *data, const struct worker *worker, const struct offer_record *offer)
{
    cJSON *item =
        datum(data, "offer_time",
              "when the shop last gave you a personal offer for a product or took one back: an older one that arrives "
              "late does not count",
              "the shop: offer signals",
              "signal_age_max_s after it where no offer stands, or until consent to what it rests on is revoked");
    cJSON_AddStringToObject(item, "sku", offer->sku);
    cJSON_AddItemToObject(item, "rests_on", ask_kinds(offer->time_kinds));
    add_number(item, "value_ms", offer->time_ms);
    add_number(item, "until_ms", offer_time_ends_ms(worker, offer));
}

/* What an offer is limited to, and what your orders used up of that. */
static void add_units(cJSON *item, const struct offer_record *offer)
{
    cJSON_AddNumberToObject(item, "units", (double)offer->units_micro / (double)MICRO);
    cJSON_AddNumberToObject(item, "units_ordered", (double)offer->ordered_micro / (double)MICRO);
    cJSON_AddBoolToObject(item, "used_up", !offer_gives(offer));
}

static void add_offer(cJSON *data, const struct worker *worker, const struct offer_record *offer)
{
    static const char *const KIND_NAME[] = { "none", "fixed", "percent", "amount_off" };
    if (offer->kind != RIALTO_OFFER_NONE) {
        bool some = offer->units_micro != 0;
        const char *shop = some ? "the shop: offer signals; your orders of the product" : "the shop: offer signals";
        cJSON *item = datum(data, "offer",
                            some ? "a personal offer for so many units of what you order; value in minor units, or 1e-4 for percent"
                                 : "a personal offer; value in minor units, or 1e-4 for percent",
                            offer->is_issued ? "made by a model, from what you did with the product" : shop,
                            some ? "until it ends, used up or not, is withdrawn, or consent to what it rests on is revoked"
                                 : "until it ends, is withdrawn, or consent to what it rests on is revoked");
        cJSON_AddStringToObject(item, "sku", offer->sku);
        cJSON_AddStringToObject(item, "offer", KIND_NAME[offer->kind & 3u]);
        add_number(item, "value", offer->value);
        cJSON_AddItemToObject(item, "rests_on", ask_kinds(offer->kinds));
        add_number(item, "from_ms", offer->from_ms);
        add_number(item, "until_ms", offer->until_ms);
        if (some)
            add_units(item, offer);
    }
    if (offer->time_kinds != 0)
        add_time(data, worker, offer);
    if (offer->events_until_s != 0)
        add_events(data, offer);
    if (offer->cooldown_until_s != 0)
        add_issued(data, offer);
    if (offer->locked != 0) {
        cJSON *item = datum(data, "lock", "a price that was promised to you, in minor units; it holds without any consent",
                            "the shop, or your own request", "until it ends, or you are forgotten");
        cJSON_AddStringToObject(item, "sku", offer->sku);
        add_number(item, "value", offer->locked);
        add_currency(item, offer->currency);
        add_number(item, "until_ms", offer->lock_until_ms);
    }
}

static void add_offers(cJSON *data, const struct worker *worker, const struct partition *partition, uint32_t customer)
{
    for (uint32_t i = state_first(partition->state, POOL_OFFERS, customer); i != STATE_NONE;
         i = state_next(partition->state, POOL_OFFERS, i))
        add_offer(data, worker, state_at(partition->state, POOL_OFFERS, i));
}

struct looks {
    cJSON *data;
    int64_t behind_ms; /* service time less the monotonic clock */
};

static void add_look(void *user, const char *sku, int64_t until_ms)
{
    const struct looks *looks = user;
    cJSON *item = datum(looks->data, "looked_at", "a product that you look at; where it has a price, your quote stands in Redis for the shop's pages",
                        "your visits and orders (demand signals), or the page that shows it",
                        "until the end, or until consent to behaviour and to purchases is revoked");
    cJSON_AddStringToObject(item, "sku", sku);
    add_number(item, "until_ms", until_ms + looks->behind_ms);
}

cJSON *ask_export(struct worker *worker, const cJSON *question)
{
    struct rialto_key key;
    const struct partition *partition = ask_partition(worker, ask_text(question, "customer"), &key);
    uint32_t customer = partition == NULL ? STATE_NONE : state_find(partition->state, POOL_CUSTOMERS, key);
    if (customer == STATE_NONE)
        return ask_refusal("unknown_customer", "nothing is kept of this customer");
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddStringToObject(answer, "customer", ask_text(question, "customer"));
    add_number(answer, "at_ms", worker->tick_ms);
    cJSON *data = cJSON_AddArrayToObject(answer, "data");
    add_record(data, worker, state_at(partition->state, POOL_CUSTOMERS, customer));
    add_offers(data, worker, partition, customer);
    struct looks looks = { .data = data, .behind_ms = worker->tick_ms - mono_ms() };
    publisher_looks(worker->publisher, &key, add_look, &looks);
    return answer;
}

/* ---- erasure ---------------------------------------------------------------------------------------------------------- */

static const struct erasure *erasure_find(const struct worker *worker, uint64_t id_hash)
{
    for (uint32_t i = 0; i < ERASURES_KEPT && i < worker->erasures; i++)
        if (worker->erasure[i].id_hash == id_hash)
            return &worker->erasure[i];
    return NULL;
}

static void add_removed(cJSON *answer, const struct erasure *note)
{
    cJSON *removed = cJSON_AddObjectToObject(answer, "removed"), *state = cJSON_AddObjectToObject(removed, "state");
    add_number(state, "records", note->record);
    cJSON_AddItemToObject(state, "consent", ask_kinds(note->consent));
    add_number(state, "consent_notes", note->consents);
    add_number(state, "tiers", note->tier);
    add_number(state, "segments", note->segments);
    add_number(state, "spends", note->spend);
    add_number(state, "affinities", note->affinity);
    add_number(state, "zones", note->zone);
    add_number(state, "offers", note->offers);
    add_number(state, "locks", note->locks);
    add_number(state, "offer_events", note->offer_events);
    add_number(state, "offer_times", note->offer_times);
    cJSON_AddStringToObject(removed, "shared_memory", "lines of terms and offers, and their side copies");
}

cJSON *ask_erased(struct worker *worker, const cJSON *question)
{
    struct rialto_key key;
    const struct partition *partition = ask_partition(worker, ask_text(question, "customer"), &key);
    const struct erasure *note = erasure_find(worker, strtoull(ask_text(question, "id"), NULL, 16));
    if (partition == NULL || note == NULL) /* the process that did it is gone */
        return ask_refusal("unknown", "what was removed is not known any more");
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddBoolToObject(answer, "held", state_find(partition->state, POOL_CUSTOMERS, key) != STATE_NONE);
    cJSON_AddBoolToObject(answer, "quotes_deleted", publisher_forgets_done(worker->publisher) >= note->forgets);
    add_removed(answer, note);
    return answer;
}
