/* import_row.c - a header to fields, and a row to a signal. People write 19.99 and yes; a signal wants 1999 and true. Every check of
 * values is the service's own (SIGNAL_FIELDS). */
#include "cli/import.h"

#include "cli/cli.h"
#include "pricing/money.h"
#include "pricing/nearest.h"
#include "service/signal_rows.h"

#include <rialto/quote.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DECIMAL_MAX 20u /* characters of a number in a cell */
#define WORD_MAX    64u

struct at { /* where a row's faults are told */
    const struct import_sheet *sheet;
    uint32_t row;
    import_fault *fault;
    void *user;
    bool failed;
};

static void say_fault(struct at *at, enum signal_field field, const char *reason)
{
    bool known = field < SIGNAL_FIELD_COUNT;
    at->failed = true;
    at->fault(at->user, at->row, known ? at->sheet->column[field] : IMPORT_COLUMNS_MAX,
              known ? signal_row_name(field) : "", reason);
}

/* ---- the header --------------------------------------------------------------------------------------------- */

static bool belongs(enum signal_field field, enum signal_type type)
{
    return (signal_rows[field].types & 1u << type) != 0;
}

static const struct import_pair *pair_find(const struct import_map *map, const char *name)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (map->pair[i].name != NULL && strcasecmp(map->pair[i].name, name) == 0)
            return &map->pair[i];
    return NULL;
}

enum signal_field import_field_find(const char *name, const char **ret_attribute)
{
    static const char prefix[] = "attributes.";
    bool attribute = strncmp(name, prefix, strlen(prefix)) == 0;
    *ret_attribute = attribute ? name + strlen(prefix) : NULL;
    return attribute ? SIGNAL_FIELD_attributes : signal_row_find(name);
}

/* A column for each attribute, each with a name of its own. */
static bool attribute_column(struct import_sheet *sheet, uint32_t column, const char *attribute, char *ret_why,
                             size_t n)
{
    const char *why =
        attribute == NULL ? "a column for each attribute is taken: attributes.NAME" : attribute_name_fault(attribute);
    for (uint32_t i = 0; why == NULL && i < column; i++)
        if (strcmp(sheet->attribute[i], attribute) == 0)
            why = "a second column for this attribute";
    (void)snprintf(ret_why, n, "%s", why != NULL ? why : "");
    if (why == NULL)
        memcpy(sheet->attribute[column], attribute, strlen(attribute) + 1);
    return why == NULL;
}

