/* persist.c - committed records to Redis through the mirror, and back when a state file began anew.
 *
 *   batch --journal--> lists of records, deletions and ids --every mirror_pace_ms, or at once when somebody waits--> one commit
 *
 * The lists say which records changed; what is in them is read when they are sent, between two batches. However many signals
 * come, Redis is told of each record once in a while. A record's value is its image without zeros (packed.h) behind a head of
 * { layout, checksum }: what is of another layout, damaged, or of another partition is refused, not guessed at (a damaged time would move the
 * clock for ever). After an outage what is sent follows from each record's own batch number, and all ids are. */
#include "cache/keys.h"
#include "service/checksum.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/packed.h"
#include "service/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_SLICE     512u   /* records looked at between two batches */
#define SWEEP_ID_PLACES 16384u /* or places for ids */
#define SWEEP_IDS       2048u  /* or ids */
#define SWEEP_SPARE     8192u  /* bytes of the mirror's queue that a slice leaves free: its last record, heads */
#define LIST_ROOM       1024u  /* at first */
#define VERSIONS_MAX    64u    /* another number of a layout than these is damage */
#define REFUSED_NAMED   4u     /* of a partition's records that are refused, so many are named in the log */
#define STORED_TIME_MAX INT64_C(9999999999999) /* thirteen digits, as in the price journal */

struct stored_head {
    uint32_t layout;
    uint32_t checksum; /* of what is behind */
};
_Static_assert(sizeof(struct stored_head) == STATE_STORED_HEAD, "as size.c counts it");

static uint32_t checksum_of(const void *packed, size_t bytes)
{
    return checksum_short(checksum_add(CHECKSUM_BEGIN, packed, bytes));
}

static void put(struct worker *worker, uint32_t number, enum state_pool pool, const struct state_head *record)
{
    unsigned char value[sizeof(struct stored_head) + PACKED_ROOM(sizeof(union any_record))];
    size_t bytes = packed_put(record, state_record_bytes(pool), value + sizeof(struct stored_head));
    struct stored_head head = { STATE_RECORDS, checksum_of(value + sizeof head, bytes) };
    memcpy(value, &head, sizeof head);
    mirror_put(worker->mirror, number, STATE_POOL_LETTER[pool], record->key, value, sizeof head + bytes);
}

static struct state *state_of(struct worker *worker, uint32_t number)
{
    return number == MIRROR_COMMON ? worker->common : worker->partition[number].state;
}

static bool is_mirrored(const struct worker *worker, uint32_t number)
{
    return number == MIRROR_COMMON ? worker->index == 0 : worker->partition[number].state != NULL;
}

/* ---- what is to be sent ----------------------------------------------------------------------------------------- */

bool persist_setup(struct worker *worker)
{
    for (uint32_t number = 0; number <= MIRROR_COMMON; number++) {
        for (int pool = 0; pool < POOL_COUNT && is_mirrored(worker, number); pool++) {
            size_t words = state_capacity(state_of(worker, number), (enum state_pool)pool) / 64 + 1;
            worker->pending.listed[number][pool] = calloc(words, sizeof(uint64_t));
            if (worker->pending.listed[number][pool] == NULL)
                return false;
        }
    }
    return true;
}

void persist_teardown(struct worker *worker)
{
    struct pending *pending = &worker->pending;
    for (uint32_t number = 0; number <= MIRROR_COMMON; number++)
        for (int pool = 0; pool < POOL_COUNT; pool++)
            free(pending->listed[number][pool]);
    free(pending->record);
    free(pending->gone);
    free(pending->id);
    memset(pending, 0, sizeof *pending);
}

/* Room for one more. Lists are bounded by what a worker holds and by mirror_bytes_max. Without memory this process cannot keep
 * its promise; the next one sends again what Redis lacks. */
static void *list_room(void *list, uint32_t count, uint32_t *room, size_t bytes)
{
    if (count < *room)
        return list;
    uint32_t more = *room == 0 ? LIST_ROOM : 2 * *room;
    void *larger = realloc(list, more * bytes);
    if (larger == NULL) {
        log_line(LOG_ERROR, "OUT-OF-MEMORY", "what=\"list of changed records\"");
        abort();
    }
    *room = more;
    return larger;
}

