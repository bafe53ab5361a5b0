/* signal_names.c - the tables of signal.h as data, and what can be asked of their words. */
#include "service/signal_rows.h"

#include <stdatomic.h>
#include <string.h>

#define ROW(name_, member_, kind_, types_, must_, parts_, low_, high_, unit_, text_, choices_)                         \
    [SIGNAL_FIELD_##member_] = { .pointer = "/" name_,                                                                 \
                                 .kind = kind_,                                                                        \
                                 .types = types_,                                                                      \
                                 .must = must_,                                                                        \
                                 .parts = parts_,                                                                      \
                                 .offset = offsetof(struct signal, member_),                                           \
                                 .size = sizeof(((struct signal *)0)->member_),                                        \
                                 .low = low_,                                                                          \
                                 .high = high_,                                                                        \
                                 .unit = unit_,                                                                        \
                                 .text = text_,                                                                        \
                                 .choices = choices_ },
const struct signal_row signal_rows[SIGNAL_FIELD_COUNT] = { SIGNAL_FIELDS(ROW) };
#undef ROW

enum reason_class { NOTE, REJECT };

static const struct {
    const char *name;
    enum reason_class class;
    const char *text;
} REASONS[REASON_COUNT] = {
#define REASON_ROW(name_, class_, text_) [REASON_##name_] = { #name_, class_, text_ },
    SIGNAL_REASONS(REASON_ROW)
#undef REASON_ROW
};

static const char *const TYPES[SIGNAL_TYPE_COUNT] = {
#define TYPE_ROW(name_, text_) [SIGNAL_##name_] = #name_,
    SIGNAL_TYPES(TYPE_ROW)
#undef TYPE_ROW
};

const char *signal_reason_name(enum signal_reason reason)
{
    return (unsigned)reason < REASON_COUNT ? REASONS[reason].name : "unknown";
}

const char *signal_reason_text(enum signal_reason reason)
{
    return (unsigned)reason < REASON_COUNT ? REASONS[reason].text : "unknown reason";
}

bool signal_reason_rejects(enum signal_reason reason)
{
    return (unsigned)reason < REASON_COUNT && REASONS[reason].class == REJECT;
}

const char *signal_type_name(enum signal_type type)
{
    return (unsigned)type < SIGNAL_TYPE_COUNT ? TYPES[type] : "unknown";
}

/* Worked out when it is asked for first; any thread may, they all find the same. No combination that a signal can have requires nothing. */
uint64_t signal_fields_required(enum signal_type type, unsigned parts)
{
    static _Atomic uint64_t known[SIGNAL_TYPE_COUNT][8];
    uint64_t required = atomic_load_explicit(&known[type][parts % 8], memory_order_relaxed);
    if (required != 0)
        return required;
    for (unsigned i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].must & (1u << type) && signal_rows[i].parts & parts)
            required |= UINT64_C(1) << i;
    atomic_store_explicit(&known[type][parts % 8], required, memory_order_relaxed);
    return required;
}

enum signal_field signal_row_find(const char *name)
{
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].pointer[1] == name[0] && strcmp(signal_rows[i].pointer + 1, name) == 0)
            return (enum signal_field)i;
    return SIGNAL_FIELD_COUNT;
}

const char *choice_at(const char *choices, int index, size_t *ret_bytes)
{
    const char *at = choices;
    while (index-- > 0) {
        at = strchr(at, '|');
        if (at == NULL)
            return NULL;
        at++;
    }
    *ret_bytes = strcspn(at, "|");
    return at;
}

int choice_count(const char *choices)
{
    int count = choices[0] != '\0';
    for (; *choices != '\0'; choices++)
        count += *choices == '|';
    return count;
}

int choice_index(const char *choices, const char *word)
{
    if (strchr(word, '|') != NULL)
        return -1;
    for (int i = 0;; i++, choices++) {
        size_t same = 0;
        while (word[same] != '\0' && choices[same] == word[same])
            same++;
        if (word[same] == '\0' && (choices[same] == '|' || choices[same] == '\0'))
            return i;
        choices += same;
        while (*choices != '|')
            if (*choices++ == '\0')
                return -1;
    }
}

bool text_is_plain(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7F)
            return false;
        if (*at == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F)
            return false;
    }
    return true;
}

static bool looks_like_email(const char *id)
{
    const char *at = strrchr(id, '@');
    if (at == NULL || at == id)
        return false;
    const char *dot = strchr(at + 1, '.');
    return dot != NULL && dot != at + 1 && strrchr(at, '.')[1] != '\0';
}

static bool looks_like_phone(const char *id)
{
    size_t digits = 0;
    bool plus = id[0] == '+';
    for (const char *at = id + plus; *at != '\0'; at++) {
        if (*at >= '0' && *at <= '9')
            digits++;
        else if (strchr(" -.()/", *at) == NULL)
            return false;
    }
    return digits >= (plus ? 7 : 9) && digits <= 15;
}

bool customer_looks_personal(const char *id)
{
    return looks_like_email(id) || looks_like_phone(id);
}

unsigned signal_parts(const struct signal *signal)
{
    switch (signal->type) {
    case SIGNAL_product:
    case SIGNAL_supply:
    case SIGNAL_competitor: return PART_PRODUCT;
    case SIGNAL_demand:
        return signal_has(signal, SIGNAL_FIELD_customer) ? PART_PRODUCT | PART_CUSTOMER : (unsigned)PART_PRODUCT;
    case SIGNAL_zone:
    case SIGNAL_weather: return PART_COMMON;
    case SIGNAL_location:
    case SIGNAL_customer:
    case SIGNAL_offer:
    case SIGNAL_receipt:
    case SIGNAL_forget: return PART_CUSTOMER;
    case SIGNAL_TYPE_COUNT: break;
    }
    return 0;
}
