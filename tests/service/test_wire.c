/* test_wire.c - parts of signals travel whole, and nothing else is taken for one. */
#include "service/signal_rows.h"
#include "service/wire.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static const struct signal_rules RULES = { .levels = { { 3, 5 }, { 1, 2, 3 } },
                                           .now_ms = INT64_C(1767225600000),
                                           .age_max_ms = INT64_C(604800000),
                                           .future_max_ms = 60000 };

#define TEN "0123456789"
static const char *const SIGNALS[] = {
    "{\"type\":\"product\",\"sku\":\"A\",\"zone\":\"de/south\",\"category\":\"fresh/"
    "dairy\",\"title\":\"Milk\",\"list\":109,\"cost\":60,"
    "\"currency\":\"EUR\",\"unit\":\"l\",\"tax\":\"included\",\"promotion\":0.8,\"until\":1769853600000,\"source\":"
    "\"erp\",\"id\":\"17\"}",
    "{\"type\":\"zone\",\"zone\":\"x\",\"parent\":\"de\",\"lat\":-48.1,\"lon\":11.6,\"region\":\"EU\",\"utc_offset_"
    "min\":-60,\"currency\":\"EUR\"}",
    "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"order\",\"quantity\":2.5,\"amount\":500,\"currency\":\"EUR\","
    "\"customer\":\"SECRET-C1\","
    "\"zone\":\"de\",\"source\":\"SECRET-SHOP\",\"id\":\"SECRET-ID\"}",
    "{\"type\":\"supply\",\"sku\":\"A\",\"available\":3,\"capacity\":40,\"zone\":\"\"}",
    "{\"type\":\"location\",\"customer\":\"C1\",\"lat\":1,\"lon\":2,\"lease_s\":60}",
    "{\"type\":\"weather\",\"zone\":\"gh:u28\",\"humidity\":0.5,\"temperature_c\":-12.5,\"until\":\"2026-01-02T00:00:"
    "00Z\"}",
    "{\"type\":\"competitor\",\"sku\":\"A\",\"competitor\":\"X\",\"amount\":1,\"currency\":\"JPY\"}",
    "{\"type\":\"customer\",\"customer\":\"C1\",\"consent\":{\"profile\":true,\"location\":false},\"tier\":\"\","
    "\"spend\":7,\"currency\":\"EUR\","
    "\"segments\":[\"a\",\"bb\",\"ccc\"]}",
    "{\"type\":\"customer\",\"customer\":\"C1\",\"segments\":[]}",
    "{\"type\":\"customer\",\"customer\":\"C1\",\"party\":\"second\",\"tier\":\"gold\",\"tier_until\":1800000000000,"
    "\"consent\":{\"partner\":{\"granted\":true,\"source\":\"app\",\"text\":\"2026-11\",\"time\":1700000000000},"
    "\"behaviour\":{\"granted\":false,\"source\":\"till\"},\"profile\":true},"
    "\"segments\":[\"a\",{\"name\":\"student\",\"until\":1800000000000,\"party\":\"zero\"}]}",
    "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"lock\",\"amount\":5,\"currency\":\"EUR\","
    "\"basis\":\"behaviour\"}",
    "{\"type\":\"offer\",\"customer\":\"C1\",\"sku\":\"A\",\"kind\":\"percent\",\"percent\":5,\"stackable\":true,"
    "\"from\":1,\"until\":2}",
    "{\"type\":\"receipt\",\"customer\":\"C1\",\"amount\":5,\"currency\":\"EUR\"}",
    "{\"type\":\"forget\",\"customer\":\"C1\"}",
    "{\"type\":\"product\",\"sku\":\"A\",\"list\":1,\"currency\":\"EUR\",\"attributes\":{\"weight_kg\":-0.5,\"organic\":true,\"c\":3}}",
    "{\"type\":\"zone\",\"zone\":\"x\",\"attributes\":{\"size_m2\":1000000000}}",
    "{\"type\":\"zone\",\"zone\":\"x\",\"attributes\":{}}",
    "{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"view\",\"customer\":\"SECRET-C1\",\"session\":\"SECRET-VISIT\","
    "\"seller\":\"S\"}",
};
#define SIGNAL_COUNT (sizeof SIGNALS / sizeof SIGNALS[0])