static bool column_find(struct import_sheet *sheet, const struct import_map *map, uint32_t column, const char *name,
                        char *ret_why, size_t n, enum signal_field *ret)
{
    const struct import_pair *pair = pair_find(map, name);
    char lower[WORD_MAX];
    size_t bytes = strlen(name);
    const char *attribute = pair != NULL ? pair->attribute : NULL;
    *ret = pair != NULL ? pair->field : SIGNAL_FIELD_COUNT;
    if (pair == NULL && bytes < sizeof lower) {
        for (size_t i = 0; i <= bytes; i++)
            lower[i] = (char)tolower((unsigned char)name[i]);
        *ret = import_field_find(lower, &attribute);
    }
    if (pair != NULL && *ret == SIGNAL_FIELD_COUNT)
        return true; /* passed over */
    if (*ret == SIGNAL_FIELD_attributes && belongs(*ret, sheet->type))
        return attribute_column(sheet, column, attribute, ret_why, n);
    if (*ret < SIGNAL_FIELD_COUNT && belongs(*ret, sheet->type) && sheet->column[*ret] == IMPORT_COLUMNS_MAX)
        return true;
    if (*ret < SIGNAL_FIELD_COUNT && belongs(*ret, sheet->type)) {
        (void)snprintf(ret_why, n, "a second column for \"%s\"", signal_row_name(*ret));
        return false;
    }
    const char *names[SIGNAL_FIELD_COUNT];
    uint32_t count = 0;
    for (enum signal_field field = 0; field < SIGNAL_FIELD_COUNT; field++)
        if (belongs(field, sheet->type))
            names[count++] = signal_row_name(field);
    const char *near = nearest_name(name, count, names);
    (void)snprintf(ret_why, n,
                   "unknown column%s%s%s (--map \"NAME=FIELD\" says what it is, --ignore NAME passes it over)",
                   near != NULL ? ": did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
    return false;
}

bool import_sheet_open(struct import_sheet *sheet, enum signal_type type, const struct import_map *map, uint32_t count,
                       char *const cell[], char separator, import_fault *fault, void *user)
{
    memset(sheet, 0, sizeof *sheet);
    sheet->type = type;
    sheet->map = map;
    sheet->separator = separator;
    sheet->columns = count;
    for (uint32_t i = 0; i < SIGNAL_FIELD_COUNT; i++)
        sheet->column[i] = IMPORT_COLUMNS_MAX;
    for (uint32_t i = 0; i < map->count; i++)
        if (map->pair[i].fill != NULL && belongs(map->pair[i].field, type))
            sheet->fill[map->pair[i].field] = map->pair[i].fill;

    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        char why[FAULT_REASON_MAX];
        sheet->field[i] = SIGNAL_FIELD_COUNT;
        if (cell[i][0] == 0 && pair_find(map, "") == NULL)
            continue; /* a column without a name is nobody's: faults come from its cells */
        if (!column_find(sheet, map, i, cell[i], why, sizeof why, &sheet->field[i])) {
            fault(user, 1, i, cell[i], why);
            sheet->field[i] = SIGNAL_FIELD_COUNT;
            good = false;
        } else if (sheet->field[i] < SIGNAL_FIELD_COUNT && sheet->attribute[i][0] == 0) {
            sheet->column[sheet->field[i]] = i;
        }
    }
    for (enum signal_field field = 0; field < SIGNAL_FIELD_COUNT; field++) {
        bool missing = (signal_rows[field].must & 1u << type) != 0 && sheet->column[field] == IMPORT_COLUMNS_MAX &&
                       sheet->fill[field] == NULL;
        if (missing)
            fault(user, 1, IMPORT_COLUMNS_MAX, signal_row_name(field),
                  "this column is needed (or --map, or --fill FIELD=TEXT for all rows)");
        good &= !missing;
    }
    return good;
}

/* The field that a pointer such as /segments/2 means; SIGNAL_FIELD_COUNT for none. */
static enum signal_field import_field(const char *pointer)
{
    char name[WORD_MAX];
    if (pointer[0] != '/')
        return SIGNAL_FIELD_COUNT;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(pointer + 1, "/"), pointer + 1);
    return signal_row_find(name);
}

uint32_t import_column(const struct import_sheet *sheet, const char *pointer)
{
    enum signal_field field = import_field(pointer);
    const char *attribute = field == SIGNAL_FIELD_attributes ? strchr(pointer + 1, '/') : NULL;
    for (uint32_t i = 0; attribute != NULL && i < sheet->columns; i++)
        if (strcmp(sheet->attribute[i], attribute + 1) == 0)
            return i;
    return field < SIGNAL_FIELD_COUNT ? sheet->column[field] : IMPORT_COLUMNS_MAX;
}

/* ---- cells to values ---------------------------------------------------------------------------------------- */

/* "-12,50" as "-12.5": digits and one decimal sign at most, without zeros at its end. A comma is a decimal sign only where it does
 * not separate cells. False: that is no number, or one of more than DECIMAL_MAX characters. */
static bool decimal_text(const char *cell, char separator, char ret[DECIMAL_MAX + 1])
{
    size_t n = 0, point = 0;
    for (const char *c = cell; *c != 0; c++) {
        bool sign = *c == '.' || (*c == ',' && separator != ',');
        bool fits =
            isdigit((unsigned char)*c) || (*c == '-' && n == 0) || (sign && point == 0 && n > 0 && ret[n - 1] != '-');
        if (!fits || n == DECIMAL_MAX)
            return false;
        if (sign)
            point = n;
        ret[n++] = sign ? '.' : *c;
    }
    if (n == 0 || !isdigit((unsigned char)ret[n - 1]))
        return false;
    while (point > 0 && n > point && (ret[n - 1] == '0' || ret[n - 1] == '.'))
        n--;
    ret[n] = 0;
    return true;
}

