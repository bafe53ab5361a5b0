/* web.h - the HTTP door: what the files of the role `web` share.
 *
 *   browser, shop, data team --HTTP/1.1--> libmicrohttpd --+-- quotes, prices: out of shared memory, in this process (librialto)
 *                                                          +-- signals, watches: forwarded to the gateway over NNG REQ
 *                                                          +-- livez, readyz, metrics: what the processes say of themselves
 *
 * Apart      from the gateway, so that whatever HTTP brings cannot harm the process that orders signals. It writes no line and
 *            no state: it may die at any moment and is started again.
 * Threads    web_threads of libmicrohttpd call handlers; NNG's call back when an answer is there; one watches for slow
 *            clients. A handler never blocks: a forwarded exchange is suspended meanwhile.
 * Limits     connections, bytes of a head and of a body, time for one request, requests under way to the gateway: settings,
 *            and each is counted when reached. */
#ifndef SERVICE_WEB_H
#define SERVICE_WEB_H

#include "service/config.h"
#include "service/metrics.h"

#include <microhttpd.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_ID_MAX        64u /* bytes of a request id, with the 0 */
#define WEB_SKUS_MAX      RIALTO_PAGE_MAX
#define WEB_RETRY_AFTER_S "1"

struct forwarder;

struct web {
    const struct config *config;
    struct MHD_Daemon *daemon;
    struct forwarder *forwarder;
    const struct metrics_file *metrics;
    pthread_rwlock_t prices_lock; /* taken for reading by every quote: uncontended but when the tables are replaced */
    struct rialto *prices;        /* NULL = no cache (yet) */
    _Atomic uint64_t request_number;
    _Atomic bool draining;
    _Atomic uint32_t under_way; /* exchanges */
};

/* ---- one exchange ------------------------------------------------------------------------------------------------ */

struct text { /* grows as it is written; `failed` once memory ran out */
    char *data;
    size_t used, room;
    bool failed;
};

struct exchange;
typedef enum MHD_Result (*web_handler)(struct exchange *exchange);

struct exchange {
    struct web *web;
    struct MHD_Connection *connection;
    const struct route *route;
    const char *tail;    /* behind the route's path: a sku */
    char id[WEB_ID_MAX]; /* of the request: the client's, or our own */
    struct text body;    /* what was sent */
    char allow[32];      /* methods that the path has */
    bool too_large;
    _Atomic int forwarded; /* enum forward_state */
    struct text answer;    /* of the gateway */
};

struct route {
    const char *method, *path; /* a path that ends with "/" has a tail */
    web_handler handler;
};

/* web_routes - the table; the last row has no method. */
extern const struct route web_routes[];

/* exchange_progress - the client is taking what it asked for: its time begins anew. exchange_waits - it is we who keep it
 * waiting: its time stands still until the exchange ends. */
void exchange_progress(struct MHD_Connection *connection);
void exchange_waits(struct MHD_Connection *connection);

/* ---- web_text.c: writing answers ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void text_put(struct text *text, const char *format, ...);
void text_append(struct text *text, const char *data, size_t bytes);
void text_quoted(struct text *text, const char *string); /* as a JSON string */
void text_free(struct text *text);

/* respond - the text becomes the answer's body and is freed. `type` is a media type. */
enum MHD_Result respond(struct exchange *exchange, unsigned status, const char *type, struct text *text);

/* problem - an error as RFC 9457 problem details; `name` ends its type, such as "unknown-product". */
__attribute__((format(printf, 5, 6))) enum MHD_Result problem(struct exchange *exchange, unsigned status,
                                                              const char *name, const char *title, const char *detail,
                                                              ...);

/* problem_of - the problem that a status of librialto is. */
enum MHD_Result problem_of(struct exchange *exchange, enum rialto_status status);

/* query_text - a query argument, or NULL. */
const char *query_text(const struct exchange *exchange, const char *name);

/* ---- web_quotes.c, web_prices.c ----------------------------------------------------------------------------------- */

/* prices_lock - the mapped tables, or NULL when there are none; prices_unlock in any case. prices_replaced - the last answer was
 * RETIRED: open the folder again. True when that gave other tables. */
const struct rialto *prices_lock(struct web *web);
void prices_unlock(struct web *web);
bool prices_replaced(struct web *web);

enum MHD_Result web_quote_one(struct exchange *exchange);
enum MHD_Result web_quote_page(struct exchange *exchange);
enum MHD_Result web_prices(struct exchange *exchange);

/* ---- web_forward.c: to the gateway and back ------------------------------------------------------------------------- */

enum forward_state { FORWARD_NOT, FORWARD_UNDER_WAY, FORWARD_ANSWERED, FORWARD_FAILED };

struct forwarder *forwarder_open(const struct config *config);
void forwarder_close(struct forwarder *forwarder);
enum MHD_Result web_signals(struct exchange *exchange);

/* ---- web_health.c --------------------------------------------------------------------------------------------------- */

enum MHD_Result web_livez(struct exchange *exchange);
enum MHD_Result web_readyz(struct exchange *exchange);
enum MHD_Result web_metrics(struct exchange *exchange);
enum MHD_Result web_openapi(struct exchange *exchange);
#endif
