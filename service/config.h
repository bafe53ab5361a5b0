/* config.h - one table of settings; the struct, the parser, the bounds, --describe-config and docs/config.md come from it.
 *
 * A configuration file is a JSON object (comments allowed) with these keys; `rialtod --set key=value` overrides one. A bad
 * file is refused whole, with file, line and reason. */
#ifndef SERVICE_CONFIG_H
#define SERVICE_CONFIG_H

#include "pricing/json_text.h"

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_TEXT_MAX 256u

/* Strings first, then numbers. New rows go last within their block: X(key, default, unit, what it changes). */
#define CONFIG_TEXTS(X)                                                                                                       \
    X(instance,        "rialto", "name",   "names the cache folder, the Redis prefix and the log lines; one instance serves one brand")  \
    X(data_dir,        "run",    "folder", "private state, sockets, the embedded Redis; mode 0700")                            \
    X(cache_dir,       "",       "folder", "shared memory that storefronts map; empty: /dev/shm/ and the instance")            \
    X(models_dir,      "models", "folder", "pricing models, *.json")                                                          \
    X(push_urls,       "",       "urls",   "where signals are taken without an answer (NNG PULL), separated by spaces; empty: "     \
                                           "ipc://DATA_DIR/push.ipc and, for the instance rialto, tcp://127.0.0.1:7411")        \
    X(request_urls,    "",       "urls",   "where each signal is answered (NNG REP); empty: ipc://DATA_DIR/request.ipc and, for "   \
                                           "the instance rialto, tcp://127.0.0.1:7412")                                       \
    X(redis_url,       "",       "url",    "unix:PATH or tcp://HOST:PORT; empty: rialtod runs its own redis-server in DATA_DIR")  \
    X(redis_user,      "",       "name",   "Redis ACL user; empty: default")                                                   \
    X(redis_password_file, "",   "file",   "file whose first line is the Redis password; empty: none")                           \
    X(geohash_lengths, "3,5",    "chars",  "lengths of geohash zones in use, at most two, ascending")                           \
    X(path_depths,     "1,2,3",  "levels", "depths of path zones in use, at most three, ascending")                            \
    X(cache_on_stop,   "keep",   "choice", "keep or remove the shared-memory tables at a clean stop")                          \
    X(group,           "",       "name",   "group that may read the cache; empty: the group of rialtod")                      \
    X(log_level,       "info",   "choice", "debug, info, warning or error")                                                    \
    X(log_format,      "text",   "choice", "text for people, or json: one object a line, for those who collect them")            \
    X(http_listen,     "",       "address","ADDRESS:PORT of the HTTP door, [ADDRESS]:PORT for IPv6; off: none; empty: 127.0.0.1:7480 for " \
                                           "the instance rialto, else none")                                        \
    X(http_tokens_file,"",       "file",   "who may do over HTTP what not everybody may: lines of role (admin, shop, producer), name and SHA-256 of a token; empty: nobody") \
    X(sensitive_categories, "adult,health,medicine,pharmacy,politics,religion,union", "words", "a receipt whose category path has one of these steps " \
                                           "is dropped at the door, and demand that says one teaches nothing about its customer; words separated by commas, at most 32, in any case; empty: none is") \
    X(month_zone,      "UTC",    "zone",   "IANA time zone whose calendar months customers' purchases of a month go by (month_spend)") \
    X(http_certificate_file,"",   "file",   "certificate chain of the HTTP door, PEM, its own first: it then speaks TLS 1.2 and 1.3 alone; empty: it speaks plain HTTP") \
    X(http_key_file,   "",       "file",   "key of that certificate, PEM, which nobody else may read; both files are read again when they change") \
    X(producer_certificate_file,"","file", "certificate chain that tls+tcp:// endpoints show, PEM, its own first; needed where push_urls or request_urls have one") \
    X(producer_key_file,"",      "file",   "key of that certificate, PEM, which nobody else may read")                         \
    X(producer_authority_file,"","file",   "certificates of the authorities whose certificates producers must show at tls+tcp:// endpoints, PEM")

