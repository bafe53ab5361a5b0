/* explain.c - why a price is what it is, told by the workers that own its parts.
 *
 *   cell record + inputs as of its last computation --pricing/explain.h--> steps from list price to baseline
 *   customer record, each row of the model with the consent that it rests on --> the multiplier
 *
 * As of   inputs that move by themselves (demand, the hour) are read at the tick of the last computation, not at the
 *         present one: the answer explains the price that stands, and between two computations no other does. Whatever
 *         else changes an input computes the price in the same batch. Where that tick is not known (state out of
 *         Redis, before the first computation) it is the present one; should the price that stands then be another, the last step says that it waits. */
#include "pricing/explain.h"
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/ask.h"
#include "service/explained.h"
#include "service/gather.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_micro(cJSON *object, const char *member, int64_t micro)
{
    char text[32];
    uint64_t size = micro < 0 ? (uint64_t)0 - (uint64_t)micro : (uint64_t)micro;
    (void)snprintf(text, sizeof text, "%s%" PRIu64 ".%06" PRIu64, micro < 0 ? "-" : "", size / 1000000, size % 1000000);
    cJSON_AddStringToObject(object, member, text);
}

static void add_number(cJSON *object, const char *member, int64_t value)
{
    cJSON_AddNumberToObject(object, member, (double)value);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static cJSON *input_of(const struct model *model, enum model_input number, const struct price_inputs *in,
                       const struct input_origin *origin)
{
    const struct model_input_row row = model_input_row(&model->attributes, number);
    cJSON *input = cJSON_CreateObject();
    bool known = (in->present >> number) & 1u, own = number >= INPUT_COUNT;
    cJSON_AddStringToObject(input, "name", row.name);
    cJSON_AddStringToObject(input, "unit", row.unit);
    cJSON_AddStringToObject(input, "what", row.text);
    if (known)
        add_micro(input, "value", in->input_micro[number]);
    else
        cJSON_AddNullToObject(input, "value");
    if (origin->zone == NULL) {
        cJSON_AddStringToObject(input, "state",
                                !known ? "never heard of"
                                : own  ? "stated by the model"
                                       : "always known");
        return input;
    }
    bool old = origin->until_ms != 0 && origin->until_ms <= in->now_ms;
    cJSON_AddStringToObject(input, "state",
                            known && own && old ? "too old: stated by the model"
                            : known             ? "current"
                            : old               ? "too old"
                                                : "too little known");
    if (!own || model->attributes.row[number - INPUT_COUNT].of_zone)
        cJSON_AddStringToObject(input, "zone", origin->zone);
    add_number(input, "observed_ms", origin->time_ms);
    add_number(input, "age_ms", in->now_ms - origin->time_ms);
    if (origin->until_ms != 0)
        add_number(input, "until_ms", origin->until_ms);
    return input;
}

/* What a factor looks at: one input of a curve, several of a formula, none of a table. */
static void add_inputs(cJSON *step, const struct model *model, const struct model_factor *factor,
                       const struct price_inputs *in, const struct input_origin origin[INPUT_SLOTS])
{
    cJSON *inputs = cJSON_AddArrayToObject(step, "inputs");
    for (unsigned i = 0; i < INPUT_SLOTS; i++)
        if ((factor->reads >> i) & 1u)
            cJSON_AddItemToArray(inputs, input_of(model, (enum model_input)i, in, &origin[i]));
}

static cJSON *steps_of(const struct model *model, const struct explain *explain, const struct price_inputs *in,
                       const struct input_origin origin[INPUT_SLOTS])
{
    cJSON *steps = cJSON_CreateArray();
    for (uint32_t i = 0; i < explain->count; i++) {
        const struct explain_step *step = &explain->step[i];
        const struct model_factor *factor = step->op == EXPLAIN_factor ? &model->factor[step->factor] : NULL;
        cJSON *item = explained_step_json(step, factor != NULL ? factor->name : NULL);
        if (factor != NULL) {
            cJSON_AddStringToObject(item, "kind", model_form_key(factor->form));
            add_inputs(item, model, factor, in, origin);
        }
        cJSON_AddItemToArray(steps, item);
    }
    return steps;
}

/* ---- the product's part ------------------------------------------------------------------------------------------ */

static uint32_t cell_find(const struct worker *worker, const struct partition *partition, struct rialto_key sku,
                          const char *zone)
{
    struct rialto_key place = zone[0] == '\0' ? key_of_world(worker->control->secret)
                                              : key_of_id(worker->control->secret, zone, strlen(zone));
    return state_find(partition->state, POOL_CELLS, key_pair(sku, place));
}

static void add_guards(cJSON *answer, uint32_t guards)
{
    cJSON *list = cJSON_AddArrayToObject(answer, "guardrails");
    for (unsigned i = 0; i < GUARD_COUNT; i++)
        if (guards >> i & 1u)
            cJSON_AddItemToArray(list, cJSON_CreateString(guard_names[i]));
}

static void add_price(cJSON *answer, const struct cell_record *record, const struct cell_record *priced, int64_t cost,
                      const struct model *model)
{
    const struct currency *currency = currency_by_number(priced->currency);
    cJSON_AddStringToObject(answer, "currency", currency->letters);
    add_number(answer, "decimals", currency->decimals);
    add_number(answer, "baseline", record->published);
    add_number(answer, "list", record->published_list);
    cJSON_AddStringToObject(answer, "list_zone", priced->zone);
    if (cost >= 0)
        add_number(answer, "cost", cost);
    add_number(answer, "floor", model_personal_floor(model, record->published, record->floor, record->ceiling)); /* as in the line */
    add_number(answer, "ceiling", record->ceiling);
    add_number(answer, "ending_step", model->ending_step > 0 ? model->ending_step : 1);
    add_number(answer, "ending_less", model->ending_less);
    add_number(answer, "since_ms", record->changed_ms);
    add_guards(answer, record->guards);
}

/* What was heard and holds no more is told as that, of the nearest that said it: prices are made without a look at it. */
static void look_at_old_weather(const struct worker *worker, const struct place *place, const struct model *model,
                                int64_t now_ms, struct input_origin origin[INPUT_SLOTS])
{
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
        int64_t end = weather_end_ms(zone, model);
        for (unsigned i = 0; i < WEATHER_READINGS; i++)
            if ((zone->weather_present >> i & 1u) != 0 && end <= now_ms && origin[WEATHER_INPUT[i]].zone == NULL)
                origin[WEATHER_INPUT[i]] = (struct input_origin){ zone->name, zone->weather_time_ms, end };
    }
}

