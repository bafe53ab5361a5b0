/* test_stream.c - messages come whole and in order however the kernel cuts them, what is no message ends the stream, and nothing waits.
 * The bytes on the socket are written out here, as NNG's specification of its ipc transport has them ("SP over IPC"). */
#include "service/stream.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 100000u
#define OUT_MAX     1000u

static const uint8_t GREETING[8] = { 0, 'S', 'P', 0, 0, 0x10, 0, 0 };

struct fixture {
    char folder[40], path[60];
    int listen_fd, other; /* the other end: a plain socket, which blocks */
    struct stream stream;
};

/* A stream that was dialed by a plain socket; its greeting is read and right. */
static void setup(struct fixture *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    uint8_t greeting[8];
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/rialto-stream-XXXXXX");
    cr_assert_not_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/s", f->folder);
    cr_assert_geq(f->listen_fd = stream_listen(f->path, 0600), 0);
    stream_init(&f->stream, &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, MESSAGE_MAX, OUT_MAX, NULL });
    cr_assert_not(stream_accept(&f->stream, f->listen_fd), "nobody is there");
    memcpy(address.sun_path, f->path, strlen(f->path));
    f->other = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(f->other, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert(stream_accept(&f->stream, f->listen_fd));
    cr_assert_eq(recv(f->other, greeting, sizeof greeting, MSG_WAITALL), 8);
    cr_assert_arr_eq(greeting, GREETING, 8);
}

static void teardown(struct fixture *f)
{
    stream_fini(&f->stream);
    (void)close(f->other);
    (void)close(f->listen_fd);
    (void)unlink(f->path);
    (void)rmdir(f->folder);
}

static void say(struct fixture *f, const void *bytes, size_t count)
{
    cr_assert_eq(send(f->other, bytes, count, MSG_NOSIGNAL), (ssize_t)count);
}

static void say_head(struct fixture *f, uint64_t bytes)
{
    uint8_t head[9] = { 1 };
    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(bytes >> (56 - 8 * i));
    say(f, head, sizeof head);
}

static enum stream_got receive(struct fixture *f, const uint8_t **body, size_t *bytes)
{
    struct pollfd wait = { .fd = f->stream.fd, .events = stream_events(&f->stream) };
    (void)poll(&wait, 1, 0);
    stream_polled(&f->stream, wait.revents);
    return stream_receive(&f->stream, body, bytes);
}

static uint8_t byte_at(size_t message, size_t i)
{
    return (uint8_t)(31 * message + i * i + i);
}

Test(stream, messages_come_whole_and_in_order_however_they_are_cut)
{
    static const size_t length[] = {
        0, 1, 8, 9, 500, STREAM_CHUNK_BYTES - 9, STREAM_CHUNK_BYTES, STREAM_CHUNK_BYTES + 1, MESSAGE_MAX
    };
    static uint8_t wire[8 + 9 * 9 + 4 * STREAM_CHUNK_BYTES + MESSAGE_MAX];
    const size_t count = sizeof length / sizeof length[0];
    for (size_t cut = 1; cut < 100000; cut = cut * 3 + 1) {
        struct fixture f;
        const uint8_t *body;
        size_t bytes, at = sizeof GREETING, came = 0;
        setup(&f);
        memcpy(wire, GREETING, sizeof GREETING);
        for (size_t m = 0; m < count; m++) {
            wire[at] = 1;
            for (int i = 0; i < 8; i++)
                wire[at + 1 + (size_t)i] = (uint8_t)((uint64_t)length[m] >> (56 - 8 * i));
            for (size_t i = 0; i < length[m]; i++)
                wire[at + 9 + i] = byte_at(m, i);
            at += 9 + length[m];
        }
        cr_assert_leq(at, sizeof wire);
        for (size_t sent = 0; sent < at;) {
            size_t part = sent < 200 || cut > 50 ? cut : 4999; /* byte by byte where it matters */
            part = part < at - sent ? part : at - sent;
            say(&f, wire + sent, part);
            sent += part;
            for (enum stream_got got; (got = receive(&f, &body, &bytes)) != STREAM_NOTHING; came++) {
                cr_assert_eq(got, STREAM_MESSAGE);
                cr_assert_lt(came, count);
                cr_assert_eq(bytes, length[came], "message %zu has %zu bytes, cut every %zu", came, bytes, cut);
                cr_assert_eq((uintptr_t)body % _Alignof(max_align_t), 0u);
                for (size_t i = 0; i < bytes; i++)
                    cr_assert_eq(body[i], byte_at(came, i), "byte %zu of message %zu, cut every %zu", i, came, cut);
            }
        }
        cr_assert_eq(came, count, "%zu of %zu came, cut every %zu", came, count, cut);
        teardown(&f);
    }
}

