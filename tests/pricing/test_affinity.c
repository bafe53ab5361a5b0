/* test_affinity.c - decayed counts by price group: against the closed form, and what taking a part away leaves. */
#include "pricing/affinity.h"
#include "pricing/fixed.h"
#include "tests/pricing/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S  86400
#define DAY_MS INT64_C(86400000)
#define NOW_MS INT64_C(1796000000000)
#define PRIOR  (3 * MICRO)
#define BOTH   3u

static const struct affinity_settings month = { .half_life_s = 30 * DAY_S,
                                                .prior_micro = PRIOR,
                                                .weight_micro = { MICRO / 10, MICRO / 2, MICRO } };

static struct affinity_counts counts_at(const struct affinity *affinity, uint16_t phase, int64_t t_ms)
{
    struct affinity_counts counts;
    affinity_read(affinity, phase, t_ms, &counts);
    return counts;
}

/* Sums of w x 2^((k - K) / 8) with k = floor((t + phase) / step), computed with 60 decimal digits (Python's decimal), to the nearest
 * millionth; last, (n1 of both parts) / (n of all + 3). The phase is FNV-1a of the name, computed there too. */
static const struct closed_form {
    const char *who;
    uint16_t phase;
    uint32_t half_life_s, count;
    int64_t at_ms;
    struct affinity_act act[24];
    int64_t n_micro[AFFINITY_PARTS][3], share_micro;
} closed_form[] = {
    /* clang-format off */
    { "ann", 33353, 2592000, 6, INT64_C(1799894113871),
      { { AFFINITY_ORDER, 1, INT64_C(1796158447556) }, { AFFINITY_ORDER, 0, INT64_C(1797298423718) },
        { AFFINITY_CART, 1, INT64_C(1796716985881) }, { AFFINITY_CART, 0, INT64_C(1797018920362) },
        { AFFINITY_VIEW, 1, INT64_C(1799418451713) }, { AFFINITY_VIEW, 2, INT64_C(1796146644374) } },
      { { 229251, 301925, 38555 }, { 500000, 385553, 0 } }, 154306 },
    { "bob", 23882, 2592000, 12, INT64_C(1814368547990),
      { { AFFINITY_VIEW, 2, INT64_C(1811673914873) }, { AFFINITY_VIEW, 1, INT64_C(1799642867605) },
        { AFFINITY_CART, 2, INT64_C(1807802235789) }, { AFFINITY_VIEW, 2, INT64_C(1809019449934) },
        { AFFINITY_CART, 0, INT64_C(1809610651096) }, { AFFINITY_ORDER, 0, INT64_C(1809475844544) },
        { AFFINITY_ORDER, 2, INT64_C(1798262665795) }, { AFFINITY_VIEW, 1, INT64_C(1797144430991) },
        { AFFINITY_CART, 0, INT64_C(1798913645251) }, { AFFINITY_VIEW, 0, INT64_C(1798470002419) },
        { AFFINITY_CART, 0, INT64_C(1799010658758) }, { AFFINITY_CART, 2, INT64_C(1805781838506) } },
      { { 153371, 2871, 205358 }, { 272627, 0, 13139 } }, 787 },
    { "C123", 55873, 3600, 8, INT64_C(1796090128422),
      { { AFFINITY_VIEW, 2, INT64_C(1796001609117) }, { AFFINITY_VIEW, 1, INT64_C(1796041963416) },
        { AFFINITY_ORDER, 1, INT64_C(1796071357432) }, { AFFINITY_VIEW, 1, INT64_C(1796039788311) },
        { AFFINITY_CART, 0, INT64_C(1796030513460) }, { AFFINITY_CART, 0, INT64_C(1796013300955) },
        { AFFINITY_CART, 0, INT64_C(1796082261440) }, { AFFINITY_VIEW, 0, INT64_C(1796079211551) } },
      { { 116580, 16, 0 }, { 0, 26278, 0 } }, 8366 },
    { "x", 52010, 604800, 20, INT64_C(1803343076063),
      { { AFFINITY_ORDER, 0, INT64_C(1800176153889) }, { AFFINITY_CART, 0, INT64_C(1797150470483) },
        { AFFINITY_VIEW, 1, INT64_C(1800292725805) }, { AFFINITY_ORDER, 0, INT64_C(1800134816247) },
        { AFFINITY_CART, 0, INT64_C(1797662959014) }, { AFFINITY_ORDER, 2, INT64_C(1797282389815) },
        { AFFINITY_VIEW, 0, INT64_C(1796136347092) }, { AFFINITY_ORDER, 2, INT64_C(1797357741808) },
        { AFFINITY_CART, 1, INT64_C(1797561360852) }, { AFFINITY_ORDER, 2, INT64_C(1798065620954) },
        { AFFINITY_ORDER, 1, INT64_C(1797886089634) }, { AFFINITY_CART, 0, INT64_C(1796573867835) },
        { AFFINITY_VIEW, 0, INT64_C(1799466933471) }, { AFFINITY_VIEW, 0, INT64_C(1797995123172) },
        { AFFINITY_VIEW, 2, INT64_C(1796286974772) }, { AFFINITY_CART, 0, INT64_C(1799047432397) },
        { AFFINITY_ORDER, 2, INT64_C(1799513527687) }, { AFFINITY_CART, 2, INT64_C(1799120925649) },
        { AFFINITY_ORDER, 1, INT64_C(1798398034501) }, { AFFINITY_VIEW, 0, INT64_C(1799268101774) } },
      { { 7325, 3816, 3938 }, { 52556, 5535, 16413 } }, 3027 },
    { "customer-with-a-long-name-0001", 40704, 31536000, 10, INT64_C(1877877568939),
      { { AFFINITY_VIEW, 2, INT64_C(1802549686067) }, { AFFINITY_VIEW, 0, INT64_C(1837104300245) },
        { AFFINITY_VIEW, 0, INT64_C(1804787548624) }, { AFFINITY_VIEW, 1, INT64_C(1830697348162) },
        { AFFINITY_ORDER, 2, INT64_C(1830214111994) }, { AFFINITY_CART, 2, INT64_C(1840359376825) },
        { AFFINITY_VIEW, 0, INT64_C(1844758232062) }, { AFFINITY_VIEW, 1, INT64_C(1796613534814) },
        { AFFINITY_CART, 1, INT64_C(1800226890827) }, { AFFINITY_CART, 0, INT64_C(1823607540745) } },
      { { 275172, 152621, 248529 }, { 0, 0, 353553 } }, 37872 },
    { "eve", 14654, 86400, 24, INT64_C(1799108160195),
      { { AFFINITY_VIEW, 2, INT64_C(1797186758041) }, { AFFINITY_CART, 0, INT64_C(1797732598548) },
        { AFFINITY_ORDER, 0, INT64_C(1798001868187) }, { AFFINITY_VIEW, 1, INT64_C(1796878520583) },
        { AFFINITY_ORDER, 2, INT64_C(1797580651851) }, { AFFINITY_VIEW, 2, INT64_C(1797326096845) },
        { AFFINITY_VIEW, 0, INT64_C(1798489821188) }, { AFFINITY_CART, 1, INT64_C(1796371523061) },
        { AFFINITY_ORDER, 0, INT64_C(1797635582117) }, { AFFINITY_VIEW, 0, INT64_C(1798496028145) },
        { AFFINITY_VIEW, 2, INT64_C(1796488570547) }, { AFFINITY_VIEW, 0, INT64_C(1796066359306) },
        { AFFINITY_ORDER, 0, INT64_C(1797668697297) }, { AFFINITY_CART, 1, INT64_C(1798541962155) },
        { AFFINITY_VIEW, 2, INT64_C(1798044085001) }, { AFFINITY_CART, 1, INT64_C(1796968757597) },
        { AFFINITY_VIEW, 0, INT64_C(1798125782341) }, { AFFINITY_VIEW, 2, INT64_C(1796843253653) },
        { AFFINITY_ORDER, 0, INT64_C(1797129639488) }, { AFFINITY_ORDER, 0, INT64_C(1796777102478) },
        { AFFINITY_ORDER, 0, INT64_C(1796183198775) }, { AFFINITY_VIEW, 1, INT64_C(1797154303625) },
        { AFFINITY_ORDER, 0, INT64_C(1798585592505) }, { AFFINITY_VIEW, 2, INT64_C(1798019136139) } },
      { { 1478, 5066, 35 }, { 14478, 0, 5 } }, 1677 },
    /* clang-format on */
};

