/* quote_json.c - one quote as JSON. The same text stands in Redis, comes out of `rialto quote --json` and over HTTP;
 * docs/redis.md lists the members. Nothing in it changes while the price does not: an age would, so `as_of` is there
 * instead. Pure. Written by hand, because a page of 50 of them is what a storefront waits for: printf took 2.5 us for one. */
#include "service/publisher.h"

#include <assert.h>
#include <rialto/bindings.h>
#include <string.h>

/* A character of a name takes six bytes at most, as \u001f. All names: zone, model, version, policy, words of disclosure, currency. */
#define NAMES_BYTES_MAX \
    (6u * (RIALTO_ID_MAX + 3u * RIALTO_NAME_MAX + sizeof(((struct rialto_rule_row *)0)->disclosure_text) + 4u))
#define TEXT_BYTES_MAX  (NAMES_BYTES_MAX + 1024u) /* the rest: numbers, times, all flags, member names */
#define DAY_MS          INT64_C(86400000)

struct writer {
    char *at;
    char text[TEXT_BYTES_MAX];
};

static void put_bytes(struct writer *w, const char *bytes, size_t n)
{
    memcpy(w->at, bytes, n);
    w->at += n;
}

#define PUT(w, literal) put_bytes(w, literal, sizeof(literal) - 1)

static void put_number(struct writer *w, int64_t number)
{
    char digits[20];
    size_t n = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (number < 0)
        PUT(w, "-");
    do
        digits[--n] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    put_bytes(w, digits + n, sizeof digits - n);
}

/* A number with leading zeroes; `places` at most 4. */
static void put_padded(struct writer *w, unsigned number, unsigned places)
{
    for (unsigned i = places; i-- > 0; number /= 10)
        w->at[i] = (char)('0' + number % 10);
    w->at += places;
}

static void put_string(struct writer *w, const char *text, size_t bytes_max)
{
    static const char hex[] = "0123456789abcdef";
    PUT(w, "\"");
    for (size_t i = 0; i < bytes_max && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            *w->at++ = '\\';
            *w->at++ = (char)c;
        } else if (c < 0x20) {
            PUT(w, "\\u00");
            *w->at++ = hex[c >> 4];
            *w->at++ = hex[c & 15];
        } else {
            *w->at++ = (char)c;
        }
    }
    PUT(w, "\"");
}

/* ---- lists of names ------------------------------------------------------------------------------------------------- */

struct bit_name {
    unsigned bit;
    unsigned bytes;
    const char *name; /* in quotes, with a comma */
};
#define BIT_NAME(name, bit) { bit, sizeof("\"" #name "\",") - 1, "\"" #name "\"," },

static void put_bits(struct writer *w, unsigned bits, size_t count, const struct bit_name names[])
{
    PUT(w, "[");
    for (size_t i = 0; bits != 0 && i < count; i++) {
        if ((bits & names[i].bit) != 0)
            put_bytes(w, names[i].name, names[i].bytes);
    }
    w->at -= w->at[-1] == ',';
    PUT(w, "]");
}

static void put_flags(struct writer *w, unsigned flags)
{
    static const struct bit_name names[] = { RIALTO_FLAGS(BIT_NAME) };
    put_bits(w, flags, sizeof names / sizeof names[0], names);
}

static void put_kinds(struct writer *w, unsigned kinds)
{
    static const struct bit_name names[] = { RIALTO_KINDS(BIT_NAME) };
    put_bits(w, kinds, sizeof names / sizeof names[0], names);
}

/* ---- times ---------------------------------------------------------------------------------------------------------- */

/* RFC 3339, UTC, to the millisecond. Days to a date after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms":
 * years of 400 begin on 1 March, so that the leap day is the last of one. Times are cut to 1970..9999. */
