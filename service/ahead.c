/* ahead.c - see ahead.h. */
#include "service/ahead.h"

#include "service/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14; C libraries came later */
#endif

struct ahead {
    pthread_t thread;
    sem_t permitted;       /* steps that the thread may still begin */
    _Atomic uint32_t step; /* of the owner */
    atomic_bool ending;
    uint32_t count;
    struct ahead_step of[AHEAD_STEPS_MAX];
};

bool ahead_make_writable(struct pages pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (uintptr_t)pages.start % page;
    return pages.bytes == 0 || madvise((char *)pages.start - before, before + pages.bytes, MADV_POPULATE_WRITE) == 0;
}

/* Slice by slice, as long as the owner is not there yet. False: the kernel does not do it. */
static bool part_ahead(struct ahead *ahead, uint32_t step, struct pages part)
{
    for (size_t at = 0; at < part.bytes && !atomic_load(&ahead->ending) && atomic_load(&ahead->step) < step;
         at += AHEAD_SLICE_BYTES) {
        size_t left = part.bytes - at, bytes = left < AHEAD_SLICE_BYTES ? left : AHEAD_SLICE_BYTES;
        if (!ahead_make_writable((struct pages){ (char *)part.start + at, bytes }))
            return false;
        metric_add(METRIC_change_ahead_bytes_total, bytes);
    }
    return true;
}

static void *ahead_run(void *user)
{
    struct ahead *ahead = user;
    bool possible = true;
    for (uint32_t step = 1; step < ahead->count && possible; step++) {
        while (sem_wait(&ahead->permitted) != 0) /* a signal */
            ;
        if (atomic_load(&ahead->ending))
            break;
        for (uint32_t i = 0; i < AHEAD_PARTS && possible; i++)
            possible = part_ahead(ahead, step, ahead->of[step].part[i]);
    }
    return NULL;
}

struct ahead *ahead_start(const struct ahead_step *step, uint32_t count)
{
    assert(count <= AHEAD_STEPS_MAX);
    struct ahead *ahead = calloc(1, sizeof *ahead);
    if (ahead == NULL)
        return NULL;
    ahead->count = count;
    memcpy(ahead->of, step, count * sizeof *step);
    (void)sem_init(&ahead->permitted, 0, AHEAD_STEPS); /* fails for larger numbers only */
    if (pthread_create(&ahead->thread, NULL, ahead_run, ahead) == 0)
        return ahead;
    (void)sem_destroy(&ahead->permitted);
    free(ahead);
    return NULL;
}

void ahead_next(struct ahead *ahead)
{
    if (ahead == NULL)
        return;
    atomic_fetch_add(&ahead->step, 1);
    (void)sem_post(&ahead->permitted);
}

void ahead_end(struct ahead *ahead)
{
    if (ahead == NULL)
        return;
    atomic_store(&ahead->ending, true);
    (void)sem_post(&ahead->permitted);
    (void)pthread_join(ahead->thread, NULL);
    (void)sem_destroy(&ahead->permitted);
    free(ahead);
}
