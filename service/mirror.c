/* mirror.c - the mirror's thread, its queue, and what it knows about each partition in Redis.
 *
 *   worker: mirror_put()... --> staging --mirror_commit()--> queue --thread, one flush on its way--> Redis
 *                                                                <-- replies to EXEC: mark moved, durable seq
 *
 * A partition's mark in Redis promises: every record of the partition as of that batch, or newer, is there. Each
 * partition that we own is in one of these conditions, and only SYNCED ones are covered by what we call durable:
 *
 *   BEHIND     Redis may lack records newer than its mark. Commits are dropped: a sweep will carry them.
 *      | the thread reads the mark (and makes it, as 0, where there is none). Up to date: SYNCED. Else:
 *   WANTED     the worker is asked for all records newer than the mark. Commits are still dropped.
 *      | mirror_wanted() hands it to the worker, which begins to put them, in slices
 *   SWEEPING   slices and normal commits are queued, in order, and do not move the mark.
 *      | mirror_swept(): behind them in the queue, the mark moves
 *   SYNCED     commits are queued and move the mark.
 *
 * Why a sweep is whole: a record that changed before its slice was read is read in its newest version; one that
 * changed after it is in a normal commit behind that slice. Both ways the version that reaches Redis last is the
 * newest. Nothing is queued before SWEEPING, so nothing older can come after.
 *
 * A sweep that has to get rid of records, too, writes a clean sheet beside the state, which takes its place with the mark's
 * move, in one transaction: whoever loads the state meanwhile finds it whole, as of the mark.
 *
 * Back to BEHIND: the link is lost (all partitions; what was on its way is unknown, and the mark tells when it is
 * back), the queue is over mirror_bytes_max (the partitions of the dropped commit), or the mark is not what we set it
 * to (Redis was emptied or replaced, or executed late what a broken connection had left in its buffers): seen by the
 * next transaction of the partition, and every CHECK_MS. Then the mark is first put back to what stood there, so that
 * the sweep begins there even if it is the next process that makes it. A sweep that is running ends for nothing, and
 * mirror_swept() is not believed, because the condition is no longer SWEEPING.
 *
 * Durable seq: a commit made while all partitions are SYNCED claims its seq; the claim holds when its flush is
 * confirmed, since the queue is in order. While any partition is behind no commit claims anything; the last
 * mirror_swept() claims what was committed.
 *
 * Locking    `mutex` guards conditions, newest, queue; Redis is only talked to without it, so the worker waits for
 *            memory copies at most. `marks` and the link belong to the thread, staging to the worker.
 * Not here   transactions and replies (mirror_flush.c), reading state back (mirror_load.c). */
#include "service/clock.h"
#include "service/mirror_parts.h"

#include "service/log.h"
#include "service/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REWRITE_PAUSE_MS 1000 /* after an erasure, and between attempts */
#define FLUSH_BYTES_MAX   (1u << 20)
#define FLUSH_RECORDS_MAX 16384u
#define CHECK_MS          3000 /* marks are read again this often, in case Redis was emptied */
#define RECONNECT_MS      100
#define RECONNECT_MAX_MS  1000
#define STAGING_BYTES     65536u

#define MARK_NONE         UINT64_MAX

enum condition { NOT_OURS, BEHIND, WANTED, SWEEPING, SYNCED };

struct mirror {
    const struct config *config;
    struct mirror_hooks hooks;
    uint32_t worker;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t news; /* for the thread: queue or stopping */

    bool own[MIRROR_SLOTS]; /* constant */

    /* under the mutex */
    enum condition condition[MIRROR_SLOTS];
    uint64_t newest[MIRROR_SLOTS]; /* seq of the newest commit with records of it; UINT64_MAX = not known */
    uint64_t wanted_from[MIRROR_SLOTS];
    uint32_t unsynced;  /* partitions of ours that are not SYNCED */
    uint64_t committed; /* newest seq */
    struct mirror_commit *head, *tail;
    uint64_t queued_bytes;
    bool stopping;
    int64_t stop_limit_ms;

