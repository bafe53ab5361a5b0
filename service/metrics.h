/* metrics.h - counters and gauges that every process keeps in shared memory, one block of plain words per process.
 *
 * CACHE_DIR/metrics.v3: created by the prepare step, one writer per block, read by `rialto status` and later by the exporter.
 * No personal data. */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*    metric                       kind     unit      what one more of it means */
#define METRICS(X)                                                                                                    \
    X(started_unix_ms,             GAUGE,   "ms",     "when this process started")                                  \
    X(restarts_total,              COUNTER, "starts", "starts of this process after the first")                     \
    X(pid,                         GAUGE,   "pid",    "process id in rialtod's own pid namespace")                  \
    X(messages_received_total,     COUNTER, "msgs",   "messages taken from producers")                              \
    X(message_bytes_total,         COUNTER, "bytes",  "bytes of those messages")                                    \
    X(messages_refused_total,      COUNTER, "msgs",   "messages that could not be read at all")                     \
    X(signals_received_total,      COUNTER, "signals","signals found in messages")                                  \
    X(signals_accepted_total,      COUNTER, "signals","signals that passed the gateway")                            \
    X(signals_rejected_total,      COUNTER, "signals","signals rejected, by the gateway or a worker")               \
    X(signals_no_consent_total,    COUNTER, "signals","customer parts dropped for want of consent")                 \
    X(signals_duplicate_total,     COUNTER, "signals","parts dropped because their id was counted before")          \
    X(signals_superseded_total,    COUNTER, "signals","parts that a newer signal had made void")                    \
    X(ingest_waits_total,          COUNTER, "waits",  "times a sender had to wait for room in the gateway")         \
    X(listener_reopened_total,     COUNTER, "opens",  "listeners found deaf, or without their file, and opened anew") \
    X(batches_sent_total,          COUNTER, "batches","batches sent to workers, repeats included")                  \
    X(batches_resent_total,        COUNTER, "batches","batches sent again after a worker's return")                 \
    X(batches_applied_total,       COUNTER, "batches","batches applied")                                            \
    X(records_applied_total,       COUNTER, "records","parts of signals applied")                                   \
    X(cells_repriced_total,        COUNTER, "cells",  "baseline prices computed")                                   \
    X(cells_changed_total,         COUNTER, "cells",  "baseline prices that came out different and were published") \
    X(prices_coalesced_total,      COUNTER, "products","products not priced after a batch, because further signals were waiting: the price came with theirs") \
    X(terms_changed_total,         COUNTER, "lines",  "customers' terms published")                                 \
    X(offers_changed_total,        COUNTER, "lines",  "offers and locks published")                                 \
    X(cells,                       GAUGE,   "lines",  "cells held")                                                 \
    X(customers,                   GAUGE,   "lines",  "customers held")                                             \
    X(offers,                      GAUGE,   "lines",  "offers and locks held")                                      \
    X(products,                    GAUGE,   "lines",  "products held")                                              \
    X(table_full_total,            COUNTER, "signals","refusals because a configured maximum was reached")          \
    X(recoveries_total,            COUNTER, "starts", "starts that took over a dead process's state")               \
    X(recovery_us,                 GAUGE,   "us",     "how long the last take-over took")                           \
    X(redis_up,                    GAUGE,   "switch", "1 while Redis answers this process")                         \
    X(redis_reconnects_total,      COUNTER, "times",  "connections to Redis opened anew")                           \
    X(mirror_transactions_total,   COUNTER, "txns",   "state transactions that Redis confirmed")                    \
    X(mirror_records_total,        COUNTER, "records","records in those transactions")                              \
    X(mirror_sweeps_total,         COUNTER, "sweeps", "catch-ups after Redis was away or behind")                   \
    X(mirror_coalesced_total,      COUNTER, "records","changes of records that Redis was told together with a later one")  \
    X(mirror_lag_batches,          GAUGE,   "batches","batches applied and not yet in Redis")                       \
    X(quotes_published_total,      COUNTER, "quotes", "customers' quotes written to Redis")                         \
    X(cells_published_total,       COUNTER, "cells",  "baselines written to Redis")                                 \
    X(watches,                     GAUGE,   "pairs",  "customer and product pairs kept fresh in Redis")             \
    X(watches_refused_total,       COUNTER, "pairs",  "pairs refused because a configured maximum was reached")     \
    X(ring_overruns_total,         COUNTER, "times",  "times the publisher fell behind a ring and swept instead")   \
    X(tick_ms,                     GAUGE,   "ms",     "newest tick seen, service time")                             \
    X(amount_overflow_total,       COUNTER, "cells",  "prices not published because an amount left the range of money") \
    X(ids_forgotten_total,         COUNTER, "ids",    "ids of signals forgotten before ten minutes were over, because a partition had no room") \
    X(batches_split_total,         COUNTER, "batches","batches that killed a worker twice and were sent again signal by signal") \
    X(signals_poison_total,        COUNTER, "signals","signals taken out because a worker died of them") \
    X(rejects_kept_total,          COUNTER, "signals","rejected signals written to the stream of dead letters") \
    X(rejects_dropped_total,       COUNTER, "signals","rejected signals not kept there: more than 1000 a second, or Redis away for long")     \
    X(http_answered_total,         COUNTER, "answers","HTTP requests answered with what they asked for")               \
    X(http_refused_total,          COUNTER, "answers","HTTP requests refused (4xx)")                                   \
    X(http_failed_total,           COUNTER, "answers","HTTP requests that failed on our side (5xx)")                   \
    X(http_quotes_total,           COUNTER, "quotes", "quotes read for HTTP")                                          \
    X(http_crowded_total,          COUNTER, "answers","HTTP requests sent away because too many signals were under way") \
    X(http_slow_total,             COUNTER, "conns",  "HTTP connections closed because a request, or the silence before it, took too long, or longest when there were few left") \
    X(table_extents_total,         COUNTER, "extents","times a segment of a table grew in its file")                \
    X(table_grow_refused_total,    COUNTER, "times",  "times a segment could not grow, because the file system of cache_dir was full") \
    X(table_grow_slice_max_us,     GAUGE,   "us",     "longest time that one line waited for its table to grow")    \
    X(table_regions_lost,          GAUGE,   "regions","addresses in tables that processes lost at most by dying while they grew")     \
    X(table_tags_healed_total,     COUNTER, "tags",   "tags of lines put right: somebody else wrote to a table's file") \
    X(demand_repeated_total,       COUNTER, "signals","views, searches and carts that one visit did before: not counted again")  \
    X(repeats_forgotten_total,     COUNTER, "acts",   "acts of visits forgotten early, because repeats_max was reached") \
    X(change,                      GAUGE,   "number", "change of models or frozen prices that is in force")  \
    X(change_us,                   GAUGE,   "us",     "how long the last change-over of all prices took")  \
    X(changes_total,               COUNTER, "changes","changes that came into force")  \
    X(changes_refused_total,       COUNTER, "changes","changes that were refused, and changed nothing") \
    X(signed_total,                COUNTER, "texts",  "locks, records and receipts signed")                           \
    X(erasures_total,              COUNTER, "erasures", "customers forgotten")                                        \
    X(demand_cut_total,            COUNTER, "signals","views, searches and carts of more than act_quantity_max units: counted as so many") \
    X(locks,                       GAUGE,   "locks",  "price locks held")                                           \
    X(locks_asked_total,           COUNTER, "locks",  "locks that were asked for and reached the customer's worker") \
    X(locks_refused_total,         COUNTER, "locks",  "locks refused, because the amount had not been the customer's quote or a lower one was promised") \
    X(locks_full_total,            COUNTER, "locks",  "locks refused, because locks_max was reached")               \
    X(lock_history_lost_total,     COUNTER, "lines",  "changes forgotten before lock_grace_s was over, because lock_history_max was reached") \
    X(redis_rewrites_total,        COUNTER, "times",  "times the own Redis rewrote its append-only file after an erasure") \
    X(superseded_bytes,            GAUGE,   "bytes",  "frozen tables of other layouts, kept for readers whose library is older or newer") \
    X(superseded_until_ms,         GAUGE,   "ms",     "when the next of them go, Unix ms; 0: there are none") \
    X(redis_state,                 GAUGE,   "number", "what Redis does to this worker: 0 not asked yet, 1 up, 2 away, 3 loading, 4 full, 5 its disk fails, 6 read-only, 7 refuses us, 8 too old, 9 another error") \
    X(http_unauthorized_total,     COUNTER, "answers","HTTP requests refused for want of a token, or of its role") \
    X(table_bytes,                 GAUGE,   "bytes",  "shared memory of the tables, as far as it is reserved") \
    X(table_large_page_bytes,      GAUGE,   "bytes",  "of it, in pages of 2 MiB; rialto status says why not all") \
    X(restart_records,             GAUGE,   "records","records looked at by this process's start before it went on") \
    X(journal_entries_total,       COUNTER, "entries","entries written to the price journal")                          \
    X(journal_coalesced_total,     COUNTER, "changes","changes of a baseline price that share an entry of the journal with one before") \
    X(journal_refused_total,       COUNTER, "entries","entries not written: their day had journal_day_entries_max in its partition, or Redis gives no right to") \
    X(product_signals_total,        COUNTER, "signals","signals of the kind product that passed the gateway") \
    X(zone_signals_total,           COUNTER, "signals","signals of the kind zone that passed the gateway") \
    X(demand_signals_total,         COUNTER, "signals","signals of the kind demand that passed the gateway") \
    X(supply_signals_total,         COUNTER, "signals","signals of the kind supply that passed the gateway") \
    X(location_signals_total,       COUNTER, "signals","signals of the kind location that passed the gateway") \
    X(weather_signals_total,        COUNTER, "signals","signals of the kind weather that passed the gateway") \
    X(competitor_signals_total,     COUNTER, "signals","signals of the kind competitor that passed the gateway") \
    X(customer_signals_total,       COUNTER, "signals","signals of the kind customer that passed the gateway") \
    X(offer_signals_total,          COUNTER, "signals","signals of the kind offer that passed the gateway") \
    X(receipt_signals_total,        COUNTER, "signals","signals of the kind receipt that passed the gateway") \
    X(forget_signals_total,         COUNTER, "signals","signals of the kind forget that passed the gateway") \
    X(prices_moved_total,           COUNTER, "prices", "baseline prices that became another amount: no new ones, and no start") \
    X(prices_moved_far_total,       COUNTER, "prices", "of these, those that moved by a tenth or more of what they were") \
    X(prices_moved_guarded_total,   COUNTER, "prices", "of these, those that a guardrail holds where they are now") \
    X(recorded_signals_total,      COUNTER, "signals","signals written to recordings: product and common parts, no customer's") \
    X(record_missed_total,         COUNTER, "signals","signals missing in recordings: the buffer was full, or a file could not be written") \
    X(record_files_dropped_total,  COUNTER, "files",  "recordings removed because record_files_max was reached") \
    X(clock_behind_ms,             GAUGE,   "ms",     "how far the wall clock is ahead of service time, which follows it slowly") \
    X(clock_ahead_ms,              GAUGE,   "ms",     "how far service time is ahead of the wall clock, which was set back") \
    X(clock_jumps_total,           COUNTER, "jumps",  "times that service time followed the wall clock at once: a sleep, or a clock that was far behind") \
    X(redis_scans_endless_total,   COUNTER, "passes", "passes over keys or records in Redis given up after 65,536 pages: their cursor never came to its end") \
    X(requests_limited_total,      COUNTER, "msgs",   "requests with signals refused, in whole or in part, because their producer had used up producer_signals_per_s") \
    X(pushes_limited_total,        COUNTER, "msgs",   "pushed messages that waited, because their producer had used up producer_signals_per_s") \
    X(producers_crowded_total,     COUNTER, "times",  "times that a producer's share was counted together with another's: too many at once") \
    X(restore_partitions,          GAUGE,   "partitions", "partitions that this process's start has still to get back: files of state, or Redis") \
    X(restore_records,             GAUGE,   "records","records that are back since this process's start, and their prices and terms published") \
    X(restore_records_all,         GAUGE,   "records","records there were to get back; 0 while Redis does not say how many it holds") \
    X(restore_refused_total,       COUNTER, "records","records in Redis that a start did not believe: damaged, or of another version; what they said is lost") \
    X(redis_loaded_permille,       GAUGE,   "permille","of its data that Redis has read, while it is loading and this process waits for it") \
    X(audit_total,                 COUNTER, "lines",  "lines written to the audit log") \
    X(audit_failed_total,          COUNTER, "lines",  "lines that could not be written to it") \
    X(http_certificates_total,     COUNTER, "times",  "times that the HTTP door took up its certificate: at its start, and whenever the files had changed") \
    X(http_certificates_refused_total, COUNTER, "times", "times that changed files of it could not be used: the one before stays") \
    X(offers_issued_total,          COUNTER, "offers", "personal offers that models made") \
    X(offers_over_budget_total,     COUNTER, "offers", "not made: this partition's share of the offer's budget was used up") \
    X(offer_events_dropped_total,   COUNTER, "events", "customers' views, carts and orders that no model's offer counts, or counts no more: no room (of a customer 16 products, of offers_max half)") \
    X(redis_keys_odd_total,        COUNTER, "keys",   "keys of ours in Redis that held something of another type: it was put aside as KEY:odd, and the partition sent again") \
    X(restore_orphans_total,       COUNTER, "records","prices and offers in Redis that a start let go, because the product or the customer they belong to did not come back") \
    X(restore_refused,             GAUGE,   "records","records in Redis that this process's start did not believe: until it starts again") \
    X(affinity_events_total,       COUNTER, "events", "permitted events of customers that were counted for their affinity to a price group") \
    X(affinity_unplaced_total,     COUNTER, "events", "permitted events that were not, because their category is one that no model prices, a sensitive one, or not known") \
    X(audit_names_dropped_total,   COUNTER, "names",  "names of customers in the audit log that were given up for want of room: their lines are nobody's") \
    X(offers_used_up_total,        COUNTER, "offers", "the shop's offers of so many units whose last one was ordered") \
    X(quotes_made_good_total,      COUNTER, "keys",   "quotes in Redis of customers who were forgotten, or permit them no more, that a process before had not come to delete: this one did") \
    X(cells_unpublished_total,     COUNTER, "cells",  "baselines that stand no more, taken out of Redis") \
    X(publisher_impatient_total,   COUNTER, "times",  "times that Redis was told of lines while many more were being written: one batch took longer than a second") \
    X(offer_times_dropped_total,   COUNTER, "times",  "times of offers that the shop took back, or of those that took another's place, which are not remembered or no more, for want of room (of offers_max half): an older offer that arrives late may stand again") \
    X(offers_waited_total,         COUNTER, "times",  "times that a partition had more offers and locks at their end than are taken away in one tick: the rest follow in the next ones, quotes are without them at once") \
    X(refusals_not_kept_total,     COUNTER, "signals","refusals and opt-outs of customers who are not known that were refused because customers_max is reached: send them again when there is room") \
    X(push_bytes_dropped_total,    COUNTER, "bytes",  "bytes of local producers that came and were in no whole message when their stream ended, or could not be taken any more before the gateway did") \
    X(change_faults,               GAUGE,   "faults", "pages that the last change-over had to make writable, or fetch, by itself") \
    X(change_ahead_bytes_total,    COUNTER, "bytes",  "of state made writable just before a change-over came to them; none: a kernel before Linux 5.14") \
    X(push_long_waits_total,       COUNTER, "msgs",   "messages of local producers longer than 32 KiB that waited until others of them were whole: one socket takes 64 MiB of such at a time")

