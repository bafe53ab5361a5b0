/* views.h - runs the real code of a one-writer protocol under every outcome that the C11 memory model allows.
 *
 *   owner    the code as it is; each of its stores is appended to a log        s0 s1 s2 s3 s4 ...   (it may die between two)
 *   reader   the code as it is; each of its loads may return any store to that word which the reader's view does not
 *            rule out, and every combination of such choices is tried, one after the other
 *
 * The rules are those of release and acquire in C11, told operationally (the view machine of Kang, Hur, Lahav,
 * Vafeiadis, Dreyer: A promising semantics for relaxed-memory concurrency, POPL 2017):
 *   - a load never returns a store older than one that the reader has already seen in that word;
 *   - an acquire load that returns a release store makes all stores ahead of it in the owner's order seen;
 *   - a relaxed store, or a relaxed load, brings nothing else with it.
 * A relaxed store may so be seen ahead of, or behind, whatever is not ordered with it. Promises (a store that is seen
 * before the loads ahead of it) are left out: a reader stores nothing, and an owner loads only what owners stored.
 * A successor sees all that its predecessor stored: it starts after the death has been observed.
 *
 * Read-modify-writes are done as they are and not logged: owners share words among each other that no reader loads.
 *
 * Include it first; then the code under test, whose atomic accesses come here. One thread, no heap. */
#ifndef TESTS_MODEL_VIEWS_H
#define TESTS_MODEL_VIEWS_H

#include <rialto/layout.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIEWS_BYTES_MAX  24576u /* of shared memory */
#define VIEWS_CELLS_MAX  (VIEWS_BYTES_MAX / 4)
#define VIEWS_STORES_MAX 2048u
#define VIEWS_EACH_MAX   96u /* stores to one word */
#define VIEWS_DEPTH_MAX  512u

struct views_message {
    uint64_t value;
    uint32_t index; /* in the owner's order; 0 = what was there at first */
    bool release;
};

static struct {
    const uint8_t *memory;
    uint32_t stores; /* index of the newest */
    struct views_message message[VIEWS_CELLS_MAX][VIEWS_EACH_MAX];
    uint16_t messages[VIEWS_CELLS_MAX];
    /* the owner's death */
    jmp_buf dead;
    int32_t steps_left; /* -1 = it lives */
    /* the reader */
    bool reading;
    uint32_t seen;                    /* all stores up to this one */
    uint16_t newest[VIEWS_CELLS_MAX]; /* message of each word that is the oldest allowed */
    uint32_t touched[VIEWS_DEPTH_MAX];
    uint32_t touched_count;
    uint32_t loads;
    /* the choices, and where we are in them */
    struct {
        uint16_t chosen, of;
    } choice[VIEWS_DEPTH_MAX];
    uint32_t depth, length;
    /* what was done in all */
    uint64_t executions, scenarios, failures;
    uint32_t loads_max, stores_max;
} views;

static inline void views_stop(const char *why)
{
    printf("not ok - the model's own bound: %s\n", why);
    exit(3);
}

static inline uint32_t views_cell_(const void *at)
{
    uintptr_t offset = (uintptr_t)at - (uintptr_t)views.memory;
    if (offset >= VIEWS_BYTES_MAX)
        views_stop("an access outside the shared memory");
    return (uint32_t)(offset / 4);
}

/* ---- owner --------------------------------------------------------------------------------------------- */

/* views_begin - a new scenario: what the memory holds now is what all have seen. */
static inline void views_begin(const void *memory)
{
    views.memory = memory;
    views.stores = 0;
    views.steps_left = -1;
    views.reading = false;
    memset(views.messages, 0, sizeof views.messages);
    views.scenarios++;
}

static inline void views_step(void)
{
    if (views.reading || views.steps_left < 0)
        return;
    if (views.steps_left-- == 0)
        longjmp(views.dead, 1);
}

static inline void views_store_(const void *at, uint64_t before, uint64_t value, memory_order order)
{
    uint32_t cell = views_cell_(at);
    if (views.reading) {
        views.failures++; /* a reader has nothing to store */
        return;
    }
    if (views.messages[cell] == 0)
        views.message[cell][views.messages[cell]++] = (struct views_message){ .value = before, .release = true };
    if (views.messages[cell] == VIEWS_EACH_MAX || views.stores == VIEWS_STORES_MAX)
        views_stop("stores");
    views.message[cell][views.messages[cell]++] =
        (struct views_message){ .value = value, .index = ++views.stores, .release = order == memory_order_release };
    if (views.stores > views.stores_max)
        views.stores_max = views.stores;
}

/* VIEWS_RUN - let the owner do something, to its end or to its death ahead of its `steps`th store (-1 = to its end).
 * The value: did it come to its end? */
