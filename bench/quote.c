/* quote.c - how long a price takes: one quote and a page of 50, beside others with the same information.
 *
 *   fill all --> round: each in turn for a share of the seconds --> round ... --> workers beside the reader --> rates
 *
 * The reader has one processor and whoever works for or beside it the other. All are measured in each round, so that what
 * the machine does meanwhile hits all alike; of each figure the least of the rounds counts. Every answer is checked after it
 * was timed. */
#include "bench/quote.h"

#include "bench/memory.h"
#include "bench/peer.h"
#include "bench/publish.h"
#include "bench/tables.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DRAWS        32u     /* requests written down ahead of being timed; they stay in the processor's cache */
#define SAMPLES_MAX  400000u /* of a round */
#define CHECK_OFFERS 2000u
#define READER_DRAWS (1u << 20)
#define WRITE_AHEAD  32u
#define READ_AHEAD   16u
#define RATE_SHARE   4 /* rates get this part of a measurement's seconds, in each round */

struct bench { /* one run */
    struct outcome *o;
    struct tables *tables;
    struct tables *copy; /* in small pages */
    struct lmdb_peer *lmdb;
    struct redis_peer *redis;
    struct memcached_peer *memcached;
    struct memory memory;
    struct memory memory_small, memory_other; /* in the copy; a second thread's */
    struct scratch scratch;
    struct drawer drawer;
    struct samples samples;
    struct figures round[ROUNDS_MAX];
    struct draw draw[DRAWS];
    struct memory_draw memory_draw[DRAWS];
    struct ours ours;
    struct answer answer;
};

/* ---- one request --------------------------------------------------------------------------------------- */

/* The timed part. False when it was not answered. */
static bool ask(struct bench *b, enum who who, size_t i, size_t n)
{
    const struct draw *d = &b->draw[i];
    switch (who) {
    case WHO_SMALL_PAGES: return tables_ask(b->copy, d, n, &b->ours);
    case WHO_LMDB: return lmdb_peer_ask(b->lmdb, d, n, &b->answer);
    case WHO_REDIS_GET: return redis_peer_ask(b->redis, REDIS_GET, d, n, &b->answer);
    case WHO_REDIS_HMGET:
    case WHO_REDIS_NEAR: return redis_peer_ask(b->redis, REDIS_HMGET, d, n, &b->answer);
    case WHO_MEMCACHED: return memcached_peer_ask(b->memcached, d, n, &b->answer);
    case WHO_MEMORY:
    case WHO_MEMORY_PLAIN: memory_ask(&b->memory, &b->memory_draw[i], n, who == WHO_MEMORY); return true;
    default: return tables_ask(b->tables, d, n, &b->ours);
    }
}

static uint64_t wrong(const struct bench *b, enum who who, size_t i, size_t n)
{
    switch (who) {
    case WHO_MEMORY:
    case WHO_MEMORY_PLAIN: return 0;
    case WHO_LMDB:
    case WHO_REDIS_GET:
    case WHO_REDIS_HMGET:
    case WHO_REDIS_NEAR:
    case WHO_MEMCACHED: return answer_wrong(&b->o->size, &b->draw[i], n, &b->answer);
    default: return tables_wrong(b->tables, &b->draw[i], n, &b->ours);
    }
}

static void make_draws(struct bench *b, enum who who, size_t n)
{
    for (size_t i = 0; i < DRAWS; i++) {
        if (who == WHO_MEMORY || who == WHO_MEMORY_PLAIN) {
            memory_draw(&b->memory, n, &b->memory_draw[i]);
            continue;
        }
        drawer_draw(&b->drawer, n, &b->draw[i]);
        b->draw[i].nobody = who == WHO_NOBODY;
        if (who == WHO_NOBODY)
            b->draw[i].customer[0] = 'n'; /* no customer is called so */
        for (size_t k = 0; k < n && (who == WHO_CALM_LINE || who == WHO_HAMMERED); k++) {
            b->draw[i].product_number[k] = PUBLISH_ONE_PRODUCT;
            shop_sku(PUBLISH_ONE_PRODUCT, b->draw[i].sku[k]);
        }
    }
}

