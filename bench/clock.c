/* clock.c - a fenced time stamp counter where it is constant, else clock_gettime; samples of it. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALIBRATION_NS 100000000
#define COST_ROUNDS    100001

static bool use_tsc;
static double ns_per_tick = 1;
static double cost_ns;

static uint64_t mono_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static uint64_t tsc(void)
{
    unsigned low, high, cpu;
    __asm__ volatile("rdtscp\n\tlfence" : "=a"(low), "=d"(high), "=c"(cpu)::"memory");
    (void)cpu;
    return (uint64_t)high << 32 | low;
}

static void fence(void)
{
    __asm__ volatile("lfence" ::: "memory");
}

/* Does the counter run at one speed, and on through sleep states? */
static bool tsc_constant(void)
{
    char *line = NULL;
    size_t size = 0;
    bool constant = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && !constant && getline(&line, &size, file) > 0) {
        if (strncmp(line, "flags", 5) == 0)
            constant = strstr(line, " constant_tsc") != NULL && strstr(line, " rdtscp") != NULL;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return constant;
}
#else
static uint64_t tsc(void)
{
    return 0;
}

static void fence(void)
{
}

static bool tsc_constant(void)
{
    return false;
}
#endif

uint64_t clock_begin(void)
{
    if (!use_tsc)
        return mono_ns();
    fence();
    return tsc();
}

uint64_t clock_end(void)
{
    return use_tsc ? tsc() : mono_ns();
}

double clock_ns(uint64_t ticks)
{
    return (double)ticks * ns_per_tick;
}

const char *clock_name(void)
{
    return use_tsc ? "fenced rdtscp" : "clock_gettime";
}

double clock_cost_ns(void)
{
    return cost_ns;
}

double clock_seconds(void)
{
    return (double)mono_ns() * 1e-9;
}

void clock_setup(void)
{
    use_tsc = tsc_constant();
    if (use_tsc) {
        uint64_t from_ns = mono_ns(), from = tsc(), now_ns;
        do
            now_ns = mono_ns();
        while (now_ns - from_ns < CALIBRATION_NS);
        ns_per_tick = (double)(now_ns - from_ns) / (double)(tsc() - from);
    }
    struct samples s;
    if (!samples_setup(&s, COST_ROUNDS))
        return;
    for (int i = 0; i < COST_ROUNDS; i++) {
        uint64_t from = clock_begin();
        samples_add(&s, clock_end() - from);
    }
    samples_sort(&s);
    cost_ns = samples_at(&s, 0.5);
    samples_teardown(&s);
}

bool samples_setup(struct samples *s, size_t capacity)
{
    s->count = 0;
    s->capacity = capacity;
    s->ticks = malloc(capacity * sizeof s->ticks[0]);
    if (s->ticks != NULL)
        memset(s->ticks, 0, capacity * sizeof s->ticks[0]); /* page faults now, not while measuring */
    return s->ticks != NULL;
}

void samples_teardown(struct samples *s)
{
    free(s->ticks);
    s->ticks = NULL;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void samples_sort(struct samples *s)
{
    qsort(s->ticks, s->count, sizeof s->ticks[0], by_value);
}

double samples_at(const struct samples *s, double share)
{
    if (s->count == 0)
        return 0;
    size_t index = (size_t)(share * (double)s->count);
    return clock_ns(s->ticks[index < s->count ? index : s->count - 1]);
}
