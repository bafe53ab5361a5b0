/* timers.h - the deadlines that a batch comes to, put in order. Where deadlines wait: service/state_due.c.
 *
 * They fire in the order (due, partition, pool, index), whatever order they were set in, so that a replayed stream fires them alike. Products come
 * last, in the order of memory, whenever they were due: they are only priced anew, as of this tick. A
 * deadline that no longer holds is found out when it fires: its owner compares with the record. */
#ifndef SERVICE_TIMERS_H
#define SERVICE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due_ms;
    uint32_t index; /* record within its pool */
    uint8_t partition;
    uint8_t pool;
    uint16_t reserved;
};

struct timers {
    struct timer *timer;
    size_t count, room;
};

/* timers_add - false when memory ran out. timers_sort - into the order in which they fire. */
bool timers_add(struct timers *timers, struct timer timer);
void timers_sort(struct timers *timers);
void timers_fini(struct timers *timers);
#endif
