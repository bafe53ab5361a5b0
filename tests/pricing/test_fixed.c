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

static void check(int64_t n, int64_t m)
{
    int64_t got = -77;
    int128 wanted = by_definition(n, m);
    bool fits = (int128)n * m <= INT64_MAX;
    cr_assert_eq(mul_micro_narrow(n, m, &got), fits, "%lld x %lld", (long long)n, (long long)m);
    cr_assert(got == (fits ? wanted : -77), "%lld x %lld", (long long)n, (long long)m);
    cr_assert(div_half_even((int128)n * m, MICRO) == wanted, "%lld x %lld, the long way", (long long)n, (long long)m);
}

Test(fixed, a_multiple_in_millionths_is_rounded_half_to_even_or_refused_where_it_takes_more_than_64_bits)
{
    static const int64_t edges[] = {
        0,        1,       2,       3,          499999,       500000,       500001,        999999,
        MICRO,    1500000, 2500000, 10 * MICRO, 922337203685, 922337203686, 9223372036854, 9223372036855,
        INT64_MAX
    };
    for (unsigned i = 0; i < sizeof edges / sizeof edges[0]; i++)
        for (unsigned j = 0; j < sizeof edges / sizeof edges[0]; j++)
            if (edges[j] <= 10 * MICRO)
                check(edges[i], edges[j]);
    uint64_t seed = 27;
    for (int i = 0; i < 200000; i++)
        check((int64_t)(random_next(&seed) >> (1 + random_next(&seed) % 63)), random_between(&seed, 0, 10 * MICRO));
    int64_t got = -77;
    cr_assert(!mul_micro_narrow(-1, 500000, &got) && !mul_micro_narrow(1, -500000, &got) && got == -77, "below 0");
}