/* Why that is no number: what people write beside digits is named. */
static void no_number(const char *cell, char separator, char *ret_why, size_t n)
{
    const char *like = separator == ',' ? "1234.5" : "1234,5 or 1234.5";
    size_t plain = strspn(cell, "-0123456789.,' ");
    if (cell[plain] == 0 && isdigit((unsigned char)cell[0]))
        (void)snprintf(ret_why, n,
                       "no number: no signs for thousands are taken, only digits and one decimal sign, like %s", like);
    else
        (void)snprintf(ret_why, n,
                       "no number: digits and one decimal sign are taken, like %s; no unit, no sign of a currency",
                       like);
}

/* "1.500": fifteen hundred to some, one and a half to others. Three digits are taken only where the currency has so many. */
static bool is_thousands(const char *cell, const struct currency *currency)
{
    const char *sign = strpbrk(cell, ".,");
    return sign != NULL && strlen(sign + 1) == 3 && currency->decimals < 3;
}

static cJSON *amount_value(const char *plain, const struct currency *currency, char *ret_why, size_t n)
{
    const char *point = strchr(plain, '.');
    size_t decimals = point != NULL ? strlen(point + 1) : 0;
    if (decimals > currency->decimals) {
        (void)snprintf(ret_why, n, "%s has %u decimals, this has %zu", currency->letters, currency->decimals, decimals);
        return NULL;
    }
    char minor[2 * DECIMAL_MAX];
    int whole = point != NULL ? (int)(point - plain) : (int)strlen(plain);
    (void)snprintf(minor, sizeof minor, "%.*s%s%.*s", whole, plain, point != NULL ? point + 1 : "",
                   (int)(currency->decimals - decimals), "000000");
    return cJSON_CreateNumber(strtod(minor, NULL));
}

/* A text as --value has it, or as it is. */
static const char *meaning(const struct import_sheet *sheet, enum signal_field field, const char *text)
{
    for (uint32_t i = 0; i < sheet->map->value_count; i++)
        if (sheet->map->value[i].field == field && strcmp(sheet->map->value[i].from, text) == 0)
            return sheet->map->value[i].to;
    return text;
}

/* What stands in a row for a field: its cell, or what all empty ones are filled with; NULL for nothing. */
static const char *text_of(const struct import_sheet *sheet, enum signal_field field, uint32_t count,
                           char *const cell[])
{
    uint32_t column = sheet->column[field];
    const char *text = column < count ? meaning(sheet, field, cell[column]) : "";
    return text[0] != 0 ? text : sheet->fill[field];
}

/* The currency of a row's amounts, or NULL. */
static const struct currency *row_currency(const struct import_sheet *sheet, uint32_t count, char *const cell[])
{
    const char *letters = text_of(sheet, SIGNAL_FIELD_currency, count, cell);
    return letters != NULL ? currency_find(letters) : NULL;
}

static cJSON *number_value(const struct import_sheet *sheet, enum field_kind kind, const char *text, uint32_t count,
                           char *const cell[], char *ret_why, size_t n)
{
    char plain[DECIMAL_MAX + 1];
    if (!decimal_text(text, sheet->separator, plain)) {
        no_number(text, sheet->separator, ret_why, n);
        return NULL;
    }
    if (kind != FIELD_MONEY)
        return cJSON_CreateNumber(strtod(plain, NULL));
    const struct currency *currency = row_currency(sheet, count, cell);
    if (currency == NULL) {
        (void)snprintf(ret_why, n, "an amount needs a currency: a column \"currency\", or --fill currency=EUR");
        return NULL;
    }
    if (is_thousands(text, currency)) {
        (void)snprintf(ret_why, n, "%s has %u decimals, this has 3: no signs for thousands are taken",
                       currency->letters, currency->decimals);
        return NULL;
    }
    return amount_value(plain, currency, ret_why, n);
}

