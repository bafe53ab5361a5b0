/* web.h - the HTTP door: what the files of the role `web` share.
 *
 *   browser, shop, data team --HTTP/1.1--> libmicrohttpd --+-- quotes, prices: out of shared memory, in this process (librialto)
 *                                                          +-- signals, customers, models: forwarded to the gateway over NNG REQ
 *                                                          +-- the price journal: out of Redis, by one thread
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
#include "service/web_tokens.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define WEB_ID_MAX        64u /* bytes of a request id, with the 0 */
#define WEB_SKUS_MAX      RIALTO_PAGE_MAX
#define WEB_RETRY_AFTER_S "1"
#define WEB_LEAVING_MAX   4u

struct forwarder;
struct historian;

struct file_mark { /* another one: the file may have changed */
    dev_t device;
    ino_t inode;
    off_t bytes;
    time_t s;
    long ns;
};

struct certificate { /* PEM */
    char *chain, *key;
};

struct web {
    const struct config *config;
    struct MHD_Daemon *daemon;                   /* who takes new connections (web_door.c); main thread */
    struct MHD_Daemon *leaving[WEB_LEAVING_MAX]; /* those with certificates of before */
    uint32_t leaving_count;
    int listener;
    struct file_mark certificate_mark, key_mark; /* of the files in use, or refused */
    _Atomic uint32_t certificate;                /* how many there were before this one */
    struct forwarder *forwarder;
    struct historian *historian;
    const struct metrics_file *metrics;
    pthread_rwlock_t prices_lock; /* taken for reading by every quote: uncontended but when the tables are replaced */
    struct rialto *prices;        /* NULL = no cache (yet) */
    _Atomic uint64_t request_number;
    _Atomic bool draining;
    _Atomic uint32_t under_way; /* exchanges */
    _Atomic uint32_t stages;    /* of models, one bit each: taken (web_models.c) */
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
    char *tail;          /* what stands for the route's star: a sku; owned */
    char id[WEB_ID_MAX]; /* of the request: the client's, or our own */
    struct text body;    /* what was sent */
    char allow[32];      /* methods that the path has */
    bool too_large;
    bool is_ambiguous;             /* where its body ends */
    bool is_misaddressed;          /* who is asked, or for what, can be read in two ways */
    char token[TOKEN_NAME_MAX];    /* whose token was shown; "" = none of ours */
    char who[TOKEN_NAME_MAX + 16]; /* the same, for records */
    uint32_t retry_after_s;        /* said with a 429 */
    const char *location;          /* said with a 308 */
    enum role role;                /* of that token */
    bool for_no_customer;          /* what is forwarded may tell nothing of a customer, and says so */
    /* while the gateway, or the price journal, is asked */
    _Atomic int forwarded; /* enum forward_state */
    struct text answer;    /* what was heard */
    web_handler finish;    /* goes on from there */
    void *job;             /* what `finish` needs, freed by job_free at the exchange's end */
    void (*job_free)(void *job);
    int stage; /* bit of web.stages that it holds, plus 1; 0 = none */
};

struct route {
    const char *method, *path; /* one star stands for anything: exchange.tail. Rows of one path stand together */
    enum role role;            /* whom it is for */
    web_handler handler;
};

/* web_routes - the table; the last row has no method. */
extern const struct route web_routes[];

/* exchange_progress - the client is taking what it asked for: its time begins anew. exchange_waits - it is we who keep it
 * waiting: its time stands still until the exchange ends. */
void exchange_progress(struct MHD_Connection *connection);
void exchange_waits(struct MHD_Connection *connection);

/* exchange_is_leaving - its client shall connect again for the next: we end, the certificate is another one since it came, or nobody knows where its request ends, or for whom it is. */
bool exchange_is_leaving(const struct exchange *exchange);

/* ---- web_door.c, web.c: listening ------------------------------------------------------------------------------------ */

/* door_open - at http_listen, with the certificate if there is one. False after a log line. door_watch - now and then: has the certificate
 * changed, have the last clients of one from before gone? door_shut - no new connections. door_stop - the end of all. */
bool door_open(struct web *web);
void door_watch(struct web *web);
void door_shut(struct web *web);
void door_stop(struct web *web);
/* web_daemon_start - takes connections of the listening socket, which is its own from then on; NULL: it stays the caller's. */
struct MHD_Daemon *web_daemon_start(struct web *web, int listener, const struct certificate *certificate);

/* ---- web_target.c -------------------------------------------------------------------------------------------------- */

/* web_target_head - how many bytes of a request's target, as it was sent, stand before its path: scheme and host of a whole address, in none of
 * which there are escapes. 0: it is no address of http or https. WEB_TARGET_BAD: it is one that is to be refused, as https is unless is_secured
 * (by TLS). */
#define WEB_TARGET_BAD (-1)
int web_target_head(const char *target, bool is_secured);

/* ---- web_text.c: writing answers ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void text_put(struct text *text, const char *format, ...);
void text_append(struct text *text, const char *data, size_t bytes);
void text_quoted(struct text *text, const char *string); /* as a JSON string */
bool text_reserve(struct text *text, size_t bytes);      /* room for so many more; false: out of memory, and it has failed */
void text_free(struct text *text);

/* respond - the text becomes the answer's body and is freed. `type` is a media type. */
enum MHD_Result respond(struct exchange *exchange, unsigned status, const char *type, struct text *text);

