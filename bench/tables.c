/* tables.c - fill a cache folder for a measurement, ask it, check its answers. */
#include "bench/tables.h"

#include "bench/bench.h"
#include "cache/folder.h"
#include "cache/keys.h"
#include "service/capacity.h"
#include "service/temporary.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct filling { /* while the tables are written */
    struct tables *t;
    struct cache *cache;
    struct cache_plan plan;
    struct rialto_key zone[SHOP_ZONES + 1];
    uint32_t zone_slot[RIALTO_PARTITIONS][SHOP_ZONES];
};

static bool put(struct filling *f, enum rialto_table table, uint32_t partition, struct rialto_key key, const void *line,
                uint64_t *ret_slot)
{
    if (table_claim(f->cache, table, partition, key, ret_slot) != RIALTO_OK) {
        fprintf(stderr, "rialto-bench: a table is full\n");
        return false;
    }
    (void)table_write(f->cache, table, partition, *ret_slot, line);
    return true;
}

static struct rialto_key key_of_text(const struct filling *f, const char *id)
{
    return key_of_id(f->plan.secret, id, strlen(id));
}

static bool put_zones(struct filling *f)
{
    for (uint32_t z = 0; z <= SHOP_ZONES; z++)
        f->zone[z] = key_of_text(f, shop_zone_name(z));
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++) {
        for (uint32_t z = 0; z < SHOP_ZONES; z++) {
            uint64_t slot = 0;
            const char *name = shop_zone_name(z);
            struct rialto_zone_line line = { .key = f->zone[z], .name_bytes = (uint8_t)strlen(name) };
            memcpy(line.name, name, strlen(name));
            if (!put(f, RIALTO_TABLE_ZONES, partition, line.key, &line, &slot))
                return false;
            f->zone_slot[partition][z] = (uint32_t)slot;
        }
    }
    return true;
}

static bool put_product(struct filling *f, uint64_t product)
{
    char sku[SHOP_ID_BYTES];
    shop_sku(product, sku);
    struct rialto_key key = key_of_text(f, sku);
    for (uint64_t number = product * 2; number < product * 2 + 2; number++) {
        uint32_t zone = number % 2 == 0 ? SHOP_WORLD : shop_product_zone(product);
        struct cell_place *place = &f->t->place[number];
        struct rialto_cell_line line;
        uint64_t slot = 0;
        place->key = key_pair(key, f->zone[zone]);
        place->partition = key_partition(key);
        tables_cell(f->t, number, 0, &line);
        if (!put(f, RIALTO_TABLE_CELLS, place->partition, line.key, &line, &slot))
            return false;
        place->slot = (uint32_t)slot;
    }
    return true;
}

static bool put_customer(struct filling *f, uint64_t customer)
{
    char id[SHOP_ID_BYTES], sku[SHOP_ID_BYTES];
    shop_customer_id(customer, id);
    struct rialto_key key = key_of_text(f, id);
    uint32_t partition = key_partition(key);
    uint64_t slot = 0, first = 0, offers = shop_offers_of(&f->t->size, customer, &first);
    struct rialto_terms_line line;
    shop_terms_fill(&f->t->size, customer, &line);
    line.key = key;
    line.zone = 1 + f->zone_slot[partition][shop_customer_zone(customer)];
    for (uint64_t k = 0; k < offers; k++) {
        struct rialto_offer_line offer;
        shop_offer_fill(&offer);
        shop_sku(shop_offer_product(&f->t->size, customer, k), sku);
        offer.key = key_pair(key, key_of_text(f, sku));
        if (!put(f, RIALTO_TABLE_OFFERS, partition, offer.key, &offer, &slot))
            return false;
    }
    return put(f, RIALTO_TABLE_TERMS, partition, key, &line, &slot);
}

