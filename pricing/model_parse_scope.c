/* model_parse_scope.c - which products a model prices, and from where distances count. */
#include "pricing/model_parse.h"
#include "pricing/money.h"
#include "pricing/scope.h"

static const char *currency_fault(const char *letters)
{
    return currency_find(letters) != NULL ? NULL : "not a currency of ISO 4217 in capital letters, such as EUR or CNY";
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

/* Not said, or an empty list. What is neither has a fault of its own. */
static bool is_none(const cJSON *scope, const char *key)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(scope, key);
    return list == NULL || (cJSON_IsArray(list) && list->child == NULL);
}

enum rialto_status read_scope(struct reader *reader, const cJSON *value, void *target)
{
    enum rialto_status status = fields_read(reader, &model_table_scope, value, target);
    if (cJSON_IsObject(value) && is_none(value, "categories") && is_none(value, "skus"))
        return reader_refuse(reader, "name categories, skus or both; [\"*\"] means every category");
    return status;
}

enum rialto_status position_read(struct reader *reader, const cJSON *value, int64_t ret_micro[2])
{
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2)
        return reader_refuse(reader, "expected latitude and longitude, such as [52.52, 13.405]");
    enum rialto_status status = read_number_at(reader, 0, -90 * MICRO, 90 * MICRO, value->child, &ret_micro[0]);
    if (read_number_at(reader, 1, -180 * MICRO, 180 * MICRO, value->child->next, &ret_micro[1]) != RIALTO_OK)
        status = RIALTO_REFUSED;
    return status;
}

enum rialto_status read_origin(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = target;
    model->has_origin = true;
    return position_read(reader, value, model->origin_micro);
}
