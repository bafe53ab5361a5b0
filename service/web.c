/* web.c - the role `web`: libmicrohttpd set up, exchanges routed, slow clients shown the door, and a quiet end. */
#include "service/web.h"

#include "service/clock.h"
#include "service/log.h"
#include "service/nng_reaper.h"
#include "service/roles.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES_MAX   16384u
#define WATCH_MS         250
#define DRAIN_MS         3000
#define SPARE_PART       8u  /* of http_connections_max is kept free */
#define YOUNG_MS         100 /* nobody is shown out sooner to make room */
#define ROOM_A_WATCH     64u /* how many are, at most, each time the main thread looks */
#define CLOSE_LIMIT_S    2
#define HTTP_TOO_LARGE   413 /* its name in libmicrohttpd changed */
/* TLS 1.2 and 1.3, no others; GnuTLS's NORMAL has no weak cipher in it. */
#define TLS_PRIORITIES   "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

const struct route web_routes[] = {
    { "GET", "/v1/quotes/*", ROLE_NONE, web_quote_one },
    { "POST", "/v1/quotes", ROLE_NONE, web_quote_page },
    { "GET", "/v1/prices", ROLE_NONE, web_prices },
    { "POST", "/v1/signals", ROLE_NONE, web_signals },
    { "POST", "/v1/locks", ROLE_SHOP, web_lock },
    { "GET", "/v1/explain/*", ROLE_SHOP, web_explain },
    { "GET", "/v1/journal/*", ROLE_SHOP, web_journal },
    { "GET", "/v1/status", ROLE_SHOP, web_status },
    { "PUT", "/v1/customers/*/consent", ROLE_SHOP, web_customer_consent },
    { "GET", "/v1/customers/*", ROLE_SHOP, web_customer_export },
    { "DELETE", "/v1/customers/*", ROLE_SHOP, web_customer_forget },
    { "GET", "/v1/models", ROLE_ADMIN, web_models_list },
    { "POST", "/v1/models/check", ROLE_ADMIN, web_models_check },
    { "POST", "/v1/models/diff", ROLE_ADMIN, web_models_diff },
    { "POST", "/v1/models/apply", ROLE_ADMIN, web_models_apply },
    { "POST", "/v1/models/rollback", ROLE_ADMIN, web_models_rollback },
    { "POST", "/v1/models/pin", ROLE_ADMIN, web_models_pin },
    { "GET", "/v1/models/*", ROLE_ADMIN, web_models_show },
    { "POST", "/v1/freeze", ROLE_ADMIN, web_freeze },
    { "GET", "/livez", ROLE_NONE, web_livez },
    { "GET", "/readyz", ROLE_NONE, web_readyz },
    { "GET", "/metrics", ROLE_NONE, web_metrics },
    { "GET", "/openapi.json", ROLE_NONE, web_openapi },
    { "GET", "/console", ROLE_NONE, web_console_moved },
    { "GET", "/console/", ROLE_NONE, web_console },
    { "GET", "/console/*", ROLE_NONE, web_console },
    { NULL, NULL, ROLE_NONE, NULL },
};

/* ---- one exchange --------------------------------------------------------------------------------------------------------- */

static bool id_valid(const char *id)
{
    size_t length = id == NULL ? 0 : strnlen(id, WEB_ID_MAX);
    return length > 0 && length < WEB_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static void exchange_name(struct exchange *exchange)
{
    const char *given = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "X-Request-Id");
    uint64_t number = atomic_fetch_add_explicit(&exchange->web->request_number, 1, memory_order_relaxed);
    if (id_valid(given))
        (void)snprintf(exchange->id, sizeof exchange->id, "%s", given);
    else
        (void)snprintf(exchange->id, sizeof exchange->id, "%08llx-%llx", (unsigned long long)unix_ms(),
                       (unsigned long long)number);
}

/* *ret_tail and *ret_bytes: what stands for the star. */
static bool path_fits(const struct route *route, const char *path, const char **ret_tail, size_t *ret_bytes)
{
    size_t length = strlen(path), head = strcspn(route->path, "*");
    *ret_bytes = 0;
    if (route->path[head] == '\0')
        return strcmp(path, route->path) == 0;
    const char *end = route->path + head + 1;
    size_t foot = strlen(end);
    *ret_tail = path + head;
    *ret_bytes = length - head - foot;
    return length > head + foot && strncmp(path, route->path, head) == 0 && strcmp(path + length - foot, end) == 0;
}

/* The row for this path and method; `allow` when the path is there with others. HEAD is answered as GET. The first row whose path fits
 * says which path it is: /v1/models/check is no model. False: out of memory. */
