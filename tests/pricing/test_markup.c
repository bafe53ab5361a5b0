/* test_markup.c - optimal prices against published numbers, a numerical maximiser and a differential equation, all in doubles. */
#include "pricing/markup.h"
#include "pricing/nano.h"

#include <criterion/criterion.h>
#include <math.h>

static int64_t nano(double x)
{
    return (int64_t)llround(x * 1e9);
}

/* Golden-section search for the maximum of a unimodal profit. */
struct market {
    double cost, a, b; /* elasticity in a; or utility in a, sensitivity in b */
};

static double profit_elastic(const struct market *m, double p)
{
    return (p - m->cost) * pow(p, -m->a);
}

static double profit_logit(const struct market *m, double p)
{
    double u = exp(m->a - m->b * p);
    return (p - m->cost) * u / (1 + u);
}

static double best_price(double (*profit)(const struct market *, double), const struct market *m, double low,
                         double high)
{
    const double g = 0.6180339887498949;
    for (int i = 0; i < 200; i++) {
        double c = high - g * (high - low), d = low + g * (high - low);
        if (profit(m, c) > profit(m, d))
            high = d;
        else
            low = c;
    }
    return (low + high) / 2;
}

Test(markup, published_numbers)
{
    cr_expect_float_eq((double)markup_elastic(NANO, nano(2.62)) / 1e9, 1.6173, 5e-5);
    cr_expect_float_eq((double)markup_logit(0, 3 * NANO, NANO) / 1e9, 2.557146, 5e-7);
    static const struct {
        int64_t units;
        double price;
    } gallego_van_ryzin[] = { { 1, 3.754627 }, { 2, 3.065521 }, { 5, 2.164413 }, { 10, 1.512868 }, { 20, 1.041664 } };
    for (size_t i = 0; i < 5; i++)
        cr_expect_float_eq((double)markup_clearing(gallego_van_ryzin[i].units, 40 * NANO, NANO) / 1e9,
                           gallego_van_ryzin[i].price, 5e-7, "%ld units", (long)gallego_van_ryzin[i].units);
}

Test(markup, agrees_with_a_maximiser_that_knows_no_closed_form)
{
    for (double cost = 0.1; cost < 2; cost += 0.3)
        for (double e = 1.2; e < 8; e += 0.7) {
            struct market m = { cost, e, 0 };
            cr_expect_float_eq((double)markup_elastic(nano(cost), nano(e)) / 1e9,
                               best_price(profit_elastic, &m, cost, 60 * cost), 1e-5 * cost * e / (e - 1),
                               "cost %g e %g", cost, e);
        }
    for (double cost = 0; cost < 2; cost += 0.4)
        for (double u = -4; u < 9; u += 1.3)
            for (double s = 0.3; s < 5; s += 0.9) {
                struct market m = { cost, u, s };
                cr_expect_float_eq((double)markup_logit(nano(cost), nano(u), nano(s)) / 1e9,
                                   best_price(profit_logit, &m, cost, cost + 40 / s), 3e-5, "cost %g u %g s %g", cost,
                                   u, s);
            }
}

/* J_n'(s) = max_p A e^(-a p) (p - (J_n - J_(n-1))), J_n(0) = 0: Runge and Kutta's fourth-order steps over the remaining time; the
 * best p is 1/a + J_n - J_(n-1). */
#define UNITS 20
static void slopes(double A, double a, const double J[UNITS + 1], double ret[UNITS + 1])
{
    ret[0] = 0;
    for (int n = 1; n <= UNITS; n++) {
        double worth = J[n] - J[n - 1], p = 1 / a + worth;
        ret[n] = A * exp(-a * p) * (p - worth);
    }
}

static void solve(double A, double a, double time, double J[UNITS + 1])
{
    const int steps = 4000;
    double h = time / steps, k[4][UNITS + 1], x[UNITS + 1];
    for (int n = 0; n <= UNITS; n++)
        J[n] = 0;
    for (int i = 0; i < steps; i++) {
        slopes(A, a, J, k[0]);
        for (int stage = 1; stage < 4; stage++) {
            for (int n = 0; n <= UNITS; n++)
                x[n] = J[n] + h * (stage == 3 ? 1 : 0.5) * k[stage - 1][n];
            slopes(A, a, x, k[stage]);
        }
        for (int n = 0; n <= UNITS; n++)
            J[n] += h / 6 * (k[0][n] + 2 * k[1][n] + 2 * k[2][n] + k[3][n]);
    }
}

Test(markup, clearing_agrees_with_the_differential_equation)
{
    static const struct {
        double A, a, time;
    } rows[] = { { 40, 1, 1 }, { 10, 2, 0.5 }, { 200, 1.5, 0.25 }, { 3, 0.7, 2 } };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        double J[UNITS + 1];
        solve(rows[r].A, rows[r].a, rows[r].time, J);
        for (int n = 1; n <= UNITS; n++)
            cr_expect_float_eq((double)markup_clearing(n, nano(rows[r].A * rows[r].time), nano(rows[r].a)) / 1e9,
                               1 / rows[r].a + J[n] - J[n - 1], 2e-6, "row %zu n %d", r, n);
    }
}

Test(markup, clearing_falls_with_stock_and_with_time)
{
    for (int64_t n = 1; n < 400; n++) {
        int64_t more = markup_clearing(n + 1, 120 * NANO, NANO), less = markup_clearing(n, 120 * NANO, NANO);
        cr_assert(more <= less || (n == CLEARING_UNITS_MAX && more - less < NANO / 1000), "%ld", (long)n);
        cr_assert_geq(less, NANO, "never below 1 / sensitivity");
    }
    for (int64_t customers = 0; customers < 200; customers++)
        cr_assert_leq(markup_clearing(5, customers * NANO, NANO), markup_clearing(5, (customers + 1) * NANO, NANO));
    cr_assert_eq(markup_clearing(7, 0, 2 * NANO), NANO / 2, "at the end the next customer alone counts");
}
