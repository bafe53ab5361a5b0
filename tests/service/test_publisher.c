/* test_publisher.c - prices in a real cache, changed as a worker changes them, must show in a real redis-server: in
 * time, with an end, and again after whatever happened to it. */
#include "service/metrics.h"
#include "service/publisher.h"
#include "tests/cache/fixture.h"
#include "tests/service/redis_fixture.h"

#include <criterion/logging.h>
#include <sys/time.h>

#define WAIT_MS    8000
#define REFRESH_MS 50
#define ENDING     2000 /* customers whose terms end in one second */

struct shop {
    struct fixture cache;
    struct redis_fixture redis;
    struct publisher *publisher;
};

static void shop_open(struct shop *s)
{
    memset(s, 0, sizeof *s);
    fixture_setup(&s->cache);
    struct timeval wall;
    (void)gettimeofday(&wall, NULL);
    atomic_store(&cache_control(s->cache.cache)->clock_offset_ms,
                 (int64_t)wall.tv_sec * 1000 + wall.tv_usec / 1000 - fixture_mono_ms());
    redis_fixture_setup(&s->redis);
    (void)snprintf(s->redis.config.cache_dir, sizeof s->redis.config.cache_dir, "%s", s->cache.folder);
    s->redis.config.quote_refresh_ms = REFRESH_MS;
    s->redis.config.watch_skus_max = 3;
    cr_assert_eq(publisher_start(&s->redis.config, 0, &s->publisher), RIALTO_OK);
}

static void shop_close(struct shop *s)
{
    publisher_stop(s->publisher);
    redis_fixture_teardown(&s->redis);
    fixture_teardown(&s->cache);
}

static void announce(struct shop *s, enum rialto_table table, uint32_t partition, uint64_t slot)
{
    ring_append(s->cache.cache, 0,
                &(struct rialto_ring_entry){
                    .slot = (uint32_t)slot, .partition = (uint8_t)partition, .table = (uint8_t)table });
}

/* A price as a worker publishes it: product line, zone line, cell, word of it. */
static void price(struct shop *s, const char *sku, const char *zone, int64_t baseline)
{
    uint32_t partition = key_partition(fixture_key(&s->cache, sku));
    struct rialto_product_line product = { .key = fixture_key(&s->cache, sku) };
    (void)snprintf(product.sku, sizeof product.sku, "%s", sku);
    uint64_t product_slot = fixture_put(&s->cache, RIALTO_TABLE_PRODUCTS, partition, &product);
    uint64_t zone_slot = fixture_zone(&s->cache, sku, zone, 0, NULL, 0);
    struct rialto_cell_line cell = fixture_cell_line(&s->cache, sku, zone, baseline);
    cell.lo_product |= product_slot << 48;
    cell.hi_place |= zone_slot << 50;
    fixture_beat(&s->cache);
    announce(s, RIALTO_TABLE_CELLS, partition, fixture_put(&s->cache, RIALTO_TABLE_CELLS, partition, &cell));
}

static uint64_t cell_slot(struct shop *s, const char *sku, const char *zone)
{
    struct rialto_key key = fixture_key(&s->cache, sku);
    return table_find(s->cache.cache, RIALTO_TABLE_CELLS, key_partition(key),
                      key_pair(key, fixture_key(&s->cache, zone)));
}

/* A price that stands no more, as a worker takes its line away. */
static void cease(struct shop *s, const char *sku, const char *zone)
{
    uint32_t partition = key_partition(fixture_key(&s->cache, sku));
    uint64_t slot = cell_slot(s, sku, zone);
    cr_assert_neq(slot, SLOT_NONE);
    table_delete(s->cache.cache, RIALTO_TABLE_CELLS, partition, slot);
    announce(s, RIALTO_TABLE_CELLS, partition, slot);
}

static void terms(struct shop *s, const char *customer, uint16_t multiplier_e4, uint32_t until_s)
{
    struct rialto_terms_line line = fixture_terms_line(&s->cache, customer, multiplier_e4);
    line.until_s = until_s;
    line.group_map = cache_control(s->cache.cache)->group_map;
    announce(s, RIALTO_TABLE_TERMS, key_partition(line.key), fixture_terms(&s->cache, &line));
}

