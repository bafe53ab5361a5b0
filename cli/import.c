/* import.c - `rialto import`: a shop's own tables, as its spreadsheet writes them, checked to the last cell and then sent. */
#include "cli/import.h"
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "service/clock.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILES_MAX  16u
#define BATCH_ROWS 100u /* as many remarks as an answer lists: none stays unsaid */
#define ATTEMPTS   3u
#define LISTED_MAX 100u /* faults of a file that are printed; all are counted */

static const struct kind {
    const char *name;
    enum signal_type type;
} KINDS[] = {
    /* in the order in which they are sent: a stock is a product's */
    { "zones", SIGNAL_zone },         { "products", SIGNAL_product },
    { "stock", SIGNAL_supply },       { "competitors", SIGNAL_competitor },
    { "customers", SIGNAL_customer }, { "offers", SIGNAL_offer },
};
#define KIND_COUNT (sizeof KINDS / sizeof KINDS[0])

struct options {
    const struct kind *as;
    const char *columns, *encoding;
    bool dry_run, skip_bad;
    struct import_map map;
};

struct import { /* one file */
    const struct cli *cli;
    const struct options *options;
    const char *path;
    const struct kind *kind;
    struct import_sheet sheet;
    struct signal_rules rules;
    struct requester *requester; /* NULL while rows are only checked */
    uint64_t rows, bad_rows, faults, accepted, remarks;
    void *seen; /* a tree (search.h) of what the rows are about */
    bool header_bad, unreachable;
    cJSON *batch;
    uint32_t batch_row[BATCH_ROWS];
    char first_sku[RIALTO_ID_MAX];
    char durable[16];
    cJSON *told; /* with --json: the faults */
};

/* ---- what is said ------------------------------------------------------------------------------------------- */

/* 0 -> A, 25 -> Z, 26 -> AA: as spreadsheets name columns. */
static void column_letters(uint32_t column, char ret[4])
{
    (void)snprintf(ret, 4, column < 26 ? "%c" : "%c%c", column < 26 ? 'A' + (int)column : 'A' + (int)column / 26 - 1,
                   'A' + (int)column % 26);
}

static void tell(void *user, uint32_t row, uint32_t column, const char *field, const char *reason)
{
    struct import *import = user;
    char letters[4] = "";
    if (column < IMPORT_COLUMNS_MAX)
        column_letters(column, letters);
    if (import->told != NULL && cJSON_GetArraySize(import->told) < (int)LISTED_MAX) {
        cJSON *fault = cJSON_CreateObject();
        cJSON_AddNumberToObject(fault, "row", row);
        cJSON_AddStringToObject(fault, "column", letters);
        cJSON_AddStringToObject(fault, "field", field);
        cJSON_AddStringToObject(fault, "text", reason);
        cJSON_AddItemToArray(import->told, fault);
    } else if (import->told == NULL && import->faults + import->remarks < LISTED_MAX) {
        printf("%s:%" PRIu32 "%s%s: %s%s%s\n", import->path, row, letters[0] != 0 ? ":" : "", letters, field,
               field[0] != 0 ? ": " : "", reason);
    }
}

static void tell_fault(void *user, uint32_t row, uint32_t column, const char *field, const char *reason)
{
    struct import *import = user;
    if (import->requester != NULL)
        return; /* told when the rows were checked */
    tell(user, row, column, field, reason);
    import->faults++;
}

static uint64_t count_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

/* Which of the row's own values it is about, where the service cannot know that they stand in a table. */
static void say_values(const cJSON *signal, const char *reason, size_t n, char *ret)
{
    const char *category = json_string(signal, "category"), *currency = json_string(signal, "currency");
    ret[0] = 0;
    if (strcmp(reason, "no_model") == 0)
        (void)snprintf(ret, n, " (%s%s%s)", category, category[0] != 0 ? ", " : "", currency);
}

static void tell_finding(struct import *import, uint32_t row, const cJSON *signal, const cJSON *finding)
{
    const char *pointer = json_string(finding, "pointer"), *reason = json_string(finding, "reason"),
               *why = json_string(finding, "text");
    char text[2 * FAULT_REASON_MAX], values[FAULT_REASON_MAX];
    say_values(signal, reason, sizeof values, values);
    (void)snprintf(text, sizeof text, "%s%s%s%s", reason, why[0] != 0 ? ": " : "", why, values);
    tell(import, row, import_column(&import->sheet, pointer), pointer[0] != 0 ? pointer + 1 : "", text);
    import->remarks++;
}

