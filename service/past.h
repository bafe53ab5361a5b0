/* past.h - what lines of the cache said a moment ago, so that a price that was just quoted can still be promised.
 *
 *   line about to change --past_note()--> ring of the last lock_history_max changes --past_of()--> versions of one line
 *
 * Bounded    the ring; a change that is overwritten before its time is counted (lock_history_lost_total).
 * Private    memory of one worker: gone with it, and past_horizon_us() says from when on it knows everything. Of a customer
 *            nothing is left after past_wipe().
 * Owner      one thread. */
#ifndef SERVICE_PAST_H
#define SERVICE_PAST_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct past;

struct past_line { /* a version of a line */
    int64_t until_us; /* when it became another (worker.moment_us); INT64_MAX: it stands */
    bool is;          /* false: there was none */
    union {
        struct rialto_cell_line cell;
        struct rialto_terms_line terms;
        struct rialto_offer_line offer;
        unsigned char bytes[64];
    };
};

/* past_create - NULL when memory is short. `keep_us`: how far back is asked for. */
struct past *past_create(uint32_t changes, int64_t keep_us, int64_t now_us);
void past_destroy(struct past *past);

/* past_note - at now_us the line of `key` became another. `owner`: the customer of terms and offers, of a cell its key.
 * line NULL: there was none before. */
void past_note(struct past *past, int64_t now_us, enum rialto_table table, struct rialto_key owner, struct rialto_key key,
               const void *line);

/* past_place - of the line that is noted next: whoever reads it there first notes it with past_noted(). 64 bytes. */
unsigned char *past_place(struct past *past);
void past_noted(struct past *past, int64_t now_us, enum rialto_table table, struct rialto_key owner,
                struct rialto_key key, bool was);

/* past_fetch - begin to fetch what past_note() of this owner will look at. */
void past_fetch(const struct past *past, struct rialto_key owner);

/* past_of - versions that held until after since_us, the newest first, the standing one not among them. Returns how many. */
size_t past_of(const struct past *past, int64_t since_us, enum rialto_table table, struct rialto_key owner,
               struct rialto_key key, size_t n, struct past_line ret[]);

/* past_wipe - nothing about this owner is known any more. */
void past_wipe(struct past *past, struct rialto_key owner);

/* past_horizon_us - no change after this was forgotten. */
int64_t past_horizon_us(const struct past *past);
#endif
