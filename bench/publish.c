/* publish.c - changed lines at known places, in order of the worker's records. */
#include "bench/publish.h"

#include "bench/bench.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AHEAD 32u   /* lines that are on their way while one is written: 16 cost a sixth where memory answers in 165 ns */
#define BURST 1024u /* lines between two looks at the clock */

struct publishers { /* shared with the children */
    _Atomic bool stop;
    _Atomic uint32_t ready;
    uint64_t count;
    pid_t pid[PUBLISHERS_MAX];
    double since;
    _Atomic uint64_t published[PUBLISHERS_MAX][8]; /* a line of the processor's cache each */
};

struct round { /* a worker's way through its cells, again and again */
    struct tables *t;
    struct cache *cache;
    uint32_t *own; /* numbers of its cells */
    uint64_t count;
    uint64_t at;
    uint32_t version;
};

static bool round_setup(struct round *r, struct tables *t, uint64_t worker, uint64_t workers, enum publish_where where)
{
    uint64_t cells = where == PUBLISH_ONE ? 2 : t->size.products * 2;
    *r = (struct round){ .t = t, .version = 1, .own = malloc(cells * sizeof r->own[0]) };
    for (uint64_t i = 0; r->own != NULL && i < cells; i++) {
        uint64_t number = where == PUBLISH_ONE ? 2 * PUBLISH_ONE_PRODUCT + i : i;
        if (t->place[number].partition % workers == worker)
            r->own[r->count++] = (uint32_t)number;
    }
    return r->own != NULL && cache_open(t->folder, &r->cache) == RIALTO_OK;
}

static void round_teardown(struct round *r)
{
    cache_close(r->cache);
    free(r->own);
}

static void step(struct round *r)
{
    if (++r->at == r->count) {
        r->at = 0;
        r->version = (r->version + 1) % SHOP_VERSIONS;
    }
}

/* A line to where the round is, while those ahead begin to come; and on. */
static inline void publish_line(struct round *r, const struct rialto_cell_line *line)
{
    uint64_t later = r->own[r->at + AHEAD < r->count ? r->at + AHEAD : r->at];
    const struct cell_place *place = &r->t->place[r->own[r->at]], *next = &r->t->place[later];
    table_prefetch(r->cache, RIALTO_TABLE_CELLS, next->partition, next->slot);
    (void)table_write(r->cache, RIALTO_TABLE_CELLS, place->partition, place->slot, line);
    step(r);
}

static void publish(struct round *r, uint64_t lines)
{
    struct rialto_cell_line line;
    for (uint64_t i = 0; i < lines; i++) {
        tables_cell(r->t, r->own[r->at], r->version, &line);
        publish_line(r, &line);
    }
}

/* The next lines, ahead of the clock, as the places of the memory's own writes are; r stays where it is. */
static void make_lines(const struct round *r, struct rialto_cell_line ret[BURST])
{
    struct round ahead = *r;
    for (uint64_t i = 0; i < BURST; i++, step(&ahead))
        tables_cell(ahead.t, ahead.own[ahead.at], ahead.version, &ret[i]);
}

double publish_rate(struct tables *t, double seconds)
{
    static struct rialto_cell_line line[BURST];
    struct round r;
    double rate = -1;
    if (round_setup(&r, t, 0, 1, PUBLISH_ALL)) {
        publish(&r, BURST * 16); /* page faults now */
        uint64_t lines = 0;
        double spent = 0;
        for (; spent < seconds; lines += BURST) {
            make_lines(&r, line);
            double from = clock_seconds();
            for (uint64_t i = 0; i < BURST; i++)
                publish_line(&r, &line[i]);
            spent += clock_seconds() - from;
        }
        rate = (double)lines / spent;
    }
    if (rate < 0)
        fprintf(stderr, "rialto-bench: the tables cannot be opened for writing\n");
    round_teardown(&r);
    return rate;
}

static void run_child(struct publishers *p, struct tables *t, uint64_t worker, enum publish_where where)
{
    struct round r;
    if (!round_setup(&r, t, worker, p->count, where))
        _exit(1);
    if (r.count > 0)
        publish(&r, where == PUBLISH_ONE ? 2 : r.count); /* page faults before anybody is measured */
    atomic_fetch_add(&p->ready, 1);
    while (r.count > 0 && !atomic_load_explicit(&p->stop, memory_order_relaxed)) {
        publish(&r, BURST);
        atomic_store_explicit(&p->published[worker][0],
                              atomic_load_explicit(&p->published[worker][0], memory_order_relaxed) + BURST,
                              memory_order_relaxed);
        if (worker == 0)
            tables_beat(r.cache);
    }
    round_teardown(&r);
    _exit(0);
}

struct publishers *publishers_start(struct tables *t, uint64_t count, enum publish_where where)
{
    struct publishers *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || count > PUBLISHERS_MAX) {
        fprintf(stderr, "rialto-bench: no memory for workers\n");
        return NULL;
    }
    p->count = count;
    pid_t parent = getpid();
    for (uint64_t i = 0; i < count; i++) {
        pid_t child = fork(); /* not stored by the child: the memory is shared */
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            bench_pin(0, BENCH_CORE_OTHER);
            run_child(p, t, i, where);
        }
        p->pid[i] = child;
        if (p->pid[i] < 0)
            atomic_store(&p->stop, true);
    }
    while (atomic_load(&p->ready) < count && !atomic_load(&p->stop)) {
        (void)usleep(1000);
        for (uint64_t i = 0; i < count; i++) {
            if (kill(p->pid[i], 0) != 0 || waitpid(p->pid[i], NULL, WNOHANG) == p->pid[i]) {
                p->pid[i] = -1;
                atomic_store(&p->stop, true);
            }
        }
    }
    p->since = clock_seconds();
    return p;
}

double publishers_stop(struct publishers *p)
{
    uint64_t lines = 0;
    bool failed = atomic_load(&p->stop);
    for (uint64_t i = 0; i < p->count; i++)
        lines += atomic_load(&p->published[i][0]);
    double rate = (double)lines / (clock_seconds() - p->since);
    atomic_store(&p->stop, true);
    for (uint64_t i = 0; i < p->count; i++) {
        int status = 1;
        failed = failed || p->pid[i] <= 0 || waitpid(p->pid[i], &status, 0) != p->pid[i] || status != 0;
    }
    (void)munmap(p, sizeof *p);
    if (failed)
        fprintf(stderr, "rialto-bench: a worker that publishes failed\n");
    return failed ? -1 : rate;
}
