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

#include "pricing/affinity.h"
#include "pricing/demand.h"
#include "pricing/expression.h"
#include "pricing/fixed.h"
#include "pricing/inputs.h"
#include "pricing/json_text.h"
#include "pricing/local_clock.h"
#include "pricing/policy.h"

#include <rialto/layout.h>
#include <rialto/status.h>

#define MODELS_MAX              64u
#define MODEL_SCOPES_MAX        32u
#define MODEL_FACTORS_MAX       12u
#define MODEL_POINTS_MAX        24u
#define MODEL_PERSONAL_MAX      8u
#define MODEL_CURRENCIES_MAX    8u
#define MODEL_CALENDARS_MAX     4u
#define MODEL_CALENDAR_DAYS_MAX 64u
#define MODEL_OFFERS_MAX        8u  /* of one model */
#define OFFERS_MAX              64u /* of all models of a set */
#define OFFER_NAME_MAX          20u
#define OFFER_TIMES_MAX         8u  /* events of one kind that can be asked for, and are remembered */
#define OFFER_PRODUCTS_MAX      16u /* products of which it is remembered, for one customer, what may lead to an offer */

struct model_point {
    int64_t x_micro, y_micro;
};

enum curve_kind {
    CURVE_LINEAR, /* straight between points, flat outside */
    CURVE_STEPS   /* the y of the last point at or left of x; the first y left of all */
};

/* What a factor computes its multiplier from. Key in the model file, and what it is:
 *      form         key             */
#define FACTOR_FORMS(X)                                                                                                \
    X(CURVE, "curve", "straight lines between the points of an input")                                                 \
    X(STEPS, "steps", "steps at the points of an input")                                                               \
    X(CATEGORY, "categories", "a table by category of the product, the most precise row")                              \
    X(ZONE, "zones", "a table by zone, the nearest row around the cell")                                               \
    X(CASES, "cases", "a table by condition, the first row that holds")                                                \
    X(EXPRESSION, "expression", "a formula over inputs")                                                               \
    X(MARKUP, "markup", "the price that earns most under constant elasticity or logit demand")                         \
    X(CLEARING, "clearing", "the price that earns most from perishable stock until its end")
#define FACTOR_FORM_ENUM_(form, key, text) FACTOR_##form,
enum factor_form { FACTOR_FORMS(FACTOR_FORM_ENUM_) FACTOR_FORM_COUNT };
#undef FACTOR_FORM_ENUM_

struct model_window {             /* when a factor speaks, in local time; all zero: always */
    int32_t from_day, until_day;  /* days since 1970; until: the first day after it; 0 = open */
    uint16_t from_min, until_min; /* minutes of the day; equal: all day; from later than until: over midnight */
    uint8_t weekdays;             /* bit 0: Monday; 0 = every day */
    uint8_t calendar;             /* index + 1 of one of the model's calendars; 0 = every day */
    bool limited;
};

struct model_factor {
    char name[20];
    enum factor_form form;
    enum curve_kind kind;     /* of a curve */
    enum model_input input;   /* of a curve; INPUT_NONE = none named */
    int64_t missing_micro;    /* multiplier when something that it needs is missing or too old, default 1 */
    struct model_window when; /* outside it the multiplier is 1 */
    uint64_t reads;           /* bit i: looks at input i */
    uint32_t point_count;     /* points of the curve, or rows of a table */
    struct model_point point[MODEL_POINTS_MAX]; /* a table uses y */
    char word[MODEL_POINTS_MAX][RIALTO_ID_MAX]; /* category patterns or zones of a table */
    struct expression program;                  /* of cases and expressions; of clearing: customers a day */
    int64_t elasticity_nano;    /* markup: > 1 for constant elasticity (its absolute value), 0 for logit */
    int64_t utility_nano;       /* markup by logit */
    int64_t sensitivity_nano;   /* logit and clearing: per list price */
    int32_t clearing_until_min; /* minute of the local day at which the stock's day ends; -1: its expiry */
};

struct model_calendar {
    char name[RIALTO_NAME_MAX];
    uint32_t count;
    int32_t day[MODEL_CALENDAR_DAYS_MAX]; /* since 1970, ascending */
};

enum personal_kind { PERSONAL_TIER, PERSONAL_SEGMENT, PERSONAL_SPEND, PERSONAL_ZONE, PERSONAL_MONTH, PERSONAL_AFFINITY, PERSONAL_DISTANCE };
/* consent:           profile        profile           purchases       location       purchases       behaviour, purchases  location
 *                                                                                                    : each its part */
