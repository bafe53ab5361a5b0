/* mirror_load.c - a partition's state back out of Redis, for a worker whose own state is gone. Blocking, before the
 * mirror runs. One thread for each call; several may load different partitions. */
#include "service/clock.h"
#include "service/metrics.h"
#include "service/mirror_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MS      50
#define AWAIT_STEP_MS 200
#define SCAN_COUNT    "512"

typedef void record_hook(void *user, char kind, struct rialto_key key, const void *value, size_t bytes);

static bool hex64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit == 16)
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

static void tell_odd(record_hook *record, void *user)
{
    record(user, MIRROR_KIND_ODD, (struct rialto_key){ .lo = 0 }, "", 0);
}

/* "<letter>:<16 hex digits of hi><16 of lo>". Nobody else writes there: what is of another form was one of ours, perhaps. */
static void field_take(const redisReply *field, const redisReply *value, record_hook *record, void *user)
{
    struct rialto_key key;
    if (field->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING || field->len != 34 ||
        field->str[1] != ':' || !hex64(field->str + 2, &key.hi) || !hex64(field->str + 18, &key.lo))
        tell_odd(record, user);
    else
        record(user, field->str[0], key, value->str, value->len);
}

static bool mark_read(struct redis_link *link, uint32_t partition, record_hook *record, void *user, uint64_t *ret_mark)
{
    char key[MIRROR_KEY_MAX];
    (void)mirror_key(link->config, "mark", partition, key);
    redisReply *reply = redis_link_call(link, (const char *const[]){ "GET", key, NULL });
    if (reply == NULL)
        return false;
    bool odd = redis_is_odd(reply), good = odd || reply->type != REDIS_REPLY_ERROR;
    if (!good)
        redis_link_refused(link, "reading a mark", reply);
    else if (!mark_parse(reply, ret_mark))
        *ret_mark = 0;
    if (odd)
        tell_odd(record, user);
    freeReplyObject(reply);
    return good;
}

static bool page_ask(struct redis_link *link, const char *key, const struct redis_scan *scan)
{
    static const char *const WORDS[] = { "HSCAN", "COUNT", SCAN_COUNT };
    const char *argv[] = { WORDS[0], key, scan->cursor, WORDS[1], WORDS[2] };
    size_t bytes[] = { strlen(WORDS[0]), strlen(key), strlen(scan->cursor), strlen(WORDS[1]), strlen(WORDS[2]) };
    return redis_link_append(link, 5, argv, bytes) && redis_link_flush(link);
}

/* Redis looks for the next page while this one is taken in. A key that is odd has one page, with nothing in it. */
static bool page_read(struct redis_link *link, const char *key, struct redis_scan *scan, record_hook *record, void *user)
{
    redisReply *reply = redis_link_reply(link);
    if (reply == NULL)
        return false;
    if (scan->pages == 0 && redis_is_odd(reply)) { /* the mirror puts it aside when it is there (mirror_keys.c) */
        tell_odd(record, user);
        freeReplyObject(reply);
        return true;
    }
    const redisReply *pairs = redis_scan_page(scan, reply);
    bool good = pairs != NULL && !redis_scan_endless(link, scan);
    if (pairs == NULL)
        redis_link_refused(link, "reading state", reply);
    else if (good && !redis_scan_done(scan))
        good = page_ask(link, key, scan);
    for (size_t i = 0; good && i + 1 < pairs->elements; i += 2)
        field_take(pairs->element[i], pairs->element[i + 1], record, user);
    freeReplyObject(reply);
    return good;
}

/* Half a partition is never taken for all of it: a pass without an end is no answer. */
static bool hash_read(struct redis_link *link, uint32_t partition, record_hook *record, void *user)
{
    char key[MIRROR_KEY_MAX];
    struct redis_scan scan = { .cursor = "0" };
    (void)mirror_key(link->config, "state", partition, key);
    bool good = page_ask(link, key, &scan);
    while (good) {
        good = page_read(link, key, &scan, record, user);
        if (good && redis_scan_done(&scan))
            return true;
    }
    return false;
}

