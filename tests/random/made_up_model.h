/* made_up_model.h - the text of a model that says anything a model may say, for property tests. Every text is a good model. */
#ifndef TESTS_RANDOM_MADE_UP_MODEL_H
#define TESTS_RANDOM_MADE_UP_MODEL_H

#include "pricing/model.h"
#include "tests/pricing/random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MADE_UP_BYTES_MAX 32768

struct made_up {
    uint64_t *dice;
    size_t bytes;
    char text[MADE_UP_BYTES_MAX];
};

__attribute__((format(printf, 2, 3))) static void made_up_say(struct made_up *m, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(m->text + m->bytes, sizeof m->text - m->bytes, format, arguments);
    va_end(arguments);
    m->bytes += bytes > 0 ? (size_t)bytes : 0;
    if (m->bytes >= sizeof m->text)
        abort(); /* our own limit is too small */
}

static int64_t made_up_pick(struct made_up *m, int64_t low, int64_t high)
{
    return random_between(m->dice, low, high);
}

static bool made_up_once_in(struct made_up *m, int64_t n)
{
    return made_up_pick(m, 1, n) == 1;
}

/* A number of millionths, written as people would: with no more decimals than it needs. */
static void made_up_micro(struct made_up *m, int64_t micro)
{
    int64_t rest = micro < 0 ? -micro : micro;
    made_up_say(m, "%s%" PRId64, micro < 0 ? "-" : "", rest / MICRO);
    char decimals[8];
    (void)snprintf(decimals, sizeof decimals, "%06" PRId64, rest % MICRO);
    for (int i = 5; i >= 0 && decimals[i] == '0'; i--)
        decimals[i] = '\0';
    if (decimals[0] != '\0')
        made_up_say(m, ".%s", decimals);
}

/* Mostly near 1, at times as far as a model may go. */
static int64_t made_up_multiplier(struct made_up *m)
{
    return made_up_once_in(m, 12) ? made_up_pick(m, MICRO / 10, 10 * MICRO) : made_up_pick(m, 700000, 1400000);
}

/* ---- factors ------------------------------------------------------------------------------------------------------- */

static const char *const MADE_UP_ZONES[] = { "de", "de/south", "de/south/s1", "fr", "gh:u4p", "gh:u4pru" };
static const char *const MADE_UP_CATEGORIES[] = { "*", "a/*", "a/b", "a/b/*", "a/b/c", "z/*" };

/* A, B, C stand for numbers. */
static const char *const MADE_UP_FORMULAS[] = {
    "1 + A * (temperature_c - 20) / 10",
    "clamp(1 - A * (hour - 12) * (hour - 12) / 40, 0.8, 1.1)",
    "if(known(wind_m_s) and not wind_m_s < 5 or weekday >= 6, 1 + A, 1 - B)",
    "1 + A * (default(available, 7) - 3) / 20 - -B",
    "pow(max(cover_days / 10, 0.01), -A)",
    "pow(max(available / 10, 0.000001), 20 * A)",
    "exp(-A * min(hours_to_expiry, 24) / 24)",
    "exp(A * temperature_c * wind_m_s / 10)",
    "1 + A * log(max(orders_per_day / 5, 0.1))",
    "max(0.9, min(1.2, demand_pressure, 1 + A * zone_level), 1 - B * abs(promotion - 0.8))",
    "1 + A - B * C * 2 / 3 + (A - B) / C",
    "pow(max(cost_ratio, 0.05), A) * 1.2",
    "if(competitor_median < 1 and competitor_ratio != competitor_median, 1 - A, 1)",
    "1 + A * (views_per_day - 2 * carts_per_day) / max(views_per_day + carts_per_day, 0.1)",
    "if(month == 12 or day_of_month > 15, 1 + A, 1) * if(known(capacity), 1, 1 - B)",
    "1 * list * list * list * list / max(cost, 0.000001) / list / list / list",
    "-1 * list / max(cost, 0.000001) * competitor_ratio * distance_km / max(0.000000001, humidity)",
    "log(max(available_ratio, 0.000000001)) / log(A + B)",
    "1 + A * (product.weight_kg - 20) / 10",
    "pow(max(product.weight_kg / zone.size_m2, 0.01), B) * if(known(zone.level), 1 + C, 1)",
    "1 + A * default(zone.level, -3) / zone.size_m2",
};
#define MADE_UP_COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static void made_up_formula(struct made_up *m)
{
    const char *text = MADE_UP_FORMULAS[made_up_pick(m, 0, MADE_UP_COUNT(MADE_UP_FORMULAS) - 1)];
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'C')
            made_up_say(m, "0.%09" PRId64, made_up_pick(m, 1, 300000000)); /* A + B stays below 1 */
        else
            made_up_say(m, "%c", *text);
    }
}

