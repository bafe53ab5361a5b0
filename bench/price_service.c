/* price_service.c - a whole service: how long signals take from their sender to the price that any reader sees.
 *
 *   zone    weather in c1 --PUSH, ipc--> gateway --> worker --> a line for each product in each shop; until the last one is there
 *   change  SIGHUP with another model --> checked, made ready, in force: all prices are another model's, and other ones
 *   freeze  one product, and a pin, while that product is frozen --REQ--> as long as the worker says that signals waited for it
 *   signal  an order --PUSH, ipc--> gateway --> worker --> a reader in this process sees the new price. One at a time, with pauses in
 *           which everybody falls asleep; in each pause a byte goes to another process over a Unix socket and comes back */
#include "bench/instance.h"
#include "bench/price.h"
#include "service/clock.h"
#include "service/data_dir.h"

#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIGNALS 4096u
#define ORDERED         1000u /* products outside of the shops, which nobody has ordered yet */
#define ZONE_ROUNDS     5u
#define SEEN_MS         10000
#define REST_US         4000
#define REST_LOOKS      3u /* one behind the other: what a flush to Redis takes is not seen in between */
#define WARM            20u /* signals that are not counted */
#define IDLE_PART       0.15 /* of one processor: a service that has nothing to do takes less */
#define IDLE_SECONDS    2u
#define IDLE_MS_MAX     100000 /* the rest of an interval of the price journal, and what it brings; then orders are measured all the same */

struct service {
    struct instance instance;
    const struct price_catalogue *catalogue;
    nng_socket push;
    nng_aio *sending;
    struct rialto *prices;
    int pingpong; /* our end */
    pid_t echo;
};

/* ---- the other process of the ping-pong --------------------------------------------------------------------------- */

static void run_echo(int fd, pid_t parent)
{
    char byte;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent && read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
        ;
    _exit(0);
}

/* Before any NNG in this process: what is forked after it is not to be trusted. */
static bool start_echo(struct service *s)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    s->echo = fork();
    if (s->echo == 0) {
        (void)close(pair[0]);
        run_echo(pair[1], parent);
    }
    (void)close(pair[1]);
    s->pingpong = pair[0];
    return s->echo > 0;
}

static bool pingpong(struct service *s, struct samples *samples)
{
    char byte = 1;
    uint64_t from = clock_begin();
    bool good = write(s->pingpong, &byte, 1) == 1 && read(s->pingpong, &byte, 1) == 1;
    samples_add(samples, clock_end() - from);
    return good;
}

/* ---- the service ---------------------------------------------------------------------------------------------------- */

struct message {
    struct service *service;
    char *text;
    size_t bytes;
    uint32_t signals;
};

static bool flush(struct message *m)
{
    bool good = m->signals == 0 || instance_accept(&m->service->instance, m->text, m->bytes);
    m->bytes = m->signals = 0;
    return good;
}

/* The line that was written behind what is in the message. */
static bool take(struct message *m, size_t bytes)
{
    m->bytes += bytes;
    m->signals++;
    return bytes > 0 && (m->signals < MESSAGE_SIGNALS || flush(m));
}

static bool fill(struct service *s)
{
    struct message m = { .service = s, .text = malloc((size_t)MESSAGE_SIGNALS * PRICE_LINE_MAX) };
    const struct price_catalogue *c = s->catalogue;
    bool good = m.text != NULL;
    for (uint32_t i = 0; i < c->products + ORDERED && good; i++) {
        good =
            take(&m, price_product_line(i, m.text + m.bytes)) && take(&m, price_competitor_line(i, m.text + m.bytes));
        for (uint32_t shop = 0; shop < c->shops && i < c->products && good; shop++)
            good = take(&m, price_supply_line(i, shop, m.text + m.bytes));
    }
    good = good && flush(&m);
    free(m.text);
    return good;
}

static bool start(struct service *s)
{
    char products[32], cells[32], message[40];
    uint32_t count = s->catalogue->products + ORDERED;
    (void)snprintf(products, sizeof products, "products_max=%u", count + count / 8 + 64);
    (void)snprintf(cells, sizeof cells, "cells_max=%u", count * (s->catalogue->shops + 2) + 64 * 64);
    (void)snprintf(message, sizeof message, "message_bytes_max=%u", MESSAGE_SIGNALS * PRICE_LINE_MAX);
    return start_echo(s) &&
           instance_start(&s->instance, PRICE_MODEL, 3, (const char *const[]){ products, cells, message }) && fill(s) &&
           nng_push0_open(&s->push) == 0 && nng_aio_alloc(&s->sending, NULL, NULL) == 0 &&
           nng_dial(s->push, s->instance.push_url, NULL, 0) == 0 &&
           rialto_open(s->instance.cache, &s->prices) == RIALTO_OK;
}

static void stop(struct service *s)
{
    rialto_close(s->prices);
    nng_aio_free(s->sending);
    (void)nng_close(s->push);
    instance_stop(&s->instance);
    if (s->echo > 0) {
        (void)close(s->pingpong);
        (void)waitpid(s->echo, NULL, 0);
    }
}

