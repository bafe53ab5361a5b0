/* ring.c - a writer that never waits and followers that may fall behind: nothing torn, nothing out of order, and what
 * was missed is counted. */
#include "cache/ring.h"
#include "tests/race/race.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FOLLOWERS 2u

static struct rialto_ring *ring;
static atomic_bool stop, ended;

static void put(uint64_t number)
{
    union ring_image image = { .entry = { .when_ms = (int64_t)number,
                                          .before = (int64_t)number * 3,
                                          .after = (int64_t)number * 5,
                                          .slot = (uint32_t)number,
                                          .reason_ppm = (int32_t)(number & 0xFFFFFF) } };
    memcpy(image.entry.reason, &number, sizeof number);
    memcpy(image.entry.reason + 12, &number, sizeof number);
    ring_put(ring, &image);
}

static bool whole(const struct rialto_ring_entry *e, uint64_t position)
{
    uint64_t one, two;
    memcpy(&one, e->reason, sizeof one);
    memcpy(&two, e->reason + 12, sizeof two);
    return e->seq == position + 1 && e->when_ms == (int64_t)position && e->before == (int64_t)position * 3 &&
           e->after == (int64_t)position * 5 && e->slot == (uint32_t)position &&
           e->reason_ppm == (int32_t)(position & 0xFFFFFF) && one == position && two == position;
}

static void *writer(void *argument)
{
    uint64_t *written = argument, state = 5;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        put(*written);
        *written += 1;
        if (race_random(&state) % 100000 == 0)
            (void)sched_yield();
    }
    atomic_store(&ended, true);
    return NULL;
}

struct follower {
    uint64_t next, seen, missed, torn, lost;
    bool slow;
};

static void *follow(void *argument)
{
    struct follower *f = argument;
    for (;;) {
        bool last = atomic_load(&ended);
        uint64_t head = ring_head(ring);
        union ring_image image;
        if (f->next == head && last)
            return NULL;
        if (f->next == head)
            continue;
        if (ring_get(ring, f->next, &image)) {
            f->torn += !whole(&image.entry, f->next);
            f->seen++;
            f->next++;
        } else {
            head = ring_head(ring);
            f->lost += head - f->next < RIALTO_RING_ENTRIES; /* nobody can have overwritten it */
            uint64_t oldest = head - RIALTO_RING_ENTRIES / 2;
            f->missed += oldest - f->next;
            f->next = oldest;
        }
        if (f->slow && f->seen % 10000 == 0)
            (void)usleep(20000); /* long enough to be lapped */
    }
}

int main(int argc, char *argv[])
{
    pthread_t thread[FOLLOWERS + 1];
    struct follower follower[FOLLOWERS] = { { .slow = false }, { .slow = true } };
    uint64_t written = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return 2;
    (void)pthread_create(&thread[FOLLOWERS], NULL, writer, &written);
    for (uint32_t i = 0; i < FOLLOWERS; i++)
        (void)pthread_create(&thread[i], NULL, follow, &follower[i]);
    (void)usleep((useconds_t)(race_duration_ms(argc, argv) * 1000));
    atomic_store(&stop, true);
    for (uint32_t i = 0; i <= FOLLOWERS; i++)
        (void)pthread_join(thread[i], NULL);

    int failures = 0;
    for (uint32_t i = 0; i < FOLLOWERS; i++) {
        const struct follower *f = &follower[i];
        printf("# %lu written, %lu seen, %lu missed\n", (unsigned long)written, (unsigned long)f->seen,
               (unsigned long)f->missed);
        failures += race_report(f->seen > 0 && f->torn == 0, "no torn or misplaced entry was read");
        failures += race_report(f->lost == 0, "no entry was missing that nothing had overwritten");
        failures += race_report(f->seen + f->missed == written, "every entry was seen or counted as missed");
    }
    return failures == 0 ? 0 : 1;
}
