/* gateway_ingest.c - message after message into signals.
 *
 *   inbox --> message --> signal_parse --> batch_route
 *                             | refused         | no room in a window: the signal is held, nothing further is taken,
 *                             v                 v the inbox fills, NNG stops reading, senders wait
 *                        finding, metric
 *
 * A step takes a bounded number of signals, in the middle of a message if need be, so that no message delays a tick. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REPORT_INTERVAL_MS 10000

static struct request *request_of(struct gateway *gateway)
{
    int slot = gateway->ingest.received.slot;
    return slot < 0 ? NULL : &gateway->request[slot];
}

/* ---- rejections ------------------------------------------------------------------------------------------------ */

static void reject(struct gateway *gateway, const cJSON *value, enum signal_reason reason, const struct fault *fault)
{
    struct ingest *ingest = &gateway->ingest;
    ingest->reasons[reason]++;
    metric_add(METRIC_signals_rejected_total, 1);
    if (reason != REASON_rate_limited) /* nothing is wrong with it, and its sender knows */
        rejects_add_value(gateway, value, ingest->index, reason, fault);
    if (request_of(gateway) != NULL)
        request_reject(gateway, request_of(gateway), ingest->index, reason, fault);
}

/* One line per reason, seldom, and nothing of what was sent: it may be personal. */
void ingest_report(struct gateway *gateway, bool now)
{
    struct ingest *ingest = &gateway->ingest;
    if (!now && mono_ms() - ingest->told_ms < REPORT_INTERVAL_MS)
        return;
    for (int i = 0; i < REASON_COUNT; i++) {
        if (ingest->reasons[i] == ingest->reasons_told[i])
            continue;
        log_line(LOG_WARNING, "SIGNALS-REJECTED", "reason=%s count=%" PRIu64 " total=%" PRIu64,
                 signal_reason_name((enum signal_reason)i), ingest->reasons[i] - ingest->reasons_told[i],
                 ingest->reasons[i]);
        ingest->reasons_told[i] = ingest->reasons[i];
        ingest->told_ms = mono_ms();
    }
}

/* ---- one message --------------------------------------------------------------------------------------------------
 */

/* ---- a producer's share ------------------------------------------------------------------------------------------- */

/* What takes data away is never refused for its sender's rate. */
static bool takes_away(const struct signal *signal)
{
    bool revokes = (signal->consent.given & ~signal->consent.granted) != 0 || signal->opt_out != 0 || signal->gpc != 0;
    return signal->type == SIGNAL_forget || (signal->type == SIGNAL_customer && revokes) ||
           (signal->type == SIGNAL_location && signal->left != 0);
}

/* A request whose producer's share is used up. Such a message is refused as it stands, unless it seems to hold something that takes
 * data away: then that is taken, and the rest of it refused signal by signal. True: it was answered. */
static bool limited(struct gateway *gateway, const struct received *received)
{
    struct rates *rates = gateway->inbox.rates;
    int64_t wait_us = rates == NULL || received->slot < 0 ? 0 : rates_wait_us(rates, received->sender.name, mono_us());
    gateway->ingest.limited = wait_us > 0;
    if (wait_us == 0)
        return false;
    const char *text = nng_msg_body(received->message);
    size_t bytes = nng_msg_len(received->message);
    metric_add(METRIC_requests_limited_total, 1);
    if (memmem(text, bytes, "\"forget\"", 8) != NULL || memmem(text, bytes, "\"customer\"", 10) != NULL)
        return false;
    char said[256];
    int length = snprintf(
        said, sizeof said,
        "{\"ok\":false,\"reason\":\"rate_limited\",\"pointer\":\"\",\"text\":\"%s\",\"retry_after_ms\":%" PRId64 "}",
        signal_reason_text(REASON_rate_limited), (wait_us + 999) / 1000);
    answer_text(gateway, (uint32_t)received->slot, said, (size_t)length);
    return true;
}

static void charge(struct gateway *gateway)
{
    const struct ingest *ingest = &gateway->ingest;
    if (gateway->inbox.rates != NULL)
        rates_charge(gateway->inbox.rates, ingest->received.sender.name, ingest->index > 0 ? ingest->index : 1,
                     mono_us());
}

