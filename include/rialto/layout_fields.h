/* layout_fields.h - every field of every struct of layout.h: offset, bytes, meaning. One row per fact: the checks below and
 * docs/cache-layout.md (rialtod --describe-layout) are made of it. Included by layout.h. */
#ifndef RIALTO_LAYOUT_FIELDS_H
#define RIALTO_LAYOUT_FIELDS_H

#include <rialto/layout.h>

/* clang-format off */
/*    struct                fields                        bytes  what it is                          */
#define RIALTO_STRUCTS(X) \
    X(rialto_key,            RIALTO_FIELDS_key,                     16, "a 128-bit keyed hash of an id") \
    X(rialto_table_header,   RIALTO_FIELDS_table_header,          4096, "first page of a keyed table (cells terms offers zones products)") \
    X(rialto_extent,         RIALTO_FIELDS_extent,                  24, "a stretch of lines and their tags") \
    X(rialto_extents,        RIALTO_FIELDS_extents,                128, "directory entry of a segment; 64 of them at 4096 of a keyed table") \
    X(rialto_segment,        RIALTO_FIELDS_segment,                512, "the words of a segment's owner; 64 of them at 12288 of a keyed table") \
    X(rialto_cell_line,      RIALTO_FIELDS_cell_line,               64, "line of cells") \
    X(rialto_terms_line,     RIALTO_FIELDS_terms_line,              64, "line of terms") \
    X(rialto_offer_line,     RIALTO_FIELDS_offer_line,              64, "line of offers") \
    X(rialto_zone_line,      RIALTO_FIELDS_zone_line,              128, "line of zones") \
    X(rialto_product_line,   RIALTO_FIELDS_product_line,           256, "line of products") \
    X(rialto_rule_row,       RIALTO_FIELDS_rule_row,               256, "row of rules; from 4096 on") \
    X(rialto_rules_header,   RIALTO_FIELDS_rules_header,          4096, "first page of rules") \
    X(rialto_heartbeat,      RIALTO_FIELDS_heartbeat,               64, "one per partition, at 4096 of control") \
    X(rialto_control,        RIALTO_FIELDS_control,               8192, "the whole file control") \
    X(rialto_ring_entry,     RIALTO_FIELDS_ring_entry,              64, "one change of one line") \
    X(rialto_ring,           RIALTO_FIELDS_ring,               4198400, "one per worker, from 4096 of rings on") \
    X(rialto_rings_header,   RIALTO_FIELDS_rings_header,          4096, "first page of rings")

/*    struct, field, offset, bytes, meaning */
#define RIALTO_FIELDS_key(X) \
    X(rialto_key, lo,                      0,        8, "chooses the home line within an extent (multiply-shift)") \
    X(rialto_key, hi,                      8,        8, "the six top bits of the OWNING id's hi choose the partition; the low byte is the tag")

#define RIALTO_FIELDS_table_header(X) \
    X(rialto_table_header, magic,                   0,        8, "stored last by the creator, with release") \
    X(rialto_table_header, layout,                  8,        4, "RIALTO_LAYOUT") \
    X(rialto_table_header, byte_order,             12,        4, "RIALTO_BYTE_ORDER") \
    X(rialto_table_header, table,                  16,        4, "enum rialto_table") \
    X(rialto_table_header, line_bytes,             20,        4, "64, 128 or 256") \
    X(rialto_table_header, partition_count,        24,        4, "RIALTO_PARTITIONS") \
    X(rialto_table_header, retired,                28,        4, "enum rialto_retired") \
    X(rialto_table_header, file_bytes,             32,        8, "at creation; the file is never shorter") \
    X(rialto_table_header, created_unix_ms,        40,        8, "stamp shared by all files of one creation") \
    X(rialto_table_header, capacity_max,           48,        8, "lines that a segment may grow to") \
    X(rialto_table_header, bytes_max,              56,        8, "that the file may grow to: how much to map") \
    X(rialto_table_header, file_end,               64,        8, "given out to segments so far; owners move it on by compare and swap") \
    X(rialto_table_header, regions_lost,           72,        8, "given out, at most, to owners that died before they wrote it down") \
    X(rialto_table_header, reserved,               80,     4016, "zero")

#define RIALTO_FIELDS_extent(X) \
    X(rialto_extent, lines,                   0,        8, "offset of the first line, from the file's start") \
    X(rialto_extent, tags,                    8,        8, "offset of the tags, 8 to a word, first line in the low byte") \
    X(rialto_extent, first,                  16,        4, "slot of the first line: the lines of all extents before this one") \
    X(rialto_extent, capacity,               20,        4, "lines; a multiple of 8")

