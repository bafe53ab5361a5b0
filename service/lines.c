/* lines.c - committed records to lines of the cache, and word of each change to the ring. */
#include "cache/keys.h"
#include "pricing/distance.h"
#include "pricing/money.h"
#include "service/lines_parts.h"
#include "service/log.h"
#include "service/metrics.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_AHEAD 16u
#define LINES_AHEAD   8u
#define REFUSED_RETRY_MS 1000 /* service time */

static const char *const TABLE_NAME[RIALTO_TABLE_COUNT] = {
    [RIALTO_TABLE_CELLS] = "cells", [RIALTO_TABLE_TERMS] = "terms",       [RIALTO_TABLE_OFFERS] = "offers",
    [RIALTO_TABLE_ZONES] = "zones", [RIALTO_TABLE_PRODUCTS] = "products",
};

/* What a claim did to its table, for those who watch. */
static void tell_growth(const struct worker *worker, enum rialto_table table, uint32_t partition)
{
    static struct table_growth told[RIALTO_TABLE_COUNT];
    static uint64_t slowest_us;
    struct table_growth now = table_growth(worker->cache, table);
    metric_add(METRIC_table_extents_total, now.extents - told[table].extents);
    metric_add(METRIC_table_grow_refused_total, now.refused - told[table].refused);
    if (now.slowest_us > slowest_us)
        metric_set(METRIC_table_grow_slice_max_us, slowest_us = now.slowest_us);
    if (now.extents != told[table].extents)
        log_line(LOG_INFO, "TABLE-GROWN", "table=%s partition=%u lines=%llu of=%llu slowest_us=%llu", TABLE_NAME[table], partition,
                 (unsigned long long)table_capacity(worker->cache, table, partition),
                 (unsigned long long)table_capacity_max(worker->cache, table), (unsigned long long)now.slowest_us);
    if (now.refused > 0 && told[table].refused == 0)
        log_line(LOG_WARNING, "TABLE-GROW-REFUSED", "table=%s partition=%u lines=%llu of=%llu reason=%s: make room in %s",
                 TABLE_NAME[table], partition, (unsigned long long)table_capacity(worker->cache, table, partition),
                 (unsigned long long)table_capacity_max(worker->cache, table), rialto_status_text(now.refusal),
                 worker->config->cache_dir);
    metric_add(METRIC_table_tags_healed_total, now.healed - told[table].healed);
    if (now.healed > 0 && told[table].healed == 0)
        log_line(LOG_ERROR, "TABLE-DAMAGED", "table=%s partition=%u: its file in %s was written by somebody else; tags that are not those of "
                 "their lines are put right where they are met", TABLE_NAME[table], partition, worker->config->cache_dir);
    told[table] = now;
    uint64_t lost = 0;
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++)
        lost += table_growth(worker->cache, t).regions_lost;
    metric_set(METRIC_table_regions_lost, lost);
}

/* Room in the file system would have helped: what found no line is tried again when there is some, by this process or the next. */
static void remember_refused(struct worker *worker, enum rialto_table table, uint32_t partition)
{
    if (table_capacity(worker->cache, table, partition) >= table_capacity_max(worker->cache, table))
        return;
    worker->refused |= UINT64_C(1) << partition;
    worker->zones_refused = worker->zones_refused || table == RIALTO_TABLE_ZONES;
    state_set_lines_refused(worker->partition[partition].state, true);
}

bool lines_claim(struct worker *worker, enum rialto_table table, uint32_t partition, struct rialto_key key,
                 uint64_t *ret_slot)
{
    static bool said[RIALTO_TABLE_COUNT]; /* once a table and process: the counter goes on */
    static uint64_t told[RIALTO_TABLE_COUNT];
    enum rialto_status status = table_claim(worker->cache, table, partition, key, ret_slot);
    struct table_growth growth = table_growth(worker->cache, table);
    if (growth.steps + growth.healed != told[table])
        tell_growth(worker, table, partition);
    told[table] = growth.steps + growth.healed;
    if (status == RIALTO_OK)
        return true;
    metric_add(METRIC_table_full_total, 1);
    if (!said[table])
        log_line(LOG_WARNING, "TABLE-FULL", "table=%s partition=%u capacity=%llu", TABLE_NAME[table], partition,
                 (unsigned long long)table_capacity(worker->cache, table, partition));
    said[table] = true;
    remember_refused(worker, table, partition);
    return false;
}

