/* storefront.c - bursts of quotes at a modest duty cycle. */
#include "demo/storefront.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BURST    1000u
#define REST     4 /* rest this many times as long as the burst took: a fifth of one core at most */
#define REST_MIN 500000L
#define REST_MAX 20000000L

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The only writer of a counter: a plain load and store instead of a locked add. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

void latency_add(struct latency *latency, uint64_t ns)
{
    uint64_t us = ns / 1000;
    if (ns < LATENCY_FINE)
        count(&latency->fine[ns]);
    else
        count(&latency->coarse[us < LATENCY_COARSE ? us : LATENCY_COARSE - 1]);
    count(&latency->count);
}

uint64_t latency_at(const struct latency *latency, double part)
{
    uint64_t total = atomic_load(&latency->count), seen = 0;
    uint64_t wanted = (uint64_t)(part * (double)total);
    if (wanted < 1)
        wanted = 1;
    for (uint64_t i = 0; i < LATENCY_FINE; i++)
        if ((seen += atomic_load_explicit(&latency->fine[i], memory_order_relaxed)) >= wanted)
            return i;
    for (uint64_t i = 0; i < LATENCY_COARSE; i++)
        if ((seen += atomic_load_explicit(&latency->coarse[i], memory_order_relaxed)) >= wanted)
            return i * 1000;
    return 0; /* nothing measured */
}

bool quote_breach(const struct rialto_quote *quote)
{
    if (quote->amount > quote->ceiling)
        return true;
    if (quote->amount < quote->floor && (quote->flags & (RIALTO_FLAG_LOCK | RIALTO_FLAG_STALE)) == 0)
        return true;
    /* A stale quote past its limit and list mode give the list price, which may lie above the baseline. */
    return quote->amount > quote->baseline && quote->multiplier_e4 <= 10000 &&
           (quote->flags & (RIALTO_FLAG_STALE | RIALTO_FLAG_LIST_MODE)) == 0;
}

/* xorshift64*, G. Marsaglia 2003, S. Vigna 2016: only to choose whom to ask for. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static const char *choose(const struct sample_list *list, uint64_t *random)
{
    /* Acquire pairs with the writer's publication: the texts below the count are whole. */
    uint32_t there = atomic_load_explicit(&list->count, memory_order_acquire);
    return there == 0 ? NULL : list->text[(draw(random) >> 32) % there];
}

/* Three in four name a customer; one in two says which shop is being visited. */
static struct rialto_request choose_request(const struct sample *sample, uint64_t *random)
{
    uint64_t chance = draw(random) >> 56;
    return (struct rialto_request){ .customer = chance % 4 != 0 ? choose(&sample->customers, random) : NULL,
                                    .zone = chance / 4 % 2 ? choose(&sample->stores, random) : NULL };
}

static void note_quote(struct storefront *storefront, enum rialto_status status, const struct rialto_quote *quote)
{
    if (status == RIALTO_UNKNOWN_PRODUCT || status == RIALTO_BUSY)
        count(&storefront->missing);
    if (status != RIALTO_OK)
        return;
    count(&storefront->quotes);
    if (quote_breach(quote))
        count(&storefront->breaches);
    if (quote->flags & (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER | RIALTO_FLAG_LOCK))
        count(&storefront->personal);
    if (quote->flags & RIALTO_FLAG_STALE)
        count(&storefront->stale);
}

/* Returns false when the tables were replaced: they must be opened again. */
static bool burst(struct storefront *storefront, const struct rialto *prices, uint64_t *random)
{
    for (uint32_t i = 0; i < BURST; i++) {
        struct rialto_request request = choose_request(storefront->sample, random);
        const char *sku = choose(&storefront->sample->products, random);
        if (sku == NULL)
            return true;
        struct rialto_quote quote;
        uint64_t start = now_ns();
        enum rialto_status status = rialto_quote(prices, &request, sku, &quote);
        uint64_t end = now_ns();
        if (status == RIALTO_RETIRED)
            return false;
        latency_add(&storefront->latency, end - start);
        note_quote(storefront, status, &quote);
    }
    return true;
}

static void rest(uint64_t burst_ns)
{
    uint64_t ns = burst_ns * REST;
    long pause = ns > REST_MAX ? REST_MAX : ns < REST_MIN ? REST_MIN : (long)ns;
    nanosleep(&(struct timespec){ 0, pause }, NULL);
}

static void *run(void *user)
{
    struct storefront *storefront = user;
    uint64_t random = UINT64_C(88172645463325252);
    struct rialto *prices = NULL;
    while (!storefront->stop) {
        uint64_t start = now_ns();
        if (prices == NULL && rialto_open(storefront->cache_dir, &prices) != RIALTO_OK) {
            rest(UINT64_MAX / REST);
            continue;
        }
        if (!burst(storefront, prices, &random)) {
            rialto_close(prices);
            prices = NULL;
            count(&storefront->reopened);
        }
        rest(now_ns() - start);
    }
    rialto_close(prices);
    return NULL;
}

bool storefront_start(struct storefront *storefront)
{
    storefront->stop = false;
    return pthread_create(&storefront->thread, NULL, run, storefront) == 0;
}

void storefront_stop(struct storefront *storefront)
{
    if (storefront->cache_dir == NULL || storefront->stop)
        return;
    storefront->stop = true;
    pthread_join(storefront->thread, NULL);
}