/* One round of one kind. */
static void measure_round(struct bench *b, enum who who, size_t n, double seconds, struct figures *ret)
{
    *ret = (struct figures){ 0 };
    b->samples.count = 0;
    double spent_ns = 0, limit_ns = seconds * 1e9;
    for (uint64_t batch = 0; (spent_ns < limit_ns || batch < 2) && b->samples.count + DRAWS <= b->samples.capacity;
         batch++) {
        make_draws(b, who, n);
        for (size_t i = 0; i < DRAWS; i++) {
            uint64_t from = clock_begin();
            bool answered = ask(b, who, i, n);
            uint64_t ticks = clock_end() - from;
            spent_ns += clock_ns(ticks);
            ret->failed += !answered;
            ret->wrong += answered ? wrong(b, who, i, n) : 0;
            if (batch > 0) /* the first batch fills predictors and the processor's cache */
                samples_add(&b->samples, ticks);
        }
    }
    samples_sort(&b->samples);
    ret->p50 = samples_at(&b->samples, 0.5);
    ret->p99 = samples_at(&b->samples, 0.99);
    ret->p999 = samples_at(&b->samples, 0.999);
    ret->samples = b->samples.count;
}

static double lesser(double a, double b)
{
    return a > 0 && a < b ? a : b;
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

/* Median of the first n values of a list that is kept in order. */
static double insert_median(double list[], uint64_t n, double value)
{
    uint64_t at = n;
    for (; at > 0 && list[at - 1] > value; at--)
        list[at] = list[at - 1];
    list[at] = value;
    return list[n / 2];
}

static void measure(struct bench *b, uint64_t round, enum who who, size_t n, struct figures *total)
{
    static double medians[WHO_COUNT][2][ROUNDS_MAX];
    struct figures f;
    measure_round(b, who, n, b->o->options.seconds / (double)b->o->options.rounds, &f);
    total->p50 = lesser(total->p50, f.p50);
    total->p99 = lesser(total->p99, f.p99);
    total->p999 = lesser(total->p999, f.p999);
    total->p50_median = insert_median(medians[who][n > 1], round, f.p50);
    total->samples += f.samples;
    total->failed += f.failed;
    total->wrong += f.wrong;
    b->o->measured[who] = true;
}

static void measure_both(struct bench *b, uint64_t round, enum who who)
{
    measure(b, round, who, 1, &b->o->quote[who]);
    measure(b, round, who, DRAW_PAGE, &b->o->page[who]);
}

static void measure_all(struct bench *b, uint64_t round)
{
    measure_both(b, round, WHO_OURS);
    measure_both(b, round, WHO_NOBODY);
    measure_both(b, round, WHO_MEMORY);
    measure_both(b, round, WHO_MEMORY_PLAIN);
    measure_both(b, round, WHO_SMALL_PAGES);
    if (!b->o->options.peers)
        return;
    measure_both(b, round, WHO_LMDB);
    measure_both(b, round, WHO_REDIS_GET);
    measure_both(b, round, WHO_REDIS_HMGET);
    if (bench_cores() > 1) { /* the server on the reader's own processor: no other one has to be woken */
        bench_pin(redis_peer_pid(b->redis), BENCH_CORE_READER);
        measure_both(b, round, WHO_REDIS_NEAR);
        bench_pin(redis_peer_pid(b->redis), BENCH_CORE_OTHER);
    }
    measure_both(b, round, WHO_MEMCACHED);
}

/* ---- beside workers, beside a second reader ------------------------------------------------------------ */

static bool measure_beside(struct bench *b, uint64_t round, enum publish_where where, enum who who, double *rate)
{
    struct publishers *p = publishers_start(b->tables, b->o->options.writers, where);
    if (p == NULL)
        return false;
    measure_both(b, round, who);
    double now = publishers_stop(p);
    *rate = greater(*rate, now);
    return now >= 0;
}

static bool measure_writers(struct bench *b, uint64_t round)
{
    measure_both(b, round, WHO_ALONE);
    if (!measure_beside(b, round, PUBLISH_ALL, WHO_WITH_WRITERS, &b->o->beside_rate))
        return false;
    measure_both(b, round, WHO_CALM_LINE);
    return measure_beside(b, round, PUBLISH_ONE, WHO_HAMMERED, &b->o->hammer_rate);
}

enum work { WORK_QUOTES, WORK_LINES, WORK_COMPUTING };

struct reader { /* one thread that asks as fast as it can */
    enum work work;
    const struct tables *tables;
    struct memory *memory; /* whose lines WORK_LINES reads */
    const char (*id)[2][SHOP_ID_BYTES];
    unsigned core;
    double seconds;
    double rate;
    uint64_t failed;
    pthread_barrier_t *start;
};

static void quote_on(struct reader *r)
{
    struct rialto_quote quote;
    uint64_t quotes = 0;
    double from = clock_seconds(), spent = 0;
    for (size_t at = r->core * READER_DRAWS / 2; spent < r->seconds; spent = clock_seconds() - from) {
        for (int i = 0; i < 256; i++, at++) {
            const char(*id)[SHOP_ID_BYTES] = r->id[at % READER_DRAWS];
            r->failed += rialto_quote(r->tables->prices, &(struct rialto_request){ .customer = id[0] }, id[1],
                                      &quote) != RIALTO_OK;
        }
        quotes += 256;
    }
    r->rate = (double)quotes / spent;
}

/* Steps that depend on each other in registers, four chains beside each other: no memory, so two threads of them say what two
 * processors give here that may be two threads of one core. */
static void compute_on(struct reader *r)
{
    uint64_t x[4] = { 1, 2, 3, 4 }, steps = 0;
    double from = clock_seconds(), spent = 0;
    for (; spent < r->seconds; spent = clock_seconds() - from) {
        for (int i = 0; i < 4096; i++) {
            for (int chain = 0; chain < 4; chain++) {
                x[chain] ^= x[chain] << 13;
                x[chain] ^= x[chain] >> 7;
                x[chain] ^= x[chain] << 17;
            }
        }
        steps += 4096;
    }
    r->failed += (x[0] ^ x[1] ^ x[2] ^ x[3]) == 0; /* so that the work is done */
    r->rate = (double)steps / spent;
}

static void *read_on(void *argument)
{
    struct reader *r = argument;
    bench_pin(0, r->core);
    if (r->start != NULL)
        (void)pthread_barrier_wait(r->start);
    switch (r->work) {
    case WORK_QUOTES: quote_on(r); break;
    case WORK_LINES: r->rate = memory_read_rate(r->memory, r->seconds, 0); break;
    case WORK_COMPUTING: compute_on(r); break;
    }
    return NULL;
}

/* One after the other, then both at once; the rates of one and of two. */
static void measure_pair(struct reader r[2], double *one, double *two)
{
    pthread_barrier_t start;
    pthread_t other;
    double alone = 0;
    for (unsigned core = 0; core < 2; core++) {
        (void)read_on(&r[core]);
        alone += r[core].rate / 2;
    }
    *one = greater(*one, alone);
    (void)pthread_barrier_init(&start, NULL, 2);
    r[0].start = r[1].start = &start;
    if (pthread_create(&other, NULL, read_on, &r[1]) == 0) {
        (void)read_on(&r[0]);
        (void)pthread_join(other, NULL);
        *two = greater(*two, r[0].rate + r[1].rate);
    }
    (void)pthread_barrier_destroy(&start);
    bench_pin(0, BENCH_CORE_READER);
}

static void measure_readers(struct bench *b, const char (*id)[2][SHOP_ID_BYTES], double seconds)
{
    struct reader quotes[2], lines[2], computing[2];
    for (unsigned core = 0; core < 2; core++) {
        quotes[core] = (struct reader){ .tables = b->tables, .id = id, .core = core, .seconds = seconds };
        lines[core] = quotes[core];
        lines[core].work = WORK_LINES;
        lines[core].memory = core == 0 ? &b->memory : &b->memory_other;
        computing[core] = quotes[core];
        computing[core].work = WORK_COMPUTING;
    }
    measure_pair(quotes, &b->o->readers_one, &b->o->readers_two);
    measure_pair(lines, &b->o->lines_one, &b->o->lines_two);
    measure_pair(computing, &b->o->steps_one, &b->o->steps_two);
    b->o->quote[WHO_OURS].failed += quotes[0].failed + quotes[1].failed;
}

static bool measure_rates(struct bench *b)
{
    struct outcome *o = b->o;
    double seconds = o->options.seconds / RATE_SHARE / (double)o->options.rounds;
    double rate = publish_rate(b->tables, seconds);
    if (rate < 0)
        return false;
    o->publish_rate = greater(o->publish_rate, rate);
    o->write_rate = greater(o->write_rate, scratch_write_rate(&b->scratch, seconds / 2, 0));
    o->write_rate = greater(o->write_rate, scratch_write_rate(&b->scratch, seconds / 2, WRITE_AHEAD));
    o->read_rate_plain = greater(o->read_rate_plain, memory_read_rate(&b->memory, seconds, 0));
    o->read_rate = greater(o->read_rate, memory_read_rate(&b->memory, seconds, READ_AHEAD));
    o->chase_ns = lesser(o->chase_ns, memory_chase_ns(&b->memory, seconds));
    o->chase_small_ns = lesser(o->chase_small_ns, memory_chase_ns(&b->memory_small, seconds));
    return true;
}

/* ---- the run ------------------------------------------------------------------------------------------- */

/* Uniform draws hardly ever meet an offer: ask for some, untimed, so that these answers are checked too. */
static void check_offers(struct bench *b)
{
    for (uint64_t i = 0; i < CHECK_OFFERS && b->o->size.offers > 0; i++) {
        size_t n = i % 2 == 0 ? 1 : DRAW_PAGE;
        drawer_draw_offer(&b->drawer, n, &b->draw[0]);
        bool answered = tables_ask(b->tables, &b->draw[0], n, &b->ours);
        b->o->offers_checked++;
        b->o->offers_wrong += !answered || tables_wrong(b->tables, &b->draw[0], n, &b->ours) > 0;
    }
}

static void say(const struct bench *b, const char *what, double from, double *ret)
{
    *ret = clock_seconds() - from;
    if (*ret > 1)
        fprintf(stderr, "%s: %.1f s\n", what, *ret);
    (void)b;
}

static bool fill_all(struct bench *b)
{
    struct outcome *o = b->o;
    double from = clock_seconds(), copy_s = 0;
    b->tables = tables_create(&o->size);
    if (b->tables == NULL)
        return false;
    say(b, "filled Rialto's tables", from, &o->fill_s);
    from = clock_seconds();
    b->copy = tables_copy(b->tables);
    bool ok = b->copy != NULL && scratch_setup(&b->scratch, o->size.products * 2);
    if (b->copy != NULL && !ok)
        fprintf(stderr, "rialto-bench: no memory to write to\n");
    say(b, "copied them into small pages", from, &copy_s);
    if (!ok || !o->options.peers)
        return ok;
    from = clock_seconds();
    b->lmdb = lmdb_peer_create(&o->size);
    say(b, "filled LMDB", from, &o->lmdb_fill_s);
    from = clock_seconds();
    b->redis = b->lmdb == NULL ? NULL : redis_peer_create(&o->size);
    say(b, "filled Redis", from, &o->redis_fill_s);
    from = clock_seconds();
    b->memcached = b->redis == NULL ? NULL : memcached_peer_create(&o->size);
    say(b, "filled memcached", from, &o->memcached_fill_s);
    return b->memcached != NULL;
}

static bool measure_rounds(struct bench *b)
{
    struct outcome *o = b->o;
    char(*id)[2][SHOP_ID_BYTES] = malloc(READER_DRAWS * sizeof *id);
    if (id == NULL)
        return false;
    for (size_t i = 0; i < READER_DRAWS; i++) {
        shop_customer_id(zipf_draw(&b->drawer.customers, &b->drawer.random), id[i][0]);
        shop_sku(zipf_draw(&b->drawer.products, &b->drawer.random), id[i][1]);
    }
    bool ok = true;
    for (uint64_t round = 0; ok && round < o->options.rounds; round++) {
        measure_all(b, round);
        if (bench_cores() > 1)
            measure_readers(b, (const char(*)[2][SHOP_ID_BYTES])id, o->options.seconds / (double)o->options.rounds);
        ok = (o->options.writers == 0 || measure_writers(b, round)) && measure_rates(b);
    }
    free(id);
    return ok;
}

static bool run(struct bench *b)
{
    struct outcome *o = b->o;
    bench_pin(0, BENCH_CORE_READER);
    drawer_init(&b->drawer, &o->size, o->options.zipf, 42);
    if (!samples_setup(&b->samples, SAMPLES_MAX) || !fill_all(b))
        return false;
    memory_init(&b->memory, b->tables);
    memory_init(&b->memory_other, b->tables);
    memory_init(&b->memory_small, b->copy);
    b->memory_other.random = 8; /* other places than the first thread's */
    check_offers(b);
    if (!measure_rounds(b))
        return false;
    o->lines = b->tables->lines;
    o->capacity = b->tables->capacity;
    o->bytes = b->tables->bytes;
    o->service_bytes = b->tables->service_bytes;
    o->service_products_bytes = b->tables->service_products_bytes;
    o->large_bytes = tables_large_bytes(b->tables);
    o->redis = o->quote[WHO_REDIS_GET].p50 + o->page[WHO_REDIS_GET].p50 / DRAW_PAGE <
                       o->quote[WHO_REDIS_HMGET].p50 + o->page[WHO_REDIS_HMGET].p50 / DRAW_PAGE
                   ? WHO_REDIS_GET
                   : WHO_REDIS_HMGET;
    return true;
}

static void tear_down(struct bench *b)
{
    memcached_peer_destroy(b->memcached);
    redis_peer_destroy(b->redis);
    lmdb_peer_destroy(b->lmdb);
    scratch_teardown(&b->scratch);
    tables_destroy(b->copy);
    tables_destroy(b->tables);
    samples_teardown(&b->samples);
}

/* One file a run: results are kept, so that they can be compared. */
static bool keep(const struct outcome *o)
{
    char path[4200], stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    (void)mkdir(o->options.history, 0755); /* it is there, or fopen() says what is wrong */
    (void)snprintf(path, sizeof path, "%s/quote-%s.json", o->options.history, stamp);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "rialto-bench: cannot write %s\n", path);
        return false;
    }
    outcome_json(o, file);
    if (fclose(file) != 0)
        return false;
    fprintf(stderr, "kept in %s\n", path);
    return true;
}

int bench_quote(const struct bench_options *options)
{
    struct bench *b = calloc(1, sizeof *b);
    struct outcome *o = calloc(1, sizeof *o);
    bool ok = b != NULL && o != NULL;
    if (!ok)
        fprintf(stderr, "rialto-bench: out of memory\n");
    if (ok) {
        b->o = o;
        o->options = *options;
        o->size = (struct shop_size){ .customers = options->customers,
                                      .products = options->cells / 2,
                                      .offers = options->offers };
        ok = run(b);
        tear_down(b);
    }
    if (ok && options->json)
        outcome_json(o, stdout);
    else if (ok)
        outcome_table(o, stdout);
    if (ok && options->history != NULL)
        ok = keep(o);
    if (ok && outcome_wrong(o) > 0) {
        fprintf(stderr, "rialto-bench: %" PRIu64 " answers were missing or wrong\n", outcome_wrong(o));
        ok = false;
    }
    free(o);
    free(b);
    return ok ? 0 : 1;
}