/* What the customer permits, and neutral terms. */
static void permit(struct shop *s, const char *customer, unsigned consent)
{
    struct rialto_terms_line line = fixture_terms_line(&s->cache, customer, 10000);
    line.consent = (uint8_t)consent;
    line.group_map = cache_control(s->cache.cache)->group_map;
    announce(s, RIALTO_TABLE_TERMS, key_partition(line.key), fixture_terms(&s->cache, &line));
}

static bool field_has(struct shop *s, const char *key, const char *sku, const char *text)
{
    char command[256];
    (void)snprintf(command, sizeof command, "HGET %s %s", key, sku);
    redisReply *reply = redis_do(&s->redis, command);
    bool has = text == NULL ? reply->type == REDIS_REPLY_NIL
                            : reply->type == REDIS_REPLY_STRING && strstr(reply->str, text) != NULL;
    freeReplyObject(reply);
    return has;
}

static void say_what_is_there(const struct shop *s, const char *key, const char *sku)
{
    char command[256];
    (void)snprintf(command, sizeof command, "HGET %s %s", key, sku);
    redisReply *reply = redis_do(&s->redis, command);
    (void)snprintf(command, sizeof command, "PTTL %s", key);
    cr_log_error("%s %s: %s, for %lld ms; service time %lld ms", key, sku, reply->str != NULL ? reply->str : "nothing",
                 redis_number(&s->redis, command), (long long)rialto_now_ms(s->cache.reader));
    freeReplyObject(reply);
}

/* Until the field holds the text; NULL: until it is gone. */
static bool comes(struct shop *s, const char *key, const char *sku, const char *text)
{
    int64_t limit = test_ms() + WAIT_MS;
    while (!field_has(s, key, sku, text)) {
        if (test_ms() > limit) {
            say_what_is_there(s, key, sku);
            return false;
        }
        fixture_beat(&s->cache);
        test_sleep(5);
    }
    return true;
}

static void empty_redis(struct shop *s)
{
    freeReplyObject(redis_do(&s->redis, "FLUSHALL"));
}

Test(publisher, baselines_follow_every_change, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    price(&s, "milk", "de/berlin", 130);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":120,"));
    cr_assert(comes(&s, "rialto:cell:{de/berlin}", "milk", "\"amount\":130,"));
    cr_assert(field_has(&s, "rialto:cell:{de/berlin}", "milk", "\"zone\":\"de/berlin\""));
    for (int64_t p = 140; p <= 1140; p++)
        price(&s, "milk", "", p);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":1140,"));
    shop_close(&s);
}

/* Goal: prices that change all the time cost Redis one write each in an interval, the first one comes at once, and the last one is never
 * lost: nothing further has to happen for it. */
Test(publisher, a_baseline_is_written_at_once_and_then_at_most_once_in_its_interval, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 100);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":100,"));
    uint64_t before = atomic_load(&metrics_own->word[METRIC_cells_published_total]);
    int64_t began = test_ms();
    for (int64_t p = 101; p <= 400; p++) {
        price(&s, "milk", "", p);
        test_sleep(1);
    }
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":400,"));
    uint64_t most = (uint64_t)(test_ms() - began) / REFRESH_MS + 2;
    uint64_t writes = atomic_load(&metrics_own->word[METRIC_cells_published_total]) - before;
    cr_assert_geq(writes, 2u, "%llu writes", (unsigned long long)writes);
    cr_assert_leq(writes, most, "%llu writes", (unsigned long long)writes);
    shop_close(&s);
}

