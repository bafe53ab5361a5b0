/* signal.h - the signals: one table of types and fields. Parser, wire format, docs/signals.md and --help come from it.
 *
 *   JSON --signal_parse()--> struct signal --wire (service/wire.h)--> worker
 *
 * A signal is split before it leaves the gateway: the product part never carries a customer; the customer part goes only to
 * the worker that owns the customer; the common part (zones, weather) goes to every worker. */
#ifndef SERVICE_SIGNAL_H
#define SERVICE_SIGNAL_H

#include "cache/zone_path.h"
#include "pricing/json_text.h"
#include "pricing/model.h"

#include <rialto/layout.h>
#include <rialto/status.h>

/*    type        what it says */
#define SIGNAL_TYPES(X)                                                                                                     \
    X(product,    "what is sold: list price, cost, category; with a zone, what holds there")                               \
    X(zone,       "a zone: what is around it, where it lies")                                                              \
    X(demand,     "somebody looked for, put into the cart, ordered or returned a product")                                 \
    X(supply,     "how much of a product is there")                                                                        \
    X(location,   "a customer is in a zone for a while, or has left it (needs consent to location)")                       \
    X(weather,    "the weather in a zone")                                                                                 \
    X(competitor, "what a competitor asks for a product")                                                                  \
    X(customer,   "a customer's consent, tier, spend and segments")                                                        \
    X(offer,      "a personal offer or price lock for one customer and product")                                           \
    X(receipt,    "a purchase elsewhere that a customer sends in (needs consent to purchases)")                            \
    X(forget,     "remove everything about a customer")

#define SIGNAL_TYPE_ENUM_(name, text) SIGNAL_##name,
enum signal_type { SIGNAL_TYPES(SIGNAL_TYPE_ENUM_) SIGNAL_TYPE_COUNT };
#undef SIGNAL_TYPE_ENUM_
#define T(name) (1u << SIGNAL_##name)
#define T_ALL   ((1u << SIGNAL_TYPE_COUNT) - 1u)

enum signal_part { PART_PRODUCT = 1, PART_CUSTOMER = 2, PART_COMMON = 4 };

enum field_kind {
    FIELD_TEXT,     /* UTF-8 without control characters */
    FIELD_SKU,      /* the same, for ids of products */
    FIELD_CUSTOMER, /* the same; refused if it looks like an e-mail address or a phone number */
    FIELD_ZONE,     /* zone_name_valid(); cut to the levels in use */
    FIELD_MONEY,    /* JSON integer, minor units */
    FIELD_NUMBER,   /* JSON number, kept in micro (millionths) */
    FIELD_INTEGER,  /* JSON integer */
    FIELD_TIME,     /* RFC 3339 text, or integer Unix milliseconds */
    FIELD_SWITCH,   /* true or false, kept as 1 or 0 */
    FIELD_CHOICE,   /* one of the words in the text column's brackets, kept as its index */
    FIELD_CURRENCY, /* ISO 4217 letters */
    FIELD_CONSENT,  /* object of kind -> true, false or an object that says more; kept as two bit sets and notes */
    FIELD_WORDS,    /* array of at most TERMS_SEGMENTS_MAX texts, or objects that say more */
    FIELD_ATTRIBUTES /* object of at most ATTRIBUTES_MAX names -> number in micro; true and false are 1 and 0 */
};

#define CHOICES_EVENT "view|search|cart|order|return"   /* order of enum demand_event */
#define CHOICES_UNIT  "piece|kg|l"
#define CHOICES_TAX   "included|excluded"                /* kept as 0, 1; layout.h's tax is this + 1 */
#define CHOICES_OFFER "withdraw|fixed|percent|amount_off|lock"
#define CHOICES_BASIS "location|behaviour|purchases|profile|partner"
#define CHOICES_PARTY "zero|first|second|third"          /* order of enum data_party */

#define CONSENT_KINDS      5u  /* words of CHOICES_BASIS */
#define CONSENT_SOURCE_MAX 14u /* bytes of who said so, with the terminator; of which wording: */
#define CONSENT_TEXT_MAX   18u
struct consent_note { /* of one kind */
    int64_t time_ms;  /* when it was given or refused; 0 = when the signal says */
    char source[CONSENT_SOURCE_MAX], text[CONSENT_TEXT_MAX]; /* "" = not said */
};