/* The next message that holds signals; controls on the way are acted on. False: none is there. */
static bool open_next(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    while (inbox_take(&gateway->inbox, &ingest->received)) {
        metric_add(METRIC_messages_received_total, 1);
        metric_add(METRIC_message_bytes_total, nng_msg_len(ingest->received.message));
        if (control_take(gateway, &ingest->received, CONTROL_ALL) || limited(gateway, &ingest->received)) {
            nng_msg_free(ingest->received.message);
            continue;
        }
        if (ingest->received.slot >= 0)
            request_begin(gateway, (uint32_t)ingest->received.slot, ingest->received.arrived_us, REQUEST_SIGNALS);
        message_open(&ingest->message, nng_msg_body(ingest->received.message), nng_msg_len(ingest->received.message));
        ingest->active = true;
        ingest->held = false;
        ingest->index = 0;
        return true;
    }
    return false;
}

static void close_current(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    if (ingest->message.broken)
        metric_add(METRIC_messages_refused_total, 1);
    message_close(&ingest->message);
    nng_msg_free(ingest->received.message);
    charge(gateway);
    ingest->active = false;
    if (ingest->received.slot >= 0)
        request_wait(gateway, (uint32_t)ingest->received.slot);
}

/* Is the next value a line of a common shape? Then it is read. */
static bool scan_next(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    const char *text;
    size_t bytes;
    if (ingest->limited || ingest->index >= gateway->config->message_signals_max ||
        !message_line(&ingest->message, &text, &bytes) || !signal_scan(&ingest->scanner, text, bytes, &ingest->signal))
        return false;
    message_line_done(&ingest->message, bytes);
    ingest->counts.received++;
    return true;
}

/* A good signal, and not this sender's to send? */
static enum signal_reason sender_check(const struct ingest *ingest, struct fault *fault)
{
    if (!ingest->message.from_anybody || !signal_is_of_customer(&ingest->signal))
        return REASON_none;
    bool in_event = (ingest->signal.enclosed & SIGNAL_IN_DATA) != 0;
    fault_set(fault, NULL, 0, in_event ? "/data/customer" : "/customer", "%s", signal_reason_text(REASON_no_token));
    return REASON_no_token;
}

/* The next value of the message: refused, or held. False at the end. */
static bool read_next(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    enum signal_reason reason = REASON_none;
    const cJSON *value = NULL;
    struct fault fault;
    if (!scan_next(gateway)) {
        fault = (struct fault){ .reason = "" };
        if (!message_next(&ingest->message, &value, &reason, &fault))
            return false;
        metric_add(METRIC_signals_received_total, 1);
        if (ingest->index >= gateway->config->message_signals_max) {
            reason = REASON_too_many;
            fault_set(&fault, NULL, 0, "", "more than %u signals in one message: this one and all behind it",
                      gateway->config->message_signals_max);
        } else if (reason == REASON_none) {
            reason = signal_parse(value, &gateway->rules, &ingest->signal, &fault);
        }
        if (reason == REASON_none && ingest->limited && !takes_away(&ingest->signal)) {
            reason = REASON_rate_limited;
            fault_set(&fault, NULL, 0, "", "%s", signal_reason_text(reason));
        }
    }
    if (reason == REASON_none)
        reason = sender_check(ingest, &fault);
    ingest->held = reason == REASON_none;
    if (!ingest->held) {
        reject(gateway, value, reason, &fault);
        ingest->index++;
    }
    return true;
}

/* A request whose time is up while a window is full: its remaining signals are refused, so that it is answered. */
static bool give_up(struct gateway *gateway)
{
    struct request *request = request_of(gateway);
    if (request == NULL || mono_ms() < request->deadline_ms)
        return false;
    struct fault fault;
    fault_set(&fault, NULL, 0, "", "%s", signal_reason_text(REASON_no_answer));
    reject(gateway, NULL, REASON_no_answer, &fault);
    return true;
}

