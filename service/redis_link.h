/* redis_link.h - one hiredis connection, with what hiredis leaves to its user: time-outs, AUTH, counting of replies,
 * and a new context after any doubt. Not thread-safe: one link, one thread.
 *
 * Only what hiredis 0.14 and 1.2 have in common is used. SIGPIPE must be ignored in the process. */
#ifndef SERVICE_REDIS_LINK_H
#define SERVICE_REDIS_LINK_H

#include "service/config.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>

struct redis_link {
    const struct config *config;
    redisContext *context; /* NULL = not connected */
    uint32_t pending;      /* commands appended whose reply was not read */
    uint32_t reports;      /* lines in the log about this outage */
    char reason[64];       /* in the last of them */
    const char *who;       /* for the log: "mirror", "publisher" */
};

/* open - connects, authenticates, and asks for a PING: a server that is still loading its data is not up. False, and a
 * log line once per outage and reason. */
bool redis_link_open(struct redis_link *link);
void redis_link_close(struct redis_link *link);

/* append - queue a command; nothing is sent yet. flush - send all that is queued. reply - the next reply, in order
 * (sends first what is queued). False or NULL: the link is dead and closed, and what was pending is unknown. The
 * caller frees replies. */
bool redis_link_append(struct redis_link *link, int argc, const char **argv, const size_t *argv_bytes);
bool redis_link_flush(struct redis_link *link);
redisReply *redis_link_reply(struct redis_link *link);

/* call - append words up to a NULL, and read the reply; only when nothing is pending. */
redisReply *redis_link_call(struct redis_link *link, const char *const words[]);

/* refused - log a reply of type ERROR (once per outage and reason) and close the link: the server is there, but not to
 * be worked with. */
void redis_link_refused(struct redis_link *link, const char *doing, const redisReply *reply);
#endif
