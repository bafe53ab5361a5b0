/* affinity.c - decayed counts of one customer's events by price group, in integers only.
 *
 *   landmark L (every 8 eighths)      k         K
 *   |-------------------------------- + ------- ? ----->
 *                  adds w x 2^((k - L) / 8)    reads sum x 2^((L - K) / 8)
 *
 * Invariant  sum_q16 is the total of the addends as of the landmark, each rounded down to 2^-16 of an event.
 * Landmark   moves only forward, with the first event of a later half-life: sums are shifted right by a bit each, which loses less
 *            than a unit.
 * Not here   what may be counted (service/apply_affinity.c), what it does to a price (terms.c). */
#include "pricing/affinity.h"
#include "pricing/demand.h"
#include "pricing/fixed.h"

#include <assert.h>
#include <string.h>

#define TIME_MS_MAX INT64_C(32503680000000) /* the year 3000: keeps eighths within 32 bits */
#define WEIGHT_MAX  (100 * MICRO)
#define PHASES      65536
#define ONE_Q16     65536u

static_assert(sizeof(struct affinity) == 160, "state files hold it");

/* FNV-1a, 64 bit (G. Fowler, L. C. Noll, P. Vo), folded: it spreads customers over a step, and need not be secret. */
uint16_t affinity_phase(const char *id)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001B3);
    return (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);
}

static int64_t step_ms_of(uint32_t half_life_s)
{
    return (int64_t)half_life_s * (1000 / (int64_t)AFFINITY_EIGHTHS);
}

static int64_t phase_ms_of(uint32_t half_life_s, uint16_t phase)
{
    return step_ms_of(half_life_s) * phase / PHASES;
}

uint32_t affinity_eighth(uint32_t half_life_s, uint16_t phase, int64_t t_ms)
{
    assert(half_life_s >= AFFINITY_HALF_LIFE_MIN_S);
    int64_t since_ms = clamp_i64(t_ms, 0, TIME_MS_MAX) + phase_ms_of(half_life_s, phase);
    return (uint32_t)(since_ms / step_ms_of(half_life_s));
}

int64_t affinity_eighth_ms(uint32_t half_life_s, uint16_t phase, uint32_t eighth)
{
    int64_t begin_ms = eighth * step_ms_of(half_life_s) - phase_ms_of(half_life_s, phase);
    return begin_ms > 0 ? begin_ms : 0;
}

/* value x 2^(eighths / 8 - shift), rounded down; eighths < 8, shift >= 0. */
static uint64_t scaled(uint64_t value, int64_t eighths, int64_t shift)
{
    const int64_t whole = AFFINITY_EIGHTHS;
    int64_t part = (eighths % whole + whole) % whole;
    int64_t right = 30 + shift - (eighths - part) / whole;
    uint128 product = (uint128)value * exp2_q30((uint32_t)part * (65536u / AFFINITY_EIGHTHS));
    assert(right >= 30);
    return right < 127 ? (uint64_t)(product >> right) : 0; /* below 2 x value: no overflow from what is below 2^63 */
}

static void landmark_advance(struct affinity_sums *sums, uint32_t eighth)
{
    uint32_t landmark = eighth - eighth % AFFINITY_EIGHTHS;
    if (landmark <= sums->landmark)
        return;
    uint32_t bits = (landmark - sums->landmark) / AFFINITY_EIGHTHS;
    for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++)
        sums->sum_q16[slot] = bits > 31 ? 0 : sums->sum_q16[slot] >> bits;
    sums->landmark = landmark;
}

static void sum_add(uint32_t *sum_q16, uint64_t addend_q16)
{
    uint64_t total = *sum_q16 + (addend_q16 < UINT32_MAX ? addend_q16 : UINT32_MAX);
    *sum_q16 = total < UINT32_MAX ? (uint32_t)total : UINT32_MAX;
}

/* Before the landmark it is read as of the landmark: nothing grows by asking about the past. */
static int64_t count_micro(const struct affinity_sums *sums, unsigned slot, uint32_t eighth)
{
    int64_t since = eighth > sums->landmark ? (int64_t)(eighth - sums->landmark) : 0;
    if (sums->sum_q16[slot] == 0)
        return 0;                                                              /* as nearly all */
    return (int64_t)scaled(sums->sum_q16[slot] * (uint64_t)MICRO, -since, 16); /* below 2^32 x 10^6 */
}

/* A half-life was edited: what each count has come to at t becomes its first addend; a late event takes nothing back in time. The newest
 * event keeps its time, to an eighth. */
