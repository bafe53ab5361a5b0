/* temporary.c - see temporary.h.
 *
 *   temporary_folder() --template--> socket --> janitor, a process of its own     killed or not, our end closes with us:
 *                      <----name---                                               then the janitor removes what is still there
 *
 * Not by a handler: SIGKILL has none, and removing folders in one is not allowed. The janitor makes them, too: at no moment is there one
 * that it does not know of. */
#include "service/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOLDERS_MAX 32u
#define WAIT_MS     100
#define WAITS       30 /* for servers of ours that die after us and still make files */

static struct {
    pid_t owner; /* who started it: forked children do not end it */
    pid_t pid;
    int with;
} janitor;

struct asked { /* and the answer: "" and why where there is none */
    char folder[TEMPORARY_MAX];
    int error;
};

/* ---- the janitor ---------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_all(char folder[FOLDERS_MAX][TEMPORARY_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)nftw(folder[i], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void make(struct asked *asked, char folder[FOLDERS_MAX][TEMPORARY_MAX], size_t *count)
{
    if (mkdtemp(asked->folder) != NULL) {
        memcpy(folder[(*count)++ % FOLDERS_MAX], asked->folder, TEMPORARY_MAX);
        return;
    }
    asked->error = errno;
    asked->folder[0] = '\0';
}

static _Noreturn void janitor_main(int with)
{
    static char folder[FOLDERS_MAX][TEMPORARY_MAX];
    struct asked asked;
    size_t count = 0;
    (void)setsid(); /* Ctrl-C is not meant for it */
    (void)prctl(PR_SET_NAME, "janitor");
    int quiet = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)dup2(quiet, fd); /* nobody waits for the end of our output */
    ssize_t got;
    while ((got = recv(with, &asked, sizeof asked, 0)) > 0 || (got == -1 && errno == EINTR)) {
        if (got != (ssize_t)sizeof asked)
            continue;
        if (asked.folder[0] == '\0')
            _exit(0); /* a clean end */
        make(&asked, folder, &count);
        (void)send(with, &asked, sizeof asked, MSG_NOSIGNAL);
    }
    count = count < FOLDERS_MAX ? count : FOLDERS_MAX;
    for (int i = 0; i < WAITS; i++) {
        remove_all(folder, count);
        (void)nanosleep(&(struct timespec){ .tv_nsec = WAIT_MS * 1000000L }, NULL);
    }
    _exit(0);
}

static void janitor_end(void)
{
    const struct asked quit = { .error = 0 };
    if (janitor.pid <= 0 || janitor.owner != getpid())
        return;
    if (send(janitor.with, &quit, sizeof quit, MSG_NOSIGNAL) == (ssize_t)sizeof quit)
        (void)waitpid(janitor.pid, NULL, 0);
}

static bool janitor_start(void)
{
    int end[2];
    if (janitor.pid > 0)
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, end) == -1)
        return false;
    janitor.owner = getpid();
    (void)fflush(NULL);
    janitor.pid = fork();
    if (janitor.pid == 0) {
        (void)close(end[1]);
        janitor_main(end[0]);
    }
    (void)close(end[0]);
    janitor.with = end[1];
    return janitor.pid > 0 && atexit(janitor_end) == 0;
}

/* ---- folders -------------------------------------------------------------------------------------------- */

static bool ask(struct asked *asked)
{
    ssize_t got;
    if (!janitor_start() || send(janitor.with, asked, sizeof *asked, MSG_NOSIGNAL) == -1)
        return false;
    while ((got = recv(janitor.with, asked, sizeof *asked, 0)) == -1 && errno == EINTR)
        ;
    if (got == (ssize_t)sizeof *asked && asked->folder[0] != '\0')
        return true;
    errno = got == (ssize_t)sizeof *asked ? asked->error : EPIPE;
    return false;
}

bool temporary_folder(const char *parent, const char *name, char ret[TEMPORARY_MAX])
{
    struct asked asked = { .error = 0 };
    (void)snprintf(asked.folder, sizeof asked.folder, "%s/%s.XXXXXX", parent, name);
    bool made = ask(&asked);
    if (!made)
        fprintf(stderr, "%s: no folder in %s: %s\n", program_invocation_short_name, parent, strerror(errno));
    (void)snprintf(ret, TEMPORARY_MAX, "%s", made ? asked.folder : "");
    return made;
}

void temporary_remove(const char *folder)
{
    if (folder[0] != '\0')
        (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
