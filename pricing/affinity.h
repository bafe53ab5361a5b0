/* affinity.h - how much of what a customer did lately was in a price group: decayed counts of the customer's own permitted events.
 *
 *   eighth(t) = floor((t + phase) / step)      step: an eighth of the half-life h; an event counts as of its eighth
 *   n(group)  = sum of w x 2^((k - K) / 8)     k: eighth of the event, K: of now; w: weight of its kind
 *   affinity  = n(group) / (n(all) + prior)    prior: so many events in no group at all, so that few events say little
 *
 * Forward decay (Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009), in eighths: nothing changes within one, so that terms change eight
 * times a half-life and no time of an event is kept. Customers have different phases, so that not all change at one moment.
 * docs/pricing.md states every integer step. Pure. */
#ifndef PRICING_AFFINITY_H
#define PRICING_AFFINITY_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stdint.h>

#define AFFINITY_EIGHTHS         8u /* of a half-life */
#define AFFINITY_HALF_LIFE_MIN_S 3600
#define AFFINITY_HALF_LIFE_MAX_S (365 * 86400)
#define AFFINITY_ELSEWHERE       RIALTO_GROUPS_MAX        /* slot of groups that nothing asks about */
#define AFFINITY_SLOTS           (RIALTO_GROUPS_MAX + 1u) /* by number of the price group */

enum affinity_part { AFFINITY_BEHAVIOUR, AFFINITY_PURCHASES, AFFINITY_PARTS }; /* what each rests on */
enum affinity_event { AFFINITY_VIEW, AFFINITY_CART, AFFINITY_ORDER, AFFINITY_EVENTS };

struct affinity_settings { /* from the models, which all say the same of half-life and weights */
    uint32_t half_life_s;
    int64_t prior_micro;                   /* > 0 */
    int64_t weight_micro[AFFINITY_EVENTS]; /* up to 100 */
};

struct affinity_sums {
    uint32_t half_life_s;             /* that it was collected with; 0 = nothing is known */
    uint32_t landmark;                /* eighth from which the sums count, a multiple of 8 */
    uint32_t newest;                  /* eighth of the newest event */
    uint32_t sum_q16[AFFINITY_SLOTS]; /* 2^-16 of an event as of the landmark */
};

/* In state files: 160 bytes. The parts know nothing of each other, so that taking one away leaves no trace of it in the other. All zeros:
 * nothing is known. */
struct affinity {
    struct affinity_sums part[AFFINITY_PARTS];
};

struct affinity_counts { /* the same as of a moment, decayed */
    int64_t micro[AFFINITY_PARTS][AFFINITY_SLOTS];
    int64_t age_ms[AFFINITY_PARTS]; /* of the newest event, in whole eighths; 0 where all counts are 0 */
};

/* A customer's clock: where the eighths begin. affinity_phase - by the customer's id, whatever the half-life. affinity_eighth_ms - when
 * an eighth begins, not before 1970. */
uint16_t affinity_phase(const char *id);
uint32_t affinity_eighth(uint32_t half_life_s, uint16_t phase, int64_t t_ms);
int64_t affinity_eighth_ms(uint32_t half_life_s, uint16_t phase, uint32_t eighth);

struct affinity_act {
    enum affinity_event event;
    uint32_t slot;
    int64_t t_ms;
};

/* affinity_part_of - what an event rests on. affinity_add - one event; false: it weighs nothing any more, and changed nothing. A sum
 * saturates at 65535 events. Counts of another half-life (the models were edited) go on from what they have come to by then.
 * affinity_keep - groups whose bit is not set stop being kept apart: what was counted there is elsewhere. */
enum affinity_part affinity_part_of(enum affinity_event event);
bool affinity_add(struct affinity *affinity, const struct affinity_settings *settings, uint16_t phase,
                  const struct affinity_act *act);
void affinity_keep(struct affinity *affinity, uint32_t groups);

/* affinity_has, affinity_is_none - is anything known of a part, of any? affinity_forget - a part of it, as if its events had never been.
 * affinity_read - the counts as of t. affinity_heal - what cannot have come from affinity_add() becomes nothing: of a record that
 * somebody else may have written. */
bool affinity_has(const struct affinity *affinity, enum affinity_part part);
bool affinity_is_none(const struct affinity *affinity);
void affinity_forget(struct affinity *affinity, enum affinity_part part);
void affinity_read(const struct affinity *affinity, uint16_t phase, int64_t t_ms, struct affinity_counts *ret);
void affinity_heal(struct affinity *affinity);

/* affinity_share - n(group) / (n(all) + prior) of the parts whose bit is set, half to even, micro; -1: they hold nothing. */
int64_t affinity_share(const struct affinity_counts *counts, unsigned parts, uint32_t group, int64_t prior_micro);
#endif
