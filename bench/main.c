/* main.c - rialto-bench: measurements of Rialto, each with peers in the same run. */
#include "bench/bench.h"
#include "bench/publish.h"
#include "bench/quote.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*       name     function      what it measures */
static const struct measurement {
    const char *name;
    int (*run)(const struct bench_options *);
    const char *what;
} MEASUREMENTS[] = {
    { "quote", bench_quote, "one quote and a page of 50, beside LMDB, Redis, memcached and the memory itself" },
    { "ingest", bench_ingest, "signals to published prices, beside bare cJSON" },
    { "price", bench_price,
      "cells repriced per second, a weather signal for a million prices, a demand signal to its price" },
    { "acked", bench_acked, "acknowledged signals at 20,000 a second, beside bare hiredis with the same transactions" },
    { "overload", bench_overload, "quotes while more signals come than can be priced, beside quotes while none come" },
    { "restart", bench_restart, "a worker killed among all these lines, and how soon its successor goes on" },
    { "start", bench_start,
      "a machine starts again, its shared memory empty: seconds until quotes are answered, and priced" },
    { "clients", bench_clients,
      "a quote and a page of 50 by every way in: C, Python, Node.js, PHP, Java, HTTP, Redis" },
    { "http", bench_http,
      "quotes and pages of 50 a second over HTTP, on one processor, by wrk; alone and beside slow clients" },
    { "churn", bench_churn, "keys deleted and new ones inserted for ever: operations per second, tenth by tenth" },
    { "lines", bench_lines, "ways of publishing a line that survive a dead or preempted writer, beside each other" },
};

#define MEASUREMENT_COUNT (sizeof MEASUREMENTS / sizeof MEASUREMENTS[0])
#define COUNT_MAX         100000000u
#define OPERATIONS_MAX    UINT64_C(1000000000000)
#define SECONDS_MAX       3600.0

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: rialto-bench [MEASUREMENT...] [OPTION...]\n\n");
    for (size_t i = 0; i < MEASUREMENT_COUNT; i++)
        fprintf(to, "  %-14s %s\n", MEASUREMENTS[i].name, MEASUREMENTS[i].what);
    fprintf(to, "\nWithout a name all are made.\n\n"
                "  --customers N  customers with terms (10000000)\n"
                "  --cells N      prices: half in the world, half in one of two zones (3000000); of price, in 50 shops "
                "(1000000)\n"
                "  --offers N     personal offers (1000000)\n"
                "  --zipf S       exponent of Zipf's law for customers and products; 0 = uniform (0)\n"
                "  --writers W    workers that publish beside the reader (1)\n"
                "  --operations N deletes and inserts of churn (100000000)\n"
                "  --start-percent P  of churn's table, when it is made; it grows while it is filled (100)\n"
                "  --seconds S    of answers for each measurement (3)\n"
                "  --rounds R     that they are divided into (5)\n"
                "  --json         one JSON object instead of the table\n"
                "  --history DIR  keep the object in a file of that folder, too\n"
                "  --no-peers     only Rialto and the memory\n"
                "\nThe default sizes need 12 GiB of memory.\n");
    return status;
}

static bool parse_count(const char *text, uint64_t low, uint64_t high, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high || text[0] == '-')
        return false;
    *ret = value;
    return true;
}

static bool parse_real(const char *text, double low, double high, double *ret)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < low || value > high)
        return false;
    *ret = value;
    return true;
}

static const struct measurement *find(const char *name)
{
    for (size_t i = 0; i < MEASUREMENT_COUNT; i++) {
        if (strcmp(MEASUREMENTS[i].name, name) == 0)
            return &MEASUREMENTS[i];
    }
    return NULL;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[], struct bench_options *ret)
{
    static const struct option known[] = {
        { "customers", required_argument, NULL, 'c' },
        { "cells", required_argument, NULL, 'l' },
        { "offers", required_argument, NULL, 'o' },
        { "zipf", required_argument, NULL, 'z' },
        { "writers", required_argument, NULL, 'w' },
        { "operations", required_argument, NULL, 'n' },
        { "start-percent", required_argument, NULL, 't' },
        { "seconds", required_argument, NULL, 's' },
        { "rounds", required_argument, NULL, 'r' },
        { "json", no_argument, NULL, 'j' },
        { "history", required_argument, NULL, 'y' },
        { "no-peers", no_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'c': good = ret->customers_given = parse_count(optarg, 1, COUNT_MAX, &ret->customers); break;
        case 'l': good = ret->cells_given = parse_count(optarg, SHOP_CELLS_MIN, COUNT_MAX, &ret->cells); break;
        case 'o': good = parse_count(optarg, 0, COUNT_MAX, &ret->offers); break;
        case 'z': good = parse_real(optarg, 0, 10, &ret->zipf); break;
        case 'w': good = parse_count(optarg, 0, PUBLISHERS_MAX, &ret->writers); break;
        case 'n': good = parse_count(optarg, 1000, OPERATIONS_MAX, &ret->operations); break;
        case 't': good = parse_count(optarg, 1, 100, &ret->start_percent); break;
        case 's': good = parse_real(optarg, 0.001, SECONDS_MAX, &ret->seconds); break;
        case 'r': good = parse_count(optarg, 1, ROUNDS_MAX, &ret->rounds); break;
        case 'j': ret->json = true; break;
        case 'y': ret->history = optarg; break;
        case 'p': ret->peers = false; break;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, 2);
        }
        if (!good) {
            fprintf(stderr, "rialto-bench: not a number in range: %s\n", optarg);
            return 2;
        }
    }
    if (ret->offers / SHOP_OFFERS_MAX >= ret->customers) {
        fprintf(stderr, "rialto-bench: at most %u offers for each customer\n", SHOP_OFFERS_MAX - 1);
        return 2;
    }
    return -1;
}

int main(int argc, char *argv[])
{
    struct bench_options options = { .customers = 10000000,
                                     .cells = 3000000,
                                     .offers = 1000000,
                                     .writers = 1,
                                     .seconds = 3,
                                     .operations = 100000000,
                                     .start_percent = 100,
                                     .rounds = 5,
                                     .peers = true };
    int status = parse_options(argc, argv, &options);
    if (status != -1)
        return status;
    for (int i = optind; i < argc; i++) {
        if (find(argv[i]) == NULL)
            return usage(stderr, 2);
    }
    clock_setup();
    status = 0;
    for (size_t i = 0; i < MEASUREMENT_COUNT; i++) {
        bool wanted = optind == argc;
        for (int k = optind; k < argc; k++)
            wanted = wanted || find(argv[k]) == &MEASUREMENTS[i];
        if (wanted && MEASUREMENTS[i].run(&options) != 0)
            status = 1;
    }
    return status;
}
