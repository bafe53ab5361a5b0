/* test_terms.c - personal multipliers: each behind its consent, clamped, and neutral wherever nothing may be said. */
#include "pricing/model.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_KINDS 0xFFu

static const char text[] =
    "{\"model\": \"shop\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, "
    "\"factors\": [],"
    "\"personal\": ["
    "{\"name\": \"loyalty\", \"tier\": {\"gold\": 0.95, \"silver\": 0.97}},"
    "{\"name\": \"people\", \"segment\": {\"family\": 0.96, \"student\": 0.92, \"press\": 1.05}},"
    "{\"name\": \"spend\", \"spend\": [[100, 1], [500, 0.9]]},"
    "{\"name\": \"near\", \"zone\": {\"c1\": 0.99, \"c1/s25\": 0.98}},"
    "{\"name\": \"month\", \"month_spend_steps\": [[0, 1], [50000, 0.9]]},"
    "{\"name\": \"likes\", \"affinity_steps\": [[0, 1], [0.2, 0.97], [0.6, 0.93]]},"
    "{\"name\": \"walk\", \"distance_km_steps\": [[0, 0.96], [5, 0.98], [20, 1]], \"to\": [[52, 13], [48, 11.5]]}],"
    "\"guardrails\": {\"personal\": [0.85, 1.02], \"never_above_baseline\": false}}";

/* One model in a set, with group 3. */
static struct model_set *one_model_set(void)
{
    struct model_set *set = calloc(1, sizeof *set + sizeof set->model[0]);
    struct fault fault;
    cr_assert_eq(model_parse(text, strlen(text), "", &set->model[0], &fault), RIALTO_OK, "%s", fault.reason);
    set->model[0].group = 3;
    set->count = 1;
    return set;
}

static uint16_t multiplier(const struct terms_inputs *in, uint16_t *ret_kinds)
{
    struct model_set *set = one_model_set();
    uint16_t multipliers[RIALTO_GROUPS_MAX], kinds;
    model_terms(set, in, multipliers, &kinds);
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        cr_assert(g == 3 || multipliers[g] == 10000, "group %u is nobody's", g);
    model_set_free(set);
    if (ret_kinds != NULL)
        *ret_kinds = kinds;
    return multipliers[3];
}

static struct terms_inputs everything(void)
{
    return (struct terms_inputs){ .consent = ALL_KINDS,
                                  .tier = "gold",
                                  .segment_count = 2,
                                  .segment = { "family", "student" },
                                  .spend_currency = "EUR",
                                  .spend_micro = 300 * MICRO,
                                  .zone_count = 2,
                                  .zone = { "c1/s25", "c1" } };
}

/* ---- single rows ------------------------------------------------------------------------------------------ */

Test(terms, tiers_multiply_by_their_row)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_PROFILE, .tier = "gold" };
    cr_assert_eq(multiplier(&in, NULL), 9500);
    (void)strcpy(in.tier, "silver");
    cr_assert_eq(multiplier(&in, NULL), 9700);
    (void)strcpy(in.tier, "Gold");
    cr_assert_eq(multiplier(&in, NULL), 10000, "names are compared as they are written");
    in.tier[0] = '\0';
    cr_assert_eq(multiplier(&in, NULL), 10000);
}

/* A degree of latitude is 111.195 km: 0.04 are 4.4 km, 0.1 11.1 km, 0.2 22.2 km. */
Test(terms, the_distance_to_the_nearest_place_counts)
{
    uint16_t kinds;
    struct terms_inputs in = { .consent = RIALTO_KIND_LOCATION, .has_position = true, .position_micro = { 52040000, 13000000 } };
    cr_assert_eq(multiplier(&in, &kinds), 9600);
    cr_assert_eq(kinds, RIALTO_KIND_LOCATION);
    in.position_micro[0] = 52100000;
    cr_assert_eq(multiplier(&in, NULL), 9800);
    in.position_micro[0] = 52200000;
    cr_assert_eq(multiplier(&in, &kinds), 10000);
    cr_assert_eq(kinds, RIALTO_KIND_LOCATION, "it was read all the same");
    in.position_micro[0] = 48000000;
    in.position_micro[1] = 11510000;
    cr_assert_eq(multiplier(&in, NULL), 9600, "of several places the nearest");
    in.consent = RIALTO_KIND_PROFILE;
    cr_assert_eq(multiplier(&in, &kinds), 10000);
    cr_assert_eq(kinds, 0);
    in = (struct terms_inputs){ .consent = RIALTO_KIND_LOCATION, .zone_count = 1, .zone = { "c9" } };
    cr_assert_eq(multiplier(&in, NULL), 10000, "where the zone lies is not known");
}

