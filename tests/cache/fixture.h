/* fixture.h - a small cache in a folder of its own, with one model rule, and short ways to fill it. */
#ifndef TESTS_CACHE_FIXTURE_H
#define TESTS_CACHE_FIXTURE_H

#include "cache/keys.h"
#include "cache/table.h"

#include <criterion/criterion.h>
#include <rialto/quote.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    char folder[64];
    struct cache_plan plan;
    struct cache *cache;
    struct rialto *reader;
    uint16_t gbp;
    uint16_t eur;
};

static inline int64_t fixture_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct rialto_rule_row fixture_rule(const char *currency, uint16_t number)
{
    struct rialto_rule_row row = { .currency_number = number,
                                   .decimals = 2,
                                   .arithmetic = 1,
                                   .ending_step = 1,
                                   .model = "basic",
                                   .version = "1",
                                   .model_hash = 7 };
    memcpy(row.currency, currency, 3);
    return row;
}

static inline void fixture_beat(struct fixture *f)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        atomic_store(&cache_control(f->cache)->heartbeat[p].beat_mono_ms, fixture_mono_ms());
}

static inline struct cache_plan fixture_plan(const char *folder)
{
    struct cache_plan plan = {
        .folder = folder,
        .instance = "test",
        .group_id = -1,
        .lines = { 2000, 2000, 1000, 2000, 1000 },
        .workers = 2,
        .geohash_lengths = { 3, 5 },
        .path_depths = { 1, 2, 3 },
        .stale_after_ms = 5000,
        .personal_stale_ms = 5000,
    };
    for (size_t i = 0; i < sizeof plan.secret; i++)
        plan.secret[i] = (uint8_t)(i * 37 + 11);
    return plan;
}

static inline void fixture_folder(char ret[64])
{
    (void)snprintf(ret, 64, "/tmp/rialto-cache.XXXXXX");
    cr_assert_not_null(mkdtemp(ret));
}

static inline void fixture_setup(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    fixture_folder(f->folder);
    f->plan = fixture_plan(f->folder);
    bool kept = true;
    uint64_t missing = 0;
    cr_assert_eq(cache_create(&f->plan, &kept, &missing), RIALTO_OK);
    cr_assert_not(kept);
    cr_assert_eq(cache_open(f->folder, &f->cache), RIALTO_OK);
    struct rialto_rule_row gbp = fixture_rule("GBP", 826), eur = fixture_rule("EUR", 978);
    cr_assert_eq(rule_append(f->cache, &gbp, &f->gbp), RIALTO_OK);
    cr_assert_eq(rule_append(f->cache, &eur, &f->eur), RIALTO_OK);
    fixture_beat(f);
    cr_assert_eq(rialto_open(f->folder, &f->reader), RIALTO_OK);
}

static inline void fixture_teardown(struct fixture *f)
{
    rialto_close(f->reader);
    cache_close(f->cache);
    cache_remove(f->folder);
}

static inline struct rialto_key fixture_key(const struct fixture *f, const char *id)
{
    return key_of_id(f->plan.secret, id, strlen(id));
}

/* Write a line that begins with the common head (seq, 32 bits, key). Returns its slot. */
static inline uint64_t fixture_put(struct fixture *f, enum rialto_table table, uint32_t partition, const void *line)
{
    struct rialto_key key;
    memcpy(&key, (const char *)line + 8, sizeof key);
    uint64_t slot = SLOT_NONE;
    cr_assert_eq(table_claim(f->cache, table, partition, key, &slot), RIALTO_OK);
    (void)table_write(f->cache, table, partition, slot, line);
    return slot;
}

static inline struct rialto_cell_line fixture_cell_line(const struct fixture *f, const char *sku, const char *zone,
                                                        int64_t baseline)
{
    return (struct rialto_cell_line){
        .as_of_s = 1700000000,
        .key = key_pair(fixture_key(f, sku), fixture_key(f, zone)),
        .baseline = baseline,
        .list = baseline + 100,
        .lo_product = (uint64_t)(baseline / 2),
        .hi_place = (uint64_t)(baseline * 2),
        .rule = f->gbp,
        .group = 1,
    };
}

static inline uint64_t fixture_cell(struct fixture *f, const char *sku, const char *zone, int64_t baseline)
{
    struct rialto_cell_line line = fixture_cell_line(f, sku, zone, baseline);
    return fixture_put(f, RIALTO_TABLE_CELLS, key_partition(fixture_key(f, sku)), &line);
}

static inline struct rialto_terms_line fixture_terms_line(const struct fixture *f, const char *customer, uint16_t m_e4)
{
    struct rialto_terms_line line = { .key = fixture_key(f, customer),
                                      .kinds = RIALTO_KIND_PURCHASES,
                                      .consent = RIALTO_KIND_PURCHASES };
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        line.multiplier_e4[g] = 10000;
    line.multiplier_e4[1] = m_e4;
    return line;
}

static inline uint64_t fixture_terms(struct fixture *f, const struct rialto_terms_line *line)
{
    return fixture_put(f, RIALTO_TABLE_TERMS, key_partition(line->key), line);
}

/* A zone's line, in the partition of `owner` (the zone's own name for zones that requests name). */
static inline uint64_t fixture_zone(struct fixture *f, const char *owner, const char *name, uint32_t ancestors,
                                    const char *const ancestor[], uint16_t currency)
{
    struct rialto_zone_line line = { .currency = currency,
                                     .ancestor_count = (uint8_t)ancestors,
                                     .name_bytes = (uint8_t)strlen(name),
                                     .key = fixture_key(f, name) };
    for (uint32_t i = 0; i < ancestors; i++) {
        size_t bytes = strlen(ancestor[i]);
        line.ancestor[i] = fixture_key(f, ancestor[i]);
        line.ancestor_name_bytes[i] = strncmp(name, ancestor[i], bytes) == 0 ? (uint8_t)bytes : 0;
    }
    (void)snprintf(line.name, sizeof line.name, "%s", name);
    return fixture_put(f, RIALTO_TABLE_ZONES, key_partition(fixture_key(f, owner)), &line);
}
#endif