static struct signal parsed(const char *text)
{
    struct signal signal;
    struct fault fault = { .reason = "" };
    cJSON *object = json_parse(text, strlen(text), 0, &fault);
    cr_assert_not_null(object, "%s", text);
    cr_assert_eq(signal_parse(object, &RULES, &signal, &fault), REASON_none, "%s: %s %s", text, fault.pointer,
                 fault.reason);
    cJSON_Delete(object);
    return signal;
}

/* The fields that travel with a part. */
static uint64_t fields_of(const struct signal *signal, enum signal_part part)
{
    uint64_t fields = 0;
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_has(signal, (enum signal_field)i) && signal_rows[i].parts & part)
            fields |= UINT64_C(1) << i;
    return fields;
}

static void expect_same_fields(const struct signal *a, const struct signal *b, uint64_t fields)
{
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (fields >> i & 1u)
            cr_expect_arr_eq((const char *)a + signal_rows[i].offset, (const char *)b + signal_rows[i].offset,
                             signal_rows[i].size, "%s", signal_rows[i].pointer);
}

Test(wire, every_part_of_every_signal_comes_back_as_it_was)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    for (size_t s = 0; s < SIGNAL_COUNT; s++) {
        struct signal sent = parsed(SIGNALS[s]), got;
        for (unsigned part = PART_PRODUCT; part <= PART_COMMON; part <<= 1) {
            if (!(signal_parts(&sent) & part))
                continue;
            struct wire_record head;
            size_t size = wire_record_encode(&sent, (enum signal_part)part, 63, 5, 77, 78, bytes), at = 0;
            cr_assert(size % 8 == 0 && size <= WIRE_RECORD_MAX);
            cr_assert(wire_record_decode(bytes, size, &at, &head, &got), "%s part %u", SIGNALS[s], part);
            cr_expect_eq(at, size);
            cr_expect(head.part == part && head.partition == 63 && head.ref == 5 && head.id_hash == 77 && head.number == 78);
            cr_expect_eq(got.type, sent.type);
            cr_expect_eq(got.time_ms, sent.time_ms);
            cr_expect_eq(got.present, fields_of(&sent, (enum signal_part)part), "%s", SIGNALS[s]);
            expect_same_fields(&sent, &got, got.present);
        }
    }
}

/* Goal: who asked for a product is not in what the product's worker gets, in no form. */
Test(wire, the_product_part_knows_no_customer_no_source_and_no_id)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct signal signal = parsed(SIGNALS[2]);
    cr_assert(signal_has(&signal, SIGNAL_FIELD_customer));
    size_t size = wire_record_encode(&signal, PART_PRODUCT, 0, 0, 1, 0, bytes);
    cr_expect_null(memmem(bytes, size, "SECRET", 6));
    size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 1, 0, bytes);
    cr_expect_not_null(memmem(bytes, size, "SECRET-C1", 9), "the customer's worker knows whom it serves");
    cr_expect_null(memmem(bytes, size, "SECRET-SHOP", 11));
    cr_expect_null(memmem(bytes, size, "SECRET-ID", 9));
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++)
        if (signal_rows[i].kind == FIELD_CUSTOMER)
            cr_expect_eq(signal_rows[i].parts, i == SIGNAL_FIELD_session ? 0u : (unsigned)PART_CUSTOMER);
}

