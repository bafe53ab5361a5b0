/* gateway_clock.c - service time, and the number of the next batch.
 *
 *   service time = CLOCK_MONOTONIC + offset; the offset is published in control and only grows, so time never goes
 *   back: not over a restart of the gateway, not when somebody sets the wall clock, not after a recording moved it
 *   ahead. A wall clock that was set ahead is followed slowly (clock_follow), so that no price moves by a step of it.
 *
 * Numbers    DATA_DIR/gateway.seq is one mapped word: the newest number given out, stored before the batch is sent.
 *            After a crash the next gateway goes on behind it, so that no number ever names two batches.
 * Owner      one gateway per data folder: the file is locked. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int64_t tick_of(const struct gateway *gateway, int64_t service_ms)
{
    return service_ms - service_ms % (int64_t)gateway->config->tick_ms;
}

int64_t clock_now_ms(const struct gateway *gateway)
{
    return mono_ms() + gateway->clock.offset_ms;
}

static void offset_set(struct gateway *gateway, int64_t offset_ms)
{
    gateway->clock.offset_ms = offset_ms;
    atomic_store_explicit(&gateway->control->clock_offset_ms, offset_ms, memory_order_release);
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

static bool seq_open(struct clock *clock, const char *path)
{
    clock->seq_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (clock->seq_fd == -1 || flock(clock->seq_fd, LOCK_EX | LOCK_NB) == -1)
        return false;
    /* Reserved for real: a store into a hole of a full file system would be a SIGBUS. */
    int error = posix_fallocate(clock->seq_fd, 0, sizeof *clock->seq_word);
    if (error != 0) {
        errno = error;
        return false;
    }
    void *map = mmap(NULL, sizeof *clock->seq_word, PROT_READ | PROT_WRITE, MAP_SHARED, clock->seq_fd, 0);
    if (map == MAP_FAILED)
        return false;
    clock->seq_word = map;
    return true;
}

