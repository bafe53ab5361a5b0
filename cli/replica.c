/* replica.c - see replica.h. */
#include "cli/replica.h"

#include "cache/keys.h"
#include "cache/table.h"
#include "cli/cli.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUSTOMERS 64u /* none are needed */

/* Hashes decide in which order things are looked at: always the same ones. */
static bool write_secret(const struct config *config)
{
    char path[DATA_PATH_MAX];
    uint8_t secret[RIALTO_SECRET_BYTES];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 167 + 13);
    data_path(config, "secret", path);
    return file_replace(path, secret, sizeof secret);
}

static bool make_world(struct replica *replica)
{
    struct config *config = &replica->config;
    if (!data_dir_make(config) || !write_secret(config)) {
        cli_say("no folder in /dev/shm");
        return false;
    }
    replica->worker = calloc(1, sizeof *replica->worker);
    replica->repeats = repeats_create(config->repeats_max, (int64_t)config->repeat_window_s * 1000);
    return replica->worker != NULL && replica->repeats != NULL && prepare_main(config) == EXIT_SUCCESS &&
           worker_setup(config, 0, replica->worker) == RIALTO_OK;
}

bool replica_open(struct replica *replica, const struct config *config, const char *models)
{
    memset(replica, 0, sizeof *replica);
    replica->config = *config;
    replica->config.alone = true;
    replica->config.workers = replica->config.worker_count = 1;
    replica->config.customers_max = replica->config.offers_max = CUSTOMERS;
    replica->config.group[0] = '\0';
    (void)snprintf(replica->config.models_dir, sizeof replica->config.models_dir, "%s", models);
    if (!temporary_folder("/dev/shm", "rialto-simulate", replica->folder))
        return false;
    (void)snprintf(replica->config.data_dir, sizeof replica->config.data_dir, "%s/data", replica->folder);
    (void)snprintf(replica->config.cache_dir, sizeof replica->config.cache_dir, "%s/cache", replica->folder);
    memcpy(replica->rules.levels.geohash_lengths, config->geohash_length, sizeof config->geohash_length);
    memcpy(replica->rules.levels.path_depths, config->path_depth, sizeof config->path_depth);
    replica->rules.age_max_ms = (int64_t)config->signal_age_max_s * 1000;
    replica->rules.future_max_ms = (int64_t)config->signal_future_max_s * 1000;
    return make_world(replica);
}

void replica_close(struct replica *replica)
{
    if (replica->worker != NULL && replica->worker->cache != NULL)
        worker_teardown(replica->worker);
    free(replica->worker);
    repeats_destroy(replica->repeats);
    free(replica->message);
    temporary_remove(replica->folder);
    memset(replica, 0, sizeof *replica);
}

static bool put(struct replica *replica, const struct signal *signal, enum signal_part part, uint32_t partition,
                uint64_t id_hash)
{
    if (replica->room - replica->bytes < WIRE_RECORD_MAX) {
        size_t room = 2 * replica->room + 64 * WIRE_RECORD_MAX;
        uint8_t *grown = realloc(replica->message, room);
        if (grown == NULL)
            return false;
        replica->message = grown;
        replica->room = room;
    }
    if (replica->bytes == 0)
        replica->bytes = sizeof(struct wire_header);
    replica->bytes += wire_record_encode(signal, part, partition, replica->count++, id_hash, (uint64_t)signal->seq,
                                         replica->message + replica->bytes);
    return true;
}

/* As the gateway does it: equal for the same source and id, or for the same source that numbers its signals. */
static uint64_t id_hash_of(const struct replica *replica, const struct signal *signal)
{
    const uint8_t *secret = replica->worker->control->secret;
    char text[2 * RIALTO_ID_MAX];
    if (signal->seq == 0 && signal->id[0] == '\0')
        return 0;
    int bytes = snprintf(text, sizeof text, "%s%c%s", signal->source, '\0', signal->seq == 0 ? signal->id : "");
    uint64_t hash = key_of_id(secret, text, signal->seq == 0 ? (size_t)bytes : strlen(signal->source)).lo;
    return hash != 0 ? hash : 1;
}

bool replica_add(struct replica *replica, const struct signal *given)
{
    struct signal signal = *given;
    unsigned parts = signal_parts(&signal);
    uint64_t id_hash = id_hash_of(replica, &signal);
    struct rialto_key key = key_of_id(replica->worker->control->secret, signal.sku, strlen(signal.sku));
    bool repeats = repeats_take(replica->repeats, &signal, replica->worker->tick_ms);
    signal.repeated = repeats || (signal_has(&signal, SIGNAL_FIELD_again) && signal.again != 0);
    if (parts & PART_PRODUCT && !put(replica, &signal, PART_PRODUCT, key_partition(key), id_hash))
        return false;
    return (parts & PART_COMMON) == 0 || put(replica, &signal, PART_COMMON, 0, id_hash);
}

bool replica_apply(struct replica *replica, int64_t tick_ms)
{
    struct worker *worker = replica->worker;
    struct wire_header empty, *header = replica->count > 0 ? (void *)replica->message : &empty;
    size_t bytes = replica->count > 0 ? replica->bytes : sizeof empty;
    replica->seq = wire_batch_after(replica->seq);
    *header = (struct wire_header){ .magic = WIRE_MAGIC,
                                    .version = WIRE_VERSION,
                                    .kind = WIRE_BATCH,
                                    .seq = replica->seq,
                                    .tick_ms = tick_ms,
                                    .count = replica->count };
    bool applied = batch_apply(worker, (const uint8_t *)header, bytes);
    for (uint32_t i = 0; i < worker->finding_count; i++)
        replica->refused += signal_reason_rejects((enum signal_reason)worker->finding[i].reason);
    worker->finding_count = 0;
    replica->count = 0;
    replica->bytes = 0;
    return applied;
}

const struct cell_record *replica_price(struct replica *replica, const char *sku, const char *zone,
                                        const struct product_record **ret_product)
{
    struct worker *worker = replica->worker;
    struct rialto_key key = key_of_id(worker->control->secret, sku, strlen(sku));
    const struct partition *partition = &worker->partition[key_partition(key)];
    uint32_t product = state_find(partition->state, POOL_PRODUCTS, key), at = place_of(worker, zone);
    if (product == STATE_NONE || at == STATE_NONE)
        return NULL;
    const struct place *place = &worker->place[at];
    for (uint32_t level = 0; level <= place->chain_count; level++) {
        struct rialto_key around =
            level < place->chain_count ? place->chain[level] : key_of_world(worker->control->secret);
        uint32_t cell = state_find(partition->state, POOL_CELLS, key_pair(key, around));
        const struct cell_record *record = cell == STATE_NONE ? NULL : state_at(partition->state, POOL_CELLS, cell);
        if (record == NULL || record->published == 0)
            continue;
        if (ret_product != NULL)
            *ret_product = state_at(partition->state, POOL_PRODUCTS, product);
        return record;
    }
    return NULL;
}
