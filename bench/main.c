/* main.c - rialto-bench: measurements of Rialto, each with a peer in the same run. */
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*       name     function      what it measures */
static const struct measurement {
    const char *name;
    int (*run)(const struct bench_options *);
    const char *what;
} MEASUREMENTS[] = {
    { "quote", bench_quote, "one quote and a page of 50, beside Redis" },
};

#define MEASUREMENT_COUNT (sizeof MEASUREMENTS / sizeof MEASUREMENTS[0])
#define COUNT_MAX         100000000u

static int usage(FILE *to, int status)
{
    fprintf(to,
            "usage: rialto-bench [MEASUREMENT...] [--customers N] [--cells N] [--seconds S] [--json] [--no-peers]\n\n");
    for (size_t i = 0; i < MEASUREMENT_COUNT; i++)
        fprintf(to, "  %-12s %s\n", MEASUREMENTS[i].name, MEASUREMENTS[i].what);
    fprintf(to, "\nWithout a name all are made. Defaults: 1000000 customers, 1000000 cells, 3 s of answers a row.\n");
    return status;
}

static bool parse_count(const char *text, uint64_t low, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > COUNT_MAX || text[0] == '-')
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
        { "seconds", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "no-peers", no_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'c': good = parse_count(optarg, 1, &ret->customers); break;
        case 'l': good = parse_count(optarg, 2, &ret->cells); break;
        case 's': good = parse_count(optarg, 1, &ret->seconds); break;
        case 'j': ret->json = true; break;
        case 'p': ret->peers = false; break;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, 2);
        }
        if (!good) {
            fprintf(stderr, "rialto-bench: not a number in range: %s\n", optarg);
            return 2;
        }
    }
    return -1;
}

int main(int argc, char *argv[])
{
    struct bench_options options = { .customers = 1000000, .cells = 1000000, .seconds = 3, .peers = true };
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
