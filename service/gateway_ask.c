/* gateway_ask.c - questions that workers answer: handed on, waited for, put together.
 *
 *   request --> ASK to one worker or to all --> REPLY of each --> all in: `asked` goes on from there
 *
 * Nothing is asked twice: a worker that goes away leaves its question unanswered, and the requester is told so at once.
 * One that does not answer in time costs answer_timeout_ms. */
#include "service/gateway.h"

#include "cache/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nng_msg *question_make(const struct gateway *gateway, uint32_t worker, uint32_t number, const char *text,
                              size_t bytes)
{
    const struct wire_header header = { .magic = WIRE_MAGIC,
                                        .version = WIRE_VERSION,
                                        .kind = WIRE_ASK,
                                        .tick_ms = gateway->clock.tick_ms,
                                        .count = (uint32_t)bytes,
                                        .worker = worker,
                                        .ask = number };
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0)
        return NULL;
    if (nng_msg_append(message, &header, sizeof header) == 0 && nng_msg_append(message, text, bytes) == 0)
        return message;
    nng_msg_free(message);
    return NULL;
}

void ask_drop(struct request *request)
{
    for (uint32_t i = 0; i < RIALTO_WORKERS_MAX; i++) {
        free(request->reply[i]);
        request->reply[i] = NULL;
    }
    request->replies_missing = 0;
}

static void no_answer(struct gateway *gateway, uint32_t slot, const char *why)
{
    struct fault fault;
    ask_drop(&gateway->request[slot]);
    change_given_up(gateway, slot);
    fault_set(&fault, NULL, 0, "", "%s", why);
    answer_refused(gateway, slot, REASON_no_answer, &fault);
}

void ask_workers(struct gateway *gateway, uint32_t slot, uint64_t workers, const char *text, size_t bytes,
                 void (*asked)(struct gateway *gateway, uint32_t slot))
{
    struct request *request = &gateway->request[slot];
    ask_drop(request);
    request->ask_number = ++gateway->asks;
    request->asked = asked;
    request->replies_missing = workers;
    request->phase = REQUEST_WAITING;
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        if ((workers >> i & 1u) == 0)
            continue;
        nng_msg *message = question_make(gateway, i, request->ask_number, text, bytes);
        if (message != NULL && link_ask(&gateway->link[i], message))
            continue;
        no_answer(gateway, slot, "a worker is not there just now: ask again");
        return;
    }
}

void ask_owner(struct gateway *gateway, uint32_t slot, const char *id, const char *text, size_t bytes,
               void (*asked)(struct gateway *gateway, uint32_t slot))
{
    uint32_t partition = key_partition(key_of_id(gateway->control->secret, id, strlen(id)));
    ask_workers(gateway, slot, UINT64_C(1) << partition % gateway->link_count, text, bytes, asked);
}

/* What came is no string: nothing ends it. */
static char *text_of(const char *bytes, size_t count)
{
    char *text = malloc(count + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, bytes, count);
    text[count] = '\0';
    return text;
}

void ask_replied(struct gateway *gateway, uint32_t worker, uint32_t number, const char *text, size_t bytes)
{
    for (uint32_t slot = 0; slot < REQUESTS_MAX; slot++) {
        struct request *request = &gateway->request[slot];
        if (request->phase != REQUEST_WAITING || request->kind != REQUEST_ASK || request->ask_number != number ||
            (request->replies_missing >> worker & 1u) == 0)
            continue;
        request->reply[worker] = text_of(text, bytes);
        if (request->reply[worker] == NULL) {
            no_answer(gateway, slot, "out of memory");
            return;
        }
        request->replies_missing &= ~(UINT64_C(1) << worker);
        if (request->replies_missing == 0)
            request->asked(gateway, slot);
        return;
    }
}

void ask_worker_gone(struct gateway *gateway, uint32_t worker)
{
    for (uint32_t slot = 0; slot < REQUESTS_MAX; slot++) {
        struct request *request = &gateway->request[slot];
        if (request->phase == REQUEST_WAITING && request->kind == REQUEST_ASK &&
            (request->replies_missing >> worker & 1u))
            no_answer(gateway, slot, "the worker that was asked went away: ask again");
    }
}

void ask_pass_on(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        if (request->reply[i] == NULL)
            continue;
        answer_text(gateway, slot, request->reply[i], strlen(request->reply[i]));
        break;
    }
    ask_drop(request);
}

void ask_gather(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    size_t bytes = 32;
    for (uint32_t i = 0; i < gateway->link_count; i++)
        bytes += request->reply[i] != NULL ? strlen(request->reply[i]) + 1 : 0;
    char *text = malloc(bytes);
    if (text == NULL) {
        no_answer(gateway, slot, "out of memory");
        return;
    }
    size_t at = (size_t)snprintf(text, bytes, "{\"ok\":true,\"workers\":[");
    const char *comma = "";
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        if (request->reply[i] == NULL)
            continue;
        at += (size_t)snprintf(text + at, bytes - at, "%s%s", comma, request->reply[i]);
        comma = ",";
    }
    at += (size_t)snprintf(text + at, bytes - at, "]}");
    ask_drop(request);
    answer_text(gateway, slot, text, at);
    free(text);
}
