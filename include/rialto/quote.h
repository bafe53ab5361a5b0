/* quote.h - what does this customer pay for these products, now? Answered out of shared memory.
 *
 *   struct rialto *prices;
 *   if (rialto_open(NULL, &prices) == RIALTO_OK) {
 *       struct rialto_quote q;
 *       enum rialto_status s = rialto_quote(prices, &(struct rialto_request){ .customer = "C123" }, "milk-1l", &q);
 *   }
 *
 * A quote takes no lock, makes no system call, allocates nothing and writes no byte of shared memory. Every function
 * below but open and close may be called from any number of threads on one handle. Link with -lrialto. */
#ifndef RIALTO_QUOTE_H
#define RIALTO_QUOTE_H

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rialto; /* a mapped cache folder */

/* What the zone of a request rests on. DEVICE and IP are location data: without the customer's consent to
 * location they are ignored (and IGNORED_ZONE is set). */
enum rialto_zone_basis {
    RIALTO_BASIS_STORE = 0,   /* the store that is being visited, or the shop's own choice */
    RIALTO_BASIS_ADDRESS = 1, /* typed by the customer, for delivery */
    RIALTO_BASIS_DEVICE = 2,
    RIALTO_BASIS_IP = 3
};

struct rialto_request {
    const char *customer; /* NULL or "" = nobody in particular: the baseline */
    const char *zone;     /* NULL or "" = the customer's own if their terms hold one, else the world */
    enum rialto_zone_basis basis;
    const char *currency; /* NULL or "" = any; else ISO 4217 letters: prices in others are no answer */
};

#define RIALTO_FLAG_ANONYMOUS 0x0001u /* no customer, or none with terms */
#define RIALTO_FLAG_PERSONAL  0x0002u /* personal terms moved the amount */
#define RIALTO_FLAG_OFFER     0x0004u /* a personal offer made the amount */
#define RIALTO_FLAG_LOCK      0x0008u /* a price lock made the amount */
#define RIALTO_FLAG_STALE     0x0010u /* older than it should be; never above list */
#define RIALTO_FLAG_WIDER_ZONE                                                                                         \
    0x0020u /* answered by a zone around the one asked for, after its cut to a level in use */
#define RIALTO_FLAG_BOUNDED      0x0040u /* floor or ceiling spoke on the personal amount */
#define RIALTO_FLAG_GUARDED      0x0080u /* a guardrail spoke on the baseline */
#define RIALTO_FLAG_IGNORED_ZONE 0x0100u /* zone by device or ip without consent: not used */
#define RIALTO_FLAG_LIST_MODE    0x0200u /* the operator switched all quotes to list */
#define RIALTO_FLAG_DEMO         0x0400u /* rests on recorded data */
#define RIALTO_FLAG_NEUTRAL      0x0800u /* personal terms were there and not used: out of date */
#define RIALTO_FLAG_SUPERSEDED   0x1000u /* rialto_state() is SUPERSEDED */
#define RIALTO_FLAG_STARTING     0x2000u /* a list price that was kept, until the product's worker is back after a start */

struct rialto_quote {
    int64_t amount;   /* what the customer pays, minor units of the currency */
    int64_t baseline; /* what anybody without personal data in play pays in that zone */
    int64_t list;     /* the list price there */
    int64_t floor;    /* bounds of the model: floor <= amount <= ceiling, save a lock below the floor */
    int64_t ceiling;
    int64_t as_of_ms;       /* Unix ms, service time, when the baseline last changed */
    int64_t valid_until_ms; /* Unix ms; 0 = until something changes */
    uint32_t age_ms;        /* since the price was last known to be right; UINT32_MAX: that is not known, or too long ago */
    uint32_t flags;         /* RIALTO_FLAG_* */
    uint16_t multiplier_e4; /* personal multiplier of the price group, 10000 = neutral */
    uint16_t rule;          /* rialto_rule() says model and version */
    uint16_t kinds;         /* RIALTO_KIND_* of personal data that the amount rests on */
    uint16_t disclosure;    /* code of the policy in force, where personal data were read; rialto_rule() has its words; 0 = none */
    uint8_t decimals;   /* 2: amount 123 is 1.23 */
    uint8_t zone_level; /* 0 = the world */
    uint8_t group;
    char currency[4];         /* ISO 4217 */
    char zone[RIALTO_ID_MAX]; /* the zone whose price this is; "" = the world */
    uint8_t used;             /* RIALTO_KIND_* of personal data that were read for it, whether they moved it or not */
};

