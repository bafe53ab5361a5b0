/* gateway_batch.c - signals into the open batch.
 *
 *   signal --split--> product part: worker of the sku        knows no customer, no source, no id
 *                     customer part: worker of the customer  the sole judge of consent
 *                     common part: every worker
 *
 * A batch has one number for all workers; a worker gets a message only if there is something for it, or at a tick. */
#include "service/gateway.h"

#include "cache/keys.h"
#include "service/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct route {        /* where the parts of one signal go */
    uint64_t workers; /* all of them */
    uint32_t product_partition, customer_partition;
    uint64_t id_hash, number;
    unsigned parts;
};

static uint32_t worker_of(const struct gateway *gateway, uint32_t partition)
{
    return partition % gateway->link_count;
}

static uint32_t partition_of(const struct gateway *gateway, const char *id)
{
    return key_partition(key_of_id(gateway->control->secret, id, strlen(id)));
}

/* Equal for the same source and id, or for the same source that numbers its signals; says nothing about either to who lacks the secret. */
uint64_t batch_id_hash(const struct gateway *gateway, const struct signal *signal)
{
    char text[2 * RIALTO_ID_MAX];
    if (signal->seq != 0) {
        uint64_t who = key_of_id(gateway->control->secret, signal->source, strlen(signal->source)).lo;
        return who != 0 ? who : 1;
    }
    if (signal->id[0] == '\0')
        return 0;
    size_t source = strlen(signal->source) + 1, id = strlen(signal->id);
    memcpy(text, signal->source, source);
    memcpy(text + source, signal->id, id);
    uint64_t hash = key_of_id(gateway->control->secret, text, source + id).lo;
    return hash != 0 ? hash : 1;
}

static struct route route_of(const struct gateway *gateway, const struct signal *signal)
{
    bool is_signal = (unsigned)signal->type < SIGNAL_TYPE_COUNT;
    struct route route = { .parts = is_signal ? signal_parts(signal) : (unsigned)PART_CUSTOMER, /* a watch, a lock */
                           .id_hash = batch_id_hash(gateway, signal),
                           .number = (uint64_t)signal->seq };
    if (route.parts & PART_COMMON)
        route.workers = UINT64_MAX >> (64 - gateway->link_count);
    if (route.parts & PART_PRODUCT) {
        route.product_partition = partition_of(gateway, signal->sku);
        route.workers |= UINT64_C(1) << worker_of(gateway, route.product_partition);
    }
    if (route.parts & PART_CUSTOMER) {
        route.customer_partition = partition_of(gateway, signal->customer);
        route.workers |= UINT64_C(1) << worker_of(gateway, route.customer_partition);
    }
    return route;
}

static bool has_room(const struct gateway *gateway, uint64_t workers)
{
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (workers >> i & 1u && !link_has_room(&gateway->link[i]))
            return false;
    return true;
}

static void out_of_memory(void)
{
    /* Half a signal must not go out, and numbers already given to requests cannot be taken back. */
    log_line(LOG_ERROR, "OUT-OF-MEMORY", "what=batch");
    abort();
}

static nng_msg *message_start(void)
{
    static const struct wire_header blank = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = WIRE_BATCH };
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, &blank, sizeof blank) != 0)
        out_of_memory();
    return message;
}

static void message_finish(const struct gateway *gateway, nng_msg *message, uint64_t seq, uint32_t worker,
                           uint32_t count, uint32_t flags)
{
    struct wire_header header;
    memcpy(&header, nng_msg_body(message), sizeof header);
    header.seq = seq;
    header.tick_ms = gateway->clock.tick_ms;
    header.count = count;
    header.arrived_us = count > 0 ? gateway->batch.arrived_us : 0;
    header.worker = worker;
    header.flags = flags;
    memcpy(nng_msg_body(message), &header, sizeof header); /* prev is the link's */
}

static void put_record(struct gateway *gateway, uint32_t worker, const uint8_t *record, size_t bytes)
{
    struct batch *batch = &gateway->batch;
    if (batch->message[worker] == NULL) {
        batch->message[worker] = message_start();
        /* As long as the one before: NNG would allocate and copy it again and again while it grows. */
        if (nng_msg_reserve(batch->message[worker], batch->bytes_before[worker] + WIRE_RECORD_MAX) != 0)
            out_of_memory();
    }
    nng_msg *message = batch->message[worker];
    size_t length = nng_msg_len(message);
    /* NNG grows a message by what is missing, and copies all of it each time: double it instead. */
    if (length + bytes > nng_msg_capacity(message) && nng_msg_reserve(message, 2 * (length + WIRE_RECORD_MAX)) != 0)
        out_of_memory();
    if (nng_msg_append(message, record, bytes) != 0)
        out_of_memory();
    batch->records[worker]++;
    batch->full = batch->full || nng_msg_len(batch->message[worker]) > BATCH_BYTES_MAX;
}