static void announce(struct worker *worker, uint32_t partition, enum rialto_table table, uint64_t slot)
{
    struct rialto_ring_entry entry = { .when_ms = worker->tick_ms, .slot = (uint32_t)slot,
                                       .partition = (uint8_t)partition, .table = (uint8_t)table };
    ring_append(worker->cache, worker->index, &entry);
}

/* ---- what stood there before, for locks ------------------------------------------------------------------------ */

struct before { /* a line that is about to be written or deleted */
    bool is;
    unsigned char bytes[64];
};

_Static_assert(sizeof(struct rialto_cell_line) == 64 && sizeof(struct rialto_terms_line) == 64 &&
               sizeof(struct rialto_offer_line) == 64, "the lines that are looked back at");

static void before_take(const struct worker *worker, enum rialto_table table, uint32_t partition, uint64_t slot, struct before *ret)
{
    ret->is = worker->past != NULL && table_read(worker->cache, table, partition, slot, ret->bytes);
}

/* What rested on data that a customer has just taken back must not come back by this way: after an erasure nothing of this batch's
 * customers is noted. */
static void before_note(const struct worker *worker, enum rialto_table table, struct rialto_key owner, struct rialto_key key,
                        const struct before *before)
{
    if (worker->past != NULL && (table == RIALTO_TABLE_CELLS || !worker->erased))
        past_note(worker->past, worker->moment_us, table, owner, key, before->is ? before->bytes : NULL);
}

static bool is_looked_back_at(enum rialto_table table)
{
    return table == RIALTO_TABLE_CELLS || table == RIALTO_TABLE_TERMS || table == RIALTO_TABLE_OFFERS;
}

/* `owner`: the customer of terms and offers; else the key. */
void lines_drop(struct worker *worker, enum rialto_table table, uint32_t partition, struct rialto_key owner,
                struct rialto_key key)
{
    struct before before;
    uint64_t slot = table_find(worker->cache, table, partition, key);
    if (slot == SLOT_NONE)
        return;
    if (is_looked_back_at(table)) {
        before_take(worker, table, partition, slot, &before);
        before_note(worker, table, owner, key, &before);
    }
    table_delete(worker->cache, table, partition, slot);
    announce(worker, partition, table, slot);
}

/* ---- names ------------------------------------------------------------------------------------------------- */

/* Of the nearest zone that says one, as a reader finds it who meets no line of the zone itself: that a customer stands there
 * must not change what others are told. */
static uint16_t currency_around(const struct worker *worker, const struct place *place)
{
    for (uint32_t level = 0; level < place->chain_count; level++) {
        if (place->record[level] == STATE_NONE)
            continue;
        const struct zone_record *record = state_at(worker->common, POOL_ZONES, place->record[level]);
        if (record->currency != 0)
            return record->currency;
    }
    return 0;
}

/* Slot of a zone's line in a partition's segment, written if it is new or changed. SLOT_NONE when full. */
static uint64_t zone_slot(struct worker *worker, uint32_t partition, const char *zone)
{
    uint32_t at = place_of(worker, zone);
    uint64_t slot;
    if (at == STATE_NONE)
        return SLOT_NONE;
    const struct place *place = &worker->place[at];
    if (!lines_claim(worker, RIALTO_TABLE_ZONES, partition, place->key, &slot) || slot >= RIALTO_ZONE_SLOTS_MAX)
        return SLOT_NONE;
    struct rialto_zone_line line = { .key = place->key, .name_bytes = (uint8_t)strlen(zone) };
    memcpy(line.name, zone, strlen(zone) + 1);
    for (uint32_t level = 1; level < place->chain_count; level++) {
        size_t bytes = strlen(place->name[level]);
        line.ancestor[level - 1] = place->chain[level];
        line.ancestor_name_bytes[level - 1] = strncmp(zone, place->name[level], bytes) == 0 ? (uint8_t)bytes : 0;
        line.ancestor_count++;
    }
    if (place->record[0] != STATE_NONE) {
        const struct zone_record *record = state_at(worker->common, POOL_ZONES, place->record[0]);
        line.utc_offset_min = record->utc_offset_min;
    }
    line.currency = currency_around(worker, place);
    (void)table_write(worker->cache, RIALTO_TABLE_ZONES, partition, slot, &line);
    return slot;
}

