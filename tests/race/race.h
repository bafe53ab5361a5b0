/* race.h - what race programs share: how long to run, a random number, and the lines that say what was checked. */
#ifndef TESTS_RACE_H
#define TESTS_RACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t race_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Seconds to run: the first argument, else RIALTO_SECONDS, else 3. */
static inline int64_t race_duration_ms(int argc, char *argv[])
{
    const char *text = argc > 1 ? argv[1] : getenv("RIALTO_SECONDS");
    long seconds = text == NULL ? 3 : strtol(text, NULL, 10);
    return 1000 * (seconds < 1 ? 1 : seconds);
}

static inline uint64_t race_random(uint64_t *state) /* xorshift64; the state is not 0 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Say whether something held; returns the number of failures, 0 or 1. */
static inline int race_report(bool held, const char *what)
{
    printf("%s - %s\n", held ? "ok" : "not ok", what);
    return held ? 0 : 1;
}
#endif
