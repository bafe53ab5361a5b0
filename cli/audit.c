/* audit.c - `rialto audit`: the audit log (service/audit.h), the newest last. It needs no running service. */
#include "service/audit.h"
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "pricing/json_text.h"
#include "service/data_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OWN_COUNT = CLI_OWN, OWN_ACTION, OWN_WHO };

struct options {
    double count;
    const char *action, *who;
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_COUNT: return cli_number("--count", argument, 1, 1e9, &options->count);
    case OWN_ACTION: options->action = argument; return true;
    case OWN_WHO: options->who = argument; return true;
    default: return false;
    }
}

static bool wanted(const struct options *options, const cJSON *line)
{
    return cJSON_IsObject(line) &&
           (options->action == NULL || strcmp(json_string(line, "action"), options->action) == 0) &&
           (options->who == NULL || strcmp(json_string(line, "who"), options->who) == 0);
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

static int run_audit(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "count", required_argument, NULL, OWN_COUNT },
                                         { "action", required_argument, NULL, OWN_ACTION },
                                         { "who", required_argument, NULL, OWN_WHO },
                                         { 0 } };
    static const char *const files[] = { AUDIT_FILE, AUDIT_FILE_OLD };
    struct options options = { .count = 20 };
    double count = 0;
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    cJSON *list = cJSON_CreateArray(), *line;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[DATA_PATH_MAX], *text = NULL;
        size_t bytes = 0;
        data_path(&cli->config, files[i], path);
        if (read_all(path, &text, &bytes)) {
            gather(&options, text, bytes, list, &count);
        } else if (i == 0) {
            cli_say("%s: %s (--set data_dir=..., or --config with the configuration of the service)", path,
                    strerror(errno));
            status = CLI_UNREACHABLE;
        }
        free(text);
    }
    cJSON_ArrayForEach(line, list) show(cli, line);
    cJSON_Delete(list);
    return status;
}

const struct cli_command cli_audit = {
    .name = "audit",
    .usage = "audit [OPTIONS]",
    .summary = "who did what to this instance, where from, and what became of it",
    .help = "Changes and their refusals, exports and erasures of customers, new keys, looks at rejected signals, "
            "changes of the file\n"
            "of tokens, and requests that showed no token or key where one is needed; the newest last. No customer is "
            "named: an\n"
            "erasure is told by the nonce of its receipt. Needs no running service. Who may read the service's data "
            "folder may do\n"
            "this (--set data_dir=..., or --config with its configuration).\n\n"
            "  --count N         the last N, default 20\n"
            "  --action ACTION   only these: apply, rollback, pin, unpin, freeze, thaw, export, forget, \"rotate "
            "keys\", rejects,\n"
            "                    tokens, http\n"
            "  --who WHO         only what these did\n\n"
            "  rialto audit\n"
            "  rialto audit --json --count 1000 | jq -r 'select(.outcome != \"done\")'\n",
    .run = run_audit,
};
