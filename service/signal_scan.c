/* signal_scan.c - the signals that come by the hundred thousand, read without a tree.
 *
 *   {"type":"demand","sku":"milk-1l","event":"order","quantity":2,"zone":"de/south","source":"pos-25","seq":1009}
 *
 * A flat object, its type first, texts of plain ASCII without escapes, whole numbers of few digits. Whatever else there is
 * (escapes, fractions, lists, a fault of any kind) is not refused here but left to json_parse() and signal_parse(), which alone
 * say what is wrong. What is accepted here they accept too, with the same result to the byte: tests/fuzz/fuzz_scan.c compares. */
#include "service/short_bytes.h"
#include "service/signal_rows.h"

#include "pricing/fixed.h"
#include "pricing/money.h"

#include <string.h>

#define DIGITS_MAX       15u /* exact as a double */
#define DIGITS_MICRO_MAX 9u  /* and in millionths */
#define TIME_TEXT_MAX    40u

#ifdef __SSE2__ /* every x86-64 */
#include <emmintrin.h>
#endif

struct cursor {
    const char *at, *end;
};

struct span { /* of a text, between its quotes */
    const char *text;
    size_t bytes;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r'))
        cursor->at++;
}

static inline bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c) /* mostly it stands there, without blanks */
        skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The high bit of each byte that is 0; above the first one also of others. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

/* Over what is plain, sixteen bytes or eight at a time. The lowest bit found is exact: the first byte that ends a text, or is not plain ASCII. */
static inline const char *skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'), del = _mm_set1_epi8(0x7F),
                  blank = _mm_set1_epi8(0x20);
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, back));
        __m128i others = _mm_or_si128(_mm_cmpeq_epi8(bytes, del),
                                      _mm_cmplt_epi8(bytes, blank)); /* signed: above ASCII is below 0, too */
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(ends, others));
        if (found != 0)
            return at + __builtin_ctz(found);
    }
#endif
    uint64_t word;
    for (; (size_t)(end - at) >= sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word); /* little-endian, as all that travels */
        uint64_t control = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80), wide = word & EACH_BYTE(0x80);
        uint64_t found = control | wide | zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\')) |
                         zero_bytes(word ^ EACH_BYTE(0x7F));
        if (found != 0)
            return at + __builtin_ctzll(found) / 8;
    }
    return at;
}

static inline bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static inline bool take_span(struct cursor *cursor, struct span *ret)
{
    if (!take(cursor, '"'))
        return false;
    const char *at = skip_plain(cursor->at, cursor->end);
    while (at < cursor->end && is_plain(*at)) /* the last few bytes of a line */
        at++;
    if (at == cursor->end || *at != '"')
        return false;
    *ret = (struct span){ cursor->at, (size_t)(at - cursor->at) };
    cursor->at = at + 1;
    return true;
}

