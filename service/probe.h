/* probe.h - does anybody take connections at a Unix socket of NNG's?
 *
 * It is greeted as a protocol that does not exist. Who hears hangs up; a listener that is deaf, or a process that is stopped,
 * leaves us waiting. Whoever hangs up first may make an NNG 1.5 listener deaf (gateway_listen.c). */
#ifndef SERVICE_PROBE_H
#define SERVICE_PROBE_H

#include <stdbool.h>

#define PROBE_REFUSED (-1) /* nobody is there */
#define PROBE_FAILED  (-2) /* our own trouble */

/* probe_begin - a descriptor that becomes readable with the answer, and is the caller's to close; or one of the above. */
int probe_begin(const char *path);
/* probe_answered - it hung up. */
bool probe_answered(int fd);
#endif