/* True: it is in the list already. */
static bool note_record(struct pending *pending, uint32_t number, enum state_pool pool, uint32_t index)
{
    uint64_t *word = &pending->listed[number][pool][index / 64], bit = UINT64_C(1) << index % 64;
    if (*word & bit)
        return true;
    *word |= bit;
    pending->record = list_room(pending->record, pending->records, &pending->record_room, sizeof *pending->record);
    pending->record[pending->records++] =
        (struct pending_record){ .index = index, .number = (uint8_t)number, .pool = (uint8_t)pool };
    return false;
}

static void note_deleted(struct pending *pending, uint32_t number, enum state_pool pool, struct rialto_key key)
{
    pending->gone = list_room(pending->gone, pending->deletes, &pending->delete_room, sizeof *pending->gone);
    pending->gone[pending->deletes++] =
        (struct pending_delete){ .key = key, .number = (uint8_t)number, .pool = (uint8_t)pool };
}

static void note_ids(struct pending *pending, uint32_t number, const struct state *state)
{
    uint64_t at = 0, word;
    uint32_t generation;
    bool first;
    while (state_id_changed(state, &at, &generation, &word, &first)) {
        pending->id = list_room(pending->id, pending->ids, &pending->id_room, sizeof *pending->id);
        pending->id[pending->ids++] = (struct pending_id){
            .word = word, .number = (uint8_t)number, .generation = (uint8_t)generation, .first = first };
    }
}

static uint64_t note_changed(struct pending *pending, uint32_t number, const struct state *state)
{
    uint64_t at = 0, coalesced = 0;
    enum state_pool pool;
    uint32_t index;
    const struct state_head *old;
    while (state_changed_head(state, &at, &pool, &index, &old)) {
        const struct state_head *now = state_at(state, pool, index);
        bool again = old->seq == state_applied(state); /* its demand was touched before: it is noted for that */
        if (!key_is_none(old->key) && !key_equal(old->key, now->key))
            note_deleted(pending, number, pool, old->key);
        if (!key_is_none(now->key) && !again)
            coalesced += note_record(pending, number, pool, index);
    }
    return coalesced;
}

/* Whoever deletes a cell touches all of it: then its place is free, which is seen when it is sent, or another's and listed for that. */
static uint64_t note_demand(struct pending *pending, uint32_t number, const struct state *state)
{
    uint32_t at = 0, cell;
    uint64_t coalesced = 0;
    while (state_changed_demand(state, &at, &cell))
        coalesced += note_record(pending, number, POOL_CELLS, cell);
    return coalesced;
}

void persist_changed(struct worker *worker, uint32_t number, struct state *state)
{
    if (worker->config->alone)
        return;
    uint64_t coalesced = note_changed(&worker->pending, number, state);
    metric_count(METRIC_mirror_coalesced_total, coalesced + note_demand(&worker->pending, number, state));
    note_ids(&worker->pending, number, state);
}

/* Deletions go first: what was deleted and came again is put behind them, as it is now. */
static void put_pending(struct worker *worker)
{
    struct pending *pending = &worker->pending;
    for (uint32_t i = 0; i < pending->deletes; i++) {
        const struct pending_delete *gone = &pending->gone[i];
        mirror_put(worker->mirror, gone->number, STATE_POOL_LETTER[gone->pool], gone->key, NULL, 0);
    }
    for (uint32_t i = 0; i < pending->records; i++) {
        const struct pending_record *record = &pending->record[i];
        const struct state_head *now = state_at(state_of(worker, record->number), (enum state_pool)record->pool, record->index);
        pending->listed[record->number][record->pool][record->index / 64] = 0; /* all bits: every one of them is in the list */
        if (!key_is_none(now->key))
            put(worker, record->number, (enum state_pool)record->pool, now);
    }
    for (uint32_t i = 0; i < pending->ids; i++)
        mirror_put_ids(worker->mirror, pending->id[i].number, pending->id[i].generation, pending->id[i].first,
                       &pending->id[i].word, 1);
    pending->records = pending->deletes = pending->ids = 0;
}

/* Time to send, whoever waits or not: the lists would not fit into a commit much longer. */
static bool is_long(const struct worker *worker)
{
    const struct pending *pending = &worker->pending;
    uint64_t bytes = (uint64_t)pending->records * (sizeof(union any_record) + 64) + (uint64_t)pending->deletes * 64 +
                     (uint64_t)pending->ids * 64;
    return bytes > worker->config->mirror_bytes_max / 4;
}

