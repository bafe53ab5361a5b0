/* state_parts.h - the state file byte by byte, shared by the files that implement state.h. Nobody else includes it.
 *
 *   [ header | per pool: records, links, buckets, wheel, newest | ids | journal ]
 *
 *   records   what Redis holds too (state.h)
 *   links     one beside each record: its place in the hash chain or the free list, in its deadline's slot, in its owner's list.
 *             Never in Redis; built anew when a fresh file is filled
 *   buckets   heads of hash chains     wheel   heads of deadline slots (state_due.c)
 *   newest    newest batch per STATE_BLOCK records, so that "changed since" needs no look at each of them. An upper bound: not undone
 *
 * Invariant  every block but `newest`, a link's `priced` and `line_stale` is saved to the journal before its first change in a batch,
 *            once: its first word is the batch that saved it. Of a cell the demand or the price may be saved first and the rest later. So the undo of a batch is exact, indexes included, and the journal cannot run over.
 * Numbers    of records are kept plus one: a file of zeros is an empty, valid one. */
#ifndef SERVICE_STATE_PARTS_H
#define SERVICE_STATE_PARTS_H

#include "service/state.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#define STATE_PAGE       4096u
#define STATE_HEADS      14u /* heads in a 64-byte block */
#define STATE_BOOT_BYTES 40u
#define DUE_SLOTS        1025u /* four levels of 256, and one for what is further off */

struct state_heads {
    uint64_t seq;
    uint32_t head[STATE_HEADS];
};
_Static_assert(sizeof(struct state_heads) == 64, "one line of the processor's cache");

struct state_link {
    uint64_t seq;
    int64_t due_ms;              /* where it stands in the wheel; 0 = nowhere */
    uint32_t chain;              /* next in the bucket, or next free record */
    uint32_t due_next, due_prev; /* due_prev: DUE_FIRST | slot for the first of a slot */
    union { /* not journalled */
        uint32_t priced;     /* of a product: low half of the tick of its last prices; 0 = not known */
        uint32_t line_stale; /* of a cell: its line could not be written, or not yet */
    };
    union {
        struct {
            uint32_t first, count;
        }; /* of products and customers: their cells, their offers */
        struct {
            uint32_t owner, next;
        }; /* of cells and offers */
    };
};
_Static_assert(sizeof(struct state_link) == 40, "journalled in 8-byte words");
#define DUE_FIRST UINT32_C(0x80000000)

struct pool_entry {                                  /* where a pool is in the file */
    uint64_t records, links, buckets, wheel, newest; /* wheel 0 = its records have no deadlines */
    uint32_t record_bytes, capacity;
};

struct pool_meta { /* journalled as one block */
    uint64_t seq;
    uint64_t cursor;     /* of the wheel, in its units */
    uint32_t used, free; /* free: first of the list, plus one */
    uint32_t fresh;      /* records from here on were never used */
    uint32_t reserved;
};

struct state_file { /* the first page */
    uint64_t magic;
    uint32_t layout;
    uint32_t number;
    uint64_t file_bytes;
    char boot_id[STATE_BOOT_BYTES];
    _Atomic uint64_t applied; /* the commit */
    _Atomic int64_t tick_ms;
    _Atomic uint64_t
        filled; /* 1 once what Redis held is in, or a batch was committed: until then the file counts as fresh */
    _Atomic uint64_t deleted;
    _Atomic uint64_t lines_of[2]; /* the cache and the models that its lines were last wholly published for; 0 = none */
    _Atomic uint64_t lines_owed;  /* 1: the line of some cell could not be written */
    struct pool_entry pool[POOL_COUNT];
    struct pool_meta meta[POOL_COUNT];
    uint64_t ids_offset; /* two generations of ids_count words: epoch << 48 | 48 bits of the hash */
    uint64_t ids_count;
    _Atomic uint64_t ids_epoch[STATE_ID_GENERATIONS]; /* + 1, of the newest word in each; 0 = none */
    uint64_t journal_offset, journal_bytes;
    _Atomic uint64_t lines_refused; /* 1: some record has no line, because the file system of the tables was full */
};
_Static_assert(sizeof(struct state_file) <= STATE_PAGE, "one page");

struct journal {
    _Atomic uint64_t batch;
    _Atomic uint64_t used; /* bytes of entries */
    uint64_t reserved[6];
};

enum { JOURNAL_BLOCK = POOL_COUNT, JOURNAL_ID, JOURNAL_PRICE, JOURNAL_DEMAND };

struct journal_entry { /* followed by the old image, padded to 8 */
    uint64_t offset;   /* in the file */
    uint32_t bytes;
    uint32_t pool; /* of a record, or a JOURNAL_* */
};

/* Image of the part of a cell that pricing changes. Its entry has the offset of the whole record. */
#define PRICE_BEGIN offsetof(struct cell_record, published)
#define PRICE_END   offsetof(struct cell_record, demand)
struct price_image {
    struct state_head head;
    unsigned char published[PRICE_END - PRICE_BEGIN];
};
_Static_assert(offsetof(struct cell_record, opened) > PRICE_BEGIN && offsetof(struct cell_record, guards) < PRICE_END,
               "what pricing changes is in one piece");
_Static_assert(sizeof(struct price_image) % 8 == 0, "journalled in 8-byte words");

/* Image of the part of a cell that demand changes: the word with the count, and the sums. */
#define DEMAND_WORD offsetof(struct cell_record, currency) /* currency, competitors, event_count */
#define DEMAND_END  (offsetof(struct cell_record, rates) + sizeof(struct demand_rates))
struct demand_image {
    struct state_head head;
    uint64_t word;
    unsigned char sums[DEMAND_END - PRICE_END];
};
_Static_assert(offsetof(struct cell_record, rates) == offsetof(struct cell_record, demand) + sizeof(struct demand),
               "one piece");
