/* test_verify.c - every verdict, on texts that are signed here with libsodium alone. */
#include <criterion/criterion.h>
#include <rialto/verify.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEY "0123456789abcdef"
#define LOCK                                                                                                           \
    "{\"kind\":\"lock\",\"customer\":\"C\\\"1\",\"sku\":\"milk\",\"zone\":\"c1/"                                       \
    "s25\",\"amount\":114,\"currency\":\"EUR\","                                                                       \
    "\"from\":1000,\"until\":2000,\"nonce\":\"n1\"}"

static unsigned char public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
static char keys[256];
static const struct rialto_lock_expected as_promised = {
    .customer = "C\"1", .sku = "milk", .amount = 114, .currency = "EUR", .now_s = 1000
};

static void setup(void)
{
    const unsigned char seed[crypto_sign_SEEDBYTES] = { 7 };
    char hex[2 * sizeof public_key + 1];
    cr_assert_geq(sodium_init(), 0);
    cr_assert_eq(crypto_sign_seed_keypair(public_key, secret_key, seed), 0);
    (void)sodium_bin2hex(hex, sizeof hex, public_key, sizeof public_key);
    (void)snprintf(keys, sizeof keys, "# keys\n" KEY " %s since=2026-11-26T09:00:00Z\n", hex);
}

TestSuite(verify, .init = setup);

static void encode(const void *bytes, size_t count, size_t n, char *ret)
{
    (void)sodium_bin2base64(ret, n, bytes, count, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static const char *sign(const char *payload)
{
    static char token[RIALTO_SIGNED_MAX];
    char encoded[2048], signature_text[128];
    unsigned char signature[crypto_sign_BYTES];
    encode(payload, strlen(payload), sizeof encoded, encoded);
    int signed_bytes = snprintf(token, sizeof token, "rialto1." KEY ".%s", encoded);
    (void)crypto_sign_detached(signature, NULL, (unsigned char *)token, (unsigned long long)signed_bytes, secret_key);
    encode(signature, sizeof signature, sizeof signature_text, signature_text);
    (void)snprintf(token + signed_bytes, sizeof token - (size_t)signed_bytes, ".%s", signature_text);
    return token;
}

static enum rialto_verdict with(struct rialto_lock_expected expected)
{
    struct rialto_lock lock = { .amount = -1 };
    enum rialto_verdict verdict = rialto_verify(keys, sign(LOCK), &expected, &lock);
    cr_assert_eq(lock.amount, 114, "what was promised is told, whatever was expected");
    return verdict;
}

Test(verify, a_lock_holds_from_its_first_second_to_the_one_before_its_end)
{
    struct rialto_lock lock;
    cr_assert_eq(rialto_verify(keys, sign(LOCK), &as_promised, &lock), RIALTO_VERDICT_VALID);
    cr_assert_str_eq(lock.customer, "C\"1");
    cr_assert_str_eq(lock.zone, "c1/s25");
    cr_assert_str_eq(lock.key, KEY);
    cr_assert_str_eq(lock.nonce, "n1");
    cr_assert_eq(lock.from_s, 1000);
    cr_assert_eq(lock.until_s, 2000);
    struct rialto_lock_expected other = as_promised;
    other.now_s = 1999;
    cr_assert_eq(with(other), RIALTO_VERDICT_VALID);
    other.now_s = 2000;
    cr_assert_eq(with(other), RIALTO_VERDICT_EXPIRED);
    other.now_s = 999;
    cr_assert_eq(with(other), RIALTO_VERDICT_NOT_YET);
}

Test(verify, says_what_is_not_as_expected)
{
    struct rialto_lock_expected other = as_promised;
    other.customer = "C2";
    cr_assert_eq(with(other), RIALTO_VERDICT_WRONG_CUSTOMER);
    other = as_promised;
    other.sku = "tea";
    cr_assert_eq(with(other), RIALTO_VERDICT_WRONG_PRODUCT);
    other = as_promised;
    other.amount = 113;
    cr_assert_eq(with(other), RIALTO_VERDICT_WRONG_AMOUNT);
    other = as_promised;
    other.currency = "USD";
    cr_assert_eq(with(other), RIALTO_VERDICT_WRONG_CURRENCY);
}

Test(verify, a_zone_is_compared_where_one_is_expected_behind_the_currency_and_before_the_time)
{
    static const char *const OTHERS[] = { "", "c1", "c1/s2", "c1/s25/dairy", "C1/s25" };
    struct rialto_lock_expected other = as_promised;
    struct rialto_lock lock = { .amount = -1 };
    cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &as_promised, "c1/s25", &lock), RIALTO_VERDICT_VALID);
    cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &as_promised, NULL, NULL), RIALTO_VERDICT_VALID);
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        lock.amount = -1;
        cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &as_promised, OTHERS[i], &lock), RIALTO_VERDICT_WRONG_ZONE, "%s", OTHERS[i]);
        cr_assert_eq(lock.amount, 114, "what was promised is told");
    }
    other.now_s = 2000;
    cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &other, "c1", NULL), RIALTO_VERDICT_WRONG_ZONE);
    cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &other, "c1/s25", NULL), RIALTO_VERDICT_EXPIRED);
    other.currency = "USD";
    cr_assert_eq(rialto_verify_zone(keys, sign(LOCK), &other, "c1", NULL), RIALTO_VERDICT_WRONG_CURRENCY);
    cr_assert_str_eq(rialto_verdict_name(RIALTO_VERDICT_WRONG_ZONE), "WRONG_ZONE");
}