/* Goal: whoever reads Redis finds no price that stands no more; the zones around it answer instead, as out of shared memory. */
Test(publisher, a_baseline_that_ceased_leaves_redis, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    price(&s, "milk", "de/berlin", 130);
    publisher_watch(s.publisher, "C123", "tea", 60);
    price(&s, "tea", "", 99);
    cr_assert(comes(&s, "rialto:cell:{de/berlin}", "milk", "\"amount\":130,"));
    cr_assert(comes(&s, "rialto:quote:{C123}", "tea", "\"amount\":99,"));
    cease(&s, "milk", "de/berlin");
    cease(&s, "tea", "");
    cr_assert(comes(&s, "rialto:cell:{de/berlin}", "milk", NULL));
    cr_assert(comes(&s, "rialto:cell:{world}", "tea", NULL));
    cr_assert(comes(&s, "rialto:quote:{C123}", "tea", NULL), "nor a quote that was made of it");
    cr_assert(field_has(&s, "rialto:cell:{world}", "milk", "\"amount\":120,"));
    for (int i = 0; i < 50; i++) { /* the last word counts, however the changes fall into passes */
        price(&s, "milk", "de/berlin", 131 + i);
        test_sleep(i % 5);
        cease(&s, "milk", "de/berlin");
        test_sleep(i % 3);
        if (i % 2 == 0)
            price(&s, "tea", "", 131 + i);
        else
            cease(&s, "tea", "");
    }
    price(&s, "tea", "", 500);
    cr_assert(comes(&s, "rialto:cell:{world}", "tea", "\"amount\":500,"));
    cr_assert(comes(&s, "rialto:cell:{de/berlin}", "milk", NULL));
    shop_close(&s);
}

/* Goal: a price that is no answer in its zone's currency does not stand there, whether its line went or not. */
Test(publisher, a_baseline_in_another_currency_leaves_redis, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    price(&s, "milk", "de", 130);
    price(&s, "tea", "de", 99);
    cr_assert(comes(&s, "rialto:cell:{de}", "milk", "\"amount\":130,"));
    cr_assert(comes(&s, "rialto:cell:{de}", "tea", "\"amount\":99,"));
    (void)fixture_zone(&s.cache, "de", "de", 0, NULL, 978);
    cease(&s, "milk", "de");
    announce(&s, RIALTO_TABLE_CELLS, key_partition(fixture_key(&s.cache, "tea")), cell_slot(&s, "tea", "de"));
    cr_assert(comes(&s, "rialto:cell:{de}", "milk", NULL));
    cr_assert(comes(&s, "rialto:cell:{de}", "tea", NULL));
    cr_assert(field_has(&s, "rialto:cell:{world}", "milk", "\"amount\":120,"));
    shop_close(&s);
}

/* A price whose line takes the place that has just become free. */
static void price_in_slot(struct shop *s, uint32_t partition, uint64_t wanted, char ret_sku[16])
{
    struct rialto_cell_line cell;
    uint64_t slot = SLOT_NONE;
    for (int i = 0; slot != wanted; i++) {
        (void)snprintf(ret_sku, 16, "n%d", i);
        cell = fixture_cell_line(&s->cache, ret_sku, "", 130);
        if (key_partition(fixture_key(&s->cache, ret_sku)) == partition)
            cr_assert_eq(table_claim(s->cache.cache, RIALTO_TABLE_CELLS, partition, cell.key, &slot), RIALTO_OK);
    }
    price(s, ret_sku, "", 130);
    cr_assert_eq(table_find(s->cache.cache, RIALTO_TABLE_CELLS, partition, cell.key), wanted);
}

Test(publisher, a_line_that_is_anothers_now_leaves_nothing_of_the_one_before, .timeout = 60)
{
    static struct shop s;
    char sku[16];
    shop_open(&s);
    price(&s, "milk", "", 120);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":120,"));
    uint32_t partition = key_partition(fixture_key(&s.cache, "milk"));
    uint64_t slot = cell_slot(&s, "milk", "");
    (void)kill(s.redis.pid, SIGSTOP);
    price(&s, "tea", "", 7); /* the publisher waits for the answer to this one, and sees nothing in between */
    test_sleep(100);
    cease(&s, "milk", "");
    price_in_slot(&s, partition, slot, sku);
    (void)kill(s.redis.pid, SIGCONT);
    cr_assert(comes(&s, "rialto:cell:{world}", sku, "\"amount\":130,"));
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", NULL));
    shop_close(&s);
}

static uint64_t impatient(void)
{
    return atomic_load(&metrics_own->word[METRIC_publisher_impatient_total]);
}

/* Goal: while a worker writes many lines Redis is told of none of them, but whoever looks at a product sees it follow; when they are
 * written, Redis is told of all, without anything further happening. */
