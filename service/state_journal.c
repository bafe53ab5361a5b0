/* state_journal.c - a batch, whole or not at all: old images before changes, one word as the commit.
 *
 * Crash      a dead process's stores all reach the page cache in program order, so only the compiler's order matters here. Undoing is
 *            harmless to repeat, and to die in: the images are constants until the journal is emptied. */
#include "service/state_parts.h"

#include <stdlib.h>
#include <string.h>

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7u) & ~UINT64_C(7);
}

/* The image must be whole in the journal before the block changes: the compiler may not move the caller's stores above
 * this release. */
void journal_save(struct state *state, void *target, uint32_t bytes, uint32_t pool)
{
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    uint64_t need = sizeof(struct journal_entry) + padded(bytes);
    assert(sizeof(struct journal) + used + need <= state->file->journal_bytes);
    char *entry = (char *)(state->journal + 1) + used;
    struct journal_entry head = { (uint64_t)((char *)target - (char *)state->file), bytes, pool };
    memcpy(entry, &head, sizeof head);
    memcpy(entry + sizeof head, target, bytes);
    atomic_store_explicit(&state->journal->used, used + need, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Entries are undone from the last to the first, because an id word may have been saved twice. */
static bool journal_undo(struct state *state)
{
    uint64_t used = atomic_load(&state->journal->used), count = 0;
    char *first = (char *)(state->journal + 1);
    uint64_t *start = malloc(used / sizeof(struct journal_entry) * sizeof *start + sizeof *start);
    if (start == NULL)
        return false;
    struct journal_entry head;
    for (uint64_t at = 0; at < used; at += sizeof head + padded(head.bytes)) {
        memcpy(&head, first + at, sizeof head);
        start[count++] = at;
    }
    while (count-- > 0) {
        memcpy(&head, first + start[count], sizeof head);
        memcpy((char *)state->file + head.offset, first + start[count] + sizeof head, head.bytes);
    }
    free(start);
    return true;
}

bool journal_recover(struct state *state)
{
    uint64_t applied = atomic_load(&state->file->applied);
    if (atomic_load(&state->journal->batch) <= applied)
        return true;
    if (!journal_undo(state))
        return false;
    atomic_signal_fence(memory_order_seq_cst);
    state_wipe_journal(state); /* the batch may have begun to erase something */
    atomic_store(&state->journal->batch, applied);
    return true;
}

void state_begin(struct state *state, uint64_t batch)
{
    if (state->batch == batch)
        return;
    assert(state->batch == 0);
    assert(batch > state_applied(state));
    /* Emptied before it is claimed for the new batch: a crash between the two stores undoes nothing. */
    atomic_store_explicit(&state->journal->used, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&state->journal->batch, batch, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    state->batch = batch;
}

bool state_is_open(const struct state *state)
{
    return state->batch != 0;
}

void state_commit(struct state *state)
{
    assert(state->batch != 0);
    atomic_store_explicit(&state->file->applied, state->batch, memory_order_release);
    atomic_store_explicit(&state->file->filled, 1, memory_order_relaxed);
    state->batch = 0;
}

const void *journal_next(const struct state *state, uint64_t *at, struct journal_entry *ret)
{
    assert(state->batch == 0);
    if (*at >= atomic_load_explicit(&state->journal->used, memory_order_relaxed))
        return NULL;
    const char *entry = (const char *)(state->journal + 1) + *at;
    memcpy(ret, entry, sizeof *ret);
    *at += sizeof *ret + padded(ret->bytes);
    return entry + sizeof *ret;
}

bool state_changed(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                   const struct state_head **ret_old)
{
    struct journal_entry head;
    for (const void *image; (image = journal_next(state, at, &head)) != NULL;) {
        if (head.pool >= POOL_COUNT)
            continue;
        const struct pool_entry *pool = &state->file->pool[head.pool];
        *ret_pool = (enum state_pool)head.pool;
        *ret_index = (uint32_t)((head.offset - pool->records) / pool->record_bytes);
        *ret_old = image;
        return true;
    }
    return false;
}

void state_wipe_journal(struct state *state)
{
    assert(state->batch == 0);
    uint64_t used = atomic_exchange(&state->journal->used, 0);
    memset(state->journal + 1, 0, used);
}
