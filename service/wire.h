/* wire.h - messages between gateway and worker: a fixed binary format with a version. The decoder trusts nothing.
 *
 *   gateway --BATCH(seq, prev, tick, records)--> worker          over one Unix socket per worker (service/stream.h)
 *   gateway <--HELLO(applied, findings)--------- worker          at each (re)connect, and when a batch is missing
 *   gateway <--ACK(applied, durable, findings)-- worker
 *   gateway --ASK(number, JSON)--> worker                        a question that changes nothing; never sent again
 *   gateway <--REPLY(number, JSON)-------------- worker
 *
 * A worker applies batch `seq` only if its `prev` is what it last applied (or at most that); it answers what it has applied before
 * with an ACK, and a gap with a HELLO. The gateway keeps every batch until it is acknowledged as applied, and sends again what comes
 * after `applied` after a HELLO. All numbers little-endian.
 *
 * Findings come with the first message that says that their batch is applied, or before it. What a stream had not said when it ended may
 * be lost, with its worker or on the way: of what the first HELLO of the next one has applied beyond the last ACK, only what is found there
 * is known, and nobody is told that the rest was taken.
 *
 * Numbers of batches are multiples of WIRE_SEQ_STRIDE. Those in between belong to the parts of a batch that had to be taken apart,
 * because it killed its worker again and again (gateway_poison.c): they lie just below the number of the whole. */
#ifndef SERVICE_WIRE_H
#define SERVICE_WIRE_H

#include "service/signal.h"

#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC   UINT32_C(0x52494C57)
#define WIRE_VERSION 10u
#define WIRE_SEQ_STRIDE UINT64_C(32768) /* more than there are signals in a batch */

enum wire_kind { WIRE_BATCH = 1, WIRE_HELLO = 2, WIRE_ACK = 3, WIRE_ASK = 4, WIRE_REPLY = 5 };

struct wire_header {         /* offset */
    uint32_t magic;          /*  0 */
    uint16_t version;        /*  4 */
    uint16_t kind;           /*  6 */
    uint64_t seq;            /*  8  BATCH: its number; HELLO, ACK: newest batch applied by this worker */
    uint64_t prev;           /* 16  BATCH: the one before it for this worker; HELLO, ACK: newest batch durable in Redis */
    int64_t  tick_ms;        /* 24  BATCH: service time, a multiple of the grid */
    uint32_t count;          /* 32  records or findings that follow; ASK, REPLY: bytes of text */
    uint32_t worker;         /* 36  index */
    uint32_t flags;          /* 40  ACK, HELLO: WIRE_REDIS_UP, _DISK; BATCH: WIRE_ANSWERED, WIRE_MORE */
    union {                  /* 44 */
        uint32_t life;       /*     HELLO: tells one process of this worker from the next */
        uint32_t held;       /*     ACK: prices that the newest order of the change in force holds, plus 1; 0 = not counted */
        uint32_t ask;        /*     ASK, REPLY: number of the question */
        uint32_t arrived_us; /*     BATCH: low bits of CLOCK_MONOTONIC when its first signal arrived, for metrics; 0: none did */
    };
};
_Static_assert(sizeof(struct wire_header) == 48, "wire format");
#define WIRE_REDIS_UP 1u
#define WIRE_REDIS_DISK 2u   /* appendfsync always */
#define WIRE_ANSWERED   4u   /* somebody waits until this batch is in Redis: what is gathered goes there at once */
#define WIRE_MORE       8u   /* nobody waits, and more signals do: prices may wait, to the next tick at the latest */

#define WIRE_TYPE_WATCH 200u /* not a signal: open a Redis quote for (customer, sku); lease_s = for how long */

#define WIRE_TYPE_LOCK 202u /* not a signal: this price is promised, if it was the customer's; PART_CUSTOMER, with a WIRE_FIELD_LOCK */
#define WIRE_FIELD_LOCK 255u
#define WIRE_FIELD_PRICED 254u /* of demand's customer part: a struct wire_priced */
#define WIRE_PRICES_MAX 8u  /* changes of one product's price that a lock can look back over */

struct wire_price {             /* offset; what a product cost from here on, up to the next one */
    int64_t from_us;            /*  0  as in service/past.h */
    struct rialto_cell_line line; /* 8  a key of zeros: it had no price */
};
struct wire_lock {              /* offset */
    uint8_t  nonce[16];         /*  0  of the signed text */
    uint64_t request;           /* 16  keyed hash of the request: the same one again is the same lock */
    uint32_t count;             /* 24 */
    uint32_t reserved;          /* 28  0 */
    struct wire_price price[WIRE_PRICES_MAX]; /* 32  newest first; `count` of them travel */
};
_Static_assert(sizeof(struct wire_price) == 72 && sizeof(struct wire_lock) == 32 + 72 * WIRE_PRICES_MAX, "wire format");

/* What the product of a demand signal cost everybody where and when it arrived, and which model said so. The customer's owner does not know
 * products: this travels with the signal, so that what it decides rests on the batch alone. */
