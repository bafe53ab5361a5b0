/* model.h - a pricing model: a JSON file under models/ that turns signals into baseline prices and personal terms.
 *
 *   file --model_set_load()--> struct model_set --model_price()--> baseline      (workers, per cell)
 *                                               --model_terms()--> multipliers   (workers, per customer)
 *
 * A set is loaded whole or refused whole, with file, line, column and reason. Loaded sets are immutable: any thread may
 * price with one. Loading allocates; pricing does not, reads no clock and touches no global.
 *
 *   baseline       = ending( guard( list x f_1 x f_2 x ... ) )        factors in the order of the file
 *   multiplier(g)  = clamp( p_1 x p_2 x ... )                         each behind its consent
 */
#ifndef PRICING_MODEL_H
#define PRICING_MODEL_H

#include "pricing/demand.h"
#include "pricing/fixed.h"
#include "pricing/json_text.h"

#include <rialto/layout.h>
#include <rialto/status.h>

#define MODELS_MAX                          64u
#define MODEL_SCOPES_MAX                    32u
#define MODEL_FACTORS_MAX                   12u
#define MODEL_POINTS_MAX                    24u
#define MODEL_PERSONAL_MAX                  8u
#define MODEL_CURRENCIES_MAX                8u

/* The inputs that a factor may read. In models and in explanations they go by these names. Values are in micro
 * (millionths) of the unit. An input that is missing or too old leaves its factor at 1.
 *      name                 unit      what it is */
/* clang-format off */
#define MODEL_INPUTS(X)                                                                                        \
    X(demand_pressure,    "ratio",  "decayed event rate against the product's own slower rate; 1 = as usual")  \
    X(available,          "units",  "what is in stock or free in this zone")                                   \
    X(available_ratio,    "ratio",  "available against capacity, 0..1")                                        \
    X(temperature_c,      "degC",   "air temperature of the nearest zone with current weather")                \
    X(precipitation_mm_h, "mm/h",   "rain or snow, as water")                                                  \
    X(wind_m_s,           "m/s",    "wind speed")                                                              \
    X(humidity,           "ratio",  "relative humidity, 0..1")                                                 \
    X(hour,               "h",      "hour of the zone's day with its fraction, 0..24")                         \
    X(weekday,            "day",    "day of the zone's week, 1 = Monday .. 7 = Sunday")                        \
    X(competitor_ratio,   "ratio",  "lowest current competitor price against list")                            \
    X(promotion,          "ratio",  "the product's own running promotion, 0.8 = 20 % off")
/* clang-format on */

#define MODEL_INPUT_ENUM_(name, unit, text) INPUT_##name,
enum model_input { MODEL_INPUTS(MODEL_INPUT_ENUM_) INPUT_COUNT };
#undef MODEL_INPUT_ENUM_

struct model_point {
    int64_t x_micro, y_micro;
};

enum curve_kind {
    CURVE_LINEAR, /* straight between points, flat outside */
    CURVE_STEPS   /* the y of the last point at or left of x; the first y left of all */
};

struct model_factor {
    char name[20];
    enum model_input input;
    enum curve_kind kind;
    uint32_t point_count;
    struct model_point point[MODEL_POINTS_MAX];
};

enum personal_kind { PERSONAL_TIER, PERSONAL_SEGMENT, PERSONAL_SPEND, PERSONAL_ZONE };
/* consent:           profile        profile           purchases        location */

struct model_personal {
    char name[20];
    enum personal_kind kind;
    uint8_t consent;                            /* RIALTO_KIND_* */
    uint32_t point_count;                       /* rows of the table, or points of the spend curve */
    char word[MODEL_POINTS_MAX][RIALTO_ID_MAX]; /* tier, segment or zone (a zone covers what lies inside it) */
    struct model_point point[MODEL_POINTS_MAX]; /* y: multiplier; x: spend in MAJOR units for PERSONAL_SPEND */
    enum curve_kind curve;
};