static cJSON *switch_value(const char *text, char *ret_why, size_t n)
{
    static const char *const on[] = { "true", "yes", "1" }, *const off[] = { "false", "no", "0" };
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        if (strcasecmp(text, on[i]) == 0)
            return cJSON_CreateTrue();
        if (strcasecmp(text, off[i]) == 0)
            return cJSON_CreateFalse();
    }
    (void)snprintf(ret_why, n, "yes or no is taken here (or true, false, 1, 0)");
    return NULL;
}

static char *trim(char *word)
{
    word += strspn(word, " ");
    for (size_t n = strlen(word); n > 0 && word[n - 1] == ' ';)
        word[--n] = 0;
    return word;
}

/* The words between a cell's bars, each as --value has it, with bars between them again; the caller's. NULL: out of memory. */
static char *words_of(const struct import_sheet *sheet, enum signal_field field, const char *text)
{
    char *ret = NULL, *words = strdup(text), *save = NULL;
    size_t bytes;
    FILE *out = words != NULL ? open_memstream(&ret, &bytes) : NULL;
    for (char *word = out != NULL ? strtok_r(words, "|", &save) : NULL; word != NULL;
         word = strtok_r(NULL, "|", &save)) {
        word = trim(word);
        (void)fprintf(out, "%s|", meaning(sheet, field, word));
    }
    if (out != NULL)
        (void)fclose(out);
    free(words);
    return ret;
}

/* "profile|purchases": these kinds are permitted, the others are not. "none": none is. The consent that a customer gave is said as a
 * whole, so that what a shop's table no longer holds is no longer permitted. */
static cJSON *consent_value(char *words, char *ret_why, size_t n)
{
    cJSON *ret = cJSON_CreateObject();
    for (int i = 0; i < choice_count(CHOICES_BASIS); i++) {
        size_t bytes = 0;
        char kind[WORD_MAX];
        const char *word = choice_at(CHOICES_BASIS, i, &bytes);
        (void)snprintf(kind, sizeof kind, "%.*s", (int)bytes, word);
        cJSON_AddFalseToObject(ret, kind);
    }
    char *save = NULL;
    for (char *word = strtok_r(words, "| ", &save); word != NULL; word = strtok_r(NULL, "| ", &save)) {
        if (strcmp(word, "none") == 0)
            continue;
        if (cJSON_GetObjectItemCaseSensitive(ret, word) == NULL) {
            (void)snprintf(ret_why, n,
                           "kinds of data with bars between them are taken here: " CHOICES_BASIS ", or none");
            cJSON_Delete(ret);
            return NULL;
        }
        cJSON_ReplaceItemInObjectCaseSensitive(ret, word, cJSON_CreateTrue());
    }
    return ret;
}

static cJSON *words_value(char *words)
{
    cJSON *ret = cJSON_CreateArray();
    char *save = NULL;
    for (char *word = strtok_r(words, "|", &save); word != NULL; word = strtok_r(NULL, "|", &save))
        cJSON_AddItemToArray(ret, cJSON_CreateString(word));
    return ret;
}

static cJSON *list_value(const struct import_sheet *sheet, enum signal_field field, const char *text, char *ret_why,
                         size_t n)
{
    char *words = words_of(sheet, field, text);
    cJSON *ret = words == NULL                              ? NULL
                 : signal_rows[field].kind == FIELD_CONSENT ? consent_value(words, ret_why, n)
                                                            : words_value(words);
    free(words);
    return ret;
}

/* A cell as the JSON value that a signal's field wants; NULL with *ret_why. */
static cJSON *cell_value(const struct import_sheet *sheet, enum signal_field field, const char *text, uint32_t count,
                         char *const cell[], char *ret_why, size_t n)
{
    switch (signal_rows[field].kind) {
    case FIELD_MONEY:
    case FIELD_NUMBER:
    case FIELD_INTEGER: return number_value(sheet, signal_rows[field].kind, text, count, cell, ret_why, n);
    case FIELD_SWITCH: return switch_value(text, ret_why, n);
    case FIELD_CONSENT:
    case FIELD_WORDS: return list_value(sheet, field, text, ret_why, n);
    default: return cJSON_CreateString(text);
    }
}