static void made_up_points(struct made_up *m, int64_t low, int64_t high)
{
    int64_t count = made_up_once_in(m, 20) ? MODEL_POINTS_MAX : made_up_pick(m, 1, 6);
    int64_t x = made_up_pick(m, low, low / 2 + high / 2);
    made_up_say(m, "[");
    for (int64_t i = 0; i < count; i++) {
        made_up_say(m, "%s[", i > 0 ? "," : "");
        made_up_micro(m, x);
        made_up_say(m, ",");
        made_up_micro(m, made_up_multiplier(m));
        made_up_say(m, "]");
        x += made_up_pick(m, 1, (high - low) / 50 + 1);
    }
    made_up_say(m, "]");
}

static void made_up_curve(struct made_up *m)
{
    static const char *const ATTRIBUTES[] = { "product.weight_kg", "zone.size_m2", "zone.level" };
    int64_t input = made_up_pick(m, 0, INPUT_COUNT + MADE_UP_COUNT(ATTRIBUTES) - 1);
    bool own = input >= INPUT_COUNT;
    const char *name = own ? ATTRIBUTES[input - INPUT_COUNT] : model_inputs[input].name;
    int64_t low = own ? 0 : model_inputs[input].low, high = own ? 100 * MICRO : model_inputs[input].high;
    if (high > 100 * MICRO && !made_up_once_in(m, 10))
        high = 100 * MICRO;
    low = low < -20 * MICRO ? -20 * MICRO : low;
    made_up_say(m, "\"input\":\"%s\",\"%s\":", name, made_up_once_in(m, 3) ? "steps" : "curve");
    made_up_points(m, low, high);
}

static void made_up_words(struct made_up *m, const char *key, const char *const *words, int64_t count)
{
    int64_t first = made_up_pick(m, 0, count - 1), many = made_up_pick(m, 1, count);
    made_up_say(m, "\"%s\":{", key);
    for (int64_t i = 0; i < many; i++) {
        made_up_say(m, "%s\"%s\":", i > 0 ? "," : "", words[(first + i) % count]);
        made_up_micro(m, made_up_multiplier(m));
    }
    made_up_say(m, "}");
}

static void made_up_cases(struct made_up *m)
{
    static const char *const CONDITIONS[] = { "temperature_c > 15 and hour >= 12",
                                              "available < 10",
                                              "weekday == 7",
                                              "demand_pressure >= 1.2 or known(promotion)",
                                              "zone_level != 2",
                                              "log(max(demand_pressure, 0.1)) > 0.2",
                                              "not (cover_days < 2)" };
    int64_t first = made_up_pick(m, 0, 6), many = made_up_pick(m, 1, 4);
    made_up_say(m, "\"cases\":[");
    for (int64_t i = 0; i < many; i++) {
        made_up_say(m, "%s{\"if\":\"%s\",\"then\":", i > 0 ? "," : "",
                    CONDITIONS[(first + i) % MADE_UP_COUNT(CONDITIONS)]);
        made_up_micro(m, made_up_multiplier(m));
        made_up_say(m, "}");
    }
    made_up_say(m, "]");
    if (made_up_once_in(m, 2)) {
        made_up_say(m, ",\"else\":");
        made_up_micro(m, made_up_multiplier(m));
    }
}

static void made_up_markup(struct made_up *m)
{
    made_up_say(m, "\"markup\":{");
    if (made_up_once_in(m, 2)) {
        made_up_say(m, "\"elasticity\":");
        made_up_micro(m, made_up_once_in(m, 8) ? made_up_pick(m, -100 * MICRO, -1010000)
                                               : made_up_pick(m, -6 * MICRO, -1400000));
    } else {
        made_up_say(m, "\"utility\":");
        made_up_micro(m, made_up_once_in(m, 8) ? made_up_pick(m, -100 * MICRO, 100 * MICRO)
                                               : made_up_pick(m, -MICRO, 4 * MICRO));
        made_up_say(m, ",\"sensitivity\":");
        made_up_micro(m,
                      made_up_once_in(m, 8) ? made_up_pick(m, 10000, 100 * MICRO) : made_up_pick(m, 800000, 4 * MICRO));
    }
    made_up_say(m, "}");
}

