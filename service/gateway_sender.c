/* gateway_sender.c - see gateway_sender.h. */
#include "service/gateway_sender.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void sender_web_url(const struct config *config, char ret[CONFIG_TEXT_MAX])
{
    (void)snprintf(ret, CONFIG_TEXT_MAX, "ipc://%.100s/" WEB_DOOR, config->data_dir);
}

void sender_address(const uint8_t *address, size_t bytes, char ret[RATES_NAME_MAX])
{
    static const uint8_t MAPPED[12] = { [10] = 0xFF, [11] = 0xFF }; /* ::ffff:a.b.c.d is an IPv4 address */
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t network[16] = { 0 };
    if (bytes == 16 && memcmp(address, MAPPED, sizeof MAPPED) == 0) {
        address += sizeof MAPPED;
        bytes = 4;
    }
    if (bytes == 4)
        (void)inet_ntop(AF_INET, address, text, sizeof text);
    else
        (void)inet_ntop(AF_INET6, memcpy(network, address, 8), text, sizeof text);
    (void)snprintf(ret, RATES_NAME_MAX, "address:%s%s", text, bytes == 4 ? "" : "/64");
}

/* "NAME ADDRESS\n" that `web` wrote. Without it, what is left is no JSON of ours and is refused as such. */
static void head_take(nng_msg *message, struct sender *ret)
{
    const char *text = nng_msg_body(message);
    size_t bytes = nng_msg_len(message);
    const char *end = memchr(text, '\n', bytes < SENDER_HEAD_MAX ? bytes : SENDER_HEAD_MAX);
    const char *blank = end != NULL ? memchr(text, ' ', (size_t)(end - text)) : NULL;
    if (blank == NULL)
        return;
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)(blank - text), text);
    (void)snprintf(ret->from, sizeof ret->from, "%.*s", (int)(end - blank - 1), blank + 1);
    (void)nng_msg_trim(message, (size_t)(end - text) + 1);
}

static bool is_web(const char *path)
{
    size_t bytes = strnlen(path, NNG_MAXADDRLEN), tail = strlen("/" WEB_DOOR);
    return bytes > tail && strcmp(path + bytes - tail, "/" WEB_DOOR) == 0;
}

static void process_name(uint64_t pid, uint64_t uid, struct sender *ret)
{
    (void)snprintf(ret->name, sizeof ret->name, "process:%" PRIu64, pid);
    (void)snprintf(ret->from, sizeof ret->from, "local, uid %" PRIu64 ", pid %" PRIu64, uid, pid);
}

static void local_name(nng_pipe pipe, struct sender *ret)
{
    uint64_t pid = 0, uid = 0;
    (void)nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid);
    (void)nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid);
    process_name(pid, uid, ret);
}

void sender_of_socket(int fd, struct sender *ret)
{
    struct ucred peer = { .pid = 0 };
    socklen_t bytes = sizeof peer;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
    process_name((uint64_t)peer.pid, peer.uid, ret);
}

void sender_of(nng_msg *message, struct sender *ret)
{
    nng_pipe pipe = nng_msg_get_pipe(message);
    nng_sockaddr peer = { .s_family = NNG_AF_UNSPEC };
    (void)snprintf(ret->name, sizeof ret->name, "gone");
    ret->from[0] = '\0';
    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &peer) != 0)
        return;
    if (peer.s_family == NNG_AF_IPC && is_web(peer.s_ipc.sa_path)) {
        head_take(message, ret);
    } else if (peer.s_family == NNG_AF_IPC) {
        local_name(pipe, ret);
    } else if (peer.s_family == NNG_AF_INET) {
        sender_address((const uint8_t *)&peer.s_in.sa_addr, 4, ret->name);
        (void)inet_ntop(AF_INET, &peer.s_in.sa_addr, ret->from, sizeof ret->from);
    } else if (peer.s_family == NNG_AF_INET6) {
        sender_address(peer.s_in6.sa_addr, 16, ret->name);
        (void)inet_ntop(AF_INET6, peer.s_in6.sa_addr, ret->from, sizeof ret->from);
    }
}
