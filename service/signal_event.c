/* signal_event.c - CloudEvents 1.0 as an envelope of a signal (structured mode of its JSON format).
 *
 *   {"specversion":"1.0","id":"r-1009/1","source":"/tills/25","type":"com.example.demand","time":"...","data":{SIGNAL}}
 *
 * An event is what has a `specversion`; no signal has one. Several are an array (the batch format) or lines, like signals.
 * What `data` says itself goes before what the envelope says: type, time, source, id. A null attribute is one that is not
 * there. Extension attributes, subject and dataschema are checked for their form and otherwise passed over. */
#include "service/signal_rows.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REFUSE(fault, pointer, reason, ...) (fault_set(fault, NULL, 0, pointer, __VA_ARGS__), REASON_##reason)

enum attribute {
    EVENT_specversion,
    EVENT_id,
    EVENT_source,
    EVENT_type,
    EVENT_time,
    EVENT_subject,
    EVENT_datacontenttype,
    EVENT_dataschema,
    EVENT_data,
    EVENT_data_base64,
    EVENT_COUNT
};
static const char *const ATTRIBUTES[EVENT_COUNT] = {
    [EVENT_specversion] = "/specversion",
    [EVENT_id] = "/id",
    [EVENT_source] = "/source",
    [EVENT_type] = "/type",
    [EVENT_time] = "/time",
    [EVENT_subject] = "/subject",
    [EVENT_datacontenttype] = "/datacontenttype",
    [EVENT_dataschema] = "/dataschema",
    [EVENT_data] = "/data",
    [EVENT_data_base64] = "/data_base64",
};

struct event {
    const cJSON *attribute[EVENT_COUNT]; /* NULL: not there */
};

bool signal_is_event(const cJSON *object)
{
    return cJSON_GetObjectItemCaseSensitive(object, "specversion") != NULL;
}

/* ---- the envelope -------------------------------------------------------------------------------------------------- */

static enum attribute attribute_find(const char *name)
{
    int i = 0;
    while (i < EVENT_COUNT && strcmp(ATTRIBUTES[i] + 1, name) != 0)
        i++;
    return (enum attribute)i;
}

/* Names of extensions are small letters and digits, their values plain ones. */
static enum signal_reason check_extension(const cJSON *member, struct fault *fault)
{
    size_t bytes = strlen(member->string);
    if (bytes == 0 || strspn(member->string, "abcdefghijklmnopqrstuvwxyz0123456789") != bytes)
        return REFUSE(fault, "", unknown_field, "an event has no such attribute: names are small letters and digits");
    if (cJSON_IsObject(member) || cJSON_IsArray(member))
        return REFUSE(fault, "", wrong_type, "an extension attribute is a text, a number, true or false");
    return REASON_none;
}

static enum signal_reason take_attributes(const cJSON *object, struct event *ret, struct fault *fault)
{
    *ret = (struct event){ .attribute = { NULL } };
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        enum attribute which = attribute_find(member->string);
        enum signal_reason reason = REASON_none;
        if (which == EVENT_COUNT)
            reason = check_extension(member, fault);
        else if (ret->attribute[which] != NULL)
            reason = REFUSE(fault, ATTRIBUTES[which], contradiction, "stands twice");
        else if (!cJSON_IsNull(member))
            ret->attribute[which] = member;
        if (reason != REASON_none)
            return reason;
    }
    return REASON_none;
}

static enum signal_reason check_text(const struct event *event, enum attribute which, bool needed, struct fault *fault)
{
    const cJSON *value = event->attribute[which];
    if (value == NULL && needed)
        return REFUSE(fault, ATTRIBUTES[which], missing_field, "every CloudEvent has it");
    if (value == NULL)
        return REASON_none;
    if (!cJSON_IsString(value))
        return REFUSE(fault, ATTRIBUTES[which], wrong_type, "must be a text");
    if (value->valuestring[0] == '\0')
        return REFUSE(fault, ATTRIBUTES[which], bad_text, "must not be empty");
    return REASON_none;
}

static bool is_json_type(const char *text)
{
    size_t bytes = strcspn(text, "; ");
    return (bytes == 16 && strncasecmp(text, "application/json", bytes) == 0) ||
           (bytes == 9 && strncasecmp(text, "text/json", bytes) == 0) ||
           (bytes > 5 && strncasecmp(text + bytes - 5, "+json", 5) == 0);
}

static enum signal_reason check_content(const struct event *event, struct fault *fault)
{
    const cJSON *type = event->attribute[EVENT_datacontenttype], *data = event->attribute[EVENT_data];
    if (event->attribute[EVENT_data_base64] != NULL)
        return REFUSE(fault, "/data_base64", unknown_field, "a signal is JSON: put it into data");
    if (type != NULL && !is_json_type(type->valuestring))
        return REFUSE(fault, "/datacontenttype", out_of_range, "must be application/json, or left out");
    if (data == NULL)
        return REFUSE(fault, "/data", missing_field, "the signal stands in data");
    if (!cJSON_IsObject(data))
        return REFUSE(fault, "/data", not_object, "a signal is a JSON object");
    return REASON_none;
}

