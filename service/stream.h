/* stream.h - messages over a Unix stream socket, between two processes of ours, in the loop of the thread that polls it.
 *
 *   greeting   00 'S' 'P' 00, protocol (16 bits), 00 00       both ends, once, before anything else
 *   message    01, bytes (64 bits), body                      numbers are big-endian
 *
 * That is what NNG puts on an ipc:// socket: who speaks NNG's PAIR may be at the other end. It is not NNG here, because its way from
 * socket to thread leads through two sleeping threads, and because its pipes of processes that died do not always end. Of a stream, the
 * kernel says so as soon as the last byte is read.
 *
 * Waiting    nothing here waits. The owner polls `fd` for stream_events(), and says with stream_polled() what came.
 * Bounds     a message that announces more than message_max ends the stream. What the socket does not take at once is kept, and while
 *            more than out_max bytes are, nothing further is taken. Streams may share one room for long messages that are under way: who
 *            finds none reads no further.
 * Owner      one thread. */
#ifndef SERVICE_STREAM_H
#define SERVICE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_CHUNK_BYTES 32768u /* read at once, unless a longer message is under way */
#define STREAM_SPARE_BYTES 262144u /* kept for the next message by stream_spare() */

/* SP's numbers of protocols: one peer at each end; messages one way. */
#define STREAM_PAIR        0x10u
#define STREAM_PUSH        0x50u
#define STREAM_PULL        0x51u

/* For messages of more than a chunk. max is at least message_max, or the longest one waits for ever. */
struct stream_room {
    size_t used, max; /* bytes */
    size_t waiting;   /* streams; while there are any, nobody overtakes them */
};

struct stream_settings {
    uint16_t protocol, peer;     /* ours, and what the other end has to say */
    size_t message_max, out_max; /* bytes */
    struct stream_room *room;    /* NULL: of one's own, without a limit */
};

struct stream {
    struct stream_settings settings;
    int fd;           /* -1: none */
    bool greeted;     /* the other end has */
    bool drained;     /* nothing to read before poll() says so */
    bool broken;      /* nothing can be sent any more; what the other end said before may still be read */
    uint8_t *message; /* the one under way, aligned for any type */
    size_t message_room, message_bytes, message_got;
    bool begun;   /* its head has been read */
    size_t taken; /* of the room that is shared */
    size_t wants; /* more than there was: nothing is read until it is taken; 0: nothing */
    uint8_t *out; /* not yet taken by the socket */
    size_t out_room, out_at, out_end;
    size_t chunk_at, chunk_end;
    uint8_t chunk[STREAM_CHUNK_BYTES];
};

enum stream_got { STREAM_NOTHING, STREAM_MESSAGE, STREAM_ENDED };

void stream_init(struct stream *stream, const struct stream_settings *settings);
/* stream_fini - also of zeros. */
void stream_fini(struct stream *stream);

/* stream_listen - a socket that others dial, at `path`; what is there goes, unless somebody listens. Returns -1 and errno. */
int stream_listen(const char *path, mode_t permissions);
/* stream_accept, stream_dial - the stream, closed until now, is the end of a connection, and has greeted. It may be
 * broken already: what its other end said is read all the same. False, closed, and errno: EAGAIN = nobody is there. */
bool stream_accept(struct stream *stream, int listen_fd);
bool stream_dial(struct stream *stream, const char *path);
void stream_close(struct stream *stream);

/* stream_events - for poll(). stream_polled - what poll() returned; sends what was kept. */
short stream_events(const struct stream *stream);
void stream_polled(struct stream *stream, short revents);

/* stream_receive - the next message; it is ours, and holds until the next call. STREAM_ENDED: all was read that the other end said, or
 * it said what is no message. */
enum stream_got stream_receive(struct stream *stream, const uint8_t **ret_body, size_t *ret_bytes);

/* stream_unread - bytes that came, in the kernel too, and are in no message that was handed out. */
size_t stream_unread(const struct stream *stream);
/* stream_refuse - the other end can say no more; what came until now may still be read, and then the stream ends. */
void stream_refuse(struct stream *stream);

/* stream_room_take - what the stream wants of the room, for whoever keeps the order of those that wait. False: there is not as much. */
bool stream_room_take(struct stream *stream);
/* stream_spare - gives back the memory of an unusually long message, which is not used any more; where room is shared, of any that is longer
 * than a chunk. */
void stream_spare(struct stream *stream);

/* stream_send - a message of two parts, the second one may be of no bytes. False: there is no room, or no other end. True does not say
 * that it is received. */
bool stream_send(struct stream *stream, const void *first, size_t first_bytes, const void *second, size_t second_bytes);
/* stream_idle - nothing is kept: the next message goes straight to the socket. */
bool stream_idle(const struct stream *stream);
#endif
