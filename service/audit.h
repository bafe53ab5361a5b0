/* audit.h - who did what to this instance, when, where from, and what became of it.
 *
 *   gateway, web, prepare, the command line --one line each, appended--> DATA_DIR/audit.ndjson  --`rialto audit`--> people
 *   gateway: what is done to customers' data ---------------------------> DATA_DIR/access.ndjson --/
 *
 * On record: changes of models and frozen prices, their refusals too; new keys; looks at dead letters and their sending again; what the
 * file of HTTP tokens holds, whenever that is another; requests that wanted a role or the key and showed none. Of customers: whoever reads
 * what is kept of one (`export`, `explain` of a price for one), and every erasure, by command, by HTTP or by signal. Other signals and
 * quotes are not: they tell nobody what is kept.
 *
 * Privacy    no secret, and no customer, not even a hash: an erasure would have to take it out. Who was read has a name drawn by chance
 *            (audit_names.h), which an erasure makes nobody's. An erasure is told by the nonce of its receipt, which whoever holds the
 *            receipt can look up; one by signal has none.
 * Bounded    a file that has reached audit_bytes_max becomes audit.1.ndjson (access.1.ndjson), in place of the one before. Two files, since
 *            shops read and erase by the thousand: that is not to push out who changed prices.
 * Crash      a line is one write: whole or not there. It is not forced to the disk; a power cut may take the last ones.
 * Failure    what cannot be written is told in the log and counted (audit_failed_total); nothing is refused for it. */
#ifndef SERVICE_AUDIT_H
#define SERVICE_AUDIT_H

#include "service/config.h"

#define AUDIT_FILE      "audit.ndjson"
#define AUDIT_FILE_OLD  "audit.1.ndjson"
#define ACCESS_FILE     "access.ndjson"
#define ACCESS_FILE_OLD "access.1.ndjson"
#define AUDIT_TEXT_MAX  192u
#define AUDIT_NAMES_MAX 3072u /* `what` of "tokens": all of them */

struct audit_entry {     /* NULL or "": not said */
    const char *action;  /* "apply", "export", ... */
    const char *who;     /* as it was said, or known by a token */
    const char *from;    /* address, or local process */
    const char *outcome; /* "done", or the reason of a refusal */
    const char *what;
    const char *receipt; /* nonce of an erasure's receipt */
    const char *whose;   /* the customer's name in this log, of who was read */
    uint64_t change;     /* number of the change that came of it; 0 = none */
    uint32_t more;       /* so many like this one that have no line of their own */
    bool of_customers;   /* for the file about their data */
};

/* audit_add - append it. Any process that may write in the data folder, any thread. False: it could not be written. */
bool audit_add(const struct config *config, const struct audit_entry *entry);

/* audit_add_intruder - the same for somebody who was not known: at most one line a second and process, the next one says how many there
 * were in between ("more"). */
bool audit_add_intruder(const struct config *config, const struct audit_entry *entry);
#endif
