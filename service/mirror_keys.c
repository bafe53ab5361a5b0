/* mirror_keys.c - keys of ours that hold something of another type: put aside, so that what we know can be written again.
 *
 *   connected --TYPE of each key--> right, or none: nothing to do
 *                                   another type:   RENAME KEY KEY:odd; DEL mark --> the marks, read next, ask for all of the partition
 *
 * Somebody has written over it, by hand or by a program that thought the name was its own. Nothing of ours is in it, and every write of ours
 * would be refused for ever. It is kept for whoever misses it, under a name that nobody reads. */
#include "service/log.h"
#include "service/metrics.h"
#include "service/mirror_parts.h"

#include <stdio.h>
#include <string.h>

#define ASIDE ":odd"

enum { KEY_STATE, KEY_SHEET, KEY_MARK, KEY_IDS, KEYS_COUNT = KEY_IDS + MIRROR_GENERATIONS };

static void key_name(const struct config *config, uint32_t partition, uint32_t which, char ret[MIRROR_KEY_MAX])
{
    static const char *const WHAT[] = { [KEY_STATE] = "state", [KEY_SHEET] = "sheet", [KEY_MARK] = "mark" };
    if (which < KEY_IDS)
        (void)mirror_key(config, WHAT[which], partition, ret);
    else
        (void)mirror_ids_key(config, partition, which - KEY_IDS, ret);
}

static bool types_ask(struct redis_link *link, uint32_t partition)
{
    for (uint32_t which = 0; which < KEYS_COUNT; which++) {
        char key[MIRROR_KEY_MAX];
        key_name(link->config, partition, which, key);
        const char *argv[] = { "TYPE", key };
        const size_t bytes[] = { strlen(argv[0]), strlen(key) };
        if (!redis_link_append(link, 2, argv, bytes))
            return false;
    }
    return true;
}

/* A bit for each key that is odd. */
static bool types_receive(struct redis_link *link, uint32_t *ret_odd)
{
    *ret_odd = 0;
    for (uint32_t which = 0; which < KEYS_COUNT; which++) {
        redisReply *reply = redis_link_reply(link);
        if (reply == NULL)
            return false;
        const char *right = which == KEY_STATE || which == KEY_SHEET ? "hash" : "string";
        bool may_not = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0; /* rights of a user as they were before */
        bool told = reply->type == REDIS_REPLY_STATUS || may_not;
        if (!told)
            redis_link_refused(link, "asking for types of keys", reply);
        else if (!may_not && strcmp(reply->str, "none") != 0 && strcmp(reply->str, right) != 0)
            *ret_odd |= 1u << which;
        freeReplyObject(reply);
        if (!told)
            return false;
    }
    return true;
}

static bool call(struct redis_link *link, const char *const words[])
{
    redisReply *reply = redis_link_call(link, words);
    bool good = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (reply != NULL && !good)
        redis_link_refused(link, "putting a key aside", reply);
    if (reply != NULL)
        freeReplyObject(reply);
    return good;
}

static bool put_aside(struct redis_link *link, uint32_t partition, uint32_t odd)
{
    char key[MIRROR_KEY_MAX], aside[MIRROR_KEY_MAX + sizeof ASIDE];
    for (uint32_t which = 0; which < KEYS_COUNT; which++) {
        if ((odd & 1u << which) == 0)
            continue;
        key_name(link->config, partition, which, key);
        (void)snprintf(aside, sizeof aside, "%s" ASIDE, key);
        if (!call(link, (const char *const[]){ "RENAME", key, aside, NULL }))
            return false;
        metric_add(METRIC_redis_keys_odd_total, 1);
        log_line(LOG_WARNING, "REDIS-KEY-ODD",
                 "key=%s now=%s: something else was written under this name; sending the partition again", key, aside);
    }
    key_name(link->config, partition, KEY_MARK, key);
    return odd == 0 || call(link, (const char *const[]){ "DEL", key, NULL });
}

bool mirror_keys_mend(struct redis_link *link, const bool own[MIRROR_SLOTS])
{
    uint32_t odd[MIRROR_SLOTS] = { 0 };
    bool good = true;
    for (uint32_t p = 0; p < MIRROR_SLOTS && good; p++)
        good = !own[p] || types_ask(link, p);
    good = good && redis_link_flush(link);
    for (uint32_t p = 0; p < MIRROR_SLOTS && good; p++)
        good = !own[p] || types_receive(link, &odd[p]);
    for (uint32_t p = 0; p < MIRROR_SLOTS && good; p++)
        good = odd[p] == 0 || put_aside(link, p, odd[p]);
    return good;
}
