/* publisher_journal.c - the price journal to Redis: a sorted set per partition and day, an entry a member.
 *
 *   box of the worker --sorted by day--> ZADD PREFIX:journal:{pNN}:DAY 0 text ...  --replies--> box is empty again
 *
 * Rights     a Redis user who may not write the journal still has prices written: entries are refused and counted.
 *
 * All scores are 0, so that members sort by their text: product, zone, time. A member that is sent twice is there once: a
 * box whose replies were lost is simply sent again. A key ends by itself journal_days after its day. */
#include "service/log.h"
#include "service/metrics.h"
#include "service/publisher_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t day_of(const struct journal_entry *entry)
{
    return entry->when_ms / JOURNAL_DAY_MS;
}

static int by_key(const void *a, const void *b, void *user)
{
    const struct journal_box *box = user;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int64_t di = day_of(&box->item[i].entry), dj = day_of(&box->item[j].entry);
    if (box->item[i].partition != box->item[j].partition)
        return box->item[i].partition < box->item[j].partition ? -1 : 1;
    return di == dj ? (i < j ? -1 : i > j) : di < dj ? -1 : 1;
}

/* Of a reply that is an error. False: the link is given up. */
static bool error_take(struct publishing *p, const redisReply *reply)
{
    if (strncmp(reply->str, "NOPERM", 6) != 0) {
        redis_link_refused(&p->link, "writing the price journal", reply);
        return false;
    }
    if (!p->journal.barred)
        log_line(LOG_WARNING, "JOURNAL-BARRED", "reason=\"%s\": prices go on, without a journal", reply->str);
    p->journal.barred = true;
    return true;
}

static bool replies_take(struct publishing *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        redisReply *reply = redis_link_reply(&p->link);
        bool good = reply != NULL && (reply->type != REDIS_REPLY_ERROR || error_take(p, reply));
        if (reply != NULL)
            freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}

/* How many more the key may take; it is asked for at its first use on this link, and counted from then on. */
static bool room_of(struct publishing *p, uint32_t partition, int64_t day, const char *key, uint64_t *ret)
{
    struct journal_desk *desk = &p->journal;
    uint64_t most = p->config->journal_day_entries_max / RIALTO_PARTITIONS + 1;
    if (desk->day[partition] != day) {
        redisReply *reply = redis_link_call(&p->link, (const char *const[]){ "ZCARD", key, NULL });
        if (reply == NULL)
            return false;
        bool good = reply->type != REDIS_REPLY_ERROR || error_take(p, reply);
        desk->day[partition] = day;
        desk->entries[partition] = reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    *ret = desk->entries[partition] < most ? most - desk->entries[partition] : 0;
    return true;
}

static bool append_expiry(struct publishing *p, const char *key, int64_t day, int64_t tick_ms)
{
    char ms[24];
    int64_t left = (day + 1 + p->config->journal_days) * JOURNAL_DAY_MS - tick_ms;
    (void)snprintf(ms, sizeof ms, "%" PRId64, left > 0 ? left : 1);
    const char *argv[] = { "PEXPIRE", key, ms };
    const size_t bytes[] = { 7, strlen(key), strlen(ms) };
    return redis_link_append(&p->link, 3, argv, bytes);
}

/* Items [first, end) of `order`, which are of one key. False: the link is dead. */
static bool send_key(struct publishing *p, const uint32_t order[], uint32_t first, uint32_t end)
{
    struct journal_desk *desk = &p->journal;
    uint32_t partition = desk->box.item[order[first]].partition, commands = 0;
    int64_t day = day_of(&desk->box.item[order[first]].entry);
    char key[JOURNAL_KEY_MAX];
    uint64_t room;
    journal_day_key(p->config, partition, day, key);
    if (!room_of(p, partition, day, key, &room))
        return false;
    if (end - first > room) {
        desk->refused += end - first - room;
        end = first + (uint32_t)room;
    }
    while (first < end) {
        const char *argv[2 + 2 * FIELDS_A_COMMAND] = { "ZADD", key };
        size_t bytes[2 + 2 * FIELDS_A_COMMAND] = { 4, strlen(key) };
        int argc = 2;
        for (uint32_t n = 0; n < FIELDS_A_COMMAND && first < end; n++, first++) {
            argv[argc] = "0";
            bytes[argc++] = 1;
            argv[argc] = desk->text[n];
            bytes[argc++] = journal_entry_write(&desk->box.item[order[first]].entry, desk->text[n]);
            desk->entries[partition]++;
            desk->sent++;
        }
        if (!redis_link_append(&p->link, argc, argv, bytes))
            return false;
        commands++;
    }
    if (commands > 0 && append_expiry(p, key, day, desk->box.tick_ms))
        commands++;
    return p->link.context != NULL && replies_take(p, commands);
}

void journal_link_lost(struct publishing *p)
{
    for (uint32_t n = 0; n < RIALTO_PARTITIONS; n++)
        p->journal.day[n] = INT64_MIN;
    p->journal.barred = false;
}

int journal_send(struct publishing *p)
{
    static _Thread_local uint32_t order[JOURNAL_BOX];
    struct journal_desk *desk = &p->journal;
    if (!atomic_load_explicit(&desk->box.full, memory_order_acquire))
        return 0;
    uint32_t count = desk->box.count; /* until it is full it is the worker's, which may be halfway through it */
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof order[0], by_key, &desk->box);
    desk->sent = desk->refused = 0;
    for (uint32_t first = 0, end = 0; first < count; first = end) {
        for (end = first + 1;
             end < count && desk->box.item[order[end]].partition == desk->box.item[order[first]].partition &&
             day_of(&desk->box.item[order[end]].entry) == day_of(&desk->box.item[order[first]].entry);
             end++)
            ;
        if (!desk->barred && !send_key(p, order, first, end))
            return -1; /* all of it is sent again */
    }
    if (desk->barred) {
        desk->sent = 0;
        desk->refused = count;
    }
    metric_add(METRIC_journal_entries_total, desk->sent);
    metric_add(METRIC_journal_refused_total, desk->refused);
    atomic_store_explicit(&desk->box.full, false, memory_order_release);
    return 1;
}
