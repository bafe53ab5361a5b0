/* status.c - `rialto status`: is the instance well? From its tables, its metrics, and one question to its gateway.
 *
 *   control.v3   mode, heartbeats by partition         metrics.v3   processes, counters, Redis
 *   tables       lines used and room                   ping         the gateway answers, what time it is
 *
 * Healthy: the gateway answers, every heartbeat is fresh, every worker has Redis, nothing waits long for it. */
#include "cache/folder.h"
#include "cache/large.h"
#include "cli/cli.h"
#include "cli/usage.h"
#include "pricing/json_member.h"
#include "service/metrics.h"
#include "service/progress.h"
#include "service/redis_link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PROBLEMS_MAX    8u
#define LAG_BATCHES_MAX 100u /* batches that Redis may be behind before it is called a problem */
#define WAIT_STEP_MS    100

struct table_use {
    uint64_t used, capacity; /* lines: live, and as many as there may be */
    uint64_t reserved;       /* lines that there is room for now */
};

struct process {
    char who[32];
    int64_t pid, started_ms;
    uint64_t restarts;
    int64_t rss_bytes;     /* -1: cannot be seen from here */
    const char *allocator; /* "jemalloc", "libc", "" = cannot be seen from here */
};

struct health {
    bool cache;
    const char *mode;
    bool demo;
    int64_t created_ms;
    bool answers;
    char url[CONFIG_TEXT_MAX];
    double answer_ms;
    int64_t service_time_ms;
    uint32_t partitions_fresh;
    int64_t oldest_beat_ms; /* -1: there is none */
    uint32_t workers, workers_with_redis;
    uint32_t redis_state[REDIS_STATE_COUNT]; /* workers to which it is so */
    struct progress starting; /* partitions 0 = none is */
    uint64_t lag_batches;
    uint64_t counter[METRIC_COUNT]; /* summed over processes */
    struct process process[METRICS_BLOCKS_MAX];
    uint32_t process_count;
    struct table_use table[RIALTO_TABLE_COUNT];
    uint64_t cache_bytes;
    struct large_pages large;
    cJSON *change; /* what is in force; NULL = not known */
    uint32_t problem_count;
    char problem[PROBLEMS_MAX][256];
};

static const char *const table_name[RIALTO_TABLE_COUNT] = { "cells", "terms", "offers", "zones", "products" };

