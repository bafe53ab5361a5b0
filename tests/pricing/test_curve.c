/* test_curve.c - values of curves between, on and outside their points. */
#include "pricing/model.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <math.h>

#define P(x, y)                                                                                                        \
    {                                                                                                                  \
        (int64_t)((x)*1000000), (int64_t)((y)*1000000)                                                                 \
    }

Test(curve, a_line_is_straight_between_points_and_flat_outside)
{
    const struct model_point point[] = { P(0.5, 0.97), P(1, 1), P(2, 1.08) };
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, INT64_MIN), 970000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, 500000), 970000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, 750000), 985000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, 1000000), 1000000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, 1250000), 1020000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, 2000000), 1080000);
    cr_assert_eq(model_curve(CURVE_LINEAR, 3, point, INT64_MAX), 1080000);
}

Test(curve, steps_hold_from_their_point_on)
{
    const struct model_point point[] = { P(0, 1), P(2, 1.02), P(10, 1.05) };
    cr_assert_eq(model_curve(CURVE_STEPS, 3, point, -5), 1000000, "the first y left of all");
    cr_assert_eq(model_curve(CURVE_STEPS, 3, point, 1999999), 1000000);
    cr_assert_eq(model_curve(CURVE_STEPS, 3, point, 2000000), 1020000);
    cr_assert_eq(model_curve(CURVE_STEPS, 3, point, 9999999), 1020000);
    cr_assert_eq(model_curve(CURVE_STEPS, 3, point, INT64_MAX), 1050000);
}

Test(curve, a_single_point_is_a_constant_and_no_point_is_neutral)
{
    const struct model_point point[] = { P(3, 0.9) };
    for (int64_t x = -10000000; x <= 10000000; x += 1000000) {
        cr_assert_eq(model_curve(CURVE_LINEAR, 1, point, x), 900000);
        cr_assert_eq(model_curve(CURVE_STEPS, 1, point, x), 900000);
        cr_assert_eq(model_curve(CURVE_LINEAR, 0, NULL, x), 1000000);
    }
}

/* y0 + half_even((y1 - y0)(x - x0)/(x1 - x0)), written out for slopes of one half. */
Test(curve, interpolation_rounds_half_to_even)
{
    const struct model_point up[] = { { 0, 0 }, { 4, 2 } }, down[] = { { 0, 0 }, { 4, -2 } };
    const int64_t expected[] = { 0, 0, 1, 2, 2 }; /* 0, 0.5, 1, 1.5, 2 */
    for (int64_t x = 0; x <= 4; x++) {
        cr_assert_eq(model_curve(CURVE_LINEAR, 2, up, x), expected[x]);
        cr_assert_eq(model_curve(CURVE_LINEAR, 2, down, x), -expected[x]);
    }
}

Test(curve, stays_between_its_neighbours_and_near_the_exact_line)
{
    uint64_t seed = 11;
    for (int round = 0; round < 20000; round++) {
        struct model_point point[MODEL_POINTS_MAX];
        uint32_t count = (uint32_t)random_between(&seed, 2, MODEL_POINTS_MAX);
        int64_t x = random_between(&seed, -1000000000000000, 0);
        for (uint32_t i = 0; i < count; i++, x += random_between(&seed, 1, i % 3 == 0 ? 10 : 40000000000000))
            point[i] = (struct model_point){ x, random_between(&seed, 100000, 10000000) };
        uint32_t i = (uint32_t)random_between(&seed, 0, count - 2);
        const struct model_point *a = &point[i], *b = &point[i + 1];
        int64_t at = random_between(&seed, a->x_micro, b->x_micro);
        long double exact = (long double)a->y_micro + (long double)(b->y_micro - a->y_micro) *
                                                          (long double)(at - a->x_micro) /
                                                          (long double)(b->x_micro - a->x_micro);
        int64_t got = model_curve(CURVE_LINEAR, count, point, at);
        cr_assert(fabsl((long double)got - exact) <= 0.5L + 1e-6L);
    }
}
