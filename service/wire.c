/* wire.c - parts of signals to bytes and back.
 *
 * What a field looks like depends on its kind: numbers are 8 bytes, texts carry their terminator, a consent is two
 * bytes, words are texts one after the other. The encoder writes what the parser checked; the decoder checks again,
 * because a worker would rather drop a message than believe it. */
#include "service/wire.h"
#include "service/signal_rows.h"

#include "pricing/money.h"

#include <assert.h>
#include <string.h>

#define FIELD_HEAD_BYTES 4u
#define WIRE_NUMBER_MAX  UINT64_C(9007199254740991) /* as for the field "seq" */
#define TIME_MS_MAX      INT64_C(4102444800000) /* as for the field "time" */

/* A watch is not a signal, but travels like one. */
#define WATCH_FIELDS                                                                                                   \
    (UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_lease_s)

/* Nor is a lock. What its prices were travels as it is: WIRE_FIELD_LOCK. */
#define LOCK_FIELDS                                                                                                    \
    (UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_amount |     \
     UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_until_ms)

/* ---- which fields a record may and must carry -------------------------------------------------------------- */

static bool type_valid(unsigned type, unsigned part)
{
    if (part != PART_PRODUCT && part != PART_CUSTOMER && part != PART_COMMON)
        return false;
    return type < SIGNAL_TYPE_COUNT || ((type == WIRE_TYPE_WATCH || type == WIRE_TYPE_LOCK) && part == PART_CUSTOMER) ||
           (type == WIRE_TYPE_CHANGE && part == PART_COMMON);
}

static bool field_allowed(unsigned type, unsigned part, unsigned field)
{
    if (type == WIRE_TYPE_WATCH)
        return WATCH_FIELDS >> field & 1u;
    if (type == WIRE_TYPE_LOCK)
        return LOCK_FIELDS >> field & 1u;
    if (type == WIRE_TYPE_CHANGE)
        return false;
    return signal_rows[field].types >> type & 1u && signal_rows[field].parts & part;
}

static bool flags_valid(const struct wire_record *head)
{
    bool demand = head->type == SIGNAL_demand && head->part == PART_PRODUCT;
    return head->flags == 0 || (demand && head->flags == WIRE_RECORD_REPEATED);
}

static uint64_t fields_required(unsigned type, unsigned part)
{
    uint64_t required = 0;
    if (type == WIRE_TYPE_WATCH)
        return WATCH_FIELDS;
    if (type == WIRE_TYPE_LOCK)
        return LOCK_FIELDS;
    if (type == WIRE_TYPE_CHANGE)
        return 0;
    for (unsigned i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].must & (1u << type) && signal_rows[i].parts & part)
            required |= UINT64_C(1) << i;
    if (part == PART_CUSTOMER)
        required |= UINT64_C(1) << SIGNAL_FIELD_customer;
    return required;
}

/* ---- encoding ------------------------------------------------------------------------------------------------ */

static size_t put_words(const struct signal *signal, uint8_t *to)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < signal->segments.count; i++) {
        size_t word = strlen(signal->segments.word[i]) + 1;
        memcpy(to + bytes, signal->segments.word[i], word);
        bytes += word;
    }
    return bytes;
}

static size_t put_value(const struct signal *signal, const struct signal_row *row, uint8_t *to)
{
    const char *member = (const char *)signal + row->offset;
    size_t bytes = 0;
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_CUSTOMER:
    case FIELD_ZONE:
    case FIELD_CURRENCY: bytes = strlen(member) + 1; break;
    case FIELD_MONEY:
    case FIELD_NUMBER:
    case FIELD_INTEGER:
    case FIELD_TIME:
    case FIELD_SWITCH:
    case FIELD_CHOICE: bytes = sizeof(int64_t); break;
    case FIELD_CONSENT:
        to[0] = signal->consent.given;
        to[1] = signal->consent.granted;
        return 2;
    case FIELD_WORDS: return put_words(signal, to);
    }
    memcpy(to, member, bytes);
    return bytes;
}

static size_t lock_bytes(uint32_t count)
{
    return offsetof(struct wire_lock, price) + count * sizeof(struct wire_price);
}

/* Returns the bytes of the head and the value. */
static size_t put_lock(const struct wire_lock *lock, uint8_t *to)
{
    uint16_t length = (uint16_t)lock_bytes(lock->count);
    to[0] = WIRE_FIELD_LOCK;
    to[1] = 0;
    memcpy(to + 2, &length, sizeof length);
    memcpy(to + FIELD_HEAD_BYTES, lock, length);
    return FIELD_HEAD_BYTES + length;
}

