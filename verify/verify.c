/* verify.c - librialto-verify: signatures first, then what is in them.
 *
 * The payload is read only after its signature fitted, so that nobody but the signer can hand this reader anything; it is strict all the
 * same: one flat object of texts and integers, each member once. */
#include <rialto/verify.h>

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define PREFIX    "rialto"
#define VERSION   "rialto1."
#define KEY_CHARS 16u

static const char *const VERDICT_NAME[] = {
#define NAME(name, code, text) [code] = #name,
    RIALTO_VERDICTS(NAME)
#undef NAME
};
static const char *const VERDICT_TEXT[] = {
#define TEXT(name, code, text) [code] = text,
    RIALTO_VERDICTS(TEXT)
#undef TEXT
};
#define VERDICT_COUNT (sizeof VERDICT_NAME / sizeof VERDICT_NAME[0])

const char *rialto_verdict_name(enum rialto_verdict verdict)
{
    return (size_t)verdict < VERDICT_COUNT ? VERDICT_NAME[verdict] : "?";
}

const char *rialto_verdict_text(enum rialto_verdict verdict)
{
    return (size_t)verdict < VERDICT_COUNT ? VERDICT_TEXT[verdict] : "no such verdict";
}

/* ---- the signed text ------------------------------------------------------------------------------------------------ */

struct parts { /* of a signed text; lengths in bytes */
    const char *key, *payload, *signature;
    size_t payload_chars, signature_chars, signed_bytes;
};

static bool is_hex(const char *text, size_t count)
{
    return strspn(text, "0123456789abcdef") >= count;
}

static enum rialto_verdict split(const char *token, struct parts *ret)
{
    size_t length = strnlen(token, RIALTO_SIGNED_MAX);
    if (length >= RIALTO_SIGNED_MAX || strncmp(token, PREFIX, strlen(PREFIX)) != 0)
        return RIALTO_VERDICT_MALFORMED;
    if (strncmp(token, VERSION, strlen(VERSION)) != 0)
        return RIALTO_VERDICT_OTHER_VERSION;
    ret->key = token + strlen(VERSION);
    if (!is_hex(ret->key, KEY_CHARS) || ret->key[KEY_CHARS] != '.')
        return RIALTO_VERDICT_MALFORMED;
    ret->payload = ret->key + KEY_CHARS + 1;
    const char *dot = strchr(ret->payload, '.');
    if (dot == NULL || dot == ret->payload || strchr(dot + 1, '.') != NULL)
        return RIALTO_VERDICT_MALFORMED;
    ret->payload_chars = (size_t)(dot - ret->payload);
    ret->signature = dot + 1;
    ret->signature_chars = length - (size_t)(ret->signature - token);
    ret->signed_bytes = (size_t)(dot - token);
    return RIALTO_VERDICT_VALID;
}

static bool base64_read(const char *text, size_t chars, unsigned char *ret, size_t n, size_t *ret_bytes)
{
    const char *end = NULL;
    return sodium_base642bin(ret, n, text, chars, NULL, ret_bytes, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
               0 &&
           end == text + chars;
}

/* Lines "KEY HEX64 ..."; empty ones and those that begin with # say nothing. */
static enum rialto_verdict key_find(const char *keys, const char *wanted, unsigned char ret[crypto_sign_PUBLICKEYBYTES])
{
    bool any = false, found = false;
    for (const char *line = keys; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '\0' || *line == '\n' || *line == '#')
            continue;
        if (!is_hex(line, KEY_CHARS) || line[KEY_CHARS] != ' ' ||
            !is_hex(line + KEY_CHARS + 1, 2 * crypto_sign_PUBLICKEYBYTES))
            return RIALTO_VERDICT_BAD_KEYS;
        any = true;
        if (!found && strncmp(line, wanted, KEY_CHARS) == 0)
            found = sodium_hex2bin(ret, crypto_sign_PUBLICKEYBYTES, line + KEY_CHARS + 1,
                                   2 * crypto_sign_PUBLICKEYBYTES, NULL, NULL, NULL) == 0;
    }
    if (!any)
        return RIALTO_VERDICT_BAD_KEYS;
    return found ? RIALTO_VERDICT_VALID : RIALTO_VERDICT_UNKNOWN_KEY;
}

/* ---- the payload ---------------------------------------------------------------------------------------------------- */

struct member {
    const char *name; /* without its quotation marks */
    size_t name_bytes;
    const char *value; /* at its first byte */
    const char *end;   /* behind the value */
};

static const char *text_end(const char *at) /* at: behind the opening mark; returns the closing one, or NULL */
{
    for (; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && *++at == '\0')
            return NULL;
    return *at == '"' ? at : NULL;
}

/* The next member of a flat object; *at stands behind '{' or a value. False at the end, and at what is none. */
static bool member_next(const char **at, struct member *ret)
{
    const char *p = *at;
    p += *p == ',' || *p == '{';
    if (*p != '"')
        return false;
    ret->name = p + 1;
    const char *end = text_end(ret->name);
    if (end == NULL || end[1] != ':')
        return false;
    ret->name_bytes = (size_t)(end - ret->name);
    ret->value = end + 2;
    if (*ret->value == '"') {
        end = text_end(ret->value + 1);
        if (end == NULL)
            return false;
        ret->end = end + 1;
    } else {
        ret->end = ret->value + strcspn(ret->value, ",}\"{[]");
    }
    *at = ret->end;
    return ret->end > ret->value;
}

