/* model_parse_values.c - values of a model file that several of its keys have: lists, curves, tables of words, dates. */
#include "pricing/model_parse.h"

#include <string.h>

/* ---- lists ---------------------------------------------------------------------------------------------- */

enum rialto_status check_list(struct reader *reader, const cJSON *list, uint32_t low, uint32_t high)
{
    if (!cJSON_IsArray(list))
        return reader_refuse(reader, "expected a list in brackets");
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL && count <= high; child = child->next)
        count++;
    if (count < low || count > high)
        return reader_refuse(reader, "expected %u to %u entries", (unsigned)low, (unsigned)high);
    return RIALTO_OK;
}

enum rialto_status read_each(struct reader *reader, const cJSON *list, uint32_t low, uint32_t high,
                             enum rialto_status (*read_one)(struct reader *reader, const cJSON *value, void *target),
                             void *target)
{
    enum rialto_status status = check_list(reader, list, low, high);
    const cJSON *child = status == RIALTO_OK ? list->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_one(reader, child, target) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

static enum rialto_status read_list_row(struct reader *reader, const struct text_list *shape, const cJSON *value,
                                        char *rows, uint32_t index)
{
    char *row = rows + index * shape->size;
    enum rialto_status status = value_read(reader, &shape->row, value, row);
    if (status != RIALTO_OK)
        return status;
    const char *reason = shape->check(row);
    if (reason != NULL)
        return reader_refuse(reader, "%s", reason);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(rows + i * shape->size, row) == 0)
            return reader_refuse(reader, "this entry stands twice in the list");
    return RIALTO_OK;
}

enum rialto_status read_list(struct reader *reader, const struct text_list *shape, const cJSON *list, char *rows,
                             uint32_t *ret_count)
{
    enum rialto_status status = check_list(reader, list, shape->low, shape->high);
    if (status != RIALTO_OK)
        return status;
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL; child = child->next, count++) {
        size_t back = reader_enter_index(reader, count);
        if (read_list_row(reader, shape, child, rows, count) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    *ret_count = count;
    return status;
}

/* ---- curves --------------------------------------------------------------------------------------------- */

enum rialto_status read_number_at(struct reader *reader, uint32_t index, int64_t low, int64_t high, const cJSON *value,
                                  int64_t *ret)
{
    size_t back = reader_enter_index(reader, index);
    enum rialto_status status =
        value_read(reader, &(struct field){ .kind = FIELD_MICRO, .low = low, .high = high }, value, ret);
    reader_leave(reader, back);
    return status;
}

static enum rialto_status read_point(struct reader *reader, const cJSON *value, struct model_point *ret)
{
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2)
        return reader_refuse(reader, "expected a point [x, y]");
    enum rialto_status status =
        read_number_at(reader, 0, -AMOUNT_MICRO_MAX, AMOUNT_MICRO_MAX, value->child, &ret->x_micro);
    if (status != RIALTO_OK)
        return status;
    return read_number_at(reader, 1, FACTOR_MICRO_MIN, FACTOR_MICRO_MAX, value->child->next, &ret->y_micro);
}

enum rialto_status read_points(struct reader *reader, const cJSON *list, enum curve_kind kind,
                               struct curve_target target)
{
    enum rialto_status status = check_list(reader, list, 1, MODEL_POINTS_MAX);
    if (status == RIALTO_OK && *target.count > 0)
        status = reader_refuse(reader, "one curve is enough: this one is already given under another key");
    if (status != RIALTO_OK)
        return status;
    uint32_t count = 0;
    for (const cJSON *child = list->child; child != NULL; child = child->next, count++) {
        size_t back = reader_enter_index(reader, count);
        if (read_point(reader, child, &target.point[count]) != RIALTO_OK)
            status = RIALTO_REFUSED;
        else if (status == RIALTO_OK && count > 0 && target.point[count].x_micro <= target.point[count - 1].x_micro)
            status = reader_refuse(reader, "a curve does not go back: x must be larger than in the point before");
        reader_leave(reader, back);
    }
    *target.count = count;
    *target.kind = kind;
    return status;
}

/* ---- tables of words -------------------------------------------------------------------------------------- */

const char *any_word(const char *word)
{
    (void)word;
    return NULL;
}