/* problem - an error as RFC 9457 problem details; `name` ends its type, such as "unknown-product". */
__attribute__((format(printf, 5, 6))) enum MHD_Result problem(struct exchange *exchange, unsigned status,
                                                              const char *name, const char *title, const char *detail,
                                                              ...);

/* problem_begin - the same, left open for members of its own and the closing brace. `detail` is said as it is. */
void problem_begin(struct text *text, const struct exchange *exchange, unsigned status, const char *name, const char *title,
                   const char *detail);
#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"

/* respond_json - prints and frees `json`. */
enum MHD_Result respond_json(struct exchange *exchange, unsigned status, cJSON *json);

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

/* ---- web_access.c --------------------------------------------------------------------------------------------------- */

/* exchange_may - is a token of that role shown, where it is one? False: *ret_refused was answered. */
bool exchange_may(struct exchange *exchange, enum role needed, enum MHD_Result *ret_refused);

/* exchange_sender - may signals be sent, and those about customers too? Where tokens are known whoever shows one, or anybody if
 * http_open_signals says so; where none are, whoever is on this machine. False: *ret_refused was answered. */
bool exchange_sender(struct exchange *exchange, enum MHD_Result *ret_refused);

/* ---- web_forward.c: to the gateway and back ------------------------------------------------------------------------- */

enum forward_state { FORWARD_NOT, FORWARD_UNDER_WAY, FORWARD_ANSWERED, FORWARD_FAILED };

struct forwarder *forwarder_open(const struct config *config);
/* forwarder_look - many times a second. False: only another process will reach the gateway (service/dialer.h). */
bool forwarder_look(struct forwarder *forwarder);
void forwarder_close(struct forwarder *forwarder);

/* forward - send the text to the gateway; when there is an answer, or none in limit_ms, `finish` is called as the handler, and
 * `forwarded` says which. Where too many are under way it answers 503 itself. forward_limit_ms - how long signals may take. */
enum MHD_Result forward(struct exchange *exchange, const char *text, size_t bytes, uint32_t limit_ms, web_handler finish);
/* exchange_address - the client's, as text. */
void exchange_address(const struct exchange *exchange, char ret[INET6_ADDRSTRLEN]);
uint32_t forward_limit_ms(const struct config *config);

/* ---- web_journal.c: to Redis and back ------------------------------------------------------------------------------- */

struct historian *historian_open(struct web *web); /* NULL: out of memory, or of threads */
void historian_close(struct historian *historian); /* what still waits is answered: not now */
enum MHD_Result web_journal(struct exchange *exchange);

/* ---- web_question.c: what the gateway answers with "ok" ---------------------------------------------------------------- */

/* question_of - {"control":...}, to be filled and asked; with the key that only the service's own user can read, and `who`, once the
 * exchange has shown a token. question_ask - prints, frees and forwards it; NULL: out of memory. */
cJSON *question_of(const struct exchange *exchange, const char *control);
enum MHD_Result question_ask(struct exchange *exchange, cJSON *question, web_handler finish);

/* question_answer - the gateway's answer, the caller's; NULL: *ret_refused was answered with the problem that it is. */
cJSON *question_answer(struct exchange *exchange, enum MHD_Result *ret_refused);

/* question_pass_on - a `finish`: the answer as it is, without "ok". */
enum MHD_Result question_pass_on(struct exchange *exchange);

/* body_json - the body as an object with no members but `known` (ends with NULL); an empty body is one without any. NULL:
 * *ret_refused was answered. */
cJSON *body_json(struct exchange *exchange, const char *const known[], enum MHD_Result *ret_refused);

/* ---- web_signals.c, web_customers.c, web_explain.c, web_models.c ---------------------------------------------------------- */

enum MHD_Result web_signals(struct exchange *exchange);
enum MHD_Result signals_answer(struct exchange *exchange); /* a `finish` */
/* web_lock - a price is asked to be promised. web_record - the quote of a GET, signed. */
enum MHD_Result web_lock(struct exchange *exchange);
enum MHD_Result web_record(struct exchange *exchange);
enum MHD_Result web_customer_export(struct exchange *exchange);
enum MHD_Result web_customer_consent(struct exchange *exchange);
enum MHD_Result web_customer_forget(struct exchange *exchange);
enum MHD_Result web_explain(struct exchange *exchange);
enum MHD_Result web_models_list(struct exchange *exchange);
enum MHD_Result web_models_show(struct exchange *exchange);
enum MHD_Result web_models_check(struct exchange *exchange);
enum MHD_Result web_models_diff(struct exchange *exchange);
enum MHD_Result web_models_apply(struct exchange *exchange);
enum MHD_Result web_models_rollback(struct exchange *exchange);
enum MHD_Result web_models_pin(struct exchange *exchange);
enum MHD_Result web_freeze(struct exchange *exchange);
void models_stage_drop(struct exchange *exchange); /* what an exchange staged is not needed any more */

/* ---- web_health.c --------------------------------------------------------------------------------------------------- */

enum MHD_Result web_livez(struct exchange *exchange);
enum MHD_Result web_readyz(struct exchange *exchange);
enum MHD_Result web_status(struct exchange *exchange);
enum MHD_Result web_metrics(struct exchange *exchange);
enum MHD_Result web_openapi(struct exchange *exchange);
enum MHD_Result web_console(struct exchange *exchange);
enum MHD_Result web_console_moved(struct exchange *exchange); /* it is /console/, from which its files' names count */
#endif
