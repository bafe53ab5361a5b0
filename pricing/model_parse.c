/* model_parse.c - a model file: its objects as tables, its lists, and what must agree between keys.
 *
 *   text --json_parse (comments allowed)--> tree --fields_read by tables--> struct model --check_*--> accepted
 *
 * Order of faults: JSON first, then the keys in the order of the file, then what is missing, then what does not agree.
 * Not here: what models must agree about among themselves (model_set.c). */
#include "pricing/model.h"
#include "pricing/model_fields.h"
#include "pricing/money.h"
#include "pricing/scope.h"

#include <stdio.h>
#include <string.h>

#define SECOND           1
#define DAY              86400
#define AMOUNT_MICRO_MAX (INT64_C(1000000000) * MICRO) /* of any input or spend */
#define FACTOR_MICRO_MIN (MICRO / 10)                  /* of one factor or personal multiplier */
#define FACTOR_MICRO_MAX (MICRO * 10)

#define TABLE(table, object)                                                                                           \
    static const struct field_table table = { object, table##_fields, sizeof table##_fields / sizeof table##_fields[0] }

/* ---- lists ---------------------------------------------------------------------------------------------- */

static enum rialto_status check_list(struct reader *reader, const cJSON *list, uint32_t low, uint32_t high)
{
    if (!cJSON_IsArray(list))
        return reader_refuse(reader, "expected a list in brackets");
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL && count <= high; child = child->next)
        count++;
    if (count < low || count > high)
        return reader_refuse(reader, "expected %u to %u entries", (unsigned)low, (unsigned)high);
    return RIALTO_OK;
}

/* A list of texts into rows of `size` bytes, each checked by `check` (NULL = right, else the reason), none twice. */
struct text_list {
    uint32_t low, high;
    struct field row;
    size_t size;
    const char *(*check)(const char *text);
};

static enum rialto_status read_list_row(struct reader *reader, const struct text_list *shape, const cJSON *value,
                                        char *rows, uint32_t index)
{
    char *row = rows + index * shape->size;
    enum rialto_status status = value_read(reader, &shape->row, value, row);
    if (status != RIALTO_OK)
        return status;
    const char *reason = shape->check(row);
    if (reason != NULL)
        return reader_refuse(reader, "%s", reason);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(rows + i * shape->size, row) == 0)
            return reader_refuse(reader, "this entry stands twice in the list");
    return RIALTO_OK;
}

static enum rialto_status read_list(struct reader *reader, const struct text_list *shape, const cJSON *list, char *rows,
                                    uint32_t *ret_count)
{
    enum rialto_status status = check_list(reader, list, shape->low, shape->high);
    if (status != RIALTO_OK)
        return status;
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL; child = child->next, count++) {
        size_t back = reader_enter_index(reader, count);
        status = read_list_row(reader, shape, child, rows, count);
        reader_leave(reader, back);
        if (status != RIALTO_OK)
            return status;
    }
    *ret_count = count;
    return RIALTO_OK;
}

/* ---- scope ---------------------------------------------------------------------------------------------- */

static const char *currency_fault(const char *letters)
{
    return currency_find(letters) != NULL ? NULL : "not a currency of ISO 4217 in capital letters";
}

static enum rialto_status read_categories(struct reader *reader, const cJSON *value, void *target)
{
    static const struct text_list shape = { .high = MODEL_SCOPES_MAX,
                                            .row = { .kind = FIELD_TEXT, .low = 1, .high = 63 },
                                            .size = 64,
                                            .check = scope_category_fault };
    struct model *model = target;
    return read_list(reader, &shape, value, model->category[0], &model->category_count);
}

static enum rialto_status read_skus(struct reader *reader, const cJSON *value, void *target)
{
    static const struct text_list shape = { .high = MODEL_SCOPES_MAX,
                                            .row = { .kind = FIELD_TEXT, .low = 1, .high = RIALTO_ID_MAX - 1 },
                                            .size = RIALTO_ID_MAX,
                                            .check = scope_sku_fault };
    struct model *model = target;
    return read_list(reader, &shape, value, model->sku[0], &model->sku_count);
}

