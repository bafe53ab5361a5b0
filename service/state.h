/* state.h - what a worker must not forget: mapped records of one partition, with an undo journal.
 *
 *   begin(batch) -> touch(record) saves its old image, then change it -> commit: applied = batch   (one word)
 *
 * File       DATA_DIR/state/pNN.v14, or common.wK.v14 for the zones that every worker keeps for itself. Mode 0600, never mapped into
 *            readers. The kernel keeps the pages when a process dies; the boot id in the header tells when it could not.
 * Invariant  journal.batch == applied + 1: a batch was open, its images undo it. journal.batch == applied: it is whole.
 * Crash      state_open() undoes an open batch. Indexes, free lists, lists of owners and deadlines lie in the file and are journalled like
 *            records, so that an open costs what the last batch changed, however many records there are.
 * Owner      one thread of one worker. */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H

#include "cache/fetch.h"
#include "pricing/demand.h"
#include "pricing/model.h"
#include "service/ahead.h"
#include "service/config.h"
#include "service/signal.h"

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_MAGIC  UINT64_C(0x5453544C41495231)
#define STATE_LAYOUT  14u /* of the files */
#define STATE_RECORDS 12u /* of the records, as Redis holds them */
#define STATE_STORED_HEAD 8u /* bytes ahead of a record there */
#define STATE_NONE   UINT32_MAX
#define STATE_BLOCK  64u /* records that share one word of "changed since" */

enum state_pool { POOL_PRODUCTS, POOL_CELLS, POOL_CUSTOMERS, POOL_OFFERS, POOL_ZONES, POOL_SOURCES, POOL_BUDGETS, POOL_COUNT };
extern const char STATE_POOL_LETTER[POOL_COUNT]; /* 'p', 'c', 'u', 'o', 'z', 's', 'b': kinds in Redis */

/* Every record begins with this. A zero key is a free record. */
struct state_head {
    struct rialto_key key;
    uint64_t seq;                 /* batch of its last change */
};

#define SELLER_BYTES 6u
struct product_record {
    struct state_head head;       /* key: sku */
    char     sku[RIALTO_ID_MAX];
    char     category[RIALTO_ID_MAX];
    char     title[96];
    uint8_t  unit, tax;           /* as in rialto_product_line */
    uint8_t  seller[SELLER_BYTES];         /* keyed hash of whose product it is, never all zeros; zeros: nobody's in particular */
    struct attributes_said attributes;
};

#define COMPETITORS_MAX 4u
struct competitor_price {
    uint64_t name_hash;           /* 0 = unused */
    int64_t  amount;              /* minor units */
    int64_t  time_ms;
    int64_t  until_ms;            /* 0 = the model's age limit */
};

/* In lines of the processor's cache. A price is made of the first four where no demand is counted and no competitor is known, and it is
 * written into two of them: what is moved to and fro for a million prices is these lines, and no more. */
struct cell_record {
    struct state_head head;       /* key: sku (+) zone */
    /* what product signals said here; list 0 = nothing */
    int64_t  list;
    int64_t  promotion_micro;     /* 0 = none */
    int64_t  promotion_until_ms;  /* 0 = until the next product signal */
    uint16_t currency;            /* ISO number, of list */
    uint8_t  competitors;         /* places in use */
    uint8_t  reserved_inputs;
    uint32_t event_count;         /* ever, saturating; 0 = nothing in demand and rates */
    int64_t  supply_time_ms;      /* 0 = never */

    int64_t  available_micro, capacity_micro; /* capacity 0 = not known */
    int64_t  stock_expires_ms;    /* 0 = not known */
    int64_t  cost;                /* -1 = not known */
    int64_t  product_time_ms;
    struct rialto_key product;
    uint16_t competitor_currency[COMPETITORS_MAX]; /* ISO numbers, of competitor[].amount */

    /* what stands published: two lines */
    int64_t  published, published_list, floor, ceiling, changed_ms; /* published 0 = nothing yet */
    int64_t  reference, reference_ms; /* price at the beginning of the window of largest_rise; 0 = none */
    uint64_t model_hash;          /* of the model that published */
    int32_t  factor_micro[MODEL_FACTORS_MAX];
    uint16_t published_currency;  /* ISO number, of all amounts published */
    uint8_t  opened;              /* has a line of its own */
    uint8_t  guards;              /* GUARD_* that spoke last */
    uint32_t reserved_price[3];

    struct demand demand;
    struct demand_rates rates;

    struct competitor_price competitor[COMPETITORS_MAX];

