/* rates.h - how much each producer may still send: one token bucket for each of them.
 *
 * A bucket holds one second's worth of signals and fills at the rate. A message is admitted when there is a signal's worth in its
 * sender's bucket, and charged with what was found in it afterwards, so that the level may go below nothing by one message; the next
 * one waits until that is paid back. In the long run nobody passes the rate, and a message larger than a bucket is no dead end.
 *
 * A producer is a name of at most RATES_NAME_MAX - 1 bytes. Names are kept in sets of a few places under a hash whose key nobody
 * knows; one whose bucket is full again is forgotten when its place is needed. Where all places of a set are in use, a new name
 * shares the last one's bucket (counted: producers_crowded_total): a flood of names costs those who flood. One thread. */
#ifndef SERVICE_RATES_H
#define SERVICE_RATES_H

#include <stdbool.h>
#include <stdint.h>

#define RATES_NAME_MAX 64u
#define RATES_WAYS     8u
#define RATES_SETS     512u

struct rates;

/* rates_create - `per_s` signals a second for each producer, at least 1. NULL: no memory, or no random numbers. */
struct rates *rates_create(uint32_t per_s);
void rates_destroy(struct rates *rates); /* NULL is fine */

/* rates_wait_us - how long until this producer's next message is admitted at the earliest; 0: now. `now_us` is monotonic.
 * rates_charge - so many signals were found in one. */
int64_t rates_wait_us(struct rates *rates, const char *name, int64_t now_us);
void rates_charge(struct rates *rates, const char *name, uint32_t signals, int64_t now_us);
#endif
