/* model_parse_personal.c - what the permitted data of a customer do. */
#include "pricing/model_parse.h"

#include <string.h>

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

/* A row whose multiplier follows points: what its x may be, in micro, and what is said of any other. */
struct curve_row {
    enum personal_kind kind;
    uint8_t consent;
    int64_t x_least, x_most;
    const char *why;
};
static const struct curve_row SPEND = { PERSONAL_SPEND, RIALTO_KIND_PURCHASES, INT64_MIN, INT64_MAX, "" };
static const struct curve_row MONTH = { PERSONAL_MONTH, RIALTO_KIND_PURCHASES, INT64_MIN, INT64_MAX, "" };
static const struct curve_row AFFINITY = { PERSONAL_AFFINITY, RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES, 0, MICRO,
                                           "affinity lies between 0 and 1: so must every x" };
static const struct curve_row DISTANCE = { PERSONAL_DISTANCE, RIALTO_KIND_LOCATION, 0, INT64_MAX,
                                           "nothing is nearer than 0 km: no x may be below that" };

static enum rialto_status read_curve_row(struct reader *reader, const cJSON *value, struct model_personal *personal,
                                         const struct curve_row *row, enum curve_kind curve)
{
    enum rialto_status status = claim_kind(reader, personal, row->kind, row->consent);
    struct curve_target target = { .kind = &personal->curve,
                                   .count = &personal->point_count,
                                   .point = personal->point };
    if (status == RIALTO_OK)
        status = read_points(reader, value, curve, target);
    for (uint32_t i = 0; status == RIALTO_OK && i < personal->point_count; i++)
        if (personal->point[i].x_micro < row->x_least || personal->point[i].x_micro > row->x_most)
            status = reader_refuse(reader, "%s", row->why);
    return status;
}

static enum rialto_status read_spend(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &SPEND, CURVE_LINEAR);
}

static enum rialto_status read_spend_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &SPEND, CURVE_STEPS);
}

static enum rialto_status read_month_spend(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &MONTH, CURVE_LINEAR);
}

static enum rialto_status read_month_spend_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &MONTH, CURVE_STEPS);
}

static enum rialto_status read_affinity(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &AFFINITY, CURVE_LINEAR);
}

static enum rialto_status read_affinity_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &AFFINITY, CURVE_STEPS);
}

static enum rialto_status read_distance(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &DISTANCE, CURVE_LINEAR);
}

static enum rialto_status read_distance_steps(struct reader *reader, const cJSON *value, void *target)
{
    return read_curve_row(reader, value, target, &DISTANCE, CURVE_STEPS);
}

static enum rialto_status read_place(struct reader *reader, const cJSON *value, void *target)
{
    struct model_personal *personal = target;
    return position_read(reader, value, personal->place_micro[personal->place_count++]);
}

static enum rialto_status read_places(struct reader *reader, const cJSON *value, void *target)
{
    return read_each(reader, value, 1, PERSONAL_PLACES_MAX, read_place, target);
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
    { .key = "month_spend",
      .text = "Multiplier by money spent in the running calendar month, straight between points. Consent: purchases.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_month_spend },
    { .key = "month_spend_steps",
      .text = "The same in steps: loyalty tiers by progress.",
      .shape = "\"$ref\":\"#/$defs/points\"",
      .kind = FIELD_PART,
      .part = read_month_spend_steps },
    { .key = "affinity",
      .text = "Multiplier by the share of this price group in what the customer did lately, straight between points. "
              "Consent: behaviour, purchases, each for its part.",
      .shape = "\"$ref\":\"#/$defs/shares\"",
      .kind = FIELD_PART,
      .part = read_affinity },
    { .key = "affinity_steps",
      .text = "The same in steps.",
      .shape = "\"$ref\":\"#/$defs/shares\"",
      .kind = FIELD_PART,
      .part = read_affinity_steps },
    { .key = "distance_km",
      .text = "Multiplier by the distance in km from the customer's zone to the nearest place of \"to\", straight "
              "between points. Consent: location.",
      .shape = "\"$ref\":\"#/$defs/distances\"",
      .kind = FIELD_PART,
      .part = read_distance },
    { .key = "distance_km_steps",
      .text = "The same in steps.",
      .shape = "\"$ref\":\"#/$defs/distances\"",
      .kind = FIELD_PART,
      .part = read_distance_steps },
    { .key = "to",
      .text = "Up to 8 places, such as stores, each [latitude, longitude].",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":8,\"items\":{" POSITION_SHAPE "}",
      .kind = FIELD_PART,
      .part = read_places },
};
TABLE_WITH(personal, "personal",
           "\"oneOf\":[{\"required\":[\"tier\"]},{\"required\":[\"segment\"]},{\"required\":[\"zone\"]},{\"required\":["
           "\"spend\"]},{\"required\":[\"spend_steps\"]},{\"required\":[\"month_spend\"]},{\"required\":[\"month_spend_"
           "steps\"]},{\"required\":[\"affinity\"]},{\"required\":[\"affinity_steps\"]},{\"required\":[\"distance_km\"]},"
           "{\"required\":[\"distance_km_steps\"]}]");

static enum rialto_status read_personal(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = target;
    struct model_personal *row = &model->personal[model->personal_count];
    enum rialto_status status = fields_read(reader, &model_table_personal, value, row);
    if (status == RIALTO_OK && row->consent == 0)
        status = reader_refuse(reader, "a personal row needs \"tier\", \"segment\", \"zone\", \"spend\", "
                                       "\"spend_steps\", \"month_spend\", \"month_spend_steps\", \"affinity\", "
                                       "\"affinity_steps\", \"distance_km\" or \"distance_km_steps\"");
    if (status == RIALTO_OK && row->kind == PERSONAL_DISTANCE && row->place_count == 0)
        status = reader_refuse(reader, "a distance needs \"to\": the places that it counts to, such as [[52.52, 13.405]]");
    if (status == RIALTO_OK && row->kind != PERSONAL_DISTANCE && row->place_count > 0)
        status = reader_refuse(reader, "\"to\" goes with \"distance_km\" and \"distance_km_steps\"");
    for (uint32_t i = 0; i < model->personal_count; i++)
        if (row->name[0] != '\0' && strcmp(model->personal[i].name, row->name) == 0)
            status = reader_refuse(reader, "another personal row has the name \"%s\" already", row->name);
    model->personal_count++;
    return status;
}

enum rialto_status read_personals(struct reader *reader, const cJSON *value, void *target)
{
    return read_each(reader, value, 0, MODEL_PERSONAL_MAX, read_personal, target);
}
