/* tape.c - recorded data or a file of lines, as one stream of lines to send. */
#include "demo/tape.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define BACK_MS (6 * HOUR_MS)

struct tape {
    int64_t shift_ms;
    /* recorded data */
    struct recording *recording;
    int64_t tick_ms; /* the last tick given */
    bool has_item;
    struct recorded item; /* the next signal */
    /* a file of lines */
    gzFile file;
    struct dirent **name; /* of a folder of files; NULL: there is one file */
    int name_count, name_next;
    const char *folder;
    char path[FAULT_FILE_MAX];
    uint32_t line;
    int64_t last_ms;
    char text[TAPE_LINE_MAX];
    char moved[TAPE_LINE_MAX + 1024];
};

__attribute__((format(printf, 3, 4))) static enum recorded_next broken(const struct tape *tape, struct fault *fault,
                                                                       const char *reason, ...)
{
    *fault = (struct fault){ .line = tape->line };
    memcpy(fault->file, tape->path, sizeof fault->file);
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(fault->reason, sizeof fault->reason, reason, arguments);
    va_end(arguments);
    return RECORDED_BROKEN;
}

static enum rialto_status open_file(struct tape *tape, const char *path, struct fault *fault)
{
    snprintf(tape->path, sizeof tape->path, "%s", path);
    tape->file = gzopen(path, "rb");
    if (tape->file != NULL)
        return RIALTO_OK;
    broken(tape, fault, "cannot be read: %s", strerror(errno));
    return RIALTO_REFUSED;
}

static int is_lines(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return bytes > 7 && strcmp(entry->d_name + bytes - 7, ".ndjson") == 0;
}

/* The next file of a folder, in the order of their names. RIALTO_NOT_FOUND: there is none. */
static enum rialto_status open_next(struct tape *tape, struct fault *fault)
{
    char path[4096];
    if (tape->name_next >= tape->name_count)
        return RIALTO_NOT_FOUND;
    if (tape->file != NULL)
        gzclose(tape->file);
    tape->file = NULL;
    tape->line = 0;
    snprintf(path, sizeof path, "%s/%s", tape->folder, tape->name[tape->name_next++]->d_name);
    return open_file(tape, path, fault);
}

static enum rialto_status open_lines(struct tape *tape, const char *path, struct fault *fault)
{
    struct stat info;
    if (stat(path, &info) == -1 || !S_ISDIR(info.st_mode))
        return open_file(tape, path, fault);
    tape->folder = path;
    tape->name_count = scandir(path, &tape->name, is_lines, alphasort);
    enum rialto_status status = open_next(tape, fault);
    if (status != RIALTO_NOT_FOUND)
        return status;
    snprintf(tape->path, sizeof tape->path, "%.*s", (int)sizeof tape->path - 1, path);
    broken(tape, fault, "there is no recording (*.ndjson) in it");
    return RIALTO_REFUSED;
}

static enum rialto_status open_recording(struct tape *tape, const struct tape_source *source, struct fault *fault)
{
    const struct recording_paths paths = { source->fresh_dir, source->retail_file };
    enum rialto_status status = recording_open(&paths, &tape->recording, fault);
    if (status != RIALTO_OK)
        return status;
    tape->tick_ms = recording_begin_ms(tape->recording) - RECORDED_TICK_MS;
    enum recorded_next got = recording_next(tape->recording, &tape->item, fault);
    tape->has_item = got == RECORDED_ITEM;
    return got == RECORDED_BROKEN ? RIALTO_REFUSED : RIALTO_OK;
}

enum rialto_status tape_open(const struct tape_source *source, struct tape **ret, struct fault *fault)
{
    *fault = (struct fault){ 0 };
    struct tape *tape = calloc(1, sizeof *tape);
    if (tape == NULL)
        return RIALTO_NO_MEMORY;
    enum rialto_status status = source->signals_file != NULL ? open_lines(tape, source->signals_file, fault)
                                                             : open_recording(tape, source, fault);
    if (status != RIALTO_OK) {
        tape_close(tape);
        return status;
    }
    *ret = tape;
    return RIALTO_OK;
}

void tape_close(struct tape *tape)
{
    if (tape == NULL)
        return;
    recording_close(tape->recording);
    if (tape->file != NULL)
        gzclose(tape->file);
    for (int i = 0; i < tape->name_count; i++)
        free(tape->name[i]);
    free(tape->name);
    free(tape);
}

void tape_move(struct tape *tape, int64_t shift_ms)
{
    tape->shift_ms = shift_ms;
}

/* ---- recorded data ---------------------------------------------------------------------------------------------- */

