/* gateway_link.c - one worker: the window of batches that it has not acknowledged, and the pipe to it.
 *
 *   link_put() --> [ acknowledged | sent | to send ]      first ... cursor ... first + count
 *                                 ^ cursor
 *   HELLO(applied): drop what is applied, cursor back to the first: everything after it is sent again, in order
 *   ACK(applied):   drop what is applied
 *
 * Invariant  the chain of `prev`: an entry's prev is the entry before it, or older. A worker that has applied at least
 *            prev may apply the batch; so an empty tick at the end of the window can be replaced by a newer one.
 * Threads    NNG's only fill the locked part and wake the main thread. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/roles.h"

#include <assert.h>
#include <inttypes.h>
#include <nng/protocol/pair0/pair.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_REPEAT_MS 200 /* each batch of a row behind a gap calls HELLO: one rewind answers them all */
#define TICKS_SLACK     4u  /* room for ticks beyond window_batches_max */

/* ---- NNG's threads ----------------------------------------------------------------------------------------------- */

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    struct link *link = user;
    bool added = event == NNG_PIPE_EV_ADD_POST;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    uint64_t peer = 0;
    if (added)
        (void)nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &peer);
    (void)pthread_mutex_lock(&link->lock);
    /* An old pipe's end must not hide a new pipe, nor may a pipe of a socket that was left behind be taken for ours. */
    bool ours = added ? nng_pipe_socket(pipe).id == link->socket.id : link->pipe_live == id;
    if (ours) {
        link->pipe_live = added ? id : 0;
        link->peer = (pid_t)peer;
        link->changes++;
        link->changed_ms = mono_ms();
    }
    (void)pthread_mutex_unlock(&link->lock);
    inbox_wake(&link->gateway->inbox);
}

static void on_received(void *user)
{
    struct link *link = user;
    if (nng_aio_result(link->receive_aio) != 0)
        return; /* only when the socket closes */
    (void)pthread_mutex_lock(&link->lock);
    link->received = nng_aio_get_msg(link->receive_aio);
    link->heard_ms = mono_ms();
    (void)pthread_mutex_unlock(&link->lock);
    inbox_wake(&link->gateway->inbox);
}

static void on_sent(void *user)
{
    struct link *link = user;
    (void)pthread_mutex_lock(&link->lock);
    link->send_done = true;
    (void)pthread_mutex_unlock(&link->lock);
    inbox_wake(&link->gateway->inbox);
}

/* ---- the window ----------------------------------------------------------------------------------------------------
 */

static struct window_entry *entry_at(const struct link *link, uint32_t index)
{
    return &link->window[(link->first + index) % link->window_room];
}

static void entry_free(struct window_entry *entry)
{
    nng_msg_free(entry->message);
    if (entry->note != NULL && --entry->note->uses == 0)
        free(entry->note);
}

uint32_t link_note_source(const struct window_entry *entry, uint32_t ref)
{
    return entry->note != NULL && ref < entry->note->count ? entry->note->source[ref] : 0;
}

static void set_prev(nng_msg *message, uint64_t prev)
{
    memcpy((char *)nng_msg_body(message) + offsetof(struct wire_header, prev), &prev, sizeof prev);
}

static uint64_t get_prev(nng_msg *message)
{
    uint64_t prev;
    memcpy(&prev, (char *)nng_msg_body(message) + offsetof(struct wire_header, prev), sizeof prev);
    return prev;
}

bool link_has_room(const struct link *link)
{
    return link->count < link->gateway->config->window_batches_max;
}

void link_put(struct link *link, nng_msg *message, uint64_t seq, bool is_tick, struct batch_note *note)
{
    struct window_entry *last = link->count > 0 ? entry_at(link, link->count - 1) : NULL;
    uint64_t prev = link->last_seq;
    if (is_tick && last != NULL && last->is_tick && link->cursor < link->count) {
        prev = get_prev(last->message); /* a tick that is not yet sent: the newer one takes its place */
        entry_free(last);
        link->count--;
    } else if (is_tick && link->count + 1 >= link->window_room) {
        nng_msg_free(message); /* the batches that wait carry this worker's time further */
        return;
    }
    assert(link->count < link->window_room);
    set_prev(message, prev);
    *entry_at(link, link->count++) =
        (struct window_entry){ .seq = seq, .note = note, .message = message, .is_tick = is_tick };
    if (note != NULL)
        note->uses++;
    link->last_seq = seq;
}

