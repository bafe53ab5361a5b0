/* promise.c - `rialto lock`, and what `rialto quote --record` and `rialto explain --record` do: prices that are signed. */
#include "cli/cli.h"
#include "pricing/json_member.h"

#include <inttypes.h>
#include <rialto/verify.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_AMOUNT = CLI_OWN, OWN_UNTIL, OWN_FOR, OWN_ZONE, OWN_BASIS, OWN_CURRENCY, OWN_ID };

struct options {
    cJSON *question;
    double hold_s;
};

static bool take(void *user, int option, const char *argument)
{
    static const char *const NAME[] = { "amount", "until", "for", "zone", "basis", "currency", "id" };
    struct options *options = user;
    double number;
    switch (option) {
    case OWN_AMOUNT:
        if (!cli_number("--amount", argument, 1, 281474976710655.0, &number))
            return false;
        cJSON_AddNumberToObject(options->question, "amount", number);
        return true;
    case OWN_FOR: return cli_number("--for", argument, 1, 31536000, &options->hold_s);
    default: cJSON_AddStringToObject(options->question, NAME[option - CLI_OWN], argument); return true;
    }
}

cJSON *cli_ask(const struct cli *cli, cJSON *question, int *ret_status)
{
    char why[REQUEST_WHY_MAX];
    char *text = cJSON_PrintUnformatted(question);
    struct requester *requester = cli_connect(cli, cli->timeout_ms);
    cJSON_Delete(question);
    *ret_status = CLI_UNREACHABLE;
    cJSON *answer = requester == NULL || text == NULL ? NULL : requester_ask(requester, text, strlen(text), 3, NULL, why);
    if (answer == NULL && requester != NULL)
        cli_say("%s", text != NULL ? why : "out of memory");
    requester_close(requester);
    free(text);
    if (answer == NULL || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"))) {
        *ret_status = answer == NULL ? CLI_UNREACHABLE : CLI_OK;
        return answer;
    }
    const cJSON *said = cJSON_GetObjectItemCaseSensitive(answer, "text"), *where = cJSON_GetObjectItemCaseSensitive(answer, "pointer");
    bool place = cJSON_IsString(where) && where->valuestring[0] != '\0';
    cli_say("%s%s%s", place ? where->valuestring : "", place ? ": " : "", cJSON_IsString(said) ? said->valuestring : "refused");
    *ret_status = CLI_NO;
    cJSON_Delete(answer);
    return NULL;
}

int cli_print_signed(const struct cli *cli, cJSON *answer, const char *name)
{
    char *text = cli->json ? cJSON_PrintUnformatted(answer) : cJSON_Print(cJSON_GetObjectItemCaseSensitive(answer, name));
    printf(cli->json ? "%s\n" : "%s\n\n", text != NULL ? text : "");
    if (!cli->json)
        printf("%s\n", json_string(answer, "signed"));
    free(text);
    cJSON_Delete(answer);
    return CLI_OK;
}

/* ---- lock ---------------------------------------------------------------------------------------------------------------- */

/* A time span is of the service's clock, which need not be ours. */
static bool until_of(struct cli *cli, struct options *options, int *ret_status)
{
    cJSON *ping = cJSON_CreateObject();
    cJSON_AddStringToObject(ping, "control", "ping");
    cJSON *answer = cli_ask(cli, ping, ret_status);
    if (answer == NULL)
        return false;
    int64_t now_ms = json_whole(answer, "service_time_ms");
    cJSON_AddNumberToObject(options->question, "until", (double)((now_ms / 1000 + (int64_t)options->hold_s) * 1000));
    cJSON_Delete(answer);
    return true;
}

static int run_lock(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = {
        { "amount", required_argument, NULL, OWN_AMOUNT }, { "until", required_argument, NULL, OWN_UNTIL },
        { "for", required_argument, NULL, OWN_FOR },       { "zone", required_argument, NULL, OWN_ZONE },
        { "basis", required_argument, NULL, OWN_BASIS },   { "currency", required_argument, NULL, OWN_CURRENCY },
        { "id", required_argument, NULL, OWN_ID },         { 0 }
    };
    struct options options = { .question = cJSON_CreateObject() };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    bool whole = status == CLI_OK && !cli->help && argc - optind == 2 &&
                 cJSON_GetObjectItemCaseSensitive(options.question, "amount") != NULL &&
                 (options.hold_s > 0) != (cJSON_GetObjectItemCaseSensitive(options.question, "until") != NULL);
    if (!whole || (options.hold_s > 0 && !until_of(cli, &options, &status))) {
        cJSON_Delete(options.question);
        return status != CLI_OK || cli->help ? status : CLI_USAGE;
    }
    cJSON_AddStringToObject(options.question, "control", "lock");
    cJSON_AddStringToObject(options.question, "customer", argv[optind]);
    cJSON_AddStringToObject(options.question, "sku", argv[optind + 1]);
    cJSON *answer = cli_ask(cli, options.question, &status);
    return answer == NULL ? status : cli_print_signed(cli, answer, "lock");
}

