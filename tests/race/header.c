/* header.c - pages of quotes beside the words that all quotes share: the mode word, the clock offset, heartbeats, and rules
 * that are appended while cells begin to name them.
 *
 *   mode       one store switches every quote: all quotes of a page are of one mode
 *   heartbeat  an owner that falls silent: all quotes of a page are personal, or all are neutral
 *   clock      the offset only grows here, so service time never goes back
 *   rules      a quote names a rule only when that row is whole: currency, decimals and disclosure are its number's */
#include "cache/keys.h"
#include "cache/table.h"
#include "tests/race/race.h"

#include <pthread.h>
#include <rialto/quote.h>
#include <string.h>
#include <unistd.h>

#define PRODUCTS 12
#define READERS  2u
#define CUSTOMER "C1"
#define TENTHS   9 /* what the customer pays of the baseline */

static struct cache_plan plan;
static struct cache *cache;
static struct rialto *prices;
static atomic_bool stop;
static char sku[PRODUCTS][16];
static const char *sku_list[PRODUCTS];

static struct rialto_rule_row row_of(uint32_t number)
{
    struct rialto_rule_row row = { .currency_number = (uint16_t)(number % 999),
                                   .decimals = (uint8_t)(number % 4),
                                   .ending_step = 1,
                                   .disclosure = (uint16_t)(number * 7),
                                   .reads = RIALTO_KIND_PROFILE,
                                   .model_hash = number };
    const char letters[] = { (char)('A' + number % 26), (char)('A' + number / 26 % 26), (char)('A' + number / 676) };
    memcpy(row.currency, letters, sizeof letters);
    memset(row.model, 'a' + (int)(number % 26), sizeof row.model - 1);
    return row;
}

static void put_cell(int number, int64_t tens, uint16_t rule)
{
    struct rialto_key key = key_of_id(plan.secret, sku[number], strlen(sku[number]));
    struct rialto_cell_line line = {
        .key = key_pair(key, key_of_world(plan.secret)),
        .baseline = tens * 10,
        .list = tens * 30 + 7,
        .hi_place = (uint64_t)(tens * 30 + 7),
        .rule = rule,
    };
    uint64_t slot = 0;
    if (table_claim(cache, RIALTO_TABLE_CELLS, key_partition(key), line.key, &slot) == RIALTO_OK)
        (void)table_write(cache, RIALTO_TABLE_CELLS, key_partition(key), slot, &line);
}

static bool put_terms(void)
{
    struct rialto_terms_line line = { .key = key_of_id(plan.secret, CUSTOMER, strlen(CUSTOMER)),
                                      .kinds = RIALTO_KIND_PROFILE };
    for (uint32_t i = 0; i < RIALTO_GROUPS_MAX; i++)
        line.multiplier_e4[i] = TENTHS * 1000;
    uint64_t slot = 0;
    uint32_t partition = key_partition(line.key);
    return table_claim(cache, RIALTO_TABLE_TERMS, partition, line.key, &slot) == RIALTO_OK &&
           table_write(cache, RIALTO_TABLE_TERMS, partition, slot, &line);
}

static void beat(int64_t when_ms)
{
    struct rialto_control *control = cache_control(cache);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        atomic_store_explicit(&control->heartbeat[p].beat_mono_ms, when_ms, memory_order_release);
}

/* Only the customer's owner falls silent: products do not get stale. */
static void silence(bool silent)
{
    uint32_t partition = key_partition(key_of_id(plan.secret, CUSTOMER, strlen(CUSTOMER)));
    atomic_store_explicit(&cache_control(cache)->heartbeat[partition].beat_mono_ms,
                          race_now_ms() - (silent ? 2 * (int64_t)plan.personal_stale_ms : 0), memory_order_release);
}

struct owner {
    int64_t duration_ms;
    uint64_t switches, silences, rules, steps;
    bool failed;
};

