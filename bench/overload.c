/* overload.c - quotes while more signals come than can be priced, beside quotes while none come; and what becomes of the signals.
 *
 *   producer --NNG PUSH, as fast as it is let--> gateway --> worker --> cells --> reader: one quote after the other, each timed
 *
 * Quiet and loaded rounds take turns on one service. In a loaded round the producer always has more (it waits where the gateway lets it
 * wait), and new list prices of one product are pushed from another sender, one after the other: each must be seen, however long
 * the queue. Every quote is checked: right product, within its bounds. Memory is what gateway and workers have for themselves (RssAnon),
 * looked at all the time. In the end every signal must have been applied. */
#include "bench/bench.h"
#include "bench/instance.h"
#include "bench/producer.h"
#include "service/clock.h"

#include <inttypes.h>
#include <nng/protocol/pipeline0/push.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_FIRST    1000u
#define WATCHED       "sku-watched"
#define WATCHED_LIST  5000u
#define QUOTES_MAX    (16u << 20) /* samples of each kind */
#define LOOK_QUOTES   4096u       /* from one look at the memory and the watched price to the next */
#define DRAIN_MS      60000
#define SEEN_MS       30000
#define WARM_MESSAGES 256u

struct side { /* quiet, or loaded */
    struct samples quotes;
    uint64_t wrong;
};

struct overload {
    struct instance instance;
    struct producer producer;
    pthread_t thread; /* sends while `pressing` */
    atomic_bool pressing, ending, failed;
    atomic_uint_fast64_t turn;
    atomic_bool resting; /* it has seen that it is not to press */
    nng_socket push;     /* of the watched product */
    struct rialto *prices;
    char sku[PRODUCER_PRODUCTS][16];
    struct side side[2];
    uint64_t random, watched, unseen, news;
    int64_t pushed_us;
    double seconds, seen_max_ms;
    uint64_t memory_before, memory_max, coalesced, mirror_coalesced, waits, sent, applied, dropped;
};

static const char *const SIDE[2] = { "quiet", "loaded" };

/* ---- the sender ----------------------------------------------------------------------------------------------------- */

static void *press(void *user)
{
    struct overload *o = user;
    uint64_t turn = WARM_MESSAGES;
    while (!atomic_load(&o->ending)) {
        if (!atomic_load(&o->pressing)) {
            atomic_store(&o->resting, true);
            (void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
            continue;
        }
        atomic_store(&o->resting, false);
        if (!producer_send(&o->producer, turn++)) {
            atomic_store(&o->failed, true);
            return NULL;
        }
    }
    return NULL;
}

/* Is the newest price of the watched product there, or overdue? */
static bool watched_done(struct overload *o)
{
    struct rialto_quote quote;
    if (o->pushed_us == 0)
        return true;
    bool seen = rialto_quote(o->prices, &(struct rialto_request){ .zone = NULL }, WATCHED, &quote) == RIALTO_OK &&
                quote.list == (int64_t)(WATCHED_LIST + o->news);
    double ms = (double)(mono_us() - o->pushed_us) / 1e3;
    if (!seen && ms < SEEN_MS)
        return false;
    o->unseen += !seen;
    o->watched += seen;
    o->seen_max_ms = ms > o->seen_max_ms ? ms : o->seen_max_ms;
    o->pushed_us = 0;
    return true;
}

static void watched_push(struct overload *o)
{
    char line[160];
    int bytes = snprintf(line, sizeof line,
                         "{\"type\":\"product\",\"sku\":\"" WATCHED "\",\"category\":\"bench\",\"list\":%" PRIu64
                         ",\"currency\":\"EUR\"}\n",
                         WATCHED_LIST + o->news + 1);
    if (nng_send(o->push, line, (size_t)bytes, NNG_FLAG_NONBLOCK) != 0)
        return; /* no room yet: at the next look */
    o->news++;
    o->pushed_us = mono_us();
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

static uint64_t anonymous_bytes(uint64_t pid)
{
    char path[48], line[128];
    unsigned long long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%" PRIu64 "/status", pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "RssAnon: %llu", &kib) != 1) {}
    if (file != NULL)
        (void)fclose(file);
    return (uint64_t)kib * 1024;
}

static uint64_t memory(const struct overload *o)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++) {
        uint64_t pid = atomic_load_explicit(&o->instance.metrics->block[i].word[METRIC_pid], memory_order_relaxed);
        sum += pid != 0 ? anonymous_bytes(pid) : 0;
    }
    return sum;
}

/* ---- rounds ----------------------------------------------------------------------------------------------------------- */

