/* demand.c - decayed sums by forward decay, in integers only, and the pressure made of them.
 *
 *   landmark L (a grid of 16 half-lives)                 t            T
 *   |--------------------------------------------------- + ---------- ? ----->
 *                                adds w x 2^((t - L)/h)      reads sum x 2^-((T - L)/h)
 *
 * Invariant  sum_q20 is the total of the addends relative to the landmark, in 2^-20 of a unit of weight, each rounded
 *            down.
 * Landmark   moves only forward, when the first event of a later grid place arrives: the sum is shifted right by 16
 *            bits a place, which loses less than a unit.
 * Order      within a landmark the order of events changes nothing. Across landmarks it changes the sum by less than
 *            two units, and less than one more for each event that came late.
 * Rounding   each step below is written out in docs/pricing.md: another program must get the same bits. */
#include "pricing/demand.h"
#include "pricing/fixed.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#define GRID_HALF_LIVES    16
#define TIME_MS_MAX        INT64_C(32503680000000)   /* the year 3000: keeps the landmark within 32 bits */
#define WEIGHT_MICRO_MAX   INT64_C(1000000000000000) /* of one event: 10^9 units */
#define LN2_Q32            UINT64_C(2977044471)      /* ln 2 x 2^32, rounded down */
#define PRESSURE_MICRO_MIN INT64_C(10000)
#define PRESSURE_MICRO_MAX INT64_C(100000000)

static_assert(sizeof(struct decayed_sum) == 16, "state files hold it");
static_assert(sizeof(struct demand) == 64, "state files hold it");
static_assert(sizeof(struct demand_rates) == 64, "state files hold it");

/* Row i, column j: 2^(j / 16^(i + 1)) x 2^62, rounded to nearest: what four bits of an exponent contribute. */
/* clang-format off */
static const uint64_t exp2_constant_q62[4][16] = {
    {
        UINT64_C(0x4000000000000000), UINT64_C(0x42D561B3E6243D8A), UINT64_C(0x45CAE0F1F545EB73), UINT64_C(0x48E1E9B9D588E19B),
        UINT64_C(0x4C1BF828C6DC54B8), UINT64_C(0x4F7A993048D088D7), UINT64_C(0x52FF6B54D8A89C75), UINT64_C(0x56AC1F752150A563),
        UINT64_C(0x5A827999FCEF3242), UINT64_C(0x5E8451CFAC061B5F), UINT64_C(0x62B39508AA836D6F), UINT64_C(0x6712460A8FC24072),
        UINT64_C(0x6BA27E656B4EB57A), UINT64_C(0x70666F76154A7089), UINT64_C(0x75606373EE921C97), UINT64_C(0x7A92BE8A92436616),
    },
    {
        UINT64_C(0x4000000000000000), UINT64_C(0x402C6BE96AF2FB58), UINT64_C(0x4058F6A7ECCCD5B6), UINT64_C(0x4085A050EC0A036A),
        UINT64_C(0x40B268F9DE0183BA), UINT64_C(0x40DF50B846EF302B), UINT64_C(0x410C57A1B9FE12F6), UINT64_C(0x41397DCBD952C4A6),
        UINT64_C(0x4166C34C5615D0EC), UINT64_C(0x41942838F07E22A3), UINT64_C(0x41C1ACA777DB771B), UINT64_C(0x41EF50ADCAA0D899),
        UINT64_C(0x421D1461D66F2023), UINT64_C(0x424AF7D9981F7E98), UINT64_C(0x4278FB2B1BCE0D15), UINT64_C(0x42A71E6C7CE464AF),
    },
    {
        UINT64_C(0x4000000000000000), UINT64_C(0x4002C5D7BFF71DAF), UINT64_C(0x40058BCE410147E8), UINT64_C(0x400851E384739941),
        UINT64_C(0x400B18178BA33B14), UINT64_C(0x400DDE6A57E56584), UINT64_C(0x4010A4DBEA8F5F7E), UINT64_C(0x40136B6C44F67EB5),
        UINT64_C(0x4016321B687027A8), UINT64_C(0x4018F8E95651CDA2), UINT64_C(0x401BBFD60FF0F2B5), UINT64_C(0x401E86E196A327C3),
        UINT64_C(0x40214E0BEBBE0C77), UINT64_C(0x4024155510974F4B), UINT64_C(0x4026DCBD0684AD86), UINT64_C(0x4029A443CEDBF33F),
    },
    {
        UINT64_C(0x4000000000000000), UINT64_C(0x40002C5C955DD701), UINT64_C(0x400058B9497B8152), UINT64_C(0x400085161C591443),
        UINT64_C(0x4000B1730DF6A524), UINT64_C(0x4000DDD01E544947), UINT64_C(0x40010A2D4D7215FB), UINT64_C(0x4001368A9B502092),
        UINT64_C(0x400162E807EE7E5B), UINT64_C(0x40018F45934D44A8), UINT64_C(0x4001BBA33D6C88CA), UINT64_C(0x4001E801064C6010),
        UINT64_C(0x4002145EEDECDFCD), UINT64_C(0x400240BCF44E1D50), UINT64_C(0x40026D1B19702DEB), UINT64_C(0x400299795D5326F0),
    },
};
/* clang-format on */

