/* worker.c - the worker's loop: batches in from the gateway, acknowledgements out, Redis caught up in between.
 *
 *   gateway --stream--> poll() --> batch_apply() --> ACK(applied, durable, findings)
 *
 * Findings are told with the first message that can be sent, whatever it is: it says that their batch is applied.
 * One thread does all of it; mirror and publisher only set flags and wake it. */
#include "service/worker.h"
#include "service/clock.h"
#include "service/diff.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/pricelist.h"
#include "service/roles.h"
#include "service/stream.h"
#include "service/zeros.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define BATCHES_PER_ROUND   64u         /* applied before the next look at anything else */
#define MESSAGE_BYTES_MAX   (64u << 20) /* largest message from the gateway */
#define KEPT_BYTES_MAX      (1u << 20)  /* for a gateway that does not read; then it is told later */
#define IDLE_MS             50
#define DIAL_MS             20 /* until it is tried again */

struct link {
    struct stream stream;
    char path[CONFIG_TEXT_MAX + 32];
    int wake_fd, signal_fd;
    int64_t dial_ms;  /* from then on */
    atomic_bool disk; /* set by the mirror's thread */
    bool ack_owed;
    uint64_t durable_told;
    bool     up_told;
    uint32_t life;           /* of this process */
};

static void wake(struct link *link)
{
    uint64_t one = 1;
    ssize_t written = write(link->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}

static void on_durable(void *user, uint64_t seq, bool disk)
{
    struct link *link = user;
    (void)seq;
    atomic_store(&link->disk, disk);
    wake(link);
}

static void on_news(void *user)
{
    wake(user);
}

/* ---- messages out ----------------------------------------------------------------------------------------------- */

static bool send_message(struct worker *worker, struct link *link, enum wire_kind kind)
{
    uint32_t count = worker->finding_count;
    bool up = mirror_up(worker->mirror);
    struct wire_header header = {
        .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = (uint16_t)kind, .seq = state_applied(worker->common),
        .prev = mirror_durable(worker->mirror), .tick_ms = worker->tick_ms, .count = count, .worker = worker->index,
        .flags = (up ? WIRE_REDIS_UP : 0) | (atomic_load(&link->disk) ? WIRE_REDIS_DISK : 0),
        .life = kind == WIRE_HELLO ? link->life : 0,
    };
    if (kind == WIRE_ACK)
        header.held = worker->held;
    if (!stream_send(&link->stream, &header, sizeof header, worker->finding, count * sizeof worker->finding[0]))
        return false; /* no room or no peer: said again in a later round, or by the next hello */
    worker->finding_count = 0;
    link->durable_told = header.prev;
    link->up_told = up;
    return true;
}

/* Returns true when it was told: findings have room again. */
static bool answer(struct worker *worker, struct link *link)
{
    if (mirror_durable(worker->mirror) != link->durable_told || mirror_up(worker->mirror) != link->up_told)
        link->ack_owed = true;
    if (!link->ack_owed || !send_message(worker, link, WIRE_ACK))
        return false;
    link->ack_owed = false;
    return true;
}

/* ---- messages in ------------------------------------------------------------------------------------------------ */

void worker_beat(struct worker *worker)
{
    int64_t now = mono_ms();
    silence_beat(worker, now);
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        struct rialto_heartbeat *heart = &worker->control->heartbeat[p];
        atomic_store_explicit(&heart->owner, worker->index, memory_order_relaxed);
        atomic_store_explicit(&heart->applied, state_applied(worker->common), memory_order_relaxed);
        atomic_store_explicit(&heart->tick_ms, worker->tick_ms, memory_order_relaxed);
        atomic_store_explicit(&heart->beat_mono_ms, now, memory_order_release);
    }
}

/* A reply that cannot be sent is lost: whoever asked is told after a while that nobody answered. */
static void send_reply(struct worker *worker, struct link *link, uint32_t number, const char *text)
{
    size_t bytes = text != NULL ? strlen(text) : 0;
    const struct wire_header header = {
        .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = WIRE_REPLY, .seq = state_applied(worker->common),
        .prev = mirror_durable(worker->mirror), .tick_ms = worker->tick_ms, .count = (uint32_t)bytes,
        .worker = worker->index, .ask = number,
    };
    if (bytes > 0 && bytes <= WIRE_REPLY_MAX)
        (void)stream_send(&link->stream, &header, sizeof header, text, bytes);
}

