/* journal_read.c - entries of one price out of the journal in Redis, a day's key at a time. */
#include "service/journal.h"
#include "service/redis_link.h"

#include <inttypes.h>
#include <stdio.h>

#define TABBED_MAX (2u * RIALTO_ID_MAX + 24u)

static int64_t thirteen_digits(int64_t ms)
{
    return ms < 0 ? 0 : ms < JOURNAL_TIME_MAX ? ms : JOURNAL_TIME_MAX;
}

bool journal_read_day(struct redis_link *link, const struct journal_of *of, int64_t day, uint32_t limit,
                      struct journal_found *found)
{
    char key[JOURNAL_KEY_MAX], low[TABBED_MAX], high[TABBED_MAX], most[16];
    journal_day_key(link->config, of->partition, day, key);
    (void)snprintf(low, sizeof low, "[%.63s\t%.63s\t%013" PRId64, of->sku, of->zone, thirteen_digits(of->from_ms));
    (void)snprintf(high, sizeof high, "(%.63s\t%.63s\t%013" PRId64, of->sku, of->zone, thirteen_digits(of->to_ms));
    (void)snprintf(most, sizeof most, "%" PRIu32, limit);
    redisReply *reply =
        redis_link_call(link, (const char *const[]){ "ZRANGEBYLEX", key, low, high, "LIMIT", "0", most, NULL });
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_ARRAY;
    if (!good)
        redis_link_refused(link, "reading the price journal", reply);
    for (size_t i = 0; good && i < reply->elements; i++) {
        found->too_many = found->too_many || found->count == found->room;
        if (reply->element[i]->type == REDIS_REPLY_STRING && found->count < found->room)
            found->count +=
                journal_entry_read(reply->element[i]->str, reply->element[i]->len, &found->entry[found->count]);
    }
    freeReplyObject(reply);
    return good;
}