_Static_assert(offsetof(struct cell_record, event_count) == DEMAND_WORD + 4 &&
               offsetof(struct cell_record, supply_time_ms) == DEMAND_WORD + 8, "one word");
_Static_assert(sizeof(struct demand_image) % 8 == 0, "journalled in 8-byte words");

/* A cell whose demand, price and rest are saved one after the other, in four entries, takes so much more than one that is saved at
 * once: three more entries, and head and word once more. */
#define CELL_SPLIT_BYTES (3 * sizeof(struct journal_entry) + sizeof(struct state_head) + sizeof(uint64_t))

/* Of the newest batch, in the order of first touch: who looks what changed need not walk through images. Room for all that there can be:
 * memory that the kernel gives when it is touched. */
struct listed_record {
    uint64_t place; /* in the journal */
    uint32_t index;
    uint32_t pool; /* or JOURNAL_PRICE */
};
struct listed {
    struct listed_record *record; /* whose entry is where, or whose price's */
    uint64_t *id;     /* and an id word's */
    uint32_t *demand; /* cells whose demand was saved by itself */
    uint32_t records, ids, demands;
};

struct state {
    struct state_file *file;
    struct journal *journal;
    uint64_t bytes;
    uint64_t batch;              /* open batch, 0 = none */
    uint32_t *saved; /* per cell: the turn in which parts of it were saved, and nothing else of it, + SAVED_* */
    uint32_t turn;   /* of the batch, in steps of SAVED_PARTS: never 0 in one */
    struct listed listed;
    struct cell_record *before;  /* what state_changed() shows of a price's image */
    int64_t wake_ms[POOL_COUNT]; /* nothing in the pool's wheel needs a look before this; INT64_MIN = not known yet */
};

/* journal_save - the old image of `bytes` at `target`, which is no record, before they change. journal_save_record - of a record. */
void journal_save(struct state *state, void *target, uint32_t bytes, uint32_t pool);
void journal_save_record(struct state *state, struct state_head *record, enum state_pool pool, uint32_t index);
/* journal_save_price, _demand - the same of the part of a cell that pricing changes, or demand. journal_save_rest - and later of what
 * was not `saved`. */
void journal_save_price(struct state *state, const struct cell_record *record, uint32_t cell);
void journal_save_demand(struct state *state, const struct cell_record *record, uint32_t cell);
void journal_save_rest(struct state *state, struct cell_record *record, uint32_t saved);
/* journal_at - the old image of the entry at a place that is listed. */
const void *journal_at(const struct state *state, uint64_t place, struct journal_entry *ret);
/* listed_setup, listed_teardown - of what is kept beside the file; a batch that was committed is listed again. False: out of memory. */
bool listed_setup(struct state *state);
void listed_teardown(struct state *state);
/* journal_recover - undo a batch that its owner left open. False when memory ran out. */
bool journal_recover(struct state *state);

/* due_unlink - take a record out of the wheel; its link is saved already. */
void due_unlink(struct state *state, enum state_pool pool, uint32_t index);

enum { SAVED_PRICE = 1, SAVED_DEMAND = 2, SAVED_PARTS = 4 };

/* Which parts of a cell were saved in this batch, and no more than these parts. */
static inline uint32_t parts_saved(const struct state *state, uint32_t cell)
{
    uint32_t saved = state->saved[cell];
    return saved / SAVED_PARTS == state->turn / SAVED_PARTS ? saved % SAVED_PARTS : 0;
}

static inline void parts_set_saved(struct state *state, uint32_t cell, uint32_t parts)
{
    state->saved[cell] = state->turn + parts;
}

static inline size_t saved_bytes(const struct state *state)
{
    return ((size_t)state->file->pool[POOL_CELLS].capacity + 1) * sizeof(uint32_t);
}

static inline void *state_part(const struct state *state, uint64_t offset)
{
    return (char *)state->file + offset;
}

/* Outside a batch (a fresh file that is being filled) nothing is saved: the file counts as fresh until it is filled. */
static inline void block_touch(struct state *state, void *block, uint32_t bytes)
{
    uint64_t *seq = block;
    assert(state->batch != 0 || atomic_load_explicit(&state->file->filled, memory_order_relaxed) == 0);
    if (state->batch == 0 || *seq == state->batch)
        return;
    journal_save(state, block, bytes, JOURNAL_BLOCK);
    *seq = state->batch;
}

static inline struct pool_meta *meta_touch(struct state *state, enum state_pool pool)
{
    struct pool_meta *meta = &state->file->meta[pool];
    block_touch(state, meta, sizeof *meta);
    return meta;
}

static inline struct state_link *link_at(const struct state *state, enum state_pool pool, uint32_t index)
{
    const struct pool_entry *entry = &state->file->pool[pool];
    assert(index < entry->capacity);
    return (struct state_link *)state_part(state, entry->links) + index;
}

static inline struct state_link *link_touch(struct state *state, enum state_pool pool, uint32_t index)
{
    struct state_link *link = link_at(state, pool, index);
    block_touch(state, link, sizeof *link);
    return link;
}

/* Head number n of the array of blocks at `offset`. */
static inline uint32_t head_at(const struct state *state, uint64_t offset, uint32_t n)
{
    const struct state_heads *heads = state_part(state, offset);
    return heads[n / STATE_HEADS].head[n % STATE_HEADS];
}

static inline void head_set(struct state *state, uint64_t offset, uint32_t n, uint32_t value)
{
    struct state_heads *heads = (struct state_heads *)state_part(state, offset) + n / STATE_HEADS;
    block_touch(state, heads, sizeof *heads);
    heads->head[n % STATE_HEADS] = value;
}
#endif