Test(stream, memory_of_a_long_message_is_given_back_and_the_next_one_comes_all_the_same)
{
    static uint8_t body_out[2 * STREAM_SPARE_BYTES];
    struct fixture f;
    const uint8_t *body;
    size_t bytes;
    setup(&f);
    f.stream.settings.message_max = sizeof body_out;
    say(&f, GREETING, sizeof GREETING);
    for (int turn = 0; turn < 2; turn++) {
        enum stream_got got = STREAM_NOTHING;
        say_head(&f, sizeof body_out);
        for (size_t sent = 0; sent < sizeof body_out; sent += 4096) {
            say(&f, body_out + sent, 4096);
            cr_assert_eq(got, STREAM_NOTHING);
            got = receive(&f, &body, &bytes);
            stream_spare(&f.stream); /* in the middle of one it is kept */
        }
        cr_assert_eq(got, STREAM_MESSAGE);
        cr_expect_eq(bytes, sizeof body_out);
        stream_spare(&f.stream);
        cr_expect_eq(f.stream.message_room, 0u);
    }
    teardown(&f);
}

/* Goal: who finds no room for a long message reads no further; short ones need none; what was waited for comes whole. */
Test(stream, long_messages_share_a_room)
{
    static const uint8_t part[STREAM_CHUNK_BYTES + 1];
    struct stream_room room = { .max = MESSAGE_MAX };
    struct fixture f[2];
    const uint8_t *body;
    size_t bytes;
    for (int i = 0; i < 2; i++) {
        setup(&f[i]);
        f[i].stream.settings.room = &room;
        say(&f[i], GREETING, sizeof GREETING);
    }
    say_head(&f[0], MESSAGE_MAX - sizeof part);
    say(&f[0], part, 100);
    cr_assert_eq(receive(&f[0], &body, &bytes), STREAM_NOTHING);
    cr_expect_eq(room.used, MESSAGE_MAX - sizeof part);

    say_head(&f[1], 5);
    say(&f[1], "short", 5);
    say_head(&f[1], sizeof part + 1);
    say(&f[1], part, sizeof part);
    say(&f[1], part, 1);
    cr_assert_eq(receive(&f[1], &body, &bytes), STREAM_MESSAGE);
    cr_expect_eq(bytes, 5u);
    stream_spare(&f[1].stream);
    cr_assert_eq(receive(&f[1], &body, &bytes), STREAM_NOTHING, "one byte is missing");
    cr_expect_eq(f[1].stream.wants, sizeof part + 1);
    cr_expect_not(stream_room_take(&f[1].stream));
    cr_expect_eq(receive(&f[1], &body, &bytes), STREAM_NOTHING);
    cr_expect_eq(room.used, MESSAGE_MAX - sizeof part, "who waits has nothing");
    cr_expect_geq(stream_unread(&f[1].stream), sizeof part, "and nothing of his is lost");

    stream_fini(&f[0].stream); /* half of a message in it */
    cr_expect_eq(room.used, 0u);
    room.waiting = 1;
    cr_assert(stream_room_take(&f[1].stream));
    room.waiting = 0;
    cr_assert_eq(receive(&f[1], &body, &bytes), STREAM_MESSAGE);
    cr_expect_eq(bytes, sizeof part + 1);
    cr_expect_eq(room.used, sizeof part + 1);
    stream_spare(&f[1].stream);
    cr_expect_eq(room.used, 0u);

    room.waiting = 1; /* somebody stood there before: there is room, and it is his */
    say_head(&f[1], sizeof part);
    cr_assert_eq(receive(&f[1], &body, &bytes), STREAM_NOTHING);
    cr_expect_eq(f[1].stream.wants, sizeof part);
    teardown(&f[1]);
    cr_expect_eq(room.used, 0u);
    stream_init(&f[0].stream, &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, MESSAGE_MAX, OUT_MAX, NULL });
    teardown(&f[0]);
}

