/* nearest.h - the name that was probably meant. Pure. */
#ifndef PRICING_NEAREST_H
#define PRICING_NEAREST_H

#include <stddef.h>

/* nearest_name - of `count` names the one with the fewest insertions, deletions, replacements and swaps of neighbours
 * away from `word` (L. Boytsov, 2011: "optimal string alignment"), the first of equally near ones; NULL if none is within
 * a third of its letters, and at least two. Names and words longer than 40 bytes are not compared. */
const char *nearest_name(const char *word, size_t count, const char *const name[]);
#endif
