/* producer.h - demand signals as lines of JSON, 512 a message, as fast as they are taken: PUSH over ipc://.
 *
 * Every signal is an order of one of PRODUCER_PRODUCTS products in one of PRODUCER_SHOPS shops, drawn uniformly, in the form
 *   {"type":"demand","sku":"sku-000123","event":"order","quantity":2,"zone":"c1/s25","source":"pos-25","seq":...}
 * The messages are prepared, and sent over and over with new numbers. */
#ifndef BENCH_PRODUCER_H
#define BENCH_PRODUCER_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRODUCER_PRODUCTS 1000u
#define PRODUCER_SHOPS    10u
#define PRODUCER_BATCH    512u /* signals in a message */
#define PRODUCER_MESSAGES 64u  /* prepared */

struct prepared {
    char *text;
    size_t bytes;
    uint32_t seq_at[PRODUCER_BATCH]; /* where each line's number stands */
};

struct producer {
    nng_socket socket;
    struct prepared message[PRODUCER_MESSAGES];
    uint64_t sent; /* signals */
};

/* producer_setup - prepare the messages, drawn from this seed, and connect. False when either fails. */
bool producer_setup(struct producer *producer, const char *url, uint64_t random);
/* producer_send - the turn-th message, with the next numbers; waits as long as the gateway lets it wait, 20 s at most. */
bool producer_send(struct producer *producer, uint64_t turn);
void producer_teardown(struct producer *producer);
#endif