static void ask(struct overload *o, struct side *side)
{
    uint64_t roll = bench_random(&o->random);
    uint32_t product = (uint32_t)(roll % PRODUCER_PRODUCTS), shop = (uint32_t)(roll >> 32) % PRODUCER_SHOPS;
    const char zone[] = { 'c', (char)('0' + shop % 2), '/', 's', (char)('0' + shop), '\0' };
    const struct rialto_request request = { .zone = zone };
    struct rialto_quote quote;
    uint64_t from = clock_begin();
    enum rialto_status status = rialto_quote(o->prices, &request, o->sku[product], &quote);
    samples_add(&side->quotes, clock_end() - from);
    side->wrong += status != RIALTO_OK || quote.list != (int64_t)(LIST_FIRST + product) || quote.amount < quote.floor ||
                   quote.amount > quote.ceiling;
}

static void read_for(struct overload *o, struct side *side, double seconds, bool loaded)
{
    for (double until = clock_seconds() + seconds; clock_seconds() < until && !atomic_load(&o->failed);) {
        for (uint32_t i = 0; i < LOOK_QUOTES; i++)
            ask(o, side);
        if (loaded) {
            uint64_t now = memory(o);
            o->memory_max = now > o->memory_max ? now : o->memory_max;
            if (watched_done(o))
                watched_push(o);
        }
    }
}

static uint64_t rest_of(const struct overload *o)
{
    return o->sent + o->news + PRODUCER_PRODUCTS + 1;
}