#define RIALTO_FIELDS_extents(X) \
    X(rialto_extents, count,                   0,        4, "extents that may be looked at") \
    X(rialto_extents, reserved,                4,        4, "zero") \
    X(rialto_extents, extent,                  8,      120, "in the order in which they were made")

#define RIALTO_FIELDS_segment(X) \
    X(rialto_segment, used,                    0,        8, "live lines") \
    X(rialto_segment, side_used,               8,        8, "the value of used that goes with the side copy") \
    X(rialto_segment, grow_lines,             16,        8, "of the extent that is being made; 0 = none is") \
    X(rialto_segment, grow_offset,            24,        8, "where; 0 = not given out yet") \
    X(rialto_segment, grow_reserved,          32,        8, "bytes of it that are reserved in the file system") \
    X(rialto_segment, reserved0,              40,       24, "zero") \
    X(rialto_segment, side_ref,               64,        8, "0 = none, else (slot + 1) x 2^32 + the copy's sequence") \
    X(rialto_segment, reserved1,              72,       56, "zero") \
    X(rialto_segment, side,                  128,      256, "the last good version of the line being written") \
    X(rialto_segment, reserved2,             384,      128, "zero")

#define RIALTO_FIELDS_cell_line(X) \
    X(rialto_cell_line, seq,                     0,        4, "even at rest, odd while its owner writes") \
    X(rialto_cell_line, as_of_s,                 4,        4, "service time when the amount last changed, Unix s") \
    X(rialto_cell_line, key,                     8,       16, "sku (+) zone") \
    X(rialto_cell_line, baseline,               24,        8, "minor units") \
    X(rialto_cell_line, list,                   32,        8, "minor units") \
    X(rialto_cell_line, lo_product,             40,        8, "bits 0-47 floor; bits 48-63 product slot, low 16 bits") \
    X(rialto_cell_line, hi_place,               48,        8, "bits 0-47 ceiling; 48-49 product slot, high 2 bits; 50-63 zone slot") \
    X(rialto_cell_line, until_s,                56,        4, "0 = none; past it the amount is STALE") \
    X(rialto_cell_line, rule,                   60,        2, "row of rules.v3") \
    X(rialto_cell_line, group,                  62,        1, "price group 0..15") \
    X(rialto_cell_line, flags,                  63,        1, "RIALTO_CELL_*")

#define RIALTO_FIELDS_terms_line(X) \
    X(rialto_terms_line, seq,                     0,        4, "even at rest, odd while its owner writes") \
    X(rialto_terms_line, zone,                    4,        4, "0 = none, else 1 + slot in zones.v3, same partition") \
    X(rialto_terms_line, key,                     8,       16, "customer") \
    X(rialto_terms_line, multiplier_e4,          24,       32, "in 1e-4; 10000 = neutral") \
    X(rialto_terms_line, until_s,                56,        4, "0 = none; past it all of this is neutral") \
    X(rialto_terms_line, kinds,                  60,        2, "RIALTO_KIND_* used for the multipliers; RIALTO_TERMS_*") \
    X(rialto_terms_line, group_map,              62,        1, "version of the group numbering") \
    X(rialto_terms_line, consent,                63,        1, "RIALTO_KIND_* that the customer permits")

#define RIALTO_FIELDS_offer_line(X) \
    X(rialto_offer_line, seq,                     0,        4, "even at rest, odd while its owner writes") \
    X(rialto_offer_line, until_s,                 4,        4, "0 = none") \
    X(rialto_offer_line, key,                     8,       16, "customer (+) sku") \
    X(rialto_offer_line, value,                  24,        8, "minor units, or 1e-4 parts for percent") \
    X(rialto_offer_line, locked,                 32,        8, "minor units; 0 = no lock") \
    X(rialto_offer_line, from_s,                 40,        4, "Unix s") \
    X(rialto_offer_line, lock_until_s,           44,        4, "0 = none") \
    X(rialto_offer_line, currency,               48,        2, "ISO 4217 number; must equal the rule's for money values") \
    X(rialto_offer_line, kind,                   50,        1, "RIALTO_OFFER_*") \
    X(rialto_offer_line, flags,                  51,        1, "RIALTO_OFFER_STACKABLE") \
    X(rialto_offer_line, kinds,                  52,        2, "RIALTO_KIND_* that it rests on") \
    X(rialto_offer_line, reserved0,              54,        2, "zero") \
    X(rialto_offer_line, reserved1,              56,        8, "zero")

