/* pricelist.c - see pricelist.h.
 *
 * Writing    one partition at a time, STEP_LINES of its lines in a round; then the file at once, which takes the place of the old one whole. It
 *            is not forced to the disk: what a power cut spoils is not believed afterwards (its checksum), and nobody waits for a disk.
 * Crash      a file that was being written is written anew by the next process, when its lines change or were all published anew. */
#include "service/pricelist.h"

#include "cache/keys.h"
#include "service/clock.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/pricelist_file.h"
#include "service/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACE_MS    10000
#define STOP_MS    2000
#define STEP_LINES 1024u
#define FIRST_ROOM 1024u

struct rows { /* of one kind, in the order of the file */
    void *row;
    uint32_t count, room;
};

struct listing {
    uint32_t number; /* of the partition */
    uint64_t slot;   /* next to be looked at */
    struct rows zones, products, cells;
    uint32_t zone_place[RIALTO_ZONE_SLOTS_MAX],
        product_place[RIALTO_PRODUCT_SLOTS_MAX]; /* by slot: place in the file + 1 */
};

static void path_of(const struct config *config, uint32_t partition, const char *suffix, char ret[DATA_PATH_MAX])
{
    char name[48];
    (void)snprintf(name, sizeof name, "list/p%02u.v%u%s", partition, PRICELIST_LAYOUT, suffix);
    data_path(config, name, ret);
}

static uint64_t secret_mark(const struct worker *worker)
{
    const uint8_t *secret = worker->control->secret;
    return key_of_id(secret, (const char *)secret, RIALTO_SECRET_BYTES).hi | 1u;
}

static int64_t pricelist_amount(const struct cell_record *record)
{
    return record->published_list < record->ceiling ? record->published_list : record->ceiling;
}

bool pricelist_changed(const struct cell_record *old, const struct cell_record *now)
{
    return old->published == 0 || old->published_list != now->published_list ||
           pricelist_amount(old) != pricelist_amount(now) || old->published_currency != now->published_currency ||
           old->model_hash != now->model_hash;
}

/* ---- gathering --------------------------------------------------------------------------------------------------------- */

static void *row_add(struct rows *rows, size_t bytes)
{
    if (rows->count == rows->room) {
        uint32_t room = rows->room == 0 ? FIRST_ROOM : 2 * rows->room;
        void *larger = realloc(rows->row, room * bytes);
        if (larger == NULL)
            return NULL;
        rows->row = larger;
        rows->room = room;
    }
    return memset((char *)rows->row + rows->count++ * bytes, 0, bytes);
}

/* The line of a slot becomes a row, once. False: it cannot be read, or there is no memory. */
static bool line_add(const struct worker *worker, const struct listing *listing, enum rialto_table table, uint64_t slot,
                     struct rows *rows, size_t bytes, uint32_t *place)
{
    if (*place != 0)
        return true;
    void *row = row_add(rows, bytes);
    if (row == NULL)
        return false;
    if (!table_read(worker->cache, table, listing->number, slot, row)) {
        rows->count--;
        return false;
    }
    memset(row, 0, sizeof(uint32_t)); /* seq */
    *place = rows->count;
    return true;
}

static bool zone_add(const struct worker *worker, struct listing *listing, uint64_t slot)
{
    return line_add(worker, listing, RIALTO_TABLE_ZONES, slot, &listing->zones, sizeof(struct rialto_zone_line),
                    &listing->zone_place[slot]);
}

/* Zones that were declared have a line in the partition of their own key, where readers look for them. */
static void declared_add(struct worker *worker, struct listing *listing)
{
    for (uint32_t i = 0; i < state_end(worker->common, POOL_ZONES); i++) {
        const struct zone_record *record = state_at(worker->common, POOL_ZONES, i);
        if (key_is_none(record->head.key) || key_partition(record->head.key) != listing->number)
            continue;
        uint64_t slot = table_find(worker->cache, RIALTO_TABLE_ZONES, listing->number, record->head.key);
        if (slot < RIALTO_ZONE_SLOTS_MAX)
            (void)zone_add(worker, listing, slot);
    }
}

