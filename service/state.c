/* state.c - records of a state file: found by key, inserted, deleted, and listed by their owner.
 *
 *   key --multiply-shift--> bucket --> record --chain--> record ...     at most one record a bucket, on average
 *   free list: links of deleted records; behind it what was never used
 *   product --first--> cell --next--> cell ...                          customer --first--> offer --next--> offer ...
 *
 * All of it lies in the file and is journalled block by block, so that it is never built anew after a death. */
#include "service/state.h"

#include "service/state_parts.h"

#include <string.h>

uint32_t state_capacity(const struct state *state, enum state_pool pool)
{
    return state->file->pool[pool].capacity;
}

uint32_t state_used(const struct state *state, enum state_pool pool)
{
    return state->file->meta[pool].used;
}

uint32_t state_end(const struct state *state, enum state_pool pool)
{
    return state->file->meta[pool].fresh;
}

void *state_at(const struct state *state, enum state_pool pool, uint32_t index)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    assert(index < entry->capacity);
    return (char *)state->file + entry->records + (uint64_t)index * entry->record_bytes;
}

/* ---- by key ----------------------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 state_wide;

static uint32_t bucket_of(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    return (uint32_t)(((state_wide)key.lo * state->file->pool[pool].capacity) >> 64);
}

uint32_t state_find(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    if (entry->capacity == 0)
        return STATE_NONE;
    uint32_t at = head_at(state, entry->buckets, bucket_of(state, pool, key)), steps = 0;
    for (; at != 0; at = link_at(state, pool, at - 1)->chain) {
        const struct state_head *head = state_at(state, pool, at - 1);
        if (head->key.lo == key.lo && head->key.hi == key.hi)
            return at - 1;
        assert(++steps <= entry->capacity); /* a circle: the file is not what we wrote */
    }
    return STATE_NONE;
}

static void chain_enter(struct state *state, enum state_pool pool, struct rialto_key key, uint32_t index)
{
    uint64_t buckets = state->file->pool[pool].buckets;
    uint32_t bucket = bucket_of(state, pool, key);
    link_touch(state, pool, index)->chain = head_at(state, buckets, bucket);
    head_set(state, buckets, bucket, index + 1);
}

static void chain_leave(struct state *state, enum state_pool pool, struct rialto_key key, uint32_t index)
{
    uint64_t buckets = state->file->pool[pool].buckets;
    uint32_t bucket = bucket_of(state, pool, key), at = head_at(state, buckets, bucket);
    uint32_t behind = link_at(state, pool, index)->chain;
    if (at == index + 1) {
        head_set(state, buckets, bucket, behind);
        return;
    }
    while (link_at(state, pool, at - 1)->chain != index + 1)
        at = link_at(state, pool, at - 1)->chain;
    link_touch(state, pool, at - 1)->chain = behind;
}

/* ---- places for records ------------------------------------------------------------------------------------- */

static void note_newest(struct state *state, enum state_pool pool, uint32_t index, uint64_t seq)
{
    uint64_t *newest = (uint64_t *)state_part(state, state->file->pool[pool].newest) + index / STATE_BLOCK;
    if (*newest < seq)
        *newest = seq;
}

uint32_t state_next_newer(const struct state *state, enum state_pool pool, uint32_t from, uint64_t mark)
{
    const uint64_t *newest = state_part(state, state->file->pool[pool].newest);
    uint32_t end = state_end(state, pool);
    while (from < end && newest[from / STATE_BLOCK] <= mark)
        from = (from / STATE_BLOCK + 1) * STATE_BLOCK;
    return from < end ? from : end;
}

/* A record that is nobody's; STATE_NONE when the pool is full. */
static uint32_t record_take(struct state *state, enum state_pool pool)
{
    const struct pool_meta *meta = &state->file->meta[pool];
    bool used_before = meta->free != 0;
    if (!used_before && meta->fresh == state_capacity(state, pool))
        return STATE_NONE;
    struct pool_meta *changed = meta_touch(state, pool);
    uint32_t index = used_before ? changed->free - 1 : changed->fresh++;
    if (used_before)
        changed->free = link_at(state, pool, index)->chain;
    changed->used++;
    return index;
}

