/* model_parse.h - what the readers of a model file share. Private to pricing/.
 *
 *   model_parse.c            the file: its keys, defaults, what must agree between them
 *   model_parse_scope.c      scope, origin          model_parse_schedule.c    time zone, dates, calendars
 *   model_parse_demand.c     demand                 model_parse_factors.c     factors of every kind, when they speak
 *   model_parse_attributes.c attributes of products and zones
 *   model_parse_personal.c   personal terms         model_parse_guardrails.c  guardrails, rounding, age limits
 *   model_parse_offers.c     offers that the model makes
 *   model_parse_affinity.c   affinity
 *   model_parse_values.c     lists, points, tables of words, dates and times of day
 *
 * Each reader takes what stands at one key into its target: RIALTO_OK, or REFUSED with at least one fault added. */
#ifndef PRICING_MODEL_PARSE_H
#define PRICING_MODEL_PARSE_H

#include "pricing/model.h"
#include "pricing/model_fields.h"

#define SECOND               1
#define DAY                  86400
#define AMOUNT_MICRO_MAX     (INT64_C(1000000000) * MICRO) /* of any input or spend */
#define FACTOR_MICRO_MIN     (MICRO / 10)                  /* of one factor or personal multiplier */
#define FACTOR_MICRO_MAX     (MICRO * 10)

/* An object of the file, with its rows in table_fields[]; WITH: and rules between its keys for the schema. */
#define TABLE(table, object) TABLE_WITH(table, object, NULL)
#define TABLE_WITH(table, object, rules)                                                                               \
    const struct field_table model_table_##table = { object, table##_fields,                                           \
                                                     sizeof table##_fields / sizeof table##_fields[0], rules }
extern const struct field_table model_table_scope, model_table_schedule, model_table_demand, model_table_weights,
    model_table_factor, model_table_case_, model_table_markup, model_table_clearing, model_table_when,
    model_table_personal, model_table_guardrails, model_table_largest_step, model_table_dead_band,
    model_table_largest_rise, model_table_rounding, model_table_age_limits, model_table_attribute, model_table_offer,
    model_table_trigger, model_table_discount, model_table_per_customer, model_table_budget, model_table_affinity,
    model_table_affinity_weights;

/* ---- values ----------------------------------------------------------------------------------------------- */

enum rialto_status check_list(struct reader *reader, const cJSON *list, uint32_t low, uint32_t high);

/* read_each - a list of low to high entries, each by `read_one`. Goes on behind a fault. */
enum rialto_status read_each(struct reader *reader, const cJSON *list, uint32_t low, uint32_t high,
                             enum rialto_status (*read_one)(struct reader *reader, const cJSON *value, void *target),
                             void *target);

/* A list of texts into rows of `size` bytes, each checked by `check` (NULL = right, else the reason), none twice. */
struct text_list {
    uint32_t low, high;
    struct field row;
    size_t size;
    const char *(*check)(const char *text);
};
enum rialto_status read_list(struct reader *reader, const struct text_list *shape, const cJSON *list, char *rows,
                             uint32_t *ret_count);

/* position_read - [latitude, longitude], in 1e-6 degrees. POSITION_SHAPE - the same as schema. */
#define POSITION_SHAPE                                                                                                 \
    "\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"prefixItems\":[{\"type\":\"number\",\"minimum\":-90,"            \
    "\"maximum\":90},{\"type\":\"number\",\"minimum\":-180,\"maximum\":180}]"
enum rialto_status position_read(struct reader *reader, const cJSON *value, int64_t ret_micro[2]);

enum rialto_status read_number_at(struct reader *reader, uint32_t index, int64_t low, int64_t high, const cJSON *value,
                                  int64_t *ret);

struct curve_target { /* where the points of a curve go */
    enum curve_kind *kind;
    uint32_t *count;
    struct model_point *point;
};
enum rialto_status read_points(struct reader *reader, const cJSON *list, enum curve_kind kind,
                               struct curve_target target);

struct word_table { /* where the rows go, and what a word may be */
    uint32_t *count;
    char (*word)[RIALTO_ID_MAX];
    struct model_point *point;
    size_t high;
    const char *(*check)(const char *);
    const char *example;
};
/* read_words - {"gold": 0.95, ...}: words with their multipliers. */
enum rialto_status read_words(struct reader *reader, const cJSON *object, const struct word_table *table);
const char *any_word(const char *word);
const char *zone_fault(const char *zone);

enum rialto_status read_date(struct reader *reader, const cJSON *value, void *target);  /* int32_t, days since 1970 */
enum rialto_status read_hours(struct reader *reader, const cJSON *value, void *target); /* struct model_window */
enum rialto_status read_weekdays(struct reader *reader, const cJSON *value, void *target); /* uint8_t, a bit a day */
/* minutes_of - "17:30" as minutes; "24:00" is the end of the day. -1 if it is no time of day. */
int minutes_of(const char *text);

/* ---- keys of the file: into struct model, but demand, affinity and guardrails into their own settings -------------------- */

enum rialto_status read_scope(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_origin(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_schedule(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_demand(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_affinity_section(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_attributes(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_factors(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_personals(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_offers(struct reader *reader, const cJSON *value, void *target);
/* offers_finish - what offers must agree about with the rest of the file, once all of it is read. */
enum rialto_status offers_finish(struct reader *reader, struct model *model);
enum rialto_status read_guardrails(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_rounding(struct reader *reader, const cJSON *value, void *target);
enum rialto_status read_age_limits(struct reader *reader, const cJSON *value, void *target);
#endif
