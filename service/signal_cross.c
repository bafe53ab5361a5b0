/* signal_cross.c - what a signal's fields say together: what contradicts, what is missing beside another. */
#include "service/signal_rows.h"

#include "pricing/fixed.h"

#include <string.h>
#include <strings.h>

#define HAS(member) signal_has(signal, SIGNAL_FIELD_##member)

static enum signal_reason missing(struct fault *fault, const char *pointer, const char *why)
{
    fault_set(fault, NULL, 0, pointer, "%s", why);
    return REASON_missing_field;
}

static enum signal_reason contradiction(struct fault *fault, const char *pointer, const char *why)
{
    fault_set(fault, NULL, 0, pointer, "%s", why);
    return REASON_contradiction;
}

static enum signal_reason out_of_range(struct fault *fault, const char *pointer, const char *why)
{
    fault_set(fault, NULL, 0, pointer, "%s", why);
    return REASON_out_of_range;
}

static void drop(struct signal *signal, enum signal_field field)
{
    signal->present &= ~(UINT64_C(1) << field);
    memset((char *)signal + signal_rows[field].offset, 0, signal_rows[field].size);
}

static enum signal_reason check_position_pair(const struct signal *signal, struct fault *fault)
{
    if (HAS(lat) && !HAS(lon))
        return missing(fault, "/lon", "lat and lon belong together");
    if (HAS(lon) && !HAS(lat))
        return missing(fault, "/lat", "lat and lon belong together");
    return REASON_none;
}

/* A position is as close to a person as data get: it becomes a zone here, and nothing keeps it. */
static void position_to_zone(const struct signal_rules *rules, struct signal *signal)
{
    double lat = (double)signal->lat / (double)MICRO, lon = (double)signal->lon / (double)MICRO;
    zone_geohash(&rules->levels, lat, lon, signal->zone);
    signal->present |= UINT64_C(1) << SIGNAL_FIELD_zone;
    drop(signal, SIGNAL_FIELD_lat);
    drop(signal, SIGNAL_FIELD_lon);
}

static enum signal_reason check_location(const struct signal_rules *rules, struct signal *signal, struct fault *fault)
{
    bool left = HAS(left) && signal->left;
    if (HAS(zone) && HAS(lat))
        return contradiction(fault, "/zone", "either a zone or a position");
    if (left && (HAS(zone) || HAS(lat)))
        return contradiction(fault, "/left", "a customer that has left is nowhere");
    if (left && HAS(lease_s))
        return contradiction(fault, "/lease_s", "a customer that has left is nowhere");
    if (!left && !HAS(zone) && !HAS(lat))
        return missing(fault, "/zone", "a location needs a zone, a position, or left: true");
    if (HAS(lat))
        position_to_zone(rules, signal);
    return REASON_none;
}

static enum signal_reason check_offer(const struct signal *signal, struct fault *fault)
{
    enum { WITHDRAW, FIXED, PERCENT, AMOUNT_OFF, LOCK }; /* order of CHOICES_OFFER */
    bool money = signal->offer_kind == FIXED || signal->offer_kind == AMOUNT_OFF || signal->offer_kind == LOCK;
    if (money && !HAS(amount))
        return missing(fault, "/amount", "this kind of offer needs an amount");
    if (money && !HAS(currency))
        return missing(fault, "/currency", "an amount needs a currency");
    if (!money && HAS(amount))
        return contradiction(fault, "/amount", "this kind of offer has no amount");
    if (signal->offer_kind == PERCENT && !HAS(percent))
        return missing(fault, "/percent", "this kind of offer needs a percentage");
    if (signal->offer_kind != PERCENT && HAS(percent))
        return contradiction(fault, "/percent", "this kind of offer has no percentage");
    if ((signal->offer_kind == AMOUNT_OFF || signal->offer_kind == LOCK) && signal->amount < 1)
        return out_of_range(fault, "/amount", "must be at least 1");
    if (signal->stackable && signal->offer_kind != PERCENT && signal->offer_kind != AMOUNT_OFF)
        return contradiction(fault, "/stackable", "only percent and amount_off come off the customer's own price");
    if (HAS(until_ms) && HAS(from_ms) && signal->until_ms <= signal->from_ms)
        return contradiction(fault, "/until", "must be after from");
    if (HAS(units) && (signal->offer_kind == WITHDRAW || signal->offer_kind == LOCK))
        return contradiction(fault, "/units", "only fixed, percent and amount_off are used up by orders");
    if (HAS(units) && !HAS(until_ms))
        return missing(fault, "/until", "what is left of units is kept until then");
    return REASON_none;
}

