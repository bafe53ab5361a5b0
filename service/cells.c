/* cells.c - the cells of a product: found, opened, and linked to the cell of the nearest zone around them. */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

static struct rialto_key place_key(const struct worker *worker, const struct place *place, uint32_t level)
{
    return level < place->chain_count ? place->chain[level] : key_of_world(worker->control->secret);
}

uint32_t cell_priced(const struct partition *partition, uint32_t cell)
{
    while (cell != STATE_NONE && cell_at(partition, cell)->list == 0)
        cell = partition->cell[cell].parent;
    return cell;
}

uint32_t cell_nearest(const struct worker *worker, const struct partition *partition, struct rialto_key product,
                      const struct place *place)
{
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        uint32_t cell = state_find(partition->state, POOL_CELLS, key_pair(product, place_key(worker, place, level)));
        if (cell != STATE_NONE)
            return cell;
    }
    return STATE_NONE;
}

static int model_of_claim(const struct worker *worker, const struct model_set *set, const struct partition *partition,
                          const struct product_record *product, uint32_t priced, const struct place *place)
{
    const struct currency *currency =
        priced == STATE_NONE ? NULL : currency_by_number(cell_at(partition, priced)->currency);
    struct model_claim claim = { .category = product->category,
                                 .sku = product->sku,
                                 .currency = currency == NULL ? "" : currency->letters,
                                 .zone_count = place->chain_count,
                                 .zone = (const char (*)[RIALTO_ID_MAX])place->name,
                                 .now_ms = worker->tick_ms };
    return model_for_cell(set, &claim);
}

int cell_model_at(const struct worker *worker, const struct partition *partition, uint32_t product, uint32_t priced,
                  uint32_t place)
{
    const struct product_record *record = state_at(partition->state, POOL_PRODUCTS, product);
    if (!worker->models->zoned)
        return partition->cell[priced].model;
    return model_of_claim(worker, worker->models, partition, record, priced, &worker->place[place]);
}

static uint32_t nearest_around(const struct worker *worker, const struct partition *partition, uint32_t cell)
{
    const struct cell_record *record = cell_at(partition, cell);
    const struct place *place = &worker->place[partition->cell[cell].place];
    for (uint32_t level = 1; level <= place->chain_count; level++) {
        struct rialto_key key = key_pair(record->product, place_key(worker, place, level));
        uint32_t found = state_find(partition->state, POOL_CELLS, key);
        if (found != STATE_NONE)
            return found;
    }
    return STATE_NONE;
}

int32_t cell_model(const struct worker *worker, const struct model_set *set, const struct partition *partition,
                   const struct product_record *product, uint32_t cell)
{
    return model_of_claim(worker, set, partition, product, cell_priced(partition, cell),
                          &worker->place[partition->cell[cell].place]);
}

static uint32_t first_of(const struct partition *partition, uint32_t product)
{
    return state_first(partition->state, POOL_CELLS, product);
}

static uint32_t behind(const struct partition *partition, uint32_t cell)
{
    return state_next(partition->state, POOL_CELLS, cell);
}

void cells_relink(struct worker *worker, struct partition *partition, uint32_t product)
{
    const struct product_record *record = state_at(partition->state, POOL_PRODUCTS, product);
    for (uint32_t cell = first_of(partition, product); cell != STATE_NONE; cell = behind(partition, cell)) {
        uint32_t place = place_of(worker, cell_at(partition, cell)->zone);
        partition->cell[cell].place = place == STATE_NONE ? 0 : place; /* place 0 is the world: there since setup */
        partition->cell[cell].parent = nearest_around(worker, partition, cell);
    }
    for (uint32_t cell = first_of(partition, product); cell != STATE_NONE; cell = behind(partition, cell))
        partition->cell[cell].model = cell_model(worker, worker->models, partition, record, cell);
    partition->product[product].picture = worker->picture;
}

void cells_ready(struct worker *worker, struct partition *partition, uint32_t product)
{
    if (partition->product[product].picture != worker->picture)
        cells_relink(worker, partition, product);
}

uint32_t cell_get(struct worker *worker, struct partition *partition, uint32_t product, uint32_t place_index, uint32_t level,
                  uint32_t guess)
{
    const struct product_record *owner = state_at(partition->state, POOL_PRODUCTS, product);
    const struct place *place = &worker->place[place_index];
    struct rialto_key key = key_pair(owner->head.key, place_key(worker, place, level));
    if (guess != STATE_NONE && key_equal(cell_at(partition, guess)->head.key, key))
        return guess;
    uint32_t cell = state_find(partition->state, POOL_CELLS, key);
    if (cell != STATE_NONE)
        return cell;
    if (state_count(partition->state, POOL_CELLS, product) < worker->config->cells_per_product_max)
        cell = room_insert(partition->state, POOL_CELLS, key);
    else
        metric_add(METRIC_table_full_total, 1);
    if (cell == STATE_NONE)
        return STATE_NONE;
    struct cell_record *record = state_touch(partition->state, POOL_CELLS, cell);
    record->product = owner->head.key;
    record->cost = -1;
    if (level < place->chain_count)
        memcpy(record->zone, place->name[level], RIALTO_ID_MAX);
    partition->cell[cell] = (struct cell_extra){ .parent = STATE_NONE, .model = -1 };
    state_join(partition->state, POOL_CELLS, cell, product);
    cells_relink(worker, partition, product);
    return cell;
}

static void open_zone(struct worker *worker, struct partition *partition, uint32_t product, uint32_t model,
                      const char *zone)
{
    const struct product_record *record = state_at(partition->state, POOL_PRODUCTS, product);
    uint32_t index = place_of(worker, zone);
    if (index == STATE_NONE || strcmp(worker->place[index].name[0], zone) != 0) /* finer than the levels in use */
        return;
    uint32_t around = cell_nearest(worker, partition, record->head.key, &worker->place[index]);
    uint32_t priced = around == STATE_NONE ? STATE_NONE : cell_priced(partition, around);
    if (priced != STATE_NONE &&
        model_of_claim(worker, worker->models, partition, record, priced, &worker->place[index]) == (int)model)
        (void)cell_get(worker, partition, product, index, 0, STATE_NONE); /* without room the price around it answers */
}

/* A model that names zones prices its products there from the beginning, not from the first thing heard of them there. */
void cells_open_zones(struct worker *worker, struct partition *partition, uint32_t product)
{
    for (uint32_t m = 0; worker->models->zoned && m < worker->models->count; m++)
        for (uint32_t i = 0; i < worker->models->model[m].zone_count; i++)
            open_zone(worker, partition, product, m, worker->models->model[m].zone[i]);
}

/* Memory that the kernel gives page by page when it is touched: nothing here costs what there are records. */
bool cells_setup(struct partition *partition)
{
    uint32_t products = state_capacity(partition->state, POOL_PRODUCTS);
    uint32_t cells = state_capacity(partition->state, POOL_CELLS);
    partition->record = cells > 0 ? state_at(partition->state, POOL_CELLS, 0) : NULL;
    partition->cell = calloc((size_t)cells + 1, sizeof *partition->cell);
    partition->product = calloc((size_t)products + 1, sizeof *partition->product);
    partition->dirty = calloc((size_t)products + 1, sizeof *partition->dirty);
    return partition->cell != NULL && partition->product != NULL && partition->dirty != NULL;
}
