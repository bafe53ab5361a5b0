/* diff.c - what would other models change now? Every price that stands is computed by both, from the same inputs at the
 * present tick; nothing is written.
 *
 *   stays    where the models in force lead, steps and dead band left aside
 *   becomes  where the others lead
 *   at once  what would stand right after the change, steps and dead band included
 *
 * A partition a round of the worker's loop: signals go on in between. One question at a time. */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/ask.h"
#include "service/diff.h"

#include <stdlib.h>
#include <string.h>

#define MOVES_MAX  50u /* listed */
#define GROUPS_MAX 64u /* categories, and zones; further ones are counted together */

struct move {
    char sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX], category[RIALTO_ID_MAX];
    const struct currency *currency;
    int64_t now, stays, becomes, at_once;
    double pct;
};

struct tally { /* of one category or zone */
    char name[RIALTO_ID_MAX];
    uint64_t prices, up, down;
    double sum_pct;
};

struct diff {
    struct model_set *set;
    uint32_t number; /* of the question */
    uint32_t partition;
    uint64_t prices, up, down, uncovered, newly, frozen;
    double sum_pct, most_pct;
    struct move move[MOVES_MAX];
    uint32_t move_count;
    struct tally category[GROUPS_MAX + 1], zone[GROUPS_MAX + 1];
    uint32_t category_count, zone_count;
};

static struct tally *tally_of(struct tally tally[], uint32_t *count, const char *name)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(tally[i].name, name) == 0)
            return &tally[i];
    struct tally *next = &tally[*count];
    if (*count < GROUPS_MAX) {
        memcpy(next->name, name, strlen(name) + 1);
        ++*count;
    } else {
        memcpy(next->name, "(others)", 9);
    }
    return next;
}

static void tally_add(struct tally *tally, double pct)
{
    tally->prices++;
    tally->up += pct > 0;
    tally->down += pct < 0;
    tally->sum_pct += pct;
}

static double size_of(double pct)
{
    return pct < 0 ? -pct : pct;
}

/* The largest first. */
static void move_add(struct diff *diff, const struct move *move)
{
    uint32_t at = diff->move_count < MOVES_MAX ? diff->move_count++ : MOVES_MAX - 1;
    if (at == MOVES_MAX - 1 && diff->move_count == MOVES_MAX && size_of(diff->move[at].pct) >= size_of(move->pct) &&
        diff->move[at].sku[0] != '\0')
        return;
    for (; at > 0 && size_of(diff->move[at - 1].pct) < size_of(move->pct); at--)
        diff->move[at] = diff->move[at - 1];
    diff->move[at] = *move;
}

/* Where a model leads: without the published price nothing is held back. */
static bool target_of(const struct model *model, const struct price_inputs *in, int64_t *ret)
{
    struct price_inputs free_in = *in;
    struct price_result result;
    free_in.published = 0;
    if (model_price(model, &free_in, &result) != RIALTO_OK)
        return false;
    *ret = result.baseline;
    return true;
}

static void look_at_cell(struct worker *worker, struct diff *diff, const struct partition *partition,
                         const struct product_record *product, uint32_t cell)
{
    const struct cell_record *record = state_at(partition->state, POOL_CELLS, cell);
    uint32_t priced = cell_priced(partition, cell);
    int32_t number_before = cell_model_of_price(worker, partition, cell);
    struct move move = { .now = record->published };
    if (record->published == 0 || priced == STATE_NONE || number_before < 0)
        return;
    diff->prices++;
    move.currency = currency_by_number(((const struct cell_record *)state_at(partition->state, POOL_CELLS, priced))->currency);
    int32_t number = cell_model(worker, diff->set, partition, product, cell);
    if (number < 0) {
        diff->uncovered += cell_maker(worker, diff->set, partition, cell) < 0; /* else it stands as it is */
        return;
    }
    if (change_hold(worker, product, partition->cell[cell].place) != HOLD_NOT) {
        diff->frozen++;
        return;
    }
    const struct model *before = &worker->models->model[number_before], *after = &diff->set->model[number];
    struct price_inputs in_before, in_after;
    struct price_result result;
    if (!reprice_look(worker, partition, cell, before, worker->tick_ms, NULL, &in_before) ||
        !reprice_look(worker, partition, cell, after, worker->tick_ms, NULL, &in_after) ||
        !target_of(before, &in_before, &move.stays) || !target_of(after, &in_after, &move.becomes) ||
        model_price(after, &in_after, &result) != RIALTO_OK)
        return;
    move.at_once = result.baseline;
    move.pct = ((double)move.becomes / (double)move.stays - 1) * 100;
    diff->up += move.pct > 0;
    diff->down += move.pct < 0;
    diff->sum_pct += move.pct;
    if (size_of(move.pct) > size_of(diff->most_pct))
        diff->most_pct = move.pct;
    tally_add(tally_of(diff->category, &diff->category_count, product->category), move.pct);
    tally_add(tally_of(diff->zone, &diff->zone_count, record->zone), move.pct);
    if (move.becomes == move.stays)
        return;
    memcpy(move.sku, product->sku, sizeof move.sku);
    memcpy(move.zone, record->zone, sizeof move.zone);
    memcpy(move.category, product->category, sizeof move.category);
    move_add(diff, &move);
}

