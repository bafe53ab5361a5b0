/* lines_cell.c - lines of cells: what a record says, how its line comes to say it, and who is told.
 *
 *   records applied . prices computed --lines_stage()--> commit --lines_publish_staged()--> lines, history for locks, ring
 *
 * A price that moved has all that its line is made of at hand while it is computed, and that is made then: behind the commit, when readers wait, lines
 * only have to be written. What else changed goes by lines_publish_cell(), from record and old image. */
#include "cache/keys.h"
#include "service/lines_parts.h"
#include "service/metrics.h"
#include "service/pricelist.h"

#include <stdlib.h>
#include <string.h>

/* ---- why ---------------------------------------------------------------------------------------------------------- */

#define REASON_BYTES sizeof((struct rialto_ring_entry *)0)->reason
_Static_assert(sizeof((struct model_factor *)0)->name == REASON_BYTES, "copied as a whole");

struct reason {       /* of a price's change, for people who ask why */
    const char *name; /* [REASON_BYTES] */
    int32_t micro;    /* the value of the factor of this name, or 0 */
};

#define PLACE_BITS 4u /* ways and places in one number: factors are at most 10.0, 24 bits of millionths */
_Static_assert(MODEL_FACTORS_MAX <= 1u << PLACE_BITS, "a place has so many bits");

/* The factor that moved most, the first of several; STATE_NONE: none did. */
static uint32_t moved_most(uint32_t count, const int32_t now[], const int32_t before[])
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t by = (uint32_t)now[i] - (uint32_t)before[i], way = (int32_t)by < 0 ? 0u - by : by;
        uint32_t way_and_place = way << PLACE_BITS | (MODEL_FACTORS_MAX - 1 - i);
        most = way_and_place > most ? way_and_place : most;
    }
    return most < 1 << PLACE_BITS ? STATE_NONE : MODEL_FACTORS_MAX - 1 - most % (1u << PLACE_BITS);
}

/* The factor that moved most against what was published before. */
static struct reason reason_of(const struct model *model, const struct cell_record *old, const struct cell_record *now)
{
    static const char NEW[REASON_BYTES] = "new", LIST[REASON_BYTES] = "list", FROZEN[REASON_BYTES] = "frozen",
                      MODEL[REASON_BYTES] = "model", GUARDRAIL[REASON_BYTES] = "guardrail";
    const char *name = old->published == 0                          ? NEW
                       : now->published_list != old->published_list ? LIST
                       : now->guards & GUARD_FROZEN                 ? FROZEN
                       : now->model_hash != old->model_hash         ? MODEL
                                                                    : GUARDRAIL;
    bool comparable = old->published != 0 && old->model_hash == now->model_hash;
    uint32_t factor = comparable ? moved_most(model->factor_count, now->factor_micro, old->factor_micro) : STATE_NONE;
    if (factor == STATE_NONE)
        return (struct reason){ .name = name };
    return (struct reason){ .name = model->factor[factor].name, .micro = now->factor_micro[factor] };
}

static uint16_t rule_of(const struct worker *worker, int model, const struct place *place, uint16_t currency)
{
    const struct model *m = &worker->models->model[model];
    for (uint32_t i = 0; i < m->currency_count; i++)
        if (m->currency_number[i] == currency)
            return worker->rule[(uint32_t)model * worker->models->policies.mask_count + place->policies][i];
    return UINT16_MAX;
}

static const char *category_of(const struct partition *partition, const struct cell_record *cell)
{
    uint32_t product = state_find(partition->state, POOL_PRODUCTS, cell->product);
    return product == STATE_NONE
               ? NULL
               : ((const struct product_record *)state_at(partition->state, POOL_PRODUCTS, product))->category;
}

/* What a line says of where it lies and who priced it. */
struct cell_told {
    uint64_t product, zone; /* slots of their lines */
    int32_t model;
    const struct place *place;
    uint16_t currency; /* ISO number, of the amounts */
};

