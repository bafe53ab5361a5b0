/* table.c - a partition's owner finds, claims, writes and deletes lines.
 *
 * A segment is a hash table with linear probing. A key's home comes from its low half by multiply-shift, so a capacity
 * may be any number. Lines never move, so a reader that probes along meets every key that stays.
 *
 * Invariant  between the home of a live key and its line there is no empty line (else readers would stop early);
 *            a deleted line that some live key's probe passes stays a tombstone, any other becomes empty. */
#include "cache/table.h"

#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/line.h"
#include "cache/ring.h"
#include "cache/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cache {
    struct folder folder;
};

static const uint64_t EMPTY_IMAGE[LINE_WORDS_MAX];
static const uint64_t TOMBSTONE_IMAGE[LINE_WORDS_MAX] = { 0, UINT64_MAX, UINT64_MAX };

enum rialto_status cache_open(const char *folder, struct cache **ret)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = folder_open(folder, true, &cache->folder);
    if (status != RIALTO_OK) {
        free(cache);
        return status;
    }
    *ret = cache;
    return RIALTO_OK;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    folder_close(&cache->folder);
    free(cache);
}

struct rialto_control *cache_control(struct cache *cache)
{
    return cache->folder.control;
}

static struct rialto_segment *segment_of(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    assert((uint32_t)table < RIALTO_TABLE_COUNT);
    assert(partition < RIALTO_PARTITIONS);
    return &cache->folder.table[table].segment[partition];
}

/* The place of a line. Owner only: its segment does not move under it, so relaxed loads do. */
static struct line_place place_of(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    struct rialto_segment *segment = segment_of(cache, table, partition);
    assert(slot < atomic_load_explicit(&segment->capacity, memory_order_relaxed));
    uint64_t offset = atomic_load_explicit(&segment->offset, memory_order_relaxed);
    uint8_t *line = cache->folder.table[table].base + offset + slot * folder_table_line_bytes(table);
    return (struct line_place){
        .segment = segment,
        .word = (_Atomic uint64_t *)(void *)line,
        .slot = slot,
        .words = folder_table_words(table),
    };
}

static struct rialto_key key_at(const struct line_place *at)
{
    uint64_t head[3];
    line_peek(at->word, 3, head);
    return (struct rialto_key){ .lo = head[1], .hi = head[2] };
}

uint64_t table_capacity(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return atomic_load_explicit(&segment_of(cache, table, partition)->capacity, memory_order_relaxed);
}

uint64_t table_used(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return atomic_load_explicit(&segment_of(cache, table, partition)->used, memory_order_relaxed);
}

struct owner_probe {
    uint64_t found; /* the key's slot, or SLOT_NONE */
    uint64_t free;  /* the first slot that the key could take, or SLOT_NONE */
};

static struct owner_probe owner_probe(const struct cache *cache, enum rialto_table table, uint32_t partition,
                                      struct rialto_key key)
{
    assert(!key_is_none(key) && !key_is_tombstone(key));
    struct owner_probe probe = { .found = SLOT_NONE, .free = SLOT_NONE };
    uint64_t capacity = table_capacity(cache, table, partition);
    uint64_t slot = segment_home(key, capacity);

    for (uint64_t looked = 0; looked < segment_probe_max(capacity); looked++) {
        struct line_place at = place_of(cache, table, partition, slot);
        struct rialto_key seen = key_at(&at);
        if (key_equal(seen, key)) {
            probe.found = slot;
            return probe;
        }
        if (probe.free == SLOT_NONE && (key_is_none(seen) || key_is_tombstone(seen)))
            probe.free = slot;
        if (key_is_none(seen))
            return probe;
        slot = segment_next(slot, capacity);
    }
    return probe;
}

uint64_t table_find(const struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key)
{
    return owner_probe(cache, table, partition, key).found;
}

enum rialto_status table_claim(struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key,
                               uint64_t *ret_slot)
{
    struct owner_probe probe = owner_probe(cache, table, partition, key);
    uint64_t slot = probe.found != SLOT_NONE ? probe.found : probe.free;
    if (slot == SLOT_NONE)
        return RIALTO_FULL;
    *ret_slot = slot;
    return RIALTO_OK;
}

/* Is the version in the line the same, its seq aside? */
static bool same_version(const struct line_place *at, const uint64_t *image)
{
    uint64_t now[LINE_WORDS_MAX];
    line_peek(at->word, at->words, now);
    if (now[0] >> 32 != image[0] >> 32 || (now[0] & 1u) != 0)
        return false;
    return memcmp(&now[1], &image[1], (at->words - 1) * sizeof now[0]) == 0;
}

bool table_write(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, const void *line)
{
    struct line_place at = place_of(cache, table, partition, slot);
    uint64_t image[LINE_WORDS_MAX];
    memcpy(image, line, at.words * sizeof image[0]);

    struct rialto_key next = { .lo = image[1], .hi = image[2] }, now = key_at(&at);
    assert(!key_is_none(next) && !key_is_tombstone(next));
    bool fresh = key_is_none(now) || key_is_tombstone(now);
    assert(fresh || key_equal(now, next)); /* else another key's line would be lost without being deleted */
    if (same_version(&at, image))
        return false;

    uint64_t used = table_used(cache, table, partition);
    line_write(&at, &(struct line_version){ .image = image, .used = used + (fresh ? 1 : 0) },
               &(struct line_version){ .image = NULL, .used = used });
    return true;
}

