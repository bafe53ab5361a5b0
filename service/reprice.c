/* reprice.c - prices of cells into their records. Time is the batch's tick. */
#include "service/gather.h"
#include "service/metrics.h"

#include <string.h>

#define CELLS_AHEAD 8u /* that are fetched */

void product_dirty(struct partition *partition, uint32_t product)
{
    if (partition->product[product].dirty)
        return;
    partition->product[product].dirty = true;
    *partition->busy |= UINT64_C(1) << partition->number;
    partition->dirty[partition->dirty_count++] = product;
}

static void expires(struct gathering *g, int64_t at_ms)
{
    if (at_ms < g->expires_ms)
        g->expires_ms = at_ms;
}

/* A model that names zones has a price of its own in them. */
static bool opens(const struct worker *worker, const struct cell_record *record, const struct model *model)
{
    return record->opened || model->zone_count > 0 || record->list > 0 || record->zone[0] == '\0' || record->supply_time_ms != 0 ||
           record->competitors > 0 || record->event_count >= worker->config->open_min;
}

static bool result_differs(const struct cell_record *record, uint64_t rule_hash, const struct gathering *g,
                           const struct price_result *result)
{
    if (record->published != result->baseline || record->published_list != g->in.list ||
        record->published_currency != g->currency || record->floor != result->floor ||
        record->ceiling != result->ceiling || record->model_hash != rule_hash ||
        record->guards != (uint8_t)result->guards || !record->opened || record->reference != result->reference ||
        (result->reference != 0 && record->reference_ms != result->reference_ms))
        return true;
    return false;
}

/* The operator's word goes before all but floor and ceiling. */
static void hold(enum hold hold, const struct gathering *g, struct price_result *result)
{
    int64_t to = hold == HOLD_LIST ? g->in.list : g->in.published;
    if (hold == HOLD_NOT || to == 0)
        return;
    result->baseline = clamp_i64(to, result->floor, result->ceiling);
    result->guards = (result->guards & ~(GUARD_RISE | GUARD_STEP | GUARD_DWELL | GUARD_DEAD_BAND)) | GUARD_FROZEN;
    result->pending = false;
}

#define PUBLISHED_BEGIN offsetof(struct cell_record, published)
#define PUBLISHED_BYTES (offsetof(struct cell_record, demand) - PUBLISHED_BEGIN)

/* What a line and those who ask for the reason look at. */
static void published_copy(const struct cell_record *from, struct cell_record *ret)
{
    ret->head = from->head;
    ret->list = from->list;
    ret->currency = from->currency;
    memcpy((char *)ret + PUBLISHED_BEGIN, (const char *)from + PUBLISHED_BEGIN, PUBLISHED_BYTES);
}

/* The record changes only where the published picture does: a factor that moved without moving the price is no news. */
static void price_cell(struct worker *worker, struct partition *partition, uint32_t product, uint32_t cell,
                       const struct model *model, const struct gathering *g, const struct price_result *result)
{
    const struct cell_record *before = cell_at(partition, cell);
    uint64_t rule_hash = worker_rule_hash(worker, model, &worker->place[partition->cell[cell].place]);
    metric_count(METRIC_cells_repriced_total, 1);
    if (!result_differs(before, rule_hash, g, result))
        return;
    struct cell_record old;
    published_copy(before, &old);
    uint32_t changed = state_changed_count(partition->state);
    struct cell_record *record = state_touch_price(partition->state, cell);
    if (record->published != result->baseline || record->published_currency != g->currency)
        record->changed_ms = worker->tick_ms;
    record->published = result->baseline;
    record->published_list = g->in.list;
    record->published_currency = g->currency;
    record->floor = result->floor;
    record->ceiling = result->ceiling;
    record->guards = (uint8_t)result->guards;
    record->reference = result->reference;
    record->reference_ms = result->reference_ms;
    record->model_hash = rule_hash;
    record->opened = 1;
    memcpy(record->factor_micro, worker->commons->memory.value_micro, sizeof record->factor_micro);
    if (state_changed_count(partition->state) != changed) /* nothing else of it changed in this batch */
        lines_stage(worker, partition, cell, product, &old, changed);
}

/* On its way while others are priced. */
FETCH_INLINE void fetch_cell(const struct partition *partition, uint32_t cell)
{
    state_fetch_price(cell_at(partition, cell));
    __builtin_prefetch(&partition->cell[cell]);
    state_fetch_link(partition->state, POOL_CELLS, cell);
    state_fetch_saved(partition->state, cell);
}

/* The cells of a product, as they are priced one behind the other, and what comes next. */
struct walk {
    uint32_t next;  /* product, as it is listed; STATE_NONE: this is the last one */
    uint32_t count; /* of this product's cells */
    uint32_t end;   /* no cell has this number */
};

/* Most cells of a product were opened one after the other, and the newest comes first: those that come lie as far apart as the last two, and behind
 * the last one are the first of the next product. Where they are not, something else is fetched, and nothing is lost but that. */
