/* publisher_cells.c - baselines to Redis: one hash per zone, a field per product.
 *
 *   ring entry --> dirty bit --> (pass) read line, compose, JSON --sorted by zone--> HSET PREFIX:cell:{zone} sku JSON
 *   line gone, or another's ------------------------------> HDEL PREFIX:cell:{zone} sku       (publisher_ceased.c)
 *
 * A cell that changes a thousand times while Redis is slow has one bit, and is written once, as it is then. A sweep
 * sets all bits. They outlive the process (publisher_kept.c).
 *
 * Interval   the first change of a cell in an interval of quote_refresh_ms is written at once; what changes again waits for the next
 *            interval. So whoever reads Redis sees the last price of each at most an interval late, however many there were. */
#include "service/metrics.h"
#include "service/publisher_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- dirty bits ------------------------------------------------------------------------------------------------- */

bool dirty_cells_setup(struct publishing *p)
{
    struct dirty_cells *cells = &p->cells;
    *cells = (struct dirty_cells){ 0 };
    for (uint32_t n = p->worker; n < RIALTO_PARTITIONS; n += p->config->workers) {
        cells->lines[n] = p->prices->folder.table[RIALTO_TABLE_CELLS].header->capacity_max;
        cells->first_word[n] = cells->words;
        cells->words += (cells->lines[n] + 63) / 64;
    }
    cells->written = calloc(cells->words + 1, sizeof *cells->written);
    if (cells->written == NULL || !published_open(p))
        return false;
    baselines_lost(p);
    return true;
}

void dirty_cells_teardown(struct publishing *p)
{
    published_close(p);
    free(p->cells.written);
    p->cells = (struct dirty_cells){ 0 };
}

void dirty_cells_mark(struct publishing *p, uint32_t partition, uint64_t slot)
{
    struct dirty_cells *cells = &p->cells;
    if (cells->word == NULL || partition >= RIALTO_PARTITIONS || slot >= cells->lines[partition])
        return;
    uint64_t at = cells->first_word[partition] + slot / 64, bit = UINT64_C(1) << (slot % 64);
    if ((cells->word[at] & bit) != 0)
        return;
    cells->word[at] |= bit;
    if ((cells->written[at] & bit) != 0)
        cells->waiting++;
    else
        cells->ready++;
}

/* What was written in the interval that has ended may be written again. */
static void interval_begin(struct publishing *p, int64_t now_ms)
{
    struct dirty_cells *cells = &p->cells;
    if (now_ms < cells->interval_ends_ms)
        return;
    cells->interval_ends_ms = now_ms + p->config->quote_refresh_ms;
    if (cells->any_written)
        memset(cells->written, 0, cells->words * sizeof *cells->written);
    cells->any_written = false;
    cells->ready += cells->waiting;
    cells->waiting = 0;
}

static void note_written(struct dirty_cells *cells, uint32_t partition, uint64_t slot)
{
    cells->written[cells->first_word[partition] + slot / 64] |= UINT64_C(1) << (slot % 64);
    cells->any_written = true;
}

void dirty_cells_mark_all(struct publishing *p)
{
    for (uint32_t n = 0; n < RIALTO_PARTITIONS; n++) {
        const struct rialto_extents *extents = &p->prices->folder.table[RIALTO_TABLE_CELLS].extents[n];
        uint64_t there = p->cells.lines[n] == 0 ? 0 : folder_capacity(extents);
        for (uint64_t slot = 0; slot < there; slot++)
            dirty_cells_mark(p, n, slot);
    }
}

static uint32_t partition_of_word(const struct dirty_cells *cells, uint64_t word)
{
    uint32_t found = 0;
    for (uint32_t n = 0; n < RIALTO_PARTITIONS; n++) {
        if (cells->lines[n] > 0 && cells->first_word[n] <= word)
            found = n;
    }
    return found;
}

/* ---- one pass --------------------------------------------------------------------------------------------------- */

