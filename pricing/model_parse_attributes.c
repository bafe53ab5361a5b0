/* model_parse_attributes.c - what a model declares of the attributes that its factors look at: unit, range, age, and a value when missing. */
#include "pricing/model_parse.h"

#include <string.h>

static enum rialto_status read_unit(struct reader *reader, const cJSON *value, void *target)
{
    struct model_attribute *row = target;
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    if (strlen(text) >= sizeof row->unit || !expression_unit_known(text))
        return reader_refuse(reader,
                             "expected a unit such as \"ratio\", \"kg\", \"m^2\" or \"units/day\"; docs/models.md "
                             "lists them");
    memcpy(row->unit, text, strlen(text) + 1);
    return RIALTO_OK;
}

static const struct field attribute_fields[] = {
    { .key = "unit",
      .text = "Such as kg, m^2 or units/day.",
      .shape = "\"type\":\"string\",\"minLength\":1,\"maxLength\":15",
      .preset = "\"ratio\"",
      .kind = FIELD_PART,
      .part = read_unit },
    { .key = "from",
      .text = "Values below are cut to it.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = -AMOUNT_MICRO_MAX,
      .high = AMOUNT_MICRO_MAX,
      .offset = offsetof(struct model_attribute, low) },
    { .key = "to",
      .text = "Values above are cut to it.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = -AMOUNT_MICRO_MAX,
      .high = AMOUNT_MICRO_MAX,
      .offset = offsetof(struct model_attribute, high) },
    { .key = "missing",
      .text = "Its value where it was never said or is too old. Left out: then it is missing.",
      .kind = FIELD_MICRO,
      .low = -AMOUNT_MICRO_MAX,
      .high = AMOUNT_MICRO_MAX,
      .offset = offsetof(struct model_attribute, missing_micro) },
    { .key = "age_limit",
      .text = "For so long after it was said it holds. Left out: it does not age.",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 3650 * DAY,
      .offset = offsetof(struct model_attribute, age_s) },
};
TABLE(attribute, "attribute");

/* "product.weight_kg" or "zone.size_m2"; what stands behind the dot, or NULL. */
static const char *bare_name(const char *name, bool *ret_of_zone)
{
    *ret_of_zone = strncmp(name, ATTRIBUTE_OF_ZONE, strlen(ATTRIBUTE_OF_ZONE)) == 0;
    if (*ret_of_zone)
        return name + strlen(ATTRIBUTE_OF_ZONE);
    return strncmp(name, ATTRIBUTE_OF_PRODUCT, strlen(ATTRIBUTE_OF_PRODUCT)) == 0 ? name + strlen(ATTRIBUTE_OF_PRODUCT)
                                                                                  : NULL;
}

static enum rialto_status name_attribute(struct reader *reader, const char *name, struct model_attribute *row)
{
    const char *bare = bare_name(name, &row->of_zone);
    if (bare == NULL)
        return reader_refuse(reader, "expected the name of an attribute, such as product.weight_kg or zone.size_m2");
    const char *fault = attribute_name_fault(bare);
    if (fault != NULL)
        return reader_refuse(reader, "%s", fault);
    memcpy(row->name, name, strlen(name) + 1); /* a prefix and a name that fits */
    memcpy(row->bare, bare, strlen(bare) + 1);
    return RIALTO_OK;
}

static enum rialto_status read_attribute(struct reader *reader, const cJSON *value, struct model_attributes *ret)
{
    struct model_attribute row = { .unit = "ratio", .missing_micro = ATTRIBUTE_NOT_STATED };
    enum rialto_status named = name_attribute(reader, value->string, &row);
    enum rialto_status status = fields_read(reader, &model_table_attribute, value, &row);
    if (status == RIALTO_OK && row.low >= row.high)
        status = reader_refuse(reader, "\"to\" must be larger than \"from\"");
    else if (status == RIALTO_OK && row.missing_micro != ATTRIBUTE_NOT_STATED &&
             (row.missing_micro < row.low || row.missing_micro > row.high))
        status = reader_refuse(reader, "\"missing\" must lie between \"from\" and \"to\"");
    if (named == RIALTO_OK) /* known, so that factors that name it have no fault */
        ret->row[ret->count++] = row;
    return named == RIALTO_OK ? status : named;
}

enum rialto_status read_attributes(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = target;
    enum rialto_status status = RIALTO_OK;
    if (!cJSON_IsObject(value))
        return reader_refuse(
            reader, "expected an object such as {\"product.weight_kg\": {\"unit\": \"kg\", \"from\": 0, \"to\": "
                    "100}}");
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        if (model->attributes.count == MODEL_ATTRIBUTES_MAX)
            return reader_refuse(reader, "at most %u attributes", MODEL_ATTRIBUTES_MAX);
        size_t back = reader_enter(reader, child->string);
        if (read_attribute(reader, child, &model->attributes) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}
