/* state_journal.c - a batch, whole or not at all: old images before changes, one word as the commit.
 *
 * Crash      a dead process's stores all reach the page cache in program order, so only the compiler's order matters here. Undoing is
 *            harmless to repeat, and to die in: the images are constants until the journal is emptied. */
#include "service/state_parts.h"

#include <stdlib.h>
#include <string.h>

#define IMAGES_AHEAD 12u /* of prices, that are fetched */

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

/* The entry that is entered next. */
static uint64_t next_place(const struct state *state)
{
    return atomic_load_explicit(&state->journal->used, memory_order_relaxed);
}

static void list_record(struct listed *listed, uint32_t pool, uint32_t index, uint64_t place)
{
    listed->record[listed->records++] = (struct listed_record){ place, index, pool };
}

void journal_save(struct state *state, void *target, uint32_t bytes, uint32_t pool)
{
    assert(pool >= POOL_COUNT && pool != JOURNAL_PRICE);
    if (pool == JOURNAL_ID)
        state->listed.id[state->listed.ids++] = next_place(state);
    memcpy(journal_enter(state, target, bytes, pool), target, bytes);
    journal_entered(state, bytes);
}

void journal_save_record(struct state *state, struct state_head *record, enum state_pool pool, uint32_t index)
{
    uint32_t bytes = state->file->pool[pool].record_bytes;
    list_record(&state->listed, pool, index, next_place(state));
    memcpy(journal_enter(state, record, bytes, pool), record, bytes);
    journal_entered(state, bytes);
}

/* Images lie one behind the other, where another one of long ago lies: nobody waits for what is to be overwritten. */
static void fetch_image(const struct state *state)
{
    const char *place = (const char *)(state->journal + 1) + next_place(state) + IMAGES_AHEAD * sizeof(struct price_image);
    for (unsigned line = 0; line < sizeof(struct price_image); line += 64)
        __builtin_prefetch(place + line, 1);
    FETCH_STAYS();
}

void journal_save_price(struct state *state, const struct cell_record *record, uint32_t cell)
{
    fetch_image(state);
    list_record(&state->listed, JOURNAL_PRICE, cell, next_place(state));
    struct price_image *image = journal_enter(state, record, sizeof *image, JOURNAL_PRICE);
    image->head = record->head;
    memcpy(image->published, (const char *)record + PRICE_BEGIN, sizeof image->published);
    journal_entered(state, sizeof *image);
}

void journal_save_demand(struct state *state, const struct cell_record *record, uint32_t cell)
{
    struct demand_image *image = journal_enter(state, record, sizeof *image, JOURNAL_DEMAND);
    state->listed.demand[state->listed.demands++] = cell;
    image->head = record->head;
    memcpy(&image->word, (const char *)record + DEMAND_WORD, sizeof image->word);
    memcpy(image->sums, (const char *)record + PRICE_END, sizeof image->sums);
    journal_entered(state, sizeof *image);
}

/* The word that demand changes may be saved a second time: of two images the first is undone last. */
void journal_save_rest(struct state *state, struct cell_record *record, uint32_t saved)
{
    uint32_t inputs = sizeof record->head, behind = saved & SAVED_DEMAND ? DEMAND_END : PRICE_END;
    journal_save(state, (char *)record + inputs, PRICE_BEGIN - inputs, JOURNAL_BLOCK);
    journal_save(state, (char *)record + behind, (uint32_t)sizeof *record - behind, JOURNAL_BLOCK);
}

static void price_restore(struct cell_record *record, const struct price_image *image)
{
    record->head = image->head;
    memcpy((char *)record + PRICE_BEGIN, image->published, sizeof image->published);
}

static void demand_restore(struct cell_record *record, const struct demand_image *image)
{
    record->head = image->head;
    memcpy((char *)record + DEMAND_WORD, &image->word, sizeof image->word);
    memcpy((char *)record + PRICE_END, image->sums, sizeof image->sums);
}

/* Entries are undone from the last to the first, because an id word may have been saved twice, and a cell's head with each of its parts. */
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
        else if (head.pool == JOURNAL_DEMAND)
            demand_restore((void *)target, (const void *)image);
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
    state->listed.records = state->listed.ids = state->listed.demands = 0;
    state->turn += SAVED_PARTS;
    if (state->turn == 0) { /* after 2^30 batches */
        memset(state->saved, 0, saved_bytes(state));
        state->turn = SAVED_PARTS;
    }
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

static const char *journal_entry_at(const struct state *state, uint64_t place)
{
    return (const char *)(state->journal + 1) + place;
}

const void *journal_at(const struct state *state, uint64_t place, struct journal_entry *ret)
{
    const char *entry = journal_entry_at(state, place);
    assert(state->batch == 0);
    memcpy(ret, entry, sizeof *ret);
    return entry + sizeof *ret;
}

