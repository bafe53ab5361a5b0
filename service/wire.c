/* wire.c - parts of signals to bytes and back.
 *
 * What a field looks like depends on its kind: numbers are 8 bytes, texts carry their terminator, a consent is two
 * bytes and a note (a number, two texts) for each kind that is given, words are { text, number, byte } one after the other, attributes are
 * { number, text }. The encoder writes what the parser checked; the decoder checks again,
 * because a worker would rather drop a message than believe it. */
#include "service/wire.h"
#include "service/short_bytes.h"
#include "service/signal_rows.h"

#include "pricing/attributes.h"
#include "pricing/money.h"

#include <assert.h>
#include <stdatomic.h>
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

/* Worked out when it is asked for first; any thread may, they all find the same. No part that a signal has travels with nothing. */
static uint64_t signal_fields_allowed(unsigned type, unsigned part)
{
    static _Atomic uint64_t known[SIGNAL_TYPE_COUNT][8];
    uint64_t allowed = atomic_load_explicit(&known[type][part % 8], memory_order_relaxed);
    if (allowed != 0)
        return allowed;
    for (unsigned i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].types >> type & 1u && signal_rows[i].parts & part)
            allowed |= UINT64_C(1) << i;
    const uint64_t category = UINT64_C(1) << SIGNAL_FIELD_category;
    if (type == SIGNAL_demand) /* a product has its own; a customer's event may say it */
        allowed = part == PART_CUSTOMER ? allowed | category : allowed & ~category;
    atomic_store_explicit(&known[type][part % 8], allowed, memory_order_relaxed);
    return allowed;
}

static uint64_t fields_allowed(unsigned type, unsigned part)
{
    switch (type) {
    case WIRE_TYPE_WATCH: return WATCH_FIELDS;
    case WIRE_TYPE_LOCK: return LOCK_FIELDS;
    case WIRE_TYPE_CHANGE: return 0;
    default: return signal_fields_allowed(type, part);
    }
}

static bool flags_valid(const struct wire_record *head)
{
    bool demand = head->type == SIGNAL_demand;
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
    required = signal_fields_required((enum signal_type)type, part);
    if (part == PART_CUSTOMER)
        required |= UINT64_C(1) << SIGNAL_FIELD_customer;
    return required;
}

/* ---- encoding ------------------------------------------------------------------------------------------------ */

static size_t put_text(const char *text, uint8_t *to)
{
    size_t bytes = strlen(text) + 1;
    memcpy(to, text, bytes);
    return bytes;
}

static size_t put_words(const struct signal *signal, uint8_t *to)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < signal->segments.count; i++) {
        bytes += put_text(signal->segments.word[i], to + bytes);
        memcpy(to + bytes, &signal->segments.until_ms[i], sizeof signal->segments.until_ms[i]);
        bytes += sizeof signal->segments.until_ms[i];
        to[bytes++] = signal->segments.party[i];
    }
    return bytes;
}

static size_t put_consent(const struct signal *signal, uint8_t *to)
{
    size_t bytes = 0;
    to[bytes++] = signal->consent.given;
    to[bytes++] = signal->consent.granted;
    for (unsigned kind = 0; kind < CONSENT_KINDS; kind++) {
        const struct consent_note *note = &signal->consent.note[kind];
        if ((signal->consent.given & 1u << kind) == 0)
            continue;
        memcpy(to + bytes, &note->time_ms, sizeof note->time_ms);
        bytes += sizeof note->time_ms;
        bytes += put_text(note->source, to + bytes);
        bytes += put_text(note->text, to + bytes);
    }
    return bytes;
}

/* Each: its number, its name with its terminator. */
static size_t put_attributes(const struct signal *signal, uint8_t *to)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < signal->attributes.count; i++) {
        size_t name = strlen(signal->attributes.name[i]) + 1;
        memcpy(to + bytes, &signal->attributes.micro[i], sizeof(int64_t));
        memcpy(to + bytes + sizeof(int64_t), signal->attributes.name[i], name);
        bytes += sizeof(int64_t) + name;
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
    case FIELD_CURRENCY:
        bytes = strlen(member) + 1;
        copy_bytes((char *)to, member, bytes);
        return bytes;
    case FIELD_MONEY:
    case FIELD_NUMBER:
    case FIELD_INTEGER:
    case FIELD_TIME:
    case FIELD_SWITCH:
    case FIELD_CHOICE: memcpy(to, member, sizeof(int64_t)); return sizeof(int64_t);
    case FIELD_CONSENT: return put_consent(signal, to);
    case FIELD_WORDS: return put_words(signal, to);
    case FIELD_ATTRIBUTES: return put_attributes(signal, to);
    }
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

