/* stream.c - greeting, frames, and what a socket did not take. */
#include "service/stream.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_BYTES 8u
#define HEAD_BYTES     9u
#define LISTEN_BACKLOG 1024

static void greeting_of(uint16_t protocol, uint8_t ret[GREETING_BYTES])
{
    const uint8_t greeting[GREETING_BYTES] = { 0, 'S', 'P', 0, (uint8_t)(protocol >> 8), (uint8_t)(protocol & 0xFF) };
    memcpy(ret, greeting, sizeof greeting);
}

void stream_init(struct stream *stream, const struct stream_settings *settings)
{
    memset(stream, 0, offsetof(struct stream, chunk));
    stream->settings = *settings;
    stream->fd = -1;
}

static void message_free(struct stream *stream)
{
    if (stream->settings.room != NULL)
        stream->settings.room->used -= stream->taken;
    free(stream->message);
    stream->message = NULL;
    stream->message_room = stream->taken = 0;
}

void stream_fini(struct stream *stream)
{
    if (stream->settings.message_max == 0)
        return; /* never set up */
    stream_close(stream);
    message_free(stream);
    free(stream->out);
}

void stream_close(struct stream *stream)
{
    if (stream->fd != -1)
        (void)close(stream->fd);
    stream->fd = -1;
    stream->greeted = stream->begun = stream->broken = false;
    stream->chunk_at = stream->chunk_end = stream->out_at = stream->out_end = stream->wants = 0;
}

/* ---- out ----------------------------------------------------------------------------------------------------------- */

/* Nothing goes out any more: both ends see it, and read what was said until now. */
static void break_off(struct stream *stream)
{
    stream->broken = true;
    (void)shutdown(stream->fd, SHUT_RDWR);
}

/* Returns how many of the bytes the socket took. */
static size_t give(struct stream *stream, struct iovec *part, size_t parts)
{
    const struct msghdr message = { .msg_iov = part, .msg_iovlen = parts };
    ssize_t sent;
    do
        sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent == -1 && errno == EINTR);
    if (sent == -1 && errno != EAGAIN)
        break_off(stream);
    return sent > 0 ? (size_t)sent : 0;
}

static bool out_reserve(struct stream *stream, size_t bytes)
{
    if (stream->out_room - stream->out_end >= bytes)
        return true;
    size_t kept = stream->out_end - stream->out_at, room = kept + bytes;
    uint8_t *out = malloc(room);
    if (out == NULL)
        return false;
    if (kept > 0)
        memcpy(out, stream->out + stream->out_at, kept);
    free(stream->out);
    stream->out = out;
    stream->out_room = room;
    stream->out_at = 0;
    stream->out_end = kept;
    return true;
}

/* The bytes of all parts but the first `skip` ones. */
static void keep(struct stream *stream, const struct iovec *part, size_t parts, size_t skip)
{
    for (size_t i = 0; i < parts; i++) {
        size_t left_out = skip < part[i].iov_len ? skip : part[i].iov_len, bytes = part[i].iov_len - left_out;
        if (bytes > 0)
            memcpy(stream->out + stream->out_end, (const uint8_t *)part[i].iov_base + left_out, bytes);
        stream->out_end += bytes;
        skip -= left_out;
    }
}

static bool put(struct stream *stream, struct iovec *part, size_t parts)
{
    size_t bytes = 0, sent = 0;
    for (size_t i = 0; i < parts; i++)
        bytes += part[i].iov_len;
    if (stream_idle(stream))
        sent = give(stream, part, parts);
    if (stream->broken)
        return false;
    if (sent == bytes)
        return true;
    if (!out_reserve(stream, bytes - sent)) {
        if (sent > 0)
            break_off(stream); /* half a message cannot be taken back */
        return false;
    }
    keep(stream, part, parts, sent);
    return true;
}

bool stream_idle(const struct stream *stream)
{
    return stream->out_at == stream->out_end;
}

bool stream_send(struct stream *stream, const void *first, size_t first_bytes, const void *second, size_t second_bytes)
{
    uint8_t head[HEAD_BYTES] = { 1 };
    uint64_t bytes = htobe64(first_bytes + second_bytes);
    if (stream->fd == -1 || stream->broken || stream->out_end - stream->out_at > stream->settings.out_max)
        return false;
    memcpy(head + 1, &bytes, sizeof bytes);
    return put(stream,
               (struct iovec[]){ { head, sizeof head },
                                 { (void *)(uintptr_t)first, first_bytes },
                                 { (void *)(uintptr_t)second, second_bytes } },
               3);
}

