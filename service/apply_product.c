/* apply_product.c - product parts: what is sold, asked for, in stock, and asked by competitors. No customer is known here. */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <string.h>

/* What a signal is about: its product, zone, and the price that holds there now. */
struct subject {
    uint32_t product; /* STATE_NONE = not known */
    uint32_t place;
    uint32_t nearest; /* nearest cell at all; STATE_NONE */
    uint32_t priced; /* nearest cell with a list price; STATE_NONE */
    int model;       /* that prices it in this zone, whether or not there is a cell; -1 */
};

static struct rialto_key sku_key(const struct worker *worker, const char *sku)
{
    return key_of_id(worker->control->secret, sku, strlen(sku));
}

static bool has_key(const struct partition *partition, enum state_pool pool, uint32_t index, struct rialto_key key)
{
    return index != STATE_NONE &&
           key_equal(((const struct state_head *)state_at(partition->state, pool, index))->key, key);
}

static struct subject subject_of(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    struct subject subject = { STATE_NONE, place_of(worker, signal->zone), STATE_NONE, STATE_NONE, -1 };
    struct rialto_key key = sku_key(worker, signal->sku);
    subject.product = state_find(partition->state, POOL_PRODUCTS, key);
    if (subject.product == STATE_NONE || subject.place == STATE_NONE)
        return subject;
    cells_ready(worker, partition, subject.product);
    uint32_t cell = cell_nearest(worker, partition, key, &worker->place[subject.place]);
    subject.nearest = cell;
    subject.priced = cell == STATE_NONE ? STATE_NONE : cell_priced(partition, cell);
    if (subject.priced != STATE_NONE)
        subject.model = cell_model_at(worker, partition, subject.product, subject.priced, subject.place);
    return subject;
}

/* `letters`: "" where none is named. */
static bool same_currency(const struct partition *partition, const struct subject *subject, const char *letters)
{
    if (letters[0] == '\0')
        return true;
    const struct cell_record *cell = state_at(partition->state, POOL_CELLS, subject->priced);
    const struct currency *currency = currency_find(letters);
    return currency != NULL && currency->number == cell->currency;
}

static const char *seller_of(const struct signal *signal)
{
    return signal_has(signal, SIGNAL_FIELD_seller) ? signal->seller : NULL;
}

/* A seller's name as a product keeps it: six bytes of its keyed hash; zeros for no name (NULL). */
static void seller_hash(const struct worker *worker, const char *name, uint8_t ret[SELLER_BYTES])
{
    memset(ret, 0, SELLER_BYTES);
    if (name == NULL)
        return;
    uint64_t hash = key_of_id(worker->control->secret, name, strlen(name)).lo;
    memcpy(ret, &hash, SELLER_BYTES);
    ret[0] |= 1u;
}

/* What moves a seller's price is said by this seller. */
static bool seller_may(const struct worker *worker, const struct product_record *product, const char *name)
{
    uint8_t seller[SELLER_BYTES];
    seller_hash(worker, name, seller);
    return memcmp(seller, product->seller, SELLER_BYTES) == 0;
}

/* The level of a place's chain at which a model keeps cells: its own zone, or the first zone around it that is wide enough. */
static uint32_t level_for(const struct worker *worker, const struct subject *subject)
{
    const struct place *place = &worker->place[subject->place];
    uint32_t depth = place->chain_count;
    uint32_t deepest = model_depth(&worker->models->model[subject->model], depth,
                                   (const char (*)[RIALTO_ID_MAX])place->name);
    return depth > deepest ? depth - deepest : 0;
}

/* ---- product ---------------------------------------------------------------------------------------------- */