static void put_time(struct writer *w, int64_t unix_ms)
{
    int64_t ms = unix_ms < 0 ? 0 : unix_ms > INT64_C(253402300799999) ? INT64_C(253402300799999) : unix_ms;
    unsigned of_day = (unsigned)(ms % DAY_MS), day = (unsigned)(ms / DAY_MS) + 719468u; /* since 0000-03-01 */
    unsigned era = day / 146097u, of_era = day % 146097u;
    unsigned year_of_era = (of_era - of_era / 1460u + of_era / 36524u - of_era / 146096u) / 365u;
    unsigned of_year = of_era - (365u * year_of_era + year_of_era / 4u - year_of_era / 100u);
    unsigned month = (5u * of_year + 2u) / 153u; /* 0 = March */
    unsigned of_month = of_year - (153u * month + 2u) / 5u + 1u;
    unsigned year = era * 400u + year_of_era + (month >= 10u);
    PUT(w, "\"");
    put_padded(w, year, 4);
    PUT(w, "-");
    put_padded(w, month < 10u ? month + 3u : month - 9u, 2);
    PUT(w, "-");
    put_padded(w, of_month, 2);
    PUT(w, "T");
    put_padded(w, of_day / 3600000u, 2);
    PUT(w, ":");
    put_padded(w, of_day / 60000u % 60u, 2);
    PUT(w, ":");
    put_padded(w, of_day / 1000u % 60u, 2);
    PUT(w, ".");
    put_padded(w, of_day % 1000u, 3);
    PUT(w, "Z\"");
}

/* ---- the quote --------------------------------------------------------------------------------------------------------- */

static void put_money(struct writer *w, const struct rialto_quote *quote)
{
    char money[64];
    (void)rialto_money_text(quote->amount, quote->currency, quote->decimals, sizeof money, money);
    put_string(w, money, sizeof money);
}

/* Which way the price of this customer lies from everybody's; a list price that replaced both is nobody's own. */
static void put_direction(struct writer *w, const struct rialto_quote *quote)
{
    if ((quote->flags & (RIALTO_FLAG_PERSONAL | RIALTO_FLAG_OFFER | RIALTO_FLAG_LOCK)) == 0)
        PUT(w, "\"same\"");
    else if (quote->amount < quote->baseline)
        PUT(w, "\"lower\"");
    else if (quote->amount > quote->baseline)
        PUT(w, "\"higher\"");
    else
        PUT(w, "\"same\"");
}

size_t quote_json(const struct rialto_quote *quote, const struct rialto_rule_row *rule, size_t n, char *ret)
{
    struct writer w;
    w.at = w.text;
    PUT(&w, "{\"amount\":");
    put_number(&w, quote->amount);
    PUT(&w, ",\"baseline\":");
    put_number(&w, quote->baseline);
    PUT(&w, ",\"list\":");
    put_number(&w, quote->list);
    PUT(&w, ",\"currency\":");
    put_string(&w, quote->currency, sizeof quote->currency);
    PUT(&w, ",\"decimals\":");
    put_number(&w, quote->decimals);
    PUT(&w, ",\"text\":");
    put_money(&w, quote);
    PUT(&w, ",\"flags\":");
    put_flags(&w, quote->flags);
    PUT(&w, ",\"zone\":");
    put_string(&w, quote->zone[0] == '\0' ? "world" : quote->zone, sizeof quote->zone);
    PUT(&w, ",\"multiplier\":");
    put_number(&w, quote->multiplier_e4 / 10000u);
    PUT(&w, ".");
    put_padded(&w, quote->multiplier_e4 % 10000u, 4);
    PUT(&w, ",\"rests_on\":");
    put_kinds(&w, quote->kinds);
    PUT(&w, ",\"as_of\":");
    put_time(&w, quote->as_of_ms);
    if (quote->valid_until_ms != 0) {
        PUT(&w, ",\"valid_until\":");
        put_time(&w, quote->valid_until_ms);
    }
    if (rule != NULL) {
        PUT(&w, ",\"model\":");
        put_string(&w, rule->model, sizeof rule->model);
        PUT(&w, ",\"version\":");
        put_string(&w, rule->version, sizeof rule->version);
    }
    PUT(&w, ",\"direction\":");
    put_direction(&w, quote);
    PUT(&w, ",\"data_used\":");
    put_kinds(&w, quote->used);
    PUT(&w, ",\"disclosure\":");
    put_number(&w, quote->disclosure);
    if (rule != NULL && quote->disclosure != 0) {
        PUT(&w, ",\"disclosure_text\":");
        put_string(&w, rule->disclosure_text, sizeof rule->disclosure_text);
    }
    if (rule != NULL && rule->policy[0] != '\0') {
        PUT(&w, ",\"policy\":");
        put_string(&w, rule->policy, sizeof rule->policy);
    }
    PUT(&w, "}");

    size_t bytes = (size_t)(w.at - w.text);
    assert(bytes <= sizeof w.text);
    if (n > 0) {
        size_t fits = bytes < n ? bytes : n - 1;
        memcpy(ret, w.text, fits);
        ret[fits] = '\0';
    }
    return bytes;
}