/* Until all that was sent is applied. */
static bool drain(struct overload *o)
{
    int64_t until = mono_ms() + DRAIN_MS;
    while (!atomic_load(&o->resting) && !atomic_load(&o->failed) && mono_ms() < until)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    o->sent = o->producer.sent;
    while ((o->applied = instance_metric(&o->instance, METRIC_records_applied_total)) < rest_of(o)) {
        if (mono_ms() > until || atomic_load(&o->failed))
            return false;
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return true;
}

/* Not applied, or applied to no effect: no number was sent twice. */
static uint64_t dropped(const struct overload *o)
{
    uint64_t wanted = rest_of(o);
    return (o->applied < wanted ? wanted - o->applied : 0) +
           instance_metric(&o->instance, METRIC_signals_rejected_total) +
           instance_metric(&o->instance, METRIC_signals_duplicate_total);
}

static bool take_turns(struct overload *o, const struct bench_options *options)
{
    double each = options->seconds / (double)options->rounds;
    bool good = drain(o);
    o->memory_before = memory(o);
    uint64_t coalesced = instance_metric(&o->instance, METRIC_prices_coalesced_total);
    uint64_t mirrored = instance_metric(&o->instance, METRIC_mirror_coalesced_total);
    uint64_t waits = instance_metric(&o->instance, METRIC_ingest_waits_total), sent = o->sent;
    for (uint64_t i = 0; good && i < options->rounds; i++) {
        read_for(o, &o->side[0], each, false);
        double from = clock_seconds();
        atomic_store(&o->resting, false);
        atomic_store(&o->pressing, true);
        read_for(o, &o->side[1], each, true);
        atomic_store(&o->pressing, false);
        good = drain(o);
        o->seconds += clock_seconds() - from;
    }
    while (!watched_done(o)) /* the last of them, too: what is applied is published a moment later */
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    o->coalesced = instance_metric(&o->instance, METRIC_prices_coalesced_total) - coalesced;
    o->mirror_coalesced = instance_metric(&o->instance, METRIC_mirror_coalesced_total) - mirrored;
    o->waits = instance_metric(&o->instance, METRIC_ingest_waits_total) - waits;
    o->dropped = dropped(o);
    o->sent -= sent;
    return good && !atomic_load(&o->failed);
}

static bool open_all(struct overload *o)
{
    static const char watched[] =
        "{\"type\":\"product\",\"sku\":\"" WATCHED "\",\"category\":\"bench\",\"list\":5000,\"currency\":\"EUR\"}\n";
    for (uint32_t i = 0; i < PRODUCER_PRODUCTS; i++)
        (void)snprintf(o->sku[i], sizeof o->sku[i], "sku-%06u", i);
    bool good = instance_add_products(&o->instance, PRODUCER_PRODUCTS, LIST_FIRST) &&
                instance_accept(&o->instance, watched, sizeof watched - 1) &&
                producer_setup(&o->producer, o->instance.push_url, 7) && nng_push0_open(&o->push) == 0 &&
                nng_dial(o->push, o->instance.push_url, NULL, 0) == 0 &&
                rialto_open(o->instance.cache, &o->prices) == RIALTO_OK &&
                samples_setup(&o->side[0].quotes, QUOTES_MAX) && samples_setup(&o->side[1].quotes, QUOTES_MAX);
    for (uint64_t turn = 0; good && turn < WARM_MESSAGES; turn++) /* all cells are open before the first round */
        good = producer_send(&o->producer, turn);
    return good;
}

static bool measure(struct overload *o, const struct bench_options *options)
{
    bool good = open_all(o);
    atomic_store(&o->resting, true);
    bool started = good && pthread_create(&o->thread, NULL, press, o) == 0;
    good = started && take_turns(o, options);
    atomic_store(&o->ending, true);
    if (started)
        (void)pthread_join(o->thread, NULL);
    for (uint32_t i = 0; i < 2; i++)
        samples_sort(&o->side[i].quotes);
    if (!good)
        daemon_print_log(&o->instance.daemon, 8);
    rialto_close(o->prices);
    (void)nng_close(o->push);
    producer_teardown(&o->producer);
    return good;
}

/* ---- words ------------------------------------------------------------------------------------------------------------ */

static double at(const struct overload *o, uint32_t side, double share)
{
    return samples_at(&o->side[side].quotes, share);
}

static void print_table(const struct overload *o)
{
    printf("one quote after the other, while no signals come and while more come than can be priced (%u a message, %u "
           "products in %u "
           "shops)\n",
           PRODUCER_BATCH, PRODUCER_PRODUCTS, PRODUCER_SHOPS);
    printf("  %-10s %10s %10s %10s\n", "", "p50", "p99", "p99.9");
    for (uint32_t i = 0; i < 2; i++)
        printf("  %-10s %7.0f ns %7.0f ns %7.0f ns %12zu quotes, %" PRIu64 " wrong\n", SIDE[i], at(o, i, 0.5),
               at(o, i, 0.99), at(o, i, 0.999), o->side[i].quotes.count, o->side[i].wrong);
    printf("  %-10s %9.2fx %9.2fx %9.2fx\n", "ratio", at(o, 1, 0.5) / at(o, 0, 0.5), at(o, 1, 0.99) / at(o, 0, 0.99),
           at(o, 1, 0.999) / at(o, 0, 0.999));
    printf("%" PRIu64 " signals at %.0f a second, %" PRIu64 " dropped; the sender waited %" PRIu64 " times\n", o->sent,
           (double)o->sent / o->seconds, o->dropped, o->waits);
    printf("%" PRIu64 " prices and %" PRIu64 " records for Redis were computed or sent with a later one\n",
           o->coalesced, o->mirror_coalesced);
    printf("%" PRIu64 " new prices of one product were seen, the slowest %.0f ms after it was sent\n", o->watched,
           o->seen_max_ms);
    printf("memory of gateway and worker for themselves: %.1f MiB before, %.1f MiB at most\n",
           (double)o->memory_before / 1048576, (double)o->memory_max / 1048576);
}

static void print_json(const struct overload *o)
{
    printf("{\"bench\":\"overload\"");
    for (uint32_t i = 0; i < 2; i++)
        printf(",\"%s\":{\"quote_p50_ns\":%.1f,\"quote_p99_ns\":%.1f,\"quote_p999_ns\":%.1f,\"quotes\":%zu,\"wrong\":"
               "%" PRIu64 "}",
               SIDE[i], at(o, i, 0.5), at(o, i, 0.99), at(o, i, 0.999), o->side[i].quotes.count, o->side[i].wrong);
    printf(",\"ratio_p50\":%.3f,\"ratio_p99\":%.3f,\"ratio_p999\":%.3f", at(o, 1, 0.5) / at(o, 0, 0.5),
           at(o, 1, 0.99) / at(o, 0, 0.99), at(o, 1, 0.999) / at(o, 0, 0.999));
    printf(",\"signals\":%" PRIu64 ",\"signals_per_s\":%.0f,\"dropped\":%" PRIu64 ",\"sender_waits\":%" PRIu64
           ",\"prices_coalesced\":%" PRIu64 ",\"mirror_coalesced\":%" PRIu64 ",\"watched\":%" PRIu64
           ",\"unseen\":%" PRIu64 ",\"seen_max_ms\":%.1f,\"memory_before_bytes\":%" PRIu64
           ",\"memory_max_bytes\":%" PRIu64 "}\n",
           o->sent, (double)o->sent / o->seconds, o->dropped, o->waits, o->coalesced, o->mirror_coalesced, o->watched,
           o->unseen, o->seen_max_ms, o->memory_before, o->memory_max);
}

int bench_overload(const struct bench_options *options)
{
    static struct overload o;
    memset(&o, 0, sizeof o);
    if (!instance_start(&o.instance, NULL, 0, NULL))
        return 1;
    bool good = measure(&o, options);
    if (good)
        (options->json ? print_json : print_table)(&o);
    else
        fprintf(stderr, "rialto-bench: %" PRIu64 " of %" PRIu64 " signals were applied\n", o.applied,
                o.producer.sent + o.news + PRODUCER_PRODUCTS + 1);
    good = good && o.side[0].wrong + o.side[1].wrong + o.unseen + o.dropped == 0;
    for (uint32_t i = 0; i < 2; i++)
        samples_teardown(&o.side[i].quotes);
    instance_stop(&o.instance);
    return good ? 0 : 1;
}