void tables_beat(struct cache *cache)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++)
        atomic_store(&cache_control(cache)->heartbeat[p].beat_mono_ms,
                     (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static bool fill(struct filling *f)
{
    const struct rialto_rule_row row = { .currency = "GBP",
                                         .currency_number = 826,
                                         .decimals = 2,
                                         .arithmetic = 1,
                                         .ending_step = SHOP_ENDING_STEP,
                                         .ending_less = SHOP_ENDING_LESS };
    uint16_t rule = 0;
    bool ok = rule_append(f->cache, &row, &rule) == RIALTO_OK && put_zones(f);
    for (uint64_t i = 0; ok && i < f->t->size.products; i++)
        ok = put_product(f, i);
    for (uint64_t i = 0; ok && i < f->t->size.customers; i++)
        ok = put_customer(f, i);
    tables_beat(f->cache);
    return ok;
}

/* As a service that is configured for the shop sizes its tables. */
static bool service_plan(const struct shop_size *size, struct cache_plan *ret)
{
    static struct config config;
    struct fault fault = { 0 };
    if (config_load(NULL, &config, &fault) != RIALTO_OK)
        return false;
    config.customers_max = (uint32_t)size->customers;
    config.cells_max = (uint32_t)(size->products * 2);
    config.products_max = (uint32_t)size->products;
    config.offers_max = (uint32_t)size->offers + 1;
    config.workers = 1;
    capacity_plan(&config, ret);
    return true;
}

/* Titles of products and names of zones are not read for a quote, and not filled here; a service has them too. */
static enum rialto_status create(struct filling *f)
{
    bool kept = false;
    uint64_t missing = 0, random = 1;
    if (!service_plan(&f->t->size, &f->plan))
        return RIALTO_SYSTEM;
    f->t->service_bytes = cache_bytes_max(&f->plan);
    f->t->service_products_bytes = cache_table_bytes(&f->plan, RIALTO_TABLE_PRODUCTS, true);
    f->plan.folder = f->t->folder;
    f->plan.instance = "bench";
    f->plan.start_percent = 100;
    f->plan.lines[RIALTO_TABLE_ZONES] = (uint64_t)SHOP_ZONES * RIALTO_PARTITIONS;
    f->plan.lines[RIALTO_TABLE_PRODUCTS] = 1;
    memset(f->plan.geohash_lengths, 0, sizeof f->plan.geohash_lengths);
    memset(f->plan.path_depths, 0, sizeof f->plan.path_depths);
    f->plan.path_depths[0] = 1;
    f->plan.stale_after_ms = UINT32_MAX;
    f->plan.personal_stale_ms = UINT32_MAX;
    f->plan.demo = false;
    for (size_t i = 0; i < sizeof f->plan.secret; i++)
        f->plan.secret[i] = (uint8_t)bench_random(&random);
    enum rialto_status status = cache_create(&f->plan, &kept, &missing);
    if (status == RIALTO_NO_SPACE)
        fprintf(stderr, "rialto-bench: %s needs %" PRIu64 " MiB more\n", f->t->folder, (missing >> 20) + 1);
    return status == RIALTO_OK ? cache_open(f->t->folder, &f->cache) : status;
}

static uint64_t folder_bytes(const char *folder)
{
    char path[FOLDER_PATH_MAX];
    uint64_t bytes = 0;
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        struct stat st;
        if (folder_file_path(folder, file, "", path) && stat(path, &st) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
    }
    return bytes;
}

static void count_lines(struct filling *f)
{
    static const enum rialto_table counted[] = { RIALTO_TABLE_CELLS, RIALTO_TABLE_TERMS, RIALTO_TABLE_OFFERS };
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
        for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
            f->t->lines += table_used(f->cache, counted[i], p);
            f->t->capacity += table_capacity(f->cache, counted[i], p);
        }
    }
    f->t->bytes = folder_bytes(f->t->folder);
}

struct tables *tables_create(const struct shop_size *size)
{
    struct tables *t = calloc(1, sizeof *t);
    struct filling *f = calloc(1, sizeof *f);
    enum rialto_status status = RIALTO_NO_MEMORY;
    bool ok = t != NULL && f != NULL;
    if (ok) {
        f->t = t;
        t->size = *size;
        t->place = calloc(size->products * 2, sizeof t->place[0]);
        ok = t->place != NULL && temporary_folder("/dev/shm", "rialto-bench", t->folder);
    }
    if (ok) {
        status = create(f);
        ok = status == RIALTO_OK && fill(f);
    }
    if (ok) {
        count_lines(f);
        status = rialto_open(t->folder, &t->prices);
        ok = status == RIALTO_OK;
    }
    if (status != RIALTO_OK)
        fprintf(stderr, "rialto-bench: tables: %s\n", rialto_status_text(status));
    if (f != NULL)
        cache_close(f->cache);
    free(f);
    if (ok)
        return t;
    tables_destroy(t);
    return NULL;
}

void tables_destroy(struct tables *t)
{
    if (t == NULL)
        return;
    rialto_close(t->prices);
    free(t->place);
    temporary_remove(t->folder);
    free(t);
}

bool tables_reopen(struct tables *t)
{
    rialto_close(t->prices);
    t->prices = NULL;
    return rialto_open(t->folder, &t->prices) == RIALTO_OK;
}

