/* gateway_inbox.c - messages received and not yet taken.
 *
 *   PULL --8 receives in flight--> ring of ingest_messages_max --+   (one of each for every push endpoint; those on
 *   local sockets: gateway_push.c -^                             |    local sockets are read by the main thread)
 *                                                                +--inbox_take(), oldest first--> main thread
 *   REP  --64 contexts, one request each-------------------------+
 *
 * Order      NNG runs the callbacks of two messages of one sender on two threads, in any order; receives are therefore
 *            delivered in the order in which they were asked for, which is the order in which NNG filled them.
 * Full       a receive that finds the ring full keeps its message and is not asked again: NNG stops reading, senders
 *            wait.
 * Limited    a push whose sender has used up its share (rates.h) stays first in its ring, which fills: NNG stops reading that
 *            endpoint, its senders wait, nothing is dropped. Other endpoints and requests go on.
 * NNG        is never asked to send or receive under the lock: it may complete an aio on the spot, and then calls back.
 */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <assert.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void inbox_wake(struct inbox *inbox)
{
    /* The main thread says that it will sleep before it looks for work a last time: either it sees the work, or we see
     * `asleep` and write. Sequentially consistent on both sides, or both could miss the other. */
    if (!atomic_exchange(&inbox->asleep, false))
        return;
    uint64_t one = 1;
    ssize_t written = write(inbox->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}

/* ---- pushed messages --------------------------------------------------------------------------------------- */

static struct pushed *ring_put(struct push_endpoint *endpoint, nng_msg *message)
{
    struct inbox *inbox = endpoint->inbox;
    struct pushed *pushed = &endpoint->push[(endpoint->first + endpoint->count++) % inbox->push_max];
    pushed->message = message;
    pushed->arrived_us = mono_us();
    pushed->arrival = inbox->arrivals++;
    pushed->waited = false;
    return pushed;
}

void inbox_put(struct push_endpoint *endpoint, nng_msg *message, const struct sender *sender)
{
    (void)pthread_mutex_lock(&endpoint->inbox->lock); /* arrivals are numbered together */
    ring_put(endpoint, message)->sender = *sender;
    (void)pthread_mutex_unlock(&endpoint->inbox->lock);
}

/* The next completed receive goes into the ring. Returns its aio, to be asked again, or NULL: none is due, or no room.
 */
static nng_aio *deliver_one(struct push_endpoint *endpoint)
{
    struct push_receive *receive = &endpoint->receive[endpoint->receive_next];
    if (!receive->done || endpoint->inbox->closed)
        return NULL;
    nng_aio *aio = receive->aio;
    if (nng_aio_result(aio) == 0) {
        if (endpoint->count == endpoint->inbox->push_max) {
            metric_add(METRIC_ingest_waits_total, 1);
            return NULL;
        }
        struct pushed *pushed = ring_put(endpoint, nng_aio_get_msg(aio));
        if (endpoint->inbox->name_pushers)
            sender_of(pushed->message, &pushed->sender);
        nng_aio_set_msg(aio, NULL);
    }
    receive->done = false;
    endpoint->receive_next = (endpoint->receive_next + 1) % RECEIVES_IN_FLIGHT;
    return aio;
}

/* One thread at a time, so that receives are asked for in the order of the ring of aios. */
static void deliver(struct push_endpoint *endpoint)
{
    pthread_mutex_t *lock = &endpoint->inbox->lock;
    (void)pthread_mutex_lock(lock);
    if (!endpoint->delivering) {
        endpoint->delivering = true;
        for (nng_aio *aio = deliver_one(endpoint); aio != NULL; aio = deliver_one(endpoint)) {
            (void)pthread_mutex_unlock(lock);
            nng_recv_aio(endpoint->socket, aio);
            (void)pthread_mutex_lock(lock);
        }
        endpoint->delivering = false;
    }
    (void)pthread_mutex_unlock(lock);
}

static void on_pushed(void *user)
{
    struct push_receive *receive = user;
    struct inbox *inbox = receive->endpoint->inbox;
    int error = nng_aio_result(receive->aio);
    (void)pthread_mutex_lock(&inbox->lock);
    receive->done = true;
    if (error == NNG_ECLOSED || error == NNG_ECANCELED)
        inbox->closed = true;
    (void)pthread_mutex_unlock(&inbox->lock);
    deliver(receive->endpoint);
    inbox_wake(inbox);
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

/* Under the lock: a request has come in, or not. Returns true when the slot is to receive again. */
static bool request_received(struct inbox *inbox, struct inbox_slot *slot, int error)
{
    if (error != 0)
        return error != NNG_ECLOSED && error != NNG_ECANCELED;
    slot->message = nng_aio_get_msg(slot->aio);
    slot->arrived_us = mono_us();
    slot->arrival = inbox->arrivals++;
    slot->state = SLOT_ARRIVED;
    inbox->slots_arrived++;
    return false;
}

/* A slot's aio either receives or sends; here one of the two has ended. As soon as the lock is released the main thread
 * may use the aio to answer, so it is left clean before. */
static void on_request(void *user)
{
    struct inbox_slot *slot = user;
    struct inbox *inbox = slot->inbox;
    bool again = true;
    nng_msg *unwanted = NULL;
    (void)pthread_mutex_lock(&inbox->lock);
    int error = nng_aio_result(slot->aio);
    if (slot->state == SLOT_SENDING) {
        unwanted = error != 0 ? nng_aio_get_msg(slot->aio) : NULL; /* a failed send leaves the message with us */
        slot->state = SLOT_RECEIVING;
    } else if (inbox->closed) {
        unwanted = error == 0 ? nng_aio_get_msg(slot->aio) : NULL; /* too late: its sender asks again elsewhere */
    } else {
        again = request_received(inbox, slot, error);
    }
    again = again && !inbox->closed;
    nng_aio_set_msg(slot->aio, NULL);
    (void)pthread_mutex_unlock(&inbox->lock);
    if (unwanted != NULL)
        nng_msg_free(unwanted);
    if (again)
        nng_ctx_recv(slot->context, slot->aio);
    inbox_wake(inbox);
}

/* Main thread, outside of the lock. */
static void name_requester(struct inbox *inbox, struct received *received)
{
    struct inbox_slot *slot = &inbox->slot[received->slot];
    if (!slot->named)
        sender_of(received->message, &received->sender);
    slot->named = false;
}

static void take_slot(struct inbox *inbox, uint32_t index, struct received *ret)
{
    struct inbox_slot *slot = &inbox->slot[index];
    *ret = (struct received){
        .message = slot->message, .slot = (int)index, .arrived_us = slot->arrived_us, .sender = slot->sender
    };
    slot->message = NULL;
    slot->state = SLOT_TAKEN;
    inbox->slots_arrived--;
}

static void take_push(struct push_endpoint *endpoint, struct received *ret)
{
    const struct pushed *pushed = &endpoint->push[endpoint->first];
    *ret = (struct received){
        .message = pushed->message, .slot = -1, .arrived_us = pushed->arrived_us, .sender = pushed->sender
    };
    endpoint->first = (endpoint->first + 1) % endpoint->inbox->push_max;
    endpoint->count--;
}

/* Main thread, under the lock: may the oldest message here be taken? */
static bool push_may(struct push_endpoint *endpoint, int64_t now_us)
{
    struct inbox *inbox = endpoint->inbox;
    if (endpoint->count == 0 || endpoint->until_us > now_us)
        return false;
    struct pushed *pushed = &endpoint->push[endpoint->first];
    int64_t wait_us = inbox->rates == NULL ? 0 : rates_wait_us(inbox->rates, pushed->sender.name, now_us);
    if (wait_us > 0) {
        endpoint->until_us = now_us + wait_us;
        metric_add(METRIC_pushes_limited_total, pushed->waited ? 0 : 1);
        pushed->waited = true;
    }
    return wait_us == 0;
}

static struct push_endpoint *oldest_push(struct inbox *inbox)
{
    struct push_endpoint *oldest = NULL;
    int64_t now_us = inbox->rates != NULL ? mono_us() : INT64_MAX;
    for (uint32_t i = 0; i < inbox->endpoint_count; i++) {
        struct push_endpoint *endpoint = &inbox->endpoint[i];
        if (push_may(endpoint, now_us) &&
            (oldest == NULL || endpoint->push[endpoint->first].arrival < oldest->push[oldest->first].arrival))
            oldest = endpoint;
    }
    return oldest;
}

static int oldest_slot(const struct inbox *inbox)
{
    int oldest = -1;
    for (uint32_t i = 0; i < REQUEST_SLOTS && inbox->slots_arrived > 0; i++)
        if (inbox->slot[i].state == SLOT_ARRIVED &&
            (oldest == -1 || inbox->slot[i].arrival < inbox->slot[oldest].arrival))
            oldest = (int)i;
    return oldest;
}

/* ---- for the main thread ---------------------------------------------------------------------------------------- */

bool inbox_take(struct inbox *inbox, struct received *ret)
{
    bool taken = true, was_full = false;
    (void)pthread_mutex_lock(&inbox->lock);
    int slot = oldest_slot(inbox);
    struct push_endpoint *endpoint = oldest_push(inbox);
    if (endpoint != NULL && (slot == -1 || endpoint->push[endpoint->first].arrival < inbox->slot[slot].arrival)) {
        was_full = endpoint->count == inbox->push_max;
        take_push(endpoint, ret);
    } else if (slot != -1) {
        take_slot(inbox, (uint32_t)slot, ret);
    } else {
        taken = false;
    }
    (void)pthread_mutex_unlock(&inbox->lock);
    if (was_full && endpoint->open)
        deliver(endpoint);
    if (taken && ret->slot >= 0)
        name_requester(inbox, ret);
    return taken;
}

bool inbox_take_request(struct inbox *inbox, uint32_t slot, struct received *ret)
{
    bool taken = false;
    (void)pthread_mutex_lock(&inbox->lock);
    if (inbox->slot[slot].state == SLOT_ARRIVED) {
        take_slot(inbox, slot, ret);
        taken = true;
    }
    (void)pthread_mutex_unlock(&inbox->lock);
    if (taken)
        name_requester(inbox, ret);
    return taken;
}

void inbox_return_request(struct inbox *inbox, const struct received *received)
{
    struct inbox_slot *slot = &inbox->slot[received->slot];
    (void)pthread_mutex_lock(&inbox->lock);
    slot->message = received->message;
    slot->sender = received->sender; /* what `web` wrote before the message is off */
    slot->named = true;
    slot->state = SLOT_ARRIVED; /* its arrival number still stands in the slot */
    inbox->slots_arrived++;
    (void)pthread_mutex_unlock(&inbox->lock);
}

bool inbox_empty(struct inbox *inbox)
{
    bool empty = true;
    (void)pthread_mutex_lock(&inbox->lock);
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        empty = empty && inbox->endpoint[i].count == 0 && push_is_drained(&inbox->endpoint[i]);
    empty = empty && inbox->slots_arrived == 0;
    (void)pthread_mutex_unlock(&inbox->lock);
    return empty;
}

int64_t inbox_next_us(struct inbox *inbox)
{
    int64_t next_us = INT64_MAX;
    (void)pthread_mutex_lock(&inbox->lock);
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        if (inbox->endpoint[i].count > 0 && inbox->endpoint[i].until_us < next_us)
            next_us = inbox->endpoint[i].until_us;
    if (inbox->slots_arrived > 0)
        next_us = 0;
    (void)pthread_mutex_unlock(&inbox->lock);
    return next_us;
}

void inbox_unlimited(struct inbox *inbox)
{
    rates_destroy(inbox->rates);
    inbox->rates = NULL;
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        inbox->endpoint[i].until_us = 0;
}

void inbox_reply(struct inbox *inbox, uint32_t index, nng_msg *message)
{
    struct inbox_slot *slot = &inbox->slot[index];
    (void)pthread_mutex_lock(&inbox->lock);
    assert(slot->state == SLOT_TAKEN);
    slot->state = SLOT_SENDING;
    (void)pthread_mutex_unlock(&inbox->lock);
    nng_aio_set_msg(slot->aio, message);
    nng_ctx_send(slot->context, slot->aio);
}

bool inbox_replies_pending(struct inbox *inbox)
{
    bool pending = false;
    (void)pthread_mutex_lock(&inbox->lock);
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++)
        pending = pending || inbox->slot[i].state == SLOT_SENDING;
    (void)pthread_mutex_unlock(&inbox->lock);
    return pending;
}

/* ---- life -----------------------------------------------------------------------------------------------------------
 */

static int endpoint_open(struct push_endpoint *endpoint, struct inbox *inbox, const struct config *config, const char *url)
{
    endpoint->inbox = inbox;
    endpoint->push = calloc(inbox->push_max, sizeof *endpoint->push);
    if (endpoint->push == NULL)
        return NNG_ENOMEM;
    if (push_is_own(url))
        return 0; /* it opens with the doors */
    int error = nng_pull0_open(&endpoint->socket);
    endpoint->open = error == 0;
    if (error == 0)
        error = nng_socket_set_size(endpoint->socket, NNG_OPT_RECVMAXSZ, config->message_bytes_max);
    for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT && error == 0; i++) {
        endpoint->receive[i].endpoint = endpoint;
        error = nng_aio_alloc(&endpoint->receive[i].aio, on_pushed, &endpoint->receive[i]);
    }
    return error;
}

