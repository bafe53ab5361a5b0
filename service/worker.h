/* worker.h - a worker's insides: what its files share. A worker is one thread that owns partitions; mirror and publisher are
 * threads beside it that never touch any of this.
 *
 *   batch --> timers up to the tick --> apply_*.c: records --> reprice.c: prices in records --> commit
 *         --> lines.c: shared memory --> mirror --> ACK
 *
 * Invariant  a line is a function of committed state and tick. Nothing here reads a clock to price. */
#ifndef SERVICE_WORKER_H
#define SERVICE_WORKER_H

#include "cache/table.h"
#include "cache/zone_path.h"
#include "pricing/model.h"
#include "service/change.h"
#include "service/config.h"
#include "service/journal.h"
#include "service/mirror.h"
#include "service/past.h"
#include "service/publisher.h"
#include "service/silence.h"
#include "service/state.h"
#include "service/timers.h"
#include "service/wire.h"

#include <rialto/quote.h>

#define REPRICE_GRID_MS 1000 /* prices that move with time are computed again this often, in service time */
#define REPRICE_MOMENTS 10u  /* in that time, and a product has its turn at one of them: no tick computes all */

/* A zone as this worker sees it: names resolved once. Private memory; found anew when a zone signal changes the picture. */
struct place {
    struct rialto_key key;
    uint32_t picture;              /* worker.picture that the rest belongs to */
    uint32_t chain_count;          /* own zone first; the world is not listed */
    struct rialto_key chain[RIALTO_ZONE_LEVELS - 1];
    char     name[RIALTO_ZONE_LEVELS - 1][RIALTO_ID_MAX];
    uint32_t record[RIALTO_ZONE_LEVELS]; /* in the common pool, per level and last the world; STATE_NONE = none */
    uint8_t  policies;                   /* what holds there now: index into models->policies.mask */
};
_Static_assert(POLICY_MASKS_MAX <= UINT8_MAX, "place.policies counts them");

/* What follows from records, zones and models. Private memory that nobody fills at a start: cells_ready() does it product by product,
 * when one is looked at first. */
#define CELLS_AROUND_MAX 64u /* steps from a cell to those around it: zones may have been declared to lie in each other */
struct cell_extra { /* beside each cell record */
    uint32_t parent;       /* nearest cell of the same product around this one; STATE_NONE for the outermost */
    uint32_t place;        /* in worker.place */
    int32_t  model;        /* -1: no list price or no model here */
    uint32_t slot;         /* of its line, + 1; 0 = not known: a line keeps its slot as long as it has its key */
};

struct product_extra { /* beside each product record */
    uint32_t picture;      /* worker.picture that the extras of its cells belong to; 0 = none yet */
    uint32_t slot;         /* of its line, + 1; 0 = not known */
    uint16_t moment_ms;    /* in REPRICE_GRID_MS: its turn when prices that move are computed. Set with `picture` */
    bool     dirty;
};

struct partition {
    uint32_t number;
    uint64_t *busy;        /* worker.busy */
    struct state *state;
    struct cell_record   *record;  /* all cell records: state_at(), without a call */
    struct cell_extra    *cell;
    struct product_extra *product;
    uint32_t *zone_slot;   /* by place: of the zone's line in this partition, + 1; 0 = to be written anew when it is needed */
    uint32_t  zone_slot_room;
    uint32_t  locks;       /* records of offers with a lock, once they were counted */
    bool      locks_counted;
    uint32_t *dirty;       /* products to price at the end of this batch */
    uint32_t  dirty_count;
    bool      pricelist_stale;        /* its file of list prices is not what its lines are (pricelist.h) */
    int64_t   pricelist_ms;           /* when that was last written */
    uint32_t  dirty_due;           /* the first of them have a deadline in the file: they are priced even if we die before */
};

/* Lines of prices that moved, made while these are computed; they are written behind the commit (lines_cell.c). Of one partition at a time. */
struct staged {
    struct staged_line *line;
    uint32_t count, room;
};

