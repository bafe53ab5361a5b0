#include "service/timers.h"

#include <stdlib.h>

static bool before(const struct timer *a, const struct timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    if (a->partition != b->partition)
        return a->partition < b->partition;
    if (a->kind != b->kind)
        return a->kind < b->kind;
    return a->index < b->index;
}

static void swap(struct timer *a, struct timer *b)
{
    struct timer held = *a;
    *a = *b;
    *b = held;
}

bool timers_set(struct timers *timers, struct timer timer)
{
    if (timers->count == timers->room) {
        size_t room = timers->room == 0 ? 1024 : timers->room * 2;
        struct timer *heap = realloc(timers->heap, room * sizeof *heap);
        if (heap == NULL)
            return false;
        timers->heap = heap;
        timers->room = room;
    }
    size_t at = timers->count++;
    timers->heap[at] = timer;
    for (; at > 0 && before(&timers->heap[at], &timers->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&timers->heap[at], &timers->heap[(at - 1) / 2]);
    return true;
}

bool timers_pop(struct timers *timers, int64_t now_ms, struct timer *ret)
{
    if (timers->count == 0 || timers->heap[0].due_ms > now_ms)
        return false;
    *ret = timers->heap[0];
    timers->heap[0] = timers->heap[--timers->count];
    for (size_t at = 0;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < timers->count; child++)
            if (before(&timers->heap[child], &timers->heap[least]))
                least = child;
        if (least == at)
            return true;
        swap(&timers->heap[at], &timers->heap[least]);
        at = least;
    }
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
