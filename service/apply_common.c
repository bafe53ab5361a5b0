/* apply_common.c - common parts: zones and their weather. Every worker keeps all of them for itself. */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/worker.h"

#include <string.h>

static uint32_t zone_upsert(struct worker *worker, const char *name)
{
    struct rialto_key key = key_of_id(worker->control->secret, name, strlen(name));
    uint32_t zone = state_find(worker->common, POOL_ZONES, key);
    if (zone != STATE_NONE)
        return zone;
    zone = room_insert(worker->common, POOL_ZONES, key);
    if (zone == STATE_NONE)
        return STATE_NONE;
    struct zone_record *record = state_touch(worker->common, POOL_ZONES, zone);
    memcpy(record->name, name, strlen(name) + 1);
    places_moved(worker); /* places remember which zones have a record */
    return zone;
}

static enum signal_reason apply_zone(struct worker *worker, struct zone_record *record, const struct signal *signal)
{
    if (record->zone_time_ms > signal->time_ms)
        return REASON_superseded;
    record->zone_time_ms = signal->time_ms;
    /* What is around a zone, and where it lies, is read for those who are in it. */
    if (record->has_parent != signal_has(signal, SIGNAL_FIELD_parent) || strcmp(record->parent, signal->parent) != 0 ||
        record->lat_micro != signal->lat || record->lon_micro != signal->lon)
        worker->located_stale = worker->located_stale || worker->models->located;
    record->has_parent = signal_has(signal, SIGNAL_FIELD_parent);
    memcpy(record->parent, signal->parent, sizeof record->parent);
    record->currency = signal_has(signal, SIGNAL_FIELD_currency) ? currency_find(signal->currency)->number : 0;
    record->has_utc_offset = signal_has(signal, SIGNAL_FIELD_utc_offset);
    record->utc_offset_min = (int16_t)signal->utc_offset;
    record->lat_micro = signal->lat;
    record->lon_micro = signal->lon;
    memcpy(record->region, signal->region, sizeof record->region);
    attributes_take(&record->attributes, signal);
    places_moved(worker);
    return REASON_none;
}

void attributes_take(struct attributes_said *said, const struct signal *signal)
{
    if (!signal_has(signal, SIGNAL_FIELD_attributes) || said->time_ms > signal->time_ms)
        return;
    *said = (struct attributes_said){ .time_ms = signal->time_ms > 0 ? signal->time_ms : 1 };
    for (int64_t i = 0; i < signal->attributes.count; i++)
        (void)attributes_add(said, signal->attributes.name[i], signal->attributes.micro[i]); /* parser and decoder made room */
}

static bool place_lies_in(const struct place *place, struct rialto_key zone, bool zone_is_world)
{
    if (zone_is_world)
        return true;
    for (uint32_t level = 0; level < place->chain_count; level++)
        if (key_equal(place->chain[level], zone))
            return true;
    return false;
}

static void products_in_zone_dirty(struct worker *worker, const struct zone_record *zone)
{
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        struct partition *partition = &worker->partition[p];
        if (partition->state == NULL)
            continue;
        for (uint32_t i = 0; i < state_end(partition->state, POOL_PRODUCTS); i++) {
            if (partition->product[i].dirty)
                continue;
            cells_ready(worker, partition, i);
            uint32_t cell = state_first(partition->state, POOL_CELLS, i);
            while (cell != STATE_NONE &&
                   !place_lies_in(&worker->place[partition->cell[cell].place], zone->head.key, zone->name[0] == '\0'))
                cell = state_next(partition->state, POOL_CELLS, cell);
            if (cell != STATE_NONE)
                product_dirty(partition, i);
        }
    }
}

/* A weather signal says all that is known now: readings that it leaves out are not known any more. */
static enum signal_reason apply_weather(struct worker *worker, struct zone_record *record, const struct signal *signal)
{
    if (record->weather_time_ms > signal->time_ms)
        return REASON_superseded;
    const struct { enum signal_field field; int64_t value; } reading[WEATHER_READINGS] = {
        { SIGNAL_FIELD_temperature_c, signal->temperature_c },
        { SIGNAL_FIELD_precipitation, signal->precipitation },
        { SIGNAL_FIELD_wind, signal->wind },
        { SIGNAL_FIELD_humidity, signal->humidity },
    };
    record->weather_present = 0;
    for (unsigned i = 0; i < WEATHER_READINGS; i++) {
        record->weather_micro[i] = reading[i].value;
        if (signal_has(signal, reading[i].field))
            record->weather_present |= (uint8_t)(1u << i);
    }
    record->weather_time_ms = signal->time_ms;
    record->weather_until_ms = signal_has(signal, SIGNAL_FIELD_until_ms) ? signal->until_ms : 0;
    products_in_zone_dirty(worker, record);
    return REASON_none;
}

enum signal_reason apply_common_part(struct worker *worker, const struct signal *signal)
{
    uint32_t zone = zone_upsert(worker, signal->zone);
    if (zone == STATE_NONE)
        return REASON_table_full;
    struct zone_record *record = state_touch(worker->common, POOL_ZONES, zone);
    return signal->type == SIGNAL_weather ? apply_weather(worker, record, signal) : apply_zone(worker, record, signal);
}
