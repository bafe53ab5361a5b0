/* test_quote.c - the arithmetic of one quote. Amounts are worked by hand, endings against a search through all of them. */
#include "pricing/quote.h"
#include "pricing/quote_steps.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW_S  1700000000
#define NOW_MS (INT64_C(1000) * NOW_S)
#define LATER  (NOW_S + 60)
#define BEFORE (NOW_S - 60)

/* A cell of 10.00 (list 12.00, bounds 8.00 to 13.00) for a customer with 10 % off its group, all fresh. */
static struct rialto_cell_line cell;
static struct rialto_rule_row rule;
static struct rialto_terms_line terms;
static struct rialto_offer_line offer;
static struct quote_inputs in;
static struct rialto_quote q;

static void set_bounds(int64_t floor, int64_t ceiling)
{
    cell.lo_product = (uint64_t)floor | UINT64_C(0xABCD) << 48; /* the slots up there are no part of the bounds */
    cell.hi_place = (uint64_t)ceiling | UINT64_C(0x1234) << 48;
}

static void setup(void)
{
    cell = (struct rialto_cell_line){ .as_of_s = NOW_S - 5, .baseline = 1000, .list = 1200, .rule = 4, .group = 2 };
    set_bounds(800, 1300);
    rule = (struct rialto_rule_row){ .currency = "GBP",
                                     .currency_number = 826,
                                     .decimals = 2,
                                     .ending_step = 1,
                                     .stale_limit_s = 600,
                                     .disclosure = 3 };
    terms = (struct rialto_terms_line){ .kinds = RIALTO_KIND_PURCHASES | RIALTO_TERMS_HAS_OFFERS,
                                        .consent = RIALTO_KIND_PURCHASES | RIALTO_KIND_PROFILE,
                                        .group_map = 7 };
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        terms.multiplier_e4[g] = 10000;
    terms.multiplier_e4[2] = 9000;
    offer = (struct rialto_offer_line){ .currency = 826, .kinds = RIALTO_KIND_PROFILE };
    in = (struct quote_inputs){ .cell = &cell,
                                .rule = &rule,
                                .terms = &terms,
                                .now_ms = NOW_MS,
                                .age_ms = 40,
                                .terms_age_ms = 40,
                                .stale_after_ms = 5000,
                                .personal_stale_ms = 5000,
                                .group_map = 7 };
    memset(&q, 0xEE, sizeof q);
}

TestSuite(quote, .init = setup);

static void expect(int64_t amount, uint32_t flags, uint16_t kinds)
{
    quote_compose(&in, &q);
    cr_expect_eq(q.amount, amount, "amount %ld, not %ld", (long)q.amount, (long)amount);
    cr_expect_eq(q.flags, flags, "flags %x, not %x", q.flags, flags);
    cr_expect_eq(q.kinds, kinds, "kinds %x, not %x", q.kinds, kinds);
}

/* ---- endings ------------------------------------------------------------------------------------------ */

/* The contract, word by word: look at every k. */
static int64_t slow_ending(int64_t amount, int64_t step, int64_t less, int64_t floor, int64_t ceiling)
{
    int64_t clamped = amount < floor ? floor : amount > ceiling ? ceiling : amount;
    if (step <= 1)
        return clamped;
    bool found = false;
    int64_t best = 0;
    for (int64_t k = 1; k * step - less <= ceiling; k++) {
        int64_t candidate = k * step - less;
        if (candidate < floor)
            continue;
        int64_t distance = candidate > amount ? candidate - amount : amount - candidate;
        int64_t best_distance = best > amount ? best - amount : amount - best;
        if (!found || distance < best_distance) /* k rises, so the lower of two equals stays */
            best = candidate;
        found = true;
    }
    return found ? best : clamped;
}

Test(quote, endings_are_the_nearest_that_the_bounds_allow)
{
    static const uint32_t steps[] = { 0, 1, 2, 5, 10, 25, 100 };
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        for (uint32_t less = 0; less <= 12; less += 3) {
            for (int64_t floor = 0; floor <= 120; floor += 24) {
                for (int64_t ceiling = floor; ceiling <= 240; ceiling += 31) {
                    for (int64_t amount = -20; amount <= 260; amount++) {
                        int64_t got = ending_within(amount, steps[s], less, floor, ceiling);
                        int64_t wanted = slow_ending(amount, steps[s], less, floor, ceiling);
                        cr_assert_eq(got, wanted, "%ld step %u less %u in %ld..%ld: %ld, not %ld", (long)amount,
                                     steps[s], less, (long)floor, (long)ceiling, (long)got, (long)wanted);
                    }
                }
            }
        }
    }
}

