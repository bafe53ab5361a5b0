/* quote.h - what one run of the quote measurement knows: who was measured and what came out. */
#ifndef BENCH_QUOTE_H
#define BENCH_QUOTE_H

#include "bench/bench.h"
#include "bench/shop.h"

#include <stdio.h>

#define ROUNDS_MAX 64u

enum who { /* who is asked; rows of the table come in this order */
           WHO_OURS,
           WHO_NOBODY, /* Rialto, asked for customers of whom it knows nothing */
           WHO_SMALL_PAGES,
           WHO_LMDB,
           WHO_REDIS_GET,
           WHO_REDIS_HMGET,
           WHO_REDIS_NEAR,
           WHO_MEMCACHED,
           WHO_MEMORY,
           WHO_MEMORY_PLAIN,
           WHO_ALONE,        /* Rialto again, in turn with the two below */
           WHO_WITH_WRITERS, /* while workers publish all over the table */
           WHO_CALM_LINE,    /* one product's lines, and nobody writes */
           WHO_HAMMERED,     /* the same lines while they are written without a pause */
           WHO_COUNT
};

struct figures { /* ns; each the least of the rounds: the round that the machine disturbed least */
    double p50, p99, p999;
    double p50_median; /* of the rounds */
    uint64_t samples;
    uint64_t failed; /* requests without an answer */
    uint64_t wrong;  /* answers that are not the shop's */
};

struct outcome {
    struct bench_options options;
    struct shop_size size;
    bool measured[WHO_COUNT];
    struct figures quote[WHO_COUNT];
    struct figures page[WHO_COUNT];
    enum who redis; /* the faster way */

    uint64_t bytes, lines, capacity, large_bytes;
    uint64_t service_bytes, service_products_bytes; /* as in tables.h */
    uint64_t offers_checked, offers_wrong;
    double fill_s, lmdb_fill_s, redis_fill_s, memcached_fill_s;

    double readers_one, readers_two; /* quotes per second of one reader, and of two together */
    double lines_one, lines_two; /* the same of threads that only read random lines: what two processors give here */
    double steps_one, steps_two; /* and of threads that only compute */
    double publish_rate;         /* one worker alone, lines per second */
    double beside_rate, hammer_rate; /* lines per second beside the reader */
    double read_rate, read_rate_plain, write_rate, chase_ns;
    double chase_small_ns; /* in the copy in small pages */
};

/* outcome_table - for people. outcome_json - one object and a line feed. */
void outcome_table(const struct outcome *o, FILE *to);
void outcome_json(const struct outcome *o, FILE *to);

/* outcome_wrong - answers of all kinds that were missing or not the shop's. */
uint64_t outcome_wrong(const struct outcome *o);
#endif