__attribute__((format(printf, 2, 3))) static void complain(struct health *health, const char *format, ...)
{
    if (health->problem_count == PROBLEMS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(health->problem[health->problem_count++], sizeof health->problem[0], format, arguments);
    va_end(arguments);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- gathering -------------------------------------------------------------------------------------------------- */

static void gather_heartbeats(struct health *health, const struct rialto_control *control)
{
    int64_t now_ms = now_ns(CLOCK_MONOTONIC) / 1000000;
    health->oldest_beat_ms = -1;
    for (uint32_t i = 0; i < RIALTO_PARTITIONS; i++) {
        int64_t beat_ms = atomic_load(&control->heartbeat[i].beat_mono_ms);
        if (beat_ms <= 0)
            continue;
        int64_t age_ms = now_ms - beat_ms;
        health->partitions_fresh += age_ms < control->stale_after_ms;
        if (age_ms > health->oldest_beat_ms)
            health->oldest_beat_ms = age_ms;
    }
    if (health->partitions_fresh < RIALTO_PARTITIONS)
        complain(health, "%u of %u partitions have no worker that beats", RIALTO_PARTITIONS - health->partitions_fresh,
                 RIALTO_PARTITIONS);
}

static void gather_tables(struct health *health, const struct folder *folder)
{
    for (uint32_t table = 0; table < RIALTO_TABLE_COUNT; table++) {
        struct table_use *use = &health->table[table];
        for (uint32_t i = 0; i < RIALTO_PARTITIONS; i++) {
            use->used += atomic_load(&folder->table[table].segment[i].used);
            use->capacity += folder->table[table].header->capacity_max;
            use->reserved += folder_capacity(&folder->table[table].extents[i]);
        }
        if (use->capacity > 0 && use->used * 10 > use->capacity * 9)
            complain(health, "table %s is %" PRIu64 " %% full", table_name[table], use->used * 100 / use->capacity);
    }
}

static void gather_cache(struct health *health, const char *path)
{
    static const char *const mode_name[] = { "normal", "list", "frozen" };
    struct folder folder;
    enum rialto_status status = folder_open(path, false, &folder);
    if (status != RIALTO_OK) {
        complain(health, "%s: %s", path, rialto_status_text(status));
        return;
    }
    uint32_t mode = atomic_load(&folder.control->mode);
    uint32_t retired = atomic_load(&folder.control->retired);
    health->cache = retired == RIALTO_NOT_RETIRED;
    health->mode = mode < 3 ? mode_name[mode] : "unknown";
    health->demo = folder.control->demo != 0;
    health->created_ms = folder.control->created_unix_ms;
    if (retired == RIALTO_RETIRED_SUPERSEDED)
        complain(health, "another version has taken over %" PRId64 " s ago: these tables (layout %d) are frozen, and go away after its superseded_grace_s",
                 (now_ns(CLOCK_REALTIME) / 1000000 - atomic_load(&folder.control->superseded_unix_ms)) / 1000, RIALTO_LAYOUT);
    else if (!health->cache)
        complain(health, "the tables are retired: nobody writes them any more");
    gather_heartbeats(health, folder.control);
    gather_tables(health, &folder);
    health->cache_bytes = usage_folder_bytes(path);
    large_pages_of(path, &health->large);
    folder_close(&folder);
}

/* A line of /proc/PID/maps names the allocator. */
static void gather_proc(struct process *process)
{
    char path[64], text[4096];
    process->rss_bytes = usage_process_bytes(process->pid);
    process->allocator = "";
    if (!usage_is_rialtod(process->pid))
        return;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/maps", process->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    bool any = false;
    process->allocator = "libc";
    while (fgets(text, sizeof text, file) != NULL) {
        any = true;
        if (strstr(text, "libjemalloc") != NULL)
            process->allocator = "jemalloc";
    }
    fclose(file);
    if (!any)
        process->allocator = "";
}

/* The mirror's word on it; just before it has one, or between two, only whether it is up is known. */
static enum redis_state redis_state_of(const struct metrics_block *block, bool up)
{
    uint64_t state = atomic_load(&block->word[METRIC_redis_state]);
    if (up)
        return REDIS_up;
    return state < REDIS_STATE_COUNT && state != REDIS_up ? (enum redis_state)state : REDIS_unknown;
}

static void gather_processes(struct health *health, const struct metrics_file *metrics)
{
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++) {
        const struct metrics_block *block = &metrics->block[i];
        if (block->who[0] == 0)
            continue;
        struct process *process = &health->process[health->process_count++];
        snprintf(process->who, sizeof process->who, "%.31s", block->who);
        process->pid = (int64_t)atomic_load(&block->word[METRIC_pid]);
        process->started_ms = (int64_t)atomic_load(&block->word[METRIC_started_unix_ms]);
        process->restarts = atomic_load(&block->word[METRIC_restarts_total]);
        gather_proc(process);
        for (uint32_t k = 0; k < METRIC_COUNT; k++)
            health->counter[k] += atomic_load(&block->word[k]);
        if (i < METRICS_FIRST_WORKER || i == METRICS_WEB)
            continue;
        uint64_t lag = atomic_load(&block->word[METRIC_mirror_lag_batches]);
        health->workers++;
        bool up = atomic_load(&block->word[METRIC_redis_up]) != 0;
        health->workers_with_redis += up;
        health->redis_state[redis_state_of(block, up)]++;
        health->lag_batches = lag > health->lag_batches ? lag : health->lag_batches;
    }
    char text[128];
    health->starting = progress_of(metrics);
    if (progress_text(&health->starting, sizeof text, text))
        complain(health, "%s", text);
    if (health->workers == 0)
        complain(health, "no worker has started");
    for (uint32_t state = 0; state < REDIS_STATE_COUNT; state++)
        if (state != REDIS_up && health->redis_state[state] > 0)
            complain(health, "Redis %s (%u of %u workers): prices go on, state is not saved", redis_state_text(state),
                     health->redis_state[state], health->workers);
    uint64_t refused = health->counter[METRIC_restore_refused];
    if (refused > 0)
        complain(health,
                 "%" PRIu64 " records in Redis were not believed at the start and are lost: RECORD-REFUSED in the log",
                 refused);
    if (health->lag_batches > LAG_BATCHES_MAX)
        complain(health, "Redis is %" PRIu64 " batches behind", health->lag_batches);
}

static void gather_gateway(struct health *health, const struct cli *cli)
{
    static const char question[] = "{\"control\":\"ping\"}";
    char why[REQUEST_WHY_MAX];
    const struct requester_settings settings = { cli->urls, cli->timeout_ms, 0 };
    struct requester *requester = requester_open(&settings, why);
    if (requester == NULL) {
        complain(health, "%s", why);
        return;
    }
    int64_t start_ns = now_ns(CLOCK_MONOTONIC);
    cJSON *answer = requester_ask(requester, question, sizeof question - 1, 1, NULL, why);
    health->answer_ms = (double)(now_ns(CLOCK_MONOTONIC) - start_ns) / 1e6;
    snprintf(health->url, sizeof health->url, "%s", requester_url(requester));
    const cJSON *time = cJSON_GetObjectItemCaseSensitive(answer, "service_time_ms");
    health->answers = cJSON_IsNumber(time);
    if (health->answers)
        health->service_time_ms = (int64_t)time->valuedouble;
    else
        complain(health, "%s", answer == NULL ? why : "the gateway's answer is not understood");
    cJSON_Delete(health->change);
    health->change = cJSON_DetachItemFromObjectCaseSensitive(answer, "change");
    cJSON_Delete(answer);
    requester_close(requester);
}

static void gather(struct health *health, const struct cli *cli)
{
    cJSON_Delete(health->change);
    *health = (struct health){ .mode = "" };
    gather_cache(health, cli->cache);
    const struct metrics_file *metrics = metrics_read(cli->cache);
    if (metrics != NULL) {
        gather_processes(health, metrics);
        munmap((void *)(uintptr_t)metrics, sizeof *metrics);
    } else if (health->cache) {
        complain(health, "%s holds no metrics that can be read", cli->cache);
    }
    gather_gateway(health, cli);
}

static int verdict(const struct health *health)
{
    /* Its gateway answers a moment after a start, its heartbeats when it is over. */
    bool starting = health->cache && health->starting.partitions > 0;
    if (!health->answers && !starting && (!health->cache || health->partitions_fresh == 0))
        return CLI_UNREACHABLE;
    return health->problem_count == 0 ? CLI_OK : CLI_NO;
}

static const char *verdict_text(int result)
{
    return result == CLI_OK ? "healthy" : result == CLI_NO ? "degraded" : "not running";
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static void duration_text(int64_t ms, char ret[32])
{
    int64_t s = ms / 1000;
    if (s < 100)
        snprintf(ret, 32, "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(ret, 32, "%" PRId64 " min", s / 60);
    else
        snprintf(ret, 32, "%" PRId64 " h", s / 3600);
}

static void print_processes(const struct health *health)
{
    if (health->process_count == 0)
        return;
    int64_t now_ms = now_ns(CLOCK_REALTIME) / 1000000;
    printf("processes   %-12s %8s %8s %9s %10s  %s\n", "", "pid", "up", "restarts", "memory", "allocator");
    for (uint32_t i = 0; i < health->process_count; i++) {
        const struct process *process = &health->process[i];
        char up[32], memory[32] = "-";
        duration_text(now_ms - process->started_ms, up);
        if (process->rss_bytes >= 0)
            snprintf(memory, sizeof memory, "%.1f MB", (double)process->rss_bytes / 1e6);
        printf("            %-12s %8" PRId64 " %8s %9" PRIu64 " %10s  %s\n", process->who, process->pid, up,
               process->restarts, memory, process->allocator[0] ? process->allocator : "not visible from here");
    }
}

static void print_change(const cJSON *change)
{
    char clock[32];
    if (change == NULL)
        return;
    cli_clock_text((int64_t)json_number(change, "when_ms"), clock);
    printf("prices      change %.0f, models of change %.0f%s, %d frozen: %s, by %s, %s UTC\n",
           json_number(change, "number"), json_number(change, "models"),
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(change, "pinned")) ? ", pinned" : "",
           cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(change, "freeze")), json_string(change, "what"),
           json_string(change, "who"), clock);
    const cJSON *freeze;
    cJSON_ArrayForEach(freeze, cJSON_GetObjectItemCaseSensitive(change, "freeze"))
    {
        printf("frozen      %s %s to %s\n", json_string(freeze, "by"), json_string(freeze, "pattern"),
               strcmp(json_string(freeze, "to"), "list") == 0 ? "list" : "last");
    }
}

static void print_large_pages(const struct large_pages *large)
{
    printf("large pages %.1f of %.1f MB of tables are in pages of 2 MiB%s%s\n", (double)large->large_bytes / 1e6,
           (double)large->table_bytes / 1e6, large->why[0] != '\0' ? ": " : "", large->why);
}

static void print_text(const struct cli *cli, const struct health *health, int result)
{
    char clock[32];
    printf("%s: %s\n", cli->config.instance, verdict_text(result));
    for (uint32_t i = 0; i < health->problem_count; i++)
        printf("  !         %s\n", health->problem[i]);
    if (health->answers) {
        cli_clock_text(health->service_time_ms, clock);
        printf("gateway     %s answers in %.1f ms; service time %s UTC\n", health->url, health->answer_ms, clock);
    }
    print_change(health->change);
    if (!health->cache)
        return;
    cli_clock_text(health->created_ms, clock);
    printf("cache       %s, mode %s%s, %.1f MB, created %s UTC\n", cli->cache, health->mode,
           health->demo ? ", recorded data" : "", (double)health->cache_bytes / 1e6, clock);
    if (health->counter[METRIC_superseded_bytes] > 0) {
        cli_clock_text((int64_t)health->counter[METRIC_superseded_until_ms], clock);
        printf("superseded  %.1f MB of tables of other layouts, for readers of those, until %s UTC\n",
               (double)health->counter[METRIC_superseded_bytes] / 1e6, clock);
    }
    print_large_pages(&health->large);
    printf("heartbeats  %u of %u partitions, oldest %" PRId64 " ms ago\n", health->partitions_fresh, RIALTO_PARTITIONS,
           health->oldest_beat_ms);
    printf("redis       up for %u of %u workers, %" PRIu64 " batches behind, %" PRIu64 " connections anew\n",
           health->workers_with_redis, health->workers, health->lag_batches,
           health->counter[METRIC_redis_reconnects_total]);
    print_processes(health);
    for (uint32_t i = 0; i < RIALTO_TABLE_COUNT; i++)
        printf("%-11s %-9s %10" PRIu64 " of %10" PRIu64 " lines\n", i == 0 ? "tables" : "", table_name[i],
               health->table[i].used, health->table[i].capacity);
    printf("signals     %" PRIu64 " received, %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64
           " personal parts dropped for want of consent\n",
           health->counter[METRIC_signals_received_total], health->counter[METRIC_signals_accepted_total],
           health->counter[METRIC_signals_rejected_total], health->counter[METRIC_signals_no_consent_total]);
}

static void print_json_processes(const struct health *health)
{
    printf(",\"processes\":[");
    for (uint32_t i = 0; i < health->process_count; i++) {
        const struct process *process = &health->process[i];
        printf("%s{\"who\":", i ? "," : "");
        cli_json_text(process->who);
        printf(",\"pid\":%" PRId64 ",\"started_ms\":%" PRId64 ",\"restarts\":%" PRIu64, process->pid,
               process->started_ms, process->restarts);
        if (process->rss_bytes >= 0)
            printf(",\"memory_bytes\":%" PRId64, process->rss_bytes);
        if (process->allocator[0])
            printf(",\"allocator\":\"%s\"", process->allocator);
        printf("}");
    }
    printf("]");
}

static void print_json_redis(const struct health *health)
{
    bool any = false;
    printf(",\"redis_states\":{");
    for (uint32_t state = 0; state < REDIS_STATE_COUNT; state++) {
        if (health->redis_state[state] == 0)
            continue;
        printf("%s\"%s\":%u", any ? "," : "", redis_state_name(state), health->redis_state[state]);
        any = true;
    }
    printf("}");
}

static void print_json_starting(const struct progress *starting)
{
    if (starting->partitions == 0)
        printf(",\"starting\":null");
    else
        printf(",\"starting\":{\"partitions\":%" PRIu64 ",\"records\":%" PRIu64 ",\"records_all\":%" PRIu64
               ",\"redis_loaded\":%.3f}",
               starting->partitions, starting->records, starting->all, (double)starting->redis_permille / 1000);
}

static void print_json(const struct cli *cli, const struct health *health, int result)
{
    printf("{\"status\":\"%s\",\"instance\":", verdict_text(result));
    cli_json_text(cli->config.instance);
    printf(",\"problems\":[");
    for (uint32_t i = 0; i < health->problem_count; i++) {
        printf("%s", i ? "," : "");
        cli_json_text(health->problem[i]);
    }
    printf("],\"gateway\":%s,\"answer_ms\":%.3f,\"service_time_ms\":%" PRId64, health->answers ? "true" : "false",
           health->answer_ms, health->service_time_ms);
    char *change = health->change != NULL ? cJSON_PrintUnformatted(health->change) : NULL;
    printf(",\"change\":%s", change != NULL ? change : "null");
    free(change);
    printf(",\"cache\":");
    cli_json_text(cli->cache);
    printf(",\"mode\":\"%s\",\"demo\":%s,\"cache_bytes\":%" PRIu64, health->mode, health->demo ? "true" : "false",
           health->cache_bytes);
    printf(",\"large_pages\":{\"bytes\":%" PRIu64 ",\"table_bytes\":%" PRIu64 ",\"why_not\":\"%s\"}", health->large.large_bytes,
           health->large.table_bytes, health->large.why);
    printf(",\"partitions_fresh\":%u,\"oldest_beat_ms\":%" PRId64, health->partitions_fresh, health->oldest_beat_ms);
    printf(",\"workers\":%u,\"workers_with_redis\":%u,\"redis_lag_batches\":%" PRIu64, health->workers,
           health->workers_with_redis, health->lag_batches);
    print_json_redis(health);
    print_json_starting(&health->starting);
    print_json_processes(health);
    printf(",\"tables\":{");
    for (uint32_t i = 0; i < RIALTO_TABLE_COUNT; i++)
        printf("%s\"%s\":{\"used\":%" PRIu64 ",\"capacity\":%" PRIu64 "}", i ? "," : "", table_name[i],
               health->table[i].used, health->table[i].capacity);
    printf("},\"metrics\":{");
    for (uint32_t i = METRIC_messages_received_total; i < METRIC_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i > METRIC_messages_received_total ? "," : "", metric_name((enum metric)i),
               health->counter[i]);
    printf("}}\n");
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

enum { OWN_WAIT = CLI_OWN };

static bool take(void *user, int option, const char *argument)
{
    return option == OWN_WAIT && cli_number("--wait", argument, 0, 86400, user);
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "wait", required_argument, NULL, OWN_WAIT }, { 0 } };
    double wait_s = 0;
    int status = cli_parse(cli, argc, argv, own, take, &wait_s);
    if (status != CLI_OK || cli->help)
        return status;
    cli_catch_signals();
    static struct health health;
    int64_t end_ns = now_ns(CLOCK_MONOTONIC) + (int64_t)(wait_s * 1e9);
    int result;
    for (;;) {
        gather(&health, cli);
        result = verdict(&health);
        if (result == CLI_OK || now_ns(CLOCK_MONOTONIC) >= end_ns || cli_stop)
            break;
        nanosleep(&(struct timespec){ 0, WAIT_STEP_MS * 1000000L }, NULL);
    }
    (cli->json ? print_json : print_text)(cli, &health, result);
    cJSON_Delete(health.change);
    return result;
}

const struct cli_command cli_status = {
    .name = "status",
    .usage = "status [OPTIONS]",
    .summary = "is the instance well?",
    .help = "Processes and their restarts, heartbeats, Redis, tables, signals; while it starts, how far that is. Exit status: 0 healthy, 1 degraded "
            "(prices are\n"
            "served, something is wrong), 3 not running.\n"
            "\n"
            "  --wait SECONDS    wait at most so long for it to become healthy\n"
            "\n"
            "  rialto status\n"
            "  rialtod & rialto status --wait 20 && echo ready\n"
            "  rialto status --json | jq .problems\n",
    .run = run,
};
