/* main.c - `rialto`: ask, tell, follow and check a running instance from a terminal or a script. */
#include "cli/cli.h"

#include "pricing/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command *const commands[] = {
    &cli_quote,   &cli_explain,  &cli_signal, &cli_watch,    &cli_replay,   &cli_check,     &cli_status,
    &cli_rejects, &cli_diff,     &cli_apply,  &cli_rollback, &cli_pin,      &cli_freeze,    &cli_changes,
    &cli_audit,   &cli_simulate, &cli_try,    &cli_forget,   &cli_export,   &cli_inventory, &cli_keys,
    &cli_lock,    &cli_import,   &cli_notice, &cli_top,      &cli_catalogue, &cli_budgets
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char common_help[] =
    "Which instance:\n"
    "  --cache DIR       its shared-memory tables (else $RIALTO_CACHE, else as configured: /dev/shm/rialto)\n"
    "  --url URL         where it answers requests (else as configured: DATA_DIR/request.ipc, tcp://127.0.0.1:7412)\n"
    "  --config FILE     the configuration that it runs with\n"
    "  --set KEY=VALUE   one setting of it, such as instance=shop2 or data_dir=/var/lib/rialto; may be repeated\n"
    "  --timeout MS      longest wait for one answer, default 5000\n"
    "Output:\n"
    "  --json            one JSON object a line instead of text for people\n"
    "\n"
    "Exit status: 0 all is well, 1 a negative answer (unknown product, rejected signal, degraded service), 2 wrong "
    "usage,\n"
    "             3 no service or cache where it was looked for, 4 a model, configuration or input file that is no "
    "good.\n";

static void print_overview(FILE *out)
{
    fprintf(out, "rialto - what does this customer pay for these products, now?\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  rialto %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out,
            "\n`rialto COMMAND --help` explains a command and gives examples. The service itself is rialtod.\n\n%s",
            common_help);
}

/* Two lines: the overview would scroll what is wrong out of sight. */
static int no_command(const char *word)
{
    const char *name[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        name[i] = commands[i]->name;
    const char *meant = nearest_name(word, COMMAND_COUNT, name);
    if (meant != NULL)
        cli_say("there is no command \"%s\"; did you mean \"%s\"?", word, meant);
    else
        cli_say("there is no command \"%s\"", word);
    fprintf(stderr, "       rialto --help lists them\n");
    return CLI_USAGE;
}

static void print_help(const struct cli_command *command)
{
    printf("rialto %s - %s\n\nUsage: rialto %s\n\n%s\n%s", command->name, command->summary, command->usage,
           command->help, common_help);
}

static int run(const struct cli_command *command, int argc, char *argv[])
{
    struct cli cli = { .timeout_ms = 5000 };
    int status = command->run(&cli, argc, argv);
    if (status == CLI_USAGE)
        fprintf(stderr, "usage: rialto %s\n       rialto %s --help explains it\n", command->usage, command->name);
    if (cli.help)
        print_help(command);
    free(cli.where);
    return fflush(stdout) == 0 ? status : CLI_NO;
}

int main(int argc, char *argv[])
{
    cli_plain_output();
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rialto %s\n", RIALTO_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run(commands[i], argc - 1, argv + 1);
    return no_command(argv[1]);
}
