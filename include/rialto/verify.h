/* verify.h - is this what Rialto promised? Signed price locks, quote records and receipts of erasure, checked offline.
 *
 *   signed text:  rialto1.KEY.PAYLOAD.SIGNATURE
 *                 KEY        16 hexadecimal digits that name the signing key
 *                 PAYLOAD    base64url (RFC 4648, no padding) of one JSON object
 *                 SIGNATURE  base64url of 64 bytes: Ed25519 (RFC 8032) over everything before the last dot
 *
 * Only public keys are needed: `rialto keys` prints them, one a line, "KEY HEX64 ...". Keep the lines of retired keys for as long as what
 * they signed is to be believed. Link with -lrialto-verify (which links libsodium; librialto does not). Every function may be called
 * from any thread; nothing is allocated, read or written but what is handed over. */
#ifndef RIALTO_VERIFY_H
#define RIALTO_VERIFY_H

#include <rialto/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*    name            code  text */
#define RIALTO_VERDICTS(X)                                                                                             \
    X(VALID,          0, "signed by a known key, and as expected")                                                     \
    X(MALFORMED,      1, "not a signed text of this form")                                                             \
    X(OTHER_VERSION,  2, "signed text of another version")                                                             \
    X(UNKNOWN_KEY,    3, "signed by a key that is not among the public keys")                                          \
    X(BAD_SIGNATURE,  4, "the signature does not fit: forged or altered")                                              \
    X(OTHER_KIND,     5, "signed, but not a text of this kind")                                                        \
    X(WRONG_CUSTOMER, 6, "promised to another customer")                                                               \
    X(WRONG_PRODUCT,  7, "promised for another product")                                                               \
    X(WRONG_AMOUNT,   8, "another amount was promised")                                                                \
    X(WRONG_CURRENCY, 9, "promised in another currency")                                                               \
    X(WRONG_ZONE,    13, "promised in another zone")                                                                   \
    X(NOT_YET,       10, "does not hold yet")                                                                          \
    X(EXPIRED,       11, "does not hold any more")                                                                     \
    X(BAD_KEYS,      12, "the public keys cannot be read")

#define RIALTO_VERDICT_ENUM_(name, code, text) RIALTO_VERDICT_##name = code,
enum rialto_verdict { RIALTO_VERDICTS(RIALTO_VERDICT_ENUM_) };
#undef RIALTO_VERDICT_ENUM_

#define RIALTO_SIGNED_MAX 4096u /* bytes of the longest signed text, with its 0 */

struct rialto_lock { /* what a price lock promises */
    char    key[20];      /* who signed */
    char    customer[64], sku[64], zone[64];
    int64_t amount;       /* minor units */
    char    currency[4];  /* ISO 4217 */
    int64_t from_s, until_s; /* Unix seconds; holds from <= t < until */
    char    nonce[40];    /* no two locks have the same */
};

struct rialto_lock_expected {
    const char *customer, *sku;
    int64_t     amount;   /* minor units */
    const char *currency; /* ISO 4217 */
    int64_t     now_s;    /* Unix seconds, by the caller's clock */
};

/* rialto_verify - does `token` promise this customer this product at this amount now?
 *   keys   lines of public keys, as `rialto keys` prints them
 * Returns VALID, or the first of the reasons above that holds, in the order of the table (BAD_KEYS first of all). *ret, which may be
 * NULL, is filled for VALID, WRONG_*, NOT_YET and EXPIRED: what was really promised. */
RIALTO_API enum rialto_verdict rialto_verify(const char *keys, const char *token,
                                             const struct rialto_lock_expected *expected, struct rialto_lock *ret);

/* rialto_verify_zone - the same, and is it promised in this zone? Locks carry the zone that their request named, "" where it named none or where
 * the customer's consent did not let it count. Zones are compared byte by byte: a zone inside or around it is another one.
 *   zone   as the answer to the lock's request said it; NULL = any, which is rialto_verify()
 * WRONG_ZONE comes behind WRONG_CURRENCY and before NOT_YET. A shop that sells at the locked amount wherever the customer is does not need it. */
RIALTO_API enum rialto_verdict rialto_verify_zone(const char *keys, const char *token,
                                                  const struct rialto_lock_expected *expected, const char *zone,
                                                  struct rialto_lock *ret);

/* rialto_verify_signed - any signed text: the JSON of its payload in ret[n], ended by 0. `kind` ("lock", "quote", "erasure"; NULL = any) is
 * compared with the payload's "kind". VALID, MALFORMED (or n is too small), OTHER_VERSION, UNKNOWN_KEY, BAD_SIGNATURE, OTHER_KIND, BAD_KEYS;
 * *ret is "" unless VALID or OTHER_KIND. */
RIALTO_API enum rialto_verdict rialto_verify_signed(const char *keys, const char *token, const char *kind, size_t n, char *ret);

/* rialto_verdict_name, rialto_verdict_text - "EXPIRED", and a sentence. */
RIALTO_API const char *rialto_verdict_name(enum rialto_verdict verdict);
RIALTO_API const char *rialto_verdict_text(enum rialto_verdict verdict);

#ifdef __cplusplus
}
#endif
#endif