static void cell_line_fill(const struct worker *worker, const struct partition *partition,
                           const struct cell_record *record, const struct cell_told *told,
                           struct rialto_cell_line *line)
{
    const struct model *model = &worker->models->model[told->model];
    bool never_above = model_personal_never_above(model, record->published, record->floor, record->ceiling);
    if (!never_above && told->place->policies != 0)
        never_above =
            policies_never_above(&worker->models->policies, told->place->policies, category_of(partition, record));
    *line = (struct rialto_cell_line){
        .as_of_s = (uint32_t)(record->changed_ms / 1000),
        .key = record->head.key,
        .baseline = record->published,
        .list = record->published_list,
        .lo_product = (uint64_t)model_personal_floor(model, record->published, record->floor, record->ceiling) |
                      (told->product & 0xFFFFu) << 48,
        .hi_place = (uint64_t)record->ceiling | (told->product >> 16 & 3u) << 48 | told->zone << 50,
        .rule = rule_of(worker, told->model, told->place, told->currency),
        .group = model->group,
        .flags = (uint8_t)((never_above ? RIALTO_CELL_NEVER_ABOVE : 0) |
                           ((record->guards & (GUARD_FLOOR | GUARD_CEILING | GUARD_MARGIN | GUARD_STEP | GUARD_RISE))
                                ? RIALTO_CELL_GUARDED
                                : 0)),
    };
}

/* Most signals change what prices rest on, and not the price: then the line stands as it is. */
static bool line_stands(const struct cell_record *old, const struct cell_record *now)
{
    return key_equal(old->head.key, now->head.key) && old->published != 0 && old->published == now->published &&
           old->published_list == now->published_list && old->published_currency == now->published_currency &&
           old->floor == now->floor && old->ceiling == now->ceiling && old->changed_ms == now->changed_ms &&
           old->guards == now->guards && old->model_hash == now->model_hash && old->list == now->list &&
           old->currency == now->currency;
}

/* Known from the time when it was last written; a slot that was only claimed is still nobody's. */
static bool cell_slot(struct worker *worker, const struct partition *partition, uint32_t cell, struct rialto_key key,
                      uint64_t *ret)
{
    if (partition->cell[cell].slot == 0)
        return lines_claim(worker, RIALTO_TABLE_CELLS, partition->number, key, ret) && *ret < UINT32_MAX;
    *ret = partition->cell[cell].slot - 1;
    return true;
}

/* ---- a line is written -------------------------------------------------------------------------------------------- */

struct moves { /* of amounts, for metrics: added up for as many lines as are written in one go */
    uint64_t lines, moved, far, guarded;
};

static void moves_count(const struct moves *moves)
{
    metric_count(METRIC_cells_changed_total, moves->lines);
    metric_count(METRIC_prices_moved_total, moves->moved);
    metric_count(METRIC_prices_moved_far_total, moves->far);
    metric_count(METRIC_prices_moved_guarded_total, moves->guarded);
}

/* Where more than half of the moves are far, the median move is: alerts ask for that. Amounts have 48 bits: no overflow. */
static void moves_add(struct moves *moves, int64_t before, const struct rialto_cell_line *line)
{
    bool moved = before != 0 && before != line->baseline;
    moves->moved += moved;
    moves->far += moved && 10 * llabs(line->baseline - before) >= before;
    moves->guarded += moved && (line->flags & RIALTO_CELL_GUARDED) != 0;
}

/* The line, and for locks what stood there. False: it said so before. */
static bool exchange(struct worker *worker, const struct partition *partition, uint64_t slot,
                     const struct rialto_cell_line *line)
{
    unsigned char nowhere[sizeof *line];
    bool was;
    if (!table_exchange(worker->cache, RIALTO_TABLE_CELLS, partition->number, slot, line,
                        worker->past != NULL ? past_place(worker->past) : nowhere, &was))
        return false;
    if (worker->past != NULL)
        past_noted(worker->past, worker->moment_us, RIALTO_TABLE_CELLS, line->key, line->key, was);
    return true;
}

