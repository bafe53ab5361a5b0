/* publisher.h - prices to Redis, for everybody who reads Redis: a thread beside each worker.
 *
 *   change rings --> publisher --hiredis, pipelined--> PREFIX:cell:{zone}      field sku -> JSON   every cell of the
 *   worker's partitions
 *                                                      PREFIX:quote:{customer} field sku -> JSON   products that a
 *                                                      customer looks at
 *
 * Follows all rings through librialto's own reader, composes with the same function as any storefront, coalesces (one
 * refresh per pair and quote_refresh_ms), sweeps where it fell behind, and goes on where a dead one was. Redis itself remembers the watches: at each
 * (re)connect the publisher takes up the quote keys of its own customers again. */
#ifndef SERVICE_PUBLISHER_H
#define SERVICE_PUBLISHER_H

#include "service/config.h"

#include <rialto/quote.h>

struct publisher;

enum rialto_status publisher_start(const struct config *config, uint32_t worker, struct publisher **ret);
void               publisher_stop(struct publisher *publisher);
/* publisher_void - before publisher_start: lines are published that no ring tells of, so all baselines are to be written again. */
void               publisher_void(const struct config *config, uint32_t worker);
/* publisher_files_bytes - what all publishers together remember on disk, for so many lines of cells in a partition. */
uint64_t           publisher_files_bytes(uint32_t workers, uint64_t lines_max);

/* Worker thread; never block; what does not fit is counted (watches_refused_total). */
void publisher_watch(struct publisher *publisher, const char *customer, const char *sku, uint32_t ttl_s);
/* publisher_forget - drop a customer's watches and delete the quote key. */
void publisher_forget(struct publisher *publisher, const char *customer);
/* publisher_renew - what quotes may rest on was taken back, and its lines say so already: the quote key is deleted at once, and what
 * the customer goes on looking at is written anew. */
void publisher_renew(struct publisher *publisher, const char *customer);
/* publisher_looks - what a customer looks at, and until when (CLOCK_MONOTONIC ms), to `told`; what was ordered in this very moment may
 * be missing. */
struct rialto_key;
void publisher_looks(struct publisher *publisher, const struct rialto_key *customer,
                     void (*told)(void *user, const char *sku, int64_t until_ms), void *user);
/* publisher_forgets - how many were ordered so far, and how many of them Redis has carried out, in order. */
uint64_t publisher_forgets_ordered(const struct publisher *publisher);
uint64_t publisher_forgets_done(const struct publisher *publisher);
/* publisher_deletions - how often Redis was rid of something that an erasure, now or before a death, takes with it: its append-only file still
 * has it, so that is to be rewritten after each. */
uint64_t publisher_deletions(const struct publisher *publisher);

/* publisher_stand_back - true: so many lines are about to be written that Redis hears of them afterwards: baselines and price journal wait until
 * false is said, PUBLISHER_STAND_BACK_MS at most. Whoever looks at a product, and what is taken back, waits for nothing. */
#define PUBLISHER_STAND_BACK_MS 1000
void publisher_stand_back(struct publisher *publisher, bool back);

/* publisher_journal_box - to be filled with entries of the price journal; NULL: the last ones are not in Redis yet. Never
 * blocks. */
struct journal_box;
struct journal_box *publisher_journal_box(struct publisher *publisher);

/* quote_json - one quote as JSON, as it stands in Redis and in `rialto quote --json`. Returns the length; at most n
 * bytes with 0. */
size_t quote_json(const struct rialto_quote *quote, const struct rialto_rule_row *rule, size_t n, char *ret);
#endif
