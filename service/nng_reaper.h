/* nng_reaper.h - is the thread that takes away NNG's closed pipes still at work?
 *
 * NNG 1.5 has one such thread for a process. When a peer dies while a message of its is half read and one of ours to it fails,
 * the receive behind that message is never finished (ipc and tcp: the body is asked for on a closed aio, which calls nobody
 * back), and the thread waits for it for ever. From then on no pipe of any socket is taken away: what is bound to one peer
 * (PAIR) never takes another, and descriptors run out. Nothing but another process helps. */
#ifndef SERVICE_NNG_REAPER_H
#define SERVICE_NNG_REAPER_H

#include <stdbool.h>

/* nng_reaper_stuck - close a pipe of our own and see whether it is taken away in `timeout_ms`. When it is not, the sockets of
 * the trial are left behind, since closing them would hang: ask once more at most. One thread at a time. */
bool nng_reaper_stuck(int timeout_ms);

/* nng_reaper_limit - from now on this process has so many seconds left: then it ends, with that status, whatever it is doing. For
 * who has nothing left to do but to close NNG's sockets, which waits for that thread. Takes SIGALRM and alarm(). */
void nng_reaper_limit(unsigned seconds, int status);
#endif
