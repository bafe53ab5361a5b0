/* web_tokens.h - who may do what over HTTP: bearer tokens, of which a file holds only the hashes.
 *
 *   # role   name    SHA-256 of the token, in hexadecimal digits
 *   admin    alice   5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8
 *   shop     till-7  ...
 *   producer erp     ...
 *
 * A token is random and long, so that a plain hash of it tells nothing. Shorter ones are never taken. */
#ifndef SERVICE_WEB_TOKENS_H
#define SERVICE_WEB_TOKENS_H

#include "pricing/json_text.h"

#include <stddef.h>
#include <stdint.h>

#define TOKENS_MAX      64u
#define TOKEN_NAME_MAX  32u
#define TOKEN_CHARS_MIN 32u /* at six bits each, more than anybody guesses */
#define TOKEN_CHARS_MAX 256u

enum role { ROLE_NONE, ROLE_PRODUCER, ROLE_SHOP, ROLE_ADMIN }; /* each may do what the ones before it may */

struct token {
    enum role role;
    char name[TOKEN_NAME_MAX];
    uint8_t hash[32]; /* SHA-256 */
};

struct tokens {
    uint32_t count;
    struct token token[TOKENS_MAX];
};

/* tokens_parse - all of a file, or REFUSED with line and reason. `text` ends with a 0. */
enum rialto_status tokens_parse(const char *text, struct tokens *ret, struct fault *fault);

/* tokens_find - the row whose token this is, or NULL. Takes equally long whichever row it is, or none. */
const struct token *tokens_find(const struct tokens *tokens, const char *presented);

/* role_name - "none", "producer", "shop", "admin". */
const char *role_name(enum role role);
#endif
