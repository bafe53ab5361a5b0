/* fuzz_wire.c - any bytes as a message between gateway and worker: refused, or records that encode to the same fields
 * again. */
#include "service/signal_rows.h"
#include "service/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_wire: %s\n", what);
        abort();
    }
}

static void check_record(const struct wire_record *head, const struct signal *signal)
{
    uint8_t bytes[WIRE_RECORD_MAX];
    struct wire_record again_head;
    struct signal again;
    size_t at = 0;
    size_t written =
        wire_record_encode(signal, (enum signal_part)head->part, head->partition, head->ref, head->id_hash, head->number, bytes);
    require(wire_record_decode(bytes, written, &at, &again_head, &again), "a taken record is refused the second time");
    require(again.present == signal->present && again_head.time_ms == head->time_ms && again_head.type == head->type,
            "a record changed");
    require(memcmp(&again.list, &signal->list, sizeof again.list) == 0 && strcmp(again.sku, signal->sku) == 0 &&
                strcmp(again.customer, signal->customer) == 0 && again.segments.count == signal->segments.count,
            "a field changed");
    struct wire_priced was, is;
    bool priced = wire_priced_of(signal, &was);
    require(priced == wire_priced_of(&again, &is) && (!priced || memcmp(&was, &is, sizeof was) == 0), "another price");
    require(!priced || (head->part == PART_CUSTOMER && was.baseline >= 1), "a price that cannot be");
    require(head->part == PART_CUSTOMER || signal->customer[0] == '\0', "a customer in the wrong part");
    require(text_is_plain(signal->sku) && text_is_plain(signal->customer), "control characters");
}

/* What is read of demand where it lies is what the copy says; both take and refuse the same. */
static void check_demand(const uint8_t *bytes, size_t size, size_t from, size_t to, const struct signal *signal)
{
    struct wire_record head;
    struct wire_demand demand;
    size_t at = from;
    enum wire_read read = wire_demand_decode(bytes, size, &at, &head, &demand);
    bool other = read == WIRE_OTHER;
    if (signal == NULL) {
        require(read != WIRE_DEMAND, "demand that is no record");
        return;
    }
    require(other == (head.type != SIGNAL_demand || head.part != PART_PRODUCT), "demand is not told from others");
    if (other)
        return;
    require(read == WIRE_DEMAND && at == to, "a record that is no demand");
    bool named = signal_has(signal, SIGNAL_FIELD_seller), counted = signal_has(signal, SIGNAL_FIELD_quantity);
    require(strcmp(demand.sku, signal->sku) == 0 && demand.sku_bytes == strlen(signal->sku) &&
                strcmp(demand.zone, signal->zone) == 0 && demand.event == signal->event,
            "another event");
    require(demand.quantity == (counted ? signal->quantity : 1000000) && strcmp(demand.currency, signal->currency) == 0,
            "another quantity");
    require((demand.seller != NULL) == named && (!named || (strcmp(demand.seller, signal->seller) == 0 &&
                                                            demand.seller_bytes == strlen(signal->seller))),
            "another seller");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes =
        malloc(size + 1); /* malloc aligns as NNG does; of its own, so that a byte read past the end is seen */
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    const struct wire_header *header = wire_header_check(bytes, size);
    size_t at = header == NULL ? 0 : sizeof *header;
    uint32_t count = header == NULL ? 1 : header->count;
    if (header != NULL && (header->kind == WIRE_ACK || header->kind == WIRE_HELLO))
        require(size == sizeof *header + count * sizeof(struct wire_finding), "findings that are not there");
    for (uint32_t i = 0; i < count; i++) {
        struct wire_record head;
        struct signal signal;
        size_t from = at;
        bool taken = wire_record_decode(bytes, size, &at, &head, &signal);
        check_demand(bytes, size, from, at, taken ? &signal : NULL);
        if (!taken)
            break;
        require(at <= size, "past the end");
        check_record(&head, &signal);
    }
    free(bytes);
    return 0;
}