/* The same for who only points to it: not written again while the zones are what they were. */
uint64_t lines_zone_slot(struct worker *worker, struct partition *partition, uint32_t place)
{
    if (place >= partition->zone_slot_room) {
        uint32_t *slots = realloc(partition->zone_slot, worker->place_room * sizeof *slots);
        if (slots == NULL)
            return zone_slot(worker, partition->number, worker->place[place].name[0]);
        memset(slots + partition->zone_slot_room, 0, (worker->place_room - partition->zone_slot_room) * sizeof *slots);
        partition->zone_slot = slots;
        partition->zone_slot_room = worker->place_room;
    }
    if (partition->zone_slot[place] == 0) {
        uint64_t slot = zone_slot(worker, partition->number, worker->place[place].name[0]);
        if (slot == SLOT_NONE)
            return SLOT_NONE;
        partition->zone_slot[place] = (uint32_t)slot + 1;
    }
    return partition->zone_slot[place] - 1;
}

static uint64_t product_slot(struct worker *worker, const struct partition *partition, const struct product_record *record)
{
    uint64_t slot;
    if (!lines_claim(worker, RIALTO_TABLE_PRODUCTS, partition->number, record->head.key, &slot) ||
        slot >= RIALTO_PRODUCT_SLOTS_MAX)
        return SLOT_NONE;
    struct rialto_product_line line = { .unit = record->unit, .tax = record->tax, .key = record->head.key };
    memcpy(line.sku, record->sku, sizeof line.sku);
    memcpy(line.category, record->category, sizeof record->category);
    memcpy(line.title, record->title, sizeof line.title);
    (void)table_write(worker->cache, RIALTO_TABLE_PRODUCTS, partition->number, slot, &line);
    return slot;
}

uint64_t lines_product_slot(struct worker *worker, struct partition *partition, uint32_t product)
{
    struct product_extra *extra = &partition->product[product];
    if (extra->slot == 0) {
        uint64_t slot = product_slot(worker, partition, state_at(partition->state, POOL_PRODUCTS, product));
        if (slot == SLOT_NONE)
            return SLOT_NONE;
        extra->slot = (uint32_t)slot + 1;
    }
    return extra->slot - 1;
}

/* ---- terms and offers ------------------------------------------------------------------------------------------ */

/* Minor units of a currency in micro of the major one. */
static int64_t major_micro(const struct currency *currency, int64_t minor)
{
    int64_t unit = MICRO;
    for (unsigned i = 0; i < currency->decimals; i++)
        unit /= 10;
    return minor > INT64_MAX / MICRO ? INT64_MAX : minor * unit;
}

/* What was bought in the month that runs at this tick. A purchase a moment ahead may have begun the next one. */
static void month_fill(const struct worker *worker, const struct customer_record *record, struct terms_inputs *in)
{
    const struct currency *currency = currency_by_number(record->month_currency);
    int32_t back = record->month - local_clock_month(&worker->month_clock, worker->tick_ms);
    if (currency == NULL || (back != 0 && back != 1))
        return;
    memcpy(in->month_currency, currency->letters, sizeof in->month_currency);
    int64_t spend = record->month_spend[back];
    in->month_micro = spend < 0 ? 0 : major_micro(currency, spend);
}

