/* test_demand.c - decayed sums and demand pressure against closed forms and against the definition in long double. */
#include "pricing/demand.h"
#include "pricing/fixed.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define NOW_MS  INT64_C(1761955200000) /* 2025-11-01 */

static const struct demand_settings usual = {
    .half_life_s = 6 * 3600,
    .slow_half_life_s = 7 * 86400,
    .prior_micro = 5 * MICRO,
    .min_events_micro = 10 * MICRO,
    .weight_micro = { MICRO / 10, MICRO / 10, MICRO / 2, MICRO, 0 },
};

/* ---- powers of two -------------------------------------------------------------------------------------- */

Test(demand, exp2_equals_its_definition_everywhere)
{
    cr_assert_eq(exp2_q30(0), UINT64_C(1) << 30);
    cr_assert_eq(exp2_q30(32768), 1518500249); /* 2^30 x 1.41421356237309504880... */
    cr_assert_eq(exp2_q30(16384), 1276901416); /* 2^30 x 1.18920711500272106671... */
    uint64_t before = 0;
    for (uint32_t x = 0; x <= 65535; x++) {
        uint64_t got = exp2_q30(x);
        long double exact = exp2l((long double)x / 65536.0L) * 1073741824.0L;
        cr_assert(fabsl((long double)got + 0.5L - exact) <= 0.5L + 1e-6L, "x %u: %lu", x, (unsigned long)got);
        cr_assert_gt(got, before);
        before = got;
    }
}

/* ---- decayed sums --------------------------------------------------------------------------------------- */

Test(demand, one_half_life_halves_exactly)
{
    uint64_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        uint32_t h = (uint32_t)random_between(&seed, 1, 30 * 86400);
        int64_t t = NOW_MS + random_between(&seed, 0, 100 * DAY_MS);
        struct decayed_sum sum = { 0 };
        for (int i = 0; i < 5; i++)
            decayed_add(&sum, h, t - random_between(&seed, 0, 10 * (int64_t)h * 1000),
                        random_between(&seed, 1, 100 * MICRO));
        int64_t value = decayed_at(&sum, t);
        for (int k = 0; k < 40; k++, t += (int64_t)h * 1000, value /= 2)
            cr_assert_eq(decayed_at(&sum, t), value, "h %u after %d half-lives", h, k);
    }
}

Test(demand, an_event_counts_fully_at_its_own_time)
{
    uint64_t seed = 2;
    for (int round = 0; round < 10000; round++) {
        uint32_t h = (uint32_t)random_between(&seed, 1, 30 * 86400);
        int64_t t = random_between(&seed, 1, 2 * NOW_MS), weight = random_between(&seed, 1, 1000 * MICRO);
        struct decayed_sum sum = { 0 };
        decayed_add(&sum, h, t, weight);
        /* One unit of 2^-20, at most doubled by the place within the grid's first half-life; 2^-16 half-lives of
         * time. */
        int64_t lost = weight - decayed_at(&sum, t);
        cr_assert(lost >= 0 && lost <= 2 + weight / 65536, "h %u t %ld weight %ld lost %ld", h, (long)t, (long)weight,
                  (long)lost);
    }
}

/* Events one half-life apart add up to 1 + 1/2 + 1/4 + ... = 2 (geometric series). */
Test(demand, a_regular_stream_reaches_its_closed_form)
{
    struct decayed_sum sum = { 0 };
    int64_t t = NOW_MS;
    for (int i = 0; i < 200; i++, t += 6 * HOUR_MS)
        decayed_add(&sum, 6 * 3600, t, MICRO);
    int64_t value = decayed_at(&sum, t - 6 * HOUR_MS);
    cr_assert(llabs(value - 2 * MICRO) <= 40, "%ld", (long)value);

    /* Every d < h: 1 / (1 - 2^(-d/h)). */
    sum = (struct decayed_sum){ 0 };
    for (int i = 0; i < 3000; i++, t += HOUR_MS)
        decayed_add(&sum, 6 * 3600, t, MICRO);
    double exact = 1e6 / (1 - exp2(-1.0 / 6));
    value = decayed_at(&sum, t - HOUR_MS);
    cr_assert(fabs((double)value - exact) <= exact * 3e-5, "%ld, exact %.1f", (long)value, exact);
}

