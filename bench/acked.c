/* acked.c - how long acknowledged signals take, beside a bare hiredis client that sends the same transactions.
 *
 *   producer --NNG REQ over ipc://, lines of JSON, 10 signals a message--> gateway --> worker --> redis-server --> answer
 *   bare     --hiredis over the Unix socket of the same server, the transactions of the same signals--------> EXEC's reply
 *
 * Load is offered on a schedule, 20,000 signals/s, whatever the answers do; a message's time begins when it was due, not when it could be
 * sent, so that a stall counts for everything behind it. The two take turns. At level `redis` the server fsyncs once a second, at
 * level `disk` before each answer of its (appendonly yes, appendfsync always); it does not rewrite its file meanwhile, for either. An answer
 * counts only if it accepts all signals and says that very level, however long that takes: a slow disk shows as time. */
#include "bench/acked.h"

#include "bench/bench.h"
#include "bench/instance.h"
#include "service/clock.h"
#include "service/temporary.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ASKERS      64u /* requests under way at once: as many as the gateway takes */
#define LIST_FIRST  1000u
#define LINE_ROOM   192u
#define WARM        200u /* messages before the first round */
#define ANSWER_MS   30000
#define ANSWER_ROOM 512u
#define SERVER_TRYS 200

struct ours;

struct asker {
    struct ours *ours;
    nng_ctx context;
    nng_aio *aio;
    bool sending;
    int64_t due_us;
};

struct ours {
    nng_socket socket;
    struct asker asker[ASKERS];
    uint32_t idle[ASKERS], idles; /* under the mutex, and `result` */
    pthread_mutex_t mutex;
    pthread_cond_t news;
    struct acked *result;
    const char *level; /* "\"durable\":\"redis\"" */
    uint64_t signals;
    char why[ANSWER_ROOM]; /* the first that failed; under the mutex */
};

struct outcome { /* of one level */
    struct acked ours, bare;
    uint64_t records, transactions, bare_records, bare_transactions; /* in Redis */
    uint64_t messages;                                               /* of each */
    char why[ANSWER_ROOM];                                           /* one of ours failed */
};

static const char *const LEVEL[2] = { "redis", "disk" };

void acked_add(struct acked *acked, int64_t us)
{
    if (acked->count == acked->capacity) {
        acked->failed++;
        return;
    }
    acked->us[acked->count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

struct acked_signal acked_signal(uint64_t number)
{
    uint64_t roll = bench_mix(number + 1);
    return (struct acked_signal){ .product = (uint32_t)(roll % ACKED_PRODUCTS),
                                  .shop = (uint32_t)(roll >> 20) % ACKED_SHOPS,
                                  .quantity = 1 + (uint32_t)(roll >> 50) % 4 };
}

/* As the shipped models that follow demand: small changes wait. */
static const char MODEL[] =
    "{\"model\":\"bench\",\"version\":\"1\",\"scope\":{\"categories\":[\"bench\"],\"currencies\":[\"EUR\"]},"
    "\"zone_levels\":2,\"group\":\"bench\",\"stale_limit\":\"1h\","
    "\"demand\":{\"half_life\":\"6h\",\"slow_half_life\":\"7d\",\"prior_events\":5,\"min_events\":3},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.25,0.95],[0.8,1],[1.25,1],[4,1.08]]}"
    ","
    "{\"name\":\"scarcity\",\"input\":\"available_ratio\",\"curve\":[[0,1.05],[0.25,1.03],[0.5,1]]},"
    "{\"name\":\"promotion\",\"input\":\"promotion\",\"curve\":[[0.1,0.1],[1,1]]}],"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5,\"dead_band\":{\"of\":0.005,\"settle\":\"2h\"}},"
    "\"rounding\":{\"step\":1}}\n";

/* ---- ours --------------------------------------------------------------------------------------------------------- */

static nng_msg *message_of(struct ours *ours)
{
    char text[ACKED_A_MESSAGE * LINE_ROOM];
    size_t at = 0;
    nng_msg *message;
    for (uint32_t i = 0; i < ACKED_A_MESSAGE; i++) {
        const struct acked_signal s = acked_signal(ours->signals++);
        at += (size_t)snprintf(text + at, LINE_ROOM,
                               "{\"type\":\"demand\",\"sku\":\"sku-%06u\",\"event\":\"order\",\"quantity\":%u,\"zone\":"
                               "\"c%u/s%u\",\"source\":\"pos-%02u\",\"id\":\"%" PRIu64 "\"}\n",
                               s.product, s.quantity, s.shop % 2, s.shop, s.shop, ours->signals);
    }
    if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, text, at) != 0)
        abort();
    return message;
}