    _Atomic uint64_t durable;
    atomic_bool up;
    _Atomic int64_t erased_ms; /* monotonic time of the newest erasure that no rewrite has taken out yet; 0 = none */

    /* the thread's */
    struct redis_link link;
    uint64_t marks[MIRROR_SLOTS];           /* in Redis, once all that was sent has been executed */
    bool sheet[MIRROR_SLOTS];               /* what is sent goes onto a clean sheet */
    uint64_t held[MIRROR_SLOTS];            /* put the mark back to this before a sweep; MARK_NONE = it is right */
    struct mirror_flush flush; /* on its way, if `under_way` */
    bool under_way;
    int64_t check_at_ms;
    int64_t pause_ms; /* before the next connection; as at first once Redis has taken something, or answered twice */
    uint32_t connects;
    bool disk;
    int64_t rewrite_at_ms; /* not before */

    /* the worker's */
    char *staging;
    size_t staged_bytes, staging_room;
    uint32_t staged;
    bool staging_failed; /* out of memory: this commit is lost, all its partitions are behind */
};

/* ---- conditions: all under the mutex ---------------------------------------------------------------------------- */

static void condition_set(struct mirror *mirror, uint32_t partition, enum condition condition)
{
    enum condition *c = &mirror->condition[partition];
    if (*c == SYNCED && condition != SYNCED)
        mirror->unsynced++;
    else if (*c != SYNCED && condition == SYNCED)
        mirror->unsynced--;
    *c = condition;
}

static void fall_behind(struct mirror *mirror, uint32_t partition)
{
    if (mirror->condition[partition] != NOT_OURS)
        condition_set(mirror, partition, BEHIND);
}

/* Redis lost something: nothing that is queued or on its way proves any more that all before it is there. */
static void claims_void(struct mirror *mirror)
{
    for (struct mirror_commit *c = mirror->head; c != NULL; c = c->next)
        c->durable_seq = 0;
    mirror->flush.durable_seq = 0;
}

static bool is_queueing(const struct mirror *mirror, uint32_t partition)
{
    return mirror->condition[partition] == SYNCED || mirror->condition[partition] == SWEEPING;
}

static void queue_append(struct mirror *mirror, struct mirror_commit *commit)
{
    commit->next = NULL;
    commit->committed_us = mono_us();
    if (mirror->tail != NULL)
        mirror->tail->next = commit;
    else
        mirror->head = commit;
    mirror->tail = commit;
    mirror->queued_bytes += sizeof *commit + commit->bytes;
    (void)pthread_cond_signal(&mirror->news);
}

static void commits_free(struct mirror_commit *commit)
{
    while (commit != NULL) {
        struct mirror_commit *next = commit->next;
        free(commit);
        commit = next;
    }
}

/* ---- the worker's side ------------------------------------------------------------------------------------------ */

static struct mirror_record *stage(struct mirror *mirror, uint32_t partition, enum mirror_op op, size_t value_bytes)
{
    struct mirror_record record = { .value_bytes = (uint32_t)value_bytes,
                                    .partition = (uint8_t)partition,
                                    .op = (uint8_t)op };
    size_t bytes = mirror_record_bytes(&record);
    if (mirror->staged_bytes + bytes > mirror->staging_room) {
        size_t room = (mirror->staged_bytes + bytes) * 2;
        char *larger = realloc(mirror->staging, room);
        if (larger == NULL) {
            mirror->staging_failed = true;
            return NULL;
        }
        mirror->staging = larger;
        mirror->staging_room = room;
    }
    struct mirror_record *place = (struct mirror_record *)(void *)(mirror->staging + mirror->staged_bytes);
    *place = record;
    mirror->staged_bytes += bytes;
    mirror->staged++;
    return place;
}

void mirror_put(struct mirror *mirror, uint32_t partition, char kind, struct rialto_key key, const void *value,
                size_t value_bytes)
{
    struct mirror_record *record = stage(mirror, partition, value_bytes > 0 ? MIRROR_PUT : MIRROR_DELETE, value_bytes);
    if (record == NULL)
        return;
    record->kind = kind;
    record->key = key;
    if (value_bytes > 0)
        memcpy(record + 1, value, value_bytes);
}