    char     zone[RIALTO_ID_MAX]; /* "" = the world */
};
_Static_assert(offsetof(struct cell_record, available_micro) == 64 && offsetof(struct cell_record, published) == 128 &&
               offsetof(struct cell_record, factor_micro) == 192 && offsetof(struct cell_record, demand) == 256 &&
               offsetof(struct cell_record, rates) == 320 && offsetof(struct cell_record, competitor) == 384 &&
               sizeof(struct cell_record) == 576, "whole lines of the processor's cache: a file's records begin at a page");

#define CUSTOMER_KINDS     0x1Fu /* RIALTO_KIND_* in consent */
#define CUSTOMER_OPTED_OUT 0x80u /* in consent: no kind is permitted, and none will be until the opt-out is taken back */
struct customer_consent { /* of one kind: what was said last */
    uint32_t time_s;              /* Unix time; 0 = nothing was said */
    char     source[CONSENT_SOURCE_MAX], text[CONSENT_TEXT_MAX];
};
struct customer_record {
    struct state_head head;       /* key: customer */
    char     id[RIALTO_ID_MAX];
    uint8_t  consent;             /* RIALTO_KIND_*, or CUSTOMER_OPTED_OUT */
    uint8_t  segment_count;
    uint16_t spend_currency;      /* 0 = no spend known */
    uint32_t offer_count;
    int64_t  consent_time_ms;     /* of the newest customer signal */
    char     tier[RIALTO_NAME_MAX];
    char     segment[TERMS_SEGMENTS_MAX][RIALTO_NAME_MAX];
    uint32_t segment_until_s[TERMS_SEGMENTS_MAX]; /* Unix time, as the next two: each ends by itself */
    uint32_t tier_until_s, spend_until_s;
    uint8_t  segment_party[TERMS_SEGMENTS_MAX];   /* enum data_party, as the next two */
    uint8_t  tier_party, spend_party;
    uint16_t month_currency;      /* 0 = nothing was bought in these months */
    int32_t  month;               /* since year 0, in month_zone: of the newest purchase */
    int64_t  month_spend[2];      /* minor units: in that month, and in the one before; below 0: more came back than was bought */
    int64_t  spend;               /* minor units */
    char     zone[RIALTO_ID_MAX]; /* "" = not known */
    int64_t  zone_time_ms;
    int64_t  zone_until_ms;
    struct customer_consent note[CONSENT_KINDS]; /* in the order of RIALTO_KIND_* */
    uint32_t reserved;
    struct affinity affinity;     /* of what was permitted, and only while a model asks for it */
};

#define OFFER_EVENTS 3u /* kinds of events that models' offers count: view, cart, order */
struct offer_record {
    struct state_head head;       /* key: customer (+) sku */
    struct rialto_key customer;
    char     sku[RIALTO_ID_MAX];
    int64_t  value, locked;       /* as in rialto_offer_line */
    int64_t  time_ms, from_ms, until_ms, lock_until_ms;
    int64_t  units_micro, ordered_micro; /* of the shop's: the offer is over with so many ordered, and so many were; 0 = any number */
    int64_t  units_time_ms;       /* of the signal that said so */
    uint16_t currency;
    uint8_t  kind, flags, kinds;
    uint8_t  is_issued;           /* the offer is the one that a model made last */
    uint8_t  time_kinds;          /* RIALTO_KIND_* that time_ms rests on where it outlives what stood; 0 = it does not */
    uint8_t  reserved;
    int64_t  lock_from_ms;        /* when it was asked for; of the shop's: the time of its signal */
    uint64_t lock_request;        /* keyed hash of who asked for the lock how; 0 = the shop gave it by a signal */
    uint8_t  lock_nonce[16];      /* of its signed text */
    /* what may lead to an offer of a model (apply_issue.c): only where a model in force counts it, and the customer permits it */
    uint32_t event_s[OFFER_EVENTS][OFFER_TIMES_MAX]; /* Unix time, the newest first; 0 = none */
    uint32_t last_s[OFFER_EVENTS]; /* of the newest of each kind, also where it lies too close to another to count by itself */
    uint32_t events_until_s;      /* all of them are forgotten then; 0 = there are none */
    /* the last offer that a model made, until its cooldown is over */
    uint32_t issued_s, cooldown_until_s; /* Unix time; 0 = none was */
    uint8_t  issued_kinds;        /* RIALTO_KIND_* that it rests on */
    uint8_t  issued_unless;       /* enum demand_event that ends it, + 1; 0 = none does */
    uint8_t  reserved1[6];
    uint64_t issued_rule;         /* offer_rule_key() */
    char     issued_model[RIALTO_NAME_MAX], issued_version[RIALTO_NAME_MAX], issued_name[OFFER_NAME_MAX];
    uint8_t  reserved2[4];
};

