/* room.c - a record for what is new, or its refusal, which is seen: every one is counted, the first of its kind is logged. */
#include "service/log.h"
#include "service/metrics.h"
#include "service/worker.h"

static const char *const SETTING[POOL_COUNT] = {
    [POOL_PRODUCTS] = "products_max",
    [POOL_CELLS] = "cells_max",
    [POOL_CUSTOMERS] = "customers_max",
    [POOL_OFFERS] = "offers_max",
    [POOL_ZONES] = "zones_max",
    [POOL_SOURCES] = "sources_max",
    [POOL_BUDGETS] = "nothing: BUDGETS_MAX is a constant",
};

void room_refused(const struct state *state, enum state_pool pool)
{
    static bool said[POOL_COUNT]; /* once a kind and process: the counter goes on */
    metric_add(METRIC_table_full_total, 1);
    if (!said[pool])
        log_line(LOG_WARNING, "TABLE-FULL", "records=%u of a partition: what is new is refused; raise %s",
                 state_capacity(state, pool), SETTING[pool]);
    said[pool] = true;
}

uint32_t room_insert(struct state *state, enum state_pool pool, struct rialto_key key)
{
    uint32_t record = state_insert(state, pool, key);
    if (record == STATE_NONE)
        room_refused(state, pool);
    return record;
}
