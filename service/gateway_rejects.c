/* gateway_rejects.c - rejected signals into a bounded stream in Redis, by a thread of their own.
 *
 *   main thread --rejects_add()--> queue of REJECTS_QUEUED_MAX --thread--> XADD PREFIX:rejects MAXLEN ~ rejects_max * ...
 *
 * Limits     at most REJECTS_A_SECOND, and no more than the queue holds while Redis is away: what comes beyond is only counted
 *            (rejects_dropped_total). A sender of rubbish costs others nothing.
 * Twice      what was on its way when a connection broke is sent again, and may stand there twice.
 * Sources    a batch remembers who sent each of its signals, as a number of a small table, because workers never learn it.
 * Threads    the mutex guards the queue; the rest of the upper half is the main thread's. */
#include "service/gateway.h"

#include "service/log.h"
#include "service/metrics.h"
#include "service/redis_link.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REJECTS_QUEUED_MAX 2048u
#define REJECTS_A_SECOND   1000u
#define REJECTS_A_FLUSH    64u
#define SOURCES_MAX        4096u
#define SOURCE_SLOTS       (2 * SOURCES_MAX)
#define SOURCE_PROBES      8u
#define SOURCES_KNOWN      256u /* found without looking at their names */
#define RETRY_MS           100
#define RETRY_MAX_MS       2000

struct rejects {
    const struct config *config;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* down to `stopping` */
    pthread_cond_t news;
    struct reject *queue; /* ring */
    uint32_t first, count;
    bool stopping;

    /* main thread */
    int64_t second;
    uint32_t in_second;
    struct source { /* the last ones that were new; of a signal on its way behind so many others it is not known */
        uint32_t number; /* 0 = none */
        char name[RIALTO_ID_MAX];
    } *source; /* ring [SOURCES_MAX] by number */
    uint32_t source_newest, source_last;
    uint32_t *source_slot; /* [SOURCE_SLOTS] by hash: a number, which the ring may not have any more */
    struct source_known {  /* by their hashes, the last ones */
        uint64_t who;      /* 0 = none */
        uint32_t number;
    } known[SOURCES_KNOWN];
};

/* ---- sources ------------------------------------------------------------------------------------------------------ */

