/* superseded.h - what the service does with tables of other layouts in its cache folder; cache/supersede.h says how. */
#ifndef SERVICE_SUPERSEDED_H
#define SERVICE_SUPERSEDED_H

#include "service/config.h"

/* superseded_make_room - before tables are made: take away what is past its grace. Returns bytes that the rest holds. */
uint64_t superseded_make_room(const struct config *config);

/* superseded_mark - when our own tables can be used: others are frozen, and marked with the time. */
void superseded_mark(const struct config *config);

/* superseded_left_ms - ms until the last of them has to go; -1 = there are none. Any process may ask. */
int64_t superseded_left_ms(const struct config *config);

/* superseded_watch - take away what is past its grace; the supervisor's metrics say what is left. Returns ms until the next call
 * is due, at most `most_ms`. */
int64_t superseded_watch(const struct config *config, int64_t most_ms);
#endif