static void take_question(struct worker *worker, struct link *link, const struct wire_header *header)
{
    char *text = ask_answer(worker, (const char *)(header + 1), header->count);
    if (text != NULL)
        send_reply(worker, link, header->ask, text);
    else
        diff_number(worker, header->ask);
    free(text);
}

/* A long answer is worked out between batches. Returns true when there was something to do. */
static bool answer_step(struct worker *worker, struct link *link)
{
    uint32_t number = 0;
    char *text;
    bool busy = diff_step(worker, &number, &text);
    if (text != NULL)
        send_reply(worker, link, number, text);
    free(text);
    return busy;
}

static void take_batch(struct worker *worker, struct link *link, const uint8_t *bytes, size_t size)
{
    const struct wire_header *header = wire_header_check(bytes, size);
    if (header != NULL && header->kind == WIRE_ASK) {
        take_question(worker, link, header);
        return;
    }
    if (header == NULL || header->kind != WIRE_BATCH) {
        log_line(LOG_ERROR, "MESSAGE-MALFORMED", "bytes=%zu", size);
        return;
    }
    uint64_t applied = state_applied(worker->common);
    if (header->seq > applied && header->prev > applied) {
        (void)send_message(worker, link, WIRE_HELLO); /* one is missing in between */
        return;
    }
    /* We shall never get past it: the gateway takes a batch apart that we die of, and finds what is wrong in it. */
    if (header->seq > applied && !batch_apply(worker, bytes, size))
        exit(EXIT_FAILURE);
    link->ack_owed = true;
}

/* Returns how many messages were taken. */
static unsigned drain(struct worker *worker, struct link *link)
{
    unsigned taken = 0;
    const uint8_t *body;
    size_t bytes;
    enum stream_got got = STREAM_MESSAGE;
    while (taken < BATCHES_PER_ROUND && worker->finding_count < FINDINGS_MAX / 4 &&
           (got = stream_receive(&link->stream, &body, &bytes)) == STREAM_MESSAGE) {
        take_batch(worker, link, body, bytes);
        taken++;
    }
    /* Of a gateway that is gone nothing is read while findings that it will never take leave no room: this is its end, too. */
    if (got == STREAM_ENDED || (link->stream.broken && got == STREAM_MESSAGE && taken == 0))
        stream_close(&link->stream);
    if (taken > 0)
        worker_beat(worker);
    return taken;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void link_setup(const struct config *config, uint32_t index, struct link *link)
{
    worker_path(config, index, link->path);
    stream_init(&link->stream,
                &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, MESSAGE_BYTES_MAX, KEPT_BYTES_MAX, NULL });
}

/* Without a gateway: is there one by now? It is told first what we have. */
static void link_dial(struct worker *worker, struct link *link)
{
    int64_t now = mono_ms();
    if (link->stream.fd != -1 || now < link->dial_ms)
        return;
    link->dial_ms = now + DIAL_MS;
    if (stream_dial(&link->stream, link->path) && !send_message(worker, link, WIRE_HELLO))
        stream_close(&link->stream);
}

/* Until there is something to do. Returns false when we are to end. */
static bool link_wait(struct link *link, bool busy)
{
    bool there = link->stream.fd != -1;
    struct pollfd wait[3] = { { .fd = link->stream.fd, .events = stream_events(&link->stream) },
                              { .fd = link->wake_fd, .events = POLLIN },
                              { .fd = link->signal_fd, .events = POLLIN } };
    (void)poll(wait, 3, busy ? 0 : there ? IDLE_MS : DIAL_MS);
    stream_polled(&link->stream, wait[0].revents);
    if (wait[1].revents & POLLIN) {
        uint64_t count;
        ssize_t got = read(link->wake_fd, &count, sizeof count);
        (void)got;
    }
    return (wait[2].revents & POLLIN) == 0;
}

