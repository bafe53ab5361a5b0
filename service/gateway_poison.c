/* gateway_poison.c - a batch that kills its worker again and again.
 *
 *   worker dies, HELLO of the next process: the first batch that is not applied was sent to the dead one --> one death
 *   POISON_DEATHS deaths: the batch goes out in steps, one signal each, and the next step only when one is applied
 *   POISON_DEATHS deaths at one step: its signal is taken out, and the next step follows
 *
 * Numbers    step i of batch N has the number N - WIRE_SEQ_STRIDE + 1 + i; after the last one an empty batch N ends it. So
 *            the order of everything stays what it was, and whoever waits for N waits for all of it.
 * Innocent   a worker that is killed from outside costs the batch that it had a death, too. Taking a batch apart changes
 *            nothing but its speed; a signal is only taken out when it was alone with POISON_DEATHS processes that died. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>
#include <string.h>

#define POISON_DEATHS 2u

_Static_assert(WIRE_SEQ_STRIDE > BATCH_SIGNALS_MAX, "a step for each signal of the largest batch, and the end of it");

static struct window_entry *first_of(const struct link *link)
{
    return &link->window[link->first];
}

static const uint8_t *body_of(const struct window_entry *entry)
{
    return nng_msg_body(entry->message);
}

static uint64_t step_seq(const struct link *link)
{
    const struct split *split = &link->split;
    uint64_t seq = first_of(link)->seq;
    return split->at == split->end ? seq : seq - WIRE_SEQ_STRIDE + 1 + split->step;
}

/* The records of one signal stand one behind the other. */
static void step_find(struct link *link)
{
    struct split *split = &link->split;
    struct window_entry *entry = first_of(link);
    struct wire_record head;
    size_t size = nng_msg_len(entry->message);
    split->at = split->end;
    split->records = 0;
    split->deaths = 0;
    split->sent = false;
    split->life = 0;
    while (size - split->end >= sizeof head) {
        memcpy(&head, body_of(entry) + split->end, sizeof head);
        if (split->records > 0 && head.ref != split->ref)
            break;
        split->ref = head.ref;
        split->records++;
        split->end += head.bytes; /* written by ourselves: not below the head's size, and not past the end */
    }
}

static void step_next(struct link *link)
{
    link->split.step++;
    step_find(link);
}

static void keep(struct link *link)
{
    struct window_entry *entry = first_of(link);
    struct wire_record head;
    struct signal signal;
    size_t at = link->split.at;
    while (at < link->split.end && wire_record_decode(body_of(entry), link->split.end, &at, &head, &signal))
        rejects_add_record(link->gateway, link->index, &head, &signal, link_note_source(entry, head.ref),
                           REASON_poison);
}

static void take_out(struct link *link)
{
    uint64_t seq = first_of(link)->seq;
    const struct wire_finding finding = { .seq = seq, .ref = link->split.ref, .reason = REASON_poison };
    log_line(LOG_ERROR, "SIGNAL-POISON", "worker=%u batch=%" PRIu64 " signal=%u", link->index, seq, link->split.ref);
    metric_add(METRIC_signals_poison_total, 1);
    metric_add(METRIC_signals_rejected_total, 1);
    keep(link);
    answers_findings(link->gateway, &finding, 1);
    step_next(link);
}

static void split_begin(struct link *link)
{
    struct window_entry *entry = first_of(link);
    log_line(LOG_ERROR, "BATCH-SPLIT", "worker=%u batch=%" PRIu64 " deaths=%u", link->index, entry->seq, entry->deaths);
    metric_add(METRIC_batches_split_total, 1);
    link->split = (struct split){ .active = true, .seq = entry->seq, .end = sizeof(struct wire_header) };
    step_find(link);
    if (link->split.end == nng_msg_len(entry->message))
        take_out(link); /* it was alone from the beginning */
}

void poison_blame(struct link *link, uint32_t life)
{
    uint32_t dead = link->life;
    link->life = life;
    if (dead == 0 || link->count == 0)
        return;
    struct window_entry *entry = first_of(link);
    if (link->split.active) {
        if (link->split.life == dead && link->split.at < link->split.end && ++link->split.deaths >= POISON_DEATHS)
            take_out(link);
        return;
    }
    if (!entry->sent || entry->sent_life != dead || entry->is_tick)
        return; /* a tick has no signals to take out */
    log_line(LOG_WARNING, "WORKER-DIED", "worker=%u batch=%" PRIu64 " deaths=%u", link->index, entry->seq,
             entry->deaths + 1);
    if (++entry->deaths >= POISON_DEATHS)
        split_begin(link);
}

void poison_step(struct link *link, uint64_t applied)
{
    struct split *split = &link->split;
    if (!split->active)
        return;
    if (link->count == 0 || first_of(link)->seq != split->seq)
        split->active = false; /* all of it is applied */
    while (split->active && split->at < split->end && step_seq(link) <= applied)
        step_next(link);
}

bool poison_is_untold(const struct link *link, uint32_t ref, uint64_t applied)
{
    const struct split *split = &link->split;
    return split->at < split->end && split->ref == ref && step_seq(link) <= applied;
}

nng_msg *poison_message(struct link *link)
{
    struct split *split = &link->split;
    struct window_entry *entry = first_of(link);
    struct wire_header header;
    nng_msg *message;
    memcpy(&header, body_of(entry), sizeof header);
    header.seq = step_seq(link);
    header.count = split->records;
    if (nng_msg_alloc(&message, 0) != 0)
        return NULL;
    if (nng_msg_append(message, &header, sizeof header) != 0 ||
        nng_msg_append(message, body_of(entry) + split->at, split->end - split->at) != 0) {
        nng_msg_free(message);
        return NULL;
    }
    split->sent = true;
    split->life = link->life;
    return message;
}
