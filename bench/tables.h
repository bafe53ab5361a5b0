/* tables.h - the shop in a cache folder of Rialto's own under /dev/shm, filled through cache/table.h as a worker does. */
#ifndef BENCH_TABLES_H
#define BENCH_TABLES_H

#include "bench/draw.h"
#include "cache/table.h"

#include <rialto/quote.h>

struct
    cell_place { /* what a worker keeps beside the inputs of a price, so that publishing needs no hash and no search */
    struct rialto_key key;
    uint32_t slot;
    uint32_t partition;
};

struct tables {
    char folder[64];
    struct shop_size size;
    struct rialto *prices;    /* mapped read-only, as a storefront has it */
    struct cell_place *place; /* [products * 2]: in the world, in the product's zone, and so on */
    uint64_t lines;           /* of cells, terms and offers */
    uint64_t capacity;
    uint64_t bytes; /* of shared memory, all files */
    /* What a service that is configured for this shop may grow to in all, and the part of it for titles of products. */
    uint64_t service_bytes, service_products_bytes;
};

/* tables_create - NULL, with a message on stderr, when that fails. */
struct tables *tables_create(const struct shop_size *size);
void tables_destroy(struct tables *t);

/* tables_reopen - let go of the mapping and map again. */
bool tables_reopen(struct tables *t);

/* tables_copy - the same files byte by byte in another folder, in small pages; only for reading. */
struct tables *tables_copy(const struct tables *t);

/* tables_large_bytes - how much of the mapping of cells, terms and offers the kernel has in large pages now. */
uint64_t tables_large_bytes(const struct tables *t);

/* tables_ask - a quote (n = 1) or a page. The timed part. False when one was not answered. */
struct ours {
    struct rialto_quote quote[DRAW_PAGE];
    enum rialto_status status[DRAW_PAGE];
};
bool tables_ask(const struct tables *t, const struct draw *d, size_t n, struct ours *ret);

/* tables_wrong - how many of n answers differ from what the shop says they must be (at whatever version of a cell). */
uint64_t tables_wrong(const struct tables *t, const struct draw *d, size_t n, const struct ours *o);

/* tables_beat - owners live: all partitions' heartbeats are of now. */
void tables_beat(struct cache *cache);

/* tables_cell - the line of a cell at a version. number: 2 * product in the world, 2 * product + 1 in its zone. */
static inline void tables_cell(const struct tables *t, uint64_t number, uint32_t version, struct rialto_cell_line *ret)
{
    uint64_t product = number / 2;
    shop_cell_fill(product, number % 2 == 0 ? SHOP_WORLD : shop_product_zone(product), version, ret);
    ret->key = t->place[number].key;
}
#endif