Test(terms, the_most_favourable_segment_counts)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_PROFILE,
                               .segment_count = 3,
                               .segment = { "press", "student", "family" } };
    cr_assert_eq(multiplier(&in, NULL), 9200);
    in.segment_count = 1;
    cr_assert_eq(multiplier(&in, NULL), 10200, "1.05, clamped to the largest personal multiplier");
    (void)strcpy(in.segment[0], "unheard-of");
    cr_assert_eq(multiplier(&in, NULL), 10000);
    in.segment_count = UINT32_MAX; /* a damaged count reads no further than the array */
    cr_assert_eq(multiplier(&in, NULL), 9200);
}

Test(terms, money_spent_in_another_currency_says_nothing)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_PURCHASES, .spend_currency = "GBP", .spend_micro = 500 * MICRO };
    uint16_t kinds = 0;
    cr_assert_eq(multiplier(&in, &kinds), 10000);
    cr_assert_eq(kinds, 0);
}

Test(terms, spend_runs_along_its_curve)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_PURCHASES, .spend_currency = "EUR" };
    const int64_t spends[] = { -5, 0, 100, 200, 300, 500, 1000000 },
                  expected[] = { 10000, 10000, 10000, 9750, 9500, 9000, 9000 };
    for (size_t i = 0; i < sizeof spends / sizeof spends[0]; i++) {
        in.spend_micro = spends[i] * MICRO;
        cr_assert_eq(multiplier(&in, NULL), expected[i], "spent %ld", (long)spends[i]);
    }
    in.spend_micro = INT64_MAX;
    cr_assert_eq(multiplier(&in, NULL), 9000);
    in.spend_currency[0] = '\0';
    cr_assert_eq(multiplier(&in, NULL), 10000);
}

Test(terms, the_nearest_named_zone_counts)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_LOCATION, .zone_count = 2, .zone = { "c1/s25", "c1" } };
    cr_assert_eq(multiplier(&in, NULL), 9800);
    (void)strcpy(in.zone[0], "c1/s26");
    cr_assert_eq(multiplier(&in, NULL), 9900, "the zone around it");
    (void)strcpy(in.zone[1], "c10");
    cr_assert_eq(multiplier(&in, NULL), 10000, "c1 is no prefix of names, it is a zone");
    in.zone_count = 0;
    cr_assert_eq(multiplier(&in, NULL), 10000);
}

Test(terms, rows_multiply_and_are_clamped)
{
    struct terms_inputs in = everything();
    in.segment_count = 1; /* 0.95 x 0.96 x 0.95 x 0.98 = 0.849072 */
    cr_assert_eq(multiplier(&in, NULL), 8500);
    in.zone_count = 0; /* 0.8664 */
    cr_assert_eq(multiplier(&in, NULL), 8664);
    (void)strcpy(in.tier, "silver"); /* 0.97 x 0.96 x 0.95 = 0.88464, half to even at 1e-4 */
    cr_assert_eq(multiplier(&in, NULL), 8846);
}

/* ---- consent ---------------------------------------------------------------------------------------------- */

Test(terms, without_consent_everything_is_neutral)
{
    struct terms_inputs in = everything();
    in.consent = 0;
    uint16_t kinds = 77;
    cr_assert_eq(multiplier(&in, &kinds), 10000);
    cr_assert_eq(kinds, 0);
    in.consent = RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PARTNER; /* permitted, but nothing reads them */
    cr_assert_eq(multiplier(&in, &kinds), 10000);
    cr_assert_eq(kinds, 0);
}

Test(terms, kinds_say_what_was_read)
{
    const uint8_t kinds_of_rows[] = { RIALTO_KIND_PROFILE, RIALTO_KIND_PURCHASES, RIALTO_KIND_LOCATION };
    for (unsigned choice = 0; choice < 8; choice++) {
        struct terms_inputs in = everything();
        in.consent = 0;
        for (unsigned i = 0; i < 3; i++)
            in.consent |= (uint8_t)((choice >> i) & 1u ? kinds_of_rows[i] : 0);
        uint16_t kinds;
        uint16_t m = multiplier(&in, &kinds);
        cr_assert_eq(kinds, in.consent);
        cr_assert_eq(m == 10000, choice == 0);
    }
    struct terms_inputs nothing = { .consent = ALL_KINDS };
    uint16_t kinds;
    cr_assert_eq(multiplier(&nothing, &kinds), 10000);
    cr_assert_eq(kinds, 0, "permitted, but there was nothing to read");
}

