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

/* slept_ms - how long this boot has been suspended: CLOCK_BOOTTIME counts that, CLOCK_MONOTONIC does not. */
static inline int64_t slept_ms(void)
{
    return (clock_us(CLOCK_BOOTTIME) - clock_us(CLOCK_MONOTONIC)) / 1000;
}

/* How service time follows a wall clock that is ahead of it: what the machine slept, and more than CLOCK_STEP_MAX_MS, at once; all else
 * by at most one part in CLOCK_SLEW_PART of the time that passes. */
#define CLOCK_SLEW_PART   20
#define CLOCK_STEP_MAX_MS INT64_C(600000)

/* clock_follow - the new offset: service time = CLOCK_MONOTONIC + offset. Never less than before, and never beyond the wall
 * unless it was there already.
 *   offset_ms  so far          wall_offset_ms  wall clock - CLOCK_MONOTONIC
 *   passed_ms  of CLOCK_MONOTONIC since the last call              slept_ms  suspended since the last call
 * Pure. */
static inline int64_t clock_follow(int64_t offset_ms, int64_t wall_offset_ms, int64_t passed_ms, int64_t slept_ms)
{
    int64_t behind = wall_offset_ms - offset_ms;
    if (behind <= 0)
        return offset_ms;
    int64_t most = (passed_ms > 0 ? passed_ms / CLOCK_SLEW_PART : 0) + (slept_ms > 0 ? slept_ms : 0);
    return behind - (slept_ms > 0 ? slept_ms : 0) > CLOCK_STEP_MAX_MS || behind < most ? wall_offset_ms : offset_ms + most;
}
#endif
