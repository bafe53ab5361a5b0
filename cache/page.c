/* page.c - quotes: who asks, where, and what the lines say.
 *
 *   request --ask_begin()--> hash of the customer, their line on its way
 *           --hash_skus()--> hashes of a chunk of products (work while the customer's line comes)
 *           --ask_finish()-> terms, zone and the zones around it
 *   chunk   --for each zone, nearest first: start all probes, then read all--> cells, offers --quote_compose()--> quotes
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
    uint8_t name_bytes; /* of ask.zone_name; 0 = named otherwise, or the world */
};

struct ask { /* one request, resolved */
    const struct rialto *r;
    const struct rialto_request *request;
    int64_t now_ms;
    int64_t mono_ms;
    uint32_t flags;
    uint32_t level_count; /* the world included, as the last */
    struct level level[RIALTO_ZONE_LEVELS];
    char zone_name[RIALTO_ID_MAX];
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
                    a->customer);
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
        probe_read(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS, a->terms.word);
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

static void add_level(struct ask *a, struct rialto_key key, size_t name_bytes)
{
    if (a->level_count < RIALTO_ZONE_LEVELS - 1)
        a->level[a->level_count++] = (struct level){ .key = key, .name_bytes = (uint8_t)name_bytes };
}

/* The zone of a declared line, and those around it. The name in a->zone_name begins with the line's own. */
static void add_declared(struct ask *a, const struct rialto_zone_line *zone)
{
    add_level(a, zone->key, zone->name_bytes);
    for (uint32_t i = 0; i < zone->ancestor_count && i < ANCESTORS_MAX; i++)
        add_level(a, zone->ancestor[i], zone->ancestor_name_bytes[i]);
    a->zone_currency = zone->currency;
}

static bool declared_zone(const struct rialto *r, struct rialto_key key, union zone_image *ret)
{
    struct probe p;
    const struct folder_table *zones = &r->folder.table[RIALTO_TABLE_ZONES];
    probe_start(&p, zones, ZONE_WORDS, key_partition(key), key);
    return probe_read(&p, zones, ZONE_WORDS, ret->word) == RIALTO_OK;
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
    memcpy(a->zone_name, chain.name[0], sizeof a->zone_name);
    for (uint32_t i = 0; i < chain.count; i++) {
        size_t bytes = strlen(chain.name[i]);
        struct rialto_key key = key_of_id(a->r->secret, chain.name[i], bytes);
        union zone_image zone;
        if (declared_zone(a->r, key, &zone)) {
            add_declared(a, &zone.line);
            return;
        }
        add_level(a, key, bytes);
    }
}

/* The zone that the customer's terms hold: a slot in zones.v1 of the customer's own partition. */
static void resolve_own(struct ask *a)
{
    union zone_image zone;
    uint32_t slot = a->terms.line.zone;
    if (slot == 0 ||
        reader_line_at(a->r, RIALTO_TABLE_ZONES, key_partition(a->customer), slot - 1, zone.word) != RIALTO_OK)
        return;
    memcpy(a->zone_name, zone.line.name, sizeof a->zone_name);
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
    a->level[a->level_count++] = (struct level){ .key = a->r->world };
}

static void ask_finish(struct ask *a)
{
    read_terms(a);
    resolve_zone(a);
}

/* Name and level of the zone that answered. */
static void name_zone(const struct ask *a, uint32_t level, struct rialto_quote *q)
{
    size_t bytes = a->level[level].name_bytes;
    memset(q->zone, 0, sizeof q->zone);
    q->zone_level = (uint8_t)(a->level_count - 1 - level);
    if (level > 0)
        q->flags |= RIALTO_FLAG_WIDER_ZONE;
    if (level == a->level_count - 1)
        return;
    union zone_image zone;
    if (bytes > 0 && bytes < sizeof q->zone)
        memcpy(q->zone, a->zone_name, bytes);
    else if (declared_zone(a->r, a->level[level].key, &zone)) /* a parent that is no prefix has a line of its own */
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
    bool other_currency; /* a cell was there, in a currency that may not answer */
    bool has_offer;
};

