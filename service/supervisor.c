/* supervisor.c - starts everything, watches it, starts again what died, and ends it in order.
 *
 *   lock DATA_DIR --> redis-server (when none is configured) --> prepare, to its end --> gateway, web, workers --> READY
 *                                          ^                                               |
 *                                          +---- died: again, at once or after a wait -----+
 *
 * Settings   fixed at the start: children read DATA_DIR/config.json and DATA_DIR/models, never the originals. An
 *            edited file cannot give two workers different ideas of who owns a partition, nor keep a dead one from
 *            coming back.
 * Apply      SIGHUP: the models of models_dir come into force (a child checks them, the gateway takes them).
 * Stop       SIGTERM or SIGINT: web, gateway, then workers, then redis-server, each within STOP_LIMIT_MS; a second
 *            signal kills them. The order lets every accepted signal be applied, and every applied one reach Redis.
 * Crash      of the supervisor: the kernel ends its children, and the lock is free when the last of them is gone.
 * As PID 1   it reaps orphans too, and its signals are blocked and waited for, so that they are not lost on PID 1. */
#include "service/supervisor.h"

#include "cache/supersede.h"
#include "cache/table.h"
#include "service/log.h"
#include "service/roles.h"
#include "service/superseded.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_LIMIT_MS       5000
#define REDIS_BOOT_LIMIT_MS 60000 /* then it is said that it does not answer */
#define REDIS_BOOT_DEATHS   3u
#define POLL_MS             20 /* while waiting for something that sends no signal */
#define IDLE_MS             60000
#define READY_WARN_MS       10000

enum { CHILD_REDIS, CHILD_PREPARE, CHILD_GATEWAY, CHILD_WEB, CHILD_WORKERS };

struct supervisor {
    const struct config *given; /* as configured */
    struct config config;       /* as the children have it */
    struct child child[CHILDREN_MAX];
    uint32_t child_count;
    sigset_t signals;
    uint32_t stop_signals; /* how many came */
    const struct metrics_file *metrics;
    int64_t started_ms;
    bool ready, ready_warned;
    bool redis_awaited; /* our own has not answered yet */
    bool hangup;  /* SIGHUP came: models_dir is to be applied */
    bool staging; /* a child copies and checks it; then the gateway takes it */
};

/* ---- events ----------------------------------------------------------------------------------------------------- */

static void reap(struct supervisor *supervisor)
{
    int status = 0;
    /* Many SIGCHLD can be one pending signal: ask until nobody is left. */
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        for (uint32_t i = 0; i < supervisor->child_count; i++) {
            if (supervisor->child[i].pid == pid)
                child_ended(&supervisor->child[i], &supervisor->config, status, supervisor->stop_signals > 0);
        }
    }
}

/* Wait for a signal for at most `ms`, and note what it means. */
static void wait_event(struct supervisor *supervisor, int64_t ms)
{
    struct timespec limit = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    int signal_number = sigtimedwait(&supervisor->signals, NULL, &limit);
    if (signal_number == SIGTERM || signal_number == SIGINT) {
        supervisor->stop_signals++;
        log_line(LOG_INFO, "STOPPING", "signal=%d", signal_number);
    }
    supervisor->hangup = supervisor->hangup || signal_number == SIGHUP;
    reap(supervisor);
}

