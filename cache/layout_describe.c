/* layout_describe.c - rialto/layout.h, rialto/layout_fields.h and one quote worked out, as Markdown. */
#include "cache/layout_describe.h"

#include "cache/folder.h"
#include "cache/keys.h"
#include "cache/segment.h"
#include "pricing/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
/*    name                        what it is */
#define LAYOUT_NUMBERS(X) \
    X(RIALTO_LAYOUT,              "number of the layout, in every file at offset 8 and in its name") \
    X(RIALTO_BYTE_ORDER,          "in every file at offset 12; a machine of the other byte order reads other digits") \
    X(RIALTO_CONTROL_MAGIC,       "in control at offset 0; 0 until the file is whole") \
    X(RIALTO_TABLE_MAGIC,         "in every other file at offset 0; 0 until the file is whole") \
    X(RIALTO_PARTITIONS,          "segments of a keyed table, heartbeats of control") \
    X(RIALTO_WORKERS_MAX,         "rings at most") \
    X(RIALTO_EXTENTS_MAX,         "extents of a segment at most") \
    X(RIALTO_PROBE_MAX,           "lines looked at for one key in one extent, at most") \
    X(RIALTO_TABLE_BYTES_MAX,     "bytes of a table's file, at most") \
    X(RIALTO_SECRET_BYTES,        "bytes of the key of the hash") \
    X(RIALTO_GROUPS_MAX,          "price groups") \
    X(RIALTO_RULES_MAX,           "rows of rules") \
    X(RIALTO_ZONE_LEVELS,         "zones that are asked for one price, the world included") \
    X(RIALTO_RING_ENTRIES,        "entries of a ring") \
    X(RIALTO_ID_MAX,              "bytes of a sku, customer or zone, with its terminating 0") \
    X(RIALTO_NAME_MAX,            "bytes of other names, with the 0") \
    X(RIALTO_SIDE_WORDS,          "64-bit words of a side line") \
    X(RIALTO_TAG_EMPTY,           "tag: nobody's line, and no probe goes on behind it") \
    X(RIALTO_TAG_DELETED,         "tag: nobody's line, but a probe goes on") \
    X(RIALTO_TAG_MIN,             "smallest tag of a key: smaller ones are moved up by this") \
    X(RIALTO_TABLE_CELLS,         "table: cells") \
    X(RIALTO_TABLE_TERMS,         "table: terms") \
    X(RIALTO_TABLE_OFFERS,        "table: offers") \
    X(RIALTO_TABLE_ZONES,         "table: zones") \
    X(RIALTO_TABLE_PRODUCTS,      "table: products") \
    X(RIALTO_NOT_RETIRED,              "retired: no") \
    X(RIALTO_RETIRED_REPLACED,            "retired: newer files have these names, or none have: open again") \
    X(RIALTO_RETIRED_SUPERSEDED,          "retired: a service of another layout has taken over; frozen, readable for a while") \
    X(RIALTO_MODE_NORMAL,         "mode: quotes as composed") \
    X(RIALTO_MODE_LIST,           "mode: every quote is the list price, at most the ceiling") \
    X(RIALTO_MODE_FROZEN,         "mode: the service changes no price; readers go on as in normal") \
    X(RIALTO_BOUND_MAX,           "largest amount of a cell; mask of floor and ceiling") \
    X(RIALTO_CELL_NEVER_ABOVE,    "cell flags: personal data may not lift the price above the baseline") \
    X(RIALTO_CELL_GUARDED,        "cell flags: a guardrail spoke") \
    X(RIALTO_CELL_STARTING,       "cell flags: a list price that was kept: its worker is not back yet") \
    X(RIALTO_KIND_LOCATION,       "kind of personal data: location") \
    X(RIALTO_KIND_BEHAVIOUR,      "kind of personal data: views, searches, carts") \
    X(RIALTO_KIND_PURCHASES,      "kind of personal data: orders, returns, receipts, spend") \
    X(RIALTO_KIND_PROFILE,        "kind of personal data: tier, segments, attributes") \
    X(RIALTO_KIND_PARTNER,        "kind of personal data: of partners") \
    X(RIALTO_TERMS_HAS_OFFERS,    "bit of terms.kinds: the customer has lines in offers") \
    X(RIALTO_OFFER_NONE,          "offer kind: none, a lock at most") \
    X(RIALTO_OFFER_FIXED,         "offer kind: value is the amount") \
    X(RIALTO_OFFER_PERCENT,       "offer kind: value parts of 10000 off") \
    X(RIALTO_OFFER_AMOUNT_OFF,    "offer kind: value minor units off") \
    X(RIALTO_OFFER_STACKABLE,     "offer flags: off the personal price, not off the baseline") \
    X(RIALTO_PRODUCT_SLOTS_MAX,   "lines of products in one segment, at most") \
    X(RIALTO_ZONE_SLOTS_MAX,      "lines of zones in one segment, at most")
