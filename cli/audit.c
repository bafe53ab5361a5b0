/* audit.c - `rialto audit`: the audit log (service/audit.h), the newest last. It needs no running service. */
#include "service/audit.h"
#include "cache/keys.h"
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "pricing/json_text.h"
#include "service/audit_names.h"
#include "service/data_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWN_COUNT = CLI_OWN, OWN_ACTION, OWN_WHO, OWN_CUSTOMER };

struct options {
    double count;
    const char *action, *who, *customer;
    char whose[AUDIT_NAME_MAX]; /* the customer's name in the log */
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_COUNT: return cli_number("--count", argument, 1, 1e9, &options->count);
    case OWN_ACTION: options->action = argument; return true;
    case OWN_WHO: options->who = argument; return true;
    case OWN_CUSTOMER: options->customer = argument; return true;
    default: return false;
    }
}

static bool wanted(const struct options *options, const cJSON *line)
{
    return cJSON_IsObject(line) && (options->action == NULL || strcmp(json_string(line, "action"), options->action) == 0) &&
           (options->who == NULL || strcmp(json_string(line, "who"), options->who) == 0) &&
           (options->customer == NULL || strcmp(json_string(line, "whose"), options->whose) == 0);
}

static void show(const struct cli *cli, const cJSON *line)
{
    if (cli->json) {
        char *text = cJSON_PrintUnformatted(line);
        printf("%s\n", text != NULL ? text : "null");
        free(text);
        return;
    }
    const cJSON *change = cJSON_GetObjectItemCaseSensitive(line, "change");
    const cJSON *more = cJSON_GetObjectItemCaseSensitive(line, "more");
    printf("%s  %-12s %-14s %-24s %-32s", json_string(line, "at"), json_string(line, "action"),
           json_string(line, "outcome"), json_string(line, "who"), json_string(line, "from"));
    if (cJSON_IsNumber(change))
        printf("  change %.0f", change->valuedouble);
    if (json_string(line, "receipt")[0] != '\0')
        printf("  receipt %s", json_string(line, "receipt"));
    if (json_string(line, "whose")[0] != '\0')
        printf("  of customer %s", json_string(line, "whose"));
    if (cJSON_IsNumber(more))
        printf("  and %.0f more before", more->valuedouble);
    printf("  %s\n", json_string(line, "what"));
}

/* All of a file as it is now, the caller's; lines that come meanwhile are not in it. False with errno set. */
static bool read_all(const char *path, char **ret_text, size_t *ret_bytes)
{
    struct stat info;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t bytes = fstat(fileno(file), &info) == 0 && info.st_size > 0 ? (size_t)info.st_size : 0;
    *ret_text = malloc(bytes + 1);
    *ret_bytes = *ret_text != NULL ? fread(*ret_text, 1, bytes, file) : 0;
    (void)fclose(file);
    return *ret_text != NULL;
}

/* The lines of one file, the newest first; what is no line of ours is passed over. Those that are wanted are put in front of `list`. */
static void gather(const struct options *options, char *text, size_t bytes, cJSON *list, double *count)
{
    struct fault fault = { 0 };
    for (char *end = text + bytes; end > text && *count < options->count;) {
        char *line = end - 1; /* on the line feed */
        while (line > text && line[-1] != '\n')
            line--;
        cJSON *object = json_parse(line, (size_t)(end - line), 0, &fault);
        end = line;
        if (!wanted(options, object)) {
            cJSON_Delete(object);
            continue;
        }
        cJSON_InsertItemInArray(list, 0, object);
        *count += 1;
    }
}

/* Both generations of one file, its end first; false: the newer one cannot be read. */
static bool gather_files(const struct cli *cli, const struct options *options, const char *const files[2], cJSON *list)
{
    double count = 0;
    bool good = true;
    for (size_t i = 0; i < 2; i++) {
        char path[DATA_PATH_MAX], *text = NULL;
        size_t bytes = 0;
        data_path(&cli->config, files[i], path);
        if (read_all(path, &text, &bytes))
            gather(options, text, bytes, list, &count);
        else if (i == 0)
            good = false;
        free(text);
    }
    return good;
}

