/* gateway_listen.c - the sockets that others dial, and a thread that notices when one has gone deaf.
 *
 * NNG 1.5 stops taking pipes from an ipc listener for good after a peer that connects and closes at once: the broken
 * pipe of the greeting is taken for a closed listener. Connections are still greeted, but no pipe comes of them. So
 * each ipc listener is tried once a second (service/probe.h). A listener that hears hangs up;
 * one that is deaf leaves us waiting, and is closed and opened anew, which costs its pipes and is counted.
 * All are tried at once: one that is deaf delays no other. A deaf one may also be a sign that NNG is stuck
 * (service/nng_reaper.h): then the gateway starts again as soon as all is applied.
 *
 * Threads    the watching thread, and main where it opens, renews and stops: one at a time, by `lock`. Nobody waits for NNG
 *            while holding it. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/nng_reaper.h"
#include "service/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_MS     1000 /* from one look at a listener to the next */
#define PATIENCE_MS 1000 /* with one that does not hang up */
#define WAIT_MS     200
#define REAPER_MS   2000
#define REOPENS_MAX 100 /* NNG never gives back what hung in a deaf listener: memory, and some file descriptors */
#define IPC_PREFIX  "ipc://"

/* ---- opening ------------------------------------------------------------------------------------------------ */

static int start(struct listener *listener)
{
    int error = nng_listener_create(&listener->id, listener->socket, listener->url);
    if (error != 0)
        return error;
    if (listener->path[0] != '\0')
        error = nng_listener_set_int(listener->id, NNG_OPT_IPC_PERMISSIONS, listener->permissions);
    if (listener->tls != NULL)
        error = nng_listener_set_ptr(listener->id, NNG_OPT_TLS_CONFIG, listener->tls);
    if (error == 0)
        error = nng_listener_start(listener->id, 0);
    if (error != 0)
        (void)nng_listener_close(listener->id);
    return error;
}

static bool is_own(const char *url)
{
    size_t bytes = strlen(url), tail = strlen("/" WEB_DOOR);
    return bytes > tail && strcmp(url + bytes - tail, "/" WEB_DOOR) == 0;
}

static bool listeners_add(struct listeners *listeners, nng_socket socket, const char *url)
{
    if (listeners->count == LISTENERS_MAX || strlen(url) >= sizeof listeners->listener[0].url) {
        log_line(LOG_ERROR, "LISTEN-FAILED", "url=%s reason=\"too many, or too long\"", url);
        return false;
    }
    if (tls_is_url(url) && listeners->tls == NULL) {
        log_line(LOG_ERROR, "LISTEN-FAILED", "url=%s reason=\"no certificate\"", url);
        return false;
    }
    struct listener *listener = &listeners->listener[listeners->count];
    *listener = (struct listener){ .socket = socket,
                                   .tls = tls_is_url(url) ? listeners->tls : NULL,
                                   .probe_fd = -1,
                                   .permissions = is_own(url) ? 0600 : 0660 };
    (void)snprintf(listener->url, sizeof listener->url, "%s", url);
    int length = 0;
    if (strncmp(url, IPC_PREFIX, strlen(IPC_PREFIX)) == 0)
        length = snprintf(listener->path, sizeof listener->path, "%s", url + strlen(IPC_PREFIX));
    int error = (size_t)length < sizeof listener->path ? start(listener) : NNG_EADDRINVAL;
    if (error != 0) {
        log_line(LOG_ERROR, "LISTEN-FAILED", "url=%s reason=\"%s\"", url, nng_strerror(error));
        return false;
    }
    listeners->count++;
    log_line(LOG_INFO, "LISTENING", "url=%s", url);
    return true;
}

bool listeners_open(struct listeners *listeners, nng_socket socket, const char *url)
{
    (void)pthread_mutex_lock(&listeners->lock);
    bool good = listeners_add(listeners, socket, url);
    (void)pthread_mutex_unlock(&listeners->lock);
    return good;
}

static void reopen(struct listeners *listeners, struct listener *listener)
{
    (void)nng_listener_close(listener->id); /* takes the file away, too */
    int error = start(listener);            /* should it fail, a later look finds it deaf again */
    metric_add(METRIC_listener_reopened_total, 1);
    atomic_fetch_add(&listeners->reopened, 1);
    log_line(LOG_WARNING, "LISTENER-REOPENED", "url=%s reason=\"%s\"", listener->url,
             error == 0 ? "it no longer answered" : nng_strerror(error));
}

