/* model_parse.c - a model file: its objects as tables, its lists, and what must agree between keys.
 *
 *   text --json_parse (comments allowed)--> tree --fields_read by tables--> struct model --check_*--> accepted
 *
 * All faults are found in one go: a broken JSON text is one; else they come in the order of the file, at the end of each object what
 * is missing and what does not agree.
 * Not here: what models must agree about among themselves (model_set.c). */
#include "pricing/model.h"
#include "pricing/model_fields.h"
#include "pricing/money.h"
#include "pricing/nano.h"
#include "pricing/nearest.h"
#include "pricing/scope.h"

#include <stdio.h>
#include <string.h>

#define SECOND           1
#define DAY              86400
#define AMOUNT_MICRO_MAX (INT64_C(1000000000) * MICRO) /* of any input or spend */
#define FACTOR_MICRO_MIN (MICRO / 10)                  /* of one factor or personal multiplier */
#define FACTOR_MICRO_MAX (MICRO * 10)

#define TABLE(table, object)                                                                                           \
    static const struct field_table table = { object, table##_fields,                                                  \
                                              sizeof table##_fields / sizeof table##_fields[0], NULL }
#define TABLE_WITH(table, object, rules)                                                                               \
    static const struct field_table table = { object, table##_fields,                                                  \
                                              sizeof table##_fields / sizeof table##_fields[0], rules }

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
        if (read_list_row(reader, shape, child, rows, count) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    *ret_count = count;
    return status;
}

/* ---- scope ---------------------------------------------------------------------------------------------- */

static const char *currency_fault(const char *letters)
{
    return currency_find(letters) != NULL ? NULL : "not a currency of ISO 4217 in capital letters, such as EUR or CNY";
}

static const char *zone_fault(const char *zone);

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

static enum rialto_status read_scope_zones(struct reader *reader, const cJSON *value, void *target)
{
    static const struct text_list shape = { .low = 1,
                                            .high = MODEL_SCOPES_MAX,
                                            .row = { .kind = FIELD_TEXT, .low = 1, .high = RIALTO_ID_MAX - 1 },
                                            .size = RIALTO_ID_MAX,
                                            .check = zone_fault };
    struct model *model = target;
    return read_list(reader, &shape, value, model->zone[0], &model->zone_count);
}

static const struct field scope_fields[] = {
    { .key = "categories",
      .text = "\"fresh/dairy\", \"fresh/*\" (it and all below) or \"*\".",
      .shape = "\"type\":\"array\",\"maxItems\":32,\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"minLength\":1,"
               "\"maxLength\":63,\"pattern\":\"^(\\\\*|[^*/]+(/[^*/]+)*(/\\\\*)?)$\"}",
      .kind = FIELD_PART,
      .part = read_categories },
    { .key = "skus",
      .text = "\"milk-1l\" or \"milk-*\". None = all in the categories.",
      .shape = "\"type\":\"array\",\"maxItems\":32,\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"minLength\":1,"
               "\"maxLength\":63,\"pattern\":\"^[^*]+\\\\*?$\"}",
      .kind = FIELD_PART,
      .part = read_skus },
    { .key = "zones",
      .text = "Zones with all that lies inside, such as \"c1/s25\". None = everywhere.",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"uniqueItems\":true,\"items\":{\"$ref\":\"#/$defs/"
               "zone\"}",
      .kind = FIELD_PART,
      .part = read_scope_zones },
    { .key = "currencies",
      .text = "ISO 4217 letters.",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":8,\"uniqueItems\":true,\"items\":{\"type\":\"string\","
               "\"pattern\":\"^[A-Z]{3}$\"}",
      .kind = FIELD_PART,
      .required = true,
      .part = read_currencies },
};
TABLE_WITH(scope, "scope",
           "\"anyOf\":[{\"required\":[\"categories\"],\"properties\":{\"categories\":{\"minItems\":1}}},{\"required\":["
           "\"skus\"],\"properties\":{\"skus\":{\"minItems\":1}}}]");

static enum rialto_status read_scope(struct reader *reader, const cJSON *value, void *target)
{
    const struct model *model = target;
    enum rialto_status status = fields_read(reader, &scope, value, target);
    if (status == RIALTO_OK && model->category_count == 0 && model->sku_count == 0)
        return reader_refuse(reader, "name categories, skus or both; [\"*\"] means every category");
    return status;
}

/* ---- demand --------------------------------------------------------------------------------------------- */

#define WEIGHT(name, event, default_text)                                                                              \
    {                                                                                                                  \
        .key = name, .text = "", .preset = default_text, .kind = FIELD_MICRO, .low = 0, .high = 1000 * MICRO,          \
        .offset = offsetof(struct demand_settings, weight_micro) + (event) * sizeof(int64_t)                           \
    }
static const struct field weights_fields[] = {
    WEIGHT("view", DEMAND_VIEW, "0.1"), WEIGHT("search", DEMAND_SEARCH, "0.1"), WEIGHT("cart", DEMAND_CART, "0.5"),
    WEIGHT("order", DEMAND_ORDER, "1"), WEIGHT("return", DEMAND_RETURN, "0"),
};
TABLE(weights, "weights");

static enum rialto_status read_weights(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &weights, value, target);
}

static const struct field demand_fields[] = {
    { .key = "half_life",
      .text = "After so long an event counts half. 1s to 30d.",
      .preset = "\"6h\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 30 * DAY,
      .offset = offsetof(struct demand_settings, half_life_s) },
    { .key = "slow_half_life",
      .text = "What is usual: longer than half_life. 2s to 365d.",
      .preset = "\"7d\"",
      .kind = FIELD_SPAN,
      .low = 2 * SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct demand_settings, slow_half_life_s) },
    { .key = "prior_events",
      .text = "So many usual events are mixed in: few events say little.",
      .preset = "5",
      .kind = FIELD_MICRO,
      .low = MICRO / 1000,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, prior_micro) },
    { .key = "min_events",
      .text = "A zone with fewer asks the zone around it.",
      .preset = "10",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, min_events_micro) },
    { .key = "weights",
      .text = "What one event counts, times its quantity.",
      .shape = "\"$ref\":\"#/$defs/weights\"",
      .kind = FIELD_PART,
      .part = read_weights },
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
    for (const cJSON *child = list->child; child != NULL; child = child->next, count++) {
        size_t back = reader_enter_index(reader, count);
        if (read_point(reader, child, &target.point[count]) != RIALTO_OK)
            status = RIALTO_REFUSED;
        else if (status == RIALTO_OK && count > 0 && target.point[count].x_micro <= target.point[count - 1].x_micro)
            status = reader_refuse(reader, "a curve does not go back: x must be larger than in the point before");
        reader_leave(reader, back);
    }
    *target.count = count;
    *target.kind = kind;
    return status;
}

