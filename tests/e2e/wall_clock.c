/* wall_clock.c - LD_PRELOAD: CLOCK_REALTIME is set by as many ms as the file RIALTO_TEST_WALL says (an int64 in it). CLOCK_MONOTONIC is the machine's.
 * Waits until a time of the wall clock (NNG's timers are such) end by the clock that was set. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *set_ms;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("RIALTO_TEST_WALL");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd != -1 ? mmap(NULL, sizeof *set_ms, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map != MAP_FAILED)
        set_ms = map;
    if (fd != -1)
        (void)close(fd);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    if (clock != CLOCK_REALTIME || set_ms == NULL)
        return 0;
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + *set_ms * 1000000;
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}

__attribute__((visibility("default"))) int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                                                  const struct timespec *until)
{
    if (until->tv_sec < 1000000000) /* no wall clock has said that since 2001: a time since boot */
        return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
    int64_t ns = (int64_t)until->tv_sec * 1000000000 + until->tv_nsec - (set_ms != NULL ? *set_ms : 0) * 1000000;
    struct timespec real = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    return pthread_cond_clockwait(cond, mutex, CLOCK_REALTIME, &real);
}
