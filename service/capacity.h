/* capacity.h - how many lines and records a partition has room for, from the configured maxima: one place, because a record
 * that a worker takes must find its line. */
#ifndef SERVICE_CAPACITY_H
#define SERVICE_CAPACITY_H

#include "cache/table.h"
#include "service/config.h"
#include "service/state.h"

/* capacity_of - records of one partition. Zones: of the common file, which has all of them. */
uint32_t capacity_of(const struct config *config, enum state_pool pool);

/* capacity_of_locks - of one partition; they stand in the records of offers. */
uint32_t capacity_of_locks(const struct config *config);

/* capacity_plan - lines and settings of the cache; folder and instance point into config. Secret and group id are left 0 and -1. */
void capacity_plan(const struct config *config, struct cache_plan *ret);
#endif
