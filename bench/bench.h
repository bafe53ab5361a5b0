/* bench.h - what measurements share: options, a clock, samples and their percentiles.
 *
 * Rules of this folder: a peer runs in the same run, on the same data, through its own client; both pay for hashing or
 * formatting their keys; the clock's own cost is printed and not subtracted. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
    uint64_t customers;
    uint64_t cells;
    bool customers_given, cells_given;
    uint64_t offers;
    double zipf;      /* exponent of the draws; 0 = uniform */
    uint64_t writers; /* processes that publish beside the reader */
    double seconds;   /* of answers, for each measurement */
    uint64_t operations; /* of churn */
    uint64_t start_percent; /* of its table, when it is made: it grows to the whole while it is filled */
    uint64_t rounds;  /* that these seconds are divided into; all are measured in turn */
    bool json;        /* one object on standard output instead of the table */
    bool peers;
    const char *history; /* a folder that gets the object as a file; NULL = none */
};

/* ---- clock --------------------------------------------------------------------------------------------- */

/* clock_setup - calibrate; takes about 0.1 s. Call once, first. */
void clock_setup(void);
const char *clock_name(void);
double clock_cost_ns(void);
double clock_ns(uint64_t ticks);
uint64_t clock_begin(void); /* no earlier instruction is still running */
uint64_t clock_end(void);   /* no later one has begun */

/* clock_seconds - CLOCK_MONOTONIC; for what takes long. */
double clock_seconds(void);

/* ---- samples ------------------------------------------------------------------------------------------- */

struct samples {
    uint32_t *ticks; /* one per operation, capped at UINT32_MAX */
    size_t count;
    size_t capacity;
};

bool samples_setup(struct samples *s, size_t capacity);
void samples_teardown(struct samples *s);
void samples_sort(struct samples *s);

static inline void samples_add(struct samples *s, uint64_t ticks)
{
    if (s->count < s->capacity)
        s->ticks[s->count++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

/* samples_at - the value in ns that `share` of the samples do not exceed; after samples_sort(). */
double samples_at(const struct samples *s, double share);

/* bench_mix - a bijection of 64 bits that scatters them (the finaliser of SplitMix64). */
static inline uint64_t bench_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* bench_random - SplitMix64: the same sequence in each run. */
static inline uint64_t bench_random(uint64_t *state)
{
    return bench_mix(*state += UINT64_C(0x9E3779B97F4A7C15));
}

/* ---- processes and processors --------------------------------------------------------------------------- */

#define BENCH_CORE_READER 0u /* the measured thread */
#define BENCH_CORE_OTHER  1u /* whoever works beside it: a server, a writer, a second reader */

/* bench_pin - bind a process or thread (0 = the caller) to the n-th of the processors that this program was started on;
 * where there are fewer, nothing happens. */
void bench_pin(int pid, unsigned core);
unsigned bench_cores(void);

/* bench_server - start a program with its standard streams on /dev/null; it dies with us. 0 when it cannot be started. */
int bench_server(unsigned core, const char *const argv[]);
bool bench_server_lives(int pid);
void bench_server_stop(int pid);

/* ---- measurements -------------------------------------------------------------------------------------- */

/* bench_quote - prices for a customer: Rialto's library beside LMDB, Redis, memcached and the memory. Returns the exit
 * status: 0; 1 when something failed or any answer was wrong. */
int bench_quote(const struct bench_options *options);
/* bench_ingest - signals to published prices through a real gateway and worker, beside bare cJSON on the same bytes. */
int bench_ingest(const struct bench_options *options);
/* bench_price - cells repriced by a worker, one weather signal for a million prices, one demand signal to its price. */
int bench_price(const struct bench_options *options);
/* bench_acked - 20,000 acknowledged signals a second at levels redis and disk, beside a bare client of the same transactions. Exit status
 * 1 when one was not acknowledged at its level. */
int bench_acked(const struct bench_options *options);
/* bench_overload - quotes while more signals come than can be priced, beside quotes while none come. Exit status 1 when a quote was
 * wrong, a newest price was not seen, or a signal was lost. */
int bench_overload(const struct bench_options *options);
/* bench_restart - a worker killed among so many lines: how soon its successor goes on. Exit status 1 when a quote was wrong meanwhile, or
 * lines were written again. */
int bench_restart(const struct bench_options *options);
/* bench_start - a start with empty shared memory among so many records: seconds until quotes are answered, and until they are priced. Exit
 * status 1 when one was wrong. */
int bench_start(const struct bench_options *options);
/* bench_clients - the same quotes from C, Python, Node.js, PHP and Java, over HTTP and out of Redis, on one service. */
int bench_clients(const struct bench_options *options);
/* bench_http - quotes and pages a second over HTTP by wrk, alone and beside slow clients. Exit status 1 when an answer was wrong, or none. */
int bench_http(const struct bench_options *options);
/* bench_lines - the side line beside a plain seqlock, two copies a line and repair by a successor. Exit status: 1 when a
 * torn line was read. */
int bench_lines(const struct bench_options *options);
/* bench_churn - keys deleted and new ones inserted for ever, at a load of 0.7. Exit status: 1 when it slowed down, or a line was
 * lost or came back. */
int bench_churn(const struct bench_options *options);

#endif
