/* page.c - quotes: who asks, where, and what the lines say.
 *
 *   request --ask_begin()--> hash of the customer, their line on its way
 *           --hash_skus()--> hashes of a chunk of products (work while the customer's line comes)
 *           --ask_finish()-> terms, zone and the zones around it
 *   chunk   --find_lines()-> tags of all, then lines of all: cells of the nearest zone that has one, offers
 *           --compose()----> quotes
 *
 * Bounded: a chunk is CHUNK products; everything lies on the stack, about 20 KiB. Nothing is stored anywhere else. */
#include "cache/reader.h"
#include "cache/segment.h"
#include "cache/zone_path.h"
#include "pricing/quote.h"

#include <string.h>

#define CHUNK         64u
#define OTHER_BOOT_MS 1000 /* a heartbeat that far ahead is of another boot; less is the clock's coarseness */
#define CELL_WORDS    (sizeof(struct rialto_cell_line) / 8)
#define TERMS_WORDS   (sizeof(struct rialto_terms_line) / 8)
#define OFFER_WORDS   (sizeof(struct rialto_offer_line) / 8)
#define ZONE_WORDS    (sizeof(struct rialto_zone_line) / 8)
#define ANCESTORS_MAX 2u

struct level { /* one zone that may answer */
    struct rialto_key key;
    struct rialto_key mixed;
    bool named; /* else the name has to be looked up by key */
    char name[RIALTO_ID_MAX];
};

struct ask { /* one request, resolved */
    const struct rialto *r;
    const struct rialto_request *request;
    int64_t now_ms;
    int64_t mono_ms;
    uint32_t flags;
    uint32_t level_count; /* the world included, as the last */
    struct level level[RIALTO_ZONE_LEVELS];
    uint16_t zone_currency; /* ISO 4217 number that the zone declares; 0 = none */
    bool has_customer;
    bool has_terms;
    bool terms_good; /* present and neither expired nor stale */
    uint32_t terms_age_ms;
    struct rialto_key customer;
    struct probe terms_probe;
    union terms_image terms;
    struct quote_inputs inputs; /* what all quotes of the request share */
};

/* ---- the request ------------------------------------------------------------------------------------- */

static bool absent(const char *text)
{
    return text == NULL || text[0] == '\0';
}

static bool short_enough(const char *text, size_t bytes)
{
    return text == NULL || strnlen(text, bytes) < bytes;
}

static bool request_valid(const struct rialto_request *q)
{
    return q != NULL && short_enough(q->customer, RIALTO_ID_MAX) && short_enough(q->zone, RIALTO_ID_MAX) &&
           short_enough(q->currency, 4) && (uint32_t)q->basis <= RIALTO_BASIS_IP &&
           (absent(q->zone) || zone_name_valid(q->zone, strlen(q->zone)));
}

static uint32_t heartbeat_age_ms(const struct rialto *r, uint32_t partition, int64_t mono_ms)
{
    int64_t beat = atomic_load_explicit(&r->folder.control->heartbeat[partition].beat_mono_ms, memory_order_relaxed);
    int64_t age = mono_ms - beat;
    if (beat == 0 || age < -OTHER_BOOT_MS || age > UINT32_MAX)
        return UINT32_MAX;
    return age < 0 ? 0 : (uint32_t)age;
}

static const struct folder_table *table_of(const struct ask *a, enum rialto_table table)
{
    return &a->r->folder.table[table];
}

static void ask_begin(struct ask *a, const struct rialto *r, const struct rialto_request *request)
{
    struct rialto_control *c = r->folder.control;
    a->r = r;
    a->request = request;
    a->mono_ms = reader_mono_ms();
    a->now_ms = a->mono_ms + atomic_load_explicit(&c->clock_offset_ms, memory_order_relaxed);
    a->flags = __atomic_load_n(&c->demo, __ATOMIC_RELAXED) != 0 ? RIALTO_FLAG_DEMO : 0;
    if (reader_retired_word(r) == RIALTO_RETIRED_SUPERSEDED)
        a->flags |= RIALTO_FLAG_SUPERSEDED;
    a->level_count = 0;
    a->zone_currency = 0;
    a->has_terms = a->terms_good = false;
    a->terms_age_ms = 0;
    a->has_customer = !absent(request->customer);
    a->inputs = (struct quote_inputs){
        .now_ms = a->now_ms,
        .stale_after_ms = __atomic_load_n(&c->stale_after_ms, __ATOMIC_RELAXED),
        .personal_stale_ms = __atomic_load_n(&c->personal_stale_ms, __ATOMIC_RELAXED),
        .group_map = __atomic_load_n(&c->group_map, __ATOMIC_RELAXED),
        .mode = (enum rialto_mode)atomic_load_explicit(&c->mode, memory_order_relaxed),
    };
    if (a->has_customer) {
        a->customer = key_of_id(r->secret, request->customer, strlen(request->customer));
        probe_start(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS, key_partition(a->customer),
                    a->customer, true);
    }
}

