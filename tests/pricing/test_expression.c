/* test_expression.c - formulas: their values against libm, and what is refused before it can do harm. */
#include "pricing/expression.h"
#include "pricing/nano.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t input[INPUT_SLOTS];
static struct expression program;
static struct expression_fault fault;

static double value_of(const char *text, uint64_t present)
{
    int64_t nano = -1;
    memset(&program, 0, sizeof program);
    cr_assert(expression_compile(text, WANT_RATIO, NULL, &program, &fault), "%s: %zu: %s", text, fault.at,
              fault.reason);
    if (!expression_value(&program, input, present, &nano))
        return NAN;
    cr_assert(nano >= program.low && nano <= program.high, "%s: %ld is outside its range", text, (long)nano);
    return (double)nano / 1e9;
}

static void init(void)
{
    memset(input, 0, sizeof input);
    input[INPUT_temperature_c] = 28 * MICRO;
    input[INPUT_hour] = 17500000;
    input[INPUT_weekday] = 5 * MICRO;
    input[INPUT_available] = 30 * MICRO;
    input[INPUT_capacity] = 120 * MICRO;
    input[INPUT_demand_pressure] = 1500000;
    input[INPUT_list] = 10 * MICRO;
    input[INPUT_cost] = 4 * MICRO;
}
TestSuite(expression, .init = init);

#define ALL UINT64_MAX