/* Parts of this cell were saved in this batch: now all of it is. What tells what was published before must be among them. */
static void rest_touch(struct state *state, struct cell_record *record, uint32_t cell)
{
    uint32_t saved = parts_saved(state, cell);
    if (saved == 0)
        return;
    if ((saved & SAVED_PRICE) == 0)
        journal_save_price(state, record, cell);
    journal_save_rest(state, record, saved | SAVED_PRICE);
    parts_set_saved(state, cell, 0);
}

static struct state_head *record_touch(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_head *head = state_at(state, pool, index);
    if (state->batch != 0 && head->seq != state->batch) {
        journal_save_record(state, head, pool, index);
        head->seq = state->batch;
        note_newest(state, pool, index, state->batch);
    } else if (state->batch != 0 && pool == POOL_CELLS) {
        rest_touch(state, (struct cell_record *)(void *)head, index);
    }
    return head;
}

/* Is this part still to be saved? Then it counts as saved. */
static bool part_begin(struct state *state, const struct cell_record *record, uint32_t cell, uint32_t part)
{
    uint32_t saved = parts_saved(state, cell);
    assert(state->batch != 0);
    if (record->head.seq == state->batch && (saved == 0 || (saved & part) != 0))
        return false;
    parts_set_saved(state, cell, saved | part);
    return true;
}

static void part_saved(struct state *state, struct cell_record *record, uint32_t cell)
{
    record->head.seq = state->batch;
    note_newest(state, POOL_CELLS, cell, state->batch);
}

struct cell_record *state_touch_price(struct state *state, uint32_t cell)
{
    struct cell_record *record = state_at(state, POOL_CELLS, cell);
    if (part_begin(state, record, cell, SAVED_PRICE)) {
        journal_save_price(state, record, cell);
        part_saved(state, record, cell);
    }
    return record;
}

struct cell_record *state_touch_demand(struct state *state, uint32_t cell)
{
    struct cell_record *record = state_at(state, POOL_CELLS, cell);
    if (part_begin(state, record, cell, SAVED_DEMAND)) {
        journal_save_demand(state, record, cell);
        part_saved(state, record, cell);
    }
    return record;
}

void *state_touch(struct state *state, enum state_pool pool, uint32_t index)
{
    assert(state->batch != 0);
    return record_touch(state, pool, index);
}

static void link_clear(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_link *link = link_touch(state, pool, index);
    *link = (struct state_link){ .seq = link->seq };
}

bool state_load(struct state *state, enum state_pool pool, const struct state_head *image)
{
    assert(state->batch == 0);
    if (state_find(state, pool, image->key) != STATE_NONE)
        return false;
    uint32_t index = record_take(state, pool);
    if (index == STATE_NONE)
        return false;
    memcpy(state_at(state, pool, index), image, state->file->pool[pool].record_bytes);
    link_clear(state, pool, index);
    chain_enter(state, pool, image->key, index);
    note_newest(state, pool, index, image->seq);
    return true;
}

uint32_t state_insert(struct state *state, enum state_pool pool, struct rialto_key key)
{
    uint32_t index = record_take(state, pool);
    if (index == STATE_NONE)
        return STATE_NONE;
    struct state_head *head = state_touch(state, pool, index);
    uint64_t seq = head->seq;
    memset(head, 0, state->file->pool[pool].record_bytes);
    head->seq = seq;
    head->key = key;
    link_clear(state, pool, index);
    chain_enter(state, pool, key, index);
    return index;
}

void state_delete(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_head *head = record_touch(state, pool, index);
    (void)link_touch(state, pool, index);
    due_unlink(state, pool, index);
    if (pool == POOL_CELLS || pool == POOL_OFFERS)
        state_leave(state, pool, index);
    else
        assert(pool == POOL_ZONES || link_at(state, pool, index)->first == 0);
    chain_leave(state, pool, head->key, index);
    /* seq stays: within this batch the record must not be saved a second time. */
    uint64_t seq = head->seq;
    memset(head, 0, state->file->pool[pool].record_bytes);
    head->seq = seq;
    link_clear(state, pool, index);
    struct pool_meta *meta = meta_touch(state, pool);
    link_at(state, pool, index)->chain = meta->free;
    meta->free = index + 1;
    meta->used--;
    if (state->batch != 0)
        atomic_store_explicit(&state->file->deleted, state->batch, memory_order_relaxed);
}