Test(stream, what_is_no_message_ends_it)
{
    static const struct {
        uint8_t bytes[17];
        size_t count;
        const char *what;
    } wrong[] = {
        { { 0, 'S', 'P', 1, 0, 0x10, 0, 0 }, 8, "not the magic" },
        { { 0, 'S', 'P', 0, 0, 0x51, 0, 0 }, 8, "another protocol" },
        { { 0, 'S', 'P', 0, 0xFF, 0xFF, 0, 0 }, 8, "one that does not exist" },
        { { 0, 'S', 'P', 0, 0, 0x10, 1, 0 }, 8, "a reserved byte" },
        { { 0, 'S', 'P', 0, 0, 0x10, 0, 1 }, 8, "the other one" },
        { { 0, 'S', 'P', 0, 0, 0x10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1 }, 17, "a frame of another kind" },
        { { 0, 'S', 'P', 0, 0, 0x10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0x86, 0xA1 }, 17, "100001 bytes" },
        { { 0, 'S', 'P', 0, 0, 0x10, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xE0 }, 17, "2^64 - 32 bytes" },
        { { 0, 'S', 'P' }, 0, "gone before a word" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fixture f;
        const uint8_t *body = NULL;
        size_t bytes = 7;
        setup(&f);
        if (wrong[i].count > 0)
            say(&f, wrong[i].bytes, wrong[i].count);
        else
            (void)close(f.other);
        cr_expect_eq(receive(&f, &body, &bytes), STREAM_ENDED, "%s", wrong[i].what);
        cr_expect_null(body);
        if (wrong[i].count == 0)
            f.other = -1;
        teardown(&f);
    }
}

Test(stream, what_the_dead_said_is_read_first)
{
    struct fixture f;
    const uint8_t *body;
    size_t bytes;
    setup(&f);
    cr_assert(stream_send(&f.stream, "not read", 8, NULL, 0));
    say(&f, GREETING, sizeof GREETING);
    say_head(&f, 4);
    say(&f, "last", 4);
    say_head(&f, 6);
    say(&f, "hal", 3); /* dies in the middle, with a message of ours unread */
    (void)close(f.other);
    f.other = -1;
    cr_expect_not(stream_send(&f.stream, "too late", 8, NULL, 0));
    cr_assert_eq(receive(&f, &body, &bytes), STREAM_MESSAGE);
    cr_expect_eq(bytes, 4u);
    cr_expect_arr_eq(body, "last", 4);
    cr_expect_eq(receive(&f, &body, &bytes), STREAM_ENDED);
    teardown(&f);
}

/* Goal: who spoke and went before he was taken is read all the same. */
Test(stream, what_was_said_before_it_was_taken_is_read)
{
    struct fixture f;
    const uint8_t *body;
    size_t bytes;
    setup(&f);
    struct stream dialed;
    stream_init(&dialed, &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, MESSAGE_MAX, OUT_MAX, NULL });
    cr_assert(stream_dial(&dialed, f.path));
    cr_assert(stream_send(&dialed, "hasty", 5, NULL, 0));
    stream_fini(&dialed);
    stream_close(&f.stream);
    cr_assert(stream_accept(&f.stream, f.listen_fd));
    cr_expect_not(stream_send(&f.stream, "nobody", 6, NULL, 0));
    cr_assert_eq(receive(&f, &body, &bytes), STREAM_MESSAGE);
    cr_expect_eq(bytes, 5u);
    cr_expect_eq(receive(&f, &body, &bytes), STREAM_ENDED);
    teardown(&f);
}

