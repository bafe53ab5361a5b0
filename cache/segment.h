/* segment.h - where a key lives in its segment, and the probe for it.
 *
 *   tags    [ 00 00 a7 3c 01 a7 00 00 ] [ ...       one byte per line, eight to an atomic word
 *   lines     -  -  K  L  -  M  -  -                a key's probe goes from its home up to the first empty tag (00)
 *
 * A segment that has grown has several extents, each a table of its own, and a key is in one of them. A probe looks at the
 * newest first: it is the largest. An extent never changes place or size, so there is nothing to check afterwards.
 *
 * Writer     stores a line first and its tag last, and takes a line away before its tag: a reader that meets a tag without
 *            its line sees another key (or none) there and goes on.
 * Invariant  between a live key's home and its line no tag is empty, else readers would stop early. Lines never move.
 * Absent     a probe that began before an extent was published does not look there: then the key was not there when the
 *            probe began. A key that is deleted in one extent and put into another was absent in between.
 * Bounded    RIALTO_EXTENTS_MAX times RIALTO_PROBE_MAX tags. */
#ifndef CACHE_SEGMENT_H
#define CACHE_SEGMENT_H

#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/line.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A load of sixteen bytes is no atomic one for the thread sanitizer: it gets two words. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) && !defined(SEGMENT_WORDS)
#define SEGMENT_VECTORS 1
#endif

#define TAGS_PER_WORD  8u
#define TAGS_SEEN      16u /* by the first look */
#define TAGS_LOW_BITS  UINT64_C(0x7F7F7F7F7F7F7F7F)
#define TAGS_ONE_EACH  UINT64_C(0x0101010101010101)

/* Small functions whose `words` is a constant where they are called: inlined, so that copying a line is straight code. */
#define SEGMENT_INLINE static inline __attribute__((always_inline))

__extension__ typedef unsigned __int128 segment_wide;

/* Multiply-shift: lo as a fraction of 2^64, times the capacity. */
static inline uint64_t segment_home(struct rialto_key key, uint64_t capacity)
{
    return (uint64_t)(((segment_wide)key.lo * capacity) >> 64);
}

static inline uint64_t segment_tag(struct rialto_key key)
{
    uint64_t tag = key.hi & 0xFF;
    return tag < RIALTO_TAG_MIN ? tag + RIALTO_TAG_MIN : tag;
}

/* ---- eight tags at once ------------------------------------------------------------------------------ */

/* The top bit of each byte that is zero, exactly (no carry runs from byte to byte). */
static inline uint64_t tags_zero(uint64_t word)
{
    return ~(((word & TAGS_LOW_BITS) + TAGS_LOW_BITS) | word | TAGS_LOW_BITS);
}

static inline uint64_t tags_equal(uint64_t word, uint64_t tag)
{
    return tags_zero(word ^ (tag * TAGS_ONE_EACH));
}

/* Sixteen tags in two words: bit i says that tag i is zero, or the key's. */
struct tags_sixteen {
    uint32_t empty, match;
};

/* A bit each for the top bits of a word's bytes: the factor brings bit 8 * i to bit 56 + i, and no two of them together. */
static inline uint32_t tags_bits_(uint64_t top)
{
    return (uint32_t)(((top >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

static inline struct tags_sixteen tags_sixteen_words(uint64_t one, uint64_t two, uint64_t tag)
{
    return (struct tags_sixteen){
        .empty = tags_bits_(tags_zero(one)) | tags_bits_(tags_zero(two)) << TAGS_PER_WORD,
        .match = tags_bits_(tags_equal(one, tag)) | tags_bits_(tags_equal(two, tag)) << TAGS_PER_WORD,
    };
}

/* The same, in a third of the instructions where every processor has vectors. */
static inline struct tags_sixteen tags_sixteen(uint64_t one, uint64_t two, uint64_t tag)
{
#ifdef __SSE2__
    __m128i tags = _mm_set_epi64x((long long)two, (long long)one);
    return (struct tags_sixteen){
        .empty = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_setzero_si128())),
        .match = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))),
    };
#else
    return tags_sixteen_words(one, two, tag);
#endif
}