/* Start whoever is wanted, does not run and has waited long enough. Returns ms until the next one is due. */
static int64_t start_due(struct supervisor *supervisor)
{
    int64_t now = mono_ms(), next = IDLE_MS;
    for (uint32_t i = 0; i < supervisor->child_count; i++) {
        struct child *child = &supervisor->child[i];
        if (!child->wanted || child->pid != 0)
            continue;
        if (child->restart_at_ms <= now && child_start(child, &supervisor->config))
            continue;
        int64_t left = child->restart_at_ms - now;
        if (left < next)
            next = left > 0 ? left : 1;
    }
    return next;
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

static bool redis_is_missing(struct child *redis)
{
    if (redis->deaths == 0 || !WIFEXITED(redis->status) || WEXITSTATUS(redis->status) != EXEC_FAILED)
        return false;
    redis->wanted = false;
    log_line(LOG_WARNING, "REDIS-NOT-INSTALLED",
             "redis-server could not be executed: prices work, but state is kept only in "
             "shared memory and does not survive a restart of this machine (apt-get install redis-server, or set "
             "redis_url)");
    return true;
}

/* Nobody waits for it: prices do not depend on Redis, and who needs its data waits by himself. */
static void redis_start(struct supervisor *supervisor)
{
    struct child *redis = &supervisor->child[CHILD_REDIS];
    if (supervisor->given->redis_url[0] != '\0' || !embedded_redis_prepare(redis, &supervisor->config))
        return;
    supervisor->redis_awaited = true;
    (void)start_due(supervisor);
}

/* Reading a large append-only file takes its time. */
static void redis_check(struct supervisor *supervisor)
{
    struct child *redis = &supervisor->child[CHILD_REDIS];
    int64_t waited = mono_ms() - supervisor->started_ms;
    if (!supervisor->redis_awaited)
        return;
    if (redis->pid != 0 && embedded_redis_answers(&supervisor->config)) {
        log_line(LOG_INFO, "REDIS-READY", "socket=%s/redis.sock after_ms=%lld", supervisor->config.data_dir, (long long)waited);
        supervisor->redis_awaited = false;
    } else if (redis_is_missing(redis)) {
        supervisor->redis_awaited = false;
    } else if (waited > REDIS_BOOT_LIMIT_MS || redis->deaths >= REDIS_BOOT_DEATHS) {
        log_line(LOG_WARNING, "REDIS-NOT-READY", "deaths=%u log=%s/redis.log: going on without it for now", redis->deaths,
                 supervisor->config.data_dir);
        supervisor->redis_awaited = false;
    }
}

static bool settings_save(const struct config *config)
{
    char path[DATA_PATH_MAX];
    data_path(config, "config.json", path);
    if (config_save(config, path))
        return true;
    log_line(LOG_ERROR, "CONFIG-NOT-SAVED", "path=%s error=\"%s\"", path, strerror(errno));
    return false;
}

static bool prepare_run(struct supervisor *supervisor)
{
    struct child *prepare = &supervisor->child[CHILD_PREPARE];
    child_role(prepare, &supervisor->config, "prepare", 0);
    if (!settings_save(&supervisor->config) || !child_start(prepare, &supervisor->config))
        return false;
    prepare->wanted = false; /* once */
    while (prepare->pid != 0) {
        wait_event(supervisor, IDLE_MS);
        if (supervisor->stop_signals > 0 && prepare->pid != 0)
            (void)kill(prepare->pid, SIGTERM);
        (void)start_due(supervisor); /* redis-server may have died meanwhile */
    }
    if (supervisor->stop_signals > 0)
        return false;
    if (!WIFEXITED(prepare->status) || WEXITSTATUS(prepare->status) != EXIT_SUCCESS) {
        log_line(LOG_ERROR, "NOT-STARTED", "the lines above say why");
        return false;
    }
    return true;
}

static void metrics_enter(struct supervisor *supervisor)
{
    enum rialto_status status = metrics_open(supervisor->config.cache_dir, 0, "supervisor");
    if (status != RIALTO_OK)
        log_line(LOG_WARNING, "METRICS", "cache_dir=%s status=%s", supervisor->config.cache_dir,
                 rialto_status_name(status));
    supervisor->metrics = metrics_read(supervisor->config.cache_dir);
}

static void roles_start(struct supervisor *supervisor)
{
    child_role(&supervisor->child[CHILD_GATEWAY], &supervisor->config, "gateway", 0);
    if (strcmp(supervisor->config.http_listen, "off") != 0)
        child_role(&supervisor->child[CHILD_WEB], &supervisor->config, "web", 0);
    for (uint32_t i = 0; i < supervisor->config.workers; i++)
        child_role(&supervisor->child[CHILD_WORKERS + i], &supervisor->config, "worker", i);
    supervisor->child_count = CHILD_WORKERS + supervisor->config.workers;
}

/* ---- ready ------------------------------------------------------------------------------------------------------ */

static bool block_ticks(const struct metrics_file *metrics, uint32_t block)
{
    return atomic_load_explicit(&metrics->block[block].word[METRIC_tick_ms], memory_order_relaxed) > 0;
}

/* Ready means: the gateway has stamped a tick and every worker has applied one. */
static bool all_tick(const struct supervisor *supervisor)
{
    if (supervisor->metrics == NULL)
        return false;
    for (uint32_t block = 1; block < 2 + supervisor->config.workers; block++) {
        if (!block_ticks(supervisor->metrics, block))
            return false;
    }
    return true;
}

static void ready_check(struct supervisor *supervisor)
{
    int64_t waited = mono_ms() - supervisor->started_ms;
    if (all_tick(supervisor)) {
        supervisor->ready = true;
        log_line(LOG_INFO, "READY", "workers=%u after_ms=%lld cache_dir=%s push_urls=\"%s\" request_urls=\"%s\"",
                 supervisor->config.workers, (long long)waited, supervisor->config.cache_dir,
                 supervisor->config.push_urls, supervisor->config.request_urls);
    } else if (waited > READY_WARN_MS && !supervisor->ready_warned) {
        supervisor->ready_warned = true;
        log_line(LOG_WARNING, "NOT-READY", "after_ms=%lld: a process has not seen a tick yet", (long long)waited);
    }
}

/* SIGHUP: a child copies and checks models_dir, and when it likes them, the gateway is told to take them. */
static void apply_step(struct supervisor *supervisor)
{
    struct child *stage = &supervisor->child[CHILD_PREPARE];
    pid_t gateway = supervisor->child[CHILD_GATEWAY].pid;
    if (supervisor->staging && stage->pid == 0) {
        supervisor->staging = false;
        bool good = WIFEXITED(stage->status) && WEXITSTATUS(stage->status) == EXIT_SUCCESS && gateway != 0;
        if (good)
            (void)kill(gateway, SIGHUP);
        else
            log_line(LOG_WARNING, "NOT-APPLIED", "the models in force stay so; the lines above say why");
    }
    if (!supervisor->hangup || supervisor->staging)
        return;
    supervisor->hangup = false;
    child_role(stage, &supervisor->config, "stage", 0);
    supervisor->staging = child_start(stage, &supervisor->config);
    stage->wanted = false; /* once */
}

static void watch(struct supervisor *supervisor)
{
    int64_t old_tables_ms = mono_ms();
    while (supervisor->stop_signals == 0) {
        if (supervisor->ready)
            apply_step(supervisor);
        int64_t next = start_due(supervisor), now = mono_ms();
        if (now >= old_tables_ms)
            old_tables_ms = now + superseded_watch(&supervisor->config, IDLE_MS);
        next = next < old_tables_ms - now ? next : old_tables_ms - now;
        redis_check(supervisor);
        if (!supervisor->ready)
            ready_check(supervisor);
        if (!supervisor->ready || supervisor->redis_awaited)
            next = next < POLL_MS ? next : POLL_MS;
        wait_event(supervisor, next);
    }
}

/* ---- stop ------------------------------------------------------------------------------------------------------- */

static bool any_runs(const struct supervisor *supervisor, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        if (supervisor->child[i].pid != 0)
            return true;
    }
    return false;
}