#define METRIC_ENUM_(name, kind, unit, text) METRIC_##name,
enum metric { METRICS(METRIC_ENUM_) METRIC_COUNT };
#undef METRIC_ENUM_

/* Times, counted by length.
 *    histogram                    from where to where */
#define HISTOGRAMS(X)                                                                                                 \
    X(acknowledged_signal,         "from the arrival of a request with signals to its answer")                      \
    X(signal_to_price,             "from the arrival of a batch's first signal to its prices in shared memory")     \
    X(batch,                       "a batch at its worker: state, prices, lines")                                   \
    X(redis_lag,                   "from a batch's commit to Redis's confirmation")

#define HISTOGRAM_ENUM_(name, text) HISTOGRAM_##name,
enum histogram { HISTOGRAMS(HISTOGRAM_ENUM_) HISTOGRAM_COUNT };
#undef HISTOGRAM_ENUM_

/* Upper bounds of the buckets in us; what is longer is in one more. */
#define HISTOGRAM_BOUNDS { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,     \
                           2500000, 5000000, 10000000 }
#define HISTOGRAM_BUCKETS 17u

struct metrics_histogram {
    _Atomic uint64_t bucket[HISTOGRAM_BUCKETS]; /* each counts only what is in it, not what is below */
    _Atomic uint64_t sum_us;
};