/* ---- is it deaf? ------------------------------------------------------------------------------------------------ */

static void probe_end(struct listener *listener)
{
    if (listener->probe_fd >= 0)
        (void)close(listener->probe_fd);
    listener->probe_fd = -1;
}

static void hears(struct listener *listener, int64_t now)
{
    probe_end(listener);
    listener->look_ms = now + LOOK_MS;
}

static void is_deaf(struct listeners *listeners, struct listener *listener, int64_t now)
{
    probe_end(listener);
    listener->look_ms = now + PATIENCE_MS;
    if (atomic_load(&listeners->stuck) || !nng_reaper_stuck(REAPER_MS)) {
        reopen(listeners, listener);
        return;
    }
    log_line(LOG_ERROR, "NNG-STUCK", "url=%s what=\"closed pipes are not taken away any more: gateway starts again\"",
             listener->url);
    atomic_store(&listeners->stuck, true); /* the main thread's next round sees it */
}

static void look_at(struct listeners *listeners, struct listener *listener, int64_t now)
{
    if (listener->path[0] == '\0' || (listener->probe_fd == -1 && now < listener->look_ms))
        return;
    if (listener->probe_fd == -1) {
        listener->probe_fd = probe_begin(listener->path);
        listener->probe_until_ms = now + PATIENCE_MS;
        if (listener->probe_fd == PROBE_REFUSED)
            is_deaf(listeners, listener, now);
        else if (listener->probe_fd == PROBE_FAILED)
            hears(listener, now);
    } else if (probe_answered(listener->probe_fd)) {
        hears(listener, now);
    } else if (now >= listener->probe_until_ms) {
        is_deaf(listeners, listener, now);
    }
}

/* ---- watching ------------------------------------------------------------------------------------------------------ */

/* Until a probe is answered or it is time for the next look. False: we are to stop. */
static bool wait_for_news(struct listeners *listeners)
{
    struct pollfd wait[1 + LISTENERS_MAX] = { { .fd = listeners->stop_fd, .events = POLLIN } };
    nfds_t count = 1;
    for (uint32_t i = 0; i < listeners->count; i++)
        if (listeners->listener[i].probe_fd >= 0)
            wait[count++] = (struct pollfd){ .fd = listeners->listener[i].probe_fd, .events = POLLIN };
    (void)pthread_mutex_unlock(&listeners->lock);
    (void)poll(wait, count, WAIT_MS);
    (void)pthread_mutex_lock(&listeners->lock);
    return wait[0].revents == 0;
}

static void *watch(void *user)
{
    struct listeners *listeners = user;
    (void)pthread_mutex_lock(&listeners->lock);
    while (atomic_load(&listeners->reopened) < REOPENS_MAX && wait_for_news(listeners)) {
        int64_t now = mono_ms();
        for (uint32_t i = 0; i < listeners->count; i++)
            look_at(listeners, &listeners->listener[i], now);
    }
    for (uint32_t i = 0; i < listeners->count; i++)
        probe_end(&listeners->listener[i]);
    (void)pthread_mutex_unlock(&listeners->lock);
    uint32_t reopened = atomic_load(&listeners->reopened);
    if (reopened >= REOPENS_MAX) {
        log_line(LOG_ERROR, "LISTENERS-WORN-OUT", "reopened=%u what=\"gateway starts again\"", reopened);
        (void)kill(getpid(), SIGTERM); /* a clean end; the supervisor starts the next one */
    }
    return NULL;
}

void listeners_setup(struct listeners *listeners)
{
    (void)pthread_mutex_init(&listeners->lock, NULL);
    listeners->stop_fd = -1;
}

bool listeners_watch(struct listeners *listeners)
{
    listeners->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (listeners->stop_fd == -1)
        return false;
    listeners->thread_started = pthread_create(&listeners->thread, NULL, watch, listeners) == 0;
    return listeners->thread_started;
}

void listeners_stop(struct listeners *listeners)
{
    if (!listeners->thread_started)
        return;
    uint64_t one = 1;
    ssize_t written = write(listeners->stop_fd, &one, sizeof one);
    (void)written; /* the first write to an empty counter cannot fail */
    (void)pthread_join(listeners->thread, NULL);
    (void)close(listeners->stop_fd);
    listeners->thread_started = false;
}
