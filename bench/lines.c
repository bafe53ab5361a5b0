/* lines.c - what it costs that a dead or preempted writer harms nobody: the side line beside its alternatives.
 *
 * For each way of bench/line_protocols.h, in turn within each round:
 *   publishes   of changed lines at random places, one writer alone; then beside one reader on another processor. Per
 *               second of the thread's own processor time, so that others on the machine count for less
 *   preemption  one writer shares a processor with others that never wait; a reader on another one reads the lines that are
 *               being written, and notes each read that took over 1 ms. A read counts as the writer's doing only when it
 *               looked at the line LOOKS_WAITED times or more: else the reader itself had to wait for its processor.
 *   death       writers are killed, and their lines read: at once, and as soon as a successor can have rewritten them
 * Each image that is read is checked word by word. */
#include "bench/line_protocols.h"
#include "bench/memory.h"
#include "bench/quote.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AHEAD        16u /* lines that are on their way while one is written or read */
#define BURST        1024u
#define HOT_LINES    16u /* that a preempted or killed writer goes over */
#define HOGS         3u  /* processes that want the preempted writer's processor */
#define LOOKS_WAITED 1000u
#define LONG_READ_NS 1e6
#define KILLS        100u
#define TABLE_LINES  14e6 /* of the shop whose memory is told: 10 million customers, 3 million cells, 1 million offers */
#define TABLE_FILL   0.75

struct measured { /* of one way */
    double publish_alone[ROUNDS_MAX], publish_beside[ROUNDS_MAX], read_beside[ROUNDS_MAX];
    double preempted_s;                         /* in all rounds */
    uint64_t preempted_reads, waited, over_own; /* reads over 1 ms: for the writer; for the reader's own processor */
    double longest_wait_ns;
    uint64_t kills, left_open, unreadable;
    double dead_read_ns[KILLS * ROUNDS_MAX]; /* of lines that a dead writer left open */
    double outage_ns[KILLS * ROUNDS_MAX];    /* from the kill until a successor had rewritten what was unreadable */
    uint64_t dead_reads, outages, torn, busy;
};

struct arena { /* one way's lines, and who works on them */
    enum line_kind kind;
    struct scratch memory;
    struct line_field field;
    uint32_t version;
    atomic_bool stop, ready;
    uint64_t published;
    double publish_s;
};

static const struct {
    const char *name;
    const char *key; /* in JSON */
} KIND[LINE_KINDS] = {
    [LINE_PLAIN] = { "plain seqlock", "plain" },
    [LINE_SIDE] = { "side line", "side" },
    [LINE_TWO] = { "two copies", "two_copies" },
    [LINE_REPAIR] = { "repair by a successor", "repair" },
};

/* ---- lines ------------------------------------------------------------------------------------------------------- */

LINE_INLINE uint64_t word_of(uint32_t version, uint64_t slot, uint64_t i)
{
    return (version + i) * UINT64_C(0x9E3779B97F4A7C15) ^ slot;
}

LINE_INLINE void put(enum line_kind kind, const struct line_field *f, uint64_t number, uint32_t version)
{
    const struct line_place at = line_field_place(kind, f, number);
    uint64_t image[LINE_WORDS];
    image[0] = (uint64_t)version << 32;
    for (uint64_t i = 1; i < LINE_WORDS; i++)
        image[i] = word_of(version, at.slot, i);
    line_kind_write(kind, &at, image);
}

LINE_INLINE bool whole(const uint64_t *image, uint64_t slot)
{
    uint64_t wrong = 0;
    for (uint64_t i = 1; i < LINE_WORDS; i++)
        wrong |= image[i] ^ word_of((uint32_t)(image[0] >> 32), slot, i);
    return wrong == 0;
}

/* Places are drawn AHEAD of their use. */
struct walk_ahead {
    uint64_t random;
    uint64_t place[AHEAD];
    uint64_t at;
};

LINE_INLINE uint64_t walk_ahead_next(enum line_kind kind, struct walk_ahead *w, const struct line_field *f)
{
    uint64_t *here = &w->place[w->at++ % AHEAD], now = *here;
    *here = (bench_random(&w->random) >> 32) * f->lines >> 32; /* there are fewer than 2^32 */
    line_field_prefetch(kind, f, *here);
    return now;
}