Test(publisher, many_lines_are_told_of_when_they_are_written, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 100);
    publisher_watch(s.publisher, "c1", "milk", 0);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":100,"));
    cr_assert(comes(&s, "rialto:quote:{c1}", "milk", "\"amount\":100,"));
    publisher_stand_back(s.publisher, true);
    test_sleep(20); /* a pass that had begun is over */
    price(&s, "milk", "", 101);
    price(&s, "bread", "", 200);
    cr_assert(comes(&s, "rialto:quote:{c1}", "milk", "\"amount\":101,"));
    test_sleep(2 * REFRESH_MS);
    bool none = field_has(&s, "rialto:cell:{world}", "milk", "\"amount\":100,") && field_has(&s, "rialto:cell:{world}", "bread", NULL);
    cr_assert(none || impatient() > 0, "told of too early"); /* unless this machine stood still for a second */
    publisher_stand_back(s.publisher, false);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":101,"));
    cr_assert(comes(&s, "rialto:cell:{world}", "bread", "\"amount\":200,"));
    shop_close(&s);
}

/* Goal: a worker that never comes to an end, or changes many lines all the time, keeps nothing from Redis for longer than was said. */
Test(publisher, standing_back_has_an_end_and_a_pause, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 100);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":100,"));
    int64_t began = test_ms();
    publisher_stand_back(s.publisher, true);
    test_sleep(20);
    price(&s, "milk", "", 101);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":101,"));
    cr_assert_geq(test_ms() - began, PUBLISHER_STAND_BACK_MS, "it did not stand back");
    uint64_t counted = impatient();
    cr_assert_geq(counted, 1);
    publisher_stand_back(s.publisher, false);
    publisher_stand_back(s.publisher, true); /* the next batch: it has had its time */
    price(&s, "milk", "", 102);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":102,"));
    cr_assert_eq(impatient(), counted, "it stood back again at once");
    shop_close(&s);
}

Test(publisher, a_watch_brings_a_quote_that_follows_price_and_terms_and_ends, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":120,"));
    long long ttl = redis_number(&s.redis, "PTTL rialto:quote:{C123}");
    cr_assert(ttl > 50000 && ttl <= 60000, "ttl %lld", ttl);
    price(&s, "milk", "", 200);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":200,"));
    terms(&s, "C123", 9000, 0);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":180,\"baseline\":200,"));
    cr_assert(field_has(&s, "rialto:quote:{C123}", "milk", "\"rests_on\":[\"purchases\"]"));
    publisher_watch(s.publisher, "C9", "milk", 1);
    cr_assert(comes(&s, "rialto:quote:{C9}", "milk", "\"amount\":200,"));
    cr_assert(comes(&s, "rialto:quote:{C9}", "milk", NULL));
    shop_close(&s);
}

/* Goal: when what a quote rests on ends, so does the quote, and the baseline takes its place. */
Test(publisher, a_personal_quote_does_not_outlive_its_terms, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 200);
    terms(&s, "C123", 9000, (uint32_t)(rialto_now_ms(s.cache.reader) / 1000 + 2));
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":180,"));
    cr_assert_leq(redis_number(&s.redis, "PTTL rialto:quote:{C123}"), 2000);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":200,"));
    cr_assert_gt(redis_number(&s.redis, "PTTL rialto:quote:{C123}"), 40000);
    shop_close(&s);
}

/* Goal: the end of one offer takes nothing else with it for longer than a moment. */
Test(publisher, when_an_offer_ends_the_other_products_stay, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 200);
    price(&s, "tea", "", 300);
    struct rialto_terms_line line = fixture_terms_line(&s.cache, "C123", 10000);
    line.kinds |= RIALTO_TERMS_HAS_OFFERS;
    (void)fixture_terms(&s.cache, &line);
    struct rialto_offer_line offer = {
        .until_s = (uint32_t)(rialto_now_ms(s.cache.reader) / 1000 + 2),
        .key = key_pair(fixture_key(&s.cache, "C123"), fixture_key(&s.cache, "milk")),
        .value = 150,
        .kind = RIALTO_OFFER_FIXED,
        .currency = 826,
        .kinds = RIALTO_KIND_PURCHASES,
    };
    (void)fixture_put(&s.cache, RIALTO_TABLE_OFFERS, key_partition(line.key), &offer);
    publisher_watch(s.publisher, "C123", "milk", 60);
    publisher_watch(s.publisher, "C123", "tea", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":150,"));
    cr_assert(comes(&s, "rialto:quote:{C123}", "tea", "\"amount\":300,"));
    cr_assert_leq(redis_number(&s.redis, "PTTL rialto:quote:{C123}"), 2000);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":200,"));
    cr_assert(comes(&s, "rialto:quote:{C123}", "tea", "\"amount\":300,"));
    shop_close(&s);
}

