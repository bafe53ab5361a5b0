/* gateway_answer.c - requests that wait for their signals.
 *
 *   taken --> routed --> every part applied --> in Redis, or durable_timeout_ms over --> answered
 *                   \--> answer_timeout_ms over: what is not applied counts as rejected, no_answer --> answered
 *   the worker's stream ended before it told what it found in what it applied: the same, as soon as it is back
 *
 * Nothing waits for ever, and nothing hangs on the requester: a slot is answered in time even when nobody listens any
 * more. A finding that comes after its answer is dropped; the worker has counted it. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMARKS_LISTED_MAX 100u /* in one answer: of signals that were taken */
#define ANSWER_FRAME_BYTES 512u /* of an answer, without findings or a change */
#define FINDING_BYTES      320u /* of a finding, on the average: a pointer and a text of full length that need no escapes */
#define FINDING_BYTES_MAX  768u  /* of any finding: both full of quotes */
#define FINDINGS_KEPT_ROOM 8192u /* bytes of findings, room that a slot keeps between requests */
#define SIGNALS_KEPT_ROOM  4096u /* signals, the same */

_Static_assert(2 * (FAULT_POINTER_MAX + FAULT_REASON_MAX) + 128 <= FINDING_BYTES_MAX, "a finding always fits");

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* Room in a text for so many bytes more; false: there is no memory. */
static bool text_reserve(struct answer_text *text, size_t bytes)
{
    if (text->room - text->used >= bytes)
        return true;
    size_t room = text->room * 2 > text->used + bytes ? text->room * 2 : text->used + bytes;
    char *data = realloc(text->data, room);
    if (data == NULL)
        return false;
    text->data = data;
    text->room = room;
    return true;
}

static void text_say(struct answer_text *text, const char *format, va_list arguments)
{
    int length = vsnprintf(text->data + text->used, text->room - text->used, format, arguments);
    if (length > 0)
        text->used += (size_t)length;
}

static void text_shrink(struct answer_text *text)
{
    if (text->room <= FINDINGS_KEPT_ROOM)
        return;
    free(text->data);
    *text = (struct answer_text){ .data = NULL };
}

static struct answer_text answer; /* one main thread writes one answer at a time */

/* A new answer, with room for so much. */
static void answer_begin(size_t bytes)
{
    answer.used = 0;
    if (!text_reserve(&answer, bytes))
        abort(); /* a slot that is never answered is lost for good; a restart is not */
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_say(&answer, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void finding_say(struct answer_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_say(text, format, arguments);
    va_end(arguments);
}

/* Faults hold no control characters: quotes and backslashes are what is left to escape. */
static void text_quote(struct answer_text *text, const char *what)
{
    text->data[text->used++] = '"';
    for (; *what != '\0'; what++) {
        if (*what == '"' || *what == '\\')
            text->data[text->used++] = '\\';
        text->data[text->used++] = *what;
    }
    text->data[text->used++] = '"';
}

void answer_text(struct gateway *gateway, uint32_t slot, const char *text, size_t bytes)
{
    audit_answered(gateway, slot, text, bytes);
    if (slot == INTERNAL_SLOT) {
        log_line(LOG_INFO, "ANSWER", "%.*s", (int)(bytes < 600 ? bytes : 600), text);
        gateway->request[slot].phase = REQUEST_IDLE;
        return;
    }
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, text, bytes) != 0)
        abort(); /* a slot that is never answered is lost for good; a restart is not */
    gateway->request[slot].phase = REQUEST_IDLE;
    inbox_reply(&gateway->inbox, slot, message);
}

void answer_refused(struct gateway *gateway, uint32_t slot, enum signal_reason reason, const struct fault *fault)
{
    answer_begin(FINDING_BYTES_MAX);
    say("{\"ok\":false,\"reason\":\"%s\",\"pointer\":", signal_reason_name(reason));
    text_quote(&answer, fault->pointer);
    say(",\"text\":");
    text_quote(&answer, fault->reason);
    say("}");
    answer_text(gateway, slot, answer.data, answer.used);
}

static void say_findings(const struct request *request)
{
    say("\"findings\":[");
    if (request->findings.used > 0) {
        memcpy(answer.data + answer.used, request->findings.data, request->findings.used);
        answer.used += request->findings.used;
    }
    say("]");
    if (request->finding_more > 0)
        say(",\"more_findings\":%u", request->finding_more);
}

/* What the customer's owner did not take is no watch. */
static void say_watched(const struct request *request)
{
    say("{\"ok\":true,\"watched\":%u", request->watched - request->finding_count - request->finding_more);
    if (request->finding_count > 0) {
        say(",");
        say_findings(request);
    }
    say("}");
}