bool clock_setup(struct gateway *gateway)
{
    char path[CONFIG_TEXT_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/gateway.seq", gateway->config->data_dir);
    gateway->clock.seq_fd = -1;
    if (!seq_open(&gateway->clock, path)) {
        log_line(LOG_ERROR, "SEQUENCE-FAILED", "file=%s errno=%d reason=\"%s\"", path, errno,
                 errno == EWOULDBLOCK ? "another gateway uses this data folder" : strerror(errno));
        return false;
    }
    gateway->clock.next_seq = wire_batch_after(atomic_load(gateway->clock.seq_word));
    return true;
}

void clock_teardown(struct gateway *gateway)
{
    if (gateway->clock.seq_word != NULL)
        (void)munmap((void *)gateway->clock.seq_word, sizeof *gateway->clock.seq_word);
    if (gateway->clock.seq_fd != -1)
        (void)close(gateway->clock.seq_fd);
}

uint64_t clock_take_seq(struct gateway *gateway)
{
    uint64_t seq = gateway->clock.next_seq;
    gateway->clock.next_seq = wire_batch_after(seq);
    atomic_store_explicit(gateway->clock.seq_word, seq, memory_order_release);
    return seq;
}

/* A worker has applied a batch that this gateway has not given out: the file of numbers is older than the worker's
 * state. Batches numbered below would be taken for repeats, so this life ends; the next one begins behind the worker.
 */
void clock_seen_seq(struct gateway *gateway, uint64_t applied)
{
    if (applied < gateway->clock.next_seq)
        return;
    bool started = gateway->clock.tick_ms != 0;
    gateway->clock.next_seq = wire_batch_after(applied);
    atomic_store_explicit(gateway->clock.seq_word, applied, memory_order_release);
    if (!started)
        return;
    log_line(LOG_ERROR, "SEQUENCE-BEHIND", "applied=%" PRIu64 " what=\"gateway starts again behind it\"", applied);
    _exit(EXIT_FAILURE);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

/* The wall clock is ahead: it was set, or the machine slept. Backwards it is not followed. */
static void follow_wall_clock(struct gateway *gateway)
{
    struct clock *clock = &gateway->clock;
    int64_t wall_offset = unix_ms() - mono_ms(), mono = mono_ms(), slept = slept_ms();
    int64_t passed = mono - clock->followed_mono_ms;
    int64_t offset = clock_follow(clock->offset_ms, wall_offset, passed, slept - clock->slept_ms);
    int64_t moved = offset - clock->offset_ms;
    /* A part of the slew that is too short to be a millisecond is not lost: it counts with the next look. */
    if (moved > 0 || wall_offset <= clock->offset_ms || slept > clock->slept_ms) {
        clock->followed_mono_ms = mono;
        clock->slept_ms = slept > clock->slept_ms ? slept : clock->slept_ms;
    }
    if (moved > 0)
        offset_set(gateway, offset);
    metric_set(METRIC_clock_behind_ms, (uint64_t)(wall_offset > offset ? wall_offset - offset : 0));
    metric_set(METRIC_clock_ahead_ms, (uint64_t)(wall_offset < offset ? offset - wall_offset : 0));
    if (moved <= passed / CLOCK_SLEW_PART + (int64_t)gateway->config->tick_ms)
        return;
    metric_add(METRIC_clock_jumps_total, 1);
    log_line(LOG_WARNING, "CLOCK-JUMP", "ahead_by_ms=%" PRId64 " what=\"the machine slept, or its clock was far behind\"", moved);
}

void clock_start(struct gateway *gateway)
{
    int64_t mono = mono_ms();
    /* From the creation of the tables, or the gateway before this one: this boot's. */
    int64_t offset = atomic_load_explicit(&gateway->control->clock_offset_ms, memory_order_acquire);
    for (uint32_t i = 0; i < RIALTO_PARTITIONS; i++) {
        int64_t tick = atomic_load_explicit(&gateway->control->heartbeat[i].tick_ms, memory_order_acquire);
        if (tick - mono > offset)
            offset = tick - mono;
    }
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (gateway->link[i].hello_tick_ms - mono > offset)
            offset = gateway->link[i].hello_tick_ms - mono;
    offset_set(gateway, offset);
    gateway->clock.followed_mono_ms = mono;
    gateway->clock.slept_ms = slept_ms();
    follow_wall_clock(gateway);
    gateway->clock.tick_ms = tick_of(gateway, clock_now_ms(gateway));
    log_line(LOG_INFO, "CLOCK", "offset_ms=%" PRId64 " next_batch=%" PRIu64, gateway->clock.offset_ms, gateway->clock.next_seq);
}

static void tick_begin(struct gateway *gateway, int64_t tick)
{
    batch_seal(gateway, false); /* what is in it belongs to the tick that ends */
    gateway->clock.tick_ms = tick;
    metric_set(METRIC_tick_ms, (uint64_t)tick);
    batch_tick(gateway);
}

bool clock_step(struct gateway *gateway)
{
    if (tick_of(gateway, clock_now_ms(gateway)) <= gateway->clock.tick_ms)
        return false;
    follow_wall_clock(gateway);
    tick_begin(gateway, tick_of(gateway, clock_now_ms(gateway)));
    return true;
}

void clock_move(struct gateway *gateway, int64_t to_ms)
{
    int64_t ahead = to_ms - clock_now_ms(gateway);
    if (ahead <= 0)
        return;
    offset_set(gateway, gateway->clock.offset_ms + ahead);
    gateway->rules.now_ms = clock_now_ms(gateway);
    int64_t tick = tick_of(gateway, to_ms);
    if (tick > gateway->clock.tick_ms)
        tick_begin(gateway, tick);
}

int64_t clock_next_tick_mono_ms(const struct gateway *gateway)
{
    return gateway->clock.tick_ms + (int64_t)gateway->config->tick_ms - gateway->clock.offset_ms;
}
