/* follow.c - what changed, and what is there: the rings and the listing of cells, with names. */
#include "cache/reader.h"
#include "cache/ring.h"
#include "cache/segment.h"

#include <string.h>

#define CATCH_UP_MARGIN 1024u /* entries that a follower who was overrun leaves to the writer, so as not to be again */

/* Where a cell says that its names are: slots in products.v3 and zones.v3 of its own partition. */
static uint64_t product_slot_of(const struct rialto_cell_line *cell)
{
    return cell->lo_product >> 48 | (cell->hi_place >> 48 & 3) << 16;
}

static uint64_t zone_slot_of(const struct rialto_cell_line *cell)
{
    return cell->hi_place >> 50;
}

static enum rialto_status line_at(const struct rialto *r, enum rialto_table table, uint32_t partition, uint64_t slot,
                                  uint64_t *ret)
{
    return segment_line_at(&r->folder.table[table], folder_table_words(table), partition, slot, ret);
}

/* A slot may have been given to another id since: a name counts only if it makes the cell's key. */
static void name_cell(const struct rialto *r, uint32_t partition, struct rialto_cell *cell)
{
    union product_image product;
    union zone_image zone;
    if (line_at(r, RIALTO_TABLE_PRODUCTS, partition, product_slot_of(&cell->line), product.word) != RIALTO_OK)
        return;
    struct rialto_key sku = product.line.key;
    bool in_world = key_equal(key_pair(sku, r->world), cell->line.key);
    if (!in_world) {
        if (line_at(r, RIALTO_TABLE_ZONES, partition, zone_slot_of(&cell->line), zone.word) != RIALTO_OK ||
            !key_equal(key_pair(sku, zone.line.key), cell->line.key))
            return;
        memcpy(cell->zone, zone.line.name, sizeof cell->zone - 1);
    }
    memcpy(cell->sku, product.line.sku, sizeof cell->sku - 1);
    memcpy(cell->category, product.line.category, sizeof cell->category - 1);
    memcpy(cell->title, product.line.title, sizeof cell->title - 1);
}

enum rialto_status rialto_cell_at(const struct rialto *r, uint32_t partition, uint64_t slot, struct rialto_cell *ret)
{
    union cell_image image;
    enum rialto_status status =
        partition >= RIALTO_PARTITIONS ? RIALTO_BAD_INPUT : line_at(r, RIALTO_TABLE_CELLS, partition, slot, image.word);
    if (status != RIALTO_OK)
        return status;
    memset(ret, 0, sizeof *ret);
    ret->line = image.line;
    name_cell(r, partition, ret);
    return RIALTO_OK;
}

void rialto_follow(const struct rialto *r, struct rialto_follower *ret)
{
    memset(ret, 0, sizeof *ret);
    for (uint32_t i = 0; i < r->folder.rings->ring_count; i++)
        ret->next[i] = ring_head(&r->folder.ring[i]);
}

/* The follower's next entry of one ring. An overrun moves it on to the oldest entries that will still be there. */
static bool next_of_ring(const struct rialto_ring *ring, uint64_t *next, uint64_t *missed, union ring_image *ret)
{
    for (int tries = 0; tries < 4; tries++) {
        uint64_t head = ring_head(ring);
        if (*next == head)
            return false;
        if (*next < head && head - *next <= RIALTO_RING_ENTRIES && ring_get(ring, *next, ret)) {
            *next += 1;
            return true;
        }
        uint64_t back = RIALTO_RING_ENTRIES - CATCH_UP_MARGIN;
        uint64_t oldest = head > back ? head - back : 0;
        if (oldest > *next)
            *missed += oldest - *next;
        *next = oldest > *next ? oldest : head; /* ahead of head: another set of files; start at the present */
    }
    return false;
}

static void describe_change(const struct rialto *r, struct rialto_change *change)
{
    const struct rialto_ring_entry *e = &change->entry;
    if (e->table != RIALTO_TABLE_CELLS)
        return;
    const struct rialto_rule_row *rule = reader_rule(r, e->rule);
    if (rule != NULL) {
        memcpy(change->currency, rule->currency, sizeof change->currency - 1);
        change->decimals = rule->decimals;
    }
    struct rialto_cell cell;
    if (rialto_cell_at(r, e->partition, e->slot, &cell) != RIALTO_OK)
        return;
    memcpy(change->sku, cell.sku, sizeof change->sku);
    memcpy(change->zone, cell.zone, sizeof change->zone);
    memcpy(change->title, cell.title, sizeof change->title);
}

bool reader_next_entry(const struct rialto *r, struct rialto_follower *f, struct rialto_ring_entry *ret)
{
    uint32_t rings = r->folder.rings->ring_count;
    for (uint32_t i = 0; i < rings; i++) {
        uint32_t ring = (f->turn + i) % rings;
        union ring_image image;
        if (!next_of_ring(&r->folder.ring[ring], &f->next[ring], &f->missed, &image))
            continue;
        f->turn = (ring + 1) % rings;
        *ret = image.entry;
        return true;
    }
    return false;
}

bool rialto_next_change(const struct rialto *r, struct rialto_follower *f, struct rialto_change *ret)
{
    struct rialto_ring_entry entry;
    if (!reader_next_entry(r, f, &entry))
        return false;
    memset(ret, 0, sizeof *ret);
    ret->entry = entry;
    describe_change(r, ret);
    return true;
}