static uint64_t exp2_sixteen_q62(uint32_t x)
{
    uint64_t product_q62 = exp2_constant_q62[0][x >> 12];
    product_q62 = (uint64_t)(((uint128)product_q62 * exp2_constant_q62[1][(x >> 8) & 15u]) >> 62);
    product_q62 = (uint64_t)(((uint128)product_q62 * exp2_constant_q62[2][(x >> 4) & 15u]) >> 62);
    return (uint64_t)(((uint128)product_q62 * exp2_constant_q62[3][x & 15u]) >> 62);
}

uint64_t exp2_q30(uint32_t x)
{
    assert(x <= 65535u);
    return exp2_sixteen_q62(x) >> 32;
}

uint64_t exp2_q62(uint32_t x)
{
    uint64_t power = exp2_sixteen_q62(x >> 16), rest = (uint64_t)(x & 0xFFFFu) * LN2_Q32;
    return power + (uint64_t)(((uint128)power * rest) >> 64);
}

/* n / d rounded down, for n and d in [0, 2^53) and d > 0. Both are exact as doubles and their quotient is rounded
 * correctly, so that it can only be one too large. Faster than dividing 64-bit integers, and this is done for every
 * event. */
static int64_t quotient_of(int64_t n, int64_t d)
{
    int64_t quotient = (int64_t)((double)n / (double)d);
    return quotient * d > n ? quotient - 1 : quotient;
}

static struct demand_moment moment_of(int64_t t_ms, uint32_t half_life_s)
{
    int64_t t = clamp_i64(t_ms, 0, TIME_MS_MAX), half_life_ms = (int64_t)half_life_s * 1000;
    int64_t whole = quotient_of(t, half_life_ms), rest_ms = t - whole * half_life_ms;
    return (struct demand_moment){ .whole = whole,
                                   .power_q30 = exp2_q30((uint32_t)quotient_of(rest_ms * 65536, half_life_ms)) };
}

/* weight x 2^whole x 2^part in 2^-20 units, rounded down once; whole <= 15. */
static uint128 addend_q20(int64_t weight_micro, int64_t whole, uint64_t power_q30)
{
    if (whole < -63)
        return 0;
    if (weight_micro < INT64_C(1) << 28) { /* the same in 64 bits: rounding down twice equals rounding down once */
        uint64_t product = (uint64_t)weight_micro * power_q30;
        if (whole < -53)
            return 0; /* 2^59 x 2^-64 is less than a unit */
        return (whole > 10 ? product << (whole - 10) : product >> (10 - whole)) / (uint64_t)MICRO;
    }
    uint128 product = (uint128)(uint64_t)weight_micro * power_q30;
    return (whole > 10 ? product << (whole - 10) : product >> (10 - whole)) / (uint64_t)MICRO;
}