/* Two lists, each in the order of its times, as one; both are used up. */
static cJSON *merge(cJSON *a, cJSON *b)
{
    cJSON *all = cJSON_CreateArray();
    while (a->child != NULL || b->child != NULL) {
        bool from_b =
            a->child == NULL || (b->child != NULL && strcmp(json_string(b->child, "at"), json_string(a->child, "at")) < 0);
        cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(from_b ? b : a, 0));
    }
    cJSON_Delete(a);
    cJSON_Delete(b);
    return all;
}

/* Their name in the log. CLI_OK, or an exit status after having said why there is none. */
static int name_of_customer(const struct cli *cli, struct options *options)
{
    char path[DATA_PATH_MAX];
    uint8_t secret[RIALTO_SECRET_BYTES];
    data_path(&cli->config, "secret", path);
    if (access(path, R_OK) != 0 || !secret_load(&cli->config, secret)) {
        cli_say("%s: %s (--set data_dir=..., or --config with the configuration of the service)", path,
                strerror(errno));
        return CLI_UNREACHABLE;
    }
    if (audit_names_find(&cli->config, key_of_id(secret, options->customer, strlen(options->customer)), options->whose))
        return CLI_OK;
    cli_say("nobody has read what is kept of this customer, as far as the log knows; of who was forgotten since it "
            "knows nothing");
    return CLI_NO;
}

static int run_audit(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "count", required_argument, NULL, OWN_COUNT },
                                         { "action", required_argument, NULL, OWN_ACTION },
                                         { "who", required_argument, NULL, OWN_WHO },
                                         { "customer", required_argument, NULL, OWN_CUSTOMER },
                                         { 0 } };
    static const char *const files[] = { AUDIT_FILE, AUDIT_FILE_OLD }, *const access_files[] = { ACCESS_FILE,
                                                                                                 ACCESS_FILE_OLD };
    struct options options = { .count = 20 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    if (options.customer != NULL && (status = name_of_customer(cli, &options)) != CLI_OK)
        return status;
    cJSON *list = cJSON_CreateArray(), *of_customers = cJSON_CreateArray(), *line;
    if (!gather_files(cli, &options, files, list)) {
        char path[DATA_PATH_MAX];
        data_path(&cli->config, AUDIT_FILE, path);
        cli_say("%s: %s (--set data_dir=..., or --config with the configuration of the service)", path,
                strerror(errno));
        status = CLI_UNREACHABLE;
    }
    (void)gather_files(cli, &options, access_files, of_customers); /* there is none before the first line */
    list = merge(list, of_customers);
    for (int left = cJSON_GetArraySize(list) - (int)options.count; left > 0; left--)
        cJSON_DeleteItemFromArray(list, 0);
    cJSON_ArrayForEach(line, list) show(cli, line);
    cJSON_Delete(list);
    return status;
}

const struct cli_command cli_audit = {
    .name = "audit",
    .usage = "audit [OPTIONS]",
    .summary = "who did what to this instance, where from, and what became of it",
    .help =
        "Changes and their refusals, looks at customers' data and their erasure, new keys, looks at rejected signals, "
        "changes of the file\n"
        "of tokens, and requests that showed no token or key where one is needed; the newest last. "
        "Whose data were\n"
        "read (export, explain of a price for a customer) is told by a number drawn by chance, which `forget` makes "
        "nobody's; an\n"
        "erasure by the nonce of its receipt. Needs no running service. Who may read the service's data "
        "folder may do\n"
        "this (--set data_dir=..., or --config with its configuration).\n\n"
        "  --count N         the last N, default 20\n"
        "  --action ACTION   only these: apply, rollback, pin, unpin, freeze, thaw, explain, export, forget, \"rotate "
        "keys\", rejects,\n"
        "                    tokens, http, and diff and budgets where they were refused\n"
        "  --who WHO         only what these did\n"
        "  --customer ID     only who read what is kept of this customer\n\n"
        "  rialto audit\n"
        "  rialto audit --json --count 1000 | jq -r 'select(.outcome != \"done\")'\n",
    .run = run_audit,
};
