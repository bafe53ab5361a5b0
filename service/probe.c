/* probe.c - a greeting, and whether it is hung up on. */
#include "service/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int probe_begin(const char *path)
{
    static const char GREETING[8] = { 0, 'S', 'P', 0, '\xFF', '\xFF', 0, 0 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return PROBE_FAILED;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return PROBE_FAILED;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, GREETING, sizeof GREETING, MSG_NOSIGNAL) == (ssize_t)sizeof GREETING)
        return fd;
    (void)close(fd);
    return PROBE_REFUSED;
}

bool probe_answered(int fd)
{
    char bytes[64];
    ssize_t got = 1;
    while (got > 0 || (got == -1 && errno == EINTR))
        got = read(fd, bytes, sizeof bytes); /* its own greeting, at most */
    return got == 0 || errno != EAGAIN;
}
