/* chain.c - a list price through its factors.
 *
 *   list --x f1, rounded to millionths of a minor unit--> --x f2, rounded--> ... --rounded--> raw, in minor units
 *
 * Each step waits for the one before. But what comes out is a whole minor unit, and all roundings between together move an amount by so little that
 * hardly any price depends on them. So factors are multiplied four by four, side by side, and where the amount that comes out is far enough from the
 * middle between two minor units, it is rounded right there. Elsewhere, and for amounts and factors out of the ordinary, the steps are taken. */
#include "pricing/chain.h"

#include "pricing/fixed.h"

/* ---- step by step ---------------------------------------------------------------------------------------------------- */

/* As far as amounts in millionths fit into 64 bits, which those of shops do: the number of factors that they came through. */
static uint32_t steps_narrow(const int32_t values_micro[], uint32_t count, int64_t *amount_micro)
{
    uint32_t i = 0;
    int64_t amount = *amount_micro;
    while (i < count && mul_micro_narrow(amount, values_micro[i], &amount))
        i++;
    *amount_micro = amount;
    return i;
}

bool chain_steps(int64_t list, const int32_t values_micro[MODEL_FACTORS_MAX], uint32_t count, int64_t *ret_raw)
{
    int64_t narrow;
    uint32_t done = 0;
    int128 amount_micro = (int128)list * MICRO;
    if (!__builtin_mul_overflow(list, MICRO, &narrow)) {
        done = steps_narrow(values_micro, count, &narrow);
        amount_micro = narrow;
    }
    for (uint32_t i = done; i < count; i++) {
        amount_micro = div_half_even(amount_micro * values_micro[i], MICRO);
        if (amount_micro > (int128)INT64_MAX * MICRO)
            return false;
    }
    *ret_raw = (int64_t)div_half_even(amount_micro, MICRO);
    return true;
}

/* ---- side by side ----------------------------------------------------------------------------------------------------- */

#define GROUP         4u
#define GROUPS_MAX    (MODEL_FACTORS_MAX / GROUP)
#define PAIR_BITS     42u /* of a product of two values: below 4.4 */
#define LIST_BITS     26u
#define FRACTION_BITS 20u /* of an amount, behind minor units */

_Static_assert(MODEL_FACTORS_MAX == 12, "the tables have a row for each number of whole groups");

/* By number of groups. START: 2^(FRACTION_BITS + LIST_BITS) (2^84 / 10^24)^groups, each group taking 10^24 / 2^84 of it: two products of pairs, shifted
 * left by 22 each, and the higher half of what they and the amount come to.
 *
 * MIDDLE: how far from the steps' amount this one may be, in 2^-FRACTION_BITS. A step rounds by half a millionth at most, and the factors behind it
 * make that larger: by 4.4 for each pair of values, and by 10, the largest value, where one stands alone. So 11/2 (1 + t + t^2 + ...) over the pairs,
 * t being 2^42 / 10^12: 29.7, 604.0 and 11,712.1 millionths; in 2^-20, 32, 634 and 12,281. And here nothing is rounded up: less than 1 at START, and in
 * a group less than 1 for its product and 1 for the amount, which no group behind makes larger: it multiplies by less than 2^84, and takes that: less
 * than 7. */
static const uint64_t START[GROUPS_MAX + 1] = { UINT64_C(70368744177664), UINT64_C(1361129467683754),
                                                UINT64_C(26328072917139297), UINT64_C(509258994083621522) };
static const uint64_t MIDDLE[GROUPS_MAX + 1] = { 1, 39, 641, 12288 };

static inline uint64_t high_half(uint64_t a, uint64_t b)
{
    return (uint64_t)((uint128)a * b >> 64);
}

/* Loaded one by one, because one of them may just have been stored alone: two stores cannot be forwarded to one load, and it would wait until they are
 * in the cache. `behind`: 1.0 for what is no value, and else 0. */
static inline uint64_t pair_product(const int32_t values_micro[2], const int32_t behind[2])
{
    uint64_t first = (uint32_t)__atomic_load_n(&values_micro[0], __ATOMIC_RELAXED) + (uint32_t)behind[0],
             second = (uint32_t)__atomic_load_n(&values_micro[1], __ATOMIC_RELAXED) + (uint32_t)behind[1];
    return first * second;
}

/* False: that is for the steps. */
static inline bool side_by_side(int64_t list, const int32_t values_micro[MODEL_FACTORS_MAX], uint32_t count,
                                int64_t *ret_raw)
{
    static const int32_t ONES_BEHIND[2 * MODEL_FACTORS_MAX] = {
        [MODEL_FACTORS_MAX] = MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO, MICRO
    };
    const int32_t *behind = &ONES_BEHIND[MODEL_FACTORS_MAX - count];
    uint32_t groups = (count + GROUP - 1) / GROUP;
    uint64_t amount = high_half((uint64_t)list << (64 - LIST_BITS), START[groups]), any = 0;
    for (uint32_t i = 0; i < groups * GROUP; i += GROUP) {
        uint64_t first = pair_product(&values_micro[i], &behind[i]),
                 second = pair_product(&values_micro[i + 2], &behind[i + 2]);
        any |= first | second;
        amount = high_half(amount, high_half(first << (64 - PAIR_BITS), second << (64 - PAIR_BITS)));
    }
    uint64_t half = UINT64_C(1) << (FRACTION_BITS - 1), fraction = amount & (2 * half - 1), middle = MIDDLE[groups];
    if ((uint64_t)list >> LIST_BITS != 0 || any >> PAIR_BITS != 0 || fraction - (half - middle) <= 2 * middle)
        return false;
    *ret_raw = (int64_t)((amount + half) >> FRACTION_BITS);
    return true;
}

bool chain_apply(int64_t list, const int32_t values_micro[MODEL_FACTORS_MAX], uint32_t count, int64_t *ret_raw)
{
    return side_by_side(list, values_micro, count, ret_raw) || chain_steps(list, values_micro, count, ret_raw);
}