/* Goal: workers learn that a visit did so before, and not which. */
Test(wire, of_a_visit_only_that_it_did_so_before_leaves_the_gateway)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    struct signal signal = parsed(SIGNALS[SIGNAL_COUNT - 1]), got;
    cr_assert(signal_has(&signal, SIGNAL_FIELD_session));
    for (int repeated = 0; repeated < 2; repeated++) {
        size_t at = 0;
        signal.repeated = repeated != 0;
        size_t size = wire_record_encode(&signal, PART_PRODUCT, 0, 0, 0, 0, bytes);
        cr_expect_null(memmem(bytes, size, "SECRET", 6));
        cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
        cr_expect_eq(got.repeated, signal.repeated);
        bytes[7] = 2;
        at = 0;
        cr_expect_not(wire_record_decode(bytes, size, &at, &head, &got), "no other flag is one");
        at = 0;
        size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 0, 0, bytes);
        cr_expect_null(memmem(bytes, size, "SECRET-VISIT", 12));
        cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
        cr_expect_eq(got.repeated, signal.repeated);
    }
    signal.present &= ~(UINT64_C(1) << SIGNAL_FIELD_session);
    size_t at = 0, size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 0, 0, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
    cr_expect_not(got.repeated, "an unnamed visit may have been somebody else's");
    signal = parsed("{\"type\":\"receipt\",\"customer\":\"C1\",\"amount\":5,\"currency\":\"EUR\"}");
    size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 0, 0, bytes);
    bytes[7] = WIRE_RECORD_REPEATED;
    at = 0;
    cr_expect_not(wire_record_decode(bytes, size, &at, &head, &got), "other types have no flag");
}

/* Goal: what a customer's event says of its category goes to the customer's worker and to nobody else. */
Test(wire, the_category_of_demand_goes_with_the_customer_alone)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    struct signal got, signal = parsed("{\"type\":\"demand\",\"sku\":\"A\",\"event\":\"view\",\"customer\":\"C1\",\"category\":\"gifts/home\"}");
    size_t at = 0, size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 0, 0, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
    cr_expect_str_eq(got.category, "gifts/home");
    size = wire_record_encode(&signal, PART_PRODUCT, 0, 0, 0, 0, bytes);
    cr_expect_null(memmem(bytes, size, "gifts", 5));
    signal = parsed("{\"type\":\"product\",\"sku\":\"A\",\"list\":1,\"currency\":\"EUR\",\"category\":\"gifts/home\"}");
    size = wire_record_encode(&signal, PART_PRODUCT, 0, 0, 0, 0, bytes);
    cr_expect_not_null(memmem(bytes, size, "gifts", 5), "a product has its own");
}

Test(wire, the_largest_record_fits)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct signal largest = { .type = SIGNAL_product }, got;
    struct wire_record head;
    largest.present = ~UINT64_C(0) >> (64 - SIGNAL_FIELD_COUNT);
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++) {
        char *member = (char *)&largest + signal_rows[i].offset;
        if (signal_rows[i].kind == FIELD_TEXT || signal_rows[i].kind == FIELD_SKU ||
            signal_rows[i].kind == FIELD_CUSTOMER)
            memset(member, 'x', signal_rows[i].size - 1);
        else if (signal_rows[i].kind == FIELD_ZONE)
            memcpy(member, "a", 2);
    }
    memcpy(largest.currency, "EUR", 4);
    largest.list = largest.promotion = RIALTO_BOUND_MAX;
    largest.promotion = 1000000;
    largest.segments.count = TERMS_SEGMENTS_MAX;
    for (uint32_t i = 0; i < TERMS_SEGMENTS_MAX; i++) {
        memset(largest.segments.word[i], 'y', RIALTO_NAME_MAX - 1);
        largest.segments.until_ms[i] = 1;
        largest.segments.party[i] = PARTY_THIRD + 1;
    }
    largest.consent.given = (1u << CONSENT_KINDS) - 1u;
    for (unsigned i = 0; i < CONSENT_KINDS; i++) {
        memset(largest.consent.note[i].source, 'z', CONSENT_SOURCE_MAX - 1);
        memset(largest.consent.note[i].text, 'z', CONSENT_TEXT_MAX - 1);
    }
    largest.attributes.count = ATTRIBUTES_MAX;
    for (uint32_t i = 0; i < ATTRIBUTES_MAX; i++) {
        memset(largest.attributes.name[i], 'z', ATTRIBUTE_NAMES_BYTES / ATTRIBUTES_MAX - 1);
        largest.attributes.name[i][1] = (char)('a' + i);
    }
    size_t at = 0, size = wire_record_encode(&largest, PART_PRODUCT, 0, 0, 0, 0, bytes);
    cr_expect_leq(size, WIRE_RECORD_MAX);
    cr_expect(wire_record_decode(bytes, size, &at, &head, &got));
    largest.type = SIGNAL_customer;
    at = 0;
    size = wire_record_encode(&largest, PART_CUSTOMER, 0, 0, 0, 0, bytes);
    cr_expect_leq(size, WIRE_RECORD_MAX);
    cr_expect(wire_record_decode(bytes, size, &at, &head, &got));
    cr_expect_eq(got.segments.count, TERMS_SEGMENTS_MAX);
}