struct model_guardrails {
    int64_t floor_micro;         /* of list, default 0.5  */
    int64_t ceiling_micro;       /* of list, default 1.5  */
    int64_t margin_micro;        /* price >= cost x (1 + margin), where a cost is known; default none (-1) */
    int64_t step_micro;          /* largest change of the price at once, of the published price; 0 = any */
    uint32_t step_interval_s;    /* at most one step in this time */
    int64_t dead_band_micro;     /* changes smaller than this part of the published price wait ... */
    uint32_t settle_s;           /* ... until the price has been at rest for so long, and then go through */
    int64_t personal_low_micro;  /* clamp of the personal multiplier, default 0.8 */
    int64_t personal_high_micro; /* default 1.0 */
    bool never_above;            /* personal amounts never above the baseline; default true */
};

struct model {
    char name[RIALTO_NAME_MAX];
    char version[RIALTO_NAME_MAX];
    char about[256];
    char file[FAULT_FILE_MAX];
    uint64_t text_hash;
    uint32_t category_count;                   /* 0 = all, as a lone star */
    char category[MODEL_SCOPES_MAX][64];       /* "fresh/dairy"; "fresh/" + star: it and all below; a lone star: all */
    uint32_t sku_count;                        /* 0 = all in the categories */
    char sku[MODEL_SCOPES_MAX][RIALTO_ID_MAX]; /* exact, or a prefix with a star at its end */
    uint32_t currency_count;
    char currency[MODEL_CURRENCIES_MAX][4];
    uint32_t zone_depth_max; /* cells open down to this level (0 = only the world .. 3) */
    char group_name[RIALTO_NAME_MAX];
    uint8_t group; /* number, set by model_set_number_groups() */
    struct demand_settings demand;
    uint32_t factor_count;
    struct model_factor factor[MODEL_FACTORS_MAX];
    uint32_t personal_count;
    struct model_personal personal[MODEL_PERSONAL_MAX];
    struct model_guardrails guard;
    uint32_t ending_step, ending_less;
    uint32_t stale_limit_s;
    uint32_t competitor_age_s; /* age limit of competitor prices without an `until`, default 1 day */
    uint32_t weather_age_s;    /* the same for weather, default 3 hours */
    uint32_t supply_age_s;     /* the same for supply, default 7 days */
};

struct model_set {
    uint32_t count;
    struct model model[]; /* sorted by name */
};

/* model_parse - one file's text. RIALTO_OK, or REFUSED with *fault. `file` is only for messages. */
enum rialto_status model_parse(const char *text, size_t bytes, const char *file, struct model *ret,
                               struct fault *fault);

/* model_set_load - every *.json directly under the folder. RIALTO_OK and a set (model_set_free), or REFUSED with
 * *fault: the first fault found, in the order of file names; also two models of the same name, two that claim one
 * product at equal precision, two that give personal terms to one group, more than MODELS_MAX files or none at all. A
 * product must match one of the categories (if there are any) and one of the skus (if there are any). Precision, from
 * high to low: exact sku, longer sku prefix, exact category, deeper category pattern, star. */
enum rialto_status model_set_load(const char *folder, struct model_set **ret, struct fault *fault);
void model_set_free(struct model_set *set);

/* model_set_number_groups - give each model's group its number out of the control file's names; new names are
 * appended to `groups` (an existing number keeps its meaning). REFUSED with *fault when there are more than
 * RIALTO_GROUPS_MAX. */
enum rialto_status model_set_number_groups(struct model_set *set, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX],
                                           uint8_t *count, struct fault *fault);

/* model_for_product - index of the most precise model for a product in a currency; -1 if none. */
int model_for_product(const struct model_set *set, const char *category, const char *sku, const char *currency);

/* ---- pricing ---- */

struct price_inputs {
    int64_t list; /* minor units, > 0 */
    int64_t cost; /* minor units, -1 = not known */
    int64_t input_micro[INPUT_COUNT];
    uint32_t present; /* bit i: input i has a value that is not too old */
    int64_t now_ms;   /* the tick */
    /* what stands published, for step, dead band and dwell; published = 0 for a new cell */
    int64_t published;
    int64_t changed_ms;     /* when the published amount last changed */
    int64_t published_list; /* the list price under it: a new list price starts afresh */
};

