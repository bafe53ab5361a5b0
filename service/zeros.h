/* zeros.h - how calloc() of a release gets its zeros where jemalloc is the allocator (calloc.c): from the kernel, or written.
 *
 * NNG asks for every message as zeros. For a block of more than 32 KB that was used before, jemalloc has the kernel zero its pages
 * (MADV_DONTNEED): a fault for each 4 KB that comes in or goes out, and a quarter of what a gateway did. While a process sets itself up that is
 * right: its tables are as large as they may ever become, and take no memory before they are used. */
#ifndef SERVICE_ZEROS_H
#define SERVICE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>

#define ZEROS_WRITTEN_MAX ((size_t)4 << 20) /* a larger block is the kernel's to zero all the same */

/* zeros_write - from here on, as a process is set up and messages come. zeros_are_written - since then? Any thread. */
void zeros_write(void);
bool zeros_are_written(void);
#endif
