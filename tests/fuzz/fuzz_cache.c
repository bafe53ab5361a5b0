/* fuzz_cache.c - the files of a cache folder with hostile bytes in them: a reader and a worker say no, or go on within what is there.
 *
 *   the files as they were made, with some lines --patches of the input--> files --rialto_open(), quotes, lists, changes
 *                                                                               `-cache_open(), repair, claims, writes
 *
 * An input is a byte that says who comes (bit 0 a reader, bit 1 a worker), then patches: { file, length: 1 to 32 bytes, or 0 and the
 * file ends there; offset, 4 bytes; bytes }. Files are put back after each input. What
 * is not tried: bytes that change while a file is mapped. Who can do that is the service itself. */
#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/table.h"

#include <fcntl.h>
#include <rialto/quote.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PATCH_BYTES_MAX 32u
#define PAGE            ((size_t)4096)
#define RING_BYTES                                                                                                     \
    (sizeof(struct rialto_rings_header) + 4096u) /* what is put back of a ring: the rest stays as it comes */

static char folder[96];
static struct cache_plan plan;
static struct {
    int fd;
    size_t bytes, kept; /* of the file, and of its beginning that is put back */
    uint8_t *now;       /* mapped */
    uint8_t *was;
    bool is_cut;
} file[FOLDER_FILE_COUNT];

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "fuzz_cache: %s\n", what);
        abort();
    }
}

/* ---- the folder as it should be -------------------------------------------------------------------------------------- */

static struct rialto_key key_of(const char *id)
{
    return key_of_id(plan.secret, id, strlen(id));
}

static void put(struct cache *cache, enum rialto_table table, uint32_t partition, const void *line)
{
    struct rialto_key key;
    uint64_t slot;
    memcpy(&key, (const char *)line + 8, sizeof key);
    require(table_claim(cache, table, partition, key, &slot) == RIALTO_OK, "no room for a line");
    (void)table_write(cache, table, partition, slot, line);
}

static void put_product(struct cache *cache, const char *sku, uint16_t rule)
{
    uint32_t partition = key_partition(key_of(sku));
    struct rialto_product_line product = { .key = key_of(sku), .title = "Milk 1 l" };
    struct rialto_zone_line zone = { .key = key_of("c1/s25"),
                                     .ancestor_count = 1,
                                     .name_bytes = 6,
                                     .ancestor = { key_of("c1") },
                                     .ancestor_name_bytes = { 2 },
                                     .name = "c1/s25" };
    (void)snprintf(product.sku, sizeof product.sku, "%s", sku);
    put(cache, RIALTO_TABLE_PRODUCTS, partition, &product);
    put(cache, RIALTO_TABLE_ZONES, partition, &zone);
    const struct rialto_key place[] = { key_of_world(plan.secret), key_of("c1"), key_of("c1/s25") };
    for (size_t i = 0; i < sizeof place / sizeof place[0]; i++) {
        struct rialto_cell_line cell = { .as_of_s = 1767225600,
                                         .key = key_pair(key_of(sku), place[i]),
                                         .baseline = 1200 + (int64_t)i,
                                         .list = 1200,
                                         .lo_product = 840,
                                         .hi_place = 1800,
                                         .rule = rule,
                                         .group = 1 };
        put(cache, RIALTO_TABLE_CELLS, partition, &cell);
    }
}

static void put_customer(struct cache *cache, const char *customer, const char *sku)
{
    uint32_t partition = key_partition(key_of(customer));
    struct rialto_terms_line terms = {
        .key = key_of(customer), .zone = 1, .kinds = RIALTO_KIND_PROFILE | RIALTO_TERMS_HAS_OFFERS, .consent = 0x1f
    };
    struct rialto_zone_line zone = { .key = key_of("c1"), .name_bytes = 2, .name = "c1" };
    struct rialto_offer_line offer = { .key = key_pair(key_of(customer), key_of(sku)),
                                       .value = 1000,
                                       .locked = 900,
                                       .currency = 156,
                                       .kind = RIALTO_OFFER_PERCENT };
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        terms.multiplier_e4[g] = 9000;
    put(cache, RIALTO_TABLE_TERMS, partition, &terms);
    put(cache, RIALTO_TABLE_ZONES, partition, &zone);
    put(cache, RIALTO_TABLE_OFFERS, partition, &offer);
}

