/* roles.h - what a process of ours can be. rialtod executes its own binary again with --role; NNG does not survive a fork, and
 * the supervisor runs neither NNG nor pricing code.
 *
 *   supervisor  starts redis-server (embedded default), prepare, gateway, workers; watches, restarts with back-off
 *   prepare     checks models, creates the cache files, numbers rules and groups, and ends: 0 = the others may start
 *   stage       copies models_dir to DATA_DIR/models/stage.hangup and checks it, and ends: 0 = the gateway may take it
 *   gateway     takes signals, fixes their order, splits them, stamps ticks, resends until acknowledged
 *   worker      owns partitions: state, then lines, then Redis
 *   web         answers HTTP: reads the cache, forwards signals to the gateway; only where http_listen says so
 *
 * Each returns the process's exit status. SIGTERM ends a role cleanly; a role whose parent dies ends too. */
#ifndef SERVICE_ROLES_H
#define SERVICE_ROLES_H

#include "service/config.h"

int supervisor_main(const struct config *config, int argc, char *const argv[]);
int prepare_main(const struct config *config);
int stage_main(const struct config *config);
int gateway_main(const struct config *config);
int worker_main(const struct config *config, uint32_t index);
int web_main(const struct config *config);

/* worker_path - where gateway (listens) and worker (dials) meet: DATA_DIR/worker.N.ipc */
void worker_path(const struct config *config, uint32_t index, char ret[CONFIG_TEXT_MAX + 32]);
#endif
