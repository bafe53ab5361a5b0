/* daemon.c - fork, execute, wait. In a process group of its own, so that a Ctrl-C in the terminal reaches only the
 * demonstration, which then ends it in order: a second signal would make rialtod hurry. */
#include "demo/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_TAIL_BYTES 8192

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static bool program_path(char ret[4096], char *why)
{
    char own[4096];
    ssize_t bytes = readlink("/proc/self/exe", own, sizeof own - 1);
    if (bytes > 0) {
        own[bytes] = 0;
        snprintf(ret, 4096, "%.4000s/rialtod", dirname(own));
        if (access(ret, X_OK) == 0)
            return true;
    }
    snprintf(why, REQUEST_WHY_MAX, "there is no rialtod beside this program (%.150s)", bytes > 0 ? ret : "?");
    return false;
}

static int open_log(struct daemon *daemon, const char *data_dir, char *why)
{
    if (mkdir(data_dir, 0700) != 0 && errno != EEXIST) {
        snprintf(why, REQUEST_WHY_MAX, "%.150s: %s", data_dir, strerror(errno));
        return -1;
    }
    snprintf(daemon->log, sizeof daemon->log, "%s/rialtod.log", data_dir);
    int fd = open(daemon->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1)
        snprintf(why, REQUEST_WHY_MAX, "%.150s: %s", daemon->log, strerror(errno));
    return fd;
}

/* In the child: only what is safe after fork(). */
_Noreturn static void become(const char *program, char *const argv[], int log_fd, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd == -1 || dup2(null_fd, STDIN_FILENO) == -1 || dup2(log_fd, STDOUT_FILENO) == -1 ||
        dup2(log_fd, STDERR_FILENO) == -1)
        _exit(126);
    /* The parent may have died between fork() and this. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(126);
    execv(program, argv);
    _exit(127);
}

bool daemon_start(struct daemon *daemon, const char *data_dir, uint32_t count, const char *const set[], char *why)
{
    *daemon = (struct daemon){ 0 };
    char program[4096];
    if (!program_path(program, why))
        return false;
    int log_fd = open_log(daemon, data_dir, why);
    if (log_fd == -1)
        return false;

    char *argv[2 * DAEMON_SETS_MAX + 2] = { program };
    for (uint32_t i = 0; i < count && i < DAEMON_SETS_MAX; i++) {
        static char option[] = "--set";
        argv[1 + 2 * i] = option;
        argv[2 + 2 * i] = (char *)(uintptr_t)set[i]; /* execv() takes no const, and changes nothing */
    }
    pid_t parent = getpid();
    daemon->pid = fork();
    if (daemon->pid == 0)
        become(program, argv, log_fd, parent);
    (void)close(log_fd);
    if (daemon->pid == -1) {
        daemon->pid = 0;
        snprintf(why, REQUEST_WHY_MAX, "no new process: %s", strerror(errno));
        return false;
    }
    return true;
}

bool daemon_runs(struct daemon *daemon)
{
    if (daemon->pid != 0 && waitpid(daemon->pid, &daemon->status, WNOHANG) == daemon->pid)
        daemon->pid = 0;
    return daemon->pid != 0;
}

bool daemon_stop(struct daemon *daemon, uint32_t limit_ms)
{
    if (daemon_runs(daemon))
        kill(daemon->pid, SIGTERM);
    for (uint32_t waited = 0; daemon_runs(daemon) && waited < limit_ms; waited += 10)
        sleep_ms(10);
    if (!daemon_runs(daemon))
        return WIFEXITED(daemon->status) && WEXITSTATUS(daemon->status) == 0;
    kill(daemon->pid, SIGKILL);
    (void)waitpid(daemon->pid, &daemon->status, 0);
    daemon->pid = 0;
    return false;
}

void daemon_print_log(const struct daemon *daemon, uint32_t lines)
{
    FILE *file = fopen(daemon->log, "re");
    if (file == NULL)
        return;
    char text[LOG_TAIL_BYTES + 1];
    if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) != 0)
        rewind(file);
    size_t bytes = fread(text, 1, LOG_TAIL_BYTES, file);
    fclose(file);
    text[bytes] = 0;
    const char *at = text + bytes;
    for (uint32_t seen = 0; at > text; at--)
        if (at[-1] == '\n' && seen++ == lines)
            break;
    fprintf(stderr, "%s ends with:\n%s", daemon->log, at);
}