static bool setup_signals(struct link *link)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* before mirror and publisher start threads: they inherit it */
    (void)sigdelset(&set, SIGPIPE);
    link->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return link->signal_fd != -1 && link->wake_fd != -1;
}

static void count_held(struct worker *worker)
{
    uint64_t used[POOL_COUNT] = {0}, locks = 0;
    bool counted = false;
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        bool known = worker->partition[p].locks_counted;
        if (known || !counted) /* one more each time: a start waits for none */
            locks += locks_count(&worker->partition[p]);
        counted = counted || !known;
        for (int pool = 0; pool < POOL_COUNT; pool++)
            used[pool] += state_used(worker->partition[p].state, (enum state_pool)pool);
    }
    metric_set(METRIC_products, used[POOL_PRODUCTS]);
    metric_set(METRIC_cells, used[POOL_CELLS]);
    metric_set(METRIC_customers, used[POOL_CUSTOMERS]);
    metric_set(METRIC_offers, used[POOL_OFFERS]);
    metric_set(METRIC_locks, locks);
}

/* The publisher deletes in its own time: what it deleted after the last rewrite of Redis's append-only file began is still in that. */
static void deletions_follow(struct worker *worker)
{
    uint64_t deletions = publisher_deletions(worker->publisher);
    if (deletions != worker->deletions)
        mirror_erased(worker->mirror);
    worker->deletions = deletions;
}

static void run(struct worker *worker, struct link *link)
{
    for (bool busy = false; link_wait(link, busy);) {
        link_dial(worker, link);
        busy = drain(worker, link) > 0;
        if (busy)
            count_held(worker);
        persist_send(worker, false);
        deletions_follow(worker);
        busy |= journal_step(worker);
        busy |= persist_sweep_slice(worker);
        busy |= answer_step(worker, link);
        busy |= !busy && restart_warm(worker);
        busy |= !busy && pricelist_step(worker);
        busy |= answer(worker, link);
        metric_set(METRIC_redis_up, mirror_up(worker->mirror));
        uint64_t lag = state_applied(worker->common) - mirror_durable(worker->mirror);
        metric_set(METRIC_mirror_lag_batches, (lag + WIRE_SEQ_STRIDE - 1) / WIRE_SEQ_STRIDE);
    }
}

static int serve(struct worker *worker, struct link *link, const struct config *config, uint32_t index)
{
    const struct mirror_hooks hooks = { .user = link, .durable = on_durable, .wake = on_news };
    if (worker_setup(config, index, worker) != RIALTO_OK)
        return EXIT_FAILURE;
    count_held(worker);
    int status = EXIT_FAILURE;
    if (mirror_start(config, index, &hooks, &worker->mirror) != RIALTO_OK ||
        publisher_start(config, index, &worker->publisher) != RIALTO_OK)
        log_line(LOG_ERROR, "THREADS-FAILED", "errno=%d", errno);
    else {
        link_setup(config, index, link);
        zeros_write();
        run(worker, link);
        persist_send(worker, true);
        journal_finish(worker);
        pricelist_finish(worker);
        log_line(LOG_INFO, "WORKER-STOPPING", "applied=%llu", (unsigned long long)state_applied(worker->common));
        status = EXIT_SUCCESS;
    }
    stream_fini(&link->stream);
    if (worker->publisher != NULL)
        publisher_stop(worker->publisher);
    if (worker->mirror != NULL)
        mirror_stop(worker->mirror);
    return status;
}

int worker_main(const struct config *config, uint32_t index)
{
    static struct worker worker; /* large: not on the stack */
    static struct link link;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    link.life = ((uint32_t)mono_us() ^ (uint32_t)getpid() << 16) | 1u;
    if (!setup_signals(&link))
        return EXIT_FAILURE;
    char who[RIALTO_NAME_MAX];
    (void)snprintf(who, sizeof who, "worker.%u", index);
    if (metrics_open(config->cache_dir, 2 + index, who) != RIALTO_OK) /* a private block counts until the next start */
        log_line(LOG_WARNING, "METRICS-UNAVAILABLE", "folder=%s", config->cache_dir);
    int status = serve(&worker, &link, config, index);
    worker_teardown(&worker);
    return status;
}
