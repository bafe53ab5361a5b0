/* signal_parse.c - one JSON object to one struct signal, or a reason why not.
 *
 *   members, in the order of the text --signal_take()--> converted, in bounds --> required ones -->
 *   signal_cross_check()
 *
 * Everything is driven by SIGNAL_FIELDS. What is said to the sender never repeats a value: values may be personal. */
#include "service/signal_rows.h"

#include "pricing/fixed.h"
#include "pricing/money.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXACT_MAX                           9007199254740992.0 /* 2^53: from here on a double skips integers */
#define MOMENT_MAX                          INT64_C(4102444800000) /* as for the field "time" */

/* ---- small helpers ---------------------------------------------------------------------------------------- */

#define REFUSE(fault, pointer, reason, ...) (fault_set(fault, NULL, 0, pointer, __VA_ARGS__), REASON_##reason)

#define POINTER_BYTES                       (2 * FAULT_POINTER_MAX) /* more than a fault keeps: fault_set() cuts between characters */

/* "/name", escaped as RFC 6901 says. */
static void pointer_of(const char *name, char ret[POINTER_BYTES])
{
    size_t at = 0;
    ret[at++] = '/';
    for (; *name != '\0' && at + 2 < POINTER_BYTES; name++) {
        if (*name == '~' || *name == '/') {
            ret[at++] = '~';
            ret[at++] = *name == '~' ? '0' : '1';
        } else {
            ret[at++] = *name;
        }
    }
    ret[at] = '\0';
}

static void *member_of(struct signal *signal, const struct signal_row *row)
{
    return (char *)signal + row->offset;
}

static enum signal_reason keep_number(const struct signal_row *row, int64_t value, const char *pointer,
                                      struct signal *ret, struct fault *fault)
{
    if (value < row->low || value > row->high)
        return REFUSE(fault, pointer, out_of_range, "must be from %" PRId64 " to %" PRId64, row->low, row->high);
    memcpy(member_of(ret, row), &value, sizeof value);
    return REASON_none;
}

/* ---- one function per kind of field ------------------------------------------------------------------------- */

static enum signal_reason take_text_into(const struct signal_row *row, const cJSON *value, const char *pointer,
                                         size_t size, char *to, struct fault *fault)
{
    if (!cJSON_IsString(value))
        return REFUSE(fault, pointer, wrong_type, "must be a text");
    size_t bytes = strlen(value->valuestring);
    if (bytes > (size_t)row->high || bytes >= size)
        return REFUSE(fault, pointer, too_long, "longer than %" PRId64 " bytes", row->high);
    if (bytes < (size_t)row->low)
        return REFUSE(fault, pointer, bad_text, "must not be empty");
    if (!text_is_plain(value->valuestring))
        return REFUSE(fault, pointer, bad_text, "control characters are not allowed");
    memcpy(to, value->valuestring, bytes + 1);
    return REASON_none;
}

static enum signal_reason take_text(const struct signal_row *row, const cJSON *value, const char *pointer,
                                    struct signal *ret, struct fault *fault)
{
    char *to = member_of(ret, row);
    enum signal_reason reason = take_text_into(row, value, pointer, row->size, to, fault);
    if (reason == REASON_none && row->kind == FIELD_CUSTOMER && customer_looks_personal(to)) {
        to[0] = '\0';
        return REFUSE(fault, pointer, looks_personal,
                      "must be a pseudonym: this looks like an e-mail address or a phone number");
    }
    return reason;
}

static enum signal_reason take_zone(const struct signal_row *row, const cJSON *value, const struct signal_rules *rules,
                                    const char *pointer, struct signal *ret, struct fault *fault)
{
    enum signal_reason reason = take_text(row, value, pointer, ret, fault);
    if (reason != REASON_none)
        return reason;
    char *name = member_of(ret, row);
    struct zone_chain chain;
    if (!zone_chain_of(&rules->levels, name, strlen(name), &chain))
        return REFUSE(
            fault, pointer, bad_zone,
            "not a zone name: letters, digits and _ . : - are taken, in at most 8 parts with a slash between them");
    memset(name, 0, row->size);
    if (chain.count > 0)
        memcpy(name, chain.name[0], strlen(chain.name[0])); /* what stands behind its end is not ours to copy */
    return REASON_none;
}

