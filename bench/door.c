/* door.c - ask the HTTP door for prices, as one client of it. */
#include "bench/door.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in here(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

uint16_t door_free_port(void)
{
    struct sockaddr_in at = here(0);
    socklen_t bytes = sizeof at;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = probe != -1 && bind(probe, (struct sockaddr *)&at, sizeof at) == 0 &&
                getsockname(probe, (struct sockaddr *)&at, &bytes) == 0;
    if (probe != -1)
        (void)close(probe);
    return good ? ntohs(at.sin_port) : 0;
}

bool door_enter(struct door *door)
{
    struct sockaddr_in at = here(door->port);
    const struct timeval patience = { .tv_sec = 10 };
    door->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = door->fd != -1 && connect(door->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0 &&
                setsockopt(door->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
    if (!good)
        door_leave(door);
    return good;
}

void door_leave(struct door *door)
{
    if (door->fd != -1)
        (void)close(door->fd);
    door->fd = -1;
}

size_t door_request(char *ret, size_t room, size_t n, const uint32_t product[])
{
    if (n == 1)
        return (size_t)snprintf(ret, room, "GET /v1/quotes/sku-%06u?customer=anna HTTP/1.1\r\nHost: shop\r\n\r\n",
                                product[0]);
    char body[DOOR_PAGE * 16 + 64];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"customer\":\"anna\",\"skus\":[");
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(body + at, sizeof body - at, "%s\"sku-%06u\"", i > 0 ? "," : "", product[i]);
    at += (size_t)snprintf(body + at, sizeof body - at, "]}");
    return (size_t)snprintf(ret, room, "POST /v1/quotes HTTP/1.1\r\nHost: shop\r\nContent-Length: %zu\r\n\r\n%s", at,
                            body);
}

/* One answer with a Content-Length into door->answer. */
static bool read_answer(struct door *door)
{
    size_t at = 0, whole = 0;
    while (whole == 0 || at < whole) {
        ssize_t got = recv(door->fd, door->answer + at, sizeof door->answer - 1 - at, 0);
        if (got <= 0)
            return false;
        at += (size_t)got;
        door->answer[at] = '\0';
        const char *end = strstr(door->answer, "\r\n\r\n"), *length = strcasestr(door->answer, "content-length:");
        if (end != NULL && length != NULL)
            whole = (size_t)(end + 4 - door->answer) + strtoul(length + strlen("content-length:"), NULL, 10);
    }
    return true;
}

bool door_amounts_are(const char *text, uint32_t first_amount, size_t n, const uint32_t product[])
{
    char wanted[32];
    for (size_t i = 0; i < n && text != NULL; i++) {
        (void)snprintf(wanted, sizeof wanted, "\"amount\":%u,", first_amount + product[i]);
        text = strstr(text, "\"amount\":");
        text = text != NULL && strncmp(text, wanted, strlen(wanted)) == 0 ? text + strlen(wanted) : NULL;
    }
    return text != NULL;
}

bool door_ask(struct door *door, size_t n, const uint32_t product[])
{
    char request[DOOR_PAGE * 16 + 256];
    size_t bytes = door_request(request, sizeof request, n, product);
    return send(door->fd, request, bytes, MSG_NOSIGNAL) == (ssize_t)bytes && read_answer(door) &&
           strncmp(door->answer, "HTTP/1.1 200", 12) == 0 &&
           door_amounts_are(door->answer, door->first_amount, n, product);
}
