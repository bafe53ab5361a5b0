/* recorded.c - one recorded signal as a line of JSON, and the small tools that all readers share. */
#include "demo/recording.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_of_rank[RANK_COUNT] = {
    [RANK_ZONE] = "zone",       [RANK_PRODUCT] = "product",   [RANK_PROMOTION] = "product",
    [RANK_WEATHER] = "weather", [RANK_CUSTOMER] = "customer", [RANK_LOCATION] = "location",
    [RANK_OFFER] = "offer",     [RANK_SUPPLY] = "supply",     [RANK_DEMAND] = "demand",
};

const char *account_rule_text(enum account_rule rule)
{
    static const char *const text[ACCOUNT_COUNT] = {
#define TEXT_(name, text) text,
        ACCOUNT_RULES(TEXT_)
#undef TEXT_
    };
    assert(rule < ACCOUNT_COUNT);
    return text[rule];
}

const char *account_rule_name(enum account_rule rule)
{
    static const char *const name[ACCOUNT_COUNT] = {
#define NAME_(name, text) #name,
        ACCOUNT_RULES(NAME_)
#undef NAME_
    };
    assert(rule < ACCOUNT_COUNT);
    return name[rule];
}

bool account_adds_up(const struct account *account)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ACCOUNT_COUNT; i++)
        sum += account->by_rule[i];
    return sum == account->rows;
}

void recorded_set_body(struct recorded *item, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(item->body, sizeof item->body, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof item->body); /* readers bound every text that they put in */
}

static size_t add_text(char *ret, size_t used, const char *name, const char *value)
{
    if (value[0] == 0)
        return used;
    return used + (size_t)snprintf(ret + used, RECORDED_LINE_MAX - used, ",\"%s\":\"%s\"", name, value);
}

size_t recorded_line(const struct recorded *item, int64_t shift_ms, char *ret)
{
    size_t used = (size_t)snprintf(ret, RECORDED_LINE_MAX, "{\"type\":\"%s\",\"time\":%" PRId64,
                                   type_of_rank[item->rank], item->at_ms + shift_ms);
    char id[64];
    snprintf(id, sizeof id, "%" PRIx64 ".%s", (uint64_t)shift_ms / 1000u, item->id);
    used = add_text(ret, used, "source", item->source);
    used = add_text(ret, used, "id", id);
    used = add_text(ret, used, "sku", item->sku);
    used = add_text(ret, used, "zone", item->zone);
    used = add_text(ret, used, "customer", item->customer);
    if (item->until_ms != 0)
        used +=
            (size_t)snprintf(ret + used, RECORDED_LINE_MAX - used, ",\"until\":%" PRId64, item->until_ms + shift_ms);
    used += (size_t)snprintf(ret + used, RECORDED_LINE_MAX - used, "%s%s}\n", item->body[0] ? "," : "", item->body);
    assert(used < RECORDED_LINE_MAX);
    return used;
}

/* Bytes of the UTF-8 character at `text`; 0 if it is none. */
static size_t utf8_bytes(const unsigned char *text)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t bytes;
    } form[] = {
        { 0x20, 0x7E, 0, 0, 1 },       { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
        { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
        { 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
    };
    for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
        if (text[0] < form[i].low || text[0] > form[i].high)
            continue;
        if (form[i].bytes > 1 && (text[1] < form[i].second_low || text[1] > form[i].second_high))
            return 0;
        for (size_t k = 2; k < form[i].bytes; k++)
            if ((text[k] & 0xC0u) != 0x80u)
                return 0;
        return form[i].bytes;
    }
    return 0;
}

void json_escaped(const char *text, size_t n, char *ret)
{
    size_t used = 0, solid = 0; /* solid: up to the last character that is no blank */
    const unsigned char *at = (const unsigned char *)text;
    while (*at == ' ' || *at == '\t')
        at++;
    while (*at) {
        size_t bytes = utf8_bytes(at);
        bool escape = *at == '"' || *at == '\\';
        if (bytes == 0 || (bytes == 2 && at[0] == 0xC2 && at[1] < 0xA0)) { /* the second: C1 control characters */
            at += bytes == 0 ? 1 : bytes;
            continue;
        }
        if (used + bytes + escape >= n)
            break;
        if (escape)
            ret[used++] = '\\';
        memcpy(ret + used, at, bytes);
        used += bytes;
        if (*at != ' ')
            solid = used;
        at += bytes;
    }
    ret[solid] = 0;
}

uint64_t text_hash(const char *salt, const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *salt; salt++)
        hash = (hash ^ (unsigned char)*salt) * UINT64_C(1099511628211);
    hash = (hash ^ '/') * UINT64_C(1099511628211);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ hash >> 32; /* the low bits of FNV-1a alone vary little between short texts */
}

bool text_number(const char *text, double *ret)
{
    if (text[0] == 0 || text[strspn(text, "0123456789+-.eE")] != 0)
        return false; /* strtod() would take blanks, hexadecimals and words too */
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (*end != 0 || errno != 0 || !isfinite(value))
        return false;
    *ret = value;
    return true;
}

/* Days from 1970-01-01 in the Gregorian calendar (H. Hinnant, chrono-compatible date algorithms, days_from_civil). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

bool text_time(const char *text, int64_t *ret_ms)
{
    int year, month, day, hour = 0, minute = 0, second = 0, end = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end == 0)
        return false;
    if (text[end] != 0) {
        int more = 0;
        if (sscanf(text + end, " %2d:%2d:%2d%n", &hour, &minute, &second, &more) != 3 || text[end + more] != 0)
            return false;
    }
    if (year < 1970 || year > 2090 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    *ret_ms = days_from_civil(year, month, day) * DAY_MS + hour * HOUR_MS + minute * 60000 + second * 1000;
    return true;
}
