/* pricelist_file.c - see pricelist_file.h. */
#include "service/pricelist_file.h"

#include "cache/keys.h"
#include "service/checksum.h"

#include <string.h>

uint64_t pricelist_bytes(const struct pricelist_head *head)
{
    return sizeof *head + (uint64_t)head->zones * sizeof(struct rialto_zone_line) +
           (uint64_t)head->products * sizeof(struct rialto_product_line) +
           (uint64_t)head->cells * sizeof(struct pricelist_cell);
}

uint64_t pricelist_checksum(const struct pricelist_head *head, const void *rest, size_t bytes)
{
    struct pricelist_head bare = *head;
    bare.checksum = 0;
    return checksum_add(checksum_add(CHECKSUM_BEGIN, &bare, sizeof bare), rest, bytes);
}

static bool text_ends(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

/* As the tables take them. */
static bool key_usable(struct rialto_key key)
{
    return !key_is_none(key) && (key.lo & key.hi) != UINT64_MAX;
}

static bool zone_is_good(const struct rialto_zone_line *zone)
{
    bool good = key_usable(zone->key) && zone->name_bytes < sizeof zone->name && zone->name[zone->name_bytes] == '\0' &&
                zone->ancestor_count <= sizeof zone->ancestor / sizeof zone->ancestor[0];
    for (size_t i = 0; i < sizeof zone->ancestor_name_bytes; i++)
        good = good && zone->ancestor_name_bytes[i] <= zone->name_bytes;
    return good;
}

static bool product_is_good(const struct rialto_product_line *product)
{
    return key_usable(product->key) && text_ends(product->sku, sizeof product->sku) &&
           text_ends(product->category, sizeof product->category) && text_ends(product->title, sizeof product->title);
}

static bool cell_is_good(const struct pricelist_head *head, const struct pricelist_cell *cell)
{
    return key_usable(cell->key) && cell->product < head->products && cell->zone < head->zones && cell->amount > 0 &&
           cell->amount <= cell->list && cell->list <= RIALTO_BOUND_MAX && cell->group < RIALTO_GROUPS_MAX &&
           text_ends(cell->currency, sizeof cell->currency);
}

static bool rows_are_good(const struct pricelist_view *view)
{
    bool good = true;
    for (uint32_t i = 0; good && i < view->head->zones; i++)
        good = zone_is_good(&view->zone[i]);
    for (uint32_t i = 0; good && i < view->head->products; i++)
        good = product_is_good(&view->product[i]);
    for (uint32_t i = 0; good && i < view->head->cells; i++)
        good = cell_is_good(view->head, &view->cell[i]);
    return good;
}

bool pricelist_check(const void *file, size_t bytes, uint32_t partition, uint64_t secret_mark,
                     struct pricelist_view *ret)
{
    const struct pricelist_head *head = file;
    if (bytes < sizeof *head || head->magic != PRICELIST_MAGIC || head->layout != PRICELIST_LAYOUT ||
        head->line_layout != RIALTO_LAYOUT || head->partition != partition || head->secret_mark != secret_mark ||
        head->zones > RIALTO_ZONE_SLOTS_MAX || head->products > RIALTO_PRODUCT_SLOTS_MAX ||
        pricelist_bytes(head) != bytes || pricelist_checksum(head, head + 1, bytes - sizeof *head) != head->checksum)
        return false;
    struct pricelist_view view = { .head = head, .zone = (const void *)(head + 1) };
    view.product = (const void *)(view.zone + head->zones);
    view.cell = (const void *)(view.product + head->products);
    if (!rows_are_good(&view))
        return false;
    *ret = view;
    return true;
}
