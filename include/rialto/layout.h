/* layout.h - the files of the cache folder, byte by byte: a published format.
 *
 *   control.v3    one page of settings that every reader needs, then one heartbeat line per partition
 *   cells.v3      (sku, zone)       -> baseline price                64-byte lines   readers
 *   terms.v3      (customer)        -> multipliers, zone             64-byte lines   readers
 *   offers.v3     (customer, sku)   -> personal offer or lock        64-byte lines   readers
 *   zones.v3      (zone)            -> its name and its ancestors   128-byte lines   readers
 *   products.v3   (sku)             -> names for people             256-byte lines   console, publishers
 *   rules.v3      rule number       -> currency, rounding, model    256-byte rows    readers
 *   rings.v3      what changed, one bounded ring per worker          64-byte entries followers
 *
 * Everything is little-endian and naturally aligned; a file holds offsets and plain words, never a pointer.
 * A keyed table is a header page, a directory that says where the lines of 64 segments lie, a block of words for
 * each segment's owner, then the lines. A segment belongs to one partition and has exactly one writer at a time: the
 * worker that owns the partition (partition mod workers). It is one to RIALTO_EXTENTS_MAX extents, each a hash table
 * with linear probing; a key is in one of them. Beside its lines an extent has one tag byte per line, and probing
 * looks at tags: 64 of them lie in one line of the processor's cache, and a line is touched only when its tag fits.
 *
 * Growth: an owner reserves room at the end of the file and publishes it as one more extent. Lines never move, so the
 * number of a line (its slot, counted through the extents in their order) holds as long as its key does, and a reader
 * that maps bytes_max once never maps again: it touches only what a published extent covers, which is within the file.
 *
 * Line protocol (cache/line.h implements it; nobody else touches the words):
 *   word 0 carries a 32-bit sequence in its low half: even = at rest, odd = its writer is inside.
 *   Before a writer opens a line it copies the last good version to the segment's side line, so that a
 *   reader never has to wait for a writer that is preempted or dead.
 *
 * Change a byte, and the layout number and the files' names change in the same commit. In every layout stand at the same
 * offsets: magic 0, layout 8, byte order 12 of every file; created 16, retired 28 and superseded_unix_ms 112 of control.
 * rialto/layout_fields.h lists every field once more, and checks each when this is compiled. */
#ifndef RIALTO_LAYOUT_H
#define RIALTO_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define RIALTO_ATOMIC /* C++ programs call the library and leave the words alone */
#else
#include <stdatomic.h>
#define RIALTO_ATOMIC _Atomic
#endif

/* The number is in the files' names: tables of two layouts stand side by side in one folder. */
#ifndef RIALTO_LAYOUT
#define RIALTO_LAYOUT 3
#endif
#define RIALTO_TEXT_(number)   #number
#define RIALTO_TEXT(number)    RIALTO_TEXT_(number)
#define RIALTO_FILE_SUFFIX     ".v" RIALTO_TEXT(RIALTO_LAYOUT)

#define RIALTO_BYTE_ORDER      UINT32_C(0x01020304)
#define RIALTO_CONTROL_MAGIC   UINT64_C(0x4C544352544C4952) /* "RILTRCTL" */
#define RIALTO_TABLE_MAGIC     UINT64_C(0x4C425452544C4952) /* "RILTRTBL" */

#define RIALTO_PARTITIONS      64u /* fixed for a data folder */
#define RIALTO_WORKERS_MAX     64u
#define RIALTO_PROBE_MAX       256u /* lines looked at for one key in one extent, at most */
#define RIALTO_EXTENTS_MAX     5u
#define RIALTO_TABLE_BYTES_MAX (UINT64_C(64) << 30) /* of a table's file, at most: addresses that a reader maps */
#define RIALTO_SECRET_BYTES    192u                 /* XXH3's secret */
#define RIALTO_GROUPS_MAX      16u
#define RIALTO_RULES_MAX       4096u
#define RIALTO_ZONE_LEVELS     4u     /* own zone, two ancestors, the world */
#define RIALTO_RING_ENTRIES    65536u /* per worker; a power of two */

#define RIALTO_ID_MAX          64u /* bytes of a sku, customer or zone id, with its terminating 0 */
#define RIALTO_NAME_MAX        32u /* bytes of a group, model, version, category name, with the 0 */

