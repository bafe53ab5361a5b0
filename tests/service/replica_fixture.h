/* replica_fixture.h - a worker's own code in this process, with one model, for unit tests. */
#ifndef TESTS_SERVICE_REPLICA_FIXTURE_H
#define TESTS_SERVICE_REPLICA_FIXTURE_H

#include "cli/replica.h"
#include "service/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Opened under this name, with room for so many (0: the default); the caller closes it. */
static inline void replica_begin(struct replica *replica, const char *name, const char *model, uint32_t products,
                                 uint32_t cells)
{
    char folder[] = "/tmp/rialto-replica.XXXXXX", path[64];
    struct config config;
    struct fault fault;
    log_setup(name, "error", "text");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/model.json", folder);
    FILE *file = fopen(path, "we");
    cr_assert(file != NULL && fputs(model, file) >= 0 && fclose(file) == 0);
    config_defaults(&config);
    config.products_max = products != 0 ? products : config.products_max;
    config.cells_max = cells != 0 ? cells : config.cells_max;
    (void)snprintf(config.instance, sizeof config.instance, "%s%d", name, (int)getpid());
    cr_assert_eq(config_finish(&config, &fault), RIALTO_OK);
    cr_assert(replica_open(replica, &config, folder));
    (void)unlink(path);
    (void)rmdir(folder);
}
#endif
