/* markup.c - optimal prices by closed forms, in integers. */
#include "pricing/markup.h"
#include "pricing/nano.h"

#define E_NANO INT64_C(2718281828) /* Euler's number */

int64_t markup_elastic(int64_t cost, int64_t elasticity)
{
    return elasticity <= NANO ? NANO_MAX
                              : nano_cut(div_half_even((int128)cost * elasticity, (int128)elasticity - NANO));
}

int64_t markup_logit(int64_t cost, int64_t utility, int64_t sensitivity)
{
    int64_t z = nano_cut((int128)utility - nano_mul(sensitivity, cost) - NANO);
    return nano_cut((int128)cost + nano_div(nano_cut((int128)NANO + nano_lambert(z)), sensitivity));
}

/* With x = A t / e and R(n) = sum_{i=0..n} x^i/i! / (x^n/n!), which is R(n) = 1 + R(n-1) n / x: the sums that grow like e^x
 * never appear, and J(n) - J(n - 1) = ln(R(n) / (R(n) - 1)) / a. */
int64_t markup_clearing(int64_t units, int64_t customers, int64_t sensitivity)
{
    if (units > CLEARING_UNITS_MAX) {
        customers = nano_cut(div_half_even((int128)customers * CLEARING_UNITS_MAX, units));
        units = CLEARING_UNITS_MAX;
    }
    int64_t x = nano_div(customers, E_NANO), rest = NANO; /* rest: R(n) - 1 = R(n-1) n / x */
    int64_t ratio = NANO;
    for (int64_t n = 1; n <= units && x > 0; n++) {
        rest = nano_cut(div_half_even((int128)ratio * n * NANO, x));
        ratio = nano_cut((int128)rest + NANO);
    }
    if (x <= 0 || rest >= NANO_MAX)
        return nano_div(NANO, sensitivity);
    int64_t worth = rest > 0 ? nano_log(nano_div(ratio, rest)) : NANO_MAX; /* of one more unit, times a */
    return nano_div(nano_cut((int128)NANO + worth), sensitivity);
}
#undef E_NANO