static uint32_t text_hash(const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* "" = none, or it had to make room. */
static const char *source_name(const struct rejects *rejects, uint32_t number)
{
    const struct source *source = &rejects->source[number % SOURCES_MAX];
    return number != 0 && source->number == number ? source->name : "";
}

static uint32_t add_source(struct rejects *rejects, const char *name)
{
    rejects->source_newest += rejects->source_newest == UINT32_MAX ? 2 : 1; /* 0 is none */
    struct source *source = &rejects->source[rejects->source_newest % SOURCES_MAX];
    source->number = rejects->source_newest;
    (void)snprintf(source->name, sizeof source->name, "%s", name);
    return source->number;
}

static uint32_t find_source(struct rejects *rejects, const char *name)
{
    uint32_t oldest = text_hash(name) % SOURCE_SLOTS, at = oldest;
    for (uint32_t i = 0; i < SOURCE_PROBES; i++, at = (at + 1) % SOURCE_SLOTS) {
        uint32_t number = rejects->source_slot[at];
        if (strcmp(source_name(rejects, number), name) == 0)
            return number;
        if (rejects->source_newest - number > rejects->source_newest - rejects->source_slot[oldest])
            oldest = at;
    }
    rejects->source_slot[oldest] = add_source(rejects, name);
    return rejects->source_slot[oldest];
}

uint32_t rejects_source(struct gateway *gateway, const char *source, uint64_t who)
{
    struct rejects *rejects = gateway->rejects;
    if (source[0] == '\0' || rejects == NULL)
        return 0;
    struct source_known *known = &rejects->known[who % SOURCES_KNOWN];
    if (who != 0 && known->who == who && source_name(rejects, known->number)[0] != '\0')
        return known->number;
    if (strcmp(source_name(rejects, rejects->source_last), source) != 0)
        rejects->source_last = find_source(rejects, source);
    if (who != 0)
        *known = (struct source_known){ .who = who, .number = rejects->source_last };
    return rejects->source_last;
}

/* ---- what the main thread adds ------------------------------------------------------------------------------------- */

/* Before any work is done for it. */
static bool wanted(struct rejects *rejects)
{
    if (rejects == NULL || !rejects->started)
        return false;
    int64_t second = mono_ms() / 1000;
    if (second != rejects->second) {
        rejects->second = second;
        rejects->in_second = 0;
    }
    (void)pthread_mutex_lock(&rejects->lock);
    bool room = rejects->count < REJECTS_QUEUED_MAX;
    (void)pthread_mutex_unlock(&rejects->lock);
    if (room && rejects->in_second++ < REJECTS_A_SECOND)
        return true;
    metric_add(METRIC_rejects_dropped_total, 1);
    return false;
}

static void add(struct gateway *gateway, struct reject *reject)
{
    struct rejects *rejects = gateway->rejects;
    reject->at_ms = clock_now_ms(gateway);
    (void)pthread_mutex_lock(&rejects->lock);
    rejects->queue[(rejects->first + rejects->count++) % REJECTS_QUEUED_MAX] = *reject; /* only we add: room is there */
    (void)pthread_cond_signal(&rejects->news);
    (void)pthread_mutex_unlock(&rejects->lock);
}

void rejects_add_value(struct gateway *gateway, const cJSON *value, uint32_t index, enum signal_reason reason,
                       const struct fault *fault)
{
    struct reject reject;
    /* The sender of an unanswered request sends it again itself; it may have taken effect. */
    if (reason == REASON_no_answer || !wanted(gateway->rejects))
        return;
    reject_of_value(value, &gateway->rules, reason, fault, &reject);
    reject.index = index;
    (void)snprintf(reject.by, sizeof reject.by, "gateway");
    add(gateway, &reject);
}

void rejects_add_record(struct gateway *gateway, uint32_t worker, const struct wire_record *head,
                        const struct signal *signal, uint32_t source, enum signal_reason reason)
{
    struct reject reject;
    if ((unsigned)signal->type >= SIGNAL_TYPE_COUNT || reason == REASON_no_answer || !wanted(gateway->rejects))
        return;
    reject_of_part(signal, (enum signal_part)head->part, reason, &reject);
    (void)snprintf(reject.pointer, sizeof reject.pointer, "%s", answer_pointer_of(reason));
    const char *name = source_name(gateway->rejects, source);
    if (!customer_looks_personal(name))
        (void)snprintf(reject.source, sizeof reject.source, "%s", name);
    (void)snprintf(reject.by, sizeof reject.by, "worker.%u", worker);
    add(gateway, &reject);
}

/* ---- the thread ----------------------------------------------------------------------------------------------------- */

static bool append_entry(struct redis_link *link, const struct reject *reject)
{
    char key[RIALTO_NAME_MAX + 16], bound[16], at[24], index[16] = "";
    (void)snprintf(key, sizeof key, REJECTS_KEY_FORMAT, link->config->redis_prefix);
    (void)snprintf(bound, sizeof bound, "%u", link->config->rejects_max);
    (void)snprintf(at, sizeof at, "%" PRId64, reject->at_ms);
    if (reject->index != UINT32_MAX)
        (void)snprintf(index, sizeof index, "%u", reject->index);
    const char *const value[REJECT_FIELD_COUNT] = {
        [REJECT_FIELD_at] = at,
        [REJECT_FIELD_reason] = signal_reason_name(reject->reason),
        [REJECT_FIELD_pointer] = reject->pointer,
        [REJECT_FIELD_text] = reject->text,
        [REJECT_FIELD_source] = reject->source,
        [REJECT_FIELD_type] = reject->type,
        [REJECT_FIELD_by] = reject->by,
        [REJECT_FIELD_index] = index,
        [REJECT_FIELD_whole] = reject->whole ? "1" : "0",
        [REJECT_FIELD_signal] = reject->signal,
    };
    const char *argv[6 + 2 * REJECT_FIELD_COUNT] = { "XADD", key, "MAXLEN", "~", bound, "*" };
    size_t bytes[6 + 2 * REJECT_FIELD_COUNT];
    int argc = 6;
    for (unsigned i = 0; i < REJECT_FIELD_COUNT; i++) {
        argv[argc++] = reject_field_name[i];
        argv[argc++] = value[i];
    }
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    return redis_link_append(link, argc, argv, bytes);
}

/* The oldest `count` of the queue; they stay in it until Redis has confirmed them. */
static bool send_oldest(struct rejects *rejects, struct redis_link *link, uint32_t count)
{
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++)
        good = append_entry(link, &rejects->queue[(rejects->first + i) % REJECTS_QUEUED_MAX]);
    for (uint32_t i = 0; i < count && good; i++) {
        redisReply *reply = redis_link_reply(link);
        good = reply != NULL;
        if (good && reply->type == REDIS_REPLY_ERROR) {
            redis_link_refused(link, "keeping a rejected signal", reply);
            good = false;
        }
        if (reply != NULL)
            freeReplyObject(reply);
    }
    return good;
}