static enum signal_reason take_integer(const struct signal_row *row, const cJSON *value, const char *pointer,
                                       struct signal *ret, struct fault *fault)
{
    bool money = row->kind == FIELD_MONEY;
    if (!cJSON_IsNumber(value))
        return REFUSE(fault, pointer, wrong_type, money ? "must be an integer of minor units" : "must be an integer");
    double number = value->valuedouble;
    if (!(fabs(number) < EXACT_MAX))
        return REFUSE(fault, pointer, out_of_range, "must be from %" PRId64 " to %" PRId64, row->low, row->high);
    if (number != trunc(number) && money)
        return REFUSE(fault, pointer, not_minor_units,
                      "must be an integer of minor units: 19.99 in a currency of two decimals is 1999");
    if (number != trunc(number))
        return REFUSE(fault, pointer, wrong_type, "must be an integer");
    return keep_number(row, (int64_t)number, pointer, ret, fault);
}

static enum signal_reason take_number(const struct signal_row *row, const cJSON *value, const char *pointer,
                                      struct signal *ret, struct fault *fault)
{
    if (!cJSON_IsNumber(value))
        return REFUSE(fault, pointer, wrong_type, "must be a number");
    double micro = value->valuedouble * (double)MICRO;
    if (!(micro >= (double)row->low - 0.5 && micro <= (double)row->high + 0.5))
        return REFUSE(fault, pointer, out_of_range, "must be from %g to %g", (double)row->low / (double)MICRO,
                      (double)row->high / (double)MICRO);
    return keep_number(row, llrint(micro), pointer, ret, fault);
}

static enum signal_reason read_time(const cJSON *value, const char *pointer, int64_t *ret_ms, struct fault *fault)
{
    if (cJSON_IsString(value)) {
        if (!time_parse(value->valuestring, ret_ms))
            return REFUSE(fault, pointer, wrong_type, "not a time: write it as 2026-01-31T10:00:00Z");
    } else if (!cJSON_IsNumber(value) || !(fabs(value->valuedouble) < EXACT_MAX) ||
               value->valuedouble != trunc(value->valuedouble)) {
        return REFUSE(fault, pointer, wrong_type, "must be RFC 3339 text or an integer of Unix milliseconds");
    } else {
        *ret_ms = (int64_t)value->valuedouble;
    }
    return REASON_none;
}

static enum signal_reason take_time(const struct signal_row *row, const cJSON *value, const struct signal_rules *rules,
                                    const char *pointer, struct signal *ret, struct fault *fault)
{
    int64_t ms = 0;
    enum signal_reason reason = read_time(value, pointer, &ms, fault);
    if (reason == REASON_none)
        reason = keep_number(row, ms, pointer, ret, fault);
    if (reason != REASON_none || row->offset != offsetof(struct signal, time_ms))
        return reason;
    if (ms < rules->now_ms - rules->age_max_ms)
        return REFUSE(fault, pointer, too_old, "more than %" PRId64 " s ago", rules->age_max_ms / 1000);
    if (ms > signal_latest_ms(rules))
        return REFUSE(fault, pointer, from_future, "more than %" PRId64 " s ahead", rules->future_max_ms / 1000);
    return REASON_none;
}

static enum signal_reason take_switch(const struct signal_row *row, const cJSON *value, const char *pointer,
                                      struct signal *ret, struct fault *fault)
{
    if (!cJSON_IsBool(value))
        return REFUSE(fault, pointer, wrong_type, "must be true or false");
    return keep_number(row, cJSON_IsTrue(value) ? 1 : 0, pointer, ret, fault);
}

static enum signal_reason take_choice(const struct signal_row *row, const cJSON *value, const char *pointer,
                                      struct signal *ret, struct fault *fault)
{
    if (!cJSON_IsString(value))
        return REFUSE(fault, pointer, wrong_type, "must be one of %s", row->choices);
    int64_t index = choice_index(row->choices, value->valuestring);
    if (index < 0)
        return REFUSE(fault, pointer, out_of_range, "must be one of %s", row->choices);
    memcpy(member_of(ret, row), &index, sizeof index);
    return REASON_none;
}

