/* table.c - a partition's owner finds, claims, writes and deletes lines; cache/segment.h says how they are found.
 *
 * Invariant  between the home of a live key and its line there is no empty tag (else readers would stop early);
 *            a deleted line that some live key's probe passes keeps the tag "deleted", any other's becomes empty.
 * Growth     a new key's claim makes the next extent in slices, before the room runs out (cache/grow.h says how). New keys
 *            go into the newest extent that is not yet filled; filled further than that only when nothing can grow.
 * Crash      one line at most is open, and one tag at most is not that of its line: those of the slot in side_ref. */
#include "cache/table.h"

#include "cache/fetch.h"
#include "cache/folder.h"
#include "cache/grow.h"
#include "cache/keys.h"
#include "cache/line.h"
#include "cache/ring.h"
#include "cache/segment.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define FILL_PERCENT      75u /* of an extent: above it a probe soon costs more than it should */
#define GROW_PERCENT      62u /* of a segment: from here on the next extent is made, slice by slice */
#define GROW_SLICE_BYTES  FOLDER_LARGE_PAGE
#define GROW_SLICE_CLAIMS 1024u /* new keys from slice to slice: a whole region is ready long before it is needed */
#define GROW_RETRY_CLAIMS 4096u /* new keys after a refusal before the file system is asked again */

#ifndef TABLE_OTHER_WORDS
#define TABLE_OTHER_WORDS 32u /* of lines that are neither 8 nor 16 words long; tests have shorter ones */
#endif

/* A segment's extents as they were found or made by this process, the newest first: once published they never change, so a write
 * of a known place reads neither the directory nor checks it again. What such a write needs of it lies in one line of the processor's
 * cache. */
struct segment_view {
    alignas(64) struct rialto_segment *segment;
    uint64_t count;
    struct extent_view extent[RIALTO_EXTENTS_MAX]; /* those that are not there have no capacity */
};

struct cache {
    struct segment_view view[RIALTO_TABLE_COUNT][RIALTO_PARTITIONS];
    struct folder folder;
    struct table_growth growth[RIALTO_TABLE_COUNT];
    uint32_t claims_to_slice; /* new keys until the next slice */
    uint32_t claims_to_retry[RIALTO_TABLE_COUNT];
    /* How many keys each extent has. Counted when first needed, then kept. */
    bool counted[RIALTO_TABLE_COUNT][RIALTO_PARTITIONS];
    uint32_t extent_used[RIALTO_TABLE_COUNT][RIALTO_PARTITIONS][RIALTO_EXTENTS_MAX];
};

static const uint64_t EMPTY_IMAGE[LINE_WORDS_MAX];

static struct extent_view extent_view_of(const struct cache *cache, enum rialto_table table, uint32_t partition,
                                         uint32_t number)
{
    const struct folder_table *t = &cache->folder.table[table];
    return extent_view(t, folder_table_words(table), &t->extents[partition].extent[number]);
}

static void view_extents(struct cache *cache, enum rialto_table table, uint32_t partition)
{
    struct segment_view *seen = &cache->view[table][partition];
    uint32_t count = folder_extent_count(&cache->folder.table[table].extents[partition]);
    for (; seen->count < count; seen->count++) {
        memmove(&seen->extent[1], &seen->extent[0], seen->count * sizeof seen->extent[0]);
        seen->extent[0] = extent_view_of(cache, table, partition, (uint32_t)seen->count);
    }
    seen->segment = &cache->folder.table[table].segment[partition];
}

