/* gateway.c - the gateway's main loop: take signals, fix their order, hand them to workers, answer.
 *
 *   round: links (acknowledgements in, batches out) -> clock (a new tick?) -> signals (a bounded number) -> seal ->
 *   answers -> wait
 *
 * A round does a bounded amount of work; whoever has something for the main thread wakes it (inbox_wake). At the end:
 * nothing further is received, what is in goes to the workers, what waits is answered, for a second at most. What local producers' kernel
 * has taken before is in, too. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/nng_reaper.h"
#include "service/roles.h"
#include "service/zeros.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define HELLO_WAIT_MS 3000 /* for all workers, before the first number is given out */
#define KNOWN_WAIT_MS 500  /* when what the missing ones would say is known */
#define LINKS_LOOK_MS 100
#define STOP_WAIT_MS  1000
#define STOP_LIMIT_S  4 /* less than a supervisor waits for us: the old one (supervisor.c), or a new one (data_dir.c) */
#define STUCK_WAIT_MS 10000 /* for an idle moment, before we start again all the same */

/* ---- one round ------------------------------------------------------------------------------------------------- */

static bool links_step(struct gateway *gateway)
{
    bool moved = false;
    for (uint32_t i = 0; i < gateway->link_count; i++)
        moved = link_step(&gateway->link[i]) || moved;
    return moved;
}

static bool doors_step(struct inbox *inbox)
{
    bool moved = false;
    for (uint32_t i = 0; i < inbox->endpoint_count; i++)
        if (inbox->endpoint[i].door != NULL)
            moved = push_step(&inbox->endpoint[i]) || moved;
    return moved;
}

/* Returns true when there is more to do at once. */
static bool round_once(struct gateway *gateway)
{
    bool moved = links_step(gateway);
    moved = doors_step(&gateway->inbox) || moved;
    (void)clock_step(gateway);
    bool more = ingest_step(gateway);
    if (!more)
        batch_seal(gateway, false); /* nothing further to wait for */
    moved = links_step(gateway) || moved;
    signer_step(gateway);
    answers_step(gateway);
    ingest_report(gateway, false);
    audit_step(gateway);
    return moved || more;
}

static int wait_ms(const struct gateway *gateway)
{
    int64_t next = answers_next_ms(gateway), tick = clock_next_tick_mono_ms(gateway);
    int64_t left = (next < tick ? next : tick) - mono_ms();
    return left < 0 ? 0 : left > (int64_t)gateway->config->tick_ms ? (int)gateway->config->tick_ms : (int)left;
}

/* Senders that have used up their share have theirs taken later. */
static int until_next_message(struct inbox *inbox, int timeout_ms)
{
    int64_t next_us = inbox_next_us(inbox), now_us = mono_us();
    if (next_us <= now_us)
        return 0;
    int64_t left_ms = next_us == INT64_MAX ? timeout_ms : (next_us - now_us + 999) / 1000;
    return left_ms < timeout_ms ? (int)left_ms : timeout_ms;
}

/* Returns how many; what waits in one of them already leaves no time to wait. */
static uint32_t doors_poll(const struct inbox *inbox, struct pollfd *ret, int *timeout_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < inbox->endpoint_count; i++) {
        const struct push_endpoint *endpoint = &inbox->endpoint[i];
        if (endpoint->door == NULL)
            continue;
        push_poll(endpoint, &ret[count]);
        count += PUSH_POLLED;
        if (push_is_due(endpoint))
            *timeout_ms = 0;
    }
    return count;
}

static void doors_polled(struct inbox *inbox, const struct pollfd *polled)
{
    for (uint32_t i = 0; i < inbox->endpoint_count; i++) {
        if (inbox->endpoint[i].door == NULL)
            continue;
        push_polled(&inbox->endpoint[i], polled);
        polled += PUSH_POLLED;
    }
}