static bool exchange_route(struct exchange *exchange, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method, *tail = NULL, *found = NULL;
    size_t bytes = 0;
    for (const struct route *route = web_routes; route->method != NULL; route++) {
        if (found != NULL ? strcmp(route->path, found) != 0 : !path_fits(route, path, &tail, &bytes))
            continue;
        found = route->path;
        size_t used = strlen(exchange->allow);
        (void)snprintf(exchange->allow + used, sizeof exchange->allow - used, "%s%s", used > 0 ? ", " : "", route->method);
        if (strcmp(route->method, wanted) == 0)
            exchange->route = route;
    }
    if (exchange->route != NULL && bytes > 0)
        exchange->tail = strndup(tail, bytes);
    return exchange->route == NULL || bytes == 0 || exchange->tail != NULL;
}

static enum MHD_Result answer(struct exchange *exchange)
{
    enum MHD_Result refused;
    int forwarded = atomic_load(&exchange->forwarded);
    if (forwarded != FORWARD_NOT) /* suspended, or woken by the gateway's answer */
        return forwarded == FORWARD_UNDER_WAY ? MHD_YES : exchange->finish(exchange);
    if (exchange->is_misaddressed)
        return problem(
            exchange, MHD_HTTP_BAD_REQUEST, "ambiguous-target", "The address can be read in two ways",
            "a path and one Host, or http://HOST/PATH with a plain name or address (https:// over TLS alone)");
    if (exchange->is_ambiguous)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "ambiguous-length", "The body has two ends",
                       "one Content-Length, or Transfer-Encoding: chunked, and not both");
    if (exchange->route == NULL && exchange->allow[0] != '\0')
        return problem(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "method", "Not with this method", "see /openapi.json");
    if (exchange->route == NULL)
        return problem(exchange, MHD_HTTP_NOT_FOUND, "not-found", "No such place", "see /openapi.json");
    if (exchange->too_large)
        return problem(exchange, HTTP_TOO_LARGE, "too-large", "The body is too large",
                       "at most %u bytes (message_bytes_max)", exchange->web->config->message_bytes_max);
    return exchange_may(exchange, exchange->route->role, &refused) ? exchange->route->handler(exchange) : refused;
}

static void exchange_free(struct exchange *exchange)
{
    (void)atomic_fetch_sub(&exchange->web->under_way, 1);
    models_stage_drop(exchange);
    if (exchange->job != NULL)
        exchange->job_free(exchange->job);
    text_free(&exchange->body);
    text_free(&exchange->answer);
    free(exchange->tail);
    free(exchange);
}

static struct exchange *exchange_begin(struct web *web, struct MHD_Connection *connection, const char *method,
                                       const char *path)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->web = web;
    exchange->connection = connection;
    (void)atomic_fetch_add(&web->under_way, 1);
    exchange_name(exchange);
    if (exchange_route(exchange, method, path))
        return exchange;
    exchange_free(exchange);
    return NULL;
}

/* %00 would end a text in its middle: it becomes a character that no id of ours has. */
static size_t unescape(void *user, struct MHD_Connection *connection, char *text)
{
    (void)user;
    (void)connection;
    size_t length = MHD_http_unescape(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = '\x1F';
    return length;
}

static unsigned long long announced_bytes(struct MHD_Connection *connection)
{
    const char *bytes = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return bytes == NULL ? 0 : strtoull(bytes, NULL, 10);
}

struct framing {
    uint32_t ends, hosts;
    bool is_odd;
};

static enum MHD_Result framing_look(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = user;
    bool is_coding = strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    (void)kind;
    framing->ends += is_coding || strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    framing->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    framing->is_odd = framing->is_odd || (is_coding && (value == NULL || strcasecmp(value, "chunked") != 0));
    return MHD_YES;
}

/* Does the head say in two ways, or in one that is not ours, where the body ends? libmicrohttpd picks one. A proxy before the door may pick
 * the other, and then what it takes for a body is a request to us, behind its back (RFC 9112, 6.3). Nor may it name two hosts (3.2). */
static void framing_judge(struct exchange *exchange)
{
    struct framing framing = { 0 };
    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, framing_look, &framing);
    exchange->is_ambiguous = framing.ends > 1 || framing.is_odd;
    exchange->is_misaddressed = exchange->is_misaddressed || framing.hosts > 1;
}