/* ---- tables of words -------------------------------------------------------------------------------------- */

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

struct word_table { /* where the rows go, and what a word may be */
    uint32_t *count;
    char (*word)[RIALTO_ID_MAX];
    struct model_point *point;
    size_t high;
    const char *(*check)(const char *);
    const char *example;
};

static enum rialto_status read_word(struct reader *reader, const cJSON *child, const struct word_table *table,
                                    uint32_t row)
{
    static const struct field multiplier = { .kind = FIELD_MICRO, .low = FACTOR_MICRO_MIN, .high = FACTOR_MICRO_MAX };
    size_t length = strlen(child->string);
    if (length == 0 || length > table->high)
        return reader_refuse(reader, "this name must have 1 to %zu bytes", table->high);
    if (table->check(child->string) != NULL)
        return reader_refuse(reader, "%s", table->check(child->string));
    memcpy(table->word[row], child->string, length + 1);
    return value_read(reader, &multiplier, child, &table->point[row].y_micro);
}

/* {"gold": 0.95, ...}: words with their multipliers. */
static enum rialto_status read_words(struct reader *reader, const cJSON *object, const struct word_table *table)
{
    if (!cJSON_IsObject(object))
        return reader_refuse(reader, "expected an object such as {\"%s\": 0.95}", table->example);
    enum rialto_status status = RIALTO_OK;
    uint32_t count = 0;
    for (const cJSON *child = object->child; child != NULL; child = child->next, count++) {
        if (count == MODEL_POINTS_MAX)
            return reader_refuse(reader, "at most %u entries", MODEL_POINTS_MAX);
        size_t back = reader_enter(reader, child->string);
        if (read_word(reader, child, table, count) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    if (count == 0)
        return reader_refuse(reader, "expected at least one entry");
    *table->count = count;
    return status;
}

/* ---- dates, weekdays, times of day --------------------------------------------------------------------------- */

static bool two_digits(const char *text, int *ret)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *ret = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

static enum rialto_status read_date(struct reader *reader, const cJSON *value, void *target)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    int century, year, month, day;
    int32_t days = INT32_MIN;
    if (strlen(text) == 10 && text[4] == '-' && text[7] == '-' && two_digits(text, &century) &&
        two_digits(text + 2, &year) && two_digits(text + 5, &month) && two_digits(text + 8, &day))
        days = date_days(century * 100 + year, month, day);
    if (days == INT32_MIN)
        return reader_refuse(reader, "expected a date such as \"2026-12-24\"");
    *(int32_t *)target = days;
    return RIALTO_OK;
}

/* "17:30" as minutes; "24:00" is the end of the day. -1 if it is no time of day. */
static int minutes_of(const char *text)
{
    int hours, minutes;
    if (strlen(text) != 5 || text[2] != ':' || !two_digits(text, &hours) || !two_digits(text + 3, &minutes) ||
        minutes > 59 || hours * 60 + minutes > 1440)
        return -1;
    return hours * 60 + minutes;
}

static enum rialto_status read_hours(struct reader *reader, const cJSON *value, void *target)
{
    struct model_window *window = target;
    int at[2] = { -1, -1 };
    if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2)
        for (int i = 0; i < 2; i++) {
            const cJSON *text = cJSON_GetArrayItem(value, i);
            at[i] = cJSON_IsString(text) ? minutes_of(text->valuestring) : -1;
        }
    if (at[0] < 0 || at[1] < 0 || at[0] == at[1] || at[0] == 1440)
        return reader_refuse(reader, "expected two times of day such as [\"17:00\", \"19:30\"]");
    window->from_min = (uint16_t)at[0];
    window->until_min = (uint16_t)at[1];
    return RIALTO_OK;
}

static const char *const weekday_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static enum rialto_status read_weekday(struct reader *reader, const cJSON *value, uint8_t *mask)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    for (unsigned i = 0; i < 7; i++) {
        if (strcmp(text, weekday_names[i]) == 0) {
            *mask = (uint8_t)(*mask | 1u << i);
            return RIALTO_OK;
        }
    }
    return reader_refuse(reader, "expected mon, tue, wed, thu, fri, sat or sun");
}

static enum rialto_status read_weekdays(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = check_list(reader, value, 1, 7);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_weekday(reader, child, target) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

/* ---- factors -------------------------------------------------------------------------------------------- */

/* What a factor is read into: the calendar that it names is looked up when the whole file is known. */
struct factor_target {
    struct model_factor row;
    char calendar[RIALTO_NAME_MAX];
};

static enum rialto_status read_input(struct reader *reader, const cJSON *value, void *target)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    enum model_input input = model_input_find(text);
    if (input != INPUT_COUNT) {
        *(enum model_input *)target = input;
        return RIALTO_OK;
    }
    const char *names[INPUT_COUNT];
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        names[i] = model_inputs[i].name;
    const char *near = nearest_name(text, INPUT_COUNT, names);
    if (near != NULL)
        return reader_refuse(reader, "no such input; did you mean \"%s\"?", near);
    return reader_refuse(reader, "no such input; docs/models.md lists them");
}

/* A factor computes its multiplier in one way. */
static enum rialto_status claim_form(struct reader *reader, struct model_factor *factor, enum factor_form form)
{
    if (factor->form != FACTOR_FORM_COUNT)
        return reader_refuse(reader, "one way to compute it is enough: \"%s\" is given already",
                             model_form_key(factor->form));
    factor->form = form;
    return RIALTO_OK;
}

static enum rialto_status read_factor_points(struct reader *reader, const cJSON *value, struct model_factor *factor,
                                             enum factor_form form, enum curve_kind kind)
{
    enum rialto_status status = claim_form(reader, factor, form);
    struct curve_target target = { .kind = &factor->kind, .count = &factor->point_count, .point = factor->point };
    return status != RIALTO_OK ? status : read_points(reader, value, kind, target);
}

