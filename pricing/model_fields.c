/* model_fields.c - checks and conversions of single values, and the one loop that reads an object by its table. */
#include "pricing/model_fields.h"
#include "pricing/fixed.h"
#include "pricing/nearest.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- where we stand ------------------------------------------------------------------------------------- */

size_t reader_enter(struct reader *reader, const char *key)
{
    size_t back = reader->pointer_length, at = back;
    if (at + 1 < sizeof reader->pointer)
        reader->pointer[at++] = '/';
    for (; *key != '\0' && at + 3 < sizeof reader->pointer; key++) {
        if (*key == '~' || *key == '/') { /* RFC 6901 */
            reader->pointer[at++] = '~';
            reader->pointer[at++] = *key == '~' ? '0' : '1';
        } else {
            reader->pointer[at++] = *key;
        }
    }
    reader->pointer[at] = '\0';
    reader->pointer_length = at;
    return back;
}

size_t reader_enter_index(struct reader *reader, uint32_t index)
{
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%" PRIu32, index);
    return reader_enter(reader, digits);
}

void reader_leave(struct reader *reader, size_t back)
{
    reader->pointer_length = back;
    reader->pointer[back] = '\0';
}

__attribute__((format(printf, 3, 0))) static enum rialto_status refuse(struct reader *reader, size_t byte,
                                                                       const char *reason, va_list arguments)
{
    struct fault fault = { 0 };
    char line[FAULT_REASON_MAX];
    (void)vsnprintf(line, sizeof line, reason, arguments);
    fault_path(fault.file, reader->file);
    (void)fault_set(&fault, reader->text, reader->bytes, reader->pointer, "%s", line);
    if (fault.column > 0)
        fault.column += (uint32_t)byte;
    return fault_add(reader->faults, &fault);
}

enum rialto_status reader_refuse(struct reader *reader, const char *reason, ...)
{
    va_list arguments;
    va_start(arguments, reason);
    enum rialto_status status = refuse(reader, 0, reason, arguments);
    va_end(arguments);
    return status;
}

enum rialto_status reader_refuse_at(struct reader *reader, size_t byte, const char *reason, ...)
{
    va_list arguments;
    va_start(arguments, reason);
    enum rialto_status status = refuse(reader, byte + 1, reason, arguments); /* behind the quote */
    va_end(arguments);
    return status;
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
    for (; *text != '\0'; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        bool other = (*text >= '0' && *text <= '9') || strchr("_.:+-", *text) != NULL;
        if (!letter && !other)
            return false;
    }
    return true;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

static enum rialto_status read_text(struct reader *reader, const struct field *field, const cJSON *value, char *target)
{
    if (!cJSON_IsString(value))
        return reader_refuse(reader, "expected a text");
    int64_t bytes = (int64_t)strlen(value->valuestring);
    if (bytes != field->low && field->low == field->high)
        return reader_refuse(reader, "expected %" PRId64 " bytes of text, found %" PRId64, field->low, bytes);
    if (bytes < field->low || bytes > field->high)
        return reader_refuse(reader, "expected %" PRId64 " to %" PRId64 " bytes of text, found %" PRId64, field->low,
                             field->high, bytes);
    if (field->kind == FIELD_NAME && !is_name(value->valuestring))
        return reader_refuse(reader, "a name is made of letters, digits and _ . : + -");
    if (has_control(value->valuestring))
        return reader_refuse(reader, "control characters are not allowed here");
    memcpy(target, value->valuestring, (size_t)bytes + 1);
    return RIALTO_OK;
}

/* ---- numbers -------------------------------------------------------------------------------------------- */

#define MICRO_EXACT_MAX 9.0e15 /* below 2^53: the double holds the number to the last of its 6 decimals */

/* A decimal number with at most 6 decimals is the double nearest to m / 10^6 for one integer m, and division is
 * correctly rounded: if m / 10^6 gives the number back, m is exact, and otherwise there were more decimals. */
static bool micro_of(double number, int64_t *ret)
{
    double scaled = nearbyint(number * 1e6);
    if (!(fabs(scaled) <= MICRO_EXACT_MAX) || scaled / 1e6 != number)
        return false;
    *ret = (int64_t)scaled;
    return true;
}

/* "0.5", "-3", "0.000001" for a number in micro. */
static const char *micro_text(int64_t micro, size_t size, char *ret)
{
    int length = snprintf(ret, size, "%s%" PRId64 ".%06" PRId64, micro < 0 ? "-" : "",
                          (micro < 0 ? -micro : micro) / MICRO, (micro < 0 ? -micro : micro) % MICRO);
    while (length > 0 && ret[length - 1] == '0')
        ret[--length] = '\0';
    if (length > 0 && ret[length - 1] == '.')
        ret[--length] = '\0';
    return ret;
}

static enum rialto_status read_micro(struct reader *reader, const struct field *field, const cJSON *value,
                                     int64_t *target)
{
    if (!cJSON_IsNumber(value))
        return reader_refuse(reader, "expected a number");
    char low[32], high[32];
    if (value->valuedouble * 1e6 < (double)field->low || value->valuedouble * 1e6 > (double)field->high)
        return reader_refuse(reader, "expected a number from %s to %s", micro_text(field->low, sizeof low, low),
                             micro_text(field->high, sizeof high, high));
    int64_t micro;
    if (!micro_of(value->valuedouble, &micro))
        return reader_refuse(reader, "a number may have at most 6 decimals");
    *target = micro;
    return RIALTO_OK;
}

static enum rialto_status read_count(struct reader *reader, const struct field *field, const cJSON *value,
                                     uint32_t *target)
{
    double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (!cJSON_IsNumber(value) || number != nearbyint(number))
        return reader_refuse(reader, "expected a whole number");
    if (number < (double)field->low || number > (double)field->high)
        return reader_refuse(reader, "expected a whole number from %" PRId64 " to %" PRId64, field->low, field->high);
    *target = (uint32_t)number;
    return RIALTO_OK;
}

/* ---- spans of time -------------------------------------------------------------------------------------- */

/* Digits (at most 9) and one unit; -1 if it is no span. */
static int64_t span_seconds(const char *text)
{
    int64_t number = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 10; digits++)
        number = number * 10 + (text[digits] - '0');
    if (digits == 0 || digits > 9 || text[digits] == '\0' || text[digits + 1] != '\0')
        return -1;
    switch (text[digits]) {
    case 's': return number;
    case 'm': return number * 60;
    case 'h': return number * 3600;
    case 'd': return number * 86400;
    default: return -1;
    }
}