static bool answer_is_good(const struct ours *ours, nng_msg *message, char text[ANSWER_ROOM])
{
    char accepted[32];
    (void)snprintf(text, ANSWER_ROOM, "%.*s", (int)nng_msg_len(message), (const char *)nng_msg_body(message));
    (void)snprintf(accepted, sizeof accepted, "\"accepted\":%u,", ACKED_A_MESSAGE);
    return strstr(text, accepted) != NULL && strstr(text, ours->level) != NULL;
}

/* Sent: wait for the answer. Answered, or failed: free again. */
static void on_step(void *user)
{
    struct asker *asker = user;
    struct ours *ours = asker->ours;
    int error = nng_aio_result(asker->aio);
    if (asker->sending && error == 0) {
        asker->sending = false;
        nng_ctx_recv(asker->context, asker->aio);
        return;
    }
    int64_t now = mono_us();
    bool good = false;
    char text[ANSWER_ROOM];
    if (error == 0) {
        nng_msg *message = nng_aio_get_msg(asker->aio);
        good = answer_is_good(ours, message, text);
        nng_msg_free(message);
    } else if (asker->sending) {
        nng_msg_free(nng_aio_get_msg(asker->aio));
    }
    nng_aio_set_msg(asker->aio, NULL);
    (void)pthread_mutex_lock(&ours->mutex);
    if (!good && ours->why[0] == '\0')
        (void)snprintf(ours->why, sizeof ours->why, "%s", error != 0 ? nng_strerror(error) : text);
    if (good)
        acked_add(ours->result, now - asker->due_us);
    else
        ours->result->failed++;
    ours->idle[ours->idles++] = (uint32_t)(asker - ours->asker);
    (void)pthread_cond_signal(&ours->news);
    (void)pthread_mutex_unlock(&ours->mutex);
}

static struct asker *asker_take(struct ours *ours)
{
    (void)pthread_mutex_lock(&ours->mutex);
    while (ours->idles == 0)
        (void)pthread_cond_wait(&ours->news, &ours->mutex); /* each ends within ANSWER_MS */
    struct asker *asker = &ours->asker[ours->idle[--ours->idles]];
    (void)pthread_mutex_unlock(&ours->mutex);
    return asker;
}

static void ours_wait(struct ours *ours)
{
    (void)pthread_mutex_lock(&ours->mutex);
    while (ours->idles < ASKERS)
        (void)pthread_cond_wait(&ours->news, &ours->mutex);
    (void)pthread_mutex_unlock(&ours->mutex);
}

static void ours_run(struct ours *ours, uint64_t messages, struct acked *ret)
{
    int64_t from_us = mono_us(), due_us = from_us;
    ours->result = ret;
    for (uint64_t i = 0; i < messages; i++, due_us += ACKED_PERIOD_US) {
        int64_t wait_us = due_us - mono_us();
        if (wait_us > 0)
            (void)nanosleep(&(struct timespec){ .tv_nsec = wait_us * 1000 }, NULL);
        struct asker *asker = asker_take(ours);
        uint64_t late_us = (uint64_t)(mono_us() - due_us);
        ret->late_us = late_us > ret->late_us ? late_us : ret->late_us;
        asker->due_us = due_us;
        asker->sending = true;
        nng_aio_set_msg(asker->aio, message_of(ours));
        nng_ctx_send(asker->context, asker->aio);
    }
    ours_wait(ours);
    ret->seconds += (double)(mono_us() - from_us) / 1e6;
}

static bool ours_open(struct ours *ours, const char *url, const char *level)
{
    memset(ours, 0, sizeof *ours);
    (void)pthread_mutex_init(&ours->mutex, NULL);
    (void)pthread_cond_init(&ours->news, NULL);
    ours->level = level;
    if (nng_req0_open(&ours->socket) != 0)
        return false;
    /* Never asked twice: a lost answer is a failure here. */
    bool good =
        nng_socket_set_ms(ours->socket, NNG_OPT_REQ_RESENDTIME, -1) == 0 && nng_dial(ours->socket, url, NULL, 0) == 0;
    for (uint32_t i = 0; good && i < ASKERS; i++) {
        struct asker *asker = &ours->asker[i];
        asker->ours = ours;
        good = nng_ctx_open(&asker->context, ours->socket) == 0 && nng_aio_alloc(&asker->aio, on_step, asker) == 0;
        if (good)
            nng_aio_set_timeout(asker->aio, ANSWER_MS);
        ours->idle[ours->idles++] = i;
    }
    return good;
}

