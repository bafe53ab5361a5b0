/* test_plan.c - the order in which a batch is applied is nobody's to see: states and findings are those of one record after the other.
 *
 *   the same signals, a batch each--> world "single"     the same demand sums to the bit, the same findings
 *   all in one batch-----------------> world "whole"                                                        */
#include "cache/keys.h"
#include "cli/replica.h"
#include "service/log.h"
#include "service/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS INT64_C(1760000000000)
#define PRODUCTS 40u /* in as many partitions as a hash gives them */
#define SIGNALS  700u
#define LATE     PRODUCTS /* a product that is made known in the middle of the batch */
#define SHOPS    5u
#define SOURCES  3u

static const char model[] =
    "{\"model\":\"shop\",\"version\":\"1\",\"scope\":{\"categories\":[\"*\"],\"currencies\":[\"EUR\"]},\"zone_levels\":"
    "2,"
    "\"demand\":{\"half_life\":\"5s\",\"slow_half_life\":\"60s\",\"prior_events\":5,\"min_events\":0},"
    "\"factors\":[{\"name\":\"demand\",\"input\":\"demand_pressure\",\"curve\":[[0.25,0.8],[1,1],[4,1.4]]}],"
    "\"guardrails\":{\"floor\":0.5,\"ceiling\":1.5},\"rounding\":{\"step\":1}}";

struct world {
    struct replica replica;
    _Alignas(8) uint8_t message[sizeof(struct wire_header) + SIGNALS * 256];
    struct wire_finding finding[SIGNALS];
    uint32_t findings;
};

static struct world single, whole;

static void open_world(struct world *world)
{
    char folder[] = "/tmp/rialto-plan.XXXXXX", path[64];
    struct config config;
    struct fault fault;
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/shop.json", folder);
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL && fputs(model, file) >= 0 && fclose(file) == 0);
    config_defaults(&config);
    config.products_max = config.customers_max = config.offers_max = 640;
    config.cells_max = 64 * 64;
    (void)snprintf(config.instance, sizeof config.instance, "plan%d", (int)getpid());
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert(replica_open(&world->replica, &config, folder));
    (void)unlink(path);
    (void)rmdir(folder);
}

static void setup(void)
{
    log_setup("plan", "error", "text");
    open_world(&single);
    open_world(&whole);
}

static void teardown(void)
{
    replica_close(&single.replica);
    replica_close(&whole.replica);
}

TestSuite(plan, .init = setup, .fini = teardown);

/* ---- signals ------------------------------------------------------------------------------------------------------- */

struct sent { /* one part of a signal, with what the gateway adds to it */
    struct signal signal;
    uint64_t source, number;
};

static void sku_of(uint32_t product, char ret[RIALTO_ID_MAX])
{
    (void)snprintf(ret, RIALTO_ID_MAX, "sku-%03u", product);
}

static struct sent product_signal(uint32_t product)
{
    struct sent sent = {
        .signal = { .type = SIGNAL_product, .time_ms = START_MS, .list = 1000, .currency = "EUR", .category = "food" }
    };
    sent.signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_category |
                          UINT64_C(1) << SIGNAL_FIELD_list | UINT64_C(1) << SIGNAL_FIELD_currency;
    sku_of(product, sent.signal.sku);
    return sent;
}

static struct sent demand_signal(uint32_t product, uint32_t shop, int64_t quantity)
{
    struct sent sent = { .signal = { .type = SIGNAL_demand, .time_ms = START_MS, .event = DEMAND_ORDER } };
    sent.signal.quantity = quantity * 1000000;
    sent.signal.present = UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_event |
                          UINT64_C(1) << SIGNAL_FIELD_quantity | UINT64_C(1) << SIGNAL_FIELD_zone;
    sku_of(product, sent.signal.sku);
    (void)snprintf(sent.signal.zone, sizeof sent.signal.zone, "c%u/s%u", shop % 2, shop);
    return sent;
}

static uint32_t next_random(uint32_t below)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 33) % below);
}

/* Orders in a random order of products; each source numbers its own, and says one in ten twice. One product becomes known half-way. */
static void make(struct sent sent[SIGNALS])
{
    uint32_t last[SOURCES] = { 0 };
    uint64_t number[SOURCES] = { 0 };
    for (uint32_t i = 0; i < SIGNALS; i++) {
        uint32_t source = next_random(SOURCES);
        if (number[source] > 0 && next_random(10) == 0) {
            sent[i] = sent[last[source]];
            continue;
        }
        sent[i] = i == SIGNALS / 2 ? product_signal(LATE)
                                   : demand_signal(next_random(PRODUCTS + 1), next_random(SHOPS), 1 + next_random(4));
        sent[i].source = 100 + source;
        sent[i].number = ++number[source];
        last[source] = i;
    }
}

/* ---- batches ------------------------------------------------------------------------------------------------------- */

/* Refs are those of the whole, so that findings compare. */
static void apply(struct world *world, const struct sent *sent, uint32_t first, uint32_t count)
{
    struct wire_header *header = (void *)world->message;
    struct worker *worker = world->replica.worker;
    size_t bytes = sizeof *header;
    for (uint32_t i = first; i < first + count; i++) {
        const char *sku = sent[i].signal.sku;
        uint32_t partition = key_partition(key_of_id(worker->control->secret, sku, strlen(sku)));
        bytes += wire_record_encode(&sent[i].signal, PART_PRODUCT, partition, i, sent[i].source, sent[i].number,
                                    world->message + bytes);
    }
    world->replica.seq = wire_batch_after(world->replica.seq);
    *header = (struct wire_header){ .magic = WIRE_MAGIC,
                                    .version = WIRE_VERSION,
                                    .kind = WIRE_BATCH,
                                    .seq = world->replica.seq,
                                    .tick_ms = START_MS,
                                    .count = count };
    cr_assert(batch_apply(worker, world->message, bytes));
    for (uint32_t i = 0; i < worker->finding_count; i++)
        world->finding[world->findings++] = worker->finding[i];
    worker->finding_count = 0;
}