static enum rialto_status read_currencies(struct reader *reader, const cJSON *value, void *target)
{
    static const struct text_list shape = { .low = 1,
                                            .high = MODEL_CURRENCIES_MAX,
                                            .row = { .kind = FIELD_NAME, .low = 3, .high = 3 },
                                            .size = 4,
                                            .check = currency_fault };
    struct model *model = target;
    return read_list(reader, &shape, value, model->currency[0], &model->currency_count);
}

static const struct field scope_fields[] = {
    { .key = "categories", .kind = FIELD_PART, .part = read_categories },
    { .key = "skus", .kind = FIELD_PART, .part = read_skus },
    { .key = "currencies", .kind = FIELD_PART, .required = true, .part = read_currencies },
};
TABLE(scope, "scope");

static enum rialto_status read_scope(struct reader *reader, const cJSON *value, void *target)
{
    const struct model *model = target;
    enum rialto_status status = fields_read(reader, &scope, value, target);
    if (status == RIALTO_OK && model->category_count == 0 && model->sku_count == 0)
        return reader_refuse(reader, "name categories, skus or both; [\"*\"] means every category");
    return status;
}

/* ---- demand --------------------------------------------------------------------------------------------- */

#define WEIGHT(name, event)                                                                                            \
    {                                                                                                                  \
        .key = name, .kind = FIELD_MICRO, .low = 0, .high = 1000 * MICRO,                                              \
        .offset = offsetof(struct demand_settings, weight_micro) + (event) * sizeof(int64_t)                           \
    }
static const struct field weights_fields[] = {
    WEIGHT("view", DEMAND_VIEW),   WEIGHT("search", DEMAND_SEARCH), WEIGHT("cart", DEMAND_CART),
    WEIGHT("order", DEMAND_ORDER), WEIGHT("return", DEMAND_RETURN),
};
TABLE(weights, "weights");

static enum rialto_status read_weights(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &weights, value, target);
}

static const struct field demand_fields[] = {
    { .key = "half_life",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 30 * DAY,
      .offset = offsetof(struct demand_settings, half_life_s) },
    { .key = "slow_half_life",
      .kind = FIELD_SPAN,
      .low = 2 * SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct demand_settings, slow_half_life_s) },
    { .key = "prior_events",
      .kind = FIELD_MICRO,
      .low = MICRO / 1000,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, prior_micro) },
    { .key = "min_events",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, min_events_micro) },
    { .key = "weights", .kind = FIELD_PART, .part = read_weights },
};
TABLE(demand, "demand");

static enum rialto_status read_demand(struct reader *reader, const cJSON *value, void *target)
{
    const struct demand_settings *settings = target;
    enum rialto_status status = fields_read(reader, &demand, value, target);
    if (status == RIALTO_OK && settings->slow_half_life_s <= settings->half_life_s)
        return reader_refuse(reader, "slow_half_life must be longer than half_life");
    return status;
}

/* ---- curves --------------------------------------------------------------------------------------------- */

struct curve_target { /* where the points of a curve go */
    enum curve_kind *kind;
    uint32_t *count;
    struct model_point *point;
};

static enum rialto_status read_number_at(struct reader *reader, uint32_t index, int64_t low, int64_t high,
                                         const cJSON *value, int64_t *ret)
{
    size_t back = reader_enter_index(reader, index);
    enum rialto_status status =
        value_read(reader, &(struct field){ .kind = FIELD_MICRO, .low = low, .high = high }, value, ret);
    reader_leave(reader, back);
    return status;
}

static enum rialto_status read_point(struct reader *reader, const cJSON *value, struct model_point *ret)
{
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2)
        return reader_refuse(reader, "expected a point [x, y]");
    enum rialto_status status =
        read_number_at(reader, 0, -AMOUNT_MICRO_MAX, AMOUNT_MICRO_MAX, value->child, &ret->x_micro);
    if (status != RIALTO_OK)
        return status;
    return read_number_at(reader, 1, FACTOR_MICRO_MIN, FACTOR_MICRO_MAX, value->child->next, &ret->y_micro);
}

