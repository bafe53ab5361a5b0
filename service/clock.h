/* clock.h - the clocks of this machine, for intervals and time-outs. Prices never depend on them. */
#ifndef SERVICE_CLOCK_H
#define SERVICE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* mono_us, mono_ms - CLOCK_MONOTONIC. unix_ms - CLOCK_REALTIME. */
static inline int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static inline int64_t mono_ms(void)
{
    return mono_us() / 1000;
}

static inline int64_t unix_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}
#endif
