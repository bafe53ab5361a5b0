/* publisher_parts.h - what the publisher's files share. All of it belongs to the publisher's thread. */
#ifndef SERVICE_PUBLISHER_PARTS_H
#define SERVICE_PUBLISHER_PARTS_H

#include "cache/keys.h"
#include "cache/reader.h"
#include "service/publisher.h"
#include "service/publisher_watches.h"
#include "service/redis_link.h"

#define PUBLISHER_KEY_MAX  (RIALTO_NAME_MAX + RIALTO_ID_MAX + 16u)
#define PUBLISHER_JSON_MAX 1024u
#define CELLS_PER_PASS     512u
#define FIELDS_A_COMMAND   64u

struct dirty_cells {       /* a bit per line of our own partitions in cells.v1 */
    uint64_t *word;
    uint64_t  words, count;                 /* count: bits that are set */
    uint64_t  cursor;                       /* word to look at next */
    uint64_t  first_word[RIALTO_PARTITIONS];/* where a partition begins */
    uint64_t  lines[RIALTO_PARTITIONS];     /* 0 = not ours */
};

struct fresh_cell {        /* one field to write */
    char zone[RIALTO_ID_MAX];
    char sku[RIALTO_ID_MAX];
    char json[PUBLISHER_JSON_MAX];
    size_t json_bytes;
};

struct writing {           /* one HSET or HDEL that is being put together */
    const char *key;
    size_t key_bytes;
    const char *argv[2 + 2 * FIELDS_A_COMMAND];
    size_t bytes[2 + 2 * FIELDS_A_COMMAND];
    char   text[FIELDS_A_COMMAND][PUBLISHER_JSON_MAX]; /* what argv points to */
    uint32_t fields;
    int    argc;
    bool   alive;
};

struct publishing {        /* the thread's view of the world */
    const struct config *config;
    uint32_t             worker;
    struct rialto       *prices;
    struct rialto_follower follower;
    struct redis_link    link;
    struct dirty_cells   cells;
    struct watches       watches;
    struct fresh_cell    fresh[CELLS_PER_PASS]; /* room for a pass */
    struct writing       writing;
};

int64_t publisher_mono_ms(void);

/* ---- publisher_cells.c: PREFIX:cell:{zone} ---------------------------------------------------------------------------------- */

bool dirty_cells_setup(struct publishing *p);
void dirty_cells_teardown(struct publishing *p);
void dirty_cells_mark(struct publishing *p, uint32_t partition, uint64_t slot);
void dirty_cells_mark_all(struct publishing *p);
/* baselines_publish - write some of the dirty ones. Returns how many were looked at; -1: the link is dead. */
int baselines_publish(struct publishing *p);

/* ---- publisher_quotes.c: PREFIX:quote:{customer} ----------------------------------------------------------------------------- */

/* quotes_publish - refresh some of the customers that are due. As baselines_publish(). */
int quotes_publish(struct publishing *p);
/* quotes_take_up - our own customers' keys that stand in Redis become watches again. False: the link is dead. */
bool quotes_take_up(struct publishing *p);
/* quotes_delete - the key of one customer. False: the link is dead. */
bool quotes_delete(struct publishing *p, const char *customer);

/* replies_check - read n replies of which none may be an error. False: the link is dead. */
bool replies_check(struct redis_link *link, uint32_t n, const char *doing);
#endif