static enum rialto_status read_points(struct reader *reader, const cJSON *list, enum curve_kind kind,
                                      struct curve_target target)
{
    enum rialto_status status = check_list(reader, list, 1, MODEL_POINTS_MAX);
    if (status == RIALTO_OK && *target.count > 0)
        status = reader_refuse(reader, "one curve is enough: this one is already given under another key");
    if (status != RIALTO_OK)
        return status;
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL && status == RIALTO_OK; child = child->next, count++) {
        size_t back = reader_enter_index(reader, count);
        status = read_point(reader, child, &target.point[count]);
        if (status == RIALTO_OK && count > 0 && target.point[count].x_micro <= target.point[count - 1].x_micro)
            status = reader_refuse(reader, "x must be larger than in the point before");
        reader_leave(reader, back);
    }
    *target.count = count;
    *target.kind = kind;
    return status;
}

/* ---- factors -------------------------------------------------------------------------------------------- */

#define INPUT_NAME_(name, unit, text) #name,
static const char *const input_names[INPUT_COUNT] = { MODEL_INPUTS(INPUT_NAME_) };

static enum rialto_status read_input(struct reader *reader, const cJSON *value, void *target)
{
    for (uint32_t i = 0; cJSON_IsString(value) && i < INPUT_COUNT; i++) {
        if (strcmp(value->valuestring, input_names[i]) == 0) {
            *(enum model_input *)target = (enum model_input)i;
            return RIALTO_OK;
        }
    }
    return reader_refuse(reader, "no such input; docs/models.md lists them");
}

static struct curve_target factor_curve(struct model_factor *factor)
{
    return (struct curve_target){ .kind = &factor->kind, .count = &factor->point_count, .point = factor->point };
}

static enum rialto_status read_factor_line(struct reader *reader, const cJSON *value, void *target)
{
    return read_points(reader, value, CURVE_LINEAR, factor_curve(target));
}

static enum rialto_status read_factor_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_points(reader, value, CURVE_STEPS, factor_curve(target));
}

static const struct field factor_fields[] = {
    { .key = "name",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = 19,
      .offset = offsetof(struct model_factor, name) },
    { .key = "input",
      .kind = FIELD_PART,
      .required = true,
      .offset = offsetof(struct model_factor, input),
      .part = read_input },
    { .key = "curve", .kind = FIELD_PART, .part = read_factor_line },
    { .key = "steps", .kind = FIELD_PART, .part = read_factor_steps },
};
TABLE(factor, "factor");

static enum rialto_status read_factor(struct reader *reader, const cJSON *value, struct model *model)
{
    struct model_factor *row = &model->factor[model->factor_count];
    enum rialto_status status = fields_read(reader, &factor, value, row);
    if (status != RIALTO_OK)
        return status;
    if (row->point_count == 0)
        return reader_refuse(reader, "a factor needs a \"curve\" or \"steps\"");
    for (uint32_t i = 0; i < model->factor_count; i++)
        if (strcmp(model->factor[i].name, row->name) == 0)
            return reader_refuse(reader, "another factor has the name \"%s\" already", row->name);
    model->factor_count++;
    return RIALTO_OK;
}

static enum rialto_status read_factors(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = check_list(reader, value, 0, MODEL_FACTORS_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL && status == RIALTO_OK; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        status = read_factor(reader, child, target);
        reader_leave(reader, back);
    }
    return status;
}

/* ---- personal terms ------------------------------------------------------------------------------------- */

static const char *any_word(const char *word)
{
    (void)word;
    return NULL;
}

