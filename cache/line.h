/* line.h - the line protocol: every atomic access to a line and to a segment's side line is in this file.
 *
 *   writer   side_ref = 0 . side = last good version . side_ref = (slot + 1, its seq)        prepare   (S0)(S1)(S2)
 *            word 0: seq odd . words 1..n . word 0: seq even                                  publish   (A)(B)(C)
 *   reader   word 0 even . copy . word 0 unchanged                                            the usual way
 *            word 0 odd for LINE_SPINS looks . side_ref names this line and this seq . copy   the writer is slow or dead
 *
 * Owner      one writer per segment, so one side line per segment is enough; any number of readers, which store nothing.
 * Invariant  seq even => all words of the line belong to one version.
 *            seq odd  => the side line holds a whole version that may be read instead.
 * Crash      before (A): the line is untouched. From (A) up to (C): readers live on the side copy until line_repair()
 *            puts it back. A deletion puts the *empty* image into the side line, so it is rolled forward and the
 *            old key and payload are nowhere.
 * Wrap       seq is 32 bits wide: a reader would have to sleep through 2^31 writes of one line, exactly, to be fooled.
 *
 * Each word is 64-bit, stored with release and loaded with acquire: on x86-64 plain movs, no fences (and no plain
 * payload access, which would be a data race). Words behind the first two go in pairs there, see LINE_UNIT. LINE_STEP() is
 * empty; tests stop the writer there. */
#ifndef CACHE_LINE_H
#define CACHE_LINE_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifndef LINE_STEP
#define LINE_STEP() ((void)0)
#endif

#ifndef LINE_SPINS
#define LINE_SPINS        64   /* looks at an odd or changing line before the side copy is tried */
#define LINE_ATTEMPTS_MAX 4096 /* looks in all; then the answer is "busy" */
#endif
#define LINE_WORDS_MAX RIALTO_SIDE_WORDS

/* With a constant number of words a read or a write is straight code. */
#define LINE_INLINE    static inline __attribute__((always_inline))
#ifdef __clang__
#define LINE_UNROLL /* by itself where it can, and it refuses to be asked where it cannot */
#else
#define LINE_UNROLL _Pragma("GCC unroll 32")
#endif

struct line_place { /* a line, for its writer */
    struct rialto_segment *segment;
    _Atomic uint64_t *word;
    uint64_t slot;
    uint32_t words; /* 8, 16 or 32 */
};

/* A version that a reader may take: an image (its seq is ignored) and the count of live lines that goes with it. */
struct line_version {
    const void *image; /* 64-bit words, of whatever struct; NULL = what the line holds now */
    uint64_t used;
};

static inline uint64_t line_word_(uint64_t image_word0, uint32_t seq)
{
    return (image_word0 & ~UINT64_C(0xFFFFFFFF)) | seq;
}

static inline uint64_t line_side_ref_(uint64_t slot, uint32_t even_seq)
{
    return (slot + 1) << 32 | even_seq;
}

static inline void line_relax_(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Word i of an image. */
LINE_INLINE uint64_t line_image_word_(const void *image, uint32_t i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)image + i * sizeof word, sizeof word);
    return word;
}

/* ---- words, and two at once ---------------------------------------------------------------------------- */

