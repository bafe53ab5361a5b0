/* web_forward.c - what HTTP brings to the gateway, and its answers back.
 *
 *   handler: take a slot --> suspend the connection --> NNG: send, receive --> note the answer, resume --> handler again
 *
 * Bounded    FORWARDS_MAX requests are under way at once, each with its own REQ context; one more is told to come again (503).
 * Time       the gateway answers in time; a little later we stop waiting (504). What was sent may have been applied then.
 * Not here   what is sent and what the answers mean: web_signals.c, web_question.c. */
#include "service/web.h"

#include "service/dialer.h"
#include "service/gateway_sender.h"
#include "service/log.h"
#include "service/signal.h"

#include <arpa/inet.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARDS_MAX     64u
#define ANSWER_BYTES_MAX (64u << 20)
#define GRACE_MS         1000

enum step { STEP_IDLE, STEP_SENDING, STEP_RECEIVING };

struct forward {
    struct forwarder *forwarder;
    nng_ctx context;
    nng_aio *aio;
    enum step step;
    struct exchange *exchange;
};

struct forwarder {
    nng_socket socket;
    struct dialer dialer;
    nng_mtx *lock; /* of `step` when a slot is taken and given back */
    struct forward forward[FORWARDS_MAX];
    uint32_t count; /* set up */
};

static void settle(struct forward *forward, enum forward_state state)
{
    struct exchange *exchange = forward->exchange;
    nng_mtx_lock(forward->forwarder->lock);
    forward->exchange = NULL;
    forward->step = STEP_IDLE;
    nng_mtx_unlock(forward->forwarder->lock);
    atomic_store(&exchange->forwarded, state);
    MHD_resume_connection(exchange->connection);
}

/* Called by NNG's threads. */
static void stepped(void *argument)
{
    struct forward *forward = argument;
    int error = nng_aio_result(forward->aio);
    if (error != 0 && forward->step == STEP_SENDING) /* a message that was not sent is still ours */
        nng_msg_free(nng_aio_get_msg(forward->aio));
    if (error != 0) {
        settle(forward, FORWARD_FAILED);
    } else if (forward->step == STEP_SENDING) {
        forward->step = STEP_RECEIVING;
        nng_ctx_recv(forward->context, forward->aio);
    } else {
        nng_msg *message = nng_aio_get_msg(forward->aio);
        text_append(&forward->exchange->answer, nng_msg_body(message), nng_msg_len(message));
        nng_msg_free(message);
        settle(forward, FORWARD_ANSWERED);
    }
}

static struct forward *slot_take(struct forwarder *forwarder, struct exchange *exchange)
{
    struct forward *taken = NULL;
    nng_mtx_lock(forwarder->lock);
    for (uint32_t i = 0; i < forwarder->count && taken == NULL; i++) {
        if (forwarder->forward[i].step != STEP_IDLE)
            continue;
        taken = &forwarder->forward[i];
        taken->step = STEP_SENDING;
        taken->exchange = exchange;
    }
    nng_mtx_unlock(forwarder->lock);
    return taken;
}

static const uint8_t *client_address(const struct exchange *exchange, sa_family_t *ret_family)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *client = info != NULL ? info->client_addr : NULL;
    *ret_family = client != NULL ? client->sa_family : AF_UNSPEC;
    if (*ret_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)client)->sin_addr;
    if (*ret_family == AF_INET6)
        return (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)client)->sin6_addr;
    return NULL;
}

void exchange_address(const struct exchange *exchange, char ret[INET6_ADDRSTRLEN])
{
    sa_family_t family;
    const uint8_t *address = client_address(exchange, &family);
    if (address == NULL || inet_ntop(family, address, ret, INET6_ADDRSTRLEN) == NULL)
        (void)snprintf(ret, INET6_ADDRSTRLEN, "unknown");
}

/* "NAME ADDRESS\n": on whose behalf (gateway_sender.h). */
static size_t sender_head(const struct exchange *exchange, char ret[SENDER_HEAD_MAX])
{
    char name[RATES_NAME_MAX] = "address:unknown", from[INET6_ADDRSTRLEN];
    sa_family_t family;
    const uint8_t *address = client_address(exchange, &family);
    exchange_address(exchange, from);
    if (address != NULL)
        sender_address(address, family == AF_INET ? 4 : 16, name);
    if (exchange->token[0] != '\0')
        (void)snprintf(name, sizeof name, "token:%s", exchange->token);
    return (size_t)snprintf(ret, SENDER_HEAD_MAX, "%s %s\n", name, from);
}