bool table_read(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, void *ret_line)
{
    struct line_place at = place_of(cache, table, partition, slot);
    uint64_t image[LINE_WORDS_MAX];
    line_peek(at.word, at.words, image);
    struct rialto_key key = { .lo = image[1], .hi = image[2] };
    if (key_is_none(key) || key_is_tombstone(key))
        return false;
    memcpy(ret_line, image, at.words * sizeof image[0]);
    return true;
}

/* Does the probe of some live key, from its home to its line, pass over this slot? Only keys in the unbroken run behind
 * the slot can, and none that is further than a probe is long. */
static bool slot_is_passed(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    uint64_t capacity = table_capacity(cache, table, partition);
    uint64_t behind = slot;
    for (uint64_t distance = 1; distance < segment_probe_max(capacity); distance++) {
        behind = segment_next(behind, capacity);
        struct line_place at = place_of(cache, table, partition, behind);
        struct rialto_key key = key_at(&at);
        if (key_is_none(key))
            return false;
        if (key_is_tombstone(key))
            continue;
        uint64_t home = segment_home(key, capacity);
        uint64_t from_home = behind >= home ? behind - home : behind + capacity - home;
        if (from_home >= distance)
            return true;
    }
    return false;
}

/* Tombstones lengthen probes: empty this one, and those before it, as far as nobody's probe needs them. */
static void sweep_tombstones(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    uint64_t capacity = table_capacity(cache, table, partition);
    uint64_t used = table_used(cache, table, partition);
    const struct line_version empty = { .image = EMPTY_IMAGE, .used = used };

    for (uint64_t swept = 0; swept < segment_probe_max(capacity); swept++) {
        struct line_place at = place_of(cache, table, partition, slot);
        if (!key_is_tombstone(key_at(&at)) || slot_is_passed(cache, table, partition, slot))
            return;
        line_write(&at, &empty, &empty);
        slot = slot == 0 ? capacity - 1 : slot - 1;
    }
}

void table_delete(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    struct line_place at = place_of(cache, table, partition, slot);
    struct rialto_key key = key_at(&at);
    if (key_is_none(key) || key_is_tombstone(key))
        return;
    /* The version that is safe to read from now on is the deleted one: the side line keeps nothing of the old. */
    const struct line_version gone = { .image = TOMBSTONE_IMAGE, .used = table_used(cache, table, partition) - 1 };
    line_write(&at, &gone, &gone);
    sweep_tombstones(cache, table, partition, slot);
}

void table_repair(struct cache *cache, enum rialto_table table, uint32_t partition)
{
    struct rialto_segment *segment = segment_of(cache, table, partition);
    /* At most one line can be open, and the side line was made for it before it was opened. */
    uint64_t ref = atomic_load_explicit(&segment->side_ref, memory_order_relaxed);
    if (ref == 0)
        return;
    uint64_t slot = (ref >> 32) - 1;
    if (slot >= table_capacity(cache, table, partition))
        return;
    struct line_place at = place_of(cache, table, partition, slot);
    line_repair(&at);
}

enum rialto_status rule_append(struct cache *cache, const struct rialto_rule_row *row, uint16_t *ret_rule)
{
    struct rialto_rules_header *header = cache->folder.rules;
    uint32_t count = atomic_load_explicit(&header->count, memory_order_relaxed);
    assert(count <= RIALTO_RULES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(&cache->folder.rule[i], row, sizeof *row) == 0) {
            *ret_rule = (uint16_t)i;
            return RIALTO_OK;
        }
    }
    if (count == RIALTO_RULES_MAX)
        return RIALTO_FULL;
    cache->folder.rule[count] = *row;
    /* Release pairs with the readers' acquire of count: a row that may be read is whole, and never changes again. */
    atomic_store_explicit(&header->count, count + 1, memory_order_release);
    *ret_rule = (uint16_t)count;
    return RIALTO_OK;
}

enum rialto_status rule_find(const struct cache *cache, uint64_t model_hash, const char currency[4], uint16_t *ret_rule)
{
    uint32_t count = atomic_load_explicit(&cache->folder.rules->count, memory_order_acquire);
    for (uint32_t i = count; i-- > 0;) { /* the newest first */
        const struct rialto_rule_row *row = &cache->folder.rule[i];
        if (row->model_hash == model_hash && strncmp(row->currency, currency, sizeof row->currency) == 0) {
            *ret_rule = (uint16_t)i;
            return RIALTO_OK;
        }
    }
    return RIALTO_NOT_FOUND;
}

const struct rialto_rule_row *rule_at(const struct cache *cache, uint16_t rule)
{
    uint32_t count = atomic_load_explicit(&cache->folder.rules->count, memory_order_acquire);
    return rule < count ? &cache->folder.rule[rule] : NULL;
}

void ring_append(struct cache *cache, uint32_t worker, const struct rialto_ring_entry *entry)
{
    assert(worker < cache->folder.rings->ring_count);
    union ring_image image = { .entry = *entry };
    ring_put(&cache->folder.ring[worker], &image);
}