/* Digits only: a sign, a fraction or an exponent behind them is met as something else than a comma. */
static bool take_digits(struct cursor *cursor, unsigned digits_max, int64_t *ret)
{
    skip_blanks(cursor);
    const char *from = cursor->at, *at = from;
    size_t left = (size_t)(cursor->end - from);
    const char *end = from + (left <= digits_max ? left : digits_max + 1); /* one too many is seen as such */
    int64_t value = 0;
    for (unsigned digit; at < end && (digit = (unsigned)*at - '0') <= 9; at++)
        value = value * 10 + digit;
    size_t digits = (size_t)(at - from);
    cursor->at = at;
    *ret = value;
    return digits > 0 && digits <= digits_max && (from[0] != '0' || digits == 1);
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

static bool keep(const struct signal_row *row, int64_t value, struct signal *ret)
{
    memcpy((char *)ret + row->offset, &value, sizeof value);
    return value >= row->low && value <= row->high;
}

static bool take_number(struct cursor *cursor, const struct signal_row *row, struct signal *ret)
{
    int64_t value;
    bool micro = row->kind == FIELD_NUMBER;
    return take_digits(cursor, micro ? DIGITS_MICRO_MAX : DIGITS_MAX, &value) &&
           keep(row, micro ? value * MICRO : value, ret);
}

static bool take_text(struct cursor *cursor, const struct signal_row *row, struct signal *ret)
{
    struct span span;
    char *to = (char *)ret + row->offset;
    if (!take_span(cursor, &span) || span.bytes > (size_t)row->high || span.bytes >= row->size ||
        span.bytes < (size_t)row->low)
        return false;
    copy_bytes(to, span.text, span.bytes);
    return row->kind != FIELD_CUSTOMER || !customer_looks_personal(to);
}

/* The same zones come again and again: what one was cut to is remembered. */
static bool take_zone(struct cursor *cursor, const struct signal_row *row, struct signal_scanner *scanner,
                      struct signal *ret)
{
    struct span span;
    struct zone_chain chain;
    char *to = (char *)ret + row->offset;
    if (!take_span(cursor, &span) || span.bytes > (size_t)row->high || span.bytes >= row->size)
        return false;
    struct scanned_zone *known = &scanner->zone[hash_bytes(span.text, span.bytes) % SCANNED_ZONES];
    if (known->bytes != span.bytes + 1 || !same_bytes(known->text, span.text, span.bytes)) {
        if (!zone_chain_of(&scanner->rules->levels, span.text, span.bytes, &chain))
            return false;
        memset(known, 0, sizeof *known);
        memcpy(known->text, span.text, span.bytes);
        known->bytes = (uint8_t)(span.bytes + 1);
        if (chain.count > 0)
            memcpy(known->name, chain.name[0], strlen(chain.name[0]));
    }
    memcpy(to, known->name, row->size);
    return true;
}

static bool take_currency(struct cursor *cursor, const struct signal_row *row, struct signal *ret)
{
    struct span span;
    char word[4] = "";
    if (!take_span(cursor, &span) || span.bytes != 3)
        return false;
    memcpy(word, span.text, span.bytes);
    memcpy((char *)ret + row->offset, word, sizeof word);
    return currency_find(word) != NULL;
}

/* The same words come again and again: the last one is looked at first. */
static bool take_word(struct cursor *cursor, const struct signal_row *row, struct scanned_word *known, struct signal *ret)
{
    struct span span;
    if (!take_span(cursor, &span) || span.bytes >= sizeof known->text)
        return false;
    if (known->bytes != span.bytes + 1 || !same_bytes(known->text, span.text, span.bytes)) {
        char word[RIALTO_NAME_MAX] = "";
        memcpy(word, span.text, span.bytes);
        int64_t found = choice_index(row->choices, word);
        if (found < 0 || found > UINT8_MAX)
            return false;
        known->bytes = (uint8_t)(span.bytes + 1);
        known->index = (uint8_t)found;
        memcpy(known->text, word, sizeof known->text);
    }
    int64_t index = known->index;
    memcpy((char *)ret + row->offset, &index, sizeof index);
    return true;
}

static bool take_time(struct cursor *cursor, const struct signal_row *row, const struct signal_rules *rules,
                      struct signal *ret)
{
    int64_t ms;
    skip_blanks(cursor);
    if (cursor->at < cursor->end && *cursor->at == '"') {
        struct span span;
        char text[TIME_TEXT_MAX] = "";
        if (!take_span(cursor, &span) || span.bytes >= sizeof text)
            return false;
        memcpy(text, span.text, span.bytes);
        if (!time_parse(text, &ms))
            return false;
    } else if (!take_digits(cursor, DIGITS_MAX, &ms)) {
        return false;
    }
    bool of_signal = row->offset == offsetof(struct signal, time_ms);
    return keep(row, ms, ret) && !(of_signal && (ms < rules->now_ms - rules->age_max_ms || ms > signal_latest_ms(rules)));
}

static bool take_value(struct cursor *cursor, const struct signal_row *row, struct signal_scanner *scanner,
                       struct signal *ret)
{
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_CUSTOMER: return take_text(cursor, row, ret);
    case FIELD_ZONE: return take_zone(cursor, row, scanner, ret);
    case FIELD_MONEY:
    case FIELD_INTEGER:
    case FIELD_NUMBER: return take_number(cursor, row, ret);
    case FIELD_TIME: return take_time(cursor, row, scanner->rules, ret);
    case FIELD_CURRENCY: return take_currency(cursor, row, ret);
    case FIELD_CHOICE: return take_word(cursor, row, &scanner->word[row - signal_rows], ret);
    case FIELD_SWITCH:
    case FIELD_CONSENT:
    case FIELD_WORDS:
    case FIELD_ATTRIBUTES: break;
    }
    return false;
}

/* ---- members -------------------------------------------------------------------------------------------------------- */