/* personal_kind_name - as explanations call it. personal_takes_others - may data of this kind be others' word (enum data_party)? */
const char *personal_kind_name(enum personal_kind kind);
static inline bool personal_takes_others(enum personal_kind kind)
{
    return kind == PERSONAL_TIER || kind == PERSONAL_SEGMENT || kind == PERSONAL_SPEND;
}

#define PERSONAL_PLACES_MAX 8u

struct model_personal {
    char name[20];
    enum personal_kind kind;
    uint8_t consent;                            /* RIALTO_KIND_* */
    uint32_t point_count;                       /* rows of the table, or points of the spend curve */
    char word[MODEL_POINTS_MAX][RIALTO_ID_MAX]; /* tier, segment or zone (a zone covers what lies inside it) */
    struct model_point point[MODEL_POINTS_MAX]; /* y: multiplier; x: spend in MAJOR units for PERSONAL_SPEND and _MONTH, affinity 0..1, km */
    enum curve_kind curve;
    uint32_t place_count; /* of PERSONAL_DISTANCE: the nearest of these counts; latitude and longitude in 1e-6 degrees */
    int64_t place_micro[PERSONAL_PLACES_MAX][2];
};

/* personal_permitted - may the row be looked at for who permits these kinds? Affinity has a part for each of its kinds: one is enough. */
static inline bool personal_permitted(const struct model_personal *personal, unsigned kinds)
{
    unsigned both = personal->consent & kinds;
    return personal->kind == PERSONAL_AFFINITY ? both != 0 : both == personal->consent;
}

/* A personal offer that the model makes by itself. Customers and products of offers: service/apply_issue.c. */
struct model_offer {
    char name[OFFER_NAME_MAX];
    uint8_t event;            /* enum demand_event: view, cart or order */
    uint8_t unless;           /* the same; none where has_unless is false */
    bool has_unless, stackable;
    uint8_t kind;             /* RIALTO_OFFER_* */
    uint8_t kinds;            /* RIALTO_KIND_* of what is counted for it: what it rests on */
    uint16_t currency_number; /* ISO; 0 = offered whatever the price's is */
    char currency[4];
    int64_t value;            /* as in rialto_offer_line */
    uint32_t times, within_s, apart_s;
    uint32_t valid_s, cooldown_s;
    uint32_t customer_offers, customer_per_s;
    uint32_t budget_offers, budget_amount, budget_per_s; /* amount 0 = any */
};

struct model_guardrails {
    int64_t floor_micro;         /* of list, default 0.5  */
    int64_t ceiling_micro;       /* of list, default 1.5  */
    int64_t margin_micro;        /* price >= cost x (1 + margin), where a cost is known; default none (-1) */
    int64_t step_micro;          /* largest change of the price at once, of the published price; 0 = any */
    uint32_t step_interval_s;    /* at most one step in this time */
    int64_t dead_band_micro;     /* changes smaller than this part of the published price wait ... */
    uint32_t settle_s;           /* ... until the price has been at rest for so long, and then go through */
    uint32_t dwell_s;            /* a price rests at least so long before it changes */
    int64_t rise_micro;          /* no higher than this part over the price at the beginning ... */
    uint32_t rise_window_s;      /* ... of the current window of so long; 0 = any */
    int64_t personal_low_micro;  /* clamp of the personal multiplier, default 0.8 */
    int64_t personal_high_micro; /* default 1.0 */
    int64_t spread_micro;        /* the lowest personal amount is at least (1 - spread) x the highest; -1 = any */
    bool never_above;            /* personal amounts never above the baseline; default true */
};