/* Goal: a key is written again while it ends in Redis, whose clock is not ours; it may not be taken away by an end that
 * was meant for what stood there before. */
Test(publisher, no_key_is_lost_while_it_ends, .timeout = 60)
{
    static struct shop s;
    char customer[RIALTO_ID_MAX], key[64];
    shop_open(&s);
    price(&s, "milk", "", 200);
    uint32_t until_s = (uint32_t)(rialto_now_ms(s.cache.reader) / 1000 + 3);
    for (int i = 0; i < ENDING; i++) {
        (void)snprintf(customer, sizeof customer, "C%d", i);
        terms(&s, customer, 9000, until_s);
        publisher_watch(s.publisher, customer, "milk", 60);
    }
    while (rialto_now_ms(s.cache.reader) < ((int64_t)until_s + 1) * 1000) {
        fixture_beat(&s.cache);
        test_sleep(20);
    }
    for (int i = 0; i < ENDING; i++) {
        (void)snprintf(key, sizeof key, "rialto:quote:{C%d}", i);
        cr_assert(comes(&s, key, "milk", "\"amount\":200,"));
    }
    shop_close(&s);
}

/* Goal: a line that went away cannot say whose it was; its customer is refreshed all the same. */
Test(publisher, a_deleted_line_refreshes_its_customer, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 200);
    terms(&s, "C123", 9000, 0);
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":180,"));
    struct rialto_key key = fixture_key(&s.cache, "C123");
    uint64_t slot = table_find(s.cache.cache, RIALTO_TABLE_TERMS, key_partition(key), key);
    table_delete(s.cache.cache, RIALTO_TABLE_TERMS, key_partition(key), slot);
    announce(&s, RIALTO_TABLE_TERMS, key_partition(key), slot);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":200,"));
    shop_close(&s);
}

Test(publisher, one_pair_is_refreshed_at_most_once_in_its_interval, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 100);
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":100,"));
    uint64_t before = atomic_load(&metrics_own->word[METRIC_quotes_published_total]);
    int64_t began = test_ms();
    for (int64_t p = 101; p <= 400; p++) {
        price(&s, "milk", "", p);
        test_sleep(1);
    }
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":400,"));
    uint64_t most = (uint64_t)(test_ms() - began) / REFRESH_MS + 2;
    uint64_t refreshes = atomic_load(&metrics_own->word[METRIC_quotes_published_total]) - before;
    cr_assert_leq(refreshes, most, "%llu refreshes", (unsigned long long)refreshes);
    shop_close(&s);
}

Test(publisher, the_product_looked_at_longest_ago_makes_room, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    const char *skus[] = { "a", "b", "c", "d" };
    for (uint32_t i = 0; i < 4; i++) {
        price(&s, skus[i], "", 100 + i);
        publisher_watch(s.publisher, "C123", skus[i], 60 + i);
    }
    cr_assert(comes(&s, "rialto:quote:{C123}", "d", "\"amount\":103,"));
    cr_assert(comes(&s, "rialto:quote:{C123}", "a", NULL));
    cr_assert_eq(redis_number(&s.redis, "HLEN rialto:quote:{C123}"), 3);
    shop_close(&s);
}

Test(publisher, redis_comes_back_empty_and_is_filled, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":120,"));
    redis_fixture_end(&s.redis, SIGKILL);
    price(&s, "milk", "", 130);
    cr_assert_eq(test_shell("rm -rf '%s/appendonlydir'", s.redis.folder), 0);
    redis_fixture_start(&s.redis);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":130,"));
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":130,"));
    empty_redis(&s); /* and once more, without the link noticing */
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":130,"));
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":130,"));
    shop_close(&s);
}

