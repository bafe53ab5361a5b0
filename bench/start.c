/* start.c - a machine starts again: its shared memory is empty, and among so many records prices are to be there soon.
 *
 *   fill --> end (in order, or killed, redis-server too) --> no tables --> rialtod --> quotes, until all of them are priced
 *
 *   stopped, state files     what a stop in order leaves to a start with a new cache
 *   killed, state files      what deaths leave to it
 *   killed, Redis alone      what Redis's own files hold, and nothing else
 *
 * Products have a price in the world and in SHOPS shops, customers have terms. The model prices everything a tenth below list, so that a
 * list price is told from a price. A sample of quotes is asked again and again: when the first is answered, when all are (a list price
 * counts if it says that it is one), and when all are priced again and their customers' terms are back. Then a signal is sent. */
#include "bench/bench.h"
#include "bench/instance.h"
#include "service/clock.h"
#include "service/temporary.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <rialto/quote.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHOPS           99u
#define PLACES          (SHOPS + 1) /* and the world */
#define LIST_FIRST      1000u       /* 10 more in each place */
#define LINE_BYTES_MAX  128u
#define MESSAGE_SIGNALS 4096u
#define FILL_MS         900000
#define START_MS        120000
#define SAMPLE          4096u
#define LOOK_NS         5000000
#define GOAL_S          10.0
#define EACH_MAX        1000000u /* records of each kind, where no number is given */

static const char MODEL[] =
    "{\"model\":\"bench\",\"version\":\"1\",\"scope\":{\"categories\":[\"bench\"],\"currencies\":[\"EUR\"]},"
    "\"zone_levels\":2,\"group\":\"bench\",\"stale_limit\":\"30d\","
    "\"demand\":{\"half_life\":\"1d\",\"slow_half_life\":\"30d\",\"prior_events\":5,\"min_events\":0},"
    "\"factors\":[{\"name\":\"tenth\",\"categories\":{\"bench\":0.9}}],"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5},\"rounding\":{\"step\":1}}\n";

static const struct way {
    const char *name, *member;
    bool killed, state;
} WAYS[] = {
    { "stopped, state files", "stopped", false, true },
    { "killed, state files", "killed", true, true },
    { "killed, Redis alone", "redis", true, false },
};
#define WAYS_COUNT (sizeof WAYS / sizeof WAYS[0])

struct sample {
    uint32_t product, place, customer;
};

struct outcome {
    double end_s, first_s, answered_s, priced_s, signal_s;
    double cpu_s;    /* of all processes until then */
    uint32_t listed; /* of the sample: a list price came first, marked so */
    uint64_t wrong;  /* amounts that neither list nor model give, and list prices without a mark */
};

struct start {
    struct instance instance;
    nng_socket push;
    struct rialto *prices;
    uint32_t products, customers;
    char setting[5][48];
    const char *set[5];
    double fill_s;
    struct sample sample[SAMPLE];
    bool listed[SAMPLE];
    struct outcome outcome[WAYS_COUNT];
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
        product, LIST_FIRST + 10 * place, zone);
}

static size_t customer_line(uint64_t number, char *to)
{
    return (size_t)snprintf(
        to, LINE_BYTES_MAX,
        "{\"type\":\"customer\",\"customer\":\"c%07u\",\"consent\":{\"profile\":true},\"tier\":\"gold\"}\n",
        (uint32_t)number);
}

static bool send_many(struct start *s, uint64_t count, size_t (*line)(uint64_t, char *))
{
    char *text = malloc((size_t)MESSAGE_SIGNALS * LINE_BYTES_MAX);
    bool good = text != NULL;
    for (uint64_t i = 0; i < count && good;) {
        size_t bytes = 0;
        for (uint32_t n = 0; n < MESSAGE_SIGNALS && i < count; n++, i++)
            bytes += line(i, text + bytes);
        good = nng_send(s->push, text, bytes, 0) == 0; /* waits where the gateway lets it wait */
    }
    free(text);
    return good;
}

static void rest(long ns)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* Applied, and in Redis. */
static bool settle(const struct start *s, uint64_t sent)
{
    int64_t until = mono_ms() + FILL_MS;
    while (instance_metric(&s->instance, METRIC_records_applied_total) < sent ||
           instance_metric(&s->instance, METRIC_mirror_lag_batches) > 1) {
        if (mono_ms() > until)
            return false;
        rest(LOOK_NS);
    }
    return instance_metric(&s->instance, METRIC_signals_rejected_total) == 0;
}

static bool fill(struct start *s)
{
    double from = clock_seconds();
    uint64_t cells = (uint64_t)s->products * PLACES;
    bool good = nng_push0_open(&s->push) == 0 && nng_dial(s->push, s->instance.push_url, NULL, 0) == 0 &&
                send_many(s, cells, product_line) && send_many(s, s->customers, customer_line) &&
                settle(s, cells + s->customers);
    (void)nng_close(s->push);
    s->fill_s = clock_seconds() - from;
    return good;
}