static void know_products(struct world *world)
{
    struct sent product[PRODUCTS];
    for (uint32_t i = 0; i < PRODUCTS; i++)
        product[i] = product_signal(i);
    apply(world, product, 0, PRODUCTS);
    cr_assert_eq(world->findings, 0);
}

/* ---- what is to be the same ------------------------------------------------------------------------------------------ */

static const struct cell_record *cell_of(struct world *world, uint32_t product, const char *zone)
{
    struct worker *worker = world->replica.worker;
    char sku[RIALTO_ID_MAX];
    sku_of(product, sku);
    struct rialto_key key = key_of_id(worker->control->secret, sku, strlen(sku));
    struct rialto_key around = key_of_id(worker->control->secret, zone, strlen(zone));
    const struct state *state = worker->partition[key_partition(key)].state;
    uint32_t cell = state_find(state, POOL_CELLS, key_pair(key, around));
    return cell == STATE_NONE ? NULL : state_at(state, POOL_CELLS, cell);
}

/* Returns how many events are counted in it. */
static uint32_t compare_cell(uint32_t product, const char *zone)
{
    const struct cell_record *a = cell_of(&single, product, zone), *b = cell_of(&whole, product, zone);
    cr_assert_eq(a == NULL, b == NULL, "product %u in \"%s\": open in one of them only", product, zone);
    if (a == NULL)
        return 0;
    cr_assert_eq(a->event_count, b->event_count, "product %u in \"%s\"", product, zone);
    cr_assert_eq(memcmp(&a->demand, &b->demand, sizeof a->demand), 0, "product %u in \"%s\"", product, zone);
    cr_assert_eq(memcmp(&a->rates, &b->rates, sizeof a->rates), 0, "product %u in \"%s\"", product, zone);
    return a->event_count;
}

static void compare_findings(void)
{
    cr_assert_eq(single.findings, whole.findings);
    for (uint32_t i = 0; i < whole.findings; i++) {
        cr_assert_eq(single.finding[i].ref, whole.finding[i].ref, "finding %u", i);
        cr_assert_eq(single.finding[i].reason, whole.finding[i].reason, "finding %u", i);
    }
}

/* Goal: what a batch leaves, and what is said of its records, is as if each had come by itself, though partitions take turns. */
Test(plan, a_batch_is_as_its_records_one_by_one)
{
    static struct sent sent[SIGNALS];
    uint32_t counted = 0, refused[REASON_COUNT] = { 0 };
    make(sent);
    know_products(&single);
    know_products(&whole);
    for (uint32_t i = 0; i < SIGNALS; i++)
        apply(&single, sent, i, 1);
    apply(&whole, sent, 0, SIGNALS);

    for (uint32_t product = 0; product <= LATE; product++) {
        counted += compare_cell(product, "");
        for (uint32_t shop = 0; shop < SHOPS; shop++) {
            char zone[16];
            (void)snprintf(zone, sizeof zone, "c%u/s%u", shop % 2, shop);
            (void)compare_cell(product, zone);
        }
    }
    compare_findings();
    for (uint32_t i = 0; i < whole.findings; i++)
        refused[whole.finding[i].reason]++;
    cr_assert_gt(refused[REASON_duplicate], 10);
    cr_assert_gt(refused[REASON_unknown_product], 2, "demand for a product before it is known");
    cr_assert_gt(cell_of(&whole, LATE, "")->event_count, 2, "and after that");
    cr_assert_eq(counted + whole.findings + 1, SIGNALS, "each signal but the product's counts or is refused");
    for (uint32_t i = 1; i < whole.findings; i++)
        cr_assert_gt(whole.finding[i].ref, whole.finding[i - 1].ref, "the gateway looks for them in this order");
}

static struct partition *home_of(struct world *world, uint32_t product)
{
    struct worker *worker = world->replica.worker;
    char sku[RIALTO_ID_MAX];
    sku_of(product, sku);
    return &worker->partition[key_partition(key_of_id(worker->control->secret, sku, strlen(sku)))];
}

/* Goal: a worker that died when some partitions had committed a batch gets it again, and has forgotten what it found in their parts. */
Test(plan, of_parts_that_were_committed_before_a_death_nobody_is_told_that_they_were_taken)
{
    uint32_t other = 1;
    while (home_of(&whole, other) == home_of(&whole, 0))
        other++;
    struct sent sent[2] = { product_signal(0), product_signal(other) };
    struct partition *ahead = home_of(&whole, 0);
    state_begin(ahead->state, wire_batch_after(whole.replica.seq));
    state_commit(ahead->state);
    uint64_t rejected = metrics_own->word[METRIC_signals_rejected_total];
    apply(&whole, sent, 0, 2);
    cr_assert_eq(whole.findings, 1);
    cr_expect_eq(whole.finding[0].ref, 0);
    cr_expect_eq(whole.finding[0].reason, REASON_no_answer);
    cr_expect_eq(metrics_own->word[METRIC_signals_rejected_total], rejected,
                 "it may have been taken: who asks is told, and that is counted there");
    apply(&whole, sent, 0, 2);
    cr_expect_eq(whole.findings, 1, "the next batch is another one");
}
