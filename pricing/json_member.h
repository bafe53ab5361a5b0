/* json_member.h - what stands in a member of a parsed JSON object, or what counts as nothing.
 *
 * For answers and records of the service's own making, in which a member that is missing, or of another kind, counts as
 * nothing. What comes from outside is read by the tables of fields (field.h, signal.h), which say what is wrong.
 * Thread-safe; `object` may be NULL. */
#ifndef PRICING_JSON_MEMBER_H
#define PRICING_JSON_MEMBER_H

#include <cjson/cJSON.h>
#include <stdint.h>

static inline const cJSON *json_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* json_string - "" if there is none. The object's: lives as long as it. */
static inline const char *json_string(const cJSON *object, const char *name)
{
    const cJSON *item = json_member(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* json_number - 0 if there is none. */
static inline double json_number(const cJSON *object, const char *name)
{
    const cJSON *item = json_member(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* json_whole - the same, cut to a whole number; beyond those of 64 bits the nearest of them. */
static inline int64_t json_whole(const cJSON *object, const char *name)
{
    double number = json_number(object, name);
    if (number >= 0x1p63)
        return INT64_MAX;
    return number >= -0x1p63 ? (int64_t)number : INT64_MIN;
}
#endif
