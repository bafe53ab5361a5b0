/* csv.h - comma-separated text (RFC 4180, plain or gzip), row by row. */
#ifndef DEMO_CSV_H
#define DEMO_CSV_H

#include "pricing/json_text.h"

#include <rialto/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_COLUMNS_MAX 64u
#define CSV_ROW_MAX     16384u /* bytes of the longest row; a longer one is malformed */

struct csv;

/* csv_open - open a file and find columns by the names in its first line; further columns are passed over.
 * RIALTO_OK, or REFUSED with *fault: no such file, not readable, a column missing or twice. */
enum rialto_status csv_open(const char *path, uint32_t column_count, const char *const column[], struct csv **ret,
                            struct fault *fault);
void csv_close(struct csv *csv);

enum csv_next {
    CSV_ROW,       /* field[i] is the text in column[i], valid until the next call */
    CSV_MALFORMED, /* a row that has not the header's number of fields, or is too long */
    CSV_END,
    CSV_BROKEN /* the file is damaged; *fault says how */
};
enum csv_next csv_next(struct csv *csv, const char *ret_field[], struct fault *fault);

/* csv_row - number of the row that csv_next() gave last, from 1, the header not counted. */
uint64_t csv_row(const struct csv *csv);

/* csv_find - "FOLDER/NAME" or "FOLDER/NAME.gz", whichever is there; false if neither. */
bool csv_find(const char *folder, const char *name, size_t n, char *ret_path);
#endif