/* Sixteen tags from any place on. Which of a tag's values is seen is all that matters, each is a byte of its own. */
static inline struct tags_sixteen tags_sixteen_words_at(const uint8_t *from, uint64_t tag)
{
    uint64_t skip = (uintptr_t)from % TAGS_PER_WORD * 8;
    const _Atomic uint64_t *word = (const _Atomic uint64_t *)((uintptr_t)from - skip / 8);
    uint64_t one = atomic_load_explicit(&word[0], memory_order_acquire);
    uint64_t two = atomic_load_explicit(&word[1], memory_order_acquire);
    if (skip != 0) { /* a third word has the rest */
        uint64_t three = atomic_load_explicit(&word[2], memory_order_acquire);
        one = one >> skip | two << (64 - skip);
        two = two >> skip | three << (64 - skip);
    }
    return tags_sixteen_words(one, two, tag);
}

static inline struct tags_sixteen tags_sixteen_at(const uint8_t *from, uint64_t tag)
{
#ifdef SEGMENT_VECTORS
    /* At once: loads of x86-64 have acquire order. The load is the compiler's business as little as an atomic one is. */
    const char(*place)[TAGS_SEEN] = (const char(*)[TAGS_SEEN])(uintptr_t)from;
    __m128i seen;
    __asm__ volatile("movdqu %1, %0" : "=x"(seen) : "m"(*place));
    return (struct tags_sixteen){
        .empty = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(seen, _mm_setzero_si128())),
        .match = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(seen, _mm_set1_epi8((char)tag))),
    };
#else
    return tags_sixteen_words_at(from, tag);
#endif
}

static inline uint64_t tags_get(const _Atomic uint64_t *tags, uint64_t slot)
{
    uint64_t word = atomic_load_explicit(&tags[slot / TAGS_PER_WORD], memory_order_relaxed);
    return word >> (slot % TAGS_PER_WORD * 8) & 0xFF;
}

/* tags_set - owner only: nobody else stores to the word. Release: whoever sees the tag sees the line. */
static inline void tags_set(_Atomic uint64_t *tags, uint64_t slot, uint64_t tag)
{
    uint64_t shift = slot % TAGS_PER_WORD * 8;
    uint64_t word = atomic_load_explicit(&tags[slot / TAGS_PER_WORD], memory_order_relaxed);
    word = (word & ~(UINT64_C(0xFF) << shift)) | tag << shift;
    LINE_STEP();
    atomic_store_explicit(&tags[slot / TAGS_PER_WORD], word, memory_order_release);
}

/* ---- the walk along the tags --------------------------------------------------------------------------- */

struct walk {
    uint64_t match; /* top bit of each byte of the word that may be the key's */
    uint64_t spare; /* the same for tags that a new key could take, if the walk is for one */
    uint64_t tag;
    uint32_t at;    /* word */
    uint32_t words; /* of the extent */
    uint32_t left;  /* words that may still be looked at */
    bool last;      /* an empty tag was seen: the key is not further on */
};

SEGMENT_INLINE void walk_look_(struct walk *w, const _Atomic uint64_t *tags, uint64_t from, bool spare)
{
    uint64_t word = atomic_load_explicit(&tags[w->at], memory_order_acquire);
    uint64_t behind = UINT64_MAX << (from * 8);
    uint64_t empty = tags_zero(word) & behind;
    if (empty != 0) {
        uint64_t first = empty & (0 - empty);
        w->last = true;
        behind &= first | (first - 1);
    }
    w->match = tags_equal(word, w->tag) & behind;
    if (spare)
        w->spare = (tags_zero(word) | tags_equal(word, RIALTO_TAG_DELETED)) & behind;
}

SEGMENT_INLINE void walk_begin(struct walk *w, const _Atomic uint64_t *tags, uint64_t capacity, struct rialto_key key,
                               bool spare)
{
    uint64_t home = segment_home(key, capacity), words = capacity / TAGS_PER_WORD;
    uint64_t limit = RIALTO_PROBE_MAX / TAGS_PER_WORD;
    w->tag = segment_tag(key);
    w->at = (uint32_t)(home / TAGS_PER_WORD);
    w->words = (uint32_t)words;
    w->left =
        (uint32_t)(words < limit ? words : limit - 1); /* after this one; a small extent's first word comes again */
    w->last = false;
    walk_look_(w, tags, home % TAGS_PER_WORD, spare);
}

