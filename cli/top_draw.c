/* top_draw.c - two samples as rows of text: 80 columns, what matters most first, processes last (a low window cuts them off). */
#include "cli/top.h"

#include "service/redis_link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LAG_BATCHES_MAX 100u /* as `rialto status` has it */

static const enum metric KINDS[] = {
    METRIC_product_signals_total,  METRIC_zone_signals_total,       METRIC_demand_signals_total,
    METRIC_supply_signals_total,   METRIC_location_signals_total,   METRIC_weather_signals_total,
    METRIC_customer_signals_total, METRIC_competitor_signals_total, METRIC_offer_signals_total,
    METRIC_receipt_signals_total,  METRIC_forget_signals_total,
};
#define KIND_COUNT (sizeof KINDS / sizeof KINDS[0])

struct drawing {
    const struct top_sample *before, *now;
    double seconds; /* between them; 0: one is missing */
    struct top_frame *frame;
};

__attribute__((format(printf, 2, 3))) static void row(struct drawing *drawing, const char *format, ...)
{
    struct top_frame *frame = drawing->frame;
    if (frame->count == TOP_ROWS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(frame->row[frame->count++], TOP_COLUMNS_MAX, format, arguments);
    va_end(arguments);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

/* Counters begin anew where the service does: nothing is known of that moment. */
static uint64_t more(uint64_t before, uint64_t now)
{
    return now > before ? now - before : 0;
}

static double per_second(const struct drawing *drawing, enum metric metric)
{
    return drawing->seconds > 0
               ? (double)more(drawing->before->word[metric], drawing->now->word[metric]) / drawing->seconds
               : 0;
}

static uint64_t total(const struct drawing *drawing, enum metric metric)
{
    return drawing->now->word[metric];
}

struct number {
    char text[24];
};

static struct number rate_text(double rate)
{
    struct number ret;
    (void)snprintf(ret.text, sizeof ret.text, rate < 10 && rate > 0 ? "%.1f" : "%.0f", rate);
    return ret;
}

static struct number us_text(uint64_t us)
{
    struct number ret;
    if (us == UINT64_MAX)
        (void)snprintf(ret.text, sizeof ret.text, "> 10 s");
    else if (us < 1000)
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 " us", us);
    else if (us < 1000000)
        (void)snprintf(ret.text, sizeof ret.text, "%.4g ms", (double)us / 1e3);
    else
        (void)snprintf(ret.text, sizeof ret.text, "%.4g s", (double)us / 1e6);
    return ret;
}

static struct number bytes_text(int64_t bytes)
{
    struct number ret;
    if (bytes < 0)
        (void)snprintf(ret.text, sizeof ret.text, "-");
    else
        (void)snprintf(ret.text, sizeof ret.text, "%.1f MB", (double)bytes / 1e6);
    return ret;
}

/* The bound below which a share of what was measured lies: a histogram knows no better. "-": nothing was measured. */
static struct number percentile(const uint64_t bucket[HISTOGRAM_BUCKETS], double share)
{
    uint64_t count = 0, below = 0;
    struct number none = { "-" };
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += bucket[i];
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && count > 0; i++) {
        below += bucket[i];
        if ((double)below >= share * (double)count)
            return us_text(histogram_bound_us(i));
    }
    return none;
}

