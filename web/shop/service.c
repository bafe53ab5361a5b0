/* service.c - a question to the service over HTTP, by plain sockets: one connection, one answer, one deadline. */
#include "web/shop/shop.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 2048u

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t end_ms)
{
    struct pollfd watched = { .fd = fd, .events = events };
    int64_t left = end_ms - now_ms();
    return left > 0 && poll(&watched, 1, (int)left) == 1;
}

static bool is_connected(int fd, const struct addrinfo *address, int64_t end_ms)
{
    int error = 0;
    socklen_t bytes = sizeof error;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    return errno == EINPROGRESS && wait_for(fd, POLLOUT, end_ms) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 && error == 0;
}

static int connected(const struct shop *shop, int64_t end_ms)
{
    struct addrinfo *list = NULL, hints = { .ai_socktype = SOCK_STREAM };
    int fd = -1;
    if (getaddrinfo(shop->service_host, shop->service_port, &hints, &list) != 0)
        return -1;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd != -1 && is_connected(fd, at, end_ms))
            break;
        if (fd != -1)
            (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

static bool send_all(int fd, const char *data, size_t bytes, int64_t end_ms)
{
    while (bytes > 0) {
        ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            bytes -= (size_t)sent;
        } else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLOUT, end_ms))) {
            return false;
        }
    }
    return true;
}

/* The whole answer: the service closes behind it, as HTTP/1.0 says. */
static bool receive_all(int fd, char *data, size_t room, int64_t end_ms)
{
    size_t used = 0;
    while (used < room - 1) {
        ssize_t got = recv(fd, data + used, room - 1 - used, 0);
        if (got == 0) {
            data[used] = '\0';
            return true;
        }
        if (got > 0)
            used += (size_t)got;
        else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLIN, end_ms)))
            return false;
    }
    return false; /* more than anybody asked for */
}

static struct shop_answer answer_of(const char *data)
{
    struct shop_answer answer = { 0 };
    const char *body = strstr(data, "\r\n\r\n");
    if (body == NULL || strncmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ')
        return answer;
    unsigned long status = strtoul(data + 9, NULL, 10);
    if (status < 100 || status > 599)
        return answer;
    answer.status = (unsigned)status;
    answer.json = cJSON_Parse(body + 4);
    return answer;
}

struct shop_answer shop_ask(const struct shop *shop, const char *method, const char *path, const char *body,
                            bool with_token)
{
    struct shop_answer answer = { 0 };
    char head[HEAD_MAX];
    bool has_token = with_token && shop->token[0] != '\0';
    size_t body_bytes = body != NULL ? strlen(body) : 0;
    int length =
        snprintf(head, sizeof head,
                 "%s %s HTTP/1.0\r\nHost: %s:%s\r\n%s%s%sContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 method, path, shop->service_host, shop->service_port, has_token ? "Authorization: Bearer " : "",
                 has_token ? shop->token : "", has_token ? "\r\n" : "", body_bytes);
    if (length < 0 || (size_t)length >= sizeof head)
        return answer;
    int64_t end_ms = now_ms() + SHOP_ASK_MS;
    int fd = connected(shop, end_ms);
    char *data = fd != -1 ? malloc(SHOP_ANSWER_MAX) : NULL;
    if (data != NULL && send_all(fd, head, (size_t)length, end_ms) && send_all(fd, body, body_bytes, end_ms) &&
        receive_all(fd, data, SHOP_ANSWER_MAX, end_ms))
        answer = answer_of(data);
    free(data);
    if (fd != -1)
        (void)close(fd);
    return answer;
}

bool shop_path(size_t room, char *path, size_t *used, const char *prefix, const char *id)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    size_t bytes = strlen(prefix);
    if (*used + bytes + 1 > room)
        return false;
    memcpy(path + *used, prefix, bytes + 1);
    *used += bytes;
    for (const unsigned char *at = (const unsigned char *)id; *at != '\0'; at++) {
        if (*used + 4 > room)
            return false;
        if (strchr(plain, *at) != NULL)
            *used += (size_t)snprintf(path + *used, 4, "%c", *at);
        else
            *used += (size_t)snprintf(path + *used, 4, "%%%02X", *at);
    }
    return true;
}
