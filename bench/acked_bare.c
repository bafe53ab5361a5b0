/* acked_bare.c - a client of Redis that does for each message what a worker does for it, and nothing else.
 *
 *   message due --> a commit: ACKED_LEVELS cells and an id for each signal --> while two flushes are on their way, they gather
 *               --> MULTI, GET mark, HSET ..., APPEND ids, SET mark XX, EXEC for each partition --> EXEC's reply
 *
 * The transactions are put together by the mirror's own code, so they are the same by construction: so many records of the size
 * that a cell has, in the partition that its product has. No gateway, no worker, no NNG, no JSON. */
#include "bench/acked.h"

#include "bench/bench.h"
#include "service/clock.h"
#include "service/mirror_parts.h"
#include "service/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSHES_MAX     2u /* on their way at once: one more than a worker's mirror allows itself */
#define CELL_BYTES      (8u + sizeof(struct cell_record))
#define RECORD_ROOM     (sizeof(struct mirror_record) + (CELL_BYTES + 7) / 8 * 8)
#define COMMIT_ROOM     (ACKED_A_MESSAGE * (ACKED_LEVELS + 1) * RECORD_ROOM)
#define GATHER_MAX      64u /* messages in one flush */
#define SPREAD_PRODUCTS 0x9E3779B97F4A7C15u

struct on_the_way {
    struct mirror_flush flush;
    int64_t due_us[GATHER_MAX];
    uint32_t messages;
};

struct acked_bare {
    struct config config;
    struct redis_link link;
    uint64_t marks[MIRROR_SLOTS];
    bool sheet[MIRROR_SLOTS]; /* never: nothing is swept here */
    struct on_the_way way[FLUSHES_MAX];
    uint32_t ways;
    uint64_t seq, signals, records, transactions;
    unsigned char value[CELL_BYTES];
};

static void put(char **at, uint32_t partition, enum mirror_op op, char kind, struct rialto_key key, const void *value,
                size_t bytes)
{
    struct mirror_record *record = (struct mirror_record *)(void *)*at;
    *record = (struct mirror_record){ .key = key,
                                      .value_bytes = (uint32_t)bytes,
                                      .partition = (uint8_t)partition,
                                      .op = (uint8_t)op,
                                      .kind = kind,
                                      .marked = 1 };
    memcpy(record + 1, value, bytes);
    *at += mirror_record_bytes(record);
}

static struct mirror_commit *commit_of_message(struct acked_bare *bare)
{
    struct mirror_commit *commit = calloc(1, sizeof *commit + COMMIT_ROOM);
    if (commit == NULL)
        return NULL;
    char *at = (char *)(commit + 1);
    commit->seq = commit->durable_seq = ++bare->seq;
    commit->committed_us = mono_us();
    for (uint32_t i = 0; i < ACKED_A_MESSAGE; i++) {
        const struct acked_signal signal = acked_signal(bare->signals++);
        uint64_t product = bench_mix(signal.product + SPREAD_PRODUCTS), id = bench_mix(bare->signals);
        uint32_t partition = (uint32_t)(product % RIALTO_PARTITIONS);
        const uint64_t zone[ACKED_LEVELS] = { 0, 1 + signal.shop % 2, 16 + signal.shop };
        for (uint32_t level = 0; level < ACKED_LEVELS; level++) {
            memcpy(bare->value + 32, &bare->seq, sizeof bare->seq); /* no two values are the same */
            put(&at, partition, MIRROR_PUT, STATE_POOL_LETTER[POOL_CELLS],
                (struct rialto_key){ .hi = product, .lo = bench_mix(product ^ zone[level]) }, bare->value, CELL_BYTES);
        }
        put(&at, partition, MIRROR_IDS, 0, (struct rialto_key){ .lo = 0 }, &id, sizeof id);
    }
    commit->count = ACKED_A_MESSAGE * (ACKED_LEVELS + 1);
    commit->bytes = (size_t)(at - (char *)(commit + 1));
    return commit;
}

static void commits_free(struct mirror_commit *commit)
{
    while (commit != NULL) {
        struct mirror_commit *next = commit->next;
        free(commit);
        commit = next;
    }
}