static enum signal_reason take_currency(const cJSON *value, const char *pointer, struct signal *ret,
                                        struct fault *fault)
{
    if (!cJSON_IsString(value))
        return REFUSE(fault, pointer, wrong_type, "must be three letters of ISO 4217");
    if (strlen(value->valuestring) != 3 || currency_find(value->valuestring) == NULL)
        return REFUSE(fault, pointer, bad_currency, "not a currency of ISO 4217");
    memcpy(ret->currency, value->valuestring, sizeof ret->currency);
    return REASON_none;
}

/* The words of CHOICES_BASIS stand in the order of the bits RIALTO_KIND_*. */
static_assert(RIALTO_KIND_LOCATION == 1u << 0 && RIALTO_KIND_BEHAVIOUR == 1u << 1 && RIALTO_KIND_PURCHASES == 1u << 2 &&
                  RIALTO_KIND_PROFILE == 1u << 3 && RIALTO_KIND_PARTNER == 1u << 4,
              "a consent's bit is 1 << its word's place");

static_assert(sizeof(((struct signal *)NULL)->consent.note) == CONSENT_KINDS * sizeof(struct consent_note),
              "a note for each kind");

/* Who said so, and which wording: labels, nobody's name. */
static enum signal_reason take_label(const cJSON *value, const char *pointer, size_t room, char *ret,
                                     struct fault *fault)
{
    const struct signal_row label = { .low = 1, .high = (int64_t)room - 1 };
    enum signal_reason reason = take_text_into(&label, value, pointer, room, ret, fault);
    if (reason == REASON_none && customer_looks_personal(ret))
        return REFUSE(fault, pointer, looks_personal,
                      "must be a label: this looks like an e-mail address or a phone number");
    return reason;
}

static enum signal_reason take_moment(const cJSON *value, const char *pointer, int64_t *ret_ms, struct fault *fault)
{
    enum signal_reason reason = read_time(value, pointer, ret_ms, fault);
    if (reason == REASON_none && (*ret_ms < 1 || *ret_ms > MOMENT_MAX))
        return REFUSE(fault, pointer, out_of_range, "must be from 1 to %" PRId64, MOMENT_MAX);
    return reason;
}

/* A consent of long ago may be told today: its time is no older signal. */
static enum signal_reason take_consent_member(const cJSON *member, const struct signal_rules *rules,
                                              const char *pointer, struct consent_note *note, bool *ret_granted,
                                              struct fault *fault)
{
    enum signal_reason reason;
    switch (choice_index("granted|source|text|time", member->string)) {
    case 0:
        if (!cJSON_IsBool(member))
            return REFUSE(fault, pointer, wrong_type, "must be true or false");
        *ret_granted = cJSON_IsTrue(member);
        return REASON_none;
    case 1: return take_label(member, pointer, sizeof note->source, note->source, fault);
    case 2: return take_label(member, pointer, sizeof note->text, note->text, fault);
    case 3:
        reason = take_moment(member, pointer, &note->time_ms, fault);
        if (reason == REASON_none && note->time_ms > signal_latest_ms(rules))
            return REFUSE(fault, pointer, from_future, "more than %" PRId64 " s ahead", rules->future_max_ms / 1000);
        return reason;
    default: return REFUSE(fault, pointer, unknown_field, "a consent says granted, source, text and time");
    }
}

/* {"granted":true,"source":"app","text":"2026-11","time":...} */
static enum signal_reason take_consent_note(const cJSON *object, const struct signal_rules *rules, const char *pointer,
                                            struct consent_note *note, bool *ret_granted, struct fault *fault)
{
    bool said = false;
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        char place[POINTER_BYTES + FAULT_POINTER_MAX], inner[POINTER_BYTES];
        pointer_of(member->string, inner);
        (void)snprintf(place, sizeof place, "%.100s%s", pointer, inner);
        enum signal_reason reason = take_consent_member(member, rules, place, note, ret_granted, fault);
        if (reason != REASON_none)
            return reason;
        said = said || strcmp(member->string, "granted") == 0;
    }
    return said ? REASON_none : REFUSE(fault, pointer, missing_field, "a consent says whether it is granted");
}