#define METRICS_FIRST_WORKER 2u /* 0 supervisor, 1 gateway, 2.. workers, last web */
#define METRICS_WEB          (METRICS_FIRST_WORKER + RIALTO_WORKERS_MAX)
#define METRICS_BLOCKS_MAX   (METRICS_WEB + 1u)
#define METRICS_WORDS      160u
_Static_assert(METRIC_COUNT <= METRICS_WORDS - 8, "block is full");

struct metrics_block {
    char             who[32];             /* "gateway", "worker.0"; "" = unused */
    uint64_t         reserved[4];
    _Atomic uint64_t word[METRICS_WORDS - 8];
    struct metrics_histogram histogram[HISTOGRAM_COUNT];
};
#define METRICS_FILE "metrics" RIALTO_FILE_SUFFIX
struct metrics_file {
    _Atomic uint64_t magic;
    uint32_t layout, metric_count, block_count, histogram_count;
    uint64_t reserved[509];
    struct metrics_block block[METRICS_BLOCKS_MAX];
};

/* metrics_create (prepare only; group_id -1: the folder's), metrics_open: this process's block for writing; metrics_read: all for reading (NULL
 * on failure). */
enum rialto_status metrics_create(const char *cache_dir, int64_t group_id);
enum rialto_status metrics_open(const char *cache_dir, uint32_t block, const char *who);
const struct metrics_file *metrics_read(const char *cache_dir);

