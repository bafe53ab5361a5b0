/* state_due.c - what is due when: a hierarchical timing wheel per pool, in the state file.
 *
 *   time --> unit of 64 ms --> slot: level 0 if only the last eight bits of the unit differ from the cursor's, level 1 if the eight before
 *   them do, ... level 3; beyond that one list of what is further off. A slot is a doubly linked list through the links of its records.
 *
 * Source     Varghese and Lauck, Hashed and Hierarchical Timing Wheels, SOSP 1987, scheme 7.
 * Cost       to set or move: constant. To advance: the slots that time has passed; each record is moved down at most three times. Where more
 *            is due than the caller will hear, the cursor waits in the slot, and what is left of it is not looked at.
 *            Partitions come to their coarse slots at different moments, so that not all move their records at once.
 * Invariant  a record in a slot of level n > 0 is due in a later slot of that level than the cursor is in.
 * Crash      everything is journalled: after an undo the wheel is what it was at the commit. wake_ms is private and found anew. */
#include "service/state_parts.h"

#define UNIT_SHIFT  6u /* ms to units */
#define LEVEL_BITS  8u
#define LEVEL_SLOTS 256u
#define LEVELS      4u
#define FAR_SLOT    (LEVELS * LEVEL_SLOTS)
_Static_assert(FAR_SLOT + 1 == DUE_SLOTS, "the plan of the file counts them");

/* Each partition's units begin a 64th of a coarse slot later than its neighbour's. */
static uint64_t shift_ms(const struct state *state)
{
    return state->file->number * ((UINT64_C(1) << (UNIT_SHIFT + LEVEL_BITS)) + (UINT64_C(1) << UNIT_SHIFT) * 4);
}

static uint64_t unit_of(const struct state *state, int64_t ms)
{
    return ((uint64_t)(ms < 0 ? 0 : ms) + shift_ms(state)) >> UNIT_SHIFT;
}

static int64_t unit_begins_ms(const struct state *state, uint64_t unit)
{
    return (int64_t)(unit << UNIT_SHIFT) - (int64_t)shift_ms(state);
}

/* The topmost level at which two units differ; LEVELS when they are further apart. */
static uint32_t level_of(uint64_t a, uint64_t b)
{
    uint32_t level = 0;
    for (uint64_t differ = (a ^ b) >> LEVEL_BITS; differ != 0 && level < LEVELS; differ >>= LEVEL_BITS)
        level++;
    return level;
}

static uint32_t digit(uint64_t unit, uint32_t level)
{
    return (uint32_t)(unit >> (LEVEL_BITS * level)) & (LEVEL_SLOTS - 1);
}

static uint32_t slot_for(uint64_t unit, uint64_t cursor)
{
    if (unit < cursor)
        unit = cursor; /* overdue: the slot that is looked at next */
    uint32_t level = level_of(unit, cursor);
    return level == LEVELS ? FAR_SLOT : level * LEVEL_SLOTS + digit(unit, level);
}

/* When the cursor comes to a slot. */
static uint64_t slot_begins(uint32_t slot, uint64_t cursor)
{
    uint32_t level = slot / LEVEL_SLOTS;
    uint64_t above = cursor >> (LEVEL_BITS * (level + 1));
    if (slot == FAR_SLOT)
        return ((cursor >> (LEVEL_BITS * LEVELS)) + 1) << (LEVEL_BITS * LEVELS);
    return (above << LEVEL_BITS | slot % LEVEL_SLOTS) << (LEVEL_BITS * level);
}

static int64_t slot_begins_ms(const struct state *state, uint32_t slot, uint64_t cursor)
{
    return unit_begins_ms(state, slot_begins(slot, cursor));
}

static void slot_enter(struct state *state, enum state_pool pool, uint32_t index, uint32_t slot)
{
    uint64_t wheel = state->file->pool[pool].wheel;
    struct state_link *link = link_touch(state, pool, index);
    uint32_t first = head_at(state, wheel, slot);
    link->due_next = first;
    link->due_prev = DUE_FIRST | slot;
    if (first != 0)
        link_touch(state, pool, first - 1)->due_prev = index + 1;
    head_set(state, wheel, slot, index + 1);
}

void due_unlink(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_link *link = link_at(state, pool, index);
    if (link->due_ms == 0)
        return;
    block_touch(state, link, sizeof *link);
    if (link->due_prev & DUE_FIRST)
        head_set(state, state->file->pool[pool].wheel, link->due_prev & ~DUE_FIRST, link->due_next);
    else
        link_touch(state, pool, link->due_prev - 1)->due_next = link->due_next;
    if (link->due_next != 0)
        link_touch(state, pool, link->due_next - 1)->due_prev = link->due_prev;
    link->due_ms = 0;
    link->due_next = link->due_prev = 0;
}

int64_t state_due(const struct state *state, enum state_pool pool, uint32_t index)
{
    return link_at(state, pool, index)->due_ms;
}