static bool all_applied(const struct gateway *gateway, const struct request *request)
{
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (request->need[i] > gateway->link[i].applied)
            return false;
    return true;
}

static void answer_finished(struct gateway *gateway, uint32_t slot, const char *durable)
{
    struct request *request = &gateway->request[slot];
    if (request->finished != NULL && request->kind == REQUEST_SIGNALS) {
        request->finished(gateway, slot, durable);
        return;
    }
    answer_begin(request->findings.used + ANSWER_FRAME_BYTES);
    if (request->kind == REQUEST_TICK)
        say("{\"ok\":true,\"service_time_ms\":%" PRId64 ",\"tick_ms\":%" PRId64 "}", clock_now_ms(gateway),
            gateway->clock.tick_ms);
    else if (request->kind == REQUEST_CHANGE) {
        cJSON *change = change_json();
        char *text = cJSON_PrintUnformatted(change);
        bool everywhere = all_applied(gateway, request);
        int64_t held = everywhere ? change_held(gateway) : -1;
        answer_begin((text != NULL ? strlen(text) : 0) + ANSWER_FRAME_BYTES);
        say("{\"ok\":true,\"change\":%s,\"everywhere\":%s,", text != NULL ? text : "null", everywhere ? "true" : "false");
        if (held >= 0)
            say("\"held\":%" PRId64 ",", held);
        say("\"took_ms\":%" PRId64 "}", (mono_us() - request->arrived_us) / 1000);
        cJSON_Delete(change);
        free(text);
    } else if (request->kind == REQUEST_WATCH)
        say_watched(request);
    else {
        histogram_add(HISTOGRAM_acknowledged_signal, mono_us() - request->arrived_us);
        say("{\"accepted\":%u,\"rejected\":%u,\"durable\":\"%s\",", request->accepted, request->rejected, durable);
        say_findings(request);
        say("}");
    }
    answer_text(gateway, slot, answer.data, answer.used);
    if (request->signal_room > SIGNALS_KEPT_ROOM) {
        free(request->signal);
        request->signal = NULL;
        request->signal_room = 0;
    }
    text_shrink(&request->findings);
    text_shrink(&answer);
}

/* ---- what a request gathers ------------------------------------------------------------------------------------ */

void request_begin(struct gateway *gateway, uint32_t slot, int64_t arrived_us, enum request_kind kind)
{
    struct request *request = &gateway->request[slot];
    request->phase = REQUEST_TAKING;
    request->kind = kind;
    request->arrived_us = arrived_us;
    request->deadline_ms = arrived_us / 1000 + gateway->config->answer_timeout_ms;
    request->durable_deadline_ms = 0;
    memset(request->need, 0, sizeof request->need);
    request->accepted = request->rejected = request->watched = 0;
    request->signal_count = 0;
    request->findings.used = 0;
    request->finding_count = request->finding_more = request->remark_count = 0;
    request->refused_for = REASON_none;
    cJSON_Delete(request->job);
    request->job = NULL;
    request->finished = NULL;
}

bool request_reserve(struct request *request)
{
    if (request->signal_count < request->signal_room)
        return true;
    uint32_t room = request->signal_room == 0 ? 64 : request->signal_room * 2;
    struct request_signal *signal = realloc(request->signal, room * sizeof *signal);
    if (signal == NULL)
        return false;
    request->signal = signal;
    request->signal_room = room;
    return true;
}

void request_need(struct request *request, uint32_t worker, uint64_t seq)
{
    request->need[worker] = seq;
}

void request_accept(struct request *request, const struct signal *signal, uint64_t seq, uint32_t ref, uint32_t index,
                    uint64_t workers)
{
    request->signal[request->signal_count++] = (struct request_signal){ .seq = seq,
                                                                        .workers = workers,
                                                                        .ref = ref,
                                                                        .index = index,
                                                                        .enclosed = signal->enclosed,
                                                                        .numbered = signal->seq != 0 };
    request->accepted++;
    for (uint32_t i = 0; workers != 0; i++, workers >>= 1)
        if (workers & 1u)
            request->need[i] = seq;
}

/* Every signal that was rejected is named, up to the first that was one too many for a message; of remarks on those that were taken some. */
static bool is_listed(struct request *request, uint32_t index, enum signal_reason reason, uint32_t signals_max)
{
    if (request->findings.used > (size_t)signals_max * FINDING_BYTES)
        return false; /* names of fields that nobody has, made to be long */
    return signal_reason_rejects(reason) ? index <= signals_max : request->remark_count++ < REMARKS_LISTED_MAX;
}

