/* zeros.c - see zeros.h. */
#include "service/zeros.h"

#include <stdatomic.h>

static atomic_bool written;

void zeros_write(void)
{
    atomic_store_explicit(&written, true, memory_order_relaxed);
}

bool zeros_are_written(void)
{
    return atomic_load_explicit(&written, memory_order_relaxed);
}
