/* budgets.c - `rialto budgets`: what is left for the offers that models make. Each worker tells of its partitions; here they are added up. */
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "pricing/model.h"
#include "pricing/money.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const SUMS[] = { "offers_given", "offers_left", "amount_given",
                                    "amount_left",  "partitions",  "partitions_used_up" };

/* The row of the same offer; the first worker's are those that others are added to. NULL: it told of none, models having just changed. */
static cJSON *row_of(cJSON *rows, const cJSON *like)
{
    cJSON *row;
    cJSON_ArrayForEach(row, rows) if (strcmp(json_string(row, "model"), json_string(like, "model")) == 0 &&
                                      strcmp(json_string(row, "offer"), json_string(like, "offer")) == 0) return row;
    return NULL;
}

static void add_up(cJSON *rows, const cJSON *others)
{
    const cJSON *other;
    cJSON_ArrayForEach(other, others)
    {
        cJSON *row = row_of(rows, other);
        for (size_t i = 0; row != NULL && i < sizeof SUMS / sizeof SUMS[0]; i++) {
            cJSON *sum = cJSON_GetObjectItemCaseSensitive(row, SUMS[i]);
            if (sum != NULL)
                cJSON_SetNumberValue(sum, sum->valuedouble + json_number(other, SUMS[i]));
        }
    }
}

static void print_row(const cJSON *row)
{
    char ends[32], text[80] = "any amount";
    const struct currency *currency = currency_find(json_string(row, "currency"));
    cli_clock_text(json_whole(row, "until_ms"), ends);
    if (json_member(row, "amount") != NULL) {
        char left[32], whole[32];
        rialto_money_text(json_whole(row, "amount_left"), "", currency != NULL ? currency->decimals : 0, sizeof left,
                          left);
        rialto_money_text(json_whole(row, "amount"), json_string(row, "currency"),
                          currency != NULL ? currency->decimals : 0, sizeof whole, whole);
        (void)snprintf(text, sizeof text, "%s of %s", left, whole);
    }
    cli_column(json_string(row, "model"), 20, true);
    putchar(' ');
    cli_column(json_string(row, "offer"), 20, true);
    printf(" %10.0f of %-10.0f %-32s %2.0f of %-2.0f  %s UTC\n", json_number(row, "offers_left"),
           json_number(row, "offers"), text, json_number(row, "partitions_used_up"), json_number(row, "partitions"),
           ends);
}

static void print_rows(const struct cli *cli, const cJSON *rows)
{
    const cJSON *row;
    if (!cli->json && cJSON_GetArraySize(rows) == 0)
        printf("no model in force makes offers\n");
    else if (!cli->json)
        printf("%-20s %-20s %24s %-32s %-8s  %s\n", "MODEL", "OFFER", "OFFERS LEFT             ", "AMOUNT LEFT",
               "USED UP", "WINDOW ENDS");
    cJSON_ArrayForEach(row, rows)
    {
        char *text = cli->json ? cJSON_PrintUnformatted(row) : NULL;
        if (cli->json)
            printf("%s\n", text != NULL ? text : "null");
        else
            print_row(row);
        free(text);
    }
}

static int run_budgets(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { 0 } };
    char key[DATA_KEY_MAX];
    int status = cli_parse(cli, argc, argv, own, NULL, NULL);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    if (!cli_key(cli, "budgets are for", key))
        return CLI_UNREACHABLE;
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "budgets");
    cJSON_AddStringToObject(question, "key", key);
    cJSON *answer = cli_ask(cli, question, &status);
    if (answer == NULL)
        return status;
    const cJSON *workers = json_member(answer, "workers");
    cJSON *rows = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(workers, 0), "budgets");
    for (int i = 1; i < cJSON_GetArraySize(workers); i++)
        add_up(rows, json_member(cJSON_GetArrayItem(workers, i), "budgets"));
    print_rows(cli, rows);
    cJSON_Delete(answer);
    return CLI_OK;
}

const struct cli_command cli_budgets = {
    .name = "budgets",
    .usage = "budgets [OPTIONS]",
    .summary = "what is left for the offers that models make",
    .help = "One line for each offer of the models in force: how many offers are left in the window that runs, of\n"
            "how many; how much of the amount; how many of the 64 partitions of customers have used up their share, so\n"
            "that their customers get none until the window ends; and when that is. Who may write in the service's data\n"
            "folder may do this (--set data_dir=..., or --config with its configuration).\n"
            "\n"
            "  rialto budgets\n"
            "  rialto budgets --json | jq 'select(.offers_left < 100) | {model, offer, offers_left, amount_left}'\n",
    .run = run_budgets,
};
