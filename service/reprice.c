/* reprice.c - the inputs of a cell out of committed records, and its price back into its record. Time is the batch's tick. */
#include "pricing/distance.h"
#include "pricing/money.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <string.h>

#define DAY_MS          INT64_C(86400000)
#define CACHE_LINE      64u
#define CALENDAR_INPUTS 4u
static const enum model_input CALENDAR_INPUT[CALENDAR_INPUTS] = { INPUT_hour, INPUT_weekday, INPUT_month,
                                                                  INPUT_day_of_month };

/* What many cells have in common, computed once: what they hear from the cell around them, and the date there. Belongs to one tick
 * and the models in force; whoever asks why gathers all of it himself. */
struct around {
    uint32_t cell; /* of the product that is being priced; STATE_NONE = nothing heard yet */
    const struct model *model;
    bool has_pressure, moving;
    int64_t pressure_micro;
    const struct model *calendar_model; /* NULL = no date yet */
    int32_t calendar_offset_min;
    int64_t local_ms, calendar_micro[CALENDAR_INPUTS];
};

struct gathering { /* inputs as they are collected, and until when they stay what they are */
    struct price_inputs in;
    int64_t expires_ms; /* earliest end of something that was used; INT64_MAX = none */
    bool moving;        /* something changes by itself with time */
    uint16_t currency;  /* ISO number, of the list price: amounts in any other say nothing about it */
    struct input_origin *origin; /* NULL, or filled for somebody who asks why [INPUT_COUNT] */
    struct around *around;       /* NULL for him */
};

void product_dirty(struct partition *partition, uint32_t product)
{
    if (partition->product[product].dirty)
        return;
    partition->product[product].dirty = true;
    partition->dirty[partition->dirty_count++] = product;
}

static void present(struct gathering *g, enum model_input input, int64_t micro)
{
    g->in.input_micro[input] = micro;
    g->in.present |= UINT64_C(1) << input;
}

static void expires(struct gathering *g, int64_t at_ms)
{
    if (at_ms < g->expires_ms)
        g->expires_ms = at_ms;
}

static void origin(struct gathering *g, enum model_input input, const char *zone, int64_t time_ms, int64_t until_ms)
{
    if (g->origin != NULL)
        g->origin[input] = (struct input_origin){ .zone = zone, .time_ms = time_ms, .until_ms = until_ms };
}

static const struct cell_record *cell_at(const struct partition *partition, uint32_t cell)
{
    return state_at(partition->state, POOL_CELLS, cell);
}

/* Does the demand of this one cell speak? */
static bool hear_demand(const struct partition *partition, uint32_t cell, const struct model *model,
                        struct gathering *g)
{
    int64_t now = g->in.now_ms;
    const struct cell_record *record = cell_at(partition, cell);
    if (record->demand.first_ms == 0)
        return false;
    if (decayed_at(&record->demand.slow, now) > 0)
        g->moving = true;
    if (g->origin != NULL && g->origin[INPUT_demand_pressure].zone == NULL) /* should no zone have enough events */
        origin(g, INPUT_demand_pressure, record->zone, record->demand.last_ms, 0);
    if (demand_events(&record->demand, now) < model->demand.min_events_micro)
        return false;
    present(g, INPUT_demand_pressure, demand_pressure(&record->demand, &model->demand, now));
    origin(g, INPUT_demand_pressure, record->zone, record->demand.last_ms, 0);
    return true;
}

/* What this cell and those around it say of demand, heard once for all that lie directly within it. */
static void hear_demand_around(const struct partition *partition, uint32_t cell, const struct model *model,
                               const struct gathering *g, struct around *around)
{
    struct gathering own = { .in.now_ms = g->in.now_ms };
    around->cell = cell;
    around->model = model;
    while (cell != STATE_NONE && !hear_demand(partition, cell, model, &own))
        cell = partition->cell[cell].parent;
    around->moving = own.moving;
    around->has_pressure = own.in.present >> INPUT_demand_pressure & 1u;
    around->pressure_micro = own.in.input_micro[INPUT_demand_pressure];
}