static void flush(struct stream *stream)
{
    stream->out_at +=
        give(stream, &(struct iovec){ stream->out + stream->out_at, stream->out_end - stream->out_at }, 1);
    if (stream_idle(stream))
        stream->out_at = stream->out_end = 0;
}

/* ---- in ------------------------------------------------------------------------------------------------------------ */

/* Returns how many bytes came. Fewer than asked for: that is all there is for now. */
static size_t fetch(struct stream *stream, uint8_t *to, size_t bytes, bool *ret_ended)
{
    ssize_t got;
    do
        got = recv(stream->fd, to, bytes, MSG_DONTWAIT);
    while (got == -1 && errno == EINTR);
    *ret_ended = got == 0 || (got == -1 && errno != EAGAIN);
    stream->drained = got < (ssize_t)bytes;
    return got > 0 ? (size_t)got : 0;
}

static bool chunk_fill(struct stream *stream)
{
    bool ended;
    stream->chunk_end -= stream->chunk_at;
    memmove(stream->chunk, stream->chunk + stream->chunk_at, stream->chunk_end);
    stream->chunk_at = 0;
    stream->chunk_end +=
        fetch(stream, stream->chunk + stream->chunk_end, STREAM_CHUNK_BYTES - stream->chunk_end, &ended);
    return !ended;
}

/* The next bytes of the message, of the chunk or, when that is used up and many are missing, straight from the socket. */
static bool message_fill(struct stream *stream)
{
    size_t missing = stream->message_bytes - stream->message_got, ready = stream->chunk_end - stream->chunk_at;
    uint8_t *to = stream->message + stream->message_got;
    bool ended = false;
    if (ready > 0) {
        size_t bytes = ready < missing ? ready : missing;
        memcpy(to, stream->chunk + stream->chunk_at, bytes);
        stream->chunk_at += bytes;
        stream->message_got += bytes;
    } else if (missing >= STREAM_CHUNK_BYTES) {
        stream->message_got += fetch(stream, to, missing, &ended);
    } else {
        ended = !chunk_fill(stream);
    }
    return !ended;
}

/* All of it counts, as with NNG: what the reserved bytes may say one day is nothing that we know how to read. */
static bool greeting_check(struct stream *stream)
{
    uint8_t greeting[GREETING_BYTES];
    greeting_of(stream->settings.peer, greeting);
    stream->greeted = memcmp(stream->chunk + stream->chunk_at, greeting, sizeof greeting) == 0;
    stream->chunk_at += GREETING_BYTES;
    return stream->greeted;
}

bool stream_room_take(struct stream *stream)
{
    struct stream_room *room = stream->settings.room;
    if (room->used + stream->wants > room->max)
        return false;
    room->used += stream->wants;
    stream->taken += stream->wants;
    stream->wants = 0;
    return true;
}

/* What fits into a chunk takes none: nobody who sends little waits for those who send much. */
static bool has_room(struct stream *stream, size_t bytes)
{
    struct stream_room *room = stream->settings.room;
    if (room == NULL || bytes <= STREAM_CHUNK_BYTES || bytes <= stream->taken)
        return true;
    stream->wants = bytes - stream->taken;
    return room->waiting == 0 && stream_room_take(stream);
}

static bool message_begin(struct stream *stream)
{
    const uint8_t *at = stream->chunk + stream->chunk_at;
    uint64_t bytes;
    memcpy(&bytes, at + 1, sizeof bytes);
    bytes = be64toh(bytes);
    if (at[0] != 1 || bytes > stream->settings.message_max)
        return false;
    if (!has_room(stream, bytes))
        return true;
    if (bytes > stream->message_room) {
        free(stream->message);
        stream->message = malloc(bytes);
        stream->message_room = stream->message != NULL ? bytes : 0;
    }
    stream->chunk_at += HEAD_BYTES;
    stream->message_bytes = bytes;
    stream->message_got = 0;
    stream->begun = true;
    return bytes <= stream->message_room;
}

/* One step further. False: this was the end. */
static bool advance(struct stream *stream)
{
    size_t ready = stream->chunk_end - stream->chunk_at;
    if (stream->begun)
        return message_fill(stream);
    if (ready < (stream->greeted ? HEAD_BYTES : GREETING_BYTES))
        return chunk_fill(stream);
    return stream->greeted ? message_begin(stream) : greeting_check(stream);
}