Test(wire, a_watch_travels_like_a_signal)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    size_t at = 0;
    struct signal got, watch = { .type = (enum signal_type)WIRE_TYPE_WATCH,
                                 .present = UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_sku |
                                            UINT64_C(1) << SIGNAL_FIELD_lease_s,
                                 .customer = "C1",
                                 .sku = "A",
                                 .lease_s = 900 };
    size_t size = wire_record_encode(&watch, PART_CUSTOMER, 7, 0, 0, 0, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
    cr_expect_eq(head.type, WIRE_TYPE_WATCH);
    cr_expect_str_eq(got.customer, "C1");
    cr_expect_str_eq(got.sku, "A");
    cr_expect_eq(got.lease_s, 900);
    bytes[5] = PART_PRODUCT;
    at = 0;
    cr_expect(!wire_record_decode(bytes, size, &at, &head, &got), "only customers watch");
    cr_expect_eq(at, 0, "a refused record moves nothing");
}

/* Goal: no shorter piece of a record is taken, wherever it is cut. */
Test(wire, a_cut_record_is_refused)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    struct signal signal = parsed(SIGNALS[7]), got;
    size_t size = wire_record_encode(&signal, PART_CUSTOMER, 0, 0, 0, 0, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        size_t at = 0;
        uint8_t *copy = malloc(cut + 1); /* of its own: a byte read past the end is seen */
        memcpy(copy, bytes, cut);
        cr_expect(!wire_record_decode(copy, cut, &at, &head, &got), "cut at %zu", cut);
        free(copy);
    }
    size_t at = size + 1;
    cr_expect(!wire_record_decode(bytes, size, &at, &head, &got), "beyond the end");
}

/* Whatever is taken is a signal as the parser could have made it: in bounds, terminated, with its required fields. */
static void expect_sane(const struct wire_record *head, const struct signal *signal)
{
    for (int i = 0; i < SIGNAL_FIELD_COUNT; i++) {
        const struct signal_row *row = &signal_rows[i];
        const char *member = (const char *)signal + row->offset;
        bool text =
            row->kind == FIELD_TEXT || row->kind == FIELD_SKU || row->kind == FIELD_CUSTOMER || row->kind == FIELD_ZONE;
        if (text)
            cr_assert_not_null(memchr(member, 0, row->size), "%s has no end", row->pointer);
        if (row->kind == FIELD_MONEY && signal_has(signal, (enum signal_field)i)) {
            int64_t value;
            memcpy(&value, member, sizeof value);
            cr_assert(value >= row->low && value <= row->high, "%s is out of range", row->pointer);
        }
        if (head->type < SIGNAL_TYPE_COUNT && row->must & (1u << head->type) && row->parts & head->part)
            cr_assert(signal_has(signal, (enum signal_field)i), "%s is missing", row->pointer);
    }
    cr_assert_leq(signal->segments.count, TERMS_SEGMENTS_MAX);
    cr_assert_leq(signal->attributes.count, ATTRIBUTES_MAX);
    for (int64_t i = 0; i < signal->attributes.count; i++)
        cr_assert_null(attribute_name_fault(signal->attributes.name[i]));
    for (uint32_t i = 0; i < signal->segments.count; i++) {
        cr_assert_not_null(memchr(signal->segments.word[i], 0, RIALTO_NAME_MAX));
        cr_assert(signal->segments.party[i] <= PARTY_THIRD + 1 && signal->segments.until_ms[i] >= 0);
    }
    for (unsigned i = 0; i < CONSENT_KINDS; i++) {
        const struct consent_note *note = &signal->consent.note[i];
        cr_assert(memchr(note->source, 0, sizeof note->source) != NULL &&
                  memchr(note->text, 0, sizeof note->text) != NULL);
        cr_assert(note->time_ms >= 0 &&
                  (signal->consent.given >> i & 1u || (note->source[0] == 0 && note->text[0] == 0)));
    }
}

