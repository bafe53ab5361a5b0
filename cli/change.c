/* change.c - what pricing people do to a running service: apply, rollback, pin, freeze, diff, changes.
 *
 *   DIR --copy--> DATA_DIR/models/stage.PID --check here--> "change" or "diff" on the request endpoint --> answer
 *
 * Who may write in the data folder may change prices; nobody else can bring models or show the key. */
#include "service/change.h"
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "pricing/model.h"
#include "service/diff_merge.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_SHOWN 200
#define SLACK_MS     2000

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* A question that shows the key; NULL after having said why. */
static cJSON *question_of(const struct cli *cli, const char *control)
{
    char key[DATA_KEY_MAX], who[CLI_WHO_MAX];
    if (!cli_key(cli, "prices are changed by", key))
        return NULL;
    cJSON *question = cJSON_CreateObject();
    cli_who(who);
    cJSON_AddStringToObject(question, "control", control);
    cJSON_AddStringToObject(question, "key", key);
    cJSON_AddStringToObject(question, "who", who);
    return question;
}

/* Frees the question. The answer, or NULL after having said why. Asked once: a change must not be made twice. */
static cJSON *ask(const struct cli *cli, cJSON *question)
{
    char why[REQUEST_WHY_MAX] = "out of memory";
    char *text = cJSON_PrintUnformatted(question);
    cJSON_Delete(question);
    struct requester_settings patient = { cli->urls, cli->timeout_ms, 0 }; /* the service gives up first, and says so */
    if (patient.timeout_ms < cli->config.answer_timeout_ms + SLACK_MS)
        patient.timeout_ms = cli->config.answer_timeout_ms + SLACK_MS;
    struct requester *requester = text != NULL ? requester_open(&patient, why) : NULL;
    cJSON *answer = requester != NULL ? requester_ask(requester, text, strlen(text), 1, NULL, why) : NULL;
    if (answer == NULL)
        cli_say("%s", why);
    requester_close(requester);
    free(text);
    return answer;
}

static bool is_ok(const cJSON *answer)
{
    return cJSON_IsTrue(json_member(answer, "ok"));
}

/* Who mistypes a name is told: an order that means no price is in force all the same, for prices that come. */
static void report_held(const cJSON *held)
{
    if (!cJSON_IsNumber(held))
        return;
    if (held->valuedouble == 0)
        cli_say("no price is held by these words: none that stands is meant by them");
    else
        printf("%.0f price%s held by these words\n", held->valuedouble, held->valuedouble == 1 ? " is" : "s are");
}

/* Prints the answer to a change, frees it, and says what became of it. */
static int report(const struct cli *cli, cJSON *answer)
{
    if (answer == NULL)
        return CLI_UNREACHABLE;
    bool good = is_ok(answer);
    const cJSON *change = json_member(answer, "change");
    if (cli->json) {
        char *text = cJSON_PrintUnformatted(answer);
        printf("%s\n", text != NULL ? text : "null");
        free(text);
    } else if (!good) {
        cli_say("refused, nothing was changed: %s", json_string(answer, "text"));
    } else {
        printf("change %.0f is in force%s after %.0f ms: models of change %.0f, mode %s, %d frozen%s\n",
               json_number(change, "number"),
               cJSON_IsTrue(json_member(answer, "everywhere")) ? " everywhere" : ", not yet everywhere,",
               json_number(answer, "took_ms"), json_number(change, "models"), json_string(change, "mode"),
               cJSON_GetArraySize(json_member(change, "freeze")),
               cJSON_IsTrue(json_member(change, "pinned")) ? ", pinned" : "");
        report_held(json_member(answer, "held"));
    }
    bool file = strcmp(json_string(answer, "reason"), "models_refused") == 0;
    cJSON_Delete(answer);
    return good ? CLI_OK : file ? CLI_BAD_FILE : CLI_NO;
}

/* ---- staging ------------------------------------------------------------------------------------------------------- */

/* All faults of all files are said. */
static bool is_good(const char *folder)
{
    struct fault_list *faults = calloc(1, sizeof *faults);
    struct model_set *set = NULL;
    if (faults == NULL)
        return false;
    bool good = model_set_load_all(folder, &set, faults) == RIALTO_OK;
    for (uint32_t i = 0; i < faults->count && !good; i++)
        cli_fault(&faults->fault[i]);
    if (faults->dropped > 0)
        cli_say("... and %u more", faults->dropped);
    model_set_free(set);
    free(faults);
    return good;
}