/* A place in the pass, with its names. */
static struct fresh_cell *fresh_add(struct fresh_cells *fresh, const char *zone, const char *sku)
{
    struct fresh_cell *ret = &fresh->cell[fresh->count];
    *ret = (struct fresh_cell){ 0 };
    (void)snprintf(ret->zone, sizeof ret->zone, "%s", zone[0] == '\0' ? "world" : zone);
    (void)snprintf(ret->sku, sizeof ret->sku, "%s", sku);
    fresh->by_zone[fresh->count++] = ret;
    return ret;
}

/* The price that Redis may have of this line, which is not what the line says now. True: it is out of the way, and the line may be told. */
static bool take_away(struct publishing *p, uint32_t partition, uint32_t *told)
{
    struct told before;
    if (!told_names(p, partition, *told, &before)) {
        *told = 0;
        return true;
    }
    enum standing standing = cell_stands(p, before.zone, before.sku);
    if (standing == STANDING_YES)
        *told = 0; /* in another line by now, which tells of itself */
    if (standing == STANDING_NO)
        fresh_add(&p->fresh, before.zone, before.sku)->told = told;
    return standing == STANDING_YES;
}

/* The cell in that line as JSON, if there is something to write; what it was before is taken away first. False: not now. */
static bool compose(struct publishing *p, uint32_t partition, uint64_t slot)
{
    struct fresh_cells *fresh = &p->fresh;
    char *json = fresh->text + fresh->text_bytes;
    uint32_t *told = told_of(p, partition, slot);
    struct rialto_cell cell;
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    enum rialto_status status = rialto_cell_at(p->prices, partition, slot, &cell);
    if (status != RIALTO_OK && status != RIALTO_NOT_FOUND)
        return status != RIALTO_BUSY;
    if (*told != 0 && (status == RIALTO_NOT_FOUND || *told != told_word(&cell.line)) && !take_away(p, partition, told))
        return false;
    if (status == RIALTO_OK && cell.sku[0] != '\0')
        status = rialto_quote(p->prices, &(struct rialto_request){ .zone = cell.zone }, cell.sku, &quote);
    else if (status == RIALTO_OK)
        status = RIALTO_NOT_FOUND; /* its names are being moved; the next change brings it again */
    if (status == RIALTO_BUSY)
        return false;
    if (status != RIALTO_OK || strcmp(quote.zone, cell.zone) != 0) /* a line, and yet no price: in another currency, say */
        return *told == 0 || take_away(p, partition, told);
    bool ruled = rialto_rule(p->prices, quote.rule, &rule) == RIALTO_OK;
    size_t bytes = quote_json(&quote, ruled ? &rule : NULL, PUBLISHER_JSON_MAX, json);
    if (bytes >= PUBLISHER_JSON_MAX)
        return true;
    struct fresh_cell *ret = fresh_add(fresh, cell.zone, cell.sku);
    ret->json = json;
    ret->json_bytes = bytes;
    fresh->text_bytes += bytes;
    if (*told != told_word(&cell.line)) /* a page that nobody writes to need not go to disk again */
        *told = told_word(&cell.line);  /* before it is sent: from then on Redis may have it */
    note_written(&p->cells, partition, slot);
    return true;
}

/* Is there room for what one word of bits may bring? */
static bool has_room(const struct fresh_cells *fresh, uint32_t looked)
{
    return looked + 64 <= CELLS_PER_PASS && fresh->text_bytes + 64 * PUBLISHER_JSON_MAX <= sizeof fresh->text;
}

/* Take dirty lines, at most a pass of them. Returns how many were looked at. Bits stand until Redis has answered; who marks is this very
 * thread, so that none is marked in between. */
static uint32_t collect(struct publishing *p)
{
    struct dirty_cells *cells = &p->cells;
    uint32_t looked = 0;
    p->fresh.count = 0;
    p->fresh.text_bytes = 0;
    cells->taken_count = 0;
    for (uint64_t steps = 0; steps < cells->words && cells->ready > 0 && has_room(&p->fresh, looked); steps++) {
        uint64_t at = cells->cursor, bits = cells->word[at] & ~cells->written[at];
        cells->cursor = at + 1 < cells->words ? at + 1 : 0;
        if (bits == 0)
            continue;
        uint32_t partition = partition_of_word(cells, at);
        struct taken_bits *taken = &cells->taken[cells->taken_count++];
        *taken = (struct taken_bits){ at, bits };
        cells->ready -= (uint64_t)__builtin_popcountll(bits);
        for (; bits != 0; bits &= bits - 1) {
            uint64_t slot = (at - cells->first_word[partition]) * 64 + (uint64_t)__builtin_ctzll(bits);
            looked++;
            if (compose(p, partition, slot))
                continue;
            taken->bits &= ~(bits & -bits);
            cells->ready++;
        }
    }
    return looked;
}

