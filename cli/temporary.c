/* temporary.c - see temporary.h. */
#include "cli/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

/* Holds nothing open but its end of the pipe, and is not interrupted with the process that it waits for. */
static _Noreturn void keep(const char *folder, int fd)
{
    sigset_t all;
    char byte;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    (void)dup2(fd, STDIN_FILENO);
    (void)close_range(STDOUT_FILENO, ~0u, 0);
    while (read(STDIN_FILENO, &byte, 1) == -1 && errno == EINTR)
        ;
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    _exit(EXIT_SUCCESS);
}

bool temporary_make(struct temporary *ret, const char *pattern)
{
    int end[2];
    *ret = (struct temporary){ .fd = -1, .keeper = -1 };
    if (pipe2(end, O_CLOEXEC) == -1)
        return false;
    (void)snprintf(ret->folder, sizeof ret->folder, "%s", pattern);
    bool made = mkdtemp(ret->folder) != NULL;
    ret->keeper = made ? fork() : -1;
    if (ret->keeper == 0)
        keep(ret->folder, end[0]);
    int error = errno;
    (void)close(end[0]);
    if (ret->keeper > 0) {
        ret->fd = end[1];
        return true;
    }
    (void)close(end[1]);
    if (made)
        (void)rmdir(ret->folder);
    ret->folder[0] = '\0';
    errno = error;
    return false;
}

void temporary_remove(struct temporary *temporary)
{
    if (temporary->folder[0] == '\0')
        return;
    (void)close(temporary->fd);
    while (waitpid(temporary->keeper, NULL, 0) == -1 && errno == EINTR)
        ;
    temporary->folder[0] = '\0';
}
