/* memory.c - random reads and writes of lines, and nothing else. */
#include "bench/memory.h"

#include "bench/bench.h"
#include "cache/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_BYTES 64u
#define BURST      4096u /* places written down, then gone through */
#define LARGE_PAGE (UINT64_C(2) << 20)
#define AHEAD_MAX  64u
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void segments_of(const struct tables *t, enum rialto_table table, struct memory_segment ret[RIALTO_PARTITIONS])
{
    const struct folder_table *f = &t->prices->folder.table[table];
    memset(ret, 0, RIALTO_PARTITIONS * sizeof ret[0]);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        ret[p].count = folder_extent_count(&f->extents[p]);
        for (uint32_t i = 0; i < ret[p].count; i++) {
            const struct rialto_extent *extent = &f->extents[p].extent[i];
            ret[p].at[i] = f->base + atomic_load_explicit(&extent->lines, memory_order_relaxed);
            ret[p].extent_lines[i] = atomic_load_explicit(&extent->capacity, memory_order_relaxed);
            ret[p].lines += ret[p].extent_lines[i];
        }
    }
}

void memory_init(struct memory *m, const struct tables *t)
{
    m->random = 7;
    m->sink = 0;
    segments_of(t, RIALTO_TABLE_TERMS, m->terms);
    segments_of(t, RIALTO_TABLE_CELLS, m->cells);
}

static const uint64_t *any_line(const struct memory_segment segment[RIALTO_PARTITIONS], uint64_t random)
{
    const struct memory_segment *s = &segment[random % RIALTO_PARTITIONS];
    uint64_t line = (random >> 8) % s->lines;
    uint32_t i = 0;
    for (; line >= s->extent_lines[i]; i++)
        line -= s->extent_lines[i];
    return (const uint64_t *)(const void *)(s->at[i] + line * LINE_BYTES);
}

void memory_draw(struct memory *m, size_t n, struct memory_draw *ret)
{
    ret->line[0] = any_line(m->terms, bench_random(&m->random));
    for (size_t i = 0; i < n; i++)
        ret->line[1 + i] = any_line(m->cells, bench_random(&m->random));
}

static inline uint64_t read_line(const uint64_t *line)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < LINE_BYTES / 8; w++)
        sum += __atomic_load_n(&line[w], __ATOMIC_RELAXED);
    return sum;
}

void memory_ask(struct memory *m, const struct memory_draw *d, size_t n, bool prefetch)
{
    uint64_t sum = 0;
    for (size_t i = 0; prefetch && i <= n; i++)
        __builtin_prefetch(d->line[i]);
    for (size_t i = 0; i <= n; i++)
        sum += read_line(d->line[i]);
    m->sink += sum;
}

double memory_read_rate(struct memory *m, double seconds, unsigned ahead)
{
    const uint64_t *place[BURST + AHEAD_MAX]; /* not static: two threads may read at once */
    uint64_t lines = 0, sum = 0;
    double spent = 0;
    while (spent < seconds) {
        for (size_t i = 0; i < BURST + AHEAD_MAX; i++)
            place[i] = any_line(m->terms, bench_random(&m->random));
        double from = clock_seconds();
        for (size_t i = 0; i < BURST; i++) {
            if (ahead > 0)
                __builtin_prefetch(place[i + ahead]);
            sum += read_line(place[i]);
        }
        spent += clock_seconds() - from;
        lines += BURST;
    }
    m->sink += sum;
    return (double)lines / spent;
}

double memory_chase_ns(struct memory *m, double seconds)
{
    uint64_t lines = 0, sum = 0;
    double spent = 0;
    while (spent < seconds) {
        double from = clock_seconds();
        for (size_t i = 0; i < BURST; i++) {
            uint64_t here = bench_random(&m->random);
            sum += read_line(any_line(m->terms, here ^ (sum & 1))); /* the next place depends on what was read */
        }
        spent += clock_seconds() - from;
        lines += BURST;
    }
    m->sink += sum;
    return spent * 1e9 / (double)lines;
}

bool scratch_setup(struct scratch *s, uint64_t lines)
{
    uint64_t bytes = (lines * LINE_BYTES + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    memset(s, 0, sizeof *s);
    int fd = memfd_create("rialto-bench", MFD_CLOEXEC);
    uint8_t *room = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        room = mmap(NULL, bytes + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room != MAP_FAILED) {
        uint8_t *aligned = room + (LARGE_PAGE - (uintptr_t)room % LARGE_PAGE) % LARGE_PAGE;
        (void)munmap(room, bytes + LARGE_PAGE);
        s->at = mmap(aligned, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
        s->at = s->at == MAP_FAILED ? NULL : s->at;
    }
    if (fd >= 0)
        (void)close(fd);
    if (s->at == NULL)
        return false;
    s->lines = bytes / LINE_BYTES;
    memset(s->at, 1, bytes);
    for (uint64_t chunk = 0; chunk < bytes; chunk += LARGE_PAGE)
        s->large_bytes += madvise(s->at + chunk, LARGE_PAGE, MADV_COLLAPSE) == 0 ? LARGE_PAGE : 0;
    return true;
}

void scratch_teardown(struct scratch *s)
{
    if (s->at != NULL)
        (void)munmap(s->at, s->lines * LINE_BYTES);
    s->at = NULL;
}

double scratch_write_rate(struct scratch *s, double seconds, unsigned ahead)
{
    static uint64_t *place[BURST + AHEAD_MAX];
    uint64_t lines = 0, random = 11;
    double spent = 0;
    while (spent < seconds) {
        for (size_t i = 0; i < BURST + AHEAD_MAX; i++)
            place[i] = (uint64_t *)(void *)(s->at + bench_random(&random) % s->lines * LINE_BYTES);
        double from = clock_seconds();
        for (size_t i = 0; i < BURST; i++) {
            if (ahead > 0)
                __builtin_prefetch(place[i + ahead], 1);
            for (size_t w = 0; w < LINE_BYTES / 8; w++)
                __atomic_store_n(&place[i][w], lines + i + w, __ATOMIC_RELAXED);
        }
        spent += clock_seconds() - from;
        lines += BURST;
    }
    return (double)lines / spent;
}