static void look_at_partition(struct worker *worker, struct diff *diff, struct partition *partition)
{
    for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
        const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
        if (key_is_none(product->head.key))
            continue;
        cells_ready(worker, partition, i);
        for (uint32_t cell = state_first(partition->state, POOL_CELLS, i); cell != STATE_NONE;
             cell = state_next(partition->state, POOL_CELLS, cell))
            look_at_cell(worker, diff, partition, product, cell);
    }
}

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

static cJSON *tallies_json(const struct tally tally[], uint32_t count)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i <= count && i <= GROUPS_MAX; i++) {
        if (tally[i].prices == 0)
            continue;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", tally[i].name);
        cJSON_AddNumberToObject(item, "prices", (double)tally[i].prices);
        cJSON_AddNumberToObject(item, "up", (double)tally[i].up);
        cJSON_AddNumberToObject(item, "down", (double)tally[i].down);
        cJSON_AddNumberToObject(item, "sum_pct", tally[i].sum_pct);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static cJSON *moves_json(const struct diff *diff)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < diff->move_count; i++) {
        const struct move *move = &diff->move[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "sku", move->sku);
        cJSON_AddStringToObject(item, "zone", move->zone);
        cJSON_AddStringToObject(item, "category", move->category);
        cJSON_AddStringToObject(item, "currency", move->currency->letters);
        cJSON_AddNumberToObject(item, "decimals", move->currency->decimals);
        cJSON_AddNumberToObject(item, "now", (double)move->now);
        cJSON_AddNumberToObject(item, "stays", (double)move->stays);
        cJSON_AddNumberToObject(item, "becomes", (double)move->becomes);
        cJSON_AddNumberToObject(item, "at_once", (double)move->at_once);
        cJSON_AddNumberToObject(item, "pct", move->pct);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static char *diff_text(const struct diff *diff)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddNumberToObject(answer, "prices", (double)diff->prices);
    cJSON_AddNumberToObject(answer, "up", (double)diff->up);
    cJSON_AddNumberToObject(answer, "down", (double)diff->down);
    cJSON_AddNumberToObject(answer, "uncovered", (double)diff->uncovered);
    cJSON_AddNumberToObject(answer, "frozen", (double)diff->frozen);
    cJSON_AddNumberToObject(answer, "sum_pct", diff->sum_pct);
    cJSON_AddNumberToObject(answer, "most_pct", diff->most_pct);
    cJSON_AddItemToObject(answer, "moves", moves_json(diff));
    cJSON_AddItemToObject(answer, "categories", tallies_json(diff->category, diff->category_count));
    cJSON_AddItemToObject(answer, "zones", tallies_json(diff->zone, diff->zone_count));
    char *text = cJSON_PrintUnformatted(answer);
    cJSON_Delete(answer);
    return text;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

void diff_free(struct worker *worker)
{
    if (worker->diff != NULL)
        model_set_free(worker->diff->set);
    free(worker->diff);
    worker->diff = NULL;
}

cJSON *ask_diff(struct worker *worker, const cJSON *question)
{
    char folder[DATA_PATH_MAX], text[512];
    struct fault fault = { 0 };
    if (worker->diff != NULL)
        return ask_refusal("busy", "another comparison is being made: try again");
    if (!change_stage_path(worker->config, ask_text(question, "stage"), folder))
        return ask_refusal("models_refused", "no such stage");
    worker->diff = calloc(1, sizeof *worker->diff);
    if (worker->diff == NULL)
        return ask_refusal("busy", "out of memory");
    if (model_set_load(folder, &worker->diff->set, &fault) == RIALTO_OK)
        return NULL; /* answered by diff_step() */
    diff_free(worker);
    (void)fault_text(&fault, sizeof text, text);
    return ask_refusal("models_refused", text);
}

void diff_number(struct worker *worker, uint32_t number)
{
    if (worker->diff != NULL && worker->diff->number == 0)
        worker->diff->number = number;
}

bool diff_step(struct worker *worker, uint32_t *ret_number, char **ret_text)
{
    struct diff *diff = worker->diff;
    *ret_text = NULL;
    if (diff == NULL)
        return false;
    while (diff->partition < RIALTO_PARTITIONS && worker->partition[diff->partition].state == NULL)
        diff->partition++;
    if (diff->partition < RIALTO_PARTITIONS) {
        look_at_partition(worker, diff, &worker->partition[diff->partition++]);
        return true;
    }
    *ret_number = diff->number;
    *ret_text = diff_text(diff);
    diff_free(worker);
    return true;
}