static void shuffle(uint64_t *seed, int count, int order[])
{
    for (int i = count - 1; i > 0; i--) {
        int j = (int)random_between(seed, 0, i), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

#define EVENTS 40
static struct decayed_sum sum_in_order(uint32_t h, const int64_t t[EVENTS], const int64_t w[EVENTS],
                                       const int order[EVENTS])
{
    struct decayed_sum sum = { 0 };
    for (int i = 0; i < EVENTS; i++)
        decayed_add(&sum, h, t[order[i]], w[order[i]]);
    return sum;
}

Test(demand, within_one_landmark_any_order_gives_the_same_sum)
{
    uint64_t seed = 3;
    for (int round = 0; round < 500; round++) {
        uint32_t h = (uint32_t)random_between(&seed, 1, 86400);
        int64_t grid = (int64_t)h * 16000, start = NOW_MS / grid * grid, t[EVENTS], w[EVENTS];
        int order[EVENTS];
        for (int i = 0; i < EVENTS; i++) {
            t[i] = start + random_between(&seed, 0, grid - 1);
            w[i] = random_between(&seed, 1, 50 * MICRO);
            order[i] = i;
        }
        struct decayed_sum first = sum_in_order(h, t, w, order);
        shuffle(&seed, EVENTS, order);
        struct decayed_sum second = sum_in_order(h, t, w, order);
        cr_assert_eq(first.sum_q20, second.sum_q20);
        cr_assert_eq(first.landmark, second.landmark);
    }
}

/* Goal: late events count where they belong. In order of time nothing is ever late, and the sum is exact to less than
 * 2 units; each event that comes after its landmark has passed may lose less than one more. */
Test(demand, across_landmarks_order_matters_by_less_than_a_unit_an_event)
{
    uint64_t seed = 4;
    for (int round = 0; round < 500; round++) {
        uint32_t h = (uint32_t)random_between(&seed, 1, 86400);
        int64_t t[EVENTS], w[EVENTS];
        int order[EVENTS];
        t[0] = NOW_MS;
        for (int i = 0; i < EVENTS; i++) {
            t[i] = i == 0 ? NOW_MS : t[i - 1] + random_between(&seed, 0, (int64_t)h * 4000);
            w[i] = random_between(&seed, 1, 50 * MICRO);
            order[i] = i;
        }
        struct decayed_sum in_time = sum_in_order(h, t, w, order);
        shuffle(&seed, EVENTS, order);
        struct decayed_sum mixed = sum_in_order(h, t, w, order);
        cr_assert_eq(in_time.landmark, mixed.landmark);
        int64_t apart = (int64_t)(in_time.sum_q20 - mixed.sum_q20);
        cr_assert(llabs(apart) <= 2 + EVENTS, "%ld units apart", (long)apart);
        int64_t value = decayed_at(&in_time, t[EVENTS - 1]), other = decayed_at(&mixed, t[EVENTS - 1]);
        cr_assert(llabs(value - other) <= 2 + EVENTS, "%ld and %ld micro", (long)value, (long)other);
    }
}

Test(demand, late_and_ancient_events_are_shifted_right)
{
    uint32_t h = 3600;
    int64_t grid = 16 * HOUR_MS, landmark = NOW_MS / grid * grid;
    struct decayed_sum sum = { 0 };
    decayed_add(&sum, h, landmark, MICRO);
    cr_assert_eq(sum.sum_q20, 1u << 20);
    decayed_add(&sum, h, landmark - HOUR_MS, MICRO); /* an hour before the landmark: half */
    cr_assert_eq(sum.sum_q20, (1u << 20) + (1u << 19));
    decayed_add(&sum, h, landmark - 20 * HOUR_MS, MICRO);
    cr_assert_eq(sum.sum_q20, (1u << 20) + (1u << 19) + 1);
    decayed_add(&sum, h, landmark - 21 * HOUR_MS, MICRO); /* less than a unit */
    decayed_add(&sum, h, 0, 1000 * MICRO);
    decayed_add(&sum, h, INT64_MIN, 1000 * MICRO);
    cr_assert_eq(sum.sum_q20, (1u << 20) + (1u << 19) + 1);
    decayed_add(&sum, h, landmark + grid, 0); /* nothing is added, nothing moves */
    decayed_add(&sum, h, landmark + grid, -MICRO);
    cr_assert_eq(sum.landmark, landmark / grid);
    decayed_add(&sum, h, landmark + grid, MICRO); /* 16 half-lives on: the old sum is worth 1.5 / 65536 */
    cr_assert_eq(sum.sum_q20, (1u << 20) + 24);
}

/* Values worked out with exact rational arithmetic from the steps in docs/pricing.md: time is rounded up, the value down. */
Test(demand, reading_rounds_as_documented)
{
    const struct {
        int64_t since_ms, value;
    } known[] = { { -1, 1000000 },     { 0, 1000000 },     { 1, 999989 },         { 15, 999989 },
                  { 16, 999978 },      { 500000, 707106 }, { 999999, 500000 },    { 1000000, 500000 },
                  { 1500000, 353553 }, { 33000000, 0 },    { -50000000, 1000000 } };
    struct decayed_sum sum = { 0 };
    int64_t landmark_ms = INT64_C(16000) * 1000 * 5;
    decayed_add(&sum, 1000, landmark_ms, MICRO);
    cr_assert(sum.sum_q20 == 1048576 && sum.landmark == 5);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_assert_eq(decayed_at(&sum, landmark_ms + known[i].since_ms), known[i].value, "%ld ms",
                     (long)known[i].since_ms);
}

Test(demand, pressure_rounds_as_documented)
{
    const struct {
        int64_t since_ms, pressure, events;
    } known[] = { { 0, 6362306, 37083647 },       { 3600000, 5667226, 33037657 }, { 90000000, 1045256, 2064853 },
                  { 90000001, 1045256, 2064853 }, { 200000000, 871698, 60515 },   { 2000000000, 995350, 0 },
                  { 20000000000, 1000000, 0 } };
    struct demand demand = { 0 };
    demand_add(&demand, &usual, DEMAND_ORDER, 2 * MICRO, NOW_MS);
    demand_add(&demand, &usual, DEMAND_VIEW, MICRO, NOW_MS + 60000);
    demand_add(&demand, &usual, DEMAND_CART, 3 * MICRO, NOW_MS + HOUR_MS);
    demand_add(&demand, &usual, DEMAND_ORDER, MICRO, NOW_MS + 25 * HOUR_MS);
    demand_add(&demand, &usual, DEMAND_ORDER, MICRO, NOW_MS + 24 * HOUR_MS);
    cr_assert(demand.fast.sum_q20 == 633224812 && demand.fast.landmark == 5098);
    cr_assert(demand.slow.sum_q20 == 14875786 && demand.slow.landmark == 182);
    cr_assert(demand.events.sum_q20 == 622160356 && demand.events.landmark == 5098);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        int64_t t = NOW_MS + known[i].since_ms;
        cr_assert_eq(demand_pressure(&demand, &usual, t), known[i].pressure, "%ld ms", (long)known[i].since_ms);
        cr_assert_eq(demand_events(&demand, t), known[i].events, "%ld ms", (long)known[i].since_ms);
    }
}

Test(demand, sums_saturate_and_never_wrap)
{
    struct decayed_sum sum = { 0 };
    for (int i = 0; i < 100; i++)
        decayed_add(&sum, 1, NOW_MS + 15999 - NOW_MS % 16000, INT64_MAX);
    cr_assert_eq(sum.sum_q20, UINT64_MAX);
    cr_assert_eq(decayed_at(&sum, 0), INT64_MAX);
    cr_assert_eq(decayed_at(&sum, INT64_MAX), 0);
    cr_assert_eq(decayed_at(&sum, INT64_MIN), INT64_MAX);

    struct demand demand = { 0 };
    struct demand_settings extreme = { .half_life_s = 30 * 86400,
                                       .slow_half_life_s = 365 * 86400,
                                       .prior_micro = 1000,
                                       .weight_micro = { [DEMAND_ORDER] = 1000 * MICRO } };
    for (int i = 0; i < 1000; i++)
        demand_add(&demand, &extreme, DEMAND_ORDER, INT64_MAX, NOW_MS + i);
    int64_t pressure = demand_pressure(&demand, &extreme, NOW_MS);
    cr_assert(pressure >= 10000 && pressure <= 100 * MICRO);
    pressure = demand_pressure(&demand, &extreme, INT64_MAX);
    cr_assert(pressure >= 10000 && pressure <= 100 * MICRO);
}

/* ---- pressure ------------------------------------------------------------------------------------------- */

struct event {
    int64_t t_ms;
    double weight;
};

static long double decayed_exactly(int count, const struct event event[], long double h_ms, int64_t t_ms)
{
    long double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (long double)event[i].weight * exp2l(-((long double)t_ms - (long double)event[i].t_ms) / h_ms);
    return sum;
}

/* The definition at the head of pricing/demand.h, term by term. */
static double pressure_exactly(int count, const struct event event[], const struct demand_settings *s, int64_t first_ms,
                               int64_t t_ms)
{
    long double hf = s->half_life_s, hs = s->slow_half_life_s, ln2 = logl(2.0L);
    long double age = ((long double)t_ms - (long double)first_ms) / 1000;
    if (age < hf / 8)
        age = hf / 8;
    long double rate_f = decayed_exactly(count, event, hf * 1000, t_ms) * ln2 / hf / (1 - exp2l(-age / hf));
    long double rate_s = decayed_exactly(count, event, hs * 1000, t_ms) * ln2 / hs / (1 - exp2l(-age / hs));
    long double rho = (long double)s->prior_micro / 1e6L * ln2 / hf;
    long double pressure = (rate_f + rho) / (rate_s + rho);
    return (double)(pressure < 0.01L ? 0.01L : pressure > 100 ? 100 : pressure);
}

static struct demand_settings random_settings(uint64_t *seed)
{
    struct demand_settings s = usual;
    s.half_life_s = (uint32_t)random_between(seed, 600, 5 * 86400);
    s.slow_half_life_s = s.half_life_s * (uint32_t)random_between(seed, 2, 60);
    s.prior_micro = random_between(seed, MICRO / 10, 30 * MICRO);
    return s;
}

/* What is kept from the event before, of another time, model or quantity, must never count for the next one. */
Test(demand, an_act_that_is_set_again_counts_as_a_new_one)
{
    uint64_t seed = 11;
    struct demand_act act = { .t_ms = 0 };
    for (int round = 0; round < 300; round++) {
        struct demand one = { 0 }, other = { 0 };
        struct demand_rates rates_one = { .first_ms = 0 }, rates_other = { .first_ms = 0 };
        struct demand_settings s[2] = { random_settings(&seed), random_settings(&seed) };
        int64_t t = NOW_MS;
        for (int i = 0; i < 60; i++) {
            const struct demand_settings *now = &s[random_between(&seed, 0, 3) == 0];
            enum demand_event event = (enum demand_event)random_between(&seed, DEMAND_VIEW, DEMAND_RETURN);
            int64_t quantity = random_between(&seed, 0, 1) ? random_between(&seed, -2, 9) * MICRO
                                                           : random_between(&seed, -MICRO, 9 * MICRO);
            t += random_between(&seed, 0, 2) == 0 ? random_between(&seed, -HOUR_MS, 40 * HOUR_MS) : 0;
            demand_add(&one, now, event, quantity, t);
            demand_rates_add(&rates_one, now->half_life_s, event, quantity, t);
            demand_act_set(&act, now, event, quantity, t);
            demand_add_act(&other, &act);
            demand_rates_add_act(&rates_other, &act);
            cr_assert_eq(memcmp(&one, &other, sizeof one), 0, "round %d, event %d", round, i);
            cr_assert_eq(memcmp(&rates_one, &rates_other, sizeof rates_one), 0, "round %d, event %d", round, i);
        }
    }
}

/* decayed_add() works out each addend for the landmark that a sum has: late events, and far more than a sum can hold, among them. */
Test(demand, an_act_adds_what_its_single_sums_would)
{
    uint64_t seed = 12;
    uint32_t late = 0, full = 0;
    for (int round = 0; round < 300; round++) {
        struct demand_settings s = random_settings(&seed);
        struct demand demand = { 0 };
        struct demand_rates rates = { .first_ms = 0 };
        struct decayed_sum fast = { 0 }, slow = { 0 }, events = { 0 }, orders = { 0 };
        struct demand_act act = { .t_ms = 0 };
        int64_t t = NOW_MS, whole = INT64_C(1) << random_between(&seed, 0, 29);
        for (int i = 0; i < 40; i++) {
            int64_t quantity = random_between(&seed, 1, 9) * whole * MICRO;
            t += random_between(&seed, 0, 1) ? random_between(&seed, -400, 500) * HOUR_MS : 0;
            int64_t weight = s.weight_micro[DEMAND_ORDER] * (quantity / MICRO);
            late += (uint32_t)(fast.landmark > t / (16000 * (int64_t)s.half_life_s));
            decayed_add(&fast, s.half_life_s, t, weight);
            decayed_add(&events, s.half_life_s, t, MICRO);
            decayed_add(&slow, s.slow_half_life_s, t, weight);
            decayed_add(&orders, s.half_life_s, t, quantity);
            full += fast.sum_q20 == UINT64_MAX;
            demand_act_set(&act, &s, DEMAND_ORDER, quantity, t);
            demand_add_act(&demand, &act);
            demand_rates_add_act(&rates, &act);
            cr_assert_eq(memcmp(&demand.fast, &fast, sizeof fast), 0, "round %d, event %d", round, i);
            cr_assert_eq(memcmp(&demand.events, &events, sizeof events), 0, "round %d, event %d", round, i);
            cr_assert_eq(memcmp(&demand.slow, &slow, sizeof slow), 0, "round %d, event %d", round, i);
            cr_assert_eq(memcmp(&rates.sum[RATE_ORDERS], &orders, sizeof orders), 0, "round %d, event %d", round, i);
        }
    }
    cr_assert_gt(late, 100);
    cr_assert_gt(full, 100);
}

Test(demand, pressure_agrees_with_its_definition)
{
    uint64_t seed = 5;
    double worst = 0;
    for (int round = 0; round < 1000; round++) {
        struct demand_settings s = random_settings(&seed);
        struct demand demand = { 0 };
        struct event event[120];
        int count = (int)random_between(&seed, 1, 120);
        bool young = round % 4 == 0; /* younger than h_f / 8, where the least age counts */
        int64_t span_ms = random_between(&seed, 1000, young ? s.half_life_s * 60 : (int64_t)s.slow_half_life_s * 3000);
        int64_t wait_ms = young ? random_between(&seed, 0, s.half_life_s * 60)
                                : random_between(&seed, 0, (int64_t)s.half_life_s * 8000);
        int64_t first_ms = INT64_MAX;
        for (int i = 0; i < count; i++) {
            enum demand_event kind = (enum demand_event)random_between(&seed, DEMAND_VIEW, DEMAND_ORDER);
            int64_t quantity = random_between(&seed, MICRO / 2, 20 * MICRO);
            event[i].t_ms = NOW_MS + random_between(&seed, 0, span_ms);
            event[i].weight = (double)s.weight_micro[kind] * (double)quantity * 1e-12;
            first_ms = event[i].t_ms < first_ms ? event[i].t_ms : first_ms;
            demand_add(&demand, &s, kind, quantity, event[i].t_ms);
        }
        int64_t t = NOW_MS + span_ms + wait_ms;
        double exact = pressure_exactly(count, event, &s, first_ms, t);
        double got = (double)demand_pressure(&demand, &s, t) / 1e6;
        worst = fmax(worst, fabs(got / exact - 1));
    }
    cr_assert_lt(worst, 1e-4, "worst relative error %g", worst);
}

Test(demand, an_empty_history_is_exactly_as_usual)
{
    struct demand demand = { 0 };
    cr_assert_eq(demand_pressure(&demand, &usual, NOW_MS), MICRO);
    demand_add(&demand, &usual, DEMAND_RETURN, MICRO, NOW_MS); /* weighs nothing */
    demand_add(&demand, &usual, DEMAND_ORDER, 0, NOW_MS);
    demand_add(&demand, &usual, DEMAND_ORDER, -MICRO, NOW_MS);
    cr_assert_eq(demand.first_ms, 0);
    cr_assert_eq(demand_events(&demand, NOW_MS), 0);
    cr_assert_eq(demand_pressure(&demand, &usual, NOW_MS), MICRO);
}

/* Goal: a steady stream is "as usual" at any age of the product, from its first hours on. */
Test(demand, a_steady_stream_has_a_pressure_of_one_from_the_start)
{
    struct demand demand = { 0 };
    int64_t t = NOW_MS;
    for (int i = 0; i < 6000; i++, t += 10 * 60 * 1000) {
        demand_add(&demand, &usual, DEMAND_ORDER, MICRO, t);
        int64_t pressure = demand_pressure(&demand, &usual, t);
        cr_assert(pressure >= 950000 && pressure <= 1050000, "event %d: %ld", i, (long)pressure);
    }
}

/* Rate r for ever, then 2 r for s: C_f = r h/ln2 (2 - 2^(-s/h)), and the slow one alike. */
Test(demand, a_doubled_rate_follows_its_closed_form)
{
    struct demand demand = { 0 };
    int64_t step_ms = 60 * 1000, t = NOW_MS;
    for (; t < NOW_MS + 120 * DAY_MS; t += step_ms)
        demand_add(&demand, &usual, DEMAND_ORDER, MICRO, t);
    int64_t doubled_ms = t;
    for (; t < doubled_ms + 12 * HOUR_MS; t += step_ms)
        demand_add(&demand, &usual, DEMAND_ORDER, 2 * MICRO, t);
    double s = (double)(t - doubled_ms) / 3.6e6,
           window = 6 * 60 / log(2.0); /* events of the old rate in a fast window */
    double fast = window * (2 - exp2(-s / 6)), slow = window * (2 - exp2(-s / 168)), prior = 5;
    double exact = (fast + prior) / (slow + prior), got = (double)demand_pressure(&demand, &usual, t) / 1e6;
    cr_assert(fabs(got / exact - 1) < 0.003, "%g, closed form %g", got, exact); /* the stream is not a continuous one */
}

/* Goal: prices come down by themselves. With no event at all, pressure falls from its peak to a trough (less is asked
 * for than usual, while "usual" still remembers), and rises from there to exactly 1; nothing in between goes back and
 * forth. */
Test(demand, silence_returns_to_one)
{
    struct demand demand = { 0 };
    int64_t t = NOW_MS;
    for (int i = 0; i < 500; i++, t += HOUR_MS)
        demand_add(&demand, &usual, DEMAND_ORDER, MICRO, t);
    for (int i = 0; i < 100; i++, t += 60 * 1000)
        demand_add(&demand, &usual, DEMAND_ORDER, MICRO, t);
    int64_t before = demand_pressure(&demand, &usual, t), peak = before, trough = before;
    cr_assert_gt(peak, 2 * MICRO);
    bool rising = false;
    for (int hour = 0; hour < 24 * 400; hour++, t += HOUR_MS) {
        int64_t pressure = demand_pressure(&demand, &usual, t);
        if (pressure > before + 10)
            rising = true;
        cr_assert(!rising || pressure >= before - 10, "hour %d: %ld after %ld", hour, (long)pressure, (long)before);
        cr_assert(pressure <= peak);
        trough = pressure < trough ? pressure : trough;
        before = pressure;
    }
    cr_assert_lt(trough, MICRO);
    cr_assert_eq(before, MICRO, "%ld after 400 silent days", (long)before);
}

Test(demand, more_events_never_mean_less_pressure_right_now)
{
    uint64_t seed = 6;
    for (int round = 0; round < 300; round++) {
        struct demand_settings s = random_settings(&seed);
        struct demand demand = { 0 };
        int64_t t = NOW_MS;
        for (int i = 0; i < 50; i++) {
            t += random_between(&seed, 0, (int64_t)s.slow_half_life_s * 300);
            int64_t before = demand_pressure(&demand, &s, t);
            demand_add(&demand, &s, DEMAND_ORDER, random_between(&seed, MICRO, 5 * MICRO), t);
            int64_t after = demand_pressure(&demand, &s, t);
            cr_assert(after >= before - 20, "%ld after %ld", (long)after, (long)before);
        }
    }
}

Test(demand, events_are_counted_whatever_they_weigh)
{
    struct demand demand = { 0 };
    demand_add(&demand, &usual, DEMAND_VIEW, 40 * MICRO, NOW_MS);
    demand_add(&demand, &usual, DEMAND_ORDER, 1000 * MICRO, NOW_MS);
    int64_t events = demand_events(&demand, NOW_MS);
    cr_assert(events > 1999900 && events <= 2 * MICRO, "%ld", (long)events);
    events = demand_events(&demand, NOW_MS + 6 * HOUR_MS);
    cr_assert(events > 999950 && events <= MICRO, "%ld", (long)events);
    cr_assert_eq(demand.first_ms, NOW_MS);
    demand_add(&demand, &usual, DEMAND_VIEW, MICRO, NOW_MS - HOUR_MS);
    cr_assert_eq(demand.first_ms, NOW_MS - HOUR_MS);
    cr_assert_eq(demand.last_ms, NOW_MS);
}

/* Goal: an edited half-life moves no price by itself. Steady demand has pressure 1 by any half-lives; after twice the usual rate
 * for a fast half-life the pressure is some p > 1, and stays p (to what one more event changes) when the half-lives change. */
Test(demand, an_edited_half_life_keeps_the_rates)
{
    static const struct demand_settings edited[] = {
        { .half_life_s = 86400,
          .slow_half_life_s = 28 * 86400,
          .prior_micro = 1,
          .weight_micro = { 0, 0, 0, MICRO, 0 } },
        { .half_life_s = 3600, .slow_half_life_s = 2 * 86400, .prior_micro = 1, .weight_micro = { 0, 0, 0, MICRO, 0 } },
        { .half_life_s = 6 * 3600,
          .slow_half_life_s = 365 * 86400,
          .prior_micro = 1,
          .weight_micro = { 0, 0, 0, MICRO, 0 } },
    };
    for (size_t i = 0; i < sizeof edited / sizeof edited[0]; i++) {
        struct demand_settings s = usual;
        s.prior_micro = 1;
        struct demand demand = { 0 };
        int64_t t = NOW_MS - 40 * DAY_MS;
        for (; t < NOW_MS - 6 * HOUR_MS; t += 60000)
            demand_add(&demand, &s, DEMAND_ORDER, MICRO, t);
        for (; t < NOW_MS; t += 30000)
            demand_add(&demand, &s, DEMAND_ORDER, MICRO, t);
        int64_t before = demand_pressure(&demand, &s, t), events = demand_events(&demand, t);
        cr_assert_gt(before, 12 * MICRO / 10);
        cr_assert_eq(demand_pressure(&demand, &edited[i], t), before, "an edit alone");
        demand_add(&demand, &edited[i], DEMAND_ORDER, MICRO, t);
        int64_t after = demand_pressure(&demand, &edited[i], t);
        cr_assert(llabs(after - before) <= before / 60, "edit %zu: %ld became %ld", i, (long)before, (long)after);
        cr_assert(llabs(demand_events(&demand, t) - events - MICRO) <= 100, "events are counted, not scaled");
        for (int k = 0; k < 2000; k++, t += 30000) /* and the sums go on by the new half-lives */
            demand_add(&demand, &edited[i], DEMAND_ORDER, MICRO, t);
        cr_assert_eq(demand.fast.half_life_s, edited[i].half_life_s);
        cr_assert_gt(demand_pressure(&demand, &edited[i], t), MICRO);
    }
}
