/* exchange.c - what a browser asks of the shop: pages, quotes, consents, and why. */
#include "web/shop/shop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE_JSON    "application/json"
#define ASK_PATH_MAX 1024u
#define ID_BYTES     (3u * RIALTO_ID_MAX)

struct exchange {
    struct shop *shop;
    struct MHD_Connection *connection;
    const char *method, *path;
    char body[SHOP_BODY_MAX + 1];
    size_t body_bytes;
    bool too_large;
};

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

/* What the page may do is little: its own files, its own questions, no frame around it. */
static const char *const guards[][2] = {
    { "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                 "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
};

static enum MHD_Result send_response(struct exchange *exchange, unsigned status, const char *type,
                                     struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO; /* out of memory: the connection is closed */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++)
        (void)MHD_add_response_header(response, guards[i][0], guards[i][1]);
    enum MHD_Result result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond(struct exchange *exchange, unsigned status, const char *type, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL)
        return MHD_NO;
    return send_response(exchange, status, type,
                         MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE));
}

/* RFC 9457. */
static enum MHD_Result problem(struct exchange *exchange, unsigned status, const char *title)
{
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(json, "type", "about:blank");
    (void)cJSON_AddStringToObject(json, "title", title);
    (void)cJSON_AddNumberToObject(json, "status", status);
    return respond(exchange, status, "application/problem+json", json);
}

/* What the service answered, as it is; or that it did not. Frees it. */
static enum MHD_Result pass_on(struct exchange *exchange, struct shop_answer answer)
{
    if (answer.status == 0 || answer.json == NULL) {
        cJSON_Delete(answer.json);
        return problem(exchange, MHD_HTTP_BAD_GATEWAY, "The pricing service does not answer now");
    }
    return respond(exchange, answer.status, answer.status < 400 ? TYPE_JSON : "application/problem+json", answer.json);
}

static const char *query(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */

static enum MHD_Result tell_customers(struct exchange *exchange, const char *tail)
{
    (void)tail;
    cJSON *json = cJSON_CreateObject();
    (void)cJSON_AddItemToObject(json, "customers", shop_customers_public(exchange->shop));
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, json);
}

/* The page chooses among the shop's customers; nobody else's price is told here. *ret NULL = nobody in particular. */
static bool may_see(const struct exchange *exchange, const char **ret)
{
    *ret = query(exchange, "customer");
    if (*ret != NULL && (*ret)[0] == '\0')
        *ret = NULL;
    return *ret == NULL || shop_customer(exchange->shop, *ret) != NULL;
}

static enum MHD_Result tell_page(struct exchange *exchange, const char *tail)
{
    (void)tail;
    enum rialto_status status;
    struct shop_view view = { .zone = query(exchange, "zone"),
                              .department = query(exchange, "department"),
                              .find = query(exchange, "find") };
    const char *from = query(exchange, "from");
    view.from = from != NULL ? (uint32_t)strtoul(from, NULL, 10) : 0;
    if (!may_see(exchange, &view.customer))
        return problem(exchange, MHD_HTTP_NOT_FOUND, "No customer of this shop");
    cJSON *page = shop_page(exchange->shop, &view, &status);
    if (page == NULL && status == RIALTO_BAD_INPUT)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "A zone or an id is not one");
    if (page == NULL)
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, rialto_status_text(status));
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, page);
}

static enum MHD_Result tell_consent(struct exchange *exchange, const char *customer)
{
    char path[ASK_PATH_MAX];
    size_t used = 0;
    if (shop_customer(exchange->shop, customer) == NULL ||
        !shop_path(sizeof path, path, &used, "/v1/customers/", customer))
        return problem(exchange, MHD_HTTP_NOT_FOUND, "No customer of this shop");
    struct shop_answer answer = shop_ask(exchange->shop, "GET", path, NULL, true);
    bool is_told = answer.json != NULL && (answer.status == MHD_HTTP_OK || answer.status == MHD_HTTP_NOT_FOUND);
    if (!is_told) /* not found: nothing is kept, nothing was permitted */
        return pass_on(exchange, answer);
    cJSON *json = shop_consent_of(answer.json);
    cJSON_Delete(answer.json);
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, json);
}