#define RIALTO_CACHE_FOLDER    "/dev/shm/rialto"

/* 128-bit keyed hash: a pseudonym and a place, not protection. The all-zero key means "empty line" and the
 * all-ones key is reserved; a hash that comes out as either is moved to a neighbour (cache/keys.c). */
struct rialto_key { /* offset */
    uint64_t lo;    /*   0  chooses the home line within an extent (multiply-shift) */
    uint64_t hi;    /*   8  the six top bits of the OWNING id's hi choose the partition; the low byte is the tag */
};

#define RIALTO_TAG_EMPTY   0u /* nobody's, and no key's probe goes on behind it */
#define RIALTO_TAG_DELETED 1u /* nobody's, but a probe goes on */
#define RIALTO_TAG_MIN     2u /* tags of keys: the low byte of hi, plus 2 where it is less than 2 */

enum rialto_table {
    RIALTO_TABLE_CELLS = 0,
    RIALTO_TABLE_TERMS = 1,
    RIALTO_TABLE_OFFERS = 2,
    RIALTO_TABLE_ZONES = 3,
    RIALTO_TABLE_PRODUCTS = 4,
    RIALTO_TABLE_COUNT = 5
};

/* ---- keyed tables ---------------------------------------------------------------------------------- */

struct rialto_table_header {             /* offset; the first page of a keyed table */
    RIALTO_ATOMIC uint64_t magic;        /*   0  stored last by the creator, with release */
    uint32_t layout;                     /*   8  RIALTO_LAYOUT */
    uint32_t byte_order;                 /*  12  RIALTO_BYTE_ORDER */
    uint32_t table;                      /*  16  enum rialto_table */
    uint32_t line_bytes;                 /*  20  64, 128 or 256 */
    uint32_t partition_count;            /*  24  RIALTO_PARTITIONS */
    RIALTO_ATOMIC uint32_t retired;      /*  28  enum rialto_retired */
    uint64_t file_bytes;                 /*  32  at creation; the file is never shorter */
    int64_t created_unix_ms;             /*  40  stamp shared by all files of one creation */
    uint64_t capacity_max;               /*  48  lines that a segment may grow to */
    uint64_t bytes_max;                  /*  56  that the file may grow to: how much to map */
    RIALTO_ATOMIC uint64_t file_end;     /*  64  given out to segments so far; owners move it on by compare and swap */
    RIALTO_ATOMIC uint64_t regions_lost; /*  72  given out, at most, to owners that died before they wrote it down */
    uint8_t reserved[4016];              /*  80  zero */
};

struct rialto_extent {               /* offset; lines with their tags. Once count covers it, it never changes */
    RIALTO_ATOMIC uint64_t lines;    /*   0  offset of the first line, from the file's start */
    RIALTO_ATOMIC uint64_t tags;     /*   8  offset of the tags, 8 to a word, first line in the low byte */
    RIALTO_ATOMIC uint32_t first;    /*  16  slot of the first line: the lines of all extents before this one */
    RIALTO_ATOMIC uint32_t capacity; /*  20  lines; a multiple of 8 */
};

struct rialto_extents {                              /* offset; where a segment's lines lie: all that a probe needs */
    RIALTO_ATOMIC uint32_t count;                    /*   0  extents that may be looked at */
    uint32_t reserved;                               /*   4 */
    struct rialto_extent extent[RIALTO_EXTENTS_MAX]; /*   8  to 128 */
};

#define RIALTO_SIDE_WORDS 32u
struct rialto_segment {                             /* offset; words of a segment's owner; no probe reads them */
    RIALTO_ATOMIC uint64_t used;                    /*   0  live lines */
    RIALTO_ATOMIC uint64_t side_used;               /*   8  the value of used that goes with the side copy */
    RIALTO_ATOMIC uint64_t grow_lines;              /*  16  of the extent that is being made; 0 = none is */
    RIALTO_ATOMIC uint64_t grow_offset;             /*  24  where; 0 = not given out yet */
    RIALTO_ATOMIC uint64_t grow_reserved;           /*  32  bytes of it that are reserved in the file system */
    uint64_t reserved0[3];                          /*  40 */
    RIALTO_ATOMIC uint64_t side_ref;                /*  64  0 = none, else (slot + 1) << 32 | the copy's sequence */
    uint64_t reserved1[7];                          /*  72 */
    RIALTO_ATOMIC uint64_t side[RIALTO_SIDE_WORDS]; /* 128  the last good version of the line being written */
    uint64_t reserved2[16];                         /* 384  to 512 */
};