/* The customer's line. When it cannot be read in bounded time the answer is the baseline: privacy fails closed, and a
 * price comes. */
static void read_terms(struct ask *a)
{
    if (!a->has_customer)
        return;
    a->terms_age_ms = heartbeat_age_ms(a->r, key_partition(a->customer), a->mono_ms);
    enum rialto_status status =
        probe_find(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS, a->terms.word);
    if (status == RIALTO_NOT_FOUND)
        return;
    if (status == RIALTO_BUSY) {
        memset(&a->terms, 0, sizeof a->terms);
        a->terms_age_ms = UINT32_MAX;
    }
    a->has_terms = true;
    a->inputs.terms = &a->terms.line;
    a->inputs.terms_age_ms = a->terms_age_ms;
    const struct rialto_terms_line *t = &a->terms.line;
    bool expired = t->until_s != 0 && a->now_ms >= (int64_t)t->until_s * 1000;
    a->terms_good = !expired && t->group_map == a->inputs.group_map && a->terms_age_ms <= a->inputs.personal_stale_ms &&
                    status == RIALTO_OK;
}

/* ---- the zone ---------------------------------------------------------------------------------------- */

/* `name` is a longer name that begins with the zone's; bytes = 0: the zone is named otherwise. */
static void add_level(struct ask *a, struct rialto_key key, const char *name, size_t bytes)
{
    if (a->level_count == RIALTO_ZONE_LEVELS - 1)
        return;
    struct level *level = &a->level[a->level_count++];
    level->key = key;
    level->mixed = key_mix(key);
    level->named = bytes > 0 && bytes < RIALTO_ID_MAX;
    memset(level->name, 0, sizeof level->name);
    if (level->named)
        memcpy(level->name, name, bytes);
}

/* The zone of a line, and those around it. */
static void add_declared(struct ask *a, const struct rialto_zone_line *zone)
{
    add_level(a, zone->key, zone->name, zone->name_bytes);
    for (uint32_t i = 0; i < zone->ancestor_count && i < ANCESTORS_MAX; i++)
        add_level(a, zone->ancestor[i], zone->name, zone->ancestor_name_bytes[i]);
    a->zone_currency = zone->currency;
}

static void add_world(struct ask *a)
{
    struct level *level = &a->level[a->level_count++];
    level->key = a->r->world;
    level->mixed = a->r->world_mixed;
    level->named = true;
    memset(level->name, 0, sizeof level->name);
}

static bool declared_zone(const struct rialto *r, struct rialto_key key, union zone_image *ret)
{
    struct probe p;
    const struct folder_table *zones = &r->folder.table[RIALTO_TABLE_ZONES];
    probe_start(&p, zones, ZONE_WORDS, key_partition(key), key, true);
    return probe_find(&p, zones, ZONE_WORDS, ret->word) == RIALTO_OK;
}

/* A zone by name: cut to the levels in use, then outward by prefixes up to the first zone that was declared, whose line
 * knows the rest. */
static void resolve_named(struct ask *a, const char *name)
{
    const struct rialto_control *c = a->r->folder.control;
    struct zone_levels levels;
    struct zone_chain chain;
    for (size_t i = 0; i < sizeof levels.geohash_lengths; i++)
        levels.geohash_lengths[i] = __atomic_load_n(&c->geohash_lengths[i], __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof levels.path_depths; i++)
        levels.path_depths[i] = __atomic_load_n(&c->path_depths[i], __ATOMIC_RELAXED);
    if (!zone_chain_of(&levels, name, strlen(name), &chain) || chain.count == 0)
        return;
    for (uint32_t i = 0; i < chain.count; i++) {
        size_t bytes = strlen(chain.name[i]);
        struct rialto_key key = key_of_id(a->r->secret, chain.name[i], bytes);
        union zone_image zone;
        if (declared_zone(a->r, key, &zone)) {
            add_declared(a, &zone.line);
            return;
        }
        add_level(a, key, chain.name[i], bytes);
    }
}

/* The zone that the customer's terms hold: a slot in zones.v2 of the customer's own partition. */
static void resolve_own(struct ask *a)
{
    union zone_image zone;
    uint32_t slot = a->terms.line.zone;
    if (slot == 0 || segment_line_at(table_of(a, RIALTO_TABLE_ZONES), ZONE_WORDS, key_partition(a->customer), slot - 1,
                                     zone.word) != RIALTO_OK)
        return;
    add_declared(a, &zone.line);
}

