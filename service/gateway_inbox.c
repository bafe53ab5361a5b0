/* gateway_inbox.c - messages received and not yet taken.
 *
 *   PULL --8 receives in flight--> ring of ingest_messages_max --+
 *                                                                +--inbox_take(), oldest first--> main thread
 *   REP  --64 contexts, one request each-------------------------+
 *
 * Order      NNG runs the callbacks of two messages of one sender on two threads, in any order; receives are therefore
 *            delivered in the order in which they were asked for, which is the order in which NNG filled them.
 * Full       a receive that finds the ring full keeps its message and is not asked again: NNG stops reading, senders
 *            wait.
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

static void ring_put(struct inbox *inbox, nng_msg *message)
{
    uint32_t at = (inbox->push_first + inbox->push_count++) % inbox->push_max;
    inbox->push[at].message = message;
    inbox->push[at].arrived_us = mono_us();
    inbox->push[at].arrival = inbox->arrivals++;
}

/* The next completed receive goes into the ring. Returns its aio, to be asked again, or NULL: none is due, or no room.
 */
static nng_aio *deliver_one(struct inbox *inbox)
{
    uint32_t at = inbox->receive_next;
    if (!inbox->receive[at].done || inbox->closed)
        return NULL;
    nng_aio *aio = inbox->receive[at].aio;
    if (nng_aio_result(aio) == 0) {
        if (inbox->push_count == inbox->push_max) {
            metric_add(METRIC_ingest_waits_total, 1);
            return NULL;
        }
        ring_put(inbox, nng_aio_get_msg(aio));
        nng_aio_set_msg(aio, NULL);
    }
    inbox->receive[at].done = false;
    inbox->receive_next = (at + 1) % RECEIVES_IN_FLIGHT;
    return aio;
}

/* One thread at a time, so that receives are asked for in the order of the ring of aios. */
static void deliver(struct inbox *inbox)
{
    (void)pthread_mutex_lock(&inbox->lock);
    if (!inbox->delivering) {
        inbox->delivering = true;
        for (nng_aio *aio = deliver_one(inbox); aio != NULL; aio = deliver_one(inbox)) {
            (void)pthread_mutex_unlock(&inbox->lock);
            nng_recv_aio(inbox->pull, aio);
            (void)pthread_mutex_lock(&inbox->lock);
        }
        inbox->delivering = false;
    }
    (void)pthread_mutex_unlock(&inbox->lock);
}

struct receive_argument {
    struct inbox *inbox;
    uint32_t index;
};
static struct receive_argument receive_argument[RECEIVES_IN_FLIGHT]; /* one gateway a process */

