/* reject.c - what may be kept of a rejected signal. See reject.h. */
#include "service/reject.h"
#include "service/signal_rows.h"

#include "pricing/fixed.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REJECT_FIELD_NAME_(name) #name,
const char *const reject_field_name[REJECT_FIELD_COUNT] = { REJECT_FIELDS(REJECT_FIELD_NAME_) };
#undef REJECT_FIELD_NAME_

#define KEPT_PARTS (PART_PRODUCT | PART_COMMON)
#define WORD_MAX   24u

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* Digits alone are a GTIN more often than a telephone number, and no customer's id where a product's is asked for. */
static bool text_is_personal(const char *text)
{
    return customer_looks_personal(text) && strspn(text, "0123456789") != strlen(text);
}

bool source_tells(const char *source, const char *customer)
{
    return customer[0] != '\0' && strstr(source, customer) != NULL;
}

/* A name of ours, or a plain word that somebody misspelt. */
static bool name_is_plain(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > WORD_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!islower((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

/* Numbers are places in lists. A name that says more than a word is left out: it may be a value in the wrong place. */
static void keep_pointer(const char *pointer, char ret[FAULT_POINTER_MAX])
{
    size_t at = 0;
    while (*pointer == '/' && at + WORD_MAX + 2 < FAULT_POINTER_MAX) {
        const char *name = pointer + 1;
        size_t bytes = strcspn(name, "/");
        bool kept = name_is_plain(name, bytes) || (bytes > 0 && bytes < 6 && strspn(name, "0123456789") == bytes);
        at += (size_t)snprintf(ret + at, FAULT_POINTER_MAX - at, "/%.*s", kept ? (int)bytes : 1, kept ? name : "?");
        pointer = name + bytes;
    }
    ret[at] = '\0';
}

struct writer {
    char *text;
    size_t at, room;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(writer->text + writer->at, writer->room - writer->at, format, arguments);
    va_end(arguments);
    writer->full = writer->full || length < 0 || (size_t)length >= writer->room - writer->at;
    writer->at = writer->full ? writer->at : writer->at + (size_t)length;
}

/* Texts of signals hold no control characters. */
static void put_text(struct writer *writer, const char *text)
{
    put(writer, "\"");
    for (; *text != '\0'; text++)
        put(writer, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    put(writer, "\"");
}

static void put_micro(struct writer *writer, int64_t micro)
{
    uint64_t size = micro < 0 ? (uint64_t)-micro : (uint64_t)micro;
    put(writer, "%s%" PRIu64, micro < 0 ? "-" : "", size / (uint64_t)MICRO);
    if (size % (uint64_t)MICRO != 0)
        put(writer, ".%06" PRIu64, size % (uint64_t)MICRO);
}

/* ---- members ------------------------------------------------------------------------------------------------------ */

/* Returns false when it may not be kept. Kinds that stand in the customer's part only never come here. */
static bool put_value(struct writer *writer, const struct signal *signal, const struct signal_row *row)
{
    const char *member = (const char *)signal + row->offset;
    int64_t number = 0;
    size_t bytes;
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_ZONE:
    case FIELD_CURRENCY: put_text(writer, member); return !text_is_personal(member);
    case FIELD_MONEY:
    case FIELD_INTEGER:
    case FIELD_TIME:
        memcpy(&number, member, sizeof number);
        put(writer, "%" PRId64, number);
        return true;
    case FIELD_NUMBER:
        memcpy(&number, member, sizeof number);
        put_micro(writer, number);
        return true;
    case FIELD_CHOICE: {
        memcpy(&number, member, sizeof number);
        const char *word = choice_at(row->choices, (int)number, &bytes);
        put(writer, "\"%.*s\"", (int)bytes, word);
        return true;
    }
    case FIELD_ATTRIBUTES:
        for (int64_t i = 0; i < signal->attributes.count; i++) {
            put(writer, "%s\"%s\":", i > 0 ? "," : "{", signal->attributes.name[i]);
            put_micro(writer, signal->attributes.micro[i]);
        }
        put(writer, "%s}", signal->attributes.count > 0 ? "" : "{");
        return true;
    case FIELD_SWITCH:
    case FIELD_CUSTOMER:
    case FIELD_CONSENT:
    case FIELD_WORDS: break;
    }
    return false;
}

/* Returns false when the member was left out; the text is as it was before then. */
static bool keep_member(struct writer *writer, const struct signal *signal, enum signal_field field)
{
    size_t before = writer->at;
    put(writer, ",\"%s\":", signal_row_name(field));
    if (put_value(writer, signal, &signal_rows[field]) && !writer->full)
        return true;
    writer->at = before;
    writer->text[before] = '\0';
    writer->full = false;
    return false;
}

static struct writer begin(struct reject *ret, enum signal_type type)
{
    /* Two bytes are always left for the end. */
    struct writer writer = { .text = ret->signal, .room = sizeof ret->signal - 2 };
    (void)snprintf(ret->type, sizeof ret->type, "%s", signal_type_name(type));
    put(&writer, "{\"type\":\"%s\"", ret->type);
    return writer;
}

static void end(struct writer *writer)
{
    memcpy(writer->text + writer->at, "}", 2);
}

/* ---- a part that a worker refused ---------------------------------------------------------------------------------- */

void reject_of_part(const struct signal *signal, enum signal_part part, enum signal_reason reason, struct reject *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->reason = reason;
    ret->index = UINT32_MAX;
    (void)snprintf(ret->text, sizeof ret->text, "%s", signal_reason_text(reason));
    if (part == PART_CUSTOMER) {
        if ((unsigned)signal->type < SIGNAL_TYPE_COUNT)
            (void)snprintf(ret->type, sizeof ret->type, "%s", signal_type_name(signal->type));
        return;
    }
    struct writer writer = begin(ret, signal->type);
    ret->whole = keep_member(&writer, signal, SIGNAL_FIELD_time_ms); /* stands in the record's head */
    for (unsigned i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_has(signal, (enum signal_field)i) && i != SIGNAL_FIELD_time_ms)
            ret->whole = keep_member(&writer, signal, (enum signal_field)i) && ret->whole;
    end(&writer);
}

/* ---- a value that the gateway refused ------------------------------------------------------------------------------- */

static bool type_of(const cJSON *value, enum signal_type *ret)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(value, "type");
    return cJSON_IsString(type) && signal_type_find(type->valuestring, ret);
}

static bool source_tells_member(const char *source, const cJSON *value, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(value, name);
    return cJSON_IsString(member) && source_tells(source, member->valuestring);
}

static void keep_source(const cJSON *value, struct reject *ret)
{
    const cJSON *source = cJSON_GetObjectItemCaseSensitive(value, "source");
    if (cJSON_IsString(source) && strlen(source->valuestring) < sizeof ret->source &&
        text_is_plain(source->valuestring) && !text_is_personal(source->valuestring) &&
        !source_tells_member(source->valuestring, value, "customer") &&
        !source_tells_member(source->valuestring, value, "session"))
        (void)snprintf(ret->source, sizeof ret->source, "%s", source->valuestring);
}

/* May this member be kept of such a signal, beside a customer's name or without one? */
static bool may_be_kept(enum signal_field field, enum signal_type type, bool of_customer)
{
    if (field == SIGNAL_FIELD_COUNT || !(signal_rows[field].types & (1u << type)))
        return false;
    if (field == SIGNAL_FIELD_time_ms)
        return true;
    if (field == SIGNAL_FIELD_seq)
        return false; /* its source has gone on counting: sent again, the signal gets an id */
    if (field == SIGNAL_FIELD_source || field == SIGNAL_FIELD_id)
        return !of_customer;
    return (signal_rows[field].parts & KEPT_PARTS) != 0;
}

static void keep_members(const cJSON *value, enum signal_type type, const struct signal_rules *rules,
                         struct reject *ret)
{
    struct writer writer = begin(ret, type);
    struct signal signal = { .type = type };
    bool of_customer = cJSON_GetObjectItemCaseSensitive(value, "customer") != NULL ||
                       cJSON_GetObjectItemCaseSensitive(value, "session") != NULL;
    ret->whole = !of_customer;
    for (const cJSON *member = value->child; member != NULL; member = member->next) {
        struct fault fault;
        if (strcmp(member->string, "type") == 0)
            continue;
        enum signal_field field = signal_row_find(member->string);
        bool kept = may_be_kept(field, type, of_customer) && !signal_has(&signal, field);
        if (kept) {
            enum signal_reason reason = signal_take(field, member, rules, "", &signal, &fault);
            /* A time may be fine by itself and only out of its limits: these can be moved. */
            kept = (reason == REASON_none || reason == REASON_too_old || reason == REASON_from_future) &&
                   keep_member(&writer, &signal, field);
        }
        ret->whole = ret->whole && (kept || field == SIGNAL_FIELD_seq);
    }
    end(&writer);
}

static void keep_value(const cJSON *value, const struct signal_rules *rules, struct reject *ret)
{
    enum signal_type type;
    keep_source(value, ret);
    if (!type_of(value, &type))
        return;
    (void)snprintf(ret->type, sizeof ret->type, "%s", signal_type_name(type));
    bool personal = (signal_rows[SIGNAL_FIELD_customer].must >> type & 1u) != 0;
    if (!personal)
        keep_members(value, type, rules, ret);
}

void reject_of_value(const cJSON *value, const struct signal_rules *rules, enum signal_reason reason,
                     const struct fault *fault, struct reject *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->reason = reason;
    keep_pointer(fault->pointer, ret->pointer);
    (void)snprintf(ret->text, sizeof ret->text, "%s", fault->reason);
    if (!cJSON_IsObject(value))
        return;
    if (!signal_is_event(value)) {
        keep_value(value, rules, ret);
        return;
    }
    cJSON *signal =
        signal_event_flatten(value); /* an envelope that is no good holds nothing that could be sent again */
    if (signal != NULL)
        keep_value(signal, rules, ret);
    cJSON_Delete(signal);
}