static enum recorded_next recorded_tick(struct tape *tape, struct tape_line *ret)
{
    tape->tick_ms += RECORDED_TICK_MS;
    int64_t at_ms = tape->tick_ms + tape->shift_ms;
    int bytes = snprintf(tape->moved, sizeof tape->moved, "{\"control\":\"tick\",\"time\":%" PRId64 "}\n", at_ms);
    *ret = (struct tape_line){ .is_tick = true, .at_ms = at_ms, .text = tape->moved, .bytes = (size_t)bytes };
    return RECORDED_ITEM;
}

static enum recorded_next recorded_signal(struct tape *tape, struct tape_line *ret, struct fault *fault)
{
    static _Thread_local struct recorded given; /* the line's item; it outlives the look ahead */
    given = tape->item;
    size_t bytes = recorded_line(&given, tape->shift_ms, tape->moved);
    *ret = (struct tape_line){
        .at_ms = given.at_ms + tape->shift_ms, .item = &given, .text = tape->moved, .bytes = bytes
    };
    enum recorded_next got = recording_next(tape->recording, &tape->item, fault);
    tape->has_item = got == RECORDED_ITEM;
    return got == RECORDED_BROKEN ? RECORDED_BROKEN : RECORDED_ITEM;
}

static enum recorded_next next_recorded(struct tape *tape, struct tape_line *ret, struct fault *fault)
{
    if (!tape->has_item)
        return RECORDED_END;
    return tape->item.at_ms > tape->tick_ms ? recorded_tick(tape, ret) : recorded_signal(tape, ret, fault);
}

/* ---- a file of lines -------------------------------------------------------------------------------------------- */

/* The value behind "name": in a line of JSON, or NULL. Within a string a quotation mark is escaped, so that the
 * name with both of its marks cannot stand there. */
static const char *value_of(const char *text, const char *name)
{
    char mark[32];
    int bytes = snprintf(mark, sizeof mark, "\"%s\"", name);
    for (const char *at = strstr(text, mark); at != NULL; at = strstr(at + 1, mark)) {
        const char *value = at + bytes;
        value += strspn(value, " \t");
        if (*value != ':' || (at > text && at[-1] == '\\'))
            continue;
        value++;
        return value + strspn(value, " \t");
    }
    return NULL;
}

static bool is_number(const char *value)
{
    return value != NULL && *value >= '0' && *value <= '9';
}

/* Puts `insert` in the place of `old_bytes` bytes at `at` of tape->moved. */
static void replace(struct tape *tape, const char *at, size_t old_bytes, const char *insert)
{
    size_t head = (size_t)(at - tape->moved), insert_bytes = strlen(insert);
    size_t tail = strlen(at + old_bytes) + 1;
    assert(head + insert_bytes + tail <= sizeof tape->moved);
    memmove(tape->moved + head + insert_bytes, at + old_bytes, tail);
    memcpy(tape->moved + head, insert, insert_bytes);
}

static void move_time(struct tape *tape, const char *name)
{
    const char *value = value_of(tape->moved, name);
    if (!is_number(value))
        return;
    char *end, text[32];
    long long ms = strtoll(value, &end, 10);
    snprintf(text, sizeof text, "%lld", ms + (long long)tape->shift_ms);
    replace(tape, value, (size_t)(end - value), text);
}

/* Played at another time it is another signal: its id says so. */
static void move_line(struct tape *tape)
{
    static const char *const name[] = { "time", "until", "from", "expires" };
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        move_time(tape, name[i]);
    const char *id = value_of(tape->moved, "id");
    if (id == NULL || *id != '"')
        return;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "\"%" PRIx64 ".", (uint64_t)tape->shift_ms / 1000u);
    replace(tape, id, 1, prefix);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

static enum recorded_next next_line(struct tape *tape, struct tape_line *ret, struct fault *fault)
{
    do {
        if (gzgets(tape->file, tape->text, sizeof tape->text) == NULL) {
            int error = Z_OK;
            const char *why = gzerror(tape->file, &error);
            if (error != Z_OK && error != Z_STREAM_END)
                return broken(tape, fault, "the file is damaged: %s", why);
            enum rialto_status status = open_next(tape, fault);
            if (status != RIALTO_OK)
                return status == RIALTO_NOT_FOUND ? RECORDED_END : RECORDED_BROKEN;
            tape->text[0] = 0; /* as a blank line */
            continue;
        }
        tape->line++;
    } while (is_blank(tape->text));