static enum signal_reason take_consent(const struct signal_row *row, const cJSON *value,
                                       const struct signal_rules *rules, const char *pointer, struct signal *ret,
                                       struct fault *fault)
{
    if (!cJSON_IsObject(value))
        return REFUSE(fault, pointer, wrong_type, "must be an object of kinds, each true or false");
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        char place[POINTER_BYTES + 32], inner[POINTER_BYTES];
        pointer_of(child->string, inner);
        (void)snprintf(place, sizeof place, "%.31s%s", pointer, inner);
        int kind = choice_index(row->choices, child->string);
        if (kind < 0)
            return REFUSE(fault, place, unknown_field, "kinds are %s", row->choices);
        if (!cJSON_IsBool(child) && !cJSON_IsObject(child))
            return REFUSE(fault, place, wrong_type, "must be true or false, or an object that says more");
        bool granted = cJSON_IsTrue(child);
        if (cJSON_IsObject(child)) {
            enum signal_reason reason =
                take_consent_note(child, rules, place, &ret->consent.note[kind], &granted, fault);
            if (reason != REASON_none)
                return reason;
        }
        uint8_t bit = (uint8_t)(1u << kind);
        ret->consent.given |= bit;
        if (granted)
            ret->consent.granted |= bit;
    }
    return REASON_none;
}

/* {"name":"student","until":...,"party":"zero"} */
static enum signal_reason take_status_member(const struct signal_row *row, const cJSON *member, const char *pointer,
                                             uint32_t at, struct signal *ret, struct fault *fault)
{
    int party;
    switch (choice_index("name|until|party", member->string)) {
    case 0: return take_text_into(row, member, pointer, sizeof ret->segments.word[0], ret->segments.word[at], fault);
    case 1: return take_moment(member, pointer, &ret->segments.until_ms[at], fault);
    case 2:
        party = cJSON_IsString(member) ? choice_index(CHOICES_PARTY, member->valuestring) : -1;
        if (party < 0)
            return REFUSE(fault, pointer, out_of_range, "must be one of " CHOICES_PARTY);
        ret->segments.party[at] = (uint8_t)(party + 1);
        return REASON_none;
    default: return REFUSE(fault, pointer, unknown_field, "a segment has a name, until and party");
    }
}

static enum signal_reason take_status(const struct signal_row *row, const cJSON *object, const char *pointer,
                                      uint32_t at, struct signal *ret, struct fault *fault)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        char place[POINTER_BYTES + FAULT_POINTER_MAX], inner[POINTER_BYTES];
        pointer_of(member->string, inner);
        (void)snprintf(place, sizeof place, "%.100s%s", pointer, inner);
        enum signal_reason reason = take_status_member(row, member, place, at, ret, fault);
        if (reason != REASON_none)
            return reason;
    }
    return ret->segments.word[at][0] != '\0' ? REASON_none
                                             : REFUSE(fault, pointer, missing_field, "a segment has a name");
}

static enum signal_reason take_words(const struct signal_row *row, const cJSON *value, const char *pointer,
                                     struct signal *ret, struct fault *fault)
{
    if (!cJSON_IsArray(value))
        return REFUSE(fault, pointer, wrong_type, "must be a list of texts");
    uint32_t count = 0;
    for (const cJSON *child = value->child; child != NULL; child = child->next, count++) {
        char place[FAULT_POINTER_MAX];
        if (count >= TERMS_SEGMENTS_MAX)
            return REFUSE(fault, pointer, too_long, "at most %u of them", TERMS_SEGMENTS_MAX);
        (void)snprintf(place, sizeof place, "%.100s/%u", pointer, count);
        enum signal_reason reason =
            cJSON_IsObject(child)
                ? take_status(row, child, place, count, ret, fault)
                : take_text_into(row, child, place, sizeof ret->segments.word[0], ret->segments.word[count], fault);
        if (reason != REASON_none)
            return reason;
    }
    ret->segments.count = count;
    return REASON_none;
}

