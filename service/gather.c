/* gather.c - the inputs of a cell's price, out of committed records. Time is the batch's tick.
 *
 *   the zone           weather, date, level, distance, its attributes: the same for all its cells, gathered once
 *   the product        its attributes: the same for all its cells
 *   the cell around    demand, promotion, competitors where the cell itself has none: the same for all cells directly within it
 *   the cell           supply, its own demand, rates, money */
#include "service/gather.h"

#include "pricing/distance.h"
#include "pricing/money.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS          INT64_C(86400000)
#define CALENDAR_INPUTS 4u
static const enum model_input CALENDAR_INPUT[CALENDAR_INPUTS] = { INPUT_hour, INPUT_weekday, INPUT_month,
                                                                  INPUT_day_of_month };

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

/* Does the demand of this one cell speak? */
static bool hear_demand(const struct partition *partition, uint32_t cell, const struct model *model,
                        struct gathering *g)
{
    int64_t now = g->in.now_ms;
    const struct cell_record *record = cell_at(partition, cell);
    if (record->event_count == 0 || record->demand.first_ms == 0) /* the count lies beside the list price: nobody waits for sums of nothing */
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

/* All that stock says, also when it is too old: the newest signal is the one that has an age. */
static void supply_origins(const struct cell_record *record, int64_t end_ms, struct gathering *g)
{
    const struct {
        enum model_input input;
        bool heard;
    } said[] = { { INPUT_available, true },
                 { INPUT_available_ratio, true },
                 { INPUT_cover_days, true },
                 { INPUT_capacity, record->capacity_micro > 0 },
                 { INPUT_hours_to_expiry, record->stock_expires_ms != 0 } };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i].heard)
            origin(g, said[i].input, record->zone, record->supply_time_ms, end_ms);
}

static void gather_supply(const struct cell_record *record, const struct model *model, struct gathering *g)
{
    int64_t end = record->supply_time_ms + (int64_t)model->supply_age_s * 1000;
    if (g->origin != NULL && record->supply_time_ms != 0)
        supply_origins(record, end, g);
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
    if (record->capacity_micro > 0 && (g->all || model_reads(model, INPUT_available_ratio)) &&
        mul_div_half_even(record->available_micro, MICRO, record->capacity_micro, &ratio))
        present(g, INPUT_available_ratio, clamp_i64(ratio, 0, MICRO));
}

static bool hear_promotion(const struct partition *partition, uint32_t cell, const struct model *model,
                           struct gathering *g)
{
    const struct cell_record *record = cell_at(partition, cell);
    bool over = record->promotion_until_ms != 0 && record->promotion_until_ms <= g->in.now_ms;
    (void)model;
    if (record->promotion_micro == 0 || over)
        return false;
    if (record->promotion_until_ms != 0)
        expires(g, record->promotion_until_ms);
    present(g, INPUT_promotion, record->promotion_micro);
    origin(g, INPUT_promotion, record->zone, record->product_time_ms, record->promotion_until_ms);
    return true;
}