void mirror_put_ids(struct mirror *mirror, uint32_t partition, uint32_t generation, bool first, const uint64_t *word,
                    size_t count)
{
    struct mirror_record *record =
        stage(mirror, partition, first ? MIRROR_IDS_FIRST : MIRROR_IDS, count * sizeof word[0]);
    if (record == NULL)
        return;
    record->kind = (char)generation;
    if (count > 0)
        memcpy(record + 1, word, count * sizeof word[0]);
}

void mirror_sweep_begins(struct mirror *mirror, uint32_t partition, bool clean)
{
    (void)stage(mirror, partition, clean ? MIRROR_SHEET : MIRROR_NO_SHEET, 0);
}

/* Copy what may be queued; of the rest only remember how new it is. Under the mutex. */
static bool staged_copy(struct mirror *mirror, struct mirror_commit *commit)
{
    const char *at = mirror->staging;
    char *to = (char *)(commit + 1);
    bool whole = true;
    for (uint32_t i = 0; i < mirror->staged; i++) {
        const struct mirror_record *record = (const struct mirror_record *)(const void *)at;
        size_t bytes = mirror_record_bytes(record);
        if (mirror->newest[record->partition] != UINT64_MAX)
            mirror->newest[record->partition] = commit->seq;
        if (is_queueing(mirror, record->partition)) {
            memcpy(to, record, bytes);
            ((struct mirror_record *)(void *)to)->marked = mirror->condition[record->partition] == SYNCED;
            to += bytes;
            commit->bytes += bytes;
            commit->count++;
        } else {
            whole = false;
        }
        at += bytes;
    }
    return whole;
}

/* No room: the partitions of this commit are behind from now on. Under the mutex. */
static void staged_drop(struct mirror *mirror, uint64_t seq)
{
    const char *at = mirror->staging;
    for (uint32_t i = 0; i < mirror->staged; i++) {
        const struct mirror_record *record = (const struct mirror_record *)(const void *)at;
        if (mirror->newest[record->partition] != UINT64_MAX)
            mirror->newest[record->partition] = seq;
        fall_behind(mirror, record->partition);
        at += mirror_record_bytes(record);
    }
    for (uint32_t p = 0; mirror->staging_failed && p < MIRROR_SLOTS; p++) { /* we do not know which ones it was */
        mirror->newest[p] = UINT64_MAX;
        fall_behind(mirror, p);
    }
}

static bool commit_locked(struct mirror *mirror, struct mirror_commit *commit, uint64_t seq)
{
    mirror->committed = seq;
    bool up = atomic_load_explicit(&mirror->up, memory_order_relaxed);
    bool room = mirror->queued_bytes + mirror->staged_bytes <= mirror->config->mirror_bytes_max;
    if (commit == NULL || !up || !room) {
        staged_drop(mirror, seq);
        free(commit);
        return mirror->staged == 0 && !mirror->staging_failed;
    }
    *commit = (struct mirror_commit){ .seq = seq };
    bool whole = staged_copy(mirror, commit);
    commit->durable_seq = whole && mirror->unsynced == 0 ? seq : 0;
    if (commit->count > 0 || commit->durable_seq != 0)
        queue_append(mirror, commit);
    else
        free(commit);
    return whole;
}

bool mirror_commit(struct mirror *mirror, uint64_t seq)
{
    struct mirror_commit *commit = NULL;
    if (!mirror->staging_failed && mirror_up(mirror))
        commit = malloc(sizeof *commit + mirror->staged_bytes);
    (void)pthread_mutex_lock(&mirror->mutex);
    bool queued = commit_locked(mirror, commit, seq);
    (void)pthread_mutex_unlock(&mirror->mutex);
    mirror->staged = 0;
    mirror->staged_bytes = 0;
    mirror->staging_failed = false;
    return queued;
}