LINE_INLINE void publish_kind(enum line_kind kind, const struct line_field *f, struct walk_ahead *w, uint32_t *version)
{
    for (uint32_t i = 0; i < BURST; i++)
        put(kind, f, walk_ahead_next(kind, w, f), ++*version);
}

LINE_INLINE void read_kind(enum line_kind kind, const struct line_field *f, struct walk_ahead *w, struct measured *m)
{
    uint64_t image[LINE_WORDS];
    for (uint32_t i = 0; i < BURST; i++) {
        const struct line_place at = line_field_place(kind, f, walk_ahead_next(kind, w, f));
        if (!line_kind_read(kind, &at, image))
            m->busy++;
        else
            m->torn += !whole(image, at.slot);
    }
}

static void publish(const struct arena *a, struct walk_ahead *w, uint32_t *version)
{
    switch (a->kind) {
    case LINE_PLAIN: publish_kind(LINE_PLAIN, &a->field, w, version); break;
    case LINE_SIDE: publish_kind(LINE_SIDE, &a->field, w, version); break;
    case LINE_TWO: publish_kind(LINE_TWO, &a->field, w, version); break;
    default: publish_kind(LINE_REPAIR, &a->field, w, version); break;
    }
}

static void read_lines(const struct arena *a, struct walk_ahead *w, struct measured *m)
{
    switch (a->kind) {
    case LINE_PLAIN: read_kind(LINE_PLAIN, &a->field, w, m); break;
    case LINE_SIDE: read_kind(LINE_SIDE, &a->field, w, m); break;
    case LINE_TWO: read_kind(LINE_TWO, &a->field, w, m); break;
    default: read_kind(LINE_REPAIR, &a->field, w, m); break;
    }
}

