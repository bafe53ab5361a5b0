/* restart.c - a worker is killed among millions of lines: how soon its successor goes on, and whether it leaves the lines alone.
 *
 *   sender --NNG PUSH: orders, and at each death a new list price--> gateway --> worker <--SIGKILL-- this process --> reader
 *
 * Products have a price in the world and in SHOPS shops, customers have terms: so many lines. While orders come, the worker is killed
 * at a moment of chance, and a new list price is sent at once. Attaching is what the successor says of its own start (recovery_us: tables,
 * state, what a death left open); seen is the time from the kill until a reader here is told the new price. All the while quotes are read
 * and checked. Before all that, a worker is killed that has nothing to do, and every 64 bytes of the tables are compared with what stood
 * there: orders fade, and prices move by themselves after them. */
#include "bench/bench.h"
#include "bench/instance.h"
#include "service/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHOPS           49u
#define PLACES          (SHOPS + 1) /* and the world */
#define LIST_FIRST      1000u
#define WATCHED         "sku-0000000"
#define LINE_BYTES_MAX  128u
#define MESSAGE_SIGNALS 4096u
/* In a message of those that come while workers die. Each order has the prices of its product computed in all places. */
#define ORDERS          8u
#define ORDERS_EVERY_MS 2
#define FILL_MS         600000
#define SEEN_MS         60000
#define DEATHS_MAX      1000u
#define LOOK_NS         50000
#define GOAL_MS         50.0
#define LAST_BATCH      64u /* lines that the last batch may have changed */

/* Demand counts for hours: an order moves a price, and nothing moves by itself while a worker has nothing to do. */
static const char MODEL[] =
    "{\"model\":\"bench\",\"version\":\"1\",\"scope\":{\"categories\":[\"bench\"],\"currencies\":[\"EUR\"]},"
    "\"zone_levels\":2,\"group\":\"bench\",\"stale_limit\":\"30d\","
    "\"demand\":{\"half_life\":\"1d\",\"slow_half_life\":\"30d\",\"prior_events\":5,\"min_events\":0},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.25,0.8],[1,1],[4,1.4]]}],"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5},\"rounding\":{\"step\":1}}\n";

struct restart {
    struct instance instance;
    nng_socket push;
    struct rialto *prices;
    pthread_t thread;
    atomic_bool pressing, ending;
    uint32_t products, customers;
    uint64_t sent, lines, quotes, wrong, rewritten, random;
    int64_t list; /* of the watched product */
    double attach_ms[DEATHS_MAX], seen_ms[DEATHS_MAX], fill_s;
    uint32_t deaths;
};

/* ---- signals ---------------------------------------------------------------------------------------------------------- */

static size_t product_line(uint64_t number, char *to)
{
    uint32_t product = (uint32_t)(number / PLACES), place = (uint32_t)(number % PLACES);
    char zone[32] = "";
    if (place > 0)
        (void)snprintf(zone, sizeof zone, ",\"zone\":\"c1/s%u\"", place - 1);
    return (size_t)snprintf(
        to, LINE_BYTES_MAX,
        "{\"type\":\"product\",\"sku\":\"sku-%07u\",\"category\":\"bench\",\"list\":%u,\"currency\":\"EUR\"%s}\n",
        product, LIST_FIRST + place, zone);
}

static size_t customer_line(uint64_t number, char *to)
{
    return (size_t)snprintf(
        to, LINE_BYTES_MAX,
        "{\"type\":\"customer\",\"customer\":\"c%07u\",\"consent\":{\"profile\":true},\"tier\":\"gold\"}\n",
        (uint32_t)number);
}

static size_t order_line(uint64_t roll, uint32_t products, char *to)
{
    return (size_t)snprintf(to, LINE_BYTES_MAX,
                            "{\"type\":\"demand\",\"sku\":\"sku-%07u\",\"event\":\"order\",\"zone\":\"c1/s%u\"}\n",
                            1 + (uint32_t)(roll % (products - 1)), (uint32_t)(roll >> 40) % SHOPS);
}

static bool send_text(struct restart *r, const char *text, size_t bytes)
{
    return nng_send(r->push, (void *)(uintptr_t)text, bytes, 0) == 0; /* waits where the gateway lets it wait */
}