static void convert(struct affinity_sums *sums, uint32_t half_life_s, uint16_t phase, int64_t t_ms)
{
    const struct affinity_sums before = *sums;
    int64_t newest_ms = affinity_eighth_ms(before.half_life_s, phase, before.newest);
    int64_t at_ms = t_ms > newest_ms ? t_ms : newest_ms;
    uint32_t then = affinity_eighth(before.half_life_s, phase, at_ms),
             eighth = affinity_eighth(half_life_s, phase, at_ms);
    *sums =
        (struct affinity_sums){ .half_life_s = half_life_s, .newest = affinity_eighth(half_life_s, phase, newest_ms) };
    landmark_advance(sums, eighth);
    for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++) {
        uint64_t count_q16 = (uint64_t)count_micro(&before, slot, then) * ONE_Q16 / MICRO;
        sum_add(&sums->sum_q16[slot], scaled(count_q16, eighth - sums->landmark, 0));
    }
}

enum affinity_part affinity_part_of(enum affinity_event event)
{
    return event == AFFINITY_ORDER ? AFFINITY_PURCHASES : AFFINITY_BEHAVIOUR;
}

bool affinity_add(struct affinity *affinity, const struct affinity_settings *settings, uint16_t phase,
                  const struct affinity_act *act)
{
    assert(act->slot < AFFINITY_SLOTS);
    struct affinity_sums *sums = &affinity->part[affinity_part_of(act->event)], next = *sums;
    uint64_t weight_q16 = (uint64_t)clamp_i64(settings->weight_micro[act->event], 0, WEIGHT_MAX) * ONE_Q16 / MICRO;
    uint32_t eighth = affinity_eighth(settings->half_life_s, phase, act->t_ms);
    if (next.half_life_s != 0 && next.half_life_s != settings->half_life_s)
        convert(&next, settings->half_life_s, phase, act->t_ms);
    next.half_life_s = settings->half_life_s;
    landmark_advance(&next, eighth);
    uint64_t addend_q16 = scaled(weight_q16, (int64_t)eighth - (int64_t)next.landmark, 0);
    if (addend_q16 == 0)
        return false;
    sum_add(&next.sum_q16[act->slot], addend_q16);
    next.newest = eighth > next.newest ? eighth : next.newest;
    *sums = next;
    return true;
}

void affinity_keep(struct affinity *affinity, uint32_t groups)
{
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        uint32_t *sum_q16 = affinity->part[part].sum_q16;
        for (unsigned slot = 0; slot < RIALTO_GROUPS_MAX; slot++) {
            if ((groups >> slot & 1u) != 0)
                continue;
            sum_add(&sum_q16[AFFINITY_ELSEWHERE], sum_q16[slot]);
            sum_q16[slot] = 0;
        }
    }
}

bool affinity_has(const struct affinity *affinity, enum affinity_part part)
{
    return affinity->part[part].half_life_s != 0;
}

bool affinity_is_none(const struct affinity *affinity)
{
    return !affinity_has(affinity, AFFINITY_BEHAVIOUR) && !affinity_has(affinity, AFFINITY_PURCHASES);
}

void affinity_forget(struct affinity *affinity, enum affinity_part part)
{
    memset(&affinity->part[part], 0, sizeof affinity->part[part]);
}

void affinity_read(const struct affinity *affinity, uint16_t phase, int64_t t_ms, struct affinity_counts *ret)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        const struct affinity_sums *sums = &affinity->part[part];
        if (sums->half_life_s == 0)
            continue;
        uint32_t eighth = affinity_eighth(sums->half_life_s, phase, t_ms);
        int64_t all = 0;
        for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++)
            all += ret->micro[part][slot] = count_micro(sums, slot, eighth);
        if (all > 0 && eighth > sums->newest)
            ret->age_ms[part] = (eighth - sums->newest) * step_ms_of(sums->half_life_s);
    }
}

static bool is_possible(const struct affinity_sums *sums)
{
    if (sums->half_life_s < AFFINITY_HALF_LIFE_MIN_S || sums->half_life_s > AFFINITY_HALF_LIFE_MAX_S)
        return false;
    uint32_t last = affinity_eighth(sums->half_life_s, UINT16_MAX, TIME_MS_MAX);
    return sums->landmark % AFFINITY_EIGHTHS == 0 && sums->landmark <= last && sums->newest <= last;
}

void affinity_heal(struct affinity *affinity)
{
    for (unsigned part = 0; part < AFFINITY_PARTS; part++)
        if (!is_possible(&affinity->part[part]))
            affinity_forget(affinity, (enum affinity_part)part);
}

int64_t affinity_share(const struct affinity_counts *counts, unsigned parts, uint32_t group, int64_t prior_micro)
{
    int64_t here = 0, all = 0;
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        if ((parts >> part & 1u) == 0)
            continue;
        here += counts->micro[part][group];
        for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++)
            all += counts->micro[part][slot];
    }
    /* all: at most 2 x 17 x 2^16 events, below 2^42 micro */
    return all == 0 ? -1 : (int64_t)div_half_even((int128)here * MICRO, all + prior_micro);
}
