/* models_enter.h - see models_enter.c. */
#ifndef SERVICE_MODELS_ENTER_H
#define SERVICE_MODELS_ENTER_H

#include "cache/table.h"
#include "pricing/model.h"
#include "service/config.h"

/* models_enter - number the groups of a set (DATA_DIR/groups and control) and append its rows of rules. One process at a
 * time: prepare, or the gateway afterwards. RIALTO_OK, or REFUSED with *fault. */
enum rialto_status models_enter(const struct config *config, struct cache *cache, struct model_set *set,
                                struct fault *fault);
#endif
