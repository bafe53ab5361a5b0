/* import_csv.c - rows of comma-separated values by libcsv, which sees to quotes and line ends.
 *
 *   FILE --iconv(), where an encoding is named--> UTF-8, piece by piece --libcsv--> cells --> rows */
#include "cli/import.h"

#include <csv.h>
#include <errno.h>
#include <iconv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK_BYTES   65536u
#define GROWS_AT_MOST 4u /* bytes of UTF-8 to one of another encoding */
#define CSV_OPTIONS   (CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL)

struct source {
    FILE *file;
    const char *encoding; /* NULL: UTF-8 */
    iconv_t conversion;
    size_t held;      /* bytes in front of `raw`: a character that the last piece broke off in */
    bool is_no_match; /* what comes next is nothing in that encoding */
    char raw[CHUNK_BYTES];
    char text[CHUNK_BYTES * GROWS_AT_MOST];
};

struct reader {
    bool (*row)(void *user, uint32_t number, uint32_t count, char *const cell[], char separator);
    void *user;
    char separator;
    bool ended;      /* nobody wants more rows */
    int line_end;    /* the last row ended with it, and nothing came since: "\r\n" ends one row, not two */
    uint32_t number; /* of the row being read */
    uint32_t count;
    uint32_t used;                    /* bytes of text */
    const char *wrong;                /* why this row is no good; NULL = it is */
    uint32_t wrong_row, wrong_column; /* from 1; column 0: the row as a whole */
    size_t place[IMPORT_COLUMNS_MAX];
    char text[IMPORT_ROW_MAX];
};

/* libcsv doubles its buffer for as long as a field goes on: a quotation mark without its partner would take the whole file. */
static void *bounded_realloc(void *old, size_t bytes)
{
    return bytes <= 2 * IMPORT_ROW_MAX ? realloc(old, bytes) : NULL;
}

static void refuse_row(struct reader *reader, const char *why, uint32_t column)
{
    if (reader->wrong != NULL)
        return;
    reader->wrong = why;
    reader->wrong_row = reader->number;
    reader->wrong_column = column;
}

static void on_cell(void *bytes, size_t n, void *user)
{
    struct reader *reader = user;
    reader->line_end = 0;
    if (reader->wrong != NULL)
        return;
    if (reader->count == IMPORT_COLUMNS_MAX) {
        refuse_row(reader, "more than 64 columns", 0);
    } else if (n + 1 > sizeof reader->text - reader->used) {
        refuse_row(reader, "the row is longer than 65536 bytes: is a quotation mark open?", 0);
    } else if (memchr(bytes, 0, n) != NULL) {
        refuse_row(reader, "a zero byte", reader->count + 1);
    } else if (!json_is_utf8(bytes, n)) { /* once for a table: each cell with an umlaut would be one more */
        refuse_row(reader, "not UTF-8: save the table as \"CSV UTF-8\", or say what it is, such as --encoding cp1252",
                   reader->count + 1);
    } else {
        reader->place[reader->count++] = reader->used;
        memcpy(reader->text + reader->used, bytes, n);
        reader->used += (uint32_t)n;
        reader->text[reader->used++] = 0;
    }
}

static void on_row_end(int end, void *user)
{
    struct reader *reader = user;
    bool second = end == '\n' && reader->line_end == '\r';
    reader->line_end = end;
    if (second)
        return;
    if (reader->count > 0 && !reader->ended && reader->wrong == NULL) {
        char *cell[IMPORT_COLUMNS_MAX];
        for (uint32_t i = 0; i < reader->count; i++)
            cell[i] = reader->text + reader->place[i];
        reader->ended = !reader->row(reader->user, reader->number, reader->count, cell, reader->separator);
    }
    reader->number++;
    reader->count = reader->used = 0;
}

/* The separator that the first line has most of, outside quotation marks. */
static char find_separator(const char *text, size_t n)
{
    static const char candidate[] = ",;\t";
    uint32_t seen[3] = { 0 };
    bool quoted = false;
    for (size_t i = 0; i < n && (quoted || (text[i] != '\n' && text[i] != '\r')); i++) {
        quoted ^= text[i] == '"';
        const char *found = !quoted && text[i] != 0 ? strchr(candidate, text[i]) : NULL;
        if (found != NULL)
            seen[found - candidate]++;
    }
    return seen[1] > seen[0] && seen[1] >= seen[2] ? ';' : seen[2] > seen[0] ? '\t' : ',';
}

__attribute__((format(printf, 4, 5))) static enum rialto_status refuse(struct fault *fault, uint32_t row,
                                                                       uint32_t column, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault->line = row;
    fault->column = column;
    (void)vsnprintf(fault->reason, sizeof fault->reason, format, arguments);
    va_end(arguments);
    return RIALTO_REFUSED;
}

/* ---- the file's bytes as UTF-8 ---------------------------------------------------------------------------------- */