static void list_finding(struct gateway *gateway, struct request *request, uint32_t index, enum signal_reason reason,
                         const char *pointer, const char *text)
{
    struct answer_text *to = &request->findings;
    if (signal_reason_rejects(reason) && request->refused_for == REASON_none)
        request->refused_for = reason;
    if (!is_listed(request, index, reason, gateway->config->message_signals_max) ||
        !text_reserve(to, FINDING_BYTES_MAX)) {
        request->finding_more++;
        return;
    }
    finding_say(to, "%s{\"index\":%u,\"pointer\":", request->finding_count++ == 0 ? "" : ",", index);
    text_quote(to, pointer);
    finding_say(to, ",\"reason\":\"%s\",\"text\":", signal_reason_name(reason));
    text_quote(to, text);
    finding_say(to, "}");
}

void request_reject(struct gateway *gateway, struct request *request, uint32_t index, enum signal_reason reason,
                    const struct fault *fault)
{
    request->rejected++;
    list_finding(gateway, request, index, reason, fault->pointer, fault->reason);
}

/* ---- what workers find ---------------------------------------------------------------------------------------------
 */

const char *answer_pointer_of(enum signal_reason reason)
{
    switch (reason) {
    case REASON_unknown_product: return "/sku";
    case REASON_other_currency: return "/currency";
    case REASON_no_category:
    case REASON_no_model: return "/category";
    case REASON_no_consent: return "/customer";
    case REASON_duplicate: return "/id";
    case REASON_zone_widened: return "/zone";
    default: return "";
    }
}

/* Where that stands in what was sent: a signal in an event stands in its data, its id perhaps beside that. */
static const char *place_of(const struct request_signal *signal, enum signal_reason reason, char ret[FAULT_POINTER_MAX])
{
    const char *field = reason == REASON_duplicate && signal->numbered ? "/seq" : answer_pointer_of(reason);
    bool beside = reason == REASON_duplicate && (signal->enclosed & SIGNAL_IN_ENVELOPE) != 0;
    bool inside = (signal->enclosed & SIGNAL_IN_DATA) != 0 && field[0] != '\0' && !beside;
    (void)snprintf(ret, FAULT_POINTER_MAX, "%s%s", inside ? "/data" : "", field);
    return ret;
}

static void reject_later(struct request *request, struct request_signal *signal)
{
    if (signal->rejected)
        return; /* another part of it was */
    signal->rejected = true;
    request->accepted--;
    request->rejected++;
}

static struct request_signal *signal_find(const struct request *request, uint64_t seq, uint32_t ref)
{
    uint32_t low = 0, high = request->signal_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct request_signal *signal = &request->signal[middle];
        if (signal->seq == seq && signal->ref == ref)
            return signal;
        if (signal->seq < seq || (signal->seq == seq && signal->ref < ref))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* What its worker found in it is not known: a rejection as far as its sender is concerned, who is to send it again. */
static void reject_unknown(struct gateway *gateway, struct request *request, struct request_signal *signal)
{
    if (signal->rejected)
        return;
    reject_later(request, signal);
    metric_add(METRIC_signals_rejected_total, 1);
    list_finding(gateway, request, signal->index, REASON_no_answer, "", signal_reason_text(REASON_no_answer));
}

_Static_assert(REASON_COUNT <= 64, "told is 64 bits");

static void take_finding(struct gateway *gateway, const struct wire_finding *finding)
{
    enum signal_reason reason = (enum signal_reason)finding->reason;
    if (finding->reason >= REASON_COUNT || reason == REASON_none)
        return;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &gateway->request[i];
        if (request->phase == REQUEST_IDLE || (request->kind != REQUEST_SIGNALS && request->kind != REQUEST_WATCH))
            continue;
        struct request_signal *signal = signal_find(request, wire_batch_number(finding->seq), finding->ref);
        if (signal == NULL)
            continue;
        if (signal->told >> reason & 1u)
            return; /* all workers find what is wrong with the weather, and both parts of a signal are repeats */
        if (reason == REASON_no_answer) {
            reject_unknown(gateway, request, signal);
            return;
        }
        signal->told |= UINT64_C(1) << reason;
        if (signal_reason_rejects(reason))
            reject_later(request, signal);
        char place[FAULT_POINTER_MAX];
        list_finding(gateway, request, signal->index, reason, place_of(signal, reason, place),
                     signal_reason_text(reason));
        return; /* a signal belongs to one request */
    }
}

void answers_findings(struct gateway *gateway, const struct wire_finding *finding, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        take_finding(gateway, &finding[i]);
}

/* ---- waiting
 * --------------------------------------------------------------------------------------------------------- */

enum durability { DURABLE_NO, DURABLE_NOT_YET, DURABLE_REDIS, DURABLE_DISK };