/* All messages that are due, up to what one flush may hold. */
static bool send_due(struct acked_bare *bare, int64_t *due_us, uint64_t *left, struct acked *ret)
{
    struct mirror_commit *first = NULL, **end = &first;
    struct on_the_way *way = &bare->way[bare->ways];
    way->messages = 0;
    for (int64_t now = mono_us(); *left > 0 && *due_us <= now && way->messages < GATHER_MAX;
         *due_us += ACKED_PERIOD_US) {
        *end = commit_of_message(bare);
        if (*end == NULL)
            break;
        end = &(*end)->next;
        if ((uint64_t)(now - *due_us) > ret->late_us)
            ret->late_us = (uint64_t)(now - *due_us);
        way->due_us[way->messages++] = *due_us;
        (*left)--;
    }
    bool sent = way->messages > 0 && mirror_flush_send(&bare->link, first, bare->marks, bare->sheet, &way->flush);
    commits_free(first);
    bare->ways += sent;
    bare->records += sent ? way->flush.records : 0;
    bare->transactions += sent ? way->flush.count : 0;
    return sent;
}

static bool receive_oldest(struct acked_bare *bare, struct acked *ret)
{
    uint64_t held[MIRROR_SLOTS];
    memset(held, 0xff, sizeof held);
    if (!mirror_flush_receive(&bare->link, &bare->way[0].flush, held))
        return false;
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++)
        if (held[p] != UINT64_MAX)
            return false; /* somebody else writes there */
    int64_t now = mono_us();
    for (uint32_t i = 0; i < bare->way[0].messages; i++)
        acked_add(ret, now - bare->way[0].due_us[i]);
    bare->way[0] = bare->way[1];
    bare->ways--;
    return true;
}

bool acked_bare_run(struct acked_bare *bare, uint64_t messages, struct acked *ret)
{
    int64_t from_us = mono_us(), due_us = from_us;
    bool good = true;
    while (good && (messages > 0 || bare->ways > 0)) {
        int64_t wait_us = due_us - mono_us();
        if (messages > 0 && wait_us <= 0 && bare->ways < FLUSHES_MAX)
            good = send_due(bare, &due_us, &messages, ret);
        else if (bare->ways > 0)
            good = receive_oldest(bare, ret);
        else if (wait_us > 0)
            (void)nanosleep(&(struct timespec){ .tv_nsec = wait_us * 1000 }, NULL);
    }
    ret->seconds += (double)(mono_us() - from_us) / 1e6;
    return good;
}

static bool make_marks(struct acked_bare *bare)
{
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        char key[MIRROR_KEY_MAX];
        (void)mirror_key(&bare->config, "mark", p, key);
        redisReply *reply = redis_link_call(&bare->link, (const char *const[]){ "SET", key, "0", NULL });
        if (reply == NULL)
            return false;
        freeReplyObject(reply);
    }
    return true;
}

struct acked_bare *acked_bare_open(const char *redis_url)
{
    struct acked_bare *bare = calloc(1, sizeof *bare);
    if (bare == NULL)
        return NULL;
    config_defaults(&bare->config);
    (void)snprintf(bare->config.redis_url, sizeof bare->config.redis_url, "%s", redis_url);
    (void)snprintf(bare->config.redis_prefix, sizeof bare->config.redis_prefix, "bare");
    bare->link = (struct redis_link){ .config = &bare->config, .who = "bare" };
    for (size_t i = 0; i < CELL_BYTES; i++)
        bare->value[i] = (unsigned char)bench_mix(i);
    if (redis_link_open(&bare->link) && make_marks(bare))
        return bare;
    fprintf(stderr, "rialto-bench: the bare client does not get through to Redis\n");
    acked_bare_close(bare);
    return NULL;
}

uint64_t acked_bare_records(const struct acked_bare *bare)
{
    return bare->records;
}

uint64_t acked_bare_transactions(const struct acked_bare *bare)
{
    return bare->transactions;
}

void acked_bare_close(struct acked_bare *bare)
{
    if (bare != NULL)
        redis_link_close(&bare->link);
    free(bare);
}