/* Can anything be done before more has come? */
static bool is_ready(const struct stream *stream)
{
    size_t ready = stream->chunk_end - stream->chunk_at;
    size_t needed = stream->begun ? 1 : stream->greeted ? HEAD_BYTES : GREETING_BYTES;
    return !stream->drained || ready >= needed;
}

enum stream_got stream_receive(struct stream *stream, const uint8_t **ret_body, size_t *ret_bytes)
{
    while (stream->fd != -1) {
        if (stream->begun && stream->message_got == stream->message_bytes) {
            stream->begun = false;
            *ret_body = stream->message;
            *ret_bytes = stream->message_bytes;
            return STREAM_MESSAGE;
        }
        if (stream->wants > 0 || !is_ready(stream))
            return STREAM_NOTHING;
        if (!advance(stream))
            return STREAM_ENDED;
    }
    return STREAM_NOTHING;
}

size_t stream_unread(const struct stream *stream)
{
    int waiting = 0;
    if (stream->fd == -1 || ioctl(stream->fd, FIONREAD, &waiting) != 0 || waiting < 0)
        waiting = 0;
    return (stream->begun ? HEAD_BYTES + stream->message_got : 0) + stream->chunk_end - stream->chunk_at +
           (size_t)waiting;
}

void stream_refuse(struct stream *stream)
{
    (void)shutdown(stream->fd, SHUT_RD); /* the other end's next byte fails there */
    stream->drained = false;
}

void stream_spare(struct stream *stream)
{
    size_t kept = stream->settings.room != NULL ? STREAM_CHUNK_BYTES : STREAM_SPARE_BYTES;
    if (!stream->begun && stream->message_room > kept)
        message_free(stream);
}

/* ---- connections --------------------------------------------------------------------------------------------------- */

static bool begin(struct stream *stream, int fd)
{
    assert(stream->fd == -1);
    uint8_t greeting[GREETING_BYTES];
    if (fd == -1)
        return false;
    greeting_of(stream->settings.protocol, greeting);
    stream->fd = fd;
    stream->drained = false;
    if (put(stream, &(struct iovec){ greeting, sizeof greeting }, 1) || stream->broken)
        return true; /* who is gone again may have spoken before */
    stream_close(stream);
    errno = ENOMEM;
    return false;
}

static bool address_of(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof ret->sun_path)
        return false;
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return true;
}

static int stream_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Is what stands at the path nobody's? A process that died leaves it there. */
static bool is_left(const struct sockaddr_un *address)
{
    int fd = stream_socket();
    bool refused =
        fd != -1 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    if (fd != -1)
        (void)close(fd);
    return refused;
}

static bool take_place(int fd, const struct sockaddr_un *address)
{
    const struct sockaddr *at = (const struct sockaddr *)address;
    if (bind(fd, at, sizeof *address) == 0)
        return true;
    if (errno != EADDRINUSE)
        return false;
    if (!is_left(address)) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(address->sun_path) == 0 && bind(fd, at, sizeof *address) == 0;
}

int stream_listen(const char *path, mode_t permissions)
{
    struct sockaddr_un address;
    if (!address_of(path, &address))
        return -1;
    int fd = stream_socket();
    if (fd == -1)
        return -1;
    /* Before it listens, nobody can connect, whatever the umask is. */
    if (take_place(fd, &address) && chmod(path, permissions) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

bool stream_accept(struct stream *stream, int listen_fd)
{
    return begin(stream, accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

bool stream_dial(struct stream *stream, const char *path)
{
    struct sockaddr_un address;
    int fd = address_of(path, &address) ? stream_socket() : -1;
    if (fd != -1 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return begin(stream, fd);
}

/* ---- poll() -------------------------------------------------------------------------------------------------------- */

short stream_events(const struct stream *stream)
{
    return stream_idle(stream) || stream->broken ? POLLIN : POLLIN | POLLOUT;
}

void stream_polled(struct stream *stream, short revents)
{
    if (stream->fd == -1)
        return;
    if (revents & (POLLIN | POLLHUP | POLLERR))
        stream->drained = false;
    if (revents & POLLOUT && !stream_idle(stream) && !stream->broken)
        flush(stream);
}