static void fill(void)
{
    struct cache *cache = NULL;
    uint16_t rule = 0;
    const struct rialto_rule_row row = { .currency = "CNY",
                                         .currency_number = 156,
                                         .decimals = 2,
                                         .arithmetic = 1,
                                         .ending_step = 100,
                                         .ending_less = 1,
                                         .model = "groceries",
                                         .version = "1",
                                         .model_hash = 7 };
    require(cache_open(folder, &cache) == RIALTO_OK && rule_append(cache, &row, &rule) == RIALTO_OK, "no cache");
    put_product(cache, "milk-1l", rule);
    put_product(cache, "bread-500g", rule);
    put_customer(cache, "anna", "milk-1l");
    for (uint32_t i = 0; i < 40; i++)
        ring_append(cache, 0,
                    &(struct rialto_ring_entry){ .slot = i, .table = RIALTO_TABLE_CELLS, .partition = (uint8_t)i });
    cache_close(cache);
}

static void keep(void)
{
    for (uint32_t i = 0; i < FOLDER_FILE_COUNT; i++) {
        char path[FOLDER_PATH_MAX];
        struct stat info;
        require(folder_file_path(folder, i, "", path), "a path");
        file[i].fd = open(path, O_RDWR | O_CLOEXEC);
        require(file[i].fd != -1 && fstat(file[i].fd, &info) == 0, "a file is missing");
        file[i].bytes = (size_t)info.st_size;
        file[i].kept = i == FOLDER_FILE_RINGS ? RING_BYTES : file[i].bytes;
        file[i].now = mmap(NULL, file[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file[i].fd, 0);
        file[i].was = malloc(file[i].kept);
        require(file[i].now != MAP_FAILED && file[i].was != NULL, "out of memory");
        memcpy(file[i].was, file[i].now, file[i].kept);
    }
}

static void clean_up(void)
{
    cache_remove(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    bool kept = false;
    uint64_t missing = 0;
    /* In memory, as the files of a service are: each input writes them, and a disk would be all that is waited for. */
    (void)snprintf(folder, sizeof folder, "/dev/shm/rialto-fuzz.XXXXXX");
    require(mkdtemp(folder) != NULL && atexit(clean_up) == 0, "no folder in /dev/shm");
    plan = (struct cache_plan){ .folder = folder,
                                .instance = "fuzz",
                                .group_id = -1,
                                .lines = { 64, 64, 64, 64, 64 },
                                .workers = 1,
                                .geohash_lengths = { 3, 5 },
                                .path_depths = { 1, 2 },
                                .stale_after_ms = 5000,
                                .personal_stale_ms = 3600000 };
    for (size_t i = 0; i < sizeof plan.secret; i++)
        plan.secret[i] = (uint8_t)(i * 37 + 11);
    require(cache_create(&plan, &kept, &missing) == RIALTO_OK, "the folder cannot be made");
    fill();
    keep();
    return 0;
}

/* ---- patches -------------------------------------------------------------------------------------------------------- */

static void cut(uint32_t number, size_t bytes)
{
    require(ftruncate(file[number].fd, (off_t)bytes) == 0, "a file cannot be cut, or made whole");
    file[number].is_cut = bytes < file[number].bytes;
}

/* A page at a time: most are as they were, and a page that is written must be fetched again by whoever maps it next. */
static void put_back(uint32_t number)
{
    cut(number, file[number].bytes);
    for (size_t at = 0; at < file[number].kept; at += PAGE) {
        size_t bytes = file[number].kept - at < PAGE ? file[number].kept - at : PAGE;
        if (memcmp(file[number].now + at, file[number].was + at, bytes) != 0)
            memcpy(file[number].now + at, file[number].was + at, bytes);
    }
}

/* Write the patches, or with `back` what was there before them. */
static void patch(const uint8_t *data, size_t size, bool back)
{
    for (size_t at = 0; size - at >= 6;) {
        uint32_t number = data[at] % FOLDER_FILE_COUNT, bytes = data[at + 1] % (PATCH_BYTES_MAX + 1), offset;
        memcpy(&offset, data + at + 2, sizeof offset);
        at += 6;
        offset %= (uint32_t)file[number].kept;
        if (bytes == 0) { /* the mapping behind it is not touched before it is whole again */
            if (!back)
                cut(number, offset);
            return;
        }
        if (bytes > size - at)
            bytes = (uint32_t)(size - at);
        if (bytes > file[number].kept - offset)
            bytes = (uint32_t)(file[number].kept - offset);
        memcpy(file[number].now + offset, back ? file[number].was + offset : data + at, bytes);
        at += bytes;
    }
}

/* ---- who comes ------------------------------------------------------------------------------------------------------ */

static bool is_zero(const void *bytes, size_t count)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < count; i++)
        if (byte[i] != 0)
            return false;
    return true;
}

static void check_quote(enum rialto_status status, const struct rialto_quote *quote)
{
    if (status != RIALTO_OK) {
        require(is_zero(quote, sizeof *quote), "a refused quote is not zero");
        return;
    }
    require(memchr(quote->currency, '\0', sizeof quote->currency) != NULL &&
                memchr(quote->zone, '\0', sizeof quote->zone) != NULL,
            "a text without an end");
    require(quote->zone_level < RIALTO_ZONE_LEVELS, "a level that there is not");
}