/* ---- lists of owners ---------------------------------------------------------------------------------------- */

static enum state_pool owner_pool(enum state_pool pool)
{
    assert(pool == POOL_CELLS || pool == POOL_OFFERS);
    return pool == POOL_CELLS ? POOL_PRODUCTS : POOL_CUSTOMERS;
}

void state_join(struct state *state, enum state_pool pool, uint32_t index, uint32_t owner)
{
    struct state_link *member = link_touch(state, pool, index);
    struct state_link *head = link_touch(state, owner_pool(pool), owner);
    assert(member->owner == 0);
    member->owner = owner + 1;
    member->next = head->first;
    head->first = index + 1;
    head->count++;
}

void state_leave(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_link *member = link_touch(state, pool, index);
    if (member->owner == 0)
        return;
    struct state_link *head = link_touch(state, owner_pool(pool), member->owner - 1);
    head->count--;
    if (head->first == index + 1) {
        head->first = member->next;
    } else {
        uint32_t at = head->first;
        while (link_at(state, pool, at - 1)->next != index + 1)
            at = link_at(state, pool, at - 1)->next;
        link_touch(state, pool, at - 1)->next = member->next;
    }
    member->owner = member->next = 0;
}

/* STATE_NONE is one less than 0, as "none" is one less than the first. */
_Static_assert(STATE_NONE == (uint32_t)0 - 1u, "numbers are kept plus one");

uint32_t state_first(const struct state *state, enum state_pool member_pool, uint32_t owner)
{
    return link_at(state, owner_pool(member_pool), owner)->first - 1u;
}

uint32_t state_next(const struct state *state, enum state_pool pool, uint32_t index)
{
    return link_at(state, pool, index)->next - 1u;
}

uint32_t state_owner(const struct state *state, enum state_pool pool, uint32_t index)
{
    assert(pool == POOL_CELLS || pool == POOL_OFFERS);
    return link_at(state, pool, index)->owner - 1u;
}

void state_fetch_link(const struct state *state, enum state_pool pool, uint32_t index)
{
    __builtin_prefetch(link_at(state, pool, index), 1);
    FETCH_STAYS();
}

void state_fetch_saved(const struct state *state, uint32_t cell)
{
    __builtin_prefetch(&state->saved[cell], 1);
    FETCH_STAYS();
}

void state_fetch_bucket(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    const struct state_heads *heads = state_part(state, entry->buckets);
    if (entry->capacity > 0)
        __builtin_prefetch(&heads[bucket_of(state, pool, key) / STATE_HEADS]);
    FETCH_STAYS();
}

uint32_t state_peek(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    return entry->capacity == 0 ? STATE_NONE : head_at(state, entry->buckets, bucket_of(state, pool, key)) - 1u;
}

void state_fetch_demand(const struct state *state, uint32_t cell)
{
    const struct cell_record *record = state_at(state, POOL_CELLS, cell);
    __builtin_prefetch(record, 1);
    __builtin_prefetch(&record->demand, 1);
    __builtin_prefetch(&record->rates, 1);
    FETCH_STAYS();
}

uint32_t state_count(const struct state *state, enum state_pool member_pool, uint32_t owner)
{
    return link_at(state, owner_pool(member_pool), owner)->count;
}

/* ---- prices ------------------------------------------------------------------------------------------------- */

int64_t state_priced_ms(const struct state *state, uint32_t product, int64_t now_ms)
{
    uint32_t priced = link_at(state, POOL_PRODUCTS, product)->priced;
    int32_t since = (int32_t)((uint32_t)now_ms - priced); /* within 24 days; what moves by itself is priced far more often */
    return priced == 0 || since < 0 ? now_ms : now_ms - since;
}

void state_set_priced(struct state *state, uint32_t product, int64_t now_ms)
{
    link_at(state, POOL_PRODUCTS, product)->priced = (uint32_t)now_ms;
}

bool state_line_stale(const struct state *state, uint32_t cell)
{
    return link_at(state, POOL_CELLS, cell)->line_stale != 0;
}

void state_set_line_stale(struct state *state, uint32_t cell, bool stale)
{
    link_at(state, POOL_CELLS, cell)->line_stale = stale;
}
