/* keys.h - from ids to the 128-bit keyed hashes that name lines, and to partitions.
 *
 * XXH3 with the installation's 192-byte secret. The secret keeps outsiders from choosing ids that collide; it does not
 * protect ids from somebody who may read the tables. Pure, thread-safe. */
#ifndef CACHE_KEYS_H
#define CACHE_KEYS_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stddef.h>

/* key_of_id - hash of an id's bytes (a sku, a customer, a zone). Never all zeros nor all ones. */
struct rialto_key key_of_id(const uint8_t secret[RIALTO_SECRET_BYTES], const char *id, size_t bytes);

/* key_id_bytes - how long an id is; RIALTO_ID_MAX where it is NULL or longer than an id may be. */
size_t key_id_bytes(const char *id);

/* key_of_ids - the keys of many ids; all zero, which is nobody's, where key_id_bytes() is RIALTO_ID_MAX. */
void key_of_ids(const uint8_t secret[RIALTO_SECRET_BYTES], size_t n, const char *const id[], struct rialto_key ret[]);

/* key_of_world - the zone key of the world: the key of the empty id. */
struct rialto_key key_of_world(const uint8_t secret[RIALTO_SECRET_BYTES]);

/* key_pair - the key of (owner, other): a cell from (sku, zone), an offer from (customer, sku). Two hashes are combined, so
 * that a page hashes each id once. Not commutative. Never all zeros nor all ones. */
struct rialto_key key_pair(struct rialto_key owner, struct rialto_key other);

/* key_mix, key_pair_mixed - key_pair(owner, other) in two steps: who combines many owners with one other mixes that once. */
struct rialto_key key_mix(struct rialto_key other);

/* key_unreserved - moves the two keys that mark lines to a neighbour. */
static inline struct rialto_key key_unreserved(struct rialto_key key)
{
    if (__builtin_expect(key.lo == key.hi, 0)) {
        if (key.lo == 0)
            key.lo = 1;
        else if (key.lo == UINT64_MAX)
            key.lo = UINT64_MAX - 1;
    }
    return key;
}

static inline struct rialto_key key_pair_mixed(struct rialto_key owner, struct rialto_key mixed)
{
    return key_unreserved((struct rialto_key){ .lo = owner.lo + mixed.lo, .hi = owner.hi + mixed.hi });
}

/* key_partition - the partition of an owning id: top six bits of hi. */
static inline uint32_t key_partition(struct rialto_key key)
{
    return (uint32_t)(key.hi >> 58);
}

static inline bool key_equal(struct rialto_key a, struct rialto_key b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

static inline bool key_is_none(struct rialto_key key)
{
    return key.lo == 0 && key.hi == 0;
}
#endif