void terms_inputs_fill(struct worker *worker, const struct customer_record *record, struct terms_inputs *in)
{
    memset(in, 0, sizeof *in);
    in->now_ms = worker->tick_ms;
    in->consent = record->consent;
    memcpy(in->tier, record->tier, sizeof in->tier);
    in->segment_count = record->segment_count;
    memcpy(in->segment, record->segment, sizeof in->segment);
    memcpy(in->segment_party, record->segment_party, sizeof in->segment_party);
    in->tier_party = record->tier_party;
    in->spend_party = record->spend_party;
    const struct currency *currency = currency_by_number(record->spend_currency);
    if (currency != NULL) {
        memcpy(in->spend_currency, currency->letters, sizeof in->spend_currency);
        in->spend_micro = major_micro(currency, record->spend);
    }
    month_fill(worker, record, in);
    if (!affinity_is_none(&record->affinity))
        affinity_read(&record->affinity, affinity_phase(record->id), in->now_ms, &in->affinity);
    uint32_t at = record->zone[0] == '\0' ? STATE_NONE : place_of(worker, record->zone);
    if (at == STATE_NONE)
        return;
    in->zone_count = worker->place[at].chain_count;
    memcpy(in->zone, worker->place[at].name, sizeof in->zone);
    /* A cell of a geohash lies where its name says, unless somebody said where. */
    for (uint32_t level = 0; level < in->zone_count && !in->has_position; level++)
        in->has_position = place_position(worker, &worker->place[at], level, in->position_micro) ||
                           geohash_middle(in->zone[level], in->position_micro);
}

/* Records without an offer or a lock are few: what may lead to an offer of a model (OFFER_PRODUCTS_MAX), and what is used up. Of many it is said
 * that there are some: readers look, and find none. */
static bool has_offers(const struct partition *partition, const struct customer_record *record)
{
    if (record->offer_count > OFFER_PRODUCTS_MAX)
        return true;
    uint32_t customer = record->offer_count > 0 ? state_find(partition->state, POOL_CUSTOMERS, record->head.key) : STATE_NONE;
    uint32_t offer = customer == STATE_NONE ? STATE_NONE : state_first(partition->state, POOL_OFFERS, customer);
    while (offer != STATE_NONE && !offer_is_shown(state_at(partition->state, POOL_OFFERS, offer)))
        offer = state_next(partition->state, POOL_OFFERS, offer);
    return offer != STATE_NONE;
}

static void publish_terms(struct worker *worker, const struct partition *partition, const struct customer_record *record)
{
    if ((record->consent & CUSTOMER_KINDS) == 0 && record->offer_count == 0) { /* kept for the time of a refusal: no line means neutral */
        lines_drop(worker, RIALTO_TABLE_TERMS, partition->number, record->head.key, record->head.key);
        return;
    }
    struct terms_inputs in;
    struct rialto_terms_line line = { .key = record->head.key, .group_map = worker->control->group_map,
                                      .consent = record->consent & CUSTOMER_KINDS };
    uint16_t kinds = 0;
    uint64_t slot, zone;
    terms_inputs_fill(worker, record, &in);
    model_terms(worker->models, &in, line.multiplier_e4, &kinds);
    line.kinds = kinds;
    if (has_offers(partition, record))
        line.kinds |= RIALTO_TERMS_HAS_OFFERS;
    if (record->zone[0] != '\0') {
        zone = zone_slot(worker, partition->number, record->zone);
        line.zone = zone == SLOT_NONE ? 0 : (uint32_t)zone + 1;
        /* Should the worker die, the lease still ends: the whole line is neutral from then on. */
        line.until_s = (uint32_t)(record->zone_until_ms / 1000);
    }
    if (!lines_claim(worker, RIALTO_TABLE_TERMS, partition->number, record->head.key, &slot))
        return;
    struct before before;
    before_take(worker, RIALTO_TABLE_TERMS, partition->number, slot, &before);
    if (table_write(worker->cache, RIALTO_TABLE_TERMS, partition->number, slot, &line)) {
        before_note(worker, RIALTO_TABLE_TERMS, line.key, line.key, &before);
        metric_add(METRIC_terms_changed_total, 1);
        announce(worker, partition->number, RIALTO_TABLE_TERMS, slot);
    }
}

static uint32_t seconds_up(int64_t ms)
{
    return (uint32_t)((ms + 999) / 1000);
}