/* The nearest zone with enough events speaks, so that nobody's own clicks in a quiet zone set their own price. */
static void gather_demand(const struct partition *partition, uint32_t cell, const struct model *model,
                          struct gathering *g)
{
    if (g->around == NULL) {
        while (cell != STATE_NONE && !hear_demand(partition, cell, model, g))
            cell = partition->cell[cell].parent;
        return;
    }
    if (!model_reads(model, INPUT_demand_pressure) || hear_demand(partition, cell, model, g))
        return;
    cell = partition->cell[cell].parent;
    if (cell == STATE_NONE)
        return;
    if (g->around->cell != cell || g->around->model != model)
        hear_demand_around(partition, cell, model, g, g->around);
    g->moving = g->moving || g->around->moving;
    if (g->around->has_pressure)
        present(g, INPUT_demand_pressure, g->around->pressure_micro);
}

static void gather_supply(const struct cell_record *record, const struct model *model, struct gathering *g)
{
    int64_t end = record->supply_time_ms + (int64_t)model->supply_age_s * 1000;
    if (record->supply_time_ms != 0) {
        origin(g, INPUT_available, record->zone, record->supply_time_ms, end);
        origin(g, INPUT_available_ratio, record->zone, record->supply_time_ms, end);
    }
    if (record->supply_time_ms == 0 || end <= g->in.now_ms)
        return;
    expires(g, end);
    present(g, INPUT_available, record->available_micro);
    if (record->capacity_micro > 0)
        present(g, INPUT_capacity, record->capacity_micro);
    if (record->stock_expires_ms != 0) {
        int64_t left_ms = record->stock_expires_ms > g->in.now_ms ? record->stock_expires_ms - g->in.now_ms : 0;
        int64_t hours = (int64_t)div_half_even((int128)left_ms * MICRO, 3600000);
        present(g, INPUT_hours_to_expiry, clamp_i64(hours, 0, model_inputs[INPUT_hours_to_expiry].high));
    }
    int64_t ratio;
    if (record->capacity_micro > 0 && mul_div_half_even(record->available_micro, MICRO, record->capacity_micro, &ratio))
        present(g, INPUT_available_ratio, clamp_i64(ratio, 0, MICRO));
}

static void gather_promotion(const struct partition *partition, uint32_t cell, struct gathering *g)
{
    for (; cell != STATE_NONE; cell = partition->cell[cell].parent) {
        const struct cell_record *record = cell_at(partition, cell);
        bool over = record->promotion_until_ms != 0 && record->promotion_until_ms <= g->in.now_ms;
        if (record->promotion_micro == 0 || over)
            continue;
        if (record->promotion_until_ms != 0)
            expires(g, record->promotion_until_ms);
        present(g, INPUT_promotion, record->promotion_micro);
        origin(g, INPUT_promotion, record->zone, record->product_time_ms, record->promotion_until_ms);
        return;
    }
}

/* Current prices in the cell, in the currency of the list price, ascending. */
static unsigned competitor_prices(const struct cell_record *record, const struct model *model, struct gathering *g,
                                  int64_t ret[COMPETITORS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < COMPETITORS_MAX; i++) {
        const struct competitor_price *price = &record->competitor[i];
        int64_t end = price->until_ms != 0 ? price->until_ms : price->time_ms + (int64_t)model->competitor_age_s * 1000;
        if (price->name_hash == 0 || end <= g->in.now_ms || price->amount == 0 || price->currency != g->currency)
            continue;
        expires(g, end);
        if (count == 0 || price->amount < ret[0])
            origin(g, INPUT_competitor_ratio, record->zone, price->time_ms, end);
        origin(g, INPUT_competitor_median, record->zone, price->time_ms, end);
        unsigned at = count++;
        for (; at > 0 && ret[at - 1] > price->amount; at--)
            ret[at] = ret[at - 1];
        ret[at] = price->amount;
    }
    return count;
}

