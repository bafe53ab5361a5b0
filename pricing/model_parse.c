/* model_parse.c - a model file: its keys, what they are when left out, and what must agree between them.
 *
 *   text --json_parse (comments allowed)--> tree --fields_read by tables--> struct model --check_*--> accepted
 *
 * All faults are found in one go: a broken JSON text is one; else they come in the order of the file (attributes first), at the end of each object what
 * is missing and what does not agree.
 * Not here: what models must agree about among themselves (model_set.c). */
#include "pricing/model_parse.h"
#include "pricing/money.h"

#include <stdio.h>
#include <string.h>

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
      .shape = POSITION_SHAPE,
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
    { .key = "affinity",
      .text = "How affinity is measured, where personal rows read it. All models that do say the same of half_life and weights.",
      .shape = "\"$ref\":\"#/$defs/affinity\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct model, affinity),
      .part = read_affinity_section },
    { .key = "attributes",
      .text = "Attributes of products and zones that factors look at.",
      .shape = "\"type\":\"object\",\"maxProperties\":8,\"propertyNames\":{\"$ref\":\"#/$defs/attribute_name\"},"
               "\"additionalProperties\":{\"$ref\":\"#/$defs/attribute\"}",
      .kind = FIELD_PART,
      .part = read_attributes },
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
    { .key = "offers",
      .text = "Personal offers that the model makes by itself, each behind its consent and within its budget.",
      .shape = "\"type\":\"array\",\"maxItems\":8,\"items\":{\"$ref\":\"#/$defs/offer\"}",
      .kind = FIELD_PART,
      .part = read_offers },
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
static TABLE(model_file, "model");

const struct field_table *const model_tables[] = {
    &model_table_model_file,   &model_table_scope,        &model_table_schedule,     &model_table_demand,
    &model_table_weights,      &model_table_factor,       &model_table_case_,        &model_table_markup,
    &model_table_clearing,     &model_table_when,         &model_table_personal,     &model_table_guardrails,
    &model_table_largest_step, &model_table_dead_band,    &model_table_largest_rise, &model_table_rounding,
    &model_table_age_limits,   &model_table_attribute,    &model_table_offer,        &model_table_trigger,
    &model_table_discount,     &model_table_per_customer, &model_table_budget,       &model_table_affinity,
    &model_table_affinity_weights,
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
        .affinity = { .half_life_s = 30 * DAY,
                      .prior_micro = 3 * MICRO,
                      .weight_micro = { [AFFINITY_VIEW] = MICRO / 10,
                                        [AFFINITY_CART] = MICRO / 2,
                                        [AFFINITY_ORDER] = MICRO } },
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
        .affinity_age_s = 180 * DAY,
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

/* Factors are checked by what the model declares, wherever in the file it does: by its attributes and calendars. */
static void to_front(cJSON *tree, const char *key)
{
    cJSON *member = cJSON_DetachItemFromObjectCaseSensitive(tree, key);
    if (member != NULL && !cJSON_InsertItemInArray(tree, 0, member))
        cJSON_Delete(member);
}

static void zone_factors_find(struct model *model)
{
    uint64_t zone = model_zone_looks(model);
    for (uint32_t i = 0; i < model->factor_count; i++) {
        bool zoned = (model->factor_looks[i] & ~zone) == 0;
        model->zone_factors |= (uint32_t)zoned << i;
        model->zone_mask[i] = zoned ? -1 : 0;
        model->cell_looks |= zoned ? 0 : model->factor_looks[i];
    }
}

enum rialto_status model_parse_all(const char *text, size_t bytes, const char *file, struct model *ret,
                                   struct fault_list *faults)
{
    struct reader reader = { .text = text, .bytes = bytes, .file = file != NULL ? file : "", .faults = faults };
    struct fault broken = { 0 };
    fault_path(broken.file, reader.file);
    set_defaults(ret);
    cJSON *tree = json_parse(text, bytes, JSON_COMMENTS, &broken);
    if (tree == NULL)
        return fault_add(faults, &broken);
    to_front(tree, "attributes");
    to_front(tree, "schedule");
    enum rialto_status status = fields_read(&reader, &model_table_model_file, tree, ret);
    cJSON_Delete(tree);
    if (check_competitors(&reader, ret) != RIALTO_OK) /* beside other faults, too */
        status = RIALTO_REFUSED;
    if (status == RIALTO_OK)
        status = offers_finish(&reader, ret);
    if (status != RIALTO_OK)
        return status;
    if (ret->group_name[0] == '\0')
        memcpy(ret->group_name, ret->name, sizeof ret->group_name);
    for (uint32_t i = 0; i < ret->currency_count; i++)
        ret->currency_number[i] = currency_find(ret->currency[i])->number;
    for (uint32_t i = 0; i < ret->factor_count; i++) {
        ret->reads |= ret->factor[i].reads;
        ret->factor_looks[i] = model_factor_looks(&ret->factor[i]);
    }
    zone_factors_find(ret);
    ret->moves = model_moves(ret);
    ret->reads_clock = model_reads_clock(ret);
    fault_path(ret->file, reader.file);
    ret->text_hash = hash_text(text, bytes);
    return RIALTO_OK;
}

enum rialto_status model_parse(const char *text, size_t bytes, const char *file, struct model *ret, struct fault *fault)
{
    struct fault_list faults;
    faults.count = faults.dropped = 0;
    faults.is_known = NULL;
    enum rialto_status status = model_parse_all(text, bytes, file, ret, &faults);
    if (status != RIALTO_OK)
        *fault = faults.fault[0];
    return status;
}
