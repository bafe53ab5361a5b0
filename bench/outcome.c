/* outcome.c - what came out of a run, as a table for people and as one JSON object; and the goals that it is held against. */
#include "bench/quote.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define GIB 1073741824.0

static const struct {
    const char *name;
    const char *key; /* in JSON */
} WHO[WHO_COUNT] = {
    [WHO_OURS] = { "Rialto", "ours" },
    [WHO_NOBODY] = { "  customers who permit nothing", "ours_nobody" },
    [WHO_SMALL_PAGES] = { "  in pages of 4 KiB", "ours_small_pages" },
    [WHO_LMDB] = { "LMDB", "lmdb" },
    [WHO_REDIS_GET] = { "Redis, GET and MGET", "redis_get" },
    [WHO_REDIS_HMGET] = { "Redis, HMGET", "redis_hmget" },
    [WHO_REDIS_NEAR] = { "  on the reader's processor", "redis_same_core" },
    [WHO_MEMCACHED] = { "memcached", "memcached" },
    [WHO_MEMORY] = { "the memory, prefetched", "memory" },
    [WHO_MEMORY_PLAIN] = { "the memory, not prefetched", "memory_plain" },
    [WHO_ALONE] = { "Rialto, nobody writes", "ours_alone" },
    [WHO_WITH_WRITERS] = { "  workers write all over", "ours_with_writers" },
    [WHO_CALM_LINE] = { "  one product, nobody writes", "ours_one_line" },
    [WHO_HAMMERED] = { "  its lines hammered flat out", "ours_hammered" },
};

/* ---- goals --------------------------------------------------------------------------------------------- */

struct goal {
    const char *name; /* in JSON */
    const char *text;
    double value;
    double wanted;
    bool at_most;
};

#define GOALS_MAX 12

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* All goals of which both sides were measured. */
static size_t goals_of(const struct outcome *o, struct goal ret[GOALS_MAX])
{
    const struct figures *q = o->quote, *p = o->page;
    double ours = q[WHO_OURS].p50, page = p[WHO_OURS].p50;
    const struct goal all[GOALS_MAX] = {
        { "quote_vs_lmdb", "one quote, times faster than LMDB", ratio(q[WHO_LMDB].p50, ours), 4, false },
        { "quote_vs_redis", "one quote, times faster than Redis", ratio(q[o->redis].p50, ours), 60, false },
        { "page50_vs_lmdb", "page of 50, times faster than LMDB", ratio(p[WHO_LMDB].p50, page), 20, false },
        { "page50_vs_redis", "page of 50, times faster than Redis", ratio(p[o->redis].p50, page), 20, false },
        { "page50_vs_memory", "page of 50, times the memory's own", ratio(page, p[WHO_MEMORY].p50), 4, true },
        { "quote_p999_with_writers", "p99.9 of a quote beside a full-speed worker, times that without",
          ratio(q[WHO_WITH_WRITERS].p999, q[WHO_ALONE].p999), 2, true },
        { "publish_vs_memory", "lines published, share of the memory's random writes",
          ratio(o->publish_rate, o->write_rate), 0.5, false },
        { "shared_gib", "shared memory, GiB", (double)o->bytes / GIB, 1.6, true },
        { "load", "load of the tables", ratio((double)o->lines, (double)o->capacity), 0.7, false },
        { "two_readers", "two readers, times the quotes of one", ratio(o->readers_two, o->readers_one), 2, false },
        { "large_pages", "one quote, times faster than in small pages", ratio(q[WHO_SMALL_PAGES].p50, ours), 1.3,
          false },
    };
    size_t n = 0;
    for (size_t i = 0; i < GOALS_MAX; i++) {
        if (all[i].name != NULL && all[i].value > 0)
            ret[n++] = all[i];
    }
    return n;
}

static bool goal_met(const struct goal *g)
{
    /* Two readers cannot be more than twice one: half a tenth is the noise of both measurements. */
    double slack = strcmp(g->name, "two_readers") == 0 ? 0.05 : 0;
    return g->at_most ? g->value <= g->wanted : g->value >= g->wanted * (1 - slack);
}

