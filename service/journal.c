/* journal.c - what a worker notes for the price journal, and how it is handed to the publisher's thread. See journal.h. */
#include "service/journal.h"
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FINISH_MS   1000
#define AGAIN_SLICE 4096u
#define BOX_SLICE   32u /* entries put into the box at a time */

static bool list_add(struct journal_list *list, struct journal_ref ref)
{
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? 1024 : list->room * 2;
        struct journal_ref *grown = realloc(list->ref, room * sizeof *grown);
        if (grown == NULL)
            return false;
        list->ref = grown;
        list->room = room;
    }
    list->ref[list->count++] = ref;
    return true;
}

/* ---- notes -------------------------------------------------------------------------------------------------------- */

/* The cell's note, begun if there is none. NULL: no memory, and counted. */
static struct journal_cell *note_of(struct worker *worker, uint32_t partition, uint32_t cell, int64_t before)
{
    struct journal_cell *note = &worker->journal.cell[partition][cell];
    if (note->noted) {
        metric_count(METRIC_journal_coalesced_total, 1);
        return note;
    }
    if (!list_add(&worker->journal.open, (struct journal_ref){ cell, partition })) {
        metric_add(METRIC_journal_refused_total, 1);
        return NULL;
    }
    *note = (struct journal_cell){ .noted = true, .before = before };
    return note;
}

static void note_move(struct journal_cell *note, int64_t amount, int64_t when_ms)
{
    if (note->moves == 0)
        note->first_ms = when_ms;
    if (note->moves == 0 || (amount > 0 && (note->low == 0 || amount < note->low))) {
        note->low = amount;
        note->low_ms = when_ms;
    }
    note->moves += note->moves < UINT32_MAX;
    note->when_ms = when_ms;
}

void journal_note(struct worker *worker, const struct partition *partition, uint32_t cell,
                  const struct cell_record *old, const struct cell_record *now)
{
    if (worker->journal.cell[partition->number] == NULL)
        return;
    bool moved = old->published != now->published || old->published_currency != now->published_currency;
    if (!moved && old->published_list == now->published_list && old->model_hash == now->model_hash)
        return;
    struct journal_cell *note = note_of(worker, partition->number, cell, old->published);
    if (note == NULL)
        return;
    if (moved && old->published_currency != now->published_currency)
        note->low = 0; /* amounts of another currency are not lower or higher */
    if (moved)
        note_move(note, now->published, worker->tick_ms);
    else if (note->moves == 0)
        note->when_ms = worker->tick_ms;
}

void journal_fetch(const struct worker *worker, uint32_t partition, uint32_t cell)
{
    if (worker->journal.cell[partition] != NULL)
        __builtin_prefetch(&worker->journal.cell[partition][cell], 1);
    FETCH_STAYS();
}

/* Prices that began to stand not long ago, whose notes may have died with a worker; a slice of all of them at a time, so that
 * nothing waits for it. Where the entry is there, it counts. False: that was the last slice. */
static bool note_again_slice(struct worker *worker)
{
    struct journal *journal = &worker->journal;
    const struct partition *partition = &worker->partition[journal->again_partition];
    uint32_t capacity = partition->state != NULL ? state_capacity(partition->state, POOL_CELLS) : 0;
    for (uint32_t n = 0; n < AGAIN_SLICE && journal->again_cell < capacity; n++, journal->again_cell++) {
        const struct cell_record *record = state_at(partition->state, POOL_CELLS, journal->again_cell);
        if (key_is_none(record->head.key) || record->published == 0 ||
            record->changed_ms <= worker->tick_ms - JOURNAL_AGAIN_MS ||
            journal->cell[partition->number][journal->again_cell].noted)
            continue;
        struct journal_cell *note = note_of(worker, partition->number, journal->again_cell, JOURNAL_UNKNOWN);
        if (note != NULL)
            note_move(note, record->published, record->changed_ms);
    }
    if (journal->again_cell < capacity)
        return true;
    journal->again_cell = 0;
    journal->again_partition += worker->config->workers;
    return journal->again_partition < RIALTO_PARTITIONS;
}

/* ---- handing over --------------------------------------------------------------------------------------------------- */

static void fill_price(const struct model *model, const struct cell_record *record, struct journal_entry *entry)
{
    const struct currency *currency = currency_by_number(record->published_currency);
    entry->amount = record->published;
    entry->list = record->published_list;
    entry->floor = record->floor;
    entry->ceiling = record->ceiling;
    entry->guards = record->guards;
    if (currency != NULL)
        (void)snprintf(entry->currency, sizeof entry->currency, "%.3s", currency->letters);
    if (model == NULL)
        return;
    entry->ending_step = model->ending_step;
    entry->ending_less = model->ending_less;
    (void)snprintf(entry->model, sizeof entry->model, "%s", model->name);
    (void)snprintf(entry->version, sizeof entry->version, "%s", model->version);
    entry->factor_count = model->factor_count;
    for (uint32_t i = 0; i < model->factor_count; i++) {
        (void)snprintf(entry->factor[i].name, sizeof entry->factor[i].name, "%s", model->factor[i].name);
        entry->factor[i].micro = record->factor_micro[i];
    }
}