/*    field              member            kind            where it may stand                         where it must                        part min           max              unit          what it says (choices after the type) */
#define SIGNAL_FIELDS(X)                                                                                                                                                             \
    X("time",               time_ms,          FIELD_TIME,     T_ALL,                                     0,                                 0, 0,            INT64_C(4102444800000), "time",  "when it happened; left out: when it arrived", "")  \
    X("source",             source,           FIELD_TEXT,     T_ALL,                                     0,                                 0, 1,            63,                "text",       "who says so", "")  \
    X("id",                 id,               FIELD_TEXT,     T_ALL,                                     0,                                 0, 1,            63,                "text",       "the source's own id of this signal: the same source and id count once", "")  \
    X("sku",                sku,              FIELD_SKU,      T(product)|T(demand)|T(supply)|T(competitor)|T(offer), T(product)|T(demand)|T(supply)|T(competitor)|T(offer), PART_PRODUCT|PART_CUSTOMER, 1, 63, "id", "the product", "")  \
    X("zone",               zone,             FIELD_ZONE,     T(product)|T(zone)|T(demand)|T(supply)|T(location)|T(weather)|T(competitor), T(zone)|T(weather), PART_PRODUCT|PART_CUSTOMER|PART_COMMON, 0, 63, "zone", "where; left out: the world", "")  \
    X("customer",           customer,         FIELD_CUSTOMER, T(demand)|T(location)|T(customer)|T(offer)|T(receipt)|T(forget), T(location)|T(customer)|T(offer)|T(receipt)|T(forget), PART_CUSTOMER, 1, 63, "id", "the customer's pseudonymous id", "")  \
    X("category",           category,         FIELD_TEXT,     T(product)|T(demand)|T(receipt),           0,                                 PART_PRODUCT, 1, 63,                "path",       "category path, such as fresh/dairy; needed for a product's first signal; of demand: what the customer's affinity is counted by, and not kept; left out: the product's; of a receipt: looked at by the gateway, and not kept", "")  \
    X("title",              title,            FIELD_TEXT,     T(product),                                0,                                 PART_PRODUCT, 1, 95,                "text",       "name for people", "")  \
    X("list",               list,             FIELD_MONEY,    T(product),                                T(product),                        PART_PRODUCT, 1, RIALTO_BOUND_MAX,   "minor",      "list price", "")  \
    X("cost",               cost,             FIELD_MONEY,    T(product),                                0,                                 PART_PRODUCT, 0, RIALTO_BOUND_MAX,   "minor",      "unit cost; without one, that of the nearest zone around with the same currency", "")  \
    X("currency",           currency,         FIELD_CURRENCY, T(product)|T(zone)|T(demand)|T(competitor)|T(customer)|T(offer)|T(receipt), T(product)|T(competitor)|T(receipt), PART_PRODUCT|PART_CUSTOMER|PART_COMMON, 0, 0, "ISO 4217", "currency of the amounts in this signal", "")  \
    X("unit",               unit,             FIELD_CHOICE,   T(product),                                0,                                 PART_PRODUCT, 0, 0,                 "choice",     "what the price is for", CHOICES_UNIT)  \
    X("tax",                tax,              FIELD_CHOICE,   T(product),                                0,                                 PART_PRODUCT, 0, 0,                 "choice",     "whether prices contain tax; echoed, never computed", CHOICES_TAX)  \
    X("promotion",          promotion,        FIELD_NUMBER,   T(product),                                0,                                 PART_PRODUCT, 10000, 1000000,       "ratio",      "running promotion, 0.8 = 20 % off; left out: none", "")  \
    X("event",              event,            FIELD_CHOICE,   T(demand),                                 T(demand),                         PART_PRODUCT|PART_CUSTOMER, 0, 0,   "choice",     "what happened", CHOICES_EVENT)  \
    X("quantity",           quantity,         FIELD_NUMBER,   T(demand),                                 0,                                 PART_PRODUCT|PART_CUSTOMER, 1, INT64_C(1000000000000), "units", "how many; left out: 1", "")  \
    X("amount",             amount,           FIELD_MONEY,    T(demand)|T(competitor)|T(offer)|T(receipt), T(competitor)|T(receipt),         PART_PRODUCT|PART_CUSTOMER, 0, RIALTO_BOUND_MAX, "minor", "demand: paid in all; competitor: asked; offer: fixed price, amount off or locked amount; receipt: total", "")  \
    X("available",          available,        FIELD_NUMBER,   T(supply),                                 T(supply),                         PART_PRODUCT, 0, INT64_C(1000000000000000), "units", "in stock or free now", "")  \
    X("capacity",           capacity,         FIELD_NUMBER,   T(supply),                                 0,                                 PART_PRODUCT, 1, INT64_C(1000000000000000), "units", "how much there can be; left out: as before", "")  \
    X("expires",            expires_ms,       FIELD_TIME,     T(supply),                                 0,                                 PART_PRODUCT, 0, INT64_C(4102444800000), "time",      "when what is in stock perishes; left out: not known", "")  \
    X("temperature_c",      temperature_c,    FIELD_NUMBER,   T(weather),                                0,                                 PART_COMMON, -100000000, 70000000,  "degC",      "air temperature", "")  \
    X("precipitation_mm_h", precipitation,    FIELD_NUMBER,   T(weather),                                0,                                 PART_COMMON, 0, 500000000,         "mm/h",      "rain or snow, as water", "")  \
    X("wind_m_s",           wind,             FIELD_NUMBER,   T(weather),                                0,                                 PART_COMMON, 0, 150000000,         "m/s",       "wind speed", "")  \
    X("humidity",           humidity,         FIELD_NUMBER,   T(weather),                                0,                                 PART_COMMON, 0, 1000000,           "ratio",     "relative humidity, 0..1", "")  \
    X("from",               from_ms,          FIELD_TIME,     T(offer),                                  0,                                 PART_CUSTOMER, 0, INT64_C(4102444800000), "time", "holds from; left out: now", "")  \
    X("until",              until_ms,         FIELD_TIME,     T(product)|T(weather)|T(competitor)|T(offer), 0,                              PART_PRODUCT|PART_CUSTOMER|PART_COMMON, 0, INT64_C(4102444800000), "time", "holds until (product: its promotion); left out: the model's age limit, for an offer no end", "")  \
    X("competitor",         competitor,       FIELD_TEXT,     T(competitor),                             T(competitor),                     PART_PRODUCT, 1, 63,                "text",       "who asks it", "")  \
    X("parent",             parent,           FIELD_ZONE,     T(zone),                                   0,                                 PART_COMMON, 0, 63,                 "zone",       "the zone around it; left out: the one its name says", "")  \
    X("lat",                lat,              FIELD_NUMBER,   T(zone)|T(location),                       0,                                 PART_COMMON, -90000000, 90000000,             "deg",        "latitude, WGS 84; a customer's is cut to a geohash zone before anything is stored", "")  \
    X("lon",                lon,              FIELD_NUMBER,   T(zone)|T(location),                       0,                                 PART_COMMON, -180000000, 180000000,           "deg",        "longitude, WGS 84", "")  \
    X("region",             region,           FIELD_TEXT,     T(zone),                                   0,                                 PART_COMMON, 1, 31,                 "text",       "region whose policies hold", "")  \
    X("utc_offset_min",     utc_offset,       FIELD_INTEGER,  T(zone),                                   0,                                 PART_COMMON, -840, 840,             "min",        "local time minus UTC", "")  \
    X("lease_s",            lease_s,          FIELD_INTEGER,  T(location),                               0,                                 PART_CUSTOMER, 1, 2592000,          "s",          "how long it holds without renewal; left out: 900", "")  \
    X("left",               left,             FIELD_SWITCH,   T(location),                               0,                                 PART_CUSTOMER, 0, 1,                "switch",     "true: the customer is no longer there", "")  \
    X("consent",            consent,          FIELD_CONSENT,  T(customer),                               0,                                 PART_CUSTOMER, 0, 0,                "object",     "kind of data -> true or false, or an object (below); kinds left out stay as they are; all are off at first", CHOICES_BASIS)  \
    X("tier",               tier,             FIELD_TEXT,     T(customer),                               0,                                 PART_CUSTOMER, 0, 31,               "text",       "loyalty tier; empty: none (needs consent to profile)", "")  \
    X("spend",              spend,            FIELD_MONEY,    T(customer),                               0,                                 PART_CUSTOMER, 0, RIALTO_BOUND_MAX,  "minor",      "spend that counts for loyalty, replaces what was known (needs consent to purchases, and a currency)", "")  \
    X("segments",           segments,         FIELD_WORDS,    T(customer),                               0,                                 PART_CUSTOMER, 1, 31,               "words",      "segments, replaces what was known (needs consent to profile); an object (below) is a status with an end or another party", "")  \
    X("kind",               offer_kind,       FIELD_CHOICE,   T(offer),                                  T(offer),                          PART_CUSTOMER, 0, 0,                "choice",     "what is offered; withdraw takes the offer back, not a lock", CHOICES_OFFER)  \
    X("percent",            percent,          FIELD_NUMBER,   T(offer),                                  0,                                 PART_CUSTOMER, 10000, 100000000,    "%",          "percent off", "")  \
    X("stackable",          stackable,        FIELD_SWITCH,   T(offer),                                  0,                                 PART_CUSTOMER, 0, 1,                "switch",     "true: off the customer's own price instead of the baseline", "")  \
    X("basis",              basis,            FIELD_CHOICE,   T(offer),                                  0,                                 PART_CUSTOMER, 0, 0,                "choice",     "kind of personal data that the offer rests on, which must be permitted; left out: profile", CHOICES_BASIS)  \
    X("session",            session,          FIELD_CUSTOMER, T(demand),                                 0,                                 0, 1,            63,                "id",         "a visit; what one visit does to a product again and again is one act of demand; not stored, not handed on", "")  \
    X("seller",             seller,           FIELD_TEXT,     T(product)|T(demand)|T(supply)|T(competitor), 0,                              PART_PRODUCT, 1, 63,                "id",         "whose product it is, said by its first signal; no other seller moves its price", "")  \
    X("seq",                seq,              FIELD_INTEGER,  T_ALL,                                     0,                                 0, 1,            INT64_C(9007199254740991), "number", "the source's own rising number of this signal, instead of an id: what comes with the newest number or a lower one was counted", "")  \
    X("opt_out",            opt_out,          FIELD_SWITCH,   T(customer),                               0,                                 PART_CUSTOMER, 0, 1,                "switch",     "true: the customer opts out of everything: all consents are revoked, and none is taken until false", "")  \
    X("gpc",                gpc,              FIELD_SWITCH,   T(customer),                               0,                                 PART_CUSTOMER, 0, 1,                "switch",     "Global Privacy Control of the customer's browser: true is an opt-out, false says nothing", "")  \
    X("repeated",           again,            FIELD_SWITCH,   T(demand),                                 0,                                 0, 0,            1,                "switch",     "true: this visit did so before, as the sender knows; left out or false: the service finds out by the session", "")  \
    X("tier_until",         tier_until_ms,    FIELD_TIME,     T(customer),                               0,                                 PART_CUSTOMER, 0, INT64_C(4102444800000), "time", "the tier holds until; left out: attribute_age_max_s", "")  \
    X("party",              party,            FIELD_CHOICE,   T(customer),                               0,                                 PART_CUSTOMER, 0, 0,                "choice",     "whose word tier, spend and segments are: the customer's own, the shop's, a partner's, others'; the last two need consent to partner too; left out: first", CHOICES_PARTY)  \
    X("attributes",         attributes,       FIELD_ATTRIBUTES, T(product)|T(zone),                      0,                                 PART_PRODUCT|PART_COMMON, -INPUT_LARGE, INPUT_LARGE, "numbers",    "numbers by name that models may read, all there are; left out: as before", "")  \
    X("units",              units,            FIELD_NUMBER,   T(offer),                                  0,                                 PART_CUSTOMER, 1, INT64_C(1000000000000), "units", "the offer's budget: it is over when the customer has ordered so many of the product (needs consent to purchases, and until); left out: any number", "")