static void ours_close(struct ours *ours)
{
    (void)nng_close(ours->socket);
    for (uint32_t i = 0; i < ASKERS; i++)
        nng_aio_free(ours->asker[i].aio);
    (void)pthread_cond_destroy(&ours->news);
    (void)pthread_mutex_destroy(&ours->mutex);
}

/* ---- a level ------------------------------------------------------------------------------------------------------ */

static bool acked_setup(struct acked *acked, uint64_t messages)
{
    *acked = (struct acked){ .us = calloc(messages, sizeof(uint32_t)), .capacity = messages };
    return acked->us != NULL;
}

static bool take_turns(const struct bench_options *options, struct instance *instance, struct ours *ours,
                       struct acked_bare *bare, struct outcome *ret)
{
    uint64_t each = (uint64_t)(options->seconds * 1e6 / ACKED_PERIOD_US / (double)options->rounds) + 1;
    struct acked warm;
    bool good = acked_setup(&warm, 2 * WARM);
    ret->messages = each * options->rounds;
    good = good && acked_setup(&ret->ours, ret->messages) && acked_setup(&ret->bare, ret->messages);
    if (good) {
        ours_run(ours, WARM, &warm);
        good = acked_bare_run(bare, WARM, &warm);
    }
    uint64_t records = instance_metric(instance, METRIC_mirror_records_total), bare_records = acked_bare_records(bare);
    uint64_t transactions = instance_metric(instance, METRIC_mirror_transactions_total);
    uint64_t bare_transactions = acked_bare_transactions(bare);
    for (uint64_t r = 0; good && r < options->rounds; r++) {
        ours_run(ours, each, &ret->ours);
        good = acked_bare_run(bare, each, &ret->bare);
    }
    ret->records = instance_metric(instance, METRIC_mirror_records_total) - records;
    ret->transactions = instance_metric(instance, METRIC_mirror_transactions_total) - transactions;
    ret->bare_records = acked_bare_records(bare) - bare_records;
    ret->bare_transactions = acked_bare_transactions(bare) - bare_transactions;
    free(warm.us);
    return good;
}

static int start_redis(const char *folder, bool disk, char url[96])
{
    char path[80];
    (void)snprintf(path, sizeof path, "%s/redis.sock", folder);
    (void)snprintf(url, 96, "unix:%s", path);
    int server = bench_server(
        UINT32_MAX, (const char *const[]){ "redis-server", "--port", "0", "--unixsocket", path, "--appendonly", "yes",
                                           "--appendfsync", disk ? "always" : "everysec", "--save", "", "--dir", folder,
                                           "--logfile", "log", "--auto-aof-rewrite-percentage", "0", NULL });
    for (int i = 0; server != 0 && i < SERVER_TRYS && access(path, F_OK) != 0; i++)
        (void)usleep(20000);
    return server;
}