/* ---- the same in small pages --------------------------------------------------------------------------- */

static bool copy_range(int from, int to, off_t at, off_t end)
{
    static uint8_t buffer[1u << 20];
    while (at < end) {
        size_t wanted = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
        ssize_t n = pread(from, buffer, wanted, at);
        if (n <= 0 || pwrite(to, buffer, (size_t)n, at) != n)
            return false;
        at += n;
    }
    return true;
}

/* What is reserved, and no holes. */
static bool copy_data(int from, int to)
{
    struct stat st;
    if (fstat(from, &st) == -1 || ftruncate(to, st.st_size) == -1)
        return false;
    for (off_t at = lseek(from, 0, SEEK_DATA); at != -1 && at < st.st_size;) {
        off_t end = lseek(from, at, SEEK_HOLE);
        if (end == -1 || !copy_range(from, to, at, end))
            return false;
        at = lseek(from, end, SEEK_DATA);
    }
    return true;
}

/* Writing fills a file of tmpfs with small pages, unless the system makes all of them large. */
static bool copy_file(const char *from_path, const char *to_path)
{
    int from = open(from_path, O_RDONLY | O_CLOEXEC), to = open(to_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = from >= 0 && to >= 0 && copy_data(from, to);
    if (from >= 0)
        (void)close(from);
    if (to >= 0)
        (void)close(to);
    return ok;
}

struct tables *tables_copy(const struct tables *t)
{
    char from[FOLDER_PATH_MAX], to[FOLDER_PATH_MAX];
    struct tables *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->size = t->size;
    bool ok = temporary_folder("/dev/shm", "rialto-bench-copy", c->folder);
    for (uint32_t file = 0; ok && file < FOLDER_FILE_COUNT; file++)
        ok = folder_file_path(t->folder, file, "", from) && folder_file_path(c->folder, file, "", to) &&
             copy_file(from, to);
    if (ok && rialto_open(c->folder, &c->prices) == RIALTO_OK)
        return c;
    fprintf(stderr, "rialto-bench: the tables could not be copied\n");
    tables_destroy(c);
    return NULL;
}

uint64_t tables_large_bytes(const struct tables *t)
{
    char *line = NULL;
    size_t size = 0;
    uint64_t bytes = 0, kib = 0;
    bool ours = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && getline(&line, &size, file) > 0) {
        if (strstr(line, " r--s ") != NULL || strstr(line, " rw-s ") != NULL)
            ours = strstr(line, t->folder) != NULL;
        else if (ours && sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1)
            bytes += kib << 10;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
    return bytes;
}

/* ---- asking and checking ------------------------------------------------------------------------------- */

bool tables_ask(const struct tables *t, const struct draw *d, size_t n, struct ours *ret)
{
    const struct rialto_request request = { .customer = d->customer,
                                            .zone = d->nobody ? shop_zone_name(d->zone) : NULL };
    if (n == 1) {
        ret->status[0] = rialto_quote(t->prices, &request, d->sku[0], &ret->quote[0]);
        return ret->status[0] == RIALTO_OK;
    }
    return rialto_quote_page(t->prices, &request, n, d->sku_list, ret->quote, ret->status) == RIALTO_OK;
}

static bool right(const struct tables *t, const struct draw *d, size_t i, const struct ours *o)
{
    const struct rialto_quote *q = &o->quote[i];
    bool in_zone = shop_product_zone(d->product_number[i]) == d->zone;
    uint32_t zone = in_zone ? d->zone : SHOP_WORLD;
    uint32_t version = shop_version(d->product_number[i], zone, q->baseline);
    struct rialto_cell_line cell;
    if (o->status[i] != RIALTO_OK || version == SHOP_VERSIONS)
        return false;
    /* Whatever version it is, all of it must be of that one. */
    shop_cell_fill(d->product_number[i], zone, version, &cell);
    return q->list == cell.list && q->floor == (int64_t)cell.lo_product && q->ceiling == (int64_t)cell.hi_place &&
           q->as_of_ms == (int64_t)cell.as_of_s * 1000 && q->group == cell.group &&
           strcmp(q->zone, shop_zone_name(zone)) == 0 && strcmp(q->currency, "GBP") == 0 && q->decimals == 2 &&
           q->amount == (d->nobody ? q->baseline
                                   : shop_expected(&t->size, d->customer_number, d->product_number[i], version, true));
}

uint64_t tables_wrong(const struct tables *t, const struct draw *d, size_t n, const struct ours *o)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong += !right(t, d, i, o);
    return wrong;
}