/* While the mirror has a commit that it has not begun to send, further changes gather here. */
void persist_send(struct worker *worker, bool now)
{
    struct pending *pending = &worker->pending;
    bool any = pending->records + pending->deletes + pending->ids > 0;
    bool due = now || !any || pending->awaited || is_long(worker) ||
               mono_ms() - pending->sent_ms >= worker->config->mirror_pace_ms;
    bool told = !any && pending->sent_seq == state_applied(worker->common);
    if (!due || (!now && (told || !mirror_idle(worker->mirror))))
        return;
    if (any)
        pending->sent_ms = mono_ms();
    put_pending(worker);
    pending->sent_seq = state_applied(worker->common);
    (void)mirror_commit(worker->mirror, pending->sent_seq);
    pending->awaited = false;
}

/* A batch that changed nothing is durable at once, if all before it is. */
void persist_batch_ended(struct worker *worker)
{
    worker->pending.awaited = worker->pending.awaited || worker->erased;
    if (!worker->config->alone)
        persist_send(worker, false);
}

/* ---- catching up after an outage ---------------------------------------------------------------------------- */

static bool sweep_begin(struct worker *worker)
{
    if (!mirror_wanted(worker->mirror, &worker->sweep.number, &worker->sweep.mark))
        return false;
    struct state *state = state_of(worker, worker->sweep.number);
    if (state == NULL)
        return false;
    worker->sweep.running = true;
    worker->sweep.pool = worker->sweep.index = 0;
    worker->sweep.id = 0;
    metric_add(METRIC_mirror_sweeps_total, 1);
    /* What was deleted after the mark still stands in Redis: then everything is sent, onto a clean sheet. So it is when Redis is of a
     * future that this worker does not know. The worker's own batch says that: a partition's is only the last one that touched it, and
     * marks are of the batch at which it was sent. */
    bool clean = state_deleted(state) > worker->sweep.mark || worker->sweep.mark > state_applied(worker->common);
    if (clean)
        worker->sweep.mark = 0;
    mirror_sweep_begins(worker->mirror, worker->sweep.number, clean);
    return true;
}

/* Ids carry no batch: both generations are written anew. Returns false when all are sent. */
static bool sweep_ids(struct worker *worker, const struct state *state)
{
    uint64_t room = state_ids_room(state), word[SWEEP_IDS];
    uint32_t generation = (uint32_t)(worker->sweep.id / room), count = 0;
    if (generation == STATE_ID_GENERATIONS)
        return false;
    bool first = worker->sweep.id % room == 0;
    for (uint32_t looked = 0; looked < SWEEP_ID_PLACES && count < SWEEP_IDS; looked++) {
        uint64_t place = worker->sweep.id % room;
        word[count] = state_id_at(state, generation, place);
        count += word[count] != 0;
        worker->sweep.id++;
        if (place + 1 == room)
            break;
    }
    mirror_put_ids(worker->mirror, worker->sweep.number, generation, first, word, count);
    return true;
}

static void sweep_records(struct worker *worker, struct state *state, size_t room)
{
    for (uint32_t looked = 0; looked < SWEEP_SLICE && worker->sweep.pool < POOL_COUNT && mirror_staged(worker->mirror) < room; looked++) {
        enum state_pool pool = (enum state_pool)worker->sweep.pool;
        worker->sweep.index = state_next_newer(state, pool, worker->sweep.index, worker->sweep.mark);
        if (worker->sweep.index >= state_end(state, pool)) {
            worker->sweep.pool++;
            worker->sweep.index = 0;
            continue;
        }
        const struct state_head *record = state_at(state, pool, worker->sweep.index++);
        if (!key_is_none(record->key) && record->seq > worker->sweep.mark)
            put(worker, worker->sweep.number, pool, record);
    }
}

/* No faster than Redis takes it: a partition may be larger than the whole queue, and what did not fit would be asked for again, for ever. */
bool persist_sweep_slice(struct worker *worker)
{
    size_t room = mirror_room(worker->mirror);
    if (room < SWEEP_SPARE + SWEEP_IDS * sizeof(uint64_t) || (!worker->sweep.running && !sweep_begin(worker)))
        return false;
    struct state *state = state_of(worker, worker->sweep.number);
    if (!sweep_ids(worker, state))
        sweep_records(worker, state, room - SWEEP_SPARE);
    bool sent = mirror_commit(worker->mirror, state_applied(worker->common));
    if (!sent) { /* Redis went away again: it will ask again */
        worker->sweep.running = false;
    } else if (worker->sweep.pool == POOL_COUNT) {
        worker->sweep.running = false;
        persist_send(worker, true); /* what changed behind the sweep's back: the mark is about to vouch for it */
        mirror_swept(worker->mirror, worker->sweep.number, state_applied(worker->common));
    }
    return sent;
}