/* clang-format on */

static void number_write(FILE *out, const char *name, uint64_t value, const char *text)
{
    bool wide = value >= UINT64_C(1) << 24;
    (void)fprintf(out, wide ? "| `%s` | 0x%" PRIX64 " | %s |\n" : "| `%s` | %" PRIu64 " | %s |\n", name, value, text);
}

static void numbers_write(FILE *out)
{
    (void)fputs("### numbers\n\n| name | value | what it is |\n|---|---|---|\n", out);
#define NUMBER_WRITE_(name, text) number_write(out, #name, (uint64_t)(name), text);
    LAYOUT_NUMBERS(NUMBER_WRITE_)
#undef NUMBER_WRITE_
}

static void files_write(FILE *out)
{
    static const char *const text[FOLDER_FILE_COUNT] = {
        [RIALTO_TABLE_CELLS] = "keyed table: baseline prices by product and zone",
        [RIALTO_TABLE_TERMS] = "keyed table: what a customer's permitted data do to prices",
        [RIALTO_TABLE_OFFERS] = "keyed table: personal offers and locks by customer and product",
        [RIALTO_TABLE_ZONES] = "keyed table: names of zones and what is around them",
        [RIALTO_TABLE_PRODUCTS] = "keyed table: names of products, for people",
        [FOLDER_FILE_RULES] = "rows by number: currency, rounding, model",
        [FOLDER_FILE_RINGS] = "what changed, one bounded ring per worker",
        [FOLDER_FILE_CONTROL] = "settings that every reader needs, heartbeats; opened first",
    };
    (void)fputs("### files\n\n| file | line bytes | what it holds |\n|---|---|---|\n", out);
    for (uint32_t file = 0; file < FOLDER_FILE_COUNT; file++) {
        (void)fprintf(out, "| `%s%s` | ", folder_file_name(file), RIALTO_FILE_SUFFIX);
        if (file < RIALTO_TABLE_COUNT)
            (void)fprintf(out, "%u ", folder_table_line_bytes(file));
        (void)fprintf(out, "| %s |\n", text[file]);
    }
    (void)fprintf(out, "\nIn a keyed table the directory begins at %zu, the segments' own words at %zu.\n",
                  (size_t)FOLDER_EXTENTS_AT, (size_t)FOLDER_SEGMENTS_AT);
}

