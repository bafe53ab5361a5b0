/* worker.c - the worker's loop: batches in from the gateway, acknowledgements out, Redis caught up in between.
 *
 *   gateway --NNG PAIR--> poll() --> batch_apply() --> ACK(applied, durable, findings)
 *
 * One thread does all of it. NNG's own threads only fill the receive queue; mirror and publisher only set flags and wake it. */
#include "service/clock.h"
#include "service/dialer.h"
#include "service/diff.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/nng_reaper.h"
#include "service/pricelist.h"
#include "service/roles.h"
#include "service/worker.h"
#include "service/zeros.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
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
#define IDLE_MS             50
#define SILENCE_MS          3000        /* a living gateway sends ticks all the time */
#define REAPER_MS           2000

struct link {
    nng_socket socket;
    struct dialer dialer;
    int receive_fd, wake_fd, signal_fd;
    atomic_bool connected; /* set by NNG's thread: say hello */
    atomic_bool disk;      /* set by the mirror's thread */
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

static void on_connected(void *user)
{
    struct link *link = user;
    atomic_store(&link->connected, true);
    wake(link);
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
    uint32_t count = kind == WIRE_ACK ? worker->finding_count : 0;
    bool up = mirror_up(worker->mirror);
    struct wire_header header = {
        .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = (uint16_t)kind, .seq = state_applied(worker->common),
        .prev = mirror_durable(worker->mirror), .tick_ms = worker->tick_ms, .count = count, .worker = worker->index,
        .flags = (up ? WIRE_REDIS_UP : 0) | (atomic_load(&link->disk) ? WIRE_REDIS_DISK : 0),
        .life = kind == WIRE_HELLO ? link->life : 0,
    };
    if (kind == WIRE_ACK)
        header.held = worker->held;
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0)
        return false;
    if (nng_msg_append(message, &header, sizeof header) != 0 ||
        nng_msg_append(message, worker->finding, count * sizeof worker->finding[0]) != 0 ||
        nng_sendmsg(link->socket, message, NNG_FLAG_NONBLOCK) != 0) {
        nng_msg_free(message); /* no room or no peer: said again in a later round, or by the next hello */
        return false;
    }
    worker->finding_count = 0;
    link->durable_told = header.prev;
    link->up_told = up;
    return true;
}

static void answer(struct worker *worker, struct link *link)
{
    if (mirror_durable(worker->mirror) != link->durable_told || mirror_up(worker->mirror) != link->up_told)
        link->ack_owed = true;
    if (link->ack_owed && send_message(worker, link, WIRE_ACK))
        link->ack_owed = false;
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
    nng_msg *message;
    if (bytes == 0 || bytes > WIRE_REPLY_MAX || nng_msg_alloc(&message, 0) != 0)
        return;
    if (nng_msg_append(message, &header, sizeof header) != 0 || nng_msg_append(message, text, bytes) != 0 ||
        nng_sendmsg(link->socket, message, NNG_FLAG_NONBLOCK) != 0)
        nng_msg_free(message);
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
    nng_msg *message;
    while (taken < BATCHES_PER_ROUND && worker->finding_count < FINDINGS_MAX / 4 &&
           nng_recvmsg(link->socket, &message, NNG_FLAG_NONBLOCK) == 0) {
        take_batch(worker, link, nng_msg_body(message), nng_msg_len(message));
        nng_msg_free(message);
        taken++;
    }
    if (taken > 0)
        worker_beat(worker);
    return taken;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static bool link_open(const struct config *config, uint32_t index, struct link *link)
{
    char url[CONFIG_TEXT_MAX + 32];
    worker_url(config, index, url);
    int error = nng_pair0_open(&link->socket);
    if (error == 0)
        error = nng_socket_set_size(link->socket, NNG_OPT_RECVMAXSZ, MESSAGE_BYTES_MAX);
    if (error == 0)
        error = nng_socket_set_int(link->socket, NNG_OPT_RECVBUF, 64);
    if (error == 0)
        error = nng_socket_set_int(link->socket, NNG_OPT_SENDBUF, 64);
    if (error == 0)
        error = nng_socket_get_int(link->socket, NNG_OPT_RECVFD, &link->receive_fd);
    if (error == 0)
        error = dialer_open(&link->dialer, link->socket, url, on_connected, link);
    if (error != 0)
        log_line(LOG_ERROR, "LINK-FAILED", "url=%s reason=%s", url, nng_strerror(error));
    return error == 0;
}

static bool setup_signals(struct link *link)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* before NNG, mirror and publisher start threads: they inherit it */
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

/* The gateway is gone, or silent: if NNG here is stuck, nothing but another process of ours will ever hear it. */
static bool hears(struct link *link, int64_t *heard_ms)
{
    int64_t now = mono_ms();
    bool stuck = !dialer_look(&link->dialer);
    if (!stuck && now - *heard_ms >= SILENCE_MS) {
        *heard_ms = now; /* asked again after as long a silence */
        stuck = nng_reaper_stuck(REAPER_MS);
    }
    if (!stuck)
        return true;
    log_line(LOG_ERROR, "NNG-STUCK", "what=\"closed pipes are not taken away any more: this worker starts again\"");
    return false;
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
    int64_t heard_ms = mono_ms();
    struct pollfd wait[3] = { { .fd = link->receive_fd, .events = POLLIN },
                              { .fd = link->wake_fd, .events = POLLIN },
                              { .fd = link->signal_fd, .events = POLLIN } };
    for (bool busy = false;;) {
        (void)poll(wait, 3, busy ? 0 : IDLE_MS);
        if (wait[2].revents & POLLIN)
            return;
        uint64_t count;
        ssize_t got = read(link->wake_fd, &count, sizeof count);
        (void)got;
        if (atomic_exchange(&link->connected, false) && !send_message(worker, link, WIRE_HELLO))
            atomic_store(&link->connected, true);
        busy = drain(worker, link) > 0;
        if (busy) {
            count_held(worker);
            heard_ms = mono_ms();
        }
        if (!hears(link, &heard_ms))
            _exit(EXIT_FAILURE); /* between batches: as after a death, and closing NNG's sockets would hang */
        persist_send(worker, false);
        deletions_follow(worker);
        busy |= journal_step(worker);
        busy |= persist_sweep_slice(worker);
        busy |= answer_step(worker, link);
        busy |= !busy && restart_warm(worker);
        busy |= !busy && pricelist_step(worker);
        answer(worker, link);
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
    else if (link_open(config, index, link)) {
        zeros_write();
        run(worker, link);
        persist_send(worker, true);
        journal_finish(worker);
        pricelist_finish(worker);
        log_line(LOG_INFO, "WORKER-STOPPING", "applied=%llu", (unsigned long long)state_applied(worker->common));
        status = EXIT_SUCCESS;
    }
    (void)nng_close(link->socket);
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
