/* state_journal.c - a batch, whole or not at all: old images before changes, one word as the commit.
 *
 * Crash      a dead process's stores all reach the page cache in program order, so only the compiler's order matters here. Undoing is
 *            harmless to repeat, and to die in: the images are constants until the journal is emptied. */
#include "service/state_parts.h"

#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES 1536u

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7u) & ~UINT64_C(7);
}

/* Room for an image of what is at `target`; journal_entered() makes it count. */
static void *journal_enter(struct state *state, const void *target, uint32_t bytes, uint32_t pool)
{
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    assert(sizeof(struct journal) + used + sizeof(struct journal_entry) + padded(bytes) <= state->file->journal_bytes);
    char *entry = (char *)(state->journal + 1) + used;
    struct journal_entry head = { (uint64_t)((const char *)target - (char *)state->file), bytes, pool };
    memcpy(entry, &head, sizeof head);
    return entry + sizeof head;
}

/* The image must be whole in the journal before the block changes: the compiler may not move the caller's stores above
 * this release. */
static void journal_entered(struct state *state, uint32_t bytes)
{
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    atomic_store_explicit(&state->journal->used, used + sizeof(struct journal_entry) + padded(bytes), memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

void journal_save(struct state *state, void *target, uint32_t bytes, uint32_t pool)
{
    memcpy(journal_enter(state, target, bytes, pool), target, bytes);
    journal_entered(state, bytes);
}

void journal_save_price(struct state *state, const struct cell_record *record)
{
    struct price_image *image = journal_enter(state, record, sizeof *image, JOURNAL_PRICE);
    image->head = record->head;
    memcpy(&image->small, (const char *)record + PRICE_SMALL, sizeof image->small);
    memcpy(image->tail, (const char *)record + PRICE_TAIL, sizeof image->tail);
    journal_entered(state, sizeof *image);
}

void journal_save_rest(struct state *state, struct cell_record *record)
{
    uint32_t from = sizeof record->head, behind = PRICE_SMALL + sizeof(uint64_t);
    journal_save(state, (char *)record + from, PRICE_SMALL - from, JOURNAL_BLOCK);
    journal_save(state, (char *)record + behind, PRICE_TAIL - behind, JOURNAL_BLOCK);
}

static void price_restore(struct cell_record *record, const struct price_image *image)
{
    record->head = image->head;
    memcpy((char *)record + PRICE_SMALL, &image->small, sizeof image->small);
    memcpy((char *)record + PRICE_TAIL, image->tail, sizeof image->tail);
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
        char *target = (char *)state->file + head.offset, *image = first + start[count] + sizeof head;
        if (head.pool == JOURNAL_PRICE)
            price_restore((void *)target, (const void *)image);
        else
            memcpy(target, image, head.bytes);
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
    if (state->any_price_only)
        memset(state->price_only, 0, price_only_bytes(state));
    state->any_price_only = false;
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

/* The next entry of a record; NULL at the end. */
static const void *record_next(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                               bool *ret_price)
{
    struct journal_entry head;
    for (const void *image; (image = journal_next(state, at, &head)) != NULL;) {
        *ret_price = head.pool == JOURNAL_PRICE;
        if (head.pool >= POOL_COUNT && !*ret_price)
            continue;
        *ret_pool = *ret_price ? POOL_CELLS : (enum state_pool)head.pool;
        const struct pool_entry *pool = &state->file->pool[*ret_pool];
        *ret_index = (uint32_t)((head.offset - pool->records) / pool->record_bytes);
        return image;
    }
    return NULL;
}

static const struct state_head *price_before(const struct state *state, uint32_t cell, const struct price_image *image)
{
    const struct cell_record *now = state_at(state, POOL_CELLS, cell);
    price_restore(state->before, image);
    state->before->list = now->list;
    state->before->currency = now->currency;
    return &state->before->head;
}

bool state_changed(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                   const struct state_head **ret_old)
{
    bool price;
    const void *image = record_next(state, at, ret_pool, ret_index, &price);
    if (image != NULL)
        *ret_old = price ? price_before(state, *ret_index, image) : image;
    return image != NULL;
}

bool state_changed_at(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index)
{
    bool price;
    __builtin_prefetch((const char *)(state->journal + 1) + *at + FETCH_BYTES); /* whoever runs ahead waits for nothing himself */
    return record_next(state, at, ret_pool, ret_index, &price) != NULL;
}

void state_wipe_journal(struct state *state)
{
    assert(state->batch == 0);
    uint64_t used = atomic_exchange(&state->journal->used, 0);
    memset(state->journal + 1, 0, used);
}