/* A copy of the folder that the service can take, checked. CLI_OK, or an exit status after having said why. */
static int stage(const struct cli *cli, const char *folder, char ret_stage[32])
{
    struct fault fault = { 0 };
    if (!is_good(folder)) /* the original is looked at: its names are those that people know */
        return CLI_BAD_FILE;
    (void)snprintf(ret_stage, 32, "stage.%ld", (long)getpid());
    if (change_stage(&cli->config, folder, ret_stage, &fault) == RIALTO_OK)
        return CLI_OK;
    cli_fault(&fault);
    cli_say("models are brought by who may write in the service's data folder, %s", cli->config.data_dir);
    return CLI_UNREACHABLE;
}

/* ---- apply, rollback, pin, freeze ---------------------------------------------------------------------------------- */

enum { OWN_UNCOVERED = CLI_OWN, OWN_TO, OWN_OFF, OWN_ALL, OWN_SKU, OWN_CATEGORY, OWN_ZONE, OWN_NOTE, OWN_COUNT, OWN_MAX_CHANGE };

struct options {
    bool uncovered, off, all;
    const char *to, *sku, *category, *zone, *note;
    double count, max_change_pct;
};

static bool note_fits(const char *note)
{
    if (strlen(note) > CHANGE_NOTE_MAX)
        cli_say("--note: at most %u bytes", CHANGE_NOTE_MAX);
    return strlen(note) <= CHANGE_NOTE_MAX;
}

/* Who says two believes that both are held. */
static bool take_once(const char *option, const char *argument, const char **target)
{
    if (*target != NULL) {
        cli_say("%s is said twice: an order freezes one of them, a second order the other", option);
        return false;
    }
    *target = argument;
    return true;
}

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_UNCOVERED: options->uncovered = true; return true;
    case OWN_OFF: options->off = true; return true;
    case OWN_ALL: options->all = true; return true;
    case OWN_TO: options->to = argument; return true;
    case OWN_SKU: return take_once("--sku", argument, &options->sku);
    case OWN_CATEGORY: return take_once("--category", argument, &options->category);
    case OWN_ZONE: return take_once("--zone", argument, &options->zone);
    case OWN_NOTE: options->note = argument; return note_fits(argument);
    case OWN_COUNT: return cli_number("--count", argument, 0, 50, &options->count);
    case OWN_MAX_CHANGE: return cli_number("--max-change-pct", argument, 0, 1e6, &options->max_change_pct);
    default: return false;
    }
}

__attribute__((format(printf, 3, 4))) static void add_what(cJSON *question, const struct options *options,
                                                           const char *format, ...)
{
    char text[CHANGE_WHAT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (options->note != NULL && used > 0 && (size_t)used < sizeof text)
        (void)snprintf(text + used, sizeof text - (size_t)used, ": %s", options->note);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    cJSON_AddStringToObject(question, "what", text);
}

static int run_apply(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "allow-uncovered", no_argument, NULL, OWN_UNCOVERED },
                                         { "note", required_argument, NULL, OWN_NOTE },
                                         { 0 } };
    struct options options = { 0 };
    char name[32];
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc - optind > 1)
        return CLI_USAGE;
    const char *folder = optind < argc ? argv[optind] : cli->config.models_dir;
    cJSON *question = question_of(cli, "change");
    if (question == NULL)
        return CLI_UNREACHABLE;
    status = stage(cli, folder, name);
    if (status != CLI_OK) {
        cJSON_Delete(question);
        return status;
    }
    cJSON_AddStringToObject(question, "stage", name);
    cJSON_AddBoolToObject(question, "allow_uncovered", options.uncovered);
    add_what(question, &options, "apply %.120s", folder);
    status = report(cli, ask(cli, question));
    change_stage_drop(&cli->config, name); /* if it was not taken */
    return status;
}

static int run_rollback(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "to", required_argument, NULL, OWN_TO },
                                         { "allow-uncovered", no_argument, NULL, OWN_UNCOVERED },
                                         { "note", required_argument, NULL, OWN_NOTE },
                                         { 0 } };
    struct options options = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    double number = 0;
    if (argc != optind || (options.to != NULL && !cli_number("--to", options.to, 1, 9e15, &number)))
        return CLI_USAGE;
    cJSON *question = question_of(cli, "change");
    if (question == NULL)
        return CLI_UNREACHABLE;
    if (options.to != NULL)
        cJSON_AddNumberToObject(question, "models", number);
    else
        cJSON_AddBoolToObject(question, "rollback", true);
    cJSON_AddBoolToObject(question, "allow_uncovered", options.uncovered);
    add_what(question, &options, "rollback%s%s", options.to != NULL ? " to " : "", options.to != NULL ? options.to : "");
    return report(cli, ask(cli, question));
}

