/* nng_reaper.c - a pipe within this process, opened and closed; an end that waits for nobody. */
#include "service/nng_reaper.h"

#include "service/clock.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define STEP_MS 5

static struct {
    _Atomic uint32_t pipe; /* 0 = not yet */
    atomic_bool gone;
} trial;

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    (void)user;
    if (event == NNG_PIPE_EV_ADD_POST)
        atomic_store(&trial.pipe, (uint32_t)nng_pipe_id(pipe));
    else
        atomic_store(&trial.gone, true);
}

static int connect_both(nng_socket listener, nng_socket dialer)
{
    static unsigned number;
    char url[48];
    (void)snprintf(url, sizeof url, "inproc://rialto-reaper-%u", number++);
    int error = nng_pipe_notify(listener, NNG_PIPE_EV_ADD_POST, on_pipe, NULL);
    if (error == 0)
        error = nng_pipe_notify(listener, NNG_PIPE_EV_REM_POST, on_pipe, NULL);
    if (error == 0)
        error = nng_listen(listener, url, NULL, 0);
    return error != 0 ? error : nng_dial(dialer, url, NULL, NNG_FLAG_NONBLOCK);
}

static bool pipe_goes(int timeout_ms)
{
    bool closed = false;
    for (int64_t until = mono_ms() + timeout_ms; mono_ms() < until && !atomic_load(&trial.gone);) {
        uint32_t pipe = atomic_load(&trial.pipe);
        if (pipe != 0 && !closed) {
            (void)nng_pipe_close((nng_pipe){ .id = pipe });
            closed = true;
        }
        (void)poll(NULL, 0, STEP_MS);
    }
    return atomic_load(&trial.gone) || !closed; /* no pipe at all is another trouble */
}

bool nng_reaper_stuck(int timeout_ms)
{
    nng_socket listener = NNG_SOCKET_INITIALIZER, dialer = NNG_SOCKET_INITIALIZER;
    atomic_store(&trial.pipe, 0);
    atomic_store(&trial.gone, false);
    if (nng_pair0_open(&listener) != 0)
        return false; /* our own trouble */
    bool goes = nng_pair0_open(&dialer) != 0 || connect_both(listener, dialer) != 0 || pipe_goes(timeout_ms);
    if (!goes)
        return true;
    (void)nng_close(dialer);
    (void)nng_close(listener);
    return false;
}

static volatile sig_atomic_t limit_status;

static void on_limit(int number)
{
    (void)number;
    _exit(limit_status);
}

void nng_reaper_limit(unsigned seconds, int status)
{
    struct sigaction action = { .sa_handler = on_limit };
    sigset_t alarms;
    limit_status = status;
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    (void)alarm(seconds);
}
