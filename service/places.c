/* places.c - zones resolved for pricing: names to keys, and what lies around what.
 *
 * A zone signal may declare a parent; elsewhere the name says it (cache/zone_path.h). At most RIALTO_ZONE_LEVELS - 1 zones and the
 * world are in a chain, so that a circle of declared parents ends by itself. */
#include "cache/keys.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

static struct rialto_key zone_key(const struct worker *worker, const char *name)
{
    return key_of_id(worker->control->secret, name, strlen(name));
}

/* The name of the zone around `name`; "" = the world. */
static void name_around(const struct worker *worker, const char *name, char ret[RIALTO_ID_MAX])
{
    uint32_t at = state_find(worker->common, POOL_ZONES, zone_key(worker, name));
    const struct zone_record *record = at == STATE_NONE ? NULL : state_at(worker->common, POOL_ZONES, at);
    struct zone_chain prefixes;
    if (record != NULL && record->has_parent)
        memcpy(ret, record->parent, RIALTO_ID_MAX);
    else if (zone_chain_of(&worker->levels, name, strlen(name), &prefixes) && prefixes.count > 1)
        memcpy(ret, prefixes.name[1], RIALTO_ID_MAX);
    else
        ret[0] = '\0';
}

bool places_chain(struct worker *worker, const char *zone, struct zone_chain *ret)
{
    struct zone_chain prefixes;
    if (!zone_chain_of(&worker->levels, zone, strlen(zone), &prefixes))
        return false;
    memset(ret, 0, sizeof *ret);
    if (prefixes.count == 0)
        return true;
    char name[RIALTO_ID_MAX];
    memcpy(name, prefixes.name[0], sizeof name);
    while (name[0] != '\0' && ret->count < RIALTO_ZONE_LEVELS - 1) {
        memcpy(ret->name[ret->count++], name, sizeof name);
        name_around(worker, ret->name[ret->count - 1], name);
        for (uint32_t i = 0; i < ret->count; i++)
            if (strcmp(ret->name[i], name) == 0)
                return true; /* a circle */
    }
    return true;
}

/* What the nearest zone with a region says; without one, nothing holds. */
static void place_policies(const struct worker *worker, struct place *place)
{
    place->policies = 0;
    for (uint32_t level = 0; worker->models != NULL && level <= place->chain_count; level++) {
        const struct zone_record *zone =
            place->record[level] == STATE_NONE ? NULL : state_at(worker->common, POOL_ZONES, place->record[level]);
        if (zone == NULL || zone->region[0] == '\0')
            continue;
        place->policies = (uint8_t)policies_at(&worker->models->policies, zone->region, worker->tick_ms);
        return;
    }
}

void places_policies(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->place_count; i++)
        place_policies(worker, &worker->place[i]);
}

static void place_fill(struct worker *worker, struct place *place)
{
    struct zone_chain chain;
    if (!places_chain(worker, place->name[0], &chain))
        chain.count = 0;
    place->picture = worker->picture;
    place->chain_count = chain.count;
    for (uint32_t level = 0; level < chain.count; level++) {
        memcpy(place->name[level], chain.name[level], RIALTO_ID_MAX);
        place->chain[level] = zone_key(worker, chain.name[level]);
        place->record[level] = state_find(worker->common, POOL_ZONES, place->chain[level]);
    }
    place->record[chain.count] = state_find(worker->common, POOL_ZONES, zone_key(worker, ""));
    place_policies(worker, place);
}

static bool place_index_grow(struct worker *worker)
{
    uint32_t slots = worker->place_mask == 0 ? 1024 : (worker->place_mask + 1) * 2;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (slot == NULL)
        return false;
    for (uint32_t i = 0; i < worker->place_count; i++) {
        uint32_t at = (uint32_t)worker->place[i].key.lo & (slots - 1);
        while (slot[at] != 0)
            at = (at + 1) & (slots - 1);
        slot[at] = i + 1;
    }
    free(worker->place_slot);
    worker->place_slot = slot;
    worker->place_mask = slots - 1;
    return true;
}

static bool place_room(struct worker *worker)
{
    if (worker->place_slot == NULL || worker->place_count >= worker->place_mask / 2)
        if (!place_index_grow(worker))
            return false;
    if (worker->place_count < worker->place_room)
        return true;
    uint32_t room = worker->place_room == 0 ? 256 : worker->place_room * 2;
    struct place *places = realloc(worker->place, room * sizeof *places);
    if (places == NULL)
        return false;
    worker->place = places;
    worker->place_room = room;
    return true;
}

bool place_position(const struct worker *worker, const struct place *place, uint32_t level, int64_t ret_micro[2])
{
    if (place->record[level] == STATE_NONE)
        return false;
    const struct zone_record *zone = state_at(worker->common, POOL_ZONES, place->record[level]);
    ret_micro[0] = zone->lat_micro;
    ret_micro[1] = zone->lon_micro;
    return zone->lat_micro != 0 || zone->lon_micro != 0; /* else never said; nobody lives in that sea */
}

void places_moved(struct worker *worker)
{
    worker->zones_changed = true;
    worker->picture++;
}

uint32_t place_now(struct worker *worker, uint32_t place)
{
    if (place != STATE_NONE && worker->place[place].picture != worker->picture)
        place_fill(worker, &worker->place[place]);
    return place;
}

uint32_t place_of(struct worker *worker, const char *zone)
{
    struct rialto_key key = zone_key(worker, zone);
    if (!place_room(worker))
        return STATE_NONE;
    uint32_t at = (uint32_t)key.lo & worker->place_mask;
    for (; worker->place_slot[at] != 0; at = (at + 1) & worker->place_mask)
        if (key_equal(worker->place[worker->place_slot[at] - 1].key, key))
            return place_now(worker, worker->place_slot[at] - 1);
    struct place *place = &worker->place[worker->place_count];
    memset(place, 0, sizeof *place);
    place->key = key;
    memcpy(place->name[0], zone, strlen(zone) + 1); /* zones are at most RIALTO_ID_MAX - 1 bytes from the decoder on */
    place_fill(worker, place);
    worker->place_slot[at] = ++worker->place_count;
    return worker->place_count - 1;
}

void places_rebuild(struct worker *worker)
{
    worker->picture++;
    for (uint32_t i = 0; i < worker->place_count; i++)
        place_fill(worker, &worker->place[i]);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct partition *partition = &worker->partition[p];
        if (partition->state == NULL)
            continue;
        if (partition->zone_slot_room > 0)
            memset(partition->zone_slot, 0, partition->zone_slot_room * sizeof partition->zone_slot[0]);
        /* A partition that has this batch already opened them with it. */
        bool opens = worker->models->zoned && state_applied(partition->state) < worker->batch;
        if (opens) {
            state_begin(partition->state, worker->batch);
            worker->busy |= UINT64_C(1) << p;
        }
        for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
            const struct product_record *product = state_at(partition->state, POOL_PRODUCTS, i);
            if (key_is_none(product->head.key))
                continue;
            if (opens) {
                cells_ready(worker, partition, i);
                cells_open_zones(worker, partition, i);
            }
            product_dirty(partition, i);
        }
    }
    worker->zones_changed = false;
    worker->zone_lines_stale = true;
}