/*    key                   default   min    max       unit      what it changes                                            */
#define CONFIG_NUMBERS(X)                                                                                                     \
    X(worker_count,         0,        0,     64,       "procs",  "pricing processes; 0: cores - 1, at least 1")                \
    X(products_max,         20000,    64,    9000000,  "lines",  "products known at once")                                     \
    X(cells_max,            65536,    64,    64000000, "lines",  "baseline prices (product x zone) kept at once")              \
    X(cells_per_product_max,256,      1,     16384,    "zones",  "zones in which one product has a price of its own")          \
    X(customers_max,        65536,    64,    200000000,"lines",  "customers with permitted data at once")                      \
    X(offers_max,           32768,    64,    64000000, "lines",  "personal offers and locks at once")                          \
    X(zones_max,            8192,     64,    1000000,  "zones",  "zones known at once")                                        \
    X(open_min,             1,        1,     1000000,  "events", "events before a product gets a price of its own in a zone")   \
    X(tick_ms,              100,      10,    1000,     "ms",     "grid of the service clock")                                  \
    X(stale_after_ms,       5000,     200,   3600000,  "ms",     "silence of a worker after which its quotes are flagged STALE") \
    X(personal_stale_ms,    5000,     200,   3600000,  "ms",     "silence of a worker after which its customers' terms count as neutral") \
    X(clock_replay,         1,        0,     1,        "switch", "1: a request may move the service clock forward (recordings); 0 in production") \
    X(demo,                 0,        0,     1,        "switch", "1: quotes say that they rest on recorded data")              \
    X(signal_age_max_s,     604800,   1,     31536000, "s",      "a signal older than this is rejected as too old")           \
    X(signal_future_max_s,  60,       0,     86400,    "s",      "a signal from further ahead is rejected as from the future") \
    X(message_bytes_max,    1048576,  1024,  67108864, "bytes",  "largest message that an endpoint takes")                    \
    X(message_signals_max,  4096,     1,     65536,    "signals","most signals in one message")                               \
    X(ingest_messages_max,  1024,     16,    65536,    "msgs",   "messages received on one push endpoint and not yet read; past it senders wait")   \
    X(batch_signals_max,    1024,     16,    16384,    "signals","most signals in one batch to a worker")                      \
    X(window_batches_max,   256,      8,     4096,     "batches","batches that a worker has not acknowledged; past it senders wait") \
    X(answer_timeout_ms,    2000,     50,    60000,    "ms",     "longest wait for a worker before a request is answered")      \
    X(durable_timeout_ms,   500,      1,     60000,    "ms",     "longest wait for Redis before an answer says durable: no")     \
    X(redis_timeout_ms,     2000,     50,    60000,    "ms",     "time-out of a Redis connection and command")                 \
    X(mirror_bytes_max,     67108864, 65536, 1073741824,"bytes", "state waiting for Redis; past it a sweep follows later")      \
    X(watch_ttl_s,          900,      10,    86400,    "s",      "how long a looked-at product stays in a customer's Redis quotes") \
    X(watch_skus_max,       64,       1,     1024,     "skus",   "products in one customer's Redis quotes")                    \
    X(watch_customers_max,  100000,   16,    10000000, "customers","customers with Redis quotes, per worker")                   \
    X(quote_refresh_ms,     1000,     10,    60000,    "ms",     "each quote and each baseline price is written to Redis at most once in an interval of this length")        \
    X(restart_backoff_ms,   50,       1,     60000,    "ms",     "wait before a process that died within 10 s of its start is started again; doubles")  \
    X(restart_backoff_max_ms,500,     1,     600000,   "ms",     "longest such wait")                                                            \
    X(ids_max,              32768,    64,    16777216, "ids",    "ids of signals that a partition remembers for ten minutes, so that a repeat counts once") \
    X(sources_max,          1024,     16,    1048576,  "sources","sources that number their signals (seq), for each partition; past it one silent for ten minutes makes room") \
    X(mirror_pace_ms,       1000,     1,     60000,    "ms",     "pushed signals reach Redis within this time, gathered; answered ones at once") \
    X(rejects_max,          10000,    0,     10000000, "signals","rejected signals kept in Redis, about; 0: none")     \
    X(http_threads,         1,        1,     64,       "threads","threads that answer HTTP")                                  \
    X(http_connections_max, 1000,     8,     30000,    "conns",  "HTTP connections at once; of the last eighth those end that are silent for longest")        \
    X(http_request_timeout_ms,10000,  100,   600000,   "ms",     "longest time that a client may take to send a request, or be silent before one") \
    X(cache_start_percent,  25,       1,     100,      "%",      "how much of the largest tables is reserved at the start; they grow up to the whole beside their readers") \
    X(repeat_window_s,      86400,    60,    2592000,  "s",      "how long, at least, the same view, search or cart of one visit counts once in demand; at most twice as long") \
    X(repeats_max,          500000,   1024,  100000000,"acts",   "views, searches and carts that are remembered for that") \
    X(act_quantity_max,     100,      1,     1000000,  "units",  "most units that one view, search or cart counts for in demand; what is ordered or returned is not cut") \
    X(locks_max,            32768,    64,    64000000, "locks",  "price locks at once; they take room of offers_max, and their customers of customers_max") \
    X(lock_grace_s,         60,       1,     3600,     "s",      "how long after it was a customer's quote an amount can still be locked") \
    X(lock_max_s,           604800,   60,    31536000, "s",      "longest time that a lock may be asked for")                  \
    X(lock_history_max,     65536,    1024,  16777216, "lines",  "changes of prices, terms and offers that a worker looks back over for locks; past it the oldest are forgotten") \
    X(erase_rewrite_s,      3600,     1,     86400,    "s",      "least time between two rewrites of the own Redis's append-only file, which take erased data out of it; the longest that they stay") \
    X(superseded_grace_s,   86400,    0,     31536000, "s",      "how long tables of another layout stay, frozen, for readers whose library is of that layout; 0: not at all") \
    X(journal_days,         35,       0,     366,      "days",   "how long the price journal in Redis goes back; 0: there is none") \
    X(journal_interval_s,   60,       0,     86400,    "s",      "a price has at most one entry in the journal in this time, with the lowest in between; 0: one a tick") \
    X(journal_day_entries_max,50000, 64,    1000000000,"entries","entries of one day in the journal, an equal share for each partition; past it they are refused") \
    X(record_files_max,     0,        0,     10000,    "files",  "recordings of product signals kept in DATA_DIR/recordings, the oldest dropped for a new one; 0: nothing is recorded") \
    X(record_file_bytes_max,67108864, 65536, 4000000000,"bytes", "a recording of this size is closed, and the next one begun") \
    X(producer_signals_per_s,0,       0,     10000000,"signals","most signals a second from one producer, in the long run: a token's name or an address over HTTP, an address over TCP, a process on a local socket; 0: no limit") \
    X(audit_bytes_max,      16777216, 65536, 268435456,"bytes", "the audit log is put aside at this size, in place of the one before: at most twice as much is kept") \
    X(attribute_age_max_s,  63072000, 60,    1000000000,"s",     "how long tier, segments and spend of a customer count at most, unless they are said again; then they are gone") \
    X(insecure_tcp,         0,        0,     1,        "switch", "1: tcp:// endpoints may be listened at on addresses that are not this machine's own (loopback), where whoever reaches them may send any signal; so may he over HTTP there, without a token, if none are known") \
    X(http_open_signals,    0,        0,     1,        "switch", "1: signals about products are taken over HTTP without a token where http_tokens_file knows some; 0: they need one of the role producer")