static uint32_t product_upsert(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    struct rialto_key key = sku_key(worker, signal->sku);
    uint32_t product = state_find(partition->state, POOL_PRODUCTS, key);
    if (product == STATE_NONE) {
        product = room_insert(partition->state, POOL_PRODUCTS, key);
        if (product == STATE_NONE)
            return STATE_NONE;
        partition->product[product].picture = partition->product[product].slot = 0;
        struct product_record *fresh = state_touch(partition->state, POOL_PRODUCTS, product);
        seller_hash(worker, seller_of(signal), fresh->seller);
    }
    struct product_record *record = state_touch(partition->state, POOL_PRODUCTS, product);
    memcpy(record->sku, signal->sku, sizeof record->sku);
    if (signal_has(signal, SIGNAL_FIELD_category))
        memcpy(record->category, signal->category, sizeof record->category);
    if (signal_has(signal, SIGNAL_FIELD_title))
        memcpy(record->title, signal->title, sizeof record->title);
    if (signal_has(signal, SIGNAL_FIELD_unit))
        record->unit = (uint8_t)signal->unit;
    if (signal_has(signal, SIGNAL_FIELD_tax))
        record->tax = (uint8_t)(signal->tax + 1);
    attributes_take(&record->attributes, signal);
    return product;
}

/* Everything that can refuse the signal is looked at before anything changes. */
static enum signal_reason product_check(struct worker *worker, const struct partition *partition,
                                        const struct subject *subject, const struct signal *signal)
{
    const char *category = signal->category;
    if (subject->product != STATE_NONE) {
        const struct product_record *known = state_at(partition->state, POOL_PRODUCTS, subject->product);
        if (!seller_may(worker, known, seller_of(signal)))
            return REASON_other_seller;
        if (!signal_has(signal, SIGNAL_FIELD_category))
            category = known->category;
        const struct place *place = &worker->place[subject->place];
        uint32_t cell = state_find(partition->state, POOL_CELLS, key_pair(known->head.key, place->key));
        const struct cell_record *record = cell == STATE_NONE ? NULL : state_at(partition->state, POOL_CELLS, cell);
        if (record != NULL && record->list > 0 && record->currency != currency_find(signal->currency)->number)
            return REASON_other_currency;
        if (record != NULL && record->product_time_ms > signal->time_ms)
            return REASON_superseded;
    } else if (!signal_has(signal, SIGNAL_FIELD_category)) {
        return REASON_no_category;
    }
    const struct place *place = &worker->place[subject->place];
    struct model_claim claim = { .category = category, .sku = signal->sku, .currency = signal->currency,
                                 .zone_count = place->chain_count,
                                 .zone = (const char (*)[RIALTO_ID_MAX])place->name, .now_ms = worker->tick_ms };
    return model_for_cell(worker->models, &claim) < 0 ? REASON_no_model : REASON_none;
}

static bool category_moves(const struct partition *partition, uint32_t product, const struct signal *signal)
{
    const struct product_record *known = state_at(partition->state, POOL_PRODUCTS, product);
    return signal_has(signal, SIGNAL_FIELD_category) && strcmp(known->category, signal->category) != 0;
}

/* A policy may ask something of the new category where the price stays as it is: lines are written again. */
static void touch_cells(struct partition *partition, uint32_t product)
{
    for (uint32_t cell = state_first(partition->state, POOL_CELLS, product); cell != STATE_NONE;
         cell = state_next(partition->state, POOL_CELLS, cell)) {
        (void)state_touch(partition->state, POOL_CELLS, cell);
        state_set_line_stale(partition->state, cell, true); /* a record that stays the same has a good line otherwise */
    }
}

static enum signal_reason apply_product(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    struct subject subject = subject_of(worker, partition, signal);
    if (subject.place == STATE_NONE)
        return REASON_table_full;
    enum signal_reason reason = product_check(worker, partition, &subject, signal);
    if (reason != REASON_none)
        return reason;
    bool moves = subject.product != STATE_NONE && category_moves(partition, subject.product, signal);
    uint32_t product = product_upsert(worker, partition, signal);
    uint32_t cell = product == STATE_NONE ? STATE_NONE : cell_get(worker, partition, product, subject.place, 0, STATE_NONE);
    if (cell == STATE_NONE)
        return REASON_table_full;
    struct cell_record *record = state_touch(partition->state, POOL_CELLS, cell);
    bool priced = record->list > 0;
    record->list = signal->list;
    record->cost = signal_has(signal, SIGNAL_FIELD_cost) ? signal->cost : -1;
    record->currency = currency_find(signal->currency)->number;
    record->promotion_micro = signal_has(signal, SIGNAL_FIELD_promotion) ? signal->promotion : 0;
    record->promotion_until_ms = signal_has(signal, SIGNAL_FIELD_until_ms) ? signal->until_ms : 0;
    record->product_time_ms = signal->time_ms;
    if (moves)
        touch_cells(partition, product);
    if (moves || !priced)
        cells_priced_by(worker, partition, product, moves ? STATE_NONE : cell);
    cells_open_zones(worker, partition, product);
    product_dirty(partition, product);
    return REASON_none;
}