Test(publisher, a_new_process_takes_up_the_watches_that_stand_in_redis, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    permit(&s, "C123", RIALTO_KIND_PURCHASES);
    publisher_watch(s.publisher, "C123", "milk", 30);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":120,"));
    publisher_stop(s.publisher);
    price(&s, "milk", "", 140);
    cr_assert_eq(publisher_start(&s.redis.config, 0, &s.publisher), RIALTO_OK);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":140,"));
    price(&s, "milk", "", 150);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":150,"));
    long long ttl = redis_number(&s.redis, "PTTL rialto:quote:{C123}");
    cr_assert(ttl > 0 && ttl <= 30000, "taking up gives no new life: %lld", ttl);
    shop_close(&s);
}

/* Goal: a process that dies after the erasure or revocation was committed, and before Redis was told, leaves no key behind for longer than
 * its successor needs to connect; so does a Redis that comes back as it was before. */
Test(publisher, a_new_process_deletes_what_no_customers_line_permits, .timeout = 60)
{
    static const char *const left[] = { "gone", "revoked" };
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    permit(&s, "stays", RIALTO_KIND_BEHAVIOUR);
    publisher_watch(s.publisher, "stays", "milk", 60);
    for (size_t i = 0; i < 2; i++)
        publisher_watch(s.publisher, left[i], "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{stays}", "milk", "\"amount\":120,"));
    cr_assert(comes(&s, "rialto:quote:{gone}", "milk", "\"amount\":120,"));
    cr_assert(comes(&s, "rialto:quote:{revoked}", "milk", "\"amount\":120,"));
    publisher_stop(s.publisher);
    permit(&s, "revoked", RIALTO_KIND_PROFILE | RIALTO_KIND_LOCATION);
    cr_assert_eq(publisher_start(&s.redis.config, 0, &s.publisher), RIALTO_OK);
    cr_assert(comes(&s, "rialto:quote:{gone}", "milk", NULL));
    cr_assert(comes(&s, "rialto:quote:{revoked}", "milk", NULL));
    price(&s, "milk", "", 130);
    cr_assert(comes(&s, "rialto:quote:{stays}", "milk", "\"amount\":130,"));
    cr_expect_eq(redis_number(&s.redis, "EXISTS rialto:quote:{gone} rialto:quote:{revoked}"), 0, "they do not come back");
    shop_close(&s);
}

/* Goal: whom this process let in keeps a key although the line is still on its way when the link comes back. */
Test(publisher, a_watch_of_this_process_needs_no_line_yet, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    publisher_watch(s.publisher, "C123", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":120,"));
    redis_fixture_end(&s.redis, SIGTERM);
    price(&s, "milk", "", 130);
    redis_fixture_start(&s.redis);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":130,"));
    shop_close(&s);
}

/* Goal: an erasure that meets a dead Redis is made good when it is back. */
Test(publisher, forget_outlives_an_outage, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    publisher_watch(s.publisher, "C123", "milk", 60);
    publisher_watch(s.publisher, "C9", "milk", 60);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", "\"amount\":120,"));
    redis_fixture_end(&s.redis, SIGTERM);
    publisher_forget(s.publisher, "C123");
    test_sleep(50);
    redis_fixture_start(&s.redis);
    cr_assert(comes(&s, "rialto:quote:{C123}", "milk", NULL));
    cr_assert(comes(&s, "rialto:quote:{C9}", "milk", "\"amount\":120,"));
    test_sleep(3 * REFRESH_MS);
    cr_assert_eq(redis_number(&s.redis, "EXISTS rialto:quote:{C123}"), 0);
    shop_close(&s);
}

Test(publisher, a_ring_that_ran_over_is_answered_with_a_sweep, .timeout = 60)
{
    static struct shop s;
    shop_open(&s);
    price(&s, "milk", "", 120);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":120,"));
    (void)kill(s.redis.pid, SIGSTOP);
    price(&s, "tea", "", 99); /* the publisher waits for the answer to this one */
    test_sleep(100);
    price(&s, "milk", "", 130);
    for (uint32_t i = 0; i < RIALTO_RING_ENTRIES + 10; i++)
        announce(&s, RIALTO_TABLE_PRODUCTS, 0, 0);
    (void)kill(s.redis.pid, SIGCONT);
    cr_assert(comes(&s, "rialto:cell:{world}", "milk", "\"amount\":130,"));
    cr_assert_geq(atomic_load(&metrics_own->word[METRIC_ring_overruns_total]), 1);
    shop_close(&s);
}

