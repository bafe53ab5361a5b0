/* state_ids.c - ids of signals that were counted, so that a repeat counts once. */
#include "service/metrics.h"
#include "service/state_parts.h"

#include <string.h>

#define ID_PROBE_MAX 128u
#define ID_WINDOW_MS 600000 /* ten minutes */
#define ID_HASH_MASK  UINT64_C(0xFFFFFFFFFFFF) /* what a word keeps of the hash; its place follows from these bits alone */
#define ID_HOME_SHIFT 16

/* Two generations of ID_WINDOW_MS each: an id is remembered for at least one window and at most two. A word of an older epoch
 * counts as empty, so nothing is ever cleared. Past ID_PROBE_MAX full places the last one is overwritten: the window then is
 * shorter for the id that stood there. */
static uint64_t *ids_generation(const struct state *state, uint64_t epoch)
{
    return (uint64_t *)(void *)((char *)state->file + state->file->ids_offset) + (epoch & 1u) * state->file->ids_count;
}

static uint64_t id_word(uint64_t epoch, uint64_t id_hash)
{
    uint64_t word = epoch << 48 | (id_hash & ID_HASH_MASK);
    return word == 0 ? 1 : word;
}

/* The place of the word, or the first place free for it, or the last one looked at. */
static uint64_t *id_place(const struct state *state, uint64_t epoch, uint64_t id_hash)
{
    uint64_t *generation = ids_generation(state, epoch), *place = NULL;
    for (uint64_t i = 0, at = (id_hash & ID_HASH_MASK) >> ID_HOME_SHIFT; i < ID_PROBE_MAX; i++, at++) {
        place = &generation[at % state->file->ids_count];
        if (*place == id_word(epoch, id_hash) || *place == 0 || *place >> 48 != epoch)
            break;
    }
    return place;
}

static uint64_t id_epoch(int64_t tick_ms)
{
    return (uint64_t)(tick_ms / ID_WINDOW_MS) & 0xFFFFu;
}

bool state_seen(const struct state *state, uint64_t id_hash, int64_t tick_ms)
{
    uint64_t now = id_epoch(tick_ms), before = (now - 1) & 0xFFFFu;
    return *id_place(state, now, id_hash) == id_word(now, id_hash) ||
           *id_place(state, before, id_hash) == id_word(before, id_hash);
}

void state_remember(struct state *state, uint64_t id_hash, int64_t tick_ms)
{
    uint64_t now = id_epoch(tick_ms);
    uint64_t *place = id_place(state, now, id_hash);
    if (*place != 0 && *place >> 48 == now && *place != id_word(now, id_hash))
        metric_add(METRIC_ids_forgotten_total, 1);
    journal_save(state, place, sizeof *place, JOURNAL_ID);
    *place = id_word(now, id_hash);
}

/* An id word's entry holds what stood there before: of the same ten minutes, it was overwritten by one too many. */
bool state_id_changed(const struct state *state, uint64_t *at, uint32_t *ret_generation, uint64_t *ret_word,
                      bool *ret_first)
{
    struct journal_entry head;
    while (*at < state->listed.ids) {
        const void *image = journal_at(state, state->listed.id[(*at)++], &head);
        uint64_t before, word;
        memcpy(&before, image, sizeof before);
        memcpy(&word, state_part(state, head.offset), sizeof word);
        if (before != 0 && before >> 48 == word >> 48)
            continue;
        *ret_generation = (uint32_t)(word >> 48 & 1u);
        *ret_word = word;
        *ret_first = state->file->ids_epoch[*ret_generation] != (word >> 48) + 1;
        atomic_store_explicit(&state->file->ids_epoch[*ret_generation], (word >> 48) + 1, memory_order_relaxed);
        return true;
    }
    return false;
}

uint64_t state_ids_room(const struct state *state)
{
    return state->file->ids_count;
}

uint64_t state_id_at(const struct state *state, uint32_t generation, uint64_t place)
{
    assert(generation < STATE_ID_GENERATIONS && place < state->file->ids_count);
    return ids_generation(state, generation)[place];
}

void state_load_id(struct state *state, uint64_t word)
{
    uint64_t epoch = word >> 48;
    if (word == 0)
        return;
    *id_place(state, epoch, word) = word;
    atomic_store_explicit(&state->file->ids_epoch[epoch & 1u], epoch + 1, memory_order_relaxed);
}
