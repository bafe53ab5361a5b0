/* silence.h - when nobody priced: quotes were stale then, and stood at list price where that was lower, or past a model's stale limit.
 *
 *   worker_beat() --silence_beat()--> DATA_DIR/silence.N.ndjson, worker N's --silence_read()--> rialto explain --at
 *
 * Not in the price journal: in a silence no baseline price changes, and Redis may lose its past.
 * Bounded    a file's older half becomes one silence that holds all of its own: more may be told than was, never less.
 * Crash      a line is written at the first beat after a silence: who dies before has the same silence to tell, and a longer one. */
#ifndef SERVICE_SILENCE_H
#define SERVICE_SILENCE_H

#include "service/config.h"

#include <rialto/layout.h>
#include <stdbool.h>
#include <stdint.h>

struct silence { /* from_ms up to, not including, to_ms; service time */
    int64_t from_ms, to_ms;
};

struct silence_watch {    /* a worker's: its last beat */
    int64_t beat_mono_ms; /* 0: of another boot, or never */
    int64_t tick_ms;      /* that it had come to; 0: never */
};

struct worker;

/* silence_setup - what readers were told last by whoever had these partitions, or how far the state has come. silence_beat - the worker is
 * about to say that it is alive: a silence that quotes were stale in is written down. A file that cannot be written is told in the log. */
void silence_setup(struct worker *worker);
void silence_beat(struct worker *worker, int64_t mono_ms);

/* silence_now - has the owner of this partition been silent until now for so long that quotes of some rule are stale? `rules`: as readers see them. */
bool silence_now(const struct rialto_control *control, const struct rialto_rules_header *rules, uint32_t partition,
                 int64_t mono_ms, struct silence *ret);

/* silence_read - appends those of a partition to `ret`, as far as they fall into `of`; where there is no room, the last holds what is left. False: what
 * stands in a file is not what was written. */
#define SILENCES_MAX 256u
bool silence_read(const struct config *config, uint32_t partition, struct silence of, uint32_t *count,
                  struct silence ret[SILENCES_MAX]);
#endif
