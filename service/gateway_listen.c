/* gateway_listen.c - the sockets that others dial, and a thread that notices when one has gone deaf.
 *
 * NNG 1.5 stops taking pipes from an ipc listener for good after a peer that connects and closes at once: the broken
 * pipe of the greeting is taken for a closed listener. Connections are still greeted, but no pipe comes of them. So
 * each ipc listener is tried once a second: greet it as a protocol that does not exist. A listener that hears hangs up;
 * one that is deaf leaves us waiting, and is closed and opened anew, which costs its pipes and is counted.
 * A worker's listener is left alone while its worker is heard: nobody else is to come. A pipe alone is no sign of life:
 * when the peer dies at a wrong moment, NNG 1.5 keeps the broken pipe for good (service/nng_reaper.h). Then the main thread
 * is told, gives each silent worker a new socket, and the gateway starts again as soon as all is applied.
 *
 * Threads    open and stop: main. Everything in between: the watching thread alone. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/nng_reaper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROBE_INTERVAL_MS 1000
#define PROBE_TIMEOUT_MS  1000
#define SILENCE_MS        2000 /* a worker acknowledges ticks many times a second */
#define REAPER_MS         2000
#define REOPENS_MAX       100 /* NNG never gives back what hung in a deaf listener: memory, and some file descriptors */
#define IPC_PREFIX        "ipc://"

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

bool listeners_open(struct listeners *listeners, nng_socket socket, const char *url, struct link *link)
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
                                   .link = link,
                                   .permissions = link != NULL || is_own(url) ? 0600 : 0660 };
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
    log_line(link != NULL ? LOG_DEBUG : LOG_INFO, "LISTENING", "url=%s", url);
    return true;
}

void listeners_renew(struct listeners *listeners, struct link *link)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->listener[i];
        if (listener->link != link)
            continue;
        (void)unlink(listener->path); /* the old one keeps its descriptor, and nobody finds it any more */
        listener->socket = link->socket;
        int error = start(listener);
        if (error != 0)
            log_line(LOG_ERROR, "LISTEN-FAILED", "url=%s reason=\"%s\"", listener->url, nng_strerror(error));
    }
}

/* ---- watching ------------------------------------------------------------------------------------------------- */

static bool wait_for(int fd, short events, int64_t until_ms)
{
    int64_t left = until_ms - mono_ms();
    struct pollfd wait = { .fd = fd, .events = events };
    return left > 0 && poll(&wait, 1, (int)left) == 1;
}

/* Read until the other side hangs up. False: it does not, in time. */
static bool hangs_up(int fd, int64_t until_ms)
{
    char bytes[64];
    while (wait_for(fd, POLLIN, until_ms)) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0 || (got == -1 && errno != EINTR && errno != EAGAIN))
            return true;
    }
    return false;
}

bool listener_deaf(const char *path, int timeout_ms)
{
    static const char GREETING[8] = { 0, 'S', 'P', 0, '\xFF', '\xFF', 0, 0 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return false; /* our own trouble, not the listener's */
    bool deaf = connect(fd, (struct sockaddr *)&address, sizeof address) == -1 ||
                send(fd, GREETING, sizeof GREETING, MSG_NOSIGNAL) != (ssize_t)sizeof GREETING ||
                !hangs_up(fd, mono_ms() + timeout_ms);
    (void)close(fd);
    return deaf;
}

static bool link_is_up(struct link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    bool up = link->pipe_live != 0 || mono_ms() - link->changed_ms < PROBE_INTERVAL_MS;
    (void)pthread_mutex_unlock(&link->lock);
    return up;
}

bool link_is_silent(struct link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    int64_t now = mono_ms();
    bool silent = link->pipe_live != 0 && now - link->heard_ms > SILENCE_MS && now - link->changed_ms > SILENCE_MS;
    (void)pthread_mutex_unlock(&link->lock);
    return silent;
}

static bool reaper_stuck(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        struct link *link = listeners->listener[i].link;
        if (link == NULL || !link_is_silent(link))
            continue;
        if (!nng_reaper_stuck(REAPER_MS))
            return false; /* the worker hangs, not we */
        log_line(LOG_ERROR, "NNG-STUCK",
                 "worker=%u what=\"closed pipes are not taken away any more: gateway starts again\"", link->index);
        atomic_store(&listeners->stuck, true);
        inbox_wake(&link->gateway->inbox);
        return true;
    }
    return false;
}

static void look_at(struct listeners *listeners, struct listener *listener)
{
    if (listener->path[0] == '\0' || (listener->link != NULL && link_is_up(listener->link)))
        return;
    if (!listener_deaf(listener->path, PROBE_TIMEOUT_MS))
        return;
    (void)nng_listener_close(listener->id);
    int error = start(listener); /* should it fail, the next round finds it deaf again */
    metric_add(METRIC_listener_reopened_total, 1);
    listeners->reopened++;
    log_line(LOG_WARNING, "LISTENER-REOPENED", "url=%s reason=\"%s\"", listener->url,
             error == 0 ? "it no longer answered" : nng_strerror(error));
}

static void *watch(void *user)
{
    struct listeners *listeners = user;
    struct pollfd wait = { .fd = listeners->stop_fd, .events = POLLIN };
    while (listeners->reopened < REOPENS_MAX && poll(&wait, 1, PROBE_INTERVAL_MS) == 0) {
        if (reaper_stuck(listeners))
            return NULL; /* what is left is the main thread's */
        for (uint32_t i = 0; i < listeners->count; i++)
            look_at(listeners, &listeners->listener[i]);
    }
    if (listeners->reopened >= REOPENS_MAX) {
        log_line(LOG_ERROR, "LISTENERS-WORN-OUT", "reopened=%u what=\"gateway starts again\"", listeners->reopened);
        (void)kill(getpid(), SIGTERM); /* a clean end; the supervisor starts the next one */
    }
    return NULL;
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