/* What is still to be done after a start, in steps beside going on (restart.c). */
struct restart {
    uint64_t models;               /* hash of what prices rest on besides state: models, settings, version */
    bool     repricing;            /* some partition's lines may be those of other models */
    uint32_t told;                 /* partitions before this are known to be published for ours */
    uint32_t kind, number, index;  /* next record to price or publish again: products or customers, partition, place */
    bool     warming;
    uint32_t warm_number, warm_index; /* next product whose cells are made ready */
};

/* Findings told with one acknowledgement. The largest batch (batch_signals_max) has at most three parts a signal, and none is taken
 * while more than a quarter is in use: none is ever lost. */
#define FINDINGS_MAX 65536u
_Static_assert(3 * 16384 <= FINDINGS_MAX / 4 * 3, "the largest batch fits behind a quarter");

struct ready_models { /* loaded and numbered */
    uint64_t number;  /* of their change; 0 = none */
    struct model_set *set;
    uint16_t (*rule)[MODEL_CURRENCIES_MAX];
};

/* What Redis is still to be told (persist.c): which records, not what is in them, so that a record that changes a thousand times
 * until the next transaction is sent once, as it is then. */
struct pending {
    struct pending_record {
        uint32_t index;
        uint8_t  number, pool; /* of the partition, or MIRROR_COMMON */
    } *record;
    struct pending_delete {
        struct rialto_key key;
        uint8_t number, pool;
    } *gone;
    struct pending_id {
        uint64_t word;
        uint8_t  number, generation;
        bool     first;
    } *id;
    uint32_t records, record_room, deletes, delete_room, ids, id_room;
    uint64_t *listed[MIRROR_COMMON + 1u][POOL_COUNT]; /* bit per record: it is in the list */
    int64_t  sent_ms;
    uint64_t sent_seq;      /* batch of the last commit */
    bool     awaited;       /* somebody waits until it is there */
};

#define ERASURES_KEPT 256u /* a receipt is asked for within milliseconds */

/* A record of the batch that is being applied (plan.c). Of demand's product parts what they say is read already. */
struct planned {
    size_t at;                 /* in the message */
    struct wire_demand demand; /* sku NULL: another kind of record, and nothing below is set */
    struct rialto_key sku, cell_key;
    uint32_t place;                 /* STATE_NONE: no memory for it */
    uint32_t product, cell, around; /* perhaps these; STATE_NONE */
    uint16_t reason;                /* enum signal_reason, once it was applied */
    uint8_t partition;
};

