/* lines_parts.h - what the files that implement lines of records share. Nobody else includes it. */
#ifndef SERVICE_LINES_PARTS_H
#define SERVICE_LINES_PARTS_H

#include "service/worker.h"

/* lines_claim - the key's place in a table; false, counted, and said once: there is no room. lines_drop - its line is taken away; `owner`: the customer
 * of terms and offers, else the key. */
bool lines_claim(struct worker *worker, enum rialto_table table, uint32_t partition, struct rialto_key key,
                 uint64_t *ret_slot);
void lines_drop(struct worker *worker, enum rialto_table table, uint32_t partition, struct rialto_key owner,
                struct rialto_key key);

/* lines_zone_slot, lines_product_slot - of their lines in this partition, written where there is none yet; SLOT_NONE: no room. */
uint64_t lines_zone_slot(struct worker *worker, struct partition *partition, uint32_t place);
uint64_t lines_product_slot(struct worker *worker, struct partition *partition, uint32_t product);

/* lines_publish_cell - its line as the record says, `old` being what that was before. NULL: nobody is told, it is a start. */
void lines_publish_cell(struct worker *worker, struct partition *partition, uint32_t cell,
                        const struct cell_record *old);
/* A line that waits for the commit, and what the ring is told of it. What either keeps for its own sequence says here which it is. */
struct staged_line {
    struct rialto_cell_line line;   /* seq: its number among what the batch changed in the partition */
    struct rialto_ring_entry entry; /* seq: its cell */
};

/* staged_is - is the n-th of them that of this change? staged_clear - they are done with. lines_publish_staged - they are written. */
static inline bool staged_is(const struct staged *staged, uint32_t number, uint64_t changed)
{
    return number < staged->count && staged->line[number].line.seq == changed;
}

static inline void staged_clear(struct staged *staged)
{
    staged->count = 0;
}

void lines_publish_staged(struct worker *worker, struct partition *partition);
#endif
