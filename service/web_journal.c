/* web_journal.c - what did it cost, and what made it? Entries of the price journal in Redis, as JSON.
 *
 *   handler: take a place --> suspend --> one thread: a key a day --ZRANGEBYLEX--> text, resume --> handler again
 *
 * Apart      from the threads that answer quotes: Redis may be slow or away, and they do not notice.
 * Bounded    WAITING_MAX questions wait; an answer has at most ENTRIES_MAX entries and says where to go on; a question that takes
 *            longer than LOOK_MS is given up.
 * Not here   which zone's price holds in a zone: GET /v1/explain says so; here a zone is itself alone. */
#include "cache/keys.h"
#include "cache/reader.h"
#include "cache/zone_path.h"
#include "pricing/money.h"
#include "service/clock.h"
#include "service/journal.h"
#include "service/redis_link.h"
#include "service/signal_rows.h"
#include "service/web.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAITING_MAX  16u
#define ENTRIES_MAX  1000u
#define LOOK_MS      3000
#define DEFAULT_SPAN JOURNAL_DAY_MS

struct question {
    struct exchange *exchange;
    struct journal_of of;
    char zone[RIALTO_ID_MAX];
    uint32_t limit;
    struct question *next;
};

struct historian {
    struct web *web;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct question *first, **last; /* waiting, in order */
    uint32_t waiting;
    bool ending;
    struct redis_link link;
    struct journal_entry entry[ENTRIES_MAX + JOURNAL_TIED_MAX];
};

/* ---- the answer ------------------------------------------------------------------------------------------------------- */

static void put_time(struct text *text, int64_t ms)
{
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL)
        parts = (struct tm){ .tm_mday = 1 };
    text_put(text, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
             parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(ms % 1000));
}

static void put_entry(struct text *text, const struct journal_entry *e)
{
    const struct currency *currency = currency_find(e->currency);
    text_put(text, "{\"when_ms\":%" PRId64 ",\"amount\":%" PRId64 ",\"before\":", e->when_ms, e->amount);
    if (e->before == JOURNAL_UNKNOWN)
        text_put(text, "null");
    else
        text_put(text, "%" PRId64, e->before);
    text_put(text,
             ",\"first_ms\":%" PRId64 ",\"moves\":%" PRIu32 ",\"low\":%" PRId64 ",\"low_ms\":%" PRId64
             ",\"list\":%" PRId64 ",\"floor\":%" PRId64 ",\"ceiling\":%" PRId64 ",\"currency\":",
             e->first_ms, e->moves, e->low, e->low_ms, e->list, e->floor, e->ceiling);
    text_quoted(text, e->currency);
    text_put(text, ",\"decimals\":%u,\"model\":", currency != NULL ? currency->decimals : 0u);
    text_quoted(text, e->model);
    text_put(text, ",\"version\":");
    text_quoted(text, e->version);
    text_put(text, ",\"guardrails\":[");
    for (unsigned i = 0, put = 0; i < GUARD_COUNT; i++)
        if (e->guards >> i & 1u)
            text_put(text, "%s\"%s\"", put++ > 0 ? "," : "", guard_names[i]);
    text_put(text, "],\"factors\":[");
    for (uint32_t i = 0; i < e->factor_count; i++) {
        text_put(text, "%s{\"name\":", i > 0 ? "," : "");
        text_quoted(text, e->factor[i].name);
        text_put(text, ",\"times\":\"%d.%06d\"}", (int)(e->factor[i].micro / MICRO), (int)(e->factor[i].micro % MICRO));
    }
    text_put(text, "]}");
}

static void put_answer(struct text *text, const struct question *question, const struct journal_found *found)
{
    uint32_t told = found->count < question->limit ? found->count : question->limit;
    text_put(text, "{\"sku\":");
    text_quoted(text, question->of.sku);
    text_put(text, ",\"zone\":");
    text_quoted(text, question->of.zone);
    text_put(text, ",\"from_ms\":%" PRId64 ",\"to_ms\":%" PRId64 ",\"entries\":[", question->of.from_ms,
             question->of.to_ms);
    for (uint32_t i = 0; i < told; i++) {
        if (i > 0)
            text_append(text, ",", 1);
        put_entry(text, &found->entry[i]);
    }
    text_put(text, "],\"next\":");
    if (found->count > told)
        put_time(text, found->entry[told].when_ms);
    else
        text_put(text, "null");
    text_append(text, "}\n", 2);
}

