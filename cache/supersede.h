/* supersede.h - tables of other layouts in the cache folder: frozen and marked, readable for a grace, then removed.
 *
 * What is known of another layout is what rialto/layout.h promises for every one from 2 on: the magic, the layout and the
 * byte order of a file, and of control the words `retired` and `superseded_unix_ms`. Nothing else is read or written. */
#ifndef CACHE_SUPERSEDE_H
#define CACHE_SUPERSEDE_H

#include <stdbool.h>
#include <stdint.h>

#define OLD_TABLES_MAX 16u /* layouts looked at; more are left for the next look */

struct old_tables { /* of one other layout */
    uint32_t layout;
    bool readable;              /* a library of that layout answers from them */
    int64_t superseded_unix_ms; /* 0 = not marked */
    uint64_t bytes;             /* of the file system */
};

/* old_tables_find - what is there, at most OLD_TABLES_MAX. Returns how many. Writes nothing. */
uint32_t old_tables_find(const char *folder, struct old_tables ret[OLD_TABLES_MAX]);

/* old_tables_mark - freeze what is readable and not marked: a reader that has it mapped says SUPERSEDED from now on. Call it when
 * the tables that take over can be used. Returns how many layouts were marked. */
uint32_t old_tables_mark(const char *folder, int64_t now_unix_ms);

/* old_tables_left_ms - ms until they have to go; 0 = now, -1 = not before they are marked. A mark from the future counts from now on. */
int64_t old_tables_left_ms(const struct old_tables *old, int64_t now_unix_ms, int64_t grace_ms);

/* old_tables_remove - take away what was marked grace_ms ago or longer, and what no library can read; with a grace of 0
 * everything. Readers that have it mapped say RETIRED. Returns the bytes given back; *ret_next_ms is when to call again, in ms from
 * now, -1 = nothing is left that will have to go. */
uint64_t old_tables_remove(const char *folder, int64_t now_unix_ms, int64_t grace_ms, int64_t *ret_next_ms);
#endif
