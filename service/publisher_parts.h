/* publisher_parts.h - what the publisher's files share. All of it belongs to the publisher's thread. */
#ifndef SERVICE_PUBLISHER_PARTS_H
#define SERVICE_PUBLISHER_PARTS_H

#include "cache/keys.h"
#include "cache/reader.h"
#include "service/journal.h"
#include "service/publisher.h"
#include "service/publisher_watches.h"
#include "service/redis_link.h"

#define PUBLISHER_KEY_MAX  (RIALTO_NAME_MAX + RIALTO_ID_MAX + 16u)
#define PUBLISHER_JSON_MAX 1536u
#define CELLS_PER_PASS     1024u
#define CELLS_TEXT_BYTES   (512u << 10) /* of a pass's JSON */
#define FIELDS_A_COMMAND   64u

struct taken_bits { /* of one word, on their way to Redis */
    uint64_t word, bits;
};

struct dirty_cells { /* two bits per line of our own partitions in cells, as many as there may be */
    struct published_file *file;            /* publisher_kept.c */
    size_t bytes;                           /* of it */
    bool kept;                              /* it is what a process before this one left */
    uint64_t *word;                         /* to be written: in the file, until Redis has answered */
    uint32_t *told;                         /* by line, in the file: whose price of it Redis may have; 0 = nobody's */
    uint64_t *written;                      /* was written in this interval: its next change waits for the next one */
    uint64_t words;
    uint64_t ready, waiting;                /* to be written now, and when the interval has ended */
    bool any_written;
    int64_t interval_ends_ms;               /* monotonic */
    uint64_t cursor;                        /* word to look at next */
    uint64_t first_word[RIALTO_PARTITIONS]; /* where a partition begins */
    uint64_t lines[RIALTO_PARTITIONS];      /* 0 = not ours */
    struct taken_bits taken[CELLS_PER_PASS]; /* by the pass that runs */
    uint32_t taken_count;
};

struct fresh_cell { /* one field to write, or to take away */
    char zone[RIALTO_ID_MAX];
    char sku[RIALTO_ID_MAX];
    const char *json; /* NULL: it has ceased */
    size_t json_bytes;
    uint32_t *told; /* of a line that has ceased: cleared when Redis has answered */
};

struct fresh_cells { /* room for a pass */
    struct fresh_cell cell[CELLS_PER_PASS];
    const struct fresh_cell *by_zone[CELLS_PER_PASS];
    uint32_t count;
    char text[CELLS_TEXT_BYTES];
    size_t text_bytes;
};

struct writing { /* one HSET or HDEL that is being put together */
    const char *key;
    size_t key_bytes;
    const char *argv[2 + 2 * FIELDS_A_COMMAND];
    size_t bytes[2 + 2 * FIELDS_A_COMMAND];
    char text[FIELDS_A_COMMAND][PUBLISHER_JSON_MAX]; /* what argv points to */
    uint32_t fields;
    int argc;
};

struct sweeping { /* of what Redis has of baselines, on its way (publisher_ceased.c) */
    struct redis_scan keys, fields;
    redisReply *page; /* SCAN's answer, with keys; NULL = the next one is to be asked for */
    size_t at;        /* key in it */
};

struct journal_desk { /* the journal on its way; the box is shared with the worker as journal.h says */
    struct journal_box box;
    char text[FIELDS_A_COMMAND][JOURNAL_TEXT_MAX];
    int64_t day[RIALTO_PARTITIONS];      /* whose entries are counted in */
    uint64_t entries[RIALTO_PARTITIONS];
    uint64_t sent, refused;              /* of this box */
    bool barred;                         /* Redis does not let us write it */
};

struct publishing { /* the thread's view of the world */
    const struct config *config;
    uint32_t worker;
    struct rialto *prices;
    struct rialto_follower follower;
    struct redis_link link;
    struct dirty_cells cells;
    struct watches watches;
    struct fresh_cells fresh;
    struct sweeping sweeping;
    struct writing writing;
    struct journal_desk journal;
    _Atomic uint64_t made_good; /* keys deleted of whoever is not permitted them, as found in Redis */
};

