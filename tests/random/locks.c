/* locks.c - a million live locks are no burden, and those that are over leave by themselves.
 *
 *   offer signals --wire--> a worker's own batch path (batch_apply), state, lines and deadlines as they are; no Redis
 *   service time, a second a tick, through every lock's end
 *
 * Each customer has one lock. Most end at a random moment within HOURS, a twentieth of them all in the same millisecond: more than a tick takes
 * away, so that the rest wait for the next ones. After each tick what is held is counted against an array of ends and of who waits. Nothing
 * here looks at a clock: the work of a tick is the bytes of old images that its batch saved, since nothing in state changes without one.
 *
 * Bounds     of what a lock takes, where it stands and in this process's own memory; of a tick's work: so much for each lock that it takes away,
 *            OFFERS_A_TICK of a partition at most, and for each that the timing wheel moves nearer, of which it may move those of one
 *            partition at once; over all ticks each lock is moved at most three times.
 *
 *   locks [SECONDS]      100,000 of them, from 60 s on a million; RIALTO_LOCKS: how many; RIALTO_SEED */
#include "cache/keys.h"
#include "cache/table.h"
#include "service/apply_customer.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/roles.h"
#include "service/temporary.h"
#include "service/worker.h"
#include "tests/race/race.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS    INT64_C(1760000000000)
#define HOURS       6
#define TICKS       (HOURS * 3600u)
#define SAME_TICK   (TICKS / 2)
#define SAME_SHARE  20u
#define BATCH       1000u
#define SAMPLES     64u
#define SOAK_MS     60000
#define LOCK        4 /* in CHOICES_OFFER */

/* What a lock may take. Records, indexes, deadlines and old images in the state file: docs/decisions/2026-11-26-price-locks.md; two lines of 64 bytes with their tags at
 * the load at which tables are made; and nothing that grows with locks in private memory but what is due in one tick. */
#define STATE_BYTES_MAX   4608u
#define LINES_BYTES_MAX   256u
#define PRIVATE_BYTES_MAX 32u
#define PRIVATE_FIXED     (INT64_C(16) << 20)

/* Old images, padded, each behind 16 bytes that say whose it is: of a lock that ends, both its records, their links, those of neighbours in
 * lists, buckets, the free lists; of one that is moved, its link and three neighbours', and the heads of two slots. */
#define ENDS_BYTES_MAX  4096u
#define MOVES_BYTES_MAX 320u
#define FIXED_BYTES_MAX (RIALTO_PARTITIONS * 256u)
#define MOVES_MAX       3u

static struct config config;
static struct worker worker;
static char folder[TEMPORARY_MAX];
static uint32_t locks, *ends_in; /* [locks] tick at which it is gone */
static uint16_t ends_at[TICKS + 2][RIALTO_PARTITIONS];
static uint64_t waiting[RIALTO_PARTITIONS]; /* over, and not yet taken away */
static uint64_t dice, seq;
static int failures;

static void must(bool good, const char *what)
{
    if (good)
        return;
    printf("not ok - %s\n", what);
    temporary_remove(folder);
    exit(1);
}

/* ---- the world ------------------------------------------------------------------------------------------------------- */

static void set(const char *format, const char *text, uint32_t number)
{
    char line[256];
    struct fault fault;
    (void)snprintf(line, sizeof line, format, text, number);
    must(config_set(&config, line, &fault) == RIALTO_OK, line);
}

static void configure(void)
{
    struct fault fault;
    uint32_t room = locks + locks / 4 + 4096; /* partitions have uneven shares */
    config_defaults(&config);
    set("data_dir=%s/data", folder, 0);
    set("cache_dir=%s/cache", folder, 0);
    set("models_dir=%s/models", folder, 0);
    set("redis_url=unix:%s/none", folder, 0);
    set("%s=%u", "customers_max", room);
    set("%s=%u", "offers_max", room);
    set("%s=%u", "locks_max", room);
    set("%s=%u", "products_max", 64);
    set("%s=%u", "cells_max", 4096);
    set("%s=%u", "ids_max", 64);
    set("%s=%u", "worker_count", 1);
    must(config_finish(&config, &fault) == RIALTO_OK && data_dir_make(&config), "the configuration is taken");
}

