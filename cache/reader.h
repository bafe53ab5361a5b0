/* reader.h - inside of librialto: the handle, and what its files share. */
#ifndef CACHE_READER_H
#define CACHE_READER_H

#include "cache/folder.h"
#include "cache/keys.h"
#include "pricing/quote.h"

#include <rialto/quote.h>

struct rialto {
    struct folder folder;    /* mapped PROT_READ */
    struct rialto_key world; /* the secret of a set of files never changes */
    struct rialto_key world_mixed;
    uint64_t secret_mark; /* of handles made with this secret; never 0 */
    uint8_t secret[RIALTO_SECRET_BYTES];
    struct extents_seen seen[RIALTO_TABLE_COUNT][RIALTO_PARTITIONS];
    struct extent_view cells[RIALTO_PARTITIONS]; /* the newest extents of the cells that were seen, side by side */
};

union cell_image {
    uint64_t word[sizeof(struct rialto_cell_line) / 8];
    struct rialto_cell_line line;
};
union terms_image {
    uint64_t word[sizeof(struct rialto_terms_line) / 8];
    struct rialto_terms_line line;
};
union offer_image {
    uint64_t word[sizeof(struct rialto_offer_line) / 8];
    struct rialto_offer_line line;
};
union zone_image {
    uint64_t word[sizeof(struct rialto_zone_line) / 8];
    struct rialto_zone_line line;
};
union product_image {
    uint64_t word[sizeof(struct rialto_product_line) / 8];
    struct rialto_product_line line;
};

/* reader_rule - the row, or NULL for a number that is none (yet). */
static inline const struct rialto_rule_row *reader_rule(const struct rialto *r, uint16_t rule)
{
    /* Acquire pairs with rule_append(): a row that count covers is whole. */
    uint32_t count = atomic_load_explicit(&r->folder.rules->count, memory_order_acquire);
    return rule < count && rule < RIALTO_RULES_MAX ? &r->folder.rule[rule] : NULL;
}

/* reader_quote - rialto_quote(), and the lines that it was composed of, for somebody who explains it. ret_lines may not
 * move: its `inputs` point into it. */
struct reader_lines {
    union cell_image cell;
    union terms_image terms;
    union offer_image offer;
    struct quote_inputs inputs;
};
enum rialto_status reader_quote(const struct rialto *r, const struct rialto_request *request, const char *sku,
                                struct reader_lines *ret_lines, struct rialto_quote *ret);

/* reader_product - what is known of a product by name. OK; NOT_FOUND; BUSY. */
enum rialto_status reader_product(const struct rialto *r, const char *sku, struct rialto_product_line *ret);

/* reader_zone - what signals and names say about a zone; false: no line of it is to be had. */
bool reader_zone(const struct rialto *r, struct rialto_key key, union zone_image *ret);

/* reader_next_entry - rialto_next_change() without names: what changed, by its line. */
bool reader_next_entry(const struct rialto *r, struct rialto_follower *f, struct rialto_ring_entry *ret);

/* reader_ms_from, reader_ms_plus - a - b, a + b, where one of them was read from a file that may say anything: they wrap, and what comes
 * of it is a time like another, only a wrong one. */
static inline int64_t reader_ms_from(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t reader_ms_plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* reader_mono_ms - CLOCK_MONOTONIC in ms; a few ms coarse, no system call. */
int64_t reader_mono_ms(void);

static inline uint32_t reader_retired_word(const struct rialto *r)
{
    return atomic_load_explicit(&r->folder.control->retired, memory_order_acquire);
}

/* reader_retired - is this set of files gone, so that the folder has to be opened again? Superseded files answer. */
static inline bool reader_retired(const struct rialto *r)
{
    uint32_t retired = reader_retired_word(r);
    return retired != RIALTO_NOT_RETIRED && retired != RIALTO_RETIRED_SUPERSEDED;
}
#endif