enum { SIGNAL_IN_DATA = 1, SIGNAL_IN_ENVELOPE = 2 }; /* in the data of an event; with the event's own id */

struct signal {
    enum signal_type type;
    bool     seldom;           /* not a field: something from SIGNAL_SELDOM on is more than zeros */
    bool     repeated;         /* nor this: found by the gateway (service/repeats.h), travels in the head of its parts */
    bool     barred;           /* nor this: the category that was said is a sensitive one, and was taken off */
    uint8_t enclosed;          /* nor this: SIGNAL_IN_*, where it stood in a CloudEvent */
    uint64_t present;          /* bit per row of SIGNAL_FIELDS */
    int64_t  time_ms;          /* always set: event time, or arrival time */
    const void *lock;          /* nor a field: of a lock that is asked for, a struct wire_lock, as aligned as bytes are (service/wire.h) */
    const void *priced;        /* nor a field: of demand that names a customer, a struct wire_priced or NULL, as aligned as bytes are */
    char     source[RIALTO_ID_MAX], id[RIALTO_ID_MAX];
    char     sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX], customer[RIALTO_ID_MAX];
    char     session[RIALTO_ID_MAX], seller[RIALTO_ID_MAX], currency[4];
    int64_t  event, quantity, amount, seq, again;

    char     category[RIALTO_ID_MAX], title[96], competitor[RIALTO_ID_MAX], parent[RIALTO_ID_MAX]; /* SIGNAL_SELDOM */
    char     region[RIALTO_NAME_MAX], tier[RIALTO_NAME_MAX];
    int64_t  list, cost, unit, tax, promotion, available, capacity, expires_ms;
    int64_t  temperature_c, precipitation, wind, humidity, from_ms, until_ms, lat, lon, utc_offset;
    int64_t  lease_s, left, spend, offer_kind, percent, stackable, basis, units, opt_out, gpc;
    int64_t  tier_until_ms, party;
    struct { uint8_t given, granted; struct consent_note note[CONSENT_KINDS]; } consent; /* RIALTO_KIND_*; a note for each kind */
    struct {
        uint32_t count;
        char     word[TERMS_SEGMENTS_MAX][RIALTO_NAME_MAX];
        int64_t  until_ms[TERMS_SEGMENTS_MAX]; /* 0 = not said */
        uint8_t  party[TERMS_SEGMENTS_MAX];    /* enum data_party + 1; 0 = as the signal says */
    } segments;
    struct { int64_t count, micro[ATTRIBUTES_MAX]; char name[ATTRIBUTES_MAX][ATTRIBUTE_NAME_MAX]; } attributes;
};
#define SIGNAL_SELDOM offsetof(struct signal, category) /* demand, which comes most often, has nothing from here on but a category */