static enum signal_reason check_event(const struct event *event, struct fault *fault)
{
    static const struct {
        enum attribute which;
        bool needed;
    } TEXTS[] = { { EVENT_specversion, true }, { EVENT_id, true },
                  { EVENT_source, true },      { EVENT_type, true },
                  { EVENT_time, false },       { EVENT_subject, false },
                  { EVENT_dataschema, false }, { EVENT_datacontenttype, false } };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        enum signal_reason reason = check_text(event, TEXTS[i].which, TEXTS[i].needed, fault);
        if (reason != REASON_none)
            return reason;
    }
    if (strcmp(event->attribute[EVENT_specversion]->valuestring, "1.0") != 0)
        return REFUSE(fault, "/specversion", out_of_range, "must be 1.0");
    return check_content(event, fault);
}

/* "com.example.shop.demand" is a demand. */
static const char *last_word(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot == NULL ? type : dot + 1;
}

/* ---- the signal in it ---------------------------------------------------------------------------------------------- */

static enum signal_reason inside(enum signal_reason reason, struct fault *fault)
{
    char pointer[FAULT_POINTER_MAX + 8], text[FAULT_REASON_MAX];
    if (reason == REASON_none)
        return reason;
    (void)snprintf(pointer, sizeof pointer, "/data%s", fault->pointer);
    (void)snprintf(text, sizeof text, "%s", fault->reason);
    fault_set(fault, NULL, 0, pointer, "%s", text); /* cuts between characters */
    return reason;
}

static enum signal_reason take_from_envelope(const struct event *event, const struct signal_rules *rules,
                                             struct signal *ret, struct fault *fault)
{
    static const struct {
        enum attribute which;
        enum signal_field field;
    } SHARED[] = { { EVENT_source, SIGNAL_FIELD_source },
                   { EVENT_id, SIGNAL_FIELD_id },
                   { EVENT_time, SIGNAL_FIELD_time_ms } };
    for (size_t i = 0; i < sizeof SHARED / sizeof SHARED[0]; i++) {
        const cJSON *value = event->attribute[SHARED[i].which];
        bool numbered = SHARED[i].field == SIGNAL_FIELD_id && signal_has(ret, SIGNAL_FIELD_seq);
        if (value == NULL || numbered || signal_has(ret, SHARED[i].field))
            continue;
        enum signal_reason reason = signal_take(SHARED[i].field, value, rules, ATTRIBUTES[SHARED[i].which], ret, fault);
        if (reason != REASON_none)
            return reason;
        if (SHARED[i].field == SIGNAL_FIELD_id)
            ret->enclosed |= SIGNAL_IN_ENVELOPE;
    }
    return REASON_none;
}

enum signal_reason signal_parse_event(const cJSON *object, const struct signal_rules *rules, struct signal *ret,
                                      struct fault *fault)
{
    struct event event;
    enum signal_reason reason = take_attributes(object, &event, fault);
    if (reason == REASON_none)
        reason = check_event(&event, fault);
    if (reason != REASON_none)
        return reason;
    ret->enclosed = SIGNAL_IN_DATA;
    const cJSON *data = event.attribute[EVENT_data];
    bool typed = cJSON_GetObjectItemCaseSensitive(data, "type") != NULL;
    if (typed)
        reason = inside(signal_take_type(data, ret, fault), fault);
    else if (!signal_type_find(last_word(event.attribute[EVENT_type]->valuestring), &ret->type))
        reason = REFUSE(fault, "/type", unknown_type, "its last word, or the type in data, must be a type of signal");
    if (reason == REASON_none)
        reason = inside(signal_take_members(data, rules, ret, fault), fault);
    if (reason == REASON_none)
        reason = take_from_envelope(&event, rules, ret, fault);
    return reason != REASON_none ? reason : inside(signal_finish(rules, ret, fault), fault);
}

static bool add_missing(cJSON *signal, const char *name, const char *text)
{
    return cJSON_GetObjectItemCaseSensitive(signal, name) != NULL ||
           cJSON_AddStringToObject(signal, name, text) != NULL;
}

cJSON *signal_event_flatten(const cJSON *object)
{
    struct event event;
    struct fault fault;
    if (!cJSON_IsObject(object) || !signal_is_event(object) || take_attributes(object, &event, &fault) != REASON_none ||
        check_event(&event, &fault) != REASON_none)
        return NULL;
    cJSON *signal = cJSON_Duplicate(event.attribute[EVENT_data], true);
    bool good =
        signal != NULL && add_missing(signal, "type", last_word(event.attribute[EVENT_type]->valuestring)) &&
        add_missing(signal, "source", event.attribute[EVENT_source]->valuestring) &&
        (cJSON_HasObjectItem(signal, "seq") || add_missing(signal, "id", event.attribute[EVENT_id]->valuestring)) &&
        (event.attribute[EVENT_time] == NULL || add_missing(signal, "time", event.attribute[EVENT_time]->valuestring));
    if (good)
        return signal;
    cJSON_Delete(signal);
    return NULL;
}
