/* memory.h - what the memory itself does: reads of random lines of the mapped tables, writes of random lines.
 *
 * A "quote" of the memory is a line of terms and a line of cells, a page of 50 the same with 50 lines of cells: as many lines
 * as Rialto's answer rests on, in the same mapping, chosen before the clock starts. Nothing is searched or computed. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "bench/tables.h"

#define MEMORY_LINES (1u + DRAW_PAGE)

struct memory_draw {
    const uint64_t *line[MEMORY_LINES];
};

struct memory_segment { /* one segment's lines, extent by extent */
    uint64_t lines;     /* of all */
    uint32_t count;
    const uint8_t *at[RIALTO_EXTENTS_MAX];
    uint64_t extent_lines[RIALTO_EXTENTS_MAX];
};

struct memory {
    struct memory_segment terms[RIALTO_PARTITIONS];
    struct memory_segment cells[RIALTO_PARTITIONS];
    uint64_t random;
    volatile uint64_t sink;
};

void memory_init(struct memory *m, const struct tables *t);
void memory_draw(struct memory *m, size_t n, struct memory_draw *ret);
void memory_ask(struct memory *m, const struct memory_draw *d, size_t n, bool prefetch);

/* memory_read_rate - lines of terms read per second, for `seconds`: 0 without and 16 with as many prefetched ahead. */
double memory_read_rate(struct memory *m, double seconds, unsigned ahead);
/* memory_chase_ns - one line's time when its place is known only after the one before. */
double memory_chase_ns(struct memory *m, double seconds);

/* Writing needs memory of its own: as much as the cells have, in large pages where the system gives them. */
struct scratch {
    uint8_t *at;
    uint64_t lines;
    uint64_t large_bytes;
};
bool scratch_setup(struct scratch *s, uint64_t lines);
void scratch_teardown(struct scratch *s);
/* scratch_write_rate - lines overwritten whole per second at random places, `ahead` of them prefetched. */
double scratch_write_rate(struct scratch *s, double seconds, unsigned ahead);
#endif
