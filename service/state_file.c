/* state_file.c - the file of a partition's state: planned, made, mapped, and brought back to its last commit. */
#include "service/capacity.h"
#include "service/state_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char STATE_POOL_LETTER[POOL_COUNT] = { 'p', 'c', 'u', 'o', 'z', 's', 'b' };

static const uint32_t RECORD_BYTES[POOL_COUNT] = {
    sizeof(struct product_record), sizeof(struct cell_record), sizeof(struct customer_record),
    sizeof(struct offer_record),   sizeof(struct zone_record), sizeof(struct source_record),
    sizeof(struct budget_record),
};

static const bool HAS_DEADLINES[POOL_COUNT] = { [POOL_PRODUCTS] = true, [POOL_CUSTOMERS] = true, [POOL_OFFERS] = true };

#define ID_PLACES                                                                                                      \
    2u /* for each id: at half load hardly a probe in 10^11 is longer than ID_PROBE_MAX (Knuth, TAOCP 6.4) */

static uint64_t page_up(uint64_t bytes)
{
    return (bytes + STATE_PAGE - 1) / STATE_PAGE * STATE_PAGE;
}

/* Reserves `bytes` at *at; adds to *journal what saving each of its `blocks` once takes. */
static uint64_t reserve(uint64_t *at, uint64_t *journal, uint64_t blocks, uint64_t block_bytes)
{
    uint64_t offset = *at;
    *at = page_up(offset + blocks * block_bytes);
    *journal += blocks * (block_bytes + sizeof(struct journal_entry));
    return offset;
}

static void plan_pool(enum state_pool pool, uint32_t capacity, struct pool_entry *ret, uint64_t *at, uint64_t *journal)
{
    uint64_t heads = capacity / STATE_HEADS + 1, unsaved = 0;
    *ret = (struct pool_entry){ .record_bytes = RECORD_BYTES[pool], .capacity = capacity };
    if (capacity == 0)
        return;
    ret->records = reserve(at, journal, capacity, RECORD_BYTES[pool]);
    if (pool == POOL_CELLS)
        *journal += capacity * CELL_SPLIT_BYTES;
    ret->links = reserve(at, journal, capacity, sizeof(struct state_link));
    ret->buckets = reserve(at, journal, heads, sizeof(struct state_heads));
    if (HAS_DEADLINES[pool])
        ret->wheel = reserve(at, journal, DUE_SLOTS / STATE_HEADS + 1, sizeof(struct state_heads));
    ret->newest = reserve(at, &unsaved, capacity / STATE_BLOCK + 1, sizeof(uint64_t));
}

static void plan_file(const struct config *config, uint32_t number, struct state_file *ret)
{
    bool common = number == RIALTO_PARTITIONS;
    const uint32_t capacity[POOL_COUNT] = {
        common ? 0 : capacity_of(config, POOL_PRODUCTS),
        common ? 0 : capacity_of(config, POOL_CELLS),
        common ? 0 : capacity_of(config, POOL_CUSTOMERS),
        common ? 0 : capacity_of(config, POOL_OFFERS),
        common ? capacity_of(config, POOL_ZONES) : 0,
        capacity_of(config, POOL_SOURCES),
        common ? 0 : capacity_of(config, POOL_BUDGETS),
    };
    memset(ret, 0, sizeof *ret);
    ret->magic = STATE_MAGIC;
    ret->layout = STATE_LAYOUT;
    ret->number = number;
    uint64_t at = STATE_PAGE, journal = sizeof(struct journal);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        plan_pool((enum state_pool)pool, capacity[pool], &ret->pool[pool], &at, &journal);
    journal += POOL_COUNT * (sizeof(struct pool_meta) + sizeof(struct journal_entry));
    ret->ids_offset = at;
    ret->ids_count = ID_PLACES * (uint64_t)config->ids_max;
    at = page_up(at + 2 * ret->ids_count * sizeof(uint64_t));
    ret->journal_offset = at;
    /* A batch saves each block at most once, and one id word a part of a signal, of which there are three: it never runs over. */
    journal += 3u * (uint64_t)config->batch_signals_max * (sizeof(struct journal_entry) + sizeof(uint64_t));
    ret->journal_bytes = page_up(journal);
    ret->file_bytes = at + ret->journal_bytes;
}