static void hash_skus(const struct rialto *r, size_t n, const char *const sku[], struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        size_t bytes = sku[i] == NULL ? RIALTO_ID_MAX : strnlen(sku[i], RIALTO_ID_MAX);
        item[i].other_currency = false;
        item[i].has_offer = false;
        item[i].status = bytes < RIALTO_ID_MAX ? RIALTO_NOT_FOUND : RIALTO_BAD_INPUT;
        if (item[i].status == RIALTO_NOT_FOUND)
            item[i].sku = key_of_id(r->secret, sku[i], bytes);
    }
}

static bool currency_fits(const struct ask *a, const struct rialto_rule_row *rule)
{
    if (a->zone_currency != 0 && rule->currency_number != a->zone_currency)
        return false;
    return absent(a->request->currency) || strncmp(a->request->currency, rule->currency, sizeof rule->currency) == 0;
}

static void start_cells(const struct ask *a, uint32_t level, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status == RIALTO_NOT_FOUND)
            probe_start(&item[i].cell_probe, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, key_partition(item[i].sku),
                        key_pair(item[i].sku, a->level[level].key));
    }
}

/* Returns how many products are still without an answer. */
static size_t read_cells(const struct ask *a, uint32_t level, size_t n, struct item item[])
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        struct item *it = &item[i];
        if (it->status != RIALTO_NOT_FOUND)
            continue;
        it->status = probe_read(&it->cell_probe, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, it->cell.word);
        if (it->status == RIALTO_OK) {
            it->rule = reader_rule(a->r, it->cell.line.rule);
            if (it->rule == NULL) {
                it->status = RIALTO_NOT_FOUND; /* no row says what the amount means */
            } else if (!currency_fits(a, it->rule)) {
                it->status = RIALTO_NOT_FOUND;
                it->other_currency = true;
            }
            it->level = (uint8_t)level;
        }
        left += it->status == RIALTO_NOT_FOUND;
    }
    return left;
}

static bool wants_offers(const struct ask *a)
{
    return a->terms_good && (a->terms.line.kinds & RIALTO_TERMS_HAS_OFFERS) != 0;
}

static void start_offers(const struct ask *a, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status == RIALTO_NOT_FOUND)
            probe_start(&item[i].offer_probe, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, key_partition(a->customer),
                        key_pair(a->customer, item[i].sku));
    }
}

static void read_offers(const struct ask *a, size_t n, struct item item[])
{
    for (size_t i = 0; i < n; i++) {
        if (item[i].status != RIALTO_OK)
            continue;
        enum rialto_status status =
            probe_read(&item[i].offer_probe, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, item[i].offer.word);
        if (status == RIALTO_OK)
            item[i].has_offer = true;
        else if (status == RIALTO_BUSY) /* a price without a promised lock would be a wrong one */
            item[i].status = RIALTO_BUSY;
    }
}

static void find_lines(const struct ask *a, size_t n, struct item item[])
{
    bool offers = wants_offers(a);
    if (offers)
        start_offers(a, n, item);
    for (uint32_t level = 0; level < a->level_count; level++) {
        start_cells(a, level, n, item);
        if (read_cells(a, level, n, item) == 0)
            break;
    }
    if (offers)
        read_offers(a, n, item);
}

static enum rialto_status compose(const struct ask *a, const struct item *it, struct rialto_quote *ret)
{
    if (it->status != RIALTO_OK) {
        memset(ret, 0, sizeof *ret);
        if (it->status == RIALTO_NOT_FOUND)
            return it->other_currency ? RIALTO_OTHER_CURRENCY : RIALTO_UNKNOWN_PRODUCT;
        return it->status;
    }
    struct quote_inputs in = a->inputs;
    in.cell = &it->cell.line;
    in.rule = it->rule;
    in.offer = it->has_offer ? &it->offer.line : NULL;
    in.age_ms = heartbeat_age_ms(a->r, key_partition(it->sku), a->mono_ms);
    quote_compose(&in, ret);
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
        hash_skus(r, count, &sku[from], item);
        if (from == 0)
            ask_finish(&a);
        find_lines(&a, count, item);
        for (size_t i = 0; i < count; i++)
            ret_status[from + i] = compose(&a, &item[i], &ret[from + i]);
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