static const char *zone_fault(const char *zone)
{
    size_t length = strlen(zone);
    if (strcmp(zone, "world") == 0)
        return "the world is around everybody; name a zone";
    if (strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-/") != length)
        return "a zone is made of letters, digits and _ . : - joined by slashes";
    if (zone[0] == '/' || zone[length - 1] == '/' || strstr(zone, "//") != NULL)
        return "a zone is names joined by single slashes";
    return NULL;
}

/* {"gold": 0.95, ...}: words of 1..high bytes with their multipliers. */
static enum rialto_status read_words(struct reader *reader, const cJSON *object, struct model_personal *personal,
                                     size_t high, const char *(*check)(const char *))
{
    if (!cJSON_IsObject(object))
        return reader_refuse(reader, "expected an object such as {\"gold\": 0.95}");
    enum rialto_status status = RIALTO_OK;
    uint32_t count = 0;
    for (const cJSON *child = object->child; child != NULL && status == RIALTO_OK; child = child->next, count++) {
        if (count == MODEL_POINTS_MAX)
            return reader_refuse(reader, "at most %u entries", MODEL_POINTS_MAX);
        size_t back = reader_enter(reader, child->string), length = strlen(child->string);
        if (length == 0 || length > high)
            status = reader_refuse(reader, "this name must have 1 to %zu bytes", high);
        else if (check(child->string) != NULL)
            status = reader_refuse(reader, "%s", check(child->string));
        else
            status = value_read(
                reader, &(struct field){ .kind = FIELD_MICRO, .low = FACTOR_MICRO_MIN, .high = FACTOR_MICRO_MAX },
                child, &personal->point[count].y_micro);
        if (status == RIALTO_OK)
            memcpy(personal->word[count], child->string, length + 1);
        reader_leave(reader, back);
    }
    if (status == RIALTO_OK && count == 0)
        return reader_refuse(reader, "expected at least one entry");
    personal->point_count = count;
    return status;
}

/* A personal row speaks about one kind of data, so that one consent decides about it. */
static enum rialto_status claim_kind(struct reader *reader, struct model_personal *personal, enum personal_kind kind,
                                     uint8_t consent)
{
    if (personal->consent != 0)
        return reader_refuse(reader, "one row reads one kind of data; write a second row for this");
    personal->kind = kind;
    personal->consent = consent;
    return RIALTO_OK;
}

static enum rialto_status read_tier(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_TIER, RIALTO_KIND_PROFILE);
    return status != RIALTO_OK ? status : read_words(reader, value, target, RIALTO_NAME_MAX - 1, any_word);
}

static enum rialto_status read_segment(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_SEGMENT, RIALTO_KIND_PROFILE);
    return status != RIALTO_OK ? status : read_words(reader, value, target, RIALTO_NAME_MAX - 1, any_word);
}

static enum rialto_status read_zone(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_ZONE, RIALTO_KIND_LOCATION);
    return status != RIALTO_OK ? status : read_words(reader, value, target, RIALTO_ID_MAX - 1, zone_fault);
}

static enum rialto_status read_spend_points(struct reader *reader, const cJSON *value, struct model_personal *personal,
                                            enum curve_kind kind)
{
    enum rialto_status status = claim_kind(reader, personal, PERSONAL_SPEND, RIALTO_KIND_PURCHASES);
    struct curve_target target = { .kind = &personal->curve,
                                   .count = &personal->point_count,
                                   .point = personal->point };
    return status != RIALTO_OK ? status : read_points(reader, value, kind, target);
}

static enum rialto_status read_spend(struct reader *reader, const cJSON *value, void *target)
{
    return read_spend_points(reader, value, target, CURVE_LINEAR);
}

static enum rialto_status read_spend_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_spend_points(reader, value, target, CURVE_STEPS);
}

static const struct field personal_fields[] = {
    { .key = "name",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = 19,
      .offset = offsetof(struct model_personal, name) },
    { .key = "tier", .kind = FIELD_PART, .part = read_tier },
    { .key = "segment", .kind = FIELD_PART, .part = read_segment },
    { .key = "zone", .kind = FIELD_PART, .part = read_zone },
    { .key = "spend", .kind = FIELD_PART, .part = read_spend },
    { .key = "spend_steps", .kind = FIELD_PART, .part = read_spend_steps },
};
TABLE(personal, "personal");

static enum rialto_status read_personal(struct reader *reader, const cJSON *value, struct model *model)
{
    struct model_personal *row = &model->personal[model->personal_count];
    enum rialto_status status = fields_read(reader, &personal, value, row);
    if (status != RIALTO_OK)
        return status;
    if (row->consent == 0)
        return reader_refuse(reader,
                             "a personal row needs \"tier\", \"segment\", \"zone\", \"spend\" or \"spend_steps\"");
    for (uint32_t i = 0; i < model->personal_count; i++)
        if (strcmp(model->personal[i].name, row->name) == 0)
            return reader_refuse(reader, "another personal row has the name \"%s\" already", row->name);
    model->personal_count++;
    return RIALTO_OK;
}