static enum rialto_status read_factor_line(struct reader *reader, const cJSON *value, void *target)
{
    return read_factor_points(reader, value, target, FACTOR_CURVE, CURVE_LINEAR);
}

static enum rialto_status read_factor_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_factor_points(reader, value, target, FACTOR_STEPS, CURVE_STEPS);
}

static enum rialto_status read_factor_words(struct reader *reader, const cJSON *value, struct model_factor *factor,
                                            enum factor_form form, const char *(*check)(const char *),
                                            const char *example)
{
    struct word_table table = { .count = &factor->point_count,
                                .word = factor->word,
                                .point = factor->point,
                                .high = RIALTO_ID_MAX - 1,
                                .check = check,
                                .example = example };
    enum rialto_status status = claim_form(reader, factor, form);
    return status != RIALTO_OK ? status : read_words(reader, value, &table);
}

static enum rialto_status read_factor_categories(struct reader *reader, const cJSON *value, void *target)
{
    return read_factor_words(reader, value, target, FACTOR_CATEGORY, scope_category_fault, "fresh/*");
}

static enum rialto_status read_factor_zones(struct reader *reader, const cJSON *value, void *target)
{
    return read_factor_words(reader, value, target, FACTOR_ZONE, zone_fault, "c1/s25");
}

static enum rialto_status compile(struct reader *reader, const cJSON *value, enum expression_want want,
                                  struct expression *ret)
{
    struct expression_fault fault;
    if (!cJSON_IsString(value))
        return reader_refuse(reader, "expected an expression in quotes, such as \"1 + 0.01 * (temperature_c - 20)\"");
    if (strlen(value->valuestring) > EXPRESSION_BYTES_MAX)
        return reader_refuse(reader, "expected an expression of at most %u bytes", EXPRESSION_BYTES_MAX);
    if (!expression_compile(value->valuestring, want, ret, &fault))
        return reader_refuse_at(reader, fault.at, "%s", fault.reason);
    return RIALTO_OK;
}

static enum rialto_status read_factor_expression(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = target;
    enum rialto_status status = claim_form(reader, factor, FACTOR_EXPRESSION);
    return status != RIALTO_OK ? status : compile(reader, value, WANT_RATIO, &factor->program);
}

/* ---- cases: "if" and "then" become one expression; "else" ends it */

struct case_target {
    struct expression *program;
    int64_t then_micro;
};

static enum rialto_status read_case_if(struct reader *reader, const cJSON *value, void *target)
{
    return compile(reader, value, WANT_CONDITION, ((struct case_target *)target)->program);
}

static const struct field case_fields[] = {
    { .key = "if",
      .text = "A condition, such as \"temperature_c > 30 and hour >= 12\".",
      .shape = "\"$ref\":\"#/$defs/expression\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_case_if },
    { .key = "then",
      .text = "Multiplier when it holds.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = FACTOR_MICRO_MIN,
      .high = FACTOR_MICRO_MAX,
      .offset = offsetof(struct case_target, then_micro) },
};
static const struct field_table case_ = { "case", case_fields, sizeof case_fields / sizeof case_fields[0], NULL };

static enum rialto_status read_case(struct reader *reader, const cJSON *value, struct expression *program)
{
    struct case_target target = { .program = program };
    enum rialto_status status = fields_read(reader, &case_, value, &target);
    if (status == RIALTO_OK && !expression_number(program, nano_of_micro(target.then_micro)))
        return reader_refuse(reader, "these cases are too long together: at most %u steps", EXPRESSION_STEPS_MAX);
    return status;
}

static enum rialto_status read_factor_cases(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = target;
    enum rialto_status status = claim_form(reader, factor, FACTOR_CASES);
    if (status == RIALTO_OK)
        status = check_list(reader, value, 1, 10);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_case(reader, child, &factor->program) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
        factor->point_count = i + 1;
    }
    return status;
}

/* The value left of all conditions, then one choice for each of them, from the last to the first. */
static bool close_cases(struct model_factor *factor)
{
    bool room = expression_number(&factor->program, nano_of_micro(factor->point[0].y_micro));
    for (uint32_t i = 0; i < factor->point_count && room; i++)
        room = expression_choose(&factor->program);
    return room;
}

/* ---- optimal prices */

struct markup_target {
    int64_t elasticity_micro, utility_micro, sensitivity_micro; /* INT64_MIN = not given */
};

static const struct field markup_fields[] = {
    { .key = "elasticity",
      .text = "Constant elasticity of demand, such as -2.62.",
      .kind = FIELD_MICRO,
      .low = -100 * MICRO,
      .high = -101 * MICRO / 100,
      .offset = offsetof(struct markup_target, elasticity_micro) },
    { .key = "utility",
      .text = "Logit: utility of the product at price 0 against not buying.",
      .kind = FIELD_MICRO,
      .low = -100 * MICRO,
      .high = 100 * MICRO,
      .offset = offsetof(struct markup_target, utility_micro) },
    { .key = "sensitivity",
      .text = "Logit: utility lost per list price.",
      .kind = FIELD_MICRO,
      .low = MICRO / 100,
      .high = 100 * MICRO,
      .offset = offsetof(struct markup_target, sensitivity_micro) },
};
TABLE_WITH(markup, "markup",
           "\"oneOf\":[{\"required\":[\"elasticity\"]},{\"required\":[\"utility\"]}],\"dependentRequired\":{"
           "\"utility\":[\"sensitivity\"],\"sensitivity\":[\"utility\"]}");

static enum rialto_status read_factor_markup(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = target;
    struct markup_target m = { INT64_MIN, INT64_MIN, INT64_MIN };
    enum rialto_status status = claim_form(reader, factor, FACTOR_MARKUP);
    if (status == RIALTO_OK)
        status = fields_read(reader, &markup, value, &m);
    if (status != RIALTO_OK)
        return status;
    bool elastic = m.elasticity_micro != INT64_MIN, utility = m.utility_micro != INT64_MIN;
    if (utility != (m.sensitivity_micro != INT64_MIN) || elastic == utility)
        return reader_refuse(reader, "expected \"elasticity\", or \"utility\" with \"sensitivity\"");
    if (elastic)
        factor->elasticity_nano = -nano_of_micro(m.elasticity_micro);
    else {
        factor->utility_nano = nano_of_micro(m.utility_micro);
        factor->sensitivity_nano = nano_of_micro(m.sensitivity_micro);
    }
    return RIALTO_OK;
}