/* Rules are few: they are appended at a pace that lasts. */
static void append_rule(struct owner *o, int64_t spent_ms, uint16_t *newest)
{
    if ((int64_t)o->rules * o->duration_ms >= spent_ms * (int64_t)(RIALTO_RULES_MAX - 1) ||
        o->rules + 1 >= RIALTO_RULES_MAX)
        return;
    struct rialto_rule_row row = row_of((uint32_t)++o->rules);
    o->failed = o->failed || rule_append(cache, &row, newest) != RIALTO_OK || *newest != o->rules;
}

static void *owner(void *argument)
{
    struct owner *o = argument;
    struct rialto_control *control = cache_control(cache);
    uint64_t random = 3;
    uint16_t newest = 0;
    int64_t began_ms = race_now_ms();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        uint64_t roll = race_random(&random);
        append_rule(o, race_now_ms() - began_ms, &newest);
        put_cell((int)(roll % PRODUCTS), 1 + (int64_t)(roll >> 40), newest);
        if (roll >> 8 & 7)
            continue;
        atomic_store(&control->mode, o->switches++ % 2 == 0 ? RIALTO_MODE_LIST : RIALTO_MODE_NORMAL);
        silence(o->silences++ % 8 == 0);
        int64_t offset = atomic_load_explicit(&control->clock_offset_ms, memory_order_relaxed);
        atomic_store_explicit(&control->clock_offset_ms, offset + (int64_t)(roll >> 16 & 3), memory_order_release);
        o->steps++;
    }
    return NULL;
}

struct counts {
    uint64_t quotes, failed, mixed_mode, mixed_terms, mixed_rule, mixed_amount, back;
    uint64_t in_list, neutral, personal;
};

static void check_rule(struct counts *c, const struct rialto_quote *q)
{
    struct rialto_rule_row wanted = row_of(q->rule), got;
    c->mixed_rule += memcmp(q->currency, wanted.currency, sizeof q->currency) != 0 || q->decimals != wanted.decimals ||
                     q->disclosure != (q->used != 0 ? wanted.disclosure : 0) || rialto_rule(prices, q->rule, &got) != RIALTO_OK ||
                     memcmp(&got, &wanted, sizeof got) != 0;
}

static void check_page(struct counts *c, const struct rialto_quote q[], const enum rialto_status status[])
{
    const uint32_t shared = RIALTO_FLAG_LIST_MODE | RIALTO_FLAG_NEUTRAL | RIALTO_FLAG_PERSONAL;
    for (int i = 0; i < PRODUCTS; i++) {
        if (status[i] != RIALTO_OK) {
            c->failed++;
            continue;
        }
        bool list = (q[i].flags & RIALTO_FLAG_LIST_MODE) != 0, personal = (q[i].flags & RIALTO_FLAG_PERSONAL) != 0;
        int64_t wanted = list ? q[i].list : personal ? q[i].baseline / 10 * TENTHS : q[i].baseline;
        c->mixed_amount += q[i].amount != wanted || q[i].list != q[i].baseline * 3 + 7 || q[i].ceiling != q[i].list;
        c->mixed_mode += ((q[i].flags ^ q[0].flags) & RIALTO_FLAG_LIST_MODE) != 0;
        c->mixed_terms += ((q[i].flags ^ q[0].flags) & shared) != 0;
        check_rule(c, &q[i]);
        c->in_list += list;
        c->personal += personal;
        c->neutral += (q[i].flags & RIALTO_FLAG_NEUTRAL) != 0;
    }
    c->quotes += PRODUCTS;
}

/* Rows that no cell names yet are whole as soon as they are there. */
static void check_new_rules(struct counts *c, uint16_t *next)
{
    struct rialto_rule_row got;
    while (rialto_rule(prices, *next, &got) == RIALTO_OK) {
        struct rialto_rule_row wanted = row_of((*next)++);
        c->mixed_rule += memcmp(&got, &wanted, sizeof got) != 0;
    }
}