static void ignore_durable(void *user, uint64_t durable, bool disk)
{
    (void)user, (void)durable, (void)disk;
}

static void ignore(void *user)
{
    (void)user;
}

/* State files as a worker leaves them that has applied nothing yet: it need not ask Redis, of which there is none here. */
static void state_begin_empty(void)
{
    for (uint32_t number = 0; number <= RIALTO_PARTITIONS; number++) {
        struct state *state = NULL;
        bool fresh = false;
        must(state_open(&config, number, 0, &state, &fresh) == RIALTO_OK, "state opens");
        state_set_clock(state, START_MS); /* as a start out of Redis does */
        state_set_applied(state, 0);
        state_close(state);
    }
}

static void world_open(void)
{
    static const struct mirror_hooks hooks = { .durable = ignore_durable, .wake = ignore };
    static const char MODEL[] = "{\"model\":\"m\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},\"factors\":[]}";
    char path[TEMPORARY_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/models", folder);
    must(mkdir(path, 0700) == 0, "a folder of models");
    (void)snprintf(path, sizeof path, "%s/models/m.json", folder);
    must(file_replace(path, MODEL, strlen(MODEL)), "a model");
    must(prepare_main(&config) == EXIT_SUCCESS, "tables and models are ready");
    state_begin_empty();
    must(worker_setup(&config, 0, &worker) == RIALTO_OK, "a worker");
    must(mirror_start(&config, 0, &hooks, &worker.mirror) == RIALTO_OK, "its mirror");
}

/* ---- what is sent ------------------------------------------------------------------------------------------------------ */

static void apply(uint8_t *message, size_t bytes, uint32_t count, int64_t tick_ms)
{
    seq += WIRE_SEQ_STRIDE;
    const struct wire_header header = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .kind = WIRE_BATCH,
                                        .seq = seq, .tick_ms = tick_ms, .count = count };
    memcpy(message, &header, sizeof header);
    must(batch_apply(&worker, message, bytes), "a batch is applied");
    must(worker.finding_count == 0, "nothing is refused");
}

static struct rialto_key customer_key(uint32_t lock, char ret[RIALTO_ID_MAX])
{
    (void)snprintf(ret, RIALTO_ID_MAX, "customer-%u", lock);
    return id_key(&worker, ret);
}

static struct rialto_key offer_key(uint32_t lock, char ret[RIALTO_ID_MAX])
{
    char customer[RIALTO_ID_MAX];
    (void)snprintf(ret, RIALTO_ID_MAX, "sku-%u", lock % 997);
    return key_pair(customer_key(lock, customer), id_key(&worker, ret));
}

/* Tick `n` is at START_MS + n seconds; whoever ends at or before it is gone then. */
static int64_t choose_end(uint32_t lock, uint32_t partition)
{
    uint64_t ms = race_random(&dice) % (TICKS * UINT64_C(1000)) + 1;
    if (lock % SAME_SHARE == 0)
        ms = SAME_TICK * UINT64_C(1000);
    ends_in[lock] = (uint32_t)((ms + 999) / 1000);
    ends_at[ends_in[lock]][partition]++;
    return START_MS + (int64_t)ms;
}

