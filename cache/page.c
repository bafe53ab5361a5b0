/* page.c - quotes: who asks, where, and what the lines say.
 *
 *   request --ask_by_ids()--> hash of the customer, their line on its way        (ask_by_handles(): hashed before)
 *           --prepare_items()--> hashes of a chunk of products (work while the customer's line comes)
 *           --ask_finish()-> terms, zone and the zones around it
 *   chunk   --start_items()-> tags of all begin to come
 *           --seek_cells()--> lines begin to come where the tags say that they are, widen_cells(): tags of the zone around
 *                             where they say that they are not
 *           --compose()-----> quotes of lines that were asked for before
 *
 * So there is something to compute while memory is waited for, and a quote is made while its line is in the nearest
 * cache. Bounded: a chunk is CHUNK products; everything lies on the stack, about 24 KiB, half of which is hardly ever touched. Nothing is
 * stored anywhere else. A product is looked for in RIALTO_ZONE_LEVELS zones at most, in each of them in RIALTO_EXTENTS_MAX extents, and a
 * probe of one looks at RIALTO_PROBE_MAX tags; a line that is being written is waited for as long as line.h says, then the answer is
 * BUSY. */
#include "cache/reader.h"
#include "cache/segment.h"
#include "cache/zone_path.h"
#include "pricing/quote_steps.h"

#include <string.h>

#define CHUNK         64u
#define OTHER_BOOT_MS 1000 /* a heartbeat that far ahead is of another boot; less is the clock's coarseness */
#define CELL_WORDS    (sizeof(struct rialto_cell_line) / 8)
#define TERMS_WORDS   (sizeof(struct rialto_terms_line) / 8)
#define OFFER_WORDS   (sizeof(struct rialto_offer_line) / 8)
#define ZONE_WORDS    (sizeof(struct rialto_zone_line) / 8)
#define ANCESTORS_MAX 2u
#define NO_RULE       UINT32_MAX
#define ALIKE_FROM    offsetof(struct rialto_quote, multiplier_e4)

struct level { /* one zone that may answer */
    struct rialto_key key;
    struct rialto_key mixed;
    bool named;    /* else the name has to be looked up by key */
    uint32_t rule; /* number of the rule whose quotes are like `alike`; NO_RULE = none yet */
    uint32_t flags;
    char name[RIALTO_ID_MAX];
    struct rialto_quote alike; /* what its quotes have alike, from ALIKE_FROM on */
};

