/* gateway_link.c - one worker: the window of batches that it has not acknowledged, and the stream to it.
 *
 *   link_put() --> [ acknowledged | sent | to send ]      first ... cursor ... first + count
 *                                 ^ cursor
 *   HELLO(applied): drop what is applied, cursor back to the first: everything after it is sent again, in order
 *   ACK(applied):   drop what is applied
 *
 * Invariant  the chain of `prev`: an entry's prev is the entry before it, or older. A worker that has applied at least
 *            prev may apply the batch; so an empty tick at the end of the window can be replaced by a newer one.
 * Untold     what a worker has applied and nobody acknowledged when its stream ended: what it found there is not known, and is
 *            not called accepted.
 * Peer       whoever came first, until he ends: a worker that is killed ends with the last byte that it sent, and the next one waits
 *            no longer than that. Who does not greet in time is hung up on. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/roles.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELLO_REPEAT_MS 200 /* each batch of a row behind a gap calls HELLO: one rewind answers them all */
#define TICKS_SLACK     4u  /* room for ticks beyond window_batches_max */
#define GREETING_MS       250 /* a worker greets before it says anything, and is ours */
#define REST_MS           100 /* without descriptors for a worker that dials */
#define PEERS_PER_STEP    16u /* that end as soon as they have come */
#define RECEIVED_PER_STEP 64u
#define SENT_PER_STEP     64u

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

