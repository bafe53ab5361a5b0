/* replica.h - the pricing of a service, by other models, within this process: no gateway, no Redis, no clock.
 *
 *   lines of signals --replica_add()--> a batch --replica_tick()--> the same batch_apply() that workers run
 *
 * What is in a batch and which tick it has is the caller's to say, and the secret that keys all hashes is always the same:
 * the same lines give the same prices, bit for bit. Customer parts are left out: no baseline price rests on them.
 * Owner: one thread. Memory and files (a folder in /dev/shm) vanish with replica_close(), and however this process ends. */
#ifndef CLI_REPLICA_H
#define CLI_REPLICA_H

#include "service/repeats.h"
#include "service/temporary.h"
#include "service/worker.h"

struct replica {
    struct config config;
    char folder[TEMPORARY_MAX]; /* of its files */
    struct worker *worker;
    struct repeats *repeats;
    struct signal_rules rules;
    uint8_t *message; /* the batch that is being made */
    size_t bytes, room;
    uint32_t count;
    uint64_t seq;
    uint64_t refused; /* signals, by the parser or by the worker */
};

/* replica_open - with the models of a folder and, apart from that, the settings of `config`. False after a message. */
bool replica_open(struct replica *replica, const struct config *config, const char *models);
void replica_close(struct replica *replica);

/* replica_add - one signal, already parsed. False: out of memory. */
bool replica_add(struct replica *replica, const struct signal *signal);

/* replica_apply - what was added since the last time, at this tick (Unix ms, not before the one before). */
bool replica_apply(struct replica *replica, int64_t tick_ms);

/* replica_price - the cell that answers for a product in a zone; NULL: no price there. *ret_product may be NULL. */
const struct cell_record *replica_price(struct replica *replica, const char *sku, const char *zone,
                                        const struct product_record **ret_product);
#endif