struct ask { /* one request, resolved */
    const struct rialto *r;
    const struct rialto_zone_handle *zone; /* NULL = none was named */
    enum rialto_zone_basis basis;
    const char *currency; /* NULL = any */
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
    enum rialto_status terms_sought; /* what probe_seek() said */
    union terms_image terms;
    struct quote_inputs inputs; /* what all quotes of the request share; the other members are of the product at hand */
    union cell_image cell;      /* its lines */
    uint32_t rule;              /* number of inputs.rule; NO_RULE = none yet */
    bool rule_fits;             /* its currency may answer */
    struct quote_shared shared; /* of inputs and that rule */
    union offer_image offer;
    bool offers; /* the customer has some */
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

/* Keys of the zone and those around it that its name tells. False when it is no zone name. */
static bool zone_handle_of(const struct rialto *r, const char *name, struct rialto_zone_handle *ret)
{
    const struct rialto_control *c = r->folder.control;
    struct zone_levels levels;
    struct zone_chain chain;
    for (size_t i = 0; i < sizeof levels.geohash_lengths; i++)
        ret->geohash_lengths[i] = levels.geohash_lengths[i] = __atomic_load_n(&c->geohash_lengths[i], __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof levels.path_depths; i++)
        ret->path_depths[i] = levels.path_depths[i] = __atomic_load_n(&c->path_depths[i], __ATOMIC_RELAXED);
    size_t bytes = strnlen(name, RIALTO_ID_MAX);
    if (bytes == RIALTO_ID_MAX || !zone_chain_of(&levels, name, bytes, &chain))
        return false;
    memcpy(ret->name, name, bytes + 1);
    ret->secret_mark = r->secret_mark;
    ret->count = (uint8_t)chain.count;
    for (uint32_t i = 0; i < chain.count; i++) {
        ret->bytes[i] = (uint8_t)strlen(chain.name[i]);
        ret->key[i] = key_of_id(r->secret, chain.name[i], ret->bytes[i]);
    }
    return true;
}

/* Are the levels that the handle was cut to still those in use? */
static bool zone_handle_fresh(const struct rialto *r, const struct rialto_zone_handle *zone)
{
    const struct rialto_control *c = r->folder.control;
    bool fresh = true;
    for (size_t i = 0; i < sizeof zone->geohash_lengths; i++)
        fresh = fresh && zone->geohash_lengths[i] == __atomic_load_n(&c->geohash_lengths[i], __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof zone->path_depths; i++)
        fresh = fresh && zone->path_depths[i] == __atomic_load_n(&c->path_depths[i], __ATOMIC_RELAXED);
    return fresh;
}

static uint32_t heartbeat_age_ms(const struct rialto *r, uint32_t partition, int64_t mono_ms)
{
    int64_t beat = atomic_load_explicit(&r->folder.control->heartbeat[partition].beat_mono_ms, memory_order_relaxed);
    int64_t age = reader_ms_from(mono_ms, beat);
    if (__builtin_expect((uint64_t)age <= UINT32_MAX && beat != 0, 1))
        return (uint32_t)age;
    return beat != 0 && age < 0 && age >= -OTHER_BOOT_MS ? 0 : UINT32_MAX;
}

static const struct folder_table *table_of(const struct ask *a, enum rialto_table table)
{
    return &a->r->folder.table[table];
}

static void ask_begin(struct ask *a, const struct rialto *r)
{
    struct rialto_control *c = r->folder.control;
    a->r = r;
    a->zone = NULL;
    a->mono_ms = reader_mono_ms();
    a->now_ms = reader_ms_plus(a->mono_ms, atomic_load_explicit(&c->clock_offset_ms, memory_order_relaxed));
    a->flags = __atomic_load_n(&c->demo, __ATOMIC_RELAXED) != 0 ? RIALTO_FLAG_DEMO : 0;
    if (reader_retired_word(r) == RIALTO_RETIRED_SUPERSEDED)
        a->flags |= RIALTO_FLAG_SUPERSEDED;
    a->level_count = 0;
    a->zone_currency = 0;
    a->has_customer = a->has_terms = a->terms_good = false;
    a->terms_age_ms = 0;
    a->offers = false;
    a->rule = NO_RULE;
    a->inputs = (struct quote_inputs){
        .cell = &a->cell.line,
        .now_ms = a->now_ms,
        .stale_after_ms = __atomic_load_n(&c->stale_after_ms, __ATOMIC_RELAXED),
        .personal_stale_ms = __atomic_load_n(&c->personal_stale_ms, __ATOMIC_RELAXED),
        .group_map = __atomic_load_n(&c->group_map, __ATOMIC_RELAXED),
        .mode = (enum rialto_mode)atomic_load_explicit(&c->mode, memory_order_relaxed),
    };
}

static void ask_customer(struct ask *a, struct rialto_key customer)
{
    a->has_customer = true;
    a->customer = customer;
    probe_start(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS, key_partition(customer), customer, true);
}

/* What both forms of a request have. */
static enum rialto_status ask_common(struct ask *a, enum rialto_zone_basis basis, const char *currency)
{
    a->basis = basis;
    a->currency = absent(currency) ? NULL : currency;
    if (!short_enough(currency, 4) || (uint32_t)basis > RIALTO_BASIS_IP)
        return RIALTO_BAD_INPUT;
    return reader_retired(a->r) ? RIALTO_RETIRED : RIALTO_OK;
}

/* The request by ids; the line of the customer begins to come. `zone` is room for what its name says. */
static enum rialto_status ask_by_ids(struct ask *a, const struct rialto *r, const struct rialto_request *q,
                                     struct rialto_zone_handle *zone)
{
    if (q == NULL)
        return RIALTO_BAD_INPUT;
    ask_begin(a, r);
    if (!absent(q->customer)) {
        size_t bytes = strnlen(q->customer, RIALTO_ID_MAX);
        if (bytes == RIALTO_ID_MAX)
            return RIALTO_BAD_INPUT;
        ask_customer(a, key_of_id(r->secret, q->customer, bytes));
    }
    if (!absent(q->zone)) {
        if (!zone_handle_of(r, q->zone, zone))
            return RIALTO_BAD_INPUT;
        a->zone = zone;
    }
    return ask_common(a, q->basis, q->currency);
}

/* OK when a handle of that mark was made with this reader's secret; OTHER_SECRET, or BAD_INPUT when it was never filled. */
static enum rialto_status handle_status(const struct rialto *r, uint64_t secret_mark)
{
    if (secret_mark == r->secret_mark)
        return RIALTO_OK;
    return secret_mark == 0 ? RIALTO_BAD_INPUT : RIALTO_OTHER_SECRET;
}

/* The same by handles. */
static enum rialto_status ask_by_handles(struct ask *a, const struct rialto *r, const struct rialto_handle_request *q,
                                         struct rialto_zone_handle *zone)
{
    if (q == NULL)
        return RIALTO_BAD_INPUT;
    ask_begin(a, r);
    enum rialto_status status = q->customer == NULL ? RIALTO_OK : handle_status(r, q->customer->secret_mark);
    if (status == RIALTO_OK && q->zone != NULL)
        status = handle_status(r, q->zone->secret_mark);
    if (status != RIALTO_OK)
        return status;
    if (q->customer != NULL)
        ask_customer(a, q->customer->key);
    a->zone = q->zone;
    if (q->zone != NULL && !zone_handle_fresh(r, q->zone)) {
        if (!zone_handle_of(r, q->zone->name, zone))
            return RIALTO_BAD_INPUT;
        a->zone = zone;
    }
    return ask_common(a, q->basis, q->currency);
}

/* Where the customer's line is; it begins to come. */
static void seek_terms(struct ask *a)
{
    if (a->has_customer)
        a->terms_sought = probe_seek(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS, true);
}

/* The customer's line. When it cannot be read in bounded time the answer is the baseline: privacy fails closed, and a
 * price comes. */
static void read_terms(struct ask *a)
{
    if (!a->has_customer)
        return;
    a->terms_age_ms = heartbeat_age_ms(a->r, key_partition(a->customer), a->mono_ms);
    enum rialto_status status = probe_find_sought(&a->terms_probe, table_of(a, RIALTO_TABLE_TERMS), TERMS_WORDS,
                                                  a->terms_sought, a->terms.word);
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
    level->rule = NO_RULE;
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
    level->rule = NO_RULE;
    level->named = true;
    memset(level->name, 0, sizeof level->name);
}

bool reader_zone(const struct rialto *r, struct rialto_key key, union zone_image *ret)
{
    struct probe p;
    const struct folder_table *zones = &r->folder.table[RIALTO_TABLE_ZONES];
    probe_start(&p, zones, ZONE_WORDS, key_partition(key), key, true);
    return probe_find(&p, zones, ZONE_WORDS, ret->word) == RIALTO_OK;
}

/* A zone by name: outward by prefixes up to the first zone that was declared, whose line knows the rest. */
static void resolve_named(struct ask *a)
{
    const struct rialto_zone_handle *zone = a->zone;
    for (uint32_t i = 0; i < zone->count && i < RIALTO_ZONE_LEVELS - 1; i++) {
        union zone_image declared;
        if (reader_zone(a->r, zone->key[i], &declared)) {
            add_declared(a, &declared.line);
            return;
        }
        add_level(a, zone->key[i], zone->name, zone->bytes[i]);
    }
}

/* The zone that the customer's terms hold: a slot in zones.v3 of the customer's own partition. */
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
    bool named = a->zone != NULL;
    bool located = a->basis == RIALTO_BASIS_DEVICE || a->basis == RIALTO_BASIS_IP;
    bool permitted = a->terms_good && (a->terms.line.consent & RIALTO_KIND_LOCATION) != 0;
    if (named && located && !permitted) {
        a->flags |= RIALTO_FLAG_IGNORED_ZONE;
        named = false;
    }
    if (named)
        resolve_named(a);
    else if (a->terms_good)
        resolve_own(a);
    bool own_data = named ? located : a->level_count > 0;
    a->inputs.zone_kinds = own_data ? RIALTO_KIND_LOCATION : 0;
    add_world(a);
}