/* A page of somebody else cannot send this media type without being asked for permission first, which it does not get. */
static bool is_json(const struct exchange *exchange)
{
    const char *type = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    return type != NULL && strncasecmp(type, TYPE_JSON, strlen(TYPE_JSON)) == 0;
}

/* What browsers send that are told to (W3C, Global Privacy Control). */
static bool has_gpc(const struct exchange *exchange)
{
    const char *value = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Sec-GPC");
    return value != NULL && strcmp(value, "1") == 0;
}

static enum MHD_Result take_consent(struct exchange *exchange, const char *id)
{
    const cJSON *customer = shop_customer(exchange->shop, id);
    if (customer == NULL)
        return problem(exchange, MHD_HTTP_NOT_FOUND, "No customer of this shop");
    if (!is_json(exchange))
        return problem(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "A consent is JSON");
    cJSON *consent = cJSON_ParseWithLength(exchange->body, exchange->body_bytes);
    cJSON *signals = shop_consent_signals(customer, consent, has_gpc(exchange));
    cJSON_Delete(consent);
    if (signals == NULL)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "A consent is true or false for each kind of data");
    char *text = cJSON_PrintUnformatted(signals);
    cJSON_Delete(signals);
    if (text == NULL)
        return MHD_NO;
    struct shop_answer answer = shop_ask(exchange->shop, "POST", "/v1/signals", text, true);
    free(text);
    return pass_on(exchange, answer);
}

static enum MHD_Result tell_why(struct exchange *exchange, const char *sku)
{
    char path[ASK_PATH_MAX];
    size_t used = 0;
    const char *customer, *zone = query(exchange, "zone");
    if (!may_see(exchange, &customer))
        return problem(exchange, MHD_HTTP_NOT_FOUND, "No customer of this shop");
    bool fits = shop_path(sizeof path, path, &used, "/v1/explain/", sku);
    if (customer != NULL)
        fits = fits && shop_path(sizeof path, path, &used, "?customer=", customer);
    if (zone != NULL && zone[0] != '\0')
        fits = fits && shop_path(sizeof path, path, &used, customer != NULL ? "&zone=" : "?zone=", zone);
    if (!fits)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "A zone or an id is not one");
    return pass_on(exchange, shop_ask(exchange->shop, "GET", path, NULL, true));
}

/* Healthy: there are prices to be shown. That the service is away is no reason to stop showing them. */
static enum MHD_Result tell_health(struct exchange *exchange, const char *tail)
{
    enum rialto_status status;
    struct shop_view view = { 0 };
    (void)tail;
    cJSON *page = shop_page(exchange->shop, &view, &status);
    if (page == NULL)
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, rialto_status_text(status));
    cJSON_Delete(page);
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, cJSON_CreateTrue());
}

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

#define BUILT_IN(name, file)                                                                                           \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".global " #name "\n.global " #name "_end\n" #name ":\n.incbin \"" file "\"\n" #name                       \
            "_end:\n.popsection\n");                                                                                   \
    extern const char name[], name##_end[]

BUILT_IN(shop_html, "web/shop/index.html");
BUILT_IN(shop_css, "web/shop/shop.css");
BUILT_IN(shop_js, "web/shop/shop.js");

static enum MHD_Result tell_file(struct exchange *exchange, const char *type, const char *from, const char *end)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)(end - from), (void *)(uintptr_t)from, MHD_RESPMEM_PERSISTENT);
    return send_response(exchange, MHD_HTTP_OK, type, response);
}

static enum MHD_Result tell_html(struct exchange *exchange, const char *tail)
{
    (void)tail;
    return tell_file(exchange, "text/html; charset=utf-8", shop_html, shop_html_end);
}

static enum MHD_Result tell_css(struct exchange *exchange, const char *tail)
{
    (void)tail;
    return tell_file(exchange, "text/css; charset=utf-8", shop_css, shop_css_end);
}

static enum MHD_Result tell_js(struct exchange *exchange, const char *tail)
{
    (void)tail;
    return tell_file(exchange, "text/javascript; charset=utf-8", shop_js, shop_js_end);
}