/* Of control and tables. REPLACED: by newer files of the same names, open again. SUPERSEDED: a service of another layout
 * has taken over the folder; these files are frozen and stay for a while, and their prices age. */
enum rialto_retired { RIALTO_NOT_RETIRED = 0, RIALTO_RETIRED_REPLACED = 1, RIALTO_RETIRED_SUPERSEDED = 2 };

/* ---- lines: plain images; in the file they are 64-bit atomic words --------------------------------- */

struct rialto_cell_line {  /* offset; the baseline price of one product in one zone; slots are of its partition */
    uint32_t seq;          /*   0 */
    uint32_t as_of_s;      /*   4  service time when the amount last changed, Unix s */
    struct rialto_key key; /*   8  sku (+) zone */
    int64_t baseline;      /*  24  minor units */
    int64_t list;          /*  32  minor units */
    uint64_t lo_product;   /*  40  bits 0-47 floor; bits 48-63 product slot, low 16 bits */
    uint64_t hi_place;     /*  48  bits 0-47 ceiling; 48-49 product slot, high 2 bits; 50-63 zone slot */
    uint32_t until_s;      /*  56  0 = none; past it the amount is STALE */
    uint16_t rule;         /*  60  row of rules.v3 */
    uint8_t group;         /*  62  price group 0..15 */
    uint8_t flags;         /*  63  RIALTO_CELL_* */
};

#define RIALTO_BOUND_MAX         ((INT64_C(1) << 48) - 1) /* largest floor, ceiling, baseline and list */
#define RIALTO_PRODUCT_SLOTS_MAX (1u << 18)               /* per partition */
#define RIALTO_ZONE_SLOTS_MAX    (1u << 14)               /* per partition */
#define RIALTO_CELL_NEVER_ABOVE  1u                       /* personal terms may not lift the price above the baseline */
#define RIALTO_CELL_GUARDED      2u                       /* a guardrail spoke */
#define RIALTO_CELL_STARTING     4u                       /* a list price that was kept: its worker is not back yet */

struct rialto_terms_line {                     /* offset; what one customer's permitted data do to prices */
    uint32_t seq;                              /*   0 */
    uint32_t zone;                             /*   4  0 = none, else 1 + slot in zones.v3, same partition */
    struct rialto_key key;                     /*   8  customer */
    uint16_t multiplier_e4[RIALTO_GROUPS_MAX]; /* 24  in 1e-4; 10000 = neutral */
    uint32_t until_s;                          /*  56  0 = none; past it all of this is neutral */
    uint16_t kinds;                            /*  60  RIALTO_KIND_* used for the multipliers; RIALTO_TERMS_* */
    uint8_t group_map;                         /*  62  version of the group numbering */
    uint8_t consent;                           /*  63  RIALTO_KIND_* that the customer permits */
};

/* Kinds of personal data; the bits of a consent. Everything is off until the customer switches it on. */
#define RIALTO_KIND_LOCATION    1u
#define RIALTO_KIND_BEHAVIOUR   2u /* views, searches, carts */
#define RIALTO_KIND_PURCHASES   4u /* orders, returns, receipts, spend */
#define RIALTO_KIND_PROFILE     8u /* tier, segments, attributes */
#define RIALTO_KIND_PARTNER     16u
#define RIALTO_TERMS_HAS_OFFERS 0x0100u /* in terms.kinds: look into offers.v3 */

