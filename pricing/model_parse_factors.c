/* model_parse_factors.c - factors: each kind, what it reads, when it speaks. */
#include "pricing/model_parse.h"
#include "pricing/nano.h"
#include "pricing/nearest.h"
#include "pricing/scope.h"

#include <string.h>

/* What a factor is read into: the calendar that it names is looked up when the whole file is known. */
struct factor_target {
    struct model_factor row; /* first: its readers find the rest from it */
    char calendar[RIALTO_NAME_MAX];
    const struct model_attributes *own; /* inputs that the model declares */
};

static const struct model_attributes *own_of(const struct model_factor *row)
{
    return ((const struct factor_target *)row)->own;
}

static enum rialto_status read_input(struct reader *reader, const cJSON *value, void *target)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    struct model_factor *factor = target;
    factor->input = model_input_find(own_of(factor), text);
    if (factor->input != INPUT_NONE)
        return RIALTO_OK;
    const char *names[INPUT_SLOTS];
    size_t count = model_input_names(own_of(factor), names);
    const char *near = nearest_name(text, count, names);
    if (near != NULL)
        return reader_refuse(reader, "no such input; did you mean \"%s\"?", near);
    if (strncmp(text, ATTRIBUTE_OF_PRODUCT, strlen(ATTRIBUTE_OF_PRODUCT)) == 0 ||
        strncmp(text, ATTRIBUTE_OF_ZONE, strlen(ATTRIBUTE_OF_ZONE)) == 0)
        return reader_refuse(reader, "not declared: \"attributes\" says what it is");
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
                                  const struct model_attributes *own, struct expression *ret)
{
    struct expression_fault fault;
    if (!cJSON_IsString(value))
        return reader_refuse(reader, "expected an expression in quotes, such as \"1 + 0.01 * (temperature_c - 20)\"");
    if (strlen(value->valuestring) > EXPRESSION_BYTES_MAX)
        return reader_refuse(reader, "expected an expression of at most %u bytes", EXPRESSION_BYTES_MAX);
    if (!expression_compile(value->valuestring, want, own, ret, &fault))
        return reader_refuse_at(reader, fault.at, "%s", fault.reason);
    return RIALTO_OK;
}

static enum rialto_status read_factor_expression(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = target;
    enum rialto_status status = claim_form(reader, factor, FACTOR_EXPRESSION);
    return status != RIALTO_OK ? status : compile(reader, value, WANT_RATIO, own_of(factor), &factor->program);
}

/* ---- cases: "if" and "then" become one expression; "else" ends it */

struct case_target {
    struct model_factor *factor;
    int64_t then_micro;
};

static enum rialto_status read_case_if(struct reader *reader, const cJSON *value, void *target)
{
    struct model_factor *factor = ((struct case_target *)target)->factor;
    return compile(reader, value, WANT_CONDITION, own_of(factor), &factor->program);
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
const struct field_table model_table_case_ = { "case", case_fields, sizeof case_fields / sizeof case_fields[0], NULL };

static enum rialto_status read_case(struct reader *reader, const cJSON *value, struct model_factor *factor)
{
    struct case_target target = { .factor = factor };
    enum rialto_status status = fields_read(reader, &model_table_case_, value, &target);
    if (status == RIALTO_OK && !expression_number(&factor->program, nano_of_micro(target.then_micro)))
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
        if (read_case(reader, child, factor) != RIALTO_OK)
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
        status = fields_read(reader, &model_table_markup, value, &m);
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
        return compile(reader, value, WANT_UNITS_PER_DAY, own_of(factor), &factor->program);
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
        status = fields_read(reader, &model_table_clearing, value, &clear);
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
    enum rialto_status status = fields_read(reader, &model_table_when, value, window);
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
      .shape = "\"anyOf\":[{\"enum\":[@INPUTS@]},{\"$ref\":\"#/$defs/attribute_name\"}]",
      .kind = FIELD_PART,
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
    if (curve != (row->input != INPUT_NONE))
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
    const char *names[MODEL_CALENDARS_MAX];
    for (uint32_t i = 0; i < model->calendar_count; i++)
        names[i] = model->calendar[i].name;
    const char *near = nearest_name(target->calendar, model->calendar_count, names);
    if (near == NULL)
        return reader_refuse(reader, "the schedule has no calendar \"%s\"", target->calendar);
    return reader_refuse(reader, "the schedule has no calendar \"%s\"; did you mean \"%s\"?", target->calendar, near);
}

static enum rialto_status read_factor(struct reader *reader, const cJSON *value, void *to)
{
    struct model *model = to;
    struct factor_target target = { .row = { .form = FACTOR_FORM_COUNT,
                                             .input = INPUT_NONE,
                                             .missing_micro = MICRO,
                                             .point = { { .y_micro = MICRO } } },
                                    .own = &model->attributes };
    enum rialto_status status = fields_read(reader, &model_table_factor, value, &target.row);
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

enum rialto_status read_factors(struct reader *reader, const cJSON *value, void *target)
{
    return read_each(reader, value, 0, MODEL_FACTORS_MAX, read_factor, target);
}
