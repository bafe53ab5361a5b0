/* demand.h - how hard a product is being asked for: a decayed event rate against its own slower baseline rate.
 *
 * Forward decay (Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009): an event at time t adds the integer
 * weight x 2^((t - L) / h) to a sum whose landmark L lies on a fixed grid of 16 half-lives, so that time needs no
 * sweep and a late event counts where it belongs. The decayed sum at T is sum x 2^-((T - L) / h).
 *
 *   rate_f = C_f ln2 / h_f / a_f     fast   (C: decayed sum of weights, h: half-life in s)
 *   rate_s = C_s ln2 / h_s / a_s     slow
 *   a      = 1 - 2^-(age / h)        corrects for a history shorter than the window; age: since the first event, for
 *                                    both windows at least h_f / 8
 *   rho    = prior ln2 / h_f         prior: that many events of the fast window
 *   pressure = (rate_f + rho) / (rate_s + rho)
 *
 * docs/pricing.md states every integer step, so that another program can compute the same numbers. Pure. */
#ifndef PRICING_DEMAND_H
#define PRICING_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

struct decayed_sum {      /* in state files: 16 bytes */
    uint64_t sum_q20;     /* 2^-20 of a unit of weight, relative to the landmark */
    uint32_t landmark;    /* in units of 16 half-lives since 1970 */
    uint32_t half_life_s; /* that it was collected with; 0 = nothing yet */
};

struct demand {                /* in state files: 64 bytes */
    struct decayed_sum fast;   /* weights */
    struct decayed_sum slow;   /* weights */
    struct decayed_sum events; /* events (weight 1), fast half-life: for min_events */
    int64_t first_ms;          /* of the first event; 0 = none yet */
    int64_t last_ms;
};

struct demand_settings {       /* from the model */
    uint32_t half_life_s;      /* 1..30 days */
    uint32_t slow_half_life_s; /* > half_life_s, ..365 days */
    int64_t prior_micro;       /* events, > 0 */
    int64_t min_events_micro;  /* decayed events below which the zone around it speaks */
    int64_t weight_micro[5];   /* by enum demand_event */
};

enum demand_event { DEMAND_VIEW, DEMAND_SEARCH, DEMAND_CART, DEMAND_ORDER, DEMAND_RETURN };

/* Recent rates of single kinds of events, by the fast half-life; each event counts with its quantity. In state files: 64
 * bytes. */
enum demand_rate { RATE_VIEWS, RATE_CARTS, RATE_ORDERS, RATE_COUNT };
struct demand_rates {
    struct decayed_sum sum[RATE_COUNT];
    int64_t first_ms; /* of the first event; 0 = none yet */
    int64_t last_ms;
};

/* A time in half-lives since 1970: whole + a part, whose power of two is all that is needed of it. */
struct demand_moment {
    int64_t whole;
    uint64_t power_q30; /* 2^part, the part rounded down to 2^-16 */
};

/* An event made ready to be added to several demands: of one product in a shop, its city and the world. What it adds to a sum is worked
 * out for a landmark of its own time, which most sums have. */
struct demand_act {
    enum demand_event event;
    int64_t t_ms, quantity_micro, weight_micro;
    uint32_t half_life_s, slow_half_life_s; /* 0 = never set */
    struct demand_moment fast, slow;        /* t_ms by each of them */
    uint64_t fast_q20, slow_q20, event_q20,
        quantity_q20; /* addends: weight, weight, one, quantity; by the fast one but the second */
};

/* exp2_q30 - 2^(x / 2^16) x 2^30 rounded down, for x in [0, 65535]; exact for every x. */
uint64_t exp2_q30(uint32_t x);

/* exp2_q62 - 2^(x / 2^32) x 2^62 for any x, too small by at most 1e-10 of it. */
uint64_t exp2_q62(uint32_t x);

/* decayed_add - add weight_micro (nothing if it is not positive) at t, to a sum with no other half-life.
 * decayed_at - the decayed sum at T in micro (millionths); at its landmark if T is before that.
 * Times are cut to 1970..3000. Saturates, never wraps. */
void decayed_add(struct decayed_sum *sum, uint32_t half_life_s, int64_t t_ms, int64_t weight_micro);
int64_t decayed_at(const struct decayed_sum *sum, int64_t t_ms);

/* demand_add - one event of `quantity_micro` at t. An event whose weight x quantity is not positive changes nothing,
 * the count of events included. Sums that were collected with other half-lives (a model was edited) are converted first:
 * the rates stay what they are, and the price does not jump. Until then they are read with the half-lives they have. */
void demand_add(struct demand *demand, const struct demand_settings *settings, enum demand_event event,
                int64_t quantity_micro, int64_t t_ms);

/* demand_act_set - an event, and what follows from it and the settings alone. *act is zeros, or what an earlier call left: where time and
 * half-lives are the same its moments are kept. demand_add_act, demand_rates_add_act - as demand_add() and demand_rates_add() with the
 * same event, to the bit. */
void demand_act_set(struct demand_act *act, const struct demand_settings *settings, enum demand_event event,
                    int64_t quantity_micro, int64_t t_ms);
void demand_add_act(struct demand *demand, const struct demand_act *act);

/* demand_pressure - in micro, 1000000 = as usual; in [1e-2, 100]. Exactly 1000000 for an empty history. */
int64_t demand_pressure(const struct demand *demand, const struct demand_settings *settings, int64_t t_ms);

/* demand_events - decayed number of events in the fast window, micro. */
int64_t demand_events(const struct demand *demand, int64_t t_ms);

/* demand_rates_add - one event; searches and returns count nowhere. demand_rate_per_day - micro per day, in [0, 10^15]; 0 for an
 * empty history. rate = C ln2 / (h a), as above. demand_rates_move - does any of them change by itself as time passes? */
void demand_rates_add(struct demand_rates *rates, uint32_t half_life_s, enum demand_event event, int64_t quantity_micro,
                      int64_t t_ms);
void demand_rates_add_act(struct demand_rates *rates, const struct demand_act *act);
int64_t demand_rate_per_day(const struct demand_rates *rates, enum demand_rate rate, int64_t t_ms);
bool demand_rates_move(const struct demand_rates *rates, int64_t t_ms);
#endif