/* ---- the thread ---------------------------------------------------------------------------------------------------------- */

/* All days of the time, until there are more entries than are told: those at one time are told by one answer. */
static bool read_days(struct historian *historian, const struct question *question, struct journal_found *found)
{
    int64_t give_up = mono_ms() + LOOK_MS, last = (question->of.to_ms - 1) / JOURNAL_DAY_MS;
    *found = (struct journal_found){ .entry = historian->entry, .room = ENTRIES_MAX + JOURNAL_TIED_MAX };
    for (int64_t day = question->of.from_ms / JOURNAL_DAY_MS; day <= last && found->count <= question->limit; day++)
        if (mono_ms() > give_up ||
            !journal_read_day(&historian->link, &question->of, day, found->room - found->count, found))
            return false;
    found->count = journal_sort(found->entry, found->count);
    return true;
}

/* A link that stood idle may be dead without having said so: once more. */
static bool look(struct historian *historian, const struct question *question, struct journal_found *found)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (historian->link.context == NULL && !redis_link_open(&historian->link))
            return false;
        if (read_days(historian, question, found)) {
            redis_link_works(&historian->link);
            return true;
        }
        if (historian->link.context != NULL) /* too slow */
            return false;
    }
    return false;
}

static void settle(struct question *question, enum forward_state state)
{
    struct exchange *exchange = question->exchange;
    free(question);
    atomic_store(&exchange->forwarded, state);
    MHD_resume_connection(exchange->connection);
}

static struct question *next_question(struct historian *historian)
{
    (void)pthread_mutex_lock(&historian->lock);
    while (historian->first == NULL && !historian->ending)
        (void)pthread_cond_wait(&historian->asked, &historian->lock);
    struct question *question = historian->first;
    if (question != NULL) {
        historian->first = question->next;
        historian->last = historian->first == NULL ? &historian->first : historian->last;
        historian->waiting--;
    }
    (void)pthread_mutex_unlock(&historian->lock);
    return question;
}

static bool is_ending(struct historian *historian)
{
    (void)pthread_mutex_lock(&historian->lock);
    bool ending = historian->ending;
    (void)pthread_mutex_unlock(&historian->lock);
    return ending;
}

static void *historian_run(void *argument)
{
    struct historian *historian = argument;
    for (struct question *question; (question = next_question(historian)) != NULL;) {
        struct journal_found found;
        if (!is_ending(historian) && look(historian, question, &found)) {
            put_answer(&question->exchange->answer, question, &found);
            settle(question, FORWARD_ANSWERED);
        } else {
            settle(question, FORWARD_FAILED);
        }
    }
    return NULL;
}

struct historian *historian_open(struct web *web)
{
    struct historian *historian = calloc(1, sizeof *historian);
    if (historian == NULL)
        return NULL;
    historian->web = web;
    historian->link = (struct redis_link){ .config = web->config, .who = "journal" };
    historian->last = &historian->first;
    (void)pthread_mutex_init(&historian->lock, NULL);
    (void)pthread_cond_init(&historian->asked, NULL);
    if (pthread_create(&historian->thread, NULL, historian_run, historian) == 0)
        return historian;
    free(historian);
    return NULL;
}

void historian_close(struct historian *historian)
{
    if (historian == NULL)
        return;
    (void)pthread_mutex_lock(&historian->lock);
    historian->ending = true;
    (void)pthread_cond_signal(&historian->asked);
    (void)pthread_mutex_unlock(&historian->lock);
    (void)pthread_join(historian->thread, NULL);
    redis_link_close(&historian->link);
    (void)pthread_cond_destroy(&historian->asked);
    (void)pthread_mutex_destroy(&historian->lock);
    free(historian);
}

/* ---- the question ---------------------------------------------------------------------------------------------------------- */

static enum MHD_Result told(struct exchange *exchange)
{
    if (atomic_load(&exchange->forwarded) == FORWARD_FAILED)
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "journal-away", "The price journal cannot be read now",
                       "it is in Redis, which does not answer, or not in time; the service's log says more");
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, &exchange->answer);
}

static bool number_parse(const char *text, uint32_t most, uint32_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6 || text[digits] != '\0')
        return false;
    *ret = (uint32_t)strtoul(text, NULL, 10);
    return *ret >= 1 && *ret <= most;
}