static void landmark_advance(struct decayed_sum *sum, uint32_t place)
{
    if (place <= sum->landmark)
        return;
    uint32_t places = place - sum->landmark;
    sum->sum_q20 = places > 3 ? 0 : sum->sum_q20 >> (places * GRID_HALF_LIVES);
    sum->landmark = place;
}

static uint32_t landmark_of(struct demand_moment t)
{
    return (uint32_t)(t.whole / GRID_HALF_LIVES);
}

static void sum_add(struct decayed_sum *sum, struct demand_moment t, int64_t weight_micro)
{
    landmark_advance(sum, landmark_of(t));
    int64_t whole = t.whole - (int64_t)sum->landmark * GRID_HALF_LIVES;
    uint128 total = sum->sum_q20 + addend_q20(weight_micro, whole, t.power_q30);
    sum->sum_q20 = total > UINT64_MAX ? UINT64_MAX : (uint64_t)total;
}

/* What sum_add() adds where the landmark is that of t. */
static uint64_t addend_at(struct demand_moment t, int64_t weight_micro)
{
    uint128 addend = addend_q20(weight_micro, t.whole % GRID_HALF_LIVES, t.power_q30);
    return addend > UINT64_MAX ? UINT64_MAX : (uint64_t)addend;
}

/* sum_add(), with its addend_at() known. */
static inline void sum_add_known(struct decayed_sum *sum, struct demand_moment t, int64_t weight_micro, uint64_t addend)
{
    uint32_t landmark = landmark_of(t);
    if (sum->landmark > landmark) { /* it is late */
        sum_add(sum, t, weight_micro);
        return;
    }
    landmark_advance(sum, landmark);
    if (__builtin_add_overflow(sum->sum_q20, addend, &sum->sum_q20))
        sum->sum_q20 = UINT64_MAX;
}

void decayed_add(struct decayed_sum *sum, uint32_t half_life_s, int64_t t_ms, int64_t weight_micro)
{
    assert(half_life_s > 0);
    assert(sum->half_life_s == 0 || sum->half_life_s == half_life_s);
    sum->half_life_s = half_life_s;
    if (weight_micro > 0)
        sum_add(sum, moment_of(t_ms, half_life_s), weight_micro < WEIGHT_MICRO_MAX ? weight_micro : WEIGHT_MICRO_MAX);
}

/* An exponent of two: whole + part / 2^16, part in [0, 65535]. */
struct exponent {
    int64_t whole;
    uint32_t part;
};

/* -(span / half-life), rounded down to 2^-16; span >= 0. */
static struct exponent decay_of(int64_t span_ms, uint32_t half_life_s)
{
    int64_t half_life_ms = (int64_t)half_life_s * 1000;
    int64_t whole = quotient_of(span_ms, half_life_ms), rest_ms = span_ms - whole * half_life_ms;
    int64_t rounded_up = rest_ms * 65536 + half_life_ms - 1; /* because its negative is meant */
    uint32_t part = (uint32_t)quotient_of(rounded_up, half_life_ms);
    return part == 0 ? (struct exponent){ .whole = -whole }
                     : (struct exponent){ .whole = -whole - 1, .part = 65536 - part };
}