Test(quote, endings_by_hand)
{
    cr_expect_eq(ending_within(1234, 100, 1, 0, 9999), 1199, "12.34 -> 11.99: 35 away; 12.99 is 65 away");
    cr_expect_eq(ending_within(1249, 100, 1, 0, 9999), 1199, "a tie goes to the lower");
    cr_expect_eq(ending_within(1250, 100, 1, 0, 9999), 1299);
    cr_expect_eq(ending_within(10, 100, 1, 0, 9999), 99, "0 x 100 - 1 is not of the form");
    cr_expect_eq(ending_within(1234, 100, 1, 1200, 1298), 1234, "none within the bounds: only clamped");
    cr_expect_eq(ending_within(1234, 100, 1, 1200, 1299), 1299, "the only one within them");
    cr_expect_eq(ending_within(1234, 100, 1, 1299, 1199), 1299, "no room at all: the floor");
    cr_expect_eq(ending_within(0, 5, 0, 0, 100), 5, "k begins at 1");
    cr_expect_eq(ending_within(RIALTO_BOUND_MAX, 7, 3, 0, RIALTO_BOUND_MAX), RIALTO_BOUND_MAX / 7 * 7 - 3,
                 "largest amounts");
    cr_expect_eq(ending_within(INT64_MAX, UINT32_MAX, UINT32_MAX, 0, INT64_MAX), INT64_MAX, "no money: only clamped");
    cr_expect_eq(ending_within(INT64_MIN, 100, 1, INT64_MIN, INT64_MAX), INT64_MIN);
}

/* ---- baseline and multiplier ------------------------------------------------------------------------- */

Test(quote, nobody_in_particular_pays_the_baseline)
{
    in.terms = NULL;
    rule.ending_step = 100; /* untouched, whatever the ending */
    cell.baseline = 1001;
    expect(1001, RIALTO_FLAG_ANONYMOUS, 0);
    cr_expect_eq(q.baseline, 1001);
    cr_expect_eq(q.list, 1200);
    cr_expect_eq(q.floor, 800);
    cr_expect_eq(q.ceiling, 1300);
    cr_expect_eq(q.as_of_ms, NOW_MS - 5000);
    cr_expect_eq(q.valid_until_ms, 0);
    cr_expect_eq(q.age_ms, 40);
    cr_expect_eq(q.multiplier_e4, 10000);
    cr_expect_eq(q.rule, 4);
    cr_expect_eq(q.disclosure, 0, "nobody's data were read");
    cr_expect_eq(q.decimals, 2);
    cr_expect_eq(q.group, 2);
    cr_expect_str_eq(q.currency, "GBP");
}

Test(quote, zone_is_left_to_the_caller)
{
    quote_compose(&in, &q);
    cr_expect_eq(q.zone_level, 0xEE);
    cr_expect_eq((unsigned char)q.zone[0], 0xEE);
    cr_expect_eq((unsigned char)q.zone[RIALTO_ID_MAX - 1], 0xEE);
}

Test(quote, a_neutral_multiplier_leaves_the_baseline_untouched)
{
    terms.multiplier_e4[2] = 10000;
    rule.ending_step = 100;
    cell.baseline = 1001;
    expect(1001, 0, 0);
}

Test(quote, the_multiplier_is_that_of_the_cells_group)
{
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES); /* 1000 x 0.9 */
    cr_expect_eq(q.multiplier_e4, 9000);
    cell.group = 3;
    expect(1000, 0, 0);
}

