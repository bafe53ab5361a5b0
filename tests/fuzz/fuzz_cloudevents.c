/* fuzz_cloudevents.c - any JSON as an event: what is taken means the same as the signal in it sent without an envelope, and any
 * signal that is good by itself is good, and the same, in one. */
#include "service/gateway.h"
#include "service/signal_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = INT64_C(1767225600000),
                                           .age_max_ms = INT64_C(604800000),
                                           .future_max_ms = 60000 };

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_cloudevents: %s\n", what);
        abort();
    }
}

static void check_event(const cJSON *event)
{
    struct signal taken, bare;
    struct fault fault = { .reason = "" };
    enum signal_reason reason = signal_parse(event, &RULES, &taken, &fault);
    cJSON *flat = signal_event_flatten(event);
    taken.enclosed = 0;
    require(reason == REASON_none || fault.reason[0] != '\0', "no reason");
    require(fault.pointer[0] == '\0' || fault.pointer[0] == '/', "a pointer that is none");
    require(reason != REASON_none || flat != NULL, "a good event that cannot be flattened");
    if (flat != NULL) {
        enum signal_reason without = signal_parse(flat, &RULES, &bare, &fault);
        require((without == REASON_none) == (reason == REASON_none), "good in one form, refused in the other");
        require(reason != REASON_none || memcmp(&taken, &bare, sizeof taken) == 0, "two forms of one signal differ");
    }
    cJSON_Delete(flat);
}

static void check_signal(const cJSON *object)
{
    struct signal bare, taken;
    struct fault fault;
    if (signal_parse(object, &RULES, &bare, &fault) != REASON_none)
        return;
    cJSON *event = cJSON_CreateObject(), *data = cJSON_Duplicate(object, true);
    require(event != NULL && data != NULL && cJSON_AddItemToObject(event, "data", data), "out of memory");
    (void)cJSON_AddStringToObject(event, "specversion", "1.0");
    (void)cJSON_AddStringToObject(event, "type", signal_type_name(bare.type));
    (void)cJSON_AddStringToObject(event, "source", "s");
    (void)cJSON_AddStringToObject(event, "id", "i");
    require(signal_parse(event, &RULES, &taken, &fault) == REASON_none, "refused in an envelope");
    require(bare.id[0] == '\0' || strcmp(bare.id, taken.id) == 0, "the envelope's id went before the signal's");
    taken.present = bare.present;
    taken.enclosed = bare.enclosed;
    memcpy(taken.id, bare.id, sizeof taken.id);
    memcpy(taken.source, bare.source, sizeof taken.source);
    require(memcmp(&taken, &bare, sizeof taken) == 0, "another signal in an envelope");
    cJSON_Delete(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message;
    const cJSON *value = NULL;
    enum signal_reason reason = REASON_none;
    struct fault fault = { .reason = "" };
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    message_open(&message, text, size);
    while (message_next(&message, &value, &reason, &fault)) {
        if (reason != REASON_none || !cJSON_IsObject(value))
            continue;
        if (signal_is_event(value))
            check_event(value);
        else
            check_signal(value);
    }
    message_close(&message);
    free(text);
    return 0;
}
