/* plan.c - the records of a batch, read once, ahead of their effect.
 *
 *   message --plan_batch(): is each record valid and ours? demand: where its texts are, hash of its sku, place--> plan
 *   plan    --plan_fetch(): what the next records will touch is on its way into the processor's cache--> apply_*.c
 *
 * Signals come in no order of products: each touches its product, its cell, and those around it, and nothing of them is in the cache
 * that was not fetched before. What is found ahead is a guess: records may move until it is used, and are compared by their keys. */
#include "cache/keys.h"
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

/* How many records ahead, one step after the other: each needs what the one before it fetched. */
enum {
    AHEAD_BUCKET = 28,
    AHEAD_PRODUCT = 24,
    AHEAD_CELL_BUCKET = 20,
    AHEAD_CELL = 16,
    AHEAD_AROUND = 10,
    AHEAD_OUTERMOST = 5
};

static bool is_ours(const struct worker *worker, const struct wire_record *head)
{
    return head->part == PART_COMMON || (head->partition < RIALTO_PARTITIONS && worker_owns(worker, head->partition));
}

static bool plan_record(struct worker *worker, const uint8_t *bytes, size_t size, size_t *at, struct planned *ret)
{
    struct wire_record head;
    struct signal signal;
    ret->at = *at;
    ret->product = ret->cell = ret->around = STATE_NONE;
    ret->cell_key = (struct rialto_key){ .lo = 0 };
    enum wire_read read = wire_demand_decode(bytes, size, at, &head, &ret->demand);
    if (read == WIRE_OTHER) {
        ret->demand.sku = NULL;
        return wire_record_decode(bytes, size, at, &head, &signal) && is_ours(worker, &head);
    }
    if (read == WIRE_BAD || !is_ours(worker, &head))
        return false;
    ret->partition = head.partition;
    ret->sku = key_of_id(worker->control->secret, ret->demand.sku, ret->demand.sku_bytes);
    ret->place = place_of(worker, ret->demand.zone);
    return true;
}

static bool plan_room(struct worker *worker, uint32_t count)
{
    if (count <= worker->plan_room)
        return true;
    free(worker->plan);
    worker->plan = malloc(count * sizeof *worker->plan);
    worker->plan_room = worker->plan == NULL ? 0 : count;
    return worker->plan != NULL;
}

bool plan_batch(struct worker *worker, const uint8_t *bytes, size_t size, uint32_t count)
{
    size_t at = sizeof(struct wire_header);
    if (!plan_room(worker, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!plan_record(worker, bytes, size, &at, &worker->plan[i]))
            return false;
    worker->plan_count = count;
    return at == size;
}

/* ---- ahead ------------------------------------------------------------------------------------------------------ */

/* The first records of a batch were not ahead of anything: nothing is known of them but their hash. */
static struct planned *ahead(struct worker *worker, uint32_t i)
{
    struct planned *planned = i < worker->plan_count ? &worker->plan[i] : NULL;
    return planned == NULL || planned->demand.sku == NULL || planned->place == STATE_NONE ? NULL : planned;
}

static void fetch_cell(const struct partition *partition, uint32_t cell)
{
    state_fetch_demand(partition->state, cell);
    __builtin_prefetch(&partition->cell[cell]);
}

static void peek_product(const struct worker *worker, const struct planned *planned)
{
    const struct partition *partition = &worker->partition[planned->partition];
    uint32_t product = state_peek(partition->state, POOL_PRODUCTS, planned->sku);
    if (product == STATE_NONE)
        return;
    __builtin_prefetch(state_at(partition->state, POOL_PRODUCTS, product));
    __builtin_prefetch(&partition->product[product]);
}

static void find_product(const struct worker *worker, struct planned *planned)
{
    const struct partition *partition = &worker->partition[planned->partition];
    const struct place *place = &worker->place[planned->place];
    planned->product = state_find(partition->state, POOL_PRODUCTS, planned->sku);
    planned->cell_key = key_pair(planned->sku, place->chain_count > 0 ? place->chain[0] : worker->place[0].key); /* the world */
    state_fetch_bucket(partition->state, POOL_CELLS, planned->cell_key);
}

static void peek_cell(const struct worker *worker, const struct planned *planned)
{
    const struct partition *partition = &worker->partition[planned->partition];
    uint32_t cell = state_peek(partition->state, POOL_CELLS, planned->cell_key);
    if (cell != STATE_NONE)
        fetch_cell(partition, cell);
}

static void find_cell(const struct worker *worker, struct planned *planned)
{
    const struct partition *partition = &worker->partition[planned->partition];
    planned->cell = state_find(partition->state, POOL_CELLS, planned->cell_key);
}

static uint32_t fetch_around(const struct worker *worker, const struct planned *planned, uint32_t cell)
{
    const struct partition *partition = &worker->partition[planned->partition];
    uint32_t around = cell == STATE_NONE ? STATE_NONE : partition->cell[cell].parent;
    if (around != STATE_NONE)
        fetch_cell(partition, around);
    return around;
}

void plan_fetch(struct worker *worker, uint32_t i)
{
    struct planned *planned = ahead(worker, i + AHEAD_BUCKET);
    if (planned != NULL)
        state_fetch_bucket(worker->partition[planned->partition].state, POOL_PRODUCTS, planned->sku);
    if ((planned = ahead(worker, i + AHEAD_PRODUCT)) != NULL)
        peek_product(worker, planned);
    if ((planned = ahead(worker, i + AHEAD_CELL_BUCKET)) != NULL)
        find_product(worker, planned);
    if ((planned = ahead(worker, i + AHEAD_CELL)) != NULL)
        peek_cell(worker, planned);
    if ((planned = ahead(worker, i + AHEAD_AROUND)) != NULL)
        find_cell(worker, planned);
    if (planned != NULL)
        planned->around = fetch_around(worker, planned, planned->cell);
    if ((planned = ahead(worker, i + AHEAD_OUTERMOST)) != NULL)
        (void)fetch_around(worker, planned, planned->around);
}
