/* Goal: a step that knows its divisor rounds as the definition says, whether or not its product fits into 64 bits. */
#include "pricing/fixed.h"

#include "tests/pricing/random.h"

#include <criterion/criterion.h>

/* By the definition: of the two integers around n x m / 10^6 the nearer one, of two as near the even one. n x m >= 0. */
static int128 by_definition(int128 n, int64_t m)
{
    int128 product = n * m, below = 0;
    for (int128 step = (int128)1 << 100; step > 0; step /= 2)
        if ((below + step) * MICRO <= product)
            below += step;
    int128 to_below = product - below * MICRO, to_above = (below + 1) * MICRO - product;
    if (to_below != to_above)
        return to_below < to_above ? below : below + 1;
    return below % 2 == 0 ? below : below + 1;
}

Test(fixed, a_multiple_in_millionths_is_rounded_half_to_even_whatever_its_width)
{
    static const int64_t edges[] = { 0,
                                     1,
                                     2,
                                     3,
                                     499999,
                                     500000,
                                     500001,
                                     999999,
                                     MICRO,
                                     1500000,
                                     2500000,
                                     10 * MICRO,
                                     INT64_C(9223372036854),
                                     INT64_C(9223372036855),
                                     INT64_C(4611686018427387904),
                                     INT64_MAX };
    for (unsigned i = 0; i < sizeof edges / sizeof edges[0]; i++)
        for (unsigned j = 0; j < sizeof edges / sizeof edges[0]; j++)
            if (edges[j] <= 10 * MICRO)
                cr_assert(mul_micro_half_even(edges[i], edges[j]) == by_definition(edges[i], edges[j]), "%u %u", i, j);
    uint64_t seed = 27;
    for (int i = 0; i < 200000; i++) {
        int64_t n = (int64_t)(random_next(&seed) >> (1 + random_next(&seed) % 63)),
                m = (int64_t)(random_next(&seed) % (10 * MICRO + 1));
        cr_assert(mul_micro_half_even(n, m) == by_definition(n, m), "%lld x %lld", (long long)n, (long long)m);
    }
    int128 wide = (int128)INT64_MAX * MICRO; /* as wide as a price on its way through its factors */
    cr_assert(mul_micro_half_even(wide, 1500001) == by_definition(wide, 1500001));
    cr_assert(mul_micro_half_even(-3, 500000) == -2, "-1.5");
    cr_assert(mul_micro_half_even(-1, 500000) == 0, "-0.5");
}