static int run_pin(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "off", no_argument, NULL, OWN_OFF },
                                         { "note", required_argument, NULL, OWN_NOTE },
                                         { 0 } };
    struct options options = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    cJSON *question = question_of(cli, "change");
    if (question == NULL)
        return CLI_UNREACHABLE;
    cJSON_AddBoolToObject(question, "pin", !options.off);
    add_what(question, &options, options.off ? "pin taken back" : "pin");
    return report(cli, ask(cli, question));
}

static void add_freeze(cJSON *list, const char *by, const char *pattern, const char *to)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "by", by);
    cJSON_AddStringToObject(item, "pattern", pattern);
    cJSON_AddStringToObject(item, "to", to);
    cJSON_AddItemToArray(list, item);
}

static int run_freeze(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "off", no_argument, NULL, OWN_OFF },
                                         { "all", no_argument, NULL, OWN_ALL },
                                         { "sku", required_argument, NULL, OWN_SKU },
                                         { "category", required_argument, NULL, OWN_CATEGORY },
                                         { "zone", required_argument, NULL, OWN_ZONE },
                                         { "to", required_argument, NULL, OWN_TO },
                                         { "note", required_argument, NULL, OWN_NOTE },
                                         { 0 } };
    struct options options = { .to = "last" };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    bool list = strcmp(options.to, "list") == 0;
    if (!list && strcmp(options.to, "last") != 0) {
        cli_say("--to is list or last");
        return CLI_USAGE;
    }
    if (argc != optind ||
        options.all + (options.sku != NULL) + (options.category != NULL) + (options.zone != NULL) != 1) {
        cli_say("one of --all, --sku, --category and --zone says which prices");
        return CLI_USAGE;
    }
    cJSON *question = question_of(cli, "change");
    if (question == NULL)
        return CLI_UNREACHABLE;
    const char *to = options.off ? "normal" : list ? "list" : "frozen";
    const char *by = options.sku ? "sku" : options.category ? "category" : "zone";
    const char *pattern = options.sku ? options.sku : options.category ? options.category : options.zone;
    if (options.all && options.off)
        cJSON_AddBoolToObject(question, "thaw_all", true);
    else if (options.all)
        cJSON_AddStringToObject(question, "mode", to);
    else
        add_freeze(cJSON_AddArrayToObject(question, "freeze"), by, pattern, to);
    add_what(question, &options, "%s %s%s%.64s%s%s", options.off ? "thaw" : "freeze", options.all ? "all" : by,
             options.all ? "" : " ", options.all ? "" : pattern, options.off ? "" : " to ", options.off ? "" : options.to);
    return report(cli, ask(cli, question));
}

/* ---- diff ---------------------------------------------------------------------------------------------------------- */

static void print_tally(const cJSON *tally, const char *name)
{
    cli_column(name, 32, false);
    printf(" %9.0f %8.0f %8.0f %+8.2f %%\n", json_number(tally, "prices"), json_number(tally, "up"),
           json_number(tally, "down"), json_number(tally, "sum_pct") / fmax(json_number(tally, "prices"), 1));
}

static void print_tallies(const cJSON *all, const char *name, const char *title)
{
    const cJSON *tally;
    int shown = 0;
    printf("\n%-32s %9s %8s %8s %9s\n", title, "prices", "up", "down", "mean");
    cJSON_ArrayForEach(tally, json_member(all, name))
    {
        const char *word = json_string(tally, "name");
        if (shown++ < GROUPS_SHOWN)
            print_tally(tally, word[0] ? word : "world");
    }
}

static void print_money(const cJSON *move, const char *name)
{
    char text[48];
    rialto_money_text((int64_t)json_number(move, name), "", (uint8_t)json_number(move, "decimals"), sizeof text, text);
    text[strcspn(text, " ")] = '\0';
    printf(" %10s", text);
}