static void gather_competitors(const struct partition *partition, uint32_t cell, const struct model *model,
                               struct gathering *g)
{
    for (; cell != STATE_NONE; cell = partition->cell[cell].parent) {
        int64_t price[COMPETITORS_MAX], ratio;
        unsigned count = competitor_prices(cell_at(partition, cell), model, g, price);
        if (count == 0)
            continue;
        if (mul_div_half_even(price[0], MICRO, g->in.list, &ratio))
            present(g, INPUT_competitor_ratio, ratio);
        int128 middle = (int128)price[(count - 1) / 2] + price[count / 2]; /* twice the median */
        int128 median = div_half_even(middle * MICRO, (int128)2 * g->in.list);
        if (median <= INT64_MAX)
            present(g, INPUT_competitor_median, (int64_t)median);
        return;
    }
}

static void gather_weather(const struct worker *worker, const struct place *place, const struct model *model,
                           struct gathering *g)
{
    static const enum model_input INPUT[WEATHER_READINGS] = { INPUT_temperature_c, INPUT_precipitation_mm_h,
                                                              INPUT_wind_m_s, INPUT_humidity };
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        int64_t end = zone->weather_until_ms != 0 ? zone->weather_until_ms
                                                  : zone->weather_time_ms + (int64_t)model->weather_age_s * 1000;
        if (zone->weather_present == 0 || end <= g->in.now_ms)
            continue;
        for (unsigned i = 0; i < WEATHER_READINGS; i++) {
            bool known = (g->in.present >> INPUT[i]) & 1u;
            if (known || (zone->weather_present >> i & 1u) == 0)
                continue;
            origin(g, INPUT[i], zone->name, zone->weather_time_ms, end);
            present(g, INPUT[i], zone->weather_micro[i]);
            expires(g, end);
        }
    }
}

static int32_t utc_offset_min(const struct worker *worker, const struct place *place)
{
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        if (zone->has_utc_offset)
            return zone->utc_offset_min;
    }
    return 0;
}

/* The clock that a model goes by in a zone, in the order of CALENDAR_INPUT. Returns it in ms. */
static int64_t read_calendar(const struct model *model, int64_t now_ms, int32_t offset_min,
                             int64_t ret_micro[CALENDAR_INPUTS])
{
    int64_t local = model_local_ms(model, now_ms, offset_min), of_day = local % DAY_MS;
    int year, month, day;
    date_split((int32_t)(local / DAY_MS), &year, &month, &day);
    ret_micro[0] = (int64_t)div_half_even((int128)of_day * 24 * MICRO, DAY_MS);
    ret_micro[1] = ((local / DAY_MS + 3) % 7 + 1) * MICRO; /* 1 January 1970 was a Thursday */
    ret_micro[2] = month * MICRO;
    ret_micro[3] = day * MICRO;
    return local;
}

static void gather_calendar(const struct worker *worker, const struct place *place, const struct model *model,
                            struct gathering *g)
{
    struct around own = { .calendar_model = NULL }, *around = g->around != NULL ? g->around : &own;
    g->moving = g->moving || model->moves;
    if (g->around != NULL && !model->reads_clock) /* nobody looks at it */
        return;
    int32_t offset_min = utc_offset_min(worker, place);
    if (around->calendar_model != model || around->calendar_offset_min != offset_min) {
        around->local_ms = read_calendar(model, g->in.now_ms, offset_min, around->calendar_micro);
        around->calendar_model = model;
        around->calendar_offset_min = offset_min;
    }
    g->in.local_ms = around->local_ms;
    for (unsigned i = 0; i < CALENDAR_INPUTS; i++) {
        present(g, CALENDAR_INPUT[i], around->calendar_micro[i]);
        origin(g, CALENDAR_INPUT[i], place->name[0], g->in.now_ms, 0);
    }
}

/* The cell's own: what is asked for elsewhere says nothing about how long the stock here lasts. */
static void gather_rates(const struct cell_record *record, const struct model *model, struct gathering *g)
{
    static const enum model_input INPUT[RATE_COUNT] = { INPUT_views_per_day, INPUT_carts_per_day,
                                                        INPUT_orders_per_day };
    bool reads = model_reads(model, INPUT_cover_days);
    for (unsigned i = 0; i < RATE_COUNT; i++)
        reads = reads || model_reads(model, INPUT[i]);
    if (!reads) /* three decayed sums that nobody looks at */
        return;
    for (unsigned i = 0; i < RATE_COUNT; i++)
        present(g, INPUT[i], demand_rate_per_day(&record->rates, (enum demand_rate)i, g->in.now_ms));
    if (demand_rates_move(&record->rates, g->in.now_ms))
        g->moving = true;
    if ((g->in.present >> INPUT_available & 1u) == 0)
        return;
    int64_t most = model_inputs[INPUT_cover_days].high, rate = g->in.input_micro[INPUT_orders_per_day], days = most;
    if (rate > 0 && !mul_div_half_even(record->available_micro, MICRO, rate, &days))
        days = most;
    present(g, INPUT_cover_days, clamp_i64(days, 0, most));
}