struct worker {
    const struct config *config;
    uint32_t index;
    struct cache *cache;
    struct rialto_control *control;
    struct zone_levels levels;
    struct model_set *models;
    uint16_t (*rule)[MODEL_CURRENCIES_MAX]; /* row of rules per model, set of policies and currency */
    struct change change;          /* in force */
    struct ready_models next;      /* of a change that may come */
    struct diff *diff;             /* a comparison that is being made, or NULL */
    uint32_t held;                 /* prices that its newest order to freeze holds, counted as it came into force, plus 1; 0 = not counted */
    uint64_t change_due;           /* a record of this batch says so; 0 = none */
    struct state *common;
    struct partition partition[RIALTO_PARTITIONS]; /* only the owned ones are open */
    uint64_t busy;                 /* bit of each that may have something to commit or to price: most batches touch one or two of 64 */
    uint64_t finished;             /* bit of each that has this batch, and Redis is still to be told */
    uint64_t refused;              /* bit of each with records that found no line: a table could not grow */
    int64_t refused_retry_ms;      /* not tried again before */
    bool zones_refused;            /* lines of zones among them */
    struct commons *commons;       /* gather.h */
    struct staged staged;
    uint32_t picture;              /* of zones and models; moves on when what follows from them is to be found anew */
    struct timers due;             /* deadlines that this batch comes to */
    int64_t  fired_ms;             /* tick up to which deadlines have been looked at by this process */
    struct restart restart;
    struct place *place;
    uint32_t place_count, place_room;
    uint32_t *place_slot;          /* hash index over place: index + 1 */
    uint32_t  place_mask;
    int64_t  models_change_ms;     /* when a model begins or ends next, or a month that models look at; INT64_MAX = never */
    struct local_clock month_clock; /* of month_zone */
    bool     terms_stale;          /* lines of terms are to be written anew after this batch's commit */
    bool     located_stale;        /* those of customers who are somewhere: a zone lies elsewhere now, or in another one */
    bool     zones_changed;        /* places and cell parents are to be built anew at the end of this batch */
    bool     zone_lines_stale;     /* lines of zones are to be written anew after this batch's commit */
    struct erasure {               /* what forgets removed, for their receipts; no id, no hash of one */
        uint64_t id_hash;          /* of the forget signal */
        uint64_t forgets;          /* publisher_forgets_ordered() with it */
        uint8_t  consent;          /* RIALTO_KIND_* that were permitted */
        bool     record, tier, spend, zone, affinity;
        uint32_t segments, offers, locks, offer_events, consents; /* offer_events: products of which something was counted for models' offers, or
                                      of which one was made; consents: what was said of a kind: granted or refused */
        uint32_t offer_times;      /* products of which the time of the shop's last word was kept */
    } erasure[ERASURES_KEPT];      /* ring */
    uint32_t erasures;             /* ever */
    uint64_t deletions;            /* publisher_deletions(), as last seen */
    uint64_t id_hash;              /* of the record that is being applied */
    struct demand_act act;         /* of the demand that was counted last */
    struct planned *plan;          /* of the batch that is applied, as its records come */
    uint32_t *plan_order;          /* in which they are applied */
    uint32_t plan_count, plan_room;
    bool     erased;               /* a forget was in this batch: journals are wiped after it */
    struct mirror *mirror;
    struct pending pending;
    struct {                       /* a catch-up of Redis that is under way */
        bool     running;
        uint32_t number;           /* partition, or MIRROR_COMMON */
        uint64_t mark;             /* records newer than this are sent */
        uint32_t pool, index;      /* next record to look at */
        uint64_t id;               /* next place for an id, through both generations */
    } sweep;
    struct publisher *publisher;
    struct listing *listing;       /* a file of list prices that is being written, or NULL */
    struct journal journal;
    struct silence_watch silence;
    struct past *past;             /* NULL until the lines stand as they were left */
    int64_t  moment_us;            /* of the batch that is applied: its tick, and behind it which batch of this tick it is; for `past` */

    uint64_t batch;                /* being applied */
    int64_t  tick_ms;
    int64_t  priced_ms;            /* tick of the last batch after which prices were computed */
    struct wire_finding finding[FINDINGS_MAX];
    uint32_t finding_count;
    bool     redis_disk;
    const char *poison_sku;        /* a test's fault point: die of this product's records; NULL outside of tests */
};

/* worker_rule_hash - the hash in the rows of rules of a model under what holds in a place. */
static inline uint64_t worker_rule_hash(const struct worker *worker, const struct model *model, const struct place *place)
{
    return model_rule_hash(worker->models, model, place->policies);
}

static inline bool worker_owns(const struct worker *worker, uint32_t partition)
{
    return partition % worker->config->workers == worker->index;
}

/* worker_world.c: setting up and taking down everything above. */
enum rialto_status worker_setup(const struct config *config, uint32_t index, struct worker *worker);
void               worker_teardown(struct worker *worker);

/* worker.c: tell readers that the partitions' owner lives. */
void worker_beat(struct worker *worker);

/* change_over.c: models and frozen prices come into force. change_over() is called within a batch; false: they cannot be
 * loaded, and this worker has to end. */
enum rialto_status change_over_setup(struct worker *worker);
bool change_over(struct worker *worker, uint64_t number);
void ready_models_free(struct ready_models *ready);
enum hold { HOLD_NOT, HOLD_LIST, HOLD_LAST };
enum hold change_hold(const struct worker *worker, const struct product_record *product, uint32_t place);
static inline bool change_holds(const struct worker *worker) /* is any price held? */
{
    return worker->change.freeze_count > 0 || worker->change.mode == RIALTO_MODE_FROZEN;
}