/* Goal: what others say is read with consent to partner data only, and then the kinds say so. */
Test(terms, others_word_needs_consent_to_partner_data)
{
    const uint8_t own = RIALTO_KIND_PROFILE | RIALTO_KIND_PURCHASES, all = own | RIALTO_KIND_PARTNER;
    for (uint8_t party = PARTY_ZERO; party <= PARTY_THIRD; party++) {
        bool other = party == PARTY_SECOND || party == PARTY_THIRD;
        struct terms_inputs in[3] = {
            { .tier = "silver", .tier_party = party },
            { .segment_count = 2, .segment = { "family", "student" }, .segment_party = { PARTY_FIRST, party } },
            { .spend_currency = "EUR", .spend_micro = 500 * MICRO, .spend_party = party },
        };
        const uint16_t with[3] = { 9700, 9200, 9000 }, without[3] = { 10000, 9600, 10000 };
        for (int i = 0; i < 3; i++) {
            uint16_t kinds, kind = i < 2 ? RIALTO_KIND_PROFILE : RIALTO_KIND_PURCHASES;
            in[i].consent = own;
            cr_expect_eq(multiplier(&in[i], &kinds), other ? without[i] : with[i], "party %u, %d", party, i);
            cr_expect_eq(kinds, other && i != 1 ? 0 : kind);
            in[i].consent = all;
            cr_expect_eq(multiplier(&in[i], &kinds), with[i], "party %u, %d", party, i);
            cr_expect_eq(kinds, kind | (other ? RIALTO_KIND_PARTNER : 0));
        }
    }
}

/* "10 % from 50,000 a month on", in a currency that the model prices in. */
Test(terms, spend_of_the_month_steps_down_at_its_points)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_PURCHASES, .month_currency = "EUR", .month_micro = 49999990000 };
    uint16_t kinds;
    cr_expect_eq(multiplier(&in, &kinds), 10000);
    cr_expect_eq(kinds, RIALTO_KIND_PURCHASES, "it was read");
    in.month_micro = 50000 * MICRO;
    cr_expect_eq(multiplier(&in, &kinds), 9000);
    memcpy(in.month_currency, "GBP", 4);
    cr_expect_eq(multiplier(&in, &kinds), 10000);
    cr_expect_eq(kinds, 0);
    memcpy(in.month_currency, "EUR", 4);
    in.consent = (uint8_t)~RIALTO_KIND_PURCHASES;
    cr_expect_eq(multiplier(&in, &kinds), 10000);
    cr_expect_eq(kinds, 0);
}

#define LIKES                                                                                                          \
    "{\"model\": \"m\", \"version\": \"1\", \"scope\": {\"categories\": [\"*\"], \"currencies\": [\"EUR\"]}, \"factors\": []," \
    "\"affinity\": {\"prior_events\": 2}, \"age_limits\": {\"affinity\": \"10d\"},"                                    \
    "\"personal\": [{\"name\": \"likes\", \"affinity\": [[0, 1], [0.25, 0.95], [0.75, 0.9]]}]}"

static struct terms_row likes(const struct terms_inputs *in, uint8_t group)
{
    static struct model model;
    struct fault fault;
    struct terms_row row[MODEL_PERSONAL_MAX];
    cr_assert_eq(model_parse(LIKES, strlen(LIKES), "", &model, &fault), RIALTO_OK, "%s", fault.reason);
    model.group = group;
    model_terms_rows(&model, in, row);
    return row[0];
}

/* By hand, prior 2: behaviour 2 here of 4 in all, purchases 2 here of 2: both 4 / (6 + 2) = 0.5 -> 0.925, behaviour alone 2 / 6 = 1/3 ->
 * 0.95 - 0.05 x (1/3 - 1/4) x 2 = 0.941667, purchases alone 2 / 4 = 0.5 -> 0.925. */
Test(terms, affinity_is_the_share_of_what_is_permitted_and_young_enough)
{
    struct terms_inputs in = { .consent = RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES };
    in.affinity.micro[AFFINITY_BEHAVIOUR][3] = 2 * MICRO;
    in.affinity.micro[AFFINITY_BEHAVIOUR][AFFINITY_ELSEWHERE] = 2 * MICRO;
    in.affinity.micro[AFFINITY_PURCHASES][3] = 2 * MICRO;
    struct terms_row row = likes(&in, 3);
    cr_expect(row.permitted && row.read && row.value_micro == 925000, "%lld", (long long)row.value_micro);
    cr_expect_eq(row.kinds, RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES);
    row = likes(&in, 4);
    cr_expect(row.read && row.value_micro == MICRO, "something is known, and none of it of this group");
    in.consent = RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PROFILE;
    row = likes(&in, 3);
    cr_expect(row.value_micro == 941667 && row.kinds == RIALTO_KIND_BEHAVIOUR, "%lld", (long long)row.value_micro);
    in.consent = RIALTO_KIND_PURCHASES;
    row = likes(&in, 3);
    cr_expect(row.value_micro == 925000 && row.kinds == RIALTO_KIND_PURCHASES);
    in.consent = (uint8_t)~(RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES);
    row = likes(&in, 3);
    cr_expect(!row.permitted && !row.read && row.kinds == 0 && row.value_micro == MICRO);
    in.consent = RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES;
    in.affinity.age_ms[AFFINITY_BEHAVIOUR] = INT64_C(10) * 86400000;
    row = likes(&in, 3);
    cr_expect(row.value_micro == 925000 && row.kinds == RIALTO_KIND_PURCHASES, "as old as the limit: it says nothing");
    in.affinity.age_ms[AFFINITY_BEHAVIOUR]--;
    cr_expect_eq(likes(&in, 3).kinds, RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES);
    memset(&in.affinity, 0, sizeof in.affinity);
    row = likes(&in, 3);
    cr_expect(row.permitted && !row.read && row.kinds == 0, "nothing is known");
}