/* On to the next word; false at the end of the walk. */
SEGMENT_INLINE bool walk_on_(struct walk *w, const _Atomic uint64_t *tags, bool spare)
{
    if (w->last || w->left == 0)
        return false;
    w->left--;
    w->at = w->at + 1 == w->words ? 0 : w->at + 1;
    walk_look_(w, tags, 0, spare);
    return true;
}

/* walk_next - the next line that may be the key's. False: there is none. */
SEGMENT_INLINE bool walk_next(struct walk *w, const _Atomic uint64_t *tags, uint64_t *ret_slot)
{
    while (w->match == 0) {
        if (!walk_on_(w, tags, false))
            return false;
    }
    *ret_slot = (uint64_t)w->at * TAGS_PER_WORD + (uint64_t)__builtin_ctzll(w->match) / 8;
    w->match &= w->match - 1;
    return true;
}

/* ---- one extent ----------------------------------------------------------------------------------------- */

SEGMENT_INLINE bool extent_inside_(const struct folder_table *table, uint64_t offset, uint64_t bytes)
{
    return offset % 8 == 0 && offset <= table->bytes && bytes <= table->bytes - offset;
}

SEGMENT_INLINE struct extent_view extent_view(const struct folder_table *table, uint32_t words,
                                              const struct rialto_extent *extent)
{
    /* Relaxed: folder_extent_count() came before, and a counted extent never changes. */
    uint64_t lines = atomic_load_explicit(&extent->lines, memory_order_relaxed);
    uint64_t tags = atomic_load_explicit(&extent->tags, memory_order_relaxed);
    uint64_t capacity = atomic_load_explicit(&extent->capacity, memory_order_relaxed);
    bool inside = capacity % TAGS_PER_WORD == 0 && extent_inside_(table, tags, capacity) &&
                  extent_inside_(table, lines, capacity * words * sizeof(uint64_t));
    return (struct extent_view){
        .tags = (const _Atomic uint64_t *)(const void *)(table->base + (inside ? tags : 0)),
        .lines = (const _Atomic uint64_t *)(const void *)(table->base + (inside ? lines : 0)),
        .capacity = inside ? capacity : 0,
        .first = atomic_load_explicit(&extent->first, memory_order_relaxed),
    };
}

/* ---- a reader's probe ---------------------------------------------------------------------------------- */

struct probe {
    struct rialto_key key;
    const struct extent_view *in; /* where it looks: one that was seen before, or `own` */
    uint64_t slot; /* within the extent: the key's home; after probe_seek() a line that may be the key's */
    uint32_t partition;
    uint32_t left;    /* older extents to look at */
    bool walking;     /* the first look was not enough */
    struct walk walk; /* then */
    struct extent_view own;
};

/* What nobody has checked yet: the segment has grown since the folder was opened. */
static inline __attribute__((cold)) void probe_view_(struct probe *p, const struct folder_table *table, uint32_t words,
                                                     uint32_t number)
{
    p->own = extent_view(table, words, &table->extents[p->partition].extent[number]);
    p->in = &p->own;
}

SEGMENT_INLINE void probe_aim_(struct probe *p, const struct folder_table *table, uint32_t words, uint32_t number)
{
    if (__builtin_expect(table->seen != NULL && number < table->seen[p->partition].count, 1))
        p->in = &table->seen[p->partition].extent[number];
    else
        probe_view_(p, table, words, number);
    p->slot = segment_home(p->key, p->in->capacity);
}

/* tags_fetch - the sixteen tags from a home on begin to come; they may lie in two lines of the processor's cache. */
SEGMENT_INLINE void tags_fetch(const uint8_t *from)
{
    __builtin_prefetch(from);
    __builtin_prefetch(from + TAGS_SEEN - 1);
}

SEGMENT_INLINE void probe_fetch_tags_(const struct probe *p)
{
    tags_fetch((const uint8_t *)(uintptr_t)p->in->tags + p->slot);
}

/* Tags of the older extents come while the newest one's are looked at. */
static inline __attribute__((cold)) void probe_fetch_older_(const struct probe *p, const struct folder_table *table,
                                                            uint32_t words)
{
    for (uint32_t i = 0; i < p->left; i++) {
        struct probe older = { .partition = p->partition, .key = p->key };
        probe_aim_(&older, table, words, i);
        probe_fetch_tags_(&older);
    }
}

/* probe_start - where to look; begins to fetch the tags. `eager`: the home line too, where half of the keys are; it pays
 * when there is nothing else to wait for. */
