/* shop.h - the shop that is measured: customers with terms, products with prices in the world and in one of two zones.
 *
 * A customer belongs to one of the zones, so half of the quotes are answered by the own zone and half by the world; one
 * customer in ten has a personal offer. Ids are text, as a storefront has them. */
#ifndef BENCH_SHOP_H
#define BENCH_SHOP_H

#include <rialto/quote.h>
#include <stdbool.h>
#include <stdint.h>

#define SHOP_ZONES    2u
#define SHOP_ID_BYTES 16u

struct shop {
    char folder[64];
    struct rialto *prices; /* mapped read-only, as a storefront has it */
    uint64_t customers;
    uint64_t products;
    uint64_t file_bytes; /* of cells, terms and offers */
};

void shop_customer_id(uint64_t customer, char ret[SHOP_ID_BYTES]);
void shop_sku(uint64_t product, char ret[SHOP_ID_BYTES]);

/* shop_setup - build the tables in a folder of its own under /dev/shm. False, with a message on stderr, if that fails. */
bool shop_setup(struct shop *shop, uint64_t customers, uint64_t cells);
void shop_teardown(struct shop *shop);
#endif