/* Offers and locks may end by the million in one millisecond, at midnight say. Readers see an end by themselves; what is left to do, records and
 * lines to take away, is done for so many of a partition at each tick, and for a few more with each customer part that it takes. */
#define OFFERS_A_TICK 16u
#define OFFERS_A_PART 4u

/* batch.c: apply one message of records. Returns false if the message is malformed (nothing is applied). */
bool batch_apply(struct worker *worker, const uint8_t *bytes, size_t size);

/* places.c */
uint32_t place_of(struct worker *worker, const char *zone); /* STATE_NONE when memory ran out */
uint32_t place_now(struct worker *worker, uint32_t place);  /* the same place, as it lies now */
/* place_position - where the zone around at this level lies, 1e-6 degrees. False: nobody said. */
bool     place_position(const struct worker *worker, const struct place *place, uint32_t level, int64_t ret_micro[2]);
void     places_moved(struct worker *worker); /* zones changed: places and links are found anew when they are next used */
void     places_rebuild(struct worker *worker);
/* places_policies - which policies hold where, anew: after a change of models or in time. */
void     places_policies(struct worker *worker);
bool     places_chain(struct worker *worker, const char *zone, struct zone_chain *ret);

/* plan.c - reads a batch's records: false if one is not valid, not this worker's, or memory ran out; then none of them is to be applied.
 * plan_fetch - before the `turn`-th is applied, plan[plan_order[turn]]: fetches what those behind it will need. */
bool plan_batch(struct worker *worker, const uint8_t *bytes, size_t size, uint32_t count);
void plan_fetch(struct worker *worker, uint32_t turn);

/* apply_product.c, apply_common.c, apply_customer.c: one record each; the state is open. */
enum signal_reason apply_product_part(struct worker *worker, struct partition *partition,
                                      const struct signal *signal); /* not of demand */
enum signal_reason apply_demand_part(struct worker *worker, struct partition *partition, const struct wire_record *head,
                                     const struct planned *planned);
enum signal_reason apply_common_part(struct worker *worker, const struct signal *signal);
enum signal_reason apply_customer_part(struct worker *worker, struct partition *partition, const struct signal *signal);
enum signal_reason apply_watch(struct worker *worker, const struct partition *partition, const struct signal *signal);
/* attributes_take - what a signal says of a product's or zone's attributes, unless something newer is known. apply_common.c */
void attributes_take(struct attributes_said *said, const struct signal *signal);
int64_t customer_due_ms(const struct worker *worker, const struct customer_record *record); /* 0 = never */
int64_t offer_due_ms(const struct worker *worker, const struct offer_record *record);
/* offer_time_ends_ms - of a customer and product without an offer, since the shop took it back or another took its place: until then the time of the
 * shop's last word is remembered, so that an older one that arrives late does not count. 0 = it is not. */
int64_t offer_time_ends_ms(const struct worker *worker, const struct offer_record *record);
/* offer_gives - is there an offer, and something left of it? What is used up is remembered to its end, so that the same signal does not give it
 * again. offer_is_shown - does it have a line? Else it only remembers that, or what may lead to an offer of a model, or that there was one. */
static inline bool offer_gives(const struct offer_record *record)
{
    return record->kind != RIALTO_OFFER_NONE && (record->units_micro == 0 || record->ordered_micro < record->units_micro);
}
static inline bool offer_is_shown(const struct offer_record *record)
{
    return offer_gives(record) || record->locked != 0;
}
void apply_customer_timer(struct worker *worker, struct partition *partition, uint32_t index);
void apply_offer_timer(struct worker *worker, struct partition *partition, uint32_t index);
void offers_end(struct worker *worker, struct partition *partition,
                const struct signal *signal);      /* those of its customer whose end has come */
uint32_t locks_count(struct partition *partition); /* looks through the offers once, when it is asked first */

/* once.c: was this part counted before, and it counts now; the state is open. once_check: REASON_none, duplicate, or table_full.
 * *ret_source is for once_remember(): the record of a source that numbers its signals, or STATE_NONE. */