static void forget_applied(struct link *link, uint64_t applied)
{
    while (link->count > 0 && entry_at(link, 0)->seq <= applied) {
        entry_free(entry_at(link, 0));
        link->first = (link->first + 1) % link->window_room;
        link->count--;
        link->cursor -= link->cursor > 0;
    }
}

static void rewind_window(struct link *link)
{
    link->cursor = 0;
    link->split.sent = false;
    link->send_stale = link->sending;
}

/* The worker has less than what was acknowledged (its state was lost, or Redis was behind): it must still be able to go
 * on. */
static void bridge_gap(struct link *link, uint64_t applied)
{
    if (link->count == 0) {
        link->last_seq = applied;
        return;
    }
    nng_msg *first = entry_at(link, 0)->message;
    if (get_prev(first) <= applied)
        return;
    log_line(LOG_WARNING, "WORKER-BEHIND", "worker=%u applied=%" PRIu64 " next=%" PRIu64, link->index, applied,
             entry_at(link, 0)->seq);
    set_prev(first, applied);
}

/* ---- what a worker says ------------------------------------------------------------------------------------------ */

static void take_hello(struct link *link, const struct wire_header *header, uint32_t pipe)
{
    int64_t now = mono_ms();
    bool repeated = link->ready && link->pipe == pipe && link->rewound_to == header->seq &&
                    now - link->rewound_ms < HELLO_REPEAT_MS;
    if (header->life != link->life)
        poison_blame(link, header->life);
    link->pipe = pipe;
    link->ready = true;
    link->hello_seen = true;
    link->hello_tick_ms = header->tick_ms;
    if (repeated)
        return;
    log_line(LOG_DEBUG, "WORKER-HELLO", "worker=%u applied=%" PRIu64 " waiting=%u", link->index, header->seq,
             link->count);
    link->rewound_to = header->seq;
    link->rewound_ms = now;
    rewind_window(link);
    bridge_gap(link, header->seq);
}

/* The record that a finding speaks of becomes a dead letter. Findings and records stand in the same order: `at` is where to
 * look on. */
static void keep_rejected(struct link *link, const struct window_entry *entry, const struct wire_finding *finding,
                          size_t *at)
{
    const uint8_t *body = nng_msg_body(entry->message);
    struct wire_record head;
    struct signal signal;
    size_t next = *at;
    while (wire_record_decode(body, nng_msg_len(entry->message), &next, &head, &signal) && head.ref <= finding->ref) {
        *at = next;
        if (head.ref != finding->ref || head.part != finding->part)
            continue;
        if (head.part != PART_COMMON || link->index == 0) /* all workers refuse that: once is enough */
            rejects_add_record(link->gateway, link->index, &head, &signal, link_note_source(entry, head.ref),
                               (enum signal_reason)finding->reason);
        return;
    }
}

static void keep_all_rejected(struct link *link, const struct wire_finding *finding, uint32_t count)
{
    uint32_t index = 0;
    size_t at = sizeof(struct wire_header);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t seq = wire_batch_number(finding[i].seq);
        if (finding[i].reason >= REASON_COUNT || !signal_reason_rejects((enum signal_reason)finding[i].reason))
            continue;
        for (; index < link->count && entry_at(link, index)->seq < seq; index++)
            at = sizeof(struct wire_header);
        if (index < link->count && entry_at(link, index)->seq == seq)
            keep_rejected(link, entry_at(link, index), &finding[i], &at);
    }
}

