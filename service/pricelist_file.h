/* pricelist_file.h - the list prices of a partition in a small file, for the time in which a start has nothing better.
 *
 *   DATA_DIR/list/pNN.v1   [ head | zone lines | product lines | cells ]   mode 0600, replaced as a whole
 *
 * Lines are as in the tables (layout.h), their seq 0; cells name their product and zone by place. No personal data: zones are those of cells
 * and declared ones. A power cut may leave anything in it: what the checksum does not vouch for is not read. */
#ifndef SERVICE_PRICELIST_FILE_H
#define SERVICE_PRICELIST_FILE_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRICELIST_MAGIC  UINT64_C(0x315453494C414952) /* "RIALIST1" in memory, little-endian */
#define PRICELIST_LAYOUT 1u

struct pricelist_head {
    uint64_t magic;
    uint64_t checksum;            /* of all behind it, and of the rest of the head */
    uint64_t secret_mark;         /* keys are hashes by this secret */
    uint32_t layout, line_layout; /* PRICELIST_LAYOUT, RIALTO_LAYOUT */
    uint32_t partition, zones, products, cells;
    uint64_t reserved[2];
};

struct pricelist_cell {
    struct rialto_key key; /* sku (+) zone */
    uint64_t model_hash;   /* of its rule */
    int64_t amount;        /* minor units: the list price, or the ceiling where that is lower */
    int64_t list;
    uint32_t product, zone; /* places in the file */
    uint32_t as_of_s;
    char currency[4]; /* ISO 4217 */
    uint8_t group;
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct pricelist_head) == 64 && sizeof(struct pricelist_cell) == 64, "no padding");

struct pricelist_view { /* into a file that was checked */
    const struct pricelist_head *head;
    const struct rialto_zone_line *zone;
    const struct rialto_product_line *product;
    const struct pricelist_cell *cell;
};

/* pricelist_bytes - of a whole file with this head. */
uint64_t pricelist_bytes(const struct pricelist_head *head);
/* pricelist_checksum - what a head and what is behind it come to; head.checksum does not count. */
uint64_t pricelist_checksum(const struct pricelist_head *head, const void *rest, size_t bytes);
/* pricelist_check - is this a whole file of this partition and secret, every place, length and amount in it within its bounds? `file` is aligned
 * to 8 bytes. Pure. */
bool pricelist_check(const void *file, size_t bytes, uint32_t partition, uint64_t secret_mark,
                     struct pricelist_view *ret);
#endif