bool link_is_untold(const struct link *link, uint64_t seq, uint32_t ref, uint64_t applied)
{
    if (link->split.active && link->split.seq == seq)
        return poison_is_untold(link, ref, applied);
    return seq > link->applied && seq <= applied;
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

static void take_hello(struct link *link, const struct wire_header *header)
{
    int64_t now = mono_ms();
    bool repeated = link->ready && link->rewound_to == header->seq && now - link->rewound_ms < HELLO_REPEAT_MS;
    if (header->life != link->life)
        poison_blame(link, header->life);
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

static void take_message(struct link *link, const uint8_t *body, size_t bytes)
{
    const struct wire_header *header = wire_header_check(body, bytes);
    if (header == NULL || header->kind == WIRE_BATCH || header->kind == WIRE_ASK || header->worker != link->index) {
        log_line(LOG_ERROR, "MESSAGE-MALFORMED", "worker=%u bytes=%zu", link->index, bytes);
        return;
    }
    clock_seen_seq(link->gateway, header->seq);
    if (header->kind == WIRE_REPLY) {
        ask_replied(link->gateway, link->index, header->ask, (const char *)(header + 1), header->count);
        return;
    }
    /* Findings speak of signals that wait for exactly this acknowledgement. */
    const struct wire_finding *finding = (const struct wire_finding *)(const void *)(header + 1);
    keep_all_rejected(link, finding, header->count);
    answers_findings(link->gateway, finding, header->count);
    if (header->kind == WIRE_HELLO && !link->ready)
        answers_untold(link->gateway, link, header->seq);
    link->applied = header->seq;
    link->durable = header->prev;
    link->flags = header->flags;
    link->held = header->kind == WIRE_ACK ? header->held : 0; /* a new process has not counted */
    forget_applied(link, header->seq);
    poison_step(link, header->seq);
    if (header->kind == WIRE_HELLO)
        take_hello(link, header);
}

/* ---- the main thread's round ---------------------------------------------------------------------------------------
 */

static void asks_drop(struct link *link)
{
    while (link->ask_count > 0)
        nng_msg_free(link->ask[--link->ask_count].message);
}

static void peer_ended(struct link *link)
{
    if (link->ready)
        log_line(LOG_INFO, "WORKER-GONE", "worker=%u waiting=%u", link->index, link->count);
    stream_close(&link->stream);
    link->ready = false;
    asks_drop(link);
    ask_worker_gone(link->gateway, link->index);
    rewind_window(link);
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

static bool send_message(struct link *link, nng_msg *message)
{
    return stream_send(&link->stream, nng_msg_body(message), nng_msg_len(message), NULL, 0);
}

static bool send_ask(struct link *link)
{
    nng_msg *message = link->ask[0].message;
    link->ask_count--;
    memmove(&link->ask[0], &link->ask[1], link->ask_count * sizeof link->ask[0]);
    bool good = send_message(link, message);
    nng_msg_free(message);
    return good;
}

static bool send_next(struct link *link)
{
    struct window_entry *entry = entry_at(link, link->cursor);
    nng_msg *step = link->split.active ? poison_message(link) : NULL;
    bool good = (step != NULL || !link->split.active) && send_message(link, step != NULL ? step : entry->message);
    nng_msg_free(step);
    if (!good) { /* out of memory: again in the next round; or its end is about to be seen */
        link->split.sent = false;
        return false;
    }
    metric_add(METRIC_batches_sent_total, 1);
    if (entry->sent)
        metric_add(METRIC_batches_resent_total, 1);
    entry->sent = true;
    entry->sent_life = link->life;
    link->cursor += !link->split.active; /* a batch in steps keeps its place until the last one is applied */
    return true;
}

/* What a socket has not taken yet is enough to wait for. Returns true when something went out. */
static bool send_step(struct link *link)
{
    unsigned sent = 0;
    bool good = link->ready;
    while (good && sent < SENT_PER_STEP && stream_idle(&link->stream)) {
        if (ask_is_due(link))
            good = send_ask(link);
        else
            good = something_to_send(link) && send_next(link);
        sent += good;
    }
    return sent > 0;
}

static bool greets_in_time(const struct link *link)
{
    return link->stream.greeted || mono_ms() - link->accepted_ms < GREETING_MS;
}

/* Returns true when something came. */
static bool receive_step(struct link *link)
{
    const uint8_t *body;
    size_t bytes;
    for (unsigned i = 0; i < RECEIVED_PER_STEP; i++) {
        enum stream_got got = stream_receive(&link->stream, &body, &bytes);
        if (got == STREAM_ENDED || (got == STREAM_NOTHING && !greets_in_time(link))) {
            peer_ended(link);
            return true;
        }
        if (got == STREAM_NOTHING)
            return i > 0;
        take_message(link, body, bytes);
    }
    return true;
}

/* Returns true when somebody is there. */
static bool accept_step(struct link *link)
{
    if (!link->called)
        return false;
    if (stream_accept(&link->stream, link->listen_fd)) {
        link->accepted_ms = mono_ms();
        return true;
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        link->rest_ms = mono_ms() + REST_MS; /* he still stands there: poll() would say so without end */
    return false;
}

bool link_step(struct link *link)
{
    bool moved = false;
    for (unsigned i = 0; i < PEERS_PER_STEP; i++) {
        if (link->stream.fd == -1 && !accept_step(link))
            break;
        moved = receive_step(link) || moved;
        if (link->stream.fd != -1)
            break;
    }
    link->called = false;
    return send_step(link) || moved;
}

void link_poll(const struct link *link, struct pollfd *ret)
{
    bool there = link->stream.fd != -1, rests = link->rest_ms > 0 && mono_ms() < link->rest_ms;
    *ret = (struct pollfd){ .fd = there   ? link->stream.fd
                                  : rests ? -1
                                          : link->listen_fd,
                            .events = there ? stream_events(&link->stream) : POLLIN };
}

void link_polled(struct link *link, const struct pollfd *polled)
{
    if (link->stream.fd != -1)
        stream_polled(&link->stream, polled->revents);
    else
        link->called = polled->revents != 0;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

bool link_setup(struct link *link, struct gateway *gateway, uint32_t index)
{
    link->gateway = gateway;
    link->index = index;
    link->listen_fd = -1;
    stream_init(&link->stream, &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, LINK_BYTES_MAX, 0, NULL });
    link->window_room = gateway->config->window_batches_max + TICKS_SLACK;
    link->window = calloc(link->window_room, sizeof *link->window);
    worker_path(gateway->config, index, link->path);
    if (link->window != NULL)
        link->listen_fd = stream_listen(link->path, 0600);
    if (link->listen_fd == -1) {
        log_line(LOG_ERROR, "LINK-FAILED", "worker=%u path=%s reason=\"%s\"", index, link->path, strerror(errno));
        return false;
    }
    log_line(LOG_DEBUG, "LISTENING", "path=%s", link->path);
    return true;
}

void link_teardown(struct link *link)
{
    stream_fini(&link->stream);
    if (link->listen_fd != -1) {
        (void)close(link->listen_fd);
        (void)unlink(link->path);
    }
    for (uint32_t i = 0; i < link->count; i++)
        entry_free(entry_at(link, i));
    asks_drop(link);
    free(link->window);
}
