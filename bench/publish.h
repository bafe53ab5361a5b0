/* publish.h - workers: processes that change cells at known places as fast as they can. */
#ifndef BENCH_PUBLISH_H
#define BENCH_PUBLISH_H

#include "bench/tables.h"

#define PUBLISHERS_MAX 8u

enum publish_where {
    PUBLISH_ALL, /* cells all over the table: the order of a worker's records is not that of the lines */
    PUBLISH_ONE, /* one product's two cells, over and over: lines hammered flat out */
};
#define PUBLISH_ONE_PRODUCT 0u /* the hammered one */

/* publish_rate - lines changed per second by one worker alone, on the reader's processor. Negative: failed. */
double publish_rate(struct tables *t, double seconds);

struct publishers;
/* publishers_start - `count` processes, beside the reader; partition p belongs to process p % count. */
struct publishers *publishers_start(struct tables *t, uint64_t count, enum publish_where where);
/* publishers_stop - and how many lines they changed per second, together; negative when one of them failed. */
double publishers_stop(struct publishers *p);
#endif
