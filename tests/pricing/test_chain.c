/* Goal: a list price goes through its factors as docs/pricing.md states it, each step rounded, whichever way the amount is found. */
#include "pricing/chain.h"
#include "pricing/fixed.h"

#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <string.h>

/* By the definition: of the two integers around n / 10^6 the nearer one, of two as near the even one. */
static int128 to_nearest(int128 n)
{
    int128 below = n / MICRO, rest = n - below * MICRO;
    return below + (2 * rest > MICRO || (2 * rest == MICRO && below % 2 == 1));
}

/* False: an amount on the way is beyond (2^63 - 1) x 10^6. */
static bool by_definition(int64_t list, const int32_t values[], uint32_t count, int64_t *ret, int64_t *ret_rest)
{
    int128 amount = (int128)list * MICRO;
    for (uint32_t i = 0; i < count; i++) {
        amount = to_nearest(amount * values[i]);
        if (amount > (int128)INT64_MAX * MICRO)
            return false;
    }
    *ret = (int64_t)to_nearest(amount);
    *ret_rest = (int64_t)(amount % MICRO);
    return true;
}

/* True: the amount lies within a thousandth of the middle between two minor units. */
static bool check(int64_t list, const int32_t values[MODEL_FACTORS_MAX], uint32_t count)
{
    int64_t wanted = -77, got = -77, step_by_step = -77, rest = 0;
    bool fits = by_definition(list, values, count, &wanted, &rest);
    cr_assert_eq(chain_apply(list, values, count, &got), fits, "%lld, %u factors", (long long)list, count);
    cr_assert_eq(chain_steps(list, values, count, &step_by_step), fits);
    cr_assert(got == wanted && step_by_step == wanted,
              "%lld through %u factors (%d, %d, %d, ...): %lld, step by step %lld, and not %lld", (long long)list,
              count, values[0], values[1], values[2], (long long)got, (long long)step_by_step, (long long)wanted);
    return fits && rest > MICRO / 2 - 1000 && rest < MICRO / 2 + 1000;
}

static int32_t any_value(uint64_t *seed)
{
    switch (random_next(seed) % 8) {
    case 0: return MICRO;
    case 1: return (int32_t)random_between(seed, 0, 10 * MICRO);
    case 2: return (int32_t)random_between(seed, 0, 3);
    case 3: return (int32_t)random_between(seed, 10 * MICRO - 3, 10 * MICRO);
    case 4: return (int32_t)(random_between(seed, 1, 40) * MICRO / 4);
    default: return (int32_t)random_between(seed, MICRO * 8 / 10, MICRO * 12 / 10);
    }
}

Test(chain, amounts_and_factors_of_every_size_come_to_what_the_steps_come_to)
{
    uint64_t seed = 31;
    for (int i = 0; i < 400000; i++) {
        int32_t values[MODEL_FACTORS_MAX] = { 0 };
        uint32_t count = (uint32_t)(random_next(&seed) % (MODEL_FACTORS_MAX + 1));
        for (uint32_t f = 0; f < count; f++)
            values[f] = any_value(&seed);
        check((int64_t)(random_next(&seed) >> (1 + random_next(&seed) % 63)), values, count);
    }
}

/* Where steps and products differ: there the roundings between decide which way the last one goes. Of factors that make amounts larger from the second on,
 * each rounding counts most. */
Test(chain, amounts_near_the_middle_between_two_minor_units_are_rounded_as_the_steps_say)
{
    uint64_t seed = 32, near = 0;
    for (int i = 0; i < 3000; i++) {
        int32_t values[MODEL_FACTORS_MAX] = { 0 };
        uint32_t count = 1 + (uint32_t)(random_next(&seed) % MODEL_FACTORS_MAX);
        int32_t most = i % 3 == 0 ? MICRO * 2097 / 1000 : MICRO * 12 / 10;
        for (uint32_t f = 0; f < count; f++)
            values[f] = (int32_t)random_between(&seed, i % 3 == 0 ? MICRO * 2 : MICRO * 8 / 10, most);
        int64_t list = random_between(&seed, 1, 50000);
        for (int n = 0; n < 1000; n++, list++)
            near += check(list, values, count);
    }
    cr_assert(near > 3000, "%llu of 3,000,000 were near the middle", (unsigned long long)near);
}

Test(chain, exactly_half_goes_to_the_even_one)
{
    static const struct {
        int64_t list, raw;
        int32_t value;
    } halves[] = { { 1, 0, 500000 },
                   { 3, 2, 500000 },
                   { 5, 2, 500000 },
                   { 7, 4, 500000 },
                   { 25, 2, 100000 },
                   { 35, 4, 100000 },
                   { 30, 38, 1250000 },
                   { 10, 12, 1250000 },
                   { (1 << 26) - 1, 33554432, 500000 },
                   { (1 << 26) + 1, 33554432, 500000 } };
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        for (uint32_t count = 1; count <= MODEL_FACTORS_MAX; count++) {
            int32_t values[MODEL_FACTORS_MAX] = { 0 };
            int64_t raw = -77;
            for (uint32_t f = 0; f < count; f++)
                values[f] = f + 1 == count ? halves[i].value : (int32_t)MICRO;
            cr_assert(chain_apply(halves[i].list, values, count, &raw));
            cr_assert_eq(raw, halves[i].raw, "%lld x %d: %lld", (long long)halves[i].list, halves[i].value,
                         (long long)raw);
        }
    }
}
