/* persist.c - committed records to Redis through the mirror, and back when a state file began anew.
 *
 * A record's value is its image behind a head of { layout, bytes }: state of another layout is refused, not guessed at. Which
 * records are sent follows from the journal of the batch; after an outage, from each record's own batch number. */
#include "cache/keys.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

#include <string.h>

#define SWEEP_SLICE 512u /* records looked at between two batches */

struct stored_head {
    uint32_t layout;
    uint32_t bytes;
};

static const size_t RECORD_BYTES[POOL_COUNT] = {
    sizeof(struct product_record), sizeof(struct cell_record), sizeof(struct customer_record),
    sizeof(struct offer_record),   sizeof(struct zone_record),
};

union any_record {
    struct state_head head;
    struct product_record product;
    struct cell_record cell;
    struct customer_record customer;
    struct offer_record offer;
    struct zone_record zone;
};

static void put(struct worker *worker, uint32_t number, enum state_pool pool, const struct state_head *record)
{
    unsigned char value[sizeof(struct stored_head) + sizeof(union any_record)];
    struct stored_head head = { STATE_LAYOUT, (uint32_t)RECORD_BYTES[pool] };
    memcpy(value, &head, sizeof head);
    memcpy(value + sizeof head, record, RECORD_BYTES[pool]);
    mirror_put(worker->mirror, number, STATE_POOL_LETTER[pool], record->key, value, sizeof head + RECORD_BYTES[pool]);
}

void persist_changed(struct worker *worker, uint32_t number, struct state *state)
{
    uint64_t at = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    while (state_changed(state, &at, &pool, &index, &old)) {
        const struct state_head *now = state_at(state, pool, index);
        if (!key_is_none(old->key) && !key_equal(old->key, now->key))
            mirror_put(worker->mirror, number, STATE_POOL_LETTER[pool], old->key, NULL, 0);
        if (!key_is_none(now->key))
            put(worker, number, pool, now);
    }
}

/* ---- catching up after an outage ---------------------------------------------------------------------------- */

static struct state *state_of(struct worker *worker, uint32_t number)
{
    return number == MIRROR_COMMON ? worker->common : worker->partition[number].state;
}

static bool sweep_begin(struct worker *worker)
{
    if (!mirror_wanted(worker->mirror, &worker->sweep.number, &worker->sweep.mark))
        return false;
    struct state *state = state_of(worker, worker->sweep.number);
    if (state == NULL)
        return false;
    worker->sweep.running = true;
    worker->sweep.pool = worker->sweep.index = 0;
    metric_add(METRIC_mirror_sweeps_total, 1);
    /* What was deleted after the mark still stands in Redis: then everything is sent, onto a clean sheet. */
    if (state_deleted(state) > worker->sweep.mark || worker->sweep.mark > state_applied(state)) {
        worker->sweep.mark = 0;
        mirror_clear(worker->mirror, worker->sweep.number);
    }
    return true;
}

bool persist_sweep_slice(struct worker *worker)
{
    if (!worker->sweep.running && !sweep_begin(worker))
        return false;
    struct state *state = state_of(worker, worker->sweep.number);
    for (uint32_t looked = 0; looked < SWEEP_SLICE && worker->sweep.pool < POOL_COUNT; looked++) {
        enum state_pool pool = (enum state_pool)worker->sweep.pool;
        if (worker->sweep.index >= state_capacity(state, pool)) {
            worker->sweep.pool++;
            worker->sweep.index = 0;
            continue;
        }
        const struct state_head *record = state_at(state, pool, worker->sweep.index++);
        if (!key_is_none(record->key) && record->seq > worker->sweep.mark)
            put(worker, worker->sweep.number, pool, record);
    }
    bool sent = mirror_commit(worker->mirror, state_applied(worker->common));
    if (!sent) { /* Redis went away again: it will ask again */
        worker->sweep.running = false;
    } else if (worker->sweep.pool == POOL_COUNT) {
        worker->sweep.running = false;
        mirror_swept(worker->mirror, worker->sweep.number, state_applied(worker->common));
    }
    return sent;
}