/* The service's findings, at the row and column that they are about. Workers find in an order of their own: here it is the rows'. */
static void note_answer(struct import *import, const cJSON *answer)
{
    import->accepted += count_of(answer, "accepted");
    (void)snprintf(import->durable, sizeof import->durable, "%s", json_string(answer, "durable"));
    for (uint32_t i = 0; i < (uint32_t)cJSON_GetArraySize(import->batch); i++) {
        const cJSON *finding;
        cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(answer, "findings"))
        {
            if (count_of(finding, "index") == i)
                tell_finding(import, import->batch_row[i], cJSON_GetArrayItem(import->batch, (int)i), finding);
        }
    }
}

/* ---- rows about the same thing ----------------------------------------------------------------------------------- */

struct seen {
    uint32_t row;
    char *text; /* all that the row says; in the same memory as the key */
    char key[];
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key);
}

static void forget_seen(struct import *import)
{
    tdestroy(import->seen, free);
    import->seen = NULL;
}

static struct seen *seen_make(uint32_t row, const char *key, const cJSON *signal)
{
    char *text = cJSON_PrintUnformatted(signal);
    size_t key_bytes = strlen(key) + 1, text_bytes = text != NULL ? strlen(text) + 1 : 0;
    struct seen *seen = text != NULL ? malloc(sizeof *seen + key_bytes + text_bytes) : NULL;
    if (seen != NULL) {
        seen->row = row;
        seen->text = seen->key + key_bytes;
        memcpy(seen->key, key, key_bytes);
        memcpy(seen->text, text, text_bytes);
    }
    free(text);
    return seen;
}

/* One of two rows about the same thing would silently win: which of them is meant, the table does not say. Rows that say the same are
 * fine: an export of articles by shop has one for each shop. */
static bool is_clear(struct import *import, uint32_t row, const cJSON *signal)
{
    char key[IMPORT_KEY_MAX], why[FAULT_REASON_MAX];
    enum signal_field field;
    if (!import_key(signal, key, &field))
        return true;
    struct seen *seen = seen_make(row, key, signal);
    struct seen **found = seen != NULL ? tsearch(seen, &import->seen, by_key) : NULL;
    if (found != NULL && *found == seen)
        return true;
    bool same = found != NULL && strcmp((*found)->text, seen->text) == 0;
    if (!same && found != NULL)
        (void)snprintf(why, sizeof why, "stands in row %" PRIu32 " already, with other values: which hold?",
                       (*found)->row);
    if (!same)
        tell_fault(import, row, import->sheet.column[field], signal_row_name(field),
                   found != NULL ? why : "out of memory");
    free(seen);
    return same;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

static bool send_batch(struct import *import)
{
    char why[REQUEST_WHY_MAX] = "out of memory";
    char *text = cJSON_PrintUnformatted(import->batch);
    cJSON *answer =
        text != NULL ? requester_ask(import->requester, text, strlen(text), ATTEMPTS, &cli_stop, why) : NULL;
    import->unreachable = answer == NULL;
    if (answer != NULL)
        note_answer(import, answer);
    else
        cli_say("%s: row %" PRIu32 " and on: %s", import->path, import->batch_row[0], why);
    cJSON_Delete(answer);
    free(text);
    cJSON_Delete(import->batch);
    import->batch = cJSON_CreateArray();
    return !import->unreachable;
}

static bool row_is_empty(uint32_t count, char *const cell[])
{
    for (uint32_t i = 0; i < count; i++)
        if (cell[i][0] != 0)
            return false;
    return true;
}

static bool on_row(void *user, uint32_t number, uint32_t count, char *const cell[], char separator)
{
    struct import *import = user;
    if (number == 1) {
        import->header_bad = !import_sheet_open(&import->sheet, import->kind->type, &import->options->map, count, cell,
                                                separator, tell_fault, import);
        return !import->header_bad;
    }
    if (row_is_empty(count, cell))
        return true;
    import->rows++;
    cJSON *signal = import_row(&import->sheet, &import->rules, number, count, cell, tell_fault, import);
    if (signal != NULL && !is_clear(import, number, signal)) {
        cJSON_Delete(signal);
        signal = NULL;
    }
    import->bad_rows += signal == NULL;
    if (signal == NULL || import->requester == NULL) {
        cJSON_Delete(signal);
        return true;
    }
    if (import->first_sku[0] == 0)
        (void)snprintf(import->first_sku, sizeof import->first_sku, "%s", json_string(signal, "sku"));
    int at = cJSON_GetArraySize(import->batch);
    import->batch_row[at] = number;
    cJSON_AddItemToArray(import->batch, signal);
    return at + 1 < (int)BATCH_ROWS || send_batch(import);
}

/* ---- a file -------------------------------------------------------------------------------------------------- */

static const struct kind *kind_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strlen(KINDS[i].name) == bytes && strncasecmp(KINDS[i].name, name, bytes) == 0)
            return &KINDS[i];
    return NULL;
}