static int64_t unit_of(uint16_t number)
{
    const struct currency *currency = currency_by_number(number);
    int64_t unit = MICRO;
    for (unsigned i = 0; currency != NULL && i < currency->decimals; i++)
        unit /= 10;
    return unit;
}

static void gather_money(struct gathering *g, const struct model *model)
{
    static const uint64_t money =
        UINT64_C(1) << INPUT_list | UINT64_C(1) << INPUT_cost | UINT64_C(1) << INPUT_cost_ratio;
    if (g->around != NULL && (model->reads & money) == 0)
        return;
    int64_t unit = unit_of(g->currency), ratio;
    present(g, INPUT_list, clamp_i64(g->in.list, 0, INPUT_LARGE / unit) * unit);
    if (g->in.cost < 0)
        return;
    present(g, INPUT_cost, clamp_i64(g->in.cost, 0, INPUT_LARGE / unit) * unit);
    if (mul_div_half_even(g->in.cost, MICRO, g->in.list, &ratio))
        present(g, INPUT_cost_ratio, ratio);
}

static void gather_place(const struct worker *worker, const struct place *place, const struct model *model,
                         struct gathering *g)
{
    present(g, INPUT_zone_level, (int64_t)place->chain_count * MICRO);
    if (!model->has_origin || !model_reads(model, INPUT_distance_km))
        return;
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        if (zone->lat_micro == 0 && zone->lon_micro == 0)
            continue; /* never said; nobody lives in that sea */
        const int64_t at[2] = { zone->lat_micro, zone->lon_micro };
        present(g, INPUT_distance_km, distance_km_micro(model->origin_micro, at));
        return;
    }
}

static void gather(const struct worker *worker, const struct partition *partition, uint32_t cell, uint32_t priced,
                   const struct model *model, int64_t now_ms, struct input_origin *origins, struct around *around,
                   struct gathering *g)
{
    const struct cell_record *record = cell_at(partition, cell), *price = cell_at(partition, priced);
    const struct place *place = &worker->place[partition->cell[cell].place];
    memset(g, 0, sizeof *g);
    g->origin = origins;
    g->around = around;
    g->expires_ms = INT64_MAX;
    g->currency = price->currency;
    g->in.list = price->list;
    g->in.cost = price->cost;
    g->in.now_ms = now_ms;
    g->in.published = record->published_currency == price->currency ? record->published : 0;
    g->in.changed_ms = record->changed_ms;
    g->in.published_list = record->published_list;
    g->in.reference = record->reference;
    g->in.reference_ms = record->reference_ms;
    g->in.cap = place->policies == 0 ? NULL : policies_rise(&worker->models->policies, place->policies);
    g->in.zone_count = place->chain_count;
    g->in.zone = (const char (*)[RIALTO_ID_MAX])place->name;
    gather_demand(partition, cell, model, g);
    gather_supply(record, model, g);
    gather_promotion(partition, cell, g);
    gather_competitors(partition, cell, model, g);
    gather_weather(worker, place, model, g);
    gather_calendar(worker, place, model, g);
    gather_rates(record, model, g);
    gather_money(g, model);
    gather_place(worker, place, model, g);
}