static enum signal_reason check_zone(const struct signal *signal, struct fault *fault)
{
    if (HAS(parent) && strcmp(signal->parent, signal->zone) == 0)
        return contradiction(fault, "/parent", "a zone is not around itself, at the levels in use");
    if (HAS(parent) && signal->zone[0] == '\0')
        return contradiction(fault, "/parent", "nothing is around the world");
    return check_position_pair(signal, fault);
}

static enum signal_reason check_amount_currency(const struct signal *signal, struct fault *fault)
{
    if ((HAS(amount) || HAS(spend)) && !HAS(currency))
        return missing(fault, "/currency", "an amount needs a currency");
    return REASON_none;
}

/* Is a step of the path one of the words? In any case: who says "Health" means it, too. */
static bool has_step(const char *path, const char *word, size_t bytes)
{
    for (;;) {
        size_t step = strcspn(path, "/");
        if (step == bytes && strncasecmp(path, word, bytes) == 0)
            return true;
        if (path[step] == '\0')
            return false;
        path += step + 1;
    }
}

bool signal_is_sensitive(const struct signal_rules *rules, const char *category)
{
    const char *word = rules->sensitive != NULL ? rules->sensitive : "";
    while (*word != '\0') {
        size_t bytes = strcspn(word, ",");
        if (has_step(category, word, bytes))
            return true;
        word += bytes + (word[bytes] == ',');
    }
    return false;
}

/* The category has done its work here: it is handed on to nobody, and no message repeats it. */
static enum signal_reason check_receipt(const struct signal_rules *rules, struct signal *signal, struct fault *fault)
{
    if (HAS(category) && signal_is_sensitive(rules, signal->category)) {
        fault_set(fault, NULL, 0, "/category", "no receipt of this category is taken");
        return REASON_sensitive;
    }
    drop(signal, SIGNAL_FIELD_category);
    return REASON_none;
}

/* Demand for what is sensitive is demand like any other; of a customer nothing is learned from it: without a category it teaches
 * nothing, and its product's is not taken instead. */
static enum signal_reason check_demand(const struct signal_rules *rules, struct signal *signal, struct fault *fault)
{
    signal->barred = HAS(category) && signal_is_sensitive(rules, signal->category);
    if (HAS(category) && (!HAS(customer) || signal->barred))
        drop(signal, SIGNAL_FIELD_category);
    return check_amount_currency(signal, fault);
}

enum signal_reason signal_cross_check(const struct signal_rules *rules, struct signal *signal, struct fault *fault)
{
    enum signal_reason reason;
    switch (signal->type) {
    case SIGNAL_product:
        if (HAS(until_ms) && !HAS(promotion))
            return missing(fault, "/promotion", "until is the end of a promotion");
        return REASON_none;
    case SIGNAL_zone: return check_zone(signal, fault);
    case SIGNAL_location:
        reason = check_position_pair(signal, fault);
        return reason != REASON_none ? reason : check_location(rules, signal, fault);
    case SIGNAL_weather:
        if (!HAS(temperature_c) && !HAS(precipitation) && !HAS(wind) && !HAS(humidity))
            return missing(fault, "/temperature_c", "a weather signal needs at least one reading");
        return REASON_none;
    case SIGNAL_customer:
        if (HAS(tier_until_ms) && !HAS(tier))
            return missing(fault, "/tier", "tier_until is the end of a tier");
        return check_amount_currency(signal, fault);
    case SIGNAL_demand: return check_demand(rules, signal, fault);
    case SIGNAL_offer: return check_offer(signal, fault);
    case SIGNAL_receipt: return check_receipt(rules, signal, fault);
    case SIGNAL_supply:
    case SIGNAL_competitor:
    case SIGNAL_forget:
    case SIGNAL_TYPE_COUNT: break;
    }
    return REASON_none;
}
