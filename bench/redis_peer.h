/* redis_peer.h - a Redis server of our own that holds what the shop holds, asked through hiredis over a Unix socket.
 *
 * It is given its best case: two hashes, "terms" by customer and "cells" by sku, values of 64 bytes; the zone is taken as
 * known, so that one round trip of two pipelined commands fetches everything a quote is made of. Putting the price
 * together is left out. */
#ifndef BENCH_REDIS_PEER_H
#define BENCH_REDIS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_peer {
    char folder[64];
    pid_t server;
    void *connection; /* redisContext */
    uint64_t customers;
    uint64_t products;
};

#define REDIS_PEER_ENTRIES_MAX 1000000u /* of each hash: loading takes seconds, and Redis's time hardly grows with it */

/* redis_peer_setup - start and fill it. False when redis-server is not installed or does not start. */
bool redis_peer_setup(struct redis_peer *peer, uint64_t customers, uint64_t products);
void redis_peer_teardown(struct redis_peer *peer);

/* redis_peer_ask - terms of one customer and cells of n products. False when the connection is broken. */
bool redis_peer_ask(struct redis_peer *peer, const char *customer, size_t n, const char *const sku[]);
#endif