static void ask_finish(struct ask *a)
{
    read_terms(a);
    /* Terms that are out of date too: a lock holds all the same. */
    a->offers = a->has_terms && (a->terms.line.kinds & RIALTO_TERMS_HAS_OFFERS) != 0;
    resolve_zone(a);
}

/* What quotes under the rule at hand have alike in that zone, its name and level among it. */
static __attribute__((noinline)) void take_level(struct ask *a, uint32_t number)
{
    struct level *level = &a->level[number];
    struct rialto_quote *q = &level->alike;
    memset(q, 0, sizeof *q);
    quote_alike(&a->inputs, &a->shared, q);
    q->zone_level = (uint8_t)(a->level_count - 1 - number);
    memcpy(q->zone, level->name, sizeof q->zone);
    union zone_image zone;
    if (!level->named && reader_zone(a->r, level->key, &zone)) /* a parent that is no prefix has a line of its own */
        memcpy(q->zone, zone.line.name, sizeof q->zone - 1);
    level->flags = number > 0 ? RIALTO_FLAG_WIDER_ZONE : 0;
    level->rule = a->rule;
}

/* ---- the products ------------------------------------------------------------------------------------ */

struct item {              /* one product of a chunk on its way to a quote */
    struct rialto_key key; /* of the cell that is looked for */
    const uint8_t *tags;   /* from its home on; nowhere() where the first look is over or would reach past the extent */
    struct rialto_quote *quote;   /* to come */
    const _Atomic uint64_t *line; /* its home's; then one that may be the cell's */
    uint32_t only;                /* all bits: there is one extent, and what it does not have is absent; else 0 */
    uint8_t number;               /* in the chunk */
    uint8_t level;
    uint8_t partition;
    bool missed;         /* `line` was not it */
    bool walking;        /* the first look was not enough: `walk` of the chunk is on its way */
    bool other_currency; /* a cell was there, in a currency that may not answer */
};

