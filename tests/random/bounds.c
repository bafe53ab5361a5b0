/* bounds.c - no price outside its guardrails, whatever the model says and whatever is heard.
 *
 *   made-up model --model_parse()--> prices along a made-up history --checked here in 128-bit arithmetic of its own
 *                                    quotes of customers with personal terms on each of them
 *
 * Inputs go far beyond what signals may carry (any 64-bit number), so that nothing rests on the parser of signals. Each price follows on
 * the one before it. Built with a sanitizer, overflow speaks as well.
 *
 *   bounds [SECONDS]          RIALTO_HISTORIES: ten times as many at least, whatever the seconds; RIALTO_SEED
 *   bounds --digest COUNT     a number made of every bit of that many models and all their prices, for comparing compilers */
#include "pricing/explain.h"
#include "tests/race/race.h"
#include "tests/random/made_up_model.h"

#include <rialto/layout.h>

#include <string.h>

#define START_MS INT64_C(1762000000000) /* 1 November 2025 */
#define PRICES   8
#define GROUP    3

static uint64_t digest = UINT64_C(0xCBF29CE484222325); /* FNV-1a over 64-bit words */
static uint64_t failures, histories, prices, quotes, zones_unread, inputs_vouched;

static void note(int64_t word)
{
    digest = (digest ^ (uint64_t)word) * UINT64_C(0x100000001B3);
}

static bool check(bool held, const char *what, const struct made_up *text)
{
    if (!held && failures++ < 5)
        printf("# %s: %.*s\n", what, (int)text->bytes, text->text);
    return held;
}

static int128 least(int128 a, int128 b)
{
    return a < b ? a : b;
}

static int128 most(int128 a, int128 b)
{
    return a > b ? a : b;
}

static int64_t any_number(uint64_t *dice) /* all sizes alike often, of both signs */
{
    int64_t number =
        (int64_t)random_next(dice); /* one call after the other: compilers differ in the order within a statement */
    return number >> random_between(dice, 0, 63);
}

/* ---- what the documents promise of one price (docs/pricing.md, sections 3 and 4) ------------------------------------ */

struct stands { /* what the test itself remembers */
    int64_t published, list, changed_ms, reference, reference_ms;
};

static bool allowed_form(const struct model *m, int64_t amount)
{
    return (amount + (int64_t)m->ending_less) % m->ending_step == 0;
}

/* Is there an amount of the model's form within [low, high]? */
static bool form_within(const struct model *m, int128 low, int128 high)
{
    int128 k = (low + m->ending_less + m->ending_step - 1) / m->ending_step;
    return most(k, 1) * m->ending_step - m->ending_less <= high;
}

static void check_price(const struct model *m, const struct price_inputs *in, const struct price_result *r,
                        const struct stands *s, const struct made_up *text)
{
    const struct model_guardrails *g = &m->guard;
    int128 floor = ((int128)in->list * g->floor_micro + MICRO - 1) / MICRO;
    int128 ceiling = least((int128)in->list * g->ceiling_micro / MICRO, RIALTO_BOUND_MAX);
    if (in->cost >= 0 && g->margin_micro >= 0)
        floor = most(floor, ((int128)in->cost * (MICRO + g->margin_micro) + MICRO - 1) / MICRO);
    ceiling = most(ceiling, floor);
    check(r->floor == floor && r->ceiling == ceiling, "floor or ceiling", text);
    check(r->baseline >= floor && r->baseline <= ceiling, "outside floor and ceiling", text);

    bool follows = s->published > 0 && s->list == in->list;
    int64_t since = in->now_ms - s->changed_ms;
    int128 top = ceiling, move = most(r->baseline - s->published, s->published - r->baseline);
    if (follows && g->rise_window_s != 0) {
        int64_t window = (int64_t)g->rise_window_s * 1000;
        int64_t begin =
            s->reference > 0 && s->reference_ms / window == in->now_ms / window ? s->reference : s->published;
        top = most(least(ceiling, (int128)begin * (MICRO + g->rise_micro) / MICRO), floor);
        check(r->baseline <= top, "above the largest rise", text);
        check(r->reference == begin, "the reference of the largest rise", text);
    }
    bool inside = follows && s->published >= floor && s->published <= top; /* else bounds win over what keeps calm */
    if (inside && g->step_micro > 0) {
        int128 reach = most(most((int128)s->published * g->step_micro / MICRO, m->ending_step), 1);
        check(move <= (since < (int64_t)g->step_interval_s * 1000 ? 0 : reach), "more than the largest step", text);
    }
    if (inside && since < (int64_t)g->dwell_s * 1000)
        check(move == 0, "changed within its dwell time", text);
    if (inside && since < (int64_t)g->settle_s * 1000)
        check(move == 0 || move * MICRO >= (int128)g->dead_band_micro * s->published, "changed within the dead band",
              text);
    if (!follows && form_within(m, floor, ceiling))
        check(allowed_form(m, r->baseline), "not an allowed amount", text);
}