/* False: the price was made by models before those in force, and is about to be made anew. */
static bool fill(struct worker *worker, struct journal_ref ref, struct journal_entry *entry)
{
    struct partition *partition = &worker->partition[ref.partition];
    const struct cell_record *record = state_at(partition->state, POOL_CELLS, ref.cell);
    const struct journal_cell *note = &worker->journal.cell[ref.partition][ref.cell];
    const struct model *model = NULL;
    uint32_t product = state_owner(partition->state, POOL_CELLS, ref.cell);
    if (product == STATE_NONE)
        return false;
    cells_ready(worker, partition, product);
    if (record->published != 0) {
        int32_t number = cell_model_of_price(worker, partition, ref.cell);
        if (number < 0 || record->model_hash != worker_rule_hash(worker, &worker->models->model[number],
                                                                 &worker->place[partition->cell[ref.cell].place]))
            return false;
        model = &worker->models->model[number];
    }
    const struct product_record *owner = state_at(partition->state, POOL_PRODUCTS, product);
    *entry = (struct journal_entry){ .when_ms = note->when_ms,
                                     .before = note->before,
                                     .moves = note->moves,
                                     .first_ms = note->moves > 0 ? note->first_ms : note->when_ms,
                                     .low = note->moves > 0 ? note->low : record->published,
                                     .low_ms = note->moves > 0 ? note->low_ms : note->when_ms };
    memcpy(entry->sku, owner->sku, sizeof entry->sku);
    memcpy(entry->zone, record->zone, sizeof entry->zone);
    fill_price(model, record, entry);
    return true;
}

/* True: the box is to be handed over. */
static bool fill_box(struct worker *worker, struct journal_box *box)
{
    struct journal *journal = &worker->journal;
    if (!journal->filling)
        box->count = 0;
    journal->filling = true;
    box->tick_ms = worker->tick_ms;
    for (uint32_t n = 0; n < BOX_SLICE && journal->left < journal->leaving.count && box->count < JOURNAL_BOX; n++) {
        struct journal_ref ref = journal->leaving.ref[journal->left++];
        box->item[box->count].partition = ref.partition;
        bool filled = fill(worker, ref, &box->item[box->count].entry);
        box->count += filled;
        if (!filled && list_add(&journal->open, ref))
            continue; /* still noted, for the next time */
        journal->cell[ref.partition][ref.cell].noted = false;
    }
    return box->count == JOURNAL_BOX || journal->left == journal->leaving.count;
}

/* What is noted leaves once an interval: so no cell has two entries in one. */
static void close_open(struct worker *worker, bool now)
{
    struct journal *journal = &worker->journal;
    int64_t interval = worker->config->journal_interval_s == 0
                           ? worker->tick_ms
                           : worker->tick_ms / ((int64_t)worker->config->journal_interval_s * 1000);
    if (journal->open.count == 0 || (interval == journal->interval && !now))
        return;
    struct journal_list done = journal->leaving;
    journal->leaving = journal->open;
    journal->open = done;
    journal->open.count = journal->left = 0;
    journal->interval = interval;
}

static bool step(struct worker *worker, bool now)
{
    struct journal *journal = &worker->journal;
    if (journal->again)
        journal->again = note_again_slice(worker);
    if (journal->left == journal->leaving.count)
        close_open(worker, now);
    struct journal_box *box = journal->left < journal->leaving.count ? publisher_journal_box(worker->publisher) : NULL;
    if (box == NULL)
        return false;
    if (!fill_box(worker, box))
        return true;
    journal->filling = false;
    if (box->count > 0)
        atomic_store_explicit(&box->full, true, memory_order_release);
    return false;
}

bool journal_step(struct worker *worker)
{
    return step(worker, false);
}

void journal_finish(struct worker *worker)
{
    struct journal *journal = &worker->journal;
    for (int i = 0; i < FINISH_MS; i++) {
        while (step(worker, true))
            ;
        bool all = !journal->again && journal->left == journal->leaving.count && journal->open.count == 0;
        if (all && publisher_journal_box(worker->publisher) != NULL)
            return;
        (void)nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

bool journal_setup(struct worker *worker)
{
    if (worker->config->journal_days == 0 || worker->config->alone)
        return true;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        worker->journal.cell[p] =
            calloc(state_capacity(worker->partition[p].state, POOL_CELLS) + 1, sizeof *worker->journal.cell[p]);
        if (worker->journal.cell[p] == NULL)
            return false;
    }
    worker->journal.again_partition = worker->index;
    worker->journal.again = worker->index < RIALTO_PARTITIONS;
    return true;
}

void journal_teardown(struct worker *worker)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        free(worker->journal.cell[p]);
    free(worker->journal.open.ref);
    free(worker->journal.leaving.ref);
    memset(&worker->journal, 0, sizeof worker->journal);
}
