/* storefront.h - a storefront for the demonstration: reads prices of random customers out of shared memory all the
 * time.
 *
 * Bursts of single quotes with pauses between them, each one timed and checked:
 *   floor <= amount <= ceiling, but for a price lock, which may lie lower
 *   amount <= baseline where the personal multiplier is at most 1
 *   a product that the service has acknowledged has a price */
#ifndef DEMO_STOREFRONT_H
#define DEMO_STOREFRONT_H

#include "demo/sample.h"

#include <pthread.h>
#include <rialto/quote.h>
#include <stdatomic.h>

#define LATENCY_FINE   65536u /* buckets of 1 ns */
#define LATENCY_COARSE 65536u /* buckets of 1 us; the last one holds all that took longer */

struct latency { /* one writer, any readers; every single measurement counts */
    _Atomic uint64_t count;
    _Atomic uint64_t fine[LATENCY_FINE], coarse[LATENCY_COARSE];
};

void latency_add(struct latency *latency, uint64_t ns);

/* latency_at - the smallest time within which `part` (0..1) of all measurements were done, ns. */
uint64_t latency_at(const struct latency *latency, double part);

struct storefront {
    const char *cache_dir;
    const struct sample *sample;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic uint64_t quotes;   /* answered with a price */
    _Atomic uint64_t breaches; /* outside the bounds, or above the baseline */
    _Atomic uint64_t missing;  /* known products without a price */
    _Atomic uint64_t reopened; /* tables that were replaced meanwhile */
    _Atomic uint64_t personal, stale;
    struct latency latency;
};

/* quote_breach - whether an amount breaks a rule that holds for every quote. */
bool quote_breach(const struct rialto_quote *quote);

bool storefront_start(struct storefront *storefront);
void storefront_stop(struct storefront *storefront); /* allowed when it was not started */
#endif