/* ---- quotes of this price to customers --------------------------------------------------------------------------------- */

static void customer_of(uint64_t *dice, struct terms_inputs *in)
{
    static const char *const TIERS[] = { "", "gold", "silver", "other" };
    static const char *const SEGMENTS[] = { "family", "student" };
    memset(in, 0, sizeof *in);
    in->now_ms = START_MS;
    in->consent = (uint8_t)random_between(dice, 0, 31);
    (void)snprintf(in->tier, sizeof in->tier, "%s", TIERS[random_between(dice, 0, 3)]);
    in->segment_count = (uint32_t)random_between(dice, 0, 1);
    (void)snprintf(in->segment[0], sizeof in->segment[0], "%s", SEGMENTS[random_between(dice, 0, 1)]);
    (void)snprintf(in->spend_currency, sizeof in->spend_currency, "%s",
                   random_between(dice, 0, 2) == 0 ? "USD" : "EUR");
    in->spend_micro = any_number(dice);
    memcpy(in->month_currency, in->spend_currency, sizeof in->month_currency);
    in->month_micro = any_number(dice);
    in->tier_party = in->spend_party = (uint8_t)random_between(dice, PARTY_ZERO, PARTY_THIRD);
    for (int part = 0; part < AFFINITY_PARTS; part++) {
        in->affinity.micro[part][GROUP] = random_between(dice, 0, 10 * MICRO);
        in->affinity.micro[part][AFFINITY_ELSEWHERE] = random_between(dice, 0, 10 * MICRO);
    }
    in->zone_count = (uint32_t)random_between(dice, 0, 1);
    (void)snprintf(in->zone[0], sizeof in->zone[0], "de");
}

static void check_quotes(struct model_set *set, const struct price_result *r, int64_t list, uint64_t *dice,
                         const struct made_up *text)
{
    const struct model *m = &set->model[0];
    int64_t personal_floor = model_personal_floor(m, r->baseline, r->floor, r->ceiling), low = INT64_MAX, high = 0;
    struct rialto_cell_line cell = { .baseline = r->baseline,
                                     .list = list,
                                     .lo_product = (uint64_t)personal_floor,
                                     .hi_place = (uint64_t)r->ceiling,
                                     .group = GROUP,
                                     .flags = model_personal_never_above(m, r->baseline, r->floor, r->ceiling)
                                                  ? RIALTO_CELL_NEVER_ABOVE
                                                  : 0 };
    struct rialto_rule_row rule = {
        .currency_number = 978, .decimals = 2, .ending_step = m->ending_step, .ending_less = m->ending_less
    };
    for (int i = 0; i < 3; i++) {
        struct terms_inputs who;
        struct rialto_terms_line terms = { .group_map = 1 };
        uint16_t kinds;
        struct rialto_quote quote;
        customer_of(dice, &who);
        model_terms(set, &who, terms.multiplier_e4, &kinds);
        struct quote_inputs in = { .cell = &cell,
                                   .rule = &rule,
                                   .terms = &terms,
                                   .now_ms = START_MS,
                                   .stale_after_ms = UINT32_MAX,
                                   .personal_stale_ms = UINT32_MAX,
                                   .group_map = 1 };
        quote_compose(&in, &quote);
        quotes++;
        note(quote.amount);
        note(terms.multiplier_e4[GROUP]);
        low = quote.amount < low ? quote.amount : low;
        high = quote.amount > high ? quote.amount : high;
        check(quote.amount >= r->floor && quote.amount <= r->ceiling, "a personal amount outside floor and ceiling",
              text);
        check(!m->guard.never_above || quote.amount <= r->baseline, "a personal amount above the baseline", text);
        check(terms.multiplier_e4[GROUP] * (MICRO / 10000) >= m->guard.personal_low_micro - MICRO / 10000 &&
                  terms.multiplier_e4[GROUP] * (MICRO / 10000) <= m->guard.personal_high_micro + MICRO / 10000,
              "a personal multiplier outside its bounds", text);
    }
    if (m->guard.spread_micro >= 0)
        check((int128)low * MICRO >= (int128)high * (MICRO - m->guard.spread_micro),
              "customers further apart than the spread", text);
}

