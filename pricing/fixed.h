/* fixed.h - integer arithmetic of prices. Factors and inputs are in millionths ("micro": 1000000 = 1.0), money in minor
 * units. Each rounding is half to even and happens exactly where a formula says so. Pure. */
#ifndef PRICING_FIXED_H
#define PRICING_FIXED_H

#include <stdbool.h>
#include <stdint.h>

#define MICRO INT64_C(1000000)

__extension__ typedef __int128 int128; /* wide enough for any product of two amounts */
__extension__ typedef unsigned __int128 uint128;

/* div_half_even - n / d rounded to the nearest integer, ties to the even one; d > 0. div_half_even_narrow - the same in 64 bits. */
static inline int64_t div_half_even_narrow(int64_t n, int64_t d)
{
    int64_t quotient = n / d, rest = n % d;
    if (rest < 0) { /* floor first, so that one rule serves both signs */
        rest += d;
        quotient -= 1;
    }
    int64_t left = d - rest;
    return quotient + (rest > left ||
                       (rest == left && (quotient & 1))); /* a rest is left by a divisor of 2 or more only: it fits */
}

static inline int128 div_half_even(int128 n, int128 d)
{
    /* 128-bit division is a library call: most amounts do not need it. */
    if (n <= INT64_MAX && n >= INT64_MIN && d <= INT64_MAX)
        return div_half_even_narrow((int64_t)n, (int64_t)d);
    int128 quotient = n / d;
    int128 rest = n - quotient * d;
    if (rest < 0) { /* floor first, so that one rule serves both signs */
        rest += d;
        quotient -= 1;
    }
    int128 left = d - rest;
    if (rest > left || (rest == left && (quotient & 1)))
        quotient += 1;
    return quotient;
}

/* div_micro_narrow - n / 10^6, half to even, n >= 0. Which way an amount is rounded cannot be guessed, and is not asked: half is added first. That
 * it is exactly half, and had to go down, is rare, and nothing waits for it. */
static inline int64_t div_micro_narrow(int64_t n)
{
    uint64_t more = (uint64_t)n + (uint64_t)MICRO / 2, quotient = more / (uint64_t)MICRO;
    if (__builtin_expect(quotient * (uint64_t)MICRO == more && (quotient & 1) != 0, 0))
        quotient--;
    return (int64_t)quotient;
}

/* mul_micro_narrow - n x micro / 10^6, half to even, in 64 bits, where a division by a constant is a multiplication. False, and *ret
 * untouched, where it takes more, or one of them is below 0. */
static inline bool mul_micro_narrow(int64_t n, int64_t micro, int64_t *ret)
{
    int64_t product;
    if (n < 0 || micro < 0 || __builtin_mul_overflow(n, micro, &product))
        return false;
    *ret = div_micro_narrow(product);
    return true;
}

/* div_down, div_up - n / d rounded down or up; n >= 0, d > 0. */
static inline int128 div_down(int128 n, int64_t d)
{
    return n <= INT64_MAX ? (int64_t)n / d : n / d;
}

static inline int128 div_up(int128 n, int64_t d)
{
    return div_down(n + d - 1, d);
}

/* mul_div_half_even - a x b / d in 128 bits, half to even. False, and *ret untouched, when it does not fit int64. */
static inline bool mul_div_half_even(int64_t a, int64_t b, int64_t d, int64_t *ret)
{
    int128 value = div_half_even((int128)a * b, d);
    if (value > INT64_MAX || value < INT64_MIN)
        return false;
    *ret = (int64_t)value;
    return true;
}

static inline int64_t clamp_i64(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}
#endif