static struct number share_text(uint64_t part, uint64_t whole)
{
    struct number ret;
    if (whole == 0)
        (void)snprintf(ret.text, sizeof ret.text, "-");
    else
        (void)snprintf(ret.text, sizeof ret.text, "%.0f %%", 100 * (double)part / (double)whole);
    return ret;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

static void draw_starting(struct drawing *drawing)
{
    char text[TOP_COLUMNS_MAX];
    if (progress_text(&drawing->now->starting, sizeof text, text))
        row(drawing, "%s", text);
}

static void draw_redis(struct drawing *drawing)
{
    uint32_t workers = 0, up = 0;
    uint64_t lag = 0;
    const char *state = "";
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++) {
        const struct top_process *process = &drawing->now->process[i];
        if (process->who[0] == '\0' || !process->worker)
            continue;
        workers++;
        up += process->word[METRIC_redis_up] != 0;
        if (process->word[METRIC_redis_up] == 0)
            state = redis_state_text(process->word[METRIC_redis_state] < REDIS_STATE_COUNT &&
                                             process->word[METRIC_redis_state] != REDIS_up
                                         ? (enum redis_state)process->word[METRIC_redis_state]
                                         : REDIS_unknown);
        lag = process->word[METRIC_mirror_lag_batches] > lag ? process->word[METRIC_mirror_lag_batches] : lag;
    }
    row(drawing, "redis      up for %u of %u workers%s%s, %" PRIu64 " batches behind%s", up, workers,
        state[0] != '\0' ? "; Redis " : "", state, lag, lag > LAG_BATCHES_MAX ? " !" : "");
}

static void draw_signals(struct drawing *drawing)
{
    row(drawing, "signals/s  %s accepted (%" PRIu64 "), %s rejected (%" PRIu64 "), senders waited %s/s",
        rate_text(per_second(drawing, METRIC_signals_accepted_total)).text,
        total(drawing, METRIC_signals_accepted_total),
        rate_text(per_second(drawing, METRIC_signals_rejected_total)).text,
        total(drawing, METRIC_signals_rejected_total), rate_text(per_second(drawing, METRIC_ingest_waits_total)).text);
    for (size_t i = 0; i < KIND_COUNT; i += 4) {
        char text[TOP_COLUMNS_MAX] = "";
        for (size_t k = i; k < i + 4 && k < KIND_COUNT; k++) {
            const char *name = metric_name(KINDS[k]);
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, "%-10.*s %-6s", (int)strcspn(name, "_"), name,
                           rate_text(per_second(drawing, KINDS[k])).text);
        }
        row(drawing, "           %s", text);
    }
}

static void draw_prices(struct drawing *drawing)
{
    uint64_t moved = more(drawing->before->word[METRIC_prices_moved_total], total(drawing, METRIC_prices_moved_total));
    uint64_t guarded = more(drawing->before->word[METRIC_prices_moved_guarded_total],
                            total(drawing, METRIC_prices_moved_guarded_total));
    row(drawing, "prices/s   %s computed, %s moved (%" PRIu64 "), at a guardrail: %s of those (%s ever)",
        rate_text(per_second(drawing, METRIC_cells_repriced_total)).text,
        rate_text(per_second(drawing, METRIC_prices_moved_total)).text, total(drawing, METRIC_prices_moved_total),
        share_text(guarded, moved).text,
        share_text(total(drawing, METRIC_prices_moved_guarded_total), total(drawing, METRIC_prices_moved_total)).text);
    row(drawing, "quotes/s   %s over HTTP (%" PRIu64 "), %s to Redis (%" PRIu64 ")",
        rate_text(per_second(drawing, METRIC_http_quotes_total)).text, total(drawing, METRIC_http_quotes_total),
        rate_text(per_second(drawing, METRIC_quotes_published_total)).text,
        total(drawing, METRIC_quotes_published_total));
    if (drawing->now->read_ns >= 0)
        row(drawing, "           read here out of shared memory in %.2f us (%.40s)",
            (double)drawing->now->read_ns / 1e3, drawing->now->read_sku);
    else
        row(drawing, "           there is no price yet to read");
}

static void draw_latency(struct drawing *drawing)
{
    static const char *const NAME[HISTOGRAM_COUNT] = {
        [HISTOGRAM_acknowledged_signal] = "acknowledged",
        [HISTOGRAM_signal_to_price] = "signal to price",
        [HISTOGRAM_batch] = "batch",
        [HISTOGRAM_redis_lag] = "redis lag",
    };
    row(drawing, "at most                now p50       p99    | ever p50       p99");
    for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++) {
        uint64_t fresh[HISTOGRAM_BUCKETS];
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
            fresh[i] = more(drawing->before->bucket[h][i], drawing->now->bucket[h][i]);
        row(drawing, "  %-17s %9s %9s    | %8s %9s", NAME[h], percentile(fresh, 0.5).text, percentile(fresh, 0.99).text,
            percentile(drawing->now->bucket[h], 0.5).text, percentile(drawing->now->bucket[h], 0.99).text);
    }
}

