/* temporary.c - see temporary.h.
 *
 *   temporary_folder() --name--> pipe --> janitor, a process of its own     killed or not, our end of the pipe closes with us:
 *                                                                       then the janitor removes what is still there
 *
 * Not by a handler: SIGKILL has none, and removing folders in one is not allowed. */
#include "service/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES  TEMPORARY_MAX /* a message in the pipe: shorter than PIPE_BUF, so never cut */
#define FOLDERS_MAX 32u
#define WAIT_MS     100
#define WAITS       30 /* for servers of ours that die after us and still make files */

static struct {
    pid_t owner; /* who started it: forked children do not end it */
    pid_t pid;
    int to;
} janitor;

/* ---- the janitor ---------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_all(char folder[FOLDERS_MAX][NAME_BYTES], size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)nftw(folder[i], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static _Noreturn void janitor_main(int from)
{
    static char folder[FOLDERS_MAX][NAME_BYTES];
    char name[NAME_BYTES];
    size_t count = 0;
    (void)setsid(); /* Ctrl-C is not meant for it */
    (void)prctl(PR_SET_NAME, "janitor");
    int quiet = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)dup2(quiet, fd); /* nobody waits for the end of our output */
    ssize_t got;
    while ((got = read(from, name, sizeof name)) > 0 || (got == -1 && errno == EINTR)) {
        if (got == (ssize_t)sizeof name && name[0] == '\0')
            _exit(0); /* a clean end */
        if (got == (ssize_t)sizeof name)
            memcpy(folder[count++ % FOLDERS_MAX], name, sizeof name);
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
    const char quit[NAME_BYTES] = { 0 };
    if (janitor.pid <= 0 || janitor.owner != getpid())
        return;
    if (write(janitor.to, quit, sizeof quit) == (ssize_t)sizeof quit)
        (void)waitpid(janitor.pid, NULL, 0);
}

static bool janitor_start(void)
{
    int end[2];
    if (janitor.pid > 0)
        return true;
    if (pipe2(end, O_CLOEXEC) == -1)
        return false;
    janitor.owner = getpid();
    (void)fflush(NULL);
    janitor.pid = fork();
    if (janitor.pid == 0) {
        (void)close(end[1]);
        janitor_main(end[0]);
    }
    (void)close(end[0]);
    janitor.to = end[1];
    return janitor.pid > 0 && atexit(janitor_end) == 0;
}

/* ---- folders -------------------------------------------------------------------------------------------- */

bool temporary_folder(const char *parent, const char *name, char ret[TEMPORARY_MAX])
{
    char told[NAME_BYTES] = { 0 };
    (void)snprintf(ret, TEMPORARY_MAX, "%s/%s.XXXXXX", parent, name);
    if (janitor_start() && mkdtemp(ret) != NULL) {
        (void)snprintf(told, sizeof told, "%s", ret);
        if (write(janitor.to, told, sizeof told) == (ssize_t)sizeof told)
            return true;
        temporary_remove(ret);
    }
    fprintf(stderr, "%s: no folder in %s: %s\n", program_invocation_short_name, parent, strerror(errno));
    ret[0] = '\0';
    return false;
}

void temporary_remove(const char *folder)
{
    if (folder[0] != '\0')
        (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