/* One attribute's cell: a number, or yes and no. */
static cJSON *attribute_value(const struct import_sheet *sheet, const char *text, char *ret_why, size_t n)
{
    char plain[DECIMAL_MAX + 1];
    if (decimal_text(text, sheet->separator, plain))
        return cJSON_CreateNumber(strtod(plain, NULL));
    cJSON *value = switch_value(text, ret_why, n);
    if (value == NULL)
        (void)snprintf(ret_why, n, "a number such as 0.5, or yes or no is taken here");
    return value;
}

/* ---- a row -------------------------------------------------------------------------------------------------- */

/* The bounds of an amount, in the table's own terms: the service speaks of minor units. */
static void say_range(struct at *at, enum signal_field field, const cJSON *value, const char *letters)
{
    char why[FAULT_REASON_MAX], most[48];
    const struct currency *currency = currency_find(letters);
    bool is_low = value->valuedouble < (double)signal_rows[field].low;
    (void)rialto_money_text(signal_rows[field].high, currency->letters, currency->decimals, sizeof most, most);
    (void)snprintf(why, sizeof why, "must %s%s",
                   !is_low                       ? "be at most "
                   : signal_rows[field].low == 0 ? "not be negative"
                                                 : "be more than nothing",
                   is_low ? "" : most);
    say_fault(at, field, why);
}

static void take_cell(struct at *at, enum signal_field field, const char *text, uint32_t count, char *const cell[],
                      const struct signal_rules *rules, struct signal *signal, cJSON *object)
{
    char why[FAULT_REASON_MAX] = "out of memory";
    struct fault fault = { 0 };
    cJSON *value = cell_value(at->sheet, field, text, count, cell, why, sizeof why);
    if (value == NULL) {
        say_fault(at, field, why);
        return;
    }
    enum signal_reason reason = signal_take(field, value, rules, signal_rows[field].pointer, signal, &fault);
    if (reason == REASON_none) {
        cJSON_AddItemToObject(object, signal_row_name(field), value);
        return;
    }
    if (reason == REASON_out_of_range && signal_rows[field].kind == FIELD_MONEY)
        say_range(at, field, value, text_of(at->sheet, SIGNAL_FIELD_currency, count, cell));
    else
        say_fault(at, field, fault.reason);
    cJSON_Delete(value);
}

/* All attributes of a row in one object; a row that has none says nothing of them. */
static void take_attributes(struct at *at, uint32_t count, char *const cell[], const struct signal_rules *rules,
                            struct signal *signal, cJSON *object)
{
    cJSON *attributes = cJSON_CreateObject();
    for (uint32_t i = 0; i < at->sheet->columns && i < count; i++) {
        char why[FAULT_REASON_MAX];
        if (at->sheet->attribute[i][0] == 0 || cell[i][0] == 0)
            continue;
        cJSON *value = attribute_value(at->sheet, cell[i], why, sizeof why);
        if (value == NULL) {
            at->failed = true;
            at->fault(at->user, at->row, i, at->sheet->attribute[i], why);
            continue;
        }
        cJSON_AddItemToObject(attributes, at->sheet->attribute[i], value);
    }
    struct fault fault = { 0 };
    bool some = attributes->child != NULL;
    if (some && signal_take(SIGNAL_FIELD_attributes, attributes, rules, "/attributes", signal, &fault) != REASON_none) {
        at->failed = true;
        at->fault(at->user, at->row, import_column(at->sheet, fault.pointer), "attributes", fault.reason);
    }
    if (some)
        cJSON_AddItemToObject(object, "attributes", attributes);
    else
        cJSON_Delete(attributes);
}