/* The newest of the cell's competitor prices that hold no more. */
static struct input_origin newest_competitor(const struct cell_record *record, const struct model *model,
                                             int64_t now_ms)
{
    struct input_origin newest = { NULL, 0, 0 };
    for (unsigned i = 0; i < record->competitors; i++) {
        const struct competitor_price *price = &record->competitor[i];
        int64_t end = price->until_ms != 0 ? price->until_ms : price->time_ms + (int64_t)model->competitor_age_s * 1000;
        if (price->amount != 0 && end <= now_ms && (newest.zone == NULL || price->time_ms > newest.time_ms))
            newest = (struct input_origin){ record->zone, price->time_ms, end };
    }
    return newest;
}

static void look_at_old(const struct worker *worker, const struct partition *partition, uint32_t cell,
                        const struct model *model, int64_t now_ms, struct input_origin origin[INPUT_SLOTS])
{
    look_at_old_weather(worker, &worker->place[partition->cell[cell].place], model, now_ms, origin);
    for (; cell != STATE_NONE; cell = partition->cell[cell].parent) {
        const struct cell_record *record = cell_at(partition, cell);
        bool over = record->promotion_until_ms != 0 && record->promotion_until_ms <= now_ms;
        if (record->promotion_micro != 0 && over && origin[INPUT_promotion].zone == NULL)
            origin[INPUT_promotion] =
                (struct input_origin){ record->zone, record->product_time_ms, record->promotion_until_ms };
        struct input_origin rival = newest_competitor(record, model, now_ms);
        if (rival.zone != NULL && origin[INPUT_competitor_ratio].zone == NULL &&
            origin[INPUT_competitor_median].zone == NULL)
            origin[INPUT_competitor_ratio] = origin[INPUT_competitor_median] = rival;
    }
}