static bool arena_setup(struct arena *a, enum line_kind kind, uint64_t lines)
{
    memset(a, 0, sizeof *a);
    a->kind = kind;
    lines = (lines + RIALTO_PARTITIONS - 1) / RIALTO_PARTITIONS * RIALTO_PARTITIONS;
    void *segments = mmap(NULL, RIALTO_PARTITIONS * sizeof(struct rialto_segment), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (segments == MAP_FAILED || !scratch_setup(&a->memory, lines * line_kind_words(kind) / LINE_WORDS)) {
        fprintf(stderr, "rialto-bench: no memory for %" PRIu64 " lines\n", lines);
        return false;
    }
    memset(a->memory.at, 0, a->memory.lines * LINE_WORDS * 8);
    a->field = (struct line_field){ .word = (_Atomic uint64_t *)(void *)a->memory.at,
                                    .segment = segments,
                                    .lines = lines,
                                    .segment_lines = lines / RIALTO_PARTITIONS };
    for (uint64_t i = 0; i < lines; i++)
        put(kind, &a->field, i, 1);
    a->version = 1;
    return true;
}

static void arena_teardown(struct arena *a)
{
    scratch_teardown(&a->memory);
    if (a->field.segment != NULL)
        (void)munmap(a->field.segment, RIALTO_PARTITIONS * sizeof(struct rialto_segment));
}

/* ---- publishes ------------------------------------------------------------------------------------------------------ */

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double publish_rate(struct arena *a, double seconds)
{
    struct walk_ahead w = { .random = a->version };
    uint64_t lines = 0;
    publish(a, &w, &a->version);
    double from = cpu_seconds(), spent = 0;
    for (; spent < seconds; spent = cpu_seconds() - from, lines += BURST)
        publish(a, &w, &a->version);
    return (double)lines / spent;
}

static void *writer_beside(void *argument)
{
    struct arena *a = argument;
    struct walk_ahead w = { .random = a->version };
    bench_pin(0, BENCH_CORE_OTHER);
    publish(a, &w, &a->version);
    atomic_store(&a->ready, true);
    double from = cpu_seconds();
    for (a->published = 0; !atomic_load_explicit(&a->stop, memory_order_relaxed); a->published += BURST)
        publish(a, &w, &a->version);
    a->publish_s = cpu_seconds() - from;
    return NULL;
}

static bool start_writer(struct arena *a, void *(*writer)(void *), pthread_t *ret)
{
    atomic_store(&a->stop, false);
    atomic_store(&a->ready, false);
    if (pthread_create(ret, NULL, writer, a) != 0)
        return false;
    while (!atomic_load(&a->ready))
        (void)usleep(100);
    return true;
}

static bool measure_publishes(struct arena *a, struct measured *m, double seconds, uint64_t round)
{
    pthread_t writer;
    m->publish_alone[round] = publish_rate(a, seconds);
    if (!start_writer(a, writer_beside, &writer))
        return false;
    struct walk_ahead w = { .random = round + 1 };
    uint64_t lines = 0;
    double from = cpu_seconds(), spent = 0;
    for (; spent < seconds; spent = cpu_seconds() - from, lines += BURST)
        read_lines(a, &w, m);
    atomic_store(&a->stop, true);
    (void)pthread_join(writer, NULL);
    m->read_beside[round] = (double)lines / spent;
    m->publish_beside[round] = (double)a->published / a->publish_s;
    return true;
}

/* ---- preemption ------------------------------------------------------------------------------------------------------ */

static void put_hot(const struct arena *a, uint64_t number, uint32_t version)
{
    switch (a->kind) {
    case LINE_PLAIN: put(LINE_PLAIN, &a->field, number, version); break;
    case LINE_SIDE: put(LINE_SIDE, &a->field, number, version); break;
    case LINE_TWO: put(LINE_TWO, &a->field, number, version); break;
    default: put(LINE_REPAIR, &a->field, number, version); break;
    }
}

static void *writer_of_hot(void *argument)
{
    struct arena *a = argument;
    bench_pin(0, BENCH_CORE_OTHER);
    atomic_store(&a->ready, true);
    while (!atomic_load_explicit(&a->stop, memory_order_relaxed)) {
        for (uint64_t number = 0; number < HOT_LINES; number++)
            put_hot(a, number, ++a->version);
    }
    return NULL;
}

static bool read_hot(const struct arena *a, uint64_t number, uint64_t *ret)
{
    const struct line_place at = line_field_place(a->kind, &a->field, number);
    switch (a->kind) {
    case LINE_PLAIN: return line_kind_read(LINE_PLAIN, &at, ret);
    case LINE_SIDE: return line_kind_read(LINE_SIDE, &at, ret);
    case LINE_TWO: return line_kind_read(LINE_TWO, &at, ret);
    default: return line_kind_read(LINE_REPAIR, &at, ret);
    }
}

static void start_hogs(pid_t hog[HOGS])
{
    pid_t parent = getpid();
    for (uint32_t i = 0; i < HOGS; i++) {
        hog[i] = fork();
        if (hog[i] != 0)
            continue;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        bench_pin(0, BENCH_CORE_OTHER);
        while (getppid() == parent) {}
        _exit(0);
    }
}

static void kill_child(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void read_beside_preempted(const struct arena *a, struct measured *m, double seconds)
{
    uint64_t image[LINE_WORDS], random = 9, ticks = clock_end();
    double from = clock_seconds(), spent = 0;
    while (spent < seconds) {
        for (uint32_t i = 0; i < BURST; i++) {
            uint64_t number = bench_random(&random) % HOT_LINES, failed = 0;
            while (!read_hot(a, number, image) && failed * LINE_ATTEMPTS_MAX < UINT32_MAX)
                failed++;
            m->torn += !whole(image, number);
            uint64_t now = clock_end();
            double ns = clock_ns(now - ticks);
            ticks = now;
            if (ns <= LONG_READ_NS)
                continue;
            bool waited = failed * LINE_ATTEMPTS_MAX >= LOOKS_WAITED;
            m->waited += waited;
            m->over_own += !waited;
            if (waited && ns > m->longest_wait_ns)
                m->longest_wait_ns = ns;
        }
        m->preempted_reads += BURST;
        spent = clock_seconds() - from;
        ticks = clock_end();
    }
    m->preempted_s += spent;
}

static bool measure_preemption(struct arena *a, struct measured *m, double seconds)
{
    pthread_t writer;
    pid_t hog[HOGS] = { 0 };
    start_hogs(hog);
    bool started = start_writer(a, writer_of_hot, &writer);
    if (started) {
        read_beside_preempted(a, m, seconds);
        atomic_store(&a->stop, true);
        (void)pthread_join(writer, NULL);
    }
    for (uint32_t i = 0; i < HOGS; i++)
        kill_child(hog[i]);
    return started;
}

/* ---- death ----------------------------------------------------------------------------------------------------------- */

static pid_t start_mortal(struct arena *a)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent) {
        for (uint64_t number = 0; number < HOT_LINES; number++)
            put_hot(a, number, ++a->version);
    }
    _exit(0);
}

