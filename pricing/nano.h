/* nano.h - decimal fixed-point numbers for expressions and closed forms: int64_t in 1e-9 ("nano": 1000000000 = 1).
 *
 * Integers only, so that every compiler, optimisation and machine gives the same bits. A result outside
 * [-NANO_MAX, NANO_MAX] is cut to it; nothing overflows and nothing fails. docs/pricing.md states each step. Pure. */
#ifndef PRICING_NANO_H
#define PRICING_NANO_H

#include "pricing/fixed.h"

#define NANO           INT64_C(1000000000)
#define NANO_MAX       (INT64_C(9000000000) * NANO)
#define NANO_PER_MICRO 1000

static inline int64_t nano_cut(int128 value)
{
    return value > NANO_MAX ? NANO_MAX : value < -NANO_MAX ? -NANO_MAX : (int64_t)value;
}

/* nano_of_micro - exact, cut. micro_of_nano - half to even. */
static inline int64_t nano_of_micro(int64_t micro)
{
    return nano_cut((int128)micro * NANO_PER_MICRO);
}

static inline int64_t micro_of_nano(int64_t nano)
{
    return (int64_t)div_half_even(nano, NANO_PER_MICRO);
}

/* nano_mul, nano_div - half to even. x / 0 is the largest number of x's sign: a total function, though no model that
 * was accepted can ask for it. */
int64_t nano_mul(int64_t a, int64_t b);
int64_t nano_div(int64_t a, int64_t b);

/* nano_exp - e^x; nano_log - ln x, x <= 0 gives -NANO_MAX; nano_pow - a^b = exp(b ln a), 0 for a <= 0. Relative error of
 * exp below 1e-9 above one nano, absolute error of log below 1e-9. */
int64_t nano_exp(int64_t x);
int64_t nano_log(int64_t x);
int64_t nano_pow(int64_t a, int64_t b);

/* nano_lambert - w with w + ln w = z, that is W(e^z), the principal branch of Lambert's function (R. M. Corless et al.,
 * Advances in Computational Mathematics 5, 1996, pp. 329-359). */
int64_t nano_lambert(int64_t z);
#endif