/* What is read where it lies: as the copy says, or refused with it. Returns whether it is demand's product part. */
static bool expect_same_demand(const uint8_t *bytes, size_t size, const struct wire_record *head,
                               const struct signal *signal)
{
    struct wire_record again;
    struct wire_demand demand;
    size_t at = 0;
    enum wire_read read = wire_demand_decode(bytes, size, &at, &again, &demand);
    if (signal == NULL) {
        cr_assert_neq(read, WIRE_DEMAND, "taken, where the whole record is not");
        return false;
    }
    bool is = head->type == SIGNAL_demand && head->part == PART_PRODUCT;
    cr_assert_eq(read, is ? WIRE_DEMAND : WIRE_OTHER);
    if (!is)
        return false;
    cr_assert_eq(memcmp(head, &again, sizeof again), 0);
    cr_assert_eq(at, head->bytes);
    cr_assert_str_eq(demand.sku, signal->sku);
    cr_assert_str_eq(demand.zone, signal->zone);
    cr_assert_str_eq(demand.currency, signal->currency);
    cr_assert_eq(demand.event, signal->event);
    cr_assert_eq(demand.quantity, signal_has(signal, SIGNAL_FIELD_quantity) ? signal->quantity : 1000000);
    cr_assert_eq(demand.seller != NULL, signal_has(signal, SIGNAL_FIELD_seller));
    if (demand.seller != NULL)
        cr_assert_str_eq(demand.seller, signal->seller);
    cr_assert_eq(demand.sku_bytes, strlen(signal->sku));
    return true;
}

/* Goal: a worker reads demand in a way of its own, and no byte is told otherwise by it. */
Test(wire, demand_read_where_it_lies_is_what_the_record_says)
{
    static const char *const SAID[] = {
        "{\"type\":\"demand\",\"sku\":\"milk\",\"event\":\"view\"}",
        ("{\"type\":\"demand\",\"sku\":\"milk-1l\",\"event\":\"return\",\"quantity\":2.5,\"zone\":\"de/"
         "south\",\"seller\":\"farm\"}"),
        "{\"type\":\"demand\",\"sku\":\"m\",\"event\":\"order\",\"amount\":199,\"currency\":\"EUR\",\"zone\":\"\"}",
    };
    unsigned taken = 0, refused = 0;
    uint64_t random = 88172645463325252u;
    for (size_t s = 0; s < sizeof SAID / sizeof SAID[0]; s++) {
        struct signal signal = parsed(SAID[s]), got;
        struct wire_record head;
        uint8_t bytes[WIRE_RECORD_MAX];
        size_t size = wire_record_encode(&signal, PART_PRODUCT, 3, 5, 77, 78, bytes), at = 0;
        cr_assert(wire_record_decode(bytes, size, &at, &head, &got));
        cr_assert(expect_same_demand(bytes, size, &head, &got));
        for (int round = 0; round < 30000; round++) {
            uint8_t *copy = malloc(size); /* of its own: a byte read past the end is seen */
            memcpy(copy, bytes, size);
            for (int flips = 0; flips <= round % 3; flips++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                copy[random % size] ^= (uint8_t)(random >> 32 & (round & 4 ? 0xFF : 0x0F));
            }
            at = 0;
            bool whole = wire_record_decode(copy, size, &at, &head, &got);
            taken += expect_same_demand(copy, size, &head, whole ? &got : NULL);
            refused += !whole;
            free(copy);
        }
    }
    cr_expect(refused > 1000 && taken > 1000, "the test must see both: refused %u, taken %u", refused, taken);
}

