/* top_look.c - one look at a running instance, through its shared memory alone: the service does not notice. */
#include "cli/top.h"

#include "cache/folder.h"
#include "cli/usage.h"
#include "service/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define READS           32u    /* of one price, to time it */
#define SLOTS_LOOKED_AT 65536u /* for a price to read */

/* What stands in shared memory is shown on a terminal: no control characters. */
static void printable(const char *text, size_t n, char *ret)
{
    size_t i = 0;
    for (; i + 1 < n && text[i] != '\0'; i++)
        ret[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    ret[i] = '\0';
}

/* ---- heartbeats ------------------------------------------------------------------------------------------------- */

static void look_at_control(const struct rialto_control *control, struct top_sample *ret)
{
    int64_t now = mono_ms();
    ret->mode = atomic_load(&control->mode);
    ret->retired = atomic_load(&control->retired) != RIALTO_NOT_RETIRED;
    ret->stale_after_ms = control->stale_after_ms;
    ret->service_ms = now + atomic_load(&control->clock_offset_ms);
    for (uint32_t i = 0; i < RIALTO_PARTITIONS; i++) {
        int64_t beat = atomic_load(&control->heartbeat[i].beat_mono_ms);
        uint32_t block = METRICS_FIRST_WORKER + atomic_load(&control->heartbeat[i].owner);
        ret->partitions_silent += beat <= 0 || now - beat >= (int64_t)control->stale_after_ms;
        if (beat > 0 && block < METRICS_WEB && now - beat > ret->process[block].beat_ms)
            ret->process[block].beat_ms = now - beat;
    }
}

/* ---- one price, read as a storefront reads it --------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static bool find_price(const struct rialto *prices, struct rialto_cell *ret)
{
    uint32_t looked = 0;
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++)
        for (uint64_t slot = 0; looked < SLOTS_LOOKED_AT; slot++, looked++) {
            enum rialto_status status = rialto_cell_at(prices, partition, slot, ret);
            if (status == RIALTO_OK && ret->sku[0] != '\0')
                return true;
            if (status == RIALTO_BAD_INPUT)
                break;
        }
    return false;
}

static void time_a_read(const char *path, struct top_sample *ret)
{
    struct rialto *prices;
    struct rialto_cell cell;
    int64_t took[READS];
    ret->read_ns = -1;
    if (rialto_open(path, &prices) != RIALTO_OK)
        return;
    if (find_price(prices, &cell)) {
        struct rialto_quote quote;
        const struct rialto_request request = { .zone = cell.zone[0] != '\0' ? cell.zone : NULL,
                                                .basis = RIALTO_BASIS_STORE };
        for (size_t i = 0; i < READS; i++) {
            int64_t began = now_ns();
            (void)rialto_quote(prices, &request, cell.sku, &quote);
            took[i] = now_ns() - began;
        }
        qsort(took, READS, sizeof took[0], compare);
        ret->read_ns = took[READS / 2];
        printable(cell.sku, sizeof ret->read_sku, ret->read_sku);
    }
    rialto_close(prices);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------ */

static void look_at_block(const struct metrics_block *block, struct top_process *ret)
{
    printable(block->who, sizeof ret->who, ret->who);
    for (uint32_t i = 0; i < METRIC_COUNT; i++)
        ret->word[i] = atomic_load_explicit(&block->word[i], memory_order_relaxed);
    ret->bytes = usage_process_bytes((int64_t)ret->word[METRIC_pid]);
}

static void look_at_metrics(const struct metrics_file *metrics, struct top_sample *ret)
{
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++) {
        const struct metrics_block *block = &metrics->block[i];
        if (block->who[0] == '\0')
            continue;
        struct top_process *process = &ret->process[i];
        look_at_block(block, process);
        process->worker = i >= METRICS_FIRST_WORKER && i != METRICS_WEB;
        ret->process_count++;
        for (uint32_t k = 0; k < METRIC_COUNT; k++)
            ret->word[k] += process->word[k];
        for (uint32_t h = 0; h < HISTOGRAM_COUNT; h++)
            for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++)
                ret->bucket[h][b] += atomic_load_explicit(&block->histogram[h].bucket[b], memory_order_relaxed);
    }
}

void top_look(const struct cli *cli, struct top_sample *ret)
{
    struct folder folder;
    *ret = (struct top_sample){ .at_ms = mono_ms(), .read_ns = -1 };
    for (uint32_t i = 0; i < METRICS_BLOCKS_MAX; i++)
        ret->process[i].beat_ms = -1;
    const struct metrics_file *metrics = metrics_read(cli->cache);
    ret->metrics = metrics != NULL;
    if (metrics != NULL) {
        look_at_metrics(metrics, ret);
        ret->starting = progress_of(metrics);
        munmap((void *)(uintptr_t)metrics, sizeof *metrics);
    }
    ret->tables = folder_open(cli->cache, false, &folder) == RIALTO_OK;
    if (!ret->tables)
        return;
    printable(folder.control->instance, sizeof ret->instance, ret->instance);
    look_at_control(folder.control, ret);
    folder_close(&folder);
    ret->cache_bytes = usage_folder_bytes(cli->cache);
    time_a_read(cli->cache, ret);
}