#define SIGNAL_FIELD_ENUM_(name, member, kind, types, must, part, low, high, unit, text, choices) SIGNAL_FIELD_##member,
enum signal_field { SIGNAL_FIELDS(SIGNAL_FIELD_ENUM_) SIGNAL_FIELD_COUNT };
#undef SIGNAL_FIELD_ENUM_
_Static_assert(SIGNAL_FIELD_COUNT <= 64, "present is 64 bits");

static inline bool signal_has(const struct signal *signal, enum signal_field field)
{
    return (signal->present >> field) & 1u;
}

/* Why a signal did not take effect. REJECT: the sender is told "rejected"; NOTE: accepted, and this is said with it.
 *    reason               class   text                                                        who may find it */
#define SIGNAL_REASONS(X)                                                                                                   \
    X(none,               NOTE,   "")                                                                                       \
    X(not_json,           REJECT, "not valid JSON")                                                        /* gateway */    \
    X(not_utf8,           REJECT, "not UTF-8")                                                                              \
    X(not_object,         REJECT, "a signal is a JSON object")                                                              \
    X(unknown_type,       REJECT, "unknown type of signal")                                                                 \
    X(unknown_field,      REJECT, "unknown field")                                                                          \
    X(missing_field,      REJECT, "a field is missing")                                                                     \
    X(wrong_type,         REJECT, "wrong type of value")                                                                    \
    X(out_of_range,       REJECT, "out of range")                                                                           \
    X(too_long,           REJECT, "too long")                                                                               \
    X(too_many,           REJECT, "too many signals in one message")                                                        \
    X(too_old,            REJECT, "too old")                                                                                \
    X(from_future,        REJECT, "from the future")                                                                        \
    X(not_minor_units,    REJECT, "an amount must be an integer of minor units")                                            \
    X(bad_currency,       REJECT, "not an ISO 4217 currency")                                                               \
    X(bad_zone,           REJECT, "not a zone name")                                                                        \
    X(looks_personal,     REJECT, "a customer id must be a pseudonym: this looks like an e-mail address or a phone number")   \
    X(bad_text,           REJECT, "control characters or an empty text")                                                    \
    X(contradiction,      REJECT, "fields contradict each other")                                                           \
    X(clock_is_live,      REJECT, "this instance's clock cannot be moved")                                                  \
    X(unknown_product,    REJECT, "the product is not known: send a product signal first")                 /* worker */     \
    X(other_currency,     REJECT, "the currency differs from the product's, or from that of what stands for the customer")  \
    X(no_category,        REJECT, "a product's first signal needs a category")                                              \
    X(no_model,           REJECT, "no pricing model covers this product and currency")                                      \
    X(table_full,         REJECT, "no room: a configured maximum is reached")                                               \
    X(no_consent,         NOTE,   "the customer did not permit this kind of data: personal part dropped")                    \
    X(duplicate,          NOTE,   "this source and id were counted before")                                                 \
    X(superseded,         NOTE,   "a newer signal is known: this one changed nothing")                                      \
    X(no_answer,          REJECT, "no worker answered in time: it may or may not take effect; send it again with the same id") \
    X(poison,             REJECT, "a worker died of it again and again: it was taken out, and did not take effect") \
    X(not_allowed,        REJECT, "only who can read the service's data folder may ask for this: the key is missing or wrong") \
    X(repeated,           NOTE,   "this visit did so before, or none was named: demand counts it once")                       \
    X(other_seller,       REJECT, "the product is another seller's, or the signal does not say whose") \
    X(models_refused,     REJECT, "the models were refused: nothing was changed") \
    X(pinned,             REJECT, "the models are pinned; rialto pin --off takes the pin back") \
    X(not_quoted,         REJECT, "the amount was not this customer's quote within lock_grace_s, or a lower one is promised already") \
    X(locks_full,         REJECT, "no room: as many prices are promised as locks_max allows") \
    X(opted_out,          NOTE,   "the customer has opted out of everything: no consent is taken, and personal parts are dropped") \
    X(rate_limited,       REJECT, "this producer has sent as many signals as producer_signals_per_s allows: send it again later") \
    X(sensitive,          REJECT, "a receipt of a sensitive category (sensitive_categories): dropped at the door") \
    X(no_token,           REJECT, "over HTTP, who speaks for a customer shows a token of the role shop") \
    X(zone_widened,       NOTE,   "the product's model keeps this for a wider zone (zone_levels): it holds in all of that, in place of what was said of it before") \
    X(bad_attribute,      REJECT, "no name of an attribute, or one that no price may rest on") \
    X(sensitive_attribute, NOTE,  "a tier or segment is about a sensitive attribute (age, sex, income, ...) that no policy permits: it is not kept") \
    X(refusal_not_kept,   REJECT, "no room to remember that a customer who is not known refuses or opts out: nothing is permitted now, but a consent would be taken; send it again until it is accepted")

