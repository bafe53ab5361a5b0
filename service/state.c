#include "service/state.h"

#include "service/capacity.h"
#include "service/metrics.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char STATE_POOL_LETTER[POOL_COUNT] = {'p', 'c', 'u', 'o', 'z', 's'};

#define STATE_PAGE        4096u
#define ID_PROBE_MAX      128u
#define ID_PLACES         2u /* for each id: at half load hardly a probe in 10^11 is longer than ID_PROBE_MAX (Knuth, TAOCP 6.4) */
#define ID_WINDOW_MS      600000 /* ten minutes */
#define ID_HASH_MASK      UINT64_C(0xFFFFFFFFFFFF) /* what a word keeps of the hash; its place follows from these bits alone */
#define ID_HOME_SHIFT     16
#define BOOT_ID_BYTES     40u

struct pool_entry {
    uint64_t offset;
    uint32_t record_bytes;
    uint32_t capacity;
};

struct state_file { /* the first page */
    uint64_t magic;
    uint32_t layout;
    uint32_t number;
    uint64_t file_bytes;
    char     boot_id[BOOT_ID_BYTES];
    _Atomic uint64_t applied; /* the commit */
    _Atomic int64_t  tick_ms;
    _Atomic uint64_t filled;  /* 1 once what Redis held is in, or a batch was committed: until then the file counts as fresh */
    _Atomic uint64_t deleted;
    struct pool_entry pool[POOL_COUNT];
    uint64_t ids_offset; /* two generations of ids_count words: epoch << 48 | 48 bits of the hash */
    uint64_t ids_count;
    _Atomic uint64_t ids_epoch[STATE_ID_GENERATIONS]; /* + 1, of the newest word in each; 0 = none */
    uint64_t journal_offset, journal_bytes;
};

struct journal {
    _Atomic uint64_t batch;
    _Atomic uint64_t used; /* bytes of entries */
    uint64_t reserved[6];
};

struct journal_entry { /* followed by the old image, padded to 8 */
    uint64_t offset;   /* in the file */
    uint32_t bytes;
    uint32_t pool;     /* POOL_COUNT: not a record */
};

struct pool_index { /* private memory */
    uint32_t *slot;    /* record index + 1; 0 = empty. Open addressing, at most half full */
    uint32_t  mask;
    uint32_t *free;    /* stack of free records */
    uint32_t  free_count;
    uint32_t  used;
};

struct state {
    struct state_file *file;
    struct journal    *journal;
    uint64_t bytes;
    uint64_t batch; /* open batch, 0 = none */
    struct pool_index index[POOL_COUNT];
};

/* ---- the file ------------------------------------------------------------------------------------------ */

static const uint32_t RECORD_BYTES[POOL_COUNT] = {
    sizeof(struct product_record), sizeof(struct cell_record), sizeof(struct customer_record),
    sizeof(struct offer_record),   sizeof(struct zone_record), sizeof(struct source_record),
};

static uint64_t page_up(uint64_t bytes)
{
    return (bytes + STATE_PAGE - 1) / STATE_PAGE * STATE_PAGE;
}

uint64_t state_bytes_a_record(enum state_pool pool)
{
    return 2 * (uint64_t)RECORD_BYTES[pool] + sizeof(struct journal_entry);
}

static void plan_file(const struct config *config, uint32_t number, struct state_file *ret)
{
    bool common = number == RIALTO_PARTITIONS;
    const uint32_t capacity[POOL_COUNT] = {
        common ? 0 : capacity_of(config, POOL_PRODUCTS),  common ? 0 : capacity_of(config, POOL_CELLS),
        common ? 0 : capacity_of(config, POOL_CUSTOMERS), common ? 0 : capacity_of(config, POOL_OFFERS),
        common ? capacity_of(config, POOL_ZONES) : 0,     capacity_of(config, POOL_SOURCES),
    };
    memset(ret, 0, sizeof *ret);
    ret->magic = STATE_MAGIC;
    ret->layout = STATE_LAYOUT;
    ret->number = number;
    uint64_t at = STATE_PAGE, records = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        ret->pool[pool] = (struct pool_entry){ at, RECORD_BYTES[pool], capacity[pool] };
        uint64_t bytes = (uint64_t)RECORD_BYTES[pool] * capacity[pool];
        records += state_bytes_a_record((enum state_pool)pool) * capacity[pool] - bytes;
        at = page_up(at + bytes);
    }
    ret->ids_offset = at;
    ret->ids_count = ID_PLACES * (uint64_t)config->ids_max;
    at = page_up(at + 2 * ret->ids_count * sizeof(uint64_t));
    ret->journal_offset = at;
    /* A batch saves each record at most once, and one id word a part of a signal, of which there are three: it never runs over. */
    uint64_t ids = 3u * (uint64_t)config->batch_signals_max * (sizeof(struct journal_entry) + sizeof(uint64_t));
    ret->journal_bytes = page_up(sizeof(struct journal) + records + ids);
    ret->file_bytes = at + ret->journal_bytes;
}

