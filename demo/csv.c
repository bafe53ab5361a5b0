/* csv.c - reads rows of comma-separated text through zlib, which passes plain files through unchanged. */
#include "demo/csv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct csv {
    gzFile file;
    char path[FAULT_FILE_MAX];
    uint32_t column_count; /* columns that were asked for */
    uint32_t place[CSV_COLUMNS_MAX];
    uint32_t width; /* columns that the file has */
    uint64_t row;
    uint32_t line;
    char text[CSV_ROW_MAX];
};

__attribute__((format(printf, 3, 4))) static enum rialto_status refuse(const struct csv *csv, struct fault *fault,
                                                                       const char *reason, ...)
{
    *fault = (struct fault){ .line = csv->line };
    snprintf(fault->file, sizeof fault->file, "%s", csv->path);
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(fault->reason, sizeof fault->reason, reason, arguments);
    va_end(arguments);
    return RIALTO_REFUSED;
}

/* An odd number of quotation marks means that a field goes on in the next line. */
static bool is_complete(const char *text)
{
    bool quoted = false;
    for (; *text; text++)
        quoted ^= *text == '"';
    return !quoted;
}

static void skip_line(struct csv *csv)
{
    char rest[1024];
    while (gzgets(csv->file, rest, sizeof rest) != NULL && strchr(rest, '\n') == NULL)
        continue;
}

/* Asked only when no line came: zlib looks ahead, and what lies before the damage is good. */
static bool is_damaged(const struct csv *csv, struct fault *fault)
{
    int error = Z_OK;
    const char *why = gzerror(csv->file, &error);
    if (error == Z_OK || error == Z_STREAM_END)
        return false;
    refuse(csv, fault, "the file is damaged: %s", error == Z_ERRNO ? strerror(errno) : why);
    return true;
}

/* One row into csv->text, its line end cut off. */
static enum csv_next read_row(struct csv *csv, struct fault *fault)
{
    size_t used = 0;
    bool any = false; /* a line may begin with a zero byte, and so be of no length */
    do {
        if (gzgets(csv->file, csv->text + used, (int)(sizeof csv->text - used)) == NULL) {
            if (is_damaged(csv, fault))
                return CSV_BROKEN;
            break;
        }
        any = true;
        csv->line++;
        used += strlen(csv->text + used);
        if (used == sizeof csv->text - 1 && csv->text[used - 1] != '\n') {
            skip_line(csv);
            return CSV_MALFORMED;
        }
    } while (!is_complete(csv->text) && used < sizeof csv->text - 1);

    if (!any)
        return CSV_END;
    while (used > 0 && (csv->text[used - 1] == '\n' || csv->text[used - 1] == '\r'))
        csv->text[--used] = 0;
    return CSV_ROW;
}

/* The field that begins at *at, unquoted in place; *at moves behind its comma, or to NULL after the last field. */
static char *take_field(char **at)
{
    char *from = *at, *to = from, *field = from;
    bool quoted = *from == '"';
    if (quoted)
        from++;
    while (*from && (quoted || *from != ',')) {
        if (quoted && *from == '"') {
            if (from[1] != '"') {
                quoted = false;
                from++;
                continue;
            }
            from++;
        }
        *to++ = *from++;
    }
    *at = *from == ',' ? from + 1 : NULL;
    *to = 0;
    return field;
}

static uint32_t split(char *text, char *ret_field[CSV_COLUMNS_MAX])
{
    uint32_t count = 0;
    for (char *at = text; at != NULL;) {
        char *field = take_field(&at);
        if (count == CSV_COLUMNS_MAX)
            return CSV_COLUMNS_MAX + 1;
        ret_field[count++] = field;
    }
    return count;
}

static enum rialto_status read_header(struct csv *csv, const char *const column[], struct fault *fault)
{
    enum csv_next got = read_row(csv, fault);
    if (got == CSV_BROKEN)
        return RIALTO_REFUSED;
    if (got != CSV_ROW)
        return refuse(csv, fault, "there is no line with the names of the columns");

    char *text = csv->text, *name[CSV_COLUMNS_MAX];
    if (memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    csv->width = split(text, name);
    if (csv->width > CSV_COLUMNS_MAX)
        return refuse(csv, fault, "there are more than %u columns", CSV_COLUMNS_MAX);
    for (uint32_t i = 0; i < csv->column_count; i++) {
        uint32_t place = 0;
        while (place < csv->width && strcmp(name[place], column[i]) != 0)
            place++;
        if (place == csv->width)
            return refuse(csv, fault, "there is no column %s", column[i]);
        csv->place[i] = place;
    }
    return RIALTO_OK;
}

enum rialto_status csv_open(const char *path, uint32_t column_count, const char *const column[], struct csv **ret,
                            struct fault *fault)
{
    assert(column_count <= CSV_COLUMNS_MAX);
    struct csv *csv = calloc(1, sizeof *csv);
    if (csv == NULL)
        return RIALTO_NO_MEMORY;
    snprintf(csv->path, sizeof csv->path, "%s", path);
    csv->column_count = column_count;
    csv->file = gzopen(path, "rb");
    enum rialto_status status =
        csv->file == NULL ? refuse(csv, fault, "cannot be read: %s", strerror(errno)) : RIALTO_OK;
    if (status == RIALTO_OK) {
        gzbuffer(csv->file, 1u << 17);
        status = read_header(csv, column, fault);
    }
    if (status != RIALTO_OK) {
        csv_close(csv);
        return status;
    }
    *ret = csv;
    return RIALTO_OK;
}

void csv_close(struct csv *csv)
{
    if (csv == NULL)
        return;
    if (csv->file != NULL)
        gzclose(csv->file);
    free(csv);
}

enum csv_next csv_next(struct csv *csv, const char *ret_field[], struct fault *fault)
{
    enum csv_next got = read_row(csv, fault);
    if (got == CSV_END || got == CSV_BROKEN)
        return got;
    csv->row++;
    char *field[CSV_COLUMNS_MAX];
    if (got == CSV_MALFORMED || split(csv->text, field) != csv->width)
        return CSV_MALFORMED;
    for (uint32_t i = 0; i < csv->column_count; i++)
        ret_field[i] = field[csv->place[i]];
    return CSV_ROW;
}

uint64_t csv_row(const struct csv *csv)
{
    return csv->row;
}

bool csv_find(const char *folder, const char *name, size_t n, char *ret_path)
{
    static const char *const ending[] = { "", ".gz" };
    for (int i = 0; i < 2; i++) {
        int length = snprintf(ret_path, n, "%s/%s%s", folder, name, ending[i]);
        if (length > 0 && (size_t)length < n && access(ret_path, R_OK) == 0)
            return true;
    }
    return false;
}
