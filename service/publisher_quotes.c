/* publisher_quotes.c - quotes of the customers who look at something, to Redis: one hash per customer, a field per
 * product.
 *
 *   due customer --> rialto_quote() per dirty product --> HSET key sku JSON ...; HDEL key sku ...; PEXPIRE key ttl
 *
 * The key ends with the last watch, or earlier with the first quote in it that ends (a lease, an offer): if we all
 * die, nothing personal outlives its permission. When a key has ended that way while watches go on, all its products
 * are written again, behind a DEL: our clock and that of Redis differ by the way of the command, so the key may stand
 * yet and end between the HSET and the PEXPIRE, and take with it what was just written. */
#include "cache/segment.h"
#include "service/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/publisher_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS_PER_PASS 256u
#define RETRY_MS           20   /* after BUSY */
#define CLOCK_LOOK_MS      1000 /* the service clock may be moved: ends are looked at this often */
#define TTL_MIN_MS         1000
#define TTL_LONGER_MS      1000 /* a key is not given a longer life for less */
#define KEY_NEAR_END_MS    250  /* so close to its end a key may end while it is written */
#define SCAN_COUNT         "1000"

bool replies_check(struct redis_link *link, uint32_t n, const char *doing)
{
    for (uint32_t i = 0; i < n; i++) {
        redisReply *reply = redis_link_reply(link);
        if (reply == NULL)
            return false;
        bool error = reply->type == REDIS_REPLY_ERROR;
        if (error)
            redis_link_refused(link, doing, reply);
        freeReplyObject(reply);
        if (error)
            return false;
    }
    return true;
}

static size_t quote_key(const struct publishing *p, const char *customer, char ret[PUBLISHER_KEY_MAX])
{
    int length = snprintf(ret, PUBLISHER_KEY_MAX, "%s:quote:{%s}", p->config->redis_prefix, customer);
    return length > 0 ? (size_t)length : 0;
}

/* ---- one customer ----------------------------------------------------------------------------------------------- */

static void begin(struct writing *writing, const char *command)
{
    writing->argv[0] = command;
    writing->bytes[0] = strlen(command);
    writing->argv[1] = writing->key;
    writing->bytes[1] = writing->key_bytes;
    writing->argc = 2;
    writing->fields = 0;
}

static uint32_t end(struct publishing *p, struct writing *writing)
{
    return writing->fields > 0 && redis_link_append(&p->link, writing->argc, writing->argv, writing->bytes);
}

/* A product's quote, composed now. False: not to be written. */
static bool compose(struct publishing *p, struct watch *watch, char json[PUBLISHER_JSON_MAX], size_t *ret_bytes)
{
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    enum rialto_status status = rialto_quote(
        p->prices, &(struct rialto_request){ .customer = watch->watcher->customer }, watch->product->sku, &quote);
    watch->dirty =
        status != RIALTO_OK && status != RIALTO_UNKNOWN_PRODUCT; /* BUSY: soon again; RETIRED: with the next files */
    watch->gone = status == RIALTO_UNKNOWN_PRODUCT;
    watch->valid_until_unix_ms = 0;
    if (status != RIALTO_OK)
        return false;
    bool ruled = rialto_rule(p->prices, quote.rule, &rule) == RIALTO_OK;
    *ret_bytes = quote_json(&quote, ruled ? &rule : NULL, PUBLISHER_JSON_MAX, json);
    watch->valid_until_unix_ms = quote.valid_until_ms;
    return *ret_bytes < PUBLISHER_JSON_MAX;
}

static bool is_due(const struct publishing *p, const struct watch *watch, int64_t now)
{
    if (watch->until_ms <= now || watch_ready_ms(&p->watches, watch) > now)
        return false;
    return watch->dirty || (watch->valid_until_unix_ms != 0 && watch->valid_until_unix_ms <= rialto_now_ms(p->prices));
}

static void add_word(struct writing *writing, const char *word, size_t bytes)
{
    writing->argv[writing->argc] = word;
    writing->bytes[writing->argc++] = bytes;
}

/* A command that has all the fields that one may have is ended, and the next begun. */
static uint32_t end_if_full(struct publishing *p, struct writing *writing, const char *command)
{
    if (writing->fields < FIELDS_A_COMMAND)
        return 0;
    uint32_t commands = end(p, writing);
    begin(writing, command);
    return commands;
}

