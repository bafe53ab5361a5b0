/* keys.c - XXH3 over ids, and the combination of two hashes into a line's key. */
#include "cache/keys.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Is the end of a string within the sixteen bytes that hold its first one? They lie in one page of memory, so that all of them may be
 * read; the load is the compiler's business as little as an atomic one is. */
#ifdef __SSE2__
static inline size_t bytes_of_short(const char *text)
{
    uintptr_t skip = (uintptr_t)text % 16;
    const char(*block)[16] = (const char(*)[16])((uintptr_t)text - skip);
    __m128i seen;
    __asm__ volatile("movdqa %1, %0" : "=x"(seen) : "m"(*block));
    uint32_t ends = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(seen, _mm_setzero_si128())) >> skip;
    return ends != 0 ? (size_t)__builtin_ctz(ends) : RIALTO_ID_MAX;
}
#else
static inline size_t bytes_of_short(const char *text)
{
    (void)text;
    return RIALTO_ID_MAX;
}
#endif

size_t key_id_bytes(const char *id)
{
    if (id == NULL)
        return RIALTO_ID_MAX;
    size_t bytes = bytes_of_short(id);
    return bytes < RIALTO_ID_MAX ? bytes : strnlen(id, RIALTO_ID_MAX);
}

/* What most ids are, without a call, and with what does not depend on the id worked out once. */
__attribute__((flatten)) void key_of_ids(const uint8_t secret[RIALTO_SECRET_BYTES], size_t n, const char *const id[],
                                         struct rialto_key ret[])
{
    for (size_t i = 0; i < n; i++) {
        size_t bytes = key_id_bytes(id[i]);
        if (__builtin_expect(bytes > 8 && bytes <= 16, 1)) {
            XXH128_hash_t hash = XXH3_128bits_withSecret(id[i], bytes, secret, RIALTO_SECRET_BYTES);
            ret[i] = key_unreserved((struct rialto_key){ .lo = hash.low64, .hi = hash.high64 });
        } else {
            ret[i] = bytes < RIALTO_ID_MAX ? key_of_id(secret, id[i], bytes) : (struct rialto_key){ 0, 0 };
        }
    }
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