static void made_up_clearing(struct made_up *m)
{
    static const char *const CUSTOMERS[] = {
        "0.000001", "40", "300.25", "1000000", "\"orders_per_day * exp(1.5) + 1\"", "\"default(carts_per_day, 3)\""
    };
    static const char *const ENDS[] = { "expiry", "22:00", "09:30", "24:00" };
    made_up_say(m, "\"clearing\":{\"customers_per_day\":%s,\"sensitivity\":",
                CUSTOMERS[made_up_pick(m, 0, MADE_UP_COUNT(CUSTOMERS) - 1)]);
    made_up_micro(m, made_up_once_in(m, 8) ? made_up_pick(m, 10000, 100 * MICRO) : made_up_pick(m, 800000, 4 * MICRO));
    made_up_say(m, ",\"until\":\"%s\"}", ENDS[made_up_pick(m, 0, MADE_UP_COUNT(ENDS) - 1)]);
}

static void made_up_when(struct made_up *m)
{
    static const char *const WINDOWS[] = {
        "\"hours\":[\"07:00\",\"19:30\"]", "\"hours\":[\"22:00\",\"02:00\"]", "\"weekdays\":[\"fri\",\"sat\"]",
        "\"calendar\":\"days\"", "\"from\":\"2025-11-03\",\"until\":\"2025-11-20\",\"hours\":[\"12:00\",\"24:00\"]"
    };
    made_up_say(m, ",\"when\":{%s}", WINDOWS[made_up_pick(m, 0, MADE_UP_COUNT(WINDOWS) - 1)]);
}

static void made_up_factor(struct made_up *m, int64_t number)
{
    made_up_say(m, "%s{\"name\":\"f%" PRId64 "\",", number > 0 ? "," : "", number);
    switch (made_up_pick(m, 0, 8)) {
    case 0: made_up_words(m, "categories", MADE_UP_CATEGORIES, MADE_UP_COUNT(MADE_UP_CATEGORIES)); break;
    case 1: made_up_words(m, "zones", MADE_UP_ZONES, MADE_UP_COUNT(MADE_UP_ZONES)); break;
    case 2: made_up_cases(m); break;
    case 3: made_up_markup(m); break;
    case 4: made_up_clearing(m); break;
    case 5:
        made_up_say(m, "\"expression\":\"");
        made_up_formula(m);
        made_up_say(m, "\"");
        break;
    default: made_up_curve(m); break;
    }
    if (made_up_once_in(m, 4)) {
        made_up_say(m, ",\"missing\":");
        made_up_micro(m, made_up_multiplier(m));
    }
    if (made_up_once_in(m, 5))
        made_up_when(m);
    made_up_say(m, "}");
}

/* ---- the rest -------------------------------------------------------------------------------------------------------- */

static void made_up_guardrails(struct made_up *m)
{
    bool never_above = !made_up_once_in(m, 3);
    int64_t high = made_up_pick(m, MICRO, 2 * MICRO);
    made_up_say(m, "\"guardrails\":{\"floor\":");
    made_up_micro(m, made_up_once_in(m, 8) ? made_up_pick(m, 10000, MICRO) : made_up_pick(m, 400000, MICRO));
    made_up_say(m, ",\"ceiling\":");
    made_up_micro(m, made_up_once_in(m, 8) ? made_up_pick(m, MICRO, 10 * MICRO) : made_up_pick(m, MICRO, 1800000));
    if (made_up_once_in(m, 2)) {
        made_up_say(m, ",\"margin\":");
        made_up_micro(m, made_up_pick(m, 0, made_up_once_in(m, 8) ? 10 * MICRO : 300000));
    }
    if (made_up_once_in(m, 2)) {
        made_up_say(m, ",\"largest_step\":{\"of\":");
        made_up_micro(m, made_up_pick(m, 1000, made_up_once_in(m, 4) ? MICRO : 150000));
        made_up_say(m, ",\"per\":\"%" PRId64 "s\"}", made_up_pick(m, 0, 7200));
    }
    if (made_up_once_in(m, 2)) {
        made_up_say(m, ",\"dead_band\":{\"of\":");
        made_up_micro(m, made_up_pick(m, 0, 500000));
        made_up_say(m, ",\"settle\":\"%" PRId64 "s\"}", made_up_pick(m, 0, 7200));
    }
    if (made_up_once_in(m, 3)) {
        made_up_say(m, ",\"largest_rise\":{\"of\":");
        made_up_micro(m, made_up_pick(m, 1000, made_up_once_in(m, 4) ? 10 * MICRO : 200000));
        made_up_say(m, ",\"per\":\"%" PRId64 "s\"}", made_up_pick(m, 60, 90000));
    }
    if (made_up_once_in(m, 3))
        made_up_say(m, ",\"dwell\":\"%" PRId64 "s\"", made_up_pick(m, 0, 7200));
    made_up_say(m, ",\"personal\":[");
    made_up_micro(m, made_up_pick(m, MICRO / 10, MICRO));
    made_up_say(m, ",");
    made_up_micro(m, high);
    made_up_say(m, "],\"never_above_baseline\":%s", never_above ? "true" : "false");
    if (made_up_once_in(m, 2)) {
        /* (1 - spread) x the largest multiplier is at most 1. */
        int64_t least = never_above ? 0 : MICRO - MICRO * MICRO / high + 1;
        made_up_say(m, ",\"spread\":");
        made_up_micro(m, made_up_pick(m, least, 900000));
    }
    made_up_say(m, "},");
}