/* What a request's message is longer than its text: the protocol's number of the request, what `web` says of its sender, and
 * SIGNALS_FROM_ANYBODY. */
#define REQUEST_EXTRA_BYTES (4u + SENDER_HEAD_MAX + 1u)

static bool sockets_open(struct inbox *inbox, const struct config *config)
{
    int error = nng_rep0_open(&inbox->reply);
    /* Before anything listens: without a limit a few bytes from any peer make NNG allocate without end. */
    if (error == 0)
        error = nng_socket_set_size(inbox->reply, NNG_OPT_RECVMAXSZ, config->message_bytes_max + REQUEST_EXTRA_BYTES);
    for (uint32_t i = 0; i < REQUEST_SLOTS && error == 0; i++) {
        inbox->slot[i].inbox = inbox;
        error = nng_ctx_open(&inbox->slot[i].context, inbox->reply);
        if (error == 0)
            error = nng_aio_alloc(&inbox->slot[i].aio, on_request, &inbox->slot[i]);
    }
    char url[CONFIG_TEXT_MAX];
    for (const char *at = config_url(config->push_urls, url); at != NULL && error == 0; at = config_url(at, url)) {
        assert(inbox->endpoint_count < CONFIG_URLS_MAX); /* config.c lets no more pass */
        error = endpoint_open(&inbox->endpoint[inbox->endpoint_count++], inbox, config, url);
    }
    if (error != 0)
        log_line(LOG_ERROR, "ENDPOINTS-FAILED", "reason=\"%s\"", nng_strerror(error));
    return error == 0;
}