cJSON *import_row(const struct import_sheet *sheet, const struct signal_rules *rules, uint32_t row, uint32_t count,
                  char *const cell[], import_fault *fault, void *user)
{
    struct at at = { sheet, row, fault, user, false };
    struct signal signal = { .type = sheet->type };
    struct fault found = { 0 };
    for (uint32_t i = sheet->columns; i < count; i++) {
        if (cell[i][0] != 0) {
            fault(user, row, i, "", "more cells than the header has columns");
            return NULL;
        }
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "type", signal_type_name(sheet->type));
    for (enum signal_field field = 0; field < SIGNAL_FIELD_COUNT; field++) {
        const char *text = text_of(sheet, field, count, cell);
        if (text != NULL)
            take_cell(&at, field, text, count, cell, rules, &signal, object);
    }
    if (belongs(SIGNAL_FIELD_attributes, sheet->type))
        take_attributes(&at, count, cell, rules, &signal, object);
    if (!at.failed && signal_finish(rules, &signal, &found) != REASON_none) {
        enum signal_field field = import_field(found.pointer);
        bool empty = field < SIGNAL_FIELD_COUNT && (signal_rows[field].must & 1u << sheet->type) != 0 &&
                     text_of(sheet, field, count, cell) == NULL;
        say_fault(
            &at, field,
            empty ? "empty, and each row needs it (--fill FIELD=TEXT for empty cells; --skip-bad leaves such rows out)"
                  : found.reason);
    }
    if (!at.failed)
        return object;
    cJSON_Delete(object);
    return NULL;
}

bool import_key(const cJSON *signal, char ret[IMPORT_KEY_MAX], enum signal_field *ret_field)
{
    static const enum signal_field parts[] = { SIGNAL_FIELD_sku,        SIGNAL_FIELD_customer,   SIGNAL_FIELD_zone,
                                               SIGNAL_FIELD_competitor, SIGNAL_FIELD_offer_kind, SIGNAL_FIELD_time_ms };
    size_t used = 0;
    ret[0] = 0;
    *ret_field = SIGNAL_FIELD_COUNT;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && used < IMPORT_KEY_MAX; i++) {
        const cJSON *part = cJSON_GetObjectItemCaseSensitive(signal, signal_row_name(parts[i]));
        const char *text = cJSON_IsString(part) ? part->valuestring : "";
        if (text[0] != 0 && *ret_field == SIGNAL_FIELD_COUNT)
            *ret_field = parts[i];
        used += (size_t)snprintf(ret + used, IMPORT_KEY_MAX - used, "%s\n", text);
    }
    return *ret_field != SIGNAL_FIELD_COUNT && used < IMPORT_KEY_MAX;
}

void import_describe(enum signal_type type)
{
    for (enum signal_field field = 0; field < SIGNAL_FIELD_COUNT; field++) {
        const struct signal_row *row = &signal_rows[field];
        if (!belongs(field, type))
            continue;
        const char *how = row->kind == FIELD_MONEY        ? "amount such as 19.99"
                          : row->kind == FIELD_SWITCH     ? "yes or no"
                          : row->kind == FIELD_WORDS      ? "words with | between them"
                          : row->kind == FIELD_CONSENT    ? "kinds with | between them, or none"
                          : row->kind == FIELD_TIME       ? "time such as 2026-01-31T10:00:00Z"
                          : row->kind == FIELD_NUMBER     ? "number"
                          : row->kind == FIELD_INTEGER    ? "whole number"
                          : row->kind == FIELD_ATTRIBUTES ? "number, yes or no, in a column for each"
                                                          : "text";
        char column[32];
        (void)snprintf(column, sizeof column, "%s%s", signal_row_name(field),
                       row->kind == FIELD_ATTRIBUTES ? ".NAME" : "");
        const char *text =
            row->kind == FIELD_CONSENT ? "what the customer permits; kinds not named are refused" : row->text;
        printf("%-14s %-7s %-34s %s%s%s\n", column, (row->must & 1u << type) != 0 ? "needed" : "", how, text,
               row->choices[0] != 0 ? ": " : "", row->choices);
    }
}
