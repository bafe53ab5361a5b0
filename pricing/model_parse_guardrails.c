/* model_parse_guardrails.c - what no price may do; which amounts look right; how old observations may be. */
#include "pricing/model_parse.h"

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
    return fields_read(reader, &model_table_largest_step, value, target);
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
    return fields_read(reader, &model_table_dead_band, value, target);
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
    return fields_read(reader, &model_table_largest_rise, value, target);
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

enum rialto_status read_guardrails(struct reader *reader, const cJSON *value, void *target)
{
    const struct model_guardrails *guard = target;
    enum rialto_status status = fields_read(reader, &model_table_guardrails, value, target);
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

enum rialto_status read_rounding(struct reader *reader, const cJSON *value, void *target)
{
    const struct model *model = target;
    enum rialto_status status = fields_read(reader, &model_table_rounding, value, target);
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
    { .key = "affinity",
      .text = "How long ago the newest event may be.",
      .preset = "\"180d\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct model, affinity_age_s) },
};
TABLE(age_limits, "age_limits");

enum rialto_status read_age_limits(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_age_limits, value, target);
}