enum signal_reason once_check(const struct worker *worker, struct state *state, const struct wire_record *head,
                              uint32_t *ret_source);
void once_remember(const struct worker *worker, struct state *state, const struct wire_record *head, uint32_t source);

/* room.c: state_insert(), and where there is no room a count and, the first time, a log line that names the setting. */
uint32_t room_insert(struct state *state, enum state_pool pool, struct rialto_key key);
void     room_refused(const struct state *state, enum state_pool pool);

/* restart.c: going on from what is there, and what may follow beside it. */
uint64_t restart_fill(const struct worker *worker, struct state *state, int64_t tick_ms); /* a state that was loaded: its lists and deadlines. Returns how many records were let go */
bool     restart_attach(struct worker *worker, struct partition *partition); /* true: all its lines were published anew */
void     restart_zones(struct worker *worker, bool all);
void     restart_begin(struct worker *worker);  /* after the last partition */
void     restart_models(struct worker *worker); /* in a batch that prices and publishes everything for other models */
void     restart_step(struct worker *worker);   /* behind each commit: a bounded part of pricing again for other models */
bool     restart_warm(struct worker *worker);  /* when idle; false: nothing is left */

/* cells.c: the cells of a product and how they hang together. Extras are read behind cells_ready() only. */
bool     cells_setup(struct partition *partition);
/* cell_get - `guess`: perhaps this one, or STATE_NONE. */
uint32_t cell_get(struct worker *worker, struct partition *partition, uint32_t product, uint32_t place, uint32_t level,
                  uint32_t guess);
void     cells_ready(struct worker *worker, struct partition *partition, uint32_t product);
void     cells_relink(struct worker *worker, struct partition *partition, uint32_t product);
/* cells_priced_by - which model prices those cells whose price rests on this one's list price, which is new; STATE_NONE: all of them. */
void     cells_priced_by(struct worker *worker, struct partition *partition, uint32_t product, uint32_t priced);
/* Who prices this cell now: an index into the set, or -1. */
int32_t  cell_model(const struct worker *worker, const struct model_set *set, const struct partition *partition,
                    const struct product_record *product, uint32_t cell);
/* cell_maker - which model of the set made the price that stands; -1: none of them. Days end without a successor, and zones move: what stands
 * then goes on to stand, over restarts too, for as long as its model is there. cell_model_of_price - who prices it now, or else its maker. */
int32_t cell_maker(const struct worker *worker, const struct model_set *set, const struct partition *partition,
                   uint32_t cell);
int32_t cell_model_of_price(const struct worker *worker, const struct partition *partition, uint32_t cell);
void     cells_open_zones(struct worker *worker, struct partition *partition, uint32_t product); /* within a batch */
uint32_t cell_nearest(const struct worker *worker, const struct partition *partition, struct rialto_key product,
                      const struct place *place); /* at or around a place; STATE_NONE */
int      cell_model_at(const struct worker *worker, const struct partition *partition, uint32_t product, uint32_t priced,
                       uint32_t place); /* who would price it there, from that list price; -1 */
static inline const struct cell_record *cell_at(const struct partition *partition, uint32_t cell)
{
    return &partition->record[cell];
}

/* cell_priced - the nearest cell with a list price, itself first. */
static inline uint32_t cell_priced(const struct partition *partition, uint32_t cell)
{
    for (uint32_t steps = 0; cell != STATE_NONE && cell_at(partition, cell)->list == 0; steps++)
        cell = steps < CELLS_AROUND_MAX ? partition->cell[cell].parent : STATE_NONE;
    return cell;
}

/* cell_costed - this one, or the nearest around it that says a cost in its currency; STATE_NONE. cell_cost - what it says; -1. */
uint32_t cell_costed(const struct partition *partition, uint32_t priced);
int64_t cell_cost_around(const struct partition *partition, uint32_t priced);
static inline int64_t cell_cost(const struct partition *partition, uint32_t priced)
{
    const struct cell_record *record = cell_at(partition, priced);
    return record->list > 0 && record->cost >= 0 ? record->cost : cell_cost_around(partition, priced);
}

