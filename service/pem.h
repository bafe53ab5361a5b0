/* pem.h - certificates and keys that operators give us, as PEM. */
#ifndef SERVICE_PEM_H
#define SERVICE_PEM_H

#include "pricing/json_text.h"

#include <rialto/status.h>
#include <stdbool.h>

/* pem_read - a file's text, the caller's to free (pem_free). A secret one must be closed to others, and its group may at most read it.
 * REFUSED with *fault. */
enum rialto_status pem_read(const char *path, bool secret, char **ret, struct fault *fault);

/* pem_free - wipes it first. NULL is fine. */
void pem_free(char *text);
#endif