bool mirror_wanted(struct mirror *mirror, uint32_t *ret_partition, uint64_t *ret_mark)
{
    bool found = false;
    (void)pthread_mutex_lock(&mirror->mutex);
    for (uint32_t p = 0; p < MIRROR_SLOTS && !found; p++) {
        if (mirror->condition[p] != WANTED)
            continue;
        condition_set(mirror, p, SWEEPING);
        *ret_partition = p;
        *ret_mark = mirror->wanted_from[p];
        found = true;
    }
    (void)pthread_mutex_unlock(&mirror->mutex);
    return found;
}

static void swept_locked(struct mirror *mirror, uint32_t partition, uint64_t seq, struct mirror_commit *commit)
{
    struct mirror_record *record = (struct mirror_record *)(void *)(commit + 1);
    *commit = (struct mirror_commit){ .seq = seq, .bytes = sizeof *record, .count = 1 };
    *record = (struct mirror_record){ .partition = (uint8_t)partition, .op = MIRROR_SWEPT };
    condition_set(mirror, partition, SYNCED);
    mirror->newest[partition] = seq;
    if (seq > mirror->committed)
        mirror->committed = seq;
    commit->durable_seq = mirror->unsynced == 0 ? mirror->committed : 0;
    queue_append(mirror, commit);
}

void mirror_swept(struct mirror *mirror, uint32_t partition, uint64_t seq)
{
    struct mirror_commit *commit = malloc(sizeof *commit + sizeof(struct mirror_record));
    (void)pthread_mutex_lock(&mirror->mutex);
    if (mirror->condition[partition] != SWEEPING)
        free(commit); /* something went missing under way: it will be asked for again */
    else if (commit == NULL)
        fall_behind(mirror, partition);
    else
        swept_locked(mirror, partition, seq, commit);
    (void)pthread_mutex_unlock(&mirror->mutex);
}

bool mirror_idle(struct mirror *mirror)
{
    (void)pthread_mutex_lock(&mirror->mutex);
    bool idle = mirror->head == NULL;
    (void)pthread_mutex_unlock(&mirror->mutex);
    return idle;
}

size_t mirror_room(struct mirror *mirror)
{
    size_t most = mirror->config->mirror_bytes_max / 2;
    (void)pthread_mutex_lock(&mirror->mutex);
    size_t queued = (size_t)mirror->queued_bytes;
    (void)pthread_mutex_unlock(&mirror->mutex);
    return queued < most ? most - queued : 0;
}

size_t mirror_staged(const struct mirror *mirror)
{
    return mirror->staged_bytes;
}

bool mirror_up(const struct mirror *mirror)
{
    return atomic_load_explicit(&mirror->up, memory_order_acquire);
}

uint64_t mirror_durable(const struct mirror *mirror)
{
    return atomic_load_explicit(&mirror->durable, memory_order_acquire);
}

/* ---- the thread: marks ------------------------------------------------------------------------------------------ */

static bool append_words(struct redis_link *link, int count, const char *const words[])
{
    const char *argv[4];
    size_t bytes[4];
    for (int i = 0; i < count; i++) {
        argv[i] = words[i];
        bytes[i] = strlen(words[i]);
    }
    return redis_link_append(link, count, argv, bytes);
}

/* Then GET: a mark that is not there is made, as 0; one that is wrong is put right. */
static bool marks_ask(struct mirror *mirror)
{
    char key[MIRROR_KEY_MAX], number[24];
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        if (!mirror->own[p])
            continue;
        (void)mirror_key(mirror->config, "mark", p, key);
        bool right = mirror->held[p] == MARK_NONE;
        (void)snprintf(number, sizeof number, "%" PRIu64, right ? 0 : mirror->held[p]);
        if (!append_words(&mirror->link, 3, (const char *const[]){ right ? "SETNX" : "SET", key, number }) ||
            !append_words(&mirror->link, 2, (const char *const[]){ "GET", key }))
            return false;
    }
    return redis_link_flush(&mirror->link);
}