static void give_locks(void)
{
    uint8_t *message = malloc(sizeof(struct wire_header) + BATCH * WIRE_RECORD_MAX);
    must(message != NULL, "memory");
    for (uint32_t at = 0; at < locks;) {
        size_t bytes = sizeof(struct wire_header);
        uint32_t count = 0;
        for (; at < locks && count < BATCH; at++, count++) {
            struct signal signal = { .type = SIGNAL_offer, .time_ms = START_MS, .amount = 100 + at % 5000, .offer_kind = LOCK };
            uint32_t partition = key_partition(customer_key(at, signal.customer));
            (void)offer_key(at, signal.sku);
            (void)snprintf(signal.currency, sizeof signal.currency, "EUR");
            signal.until_ms = choose_end(at, partition);
            signal.present = UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_offer_kind | UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_amount |
                             UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_until_ms;
            bytes += wire_record_encode(&signal, PART_CUSTOMER, partition, count, 0, 0, message + bytes);
        }
        apply(message, bytes, count, START_MS);
    }
    free(message);
}

/* ---- what is there ------------------------------------------------------------------------------------------------------- */

static uint64_t held(enum state_pool pool)
{
    uint64_t used = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        used += state_used(worker.partition[p].state, pool);
    return used;
}

static uint64_t promised(void)
{
    uint64_t count = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        count += locks_count(&worker.partition[p]);
    return count;
}

static bool has_lines(uint32_t lock)
{
    char id[RIALTO_ID_MAX];
    struct rialto_key customer = customer_key(lock, id), offer = offer_key(lock, id);
    uint32_t partition = key_partition(customer);
    bool terms = table_find(worker.cache, RIALTO_TABLE_TERMS, partition, customer) != SLOT_NONE;
    bool offers = table_find(worker.cache, RIALTO_TABLE_OFFERS, partition, offer) != SLOT_NONE;
    must(terms == offers, "a customer has both lines or none");
    return offers;
}

/* Bytes of old images that the last batch saved. */
static uint64_t work_of_tick(void)
{
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        const struct state *state = worker.partition[p].state;
        bytes += state_applied(state) == seq ? state_saved_bytes(state) : 0;
    }
    return bytes;
}

static int64_t private_bytes(void)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld kB", &kib) == 1)
            break;
    must(file != NULL && fclose(file) == 0 && kib > 0, "/proc says how much is private");
    return (int64_t)kib * 1024;
}

/* ---- through all of their ends ------------------------------------------------------------------------------------------ */

struct seen {
    uint64_t work, work_most, idle_most, ticks_over, wrong, waits;
    int64_t private_most;
};

/* How many locks a tick takes away. */
static uint64_t taken_away(uint32_t tick, uint64_t *ret_waiting, uint64_t *ret_waits)
{
    uint64_t taken = 0;
    *ret_waiting = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        uint64_t due = waiting[p] + ends_at[tick][p], now = due < OFFERS_A_TICK ? due : OFFERS_A_TICK;
        waiting[p] = due - now;
        *ret_waiting += waiting[p];
        *ret_waits += waiting[p] > 0;
        taken += now;
    }
    return taken;
}

static void one_tick(uint32_t tick, uint64_t *alive, struct seen *seen)
{
    uint8_t message[sizeof(struct wire_header)];
    uint64_t wait, taken = taken_away(tick, &wait, &seen->waits);
    *alive -= taken;
    apply(message, sizeof message, 0, START_MS + (int64_t)tick * 1000);
    uint64_t work = work_of_tick(), moved_most = locks / RIALTO_PARTITIONS * 5 / 4 + 64;
    seen->work += work;
    seen->work_most = work > seen->work_most ? work : seen->work_most;
    if (taken == 0)
        seen->idle_most = work > seen->idle_most ? work : seen->idle_most;
    seen->ticks_over += work > FIXED_BYTES_MAX + taken * (uint64_t)ENDS_BYTES_MAX + moved_most * MOVES_BYTES_MAX;
    seen->wrong += held(POOL_OFFERS) != *alive || held(POOL_CUSTOMERS) != *alive || promised() != *alive;
    for (uint32_t i = 0; tick % 600 == 0 && wait == 0 && i < SAMPLES; i++) {
        uint32_t lock = (uint32_t)(race_random(&dice) % locks);
        seen->wrong += has_lines(lock) != (ends_in[lock] > tick);
    }
}