size_t wire_record_encode(const struct signal *signal, enum signal_part part, uint32_t partition, uint32_t ref,
                          uint64_t id_hash, uint64_t number, uint8_t *ret)
{
    assert(type_valid((unsigned)signal->type, (unsigned)part));
    assert(partition < RIALTO_PARTITIONS);
    struct wire_record head = { .type = (uint8_t)signal->type,
                                .part = (uint8_t)part,
                                .partition = (uint8_t)partition,
                                .flags = signal->repeated && part == PART_PRODUCT ? WIRE_RECORD_REPEATED : 0,
                                .ref = ref,
                                .time_ms = signal->time_ms,
                                .id_hash = id_hash,
                                .number = number };
    size_t at = sizeof head;
    for (uint64_t left = signal->present; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (!field_allowed((unsigned)signal->type, (unsigned)part, i))
            continue;
        size_t bytes = put_value(signal, &signal_rows[i], ret + at + FIELD_HEAD_BYTES);
        uint16_t length = (uint16_t)bytes;
        ret[at] = (uint8_t)i;
        ret[at + 1] = 0;
        memcpy(ret + at + 2, &length, sizeof length);
        at += FIELD_HEAD_BYTES + bytes;
        head.field_count++;
    }
    if ((unsigned)signal->type == WIRE_TYPE_LOCK) {
        at += put_lock(signal->lock, ret + at);
        head.field_count++;
    }
    size_t padded = (at + 7) & ~(size_t)7;
    memset(ret + at, 0, padded - at);
    head.bytes = (uint32_t)padded;
    assert(padded <= WIRE_RECORD_MAX);
    memcpy(ret, &head, sizeof head);
    return padded;
}

/* ---- decoding ------------------------------------------------------------------------------------------------ */

static bool get_text(const struct signal_row *row, const uint8_t *from, size_t bytes, char *to)
{
    if (bytes == 0 || bytes > row->size || from[bytes - 1] != 0 || memchr(from, 0, bytes) != from + bytes - 1)
        return false;
    memcpy(to, from, bytes);
    if (row->kind == FIELD_CURRENCY)
        return bytes == 4 && currency_find(to) != NULL;
    if (row->kind == FIELD_ZONE)
        return zone_name_valid(to, bytes - 1);
    return (int64_t)bytes - 1 >= row->low && (int64_t)bytes - 1 <= row->high && text_is_plain(to);
}

static bool get_number(const struct signal_row *row, const uint8_t *from, size_t bytes, char *to)
{
    int64_t value = 0, low = row->low, high = row->high;
    if (bytes != sizeof value)
        return false;
    memcpy(&value, from, sizeof value);
    if (row->kind == FIELD_CHOICE) {
        low = 0;
        high = choice_count(row->choices) - 1;
    }
    memcpy(to, &value, sizeof value);
    return value >= low && value <= high;
}

static bool get_consent(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    if (bytes != 2)
        return false;
    unsigned all = (1u << choice_count(row->choices)) - 1u;
    ret->consent.given = from[0];
    ret->consent.granted = from[1];
    return (from[0] & ~all) == 0 && (from[1] & ~(unsigned)from[0]) == 0;
}

static bool get_words(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    ret->segments.count = 0;
    for (size_t at = 0; at < bytes;) {
        const uint8_t *end = memchr(from + at, 0, bytes - at);
        size_t length = end == NULL ? SIZE_MAX : (size_t)(end - (from + at));
        if (ret->segments.count >= TERMS_SEGMENTS_MAX || length >= RIALTO_NAME_MAX || (int64_t)length < row->low)
            return false;
        char *to = ret->segments.word[ret->segments.count++];
        memcpy(to, from + at, length + 1);
        if (!text_is_plain(to))
            return false;
        at += length + 1;
    }
    return true;
}

static bool get_value(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    char *to = (char *)ret + row->offset;
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_SKU:
    case FIELD_CUSTOMER:
    case FIELD_ZONE:
    case FIELD_CURRENCY: return get_text(row, from, bytes, to);
    case FIELD_MONEY:
    case FIELD_NUMBER:
    case FIELD_INTEGER:
    case FIELD_TIME:
    case FIELD_SWITCH:
    case FIELD_CHOICE: return get_number(row, from, bytes, to);
    case FIELD_CONSENT: return get_consent(row, from, bytes, ret);
    case FIELD_WORDS: return get_words(row, from, bytes, ret);
    }
    return false;
}