void state_set_due(struct state *state, enum state_pool pool, uint32_t index, int64_t due_ms)
{
    assert(state->file->pool[pool].wheel != 0);
    if (link_at(state, pool, index)->due_ms == due_ms)
        return;
    due_unlink(state, pool, index);
    if (due_ms <= 0)
        return;
    uint64_t cursor = state->file->meta[pool].cursor;
    uint32_t slot = slot_for(unit_of(state, due_ms), cursor);
    slot_enter(state, pool, index, slot);
    link_at(state, pool, index)->due_ms = due_ms;
    int64_t begins_ms = slot < LEVEL_SLOTS ? due_ms : slot_begins_ms(state, slot, cursor);
    if (begins_ms < state->wake_ms[pool])
        state->wake_ms[pool] = begins_ms;
}

void state_set_clock(struct state *state, int64_t now_ms)
{
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (state->file->pool[pool].wheel != 0)
            meta_touch(state, (enum state_pool)pool)->cursor = unit_of(state, now_ms);
}

static int64_t slot_earliest_ms(const struct state *state, enum state_pool pool, uint32_t slot)
{
    int64_t earliest = INT64_MAX;
    for (uint32_t at = head_at(state, state->file->pool[pool].wheel, slot); at != 0;
         at = link_at(state, pool, at - 1)->due_next)
        if (link_at(state, pool, at - 1)->due_ms < earliest)
            earliest = link_at(state, pool, at - 1)->due_ms;
    return earliest;
}

/* The first slot that holds anything, in the order of time, from the cursor's or from the one behind it on; DUE_SLOTS when there is none. */
static uint32_t first_slot(const struct state *state, enum state_pool pool, uint32_t behind)
{
    uint64_t wheel = state->file->pool[pool].wheel, cursor = state->file->meta[pool].cursor;
    for (uint32_t level = 0; level < LEVELS; level++)
        for (uint32_t at = digit(cursor, level) + behind; at < LEVEL_SLOTS; at++)
            if (head_at(state, wheel, level * LEVEL_SLOTS + at) != 0)
                return level * LEVEL_SLOTS + at;
    return head_at(state, wheel, FAR_SLOT) != 0 ? FAR_SLOT : DUE_SLOTS;
}

static int64_t find_wake(const struct state *state, enum state_pool pool)
{
    uint32_t slot = first_slot(state, pool, 0);
    if (slot == DUE_SLOTS)
        return INT64_MAX;
    return slot < LEVEL_SLOTS ? slot_earliest_ms(state, pool, slot)
                              : slot_begins_ms(state, slot, state->file->meta[pool].cursor);
}

int64_t state_wake_ms(struct state *state, enum state_pool pool)
{
    if (state->file->pool[pool].wheel == 0)
        return INT64_MAX;
    if (state->wake_ms[pool] == INT64_MIN)
        state->wake_ms[pool] = find_wake(state, pool);
    return state->wake_ms[pool];
}

struct listener {
    int64_t now_ms;
    uint32_t most, told;
    void *user;
    state_due_hook hook;
};

/* What is in a slot is told when it is due, or entered again where it belongs now. Of the cursor's own slot, to the last that may be told. */
static void slot_drain(struct state *state, enum state_pool pool, uint32_t slot, struct listener *listener)
{
    uint64_t cursor = state->file->meta[pool].cursor;
    bool own = slot == digit(cursor, 0);
    uint32_t at = head_at(state, state->file->pool[pool].wheel, slot);
    while (at != 0 && !(own && listener->told == listener->most)) {
        uint32_t index = at - 1;
        at = link_at(state, pool, index)->due_next;
        int64_t due_ms = state_due(state, pool, index);
        bool tell = due_ms <= listener->now_ms && listener->told < listener->most;
        if (!tell && slot_for(unit_of(state, due_ms), cursor) == slot)
            continue;
        due_unlink(state, pool, index);
        if (tell) {
            listener->told++;
            listener->hook(listener->user, pool, index, due_ms);
        } else {
            state_set_due(state, pool, index, due_ms);
        }
    }
}

/* On to the next slot that holds anything, or to the end; what was in coarser slots that begin there comes nearer. */
static void cursor_move(struct state *state, enum state_pool pool, uint64_t to, struct listener *listener)
{
    uint64_t from = state->file->meta[pool].cursor;
    uint32_t slot = first_slot(state, pool, 1);
    if (slot != DUE_SLOTS && slot_begins(slot, from) < to)
        to = slot_begins(slot, from);
    meta_touch(state, pool)->cursor = to;
    uint32_t top = level_of(from, to);
    if (top == LEVELS)
        slot_drain(state, pool, FAR_SLOT, listener);
    for (uint32_t level = top < LEVELS ? top : LEVELS - 1; level > 0; level--)
        slot_drain(state, pool, level * LEVEL_SLOTS + digit(to, level), listener);
}

void state_advance(struct state *state, enum state_pool pool, int64_t now_ms, uint32_t most, void *user,
                   state_due_hook hook)
{
    assert(state->batch != 0 && most > 0);
    struct listener listener = { .now_ms = now_ms, .most = most, .user = user, .hook = hook };
    uint64_t to = unit_of(state, now_ms);
    slot_drain(state, pool, digit(state->file->meta[pool].cursor, 0), &listener);
    while (state->file->meta[pool].cursor < to && listener.told < most) {
        cursor_move(state, pool, to, &listener);
        slot_drain(state, pool, digit(state->file->meta[pool].cursor, 0), &listener);
    }
    /* Where it was cut short, what is next was due at once: whoever looks for its time would go through all the rest. */
    state->wake_ms[pool] = listener.told < most ? find_wake(state, pool) : now_ms;
}
