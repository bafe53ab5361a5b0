/* journal.h - the price journal: every baseline price that was published, with what made it.
 *
 *   lines.c --journal_note()--> journal_cell beside the cell (before, lowest, count) --once an interval-->
 *   journal_step() --box--> publisher's thread --ZADD--> PREFIX:journal:{pNN}:DAY     member: one entry as text
 *
 * Rate       a cell has at most one entry per journal_interval_s of service time (0: per tick). What moved in between is
 *            counted (journal_coalesced_total); the lowest of it is kept in the entry, so that a lowest price is exact.
 * Backlog    what waits is a mark beside each cell, never a queue: while Redis is away changes coalesce further.
 * Crash      notes are private memory. A worker that starts notes the prices again that began to stand within
 *            JOURNAL_AGAIN_MS: what was lost are moves in between, of one interval or of an outage.
 * Privacy    cells know no customer, and so does the journal. */
#ifndef SERVICE_JOURNAL_H
#define SERVICE_JOURNAL_H

#include "pricing/model.h"
#include "service/config.h"

#include <rialto/layout.h>
#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_BOX      1024u /* entries handed over at once */
#define JOURNAL_TEXT_MAX 1280u
#define JOURNAL_AGAIN_MS INT64_C(3600000)
#define JOURNAL_DAY_MS   INT64_C(86400000)
#define JOURNAL_UNKNOWN  (-1) /* `before` of a price whose past was lost */

struct journal_entry {
    char sku[RIALTO_ID_MAX], zone[RIALTO_ID_MAX]; /* zone "" = the world */
    int64_t when_ms;                              /* since when `amount` stands; service time */
    int64_t amount;                               /* minor units; 0 = no price any more */
    int64_t before;                               /* until first_ms; 0 = none, JOURNAL_UNKNOWN */
    int64_t first_ms;    /* first move since the entry before; when_ms if there was one move only, or none */
    uint32_t moves;      /* of the baseline since the entry before; 0 = only list price or model changed */
    int64_t low, low_ms; /* lowest amount since first_ms, and when it began to stand */
    int64_t list, floor, ceiling;
    char currency[4];
    uint32_t guards; /* GUARD_* */
    uint32_t ending_step, ending_less;
    char model[RIALTO_NAME_MAX], version[RIALTO_NAME_MAX];
    uint32_t factor_count;
    struct journal_factor {
        char name[RIALTO_NAME_MAX];
        int32_t micro;
    } factor[MODEL_FACTORS_MAX];
};

/* journal_entry_write - one entry as text: its fields in the order above, a tab between two. Entries of one cell sort by
 * time. Returns its bytes. journal_entry_read - false when the text is none. Pure, thread-safe. */
size_t journal_entry_write(const struct journal_entry *entry, char ret[JOURNAL_TEXT_MAX]);
bool journal_entry_read(const char *text, size_t bytes, struct journal_entry *ret);

/* journal_day_key - PREFIX:journal:{pNN}:YYYY-MM-DD of the day (UTC) of a time. */
#define JOURNAL_KEY_MAX (RIALTO_NAME_MAX + 40u)
void journal_day_key(const struct config *config, uint32_t partition, int64_t day, char ret[JOURNAL_KEY_MAX]);

/* ---- out of Redis (journal_read.c) ---------------------------------------------------------------------------- */

#define JOURNAL_TIME_MAX INT64_C(9999999999999) /* thirteen digits: times sort as texts */
#define JOURNAL_TIED_MAX 64u                    /* entries of one price at one time */

struct journal_of { /* one price, and a time: from_ms up to, not including, to_ms */
    const char *sku, *zone; /* at most RIALTO_ID_MAX - 1 bytes each; zone "" = the world */
    uint32_t partition;     /* of the product */
    int64_t from_ms, to_ms;
};

struct journal_found {
    struct journal_entry *entry; /* [room] */
    uint32_t count, room;
    bool too_many; /* there were more than `room` */
};

struct redis_link;

/* journal_read_day - appends the entries that the key of `day` (Unix days) has of it, the earliest first, at most `limit`; what is no
 * entry is passed over. False: Redis cannot be read; the link is closed, and its log line says why. */