/* Only a reference is kept: the message outlives the record. */
static bool get_lock(const struct wire_record *head, const uint8_t *from, size_t bytes, struct signal *ret)
{
    struct wire_lock lock = { .count = 0 };
    if (head->type != WIRE_TYPE_LOCK || ret->lock != NULL || bytes < lock_bytes(0) || bytes > sizeof lock)
        return false;
    memcpy(&lock, from, lock_bytes(0));
    ret->lock = from;
    return lock.count <= WIRE_PRICES_MAX && bytes == lock_bytes(lock.count) && lock.reserved == 0;
}

static bool get_fields(const struct wire_record *head, const uint8_t *bytes, struct signal *ret)
{
    uint64_t required = fields_required(head->type, head->part);
    size_t at = sizeof *head;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->bytes - at < FIELD_HEAD_BYTES)
            return false;
        unsigned field = bytes[at];
        uint16_t length;
        memcpy(&length, bytes + at + 2, sizeof length);
        bool lock = field == WIRE_FIELD_LOCK;
        if (bytes[at + 1] != 0 || (!lock && (field >= SIGNAL_FIELD_COUNT || ret->present >> field & 1u ||
                                             !field_allowed(head->type, head->part, field))))
            return false;
        at += FIELD_HEAD_BYTES;
        if (head->bytes - at < length || !(lock ? get_lock(head, bytes + at, length, ret)
                                                : get_value(&signal_rows[field], bytes + at, length, ret)))
            return false;
        if (!lock)
            ret->present |= UINT64_C(1) << field;
        at += length;
    }
    bool whole = (head->type == WIRE_TYPE_LOCK) == (ret->lock != NULL);
    return head->bytes - at < 8 && (ret->present & required) == required && whole;
}

void wire_lock_of(const struct signal *signal, struct wire_lock *ret)
{
    memset(ret, 0, sizeof *ret);
    memcpy(ret, signal->lock, lock_bytes(0));
    memcpy(ret, signal->lock, lock_bytes(ret->count));
}

bool wire_record_decode(const uint8_t *bytes, size_t size, size_t *at, struct wire_record *ret_head, struct signal *ret)
{
    struct wire_record head;
    if (*at > size || size - *at < sizeof head)
        return false;
    memcpy(&head, bytes + *at, sizeof head);
    if (head.bytes < sizeof head || head.bytes > WIRE_RECORD_MAX || head.bytes % 8 != 0 || head.bytes > size - *at)
        return false;
    if (!type_valid(head.type, head.part) || head.partition >= RIALTO_PARTITIONS || !flags_valid(&head))
        return false;
    if (head.number > WIRE_NUMBER_MAX || (head.number != 0 && head.id_hash == 0))
        return false;
    if (head.field_count > SIGNAL_FIELD_COUNT || head.time_ms < 0 || head.time_ms > TIME_MS_MAX)
        return false;

    memset(ret, 0, sizeof *ret);
    ret->type = (enum signal_type)head.type;
    ret->time_ms = head.time_ms;
    ret->repeated = head.flags == WIRE_RECORD_REPEATED;
    if (!get_fields(&head, bytes + *at, ret))
        return false;
    *ret_head = head;
    *at += head.bytes;
    return true;
}

/* Findings have a fixed size; a batch has at least a head for each record. */
static bool size_possible(const struct wire_header *header, size_t body)
{
    switch (header->kind) {
    case WIRE_BATCH: return body % 8 == 0 && header->count <= body / sizeof(struct wire_record);
    case WIRE_HELLO: return body == 0 && header->count == 0;
    case WIRE_ACK:
        return body % sizeof(struct wire_finding) == 0 && header->count == body / sizeof(struct wire_finding);
    case WIRE_ASK: return body == header->count && body > 0 && body <= WIRE_ASK_MAX;
    case WIRE_REPLY: return body == header->count && body > 0 && body <= WIRE_REPLY_MAX;
    default: return false;
    }
}

const struct wire_header *wire_header_check(const void *bytes, size_t size)
{
    const struct wire_header *header = bytes;
    /* NNG hands out bodies aligned for any type; anything else did not come from a socket. */
    if (size < sizeof *header || (uintptr_t)bytes % _Alignof(struct wire_header) != 0)
        return NULL;
    if (header->magic != WIRE_MAGIC || header->version != WIRE_VERSION || header->worker >= RIALTO_WORKERS_MAX)
        return NULL;
    return size_possible(header, size - sizeof *header) ? header : NULL;
}