enum rialto_status cache_open(const char *folder, struct cache **ret)
{
    struct cache *cache = aligned_alloc(alignof(struct cache), sizeof *cache);
    if (cache == NULL)
        return RIALTO_NO_MEMORY;
    memset(cache, 0, sizeof *cache);
    enum rialto_status status = folder_open(folder, true, &cache->folder);
    if (status != RIALTO_OK) {
        free(cache);
        return status;
    }
    for (uint32_t table = 0; table < RIALTO_TABLE_COUNT; table++) {
        for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++)
            view_extents(cache, table, partition);
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

struct extent { /* one extent, for the segment's owner */
    enum rialto_table table;
    uint32_t partition;
    uint32_t number;
    struct extent_view in;
    _Atomic uint64_t *tags;
};

static struct rialto_extents *extents_of(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    assert((uint32_t)table < RIALTO_TABLE_COUNT);
    assert(partition < RIALTO_PARTITIONS);
    return &cache->folder.table[table].extents[partition];
}

static uint32_t extent_count(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return folder_extent_count(extents_of(cache, table, partition));
}

static struct extent extent_at(const struct cache *cache, enum rialto_table table, uint32_t partition, uint32_t number)
{
    const struct segment_view *seen = &cache->view[table][partition];
    struct extent_view in =
        number < seen->count ? seen->extent[seen->count - 1 - number] : extent_view_of(cache, table, partition, number);
    return (struct extent){ table, partition, number, in, (_Atomic uint64_t *)in.tags };
}

static struct extent extent_of_slot(const struct cache *cache, enum rialto_table table, uint32_t partition,
                                    uint64_t slot)
{
    uint32_t number = segment_extent_of(extents_of(cache, table, partition), slot);
    assert(number < RIALTO_EXTENTS_MAX);
    return extent_at(cache, table, partition, number);
}

SEGMENT_INLINE const struct segment_view *seen_of(const struct cache *cache, enum rialto_table table,
                                                  uint32_t partition)
{
    assert((uint32_t)table < RIALTO_TABLE_COUNT);
    assert(partition < RIALTO_PARTITIONS);
    return &cache->view[table][partition];
}

/* The first word of a slot without a look at the directory; NULL when another process has made its extent since this one opened. */
SEGMENT_INLINE _Atomic uint64_t *seen_word(const struct segment_view *seen, uint64_t slot, uint32_t words)
{
    for (const struct extent_view *in = seen->extent; in != seen->extent + RIALTO_EXTENTS_MAX; in++) {
        uint64_t line = slot - in->first;
        if (__builtin_expect(line < in->capacity, 1))
            return (_Atomic uint64_t *)&in->lines[line * words];
    }
    return NULL;
}

/* The place of a line. Owner only: extents do not appear under it, so relaxed loads do. */
static struct line_place place_in(const struct cache *cache, const struct extent *extent, uint64_t slot)
{
    assert(slot - extent->in.first < extent->in.capacity);
    uint32_t words = folder_table_words(extent->table);
    return (struct line_place){
        .segment = segment_of(cache, extent->table, extent->partition),
        .word = (_Atomic uint64_t *)&extent->in.lines[(slot - extent->in.first) * words],
        .slot = slot,
        .words = words,
    };
}

static struct line_place place_of(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    struct extent extent = extent_of_slot(cache, table, partition, slot);
    return place_in(cache, &extent, slot);
}

static struct rialto_key key_at(const struct line_place *at)
{
    uint64_t head[3];
    line_peek(at->word, 3, head);
    return (struct rialto_key){ .lo = head[1], .hi = head[2] };
}

uint64_t table_capacity(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return folder_capacity(extents_of(cache, table, partition));
}

uint64_t table_capacity_max(const struct cache *cache, enum rialto_table table)
{
    return cache->folder.table[table].header->capacity_max;
}

uint64_t table_used(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return atomic_load_explicit(&segment_of(cache, table, partition)->used, memory_order_relaxed);
}

struct table_growth table_growth(const struct cache *cache, enum rialto_table table)
{
    struct table_growth growth = cache->growth[table];
    growth.regions_lost = atomic_load_explicit(&cache->folder.table[table].header->regions_lost, memory_order_relaxed);
    return growth;
}

static bool key_usable(struct rialto_key key)
{
    return !key_is_none(key) && (key.lo & key.hi) != UINT64_MAX;
}

static uint64_t find_in(const struct cache *cache, const struct extent *extent, struct rialto_key key)
{
    struct walk w;
    uint64_t slot = 0;
    walk_begin(&w, extent->tags, extent->in.capacity, key, false);
    while (walk_next(&w, extent->tags, &slot)) {
        struct line_place at = place_in(cache, extent, extent->in.first + slot);
        if (key_equal(key_at(&at), key))
            return extent->in.first + slot;
    }
    return SLOT_NONE;
}

uint64_t table_find(const struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key)
{
    assert(key_usable(key));
    uint64_t slot = SLOT_NONE;
    for (uint32_t i = extent_count(cache, table, partition); i-- > 0 && slot == SLOT_NONE;) {
        struct extent extent = extent_at(cache, table, partition, i);
        slot = find_in(cache, &extent, key);
    }
    return slot;
}

/* The first line along the key's probe that is nobody's, or SLOT_NONE. */
static uint64_t find_spare_in(const struct extent *extent, struct rialto_key key)
{
    struct walk w;
    walk_begin(&w, extent->tags, extent->in.capacity, key, true);
    while (w.spare == 0) {
        if (!walk_on_(&w, extent->tags, true))
            return SLOT_NONE;
    }
    return extent->in.first + (uint64_t)w.at * TAGS_PER_WORD + (uint64_t)__builtin_ctzll(w.spare) / 8;
}

/* ---- room ---------------------------------------------------------------------------------------------------- */

static void count_used(struct cache *cache, enum rialto_table table, uint32_t partition)
{
    uint32_t *used = cache->extent_used[table][partition];
    if (cache->counted[table][partition])
        return;
    memset(used, 0, RIALTO_EXTENTS_MAX * sizeof used[0]);
    for (uint32_t i = 0; i < extent_count(cache, table, partition); i++) {
        struct extent extent = extent_at(cache, table, partition, i);
        for (uint64_t word = 0; word < extent.in.capacity / TAGS_PER_WORD; word++) {
            uint64_t tags = atomic_load_explicit(&extent.tags[word], memory_order_relaxed);
            uint64_t nobody = tags_zero(tags) | tags_equal(tags, RIALTO_TAG_DELETED);
            used[i] += TAGS_PER_WORD - (uint32_t)__builtin_popcountll(nobody);
        }
    }
    cache->counted[table][partition] = true;
}

static void note_used(struct cache *cache, const struct extent *extent, int change)
{
    uint32_t *used = &cache->extent_used[extent->table][extent->partition][extent->number];
    if (cache->counted[extent->table][extent->partition])
        *used = (uint32_t)((int64_t)*used + change);
}

/* A free line for a new key, in extents below their fill or, with `brimful`, in any. */
static uint64_t find_spare(const struct cache *cache, enum rialto_table table, uint32_t partition,
                           struct rialto_key key, bool brimful)
{
    uint64_t slot = SLOT_NONE;
    for (uint32_t i = extent_count(cache, table, partition); i-- > 0 && slot == SLOT_NONE;) {
        struct extent extent = extent_at(cache, table, partition, i);
        uint64_t used = cache->extent_used[table][partition][i];
        if (brimful || used * 100 < extent.in.capacity * FILL_PERCENT)
            slot = find_spare_in(&extent, key);
    }
    return slot;
}

static struct grow_place grow_place_of(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    return (struct grow_place){
        .table = &cache->folder.table[table],
        .extents = extents_of(cache, table, partition),
        .segment = segment_of(cache, table, partition),
        .line_bytes = folder_table_line_bytes(table),
    };
}

static uint64_t mono_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A slice of the next extent, or with `finish` all that is missing. True when the extent was published. */
static bool grow_step(struct cache *cache, enum rialto_table table, uint32_t partition, bool finish)
{
    struct grow_place g = grow_place_of(cache, table, partition);
    enum rialto_status status = grow_pending(&g) ? RIALTO_OK : grow_begin(&g);
    do {
        if (status == RIALTO_OK)
            status = grow_reserve(&g, GROW_SLICE_BYTES);
    } while (status == RIALTO_OK && finish && grow_missing(&g) > 0);
    if (status != RIALTO_OK) {
        cache->growth[table].refused++;
        cache->growth[table].refusal = status;
        cache->claims_to_retry[table] = GROW_RETRY_CLAIMS;
        return false;
    }
    if (grow_missing(&g) > 0)
        return false;
    grow_publish(&g);
    view_extents(cache, table, partition);
    cache->growth[table].extents++;
    return true;
}

/* The same, unless the file system said no a little while ago; and how long it took. */
static bool grow(struct cache *cache, enum rialto_table table, uint32_t partition, bool finish)
{
    if (cache->claims_to_retry[table] > 0) {
        cache->claims_to_retry[table]--;
        return false;
    }
    uint64_t began_us = mono_us();
    bool published = grow_step(cache, table, partition, finish);
    uint64_t took_us = mono_us() - began_us;
    if (took_us > cache->growth[table].slowest_us)
        cache->growth[table].slowest_us = took_us;
    cache->growth[table].steps++;
    cache->claims_to_slice = GROW_SLICE_CLAIMS;
    return published;
}

static bool may_grow(const struct cache *cache, enum rialto_table table, uint32_t partition)
{
    const struct rialto_extents *extents = extents_of(cache, table, partition);
    return folder_extent_count(extents) < RIALTO_EXTENTS_MAX &&
           folder_capacity(extents) < table_capacity_max(cache, table);
}

/* In slices, while there is room: no claim waits for more than one of them. */
static void grow_ahead(struct cache *cache, enum rialto_table table, uint32_t partition)
{
    if (cache->claims_to_slice > 0)
        cache->claims_to_slice--;
    uint64_t used = table_used(cache, table, partition), capacity = table_capacity(cache, table, partition);
    if (cache->claims_to_slice == 0 && used * 100 >= capacity * GROW_PERCENT && may_grow(cache, table, partition))
        (void)grow(cache, table, partition, false);
}

bool table_room_again(struct cache *cache)
{
    struct statvfs fs;
    if (fstatvfs(cache->folder.table[0].fd, &fs) == -1)
        return false;
    if (fs.f_blocks != 0 && (uint64_t)fs.f_bavail * fs.f_frsize < GROW_SLICE_BYTES) /* a tmpfs without a limit says 0 */
        return false;
    memset(cache->claims_to_retry, 0, sizeof cache->claims_to_retry);
    return true;
}

/* Tags that are not those of their lines were not written by an owner: the file was damaged. A tag of somebody's line is put right. */
static void tag_heal(struct cache *cache, const struct extent *extent, uint64_t slot, struct rialto_key key)
{
    uint64_t line = slot - extent->in.first;
    if (tags_get(extent->tags, line) < RIALTO_TAG_MIN)
        note_used(cache, extent, 1);
    tags_set(extent->tags, line, segment_tag(key));
    cache->growth[extent->table].healed++;
}

/* find_spare() with a look at the line itself: a place that its tag alone calls free is its key's, and is passed over. Ends, because
 * each such tag is put right. */
static uint64_t find_free(struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key,
                          bool brimful)
{
    for (;;) {
        uint64_t slot = find_spare(cache, table, partition, key, brimful);
        if (slot == SLOT_NONE)
            return SLOT_NONE;
        struct extent extent = extent_of_slot(cache, table, partition, slot);
        struct line_place at = place_in(cache, &extent, slot);
        struct rialto_key owner = key_at(&at);
        if (key_is_none(owner))
            return slot;
        tag_heal(cache, &extent, slot, owner);
        if (key_equal(owner, key))
            return slot;
    }
}

enum rialto_status table_claim(struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key,
                               uint64_t *ret_slot)
{
    uint64_t slot = table_find(cache, table, partition, key);
    if (slot == SLOT_NONE) {
        count_used(cache, table, partition);
        grow_ahead(cache, table, partition);
        slot = find_free(cache, table, partition, key, false);
    }
    if (slot == SLOT_NONE && may_grow(cache, table, partition) && grow(cache, table, partition, true))
        slot = find_free(cache, table, partition, key, false);
    if (slot == SLOT_NONE)
        slot = find_free(cache, table, partition, key, true);
    if (slot == SLOT_NONE)
        return RIALTO_FULL;
    *ret_slot = slot;
    return RIALTO_OK;
}

/* ---- lines --------------------------------------------------------------------------------------------------- */

/* A key has got its line: mark it. */
static void mark_used(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot,
                      struct rialto_key key)
{
    struct extent extent = extent_of_slot(cache, table, partition, slot);
    tags_set(extent.tags, slot - extent.in.first, segment_tag(key));
    note_used(cache, &extent, 1);
}

/* A line that is not yet the key's. */
static __attribute__((noinline)) bool write_first(struct cache *cache, enum rialto_table table, uint32_t partition,
                                                  uint64_t slot, const void *line)
{
    struct line_place at = place_of(cache, table, partition, slot);
    struct rialto_key next = { .lo = line_image_word_(line, 1), .hi = line_image_word_(line, 2) }, before = key_at(&at);
    assert(key_usable(next));
    bool fresh = key_is_none(before);
    if (!fresh && !key_equal(before, next)) { /* the place was claimed for this key: what stands there is damage */
        struct extent extent = extent_of_slot(cache, table, partition, slot);
        tag_heal(cache, &extent, slot, next);
    }
    if (line_says(at.word, at.words, line))
        return false;

    uint64_t used = atomic_load_explicit(&at.segment->used, memory_order_relaxed);
    line_write(&at, &(struct line_version){ .image = line, .used = used + (fresh ? 1 : 0) },
               &(struct line_version){ .image = NULL, .used = used });
    if (fresh)
        mark_used(cache, table, partition, slot, next);
    return true;
}

/* Most are: the next version at a known place. What the first one needs is left out, so that registers are enough for the rest. */
SEGMENT_INLINE bool write_next(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot,
                               uint32_t words, const void *line)
{
    const struct segment_view *seen = seen_of(cache, table, partition);
    const struct line_place at = {
        .segment = seen->segment, .word = seen_word(seen, slot, words), .slot = slot, .words = words /* a constant */
    };
    struct rialto_key next = { .lo = line_image_word_(line, 1), .hi = line_image_word_(line, 2) };
    if (__builtin_expect(at.word == NULL || !key_equal(key_at(&at), next) || !key_usable(next), 0))
        return write_first(cache, table, partition, slot, line);
    if (__builtin_expect(line_says(at.word, words, line), 0))
        return false;
    uint64_t used = atomic_load_explicit(&at.segment->used, memory_order_relaxed);
    line_write(&at, &(struct line_version){ .image = line, .used = used },
               &(struct line_version){ .image = NULL, .used = used });
    return true;
}

static __attribute__((noinline)) bool write_16(struct cache *cache, enum rialto_table table, uint32_t partition,
                                               uint64_t slot, const void *line)
{
    return write_next(cache, table, partition, slot, 16, line);
}

static __attribute__((noinline)) bool write_other(struct cache *cache, enum rialto_table table, uint32_t partition,
                                                  uint64_t slot, const void *line)
{
    return write_next(cache, table, partition, slot, TABLE_OTHER_WORDS, line);
}

bool table_write(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, const void *line)
{
    switch (folder_table_words(table)) {
    case 8: return write_next(cache, table, partition, slot, 8, line);
    case 16: return write_16(cache, table, partition, slot, line);
    default: return write_other(cache, table, partition, slot, line);
    }
}

bool table_exchange(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, const void *line,
                    void *ret_before, bool *ret_was)
{
    assert(folder_table_words(table) == 8);
    const _Atomic uint64_t *word = seen_word(seen_of(cache, table, partition), slot, 8);
    if (__builtin_expect(word == NULL, 0))
        word = place_of(cache, table, partition, slot).word;
    line_copy_out(word, 8, ret_before);
    *ret_was = !key_is_none(
        (struct rialto_key){ .lo = line_image_word_(ret_before, 1), .hi = line_image_word_(ret_before, 2) });
    return write_next(cache, table, partition, slot, 8, line);
}

void table_prefetch(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    uint32_t words = folder_table_words(table);
    const _Atomic uint64_t *word = seen_word(seen_of(cache, table, partition), slot, words);
    for (uint32_t w = 0; word != NULL && w < words; w += 8)
        __builtin_prefetch((const void *)&word[w], 1);
    FETCH_STAYS();
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

/* The first line of an extent, at or behind `from` (counted in it), that is somebody's. */
static uint64_t line_next_in(const struct extent *extent, uint64_t from)
{
    for (uint64_t line = from; line < extent->in.capacity;) {
        if (line % TAGS_PER_WORD == 0 &&
            atomic_load_explicit(&extent->tags[line / TAGS_PER_WORD], memory_order_relaxed) == 0)
            line += TAGS_PER_WORD;
        else if (tags_get(extent->tags, line) >= RIALTO_TAG_MIN)
            return line;
        else
            line++;
    }
    return SLOT_NONE;
}

uint64_t table_next(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t from)
{
    for (uint32_t i = 0; i < extent_count(cache, table, partition); i++) {
        struct extent extent = extent_at(cache, table, partition, i);
        uint64_t line = line_next_in(&extent, from > extent.in.first ? from - extent.in.first : 0);
        if (line != SLOT_NONE)
            return extent.in.first + line;
    }
    return SLOT_NONE;
}

/* Does the probe of some live key, from its home to its line, pass over this line (counted in its extent)? Only keys in the
 * unbroken run behind it can, and none that is further than a probe is long. */
static bool line_is_passed(const struct cache *cache, const struct extent *extent, uint64_t line)
{
    uint64_t capacity = extent->in.capacity;
    uint64_t limit = capacity < RIALTO_PROBE_MAX ? capacity : RIALTO_PROBE_MAX;
    uint64_t behind = line;
    for (uint64_t distance = 1; distance < limit; distance++) {
        behind = behind + 1 == capacity ? 0 : behind + 1;
        uint64_t tag = tags_get(extent->tags, behind);
        if (tag == RIALTO_TAG_EMPTY)
            return false;
        if (tag == RIALTO_TAG_DELETED)
            continue;
        struct line_place at = place_in(cache, extent, extent->in.first + behind);
        uint64_t home = segment_home(key_at(&at), capacity);
        uint64_t from_home = behind >= home ? behind - home : behind + capacity - home;
        if (from_home >= distance)
            return true;
    }
    return false;
}

/* Tags of deleted lines lengthen probes: empty this one, and those before it, as far as nobody's probe needs them. */
static void sweep_deleted(struct cache *cache, const struct extent *extent, uint64_t line)
{
    for (uint64_t swept = 0; swept < RIALTO_PROBE_MAX; swept++) {
        if (tags_get(extent->tags, line) != RIALTO_TAG_DELETED || line_is_passed(cache, extent, line))
            return;
        tags_set(extent->tags, line, RIALTO_TAG_EMPTY);
        line = line == 0 ? extent->in.capacity - 1 : line - 1;
    }
}

void table_delete(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    struct extent extent = extent_of_slot(cache, table, partition, slot);
    struct line_place at = place_in(cache, &extent, slot);
    if (key_is_none(key_at(&at)))
        return;
    /* The version that is safe to read from now on is the empty one: the side line keeps nothing of the old. */
    const struct line_version gone = { .image = EMPTY_IMAGE, .used = table_used(cache, table, partition) - 1 };
    line_write(&at, &gone, &gone);
    tags_set(extent.tags, slot - extent.in.first, RIALTO_TAG_DELETED);
    note_used(cache, &extent, -1);
    sweep_deleted(cache, &extent, slot - extent.in.first);
}

void table_repair(struct cache *cache, enum rialto_table table, uint32_t partition)
{
    struct rialto_segment *segment = segment_of(cache, table, partition);
    struct grow_place g = grow_place_of(cache, table, partition);
    grow_repair(&g);
    view_extents(cache, table, partition);
    cache->counted[table][partition] = false;
    /* At most one line can be open, and the side line was made for it before it was opened. */
    uint64_t ref = atomic_load_explicit(&segment->side_ref, memory_order_relaxed);
    if (ref == 0)
        return;
    uint64_t slot = (ref >> 32) - 1;
    if (slot >= table_capacity(cache, table, partition))
        return;
    struct extent extent = extent_of_slot(cache, table, partition, slot);
    struct line_place at = place_in(cache, &extent, slot);
    line_repair(&at);

    /* The owner may have died between a line and its tag. "Deleted" is right for any line that is nobody's. */
    struct rialto_key key = key_at(&at);
    uint64_t line = slot - extent.in.first;
    if (!key_is_none(key))
        tags_set(extent.tags, line, segment_tag(key));
    else if (tags_get(extent.tags, line) >= RIALTO_TAG_MIN)
        tags_set(extent.tags, line, RIALTO_TAG_DELETED);
}

/* ---- rules and rings ------------------------------------------------------------------------------------------- */

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
    ring_put(&cache->folder.ring[worker], entry);
}