static void print_diff(const cJSON *all)
{
    const cJSON *move;
    double prices = json_number(all, "prices");
    printf("%.0f prices: %.0f up, %.0f down, mean %+.2f %%, largest %.1f %%; %.0f frozen, %.0f by no model any more\n",
           prices, json_number(all, "up"), json_number(all, "down"), json_number(all, "sum_pct") / fmax(prices, 1),
           json_number(all, "max_change_pct"), json_number(all, "frozen"), json_number(all, "uncovered"));
    if (cJSON_GetArraySize(json_member(all, "moves")) > 0)
        printf("\n%-24s %-16s %10s %10s %10s %10s %9s\n", "prices that move most", "zone", "now", "stays", "at once", "becomes",
               "change");
    cJSON_ArrayForEach(move, json_member(all, "moves"))
    {
        const char *zone = json_string(move, "zone");
        cli_column(json_string(move, "sku"), 24, false);
        printf(" %-16s", zone[0] ? zone : "world");
        print_money(move, "now");
        print_money(move, "stays");
        print_money(move, "at_once");
        print_money(move, "becomes");
        printf(" %+8.1f %%  %s\n", json_number(move, "pct"), json_string(move, "currency"));
    }
    print_tallies(all, "categories", "category");
    print_tallies(all, "zones", "zone");
}

static int run_diff(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "count", required_argument, NULL, OWN_COUNT },
                                         { "max-change-pct", required_argument, NULL, OWN_MAX_CHANGE },
                                         { 0 } };
    struct options options = { .count = 20, .max_change_pct = INFINITY };
    char name[32];
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc - optind > 1)
        return CLI_USAGE;
    cJSON *question = question_of(cli, "diff");
    if (question == NULL)
        return CLI_UNREACHABLE;
    status = stage(cli, optind < argc ? argv[optind] : cli->config.models_dir, name);
    if (status != CLI_OK) {
        cJSON_Delete(question);
        return status;
    }
    cJSON_AddStringToObject(question, "stage", name);
    cJSON *answer = ask(cli, question);
    change_stage_drop(&cli->config, name);
    if (answer == NULL)
        return CLI_UNREACHABLE;
    const cJSON *refusal = diff_refusal(answer);
    if (refusal != NULL) {
        cli_say("refused: %s", json_string(refusal, "text"));
        cJSON_Delete(answer);
        return CLI_NO;
    }
    cJSON *all = diff_merge(answer, (int)options.count);
    if (cli->json) {
        char *text = cJSON_PrintUnformatted(all);
        printf("%s\n", text != NULL ? text : "null");
        free(text);
    } else {
        print_diff(all);
    }
    bool too_much = json_number(all, "max_change_pct") > options.max_change_pct || json_number(all, "uncovered") > 0;
    cJSON_Delete(all);
    cJSON_Delete(answer);
    return too_much ? CLI_NO : CLI_OK;
}

/* ---- changes ------------------------------------------------------------------------------------------------------- */

static int run_changes(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "count", required_argument, NULL, OWN_COUNT }, { 0 } };
    struct options options = { .count = 20 };
    struct fault fault = { 0 };
    char path[DATA_PATH_MAX], *text = NULL;
    size_t bytes = 0;
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    data_path(&cli->config, "changes.ndjson", path);
    if (file_read(path, &text, &bytes, &fault) != RIALTO_OK) {
        cli_fault(&fault);
        return CLI_UNREACHABLE;
    }
    char *from = text + bytes; /* the beginning of the last `count` lines */
    for (int left = (int)options.count; from > text && left > 0; left--)
        for (from -= 1; from > text && from[-1] != '\n'; from--)
            ;
    for (char *line = from, *end; line < text + bytes && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        cJSON *change = cJSON_Parse(line);
        char clock[32];
        cli_clock_text((int64_t)json_number(change, "when_ms"), clock);
        if (cli->json)
            printf("%s\n", line);
        else
            printf("%6.0f  %s UTC  %-24s  models %-4.0f %-7s%s  %s\n", json_number(change, "change"), clock,
                   json_string(change, "who"), json_number(change, "models"), json_string(change, "mode"),
                   cJSON_IsTrue(json_member(change, "pinned")) ? " pinned" : "", json_string(change, "what"));
        cJSON_Delete(change);
    }
    free(text);
    return CLI_OK;
}

/* ---- the commands -------------------------------------------------------------------------------------------------- */

#define WHO_MAY                                                                                                        \
    "Who may write in the service's data folder may do this (--set data_dir=..., or --config with its configuration).\n" \
    "\n"
#define NOTE "  --note TEXT       why, for the record that `rialto changes` shows\n\n"

