/* shop.h - the shop that is measured, as a function of numbers: who and what there is, and what it must cost.
 *
 *   products   cells / 2, each with a price in the world and one in one of two zones
 *   customers  all with terms, each at home in one of the zones: half of the quotes are answered by the own zone, half by the
 *              world
 *   offers     spread evenly over the customers; where there are ten times as many customers, one in ten has one
 *
 * Ids are text, as a storefront has them. Every store that is measured is filled from here, and every answer is compared
 * with what stands here. Pure. */
#ifndef BENCH_SHOP_H
#define BENCH_SHOP_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stdint.h>

#define SHOP_ZONES       2u
#define SHOP_WORLD       SHOP_ZONES /* a number beside those of the zones */
#define SHOP_ID_BYTES    16u
#define SHOP_KEY_BYTES   48u
#define SHOP_VERSIONS    8u  /* a cell's price has been changed this often, cyclically */
#define SHOP_OFFERS_MAX  16u /* of one customer */
#define SHOP_CELLS_MIN   64u
#define SHOP_ENDING_STEP 5u
#define SHOP_ENDING_LESS 1u

struct shop_size {
    uint64_t customers;
    uint64_t products;
    uint64_t offers;
};

void shop_customer_id(uint64_t customer, char ret[SHOP_ID_BYTES]);
void shop_sku(uint64_t product, char ret[SHOP_ID_BYTES]);
const char *shop_zone_name(uint32_t zone); /* "" for the world */

uint32_t shop_customer_zone(uint64_t customer);
uint32_t shop_product_zone(uint64_t product);

/* shop_offers_of - numbers of the customer's offers: from *ret_first on. */
uint64_t shop_offers_of(const struct shop_size *size, uint64_t customer, uint64_t *ret_first);
/* shop_offer_product - what the k-th offer of a customer is for; ascending in k. */
uint64_t shop_offer_product(const struct shop_size *size, uint64_t customer, uint64_t k);

/* Lines without keys and slots, which only a table has. */
void shop_terms_fill(const struct shop_size *size, uint64_t customer, struct rialto_terms_line *ret);
void shop_cell_fill(uint64_t product, uint32_t zone, uint32_t version, struct rialto_cell_line *ret);
void shop_offer_fill(struct rialto_offer_line *ret);

/* shop_expected - what the customer must pay for the product when its cell is at that version: computed from the rule by
 * searching, not by the library's arithmetic. */
int64_t shop_expected(const struct shop_size *size, uint64_t customer, uint64_t product, uint32_t version, bool offer);

/* shop_version - the version of a cell by its baseline, or SHOP_VERSIONS when it is none of them. */
uint32_t shop_version(uint64_t product, uint32_t zone, int64_t baseline);
#endif