#define RIALTO_FIELDS_zone_line(X) \
    X(rialto_zone_line, seq,                     0,        4, "even at rest, odd while its owner writes") \
    X(rialto_zone_line, currency,                4,        2, "ISO 4217 number, 0 = not declared") \
    X(rialto_zone_line, ancestor_count,          6,        1, "0..2, the world not counted") \
    X(rialto_zone_line, name_bytes,              7,        1, "length of name") \
    X(rialto_zone_line, key,                     8,       16, "zone") \
    X(rialto_zone_line, ancestor,               24,       32, "nearest first") \
    X(rialto_zone_line, utc_offset_min,         56,        2, "minutes") \
    X(rialto_zone_line, region,                 58,        2, "number of the region") \
    X(rialto_zone_line, ancestor_name_bytes,    60,        2, "lengths of prefix-named ancestors, 0 if named otherwise") \
    X(rialto_zone_line, reserved0,              62,        2, "zero") \
    X(rialto_zone_line, name,                   64,       64, "with its 0")

#define RIALTO_FIELDS_product_line(X) \
    X(rialto_product_line, seq,                     0,        4, "even at rest, odd while its owner writes") \
    X(rialto_product_line, unit,                    4,        1, "0 piece, 1 kg, 2 l") \
    X(rialto_product_line, tax,                     5,        1, "0 not said, 1 included, 2 excluded") \
    X(rialto_product_line, group,                   6,        1, "price group") \
    X(rialto_product_line, reserved0,               7,        1, "zero") \
    X(rialto_product_line, key,                     8,       16, "sku") \
    X(rialto_product_line, sku,                    24,       64, "with its 0") \
    X(rialto_product_line, category,               88,       64, "for people") \
    X(rialto_product_line, title,                 152,       96, "for people") \
    X(rialto_product_line, reserved1,             248,        8, "zero")

#define RIALTO_FIELDS_rule_row(X) \
    X(rialto_rule_row, currency,                0,        4, "ISO 4217 letters") \
    X(rialto_rule_row, currency_number,         4,        2, "ISO 4217 number") \
    X(rialto_rule_row, decimals,                6,        1, "of the currency's minor unit") \
    X(rialto_rule_row, arithmetic,              7,        1, "version of the quote arithmetic, 1") \
    X(rialto_rule_row, ending_step,             8,        4, "amounts are k * step - less, minor units; 1 = every one") \
    X(rialto_rule_row, ending_less,            12,        4, "minor units") \
    X(rialto_rule_row, stale_limit_s,          16,        4, "a quote older than this falls back to list; 0 = never") \
    X(rialto_rule_row, disclosure,             20,        2, "number of the disclosure where personal data were read; 0 = none") \
    X(rialto_rule_row, reads,                  22,        1, "RIALTO_KIND_* that the price group's model may read") \
    X(rialto_rule_row, forbidden,              23,        1, "RIALTO_KIND_* that may move no price here") \
    X(rialto_rule_row, model,                  24,       32, "name of the model") \
    X(rialto_rule_row, version,                56,       32, "its version") \
    X(rialto_rule_row, policy,                 88,       32, "name of the policy") \
    X(rialto_rule_row, model_hash,            120,        8, "of the texts of model and policies: same rule, same hash") \
    X(rialto_rule_row, disclosure_text,       128,      128, "its words, with their 0")

#define RIALTO_FIELDS_rules_header(X) \
    X(rialto_rules_header, magic,                   0,        8, "stored last by the creator, with release") \
    X(rialto_rules_header, layout,                  8,        4, "RIALTO_LAYOUT") \
    X(rialto_rules_header, byte_order,             12,        4, "RIALTO_BYTE_ORDER") \
    X(rialto_rules_header, count,                  16,        4, "rows that may be read") \
    X(rialto_rules_header, retired,                20,        4, "enum rialto_retired") \
    X(rialto_rules_header, created_unix_ms,        24,        8, "the same stamp as in control.v3") \
    X(rialto_rules_header, reserved,               32,     4064, "zero")

#define RIALTO_FIELDS_heartbeat(X) \
    X(rialto_heartbeat, beat_mono_ms,            0,        8, "CLOCK_MONOTONIC ms when its owner last applied a tick") \
    X(rialto_heartbeat, tick_ms,                 8,        8, "service time of that tick") \
    X(rialto_heartbeat, applied,                16,        8, "batch") \
    X(rialto_heartbeat, owner,                  24,        4, "worker index") \
    X(rialto_heartbeat, reserved2,              28,       36, "zero")