/* Handed over to NNG, whose threads find out that it went: who waits for them does not see the price come meanwhile. */
static bool send_begin(struct service *s, const char *line, size_t bytes)
{
    nng_msg *message;
    if (bytes == 0 || nng_msg_alloc(&message, bytes) != 0)
        return false;
    memcpy(nng_msg_body(message), line, bytes);
    nng_aio_set_msg(s->sending, message);
    nng_send_aio(s->push, s->sending);
    return true;
}

static bool send_end(struct service *s)
{
    nng_aio_wait(s->sending);
    if (nng_aio_result(s->sending) == 0)
        return true;
    nng_msg_free(nng_aio_get_msg(s->sending));
    return false;
}

static bool send_line(struct service *s, const char *line, size_t bytes)
{
    return send_begin(s, line, bytes) && send_end(s);
}

/* Nothing is on its way any more, to Redis either. */
static bool rest(const struct service *s)
{
    int64_t until = mono_ms() + 6 * SEEN_MS;
    for (unsigned quiet = 0; quiet < REST_LOOKS && mono_ms() < until;) {
        uint64_t before = instance_metric(&s->instance, METRIC_mirror_records_total);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        bool still = instance_metric(&s->instance, METRIC_mirror_lag_batches) == 0 &&
                     before == instance_metric(&s->instance, METRIC_mirror_records_total);
        quiet = still ? quiet + 1 : 0;
    }
    return mono_ms() < until;
}

static double cpu_ns(const struct service *s)
{
    struct stage_cpu stage[INSTANCE_STAGES_MAX];
    double total = 0;
    (void)instance_cpu(&s->instance, stage, &total);
    return total;
}

/* Nothing else is going on: a million prices that changed are a million baselines for Redis, and an interval of the price journal later a
 * million entries of it; who does that takes processors that an order waits for. */