/* HSET what is due. Returns the commands appended. */
static uint32_t write_due(struct publishing *p, struct writing *writing, struct watcher *watcher, int64_t now)
{
    uint32_t commands = 0, quotes = 0;
    begin(writing, "HSET");
    for (struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        size_t bytes = 0;
        if (!is_due(p, watch, now))
            continue;
        watch->refreshed_ms = now;
        if (!compose(p, watch, writing->text[writing->fields], &bytes))
            continue;
        watch->published = true;
        add_word(writing, watch->product->sku, strlen(watch->product->sku));
        add_word(writing, writing->text[writing->fields++], bytes);
        quotes++;
        commands += end_if_full(p, writing, "HSET");
    }
    metric_add(METRIC_quotes_published_total, quotes);
    return commands + end(p, writing);
}

/* HDEL what nobody looks at any more, and what has no price any more. Returns the commands appended. */
static uint32_t write_ended(struct publishing *p, struct writing *writing, struct watcher *watcher, int64_t now)
{
    uint32_t commands = 0;
    begin(writing, "HDEL");
    for (struct watch *watch = watcher->first, *next; watch != NULL; watch = next) {
        bool ended = watch->until_ms <= now;
        next = watch->next_of_watcher;
        if (watch->published && (ended || watch->gone)) {
            char *copy = writing->text[writing->fields++]; /* the sku may go with the watch, before the command does */
            add_word(writing, copy, (size_t)snprintf(copy, PUBLISHER_JSON_MAX, "%s", watch->product->sku));
            watch->published = false;
        }
        if (ended)
            watch_remove(&p->watches, watch);
        commands += end_if_full(p, writing, "HDEL");
    }
    return commands + end(p, writing);
}

/* How long the key may stand: to the last watch's end, and not past the end of any quote in it. */
static int64_t time_to_live(const struct publishing *p, const struct watcher *watcher, int64_t now)
{
    int64_t until = 0, valid = INT64_MAX, service_now = rialto_now_ms(p->prices);
    for (const struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        if (watch->until_ms > until)
            until = watch->until_ms;
        if (watch->published && watch->valid_until_unix_ms != 0 && watch->valid_until_unix_ms < valid)
            valid = watch->valid_until_unix_ms;
    }
    int64_t ttl = until - now;
    if (valid != INT64_MAX && valid - service_now < ttl)
        ttl = valid - service_now;
    return ttl > TTL_MIN_MS ? ttl : TTL_MIN_MS;
}

