/* shop.h - rialto-shop, a sample storefront: what the files of web/shop share.
 *
 *   browser --HTTP--> rialto-shop --+-- prices: librialto, out of the shared memory that is mounted here, one page in one call
 *                                   +-- consent switches: signals to the service's HTTP door, answered when they are in force
 *                                   +-- why: asked of the same door, with the shop's token
 *
 * It sees of Rialto what any shop sees: the public headers, librialto and HTTP. It may live in another container, and goes on
 * quoting while the service is away. It is a demonstration: whoever opens the page may be any customer of its own list,
 * and nobody else.
 * Threads    one a connection, so that a question that waits for the service holds up nobody's prices.
 * Limits     SHOP_*_MAX; connections past theirs wait to be taken. */
#ifndef WEB_SHOP_H
#define WEB_SHOP_H

#include <cjson/cJSON.h>
#include <microhttpd.h>
#include <pthread.h>
#include <rialto/quote.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHOP_PRODUCTS_MAX    20000u /* in the catalogue; what there is beyond is left out, and the page says so */
#define SHOP_ZONES_MAX       64u
#define SHOP_DEPARTMENTS_MAX 16u
#define SHOP_PAGE_SIZE       24u
#define SHOP_CUSTOMERS_MAX   64u
#define SHOP_CONNECTIONS_MAX 64u
#define SHOP_PER_CLIENT_MAX  32u
#define SHOP_SILENCE_S       10u
#define SHOP_BODY_MAX        4096u
#define SHOP_ANSWER_MAX      262144u /* bytes of one answer of the service */
#define SHOP_ASK_MS          4000    /* longest wait for it */
#define SHOP_CATALOGUE_MS    2000    /* how old the catalogue may be */

struct shop_product {
    char sku[RIALTO_ID_MAX];
    char category[64];
    char title[96];
};

struct shop_catalogue { /* what stands in the tables, in order of title */
    struct shop_product *product;
    uint32_t count;
    bool is_cut; /* there are more than SHOP_PRODUCTS_MAX */
    char zone[SHOP_ZONES_MAX][RIALTO_ID_MAX];
    uint32_t zone_count;
    int64_t read_ms; /* 0 = never */
};

struct shop {
    /* options */
    const char *listen, *cache, *service, *token_file, *customers_file;
    char service_host[256], service_port[8];
    char token[272];  /* empty: none */
    cJSON *customers; /* the shop's own records, see customers.json */
    /* prices.c */
    pthread_rwlock_t prices_lock; /* written only when the tables are replaced */
    struct rialto *prices;        /* NULL = none (yet) */
    pthread_mutex_t catalogue_lock;
    struct shop_catalogue catalogue;
};

/* What a page asks for; texts are the caller's. */
struct shop_view {
    const char *customer, *zone, *department, *find; /* NULL or "" = any */
    uint32_t from;                                   /* first product, from 0 */
};

/* ---- prices.c: out of shared memory -------------------------------------------------------------------------------- */

bool shop_prices_setup(struct shop *shop);
void shop_prices_teardown(struct shop *shop);

/* shop_page - products, departments and zones of the catalogue, and SHOP_PAGE_SIZE quotes by one rialto_quote_page(). NULL, and then
 * *ret_status says why, when no prices can be read. Any thread. */
cJSON *shop_page(struct shop *shop, const struct shop_view *view, enum rialto_status *ret_status);

/* ---- customers.c: the shop's own records, and what they permit ---------------------------------------------------------- */

/* shop_customers_load - the records of a file, or the built-in ones (NULL). False: `why` (256 bytes) says what is wrong. */
bool shop_customers_load(struct shop *shop, char *why);

/* shop_customer - the record of this id; NULL: no customer of this shop. */
const cJSON *shop_customer(const struct shop *shop, const char *id);

/* shop_customers_public - ids and remarks for the page. */
cJSON *shop_customers_public(const struct shop *shop);

/* shop_consent_signals - {"profile":true,...} becomes what has to be told: the consent and, of what the shop knows, that which is permitted
 * from now on; the service keeps nothing that it may not use. {"opt_out":true}, or a browser that sends Global Privacy Control (gpc), ends
 * every consent, whatever else is wished. NULL: no such consent. */
cJSON *shop_consent_signals(const cJSON *customer, const cJSON *wanted, bool gpc);

/* shop_consent_of - the kinds that an export of the service names: {"consent":{"profile":true,...},"opt_out":false}. */
cJSON *shop_consent_of(const cJSON *export);

/* ---- service.c: HTTP to the service -------------------------------------------------------------------------------------- */

struct shop_answer {
    unsigned status; /* of HTTP; 0 = no answer */
    cJSON *json;     /* NULL = none, or none that can be read */
};

/* shop_ask - one request, at most SHOP_ASK_MS and SHOP_ANSWER_MAX bytes. `body` may be NULL; the token goes along where `with_token`. */
struct shop_answer shop_ask(const struct shop *shop, const char *method, const char *path, const char *body,
                            bool with_token);

/* shop_path - "/v1/explain/" and an id, percent-encoded; *used grows. False: it does not fit. */
bool shop_path(size_t room, char *path, size_t *used, const char *prefix, const char *id);

/* ---- exchange.c: what the browser asks ------------------------------------------------------------------------------------ */

struct MHD_Daemon *shop_listen(struct shop *shop, char *why);
#endif