static void publish_offer(struct worker *worker, const struct partition *partition, const struct offer_record *record)
{
    struct rialto_offer_line line = {
        .key = record->head.key, .locked = record->locked, .lock_until_s = (uint32_t)(record->lock_until_ms / 1000),
        .currency = record->currency,
    };
    uint64_t slot;
    if (offer_gives(record)) { /* else a lock stands there by itself */
        line.until_s = (uint32_t)(record->until_ms / 1000);
        line.from_s = seconds_up(record->from_ms);
        line.value = record->value;
        line.kind = record->kind;
        line.flags = record->flags;
        line.kinds = record->kinds;
    }
    if (!offer_is_shown(record)) {
        lines_drop(worker, RIALTO_TABLE_OFFERS, partition->number, record->customer, record->head.key);
        return;
    }
    if (!lines_claim(worker, RIALTO_TABLE_OFFERS, partition->number, record->head.key, &slot))
        return;
    struct before before;
    before_take(worker, RIALTO_TABLE_OFFERS, partition->number, slot, &before);
    if (table_write(worker->cache, RIALTO_TABLE_OFFERS, partition->number, slot, &line)) {
        before_note(worker, RIALTO_TABLE_OFFERS, record->customer, line.key, &before);
        metric_add(METRIC_offers_changed_total, 1);
        announce(worker, partition->number, RIALTO_TABLE_OFFERS, slot);
    }
}

void lines_publish_terms(struct worker *worker)
{
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        const struct partition *partition = &worker->partition[p];
        for (uint32_t i = 0; i < state_end(partition->state, POOL_CUSTOMERS); i++) {
            const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, i);
            if (!key_is_none(record->head.key))
                publish_terms(worker, partition, record);
        }
        worker_beat(worker);
    }
}

void lines_publish_located(struct worker *worker)
{
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        const struct partition *partition = &worker->partition[p];
        for (uint32_t i = 0; i < state_end(partition->state, POOL_CUSTOMERS); i++) {
            const struct customer_record *record = state_at(partition->state, POOL_CUSTOMERS, i);
            if (record->zone[0] != '\0' && !key_is_none(record->head.key))
                publish_terms(worker, partition, record);
        }
        worker_beat(worker);
    }
}

/* ---- zones by name: where a reader looks that was told one -------------------------------------------------------- */

/* A zone that was declared, and each around it, has a line in the partition of its own key. */
static void publish_home_lines(struct worker *worker, const struct zone_record *record)
{
    uint32_t at = place_of(worker, record->name);
    if (at == STATE_NONE)
        return;
    struct place place = worker->place[at]; /* a copy: zone_slot() may make the array grow */
    for (uint32_t level = 0; level < place.chain_count; level++) {
        uint32_t home = key_partition(place.chain[level]);
        if (worker_owns(worker, home))
            (void)zone_slot(worker, home, place.name[level]);
    }
}

void lines_publish_zones(struct worker *worker)
{
    for (uint32_t i = 0; i < state_end(worker->common, POOL_ZONES); i++) {
        const struct zone_record *record = state_at(worker->common, POOL_ZONES, i);
        if (!key_is_none(record->head.key))
            publish_home_lines(worker, record);
    }
    /* Lines that cells and customers use say what is around their zone, too. */
    struct rialto_zone_line line;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers)
        for (uint64_t slot = table_next(worker->cache, RIALTO_TABLE_ZONES, p, 0); slot != SLOT_NONE;
             slot = table_next(worker->cache, RIALTO_TABLE_ZONES, p, slot + 1))
            if (table_read(worker->cache, RIALTO_TABLE_ZONES, p, slot, &line))
                (void)zone_slot(worker, p, line.name);
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers)
        worker->partition[p].pricelist_stale = true;
    worker->zone_lines_stale = false;
}

/* ---- a batch, and everything --------------------------------------------------------------------------------------- */

static const enum rialto_table TABLE_OF[POOL_COUNT] = {
    [POOL_PRODUCTS] = RIALTO_TABLE_PRODUCTS, [POOL_CELLS] = RIALTO_TABLE_CELLS, [POOL_CUSTOMERS] = RIALTO_TABLE_TERMS,
    [POOL_OFFERS] = RIALTO_TABLE_OFFERS, [POOL_ZONES] = RIALTO_TABLE_ZONES,
};

static void publish_record(struct worker *worker, struct partition *partition, enum state_pool pool, uint32_t index,
                           const void *record, const struct state_head *old)
{
    switch (pool) {
    case POOL_PRODUCTS:
        (void)product_slot(worker, partition, record);
        partition->pricelist_stale = partition->pricelist_stale || old != NULL;
        break;
    case POOL_CELLS: lines_publish_cell(worker, partition, index, (const void *)old); break;
    case POOL_CUSTOMERS:
        publish_terms(worker, partition, record);
        break;
    case POOL_OFFERS:
        publish_offer(worker, partition, record);
        break;
    default:
        break;
    }
}