static bool ids_read(struct redis_link *link, uint32_t partition, record_hook *record, void *user)
{
    char key[MIRROR_KEY_MAX];
    bool good = true;
    for (uint32_t generation = 0; generation < MIRROR_GENERATIONS && good; generation++) {
        (void)mirror_ids_key(link->config, partition, generation, key);
        redisReply *reply = redis_link_call(link, (const char *const[]){ "GET", key, NULL });
        if (reply == NULL)
            return false;
        bool odd = redis_is_odd(reply);
        good = odd || reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL;
        if (!good)
            redis_link_refused(link, "reading ids", reply);
        else if (odd)
            tell_odd(record, user);
        else if (reply->type == REDIS_REPLY_STRING)
            record(user, MIRROR_KIND_IDS, (struct rialto_key){ .lo = 0 }, reply->str, reply->len);
        freeReplyObject(reply);
    }
    return good;
}

static bool partition_read(struct redis_link *link, uint32_t partition, record_hook *record, void *user,
                           uint64_t *ret_mark)
{
    uint64_t mark = 0;
    if (!mark_read(link, partition, record, user, &mark) || !hash_read(link, partition, record, user) ||
        !ids_read(link, partition, record, user))
        return false;
    *ret_mark = mark;
    return true;
}

static bool link_await(struct redis_link *link, uint32_t wait_ms)
{
    int64_t limit = mono_ms() + wait_ms;
    while (!redis_link_open(link)) {
        metric_set(METRIC_redis_state, link->state);
        metric_set(METRIC_redis_loaded_permille, link->loaded_permille);
        if (mono_ms() >= limit)
            return false;
        (void)nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
    }
    metric_set(METRIC_redis_loaded_permille, 0);
    return true;
}

enum rialto_status mirror_load(const struct config *config, uint32_t partition, uint32_t wait_ms, record_hook *record,
                               void *user, uint64_t *ret_mark)
{
    struct redis_link link = { .config = config, .who = "load" };
    if (!link_await(&link, wait_ms))
        return RIALTO_SYSTEM;
    bool read = partition_read(&link, partition, record, user, ret_mark);
    if (read)
        redis_link_works(&link);
    metric_set(METRIC_redis_state, link.state);
    redis_link_close(&link);
    return read ? RIALTO_OK : RIALTO_SYSTEM;
}

/* ---- before it: is Redis there, and how much is to come ---------------------------------------------------------------- */

enum rialto_status mirror_await(const struct config *config, bool (*give_up)(void *user), void *user)
{
    struct redis_link link = { .config = config, .who = "load" };
    while (!link_await(&link, AWAIT_STEP_MS)) {
        if (give_up(user))
            return RIALTO_SYSTEM;
    }
    redis_link_works(&link);
    redis_link_close(&link);
    return RIALTO_OK;
}

static bool length_ask(struct redis_link *link, uint32_t partition)
{
    char key[MIRROR_KEY_MAX];
    int length = mirror_key(link->config, "state", partition, key);
    const char *argv[] = { "HLEN", key };
    const size_t bytes[] = { strlen(argv[0]), (size_t)length };
    return redis_link_append(link, 2, argv, bytes);
}

uint64_t mirror_count(const struct config *config, uint32_t count, const uint32_t partition[])
{
    struct redis_link link = { .config = config, .who = "load" };
    uint64_t sum = 0;
    bool good = redis_link_open(&link);
    for (uint32_t i = 0; good && i < count; i++)
        good = length_ask(&link, partition[i]);
    for (uint32_t i = 0; good && i < count; i++) {
        redisReply *reply = redis_link_reply(&link);
        good = reply != NULL;
        if (good && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
            sum += (uint64_t)reply->integer;
        if (good)
            freeReplyObject(reply);
    }
    redis_link_close(&link);
    return sum;
}