/* ---- quotes ----------------------------------------------------------------------------------------------------------- */

static void sample_draw(struct start *s)
{
    uint64_t random = 3;
    for (uint32_t i = 0; i < SAMPLE; i++) {
        uint64_t roll = bench_random(&random);
        s->sample[i].product = (uint32_t)(roll % s->products);
        s->sample[i].place = (uint32_t)((roll >> 32) % PLACES);
        s->sample[i].customer = (uint32_t)(bench_random(&random) % s->customers);
    }
}

enum answer { NOTHING, LISTED, PRICED };

/* Priced: of the model, and the customer's terms are there. */
static enum answer look(const struct start *s, const struct sample *sample, uint64_t *wrong)
{
    struct rialto_quote quote;
    char sku[16], zone[16], customer[16];
    (void)snprintf(sku, sizeof sku, "sku-%07u", sample->product);
    (void)snprintf(zone, sizeof zone, "c1/s%u", sample->place - 1);
    (void)snprintf(customer, sizeof customer, "c%07u", sample->customer);
    const struct rialto_request request = { .customer = customer, .zone = sample->place > 0 ? zone : NULL };
    if (s->prices == NULL || rialto_quote(s->prices, &request, sku, &quote) != RIALTO_OK)
        return NOTHING;
    int64_t list = LIST_FIRST + 10 * (int64_t)sample->place, baseline = list * 9 / 10;
    if (quote.list == LIST_FIRST && list != LIST_FIRST && (quote.flags & RIALTO_FLAG_WIDER_ZONE))
        return NOTHING; /* a shop's price is not there yet, the world's is */
    bool marked = (quote.flags & (RIALTO_FLAG_STALE | RIALTO_FLAG_STARTING)) != 0;
    *wrong += quote.list != list || !(quote.amount == baseline || (quote.amount == list && marked));
    return marked || (quote.flags & RIALTO_FLAG_ANONYMOUS) ? LISTED : PRICED;
}

/* The tables come and are replaced. */
static void open_again(struct start *s)
{
    if (s->prices != NULL && rialto_state(s->prices, NULL) == RIALTO_OK)
        return;
    rialto_close(s->prices);
    s->prices = NULL;
    (void)rialto_open(s->instance.cache, &s->prices);
}

static bool any_answered(const struct start *s, struct outcome *ret)
{
    for (uint32_t i = 0; s->prices != NULL && i < SAMPLE; i++)
        if (look(s, &s->sample[i], &ret->wrong) != NOTHING)
            return true;
    return false;
}

static bool watch(struct start *s, double from, struct outcome *ret)
{
    uint32_t answered = 0, priced = 0;
    memset(s->listed, 0, sizeof s->listed);
    while (priced < SAMPLE) {
        double now = clock_seconds() - from;
        if (now * 1e3 > START_MS)
            return false;
        open_again(s);
        for (enum answer a; answered < SAMPLE && (a = look(s, &s->sample[answered], &ret->wrong)) != NOTHING;
             answered++)
            s->listed[answered] = a == LISTED;
        while (priced < answered && look(s, &s->sample[priced], &ret->wrong) == PRICED)
            priced++;
        if (ret->first_s == 0 && any_answered(s, ret))
            ret->first_s = now;
        if (answered == SAMPLE && ret->answered_s == 0)
            ret->answered_s = now;
        rest(LOOK_NS);
    }
    ret->priced_s = clock_seconds() - from;
    for (uint32_t i = 0; i < SAMPLE; i++)
        ret->listed += s->listed[i];
    return true;
}

/* Taken, and in Redis: which may still be reading its file when prices are long there. */
static bool signal_durable(struct start *s)
{
    char text[LINE_BYTES_MAX], why[REQUEST_WHY_MAX];
    size_t bytes = product_line(0, text);
    bool durable = false;
    if (!instance_enter(&s->instance))
        return false;
    for (int64_t until = mono_ms() + START_MS; !durable && mono_ms() < until; rest(LOOK_NS)) {
        cJSON *answer = requester_ask(s->instance.requester, text, bytes, 1, NULL, why);
        const cJSON *level = cJSON_GetObjectItemCaseSensitive(answer, "durable");
        durable = cJSON_IsString(level) && strcmp(level->valuestring, "redis") == 0;
        cJSON_Delete(answer);
    }
    return durable;
}

/* ---- a start ---------------------------------------------------------------------------------------------------------- */

static bool start_anew(struct start *s, const struct way *way, struct outcome *ret)
{
    struct stage_cpu stage[INSTANCE_STAGES_MAX] = { 0 };
    char state[96];
    double ns = 0, from = clock_seconds();
    rialto_close(s->prices);
    s->prices = NULL;
    if (!instance_end(&s->instance, way->killed))
        return false;
    ret->end_s = clock_seconds() - from;
    (void)snprintf(state, sizeof state, "%s/data/state", s->instance.folder);
    if (!way->state)
        temporary_remove(state);
    from = clock_seconds();
    bool good = instance_run(&s->instance, sizeof s->set / sizeof s->set[0], s->set) && watch(s, from, ret) &&
                signal_durable(s);
    ret->signal_s = clock_seconds() - from;
    (void)instance_cpu(&s->instance, stage, &ns);
    ret->cpu_s = ns / 1e9;
    if (!good)
        daemon_print_log(&s->instance.daemon, 12);
    return good;
}

