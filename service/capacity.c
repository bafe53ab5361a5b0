/* capacity.c - from configured maxima to room in partitions.
 *
 * Room for zones: a partition keeps its own copy of each zone that its products or customers use, because a line may
 * only point into its own partition. In the worst case each of its cells and customers stands in another zone, and
 * never are there more than zones_max: so each partition may grow to the smaller of the two. */
#include "service/capacity.h"

#include "service/metrics.h"

#include <string.h>

#define GROUP_MIN               16u /* cells of one product, offers of one customer: they all fall into one partition */
#define ZONES_PER_PARTITION_MIN 64u
#define ZONES_PER_PARTITION_MAX 11000u /* a cell names its zone in 14 bits, and a table is never filled to the brim */

/* Lines that an id brings with it: twice the average, since some bring many more than others. */
static uint32_t group_of(uint32_t lines, uint32_t ids)
{
    uint32_t twice = (uint32_t)(2 * (uint64_t)lines / ids);
    return twice > GROUP_MIN ? twice : GROUP_MIN;
}

static uint32_t cells_of_a_product(const struct config *config)
{
    return group_of(config->cells_max, config->products_max);
}

static uint32_t offers_of_a_customer(const struct config *config)
{
    return group_of(config->offers_max, config->customers_max);
}

uint32_t capacity_of(const struct config *config, enum state_pool pool)
{
    switch (pool) {
    case POOL_PRODUCTS: return (uint32_t)cache_share(config->products_max, 1);
    case POOL_CELLS: return (uint32_t)cache_share(config->cells_max, cells_of_a_product(config));
    case POOL_CUSTOMERS: return (uint32_t)cache_share(config->customers_max, 1);
    case POOL_OFFERS: return (uint32_t)cache_share(config->offers_max, offers_of_a_customer(config));
    case POOL_SOURCES: return config->sources_max;
    case POOL_BUDGETS: return BUDGETS_MAX;
    default: return config->zones_max;
    }
}

uint32_t capacity_of_locks(const struct config *config)
{
    return (uint32_t)cache_share(config->locks_max, offers_of_a_customer(config));
}

static uint64_t zones_per_partition(const struct config *config)
{
    uint64_t users = (uint64_t)capacity_of(config, POOL_CELLS) + capacity_of(config, POOL_CUSTOMERS);
    uint64_t zones = config->zones_max < users ? config->zones_max : users;
    if (zones < ZONES_PER_PARTITION_MIN)
        zones = ZONES_PER_PARTITION_MIN;
    return zones < ZONES_PER_PARTITION_MAX ? zones : ZONES_PER_PARTITION_MAX;
}

void capacity_plan(const struct config *config, struct cache_plan *ret)
{
    *ret = (struct cache_plan){
        .folder = config->cache_dir,
        .instance = config->instance,
        .group_id = -1,
        .lines = {
            [RIALTO_TABLE_CELLS] = config->cells_max,
            [RIALTO_TABLE_TERMS] = config->customers_max,
            [RIALTO_TABLE_OFFERS] = config->offers_max,
            [RIALTO_TABLE_ZONES] = zones_per_partition(config) * RIALTO_PARTITIONS,
            [RIALTO_TABLE_PRODUCTS] = config->products_max,
        },
        .group = {
            [RIALTO_TABLE_CELLS] = cells_of_a_product(config),
            [RIALTO_TABLE_OFFERS] = offers_of_a_customer(config),
        },
        .start_percent = config->cache_start_percent,
        .workers = config->workers,
        .beside = METRICS_FILE,
        .beside_bytes = sizeof(struct metrics_file),
        .stale_after_ms = config->stale_after_ms,
        .personal_stale_ms = config->personal_stale_ms,
        .demo = config->demo != 0,
    };
    memcpy(ret->geohash_lengths, config->geohash_length, sizeof ret->geohash_lengths);
    memcpy(ret->path_depths, config->path_depth, sizeof ret->path_depths);
}