static void *reader(void *argument)
{
    struct counts *c = argument;
    const struct rialto_request request = { .customer = CUSTOMER };
    struct rialto_quote q[PRODUCTS];
    enum rialto_status status[PRODUCTS];
    int64_t before = 0;
    uint16_t next = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        int64_t now = rialto_now_ms(prices);
        c->back += now < before;
        before = now;
        check_new_rules(c, &next);
        if (rialto_quote_page(prices, &request, PRODUCTS, sku_list, q, status) == RIALTO_OK)
            check_page(c, q, status);
        else
            c->failed++;
    }
    return NULL;
}

static bool prepare(char *folder)
{
    bool kept = false;
    uint64_t missing = 0;
    uint16_t rule = 0;
    const struct rialto_rule_row row = row_of(0);
    plan = (struct cache_plan){ .folder = folder,
                                .group_id = -1,
                                .lines = { 64, 64, 64, 64, 64 },
                                .workers = 1,
                                .stale_after_ms = UINT32_MAX,
                                .personal_stale_ms = 60000 };
    for (size_t i = 0; i < sizeof plan.secret; i++)
        plan.secret[i] = (uint8_t)(i * 37 + 11);
    if (cache_create(&plan, &kept, &missing) != RIALTO_OK || cache_open(folder, &cache) != RIALTO_OK ||
        rule_append(cache, &row, &rule) != RIALTO_OK || rialto_open(folder, &prices) != RIALTO_OK || !put_terms())
        return false;
    for (int i = 0; i < PRODUCTS; i++) {
        (void)snprintf(sku[i], sizeof sku[i], "sku-%d", i);
        sku_list[i] = sku[i];
        put_cell(i, 1, 0);
    }
    beat(race_now_ms());
    return true;
}

static int race(int64_t duration_ms)
{
    pthread_t thread[READERS + 1];
    struct counts count[READERS] = { 0 };
    struct owner o = { .duration_ms = duration_ms };
    int failures = 0;
    (void)pthread_create(&thread[READERS], NULL, owner, &o);
    for (uint32_t i = 0; i < READERS; i++)
        (void)pthread_create(&thread[i], NULL, reader, &count[i]);
    (void)usleep((useconds_t)(duration_ms * 1000));
    atomic_store(&stop, true);
    for (uint32_t i = 0; i <= READERS; i++)
        (void)pthread_join(thread[i], NULL);
    for (uint32_t i = 0; i < READERS; i++) {
        const struct counts *c = &count[i];
        printf("# %lu quotes, %lu of them in list mode, %lu neutral, %lu personal; %lu switches, %lu rules\n",
               (unsigned long)c->quotes, (unsigned long)c->in_list, (unsigned long)c->neutral,
               (unsigned long)c->personal, (unsigned long)o.switches, (unsigned long)o.rules);
        failures += race_report(c->in_list > 0 && c->neutral > 0 && c->personal > 0 && c->failed == 0 && !o.failed,
                                "pages were answered in all ways");
        failures += race_report(c->mixed_mode == 0, "all quotes of a page are of one mode");
        failures += race_report(c->mixed_terms == 0, "all are personal, or all are not");
        failures += race_report(c->mixed_rule == 0, "a rule that a quote names is whole, and stays as it is");
        failures += race_report(c->mixed_amount == 0, "amounts are those of their mode");
        failures += race_report(c->back == 0, "service time never goes back");
    }
    return failures;
}

int main(int argc, char *argv[])
{
    char folder[] = "/tmp/rialto-header.XXXXXX";
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (mkdtemp(folder) == NULL)
        return 2;
    int failures = prepare(folder) ? race(race_duration_ms(argc, argv)) : race_report(false, "a cache to race on");
    rialto_close(prices);
    cache_close(cache);
    cache_remove(folder);
    return failures == 0 ? 0 : 1;
}