static void resolve_zone(struct ask *a)
{
    bool named = !absent(a->request->zone);
    bool located = a->request->basis == RIALTO_BASIS_DEVICE || a->request->basis == RIALTO_BASIS_IP;
    bool permitted = a->terms_good && (a->terms.line.consent & RIALTO_KIND_LOCATION) != 0;
    if (named && located && !permitted) {
        a->flags |= RIALTO_FLAG_IGNORED_ZONE;
        named = false;
    }
    if (named)
        resolve_named(a, a->request->zone);
    else if (a->terms_good)
        resolve_own(a);
    add_world(a);
}

static void ask_finish(struct ask *a)
{
    read_terms(a);
    resolve_zone(a);
}

/* Name and level of the zone that answered. */
static void name_zone(const struct ask *a, uint32_t number, struct rialto_quote *q)
{
    const struct level *level = &a->level[number];
    q->zone_level = (uint8_t)(a->level_count - 1 - number);
    if (number > 0)
        q->flags |= RIALTO_FLAG_WIDER_ZONE;
    memcpy(q->zone, level->name, sizeof q->zone);
    union zone_image zone;
    if (!level->named && declared_zone(a->r, level->key, &zone)) /* a parent that is no prefix has a line of its own */
        memcpy(q->zone, zone.line.name, sizeof q->zone - 1);
}

/* ---- the products ------------------------------------------------------------------------------------ */

struct item { /* one product of a chunk on its way to a quote */
    struct rialto_key sku;
    struct probe cell_probe;
    struct probe offer_probe;
    union cell_image cell;
    union offer_image offer;
    const struct rialto_rule_row *rule;
    enum rialto_status status; /* NOT_FOUND = still looking */
    uint8_t level;
    bool begun;          /* cell_probe has been at its level's first tags */
    bool at_line;        /* and is at a line that may be the product's */
    bool other_currency; /* a cell was there, in a currency that may not answer */
    bool has_offer;
};

static void hash_skus(const struct ask *a, size_t n, const char *const sku[], struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        size_t bytes = sku[i] == NULL ? RIALTO_ID_MAX : strnlen(sku[i], RIALTO_ID_MAX);
        item[i].other_currency = item[i].has_offer = false;
        item[i].level = 0;
        item[i].status = bytes < RIALTO_ID_MAX ? RIALTO_NOT_FOUND : RIALTO_BAD_INPUT;
        if (item[i].status == RIALTO_NOT_FOUND)
            item[i].sku = key_of_id(a->r->secret, sku[i], bytes);
    }
    if (n == 1 && item[0].status == RIALTO_NOT_FOUND) {
        /* Many searches end in the world. A single product has nothing else to wait for while the customer's line comes. */
        struct probe world;
        probe_start(&world, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, key_partition(item[0].sku),
                    key_pair_mixed(item[0].sku, a->r->world_mixed), true);
    }
}

static void start_cell(const struct ask *a, struct item *it)
{
    it->begun = false;
    probe_start(&it->cell_probe, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, key_partition(it->sku),
                key_pair_mixed(it->sku, a->level[it->level].mixed), false);
}

/* On to the next line that may be the product's; where this zone has none, the tags of the next one begin to come. */
static void seek_cell(const struct ask *a, struct item *it)
{
    enum rialto_status status = probe_seek(&it->cell_probe, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, !it->begun);
    it->begun = true;
    it->at_line = status == RIALTO_OK;
    if (status == RIALTO_BUSY) {
        it->status = RIALTO_BUSY;
    } else if (status == RIALTO_NOT_FOUND && it->level + 1u == a->level_count) {
        it->status = RIALTO_UNKNOWN_PRODUCT;
    } else if (status == RIALTO_NOT_FOUND) {
        it->level++;
        start_cell(a, it);
    }
}

static bool currency_fits(const struct ask *a, const struct rialto_rule_row *rule)
{
    if (a->zone_currency != 0 && rule->currency_number != a->zone_currency)
        return false;
    return absent(a->request->currency) || strncmp(a->request->currency, rule->currency, sizeof rule->currency) == 0;
}

static void read_cell(const struct ask *a, struct item *it)
{
    it->status = probe_read(&it->cell_probe, CELL_WORDS, it->cell.word);
    if (it->status != RIALTO_OK)
        return;
    it->rule = reader_rule(a->r, it->cell.line.rule); /* NULL: no row says what the amount means */
    if (it->rule != NULL && currency_fits(a, it->rule))
        return;
    it->other_currency = it->other_currency || it->rule != NULL;
    it->status = RIALTO_NOT_FOUND;
}

/* Round after round: all products seek, and what they need next begins to come; then those at a line read it. A round
 * moves every probe on, so there are few: one for each zone outward, and one more where a tag was another key's. */