static void on_pushed(void *user)
{
    const struct receive_argument *argument = user;
    struct inbox *inbox = argument->inbox;
    int error = nng_aio_result(inbox->receive[argument->index].aio);
    (void)pthread_mutex_lock(&inbox->lock);
    inbox->receive[argument->index].done = true;
    if (error == NNG_ECLOSED || error == NNG_ECANCELED)
        inbox->closed = true;
    (void)pthread_mutex_unlock(&inbox->lock);
    deliver(inbox);
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

static void take_slot(struct inbox *inbox, uint32_t index, struct received *ret)
{
    struct inbox_slot *slot = &inbox->slot[index];
    *ret = (struct received){ .message = slot->message, .slot = (int)index, .arrived_us = slot->arrived_us };
    slot->message = NULL;
    slot->state = SLOT_TAKEN;
    inbox->slots_arrived--;
}

static void take_push(struct inbox *inbox, struct received *ret)
{
    uint32_t at = inbox->push_first;
    *ret =
        (struct received){ .message = inbox->push[at].message, .slot = -1, .arrived_us = inbox->push[at].arrived_us };
    inbox->push_first = (at + 1) % inbox->push_max;
    inbox->push_count--;
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
    if (inbox->push_count > 0 && (slot == -1 || inbox->push[inbox->push_first].arrival < inbox->slot[slot].arrival)) {
        was_full = inbox->push_count == inbox->push_max;
        take_push(inbox, ret);
    } else if (slot != -1) {
        take_slot(inbox, (uint32_t)slot, ret);
    } else {
        taken = false;
    }
    (void)pthread_mutex_unlock(&inbox->lock);
    if (was_full)
        deliver(inbox);
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
    return taken;
}

void inbox_return_request(struct inbox *inbox, const struct received *received)
{
    struct inbox_slot *slot = &inbox->slot[received->slot];
    (void)pthread_mutex_lock(&inbox->lock);
    slot->message = received->message;
    slot->state = SLOT_ARRIVED; /* its arrival number still stands in the slot */
    inbox->slots_arrived++;
    (void)pthread_mutex_unlock(&inbox->lock);
}

bool inbox_empty(struct inbox *inbox)
{
    (void)pthread_mutex_lock(&inbox->lock);
    bool empty = inbox->push_count == 0 && inbox->slots_arrived == 0;
    (void)pthread_mutex_unlock(&inbox->lock);
    return empty;
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

static bool sockets_open(struct inbox *inbox, const struct config *config)
{
    int error = nng_pull0_open(&inbox->pull);
    if (error == 0)
        error = nng_rep0_open(&inbox->reply);
    /* Before anything listens: without a limit a few bytes from any peer make NNG allocate without end. */
    if (error == 0)
        error = nng_socket_set_size(inbox->pull, NNG_OPT_RECVMAXSZ, config->message_bytes_max);
    if (error == 0)
        error = nng_socket_set_size(inbox->reply, NNG_OPT_RECVMAXSZ, config->message_bytes_max);
    for (uint32_t i = 0; i < REQUEST_SLOTS && error == 0; i++) {
        inbox->slot[i].inbox = inbox;
        error = nng_ctx_open(&inbox->slot[i].context, inbox->reply);
        if (error == 0)
            error = nng_aio_alloc(&inbox->slot[i].aio, on_request, &inbox->slot[i]);
    }
    for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT && error == 0; i++) {
        receive_argument[i] = (struct receive_argument){ inbox, i };
        error = nng_aio_alloc(&inbox->receive[i].aio, on_pushed, &receive_argument[i]);
    }
    if (error != 0)
        log_line(LOG_ERROR, "ENDPOINTS-FAILED", "reason=\"%s\"", nng_strerror(error));
    return error == 0;
}

bool inbox_setup(struct inbox *inbox, const struct config *config)
{
    (void)pthread_mutex_init(&inbox->lock, NULL);
    inbox->push_max = config->ingest_messages_max;
    inbox->push = calloc(inbox->push_max, sizeof *inbox->push);
    inbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inbox->push == NULL || inbox->wake_fd == -1) {
        log_line(LOG_ERROR, "ENDPOINTS-FAILED", "reason=\"out of memory or file descriptors\"");
        return false;
    }
    return sockets_open(inbox, config);
}

bool inbox_start(struct inbox *inbox)
{
    for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT; i++)
        nng_recv_aio(inbox->pull, inbox->receive[i].aio);
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++)
        nng_ctx_recv(inbox->slot[i].context, inbox->slot[i].aio);
    return true;
}

void inbox_stop(struct inbox *inbox)
{
    (void)pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    (void)pthread_mutex_unlock(&inbox->lock);
    (void)nng_close(inbox->pull);
}

void inbox_teardown(struct inbox *inbox)
{
    struct received left;
    (void)nng_close(inbox->pull);
    (void)nng_close(inbox->reply); /* contexts go with it; after nng_aio_free() no callback runs any more */
    for (uint32_t i = 0; i < RECEIVES_IN_FLIGHT; i++) {
        if (inbox->receive[i].aio == NULL)
            continue;
        nng_aio_stop(inbox->receive[i].aio);
        if (inbox->receive[i].done && nng_aio_result(inbox->receive[i].aio) == 0)
            nng_msg_free(nng_aio_get_msg(inbox->receive[i].aio));
        nng_aio_free(inbox->receive[i].aio);
    }
    for (uint32_t i = 0; i < REQUEST_SLOTS; i++)
        if (inbox->slot[i].aio != NULL)
            nng_aio_free(inbox->slot[i].aio);
    while (inbox->push != NULL && inbox_take(inbox, &left))
        nng_msg_free(left.message);
    free(inbox->push);
    if (inbox->wake_fd != -1)
        (void)close(inbox->wake_fd);
    (void)pthread_mutex_destroy(&inbox->lock);
}