Test(affinity, counts_and_shares_are_those_of_the_closed_form)
{
    for (size_t i = 0; i < sizeof closed_form / sizeof closed_form[0]; i++) {
        const struct closed_form *c = &closed_form[i];
        struct affinity_settings settings = month;
        struct affinity affinity = { 0 };
        settings.half_life_s = c->half_life_s;
        cr_assert_eq(affinity_phase(c->who), c->phase, "%s: %u", c->who, affinity_phase(c->who));
        for (uint32_t e = 0; e < c->count; e++)
            (void)affinity_add(&affinity, &settings, c->phase, &c->act[e]);
        struct affinity_counts counts = counts_at(&affinity, c->phase, c->at_ms);
        /* Each addend, each half-life's shift and the reading round down by less than 2^-16 of an event, that is 16 millionths. */
        const int64_t slack = 16 * (c->count + 4);
        for (int part = 0; part < AFFINITY_PARTS; part++)
            for (int slot = 0; slot < 3; slot++) {
                int64_t less = c->n_micro[part][slot] - counts.micro[part][slot];
                cr_expect(less >= -1 && less <= slack, "%s: part %d, group %d is %lld off", c->who, part, slot,
                          (long long)less);
            }
        int64_t off = affinity_share(&counts, BOTH, 1, PRIOR) - c->share_micro;
        cr_expect(off >= -slack / 3 - 1 && off <= slack / 3 + 1, "%s: the share is %lld off", c->who, (long long)off);
    }
}

