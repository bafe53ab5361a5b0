/* dialer.h - to the gateway, and again and again.
 *
 * NNG dials again when a pipe ends or a connection is refused. But NNG 1.5 stops for good when its peer hangs up between the
 * connection and the greeting (what it writes then fails as if the dialer itself were closed): whoever met a gateway that was
 * killed at that moment never came to the next one. And it may keep the pipe of a peer that died (service/nng_reaper.h).
 *
 * Owner      one thread opens and looks. NNG's threads note which pipe is there. */
#ifndef SERVICE_DIALER_H
#define SERVICE_DIALER_H

#include "service/config.h"

#include <nng/nng.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dialer {
    nng_socket socket;
    nng_dialer id;
    const char *path;
    char url[CONFIG_TEXT_MAX + 32];
    void (*connected)(void *user); /* NNG's threads; may be NULL */
    void *user;
    _Atomic uint64_t pipe; /* its number, and above it the process at its other end; 0 = none */
    int64_t good_ms;       /* when there was a pipe to a process that lives, or we dialed */
    int probe_fd;          /* -1: none */
    int64_t probe_ms;
};

/* dialer_open - dials an ipc:// url; sets the socket's times for dialing again, and its pipe callbacks. Returns NNG's error. */
int dialer_open(struct dialer *dialer, nng_socket socket, const char *url, void (*connected)(void *user), void *user);
/* dialer_look - many times a second: where the gateway takes others and no pipe comes of ours, another dialer takes its place.
 * False: NNG is stuck with the pipe of a process that is gone; nothing but another process of ours will reach the next one. */
bool dialer_look(struct dialer *dialer);
#endif