static enum durability durability_of(const struct gateway *gateway, const struct request *request)
{
    enum durability least = DURABLE_DISK;
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        const struct link *link = &gateway->link[i];
        if (request->need[i] == 0)
            continue;
        enum durability here = link->flags & WIRE_REDIS_DISK ? DURABLE_DISK : DURABLE_REDIS;
        if (link->durable < request->need[i])
            here = link->flags & WIRE_REDIS_UP ? DURABLE_NOT_YET : DURABLE_NO;
        least = here < least ? here : least;
    }
    return least;
}

/* The worker may have died, or be slow: what it did not say in time is not known. */
static void give_up(struct gateway *gateway, struct request *request)
{
    for (uint32_t i = 0; i < request->signal_count; i++) {
        struct request_signal *signal = &request->signal[i];
        bool missing = false;
        for (uint32_t w = 0; w < gateway->link_count && !missing; w++)
            missing = signal->workers >> w & 1u && gateway->link[w].applied < signal->seq;
        if (missing)
            reject_unknown(gateway, request, signal);
    }
}

void answers_untold(struct gateway *gateway, const struct link *link, uint64_t applied)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &gateway->request[i];
        if (request->phase == REQUEST_IDLE || (request->kind != REQUEST_SIGNALS && request->kind != REQUEST_WATCH))
            continue;
        for (uint32_t k = 0; k < request->signal_count; k++) {
            struct request_signal *signal = &request->signal[k];
            if (signal->workers >> link->index & 1u && link_is_untold(link, signal->seq, signal->ref, applied))
                reject_unknown(gateway, request, signal);
        }
    }
}

static void finish_late(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    if (request->kind == REQUEST_SIGNALS) {
        give_up(gateway, request);
        answer_finished(gateway, slot, "no");
        return;
    }
    if (request->kind == REQUEST_CHANGE) { /* it is in force: a worker that is late, or dead, comes to it in time */
        answer_finished(gateway, slot, "no");
        return;
    }
    struct fault fault;
    fault_set(&fault, NULL, 0, "", "%s", signal_reason_text(REASON_no_answer));
    answer_refused(gateway, slot, REASON_no_answer, &fault);
}

static void finish_applied(struct gateway *gateway, uint32_t slot, int64_t now)
{
    static const char *const WORDS[] = {
        [DURABLE_NO] = "no", [DURABLE_NOT_YET] = "no", [DURABLE_REDIS] = "redis", [DURABLE_DISK] = "disk"
    };
    struct request *request = &gateway->request[slot];
    if (request->durable_deadline_ms == 0)
        request->durable_deadline_ms = now + gateway->config->durable_timeout_ms;
    enum durability durability = request->signal_count == 0 ? DURABLE_NO : durability_of(gateway, request);
    bool wait = request->kind == REQUEST_SIGNALS && durability == DURABLE_NOT_YET && now < request->durable_deadline_ms;
    if (!wait)
        answer_finished(gateway, slot, WORDS[durability]);
}

static void look_at(struct gateway *gateway, uint32_t slot, int64_t now)
{
    struct request *request = &gateway->request[slot];
    if (request->kind == REQUEST_ASK || request->kind == REQUEST_SIGN) {
        if (now >= request->deadline_ms) {
            ask_drop(request);
            change_given_up(gateway, slot);
            finish_late(gateway, slot);
        }
    } else if (all_applied(gateway, request))
        finish_applied(gateway, slot, now);
    else if (now >= request->deadline_ms)
        finish_late(gateway, slot);
}

void request_wait(struct gateway *gateway, uint32_t slot)
{
    gateway->request[slot].phase = REQUEST_WAITING;
    look_at(gateway, slot, mono_ms()); /* nothing accepted: nothing to wait for */
}

void answers_step(struct gateway *gateway)
{
    int64_t now = mono_ms();
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        if (gateway->request[i].phase == REQUEST_WAITING)
            look_at(gateway, i, now);
}

int64_t answers_next_ms(const struct gateway *gateway)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &gateway->request[i];
        if (request->phase == REQUEST_IDLE)
            continue;
        int64_t deadline = request->durable_deadline_ms != 0 ? request->durable_deadline_ms : request->deadline_ms;
        next = deadline < next ? deadline : next;
    }
    return next;
}

uint32_t answers_waiting(const struct gateway *gateway)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        count += gateway->request[i].phase == REQUEST_WAITING;
    return count;
}

void answers_teardown(struct gateway *gateway)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        ask_drop(&gateway->request[i]);
        cJSON_Delete(gateway->request[i].job);
        free(gateway->request[i].findings.data);
        free(gateway->request[i].signal);
    }
    free(answer.data);
    answer = (struct answer_text){ .data = NULL };
}