static void take_message(struct link *link, nng_msg *message)
{
    const struct wire_header *header = wire_header_check(nng_msg_body(message), nng_msg_len(message));
    if (header == NULL || header->kind == WIRE_BATCH || header->kind == WIRE_ASK || header->worker != link->index) {
        log_line(LOG_ERROR, "MESSAGE-MALFORMED", "worker=%u bytes=%zu", link->index, nng_msg_len(message));
        return;
    }
    clock_seen_seq(link->gateway, header->seq);
    if (header->kind == WIRE_REPLY) {
        ask_replied(link->gateway, link->index, header->ask, (const char *)(header + 1), header->count);
        return;
    }
    /* Findings speak of signals that wait for exactly this acknowledgement. */
    if (header->kind == WIRE_ACK) {
        const struct wire_finding *finding = (const struct wire_finding *)(const void *)(header + 1);
        keep_all_rejected(link, finding, header->count);
        answers_findings(link->gateway, finding, header->count);
    }
    link->applied = header->seq;
    link->durable = header->prev;
    link->flags = header->flags;
    link->held = header->kind == WIRE_ACK ? header->held : 0; /* a new process has not counted */
    forget_applied(link, header->seq);
    poison_step(link, header->seq);
    if (header->kind == WIRE_HELLO)
        take_hello(link, header, (uint32_t)nng_pipe_id(nng_msg_get_pipe(message)));
}

/* ---- the main thread's round ---------------------------------------------------------------------------------------
 */

static void asks_drop(struct link *link)
{
    while (link->ask_count > 0)
        nng_msg_free(link->ask[--link->ask_count].message);
}

static void pipe_changed(struct link *link, uint32_t live)
{
    if (live == link->pipe && live != 0)
        return; /* its HELLO was quicker than the news of it */
    if (link->ready)
        log_line(LOG_INFO, "WORKER-GONE", "worker=%u waiting=%u", link->index, link->count);
    link->ready = false;
    link->pipe = live;
    asks_drop(link);
    ask_worker_gone(link->gateway, link->index);
    rewind_window(link);
    if (link->sending)
        nng_aio_cancel(link->send_aio); /* or a later pipe would carry it */
}

static void send_ended(struct link *link)
{
    link->sending = false;
    if (nng_aio_result(link->send_aio) == 0)
        return;
    nng_msg_free(nng_aio_get_msg(link->send_aio)); /* a failed send leaves the copy with us */
    if (link->send_stale || link->sending_ask)
        return;
    link->cursor -= link->cursor > 0;
    link->split.sent = false;
}

static bool something_to_send(const struct link *link)
{
    return link->split.active ? !link->split.sent : link->cursor < link->count;
}

bool link_ask(struct link *link, nng_msg *message)
{
    if (!link->ready || link->ask_count == REQUEST_SLOTS) {
        nng_msg_free(message);
        return false;
    }
    link->ask[link->ask_count].message = message;
    link->ask[link->ask_count++].after = link->last_seq;
    return true;
}

static bool ask_is_due(const struct link *link)
{
    return link->ask_count > 0 && !link->split.active && (link->cursor == link->count || entry_at(link, link->cursor)->seq > link->ask[0].after);
}

static void send_ask(struct link *link)
{
    nng_aio_set_msg(link->send_aio, link->ask[0].message);
    link->ask_count--;
    memmove(&link->ask[0], &link->ask[1], link->ask_count * sizeof link->ask[0]);
    link->sending = link->sending_ask = true;
    nng_send_aio(link->socket, link->send_aio);
}

static void send_next(struct link *link)
{
    struct window_entry *entry = entry_at(link, link->cursor);
    nng_msg *copy = NULL;
    if (link->split.active)
        copy = poison_message(link);
    else if (nng_msg_dup(&copy, entry->message) != 0)
        copy = NULL;
    if (copy == NULL)
        return; /* again in the next round */
    metric_add(METRIC_batches_sent_total, 1);
    if (entry->sent)
        metric_add(METRIC_batches_resent_total, 1);
    entry->sent = true;
    entry->sent_life = link->life;
    link->cursor += !link->split.active; /* a batch in steps keeps its place until the last one is applied */
    link->sending = true;
    link->sending_ask = link->send_stale = false;
    nng_aio_set_msg(link->send_aio, copy);
    nng_send_aio(link->socket, link->send_aio);
}

bool link_step(struct link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    uint32_t live = link->pipe_live, changes = link->changes;
    bool kept = live != 0 && link->kept_pipe == live;
    nng_msg *received = link->received;
    bool sent = link->send_done;
    link->received = NULL;
    link->send_done = false;
    (void)pthread_mutex_unlock(&link->lock);

    bool moved = received != NULL || sent || changes != link->changes_seen;
    if (sent)
        send_ended(link);
    if (changes != link->changes_seen)
        pipe_changed(link, live);
    link->changes_seen = changes;
    if (received != NULL) {
        take_message(link, received);
        nng_msg_free(received);
        nng_recv_aio(link->socket, link->receive_aio);
    } else if (kept) {
        return link_renew(link) || moved;
    }
    if (link->ready && !link->sending && ask_is_due(link))
        send_ask(link);
    else if (link->ready && !link->sending && something_to_send(link))
        send_next(link);
    return moved;
}