static enum rialto_status read_personals(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = check_list(reader, value, 0, MODEL_PERSONAL_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL && status == RIALTO_OK; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        status = read_personal(reader, child, target);
        reader_leave(reader, back);
    }
    return status;
}

/* ---- guardrails ------------------------------------------------------------------------------------------ */

static const struct field largest_step_fields[] = {
    { .key = "of",
      .kind = FIELD_MICRO,
      .required = true,
      .low = MICRO / 1000,
      .high = MICRO,
      .offset = offsetof(struct model_guardrails, step_micro) },
    { .key = "per",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 0,
      .high = 30 * DAY,
      .offset = offsetof(struct model_guardrails, step_interval_s) },
};
TABLE(largest_step, "largest_step");

static enum rialto_status read_largest_step(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &largest_step, value, target);
}

static const struct field dead_band_fields[] = {
    { .key = "of",
      .kind = FIELD_MICRO,
      .required = true,
      .low = 0,
      .high = MICRO / 2,
      .offset = offsetof(struct model_guardrails, dead_band_micro) },
    { .key = "settle",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 0,
      .high = 30 * DAY,
      .offset = offsetof(struct model_guardrails, settle_s) },
};
TABLE(dead_band, "dead_band");

static enum rialto_status read_dead_band(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &dead_band, value, target);
}

static enum rialto_status read_personal_bounds(struct reader *reader, const cJSON *value, void *target)
{
    struct model_guardrails *guard = target;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2)
        return reader_refuse(reader, "expected the least and the largest personal multiplier, such as [0.85, 1]");
    enum rialto_status status =
        read_number_at(reader, 0, FACTOR_MICRO_MIN, MICRO, value->child, &guard->personal_low_micro);
    if (status != RIALTO_OK)
        return status;
    return read_number_at(reader, 1, MICRO, 2 * MICRO, value->child->next, &guard->personal_high_micro);
}

static const struct field guardrails_fields[] = {
    { .key = "floor",
      .kind = FIELD_MICRO,
      .low = MICRO / 100,
      .high = MICRO,
      .offset = offsetof(struct model_guardrails, floor_micro) },
    { .key = "ceiling",
      .kind = FIELD_MICRO,
      .low = MICRO,
      .high = 10 * MICRO,
      .offset = offsetof(struct model_guardrails, ceiling_micro) },
    { .key = "margin",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 10 * MICRO,
      .offset = offsetof(struct model_guardrails, margin_micro) },
    { .key = "largest_step", .kind = FIELD_PART, .part = read_largest_step },
    { .key = "dead_band", .kind = FIELD_PART, .part = read_dead_band },
    { .key = "personal", .kind = FIELD_PART, .part = read_personal_bounds },
    { .key = "never_above_baseline", .kind = FIELD_FLAG, .offset = offsetof(struct model_guardrails, never_above) },
};
TABLE(guardrails, "guardrails");

static enum rialto_status read_guardrails(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &guardrails, value, target);
}

/* ---- rounding and ages ----------------------------------------------------------------------------------- */

static const struct field rounding_fields[] = {
    { .key = "step",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = 1000000,
      .offset = offsetof(struct model, ending_step) },
    { .key = "less", .kind = FIELD_COUNT, .low = 0, .high = 999999, .offset = offsetof(struct model, ending_less) },
};
TABLE(rounding, "rounding");

static enum rialto_status read_rounding(struct reader *reader, const cJSON *value, void *target)
{
    const struct model *model = target;
    enum rialto_status status = fields_read(reader, &rounding, value, target);
    if (status == RIALTO_OK && model->ending_less >= model->ending_step)
        return reader_refuse(reader, "\"less\" must be smaller than \"step\"");
    return status;
}

static const struct field age_limits_fields[] = {
    { .key = "weather",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, weather_age_s) },
    { .key = "competitor",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, competitor_age_s) },
    { .key = "supply",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, supply_age_s) },
};
TABLE(age_limits, "age_limits");