/* ---- demand ------------------------------------------------------------------------------ */

/* A cart costs nothing to fill: one with a million units in it is no more wish to buy than one with a hundred. */
static int64_t quantity_of(const struct worker *worker, const struct wire_demand *demand)
{
    int64_t most = (int64_t)worker->config->act_quantity_max * MICRO;
    bool paid = demand->event == DEMAND_ORDER || demand->event == DEMAND_RETURN;
    if (paid || demand->quantity <= most)
        return demand->quantity;
    metric_add(METRIC_demand_cut_total, 1);
    return most;
}

static enum signal_reason count_demand(struct worker *worker, struct partition *partition,
                                       const struct wire_record *head, const struct wire_demand *demand,
                                       const struct subject *subject)
{
    if ((head->flags & WIRE_RECORD_REPEATED) && worker->models->model[subject->model].demand.min_events_micro > 0) {
        metric_add(METRIC_demand_repeated_total, 1); /* with 0 a zone's own demand may be one person's */
        return REASON_repeated;
    }
    int64_t quantity = quantity_of(worker, demand);
    bool counted = false;
    const struct demand_settings *known = NULL; /* whose act is ready: mostly one model's for all zones */
    uint32_t guess = subject->nearest; /* then each time the nearest cell around it */
    for (uint32_t level = level_for(worker, subject); level <= worker->place[subject->place].chain_count; level++) {
        uint32_t cell = cell_get(worker, partition, subject->product, subject->place, level, guess);
        guess = cell == STATE_NONE ? STATE_NONE : partition->cell[cell].parent;
        if (cell == STATE_NONE) /* no room for a cell of its own: the zones around it still count the event */
            continue;
        /* Each cell by its own model, or a pilot's half-life would measure the world's demand. */
        int model = partition->cell[cell].model >= 0 ? partition->cell[cell].model : subject->model;
        const struct demand_settings *settings = &worker->models->model[model].demand;
        if (settings != known)
            demand_act_set(&worker->act, settings, (enum demand_event)demand->event, quantity, head->time_ms);
        known = settings;
        struct cell_record *record = state_touch_demand(partition->state, cell);
        demand_add_act(&record->demand, &worker->act);
        demand_rates_add_act(&record->rates, &worker->act);
        if (record->event_count < UINT32_MAX)
            record->event_count++;
        counted = true;
    }
    return counted ? REASON_none : REASON_table_full;
}

/* As subject_of(), from what was found ahead. The cell with a list price is asked for where it matters: as long as no model names zones a
 * cell has the model of the one that it is priced from. */
static struct subject subject_of_demand(struct worker *worker, struct partition *partition,
                                        const struct planned *planned)
{
    struct subject subject = { planned->product, place_now(worker, planned->place), STATE_NONE, STATE_NONE, -1 };
    if (!has_key(partition, POOL_PRODUCTS, subject.product, planned->sku))
        subject.product = state_find(partition->state, POOL_PRODUCTS, planned->sku);
    if (subject.product == STATE_NONE || subject.place == STATE_NONE)
        return subject;
    cells_ready(worker, partition, subject.product);
    subject.nearest = planned->cell;
    if (!has_key(partition, POOL_CELLS, subject.nearest, planned->cell_key))
        subject.nearest = cell_nearest(worker, partition, planned->sku, &worker->place[subject.place]);
    if (subject.nearest == STATE_NONE)
        return subject;
    if (!worker->models->zoned && planned->demand.currency[0] == '\0') {
        subject.model = partition->cell[subject.nearest].model;
        return subject;
    }
    subject.priced = cell_priced(partition, subject.nearest);
    if (subject.priced != STATE_NONE)
        subject.model = cell_model_at(worker, partition, subject.product, subject.priced, subject.place);
    return subject;
}