static void entry_fill(const struct worker *worker, const struct partition *partition, uint64_t slot,
                       const struct rialto_cell_line *line, int64_t before, struct reason reason,
                       struct rialto_ring_entry *ret)
{
    *ret = (struct rialto_ring_entry){
        .when_ms = worker->tick_ms,
        .before = before,
        .after = line->baseline,
        .slot = (uint32_t)slot,
        .partition = (uint8_t)partition->number,
        .table = RIALTO_TABLE_CELLS,
        .rule = line->rule,
        .reason_ppm = reason.micro,
    };
    memcpy(ret->reason, reason.name, sizeof ret->reason);
}

/* ---- from a record ------------------------------------------------------------------------------------------------ */

/* True: its line is as the record says. False: there is none, or one of before. */
static bool publish_cell_line(struct worker *worker, struct partition *partition, uint32_t cell,
                              const struct cell_record *old)
{
    const struct cell_record *record = cell_at(partition, cell);
    uint32_t product = state_owner(partition->state, POOL_CELLS, cell);
    if (product != STATE_NONE)
        cells_ready(worker, partition, product);
    int32_t model = product == STATE_NONE ? -1 : cell_model_of_price(worker, partition, cell);
    if (record->published == 0 || model < 0) {
        if (old != NULL && old->published != 0) {
            lines_drop(worker, RIALTO_TABLE_CELLS, partition->number, record->head.key, record->head.key);
            partition->pricelist_stale = true;
        }
        partition->cell[cell].slot = 0;
        if (old != NULL && record->published == 0)
            journal_note(worker, partition, cell, old, record);
        return false;
    }
    /* Priced by models before the ones in force, and nobody came to price it anew yet: the line, if there is one, is of the
     * old ones, and stays so as a whole. */
    if (record->model_hash !=
        worker_rule_hash(worker, &worker->models->model[model], &worker->place[partition->cell[cell].place]))
        return false;
    uint64_t product_line = lines_product_slot(worker, partition, product);
    uint64_t zone_line = lines_zone_slot(worker, partition, partition->cell[cell].place), slot;
    if (product_line == SLOT_NONE || zone_line == SLOT_NONE ||
        !cell_slot(worker, partition, cell, record->head.key, &slot)) {
        state_set_lines_owed(partition->state, true);
        return false;
    }
    const struct cell_told told = { .product = product_line,
                                    .zone = zone_line,
                                    .model = model,
                                    .place = &worker->place[partition->cell[cell].place],
                                    .currency = record->published_currency };
    struct rialto_cell_line line;
    cell_line_fill(worker, partition, record, &told, &line);
    if (line.rule == UINT16_MAX || !exchange(worker, partition, slot, &line)) {
        state_set_lines_owed(partition->state, true);
        return false;
    }
    struct moves moves = { .lines = 1 };
    partition->cell[cell].slot = (uint32_t)slot + 1;
    if (old != NULL && old->published_currency == record->published_currency)
        moves_add(&moves, old->published, &line);
    moves_count(&moves);
    if (old == NULL)
        return true; /* a start: nothing changed for anybody */
    partition->pricelist_stale = partition->pricelist_stale || pricelist_changed(old, record);
    struct rialto_ring_entry entry;
    entry_fill(worker, partition, slot, &line, old->published, reason_of(&worker->models->model[model], old, record),
               &entry);
    ring_append(worker->cache, worker->index, &entry);
    journal_note(worker, partition, cell, old, record);
    return true;
}

/* What a death leaves unwritten is found in the journal of its batch; what cannot be written is remembered beside the record. */
void lines_publish_cell(struct worker *worker, struct partition *partition, uint32_t cell,
                        const struct cell_record *old)
{
    bool stale = state_line_stale(partition->state, cell);
    if (old != NULL && line_stands(old, cell_at(partition, cell)) && !stale)
        return;
    if (publish_cell_line(worker, partition, cell, old) == stale)
        state_set_line_stale(partition->state, cell, !stale);
}