/* made_up_model - bytes of text in m->text. */
static size_t made_up_model(struct made_up *m, uint64_t *dice)
{
    static const char *const TIME_ZONES[] = { "Europe/Berlin", "America/New_York", "Asia/Kathmandu" };
    m->dice = dice;
    m->bytes = 0;
    made_up_say(m, "{\"model\":\"m\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},"
                   "\"competitors\":true,\"origin\":[48.1,11.5],\"zone_levels\":3,"
                   "\"schedule\":{\"calendars\":{\"days\":[\"2025-11-02\",\"2025-11-05\"]}");
    if (made_up_once_in(m, 10))
        made_up_say(m, ",\"time_zone\":\"%s\"", TIME_ZONES[made_up_pick(m, 0, MADE_UP_COUNT(TIME_ZONES) - 1)]);
    int64_t half_life = made_up_pick(m, 1, 86400), step = made_up_once_in(m, 2) ? 1 : made_up_pick(m, 1, 500);
    made_up_say(m, "},\"demand\":{\"half_life\":\"%" PRId64 "s\",\"slow_half_life\":\"%" PRId64 "s\",\"prior_events\":",
                half_life, half_life * made_up_pick(m, 2, 50));
    made_up_micro(m, made_up_pick(m, 1000, 20 * MICRO));
    made_up_say(m,
                ",\"min_events\":%" PRId64 "},\"attributes\":{\"product.weight_kg\":{\"from\":0,\"to\":1000000000},"
                "\"zone.size_m2\":{\"from\":0.000001,\"to\":5000,\"missing\":100},"
                "\"zone.level\":{\"from\":-5,\"to\":5,\"age_limit\":\"1h\"}},\"factors\":[",
                made_up_pick(m, 0, 5));
    int64_t factors = made_up_once_in(m, 6) ? made_up_pick(m, 0, MODEL_FACTORS_MAX) : made_up_pick(m, 0, 5);
    for (int64_t i = 0; i < factors; i++)
        made_up_factor(m, i);
    made_up_say(m, "],");
    made_up_guardrails(m);
    made_up_say(m, "\"personal\":[{\"name\":\"loyalty\",\"tier\":{\"gold\":");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, ",\"silver\":0.97}},{\"name\":\"who\",\"segment\":{\"family\":");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, ",\"student\":0.9}},{\"name\":\"spend\",\"spend\":[[0,1],[100.5,");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, "]]},{\"name\":\"near\",\"zone\":{\"de\":");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, "}},{\"name\":\"likes\",\"affinity%s\":[[0,1],[0.4,", made_up_once_in(m, 2) ? "" : "_steps");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, "]]},{\"name\":\"walk\",\"distance_km%s\":[[0,1],[40,", made_up_once_in(m, 2) ? "" : "_steps");
    made_up_micro(m, made_up_multiplier(m));
    made_up_say(m, "]],\"to\":[[52.52,13.405]]}],\"rounding\":{\"step\":%" PRId64 ",\"less\":%" PRId64 "}}", step, made_up_pick(m, 0, step - 1));
    return m->bytes;
}
#endif