int64_t decayed_at(const struct decayed_sum *sum, int64_t t_ms)
{
    uint32_t half_life_s = sum->half_life_s;
    if (sum->sum_q20 == 0 || half_life_s == 0)
        return 0;
    int64_t landmark_ms = (int64_t)sum->landmark * GRID_HALF_LIVES * half_life_s * 1000;
    int64_t since_ms = clamp_i64(t_ms, 0, TIME_MS_MAX) - landmark_ms;
    /* Before the landmark the sum is read as of the landmark: nothing grows by asking about the past. */
    struct exponent e = decay_of(since_ms > 0 ? since_ms : 0, half_life_s);
    if (e.whole < -77)
        return 0; /* 2^64 x 10^6 x 2^31 is below 2^(50 + 77) */
    uint128 product = (uint128)sum->sum_q20 * (uint64_t)MICRO * exp2_q30(e.part);
    uint128 value = product >> (50 - e.whole);
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* a = 1 - 2^-(age / h) in 2^-30, at least 1: the share of a full window that a history of this age has seen. A long
 * slow window asks for more than 16 bits of exponent, so the last 16 of 32 are filled in by 2^d = 1 + d ln 2 (d <
 * 2^-16). */
static uint64_t seen_q30(int64_t age_ms, uint32_t half_life_s)
{
    int64_t half_life_ms = (int64_t)half_life_s * 1000;
    if (quotient_of(age_ms, half_life_ms) >= 31)
        return UINT64_C(1) << 30;
    uint64_t age_q32 = (uint64_t)(((uint128)(uint64_t)age_ms << 32) / (uint64_t)half_life_ms);
    uint64_t whole = (age_q32 + UINT32_MAX) >> 32; /* up, because its negative is meant */
    uint64_t part_q32 = (whole << 32) - age_q32;
    uint64_t power_q30 = exp2_q30((uint32_t)(part_q32 >> 16));
    power_q30 += (uint64_t)(((uint128)power_q30 * (part_q32 & 0xFFFFu) * LN2_Q32) >> 64);
    uint64_t seen = (UINT64_C(1) << 30) - (power_q30 >> whole);
    return seen > 0 ? seen : 1;
}

/* Both windows have one least age: a history of two minutes is taken for one of h/8 by both, so that a new product's first
 * events raise both rates alike and its pressure stays near 1. */
static int64_t age_of(int64_t first_ms, uint32_t half_life_s, int64_t t_ms)
{
    int64_t age_ms = clamp_i64(t_ms, 0, TIME_MS_MAX) - first_ms, age_min_ms = (int64_t)half_life_s * 125;
    return age_ms > age_min_ms ? age_ms : age_min_ms;
}

/* A half-life was edited: the landmark's unit is another one now. What is left of the sum at t becomes its first addend, as
 * many events as make the same rate: C ln2 / (h a) stays. `keep`: the count itself stays. */
struct edit {
    int64_t age_before_ms, age_now_ms; /* the least age depends on the half-life, too */
    int64_t t_ms;
    bool keep;
};

static void sum_convert(struct decayed_sum *sum, uint32_t half_life_s, const struct edit *edit)
{
    uint32_t before_s = sum->half_life_s;
    if (before_s == 0)
        sum->half_life_s = half_life_s;
    if (sum->half_life_s == half_life_s)
        return;
    int64_t value = decayed_at(sum, edit->t_ms);
    uint64_t seen_before = seen_q30(edit->age_before_ms, before_s), seen_now = seen_q30(edit->age_now_ms, half_life_s);
    /* value < 2^63, seen <= 2^30, half-lives < 2^25: in 128 bits */
    int128 exact = edit->keep
                       ? value
                       : div_half_even((int128)value * half_life_s * (int128)seen_now, (int128)seen_before * before_s);
    *sum = (struct decayed_sum){ .half_life_s = half_life_s };
    sum_add(sum, moment_of(edit->t_ms, half_life_s), exact > INT64_MAX ? INT64_MAX : (int64_t)exact);
}

static void demand_convert(struct demand *demand, const struct demand_act *act, int64_t t_ms)
{
    if (demand->fast.half_life_s == act->half_life_s && demand->events.half_life_s == act->half_life_s &&
        demand->slow.half_life_s == act->slow_half_life_s)
        return; /* as nearly always */
    struct edit edit = { .t_ms = t_ms > demand->last_ms
                                     ? t_ms
                                     : demand->last_ms }; /* a late event takes nothing back in time */
    edit.age_before_ms = age_of(demand->first_ms, demand->fast.half_life_s, edit.t_ms);
    edit.age_now_ms = age_of(demand->first_ms, act->half_life_s, edit.t_ms);
    sum_convert(&demand->fast, act->half_life_s, &edit);
    sum_convert(&demand->slow, act->slow_half_life_s, &edit);
    edit.keep = true; /* nobody may be invented: min_events protects those who are there */
    sum_convert(&demand->events, act->half_life_s, &edit);
}

/* weight x quantity, cut to what a sum can take; nothing if it is not positive. Whole units of it need no division. */
static int64_t weight_of(int64_t weight_micro, int64_t quantity_micro)
{
    int64_t product;
    if (quantity_micro <= 0)
        return 0;
    int128 exact =
        quantity_micro % MICRO == 0 && !__builtin_mul_overflow(weight_micro, quantity_micro / MICRO, &product)
            ? product
            : div_half_even((int128)weight_micro * quantity_micro, MICRO);
    return exact > WEIGHT_MICRO_MAX ? WEIGHT_MICRO_MAX : exact < 0 ? 0 : (int64_t)exact;
}

/* What a rate counts of a quantity: nothing of one that is not positive, and no more than a sum can take. */
static int64_t rate_quantity(int64_t quantity_micro)
{
    return clamp_i64(quantity_micro, 0, WEIGHT_MICRO_MAX);
}

void demand_act_set(struct demand_act *act, const struct demand_settings *settings, enum demand_event event,
                    int64_t quantity_micro, int64_t t_ms)
{
    assert((unsigned)event <= DEMAND_RETURN);
    int64_t t = clamp_i64(t_ms, 1, TIME_MS_MAX), weight = weight_of(settings->weight_micro[event], quantity_micro);
    bool other_fast = act->t_ms != t || act->half_life_s != settings->half_life_s;
    bool other_slow = act->t_ms != t || act->slow_half_life_s != settings->slow_half_life_s;
    if (other_fast)
        act->fast = moment_of(t, settings->half_life_s);
    if (other_slow)
        act->slow = moment_of(t, settings->slow_half_life_s);
    if (other_fast)
        act->event_q20 = addend_at(act->fast, MICRO);
    if (other_fast || act->weight_micro != weight)
        act->fast_q20 = addend_at(act->fast, weight);
    if (other_slow || act->weight_micro != weight)
        act->slow_q20 = addend_at(act->slow, weight);
    if (other_fast || act->quantity_micro != quantity_micro)
        act->quantity_q20 = addend_at(act->fast, rate_quantity(quantity_micro));
    act->t_ms = t;
    act->half_life_s = settings->half_life_s;
    act->slow_half_life_s = settings->slow_half_life_s;
    act->event = event;
    act->quantity_micro = quantity_micro;
    act->weight_micro = weight;
}

void demand_add_act(struct demand *demand, const struct demand_act *act)
{
    if (act->weight_micro <= 0)
        return; /* what weighs nothing is no demand: it neither counts towards min_events nor ages the product */
    demand_convert(demand, act, act->t_ms);
    sum_add_known(&demand->fast, act->fast, act->weight_micro, act->fast_q20);
    sum_add_known(&demand->events, act->fast, MICRO, act->event_q20);
    sum_add_known(&demand->slow, act->slow, act->weight_micro, act->slow_q20);
    if (demand->first_ms == 0 || act->t_ms < demand->first_ms)
        demand->first_ms = act->t_ms;
    if (act->t_ms > demand->last_ms)
        demand->last_ms = act->t_ms;
}

void demand_add(struct demand *demand, const struct demand_settings *settings, enum demand_event event,
                int64_t quantity_micro, int64_t t_ms)
{
    struct demand_act act = { .t_ms = 0 };
    demand_act_set(&act, settings, event, quantity_micro, t_ms);
    demand_add_act(demand, &act);
}

int64_t demand_pressure(const struct demand *demand, const struct demand_settings *settings, int64_t t_ms)
{
    uint32_t fast_s = demand->fast.half_life_s, slow_s = demand->slow.half_life_s;
    if (demand->first_ms == 0 || fast_s == 0 || slow_s == 0)
        return MICRO;
    int64_t fast_micro = decayed_at(&demand->fast, t_ms), slow_micro = decayed_at(&demand->slow, t_ms);
    int64_t age_ms = age_of(demand->first_ms, fast_s, t_ms);
    uint64_t fast_seen = seen_q30(age_ms, fast_s), slow_seen = seen_q30(age_ms, slow_s);

    /* Both rates in events per fast half-life; ln 2 / h_f is common to all four terms and cancels. */
    int128 fast = ((int128)fast_micro << 30) / (int128)fast_seen + settings->prior_micro;
    int128 slow = (((int128)slow_micro << 30) * fast_s) / ((int128)slow_seen * slow_s) + settings->prior_micro;
    int128 pressure = div_half_even(fast * MICRO, slow);
    if (pressure > PRESSURE_MICRO_MAX)
        return PRESSURE_MICRO_MAX;
    return pressure < PRESSURE_MICRO_MIN ? PRESSURE_MICRO_MIN : (int64_t)pressure;
}

int64_t demand_events(const struct demand *demand, int64_t t_ms)
{
    return decayed_at(&demand->events, t_ms);
}

/* ---- rates of single kinds ------------------------------------------------------------------------------------- */

#define RATE_MICRO_MAX INT64_C(1000000000000000)
#define DAY_S          86400

void demand_rates_add_act(struct demand_rates *rates, const struct demand_act *act)
{
    static const int8_t of[] = { [DEMAND_VIEW] = RATE_VIEWS,
                                 [DEMAND_SEARCH] = -1,
                                 [DEMAND_CART] = RATE_CARTS,
                                 [DEMAND_ORDER] = RATE_ORDERS,
                                 [DEMAND_RETURN] = -1 };
    int64_t t = act->t_ms, quantity = act->quantity_micro;
    if (of[act->event] < 0 || quantity <= 0)
        return;
    struct decayed_sum *sum = &rates->sum[of[act->event]];
    if (sum->half_life_s != act->half_life_s) {
        struct edit edit = { .t_ms = t > rates->last_ms ? t : rates->last_ms };
        if (sum->half_life_s != 0) {
            edit.age_before_ms = age_of(rates->first_ms, sum->half_life_s, edit.t_ms);
            edit.age_now_ms = age_of(rates->first_ms, act->half_life_s, edit.t_ms);
        }
        sum_convert(sum, act->half_life_s, &edit);
    }
    sum_add_known(sum, act->fast, rate_quantity(quantity), act->quantity_q20);
    if (rates->first_ms == 0 || t < rates->first_ms)
        rates->first_ms = t;
    if (t > rates->last_ms)
        rates->last_ms = t;
}

void demand_rates_add(struct demand_rates *rates, uint32_t half_life_s, enum demand_event event, int64_t quantity_micro,
                      int64_t t_ms)
{
    const struct demand_settings settings = { .half_life_s = half_life_s, .slow_half_life_s = half_life_s };
    struct demand_act act = { .t_ms = 0 };
    demand_act_set(&act, &settings, event, quantity_micro, t_ms);
    demand_rates_add_act(rates, &act);
}

int64_t demand_rate_per_day(const struct demand_rates *rates, enum demand_rate rate, int64_t t_ms)
{
    const struct decayed_sum *sum = &rates->sum[rate];
    if (sum->half_life_s == 0)
        return 0;
    uint64_t seen = seen_q30(age_of(rates->first_ms, sum->half_life_s, t_ms), sum->half_life_s);
    int128 full = ((int128)decayed_at(sum, t_ms) << 30) / (int128)seen; /* events of a whole window: below 2^93 */
    if (full > RATE_MICRO_MAX * 1000)
        return RATE_MICRO_MAX;
    int128 per_day = full * DAY_S * (int128)LN2_Q32 / ((int128)sum->half_life_s << 32);
    return per_day > RATE_MICRO_MAX ? RATE_MICRO_MAX : (int64_t)per_day;
}

bool demand_rates_move(const struct demand_rates *rates, int64_t t_ms)
{
    for (unsigned i = 0; i < RATE_COUNT; i++)
        if (decayed_at(&rates->sum[i], t_ms) > 0)
            return true;
    return false;
}