void signal_scanner_init(struct signal_scanner *scanner, const struct signal_rules *rules)
{
    memset(scanner, 0, sizeof *scanner);
    scanner->rules = rules;
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++) {
        scanner->name_bytes[i] = (uint8_t)strlen(signal_row_name((enum signal_field)i));
        scanner->seldom |= (uint64_t)(signal_rows[i].offset >= SIGNAL_SELDOM) << i;
    }
}

static bool is_name(const struct signal_scanner *scanner, unsigned field, const struct span *name)
{
    return scanner->name_bytes[field] == name->bytes &&
           same_bytes(signal_rows[field].pointer + 1, name->text, name->bytes);
}

/* A producer's members come in the same order each time: what came behind this one last time is looked at first. */
static unsigned find_field(struct signal_scanner *scanner, unsigned behind, const struct span *name)
{
    unsigned field = scanner->next[behind];
    if (is_name(scanner, field, name))
        return field;
    for (field = 0; field < SIGNAL_FIELD_COUNT && !is_name(scanner, field, name); field++)
        ;
    if (field < SIGNAL_FIELD_COUNT)
        scanner->next[behind] = (uint8_t)field;
    return field;
}

/* As the one before, most likely. */
static bool take_type(struct cursor *cursor, struct signal_scanner *scanner, struct signal *ret)
{
    struct span span;
    char name[RIALTO_NAME_MAX] = "";
    if (!take_span(cursor, &span) || span.bytes != 4 || !same_bytes(span.text, "type", 4) || !take(cursor, ':') ||
        !take_span(cursor, &span) || span.bytes >= sizeof name)
        return false;
    ret->type = scanner->type;
    if (span.bytes == scanner->type_bytes && same_bytes(span.text, signal_type_name(scanner->type), span.bytes))
        return true;
    memcpy(name, span.text, span.bytes);
    if (!signal_type_find(name, &ret->type))
        return false;
    scanner->type = ret->type;
    scanner->type_bytes = (uint8_t)span.bytes;
    return true;
}

/* The next member's name and colon. The one that came behind this one last time is looked for first, as it is written most often: without
 * blanks. SIGNAL_FIELD_COUNT: a name that no field has, or none. */
static unsigned take_name(struct cursor *cursor, struct signal_scanner *scanner, unsigned behind)
{
    struct span name;
    unsigned field = scanner->next[behind];
    size_t bytes = scanner->name_bytes[field];
    if ((size_t)(cursor->end - cursor->at) >= bytes + 3 && cursor->at[0] == '"' && cursor->at[bytes + 1] == '"' &&
        cursor->at[bytes + 2] == ':' && same_bytes(cursor->at + 1, signal_rows[field].pointer + 1, bytes)) {
        cursor->at += bytes + 3;
        return field;
    }
    return take_span(cursor, &name) && take(cursor, ':') ? find_field(scanner, behind, &name) : SIGNAL_FIELD_COUNT;
}

/* The size is hidden from the compiler: it would clear with `rep stos`, which takes longer to begin than all of this takes. */
static inline void clear(const struct signal_scanner *scanner, struct signal *signal)
{
    bool all = signal->seldom || (signal->present & scanner->seldom) != 0;
    size_t bytes = all ? sizeof *signal : SIGNAL_SELDOM;
    __asm__("" : "+r"(bytes));
    memset(signal, 0, bytes);
}

bool signal_scan(struct signal_scanner *scanner, const char *text, size_t bytes, struct signal *ret)
{
    struct cursor cursor = { text, text + bytes };
    struct fault fault;
    unsigned field = SIGNAL_FIELD_COUNT;
    clear(scanner, ret);
    if (!take(&cursor, '{') || !take_type(&cursor, scanner, ret))
        return false;
    while (take(&cursor, ',')) {
        field = take_name(&cursor, scanner, field);
        if (field == SIGNAL_FIELD_COUNT || !(signal_rows[field].types >> ret->type & 1u) ||
            signal_has(ret, (enum signal_field)field))
            return false;
        ret->seldom = ret->seldom || signal_rows[field].offset >= SIGNAL_SELDOM;
        if (!take_value(&cursor, &signal_rows[field], scanner, ret))
            return false;
        ret->present |= UINT64_C(1) << field;
    }
    if (!take(&cursor, '}'))
        return false;
    skip_blanks(&cursor);
    return cursor.at == cursor.end && signal_finish(scanner->rules, ret, &fault) == REASON_none;
}
