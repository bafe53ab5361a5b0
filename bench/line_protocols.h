/* line_protocols.h - the ways of publishing a line of 60 bytes of payload that were to choose from, side by side.
 *
 *   plain        seq odd . words . seq even                                        a dead writer leaves the line unreadable
 *   side line    cache/line.h, as it is used: the last good version is kept first  nobody waits
 *   two copies   the copy that is not read . seq, whose low bit chooses            nobody waits; twice the memory
 *   repair       number of the line in a word of the segment . then as plain       a successor finds the line, and rewrites it
 *
 * Only the side line is used by Rialto. The others are here to be measured against, with the same accesses to memory that
 * an earnest use of them would have. `kind` is constant wherever this is called: what is compiled is straight code. */
#ifndef BENCH_LINE_PROTOCOLS_H
#define BENCH_LINE_PROTOCOLS_H

#include "cache/line.h"

enum line_kind { LINE_PLAIN, LINE_SIDE, LINE_TWO, LINE_REPAIR, LINE_KINDS };

#define LINE_WORDS 8u

struct line_field {                 /* lines of one kind, in 64 segments as in a table */
    _Atomic uint64_t *word;         /* lines * (8 or 16) */
    struct rialto_segment *segment; /* [RIALTO_PARTITIONS] */
    uint64_t lines;
    uint64_t segment_lines;
};

LINE_INLINE uint64_t line_kind_words(enum line_kind kind)
{
    return kind == LINE_TWO ? 2 * LINE_WORDS : LINE_WORDS;
}

LINE_INLINE struct line_place line_field_place(enum line_kind kind, const struct line_field *f, uint64_t number)
{
    return (struct line_place){ .segment = &f->segment[number / f->segment_lines],
                                .word = &f->word[number * line_kind_words(kind)],
                                .slot = number % f->segment_lines,
                                .words = LINE_WORDS };
}

LINE_INLINE void line_field_prefetch(enum line_kind kind, const struct line_field *f, uint64_t number)
{
    for (uint64_t w = 0; w < line_kind_words(kind); w += LINE_WORDS)
        __builtin_prefetch((const void *)&f->word[number * line_kind_words(kind) + w], 1);
}

/* ---- plain, and with the number of the open line ---------------------------------------------------------- */

LINE_INLINE void line_plain_write_(const struct line_place *at, const uint64_t *image)
{
    uint64_t now = atomic_load_explicit(&at->word[0], memory_order_relaxed);
    uint32_t even = (uint32_t)now & ~1u;
    atomic_store_explicit(&at->word[0], line_word_(now, even + 1), memory_order_release);
    for (uint32_t i = 1; i < LINE_WORDS; i++)
        atomic_store_explicit(&at->word[i], image[i], memory_order_release);
    atomic_store_explicit(&at->word[0], line_word_(image[0], even + 2), memory_order_release);
}

/* ---- two copies ------------------------------------------------------------------------------------------- */

/* Word 0 holds seq and the first 4 bytes of copy 0; word 8 the first bytes of copy 1. Copy seq & 1 is the one to read. */
LINE_INLINE void line_two_write_(const struct line_place *at, const uint64_t *image)
{
    uint64_t now = atomic_load_explicit(&at->word[0], memory_order_relaxed);
    uint32_t seq = (uint32_t)now, next = (seq + 1) & 1u;
    /* Release: whoever sees a word of the version after this one sees that seq had moved on. */
    for (uint32_t i = 1; i < LINE_WORDS; i++)
        atomic_store_explicit(&at->word[next * LINE_WORDS + i], image[i], memory_order_release);
    if (next == 1)
        atomic_store_explicit(&at->word[LINE_WORDS], image[0], memory_order_release);
    atomic_store_explicit(&at->word[0], line_word_(next == 0 ? image[0] : now, seq + 1), memory_order_release);
}

LINE_INLINE bool line_two_look_(const _Atomic uint64_t *word, uint64_t *ret)
{
    uint64_t before = atomic_load_explicit(&word[0], memory_order_acquire);
    const _Atomic uint64_t *copy = &word[(before & 1u) * LINE_WORDS];
    ret[0] = (before & 1u) == 0 ? before : atomic_load_explicit(&copy[0], memory_order_acquire);
    for (uint32_t i = 1; i < LINE_WORDS; i++)
        ret[i] = atomic_load_explicit(&copy[i], memory_order_acquire);
    return (uint32_t)atomic_load_explicit(&word[0], memory_order_relaxed) == (uint32_t)before;
}

/* ---- all -------------------------------------------------------------------------------------------------- */

LINE_INLINE void line_kind_write(enum line_kind kind, const struct line_place *at, const uint64_t *image)
{
    if (kind == LINE_SIDE) {
        line_write(at, &(struct line_version){ .image = image, .used = 1 },
                   &(struct line_version){ .image = NULL, .used = 1 });
    } else if (kind == LINE_TWO) {
        line_two_write_(at, image);
    } else {
        if (kind == LINE_REPAIR)
            atomic_store_explicit(&at->segment->side_ref, at->slot + 1, memory_order_relaxed);
        line_plain_write_(at, image);
    }
}

/* line_kind_read - in at most LINE_ATTEMPTS_MAX looks; false when none of them found a version. */
LINE_INLINE bool line_kind_read(enum line_kind kind, const struct line_place *at, uint64_t *ret)
{
    if (kind == LINE_SIDE)
        return line_read(at->segment, at->word, at->slot, LINE_WORDS, ret);
    for (int attempt = 0; attempt < LINE_ATTEMPTS_MAX; attempt++) {
        if (kind == LINE_TWO ? line_two_look_(at->word, ret) : line_read_once(at->word, LINE_WORDS, ret))
            return true;
        line_relax_();
    }
    return false;
}

#endif
