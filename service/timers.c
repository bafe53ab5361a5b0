#include "service/timers.h"

#include "service/state.h"

#include <stdlib.h>

static int order(const void *left, const void *right)
{
    const struct timer *a = left, *b = right;
    bool priced = a->pool == POOL_PRODUCTS;
    if (priced != (b->pool == POOL_PRODUCTS))
        return priced ? 1 : -1;
    if (!priced && a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    if (a->pool != b->pool)
        return a->pool < b->pool ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

bool timers_add(struct timers *timers, struct timer timer)
{
    if (timers->count == timers->room) {
        size_t room = timers->room == 0 ? 1024 : timers->room * 2;
        struct timer *grown = realloc(timers->timer, room * sizeof *grown);
        if (grown == NULL)
            return false;
        timers->timer = grown;
        timers->room = room;
    }
    timers->timer[timers->count++] = timer;
    return true;
}

void timers_sort(struct timers *timers)
{
    if (timers->count > 1)
        qsort(timers->timer, timers->count, sizeof timers->timer[0], order);
}

void timers_fini(struct timers *timers)
{
    free(timers->timer);
    *timers = (struct timers){ 0 };
}