/* Goal: damage is refused, or leaves a signal that is still one. */
Test(wire, damaged_records_are_refused_or_still_signals)
{
    unsigned refused = 0, taken = 0;
    uint64_t random = 88172645463325252u;
    for (size_t s = 0; s < SIGNAL_COUNT; s++) {
        struct signal signal = parsed(SIGNALS[s]), got;
        unsigned part = signal_parts(&signal) & (unsigned)-(int)signal_parts(&signal);
        uint8_t bytes[WIRE_RECORD_MAX], copy[WIRE_RECORD_MAX];
        size_t size = wire_record_encode(&signal, (enum signal_part)part, 0, 0, 0, 0, bytes);
        for (int round = 0; round < 3000; round++) {
            struct wire_record head;
            size_t at = 0;
            memcpy(copy, bytes, size);
            for (int flips = 0; flips <= round % 3; flips++) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                copy[random % size] ^= (uint8_t)(random >> 32 & 0xFF);
            }
            if (wire_record_decode(copy, size, &at, &head, &got)) {
                expect_sane(&head, &got);
                taken++;
            } else {
                refused++;
            }
        }
    }
    cr_expect(refused > 1000 && taken > 1000, "the test must see both: refused %u, taken %u", refused, taken);
}

Test(wire, heads_of_other_messages_are_refused)
{
    alignas(struct wire_header) uint8_t bytes[sizeof(struct wire_header) + 64] = { 0 };
    struct wire_header good = {
        .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = WIRE_ACK, .seq = 5, .count = 2, .worker = 3
    };
    size_t size = sizeof good + 2 * sizeof(struct wire_finding);
    memcpy(bytes, &good, sizeof good);
    cr_assert_not_null(wire_header_check(bytes, size));
    cr_expect_eq(wire_header_check(bytes, size)->seq, 5);
    cr_expect_null(wire_header_check(bytes, size - 1), "a finding is cut");
    cr_expect_null(wire_header_check(bytes, size + 16), "a finding too many");
    cr_expect_null(wire_header_check(bytes, sizeof good - 1));
    cr_expect_null(wire_header_check(bytes, 0));
    cr_expect_null(wire_header_check(bytes + 1, size - 1), "not where NNG puts messages");

    struct wire_header bad[] = { good, good, good, good, good };
    bad[0].magic++;
    bad[1].version++;
    bad[2].kind = 9;
    bad[3].worker = RIALTO_WORKERS_MAX;
    bad[4].count = UINT32_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(bytes, &bad[i], sizeof bad[i]);
        cr_expect_null(wire_header_check(bytes, size), "row %zu", i);
    }
    struct wire_header batch = good;
    batch.kind = WIRE_BATCH;
    memcpy(bytes, &batch, sizeof batch);
    cr_expect_null(wire_header_check(bytes, sizeof batch + 40), "two records do not fit there");
    cr_expect_not_null(wire_header_check(bytes, sizeof batch + 80));
    cr_expect_null(wire_header_check(bytes, sizeof batch + 79));
}

/* ---- what a product cost when a customer looked at it ------------------------------------------------------------------ */

static size_t priced_record(const struct wire_priced *priced, enum signal_part part, uint8_t bytes[WIRE_RECORD_MAX])
{
    struct signal signal = { .type = SIGNAL_demand, .time_ms = 1767225600000, .event = DEMAND_CART, .sku = "tea", .customer = "ann", .priced = priced };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event | UINT64_C(1) << SIGNAL_FIELD_customer;
    return wire_record_encode(&signal, part, 5, 3, 0, 0, bytes);
}

Test(wire, what_a_product_cost_travels_with_the_customers_part_alone)
{
    const struct wire_priced sent = { .baseline = 1234, .currency = 978, .forbidden = RIALTO_KIND_LOCATION, .model = "a-model-of-thirty-one-letters-x" };
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    struct wire_priced got;
    struct signal signal;
    size_t at = 0, size = priced_record(&sent, PART_CUSTOMER, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &signal) && at == size);
    cr_assert(wire_priced_of(&signal, &got));
    cr_expect_arr_eq(&got, &sent, sizeof got);

    at = 0;
    size = priced_record(&sent, PART_PRODUCT, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &signal) && !wire_priced_of(&signal, &got), "the product part is as ever");
    at = 0;
    size = priced_record(NULL, PART_CUSTOMER, bytes);
    cr_assert(wire_record_decode(bytes, size, &at, &head, &signal) && !wire_priced_of(&signal, &got), "without it, too");
}

