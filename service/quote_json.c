/* quote_json.c - one quote as JSON. The same text stands in Redis and comes out of `rialto quote --json`;
 * docs/redis.md lists the members. Nothing in it changes while the price does not: an age would, so `as_of` is there
 * instead. Pure. */
#include "service/publisher.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct writer { /* counts on when the room is used up, as snprintf does */
    char *text;
    size_t room, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format, ...)
{
    va_list args;
    bool fits = writer->used < writer->room;
    va_start(args, format);
    int length =
        vsnprintf(fits ? writer->text + writer->used : NULL, fits ? writer->room - writer->used : 0, format, args);
    va_end(args);
    writer->used += length > 0 ? (size_t)length : 0;
}

static void put_string(struct writer *writer, const char *name, const char *text)
{
    put(writer, ",\"%s\":\"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            put(writer, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            put(writer, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            put(writer, "%c", *text);
    }
    put(writer, "\"");
}

struct bit_name {
    unsigned bit;
    const char *name;
};

static void put_bits(struct writer *writer, const char *member, unsigned bits, size_t count,
                     const struct bit_name names[])
{
    const char *comma = "";
    put(writer, ",\"%s\":[", member);
    for (size_t i = 0; i < count; i++) {
        if ((bits & names[i].bit) == 0)
            continue;
        put(writer, "%s\"%s\"", comma, names[i].name);
        comma = ",";
    }
    put(writer, "]");
}

/* RFC 3339, UTC, to the millisecond. */
static void put_time(struct writer *writer, const char *name, int64_t unix_ms)
{
    struct tm utc;
    char text[32];
    time_t seconds = (time_t)(unix_ms / 1000);
    if (gmtime_r(&seconds, &utc) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return;
    put(writer, ",\"%s\":\"%s.%03dZ\"", name, text, (int)(unix_ms % 1000));
}

static void put_flags(struct writer *writer, const struct rialto_quote *quote)
{
    static const struct bit_name flags[] = {
        { RIALTO_FLAG_ANONYMOUS, "ANONYMOUS" },
        { RIALTO_FLAG_PERSONAL, "PERSONAL" },
        { RIALTO_FLAG_OFFER, "OFFER" },
        { RIALTO_FLAG_LOCK, "LOCK" },
        { RIALTO_FLAG_STALE, "STALE" },
        { RIALTO_FLAG_WIDER_ZONE, "WIDER_ZONE" },
        { RIALTO_FLAG_BOUNDED, "BOUNDED" },
        { RIALTO_FLAG_GUARDED, "GUARDED" },
        { RIALTO_FLAG_IGNORED_ZONE, "IGNORED_ZONE" },
        { RIALTO_FLAG_LIST_MODE, "LIST_MODE" },
        { RIALTO_FLAG_DEMO, "DEMO" },
        { RIALTO_FLAG_NEUTRAL, "NEUTRAL" },
    };
    put_bits(writer, "flags", quote->flags, sizeof flags / sizeof flags[0], flags);
}

static void put_kinds(struct writer *writer, const struct rialto_quote *quote)
{
    static const struct bit_name kinds[] = {
        { RIALTO_KIND_LOCATION, "location" },   { RIALTO_KIND_BEHAVIOUR, "behaviour" },
        { RIALTO_KIND_PURCHASES, "purchases" }, { RIALTO_KIND_PROFILE, "profile" },
        { RIALTO_KIND_PARTNER, "partner" },
    };
    put_bits(writer, "rests_on", quote->kinds, sizeof kinds / sizeof kinds[0], kinds);
}

size_t quote_json(const struct rialto_quote *quote, const struct rialto_rule_row *rule, size_t n, char *ret)
{
    struct writer writer = { ret, n, 0 };
    char money[64];
    (void)rialto_money_text(quote->amount, quote->currency, quote->decimals, sizeof money, money);
    put(&writer, "{\"amount\":%" PRId64 ",\"baseline\":%" PRId64 ",\"list\":%" PRId64, quote->amount, quote->baseline,
        quote->list);
    put_string(&writer, "currency", quote->currency);
    put(&writer, ",\"decimals\":%u", quote->decimals);
    put_string(&writer, "text", money);
    put_flags(&writer, quote);
    put_string(&writer, "zone", quote->zone[0] == '\0' ? "world" : quote->zone);
    put(&writer, ",\"multiplier\":%u.%04u", quote->multiplier_e4 / 10000u, quote->multiplier_e4 % 10000u);
    put_kinds(&writer, quote);
    put_time(&writer, "as_of", quote->as_of_ms);
    if (quote->valid_until_ms != 0)
        put_time(&writer, "valid_until", quote->valid_until_ms);
    if (rule != NULL) {
        put_string(&writer, "model", rule->model);
        put_string(&writer, "version", rule->version);
    }
    put(&writer, ",\"disclosure\":%u}", quote->disclosure);
    return writer.used;
}
