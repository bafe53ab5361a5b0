/* import.h - what `rialto import` is made of.
 *
 *   FILE --import_csv.c: rows of cells--> import_row.c: one row, one signal--> import.c: checked, sent, findings back to row and column */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "service/signal.h"

#define IMPORT_COLUMNS_MAX 64u
#define IMPORT_VALUES_MAX  64u
#define IMPORT_ROW_MAX     65536u /* bytes of the longest row */

/* import_csv_read - a file of comma-separated values (RFC 4180), row by row. Separators are commas, semicolons or tabs, whichever
 * the header has most of; a byte order mark is passed over. encoding: a name that iconv knows; NULL is UTF-8. `row` gets rows as a
 * spreadsheet counts them, the header as row 1, and cells of UTF-8 without blanks around them; it returns false to end early. Returns
 * RIALTO_OK, or REFUSED with *fault (line: the row; column: from 1, 0 for none). */
enum rialto_status import_csv_read(const char *path, const char *encoding,
                                   bool (*row)(void *user, uint32_t number, uint32_t count, char *const cell[],
                                               char separator),
                                   void *user, struct fault *fault);

struct import_map { /* what the command line says of columns */
    uint32_t count;
    struct import_pair {
        const char *name;        /* column to take the field from; for a filled one NULL */
        enum signal_field field; /* SIGNAL_FIELD_COUNT: the column is passed over */
        const char *attribute;   /* which, where the field is "attributes" */
        const char *fill;        /* what stands in empty cells of the field; NULL: a column's name */
    } pair[2 * IMPORT_COLUMNS_MAX];
    uint32_t value_count;
    struct import_value { /* what a cell, or one of its words, means */
        enum signal_field field;
        const char *from, *to;
    } value[IMPORT_VALUES_MAX];
};

struct import_sheet { /* which field stands in which column */
    enum signal_type type;
    const struct import_map *map;
    char separator;
    uint32_t columns;
    enum signal_field field[IMPORT_COLUMNS_MAX];            /* SIGNAL_FIELD_COUNT: passed over */
    char attribute[IMPORT_COLUMNS_MAX][ATTRIBUTE_NAME_MAX]; /* which, in a column "attributes.NAME" */
    uint32_t column[SIGNAL_FIELD_COUNT];                    /* IMPORT_COLUMNS_MAX: in none */
    const char *fill[SIGNAL_FIELD_COUNT];                   /* NULL: nothing */
};

/* import_sheet_open - read the header. False after having told `fault` what is wrong, for every column. */
typedef void import_fault(void *user, uint32_t row, uint32_t column, const char *field, const char *reason);
bool import_sheet_open(struct import_sheet *sheet, enum signal_type type, const struct import_map *map, uint32_t count,
                       char *const cell[], char separator, import_fault *fault, void *user);

/* import_row - the signal of a row, checked; the caller's (cJSON_Delete). NULL after having told `fault` what is wrong, for every cell. */
cJSON *import_row(const struct import_sheet *sheet, const struct signal_rules *rules, uint32_t row, uint32_t count,
                  char *const cell[], import_fault *fault, void *user);

/* import_key - what a row is about: of two rows with the same key one would replace the other. *ret_field: the field to point at.
 * Returns false if there is nothing to tell rows apart by. */
#define IMPORT_KEY_MAX 512u
bool import_key(const cJSON *signal, char ret[IMPORT_KEY_MAX], enum signal_field *ret_field);
/* import_field_find - the field of a column's name, and with "attributes.weight_kg" which attribute (else NULL). SIGNAL_FIELD_COUNT: none. */
enum signal_field import_field_find(const char *name, const char **ret_attribute);

/* import_column - the column (from 0) that a finding's pointer means; IMPORT_COLUMNS_MAX for none. */
uint32_t import_column(const struct import_sheet *sheet, const char *pointer);

/* import_describe - the columns of a type of signal, for people, on standard output. */
void import_describe(enum signal_type type);
#endif