/* Until somebody wakes us, `timeout_ms` at most. Returns true when we are to end. */
static bool wait_for_work(struct gateway *gateway, int timeout_ms)
{
    struct inbox *inbox = &gateway->inbox;
    struct pollfd wait[2 + RIALTO_WORKERS_MAX + PUSH_POLLED * CONFIG_URLS_MAX] = { { .fd = inbox->wake_fd, .events = POLLIN },
                                                   { .fd = gateway->signal_fd, .events = POLLIN } };
    struct pollfd *doors = &wait[2 + gateway->link_count];
    for (uint32_t i = 0; i < gateway->link_count; i++)
        link_poll(&gateway->link[i], &wait[2 + i]);
    uint32_t door_count = doors_poll(inbox, doors, &timeout_ms);
    /* First say that we sleep, then look: whoever brings work later sees it said, and wakes us (inbox_wake). */
    atomic_store(&inbox->asleep, true);
    if (timeout_ms > 0 && !gateway->stalled)
        timeout_ms = until_next_message(inbox, timeout_ms);
    (void)poll(wait, 2 + gateway->link_count + door_count, timeout_ms);
    atomic_store(&inbox->asleep, false);
    for (uint32_t i = 0; i < gateway->link_count; i++)
        link_polled(&gateway->link[i], &wait[2 + i]);
    doors_polled(inbox, doors);
    if (wait[0].revents & POLLIN) {
        uint64_t count;
        ssize_t got = read(inbox->wake_fd, &count, sizeof count);
        (void)got;
    }
    if ((wait[1].revents & POLLIN) == 0)
        return false;
    struct signalfd_siginfo info;
    bool hangup = read(gateway->signal_fd, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo == SIGHUP;
    gateway->hangup = gateway->hangup || hangup;
    return !hangup;
}

/* ---- life ---------------------------------------------------------------------------------------------------------
 */

static bool all_said_hello(const struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (!gateway->link[i].hello_seen)
            return false;
    return true;
}

/* Has this worker told its numbers and ticks where we can read them: in the file of numbers, whose next one is behind all that
 * were ever given out, and in tables of this boot? */
static bool is_known(struct gateway *gateway, uint32_t worker)
{
    bool known = atomic_load(gateway->clock.seq_word) != 0;
    for (uint32_t p = worker; p < RIALTO_PARTITIONS && known; p += gateway->config->workers)
        known = atomic_load_explicit(&gateway->control->heartbeat[p].beat_mono_ms, memory_order_acquire) > 0;
    return known;
}

static int64_t hello_wait_ms(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (!gateway->link[i].hello_seen && !is_known(gateway, i))
            return HELLO_WAIT_MS;
    return KNOWN_WAIT_MS;
}

/* Workers know numbers and ticks that a crash may have taken from us. One that died with the last gateway, and takes its time, is not
 * to keep the others from going on. Returns true when we are to end already. */
static bool await_workers(struct gateway *gateway)
{
    int64_t began = mono_ms();
    bool end = false;
    while (!end && !all_said_hello(gateway)) {
        int64_t left = began + hello_wait_ms(gateway) - mono_ms();
        if (left <= 0)
            break;
        if (!links_step(gateway))
            end = wait_for_work(gateway, left < LINKS_LOOK_MS ? (int)left : LINKS_LOOK_MS);
    }
    return end;
}

static bool all_done(struct gateway *gateway)
{
    bool windows_empty = true;
    for (uint32_t i = 0; i < gateway->link_count; i++)
        windows_empty = windows_empty && gateway->link[i].count == 0;
    return windows_empty && !gateway->ingest.active && inbox_empty(&gateway->inbox) && answers_waiting(gateway) == 0 &&
           !inbox_replies_pending(&gateway->inbox);
}

/* NNG is stuck (service/nng_reaper.h). This process ends at the first moment at which nothing would be lost, and the supervisor starts
 * the next one. Without tearing NNG down, which would hang. */
static _Noreturn void end_stuck(struct gateway *gateway)
{
    int64_t until = mono_ms() + STUCK_WAIT_MS;
    inbox_drain(&gateway->inbox);
    inbox_unlimited(&gateway->inbox);
    do {
        bool more = round_once(gateway);
        if (wait_for_work(gateway, more ? 0 : 5) && until > mono_ms() + STOP_WAIT_MS)
            until = mono_ms() + STOP_WAIT_MS; /* we are to end, not to start again */
    } while (!all_done(gateway) && mono_ms() < until);
    bool all = all_done(gateway);
    inbox_close_local(&gateway->inbox);
    ingest_report(gateway, true);
    audit_teardown(gateway);
    log_line(LOG_INFO, "GATEWAY-STOPPING", "all_applied=%s", all ? "yes" : "no");
    _exit(EXIT_SUCCESS);
}

static void run(struct gateway *gateway)
{
    for (bool end = false; !end;) {
        bool more = round_once(gateway);
        if (gateway->hangup)
            change_hangup(gateway);
        gateway->hangup = false;
        end = wait_for_work(gateway, more ? 0 : wait_ms(gateway));
        if (atomic_load(&gateway->listeners.stuck))
            end_stuck(gateway);
    }
}

static void finish(struct gateway *gateway)
{
    int64_t until = mono_ms() + STOP_WAIT_MS;
    nng_reaper_limit(STOP_LIMIT_S, EXIT_SUCCESS); /* whoever closes something of NNG's may wait for ever */
    listeners_stop(&gateway->listeners); /* or it would take the closed ones for deaf */
    inbox_stop(&gateway->inbox);
    inbox_unlimited(&gateway->inbox); /* what is in is taken */
    do {
        bool more = round_once(gateway);
        (void)wait_for_work(gateway, more ? 0 : 5);
    } while (!all_done(gateway) && mono_ms() < until);
    bool all = all_done(gateway);
    inbox_close_local(&gateway->inbox);
    ingest_report(gateway, true);
    log_line(LOG_INFO, "GATEWAY-STOPPING", "all_applied=%s", all ? "yes" : "no");
}

static bool setup_signals(struct gateway *gateway)
{
    sigset_t set;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* before NNG starts its threads: they inherit it */
    gateway->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return gateway->signal_fd != -1;
}

static void setup_rules(struct gateway *gateway)
{
    const struct rialto_control *control = gateway->control;
    memcpy(gateway->rules.levels.geohash_lengths, control->geohash_lengths, sizeof control->geohash_lengths);
    memcpy(gateway->rules.levels.path_depths, control->path_depths, sizeof control->path_depths);
    gateway->rules.age_max_ms = (int64_t)gateway->config->signal_age_max_s * 1000;
    gateway->rules.sensitive = gateway->config->sensitive_categories;
    gateway->rules.future_max_ms = (int64_t)gateway->config->signal_future_max_s * 1000;
}

static bool setup(struct gateway *gateway, const struct config *config)
{
    enum rialto_status status = cache_open(config->cache_dir, &gateway->cache);
    if (status != RIALTO_OK) {
        log_line(LOG_ERROR, "CACHE-FAILED", "folder=%s reason=\"%s\"", config->cache_dir, rialto_status_text(status));
        return false;
    }
    gateway->control = cache_control(gateway->cache);
    (void)metrics_open(config->cache_dir, 1, "gateway"); /* without it we count in private */
    metric_set(METRIC_pid, (uint64_t)getpid());
    setup_rules(gateway);
    signal_scanner_init(&gateway->ingest.scanner, &gateway->rules);
    gateway->repeats = repeats_create(config->repeats_max, (int64_t)config->repeat_window_s * 1000);
    if (gateway->repeats == NULL || !audit_setup(gateway) || !signer_setup(gateway) ||
        !rejects_setup(gateway) || !recorder_setup(gateway) || !clock_setup(gateway) ||
        !inbox_setup(&gateway->inbox, config))
        return false;
    for (gateway->link_count = 0; gateway->link_count < config->workers; gateway->link_count++)
        if (!link_setup(&gateway->link[gateway->link_count], gateway, gateway->link_count))
            return false;
    return listeners_watch(&gateway->listeners);
}

/* In reverse order, but first whoever still has something to write; each step bears what was never set up. */
static void teardown(struct gateway *gateway)
{
    listeners_stop(&gateway->listeners);
    ingest_teardown(gateway);
    recorder_teardown(gateway);
    rejects_teardown(gateway);
    batch_teardown(gateway);
    for (uint32_t i = 0; i < gateway->link_count; i++)
        link_teardown(&gateway->link[i]);
    inbox_teardown(&gateway->inbox);
    tls_close(gateway->listeners.tls);
    signer_teardown(gateway);
    repeats_destroy(gateway->repeats);
    clock_teardown(gateway);
    answers_teardown(gateway);
    audit_teardown(gateway);
    rialto_close(gateway->prices);
    cache_close(gateway->cache);
    (void)close(gateway->signal_fd);
}

/* For each of push_urls the socket of its own; all of request_urls, and what HTTP brings, lead to one. */
static bool listen_all(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    char url[CONFIG_TEXT_MAX];
    uint32_t endpoint = 0;
    bool tls = strstr(config->push_urls, "tls+tcp://") != NULL || strstr(config->request_urls, "tls+tcp://") != NULL;
    if (tls && (gateway->listeners.tls = tls_open(config)) == NULL)
        return false;
    for (const char *at = config_url(config->push_urls, url); at != NULL; at = config_url(at, url)) {
        struct push_endpoint *push = &gateway->inbox.endpoint[endpoint++];
        if (push_is_own(url) ? !push_open(push, url, config->message_bytes_max)
                             : !listeners_open(&gateway->listeners, push->socket, url))
            return false;
    }
    for (const char *at = config_url(config->request_urls, url); at != NULL; at = config_url(at, url))
        if (!listeners_open(&gateway->listeners, gateway->inbox.reply, url))
            return false;
    sender_web_url(config, url);
    return strcmp(config->http_listen, "off") == 0 || listeners_open(&gateway->listeners, gateway->inbox.reply, url);
}

/* The clock may start, and producers may come. */
static bool open_doors(struct gateway *gateway)
{
    clock_start(gateway);
    if (!change_start(gateway))
        return false;
    zeros_write();
    inbox_start(&gateway->inbox);
    return listen_all(gateway);
}

int gateway_main(const struct config *config)
{
    static struct gateway gateway; /* large: not on the stack */
    gateway.config = config;
    gateway.clock.seq_fd = -1;
    gateway.inbox.wake_fd = -1;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    listeners_setup(&gateway.listeners);
    if (!setup_signals(&gateway))
        return EXIT_FAILURE;
    bool good = setup(&gateway, config);
    if (good && !await_workers(&gateway)) {
        good = open_doors(&gateway);
        if (good)
            run(&gateway);
        finish(&gateway);
    }
    teardown(&gateway);
    /* What hung in a deaf listener is lost inside NNG 1.5; a leak checker at exit would call it ours. */
    if (atomic_load(&gateway.listeners.reopened) > 0)
        _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