uint64_t outcome_wrong(const struct outcome *o)
{
    uint64_t wrong = o->offers_wrong;
    for (int who = 0; who < WHO_COUNT; who++)
        wrong += o->quote[who].failed + o->quote[who].wrong + o->page[who].failed + o->page[who].wrong;
    return wrong;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static const char *time_text(double ns, char ret[16])
{
    if (ns <= 0)
        (void)snprintf(ret, 16, "-");
    else if (ns < 10000)
        (void)snprintf(ret, 16, "%.0f ns", ns);
    else
        (void)snprintf(ret, 16, "%.1f us", ns / 1000);
    return ret;
}

static void print_row(const struct outcome *o, enum who who, FILE *to)
{
    const struct figures *q = &o->quote[who], *p = &o->page[who];
    char a[16], b[16], c[16], d[16], e[16], one[16] = "", fifty[16] = "";
    if (!o->measured[who])
        return;
    if (who != WHO_OURS && who < WHO_ALONE) {
        (void)snprintf(one, sizeof one, "x %.1f", ratio(q->p50, o->quote[WHO_OURS].p50));
        (void)snprintf(fifty, sizeof fifty, "x %.1f", ratio(p->p50, o->page[WHO_OURS].p50));
    }
    fprintf(to, "%-28s %9s %9s %9s %8s  %9s %9s %8s\n", WHO[who].name, time_text(q->p50, a), time_text(q->p99, b),
            time_text(q->p999, c), one, time_text(p->p50, d), time_text(p->p99, e), fifty);
}

static void print_goals(const struct outcome *o, FILE *to)
{
    struct goal goal[GOALS_MAX];
    size_t n = goals_of(o, goal);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%-64s %8.2f  goal: %s %g%s\n", goal[i].text, goal[i].value,
                goal[i].at_most ? "at most" : "at least", goal[i].wanted, goal_met(&goal[i]) ? "" : ", missed");
}

void outcome_table(const struct outcome *o, FILE *to)
{
    fprintf(to,
            "%" PRIu64 " customers, %" PRIu64 " cells, %" PRIu64
            " offers; %.0f MiB of shared memory, load %.2f, %.0f %% of "
            "it in large pages\n",
            o->size.customers, o->size.products * 2, o->size.offers, (double)o->bytes / (1 << 20),
            ratio((double)o->lines, (double)o->capacity), 100 * ratio((double)o->large_bytes, (double)o->bytes));
    fprintf(to,
            "sized as by a service with these maxima; that one has %.0f MiB for titles of products and %.0f MiB for "
            "names of zones "
            "and the rest, too\n",
            (double)o->service_products_bytes / (1 << 20),
            ((double)o->service_bytes - (double)o->service_products_bytes - (double)o->bytes) / (1 << 20));
    fprintf(to, "%-28s %9s %9s %9s %8s  %9s %9s %8s\n", "", "quote p50", "p99", "p99.9", "ratio", "page p50", "p99",
            "ratio");
    for (enum who who = 0; who < WHO_COUNT; who++)
        print_row(o, who, to);
    fprintf(to, "each time includes the clock's own %.0f ns (%s); of %" PRIu64 " rounds the least of each figure\n\n",
            clock_cost_ns(), clock_name(), o->options.rounds);
    fprintf(to, "published by one worker %.1f M lines/s; beside a reader %.1f M/s; one line hammered %.1f M/s\n",
            o->publish_rate / 1e6, o->beside_rate / 1e6, o->hammer_rate / 1e6);
    fprintf(
        to,
        "the memory: %.1f M random lines/s written, %.1f M/s read, %.1f M/s without prefetching, %.0f ns in a chain "
        "(%.0f ns in pages of 4 KiB)\n",
        o->write_rate / 1e6, o->read_rate / 1e6, o->read_rate_plain / 1e6, o->chase_ns, o->chase_small_ns);
    if (o->readers_one > 0)
        fprintf(
            to,
            "one reader %.2f M quotes/s, two together %.2f M/s (x %.2f); bare reads of random lines %.1f and %.1f M/s "
            "(x %.2f), bare computing x %.2f\n",
            o->readers_one / 1e6, o->readers_two / 1e6, ratio(o->readers_two, o->readers_one), o->lines_one / 1e6,
            o->lines_two / 1e6, ratio(o->lines_two, o->lines_one), ratio(o->steps_two, o->steps_one));
    fprintf(to, "%" PRIu64 " answers were wrong or missing\n\n", outcome_wrong(o));
    print_goals(o, to);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

/* What was not measured is null. */
static void number(FILE *to, const char *key, double value, bool there)
{
    if (there)
        fprintf(to, "\"%s\":%.1f", key, value);
    else
        fprintf(to, "\"%s\":null", key);
}

static void store(const struct outcome *o, enum who who, const char *key, FILE *to)
{
    const struct figures *q = &o->quote[who], *p = &o->page[who];
    bool there = o->measured[who];
    fprintf(to, ",\"%s\":{", key);
    number(to, "quote_p50_ns", q->p50, there);
    fputc(',', to);
    number(to, "quote_p99_ns", q->p99, there);
    fputc(',', to);
    number(to, "quote_p999_ns", q->p999, there);
    fputc(',', to);
    number(to, "page50_p50_ns", p->p50, there);
    fputc(',', to);
    number(to, "page50_p99_ns", p->p99, there);
    fputc(',', to);
    number(to, "quote_p50_median_ns", q->p50_median, there);
    fputc(',', to);
    number(to, "page50_p50_median_ns", p->p50_median, there);
    fprintf(to, ",\"quotes\":%" PRIu64 ",\"pages\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"wrong\":%" PRIu64 "}",
            q->samples, p->samples, q->failed + p->failed, q->wrong + p->wrong);
}

static void machine_json(FILE *to)
{
    struct utsname u;
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    if (uname(&u) != 0)
        memset(&u, 0, sizeof u);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fprintf(to, "\"when\":\"%s\",\"rialto\":\"%s\",\"machine\":{\"system\":\"%s %s %s\",\"processors\":%u}", stamp,
            RIALTO_VERSION, u.sysname, u.release, u.machine, bench_cores());
    fprintf(to, ",\"clock\":{\"name\":\"%s\",\"cost_ns\":%.1f}", clock_name(), clock_cost_ns());
}

static void goals_json(const struct outcome *o, FILE *to)
{
    struct goal goal[GOALS_MAX];
    size_t n = goals_of(o, goal);
    fputs(",\"goals\":{", to);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s\"%s\":{\"value\":%.3f,\"%s\":%g,\"met\":%s}", i == 0 ? "" : ",", goal[i].name, goal[i].value,
                goal[i].at_most ? "at_most" : "at_least", goal[i].wanted, goal_met(&goal[i]) ? "true" : "false");
    fputc('}', to);
}

