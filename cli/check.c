/* check.c - `rialto check`: are these pricing models good? The same loader as the service's, so the same answer. */
#include "cli/cli.h"
#include "pricing/model.h"
#include "pricing/remark.h"
#include "service/clock.h"

#include <rialto/bindings.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void report_fault(const struct cli *cli, const struct fault *fault)
{
    if (!cli->json) {
        char text[FAULT_FILE_MAX + FAULT_POINTER_MAX + FAULT_REASON_MAX + 64];
        fault_text(fault, sizeof text, text);
        printf("%s\n", text);
        return;
    }
    printf("{\"ok\":false,\"file\":");
    cli_json_text(fault->file);
    printf(",\"line\":%u,\"column\":%u,\"pointer\":", fault->line, fault->column);
    cli_json_text(fault->pointer);
    printf(",\"reason\":");
    cli_json_text(fault->reason);
    printf("}\n");
}

static void print_scope(const struct model *model)
{
    const char *separator = "";
    for (uint32_t i = 0; i < model->category_count; i++, separator = ", ")
        printf("%s%s", separator, model->category[i]);
    for (uint32_t i = 0; i < model->sku_count; i++, separator = ", ")
        printf("%s%s", separator, model->sku[i]);
    separator = " in ";
    for (uint32_t i = 0; i < model->currency_count; i++, separator = ", ")
        printf("%s%s", separator, model->currency[i]);
    static char claim[REMARK_CLAIM_MAX];
    remark_claim(model, "zone", sizeof claim, claim);
    printf("%s%s", model->zone_count == 0 ? "" : model->zone_count == 1 ? ", in the zone " : ", in the zones ", claim);
    remark_claim(model, "dates", sizeof claim, claim);
    printf("%s%s", claim[0] != '\0' ? ", " : "", claim);
}

static void report_model(const struct cli *cli, const char *path, const struct model *model)
{
    if (cli->json) {
        printf("{\"ok\":true,\"file\":");
        cli_json_text(path);
        printf(",\"model\":");
        cli_json_text(model->name);
        printf(",\"version\":");
        cli_json_text(model->version);
        printf(",\"group\":");
        cli_json_text(model->group_name);
        printf(",\"factors\":%u,\"personal\":%u,\"offers\":%u}\n", model->factor_count, model->personal_count, model->offer_count);
        return;
    }
    printf("%s: ok: %s %s prices ", path, model->name, model->version);
    print_scope(model);
    printf("\n    factors:");
    for (uint32_t i = 0; i < model->factor_count; i++)
        printf(" %s", model->factor[i].name);
    printf("\n    personal (group %s):", model->group_name);
    for (uint32_t i = 0; i < model->personal_count; i++)
        printf(" %s", model->personal[i].name);
    printf("%s\n    bounds: %.4g to %.4g of list; personal %.4g to %.4g%s\n", model->personal_count ? "" : " none",
           (double)model->guard.floor_micro / 1e6, (double)model->guard.ceiling_micro / 1e6,
           (double)model->guard.personal_low_micro / 1e6, (double)model->guard.personal_high_micro / 1e6,
           model->guard.never_above ? ", never above the baseline" : "");
    for (uint32_t i = 0; i < model->offer_count; i++)
        printf("%s %s", i == 0 ? "    offers:" : "", model->offer[i].name);
    printf("%s", model->offer_count > 0 ? "\n" : "");
}

static void report_faults(const struct cli *cli, const struct fault_list *faults)
{
    for (uint32_t i = 0; i < faults->count; i++)
        report_fault(cli, &faults->fault[i]);
    if (faults->dropped > 0)
        printf(cli->json ? "{\"ok\":false,\"more_faults\":%u}\n" : "... and %u more\n", faults->dropped);
}

