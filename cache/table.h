/* table.h - writing side of the cache: create the files once, then one owner per partition writes lines.
 *
 *   prepare --cache_create()--> [ header | 64 segments | lines ... + extents ]  worker --table_claim/write/delete()--> lines
 *                                                                                readers --mmap PROT_READ--> cache/reader.c
 *
 * Owner      the prepare step of rialtod creates the files; they outlive every worker.
 * Writer     exactly one process per partition; a second writer breaks the invariant.
 * Crash      a writer that dies inside a line leaves it odd: readers take the side copy, table_repair() puts it back.
 * Not here   what a line means (service/publish.c), how it is read (cache/reader.c). */
#ifndef CACHE_TABLE_H
#define CACHE_TABLE_H

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_plan {     /* what to create */
    const char *folder; /* created with mode 0750 if missing; its parent must be there */
    const char *instance;
    int64_t group_id; /* gid for files (0640), -1 = leave */
    /* Lines that are to fit at most, in all, and how many of them one id brings with it into its partition (0 = 1). Each
     * partition gets cache_share() of them, and a third more, so that probes stay short: a large table is three quarters full
     * when it holds all. */
    uint64_t lines[RIALTO_TABLE_COUNT];
    uint32_t group[RIALTO_TABLE_COUNT];
    /* Of that, how much there is room for at once, in percent; 0 = all of it. Tables grow in their files up to the whole. */
    uint32_t start_percent;
    uint32_t workers; /* rings; 1..RIALTO_WORKERS_MAX */
    const char *beside;    /* name of a file that somebody makes in the folder afterwards; NULL = none */
    uint64_t beside_bytes; /* room that is to be left for it */
    uint8_t secret[RIALTO_SECRET_BYTES];
    uint8_t geohash_lengths[2];
    uint8_t path_depths[3];
    uint32_t stale_after_ms;
    uint32_t personal_stale_ms;
    bool demo;
};

/* cache_share - most lines of one partition when `total` lines are spread by the hash of ids that bring `group` lines each:
 * its share, four standard deviations, and 64 because a few lines are spread more unevenly than that. */
uint64_t cache_share(uint64_t total, uint32_t group);

/* cache_room_for - bytes of a table that are planned for every `bytes` of lines: a third more, as said above. */
uint64_t cache_room_for(uint64_t bytes);

/* cache_lines_max - lines that each partition's segment may grow to. */
uint64_t cache_lines_max(const struct cache_plan *plan, enum rialto_table table);

/* cache_create - make the folder ready for this plan.
 * Files already there with the same layout, secret, maxima and workers, made since this boot, are kept as they are, grown or
 * not (their readers go on), and *ret_kept is true; the settings in control are refreshed. Anything else: new files are made,
 * the old ones marked replaced and unlinked. One process at a time. What tables start with is reserved for real
 * (posix_fallocate), and there must be room for all that they may grow to, and for the file beside them: on NO_SPACE
 * *ret_bytes_missing says how much more the folder needs; where that is known beforehand the old files stay. Files that are kept are
 * so whatever the room: then it says how much they miss to grow to the whole.
 * Returns RIALTO_OK, NO_SPACE, NO_PERMISSION, NO_MEMORY, SYSTEM; BAD_INPUT for a number of workers out of range, a table larger
 * than RIALTO_TABLE_BYTES_MAX, or more zones or products than a cell can name (RIALTO_ZONE_SLOTS_MAX,
 * RIALTO_PRODUCT_SLOTS_MAX lines a partition, slack included). */
enum rialto_status cache_create(const struct cache_plan *plan, bool *ret_kept, uint64_t *ret_bytes_missing);

/* cache_bytes_max - shared memory of the plan when every table has grown to the whole; cache_bytes_start - at creation. */
uint64_t cache_bytes_max(const struct cache_plan *plan);
uint64_t cache_bytes_start(const struct cache_plan *plan);
/* cache_bytes_needed - that a file system must have free for the folder, so that all of it fits: tables, the file beside them, the rest. */
uint64_t cache_bytes_needed(const struct cache_plan *plan);
/* cache_table_bytes - of one table's file: when it is made, and grown to the whole. */
uint64_t cache_table_bytes(const struct cache_plan *plan, enum rialto_table table, bool grown);

/* cache_remove - retire and unlink every file of the folder, and the folder. Used on a clean stop that asks for it. */
void cache_remove(const char *folder);