/* A vector's load or store is one of two words, in whatever order: neither half is ever torn (the processor splits them nowhere
 * else), and x86-64 keeps them in order with all other loads and stores, as it does single ones. No more is asked of words
 * that lie between two marks. To the compiler these are accesses of its own kind, which nothing is moved across. Thread sanitizer, the
 * models and other processors take word after word: a load of 16 bytes is no atomic one for them. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__) && !defined(LINE_WORD_BY_WORD)
#define LINE_UNIT 2u
typedef __m128i line_unit;

LINE_INLINE line_unit line_unit_load_(const _Atomic uint64_t *word, memory_order order)
{
    line_unit unit;
    (void)order;
    __asm__ volatile("movdqu %1, %0" : "=x"(unit) : "m"(*(const uint64_t(*)[2])(uintptr_t)word) : "memory");
    return unit;
}

LINE_INLINE void line_unit_store_(_Atomic uint64_t *word, line_unit unit, memory_order order)
{
    (void)order;
    __asm__ volatile("movdqu %1, %0" : "=m"(*(uint64_t(*)[2])(uintptr_t)word) : "x"(unit) : "memory");
}

LINE_INLINE line_unit line_image_unit_(const void *image, uint32_t i)
{
    return _mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)image + i * sizeof(uint64_t)));
}

LINE_INLINE void line_unit_put_(void *ret, line_unit unit)
{
    _mm_storeu_si128((__m128i *)ret, unit);
}

LINE_INLINE line_unit line_unit_differ_(line_unit differ, line_unit a, line_unit b)
{
    return _mm_or_si128(differ, _mm_xor_si128(a, b));
}

LINE_INLINE bool line_unit_none_(line_unit unit)
{
    return _mm_movemask_epi8(_mm_cmpeq_epi8(unit, _mm_setzero_si128())) == 0xFFFF;
}
#else
#define LINE_UNIT 1u
typedef uint64_t line_unit;

LINE_INLINE line_unit line_unit_load_(const _Atomic uint64_t *word, memory_order order)
{
    return atomic_load_explicit(word, order);
}

LINE_INLINE void line_unit_store_(_Atomic uint64_t *word, line_unit unit, memory_order order)
{
    atomic_store_explicit(word, unit, order);
}

LINE_INLINE line_unit line_image_unit_(const void *image, uint32_t i)
{
    return line_image_word_(image, i);
}

LINE_INLINE void line_unit_put_(void *ret, line_unit unit)
{
    memcpy(ret, &unit, sizeof unit);
}

LINE_INLINE line_unit line_unit_differ_(line_unit differ, line_unit a, line_unit b)
{
    return differ | (a ^ b);
}

LINE_INLINE bool line_unit_none_(line_unit unit)
{
    return unit == 0;
}
#endif

/* ---- reading ---------------------------------------------------------------------------------------- */

/* line_key_is - may this line be the key's? A look without the protocol: a key that is being written right now may be seen
 * torn, and then it equals neither the old nor the new one. Yes is therefore checked again in line_read()'s copy; no means
 * that the key was not wholly there at some moment of the look, which is an answer. */
static inline bool line_key_is(const _Atomic uint64_t *word, struct rialto_key key)
{
    uint64_t lo = atomic_load_explicit(&word[1], memory_order_acquire);
    uint64_t hi = atomic_load_explicit(&word[2], memory_order_acquire);
    return lo == key.lo && hi == key.hi;
}

/* The rest of the version whose word 0 is in ret[0]. */
LINE_INLINE bool line_copy_(const _Atomic uint64_t *word, uint32_t words, uint64_t *ret)
{
    /* Acquire pairs with (B): had we caught one word of a newer version, its odd mark (A) would be visible to the
     * second load of word 0, and we would discard this copy. */
    ret[1] = atomic_load_explicit(&word[1], memory_order_acquire);
    LINE_UNROLL
    for (uint32_t i = 2; i < words; i += LINE_UNIT)
        line_unit_put_(&ret[i], line_unit_load_(&word[i], memory_order_acquire));
    return atomic_load_explicit(&word[0], memory_order_relaxed) == ret[0];
}

LINE_INLINE bool line_copy_side_(const struct rialto_segment *segment, uint64_t slot, uint32_t words, uint32_t odd,
                                 uint64_t *ret)
{
    uint64_t wanted = line_side_ref_(slot, odd - 1);
    /* Acquire pairs with (S2): the reference is visible only after the whole copy that it names. */
    if (atomic_load_explicit(&segment->side_ref, memory_order_acquire) != wanted)
        return false;
    /* Acquire pairs with (S1): one word of the next copy would bring (S0) with it, and the second look would differ. */
    ret[0] = atomic_load_explicit(&segment->side[0], memory_order_acquire);
    ret[1] = atomic_load_explicit(&segment->side[1], memory_order_acquire);
    LINE_UNROLL
    for (uint32_t i = 2; i < words; i += LINE_UNIT)
        line_unit_put_(&ret[i], line_unit_load_(&segment->side[i], memory_order_acquire));
    return atomic_load_explicit(&segment->side_ref, memory_order_relaxed) == wanted;
}