/* What was written needs an end; what still is looked at, a later one. Returns the commands appended. */
static uint32_t write_expiry(struct publishing *p, struct writing *writing, struct watcher *watcher, bool written,
                             int64_t now)
{
    char number[24];
    int64_t ttl = time_to_live(p, watcher, now);
    if (!written && (watcher->expires_ms == 0 || now + ttl < watcher->expires_ms + TTL_LONGER_MS))
        return 0;
    begin(writing, "PEXPIRE");
    add_word(writing, number, (size_t)snprintf(number, sizeof number, "%" PRId64, ttl));
    writing->fields = 1;
    watcher->expires_ms = now + ttl;
    return end(p, writing);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_due(const struct publishing *p, const struct watcher *watcher, int64_t now)
{
    int64_t due = INT64_MAX, until = 0, service_now = rialto_now_ms(p->prices);
    for (const struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        int64_t ready = watch_ready_ms(&p->watches, watch);
        due = earlier(due, watch->until_ms);
        until = watch->until_ms > until ? watch->until_ms : until;
        if (watch->dirty)
            due = earlier(due, ready > now ? ready : now + RETRY_MS);
        if (watch->valid_until_unix_ms != 0) {
            int64_t left = earlier(watch->valid_until_unix_ms - service_now, CLOCK_LOOK_MS);
            due = earlier(due, now + left > ready ? now + left : ready);
        }
    }
    /* The key would end while somebody still looks: written again, it lives on. */
    if (watcher->expires_ms != 0 && watcher->expires_ms < until)
        due = earlier(due, watcher->expires_ms);
    return due > now ? due : now + 1;
}

/* A key that may have ended in Redis, or may while it is written, is written anew as a whole. Returns the commands
 * appended. */
static uint32_t begin_ended_key(struct publishing *p, struct writing *writing, struct watcher *watcher, int64_t now)
{
    if (watcher->expires_ms == 0 || now + KEY_NEAR_END_MS < watcher->expires_ms)
        return 0;
    watcher->expires_ms = 0;
    for (struct watch *watch = watcher->first; watch != NULL; watch = watch->next_of_watcher) {
        watch->dirty = true;
        watch->published = false;
        watch->refreshed_ms = 0;
    }
    begin(writing, "DEL");
    writing->fields = 1;
    return end(p, writing);
}

/* Returns the commands appended. The watcher may be gone afterwards. */
static uint32_t refresh(struct publishing *p, struct writing *writing, struct watcher *watcher, int64_t now)
{
    char key[PUBLISHER_KEY_MAX];
    writing->key = key;
    writing->key_bytes = quote_key(p, watcher->customer, key);
    uint32_t commands = begin_ended_key(p, writing, watcher, now);
    uint32_t written = write_due(p, writing, watcher, now);
    commands += written + write_ended(p, writing, watcher, now);
    if (watcher->first == NULL) {
        watcher_remove(&p->watches, watcher);
        return commands;
    }
    commands += write_expiry(p, writing, watcher, written > 0, now);
    watches_schedule(&p->watches, watcher, next_due(p, watcher, now));
    return commands;
}

uint32_t quotes_append(struct publishing *p, uint32_t *commands)
{
    uint32_t customers = 0;
    int64_t now = mono_ms();
    for (struct watcher *watcher = watches_due(&p->watches, now); watcher != NULL && customers < CUSTOMERS_PER_PASS;
         watcher = watches_due(&p->watches, now)) {
        *commands += refresh(p, &p->writing, watcher, now);
        customers++;
    }
    metric_set(METRIC_watches, p->watches.pairs);
    return customers;
}

bool quotes_delete(struct publishing *p, const char *customer)
{
    char key[PUBLISHER_KEY_MAX];
    (void)quote_key(p, customer, key);
    redisReply *reply = redis_link_call(&p->link, (const char *const[]){ "DEL", key, NULL });
    if (reply == NULL)
        return false;
    bool good = reply->type != REDIS_REPLY_ERROR;
    if (!good)
        redis_link_refused(&p->link, "deleting quotes", reply);
    freeReplyObject(reply);
    return good;
}

/* ---- taking up what stands in Redis ----------------------------------------------------------------------------- */

/* "PREFIX:quote:{customer}" -> customer, if it is one of ours. */
static bool customer_of_key(const struct publishing *p, const redisReply *reply, char ret[RIALTO_ID_MAX],
                            struct rialto_key *ret_key)
{
    char before[PUBLISHER_KEY_MAX];
    size_t prefix = (size_t)snprintf(before, sizeof before, "%s:quote:{", p->config->redis_prefix);
    if (reply->type != REDIS_REPLY_STRING || strlen(reply->str) != reply->len)
        return false;
    const char *key = reply->str;
    size_t length = reply->len;
    if (length <= prefix + 1 || strncmp(key, before, prefix) != 0 || key[length - 1] != '}' ||
        length - prefix - 1 >= RIALTO_ID_MAX)
        return false;
    memcpy(ret, key + prefix, length - prefix - 1);
    ret[length - prefix - 1] = '\0';
    *ret_key = key_of_id(p->prices->secret, ret, strlen(ret));
    return key_partition(*ret_key) % p->config->workers == p->worker;
}

static void adopt(struct publishing *p, struct rialto_key key, const char *customer, const redisReply *skus,
                  int64_t ttl_ms)
{
    int64_t now = mono_ms(), most = (int64_t)p->config->watch_ttl_s * 1000;
    if (ttl_ms <= 0 || ttl_ms > most) /* -1: a key without an end must not stay one */
        ttl_ms = most;
    for (size_t i = 0; i < skus->elements; i++) {
        const char *sku = skus->element[i]->str;
        bool replaced = false;
        if (skus->element[i]->type != REDIS_REPLY_STRING || skus->element[i]->len == 0 ||
            skus->element[i]->len >= RIALTO_ID_MAX)
            continue;
        struct watch *watch = watches_add(&p->watches, key, customer, key_of_id(p->prices->secret, sku, strlen(sku)),
                                          sku, now + ttl_ms, now, &replaced);
        if (watch == NULL || replaced)
            metric_add(METRIC_watches_refused_total, 1);
        if (watch != NULL)
            watch->published = true;
    }
}

static bool ask_about(struct publishing *p, const char *key)
{
    size_t bytes = strlen(key);
    return redis_link_append(&p->link, 2, (const char *[]){ "HKEYS", key }, (const size_t[]){ 5, bytes }) &&
           redis_link_append(&p->link, 2, (const char *[]){ "PTTL", key }, (const size_t[]){ 4, bytes });
}

static bool take_up_answer(struct publishing *p, struct rialto_key key, const char *customer)
{
    redisReply *skus = redis_link_reply(&p->link);
    redisReply *ttl = skus != NULL ? redis_link_reply(&p->link) : NULL;
    bool alive = ttl != NULL;
    if (alive && skus->type == REDIS_REPLY_ARRAY && ttl->type == REDIS_REPLY_INTEGER && ttl->integer != -2)
        adopt(p, key, customer, skus, ttl->integer);
    if (skus != NULL)
        freeReplyObject(skus);
    if (ttl != NULL)
        freeReplyObject(ttl);
    return alive;
}

/* May quotes of this customer stand in Redis? The lines say so: they follow from what the worker committed, and were made good before this
 * process began to publish. Whom this process watches already, the worker has let in, be it that the line is still on its way. */
static bool permits(const struct publishing *p, struct rialto_key customer)
{
    const uint32_t words = sizeof(struct rialto_terms_line) / sizeof(uint64_t);
    const struct folder_table *table = &p->prices->folder.table[RIALTO_TABLE_TERMS];
    union terms_image terms;
    struct probe probe;
    if (watches_customer(&p->watches, customer) != NULL)
        return true;
    probe_start(&probe, table, words, key_partition(customer), customer, true);
    enum rialto_status status = probe_find(&probe, table, words, terms.word);
    if (status == RIALTO_OK)
        return (terms.line.consent & (RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES)) != 0;
    return status != RIALTO_NOT_FOUND;
}

/* Of whoever was forgotten, or took back what this rests on, while a process that then died, or a Redis that came back as it was before,
 * did not come to the deletion. */
static bool delete_forbidden(struct publishing *p, const redisReply *keys)
{
    char customer[RIALTO_ID_MAX];
    struct rialto_key key;
    bool alive = true;
    for (size_t i = 0; i < keys->elements && alive; i++)
        if (customer_of_key(p, keys->element[i], customer, &key) && !permits(p, key)) {
            alive = quotes_delete(p, customer);
            metric_add(METRIC_quotes_made_good_total, alive);
            atomic_fetch_add(&p->made_good, alive);
        }
    return alive;
}

/* What was deleted above has no fields any more. */
static bool take_up_keys(struct publishing *p, const redisReply *keys)
{
    char customer[RIALTO_ID_MAX];
    struct rialto_key key;
    bool alive = delete_forbidden(p, keys);
    for (size_t i = 0; i < keys->elements && alive; i++)
        alive = !customer_of_key(p, keys->element[i], customer, &key) || ask_about(p, keys->element[i]->str);
    for (size_t i = 0; i < keys->elements && alive; i++)
        alive = !customer_of_key(p, keys->element[i], customer, &key) || take_up_answer(p, key, customer);
    return alive;
}

static bool take_up_page(struct publishing *p, const char *pattern, struct redis_scan *scan)
{
    redisReply *reply = redis_link_call(
        &p->link, (const char *const[]){ "SCAN", scan->cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, NULL });
    if (reply == NULL)
        return false;
    const redisReply *keys = redis_scan_page(scan, reply);
    if (keys == NULL)
        redis_link_refused(&p->link, "reading quotes", reply);
    bool alive = keys != NULL && take_up_keys(p, keys);
    freeReplyObject(reply);
    return alive;
}

/* What a pass without an end did not show ends by itself, after watch_ttl_s at most; quotes do not wait for it. */
bool quotes_take_up(struct publishing *p)
{
    char pattern[PUBLISHER_KEY_MAX];
    struct redis_scan scan = { .cursor = "0" };
    (void)snprintf(pattern, sizeof pattern, "%s:quote:{*", p->config->redis_prefix);
    do {
        if (!take_up_page(p, pattern, &scan))
            return false;
    } while (!redis_scan_done(&scan) && !redis_scan_endless(&p->link, &scan));
    return true;
}
