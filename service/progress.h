/* progress.h - how far a start is: summed over workers, out of the metrics. For whoever waits: `rialto status`, /readyz. */
#ifndef SERVICE_PROGRESS_H
#define SERVICE_PROGRESS_H

#include "service/metrics.h"

#include <stdbool.h>

struct progress {
    uint64_t partitions;     /* still to come back; 0 = no start is under way */
    uint64_t records, all;   /* that are back, and that there are; all 0 = not known yet */
    uint64_t redis_permille; /* of its data that Redis has read while it is loading; 0 = not known, or not loading */
    bool redis_awaited;      /* some worker waits for a Redis that does not answer, or is loading */
};

/* progress_of - any thread, any process. */
struct progress progress_of(const struct metrics_file *metrics);
/* progress_text - "starting: ..." in at most n bytes with the 0. False, and "", when no start is under way. */
bool progress_text(const struct progress *progress, size_t n, char *ret);
#endif
