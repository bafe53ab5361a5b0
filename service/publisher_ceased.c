/* publisher_ceased.c - baselines that stand no more leave Redis.
 *
 *   line gone, or another's --what was told of it--> names --no line of that zone any more--> HDEL PREFIX:cell:{zone} sku
 *   another Redis, other tables --> sweep: SCAN PREFIX:cell:{* --> HSCAN --ours, and no line of that zone--> HDEL
 *
 * Told       A line that has gone cannot say whose it was. So it is remembered beside its bit, by the places of the two names, as the line itself said
 *            them; products and zones keep their lines as long as the tables live. It survives the process (publisher_kept.c).
 * Sweep      What a Redis has of an earlier life, of which nothing here tells, is looked for a page at a time beside all else. A death begins it anew.
 * Order      This thread alone writes our products' fields. A price that comes back between the look and the HDEL is told by its ring, and is
 *            written behind it.
 * Not here   which lines are to be looked at (publisher_cells.c). */
#include "service/metrics.h"
#include "service/publisher_parts.h"

#include "cache/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_COUNT "512"

/* ---- what was told of a line -------------------------------------------------------------------------------------- */

uint32_t *told_of(struct publishing *p, uint32_t partition, uint64_t slot)
{
    return &p->cells.told[p->cells.first_word[partition] * 64 + slot];
}

/* The 32 bits by which a cell says where its names are: 18 for the product, 14 for the zone. Turned over, so that 0 is nobody's; the very last
 * place of both at once is taken for nobody's, too, and left to the next sweep. */
uint32_t told_word(const struct rialto_cell_line *line)
{
    return ~((uint32_t)(line->lo_product >> 48) | (uint32_t)(line->hi_place >> 48) << 16);
}

static bool line_at(const struct publishing *p, enum rialto_table table, uint32_t partition, uint64_t slot,
                    uint64_t *ret)
{
    return segment_line_at(&p->prices->folder.table[table], folder_table_words(table), partition, slot, ret) ==
           RIALTO_OK;
}

bool told_names(const struct publishing *p, uint32_t partition, uint32_t word, struct told *ret)
{
    union product_image product;
    union zone_image zone;
    uint32_t places = ~word;
    if (word == 0 || !line_at(p, RIALTO_TABLE_PRODUCTS, partition, places & 0x3FFFFu, product.word) ||
        !line_at(p, RIALTO_TABLE_ZONES, partition, places >> 18, zone.word))
        return false;
    (void)snprintf(ret->sku, sizeof ret->sku, "%.*s", (int)sizeof product.line.sku - 1, product.line.sku);
    (void)snprintf(ret->zone, sizeof ret->zone, "%.*s", (int)sizeof zone.line.name - 1, zone.line.name);
    return true;
}

enum standing cell_stands(const struct publishing *p, const char *zone, const char *sku)
{
    struct rialto_quote quote;
    enum rialto_status status = rialto_quote(p->prices, &(struct rialto_request){ .zone = zone }, sku, &quote);
    if (status == RIALTO_UNKNOWN_PRODUCT || status == RIALTO_OTHER_CURRENCY)
        return STANDING_NO;
    if (status != RIALTO_OK)
        return STANDING_UNKNOWN;
    return strcmp(quote.zone, zone) == 0 ? STANDING_YES : STANDING_NO;
}

/* ---- a sweep ------------------------------------------------------------------------------------------------------- */

void sweep_lost(struct publishing *p)
{
    if (p->sweeping.page != NULL)
        freeReplyObject(p->sweeping.page);
    p->sweeping = (struct sweeping){ .keys = { .cursor = "0" }, .fields = { .cursor = "0" } };
}

/* "PREFIX:cell:{zone}" -> zone. */
static bool zone_of_key(const struct publishing *p, const redisReply *key, char ret[RIALTO_ID_MAX])
{
    char before[PUBLISHER_KEY_MAX];
    size_t prefix = (size_t)snprintf(before, sizeof before, "%s:cell:{", p->config->redis_prefix);
    if (key->type != REDIS_REPLY_STRING || strlen(key->str) != key->len || key->len < prefix + 2 ||
        strncmp(key->str, before, prefix) != 0 || key->str[key->len - 1] != '}' ||
        key->len - prefix - 1 >= RIALTO_ID_MAX)
        return false;
    memcpy(ret, key->str + prefix, key->len - prefix - 1);
    ret[key->len - prefix - 1] = '\0';
    if (strcmp(ret, "world") == 0)
        ret[0] = '\0';
    return true;
}