uint32_t state_record_bytes(enum state_pool pool)
{
    return RECORD_BYTES[pool];
}

uint64_t state_file_bytes(const struct config *config, uint32_t number)
{
    struct state_file plan;
    plan_file(config, number, &plan);
    return plan.file_bytes;
}

static void read_boot_id(char ret[BOOT_ID_BYTES])
{
    memset(ret, 0, BOOT_ID_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return;
    ssize_t got = read(fd, ret, BOOT_ID_BYTES - 1);
    (void)close(fd);
    if (got <= 0)
        memset(ret, 0, BOOT_ID_BYTES);
}

/* Same plan and same boot: the pages in the kernel's cache are exactly what the dead owner stored, in its order. */
static bool is_usable(const struct state_file *file, const struct state_file *plan)
{
    return file->filled == 1 && file->magic == plan->magic && file->layout == plan->layout && file->number == plan->number &&
           file->file_bytes == plan->file_bytes && plan->boot_id[0] != '\0' &&
           memcmp(file->boot_id, plan->boot_id, BOOT_ID_BYTES) == 0 &&
           memcmp(file->pool, plan->pool, sizeof file->pool) == 0 && file->ids_count == plan->ids_count;
}

static enum rialto_status from_errno(int error)
{
    return error == ENOSPC ? RIALTO_NO_SPACE : error == EACCES || error == EPERM ? RIALTO_NO_PERMISSION : RIALTO_SYSTEM;
}

static enum rialto_status map_file(const char *path, const struct state_file *plan, struct state *state, bool *ret_fresh)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return from_errno(errno);
    struct stat info;
    enum rialto_status status = RIALTO_SYSTEM;
    struct state_file found = {0};
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
    status = RIALTO_OK;
out:
    (void)close(fd);
    return status;
}

/* ---- journal --------------------------------------------------------------------------------------------- */

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7u) & ~UINT64_C(7);
}

/* The image must be whole in the journal before the record changes: the compiler may not move the caller's stores above
 * this release. The processor's own order does not matter: a dead process's stores all reach the page cache. */