#define GUARD_FLOOR     1u
#define GUARD_CEILING   2u
#define GUARD_MARGIN    4u
#define GUARD_STEP      8u
#define GUARD_DEAD_BAND 16u
#define GUARD_FROZEN    32u /* the operator holds it at list or at its last value (service/freeze.h); never set here */
struct price_result {
    int64_t baseline;       /* minor units, after rounding, guardrails and ending */
    int64_t floor, ceiling; /* bounds that hold for it and for every personal amount */
    int64_t factor_micro[MODEL_FACTORS_MAX];
    int64_t raw;     /* list x factors, rounded half to even to minor units, before guards */
    uint32_t guards; /* GUARD_* that spoke */
    bool pending;    /* step or dead band holds a change back: price again as time passes */
};

/* model_price - RIALTO_OK, or OVERFLOW (and *ret untouched). Steps, each stated in docs/pricing.md:
 *   1 amount = list in micro-minor units; for each factor: amount = half_even(amount x f / 1e6)
 *   2 raw = half_even(amount / 1e6)
 *   3 floor = ceil(list x floor_micro), raised to ceil(cost x (1 + margin)) where a cost is known;
 *     ceiling = floor_division(list x ceiling_micro), at least the floor
 *   4 step: if published and same list and step > 0: within published +- reach, where reach = 0 if now - changed <
 *     step_interval, else max(published x step, ending step, 1); both ends then moved into [floor, ceiling]
 *   5 clamp to those bounds; ending_within(...) them
 *   6 dead band: |new - published| x 1e6 < dead_band x published and now - changed < settle: keep published (if still
 *     within [floor, ceiling])
 * OVERFLOW: list outside 1..RIALTO_BOUND_MAX, a floor above it, or list x factors beyond 64 bits. */
enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret);

/* model_curve - value of a curve at x: linear interpolation y0 + half_even((y1 - y0) x (x - x0) / (x1 - x0)). */
int64_t model_curve(enum curve_kind kind, uint32_t count, const struct model_point point[], int64_t x_micro);

#define TERMS_SEGMENTS_MAX 8u
struct terms_inputs {
    uint8_t consent;            /* RIALTO_KIND_* that are permitted now */
    char tier[RIALTO_NAME_MAX]; /* "" = none */
    uint32_t segment_count;
    char segment[TERMS_SEGMENTS_MAX][RIALTO_NAME_MAX];
    char spend_currency[4]; /* "" = no spend known; counts for models of that currency only */
    int64_t spend_micro;    /* MAJOR units of that currency, in micro */
    uint32_t zone_count;    /* own zone first, then around it; 0 = not known */
    char zone[RIALTO_ZONE_LEVELS - 1][RIALTO_ID_MAX];
};

/* model_terms - one multiplier per price group (10000 = neutral) and the kinds of data that were read for them:
 * permitted, there, and asked for by a model. Data of a kind that is not permitted are never looked at. Segment: the
 * most favourable of the customer's segments that the table names. p = product of p_i (half_even in micro each),
 * clamped, then half_even to 1e-4. Never fails. */
void model_terms(const struct model_set *set, const struct terms_inputs *in,
                 uint16_t ret_multiplier_e4[RIALTO_GROUPS_MAX], uint16_t *ret_kinds);

/* model_terms_rows - what each personal row of one model made of it, in the order of the file: product_micro is the
 * product up to and including the row. Rows that are not permitted, or find no data, leave it as it was. */
struct terms_row {
    bool permitted;
    bool read; /* permitted, and there were data */
    int64_t value_micro;
    int64_t product_micro;
};
void model_terms_rows(const struct model *model, const struct terms_inputs *in,
                      struct terms_row ret[MODEL_PERSONAL_MAX]);
#endif