Test(quote, half_minor_units_are_rounded_to_even_once)
{
    terms.multiplier_e4[2] = 9995; /* 1000 x 0.9995 = 999.5 -> 1000 */
    expect(1000, 0, 0);
    cell.baseline = 1002; /* 1002 x 0.9995 = 1001.499 -> 1001 */
    expect(1001, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    terms.multiplier_e4[2] = 7500;
    set_bounds(1, 10000);
    cell.baseline = 1002; /* 751.5 -> 752, even */
    expect(752, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    cell.baseline = 1006; /* 754.5 -> 754, even */
    expect(754, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

Test(quote, endings_apply_to_personal_amounts_and_stay_within_bounds)
{
    rule.ending_step = 100;
    rule.ending_less = 1;
    expect(899, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES); /* 900 -> 8.99 */
    set_bounds(900, 1300);
    expect(999, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES); /* 8.99 lies below the floor */
    set_bounds(900, 950);
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES); /* no ending fits */
}

Test(quote, floor_and_ceiling_bound_the_personal_amount)
{
    terms.multiplier_e4[2] = 5000;
    expect(800, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PURCHASES);
    terms.multiplier_e4[2] = 20000;
    expect(1300, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PURCHASES);
    terms.multiplier_e4[2] = 0;
    expect(800, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PURCHASES);
}

Test(quote, never_above_the_baseline_where_the_cell_says_so)
{
    terms.multiplier_e4[2] = 11000;
    expect(1100, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    cell.flags = RIALTO_CELL_NEVER_ABOVE;
    expect(1000, 0, 0);
    terms.multiplier_e4[2] = 9000;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

Test(quote, a_guardrail_on_the_baseline_shows)
{
    cell.flags = RIALTO_CELL_GUARDED;
    expect(900, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_GUARDED, RIALTO_KIND_PURCHASES);
}

Test(quote, the_largest_amounts_do_not_overflow)
{
    cell.baseline = RIALTO_BOUND_MAX;
    cell.list = RIALTO_BOUND_MAX;
    set_bounds(0, RIALTO_BOUND_MAX);
    terms.multiplier_e4[2] = UINT16_MAX; /* x 6.5535 is beyond the ceiling, and beyond 64 bits on the way */
    expect(RIALTO_BOUND_MAX, RIALTO_FLAG_BOUNDED, 0);
    terms.multiplier_e4[2] = 5000; /* 2^48 - 1 is odd: half of it ends in .5, and 2^47 is the even neighbour */
    expect(INT64_C(1) << 47, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

/* ---- terms that do not count -------------------------------------------------------------------------- */

static void expect_neutral(void)
{
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    in.offer = &offer;
    expect(1000, RIALTO_FLAG_NEUTRAL, 0);
    cr_expect_eq(q.multiplier_e4, 10000);
    cr_expect_eq(q.valid_until_ms, 0);
}

Test(quote, terms_past_their_until_are_neutral)
{
    terms.until_s = LATER;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000));
    terms.until_s = NOW_S;
    expect_neutral();
}

Test(quote, terms_of_another_group_map_are_neutral)
{
    in.group_map = 8;
    expect_neutral();
}

/* Goal: privacy fails closed when the customer's owner is dead or hung. */
Test(quote, terms_of_a_silent_owner_are_neutral)
{
    in.terms_age_ms = 5000;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    in.terms_age_ms = 5001;
    expect_neutral();
}

/* ---- offers ------------------------------------------------------------------------------------------- */

Test(quote, a_fixed_offer_takes_the_place_of_the_personal_amount)
{
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    expect(850, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
    offer.value = 700;
    expect(800, RIALTO_FLAG_OFFER | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PROFILE);
    offer.value = 850;
    offer.flags = RIALTO_OFFER_STACKABLE; /* means nothing for a fixed amount */
    expect(850, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
}

Test(quote, percent_and_amount_come_off_the_baseline_or_off_the_personal_amount)
{
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_PERCENT;
    offer.value = 500; /* 5 % */
    expect(950, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
    offer.flags = RIALTO_OFFER_STACKABLE; /* 900 x 0.95 */
    expect(855, RIALTO_FLAG_OFFER | RIALTO_FLAG_PERSONAL, RIALTO_KIND_PROFILE | RIALTO_KIND_PURCHASES);
    offer.kind = RIALTO_OFFER_AMOUNT_OFF;
    offer.value = 30;
    expect(870, RIALTO_FLAG_OFFER | RIALTO_FLAG_PERSONAL, RIALTO_KIND_PROFILE | RIALTO_KIND_PURCHASES);
    offer.flags = 0;
    expect(970, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
    offer.value = 5000;
    expect(800, RIALTO_FLAG_OFFER | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PROFILE);
    offer.kind = RIALTO_OFFER_PERCENT;
    offer.value = 20000; /* more than all of it */
    expect(800, RIALTO_FLAG_OFFER | RIALTO_FLAG_BOUNDED, RIALTO_KIND_PROFILE);
}

Test(quote, an_offer_that_is_not_stackable_forgets_that_the_multiplier_was_bounded)
{
    terms.multiplier_e4[2] = 5000;
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_PERCENT;
    offer.value = 500;
    expect(950, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
}

Test(quote, offers_have_a_beginning_and_an_end)
{
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    offer.until_s = LATER;
    expect(850, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000));
    offer.until_s = NOW_S;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    cr_expect_eq(q.valid_until_ms, 0);
    offer.until_s = 0;
    offer.from_s = LATER;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000), "the quote holds until the offer begins");
    offer.from_s = NOW_S;
    expect(850, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
}

Test(quote, money_in_another_currency_is_no_offer)
{
    in.offer = &offer;
    offer.currency = 978;
    offer.value = 850;
    offer.kind = RIALTO_OFFER_FIXED;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    offer.kind = RIALTO_OFFER_AMOUNT_OFF;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    offer.locked = 850;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    offer.kind = RIALTO_OFFER_PERCENT; /* percent has no currency */
    offer.value = 500;
    expect(950, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
}

Test(quote, kinds_of_offers_to_come_are_ignored)
{
    in.offer = &offer;
    offer.kind = 99;
    offer.value = 850;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

/* Goal: between a revocation and the deletion of the offers that rested on it, nobody is priced by them. */
Test(quote, an_offer_on_a_kind_of_data_that_is_not_permitted_is_none)
{
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    offer.locked = 820;
    offer.kinds = RIALTO_KIND_PROFILE | RIALTO_KIND_BEHAVIOUR;
    expect(820, RIALTO_FLAG_LOCK, 0);
    offer.locked = 0;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

Test(quote, an_offer_without_terms_is_none)
{
    in.terms = NULL;
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    offer.locked = 820;
    expect(1000, RIALTO_FLAG_ANONYMOUS, 0);
}

/* ---- locks -------------------------------------------------------------------------------------------- */

Test(quote, a_lock_only_lowers_and_may_lie_below_the_floor)
{
    in.offer = &offer;
    offer.locked = 700;
    expect(700, RIALTO_FLAG_LOCK, 0);
    offer.locked = 900;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    offer.locked = 1100;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    offer.locked = 840;
    expect(840, RIALTO_FLAG_LOCK, 0);
    offer.locked = 860;
    expect(850, RIALTO_FLAG_OFFER, RIALTO_KIND_PROFILE);
}

Test(quote, a_lock_ends)
{
    in.offer = &offer;
    offer.locked = 700;
    offer.lock_until_s = LATER;
    terms.until_s = LATER + 10;
    expect(700, RIALTO_FLAG_LOCK, 0);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000), "the first of the deadlines");
    offer.lock_until_s = BEFORE;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

/* Goal: a lock is owed. Whatever makes a price fall back to something simpler, the customer pays no more than was promised. */
Test(quote, a_lock_holds_for_a_stale_price)
{
    in.offer = &offer;
    offer.locked = 700;
    in.age_ms = 5001;
    expect(700, RIALTO_FLAG_LOCK | RIALTO_FLAG_STALE, 0);
    in.age_ms = 600001; /* past the rule's stale limit, where the price is list */
    expect(700, RIALTO_FLAG_LOCK | RIALTO_FLAG_STALE, 0);
    in.age_ms = UINT32_MAX;
    expect(700, RIALTO_FLAG_LOCK | RIALTO_FLAG_STALE, 0);
    cell.list = 650;
    expect(650, RIALTO_FLAG_STALE, 0);
}

Test(quote, a_lock_holds_in_list_mode)
{
    in.mode = RIALTO_MODE_LIST;
    in.offer = &offer;
    offer.locked = 700;
    expect(700, RIALTO_FLAG_LOCK | RIALTO_FLAG_LIST_MODE, 0);
    offer.lock_until_s = LATER;
    expect(700, RIALTO_FLAG_LOCK | RIALTO_FLAG_LIST_MODE, 0);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000));
    offer.lock_until_s = BEFORE;
    expect(1200, RIALTO_FLAG_LIST_MODE, 0);
}

Test(quote, a_lock_holds_when_the_rest_of_the_terms_is_out_of_date)
{
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    offer.locked = 820;
    in.terms_age_ms = 5001;
    expect(820, RIALTO_FLAG_LOCK | RIALTO_FLAG_NEUTRAL, 0);
    in.terms_age_ms = 0;
    terms.until_s = BEFORE;
    expect(820, RIALTO_FLAG_LOCK | RIALTO_FLAG_NEUTRAL, 0);
    terms.until_s = 0;
    in.group_map = 8;
    expect(820, RIALTO_FLAG_LOCK | RIALTO_FLAG_NEUTRAL, 0);
}

/* ---- age and mode ------------------------------------------------------------------------------------- */

Test(quote, a_stale_price_is_never_above_list)
{
    in.terms = NULL;
    in.age_ms = 5001;
    expect(1000, RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_STALE, 0);
    cell.list = 950;
    expect(950, RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_STALE, 0);
    in.age_ms = 5000;
    expect(1000, RIALTO_FLAG_ANONYMOUS, 0);
}

Test(quote, a_cell_past_its_until_is_stale_and_ages_from_there)
{
    in.terms = NULL;
    cell.until_s = LATER;
    expect(1000, RIALTO_FLAG_ANONYMOUS, 0);
    cr_expect_eq(q.valid_until_ms, LATER * INT64_C(1000));
    cell.until_s = BEFORE;
    expect(1000, RIALTO_FLAG_ANONYMOUS | RIALTO_FLAG_STALE, 0);
    cr_expect_eq(q.age_ms, 60000);
    cr_expect_eq(q.valid_until_ms, 0, "a deadline that has passed is none");
}

Test(quote, past_the_rules_stale_limit_the_amount_is_list_within_the_ceiling)
{
    in.age_ms = 600000; /* the limit to the ms */
    expect(900, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_STALE, RIALTO_KIND_PURCHASES);
    in.age_ms = 600001;
    expect(1200, RIALTO_FLAG_STALE, 0);
    set_bounds(800, 1150);
    expect(1150, RIALTO_FLAG_STALE, 0);
    cell.until_s = NOW_S - 601;
    in.age_ms = 0;
    expect(1150, RIALTO_FLAG_STALE, 0);
    rule.stale_limit_s = 0;
    expect(900, RIALTO_FLAG_PERSONAL | RIALTO_FLAG_STALE, RIALTO_KIND_PURCHASES);
}

Test(quote, a_heartbeat_that_never_came_is_list)
{
    in.age_ms = UINT32_MAX;
    expect(1200, RIALTO_FLAG_STALE, 0);
    cr_expect_eq(q.age_ms, UINT32_MAX);
}

Test(quote, list_mode_switches_everything_off_but_a_lock)
{
    in.mode = RIALTO_MODE_LIST;
    in.offer = &offer;
    offer.kind = RIALTO_OFFER_FIXED;
    offer.value = 850;
    expect(1200, RIALTO_FLAG_LIST_MODE, 0);
    set_bounds(800, 1150);
    expect(1150, RIALTO_FLAG_LIST_MODE, 0);
}

Test(quote, frozen_mode_is_the_workers_business)
{
    in.mode = RIALTO_MODE_FROZEN;
    expect(900, RIALTO_FLAG_PERSONAL, RIALTO_KIND_PURCHASES);
}

/* ---- everything together ------------------------------------------------------------------------------ */

static uint64_t random_state = 99;

static uint64_t below(uint64_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % n;
}

/* Pages take a short way where nothing but the terms plays: it must be the same quote. False where that way is not open. */
static bool expect_the_short_way(const struct rialto_quote *whole)
{
    struct quote_shared shared;
    struct rialto_quote page = *whole; /* what is where it is of */
    quote_share(&in, &shared);
    if (!quote_plain(&in, &shared))
        return false;
    memset(&page, 0xEE, offsetof(struct rialto_quote, zone));
    page.zone_level = whole->zone_level;
    page.used = 0xEE;
    quote_alike(&in, &shared, &page);
    struct draft draft = quote_draft(&in, &shared, true);
    hand_out(&in, &draft, &page);
    page.flags = draft.flags;
    cr_assert_eq(memcmp(&page, whole, sizeof page), 0, "%ld and %ld", (long)page.amount, (long)whole->amount);
    return true;
}

/* Promise 6: no price leaves its guardrails, save a lock, and it says so. */
Test(quote, bounds_hold_for_any_lines)
{
    static const uint32_t steps[] = { 0, 1, 5, 100 };
    int plain = 0;
    for (int i = 0; i < 300000; i++) {
        int64_t floor = (int64_t)below(1000), ceiling = floor + (int64_t)below(1000);
        cell.baseline = floor + (int64_t)below((uint64_t)(ceiling - floor) + 1);
        cell.list = (int64_t)below(2000) + 1;
        cell.until_s = below(3) ? 0 : (uint32_t)(NOW_S - 300 + (int64_t)below(600));
        cell.flags = (uint8_t)below(2);
        set_bounds(floor, ceiling);
        rule.ending_step = steps[below(4)];
        rule.ending_less = (uint32_t)below(3);
        rule.stale_limit_s = (uint32_t)below(100);
        terms.multiplier_e4[2] = (uint16_t)below(65536);
        offer.kind = (uint8_t)below(5);
        offer.flags = (uint8_t)below(2);
        offer.value = (int64_t)below(12000);
        offer.locked = below(4) ? 0 : (int64_t)below(1500);
        in.offer = below(2) ? &offer : NULL;
        in.age_ms = (uint32_t)below(200000);
        in.mode = (enum rialto_mode)below(3);
        quote_compose(&in, &q);
        plain += expect_the_short_way(&q);
        bool locked = (q.flags & RIALTO_FLAG_LOCK) != 0;
        cr_assert_leq(q.amount, q.ceiling);
        bool listed = q.amount == q.list && (q.flags & (RIALTO_FLAG_STALE | RIALTO_FLAG_LIST_MODE)) != 0;
        cr_assert(q.amount >= q.floor || locked || listed, "%ld under %ld", (long)q.amount, (long)q.floor);
        if ((q.flags & (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER | RIALTO_FLAG_LOCK)) == 0)
            cr_assert_eq(q.kinds, 0, "nothing personal, no kind of data");
        if ((q.flags & RIALTO_FLAG_STALE) != 0)
            cr_assert_leq(q.amount, q.list);
        if ((cell.flags & RIALTO_CELL_NEVER_ABOVE) != 0 && !listed && (q.flags & RIALTO_FLAG_LIST_MODE) == 0 &&
            (q.flags & RIALTO_FLAG_STALE) == 0)
            cr_assert_leq(q.amount, q.baseline);
    }
    cr_assert_gt(plain, 500);
}

/* Goal: endings of any step are those of a division, up to the largest amounts: a page divides by multiplying. */
Test(quote, endings_of_large_steps_and_amounts)
{
    static const uint32_t steps[] = { 2, 3, 7, 10, 4096, 65535, 65537, 999983, INT32_MAX, UINT32_MAX - 1, UINT32_MAX };
    in.mode = RIALTO_MODE_NORMAL;
    for (int i = 0; i < 400000; i++) {
        uint64_t bits = 1 + below(48);
        cell.baseline = (int64_t)(((below(1u << 24) << 24) | below(1u << 24)) & ((UINT64_C(1) << bits) - 1));
        int64_t ceiling = below(4) ? RIALTO_BOUND_MAX : cell.baseline + (int64_t)below(1000);
        int64_t floor = below(4) ? 0 : cell.baseline - (int64_t)below((uint64_t)cell.baseline % 1000 + 1);
        set_bounds(floor, ceiling > RIALTO_BOUND_MAX ? RIALTO_BOUND_MAX : ceiling);
        ceiling = (int64_t)(cell.hi_place & (uint64_t)RIALTO_BOUND_MAX);
        rule.ending_step = below(3) ? steps[below(sizeof steps / sizeof steps[0])] : (uint32_t)below(UINT32_MAX) + 1;
        rule.ending_less = below(2) ? 0 : (uint32_t)below(rule.ending_step);
        terms.multiplier_e4[2] = (uint16_t)(10001 + below(2000));
        quote_compose(&in, &q);
        (void)expect_the_short_way(&q);
        /* The multiplier by 128 bits, rounded half to even as the contract says. */
        int128 product = (int128)cell.baseline * terms.multiplier_e4[2], rest = product % 10000;
        int64_t scaled = (int64_t)(product / 10000);
        scaled += rest > 5000 || (rest == 5000 && (scaled & 1) != 0);
        cr_assert_eq(q.amount, ending_within(scaled, rule.ending_step, rule.ending_less, floor, ceiling),
                     "%ld by %u less %u in %ld to %ld", (long)scaled, rule.ending_step, rule.ending_less, (long)floor,
                     (long)ceiling);
    }
}