static cJSON *explain_cell(struct worker *worker, struct partition *partition, uint32_t product, uint32_t cell)
{
    cells_ready(worker, partition, product);
    const struct cell_record *record = state_at(partition->state, POOL_CELLS, cell);
    const struct product_record *owner = state_at(partition->state, POOL_PRODUCTS, product);
    int32_t number = cell_model_of_price(worker, partition, cell);
    uint32_t priced = cell_priced(partition, cell);
    if (record->published == 0 || number < 0 ||
        priced == STATE_NONE) /* its zone may have moved to where no list price is */
        return ask_refusal("no_price", "the product has no price of its own in this zone");
    const struct model *model = &worker->models->model[number];
    int64_t as_of = state_priced_ms(partition->state, product, worker->tick_ms);
    struct input_origin origin[INPUT_SLOTS] = { { NULL, 0, 0 } };
    struct price_inputs in;
    struct explain explain;
    if (!reprice_look(worker, partition, cell, model, as_of, origin, &in) ||
        explain_baseline(model, &in, record->published, record->guards, &explain) != RIALTO_OK)
        return ask_refusal("amount_overflow", "an amount leaves the range of money");
    look_at_old(worker, partition, cell, model, as_of, origin);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddStringToObject(answer, "sku", owner->sku);
    cJSON_AddStringToObject(answer, "title", owner->title);
    cJSON_AddStringToObject(answer, "category", owner->category);
    cJSON_AddStringToObject(answer, "zone", record->zone);
    cJSON_AddStringToObject(answer, "model", model->name);
    cJSON_AddStringToObject(answer, "version", model->version);
    if (partition->cell[cell].model < 0)
        cJSON_AddBoolToObject(answer, "ended", true);
    add_number(answer, "tick_ms", worker->tick_ms);
    add_number(answer, "computed_ms", as_of);
    add_price(answer, record, cell_at(partition, priced), cell_cost(partition, priced), model);
    cJSON_AddItemToObject(answer, "steps", steps_of(model, &explain, &in, origin));
    return answer;
}

cJSON *ask_explain(struct worker *worker, const cJSON *question)
{
    struct rialto_key key;
    struct partition *partition = ask_partition(worker, ask_text(question, "sku"), &key);
    uint32_t product = partition == NULL ? STATE_NONE : state_find(partition->state, POOL_PRODUCTS, key);
    if (product == STATE_NONE)
        return ask_refusal("unknown_product", "no product signal came for it");
    uint32_t cell = cell_find(worker, partition, key, ask_text(question, "zone"));
    if (cell == STATE_NONE)
        return ask_refusal("no_price", "the product has no price of its own in this zone");
    return explain_cell(worker, partition, product, cell);
}

/* ---- the customer's part ----------------------------------------------------------------------------------------- */

static const struct {
    uint8_t bit;
    const char *name;
} KIND[] = { { RIALTO_KIND_LOCATION, "location" },
             { RIALTO_KIND_BEHAVIOUR, "behaviour" },
             { RIALTO_KIND_PURCHASES, "purchases" },
             { RIALTO_KIND_PROFILE, "profile" },
             { RIALTO_KIND_PARTNER, "partner" } };

cJSON *ask_kinds(unsigned kinds)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < sizeof KIND / sizeof KIND[0]; i++)
        if (kinds & KIND[i].bit)
            cJSON_AddItemToArray(list, cJSON_CreateString(KIND[i].name));
    return list;
}

static void add_money(cJSON *item, int64_t micro, const char *currency)
{
    char text[48];
    const struct currency *known = currency_find(currency);
    int digits = 6;
    for (int64_t rest = micro % MICRO; digits > (known != NULL ? known->decimals : 0) && rest % 10 == 0; digits--)
        rest /= 10; /* what was spent is whole minor units, most often */
    (void)snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, micro / MICRO, micro % MICRO);
    size_t length = strlen(text) - (size_t)(6 - digits) - (digits == 0);
    (void)snprintf(text + length, sizeof text - length, " %.3s", currency);
    cJSON_AddStringToObject(item, "data", text);
}