/* ---- life
 * -------------------------------------------------------------------------------------------------------------- */

static int socket_open(struct link *link, nng_socket *ret)
{
    int error = nng_pair0_open(ret);
    if (error == 0)
        error = nng_socket_set_size(*ret, NNG_OPT_RECVMAXSZ, LINK_BYTES_MAX);
    if (error == 0)
        error = nng_pipe_notify(*ret, NNG_PIPE_EV_ADD_POST, on_pipe, link);
    if (error == 0)
        error = nng_pipe_notify(*ret, NNG_PIPE_EV_REM_POST, on_pipe, link);
    return error;
}

static int aios_alloc(struct link *link)
{
    int error = nng_aio_alloc(&link->receive_aio, on_received, link);
    if (error == 0)
        error = nng_aio_alloc(&link->send_aio, on_sent, link);
    return error;
}

/* The old socket can be the end of nothing any more, and its aios are ours again. */
static nng_msg *leave_socket(struct link *link, nng_socket next)
{
    nng_aio_cancel(link->receive_aio);
    nng_aio_cancel(link->send_aio);
    nng_aio_wait(link->receive_aio); /* their callbacks are over now */
    nng_aio_wait(link->send_aio);
    (void)pthread_mutex_lock(&link->lock);
    nng_msg *received = link->received;
    link->socket = next;
    link->received = NULL;
    link->send_done = false;
    link->pipe_live = 0;
    link->changes_seen = ++link->changes;
    link->changed_ms = mono_ms();
    (void)pthread_mutex_unlock(&link->lock);
    return received;
}

bool link_renew(struct link *link)
{
    nng_socket next;
    int error = socket_open(link, &next);
    if (error != 0) {
        log_line(LOG_ERROR, "LINK-FAILED", "worker=%u reason=\"%s\"", link->index, nng_strerror(error));
        return false;
    }
    nng_msg *received = leave_socket(link, next);
    if (received != NULL) {
        take_message(link, received); /* the last words of the dead */
        nng_msg_free(received);
    }
    if (link->sending)
        send_ended(link);
    pipe_changed(link, 0);
    nng_recv_aio(link->socket, link->receive_aio);
    listeners_renew(&link->gateway->listeners, link);
    return true;
}

bool link_setup(struct link *link, struct gateway *gateway, uint32_t index)
{
    char url[CONFIG_TEXT_MAX + 32];
    link->gateway = gateway;
    link->index = index;
    link->changed_ms = mono_ms();
    (void)pthread_mutex_init(&link->lock, NULL);
    link->window_room = gateway->config->window_batches_max + TICKS_SLACK;
    link->window = calloc(link->window_room, sizeof *link->window);
    int error = link->window == NULL ? NNG_ENOMEM : socket_open(link, &link->socket);
    if (error == 0)
        error = aios_alloc(link);
    if (error != 0) {
        log_line(LOG_ERROR, "LINK-FAILED", "worker=%u reason=\"%s\"", index, nng_strerror(error));
        return false;
    }
    worker_url(gateway->config, index, url);
    if (!listeners_open(&gateway->listeners, link->socket, url, link))
        return false;
    nng_recv_aio(link->socket, link->receive_aio);
    return true;
}

void link_teardown(struct link *link)
{
    (void)nng_close(link->socket);
    if (link->receive_aio != NULL)
        nng_aio_free(link->receive_aio);
    if (link->send_aio != NULL) {
        nng_aio_stop(link->send_aio);
        if (link->sending && nng_aio_result(link->send_aio) != 0)
            nng_msg_free(nng_aio_get_msg(link->send_aio));
        nng_aio_free(link->send_aio);
    }
    if (link->received != NULL)
        nng_msg_free(link->received);
    for (uint32_t i = 0; i < link->count; i++)
        entry_free(entry_at(link, i));
    asks_drop(link);
    free(link->window);
    (void)pthread_mutex_destroy(&link->lock);
}
