/* roles.c - what the roles agree on without talking to each other. */
#include "service/roles.h"

#include <stdio.h>

void worker_path(const struct config *config, uint32_t index, char ret[CONFIG_TEXT_MAX + 32])
{
    (void)snprintf(ret, CONFIG_TEXT_MAX + 32, "%s/worker.%u.ipc", config->data_dir, index);
}
