/* peer.h - stores that hold what Rialto's tables hold, each asked in the fewest steps that its user could take.
 *
 * All are given their best case: the zone is taken as known beforehand, values are the same 64-byte lines, nothing is put
 * together to a price. Terms of the customer; each product's price in the own zone, and in the world where that has none;
 * offers only of those customers whose terms say that they have any.
 *
 *   LMDB        one read-only transaction for the whole run, no lock file, on tmpfs, filled in order (dense pages)
 *   Redis       pipelined GETs and one MGET, or HMGET of a hash per zone: one round trip, a second one for offers
 *   memcached   one "get" of many keys: one round trip, a second one for offers */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench/draw.h"

struct answer { /* what a store said; copied out, as its user must */
    struct rialto_terms_line terms;
    struct rialto_cell_line cell[DRAW_PAGE];
    bool in_zone[DRAW_PAGE]; /* the own zone had it */
    bool found[DRAW_PAGE];
    struct rialto_offer_line offer[DRAW_PAGE];
    bool has_offer[DRAW_PAGE];
    bool has_terms;
};

struct lmdb_peer;
struct lmdb_peer *lmdb_peer_create(const struct shop_size *size); /* NULL, with a message, when that fails */
void lmdb_peer_destroy(struct lmdb_peer *peer);
bool lmdb_peer_ask(struct lmdb_peer *peer, const struct draw *d, size_t n, struct answer *ret);

enum redis_way { REDIS_GET, REDIS_HMGET };
struct redis_peer;
struct redis_peer *redis_peer_create(const struct shop_size *size);
void redis_peer_destroy(struct redis_peer *peer);
bool redis_peer_ask(struct redis_peer *peer, enum redis_way way, const struct draw *d, size_t n, struct answer *ret);
int redis_peer_pid(const struct redis_peer *peer);

struct memcached_peer;
struct memcached_peer *memcached_peer_create(const struct shop_size *size);
void memcached_peer_destroy(struct memcached_peer *peer);
bool memcached_peer_ask(struct memcached_peer *peer, const struct draw *d, size_t n, struct answer *ret);

/* answer_wrong - in how many of n products (or their customer) does the answer differ from the shop? */
uint64_t answer_wrong(const struct shop_size *size, const struct draw *d, size_t n, const struct answer *a);
#endif