/* By hand: an order in group 1 now, a cart in group 2 one half-life ago, eight views in group 1 two half-lives ago:
 * n1 = 1 + 0.8 / 4 = 1.2, n2 = 0.25, so 1.2 / (1.45 + 3) = 0.269663, and of purchases alone 1 / 4. */
Test(affinity, can_be_checked_by_hand)
{
    struct affinity affinity = { 0 };
    const struct affinity_act order = { AFFINITY_ORDER, 1, NOW_MS }, cart = { AFFINITY_CART, 2, NOW_MS - 30 * DAY_MS },
                              view = { AFFINITY_VIEW, 1, NOW_MS - 60 * DAY_MS };
    for (int i = 0; i < 8; i++)
        cr_expect(affinity_add(&affinity, &month, 0, &view));
    cr_expect(affinity_add(&affinity, &month, 0, &cart));
    cr_expect(affinity_add(&affinity, &month, 0, &order));
    struct affinity_counts counts = counts_at(&affinity, 0, NOW_MS);
    cr_expect(llabs((long long)affinity_share(&counts, BOTH, 1, PRIOR) - 269663) <= 30);
    cr_expect(llabs((long long)affinity_share(&counts, 1u << AFFINITY_PURCHASES, 1, PRIOR) - 250000) <= 10);
    cr_expect_eq(affinity_share(&counts, BOTH, 3, PRIOR), 0, "something is known, and none of it there");
    cr_expect_eq(affinity_share(&counts, 0, 1, PRIOR), -1);
}

Test(affinity, changes_nothing_within_an_eighth_and_fades_from_one_to_the_next)
{
    const uint32_t step_ms = 30 * DAY_S * 125;
    for (uint32_t phase = 0; phase < 65536; phase += 4111) {
        struct affinity affinity = { 0 };
        const struct affinity_act order = { AFFINITY_ORDER, 1, NOW_MS };
        cr_assert(affinity_add(&affinity, &month, (uint16_t)phase, &order));
        uint32_t eighth = affinity_eighth(month.half_life_s, (uint16_t)phase, NOW_MS);
        int64_t begin_ms = affinity_eighth_ms(month.half_life_s, (uint16_t)phase, eighth), before = INT64_MAX;
        cr_expect(begin_ms <= NOW_MS && begin_ms > NOW_MS - step_ms);
        for (int64_t k = 0; k < 200; k++, begin_ms += step_ms) {
            struct affinity_counts first = counts_at(&affinity, (uint16_t)phase, begin_ms),
                                   last = counts_at(&affinity, (uint16_t)phase, begin_ms + step_ms - 1);
            cr_assert_arr_eq(&first, &last, sizeof first);
            cr_assert(first.micro[AFFINITY_PURCHASES][1] < before ||
                          (before < 100 && first.micro[AFFINITY_PURCHASES][1] == before),
                      "it grew");
            cr_assert_eq(first.age_ms[AFFINITY_PURCHASES], first.micro[AFFINITY_PURCHASES][1] > 0 ? k * step_ms : 0);
            before = first.micro[AFFINITY_PURCHASES][1];
        }
        cr_expect_eq(before, 0, "after 25 half-lives it is gone");
        struct affinity_counts past = counts_at(&affinity, (uint16_t)phase, NOW_MS - 90 * DAY_MS);
        cr_expect_lt(past.micro[AFFINITY_PURCHASES][1], 2 * MICRO, "asking about the past reads as of the landmark");
    }
}