/* The counters by kind stand in the order of the kinds. */
static enum metric kind_counter(enum signal_type type)
{
    return (enum metric)((int)METRIC_product_signals_total + (int)type);
}
_Static_assert((int)METRIC_product_signals_total + (int)SIGNAL_forget == (int)METRIC_forget_signals_total &&
                   (int)METRIC_product_signals_total + (int)SIGNAL_weather == (int)METRIC_weather_signals_total &&
                   SIGNAL_TYPE_COUNT == SIGNAL_forget + 1,
               "a counter for each kind of signal, in their order");

static void route_held(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    gateway->stalled = !batch_route(gateway, &ingest->signal, request_of(gateway), ingest->index);
    if (!gateway->stalled) {
        ingest->counts.accepted++;
        ingest->counts.of_kind[ingest->signal.type]++;
        if (ingest->signal.type == SIGNAL_forget)
            audit_forget_signal(gateway, &ingest->received, ingest->signal.customer);
    } else if (give_up(gateway)) {
        gateway->stalled = false;
    } else {
        return;
    }
    ingest->held = false;
    ingest->index++;
}

/* A request whose time was up before its turn came. */
static void refuse_late(struct gateway *gateway, const struct received *received)
{
    if (control_take(gateway, received, CONTROL_REFUSE))
        return;
    struct message message;
    enum signal_reason reason;
    const cJSON *value;
    struct fault fault;
    struct request *request = &gateway->request[received->slot];
    request_begin(gateway, (uint32_t)received->slot, received->arrived_us, REQUEST_SIGNALS);
    message_open(&message, nng_msg_body(received->message), nng_msg_len(received->message));
    for (uint32_t index = 0; message_next(&message, &value, &reason, &fault); index++) {
        fault_set(&fault, NULL, 0, "", "%s", signal_reason_text(REASON_no_answer));
        request_reject(gateway, request, index, REASON_no_answer, &fault);
        metric_add(METRIC_signals_received_total, 1);
        metric_add(METRIC_signals_rejected_total, 1);
        gateway->ingest.reasons[REASON_no_answer]++;
    }
    message_close(&message);
    request_wait(gateway, (uint32_t)received->slot);
}

/* While nothing can be taken, requests that wait in the inbox are still owed a word: a ping its answer, the others an
 * end. */
static void serve_waiting_requests(struct gateway *gateway)
{
    struct received received;
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++) {
        if (!inbox_take_request(&gateway->inbox, i, &received))
            continue;
        bool late = mono_us() - received.arrived_us >= gateway->config->answer_timeout_ms * INT64_C(1000);
        if (late)
            refuse_late(gateway, &received);
        else if (!control_take(gateway, &received, CONTROL_PING)) {
            inbox_return_request(&gateway->inbox, &received);
            continue;
        }
        nng_msg_free(received.message);
    }
}

/* Counted for all of a step: an atomic addition for each of half a million signals a second takes longer than what it counts. */
static void count_step(struct ingest_counts *counts)
{
    metric_add(METRIC_signals_received_total, counts->received);
    metric_add(METRIC_signals_accepted_total, counts->accepted);
    for (int type = 0; counts->accepted > 0 && type < SIGNAL_TYPE_COUNT; type++)
        if (counts->of_kind[type] > 0)
            metric_add(kind_counter((enum signal_type)type), counts->of_kind[type]);
    *counts = (struct ingest_counts){ .received = 0 };
}

/* Returns true when there is more to take at once. */
static bool take_some(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    for (uint32_t i = 0; i < SIGNALS_PER_STEP; i++) {
        if (!ingest->active && !open_next(gateway))
            return false;
        if (!ingest->held && !read_next(gateway)) {
            close_current(gateway);
            continue;
        }
        if (ingest->held)
            route_held(gateway);
        if (gateway->stalled) {
            serve_waiting_requests(gateway);
            return false;
        }
    }
    return true;
}

bool ingest_step(struct gateway *gateway)
{
    gateway->rules.now_ms = clock_now_ms(gateway);
    gateway->rules.wall_ms = unix_ms();
    bool more = take_some(gateway);
    count_step(&gateway->ingest.counts);
    return more;
}

void ingest_teardown(struct gateway *gateway)
{
    struct ingest *ingest = &gateway->ingest;
    if (!ingest->active)
        return;
    message_close(&ingest->message);
    nng_msg_free(ingest->received.message);
}