enum MHD_Result forward(struct exchange *exchange, const char *text, size_t bytes, uint32_t limit_ms,
                        web_handler finish)
{
    nng_msg *message = NULL;
    char head[SENDER_HEAD_MAX];
    size_t head_bytes = sender_head(exchange, head);
    if (nng_msg_alloc(&message, 0) != 0)
        return MHD_NO;
    const char mark = SIGNALS_FROM_ANYBODY;
    if (nng_msg_append(message, head, head_bytes) != 0 ||
        (exchange->for_no_customer && nng_msg_append(message, &mark, 1) != 0) ||
        nng_msg_append(message, text, bytes) != 0) {
        nng_msg_free(message);
        return MHD_NO;
    }
    struct forward *forward = slot_take(exchange->web->forwarder, exchange);
    if (forward == NULL) {
        nng_msg_free(message);
        metric_add(METRIC_http_crowded_total, 1);
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "crowded",
                       "Too many requests are under way to the gateway",
                       "nothing of this request was taken; send it again");
    }
    text_free(&exchange->answer); /* of the question before */
    exchange->finish = finish;
    atomic_store(&exchange->forwarded, FORWARD_UNDER_WAY);
    exchange_waits(exchange->connection);
    MHD_suspend_connection(exchange->connection);
    nng_aio_set_timeout(forward->aio, (nng_duration)limit_ms);
    nng_aio_set_msg(forward->aio, message);
    nng_ctx_send(forward->context, forward->aio);
    return MHD_YES;
}

uint32_t forward_limit_ms(const struct config *config)
{
    return config->answer_timeout_ms + config->durable_timeout_ms + GRACE_MS;
}

/* ---- setup ------------------------------------------------------------------------------------------------------------ */

static bool socket_setup(struct forwarder *forwarder, const struct config *config)
{
    char door[CONFIG_TEXT_MAX];
    if (nng_req0_open(&forwarder->socket) != 0)
        return false;
    /* No resending by NNG: the gateway would take it for two requests. Whoever asked asks again. */
    if (nng_socket_set_ms(forwarder->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) != 0 ||
        nng_socket_set_size(forwarder->socket, NNG_OPT_RECVMAXSZ, ANSWER_BYTES_MAX) != 0)
        return false;
    sender_web_url(config, door);
    return dialer_open(&forwarder->dialer, forwarder->socket, door, NULL, NULL) == 0;
}

struct forwarder *forwarder_open(const struct config *config)
{
    struct forwarder *forwarder = calloc(1, sizeof *forwarder);
    if (forwarder == NULL)
        return NULL;
    bool good = nng_mtx_alloc(&forwarder->lock) == 0 && socket_setup(forwarder, config);
    for (; good && forwarder->count < FORWARDS_MAX; forwarder->count += good) {
        struct forward *forward = &forwarder->forward[forwarder->count];
        forward->forwarder = forwarder;
        good = nng_ctx_open(&forward->context, forwarder->socket) == 0 &&
               nng_aio_alloc(&forward->aio, stepped, forward) == 0;
    }
    if (good)
        return forwarder;
    log_line(LOG_ERROR, "WEB-NO-FORWARDER", "data_dir=\"%s\"", config->data_dir);
    forwarder_close(forwarder);
    return NULL;
}

bool forwarder_look(struct forwarder *forwarder)
{
    return dialer_look(&forwarder->dialer);
}

void forwarder_close(struct forwarder *forwarder)
{
    if (forwarder == NULL)
        return;
    for (uint32_t i = 0; i < forwarder->count; i++) {
        nng_aio_stop(forwarder->forward[i].aio);
        nng_aio_free(forwarder->forward[i].aio);
    }
    (void)nng_close(forwarder->socket);
    if (forwarder->lock != NULL)
        nng_mtx_free(forwarder->lock);
    free(forwarder);
}