static void report_remarks(const struct cli *cli, uint32_t count, const struct remark remark[])
{
    for (uint32_t i = 0; i < count; i++) {
        if (!cli->json) {
            printf("    remark: %s: %s\n", remark[i].model, remark[i].text);
            continue;
        }
        printf("{\"remark\":\"%s\",\"model\":", remark[i].word);
        cli_json_text(remark[i].model);
        printf(",\"%s\":", remark[i].of);
        cli_json_text(remark[i].name);
        for (int n = 0; n < 2; n++)
            printf(",\"%s\":%.4g", remark[i].number_name[n], remark[i].number[n]);
        printf("}\n");
    }
}

static void report_offers(const struct cli *cli, const struct model_set *set, const struct model *model)
{
    struct remark remark[MODEL_OFFERS_MAX];
    report_remarks(cli, remark_offers(set, model, unix_ms(), remark), remark);
}

static void report_factors(const struct cli *cli, const struct model *model)
{
    struct remark remark[MODEL_FACTORS_MAX];
    report_remarks(cli, remark_factors(model, remark), remark);
}

/* Returns true if the file holds a good model; otherwise all its faults were said. `alone`: no folder comes with it, whose other models
 * might give its price group personal terms. */
static bool check_file(const struct cli *cli, const char *path, bool alone)
{
    struct fault fault = { 0 };
    char *text = NULL;
    size_t bytes = 0;
    struct model_set *set = calloc(1, sizeof *set + sizeof set->model[0]);
    struct fault_list *faults = calloc(1, sizeof *faults);
    bool good = false;
    if (set == NULL || faults == NULL) {
        cli_say("out of memory");
    } else if (file_read(path, &text, &bytes, &fault) != RIALTO_OK) {
        if (fault.file[0] == 0)
            fault_path(fault.file, path);
        report_fault(cli, &fault);
    } else {
        good = model_parse_all(text, bytes, path, &set->model[0], faults) == RIALTO_OK;
        set->count = 1;
        if (good)
            report_model(cli, path, &set->model[0]);
        if (good)
            report_factors(cli, &set->model[0]);
        if (good && alone)
            report_offers(cli, set, &set->model[0]);
        report_faults(cli, faults);
    }
    free(text);
    free(set);
    free(faults);
    return good;
}

static int is_json(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".json") == 0;
}

static void report_winner(const struct cli *cli, const struct model *a, const struct model *b)
{
    static struct remark_winner winner;
    if (!remark_winner(a, b, &winner))
        return;
    if (!cli->json) {
        printf("    %s\n", winner.text);
        return;
    }
    printf("{\"winner\":");
    cli_json_text(winner.winner);
    printf(",\"models\":[");
    cli_json_text(winner.model[0]);
    printf(",");
    cli_json_text(winner.model[1]);
    printf("],\"by\":");
    cli_json_text(winner.by);
    printf(",\"where\":");
    cli_json_text(winner.where);
    printf("}\n");
}

static const char *kinds_text(uint8_t kinds, char ret[64])
{
    static const struct {
        uint8_t bit;
        const char *name;
    } names[] = {
#define KIND(name, bit) { bit, #name },
        RIALTO_KINDS(KIND)
#undef KIND
    };
    ret[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kinds & names[i].bit)
            (void)snprintf(ret + strlen(ret), 64 - strlen(ret), " %s", names[i].name);
    return ret;
}