static enum rialto_status read_age_limits(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &age_limits, value, target);
}

/* ---- the file --------------------------------------------------------------------------------------------- */

static const struct field model_file_fields[] = {
    { .key = "model",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, name) },
    { .key = "version",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, version) },
    { .key = "about", .kind = FIELD_TEXT, .low = 0, .high = 255, .offset = offsetof(struct model, about) },
    { .key = "scope", .kind = FIELD_PART, .required = true, .part = read_scope },
    { .key = "zone_levels",
      .kind = FIELD_COUNT,
      .low = 0,
      .high = RIALTO_ZONE_LEVELS - 1,
      .offset = offsetof(struct model, zone_depth_max) },
    { .key = "group",
      .kind = FIELD_NAME,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, group_name) },
    { .key = "demand", .kind = FIELD_PART, .offset = offsetof(struct model, demand), .part = read_demand },
    { .key = "factors", .kind = FIELD_PART, .required = true, .part = read_factors },
    { .key = "personal", .kind = FIELD_PART, .part = read_personals },
    { .key = "guardrails", .kind = FIELD_PART, .offset = offsetof(struct model, guard), .part = read_guardrails },
    { .key = "rounding", .kind = FIELD_PART, .part = read_rounding },
    { .key = "stale_limit",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 30 * DAY,
      .offset = offsetof(struct model, stale_limit_s) },
    { .key = "age_limits", .kind = FIELD_PART, .part = read_age_limits },
};
TABLE(model_file, "model");

const struct field_table *const model_tables[] = {
    &model_file, &scope,        &demand,    &weights,  &factor,     &personal,
    &guardrails, &largest_step, &dead_band, &rounding, &age_limits,
};
const uint32_t model_table_count = sizeof model_tables / sizeof model_tables[0];

/* What a file that leaves a key out gets. docs/models.md lists the same numbers. */
static void set_defaults(struct model *model)
{
    *model = (struct model){
        .demand = { .half_life_s = 6 * 3600,
                    .slow_half_life_s = 7 * DAY,
                    .prior_micro = 5 * MICRO,
                    .min_events_micro = 10 * MICRO,
                    .weight_micro = { [DEMAND_VIEW] = MICRO / 10,
                                      [DEMAND_SEARCH] = MICRO / 10,
                                      [DEMAND_CART] = MICRO / 2,
                                      [DEMAND_ORDER] = MICRO,
                                      [DEMAND_RETURN] = 0 } },
        .guard = { .floor_micro = MICRO / 2,
                   .ceiling_micro = MICRO * 3 / 2,
                   .margin_micro = -1,
                   .personal_low_micro = MICRO * 8 / 10,
                   .personal_high_micro = MICRO,
                   .never_above = true },
        .ending_step = 1,
        .stale_limit_s = 3600,
        .competitor_age_s = DAY,
        .weather_age_s = 3 * 3600,
        .supply_age_s = 7 * DAY,
    };
}

/* FNV-1a, 64 bit (G. Fowler, L. C. Noll, P. Vo). It tells versions of one file apart; nobody attacks it. */
static uint64_t hash_text(const char *text, size_t bytes)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static void copy_file_name(char to[FAULT_FILE_MAX], const char *file)
{
    (void)snprintf(to, FAULT_FILE_MAX, "%s", file != NULL ? file : "");
}

enum rialto_status model_parse(const char *text, size_t bytes, const char *file, struct model *ret, struct fault *fault)
{
    copy_file_name(fault->file, file);
    cJSON *tree = json_parse(text, bytes, JSON_COMMENTS, fault);
    if (tree == NULL)
        return RIALTO_REFUSED;
    struct reader reader = { .text = text, .bytes = bytes, .fault = fault };
    set_defaults(ret);
    enum rialto_status status = fields_read(&reader, &model_file, tree, ret);
    cJSON_Delete(tree);
    if (status != RIALTO_OK)
        return status;
    if (ret->group_name[0] == '\0')
        memcpy(ret->group_name, ret->name, sizeof ret->group_name);
    copy_file_name(ret->file, file);
    ret->text_hash = hash_text(text, bytes);
    return RIALTO_OK;
}
