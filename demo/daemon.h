/* daemon.h - rialtod as a child of the demonstration: started, waited for, ended. */
#ifndef DEMO_DAEMON_H
#define DEMO_DAEMON_H

#include "demo/request.h"

#include <stdint.h>
#include <sys/types.h>

#define DAEMON_SETS_MAX 32u

struct daemon {
    pid_t pid;      /* 0 = does not run */
    int status;     /* of its end, as waitpid() tells it */
    char log[4096]; /* where it writes */
};

/* daemon_start - run rialtod from this program's folder with these settings ("key=value"), its output in
 * DIR/rialtod.log (the folder is made if missing). It ends when this process ends. Call from the main thread. False
 * with `why`. */
bool daemon_start(struct daemon *daemon, const char *data_dir, uint32_t count, const char *const set[], char *why);

/* daemon_runs - false once it has ended. */
bool daemon_runs(struct daemon *daemon);

/* daemon_stop - SIGTERM, and SIGKILL when it does not end within limit_ms. Returns true if it ended by itself, with
 * status 0. */
bool daemon_stop(struct daemon *daemon, uint32_t limit_ms);

/* daemon_print_log - the last lines of its log on standard error. */
void daemon_print_log(const struct daemon *daemon, uint32_t lines);
#endif
