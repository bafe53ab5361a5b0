/* temporary.h - folders that hold much memory for a while: none stays, however the program ends. */
#ifndef SERVICE_TEMPORARY_H
#define SERVICE_TEMPORARY_H

#include <stdbool.h>

#define TEMPORARY_MAX 64u /* bytes of a folder's path */

/* temporary_folder - make a folder of a name of its own under `parent`. False, with a message on standard error, when that fails: ret is "".
 * temporary_remove - remove it with what is in it; fine where it is "". If the program ends without, killed or not, that happens by itself.
 * One thread. */
bool temporary_folder(const char *parent, const char *name, char ret[TEMPORARY_MAX]);
void temporary_remove(const char *folder);
#endif