static enum signal_reason take_attribute(const struct signal_row *row, const cJSON *value, const char *pointer,
                                         int64_t *ret, struct fault *fault)
{
    if (cJSON_IsBool(value)) {
        *ret = cJSON_IsTrue(value) ? MICRO : 0;
        return REASON_none;
    }
    if (!cJSON_IsNumber(value))
        return REFUSE(fault, pointer, wrong_type, "must be a number, true or false");
    double micro = value->valuedouble * (double)MICRO;
    if (!(micro >= (double)row->low && micro <= (double)row->high))
        return REFUSE(fault, pointer, out_of_range, "must be from %g to %g", (double)row->low / (double)MICRO,
                      (double)row->high / (double)MICRO);
    *ret = llrint(micro);
    return REASON_none;
}

static enum signal_reason take_attributes(const struct signal_row *row, const cJSON *value, const char *pointer,
                                          struct signal *ret, struct fault *fault)
{
    if (!cJSON_IsObject(value))
        return REFUSE(fault, pointer, wrong_type, "must be an object of names, each with a number");
    int64_t count = 0;
    size_t bytes = 0;
    for (const cJSON *child = value->child; child != NULL; child = child->next, count++) {
        char place[POINTER_BYTES + 32], inner[POINTER_BYTES];
        if (count >= ATTRIBUTES_MAX)
            return REFUSE(fault, pointer, too_long, "at most %u of them", ATTRIBUTES_MAX);
        pointer_of(child->string, inner);
        (void)snprintf(place, sizeof place, "%.31s%s", pointer, inner);
        const char *why = attribute_name_fault(child->string);
        if (why != NULL)
            return REFUSE(fault, place, bad_attribute, "%s", why);
        bytes += strlen(child->string) + 1;
        if (bytes > ATTRIBUTE_NAMES_BYTES)
            return REFUSE(fault, pointer, too_long, "their names have at most %u bytes together, one more for each counted",
                          ATTRIBUTE_NAMES_BYTES);
        memcpy(ret->attributes.name[count], child->string, strlen(child->string) + 1);
        enum signal_reason reason = take_attribute(row, child, place, &ret->attributes.micro[count], fault);
        if (reason != REASON_none)
            return reason;
    }
    ret->attributes.count = count;
    return REASON_none;
}

enum signal_reason signal_take(enum signal_field field, const cJSON *value, const struct signal_rules *rules,
                               const char *pointer, struct signal *ret, struct fault *fault)
{
    const struct signal_row *row = &signal_rows[field];
    enum signal_reason reason = REASON_none;
    ret->seldom = ret->seldom || row->offset >= SIGNAL_SELDOM;
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_CUSTOMER: reason = take_text(row, value, pointer, ret, fault); break;
    case FIELD_ZONE: reason = take_zone(row, value, rules, pointer, ret, fault); break;
    case FIELD_MONEY:
    case FIELD_INTEGER: reason = take_integer(row, value, pointer, ret, fault); break;
    case FIELD_NUMBER: reason = take_number(row, value, pointer, ret, fault); break;
    case FIELD_TIME: reason = take_time(row, value, rules, pointer, ret, fault); break;
    case FIELD_SWITCH: reason = take_switch(row, value, pointer, ret, fault); break;
    case FIELD_CHOICE: reason = take_choice(row, value, pointer, ret, fault); break;
    case FIELD_CURRENCY: reason = take_currency(value, pointer, ret, fault); break;
    case FIELD_CONSENT: reason = take_consent(row, value, rules, pointer, ret, fault); break;
    case FIELD_WORDS: reason = take_words(row, value, pointer, ret, fault); break;
    case FIELD_ATTRIBUTES: reason = take_attributes(row, value, pointer, ret, fault); break;
    }
    if (reason == REASON_none)
        ret->present |= UINT64_C(1) << field;
    return reason;
}

/* ---- the whole object --------------------------------------------------------------------------------------- */

bool signal_type_find(const char *name, enum signal_type *ret)
{
    for (int i = 0; i < SIGNAL_TYPE_COUNT; i++) {
        if (strcmp(name, signal_type_name((enum signal_type)i)) == 0) {
            *ret = (enum signal_type)i;
            return true;
        }
    }
    return false;
}

