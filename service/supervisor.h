/* supervisor.h - what the supervisor's files share. Single-threaded; calls no NNG, no hiredis and no pricing code:
 * what it watches over must not be able to break it. */
#ifndef SERVICE_SUPERVISOR_H
#define SERVICE_SUPERVISOR_H

#include "service/clock.h"
#include "service/config.h"
#include "service/data_dir.h"
#include "service/metrics.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_ARGS_MAX 32
#define CHILDREN_MAX   (RIALTO_WORKERS_MAX + 4u) /* redis-server, prepare, gateway, web, workers */
#define CHILD_LIVED_MS 10000                     /* who lived so long starts again at once */
#define EXEC_FAILED    127                       /* exit status of a child whose program could not be executed */

struct child {
    char who[32]; /* "gateway", "worker.0"; as in the log and the metrics */
    bool wanted;  /* is to run: started again when it dies */
    pid_t pid;    /* 0 = does not run */
    int status;   /* of the last death, as waitpid() tells it */
    uint32_t deaths;
    int64_t started_ms;          /* CLOCK_MONOTONIC */
    int64_t restart_at_ms;       /* CLOCK_MONOTONIC */
    uint32_t backoff_ms;         /* next wait */
    int death_signal;            /* what it gets when the supervisor dies */
    const char *folder;          /* to run in; NULL = here */
    const char *program;         /* to execute */
    char text[8][DATA_PATH_MAX]; /* what argv points to */
    const char *argv[CHILD_ARGS_MAX];
};

/* ---- supervisor_child.c: one child ------------------------------------------------------------------------------ */

/* child_role - how to run one of our own roles; `index` counts for workers only. */
void child_role(struct child *child, const struct config *config, const char *role, uint32_t index);
/* child_start - fork and execute. False when fork() failed; then it is tried again later. */
bool child_start(struct child *child, const struct config *config);
/* child_ended - note and log a death, and say when to start again. */
void child_ended(struct child *child, const struct config *config, int status, bool stopping);

/* ---- embedded_redis.c: the redis-server that we run ourselves --------------------------------------------------- */

/* embedded_redis_prepare - how to run it; makes DATA_DIR/redis. False after a log line. */
bool embedded_redis_prepare(struct child *child, const struct config *config);
/* embedded_redis_answers - one PING over its socket, waiting at most a fifth of a second. */
bool embedded_redis_answers(const struct config *config);
#endif
