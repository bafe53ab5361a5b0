/* data_dir.h - what rialtod keeps in its private folder besides state and Redis.
 *
 *   DATA_DIR/lock         held by rialtod and every child of it; the number in it is rialtod's pid
 *   DATA_DIR/secret       192 random bytes that key all hashes: made once, never changed
 *   DATA_DIR/key          what a request shows that may see personal data or change prices: who can read this folder may
 *   DATA_DIR/groups       names of the price groups, one a line; the line's place is the group's number, for good
 *   DATA_DIR/config.json  the settings that the running processes share
 *   DATA_DIR/audit.ndjson, access.ndjson, audit.1.ndjson, access.1.ndjson, audit.names   who did what: service/audit.h
 *   DATA_DIR/models/, change.json, changes.ndjson   what is in force: service/change.h
 *   DATA_DIR/silence.N.ndjson   when worker N was silent: service/silence.h
 */
#ifndef SERVICE_DATA_DIR_H
#define SERVICE_DATA_DIR_H

#include "service/config.h"

#include <stdbool.h>

#define DATA_PATH_MAX (CONFIG_TEXT_MAX + 64u)

/* data_path - DATA_DIR/name. */
void data_path(const struct config *config, const char *name, char ret[DATA_PATH_MAX]);

/* data_dir_make - the folder and those around it that are missing, mode 0700. False with errno set. */
bool data_dir_make(const struct config *config);

/* data_dir_lock - take the lock; the descriptor is inherited by children, so that it is free only when the last of
 * them has ended. Children of a rialtod that died get a few seconds to follow it. Returns the descriptor, or -1 after
 * a log line. */
int data_dir_lock(const struct config *config);

/* bytes_write - all of it, however often that has to be asked for. False with errno set: part of it may stand there. */
bool bytes_write(int fd, const void *bytes, size_t count);

/* file_replace - write a whole file of mode 0600 so that a crash leaves the old one or the new one. False with errno
 * set. */
bool file_replace(const char *path, const void *bytes, size_t count);

/* secret_load - read the secret, or make it. False after a log line. */
bool secret_load(const struct config *config, uint8_t ret[RIALTO_SECRET_BYTES]);

/* data_key - the key, as 32 hexadecimal digits; `make` makes it if there is none. False: it is not there, or may not be
 * read; with `make` after a log line. */
#define DATA_KEY_MAX 40u
bool data_key(const struct config *config, bool make, char ret[DATA_KEY_MAX]);
bool data_key_fits(const struct config *config, const char *given); /* is it the key? */

/* groups_load, groups_save - no file means no names. False after a log line. */
bool groups_load(const struct config *config, char ret[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t *ret_count);
bool groups_save(const struct config *config, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t count);

#endif