static void idle(const struct service *s)
{
    int64_t until = mono_ms() + IDLE_MS_MAX;
    for (unsigned quiet = 0; quiet < IDLE_SECONDS && mono_ms() < until;) {
        double from = cpu_ns(s);
        (void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
        quiet = cpu_ns(s) - from < IDLE_PART * 1e9 ? quiet + 1 : 0;
    }
}

/* ---- one weather signal for all shops --------------------------------------------------------------------------------- */

static int64_t baseline(struct service *s, uint32_t product, const char *zone)
{
    char sku[16];
    struct rialto_quote quote;
    const struct rialto_request request = { .zone = zone };
    (void)snprintf(sku, sizeof sku, "sku-%06u", product);
    return rialto_quote(s->prices, &request, sku, &quote) == RIALTO_OK ? quote.baseline : -1;
}

static uint64_t count_wrong(struct service *s, unsigned weather, bool changed)
{
    uint64_t wrong = 0;
    for (uint32_t shop = 0; shop < s->catalogue->shops; shop++) {
        char zone[16];
        (void)snprintf(zone, sizeof zone, "c1/s%u", shop);
        for (uint32_t i = 0; i < s->catalogue->products; i++)
            wrong += !price_is(changed ? price_expected_changed(i, shop, weather) : price_expected(i, shop, weather, false),
                               baseline(s, i, zone));
    }
    return wrong;
}

/* The counter of lines is one step behind the lines: when it has counted all, they are there. */
static bool weather(struct service *s, unsigned which, double *ret_ms)
{
    char line[PRICE_LINE_MAX];
    size_t bytes = price_weather_line(which, line);
    uint64_t cells = (uint64_t)s->catalogue->products * s->catalogue->shops;
    uint64_t wanted = instance_metric(&s->instance, METRIC_cells_changed_total) + cells;
    int64_t until = mono_ms() + SEEN_MS;
    double from = clock_seconds();
    if (!send_line(s, line, bytes))
        return false;
    while (instance_metric(&s->instance, METRIC_cells_changed_total) < wanted && mono_ms() < until)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    *ret_ms = (clock_seconds() - from) * 1e3;
    return mono_ms() < until;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool measure_zone(struct service *s, struct price_figures *ret)
{
    double ms[ZONE_ROUNDS];
    bool good = rest(s);
    for (unsigned i = 0; i < ZONE_ROUNDS && good; i++) {
        good = weather(s, (i + 1) & 1u, &ms[i]);
        if (i + 1 == ZONE_ROUNDS || i == 1)
            ret->wrong += count_wrong(s, (i + 1) & 1u, false);
        good = good && rest(s);
    }
    if (good)
        qsort(ms, ZONE_ROUNDS, sizeof ms[0], by_size);
    ret->zone_ms = good ? ms[ZONE_ROUNDS / 2] : 0;
    return good;
}

/* ---- other models for all prices ------------------------------------------------------------------------------------------ */

/* The only worker says so when the last line is written. */
static bool measure_change(struct service *s, struct price_figures *ret)
{
    const _Atomic uint64_t *worker = s->instance.metrics->block[METRICS_FIRST_WORKER].word;
    uint64_t before = atomic_load_explicit(&worker[METRIC_change], memory_order_acquire);
    int64_t until = mono_ms() + SEEN_MS;
    double from = clock_seconds();
    if (!instance_apply(&s->instance, PRICE_MODEL_CHANGED))
        return false;
    while (atomic_load_explicit(&worker[METRIC_change], memory_order_acquire) == before && mono_ms() < until)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    ret->change_ms = (clock_seconds() - from) * 1e3;
    (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* it says both, one behind the other */
    ret->change_over_ms = (double)atomic_load_explicit(&worker[METRIC_change_us], memory_order_acquire) / 1e3;
    ret->wrong += count_wrong(s, ZONE_ROUNDS & 1u, true);
    return mono_ms() < until && rest(s);
}

/* ---- what else is changed in force --------------------------------------------------------------------------------------- */

static bool data_key_of(const struct service *s, char ret[DATA_KEY_MAX])
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/data/key", s->instance.folder);
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fgets(ret, DATA_KEY_MAX, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (good)
        ret[strcspn(ret, "\n")] = '\0';
    return good;
}

/* `what`: members of the order to change something. */
static bool change(struct service *s, const char *what, double *ret_ms)
{
    const _Atomic uint64_t *worker = s->instance.metrics->block[METRICS_FIRST_WORKER].word;
    char key[DATA_KEY_MAX], text[256], why[REQUEST_WHY_MAX] = "";
    if (!data_key_of(s, key))
        return false;
    int bytes = snprintf(text, sizeof text,
                         "{\"control\":\"change\",\"key\":\"%s\",\"who\":\"bench\",\"what\":\"bench\",%s}", key, what);
    cJSON *answer = bytes > 0 ? requester_ask(s->instance.requester, text, (size_t)bytes, 1, NULL, why) : NULL;
    bool good = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "everywhere"));
    if (!good)
        fprintf(stderr, "rialto-bench: nothing was changed: %s\n", why);
    cJSON_Delete(answer);
    *ret_ms = (double)atomic_load_explicit(&worker[METRIC_change_us], memory_order_acquire) / 1e3;
    return good;
}

static bool measure_freeze(struct service *s, struct price_figures *ret)
{
    static const char FREEZE[] = "\"freeze\":[{\"by\":\"sku\",\"pattern\":\"nobody-sells-this\",\"to\":\"%s\"}]";
    char order[sizeof FREEZE + 8];
    double thaw_ms;
    (void)snprintf(order, sizeof order, FREEZE, "list");
    bool good = change(s, order, &ret->freeze_ms) && change(s, "\"pin\":true", &ret->pin_ms);
    (void)snprintf(order, sizeof order, FREEZE, "normal");
    return good && change(s, order, &thaw_ms) && rest(s);
}

/* ---- one signal at a time ------------------------------------------------------------------------------------------------ */

static bool order(struct service *s, uint32_t product, struct samples *ret)
{
    char line[PRICE_LINE_MAX];
    size_t bytes = price_order_line(product, line);
    int64_t before = baseline(s, product, NULL), now, until = mono_ms() + SEEN_MS;
    uint64_t from = clock_begin();
    if (before < 0 || !send_begin(s, line, bytes))
        return false;
    while ((now = baseline(s, product, NULL)) == before && mono_ms() < until)
        (void)sched_yield(); /* the reader is no burden to those who make the price */
    samples_add(ret, clock_end() - from);
    return send_end(s) && now > before;
}

static bool measure_signals(struct service *s, const struct bench_options *options, struct price_figures *ret)
{
    struct samples signals, pingpongs;
    double until = clock_seconds() + options->seconds;
    bool good = samples_setup(&signals, ORDERED) && samples_setup(&pingpongs, ORDERED);
    for (uint32_t i = 0; i < ORDERED && good && (i < 2 * WARM || clock_seconds() < until); i++) {
        (void)usleep(REST_US);
        good = pingpong(s, &pingpongs);
        (void)usleep(REST_US);
        good = good && order(s, s->catalogue->products + i, &signals);
        if (i + 1 == WARM)
            signals.count = pingpongs.count = 0;
    }
    samples_sort(&signals);
    samples_sort(&pingpongs);
    ret->signal_p50_us = samples_at(&signals, 0.5) / 1e3;
    ret->signal_p99_us = samples_at(&signals, 0.99) / 1e3;
    ret->pingpong_p50_us = samples_at(&pingpongs, 0.5) / 1e3;
    ret->signals = signals.count;
    samples_teardown(&signals);
    samples_teardown(&pingpongs);
    return good;
}

bool price_service(const struct price_catalogue *catalogue, const struct bench_options *options,
                   struct price_figures *ret)
{
    struct service s = { .catalogue = catalogue, .pingpong = -1 };
    bool good = start(&s) && measure_zone(&s, ret) && measure_change(&s, ret) && measure_freeze(&s, ret);
    if (good)
        idle(&s);
    good = good && measure_signals(&s, options, ret);
    if (!good) {
        fprintf(stderr, "rialto-bench: the service did not follow its signals\n");
        daemon_print_log(&s.instance.daemon, 8);
    }
    stop(&s);
    return good;
}