const struct cli_command cli_lock = {
    .name = "lock",
    .usage = "lock --amount MINOR (--for SECONDS | --until TIME) [OPTION...] [--] CUSTOMER SKU",
    .summary = "promise a customer the price that they were just quoted",
    .help = "The amount must have been this customer's quote within lock_grace_s. It is kept durably, the quote does not rise above it\n"
            "until its end (and falls with the price), and a signed text is printed that any backend can check offline with\n"
            "librialto-verify and the public keys (`rialto keys`).\n"
            "\n"
            "  --amount MINOR    what was quoted, in minor units\n"
            "  --for SECONDS     how long from now, by the service's clock; or\n"
            "  --until TIME      until when: RFC 3339, at most lock_max_s ahead\n"
            "  --zone ZONE, --basis BASIS, --currency CUR   as the quote was asked for\n"
            "  --id ID           name of this request: the same one again gives the same lock\n"
            "\n"
            "  rialto lock anna milk-1l --amount 109 --for 3600\n",
    .run = run_lock,
};

/* ---- records ---------------------------------------------------------------------------------------------------------------- */

static void print_money(const cJSON *record, const char *what, const char *member)
{
    char text[48];
    rialto_money_text(json_whole(record, member), json_string(record, "currency"),
                      (uint8_t)json_whole(record, "decimals"), sizeof text, text);
    printf("    %-10s %s\n", what, text);
}

static void print_list(const cJSON *record, const char *what, const char *member, const char *none)
{
    const char *comma = "";
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(record, member);
    printf("    %-10s ", what);
    for (const cJSON *item = list != NULL ? list->child : NULL; item != NULL; item = item->next, comma = ", ")
        printf("%s%s", comma, cJSON_IsString(item) ? item->valuestring : "");
    printf("%s\n", comma[0] == '\0' ? none : "");
}

static void print_record(const cJSON *record)
{
    char at[32], since[32];
    const cJSON *multiplier = cJSON_GetObjectItemCaseSensitive(record, "multiplier");
    cli_clock_text(json_whole(record, "at_ms"), at);
    cli_clock_text(json_whole(record, "as_of_ms"), since);
    printf("%s  %s\n", json_string(record, "sku"), json_string(record, "text"));
    printf("    quoted     %s UTC%s%s, by %s\n", at, json_string(record, "customer")[0] ? " for " : "",
           json_string(record, "customer"), json_string(record, "instance"));
    print_money(record, "list", "list");
    print_money(record, "baseline", "baseline");
    if (cJSON_IsNumber(multiplier))
        printf("    personal   x %.4f, which made it %s\n", multiplier->valuedouble,
               json_whole(record, "amount") == json_whole(record, "baseline")  ? "neither cheaper nor dearer"
               : json_whole(record, "amount") < json_whole(record, "baseline") ? "cheaper"
                                                                               : "dearer");
    print_list(record, "rests on", "rests_on", "no personal data");
    print_list(record, "notes", "flags", "none");
    print_money(record, "floor", "floor");
    print_money(record, "ceiling", "ceiling");
    printf("    zone       %s; price since %s UTC\n", json_string(record, "zone"), since);
    printf("    model      %s %s, rules %s, arithmetic %d\n", json_string(record, "model"),
           json_string(record, "version"), json_string(record, "model_hash"), (int)json_whole(record, "arithmetic"));
    print_list(record, "data read", "data_used", "none");
    printf("    policy     %s; disclosure %d%s%s\n",
           json_string(record, "policy")[0] ? json_string(record, "policy") : "none",
           (int)json_whole(record, "disclosure"), json_string(record, "disclosure_text")[0] ? ": " : "",
           json_string(record, "disclosure_text"));
}

static bool text_read(const char *path, size_t n, char *ret)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    size_t bytes = file == NULL ? 0 : fread(ret, 1, n - 1, file);
    bool good = file != NULL && !ferror(file) && (feof(file) || fgetc(file) == EOF);
    if (file != NULL && file != stdin)
        (void)fclose(file);
    ret[bytes] = '\0';
    return good;
}

/* The public keys: of a file, or asked of the service. False after having said why. */
static bool keys_find(struct cli *cli, const char *keys_file, size_t n, char *ret, int *ret_status)
{
    *ret_status = CLI_BAD_FILE;
    if (keys_file != NULL) {
        bool good = text_read(keys_file, n, ret);
        if (!good)
            cli_say("%s: cannot be read, or is longer than %zu bytes", keys_file, n - 1);
        return good;
    }
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "keys");
    cJSON *answer = cli_ask(cli, question, ret_status);
    (void)snprintf(ret, n, "%s", json_string(answer, "keys"));
    cJSON_Delete(answer);
    return answer != NULL;
}

/* What was printed or stored around the signed text is passed over. */
static const char *token_find(char *text)
{
    char *token = strstr(text, "rialto1.");
    if (token == NULL)
        return text;
    token[strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] = '\0';
    return token;
}

int cli_explain_record(struct cli *cli, const char *file, const char *keys_file)
{
    static char text[4 * RIALTO_SIGNED_MAX], keys[64 << 10];
    char payload[RIALTO_SIGNED_MAX];
    int status;
    if (!text_read(file, sizeof text, text)) {
        cli_say("%s: cannot be read, or is longer than a record", file);
        return CLI_BAD_FILE;
    }
    if (!keys_find(cli, keys_file, sizeof keys, keys, &status))
        return status;
    enum rialto_verdict verdict = rialto_verify_signed(keys, token_find(text), "quote", sizeof payload, payload);
    cJSON *record = verdict == RIALTO_VERDICT_VALID ? cJSON_Parse(payload) : NULL;
    if (record == NULL) {
        cli_say("%s: %s: %s", file, rialto_verdict_name(verdict), rialto_verdict_text(verdict));
        return CLI_NO;
    }
    if (cli->json)
        printf("%s\n", payload);
    else
        print_record(record);
    cJSON_Delete(record);
    return CLI_OK;
}