static bool mark_receive(struct mirror *mirror, uint64_t *ret_mark)
{
    redisReply *made = redis_link_reply(&mirror->link);
    redisReply *mark = made != NULL ? redis_link_reply(&mirror->link) : NULL;
    bool good = mark != NULL;
    if (good && made->type == REDIS_REPLY_ERROR) {
        redis_link_refused(&mirror->link, "making a mark", made);
        good = false;
    } else if (good && !mark_parse(mark, ret_mark)) {
        *ret_mark = 0; /* damaged: it vouches for nothing, and what is sent now writes over it */
        good = mark->type == REDIS_REPLY_STRING;
        if (!good)
            redis_link_refused(&mirror->link, "reading a mark", mark);
    }
    if (made != NULL)
        freeReplyObject(made);
    if (mark != NULL)
        freeReplyObject(mark);
    return good;
}

/* What the mark in Redis says about the partition. Under the mutex; nothing is on its way. */
static bool mark_judge(struct mirror *mirror, uint32_t partition, uint64_t mark)
{
    bool moved = mark != mirror->marks[partition];
    mirror->marks[partition] = mark;
    mirror->held[partition] = MARK_NONE;
    if (moved && mirror->condition[partition] != BEHIND) { /* emptied, or an older one came back */
        fall_behind(mirror, partition);
        claims_void(mirror);
    }
    if (mirror->condition[partition] != BEHIND)
        return false;
    if (mark == mirror->newest[partition]) {
        condition_set(mirror, partition, SYNCED);
        return false;
    }
    mirror->wanted_from[partition] = mark;
    condition_set(mirror, partition, WANTED);
    return true;
}

/* Redis has taken all that it lacked, or has answered for CHECK_MS: one that only lets itself be connected to may still refuse what
 * matters. */
static void proven(struct mirror *mirror)
{
    mirror->pause_ms = RECONNECT_MS;
    redis_link_works(&mirror->link);
}

/* Read all marks of ours; a sweep is wanted where Redis lacks something. Only when nothing is on its way. */
static bool marks_read(struct mirror *mirror)
{
    uint64_t mark[MIRROR_SLOTS] = { 0 };
    if (!marks_ask(mirror))
        return false;
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        if (mirror->own[p] && !mark_receive(mirror, &mark[p]))
            return false;
    }
    uint32_t wanted = 0;
    (void)pthread_mutex_lock(&mirror->mutex);
    bool first = !atomic_load_explicit(&mirror->up, memory_order_relaxed);
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        if (mirror->own[p])
            wanted += mark_judge(mirror, p, mark[p]);
    }
    /* From here on commits are queued; the mutex makes it one moment with the judgement. */
    atomic_store_explicit(&mirror->up, true, memory_order_release);
    (void)pthread_mutex_unlock(&mirror->mutex);
    mirror->check_at_ms = mono_ms() + CHECK_MS;
    if (!first)
        proven(mirror);
    metric_set(METRIC_redis_state, REDIS_up);
    if (wanted > 0)
        log_line(LOG_INFO, "MIRROR-BEHIND", "partitions=%u: sending what Redis lacks", wanted);
    if (wanted > 0 || first)
        mirror->hooks.wake(mirror->hooks.user);
    return true;
}

/* ---- the thread: connecting ------------------------------------------------------------------------------------- */

static void link_lost(struct mirror *mirror)
{
    redis_link_close(&mirror->link);
    metric_set(METRIC_redis_state, mirror->link.state);
    mirror->under_way = false;
    memset(mirror->sheet, 0, sizeof mirror->sheet);
    (void)pthread_mutex_lock(&mirror->mutex);
    bool was_up = atomic_exchange_explicit(&mirror->up, false, memory_order_release);
    struct mirror_commit *dropped = mirror->head;
    mirror->head = mirror->tail = NULL;
    mirror->queued_bytes = 0;
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++)
        fall_behind(mirror, p);
    (void)pthread_mutex_unlock(&mirror->mutex);
    commits_free(dropped);
    if (was_up)
        mirror->hooks.wake(mirror->hooks.user);
}

/* CONFIG GET may be forbidden, then we promise no disk. */
static bool setting_is(struct mirror *mirror, const char *name, const char *value)
{
    redisReply *reply = redis_link_call(&mirror->link, (const char *const[]){ "CONFIG", "GET", name, NULL });
    if (reply == NULL)
        return false;
    bool is = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
              reply->element[1]->type == REDIS_REPLY_STRING && strcmp(reply->element[1]->str, value) == 0;
    freeReplyObject(reply);
    return is;
}