static void cell_add(const struct worker *worker, struct listing *listing, const struct rialto_cell_line *line)
{
    uint64_t product = line->lo_product >> 48 | (line->hi_place >> 48 & 3) << 16, zone = line->hi_place >> 50;
    int64_t ceiling = (int64_t)(line->hi_place & (uint64_t)RIALTO_BOUND_MAX);
    const struct rialto_rule_row *rule = rule_at(worker->cache, line->rule);
    int64_t amount = line->list < ceiling ? line->list : ceiling;
    if (rule == NULL || amount <= 0 || product >= RIALTO_PRODUCT_SLOTS_MAX || !zone_add(worker, listing, zone) ||
        !line_add(worker, listing, RIALTO_TABLE_PRODUCTS, product, &listing->products,
                  sizeof(struct rialto_product_line), &listing->product_place[product]))
        return;
    struct pricelist_cell *cell = row_add(&listing->cells, sizeof *cell);
    if (cell == NULL)
        return;
    *cell = (struct pricelist_cell){
        .key = line->key,
        .model_hash = rule->model_hash,
        .amount = amount,
        .list = line->list,
        .as_of_s = line->as_of_s,
        .product = listing->product_place[product] - 1,
        .zone = listing->zone_place[zone] - 1,
        .group = line->group,
    };
    memcpy(cell->currency, rule->currency, sizeof cell->currency);
}