static void put_parts(struct gateway *gateway, const struct signal *signal, const struct route *route)
{
    uint8_t record[WIRE_RECORD_MAX];
    uint32_t ref = gateway->batch.signals, partition = route->product_partition;
    if (route->parts & PART_PRODUCT) {
        size_t bytes = wire_record_encode(signal, PART_PRODUCT, partition, ref, route->id_hash, route->number, record);
        put_record(gateway, worker_of(gateway, partition), record, bytes);
        recorder_record(gateway, record, bytes);
    }
    partition = route->customer_partition;
    if (route->parts & PART_CUSTOMER) {
        size_t bytes = wire_record_encode(signal, PART_CUSTOMER, partition, ref, route->id_hash, route->number, record);
        put_record(gateway, worker_of(gateway, partition), record, bytes);
    }
    if (route->parts & PART_COMMON) {
        size_t bytes = wire_record_encode(signal, PART_COMMON, 0, ref, route->id_hash, route->number, record);
        for (uint32_t i = 0; i < gateway->link_count; i++)
            put_record(gateway, i, record, bytes);
        recorder_record(gateway, record, bytes);
    }
}

static void batch_open(struct gateway *gateway)
{
    gateway->batch.seq = clock_take_seq(gateway);
    gateway->batch.arrived_us = (uint32_t)gateway->ingest.received.arrived_us | 1u; /* 0 says that there is none */
}

bool batch_route(struct gateway *gateway, struct signal *signal, struct request *request, uint32_t index)
{
    struct batch *batch = &gateway->batch;
    struct route route = route_of(gateway, signal);
    if (!has_room(gateway, route.workers) || (request != NULL && !request_reserve(request)))
        return false;
    if (batch->signals == 0)
        batch_open(gateway);
    bool repeats = repeats_take(gateway->repeats, signal, gateway->clock.tick_ms);
    signal->priced = gateway->offering.count > 0 ? offering_price(gateway, signal) : NULL;
    signal->repeated = repeats || (signal_has(signal, SIGNAL_FIELD_again) && signal->again != 0);
    if (gateway->offering.affinity)
        category_fill(gateway, signal);
    put_parts(gateway, signal, &route);
    bool told = source_tells(signal->source, signal->customer) || source_tells(signal->source, signal->session);
    uint32_t source = told ? 0 : rejects_source(gateway, signal->source, signal->seq != 0 ? route.id_hash : 0);
    batch->source[batch->signals] = source;
    batch->sources_known = batch->sources_known || source != 0;
    batch->answered = batch->answered || request != NULL;
    if (request != NULL)
        request_accept(request, signal, batch->seq, batch->signals, index, route.workers);
    batch->signals++;
    if (batch->full || batch->signals >= gateway->config->batch_signals_max)
        batch_seal(gateway, true);
    return true;
}

/* NULL also when memory is short: then dead letters of this batch name no source. */
static struct batch_note *note_of(const struct batch *batch)
{
    struct batch_note *note = NULL;
    size_t bytes = batch->signals * sizeof note->source[0];
    if (batch->sources_known)
        note = malloc(sizeof *note + bytes);
    if (note != NULL) {
        *note = (struct batch_note){ .count = batch->signals };
        memcpy(note->source, batch->source, bytes);
    }
    return note;
}

void batch_seal(struct gateway *gateway, bool more)
{
    struct batch *batch = &gateway->batch;
    if (batch->signals == 0)
        return;
    struct batch_note *note = note_of(batch);
    uint32_t flags = batch->answered ? WIRE_ANSWERED : more ? WIRE_MORE : 0;
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        if (batch->message[i] == NULL)
            continue;
        message_finish(gateway, batch->message[i], batch->seq, i, batch->records[i], flags);
        batch->bytes_before[i] = nng_msg_len(batch->message[i]);
        link_put(&gateway->link[i], batch->message[i], batch->seq, false, note);
        batch->message[i] = NULL;
        batch->records[i] = 0;
    }
    if ((flags & WIRE_MORE) == 0)
        recorder_batch_end(gateway);
    batch->signals = 0;
    batch->full = batch->sources_known = batch->answered = false;
}

void batch_tick(struct gateway *gateway)
{
    assert(gateway->batch.signals == 0);
    uint64_t seq = clock_take_seq(gateway);
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        nng_msg *message = message_start();
        message_finish(gateway, message, seq, i, 0, 0);
        link_put(&gateway->link[i], message, seq, true, NULL);
    }
    recorder_tick(gateway);
}

bool batch_has_room(const struct gateway *gateway)
{
    return has_room(gateway, UINT64_MAX >> (64 - gateway->link_count));
}

uint64_t batch_change(struct gateway *gateway, uint64_t number)
{
    const struct signal signal = { .type = (enum signal_type)WIRE_TYPE_CHANGE, .time_ms = gateway->clock.tick_ms };
    uint8_t record[WIRE_RECORD_MAX];
    batch_seal(gateway, false);
    uint64_t seq = clock_take_seq(gateway);
    size_t bytes = wire_record_encode(&signal, PART_COMMON, 0, 0, number, 0, record);
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        nng_msg *message = message_start();
        if (nng_msg_append(message, record, bytes) != 0)
            out_of_memory();
        message_finish(gateway, message, seq, i, 1, 0);
        link_put(&gateway->link[i], message, seq, false, NULL);
    }
    return seq;
}

void batch_teardown(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (gateway->batch.message[i] != NULL)
            nng_msg_free(gateway->batch.message[i]);
}