static bool is_ours(const struct publishing *p, const redisReply *sku)
{
    if (sku->type != REDIS_REPLY_STRING || sku->len == 0 || sku->len >= RIALTO_ID_MAX || strlen(sku->str) != sku->len)
        return false;
    return key_partition(key_of_id(p->prices->secret, sku->str, sku->len)) % p->config->workers == p->worker;
}

static bool remove_fields(struct publishing *p, const char *key, const char *argv[], size_t bytes[], int argc)
{
    argv[0] = "HDEL";
    bytes[0] = 4;
    argv[1] = key;
    bytes[1] = strlen(key);
    metric_add(METRIC_cells_unpublished_total, (uint64_t)argc - 2);
    return redis_link_append(&p->link, argc, argv, bytes);
}

/* HDEL of those of a page of fields, and their values, that are ours and stand no more. False: the link is dead. */
static bool fields_look(struct publishing *p, const char *key, const char *zone, const redisReply *fields)
{
    const char *argv[2 + FIELDS_A_COMMAND];
    size_t bytes[2 + FIELDS_A_COMMAND];
    uint32_t commands = 0;
    int argc = 2;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *sku = fields->element[i];
        if (!is_ours(p, sku) || cell_stands(p, zone, sku->str) != STANDING_NO)
            continue;
        argv[argc] = sku->str;
        bytes[argc++] = sku->len;
        if ((uint32_t)argc < 2 + FIELDS_A_COMMAND)
            continue;
        commands += remove_fields(p, key, argv, bytes, argc);
        argc = 2;
    }
    if (argc > 2)
        commands += remove_fields(p, key, argv, bytes, argc);
    return p->link.context != NULL && replies_check(&p->link, commands, "taking prices away");
}

/* A Redis that is loading, say: the sweep begins again when it is back. */
static bool refused(struct publishing *p, const redisReply *reply)
{
    redis_link_refused(&p->link, "reading prices", reply);
    return false;
}

/* The next page of fields of the key that is looked at; behind its last one the key after it is. */
static bool fields_step(struct publishing *p)
{
    struct sweeping *sweeping = &p->sweeping;
    const redisReply *key = sweeping->page->element[1]->element[sweeping->at];
    char zone[RIALTO_ID_MAX];
    bool alive = true, over = true;
    if (zone_of_key(p, key, zone)) {
        redisReply *reply = redis_link_call(
            &p->link, (const char *const[]){ "HSCAN", key->str, sweeping->fields.cursor, "COUNT", PAGE_COUNT, NULL });
        if (reply == NULL)
            return false;
        const redisReply *fields = redis_scan_page(&sweeping->fields, reply);
        if (fields != NULL)
            alive = fields_look(p, key->str, zone, fields);
        else if (!redis_is_odd(reply))
            alive = refused(p, reply);
        over = fields == NULL || redis_scan_done(&sweeping->fields) || redis_scan_endless(&p->link, &sweeping->fields);
        freeReplyObject(reply);
    }
    if (over) {
        sweeping->at++;
        sweeping->fields = (struct redis_scan){ .cursor = "0" };
    }
    return alive;
}

static bool keys_step(struct publishing *p)
{
    struct sweeping *sweeping = &p->sweeping;
    char pattern[PUBLISHER_KEY_MAX];
    (void)snprintf(pattern, sizeof pattern, "%s:cell:{*", p->config->redis_prefix);
    redisReply *reply = redis_link_call(
        &p->link, (const char *const[]){ "SCAN", sweeping->keys.cursor, "MATCH", pattern, "COUNT", PAGE_COUNT, NULL });
    if (reply == NULL)
        return false;
    if (redis_scan_page(&sweeping->keys, reply) == NULL) {
        (void)refused(p, reply);
        freeReplyObject(reply);
        return false;
    }
    sweeping->page = reply;
    sweeping->at = 0;
    return true;
}

bool sweep_step(struct publishing *p)
{
    struct sweeping *sweeping = &p->sweeping;
    if (!published_sweep_owed(p))
        return true;
    if (sweeping->page == NULL && !keys_step(p))
        return false;
    if (sweeping->at < sweeping->page->element[1]->elements)
        return fields_step(p);
    freeReplyObject(sweeping->page);
    sweeping->page = NULL;
    if (redis_scan_done(&sweeping->keys) || redis_scan_endless(&p->link, &sweeping->keys)) {
        sweep_lost(p);
        published_sweep_done(p);
    }
    return true;
}