SEGMENT_INLINE void probe_start(struct probe *p, const struct folder_table *table, uint32_t words, uint32_t partition,
                                struct rialto_key key, bool eager)
{
    p->partition = partition;
    p->key = key;
    p->walking = false;
    uint32_t count = folder_extent_count(&table->extents[partition]);
    p->left = count == 0 ? 0 : count - 1;
    probe_aim_(p, table, words, p->left);
    probe_fetch_tags_(p);
    if (eager)
        __builtin_prefetch((const void *)&p->in->lines[p->slot * words]);
    if (__builtin_expect(p->left > 0, 0))
        probe_fetch_older_(p, table, words);
}

struct look { /* what the first tags say; neither: look on */
    uint64_t slot;
    bool found;  /* a line that may be the key's */
    bool absent; /* the key is not in this extent */
};

SEGMENT_INLINE struct look look_at_words_(const struct extent_view *in, uint64_t home, uint64_t tag)
{
    if (in->capacity == 0)
        return (struct look){ .slot = 0 };
    uint64_t at = home / TAGS_PER_WORD, next = (at + 1) * TAGS_PER_WORD >= in->capacity ? 0 : at + 1;
    uint64_t one = atomic_load_explicit(&in->tags[at], memory_order_acquire);
    uint64_t two = atomic_load_explicit(&in->tags[next], memory_order_acquire);
    struct tags_sixteen tags = tags_sixteen(one, two, tag);
    uint32_t behind = UINT32_MAX << (home % TAGS_PER_WORD);
    uint32_t empty = tags.empty & behind;
    /* x ^ (x - 1): up to the lowest bit of x, all where there is none. */
    uint32_t match = tags.match & behind & (empty ^ (empty - 1));
    uint32_t place = (uint32_t)__builtin_ctz(match | 1u << (2 * TAGS_PER_WORD - 1));
    uint64_t second = 0 - (uint64_t)(place / TAGS_PER_WORD);
    return (struct look){
        .slot = (at ^ ((at ^ next) & second)) * TAGS_PER_WORD + place % TAGS_PER_WORD,
        .found = match != 0,
        .absent = (match == 0) & (empty != 0),
    };
}

/* look_sixteen - what the sixteen tags from the home on say: `match`, of those that are the key's tag, ahead of the first empty one;
 * nineteen keys of twenty are decided here, without a branch that a processor could guess wrong. */
SEGMENT_INLINE struct tags_sixteen look_sixteen(const uint8_t *from, uint64_t tag)
{
    struct tags_sixteen tags = tags_sixteen_at(from, tag);
    tags.match &= tags.empty ^ (tags.empty - 1);
    return tags;
}

/* look_place - which of the sixteen, where there is one. */
SEGMENT_INLINE uint32_t look_place(uint32_t match)
{
    return (uint32_t)__builtin_ctz(match | 1u << (TAGS_SEEN - 1));
}

/* probe_look - the tags from the key's home on. */
SEGMENT_INLINE struct look probe_look(const struct probe *p)
{
    uint64_t home = p->slot, tag = segment_tag(p->key);
    if (__builtin_expect(home + TAGS_SEEN > p->in->capacity, 0))
        return look_at_words_(p->in, home, tag);
    struct tags_sixteen tags = look_sixteen((const uint8_t *)(uintptr_t)p->in->tags + home, tag);
    return (struct look){
        .slot = home + look_place(tags.match),
        .found = tags.match != 0,
        .absent = (tags.match == 0) & (tags.empty != 0),
    };
}

/* On along the tags; what was looked at first is looked at again, for tags may have changed. */
static inline __attribute__((cold)) bool probe_walk_(struct probe *p)
{
    if (!p->walking)
        walk_begin(&p->walk, p->in->tags, p->in->capacity, p->key, false);
    p->walking = true;
    return walk_next(&p->walk, p->in->tags, &p->slot);
}

SEGMENT_INLINE void probe_fetch_line_(const struct probe *p, uint32_t words)
{
    for (uint32_t w = 0; w < words; w += 8)
        __builtin_prefetch((const void *)&p->in->lines[p->slot * words + w]);
}

/* probe_seek - begin to fetch the next line that may be the key's; `first` on the first call. OK; NOT_FOUND; BUSY when the
 * segment does not lie within the file. */