/* Whether Redis has each write on its disk before it answers, which somebody may change while it runs. */
static void disk_look(struct mirror *mirror)
{
    mirror->disk = setting_is(mirror, "appendonly", "yes") && setting_is(mirror, "appendfsync", "always");
}

static void name_connection(struct mirror *mirror)
{
    char name[RIALTO_NAME_MAX + 32];
    (void)snprintf(name, sizeof name, "%s.mirror.%u", mirror->config->redis_prefix, mirror->worker);
    redisReply *reply = redis_link_call(&mirror->link, (const char *const[]){ "CLIENT", "SETNAME", name, NULL });
    if (reply != NULL)
        freeReplyObject(reply); /* only for who looks at CLIENT LIST */
}

static bool connect_link(struct mirror *mirror)
{
    if (!redis_link_open(&mirror->link))
        return false;
    if (mirror->connects++ > 0)
        metric_add(METRIC_redis_reconnects_total, 1);
    name_connection(mirror);
    disk_look(mirror);
    return mirror_keys_mend(&mirror->link, mirror->own) && marks_read(mirror);
}

/* Wait for ms, or until mirror_stop(). False when it is time to end. */
static bool wait_for_stop(struct mirror *mirror, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&mirror->mutex);
    int error = 0;
    while (!mirror->stopping && error == 0)
        error = pthread_cond_timedwait(&mirror->news, &mirror->mutex, &until);
    bool stopping = mirror->stopping;
    (void)pthread_mutex_unlock(&mirror->mutex);
    return !stopping;
}

/* Longer each time that Redis has taken nothing in between, although it may answer: it may be full. False when it is time to end. */
static bool back_off(struct mirror *mirror)
{
    int64_t pause_ms = mirror->pause_ms;
    mirror->pause_ms = pause_ms * 2 < RECONNECT_MAX_MS ? pause_ms * 2 : RECONNECT_MAX_MS;
    return wait_for_stop(mirror, pause_ms);
}

/* ---- the thread: flushes ---------------------------------------------------------------------------------------- */

/* Take commits off the queue, as many as one flush may hold. */
static struct mirror_commit *queue_take(struct mirror *mirror)
{
    (void)pthread_mutex_lock(&mirror->mutex);
    struct mirror_commit *first = mirror->head, *last = NULL;
    size_t bytes = 0;
    uint32_t records = 0;
    for (struct mirror_commit *c = first; c != NULL; c = c->next) {
        bytes += sizeof *c + c->bytes;
        records += c->count;
        if (last != NULL && (bytes > FLUSH_BYTES_MAX || records > FLUSH_RECORDS_MAX))
            break;
        mirror->queued_bytes -= sizeof *c + c->bytes;
        last = c;
    }
    if (last != NULL) {
        mirror->head = last->next;
        if (mirror->head == NULL)
            mirror->tail = NULL;
        last->next = NULL;
    }
    bool idle = last != NULL && mirror->head == NULL;
    (void)pthread_mutex_unlock(&mirror->mutex);
    if (idle)
        mirror->hooks.wake(mirror->hooks.user);
    return first;
}

static bool send_next(struct mirror *mirror)
{
    struct mirror_commit *commits = queue_take(mirror);
    if (commits == NULL)
        return true;
    mirror->under_way = mirror_flush_send(&mirror->link, commits, mirror->marks, mirror->sheet, &mirror->flush);
    commits_free(commits);
    return mirror->under_way;
}

static void durable_advance(struct mirror *mirror, uint64_t seq)
{
    if (seq <= mirror_durable(mirror))
        return;
    atomic_store_explicit(&mirror->durable, seq, memory_order_release);
    mirror->hooks.durable(mirror->hooks.user, seq, mirror->disk);
}

