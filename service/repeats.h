/* repeats.h - has this visit done the same to this product before? Then it is one act of demand, however often it is repeated.
 *
 * What costs nothing (a view, a search, a cart) can be done a thousand times by one person; min_events of a model cannot tell that from
 * a thousand people. So the gateway remembers (session, product, event) for a while, and marks what comes again; workers leave marked
 * events out of demand. Who the customer is plays no part: renaming one, or taking the name off, changes nothing. Events that name
 * no session cannot be told from one person's: one per product, zone and event counts.
 *
 * Kept are keyed 64-bit hashes in private memory, under a key that nobody else has and that changes with each window: nothing links
 * one window's visits to the next one's, or to a session's name. Two windows are looked at, so that a repeat is known for at
 * least one and at most two; a full window ends early (counted: repeats_forgotten_total). One thread. */
#ifndef SERVICE_REPEATS_H
#define SERVICE_REPEATS_H

#include "service/signal.h"

struct repeats;

/* repeats_create - room for `max` acts a window of `window_ms`. NULL: no memory, or no random numbers. */
struct repeats *repeats_create(uint32_t max, int64_t window_ms);
void repeats_destroy(struct repeats *repeats); /* NULL is fine */

/* repeats_take - of a demand signal at service time `now_ms` (ticks, so that a recording repeats alike): true when it was there
 * before; else it is remembered. Always false for orders and returns, which cost, and for other types. */
bool repeats_take(struct repeats *repeats, const struct signal *signal, int64_t now_ms);
#endif
