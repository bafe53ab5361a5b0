/* bench.h - what measurements share: options, a clock, samples and their percentiles.
 *
 * Rules of this folder: a peer runs in the same run, on the same data, through its own client; both pay for hashing or
 * formatting their keys; the clock's own cost is printed and not subtracted. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
    uint64_t customers;
    uint64_t cells;
    uint64_t seconds; /* for each measurement */
    bool json;
    bool peers;
};

/* ---- clock --------------------------------------------------------------------------------------------- */

/* clock_setup - calibrate; takes about 0.1 s. Call once, first. */
void clock_setup(void);
const char *clock_name(void);
double clock_cost_ns(void);
double clock_ns(uint64_t ticks);
uint64_t clock_begin(void); /* no earlier instruction is still running */
uint64_t clock_end(void);   /* no later one has begun */

/* ---- samples ------------------------------------------------------------------------------------------- */

struct samples {
    uint32_t *ticks; /* one per operation, capped at UINT32_MAX */
    size_t count;
    size_t capacity;
};

bool samples_setup(struct samples *s, size_t capacity);
void samples_teardown(struct samples *s);
void samples_sort(struct samples *s);

static inline void samples_add(struct samples *s, uint64_t ticks)
{
    if (s->count < s->capacity)
        s->ticks[s->count++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

/* samples_at - the value in ns that `share` of the samples do not exceed; after samples_sort(). */
double samples_at(const struct samples *s, double share);

/* bench_random - SplitMix64: the same sequence in each run. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* ---- measurements -------------------------------------------------------------------------------------- */

/* bench_quote - prices for a customer: Rialto's library beside Redis. Returns the exit status. */
int bench_quote(const struct bench_options *options);

#endif