enum signal_reason signal_take_type(const cJSON *object, struct signal *ret, struct fault *fault)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "type");
    if (value == NULL)
        return REFUSE(fault, "/type", missing_field, "every signal has a type");
    if (!cJSON_IsString(value))
        return REFUSE(fault, "/type", wrong_type, "must be a text");
    if (!signal_type_find(value->valuestring, &ret->type))
        return REFUSE(fault, "/type", unknown_type, "unknown type of signal");
    return REASON_none;
}

static enum signal_reason take_member(const cJSON *member, const struct signal_rules *rules, struct signal *ret,
                                      struct fault *fault)
{
    enum signal_field field = signal_row_find(member->string);
    if (field != SIGNAL_FIELD_COUNT && signal_rows[field].types & (1u << ret->type) && !signal_has(ret, field))
        return signal_take(field, member, rules, signal_rows[field].pointer, ret, fault);
    char pointer[POINTER_BYTES];
    pointer_of(member->string, pointer);
    if (field == SIGNAL_FIELD_COUNT)
        return REFUSE(fault, pointer, unknown_field, "unknown field");
    if (signal_has(ret, field))
        return REFUSE(fault, pointer, contradiction, "stands twice");
    return REFUSE(fault, pointer, unknown_field, "a %s signal has no such field", signal_type_name(ret->type));
}

static enum signal_reason check_required(const struct signal *signal, struct fault *fault)
{
    uint64_t missing =
        signal_fields_required(signal->type, PART_PRODUCT | PART_CUSTOMER | PART_COMMON) & ~signal->present;
    if (missing == 0)
        return REASON_none;
    return REFUSE(fault, signal_rows[__builtin_ctzll(missing)].pointer, missing_field, "a %s signal needs it",
                  signal_type_name(signal->type));
}

enum signal_reason signal_take_members(const cJSON *object, const struct signal_rules *rules, struct signal *ret,
                                       struct fault *fault)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (strcmp(member->string, "type") == 0)
            continue;
        enum signal_reason reason = take_member(member, rules, ret, fault);
        if (reason != REASON_none)
            return reason;
    }
    return REASON_none;
}

/* Who numbers his signals says who he is, and needs no ids. */
static enum signal_reason check_number(const struct signal *signal, struct fault *fault)
{
    if (!signal_has(signal, SIGNAL_FIELD_seq))
        return REASON_none;
    if (!signal_has(signal, SIGNAL_FIELD_source))
        return REFUSE(fault, "/source", missing_field, "a number is its source's");
    if (signal_has(signal, SIGNAL_FIELD_id))
        return REFUSE(fault, "/seq", contradiction, "either an id or a number");
    return REASON_none;
}

enum signal_reason signal_finish(const struct signal_rules *rules, struct signal *ret, struct fault *fault)
{
    if (!signal_has(ret, SIGNAL_FIELD_time_ms))
        ret->time_ms = rules->now_ms;
    enum signal_reason reason = check_required(ret, fault);
    if (reason == REASON_none)
        reason = check_number(ret, fault);
    return reason != REASON_none ? reason : signal_cross_check(rules, ret, fault);
}

bool signal_is_of_customer(const struct signal *signal)
{
    return (signal_rows[SIGNAL_FIELD_customer].must >> signal->type & 1u) != 0;
}

enum signal_reason signal_parse(const cJSON *object, const struct signal_rules *rules, struct signal *ret,
                                struct fault *fault)
{
    assert(rules != NULL);
    assert(ret != NULL);
    memset(ret, 0, sizeof *ret);
    if (!cJSON_IsObject(object))
        return REFUSE(fault, "", not_object, "a signal is a JSON object");
    if (signal_is_event(object))
        return signal_parse_event(object, rules, ret, fault);
    enum signal_reason reason = signal_take_type(object, ret, fault);
    if (reason == REASON_none)
        reason = signal_take_members(object, rules, ret, fault);
    return reason != REASON_none ? reason : signal_finish(rules, ret, fault);
}
