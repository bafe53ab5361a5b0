/* redis_fixture.h - a real redis-server in a folder of its own, to be stopped, killed, emptied and put back. */
#ifndef TESTS_SERVICE_REDIS_FIXTURE_H
#define TESTS_SERVICE_REDIS_FIXTURE_H

#include "service/config.h"
#include "service/redis_link.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct redis_fixture {
    char folder[64];
    char password[32]; /* requirepass, "" = none */
    pid_t pid;
    struct config config;
};

static inline int64_t test_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void test_sleep(int64_t ms)
{
    (void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static inline void redis_execute(const struct redis_fixture *f)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nobody behind */
    int null = open("/dev/null", O_RDWR);
    if (chdir(f->folder) == -1 || null == -1)
        _exit(127);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", "redis.sock", "--appendonly", "yes",
                 "--appendfsync", "everysec", "--save", "", "--dir", ".", "--loglevel", "warning", "--requirepass",
                 f->password, (char *)NULL);
    _exit(127);
}

static inline bool redis_is_up(const struct redis_fixture *f)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/redis.sock", f->folder);
    redisContext *context = redisConnectUnix(path);
    bool up = false;
    if (context != NULL && context->err == 0) {
        redisReply *reply = redisCommand(context, "PING");
        up = reply != NULL && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
        if (reply != NULL)
            freeReplyObject(reply);
    }
    if (context != NULL)
        redisFree(context);
    return up;
}

static inline void redis_fixture_start(struct redis_fixture *f)
{
    f->pid = fork();
    if (f->pid == 0)
        redis_execute(f);
    int64_t limit = test_ms() + 10000;
    while (!redis_is_up(f) && test_ms() < limit)
        test_sleep(5);
    cr_assert(redis_is_up(f), "redis-server does not come up");
}

static inline void redis_fixture_end(struct redis_fixture *f, int signal_number)
{
    int status = 0;
    if (f->pid == 0)
        return;
    (void)kill(f->pid, signal_number);
    (void)waitpid(f->pid, &status, 0);
    f->pid = 0;
}

static inline void redis_fixture_setup(struct redis_fixture *f)
{
    (void)signal(SIGPIPE, SIG_IGN);
    memset(f, 0, sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/rialto-redis-XXXXXX");
    cr_assert_not_null(mkdtemp(f->folder));
    struct fault fault;
    config_defaults(&f->config);
    (void)snprintf(f->config.redis_url, sizeof f->config.redis_url, "unix:%s/redis.sock", f->folder);
    f->config.worker_count = 1;
    f->config.redis_timeout_ms = 1000;
    cr_assert_eq(config_finish(&f->config, &fault), RIALTO_OK);
    redis_fixture_start(f);
}

static inline int test_shell(const char *format, const char *a)
{
    char command[512];
    (void)snprintf(command, sizeof command, format, a, a, a);
    return system(command); /* paths are our own */
}

static inline void redis_fixture_teardown(struct redis_fixture *f)
{
    redis_fixture_end(f, SIGKILL);
    (void)test_shell("rm -rf '%s'", f->folder);
}

/* A command of words without blanks; the reply is the caller's. */
static inline redisReply *redis_do(const struct redis_fixture *f, const char *command)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/redis.sock", f->folder);
    redisContext *context = redisConnectUnix(path);
    cr_assert(context != NULL && context->err == 0);
    char copy[512], *rest = NULL;
    const char *argv[16];
    int argc = 0;
    (void)snprintf(copy, sizeof copy, "%s", command);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && argc < 16; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    redisReply *reply = redisCommandArgv(context, argc, argv, NULL);
    redisFree(context);
    cr_assert_not_null(reply);
    return reply;
}

static inline long long redis_number(const struct redis_fixture *f, const char *command)
{
    redisReply *reply = redis_do(f, command);
    long long n = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1000;
    freeReplyObject(reply);
    return n;
}
#endif