uint32_t state_record_bytes(enum state_pool pool)
{
    return RECORD_BYTES[pool];
}

uint64_t state_bytes_a_record(enum state_pool pool)
{
    return 2 * ((uint64_t)RECORD_BYTES[pool] + sizeof(struct state_link)) +
           2 * sizeof(struct journal_entry) + /* record and link */
           (2 * sizeof(struct state_heads) + sizeof(struct journal_entry)) / STATE_HEADS +
           1 + /* a bucket, and "newest" */
           (pool == POOL_CELLS ? CELL_SPLIT_BYTES : 0);
}

uint64_t state_file_bytes(const struct config *config, uint32_t number)
{
    struct state_file plan;
    plan_file(config, number, &plan);
    return plan.file_bytes;
}

static const char *boot_id(void)
{
    static char id[STATE_BOOT_BYTES]; /* asked once: a worker opens its files one after the other */
    if (id[0] != '\0')
        return id;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return id;
    ssize_t got = read(fd, id, STATE_BOOT_BYTES - 1);
    (void)close(fd);
    if (got <= 0)
        memset(id, 0, sizeof id);
    return id;
}

/* Same plan and same boot: the pages in the kernel's cache are exactly what the dead owner stored, in its order. */
static bool is_usable(const struct state_file *file, const struct state_file *plan)
{
    return file->filled == 1 && file->magic == plan->magic && file->layout == plan->layout &&
           file->number == plan->number && file->file_bytes == plan->file_bytes && plan->boot_id[0] != '\0' &&
           memcmp(file->boot_id, plan->boot_id, STATE_BOOT_BYTES) == 0 &&
           memcmp(file->pool, plan->pool, sizeof file->pool) == 0 && file->ids_count == plan->ids_count;
}

static enum rialto_status from_errno(int error)
{
    return error == ENOSPC ? RIALTO_NO_SPACE : error == EACCES || error == EPERM ? RIALTO_NO_PERMISSION : RIALTO_SYSTEM;
}

/* A journal is written from its beginning by each batch, and its images are read just after they were written: what lies around a page that
 * is met first is of no use. Read ahead, each such page of a new file would have zeros made for as much as the disk reads ahead. Advice
 * only: where it is refused, a batch is slower. */
static void read_journal_by_page(const struct state_file *plan, struct journal *journal)
{
    (void)madvise(journal, plan->journal_bytes, MADV_RANDOM);
}

static enum rialto_status map_file(const char *path, const struct state_file *plan, struct state *state,
                                   bool *ret_fresh)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return from_errno(errno);
    struct stat info;
    enum rialto_status status = RIALTO_SYSTEM;
    struct state_file found = { 0 };
    bool whole = fstat(fd, &info) == 0 && (uint64_t)info.st_size == plan->file_bytes &&
                 pread(fd, &found, sizeof found, 0) == (ssize_t)sizeof found;
    *ret_fresh = !(whole && is_usable(&found, plan));
    if (*ret_fresh && ftruncate(fd, 0) == -1)
        goto out;
    int error = *ret_fresh ? posix_fallocate(fd, 0, (off_t)plan->file_bytes) : 0;
    if (error != 0) {
        status = from_errno(error);
        goto out;
    }
    void *memory = mmap(NULL, plan->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        goto out;
    state->file = memory;
    state->bytes = plan->file_bytes;
    if (*ret_fresh)
        memcpy(state->file, plan, sizeof *plan);
    state->journal = (void *)((char *)memory + plan->journal_offset);
    read_journal_by_page(plan, state->journal);
    status = RIALTO_OK;
out:
    (void)close(fd);
    return status;
}

static void path_of(const struct config *config, uint32_t number, uint32_t worker, uint32_t layout, size_t size,
                    char *ret)
{
    if (number == RIALTO_PARTITIONS)
        (void)snprintf(ret, size, "%s/state/common.w%u.v%u", config->data_dir, worker, layout);
    else
        (void)snprintf(ret, size, "%s/state/p%02u.v%u", config->data_dir, number, layout);
}

