/* size.c - sums over the plans that the service itself is made by: capacity.c for the cache, state.c for the state. */
#include "service/size.h"

#include "cache/folder.h"
#include "service/capacity.h"
#include "service/packed.h"
#include "service/publisher.h"
#include "service/state.h"

#include <inttypes.h>

#define MIB              UINT64_C(1048576)
#define TOLD_BYTES       4u /* of a price: whose Redis may have (publisher_kept.c) */

/* ---- Redis ---------------------------------------------------------------------------------------------
 * A large hash is a dict: per field an entry, two strings (sds) and a share of the buckets. Sources: dict.c, sds.h of Redis 7;
 * jemalloc(3), "Size classes" with a quantum of 16 bytes. */
#define DICT_ENTRY_BYTES 24u
#define BUCKET_BYTES     8u
#define FIELD_BYTES      34u /* letter, colon, 32 hex digits */
#define QUANTUM          16u

static uint64_t allocated(uint64_t bytes)
{
    uint64_t step = QUANTUM;
    while (bytes > 8 * step) /* four classes a doubling */
        step *= 2;
    return (bytes + step - 1) / step * step;
}

static uint64_t sds_bytes(uint64_t length)
{
    return allocated(length + 1 + (length < 256 ? 3 : 5));
}

uint64_t size_redis_record(uint64_t value_bytes)
{
    return allocated(DICT_ENTRY_BYTES) + sds_bytes(FIELD_BYTES) + sds_bytes(value_bytes);
}

/* At most: with something in each of its words. */
static uint64_t redis_of_pool(enum state_pool pool)
{
    return size_redis_record(STATE_STORED_HEAD + PACKED_MAX((uint64_t)state_record_bytes(pool)));
}

static uint64_t buckets_bytes(uint64_t fields)
{
    uint64_t buckets = 4;
    while (buckets < fields)
        buckets *= 2;
    return buckets * BUCKET_BYTES;
}

static uint64_t redis_bytes(const struct config *config)
{
    const uint64_t lines[POOL_COUNT] = {
        [POOL_PRODUCTS] = config->products_max,   [POOL_CELLS] = config->cells_max,
        [POOL_CUSTOMERS] = config->customers_max, [POOL_OFFERS] = config->offers_max,
        [POOL_ZONES] = config->zones_max,         [POOL_SOURCES] = (uint64_t)config->sources_max * RIALTO_PARTITIONS,
        [POOL_BUDGETS] = (uint64_t)BUDGETS_MAX * RIALTO_PARTITIONS,
    };
    uint64_t bytes = 0, fields = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        bytes += lines[pool] * redis_of_pool((enum state_pool)pool);
        fields += lines[pool];
    }
    bytes += RIALTO_PARTITIONS * buckets_bytes(fields / RIALTO_PARTITIONS);
    return bytes + (uint64_t)RIALTO_PARTITIONS * STATE_ID_GENERATIONS * config->ids_max * sizeof(uint64_t);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

void size_of(const struct config *config, struct size *ret)
{
    struct cache_plan plan;
    capacity_plan(config, &plan);
    *ret = (struct size){
        .shared_start = cache_bytes_start(&plan) + plan.beside_bytes,
        .shared = cache_bytes_needed(&plan),
        .state = RIALTO_PARTITIONS * state_file_bytes(config, 0) +
                 config->workers * state_file_bytes(config, RIALTO_PARTITIONS) +
                 publisher_files_bytes(config->workers, cache_lines_max(&plan, RIALTO_TABLE_CELLS)),
        .redis = redis_bytes(config),
    };
}

/* Up: what is given so much has room. */
static uint64_t mib_of(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

static void row(const struct config *config, FILE *to)
{
    struct size size;
    size_of(config, &size);
    (void)fprintf(to, "| %u | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n", config->customers_max,
                  mib_of(size.shared_start), mib_of(size.shared), mib_of(size.state), mib_of(size.redis));
}

static void row_of_one(const char *what, enum rialto_table table, enum state_pool pool, FILE *to)
{
    uint64_t line = folder_table_line_bytes(table) + 1; /* and its tag */
    (void)fprintf(to, "| %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n", what, cache_room_for(line),
                  state_bytes_a_record(pool) + (table == RIALTO_TABLE_CELLS ? cache_room_for(TOLD_BYTES) : 0),
                  redis_of_pool(pool) + BUCKET_BYTES * 3 / 2); /* one to two buckets for each */
}

void size_describe(const struct config *config, FILE *to)
{
    static const uint32_t customers[] = { 1000000, 10000000, 100000000 };
    struct config other = *config;
    (void)fputs("| customers_max | shared memory at start, MiB | grown, MiB | state files, MiB | Redis, MiB |\n"
                "|---|---|---|---|---|\n",
                to);
    row(config, to);
    for (size_t i = 0; i < sizeof customers / sizeof customers[0]; i++) {
        other.customers_max = customers[i];
        row(&other, to);
    }
    (void)fputs("\n| one more | shared memory, bytes | state, bytes | Redis, bytes |\n|---|---|---|---|\n", to);
    row_of_one("customer", RIALTO_TABLE_TERMS, POOL_CUSTOMERS, to);
    row_of_one("product", RIALTO_TABLE_PRODUCTS, POOL_PRODUCTS, to);
    row_of_one("price (product in a zone)", RIALTO_TABLE_CELLS, POOL_CELLS, to);
    row_of_one("offer or lock", RIALTO_TABLE_OFFERS, POOL_OFFERS, to);
}
