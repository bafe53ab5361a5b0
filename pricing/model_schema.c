/* model_schema.c - models/schema/model.schema.json and the tables of docs/models.md out of the rows that the parser reads by. */
#include "pricing/model.h"
#include "pricing/model_fields.h"
#include "pricing/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Shapes that several keys share. */
static const char *const shared[][2] = {
    { "name", "\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9_.:+-]+$\"" },
    { "span", "\"type\": \"string\", \"pattern\": \"^[0-9]{1,9}[smhd]$\", \"description\": \"A time: digits and s, m, "
              "h or d.\"" },
    { "date", "\"type\": \"string\", \"pattern\": \"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\", \"description\": \"A day, such as "
              "2026-12-24.\"" },
    { "time_of_day", "\"type\": \"string\", \"pattern\": \"^[0-2][0-9]:[0-5][0-9]$\"" },
    { "multiplier", "\"type\": \"number\", \"minimum\": 0.1, \"maximum\": 10" },
    { "expression", "\"type\": \"string\", \"minLength\": 1, \"maxLength\": 511" },
    { "zone", "\"type\": \"string\", \"minLength\": 1, \"maxLength\": 63, \"pattern\": "
              "\"^[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*$\", \"not\": { \"const\": \"world\" }" },
    { "points",
      "\"type\": \"array\", \"minItems\": 1, \"maxItems\": 24, \"items\": { \"type\": \"array\", \"minItems\": 2, "
      "\"maxItems\": 2, \"prefixItems\": [{ \"type\": \"number\", \"minimum\": -1000000000, \"maximum\": 1000000000 }, "
      "{ \"$ref\": \"#/$defs/multiplier\" }] }" },
    { "shares",
      "\"type\": \"array\", \"minItems\": 1, \"maxItems\": 24, \"items\": { \"type\": \"array\", \"minItems\": 2, "
      "\"maxItems\": 2, \"prefixItems\": [{ \"type\": \"number\", \"minimum\": 0, \"maximum\": 1 }, "
      "{ \"$ref\": \"#/$defs/multiplier\" }] }" },
    { "distances",
      "\"type\": \"array\", \"minItems\": 1, \"maxItems\": 24, \"items\": { \"type\": \"array\", \"minItems\": 2, "
      "\"maxItems\": 2, \"prefixItems\": [{ \"type\": \"number\", \"minimum\": 0, \"maximum\": 1000000000 }, "
      "{ \"$ref\": \"#/$defs/multiplier\" }] }" },
    { "words",
      "\"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 24, \"propertyNames\": { \"minLength\": 1, "
      "\"maxLength\": 31 }, \"additionalProperties\": { \"$ref\": \"#/$defs/multiplier\" }" },
    { "attribute_name", "\"type\": \"string\", \"pattern\": \"^(product|zone)[.][a-z][a-z0-9_]{0,30}$\"" },
    { "zones", "\"type\": \"object\", \"minProperties\": 1, \"maxProperties\": 24, \"propertyNames\": { \"$ref\": "
               "\"#/$defs/zone\" }, \"additionalProperties\": { \"$ref\": \"#/$defs/multiplier\" }" },
};

static void print_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void print_shape(FILE *out, const char *shape)
{
    const char *inputs = strstr(shape, "@INPUTS@");
    if (inputs == NULL) {
        (void)fputs(shape, out);
        return;
    }
    (void)fprintf(out, "%.*s", (int)(inputs - shape), shape);
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        (void)fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", model_inputs[i].name);
    (void)fputs(inputs + strlen("@INPUTS@"), out);
}

static void print_bounds(FILE *out, const struct field *field)
{
    switch (field->kind) {
    case FIELD_NAME:
        (void)fprintf(out, "\"$ref\": \"#/$defs/name\", \"minLength\": %" PRId64 ", \"maxLength\": %" PRId64,
                      field->low, field->high);
        break;
    case FIELD_TEXT:
        (void)fprintf(out, "\"type\": \"string\", \"minLength\": %" PRId64 ", \"maxLength\": %" PRId64, field->low,
                      field->high);
        break;
    case FIELD_MICRO:
        (void)fprintf(out, "\"type\": \"number\", \"minimum\": %.10g, \"maximum\": %.10g", (double)field->low / 1e6,
                      (double)field->high / 1e6);
        break;
    case FIELD_COUNT:
        (void)fprintf(out, "\"type\": \"integer\", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64, field->low,
                      field->high);
        break;
    case FIELD_SPAN: (void)fputs("\"$ref\": \"#/$defs/span\"", out); break;
    case FIELD_FLAG: (void)fputs("\"type\": \"boolean\"", out); break;
    case FIELD_PART: print_shape(out, field->shape); break;
    }
}

