/* test_schema.c - models/schema/model.schema.json says the same as the tables that the parser reads by. */
#include "pricing/model.h"
#include "pricing/model_fields.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *schema;

static void load_schema(void)
{
    char *text;
    size_t bytes;
    struct fault fault;
    cr_assert_eq(file_read("models/schema/model.schema.json", &text, &bytes, &fault), RIALTO_OK, "%s", fault.reason);
    schema = json_parse(text, bytes, 0, &fault);
    cr_assert_not_null(schema, "%u:%u %s", fault.line, fault.column, fault.reason);
    free(text);
}

static void free_schema(void)
{
    cJSON_Delete(schema);
}

TestSuite(schema, .init = load_schema, .fini = free_schema);

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const cJSON *object_schema(const char *name)
{
    return strcmp(name, "model") == 0 ? schema : get(get(schema, "$defs"), name);
}

static bool is_listed(const cJSON *list, const char *text)
{
    for (const cJSON *row = list != NULL ? list->child : NULL; row != NULL; row = row->next)
        if (strcmp(row->valuestring, text) == 0)
            return true;
    return false;
}

static void check_number(const cJSON *property, const char *key, const char *bound, double expected)
{
    const cJSON *value = get(property, bound);
    cr_assert(cJSON_IsNumber(value) && value->valuedouble == expected, "%s: %s is not %g", key, bound, expected);
}

static void check_property(const struct field *field, const cJSON *property)
{
    cr_assert_not_null(property, "%s is not in the schema", field->key);
    const cJSON *ref = get(property, "$ref");
    switch (field->kind) {
    case FIELD_NAME: cr_assert_str_eq(ref->valuestring, "#/$defs/name"); /* fall through */
    case FIELD_TEXT:
        check_number(property, field->key, "minLength", (double)field->low);
        check_number(property, field->key, "maxLength", (double)field->high);
        break;
    case FIELD_MICRO:
        check_number(property, field->key, "minimum", (double)field->low / 1e6);
        check_number(property, field->key, "maximum", (double)field->high / 1e6);
        break;
    case FIELD_COUNT:
        check_number(property, field->key, "minimum", (double)field->low);
        check_number(property, field->key, "maximum", (double)field->high);
        cr_assert_str_eq(get(property, "type")->valuestring, "integer");
        break;
    case FIELD_SPAN: cr_assert_str_eq(ref->valuestring, "#/$defs/span"); break;
    case FIELD_FLAG: cr_assert_str_eq(get(property, "type")->valuestring, "boolean"); break;
    case FIELD_PART: break;
    }
}

Test(schema, has_the_same_objects_keys_and_bounds_as_the_parser)
{
    for (uint32_t t = 0; t < model_table_count; t++) {
        const struct field_table *table = model_tables[t];
        const cJSON *object = object_schema(table->name), *properties = get(object, "properties");
        cr_assert_not_null(properties, "%s", table->name);
        cr_assert(cJSON_IsFalse(get(object, "additionalProperties")), "%s", table->name);
        cr_assert_eq(cJSON_GetArraySize(properties), (int)table->count, "%s", table->name);
        for (uint32_t i = 0; i < table->count; i++) {
            const struct field *field = &table->field[i];
            check_property(field, get(properties, field->key));
            cr_assert_eq(is_listed(get(object, "required"), field->key), field->required, "%s", field->key);
        }
    }
}

Test(schema, names_the_same_inputs)
{
    static const char *const inputs[] = {
#define NAME(name, unit, low, high, age, gone, text) #name,
        MODEL_INPUTS(NAME)
#undef NAME
    };
    const cJSON *either = get(get(get(object_schema("factor"), "properties"), "input"), "anyOf");
    const cJSON *listed = get(cJSON_GetArrayItem(either, 0), "enum"); /* or an attribute that the model declares */
    cr_assert_eq(cJSON_GetArraySize(listed), (int)(sizeof inputs / sizeof inputs[0]));
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        cr_assert(is_listed(listed, inputs[i]), "%s", inputs[i]);
}

Test(schema, is_what_the_tables_print)
{
    char *made = NULL, *kept;
    size_t made_bytes = 0, kept_bytes;
    struct fault fault;
    FILE *out = open_memstream(&made, &made_bytes);
    cr_assert_not_null(out);
    model_schema_print(out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(file_read("models/schema/model.schema.json", &kept, &kept_bytes, &fault), RIALTO_OK);
    cr_assert_eq(made_bytes, kept_bytes, "rialto check --schema > models/schema/model.schema.json");
    cr_assert_str_eq(made, kept);
    free(made);
    free(kept);
}
