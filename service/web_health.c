/* web_health.c - is the service alive, is it ready, and what it has counted (Prometheus text format 0.0.4). */
#include "service/web.h"

#include "cache/large.h"
#include "cache/reader.h"
#include "service/clock.h"
#include "service/metrics.h"
#include "service/progress.h"
#include "service/redis_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#ifndef RIALTO_VERSION
#define RIALTO_VERSION "0"
#endif

#define TYPE_METRICS  "text/plain; version=0.0.4; charset=utf-8"
#define REASON_MAX    160u
#define PAGES_LOOK_MS 10000

enum MHD_Result web_livez(struct exchange *exchange)
{
    struct text text = { 0 };
    text_put(&text, "{\"alive\":true,\"version\":\"" RIALTO_VERSION "\"}\n");
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, &text);
}

/* ---- ready -------------------------------------------------------------------------------------------------------------- */

static uint32_t silent_partitions(const struct rialto *prices)
{
    const struct rialto_control *control = prices->folder.control;
    int64_t now = mono_ms();
    uint32_t silent = 0;
    for (uint32_t i = 0; i < RIALTO_PARTITIONS; i++) {
        int64_t beat = atomic_load_explicit(&prices->folder.control->heartbeat[i].beat_mono_ms, memory_order_relaxed);
        silent += beat <= 0 || now - beat > (int64_t)control->stale_after_ms;
    }
    return silent;
}

/* What partitions without a worker that beats wait for: a start that is under way, or nothing that is known. */
static void silence_told(const struct web *web, uint32_t silent, char ret[REASON_MAX])
{
    struct progress progress = { .partitions = 0 };
    if (web->metrics != NULL)
        progress = progress_of(web->metrics);
    if (!progress_text(&progress, REASON_MAX, ret))
        (void)snprintf(ret, REASON_MAX, "%u of %u partitions have no worker that beats: their quotes are stale", silent,
                       RIALTO_PARTITIONS);
}

/* Why quotes cannot be trusted to be fresh: false = they can. */
static bool not_ready(struct web *web, char ret[REASON_MAX])
{
    const struct rialto *prices = prices_lock(web);
    uint32_t silent = prices == NULL ? RIALTO_PARTITIONS : silent_partitions(prices);
    bool retired = prices != NULL && rialto_state(prices, NULL) != RIALTO_OK;
    prices_unlock(web);
    if (prices == NULL || retired)
        (void)snprintf(ret, REASON_MAX, "the tables are not there");
    else if (silent > 0)
        silence_told(web, silent, ret);
    return prices == NULL || retired || silent > 0;
}

/* One reason for each state of Redis that some worker meets. */
static void put_redis(const struct web *web, struct text *text)
{
    uint32_t workers[REDIS_STATE_COUNT] = { 0 };
    const char *comma = "";
    for (uint32_t i = 0; web->metrics != NULL && i < web->config->workers; i++) {
        const struct metrics_block *block = &web->metrics->block[METRICS_FIRST_WORKER + i];
        uint64_t state = atomic_load(&block->word[METRIC_redis_state]);
        if (atomic_load(&block->word[METRIC_redis_up]) == 0)
            workers[state < REDIS_STATE_COUNT && state != REDIS_up ? state : REDIS_unknown]++;
    }
    for (uint32_t state = 0; state < REDIS_STATE_COUNT; state++) {
        if (workers[state] == 0)
            continue;
        text_put(text, "%s\"%u of %u workers: Redis %s: signals are not durable\"", comma, workers[state],
                 web->config->workers, redis_state_text(state));
        comma = ",";
    }
}

enum MHD_Result web_readyz(struct exchange *exchange)
{
    struct web *web = exchange->web;
    char reason[REASON_MAX] = "";
    bool refused = not_ready(web, reason);
    if (refused && prices_replaced(web)) /* perhaps they were made anew */
        refused = not_ready(web, reason);
    bool draining = atomic_load(&web->draining);
    struct text text = { 0 };
    text_put(&text, "{\"ready\":%s,\"reasons\":[", refused || draining ? "false" : "true");
    if (draining)
        text_put(&text, "\"the service is being stopped\"%s", refused ? "," : "");
    if (refused)
        text_quoted(&text, reason);
    text_put(&text, "],\"degraded\":[");
    put_redis(web, &text);
    text_put(&text, "]}\n");
    return respond(exchange, refused || draining ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, TYPE_JSON, &text);
}

/* ---- status -------------------------------------------------------------------------------------------------------------- */

/* The gateway's own view, and whether quotes are fresh. That it does not answer is an answer here. */
static enum MHD_Result status_told(struct exchange *exchange)
{
    struct web *web = exchange->web;
    char reason[REASON_MAX] = "";
    bool failed = atomic_load(&exchange->forwarded) == FORWARD_FAILED || exchange->answer.failed;
    cJSON *all = failed ? NULL : cJSON_ParseWithLength(exchange->answer.data, exchange->answer.used);
    bool answers = all != NULL;
    if (all == NULL)
        all = cJSON_CreateObject();
    cJSON_DeleteItemFromObject(all, "ok");
    cJSON_AddBoolToObject(all, "gateway", answers);
    cJSON_AddStringToObject(all, "instance", web->config->instance);
    cJSON_AddStringToObject(all, "version", RIALTO_VERSION);
    cJSON_AddBoolToObject(all, "ready", !not_ready(web, reason));
    cJSON_AddStringToObject(all, "reason", reason);
    struct text degraded = { 0 };
    text_put(&degraded, "[");
    put_redis(web, &degraded);
    text_put(&degraded, "]");
    cJSON_AddItemToObject(all, "degraded", degraded.failed ? NULL : cJSON_ParseWithLength(degraded.data, degraded.used));
    text_free(&degraded);
    return respond_json(exchange, MHD_HTTP_OK, all);
}

