/* gateway_push.c - push endpoints on local sockets (ipc://), which the main thread reads itself.
 *
 *   producers --SP PUSH--> [ stream | stream | ... ] --epoll--> ring of the endpoint --inbox_take()-->
 *
 * Whoever pushes still speaks NNG; on this side the way from the socket to the main thread would lead through two of NNG's sleeping threads
 * (docs/bench.md, "An order's way"). A listener of our own does not go deaf, either.
 *
 * Turns      streams that have something to give stand in a queue: one message, then the next stream's turn.
 * Full       with no room in the ring nothing is read: what is sent stays in the kernel, and senders wait.
 * Long       of messages of more than a chunk, LONG_BYTES_MAX are under way at a time in all streams together; a stream whose next one does
 *            not fit stands in a second queue, unread. Who has room keeps it until his message is whole, and is read meanwhile: so there
 *            is room again. If he says hardly more while others wait, he is hung up on. Shorter ones need no more than a stream has.
 * Gone       a socket whose file was taken away is opened anew (a look a second). Who connects and does not greet is hung up on.
 * Crowd      the last descriptors are left for others: who dials then waits, and loses nothing.
 * End        a stop lets nobody say more (his next byte fails), and takes the whole messages that have come until then. PUSH has no
 *            acknowledgement: of what cannot be taken any more the bytes are counted, and named in the log.
 * Threads    the main thread alone. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IPC_PREFIX        "ipc://"
#define GREETING_MS       5000 /* producers may be busy */
#define LOOK_MS           1000
#define REST_MS           100 /* without descriptors or memory for a further producer */
#define LONG_BYTES_MAX    (64u << 20)
#define STUCK_LOOKS       10u        /* within a long message, while others wait for room ... */
#define STUCK_BYTES       (1u << 20) /* ... without so much more of it: a byte now and then is not enough */
#define DESCRIPTORS_KEPT  (RIALTO_WORKERS_MAX + 32u) /* the last ones are for workers that come back, and for files */
#define EVENTS_PER_STEP   64
#define MESSAGES_PER_STEP 64u
#define BYTES_PER_STEP    (1u << 20) /* and what the last message is longer: copying delays a tick, too */

struct pusher {
    struct pusher *previous, *next; /* all of the door */
    struct pusher *due_next;
    bool due; /* stands in the queue */
    bool waits;     /* in the other one: due_next is the next there */
    uint64_t heard; /* bytes of its messages, at the last look at which it had moved */
    uint64_t given; /* bytes, of whole ones */
    unsigned stuck; /* looks since then */
    int64_t accepted_ms;
    struct sender sender;
    struct stream stream;
};

struct push_door {
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    int listen_fd, epoll_fd;
    size_t message_max;
    struct pusher *first;                /* of all */
    struct pusher *due_first, **due_end; /* the queue */
    struct pusher *waiting_first, **waiting_end; /* for room */
    struct stream_room room;
    bool called, polled; /* somebody dials; something came */
    bool full;           /* the ring was, and somebody had to wait */
    bool draining;       /* nobody comes or says more */
    int64_t look_ms, rest_ms; /* rest: nobody is taken until then */
    dev_t device;
    ino_t inode; /* of the file */
    struct {
        size_t streams, bytes;
        const char *reason; /* of the last one */
    } dropped;              /* and not yet logged */
};

bool push_is_own(const char *url)
{
    return strncmp(url, IPC_PREFIX, strlen(IPC_PREFIX)) == 0;
}

/* ---- the socket ---------------------------------------------------------------------------------------------------- */

static bool listen_again(struct push_door *door)
{
    struct stat info;
    door->listen_fd = stream_listen(door->path, 0660);
    if (door->listen_fd == -1)
        return false;
    if (stat(door->path, &info) == 0) {
        door->device = info.st_dev;
        door->inode = info.st_ino;
        return true;
    }
    (void)close(door->listen_fd);
    door->listen_fd = -1;
    return false;
}

static void stop_listening(struct push_door *door)
{
    if (door->listen_fd != -1)
        (void)close(door->listen_fd);
    door->listen_fd = -1;
}

static bool is_in_place(const struct push_door *door)
{
    struct stat info;
    return door->listen_fd != -1 && stat(door->path, &info) == 0 && info.st_dev == door->device &&
           info.st_ino == door->inode;
}