/* ---- a history ------------------------------------------------------------------------------------------------------------ */

static void hear(const struct model *m, struct price_inputs *in, struct demand *demand, uint64_t *dice)
{
    in->present = random_next(dice) | random_next(dice);
    for (unsigned i = 0; i < INPUT_SLOTS; i++) {
        int64_t high = i < INPUT_COUNT ? model_inputs[i].high : INPUT_LARGE;
        in->input_micro[i] = random_between(dice, 0, 15) == 0
                                 ? any_number(dice)
                                 : random_between(dice, 0, high > 100 * MICRO ? 100 * MICRO : high);
    }
    for (int64_t events = random_between(dice, 0, 3); events > 0; events--) {
        enum demand_event event = (enum demand_event)random_between(dice, 0, 4);
        int64_t quantity = random_between(dice, 0, 9) == 0 ? any_number(dice) : MICRO;
        demand_add(demand, &m->demand, event, quantity, in->now_ms - random_between(dice, -1000, 3600000));
    }
    in->input_micro[INPUT_demand_pressure] = demand_pressure(demand, &m->demand, in->now_ms);
    int64_t pressure = in->input_micro[INPUT_demand_pressure];
    if (pressure < 10000 || pressure > 100000000)
        failures++;
    if (random_between(dice, 0, 9) == 0)
        in->list = random_between(dice, 1, random_between(dice, 0, 9) == 0 ? RIALTO_BOUND_MAX / 11 : 100000);
    if (random_between(dice, 0, 3) == 0)
        in->cost = random_between(dice, -1, in->list);
}

/* Inputs that only factors of the zone look at, as they must not be read where it is known what those come to: none of them is right. */
static struct price_inputs others_zone(const struct model *m, const struct price_inputs *in)
{
    struct price_inputs other = *in;
    uint64_t unread = model_zone_looks(m) & ~m->cell_looks;
    for (unsigned i = 0; i < INPUT_SLOTS; i++)
        if ((unread >> i & 1u) != 0)
            other.input_micro[i] ^= MICRO;
    other.present ^= unread & ((UINT64_C(1) << INPUT_SLOTS) - 1);
    if ((unread & LOOKS_TIME) != 0)
        other.local_ms ^= INT64_C(1) << 25; /* nine hours */
    zones_unread += (m->zone_factors != 0);
    return other;
}

/* Some of the inputs that say what they said at the price before. */
static uint64_t vouched_for(const struct price_memory *memory, const struct price_inputs *in, uint64_t *dice)
{
    uint64_t same = 0;
    for (unsigned i = 0; i < INPUT_SLOTS; i++)
        if (memory->input_micro[i] == in->input_micro[i] && ((memory->present ^ in->present) >> i & 1u) == 0)
            same |= UINT64_C(1) << i;
    inputs_vouched += same != 0;
    return same & random_next(dice);
}

