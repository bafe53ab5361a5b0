/* size.h - how much memory a configuration needs, before anything is started: `rialtod --size`. */
#ifndef SERVICE_SIZE_H
#define SERVICE_SIZE_H

#include "service/config.h"

#include <stdint.h>
#include <stdio.h>

struct size {              /* bytes when everything is as full as the configuration allows */
    uint64_t shared_start; /* files in cache_dir when they are made */
    uint64_t shared;       /* when all tables have grown to the whole: what a start asks for */
    uint64_t state;        /* files in data_dir/state; mapped by the workers, so memory as far as they are used */
    uint64_t
        redis; /* used_memory of Redis: the records and the ids of ten minutes, without copies of quotes and prices */
};

/* size_of - shared memory and state to the byte; Redis at most, from its data structures and jemalloc's size classes: records travel
 * without what was not said (packed.h). */
void size_of(const struct config *config, struct size *ret);

/* size_redis_record - bytes of used_memory that one record of so many bytes takes in a large hash, its bucket aside. */
uint64_t size_redis_record(uint64_t value_bytes);

/* size_describe - this configuration, the same with 1, 10 and 100 million customers, and what one more of each takes: two tables. */
void size_describe(const struct config *config, FILE *to);
#endif