extern struct metrics_block *metrics_own; /* never NULL: a private block until metrics_open() */

static inline void metric_add(enum metric metric, uint64_t n)
{
    atomic_fetch_add_explicit(&metrics_own->word[metric], n, memory_order_relaxed);
}
/* metric_count - the same of a metric that one thread of the process alone counts. An atomic addition waits until all stores before it are
 * in the cache: nothing to do for each of a million prices. */
static inline void metric_count(enum metric metric, uint64_t n)
{
    _Atomic uint64_t *word = &metrics_own->word[metric];
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void metric_set(enum metric metric, uint64_t value)
{
    atomic_store_explicit(&metrics_own->word[metric], value, memory_order_relaxed);
}
/* histogram_add - one time of `us` (below 0 counts as 0). Any thread of the process. */
void histogram_add(enum histogram histogram, int64_t us);

/* histogram_bound_us - upper bound of bucket `i`, UINT64_MAX for the last. */
uint64_t histogram_bound_us(size_t i);
const char *histogram_name(enum histogram histogram);
const char *histogram_text(enum histogram histogram);

const char *metric_name(enum metric metric);
const char *metric_unit(enum metric metric);
const char *metric_text(enum metric metric);
/* metrics_describe - the table as Markdown on `out`. */
void        metrics_describe(void *out /* FILE* */);
#endif