/* A model that names zones has a price of its own in them. */
static bool opens(const struct worker *worker, const struct cell_record *record, const struct model *model)
{
    return record->opened || model->zone_count > 0 || record->list > 0 || record->zone[0] == '\0' || record->supply_time_ms != 0 ||
           record->competitor[0].name_hash != 0 || record->event_count >= worker->config->open_min;
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

/* The record changes only where the published picture does: a factor that moved without moving the price is no news. */
static void price_cell(struct worker *worker, struct partition *partition, uint32_t cell, const struct model *model,
                       const struct gathering *g, const struct price_result *result)
{
    const struct cell_record *before = cell_at(partition, cell);
    uint64_t rule_hash = worker_rule_hash(worker, model, &worker->place[partition->cell[cell].place]);
    metric_add(METRIC_cells_repriced_total, 1);
    if (!result_differs(before, rule_hash, g, result))
        return;
    struct cell_record *record = state_touch(partition->state, POOL_CELLS, cell);
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
    for (uint32_t i = 0; i < MODEL_FACTORS_MAX; i++)
        record->factor_micro[i] =
            i < model->factor_count ? (int32_t)clamp_i64(result->factor_micro[i], 0, INT32_MAX) : 0;
}

/* On its way while another cell is priced. */
static void fetch_record(const struct cell_record *record)
{
    for (size_t at = 0; at < sizeof *record; at += CACHE_LINE)
        __builtin_prefetch((const char *)record + at);
}

/* When this product is to be looked at again: 0 = only when something is heard of it. */
static int64_t reprice_product(struct worker *worker, struct partition *partition, uint32_t product,
                               struct around *around)
{
    const struct product_record *owner = state_at(partition->state, POOL_PRODUCTS, product);
    int64_t due = INT64_MAX;
    const char *category = owner->category;
    around->cell = STATE_NONE;
    cells_ready(worker, partition, product);
    for (uint32_t cell = state_first(partition->state, POOL_CELLS, product), next; cell != STATE_NONE; cell = next) {
        uint32_t priced = cell_priced(partition, cell);
        next = state_next(partition->state, POOL_CELLS, cell);
        int32_t number = partition->cell[cell].model;
        uint32_t then = next == STATE_NONE ? STATE_NONE : state_next(partition->state, POOL_CELLS, next);
        if (then != STATE_NONE)
            fetch_record(cell_at(partition, then)); /* the next one is on its way already */
        if (priced == STATE_NONE || number < 0 || !opens(worker, cell_at(partition, cell), &worker->models->model[number]))
            continue;
        const struct model *model = &worker->models->model[number];
        struct gathering g;
        struct price_result result;
        gather(worker, partition, cell, priced, model, worker->tick_ms, NULL, around, &g);
        g.in.category = category;
        if (model_price(model, &g.in, &result) != RIALTO_OK) {
            metric_add(METRIC_amount_overflow_total, 1);
            continue;
        }
        hold(change_hold(worker, owner, partition->cell[cell].place), &g, &result);
        price_cell(worker, partition, cell, model, &g, &result);
        if (g.moving || result.pending)
            expires(&g, (worker->tick_ms / REPRICE_GRID_MS + 1) * REPRICE_GRID_MS);
        if (g.expires_ms < due)
            due = g.expires_ms;
    }
    return due == INT64_MAX ? 0 : due;
}

void reprice_dirty(struct worker *worker, struct partition *partition)
{
    struct around around = { .calendar_model = NULL };
    for (uint32_t i = 0; i < partition->dirty_count; i++) {
        uint32_t product = partition->dirty[i];
        state_set_due(partition->state, POOL_PRODUCTS, product, reprice_product(worker, partition, product, &around));
        state_set_priced(partition->state, product, worker->tick_ms);
        partition->product[product].dirty = false;
    }
    partition->dirty_count = partition->dirty_due = 0;
}

bool reprice_look(const struct worker *worker, const struct partition *partition, uint32_t cell,
                  const struct model *model, int64_t now_ms, struct input_origin origins[INPUT_COUNT],
                  struct price_inputs *ret)
{
    uint32_t priced = cell_priced(partition, cell);
    struct gathering g;
    if (priced == STATE_NONE)
        return false;
    gather(worker, partition, cell, priced, model, now_ms, origins, NULL, &g);
    const struct cell_record *record = cell_at(partition, cell);
    uint32_t product = state_find(partition->state, POOL_PRODUCTS, record->product);
    if (product != STATE_NONE)
        g.in.category =
            ((const struct product_record *)state_at(partition->state, POOL_PRODUCTS, product))->category;
    *ret = g.in;
    return true;
}