void baselines_written(struct publishing *p)
{
    struct dirty_cells *cells = &p->cells;
    for (uint32_t i = 0; i < p->fresh.count; i++)
        if (p->fresh.cell[i].json == NULL)
            *p->fresh.cell[i].told = 0;
    p->fresh.count = 0;
    for (uint32_t i = 0; i < cells->taken_count; i++)
        cells->word[cells->taken[i].word] &= ~cells->taken[i].bits;
    cells->taken_count = 0;
}

void baselines_lost(struct publishing *p)
{
    struct dirty_cells *cells = &p->cells;
    cells->taken_count = 0;
    p->fresh.count = 0;
    cells->ready = cells->waiting = 0;
    for (uint64_t i = 0; cells->word != NULL && i < cells->words; i++) {
        cells->written[i] = 0;
        cells->ready += (uint64_t)__builtin_popcountll(cells->word[i]);
    }
}

/* What is taken away stands before what is written. */
static int by_zone(const void *a, const void *b)
{
    const struct fresh_cell *one = *(const struct fresh_cell *const *)a, *two = *(const struct fresh_cell *const *)b;
    if ((one->json == NULL) != (two->json == NULL))
        return one->json == NULL ? -1 : 1;
    return strcmp(one->zone, two->zone);
}

static bool go_together(const struct fresh_cell *one, const struct fresh_cell *two)
{
    return (one->json == NULL) == (two->json == NULL) && strcmp(one->zone, two->zone) == 0;
}

size_t cells_key(const struct publishing *p, const char *zone, char ret[PUBLISHER_KEY_MAX])
{
    int length = snprintf(ret, PUBLISHER_KEY_MAX, "%s:cell:{%s}", p->config->redis_prefix, zone);
    return length > 0 ? (size_t)length : 0;
}

/* HSET, or HDEL, of cells which are of one zone. */
static bool append_zone(struct publishing *p, const struct fresh_cell *const fresh[], uint32_t count)
{
    const char *argv[2 + 2 * FIELDS_A_COMMAND];
    size_t bytes[2 + 2 * FIELDS_A_COMMAND];
    char key[PUBLISHER_KEY_MAX];
    int argc = 2;
    argv[0] = fresh[0]->json != NULL ? "HSET" : "HDEL";
    bytes[0] = 4;
    argv[1] = key;
    bytes[1] = cells_key(p, fresh[0]->zone, key);
    for (uint32_t i = 0; i < count; i++) {
        argv[argc] = fresh[i]->sku;
        bytes[argc++] = strlen(fresh[i]->sku);
        if (fresh[i]->json == NULL)
            continue;
        argv[argc] = fresh[i]->json;
        bytes[argc++] = fresh[i]->json_bytes;
    }
    return redis_link_append(&p->link, argc, argv, bytes);
}

uint32_t baselines_append(struct publishing *p, int64_t now_ms, uint32_t *commands)
{
    struct fresh_cells *fresh = &p->fresh;
    uint64_t written = 0;
    interval_begin(p, now_ms);
    if (p->cells.ready == 0)
        return 0;
    uint32_t looked = collect(p);
    qsort(fresh->by_zone, fresh->count, sizeof fresh->by_zone[0], by_zone);
    for (uint32_t first = 0, end = 0; first < fresh->count; first = end) {
        for (end = first; end < fresh->count && end - first < FIELDS_A_COMMAND &&
                          go_together(fresh->by_zone[first], fresh->by_zone[end]);
             end++)
            written += fresh->by_zone[end]->json != NULL;
        *commands += append_zone(p, fresh->by_zone + first, end - first);
    }
    metric_add(METRIC_cells_published_total, written);
    metric_add(METRIC_cells_unpublished_total, fresh->count - written);
    return looked;
}