static void add_km(cJSON *item, int64_t km_micro)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.3f km", (double)km_micro / (double)MICRO);
    cJSON_AddStringToObject(item, "data", text);
}

/* The sum as it can be done by hand: events in the group, in all, and the prior. Of the parts that were read. */
static void add_affinity(cJSON *item, const struct model *model, const struct terms_inputs *in, uint8_t kinds)
{
    const unsigned parts = (kinds & RIALTO_KIND_BEHAVIOUR ? 1u << AFFINITY_BEHAVIOUR : 0) |
                           (kinds & RIALTO_KIND_PURCHASES ? 1u << AFFINITY_PURCHASES : 0);
    const int64_t prior = model->affinity.prior_micro, share = affinity_share(&in->affinity, parts, model->group, prior);
    int64_t here = 0, all = 0, age_ms = INT64_MAX;
    char text[128];
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        if ((parts >> part & 1u) == 0)
            continue;
        here += in->affinity.micro[part][model->group];
        for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++)
            all += in->affinity.micro[part][slot];
        age_ms = in->affinity.age_ms[part] < age_ms ? in->affinity.age_ms[part] : age_ms;
    }
    (void)snprintf(text, sizeof text, "%.6f = %.6f / (%.6f + %.6f), newest %.1f h ago", (double)share / (double)MICRO,
                   (double)here / (double)MICRO, (double)all / (double)MICRO, (double)prior / (double)MICRO, (double)age_ms / 3.6e6);
    cJSON_AddStringToObject(item, "data", text);
    add_number(item, "age_ms", age_ms);
}

/* What the row read, in words. Only of data that are permitted. */
static void add_data(cJSON *item, const struct model *model, const struct model_personal *personal, const struct terms_inputs *in,
                     uint8_t kinds)
{
    switch (personal->kind) {
    case PERSONAL_TIER: cJSON_AddStringToObject(item, "data", in->tier); break;
    case PERSONAL_SEGMENT: {
        cJSON *list = cJSON_AddArrayToObject(item, "data");
        for (uint32_t i = 0; i < in->segment_count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateString(in->segment[i]));
        break;
    }
    case PERSONAL_SPEND: add_money(item, in->spend_micro, in->spend_currency); break;
    case PERSONAL_MONTH: add_money(item, in->month_micro, in->month_currency); break;
    case PERSONAL_ZONE: cJSON_AddStringToObject(item, "data", in->zone[0]); break;
    case PERSONAL_AFFINITY: add_affinity(item, model, in, kinds); break;
    case PERSONAL_DISTANCE: add_km(item, personal_km_micro(personal, in)); break;
    }
}

