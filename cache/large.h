/* large.h - which part of the tables the system keeps in large pages, and why not the rest: for people and metrics, not for readers. */
#ifndef CACHE_LARGE_H
#define CACHE_LARGE_H

#include <stdint.h>

struct large_pages {
    uint64_t table_bytes; /* that the tables take of the file system */
    uint64_t large_bytes; /* of these, in pages of 2 MiB as the kernel maps them into this process right now */
    const char
        *why; /* what kept the rest in small pages, for people; "" = nothing is left that could be large. Constant */
};

/* large_pages_of - map the tables of a cache folder for reading, touch each chunk that may be large, and ask the kernel.
 * Takes about a microsecond for each of them, and maps nothing afterwards. Safe from any thread. All zero where there are none. */
void large_pages_of(const char *folder, struct large_pages *ret);
#endif