/* reprice.c */
void product_dirty(struct partition *partition, uint32_t product);
void reprice_dirty(struct worker *worker, struct partition *partition);

struct input_origin {      /* where the value of an input comes from */
    const char *zone;      /* NULL = nothing was ever heard of it; lives as long as the record */
    int64_t time_ms;       /* when it was observed */
    int64_t until_ms;      /* when it is too old; 0 = no end */
};

/* gather.c: reprice_look - the inputs of a cell as they were at now_ms, for somebody who asks why or what if; changes nothing.
 * `origins` may be NULL. False: it has no list price. */
bool reprice_look(const struct worker *worker, const struct partition *partition, uint32_t cell,
                  const struct model *model, int64_t now_ms, struct input_origin origins[INPUT_SLOTS],
                  struct price_inputs *ret);

/* ask.c: the answer to a question of the gateway's, as JSON text to be freed; NULL: it takes longer (diff.h). Changes
 * nothing that prices rest on. */
char *ask_answer(struct worker *worker, const char *text, size_t bytes);

/* lines.c: from committed records to shared memory. */
void lines_publish_changed(struct worker *worker, struct partition *partition);
/* lines_stage - in the batch, while the price of a cell that just moved is at hand: its line is made, and waits for the commit. `old`: what was
 * published before, with head, list and currency; `changed`: its number among what the batch changed in the partition. What has no line yet, or may
 * ask for more than to write it again, is left to the commit. */
void lines_stage(struct worker *worker, struct partition *partition, uint32_t cell, uint32_t product,
                 const struct cell_record *old, uint32_t changed);
void staged_free(struct staged *staged);
/* lines_tell_revoked - behind that, for a batch in which somebody took a consent back: their quotes in Redis rest on it no more. */
void lines_tell_revoked(const struct worker *worker, const struct partition *partition);
void lines_publish_all(struct worker *worker, struct partition *partition);
/* lines_retry_refused - behind a batch: where the file system of the tables was full and has room again, the lines of a partition that found
 * none are written. */
void lines_retry_refused(struct worker *worker);
void lines_publish_terms(struct worker *worker);
/* lines_publish_located - of customers who are in a zone alone. */
void lines_publish_located(struct worker *worker);
void lines_publish_customer(struct worker *worker, struct partition *partition, uint32_t customer);
void lines_publish_zones(struct worker *worker);
void terms_inputs_fill(struct worker *worker, const struct customer_record *record, struct terms_inputs *in);

/* persist.c: records to the mirror and back. */
bool persist_setup(struct worker *worker); /* when all states are open. False: out of memory */
void persist_teardown(struct worker *worker);
void persist_changed(struct worker *worker, uint32_t number, struct state *state); /* note what the last batch changed */
void persist_batch_ended(struct worker *worker);
void persist_send(struct worker *worker, bool now); /* what was noted, if it is time (or now), becomes a transaction */
bool persist_sweep_slice(struct worker *worker); /* false: nothing is to be caught up */
/* persist_read - one record as mirror_load() hands it out: its pool and image, whose texts end. False: it is none of this layout. */
bool persist_read(char kind, struct rialto_key key, const void *value, size_t bytes, enum state_pool *ret_pool, union any_record *ret);
/* persist_load - fill a fresh file from Redis. Any thread, one for each partition: of the worker, only config is looked at. state_set_applied() with
 * the mark is left to the caller. */
struct restored {
    uint64_t mark;      /* what is in it goes up to this batch */
    int64_t  newest_ms; /* time must not go back behind this: tick_ms, or what its records give away */
};
enum rialto_status persist_load(const struct worker *worker, uint32_t number, struct state *state, int64_t tick_ms, struct restored *ret);

/* restore.c: all partitions' states and lines, from their files or out of Redis. *ret_took_over: files of a dead process were there. */
enum rialto_status restore_all(struct worker *worker, bool *ret_took_over);
#endif