/* False: all are gathered. */
static bool gather_lines(const struct worker *worker, struct listing *listing)
{
    struct rialto_cell_line line;
    for (uint32_t i = 0; i < STEP_LINES; i++) {
        listing->slot = table_next(worker->cache, RIALTO_TABLE_CELLS, listing->number, listing->slot);
        if (listing->slot == SLOT_NONE)
            return false;
        if (table_read(worker->cache, RIALTO_TABLE_CELLS, listing->number, listing->slot, &line))
            cell_add(worker, listing, &line);
        listing->slot++;
    }
    return true;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

static void *file_made(const struct worker *worker, const struct listing *listing, uint64_t *ret_bytes)
{
    const struct rows *const part[] = { &listing->zones, &listing->products, &listing->cells };
    static const size_t ROW[] = { sizeof(struct rialto_zone_line), sizeof(struct rialto_product_line),
                                  sizeof(struct pricelist_cell) };
    struct pricelist_head head = {
        .magic = PRICELIST_MAGIC,
        .secret_mark = secret_mark(worker),
        .layout = PRICELIST_LAYOUT,
        .line_layout = RIALTO_LAYOUT,
        .partition = listing->number,
        .zones = listing->zones.count,
        .products = listing->products.count,
        .cells = listing->cells.count,
    };
    *ret_bytes = pricelist_bytes(&head);
    char *file = malloc(*ret_bytes), *at = file + sizeof head;
    for (size_t i = 0; file != NULL && i < sizeof part / sizeof part[0]; at += part[i]->count * ROW[i], i++)
        if (part[i]->count > 0)
            memcpy(at, part[i]->row, part[i]->count * ROW[i]);
    if (file != NULL) {
        head.checksum = pricelist_checksum(&head, file + sizeof head, *ret_bytes - sizeof head);
        memcpy(file, &head, sizeof head);
    }
    return file;
}

static bool file_put(const struct worker *worker, uint32_t partition, const void *file, uint64_t bytes)
{
    char path[DATA_PATH_MAX], fresh[DATA_PATH_MAX];
    data_path(worker->config, "list", path);
    if (mkdir(path, 0700) == -1 && errno != EEXIST)
        return false;
    path_of(worker->config, partition, "", path);
    path_of(worker->config, partition, ".new", fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1)
        return false;
    bool good = bytes_write(fd, file, bytes);
    good = close(fd) == 0 && good;
    if (good && rename(fresh, path) == 0)
        return true;
    (void)unlink(fresh);
    return false;
}

static void file_save(const struct worker *worker, const struct listing *listing)
{
    static bool said;
    uint64_t bytes;
    void *file = file_made(worker, listing, &bytes);
    bool good = file != NULL && file_put(worker, listing->number, file, bytes);
    if (!good && !said)
        log_line(LOG_WARNING, "LIST-NOT-SAVED",
                 "partition=%u bytes=%llu error=\"%s\": a start of the machine will have no list prices of it",
                 listing->number, (unsigned long long)bytes, file == NULL ? "out of memory" : strerror(errno));
    said = !good;
    free(file);
}

/* ---- when ------------------------------------------------------------------------------------------------------------------ */

static void listing_free(struct worker *worker)
{
    if (worker->listing == NULL)
        return;
    free(worker->listing->zones.row);
    free(worker->listing->products.row);
    free(worker->listing->cells.row);
    free(worker->listing);
    worker->listing = NULL;
}

static bool listing_begin(struct worker *worker, bool now)
{
    int64_t at_ms = mono_ms();
    for (uint32_t p = worker->index; p < RIALTO_PARTITIONS; p += worker->config->workers) {
        struct partition *partition = &worker->partition[p];
        if (!partition->pricelist_stale || (!now && at_ms < partition->pricelist_ms + PACE_MS))
            continue;
        worker->listing = calloc(1, sizeof *worker->listing);
        if (worker->listing == NULL)
            return false;
        partition->pricelist_stale = false; /* what changes from here on is written next time */
        partition->pricelist_ms = at_ms;
        worker->listing->number = p;
        declared_add(worker, worker->listing);
        return true;
    }
    return false;
}

static bool listing_step(struct worker *worker, bool now)
{
    if (worker->listing == NULL && !listing_begin(worker, now))
        return false;
    if (!gather_lines(worker, worker->listing)) {
        file_save(worker, worker->listing);
        listing_free(worker);
    }
    return true;
}

bool pricelist_step(struct worker *worker)
{
    return listing_step(worker, false);
}

void pricelist_finish(struct worker *worker)
{
    int64_t until = mono_ms() + STOP_MS;
    while (mono_ms() < until && listing_step(worker, true))
        ;
}

void pricelist_teardown(struct worker *worker)
{
    listing_free(worker);
}

/* ---- publishing ------------------------------------------------------------------------------------------------------------ */

static void *file_whole(const char *path, size_t *ret_bytes)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *file = NULL;
    if (fd == -1)
        return NULL;
    if (fstat(fd, &info) == 0 && info.st_size > 0 && (file = malloc((size_t)info.st_size)) != NULL) {
        *ret_bytes = (size_t)info.st_size;
        for (size_t at = 0; file != NULL && at < *ret_bytes;) {
            ssize_t n = read(fd, (char *)file + at, *ret_bytes - at);
            if (n <= 0) {
                free(file);
                file = NULL;
            } else {
                at += (size_t)n;
            }
        }
    }
    (void)close(fd);
    return file;
}

/* Slots of lines as they were, + 1; each claimed when a cell needs it. */
struct places {
    uint32_t *zone, *product;
};

static bool line_put(struct worker *worker, enum rialto_table table, uint32_t partition, struct rialto_key key,
                     const void *line, uint64_t slots, uint32_t *place)
{
    uint64_t slot;
    if (*place != 0)
        return true;
    if (table_claim(worker->cache, table, partition, key, &slot) != RIALTO_OK || slot >= slots)
        return false;
    (void)table_write(worker->cache, table, partition, slot, line);
    *place = (uint32_t)slot + 1;
    return true;
}