    size_t bytes = strlen(tape->text);
    if (bytes == sizeof tape->text - 1 && tape->text[bytes - 1] != '\n')
        return broken(tape, fault, "the line is longer than %u bytes", TAPE_LINE_MAX - 2);
    const char *control = value_of(tape->text, "control");
    if (control != NULL && strncmp(control, "\"tick\"", 6) != 0)
        return broken(tape, fault, "the only control message on a tape is {\"control\":\"tick\",\"time\":MS}");
    const char *time = value_of(tape->text, "time");
    if (time != NULL && !is_number(time) && (tape->shift_ms != 0 || control != NULL))
        return broken(tape, fault, "to be moved in time, \"time\" must be a number of Unix milliseconds");
    if (is_number(time))
        tape->last_ms = strtoll(time, NULL, 10);

    memcpy(tape->moved, tape->text, bytes + 1);
    if (tape->moved[bytes - 1] != '\n')
        memcpy(tape->moved + bytes, "\n", 2);
    if (tape->shift_ms != 0)
        move_line(tape);
    *ret = (struct tape_line){ .is_tick = control != NULL,
                               .at_ms = tape->last_ms + tape->shift_ms,
                               .file = tape->path,
                               .line = tape->line,
                               .text = tape->moved,
                               .bytes = strlen(tape->moved) };
    return RECORDED_ITEM;
}

enum recorded_next tape_next(struct tape *tape, struct tape_line *ret, struct fault *fault)
{
    return tape->recording != NULL ? next_recorded(tape, ret, fault) : next_line(tape, ret, fault);
}

/* ---- a tape as a whole ------------------------------------------------------------------------------------------ */

/* Read to its end it is empty, and would look like a recording of nothing. */
static enum rialto_status refuse_pipe(const struct tape_source *source, struct fault *fault)
{
    struct stat info;
    if (source->signals_file == NULL || stat(source->signals_file, &info) == -1 || S_ISREG(info.st_mode) ||
        S_ISDIR(info.st_mode))
        return RIALTO_OK;
    return fault_set(fault, NULL, 0, "", "%s is no file: a recording is read twice, a pipe can be read once",
                     source->signals_file);
}

enum rialto_status tape_measure(const struct tape_source *source, struct tape_survey *ret, struct fault *fault)
{
    struct tape *tape;
    enum rialto_status status = refuse_pipe(source, fault);
    if (status == RIALTO_OK)
        status = tape_open(source, &tape, fault);
    if (status != RIALTO_OK)
        return status;
    *ret = (struct tape_survey){ 0 };
    struct tape_line line;
    enum recorded_next got;
    while ((got = tape_next(tape, &line, fault)) == RECORDED_ITEM) {
        if (ret->signals + ret->ticks == 0 || (ret->begin_ms == 0 && line.at_ms != 0))
            ret->begin_ms = line.at_ms;
        ret->end_ms = line.at_ms > ret->end_ms ? line.at_ms : ret->end_ms;
        *(line.is_tick ? &ret->ticks : &ret->signals) += 1;
        if (line.item != NULL)
            ret->by_rank[line.item->rank]++;
    }
    if (tape->recording != NULL)
        ret->account_count = recording_accounts(tape->recording, ret->account);
    tape_close(tape);
    return got == RECORDED_END ? RIALTO_OK : RIALTO_REFUSED;
}

static void print_account(const struct account *account, FILE *out)
{
    fprintf(out, "%s: %" PRIu64 " rows read%s\n", account->file, account->rows,
            account_adds_up(account) ? "" : ", AND THE RULES DO NOT ADD UP");
    for (enum account_rule rule = 0; rule < ACCOUNT_COUNT; rule++)
        if (account->by_rule[rule] != 0)
            fprintf(out, "  %10" PRIu64 "  %s\n", account->by_rule[rule], account_rule_text(rule));
}

void tape_print_survey(const struct tape_survey *survey, void *out)
{
    static const char *const name[RANK_COUNT] = { "zones",     "products", "promotions", "weather", "customers",
                                                  "locations", "offers",   "supply",     "demand" };
    for (uint32_t i = 0; i < survey->account_count; i++)
        print_account(&survey->account[i], out);
    fprintf(out, "%" PRIu64 " signals and %" PRIu64 " clock ticks", survey->signals, survey->ticks);
    const char *separator = ": ";
    for (uint32_t i = 0; i < RANK_COUNT; i++) {
        if (survey->by_rank[i] == 0)
            continue;
        fprintf(out, "%s%" PRIu64 " %s", separator, survey->by_rank[i], name[i]);
        separator = ", ";
    }
    fprintf(out, "\n");
}

int64_t tape_shift(int64_t begin_ms, int64_t now_ms)
{
    int64_t earliest = now_ms - BACK_MS;
    int64_t weeks = (earliest - begin_ms) / WEEK_MS;
    if (begin_ms + weeks * WEEK_MS < earliest)
        weeks++;
    return weeks * WEEK_MS;
}