/* ---- loading -------------------------------------------------------------------------------------------------- */

struct loading {
    struct state *state;
    uint32_t number;
    uint64_t loaded, refused;
    int64_t  newest_ms; /* latest tick that a record gives away */
};

static bool stored_is_valid(enum state_pool pool, struct rialto_key key, const union any_record *record)
{
    return key_equal(record->head.key, key) && !key_is_none(key) && (int)pool < POOL_COUNT;
}

/* Every text of a record must end within its room, whatever Redis holds. */
static void end_texts(enum state_pool pool, union any_record *record)
{
#define END(text) (text)[sizeof(text) - 1] = '\0'
    switch (pool) {
    case POOL_PRODUCTS:
        END(record->product.sku), END(record->product.category), END(record->product.title);
        break;
    case POOL_CELLS:
        END(record->cell.zone);
        break;
    case POOL_CUSTOMERS:
        END(record->customer.id), END(record->customer.tier), END(record->customer.zone);
        for (unsigned i = 0; i < TERMS_SEGMENTS_MAX; i++)
            END(record->customer.segment[i]);
        if (record->customer.segment_count > TERMS_SEGMENTS_MAX)
            record->customer.segment_count = TERMS_SEGMENTS_MAX;
        break;
    case POOL_OFFERS:
        END(record->offer.sku);
        break;
    default:
        END(record->zone.name), END(record->zone.parent), END(record->zone.region);
        break;
    }
#undef END
}

/* The tick itself is not stored in Redis. Time must not go back behind what was priced or heard of zones. */
static int64_t tick_of_record(enum state_pool pool, const union any_record *record)
{
    if (pool == POOL_CELLS)
        return record->cell.changed_ms;
    if (pool != POOL_ZONES)
        return 0;
    int64_t weather = record->zone.weather_time_ms, zone = record->zone.zone_time_ms;
    return weather > zone ? weather : zone;
}

static void load_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    struct loading *loading = user;
    struct stored_head head = {0};
    union any_record record;
    memset(&record, 0, sizeof record);
    enum state_pool pool = POOL_PRODUCTS;
    while (pool < POOL_COUNT && STATE_POOL_LETTER[pool] != kind)
        pool++;
    bool good = pool < POOL_COUNT && bytes == sizeof head + RECORD_BYTES[pool];
    if (good) {
        memcpy(&head, value, sizeof head);
        memcpy(&record, (const char *)value + sizeof head, RECORD_BYTES[pool]);
        end_texts(pool, &record);
        good = head.layout == STATE_LAYOUT && head.bytes == RECORD_BYTES[pool] && stored_is_valid(pool, key, &record) &&
               state_load(loading->state, pool, &record.head);
    }
    if (!good) {
        loading->refused++;
        return;
    }
    loading->loaded++;
    int64_t tick_ms = tick_of_record(pool, &record);
    if (tick_ms > loading->newest_ms)
        loading->newest_ms = tick_ms;
}

enum rialto_status persist_load(struct worker *worker, uint32_t number, struct state *state)
{
    struct loading loading = { .state = state, .number = number };
    uint64_t mark = 0;
    enum rialto_status status = mirror_load(worker->config, number, worker->config->redis_timeout_ms, load_record, &loading,
                                            &mark);
    if (status != RIALTO_OK)
        return status;
    state_set_applied(state, mark);
    if (loading.newest_ms > worker->tick_ms)
        worker->tick_ms = loading.newest_ms;
    if (loading.loaded + loading.refused > 0)
        log_line(loading.refused > 0 ? LOG_WARNING : LOG_DEBUG, "STATE-LOADED", "partition=%u records=%llu refused=%llu mark=%llu",
                 number, (unsigned long long)loading.loaded, (unsigned long long)loading.refused, (unsigned long long)mark);
    return RIALTO_OK;
}