static size_t put_priced(const struct wire_priced *priced, uint8_t *to)
{
    const uint16_t length = sizeof *priced;
    to[0] = WIRE_FIELD_PRICED;
    to[1] = 0;
    memcpy(to + 2, &length, sizeof length);
    memcpy(to + FIELD_HEAD_BYTES, priced, length);
    return FIELD_HEAD_BYTES + length;
}

/* A visit that is not named may be somebody else's: that is said of the product, and not held against a customer. */
static bool is_marked(const struct signal *signal, enum signal_part part)
{
    return signal->repeated && signal->type == SIGNAL_demand &&
           (part == PART_PRODUCT || signal_has(signal, SIGNAL_FIELD_session) ||
            (signal_has(signal, SIGNAL_FIELD_again) && signal->again != 0));
}

/* Zeros from `at` on, up to the end of its word. */
static void pad(uint8_t *record, size_t at, size_t padded)
{
    uint64_t last;
    memcpy(&last, record + padded - sizeof last, sizeof last);
    last &= UINT64_MAX >> 8 * (padded - at); /* little-endian, as all that travels */
    memcpy(record + padded - sizeof last, &last, sizeof last);
}

size_t wire_record_encode(const struct signal *signal, enum signal_part part, uint32_t partition, uint32_t ref,
                          uint64_t id_hash, uint64_t number, uint8_t *ret)
{
    assert(type_valid((unsigned)signal->type, (unsigned)part));
    assert(partition < RIALTO_PARTITIONS);
    struct wire_record head = { .type = (uint8_t)signal->type,
                                .part = (uint8_t)part,
                                .partition = (uint8_t)partition,
                                .flags = is_marked(signal, part) ? WIRE_RECORD_REPEATED : 0,
                                .ref = ref,
                                .time_ms = signal->time_ms,
                                .id_hash = id_hash,
                                .number = number };
    size_t at = sizeof head;
    for (uint64_t left = signal->present & fields_allowed((unsigned)signal->type, (unsigned)part); left != 0;
         left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
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
    if (signal->type == SIGNAL_demand && part == PART_CUSTOMER && signal->priced != NULL) {
        at += put_priced(signal->priced, ret + at);
        head.field_count++;
    }
    size_t padded = (at + 7) & ~(size_t)7;
    pad(ret, at, padded);
    head.bytes = (uint32_t)padded;
    assert(padded <= WIRE_RECORD_MAX);
    memcpy(ret, &head, sizeof head);
    return padded;
}

/* ---- decoding ------------------------------------------------------------------------------------------------ */

/* A text of this field, with its terminator and no other. */
static bool text_valid(const struct signal_row *row, const uint8_t *from, size_t bytes)
{
    const char *text = (const char *)from;
    if (bytes == 0 || bytes > row->size || from[bytes - 1] != 0)
        return false;
    bool printable = is_printable(text, bytes - 1); /* as nearly all are: then no 0 is among them */
    if (!printable && memchr(from, 0, bytes) != from + bytes - 1)
        return false;
    if (row->kind == FIELD_CURRENCY)
        return bytes == 4 && currency_find(text) != NULL;
    if (row->kind == FIELD_ZONE)
        return zone_name_valid(text, bytes - 1);
    return (int64_t)bytes - 1 >= row->low && (int64_t)bytes - 1 <= row->high && (printable || text_is_plain(text));
}

static bool get_text(const struct signal_row *row, const uint8_t *from, size_t bytes, char *to)
{
    if (!text_valid(row, from, bytes))
        return false;
    memcpy(to, from, bytes);
    return true;
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

struct bytes_in { /* what is left of a field */
    const uint8_t *at;
    size_t left;
};

static bool unpack(struct bytes_in *in, size_t bytes, void *to)
{
    if (in->left < bytes)
        return false;
    memcpy(to, in->at, bytes);
    in->at += bytes;
    in->left -= bytes;
    return true;
}

/* A text of low to room - 1 bytes with its terminator. */
static bool unpack_text(struct bytes_in *in, size_t low, size_t room, char *to)
{
    const uint8_t *end = memchr(in->at, 0, in->left);
    size_t length = end == NULL ? SIZE_MAX : (size_t)(end - in->at);
    return length < room && length >= low && unpack(in, length + 1, to) && text_is_plain(to);
}

static bool time_valid(int64_t time_ms)
{
    return time_ms >= 0 && time_ms <= TIME_MS_MAX;
}

static bool get_consent(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    struct bytes_in in = { from, bytes };
    unsigned all = (1u << choice_count(row->choices)) - 1u;
    if (!unpack(&in, 1, &ret->consent.given) || !unpack(&in, 1, &ret->consent.granted))
        return false;
    unsigned given = ret->consent.given, granted = ret->consent.granted;
    if ((given & ~all) != 0 || (granted & ~given) != 0)
        return false;
    for (unsigned kind = 0; kind < CONSENT_KINDS; kind++) {
        struct consent_note *note = &ret->consent.note[kind];
        if ((given & 1u << kind) == 0)
            continue;
        if (!unpack(&in, sizeof note->time_ms, &note->time_ms) || !time_valid(note->time_ms) ||
            !unpack_text(&in, 0, sizeof note->source, note->source) || !unpack_text(&in, 0, sizeof note->text, note->text))
            return false;
    }
    return in.left == 0;
}

static bool get_words(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    struct bytes_in in = { from, bytes };
    while (in.left > 0) {
        uint32_t i = ret->segments.count++;
        if (i >= TERMS_SEGMENTS_MAX || !unpack_text(&in, (size_t)row->low, RIALTO_NAME_MAX, ret->segments.word[i]) ||
            !unpack(&in, sizeof ret->segments.until_ms[i], &ret->segments.until_ms[i]) ||
            !time_valid(ret->segments.until_ms[i]) || !unpack(&in, 1, &ret->segments.party[i]) ||
            ret->segments.party[i] > PARTY_THIRD + 1)
            return false;
    }
    return true;
}

static bool get_attributes(const struct signal_row *row, const uint8_t *from, size_t bytes, struct signal *ret)
{
    int64_t count = 0;
    size_t names = 0;
    for (size_t at = 0; at < bytes; count++) {
        if (count >= ATTRIBUTES_MAX || bytes - at <= sizeof(int64_t))
            return false;
        memcpy(&ret->attributes.micro[count], from + at, sizeof(int64_t));
        at += sizeof(int64_t);
        const uint8_t *end = memchr(from + at, 0, bytes - at);
        size_t length = end == NULL ? SIZE_MAX : (size_t)(end - (from + at));
        if (length >= ATTRIBUTE_NAME_MAX)
            return false;
        memcpy(ret->attributes.name[count], from + at, length + 1);
        at += length + 1;
        names += length + 1;
        bool known = names > ATTRIBUTE_NAMES_BYTES;
        for (int64_t i = 0; i < count; i++)
            known = known || strcmp(ret->attributes.name[i], ret->attributes.name[count]) == 0;
        int64_t micro = ret->attributes.micro[count];
        if (known || micro < row->low || micro > row->high || attribute_name_fault(ret->attributes.name[count]) != NULL)
            return false;
    }
    ret->attributes.count = count;
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
    case FIELD_ATTRIBUTES: return get_attributes(row, from, bytes, ret);
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

static bool get_priced(const struct wire_record *head, const uint8_t *from, size_t bytes, struct signal *ret)
{
    struct wire_priced priced;
    if (head->type != SIGNAL_demand || head->part != PART_CUSTOMER || ret->priced != NULL || bytes != sizeof priced)
        return false;
    static const uint8_t zeros[sizeof priced.reserved] = { 0 };
    memcpy(&priced, from, sizeof priced);
    ret->priced = from;
    return priced.baseline >= 1 && priced.baseline <= RIALTO_BOUND_MAX && currency_by_number(priced.currency) != NULL &&
           memcmp(priced.reserved, zeros, sizeof zeros) == 0 && memchr(priced.model, 0, sizeof priced.model) != NULL;
}

bool wire_priced_of(const struct signal *signal, struct wire_priced *ret)
{
    if (signal->priced == NULL)
        return false;
    memcpy(ret, signal->priced, sizeof *ret);
    return true;
}

static bool get_field(const struct wire_record *head, unsigned field, const uint8_t *from, size_t bytes, struct signal *ret)
{
    switch (field) {
    case WIRE_FIELD_LOCK: return get_lock(head, from, bytes, ret);
    case WIRE_FIELD_PRICED: return get_priced(head, from, bytes, ret);
    default: break;
    }
    if (field >= SIGNAL_FIELD_COUNT || ret->present >> field & 1u ||
        !(fields_allowed(head->type, head->part) >> field & 1u))
        return false;
    ret->present |= UINT64_C(1) << field;
    return get_value(&signal_rows[field], from, bytes, ret);
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
        if (bytes[at + 1] != 0)
            return false;
        at += FIELD_HEAD_BYTES;
        if (head->bytes - at < length || !get_field(head, field, bytes + at, length, ret))
            return false;
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

static bool get_head(const uint8_t *bytes, size_t size, size_t at, struct wire_record *ret)
{
    if (at > size || size - at < sizeof *ret)
        return false;
    memcpy(ret, bytes + at, sizeof *ret);
    if (ret->bytes < sizeof *ret || ret->bytes > WIRE_RECORD_MAX || ret->bytes % 8 != 0 || ret->bytes > size - at)
        return false;
    if (!type_valid(ret->type, ret->part) || ret->partition >= RIALTO_PARTITIONS || !flags_valid(ret))
        return false;
    if (ret->number > WIRE_NUMBER_MAX || (ret->number != 0 && ret->id_hash == 0))
        return false;
    return ret->field_count <= SIGNAL_FIELD_COUNT && ret->time_ms >= 0 && ret->time_ms <= TIME_MS_MAX;
}

/* ---- demand, read where it lies ------------------------------------------------------------------------------- */

#define BIT(member)     (UINT64_C(1) << SIGNAL_FIELD_##member)
#define DEMAND_REQUIRED (BIT(sku) | BIT(event))

static bool take_number(unsigned field, int64_t value, struct wire_demand *ret)
{
    const struct signal_row *row = &signal_rows[field];
    if (field == SIGNAL_FIELD_event) {
        ret->event = (uint8_t)value;
        return value >= 0 && value <= DEMAND_RETURN; /* CHOICES_EVENT has their order */
    }
    if (field == SIGNAL_FIELD_quantity)
        ret->quantity = value;
    return value >= row->low && value <= row->high; /* an amount is checked, and tells a price nothing */
}

static bool take_text(unsigned field, const uint8_t *from, size_t bytes, struct wire_demand *ret)
{
    const char *text = (const char *)from;
    if (!text_valid(&signal_rows[field], from, bytes))
        return false;
    switch (field) {
    case SIGNAL_FIELD_sku:
        ret->sku = text;
        ret->sku_bytes = (uint8_t)(bytes - 1);
        break;
    case SIGNAL_FIELD_zone: ret->zone = text; break;
    case SIGNAL_FIELD_seller:
        ret->seller = text;
        ret->seller_bytes = (uint8_t)(bytes - 1);
        break;
    default: memcpy(ret->currency, text, sizeof ret->currency);
    }
    return true;
}

static bool take_field(unsigned field, const uint8_t *from, size_t bytes, struct wire_demand *ret)
{
    int64_t value;
    switch (field) {
    case SIGNAL_FIELD_sku:
    case SIGNAL_FIELD_zone:
    case SIGNAL_FIELD_seller:
    case SIGNAL_FIELD_currency: return take_text(field, from, bytes, ret);
    case SIGNAL_FIELD_event:
    case SIGNAL_FIELD_quantity:
    case SIGNAL_FIELD_amount:
        if (bytes != sizeof value)
            return false;
        memcpy(&value, from, sizeof value);
        return take_number(field, value, ret);
    default: return false;
    }
}

static bool take_fields(const struct wire_record *head, const uint8_t *bytes, struct wire_demand *ret)
{
    uint64_t present = 0;
    size_t at = sizeof *head;
    for (uint32_t i = 0; i < head->field_count; i++) {
        uint16_t length;
        if (head->bytes - at < FIELD_HEAD_BYTES)
            return false;
        unsigned field = bytes[at];
        memcpy(&length, bytes + at + 2, sizeof length);
        if (bytes[at + 1] != 0 || field >= SIGNAL_FIELD_COUNT || present >> field & 1u)
            return false;
        at += FIELD_HEAD_BYTES;
        if (head->bytes - at < length || !take_field(field, bytes + at, length, ret))
            return false;
        present |= UINT64_C(1) << field;
        at += length;
    }
    return head->bytes - at < 8 && (present & DEMAND_REQUIRED) == DEMAND_REQUIRED;
}

enum wire_read wire_demand_decode(const uint8_t *bytes, size_t size, size_t *at, struct wire_record *ret_head,
                                  struct wire_demand *ret)
{
    if (!get_head(bytes, size, *at, ret_head))
        return WIRE_BAD;
    if (ret_head->type != SIGNAL_demand || ret_head->part != PART_PRODUCT)
        return WIRE_OTHER;
    *ret = (struct wire_demand){ .zone = "", .quantity = MICRO };
    if (!take_fields(ret_head, bytes + *at, ret))
        return WIRE_BAD;
    *at += ret_head->bytes;
    return WIRE_DEMAND;
}

/* ---- any record ------------------------------------------------------------------------------------------------- */

bool wire_record_decode(const uint8_t *bytes, size_t size, size_t *at, struct wire_record *ret_head, struct signal *ret)
{
    struct wire_record head;
    if (!get_head(bytes, size, *at, &head))
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
    case WIRE_HELLO:
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
    /* A stream hands out bodies aligned for any type; anything else did not come from a socket. */
    if (size < sizeof *header || (uintptr_t)bytes % _Alignof(struct wire_header) != 0)
        return NULL;
    if (header->magic != WIRE_MAGIC || header->version != WIRE_VERSION || header->worker >= RIALTO_WORKERS_MAX)
        return NULL;
    return size_possible(header, size - sizeof *header) ? header : NULL;
}