static void look_at_place(struct push_door *door)
{
    if (is_in_place(door))
        return;
    bool was_open = door->listen_fd != -1;
    stop_listening(door);
    bool good = listen_again(door); /* if not, again in a second */
    if (!good && !was_open)
        return;
    metric_add(METRIC_listener_reopened_total, 1);
    log_line(LOG_WARNING, "LISTENER-REOPENED", "url=" IPC_PREFIX "%s reason=\"%s\"", door->path,
             good ? "its file was taken away" : strerror(errno));
}

/* ---- producers ------------------------------------------------------------------------------------------------------ */

static void report_dropped(struct push_door *door)
{
    if (door->dropped.streams == 0)
        return;
    log_line(LOG_WARNING, "PUSH-DROPPED", "url=" IPC_PREFIX "%s streams=%zu bytes=%zu reason=\"%s\"", door->path,
             door->dropped.streams, door->dropped.bytes, door->dropped.reason);
    door->dropped.streams = door->dropped.bytes = 0;
}

static void pusher_drop(struct push_door *door, const struct pusher *pusher, size_t bytes, const char *reason)
{
    bytes += stream_unread(&pusher->stream);
    if (bytes == 0)
        return;
    metric_add(METRIC_push_bytes_dropped_total, bytes);
    door->dropped.streams++;
    door->dropped.bytes += bytes;
    door->dropped.reason = reason;
}

/* `bytes`: of a message that was read and cannot be taken. */
static void pusher_end(struct push_door *door, struct pusher *pusher, size_t bytes, const char *reason)
{
    pusher_drop(door, pusher, bytes, reason);
    if (pusher->previous != NULL)
        pusher->previous->next = pusher->next;
    else
        door->first = pusher->next;
    if (pusher->next != NULL)
        pusher->next->previous = pusher->previous;
    stream_fini(&pusher->stream); /* closing takes it out of epoll's set: nobody else has the descriptor */
    free(pusher);
}

static struct pusher *pusher_begin(struct push_door *door)
{
    struct pusher *pusher = calloc(1, sizeof *pusher);
    if (pusher == NULL)
        return NULL;
    stream_init(&pusher->stream, &(struct stream_settings){ .protocol = STREAM_PULL,
                                                            .peer = STREAM_PUSH,
                                                            .message_max = door->message_max,
                                                            .room = &door->room });
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = pusher };
    errno = 0;
    if (!stream_accept(&pusher->stream, door->listen_fd) ||
        epoll_ctl(door->epoll_fd, EPOLL_CTL_ADD, pusher->stream.fd, &event) != 0) {
        int error = errno;
        stream_fini(&pusher->stream);
        free(pusher);
        errno = error;
        return NULL;
    }
    pusher->accepted_ms = mono_ms();
    sender_of_socket(pusher->stream.fd, &pusher->sender);
    pusher->next = door->first;
    if (door->first != NULL)
        door->first->previous = pusher;
    return door->first = pusher;
}

/* The kernel gives out the lowest one that is free. */
static bool descriptors_left(const struct push_door *door)
{
    struct rlimit limit;
    int lowest = fcntl(door->listen_fd, F_DUPFD_CLOEXEC, 0);
    if (lowest == -1)
        return false;
    (void)close(lowest);
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)lowest + DESCRIPTORS_KEPT < limit.rlim_cur;
}

/* Returns true when more may stand there. */
static bool welcome(struct push_door *door)
{
    for (int i = 0; i < EVENTS_PER_STEP; i++) {
        if (!descriptors_left(door)) {
            door->rest_ms = mono_ms() + REST_MS; /* who dials stays where he is, and loses nothing */
            return false;
        }
        if (pusher_begin(door) != NULL)
            continue;
        if (errno == ECONNABORTED || errno == EINTR)
            continue;
        if (errno != EAGAIN)
            door->rest_ms = mono_ms() + REST_MS;
        return false;
    }
    return true;
}

static void due(struct push_door *door, struct pusher *pusher)
{
    if (pusher->due || pusher->waits)
        return;
    pusher->due = true;
    pusher->due_next = NULL;
    *door->due_end = pusher;
    door->due_end = &pusher->due_next;
}

static struct pusher *due_take(struct push_door *door)
{
    struct pusher *pusher = door->due_first;
    door->due_first = pusher->due_next;
    if (door->due_first == NULL)
        door->due_end = &door->due_first;
    pusher->due = false;
    return pusher;
}

