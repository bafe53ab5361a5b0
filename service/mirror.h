/* mirror.h - state to Redis and back: a thread beside each worker, so that a slow or dead Redis never holds up pricing.
 *
 *   worker --mirror_put()...mirror_commit(seq)--> queue --hiredis, MULTI/EXEC pipelined--> PREFIX:state:{pNN},
 *   PREFIX:mark:{pNN}
 *
 * One transaction per partition and flush: MULTI; GET mark; HSET PREFIX:state:{pNN} field value ...; HDEL ...; APPEND or SET
 * PREFIX:ids:{pNN}:G words; SET PREFIX:mark:{pNN} seq XX; EXEC. The reply to EXEC is what makes everything up to seq durable. Each record carries
 * the batch of its last change; the thread looks at the marks at each (re)connect, every few seconds, and in each
 * transaction, and asks the worker for all newer records where a mark is not what it should be: that covers an outage,
 * an emptied Redis and one that came back older. Only inputs are stored: prices are computed again. How and why: the
 * head of mirror.c. */
#ifndef SERVICE_MIRROR_H
#define SERVICE_MIRROR_H

#include "service/config.h"

#include <rialto/layout.h>
#include <stdbool.h>

struct mirror;

#define MIRROR_COMMON RIALTO_PARTITIONS /* pseudo partition of zones and weather; only worker 0 mirrors it: {common} */

struct mirror_hooks {
    void *user;
    void (*durable)(void *user, uint64_t seq, bool disk); /* mirror thread: everything up to seq is in Redis */
    void (*wake)(void *user);                             /* mirror thread: mirror_wanted() has news, or up/down changed */
};

/* mirror_start - starts the thread; it connects by itself, again and again. RIALTO_OK, NO_MEMORY, SYSTEM. */
enum rialto_status mirror_start(const struct config *config, uint32_t worker, const struct mirror_hooks *hooks,
                                struct mirror **ret);
/* mirror_stop - sends what is queued (bounded by redis_timeout_ms), ends the thread, frees. */
void mirror_stop(struct mirror *mirror);

/* The next four: worker thread only. Field: "<kind letter>:<32 hex digits of the key>". value_bytes 0 deletes the
 * field. */
void mirror_put(struct mirror *mirror, uint32_t partition, char kind, struct rialto_key key, const void *value,
                size_t value_bytes);
/* mirror_put_ids - words to keep behind those of this generation (0 or 1), or instead of them (`first`). */
#define MIRROR_GENERATIONS 2u
void mirror_put_ids(struct mirror *mirror, uint32_t partition, uint32_t generation, bool first, const uint64_t *word,
                    size_t count);
/* mirror_sweep_begins - before a sweep's first put. `clean`: records were deleted that Redis may still hold, so all are put, onto a clean
 * sheet: what stands in Redis stays there, as of its mark, until mirror_swept() puts the sheet in its place. Deletions reach both. */
void mirror_sweep_begins(struct mirror *mirror, uint32_t partition, bool clean);
/* mirror_commit - queue what was put since the last commit as of batch seq. False when it was dropped (queue over
 * mirror_bytes_max, or Redis away): the thread will ask for a sweep when it can. */
bool mirror_commit(struct mirror *mirror, uint64_t seq);
/* mirror_erased - what was put so far erases something: where Redis is our own, its append-only file is rewritten soon after
 * (erase_rewrite_s), so that the history of what was erased goes too. */
void mirror_erased(struct mirror *mirror);
/* mirror_wanted - a partition whose records newer than *ret_mark Redis lacks; the worker answers by putting them in
 * slices, each committed, the last by mirror_swept(). False: none now. */
bool mirror_wanted(struct mirror *mirror, uint32_t *ret_partition, uint64_t *ret_mark);
void mirror_swept(struct mirror *mirror, uint32_t partition, uint64_t seq);

/* mirror_idle - is nothing queued that was not begun to be sent? The hook `wake` is called when it becomes so. True too while Redis
 * is away, when nothing is queued. */
bool     mirror_idle(struct mirror *mirror);
/* mirror_room - bytes that may be put and committed now so that the queue stays under half of mirror_bytes_max: what can wait, a sweep's
 * slices, waits for it. mirror_staged - bytes put since the last commit. */
size_t   mirror_room(struct mirror *mirror);
size_t   mirror_staged(const struct mirror *mirror);
bool     mirror_up(const struct mirror *mirror);
uint64_t mirror_durable(const struct mirror *mirror);

/* mirror_await - at start: until Redis answers, and is not loading any more. Meanwhile the metrics redis_state and redis_loaded_permille
 * say what it does, and give_up() is asked a few times a second. RIALTO_OK, or SYSTEM when it said so. */
enum rialto_status mirror_await(const struct config *config, bool (*give_up)(void *user), void *user);
/* mirror_count - how many records Redis holds of these partitions; an estimate for who waits: 0 when it does not say. */
uint64_t mirror_count(const struct config *config, uint32_t count, const uint32_t partition[]);
/* mirror_load - at start, before mirror_start: read a partition's records and mark from Redis, blocking. The hook is
 * called once per record, with MIRROR_KIND_IDS and no key per generation of ids, and with MIRROR_KIND_ODD and nothing for what is none of ours: a field
 * of another form, or a key of another type. RIALTO_OK (also for none: mark 0), or SYSTEM when Redis does not answer within `wait_ms`. Several threads may load
 * different partitions. */
#define MIRROR_KIND_IDS 'i'
#define MIRROR_KIND_ODD '?'
enum rialto_status mirror_load(const struct config *config, uint32_t partition, uint32_t wait_ms,
                               void (*record)(void *user, char kind, struct rialto_key key, const void *value, size_t bytes),
                               void *user, uint64_t *ret_mark);
#endif