/* line_read_once - one look at a line that nobody writes just now, as hardly anybody ever does: true, and its whole version is in
 * ret. False: ask line_read(). word[0] as it was seen is in ret[0] either way. */
LINE_INLINE bool line_read_once(const _Atomic uint64_t *word, uint32_t words, uint64_t *ret)
{
    /* Acquire pairs with (C): an even seq means that version's words are already visible. */
    ret[0] = atomic_load_explicit(&word[0], memory_order_acquire);
    return (ret[0] & 1u) == 0 && line_copy_(word, words, ret);
}

/* line_read - one whole version of a line. False: busy, and ret is undefined. Bounded, whatever the writer does. */
LINE_INLINE bool line_read(const struct rialto_segment *segment, const _Atomic uint64_t *word, uint64_t slot,
                           uint32_t words, uint64_t *ret)
{
    for (int attempt = 0; attempt < LINE_ATTEMPTS_MAX; attempt++) {
        if (line_read_once(word, words, ret))
            return true;
        uint32_t seq = (uint32_t)ret[0];
        if ((seq & 1u) != 0 && attempt >= LINE_SPINS && line_copy_side_(segment, slot, words, seq, ret))
            return true;
        line_relax_();
    }
    return false;
}

/* line_peek - the writer's own look at a line; no other thread stores to it. */
LINE_INLINE void line_peek(const _Atomic uint64_t *word, uint32_t words, uint64_t *ret)
{
    LINE_UNROLL
    for (uint32_t i = 0; i < words; i++)
        ret[i] = atomic_load_explicit(&word[i], memory_order_relaxed);
}

/* line_copy_out - the same to memory that need not be of words. Words are stored as they are loaded, so that whoever loads them again need not wait for
 * the stores. */
LINE_INLINE void line_copy_out(const _Atomic uint64_t *word, uint32_t words, void *ret)
{
    LINE_UNROLL
    for (uint32_t i = 0; i < words; i += LINE_UNIT)
        line_unit_put_((uint8_t *)ret + i * sizeof(uint64_t), line_unit_load_(&word[i], memory_order_relaxed));
}