/* ---- room for long messages --------------------------------------------------------------------------------------- */

/* Not polled either: what it has said is there already. */
static void wait_for_room(struct push_door *door, struct pusher *pusher)
{
    (void)epoll_ctl(door->epoll_fd, EPOLL_CTL_DEL, pusher->stream.fd, NULL);
    metric_add(METRIC_push_long_waits_total, 1);
    pusher->waits = true;
    pusher->due_next = NULL;
    *door->waiting_end = pusher;
    door->waiting_end = &pusher->due_next;
    door->room.waiting++;
}

/* In their order, however much the first one wants: the longest message gets its turn, too. */
static void give_room(struct push_door *door)
{
    struct pusher *pusher;
    while ((pusher = door->waiting_first) != NULL && stream_room_take(&pusher->stream)) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = pusher };
        door->waiting_first = pusher->due_next;
        if (door->waiting_first == NULL)
            door->waiting_end = &door->waiting_first;
        door->room.waiting--;
        pusher->waits = false;
        if (epoll_ctl(door->epoll_fd, EPOLL_CTL_ADD, pusher->stream.fd, &event) == 0)
            due(door, pusher);
        else
            pusher_end(door, pusher, 0, "out of memory");
    }
}

/* Has a message under way in that room, and little to read of it. */
static bool is_stuck(struct pusher *pusher)
{
    uint64_t heard = pusher->given + pusher->stream.message_got;
    bool moved = heard - pusher->heard >= STUCK_BYTES || pusher->due || pusher->stream.taken == 0 || pusher->waits;
    if (moved)
        pusher->heard = heard;
    pusher->stuck = moved ? 0 : pusher->stuck + 1;
    return pusher->stuck >= STUCK_LOOKS;
}

static void look_for_stuck(struct push_door *door)
{
    for (struct pusher *pusher = door->first, *next; pusher != NULL && door->waiting_first != NULL; pusher = next) {
        next = pusher->next;
        if (is_stuck(pusher))
            pusher_end(door, pusher, 0, "it said too little of a long message while others waited for room");
    }
}

/* ---- silence ------------------------------------------------------------------------------------------------------- */

