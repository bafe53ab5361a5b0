/* test_recording.c - the merged stream: order, weekdays, consent, and that the service understands every line. */
#include "demo/names.h"
#include "demo/shoppers.h"
#include "demo/tape.h"
#include "service/signal.h"
#include "tests/demo/files.h"

static const struct tape_source bundled = { BUNDLED_FRESH, BUNDLED_RETAIL, NULL };
static struct fault fault;

/* The rules that hold on the day the tape is played; ticks lead, so nothing comes from the future. */
static const struct signal_rules rules_of_day = {
    .levels = { .geohash_lengths = { 3, 5 }, .path_depths = { 1, 2, 3 } },
    .age_max_ms = 604800000,
    .future_max_ms = 60000,
};

Test(recording, the_service_understands_every_bundled_signal, .timeout = 120)
{
    struct tape *tape;
    cr_assert_eq(tape_open(&bundled, &tape, &fault), RIALTO_OK, "%s", fault.reason);
    tape_move(tape, 137 * WEEK_MS);
    struct names *ids = names_create();
    struct signal_rules rules = rules_of_day;
    struct tape_line line;
    enum recorded_next got;
    uint32_t signals = 0, orders_of_rank[RANK_COUNT] = { 0 };
    while ((got = tape_next(tape, &line, &fault)) == RECORDED_ITEM) {
        cJSON *object = json_parse(line.text, line.bytes, 0, &fault);
        cr_assert_not_null(object, "%s: %s", line.text, fault.reason);
        if (line.is_tick) {
            cr_assert_gt(line.at_ms, rules.now_ms);
            rules.now_ms = line.at_ms;
        } else {
            static struct signal signal;
            enum signal_reason reason = signal_parse(object, &rules, &signal, &fault);
            cr_assert_eq(reason, REASON_none, "%s: %s %s", line.text, fault.pointer, fault.reason);
            cr_assert_leq(signal.time_ms, rules.now_ms, "the tick goes before what happened up to it");
            cr_assert_gt(signal.time_ms, rules.now_ms - RECORDED_TICK_MS - 1);
            char id[160];
            snprintf(id, sizeof id, "%s/%s", signal.source, signal.id);
            bool is_new;
            names_add(ids, id, &is_new);
            cr_assert(is_new, "%s stands twice", id);
            orders_of_rank[line.item->rank]++;
            signals++;
        }
        cJSON_Delete(object);
    }
    cr_assert_eq(got, RECORDED_END, "%s", fault.reason);
    cr_assert_eq(signals, names_count(ids));
    /* From the files: 87 + 2,378 products; 15 + 20 zones; 33,610 + 62,692 sales, the rest of demand is looks. */
    cr_assert_eq(orders_of_rank[RANK_PROMOTION], 6157);
    cr_assert_eq(orders_of_rank[RANK_WEATHER], 392);
    cr_assert_eq(orders_of_rank[RANK_SUPPLY], 451 + 11381);
    cr_assert_gt(orders_of_rank[RANK_DEMAND], 33610 + 62692);
    names_destroy(ids);
    tape_close(tape);
}