static void draw_processes(struct drawing *drawing)
{
    row(drawing, "process      heartbeat  restarts     memory   batches/s   cells   customers");
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++) {
        const struct top_process *process = &drawing->now->process[i];
        char beat[24] = "", applied[24] = "", cells[24] = "", customers[24] = "";
        if (process->who[0] == '\0')
            continue;
        if (process->worker) {
            bool silent = process->beat_ms < 0 || process->beat_ms >= (int64_t)drawing->now->stale_after_ms;
            (void)snprintf(beat, sizeof beat, silent ? "SILENT" : "%" PRId64 " ms", process->beat_ms);
            (void)snprintf(applied, sizeof applied, "%.0f",
                           drawing->seconds > 0
                               ? (double)more(drawing->before->process[i].word[METRIC_batches_applied_total],
                                              process->word[METRIC_batches_applied_total]) /
                                     drawing->seconds
                               : 0);
            (void)snprintf(cells, sizeof cells, "%" PRIu64, process->word[METRIC_cells]);
            (void)snprintf(customers, sizeof customers, "%" PRIu64, process->word[METRIC_customers]);
        }
        row(drawing, "%-12s %9s %9" PRIu64 " %10s %11s %7s %11s", process->who, beat,
            process->word[METRIC_restarts_total], bytes_text(process->bytes).text, applied, cells, customers);
    }
}

static const char *verdict(const struct top_sample *now)
{
    if (!now->tables)
        return "not running: no tables";
    if (now->retired)
        return "not running: the tables are retired";
    if (!now->metrics)
        return "degraded: no metrics that can be read";
    if (now->partitions_silent > 0)
        return "degraded: partitions have no worker that beats";
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++)
        if (now->process[i].who[0] != '\0' && now->process[i].worker && now->process[i].word[METRIC_redis_up] == 0)
            return "degraded: a worker has no Redis";
    return "healthy";
}

static int64_t memory_of(const struct top_sample *now)
{
    int64_t bytes = -1;
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++)
        if (now->process[i].who[0] != '\0' && now->process[i].bytes >= 0)
            bytes = (bytes < 0 ? 0 : bytes) + now->process[i].bytes;
    return bytes;
}

void top_draw(const char *instance, const struct top_sample *before, const struct top_sample *now,
              struct top_frame *ret)
{
    static const char *const MODE[] = { "normal", "list", "frozen" };
    struct drawing drawing = { before, now, 0, ret };
    char clock[32];
    ret->count = 0;
    if (before->metrics && now->metrics && now->at_ms > before->at_ms)
        drawing.seconds = (double)(now->at_ms - before->at_ms) / 1e3;
    row(&drawing, "%.31s: %s", now->tables ? now->instance : instance, verdict(now));
    if (!now->tables)
        return;
    cli_clock_text(now->service_ms, clock);
    row(&drawing, "service    %s UTC, mode %s, %u of %u partitions are fresh", clock,
        now->mode < sizeof MODE / sizeof MODE[0] ? MODE[now->mode] : "unknown",
        RIALTO_PARTITIONS - now->partitions_silent, RIALTO_PARTITIONS);
    draw_starting(&drawing);
    draw_redis(&drawing);
    draw_signals(&drawing);
    draw_prices(&drawing);
    row(&drawing, "memory     %s of tables, %s of processes (resident)", bytes_text((int64_t)now->cache_bytes).text,
        bytes_text(memory_of(now)).text);
    draw_latency(&drawing);
    draw_processes(&drawing);
}