/* ---- what a process leaves to the next ----------------------------------------------------------------------------- */

#define KEPT 300 /* prices */

static uint64_t written(void)
{
    return atomic_load(&metrics_own->word[METRIC_cells_published_total]);
}

/* All of them are in Redis, and the publisher rests. */
static void kept_shop_open(struct shop *s)
{
    char sku[16];
    memset(s, 0, sizeof *s);
    shop_open(s);
    publisher_stop(s->publisher);
    (void)snprintf(s->redis.config.data_dir, sizeof s->redis.config.data_dir, "%s", s->redis.folder);
    cr_assert_eq(test_shell("mkdir '%s/state'", s->redis.folder), 0);
    for (int i = 0; i < KEPT; i++) {
        (void)snprintf(sku, sizeof sku, "s%03d", i);
        price(s, sku, "", 1000 + i);
    }
    cr_assert_eq(publisher_start(&s->redis.config, 0, &s->publisher), RIALTO_OK);
    for (int64_t limit = test_ms() + WAIT_MS; redis_number(&s->redis, "HLEN rialto:cell:{world}") < KEPT;) {
        cr_assert_lt(test_ms(), limit);
        test_sleep(5);
    }
    test_sleep(50);
    publisher_stop(s->publisher);
}

/* The next process writes so many prices, this one among them, and no more. */
static void next_writes(struct shop *s, const char *sku, const char *amount, uint64_t expected)
{
    uint64_t before = written();
    cr_assert_eq(publisher_start(&s->redis.config, 0, &s->publisher), RIALTO_OK);
    for (int64_t limit = test_ms() + WAIT_MS; written() - before < expected && test_ms() < limit;)
        test_sleep(5);
    cr_assert(comes(s, "rialto:cell:{world}", sku, amount));
    test_sleep(100);
    publisher_stop(s->publisher);
    cr_assert_eq(written() - before, expected, "%llu written", (unsigned long long)(written() - before));
}

static void kept_shop_close(struct shop *s)
{
    redis_fixture_teardown(&s->redis);
    fixture_teardown(&s->cache);
}

Test(publisher, the_next_process_writes_what_changed_and_nothing_else, .timeout = 60)
{
    static struct shop s;
    kept_shop_open(&s);
    price(&s, "s007", "", 7);
    price(&s, "s008", "", 8);
    next_writes(&s, "s008", "\"amount\":8,", 2);
    cr_assert(field_has(&s, "rialto:cell:{world}", "s007", "\"amount\":7,"));
    price(&s, "s009", "", 9);
    next_writes(&s, "s009", "\"amount\":9,", 1);
    kept_shop_close(&s);
}

/* Goal: nothing is taken for written that another Redis, an emptied one, or one that lost its last second does not have. */
Test(publisher, the_next_process_writes_everything_where_redis_is_not_the_one_that_had_it, .timeout = 60)
{
    static struct shop s;
    kept_shop_open(&s);
    empty_redis(&s);
    next_writes(&s, "s123", "\"amount\":1123,", KEPT);
    redis_fixture_end(&s.redis, SIGKILL);
    redis_fixture_start(&s.redis);
    next_writes(&s, "s123", "\"amount\":1123,", KEPT);
    freeReplyObject(redis_do(&s.redis, "HSET rialto:cell:{world} s123 lost"));
    publisher_void(&s.redis.config, 0);
    next_writes(&s, "s123", "\"amount\":1123,", KEPT);
    kept_shop_close(&s);
}

/* Goal: more changes than a ring holds, while nobody follows, are not missed. */
Test(publisher, the_next_process_writes_everything_where_the_ring_ran_over, .timeout = 60)
{
    static struct shop s;
    kept_shop_open(&s);
    price(&s, "s007", "", 7);
    for (uint32_t i = 0; i < RIALTO_RING_ENTRIES + 10; i++)
        announce(&s, RIALTO_TABLE_PRODUCTS, 0, 0);
    next_writes(&s, "s007", "\"amount\":7,", KEPT);
    kept_shop_close(&s);
}