/* Tags that are neither empty nor any key's. */
static const uint8_t *nowhere(void)
{
    static const uint64_t deleted[TAGS_SEEN / TAGS_PER_WORD] = { TAGS_ONE_EACH * RIALTO_TAG_DELETED,
                                                                 TAGS_ONE_EACH * RIALTO_TAG_DELETED };
    return (const uint8_t *)deleted;
}

struct worklist { /* products of a chunk */
    size_t count;
    struct item *item[CHUNK];
};

struct chunk { /* of a page */
    size_t count;
    const struct rialto_product_handle *product; /* NULL: by ids */
    struct rialto_quote *quote;
    enum rialto_status *status;
    struct worklist look;    /* whose tags have been asked for */
    struct worklist line[2]; /* whose lines have been, in this round and the one before */
    struct rialto_key sku[CHUNK];
    struct item item[CHUNK];
    struct probe walk[CHUNK];  /* hardly ever touched */
    struct probe offer[CHUNK]; /* only where the customer has some */
};

static void take_handles(const struct ask *a, size_t n, const struct rialto_product_handle product[],
                         struct rialto_key ret[])
{
    for (size_t i = 0; i < n; i++)
        ret[i] = product[i].secret_mark == a->r->secret_mark ? product[i].key : (struct rialto_key){ 0, 0 };
}

/* Many searches end in the world. A single product has nothing else to wait for while the customer's line comes. */
static void fetch_world(const struct ask *a, struct rialto_key sku)
{
    struct probe world;
    if (!key_is_none(sku))
        probe_start(&world, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, key_partition(sku),
                    key_pair_mixed(sku, a->r->world_mixed), true);
}

/* The first look is not for it. */
static __attribute__((noinline, cold)) void start_elsewhere(const struct ask *a, struct item *it, bool end)
{
    struct probe all;
    if (end)
        it->tags = nowhere();
    it->only = 0;
    probe_start(&all, table_of(a, RIALTO_TABLE_CELLS), CELL_WORDS, it->partition, it->key, false); /* all tags come */
}

