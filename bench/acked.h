/* acked.h - what the measurement of acknowledged signals and its bare peer share: the schedule, the samples, the Redis. */
#ifndef BENCH_ACKED_H
#define BENCH_ACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACKED_SIGNALS_PER_S 20000u
#define ACKED_A_MESSAGE     10u
#define ACKED_PERIOD_US     (1000000u / (ACKED_SIGNALS_PER_S / ACKED_A_MESSAGE)) /* from one message to the next */
#define ACKED_PRODUCTS      1000u
#define ACKED_SHOPS         10u
#define ACKED_LEVELS        3u /* a signal counts in its shop, its city and the world */

struct acked { /* one message each, from when it was due to when it was confirmed */
    uint32_t *us;
    size_t count, capacity;
    uint64_t failed;  /* not confirmed, or not as durable as was asked for */
    uint64_t late_us; /* the most by which a message was sent later than it was due */
    double seconds;   /* from the first message of each round to its last answer */
};

/* acked_add - one more; past the capacity it counts as failed. */
void acked_add(struct acked *acked, int64_t us);

struct acked_signal { /* the n-th signal of a measurement is the same for all */
    uint32_t product, shop, quantity;
};
struct acked_signal acked_signal(uint64_t number);

/* The bare peer: the transactions that a worker sends for the same signals, through hiredis, gathered in the same way, and nothing else.
 * acked_bare_open: NULL after a line on standard error. acked_bare_run: `messages` of them, on their schedule. */
struct acked_bare;
struct acked_bare *acked_bare_open(const char *redis_url);
bool acked_bare_run(struct acked_bare *bare, uint64_t messages, struct acked *ret);
uint64_t acked_bare_records(const struct acked_bare *bare);
uint64_t acked_bare_transactions(const struct acked_bare *bare);
void acked_bare_close(struct acked_bare *bare);
#endif
