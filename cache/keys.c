/* keys.c - XXH3 over ids, and the combination of two hashes into a line's key. */
#include "cache/keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(RIALTO_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 needs a longer secret");

/* A bijection of 64 bits whose every output bit depends on every input bit: the finaliser of Stafford's "Mix13",
 * as in Steele, Lea and Flood, OOPSLA 2014 (SplitMix). */
static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static __attribute__((noinline)) struct rialto_key key_of_long_id(const uint8_t secret[RIALTO_SECRET_BYTES],
                                                                  const char *id, size_t bytes)
{
    XXH128_hash_t hash = XXH3_128bits_withSecret(id, bytes, secret, RIALTO_SECRET_BYTES);
    return key_unreserved((struct rialto_key){ .lo = hash.low64, .hi = hash.high64 });
}

__attribute__((flatten)) struct rialto_key key_of_id(const uint8_t secret[RIALTO_SECRET_BYTES], const char *id,
                                                     size_t bytes)
{
    /* Most ids are short. Without the other branches of XXH3 this needs no stack and saves no register. */
    if (__builtin_expect(bytes > 16, 0))
        return key_of_long_id(secret, id, bytes);
    XXH128_hash_t hash = XXH3_128bits_withSecret(id, bytes, secret, RIALTO_SECRET_BYTES);
    return key_unreserved((struct rialto_key){ .lo = hash.low64, .hi = hash.high64 });
}

struct rialto_key key_of_world(const uint8_t secret[RIALTO_SECRET_BYTES])
{
    return key_of_id(secret, "", 0);
}

struct rialto_key key_mix(struct rialto_key other)
{
    return (struct rialto_key){
        .lo = mix64(other.lo ^ UINT64_C(0x9E3779B97F4A7C15)),
        .hi = mix64(other.hi ^ UINT64_C(0xD1B54A32D192ED03)),
    };
}

struct rialto_key key_pair(struct rialto_key owner, struct rialto_key other)
{
    /* Adding a mixed hash keeps all 128 bits of both; mixing one side only makes (a, b) differ from (b, a). */
    return key_pair_mixed(owner, key_mix(other));
}
