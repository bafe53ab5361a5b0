/* once.c - the same effect once: what a source sends again is known by its id, or by its rising number.
 *
 *   id      remembered for ten minutes at least, by its hash (state_seen)
 *   number  one record per source: what comes with its newest number, or a lower one, was counted. No window, no memory a signal
 *
 * Both are kept per partition and part of a signal, change with the batch that they belong to, and go to Redis with it. */
#include "cache/keys.h"
#include "service/worker.h"

#define SILENCE_MS INT64_C(600000) /* a source that was silent this long may be forgotten for another */

/* Both parts of a signal may come to one partition: each counts once, not one of the two. */
static uint64_t part_id(const struct wire_record *head)
{
    return head->id_hash + head->part;
}

static struct rialto_key source_key(const struct wire_record *head)
{
    return (struct rialto_key){ .lo = head->id_hash, .hi = head->part };
}

/* Sources are few, and it is full seldom: all of them are looked at. */
static bool forget_silent(const struct worker *worker, struct state *state)
{
    uint32_t oldest = STATE_NONE;
    int64_t oldest_ms = worker->tick_ms - SILENCE_MS;
    for (uint32_t i = 0; i < state_capacity(state, POOL_SOURCES); i++) {
        const struct source_record *record = state_at(state, POOL_SOURCES, i);
        if (key_is_none(record->head.key) || record->tick_ms > oldest_ms)
            continue;
        oldest = i;
        oldest_ms = record->tick_ms;
    }
    if (oldest != STATE_NONE)
        state_delete(state, POOL_SOURCES, oldest);
    return oldest != STATE_NONE;
}

static enum signal_reason check_number(const struct worker *worker, struct state *state, const struct wire_record *head,
                                       uint32_t *ret_source)
{
    uint32_t at = state_find(state, POOL_SOURCES, source_key(head));
    *ret_source = at;
    if (at != STATE_NONE) {
        const struct source_record *record = state_at(state, POOL_SOURCES, at);
        return head->number <= (uint64_t)record->newest ? REASON_duplicate : REASON_none;
    }
    bool room = state_used(state, POOL_SOURCES) < state_capacity(state, POOL_SOURCES) || forget_silent(worker, state);
    if (!room)
        room_refused(state, POOL_SOURCES);
    return room ? REASON_none : REASON_table_full;
}

enum signal_reason once_check(const struct worker *worker, struct state *state, const struct wire_record *head,
                              uint32_t *ret_source)
{
    *ret_source = STATE_NONE;
    if (head->number != 0)
        return check_number(worker, state, head, ret_source);
    bool seen = head->id_hash != 0 && state_seen(state, part_id(head), worker->tick_ms);
    return seen ? REASON_duplicate : REASON_none;
}

void once_remember(const struct worker *worker, struct state *state, const struct wire_record *head, uint32_t source)
{
    if (head->number == 0) {
        if (head->id_hash != 0)
            state_remember(state, part_id(head), worker->tick_ms);
        return;
    }
    if (source == STATE_NONE)
        source = state_insert(state, POOL_SOURCES, source_key(head)); /* once_check() made room */
    struct source_record *record = state_touch(state, POOL_SOURCES, source);
    record->newest = (int64_t)head->number;
    record->tick_ms = worker->tick_ms;
}