Test(recording, the_same_files_always_give_the_same_tape, .timeout = 120)
{
    struct tape *tape[2];
    struct tape_line line[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(tape_open(&bundled, &tape[i], &fault), RIALTO_OK);
    for (uint32_t n = 0; n < 20000; n++) {
        cr_assert_eq(tape_next(tape[0], &line[0], &fault), RECORDED_ITEM);
        char first[RECORDED_LINE_MAX];
        memcpy(first, line[0].text, line[0].bytes + 1);
        cr_assert_eq(tape_next(tape[1], &line[1], &fault), RECORDED_ITEM);
        cr_assert_str_eq(first, line[1].text);
    }
    tape_close(tape[0]);
    tape_close(tape[1]);
}

/* 2011-05-09 was a Monday, as was 2024-04-01: gifts of a Monday morning come on that Monday morning. */
Test(recording, weekdays_and_hours_stay_what_they_were)
{
    struct tape *tape;
    struct tape_line line;
    cr_assert_eq(tape_open(&bundled, &tape, &fault), RIALTO_OK);
    do
        cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    while (line.is_tick || strcmp(line.item->source, "retail") != 0);
    cr_assert_eq(line.at_ms, INT64_C(1711959780000)); /* date -u -d '2024-04-01 08:23' +%s */
    tape_close(tape);

    struct tape_survey survey;
    const struct tape_source gifts = { NULL, BUNDLED_RETAIL, NULL };
    cr_assert_eq(tape_measure(&gifts, &survey, &fault), RIALTO_OK);
    cr_assert_eq(survey.begin_ms, INT64_C(1304899200000), "midnight before the first row, where it was recorded");
}

Test(recording, places_are_told_only_of_those_who_permit_it, .timeout = 120)
{
    struct tape *tape;
    struct tape_line line;
    uint32_t places = 0, offers = 0;
    cr_assert_eq(tape_open(&bundled, &tape, &fault), RIALTO_OK);
    while (tape_next(tape, &line, &fault) == RECORDED_ITEM) {
        if (line.is_tick)
            continue;
        if (line.item->rank == RANK_LOCATION) {
            cr_assert(shopper_of(line.item->customer).consent & RIALTO_KIND_LOCATION);
            places++;
        }
        if (line.item->rank == RANK_OFFER) {
            cr_assert(shopper_of(line.item->customer).consent & RIALTO_KIND_PROFILE);
            offers++;
        }
        if (line.item->rank == RANK_DEMAND && strcmp(line.item->source, "shoppers") == 0)
            cr_assert_str_eq(line.item->zone, "", "a look tells no place");
    }
    cr_assert_gt(places, 1000);
    cr_assert_gt(offers, 50);
    tape_close(tape);
}

Test(recording, consents_are_as_frequent_as_the_readme_says)
{
    uint32_t profile = 0, purchases = 0, behaviour = 0, location = 0, gold = 0;
    for (int i = 0; i < 20000; i++) {
        char id[16];
        snprintf(id, sizeof id, "C%d", 10000 + i);
        struct shopper shopper = shopper_of(id);
        profile += (shopper.consent & RIALTO_KIND_PROFILE) != 0;
        purchases += (shopper.consent & RIALTO_KIND_PURCHASES) != 0;
        behaviour += (shopper.consent & RIALTO_KIND_BEHAVIOUR) != 0;
        location += (shopper.consent & RIALTO_KIND_LOCATION) != 0;
        gold += strcmp(shopper.tier, "gold") == 0;
    }
    cr_assert(profile > 11600 && profile < 12400, "%u", profile);
    cr_assert(purchases > 9600 && purchases < 10400, "%u", purchases);
    cr_assert(behaviour > 7600 && behaviour < 8400, "%u", behaviour);
    cr_assert(location > 5600 && location < 6400, "%u", location);
    cr_assert(gold > 1700 && gold < 2300, "%u", gold);
}

/* ---- tapes ------------------------------------------------------------------------------------------------------ */

Test(tape, moves_by_whole_weeks_to_less_than_a_week_ahead_or_six_hours_back)
{
    const int64_t begin = INT64_C(1711900800000);
    for (int64_t now = begin - 10 * WEEK_MS; now < begin + 10 * WEEK_MS; now += 7777777) {
        int64_t shift = tape_shift(begin, now);
        cr_assert_eq(shift % WEEK_MS, 0);
        cr_assert_geq(begin + shift, now - 6 * HOUR_MS);
        cr_assert_lt(begin + shift, now - 6 * HOUR_MS + WEEK_MS);
    }
}

Test(tape, a_file_of_lines_is_played_as_it_stands_or_moved_with_new_ids)
{
    char folder[128], path[192];
    folder_make(folder);
    const char *text =
        "{\"control\":\"tick\",\"time\":1000000}\n"
        "\n"
        "{\"type\":\"demand\", \"time\" : 1000500,\"id\":\"a\",\"sku\":\"\\\"time\\\":5\",\"until\":1000900}\n"
        "{\"type\":\"demand\",\"sku\":\"b\"}";
    const struct tape_source source = { NULL, NULL, file_make(folder, "t.ndjson", text, path) };
    struct tape *tape;
    struct tape_line line;
    cr_assert_eq(tape_open(&source, &tape, &fault), RIALTO_OK);
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    cr_assert(line.is_tick);
    cr_assert_eq(line.at_ms, 1000000);
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    cr_assert_not(line.is_tick);
    cr_assert_not_null(strstr(line.text, "\"id\":\"a\""));
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    cr_assert_str_eq(line.text, "{\"type\":\"demand\",\"sku\":\"b\"}\n", "a last line without an end gets one");
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_END);
    tape_close(tape);

    cr_assert_eq(tape_open(&source, &tape, &fault), RIALTO_OK);
    tape_move(tape, WEEK_MS);
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    cr_assert_str_eq(line.text, "{\"control\":\"tick\",\"time\":605800000}\n");
    cr_assert_eq(tape_next(tape, &line, &fault), RECORDED_ITEM);
    cr_assert_str_eq(line.text,
                     "{\"type\":\"demand\", \"time\" : 605800500,\"id\":\"93a80.a\",\"sku\":\"\\\"time\\\":5\","
                     "\"until\":605800900}\n");
    tape_close(tape);
    folder_remove(folder);
}

Test(tape, a_line_that_cannot_be_played_is_refused_with_its_number)
{
    char folder[128], path[192];
    folder_make(folder);
    static const char *const bad[] = {
        "{\"control\":\"tick\",\"time\":1}\n{\"control\":\"ping\"}\n",
        "{\"control\":\"tick\",\"time\":1}\n{\"control\":\"tick\",\"time\":\"noon\"}\n"
    };
    for (int i = 0; i < 2; i++) {
        const struct tape_source source = { NULL, NULL, file_make(folder, "t.ndjson", bad[i], path) };
        struct tape_survey survey;
        cr_assert_eq(tape_measure(&source, &survey, &fault), RIALTO_REFUSED);
        cr_assert_eq(fault.line, 2);
    }
    folder_remove(folder);
}