Test(expression, means_what_it_says)
{
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        { "1 + 2 * 3 - 4 / 8", 6.5 },
        { "-(2 - 3) * -2", -2 },
        { "clamp(1 + 0.02 * (temperature_c - 25), 1, 1.05)", 1.05 },
        { "available / max(capacity, 1)", 0.25 },
        { "min(3, 2, 5) + max(1, demand_pressure)", 3.5 },
        { "if(hour >= 17 and weekday < 6, 1.1, 1)", 1.1 },
        { "if(hour < 17 or not (weekday == 5), 1.1, 1)", 1 },
        { "if(weekday != 5, 2, if(hour > 17.5, 3, 4))", 4 },
        { "abs(temperature_c - 30) * 0.5", 1 },
        { "exp(1)", 2.718281828459045 },
        { "log(2)", 0.6931471805599453 },
        { "pow(max(demand_pressure, 0.1), 0.5)", 1.224744871391589 },
        { "pow(2, -3)", 0.125 },
        /* an amount by an amount is a plain number, whatever stands between them; a number added to one is one */
        { "cost * 1.2 / list", 0.48 },
        { "1.2 / list * cost", 0.48 },
        { "1.2 * (cost + 0.5) / list", 0.54 },
        { "1 + 0.5 / list", 1.05 },
        { "max(cost * 1.2, 0.9 * list) / list", 0.9 },
        { "if(list > 5 and cost * 2 < list, 0.95, 1)", 0.95 },
        { "1 + 0.01 * cost / list * (temperature_c - 18)", 1.04 },
        { "1 + 0.01 * (temperature_c - 18) * cost / list", 1.04 },
        { "1 + 0.01 * (temperature_c - 18)", 1.1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_float_eq(value_of(rows[i].text, ALL), rows[i].value, 2e-9, "%s = %.10f", rows[i].text,
                           value_of(rows[i].text, ALL));
}

Test(expression, says_nothing_without_what_it_needs_unless_it_has_another_value)
{
    uint64_t without = ~(UINT64_C(1) << INPUT_temperature_c);
    cr_expect(isnan(value_of("1 + 0.01 * temperature_c", without)));
    cr_expect_float_eq(value_of("1 + 0.01 * default(temperature_c, 20)", without), 1.2, 1e-12);
    cr_expect_float_eq(value_of("1 + 0.01 * default(temperature_c, -3.5)", without), 0.965, 1e-12);
    cr_expect_float_eq(value_of("1 + 0.01 * default(temperature_c, 20)", ALL), 1.28, 1e-12);
    cr_expect_float_eq(value_of("if(known(temperature_c), 2, 3)", without), 3, 1e-12);
    cr_expect_float_eq(value_of("if(known(temperature_c), 2, 3)", ALL), 2, 1e-12);
}

Test(expression, is_refused_with_place_and_reason)
{
    static const struct {
        const char *text;
        size_t at;
        const char *reason;
    } rows[] = {
        { "", 0, "the expression ends" },
        { "1 +", 3, "the expression ends" },
        { "1 2", 2, "expected the end" },
        { "demand_presure", 0, "\"demand_presure\" is no input and no function; did you mean \"demand_pressure\"?" },
        { "xyzzyx", 0, "\"xyzzyx\" is no input and no function; docs" },
        { "claamp(1, 2, 3)", 0, "\"claamp\" is no input and no function; did you mean \"clamp\"?" },
        { "1 + hour + temperature_c", 9, "impossible units: h against degC" },
        { "available", 0, "impossible units: expected a plain number, found units" },
        { "list * 0.9", 0, "impossible units: expected a plain number, found money; divide it by list" },
        { "0.9 * list", 0, "impossible units: expected a plain number, found money" },
        { "cost / 0.8", 0, "impossible units: expected a plain number, found money" },
        { "if(hour > 17, cost * 1.2, list)", 0, "impossible units: expected a plain number, found money" },
        { "max(cost * 1.2, 3)", 0, "impossible units: expected a plain number, found money" },
        { "1 - 0.001 * (temperature_c - 20) * list", 0, "impossible units: expected a plain number, found money" },
        { "cost * 1.2 + cost_ratio", 11, "impossible units: money against a plain number" },
        { "list * cost * 0.01 / list", 0, "impossible units: expected a plain number, found money" },
        { "if(cost * 1.2 > temperature_c, 1, 2)", 14, "impossible units: money against degC" },
        { "exp(0.01 * list)", 4, "impossible units: exp of money" },
        { "available / capacity", 12, "division by what may be 0" },
        { "1 / (temperature_c - 20)", 5, "division by what may be 0" },
        { "log(demand_pressure - 1)", 4, "log of what may be 0" },
        { "log(temperature_c + 200)", 4, "impossible units: log of degC" },
        { "pow(available_ratio, 2)", 4, "pow of what may be 0" },
        { "hour == 3", 0, "expected a number, found a condition" },
        { "if(1, 2, 3)", 3, "expected a condition" },
        { "1 + (hour < 3)", 5, "expected a number, found a condition" },
        { "min(1)", 5, "min and max compare at least two" },
        { "clamp(1, 3, 2)", 9, "clamp(x, low, high): low is always above high" },
        { "if(hour = 3, 1, 2)", 8, "equal is written ==" },
        { "1e400", 0, "expected a number such as" },
        { "99999999999", 0, "expected a number of at most 1000000000" },
        { "0.1234567891", 0, "a number may have at most 9 decimals" },
        { "NaN", 0, "\"NaN\" is no input and no function" },
        { "known(1)", 6, "expected the name of an input" },
        { "(1", 2, "expected \")\"" },
        { "1 $ 2", 2, "expected the end" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(&program, 0, sizeof program);
        cr_expect(!expression_compile(rows[i].text, WANT_RATIO, NULL, &program, &fault), "accepted: %s", rows[i].text);
        cr_expect_eq(fault.at, rows[i].at, "%s: %zu: %s", rows[i].text, fault.at, fault.reason);
        cr_expect_eq(strncmp(fault.reason, rows[i].reason, strlen(rows[i].reason)), 0, "%s: %s", rows[i].text,
                     fault.reason);
    }
}

Test(expression, has_limits_that_are_said)
{
    char text[EXPRESSION_BYTES_MAX + 1] = "";
    for (int i = 0; i < 40; i++)
        strcat(text, "(");
    strcat(text, "1");
    cr_expect(!expression_compile(text, WANT_RATIO, NULL, &(struct expression){ .count = 0 }, &fault));
    cr_expect_str_eq(fault.reason, "nested more than 32 deep");
    strcpy(text, "1");
    for (int i = 0; i < 60; i++)
        strcat(text, "+1");
    cr_expect(!expression_compile(text, WANT_RATIO, NULL, &(struct expression){ .count = 0 }, &fault));
    cr_expect_str_eq(fault.reason, "too long: at most 96 steps and 24 values at once");
    for (int i = 0; i < 30; i++)
        memcpy(text + 3 * i, "1+(", 4);
    strcat(text, "1");
    cr_expect(!expression_compile(text, WANT_RATIO, NULL, &(struct expression){ .count = 0 }, &fault));
}

/* Goal: exp and log agree with libm to what nano.h promises, over their whole range. */
Test(expression, exp_and_log_are_as_exact_as_they_say)
{
    uint64_t seed = 5;
    for (int i = 0; i < 200000; i++) {
        int64_t x = random_between(&seed, -21 * NANO, 22 * NANO);
        double exact = exp((double)x / 1e9) * 1e9;
        cr_assert_leq(fabs((double)nano_exp(x) - exact), 1 + exact * 1e-9, "exp %ld", (long)x);
        int64_t y = (int64_t)(random_next(&seed) >> (1 + random_next(&seed) % 62)) + 1;
        y = y > NANO_MAX ? NANO_MAX : y;
        cr_assert_leq(fabs((double)nano_log(y) - log((double)y / 1e9) * 1e9), 1.0, "log %ld", (long)y);
    }
    cr_assert_eq(nano_exp(0), NANO);
    cr_assert_eq(nano_log(NANO), 0);
    cr_assert_eq(nano_exp(-NANO_MAX), 0);
    cr_assert_eq(nano_exp(NANO_MAX), NANO_MAX);
    cr_assert_eq(nano_log(0), -NANO_MAX);
}

/* Goal: random formulas over random inputs never leave the range that the compiler proved. */
static void random_formula(uint64_t *seed, int depth, char *text, size_t size)
{
    char a[256], b[256];
    static const char *const leaves[] = { "demand_pressure", "available_ratio", "humidity", "promotion", "cost_ratio" };
    if (depth == 0 || random_next(seed) % 6 == 0) {
        if (random_next(seed) % 2)
            snprintf(text, size, "%s", leaves[random_next(seed) % 5]);
        else
            snprintf(text, size, "%d.%03d", (int)(random_next(seed) % 20), (int)(random_next(seed) % 1000));
        return;
    }
    random_formula(seed, depth - 1, a, sizeof a);
    random_formula(seed, depth - 1, b, sizeof b);
    static const char *const shapes[] = { "(%s + %s)",
                                          "(%s - %s)",
                                          "(%s * %s)",
                                          "(%s / max(%s, 0.01))",
                                          "min(%s, %s)",
                                          "max(%s, %s)",
                                          "if(%s < %s, 1.5, 0.5)",
                                          "pow(max(%s, 0.1), %s)",
                                          "exp(%s) * log(max(%s, 0.5))",
                                          "abs(%s - %s)" };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, size, shapes[random_next(seed) % 10], a, b);
#pragma GCC diagnostic pop
}

Test(expression, values_stay_within_the_proved_range)
{
    uint64_t seed = 6;
    int compiled = 0;
    for (int round = 0; round < 20000; round++) {
        char text[1024];
        random_formula(&seed, 3, text, sizeof text);
        memset(&program, 0, sizeof program);
        if (strlen(text) > EXPRESSION_BYTES_MAX || !expression_compile(text, WANT_RATIO, NULL, &program, &fault))
            continue;
        compiled++;
        for (int k = 0; k < 8; k++) {
            for (int i = 0; i < INPUT_COUNT; i++)
                input[i] =
                    random_next(&seed) % 2 ? random_between(&seed, -3 * MICRO, 3 * MICRO) : (int64_t)random_next(&seed);
            int64_t nano;
            cr_assert(expression_value(&program, input, ALL, &nano));
            cr_assert(nano >= program.low - 10 && nano <= program.high + 10, "%s: %ld not in [%ld, %ld]", text,
                      (long)nano, (long)program.low, (long)program.high);
        }
    }
    cr_assert_geq(compiled, 15000);
}