/* Until there is something, or ms are over. Returns how many there are. */
static uint32_t wait_for_some(struct rejects *rejects, int64_t ms, bool only_stop)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_mutex_lock(&rejects->lock);
    int error = 0;
    while (!rejects->stopping && (only_stop || rejects->count == 0) && error == 0)
        error = pthread_cond_timedwait(&rejects->news, &rejects->lock, &until);
    uint32_t count = rejects->count;
    (void)pthread_mutex_unlock(&rejects->lock);
    return count;
}

static bool is_stopping(struct rejects *rejects)
{
    (void)pthread_mutex_lock(&rejects->lock);
    bool stopping = rejects->stopping;
    (void)pthread_mutex_unlock(&rejects->lock);
    return stopping;
}

static void take_off(struct rejects *rejects, uint32_t count)
{
    (void)pthread_mutex_lock(&rejects->lock);
    rejects->first = (rejects->first + count) % REJECTS_QUEUED_MAX;
    rejects->count -= count;
    (void)pthread_mutex_unlock(&rejects->lock);
    metric_add(METRIC_rejects_kept_total, count);
}

/* Connects when there is something to say: a gateway without rejected signals has no business with Redis. */
static void *rejects_thread(void *argument)
{
    struct rejects *rejects = argument;
    struct redis_link link = { .config = rejects->config, .who = "rejects" };
    int64_t pause_ms = RETRY_MS;
    for (;;) {
        uint32_t count = wait_for_some(rejects, 1000, false);
        bool stopping = is_stopping(rejects);
        if (count == 0 && stopping)
            break;
        if (count == 0)
            continue;
        count = count < REJECTS_A_FLUSH ? count : REJECTS_A_FLUSH;
        if ((link.context != NULL || redis_link_open(&link)) && send_oldest(rejects, &link, count)) {
            take_off(rejects, count);
            redis_link_works(&link);
            pause_ms = RETRY_MS;
            continue;
        }
        redis_link_close(&link);
        if (stopping)
            break; /* what Redis does not take now is lost, and was counted as rejected */
        (void)wait_for_some(rejects, pause_ms, true);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
    }
    redis_link_close(&link);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

bool rejects_setup(struct gateway *gateway)
{
    struct rejects *rejects = calloc(1, sizeof *rejects);
    if (rejects == NULL)
        return false;
    gateway->rejects = rejects;
    rejects->config = gateway->config;
    (void)pthread_mutex_init(&rejects->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&rejects->news, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    rejects->queue = calloc(REJECTS_QUEUED_MAX, sizeof *rejects->queue);
    rejects->source = calloc(SOURCES_MAX, sizeof *rejects->source);
    rejects->source_slot = calloc(SOURCE_SLOTS, sizeof *rejects->source_slot);
    if (rejects->queue == NULL || rejects->source == NULL || rejects->source_slot == NULL)
        return false;
    if (gateway->config->rejects_max == 0)
        return true;
    rejects->started = pthread_create(&rejects->thread, NULL, rejects_thread, rejects) == 0;
    return rejects->started;
}

void rejects_teardown(struct gateway *gateway)
{
    struct rejects *rejects = gateway->rejects;
    if (rejects == NULL)
        return;
    if (rejects->started) {
        (void)pthread_mutex_lock(&rejects->lock);
        rejects->stopping = true;
        (void)pthread_cond_signal(&rejects->news);
        (void)pthread_mutex_unlock(&rejects->lock);
        (void)pthread_join(rejects->thread, NULL);
    }
    (void)pthread_cond_destroy(&rejects->news);
    (void)pthread_mutex_destroy(&rejects->lock);
    free(rejects->queue);
    free(rejects->source);
    free(rejects->source_slot);
    free(rejects);
    gateway->rejects = NULL;
}