/* Where the cell of the product in its level's zone begins to be looked for; its tags begin to come. `eager`: the home line, too. */
static inline __attribute__((always_inline)) void start_cell(const struct ask *a, struct item *it,
                                                             struct rialto_key sku, bool eager)
{
    uint32_t partition = key_partition(sku);
    const struct extent_view *in = &a->r->cells[partition];
    struct rialto_key key = key_pair_mixed(sku, a->level[it->level].mixed);
    uint64_t home = segment_home(key, in->capacity);
    const uint8_t *tags = (const uint8_t *)(uintptr_t)in->tags + home;
    const _Atomic uint64_t *line = &in->lines[home * CELL_WORDS];
    tags_fetch(tags);
    if (eager)
        __builtin_prefetch((const void *)line);
    it->key = key;
    it->tags = tags;
    it->line = line;
    it->only = UINT32_MAX;
    it->partition = (uint8_t)partition;
    it->missed = it->walking = false;
    /* Counted before tags are looked at: what is absent there was absent when this began. */
    bool more = folder_extent_count(&table_of(a, RIALTO_TABLE_CELLS)->extents[partition]) != 1;
    bool end = home + TAGS_SEEN > in->capacity;
    if (__builtin_expect(more | end, 0))
        start_elsewhere(a, it, end);
}

static __attribute__((noinline)) void start_offer(const struct ask *a, struct rialto_key sku, struct probe *ret)
{
    probe_start(ret, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, key_partition(a->customer),
                key_pair(a->customer, sku), false);
}

static bool currency_fits(const struct ask *a, const struct rialto_rule_row *rule)
{
    if (a->zone_currency != 0 && rule->currency_number != a->zone_currency)
        return false;
    return a->currency == NULL || strncmp(a->currency, rule->currency, sizeof rule->currency) == 0;
}

/* Most cells of a page have the rule of the one before. False: no row says (yet) what the amount means. */
static __attribute__((noinline)) bool take_rule(struct ask *a, uint16_t number)
{
    const struct rialto_rule_row *rule = reader_rule(a->r, number);
    a->rule = rule == NULL ? NO_RULE : number;
    if (rule == NULL)
        return false;
    a->rule_fits = currency_fits(a, rule);
    a->inputs.rule = rule;
    quote_share(&a->inputs, &a->shared);
    a->shared.flags |= a->flags;
    return true;
}

/* The line is being written, or was left open. */
static __attribute__((noinline, cold)) enum rialto_status read_open_cell(struct ask *a, const struct chunk *c,
                                                                         const struct item *it)
{
    const struct extent_view *in = it->walking ? c->walk[it->number].in : &a->r->cells[it->partition];
    uint64_t slot = in->first + (uint64_t)(it->line - in->lines) / CELL_WORDS;
    const struct folder_table *cells = table_of(a, RIALTO_TABLE_CELLS);
    if (!line_key_is(it->line, it->key))
        return RIALTO_NOT_FOUND;
    return line_read(&cells->segment[it->partition], it->line, slot, CELL_WORDS, a->cell.word) ? RIALTO_OK
                                                                                               : RIALTO_BUSY;
}

/* The cell in the line, into a->cell, and its rule. NOT_FOUND: another key's, or not one that may answer. */
static inline __attribute__((always_inline)) enum rialto_status read_cell(struct ask *a, const struct chunk *c,
                                                                          struct item *it)
{
    if (__builtin_expect(!line_read_once(it->line, CELL_WORDS, a->cell.word), 0)) {
        enum rialto_status status = read_open_cell(a, c, it);
        if (status != RIALTO_OK)
            return status;
    }
    if (__builtin_expect(!key_equal(a->cell.line.key, it->key), 0))
        return RIALTO_NOT_FOUND;
    uint16_t rule = a->cell.line.rule;
    if (__builtin_expect(rule != a->rule && !take_rule(a, rule), 0))
        return RIALTO_NOT_FOUND;
    if (__builtin_expect(!a->rule_fits, 0)) {
        it->other_currency = true;
        return RIALTO_NOT_FOUND;
    }
    return RIALTO_OK;
}

/* The offer for it, into a->offer. A price without a promised lock would be a wrong one: BUSY. */
static __attribute__((noinline)) enum rialto_status read_offer(struct ask *a, struct probe *offer)
{
    enum rialto_status status = probe_find(offer, table_of(a, RIALTO_TABLE_OFFERS), OFFER_WORDS, a->offer.word);
    a->inputs.offer = status == RIALTO_OK ? &a->offer.line : NULL;
    return status == RIALTO_BUSY ? RIALTO_BUSY : RIALTO_OK;
}

