/* test_issue.c - offers that models make: what leads to one, what stands against it, what is kept and for how long. Those of the shop for so many units;
 * those that it takes back. */
#include "cache/keys.h"
#include "service/apply_customer.h"
#include "service/metrics.h"
#include "tests/service/replica_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS  INT64_C(1760000000000)
#define MINUTE    INT64_C(60000)
#define HOUR      (60 * MINUTE)
#define DAY_MS    (24 * HOUR)
#define BASELINE  1000
#define BEHAVIOUR RIALTO_KIND_BEHAVIOUR
#define PURCHASES RIALTO_KIND_PURCHASES

/* Three carts an hour apart within a day, and not bought: 10 % off for two days. Two orders a day apart within ten: 50 cents. */
static const char model[] =
    "{\"model\":\"shop\",\"version\":\"7\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},\"factors\":[],"
    "\"offers\":[{\"name\":\"cart\",\"trigger\":{\"event\":\"cart\",\"times\":3,\"within\":\"1d\",\"apart\":\"1h\","
    "\"unless\":\"order\"},"
    "\"discount\":{\"percent\":10},\"valid_for\":\"2d\",\"cooldown\":\"30d\",\"per_customer\":{\"offers\":2,\"per\":"
    "\"30d\"},"
    "\"budget\":{\"offers\":130,\"amount\":1000000,\"per\":\"30d\"}},"
    "{\"name\":\"again\",\"trigger\":{\"event\":\"order\",\"times\":2,\"within\":\"10d\",\"apart\":\"1d\"},"
    "\"discount\":{\"amount_off\":50,\"stackable\":true},\"valid_for\":\"5d\",\"cooldown\":\"5d\",\"per_customer\":{"
    "\"offers\":16,\"per\":\"5d\"},"
    "\"budget\":{\"offers\":64000,\"amount\":6400,\"per\":\"1h\"}}]}";

static struct replica replica;
static int64_t now_ms;

static void ignore_durable(void *user, uint64_t seq, bool disk)
{
    (void)user, (void)seq, (void)disk;
}

static void ignore(void *user)
{
    (void)user;
}

static void open_world(void)
{
    static const struct mirror_hooks hooks = { .durable = ignore_durable, .wake = ignore };
    replica_begin(&replica, "issue", model, 0, 0);
    cr_assert_eq(mirror_start(&replica.config, 0, &hooks, &replica.worker->mirror), RIALTO_OK);
    now_ms = START_MS;
}

static void close_world(void)
{
    mirror_stop(replica.worker->mirror);
    replica_close(&replica);
}

TestSuite(issue, .init = open_world, .fini = close_world);

/* ---- what is sent ------------------------------------------------------------------------------------------------- */

static struct partition *home_of(const char *customer)
{
    return &replica.worker->partition[key_partition(id_key(replica.worker, customer))];
}

/* A customer part by itself: a batch at the present tick. */
static enum signal_reason send(struct signal *signal)
{
    _Alignas(8) static uint8_t message[sizeof(struct wire_header) + WIRE_RECORD_MAX];
    struct wire_header *header = (void *)message;
    signal->present |= UINT64_C(1) << SIGNAL_FIELD_customer;
    size_t bytes =
        wire_record_encode(signal, PART_CUSTOMER, home_of(signal->customer)->number, 0, 0, 0, message + sizeof *header);
    replica.seq = wire_batch_after(replica.seq);
    *header = (struct wire_header){ .magic = WIRE_MAGIC,
                                    .version = WIRE_VERSION,
                                    .kind = WIRE_BATCH,
                                    .seq = replica.seq,
                                    .tick_ms = now_ms,
                                    .count = 1 };
    cr_assert(batch_apply(replica.worker, message, sizeof *header + bytes));
    enum signal_reason reason = replica.worker->finding_count > 0 ? replica.worker->finding[0].reason : REASON_none;
    replica.worker->finding_count = 0;
    return reason;
}

static void pass(int64_t ms)
{
    now_ms += ms;
    cr_assert(replica_apply(&replica, now_ms));
}

static void permit(const char *customer, unsigned given, unsigned granted)
{
    struct signal signal = { .type = SIGNAL_customer,
                             .time_ms = now_ms,
                             .present = UINT64_C(1) << SIGNAL_FIELD_consent };
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    signal.consent.given = (uint8_t)given;
    signal.consent.granted = (uint8_t)granted;
    cr_assert_eq(send(&signal), REASON_none);
}

static enum signal_reason does_at(const char *customer, enum demand_event event, const char *sku, int64_t time_ms)
{
    struct wire_priced priced = { .baseline = BASELINE, .currency = 978, .model = "shop" };
    struct signal signal = { .type = SIGNAL_demand, .time_ms = time_ms, .event = event, .priced = &priced };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event;
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    return send(&signal);
}

static void does(const char *customer, enum demand_event event, const char *sku)
{
    cr_assert_eq(does_at(customer, event, sku, now_ms), REASON_none);
}

/* Three carts, an hour apart. */
static void carts(const char *customer, const char *sku)
{
    for (int i = 0; i < 3; i++) {
        does(customer, DEMAND_CART, sku);
        pass(HOUR);
    }
}

static void forget(const char *customer)
{
    struct signal signal = { .type = SIGNAL_forget, .time_ms = now_ms };
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    cr_assert_eq(send(&signal), REASON_none);
}

/* ---- what is there ------------------------------------------------------------------------------------------------ */

static const struct offer_record *kept(const char *customer, const char *sku)
{
    const struct state *state = home_of(customer)->state;
    uint32_t at =
        state_find(state, POOL_OFFERS, key_pair(id_key(replica.worker, customer), id_key(replica.worker, sku)));
    return at == STATE_NONE ? NULL : state_at(state, POOL_OFFERS, at);
}

static bool offered(const char *customer, const char *sku)
{
    const struct offer_record *record = kept(customer, sku);
    return record != NULL && record->kind != RIALTO_OFFER_NONE;
}

static bool has_line(const char *customer, const char *sku)
{
    struct rialto_key key = key_pair(id_key(replica.worker, customer), id_key(replica.worker, sku));
    return table_find(replica.worker->cache, RIALTO_TABLE_OFFERS, home_of(customer)->number, key) != SLOT_NONE;
}

static bool terms_say_offers(const char *customer)
{
    struct rialto_terms_line line;
    uint32_t home = home_of(customer)->number;
    uint64_t slot = table_find(replica.worker->cache, RIALTO_TABLE_TERMS, home, id_key(replica.worker, customer));
    return slot != SLOT_NONE && table_read(replica.worker->cache, RIALTO_TABLE_TERMS, home, slot, &line) &&
           (line.kinds & RIALTO_TERMS_HAS_OFFERS) != 0;
}

static uint32_t held(enum state_pool pool)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        count += state_used(replica.worker->partition[p].state, pool);
    return count;
}

static uint64_t metric(enum metric metric)
{
    return metrics_own->word[metric];
}

/* ---- what leads to one ---------------------------------------------------------------------------------------------- */