#define WEATHER_READINGS 4u /* temperature, precipitation, wind, humidity */
struct zone_record {
    struct state_head head;       /* key: zone */
    char     name[RIALTO_ID_MAX];
    char     parent[RIALTO_ID_MAX];
    uint8_t  has_parent;          /* parent is meant, even "" */
    uint8_t  weather_present;     /* bit per reading */
    uint16_t currency;
    int16_t  utc_offset_min;
    uint16_t has_utc_offset;
    int64_t  lat_micro, lon_micro;
    char     region[RIALTO_NAME_MAX];
    int64_t  zone_time_ms;
    int64_t  weather_time_ms, weather_until_ms; /* until 0 = the model's age limit */
    int64_t  weather_micro[WEATHER_READINGS];
    struct attributes_said attributes;
};

struct source_record { /* who numbers his signals: what came with this number or a lower one was counted */
    struct state_head head;       /* key: hash of the source, and the part of its signals */
    int64_t  newest;              /* number */
    int64_t  tick_ms;             /* of its batch */
};

#define BUDGETS_MAX (2 * OFFERS_MAX) /* of a partition: those of rules that are no more give way */
struct budget_record { /* what a rule has given away, of this partition's share */
    struct state_head head;       /* key: the rule, by the names of its model and itself */
    int64_t  window_ms;           /* when its window began */
    int64_t  amount;              /* minor units */
    uint32_t offers;
    uint32_t reserved;
};

union any_record {
    struct state_head head;
    struct product_record product;
    struct cell_record cell;
    struct customer_record customer;
    struct offer_record offer;
    struct zone_record zone;
    struct source_record source;
    struct budget_record budget;
};

_Static_assert(sizeof(struct source_record) % 8 == 0 && sizeof(struct cell_record) % 8 == 0 && sizeof(struct product_record) % 8 == 0 &&
               sizeof(struct customer_record) % 8 == 0 && sizeof(struct offer_record) % 8 == 0 &&
               sizeof(struct zone_record) % 8 == 0 && sizeof(struct budget_record) % 8 == 0, "records are copied in 8-byte words");

/* state_record_bytes - of one record. state_bytes_a_record - of a file for each record that there is room for: it and what finds it, and their old images.
 * state_file_bytes - of a partition's file, or with RIALTO_PARTITIONS of a worker's common one. */
uint32_t state_record_bytes(enum state_pool pool);
uint64_t state_bytes_a_record(enum state_pool pool);
uint64_t state_file_bytes(const struct config *config, uint32_t number);

struct state;

/* state_open - map (and create) a partition's file; undo what a dead owner left open.
 *   number      partition, or RIALTO_PARTITIONS for the common file of `worker`
 *   ret_fresh   the file is new, of another layout or size, from another boot, or was never filled: it is empty, and is to be filled
 *               from Redis (state_load, then state_set_applied)
 * Returns RIALTO_OK, NO_SPACE, NO_PERMISSION, NO_MEMORY, SYSTEM. */
enum rialto_status state_open(const struct config *config, uint32_t number, uint32_t worker, struct state **ret,
                              bool *ret_fresh);
void               state_close(struct state *state);

/* state_ahead - what a batch that gives all cells other prices writes of the file: their records, deadlines of products, and old images. */
struct ahead_step state_ahead(const struct state *state);

uint64_t state_applied(const struct state *state);
void     state_set_applied(struct state *state, uint64_t seq); /* ends the filling of a fresh file */
int64_t  state_tick(const struct state *state);                /* of the common file */
void     state_set_tick(struct state *state, int64_t tick_ms);
uint64_t state_deleted(const struct state *state);             /* newest batch that deleted a record */
void     state_set_deleted(struct state *state, uint64_t seq); /* as if it had: Redis holds what is not here */

/* What a partition's lines were last wholly published for: the cache (its creation stamp) and the models (a hash). 0 = nothing. */
enum state_lines { LINES_CACHE, LINES_MODELS };
uint64_t state_lines_of(const struct state *state, enum state_lines which);
void     state_set_lines_of(struct state *state, enum state_lines which, uint64_t what);