struct clearing_target {
    struct model_factor *factor;
    int64_t sensitivity_micro;
};

static enum rialto_status read_customers(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = ((struct clearing_target *)target)->factor;
    static const struct field number = { .kind = FIELD_MICRO, .low = 1, .high = 1000000 * MICRO };
    int64_t micro;
    if (!cJSON_IsNumber(value))
        return compile(reader, value, WANT_UNITS_PER_DAY, &factor->program);
    enum rialto_status status = value_read(reader, &number, value, &micro);
    if (status == RIALTO_OK)
        (void)expression_number(&factor->program, nano_of_micro(micro));
    return status;
}

static enum rialto_status read_clearing_until(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = ((struct clearing_target *)target)->factor;
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    int minutes = strcmp(text, "expiry") == 0 ? -1 : minutes_of(text);
    if (minutes < 0 && strcmp(text, "expiry") != 0)
        return reader_refuse(reader, "expected \"expiry\", or a time of day such as \"22:00\"");
    factor->clearing_until_min = minutes;
    return RIALTO_OK;
}

static const struct field clearing_fields[] = {
    { .key = "customers_per_day",
      .text = "Customers a day who would take it for nothing: orders a day at list price x exp(sensitivity). A number "
              "or an expression.",
      .shape = "\"anyOf\":[{\"type\":\"number\",\"minimum\":0.000001,\"maximum\":1000000},{\"$ref\":\"#/$defs/"
               "expression\"}]",
      .kind = FIELD_PART,
      .required = true,
      .part = read_customers },
    { .key = "sensitivity",
      .text = "Demand falls by exp(-sensitivity) per list price.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = MICRO / 100,
      .high = 100 * MICRO,
      .offset = offsetof(struct clearing_target, sensitivity_micro) },
    { .key = "until",
      .text = "\"expiry\", or a time of the local day such as \"22:00\".",
      .shape = "\"anyOf\":[{\"const\":\"expiry\"},{\"$ref\":\"#/$defs/time_of_day\"}]",
      .kind = FIELD_PART,
      .required = true,
      .part = read_clearing_until },
};
TABLE(clearing, "clearing");

static enum rialto_status read_factor_clearing(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = target;
    struct clearing_target clear = { .factor = factor };
    enum rialto_status status = claim_form(reader, factor, FACTOR_CLEARING);
    if (status == RIALTO_OK)
        status = fields_read(reader, &clearing, value, &clear);
    factor->sensitivity_nano = nano_of_micro(clear.sensitivity_micro);
    return status;
}

/* ---- when a factor speaks */

static enum rialto_status read_calendar_name(struct reader *reader, const cJSON *value, void *target);

static const struct field when_fields[] = {
    { .key = "from",
      .text = "First day.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model_window, from_day),
      .part = read_date },
    { .key = "until",
      .text = "First day after.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model_window, until_day),
      .part = read_date },
    { .key = "weekdays",
      .text = "Days of the week.",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":7,\"uniqueItems\":true,\"items\":{\"enum\":[\"mon\","
               "\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"]}",
      .kind = FIELD_PART,
      .offset = offsetof(struct model_window, weekdays),
      .part = read_weekdays },
    { .key = "hours",
      .text = "From and until, such as [\"17:00\", \"19:00\"]; over midnight if from is later.",
      .shape = "\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"items\":{\"$ref\":\"#/$defs/time_of_day\"}",
      .kind = FIELD_PART,
      .part = read_hours },
    { .key = "calendar",
      .text = "Name of a calendar of the schedule.",
      .shape = "\"$ref\":\"#/$defs/name\",\"minLength\":1,\"maxLength\":31",
      .kind = FIELD_PART,
      .part = read_calendar_name },
};
TABLE(when, "when");

static enum rialto_status read_calendar_name(struct reader *reader, const cJSON *value, void *target)
{
    static const struct field name = { .kind = FIELD_NAME, .low = 1, .high = RIALTO_NAME_MAX - 1 };
    struct factor_target *factor = (struct factor_target *)((char *)target - offsetof(struct factor_target, row.when));
    return value_read(reader, &name, value, factor->calendar);
}

static enum rialto_status read_when(struct reader *reader, const cJSON *value, void *target)
{
    struct model_window *window = target;
    enum rialto_status status = fields_read(reader, &when, value, window);
    if (status == RIALTO_OK && window->until_day != 0 && window->until_day <= window->from_day)
        return reader_refuse(reader, "\"until\" is the first day after it and must come later than \"from\"");
    window->limited = true;
    return status;
}