/* While the ring is full nothing is read: who has greeted meanwhile may have sent more, which must not be lost with him. */
static bool is_silent(const struct pusher *pusher)
{
    uint8_t byte;
    return !pusher->stream.greeted && !pusher->due && recv(pusher->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void look_for_silent(struct push_door *door, int64_t now)
{
    for (struct pusher *pusher = door->first, *next; pusher != NULL; pusher = next) {
        next = pusher->next;
        if (now - pusher->accepted_ms > GREETING_MS && is_silent(pusher))
            pusher_end(door, pusher, 0, "no greeting");
    }
}

/* ---- messages ------------------------------------------------------------------------------------------------------- */

static void collect(struct push_door *door)
{
    struct epoll_event event[EVENTS_PER_STEP];
    int count = epoll_wait(door->epoll_fd, event, EVENTS_PER_STEP, 0);
    for (int i = 0; i < count; i++) {
        struct pusher *pusher = event[i].data.ptr;
        stream_polled(&pusher->stream, POLLIN);
        due(door, pusher);
    }
}

/* One message of whose turn it is, if he has a whole one. */
static bool give_one(struct push_endpoint *endpoint, size_t *given_bytes)
{
    struct pusher *pusher = due_take(endpoint->door);
    const uint8_t *body;
    size_t bytes;
    nng_msg *message;
    enum stream_got got = stream_receive(&pusher->stream, &body, &bytes);
    if (got == STREAM_NOTHING) {
        if (pusher->stream.wants > 0)
            wait_for_room(endpoint->door, pusher);
        return false;
    }
    if (got == STREAM_MESSAGE && nng_msg_alloc(&message, bytes) == 0) {
        if (bytes > 0)
            memcpy(nng_msg_body(message), body, bytes);
        inbox_put(endpoint, message, &pusher->sender);
        pusher->given += bytes;
        stream_spare(&pusher->stream);
        due(endpoint->door, pusher);
        *given_bytes += bytes;
        return true;
    }
    if (got == STREAM_MESSAGE) /* its sender is told by the end, not by silence */
        pusher_end(endpoint->door, pusher, bytes, "out of memory");
    else
        pusher_end(endpoint->door, pusher, 0,
                   endpoint->door->draining ? "the gateway ends" : "it ended within a message, or sent what is none");
    return false;
}

bool push_step(struct push_endpoint *endpoint)
{
    struct push_door *door = endpoint->door;
    int64_t now = mono_ms();
    size_t given_bytes = 0;
    bool moved = false;
    if (now >= door->look_ms) {
        if (!door->draining)
            look_at_place(door);
        look_for_silent(door, now);
        if (!door->full) /* otherwise it is we who do not read */
            look_for_stuck(door);
        report_dropped(door);
        door->look_ms = now + LOOK_MS;
    }
    if (door->called)
        (void)welcome(door);
    if (door->polled)
        collect(door);
    door->called = door->polled = false;
    for (unsigned i = 0; i < MESSAGES_PER_STEP && given_bytes < BYTES_PER_STEP && push_is_due(endpoint); i++)
        moved = give_one(endpoint, &given_bytes) || moved;
    give_room(door);
    bool full = door->due_first != NULL && !push_is_due(endpoint);
    metric_add(METRIC_ingest_waits_total, full && !door->full);
    door->full = full;
    return moved;
}

bool push_is_due(const struct push_endpoint *endpoint)
{
    return endpoint->door->due_first != NULL && endpoint->count < endpoint->inbox->push_max;
}

void push_poll(const struct push_endpoint *endpoint, struct pollfd ret[PUSH_POLLED])
{
    const struct push_door *door = endpoint->door;
    bool room = endpoint->count < endpoint->inbox->push_max, rests = door->rest_ms > 0 && mono_ms() < door->rest_ms;
    ret[0] = (struct pollfd){ .fd = room ? door->epoll_fd : -1, .events = POLLIN };
    ret[1] = (struct pollfd){ .fd = rests ? -1 : door->listen_fd, .events = POLLIN };
}

void push_polled(struct push_endpoint *endpoint, const struct pollfd polled[PUSH_POLLED])
{
    endpoint->door->polled = polled[0].revents != 0;
    endpoint->door->called = polled[1].revents != 0;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

bool push_open(struct push_endpoint *endpoint, const char *url, size_t message_max)
{
    struct push_door *door = calloc(1, sizeof *door);
    const char *path = url + strlen(IPC_PREFIX);
    bool good = false;
    endpoint->door = door;
    if (door != NULL) {
        door->listen_fd = door->epoll_fd = -1;
        door->message_max = message_max;
        door->due_end = &door->due_first;
        door->waiting_end = &door->waiting_first;
        door->room.max = message_max > LONG_BYTES_MAX ? message_max : LONG_BYTES_MAX;
        errno = ENAMETOOLONG;
        if (strlen(path) < sizeof door->path) {
            memcpy(door->path, path, strlen(path) + 1);
            door->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
            good = door->epoll_fd != -1 && listen_again(door);
        }
    }
    if (good)
        log_line(LOG_INFO, "LISTENING", "url=%s", url);
    else
        log_line(LOG_ERROR, "LISTEN-FAILED", "url=%s reason=\"%s\"", url, strerror(errno));
    return good;
}

void push_drain(struct push_endpoint *endpoint)
{
    struct push_door *door = endpoint->door;
    if (door == NULL || door->draining)
        return;
    if (is_in_place(door))
        (void)unlink(door->path); /* nobody comes any more; who stands there may have spoken already */
    while (door->listen_fd != -1 && welcome(door))
        ;
    stop_listening(door);
    door->draining = true;
    for (struct pusher *pusher = door->first; pusher != NULL; pusher = pusher->next) {
        stream_refuse(&pusher->stream);
        due(door, pusher);
    }
}

bool push_is_drained(const struct push_endpoint *endpoint)
{
    return endpoint->door == NULL || !endpoint->door->draining || endpoint->door->first == NULL;
}

void push_close(struct push_endpoint *endpoint)
{
    struct push_door *door = endpoint->door;
    endpoint->door = NULL;
    if (door == NULL)
        return;
    while (door->first != NULL)
        pusher_end(door, door->first, 0, "the gateway ends");
    report_dropped(door);
    if (is_in_place(door))
        (void)unlink(door->path);
    stop_listening(door);
    if (door->epoll_fd != -1)
        (void)close(door->epoll_fd);
    free(door);
}