static bool cell_put(struct worker *worker, const struct pricelist_view *view, const struct pricelist_cell *cell,
                     struct places *places)
{
    uint32_t partition = view->head->partition;
    const struct rialto_zone_line *zone = &view->zone[cell->zone];
    const struct rialto_product_line *product = &view->product[cell->product];
    uint16_t rule;
    uint64_t slot;
    if (table_find(worker->cache, RIALTO_TABLE_CELLS, partition, cell->key) != SLOT_NONE ||
        rule_find(worker->cache, cell->model_hash, cell->currency, &rule) != RIALTO_OK ||
        !line_put(worker, RIALTO_TABLE_ZONES, partition, zone->key, zone, RIALTO_ZONE_SLOTS_MAX,
                  &places->zone[cell->zone]) ||
        !line_put(worker, RIALTO_TABLE_PRODUCTS, partition, product->key, product, RIALTO_PRODUCT_SLOTS_MAX,
                  &places->product[cell->product]) ||
        table_claim(worker->cache, RIALTO_TABLE_CELLS, partition, cell->key, &slot) != RIALTO_OK)
        return false;
    uint64_t p = places->product[cell->product] - 1, z = places->zone[cell->zone] - 1;
    const struct rialto_cell_line line = {
        .as_of_s = cell->as_of_s,
        .key = cell->key,
        .baseline = cell->amount,
        .list = cell->list,
        .lo_product = (uint64_t)cell->amount | (p & 0xFFFFu) << 48,
        .hi_place = (uint64_t)cell->amount | (p >> 16 & 3u) << 48 | z << 50,
        .rule = rule,
        .group = cell->group,
        .flags = RIALTO_CELL_STARTING,
    };
    return table_write(worker->cache, RIALTO_TABLE_CELLS, partition, slot, &line);
}

static uint64_t view_put(struct worker *worker, const struct pricelist_view *view)
{
    struct places places = { calloc(view->head->zones + 1u, sizeof(uint32_t)),
                             calloc(view->head->products + 1u, sizeof(uint32_t)) };
    uint64_t count = 0;
    bool good = places.zone != NULL && places.product != NULL;
    for (uint32_t i = 0; good && i < view->head->zones; i++)
        (void)line_put(worker, RIALTO_TABLE_ZONES, view->head->partition, view->zone[i].key, &view->zone[i],
                       RIALTO_ZONE_SLOTS_MAX, &places.zone[i]);
    for (uint32_t i = 0; good && i < view->head->cells; i++)
        count += cell_put(worker, view, &view->cell[i], &places);
    free(places.zone);
    free(places.product);
    return count;
}

uint64_t pricelist_publish(struct worker *worker, uint32_t partition)
{
    char path[DATA_PATH_MAX];
    struct pricelist_view view;
    size_t bytes = 0;
    path_of(worker->config, partition, "", path);
    void *file = file_whole(path, &bytes);
    if (file == NULL)
        return 0;
    uint64_t count = 0;
    for (int table = 0; table < RIALTO_TABLE_COUNT; table++)
        table_repair(worker->cache, (enum rialto_table)table, partition); /* tables that a dead worker left */
    if (pricelist_check(file, bytes, partition, secret_mark(worker), &view))
        count = view_put(worker, &view);
    else
        log_line(LOG_WARNING, "LIST-NOT-BELIEVED",
                 "file=%s bytes=%zu: damaged, or of another layout or secret; its products are unknown until "
                 "their partition is back",
                 path, bytes);
    free(file);
    return count;
}

void pricelist_leave(struct worker *worker, struct partition *partition)
{
    struct rialto_cell_line line;
    for (uint64_t slot = table_next(worker->cache, RIALTO_TABLE_CELLS, partition->number, 0); slot != SLOT_NONE;
         slot = table_next(worker->cache, RIALTO_TABLE_CELLS, partition->number, slot + 1)) {
        if (!table_read(worker->cache, RIALTO_TABLE_CELLS, partition->number, slot, &line) ||
            (line.flags & RIALTO_CELL_STARTING) == 0)
            continue;
        uint32_t cell = state_find(partition->state, POOL_CELLS, line.key);
        const struct cell_record *record = cell == STATE_NONE ? NULL : cell_at(partition, cell);
        uint32_t product = record == NULL ? STATE_NONE : state_owner(partition->state, POOL_CELLS, cell);
        if (product != STATE_NONE)
            cells_ready(worker, partition, product);
        /* What has a price by other models than these is priced anew in a moment. */
        if (product == STATE_NONE || record->published == 0 || cell_model_of_price(worker, partition, cell) < 0)
            table_delete(worker->cache, RIALTO_TABLE_CELLS, partition->number, slot);
    }
}