struct cache; /* all files of a folder mapped for writing */
enum rialto_status cache_open(const char *folder, struct cache **ret);
void cache_close(struct cache *cache);
struct rialto_control *cache_control(struct cache *cache);

#define SLOT_NONE UINT64_MAX

/* table_find - slot of a key in its partition, or SLOT_NONE. Owner only. */
uint64_t table_find(const struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key);

/* table_claim - slot for a key: the one it has, or a free one that is chosen but not yet marked: the next table_write() to
 * it makes it the key's. Between the two nothing may be claimed or deleted in the same partition of the table. A slot is the
 * key's until the key is deleted: growth moves no line. A new key may make the segment grow, which takes one slice of
 * FOLDER_LARGE_PAGE at most unless keys came faster than slices; the process must have cache_open()ed the folder itself.
 * RIALTO_OK or FULL (the segment is as large as it may be, or the file system is full, and RIALTO_PROBE_MAX lines of each
 * extent are taken). A place that its tag calls free while another key's line stands there is that key's: the tag is put right and
 * counted (struct table_growth), and the next place is looked at. Owner only. */
enum rialto_status table_claim(struct cache *cache, enum rialto_table table, uint32_t partition, struct rialto_key key,
                               uint64_t *ret_slot);

/* table_write - publish a line image (64, 128 or 256 bytes as the table's line size; its seq is ignored, its key must be set).
 * Returns false and writes nothing when the line already reads the same, seq aside. The slot is the key's by table_claim() or
 * table_find(): another key's line that damage put there is overwritten, and counted. Owner only. */
bool table_write(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, const void *line);
/* table_exchange - the same of a line of 64 bytes, which also says what stood there, as table_read() would have: *ret_was false: nobody's
 * line did. */
bool table_exchange(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, const void *line, void *ret_before,
                    bool *ret_was);

/* table_prefetch - begin to fetch a line that is soon to be written. A worker that knows its next places asks some lines
 * ahead: waiting for memory is most of what a write costs. */
void table_prefetch(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot);

/* table_read - the owner's own plain copy of a line. False for an empty or deleted one. */
bool table_read(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot, void *ret_line);

/* table_next - the first slot at or behind `from` whose line is somebody's; SLOT_NONE. Looks at tags only. Owner only. */
uint64_t table_next(const struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t from);

/* table_delete - the line reads as absent from now on, and its bytes (key included) are overwritten, the side copy's too. */
void table_delete(struct cache *cache, enum rialto_table table, uint32_t partition, uint64_t slot);

/* table_repair - after the death of a partition's owner, before the successor writes: finish what it left open. */
void table_repair(struct cache *cache, enum rialto_table table, uint32_t partition);

/* table_capacity - lines of a segment as it is; table_capacity_max - as large as it may grow. */
uint64_t table_capacity(const struct cache *cache, enum rialto_table table, uint32_t partition);
uint64_t table_capacity_max(const struct cache *cache, enum rialto_table table);
uint64_t table_used(const struct cache *cache, enum rialto_table table, uint32_t partition);

struct table_growth {           /* what this process has seen */
    uint64_t steps;             /* slices reserved or refused */
    uint64_t extents;           /* published */
    uint64_t refused;           /* attempts that found no space */
    enum rialto_status refusal; /* why the last one was */
    uint64_t slowest_us;        /* longest that a claim waited for it */
    uint64_t regions_lost;      /* of the file: addresses, not space, that owners may have lost by dying */
    uint64_t healed; /* tags that were not those of their lines, put right: somebody else wrote to the file */
};
struct table_growth table_growth(const struct cache *cache, enum rialto_table table);

/* table_room_again - has the file system room for a slice of growth? Then claims ask it again at once, whatever it said before. */
bool table_room_again(struct cache *cache);

/* rule_append - number of the row that says the same as this one, appended if there is none. Only prepare calls this.
 * RIALTO_OK or FULL. */
enum rialto_status rule_append(struct cache *cache, const struct rialto_rule_row *row, uint16_t *ret_rule);
/* rule_find - number of the row of a model (by text hash) and currency. RIALTO_OK or NOT_FOUND. */
enum rialto_status rule_find(const struct cache *cache, uint64_t model_hash, const char currency[4],
                             uint16_t *ret_rule);
const struct rialto_rule_row *rule_at(const struct cache *cache, uint16_t rule);

/* ring_append - tell followers that a line changed; entry.seq is set here. One writer per ring. */
void ring_append(struct cache *cache, uint32_t worker, const struct rialto_ring_entry *entry);
#endif
