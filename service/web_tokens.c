/* web_tokens.c - see web_tokens.h. */
#include "service/web_tokens.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 256u
#define BLANKS         " \t\r"

static const char *const ROLES[] = {
    [ROLE_NONE] = "none", [ROLE_PRODUCER] = "producer", [ROLE_SHOP] = "shop", [ROLE_ADMIN] = "admin"
};

_Static_assert(crypto_hash_sha256_BYTES == sizeof((struct token *)0)->hash, "a hash fits its place");

const char *role_name(enum role role)
{
    return ROLES[role];
}

static enum role role_of(const char *word)
{
    for (int role = ROLE_PRODUCER; role <= ROLE_ADMIN; role++)
        if (word != NULL && strcmp(word, ROLES[role]) == 0)
            return (enum role)role;
    return ROLE_NONE;
}

static bool name_fits(const char *name)
{
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";
    return name != NULL && strlen(name) < TOKEN_NAME_MAX && strspn(name, ALLOWED) == strlen(name);
}

static bool hash_read(const char *hex, uint8_t ret[32])
{
    size_t bytes = 0;
    return hex != NULL && strlen(hex) == 64 && sodium_hex2bin(ret, 32, hex, 64, NULL, &bytes, NULL) == 0 && bytes == 32;
}

/* NULL, or what is wrong with the line, which is taken apart. */
static const char *line_take(char *line, struct tokens *ret)
{
    char *save = NULL;
    const char *role = strtok_r(line, BLANKS, &save), *name = strtok_r(NULL, BLANKS, &save),
               *hash = strtok_r(NULL, BLANKS, &save);
    if (role == NULL || role[0] == '#')
        return NULL;
    if (ret->count == TOKENS_MAX)
        return "at most 64 tokens";
    struct token *token = &ret->token[ret->count];
    token->role = role_of(role);
    if (token->role == ROLE_NONE)
        return "a line begins with admin, shop or producer";
    if (!name_fits(name))
        return "the second word is a name of at most 31 letters, digits, dots, dashes, underscores and @";
    (void)snprintf(token->name, sizeof token->name, "%s", name);
    if (!hash_read(hash, token->hash) || strtok_r(NULL, BLANKS, &save) != NULL)
        return "the third word is the token's SHA-256, 64 hexadecimal digits, and the last";
    ret->count++;
    return NULL;
}

enum rialto_status tokens_parse(const char *text, struct tokens *ret, struct fault *fault)
{
    char line[LINE_MAX_BYTES];
    uint32_t number = 1;
    memset(ret, 0, sizeof *ret);
    for (const char *at = text; *at != '\0'; number++) {
        size_t length = strcspn(at, "\n");
        const char *wrong = "the line is too long";
        if (length < sizeof line) {
            memcpy(line, at, length);
            line[length] = '\0';
            wrong = line_take(line, ret);
        }
        if (wrong != NULL) {
            enum rialto_status status = fault_set(fault, NULL, 0, "", "%s", wrong);
            fault->line = number;
            return status;
        }
        at += length + (at[length] == '\n');
    }
    return RIALTO_OK;
}

const struct token *tokens_find(const struct tokens *tokens, const char *presented)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    size_t length = presented == NULL ? 0 : strnlen(presented, TOKEN_CHARS_MAX + 1);
    const struct token *found = NULL;
    if (length < TOKEN_CHARS_MIN || length > TOKEN_CHARS_MAX)
        return NULL;
    (void)crypto_hash_sha256(hash, (const unsigned char *)presented, length);
    for (uint32_t i = 0; i < tokens->count; i++) /* all of them, whichever fits */
        if (sodium_memcmp(hash, tokens->token[i].hash, sizeof hash) == 0)
            found = &tokens->token[i];
    return found;
}