/* The marks of these partitions were not ours: what Redis holds of them goes only up to what stood there. */
static bool take_losses(struct mirror *mirror, const uint64_t held[MIRROR_SLOTS])
{
    uint32_t lost = 0;
    (void)pthread_mutex_lock(&mirror->mutex);
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        if (held[p] == MARK_NONE)
            continue;
        lost++;
        fall_behind(mirror, p);
        if (held[p] < mirror->held[p])
            mirror->held[p] = held[p];
    }
    if (lost > 0)
        claims_void(mirror);
    (void)pthread_mutex_unlock(&mirror->mutex);
    return lost > 0;
}

static bool receive(struct mirror *mirror)
{
    uint64_t held[MIRROR_SLOTS];
    const struct mirror_flush *done = &mirror->flush;
    memset(held, 0xff, sizeof held); /* MARK_NONE */
    if (!mirror_flush_receive(&mirror->link, done, held))
        return false;
    mirror->under_way = false;
    if (!take_losses(mirror, held) && done->durable_seq != 0) {
        proven(mirror);
        durable_advance(mirror, done->durable_seq);
    }
    histogram_add(HISTOGRAM_redis_lag, mono_us() - done->committed_us);
    metric_add(METRIC_mirror_transactions_total, done->count);
    metric_add(METRIC_mirror_records_total, done->records);
    return true;
}

/* Is it time to read the marks: because a partition is behind and there is room again, or because it is time? */
static bool marks_due(struct mirror *mirror)
{
    bool behind = false;
    (void)pthread_mutex_lock(&mirror->mutex);
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++)
        behind = behind || mirror->condition[p] == BEHIND;
    behind = behind && mirror->queued_bytes <= mirror->config->mirror_bytes_max / 2;
    (void)pthread_mutex_unlock(&mirror->mutex);
    return behind || mono_ms() >= mirror->check_at_ms;
}

/* ---- the thread: erased data leave the append-only file, too ------------------------------------------------------ */

void mirror_erased(struct mirror *mirror)
{
    atomic_store(&mirror->erased_ms, mono_ms());
}

/* The transaction and the publisher's deletions are through a moment after the erasure. */
static bool rewrite_due(struct mirror *mirror)
{
    int64_t erased_ms = atomic_load(&mirror->erased_ms), now = mono_ms();
    return erased_ms != 0 && mirror->config->redis_url[0] == '\0' && now >= erased_ms + REWRITE_PAUSE_MS && now >= mirror->rewrite_at_ms;
}

/* Nothing is on its way. False: the link is dead. */
static bool rewrite(struct mirror *mirror)
{
    int64_t erased_ms = atomic_load(&mirror->erased_ms);
    redisReply *reply = redis_link_call(&mirror->link, (const char *const[]){ "BGREWRITEAOF", NULL });
    if (reply == NULL)
        return false;
    bool begun = reply->type != REDIS_REPLY_ERROR; /* else one is under way that may have begun too early: once more */
    freeReplyObject(reply);
    if (begun) {
        (void)atomic_compare_exchange_strong(&mirror->erased_ms, &erased_ms, 0); /* unless there is a newer one */
        metric_add(METRIC_redis_rewrites_total, 1);
    }
    mirror->rewrite_at_ms = mono_ms() + (begun ? (int64_t)mirror->config->erase_rewrite_s * 1000 : REWRITE_PAUSE_MS);
    return true;
}

static void wait_for_news(struct mirror *mirror)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    (void)pthread_mutex_lock(&mirror->mutex);
    int error = 0;
    while (mirror->head == NULL && !mirror->stopping && error == 0)
        error = pthread_cond_timedwait(&mirror->news, &mirror->mutex, &until);
    (void)pthread_mutex_unlock(&mirror->mutex);
}

static bool queue_is_empty(struct mirror *mirror, bool *ret_stopping, int64_t *ret_limit)
{
    (void)pthread_mutex_lock(&mirror->mutex);
    bool empty = mirror->head == NULL;
    *ret_stopping = mirror->stopping;
    *ret_limit = mirror->stop_limit_ms;
    (void)pthread_mutex_unlock(&mirror->mutex);
    return empty;
}

/* One step while the link is up: read the replies to what was sent, else send if there is something, else wait. Never two flushes on their
 * way: if the first is refused (no right, no memory, not the master now) and the second is not, its mark would vouch for what
 * the first should have brought. False: the link is dead. */
