/* timers.h - what is due when: a heap of deadlines in service time, private to a worker and built anew from its state.
 *
 * Deadlines fire in the order (due, partition, kind, index), whatever order they were set in, so that a replayed stream fires them
 * alike. A deadline that no longer holds is found out when it fires: its owner compares with the record. */
#ifndef SERVICE_TIMERS_H
#define SERVICE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum timer_kind { TIMER_PRODUCT, TIMER_CUSTOMER, TIMER_OFFER };

struct timer {
    int64_t  due_ms;
    uint32_t index; /* record within its pool */
    uint8_t  partition;
    uint8_t  kind;
    uint16_t reserved;
};

struct timers {
    struct timer *heap;
    size_t count, room;
};

/* timers_set - false when memory ran out. timers_pop - the first deadline at or before now; false when there is none. */
bool timers_set(struct timers *timers, struct timer timer);
bool timers_pop(struct timers *timers, int64_t now_ms, struct timer *ret);
void timers_fini(struct timers *timers);
#endif
