/* Goal: deadlines fire in one order, whatever order they were set in. */
#include "service/timers.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct timer *x = a, *y = b;
    if (x->due_ms != y->due_ms)
        return x->due_ms < y->due_ms ? -1 : 1;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

Test(timers, they_come_out_as_a_sort_would_put_them)
{
    enum { COUNT = 5000 };
    static struct timer set[COUNT];
    struct timers timers = {0};
    srand(7);
    for (int i = 0; i < COUNT; i++) {
        set[i] = (struct timer){ .due_ms = rand() % 100, .index = (uint32_t)(rand() % 50), .partition = (uint8_t)(rand() % 3),
                                 .kind = (uint8_t)(rand() % 3) };
        cr_assert(timers_set(&timers, set[i]));
    }
    qsort(set, COUNT, sizeof set[0], compare);
    struct timer got;
    for (int i = 0; i < COUNT; i++) {
        cr_assert(timers_pop(&timers, 100, &got));
        cr_assert_eq(compare(&got, &set[i]), 0);
    }
    cr_assert_not(timers_pop(&timers, 100, &got));
    timers_fini(&timers);
}

Test(timers, nothing_fires_before_its_time)
{
    struct timers timers = {0};
    struct timer got = { .index = 77 };
    cr_assert(timers_set(&timers, (struct timer){ .due_ms = 1000, .index = 1 }));
    cr_assert_not(timers_pop(&timers, 999, &got));
    cr_assert_eq(got.index, 77);
    cr_assert(timers_pop(&timers, 1000, &got));
    cr_assert_eq(got.index, 1);
    timers_fini(&timers);
}
