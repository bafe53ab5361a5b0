/* import_csv.c - rows of comma-separated values by libcsv, which sees to quotes and line ends. */
#include "cli/import.h"

#include <csv.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

struct reader {
    bool (*row)(void *user, uint32_t number, uint32_t count, char *const cell[], char separator);
    void *user;
    char separator;
    bool ended;      /* nobody wants more rows */
    int line_end;    /* the last row ended with it, and nothing came since: "\r\n" ends one row, not two */
    uint32_t number; /* of the row being read */
    uint32_t count;
    uint32_t used;     /* bytes of text */
    const char *wrong; /* why this row is no good; NULL = it is */
    uint32_t wrong_row;
    size_t place[IMPORT_COLUMNS_MAX];
    char text[IMPORT_ROW_MAX];
};

/* libcsv doubles its buffer for as long as a field goes on: a quotation mark without its partner would take the whole file. */
static void *bounded_realloc(void *old, size_t bytes)
{
    return bytes <= 2 * IMPORT_ROW_MAX ? realloc(old, bytes) : NULL;
}

static void refuse_row(struct reader *reader, const char *why)
{
    if (reader->wrong != NULL)
        return;
    reader->wrong = why;
    reader->wrong_row = reader->number;
}

static void on_cell(void *bytes, size_t n, void *user)
{
    struct reader *reader = user;
    reader->line_end = 0;
    if (reader->wrong != NULL)
        return;
    if (reader->count == IMPORT_COLUMNS_MAX) {
        refuse_row(reader, "more than 64 columns");
    } else if (n + 1 > sizeof reader->text - reader->used) {
        refuse_row(reader, "the row is longer than 65536 bytes: is a quotation mark open?");
    } else if (memchr(bytes, 0, n) != NULL) {
        refuse_row(reader, "a zero byte");
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

__attribute__((format(printf, 3, 4))) static enum rialto_status refuse(struct fault *fault, uint32_t row,
                                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault->line = row;
    (void)vsnprintf(fault->reason, sizeof fault->reason, format, arguments);
    va_end(arguments);
    return RIALTO_REFUSED;
}

static enum rialto_status parse(FILE *file, struct csv_parser *csv, struct reader *reader, struct fault *fault)
{
    static char chunk[CHUNK_BYTES];
    size_t n = fread(chunk, 1, sizeof chunk, file), from = 0;
    if (n >= 3 && memcmp(chunk, "\xEF\xBB\xBF", 3) == 0)
        from = 3;
    if (n >= 2 && (memcmp(chunk, "\xFF\xFE", 2) == 0 || memcmp(chunk, "\xFE\xFF", 2) == 0))
        return refuse(fault, 1, "this is UTF-16: save it as \"CSV UTF-8\"");
    reader->separator = find_separator(chunk + from, n - from);
    csv_set_delim(csv, (unsigned char)reader->separator);
    for (; n > 0; n = fread(chunk, 1, sizeof chunk, file), from = 0) {
        if (csv_parse(csv, chunk + from, n - from, on_cell, on_row_end, reader) != n - from)
            break;
        if (reader->ended || reader->wrong != NULL)
            break;
    }
    if (ferror(file))
        return refuse(fault, 0, "%s", strerror(errno));
    if (csv_error(csv) == CSV_SUCCESS && !reader->ended && reader->wrong == NULL)
        (void)csv_fini(csv, on_cell, on_row_end, reader);
    if (reader->wrong != NULL)
        return refuse(fault, reader->wrong_row, "%s", reader->wrong);
    if (csv_error(csv) == CSV_EPARSE)
        return refuse(fault, reader->number,
                      "a quotation mark that is neither around a whole cell nor doubled within one");
    if (csv_error(csv) != CSV_SUCCESS)
        return refuse(fault, reader->number, "a cell is longer than 65536 bytes: is a quotation mark open?");
    return RIALTO_OK;
}

enum rialto_status import_csv_read(const char *path,
                                   bool (*row)(void *user, uint32_t number, uint32_t count, char *const cell[],
                                               char separator),
                                   void *user, struct fault *fault)
{
    memset(fault, 0, sizeof *fault);
    (void)snprintf(fault->file, sizeof fault->file, "%s", path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return refuse(fault, 0, "%s", strerror(errno));
    struct reader *reader = calloc(1, sizeof *reader);
    struct csv_parser csv;
    enum rialto_status status = RIALTO_NO_MEMORY;
    if (reader != NULL && csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) == 0) {
        csv_set_realloc_func(&csv, bounded_realloc);
        reader->row = row;
        reader->user = user;
        reader->number = 1;
        status = parse(file, &csv, reader, fault);
        csv_free(&csv);
    }
    if (status == RIALTO_NO_MEMORY)
        (void)refuse(fault, 0, "out of memory");
    free(reader);
    (void)fclose(file);
    return status;
}