static void print_required(FILE *out, const struct field_table *table, const char *indent)
{
    bool first = true;
    for (uint32_t i = 0; i < table->count; i++) {
        if (!table->field[i].required)
            continue;
        (void)fprintf(out, first ? "%s\"required\": [\"%s\"" : "%.0s, \"%s\"", indent, table->field[i].key);
        first = false;
    }
    if (!first)
        (void)fputs("],\n", out);
}

static void print_properties(FILE *out, const struct field_table *table, const char *indent)
{
    (void)fprintf(out, "%s\"properties\": {\n", indent);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct field *field = &table->field[i];
        (void)fprintf(out, "%s    \"%s\": { ", indent, field->key);
        print_bounds(out, field);
        if (field->preset != NULL)
            (void)fprintf(out, ", \"default\": %s", field->preset);
        if (field->text != NULL && field->text[0] != '\0') {
            (void)fputs(", \"description\": ", out);
            print_text(out, field->text);
        }
        (void)fprintf(out, " }%s\n", i + 1 < table->count ? "," : "");
    }
    (void)fprintf(out, "%s}", indent);
}

static void print_tables(FILE *out, const struct field_table *const tables[], uint32_t count)
{
    for (uint32_t t = 1; t < count; t++) {
        const struct field_table *table = tables[t];
        (void)fprintf(out, "        \"%s\": {\n            \"type\": \"object\", \"additionalProperties\": false,\n",
                      table->name);
        print_required(out, table, "            ");
        if (table->rules != NULL)
            (void)fprintf(out, "            %s,\n", table->rules);
        print_properties(out, table, "            ");
        (void)fprintf(out, "\n        }%s\n", t + 1 < count ? "," : "");
    }
    (void)fputs("    }\n}\n", out);
}

void model_schema_print(void *stream)
{
    FILE *out = stream;
    (void)fputs("{\n"
                "    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                "    \"$id\": \"https://rialto.invalid/model.schema.json\",\n"
                "    \"title\": \"Rialto pricing model\",\n"
                "    \"description\": \"For editors and validators; made by rialto check --schema. Comments may stand "
                "in a model file; "
                "strip them before validating. Rialto checks more than a schema can say: expressions, x ascending in "
                "curves, what "
                "models must agree about. docs/models.md explains every key.\",\n",
                out);
    print_required(out, model_tables[0], "    ");
    (void)fputs("    \"type\": \"object\", \"additionalProperties\": false,\n", out);
    print_properties(out, model_tables[0], "    ");
    (void)fputs(",\n    \"$defs\": {\n", out);
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        (void)fprintf(out, "        \"%s\": { %s },\n", shared[i][0], shared[i][1]);
    print_tables(out, model_tables, model_table_count);
}

void policy_schema_print(void *stream)
{
    FILE *out = stream;
    (void)fputs("{\n"
                "    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                "    \"$id\": \"https://rialto.invalid/policy.schema.json\",\n"
                "    \"title\": \"Rialto pricing policy\",\n"
                "    \"description\": \"For editors and validators; made by rialto check --policy-schema. Comments may "
                "stand in a policy file; strip them before validating. docs/policies.md explains every key.\",\n",
                out);
    print_required(out, policy_tables[0], "    ");
    (void)fputs("    \"type\": \"object\", \"additionalProperties\": false,\n", out);
    print_properties(out, policy_tables[0], "    ");
    (void)fprintf(out, ",\n    \"$defs\": {\n        \"%s\": { %s },\n", shared[0][0], shared[0][1]);
    print_tables(out, policy_tables, policy_table_count);
}

/* ---- docs/models.md ---------------------------------------------------------------------------------------------------- */

static void print_missing(FILE *out, const struct model_input_row *row)
{
    if (strcmp(row->age, "none") == 0)
        (void)fputs("no limit", out);
    else
        (void)fprintf(out, "`age_limits.%s`", row->age);
    (void)fprintf(out, " | %s", row->gone[0] != '\0' ? row->gone : "`missing`");
}

void model_inputs_print(void *stream)
{
    FILE *out = stream;
    (void)fputs(
        "| input | unit | from | to | age limit | missing or too old | what it is |\n|---|---|---|---|---|---|---|\n",
        out);
    for (unsigned i = 0; i < INPUT_COUNT; i++) {
        const struct model_input_row *row = &model_inputs[i];
        (void)fprintf(out, "| `%s` | %s | %.10g | %.10g | ", row->name, row->unit, (double)row->low / 1e6,
                      (double)row->high / 1e6);
        print_missing(out, row);
        (void)fprintf(out, " | %s |\n", row->text);
    }
}

void model_forms_print(void *stream)
{
    FILE *out = stream;
#define ROW(form, key, text) (void)fputs("| `" key "` | " text " |\n", out);
    (void)fputs("| key of the factor | what it multiplies by |\n|---|---|\n", out);
    FACTOR_FORMS(ROW)
#undef ROW
}