/* Goal: neither a death, nor a ring that ran over, nor another Redis keeps a price that stands no more; and nobody takes away what is another worker's. */
Test(publisher, the_next_process_takes_away_what_ceased, .timeout = 60)
{
    static struct shop s;
    kept_shop_open(&s);
    cease(&s, "s007", "");
    cease(&s, "s008", "");
    price(&s, "s008", "", 8);
    next_writes(&s, "s008", "\"amount\":8,", 1);
    cr_assert(field_has(&s, "rialto:cell:{world}", "s007", NULL));
    cease(&s, "s009", "");
    for (uint32_t i = 0; i < RIALTO_RING_ENTRIES + 10; i++)
        announce(&s, RIALTO_TABLE_PRODUCTS, 0, 0);
    next_writes(&s, "s010", "\"amount\":1010,", KEPT - 2);
    cr_assert(field_has(&s, "rialto:cell:{world}", "s009", NULL));
    kept_shop_close(&s);
}

Test(publisher, what_a_redis_has_of_an_earlier_life_leaves_it, .timeout = 60)
{
    static struct shop s;
    char command[256];
    const char *theirs = NULL;
    static const char *const some[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    kept_shop_open(&s);
    s.redis.config.worker_count = s.redis.config.workers = 2;
    for (unsigned i = 0; theirs == NULL && i < sizeof some / sizeof some[0]; i++)
        if (key_partition(fixture_key(&s.cache, some[i])) % 2 == 1)
            theirs = some[i];
    cr_assert_not_null(theirs);
    for (int i = 0; i < 2000; i++) { /* more than a page */
        (void)snprintf(command, sizeof command, "HSET rialto:cell:{de/old:%d} old-%d {}", i % 3, i);
        freeReplyObject(redis_do(&s.redis, command));
    }
    (void)snprintf(command, sizeof command, "HSET rialto:cell:{world} %s {}", theirs);
    freeReplyObject(redis_do(&s.redis, command));
    freeReplyObject(redis_do(&s.redis, "SET rialto:cell:{not-a-hash} x"));
    long long ours = 0;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(command, sizeof command, "old-%d", i);
        ours += key_partition(fixture_key(&s.cache, command)) % 2 == 0;
    }
    cr_assert_eq(publisher_start(&s.redis.config, 0, &s.publisher), RIALTO_OK);
    long long left = 2000;
    for (int64_t limit = test_ms() + WAIT_MS; left != 2000 - ours && test_ms() < limit; test_sleep(5)) {
        fixture_beat(&s.cache);
        left = redis_number(&s.redis, "HLEN rialto:cell:{de/old:0}") +
               redis_number(&s.redis, "HLEN rialto:cell:{de/old:1}") +
               redis_number(&s.redis, "HLEN rialto:cell:{de/old:2}");
    }
    cr_assert_eq(left, 2000 - ours, "%lld left, of which %lld are another worker's", left, 2000 - ours);
    cr_assert(field_has(&s, "rialto:cell:{world}", theirs, "{}"));
    cr_assert_eq(redis_number(&s.redis, "HLEN rialto:cell:{world}"), KEPT + 1, "and what stands, stands");
    publisher_stop(s.publisher);
    kept_shop_close(&s);
}

/* Goal: a Redis that refuses for a while what a sweep asks (loading, rights) is not taken for one that has nothing old. */
Test(publisher, a_sweep_that_is_refused_begins_again, .timeout = 60)
{
    static struct shop s;
    kept_shop_open(&s);
    freeReplyObject(redis_do(&s.redis, "HSET rialto:cell:{de/old} old-1 {}"));
    freeReplyObject(redis_do(&s.redis, "DEL rialto:here:{worker.0}")); /* another Redis, for all it knows */
    freeReplyObject(redis_do(&s.redis, "ACL SETUSER default -hscan"));
    cr_assert_eq(publisher_start(&s.redis.config, 0, &s.publisher), RIALTO_OK);
    cr_assert(comes(&s, "rialto:cell:{world}", "s007", "\"amount\":1007,"));
    test_sleep(300);
    cr_assert_eq(redis_number(&s.redis, "HLEN rialto:cell:{de/old}"), 1);
    freeReplyObject(redis_do(&s.redis, "ACL SETUSER default +hscan"));
    cr_assert(comes(&s, "rialto:cell:{de/old}", "old-1", NULL));
    publisher_stop(s.publisher);
    kept_shop_close(&s);
}