/* products.csv, products-2026.csv, Products_new.csv. */
static const struct kind *kind_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return kind_find(name, strcspn(name, ".-_ "));
}

/* All rows once: checked, or, with a requester, sent. False when the file cannot be read to its end. */
static bool read_rows(struct import *import)
{
    struct fault fault;
    import->rows = import->bad_rows = 0;
    enum rialto_status status = import_csv_read(import->path, import->options->encoding, on_row, import, &fault);
    forget_seen(import);
    if (status != RIALTO_OK) {
        tell_fault(import, fault.line, fault.column > 0 ? fault.column - 1 : IMPORT_COLUMNS_MAX, "", fault.reason);
        return false;
    }
    if (import->rows == 0 && !import->header_bad)
        tell_fault(import, 1, IMPORT_COLUMNS_MAX, "", "there are no rows below the header");
    return !import->header_bad;
}

static bool check_file(struct import *import, bool *ret_readable)
{
    *ret_readable = read_rows(import);
    return import->faults == 0;
}

static void send_file(struct import *import)
{
    import->batch = cJSON_CreateArray();
    (void)read_rows(import);
    if (!import->unreachable && cJSON_GetArraySize(import->batch) > 0)
        (void)send_batch(import);
    cJSON_Delete(import->batch);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_object(const struct import *import, const char *outcome)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "file", import->path);
    cJSON_AddStringToObject(object, "kind", import->kind->name);
    cJSON_AddStringToObject(object, "outcome", outcome);
    cJSON_AddNumberToObject(object, "rows", (double)import->rows);
    cJSON_AddNumberToObject(object, "bad_rows", (double)import->bad_rows);
    cJSON_AddNumberToObject(object, "accepted", (double)import->accepted);
    cJSON_AddNumberToObject(object, "bad_cells", (double)import->faults);
    cJSON_AddItemReferenceToObject(object, "findings", import->told);
    char *text = cJSON_PrintUnformatted(object);
    printf("%s\n", text != NULL ? text : "null");
    free(text);
    cJSON_Delete(object);
}

static void print_result(const struct import *import, const char *outcome)
{
    uint64_t told = import->faults + import->remarks;
    if (import->cli->json) {
        print_object(import, outcome);
        return;
    }
    if (told > LISTED_MAX)
        printf("%s: and %" PRIu64 " more like these\n", import->path, told - LISTED_MAX);
    printf("%s: %" PRIu64 " row%s", import->path, import->rows, plural(import->rows));
    if (import->faults > 0)
        printf(", %" PRIu64 " fault%s", import->faults, plural(import->faults));
    if (import->bad_rows > 0)
        printf(" in %" PRIu64 " row%s", import->bad_rows, plural(import->bad_rows));
    if (strcmp(outcome, "sent") != 0) {
        if (import->header_bad)
            printf(" (rialto import --columns %s lists the fields)", import->kind->name);
        printf(": %s", outcome);
        if (import->options->skip_bad && import->options->dry_run && !import->header_bad)
            printf(", %" PRIu64 " would be", import->rows - import->bad_rows);
        printf("\n");
        return;
    }
    printf(", %" PRIu64 " accepted", import->accepted);
    if (import->accepted > 0)
        printf(", durable: %s", import->durable);
    printf("\n");
    if (import->kind->type == SIGNAL_product && import->accepted > 0)
        printf("  a first price: rialto quote%s - %s\n", import->cli->where != NULL ? import->cli->where : "",
               import->first_sku);
}

/* ---- the command --------------------------------------------------------------------------------------------- */

enum {
    OWN_AS = CLI_OWN,
    OWN_MAP,
    OWN_VALUE,
    OWN_IGNORE,
    OWN_FILL,
    OWN_DRY_RUN,
    OWN_SKIP_BAD,
    OWN_COLUMNS,
    OWN_ENCODING
};

static bool pair_add(struct import_map *map, const char *name, enum signal_field field, const char *attribute,
                     const char *fill)
{
    if (map->count == sizeof map->pair / sizeof map->pair[0]) {
        cli_say("--map, --ignore and --fill: at most %zu in all", sizeof map->pair / sizeof map->pair[0]);
        return false;
    }
    map->pair[map->count++] = (struct import_pair){ name, field, attribute, fill };
    return true;
}

