/* audit_names.h - names of customers in the audit log: numbers drawn by chance, and a table of whose they are that an erasure cuts.
 *
 *   keyed hash of the id <--DATA_DIR/audit.names--> name ("whose" in a line of the log)
 *   forget: the row is zeros; the lines stay, and are nobody's
 *
 * Owner      the gateway, one thread, writes; `rialto audit --customer` reads the file as it stands.
 * Invariant  the file is the only place where a name and a customer meet: nothing computes one from the other.
 * Bounded    AUDIT_NAMES rows, and AUDIT_NAME_DAYS after a name was used last. Where there is no room the name that was not used for
 *            longest goes: its lines are nobody's from then on (audit_names_dropped_total).
 * Crash      a row is filled before its key is; what a dead process wrote is in the page cache. A file of another form is made anew. */
#ifndef SERVICE_AUDIT_NAMES_H
#define SERVICE_AUDIT_NAMES_H

#include "service/config.h"

#include <rialto/layout.h>
#include <stdint.h>

#define AUDIT_NAMES_FILE "audit.names"
#define AUDIT_NAMES      16384u
#define AUDIT_NAME_DAYS  400
#define AUDIT_NAME_MAX   17u /* 16 hexadecimal digits */

struct audit_names;

/* audit_names_open - NULL after a log line: then nobody has a name. audit_names_close takes NULL. */
struct audit_names *audit_names_open(const struct config *config);
void audit_names_close(struct audit_names *names);

/* audit_names_take - the name of this customer, a new one if there was none; "" where `names` is NULL. unix_ms: now. */
void audit_names_take(struct audit_names *names, struct rialto_key customer, int64_t unix_ms, char ret[AUDIT_NAME_MAX]);

/* audit_names_forget - nobody knows any more who that was. audit_names_age - nor who was not looked at for AUDIT_NAME_DAYS. */
void audit_names_forget(struct audit_names *names, struct rialto_key customer);
void audit_names_age(struct audit_names *names, int64_t unix_ms);

/* audit_names_find - for whoever may read the data folder. False: this customer has no name. */
bool audit_names_find(const struct config *config, struct rialto_key customer, char ret[AUDIT_NAME_MAX]);
#endif