Test(stream, what_the_socket_does_not_take_follows_in_order_and_is_bounded)
{
    static char part[MESSAGE_MAX];
    static uint8_t seen[9 + MESSAGE_MAX];
    struct fixture f;
    uint32_t sent = 0;
    setup(&f);
    while (stream_idle(&f.stream) && sent < 1000) {
        memset(part, (int)(sent & 0xFF), sizeof part);
        cr_assert(stream_send(&f.stream, part, 10, part + 10, sizeof part - 10));
        sent++;
    }
    cr_assert_lt(sent, 1000u, "the socket takes everything");
    cr_expect(stream_events(&f.stream) & POLLOUT);
    cr_expect_not(stream_send(&f.stream, part, 1, NULL, 0), "more than the bound is kept already");
    for (uint32_t i = 0; i < sent; i++) {
        for (size_t got = 0; got < sizeof seen;) {
            ssize_t more = recv(f.other, seen + got, sizeof seen - got, MSG_DONTWAIT);
            got += more > 0 ? (size_t)more : 0;
            struct pollfd wait = { .fd = f.stream.fd, .events = stream_events(&f.stream) };
            cr_assert(more > 0 || !stream_idle(&f.stream), "%u of %u messages, and nothing is on its way", i, sent);
            (void)poll(&wait, 1, 0);
            stream_polled(&f.stream, wait.revents);
        }
        cr_assert_arr_eq(seen, ((const uint8_t[]){ 1, 0, 0, 0, 0, 0, 1, 0x86, 0xA0 }), 9);
        for (size_t k = 9; k < sizeof seen; k++)
            cr_assert_eq(seen[k], (uint8_t)i, "byte %zu of message %u", k, i);
    }
    cr_expect(stream_idle(&f.stream));
    cr_expect(stream_send(&f.stream, part, 1, NULL, 0), "there is room again");
    teardown(&f);
}

Test(stream, a_socket_has_its_permissions_and_takes_the_place_of_a_dead_ones_only)
{
    struct fixture f;
    struct stat info;
    struct stream dialed;
    const uint8_t *body;
    size_t bytes;
    setup(&f);
    cr_assert_eq(stat(f.path, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0600u);
    cr_expect_eq(stream_listen(f.path, 0600), -1, "somebody listens there");
    (void)close(f.listen_fd);
    stream_init(&dialed, &(struct stream_settings){ STREAM_PAIR, STREAM_PAIR, MESSAGE_MAX, OUT_MAX, NULL });
    cr_expect_not(stream_dial(&dialed, f.path), "nobody listens");
    cr_assert_geq(f.listen_fd = stream_listen(f.path, 0600), 0);
    cr_assert(stream_dial(&dialed, f.path));
    cr_assert(stream_send(&dialed, "first ", 6, "and last", 8), "before anybody has taken it");
    stream_close(&f.stream);
    cr_assert(stream_accept(&f.stream, f.listen_fd));
    cr_assert_eq(receive(&f, &body, &bytes), STREAM_MESSAGE);
    cr_expect_eq(bytes, 14u);
    cr_expect_arr_eq(body, "first and last", 14);
    stream_fini(&dialed);
    cr_expect_eq(receive(&f, &body, &bytes), STREAM_ENDED);
    teardown(&f);
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_expect_eq(stream_listen(path, 0600), -1, "longer than an address of a socket");
}