struct model {
    char name[RIALTO_NAME_MAX];
    char version[RIALTO_NAME_MAX];
    char about[256];
    char file[FAULT_FILE_MAX];
    uint64_t text_hash;
    uint64_t rule_hash;       /* of it and the next two; these are known once all models of a set are */
    uint8_t group_reads;      /* RIALTO_KIND_* that personal factors of its price group may read */
    uint32_t group_sensitive; /* sensitive attributes that they name, a bit each: policy_sensitive() */
    uint32_t category_count;                   /* 0 = all, as a lone star */
    char category[MODEL_SCOPES_MAX][64];       /* "fresh/dairy"; "fresh/" + star: it and all below; a lone star: all */
    uint32_t sku_count;                        /* 0 = all in the categories */
    char sku[MODEL_SCOPES_MAX][RIALTO_ID_MAX]; /* exact, or a prefix with a star at its end */
    uint32_t currency_count;
    char currency[MODEL_CURRENCIES_MAX][4];
    uint16_t currency_number[MODEL_CURRENCIES_MAX]; /* the same as ISO numbers */
    uint32_t zone_count;                        /* 0 = everywhere */
    char zone[MODEL_SCOPES_MAX][RIALTO_ID_MAX]; /* with all that lies inside */
    int64_t from_ms, until_ms;                  /* in effect from (INT64_MIN) until before (INT64_MAX) */
    struct local_clock clock;                   /* of the schedule's time zone; no name: the zone's own local time */
    uint32_t calendar_count;
    struct model_calendar calendar[MODEL_CALENDARS_MAX];
    bool competitors; /* inputs about competitors may be read */
    bool has_origin;
    int64_t origin_micro[2]; /* latitude and longitude from which distances count, 1e-6 degrees */
    uint32_t zone_depth_max; /* cells open down to this level (0 = only the world .. 3) */
    char group_name[RIALTO_NAME_MAX];
    uint8_t group; /* number, set by model_set_number_groups() */
    struct demand_settings demand;
    struct affinity_settings affinity;
    struct model_attributes attributes; /* of products and zones that factors may look at */
    uint32_t factor_count;
    uint64_t reads; /* bit per input that some factor looks at */
    bool moves;     /* model_moves() */
    bool reads_clock; /* some factor looks at hour, weekday, month or day, at a schedule of its own, or at the end of a local day */
    struct model_factor factor[MODEL_FACTORS_MAX];
    uint64_t factor_looks[MODEL_FACTORS_MAX]; /* model_factor_looks() of each */
    uint32_t zone_factors; /* bit per factor that looks at nothing but what is the same in all of a zone: model_zone_looks() */
    int32_t zone_mask[MODEL_FACTORS_MAX]; /* the same as a word per factor, all bits or none */
    uint64_t cell_looks;   /* what all others look at */
    uint32_t personal_count;
    struct model_personal personal[MODEL_PERSONAL_MAX];
    uint32_t offer_count;
    struct model_offer offer[MODEL_OFFERS_MAX];
    struct model_guardrails guard;
    uint32_t ending_step, ending_less;
    uint32_t stale_limit_s;
    uint32_t competitor_age_s; /* age limit of competitor prices without an `until`, default 1 day */
    uint32_t weather_age_s;    /* the same for weather, default 3 hours */
    uint32_t supply_age_s;     /* the same for supply, default 7 days */
    uint32_t affinity_age_s;   /* affinity says nothing so long after its newest event, default 180 days */
};

struct model_set {
    uint32_t count;
    bool zoned;           /* some model claims zones: who prices a product depends on where */
    uint32_t offer_count; /* offers that its models make */
    bool affinity;        /* some model reads affinity */
    bool located;         /* some model's personal rows look at where a customer is */
    struct policy_book policies;
    struct model model[]; /* sorted by name */
};

/* model_parse - one file's text. RIALTO_OK, or REFUSED with *fault. `file` is only for messages. */
enum rialto_status model_parse(const char *text, size_t bytes, const char *file, struct model *ret,
                               struct fault *fault);

/* model_parse_all - the same with all faults of the file, in its order. */
enum rialto_status model_parse_all(const char *text, size_t bytes, const char *file, struct model *ret,
                                   struct fault_list *faults);

/* model_set_load - every *.json directly under the folder. RIALTO_OK and a set (model_set_free), or REFUSED with
 * *fault: the first fault found, in the order of file names; also two models of the same name, two that claim one
 * product at equal precision, two that give personal terms to one group, more than MODELS_MAX files or none at all. A
 * product must match one of the categories (if there are any) and one of the skus (if there are any), and lie in one of the zones
 * (if there are any). Precision, from high to low: deeper zone, exact sku, longer sku prefix, exact category, deeper category
 * pattern, star; a model with dates before one without. */
enum rialto_status model_set_load(const char *folder, struct model_set **ret, struct fault *fault);
/* model_set_load_all - the same with all faults of all files. */
enum rialto_status model_set_load_all(const char *folder, struct model_set **ret, struct fault_list *faults);
void model_set_free(struct model_set *set);