/* The present request's, as it was sent: web_target_head(). */
static int target_head(struct MHD_Connection *connection);

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *data, size_t *bytes, void **at)
{
    struct exchange *exchange = *at;
    (void)version;
    if (exchange == NULL) { /* the head is read; a body may follow */
        int head = target_head(connection); /* without escapes: it is as long now as it was sent */
        const char *place = head > 0 ? path + head : path;
        *at = exchange = exchange_begin(user, connection, method, place[0] == '\0' ? "/" : place);
        if (exchange == NULL)
            return MHD_NO;
        exchange->is_misaddressed = head == WEB_TARGET_BAD;
        exchange->too_large = announced_bytes(connection) > exchange->web->config->message_bytes_max;
        framing_judge(exchange);
        bool is_refused = exchange->too_large || exchange->is_ambiguous || exchange->is_misaddressed;
        return is_refused ? answer(exchange) : MHD_YES; /* before any of it is sent */
    }
    if (*bytes == 0)
        return answer(exchange);
    exchange->too_large =
        exchange->too_large || exchange->body.used + *bytes > exchange->web->config->message_bytes_max;
    if (!exchange->too_large && exchange->route != NULL)
        text_append(&exchange->body, data, *bytes);
    *bytes = 0;
    return exchange->body.failed ? MHD_NO : MHD_YES;
}

/* ---- slow clients ------------------------------------------------------------------------------------------------------------ */

/* libmicrohttpd knows silence, not slowness: a client that sends a byte a second would hold its connection for ever. */
struct guest {
    int fd;
    uint32_t certificate;     /* web.certificate when it came */
    int target_head;          /* of its present request: web_target_head() */
    _Atomic int64_t since_ms; /* when the connection, or its present request, began */
    struct guest *next, **link;
};

static pthread_mutex_t guests_lock = PTHREAD_MUTEX_INITIALIZER;
static struct guest *guests;
static uint32_t guest_count;

static void show_out(struct guest *guest)
{
    metric_add(METRIC_http_slow_total, 1);
    atomic_store(&guest->since_ms, INT64_MAX); /* once */
    (void)shutdown(guest->fd, SHUT_RDWR);
}

/* How many are there beyond those that leave some free. */
static uint32_t guests_over(const struct web *web)
{
    uint32_t most = web->config->http_connections_max, calm = most - most / SPARE_PART;
    return guest_count > calm ? guest_count - calm : 0;
}

/* Whoever holds connections and says nothing must not keep others out until his time is up: when the last eighth of them is taken, those
 * go that have been silent, or on their way with a request, for longest. False: no more have to, or those that are there are answered, or
 * came just now. The lock is held. */
static bool guests_make_room(const struct web *web)
{
    struct guest *longest = NULL;
    int64_t since_ms = mono_ms() - YOUNG_MS;
    if (guests_over(web) == 0)
        return false;
    for (struct guest *guest = guests; guest != NULL; guest = guest->next) {
        int64_t its_ms = atomic_load(&guest->since_ms);
        if (its_ms > since_ms)
            continue;
        since_ms = its_ms;
        longest = guest;
    }
    if (longest != NULL)
        show_out(longest);
    return longest != NULL;
}

static void guest_came(void *user, struct MHD_Connection *connection, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    const struct web *web = user;
    (void)pthread_mutex_lock(&guests_lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct guest *guest = calloc(1, sizeof *guest);
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = guest;
        if (guest != NULL && info != NULL) {
            guest->fd = info->connect_fd;
            guest->certificate = atomic_load(&web->certificate);
            atomic_store(&guest->since_ms, mono_ms());
            guest->next = guests;
            guest->link = &guests;
            if (guests != NULL)
                guests->link = &guest->next;
            guests = guest;
            guest_count++;
            (void)guests_make_room(web);
        }
    } else if (*socket_context != NULL) {
        struct guest *guest = *socket_context;
        if (guest->link != NULL) {
            guest_count--;
            *guest->link = guest->next;
            if (guest->next != NULL)
                guest->next->link = guest->link;
        }
        free(guest);
        *socket_context = NULL;
    }
    (void)pthread_mutex_unlock(&guests_lock);
}

static struct guest *guest_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int target_head(struct MHD_Connection *connection)
{
    const struct guest *guest = guest_of(connection);
    return guest != NULL ? guest->target_head : 0;
}

/* libmicrohttpd has a target to show as it was sent at one moment only: before its escapes are undone, and its exchange begins. */
static void *target_look(void *user, const char *target, struct MHD_Connection *connection)
{
    const struct web *web = user;
    struct guest *guest = guest_of(connection);
    if (guest != NULL)
        guest->target_head = web_target_head(target, web->config->http_certificate_file[0] != '\0');
    return NULL; /* no exchange yet: handle() */
}

bool exchange_is_leaving(const struct exchange *exchange)
{
    const struct guest *guest = guest_of(exchange->connection);
    return atomic_load(&exchange->web->draining) || exchange->is_ambiguous || exchange->is_misaddressed ||
           (guest != NULL && guest->certificate != atomic_load(&exchange->web->certificate));
}

static void guest_since(struct MHD_Connection *connection, int64_t since_ms)
{
    struct guest *guest = guest_of(connection);
    if (guest != NULL)
        atomic_store(&guest->since_ms, since_ms);
}

