/* signing.h - the keys that Rialto signs with: price locks, quote records, receipts of erasure.
 *
 *   DATA_DIR/keys/KEY.seed   mode 0600 in a folder of mode 0700: "CREATED_UNIX_S SEED_HEX"; KEY is 16 hexadecimal digits, the BLAKE2b hash of
 *                            the public key
 *
 * The newest key signs. Older ones stay, so that their public halves can be told for as long as what they signed is to be believed; their
 * files may be deleted by hand when it is not. Form of what is signed: include/rialto/verify.h. */
#ifndef SERVICE_SIGNING_H
#define SERVICE_SIGNING_H

#include "service/config.h"

#include <rialto/verify.h>
#include <stdbool.h>

#define SIGNING_KEYS_MAX 64u
#define SIGNING_LIST_MAX (SIGNING_KEYS_MAX * 128u) /* bytes of signing_list()'s text */

struct signing;

/* signing_open - read the keys, and make one if there is none. NULL after a log line. */
struct signing *signing_open(const struct config *config);
void            signing_close(struct signing *signing); /* wipes; NULL is fine */

/* signing_rotate - make a new key, which signs from now on. False after a log line, or with SIGNING_KEYS_MAX keys. */
bool signing_rotate(struct signing *signing, const struct config *config);

/* signing_list - public keys, newest first, a line each: "KEY HEX64 since=2026-11-26T09:00:00Z". */
void signing_list(const struct signing *signing, char ret[SIGNING_LIST_MAX]);

/* signing_sign - the signed text of a payload. False if it would be longer than RIALTO_SIGNED_MAX - 1. Any thread, but not
 * beside signing_rotate(). */
bool signing_sign(const struct signing *signing, const char *payload, char ret[RIALTO_SIGNED_MAX]);
#endif
