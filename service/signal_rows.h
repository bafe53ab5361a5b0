/* signal_rows.h - SIGNAL_FIELDS as data, for the files that walk it: parser, wire format, description. Private to
 * service/. */
#ifndef SERVICE_SIGNAL_ROWS_H
#define SERVICE_SIGNAL_ROWS_H

#include "service/signal.h"

struct signal_row {
    const char *pointer; /* RFC 6901: a slash and the name; names hold nothing to escape */
    enum field_kind kind;
    uint32_t types; /* T() of the types that may carry it */
    uint32_t must;  /* T() of the types that have to */
    unsigned parts; /* PART_* that it travels with; 0: it stays in the gateway or stands in the record's head */
    size_t offset;  /* in struct signal */
    size_t size;
    int64_t low, high;
    const char *unit;
    const char *text;
    const char *choices; /* FIELD_CHOICE, FIELD_CONSENT: words with bars between them */
};

extern const struct signal_row signal_rows[SIGNAL_FIELD_COUNT];

static inline const char *signal_row_name(enum signal_field field)
{
    return signal_rows[field].pointer + 1;
}

/* signal_row_find - the field of a name, or SIGNAL_FIELD_COUNT. */
enum signal_field signal_row_find(const char *name);

/* signal_fields_required - bit per field that a signal of this type must have, of those that travel with any of `parts` (PART_*). */
uint64_t signal_fields_required(enum signal_type type, unsigned parts);

/* choice_count, choice_index - words between bars: how many, and which one `word` is (-1: none). choice_at - the word's
 * bytes. */
int choice_count(const char *choices);
int choice_index(const char *choices, const char *word);
const char *choice_at(const char *choices, int index, size_t *ret_bytes);

/* text_is_plain - no control characters: neither C0, DEL nor C1 (U+0080..U+009F). The text is valid UTF-8. */
bool text_is_plain(const char *text);

/* customer_looks_personal - an id that reads like an e-mail address or a phone number:
 *   e-mail  something, "@", something with a dot that is neither first nor last
 *   phone   only digits, blanks and - . ( ) / behind an optional "+", and: 7..15 digits behind a "+", or 9..15 digits
 * A plain number of up to 8 digits is a customer number. */
bool customer_looks_personal(const char *id);

/* signal_take - check and convert one field's JSON value into *ret, and mark it present. Returns REASON_none, or a
 * reason with *fault, whose pointer is `pointer`. */
enum signal_reason signal_take(enum signal_field field, const cJSON *value, const struct signal_rules *rules,
                               const char *pointer, struct signal *ret, struct fault *fault);

/* signal_cross_check - what fields say together. A location's position becomes its zone here. */
enum signal_reason signal_cross_check(const struct signal_rules *rules, struct signal *signal, struct fault *fault);

/* What signal_parse() is made of, for the signal in an envelope (signal_event.c) too: type; all members but type; arrival time,
 * required members, cross check. */
bool signal_type_find(const char *name, enum signal_type *ret);
enum signal_reason signal_take_type(const cJSON *object, struct signal *ret, struct fault *fault);
enum signal_reason signal_take_members(const cJSON *object, const struct signal_rules *rules, struct signal *ret,
                                       struct fault *fault);
enum signal_reason signal_finish(const struct signal_rules *rules, struct signal *ret, struct fault *fault);
enum signal_reason signal_parse_event(const cJSON *object, const struct signal_rules *rules, struct signal *ret,
                                      struct fault *fault);

/* time_parse - RFC 3339 to Unix milliseconds; further decimals are cut. A leap second is the second after it. */
bool time_parse(const char *text, int64_t *ret_ms);
#endif