/* ---- while prices are computed --------------------------------------------------------------------------------------- */

#define STAGED_AHEAD 24u   /* lines that are fetched: one is written in 20 ns, and its memory answers in 200 and more */
#define STAGED_ROOM  1024u /* at first */

_Static_assert(sizeof(struct staged_line) == 128, "two lines of the processor's cache");

void staged_free(struct staged *staged)
{
    free(staged->line);
    *staged = (struct staged){ .count = 0 };
}

/* NULL: no memory. Bounded by the cells of a partition: each is priced once a batch. */
static struct staged_line *staged_next(struct staged *staged)
{
    if (staged->count == staged->room) {
        uint32_t room = staged->room == 0 ? STAGED_ROOM : 2 * staged->room;
        struct staged_line *grown = realloc(staged->line, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        staged->line = grown;
        staged->room = room;
    }
    return &staged->line[staged->count];
}

void lines_stage(struct worker *worker, struct partition *partition, uint32_t cell, uint32_t product,
                 const struct cell_record *old, uint32_t changed)
{
    const struct cell_record *record = cell_at(partition, cell);
    const struct cell_extra *extra = &partition->cell[cell];
    uint32_t product_line = partition->product[product].slot;
    uint32_t zone_line = extra->place < partition->zone_slot_room ? partition->zone_slot[extra->place] : 0;
    if (old->published == 0 || old->published == record->published ||
        old->published_currency != record->published_currency || extra->slot == 0 || product_line == 0 ||
        zone_line == 0 || state_line_stale(partition->state, cell))
        return; /* there may be less to do than to write a line again, or more */
    struct staged_line *staged = staged_next(&worker->staged);
    if (staged == NULL)
        return;
    const struct cell_told told = { .product = product_line - 1,
                                    .zone = zone_line - 1,
                                    .model = extra->model,
                                    .place = &worker->place[extra->place],
                                    .currency = record->published_currency };
    cell_line_fill(worker, partition, record, &told, &staged->line);
    if (staged->line.rule == UINT16_MAX)
        return;
    entry_fill(worker, partition, extra->slot - 1, &staged->line, old->published,
               reason_of(&worker->models->model[extra->model], old, record), &staged->entry);
    staged->line.seq = changed;
    staged->entry.seq = cell;
    worker->staged.count++;
    partition->pricelist_stale = partition->pricelist_stale || pricelist_changed(old, record);
    journal_note(worker, partition, cell, old, record);
}

FETCH_INLINE void fetch_staged(const struct worker *worker, const struct partition *partition, uint32_t number)
{
    if (number >= worker->staged.count)
        return;
    const struct staged_line *staged = &worker->staged.line[number];
    table_prefetch(worker->cache, RIALTO_TABLE_CELLS, partition->number, staged->entry.slot);
    if (worker->past != NULL)
        past_fetch(worker->past, staged->line.key);
}

static void publish_staged(struct worker *worker, struct partition *partition, const struct staged_line *staged,
                           struct moves *moves)
{
    if (!exchange(worker, partition, staged->entry.slot, &staged->line)) {
        state_set_lines_owed(partition->state, true);
        state_set_line_stale(partition->state, (uint32_t)staged->entry.seq, true);
        return;
    }
    moves->lines++;
    moves_add(moves, staged->entry.before, &staged->line);
    ring_append(worker->cache, worker->index, &staged->entry);
}

__attribute__((flatten)) void lines_publish_staged(struct worker *worker, struct partition *partition)
{
    struct moves moves = { .lines = 0 };
    for (uint32_t i = 0; i < STAGED_AHEAD; i++)
        fetch_staged(worker, partition, i);
    for (uint32_t i = 0; i < worker->staged.count; i++) {
        fetch_staged(worker, partition, i + STAGED_AHEAD);
        publish_staged(worker, partition, &worker->staged.line[i], &moves);
    }
    moves_count(&moves);
}
