/* usage.h - what the service takes of this machine, as far as it can be seen from here. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include <stdbool.h>
#include <stdint.h>

/* usage_is_rialtod - whether this process is a rialtod: a pid is good only in rialtod's own pid namespace. */
bool usage_is_rialtod(int64_t pid);

/* usage_process_bytes - resident memory of a process of rialtod; -1: cannot be seen from here. */
int64_t usage_process_bytes(int64_t pid);

/* usage_folder_bytes - what the files of a cache folder take of their file system; 0 where there is none. */
uint64_t usage_folder_bytes(const char *path);
#endif