/* line_says - the writer's own look: does the line say what the image says, seq aside? An open line says nothing. */
LINE_INLINE bool line_says(const _Atomic uint64_t *word, uint32_t words, const void *image)
{
    uint64_t first = atomic_load_explicit(&word[0], memory_order_relaxed);
    uint64_t second = atomic_load_explicit(&word[1], memory_order_relaxed);
    if (((first ^ line_image_word_(image, 0)) >> 32 | (first & 1u) | (second ^ line_image_word_(image, 1))) != 0)
        return false;
    line_unit differ = { 0 };
    LINE_UNROLL
    for (uint32_t i = 2; i < words; i += LINE_UNIT)
        differ = line_unit_differ_(differ, line_unit_load_(&word[i], memory_order_relaxed), line_image_unit_(image, i));
    return line_unit_none_(differ);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

/* The words of a version that readers may take: of its image, or as they stand in the line. */
LINE_INLINE uint64_t line_safe_word_(const struct line_place *at, const struct line_version *safe, uint32_t i)
{
    return safe->image != NULL ? line_image_word_(safe->image, i)
                               : atomic_load_explicit(&at->word[i], memory_order_relaxed);
}

LINE_INLINE line_unit line_safe_unit_(const struct line_place *at, const struct line_version *safe, uint32_t i)
{
    return safe->image != NULL ? line_image_unit_(safe->image, i) : line_unit_load_(&at->word[i], memory_order_relaxed);
}

LINE_INLINE void line_save_side_(const struct line_place *at, const struct line_version *safe, uint32_t even)
{
    struct rialto_segment *segment = at->segment;
    LINE_STEP();
    /* (S0) Whoever is copying the side line now sees, with any word of (S1), that it no longer holds. */
    atomic_store_explicit(&segment->side_ref, 0, memory_order_relaxed);
    LINE_STEP();
    uint64_t first = line_word_(line_safe_word_(at, safe, 0), even), second = line_safe_word_(at, safe, 1);
    atomic_store_explicit(&segment->side[0], first, memory_order_release); /* (S1) of word 0 */
    LINE_STEP();
    atomic_store_explicit(&segment->side[1], second, memory_order_release); /* (S1) of word 1 */
    LINE_UNROLL
    for (uint32_t i = 2; i < at->words; i += LINE_UNIT) {
        LINE_STEP();
        line_unit_store_(&segment->side[i], line_safe_unit_(at, safe, i), memory_order_release); /* (S1) */
    }
    LINE_STEP();
    atomic_store_explicit(&segment->side_used, safe->used, memory_order_relaxed);
    LINE_STEP();
    atomic_store_explicit(&segment->side_ref, line_side_ref_(at->slot, even), memory_order_release); /* (S2) */
}

/* line_write - publish a version. `safe` is what readers get, and what line_repair() restores, if we stop inside. */
LINE_INLINE void line_write(const struct line_place *at, const struct line_version *next,
                            const struct line_version *safe)
{
    uint64_t now = atomic_load_explicit(&at->word[0], memory_order_relaxed);
    uint32_t even = (uint32_t)now & ~1u;

    /* Odd: a predecessor died inside. What it left is no version; its side copy is one, and is kept. */
    if ((now & 1u) == 0)
        line_save_side_(at, safe, even);
    LINE_STEP();
    /* (A) Release: whoever sees the odd mark and looks for the side copy finds (S2), and not an earlier one of the same
     * name, whose writer died ahead of its (A). */
    atomic_store_explicit(&at->word[0], line_word_(now, even + 1), memory_order_release);
    LINE_STEP();
    atomic_store_explicit(&at->word[1], line_image_word_(next->image, 1), memory_order_release); /* (B) of word 1 */
    LINE_UNROLL
    for (uint32_t i = 2; i < at->words; i += LINE_UNIT) {
        LINE_STEP();
        line_unit_store_(&at->word[i], line_image_unit_(next->image, i), memory_order_release); /* (B) */
    }
    LINE_STEP();
    atomic_store_explicit(&at->segment->used, next->used, memory_order_relaxed);
    LINE_STEP();
    uint64_t first = line_word_(line_image_word_(next->image, 0), even + 2);
    atomic_store_explicit(&at->word[0], first, memory_order_release); /* (C) */
    LINE_STEP();
}

/* line_repair - put the side copy back into a line that a dead writer left odd. Harmless to repeat, and to die in.
 * The seq moves on, not back: a reader that began under the old even seq must not take a mixture for it. */
static inline void line_repair(const struct line_place *at)
{
    uint64_t now = atomic_load_explicit(&at->word[0], memory_order_relaxed);
    uint32_t seq = (uint32_t)now;
    uint64_t ref = atomic_load_explicit(&at->segment->side_ref, memory_order_relaxed);
    if ((seq & 1u) == 0 || ref != line_side_ref_(at->slot, seq - 1))
        return;
    for (uint32_t i = 1; i < at->words; i++) {
        LINE_STEP();
        uint64_t word = atomic_load_explicit(&at->segment->side[i], memory_order_relaxed);
        atomic_store_explicit(&at->word[i], word, memory_order_release); /* as (B) */
    }
    LINE_STEP();
    uint64_t used = atomic_load_explicit(&at->segment->side_used, memory_order_relaxed);
    atomic_store_explicit(&at->segment->used, used, memory_order_relaxed);
    LINE_STEP();
    uint64_t first = atomic_load_explicit(&at->segment->side[0], memory_order_relaxed);
    atomic_store_explicit(&at->word[0], line_word_(first, seq + 1), memory_order_release); /* as (C) */
}
#endif
