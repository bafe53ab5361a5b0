/* redis_link.h - one hiredis connection, with what hiredis leaves to its user: time-outs, AUTH, counting of replies,
 * and a new context after any doubt. Not thread-safe: one link, one thread.
 *
 * Only what hiredis 0.14 and 1.2 have in common is used. SIGPIPE must be ignored in the process. */
#ifndef SERVICE_REDIS_LINK_H
#define SERVICE_REDIS_LINK_H

#include "service/config.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>

/* What is known of Redis by what it did last; the number is the metric redis_state. New rows go last. */
/*    state      what it means: "Redis ..."                                                     */
#define REDIS_STATES(X)                                                                          \
    X(unknown,   "was not asked yet")                                                            \
    X(up,        "is up")                                                                        \
    X(away,      "does not answer")                                                              \
    X(loading,   "is still loading its data")                                                    \
    X(full,      "is full: its maxmemory is reached")                                            \
    X(disk,      "takes no writes: it cannot write to its disk")                                 \
    X(read_only, "is read-only: a replica")                                                      \
    X(refused,   "refuses us: user, password or rights")                                         \
    X(too_old,   "is too old: 6.2 or newer is needed")                                           \
    X(failing,   "answers with an error that its log line names")

#define REDIS_STATE_ENUM_(name, text) REDIS_##name,
enum redis_state { REDIS_STATES(REDIS_STATE_ENUM_) REDIS_STATE_COUNT };
#undef REDIS_STATE_ENUM_

/* The first version that has all that we ask for: the newest of it are exclusive ranges of streams. */
#define REDIS_MAJOR_MIN 6u
#define REDIS_MINOR_MIN 2u

/* "full", and "is full: ..."; a number that is no state: "unknown". */
const char *redis_state_name(uint64_t state);
const char *redis_state_text(uint64_t state);
/* redis_state_of_error - what the text of an error reply says, by its first word. */
enum redis_state redis_state_of_error(const char *text);
/* redis_version_old - does the answer to INFO name a version before the first that will do? One that cannot be read is not old. */
bool redis_version_old(const char *info);

/* redis_server_of - a hash of the run id in its answer to INFO; 0 = none is there. */
uint64_t redis_server_of(const char *info);

/* redis_loaded_permille - how much of its data a loading server has read, by its answer to INFO; 0 = it does not say. */
uint32_t redis_loaded_permille(const char *info);

struct redis_link {
    const struct config *config;
    redisContext *context; /* NULL = not connected */
    uint32_t pending;      /* commands appended whose reply was not read */
    char *out;             /* commands appended that were not sent, as they travel */
    size_t out_bytes, out_room;
    enum redis_state state;
    uint32_t loaded_permille; /* of its data, as a server that is loading last said; 0 = not known */
    uint32_t reports;      /* lines in the log about this outage */
    char reason[64];       /* in the last of them */
    const char *who;       /* for the log: "mirror", "publisher" */
    uint64_t server;       /* hash of its run id, which is another one after each start of it; 0 = it does not say */
};

/* open - connects, authenticates, asks for a PING (a server that is still loading its data is not up) and for the version. False, and
 * a log line once per outage and reason. */
bool redis_link_open(struct redis_link *link);
/* works - what the link is for has succeeded, a write if it writes: state up, and the outage's last line in the log. A server that
 * answers PING may still be full or read-only. */
void redis_link_works(struct redis_link *link);
void redis_link_close(struct redis_link *link);

/* append - queue a command; once REDIS_OUT_BYTES are queued all of it is sent, so that the server begins while the rest is put together.
 * flush - send all that is queued. reply - the next reply, in order (sends first what is queued). False or NULL: the link is dead and closed, and what was pending is unknown. The
 * caller frees replies. */
#define REDIS_OUT_BYTES 131072u
bool redis_link_append(struct redis_link *link, int argc, const char **argv, const size_t *argv_bytes);
bool redis_link_flush(struct redis_link *link);
redisReply *redis_link_reply(struct redis_link *link);

/* call - append words up to a NULL, and read the reply; only when nothing is pending. */
redisReply *redis_link_call(struct redis_link *link, const char *const words[]);

/* One pass of SCAN or HSCAN. It is over when the cursor is "0" again: a Redis whose cursor never is would be asked for ever. A page holds
 * 512 or shows ten times as many empty places, so that a pass may see 33 million: a partition's records, or all keys where others share
 * the Redis. */
#define REDIS_SCAN_PAGES_MAX 65536u
struct redis_scan {
    char cursor[24]; /* "0": before the first page, and after the last */
    uint32_t pages;
};

/* scan_page - takes up the cursor of an answer, and returns what the page holds; NULL when it is no page. scan_endless - was that the last
 * page that is asked for, and yet not the end? Counted and logged then. */
const redisReply *redis_scan_page(struct redis_scan *scan, const redisReply *answer);
bool redis_scan_done(const struct redis_scan *scan);
bool redis_scan_endless(const struct redis_link *link, const struct redis_scan *scan);

/* is_odd - the key holds something of another type than was asked for: nothing is in it that could be read, and others are as good as before. */
bool redis_is_odd(const redisReply *reply);

/* refused - log a reply of type ERROR (once per outage and reason) and close the link: the server is there, but not to
 * be worked with. */
void redis_link_refused(struct redis_link *link, const char *doing, const redisReply *reply);
#endif