Test(verify, no_text_with_one_character_changed_is_believed)
{
    char token[RIALTO_SIGNED_MAX];
    (void)snprintf(token, sizeof token, "%s", sign(LOCK));
    size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        char before = token[i];
        token[i] = before == 'A' ? 'B' : 'A';
        cr_assert_neq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_VALID, "at %zu", i);
        token[i] = before;
    }
    for (size_t i = 0; i < length; i++) {
        char before = token[i];
        token[i] = '\0';
        cr_assert_neq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_VALID, "cut at %zu", i);
        token[i] = before;
    }
    cr_assert_eq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_VALID);
}

Test(verify, names_other_versions_kinds_keys_and_what_is_no_signed_text)
{
    char token[RIALTO_SIGNED_MAX], payload[64];
    (void)snprintf(token, sizeof token, "%s", sign(LOCK));
    token[6] = '2';
    cr_assert_eq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_OTHER_VERSION);
    (void)snprintf(token, sizeof token, "%s", sign(LOCK));
    token[8] = 'f';
    cr_assert_eq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_UNKNOWN_KEY);
    (void)snprintf(token, sizeof token, "%s", sign(LOCK));
    token[strlen(token) - 20] = token[strlen(token) - 20] == 'A' ? 'B' : 'A';
    cr_assert_eq(rialto_verify(keys, token, &as_promised, NULL), RIALTO_VERDICT_BAD_SIGNATURE);
    cr_assert_eq(rialto_verify(keys, sign("{\"kind\":\"quote\"}"), &as_promised, NULL), RIALTO_VERDICT_OTHER_KIND);
    cr_assert_eq(rialto_verify(keys, sign("{\"kind\":\"lock\"}"), &as_promised, NULL), RIALTO_VERDICT_MALFORMED);
    cr_assert_eq(rialto_verify(keys, "rialto1", &as_promised, NULL), RIALTO_VERDICT_OTHER_VERSION);
    cr_assert_eq(rialto_verify(keys, "", &as_promised, NULL), RIALTO_VERDICT_MALFORMED);
    cr_assert_eq(rialto_verify("", sign(LOCK), &as_promised, NULL), RIALTO_VERDICT_BAD_KEYS);
    cr_assert_eq(rialto_verify(KEY " 12", sign(LOCK), &as_promised, NULL), RIALTO_VERDICT_BAD_KEYS);
    cr_assert_eq(rialto_verify_signed(keys, sign("{\"kind\":\"erasure\"}"), "erasure", sizeof payload, payload),
                 RIALTO_VERDICT_VALID);
    cr_assert_str_eq(payload, "{\"kind\":\"erasure\"}");
    cr_assert_eq(rialto_verify_signed(keys, sign(LOCK), NULL, 8, payload), RIALTO_VERDICT_MALFORMED, "no room");
    cr_assert_str_eq(rialto_verdict_name(RIALTO_VERDICT_EXPIRED), "EXPIRED");
}
