/* embedded_redis.c - a redis-server of our own behind a private Unix socket, for who has none: state survives all our
 * processes.
 *
 *   DATA_DIR/redis.sock   mode 0700 in a folder of mode 0700: nobody else can reach it, so it has no password and no
 *                         TCP port
 *   DATA_DIR/redis/       append-only files, fsynced every second
 *   DATA_DIR/redis.log    warnings
 *
 * The socket and the log are named relative to DATA_DIR/redis: a socket's full path may be too long for the kernel. */
#include "service/log.h"
#include "service/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PING_TIMEOUT_US 200000

bool embedded_redis_prepare(struct child *child, const struct config *config)
{
    memset(child, 0, sizeof *child);
    (void)snprintf(child->who, sizeof child->who, "redis-server");
    data_path(config, "redis", child->text[0]);
    if (mkdir(child->text[0], 0700) == -1 && errno != EEXIST) {
        log_line(LOG_ERROR, "REDIS-FOLDER", "path=%s error=\"%s\"", child->text[0], strerror(errno));
        return false;
    }
    /* "." would do for redis-server; the full path is for who looks at ps. */
    char full[PATH_MAX];
    if (realpath(child->text[0], full) == NULL || strlen(full) >= sizeof child->text[1])
        (void)snprintf(child->text[1], sizeof child->text[1], ".");
    else
        memcpy(child->text[1], full, strlen(full) + 1);
    const char *argv[] = { "redis-server",
                           "--port",
                           "0",
                           "--unixsocket",
                           "../redis.sock",
                           "--unixsocketperm",
                           "700",
                           "--appendonly",
                           "yes",
                           "--appendfsync",
                           "everysec",
                           "--save",
                           "",
                           "--rdbcompression", /* of what a rewrite leaves: records have no zeros, and compressing them costs a start its time */
                           "no",
                           "--dir",
                           child->text[1],
                           "--daemonize",
                           "no",
                           "--loglevel",
                           "warning",
                           "--logfile",
                           "../redis.log",
                           NULL };
    _Static_assert(sizeof argv <= sizeof child->argv, "more arguments than room");
    memcpy(child->argv, argv, sizeof argv);
    child->program = "redis-server";
    child->folder = child->text[0];
    child->death_signal = SIGTERM; /* it writes its file to the end */
    child->wanted = true;
    return true;
}

static bool exchange_ping(int fd)
{
    char answer[8] = "";
    struct timeval limit = { .tv_usec = PING_TIMEOUT_US };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == -1)
        return false;
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6)
        return false;
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    return n >= 5 && memcmp(answer, "+PONG", 5) == 0; /* -LOADING: it still reads its file */
}

bool embedded_redis_answers(const struct config *config)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/redis.sock", config->data_dir);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return false;
    bool answers = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 && exchange_ping(fd);
    (void)close(fd);
    return answers;
}