/* model_set_number_groups - give each model's group its number out of the control file's names; new names are
 * appended to `groups` (an existing number keeps its meaning). REFUSED with *fault when there are more than
 * RIALTO_GROUPS_MAX. */
enum rialto_status model_set_number_groups(struct model_set *set, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX],
                                           uint8_t *count, struct fault *fault);

struct model_claim { /* what a model is looked for */
    const char *category, *sku, *currency;
    uint32_t zone_count; /* the cell's zone first, then around it; 0 = the world */
    const char (*zone)[RIALTO_ID_MAX];
    int64_t now_ms;
};

/* model_for_cell - index of the most precise model in effect; -1 if none. */
int model_for_cell(const struct model_set *set, const struct model_claim *claim);

/* model_reads_affinity - does a personal row? model_set_affinity - by which settings events of customers are counted at now_ms, with the
 * groups (a bit each) of the models in effect that read affinity; NULL: none does, and nothing is to be counted.
 * model_group_of - the price group that a product belongs to by its category and sku alone (currency "": any): of the most precise
 * scope in effect, of equals the first by name; -1: no model's. */
bool model_reads_affinity(const struct model *model);
bool model_reads_location(const struct model *model); /* the same of where a customer is */
const struct affinity_settings *model_set_affinity(const struct model_set *set, int64_t now_ms, uint32_t *ret_groups);
int model_group_of(const struct model_set *set, const struct model_claim *claim);

/* model_depth - down to which level of zones its cells open around there: its zone_levels, or the zone that it names if that lies
 * deeper. Zones as in a claim: a cell's own first. */
uint32_t model_depth(const struct model *model, uint32_t zone_count, const char (*zone)[RIALTO_ID_MAX]);

/* model_set_changes_ms - when, after now, a model or a policy of the set begins or ends; INT64_MAX = never. */
int64_t model_set_changes_ms(const struct model_set *set, int64_t now_ms);

/* model_schema_print - models/schema/model.schema.json on a FILE *. model_inputs_print, model_forms_print - tables of
 * docs/models.md: inputs, and kinds of factors. */
void model_schema_print(void *stream);
void model_inputs_print(void *stream);
void model_forms_print(void *stream);

/* ---- pricing ---- */

struct price_inputs {
    int64_t list; /* minor units, > 0 */
    int64_t cost; /* minor units, -1 = not known */
    int64_t input_micro[INPUT_SLOTS];
    uint64_t present;     /* bit i: input i has a value that is not too old */
    const char *category; /* of the product; NULL = not known */
    uint32_t zone_count;  /* the cell's zone first, then around it; 0 = the world */
    const char (*zone)[RIALTO_ID_MAX];
    int64_t now_ms;   /* the tick */
    int64_t local_ms; /* the same on the clock that the model goes by: model_local_ms() */
    /* what stands published, for step, dead band and dwell; published = 0 for a new cell */
    int64_t published;
    int64_t changed_ms;     /* when the published amount last changed */
    int64_t published_list; /* the list price under it: a new list price starts afresh */
    int64_t reference;      /* the price at the beginning of the window of largest_rise; 0 = none yet */
    int64_t reference_ms;   /* a time within that window */
    const struct policy *cap; /* a policy's largest rise, counted from its beginning; NULL = none */
};

#define GUARD_FLOOR     1u
#define GUARD_CEILING   2u
#define GUARD_MARGIN    4u
#define GUARD_STEP      8u
#define GUARD_DEAD_BAND 16u
#define GUARD_FROZEN    32u /* the operator holds it at list or at its last value (service/freeze.h); never set here */
#define GUARD_RISE      64u
#define GUARD_DWELL     128u
#define GUARD_COUNT     8u
extern const char *const guard_names[GUARD_COUNT]; /* of bit i: "floor", "largest_step", ... */

struct price_result {
    int64_t baseline;       /* minor units, after rounding, guardrails and ending */
    int64_t floor, ceiling; /* bounds that hold for it and for every personal amount */
    int32_t factor_micro[MODEL_FACTORS_MAX];
    int64_t raw;                     /* list x factors, rounded half to even to minor units, before guards */
    int64_t reference, reference_ms; /* to be kept for the next price */
    uint32_t guards;                 /* GUARD_* that spoke */
    bool pending;                    /* step or dead band holds a change back: price again as time passes */
};

