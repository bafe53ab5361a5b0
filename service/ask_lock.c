/* ask_lock.c - what the gateway asks for a lock: what a product cost lately, and what was promised.
 *
 *   {"ask":"prices","sku":"milk-1l","zone":"c1/s25","currency":"EUR"}   the owner of the product; no customer is named
 *   {"ask":"lock","customer":"C1","sku":"milk-1l","request":"..."}      the owner of the customer: the lock of that very request */
#include "cache/keys.h"
#include "pricing/money.h"
#include "service/ask.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS_MAX (WIRE_PRICES_MAX + 1u) /* of a line: those before, and the one that stands */
#define MOMENTS_MAX  (RIALTO_ZONE_LEVELS * VERSIONS_MAX + 2u)

struct level { /* what a zone's own line said, newest first */
    size_t count;
    struct past_line line[VERSIONS_MAX];
};

static void level_take(const struct worker *worker, const struct partition *partition, struct rialto_key cell, int64_t since_us,
                       struct level *ret)
{
    uint64_t slot = table_find(worker->cache, RIALTO_TABLE_CELLS, partition->number, cell);
    ret->line[0].until_us = INT64_MAX;
    ret->line[0].is = slot != SLOT_NONE && table_read(worker->cache, RIALTO_TABLE_CELLS, partition->number, slot, ret->line[0].bytes);
    ret->count = 1 + past_of(worker->past, since_us, RIALTO_TABLE_CELLS, cell, cell, VERSIONS_MAX - 1, &ret->line[1]);
}

static size_t levels_take(struct worker *worker, const struct partition *partition, struct rialto_key sku, const char *zone,
                          int64_t since_us, struct level ret[RIALTO_ZONE_LEVELS])
{
    struct zone_chain chain = { .count = 0 };
    size_t count = 0;
    if (zone[0] != '\0' && !places_chain(worker, zone, &chain))
        chain.count = 0;
    for (; count < chain.count && count < RIALTO_ZONE_LEVELS - 1; count++) {
        const char *name = chain.name[count];
        level_take(worker, partition, key_pair(sku, key_of_id(worker->control->secret, name, strlen(name))), since_us, &ret[count]);
    }
    level_take(worker, partition, key_pair(sku, key_of_world(worker->control->secret)), since_us, &ret[count]);
    return count + 1;
}

/* As a reader finds it: the nearest zone that has a line, in this currency. */
static const struct past_line *line_at(const struct worker *worker, const struct level level[], size_t levels, uint16_t currency,
                                       int64_t at_us)
{
    for (size_t l = 0; l < levels; l++) {
        const struct past_line *found = NULL;
        for (size_t i = 0; i < level[l].count && level[l].line[i].until_us > at_us; i++)
            found = &level[l].line[i];
        const struct rialto_rule_row *rule = found == NULL || !found->is ? NULL : rule_at(worker->cache, found->cell.rule);
        if (rule != NULL && rule->currency_number == currency)
            return found;
    }
    return NULL;
}

static int later_first(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return one < other ? 1 : one > other ? -1 : 0;
}

/* When the price may have become another, the latest first; the last one is as far back as is known. */
static size_t moments_find(const struct level level[], size_t levels, int64_t since_us, int64_t now_us, int64_t ret[MOMENTS_MAX])
{
    size_t count = 0;
    ret[count++] = since_us;
    for (size_t l = 0; l < levels; l++)
        for (size_t i = 1; i < level[l].count; i++)
            if (level[l].line[i].until_us <= now_us)
                ret[count++] = level[l].line[i].until_us;
    qsort(ret, count, sizeof ret[0], later_first);
    return count;
}

static void add_price(cJSON *list, int64_t from_us, const struct rialto_cell_line *line)
{
    char hex[2 * sizeof *line + 1];
    cJSON *price = cJSON_CreateObject();
    cJSON_AddNumberToObject(price, "from_us", (double)from_us);
    cJSON_AddStringToObject(price, "line", sodium_bin2hex(hex, sizeof hex, (const unsigned char *)line, sizeof *line));
    cJSON_AddItemToArray(list, price);
}

cJSON *ask_prices(struct worker *worker, const cJSON *question)
{
    static const struct rialto_cell_line none;
    struct rialto_key key;
    const struct partition *partition = ask_partition(worker, ask_text(question, "sku"), &key);
    const struct currency *currency = currency_find(ask_text(question, "currency"));
    if (partition == NULL || currency == NULL || worker->past == NULL)
        return ask_refusal("unknown_product", "no product signal came for it");
    int64_t now_us = worker->tick_ms * 1000 + 999, since_us = now_us - (int64_t)worker->config->lock_grace_s * 1000000;
    if (since_us < past_horizon_us(worker->past))
        since_us = past_horizon_us(worker->past);
    struct level level[RIALTO_ZONE_LEVELS];
    int64_t moment[MOMENTS_MAX];
    size_t levels = levels_take(worker, partition, key, ask_text(question, "zone"), since_us, level);
    size_t moments = moments_find(level, levels, since_us, now_us, moment), told = 0;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON *list = cJSON_AddArrayToObject(answer, "prices");
    for (size_t i = 0; i < moments && told < WIRE_PRICES_MAX; i++) {
        if (i > 0 && moment[i] == moment[i - 1])
            continue;
        const struct past_line *line = line_at(worker, level, levels, currency->number, moment[i]);
        add_price(list, moment[i], line != NULL ? &line->cell : &none);
        told++;
    }
    return answer;
}

cJSON *ask_lock(struct worker *worker, const cJSON *question)
{
    struct rialto_key owner;
    const char *sku = ask_text(question, "sku");
    const struct partition *partition = ask_partition(worker, ask_text(question, "customer"), &owner);
    if (partition == NULL)
        return ask_refusal("unknown_customer", "nothing is kept of this customer");
    uint32_t at = state_find(partition->state, POOL_OFFERS, key_pair(owner, key_of_id(worker->control->secret, sku, strlen(sku))));
    const struct offer_record *record = at == STATE_NONE ? NULL : state_at(partition->state, POOL_OFFERS, at);
    if (record == NULL || record->locked == 0 || record->lock_request != strtoull(ask_text(question, "request"), NULL, 16))
        return ask_refusal("gone", "the lock is over already, or another has taken its place");
    char nonce[2 * sizeof record->lock_nonce + 1];
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON_AddNumberToObject(answer, "amount", (double)record->locked);
    cJSON_AddStringToObject(answer, "currency", currency_by_number(record->currency)->letters);
    cJSON_AddNumberToObject(answer, "from", (double)(record->lock_from_ms / 1000));
    cJSON_AddNumberToObject(answer, "until", (double)(record->lock_until_ms / 1000));
    cJSON_AddStringToObject(answer, "nonce", sodium_bin2hex(nonce, sizeof nonce, record->lock_nonce, sizeof record->lock_nonce));
    return answer;
}
