/* top.h - the insides of `rialto top`: what is looked at once a second, and how it is shown. Private to cli/top*.c.
 *
 *   metrics.v3, control.v3, tables --top_look()--> two samples --top_draw()--> rows of text --> terminal or standard output */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/cli.h"
#include "service/metrics.h"
#include "service/progress.h"

#define TOP_ROWS_MAX     200u /* of a frame; one block of metrics takes one */
#define TOP_COLUMNS_MAX  160u
#define TOP_PROBLEMS_MAX 4u

struct top_process {
    char who[32]; /* "" = none; printable */
    bool worker;
    int64_t beat_ms; /* age of the oldest heartbeat among its partitions; -1: it has none */
    int64_t bytes;   /* resident memory; -1: cannot be seen from here */
    uint64_t word[METRIC_COUNT];
};

struct top_sample {
    bool tables, metrics;           /* are there, and could be read */
    char instance[RIALTO_NAME_MAX]; /* as the tables call it; printable */
    int64_t at_ms;                  /* CLOCK_MONOTONIC */
    uint32_t mode;
    bool retired;
    int64_t service_ms;
    uint32_t partitions_silent;
    uint32_t stale_after_ms;
    uint64_t cache_bytes;
    struct progress starting; /* partitions 0 = none is */
    uint32_t process_count;
    struct top_process process[METRICS_BLOCKS_MAX]; /* the same process in the same place */
    uint64_t word[METRIC_COUNT];                    /* summed */
    uint64_t bucket[HISTOGRAM_COUNT][HISTOGRAM_BUCKETS];
    int64_t read_ns; /* median of reading one price here; -1: there is none to read */
    char read_sku[RIALTO_ID_MAX];
};

struct top_frame {
    uint32_t count;
    char row[TOP_ROWS_MAX][TOP_COLUMNS_MAX];
};

/* top_look - all of it now. Opens and maps what it needs anew, so that new tables under the same name are seen. */
void top_look(const struct cli *cli, struct top_sample *ret);

/* top_draw - what happened from one sample to the next. `instance`: what it is called where there are no tables. */
void top_draw(const char *instance, const struct top_sample *before, const struct top_sample *now,
              struct top_frame *ret);
#endif