void outcome_json(const struct outcome *o, FILE *to)
{
    const struct bench_options *p = &o->options;
    fputs("{\"bench\":\"quote\",", to);
    machine_json(to);
    fprintf(to,
            ",\"options\":{\"customers\":%" PRIu64 ",\"cells\":%" PRIu64 ",\"offers\":%" PRIu64
            ",\"zipf\":%g,\"writers\":%" PRIu64 ",\"seconds\":%g,\"rounds\":%" PRIu64 "}",
            o->size.customers, o->size.products * 2, o->size.offers, p->zipf, p->writers, p->seconds, p->rounds);
    store(o, WHO_OURS, "ours", to);
    store(o, WHO_LMDB, "lmdb", to);
    store(o, o->redis, "redis", to);
    store(o, WHO_MEMCACHED, "memcached", to);
    store(o, WHO_MEMORY, "memory", to);
    for (enum who who = 0; who < WHO_COUNT; who++) {
        if (who != WHO_OURS && who != WHO_LMDB && who != WHO_MEMCACHED && who != WHO_MEMORY)
            store(o, who, WHO[who].key, to);
    }
    fprintf(to,
            ",\"rates\":{\"publish_per_s\":%.0f,\"publish_beside_reader_per_s\":%.0f,\"publish_one_line_per_s\":%.0f",
            o->publish_rate, o->beside_rate, o->hammer_rate);
    fprintf(to,
            ",\"memory_write_per_s\":%.0f,\"memory_read_per_s\":%.0f,\"memory_read_plain_per_s\":%.0f,\"memory_chain_"
            "ns\":%.1f,\"memory_chain_small_pages_ns\":%.1f}",
            o->write_rate, o->read_rate, o->read_rate_plain, o->chase_ns, o->chase_small_ns);
    fprintf(to,
            ",\"readers\":{\"one_per_s\":%.0f,\"two_per_s\":%.0f,\"memory_one_per_s\":%.0f,\"memory_two_per_s\":%.0f",
            o->readers_one, o->readers_two, o->lines_one, o->lines_two);
    fprintf(to, ",\"computing_one_per_s\":%.0f,\"computing_two_per_s\":%.0f}", o->steps_one, o->steps_two);
    fprintf(to,
            ",\"shared\":{\"bytes\":%" PRIu64 ",\"large_page_bytes\":%" PRIu64 ",\"lines\":%" PRIu64
            ",\"capacity\":%" PRIu64 ",\"service_bytes\":%" PRIu64 ",\"service_products_bytes\":%" PRIu64 "}",
            o->bytes, o->large_bytes, o->lines, o->capacity, o->service_bytes, o->service_products_bytes);
    fprintf(to, ",\"fill_s\":{\"ours\":%.1f,\"lmdb\":%.1f,\"redis\":%.1f,\"memcached\":%.1f}", o->fill_s,
            o->lmdb_fill_s, o->redis_fill_s, o->memcached_fill_s);
    fprintf(to, ",\"offers\":{\"checked\":%" PRIu64 ",\"wrong\":%" PRIu64 "}", o->offers_checked, o->offers_wrong);
    goals_json(o, to);
    fputs("}\n", to);
}
