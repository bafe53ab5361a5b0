/* dialer.c - dials again where NNG does not. */
#include "service/dialer.h"

#include "service/clock.h"
#include "service/log.h"
#include "service/nng_reaper.h"
#include "service/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IPC_PREFIX   "ipc://"
#define AGAIN_MIN_MS 20
#define AGAIN_MAX_MS 100
#define MUTE_MS      (2 * AGAIN_MAX_MS) /* without a pipe, while somebody is there who takes it */
#define DEAD_MS      200                /* for NNG to notice that the process behind a pipe is gone */
#define REAPER_MS    400

/* ---- NNG's threads ----------------------------------------------------------------------------------------------- */

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    struct dialer *dialer = user;
    uint64_t id = (uint32_t)nng_pipe_id(pipe), peer = 0, live = atomic_load(&dialer->pipe);
    if (event != NNG_PIPE_EV_ADD_POST) {
        if ((uint32_t)live == id) /* an old pipe's end must not hide a new pipe */
            (void)atomic_compare_exchange_strong(&dialer->pipe, &live, 0);
        return;
    }
    (void)nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &peer);
    atomic_store(&dialer->pipe, peer << 32 | id);
    if (dialer->connected != NULL)
        dialer->connected(dialer->user);
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

static int dial(struct dialer *dialer)
{
    dialer->good_ms = mono_ms();
    return nng_dial(dialer->socket, dialer->url, &dialer->id, NNG_FLAG_NONBLOCK);
}

int dialer_open(struct dialer *dialer, nng_socket socket, const char *url, void (*connected)(void *user), void *user)
{
    dialer->socket = socket;
    dialer->connected = connected;
    dialer->user = user;
    dialer->probe_fd = -1;
    atomic_init(&dialer->pipe, 0);
    (void)snprintf(dialer->url, sizeof dialer->url, "%s", url);
    dialer->path = dialer->url + strlen(IPC_PREFIX);
    int error = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, AGAIN_MIN_MS);
    if (error == 0)
        error = nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, AGAIN_MAX_MS);
    if (error == 0)
        error = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_POST, on_pipe, dialer);
    if (error == 0)
        error = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_pipe, dialer);
    return error != 0 ? error : dial(dialer);
}

static bool is_gone(pid_t peer)
{
    return peer > 0 && kill(peer, 0) == -1 && errno == ESRCH;
}

/* It stays until it is answered: hanging up on a gateway that is merely slow would make its listener deaf. So would closing
 * a dialer in the middle of its greeting. */
static bool is_answered(struct dialer *dialer)
{
    if (dialer->probe_fd < 0 || !probe_answered(dialer->probe_fd))
        return false;
    (void)close(dialer->probe_fd);
    dialer->probe_fd = -1;
    return true;
}

static void look_for_mute(struct dialer *dialer, int64_t now)
{
    if (dialer->probe_fd < 0) {
        dialer->probe_fd = probe_begin(dialer->path); /* nobody there: nothing that a dialer could reach */
        dialer->probe_ms = now;
    } else if (now - dialer->probe_ms >= MUTE_MS && is_answered(dialer)) {
        (void)nng_dialer_close(dialer->id);
        int error = dial(dialer);
        log_line(LOG_INFO, "DIALED-ANEW", "url=%s reason=\"%s\"", dialer->url,
                 error == 0 ? "no pipe came" : nng_strerror(error));
    }
}

bool dialer_look(struct dialer *dialer)
{
    uint64_t pipe = atomic_load(&dialer->pipe);
    int64_t now = mono_ms();
    bool gone = pipe != 0 && is_gone((pid_t)(pipe >> 32));
    if (pipe != 0 && !gone) {
        dialer->good_ms = now;
        (void)is_answered(dialer);
    } else if (gone && now - dialer->good_ms >= DEAD_MS) {
        dialer->good_ms = now; /* asked again after as long a time */
        return !nng_reaper_stuck(REAPER_MS);
    } else if (!gone && now - dialer->good_ms >= AGAIN_MAX_MS) {
        look_for_mute(dialer, now);
    }
    return true;
}