static struct affinity_act random_act(uint64_t *dice)
{
    return (struct affinity_act){ .event = (enum affinity_event)random_between(dice, 0, AFFINITY_EVENTS - 1),
                                  .slot = (uint32_t)random_between(dice, 0, AFFINITY_ELSEWHERE),
                                  .t_ms = NOW_MS - random_between(dice, 0, 100 * DAY_MS) };
}

/* Goal: taking back a consent leaves what there would be had that kind of event never been seen, to the bit. */
Test(affinity, a_part_that_is_forgotten_leaves_no_trace_in_the_other)
{
    uint64_t dice = 7;
    for (int round = 0; round < 2000; round++) {
        struct affinity all = { 0 }, only[AFFINITY_PARTS] = { 0 };
        struct affinity_settings settings = month;
        uint16_t phase = (uint16_t)random_next(&dice);
        for (int i = 0; i < 30; i++) {
            struct affinity_act act = random_act(&dice);
            settings.half_life_s = i < 15 ? 30 * DAY_S : 7 * DAY_S; /* edited in between */
            (void)affinity_add(&all, &settings, phase, &act);
            (void)affinity_add(&only[affinity_part_of(act.event)], &settings, phase, &act);
        }
        for (int part = 0; part < AFFINITY_PARTS; part++) {
            struct affinity left = all;
            affinity_forget(&left, (enum affinity_part)part);
            cr_assert_arr_eq(&left, &only[1 - part], sizeof left);
            cr_assert_not(affinity_has(&left, (enum affinity_part)part));
            affinity_forget(&left, (enum affinity_part)(1 - part));
            cr_assert(affinity_is_none(&left));
        }
    }
}

Test(affinity, the_order_of_events_changes_nothing_but_the_last_bits)
{
    uint64_t dice = 11;
    for (int round = 0; round < 500; round++) {
        struct affinity_act act[20];
        struct affinity there = { 0 }, back = { 0 };
        uint16_t phase = (uint16_t)random_next(&dice);
        for (int i = 0; i < 20; i++)
            act[i] = random_act(&dice);
        for (int i = 0; i < 20; i++) {
            (void)affinity_add(&there, &month, phase, &act[i]);
            (void)affinity_add(&back, &month, phase, &act[19 - i]);
        }
        struct affinity_counts a = counts_at(&there, phase, NOW_MS), b = counts_at(&back, phase, NOW_MS);
        for (int part = 0; part < AFFINITY_PARTS; part++)
            for (unsigned slot = 0; slot < AFFINITY_SLOTS; slot++)
                cr_assert(llabs((long long)(a.micro[part][slot] - b.micro[part][slot])) <= 20 * 16);
        cr_assert_arr_eq(a.age_ms, b.age_ms, sizeof a.age_ms);
    }
}

Test(affinity, an_edited_half_life_keeps_the_counts_that_there_are)
{
    struct affinity affinity = { 0 };
    struct affinity_settings week = month;
    const struct affinity_act first = { AFFINITY_ORDER, 1, NOW_MS - 30 * DAY_MS }, now = { AFFINITY_ORDER, 2, NOW_MS };
    week.half_life_s = 7 * DAY_S;
    (void)affinity_add(&affinity, &month, 0, &first);
    (void)affinity_add(&affinity, &week, 0, &now);
    struct affinity_counts counts = counts_at(&affinity, 0, NOW_MS),
                           later = counts_at(&affinity, 0, NOW_MS + 7 * DAY_MS);
    cr_expect(llabs((long long)counts.micro[AFFINITY_PURCHASES][1] - MICRO / 2) < 50, "%lld",
              (long long)counts.micro[AFFINITY_PURCHASES][1]);
    cr_expect(llabs((long long)later.micro[AFFINITY_PURCHASES][1] - MICRO / 4) < 50);
    cr_expect(llabs((long long)later.micro[AFFINITY_PURCHASES][2] - MICRO / 2) < 50);
}