static bool measure(const struct bench_options *options, bool disk, struct outcome *ret)
{
    static struct ours ours;
    char folder[64], url[96], set[128];
    if (!temporary_folder("/tmp", "rialto-acked", folder))
        return false;
    int server = start_redis(folder, disk, url);
    (void)snprintf(set, sizeof set, "redis_url=%s", url);
    struct instance instance;
    bool good = server != 0 &&
                instance_start(&instance, MODEL, 2, (const char *const[]){ set, "durable_timeout_ms=20000", NULL });
    if (good) {
        struct acked_bare *bare = acked_bare_open(url);
        bool open = ours_open(&ours, instance.request_url, disk ? "\"durable\":\"disk\"" : "\"durable\":\"redis\"");
        good = bare != NULL && open && instance_add_products(&instance, ACKED_PRODUCTS, LIST_FIRST) &&
               take_turns(options, &instance, &ours, bare, ret);
        if (!good)
            daemon_print_log(&instance.daemon, 8);
        (void)snprintf(ret->why, sizeof ret->why, "%s", ours.why);
        ours_close(&ours);
        acked_bare_close(bare);
        instance_stop(&instance);
    }
    if (server != 0)
        bench_server_stop(server);
    temporary_remove(folder);
    return good;
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double ms_at(const struct acked *acked, double share)
{
    if (acked->count == 0)
        return 0;
    size_t at = (size_t)(share * (double)acked->count);
    return acked->us[at < acked->count ? at : acked->count - 1] / 1e3;
}

static void print_row(const char *who, const struct acked *a, uint64_t records, uint64_t transactions)
{
    printf("  %-28s %8.2f %8.2f %8.2f ms %10.0f signals/s %8.2f records %8.3f transactions a signal\n", who,
           ms_at(a, 0.5), ms_at(a, 0.99), ms_at(a, 0.999), (double)a->count * ACKED_A_MESSAGE / a->seconds,
           (double)records / ((double)a->count * ACKED_A_MESSAGE),
           (double)transactions / ((double)a->count * ACKED_A_MESSAGE));
}

static double goal_ms(const struct outcome *o)
{
    double relative = 3 + 2 * ms_at(&o->bare, 0.99);
    return relative > 5 ? relative : 5;
}

static void print_table(const struct outcome level[2])
{
    printf("%u signals/s offered in messages of %u, each answered when in Redis; from when it was due to its answer\n",
           ACKED_SIGNALS_PER_S, ACKED_A_MESSAGE);
    printf("  %-28s %8s %8s %8s\n", "", "p50", "p99", "p99.9");
    for (uint32_t i = 0; i < 2; i++) {
        char who[48];
        const struct outcome *o = &level[i];
        (void)snprintf(who, sizeof who, "durable: %s", LEVEL[i]);
        print_row(who, &o->ours, o->records, o->transactions);
        print_row("  bare hiredis", &o->bare, o->bare_records, o->bare_transactions);
        if (i == 0)
            printf("  goal at this level: p99 at most %.2f ms (5 ms, or 3 ms and twice bare's p99): %s\n", goal_ms(o),
                   ms_at(&o->ours, 0.99) <= goal_ms(o) ? "met" : "missed");
    }
}

static void print_json_side(const char *who, const struct acked *a, uint64_t records, uint64_t transactions)
{
    printf("\"%s\":{\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"signals_per_s\":%.0f,\"messages\":%zu,"
           "\"failed\":%" PRIu64 ",\"sent_late_max_ms\":%.3f,\"records\":%" PRIu64 ",\"transactions\":%" PRIu64 "}",
           who, ms_at(a, 0.5), ms_at(a, 0.99), ms_at(a, 0.999), (double)a->count * ACKED_A_MESSAGE / a->seconds,
           a->count, a->failed, (double)a->late_us / 1e3, records, transactions);
}

static void print_json(const struct outcome level[2])
{
    printf("{\"bench\":\"acked\",\"offered_signals_per_s\":%u,\"signals_a_message\":%u,\"goal_p99_ms\":%.3f",
           ACKED_SIGNALS_PER_S, ACKED_A_MESSAGE, goal_ms(&level[0]));
    for (uint32_t i = 0; i < 2; i++) {
        printf(",\"%s\":{", LEVEL[i]);
        print_json_side("ours", &level[i].ours, level[i].records, level[i].transactions);
        printf(",");
        print_json_side("bare", &level[i].bare, level[i].bare_records, level[i].bare_transactions);
        printf("}");
    }
    printf("}\n");
}

int bench_acked(const struct bench_options *options)
{
    struct outcome level[2] = { { .messages = 0 }, { .messages = 0 } };
    bool good = true;
    (void)prctl(PR_SET_TIMERSLACK, 1000); /* ns: the schedule is finer than the usual 50 us */
    for (uint32_t i = 0; good && i < 2; i++) {
        good = measure(options, i == 1, &level[i]);
        if (good) {
            qsort(level[i].ours.us, level[i].ours.count, sizeof(uint32_t), by_size);
            qsort(level[i].bare.us, level[i].bare.count, sizeof(uint32_t), by_size);
            good = level[i].ours.failed == 0 && level[i].bare.failed == 0;
        }
        if (!good)
            fprintf(stderr, "rialto-bench: %" PRIu64 " messages were not answered as durable: %s; the first: %s\n",
                    level[i].ours.failed, LEVEL[i], level[i].why);
    }
    if (good)
        (options->json ? print_json : print_table)(level);
    for (uint32_t i = 0; i < 2; i++) {
        free(level[i].ours.us);
        free(level[i].bare.us);
    }
    return good ? 0 : 1;
}
