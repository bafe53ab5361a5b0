/* reserve.h - real space for the files of a cache folder, in large pages where the system has any.
 *
 * A store to a hole of a full tmpfs would be a SIGBUS in whoever stores: nobody is told of a byte that was not reserved. */
#ifndef CACHE_RESERVE_H
#define CACHE_RESERVE_H

#include "cache/folder.h"

/* reserve_range - posix_fallocate(), tried again when a signal comes. OK; NO_SPACE and others, with errno. */
enum rialto_status reserve_range(int fd, uint64_t from, uint64_t bytes);

/* reserve_large - as reserve_range(), and asks for large pages first: for each whole chunk of FOLDER_LARGE_PAGE that begins
 * in the range and ends before `end`. `base` is the file mapped for writing, at an address from folder_map(). Large pages
 * are a wish: what the kernel does not give is made of small pages. */
enum rialto_status reserve_large(int fd, uint8_t *base, uint64_t from, uint64_t bytes, uint64_t end);
#endif