/* records ---------------------------------------------------------------------------------------------- */
uint32_t state_capacity(const struct state *state, enum state_pool pool);
uint32_t state_used(const struct state *state, enum state_pool pool);
uint32_t state_end(const struct state *state, enum state_pool pool); /* records from here on were never used */
void    *state_at(const struct state *state, enum state_pool pool, uint32_t index); /* free ones too: see head.key */
uint32_t state_find(const struct state *state, enum state_pool pool, struct rialto_key key); /* STATE_NONE */

/* state_next_newer - the next record at or behind `from` that may have changed after batch `mark`; state_end() when there is none.
 * Looks at one word per STATE_BLOCK records. */
uint32_t state_next_newer(const struct state *state, enum state_pool pool, uint32_t from, uint64_t mark);

/* state_load - outside a batch, filling a fresh file: a record as it was stored. False when the pool is full or has the key. It
 * belongs to no owner and has no deadline yet. While a fresh file is filled the functions below work outside a batch, too. */
bool     state_load(struct state *state, enum state_pool pool, const struct state_head *image);
void     state_set_clock(struct state *state, int64_t now_ms); /* of a fresh file, before its first deadline */

/* lists of owners: cells of a product, offers of a customer, newest first ------------------------------------ */
void     state_join(struct state *state, enum state_pool pool, uint32_t index, uint32_t owner);
void     state_leave(struct state *state, enum state_pool pool, uint32_t index); /* state_delete() does it, too */
uint32_t state_first(const struct state *state, enum state_pool member_pool, uint32_t owner); /* STATE_NONE */
uint32_t state_next(const struct state *state, enum state_pool pool, uint32_t index);         /* STATE_NONE at the end */
uint32_t state_owner(const struct state *state, enum state_pool pool, uint32_t index);        /* STATE_NONE */
uint32_t state_count(const struct state *state, enum state_pool member_pool, uint32_t owner);

/* deadlines of products, customers and offers: at most one each ------------------------------------------------ */
int64_t  state_due(const struct state *state, enum state_pool pool, uint32_t index); /* 0 = none */
void     state_set_due(struct state *state, enum state_pool pool, uint32_t index, int64_t due_ms); /* moves it; 0 = none */
/* state_wake_ms - before this service time state_advance() has nothing to do; INT64_MAX = never. */
int64_t  state_wake_ms(struct state *state, enum state_pool pool);
/* state_advance - in a batch: takes away the deadlines at or before now, and tells each, in no particular order, `most` of them at most: while
 * state_wake_ms() is not behind now there may be more. The hook may not change deadlines. */
typedef void (*state_due_hook)(void *user, enum state_pool pool, uint32_t index, int64_t due_ms);
void state_advance(struct state *state, enum state_pool pool, int64_t now_ms, uint32_t most, void *user,
                   state_due_hook hook);

/* state_fetch_link - begin to fetch what the file keeps beside a record: its owner, its line's state. */
void     state_fetch_link(const struct state *state, enum state_pool pool, uint32_t index);
/* state_fetch_saved - the same of what says which parts of a cell are saved. */
void state_fetch_saved(const struct state *state, uint32_t cell);

/* state_fetch_price - the same of the lines of a cell that most prices are made of. state_fetch_around - of what cells around others say
 * for these: demand, competitors. */
FETCH_INLINE void state_fetch_price(const struct cell_record *record)
{
    __builtin_prefetch(record, 1);
    __builtin_prefetch(&record->available_micro);
    __builtin_prefetch(&record->published, 1);
    __builtin_prefetch(&record->factor_micro, 1);
}
FETCH_INLINE void state_fetch_around(const struct cell_record *record)
{
    state_fetch_price(record);
    __builtin_prefetch(&record->demand);
    __builtin_prefetch(&record->competitor[0]);
    __builtin_prefetch(&record->competitor[2]);
}

/* state_fetch_bucket - the same of what state_find() of this key reads first. state_peek - the record that it compares first, mostly the one
 * it finds, or STATE_NONE. state_fetch_demand - of what demand changes of a cell. */
void state_fetch_bucket(const struct state *state, enum state_pool pool, struct rialto_key key);
uint32_t state_peek(const struct state *state, enum state_pool pool, struct rialto_key key);
void state_fetch_demand(const struct state *state, uint32_t cell);

/* state_priced_ms - the tick at which a product's prices were last computed, for who explains them; now_ms when it is not known. Outside
 * batches and not undone: after a death in the middle of a batch it says now. */
