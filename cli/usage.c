/* usage.c - see usage.h. */
#include "cli/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool usage_is_rialtod(int64_t pid)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/exe", pid);
    ssize_t bytes = pid > 0 ? readlink(path, text, sizeof text - 1) : -1;
    if (bytes <= 0)
        return false;
    text[bytes] = 0;
    const char *program = strrchr(text, '/');
    return program != NULL && strncmp(program, "/rialtod", 8) == 0;
}

int64_t usage_process_bytes(int64_t pid)
{
    char path[64];
    long pages = -1;
    if (!usage_is_rialtod(pid))
        return -1;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    int fields = fscanf(file, "%*d %ld", &pages);
    fclose(file);
    return fields == 1 ? (int64_t)pages * sysconf(_SC_PAGESIZE) : -1;
}

uint64_t usage_folder_bytes(const char *path)
{
    uint64_t bytes = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat info;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_blocks * 512;
    }
    closedir(folder);
    return bytes;
}
