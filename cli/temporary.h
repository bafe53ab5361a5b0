/* temporary.h - a folder that goes with the process that made it, however that ends.
 *
 * A process of its own waits for that: whoever is interrupted, or killed, in the middle of something large would leave it in memory otherwise. */
#ifndef CLI_TEMPORARY_H
#define CLI_TEMPORARY_H

#include <stdbool.h>
#include <sys/types.h>

struct temporary {
    char folder[64]; /* "" = none */
    int fd;          /* closed when this process ends */
    pid_t keeper;
};

/* temporary_make - PATTERN as of mkdtemp(3), shorter than 64 bytes. False, with errno. */
bool temporary_make(struct temporary *ret, const char *pattern);
/* temporary_remove - the folder, with all that is in it. Fine where none was made. */
void temporary_remove(struct temporary *temporary);
#endif