Test(issue, the_third_cart_makes_the_offer_that_the_model_states)
{
    permit("ann", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    does("ann", DEMAND_CART, "tea");
    pass(HOUR);
    does("ann", DEMAND_CART, "tea");
    cr_assert(!offered("ann", "tea") && !has_line("ann", "tea") && !terms_say_offers("ann"), "two are not three");
    pass(HOUR);
    does("ann", DEMAND_CART, "tea");
    const struct offer_record *record = kept("ann", "tea");
    cr_assert(record->kind == RIALTO_OFFER_PERCENT && record->value == 1000 && record->flags == 0);
    cr_assert_eq(record->kinds, BEHAVIOUR | PURCHASES, "it rests on carts, and on that nothing was ordered");
    cr_assert_eq(record->until_ms, now_ms + 2 * DAY_MS);
    cr_assert_str_eq(record->issued_model, "shop");
    cr_assert_str_eq(record->issued_version, "7");
    cr_assert_str_eq(record->issued_name, "cart");
    cr_assert(record->is_issued && record->events_until_s == 0 && record->event_s[1][0] == 0,
              "what led to it is used up");
    cr_assert(has_line("ann", "tea") && terms_say_offers("ann"));
    cr_assert_eq(metric(METRIC_offers_issued_total), 1);

    pass(2 * DAY_MS);
    cr_assert(!offered("ann", "tea") && !has_line("ann", "tea") && !terms_say_offers("ann"), "it is over");
    cr_assert_not_null(kept("ann", "tea"), "its cooldown is not");
}

Test(issue, events_that_are_too_close_too_old_or_of_another_product_do_not_count)
{
    permit("bob", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    for (int i = 0; i < 5; i++)
        does("bob", DEMAND_CART, "tea"); /* at once: one act */
    pass(59 * MINUTE);
    does("bob", DEMAND_CART, "tea");
    pass(MINUTE);
    does("bob", DEMAND_CART, "tea");
    cr_assert(!offered("bob", "tea"), "two acts");
    does("bob", DEMAND_CART, "milk");
    cr_assert(!offered("bob", "milk"));
    pass(23 * HOUR); /* a day after the first: it is out of the window */
    does("bob", DEMAND_CART, "tea");
    cr_assert(!offered("bob", "tea"));
    pass(HOUR - MINUTE);
    does("bob", DEMAND_CART, "tea");
    cr_assert(!offered("bob", "tea"), "one, and one too close");
    pass(MINUTE);
    does("bob", DEMAND_CART, "tea");
    cr_assert(!offered("bob", "tea"), "two: the older ones are out of the window");
    pass(HOUR);
    does("bob", DEMAND_CART, "tea");
    cr_assert(offered("bob", "tea"));
}

/* Goal: the window is one of event time, whatever comes when. */
Test(issue, events_that_arrive_late_count_when_they_happened)
{
    permit("cleo", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    pass(DAY_MS);
    cr_assert_eq(does_at("cleo", DEMAND_CART, "tea", now_ms), REASON_none);
    cr_assert_eq(does_at("cleo", DEMAND_CART, "tea", now_ms - 3 * HOUR), REASON_none);
    cr_assert_eq(does_at("cleo", DEMAND_CART, "tea", now_ms - 2 * DAY_MS), REASON_none);
    cr_assert(!offered("cleo", "tea"), "the third is too old");
    cr_assert_eq(does_at("cleo", DEMAND_CART, "tea", now_ms - 90 * MINUTE), REASON_none);
    cr_assert(offered("cleo", "tea"));
}

Test(issue, an_order_in_the_window_stands_against_it_and_a_later_one_ends_it)
{
    permit("dora", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    does("dora", DEMAND_ORDER, "tea");
    carts("dora", "tea");
    cr_assert(!offered("dora", "tea"), "it was bought");
    carts("dora", "milk");
    cr_assert(offered("dora", "milk"));
    does("dora", DEMAND_ORDER, "milk");
    cr_assert(!offered("dora", "milk") && !has_line("dora", "milk"), "it was bought after all");
    carts("dora", "milk");
    cr_assert(!offered("dora", "milk"), "its cooldown goes on");
}

/* Goal: an order that is too close to another to count as a second one still is an order. */
Test(issue, an_order_right_behind_another_stands_against_it_too)
{
    permit("eve", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    does("eve", DEMAND_ORDER, "tea");
    pass(20 * HOUR);
    does("eve", DEMAND_ORDER, "tea");
    pass(5 * HOUR);
    carts("eve",
          "tea"); /* the last of them more than a day behind the first order, and less than one behind the second */
    cr_assert(!offered("eve", "tea"));
}

Test(issue, orders_again_and_again_lead_to_the_other_offer)
{
    permit("emma", PURCHASES, PURCHASES);
    does("emma", DEMAND_ORDER, "tea");
    pass(23 * HOUR);
    does("emma", DEMAND_ORDER, "tea");
    cr_assert(!offered("emma", "tea"));
    pass(HOUR);
    does("emma", DEMAND_ORDER, "tea");
    const struct offer_record *record = kept("emma", "tea");
    cr_assert(record != NULL && record->kind == RIALTO_OFFER_AMOUNT_OFF && record->value == 50 &&
              record->currency == 978);
    cr_assert(record->flags == RIALTO_OFFER_STACKABLE && record->kinds == PURCHASES &&
              strcmp(record->issued_name, "again") == 0);
}

/* ---- consent ---------------------------------------------------------------------------------------------------------- */

/* Goal: who permits less than the rule rests on leaves nothing, whatever they do. */
Test(issue, without_all_of_the_consents_nothing_is_kept)
{
    cr_assert_eq(does_at("nobody", DEMAND_CART, "tea", now_ms), REASON_no_consent);
    permit("finn", BEHAVIOUR, BEHAVIOUR);
    for (int i = 0; i < 5; i++) {
        does("finn", DEMAND_CART, "tea");
        does("finn", DEMAND_VIEW, "tea");
        cr_assert_eq(does_at("finn", DEMAND_ORDER, "tea", now_ms), REASON_no_consent);
        pass(HOUR);
    }
    cr_assert_eq(held(POOL_OFFERS), 0, "nothing");
    cr_assert_eq(held(POOL_BUDGETS), 0);
}

Test(issue, taking_a_consent_back_ends_the_offer_and_what_was_counted_at_once)
{
    permit("gina", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    carts("gina", "tea");
    does("gina", DEMAND_CART, "milk");
    does("gina", DEMAND_ORDER, "jam");
    cr_assert(offered("gina", "tea") && has_line("gina", "tea"));
    permit("gina", BEHAVIOUR, 0);
    cr_assert(kept("gina", "tea") == NULL && !has_line("gina", "tea") && kept("gina", "milk") == NULL,
              "gone, with its cooldown");
    const struct offer_record *jam = kept("gina", "jam");
    cr_assert(jam != NULL && jam->event_s[2][0] != 0, "orders are still permitted");
    permit("gina", PURCHASES, 0);
    cr_assert_eq(held(POOL_OFFERS), 0);
}

Test(issue, forget_takes_all_of_it)
{
    permit("hugo", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    carts("hugo", "tea");
    does("hugo", DEMAND_CART, "milk");
    forget("hugo");
    cr_assert(held(POOL_OFFERS) == 0 && held(POOL_CUSTOMERS) == 0 && !has_line("hugo", "tea"));
    cr_assert_eq(replica.worker->erasure[(replica.worker->erasures - 1) % ERASURES_KEPT].offer_events, 2);
}

Test(issue, what_was_counted_is_forgotten_when_no_rule_can_look_at_it)
{
    permit("ida", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    does("ida", DEMAND_CART, "tea");
    pass(10 * DAY_MS - 1000); /* the longest window of a rule that applies to her is ten days */
    cr_assert_not_null(kept("ida", "tea"));
    pass(1000);
    cr_assert_null(kept("ida", "tea"));
}

/* ---- how many ----------------------------------------------------------------------------------------------------------- */

Test(issue, after_the_cooldown_it_is_counted_anew)
{
    permit("jane", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    carts("jane", "tea");
    pass(29 * DAY_MS);
    carts("jane", "tea");
    cr_assert(!offered("jane", "tea") && kept("jane", "tea")->event_s[1][0] == 0,
              "nothing is counted while it cools down");
    pass(DAY_MS - 4 * HOUR); /* thirty days after the offer, which came with the third cart */
    cr_assert_null(kept("jane", "tea"));
    carts("jane", "tea");
    cr_assert(offered("jane", "tea"));
}

Test(issue, a_customer_gets_so_many_of_all_products)
{
    permit("kim", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    carts("kim", "a");
    carts("kim", "b");
    carts("kim", "c");
    cr_assert(offered("kim", "a") && offered("kim", "b") && !offered("kim", "c"));
    pass(30 * DAY_MS);
    carts("kim", "c");
    cr_assert(offered("kim", "c"));
}

/* Names of customers of one partition. */
static void name_customers(uint32_t partition, int count, char (*ret)[RIALTO_ID_MAX])
{
    for (int i = 0, found = 0; found < count; i++) {
        (void)snprintf(ret[found], RIALTO_ID_MAX, "c-%d", i);
        found += home_of(ret[found])->number == partition;
    }
}

/* Goal: 130 in all are two for each partition, and three for two of them, who change: in window n those at -2n and -2n + 1 of 64. */
Test(issue, each_partition_gives_away_its_share_of_the_budget)
{
    uint32_t first = (uint32_t)(64 - now_ms / (30 * DAY_MS) * 2 % 64) % 64;
    const struct {
        uint32_t partition;
        int share;
    } rows[] = { { first, 3 }, { first + 1, 3 }, { (first + 2) % 64, 2 }, { (first + 63) % 64, 2 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char who[5][RIALTO_ID_MAX];
        int given = 0;
        uint64_t refused = metric(METRIC_offers_over_budget_total);
        name_customers(rows[i].partition, 5, who);
        for (int c = 0; c < 5; c++) {
            permit(who[c], BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
            carts(who[c], "tea");
            given += offered(who[c], "tea");
        }
        cr_assert_eq(given, rows[i].share, "partition %u gave %d", rows[i].partition, given);
        cr_assert_eq(metric(METRIC_offers_over_budget_total), refused + 5 - (uint64_t)given);
    }
}

static const struct model *shop(void)
{
    const struct model_set *set = replica.worker->models;
    cr_assert(set->count == 1 && set->model[0].offer_count == 2);
    return &set->model[0];
}

/* Goal: what is left is what may still be given: of each partition, of what the model says now, in the window that runs. */
Test(issue, what_is_left_of_budgets_can_be_seen)
{
    char who[5][RIALTO_ID_MAX];
    struct budget_look carts_left, again_left;
    struct model_offer changed = shop()->offer[0];
    pass(0);
    budget_look(replica.worker, shop(), &shop()->offer[0], &carts_left);
    cr_assert(carts_left.offers_given == 0 && carts_left.offers_left == 130 && carts_left.amount_left == 1000000);
    cr_assert(carts_left.partitions == 64 && carts_left.used_up == 0);
    cr_assert_eq(carts_left.from_ms, now_ms / (30 * DAY_MS) * 30 * DAY_MS);
    cr_assert_eq(carts_left.until_ms, carts_left.from_ms + 30 * DAY_MS);
    uint32_t first = (uint32_t)(64 - now_ms / (30 * DAY_MS) * 2 % 64) % 64;
    name_customers((first + 2) % 64, 3, who);
    for (int c = 0; c < 3; c++) {
        permit(who[c], BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
        carts(who[c], "tea");
    }
    budget_look(replica.worker, shop(), &shop()->offer[0], &carts_left);
    cr_assert(carts_left.offers_given == 2 && carts_left.offers_left == 128 && carts_left.used_up == 1);
    cr_assert(carts_left.amount_given == 2 * BASELINE / 10 && carts_left.amount_left == 1000000 - 2 * BASELINE / 10);
    budget_look(replica.worker, shop(), &shop()->offer[1], &again_left);
    cr_assert(again_left.offers_given == 0 && again_left.offers_left == 64000 && again_left.amount_left == 6400);
    changed.budget_offers = 64; /* one for each */
    changed.budget_amount = 0;
    budget_look(replica.worker, shop(), &changed, &carts_left);
    cr_assert(carts_left.offers_given == 2 && carts_left.offers_left == 63 && carts_left.used_up == 1);
    cr_assert(carts_left.amount_given == 0 && carts_left.amount_left == 0);
    pass(30 * DAY_MS);
    budget_look(replica.worker, shop(), &shop()->offer[0], &carts_left);
    cr_assert(carts_left.offers_given == 0 && carts_left.offers_left == 130 && carts_left.used_up == 0);
}

/* Goal: 6400 in all are 100 for each partition: two offers of 50 in a window of an hour, and two more in the next. */
Test(issue, a_budget_of_money_ends_and_begins_again_with_its_window)
{
    char who[5][RIALTO_ID_MAX];
    int given = 0;
    name_customers(9, 5, who);
    now_ms = START_MS / HOUR * HOUR + 2 * HOUR; /* so that nothing below crosses an hour by accident */
    for (int c = 0; c < 5; c++) {
        permit(who[c], PURCHASES, PURCHASES);
        does(who[c], DEMAND_ORDER, "tea");
    }
    pass(DAY_MS);
    for (int c = 0; c < 5; c++) {
        does(who[c], DEMAND_ORDER, "tea");
        given += offered(who[c], "tea");
    }
    cr_assert_eq(given, 2);
    pass(HOUR - 1000);
    does(who[4], DEMAND_ORDER, "tea");
    cr_assert(!offered(who[4], "tea"), "the same hour");
    pass(1000);
    does(who[4], DEMAND_ORDER, "tea");
    cr_assert(offered(who[4], "tea"), "the next");
}

/* Goal: whatever a customer does, no more than this is kept of them; what would be forgotten first gives way. */
Test(issue, sixteen_products_of_a_customer_are_remembered)
{
    char sku[RIALTO_ID_MAX];
    permit("lea", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    uint32_t room = state_capacity(home_of("lea")->state, POOL_OFFERS) / 2;
    uint32_t most = room < OFFER_PRODUCTS_MAX ? room : OFFER_PRODUCTS_MAX;
    for (uint32_t i = 0; i < most + 3; i++) {
        (void)snprintf(sku, sizeof sku, "p%u", i);
        does("lea", DEMAND_CART, sku);
        pass(1000);
    }
    cr_assert_eq(held(POOL_OFFERS), most);
    cr_assert_eq(metric(METRIC_offer_events_dropped_total), 3);
    if (most == OFFER_PRODUCTS_MAX)
        cr_assert(kept("lea", "p0") == NULL && kept("lea", "p2") == NULL && kept("lea", "p3") != NULL &&
                  kept("lea", "p18") != NULL);
}

/* ---- beside the shop's own ---------------------------------------------------------------------------------------------- */

static enum signal_reason shop_offers(const char *customer, const char *sku, int64_t kind, int64_t percent)
{
    struct signal signal = {
        .type = SIGNAL_offer, .time_ms = now_ms, .offer_kind = kind, .percent = percent * MICRO, .basis = 1
    };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind |
                     UINT64_C(1) << SIGNAL_FIELD_basis | (percent != 0 ? UINT64_C(1) << SIGNAL_FIELD_percent : 0);
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    return send(&signal);
}

Test(issue, an_offer_of_the_shop_stays_and_takes_the_place_of_a_models)
{
    enum { WITHDRAW = 0, PERCENT = 2 };
    permit("max", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    cr_assert_eq(shop_offers("max", "tea", PERCENT, 5), REASON_none);
    carts("max", "tea");
    cr_assert(kept("max", "tea")->value == 500 && !kept("max", "tea")->is_issued, "the shop's stays");
    carts("max", "milk");
    cr_assert(kept("max", "milk")->value == 1000 && kept("max", "milk")->is_issued);
    cr_assert_eq(shop_offers("max", "milk", PERCENT, 20), REASON_none);
    cr_assert(kept("max", "milk")->value == 2000 && !kept("max", "milk")->is_issued && has_line("max", "milk"),
              "the shop's takes its place");
    cr_assert_eq(shop_offers("max", "milk", WITHDRAW, 0), REASON_none);
    cr_assert(!offered("max", "milk") && !has_line("max", "milk") && kept("max", "milk")->cooldown_until_s != 0);
}

/* Goal: an offer of the shop for a product that was only counted so far is seen by readers, who look at the terms first. */
Test(issue, terms_say_offers_when_the_shop_gives_one_for_a_counted_product)
{
    enum { PERCENT = 2 };
    permit("nia", BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    does("nia", DEMAND_CART, "tea");
    cr_assert(!terms_say_offers("nia"));
    cr_assert_eq(shop_offers("nia", "tea", PERCENT, 5), REASON_none);
    cr_assert(terms_say_offers("nia") && has_line("nia", "tea"));
}

/* Goal: an offer to who does not buy ends when they do, also where no model's price was known: at list, in another currency, by another model. */
Test(issue, what_speaks_against_an_offer_ends_it_whatever_the_price_was)
{
    static const struct wire_priced priced[] = { { .baseline = 900, .currency = 840, .model = "shop" }, { .baseline = 900, .currency = 978, .model = "other" } };
    for (unsigned i = 0; i < 3; i++) {
        struct signal order = { .type = SIGNAL_demand, .event = DEMAND_ORDER, .sku = "tea", .priced = i < 2 ? &priced[i] : NULL };
        (void)snprintf(order.customer, sizeof order.customer, "zoe-%u", i);
        order.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event;
        permit(order.customer, BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
        carts(order.customer, "tea");
        cr_assert(terms_say_offers(order.customer) && has_line(order.customer, "tea"));
        order.time_ms = now_ms;
        cr_assert_eq(send(&order), REASON_none);
        cr_assert(!terms_say_offers(order.customer) && !has_line(order.customer, "tea"), "%u", i);
        cr_assert(kept(order.customer, "tea")->cooldown_until_s != 0 && kept(order.customer, "tea")->is_issued == 0);
    }
}

/* ---- offers of the shop for so many units -------------------------------------------------------------------------------- */

#define UNITS      INT64_C(1000000)
#define LIMIT_ENDS (START_MS + 6 * HOUR)

/* A fifth off so many units, until LIMIT_ENDS. */
static enum signal_reason shop_limits(const char *customer, int64_t units_micro, int64_t time_ms)
{
    struct signal signal = { .type = SIGNAL_offer,
                             .time_ms = time_ms,
                             .offer_kind = 2,
                             .percent = 20 * MICRO,
                             .units = units_micro,
                             .until_ms = LIMIT_ENDS,
                             .sku = "tea" };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind |
                     UINT64_C(1) << SIGNAL_FIELD_percent | UINT64_C(1) << SIGNAL_FIELD_units |
                     UINT64_C(1) << SIGNAL_FIELD_until_ms;
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    return send(&signal);
}

/* quantity 0: not said. */
static enum signal_reason orders(const char *customer, int64_t quantity_micro, int64_t time_ms)
{
    struct signal signal = { .type = SIGNAL_demand, .time_ms = time_ms, .event = DEMAND_ORDER, .quantity = quantity_micro, .sku = "tea" };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event |
                     (quantity_micro != 0 ? UINT64_C(1) << SIGNAL_FIELD_quantity : 0);
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    return send(&signal);
}

static bool gives(const char *customer)
{
    bool line = has_line(customer, "tea");
    cr_assert_eq(terms_say_offers(customer), line);
    return line;
}

#define PROFILE RIALTO_KIND_PROFILE

/* Goal: the offer holds to the last unit and not beyond; what is more than is left uses up what is left. */
Test(issue, an_offer_of_so_many_units_is_over_when_they_are_ordered)
{
    permit("pam", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("pam", 3 * UNITS, now_ms), REASON_none);
    cr_assert(gives("pam"));
    cr_assert_eq(kept("pam", "tea")->kinds, PROFILE | PURCHASES, "orders decide, so it rests on them");
    cr_assert_eq(orders("pam", 2 * UNITS, now_ms), REASON_none);
    cr_assert(gives("pam") && kept("pam", "tea")->ordered_micro == 2 * UNITS);
    cr_assert_eq(orders("pam", 999999, now_ms), REASON_none);
    cr_assert(gives("pam"), "a millionth is left");
    cr_assert_eq(metric(METRIC_offers_used_up_total), 0);
    cr_assert_eq(orders("pam", 0, now_ms), REASON_none);
    cr_assert(!gives("pam") && kept("pam", "tea")->ordered_micro == 3 * UNITS, "no more than there was");
    cr_assert_eq(metric(METRIC_offers_used_up_total), 1);
    cr_assert_eq(orders("pam", 0, now_ms), REASON_none);
    cr_assert_eq(metric(METRIC_offers_used_up_total), 1, "it was over");
}

/* Goal: exactly as many as there are, in one order. */
Test(issue, an_order_of_all_units_uses_up_the_offer)
{
    permit("quin", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("quin", 2500000, now_ms), REASON_none);
    cr_assert_eq(orders("quin", 2500000, now_ms), REASON_none);
    cr_assert(!gives("quin"));
}

/* Goal: what is used up does not come back with the same signal, however late, and leaves by itself at its end; a newer signal is a new offer. */
Test(issue, what_is_used_up_is_remembered_to_its_end)
{
    permit("rob", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("rob", UNITS, START_MS), REASON_none);
    cr_assert_eq(orders("rob", 0, now_ms), REASON_none);
    pass(30 * MINUTE);
    cr_assert_eq(shop_limits("rob", UNITS, START_MS), REASON_none);
    cr_assert(!gives("rob"), "the same again");
    cr_assert_eq(shop_limits("rob", 2 * UNITS, START_MS - 1), REASON_superseded);
    cr_assert_eq(shop_limits("rob", UNITS, now_ms), REASON_none);
    cr_assert(gives("rob") && kept("rob", "tea")->ordered_micro == 0, "a newer one begins anew");
    cr_assert_eq(orders("rob", 0, now_ms), REASON_none);
    cr_assert(!gives("rob") && held(POOL_OFFERS) == 1);
    pass(6 * HOUR);
    cr_assert_eq(held(POOL_OFFERS), 0);
}

/* Goal: only orders of this customer and product, made while the offer holds, use it up. */
Test(issue, what_is_no_order_under_the_offer_does_not_use_it_up)
{
    permit("sue", BEHAVIOUR | PROFILE | PURCHASES, BEHAVIOUR | PROFILE | PURCHASES);
    permit("tom", PROFILE | PURCHASES, PROFILE | PURCHASES);
    pass(MINUTE);
    cr_assert_eq(shop_limits("sue", UNITS, now_ms), REASON_none);
    cr_assert_eq(orders("sue", 0, now_ms - 1), REASON_none);
    cr_assert_eq(orders("sue", 0, LIMIT_ENDS), REASON_none);
    cr_assert_eq(orders("tom", 0, now_ms), REASON_none);
    does("sue", DEMAND_CART, "tea");
    does("sue", DEMAND_RETURN, "tea");
    does("sue", DEMAND_ORDER, "milk");
    cr_assert(gives("sue") && kept("sue", "tea")->ordered_micro == 0);
    cr_assert_eq(orders("sue", 0, now_ms), REASON_none);
    cr_assert(!gives("sue"));
}

/* Goal: what was ordered before the offer begins was not ordered under it. */
Test(issue, orders_before_the_offer_begins_do_not_use_it_up)
{
    struct signal signal = { .type = SIGNAL_offer, .time_ms = START_MS, .offer_kind = 2, .percent = 20 * MICRO, .units = UNITS,
                             .from_ms = START_MS + HOUR, .until_ms = LIMIT_ENDS, .sku = "tea", .customer = "tia" };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind | UINT64_C(1) << SIGNAL_FIELD_percent |
                     UINT64_C(1) << SIGNAL_FIELD_units | UINT64_C(1) << SIGNAL_FIELD_from_ms | UINT64_C(1) << SIGNAL_FIELD_until_ms;
    permit("tia", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(send(&signal), REASON_none);
    cr_assert_eq(orders("tia", 0, START_MS + HOUR - 1), REASON_none);
    cr_assert(gives("tia"));
    cr_assert_eq(orders("tia", 0, START_MS + HOUR), REASON_none);
    cr_assert(!gives("tia"));
}

/* Goal: who does not let purchases be known gets no offer that only they could end; taking the consent back takes it away, and no trace stays. */
Test(issue, units_need_consent_to_purchases)
{
    permit("una", PROFILE | PURCHASES, PROFILE);
    cr_assert_eq(shop_limits("una", UNITS, now_ms), REASON_no_consent);
    cr_assert_eq(held(POOL_OFFERS), 0);
    permit("una", PROFILE | PURCHASES, PURCHASES);
    cr_assert_eq(shop_limits("una", UNITS, now_ms), REASON_no_consent, "nor without what it rests on besides");
    permit("una", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("una", 2 * UNITS, now_ms), REASON_none);
    cr_assert_eq(orders("una", 0, now_ms), REASON_none);
    permit("una", PURCHASES, 0);
    cr_assert_eq(held(POOL_OFFERS), 0);
}

/* Goal: a promised price is owed, whatever is left of the offer that it came from, and its line says nothing of the offer. */
Test(issue, a_lock_outlives_the_units_of_the_offer_beside_it)
{
    struct rialto_offer_line line;
    struct signal lock = { .type = SIGNAL_offer, .time_ms = START_MS, .offer_kind = 4, .amount = 700, .currency = "EUR", .sku = "tea", .customer = "vic" };
    lock.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind | UINT64_C(1) << SIGNAL_FIELD_amount |
                   UINT64_C(1) << SIGNAL_FIELD_currency;
    permit("vic", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("vic", UNITS, START_MS), REASON_none);
    cr_assert_eq(send(&lock), REASON_none);
    cr_assert_eq(orders("vic", 0, now_ms), REASON_none);
    struct rialto_key key = key_pair(id_key(replica.worker, "vic"), id_key(replica.worker, "tea"));
    uint32_t home = home_of("vic")->number;
    uint64_t slot = table_find(replica.worker->cache, RIALTO_TABLE_OFFERS, home, key);
    cr_assert(slot != SLOT_NONE && table_read(replica.worker->cache, RIALTO_TABLE_OFFERS, home, slot, &line));
    cr_assert(line.kind == RIALTO_OFFER_NONE && line.kinds == 0 && line.value == 0 && line.flags == 0 && line.until_s == 0);
    cr_assert(line.locked == 700 && line.currency == 978 && terms_say_offers("vic"));
}

/* The shop's lock signals stand in the same record, with times of their own. */
static enum signal_reason shop_locks(const char *customer, int64_t time_ms)
{
    struct signal lock = { .type = SIGNAL_offer, .time_ms = time_ms, .offer_kind = 4, .amount = 990, .currency = "EUR", .sku = "tea" };
    lock.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind | UINT64_C(1) << SIGNAL_FIELD_amount |
                   UINT64_C(1) << SIGNAL_FIELD_currency;
    (void)snprintf(lock.customer, sizeof lock.customer, "%s", customer);
    return send(&lock);
}

/* Goal: an order made under the offer counts, though it comes after a lock that is newer. */
Test(issue, an_order_that_comes_late_counts_beside_a_newer_lock)
{
    permit("xia", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("xia", 2 * UNITS, START_MS), REASON_none);
    pass(MINUTE);
    cr_assert_eq(shop_locks("xia", START_MS + 30000), REASON_none);
    cr_assert_eq(orders("xia", 0, START_MS + 20000), REASON_none);
    cr_assert_eq(kept("xia", "tea")->ordered_micro, UNITS);
    cr_assert_eq(orders("xia", 0, START_MS - 1), REASON_none);
    cr_assert_eq(kept("xia", "tea")->ordered_micro, UNITS, "before there was one");
}

/* Goal: what an older offer used up is not the newer one's, whatever else came in the same millisecond. */
Test(issue, a_newer_offer_begins_anew_beside_a_lock_of_the_same_moment)
{
    permit("yun", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("yun", UNITS, START_MS), REASON_none);
    cr_assert_eq(orders("yun", 0, START_MS), REASON_none);
    pass(MINUTE);
    cr_assert_eq(shop_locks("yun", now_ms), REASON_none);
    cr_assert_eq(shop_limits("yun", UNITS, now_ms), REASON_none);
    cr_assert(kept("yun", "tea")->ordered_micro == 0);
    cr_assert_eq(orders("yun", 0, now_ms), REASON_none);
    cr_assert_eq(shop_limits("yun", UNITS, now_ms), REASON_none);
    cr_assert_eq(kept("yun", "tea")->ordered_micro, UNITS, "the same again");
}

/* Goal: the same signal with another number keeps what is ordered: fewer may be over with it, more go on; the largest number there is takes the largest order. */
Test(issue, the_same_offer_with_another_number_keeps_what_is_ordered)
{
    permit("zac", PROFILE | PURCHASES, PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("zac", 3 * UNITS, START_MS), REASON_none);
    cr_assert_eq(orders("zac", 2 * UNITS, now_ms), REASON_none);
    cr_assert_eq(shop_limits("zac", 2 * UNITS, START_MS), REASON_none);
    cr_assert(!gives("zac") && kept("zac", "tea")->ordered_micro == 2 * UNITS);
    cr_assert_eq(shop_limits("zac", 1000000 * UNITS, START_MS), REASON_none);
    cr_assert(gives("zac") && kept("zac", "tea")->ordered_micro == 2 * UNITS);
    cr_assert_eq(orders("zac", 999997 * UNITS, now_ms), REASON_none);
    cr_assert(gives("zac") && kept("zac", "tea")->ordered_micro == 999999 * UNITS);
    cr_assert_eq(orders("zac", 1000000 * UNITS, now_ms), REASON_none);
    cr_assert(!gives("zac") && kept("zac", "tea")->ordered_micro == 1000000 * UNITS);
}

/* Goal: models make none where an offer of the shop's stands, used up or not; it ends, and they may again. */
Test(issue, models_make_no_offer_before_the_end_of_one_that_is_used_up)
{
    permit("wes", BEHAVIOUR | PROFILE | PURCHASES, BEHAVIOUR | PROFILE | PURCHASES);
    cr_assert_eq(shop_limits("wes", UNITS, now_ms), REASON_none);
    cr_assert_eq(orders("wes", 0, now_ms), REASON_none);
    carts("wes", "tea");
    cr_assert(!gives("wes") && kept("wes", "tea")->event_s[1][2] != 0 && !kept("wes", "tea")->is_issued);
    pass(DAY_MS);
    carts("wes", "tea");
    cr_assert(kept("wes", "tea")->is_issued && kept("wes", "tea")->units_micro == 0 && gives("wes"));
    permit("wyn", PURCHASES, PURCHASES);
    does("wyn", DEMAND_ORDER, "tea");
    pass(DAY_MS);
    does("wyn", DEMAND_ORDER, "tea");
    cr_assert(kept("wyn", "tea")->is_issued && gives("wyn"));
    cr_assert_eq(orders("wyn", 1000 * UNITS, now_ms), REASON_none);
    cr_assert(gives("wyn"), "of any number");
}

/* Goal: what no model in force says leads to nothing; nor does what may move no price there. */
Test(issue, another_model_a_forbidden_kind_or_another_currency_lead_to_nothing)
{
    static const struct wire_priced wrong[] = {
        { .baseline = BASELINE, .currency = 978, .model = "gone" },
        { .baseline = BASELINE, .currency = 978, .model = "shop", .forbidden = BEHAVIOUR },
        { .baseline = BASELINE, .currency = 840, .model = "shop" },
    };
    permit("oda", BEHAVIOUR, BEHAVIOUR);
    permit("oda", PURCHASES, PURCHASES);
    for (size_t i = 0; i < 2; i++) {
        struct signal signal = { .type = SIGNAL_demand,
                                 .time_ms = now_ms,
                                 .event = DEMAND_CART,
                                 .priced = &wrong[i],
                                 .sku = "tea",
                                 .customer = "oda" };
        signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event;
        cr_assert_eq(send(&signal), REASON_none);
        cr_assert_eq(held(POOL_OFFERS), 0, "row %zu", i);
    }
    for (int day = 0; day < 3; day++, pass(DAY_MS)) { /* two orders: an amount in euros, where prices are dollars */
        struct signal signal = { .type = SIGNAL_demand,
                                 .time_ms = now_ms,
                                 .event = DEMAND_ORDER,
                                 .priced = &wrong[2],
                                 .sku = "tea",
                                 .customer = "oda" };
        signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event;
        cr_assert_eq(send(&signal), REASON_none);
    }
    cr_assert_eq(held(POOL_OFFERS), 0);
}

/* ---- what the shop takes back --------------------------------------------------------------------------------------------- */

#define AGE_MS ((int64_t)replica.config.signal_age_max_s * 1000)

enum { TAKE_BACK = 0, FIFTH_OFF = 2, PROMISE = 4 }; /* of CHOICES_OFFER */

/* until_ms 0: no end. */
static enum signal_reason shop_says(const char *customer, const char *sku, int64_t kind, int64_t time_ms, int64_t until_ms)
{
    struct signal signal = { .type = SIGNAL_offer, .time_ms = time_ms, .offer_kind = kind, .until_ms = until_ms };
    signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_offer_kind |
                     (until_ms != 0 ? UINT64_C(1) << SIGNAL_FIELD_until_ms : 0);
    if (kind == FIFTH_OFF) {
        signal.percent = 20 * MICRO;
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_percent;
    }
    if (kind == PROMISE) {
        signal.amount = 700;
        (void)snprintf(signal.currency, sizeof signal.currency, "EUR");
        signal.present |= UINT64_C(1) << SIGNAL_FIELD_amount | UINT64_C(1) << SIGNAL_FIELD_currency;
    }
    (void)snprintf(signal.customer, sizeof signal.customer, "%s", customer);
    (void)snprintf(signal.sku, sizeof signal.sku, "%s", sku);
    return send(&signal);
}

/* Goal: what was taken back stays so, whichever comes first; what is newer stands. */
Test(issue, an_older_offer_that_comes_late_does_not_stand_again)
{
    permit("ada", PROFILE, PROFILE);
    cr_assert_eq(shop_says("ada", "tea", FIFTH_OFF, START_MS, 0), REASON_none);
    pass(MINUTE);
    cr_assert_eq(shop_says("ada", "tea", TAKE_BACK, now_ms, 0), REASON_none);
    cr_assert(!gives("ada") && held(POOL_OFFERS) == 1);
    cr_assert_eq(shop_says("ada", "tea", FIFTH_OFF, START_MS, 0), REASON_superseded, "the same again");
    cr_assert_eq(shop_says("ada", "tea", FIFTH_OFF, now_ms - 1, 0), REASON_superseded, "an older one");
    cr_assert(!gives("ada"));
    cr_assert_eq(shop_says("ada", "milk", TAKE_BACK, now_ms, 0), REASON_none, "the offer has not come yet");
    cr_assert_eq(shop_says("ada", "milk", FIFTH_OFF, now_ms - 1, 0), REASON_superseded);
    cr_assert(!offered("ada", "milk") && !terms_say_offers("ada"));
    pass(MINUTE);
    cr_assert_eq(shop_says("ada", "tea", FIFTH_OFF, now_ms, 0), REASON_none);
    cr_assert(gives("ada"), "a newer one stands");
    cr_assert_eq(shop_says("ada", "milk", FIFTH_OFF, now_ms - MINUTE, 0), REASON_none);
    cr_assert(offered("ada", "milk"), "as new as the withdrawal, and behind it");
}

/* Goal: it is known for as long as older signals are taken, and then nothing is left; also in state that came back. */
Test(issue, the_time_of_what_was_taken_back_leaves_with_the_age_of_signals)
{
    permit("bea", PROFILE, PROFILE);
    cr_assert_eq(shop_says("bea", "tea", FIFTH_OFF, START_MS, 0), REASON_none);
    cr_assert_eq(shop_says("bea", "tea", TAKE_BACK, START_MS + 5, 0), REASON_none);
    pass(AGE_MS - HOUR);
    struct state *state = home_of("bea")->state;
    cr_assert_eq(offer_due_ms(replica.worker, kept("bea", "tea")), START_MS + 5 + AGE_MS, "as a start sets it");
    cr_assert_eq(shop_says("bea", "tea", FIFTH_OFF, START_MS, 0), REASON_superseded);
    cr_assert_eq(state_used(state, POOL_OFFERS), 1);
    pass(HOUR + 1000);
    cr_assert_eq(held(POOL_OFFERS), 0);
    cr_assert_eq(held(POOL_CUSTOMERS), 1);
    cr_assert_eq(metric(METRIC_offer_times_dropped_total), 0);
}

/* Goal: with the consent that the offer rested on all that is known of it goes; of who permits nothing nothing is kept; forget counts it. */
Test(issue, what_was_taken_back_goes_with_its_consent)
{
    permit("cal", PROFILE | BEHAVIOUR, PROFILE | BEHAVIOUR);
    cr_assert_eq(shop_says("cal", "tea", FIFTH_OFF, START_MS, 0), REASON_none);
    cr_assert_eq(shop_says("cal", "tea", TAKE_BACK, START_MS, 0), REASON_none);
    permit("cal", BEHAVIOUR, 0);
    cr_assert_eq(held(POOL_OFFERS), 1, "it rested on profile");
    permit("cal", PROFILE, 0);
    cr_assert_eq(held(POOL_OFFERS), 0);
    cr_assert_eq(shop_says("cal", "tea", TAKE_BACK, now_ms, 0), REASON_superseded);
    cr_assert_eq(shop_says("nobody", "tea", TAKE_BACK, now_ms, 0), REASON_superseded);
    cr_assert_eq(held(POOL_OFFERS), 0);
    permit("dan", BEHAVIOUR, BEHAVIOUR);
    cr_assert_eq(shop_says("dan", "tea", TAKE_BACK, now_ms, 0), REASON_none);
    cr_assert_eq(kept("dan", "tea")->time_kinds, BEHAVIOUR, "on something that is permitted");
    forget("dan");
    cr_assert_eq(held(POOL_OFFERS), 0);
    cr_assert_eq(replica.worker->erasure[(replica.worker->erasures - 1) % ERASURES_KEPT].offer_times, 1);
}

/* Goal: a sender's clock that is ahead cannot keep an offer from being taken back, and sent again the offer does not come back. */
Test(issue, an_offer_of_a_clock_that_is_ahead_can_be_taken_back)
{
    int64_t ahead_ms = START_MS + 30000;
    permit("eli", PROFILE, PROFILE);
    cr_assert_eq(shop_says("eli", "tea", FIFTH_OFF, ahead_ms, 0), REASON_none);
    cr_assert_eq(shop_says("eli", "tea", TAKE_BACK, START_MS - 40000, 0), REASON_superseded, "of before, however far ahead the clock was");
    cr_assert(gives("eli"));
    cr_assert_eq(shop_says("eli", "tea", TAKE_BACK, START_MS, 0), REASON_none);
    cr_assert(!gives("eli"));
    cr_assert_eq(shop_says("eli", "tea", FIFTH_OFF, ahead_ms, 0), REASON_superseded, "sent again");
    pass(2 * MINUTE);
    cr_assert_eq(shop_says("eli", "tea", FIFTH_OFF, ahead_ms, 0), REASON_superseded, "and later");
    cr_assert_eq(shop_says("eli", "tea", FIFTH_OFF, ahead_ms + MINUTE, 0), REASON_none);
    cr_assert_eq(shop_says("eli", "tea", TAKE_BACK, ahead_ms, 0), REASON_superseded, "an older withdrawal, of a time that has come");
    cr_assert(gives("eli"));
}

/* Goal: an offer whose place a shorter one took does not come back when that one is over. */
Test(issue, what_was_replaced_does_not_stand_again)
{
    permit("fin", PROFILE, PROFILE);
    cr_assert_eq(shop_says("fin", "tea", FIFTH_OFF, START_MS, 0), REASON_none);
    cr_assert_eq(shop_says("fin", "tea", FIFTH_OFF, START_MS + 5, START_MS + HOUR), REASON_none);
    cr_assert_eq(shop_says("fin", "milk", FIFTH_OFF, START_MS + 5, START_MS + HOUR), REASON_none);
    pass(HOUR + 1000);
    cr_assert(!gives("fin") && held(POOL_OFFERS) == 1, "of what took nothing's place nothing is left");
    cr_assert_eq(shop_says("fin", "tea", FIFTH_OFF, START_MS, 0), REASON_superseded);
    pass(AGE_MS);
    cr_assert_eq(held(POOL_OFFERS), 0);
}

/* Goal: a lock is owed, whatever was taken back since; and an offer taken back under a lock stays so when the lock is over. */
Test(issue, taking_back_an_offer_takes_no_lock)
{
    permit("gus", PROFILE, PROFILE);
    cr_assert_eq(shop_says("gus", "tea", TAKE_BACK, START_MS, 0), REASON_none);
    cr_assert_eq(shop_says("gus", "tea", PROMISE, START_MS - 1, START_MS + HOUR), REASON_none);
    cr_assert(kept("gus", "tea")->locked == 700 && has_line("gus", "tea"));
    cr_assert_eq(shop_says("gus", "tea", FIFTH_OFF, START_MS - 1, 0), REASON_superseded, "the withdrawal's time stands");
    pass(HOUR + 1000);
    cr_assert(!has_line("gus", "tea"));
    cr_assert_eq(shop_says("gus", "tea", FIFTH_OFF, START_MS - 1, 0), REASON_superseded);
}

/* Goal: locks and offers of the shop's come in any order: each is compared with its own kind alone. */
Test(issue, the_times_of_locks_and_of_offers_are_two)
{
    permit("kim", PROFILE, PROFILE);
    pass(MINUTE);
    cr_assert_eq(shop_says("kim", "tea", FIFTH_OFF, START_MS, 0), REASON_none);
    cr_assert_eq(shop_says("kim", "tea", PROMISE, START_MS + 10, START_MS + HOUR), REASON_none);
    cr_assert_eq(shop_says("kim", "tea", TAKE_BACK, START_MS + 5, 0), REASON_none,
                 "later than the offer, if not than the lock");
    cr_assert(!offered("kim", "tea") && kept("kim", "tea")->locked == 700);
    cr_assert_eq(shop_says("kim", "tea", FIFTH_OFF, START_MS + 7, 0), REASON_none, "later than the withdrawal");
    cr_assert(offered("kim", "tea"));
    cr_assert_eq(shop_says("kim", "milk", FIFTH_OFF, START_MS + 5, 0), REASON_none);
    cr_assert_eq(shop_says("kim", "milk", PROMISE, START_MS, START_MS + HOUR), REASON_none, "what is owed is owed");
    cr_assert(offered("kim", "milk") && kept("kim", "milk")->locked == 700);
    cr_assert_eq(shop_says("kim", "milk", PROMISE, START_MS - 1, START_MS + 2 * HOUR), REASON_superseded,
                 "an older lock");
    cr_assert_eq(kept("kim", "milk")->lock_until_ms, START_MS + HOUR);
    cr_assert_eq(shop_says("kim", "milk", PROMISE, START_MS + 1, START_MS + 2 * HOUR), REASON_none);
    cr_assert_eq(kept("kim", "milk")->lock_until_ms, START_MS + 2 * HOUR);
    pass(2 * HOUR);
    cr_assert_eq(shop_says("kim", "milk", PROMISE, START_MS, now_ms + HOUR), REASON_none,
                 "nothing is left of the one that is over");
}

/* A customer of the same partition as `other`. */
static void name_near(const char *other, uint32_t *at, char name[RIALTO_ID_MAX])
{
    do
        (void)snprintf(name, RIALTO_ID_MAX, "near-%u", (*at)++);
    while (home_of(name) != home_of(other));
}

/* Goal: what is remembered of offers that were taken back takes half of the room at most, and none that an offer needs; both are counted. */
Test(issue, what_was_taken_back_makes_room_for_offers)
{
    char sku[RIALTO_ID_MAX], other[RIALTO_ID_MAX];
    uint32_t at = 0;
    permit("hal", PROFILE, PROFILE);
    name_near("hal", &at, other);
    permit(other, PROFILE, PROFILE);
    const struct state *state = home_of("hal")->state;
    uint32_t room = state_capacity(state, POOL_OFFERS), most = room / 2;
    for (uint32_t i = 0; i < most + 3; i++) {
        (void)snprintf(sku, sizeof sku, "p%u", i);
        cr_assert_eq(shop_says("hal", sku, TAKE_BACK, now_ms, 0), i < most ? REASON_none : REASON_superseded);
    }
    cr_assert_eq(state_used(state, POOL_OFFERS), most);
    cr_assert_eq(metric(METRIC_offer_times_dropped_total), 3);
    for (uint32_t i = 0; i < room; i++) {
        (void)snprintf(sku, sizeof sku, "q%u", i);
        cr_assert_eq(shop_says(other, sku, FIFTH_OFF, now_ms, 0), REASON_none, "%u of %u", i, room);
    }
    cr_assert_eq(state_used(state, POOL_OFFERS), room);
    cr_assert_eq(metric(METRIC_offer_times_dropped_total), 3 + most);
    cr_assert_eq(metric(METRIC_table_full_total), 0);
    cr_assert_eq(shop_says(other, "one-more", FIFTH_OFF, now_ms, 0), REASON_table_full);
    cr_assert_eq(shop_says(other, "q0", TAKE_BACK, now_ms, 0), REASON_none);
    cr_assert(kept(other, "q0") == NULL && metric(METRIC_offer_times_dropped_total) == 4 + most, "more than half is used");
}

/* Goal: nor do they keep models from counting. */
Test(issue, what_was_taken_back_makes_room_for_what_leads_to_an_offer)
{
    char sku[RIALTO_ID_MAX], other[RIALTO_ID_MAX];
    uint32_t at = 0;
    permit("ian", PROFILE, PROFILE);
    name_near("ian", &at, other);
    permit(other, BEHAVIOUR | PURCHASES, BEHAVIOUR | PURCHASES);
    const struct state *state = home_of("ian")->state;
    uint32_t most = state_capacity(state, POOL_OFFERS) / 2;
    for (uint32_t i = 0; i < most; i++) {
        (void)snprintf(sku, sizeof sku, "p%u", i);
        cr_assert_eq(shop_says("ian", sku, TAKE_BACK, now_ms, 0), REASON_none);
    }
    carts(other, "tea");
    cr_assert(offered(other, "tea") && state_used(state, POOL_OFFERS) == most);
    cr_assert(metric(METRIC_offer_times_dropped_total) == 1 && metric(METRIC_offer_events_dropped_total) == 0);
}

/* ---- many ends in one millisecond ----------------------------------------------------------------------------------- */

/* Goal: they take turns, so many a tick; whom a signal meets before that is met as if it had had its turn; all leave by themselves. */
Test(issue, of_many_that_end_at_once_a_tick_takes_away_so_many)
{
    enum { MANY = 3 * OFFERS_A_TICK / 2 };
    static char name[MANY][RIALTO_ID_MAX];
    uint32_t at = 0, near = 0, left = MANY;
    for (uint32_t i = 0; i < MANY; i++) {
        name_near("mia", &near, name[i]);
        permit(name[i], PROFILE, PROFILE);
        cr_assert_eq(shop_says(name[i], "tea", FIFTH_OFF, START_MS, START_MS + HOUR), REASON_none);
    }
    pass(HOUR - 1);
    cr_assert_eq(held(POOL_OFFERS), MANY);
    pass(1);
    left -= OFFERS_A_TICK;
    cr_assert_eq(held(POOL_OFFERS), left);
    cr_assert_eq(metric(METRIC_offers_waited_total), 1);
    cr_assert(replica_apply(&replica, now_ms) && held(POOL_OFFERS) == left, "the same tick again takes away none");
    while (!offered(name[at], "tea"))
        at++;
    cr_assert_eq(shop_says(name[at], "tea", FIFTH_OFF, START_MS - 1, 0), REASON_none,
                 "of what was over nothing is left");
    cr_assert_eq(kept(name[at], "tea")->until_ms, 0);
    left -= OFFERS_A_PART; /* one of them is new */
    cr_assert_eq(held(POOL_OFFERS), left);
    for (uint32_t tick = 0; left > 1; tick++) {
        cr_assert_lt(tick, MANY / OFFERS_A_TICK);
        pass(100);
        left = left > OFFERS_A_TICK ? left - OFFERS_A_TICK : 1;
        cr_assert_eq(held(POOL_OFFERS), left);
    }
    cr_assert(offered(name[at], "tea"), "the new one stands");
}

/* Goal: what is over and waits takes nobody's place. */
Test(issue, what_waits_for_its_turn_makes_room)
{
    char sku[RIALTO_ID_MAX], other[RIALTO_ID_MAX];
    uint32_t near = 0;
    permit("ned", PROFILE, PROFILE);
    name_near("ned", &near, other);
    permit(other, PROFILE, PROFILE);
    uint32_t room = state_capacity(home_of("ned")->state, POOL_OFFERS);
    for (uint32_t i = 0; i < room; i++) {
        (void)snprintf(sku, sizeof sku, "p%u", i);
        cr_assert_eq(shop_says("ned", sku, FIFTH_OFF, START_MS, START_MS + HOUR), REASON_none);
    }
    pass(HOUR);
    cr_assert_eq(held(POOL_OFFERS), room - OFFERS_A_TICK);
    for (uint32_t i = 0; i < room; i++) {
        (void)snprintf(sku, sizeof sku, "q%u", i);
        cr_assert_eq(shop_says(other, sku, FIFTH_OFF, now_ms, 0), REASON_none, "%u of %u", i, room);
    }
    cr_assert_eq(held(POOL_OFFERS), room);
    cr_assert_eq(metric(METRIC_table_full_total), 0);
}