static void add_rows(cJSON *answer, const struct model *model, const struct terms_inputs *in)
{
    struct terms_row row[MODEL_PERSONAL_MAX];
    int64_t product = MICRO;
    model_terms_rows(model, in, row);
    cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    for (uint32_t i = 0; i < model->personal_count; i++) {
        const struct model_personal *personal = &model->personal[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", personal->name);
        cJSON_AddStringToObject(item, "kind", personal_kind_name(personal->kind));
        cJSON_AddItemToObject(item, "rests_on", ask_kinds(row[i].read ? row[i].kinds : personal->consent));
        cJSON_AddBoolToObject(item, "permitted", row[i].permitted);
        if (row[i].read)
            add_data(item, model, personal, in, row[i].kinds);
        add_micro(item, "times", row[i].value_micro);
        add_micro(item, "product", row[i].product_micro);
        cJSON_AddItemToArray(rows, item);
        product = row[i].product_micro;
    }
    int64_t kept = clamp_i64(product, model->guard.personal_low_micro, model->guard.personal_high_micro);
    add_micro(answer, "low", model->guard.personal_low_micro);
    add_micro(answer, "high", model->guard.personal_high_micro);
    add_micro(answer, "within", kept);
    add_number(answer, "multiplier_e4", (int64_t)div_half_even(kept, MICRO / 10000));
}

/* Which model made it, and by which of its offers: as it was then. */
static void add_issuer(cJSON *offer, const struct offer_record *record)
{
    cJSON *issuer = cJSON_AddObjectToObject(offer, "issued_by");
    cJSON_AddStringToObject(issuer, "model", record->issued_model);
    cJSON_AddStringToObject(issuer, "version", record->issued_version);
    cJSON_AddStringToObject(issuer, "offer", record->issued_name);
    add_number(issuer, "at_ms", (int64_t)record->issued_s * 1000);
}

static void add_offer(cJSON *answer, const struct worker *worker, const struct partition *partition,
                      struct rialto_key customer, const char *sku)
{
    static const char *const KIND_NAME[] = { "none", "fixed", "percent", "amount_off" };
    struct rialto_key key = key_pair(customer, key_of_id(worker->control->secret, sku, strlen(sku)));
    uint32_t at = state_find(partition->state, POOL_OFFERS, key);
    if (at == STATE_NONE)
        return;
    const struct offer_record *record = state_at(partition->state, POOL_OFFERS, at);
    if (record->kind == RIALTO_OFFER_NONE && record->locked == 0) /* only counted */
        return;
    cJSON *offer = cJSON_AddObjectToObject(answer, "offer");
    cJSON_AddStringToObject(offer, "kind", KIND_NAME[record->kind & 3u]);
    add_number(offer, "value", record->value);
    add_number(offer, "locked", record->locked);
    const struct currency *currency = currency_by_number(record->currency);
    if (currency != NULL)
        cJSON_AddStringToObject(offer, "currency", currency->letters);
    add_number(offer, "from_ms", record->from_ms);
    add_number(offer, "until_ms", record->until_ms);
    add_number(offer, "lock_until_ms", record->lock_until_ms);
    if (record->units_micro != 0) {
        add_micro(offer, "units", record->units_micro);
        add_micro(offer, "units_ordered", record->ordered_micro);
        cJSON_AddBoolToObject(offer, "used_up", !offer_gives(record));
    }
    cJSON_AddBoolToObject(offer, "stackable", (record->flags & RIALTO_OFFER_STACKABLE) != 0);
    cJSON_AddItemToObject(offer, "rests_on", ask_kinds(record->kinds));
    if (record->is_issued)
        add_issuer(offer, record);
}

static const struct model *model_of_group(const struct worker *worker, uint32_t group)
{
    for (uint32_t m = 0; m < worker->models->count; m++)
        if (worker->models->model[m].personal_count > 0 && worker->models->model[m].group == group)
            return &worker->models->model[m];
    return NULL;
}

cJSON *ask_terms(struct worker *worker, const cJSON *question)
{
    struct rialto_key key;
    const struct partition *partition = ask_partition(worker, ask_text(question, "customer"), &key);
    uint32_t customer = partition == NULL ? STATE_NONE : state_find(partition->state, POOL_CUSTOMERS, key);
    if (customer == STATE_NONE)
        return ask_refusal("unknown_customer", "nothing is kept of this customer");
    const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, customer);
    const cJSON *group = cJSON_GetObjectItemCaseSensitive(question, "group");
    const struct model *model = model_of_group(worker, cJSON_IsNumber(group) ? (uint32_t)group->valueint : 0);
    struct terms_inputs in;
    terms_inputs_fill(worker, record, &in);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddStringToObject(answer, "customer", record->id);
    cJSON_AddItemToObject(answer, "consent", ask_kinds(record->consent));
    add_number(answer, "consent_ms", record->consent_time_ms);
    if (model != NULL) {
        cJSON_AddStringToObject(answer, "model", model->name);
        cJSON_AddStringToObject(answer, "version", model->version);
        add_rows(answer, model, &in);
    }
    add_offer(answer, worker, partition, key, ask_text(question, "sku"));
    return answer;
}
