/* request.c - one REQ socket, one question in flight. */
#include "service/clock.h"
#include "demo/request.h"

#include "pricing/json_text.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define URL_MAX 512u

struct requester {
    nng_socket socket;
    bool is_open;
    char url[URL_MAX];
    uint64_t repeats;
};

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* RESENDTIME off: this file repeats by itself and counts; RECVMAXSZ: no peer decides how much memory we take. */
static int socket_setup(struct requester *requester, uint32_t timeout_ms)
{
    int error = nng_req0_open(&requester->socket);
    if (error != 0)
        return error;
    requester->is_open = true;
    nng_duration timeout = (nng_duration)timeout_ms;
    if ((error = nng_socket_set_ms(requester->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) != 0 ||
        (error = nng_socket_set_size(requester->socket, NNG_OPT_RECVMAXSZ, REQUEST_ANSWER_BYTES_MAX)) != 0 ||
        (error = nng_socket_set_ms(requester->socket, NNG_OPT_SENDTIMEO, timeout)) != 0 ||
        (error = nng_socket_set_ms(requester->socket, NNG_OPT_RECVTIMEO, timeout)) != 0 ||
        (error = nng_socket_set_ms(requester->socket, NNG_OPT_RECONNMINT, 20)) != 0)
        return error;
    return nng_socket_set_ms(requester->socket, NNG_OPT_RECONNMAXT, 100);
}

/* One try of one url. A socket file that is not there need not be dialled. */
static int dial(struct requester *requester, const char *url)
{
    if (strncmp(url, "ipc://", 6) == 0 && access(url + 6, F_OK) != 0)
        return NNG_ECONNREFUSED;
    return nng_dial(requester->socket, url, NULL, 0);
}

static bool dial_any(struct requester *requester, const char *urls, char *why)
{
    char text[4 * URL_MAX], *save = NULL;
    snprintf(text, sizeof text, "%s", urls);
    size_t used = 0;
    why[0] = 0;
    for (char *url = strtok_r(text, " ", &save); url != NULL; url = strtok_r(NULL, " ", &save)) {
        int error = dial(requester, url);
        if (error == 0) {
            snprintf(requester->url, sizeof requester->url, "%s", url);
            return true;
        }
        if (used < REQUEST_WHY_MAX)
            used += (size_t)snprintf(why + used, REQUEST_WHY_MAX - used, "%s%s (%s)",
                                     used ? ", " : "nobody answers at ", url, nng_strerror(error));
    }
    return false;
}

struct requester *requester_open(const struct requester_settings *settings, char *why)
{
    struct requester *requester = calloc(1, sizeof *requester);
    if (requester == NULL) {
        snprintf(why, REQUEST_WHY_MAX, "out of memory");
        return NULL;
    }
    int error = socket_setup(requester, settings->timeout_ms);
    if (error != 0) {
        snprintf(why, REQUEST_WHY_MAX, "no socket: %s", nng_strerror(error));
        requester_close(requester);
        return NULL;
    }
    int64_t end = mono_ms() + settings->connect_ms;
    while (!dial_any(requester, settings->urls, why)) {
        if (mono_ms() >= end) {
            requester_close(requester);
            return NULL;
        }
        sleep_ms(50);
    }
    return requester;
}

void requester_close(struct requester *requester)
{
    if (requester == NULL)
        return;
    if (requester->is_open)
        nng_close(requester->socket);
    free(requester);
}

static int send_text(struct requester *requester, const char *text, size_t bytes)
{
    nng_msg *message;
    int error = nng_msg_alloc(&message, 0);
    if (error != 0)
        return error;
    error = nng_msg_append(message, text, bytes);
    if (error == 0)
        error = nng_sendmsg(requester->socket, message, 0);
    if (error != 0)
        nng_msg_free(message); /* a message that was not sent is still ours */
    return error;
}

static cJSON *ask_once(struct requester *requester, const char *text, size_t bytes, char *why)
{
    nng_msg *message = NULL;
    int error = send_text(requester, text, bytes);
    if (error == 0)
        error = nng_recvmsg(requester->socket, &message, 0);
    if (error != 0) {
        snprintf(why, REQUEST_WHY_MAX, "no answer from %.100s: %.100s", requester->url, nng_strerror(error));
        return NULL;
    }
    struct fault fault = { 0 };
    cJSON *answer = json_parse(nng_msg_body(message), nng_msg_len(message), 0, &fault);
    if (answer == NULL)
        snprintf(why, REQUEST_WHY_MAX, "the answer of %.100s is not JSON: %.100s", requester->url, fault.reason);
    nng_msg_free(message);
    return answer;
}

cJSON *requester_ask(struct requester *requester, const char *text, size_t bytes, uint32_t attempts,
                     const _Atomic bool *stop, char *why)
{
    for (uint32_t i = 0; i < attempts; i++) {
        if (i > 0) {
            if (stop != NULL && *stop)
                break;
            requester->repeats++;
            sleep_ms(100); /* a lost connection fails at once: give the other side time to come back */
        }
        cJSON *answer = ask_once(requester, text, bytes, why);
        if (answer != NULL)
            return answer;
    }
    return NULL;
}

const char *requester_url(const struct requester *requester)
{
    return requester->url;
}

uint64_t requester_repeats(const struct requester *requester)
{
    return requester->repeats;
}