void exchange_progress(struct MHD_Connection *connection)
{
    guest_since(connection, mono_ms());
}

void exchange_waits(struct MHD_Connection *connection)
{
    guest_since(connection, INT64_MAX);
}

static void exchange_end(void *user, struct MHD_Connection *connection, void **at, enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *at;
    (void)user;
    (void)code;
    exchange_progress(connection); /* the next request has its own time */
    if (exchange == NULL)
        return;
    exchange_free(exchange);
    *at = NULL;
}

static void guests_watch(const struct web *web)
{
    int64_t limit = mono_ms() - (int64_t)web->config->http_request_timeout_ms;
    (void)pthread_mutex_lock(&guests_lock);
    for (struct guest *guest = guests; guest != NULL; guest = guest->next) {
        if (atomic_load(&guest->since_ms) > limit)
            continue;
        show_out(guest);
    }
    uint32_t over = guests_over(web); /* who was shown out counts until libmicrohttpd has closed it */
    for (over = over < ROOM_A_WATCH ? over : ROOM_A_WATCH; over > 0 && guests_make_room(web); over--)
        ;
    (void)pthread_mutex_unlock(&guests_lock);
}

/* ---- the daemon ---------------------------------------------------------------------------------------------------------------- */

static void daemon_said(void *user, const char *format, va_list arguments)
{
    char text[256];
    (void)user;
    (void)vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "HTTP", "%s", text);
}

struct MHD_Daemon *web_daemon_start(struct web *web, int listener, const struct certificate *certificate)
{
    const struct config *config = web->config;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, NULL },
                                    { MHD_OPTION_HTTPS_MEM_KEY, 0, NULL },
                                    { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
                                    { MHD_OPTION_END, 0, NULL } };
    if (certificate != NULL) {
        flags |= MHD_USE_TLS;
        tls[0].ptr_value = certificate->chain;
        tls[1].ptr_value = certificate->key;
    } else {
        tls[0].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, web, MHD_OPTION_EXTERNAL_LOGGER, daemon_said, NULL, MHD_OPTION_LISTEN_SOCKET,
        listener, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT, config->http_connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (config->http_request_timeout_ms + 999) / 1000,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(2 * HEAD_BYTES_MAX), MHD_OPTION_NOTIFY_CONNECTION, guest_came, web,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_end, web, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, target_look, web, MHD_OPTION_ARRAY, tls,
        config->http_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, config->http_threads, MHD_OPTION_END);
}

/* No new connections, answers to those that are under way, then the end. */
static void daemon_drain(struct web *web)
{
    atomic_store(&web->draining, true);
    door_shut(web);
    int64_t limit = mono_ms() + DRAIN_MS;
    while (atomic_load(&web->under_way) > 0 && mono_ms() < limit)
        (void)usleep(20000);
}

/* ---- main ----------------------------------------------------------------------------------------------------------------------- */

static bool setup(struct web *web, sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, signals, NULL); /* before any thread: they inherit it */
    (void)metrics_open(web->config->cache_dir, METRICS_WEB, "web");
    web->metrics = metrics_read(web->config->cache_dir);
    (void)pthread_rwlock_init(&web->prices_lock, NULL);
    (void)prices_replaced(web); /* without tables yet, quotes say so */
    web->forwarder = forwarder_open(web->config);
    web->historian = historian_open(web);
    return web->forwarder != NULL && web->historian != NULL && door_open(web);
}

int web_main(const struct config *config)
{
    static struct web web;
    sigset_t signals;
    web.config = config;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    bool good = setup(&web, &signals);
    if (good) {
        log_line(LOG_INFO, "WEB-LISTENING", "http_listen=%s threads=%u tls=%s", config->http_listen,
                 config->http_threads, config->http_certificate_file[0] != '\0' ? "yes" : "no");
        struct timespec step = { .tv_nsec = WATCH_MS * 1000000 };
        while (sigtimedwait(&signals, NULL, &step) == -1) {
            guests_watch(&web);
            door_watch(&web);
            if (!forwarder_look(web.forwarder)) {
                log_line(LOG_ERROR, "NNG-STUCK", "what=\"closed pipes are not taken away any more: web starts again\"");
                break;
            }
        }
        daemon_drain(&web);
        log_line(LOG_INFO, "WEB-STOPPING", "under_way=%u", atomic_load(&web.under_way));
    }
    nng_reaper_limit(CLOSE_LIMIT_S, good ? EXIT_SUCCESS : EXIT_FAILURE);
    forwarder_close(web.forwarder); /* answers resume connections: before the daemon's end */
    historian_close(web.historian);
    door_stop(&web);
    rialto_close(web.prices);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