static bool send_many(struct restart *r, uint64_t count, size_t (*line)(uint64_t, char *))
{
    char *text = malloc((size_t)MESSAGE_SIGNALS * LINE_BYTES_MAX);
    bool good = text != NULL;
    for (uint64_t i = 0; i < count && good;) {
        size_t bytes = 0;
        for (uint32_t n = 0; n < MESSAGE_SIGNALS && i < count; n++, i++)
            bytes += line(i, text + bytes);
        good = send_text(r, text, bytes);
    }
    free(text);
    r->sent += count;
    return good;
}

static void rest_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Applied, and in Redis. */
static bool settle(const struct restart *r)
{
    int64_t until = mono_ms() + FILL_MS;
    while (instance_metric(&r->instance, METRIC_records_applied_total) < r->sent ||
           instance_metric(&r->instance, METRIC_mirror_lag_batches) > 1) {
        if (mono_ms() > until)
            return false;
        rest_ms(20);
    }
    return instance_metric(&r->instance, METRIC_signals_rejected_total) == 0;
}

static uint64_t held(const struct restart *r)
{
    return instance_metric(&r->instance, METRIC_cells) + instance_metric(&r->instance, METRIC_customers);
}

static bool fill(struct restart *r)
{
    double from = clock_seconds();
    bool good = send_many(r, (uint64_t)r->products * PLACES, product_line) &&
                send_many(r, r->customers, customer_line) && settle(r);
    r->fill_s = clock_seconds() - from;
    r->lines = (uint64_t)r->products * PLACES + r->customers;
    for (int64_t until = mono_ms() + SEEN_MS; good && held(r) != r->lines; rest_ms(5)) /* counted a moment later */
        good = mono_ms() < until;
    return good;
}

/* Orders for whoever lives, from another thread and by another socket. */
static void *press(void *user)
{
    struct restart *r = user;
    uint64_t random = 11;
    char text[ORDERS * LINE_BYTES_MAX];
    nng_socket push;
    if (nng_push0_open(&push) != 0 || nng_dial(push, r->instance.push_url, NULL, 0) != 0)
        return NULL;
    while (!atomic_load(&r->ending)) {
        size_t bytes = 0;
        for (uint32_t i = 0; i < ORDERS && atomic_load(&r->pressing); i++)
            bytes += order_line(bench_random(&random), r->products, text + bytes);
        if (bytes > 0)
            (void)nng_send(push, text, bytes,
                           NNG_FLAG_NONBLOCK); /* a worker that is away leaves no room: then fewer come */
        rest_ms(ORDERS_EVERY_MS);
    }
    (void)nng_close(push);
    return NULL;
}

/* ---- deaths ----------------------------------------------------------------------------------------------------------- */

static pid_t worker_pid(const struct restart *r)
{
    return (pid_t)atomic_load(&r->instance.metrics->block[METRICS_FIRST_WORKER].word[METRIC_pid]);
}

/* One quote of a product that nobody changes but by orders, within its bounds; and is the watched price there? */
static bool look(struct restart *r)
{
    struct rialto_quote quote;
    char sku[16];
    uint64_t roll = bench_random(&r->random);
    (void)snprintf(sku, sizeof sku, "sku-%07u", 1 + (uint32_t)(roll % (r->products - 1)));
    enum rialto_status status = rialto_quote(r->prices, &(struct rialto_request){ .zone = "c1/s7" }, sku, &quote);
    r->quotes++;
    r->wrong += status != RIALTO_OK || quote.list != LIST_FIRST + 8 || quote.amount < quote.floor ||
                quote.amount > quote.ceiling;
    return rialto_quote(r->prices, &(struct rialto_request){ .zone = NULL }, WATCHED, &quote) == RIALTO_OK &&
           quote.list == r->list;
}