/* Current prices in the cell, in the currency of the list price, ascending. */
static unsigned competitor_prices(const struct cell_record *record, const struct model *model, struct gathering *g,
                                  int64_t ret[COMPETITORS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < record->competitors; i++) { /* places are taken in turn, and kept */
        const struct competitor_price *price = &record->competitor[i];
        int64_t end = price->until_ms != 0 ? price->until_ms : price->time_ms + (int64_t)model->competitor_age_s * 1000;
        if (end <= g->in.now_ms || price->amount == 0 || record->competitor_currency[i] != g->currency)
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

static bool hear_competitors(const struct partition *partition, uint32_t cell, const struct model *model,
                             struct gathering *g)
{
    int64_t price[COMPETITORS_MAX], ratio;
    unsigned count = competitor_prices(cell_at(partition, cell), model, g, price);
    if (count == 0)
        return false;
    if (mul_div_half_even(price[0], MICRO, g->in.list, &ratio))
        present(g, INPUT_competitor_ratio, ratio);
    int128 middle = (int128)price[(count - 1) / 2] + price[count / 2]; /* twice the median */
    int128 median = div_half_even(middle * MICRO, (int128)2 * g->in.list);
    if (median <= INT64_MAX)
        present(g, INPUT_competitor_median, (int64_t)median);
    return true;
}

/* ---- what the nearest zone says that says anything ---------------------------------------------------------------- */

/* Demand: the nearest zone with enough events speaks, so that nobody's own clicks in a quiet zone set their own price. */
static const struct {
    bool (*hear)(const struct partition *partition, uint32_t cell, const struct model *model, struct gathering *g);
    uint64_t inputs;
} HEARD[HEARD_COUNT] = {
    { hear_demand, UINT64_C(1) << INPUT_demand_pressure },
    { hear_promotion, UINT64_C(1) << INPUT_promotion },
    { hear_competitors, UINT64_C(1) << INPUT_competitor_ratio | UINT64_C(1) << INPUT_competitor_median },
};

static void hear_from(const struct partition *partition, uint32_t cell, const struct model *model, unsigned what,
                      struct gathering *g)
{
    for (uint32_t steps = 0; steps < CELLS_AROUND_MAX && cell != STATE_NONE && !HEARD[what].hear(partition, cell, model, g); steps++)
        cell = partition->cell[cell].parent;
}

/* Everything that the cell around says is heard anew. */
static __attribute__((noinline)) void around_begin(const struct partition *partition, uint32_t cell,
                                                   const struct model *model, const struct gathering *g,
                                                   struct commons_around *around)
{
    around->number++;
    around->cell = cell;
    around->model = model;
    around->list = g->in.list;
    around->currency = g->currency;
    around->present = 0;
    around->expires_ms = INT64_MAX;
    around->moving = false;
    for (unsigned what = 0; what < HEARD_COUNT; what++) {
        struct gathering *said = &around->said[what];
        *said = (struct gathering){ .currency = g->currency, .expires_ms = INT64_MAX };
        said->in.now_ms = g->in.now_ms;
        said->in.list = g->in.list;
        if ((model->reads & HEARD[what].inputs) != 0)
            hear_from(partition, cell, model, what, said);
        around->present |= said->in.present;
        around->moving = around->moving || said->moving;
        around->expires_ms = said->expires_ms < around->expires_ms ? said->expires_ms : around->expires_ms;
    }
}

/* What a cell and those around it say, for all that lie directly within it. */
static const struct commons_around *around_hear(const struct partition *partition, uint32_t cell,
                                                const struct model *model, const struct gathering *g,
                                                struct commons *commons)
{
    struct commons_around *around = &commons->around;
    if (around->cell != cell || around->model != model || around->list != g->in.list || around->currency != g->currency)
        around_begin(partition, cell, model, g, around);
    return around;
}

/* ---- attributes ------------------------------------------------------------------------------------------------------ */

/* False: these do not say it, or said it too long ago. */
static bool hear_attribute(const struct attributes_said *said, const char *zone, const struct model_attribute *row,
                           enum model_input input, struct gathering *g)
{
    int64_t micro, end = row->age_s > 0 ? said->time_ms + (int64_t)row->age_s * 1000 : 0;
    if (!attributes_find(said, row->bare, &micro))
        return false;
    if (g->origin == NULL || g->origin[input].zone == NULL) /* should all be too old, the nearest is told */
        origin(g, input, zone, said->time_ms, end);
    if (end != 0 && end <= g->in.now_ms)
        return false;
    origin(g, input, zone, said->time_ms, end);
    present(g, input, clamp_i64(micro, row->low, row->high));
    if (end != 0)
        expires(g, end);
    return true;
}

static void hear_product(const struct product_record *record, const struct model *model, struct gathering *g)
{
    for (uint32_t i = 0; i < model->attributes.count; i++)
        if (!model->attributes.row[i].of_zone)
            (void)hear_attribute(&record->attributes, "", &model->attributes.row[i], attribute_input(i), g);
}

/* The nearest zone around that says it and is not too old. */
static void hear_place(const struct worker *worker, const struct place *place, const struct model *model,
                       struct gathering *g)
{
    for (uint32_t i = 0; i < model->attributes.count; i++) {
        bool heard = !model->attributes.row[i].of_zone;
        for (uint32_t level = 0; level <= place->chain_count && !heard; level++) {
            if (place->record[level] == STATE_NONE)
                continue;
            const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
            heard = hear_attribute(&zone->attributes, zone->name, &model->attributes.row[i], attribute_input(i), g);
        }
    }
}

static void take_values(struct gathering *g, const struct gathering *said, uint64_t inputs)
{
    for (uint64_t left = said->in.present & inputs; left != 0; left &= left - 1) {
        unsigned input = (unsigned)__builtin_ctzll(left);
        g->in.input_micro[input] = said->in.input_micro[input];
    }
}

static void take_rest(struct gathering *g, const struct gathering *said)
{
    g->in.present |= said->in.present;
    g->moving = g->moving || said->moving;
    expires(g, said->expires_ms);
}

static void take_said(struct gathering *g, const struct gathering *said)
{
    take_values(g, said, UINT64_MAX);
    take_rest(g, said);
}

/* What the product of a cell says, and last the values that the model states for what nobody said. */
static void gather_attributes(const struct partition *partition, uint32_t cell, const struct model *model,
                              struct commons *commons, struct gathering *g)
{
    if (model->attributes.count == 0)
        return;
    uint32_t product = state_owner(partition->state, POOL_CELLS, cell);
    const struct product_record *record =
        product == STATE_NONE ? NULL : state_at(partition->state, POOL_PRODUCTS, product);
    if (record != NULL && commons == NULL) {
        hear_product(record, model, g);
    } else if (record != NULL) {
        struct commons_product *known = &commons->product;
        if (known->record != record || known->model != model) {
            *known = (struct commons_product){ .record = record, .model = model, .said.expires_ms = INT64_MAX };
            known->said.in.now_ms = g->in.now_ms;
            hear_product(record, model, &known->said);
        }
        take_said(g, &known->said);
    }
    model_state_attributes(model, &g->in);
}

#define HEARD_INPUTS                                                                                                   \
    (UINT64_C(1) << INPUT_demand_pressure | UINT64_C(1) << INPUT_promotion | UINT64_C(1) << INPUT_competitor_ratio |   \
     UINT64_C(1) << INPUT_competitor_median)

/* Most cells of shops say nothing of it themselves: what the cell before took from around it is what this one takes. */
static void gather_around(const struct partition *partition, uint32_t cell, const struct model *model,
                          struct commons *commons, struct gathering *g)
{
    uint32_t parent = partition->cell[cell].parent;
    if (parent == STATE_NONE)
        return;
    const struct commons_around *around = around_hear(partition, parent, model, g, commons);
    if (g->heard == around->number) {
        commons->memory.same = HEARD_INPUTS;
    } else {
        for (unsigned what = 0; what < HEARD_COUNT; what++)
            take_values(g, &around->said[what], UINT64_MAX);
        g->heard = around->number;
    }
    g->in.present |= around->present;
    g->moving = g->moving || around->moving;
    expires(g, around->expires_ms);
}

static void gather_heard(const struct partition *partition, uint32_t cell, const struct model *model,
                         struct commons *commons, struct gathering *g)
{
    const struct cell_record *record = cell_at(partition, cell);
    if (commons != NULL)
        commons->memory.same = 0;
    if (commons != NULL && record->event_count == 0 && record->promotion_micro == 0 && record->competitors == 0) {
        gather_around(partition, cell, model, commons, g);
        return;
    }
    g->heard = 0;
    for (unsigned what = 0; what < HEARD_COUNT; what++) {
        if (commons == NULL) {
            hear_from(partition, cell, model, what, g);
            continue;
        }
        uint32_t parent = partition->cell[cell].parent;
        if ((model->reads & HEARD[what].inputs) != 0 && !HEARD[what].hear(partition, cell, model, g) &&
            parent != STATE_NONE)
            take_said(g, &around_hear(partition, parent, model, g, commons)->said[what]);
    }
}

/* ---- what a zone says ----------------------------------------------------------------------------------------------- */

static void gather_weather(const struct worker *worker, const struct place *place, const struct model *model,
                           struct gathering *g)
{
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        int64_t end = weather_end_ms(zone, model);
        if (zone->weather_present == 0 || end <= g->in.now_ms)
            continue;
        for (unsigned i = 0; i < WEATHER_READINGS; i++) {
            bool known = (g->in.present >> WEATHER_INPUT[i]) & 1u;
            if (known || (zone->weather_present >> i & 1u) == 0)
                continue;
            origin(g, WEATHER_INPUT[i], zone->name, zone->weather_time_ms, end);
            present(g, WEATHER_INPUT[i], zone->weather_micro[i]);
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
    int64_t micro[CALENDAR_INPUTS];
    g->moving = g->moving || model->moves;
    if (!g->all && !model->reads_clock) /* nobody looks at it */
        return;
    g->in.local_ms = read_calendar(model, g->in.now_ms, utc_offset_min(worker, place), micro);
    for (unsigned i = 0; i < CALENDAR_INPUTS; i++) {
        present(g, CALENDAR_INPUT[i], micro[i]);
        origin(g, CALENDAR_INPUT[i], place->name[0], g->in.now_ms, 0);
    }
}

static void gather_place(const struct worker *worker, const struct place *place, const struct model *model,
                         struct gathering *g)
{
    present(g, INPUT_zone_level, (int64_t)place->chain_count * MICRO);
    if (!model->has_origin || !model_reads(model, INPUT_distance_km))
        return;
    int64_t at[2];
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (!place_position(worker, place, level, at))
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        present(g, INPUT_distance_km, distance_km_micro(model->origin_micro, at));
        origin(g, INPUT_distance_km, zone->name, zone->zone_time_ms, 0);
        return;
    }
}

/* From here on all of it is of this zone, whichever product is priced there. */
static void gather_zone(const struct worker *worker, const struct place *place, const struct model *model,
                        struct gathering *g)
{
    g->expires_ms = INT64_MAX;
    g->in.cap = place->policies == 0 ? NULL : policies_rise(&worker->models->policies, place->policies);
    g->in.zone_count = place->chain_count;
    g->in.zone = (const char(*)[RIALTO_ID_MAX])place->name;
    gather_weather(worker, place, model, g);
    gather_calendar(worker, place, model, g);
    gather_place(worker, place, model, g);
    hear_place(worker, place, model, g);
}

/* The same, gathered once for all products. Zones share places in this memory: the last one that came there has it. */
static struct commons_zone *zone_said(const struct worker *worker, uint32_t place, const struct model *model,
                                      int64_t now_ms, struct commons *commons)
{
    uint32_t at = place + (uint32_t)(model - worker->models->model) * COMMONS_MODEL_STRIDE;
    struct commons_zone *zone = &commons->zone[at % COMMONS_ZONES];
    if (zone->round == commons->round && zone->place == place && zone->model == model)
        return zone;
    zone->round = commons->round;
    zone->place = place;
    zone->model = model;
    zone->factors.model = NULL;
    memset(&zone->said, 0, sizeof zone->said);
    zone->said.in.now_ms = now_ms;
    gather_zone(worker, &worker->place[place], model, &zone->said);
    return zone;
}

/* ---- what the cell says ----------------------------------------------------------------------------------------------- */

/* The cell's own: what is asked for elsewhere says nothing about how long the stock here lasts. */
static void gather_rates(const struct cell_record *record, const struct model *model, struct gathering *g)
{
    static const enum model_input INPUT[RATE_COUNT] = { INPUT_views_per_day, INPUT_carts_per_day,
                                                        INPUT_orders_per_day };
    static const uint64_t rates = UINT64_C(1) << INPUT_cover_days | UINT64_C(1) << INPUT_views_per_day |
                                  UINT64_C(1) << INPUT_carts_per_day | UINT64_C(1) << INPUT_orders_per_day;
    if ((model->reads & rates) == 0) /* three decayed sums that nobody looks at */
        return;
    for (unsigned i = 0; i < RATE_COUNT; i++)
        present(g, INPUT[i], demand_rate_per_day(&record->rates, (enum demand_rate)i, g->in.now_ms));
    for (unsigned i = 0; g->origin != NULL && i < RATE_COUNT && record->rates.first_ms != 0; i++)
        origin(g, INPUT[i], record->zone, record->rates.last_ms, 0);
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
    if (!g->all && (model->reads & money) == 0)
        return;
    int64_t unit = unit_of(g->currency), ratio;
    present(g, INPUT_list, clamp_i64(g->in.list, 0, INPUT_LARGE / unit) * unit);
    if (g->in.cost < 0)
        return;
    present(g, INPUT_cost, clamp_i64(g->in.cost, 0, INPUT_LARGE / unit) * unit);
    if (mul_div_half_even(g->in.cost, MICRO, g->in.list, &ratio))
        present(g, INPUT_cost_ratio, ratio);
}

static void gather_cell(const struct partition *partition, uint32_t cell, uint32_t priced, const struct model *model,
                        struct commons *commons, struct gathering *g)
{
    const struct cell_record *record = cell_at(partition, cell), *price = cell_at(partition, priced);
    g->currency = price->currency;
    g->in.list = price->list;
    g->in.cost = cell_cost(partition, priced);
    g->in.published = record->published_currency == price->currency ? record->published : 0;
    g->in.changed_ms = record->changed_ms;
    g->in.published_list = record->published_list;
    g->in.reference = record->reference;
    g->in.reference_ms = record->reference_ms;
    gather_heard(partition, cell, model, commons, g);
    gather_attributes(partition, cell, model, commons, g);
    gather_supply(record, model, g);
    gather_rates(record, model, g);
    gather_money(g, model);
}

/* What a zone said, and nothing of those inputs that it said nothing of: most of them. Where it is known what factors come to that look at
 * nothing else, their inputs are not read again. */
static void take_zone(struct gathering *g, const struct commons_zone *zone, const struct model *model)
{
    const struct gathering *said = &zone->said;
    take_values(g, said, zone->factors.model == model ? model->cell_looks : UINT64_MAX);
    g->in.present = said->in.present;
    g->in.zone_count = said->in.zone_count;
    g->in.now_ms = said->in.now_ms;
    g->in.local_ms = said->in.local_ms;
    g->in.cap = said->in.cap;
    g->expires_ms = said->expires_ms;
    g->moving = said->moving;
}

void gather(const struct worker *worker, const struct partition *partition, uint32_t cell, uint32_t priced,
            const struct model *model, struct gathering *ret)
{
    struct commons *commons = worker->commons;
    struct commons_zone *zone = zone_said(worker, partition->cell[cell].place, model, worker->tick_ms, commons);
    take_zone(ret, zone, model);
    /* Places move when a product of the same round is the first in zones that no place is known of: not those names, these. */
    ret->in.zone = (const char(*)[RIALTO_ID_MAX])worker->place[partition->cell[cell].place].name;
    commons->memory.zone = &zone->factors;
    gather_cell(partition, cell, priced, model, commons, ret);
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

bool commons_setup(struct worker *worker)
{
    worker->commons = calloc(1, sizeof *worker->commons);
    return worker->commons != NULL;
}

void commons_teardown(struct worker *worker)
{
    free(worker->commons);
    worker->commons = NULL;
}

void commons_begin(struct worker *worker)
{
    struct commons *commons = worker->commons;
    if (commons->batch != worker->batch || commons->picture != worker->picture) {
        commons->batch = worker->batch;
        commons->picture = worker->picture;
        commons->round++;
    }
    commons->memory.model = NULL;
    commons->around.cell = STATE_NONE;
    commons->around.number++;
    commons->product.record = NULL;
}

/* ---- for somebody who asks ---------------------------------------------------------------------------------------------- */

bool reprice_look(const struct worker *worker, const struct partition *partition, uint32_t cell,
                  const struct model *model, int64_t now_ms, struct input_origin origins[INPUT_SLOTS],
                  struct price_inputs *ret)
{
    uint32_t priced = cell_priced(partition, cell);
    struct gathering g = { .all = true, .origin = origins, .in.now_ms = now_ms };
    if (priced == STATE_NONE)
        return false;
    gather_zone(worker, &worker->place[partition->cell[cell].place], model, &g);
    gather_cell(partition, cell, priced, model, NULL, &g);
    uint32_t costed = cell_costed(partition, priced);
    if (costed != STATE_NONE) {
        const struct cell_record *said = cell_at(partition, costed);
        origin(&g, INPUT_cost, said->zone, said->product_time_ms, 0);
        origin(&g, INPUT_cost_ratio, said->zone, said->product_time_ms, 0);
    }
    const struct cell_record *record = cell_at(partition, cell);
    uint32_t product = state_find(partition->state, POOL_PRODUCTS, record->product);
    if (product != STATE_NONE)
        g.in.category = ((const struct product_record *)state_at(partition->state, POOL_PRODUCTS, product))->category;
    *ret = g.in;
    return true;
}