const char *zone_fault(const char *zone)
{
    size_t length = strlen(zone);
    if (strcmp(zone, "world") == 0)
        return "the world is around everybody; name a zone";
    if (strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-/") != length)
        return "a zone is made of letters, digits and _ . : - joined by slashes";
    if (zone[0] == '/' || zone[length - 1] == '/' || strstr(zone, "//") != NULL)
        return "a zone is names joined by single slashes";
    return NULL;
}

static enum rialto_status read_word(struct reader *reader, const cJSON *child, const struct word_table *table,
                                    uint32_t row)
{
    static const struct field multiplier = { .kind = FIELD_MICRO, .low = FACTOR_MICRO_MIN, .high = FACTOR_MICRO_MAX };
    size_t length = strlen(child->string);
    if (length == 0 || length > table->high)
        return reader_refuse(reader, "this name must have 1 to %zu bytes", table->high);
    if (table->check(child->string) != NULL)
        return reader_refuse(reader, "%s", table->check(child->string));
    memcpy(table->word[row], child->string, length + 1);
    return value_read(reader, &multiplier, child, &table->point[row].y_micro);
}

/* {"gold": 0.95, ...}: words with their multipliers. */
enum rialto_status read_words(struct reader *reader, const cJSON *object, const struct word_table *table)
{
    if (!cJSON_IsObject(object))
        return reader_refuse(reader, "expected an object such as {\"%s\": 0.95}", table->example);
    enum rialto_status status = RIALTO_OK;
    uint32_t count = 0;
    for (const cJSON *child = object->child; child != NULL; child = child->next, count++) {
        if (count == MODEL_POINTS_MAX)
            return reader_refuse(reader, "at most %u entries", MODEL_POINTS_MAX);
        size_t back = reader_enter(reader, child->string);
        if (read_word(reader, child, table, count) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    if (count == 0)
        return reader_refuse(reader, "expected at least one entry");
    *table->count = count;
    return status;
}

/* ---- dates, weekdays, times of day --------------------------------------------------------------------------- */

static bool two_digits(const char *text, int *ret)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *ret = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

enum rialto_status read_date(struct reader *reader, const cJSON *value, void *target)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    int century, year, month, day;
    int32_t days = INT32_MIN;
    if (strlen(text) == 10 && text[4] == '-' && text[7] == '-' && two_digits(text, &century) &&
        two_digits(text + 2, &year) && two_digits(text + 5, &month) && two_digits(text + 8, &day))
        days = date_days(century * 100 + year, month, day);
    if (days == INT32_MIN)
        return reader_refuse(reader, "expected a date such as \"2026-12-24\"");
    *(int32_t *)target = days;
    return RIALTO_OK;
}

/* "17:30" as minutes; "24:00" is the end of the day. -1 if it is no time of day. */
int minutes_of(const char *text)
{
    int hours, minutes;
    if (strlen(text) != 5 || text[2] != ':' || !two_digits(text, &hours) || !two_digits(text + 3, &minutes) ||
        minutes > 59 || hours * 60 + minutes > 1440)
        return -1;
    return hours * 60 + minutes;
}

enum rialto_status read_hours(struct reader *reader, const cJSON *value, void *target)
{
    struct model_window *window = target;
    int at[2] = { -1, -1 };
    if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2)
        for (int i = 0; i < 2; i++) {
            const cJSON *text = cJSON_GetArrayItem(value, i);
            at[i] = cJSON_IsString(text) ? minutes_of(text->valuestring) : -1;
        }
    if (at[0] < 0 || at[1] < 0 || at[0] == at[1] || at[0] == 1440)
        return reader_refuse(reader, "expected two times of day such as [\"17:00\", \"19:30\"]");
    window->from_min = (uint16_t)at[0];
    window->until_min = (uint16_t)at[1];
    return RIALTO_OK;
}

static const char *const weekday_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static enum rialto_status read_weekday(struct reader *reader, const cJSON *value, void *target)
{
    uint8_t *mask = target;
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    for (unsigned i = 0; i < 7; i++) {
        if (strcmp(text, weekday_names[i]) == 0) {
            *mask = (uint8_t)(*mask | 1u << i);
            return RIALTO_OK;
        }
    }
    return reader_refuse(reader, "expected mon, tue, wed, thu, fri, sat or sun");
}

enum rialto_status read_weekdays(struct reader *reader, const cJSON *value, void *target)
{
    return read_each(reader, value, 1, 7, read_weekday, target);
}