Test(affinity, what_weighs_nothing_is_not_kept_and_sums_saturate)
{
    struct affinity affinity = { 0 };
    struct affinity_settings settings = month;
    settings.weight_micro[AFFINITY_VIEW] = 0;
    cr_expect_not(affinity_add(&affinity, &settings, 0, &(struct affinity_act){ AFFINITY_VIEW, 1, NOW_MS }));
    cr_expect(affinity_is_none(&affinity));
    settings.weight_micro[AFFINITY_CART] = 100 * MICRO;
    for (int i = 0; i < 2000; i++)
        (void)affinity_add(&affinity, &settings, 0,
                           &(struct affinity_act){ AFFINITY_CART, AFFINITY_ELSEWHERE, NOW_MS });
    struct affinity_counts counts = counts_at(&affinity, 0, NOW_MS);
    cr_expect_leq(counts.micro[AFFINITY_BEHAVIOUR][AFFINITY_ELSEWHERE], 65536 * MICRO);
    cr_expect_geq(counts.micro[AFFINITY_BEHAVIOUR][AFFINITY_ELSEWHERE], 32767 * MICRO,
                  "up to a half-life of growth is room");
    struct affinity before = affinity;
    cr_expect_not(
        affinity_add(&affinity, &settings, 0, &(struct affinity_act){ AFFINITY_CART, 1, NOW_MS - 3000 * DAY_MS }),
        "too long ago");
    cr_expect_arr_eq(&affinity, &before, sizeof before);
}

Test(affinity, groups_that_nothing_asks_about_go_elsewhere_and_stay_in_the_total)
{
    struct affinity affinity = { 0 };
    for (uint32_t slot = 0; slot < 3; slot++)
        (void)affinity_add(&affinity, &month, 0, &(struct affinity_act){ AFFINITY_ORDER, slot, NOW_MS });
    int64_t before = affinity_share(&(struct affinity_counts){ 0 }, BOTH, 1, PRIOR);
    cr_expect_eq(before, -1);
    struct affinity_counts counts = counts_at(&affinity, 0, NOW_MS);
    before = affinity_share(&counts, BOTH, 1, PRIOR);
    affinity_keep(&affinity, 1u << 1);
    counts = counts_at(&affinity, 0, NOW_MS);
    cr_expect_eq(counts.micro[AFFINITY_PURCHASES][0] + counts.micro[AFFINITY_PURCHASES][2], 0);
    cr_expect(llabs((long long)(affinity_share(&counts, BOTH, 1, PRIOR) - before)) <= 2);
}

/* Whatever bytes somebody wrote into Redis: no count is negative, no share outside 0..1, nothing overflows. */
Test(affinity, healed_records_of_any_bytes_are_harmless)
{
    uint64_t dice = 13;
    int kept = 0;
    for (int round = 0; round < 100000; round++) {
        struct affinity affinity;
        uint64_t word[sizeof affinity / 8];
        for (size_t i = 0; i < sizeof word / 8; i++)
            word[i] = random_next(&dice) & random_next(&dice) & (round % 3 ? UINT64_C(0x01FFFFF801FFFFFF) : UINT64_MAX);
        memcpy(&affinity, word, sizeof affinity);
        affinity_heal(&affinity);
        kept += !affinity_is_none(&affinity);
        uint16_t phase = (uint16_t)random_next(&dice);
        int64_t at_ms = random_between(&dice, -1, INT64_C(40000000000000));
        struct affinity_counts counts = counts_at(&affinity, phase, at_ms);
        for (unsigned parts = 0; parts <= BOTH; parts++) {
            int64_t share = affinity_share(&counts, parts, 5, PRIOR);
            cr_assert(share >= -1 && share <= MICRO);
        }
        (void)affinity_add(&affinity, &month, phase, &(struct affinity_act){ AFFINITY_VIEW, 3, at_ms });
    }
    cr_expect_gt(kept, 1000);
}
