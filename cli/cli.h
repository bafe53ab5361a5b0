/* cli.h - what the sub-commands of `rialto` share: options, finding the instance, exit statuses.
 *
 *   main.c --table of commands--> quote.c explain.c signal.c watch.c replay.c check.c status.c rejects.c change.c simulate.c try.c top.c ... */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "demo/request.h"
#include "service/config.h"
#include "service/data_dir.h"

#include <getopt.h>
#include <rialto/quote.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit statuses. Scripts rely on them: documented in --help and rialto(1). */
enum cli_exit {
    CLI_OK = 0,
    CLI_NO = 1,          /* a negative answer: unknown product, rejected signal, degraded service */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_UNREACHABLE = 3, /* no service, or no cache, where it was looked for */
    CLI_BAD_FILE = 4     /* a model, configuration or input file that cannot be used */
};

struct cli { /* what the options said */
    struct config config;
    char cache[CONFIG_TEXT_MAX]; /* folder of the tables */
    char urls[CONFIG_TEXT_MAX];  /* where requests are answered */
    char *where; /* the options that said where, for a shell, a blank before each; NULL: out of memory. main()'s to free */
    bool json;
    bool help;
    uint32_t timeout_ms;
};

struct cli_command {
    const char *name;
    const char *usage;                                   /* the first line of its help, without "rialto " */
    const char *summary;                                 /* one line */
    const char *help;                                    /* what it does, its own options, examples */
    int (*run)(struct cli *cli, int argc, char *argv[]); /* argv[0] is the command's name */
};

extern const struct cli_command cli_quote, cli_explain, cli_signal, cli_watch, cli_replay, cli_check, cli_status,
    cli_rejects, cli_apply, cli_rollback, cli_pin, cli_freeze, cli_diff, cli_changes, cli_audit, cli_simulate, cli_try,
    cli_forget, cli_export, cli_inventory, cli_keys, cli_lock, cli_import, cli_notice, cli_top, cli_catalogue,
    cli_budgets;

/* cli_parse - take options off a command's line; operands stay in order from argv[optind] on.
 *   own   the command's own long options (a zeroed entry at the end); their `val` must be >= CLI_OWN
 *   take  called for each of them; returns false if the argument is no good (after saying why)
 * Returns CLI_OK, or an exit status after having said why. With --help, cli->help is set. */
#define CLI_OWN 1000
int cli_parse(struct cli *cli, int argc, char *argv[], const struct option own[],
              bool (*take)(void *user, int option, const char *argument), void *user);

/* cli_who - whoever runs this, for records: name@host. */
#define CLI_WHO_MAX 64u
void cli_who(char ret[CLI_WHO_MAX]);

/* cli_exact_text - "191.268000" minor units as "1.91268": all digits, so that steps can be followed with a pocket calculator.
 * cli_short_number - "1.012000" as "1.012". */
void cli_exact_text(const char *minor, uint8_t decimals, char ret[64]);
void cli_short_number(const char *text, char ret[40]);

/* cli_step - the beginning of a line that tells one step of a price: what it is called, its multiplier with six decimals or "", the amount after it.
 * cli_step_total - the same of an amount that steps have led to. cli_step_of - a step, and what it did; `factor` is the name of the model's, where it is one. */
struct explain_step;
void cli_step(const char *name, const char *times, const char *minor, uint8_t decimals);
void cli_step_total(const char *name, int64_t minor, uint8_t decimals);
void cli_step_of(const struct explain_step *step, const char *factor, uint8_t decimals);

/* cli_zone - may a zone be called that? Else false after a message. */
bool cli_zone(const char *zone);

/* cli_key - the key of the service's data folder, for what only who may write there may do. `what`: that, as a sentence begins, such as "budgets are
 * for". False after having said why. */
bool cli_key(const struct cli *cli, const char *what, char ret[DATA_KEY_MAX]);

/* cli_number - a whole decimal number within bounds, else false after a message that names the option. */
bool cli_number(const char *option, const char *text, double low, double high, double *ret);
/* cli_time - a time by RFC 3339 or in Unix milliseconds, after 1970, else false after a message. */
bool cli_time(const char *option, const char *text, int64_t *ret_ms);

/* cli_open_cache - RIALTO_OK, or says why it cannot be read. */
enum rialto_status cli_open_cache(const struct cli *cli, struct rialto **ret);

/* cli_connect - to the answered endpoint, trying for at most wait_ms; NULL after having said why. */
struct requester *cli_connect(const struct cli *cli, uint32_t wait_ms);

/* cli_ask - the answer to a control, which is the caller's; `question` is the caller's no more. NULL after having said why.
 * cli_print_signed - an answer with a signed text: NAME's member and the text, or all of it as JSON; the answer is freed. */
cJSON *cli_ask(const struct cli *cli, cJSON *question, int *ret_status);
int cli_print_signed(const struct cli *cli, cJSON *answer, const char *name);

/* cli_explain_record - what a signed record in a file says. keys_file NULL: the service is asked for its public keys. */
int cli_explain_record(struct cli *cli, const char *file, const char *keys_file);

/* cli_say - "rialto: ..." on standard error. cli_fault - the same for a fault. */
__attribute__((format(printf, 1, 2))) void cli_say(const char *format, ...);
void cli_fault(const struct fault *fault);

/* cli_json_text - text in quotation marks with everything escaped that JSON wants escaped, on standard output. */
void cli_json_text(const char *text);

/* cli_plain_output - from now on what goes to standard output has its control characters escaped as in JSON, line ends and tabs apart.
 * cli_plain_text - a whole text on `to`, escaped like that.
 * cli_line_text - text from outside on standard output, line ends and tabs escaped too: it stays on its line. */
void cli_plain_output(void);
void cli_plain_text(const char *text, FILE *to);
void cli_line_text(const char *text);

/* cli_column - text on standard output in a column of so many cells of a terminal, filled with blanks. What is longer ends with an
 * ellipsis if it is to be cut, else it takes what it needs. */
void cli_column(const char *text, int cells, bool cut);

/* cli_stop - becomes true at SIGINT and SIGTERM after cli_catch_signals(). */
extern _Atomic bool cli_stop;
void cli_catch_signals(void);

/* cli_clock_text - "2024-04-01 08:26:00" (UTC) for Unix ms. */
void cli_clock_text(int64_t unix_ms, char ret[32]);
#endif