#define SIGNAL_REASON_ENUM_(name, class, text) REASON_##name,
enum signal_reason { SIGNAL_REASONS(SIGNAL_REASON_ENUM_) REASON_COUNT };
#undef SIGNAL_REASON_ENUM_

const char *signal_reason_name(enum signal_reason reason);
const char *signal_reason_text(enum signal_reason reason);
bool        signal_reason_rejects(enum signal_reason reason);
const char *signal_type_name(enum signal_type type);

struct signal_rules { /* what parsing needs to know of the configuration and the present */
    struct zone_levels levels;
    int64_t now_ms;
    int64_t wall_ms; /* what is from the future is judged by the later of both: now_ms follows a clock that was set ahead slowly */
    int64_t age_max_ms, future_max_ms;
    const char *sensitive; /* steps of category paths of which no receipt is taken, separated by commas; NULL: none */
};

/* signal_is_sensitive - is a step of the category's path one of rules->sensitive? */
bool signal_is_sensitive(const struct signal_rules *rules, const char *category);

/* signal_latest_ms - a signal's time beyond this is from the future. */
static inline int64_t signal_latest_ms(const struct signal_rules *rules)
{
    return (rules->wall_ms > rules->now_ms ? rules->wall_ms : rules->now_ms) + rules->future_max_ms;
}