/* model_price - RIALTO_OK, or OVERFLOW (and *ret untouched). Each step is stated in docs/pricing.md, sections 2 to 4:
 * list, factors in the order of the file, rounding to minor units, floor, margin and ceiling, largest rise and largest
 * step, ending, dwell and dead band. OVERFLOW: list outside 1..RIALTO_BOUND_MAX, a floor above it, or list x factors beyond
 * 64 bits. */
enum rialto_status model_price(const struct model *model, const struct price_inputs *in, struct price_result *ret);

/* A price like the one before it: what factors came to, and what they looked at. A factor is asked again only where something differs.
 * One thread's; all zeros: nothing is remembered. */
struct zone_memory { /* of factors that look at nothing but their zone: one for each zone, kept by the caller */
    const struct model *model; /* NULL = nothing yet */
    int32_t value_micro[MODEL_FACTORS_MAX]; /* zeros for all others */
};
struct price_memory {
    const struct model *model; /* NULL = nothing yet */
    struct zone_memory *zone;  /* NULL, or the one of `in->zone`: whoever sets it vouches that it is of this zone and of this model, or
                                  of none, and that the zone says now (model_zone_looks()) what it said when it was filled. Where it is
                                  filled, inputs that only zone_factors look at are not read */
    bool zoned;                /* there was one at the price before */
    uint64_t
        same; /* bit per input that says what it said at the price before, present or not: whoever sets it vouches for that */
    uint64_t present;
    int64_t input_micro[INPUT_SLOTS];
    int64_t list, cost, local_ms;
    const char *category;
    int64_t floor, ceiling; /* of this list price and cost */
    bool margin, bounded;   /* bounded false: they overflow */
    int32_t value_micro[MODEL_FACTORS_MAX]; /* zeros behind the last factor */
};

/* model_price_like - model_price() to the last bit, except that what factors came to is left in memory->value_micro, and ret->factor_micro alone. Models,
 * and the texts that inputs point to, stay as they are as long as the memory lives. */
enum rialto_status model_price_like(const struct model *model, const struct price_inputs *in,
                                    struct price_memory *memory, struct price_result *ret);

/* What a factor looks at: its inputs as bits, and these. */
#define LOOKS_MONEY    (UINT64_C(1) << 63) /* list and cost */
#define LOOKS_TIME     (UINT64_C(1) << 62) /* the local clock */
#define LOOKS_CATEGORY (UINT64_C(1) << 61)
#define LOOKS_ZONE     (UINT64_C(1) << 60) /* the names of the zones */
_Static_assert(INPUT_SLOTS <= 60, "above them are the four");
uint64_t model_factor_looks(const struct model_factor *factor);

/* model_zone_looks - what is the same at one tick for all cells of a zone, whichever product: weather, the clock, its place, its attributes. */
uint64_t model_zone_looks(const struct model *model);

/* price_memory_differs - what differs from the price before, as such bits; all of them where nothing is remembered. With a memory of the
 * zone only what cell_looks has is compared. These inputs are remembered from now on; values of factors and bounds are for the caller to
 * remember. Zones always differ. */
uint64_t price_memory_differs(struct price_memory *memory, const struct model *model, const struct price_inputs *in);

/* model_factor_value - what one factor multiplies by, in [1/10, 10]. *ret_known: what it needs was
 * there (else its `missing` counted) and its time had come. */
int64_t model_factor_value(const struct model *model, const struct model_factor *factor, const struct price_inputs *in,
                           bool *ret_known);

/* model_local_ms - a time on the clock that the model goes by, as ms since 1970 on that clock: its schedule's time zone, or
 * (without one) the zone's offset from UTC. */
int64_t model_local_ms(const struct model *model, int64_t now_ms, int32_t zone_offset_min);

/* model_factor_cut - the multiplier (micro) that a formula is cut to whatever its inputs are, because no value of it is one that a multiplier may
 * have; 0 = some may be, or it is no formula. As its compiler bounds it. Pure. */
int64_t model_factor_cut(const struct model_factor *factor);

/* model_form_key - the key of a kind of factor in model files. */
const char *model_form_key(enum factor_form form);

/* model_rule_hash - tells rows of rules apart: of a model, what else of its price group they tell, and the policies that hold (an
 * index into policies.mask). */
