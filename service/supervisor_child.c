/* supervisor_child.c - one child: how it is executed, and what its death is called.
 *
 *   fork() --> unblock signals, own process group, die with the parent --> exec
 *
 * A child is its own process group: Ctrl-C on a terminal reaches the supervisor only, which then ends them in order.
 * Our roles are killed when the supervisor dies: they are made to be killed, and the next rialtod must not meet them.
 * */
#include "service/log.h"
#include "service/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void child_role(struct child *child, const struct config *config, const char *role, uint32_t index)
{
    memset(child, 0, sizeof *child);
    bool worker = strcmp(role, "worker") == 0;
    (void)snprintf(child->text[0], sizeof child->text[0], "%s", role);
    (void)snprintf(child->text[1], sizeof child->text[1], "%u", index);
    data_path(config, "config.json", child->text[2]);
    (void)snprintf(child->who, sizeof child->who, worker ? "%s.%u" : "%s", role, index);
    size_t n = 0;
    child->argv[n++] = "rialtod";
    child->argv[n++] = "--role";
    child->argv[n++] = child->text[0];
    if (worker) {
        child->argv[n++] = "--index";
        child->argv[n++] = child->text[1];
    }
    child->argv[n++] = "--config";
    child->argv[n++] = child->text[2];
    child->program = "/proc/self/exe"; /* this very binary, even if its file was replaced since */
    child->death_signal = SIGKILL;
    child->wanted = true;
}

/* In the child. Only async-signal-safe calls: the parent may have threads (its allocator's). */
static _Noreturn void child_execute(const struct child *child, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, child->death_signal);
    if (getppid() != parent) /* it died before the line above */
        _exit(EXEC_FAILED);
    int null = open("/dev/null", O_RDONLY);
    if (null > STDIN_FILENO) {
        (void)dup2(null, STDIN_FILENO);
        (void)close(null);
    }
    if (child->folder != NULL && chdir(child->folder) == -1)
        _exit(EXEC_FAILED);
    (void)execvp(child->program, (char *const *)(uintptr_t)child->argv);
    _exit(EXEC_FAILED);
}

bool child_start(struct child *child, const struct config *config)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_execute(child, parent);
    child->started_ms = mono_ms();
    if (pid == -1) {
        child->restart_at_ms = child->started_ms + config->restart_backoff_max_ms;
        log_line(LOG_ERROR, "CHILD-NOT-STARTED", "who=%s error=\"%s\" retry_in_ms=%u", child->who, strerror(errno),
                 config->restart_backoff_max_ms);
        return false;
    }
    child->pid = pid;
    log_line(LOG_INFO, "CHILD-STARTED", "who=%s pid=%ld deaths=%u", child->who, (long)pid, child->deaths);
    return true;
}

static void death_text(int status, size_t n, char *ret)
{
    if (WIFSIGNALED(status))
        (void)snprintf(ret, n, "signal=%d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                       WCOREDUMP(status) ? " core=1" : "");
    else
        (void)snprintf(ret, n, "exit=%d", WEXITSTATUS(status));
}

void child_ended(struct child *child, const struct config *config, int status, bool stopping)
{
    char how[96];
    int64_t now = mono_ms(), lived = now - child->started_ms;
    long pid = (long)child->pid;
    death_text(status, sizeof how, how);
    child->pid = 0;
    child->status = status;
    if (stopping || !child->wanted) {
        log_line(LOG_INFO, "CHILD-ENDED", "who=%s pid=%ld %s", child->who, pid, how);
        return;
    }
    if (child->backoff_ms == 0)
        child->backoff_ms = config->restart_backoff_ms;
    uint32_t wait_ms = child->backoff_ms;
    if (lived >= CHILD_LIVED_MS) { /* a lone death: waiting would only make quotes older */
        wait_ms = 0;
        child->backoff_ms = config->restart_backoff_ms;
    } else {
        child->backoff_ms = wait_ms < config->restart_backoff_max_ms / 2 ? wait_ms * 2 : config->restart_backoff_max_ms;
    }
    child->deaths++;
    child->restart_at_ms = now + wait_ms;
    log_line(LOG_WARNING, "CHILD-DIED", "who=%s pid=%ld %s lived_ms=%lld restart_in_ms=%u", child->who, pid, how,
             (long long)lived, wait_ms);
}
