/* record_line.h - a part of a signal, as it travels to a worker, back as one line of JSON that has the same effect.
 *
 * Only product and common parts have a line: neither holds a customer, a visit, or what a sender calls itself or its signal. What
 * counts once must count once again, so the keyed hash of source and id stands where they stood. */
#ifndef SERVICE_RECORD_LINE_H
#define SERVICE_RECORD_LINE_H

#include "service/wire.h"

#define RECORD_LINE_MAX 8192u /* a record of WIRE_RECORD_MAX, each character escaped, and its names */

/* record_line - with its newline; `batch` and the record's own number tell the acts of visits apart. Returns its bytes, at most
 * RECORD_LINE_MAX; 0: a record that has no line (customer parts, changes). Pure. */
size_t record_line(const struct wire_record *head, const struct signal *signal, uint64_t batch, char *ret);
#endif