/* The quote of what read_cell() and read_offer() have read. */
static inline __attribute__((always_inline)) void compose(struct ask *a, const struct item *it,
                                                          struct rialto_quote *ret)
{
    const struct level *level = &a->level[it->level];
    a->inputs.age_ms = heartbeat_age_ms(a->r, it->partition, a->mono_ms);
    if (__builtin_expect(level->rule != a->rule, 0))
        take_level(a, it->level);
    memcpy((char *)ret + ALIKE_FROM, (const char *)&level->alike + ALIKE_FROM, sizeof *ret - ALIKE_FROM);
    if (__builtin_expect(quote_plain(&a->inputs, &a->shared), 1)) {
        struct draft draft = quote_draft(&a->inputs, &a->shared, true);
        hand_out(&a->inputs, &draft, ret);
        ret->flags = draft.flags | level->flags;
    } else {
        quote_compose_alike(&a->inputs, &a->shared, ret);
        ret->flags |= level->flags;
    }
}

static __attribute__((cold)) void no_quote(const struct chunk *c, const struct item *it, enum rialto_status status)
{
    memset(it->quote, 0, sizeof *it->quote);
    c->status[it->number] = status;
}

/* What the first look cannot decide. OK: at a line that may be the cell's; NOT_FOUND: it is in no extent; BUSY, and that is the
 * answer. */
static __attribute__((noinline, cold)) enum rialto_status seek_on(const struct ask *a, struct chunk *c, struct item *it)
{
    const struct folder_table *cells = table_of(a, RIALTO_TABLE_CELLS);
    struct probe *p = &c->walk[it->number];
    const _Atomic uint64_t *missed = it->missed && !it->walking ? it->line : NULL;
    if (!it->walking)
        probe_start(p, cells, CELL_WORDS, it->partition, it->key, false);
    enum rialto_status status = probe_seek(p, cells, CELL_WORDS, !it->walking && !it->missed);
    if (status == RIALTO_OK && &p->in->lines[p->slot * CELL_WORDS] == missed)
        status = probe_seek(p, cells, CELL_WORDS, false);
    it->walking = true;
    it->tags = nowhere();
    it->line = &p->in->lines[p->slot * CELL_WORDS];
    if (status == RIALTO_BUSY)
        no_quote(c, it, RIALTO_BUSY);
    return status;
}

/* Where the products of `look` are: those at a line that may be theirs go to `line` and it begins to come, those that this
 * zone does not have stay. Which of both is a coin's throw, so there is no branch between them. */
static void seek_cells(const struct ask *a, struct chunk *c, struct worklist *line)
{
    struct worklist *look = &c->look;
    size_t on = 0, lines = 0;
    for (size_t k = 0, n = look->count; k < n; k++) {
        struct item *it = look->item[k];
        struct tags_sixteen tags = look_sixteen(it->tags, segment_tag(it->key));
        bool found = tags.match != 0, absent = !found;
        if (__builtin_expect((tags.match | (tags.empty & it->only)) != 0, 1)) {
            it->line += look_place(tags.match) * CELL_WORDS;
        } else {
            enum rialto_status status = seek_on(a, c, it);
            found = status == RIALTO_OK;
            absent = status == RIALTO_NOT_FOUND;
        }
        uintptr_t here = (uintptr_t)it, there = (uintptr_t)it->line;
        __builtin_prefetch((const void *)(here ^ ((here ^ there) & (0 - (uintptr_t)found))));
        line->item[lines] = it;
        lines += found;
        look->item[on] = it;
        on += absent;
    }
    look->count = on;
    line->count = lines;
}

/* On to the zone around, where there is one. */
static void widen_cells(const struct ask *a, struct chunk *c, bool eager)
{
    struct worklist *look = &c->look;
    size_t on = 0;
    for (size_t k = 0; k < look->count; k++) {
        struct item *it = look->item[k];
        if (__builtin_expect(it->level + 1u == a->level_count, 0)) {
            no_quote(c, it, it->other_currency ? RIALTO_OTHER_CURRENCY : RIALTO_UNKNOWN_PRODUCT);
            continue;
        }
        it->level++;
        start_cell(a, it, c->sku[it->number], eager);
        look->item[on++] = it;
    }
    look->count = on;
}