/* What a changed cell's line is made of, and what it is noted in, comes while others are written: first the record and what says where
 * the line is, then the line. */
struct ahead {
    uint64_t at;                  /* how far in the list of what changed */
    uint32_t staged;              /* and in that of lines that are written already */
    uint32_t records, lines;      /* fetched so far */
    uint32_t cell[RECORDS_AHEAD]; /* of those whose lines come next; STATE_NONE: a record that is no cell */
};
_Static_assert((RECORDS_AHEAD & (RECORDS_AHEAD - 1)) == 0 && LINES_AHEAD < RECORDS_AHEAD, "places are taken in turn");

/* What is in both lists is passed over. */
static void pass_staged(const struct worker *worker, uint32_t *staged, uint64_t *at)
{
    while (staged_is(&worker->staged, *staged, *at)) {
        (*staged)++;
        (*at)++;
    }
}

static void fetch_record(const struct worker *worker, const struct partition *partition, struct ahead *ahead)
{
    enum state_pool pool;
    uint32_t index;
    pass_staged(worker, &ahead->staged, &ahead->at);
    if (!state_changed_at(partition->state, &ahead->at, &pool, &index))
        return;
    ahead->cell[ahead->records++ % RECORDS_AHEAD] = pool == POOL_CELLS ? index : STATE_NONE;
    if (pool != POOL_CELLS)
        return;
    const struct cell_record *record = cell_at(partition, index);
    __builtin_prefetch(&partition->cell[index]);
    __builtin_prefetch(record);
    __builtin_prefetch(&record->published);
    __builtin_prefetch(&record->factor_micro);
    state_fetch_link(partition->state, POOL_CELLS, index);
    journal_fetch(worker, partition->number, index);
}

static void fetch_line(const struct worker *worker, const struct partition *partition, struct ahead *ahead)
{
    uint32_t cell = ahead->lines == ahead->records ? STATE_NONE : ahead->cell[ahead->lines++ % RECORDS_AHEAD];
    if (cell == STATE_NONE)
        return;
    if (worker->past != NULL)
        past_fetch(worker->past, cell_at(partition, cell)->head.key);
    if (partition->cell[cell].slot != 0)
        table_prefetch(worker->cache, RIALTO_TABLE_CELLS, partition->number, partition->cell[cell].slot - 1);
}

static void fetch_next(const struct worker *worker, const struct partition *partition, struct ahead *ahead)
{
    fetch_record(worker, partition, ahead);
    fetch_line(worker, partition, ahead);
}

static void fetch_first(const struct worker *worker, const struct partition *partition, struct ahead *ahead)
{
    *ahead = (struct ahead){ .at = 0 };
    for (unsigned i = 0; i < RECORDS_AHEAD; i++)
        fetch_record(worker, partition, ahead);
    for (unsigned i = 0; i < LINES_AHEAD; i++)
        fetch_line(worker, partition, ahead);
}

/* Demand moves no line; but where one could not be written, because there was no room, it is tried again when something is heard of it. */
static void publish_owed(struct worker *worker, struct partition *partition)
{
    uint32_t at = 0, cell;
    while (state_changed_demand(partition->state, &at, &cell)) {
        const struct cell_record *record = cell_at(partition, cell);
        if (!key_is_none(record->head.key))
            lines_publish_cell(worker, partition, cell, record);
    }
}

void lines_publish_changed(struct worker *worker, struct partition *partition)
{
    struct ahead ahead;
    uint64_t at = 0;
    uint32_t staged = 0, index;
    enum state_pool pool;
    const struct state_head *old;
    lines_publish_staged(worker, partition);
    fetch_first(worker, partition, &ahead);
    for (;;) {
        pass_staged(worker, &staged, &at);
        if (!state_changed(partition->state, &at, &pool, &index, &old))
            break;
        fetch_next(worker, partition, &ahead);
        if (pool == POOL_SOURCES || pool == POOL_BUDGETS) /* have no lines */
            continue;
        const struct state_head *now = state_at(partition->state, pool, index);
        partition->pricelist_stale = partition->pricelist_stale || (pool == POOL_CELLS && key_is_none(now->key));
        if (!key_is_none(old->key) && !key_equal(old->key, now->key))
            lines_drop(worker, TABLE_OF[pool], partition->number,
                       pool == POOL_OFFERS ? ((const struct offer_record *)(const void *)old)->customer : old->key,
                       old->key);
        if (!key_is_none(now->key))
            publish_record(worker, partition, pool, index, now, old);
    }
    staged_clear(&worker->staged);
    if (state_lines_owed(partition->state))
        publish_owed(worker, partition);
}