struct rialto_offer_line { /* offset; one customer's personal offer or price lock */
    uint32_t seq;          /*   0 */
    uint32_t until_s;      /*   4  0 = none */
    struct rialto_key key; /*   8  customer (+) sku */
    int64_t value;         /*  24  minor units, or 1e-4 parts for percent */
    int64_t locked;        /*  32  minor units; 0 = no lock */
    uint32_t from_s;       /*  40 */
    uint32_t lock_until_s; /*  44  0 = none */
    uint16_t currency;     /*  48  ISO 4217 number; must equal the rule's for money values */
    uint8_t kind;          /*  50  RIALTO_OFFER_* */
    uint8_t flags;         /*  51  RIALTO_OFFER_STACKABLE */
    uint16_t kinds;        /*  52  RIALTO_KIND_* that it rests on */
    uint16_t reserved0;    /*  54 */
    uint64_t reserved1;    /*  56 */
};
#define RIALTO_OFFER_NONE       0u
#define RIALTO_OFFER_FIXED      1u
#define RIALTO_OFFER_PERCENT    2u /* value 1000 = 10 % off */
#define RIALTO_OFFER_AMOUNT_OFF 3u
#define RIALTO_OFFER_STACKABLE  1u

struct rialto_zone_line {           /* offset; a zone, what it is called and what is around it */
    uint32_t seq;                   /*   0 */
    uint16_t currency;              /*   4  ISO 4217 number, 0 = not declared */
    uint8_t ancestor_count;         /*   6  0..2, the world not counted */
    uint8_t name_bytes;             /*   7 */
    struct rialto_key key;          /*   8  zone */
    struct rialto_key ancestor[2];  /*  24  nearest first */
    int16_t utc_offset_min;         /*  56 */
    uint16_t region;                /*  58 */
    uint8_t ancestor_name_bytes[2]; /*  60  lengths of prefix-named ancestors, 0 if named otherwise */
    uint16_t reserved0;             /*  62 */
    char name[RIALTO_ID_MAX];       /*  64  with its 0 */
};

struct rialto_product_line { /* offset; words for people; pricing does not read them */
    uint32_t seq;            /*   0 */
    uint8_t unit;            /*   4  0 piece, 1 kg, 2 l */
    uint8_t tax;             /*   5  0 not said, 1 included, 2 excluded */
    uint8_t group;           /*   6  price group */
    uint8_t reserved0;       /*   7 */
    struct rialto_key key;   /*   8  sku */
    char sku[RIALTO_ID_MAX]; /*  24 */
    char category[64];       /*  88 */
    char title[96];          /* 152 */
    uint64_t reserved1;      /* 248 */
};

/* ---- rules: append-only rows, numbered; a row never changes once count covers it -------------------- */

struct rialto_rule_row {           /* offset */
    char currency[4];              /*   0  ISO 4217 letters */
    uint16_t currency_number;      /*   4 */
    uint8_t decimals;              /*   6  of the currency's minor unit */
    uint8_t arithmetic;            /*   7  version of the quote arithmetic, 1 */
    uint32_t ending_step;          /*   8  amounts are k * step - less, minor units; 1 = every one */
    uint32_t ending_less;          /*  12 */
    uint32_t stale_limit_s;        /*  16  a quote older than this falls back to list; 0 = never */
    uint16_t disclosure;           /*  20  asked for where personal data were read; 0 = none */
    uint8_t reads;                 /*  22  RIALTO_KIND_* that the price group's model may read */
    uint8_t forbidden;             /*  23  RIALTO_KIND_* that may move no price here */
    char model[RIALTO_NAME_MAX];   /*  24 */
    char version[RIALTO_NAME_MAX]; /*  56 */
    char policy[RIALTO_NAME_MAX];  /*  88 */
    uint64_t model_hash;           /* 120  of the texts of model and policies: same rule, same hash */
    char disclosure_text[128];     /* 128 */
};

struct rialto_rules_header {        /* offset; rows follow at 4096 */
    RIALTO_ATOMIC uint64_t magic;   /*   0 */
    uint32_t layout;                /*   8 */
    uint32_t byte_order;            /*  12 */
    RIALTO_ATOMIC uint32_t count;   /*  16  rows that may be read */
    RIALTO_ATOMIC uint32_t retired; /*  20  enum rialto_retired */
    int64_t created_unix_ms;        /*  24  the same stamp as in control.v3 */
    uint64_t reserved[508];         /*  32 */
};

/* ---- control: one page and a heartbeat line per partition ------------------------------------------- */

enum rialto_mode { RIALTO_MODE_NORMAL = 0, RIALTO_MODE_LIST = 1, RIALTO_MODE_FROZEN = 2 };

