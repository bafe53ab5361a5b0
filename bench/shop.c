/* shop.c - fill a cache folder for a measurement. */
#include "bench/shop.h"

#include "bench/bench.h"
#include "cache/keys.h"
#include "cache/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct filling { /* while the tables are written */
    struct cache *cache;
    struct cache_plan plan;
    struct rialto_key zone[SHOP_ZONES];
    uint32_t zone_slot[RIALTO_PARTITIONS][SHOP_ZONES];
    uint64_t random;
};

static const char *const ZONE_NAME[SHOP_ZONES] = { "north", "south" };

void shop_customer_id(uint64_t customer, char ret[SHOP_ID_BYTES])
{
    (void)snprintf(ret, SHOP_ID_BYTES, "C%09" PRIu64, customer % 1000000000);
}

void shop_sku(uint64_t product, char ret[SHOP_ID_BYTES])
{
    (void)snprintf(ret, SHOP_ID_BYTES, "sku-%09" PRIu64, product % 1000000000);
}

static bool put(struct filling *f, enum rialto_table table, uint32_t partition, const void *line, uint64_t *ret_slot)
{
    struct rialto_key key;
    memcpy(&key, (const char *)line + offsetof(struct rialto_cell_line, key), sizeof key);
    if (table_claim(f->cache, table, partition, key, ret_slot) != RIALTO_OK) {
        fprintf(stderr, "rialto-bench: a table is full\n");
        return false;
    }
    (void)table_write(f->cache, table, partition, *ret_slot, line);
    return true;
}

static struct rialto_key key_of_text(const struct filling *f, const char *id)
{
    return key_of_id(f->plan.secret, id, strlen(id));
}

static bool put_zones(struct filling *f)
{
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++) {
        for (uint32_t z = 0; z < SHOP_ZONES; z++) {
            uint64_t slot = 0;
            f->zone[z] = key_of_text(f, ZONE_NAME[z]);
            struct rialto_zone_line line = { .key = f->zone[z], .name_bytes = (uint8_t)strlen(ZONE_NAME[z]) };
            memcpy(line.name, ZONE_NAME[z], strlen(ZONE_NAME[z]));
            if (!put(f, RIALTO_TABLE_ZONES, partition, &line, &slot))
                return false;
            f->zone_slot[partition][z] = (uint32_t)slot;
        }
    }
    return true;
}

static bool put_product(struct filling *f, uint64_t product, uint16_t rule)
{
    char sku[SHOP_ID_BYTES];
    shop_sku(product, sku);
    struct rialto_key key = key_of_text(f, sku);
    int64_t price = 100 + (int64_t)(bench_random(&f->random) % 100000);
    struct rialto_cell_line line = {
        .key = key_pair(key, key_of_world(f->plan.secret)),
        .baseline = price,
        .list = price + price / 10,
        .lo_product = (uint64_t)price / 2,
        .hi_place = (uint64_t)price * 2,
        .rule = rule,
        .group = (uint8_t)(product % RIALTO_GROUPS_MAX),
    };
    uint64_t slot = 0;
    if (!put(f, RIALTO_TABLE_CELLS, key_partition(key), &line, &slot))
        return false;
    line.key = key_pair(key, f->zone[product % SHOP_ZONES]);
    line.baseline += price / 50;
    return put(f, RIALTO_TABLE_CELLS, key_partition(key), &line, &slot);
}

static bool put_customer(struct filling *f, uint64_t customer, uint64_t products)
{
    char id[SHOP_ID_BYTES];
    shop_customer_id(customer, id);
    struct rialto_key key = key_of_text(f, id);
    uint32_t partition = key_partition(key);
    uint64_t roll = bench_random(&f->random), slot = 0;
    struct rialto_terms_line line = { .key = key,
                                      .zone = 1 + f->zone_slot[partition][roll % SHOP_ZONES],
                                      .kinds = RIALTO_KIND_PURCHASES,
                                      .consent = RIALTO_KIND_PURCHASES };
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        line.multiplier_e4[g] = (uint16_t)(9000 + (roll >> g) % 1001);
    if (roll >> 32 < UINT32_MAX / 10) {
        char sku[SHOP_ID_BYTES];
        shop_sku(bench_random(&f->random) % products, sku);
        struct rialto_offer_line offer = { .key = key_pair(key, key_of_text(f, sku)),
                                           .value = 1000,
                                           .kind = RIALTO_OFFER_PERCENT,
                                           .kinds = RIALTO_KIND_PURCHASES };
        line.kinds |= RIALTO_TERMS_HAS_OFFERS;
        if (!put(f, RIALTO_TABLE_OFFERS, partition, &offer, &slot))
            return false;
    }
    return put(f, RIALTO_TABLE_TERMS, partition, &line, &slot);
}