static bool member_find(const char *payload, const char *name, struct member *ret)
{
    const char *at = payload;
    while (member_next(&at, ret))
        if (ret->name_bytes == strlen(name) && memcmp(ret->name, name, ret->name_bytes) == 0)
            return true;
    return false;
}

/* The signer escapes quotation marks and backslashes, and nothing else. */
static bool take_text(const char *payload, const char *name, size_t n, char *ret)
{
    struct member member;
    size_t length = 0;
    if (!member_find(payload, name, &member) || *member.value != '"')
        return false;
    for (const char *at = member.value + 1; at < member.end - 1; at++) {
        at += *at == '\\';
        if (length + 1 >= n)
            return false;
        ret[length++] = *at;
    }
    ret[length] = '\0';
    return true;
}

static bool take_number(const char *payload, const char *name, int64_t *ret)
{
    struct member member;
    int64_t value = 0;
    if (!member_find(payload, name, &member) || member.end - member.value > 18)
        return false;
    for (const char *at = member.value; at < member.end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (*at - '0');
    }
    *ret = value;
    return true;
}

static bool lock_read(const char *payload, struct rialto_lock *ret)
{
    return take_text(payload, "customer", sizeof ret->customer, ret->customer) &&
           take_text(payload, "sku", sizeof ret->sku, ret->sku) &&
           take_text(payload, "zone", sizeof ret->zone, ret->zone) && take_number(payload, "amount", &ret->amount) &&
           take_text(payload, "currency", sizeof ret->currency, ret->currency) &&
           take_number(payload, "from", &ret->from_s) && take_number(payload, "until", &ret->until_s) &&
           take_text(payload, "nonce", sizeof ret->nonce, ret->nonce);
}

/* ---- verdicts -------------------------------------------------------------------------------------------------------- */

enum rialto_verdict rialto_verify_signed(const char *keys, const char *token, const char *kind, size_t n, char *ret)
{
    struct parts parts;
    unsigned char key[crypto_sign_PUBLICKEYBYTES], signature[crypto_sign_BYTES];
    size_t bytes = 0;
    char found[32];
    if (n > 0)
        ret[0] = '\0';
    if (sodium_init() < 0 || keys == NULL)
        return RIALTO_VERDICT_BAD_KEYS;
    if (token == NULL || n == 0)
        return RIALTO_VERDICT_MALFORMED;
    enum rialto_verdict verdict = split(token, &parts);
    if (verdict != RIALTO_VERDICT_VALID)
        return verdict;
    verdict = key_find(keys, parts.key, key);
    if (verdict != RIALTO_VERDICT_VALID)
        return verdict;
    if (!base64_read(parts.signature, parts.signature_chars, signature, sizeof signature, &bytes) ||
        bytes != sizeof signature)
        return RIALTO_VERDICT_MALFORMED;
    if (crypto_sign_verify_detached(signature, (const unsigned char *)token, parts.signed_bytes, key) != 0)
        return RIALTO_VERDICT_BAD_SIGNATURE;
    if (!base64_read(parts.payload, parts.payload_chars, (unsigned char *)ret, n - 1, &bytes) ||
        memchr(ret, 0, bytes) != NULL) {
        ret[0] = '\0';
        return RIALTO_VERDICT_MALFORMED;
    }
    ret[bytes] = '\0';
    if (kind != NULL && (!take_text(ret, "kind", sizeof found, found) || strcmp(found, kind) != 0))
        return RIALTO_VERDICT_OTHER_KIND;
    return RIALTO_VERDICT_VALID;
}

static enum rialto_verdict judge(const struct rialto_lock *lock, const struct rialto_lock_expected *expected,
                                 const char *zone)
{
    if (strcmp(lock->customer, expected->customer) != 0)
        return RIALTO_VERDICT_WRONG_CUSTOMER;
    if (strcmp(lock->sku, expected->sku) != 0)
        return RIALTO_VERDICT_WRONG_PRODUCT;
    if (lock->amount != expected->amount)
        return RIALTO_VERDICT_WRONG_AMOUNT;
    if (strcmp(lock->currency, expected->currency) != 0)
        return RIALTO_VERDICT_WRONG_CURRENCY;
    if (zone != NULL && strcmp(lock->zone, zone) != 0)
        return RIALTO_VERDICT_WRONG_ZONE;
    if (expected->now_s < lock->from_s)
        return RIALTO_VERDICT_NOT_YET;
    return expected->now_s < lock->until_s ? RIALTO_VERDICT_VALID : RIALTO_VERDICT_EXPIRED;
}

enum rialto_verdict rialto_verify_zone(const char *keys, const char *token, const struct rialto_lock_expected *expected,
                                       const char *zone, struct rialto_lock *ret)
{
    char payload[RIALTO_SIGNED_MAX];
    struct rialto_lock lock;
    memset(&lock, 0, sizeof lock);
    enum rialto_verdict verdict = rialto_verify_signed(keys, token, "lock", sizeof payload, payload);
    if (verdict != RIALTO_VERDICT_VALID)
        return verdict;
    if (!lock_read(payload, &lock))
        return RIALTO_VERDICT_MALFORMED;
    memcpy(lock.key, token + strlen(VERSION), KEY_CHARS);
    if (ret != NULL)
        *ret = lock;
    return judge(&lock, expected, zone);
}

enum rialto_verdict rialto_verify(const char *keys, const char *token, const struct rialto_lock_expected *expected,
                                  struct rialto_lock *ret)
{
    return rialto_verify_zone(keys, token, expected, NULL, ret);
}
