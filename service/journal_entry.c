/* journal_entry.c - an entry of the price journal as text and back. Tabs lie between fields: no id or name has one. */
#include "service/journal.h"

#include "cache/keys.h"
#include "pricing/local_clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fields { /* a cursor over a text of fields */
    char *rest;
    bool good;
};

static char *take(struct fields *fields)
{
    char *field = fields->rest;
    if (field == NULL) {
        fields->good = false;
        return NULL;
    }
    char *tab = strchr(field, '\t');
    fields->rest = tab != NULL ? tab + 1 : NULL;
    if (tab != NULL)
        *tab = '\0';
    return field;
}

static void take_text(struct fields *fields, size_t n, char *ret)
{
    const char *field = take(fields);
    fields->good = fields->good && strlen(field) < n;
    if (fields->good)
        memcpy(ret, field, strlen(field) + 1);
}

static int64_t take_number(struct fields *fields, int64_t low, int64_t high)
{
    const char *field = take(fields);
    char *end = NULL;
    if (!fields->good || field[strspn(field, "-0123456789")] != '\0') {
        fields->good = false;
        return 0;
    }
    errno = 0;
    long long value = strtoll(field, &end, 10);
    fields->good = end != field && *end == '\0' && errno == 0 && value >= low && value <= high;
    return value;
}

static void write_name(char *at, const char *name)
{
    for (; *name != '\0'; name++)
        *at++ = (unsigned char)*name < 0x20 ? '?' : *name;
    *at = '\0';
}

size_t journal_entry_write(const struct journal_entry *e, char ret[JOURNAL_TEXT_MAX])
{
    size_t at = (size_t)snprintf(ret, JOURNAL_TEXT_MAX,
                                 "%s\t%s\t%013" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%u\t%" PRId64
                                 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%u\t%u\t%u\t%s\t%s",
                                 e->sku, e->zone, e->when_ms, e->amount, e->before, e->first_ms, e->moves, e->low,
                                 e->low_ms, e->list, e->floor, e->ceiling, e->currency, e->guards, e->ending_step,
                                 e->ending_less, e->model, e->version);
    for (uint32_t i = 0; i < e->factor_count && i < MODEL_FACTORS_MAX; i++) {
        char name[RIALTO_NAME_MAX];
        write_name(name, e->factor[i].name);
        at += (size_t)snprintf(ret + at, JOURNAL_TEXT_MAX - at, "\t%s\t%d", name, e->factor[i].micro);
    }
    return at;
}
_Static_assert(JOURNAL_TEXT_MAX >
                   2 * RIALTO_ID_MAX + 2 * RIALTO_NAME_MAX + 16 * 21 + MODEL_FACTORS_MAX * (RIALTO_NAME_MAX + 13),
               "every entry has room");

bool journal_entry_read(const char *text, size_t bytes, struct journal_entry *ret)
{
    char copy[JOURNAL_TEXT_MAX];
    struct journal_entry e;
    struct fields fields = { .rest = copy, .good = true };
    if (bytes >= sizeof copy || memchr(text, '\0', bytes) != NULL)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    memset(&e, 0, sizeof e);
    take_text(&fields, sizeof e.sku, e.sku);
    take_text(&fields, sizeof e.zone, e.zone);
    e.when_ms = take_number(&fields, 0, INT64_MAX);
    e.amount = take_number(&fields, 0, RIALTO_BOUND_MAX);
    e.before = take_number(&fields, JOURNAL_UNKNOWN, RIALTO_BOUND_MAX);
    e.first_ms = take_number(&fields, 0, e.when_ms);
    e.moves = (uint32_t)take_number(&fields, 0, UINT32_MAX);
    e.low = take_number(&fields, 0, RIALTO_BOUND_MAX);
    e.low_ms = take_number(&fields, 0, INT64_MAX);
    e.list = take_number(&fields, 0, RIALTO_BOUND_MAX);
    e.floor = take_number(&fields, 0, RIALTO_BOUND_MAX);
    e.ceiling = take_number(&fields, 0, RIALTO_BOUND_MAX);
    take_text(&fields, sizeof e.currency, e.currency);
    e.guards = (uint32_t)take_number(&fields, 0, UINT32_MAX);
    e.ending_step = (uint32_t)take_number(&fields, 0, UINT32_MAX);
    e.ending_less = (uint32_t)take_number(&fields, 0, UINT32_MAX);
    take_text(&fields, sizeof e.model, e.model);
    take_text(&fields, sizeof e.version, e.version);
    while (fields.good && fields.rest != NULL && e.factor_count < MODEL_FACTORS_MAX) {
        struct journal_factor *factor = &e.factor[e.factor_count++];
        take_text(&fields, sizeof factor->name, factor->name);
        factor->micro = (int32_t)take_number(&fields, 0, INT32_MAX);
    }
    if (!fields.good || fields.rest != NULL)
        return false;
    *ret = e;
    return true;
}

void journal_day_key(const struct config *config, uint32_t partition, int64_t day, char ret[JOURNAL_KEY_MAX])
{
    int year, month, of_month;
    date_split((int32_t)day, &year, &month, &of_month);
    (void)snprintf(ret, JOURNAL_KEY_MAX, "%.*s:journal:{p%02u}:%04d-%02d-%02d", (int)RIALTO_NAME_MAX - 1,
                   config->redis_prefix, partition % RIALTO_PARTITIONS, year % 10000, month, of_month);
}
