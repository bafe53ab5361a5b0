/* reserve.c - posix_fallocate() and MADV_COLLAPSE. */
#include "cache/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define FALLOCATE_TRIES 100
#define SMALL_PAGE      UINT64_C(4096)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1; C libraries came later */
#endif

enum rialto_status reserve_range(int fd, uint64_t from, uint64_t bytes)
{
    for (int tries = 0; tries < FALLOCATE_TRIES; tries++) {
        int error = posix_fallocate(fd, (off_t)from, (off_t)bytes);
        if (error == 0)
            return RIALTO_OK;
        if (error != EINTR) {
            errno = error;
            return folder_status_of_errno(error);
        }
    }
    return RIALTO_SYSTEM;
}

/* The kernel collapses a chunk that lies within the file's length and has a first small page, both reserved here. False
 * when this kernel or file system knows no large pages. */
static bool collapse_chunk(int fd, uint8_t *base, uint64_t chunk, enum rialto_status *status)
{
    *status = reserve_range(fd, chunk + FOLDER_LARGE_PAGE - SMALL_PAGE, SMALL_PAGE);
    if (*status == RIALTO_OK)
        *status = reserve_range(fd, chunk, SMALL_PAGE);
    return *status == RIALTO_OK && !(madvise(base + chunk, FOLDER_LARGE_PAGE, MADV_COLLAPSE) == -1 && errno == EINVAL);
}

enum rialto_status reserve_large(int fd, uint8_t *base, uint64_t from, uint64_t bytes, uint64_t end)
{
    uint64_t chunk = (from + FOLDER_LARGE_PAGE - 1) / FOLDER_LARGE_PAGE * FOLDER_LARGE_PAGE;
    enum rialto_status status = RIALTO_OK;
    while (chunk < from + bytes && chunk + FOLDER_LARGE_PAGE <= end && collapse_chunk(fd, base, chunk, &status))
        chunk += FOLDER_LARGE_PAGE;
    return status == RIALTO_OK ? reserve_range(fd, from, bytes) : status;
}
