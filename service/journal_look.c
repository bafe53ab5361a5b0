/* journal_look.c - what stood when, out of a cell's entries in the journal.
 *
 *   entry k-1: amount ............ until entry k's first move
 *   entry k:   moving, not below `low`, from first_ms to when_ms;  amount from when_ms on
 *
 * Two entries fit when the second one's `before` is the first one's amount; where they do not, something between them is
 * missing, and whoever asks is told so. Pure. */
#include "service/journal.h"

#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b)
{
    const struct journal_entry *x = a, *y = b;
    if (x->when_ms != y->when_ms)
        return x->when_ms < y->when_ms ? -1 : 1;
    /* Of two about one time, the one that knows its past counts, and goes last. */
    return (x->before == JOURNAL_UNKNOWN ? 0 : 1) - (y->before == JOURNAL_UNKNOWN ? 0 : 1);
}

uint32_t journal_sort(struct journal_entry entry[], uint32_t count)
{
    uint32_t kept = 0;
    qsort(entry, count, sizeof entry[0], by_time);
    for (uint32_t i = 0; i < count; i++) {
        bool again =
            kept > 0 && entry[kept - 1].when_ms == entry[i].when_ms && entry[kept - 1].before == JOURNAL_UNKNOWN;
        entry[again ? kept - 1 : kept] = entry[i];
        kept += !again;
    }
    /* Of several within one tick, the one that follows on what stood goes first. */
    for (uint32_t i = 0; i + 1 < kept; i++)
        for (uint32_t j = i + 1; j < kept && entry[j].when_ms == entry[i].when_ms; j++) {
            bool in_place = i > 0 ? entry[i].before == entry[i - 1].amount : entry[j].before == entry[i].amount;
            bool fits = i > 0 ? entry[j].before == entry[i - 1].amount : entry[j].amount == entry[i].before;
            if (in_place || !fits)
                continue;
            struct journal_entry swap = entry[j];
            entry[j] = entry[i];
            entry[i] = swap;
        }
    return kept;
}

static int64_t begins_ms(const struct journal_entry *e)
{
    return e->moves > 0 ? e->first_ms : e->when_ms;
}

struct journal_price journal_price_at(const struct journal_entry entry[], uint32_t count, int64_t at_ms)
{
    uint32_t next = 0; /* the first that begins to hold later */
    while (next < count && entry[next].when_ms <= at_ms)
        next++;
    const struct journal_entry *last = next > 0 ? &entry[next - 1] : NULL, *coming = next < count ? &entry[next] : NULL;
    if (coming != NULL && coming->moves > 1 && begins_ms(coming) <= at_ms)
        return (struct journal_price){ JOURNAL_MOVED, coming->low, coming };
    if (last != NULL)
        return (struct journal_price){ JOURNAL_KNOWN, last->amount, last };
    if (coming != NULL && coming->before != JOURNAL_UNKNOWN)
        return (struct journal_price){ JOURNAL_KNOWN, coming->before, NULL };
    return (struct journal_price){ JOURNAL_NOT_KNOWN, 0, NULL };
}

struct span { /* the time that is looked at, and what was found */
    int64_t from_ms, to_ms;
    struct journal_lowest found;
};

static void stood(struct span *span, int64_t amount, int64_t since_ms, int64_t until_ms)
{
    if (until_ms <= since_ms)
        until_ms = since_ms + 1; /* it stood for less than a tick, and was there to be seen */
    if (amount <= 0 || until_ms <= span->from_ms || since_ms >= span->to_ms)
        return;
    if (span->found.amount != 0 && amount >= span->found.amount)
        return;
    span->found.amount = amount;
    span->found.when_ms = since_ms > span->from_ms ? since_ms : span->from_ms;
}

struct journal_lowest journal_lowest(const struct journal_entry entry[], uint32_t count, int64_t from_ms, int64_t to_ms,
                                     const char *currency)
{
    struct span span = { from_ms, to_ms, { 0, 0, true } };
    if (count == 0 || (entry[0].before == JOURNAL_UNKNOWN && entry[0].when_ms > from_ms))
        span.found.complete = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct journal_entry *e = &entry[i], *last = i > 0 ? &entry[i - 1] : NULL;
        int64_t end = i + 1 < count ? begins_ms(&entry[i + 1]) : INT64_MAX;
        bool inside = begins_ms(e) < to_ms && end > from_ms;
        bool fits = last == NULL || e->before == last->amount;
        if (!fits && begins_ms(e) < to_ms && e->when_ms > from_ms)
            span.found.complete = false;
        if (last == NULL && e->before > 0)
            stood(&span, e->before, INT64_MIN, begins_ms(e));
        if (!inside || strcmp(e->currency, currency) != 0)
            continue;
        if (!fits && e->before > 0) /* it stood, nobody knows for how long */
            stood(&span, e->before, begins_ms(e) - 1, begins_ms(e));
        if (e->moves > 1) /* how long within that time is not known: at the edge of a span it rather counts */
            stood(&span, e->low, e->low_ms < to_ms ? e->low_ms : e->first_ms,
                  e->when_ms > e->low_ms ? e->when_ms : e->low_ms + 1);
        stood(&span, e->amount, e->when_ms, end);
    }
    return span.found;
}

int64_t journal_list_lowest(const struct journal_entry entry[], uint32_t count, int64_t from_ms, int64_t to_ms,
                            const char *currency)
{
    int64_t lowest = INT64_MAX;
    if (count == 0 || (entry[0].before != 0 && begins_ms(&entry[0]) > from_ms))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct journal_entry *e = &entry[i];
        int64_t begins = begins_ms(e), end = i + 1 < count ? begins_ms(&entry[i + 1]) : INT64_MAX;
        if (begins >= to_ms || end <= from_ms)
            continue;
        if (e->moves > 1 && e->when_ms > from_ms)
            return 0;
        if (e->amount > 0 && strcmp(e->currency, currency) == 0 && e->list < lowest)
            lowest = e->list;
    }
    return lowest;
}

/* Returns the new count. */
static uint32_t gap_add(struct journal_gap of, int64_t from_ms, int64_t to_ms, uint32_t count,
                        struct journal_gap gap[JOURNAL_GAPS_MAX])
{
    from_ms = from_ms > of.from_ms ? from_ms : of.from_ms;
    to_ms = to_ms < of.to_ms ? to_ms : of.to_ms;
    if (from_ms >= to_ms)
        return count;
    if (count < JOURNAL_GAPS_MAX)
        gap[count++].from_ms = from_ms;
    gap[count - 1].to_ms = to_ms;
    return count;
}

uint32_t journal_gaps(const struct journal_entry entry[], uint32_t count, struct journal_gap of,
                      struct journal_gap ret[JOURNAL_GAPS_MAX])
{
    uint32_t gaps = 0;
    if (count == 0 || entry[0].before == 0)
        gaps = gap_add(of, INT64_MIN, count == 0 ? INT64_MAX : begins_ms(&entry[0]), gaps, ret);
    for (uint32_t i = 0; i < count; i++)
        if (entry[i].amount == 0)
            gaps = gap_add(of, entry[i].when_ms, i + 1 < count ? begins_ms(&entry[i + 1]) : INT64_MAX, gaps, ret);
    return gaps;
}
