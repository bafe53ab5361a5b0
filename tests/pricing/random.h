/* random.h - repeatable numbers for property tests: splitmix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014). */
#ifndef TESTS_PRICING_RANDOM_H
#define TESTS_PRICING_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* In [low, high]. */
static inline int64_t random_between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(random_next(state) % ((uint64_t)high - (uint64_t)low + 1));
}
#endif
