/* reader.c - librialto: open a cache folder. Quotes are in page.c, changes and listings in follow.c.
 *
 * A handle is written by rialto_open() alone; after that any number of threads may use it. */
#include "cache/reader.h"
#include "cache/segment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a segment that has no extent. */
static struct extent_view nothing_in(const struct folder_table *table)
{
    const void *base = table->base;
    return (struct extent_view){ .tags = base, .lines = base };
}

enum rialto_status rialto_open(const char *folder, struct rialto **ret)
{
    if (ret == NULL)
        return RIALTO_BAD_INPUT;
    *ret = NULL;
    const char *path = folder != NULL ? folder : getenv("RIALTO_CACHE");
    if (path == NULL || path[0] == '\0')
        path = RIALTO_CACHE_FOLDER;

    struct rialto *r = calloc(1, sizeof *r);
    if (r == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = folder_open(path, false, &r->folder);
    if (status != RIALTO_OK) {
        free(r);
        return status;
    }
    memcpy(r->secret, r->folder.control->secret, sizeof r->secret);
    r->world = key_of_world(r->secret);
    r->world_mixed = key_mix(r->world);
    r->secret_mark = key_of_id(r->secret, (const char *)r->secret, sizeof r->secret).hi | 1u; /* every byte counts */
    for (uint32_t t = 0; t < RIALTO_TABLE_COUNT; t++)
        segment_see(&r->folder.table[t], folder_table_words(t), r->seen[t]);
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        const struct extents_seen *seen = &r->seen[RIALTO_TABLE_CELLS][p];
        r->cells[p] =
            seen->count > 0 ? seen->extent[seen->count - 1] : nothing_in(&r->folder.table[RIALTO_TABLE_CELLS]);
    }
    *ret = r;
    return RIALTO_OK;
}

void rialto_close(struct rialto *r)
{
    if (r == NULL)
        return;
    folder_close(&r->folder);
    free(r);
}

enum rialto_status reader_product(const struct rialto *r, const char *sku, struct rialto_product_line *ret)
{
    const struct folder_table *table = &r->folder.table[RIALTO_TABLE_PRODUCTS];
    const uint32_t words = sizeof *ret / sizeof(uint64_t);
    struct rialto_key key = key_of_id(r->secret, sku, strlen(sku));
    union product_image image;
    struct probe probe;
    probe_start(&probe, table, words, key_partition(key), key, true);
    enum rialto_status status = probe_find(&probe, table, words, image.word);
    if (status == RIALTO_OK)
        *ret = image.line;
    return status;
}

int64_t reader_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t rialto_now_ms(const struct rialto *r)
{
    return reader_ms_plus(reader_mono_ms(),
                          atomic_load_explicit(&r->folder.control->clock_offset_ms, memory_order_relaxed));
}

enum rialto_status rialto_state(const struct rialto *r, int64_t *ret_since_ms)
{
    if (r == NULL)
        return RIALTO_BAD_INPUT;
    uint32_t retired = reader_retired_word(r);
    if (ret_since_ms != NULL)
        *ret_since_ms = retired == RIALTO_RETIRED_SUPERSEDED
                            ? atomic_load_explicit(&r->folder.control->superseded_unix_ms, memory_order_relaxed)
                            : 0;
    if (retired == RIALTO_RETIRED_SUPERSEDED)
        return RIALTO_SUPERSEDED;
    return retired == RIALTO_NOT_RETIRED ? RIALTO_OK : RIALTO_RETIRED;
}

enum rialto_status rialto_rule(const struct rialto *r, uint16_t rule, struct rialto_rule_row *ret)
{
    const struct rialto_rule_row *row = reader_rule(r, rule);
    if (row == NULL)
        return RIALTO_NOT_FOUND;
    *ret = *row;
    return RIALTO_OK;
}

size_t rialto_disclosure_text(const struct rialto *r, uint16_t rule, uint16_t disclosure, size_t n, char *ret)
{
    const struct rialto_rule_row *row = disclosure == 0 ? NULL : reader_rule(r, rule);
    size_t length = row == NULL ? 0 : strnlen(row->disclosure_text, sizeof row->disclosure_text - 1);
    if (n > 0) {
        size_t fits = length < n ? length : n - 1;
        memcpy(ret, row == NULL ? "" : row->disclosure_text, fits);
        ret[fits] = '\0';
    }
    return length;
}