/* What a policy asks, each with where it is written. */
static void print_asks(const struct policy *policy)
{
    char kinds[64];
    if (policy->disclosure_code != 0)
        printf("    disclosure %u: %s (%s)\n", policy->disclosure_code, policy->disclosure_text, policy->disclosure_citation);
    if (policy->never_above_count != 0) {
        printf("    personal data lift no price of");
        for (uint32_t i = 0; i < policy->never_above_count; i++)
            printf(" %s", policy->never_above[i]);
        printf(" above the baseline (%s)\n", policy->never_above_citation);
    }
    if (policy->forbidden != 0)
        printf("    moves no price:%s (%s)\n", kinds_text(policy->forbidden, kinds), policy->forbidden_citation);
    if (policy->rise_micro >= 0)
        printf("    largest rise: %.4g %% since it came into force (%s)\n", (double)policy->rise_micro / 1e4, policy->rise_citation);
    if (policy->permitted_count != 0) {
        printf("    permits models to name:");
        for (uint32_t i = 0; i < policy->permitted_count; i++)
            printf(" %s", policy->permitted[i]);
        printf(" (%s)\n", policy->permitted_citation);
    }
    if (policy->notice[0] != '\0')
        printf("    notice: %s (%s)\n", policy->notice, policy->notice_citation);
    if (policy->prior_days != 0)
        printf("    reductions are announced with the lowest price of %u days: rialto explain --at (%s)\n", policy->prior_days,
               policy->prior_citation);
}

static void report_policy(const struct cli *cli, const struct policy *policy)
{
    if (cli->json) {
        printf("{\"ok\":true,\"file\":");
        cli_json_text(policy->file);
        printf(",\"policy\":");
        cli_json_text(policy->name);
        printf(",\"version\":");
        cli_json_text(policy->version);
        printf(",\"policy_status\":\"%s\"}\n", policy_status_text(policy->status));
        return;
    }
    printf("%s: ok: %s %s, %s, in", policy->file, policy->name, policy->version,
           policy->status == POLICY_IN_FORCE ? "in force" : policy_status_text(policy->status));
    for (uint32_t i = 0; i < policy->region_count; i++)
        printf(" %s", policy->region[i]);
    printf("%s\n", policy->status == POLICY_IN_FORCE ? "" : ": it does nothing");
    print_asks(policy);
}

struct files {
    const char *folder;
    struct dirent **entry;
    bool *bad; /* by itself: its faults were said */
    int count;
};

/* What was said of a file is not said again, nor does it take the place of what was not. */
static bool was_said(const void *context, const struct fault *fault)
{
    const struct files *files = context;
    char file[4096], shown[FAULT_FILE_MAX];
    for (int i = 0; i < files->count; i++) {
        snprintf(file, sizeof file, "%s/%s", files->folder, files->entry[i]->d_name);
        fault_path(shown, file);
        if (files->bad[i] && strcmp(shown, fault->file) == 0)
            return true;
    }
    return false;
}

static bool check_set(const struct cli *cli, const struct files *files, const char *path)
{
    struct model_set *set;
    struct fault_list *faults = calloc(1, sizeof *faults);
    if (faults == NULL) {
        cli_say("out of memory");
        return false;
    }
    faults->is_known = was_said;
    faults->context = files;
    bool good = model_set_load_all(path, &set, faults) == RIALTO_OK;
    if (!good) {
        report_faults(cli, faults);
    } else {
        if (!cli->json)
            printf("%s: ok: %u model%s, no contradictions between them\n", path, set->count,
                   set->count == 1 ? "" : "s");
        for (uint32_t i = 0; i < set->policies.count; i++)
            report_policy(cli, &set->policies.policy[i]);
        for (uint32_t i = 0; i < set->count; i++)
            for (uint32_t j = i + 1; j < set->count; j++)
                report_winner(cli, &set->model[i], &set->model[j]);
        for (uint32_t i = 0; i < set->count; i++)
            report_offers(cli, set, &set->model[i]);
        model_set_free(set);
    }
    free(faults);
    return good;
}

static int is_nearly_json(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcasestr(entry->d_name, ".json") != NULL && !is_json(entry);
}

/* A model under a name that no loader looks at is no fault, but its author believes that it prices something. */
static void remark_names(const struct cli *cli, const char *path)
{
    struct dirent **entry = NULL;
    char file[4096];
    int count = scandir(path, &entry, is_nearly_json, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        if (!cli->json) {
            printf("    remark: %s is not looked at: the names of models end in .json\n", file);
        } else {
            printf("{\"remark\":\"not-looked-at\",\"file\":");
            cli_json_text(file);
            printf("}\n");
        }
        free(entry[i]);
    }
    free(entry);
}

