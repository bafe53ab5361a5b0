/* explain_at.h - `rialto explain --at`: inside of explain.c. */
#ifndef CLI_EXPLAIN_AT_H
#define CLI_EXPLAIN_AT_H

#include "cli/cli.h"

/* explain_at - what the baseline prices of some products were at a time (Unix ms), and what made them, on standard output.
 * zone NULL: the world. Returns an exit status. */
int explain_at(const struct cli *cli, const char *zone, int64_t at_ms, size_t count, char *skus[]);
#endif
