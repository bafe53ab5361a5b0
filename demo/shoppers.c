/* shoppers.c - makes up consents, places and looks, by hash. */
#include "demo/shoppers.h"

#include "demo/fresh.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE     "shoppers"
#define LEASE_S    43200                                          /* 12 hours */
#define ROUND_MS   (9 * HOUR_MS - FRESH_UTC_OFFSET_MIN * 60000LL) /* of the UTC day: 9 h shop time */
#define LOOKS      2
#define OFFER_DAYS 7

struct shoppers {
    const struct names *skus, *stores;
    struct names *customer;
    int64_t *last_day; /* by number of customer: day of the last look */
    int64_t due_ms;
    uint64_t made; /* signals so far: their ids */
};

static unsigned percent_of(const char *salt, const char *customer)
{
    return (unsigned)(text_hash(salt, customer) % 100);
}

struct shopper shopper_of(const char *customer)
{
    struct shopper shopper = { .tier = "" };
    if (percent_of("profile", customer) < 60)
        shopper.consent |= RIALTO_KIND_PROFILE;
    if (percent_of("purchases", customer) < 50)
        shopper.consent |= RIALTO_KIND_PURCHASES;
    if (percent_of("behaviour", customer) < 40)
        shopper.consent |= RIALTO_KIND_BEHAVIOUR;
    if (percent_of("location", customer) < 30)
        shopper.consent |= RIALTO_KIND_LOCATION;
    unsigned tier = percent_of("tier", customer);
    shopper.tier = tier < 10 ? "gold" : tier < 30 ? "silver" : tier < 60 ? "bronze" : "";
    shopper.family = percent_of("family", customer) < 25;
    return shopper;
}

struct shoppers *shoppers_create(const struct names *skus, const struct names *stores)
{
    struct shoppers *shoppers = calloc(1, sizeof *shoppers);
    if (shoppers == NULL)
        return NULL;
    shoppers->skus = skus;
    shoppers->stores = stores;
    shoppers->due_ms = INT64_MAX;
    shoppers->customer = names_create();
    if (shoppers->customer == NULL) {
        free(shoppers);
        return NULL;
    }
    return shoppers;
}

void shoppers_destroy(struct shoppers *shoppers)
{
    if (shoppers == NULL)
        return;
    names_destroy(shoppers->customer);
    free(shoppers->last_day);
    free(shoppers);
}

static struct recorded *add(struct shoppers *shoppers, struct block *block, enum recorded_rank rank, int64_t at_ms,
                            const char *customer)
{
    struct recorded *item = block_add(block, rank, at_ms, SOURCE);
    snprintf(item->customer, sizeof item->customer, "%s", customer);
    snprintf(item->id, sizeof item->id, "m%" PRIu64, ++shoppers->made);
    return item;
}

static const char *pick(const struct names *names, const char *salt, const char *customer)
{
    return names_at(names, (uint32_t)(text_hash(salt, customer) % names_count(names)));
}

static bool any(const struct names *names)
{
    return names != NULL && names_count(names) > 0;
}

static const char *yes_no(bool value)
{
    return value ? "true" : "false";
}

static void add_customer(struct shoppers *shoppers, struct block *block, int64_t at_ms, const char *customer)
{
    struct shopper shopper = shopper_of(customer);
    struct recorded *item = add(shoppers, block, RANK_CUSTOMER, at_ms, customer);
    recorded_set_body(
        item, "\"consent\":{\"location\":%s,\"behaviour\":%s,\"purchases\":%s,\"profile\":%s},\"tier\":\"%s\"%s",
        yes_no(shopper.consent & RIALTO_KIND_LOCATION), yes_no(shopper.consent & RIALTO_KIND_BEHAVIOUR),
        yes_no(shopper.consent & RIALTO_KIND_PURCHASES), yes_no(shopper.consent & RIALTO_KIND_PROFILE), shopper.tier,
        shopper.family ? ",\"segments\":[\"family\"]" : "");
}

static void add_location(struct shoppers *shoppers, struct block *block, int64_t at_ms, const char *customer)
{
    if (!any(shoppers->stores) || (shopper_of(customer).consent & RIALTO_KIND_LOCATION) == 0)
        return;
    struct recorded *item = add(shoppers, block, RANK_LOCATION, at_ms, customer);
    snprintf(item->zone, sizeof item->zone, "%s", pick(shoppers->stores, "store", customer));
    recorded_set_body(item, "\"lease_s\":%d", LEASE_S);
}

/* One in six of those who permit their profile: 15 % off a grocery for a week, or (one in eighteen) a price that
 * holds. */
static void add_offer(struct shoppers *shoppers, struct block *block, int64_t at_ms, const char *customer)
{
    unsigned chance = (unsigned)(text_hash("offer", customer) % 18);
    if (!any(shoppers->skus) || (shopper_of(customer).consent & RIALTO_KIND_PROFILE) == 0 || chance > 3)
        return;
    struct recorded *item = add(shoppers, block, RANK_OFFER, at_ms, customer);
    snprintf(item->sku, sizeof item->sku, "%s", pick(shoppers->skus, "offer sku", customer));
    item->until_ms = at_ms + OFFER_DAYS * DAY_MS;
    if (chance == 3)
        recorded_set_body(item, "\"kind\":\"lock\",\"amount\":490,\"currency\":\"CNY\"");
    else
        recorded_set_body(item, "\"kind\":\"percent\",\"percent\":15");
}

static void add_looks(struct shoppers *shoppers, struct block *block, int64_t at_ms, const char *customer)
{
    if (!any(shoppers->skus))
        return;
    for (int i = 0; i < LOOKS; i++) {
        char salt[32], visit[32];
        snprintf(salt, sizeof salt, "look %d/%" PRId64, i, at_ms / DAY_MS);
        snprintf(visit, sizeof visit, "visit %" PRId64, at_ms / DAY_MS);
        struct recorded *item = add(shoppers, block, RANK_DEMAND, at_ms, customer);
        snprintf(item->sku, sizeof item->sku, "%s", pick(shoppers->skus, salt, customer));
        recorded_set_body(item, "\"event\":\"view\",\"session\":\"v%016" PRIx64 "\"", text_hash(visit, customer));
    }
}

void shoppers_order(struct shoppers *shoppers, const struct recorded *order, struct block *block)
{
    bool is_new;
    uint32_t number = names_add(shoppers->customer, order->customer, &is_new);
    int64_t day = order->at_ms / DAY_MS;
    if (is_new) {
        shoppers->last_day = grown(shoppers->last_day, number, sizeof *shoppers->last_day);
        shoppers->last_day[number] = day - 1;
        add_customer(shoppers, block, order->at_ms, order->customer);
        add_location(shoppers, block, order->at_ms, order->customer);
        add_offer(shoppers, block, order->at_ms, order->customer);
    }
    if (shoppers->last_day[number] != day) {
        shoppers->last_day[number] = day;
        add_looks(shoppers, block, order->at_ms, order->customer);
    }
    if (shoppers->due_ms == INT64_MAX) {
        int64_t today = order->at_ms - order->at_ms % DAY_MS + ROUND_MS;
        shoppers->due_ms = today > order->at_ms ? today : today + DAY_MS;
    }
}

int64_t shoppers_due_ms(const struct shoppers *shoppers)
{
    return shoppers->due_ms;
}

void shoppers_round(struct shoppers *shoppers, struct block *block)
{
    for (uint32_t i = 0; i < names_count(shoppers->customer); i++)
        add_location(shoppers, block, shoppers->due_ms, names_at(shoppers->customer, i));
    shoppers->due_ms += DAY_MS;
}