static void scramble_word(uint64_t *seed, char *word, size_t size)
{
    static const char *const words[] = { "", "gold", "silver", "family", "student", "press", "c1", "c1/s25", "x" };
    (void)snprintf(word, size, "%s", words[random_next(seed) % 9]);
}

static void scramble_affinity(uint64_t *seed, struct terms_inputs *in, enum affinity_part part)
{
    memset(in->affinity.micro[part], 0, sizeof in->affinity.micro[part]);
    for (int i = 0; i < 3; i++)
        in->affinity.micro[part][random_between(seed, 2, 4)] = random_between(seed, 0, 9 * MICRO);
    in->affinity.age_ms[part] = random_between(seed, 0, INT64_C(190) * 86400000);
}

/* Everything that belongs to one kind becomes something else, or nothing. */
static void scramble_kind(uint64_t *seed, struct terms_inputs *in, uint8_t kind)
{
    if (kind == RIALTO_KIND_PROFILE) {
        scramble_word(seed, in->tier, sizeof in->tier);
        in->segment_count = (uint32_t)random_between(seed, 0, TERMS_SEGMENTS_MAX);
        for (uint32_t i = 0; i < TERMS_SEGMENTS_MAX; i++)
            scramble_word(seed, in->segment[i], sizeof in->segment[i]);
    } else if (kind == RIALTO_KIND_PURCHASES) {
        memcpy(in->spend_currency, random_next(seed) % 2 ? "EUR" : "GBP", 4);
        if (random_next(seed) % 4 == 0)
            in->spend_currency[0] = 0;
        in->spend_micro = random_between(seed, -MICRO, 1000 * MICRO);
        memcpy(in->month_currency, in->spend_currency, sizeof in->month_currency);
        in->month_micro = random_between(seed, 0, 100000 * MICRO);
        scramble_affinity(seed, in, AFFINITY_PURCHASES);
    } else if (kind == RIALTO_KIND_BEHAVIOUR) {
        scramble_affinity(seed, in, AFFINITY_BEHAVIOUR);
    } else {
        in->zone_count = (uint32_t)random_between(seed, 0, RIALTO_ZONE_LEVELS - 1);
        for (uint32_t i = 0; i < RIALTO_ZONE_LEVELS - 1; i++)
            scramble_word(seed, in->zone[i], sizeof in->zone[i]);
    }
}

/* Goal: who a customer is and what is known about them never moves a price without consent for that kind of data. */
Test(terms, data_that_are_not_permitted_change_nothing)
{
    struct model_set *set = one_model_set();
    const uint8_t kinds_of_rows[] = { RIALTO_KIND_PROFILE, RIALTO_KIND_PURCHASES, RIALTO_KIND_LOCATION,
                                      RIALTO_KIND_BEHAVIOUR };
    uint64_t seed = 41;
    int moved = 0;
    for (int round = 0; round < 100000; round++) {
        struct terms_inputs in = { .consent = (uint8_t)random_next(&seed) };
        for (int i = 0; i < 4; i++)
            scramble_kind(&seed, &in, kinds_of_rows[i]);
        struct terms_inputs other = in;
        for (int i = 0; i < 4; i++)
            if (!(in.consent & kinds_of_rows[i]))
                scramble_kind(&seed, &other, kinds_of_rows[i]);
        uint16_t a[RIALTO_GROUPS_MAX], b[RIALTO_GROUPS_MAX], kinds_a, kinds_b;
        model_terms(set, &in, a, &kinds_a);
        model_terms(set, &other, b, &kinds_b);
        cr_assert_arr_eq(a, b, sizeof a);
        cr_assert_eq(kinds_a, kinds_b);
        cr_assert_eq(kinds_a & ~in.consent, 0, "no kind is read that is not permitted");
        cr_assert(a[3] >= 8500 && a[3] <= 10200, "%u is outside the personal bounds", a[3]);
        moved += a[3] != 10000;
    }
    cr_assert_gt(moved, 10000);
    model_set_free(set);
}
