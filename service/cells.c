/* cells.c - the cells of a product: found, opened, and linked to the cell of the nearest zone around them. */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RELINK_AHEAD 8u /* cells that are fetched */

static struct rialto_key place_key(const struct worker *worker, const struct place *place, uint32_t level)
{
    return level < place->chain_count ? place->chain[level] : worker->place[0].key; /* the world: there since setup */
}

/* A zone's price without a cost is that of a product whose cost is known around it: no margin is given up because a row was short. */
uint32_t cell_costed(const struct partition *partition, uint32_t priced)
{
    uint16_t currency = cell_at(partition, priced)->currency;
    for (uint32_t cell = priced, steps = 0; cell != STATE_NONE && steps < CELLS_AROUND_MAX; cell = partition->cell[cell].parent, steps++) {
        const struct cell_record *record = cell_at(partition, cell);
        if (record->list > 0 && record->currency == currency && record->cost >= 0)
            return cell;
    }
    return STATE_NONE;
}

int64_t cell_cost_around(const struct partition *partition, uint32_t priced)
{
    uint32_t cell = cell_costed(partition, priced);
    return cell != STATE_NONE ? cell_at(partition, cell)->cost : -1;
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

int32_t cell_maker(const struct worker *worker, const struct model_set *set, const struct partition *partition,
                   uint32_t cell)
{
    const struct cell_record *record = cell_at(partition, cell);
    uint32_t policies = worker->place[partition->cell[cell].place].policies;
    for (uint32_t m = 0; record->published != 0 && m < set->count; m++)
        if (model_rule_hash(set, &set->model[m], policies) == record->model_hash)
            return (int32_t)m;
    return -1;
}

int32_t cell_model_of_price(const struct worker *worker, const struct partition *partition, uint32_t cell)
{
    int32_t number = partition->cell[cell].model;
    return number >= 0 ? number : cell_maker(worker, worker->models, partition, cell);
}

static uint32_t first_of(const struct partition *partition, uint32_t product)
{
    return state_first(partition->state, POOL_CELLS, product);
}

static uint32_t behind(const struct partition *partition, uint32_t cell)
{
    return state_next(partition->state, POOL_CELLS, cell);
}

/* What a cell's neighbours in a list have in common is looked up once: shops of one city have one parent, and without zones in any
 * model's scope one model prices all that has the same currency. */
struct relink {
    struct rialto_key around; /* first zone around the last cell that had one */
    uint32_t depth, parent;
    uint16_t currency;
    bool has_parent, has_model;
    int32_t model;
};

static void link_up(struct worker *worker, struct partition *partition, uint32_t cell, struct relink *last)
{
    struct cell_extra *extra = &partition->cell[cell];
    uint32_t at = place_of(worker, cell_at(partition, cell)->zone);
    extra->place = at == STATE_NONE ? 0 : at; /* place 0 is the world: there since setup */
    const struct place *place = &worker->place[extra->place];
    if (place->chain_count == 0) {
        extra->parent = STATE_NONE;
        return;
    }
    struct rialto_key around = place_key(worker, place, 1);
    if (!last->has_parent || last->depth != place->chain_count || !key_equal(last->around, around)) {
        last->parent = nearest_around(worker, partition, cell);
        last->around = around;
        last->depth = place->chain_count;
        last->has_parent = true;
    }
    extra->parent = last->parent;
}

static void find_model(const struct worker *worker, struct partition *partition, const struct product_record *product, uint32_t cell,
                       struct relink *last)
{
    uint32_t priced = cell_priced(partition, cell);
    uint16_t currency = priced == STATE_NONE ? 0 : cell_at(partition, priced)->currency;
    if (worker->models->zoned || !last->has_model || last->currency != currency)
        last->model = cell_model(worker, worker->models, partition, product, cell);
    last->currency = currency;
    last->has_model = true;
    partition->cell[cell].model = last->model;
}

/* Of the name, not of its key: a replay under another secret computes the same prices at the same moments. */
static uint16_t moment_of(const char *sku)
{
    return (uint16_t)(XXH32(sku, strlen(sku), 0) % REPRICE_MOMENTS * (REPRICE_GRID_MS / REPRICE_MOMENTS));
}

/* What link_up() and find_model() read of a cell. Most cells of a product were opened one after the other: those that come lie as far apart as these two.
 * Where they do not, something else is fetched, and nothing is lost but that. */
static void fetch_relinked(const struct partition *partition, uint32_t cell, uint32_t next)
{
    uint32_t ahead = next + (next - cell) * RELINK_AHEAD;
    if (next == STATE_NONE || ahead >= state_end(partition->state, POOL_CELLS))
        return;
    const struct cell_record *record = cell_at(partition, ahead);
    __builtin_prefetch(&record->list);
    __builtin_prefetch(record->zone);
    FETCH_STAYS();
}

void cells_relink(struct worker *worker, struct partition *partition, uint32_t product)
{
    const struct product_record *record = state_at(partition->state, POOL_PRODUCTS, product);
    struct relink last = { .has_parent = false };
    for (uint32_t cell = first_of(partition, product), next; cell != STATE_NONE; cell = next) {
        next = behind(partition, cell);
        fetch_relinked(partition, cell, next);
        link_up(worker, partition, cell, &last);
    }
    for (uint32_t cell = first_of(partition, product); cell != STATE_NONE; cell = behind(partition, cell))
        find_model(worker, partition, record, cell, &last);
    partition->product[product].moment_ms = moment_of(record->sku);
    partition->product[product].picture = worker->picture;
}

/* Where a zone stands in a place's chain: 0 is the place itself; the world comes last; more than that: nowhere. */
static uint32_t level_of(const struct place *place, const struct place *zone)
{
    uint32_t level = 0;
    if (zone->chain_count == 0)
        return place->chain_count;
    while (level < place->chain_count && !key_equal(place->chain[level], zone->key))
        level++;
    return level < place->chain_count ? level : UINT32_MAX;
}

/* A new cell among its product's: it is around those that lie in its zone and have nothing nearer. What those found around them may be
 * another price now, where zones were declared deeper than a chain is long. */
static void link_new(struct worker *worker, struct partition *partition, uint32_t product, uint32_t fresh)
{
    struct relink none = { .has_parent = false };
    bool adopts = false;
    link_up(worker, partition, fresh, &none);
    const struct place *zone = &worker->place[partition->cell[fresh].place];
    for (uint32_t cell = first_of(partition, product); cell != STATE_NONE; cell = behind(partition, cell)) {
        struct cell_extra *extra = &partition->cell[cell];
        const struct place *place = &worker->place[extra->place];
        uint32_t level = cell == fresh ? UINT32_MAX : level_of(place, zone);
        bool nearer = extra->parent != STATE_NONE && level_of(place, &worker->place[partition->cell[extra->parent].place]) < level;
        if (level == UINT32_MAX || nearer)
            continue;
        extra->parent = fresh;
        adopts = true;
    }
    if (adopts)
        cells_priced_by(worker, partition, product, STATE_NONE);
    else
        find_model(worker, partition, state_at(partition->state, POOL_PRODUCTS, product), fresh, &none);
}

void cells_priced_by(struct worker *worker, struct partition *partition, uint32_t product, uint32_t priced)
{
    const struct product_record *record = state_at(partition->state, POOL_PRODUCTS, product);
    struct relink last = { .has_parent = false };
    for (uint32_t cell = first_of(partition, product); cell != STATE_NONE; cell = behind(partition, cell))
        if (priced == STATE_NONE || cell_priced(partition, cell) == priced)
            find_model(worker, partition, record, cell, &last);
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
    cells_ready(worker, partition, product);
    place = &worker->place[place_index]; /* places may have moved */
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
    link_new(worker, partition, product, cell);
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
