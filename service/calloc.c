/* calloc.c - rialtod's calloc(), in place of jemalloc's: linked into programs that have jemalloc, and into no other (Makefile).
 *
 *   libnng --calloc()--> here --mallocx()--> jemalloc          free() and realloc() are jemalloc's own
 *
 * jemalloc asks the kernel for the zeros of a large block that was used before; zeros.h says what that costs, and when. It has no setting for
 * that alone: `thp:always` writes zeros too, but then its memory is in large pages, or the tables are not. */
#include "service/zeros.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdlib.h>
#include <string.h>

/* Not malloc() and memset(): the compiler would make calloc() of the two, and that is this function. */
__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    size_t all;
    void *block = NULL;
    if (!__builtin_mul_overflow(count, bytes, &all)) {
        all += all == 0; /* what mallocx() is to give is not nothing */
        bool write = all <= ZEROS_WRITTEN_MAX && zeros_are_written();
        block = mallocx(all, write ? 0 : MALLOCX_ZERO);
        if (block != NULL && write)
            memset(block, 0, all);
    }
    if (block == NULL)
        errno = ENOMEM;
    return block;
}
