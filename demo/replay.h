/* replay.h - plays a tape to a running service: time first, then what happened, acknowledged message by message.
 *
 *   tape --lines--> batch (one recorded quarter of an hour, at most REPLAY_BATCH_SIGNALS) --REQ--> gateway
 *        --tick---> {"control":"tick","time":MS}                                         <--answer--
 *
 * One message is in flight; the next one waits for its answer, so the recorded order holds. After a time-out the
 * same message goes again with the same ids; signals that no worker answered for go again alone. What is neither
 * accepted nor rejected in the end is lost, and there must be none. */
#ifndef DEMO_REPLAY_H
#define DEMO_REPLAY_H

#include "demo/request.h"
#include "demo/tape.h"

#include <stdatomic.h>

#define REPLAY_BATCH_SIGNALS 256u
#define REPLAY_BATCH_BYTES   (256u << 10)
#define REPLAY_ATTEMPTS      12u
#define REPLAY_REASONS_MAX   16u

struct replay_settings {
    struct tape_source source;
    const struct tape_survey *survey; /* of that source, where it has been measured before; else NULL */
    struct requester_settings requester;
    const char *cache_dir; /* NULL = no second count by the gateway's metrics */
    double seconds;        /* how long the whole tape should take; 0 = as fast as it goes */
    bool at_given;         /* the tape begins at at_ms; else where tape_shift() puts it */
    int64_t at_ms;
    const _Atomic bool *stop; /* set by others: end soon */
    /* Called in the replay's thread; may be NULL. acknowledged: everything seen so far has been answered. */
    void *user;
    void (*seen)(void *user, const struct recorded *item);
    void (*acknowledged)(void *user);
};

struct replay_reason { /* a reason that answers gave, and how often */
    char name[32];
    char text[128];
    uint64_t count;
    bool rejects;
};

struct replay_progress { /* written by the replay's thread; others may read the atomics meanwhile */
    _Atomic uint64_t signals_total, ticks_total;
    _Atomic uint64_t sent, accepted, rejected, ticks;
    _Atomic uint64_t messages, repeats, not_durable;
    _Atomic int64_t begin_ms, end_ms; /* of the tape, not moved */
    _Atomic int64_t recorded_ms;      /* where it is, not moved */
    _Atomic int64_t shift_ms;
    _Atomic(const char *) durable; /* what the last answer said: a constant word, NULL before the first */
    /* for after the end */
    uint64_t lost;
    bool counted_twice; /* the gateway's own count was compared too */
    double seconds;
    uint64_t findings_not_listed; /* answers list only so many */
    uint32_t reason_count;
    struct replay_reason reason[REPLAY_REASONS_MAX];
    char why[REQUEST_WHY_MAX]; /* why it ended early, "" if it did not */
};

/* replay_run - play it all. Returns true when the whole tape was sent and answered and nothing was lost (rejections
 * allowed). */
bool replay_run(const struct replay_settings *settings, struct replay_progress *progress);

/* replay_bundled - the bundled recordings, looked for below the working folder, beside the program and where make
 * install puts things. False if they are nowhere. The texts are the callee's, valid until the program ends. */
bool replay_bundled(struct tape_source *ret);

/* find_beside_program - NAME below the working folder, the program's folder and its parents, or PREFIX/share/rialto. */
bool find_beside_program(const char *name, size_t n, char *ret_path);
#endif
