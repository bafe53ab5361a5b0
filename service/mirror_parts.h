/* mirror_parts.h - what the mirror's files share: queued records, and flushes on their way. */
#ifndef SERVICE_MIRROR_PARTS_H
#define SERVICE_MIRROR_PARTS_H

#include "service/mirror.h"
#include "service/redis_link.h"

#define MIRROR_SLOTS (RIALTO_PARTITIONS + 1u) /* partitions, and {common} last */

enum mirror_op {
    MIRROR_PUT, MIRROR_DELETE,
    MIRROR_SHEET, MIRROR_NO_SHEET, /* a sweep begins: onto a clean sheet beside what stands there, or into that */
    MIRROR_SWEPT,
    MIRROR_IDS, MIRROR_IDS_FIRST /* kind: generation */
};

struct mirror_record { /* in a commit, its value behind it, padded to 8 bytes */
    struct rialto_key key;
    uint32_t value_bytes;
    uint8_t partition; /* MIRROR_COMMON for {common} */
    uint8_t op;        /* enum mirror_op */
    char kind;
    uint8_t marked; /* the partition's mark may move to this commit's seq */
};

struct mirror_commit {
    struct mirror_commit *next;
    uint64_t seq;
    uint64_t durable_seq; /* once this is in Redis, everything up to this seq is; 0 = no such claim */
    size_t bytes;         /* of the records behind */
    uint32_t count;
    int64_t committed_us; /* monotonic */
};

static inline size_t mirror_record_bytes(const struct mirror_record *record)
{
    return sizeof *record + ((size_t)record->value_bytes + 7) / 8 * 8;
}

struct mirror_flush { /* transactions sent in one go, one per partition */
    uint64_t durable_seq;
    uint32_t records;
    uint32_t count;
    int64_t committed_us; /* of its oldest commit, monotonic */
    struct {
        uint64_t mark; /* that must stand in Redis before */
        uint32_t partition;
        uint32_t replies; /* MULTI's, then one per command, then EXEC's */
        bool swaps;       /* a clean sheet comes in place of what stood there */
    } transaction[MIRROR_SLOTS];
};

/* mirror_key - PREFIX:state:{p07}, PREFIX:mark:{common}. */
#define MIRROR_KEY_MAX (RIALTO_NAME_MAX + 32u)
int mirror_ids_key(const struct config *config, uint32_t partition, uint32_t generation, char ret[MIRROR_KEY_MAX]);
int mirror_key(const struct config *config, const char *what, uint32_t partition, char ret[MIRROR_KEY_MAX]);

/* mirror_flush_send - append and send the commits' records: per partition MULTI, GET mark, DEL sheet, HSET, HDEL, RENAME sheet, SET
 * mark XX, EXEC. Of several records of one field the last counts. marks[partition] is what the mark is now, and becomes
 * what it is set to; sheet[partition]: a sweep is writing a clean sheet. False: the link is dead (or memory ran out: then it is closed). */
bool mirror_flush_send(struct redis_link *link, const struct mirror_commit *commits, uint64_t marks[MIRROR_SLOTS],
                       bool sheet[MIRROR_SLOTS], struct mirror_flush *ret);

/* mirror_flush_receive - read all its replies. ret_held[partition] is lowered to the mark that stood there (0: none)
 * where it was not the expected one: Redis holds no more than that, and nothing that counts where a sheet was put in the place of another
 * Redis's state. False: the link is dead. */
bool mirror_flush_receive(struct redis_link *link, const struct mirror_flush *flush, uint64_t ret_held[MIRROR_SLOTS]);

/* mirror_keys_mend - keys of these partitions that hold another type than ours are put aside (KEY:odd), their marks with them. Nothing may be
 * on its way. False: the link is dead. */
bool mirror_keys_mend(struct redis_link *link, const bool own[MIRROR_SLOTS]);

/* mark_parse - a mark's value; nil and anything but the number of a batch: false. */
#define MIRROR_SEQ_MAX (UINT64_C(1) << 62) /* no batch has a larger number, and none ever will: half a million years of them */
bool mark_parse(const redisReply *reply, uint64_t *ret);
#endif