static inline uint64_t model_rule_hash(const struct model_set *set, const struct model *model, uint32_t policies)
{
    return model->rule_hash ^ set->policies.hash[policies];
}

/* model_forbidden - RIALTO_KIND_* that the price group of a model reads by sensitive attributes which nothing that holds permits. */
uint8_t model_forbidden(const struct model_set *set, const struct model *model, uint32_t policies);

/* model_reads - does any factor look at this input? */
static inline bool model_reads(const struct model *model, enum model_input input)
{
    return (model->reads >> input) & 1u;
}

/* model_state_attributes - attributes that are missing get the value that the model states for them, if it does. */
void model_state_attributes(const struct model *model, struct price_inputs *in);

/* model_moves - does a price of this model change by itself as time passes, with the same signals? model.moves is this. */
bool model_moves(const struct model *model);

/* model_reads_clock - does a factor look at local time? model.reads_clock is this. */
bool model_reads_clock(const struct model *model);

/* model_personal_never_above - may no personal amount lie above this baseline? As the model says; also where an ending
 * would lift somebody so far above the baseline that the baseline itself were below the spread. */
bool model_personal_never_above(const struct model *model, int64_t baseline, int64_t floor, int64_t ceiling);

/* model_personal_floor - no personal amount lies below it: the cell's floor, raised to what the spread cap allows. */
int64_t model_personal_floor(const struct model *model, int64_t baseline, int64_t floor, int64_t ceiling);

/* model_curve - value of a curve at x: linear interpolation y0 + half_even((y1 - y0) x (x - x0) / (x1 - x0)). */
int64_t model_curve(enum curve_kind kind, uint32_t count, const struct model_point point[], int64_t x_micro);

/* Whose word a datum about a customer is. What comes from others than the customer and the shop needs consent to partner data too. */
enum data_party { PARTY_ZERO, PARTY_FIRST, PARTY_SECOND, PARTY_THIRD };
static inline bool party_is_other(unsigned party)
{
    return party >= PARTY_SECOND;
}

#define TERMS_SEGMENTS_MAX 8u
struct terms_inputs {
    int64_t now_ms;             /* the tick: which models are in effect */
    uint8_t consent;            /* RIALTO_KIND_* that are permitted now */
    char tier[RIALTO_NAME_MAX]; /* "" = none */
    uint32_t segment_count;
    char segment[TERMS_SEGMENTS_MAX][RIALTO_NAME_MAX];
    uint8_t tier_party, spend_party, segment_party[TERMS_SEGMENTS_MAX]; /* enum data_party */
    char spend_currency[4]; /* "" = no spend known; counts for models of that currency only */
    int64_t spend_micro;    /* MAJOR units of that currency, in micro */
    char month_currency[4]; /* the same of the running month */
    int64_t month_micro;
    struct affinity_counts affinity; /* as of now */
    uint32_t zone_count;    /* own zone first, then around it; 0 = not known */
    char zone[RIALTO_ZONE_LEVELS - 1][RIALTO_ID_MAX];
    bool has_position; /* of the own zone, or the nearest around it that has one: 1e-6 degrees */
    int64_t position_micro[2];
};

/* personal_km_micro - from the customer's zone to the nearest place of a PERSONAL_DISTANCE row. */
int64_t personal_km_micro(const struct model_personal *personal, const struct terms_inputs *in);

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
    uint8_t kinds; /* RIALTO_KIND_* of the data that were read; 0 = none were */
    int64_t value_micro;
    int64_t product_micro;
};
void model_terms_rows(const struct model *model, const struct terms_inputs *in,
                      struct terms_row ret[MODEL_PERSONAL_MAX]);

/* model_offer_event - "view", "cart", "order". model_offer_worth - what an offer takes off one unit of this baseline, in minor units. */
const char *model_offer_event(enum demand_event event);
int64_t model_offer_worth(const struct model_offer *offer, int64_t baseline);

/* model_offer_share - what one of `parts` of the customers may give away of a whole in a window: all together just the whole, no two of them
 * more than 1 apart. Who has one more changes from window to window, and comes round: with a whole below `parts` nobody is left out for good. */
int64_t model_offer_share(uint32_t whole, uint32_t part, uint32_t parts, int64_t window);

/* model_set_reads_month - does any model look at the spend of the running month? Then terms change where a month begins. */
bool model_set_reads_month(const struct model_set *set);
#endif