/* `ret_attribute`: NULL = none is meant here. */
static bool field_find(const char *option, const char *name, const char **ret_attribute, enum signal_field *ret)
{
    *ret = ret_attribute != NULL ? import_field_find(name, ret_attribute) : signal_row_find(name);
    if (*ret == SIGNAL_FIELD_COUNT)
        cli_say("%s: there is no field \"%s\"; rialto import --columns KIND lists them", option, name);
    return *ret != SIGNAL_FIELD_COUNT;
}

/* NAME=FIELD of --map (the last = counts), FIELD=TEXT of --fill (the first). */
static bool take_pair(struct options *options, int option, char *text)
{
    char *equals = option == OWN_MAP ? strrchr(text, '=') : strchr(text, '=');
    const char *what = option == OWN_MAP ? "--map wants COLUMN=FIELD" : "--fill wants FIELD=TEXT";
    if (equals == NULL) {
        cli_say("%s", what);
        return false;
    }
    *equals = 0;
    const char *field_name = option == OWN_MAP ? equals + 1 : text;
    const char *attribute = NULL;
    enum signal_field field;
    if (!field_find(option == OWN_MAP ? "--map" : "--fill", field_name, option == OWN_MAP ? &attribute : NULL, &field))
        return false;
    return option == OWN_MAP ? pair_add(&options->map, text, field, attribute, NULL)
                             : pair_add(&options->map, NULL, field, NULL, equals + 1);
}

/* FIELD:TEXT=VALUE: the first colon and the last = count. */
static bool take_value(struct import_map *map, char *text)
{
    char *colon = strchr(text, ':'), *equals = strrchr(text, '=');
    enum signal_field field;
    if (colon == NULL || equals == NULL || equals < colon || equals == colon + 1) {
        cli_say("--value wants FIELD:TEXT=VALUE, such as tier:Stammkunde=gold");
        return false;
    }
    *colon = *equals = 0;
    if (!field_find("--value", text, NULL, &field))
        return false;
    if (map->value_count == IMPORT_VALUES_MAX) {
        cli_say("--value: at most %u of them", IMPORT_VALUES_MAX);
        return false;
    }
    map->value[map->value_count++] = (struct import_value){ field, colon + 1, equals + 1 };
    return true;
}

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_DRY_RUN: options->dry_run = true; return true;
    case OWN_SKIP_BAD: options->skip_bad = true; return true;
    case OWN_IGNORE: return pair_add(&options->map, argument, SIGNAL_FIELD_COUNT, NULL, NULL);
    case OWN_COLUMNS: options->columns = argument; return true;
    case OWN_ENCODING: options->encoding = argument; return true;
    case OWN_VALUE: return take_value(&options->map, (char *)(uintptr_t)argument); /* as below */
    case OWN_AS:
        options->as = kind_find(argument, strlen(argument));
        if (options->as == NULL)
            cli_say("--as wants zones, products, stock, competitors, customers or offers");
        return options->as != NULL;
    default: return take_pair(options, option, (char *)(uintptr_t)argument); /* argv's own text, ours to cut */
    }
}

static int by_kind(const void *a, const void *b)
{
    const struct import *left = a, *right = b;
    if (left->kind == right->kind)
        return left < right ? -1 : 1; /* as they were named */
    return left->kind < right->kind ? -1 : 1;
}

static bool files_take(struct import *imports, uint32_t count, char *const paths[], const struct cli *cli,
                       const struct options *options)
{
    for (uint32_t i = 0; i < count; i++) {
        struct import *import = &imports[i];
        import->cli = cli;
        import->options = options;
        import->path = paths[i];
        import->kind = options->as != NULL ? options->as : kind_of_file(paths[i]);
        import->rules = (struct signal_rules){ .now_ms = unix_ms(),
                                               .age_max_ms = (int64_t)cli->config.signal_age_max_s * 1000,
                                               .future_max_ms = (int64_t)cli->config.signal_future_max_s * 1000 };
        memcpy(import->rules.levels.geohash_lengths, cli->config.geohash_length, sizeof cli->config.geohash_length);
        memcpy(import->rules.levels.path_depths, cli->config.path_depth, sizeof cli->config.path_depth);
        import->told = cli->json ? cJSON_CreateArray() : NULL;
        if (import->kind == NULL) {
            cli_say("%s: what is in it? Call it zones.csv, products.csv, stock.csv, competitors.csv, customers.csv or "
                    "offers.csv, or say --as KIND",
                    paths[i]);
            return false;
        }
    }
    qsort(imports, count, sizeof *imports, by_kind);
    return true;
}

