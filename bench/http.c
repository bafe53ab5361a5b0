/* http.c - the HTTP door under load: a service with all its processes on one processor, wrk with 64 kept connections on the other; quotes
 * and pages of 50, alone and beside 500 clients that send their requests a byte at a time. Beside wrk, which looks at the status of each
 * answer only, a client of ours asks a hundred times a second and compares every amount.
 *
 * How many requests a processor could answer follows from the CPU time of the process `web` as well: that figure holds on a machine
 * that others keep busy. */
#include "bench/bench.h"
#include "bench/door.h"
#include "bench/instance.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PRODUCTS     4000u
#define FIRST_AMOUNT 1000u
#define CONNECTIONS  64
#define SLOW_CLIENTS 500u
#define SLOW_TURNS   10u /* each of them sends a byte in one turn of so many */
#define TURN_MS      10
#define SAMPLES_MAX  (1u << 18)
#define LOADS        4u
#define GOAL_QUOTES  40000.0
#define GOAL_PAGES   20000.0

/* What wrk asks, and its figures on one line. A page has its products at random, too; a thousand requests take turns. */
static const char SCRIPT[] = "local asked, at = {}, 0\n"
                             "local function sku() return string.format('sku-%06d', math.random(0, PRODUCTS - 1)) end\n"
                             "function init(words)\n"
                             "  math.randomseed(1)\n"
                             "  for i = 1, 1000 do\n"
                             "    if words[1] == 'quote' then\n"
                             "      asked[i] = wrk.format('GET', '/v1/quotes/' .. sku() .. '?customer=anna')\n"
                             "    else\n"
                             "      local skus = {}\n"
                             "      for k = 1, 50 do skus[k] = '\"' .. sku() .. '\"' end\n"
                             "      asked[i] = wrk.format('POST', '/v1/quotes', nil, "
                             "'{\"customer\":\"anna\",\"skus\":[' .. table.concat(skus, ',') .. ']}')\n"
                             "    end\n"
                             "  end\n"
                             "end\n"
                             "function request() at = at % #asked + 1; return asked[at] end\n"
                             "function done(all, latency)\n"
                             "  local e = all.errors\n"
                             "  print(string.format('figures %d %d %d %d %d', all.requests, all.duration, "
                             "latency:percentile(50), latency:percentile(99),\n"
                             "                      e.connect + e.read + e.write + e.status + e.timeout))\n"
                             "end\n";

struct load { /* one row of the table */
    const char *name, *key;
    bool page, slow;
    double per_s, p50_us, p99_us; /* by wrk */
    double cpu_us;                /* of the process web, for each request */
    double client_p50_us, client_p99_us;
    uint64_t requests, failed, checked, wrong;
    bool measured;
};

struct range { /* all that is measured with */
    struct instance instance;
    struct door door;
    struct samples samples;
    int slow[SLOW_CLIENTS];
    uint64_t random;
    char script[96];
    char said[4096]; /* by wrk */
};

/* ---- clients that take their time -------------------------------------------------------------------------------------------- */