struct rialto_heartbeat {               /* offset; one per partition */
    RIALTO_ATOMIC int64_t beat_mono_ms; /*   0  CLOCK_MONOTONIC ms when its owner last applied a tick */
    RIALTO_ATOMIC int64_t tick_ms;      /*   8  service time of that tick */
    RIALTO_ATOMIC uint64_t applied;     /*  16  batch */
    RIALTO_ATOMIC uint32_t owner;       /*  24  worker index */
    uint32_t reserved2[9];              /*  28 */
};

struct rialto_control {                              /* offset */
    RIALTO_ATOMIC uint64_t magic;                    /*   0 */
    uint32_t layout;                                 /*   8 */
    uint32_t byte_order;                             /*  12 */
    int64_t created_unix_ms;                         /*  16 */
    RIALTO_ATOMIC uint32_t mode;                     /*  24  enum rialto_mode */
    RIALTO_ATOMIC uint32_t retired;                  /*  28  enum rialto_retired */
    RIALTO_ATOMIC int64_t clock_offset_ms;           /*  32  service time = CLOCK_MONOTONIC ms + this, Unix ms */
    uint32_t stale_after_ms;                         /*  40  heartbeat age at which quotes are STALE */
    uint32_t personal_stale_ms;                      /*  44  heartbeat age at which terms count as neutral */
    uint8_t geohash_lengths[2];                      /*  48  lengths in use, ascending, 0 = unused */
    uint8_t path_depths[3];                          /*  50  depths of path zones in use, ascending, 0 = unused */
    uint8_t group_count;                             /*  53 */
    uint8_t group_map;                               /*  54  version of the numbering below */
    uint8_t demo;                                    /*  55  1 = quotes rest on recorded data */
    char instance[RIALTO_NAME_MAX];                  /*  56 */
    uint64_t boot;                                   /*  88  of the kernel whose CLOCK_MONOTONIC the heartbeats are */
    uint64_t hash;                                   /*  96  1 = XXH3, 128 bits, keyed with the secret below */
    uint64_t reserved0;                              /* 104 */
    RIALTO_ATOMIC int64_t superseded_unix_ms;        /* 112  when another layout took over; 0 = none has */
    uint64_t reserved2;                              /* 120 */
    uint8_t secret[RIALTO_SECRET_BYTES];             /* 128 */
    char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX]; /* 320, to 832 */
    uint8_t reserved1[3264];                         /* 832 */
    struct rialto_heartbeat heartbeat[RIALTO_PARTITIONS]; /* 4096 */
};

/* ---- change rings ------------------------------------------------------------------------------------ */

struct rialto_ring_entry { /* offset; one change of one line */
    uint64_t seq;          /*   0  position in the ring + 1, written last; 0 = in writing */
    int64_t when_ms;       /*   8  service time */
    int64_t before;        /*  16  cells: old baseline (0 = new cell); else 0 */
    int64_t after;         /*  24  cells: new baseline */
    uint32_t slot;         /*  32  line within the segment */
    uint8_t partition;     /*  36 */
    uint8_t table;         /*  37  enum rialto_table */
    uint16_t rule;         /*  38 */
    int32_t reason_ppm;    /*  40  that factor's value, 1e-6 */
    char reason[20];       /*  44  name of the factor that moved most, or "guardrail", ... */
};

struct rialto_ring {                                      /* offset; one per worker; entries follow each header */
    RIALTO_ATOMIC uint64_t head;                          /*   0  entries ever appended */
    uint64_t reserved[511];                               /*   8 */
    RIALTO_ATOMIC uint64_t entry[RIALTO_RING_ENTRIES][8]; /* 4096 */
};

struct rialto_rings_header {      /* offset; RIALTO_WORKERS_MAX rings follow at 4096 (sparse) */
    RIALTO_ATOMIC uint64_t magic; /*   0 */
    uint32_t layout;              /*   8 */
    uint32_t byte_order;          /*  12 */
    uint32_t ring_count;          /*  16  workers */
    uint32_t entries;             /*  20  RIALTO_RING_ENTRIES */
    int64_t created_unix_ms;      /*  24  the same stamp as in control.v3 */
    uint64_t reserved[508];       /*  32 */
};

#include <rialto/layout_fields.h>
#endif