static void fetch_ahead(const struct partition *partition, const struct walk *walk, uint32_t nth, uint32_t cell,
                        uint32_t next)
{
    uint32_t step = next == STATE_NONE ? UINT32_MAX : next - cell, far = nth + 1 + CELLS_AHEAD,
             ahead = next + step * CELLS_AHEAD;
    if (far >= walk->count) {
        if (walk->next == STATE_NONE || far - walk->count >= state_count(partition->state, POOL_CELLS, walk->next))
            return;
        ahead = state_first(partition->state, POOL_CELLS, walk->next) + step * (far - walk->count);
    }
    if (ahead < walk->end)
        fetch_cell(partition, ahead);
}

/* Those that fetch_ahead() would come too late for. */
static void fetch_first_cells(const struct partition *partition, uint32_t product)
{
    uint32_t count = state_count(partition->state, POOL_CELLS, product),
             first = state_first(partition->state, POOL_CELLS, product);
    for (uint32_t n = 0; n <= CELLS_AHEAD && n < count && n <= first; n++)
        fetch_cell(partition, first - n);
}

/* Products are priced in no order of memory: where one's cells begin is fetched three products ahead, and what lies around them one ahead. The first
 * of its cells come while the last of the product before are priced; where that has only a few, two products ahead. */
static void fetch_product(const struct partition *partition, uint32_t i)
{
    const struct state *state = partition->state;
    const uint32_t *dirty = partition->dirty;
    uint32_t count = partition->dirty_count, cell;
    if (i + 3 < count) {
        state_fetch_link(state, POOL_PRODUCTS, dirty[i + 3]);
        __builtin_prefetch(&((const struct product_record *)state_at(state, POOL_PRODUCTS, dirty[i + 3]))->category);
    }
    if (i + 2 < count) {
        if ((cell = state_first(state, POOL_CELLS, dirty[i + 2])) != STATE_NONE)
            __builtin_prefetch(&partition->cell[cell]);
        if (state_count(state, POOL_CELLS, dirty[i + 1]) <= CELLS_AHEAD)
            fetch_first_cells(partition, dirty[i + 2]);
    }
    if (i + 1 < count && (cell = state_first(state, POOL_CELLS, dirty[i + 1])) != STATE_NONE &&
        partition->cell[cell].parent < state_end(state, POOL_CELLS))
        state_fetch_around(cell_at(partition, partition->cell[cell].parent));
}

/* When what moves with time is priced again: REPRICE_GRID_MS from now at the latest. */
static int64_t moves_on_ms(const struct worker *worker, const struct product_extra *product)
{
    int64_t latest_ms = worker->tick_ms + REPRICE_GRID_MS;
    return latest_ms - (latest_ms - product->moment_ms) % REPRICE_GRID_MS;
}

/* When this product is to be looked at again: 0 = only when something is heard of it. Everything that it calls is taken in as far as it lies in the same
 * object (HOT_SRC in the Makefile). */
static __attribute__((flatten)) int64_t reprice_product(struct worker *worker, struct partition *partition,
                                                        uint32_t product, uint32_t following)
{
    const struct product_record *owner = state_at(partition->state, POOL_PRODUCTS, product);
    int64_t due = INT64_MAX;
    const char *category = owner->category;
    struct gathering g = { .in.present = 0 };
    bool held = change_holds(worker);
    cells_ready(worker, partition, product);
    int64_t moves_ms = moves_on_ms(worker, &partition->product[product]);
    const struct walk walk = { .next = following,
                               .count = state_count(partition->state, POOL_CELLS, product),
                               .end = state_end(partition->state, POOL_CELLS) };
    uint32_t next, nth = 0;
    for (uint32_t cell = state_first(partition->state, POOL_CELLS, product); cell != STATE_NONE; cell = next, nth++) {
        uint32_t priced = cell_priced(partition, cell);
        next = state_next(partition->state, POOL_CELLS, cell);
        int32_t number = partition->cell[cell].model;
        fetch_ahead(partition, &walk, nth, cell, next);
        if (priced == STATE_NONE || number < 0 || !opens(worker, cell_at(partition, cell), &worker->models->model[number]))
            continue;
        const struct model *model = &worker->models->model[number];
        struct price_result result;
        gather(worker, partition, cell, priced, model, &g);
        g.in.category = category;
        if (model_price_like(model, &g.in, &worker->commons->memory, &result) != RIALTO_OK) {
            metric_add(METRIC_amount_overflow_total, 1);
            continue;
        }
        if (held)
            hold(change_hold(worker, owner, partition->cell[cell].place), &g, &result);
        price_cell(worker, partition, product, cell, model, &g, &result);
        if (g.moving || result.pending)
            expires(&g, moves_ms);
        if (g.expires_ms < due)
            due = g.expires_ms;
    }
    return due == INT64_MAX ? 0 : due;
}

void reprice_dirty(struct worker *worker, struct partition *partition)
{
    commons_begin(worker);
    for (uint32_t i = 0; i < partition->dirty_count; i++) {
        uint32_t product = partition->dirty[i],
                 following = i + 1 < partition->dirty_count ? partition->dirty[i + 1] : STATE_NONE;
        fetch_product(partition, i);
        state_set_due(partition->state, POOL_PRODUCTS, product, reprice_product(worker, partition, product, following));
        state_set_priced(partition->state, product, worker->tick_ms);
        partition->product[product].dirty = false;
    }
    partition->dirty_count = partition->dirty_due = 0;
}