static const struct field factor_fields[] = {
    { .key = "name",
      .text = "Appears in explanations.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = 19,
      .offset = offsetof(struct model_factor, name) },
    { .key = "input",
      .text = "What a curve or steps look at.",
      .shape = "\"enum\":[@INPUTS@]",
      .kind = FIELD_PART,
      .offset = offsetof(struct model_factor, input),
      .part = read_input },
    { .key = "curve",
      .text = "[x, multiplier] points, straight in between, flat outside.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_factor_line },
    { .key = "steps",
      .text = "[x, multiplier] points: from x on, this multiplier.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_factor_steps },
    { .key = "categories",
      .text = "Multiplier by category pattern; the most precise row counts.",
      .shape = "\"type\":\"object\",\"minProperties\":1,\"maxProperties\":24,\"propertyNames\":{\"minLength\":1,"
               "\"maxLength\":63},\"additionalProperties\":{\"$ref\":\"#/$defs/multiplier\"}",
      .kind = FIELD_PART,
      .part = read_factor_categories },
    { .key = "zones",
      .text = "Multiplier by zone; the nearest row around the cell counts.",
      .shape = "\"$ref\":\"#/$defs/zones\"",
      .kind = FIELD_PART,
      .part = read_factor_zones },
    { .key = "cases",
      .text = "Multiplier by condition; the first that holds counts.",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":10,\"items\":{\"$ref\":\"#/$defs/case\"}",
      .kind = FIELD_PART,
      .part = read_factor_cases },
    { .key = "else",
      .text = "Multiplier when no case holds.",
      .preset = "1",
      .kind = FIELD_MICRO,
      .low = FACTOR_MICRO_MIN,
      .high = FACTOR_MICRO_MAX,
      .offset = offsetof(struct model_factor, point[0].y_micro) },
    { .key = "expression",
      .text = "A formula over inputs, such as \"1 + 0.01 * (temperature_c - 20)\".",
      .shape = "\"$ref\":\"#/$defs/expression\"",
      .kind = FIELD_PART,
      .part = read_factor_expression },
    { .key = "markup",
      .text = "The price that earns most at the product's cost.",
      .shape = "\"$ref\":\"#/$defs/markup\"",
      .kind = FIELD_PART,
      .part = read_factor_markup },
    { .key = "clearing",
      .text = "The price that earns most from perishable stock.",
      .shape = "\"$ref\":\"#/$defs/clearing\"",
      .kind = FIELD_PART,
      .part = read_factor_clearing },
    { .key = "when",
      .text = "When the factor speaks; otherwise it is 1.",
      .shape = "\"$ref\":\"#/$defs/when\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model_factor, when),
      .part = read_when },
    { .key = "missing",
      .text = "Multiplier when something that it needs is missing or too old.",
      .preset = "1",
      .kind = FIELD_MICRO,
      .low = FACTOR_MICRO_MIN,
      .high = FACTOR_MICRO_MAX,
      .offset = offsetof(struct model_factor, missing_micro) },
};
TABLE_WITH(factor, "factor",
           "\"oneOf\":[{\"required\":[\"curve\",\"input\"]},{\"required\":[\"steps\",\"input\"]},{\"required\":["
           "\"categories\"]},{\"required\":[\"zones\"]},{\"required\":[\"cases\"]},{\"required\":[\"expression\"]},{"
           "\"required\":[\"markup\"]},{\"required\":[\"clearing\"]}],\"dependentRequired\":{\"else\":[\"cases\"]}");

static uint64_t reads_of(const struct model_factor *row)
{
    uint64_t reads = row->program.reads;
    if (row->form == FACTOR_CURVE || row->form == FACTOR_STEPS)
        reads |= UINT64_C(1) << row->input;
    if (row->form == FACTOR_MARKUP)
        reads |= UINT64_C(1) << INPUT_cost;
    if (row->form == FACTOR_CLEARING)
        reads |= UINT64_C(1) << INPUT_available |
                 UINT64_C(1) << (row->clearing_until_min < 0 ? INPUT_hours_to_expiry : INPUT_hour);
    return reads;
}

/* What the keys of one factor say together. */
static enum rialto_status check_factor(struct reader *reader, const cJSON *value, struct model_factor *row)
{
    bool curve = row->form == FACTOR_CURVE || row->form == FACTOR_STEPS;
    if (row->form == FACTOR_FORM_COUNT)
        return reader_refuse(reader,
                             "a factor needs one of curve, steps, categories, zones, cases, expression, markup, "
                             "clearing");
    if (curve != (row->input != INPUT_COUNT))
        return reader_refuse(reader, "%s",
                             curve ? "\"input\" is missing: what does the curve look at?"
                                   : "\"input\" belongs to \"curve\" and \"steps\"");
    if (row->form != FACTOR_CASES && cJSON_GetObjectItemCaseSensitive(value, "else") != NULL)
        return reader_refuse(reader, "\"else\" belongs to \"cases\"");
    if (row->form == FACTOR_CASES && !close_cases(row))
        return reader_refuse(reader, "these cases are too long together: at most %u steps", EXPRESSION_STEPS_MAX);
    row->reads = reads_of(row);
    return RIALTO_OK;
}

static enum rialto_status name_calendar(struct reader *reader, const struct model *model, struct factor_target *target)
{
    for (uint32_t i = 0; i < model->calendar_count && target->calendar[0] != '\0'; i++)
        if (strcmp(model->calendar[i].name, target->calendar) == 0) {
            target->row.when.calendar = (uint8_t)(i + 1);
            return RIALTO_OK;
        }
    if (target->calendar[0] == '\0')
        return RIALTO_OK;
    return reader_refuse(reader, "the schedule has no calendar \"%s\"; it stands before \"factors\"", target->calendar);
}

static enum rialto_status read_factor(struct reader *reader, const cJSON *value, struct model *model)
{
    struct factor_target target = { .row = { .form = FACTOR_FORM_COUNT,
                                             .input = INPUT_COUNT,
                                             .missing_micro = MICRO,
                                             .point = { { .y_micro = MICRO } } } };
    enum rialto_status status = fields_read(reader, &factor, value, &target.row);
    if (status == RIALTO_OK)
        status = check_factor(reader, value, &target.row);
    if (status == RIALTO_OK)
        status = name_calendar(reader, model, &target);
    for (uint32_t i = 0; i < model->factor_count; i++)
        if (target.row.name[0] != '\0' && strcmp(model->factor[i].name, target.row.name) == 0)
            status = reader_refuse(reader, "another factor has the name \"%s\" already", target.row.name);
    model->factor[model->factor_count++] = target.row;
    return status;
}

static enum rialto_status read_factors(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = check_list(reader, value, 0, MODEL_FACTORS_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_factor(reader, child, target) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

/* ---- schedule --------------------------------------------------------------------------------------------- */

struct schedule_target { /* local days become moments when the time zone is known */
    struct model *model;
    int32_t from_day, until_day;
};

static enum rialto_status read_time_zone(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = ((struct schedule_target *)target)->model;
    const char *reason;
    if (!local_clock_load(cJSON_IsString(value) ? value->valuestring : "", &model->clock, &reason))
        return reader_refuse(reader, "%s", reason);
    return RIALTO_OK;
}

static enum rialto_status read_calendar_days(struct reader *reader, const cJSON *value, struct model_calendar *calendar)
{
    enum rialto_status status = check_list(reader, value, 1, MODEL_CALENDAR_DAYS_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_date(reader, child, &calendar->day[i]) != RIALTO_OK)
            status = RIALTO_REFUSED;
        else if (status == RIALTO_OK && i > 0 && calendar->day[i] <= calendar->day[i - 1])
            status = reader_refuse(reader, "the days of a calendar stand in their order");
        reader_leave(reader, back);
        calendar->count = i + 1;
    }
    return status;
}

static enum rialto_status read_calendar(struct reader *reader, const cJSON *child, struct model *model)
{
    struct model_calendar *calendar = &model->calendar[model->calendar_count];
    size_t length = strlen(child->string);
    if (length == 0 || length >= RIALTO_NAME_MAX)
        return reader_refuse(reader, "this name must have 1 to %u bytes", RIALTO_NAME_MAX - 1);
    memcpy(calendar->name, child->string, length + 1);
    model->calendar_count++;
    return read_calendar_days(reader, child, calendar);
}

static enum rialto_status read_calendars(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = ((struct schedule_target *)target)->model;
    if (!cJSON_IsObject(value) || cJSON_GetArraySize(value) > (int)MODEL_CALENDARS_MAX)
        return reader_refuse(reader, "expected at most %u calendars such as {\"holidays\": [\"2026-12-25\"]}",
                             MODEL_CALENDARS_MAX);
    enum rialto_status status = RIALTO_OK;
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        size_t back = reader_enter(reader, child->string);
        if (read_calendar(reader, child, model) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

static const struct field schedule_fields[] = {
    { .key = "time_zone",
      .text = "IANA name such as \"Europe/Berlin\", for dates, hours and weekdays of this model. Left out: local time "
              "of each zone; dates are then UTC.",
      .shape = "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$\",\"maxLength\":47",
      .kind = FIELD_PART,
      .part = read_time_zone },
    { .key = "from",
      .text = "First day in effect.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct schedule_target, from_day),
      .part = read_date },
    { .key = "until",
      .text = "First day no longer in effect.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct schedule_target, until_day),
      .part = read_date },
    { .key = "calendars",
      .text = "Named lists of days, for \"when\".",
      .shape = "\"type\":\"object\",\"maxProperties\":4,\"propertyNames\":{\"minLength\":1,\"maxLength\":31},"
               "\"additionalProperties\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,\"uniqueItems\":true,"
               "\"items\":{\"$ref\":\"#/$defs/date\"}}",
      .kind = FIELD_PART,
      .part = read_calendars },
};
TABLE(schedule, "schedule");

static enum rialto_status read_schedule(struct reader *reader, const cJSON *value, void *target)
{
    struct schedule_target schedule_target = { .model = target, .from_day = INT32_MIN, .until_day = INT32_MIN };
    struct model *model = target;
    enum rialto_status status = fields_read(reader, &schedule, value, &schedule_target);
    if (status != RIALTO_OK)
        return status;
    if (schedule_target.from_day != INT32_MIN)
        model->from_ms = local_clock_utc_ms(&model->clock, (int64_t)schedule_target.from_day * DAY * 1000);
    if (schedule_target.until_day != INT32_MIN)
        model->until_ms = local_clock_utc_ms(&model->clock, (int64_t)schedule_target.until_day * DAY * 1000);
    if (model->until_ms <= model->from_ms)
        return reader_refuse(reader, "\"until\" is the first day after it and must come later than \"from\"");
    return RIALTO_OK;
}

static enum rialto_status read_origin(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = target;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2)
        return reader_refuse(reader, "expected latitude and longitude, such as [52.52, 13.405]");
    model->has_origin = true;
    enum rialto_status status =
        read_number_at(reader, 0, -90 * MICRO, 90 * MICRO, value->child, &model->origin_micro[0]);
    if (read_number_at(reader, 1, -180 * MICRO, 180 * MICRO, value->child->next, &model->origin_micro[1]) != RIALTO_OK)
        status = RIALTO_REFUSED;
    return status;
}

/* ---- personal terms ------------------------------------------------------------------------------------- */

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

static enum rialto_status read_personal_words(struct reader *reader, const cJSON *value,
                                              struct model_personal *personal, size_t high,
                                              const char *(*check)(const char *), const char *example)
{
    struct word_table table = { .count = &personal->point_count,
                                .word = personal->word,
                                .point = personal->point,
                                .high = high,
                                .check = check,
                                .example = example };
    return read_words(reader, value, &table);
}

static enum rialto_status read_tier(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_TIER, RIALTO_KIND_PROFILE);
    return status != RIALTO_OK ? status
                               : read_personal_words(reader, value, target, RIALTO_NAME_MAX - 1, any_word, "gold");
}

static enum rialto_status read_segment(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_SEGMENT, RIALTO_KIND_PROFILE);
    return status != RIALTO_OK ? status
                               : read_personal_words(reader, value, target, RIALTO_NAME_MAX - 1, any_word, "gold");
}

static enum rialto_status read_zone(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = claim_kind(reader, target, PERSONAL_ZONE, RIALTO_KIND_LOCATION);
    return status != RIALTO_OK ? status
                               : read_personal_words(reader, value, target, RIALTO_ID_MAX - 1, zone_fault, "c1/s25");
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
      .text = "Appears in explanations.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = 19,
      .offset = offsetof(struct model_personal, name) },
    { .key = "tier",
      .text = "Multiplier by loyalty tier. Consent: profile.",
      .shape = "\"$ref\":\"#/$defs/words\"",
      .kind = FIELD_PART,
      .part = read_tier },
    { .key = "segment",
      .text = "Multiplier by segment; the most favourable one counts. Consent: profile.",
      .shape = "\"$ref\":\"#/$defs/words\"",
      .kind = FIELD_PART,
      .part = read_segment },
    { .key = "zone",
      .text = "Multiplier by the customer's own zone or the nearest around it. Consent: location.",
      .shape = "\"$ref\":\"#/$defs/zones\"",
      .kind = FIELD_PART,
      .part = read_zone },
    { .key = "spend",
      .text = "Multiplier by money spent, straight between points. Consent: purchases.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_spend },
    { .key = "spend_steps",
      .text = "The same in steps.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_spend_steps },
};
TABLE_WITH(personal, "personal",
           "\"oneOf\":[{\"required\":[\"tier\"]},{\"required\":[\"segment\"]},{\"required\":[\"zone\"]},{\"required\":["
           "\"spend\"]},{\"required\":[\"spend_steps\"]}]");

static enum rialto_status read_personal(struct reader *reader, const cJSON *value, struct model *model)
{
    struct model_personal *row = &model->personal[model->personal_count];
    enum rialto_status status = fields_read(reader, &personal, value, row);
    if (status == RIALTO_OK && row->consent == 0)
        status =
            reader_refuse(reader, "a personal row needs \"tier\", \"segment\", \"zone\", \"spend\" or \"spend_steps\"");
    for (uint32_t i = 0; i < model->personal_count; i++)
        if (row->name[0] != '\0' && strcmp(model->personal[i].name, row->name) == 0)
            status = reader_refuse(reader, "another personal row has the name \"%s\" already", row->name);
    model->personal_count++;
    return status;
}

static enum rialto_status read_personals(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = check_list(reader, value, 0, MODEL_PERSONAL_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_personal(reader, child, target) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

/* ---- guardrails ------------------------------------------------------------------------------------------ */

static const struct field largest_step_fields[] = {
    { .key = "of",
      .text = "Part of the price.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = MICRO / 1000,
      .high = MICRO,
      .offset = offsetof(struct model_guardrails, step_micro) },
    { .key = "per",
      .text = "At most one change in this time. 0s to 30d.",
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
      .text = "Part of the price.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = 0,
      .high = MICRO / 2,
      .offset = offsetof(struct model_guardrails, dead_band_micro) },
    { .key = "settle",
      .text = "0s to 30d.",
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

static const struct field largest_rise_fields[] = {
    { .key = "of",
      .text = "Part of the price.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = MICRO / 1000,
      .high = 10 * MICRO,
      .offset = offsetof(struct model_guardrails, rise_micro) },
    { .key = "per",
      .text = "Windows of this length since 1970. 1m to 30d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 60,
      .high = 30 * DAY,
      .offset = offsetof(struct model_guardrails, rise_window_s) },
};
TABLE(largest_rise, "largest_rise");

static enum rialto_status read_largest_rise(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &largest_rise, value, target);
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
      .text = "No price below this part of list.",
      .preset = "0.5",
      .kind = FIELD_MICRO,
      .low = MICRO / 100,
      .high = MICRO,
      .offset = offsetof(struct model_guardrails, floor_micro) },
    { .key = "ceiling",
      .text = "No price above this part of list.",
      .preset = "1.5",
      .kind = FIELD_MICRO,
      .low = MICRO,
      .high = 10 * MICRO,
      .offset = offsetof(struct model_guardrails, ceiling_micro) },
    { .key = "margin",
      .text = "No price below cost x (1 + margin), where a cost is known. Left out: cost is not looked at.",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 10 * MICRO,
      .offset = offsetof(struct model_guardrails, margin_micro) },
    { .key = "largest_step",
      .text = "Largest change at once, as a part of the price. Left out: any.",
      .shape = "\"$ref\":\"#/$defs/largest_step\"",
      .kind = FIELD_PART,
      .part = read_largest_step },
    { .key = "dead_band",
      .text = "Smaller changes wait until the price has rested for so long. Left out: none.",
      .shape = "\"$ref\":\"#/$defs/dead_band\"",
      .kind = FIELD_PART,
      .part = read_dead_band },
    { .key = "dwell",
      .text = "A price rests at least so long before it changes. 0s to 30d.",
      .preset = "\"0s\"",
      .kind = FIELD_SPAN,
      .low = 0,
      .high = 30 * DAY,
      .offset = offsetof(struct model_guardrails, dwell_s) },
    { .key = "largest_rise",
      .text = "Largest rise over the price at the beginning of each window. Left out: any.",
      .shape = "\"$ref\":\"#/$defs/largest_rise\"",
      .kind = FIELD_PART,
      .part = read_largest_rise },
    { .key = "personal",
      .text = "Least and largest personal multiplier.",
      .shape = "\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"prefixItems\":[{\"type\":\"number\",\"minimum\":0.1,"
               "\"maximum\":1},{\"type\":\"number\",\"minimum\":1,\"maximum\":2}]",
      .preset = "[0.8, 1]",
      .kind = FIELD_PART,
      .part = read_personal_bounds },
    { .key = "spread",
      .text = "The lowest personal amount is at least (1 - spread) x the highest. Left out: any.",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 9 * MICRO / 10,
      .offset = offsetof(struct model_guardrails, spread_micro) },
    { .key = "never_above_baseline",
      .text = "Personal amounts never exceed what anybody pays.",
      .preset = "true",
      .kind = FIELD_FLAG,
      .offset = offsetof(struct model_guardrails, never_above) },
};
TABLE(guardrails, "guardrails");

static enum rialto_status read_guardrails(struct reader *reader, const cJSON *value, void *target)
{
    const struct model_guardrails *guard = target;
    enum rialto_status status = fields_read(reader, &guardrails, value, target);
    int64_t high = guard->never_above ? MICRO : guard->personal_high_micro;
    if (status == RIALTO_OK && guard->spread_micro >= 0 && high * (MICRO - guard->spread_micro) > MICRO * MICRO)
        return reader_refuse(reader,
                             "\"spread\" leaves no room for the baseline below the largest personal multiplier");
    return status;
}

/* ---- rounding and ages ----------------------------------------------------------------------------------- */

static const struct field rounding_fields[] = {
    { .key = "step",
      .text = "Distance between allowed amounts, in minor units.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = 1000000,
      .offset = offsetof(struct model, ending_step) },
    { .key = "less",
      .text = "Smaller than step.",
      .preset = "0",
      .kind = FIELD_COUNT,
      .low = 0,
      .high = 999999,
      .offset = offsetof(struct model, ending_less) },
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
      .text = "How old it may be.",
      .preset = "\"3h\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, weather_age_s) },
    { .key = "competitor",
      .text = "How old it may be.",
      .preset = "\"1d\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, competitor_age_s) },
    { .key = "supply",
      .text = "How old it may be.",
      .preset = "\"7d\"",
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
      .text = "Name of the model, unlike that of any other.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, name) },
    { .key = "version",
      .text = "Shown with every price. A date does well.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, version) },
    { .key = "about",
      .text = "One sentence for people.",
      .kind = FIELD_TEXT,
      .low = 0,
      .high = 255,
      .offset = offsetof(struct model, about) },
    { .key = "scope",
      .text = "",
      .shape = "\"$ref\":\"#/$defs/scope\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_scope },
    { .key = "schedule",
      .text = "Time zone, dates between which the model is in effect, calendars.",
      .shape = "\"$ref\":\"#/$defs/schedule\"",
      .kind = FIELD_PART,
      .part = read_schedule },
    { .key = "competitors",
      .text = "True: factors may look at prices of competitors.",
      .preset = "false",
      .kind = FIELD_FLAG,
      .offset = offsetof(struct model, competitors) },
    { .key = "origin",
      .text = "[latitude, longitude] from which distance_km counts.",
      .shape = "\"type\":\"array\",\"minItems\":2,\"maxItems\":2,\"prefixItems\":[{\"type\":\"number\",\"minimum\":-90,"
               "\"maximum\":90},{\"type\":\"number\",\"minimum\":-180,\"maximum\":180}]",
      .kind = FIELD_PART,
      .part = read_origin },
    { .key = "zone_levels",
      .text = "Prices may differ down to this level of zones; 0 = one price for the world.",
      .preset = "0",
      .kind = FIELD_COUNT,
      .low = 0,
      .high = RIALTO_ZONE_LEVELS - 1,
      .offset = offsetof(struct model, zone_depth_max) },
    { .key = "group",
      .text = "Price group: products that share personal terms. Default: the model's name.",
      .kind = FIELD_NAME,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct model, group_name) },
    { .key = "demand",
      .text = "How demand is measured.",
      .shape = "\"$ref\":\"#/$defs/demand\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model, demand),
      .part = read_demand },
    { .key = "factors",
      .text = "Multiplied onto the list price in this order.",
      .shape = "\"type\":\"array\",\"maxItems\":12,\"items\":{\"$ref\":\"#/$defs/factor\"}",
      .kind = FIELD_PART,
      .required = true,
      .part = read_factors },
    { .key = "personal",
      .text = "Multiplied for one customer, each behind its consent.",
      .shape = "\"type\":\"array\",\"maxItems\":8,\"items\":{\"$ref\":\"#/$defs/personal\"}",
      .kind = FIELD_PART,
      .part = read_personals },
    { .key = "guardrails",
      .text = "What no price may do.",
      .shape = "\"$ref\":\"#/$defs/guardrails\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model, guard),
      .part = read_guardrails },
    { .key = "rounding",
      .text = "Prices are k x step - less, in minor units.",
      .shape = "\"$ref\":\"#/$defs/rounding\"",
      .kind = FIELD_PART,
      .part = read_rounding },
    { .key = "stale_limit",
      .text = "A price that has not been confirmed for so long falls back to list. 1s to 30d.",
      .preset = "\"1h\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 30 * DAY,
      .offset = offsetof(struct model, stale_limit_s) },
    { .key = "age_limits",
      .text = "How old an observation without its own end may be. 1s to 365d.",
      .shape = "\"$ref\":\"#/$defs/age_limits\"",
      .kind = FIELD_PART,
      .part = read_age_limits },
};
TABLE(model_file, "model");

const struct field_table *const model_tables[] = {
    &model_file, &scope,    &schedule,   &demand,       &weights,   &factor,       &case_,    &markup,     &clearing,
    &when,       &personal, &guardrails, &largest_step, &dead_band, &largest_rise, &rounding, &age_limits,
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
                   .spread_micro = -1,
                   .personal_low_micro = MICRO * 8 / 10,
                   .personal_high_micro = MICRO,
                   .never_above = true },
        .from_ms = INT64_MIN,
        .until_ms = INT64_MAX,
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

/* Competitors move a price only where somebody decided that they may. */
static enum rialto_status check_competitors(struct reader *reader, const struct model *model)
{
    const uint64_t both = UINT64_C(1) << INPUT_competitor_ratio | UINT64_C(1) << INPUT_competitor_median;
    enum rialto_status status = RIALTO_OK;
    size_t back = reader_enter(reader, "factors");
    for (uint32_t i = 0; i < model->factor_count && !model->competitors; i++) {
        if ((model->factor[i].reads & both) == 0)
            continue;
        size_t factors = reader_enter_index(reader, i);
        status = reader_refuse(reader,
                               "inputs about competitors are off; \"competitors\": true in the file switches them on");
        reader_leave(reader, factors);
    }
    reader_leave(reader, back);
    return status;
}

enum rialto_status model_parse_all(const char *text, size_t bytes, const char *file, struct model *ret,
                                   struct fault_list *faults)
{
    struct reader reader = { .text = text, .bytes = bytes, .file = file != NULL ? file : "", .faults = faults };
    struct fault broken = { 0 };
    copy_file_name(broken.file, file);
    set_defaults(ret);
    cJSON *tree = json_parse(text, bytes, JSON_COMMENTS, &broken);
    if (tree == NULL)
        return fault_add(faults, &broken);
    enum rialto_status status = fields_read(&reader, &model_file, tree, ret);
    cJSON_Delete(tree);
    if (status == RIALTO_OK)
        status = check_competitors(&reader, ret);
    if (status != RIALTO_OK)
        return status;
    if (ret->group_name[0] == '\0')
        memcpy(ret->group_name, ret->name, sizeof ret->group_name);
    for (uint32_t i = 0; i < ret->currency_count; i++)
        ret->currency_number[i] = currency_find(ret->currency[i])->number;
    for (uint32_t i = 0; i < ret->factor_count; i++)
        ret->reads |= ret->factor[i].reads;
    ret->moves = model_moves(ret);
    ret->reads_clock = model_reads_clock(ret);
    copy_file_name(ret->file, file);
    ret->text_hash = hash_text(text, bytes);
    return RIALTO_OK;
}

enum rialto_status model_parse(const char *text, size_t bytes, const char *file, struct model *ret, struct fault *fault)
{
    struct fault_list faults;
    faults.count = faults.dropped = 0;
    enum rialto_status status = model_parse_all(text, bytes, file, ret, &faults);
    if (status != RIALTO_OK)
        *fault = faults.fault[0];
    return status;
}