/* Nothing is sent before every cell of every file has been looked at. */
static int import_all(struct cli *cli, const struct options *options, struct import *imports, uint32_t count)
{
    bool good = true, readable = true;
    for (uint32_t i = 0; i < count; i++) {
        bool whole;
        good &= check_file(&imports[i], &whole);
        readable &= whole;
    }
    if (options->dry_run || !readable || (!good && !options->skip_bad)) {
        for (uint32_t i = 0; i < count; i++)
            print_result(&imports[i], "nothing sent");
        return good ? CLI_OK : readable && options->skip_bad ? CLI_NO : CLI_BAD_FILE;
    }
    struct requester *requester = cli_connect(cli, 0);
    int status = requester != NULL ? CLI_OK : CLI_UNREACHABLE;
    for (uint32_t i = 0; i < count && status != CLI_UNREACHABLE; i++) {
        imports[i].requester = requester;
        send_file(&imports[i]);
        print_result(&imports[i], imports[i].unreachable ? "broken off" : "sent");
        status = imports[i].unreachable ? CLI_UNREACHABLE : imports[i].accepted < imports[i].rows ? CLI_NO : status;
    }
    if (requester != NULL)
        requester_close(requester);
    return status;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "as", required_argument, NULL, OWN_AS },
                                         { "map", required_argument, NULL, OWN_MAP },
                                         { "ignore", required_argument, NULL, OWN_IGNORE },
                                         { "fill", required_argument, NULL, OWN_FILL },
                                         { "dry-run", no_argument, NULL, OWN_DRY_RUN },
                                         { "skip-bad", no_argument, NULL, OWN_SKIP_BAD },
                                         { "columns", required_argument, NULL, OWN_COLUMNS },
                                         { "value", required_argument, NULL, OWN_VALUE },
                                         { "encoding", required_argument, NULL, OWN_ENCODING },
                                         { 0 } };
    static struct options options;
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (options.columns != NULL) {
        const struct kind *kind = kind_find(options.columns, strlen(options.columns));
        if (kind == NULL)
            cli_say("--columns wants zones, products, stock, competitors, customers or offers");
        else
            import_describe(kind->type);
        return kind != NULL ? CLI_OK : CLI_USAGE;
    }
    uint32_t count = (uint32_t)(argc - optind);
    if (count == 0 || count > FILES_MAX) {
        cli_say("from 1 to %u files", FILES_MAX);
        return CLI_USAGE;
    }
    struct import *imports = calloc(count, sizeof *imports);
    status = imports == NULL                                            ? CLI_NO
             : files_take(imports, count, argv + optind, cli, &options) ? import_all(cli, &options, imports, count)
                                                                        : CLI_USAGE;
    for (uint32_t i = 0; imports != NULL && i < count; i++)
        cJSON_Delete(imports[i].told);
    free(imports);
    return status;
}

const struct cli_command cli_import = {
    .name = "import",
    .usage = "import [OPTIONS] FILE.csv...",
    .summary = "a shop's own tables, from its spreadsheet",
    .help =
        "Reads tables of comma-separated values (commas, semicolons or tabs; UTF-8; a first row with the names of "
        "the columns), looks at\n"
        "every cell, and sends each row as an acknowledged signal. A table's name says what is in it: zones.csv, "
        "products.csv, stock.csv,\n"
        "competitors.csv, customers.csv, offers.csv. Amounts are written as people write them: 19.99. Empty cells "
        "say nothing.\n"
        "Faults are told as FILE:ROW:COLUMN, all of them, and then nothing is sent. Exit status 4 if a table is no "
        "good, 1 if the\n"
        "service refused a row.\n"
        "\n"
        "  --as KIND           what is in the tables, whatever they are called\n"
        "  --columns KIND      list the columns that such a table may have\n"
        "  --map COLUMN=FIELD  the column of that name is this field\n"
        "  --ignore COLUMN     pass the column over\n"
        "  --fill FIELD=TEXT   what stands in all empty cells, such as currency=EUR\n"
        "  --value FIELD:TEXT=VALUE  what a cell, or a word between bars in it, means: tier:Stammkunde=gold; nothing "
        "behind the =: it is empty\n"
        "  --encoding NAME     what the tables are written in, as iconv calls it: cp1252, UTF-16\n"
        "  --skip-bad          send the rows that are good; with --dry-run: count them\n"
        "  --dry-run           only look\n"
        "\n"
        "  rialto import --dry-run --fill currency=EUR products.csv\n"
        "  rialto import --map 'Article no.=sku' --map Price=list --ignore Colour --fill currency=EUR products.csv "
        "stock.csv\n",
    .run = run,
};