#define VIEWS_RUN(steps, what)                                                                                         \
    (views.steps_left = (steps), setjmp(views.dead) == 0 ? ((what), views.steps_left = -1, true) : false)

/* ---- reader -------------------------------------------------------------------------------------------- */

static inline uint32_t views_choose_(uint32_t of)
{
    if (of == 1)
        return 0;
    if (views.depth == views.length) {
        if (views.length == VIEWS_DEPTH_MAX)
            views_stop("choices");
        views.choice[views.length].chosen = 0;
        views.choice[views.length++].of = (uint16_t)of;
    }
    return views.choice[views.depth++].chosen;
}

static inline uint64_t views_load_(const void *at, uint64_t now, memory_order order)
{
    if (!views.reading)
        return now;
    uint32_t cell = views_cell_(at), messages = views.messages[cell];
    if (++views.loads > VIEWS_DEPTH_MAX)
        views_stop("loads");
    if (messages == 0)
        return now;
    uint32_t oldest = views.newest[cell];
    while (oldest + 1 < messages && views.message[cell][oldest + 1].index <= views.seen)
        oldest++;
    uint32_t taken = oldest + views_choose_(messages - oldest);
    const struct views_message *m = &views.message[cell][taken];
    if (views.newest[cell] == 0)
        views.touched[views.touched_count++] = cell;
    views.newest[cell] = (uint16_t)taken;
    if (order == memory_order_acquire && m->release && m->index > views.seen)
        views.seen = m->index;
    return m->value;
}

/* views_reader - the reader starts anew, and has seen the owner's stores up to `seen`. */
static inline void views_reader(uint32_t seen)
{
    for (uint32_t i = 0; i < views.touched_count; i++)
        views.newest[views.touched[i]] = 0;
    views.touched_count = 0;
    views.seen = seen;
    views.loads = 0;
    views.depth = 0;
    views.reading = true;
}

/* views_next - on to the next combination of choices; false when all have been tried. */
static inline bool views_next(void)
{
    views.executions++;
    views.reading = false;
    if (views.loads > views.loads_max)
        views.loads_max = views.loads;
    while (views.length > 0 && views.choice[views.length - 1].chosen + 1 == views.choice[views.length - 1].of)
        views.length--;
    if (views.length == 0)
        return false;
    views.choice[views.length - 1].chosen++;
    return true;
}

/* VIEWS_ALL - run a statement once for every combination of what its loads may return. */
#define VIEWS_ALL(seen_at_first, statement)                                                                            \
    do {                                                                                                               \
        views.length = 0;                                                                                              \
        do {                                                                                                           \
            views_reader(seen_at_first);                                                                               \
            statement;                                                                                                 \
        } while (views_next());                                                                                        \
    } while (0)

/* views_fault - count what must not be. Built with VIEWS_FIRST_FAULT, the first one ends the program. */
static inline void views_fault(uint64_t *count, bool is)
{
    *count += is;
#ifdef VIEWS_FIRST_FAULT
    if (is) {
        printf("not ok - the first fault of what was tried\n");
        exit(1);
    }
#endif
}

static inline int views_report(bool held, const char *what)
{
    printf("%s - %s\n", held ? "ok" : "not ok", what);
    return held ? 0 : 1;
}

static inline void views_summary(void)
{
    printf("# %lu scenarios, %lu executions; at most %u stores, %u loads by a reader\n", (unsigned long)views.scenarios,
           (unsigned long)views.executions, views.stores_max, views.loads_max);
}

/* ---- the accesses of the code under test ---------------------------------------------------------------- */

static inline uint64_t views_load64(const _Atomic uint64_t *at, memory_order order)
{
    return views_load_((const void *)at, atomic_load(at), order);
}

static inline uint32_t views_load32(const _Atomic uint32_t *at, memory_order order)
{
    return (uint32_t)views_load_((const void *)at, atomic_load(at), order);
}

static inline void views_store64(_Atomic uint64_t *at, uint64_t value, memory_order order)
{
    views_store_((const void *)at, atomic_load(at), value, order);
    atomic_store(at, value);
}

static inline void views_store32(_Atomic uint32_t *at, uint32_t value, memory_order order)
{
    views_store_((const void *)at, atomic_load(at), value, order);
    atomic_store(at, value);
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_load_explicit(at, order)                                                                                \
    _Generic((at),                               \
        _Atomic uint32_t *: views_load32,        \
        const _Atomic uint32_t *: views_load32,  \
        _Atomic uint64_t *: views_load64,        \
        const _Atomic uint64_t *: views_load64)(at, order)
#define atomic_store_explicit(at, value, order)                                                                        \
    _Generic((at), _Atomic uint32_t * : views_store32, _Atomic uint64_t * : views_store64)(at, value, order)
#define LINE_STEP() views_step()
#define GROW_STEP() views_step()
#define RING_STEP() views_step()
#endif