/* Why there is no key of a product. */
static __attribute__((noinline, cold)) enum rialto_status refused(const struct ask *a, const struct chunk *c, size_t i)
{
    enum rialto_status status = c->product == NULL ? RIALTO_BAD_INPUT : handle_status(a->r, c->product[i].secret_mark);
    return status != RIALTO_OK ? status : RIALTO_BAD_INPUT; /* a handle that somebody else has written */
}

static void start_items(const struct ask *a, struct chunk *c, bool eager)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct item *it = &c->item[i];
        it->number = (uint8_t)i;
        it->quote = &c->quote[i];
        if (__builtin_expect(key_is_none(c->sku[i]), 0)) {
            no_quote(c, it, refused(a, c, i));
            continue;
        }
        it->level = 0;
        it->other_currency = false;
        start_cell(a, it, c->sku[i], eager);
        if (a->offers)
            start_offer(a, c->sku[i], &c->offer[i]);
        c->look.item[count++] = it;
    }
    c->look.count = count;
}

/* Quotes of some of those whose lines have come. */
static void finish_items(struct ask *a, struct chunk *c, const struct worklist *line, size_t from, size_t to)
{
    for (size_t k = from; k < to; k++) {
        struct item *it = line->item[k];
        enum rialto_status status = read_cell(a, c, it);
        if (__builtin_expect(status == RIALTO_NOT_FOUND, 0)) {
            it->missed = true;
            it->tags = nowhere();
            c->look.item[c->look.count++] = it;
            continue;
        }
        if (status == RIALTO_OK && a->offers)
            status = read_offer(a, &c->offer[it->number]);
        if (__builtin_expect(status != RIALTO_OK, 0)) {
            no_quote(c, it, status);
            continue;
        }
        compose(a, it, it->quote);
        c->status[it->number] = RIALTO_OK;
    }
}

/* Round after round: all products seek, and what they need next begins to come; quotes are made of the lines of the round
 * before, half of them first, while the tags of the zone around come. A round moves every search on, so there are few: one for
 * each zone outward, and one more where a tag was another key's. */
static void answer_chunk(struct ask *a, struct chunk *c)
{
    bool eager = c->count == 1; /* there is nothing else to wait for */
    start_items(a, c, eager);
    c->line[0].count = 0;
    for (struct worklist *come = &c->line[0], *next = &c->line[1]; c->look.count + come->count > 0;) {
        finish_items(a, c, come, 0, come->count / 2);
        seek_cells(a, c, next);
        widen_cells(a, c, eager);
        finish_items(a, c, come, come->count / 2, come->count);
        struct worklist *done = come;
        come = next;
        next = done;
    }
}

/* Keys of products by ids, or by handles where `sku` is NULL. */
static void prepare_items(const struct ask *a, size_t n, const char *const sku[],
                          const struct rialto_product_handle product[], struct rialto_key ret[])
{
    if (sku != NULL)
        key_of_ids(a->r->secret, n, sku, ret);
    else
        take_handles(a, n, product, ret);
}

/* The first products of a request: who asks becomes known meanwhile, for that takes two waits. */
static void prepare_first(struct ask *a, size_t n, const char *const sku[],
                          const struct rialto_product_handle product[], struct rialto_key ret[])
{
    size_t half = n / 2;
    prepare_items(a, half, sku, product, ret);
    if (n > 1)
        seek_terms(a);
    prepare_items(a, n - half, sku != NULL ? sku + half : NULL, sku != NULL ? NULL : product + half, ret + half);
    if (n == 1) {
        fetch_world(a, ret[0]);
        seek_terms(a);
    }
    ask_finish(a);
}

static void answer(struct ask *a, size_t n, const char *const sku[], const struct rialto_product_handle product[],
                   struct rialto_quote ret[], enum rialto_status ret_status[])
{
    struct chunk c;
    for (size_t from = 0; from < n; from += CHUNK) {
        const char *const *ids = sku != NULL ? sku + from : NULL;
        c.count = n - from < CHUNK ? n - from : CHUNK;
        c.product = sku != NULL ? NULL : product + from;
        c.quote = &ret[from];
        c.status = &ret_status[from];
        if (from == 0)
            prepare_first(a, c.count, ids, c.product, c.sku);
        else
            prepare_items(a, c.count, ids, c.product, c.sku);
        answer_chunk(a, &c);
    }
}

