/* model_parse_schedule.c - when a model is in effect, on which clock, and its calendars. */
#include "pricing/model_parse.h"

#include <string.h>

struct schedule_target { /* local days become moments when the time zone is known */
    struct model *model;
    int32_t from_day, until_day;
};

static enum rialto_status read_time_zone(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = ((struct schedule_target *)target)->model;
    const char *name = cJSON_IsString(value) ? value->valuestring : "", *reason;
    char near[LOCAL_CLOCK_NAME_MAX];
    if (local_clock_load(name, &model->clock, &reason))
        return RIALTO_OK;
    if (local_clock_nearest(name, near))
        return reader_refuse(reader, "no such time zone; did you mean \"%s\"?", near);
    return reader_refuse(reader, "%s", reason);
}

static enum rialto_status read_calendar_days(struct reader *reader, const cJSON *value, struct model_calendar *calendar)
{
    enum rialto_status status = check_list(reader, value, 1, MODEL_CALENDAR_DAYS_MAX);
    const cJSON *child = status == RIALTO_OK ? value->child : NULL;
    for (uint32_t i = 0; child != NULL; child = child->next, i++) {
        size_t back = reader_enter_index(reader, i);
        if (read_date(reader, child, &calendar->day[i]) != RIALTO_OK)
            status = RIALTO_REFUSED;
        else if (status == RIALTO_OK && i > 0 && calendar->day[i] <= calendar->day[i - 1])
            status = reader_refuse(reader, "the days of a calendar stand in their order");
        reader_leave(reader, back);
        calendar->count = i + 1;
    }
    return status;
}

static enum rialto_status read_calendar(struct reader *reader, const cJSON *child, struct model *model)
{
    struct model_calendar *calendar = &model->calendar[model->calendar_count];
    size_t length = strlen(child->string);
    if (length == 0 || length >= RIALTO_NAME_MAX)
        return reader_refuse(reader, "this name must have 1 to %u bytes", RIALTO_NAME_MAX - 1);
    memcpy(calendar->name, child->string, length + 1);
    model->calendar_count++;
    return read_calendar_days(reader, child, calendar);
}

static enum rialto_status read_calendars(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = ((struct schedule_target *)target)->model;
    if (!cJSON_IsObject(value) || cJSON_GetArraySize(value) > (int)MODEL_CALENDARS_MAX)
        return reader_refuse(reader, "expected at most %u calendars such as {\"holidays\": [\"2026-12-25\"]}",
                             MODEL_CALENDARS_MAX);
    enum rialto_status status = RIALTO_OK;
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        size_t back = reader_enter(reader, child->string);
        if (read_calendar(reader, child, model) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, back);
    }
    return status;
}

static const struct field schedule_fields[] = {
    { .key = "time_zone",
      .text = "IANA name such as \"Europe/Berlin\", for dates, hours and weekdays of this model. Left out: local time "
              "of each zone; dates are then UTC.",
      .shape = "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$\",\"maxLength\":47",
      .kind = FIELD_PART,
      .part = read_time_zone },
    { .key = "from",
      .text = "First day in effect.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct schedule_target, from_day),
      .part = read_date },
    { .key = "until",
      .text = "First day no longer in effect.",
      .shape = "\"$ref\":\"#/$defs/date\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct schedule_target, until_day),
      .part = read_date },
    { .key = "calendars",
      .text = "Named lists of days, for \"when\".",
      .shape = "\"type\":\"object\",\"maxProperties\":4,\"propertyNames\":{\"minLength\":1,\"maxLength\":31},"
               "\"additionalProperties\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,\"uniqueItems\":true,"
               "\"items\":{\"$ref\":\"#/$defs/date\"}}",
      .kind = FIELD_PART,
      .part = read_calendars },
};
TABLE(schedule, "schedule");

enum rialto_status read_schedule(struct reader *reader, const cJSON *value, void *target)
{
    struct schedule_target schedule_target = { .model = target, .from_day = INT32_MIN, .until_day = INT32_MIN };
    struct model *model = target;
    enum rialto_status status = fields_read(reader, &model_table_schedule, value, &schedule_target);
    if (status != RIALTO_OK)
        return status;
    if (schedule_target.from_day != INT32_MIN)
        model->from_ms = local_clock_utc_ms(&model->clock, (int64_t)schedule_target.from_day * DAY * 1000);
    if (schedule_target.until_day != INT32_MIN)
        model->until_ms = local_clock_utc_ms(&model->clock, (int64_t)schedule_target.until_day * DAY * 1000);
    if (model->until_ms <= model->from_ms)
        return reader_refuse(reader, "\"until\" is the first day after it and must come later than \"from\"");
    return RIALTO_OK;
}