static void find_cells(const struct ask *a, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status == RIALTO_NOT_FOUND)
            start_cell(a, &item[i]);
    }
    for (bool looking = true; looking;) {
        looking = false;
        for (size_t i = 0; i < n; i++) {
            if (item[i].status == RIALTO_NOT_FOUND)
                seek_cell(a, &item[i]);
        }
        for (size_t i = 0; i < n; i++) {
            if (item[i].status == RIALTO_NOT_FOUND && item[i].at_line)
                read_cell(a, &item[i]);
            looking = looking || item[i].status == RIALTO_NOT_FOUND;
        }
    }
}

static void start_offers(const struct ask *a, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status == RIALTO_NOT_FOUND)
            probe_start(&item[i].offer_probe, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, key_partition(a->customer),
                        key_pair(a->customer, item[i].sku), false);
    }
}

static void read_offers(const struct ask *a, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status != RIALTO_OK)
            continue;
        enum rialto_status status =
            probe_find(&item[i].offer_probe, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, item[i].offer.word);
        if (status == RIALTO_OK)
            item[i].has_offer = true;
        else if (status == RIALTO_BUSY) /* a price without a promised lock would be a wrong one */
            item[i].status = RIALTO_BUSY;
    }
}

static void find_lines(const struct ask *a, size_t n, struct item item[])
{
    /* Terms that are out of date too: a lock holds all the same. */
    bool offers = a->has_terms && (a->terms.line.kinds & RIALTO_TERMS_HAS_OFFERS) != 0;
    if (offers)
        start_offers(a, n, item);
    find_cells(a, n, item);
    if (offers)
        read_offers(a, n, item);
}

static enum rialto_status compose(const struct ask *a, struct quote_inputs *in, const struct item *it,
                                  struct rialto_quote *ret)
{
    if (it->status != RIALTO_OK) {
        memset(ret, 0, sizeof *ret);
        return it->status == RIALTO_UNKNOWN_PRODUCT && it->other_currency ? RIALTO_OTHER_CURRENCY : it->status;
    }
    in->cell = &it->cell.line;
    in->rule = it->rule;
    in->offer = it->has_offer ? &it->offer.line : NULL;
    in->age_ms = heartbeat_age_ms(a->r, key_partition(it->sku), a->mono_ms);
    quote_compose(in, ret);
    ret->flags |= a->flags;
    name_zone(a, it->level, ret);
    return RIALTO_OK;
}

enum rialto_status rialto_quote_page(const struct rialto *r, const struct rialto_request *request, size_t n,
                                     const char *const sku[], struct rialto_quote ret[],
                                     enum rialto_status ret_status[])
{
    if (n > RIALTO_PAGE_MAX || !request_valid(request))
        return RIALTO_BAD_INPUT;
    if (reader_retired(r))
        return RIALTO_RETIRED;

    struct ask a;
    struct item item[CHUNK];
    ask_begin(&a, r, request);
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t count = n - from < CHUNK ? n - from : CHUNK;
        hash_skus(&a, count, &sku[from], item);
        if (from == 0)
            ask_finish(&a);
        find_lines(&a, count, item);
        for (size_t i = 0; i < count; i++)
            ret_status[from + i] = compose(&a, &a.inputs, &item[i], &ret[from + i]);
    }
    return RIALTO_OK;
}

enum rialto_status rialto_quote(const struct rialto *r, const struct rialto_request *request, const char *sku,
                                struct rialto_quote *ret)
{
    enum rialto_status item = RIALTO_OK;
    enum rialto_status page = rialto_quote_page(r, request, 1, &sku, ret, &item);
    if (page != RIALTO_OK)
        memset(ret, 0, sizeof *ret);
    return page != RIALTO_OK ? page : item;
}

enum rialto_status reader_quote(const struct rialto *r, const struct rialto_request *request, const char *sku,
                                struct reader_lines *ret_lines, struct rialto_quote *ret)
{
    if (!request_valid(request))
        return RIALTO_BAD_INPUT;
    if (reader_retired(r))
        return RIALTO_RETIRED;
    struct ask a;
    struct item item;
    ask_begin(&a, r, request);
    hash_skus(&a, 1, &sku, &item);
    ask_finish(&a);
    find_lines(&a, 1, &item);
    enum rialto_status status = compose(&a, &a.inputs, &item, ret);
    *ret_lines = (struct reader_lines){ .cell = item.cell, .terms = a.terms, .offer = item.offer, .inputs = a.inputs };
    if (status != RIALTO_OK)
        return status;
    ret_lines->inputs.cell = &ret_lines->cell.line;
    ret_lines->inputs.terms = a.inputs.terms != NULL ? &ret_lines->terms.line : NULL;
    ret_lines->inputs.offer = item.has_offer ? &ret_lines->offer.line : NULL;
    return RIALTO_OK;
}