bool journal_read_day(struct redis_link *link, const struct journal_of *of, int64_t day, uint32_t limit,
                      struct journal_found *found);

/* ---- looking back (journal_look.c): entries of one cell, in order of time -------------------------------------- */

/* journal_sort - in order of time, each time once, ready for the two below. Returns how many are left. */
uint32_t journal_sort(struct journal_entry entry[], uint32_t count);

enum journal_known { JOURNAL_NOT_KNOWN, JOURNAL_KNOWN, JOURNAL_MOVED /* several times about then: see the entry */ };
struct journal_price {
    enum journal_known known;
    int64_t amount;                    /* 0 = no price then */
    const struct journal_entry *entry; /* that made it, or that it moved within; NULL = made before all entries */
};
struct journal_price journal_price_at(const struct journal_entry entry[], uint32_t count, int64_t at_ms);

struct journal_lowest {
    int64_t amount;  /* 0 = there was no price */
    int64_t when_ms; /* since when it stood; from_ms when it stood already then */
    bool complete;   /* all of the time is known */
};
/* journal_lowest - from from_ms up to, not including, to_ms; prices in `currency` only. Never above the truth; below it at
 * most by a price that stood within an interval of either end. */
struct journal_lowest journal_lowest(const struct journal_entry entry[], uint32_t count, int64_t from_ms, int64_t to_ms,
                                     const char *currency);

/* journal_list_lowest - the lowest list price, in `currency`, under what stood at some moment of a time. INT64_MAX: nothing did; 0: not known, for
 * it was before all entries, or moved several times in between. */
int64_t journal_list_lowest(const struct journal_entry entry[], uint32_t count, int64_t from_ms, int64_t to_ms,
                            const char *currency);

struct journal_gap { /* from_ms up to, not including, to_ms */
    int64_t from_ms, to_ms;
};
#define JOURNAL_GAPS_MAX 32u
/* journal_gaps - when in a time there was no price, as far as the entries know: the zone around it answered then. Returns how many; of more
 * than JOURNAL_GAPS_MAX the last reaches from its beginning to the end of all others. */
uint32_t journal_gaps(const struct journal_entry entry[], uint32_t count, struct journal_gap of,
                      struct journal_gap ret[JOURNAL_GAPS_MAX]);

/* ---- the worker's side (journal.c) ----------------------------------------------------------------------------- */

struct worker;
struct partition;
struct cell_record;

struct journal_cell { /* beside each cell record */
    int64_t before, first_ms, when_ms, low, low_ms;
    uint32_t moves;
    bool noted;
};

struct journal_ref {
    uint32_t cell, partition;
};

struct journal_list {
    struct journal_ref *ref;
    uint32_t count, room;
};

struct journal { /* the worker's; all zero when there is none */
    struct journal_cell *cell[RIALTO_PARTITIONS];
    struct journal_list open, leaving; /* what is noted; what is handed over just now */
    uint32_t left;                     /* of `leaving` */
    bool filling;                      /* the box has some of them, and is not handed over yet */
    bool again;                        /* prices from before this process are looked through */
    uint32_t again_partition, again_cell;
    int64_t interval;                  /* in which `open` was closed last */
};

struct journal_box { /* the worker fills it while it is empty; the publisher's thread empties it */
    _Atomic bool full;
    int64_t tick_ms;
    uint32_t count;
    struct {
        uint32_t partition;
        struct journal_entry entry;
    } item[JOURNAL_BOX];
};

bool journal_setup(struct worker *worker); /* false: out of memory */
void journal_teardown(struct worker *worker);
/* journal_note - a cell's record was committed and published. */
void journal_note(struct worker *worker, const struct partition *partition, uint32_t cell,
                  const struct cell_record *old, const struct cell_record *now);
/* journal_fetch - begin to fetch what that will look at. */
void journal_fetch(const struct worker *worker, uint32_t partition, uint32_t cell);
/* journal_step - fill some more of the box with what is due, and hand it over when it is full: a bounded part, for signals wait meanwhile. True:
 * there is room for more at once. journal_finish - all of it, at a clean stop; waits for at most a second. */
bool journal_step(struct worker *worker);
void journal_finish(struct worker *worker);
#endif