enum rialto_status rialto_quote_page(const struct rialto *r, const struct rialto_request *request, size_t n,
                                     const char *const sku[], struct rialto_quote ret[],
                                     enum rialto_status ret_status[])
{
    struct ask a;
    struct rialto_zone_handle zone;
    enum rialto_status status = n > RIALTO_PAGE_MAX ? RIALTO_BAD_INPUT : ask_by_ids(&a, r, request, &zone);
    if (status == RIALTO_OK)
        answer(&a, n, sku, NULL, ret, ret_status);
    return status;
}

enum rialto_status rialto_quote_page_handles(const struct rialto *r, const struct rialto_handle_request *request,
                                             size_t n, const struct rialto_product_handle product[],
                                             struct rialto_quote ret[], enum rialto_status ret_status[])
{
    struct ask a;
    struct rialto_zone_handle zone;
    enum rialto_status status = n > RIALTO_PAGE_MAX ? RIALTO_BAD_INPUT : ask_by_handles(&a, r, request, &zone);
    if (status == RIALTO_OK)
        answer(&a, n, NULL, product, ret, ret_status);
    return status;
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

enum rialto_status rialto_quote_handle(const struct rialto *r, const struct rialto_handle_request *request,
                                       const struct rialto_product_handle *product, struct rialto_quote *ret)
{
    enum rialto_status item = RIALTO_BAD_INPUT;
    enum rialto_status page =
        product == NULL ? RIALTO_BAD_INPUT : rialto_quote_page_handles(r, request, 1, product, ret, &item);
    if (page != RIALTO_OK)
        memset(ret, 0, sizeof *ret);
    return page != RIALTO_OK ? page : item;
}

/* ---- handles ------------------------------------------------------------------------------------------- */

static bool hash_kept(const struct rialto *r, const char *id, struct rialto_key *ret, uint64_t *ret_mark)
{
    size_t bytes = id == NULL ? RIALTO_ID_MAX : strnlen(id, RIALTO_ID_MAX);
    if (bytes == RIALTO_ID_MAX)
        return false;
    *ret = key_of_id(r->secret, id, bytes);
    *ret_mark = r->secret_mark;
    return true;
}

enum rialto_status rialto_customer_handle(const struct rialto *r, const char *customer,
                                          struct rialto_customer_handle *ret)
{
    memset(ret, 0, sizeof *ret);
    return !absent(customer) && hash_kept(r, customer, &ret->key, &ret->secret_mark) ? RIALTO_OK : RIALTO_BAD_INPUT;
}

enum rialto_status rialto_product_handle(const struct rialto *r, const char *sku, struct rialto_product_handle *ret)
{
    memset(ret, 0, sizeof *ret);
    return hash_kept(r, sku, &ret->key, &ret->secret_mark) ? RIALTO_OK : RIALTO_BAD_INPUT;
}

enum rialto_status rialto_zone_handle(const struct rialto *r, const char *zone, struct rialto_zone_handle *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!absent(zone) && zone_handle_of(r, zone, ret))
        return RIALTO_OK;
    memset(ret, 0, sizeof *ret);
    return RIALTO_BAD_INPUT;
}

/* ---- for explaining -------------------------------------------------------------------------------------- */

enum rialto_status reader_quote(const struct rialto *r, const struct rialto_request *request, const char *sku,
                                struct reader_lines *ret_lines, struct rialto_quote *ret)
{
    struct ask a;
    struct rialto_zone_handle zone;
    enum rialto_status status = ask_by_ids(&a, r, request, &zone);
    if (status != RIALTO_OK)
        return status;
    answer(&a, 1, &sku, NULL, ret, &status);
    *ret_lines = (struct reader_lines){ .cell = a.cell, .terms = a.terms, .offer = a.offer, .inputs = a.inputs };
    if (status != RIALTO_OK)
        return status;
    ret_lines->inputs.cell = &ret_lines->cell.line;
    ret_lines->inputs.terms = a.inputs.terms != NULL ? &ret_lines->terms.line : NULL;
    ret_lines->inputs.offer = a.inputs.offer != NULL ? &ret_lines->offer.line : NULL;
    return RIALTO_OK;
}
