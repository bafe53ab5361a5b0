/* nano.c - multiply, divide, exp, log, pow and Lambert's W in integers.
 *
 * exp goes by 2^t: t = x log2 e in 2^-32, its whole part a shift, its fraction by the tables of exp2_q62(). log goes by
 * log2: the position of the highest bit, then 36 bits by repeated squaring. */
#include "pricing/nano.h"
#include "pricing/demand.h"

#define LOG2E_Q62   INT64_C(6653256548922161245) /* log2 e x 2^62, rounded down */
#define LN2_Q62     INT64_C(3196577161300663914) /* ln 2 x 2^62, rounded down */
#define LOG2_E9_Q36 INT64_C(2054530443917)       /* log2 10^9 x 2^36, rounded down */
#define EXP_LOW     (-22 * NANO)                 /* below: less than half a nano */
#define EXP_HIGH    (INT64_C(22920) * 1000000)   /* above: more than NANO_MAX */
#define LOG_BITS    36

int64_t nano_mul(int64_t a, int64_t b)
{
    return nano_cut(div_half_even((int128)a * b, NANO));
}

int64_t nano_div(int64_t a, int64_t b)
{
    if (b == 0)
        return a < 0 ? -NANO_MAX : NANO_MAX;
    int128 n = (int128)a * NANO;
    return nano_cut(b < 0 ? div_half_even(-n, -(int128)b) : div_half_even(n, b));
}

int64_t nano_exp(int64_t x)
{
    if (x < EXP_LOW)
        return 0;
    if (x > EXP_HIGH)
        return NANO_MAX;
    int128 product = (int128)x * LOG2E_Q62, unit = (int128)NANO << 30;
    int64_t t = (int64_t)(product / unit);
    if (product < (int128)t * unit)
        t -= 1; /* rounded down, for both signs */
    int64_t fraction = t & INT64_C(0xFFFFFFFF), whole = (t - fraction) / (INT64_C(1) << 32);
    uint64_t power = exp2_q62((uint32_t)fraction);
    return nano_cut((int128)(((uint128)power * (uint64_t)NANO) >> (62 - whole)));
}

/* log2 x + 30 whole bits or so, in 2^-36; x > 0. */
static int64_t log2_q36(uint64_t x)
{
    int high = 63 - __builtin_clzll(x);
    uint64_t m = x << (63 - high); /* in [1, 2), 2^-63 */
    int64_t result = high;
    for (int i = 0; i < LOG_BITS; i++) {
        uint128 square = ((uint128)m * m) >> 63;
        bool bit = square >> 64 != 0;
        m = (uint64_t)(bit ? square >> 1 : square);
        result = result * 2 + bit;
    }
    return result;
}

int64_t nano_log(int64_t x)
{
    if (x <= 0)
        return -NANO_MAX;
    int128 log2 = log2_q36((uint64_t)x) - LOG2_E9_Q36;
    return (int64_t)div_half_even(log2 * LN2_Q62 / (INT64_C(1) << 32) * NANO, (int128)1 << 66);
}

int64_t nano_pow(int64_t a, int64_t b)
{
    return a <= 0 ? 0 : nano_exp(nano_mul(b, nano_log(a)));
}

int64_t nano_lambert(int64_t z)
{
    if (z < EXP_LOW)
        return 0;
    /* Newton's method on w + ln w = z, a concave function: from the second step on it rises to the root. Eight steps are
     * more than any z needs. */
    int64_t w = z > NANO ? z : nano_exp(z);
    for (int i = 0; i < 8 && w > 0; i++)
        w = nano_cut(div_half_even((int128)w * ((int128)NANO + z - nano_log(w)), (int128)NANO + w));
    return w;
}