static uint32_t record_of(const struct state *state, enum state_pool pool, uint64_t offset)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    return (uint32_t)((offset - entry->records) / entry->record_bytes);
}

/* The batch that a dead owner committed. */
static void list_again(struct state *state)
{
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    struct journal_entry head;
    for (uint64_t at = 0; at < used; at += sizeof head + padded(head.bytes)) {
        (void)journal_at(state, at, &head);
        if (head.pool < POOL_COUNT)
            list_record(&state->listed, head.pool, record_of(state, (enum state_pool)head.pool, head.offset), at);
        else if (head.pool == JOURNAL_PRICE)
            list_record(&state->listed, head.pool, record_of(state, POOL_CELLS, head.offset), at);
        else if (head.pool == JOURNAL_DEMAND)
            state->listed.demand[state->listed.demands++] = record_of(state, POOL_CELLS, head.offset);
        else if (head.pool == JOURNAL_ID)
            state->listed.id[state->listed.ids++] = at;
    }
}

bool listed_setup(struct state *state)
{
    struct listed *listed = &state->listed;
    size_t records = 1, cells = state->file->pool[POOL_CELLS].capacity;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        records += state->file->pool[pool].capacity;
    listed->record = malloc((records + cells) * sizeof *listed->record); /* a cell's price, and later the whole */
    listed->demand = malloc((cells + 1) * sizeof *listed->demand);
    listed->id =
        malloc(state->file->journal_bytes / (sizeof(struct journal_entry) + sizeof(uint64_t)) * sizeof *listed->id);
    state->saved = calloc(1, saved_bytes(state));
    state->before = calloc(1, sizeof *state->before);
    if (listed->record == NULL || listed->demand == NULL || listed->id == NULL || state->saved == NULL ||
        state->before == NULL)
        return false;
    list_again(state);
    return true;
}

void listed_teardown(struct state *state)
{
    free(state->listed.record);
    free(state->listed.demand);
    free(state->listed.id);
    free(state->saved);
    free(state->before);
}

static const struct state_head *price_before(const struct state *state, uint32_t cell, const struct price_image *image)
{
    const struct cell_record *now = state_at(state, POOL_CELLS, cell);
    price_restore(state->before, image);
    state->before->list = now->list;
    state->before->currency = now->currency;
    return &state->before->head;
}

/* The next entry that is listed, and its image, which begins with the record's head; NULL at the end. */
static const void *changed_image(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index, bool *ret_price)
{
    assert(state->batch == 0);
    if (*at >= state->listed.records)
        return NULL;
    const struct listed_record *listed = &state->listed.record[(*at)++];
    *ret_price = listed->pool == JOURNAL_PRICE;
    *ret_pool = *ret_price ? POOL_CELLS : (enum state_pool)listed->pool;
    *ret_index = listed->index;
    return journal_entry_at(state, listed->place) + sizeof(struct journal_entry);
}

bool state_changed(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                   const struct state_head **ret_old)
{
    bool price;
    const void *image = changed_image(state, at, ret_pool, ret_index, &price);
    if (image == NULL)
        return false;
    *ret_old = price ? price_before(state, *ret_index, image) : image;
    return true;
}

uint32_t state_changed_count(const struct state *state)
{
    return state->listed.records;
}

bool state_changed_head(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                        const struct state_head **ret_old)
{
    bool price;
    const void *image = changed_image(state, at, ret_pool, ret_index, &price);
    if (image == NULL)
        return false;
    *ret_old = image;
    return true;
}

bool state_changed_at(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index)
{
    if (*at >= state->listed.records)
        return false;
    const struct listed_record *listed = &state->listed.record[(*at)++];
    __builtin_prefetch(journal_entry_at(state, listed->place));
    *ret_pool = listed->pool == JOURNAL_PRICE ? POOL_CELLS : (enum state_pool)listed->pool;
    *ret_index = listed->index;
    return true;
}

bool state_changed_demand(const struct state *state, uint32_t *at, uint32_t *ret_cell)
{
    assert(state->batch == 0);
    if (*at >= state->listed.demands)
        return false;
    *ret_cell = state->listed.demand[(*at)++];
    return true;
}

uint64_t state_saved_bytes(const struct state *state)
{
    return atomic_load_explicit(&state->journal->used, memory_order_relaxed);
}

void state_wipe_journal(struct state *state)
{
    assert(state->batch == 0);
    state->listed.records = state->listed.ids = state->listed.demands = 0;
    uint64_t used = atomic_exchange(&state->journal->used, 0);
    memset(state->journal + 1, 0, used);
}