static bool measure(struct start *s)
{
    struct outcome before = { 0 };
    if (!fill(s) || !watch(s, clock_seconds(), &before) || before.wrong > 0) {
        fprintf(stderr,
                "rialto-bench: not filled: %" PRIu64 " records applied, %" PRIu64 " signals rejected, %" PRIu64
                " quotes wrong\n",
                instance_metric(&s->instance, METRIC_records_applied_total),
                instance_metric(&s->instance, METRIC_signals_rejected_total), before.wrong);
        daemon_print_log(&s->instance.daemon, 8);
        return false;
    }
    for (size_t i = 0; i < WAYS_COUNT; i++)
        if (!start_anew(s, &WAYS[i], &s->outcome[i]))
            return false;
    return true;
}

/* ---- words ------------------------------------------------------------------------------------------------------------ */

static void print_table(const struct start *s)
{
    printf("a start with empty shared memory: %" PRIu64 " prices, %u customers (filled in %.0f s)\n",
           (uint64_t)s->products * PLACES, s->customers, s->fill_s);
    printf("  %-24s %8s %8s %9s %8s %8s %8s %8s\n", "", "end", "first", "answered", "priced", "signal", "CPU",
           "listed");
    for (size_t i = 0; i < WAYS_COUNT; i++) {
        const struct outcome *o = &s->outcome[i];
        printf("  %-24s %6.1f s %6.1f s %7.1f s %6.1f s %6.1f s %6.1f s %6.0f %%%s\n", WAYS[i].name, o->end_s,
               o->first_s, o->answered_s, o->priced_s, o->signal_s, o->cpu_s, 100.0 * o->listed / SAMPLE,
               o->priced_s < GOAL_S ? "" : "  goal 10 s, missed");
    }
}

static void print_json(const struct start *s)
{
    printf("{\"bench\":\"start\",\"cells\":%" PRIu64 ",\"customers\":%u,\"fill_s\":%.1f,\"goal_s\":%.0f,\"sample\":%u",
           (uint64_t)s->products * PLACES, s->customers, s->fill_s, GOAL_S, SAMPLE);
    for (size_t i = 0; i < WAYS_COUNT; i++) {
        const struct outcome *o = &s->outcome[i];
        printf(",\"%s\":{\"end_s\":%.2f,\"first_s\":%.2f,\"answered_s\":%.2f,\"priced_s\":%.2f,\"signal_s\":%.2f,"
               "\"cpu_s\":%.2f,\"listed\":%u,\"wrong\":%" PRIu64 "}",
               WAYS[i].member, o->end_s, o->first_s, o->answered_s, o->priced_s, o->signal_s, o->cpu_s, o->listed,
               o->wrong);
    }
    printf("}\n");
}

static bool begin(struct start *s)
{
    (void)snprintf(s->setting[0], sizeof s->setting[0], "products_max=%u", s->products + s->products / 4 + 1024);
    (void)snprintf(s->setting[1], sizeof s->setting[1], "cells_max=%u", s->products * (PLACES + 3) + 65536);
    (void)snprintf(s->setting[2], sizeof s->setting[2], "customers_max=%u", s->customers + s->customers / 8 + 65536);
    (void)snprintf(s->setting[3], sizeof s->setting[3], "message_bytes_max=%u", MESSAGE_SIGNALS * LINE_BYTES_MAX);
    (void)snprintf(s->setting[4], sizeof s->setting[4], "offers_max=65536");
    for (size_t i = 0; i < sizeof s->set / sizeof s->set[0]; i++)
        s->set[i] = s->setting[i];
    sample_draw(s);
    return instance_start(&s->instance, MODEL, sizeof s->set / sizeof s->set[0], s->set);
}

int bench_start(const struct bench_options *options)
{
    static struct start s;
    uint64_t wrong = 0;
    memset(&s, 0, sizeof s);
    uint64_t cells = options->cells_given || options->cells < EACH_MAX ? options->cells : EACH_MAX;
    s.products = (uint32_t)(cells < PLACES ? 1 : cells / PLACES);
    s.customers = (uint32_t)(options->customers_given || options->customers < EACH_MAX ? options->customers : EACH_MAX);
    bool good = begin(&s) && measure(&s);
    if (good)
        (options->json ? print_json : print_table)(&s);
    for (size_t i = 0; i < WAYS_COUNT; i++)
        wrong += s.outcome[i].wrong;
    if (wrong > 0)
        fprintf(stderr, "rialto-bench: %" PRIu64 " quotes were neither list prices that say so nor the model's\n",
                wrong);
    rialto_close(s.prices);
    instance_stop(&s.instance);
    return good && wrong == 0 ? 0 : 1;
}