/* signal_parse - one parsed JSON object, a signal or a CloudEvent that holds one. Strings are copied, zones cut, a location's position turned into a geohash zone and
 * dropped. Returns REASON_none, or a reason with *fault (pointer and reason; no line). Pure. */
enum signal_reason signal_parse(const cJSON *object, const struct signal_rules *rules, struct signal *ret, struct fault *fault);

/* signal_scan - the same of the text of one object, for the common shapes, without a tree. False: read it by json_parse() and
 * signal_parse(), which say what is wrong, if anything is. A scanner belongs to one thread; the levels in its rules stay as they are,
 * what time it is may change. Blanks around the object are fine, line ends are not. *ret is zeros, or what this function or signal_parse()
 * left there, whether they succeeded or not, and fields that were added and marked present since: two kilobytes are not cleared for each of a
 * million signals a second. */
#define SCANNED_ZONES 64u
struct signal_scanner {
    const struct signal_rules *rules;
    uint64_t seldom; /* bit per field from SIGNAL_SELDOM on */
    uint8_t next[SIGNAL_FIELD_COUNT + 1]; /* which field came behind this one; the last: behind the type */
    uint8_t name_bytes[SIGNAL_FIELD_COUNT];
    enum signal_type type; /* of the last signal */
    uint8_t type_bytes;    /* of its name; 0 = there was none */
    struct scanned_zone {
        uint8_t bytes; /* of text, + 1; 0 = none */
        char text[RIALTO_ID_MAX], name[RIALTO_ID_MAX];
    } zone[SCANNED_ZONES];
    struct scanned_word { /* of a field that is one of some words: the last one, and which it is */
        uint8_t bytes; /* of text, + 1; 0 = none */
        uint8_t index;
        char text[RIALTO_NAME_MAX];
    } word[SIGNAL_FIELD_COUNT];
};
void signal_scanner_init(struct signal_scanner *scanner, const struct signal_rules *rules);
bool signal_scan(struct signal_scanner *scanner, const char *text, size_t bytes, struct signal *ret);

/* signal_is_of_customer - is it about a customer before all: what they permit, where they are, what they are offered? */
bool signal_is_of_customer(const struct signal *signal);

/* A message that begins with this byte comes from somebody who showed no token where tokens are known: signals of customers in it are
 * refused, and it asks no questions. No JSON begins so, and whoever sends it takes something from nobody but himself. */
#define SIGNALS_FROM_ANYBODY '\x15'

/* signal_is_event - is it a CloudEvent (signal_parse() then reads the signal in it)? signal_event_flatten - the signal in a valid
 * envelope, with what only the envelope says added; the caller's (cJSON_Delete). NULL: none, or out of memory. */
bool   signal_is_event(const cJSON *object);
cJSON *signal_event_flatten(const cJSON *object);

/* signal_parts - PART_* that this signal consists of. */
unsigned signal_parts(const struct signal *signal);

/* signal_describe - docs/signals.md's tables on `out` (FILE*). */
void signal_describe(void *out);
#endif