static enum rialto_status source_open(struct source *source, const char *path, const char *encoding,
                                      struct fault *fault)
{
    struct stat info;
    source->encoding = encoding;
    source->conversion = encoding != NULL ? iconv_open("UTF-8", encoding) : (iconv_t)-1;
    if (encoding != NULL && source->conversion == (iconv_t)-1)
        return refuse(fault, 0, 0, "no encoding is called \"%.40s\": iconv --list names them", encoding);
    source->file = fopen(path, "re");
    if (source->file == NULL || fstat(fileno(source->file), &info) != 0)
        return refuse(fault, 0, 0, "%s", strerror(errno));
    if (!S_ISREG(info.st_mode)) /* a pipe would be empty at the second time */
        return refuse(fault, 0, 0, "not a file: tables are read twice, to be checked and to be sent");
    return RIALTO_OK;
}

static void source_close(struct source *source)
{
    if (source->file != NULL)
        (void)fclose(source->file);
    if (source->conversion != (iconv_t)-1)
        (void)iconv_close(source->conversion);
}

/* The next piece; 0 bytes at the end, at an error, and where the encoding does not fit. */
static size_t source_read(struct source *source, char **ret)
{
    *ret = source->raw;
    size_t n = fread(source->raw + source->held, 1, sizeof source->raw - source->held, source->file);
    if (source->encoding == NULL)
        return n;
    char *in = source->raw, *out = source->text;
    size_t in_left = source->held + n, out_left = sizeof source->text;
    source->is_no_match = source->is_no_match || (n == 0 && in_left > 0);
    if (source->is_no_match)
        return 0;
    if (iconv(source->conversion, &in, &in_left, &out, &out_left) == (size_t)-1 && errno == EILSEQ)
        source->is_no_match = true;
    memmove(source->raw, in, in_left);
    source->held = in_left;
    *ret = source->text;
    return sizeof source->text - out_left;
}

/* ---- to its end -------------------------------------------------------------------------------------------------- */

/* A quotation mark within a cell that does not begin with one, as in 24" wheel, is a character like others: spreadsheets write and
 * read it so, and where the cell ends is clear. */
static bool feed(struct csv_parser *csv, const char *text, size_t n, struct reader *reader)
{
    size_t done = csv_parse(csv, text, n, on_cell, on_row_end, reader);
    while (done < n && csv_error(csv) == CSV_EPARSE && !csv->quoted) {
        (void)csv_set_opts(csv, CSV_OPTIONS & ~CSV_STRICT);
        csv->status = CSV_SUCCESS;
        done += csv_parse(csv, text + done, 1, on_cell, on_row_end, reader);
        (void)csv_set_opts(csv, CSV_OPTIONS);
        done += csv_parse(csv, text + done, n - done, on_cell, on_row_end, reader);
    }
    return done == n && !reader->ended && reader->wrong == NULL;
}

static bool is_utf16(const char *text, size_t n)
{
    return n >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
}

static enum rialto_status parse(struct source *source, struct csv_parser *csv, struct reader *reader,
                                struct fault *fault)
{
    char *text;
    size_t n = source_read(source, &text);
    if (source->encoding == NULL && is_utf16(text, n))
        return refuse(fault, 1, 0, "this is UTF-16: save it as \"CSV UTF-8\", or say --encoding UTF-16");
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        n -= 3;
    }
    reader->separator = find_separator(text, n);
    csv_set_delim(csv, (unsigned char)reader->separator);
    bool more = true;
    for (; more && n > 0; n = more ? source_read(source, &text) : 0)
        more = feed(csv, text, n, reader);
    if (ferror(source->file))
        return refuse(fault, 0, 0, "%s", strerror(errno));
    if (more && source->is_no_match)
        return refuse(fault, reader->number, reader->count + 1, "holds bytes that are no character of %.40s",
                      source->encoding);
    if (more)
        (void)csv_fini(csv, on_cell, on_row_end, reader);
    if (reader->wrong != NULL)
        return refuse(fault, reader->wrong_row, reader->wrong_column, "%s", reader->wrong);
    if (csv_error(csv) == CSV_EPARSE)
        return refuse(fault, reader->number, reader->count + 1,
                      "a cell that begins with a quotation mark ends with one, and those within it are doubled");
    if (csv_error(csv) != CSV_SUCCESS)
        return refuse(fault, reader->number, reader->count + 1,
                      "a cell is longer than 65536 bytes: is a quotation mark open?");
    return RIALTO_OK;
}

enum rialto_status import_csv_read(const char *path, const char *encoding,
                                   bool (*row)(void *user, uint32_t number, uint32_t count, char *const cell[],
                                               char separator),
                                   void *user, struct fault *fault)
{
    struct csv_parser csv;
    memset(fault, 0, sizeof *fault);
    (void)snprintf(fault->file, sizeof fault->file, "%s", path);
    struct source *source = calloc(1, sizeof *source);
    struct reader *reader = calloc(1, sizeof *reader);
    enum rialto_status status = RIALTO_NO_MEMORY;
    if (source != NULL && reader != NULL)
        status = source_open(source, path, encoding, fault);
    if (status == RIALTO_OK && csv_init(&csv, CSV_OPTIONS) == 0) {
        csv_set_realloc_func(&csv, bounded_realloc);
        reader->row = row;
        reader->user = user;
        reader->number = 1;
        status = parse(source, &csv, reader, fault);
        csv_free(&csv);
    }
    if (status == RIALTO_NO_MEMORY)
        (void)refuse(fault, 0, 0, "out of memory");
    if (source != NULL)
        source_close(source);
    free(source);
    free(reader);
    return status;
}