static void journal_save(struct state *state, void *target, uint32_t bytes, uint32_t pool)
{
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    uint64_t need = sizeof(struct journal_entry) + padded(bytes);
    assert(sizeof(struct journal) + used + need <= state->file->journal_bytes);
    char *entry = (char *)(state->journal + 1) + used;
    struct journal_entry head = { (uint64_t)((char *)target - (char *)state->file), bytes, pool };
    memcpy(entry, &head, sizeof head);
    memcpy(entry + sizeof head, target, bytes);
    atomic_store_explicit(&state->journal->used, used + need, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Entries are undone from the last to the first, because an id word may have been saved twice. */
static bool journal_undo(struct state *state)
{
    uint64_t used = atomic_load(&state->journal->used), count = 0;
    char *first = (char *)(state->journal + 1);
    uint64_t *start = malloc(used / sizeof(struct journal_entry) * sizeof *start + sizeof *start);
    if (start == NULL)
        return false;
    struct journal_entry head;
    for (uint64_t at = 0; at < used; at += sizeof head + padded(head.bytes)) {
        memcpy(&head, first + at, sizeof head);
        start[count++] = at;
    }
    while (count-- > 0) {
        memcpy(&head, first + start[count], sizeof head);
        memcpy((char *)state->file + head.offset, first + start[count] + sizeof head, head.bytes);
    }
    free(start);
    return true;
}

static enum rialto_status recover(struct state *state)
{
    uint64_t applied = atomic_load(&state->file->applied);
    if (atomic_load(&state->journal->batch) <= applied)
        return RIALTO_OK;
    if (!journal_undo(state))
        return RIALTO_NO_MEMORY;
    atomic_store(&state->journal->used, 0);
    atomic_store(&state->journal->batch, applied);
    return RIALTO_OK;
}

/* ---- private indexes -------------------------------------------------------------------------------------- */

static uint32_t *index_place(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    const struct pool_index *index = &state->index[pool];
    uint32_t at = (uint32_t)key.lo & index->mask;
    while (index->slot[at] != 0) {
        const struct state_head *head = state_at(state, pool, index->slot[at] - 1);
        if (head->key.lo == key.lo && head->key.hi == key.hi)
            break;
        at = (at + 1) & index->mask;
    }
    return &index->slot[at];
}

/* Closes the gap that a removed key leaves, so that later probes need no tombstones. */
static void index_remove(struct state *state, enum state_pool pool, struct rialto_key key)
{
    struct pool_index *index = &state->index[pool];
    uint32_t gap = (uint32_t)(index_place(state, pool, key) - index->slot);
    assert(index->slot[gap] != 0);
    for (uint32_t at = (gap + 1) & index->mask; index->slot[at] != 0; at = (at + 1) & index->mask) {
        const struct state_head *head = state_at(state, pool, index->slot[at] - 1);
        uint32_t home = (uint32_t)head->key.lo & index->mask;
        if (((at - home) & index->mask) >= ((at - gap) & index->mask)) {
            index->slot[gap] = index->slot[at];
            gap = at;
        }
    }
    index->slot[gap] = 0;
}

static uint32_t index_slots(uint32_t capacity)
{
    uint32_t slots = 8;
    while (slots < 2 * capacity)
        slots *= 2;
    return slots;
}

uint64_t state_index_bytes(const struct config *config, uint32_t number)
{
    struct state_file plan;
    uint64_t bytes = 0;
    plan_file(config, number, &plan);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        bytes += ((uint64_t)index_slots(plan.pool[pool].capacity) + plan.pool[pool].capacity + 1) * sizeof(uint32_t);
    return bytes;
}

static bool index_build(struct state *state, enum state_pool pool)
{
    struct pool_index *index = &state->index[pool];
    uint32_t capacity = state_capacity(state, pool), slots = index_slots(capacity);
    index->mask = slots - 1;
    index->slot = calloc(slots, sizeof *index->slot);
    index->free = calloc((size_t)capacity + 1, sizeof *index->free);
    if (index->slot == NULL || index->free == NULL)
        return false;
    for (uint32_t i = capacity; i-- > 0;) { /* from the end, so that the lowest free record is used first */
        const struct state_head *head = state_at(state, pool, i);
        if (head->key.lo == 0 && head->key.hi == 0) {
            index->free[index->free_count++] = i;
            continue;
        }
        *index_place(state, pool, head->key) = i + 1;
        index->used++;
    }
    return true;
}

enum rialto_status state_open(const struct config *config, uint32_t number, uint32_t worker, struct state **ret,
                              bool *ret_fresh)
{
    assert(number <= RIALTO_PARTITIONS);
    char path[CONFIG_TEXT_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/state", config->data_dir);
    if (mkdir(path, 0700) == -1 && errno != EEXIST)
        return from_errno(errno);
    if (number == RIALTO_PARTITIONS)
        (void)snprintf(path, sizeof path, "%s/state/common.w%u.v%u", config->data_dir, worker, STATE_LAYOUT);
    else
        (void)snprintf(path, sizeof path, "%s/state/p%02u.v%u", config->data_dir, number, STATE_LAYOUT);

    struct state_file plan;
    plan_file(config, number, &plan);
    read_boot_id(plan.boot_id);
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = map_file(path, &plan, state, ret_fresh);
    if (status == RIALTO_OK) {
        status = recover(state);
        for (int pool = 0; pool < POOL_COUNT && status == RIALTO_OK; pool++)
            status = index_build(state, (enum state_pool)pool) ? RIALTO_OK : RIALTO_NO_MEMORY;
    }
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
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        free(state->index[pool].slot);
        free(state->index[pool].free);
    }
    if (state->file != NULL)
        (void)munmap(state->file, state->bytes);
    free(state);
}

uint64_t state_applied(const struct state *state)
{
    return atomic_load_explicit(&state->file->applied, memory_order_relaxed);
}

void state_set_applied(struct state *state, uint64_t seq)
{
    assert(state->batch == 0);
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

/* ---- records ------------------------------------------------------------------------------------------------ */

uint32_t state_capacity(const struct state *state, enum state_pool pool)
{
    return state->file->pool[pool].capacity;
}

uint32_t state_used(const struct state *state, enum state_pool pool)
{
    return state->index[pool].used;
}

void *state_at(const struct state *state, enum state_pool pool, uint32_t index)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    assert(index < entry->capacity);
    return (char *)state->file + entry->offset + (uint64_t)index * entry->record_bytes;
}

uint32_t state_find(const struct state *state, enum state_pool pool, struct rialto_key key)
{
    uint32_t slot = *index_place(state, pool, key);
    return slot == 0 ? STATE_NONE : slot - 1;
}

bool state_load(struct state *state, enum state_pool pool, const struct state_head *image)
{
    struct pool_index *index = &state->index[pool];
    uint32_t *place = index_place(state, pool, image->key);
    if (index->free_count == 0 || *place != 0)
        return false;
    uint32_t at = index->free[--index->free_count];
    memcpy(state_at(state, pool, at), image, state->file->pool[pool].record_bytes);
    *place = at + 1;
    index->used++;
    return true;
}

void state_begin(struct state *state, uint64_t batch)
{
    if (state->batch == batch)
        return;
    assert(state->batch == 0);
    assert(batch > state_applied(state));
    /* Emptied before it is claimed for the new batch: a crash between the two stores undoes nothing. */
    atomic_store_explicit(&state->journal->used, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&state->journal->batch, batch, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    state->batch = batch;
}

bool state_is_open(const struct state *state)
{
    return state->batch != 0;
}

void *state_touch(struct state *state, enum state_pool pool, uint32_t index)
{
    assert(state->batch != 0);
    struct state_head *head = state_at(state, pool, index);
    if (head->seq != state->batch) {
        journal_save(state, head, state->file->pool[pool].record_bytes, pool);
        head->seq = state->batch;
    }
    return head;
}

uint32_t state_insert(struct state *state, enum state_pool pool, struct rialto_key key)
{
    struct pool_index *index = &state->index[pool];
    if (index->free_count == 0)
        return STATE_NONE;
    uint32_t at = index->free[--index->free_count];
    struct state_head *head = state_touch(state, pool, at);
    uint64_t seq = head->seq;
    uint32_t *place = index_place(state, pool, key);
    assert(*place == 0);
    memset(head, 0, state->file->pool[pool].record_bytes);
    head->seq = seq;
    head->key = key;
    *place = at + 1;
    index->used++;
    return at;
}

void state_delete(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_head *head = state_touch(state, pool, index);
    index_remove(state, pool, head->key);
    /* seq stays: within this batch the record must not be saved a second time. */
    uint64_t seq = head->seq;
    memset(head, 0, state->file->pool[pool].record_bytes);
    head->seq = seq;
    state->index[pool].free[state->index[pool].free_count++] = index;
    state->index[pool].used--;
    atomic_store_explicit(&state->file->deleted, state->batch, memory_order_relaxed);
}

/* Two generations of ID_WINDOW_MS each: an id is remembered for at least one window and at most two. A word of an older epoch
 * counts as empty, so nothing is ever cleared. Past ID_PROBE_MAX full places the last one is overwritten: the window then is
 * shorter for the id that stood there. */
static uint64_t *ids_generation(const struct state *state, uint64_t epoch)
{
    return (uint64_t *)(void *)((char *)state->file + state->file->ids_offset) + (epoch & 1u) * state->file->ids_count;
}

static uint64_t id_word(uint64_t epoch, uint64_t id_hash)
{
    uint64_t word = epoch << 48 | (id_hash & ID_HASH_MASK);
    return word == 0 ? 1 : word;
}

/* The place of the word, or the first place free for it, or the last one looked at. */
static uint64_t *id_place(const struct state *state, uint64_t epoch, uint64_t id_hash)
{
    uint64_t *generation = ids_generation(state, epoch), *place = NULL;
    for (uint64_t i = 0, at = (id_hash & ID_HASH_MASK) >> ID_HOME_SHIFT; i < ID_PROBE_MAX; i++, at++) {
        place = &generation[at % state->file->ids_count];
        if (*place == id_word(epoch, id_hash) || *place == 0 || *place >> 48 != epoch)
            break;
    }
    return place;
}

static uint64_t id_epoch(int64_t tick_ms)
{
    return (uint64_t)(tick_ms / ID_WINDOW_MS) & 0xFFFFu;
}

bool state_seen(const struct state *state, uint64_t id_hash, int64_t tick_ms)
{
    uint64_t now = id_epoch(tick_ms), before = (now - 1) & 0xFFFFu;
    return *id_place(state, now, id_hash) == id_word(now, id_hash) ||
           *id_place(state, before, id_hash) == id_word(before, id_hash);
}

void state_remember(struct state *state, uint64_t id_hash, int64_t tick_ms)
{
    uint64_t now = id_epoch(tick_ms);
    uint64_t *place = id_place(state, now, id_hash);
    if (*place != 0 && *place >> 48 == now && *place != id_word(now, id_hash))
        metric_add(METRIC_ids_forgotten_total, 1);
    journal_save(state, place, sizeof *place, POOL_COUNT);
    *place = id_word(now, id_hash);
}

/* An id word's entry holds what stood there before: of the same ten minutes, it was overwritten by one too many. */
bool state_id_changed(const struct state *state, uint64_t *at, uint32_t *ret_generation, uint64_t *ret_word,
                      bool *ret_first)
{
    assert(state->batch == 0);
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    while (*at < used) {
        const char *entry = (const char *)(state->journal + 1) + *at;
        struct journal_entry head;
        uint64_t before, word;
        memcpy(&head, entry, sizeof head);
        *at += sizeof head + padded(head.bytes);
        if (head.pool != POOL_COUNT)
            continue;
        memcpy(&before, entry + sizeof head, sizeof before);
        memcpy(&word, (const char *)state->file + head.offset, sizeof word);
        if (before != 0 && before >> 48 == word >> 48)
            continue;
        *ret_generation = (uint32_t)(word >> 48 & 1u);
        *ret_word = word;
        *ret_first = state->file->ids_epoch[*ret_generation] != (word >> 48) + 1;
        atomic_store_explicit(&state->file->ids_epoch[*ret_generation], (word >> 48) + 1, memory_order_relaxed);
        return true;
    }
    return false;
}

uint64_t state_ids_room(const struct state *state)
{
    return state->file->ids_count;
}

uint64_t state_id_at(const struct state *state, uint32_t generation, uint64_t place)
{
    assert(generation < STATE_ID_GENERATIONS && place < state->file->ids_count);
    return ids_generation(state, generation)[place];
}

void state_load_id(struct state *state, uint64_t word)
{
    uint64_t epoch = word >> 48;
    if (word == 0)
        return;
    *id_place(state, epoch, word) = word;
    atomic_store_explicit(&state->file->ids_epoch[epoch & 1u], epoch + 1, memory_order_relaxed);
}

void state_commit(struct state *state)
{
    assert(state->batch != 0);
    atomic_store_explicit(&state->file->applied, state->batch, memory_order_release);
    atomic_store_explicit(&state->file->filled, 1, memory_order_relaxed);
    state->batch = 0;
}

bool state_changed(const struct state *state, uint64_t *at, enum state_pool *ret_pool, uint32_t *ret_index,
                   const struct state_head **ret_old)
{
    assert(state->batch == 0);
    uint64_t used = atomic_load_explicit(&state->journal->used, memory_order_relaxed);
    while (*at < used) {
        const char *entry = (const char *)(state->journal + 1) + *at;
        struct journal_entry head;
        memcpy(&head, entry, sizeof head);
        *at += sizeof head + padded(head.bytes);
        if (head.pool >= POOL_COUNT)
            continue;
        const struct pool_entry *pool = &state->file->pool[head.pool];
        *ret_pool = (enum state_pool)head.pool;
        *ret_index = (uint32_t)((head.offset - pool->offset) / pool->record_bytes);
        *ret_old = (const struct state_head *)(const void *)(entry + sizeof head);
        return true;
    }
    return false;
}

void state_wipe_journal(struct state *state)
{
    assert(state->batch == 0);
    uint64_t used = atomic_exchange(&state->journal->used, 0);
    memset(state->journal + 1, 0, used);
}