/* Goal: a worker believes nothing that a gateway would not say. */
Test(wire, a_price_that_cannot_be_is_refused)
{
    static const struct wire_priced good = { .baseline = 1, .currency = 978, .model = "m" };
    struct wire_priced bad[6] = { good, good, good, good, good, good };
    bad[1].baseline = 0;
    bad[2].baseline = RIALTO_BOUND_MAX + 1;
    bad[3].currency = 1;
    bad[4].reserved[4] = 1;
    memset(bad[5].model, 'x', sizeof bad[5].model);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[WIRE_RECORD_MAX];
        struct wire_record head;
        struct signal signal;
        size_t at = 0, size = priced_record(&bad[i], PART_CUSTOMER, bytes);
        cr_expect_eq(wire_record_decode(bytes, size, &at, &head, &signal), i == 0, "row %zu", i);
    }
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record head;
    struct signal signal;
    size_t at = 0, size = priced_record(&good, PART_CUSTOMER, bytes);
    memcpy(&head, bytes, sizeof head);
    head.type = SIGNAL_receipt; /* what is of demand is of nothing else */
    memcpy(bytes, &head, sizeof head);
    cr_expect(!wire_record_decode(bytes, size, &at, &head, &signal));
}

/* ---- locks ------------------------------------------------------------------------------------------------------------- */

static size_t lock_record(uint32_t prices, uint8_t bytes[WIRE_RECORD_MAX], struct wire_lock *lock)
{
    struct signal signal = { .amount = 109, .until_ms = INT64_C(1767225600000), .lock = lock };
    signal.type = (enum signal_type)WIRE_TYPE_LOCK;
    signal.present = UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_amount |
                     UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_until_ms;
    memset(signal.customer, 'c', RIALTO_ID_MAX - 1);
    memset(signal.sku, 's', RIALTO_ID_MAX - 1);
    memcpy(signal.currency, "EUR", 4);
    *lock = (struct wire_lock){ .request = 7, .count = prices, .nonce = "fifteen letters" };
    for (uint32_t i = 0; i < prices; i++)
        lock->price[i] = (struct wire_price){ .from_us = 1000 - (int64_t)i, .line = { .baseline = 100 + i } };
    return wire_record_encode(&signal, PART_CUSTOMER, 5, 3, 0, 0, bytes);
}

Test(wire, a_lock_travels_with_the_prices_that_it_looks_back_at)
{
    for (uint32_t prices = 0; prices <= WIRE_PRICES_MAX; prices++) {
        uint8_t bytes[WIRE_RECORD_MAX];
        struct wire_lock sent, got;
        struct wire_record head;
        struct signal signal;
        size_t size = lock_record(prices, bytes, &sent), at = 0;
        cr_assert(wire_record_decode(bytes, size, &at, &head, &signal));
        cr_expect(at == size && head.type == WIRE_TYPE_LOCK && signal.amount == 109 && strcmp(signal.currency, "EUR") == 0);
        wire_lock_of(&signal, &got);
        cr_expect_arr_eq(&got, &sent, sizeof got);
    }
}

/* Goal: a lock that says it has more prices than travel with it, or none of its own, is no record. */
Test(wire, a_lock_whose_prices_do_not_add_up_is_refused)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_lock lock;
    struct wire_record head;
    struct signal signal;
    size_t size = lock_record(2, bytes, &lock), at = 0, place = 0;
    for (size_t i = sizeof head; i < size && place == 0; i++)
        if (memcmp(bytes + i, lock.nonce, sizeof lock.nonce) == 0)
            place = i + offsetof(struct wire_lock, count);
    cr_assert_neq(place, 0);
    for (uint32_t count = 0; count < 12; count++) {
        memcpy(bytes + place, &count, sizeof count);
        at = 0;
        cr_expect_eq(wire_record_decode(bytes, size, &at, &head, &signal), count == 2, "%u", count);
    }
    size = lock_record(0, bytes, &lock);
    memcpy(&head, bytes, sizeof head);
    head.field_count--; /* without what it looks back at */
    head.bytes -= 4 + 32;
    head.bytes = (head.bytes + 7) & ~7u;
    memcpy(bytes, &head, sizeof head);
    at = 0;
    cr_expect_not(wire_record_decode(bytes, size, &at, &head, &signal));
}
