/* shop.c - the measured shop as a function of numbers. */
#include "bench/shop.h"

#include "bench/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const ZONE_NAME[SHOP_ZONES + 1] = { "north", "south", "" };

void shop_customer_id(uint64_t customer, char ret[SHOP_ID_BYTES])
{
    (void)snprintf(ret, SHOP_ID_BYTES, "C%09" PRIu64, customer % 1000000000);
}

void shop_sku(uint64_t product, char ret[SHOP_ID_BYTES])
{
    (void)snprintf(ret, SHOP_ID_BYTES, "sku-%09" PRIu64, product % 1000000000);
}

const char *shop_zone_name(uint32_t zone)
{
    return ZONE_NAME[zone <= SHOP_WORLD ? zone : SHOP_WORLD];
}

uint32_t shop_customer_zone(uint64_t customer)
{
    return (uint32_t)(bench_mix(customer ^ 0x5A4F4E45) % SHOP_ZONES);
}

uint32_t shop_product_zone(uint64_t product)
{
    return (uint32_t)(bench_mix(product ^ 0x53484F50) % SHOP_ZONES);
}

uint64_t shop_offers_of(const struct shop_size *size, uint64_t customer, uint64_t *ret_first)
{
    *ret_first = customer * size->offers / size->customers;
    return (customer + 1) * size->offers / size->customers - *ret_first;
}

uint64_t shop_offer_product(const struct shop_size *size, uint64_t customer, uint64_t k)
{
    return bench_mix(customer ^ 0x4F464652) % (size->products - SHOP_OFFERS_MAX) + k;
}

static uint16_t multiplier_e4(uint64_t customer, uint32_t group)
{
    return (uint16_t)(9000 + (bench_mix(customer) >> group) % 1001);
}

void shop_terms_fill(const struct shop_size *size, uint64_t customer, struct rialto_terms_line *ret)
{
    uint64_t first = 0;
    *ret = (struct rialto_terms_line){ .kinds = RIALTO_KIND_PURCHASES, .consent = RIALTO_KIND_PURCHASES };
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        ret->multiplier_e4[g] = multiplier_e4(customer, g);
    if (shop_offers_of(size, customer, &first) > 0)
        ret->kinds |= RIALTO_TERMS_HAS_OFFERS;
}

static int64_t first_price(uint64_t product, uint32_t zone)
{
    return 1000 + (int64_t)(bench_mix(product ^ 0x5052494345) % 100000) + (zone == SHOP_WORLD ? 0 : 100);
}

static int64_t price_of(uint64_t product, uint32_t zone, uint32_t version)
{
    return first_price(product, zone) + version;
}

void shop_cell_fill(uint64_t product, uint32_t zone, uint32_t version, struct rialto_cell_line *ret)
{
    int64_t price = price_of(product, zone, version);
    *ret = (struct rialto_cell_line){
        .as_of_s = 1000 + version,
        .baseline = price,
        .list = price * 2 - 7,
        .lo_product = (uint64_t)(price - price / 7),
        .hi_place = (uint64_t)(price + 30),
        .group = (uint8_t)(product % RIALTO_GROUPS_MAX),
    };
}

void shop_offer_fill(struct rialto_offer_line *ret)
{
    *ret = (struct rialto_offer_line){ .value = 1000, .kind = RIALTO_OFFER_PERCENT, .kinds = RIALTO_KIND_PURCHASES };
}

uint32_t shop_version(uint64_t product, uint32_t zone, int64_t baseline)
{
    int64_t version = baseline - first_price(product, zone);
    return version >= 0 && version < SHOP_VERSIONS ? (uint32_t)version : SHOP_VERSIONS;
}

/* n * e4 / 10000 to the nearest, ties to even: by trying the neighbours. */
static int64_t times_e4(int64_t n, int64_t e4)
{
    int64_t below = n * e4 / 10000, miss_below = n * e4 - below * 10000, miss_above = (below + 1) * 10000 - n * e4;
    if (miss_below != miss_above)
        return miss_below < miss_above ? below : below + 1;
    return below % 2 == 0 ? below : below + 1;
}

static bool has_ending(int64_t amount)
{
    return (amount + SHOP_ENDING_LESS) % SHOP_ENDING_STEP == 0;
}

int64_t shop_expected(const struct shop_size *size, uint64_t customer, uint64_t product, uint32_t version, bool offer)
{
    uint32_t zone =
        shop_customer_zone(customer) == shop_product_zone(product) ? shop_customer_zone(customer) : SHOP_WORLD;
    int64_t baseline = price_of(product, zone, version), low = baseline - baseline / 7, high = baseline + 30;
    uint64_t first = 0, offers = shop_offers_of(size, customer, &first);
    for (uint64_t k = 0; offer && k < offers; k++) {
        if (shop_offer_product(size, customer, k) == product) {
            int64_t off = times_e4(baseline, 9000);
            return off < low ? low : off > high ? high : off;
        }
    }
    int64_t m = multiplier_e4(customer, (uint32_t)(product % RIALTO_GROUPS_MAX));
    if (m == 10000)
        return baseline;
    int64_t amount = times_e4(baseline, m);
    amount = amount < low ? low : amount > high ? high : amount;
    for (int64_t distance = 0; distance < (int64_t)SHOP_ENDING_STEP; distance++) {
        if (has_ending(amount - distance) && amount - distance >= low)
            return amount - distance;
        if (has_ending(amount + distance) && amount + distance <= high)
            return amount + distance;
    }
    return amount;
}