static struct seen go_through_time(void)
{
    struct seen seen = { 0 };
    uint64_t alive = locks;
    for (uint32_t tick = 1; tick <= TICKS; tick++)
        one_tick(tick, &alive, &seen);
    seen.private_most = private_bytes();
    return seen;
}

int main(int argc, char *argv[])
{
    const char *wanted = getenv("RIALTO_LOCKS"), *first = getenv("RIALTO_SEED"), *tmp = getenv("TMPDIR");
    locks = race_duration_ms(argc, argv) >= SOAK_MS ? 1000000 : 100000;
    locks = wanted != NULL ? (uint32_t)strtoul(wanted, NULL, 10) : locks;
    dice = first != NULL ? strtoull(first, NULL, 10) : (uint64_t)race_now_ms() | 1u;
    uint64_t seed = dice;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    log_setup("locks", "error", "text");
    ends_in = calloc(locks, sizeof *ends_in);
    must(locks > 0 && ends_in != NULL && temporary_folder(tmp != NULL ? tmp : "/tmp", "rialto-locks", folder), "a folder");
    configure();
    world_open();
    int64_t began = race_now_ms(), private_before = private_bytes();
    give_locks();
    int64_t given = race_now_ms();
    failures += race_report(held(POOL_OFFERS) == locks && promised() == locks, "all locks are live");
    uint64_t state = state_bytes_a_record(POOL_OFFERS) + state_bytes_a_record(POOL_CUSTOMERS);
    struct seen seen = go_through_time();
    printf("# RIALTO_SEED=%" PRIu64 " %u locks, given in %" PRId64 " ms; %u ticks in %" PRId64 " ms\n", seed, locks, given - began, TICKS, race_now_ms() - given);
    printf("# %" PRIu64 " bytes of state a lock; private %" PRId64 " KiB before, %" PRId64 " after\n", state, private_before / 1024, seen.private_most / 1024);
    printf("# work: %" PRIu64 " bytes a lock, %" PRIu64 " KiB in a tick at most, %" PRIu64 " KiB where none ended\n", seen.work / locks, seen.work_most / 1024, seen.idle_most / 1024);
    uint64_t left = 0;
    for (uint32_t i = 0; i < locks; i++)
        left += has_lines(i);
    failures += race_report(seen.wrong == 0,
                            "at each tick those are held that have not ended, or wait for their turn, and no others");
    failures += race_report(locks < 100000 || seen.waits > 0, "more ended in one millisecond than one tick takes away");
    uint64_t waited =
        metrics_own
            ->word[METRIC_offers_waited_total]; /* one's last 64 may be all there is: the next tick finds that out */
    failures +=
        race_report(waited >= seen.waits && waited <= seen.waits + RIALTO_PARTITIONS * 2, "who waits is counted");
    failures += race_report(left == 0 && held(POOL_OFFERS) == 0 && held(POOL_CUSTOMERS) == 0 && promised() == 0, "all have left by themselves, their lines and customers too");
    failures += race_report(state <= STATE_BYTES_MAX, "a lock takes so much of the state, and no more");
    failures += race_report(seen.private_most - private_before <= PRIVATE_FIXED + (int64_t)locks * PRIVATE_BYTES_MAX, "private memory does not grow with locks");
    failures += race_report(
        seen.ticks_over == 0,
        "the work of each tick is that of the locks that it takes away, and of one partition that comes nearer");
    failures += race_report(seen.work <= locks * (uint64_t)(ENDS_BYTES_MAX + MOVES_MAX * MOVES_BYTES_MAX) + TICKS * UINT64_C(64), "over all of time each is moved three times at most");
    mirror_stop(worker.mirror);
    worker_teardown(&worker);
    temporary_remove(folder);
    free(ends_in);
    return failures == 0 ? 0 : 1;
}
