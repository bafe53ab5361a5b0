/* diff.h - see diff.c. A comparison begins with a question (ask.h) and ends rounds later with its answer. */
#ifndef SERVICE_DIFF_H
#define SERVICE_DIFF_H

#include "service/worker.h"

/* diff_number - the question that began it. diff_step - a partition more; with the last one *ret_text is the answer to
 * question *ret_number, to be freed. False: nothing is being compared. */
void diff_number(struct worker *worker, uint32_t number);
bool diff_step(struct worker *worker, uint32_t *ret_number, char **ret_text);
void diff_free(struct worker *worker);
#endif