#define RIALTO_FIELDS_control(X) \
    X(rialto_control, magic,                   0,        8, "stored last by the creator, with release") \
    X(rialto_control, layout,                  8,        4, "RIALTO_LAYOUT") \
    X(rialto_control, byte_order,             12,        4, "RIALTO_BYTE_ORDER") \
    X(rialto_control, created_unix_ms,        16,        8, "stamp shared by all files of one creation") \
    X(rialto_control, mode,                   24,        4, "enum rialto_mode") \
    X(rialto_control, retired,                28,        4, "enum rialto_retired") \
    X(rialto_control, clock_offset_ms,        32,        8, "service time = CLOCK_MONOTONIC ms + this, Unix ms") \
    X(rialto_control, stale_after_ms,         40,        4, "heartbeat age at which quotes are STALE") \
    X(rialto_control, personal_stale_ms,      44,        4, "heartbeat age at which terms count as neutral") \
    X(rialto_control, geohash_lengths,        48,        2, "lengths in use, ascending, 0 = unused") \
    X(rialto_control, path_depths,            50,        3, "depths of path zones in use, ascending, 0 = unused") \
    X(rialto_control, group_count,            53,        1, "groups in use") \
    X(rialto_control, group_map,              54,        1, "version of the numbering below") \
    X(rialto_control, demo,                   55,        1, "1 = quotes rest on recorded data") \
    X(rialto_control, instance,               56,       32, "name of the instance") \
    X(rialto_control, boot,                   88,        8, "of the kernel whose CLOCK_MONOTONIC the heartbeats are") \
    X(rialto_control, hash,                   96,        8, "1 = XXH3, 128 bits, keyed with the secret below") \
    X(rialto_control, reserved0,             104,        8, "zero") \
    X(rialto_control, superseded_unix_ms,    112,        8, "when another layout took over; 0 = none has") \
    X(rialto_control, reserved2,             120,        8, "zero") \
    X(rialto_control, secret,                128,      192, "key of the hash") \
    X(rialto_control, groups,                320,      512, "names of the price groups, RIALTO_NAME_MAX bytes each") \
    X(rialto_control, reserved1,             832,     3264, "zero") \
    X(rialto_control, heartbeat,            4096,     4096, "by partition")

#define RIALTO_FIELDS_ring_entry(X) \
    X(rialto_ring_entry, seq,                     0,        8, "position in the ring + 1, written last; 0 = in writing") \
    X(rialto_ring_entry, when_ms,                 8,        8, "service time") \
    X(rialto_ring_entry, before,                 16,        8, "cells: old baseline (0 = new cell); else 0") \
    X(rialto_ring_entry, after,                  24,        8, "cells: new baseline") \
    X(rialto_ring_entry, slot,                   32,        4, "line within the segment") \
    X(rialto_ring_entry, partition,              36,        1, "of the line") \
    X(rialto_ring_entry, table,                  37,        1, "enum rialto_table") \
    X(rialto_ring_entry, rule,                   38,        2, "row of rules") \
    X(rialto_ring_entry, reason_ppm,             40,        4, "that factor's value, 1e-6") \
    X(rialto_ring_entry, reason,                 44,       20, "name of the factor that moved most, or 'guardrail', ...")

#define RIALTO_FIELDS_ring(X) \
    X(rialto_ring, head,                    0,        8, "entries ever appended") \
    X(rialto_ring, reserved,                8,     4088, "zero") \
    X(rialto_ring, entry,                4096,  4194304, "RIALTO_RING_ENTRIES of struct rialto_ring_entry")

#define RIALTO_FIELDS_rings_header(X) \
    X(rialto_rings_header, magic,                   0,        8, "stored last by the creator, with release") \
    X(rialto_rings_header, layout,                  8,        4, "RIALTO_LAYOUT") \
    X(rialto_rings_header, byte_order,             12,        4, "RIALTO_BYTE_ORDER") \
    X(rialto_rings_header, ring_count,             16,        4, "workers") \
    X(rialto_rings_header, entries,                20,        4, "RIALTO_RING_ENTRIES") \
    X(rialto_rings_header, created_unix_ms,        24,        8, "the same stamp as in control.v3") \
    X(rialto_rings_header, reserved,               32,     4064, "zero")

#define RIALTO_CHECK_FIELD_(type, field, offset, bytes, text)                                             \
    static_assert(offsetof(struct type, field) == (offset), #type "." #field " moved: bump RIALTO_LAYOUT"); \
    static_assert(sizeof(((struct type *)0)->field) == (bytes), #type "." #field " grew: bump RIALTO_LAYOUT");
#define RIALTO_CHECK_STRUCT_(type, fields, bytes, text)                                      \
    static_assert(sizeof(struct type) == (bytes), #type " has another size: bump RIALTO_LAYOUT"); \
    fields(RIALTO_CHECK_FIELD_)
RIALTO_STRUCTS(RIALTO_CHECK_STRUCT_)
#undef RIALTO_CHECK_STRUCT_
#undef RIALTO_CHECK_FIELD_
/* clang-format on */
#endif