static void structs_write(FILE *out)
{
#define FIELD_WRITE_(type, field, offset, bytes, text)                                                                 \
    (void)fprintf(out, "| %d | %d | `%s` | %s |\n", offset, bytes, #field, text);
#define STRUCT_WRITE_(type, fields, bytes, text)                                                                       \
    (void)fprintf(out, "\n### %s\n\n%c%s: %d bytes.\n\n| offset | bytes | field | what it is |\n|---|---|---|---|\n",  \
                  #type, (text)[0] >= 'a' && (text)[0] <= 'z' ? (text)[0] - 'a' + 'A' : (text)[0], &(text)[1], bytes); \
    fields(FIELD_WRITE_)
    RIALTO_STRUCTS(STRUCT_WRITE_)
#undef STRUCT_WRITE_
#undef FIELD_WRITE_
}

/* ---- an example, worked out ------------------------------------------------------------------------------------- */

static void key_write(FILE *out, const char *what, struct rialto_key key)
{
    (void)fprintf(out, "| %s | `lo` 0x%016" PRIx64 " `hi` 0x%016" PRIx64 " |\n", what, key.lo, key.hi);
}

static void hashes_write(FILE *out, const uint8_t secret[RIALTO_SECRET_BYTES])
{
    static const char *const id[] = {
        "",
        "7",
        "tea",
        "C123",
        "milk-1l",
        "de/south",
        "gh:u281z7j",
        "de/south/store:25",
        "de/south/store:25/dairy-and-eggs",
        "an-id-of-thirty-three-characters.",
        "an-id-as-long-as-an-id-may-be-in-rialto:-sixty-three-characters",
    };
    (void)fputs(
        "\n### example: hashes\n\nWith a secret whose byte i is 37 i + 11, modulo 256:\n\n| id | key |\n|---|---|\n",
        out);
    for (size_t i = 0; i < sizeof id / sizeof id[0]; i++) {
        char what[RIALTO_ID_MAX + 2];
        (void)snprintf(what, sizeof what, "`%s`", id[i]);
        key_write(out, id[i][0] == '\0' ? "(empty: the world)" : what, key_of_id(secret, id[i], strlen(id[i])));
    }
}

static void places_write(FILE *out, const uint8_t secret[RIALTO_SECRET_BYTES])
{
    enum { EXAMPLE_CAPACITY = 1000 };
    struct rialto_key sku = key_of_id(secret, "milk-1l", 7), customer = key_of_id(secret, "C123", 4);
    struct rialto_key cell = key_pair(sku, key_of_id(secret, "de/south", 8)), offer = key_pair(customer, sku);
    (void)fputs("\n### example: places\n\n| what | value |\n|---|---|\n", out);
    key_write(out, "cell of `milk-1l` in the world", key_pair(sku, key_of_world(secret)));
    key_write(out, "cell of `milk-1l` in `de/south`", cell);
    key_write(out, "offer of `C123` for `milk-1l`", offer);
    (void)fprintf(out, "| partition of `milk-1l` and all its cells | %u |\n", key_partition(sku));
    (void)fprintf(out, "| partition of `C123`, its terms and offers | %u |\n", key_partition(customer));
    (void)fprintf(out, "| tag of the cell in `de/south` | 0x%02" PRIx64 " |\n", segment_tag(cell));
    (void)fprintf(out, "| its home line in an extent of %d lines | %" PRIu64 " |\n", EXAMPLE_CAPACITY,
                  segment_home(cell, EXAMPLE_CAPACITY));
}

static void quote_write(FILE *out, const char *what, const struct quote_inputs *in)
{
    struct rialto_quote q = { 0 };
    quote_compose(in, &q);
    (void)fprintf(out, "| %s | %" PRId64 " |\n", what, q.amount);
}

static void quotes_write(FILE *out)
{
    struct rialto_cell_line cell = { .baseline = 1999, .list = 2199, .lo_product = 1500, .hi_place = 2400, .group = 3 };
    struct rialto_rule_row rule = {
        .currency = "EUR", .currency_number = 978, .decimals = 2, .ending_step = 10, .ending_less = 1
    };
    struct rialto_terms_line terms = { .group_map = 1, .consent = RIALTO_KIND_PROFILE, .kinds = RIALTO_KIND_PROFILE };
    struct rialto_offer_line offer = { .kind = RIALTO_OFFER_PERCENT, .value = 1000, .currency = 978 };
    struct quote_inputs in = { .cell = &cell,
                               .rule = &rule,
                               .now_ms = INT64_C(1764000000000),
                               .stale_after_ms = 5000,
                               .personal_stale_ms = 5000,
                               .group_map = 1 };

    (void)fputs("\n### example: quotes\n\nA cell of group 3 with baseline 1999, list 2199, floor 1500, ceiling 2400; a "
                "rule whose "
                "amounts end in 9 (step 10, less 1); no line is old.\n\n| customer | amount |\n|---|---|\n",
                out);
    quote_write(out, "nobody", &in);
    in.terms = &terms;
    terms.multiplier_e4[3] = 10000;
    quote_write(out, "multiplier 1.0000", &in);
    terms.multiplier_e4[3] = 9375;
    quote_write(out, "multiplier 0.9375: 1874.0625, rounded to 1874, as near to 1869 as to 1879", &in);
    terms.multiplier_e4[3] = 13000;
    quote_write(out, "multiplier 1.3000: above the ceiling", &in);
    cell.flags = RIALTO_CELL_NEVER_ABOVE;
    quote_write(out, "multiplier 1.3000, never above the baseline", &in);
    terms.multiplier_e4[3] = 9375;
    in.offer = &offer;
    quote_write(out, "multiplier 0.9375, offer of 10 % off", &in);
    offer.flags = RIALTO_OFFER_STACKABLE;
    quote_write(out, "multiplier 0.9375, stackable offer of 10 % off", &in);
    offer.locked = 1450;
    quote_write(out, "the same and a lock of 1450", &in);
    in.mode = RIALTO_MODE_LIST;
    in.offer = NULL;
    quote_write(out, "mode list, multiplier 0.9375", &in);
}

void layout_describe(void *out)
{
    uint8_t secret[RIALTO_SECRET_BYTES];
    for (uint32_t i = 0; i < RIALTO_SECRET_BYTES; i++)
        secret[i] = (uint8_t)(37 * i + 11);
    files_write(out);
    (void)fputc('\n', out);
    numbers_write(out);
    structs_write(out);
    hashes_write(out, secret);
    places_write(out, secret);
    quotes_write(out);
}
