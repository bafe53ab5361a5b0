/* line.c - hunts for a torn line: one writer that is often interrupted in the middle, readers that check every word.
 *
 * Part one kills writer processes and reads what they leave. Part two races threads over the same addresses, where
 * ThreadSanitizer can see them. */
static void line_pause(void);
#define LINE_STEP() line_pause()
#include "cache/line.h"
#include "tests/race/race.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES   4u
#define READERS 2u

struct shared { /* one segment with a few lines, as they lie in a file */
    alignas(64) struct rialto_segment segment;
    alignas(64) _Atomic uint64_t word[LINES][LINE_WORDS_MAX];
};

static struct shared *shared;
static uint32_t words = 8;
static atomic_bool stop;
static _Thread_local uint64_t pause_state = 1;

/* Preemption in the middle of a line, now and then: what makes readers need the side copy. */
static void line_pause(void)
{
    if (race_random(&pause_state) % 4096 == 0)
        (void)sched_yield();
}

static void image_of(uint64_t slot, uint32_t version, uint64_t ret[LINE_WORDS_MAX])
{
    ret[0] = (uint64_t)version << 32;
    for (uint64_t i = 1; i < words; i++)
        ret[i] = (version + i) * UINT64_C(0x9E3779B97F4A7C15) ^ slot;
}

static bool whole(uint64_t slot, const uint64_t *image)
{
    uint64_t wanted[LINE_WORDS_MAX];
    image_of(slot, (uint32_t)(image[0] >> 32), wanted);
    return memcmp(&wanted[1], &image[1], (words - 1) * 8) == 0;
}

static struct line_place place_of(uint64_t slot)
{
    return (struct line_place){ .segment = &shared->segment, .word = shared->word[slot], .slot = slot, .words = words };
}

static void write_version(uint64_t slot, uint32_t version)
{
    uint64_t image[LINE_WORDS_MAX];
    struct line_place at = place_of(slot);
    image_of(slot, version, image);
    line_write(&at, &(struct line_version){ .image = image, .used = LINES },
               &(struct line_version){ .image = NULL, .used = LINES });
}

static void fill(void)
{
    for (uint64_t slot = 0; slot < LINES; slot++)
        write_version(slot, 1);
}

static uint32_t version_of(uint64_t slot)
{
    return (uint32_t)(atomic_load(&shared->word[slot][0]) >> 32);
}

/* ---- killed writers ------------------------------------------------------------------------------------ */

static pid_t start_writer(uint64_t seed)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    pause_state = seed;
    for (uint32_t version = version_of(0) + 1;; version++) {
        for (uint64_t slot = 0; slot < LINES; slot++)
            write_version(slot, version);
    }
}

struct kills {
    uint32_t count, open, busy, torn, unrepaired;
};

static void check_after_kill(struct kills *k)
{
    uint64_t image[LINE_WORDS_MAX];
    for (uint64_t slot = 0; slot < LINES; slot++) {
        k->open += (atomic_load(&shared->word[slot][0]) & 1u) != 0;
        if (!line_read(&shared->segment, shared->word[slot], slot, words, image))
            k->busy++;
        else
            k->torn += !whole(slot, image);
    }
    for (uint64_t slot = 0; slot < LINES; slot++) {
        struct line_place at = place_of(slot);
        line_repair(&at);
        k->unrepaired += (atomic_load(&shared->word[slot][0]) & 1u) != 0 ||
                         !line_read(&shared->segment, shared->word[slot], slot, words, image) || !whole(slot, image);
    }
}

static int race_kills(int64_t duration_ms)
{
    struct kills k = { 0 };
    uint64_t state = (uint64_t)race_now_ms() | 1;
    int64_t end_ms = race_now_ms() + duration_ms;
    fill();
    while (race_now_ms() < end_ms) {
        pid_t pid = start_writer(race_random(&state));
        if (pid == -1)
            return race_report(false, "fork");
        (void)usleep(500 + (useconds_t)(race_random(&state) % 1500));
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        k.count++;
        check_after_kill(&k);
    }
    printf("# %u words: %u writers killed, %u left a line open\n", words, k.count, k.open);
    return race_report(k.busy == 0 && k.torn == 0, "readers find whole lines behind a killed writer") +
           race_report(k.unrepaired == 0, "repair makes every line whole");
}

/* ---- threads ------------------------------------------------------------------------------------------- */

struct counts {
    uint64_t reads, busy, torn, back;
};

static void *reader(void *argument)
{
    struct counts *c = argument;
    uint32_t newest[LINES] = { 0 };
    uint64_t image[LINE_WORDS_MAX];
    for (uint64_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        uint64_t slot = i % LINES;
        c->reads++;
        if (!line_read(&shared->segment, shared->word[slot], slot, words, image)) {
            c->busy++;
            continue;
        }
        uint32_t version = (uint32_t)(image[0] >> 32);
        c->torn += !whole(slot, image);
        c->back += (int32_t)(version - newest[slot]) < 0;
        newest[slot] = version;
    }
    return NULL;
}

static void *writer(void *argument)
{
    uint32_t *version = argument;
    uint64_t state = 7;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        *version += 1;
        write_version(race_random(&state) % LINES, *version);
    }
    return NULL;
}

static int race_threads(int64_t duration_ms)
{
    pthread_t thread[READERS + 1];
    struct counts count[READERS] = { 0 }, sum = { 0 };
    uint32_t version = version_of(0) + 1000;
    for (uint64_t slot = 0; slot < LINES; slot++)
        write_version(slot, version);
    atomic_store(&stop, false);
    (void)pthread_create(&thread[READERS], NULL, writer, &version);
    for (uint32_t i = 0; i < READERS; i++)
        (void)pthread_create(&thread[i], NULL, reader, &count[i]);
    (void)usleep((useconds_t)(duration_ms * 1000));
    atomic_store(&stop, true);
    for (uint32_t i = 0; i <= READERS; i++)
        (void)pthread_join(thread[i], NULL);
    for (uint32_t i = 0; i < READERS; i++) {
        sum.reads += count[i].reads;
        sum.busy += count[i].busy;
        sum.torn += count[i].torn;
        sum.back += count[i].back;
    }
    printf("# %u words: %lu reads, %lu busy\n", words, (unsigned long)sum.reads, (unsigned long)sum.busy);
    return race_report(sum.reads > 0 && sum.torn == 0, "no torn line was read") +
           race_report(sum.back == 0, "no reader saw an older version after a newer one") +
           race_report(sum.busy * 1000 <= sum.reads, "at most one read in 1000 was busy");
}

int main(int argc, char *argv[])
{
    static const uint32_t sizes[] = { 8, 16, 32 };
    int64_t part_ms = race_duration_ms(argc, argv) / 6;
    int failures = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        words = sizes[i];
        memset(shared, 0, sizeof *shared);
        failures += race_kills(part_ms);
        failures += race_threads(part_ms);
    }
    return failures == 0 ? 0 : 1;
}