bool inbox_setup(struct inbox *inbox, const struct config *config)
{
    (void)pthread_mutex_init(&inbox->lock, NULL);
    inbox->push_max = config->ingest_messages_max;
    inbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (config->producer_signals_per_s > 0) {
        inbox->rates = rates_create(config->producer_signals_per_s);
        inbox->name_pushers = true;
    }
    if (inbox->wake_fd == -1 || (config->producer_signals_per_s > 0 && inbox->rates == NULL)) {
        log_line(LOG_ERROR, "ENDPOINTS-FAILED", "reason=\"out of memory or file descriptors\"");
        return false;
    }
    return sockets_open(inbox, config);
}

bool inbox_start(struct inbox *inbox)
{
    for (uint32_t e = 0; e < inbox->endpoint_count; e++)
        for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT && inbox->endpoint[e].open; i++)
            nng_recv_aio(inbox->endpoint[e].socket, inbox->endpoint[e].receive[i].aio);
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++)
        nng_ctx_recv(inbox->slot[i].context, inbox->slot[i].aio);
    return true;
}

void inbox_drain(struct inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        push_drain(&inbox->endpoint[i]);
}

void inbox_stop(struct inbox *inbox)
{
    inbox_drain(inbox);
    (void)pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    (void)pthread_mutex_unlock(&inbox->lock);
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        if (inbox->endpoint[i].open)
            (void)nng_close(inbox->endpoint[i].socket);
}