struct wire_priced {             /* offset */
    int64_t  baseline;           /*  0  minor units, at least 1 */
    uint16_t currency;           /*  8  ISO number */
    uint8_t  forbidden;          /* 10  RIALTO_KIND_* that may move no price there */
    uint8_t  reserved[5];        /* 11  0 */
    char     model[RIALTO_NAME_MAX]; /* 16  with its 0 */
};
_Static_assert(sizeof(struct wire_priced) == 48, "wire format");

#define WIRE_TYPE_CHANGE 201u /* not a signal: the change whose number stands in id_hash is in force from here on; PART_COMMON */

struct wire_record {         /* offset; a part of one signal */
    uint32_t bytes;          /*  0  with this head and padding to 8 */
    uint8_t  type;           /*  4  enum signal_type, or a WIRE_TYPE_* */
    uint8_t  part;           /*  5  one PART_* */
    uint8_t  partition;      /*  6  of the part's owner; PART_COMMON: 0 */
    uint8_t  flags;          /*  7  WIRE_RECORD_REPEATED */
    uint32_t ref;            /*  8  number of the signal within its batch, for findings */
    uint32_t field_count;    /* 12  fields that follow: { u8 field, u8 0, u16 bytes, bytes..., } */
    int64_t  time_ms;        /* 16  event time */
    uint64_t id_hash;        /* 24  keyed hash of source and id, or of the source alone where it numbers its signals; 0 = none;
                              *     of a change its number */
    uint64_t number;         /* 32  the source's own number of the signal (seq), 0 = none */
};
_Static_assert(sizeof(struct wire_record) == 40, "wire format");

#define WIRE_RECORD_REPEATED 1u /* of demand: this visit did the same before */

struct wire_finding {        /* a worker's reason about one part */
    uint64_t seq;            /*  0 */
    uint32_t ref;            /*  8 */
    uint16_t reason;         /* 12  enum signal_reason */
    uint16_t part;           /* 14 */
};
_Static_assert(sizeof(struct wire_finding) == 16, "wire format");

/* wire_batch_number - the batch that a number belongs to: itself, or the whole that it is a part of. wire_batch_after - the first
 * number of a batch above `seq`. */
static inline uint64_t wire_batch_number(uint64_t seq)
{
    return (seq + WIRE_SEQ_STRIDE - 1) / WIRE_SEQ_STRIDE * WIRE_SEQ_STRIDE;
}
static inline uint64_t wire_batch_after(uint64_t seq)
{
    return (seq / WIRE_SEQ_STRIDE + 1) * WIRE_SEQ_STRIDE;
}

#define WIRE_ASK_MAX   (64u << 10) /* bytes of a question's text */
#define WIRE_REPLY_MAX (1u << 20)  /* bytes of an answer's text */

#define WIRE_RECORD_MAX 2048u /* bytes of the largest record */

/* wire_record_encode - the fields of one part of a signal. Returns the bytes written (at most WIRE_RECORD_MAX; room must be there). */
size_t wire_record_encode(const struct signal *signal, enum signal_part part, uint32_t partition, uint32_t ref,
                          uint64_t id_hash, uint64_t number, uint8_t *ret);

/* wire_record_decode - the next record of a message. *at moves on. False if the bytes are not a whole, valid record (lengths,
 * types, kinds, terminators, field numbers, ranges); then the message is to be dropped. */
bool wire_record_decode(const uint8_t *bytes, size_t size, size_t *at, struct wire_record *ret_head, struct signal *ret);

/* What demand says of a product (PART_PRODUCT), read where it lies: texts are in the message, and end in it. */
struct wire_demand {
    const char *sku, *zone, *seller; /* zone "": the world; seller NULL: none is named */
    int64_t quantity;                /* micro; a million where it was left out */
    char currency[4];                /* "": none is named */
    uint8_t event;                   /* enum demand_event */
    uint8_t sku_bytes, seller_bytes; /* without terminators */
};

/* wire_demand_decode - the next record, if it is demand's product part: most of what a worker gets. It takes and refuses what
 * wire_record_decode() does, and *at moves on as there. WIRE_OTHER: it may be a record of another kind; *at stands still. */
enum wire_read { WIRE_OTHER, WIRE_DEMAND, WIRE_BAD };
enum wire_read wire_demand_decode(const uint8_t *bytes, size_t size, size_t *at, struct wire_record *ret_head,
                                  struct wire_demand *ret);

/* wire_lock_of - what a lock was asked for with, as it travelled. */
void wire_lock_of(const struct signal *signal, struct wire_lock *ret);

/* wire_priced_of - what travelled with a demand signal. False: nothing did. */
bool wire_priced_of(const struct signal *signal, struct wire_priced *ret);

/* wire_header_check - a message's head, if it is one of ours and `size` is possible. NULL otherwise. */
const struct wire_header *wire_header_check(const void *bytes, size_t size);
#endif
