/* ingest.c - how fast signals become prices, and what that costs, beside bare cJSON on the same bytes.
 *
 *   producer --NNG PUSH over ipc://, lines of JSON, 512 signals a message--> gateway --> worker --> cells
 *                                                                                          +--> redis-server
 * Every signal (producer.h) counts in its shop, its city and the world. The producer waits where the gateway lets it wait. All CPU of rialtod's
 * processes and of its redis-server counts from the first message to the last batch applied and mirrored; the producer's
 * does not. cJSON then parses and frees the same lines, one after the other, with the same allocator as rialtod. */
#include "bench/bench.h"
#include "bench/instance.h"
#include "bench/producer.h"
#include "service/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIST_FIRST    1000u /* of the first product, minor units */
#define WARM_MESSAGES 256u
#define DRAIN_MS      20000
#define CJSON_ROUNDS  5u

struct outcome {
    double seconds;
    uint64_t sent, applied, rejected, deduplicated;
    double cpu_ns;
    struct stage_cpu stage[INSTANCE_STAGES_MAX];
    uint32_t stages;
    double cjson_ns;
    double line_bytes;
    uint64_t cells_repriced, cells_changed, mirrored, waits;
    bool published;
};

/* ---- the measurement ---------------------------------------------------------------------------------------------- */