/* Commands are appended for a whole pass, then their replies are read: one round trip for all of them. A link that
 * dies on the way makes all later calls void; reading the replies tells. */

/* ---- publisher_cells.c: PREFIX:cell:{zone} ---------------------------------------------------------------------- */

bool dirty_cells_setup(struct publishing *p);
void dirty_cells_teardown(struct publishing *p);
void dirty_cells_mark(struct publishing *p, uint32_t partition, uint64_t slot);
void dirty_cells_mark_all(struct publishing *p);
/* baselines_append - commands for some of the dirty ones; their replies are to be read. Returns how many lines were
 * looked at. baselines_written - all replies were good: they are dirty no more. baselines_lost - nobody knows what became of them. */
uint32_t baselines_append(struct publishing *p, int64_t now_ms, uint32_t *commands);
void baselines_written(struct publishing *p);
void baselines_lost(struct publishing *p);

/* cells_key - of a zone's hash. Returns its length. */
size_t cells_key(const struct publishing *p, const char *zone, char ret[PUBLISHER_KEY_MAX]);

/* ---- publisher_ceased.c: what stands in PREFIX:cell:{zone} and in no line any more ------------------------------- */

struct told {                 /* whose price Redis may have of a line */
    char zone[RIALTO_ID_MAX]; /* "" = the world */
    char sku[RIALTO_ID_MAX];
};
uint32_t *told_of(struct publishing *p, uint32_t partition, uint64_t slot);
/* told_word - what stands for a cell; told_names - the way back. False: nobody's, or the names are gone. */
uint32_t told_word(const struct rialto_cell_line *line);
bool told_names(const struct publishing *p, uint32_t partition, uint32_t word, struct told *ret);

enum standing { STANDING_NO, STANDING_YES, STANDING_UNKNOWN };
/* cell_stands - has that zone a price of its own for that product now? */
enum standing cell_stands(const struct publishing *p, const char *zone, const char *sku);

/* sweep_step - a page of what Redis has, if that is owed: what is ours and stands no more is taken away. False: the link is dead.
 * sweep_lost - the link was: from the beginning with the next one. */
bool sweep_step(struct publishing *p);
void sweep_lost(struct publishing *p);

/* ---- publisher_kept.c: bits and positions over a death ------------------------------------------------------------ */

/* published_open - map the bits, as a process before this one left them (cells.kept) or none. published_resume - the follower goes on where that one
 * was. published_follow - what the follower was told so far is marked. */
bool published_open(struct publishing *p);
void published_close(struct publishing *p);
void published_resume(struct publishing *p);
void published_follow(struct publishing *p);
/* published_sweep_owe - Redis may have what no line of these tables ever said: until published_sweep_done(). */
void published_sweep_owe(struct publishing *p);
void published_sweep_done(struct publishing *p);
bool published_sweep_owed(const struct publishing *p);
/* published_server_take - who has all that is not marked, and nobody from now on, until published_server_is() says so. */
uint64_t published_server_take(struct publishing *p);
void     published_server_is(struct publishing *p, uint64_t server);

/* ---- publisher_quotes.c: PREFIX:quote:{customer} ---------------------------------------------------------------- */

/* quotes_append - commands for some of the customers that are due. Returns how many customers. */
uint32_t quotes_append(struct publishing *p, uint32_t *commands);
/* quotes_take_up - our own customers' keys that stand in Redis become watches again. False: the link is dead. */
bool quotes_take_up(struct publishing *p);
/* quotes_delete - the key of one customer. False: the link is dead. */
bool quotes_delete(struct publishing *p, const char *customer);

/* ---- publisher_journal.c: PREFIX:journal:{pNN}:DAY ---------------------------------------------------------------- */

/* journal_send - what the worker has handed over; nothing may be pending. Returns whether there was anything; -1: the link is
 * dead, and it stays handed over. */
int journal_send(struct publishing *p);
/* journal_link_lost - what is known of Redis is not known any more. */
void journal_link_lost(struct publishing *p);

/* replies_check - read n replies, of which none may be an error. False: the link is dead. */
bool replies_check(struct redis_link *link, uint32_t n, const char *doing);
#endif