void lines_tell_revoked(const struct worker *worker, const struct partition *partition)
{
    uint64_t at = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    while (state_changed(partition->state, &at, &pool, &index, &old)) {
        if (pool != POOL_CUSTOMERS || key_is_none(old->key))
            continue;
        const struct customer_record *before = (const void *)old, *now = state_at(partition->state, pool, index);
        if (key_equal(before->head.key, now->head.key) && (before->consent & ~now->consent & CUSTOMER_KINDS) != 0)
            publisher_renew(worker->publisher, now->id);
    }
}

/* Lines whose record is gone: a death between commit and delete, or a state that began anew. */
static void drop_orphans(struct worker *worker, const struct partition *partition, enum state_pool pool)
{
    enum rialto_table table = TABLE_OF[pool];
    union { /* every line has its key at the same place */
        struct rialto_terms_line terms;
        struct rialto_product_line largest;
    } line;
    for (uint64_t slot = table_next(worker->cache, table, partition->number, 0); slot != SLOT_NONE;
         slot = table_next(worker->cache, table, partition->number, slot + 1))
        if (table_read(worker->cache, table, partition->number, slot, &line) &&
            state_find(partition->state, pool, line.terms.key) == STATE_NONE)
            table_delete(worker->cache, table, partition->number, slot);
}

static const enum state_pool POOLS[] = { POOL_PRODUCTS, POOL_CELLS, POOL_OFFERS, POOL_CUSTOMERS };
#define POOLS_COUNT (sizeof POOLS / sizeof POOLS[0])

/* `again`: it was published before, as far as there was room, and followers hear of what changes. */
static void publish_pool(struct worker *worker, struct partition *partition, enum state_pool pool, bool again)
{
    for (uint32_t index = 0; index < state_end(partition->state, pool); index++) {
        const struct state_head *head = state_at(partition->state, pool, index);
        if (!key_is_none(head->key))
            publish_record(worker, partition, pool, index, head, again ? head : NULL);
    }
}

void lines_publish_all(struct worker *worker, struct partition *partition)
{
    state_set_lines_owed(partition->state, false);
    for (unsigned i = 0; i < POOLS_COUNT; i++) {
        drop_orphans(worker, partition, POOLS[i]);
        publish_pool(worker, partition, POOLS[i], false);
    }
}

/* A partition in each batch, so that signals do not wait for all of them. */
void lines_retry_refused(struct worker *worker)
{
    if (worker->refused == 0 || worker->tick_ms < worker->refused_retry_ms)
        return;
    worker->refused_retry_ms = worker->tick_ms + REFUSED_RETRY_MS;
    if (!table_room_again(worker->cache))
        return;
    struct partition *partition = &worker->partition[__builtin_ctzll(worker->refused)];
    worker->refused &= worker->refused - 1;
    state_set_lines_refused(partition->state, false);
    if (worker->zones_refused) {
        worker->zones_refused = false;
        lines_publish_zones(worker);
    }
    for (unsigned i = 0; i < POOLS_COUNT; i++)
        publish_pool(worker, partition, POOLS[i], true);
    if (!state_lines_refused(partition->state))
        worker->refused_retry_ms = worker->tick_ms;
    if (worker->refused == 0)
        log_line(LOG_INFO, "TABLE-ROOM-AGAIN", "cache_dir=%s: what had found no line has one",
                 worker->config->cache_dir);
}

void lines_publish_customer(struct worker *worker, struct partition *partition, uint32_t customer)
{
    publish_terms(worker, partition, state_at(partition->state, POOL_CUSTOMERS, customer));
}