/* Until as many parts as were sent are applied, and what they changed is in Redis. */
static bool drained(const struct instance *instance, uint64_t target)
{
    int64_t until = mono_ms() + DRAIN_MS;
    while (instance_metric(instance, METRIC_records_applied_total) < target ||
           instance_metric(instance, METRIC_mirror_lag_batches) > 4) {
        if (mono_ms() > until)
            return false;
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return true;
}

static bool prices_moved(const struct instance *instance)
{
    struct rialto *prices;
    struct rialto_quote quote;
    uint32_t moved = 0;
    if (rialto_open(instance->cache, &prices) != RIALTO_OK)
        return false;
    for (uint32_t i = 0; i < PRODUCER_PRODUCTS; i++) {
        char sku[16];
        (void)snprintf(sku, sizeof sku, "sku-%06u", i);
        const struct rialto_request request = { .zone = "c1/s1" };
        if (rialto_quote(prices, &request, sku, &quote) == RIALTO_OK && strcmp(quote.zone, "c1/s1") == 0)
            moved++;
    }
    rialto_close(prices);
    return moved > PRODUCER_PRODUCTS / 2; /* half of the shops are c1's: each product has a cell in s1 by now */
}

static bool run(struct instance *instance, struct producer *producer, double seconds, struct outcome *ret)
{
    struct stage_cpu before[INSTANCE_STAGES_MAX];
    double total_before, total_after;
    uint64_t turn = 0, base = instance_metric(instance, METRIC_records_applied_total);
    for (; turn < WARM_MESSAGES; turn++)
        if (!producer_send(producer, turn))
            return false;
    if (!drained(instance, base + producer->sent))
        return false;

    uint64_t sent_before = producer->sent, repriced = instance_metric(instance, METRIC_cells_repriced_total);
    uint64_t changed = instance_metric(instance, METRIC_cells_changed_total);
    uint64_t mirrored = instance_metric(instance, METRIC_mirror_records_total);
    uint32_t stages = instance_cpu(instance, before, &total_before);
    int64_t from = mono_us(), until = from + (int64_t)(seconds * 1e6);
    for (; mono_us() < until; turn++)
        if (!producer_send(producer, turn))
            return false;
    bool whole = drained(instance, base + producer->sent);
    ret->seconds = (double)(mono_us() - from) / 1e6;
    ret->stages = instance_cpu(instance, ret->stage, &total_after);
    ret->cpu_ns = total_after - total_before;
    for (uint32_t i = 0; i < ret->stages; i++)
        for (uint32_t k = 0; k < stages; k++)
            if (strcmp(before[k].name, ret->stage[i].name) == 0)
                ret->stage[i].ns -= before[k].ns;
    ret->sent = producer->sent - sent_before;
    ret->applied = instance_metric(instance, METRIC_records_applied_total) - base - sent_before;
    ret->rejected = instance_metric(instance, METRIC_signals_rejected_total);
    ret->deduplicated = instance_metric(instance, METRIC_signals_duplicate_total);
    ret->cells_repriced = instance_metric(instance, METRIC_cells_repriced_total) - repriced;
    ret->cells_changed = instance_metric(instance, METRIC_cells_changed_total) - changed;
    ret->mirrored = instance_metric(instance, METRIC_mirror_records_total) - mirrored;
    ret->waits = instance_metric(instance, METRIC_ingest_waits_total);
    ret->published = prices_moved(instance);
    if (!whole)
        fprintf(stderr, "rialto-bench: not all signals were applied and mirrored within %d ms\n", DRAIN_MS);
    return whole;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Parse and free every line of the prepared messages; the median of some rounds, per signal, in CPU time. */
static double cjson_cost(struct producer *producer)
{
    double round[CJSON_ROUNDS];
    for (uint32_t r = 0; r < CJSON_ROUNDS; r++) {
        struct timespec from, to;
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (uint32_t m = 0; m < PRODUCER_MESSAGES; m++) {
            const char *at = producer->message[m].text, *end = at + producer->message[m].bytes;
            while (at < end) {
                const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
                cJSON_Delete(cJSON_ParseWithLength(at, (size_t)(next - at)));
                at = next;
            }
        }
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        round[r] = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (PRODUCER_MESSAGES * PRODUCER_BATCH);
    }
    qsort(round, CJSON_ROUNDS, sizeof round[0], by_size);
    return round[CJSON_ROUNDS / 2];
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

static uint64_t dropped(const struct outcome *o)
{
    uint64_t effective =
        o->applied - (o->rejected + o->deduplicated < o->applied ? o->rejected + o->deduplicated : o->applied);
    return o->sent > effective ? o->sent - effective : 0;
}

static void print_table(const struct outcome *o)
{
    double cpu = o->cpu_ns / (double)o->sent;
    printf("%" PRIu64 " demand signals of %.0f bytes, %u a message, %u products in %u shops, over ipc:// through "
           "gateway and one worker\n",
           o->sent, o->line_bytes, PRODUCER_BATCH, PRODUCER_PRODUCTS, PRODUCER_SHOPS);
    printf("%-34s %12.0f signals/s\n", "to published prices and Redis", (double)o->sent / o->seconds);
    for (uint32_t i = 0; i < o->stages; i++)
        if (o->stage[i].ns / (double)o->sent >= 0.5)
            printf("  %-32s %12.0f ns of CPU a signal\n", o->stage[i].name, o->stage[i].ns / (double)o->sent);
    printf("%-34s %12.0f ns of CPU a signal\n", "all of it", cpu);
    printf("%-34s %12.0f ns of CPU a signal\n", "bare cJSON, parse and free", o->cjson_ns);
    printf("%-34s %12.2f x bare cJSON\n", "", cpu / o->cjson_ns);
    printf("%-34s %12" PRIu64 " signals\n", "dropped", dropped(o));
    printf("prices computed %.2f and changed %.3f a signal, records to Redis %.3f a signal, senders waited %" PRIu64
           " times\n",
           (double)o->cells_repriced / (double)o->sent, (double)o->cells_changed / (double)o->sent,
           (double)o->mirrored / (double)o->sent, o->waits);
}

static void print_json(const struct outcome *o)
{
    printf("{\"bench\":\"ingest\",\"signals\":%" PRIu64
           ",\"line_bytes\":%.1f,\"signals_per_s\":%.0f,\"cpu_ns_per_signal\":%.1f,"
           "\"cjson_ns_per_signal\":%.1f,\"ratio\":%.3f,\"dropped\":%" PRIu64 ",\"stages\":{",
           o->sent, o->line_bytes, (double)o->sent / o->seconds, o->cpu_ns / (double)o->sent, o->cjson_ns,
           o->cpu_ns / (double)o->sent / o->cjson_ns, dropped(o));
    for (uint32_t i = 0; i < o->stages; i++)
        printf("%s\"%s\":%.1f", i > 0 ? "," : "", o->stage[i].name, o->stage[i].ns / (double)o->sent);
    printf("}}\n");
}

int bench_ingest(const struct bench_options *options)
{
    struct instance instance;
    static struct producer producer;
    struct outcome outcome = { .seconds = 0 };
    if (!instance_start(&instance, NULL, 0, NULL))
        return 1;
    bool good = instance_add_products(&instance, PRODUCER_PRODUCTS, LIST_FIRST) && producer_setup(&producer, instance.push_url, 7) &&
                run(&instance, &producer, options->seconds, &outcome);
    if (good) {
        outcome.cjson_ns = cjson_cost(&producer);
        for (uint32_t i = 0; i < PRODUCER_MESSAGES; i++)
            outcome.line_bytes += (double)producer.message[i].bytes / (PRODUCER_MESSAGES * PRODUCER_BATCH);
        if (options->json)
            print_json(&outcome);
        else
            print_table(&outcome);
    }
    if (!good)
        daemon_print_log(&instance.daemon, 8);
    else if (!outcome.published)
        fprintf(stderr, "rialto-bench: prices of the shops were not published\n");
    producer_teardown(&producer);
    instance_stop(&instance);
    return good && outcome.published && dropped(&outcome) == 0 ? 0 : 1;
}