enum MHD_Result web_status(struct exchange *exchange)
{
    return question_ask(exchange, question_of(exchange, "ping"), status_told);
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------------- */

/* Prometheus wants base units: what we keep in ms and us is given in seconds. */
static double scale_of(const char *unit, const char **ret_suffix, const char **ret_cut)
{
    *ret_suffix = *ret_cut = "";
    if (strcmp(unit, "ms") == 0) {
        *ret_suffix = "_seconds";
        *ret_cut = "_ms";
        return 1e-3;
    }
    if (strcmp(unit, "us") == 0) {
        *ret_suffix = "_seconds";
        *ret_cut = "_us";
        return 1e-6;
    }
    return 1;
}

static void put_metric(struct text *text, const struct metrics_file *metrics, enum metric metric)
{
    const char *suffix, *cut, *name = metric_name(metric);
    double scale = scale_of(metric_unit(metric), &suffix, &cut);
    size_t length = strlen(name), cut_length = strlen(cut);
    bool counter = length > 6 && strcmp(name + length - 6, "_total") == 0;
    if (cut_length > 0 && length > cut_length && strcmp(name + length - cut_length, cut) == 0)
        length -= cut_length;
    char full[96];
    (void)snprintf(full, sizeof full, "rialto_%.*s%s", (int)length, name, suffix);
    text_put(text, "# HELP %s %s\n# TYPE %s %s\n", full, metric_text(metric), full, counter ? "counter" : "gauge");
    for (uint32_t b = 0; b < METRICS_BLOCKS_MAX; b++) {
        const struct metrics_block *block = &metrics->block[b];
        uint64_t value = atomic_load_explicit(&block->word[metric], memory_order_relaxed);
        if (block->who[0] == '\0')
            continue;
        if (scale < 1)
            text_put(text, "%s{process=\"%.31s\"} %.6f\n", full, block->who, (double)value * scale);
        else
            text_put(text, "%s{process=\"%.31s\"} %" PRIu64 "\n", full, block->who, value);
    }
}

/* Acknowledgements are the gateway's, everything else is measured by workers; series that are always 0 would only cost. */
static bool measures(const struct metrics_block *block, enum histogram histogram)
{
    return strncmp(block->who, histogram == HISTOGRAM_acknowledged_signal ? "gateway" : "worker", 6) == 0;
}

/* Prometheus counts in each bucket what is below its bound; the sum of all is read from the same words, so that they agree. */
static void put_histogram(struct text *text, const struct metrics_file *metrics, enum histogram histogram)
{
    const char *name = histogram_name(histogram);
    text_put(text, "# HELP rialto_%s_seconds %s\n# TYPE rialto_%s_seconds histogram\n", name, histogram_text(histogram),
             name);
    for (uint32_t b = 0; b < METRICS_BLOCKS_MAX; b++) {
        const struct metrics_block *block = &metrics->block[b];
        const struct metrics_histogram *h = &block->histogram[histogram];
        uint64_t below = 0, sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed);
        if (block->who[0] == '\0' || !measures(block, histogram))
            continue;
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
            below += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
            char bound[32] = "+Inf";
            if (i < HISTOGRAM_BUCKETS - 1)
                (void)snprintf(bound, sizeof bound, "%g", (double)histogram_bound_us(i) * 1e-6);
            text_put(text, "rialto_%s_seconds_bucket{process=\"%.31s\",le=\"%s\"} %" PRIu64 "\n", name, block->who,
                     bound, below);
        }
        text_put(text, "rialto_%s_seconds_sum{process=\"%.31s\"} %.6f\n", name, block->who, (double)sum_us * 1e-6);
        text_put(text, "rialto_%s_seconds_count{process=\"%.31s\"} %" PRIu64 "\n", name, block->who, below);
    }
}

/* Looking costs milliseconds where tables are large, and one thread at a time: a scrape that comes soon gets what was seen last. */
static void look_at_pages(const struct web *web)
{
    static _Atomic int64_t next_ms;
    int64_t now = mono_ms(), due = atomic_load(&next_ms);
    struct large_pages pages;
    if (now < due || !atomic_compare_exchange_strong(&next_ms, &due, now + PAGES_LOOK_MS))
        return;
    large_pages_of(web->config->cache_dir, &pages);
    metric_set(METRIC_table_bytes, pages.table_bytes);
    metric_set(METRIC_table_large_page_bytes, pages.large_bytes);
}

enum MHD_Result web_metrics(struct exchange *exchange)
{
    if (exchange->web->metrics == NULL)
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "no-metrics", "Metrics cannot be read",
                       "no metrics file");
    look_at_pages(exchange->web);
    struct text text = { 0 };
    text_put(&text, "# HELP rialto_build_info the version that runs\n# TYPE rialto_build_info gauge\n"
                    "rialto_build_info{version=\"" RIALTO_VERSION "\"} 1\n");
    for (unsigned metric = 0; metric < METRIC_COUNT; metric++)
        put_metric(&text, exchange->web->metrics, (enum metric)metric);
    for (unsigned histogram = 0; histogram < HISTOGRAM_COUNT; histogram++)
        put_histogram(&text, exchange->web->metrics, (enum histogram)histogram);
    return respond(exchange, MHD_HTTP_OK, TYPE_METRICS, &text);
}
