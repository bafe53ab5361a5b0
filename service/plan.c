/* plan.c - the records of a batch, read once, ahead of their effect.
 *
 *   message --plan_batch(): is each record valid and ours? demand: where its texts are, hash of its sku, place--> plan, order
 *   plan    --plan_fetch(): what the next records will touch is on its way into the processor's cache--> apply_*.c
 *
 * Signals come in no order of products: each touches its product, its cell, and those around it, and nothing of them is in the cache
 * that was not fetched before. What is found ahead is a guess: records may move until it is used, and are compared by their keys.
 *
 * Order      Demand's product parts that come in a row are applied partition by partition, in each as they came: a partition's file, journal
 *            and lists are near for all of its records. They touch nothing that another partition's read, so that the state is the same; any
 *            other record (a zone, a customer's part) stands where it came. */
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

#define ROW_MIN 8u /* so many records of demand in a row are worth an order of their own */

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
    ret->reason = REASON_none;
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
    free(worker->plan_order);
    worker->plan = malloc(count * sizeof *worker->plan);
    worker->plan_order = malloc(count * sizeof *worker->plan_order);
    worker->plan_room = worker->plan == NULL || worker->plan_order == NULL ? 0 : count;
    return worker->plan_room > 0;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

static bool is_demand(const struct planned *planned)
{
    return planned->demand.sku != NULL;
}

static void order_as_they_came(struct worker *worker, uint32_t from, uint32_t end)
{
    for (uint32_t i = from; i < end; i++)
        worker->plan_order[i] = i;
}

static void order_by_partition(struct worker *worker, uint32_t from, uint32_t end)
{
    uint32_t next[RIALTO_PARTITIONS + 1] = { from }; /* turn of the next one of each */
    for (uint32_t i = from; i < end; i++)
        next[worker->plan[i].partition + 1]++;
    for (uint32_t p = 1; p < RIALTO_PARTITIONS; p++)
        next[p] += next[p - 1];
    for (uint32_t i = from; i < end; i++)
        worker->plan_order[next[worker->plan[i].partition]++] = i;
}

static void plan_ordered(struct worker *worker)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i <= worker->plan_count; i++) {
        if (i < worker->plan_count && is_demand(&worker->plan[i]))
            continue;
        if (i - from >= ROW_MIN)
            order_by_partition(worker, from, i);
        else
            order_as_they_came(worker, from, i);
        if (i < worker->plan_count)
            worker->plan_order[i] = i;
        from = i + 1;
    }
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
    plan_ordered(worker);
    return at == size;
}

/* ---- ahead ------------------------------------------------------------------------------------------------------ */

/* The first records of a batch were not ahead of anything: nothing is known of them but their hash. */
static struct planned *ahead(struct worker *worker, uint32_t turn)
{
    struct planned *planned = turn < worker->plan_count ? &worker->plan[worker->plan_order[turn]] : NULL;
    return planned == NULL || !is_demand(planned) || planned->place == STATE_NONE ? NULL : planned;
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

void plan_fetch(struct worker *worker, uint32_t turn)
{
    struct planned *planned = ahead(worker, turn + AHEAD_BUCKET);
    if (planned != NULL)
        state_fetch_bucket(worker->partition[planned->partition].state, POOL_PRODUCTS, planned->sku);
    if ((planned = ahead(worker, turn + AHEAD_PRODUCT)) != NULL)
        peek_product(worker, planned);
    if ((planned = ahead(worker, turn + AHEAD_CELL_BUCKET)) != NULL)
        find_product(worker, planned);
    if ((planned = ahead(worker, turn + AHEAD_CELL)) != NULL)
        peek_cell(worker, planned);
    if ((planned = ahead(worker, turn + AHEAD_AROUND)) != NULL)
        find_cell(worker, planned);
    if (planned != NULL)
        planned->around = fetch_around(worker, planned, planned->cell);
    if ((planned = ahead(worker, turn + AHEAD_OUTERMOST)) != NULL)
        (void)fetch_around(worker, planned, planned->around);
}