/* Is the line, as it is, not readable by its words alone? */
static bool is_open(const struct arena *a, uint64_t number)
{
    const struct line_place at = line_field_place(a->kind, &a->field, number);
    return a->kind != LINE_TWO && (atomic_load_explicit(&at.word[0], memory_order_relaxed) & 1u) != 0;
}

/* What a successor does at best, as soon as it runs: it rewrites what it finds open. A side line needs no haste. */
static void succeed(struct arena *a, struct measured *m, uint64_t killed)
{
    bool missed = false;
    for (uint64_t number = 0; number < HOT_LINES; number++) {
        uint64_t image[LINE_WORDS], from = clock_begin();
        bool open = is_open(a, number), read = read_hot(a, number, image);
        double ns = clock_ns(clock_end() - from);
        m->left_open += open;
        m->unreadable += !read;
        m->torn += read && !whole(image, number);
        missed = missed || !read;
        if (open && read)
            m->dead_read_ns[m->dead_reads++] = ns;
    }
    a->version += UINT32_C(1) << 20; /* past whatever the dead one wrote */
    for (uint64_t number = 0; number < HOT_LINES; number++) {
        if (is_open(a, number))
            put_hot(a, number, ++a->version);
    }
    if (missed && a->kind == LINE_REPAIR)
        m->outage_ns[m->outages++] = clock_ns(clock_end() - killed);
}