/* The same price with what is remembered of others, to the last bit: of one that has some of its inputs, and then of this one. */
static bool alike(const struct model *m, const struct price_inputs *in, struct price_memory *memory, uint64_t *dice)
{
    struct price_result plain, like;
    struct price_inputs other;
    memset(&plain, 0, sizeof plain);
    memset(&like, 0, sizeof like);
    enum rialto_status status = model_price(m, in, &plain);
    if (memory->zone != NULL && memory->zone->model == m) {
        other = others_zone(m, in);
        in = &other;
    }
    memory->same = vouched_for(memory, in, dice);
    return model_price_like(m, in, memory, &like) == status && plain.baseline == like.baseline &&
           plain.floor == like.floor && plain.ceiling == like.ceiling && plain.raw == like.raw &&
           plain.reference == like.reference && plain.reference_ms == like.reference_ms &&
           plain.guards == like.guards && plain.pending == like.pending &&
           (status != RIALTO_OK || memcmp(plain.factor_micro, memory->value_micro, sizeof plain.factor_micro) == 0);
}

/* What `from` says of the zone and its clock. */
static void take_zone(const struct model *m, const struct price_inputs *from, struct price_inputs *to)
{
    uint64_t looks = model_zone_looks(m) & ((UINT64_C(1) << INPUT_SLOTS) - 1);
    for (unsigned i = 0; i < INPUT_SLOTS; i++)
        if ((looks >> i & 1u) != 0)
            to->input_micro[i] = from->input_micro[i];
    to->present = (to->present & ~looks) | (from->present & looks);
    to->local_ms = from->local_ms;
}

static void zone_changed(struct price_memory *memory)
{
    if (memory->zone != NULL)
        memory->zone->model = NULL;
}

static void check_alike(const struct model *m, const struct price_inputs *in, struct price_memory *memory,
                        uint64_t *dice, const struct made_up *text)
{
    bool same_zone = random_between(dice, 0, 1) == 0;
    struct price_inputs near = *in;
    for (unsigned i = 0; i < INPUT_SLOTS; i++)
        if (random_between(dice, 0, 7) == 0)
            near.input_micro[i] ^= random_between(dice, 0, 3) * (MICRO / 4);
    if (random_between(dice, 0, 3) == 0)
        near.present ^= random_next(dice) & random_next(dice) & random_next(dice);
    if (random_between(dice, 0, 3) == 0)
        near.local_ms += random_between(dice, 0, INT64_C(86400000));
    if (random_between(dice, 0, 3) == 0)
        near.list += random_between(dice, 0, 100);
    if (random_between(dice, 0, 3) == 0)
        near.cost = in->list / 3;
    if (random_between(dice, 0, 3) == 0)
        near.category = near.category == NULL ? "a" : NULL;
    if (same_zone)
        take_zone(m, in, &near);
    check(alike(m, in, memory, dice), "another price with a memory of the one before", text);
    if (!same_zone)
        zone_changed(memory);
    check(alike(m, &near, memory, dice), "another price with a memory of one like it", text);
    if (!same_zone)
        zone_changed(memory);
    check(alike(m, in, memory, dice), "another price with a memory of the same", text);
}

static bool explained(const struct model *m, const struct price_inputs *in, const struct price_result *r)
{
    struct explain e;
    return explain_baseline(m, in, r->baseline, r->guards, &e) == RIALTO_OK &&
           e.step[e.count - 1].minor == r->baseline && e.step[e.count - 1].micro == 0;
}

static void note_result(const struct model *m, const struct price_result *r)
{
    note(r->baseline);
    note(r->floor);
    note(r->ceiling);
    note(r->raw);
    note(r->reference);
    note((int64_t)r->guards << 1 | r->pending);
    for (uint32_t i = 0; i < m->factor_count; i++)
        note(r->factor_micro[i]);
}

