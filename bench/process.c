/* process.c - processors and servers of a measurement. */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static cpu_set_t own; /* what we were started on */
static int own_count;

static void learn_own(void)
{
    if (own_count == 0 && sched_getaffinity(0, sizeof own, &own) == 0)
        own_count = CPU_COUNT(&own);
}

unsigned bench_cores(void)
{
    learn_own();
    return (unsigned)own_count;
}

void bench_pin(int pid, unsigned core)
{
    learn_own();
    if ((int)core >= own_count)
        return;
    cpu_set_t one;
    CPU_ZERO(&one);
    unsigned seen = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &own) && seen++ == core)
            CPU_SET(cpu, &one);
    }
    (void)sched_setaffinity(pid, sizeof one, &one); /* best effort: the scheduler does well enough */
}

static void run_server(unsigned core, pid_t parent, const char *const argv[])
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    bench_pin(0, core);
    int quiet = open("/dev/null", O_RDWR);
    (void)dup2(quiet, STDIN_FILENO);
    (void)dup2(quiet, STDOUT_FILENO);
    (void)dup2(quiet, STDERR_FILENO);
    char *words[24] = { NULL };
    for (size_t i = 0; argv[i] != NULL && i + 1 < sizeof words / sizeof words[0]; i++)
        words[i] = strdup(argv[i]);
    (void)execvp(words[0], words);
    _exit(127);
}

int bench_server(unsigned core, const char *const argv[])
{
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        run_server(core, parent, argv);
    if (child < 0)
        fprintf(stderr, "rialto-bench: %s: %s\n", argv[0], strerror(errno));
    return child < 0 ? 0 : child;
}

bool bench_server_lives(int pid)
{
    return pid > 0 && waitpid(pid, NULL, WNOHANG) == 0;
}

void bench_server_stop(int pid)
{
    if (!bench_server_lives(pid))
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