/* ---- which is which --------------------------------------------------------------------------------------------------------- */

static const struct route {
    const char *method, *path; /* one star stands for an id */
    enum MHD_Result (*handler)(struct exchange *exchange, const char *tail);
} routes[] = {
    { "GET", "/", tell_html },
    { "GET", "/shop.css", tell_css },
    { "GET", "/shop.js", tell_js },
    { "GET", "/api/customers", tell_customers },
    { "GET", "/api/page", tell_page },
    { "GET", "/api/customers/*/consent", tell_consent },
    { "PUT", "/api/customers/*/consent", take_consent },
    { "GET", "/api/why/*", tell_why },
    { "GET", "/healthz", tell_health },
};

/* *ret_tail: what stands for the star. */
static bool path_fits(const struct route *route, const char *path, char ret_tail[ID_BYTES])
{
    size_t length = strlen(path), head = strcspn(route->path, "*");
    ret_tail[0] = '\0';
    if (route->path[head] == '\0')
        return strcmp(path, route->path) == 0;
    const char *end = route->path + head + 1;
    size_t foot = strlen(end);
    if (length <= head + foot || length - head - foot >= ID_BYTES || strncmp(path, route->path, head) != 0 ||
        strcmp(path + length - foot, end) != 0)
        return false;
    memcpy(ret_tail, path + head, length - head - foot);
    ret_tail[length - head - foot] = '\0';
    return true;
}

static enum MHD_Result answer(struct exchange *exchange)
{
    char tail[ID_BYTES];
    bool is_known = false;
    const char *method = strcmp(exchange->method, "HEAD") == 0 ? "GET" : exchange->method;
    if (exchange->too_large)
        return problem(exchange, 413, "The body is too large");
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_fits(&routes[i], exchange->path, tail))
            continue;
        is_known = true;
        if (strcmp(routes[i].method, method) == 0)
            return routes[i].handler(exchange, tail);
    }
    return problem(exchange, is_known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
                   is_known ? "Not with this method" : "No such page");
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *data, size_t *bytes, void **at)
{
    struct exchange *exchange = *at;
    (void)version;
    if (exchange == NULL) { /* the head is read; a body may follow */
        *at = exchange = calloc(1, sizeof *exchange);
        if (exchange == NULL)
            return MHD_NO;
        exchange->shop = user;
        exchange->connection = connection;
        return MHD_YES;
    }
    if (*bytes == 0) {
        exchange->path = path;
        exchange->method = method;
        return answer(exchange);
    }
    exchange->too_large = exchange->too_large || *bytes > SHOP_BODY_MAX - exchange->body_bytes;
    if (!exchange->too_large) {
        memcpy(exchange->body + exchange->body_bytes, data, *bytes);
        exchange->body_bytes += *bytes;
    }
    *bytes = 0;
    return MHD_YES;
}

static void forget(void *user, struct MHD_Connection *connection, void **at, enum MHD_RequestTerminationCode code)
{
    (void)user;
    (void)connection;
    (void)code;
    free(*at);
    *at = NULL;
}

/* %00 would end a text in its middle: it becomes a character that no id has. */
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

struct MHD_Daemon *shop_listen(struct shop *shop, char *why)
{
    char host[64];
    const char *colon = strrchr(shop->listen, ':');
    struct sockaddr_in address = { .sin_family = AF_INET };
    if (colon != NULL && (size_t)(colon - shop->listen) < sizeof host) {
        (void)snprintf(host, sizeof host, "%.*s", (int)(colon - shop->listen), shop->listen);
        address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    }
    if (address.sin_port == 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        (void)snprintf(why, 256, "%.200s is no ADDRESS:PORT", shop->listen);
        return NULL;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL, handle, shop,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
        SHOP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, SHOP_PER_CLIENT_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        SHOP_SILENCE_S, MHD_OPTION_THREAD_STACK_SIZE, (size_t)262144, MHD_OPTION_NOTIFY_COMPLETED, forget, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
    if (daemon == NULL)
        (void)snprintf(why, 256, "%.100s: %.100s", shop->listen, strerror(errno));
    return daemon;
}