/* Every file by itself, so that all faults are seen at once; then the set, for what only shows between them, be some of them bad or not. */
static bool check_folder(const struct cli *cli, const char *path)
{
    struct files files = { .folder = path };
    files.count = scandir(path, &files.entry, is_json, alphasort);
    files.bad = calloc(files.count > 0 ? (size_t)files.count : 1, sizeof *files.bad);
    for (int i = 0; i < files.count && files.bad != NULL; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, files.entry[i]->d_name);
        files.bad[i] = !check_file(cli, file, false);
    }
    bool good = files.bad != NULL && check_set(cli, &files, path);
    remark_names(cli, path);
    for (int i = 0; i < files.count; i++)
        free(files.entry[i]);
    free(files.entry);
    free(files.bad);
    return good;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* What is printed instead of checking anything. */
struct shown {
    bool schema, policy_schema, inputs, factors;
};

enum own_option { OPTION_SCHEMA = CLI_OWN, OPTION_POLICY_SCHEMA, OPTION_INPUTS, OPTION_FACTORS };

static bool take(void *user, int option, const char *argument)
{
    struct shown *shown = user;
    (void)argument;
    shown->schema |= option == OPTION_SCHEMA;
    shown->policy_schema |= option == OPTION_POLICY_SCHEMA;
    shown->inputs |= option == OPTION_INPUTS;
    shown->factors |= option == OPTION_FACTORS;
    return true;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "schema", no_argument, NULL, OPTION_SCHEMA },
                                         { "policy-schema", no_argument, NULL, OPTION_POLICY_SCHEMA },
                                         { "inputs", no_argument, NULL, OPTION_INPUTS },
                                         { "factors", no_argument, NULL, OPTION_FACTORS },
                                         { 0 } };
    struct shown shown = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &shown);
    if (status != CLI_OK || cli->help)
        return status;
    if (shown.schema)
        model_schema_print(stdout);
    if (shown.policy_schema)
        policy_schema_print(stdout);
    if (shown.inputs)
        model_inputs_print(stdout);
    if (shown.factors)
        model_forms_print(stdout);
    if (shown.schema || shown.policy_schema || shown.inputs || shown.factors)
        return CLI_OK;
    bool good = true;
    if (optind == argc)
        good = check_folder(cli, cli->config.models_dir);
    for (int i = optind; i < argc; i++)
        good &= is_folder(argv[i]) ? check_folder(cli, argv[i]) : check_file(cli, argv[i], true);
    return good ? CLI_OK : CLI_BAD_FILE;
}

const struct cli_command cli_check = {
    .name = "check",
    .usage = "check [OPTIONS] [FOLDER|FILE...]",
    .summary = "are these pricing models good?",
    .help = "Reads model files, or all *.json of a folder (default: models_dir of the configuration), just as rialtod "
            "does, and\n"
            "prints each fault as file:line:column: pointer: reason. A folder is also checked for contradictions "
            "between its\n"
            "models, with the policies in its folder policies/, and who prices what where two of them claim the same "
            "products is said.\n"
            "A remark is no fault: an offer of a model that replaces better personal terms, a formula that is outside 0.1 to 10\n"
            "whatever its inputs are. Needs no running service. With --config, the configuration file is checked too.\n"
            "\n"
            "  --schema            print the JSON Schema of model files, as in models/schema/\n"
            "  --policy-schema     print the JSON Schema of policy files\n"
            "  --inputs            print the table of inputs that factors may read\n"
            "  --factors           print the table of kinds of factors\n"
            "\n"
            "  rialto check models                       before a commit; exit status 4 if anything is wrong\n"
            "  rialto check models/groceries.json\n"
            "  rialto check --config rialto.json --json models\n",
    .run = run,
};