struct config {
#define CONFIG_TEXT_MEMBER_(key, value, unit, text) char key[CONFIG_TEXT_MAX];
    CONFIG_TEXTS(CONFIG_TEXT_MEMBER_)
#undef CONFIG_TEXT_MEMBER_
#define CONFIG_NUMBER_MEMBER_(key, value, low, high, unit, text) uint32_t key;
    CONFIG_NUMBERS(CONFIG_NUMBER_MEMBER_)
#undef CONFIG_NUMBER_MEMBER_
    /* worked out by config_finish() */
    uint32_t workers;
    uint8_t  geohash_length[2];
    uint8_t  path_depth[3];
    char     redis_prefix[RIALTO_NAME_MAX]; /* the instance; keys are PREFIX:quote:{C123} */
    /* set by who replays signals for himself: a worker without Redis, whose state begins empty */
    bool     alone;
};

/* config_url - the next one of a list of urls that blanks divide; returns where to go on, NULL: there is no further one. At most
 * CONFIG_URLS_MAX stand in push_urls and in request_urls. */
#define CONFIG_URLS_MAX 8u
const char *config_url(const char *urls, char ret[CONFIG_TEXT_MAX]);

/* config_http_is_local - is http_listen an address that this machine alone can reach? */
bool config_http_is_local(const struct config *config);

void              config_defaults(struct config *config);
/* config_load - defaults, then the file (NULL: none). config_parse - defaults, then this text of one. config_set - one "key=value". config_finish - check what depends on more
 * than one key and fill in what empty strings stand for. Each: RIALTO_OK or REFUSED with *fault. */
enum rialto_status config_load(const char *path, struct config *ret, struct fault *fault);
enum rialto_status config_parse(const char *text, size_t bytes, struct config *ret, struct fault *fault);
enum rialto_status config_set(struct config *config, const char *assignment, struct fault *fault);
enum rialto_status config_finish(struct config *config, struct fault *fault);
/* config_save - the settings as a configuration file that gives these very settings (worker_count: what was worked out), in place of
 * `path` at once and mode 0600. False with errno set. */
bool              config_save(const struct config *config, const char *path);
/* config_describe - the table as Markdown on `out`. */
void               config_describe(void *out /* FILE* */);
#endif
