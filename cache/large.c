/* large.c - ShmemPmdMapped of /proc/self/smaps counts what is mapped by large pages, so all is touched first, holes excepted:
 * to read a hole would fill it. Why not: a page of our own is collapsed as the tables were, and the kernel's answer is said. */
#include "cache/large.h"

#include "cache/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1; C libraries came later */
#endif

/* Touches each whole chunk of data; how many bytes they are: only these may be large. */
static uint64_t touch_chunks(int fd, const volatile uint8_t *at, uint64_t bytes)
{
    uint64_t whole = 0;
    for (off_t data = lseek(fd, 0, SEEK_DATA); data != -1 && (uint64_t)data < bytes;) {
        off_t hole = lseek(fd, data, SEEK_HOLE);
        uint64_t end = hole == -1 || (uint64_t)hole > bytes ? bytes : (uint64_t)hole;
        uint64_t chunk = ((uint64_t)data + FOLDER_LARGE_PAGE - 1) / FOLDER_LARGE_PAGE * FOLDER_LARGE_PAGE;
        for (; chunk + FOLDER_LARGE_PAGE <= end; chunk += FOLDER_LARGE_PAGE) {
            (void)at[chunk];
            whole += FOLDER_LARGE_PAGE;
        }
        data = hole == -1 ? -1 : lseek(fd, hole, SEEK_DATA);
    }
    return whole;
}

/* Of the mapping that begins at `at`. */
static uint64_t large_mapped(const void *at)
{
    char *line = NULL;
    size_t room = 0;
    uint64_t bytes = 0, kib = 0;
    uintptr_t from = 0, to = 0;
    bool ours = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && getline(&line, &room, file) > 0) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            ours = from == (uintptr_t)at;
        else if (ours && sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1)
            bytes += kib << 10;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return bytes;
}

static void add_table(const char *path, struct large_pages *ret, uint64_t *whole)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1)
        return;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        uint64_t bytes = (uint64_t)st.st_size;
        void *at = folder_map(fd, bytes, false);
        ret->table_bytes += (uint64_t)st.st_blocks * 512;
        if (at != NULL) {
            *whole += touch_chunks(fd, at, bytes);
            ret->large_bytes += large_mapped(at);
            (void)munmap(at, bytes);
        }
    }
    (void)close(fd);
}

/* What the kernel says now to what cache/reserve.c asked it for; 0 = it gives a large page. */
static int collapse_error(void)
{
    int error = ENOMEM, fd = memfd_create("large", MFD_CLOEXEC);
    if (fd == -1 || ftruncate(fd, (off_t)FOLDER_LARGE_PAGE) == -1) {
        error = errno;
    } else {
        uint8_t *at = folder_map(fd, FOLDER_LARGE_PAGE, true);
        if (at != NULL) {
            at[0] = 1;
            error = madvise(at, FOLDER_LARGE_PAGE, MADV_COLLAPSE) == 0 ? 0 : errno;
            (void)munmap(at, FOLDER_LARGE_PAGE);
        }
    }
    if (fd != -1)
        (void)close(fd);
    return error;
}

static bool is_shared_memory(const char *folder)
{
    struct statfs fs;
    return statfs(folder, &fs) == -1 || fs.f_type == TMPFS_MAGIC;
}

static const char *why_not(const char *folder, const struct large_pages *pages, uint64_t whole)
{
    if (pages->large_bytes >= whole)
        return pages->table_bytes == whole ? "" : "the rest is smaller than a large page";
    if (!is_shared_memory(folder))
        return "their folder is on a disk's file system, which has none: cache_dir should be on a tmpfs";
    switch (collapse_error()) {
    case 0: return "none were to be had when these tables were made or grew; new tables may get more";
    case EINVAL: return "this kernel gives none to shared memory: Linux before 6.1, or they are switched off";
    case ENOMEM: return "there is not enough free memory in one piece";
    default: return "the kernel refuses to make more now";
    }
}

void large_pages_of(const char *folder, struct large_pages *ret)
{
    char path[FOLDER_PATH_MAX];
    uint64_t whole = 0;
    *ret = (struct large_pages){ .why = "" };
    for (uint32_t table = 0; table < RIALTO_TABLE_COUNT; table++) {
        if (folder_file_path(folder, table, "", path))
            add_table(path, ret, &whole);
    }
    ret->why = why_not(folder, ret, whole);
}