static void slow_enter(struct range *range)
{
    static const char begin[] = "GET /livez HTTP/1.1\r\nX-Slow: ";
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(range->door.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (unsigned i = 0; i < SLOW_CLIENTS; i++) {
        range->slow[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(range->slow[i], (struct sockaddr *)&at, sizeof at) == 0)
            (void)send(range->slow[i], begin, sizeof begin - 1, MSG_NOSIGNAL);
    }
}

/* How many the service still listens to. */
static unsigned slow_send(const struct range *range, uint64_t turn)
{
    unsigned heard = 0;
    for (unsigned i = (unsigned)(turn % SLOW_TURNS); i < SLOW_CLIENTS; i += SLOW_TURNS)
        heard += send(range->slow[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
    return heard;
}

static void slow_leave(struct range *range)
{
    for (unsigned i = 0; i < SLOW_CLIENTS; i++)
        if (range->slow[i] != -1)
            (void)close(range->slow[i]);
    memset(range->slow, -1, sizeof range->slow);
}

/* ---- one load ---------------------------------------------------------------------------------------------------------------- */

static void ask_once(struct range *range, struct load *load)
{
    uint32_t product[DOOR_PAGE];
    size_t n = load->page ? DOOR_PAGE : 1;
    for (size_t i = 0; i < n; i++)
        product[i] = (uint32_t)(bench_random(&range->random) % PRODUCTS);
    uint64_t began = clock_begin();
    bool good = door_ask(&range->door, n, product);
    samples_add(&range->samples, clock_end() - began);
    load->checked++;
    load->wrong += !good;
}

static double web_cpu_ns(const struct range *range)
{
    struct stage_cpu stage[INSTANCE_STAGES_MAX];
    double all, sum = 0;
    uint32_t count = instance_cpu(&range->instance, stage, &all);
    for (uint32_t i = 0; i < count; i++)
        if (strncmp(stage[i].name, "rialtod-web ", 12) == 0)
            sum += stage[i].ns;
    return sum;
}

/* While wrk runs: a byte of every tenth slow client, and one question of our own, a hundred times a second. */
static void beside_wrk(struct range *range, struct load *load, FILE *wrk)
{
    size_t used = 0;
    uint64_t turn = 0;
    for (;;) {
        struct pollfd ready = { .fd = fileno(wrk), .events = POLLIN };
        if (poll(&ready, 1, TURN_MS) > 0) {
            ssize_t got = read(ready.fd, range->said + used, sizeof range->said - 1 - used);
            if (got <= 0)
                break;
            used += (size_t)got;
            continue;
        }
        if (load->slow && slow_send(range, turn++) == 0)
            load->failed++; /* the load is not what it says */
        ask_once(range, load);
    }
    range->said[used] = '\0';
}

static bool read_figures(const char *said, struct load *load)
{
    unsigned long long requests, duration_us, p50, p99, errors;
    const char *line = strstr(said, "figures ");
    if (line == NULL ||
        sscanf(line, "figures %llu %llu %llu %llu %llu", &requests, &duration_us, &p50, &p99, &errors) != 5 ||
        requests == 0 || duration_us == 0)
        return false;
    load->requests = requests;
    load->failed += errors;
    load->per_s = (double)requests * 1e6 / (double)duration_us;
    load->p50_us = (double)p50;
    load->p99_us = (double)p99;
    return true;
}

static void measure(struct range *range, double seconds, struct load *load)
{
    char command[256];
    (void)snprintf(command, sizeof command, "exec wrk -t1 -c%d -d%.0fs -s %s http://127.0.0.1:%u -- %s 2>&1",
                   CONNECTIONS, seconds < 1 ? 1 : seconds, range->script, range->door.port,
                   load->page ? "page" : "quote");
    range->samples.count = 0;
    range->said[0] = '\0';
    if (load->slow)
        slow_enter(range);
    double before = web_cpu_ns(range);
    FILE *wrk = door_enter(&range->door) ? popen(command, "re") : NULL;
    if (wrk != NULL) {
        beside_wrk(range, load, wrk);
        load->measured = pclose(wrk) == 0 && read_figures(range->said, load);
    }
    if (load->measured)
        load->cpu_us = (web_cpu_ns(range) - before) / 1e3 / (double)(load->requests + load->checked);
    else
        fprintf(stderr, "rialto-bench: wrk could not be run (it is in docker/packages.list): %.300s\n", range->said);
    door_leave(&range->door);
    slow_leave(range);
    samples_sort(&range->samples);
    load->client_p50_us = samples_at(&range->samples, 0.5) / 1e3;
    load->client_p99_us = samples_at(&range->samples, 0.99) / 1e3;
}

/* ---- the run ------------------------------------------------------------------------------------------------------------------ */

static bool write_script(struct range *range)
{
    (void)snprintf(range->script, sizeof range->script, "%s/wrk.lua", range->instance.folder);
    FILE *file = fopen(range->script, "we");
    if (file == NULL)
        return false;
    bool good = fprintf(file, "local PRODUCTS = %u\n%s", PRODUCTS, SCRIPT) > 0;
    return fclose(file) == 0 && good;
}

static void print_table(const struct load load[LOADS])
{
    printf("the HTTP door: %u products; the service on one processor, wrk with %d kept connections on %s\n", PRODUCTS,
           CONNECTIONS, bench_cores() > 1 ? "the other" : "the same");
    printf("%-34s %11s %8s %8s %12s %12s %12s\n", "", "requests/s", "p50, us", "p99, us", "CPU each, us", "checked p50",
           "checked p99");
    for (size_t i = 0; i < LOADS; i++)
        if (load[i].measured)
            printf("%-34s %11.0f %8.0f %8.0f %12.1f %12.0f %12.0f%s\n", load[i].name, load[i].per_s, load[i].p50_us,
                   load[i].p99_us, load[i].cpu_us, load[i].client_p50_us, load[i].client_p99_us,
                   load[i].failed + load[i].wrong > 0 ? "  WRONG OR NO ANSWERS" : "");
    printf("goal: 40,000 quotes/s: %s; 20,000 pages/s: %s\n", load[0].per_s >= GOAL_QUOTES ? "met" : "missed",
           load[2].per_s >= GOAL_PAGES ? "met" : "missed");
}

static void print_json(const struct load load[LOADS])
{
    printf("{\"bench\":\"http\",\"products\":%u,\"connections\":%d,\"slow_clients\":%u", PRODUCTS, CONNECTIONS,
           SLOW_CLIENTS);
    for (size_t i = 0; i < LOADS; i++)
        printf(",\"%s\":{\"per_s\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"web_cpu_us\":%.2f,\"checked_p50_us\":%.0f,"
               "\"checked_p99_us\":%.0f,"
               "\"requests\":%llu,\"failed\":%llu,\"checked\":%llu,\"wrong\":%llu}",
               load[i].key, load[i].per_s, load[i].p50_us, load[i].p99_us, load[i].cpu_us, load[i].client_p50_us,
               load[i].client_p99_us, (unsigned long long)load[i].requests, (unsigned long long)load[i].failed,
               (unsigned long long)load[i].checked, (unsigned long long)load[i].wrong);
    printf(",\"goals\":{\"quotes_per_s\":%.0f,\"pages_per_s\":%.0f}}\n", GOAL_QUOTES, GOAL_PAGES);
}

int bench_http(const struct bench_options *options)
{
    static struct range range;
    struct load load[LOADS] = {
        { .name = "one quote", .key = "quote" },
        { .name = "the same beside 500 slow clients", .key = "quote_slow", .slow = true },
        { .name = "a page of 50", .key = "page50", .page = true },
        { .name = "the same beside 500 slow clients", .key = "page50_slow", .page = true, .slow = true }
    };
    char listen[64];
    range = (struct range){ .door = { .fd = -1, .port = door_free_port(), .first_amount = FIRST_AMOUNT }, .random = 1 };
    memset(range.slow, -1, sizeof range.slow);
    (void)snprintf(listen, sizeof listen, "http_listen=127.0.0.1:%u", range.door.port);
    bench_pin(0, BENCH_CORE_READER); /* the service's processes inherit it */
    bool good = samples_setup(&range.samples, SAMPLES_MAX) &&
                instance_start(&range.instance, NULL, 1, (const char *const[]){ listen });
    bench_pin(0, BENCH_CORE_OTHER);
    if (good) {
        good = write_script(&range) && instance_add_products(&range.instance, PRODUCTS, FIRST_AMOUNT);
        for (size_t i = 0; good && i < LOADS; i++)
            measure(&range, options->seconds, &load[i]);
        for (size_t i = 0; i < LOADS; i++)
            good = good && load[i].measured && load[i].failed == 0 && load[i].wrong == 0;
        if (options->json)
            print_json(load);
        else
            print_table(load);
        instance_stop(&range.instance);
    }
    samples_teardown(&range.samples);
    return good ? 0 : 1;
}