const struct cli_command cli_apply = {
    .name = "apply",
    .usage = "apply [OPTIONS] [FOLDER]",
    .summary = "bring the models of a folder into force, on all workers or on none",
    .help = "Checks all models of the folder (models_dir if none is named), has every worker load them, and only when all are\n"
            "ready brings them into force: from one moment on, each price is made by the new models. A fault changes nothing.\n"
            "A price that no model would make any more is a fault too, unless it is allowed. What comes into force is a copy;\n"
            "it stays over a restart until models_dir is changed. `rialto diff` shows beforehand what would move; SIGHUP to\n"
            "rialtod applies models_dir. Exit status: 0 in force, 4 the models were refused, 1 refused for another reason.\n" WHO_MAY
            "  --allow-uncovered take away prices that no model makes any more\n" NOTE
            "  rialto diff models/ && rialto apply models/\n"
            "  rialto apply models/ --note 'winter curves'\n",
    .run = run_apply,
};
const struct cli_command cli_rollback = {
    .name = "rollback",
    .usage = "rollback [OPTIONS]",
    .summary = "back to the models that were in force before",
    .help = "The models before the present ones come into force again, or those of any change that `rialto changes` lists and\n"
            "that are still kept (the last 16). Frozen prices stay frozen.\n" WHO_MAY
            "  --to NUMBER       the models of that change\n"
            "  --allow-uncovered take away prices that no model makes any more\n" NOTE
            "  rialto rollback\n"
            "  rialto rollback --to 12 --note 'the curve was upside down'\n",
    .run = run_rollback,
};
const struct cli_command cli_pin = {
    .name = "pin",
    .usage = "pin [OPTIONS]",
    .summary = "keep the models in force until the pin is taken back",
    .help = "While the models are pinned, apply, rollback and SIGHUP are refused, and a restart comes up with the same models\n"
            "whatever models_dir holds. Freezing works as ever.\n" WHO_MAY
            "  --off             take the pin back\n" NOTE
            "  rialto pin --note 'Black Friday'\n"
            "  rialto pin --off\n",
    .run = run_pin,
};
const struct cli_command cli_freeze = {
    .name = "freeze",
    .usage = "freeze (--all | --sku SKU | --category CATEGORY | --zone ZONE) [OPTIONS]",
    .summary = "hold prices at list or at their last value, at once",
    .help =
        "--all --to list switches every quote to its list price with one word in shared memory. The others hold the\n"
        "baseline prices of a product, or of a category or zone and all that lies inside it; of a sku or category\n"
        "the beginning will do, with a star: 'milk-*'. Floor and ceiling go on to hold, a held price that they forbid\n"
        "moves to the nearest they allow; personal terms go on too. What was said last about a price counts; one\n"
        "product or zone goes before --all. The answer says how many prices are held, and warns of none.\n" WHO_MAY "  --all             every price\n"
        "  --sku SKU         --category CATEGORY, --zone ZONE: only these\n"
        "  --to WHERE        list, or last (default): where they stand now\n"
        "  --off             let them move again, by the words that froze them (`rialto status` shows these);\n"
        "                    with --all, everything that is frozen\n" NOTE
        "  rialto freeze --all --to list --note 'strange prices, looking into it'\n"
        "  rialto freeze --category 'fresh/*'\n"
        "  rialto freeze --all --off\n",
    .run = run_freeze,
};
const struct cli_command cli_diff = {
    .name = "diff",
    .usage = "diff [OPTIONS] [FOLDER]",
    .summary = "what would the models of a folder change, for the prices of this moment?",
    .help = "Every price that stands is computed by the models in force and by those of the folder (models_dir if none is\n"
            "named), from the same inputs, by the workers that own them; nothing is changed. \"now\" is what stands, \"stays\"\n"
            "where the models in force lead, \"becomes\" where the others lead, \"at once\" the first step there. Exit status 1\n"
            "if a change is larger than allowed, or a price would be made by no model any more.\n" WHO_MAY
            "  --count N         list the N prices that move most, at most 50, default 20\n"
            "  --max-change-pct P  exit status 1 if any price would change by more than P per cent\n\n"
            "  rialto diff models/\n"
            "  rialto diff models/ --max-change-pct 10 && rialto apply models/\n"
            "  rialto diff models/ --json | jq '.categories[] | {name, up, down}'\n",
    .run = run_diff,
};
const struct cli_command cli_changes = {
    .name = "changes",
    .usage = "changes [OPTIONS]",
    .summary = "who changed what when",
    .help = "The last changes of models and frozen prices, the newest last. The number in the column \"models\" is what\n"
            "`rialto rollback --to` takes.\n" WHO_MAY
            "  --count N         the last N, at most 50, default 20\n\n"
            "  rialto changes\n"
            "  rialto changes --json | jq -r .who\n",
    .run = run_changes,
};