/* rialto_open - map the cache folder for reading (PROT_READ).
 *   folder   NULL = $RIALTO_CACHE, else /dev/shm/rialto
 * Returns RIALTO_OK; NO_CACHE, OTHER_LAYOUT (also when there are only tables of another one), OTHER_BYTE_ORDER, TRUNCATED, NO_PERMISSION, NO_MEMORY, SYSTEM, and
 * then *ret is NULL. The handle is the caller's; rialto_close() ends it. */
RIALTO_API enum rialto_status rialto_open(const char *folder, struct rialto **ret);

/* rialto_close - unmap. NULL is allowed. No other thread may use the handle any more. */
RIALTO_API void rialto_close(struct rialto *r);

/* rialto_quote - the price of one product for one request.
 * Returns RIALTO_OK; UNKNOWN_PRODUCT, OTHER_CURRENCY, RETIRED (open again), BUSY, BAD_INPUT (an id longer than
 * RIALTO_ID_MAX - 1 bytes, a NULL sku or request, a zone that is no zone name, a currency of more than 3 letters), and then
 * *ret is all zero. Bounded: RIALTO_ZONE_LEVELS zones, in each RIALTO_EXTENTS_MAX times RIALTO_PROBE_MAX tags at most. */
RIALTO_API enum rialto_status rialto_quote(const struct rialto *r, const struct rialto_request *request,
                                           const char *sku, struct rialto_quote *ret);

/* rialto_quote_page - the prices of many products for one request: customer and zone are resolved once, all keys
 * are hashed, then all lines fetched, then all read.
 *   sku [n]  ret [n]  ret_status [n]     n at most RIALTO_PAGE_MAX
 * Returns RIALTO_OK when every item has a status of its own; RETIRED or BAD_INPUT for the page as a whole, and then
 * nothing is written. */
#define RIALTO_PAGE_MAX 512u
RIALTO_API enum rialto_status rialto_quote_page(const struct rialto *r, const struct rialto_request *request, size_t n,
                                                const char *const sku[], struct rialto_quote ret[],
                                                enum rialto_status ret_status[]);

/* rialto_state - whether anybody keeps the tables of this handle fresh.
 *   ret_since_ms   when that ended, Unix ms; 0 = it has not, or nobody knows. NULL is allowed
 * Returns RIALTO_OK; SUPERSEDED: a service with tables of another layout has taken over the folder. Quotes go on to be answered,
 * from frozen tables, with RIALTO_FLAG_SUPERSEDED and growing age, until that service removes them (superseded_grace_s); use a
 * library of its version. RETIRED: close the handle and open it again. BAD_INPUT without a handle. */
RIALTO_API enum rialto_status rialto_state(const struct rialto *r, int64_t *ret_since_ms);

/* ---- kept keys ---------------------------------------------------------------------------------------- */

/* A handle is the hash of an id, for callers that ask for the same products, customers or zones again and again: asking by
 * handles gives the same answers as asking by ids, and hashes and checks nothing. Plain memory of the caller: it may be
 * copied, shared between threads and kept as long as the process lives, also across rialto_close() and rialto_open() of the
 * same installation, whose secret stays in its data folder. A handle that was made with another secret is OTHER_SECRET, and
 * one that was never filled is BAD_INPUT; neither is ever read as somebody else's. Handles of customers are pseudonyms of
 * people: keep them as you would keep their ids. Their members are the library's. */
struct rialto_customer_handle {
    struct rialto_key key;
    uint64_t secret_mark;
};
struct rialto_product_handle {
    struct rialto_key key;
    uint64_t secret_mark;
};
struct rialto_zone_handle { /* the zone, cut to the levels in use, and those around it that its name tells */
    struct rialto_key key[RIALTO_ZONE_LEVELS - 1];
    uint64_t secret_mark;
    uint8_t bytes[RIALTO_ZONE_LEVELS - 1];
    uint8_t count;
    uint8_t geohash_lengths[2]; /* levels in use when it was made; where they have changed, the name is cut anew */
    uint8_t path_depths[3];
    char name[RIALTO_ID_MAX];
};

/* rialto_customer_handle, rialto_product_handle, rialto_zone_handle - fill a handle. Any thread, no allocation.
 * Returns RIALTO_OK; BAD_INPUT for an id that is NULL or longer than RIALTO_ID_MAX - 1 bytes, an empty customer or zone
 * (nobody and nowhere are NULL in the request), or a zone that is no zone name; then *ret is all zero. */
RIALTO_API enum rialto_status rialto_customer_handle(const struct rialto *r, const char *customer,
                                                     struct rialto_customer_handle *ret);