static bool measure_deaths(struct arena *a, struct measured *m)
{
    uint64_t random = 5;
    for (uint32_t i = 0; i < KILLS; i++) {
        pid_t pid = start_mortal(a);
        if (pid == -1)
            return false;
        (void)usleep(1000 + (useconds_t)(bench_random(&random) % 1000));
        uint64_t killed = clock_begin();
        kill_child(pid);
        m->kills++;
        succeed(a, m, killed);
    }
    return true;
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* NAN of nothing. */
static double median(double *value, uint64_t n)
{
    qsort(value, n, sizeof value[0], by_value);
    return n == 0 ? (double)NAN : value[n / 2];
}

static double table_gib(enum line_kind kind)
{
    double bytes = (double)line_kind_words(kind) * 8 + 1; /* and a tag */
    return TABLE_LINES / TABLE_FILL * bytes / 1073741824.0;
}

static void number_or(char *ret, size_t size, const char *format, double value)
{
    if (isnan(value))
        (void)snprintf(ret, size, "-");
    else
        (void)snprintf(ret, size, format, value);
}

static void print_table(struct measured *all, uint64_t lines, uint64_t rounds)
{
    printf("ways of publishing a line: %" PRIu64 " lines at random, medians of %" PRIu64 " rounds\n\n", lines, rounds);
    printf("%-22s %9s %9s %9s %9s %9s %9s %9s %9s %9s %8s\n", "", "publish", "beside a", "reads", "reads a", "longest",
           "lines a", "that read", "read, of", "outage", "memory");
    printf("%-22s %9s %9s %9s %9s %9s %9s %9s %9s %9s %8s\n", "", "M/s", "reader", "M/s", "min >1ms", "ms", "kill left",
           "not at all", "open, us", "us", "GiB");
    for (enum line_kind k = 0; k < LINE_KINDS; k++) {
        struct measured *m = &all[k];
        char open_read[16], outage[16];
        number_or(open_read, sizeof open_read, "%.2f", median(m->dead_read_ns, m->dead_reads) / 1e3);
        number_or(outage, sizeof outage, "%.0f", median(m->outage_ns, m->outages) / 1e3);
        printf("%-22s %9.1f %9.1f %9.1f %9.1f %9.2f %9.2f %9" PRIu64 " %9s %9s %8.2f\n", KIND[k].name,
               median(m->publish_alone, rounds) / 1e6, median(m->publish_beside, rounds) / 1e6,
               median(m->read_beside, rounds) / 1e6, (double)m->waited * 60 / m->preempted_s, m->longest_wait_ns / 1e6,
               (double)m->left_open / (double)m->kills, m->unreadable, open_read, outage, table_gib(k));
    }
    printf("\nreads over 1 ms are those that waited for a writer that had lost its processor; memory is that of 14 "
           "million\n"
           "lines three quarters full; an outage ends when a successor, started at once, has rewritten the line\n");
}

static void json_number(const char *key, double value)
{
    if (isnan(value))
        printf(",\"%s\":null", key);
    else
        printf(",\"%s\":%.3f", key, value);
}

static void print_json(struct measured *all, uint64_t lines, uint64_t rounds)
{
    printf("{\"bench\":\"lines\",\"lines\":%" PRIu64 ",\"rounds\":%" PRIu64 ",\"processors\":%u", lines, rounds,
           bench_cores());
    for (enum line_kind k = 0; k < LINE_KINDS; k++) {
        struct measured *m = &all[k];
        printf(",\"%s\":{\"line_bytes\":%u", KIND[k].key, (unsigned)line_kind_words(k) * 8);
        json_number("table_gib", table_gib(k));
        json_number("publish_per_s", median(m->publish_alone, rounds));
        json_number("publish_beside_reader_per_s", median(m->publish_beside, rounds));
        json_number("read_beside_writer_per_s", median(m->read_beside, rounds));
        json_number("preempted_s", m->preempted_s);
        printf(",\"preempted_reads\":%" PRIu64 ",\"reads_over_1ms\":%" PRIu64 ",\"reads_over_1ms_own\":%" PRIu64,
               m->preempted_reads, m->waited, m->over_own);
        json_number("longest_wait_ns", m->longest_wait_ns);
        printf(",\"kills\":%" PRIu64 ",\"lines_left_open\":%" PRIu64 ",\"lines_unreadable\":%" PRIu64, m->kills,
               m->left_open, m->unreadable);
        json_number("open_line_read_ns", median(m->dead_read_ns, m->dead_reads));
        json_number("outage_ns", median(m->outage_ns, m->outages));
        printf(",\"torn\":%" PRIu64 ",\"busy\":%" PRIu64 "}", m->torn, m->busy);
    }
    printf("}\n");
}

/* ---- all --------------------------------------------------------------------------------------------------------------- */

static bool measure(struct arena arena[LINE_KINDS], struct measured *all, double seconds, uint64_t rounds)
{
    bool ok = true;
    bench_pin(0, BENCH_CORE_READER);
    for (uint64_t round = 0; ok && round < rounds; round++) {
        for (enum line_kind k = 0; ok && k < LINE_KINDS; k++)
            ok = measure_publishes(&arena[k], &all[k], seconds, round) &&
                 measure_preemption(&arena[k], &all[k], seconds) && measure_deaths(&arena[k], &all[k]);
    }
    if (!ok)
        fprintf(stderr, "rialto-bench: a thread or process could not be started\n");
    return ok;
}

int bench_lines(const struct bench_options *options)
{
    static struct arena arena[LINE_KINDS];
    struct measured *all = calloc(LINE_KINDS, sizeof *all);
    bool ok = all != NULL;
    for (enum line_kind k = 0; ok && k < LINE_KINDS; k++)
        ok = arena_setup(&arena[k], k, options->cells);
    ok = ok && measure(arena, all, options->seconds / (double)options->rounds, options->rounds);
    if (ok && options->json)
        print_json(all, arena[0].field.lines, options->rounds);
    else if (ok)
        print_table(all, arena[0].field.lines, options->rounds);
    for (enum line_kind k = 0; ok && k < LINE_KINDS; k++)
        ok = all[k].torn == 0;
    for (enum line_kind k = 0; k < LINE_KINDS; k++)
        arena_teardown(&arena[k]);
    free(all);
    return ok ? 0 : 1;
}
