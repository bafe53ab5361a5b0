/* request.h - questions and signals to a running rialtod over its answered endpoint (NNG REQ), with bounded retries.
 *
 * One question at a time per requester; a question that is asked again carries the same ids, so that the service
 * can tell a repetition. Order holds because the next question waits for this one's answer. */
#ifndef DEMO_REQUEST_H
#define DEMO_REQUEST_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_ANSWER_BYTES_MAX (64u << 20)
#define REQUEST_WHY_MAX          256u

struct requester;

struct requester_settings {
    const char *urls;    /* separated by spaces, tried in this order */
    uint32_t timeout_ms; /* for one answer */
    uint32_t connect_ms; /* for the first connection, all urls together; 0 = one try of each */
};

/* requester_open - connect. NULL when nobody listens; `why` (REQUEST_WHY_MAX bytes) then names what was tried. */
struct requester *requester_open(const struct requester_settings *settings, char *why);
void requester_close(struct requester *requester);

/* requester_ask - send and wait; asked again after a time-out or a lost connection, at most `attempts` times in all.
 * Returns the parsed answer (cJSON_Delete), or NULL with `why`. `stop` (may be NULL) ends the attempts early. */
cJSON *requester_ask(struct requester *requester, const char *text, size_t bytes, uint32_t attempts,
                     const _Atomic bool *stop, char *why);

/* requester_url - the endpoint that answered the dial. requester_repeats - questions asked again so far. */
const char *requester_url(const struct requester *requester);
uint64_t requester_repeats(const struct requester *requester);
#endif