static void play(struct model_set *set, uint64_t *dice, const struct made_up *text)
{
    static const char ZONES[2][RIALTO_ID_MAX] = { "de/south", "de" };
    const struct model *m = &set->model[0];
    struct price_inputs in = { .cost = -1, .category = "a/b/c", .zone = ZONES };
    in.list = random_between(dice, 1, 100000);
    in.zone_count = (uint32_t)random_between(dice, 0, 2);
    in.now_ms = START_MS + random_between(dice, 0, INT64_C(40) * 86400000);
    struct demand demand = { .first_ms = 0 };
    struct stands s = { .published = 0 };
    struct zone_memory zone = { .model = NULL };
    struct price_memory memory = { .zone = (*dice & 1) != 0 ? &zone : NULL };
    struct price_inputs before = in;
    uint64_t other_dice = *dice ^ UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < PRICES; i++) {
        struct price_result r;
        hear(m, &in, &demand, dice);
        in.local_ms = model_local_ms(m, in.now_ms, (int32_t)random_between(dice, -720, 840));
        if (i > 0 && random_between(&other_dice, 0, 3) > 0)
            take_zone(m, &before, &in); /* and the memory of the zone holds */
        else
            zone_changed(&memory);
        before = in;
        in.published = s.published;
        in.published_list = s.list;
        in.changed_ms = s.changed_ms;
        in.reference = s.reference;
        in.reference_ms = s.reference_ms;
        enum rialto_status status = model_price(m, &in, &r);
        if ((i & 1) == 0)
            check_alike(m, &in, &memory, &other_dice, text);
        note((int64_t)status);
        /* Twelve factors of 10 on the dearest list price do not fit into 64 bits, and cost with a margin may exceed all money. */
        if (status == RIALTO_OVERFLOW && (in.list > 1000000 || in.cost > 1000000))
            continue;
        if (!check(status == RIALTO_OK, "no price", text))
            return;
        prices++;
        note_result(m, &r);
        check_price(m, &in, &r, &s, text);
        if ((prices & 7) == 0)
            check(explained(m, &in, &r), "the steps do not lead to the price", text);
        if ((prices & 3) == 0)
            check_quotes(set, &r, in.list, dice, text);
        s = (struct stands){ r.baseline, in.list, r.baseline != s.published ? in.now_ms : s.changed_ms, r.reference,
                             r.reference_ms };
        in.now_ms += random_between(dice, 0, 2) == 0 ? random_between(dice, 0, 1000)
                                                     : random_between(dice, 0, INT64_C(5) * 3600000);
    }
}

static bool history(struct model_set *set, struct made_up *text, uint64_t seed)
{
    struct fault fault;
    char reason[512];
    size_t bytes = made_up_model(text, &seed);
    if (model_parse(text->text, bytes, "made-up", &set->model[0], &fault) != RIALTO_OK) {
        (void)fault_text(&fault, sizeof reason, reason);
        printf("not ok - a made-up model is refused: %s\n# %s\n", reason, text->text);
        return false;
    }
    set->model[0].group = GROUP;
    play(set, &seed, text);
    histories++;
    return true;
}

int main(int argc, char *argv[])
{
    static struct made_up text;
    struct model_set *set = calloc(1, sizeof *set + sizeof set->model[0]);
    if (set == NULL)
        return 1;
    set->count = 1;
    if (argc == 3 && strcmp(argv[1], "--digest") == 0) {
        for (uint64_t i = 0, count = strtoull(argv[2], NULL, 10); i < count; i++)
            if (!history(set, &text, i))
                return 1;
        printf("%016" PRIx64 "\n", digest);
        free(set);
        return failures == 0 ? 0 : 1;
    }
    const char *wanted = getenv("RIALTO_HISTORIES"), *seed_text = getenv("RIALTO_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL) << 32;
    uint64_t at_least = wanted != NULL ? 10 * strtoull(wanted, NULL, 10) : 0;
    int64_t end = race_now_ms() + race_duration_ms(argc, argv);
    printf("# RIALTO_SEED=%" PRIu64 "\n", seed);
    while (failures == 0 && (histories < at_least || race_now_ms() < end))
        if (!history(set, &text, seed + histories))
            return 1;
    printf("# %" PRIu64 " models, %" PRIu64 " prices, %" PRIu64 " quotes, %" PRIu64 " prices by a zone that was not read again\n", histories,
           prices, quotes, zones_unread);
    free(set);
    return race_report(failures == 0 && prices > 4 * histories && zones_unread > histories &&
                           inputs_vouched > histories,
                       "every price and quote of made-up models lies within its guardrails");
}