static bool die(struct restart *r)
{
    char line[LINE_BYTES_MAX];
    pid_t pid = worker_pid(r);
    uint64_t before = instance_metric(&r->instance, METRIC_recoveries_total);
    int64_t from = mono_us(), until = from + SEEN_MS * INT64_C(1000);
    if (pid <= 0 || kill(pid, SIGKILL) != 0)
        return false;
    r->list++;
    int bytes = snprintf(line, sizeof line,
                         "{\"type\":\"product\",\"sku\":\"" WATCHED "\",\"category\":\"bench\",\"list\":%" PRId64
                         ",\"currency\":\"EUR\"}\n",
                         r->list);
    if (!send_text(r, line, (size_t)bytes))
        return false;
    while (!look(r)) {
        if (mono_us() > until)
            return false;
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL); /* whoever comes back has a processor */
    }
    r->seen_ms[r->deaths] = (double)(mono_us() - from) / 1e3;
    if (worker_pid(r) == pid || instance_metric(&r->instance, METRIC_recoveries_total) == before)
        return false; /* it did not die before the price was there, or began anew */
    r->attach_ms[r->deaths++] = (double)instance_metric(&r->instance, METRIC_recovery_us) / 1e3;
    return true;
}

static bool die_often(struct restart *r, uint64_t deaths)
{
    for (uint64_t i = 0; i < deaths; i++) {
        atomic_store(&r->pressing, true);
        rest_ms(300 + (long)(bench_random(&r->random) % 300));
        if (!die(r))
            return false;
    }
    atomic_store(&r->pressing, false);
    return true;
}

/* ---- what stands in the tables --------------------------------------------------------------------------------------------- */

struct table_image { /* a hash of every 64 bytes of a file */
    uint64_t *hash;
    size_t count;
};

#define FILES_MAX 16u

static uint64_t hash_line(const uint64_t *word)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < 8; i++)
        hash = bench_mix(hash ^ word[i]);
    return hash;
}

static bool image_take(const char *path, struct table_image *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const uint64_t *words = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0)
        words = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        (void)close(fd);
    if (words == MAP_FAILED)
        return false;
    ret->count = (size_t)st.st_size / 64;
    ret->hash = calloc(ret->count + 1, sizeof ret->hash[0]);
    for (size_t i = 0; ret->hash != NULL && i < ret->count; i++)
        ret->hash[i] = hash_line(words + i * 8);
    (void)munmap((void *)(uintptr_t)words, (size_t)st.st_size);
    return ret->hash != NULL;
}

static bool is_table(const char *name)
{
    static const char *const TABLE[] = { "cells.", "terms.", "offers.", "products.", "zones." };
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
        if (strncmp(name, TABLE[i], strlen(TABLE[i])) == 0)
            return true;
    return false;
}