RIALTO_API enum rialto_status rialto_product_handle(const struct rialto *r, const char *sku,
                                                    struct rialto_product_handle *ret);
RIALTO_API enum rialto_status rialto_zone_handle(const struct rialto *r, const char *zone,
                                                 struct rialto_zone_handle *ret);

struct rialto_handle_request {                     /* as struct rialto_request, member by member */
    const struct rialto_customer_handle *customer; /* NULL = nobody in particular: the baseline */
    const struct rialto_zone_handle *zone; /* NULL = the customer's own if their terms hold one, else the world */
    enum rialto_zone_basis basis;
    const char *currency;
};

/* rialto_quote_handle, rialto_quote_page_handles - rialto_quote() and rialto_quote_page() for kept keys.
 *   product [n]  ret [n]  ret_status [n]     n at most RIALTO_PAGE_MAX
 * Returns as those, and OTHER_SECRET for a handle of another secret: of the page for its customer or zone, of the item for a
 * product. Any thread, no allocation, and as bounded as those. */
RIALTO_API enum rialto_status rialto_quote_handle(const struct rialto *r, const struct rialto_handle_request *request,
                                                  const struct rialto_product_handle *product,
                                                  struct rialto_quote *ret);
RIALTO_API enum rialto_status rialto_quote_page_handles(const struct rialto *r,
                                                        const struct rialto_handle_request *request, size_t n,
                                                        const struct rialto_product_handle product[],
                                                        struct rialto_quote ret[], enum rialto_status ret_status[]);

/* rialto_rule - currency, rounding, model and version behind quote.rule. RIALTO_OK or NOT_FOUND. */
RIALTO_API enum rialto_status rialto_rule(const struct rialto *r, uint16_t rule, struct rialto_rule_row *ret);

/* rialto_disclosure_text - the words that a policy asks for beside a price, by a quote's `rule` and `disclosure`: "" where disclosure is 0. Writes
 * at most n bytes with the 0; returns the length that the text has, less than RIALTO_DISCLOSURE_MAX. */
#define RIALTO_DISCLOSURE_MAX sizeof(((struct rialto_rule_row *)0)->disclosure_text)
RIALTO_API size_t rialto_disclosure_text(const struct rialto *r, uint16_t rule, uint16_t disclosure, size_t n, char *ret);

/* rialto_now_ms - service time, Unix ms: what expiries are measured against. */
RIALTO_API int64_t rialto_now_ms(const struct rialto *r);

/* rialto_money_text - "12.34 GBP" for 1234, "GBP", 2. Writes at most n bytes with the 0; returns the length that the
 * text has. */
RIALTO_API size_t rialto_money_text(int64_t amount, const char *currency, uint8_t decimals, size_t n, char *ret);

/* ---- following changes ------------------------------------------------------------------------------ */

struct rialto_follower { /* where one follower stands in every worker's ring; plain memory of the caller */
    uint64_t next[RIALTO_WORKERS_MAX];
    uint64_t missed; /* entries overwritten before they were read */
    uint32_t turn;   /* the ring to look at first: no busy worker may hide the others */
};

struct rialto_change {
    struct rialto_ring_entry entry;
    char sku[RIALTO_ID_MAX];  /* cells: what changed; else "" */
    char zone[RIALTO_ID_MAX]; /* cells: where; "" = the world */
    char title[96];
    char currency[4];
    uint8_t decimals;
};

/* rialto_follow - start a follower at the present. */
RIALTO_API void rialto_follow(const struct rialto *r, struct rialto_follower *ret);

/* rialto_next_change - the next change that this follower has not seen, in order per worker. Returns true and fills *ret,
 * or false when there is none now. Never blocks. */
RIALTO_API bool rialto_next_change(const struct rialto *r, struct rialto_follower *f, struct rialto_change *ret);

/* rialto_cell_at - the cell in a line of the table with its names; for listings and sweeps: slots 0..capacity-1 of
 * partitions 0..63. NOT_FOUND for an empty line, BAD_INPUT past the end of the partition, BUSY. A sku of "" means that the
 * names are not there (yet). */
struct rialto_cell {
    struct rialto_cell_line line;
    char sku[RIALTO_ID_MAX];
    char zone[RIALTO_ID_MAX];
    char category[64];
    char title[96];
};
RIALTO_API enum rialto_status rialto_cell_at(const struct rialto *r, uint32_t partition, uint64_t slot,
                                             struct rialto_cell *ret);

#ifdef __cplusplus
}
#endif
#endif
