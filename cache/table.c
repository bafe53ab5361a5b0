/* table.c - a partition's owner finds, claims, writes and deletes lines; cache/segment.h says how they are found.
 *
 * Invariant  between the home of a live key and its line there is no empty tag (else readers would stop early);
 *            a deleted line that some live key's probe passes keeps the tag "deleted", any other's becomes empty.
 * Crash      one line at most is open, and one tag at most is not that of its line: those of the slot in side_ref. */
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

static _Atomic uint64_t *tags_of(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    struct rialto_segment *segment = segment_of(cache, table, partition);
    uint64_t offset = atomic_load_explicit(&segment->tags, memory_order_relaxed);
    return (_Atomic uint64_t *)(void *)(cache->folder.table[table].base + offset);
}

uint64_t table_capacity(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return atomic_load_explicit(&segment_of(cache, table, partition)->capacity, memory_order_relaxed);
}

uint64_t table_used(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return atomic_load_explicit(&segment_of(cache, table, partition)->used, memory_order_relaxed);
}

static bool key_usable(struct rialto_key key)
{
    return !key_is_none(key) && (key.lo & key.hi) != UINT64_MAX;
}

uint64_t table_find(const struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key)
{
    assert(key_usable(key));
    const _Atomic uint64_t *tags = tags_of(cache, table, partition);
    struct walk w;
    uint64_t slot = 0;
    walk_begin(&w, tags, table_capacity(cache, table, partition), key);
    while (walk_next(&w, tags, &slot)) {
        struct line_place at = place_of(cache, table, partition, slot);
        if (key_equal(key_at(&at), key))
            return slot;
    }
    return SLOT_NONE;
}

/* The first line along the key's probe that is nobody's, or SLOT_NONE. */
static uint64_t find_spare(const struct cache *cache, enum rialto_table table, uint32_t partition,
                           struct rialto_key key)
{
    const _Atomic uint64_t *tags = tags_of(cache, table, partition);
    struct walk w;
    walk_begin(&w, tags, table_capacity(cache, table, partition), key);
    while (w.spare == 0) {
        if (!walk_on_(&w, tags))
            return SLOT_NONE;
    }
    return (uint64_t)w.at * TAGS_PER_WORD + (uint64_t)__builtin_ctzll(w.spare) / 8;
}

enum rialto_status table_claim(struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key,
                               uint64_t *ret_slot)
{
    uint64_t slot = table_find(cache, table, partition, key);
    if (slot == SLOT_NONE)
        slot = find_spare(cache, table, partition, key);
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
    assert(key_usable(next));
    bool fresh = key_is_none(now);
    assert(fresh || key_equal(now, next)); /* else another key's line would be lost without being deleted */
    if (same_version(&at, image))
        return false;

    uint64_t used = table_used(cache, table, partition);
    line_write(&at, &(struct line_version){ .image = image, .used = used + (fresh ? 1 : 0) },
               &(struct line_version){ .image = NULL, .used = used });
    if (fresh)
        tags_set(tags_of(cache, table, partition), slot, segment_tag(next));
    return true;
}

bool table_read(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, void *ret_line)
{
    struct line_place at = place_of(cache, table, partition, slot);
    uint64_t image[LINE_WORDS_MAX];
    line_peek(at.word, at.words, image);
    if (key_is_none((struct rialto_key){ .lo = image[1], .hi = image[2] }))
        return false;
    memcpy(ret_line, image, at.words * sizeof image[0]);
    return true;
}

/* Does the probe of some live key, from its home to its line, pass over this slot? Only keys in the unbroken run behind
 * the slot can, and none that is further than a probe is long. */
static bool slot_is_passed(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    const _Atomic uint64_t *tags = tags_of(cache, table, partition);
    uint64_t capacity = table_capacity(cache, table, partition);
    uint64_t limit = capacity < RIALTO_PROBE_MAX ? capacity : RIALTO_PROBE_MAX;
    uint64_t behind = slot;
    for (uint64_t distance = 1; distance < limit; distance++) {
        behind = behind + 1 == capacity ? 0 : behind + 1;
        uint64_t tag = tags_get(tags, behind);
        if (tag == RIALTO_TAG_EMPTY)
            return false;
        if (tag == RIALTO_TAG_DELETED)
            continue;
        struct line_place at = place_of(cache, table, partition, behind);
        uint64_t home = segment_home(key_at(&at), capacity);
        uint64_t from_home = behind >= home ? behind - home : behind + capacity - home;
        if (from_home >= distance)
            return true;
    }
    return false;
}

/* Tags of deleted lines lengthen probes: empty this one, and those before it, as far as nobody's probe needs them. */
static void sweep_deleted(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    _Atomic uint64_t *tags = tags_of(cache, table, partition);
    uint64_t capacity = table_capacity(cache, table, partition);
    for (uint64_t swept = 0; swept < RIALTO_PROBE_MAX; swept++) {
        if (tags_get(tags, slot) != RIALTO_TAG_DELETED || slot_is_passed(cache, table, partition, slot))
            return;
        tags_set(tags, slot, RIALTO_TAG_EMPTY);
        slot = slot == 0 ? capacity - 1 : slot - 1;
    }
}

void table_delete(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    struct line_place at = place_of(cache, table, partition, slot);
    if (key_is_none(key_at(&at)))
        return;
    /* The version that is safe to read from now on is the empty one: the side line keeps nothing of the old. */
    const struct line_version gone = { .image = EMPTY_IMAGE, .used = table_used(cache, table, partition) - 1 };
    line_write(&at, &gone, &gone);
    tags_set(tags_of(cache, table, partition), slot, RIALTO_TAG_DELETED);
    sweep_deleted(cache, table, partition, slot);
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

    /* The owner may have died between a line and its tag. "Deleted" is right for any line that is nobody's. */
    _Atomic uint64_t *tags = tags_of(cache, table, partition);
    struct rialto_key key = key_at(&at);
    if (!key_is_none(key))
        tags_set(tags, slot, segment_tag(key));
    else if (tags_get(tags, slot) >= RIALTO_TAG_MIN)
        tags_set(tags, slot, RIALTO_TAG_DELETED);
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
    LINE_STEP();
    cache->folder.rule[count] = *row;
    LINE_STEP();
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
