/* fuzz_stream.c - any bytes on a socket, cut in any way: the messages that a plain reading of all of them at once finds, in order and to
 * the byte, then nothing or the end, as there. What is announced and does not come takes no more memory than the limit.
 *
 *   input: how long the parts are (1 byte), how many of them come before it is read again (1 byte), the bytes of the other end */
#include "service/stream.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 70000u /* more than a chunk holds twice */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_stream: %s\n", what);
        abort();
    }
}

struct plain { /* the format, read by whoever has all of it */
    const uint8_t *bytes;
    size_t size, at;
};

static enum stream_got plain_next(struct plain *plain, const uint8_t **ret_body, size_t *ret_bytes)
{
    static const uint8_t greeting[8] = { 0, 'S', 'P', 0, 0, STREAM_PUSH, 0, 0 };
    if (plain->at == 0) {
        if (plain->size < 8)
            return STREAM_NOTHING;
        if (memcmp(plain->bytes, greeting, sizeof greeting) != 0)
            return STREAM_ENDED;
        plain->at = 8;
    }
    const uint8_t *head = plain->bytes + plain->at;
    uint64_t bytes = 0;
    if (plain->size - plain->at < 9)
        return STREAM_NOTHING;
    for (int i = 1; i < 9; i++)
        bytes = bytes << 8 | head[i];
    if (head[0] != 1 || bytes > MESSAGE_MAX)
        return STREAM_ENDED;
    if (plain->size - plain->at - 9 < bytes)
        return STREAM_NOTHING;
    plain->at += 9 + bytes;
    *ret_body = head + 9;
    *ret_bytes = bytes;
    return STREAM_MESSAGE;
}

/* Reads what there is. Returns true when that was the end. */
static bool follow(struct stream *stream, struct plain *plain)
{
    const uint8_t *body, *expected;
    size_t bytes, expected_bytes;
    enum stream_got got;
    stream_polled(stream, POLLIN);
    while ((got = stream_receive(stream, &body, &bytes)) == STREAM_MESSAGE) {
        require(plain_next(plain, &expected, &expected_bytes) == STREAM_MESSAGE, "a message that nobody sent");
        require(bytes == expected_bytes && (bytes == 0 || memcmp(body, expected, bytes) == 0), "another message");
        stream_spare(stream);
    }
    require(stream->message_room <= MESSAGE_MAX, "more memory than the limit");
    require(plain_next(plain, &expected, &expected_bytes) == got, "not as far as the bytes go");
    return got == STREAM_ENDED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stream stream;
    static int listen_fd = -1;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listen_fd == -1) { /* an abstract address of the kernel's choice: no file is left behind */
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        require(bind(listen_fd, (struct sockaddr *)&address, sizeof address.sun_family) == 0 &&
                    listen(listen_fd, 1) == 0,
                "no socket");
    }
    socklen_t length = sizeof address;
    require(getsockname(listen_fd, (struct sockaddr *)&address, &length) == 0 &&
                connect(other, (struct sockaddr *)&address, length) == 0,
            "no connection");
    stream_init(&stream, &(struct stream_settings){ STREAM_PULL, STREAM_PUSH, MESSAGE_MAX, 0, NULL });
    require(stream_accept(&stream, listen_fd), "not accepted");
    size_t part = size > 0 ? 1u + data[0] * data[0] : 1, parts = size > 1 ? 1u + data[1] % 8u : 1,
           from = size < 2 ? size : 2;
    struct plain plain = { .bytes = data + from };
    bool ended = false;
    for (size_t at = from, sent = 0; at < size && !ended; sent++) {
        ssize_t taken = send(other, data + at, part < size - at ? part : size - at, MSG_NOSIGNAL);
        at += taken > 0 ? (size_t)taken : 0;
        plain.size = at - from;
        if (taken <= 0 || at == size || sent % parts == parts - 1)
            ended = follow(&stream, &plain);
    }
    (void)close(other);
    stream_polled(&stream, POLLIN | POLLHUP);
    const uint8_t *body;
    size_t bytes;
    require(ended || stream_receive(&stream, &body, &bytes) == STREAM_ENDED, "the end is not seen");
    stream_fini(&stream);
    return 0;
}