static bool fill(struct filling *f, const struct shop *shop)
{
    const struct rialto_rule_row row = {
        .currency = "GBP", .currency_number = 826, .decimals = 2, .arithmetic = 1, .ending_step = 5, .ending_less = 1
    };
    uint16_t rule = 0;
    bool ok = rule_append(f->cache, &row, &rule) == RIALTO_OK && put_zones(f);
    for (uint64_t i = 0; ok && i < shop->products; i++)
        ok = put_product(f, i, rule);
    for (uint64_t i = 0; ok && i < shop->customers; i++)
        ok = put_customer(f, i, shop->products);
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        atomic_store(&cache_control(f->cache)->heartbeat[p].beat_mono_ms, (int64_t)now.tv_sec * 1000);
    return ok;
}

static uint64_t bytes_of(const char *folder, const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static enum rialto_status create(struct shop *shop, struct filling *f)
{
    bool kept = false;
    uint64_t missing = 0;
    f->plan = (struct cache_plan){
        .folder = shop->folder,
        .instance = "bench",
        .group_id = -1,
        .lines = { [RIALTO_TABLE_CELLS] = shop->products * 2,
                   [RIALTO_TABLE_TERMS] = shop->customers,
                   [RIALTO_TABLE_OFFERS] = shop->customers / 8,
                   [RIALTO_TABLE_ZONES] = (uint64_t)SHOP_ZONES * RIALTO_PARTITIONS,
                   [RIALTO_TABLE_PRODUCTS] = 1 },
        .workers = 1,
        .path_depths = { 1 },
        .stale_after_ms = UINT32_MAX,
        .personal_stale_ms = UINT32_MAX,
    };
    f->random = 1;
    for (size_t i = 0; i < sizeof f->plan.secret; i++)
        f->plan.secret[i] = (uint8_t)bench_random(&f->random);
    enum rialto_status status = cache_create(&f->plan, &kept, &missing);
    if (status == RIALTO_NO_SPACE)
        fprintf(stderr, "rialto-bench: %s needs %" PRIu64 " MiB more\n", shop->folder, (missing >> 20) + 1);
    return status == RIALTO_OK ? cache_open(shop->folder, &f->cache) : status;
}

bool shop_setup(struct shop *shop, uint64_t customers, uint64_t cells)
{
    memset(shop, 0, sizeof *shop);
    (void)snprintf(shop->folder, sizeof shop->folder, "/dev/shm/rialto-bench.XXXXXX");
    shop->customers = customers;
    shop->products = cells / 2;
    struct filling *f = calloc(1, sizeof *f);
    if (f == NULL || mkdtemp(shop->folder) == NULL) {
        fprintf(stderr, "rialto-bench: no folder in /dev/shm\n");
        free(f);
        return false;
    }
    enum rialto_status status = create(shop, f);
    bool ok = status == RIALTO_OK && fill(f, shop);
    if (ok)
        status = rialto_open(shop->folder, &shop->prices);
    if (status != RIALTO_OK)
        fprintf(stderr, "rialto-bench: %s: %s\n", shop->folder, rialto_status_text(status));
    shop->file_bytes =
        bytes_of(shop->folder, "cells.v2") + bytes_of(shop->folder, "terms.v2") + bytes_of(shop->folder, "offers.v2");
    cache_close(f->cache);
    free(f);
    if (!ok || status != RIALTO_OK) {
        cache_remove(shop->folder);
        return false;
    }
    return true;
}

void shop_teardown(struct shop *shop)
{
    rialto_close(shop->prices);
    cache_remove(shop->folder);
}