static void signal_all(struct supervisor *supervisor, uint32_t first, uint32_t end, int signal_number)
{
    for (uint32_t i = first; i < end; i++) {
        if (supervisor->child[i].pid != 0)
            (void)kill(supervisor->child[i].pid, signal_number);
    }
}

/* End children first..end-1: ask, wait, and kill who does not listen. */
static void stop_children(struct supervisor *supervisor, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        supervisor->child[i].wanted = false;
    signal_all(supervisor, first, end, SIGTERM);
    int64_t limit = mono_ms() + STOP_LIMIT_MS;
    while (any_runs(supervisor, first, end) && mono_ms() < limit && supervisor->stop_signals < 2)
        wait_event(supervisor, POLL_MS);
    for (uint32_t i = first; i < end; i++) {
        if (supervisor->child[i].pid != 0)
            log_line(LOG_WARNING, "CHILD-KILLED", "who=%s pid=%ld: it did not end by itself", supervisor->child[i].who,
                     (long)supervisor->child[i].pid);
    }
    signal_all(supervisor, first, end, SIGKILL);
    while (any_runs(supervisor, first, end))
        wait_event(supervisor, POLL_MS);
}

/* Sockets are left behind by whoever was killed. */
static void sockets_remove(const struct config *config)
{
    DIR *dir = opendir(config->data_dir);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t length = strlen(entry->d_name);
        if ((length > 4 && strcmp(entry->d_name + length - 4, ".ipc") == 0) || strcmp(entry->d_name, "redis.sock") == 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
}

static void cache_take_away(const struct config *config)
{
    char path[CONFIG_TEXT_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/metrics" RIALTO_FILE_SUFFIX, config->cache_dir);
    (void)unlink(path);
    int64_t next_ms = 0;
    (void)old_tables_remove(config->cache_dir, 0, 0, &next_ms);
    cache_remove(config->cache_dir);
    log_line(LOG_INFO, "CACHE-REMOVED", "cache_dir=%s", config->cache_dir);
}

static void stop(struct supervisor *supervisor)
{
    supervisor->stop_signals += supervisor->stop_signals == 0;
    stop_children(supervisor, CHILD_WEB, CHILD_WEB + 1);
    stop_children(supervisor, CHILD_PREPARE, CHILD_GATEWAY + 1);
    stop_children(supervisor, CHILD_WORKERS, CHILDREN_MAX);
    stop_children(supervisor, CHILD_REDIS, CHILD_REDIS + 1);
    sockets_remove(&supervisor->config);
}

/* ---- main ------------------------------------------------------------------------------------------------------- */

static void signals_block(struct supervisor *supervisor)
{
    (void)sigemptyset(&supervisor->signals);
    (void)sigaddset(&supervisor->signals, SIGCHLD);
    (void)sigaddset(&supervisor->signals, SIGTERM);
    (void)sigaddset(&supervisor->signals, SIGINT);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup keeps its promise */
        (void)sigaddset(&supervisor->signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
    (void)signal(SIGCHLD, SIG_DFL); /* whoever started us may have ignored it, and then waitpid() would not tell */
}

static int supervise(struct supervisor *supervisor)
{
    supervisor->child_count = CHILD_WORKERS; /* so that redis-server and prepare are found when they die */
    redis_start(supervisor);
    bool prepared = supervisor->stop_signals == 0 && prepare_run(supervisor);
    bool stopped = supervisor->stop_signals > 0;
    if (prepared) {
        metrics_enter(supervisor);
        roles_start(supervisor);
        watch(supervisor);
    }
    stop(supervisor);
    if (prepared && strcmp(supervisor->config.cache_on_stop, "remove") == 0)
        cache_take_away(&supervisor->config);
    return prepared || stopped ? EXIT_SUCCESS : EXIT_FAILURE;
}

int supervisor_main(const struct config *config, int argc, char *const argv[])
{
    (void)argc; /* children get what the arguments came to, not the arguments */
    (void)argv;
    static struct supervisor supervisor; /* large */
    supervisor.given = config;
    supervisor.config = *config;
    supervisor.started_ms = mono_ms();
    signals_block(&supervisor);
    if (!data_dir_make(config)) {
        log_line(LOG_ERROR, "DATA-DIR", "data_dir=%s error=\"%s\"", config->data_dir, strerror(errno));
        return EXIT_FAILURE;
    }
    int lock = data_dir_lock(config);
    if (lock == -1)
        return EXIT_FAILURE;
    log_line(LOG_INFO, "STARTING", "instance=%s data_dir=%s cache_dir=%s models_dir=%s workers=%u", config->instance,
             config->data_dir, config->cache_dir, config->models_dir, config->workers);
    int status = supervise(&supervisor);
    log_line(LOG_INFO, "STOPPED", "status=%d", status);
    (void)close(lock);
    return status;
}