static void read_quotes(const struct rialto *r)
{
    static const char *const SKU[] = { "milk-1l", "bread-500g", "tulips" };
    const struct rialto_request request[] = { { .customer = NULL },
                                              { .customer = "anna" },
                                              { .customer = "anna", .zone = "c1/s25", .currency = "CNY" },
                                              { .zone = "c1/s26" },
                                              { .zone = "u0yjj" } };
    for (size_t i = 0; i < sizeof request / sizeof request[0]; i++) {
        struct rialto_quote quote, page[3];
        enum rialto_status status[3];
        check_quote(rialto_quote(r, &request[i], SKU[0], &quote), &quote);
        if (rialto_quote_page(r, &request[i], 3, SKU, page, status) != RIALTO_OK)
            continue;
        for (size_t k = 0; k < 3; k++)
            check_quote(status[k], &page[k]);
    }
}

static void read_lists(const struct rialto *r)
{
    static const char *const SKU[] = { "milk-1l", "bread-500g" };
    for (size_t i = 0; i < 2; i++)
        for (uint64_t slot = 0; slot < 256; slot++) {
            struct rialto_cell cell;
            if (rialto_cell_at(r, key_partition(key_of(SKU[i])), slot, &cell) != RIALTO_OK)
                continue;
            require(memchr(cell.sku, '\0', sizeof cell.sku) != NULL &&
                        memchr(cell.zone, '\0', sizeof cell.zone) != NULL &&
                        memchr(cell.title, '\0', sizeof cell.title) != NULL,
                    "a name without an end");
        }
    struct rialto_rule_row rule;
    for (uint16_t i = 0; i < 4; i++)
        (void)rialto_rule(r, i, &rule);
}

static void come_as_reader(void)
{
    struct rialto *r = NULL;
    struct rialto_follower follower = { .missed = 0 };
    struct rialto_change change;
    int64_t since_ms;
    enum rialto_status status = rialto_open(folder, &r);
    require((status == RIALTO_OK) == (r != NULL), "a handle without a folder");
    if (r == NULL)
        return;
    (void)rialto_state(r, &since_ms);
    read_quotes(r);
    read_lists(r);
    for (int i = 0; i < 64 && rialto_next_change(r, &follower, &change); i++) /* from the beginning: all were missed */
        require(memchr(change.sku, '\0', sizeof change.sku) != NULL, "a name without an end");
    rialto_follow(r, &follower);
    (void)rialto_next_change(r, &follower, &change);
    rialto_close(r);
}

static void come_as_worker(void)
{
    struct cache *cache = NULL;
    enum rialto_status status = cache_open(folder, &cache);
    require((status == RIALTO_OK) == (cache != NULL), "a cache without a folder");
    if (cache == NULL)
        return;
    for (int table = 0; table < RIALTO_TABLE_COUNT; table++)
        for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++)
            table_repair(cache, (enum rialto_table)table, partition);
    uint16_t rule;
    uint32_t partition = key_partition(key_of("milk-1l"));
    (void)rule_find(cache, 7, "CNY", &rule);
    for (uint64_t slot = 0, n = 0; n < 64; n++) {
        struct rialto_product_line line;
        slot = table_next(cache, RIALTO_TABLE_PRODUCTS, partition, slot);
        if (slot == SLOT_NONE)
            break;
        (void)table_read(cache, RIALTO_TABLE_PRODUCTS, partition, slot++, &line);
    }
    for (uint64_t n = 0; n < 8; n++) {
        struct rialto_cell_line line = { .key = key_pair(key_of("milk-1l"), (struct rialto_key){ n + 2, n }),
                                         .baseline = 5 };
        uint64_t slot;
        if (table_claim(cache, RIALTO_TABLE_CELLS, partition, line.key, &slot) == RIALTO_OK)
            (void)table_write(cache, RIALTO_TABLE_CELLS, partition, slot, &line);
    }
    uint64_t slot = table_find(cache, RIALTO_TABLE_CELLS, partition, key_pair(key_of("milk-1l"), key_of("c1")));
    if (slot != SLOT_NONE)
        table_delete(cache, RIALTO_TABLE_CELLS, partition, slot);
    ring_append(cache, 0, &(struct rialto_ring_entry){ .table = RIALTO_TABLE_CELLS });
    cache_close(cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    patch(data + 1, size - 1, false);
    if (data[0] & 1u)
        come_as_reader();
    if (data[0] & 2u)
        come_as_worker();
    for (uint32_t number = 0; number < FOLDER_FILE_COUNT; number++)
        if (data[0] & 2u || file[number].is_cut) /* a worker writes everywhere */
            put_back(number);
    if ((data[0] & 2u) == 0)
        patch(data + 1, size - 1, true);
    return 0;
}