static bool work(struct mirror *mirror, bool empty)
{
    if (mirror->under_way)
        return receive(mirror);
    if (marks_due(mirror)) {
        disk_look(mirror);
        return marks_read(mirror);
    }
    if (!empty)
        return send_next(mirror);
    if (rewrite_due(mirror))
        return rewrite(mirror);
    wait_for_news(mirror);
    return true;
}

static void *mirror_thread(void *argument)
{
    struct mirror *mirror = argument;
    int64_t limit = 0;
    bool stopping = false;
    for (;;) {
        bool empty = queue_is_empty(mirror, &stopping, &limit);
        bool up = mirror_up(mirror);
        if (stopping && (!up || (empty && !mirror->under_way) || mono_ms() >= limit))
            break;
        if (up) {
            if (work(mirror, empty))
                continue;
        } else if (connect_link(mirror)) {
            continue;
        }
        link_lost(mirror);
        if (!back_off(mirror))
            break;
    }
    link_lost(mirror);
    return NULL;
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

static void conditions_setup(struct mirror *mirror)
{
    for (uint32_t p = 0; p < MIRROR_SLOTS; p++) {
        bool own = p == MIRROR_COMMON ? mirror->worker == 0 : p % mirror->config->workers == mirror->worker;
        mirror->own[p] = own;
        mirror->condition[p] = own ? BEHIND : NOT_OURS;
        mirror->held[p] = MARK_NONE;
        mirror->newest[p] = UINT64_MAX; /* the state may hold more than Redis: the first sweep finds out */
        mirror->unsynced += own;
    }
}

static bool sync_setup(struct mirror *mirror)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&mirror->mutex, NULL) != 0)
        return false;
    bool good = pthread_condattr_init(&attributes) == 0;
    if (good) {
        good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&mirror->news, &attributes) == 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!good)
        (void)pthread_mutex_destroy(&mirror->mutex);
    return good;
}

enum rialto_status mirror_start(const struct config *config, uint32_t worker, const struct mirror_hooks *hooks,
                                struct mirror **ret)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    if (mirror == NULL)
        return RIALTO_NO_MEMORY;
    mirror->config = config;
    mirror->hooks = *hooks;
    mirror->worker = worker;
    mirror->link = (struct redis_link){ .config = config, .who = "mirror" };
    mirror->pause_ms = RECONNECT_MS;
    /* What a process before this one erased and did not see rewritten is not known: it is treated as erased now. */
    mirror_erased(mirror);
    mirror->rewrite_at_ms = mono_ms() + (int64_t)config->erase_rewrite_s * 1000;
    mirror->staging_room = STAGING_BYTES;
    mirror->staging = malloc(mirror->staging_room);
    conditions_setup(mirror);
    enum rialto_status status = mirror->staging == NULL ? RIALTO_NO_MEMORY : RIALTO_OK;
    if (status == RIALTO_OK && !sync_setup(mirror))
        status = RIALTO_SYSTEM;
    if (status == RIALTO_OK && pthread_create(&mirror->thread, NULL, mirror_thread, mirror) != 0) {
        (void)pthread_cond_destroy(&mirror->news);
        (void)pthread_mutex_destroy(&mirror->mutex);
        status = RIALTO_SYSTEM;
    }
    if (status != RIALTO_OK) {
        free(mirror->staging);
        free(mirror);
        return status;
    }
    *ret = mirror;
    return RIALTO_OK;
}

void mirror_stop(struct mirror *mirror)
{
    if (mirror == NULL)
        return;
    (void)pthread_mutex_lock(&mirror->mutex);
    mirror->stopping = true;
    mirror->stop_limit_ms = mono_ms() + mirror->config->redis_timeout_ms;
    (void)pthread_cond_signal(&mirror->news);
    (void)pthread_mutex_unlock(&mirror->mutex);
    (void)pthread_join(mirror->thread, NULL);
    (void)pthread_cond_destroy(&mirror->news);
    (void)pthread_mutex_destroy(&mirror->mutex);
    free(mirror->staging);
    free(mirror);
}