enum signal_reason apply_demand_part(struct worker *worker, struct partition *partition, const struct wire_record *head,
                                     const struct planned *planned)
{
    const struct wire_demand *demand = &planned->demand;
    struct subject subject = subject_of_demand(worker, partition, planned);
    if (subject.place == STATE_NONE)
        return REASON_table_full;
    if (subject.model < 0)
        return REASON_unknown_product;
    /* It is said by the shop for all sellers, and need not say whose product it is. */
    if (demand->seller != NULL &&
        !seller_may(worker, state_at(partition->state, POOL_PRODUCTS, subject.product), demand->seller))
        return REASON_other_seller;
    if (!same_currency(partition, &subject, demand->currency))
        return REASON_other_currency;
    enum signal_reason reason = count_demand(worker, partition, head, demand, &subject);
    if (reason == REASON_none)
        product_dirty(partition, subject.product);
    return reason;
}

/* ---- supply, competitor ------------------------------------------------------------------------------------- */

static enum signal_reason apply_supply(struct cell_record *record, const struct signal *signal)
{
    if (record->supply_time_ms > signal->time_ms)
        return REASON_superseded;
    record->available_micro = signal->available;
    if (signal_has(signal, SIGNAL_FIELD_capacity))
        record->capacity_micro = signal->capacity;
    record->stock_expires_ms = signal_has(signal, SIGNAL_FIELD_expires_ms) ? signal->expires_ms : 0;
    record->supply_time_ms = signal->time_ms;
    return REASON_none;
}

/* A competitor keeps its place; a new one takes an unused place or the one that was heard of longest ago. */
static enum signal_reason apply_competitor(const struct worker *worker, struct cell_record *record, uint16_t currency,
                                           const struct signal *signal)
{
    uint64_t name = sku_key(worker, signal->competitor).lo | 1u;
    uint8_t at = 0;
    for (uint8_t i = 0; i < COMPETITORS_MAX; i++) {
        if (record->competitor[i].name_hash == name) {
            at = i;
            break;
        }
        if (record->competitor[i].time_ms < record->competitor[at].time_ms)
            at = i;
    }
    struct competitor_price *place = &record->competitor[at];
    if (place->name_hash == name && place->time_ms > signal->time_ms)
        return REASON_superseded;
    *place = (struct competitor_price){
        .name_hash = name,
        .amount = signal->amount,
        .time_ms = signal->time_ms,
        .until_ms = signal_has(signal, SIGNAL_FIELD_until_ms) ? signal->until_ms : 0,
    };
    record->competitor_currency[at] = currency;
    if (at >= record->competitors)
        record->competitors = (uint8_t)(at + 1);
    return REASON_none;
}

enum signal_reason apply_product_part(struct worker *worker, struct partition *partition, const struct signal *signal)
{
    if (signal->type == SIGNAL_product)
        return apply_product(worker, partition, signal);
    struct subject subject = subject_of(worker, partition, signal);
    if (subject.place == STATE_NONE)
        return REASON_table_full;
    if (subject.model < 0)
        return REASON_unknown_product;
    if (!seller_may(worker, state_at(partition->state, POOL_PRODUCTS, subject.product), seller_of(signal)))
        return REASON_other_seller;
    if (!same_currency(partition, &subject, signal->currency))
        return REASON_other_currency;
    uint32_t level = level_for(worker, &subject);
    uint32_t cell = cell_get(worker, partition, subject.product, subject.place, level, subject.nearest);
    if (cell == STATE_NONE)
        return REASON_table_full;
    struct cell_record *record = state_touch(partition->state, POOL_CELLS, cell);
    const struct cell_record *priced = state_at(partition->state, POOL_CELLS, subject.priced);
    enum signal_reason reason = signal->type == SIGNAL_supply
                                    ? apply_supply(record, signal)
                                    : apply_competitor(worker, record, priced->currency, signal);
    if (reason != REASON_none)
        return reason;
    product_dirty(partition, subject.product);
    return level > 0 ? REASON_zone_widened : REASON_none; /* one shop's stock has replaced another's: that shall not go unsaid */
}