/* ---- loading -------------------------------------------------------------------------------------------------- */

struct loading {
    struct state *state;
    uint32_t number;
    uint64_t loaded, refused;
    bool     wanted;    /* some of those refused are of another version, or had no room: somebody may want them back */
    int64_t  newest_ms; /* latest tick that a record gives away */
};

static bool stored_is_valid(enum state_pool pool, struct rialto_key key, const union any_record *record)
{
    return key_equal(record->head.key, key) && !key_is_none(key) && (int)pool < POOL_COUNT;
}

/* What is added to what orders used up must not overflow. */
static void units_heal(struct offer_record *offer)
{
    offer->units_micro = clamp_i64(offer->units_micro, 0, RIALTO_BOUND_MAX);
    offer->ordered_micro = clamp_i64(offer->ordered_micro, 0, RIALTO_BOUND_MAX);
}

/* What is added to a time of a record must not overflow. */
static void times_heal(int64_t *const time_ms[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        *time_ms[i] = clamp_i64(*time_ms[i], 0, STORED_TIME_MAX);
}

static void customer_heal(struct customer_record *customer)
{
    times_heal((int64_t *const[]){ &customer->consent_time_ms, &customer->zone_time_ms, &customer->zone_until_ms }, 3);
    if (customer->segment_count > TERMS_SEGMENTS_MAX)
        customer->segment_count = TERMS_SEGMENTS_MAX;
    affinity_heal(&customer->affinity);
}

static void offer_heal(struct offer_record *offer)
{
    times_heal((int64_t *const[]){ &offer->time_ms, &offer->from_ms, &offer->until_ms, &offer->lock_from_ms,
                                   &offer->lock_until_ms, &offer->units_time_ms },
               6);
    units_heal(offer);
    offer->time_kinds &= CUSTOMER_KINDS;
}

/* Every text of a record must end within its room, whatever Redis holds. */
static void end_texts(enum state_pool pool, union any_record *record)
{
#define END(text) (text)[sizeof(text) - 1] = '\0'
    switch (pool) {
    case POOL_PRODUCTS:
        END(record->product.sku), END(record->product.category), END(record->product.title), END(record->product.attributes.names);
        break;
    case POOL_CELLS:
        END(record->cell.zone);
        if (record->cell.competitors > COMPETITORS_MAX)
            record->cell.competitors = COMPETITORS_MAX;
        break;
    case POOL_CUSTOMERS:
        END(record->customer.id), END(record->customer.tier), END(record->customer.zone);
        for (unsigned i = 0; i < TERMS_SEGMENTS_MAX; i++)
            END(record->customer.segment[i]);
        for (unsigned i = 0; i < CONSENT_KINDS; i++)
            END(record->customer.note[i].source), END(record->customer.note[i].text);
        customer_heal(&record->customer);
        break;
    case POOL_OFFERS:
        END(record->offer.sku), END(record->offer.issued_model), END(record->offer.issued_version), END(record->offer.issued_name);
        offer_heal(&record->offer);
        break;
    case POOL_SOURCES:
    case POOL_BUDGETS:
        break;
    default:
        END(record->zone.name), END(record->zone.parent), END(record->zone.region), END(record->zone.attributes.names);
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

static void load_ids(struct loading *loading, const void *value, size_t bytes)
{
    uint64_t word, most = state_ids_room(loading->state);
    for (size_t at = 0; at + sizeof word <= bytes && at / sizeof word < most; at += sizeof word) {
        memcpy(&word, (const char *)value + at, sizeof word);
        state_load_id(loading->state, word);
    }
}

bool persist_read(char kind, struct rialto_key key, const void *value, size_t bytes, enum state_pool *ret_pool, union any_record *ret)
{
    struct stored_head head = {0};
    enum state_pool pool = POOL_PRODUCTS;
    while (pool < POOL_COUNT && STATE_POOL_LETTER[pool] != kind)
        pool++;
    if (pool == POOL_COUNT || bytes < sizeof head)
        return false;
    const char *packed = (const char *)value + sizeof head;
    memset(ret, 0, sizeof *ret);
    memcpy(&head, value, sizeof head);
    bytes -= sizeof head;
    if (head.layout != STATE_RECORDS || bytes % sizeof(uint64_t) != 0 || head.checksum != checksum_of(packed, bytes) ||
        !packed_take(packed, bytes, ret, state_record_bytes(pool)))
        return false;
    end_texts(pool, ret);
    *ret_pool = pool;
    return stored_is_valid(pool, key, ret);
}

/* Whose it is. A record in a hash of another partition would stand where nobody looks for it, and be in the way of the right one. */
static uint32_t partition_of(uint32_t number, enum state_pool pool, const union any_record *record)
{
    switch (pool) {
    case POOL_CELLS: return key_partition(record->cell.product);
    case POOL_OFFERS: return key_partition(record->offer.customer);
    case POOL_ZONES: return RIALTO_PARTITIONS;
    case POOL_SOURCES: return number; /* of whatever they sent */
    default: return key_partition(record->head.key);
    }
}

static bool is_of_version(const void *value, size_t bytes)
{
    struct stored_head head;
    if (bytes < sizeof head)
        return false;
    memcpy(&head, value, sizeof head);
    return head.layout > 0 && head.layout != STATE_RECORDS && head.layout <= VERSIONS_MAX;
}

/* Of a customer the log says nothing, not even a hash. */
static void refuse(struct loading *loading, char kind, struct rialto_key key, const char *why)
{
    bool known = memchr(STATE_POOL_LETTER, kind, sizeof STATE_POOL_LETTER) != NULL;
    char field[36] = "-";
    if (loading->refused++ >= REFUSED_NAMED)
        return;
    if (known && kind != STATE_POOL_LETTER[POOL_CUSTOMERS] && kind != STATE_POOL_LETTER[POOL_OFFERS])
        (void)snprintf(field, sizeof field, "%016llx%016llx", (unsigned long long)key.hi, (unsigned long long)key.lo);
    log_line(LOG_WARNING, "RECORD-REFUSED", "partition=%u field=%c:%s why=\"%s\"", loading->number,
             known ? kind : MIRROR_KIND_ODD, field, why);
}

static void load_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    struct loading *loading = user;
    if (kind == MIRROR_KIND_IDS) {
        load_ids(loading, value, bytes);
        return;
    }
    union any_record record;
    enum state_pool pool;
    static const char NO_ROOM[] = "no room";
    const char *why = NULL;
    if (kind == MIRROR_KIND_ODD)
        why = "no record at all";
    else if (!persist_read(kind, key, value, bytes, &pool, &record))
        why = is_of_version(value, bytes) ? "of another version" : "damaged";
    else if (partition_of(loading->number, pool, &record) != loading->number)
        why = "belongs to another partition";
    else if (!state_load(loading->state, pool, &record.head)) {
        if (state_find(loading->state, pool, key) != STATE_NONE)
            return; /* HSCAN may tell a field twice */
        why = NO_ROOM;
    }
    if (why != NULL) {
        loading->wanted = loading->wanted || is_of_version(value, bytes) || why == NO_ROOM;
        refuse(loading, kind, key, why);
        return;
    }
    loading->loaded++;
    int64_t tick_ms = tick_of_record(pool, &record);
    if (tick_ms > loading->newest_ms)
        loading->newest_ms = tick_ms;
}

enum rialto_status persist_load(const struct worker *worker, uint32_t number, struct state *state, int64_t tick_ms, struct restored *ret)
{
    struct loading loading = { .state = state, .number = number, .newest_ms = tick_ms };
    *ret = (struct restored){ .mark = 0 };
    enum rialto_status status = mirror_load(worker->config, number, worker->config->redis_timeout_ms, load_record, &loading,
                                            &ret->mark);
    if (status != RIALTO_OK)
        return status;
    ret->newest_ms = loading.newest_ms;
    uint64_t orphans = restart_fill(worker, state, loading.newest_ms);
    /* What is not believed does not stay there either: it may be somebody's whom nobody could forget any more. The first sweep begins a clean sheet. */
    if (loading.refused + orphans > 0 && !loading.wanted)
        state_set_deleted(state, ret->mark + 1);
    metric_add(METRIC_restore_refused_total, loading.refused);
    metric_add(METRIC_restore_refused, loading.refused);
    metric_add(METRIC_restore_orphans_total, orphans);
    if (loading.loaded + loading.refused > 0)
        log_line(loading.refused > 0 ? LOG_WARNING : LOG_DEBUG, "STATE-LOADED",
                 "partition=%u records=%llu refused=%llu orphans=%llu mark=%llu", number,
                 (unsigned long long)loading.loaded, (unsigned long long)loading.refused, (unsigned long long)orphans,
                 (unsigned long long)ret->mark);
    return RIALTO_OK;
}