void inbox_close_local(struct inbox *inbox)
{
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        push_close(&inbox->endpoint[i]);
}

static void endpoint_close(struct push_endpoint *endpoint)
{
    push_close(endpoint);
    if (endpoint->open)
        (void)nng_close(endpoint->socket);
    for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT; i++) {
        struct push_receive *receive = &endpoint->receive[i];
        if (receive->aio == NULL)
            continue;
        nng_aio_stop(receive->aio);
        if (receive->done && nng_aio_result(receive->aio) == 0)
            nng_msg_free(nng_aio_get_msg(receive->aio));
        nng_aio_free(receive->aio);
    }
}

void inbox_teardown(struct inbox *inbox)
{
    struct received left;
    (void)nng_close(inbox->reply); /* contexts go with it; after nng_aio_free() no callback runs any more */
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        endpoint_close(&inbox->endpoint[i]);
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++)
        if (inbox->slot[i].aio != NULL)
            nng_aio_free(inbox->slot[i].aio);
    inbox_unlimited(inbox);
    while (inbox_take(inbox, &left))
        nng_msg_free(left.message);
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        free(inbox->endpoint[i].push);
    if (inbox->wake_fd != -1)
        (void)close(inbox->wake_fd);
    (void)pthread_mutex_destroy(&inbox->lock);
}