/* What is asked for, but for the product's partition. NULL: fine; else what is wrong. */
static const char *question_parse(const struct exchange *exchange, int64_t now_ms, struct question *ret)
{
    const char *zone = query_text(exchange, "zone"), *from = query_text(exchange, "from"),
               *to = query_text(exchange, "to"), *limit = query_text(exchange, "limit");
    zone = zone == NULL || strcmp(zone, "world") == 0 ? "" : zone;
    if (strlen(exchange->tail) >= RIALTO_ID_MAX || !text_is_plain(exchange->tail))
        return "that is not the name of a product";
    if (strlen(zone) >= RIALTO_ID_MAX || !zone_name_valid(zone, strlen(zone)))
        return "zone: that is not the name of one";
    (void)snprintf(ret->zone, sizeof ret->zone, "%s", zone);
    ret->of.to_ms = now_ms + 1;
    if (to != NULL && !time_parse(to, &ret->of.to_ms))
        return "to: a time as RFC 3339 has it, such as 2026-11-20T09:00:00Z";
    ret->of.from_ms = ret->of.to_ms - DEFAULT_SPAN;
    if (from != NULL && !time_parse(from, &ret->of.from_ms))
        return "from: a time as RFC 3339 has it, such as 2026-11-20T09:00:00Z";
    if (ret->of.from_ms < 0 || ret->of.to_ms > JOURNAL_TIME_MAX || ret->of.from_ms >= ret->of.to_ms)
        return "the time must begin before it ends";
    int64_t oldest = now_ms - ((int64_t)exchange->web->config->journal_days + 1) * JOURNAL_DAY_MS;
    if (ret->of.from_ms < oldest) /* the journal does not go back further, and nobody reads keys that are not there */
        ret->of.from_ms = oldest;
    if (ret->of.to_ms > now_ms + JOURNAL_DAY_MS)
        ret->of.to_ms = now_ms + JOURNAL_DAY_MS;
    ret->limit = ENTRIES_MAX;
    return limit == NULL || number_parse(limit, ENTRIES_MAX, &ret->limit) ? NULL : "limit: a number from 1 to 1000";
}

static enum MHD_Result enqueue(struct exchange *exchange, struct question *question)
{
    struct historian *historian = exchange->web->historian;
    (void)pthread_mutex_lock(&historian->lock);
    bool taken = historian->waiting < WAITING_MAX && !historian->ending;
    if (taken) {
        exchange->finish = told;
        atomic_store(&exchange->forwarded, FORWARD_UNDER_WAY);
        exchange_waits(exchange->connection);
        MHD_suspend_connection(exchange->connection);
        *historian->last = question;
        historian->last = &question->next;
        historian->waiting++;
        (void)pthread_cond_signal(&historian->asked);
    }
    (void)pthread_mutex_unlock(&historian->lock);
    if (taken)
        return MHD_YES;
    free(question);
    metric_add(METRIC_http_crowded_total, 1);
    return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "crowded", "Too many ask for the price journal",
                   "%u questions wait already; ask again", WAITING_MAX);
}

/* Service time, and the partition of the product that is asked for; the folder is opened once more if its tables were replaced. */
static bool read_tables(struct exchange *exchange, int64_t *ret_now_ms, uint32_t *ret_partition)
{
    bool good = false;
    for (int attempt = 0; attempt < 2 && !good; attempt++) {
        const struct rialto *prices = prices_lock(exchange->web);
        good = prices != NULL && rialto_state(prices, NULL) == RIALTO_OK;
        if (good) {
            *ret_now_ms = rialto_now_ms(prices);
            *ret_partition = key_partition(key_of_id(prices->secret, exchange->tail, strlen(exchange->tail)));
        }
        prices_unlock(exchange->web);
        if (!good && !prices_replaced(exchange->web))
            break;
    }
    return good;
}

enum MHD_Result web_journal(struct exchange *exchange)
{
    int64_t now_ms;
    uint32_t partition;
    if (exchange->web->config->journal_days == 0)
        return problem(exchange, MHD_HTTP_NOT_FOUND, "no-journal", "There is no price journal", "journal_days is 0");
    if (!read_tables(exchange, &now_ms, &partition))
        return problem_of(exchange, RIALTO_NO_CACHE);
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return MHD_NO;
    const char *wrong = question_parse(exchange, now_ms, question);
    if (wrong != NULL) {
        free(question);
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "It cannot be asked for like this", "%s", wrong);
    }
    question->exchange = exchange;
    question->of.sku = exchange->tail;
    question->of.zone = question->zone;
    question->of.partition = partition;
    return enqueue(exchange, question);
}