/* Files in the order in which the folder lists them, which stays while nothing is made or removed there. */
static uint32_t images_take(const struct restart *r, struct table_image ret[FILES_MAX])
{
    uint32_t count = 0;
    DIR *folder = opendir(r->instance.cache);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL && count < FILES_MAX;) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", r->instance.cache, entry->d_name);
        count += is_table(entry->d_name) && image_take(path, &ret[count]);
    }
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static bool die_idle(struct restart *r)
{
    struct table_image before[FILES_MAX] = { 0 }, after[FILES_MAX] = { 0 };
    rest_ms(2000);
    bool good = settle(r);
    uint32_t files = images_take(r, before), died = r->deaths;
    good = good && files > 0 && die(r);
    r->deaths = died; /* is not one of those that are timed */
    rest_ms(3000);    /* what it might do when it has time */
    good = good && images_take(r, after) == files;
    for (uint32_t f = 0; f < files; f++) {
        good = good && before[f].count == after[f].count;
        for (size_t i = 0; good && i < before[f].count; i++)
            r->rewritten += before[f].hash[i] != after[f].hash[i];
        free(before[f].hash);
        free(after[f].hash);
    }
    return good;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------- */

static bool start(struct restart *r)
{
    char products[40], cells[40], customers[40], message[48];
    (void)snprintf(products, sizeof products, "products_max=%u", r->products + r->products / 4 + 1024);
    (void)snprintf(cells, sizeof cells, "cells_max=%u", r->products * (PLACES + 3) + r->products * 8 + 65536);
    (void)snprintf(customers, sizeof customers, "customers_max=%u", r->customers + r->customers / 8 + 65536);
    (void)snprintf(message, sizeof message, "message_bytes_max=%u", MESSAGE_SIGNALS * LINE_BYTES_MAX);
    const char *const set[] = {
        products, cells, customers, message, "restart_backoff_ms=1", "restart_backoff_max_ms=1"
    };
    return instance_start(&r->instance, MODEL, sizeof set / sizeof set[0], set) && nng_push0_open(&r->push) == 0 &&
           nng_dial(r->push, r->instance.push_url, NULL, 0) == 0 &&
           rialto_open(r->instance.cache, &r->prices) == RIALTO_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct restart *r, const double *ms)
{
    return r->deaths == 0 ? 0 : ms[(r->deaths - 1) / 2];
}

static double most(const struct restart *r, const double *ms)
{
    return r->deaths == 0 ? 0 : ms[r->deaths - 1];
}

static void print_table(const struct restart *r)
{
    printf("a worker is killed while orders come; %" PRIu64 " lines (filled in %.0f s), %u deaths\n", r->lines,
           r->fill_s, r->deaths);
    printf("  %-44s %8s %8s\n", "", "p50", "most");
    printf("  %-44s %5.1f ms %5.1f ms  goal: 50 ms%s\n", "attached to tables and state, ready for signals",
           median(r, r->attach_ms), most(r, r->attach_ms), most(r, r->attach_ms) < GOAL_MS ? "" : ", missed");
    printf("  %-44s %5.1f ms %5.1f ms\n", "from the death to a new price that is read", median(r, r->seen_ms),
           most(r, r->seen_ms));
    printf("%" PRIu64 " quotes meanwhile, %" PRIu64 " wrong; %" PRIu64
           " lines differ after the death of a worker that had nothing to do\n",
           r->quotes, r->wrong, r->rewritten);
}

static void print_json(const struct restart *r)
{
    printf("{\"bench\":\"restart\",\"lines\":%" PRIu64
           ",\"fill_s\":%.1f,\"deaths\":%u,\"attach_p50_ms\":%.2f,\"attach_max_ms\":%.2f,"
           "\"goal_ms\":%.0f,\"seen_p50_ms\":%.2f,\"seen_max_ms\":%.2f,\"quotes\":%" PRIu64 ",\"wrong\":%" PRIu64
           ",\"rewritten\":%" PRIu64 "}\n",
           r->lines, r->fill_s, r->deaths, median(r, r->attach_ms), most(r, r->attach_ms), GOAL_MS,
           median(r, r->seen_ms), most(r, r->seen_ms), r->quotes, r->wrong, r->rewritten);
}

static bool measure(struct restart *r, uint64_t deaths)
{
    bool good = fill(r);
    bool started = good && pthread_create(&r->thread, NULL, press, r) == 0;
    good = started && die_idle(r) && die_often(r, deaths);
    atomic_store(&r->ending, true);
    if (started)
        (void)pthread_join(r->thread, NULL);
    if (!good) {
        fprintf(stderr, "rialto-bench: after %u deaths: %" PRIu64 " of %" PRIu64 " signals were applied\n", r->deaths,
                instance_metric(&r->instance, METRIC_records_applied_total), r->sent);
        daemon_print_log(&r->instance.daemon, 8);
    }
    qsort(r->attach_ms, r->deaths, sizeof r->attach_ms[0], by_size);
    qsort(r->seen_ms, r->deaths, sizeof r->seen_ms[0], by_size);
    return good;
}

int bench_restart(const struct bench_options *options)
{
    static struct restart r;
    memset(&r, 0, sizeof r);
    r.products = (uint32_t)(options->cells / PLACES);
    r.customers = (uint32_t)options->customers;
    r.random = 5;
    r.list = LIST_FIRST;
    bool good = start(&r) && measure(&r, 2 * options->rounds < DEATHS_MAX ? 2 * options->rounds : DEATHS_MAX);
    if (good)
        (options->json ? print_json : print_table)(&r);
    good = good && r.wrong == 0 && r.rewritten <= LAST_BATCH;
    rialto_close(r.prices);
    (void)nng_close(r.push);
    instance_stop(&r.instance);
    return good ? 0 : 1;
}