SEGMENT_INLINE enum rialto_status probe_seek(struct probe *p, const struct folder_table *table, uint32_t words,
                                             bool first)
{
    for (;; first = true) {
        if (p->in->capacity == 0)
            return RIALTO_BUSY;
        struct look look = { .found = false, .absent = false };
        if (first) {
            look = probe_look(p);
            p->slot = look.slot;
        }
        if (look.found || (!look.absent && probe_walk_(p))) {
            probe_fetch_line_(p, words);
            return RIALTO_OK;
        }
        if (p->left == 0)
            return RIALTO_NOT_FOUND;
        p->walking = false;
        probe_aim_(p, table, words, --p->left);
    }
}

/* probe_read - the line that probe_seek() found. OK; NOT_FOUND when it is another key's: seek again; BUSY. */
SEGMENT_INLINE enum rialto_status probe_read(const struct probe *p, const struct folder_table *table, uint32_t words,
                                             uint64_t *ret)
{
    const _Atomic uint64_t *word = &p->in->lines[p->slot * words];
    if (!line_key_is(word, p->key))
        return RIALTO_NOT_FOUND;
    if (!line_read(&table->segment[p->partition], word, p->in->first + p->slot, words, ret))
        return RIALTO_BUSY;
    return ret[1] == p->key.lo && ret[2] == p->key.hi ? RIALTO_OK : RIALTO_NOT_FOUND;
}

/* probe_find_sought - after probe_start() and the first probe_seek(), which said `sought`: a whole version of the key's line.
 * OK; NOT_FOUND; BUSY. */
SEGMENT_INLINE enum rialto_status probe_find_sought(struct probe *p, const struct folder_table *table, uint32_t words,
                                                    enum rialto_status sought, uint64_t *ret)
{
    while (sought == RIALTO_OK) {
        enum rialto_status status = probe_read(p, table, words, ret);
        if (status != RIALTO_NOT_FOUND)
            return status;
        sought = probe_seek(p, table, words, false);
    }
    return sought;
}

/* probe_find - all at once, after probe_start(). OK; NOT_FOUND; BUSY. */
SEGMENT_INLINE enum rialto_status probe_find(struct probe *p, const struct folder_table *table, uint32_t words,
                                             uint64_t *ret)
{
    return probe_find_sought(p, table, words, probe_seek(p, table, words, true), ret);
}

/* segment_see - check the extents of all segments once, for probes that come later. */
static inline void segment_see(struct folder_table *table, uint32_t words, struct extents_seen seen[RIALTO_PARTITIONS])
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        uint32_t count = folder_extent_count(&table->extents[p]);
        for (uint32_t i = seen[p].count; i < count; i++)
            seen[p].extent[i] = extent_view(table, words, &table->extents[p].extent[i]);
        seen[p].count = count;
    }
    table->seen = seen;
}

/* segment_extent_of - the extent of a slot; RIALTO_EXTENTS_MAX when it is past the end. */
SEGMENT_INLINE uint32_t segment_extent_of(const struct rialto_extents *extents, uint64_t slot)
{
    if (slot >= folder_capacity(extents))
        return RIALTO_EXTENTS_MAX;
    uint32_t i = folder_extent_count(extents) - 1;
    while (i > 0 && slot < atomic_load_explicit(&extents->extent[i].first, memory_order_relaxed))
        i--;
    return i;
}

/* segment_line_at - a whole version of the line in a slot. OK; NOT_FOUND for an empty line; BAD_INPUT past the end; BUSY. */
SEGMENT_INLINE enum rialto_status segment_line_at(const struct folder_table *table, uint32_t words, uint32_t partition,
                                                  uint64_t slot, uint64_t *ret)
{
    const struct rialto_extents *extents = &table->extents[partition];
    uint32_t number = segment_extent_of(extents, slot);
    if (number == RIALTO_EXTENTS_MAX)
        return RIALTO_BAD_INPUT;
    struct extent_view in = extent_view(table, words, &extents->extent[number]);
    if (slot < in.first || slot - in.first >= in.capacity)
        return RIALTO_BUSY; /* not within the file */
    if (!line_read(&table->segment[partition], &in.lines[(slot - in.first) * words], slot, words, ret))
        return RIALTO_BUSY;
    return key_is_none((struct rialto_key){ .lo = ret[1], .hi = ret[2] }) ? RIALTO_NOT_FOUND : RIALTO_OK;
}
#endif