enum rialto_status state_open(const struct config *config, uint32_t number, uint32_t worker, struct state **ret,
                              bool *ret_fresh)
{
    assert(number <= RIALTO_PARTITIONS);
    char path[CONFIG_TEXT_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/state", config->data_dir);
    if (mkdir(path, 0700) == -1 && errno != EEXIST)
        return from_errno(errno);
    for (uint32_t older = 1; older < STATE_LAYOUT; older++) {
        path_of(config, number, worker, older, sizeof path, path);
        (void)unlink(path); /* best effort: what it held is in Redis, and personal data may not lie about */
    }
    path_of(config, number, worker, STATE_LAYOUT, sizeof path, path);

    struct state_file plan;
    plan_file(config, number, &plan);
    memcpy(plan.boot_id, boot_id(), STATE_BOOT_BYTES);
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return RIALTO_NO_MEMORY;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        state->wake_ms[pool] = INT64_MIN;
    enum rialto_status status = map_file(path, &plan, state, ret_fresh);
    if (status == RIALTO_OK && (!journal_recover(state) || !listed_setup(state)))
        status = RIALTO_NO_MEMORY;
    if (status != RIALTO_OK) {
        state_close(state);
        return status;
    }
    *ret = state;
    return RIALTO_OK;
}

void state_close(struct state *state)
{
    if (state == NULL)
        return;
    listed_teardown(state);
    if (state->file != NULL)
        (void)munmap(state->file, state->bytes);
    free(state);
}

struct ahead_step state_ahead(const struct state *state)
{
    uint64_t cells = state_end(state, POOL_CELLS), products = state_end(state, POOL_PRODUCTS);
    uint64_t images = cells * (sizeof(struct journal_entry) + sizeof(struct price_image)) +
                      products * (sizeof(struct journal_entry) + sizeof(struct state_link));
    assert(sizeof *state->journal + images <= state->file->journal_bytes);
    return (struct ahead_step){ {
        { state_part(state, state->file->pool[POOL_CELLS].records), cells * sizeof(struct cell_record) },
        { state_part(state, state->file->pool[POOL_PRODUCTS].links), products * sizeof(struct state_link) },
        { state->journal, sizeof *state->journal + images },
    } };
}

/* ---- words of the header ---------------------------------------------------------------------------------- */

uint64_t state_applied(const struct state *state)
{
    return atomic_load_explicit(&state->file->applied, memory_order_relaxed);
}

void state_set_applied(struct state *state, uint64_t seq)
{
    assert(state->batch == 0);
    state->listed.records = state->listed.ids = state->listed.demands = 0;
    atomic_store(&state->journal->used, 0);
    atomic_store(&state->journal->batch, seq);
    atomic_store(&state->file->applied, seq);
    atomic_store(&state->file->filled, 1);
}

int64_t state_tick(const struct state *state)
{
    return atomic_load_explicit(&state->file->tick_ms, memory_order_relaxed);
}

void state_set_tick(struct state *state, int64_t tick_ms)
{
    atomic_store_explicit(&state->file->tick_ms, tick_ms, memory_order_relaxed);
}

uint64_t state_deleted(const struct state *state)
{
    return atomic_load_explicit(&state->file->deleted, memory_order_relaxed);
}

void state_set_deleted(struct state *state, uint64_t seq)
{
    atomic_store_explicit(&state->file->deleted, seq, memory_order_relaxed);
}

uint64_t state_lines_of(const struct state *state, enum state_lines which)
{
    return atomic_load_explicit(&state->file->lines_of[which], memory_order_relaxed);
}

bool state_lines_owed(const struct state *state)
{
    return atomic_load_explicit(&state->file->lines_owed, memory_order_relaxed) != 0;
}

void state_set_lines_owed(struct state *state, bool owed)
{
    atomic_store_explicit(&state->file->lines_owed, owed, memory_order_relaxed);
}

bool state_lines_refused(const struct state *state)
{
    return atomic_load_explicit(&state->file->lines_refused, memory_order_relaxed) != 0;
}

void state_set_lines_refused(struct state *state, bool refused)
{
    atomic_store_explicit(&state->file->lines_refused, refused, memory_order_relaxed);
}

void state_set_lines_of(struct state *state, enum state_lines which, uint64_t what)
{
    atomic_store_explicit(&state->file->lines_of[which], what, memory_order_release);
}
