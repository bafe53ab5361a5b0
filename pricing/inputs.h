/* inputs.h - what a factor may read: one row per input. From these rows come the names in model files, the checks of
 * expressions, models/schema/, the tables of docs/models.md, and what an explanation of a price prints.
 *
 * Values are in micro (millionths) of the unit. An input that was never heard of, or was heard of longer ago than its
 * age limit, is missing: its factor then takes its "missing" value, 1 unless the model says otherwise.
 *
 *   low, high   micro; what is outside is cut to it, so that an expression can be checked once for all values
 *   age         what limits its age: none (always known, or a sum that decays), or the row of the model's age_limits
 *   gone        what holds where it is missing or too old: "" = what the factor says, 1 unless it says otherwise
 *
 * Behind these rows come the attributes of products and zones that a model declares: it says of each what a row says. */
#ifndef PRICING_INPUTS_H
#define PRICING_INPUTS_H

#include "pricing/attributes.h"
#include "pricing/fixed.h"

#include <stddef.h>

#define INPUT_LARGE                                         INT64_C(1000000000000000) /* 10^9 units */

/* clang-format off */
/*    name                 unit         low            high          age           missing or too old        what it is */
#define MODEL_INPUTS(X)                                                                                                                          \
    X(demand_pressure,    "ratio",     10000,         100000000,    "none",       "",                       "recent demand against the product's own usual demand; 1 = as usual") \
    X(available,          "units",     0,             INPUT_LARGE,  "supply",     "",                       "what is in stock or free in this zone") \
    X(available_ratio,    "ratio",     0,             1000000,      "supply",     "",                       "the same against capacity, where a capacity is known") \
    X(temperature_c,      "degC",      -100000000,    70000000,     "weather",    "",                       "air temperature of the nearest zone with current weather") \
    X(precipitation_mm_h, "mm/h",      0,             500000000,    "weather",    "",                       "rain or snow, as water") \
    X(wind_m_s,           "m/s",       0,             150000000,    "weather",    "",                       "wind speed") \
    X(humidity,           "ratio",     0,             1000000,      "weather",    "",                       "relative humidity") \
    X(hour,               "h",         0,             24000000,     "none",       "always known",           "local time of day with its fraction, 17.5 = half past five") \
    X(weekday,            "weekday",   1000000,       7000000,      "none",       "always known",           "local day of the week, 1 = Monday") \
    X(competitor_ratio,   "ratio",     0,             INPUT_LARGE,  "competitor", "",                       "lowest current competitor price against list; off unless switched on") \
    X(promotion,          "ratio",     10000,         1000000,      "none",       "",                       "the product's running promotion until its end, 0.8 = 20 % off") \
    X(competitor_median,  "ratio",     0,             INPUT_LARGE,  "competitor", "",                       "median of the current competitor prices against list; off unless switched on") \
    X(views_per_day,      "units/day", 0,             INPUT_LARGE,  "none",       "0: nothing was heard",   "recent rate of views, by the demand half-life") \
    X(carts_per_day,      "units/day", 0,             INPUT_LARGE,  "none",       "0: nothing was heard",   "the same of what was put into carts") \
    X(orders_per_day,     "units/day", 0,             INPUT_LARGE,  "none",       "0: nothing was heard",   "the same of what was ordered") \
    X(capacity,           "units",     0,             INPUT_LARGE,  "supply",     "",                       "how much there can be") \
    X(cover_days,         "day",       0,             3650000000,   "supply",     "",                       "available against orders a day: how long the stock lasts") \
    X(list,               "money",     1,             INPUT_LARGE,  "none",       "always known",           "list price in major units of its currency") \
    X(cost,               "money",     0,             INPUT_LARGE,  "none",       "",                       "unit cost here or in the nearest zone around, where one is known") \
    X(cost_ratio,         "ratio",     0,             INPUT_LARGE,  "none",       "",                       "cost against list") \
    X(hours_to_expiry,    "h",         0,             8760000000,   "supply",     "",                       "until the product's stock expires, where that was said; 0 from then on") \
    X(month,              "month",     1000000,       12000000,     "none",       "always known",           "local month, 1 = January") \
    X(day_of_month,       "date",      1000000,       31000000,     "none",       "always known",           "local day of the month") \
    X(zone_level,         "level",     0,             3000000,      "none",       "always known",           "how deep the zone lies: 0 = the world, 1 = one level below it, ...") \
    X(distance_km,        "km",        0,             20100000000,  "none",       "",                       "from the model's origin to the zone, where both have a position")
/* clang-format on */

#define MODEL_INPUT_ENUM_(name, unit, low, high, age, gone, text) INPUT_##name,
enum model_input { MODEL_INPUTS(MODEL_INPUT_ENUM_) INPUT_COUNT };
#undef MODEL_INPUT_ENUM_

#define MODEL_ATTRIBUTES_MAX 8u                                            /* that one model declares */
#define INPUT_SLOTS          ((unsigned)INPUT_COUNT + MODEL_ATTRIBUTES_MAX) /* inputs of one model: rows, then its attributes */
#define INPUT_NONE           ((enum model_input)INPUT_SLOTS)
_Static_assert(INPUT_SLOTS <= 64, "present is 64 bits");

struct model_input_row {
    const char *name, *unit, *age, *gone, *text;
    int64_t low, high;
};
extern const struct model_input_row model_inputs[INPUT_COUNT];

#define ATTRIBUTE_OF_PRODUCT "product."
#define ATTRIBUTE_OF_ZONE    "zone."
#define ATTRIBUTE_NOT_STATED INT64_MIN

struct model_attribute {                    /* an input that a model declares */
    char name[ATTRIBUTE_NAME_MAX + 8]; /* "product.weight_kg" */
    char unit[16];
    char bare[ATTRIBUTE_NAME_MAX]; /* what stands behind the dot, as signals say it */
    bool of_zone;          /* of the nearest zone around that says it; else of the product */
    int64_t low, high;     /* micro */
    int64_t missing_micro; /* its value when it is missing or too old; ATTRIBUTE_NOT_STATED: then it is missing */
    uint32_t age_s;        /* 0 = it does not age */
};
struct model_attributes {
    uint32_t count;
    struct model_attribute row[MODEL_ATTRIBUTES_MAX];
};

/* In all of these `own` is what the model declares; NULL = nothing.
 *
 * model_input_find - by name, or INPUT_NONE. model_input_row - what is known of an input; texts live as long as `own`.
 * model_input_names - the names of all; returns how many. */
enum model_input model_input_find(const struct model_attributes *own, const char *name);
struct model_input_row model_input_row(const struct model_attributes *own, enum model_input input);
size_t model_input_names(const struct model_attributes *own, const char *ret[INPUT_SLOTS]);

/* attribute_input - the input that an attribute of the model is. */
static inline enum model_input attribute_input(uint32_t attribute)
{
    return (enum model_input)((unsigned)INPUT_COUNT + attribute);
}
#endif
