/* names.h - texts numbered in the order in which they were first seen. Grows as needed; one thread. */
#ifndef DEMO_NAMES_H
#define DEMO_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct names;

#define NAME_NONE UINT32_MAX

struct names *names_create(void); /* NULL: out of memory */
void names_destroy(struct names *names);

/* names_find - its number, or NAME_NONE. names_add - its number, new or not (*ret_new may be NULL); ends the
 * program when memory runs out: there is no recording without its names. */
uint32_t names_find(const struct names *names, const char *text);
uint32_t names_add(struct names *names, const char *text, bool *ret_new);
const char *names_at(const struct names *names, uint32_t number);
uint32_t names_count(const struct names *names);

/* grown - room for one more element of `bytes` in an array that holds `count`: doubles at powers of two, new room
 * zeroed. Ends the program when memory runs out. */
void *grown(void *array, uint64_t count, uint64_t bytes);
#endif