static const char *span_text(int64_t seconds, size_t size, char *ret)
{
    int64_t unit = seconds == 0 || seconds % 60 != 0 ? 1
                   : seconds % 3600 != 0             ? 60
                   : seconds % 86400 != 0            ? 3600
                                                     : 86400;
    (void)snprintf(ret, size, "%" PRId64 "%c", seconds / unit,
                   unit == 1      ? 's'
                   : unit == 60   ? 'm'
                   : unit == 3600 ? 'h'
                                  : 'd');
    return ret;
}

static enum rialto_status read_span(struct reader *reader, const struct field *field, const cJSON *value,
                                    uint32_t *target)
{
    int64_t seconds = cJSON_IsString(value) ? span_seconds(value->valuestring) : -1;
    if (seconds < 0)
        return reader_refuse(reader, "expected a time such as \"90s\", \"15m\", \"6h\" or \"7d\"");
    char low[32], high[32];
    if (seconds < field->low || seconds > field->high)
        return reader_refuse(reader, "expected a time from %s to %s", span_text(field->low, sizeof low, low),
                             span_text(field->high, sizeof high, high));
    *target = (uint32_t)seconds;
    return RIALTO_OK;
}

/* ---- values and objects --------------------------------------------------------------------------------- */

static enum rialto_status read_flag(struct reader *reader, const cJSON *value, bool *target)
{
    if (!cJSON_IsBool(value))
        return reader_refuse(reader, "expected true or false");
    *target = cJSON_IsTrue(value);
    return RIALTO_OK;
}

enum rialto_status value_read(struct reader *reader, const struct field *field, const cJSON *value, void *target)
{
    switch (field->kind) {
    case FIELD_NAME:
    case FIELD_TEXT: return read_text(reader, field, value, target);
    case FIELD_MICRO: return read_micro(reader, field, value, target);
    case FIELD_COUNT: return read_count(reader, field, value, target);
    case FIELD_SPAN: return read_span(reader, field, value, target);
    case FIELD_FLAG: return read_flag(reader, value, target);
    case FIELD_PART: return field->part(reader, value, target);
    }
    return RIALTO_REFUSED;
}

static const struct field *field_of(const struct field_table *table, const char *key)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (strcmp(table->field[i].key, key) == 0)
            return &table->field[i];
    return NULL;
}

#define KEYS_MAX 32u

/* The value's place is named, and the key that was probably meant, or all that there are. */
static enum rialto_status refuse_key(struct reader *reader, const struct field_table *table, const char *key)
{
    const char *keys[KEYS_MAX];
    char known[160];
    size_t length = 0;
    uint32_t count = table->count < KEYS_MAX ? table->count : KEYS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = table->field[i].key;
        if (length < sizeof known)
            length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i == 0 ? "" : ", ", keys[i]);
    }
    const char *near = nearest_name(key, count, keys);
    size_t back = reader_enter(reader, key);
    if (near != NULL)
        (void)reader_refuse(reader, "unknown key; did you mean \"%s\"?", near);
    else
        (void)reader_refuse(reader, "unknown key; there are %s", known);
    reader_leave(reader, back);
    return RIALTO_REFUSED;
}

enum rialto_status fields_read(struct reader *reader, const struct field_table *table, const cJSON *object,
                               void *target)
{
    if (!cJSON_IsObject(object))
        return reader_refuse(reader, "expected an object in braces");
    enum rialto_status all = RIALTO_OK;
    for (const cJSON *child = object->child; child != NULL; child = child->next) {
        const struct field *field = field_of(table, child->string);
        if (field == NULL) {
            all = refuse_key(reader, table, child->string);
            continue;
        }
        size_t back = reader_enter(reader, child->string);
        if (value_read(reader, field, child, (char *)target + field->offset) != RIALTO_OK)
            all = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    for (uint32_t i = 0; i < table->count; i++)
        if (table->field[i].required && cJSON_GetObjectItemCaseSensitive(object, table->field[i].key) == NULL)
            all = reader_refuse(reader, "\"%s\" is missing", table->field[i].key);
    return all;
}