int64_t  state_priced_ms(const struct state *state, uint32_t product, int64_t now_ms);
void     state_set_priced(struct state *state, uint32_t product, int64_t now_ms);
/* state_line_stale - the line of a cell could not be written, or was not before a death. Outside batches and not undone, too. */
bool     state_line_stale(const struct state *state, uint32_t cell);
void     state_set_line_stale(struct state *state, uint32_t cell, bool stale);
/* state_lines_owed - is there any such line for want of room: are cells to be looked at of which nothing changed that is published? */
bool state_lines_owed(const struct state *state);
void state_set_lines_owed(struct state *state, bool owed);
/* state_lines_refused - is there a record of any kind without its line, because a table could not grow? */
bool state_lines_refused(const struct state *state);
void state_set_lines_refused(struct state *state, bool refused);

/* a batch: begin, any of the next three, commit. state_begin is idempotent within a batch. */
void     state_begin(struct state *state, uint64_t batch);
bool     state_is_open(const struct state *state);
/* state_touch - before changing a record: its old image is saved once a batch. */
void    *state_touch(struct state *state, enum state_pool pool, uint32_t index);
/* state_touch_price - before changing of a cell only what stands published (the two lines from `published` on): a quarter of the record
 * is saved. state_touch_demand - the same before changing only its demand (event_count, demand, rates). Parts and
 * the whole may be touched one after the other, in any order. */
struct cell_record *state_touch_price(struct state *state, uint32_t cell);
struct cell_record *state_touch_demand(struct state *state, uint32_t cell);
/* state_insert - a zeroed record with this key, touched; STATE_NONE when the pool is full. */
uint32_t state_insert(struct state *state, enum state_pool pool, struct rialto_key key);
/* state_delete - wipe a record. */
void     state_delete(struct state *state, enum state_pool pool, uint32_t index);
/* state_seen - was this id hash counted within the window of ten minutes? state_remember - it is counted now. With ids_max of them in
 * one window another may be forgotten for it, and is counted (ids_forgotten_total). */
bool     state_seen(const struct state *state, uint64_t id_hash, int64_t tick_ms);
void     state_remember(struct state *state, uint64_t id_hash, int64_t tick_ms);
void     state_commit(struct state *state);

/* ids in Redis -------------------------------------------------------------------------------------------
 * An id is kept as a word of 48 bits of its hash behind 16 bits that say which ten minutes it belongs to. Words lie in two
 * generations, each used again for the ten minutes after the next. */
#define STATE_ID_GENERATIONS 2u
/* state_id_changed - the ids that the last committed batch remembered, in order. *at starts at 0. Ids that took another's place
 * are passed over, so that no generation ever has more than state_ids_room() words. *ret_first: the generation begins anew. */
bool     state_id_changed(const struct state *state, uint64_t *at, uint32_t *ret_generation, uint64_t *ret_word,
                          bool *ret_first);
/* state_id_at - the word at a place, or 0; places are 0 .. state_ids_room() - 1 in each generation. */
uint64_t state_ids_room(const struct state *state);
uint64_t state_id_at(const struct state *state, uint32_t generation, uint64_t place);
/* state_load_id - outside a batch, filling a fresh file: a word as it was stored. */
void     state_load_id(struct state *state, uint64_t word);

/* what the last committed batch changed, in the order of first touch. *at starts at 0. False at the end.
 * ret_old: the image before (key zero: the record was new). Of a cell whose price alone was touched first it has the key, what is published,
 * and list and currency of now; it is good until the next call. Cells of which demand alone was touched are not among them: what is
 * published of them is as before. */
bool     state_changed(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                       const struct state_head **ret_old);
/* state_changed_count - how many there are so far, in an open batch too: the next one has this number. */
uint32_t state_changed_count(const struct state *state);
/* state_changed_head - the same with no more of the image than its head: whose it was, and of which batch. */
bool     state_changed_head(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                            const struct state_head **ret_old);
/* state_changed_at - the same without an image: for those who run ahead to fetch things. */
bool     state_changed_at(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index);
/* state_changed_demand - the cells whose demand was touched by itself; what else of them was touched later is told by state_changed(), too. */
bool state_changed_demand(const struct state *state, uint32_t *at, uint32_t *ret_cell);
/* state_saved_bytes - of old images that the last batch saved, indexes and deadlines included: what it did, whatever time that took. */
uint64_t state_saved_bytes(const struct state *state);
/* state_wipe_journal - old images of the last batch are overwritten (after erasure). */
void     state_wipe_journal(struct state *state);
#endif
