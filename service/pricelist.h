/* pricelist.h - list prices for the time in which a start has nothing better: kept in small files (pricelist_file.h), and published from them.
 *
 *   lines --pricelist_step(), when there is time, or pricelist_finish()--> DATA_DIR/list/pNN.v1 --pricelist_publish(), at a start--> lines
 *
 * Such a line answers its list price, within the ceiling that was last published, to everybody, and says RIALTO_CELL_STARTING. What the worker
 * publishes afterwards takes its place. The files are PRICELIST_PACE_MS behind at most while there is time, and up to date after a stop in order. */
#ifndef SERVICE_PRICELIST_H
#define SERVICE_PRICELIST_H

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct partition;
struct cell_record;

/* pricelist_changed - would the file say something else of this cell than before? */
bool pricelist_changed(const struct cell_record *old, const struct cell_record *now);
/* pricelist_step - a bounded part of writing a file anew whose lines changed. False: nothing is to be done. */
bool pricelist_step(struct worker *worker);
/* pricelist_finish - all that changed, in a time that a stop can bear. */
void pricelist_finish(struct worker *worker);
/* pricelist_publish - lines for all in the file that has none. Returns how many; 0 also when there is no file that can be believed. */
uint64_t pricelist_publish(struct worker *worker, uint32_t partition);
/* pricelist_leave - of these lines, take away those that the partition, which is back, has no price for. */
void pricelist_leave(struct worker *worker, struct partition *partition);
void pricelist_teardown(struct worker *worker);
#endif
