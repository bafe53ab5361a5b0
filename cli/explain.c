/* explain.c - `rialto explain`: the way from list price to amount, for people who set prices.
 *
 *   librialto: the quote and its lines --> "explain" of the product's worker, until both speak of the same price
 *                                      --> "terms" of the customer's worker, for who may see personal data
 *
 * A price may change between the two looks: then both are taken again, a bounded number of times. */
#include "cli/cli.h"
#include "cli/explain_at.h"
#include "pricing/json_member.h"
#include "pricing/money.h"
#include "service/data_dir.h"
#include "service/explained.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOKS_MAX 20
#define LOOK_MS   20

enum { OWN_ZONE = CLI_OWN, OWN_BASIS, OWN_CURRENCY, OWN_RECORD, OWN_KEYS, OWN_AT };

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static cJSON *ask(struct requester *requester, cJSON *question)
{
    char why[REQUEST_WHY_MAX];
    char *text = cJSON_PrintUnformatted(question);
    cJSON *answer = text != NULL ? requester_ask(requester, text, strlen(text), 3, NULL, why) : NULL;
    if (answer == NULL)
        cli_say("%s", text != NULL ? why : "out of memory");
    free(text);
    cJSON_Delete(question);
    return answer;
}

static bool is_ok(const cJSON *answer)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
}

static cJSON *ask_product(struct requester *requester, const char *sku, const char *zone)
{
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "explain");
    cJSON_AddStringToObject(question, "sku", sku);
    cJSON_AddStringToObject(question, "zone", zone);
    return ask(requester, question);
}

/* Quote and explanation of one and the same price. CLI_OK, or an exit status after having said why. */
static int look(const struct rialto *prices, struct requester *requester, const struct rialto_request *request,
                const char *sku, struct explained *e)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        enum rialto_status status = reader_quote(prices, request, sku, &e->lines, &e->quote);
        if (status != RIALTO_OK) {
            cli_say("%s: %s", sku, rialto_status_text(status));
            return CLI_NO;
        }
        (void)rialto_rule(prices, e->quote.rule, &e->rule);
        cJSON_Delete(e->product);
        e->product = ask_product(requester, sku, e->quote.zone);
        if (e->product == NULL)
            return CLI_UNREACHABLE;
        if (!is_ok(e->product)) {
            cli_say("%s: %s: %s", sku, json_string(e->product, "reason"), json_string(e->product, "text"));
            return CLI_NO;
        }
        if (explained_agrees(e)) {
            e->personal.count = 0;
            explain_quote(&e->lines.inputs, &e->personal);
            return CLI_OK;
        }
        nanosleep(&(struct timespec){ 0, LOOK_MS * 1000000L }, NULL);
    }
    cli_say("%s: the price changes faster than it can be explained; try again", sku);
    return CLI_NO;
}

static void look_at_customer(const struct cli *cli, struct requester *requester, const char *customer, const char *sku,
                             struct explained *e)
{
    char key[DATA_KEY_MAX], who[CLI_WHO_MAX];
    if (customer == NULL)
        return;
    if (!data_key(&cli->config, false, key)) {
        e->why_not = "personal data are shown only to who can read the service's data folder (data_dir)";
        return;
    }
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "terms");
    cJSON_AddStringToObject(question, "customer", customer);
    cJSON_AddStringToObject(question, "sku", sku);
    cJSON_AddNumberToObject(question, "group", e->quote.group);
    cJSON_AddStringToObject(question, "key", key);
    cli_who(who);
    cJSON_AddStringToObject(question, "who", who);
    e->customer = ask(requester, question);
    if (e->customer == NULL || is_ok(e->customer))
        return;
    bool unknown = strcmp(json_string(e->customer, "reason"), "unknown_customer") == 0;
    e->why_not = unknown ? "nothing is kept of this customer: they pay the baseline price" : "the service refused it";
    cJSON_Delete(e->customer);
    e->customer = NULL;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static const char *money(const struct rialto_quote *quote, int64_t amount, char ret[48])
{
    rialto_money_text(amount, quote->currency, quote->decimals, 48, ret);
    return ret;
}

static void age_text(double ms, char ret[40])
{
    double s = ms / 1000;
    if (s > -0.5 && s < 0.5)
        (void)snprintf(ret, 40, "just now");
    else if (s < 0) /* a source's clock may be ahead */
        (void)snprintf(ret, 40, "%.0f s ahead", -s);
    else if (s < 120)
        (void)snprintf(ret, 40, "%.0f s ago", s);
    else if (s < 7200)
        (void)snprintf(ret, 40, "%.0f min ago", s / 60);
    else if (s < 172800)
        (void)snprintf(ret, 40, "%.0f h ago", s / 3600);
    else
        (void)snprintf(ret, 40, "%.0f days ago", s / 86400);
}

/* What people call it: 14.128972 h is 14:07, the sixth weekday Saturday. Of all else the number and its unit. */
static void print_value(const char *name, const char *value, const char *unit)
{
    static const char *const DAY[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };
    char number[40];
    int seconds = (int)(strtod(value, NULL) * 3600 + 0.01),
        day = (int)strtod(value, NULL); /* 0.133333 h are eight minutes */
    cli_short_number(value, number);
    if (strcmp(name, "hour") == 0)
        printf("%s %02d:%02d", name, seconds / 3600, seconds / 60 % 60);
    else if (strcmp(name, "weekday") == 0 && day >= 1 && day <= 7)
        printf("%s %s", name, DAY[day - 1]);
    else
        printf("%s %s %s", name, number, unit);
}

static void print_input(const cJSON *input)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(input, "value");
    const char *zone = json_string(input, "zone");
    char age[40];
    if (!cJSON_IsString(value)) {
        printf("%s: %s", json_string(input, "name"), json_string(input, "state"));
        if (cJSON_HasObjectItem(input, "zone")) {
            age_text(json_number(input, "age_ms"), age);
            printf(" (of %s, %s)", zone[0] ? zone : "the world", age);
        }
        printf(", so no opinion");
        return;
    }
    const char *state = json_string(input, "state");
    print_value(json_string(input, "name"), value->valuestring, json_string(input, "unit"));
    if (strcmp(state, "current") != 0 && strcmp(state, "always known") != 0) {
        printf(", %s", state);
        return;
    }
    if (!cJSON_HasObjectItem(input, "age_ms") || json_number(input, "age_ms") == 0)
        return;
    age_text(json_number(input, "age_ms"), age);
    if (cJSON_HasObjectItem(input, "zone"))
        printf(", of %s", zone[0] ? zone : "the world");
    printf(", %s", age);
}

/* A curve looks at one input, a formula at several, a table at none. */
static void print_inputs(const cJSON *step)
{
    const cJSON *input, *inputs = cJSON_GetObjectItemCaseSensitive(step, "inputs");
    const char *separator = "";
    if (cJSON_GetArraySize(inputs) == 0)
        printf("%s", json_string(step, "kind"));
    cJSON_ArrayForEach(input, inputs)
    {
        printf("%s", separator);
        print_input(input);
        separator = "; ";
    }
}

static void print_product_steps(const struct explained *e)
{
    const cJSON *step;
    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(e->product, "steps"))
    {
        const char *op = json_string(step, "step");
        bool factor = strcmp(op, "factor") == 0;
        cli_step(factor ? json_string(step, "name") : op, json_string(step, "times"), json_string(step, "amount_minor"),
                 e->quote.decimals);
        if (factor)
            print_inputs(step);
        for (unsigned i = 0; !factor && i < EXPLAIN_OP_COUNT; i++)
            if (strcmp(op, explain_op_name((enum explain_op)i)) == 0 && i != EXPLAIN_list)
                printf("%s", explain_op_text((enum explain_op)i));
        if (strcmp(op, "list") == 0) {
            const char *zone = json_string(e->product, "list_zone");
            printf("list price of %s", zone[0] ? zone : "the world");
        }
        printf("\n");
    }
}

static void print_words(const cJSON *list)
{
    const cJSON *word;
    const char *separator = "";
    cJSON_ArrayForEach(word, list)
    {
        printf("%s%s", separator, cJSON_IsString(word) ? word->valuestring : "");
        separator = ", ";
    }
}

static void print_row(const cJSON *row)
{
    char number[40];
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(row, "data");
    cli_short_number(json_string(row, "times"), number);
    printf("      %-12s x %-8s  %s", json_string(row, "name"), number, json_string(row, "kind"));
    if (cJSON_IsArray(data)) {
        printf(" ");
        print_words(data);
    } else if (cJSON_IsString(data)) {
        printf(" %s", data->valuestring);
    } else {
        printf(": %s",
               cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "permitted")) ? "nothing known" : "not permitted");
    }
    printf(" (consent to ");
    print_words(cJSON_GetObjectItemCaseSensitive(row, "rests_on"));
    printf(")\n");
}

static void print_issuer(const cJSON *issuer)
{
    char at[32];
    if (issuer == NULL)
        return;
    cli_clock_text((int64_t)json_number(issuer, "at_ms"), at);
    printf("        made by the offer \"%s\" of model %s, version %s, on %s UTC\n", json_string(issuer, "offer"),
           json_string(issuer, "model"), json_string(issuer, "version"), at);
}

/* Of an offer of so many units: how many the customer's orders have used up. */
static void print_units(const cJSON *offer)
{
    char all[40], ordered[40];
    cli_short_number(json_string(offer, "units"), all);
    cli_short_number(json_string(offer, "units_ordered"), ordered);
    if (all[0] == '\0')
        return;
    printf("                   %s of its %s units are ordered%s\n", ordered, all,
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(offer, "used_up")) ? ": it is used up" : "");
}

static void print_money(const char *before, int64_t amount, const cJSON *offer)
{
    const char *letters = json_string(offer, "currency");
    const struct currency *currency = currency_find(letters);
    char text[48];
    rialto_money_text(amount, letters, currency != NULL ? currency->decimals : 0, sizeof text, text);
    printf("%s%s", before, text);
}

/* A price lock alone is an offer of no kind. */
static void print_offer(const cJSON *offer)
{
    const char *kind = json_string(offer, "kind");
    double value = json_number(offer, "value");
    printf("      offer        ");
    if (strcmp(kind, "percent") == 0)
        printf("%.4g %% off", value / 100);
    else if (strcmp(kind, "none") != 0)
        print_money("", (int64_t)value, offer);
    if (strcmp(kind, "amount_off") == 0)
        printf(" off");
    if (json_number(offer, "locked") > 0)
        print_money(strcmp(kind, "none") == 0 ? "price locked at " : ", price locked at ", json_whole(offer, "locked"),
                    offer);
    const cJSON *rests_on = cJSON_GetObjectItemCaseSensitive(offer, "rests_on");
    printf(cJSON_GetArraySize(rests_on) > 0 ? " (consent to " : "");
    print_words(rests_on);
    printf(cJSON_GetArraySize(rests_on) > 0 ? ")\n" : "\n");
    print_units(offer);
    print_issuer(cJSON_GetObjectItemCaseSensitive(offer, "issued_by"));
}

static void print_customer(const struct explained *e)
{
    if (e->why_not != NULL)
        printf("  %s\n", e->why_not);
    if (e->customer == NULL)
        return;
    char since[32];
    cli_clock_text((int64_t)json_number(e->customer, "consent_ms"), since);
    printf("\nPersonal terms, as permitted on %s UTC: ", since);
    const cJSON *consent = cJSON_GetObjectItemCaseSensitive(e->customer, "consent");
    print_words(consent);
    printf("%s\n", cJSON_GetArraySize(consent) == 0 ? "nothing" : "");
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(e->customer, "rows")) print_row(row);
    const cJSON *low = cJSON_GetObjectItemCaseSensitive(e->customer, "low");
    if (cJSON_IsString(low)) {
        char a[40], b[40], c[40];
        cli_short_number(low->valuestring, a);
        cli_short_number(json_string(e->customer, "high"), b);
        cli_short_number(json_string(e->customer, "within"), c);
        printf("      together     x %-8s  kept within %s and %s\n", c, a, b);
    }
    const cJSON *offer = cJSON_GetObjectItemCaseSensitive(e->customer, "offer");
    if (offer != NULL)
        print_offer(offer);
}

static void print_personal_steps(const struct explained *e)
{
    for (uint32_t i = 0; i < e->personal.count; i++) {
        cli_step_of(&e->personal.step[i], NULL, e->quote.decimals);
        printf("\n");
    }
}

static void print_text(const char *customer, const char *sku, const struct explained *e)
{
    char text[48], list[48], clock[32];
    const struct rialto_quote *quote = &e->quote;
    const char *title = json_string(e->product, "title");
    printf("%s pays %s for %s%s%s%s in %s\n", customer != NULL ? customer : "Anybody",
           money(quote, quote->amount, text), sku, title[0] ? " (" : "", title, title[0] ? ")" : "",
           quote->zone[0] ? quote->zone : "the world");
    printf("  list price %s, %+.1f %%;  bounds ", money(quote, quote->list, list),
           ((double)quote->amount / (double)quote->list - 1) * 100);
    printf("%s to ", money(quote, quote->floor, text));
    printf("%s\n", money(quote, quote->ceiling, text));
    cli_clock_text((int64_t)json_number(e->product, "since_ms"), clock);
    printf("  model %s %s; this baseline price stands since %s UTC\n", e->rule.model, e->rule.version, clock);
    cli_clock_text((int64_t)json_number(e->product, "computed_ms"), clock);
    printf("  inputs as of %s UTC\n%s\n", clock,
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(e->product, "ended"))
               ? "  the days of that model are over, and no model prices it any more: it stands as it was\n"
               : "");
    print_product_steps(e);
    cli_step_total("= baseline", quote->baseline, quote->decimals);
    printf("what anybody without personal data in play pays\n");
    print_customer(e);
    if (e->personal.count > 0)
        printf("\n");
    print_personal_steps(e);
    cli_step_total("= amount", quote->amount, quote->decimals);
    printf("%s\n", quote->currency);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void print_json(const char *customer, struct explained *e)
{
    cJSON *all = explained_json(e, customer);
    char *text = cJSON_PrintUnformatted(all);
    printf("%s\n", text != NULL ? text : "null");
    free(text);
    cJSON_Delete(all);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

struct options {
    struct rialto_request request;
    const char *record, *keys; /* files */
    bool past;
    int64_t at_ms; /* when `past` */
};

static bool take(void *user, int option, const char *argument)
{
    static const char *const basis[] = { "store", "address", "device", "ip" }; /* order of enum rialto_zone_basis */
    struct options *options = user;
    struct rialto_request *request = &options->request;
    switch (option) {
    case OWN_RECORD: options->record = argument; return true;
    case OWN_KEYS: options->keys = argument; return true;
    case OWN_ZONE: request->zone = argument; return cli_zone(argument);
    case OWN_CURRENCY: request->currency = argument; return true;
    case OWN_BASIS:
        for (unsigned i = 0; i < 4; i++) {
            if (strcmp(argument, basis[i]) == 0) {
                request->basis = (enum rialto_zone_basis)i;
                return true;
            }
        }
        cli_say("--basis is store, address, device or ip, not \"%s\"", argument);
        return false;
    case OWN_AT:
        options->past = true;
        return cli_time("--at", argument, &options->at_ms);
    default: return false;
    }
}

static int explain_now(const struct cli *cli, const struct rialto_request *request, size_t count, char *skus[])
{
    struct rialto *prices;
    if (cli_open_cache(cli, &prices) != RIALTO_OK)
        return CLI_UNREACHABLE;
    struct requester *requester = cli_connect(cli, 0);
    int result = requester != NULL ? CLI_OK : CLI_UNREACHABLE;
    for (size_t i = 0; i < count && result != CLI_UNREACHABLE; i++) {
        static struct explained e;
        memset(&e, 0, sizeof e);
        int status = look(prices, requester, request, skus[i], &e);
        if (status == CLI_OK)
            look_at_customer(cli, requester, request->customer, skus[i], &e);
        if (status == CLI_OK && cli->json)
            print_json(request->customer, &e);
        else if (status == CLI_OK) {
            printf("%s", i > 0 ? "\n" : "");
            print_text(request->customer, skus[i], &e);
        }
        cJSON_Delete(e.product);
        cJSON_Delete(e.customer);
        result = status > result ? status : result;
    }
    requester_close(requester);
    rialto_close(prices);
    return result;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "zone", required_argument, NULL, OWN_ZONE },
                                         { "basis", required_argument, NULL, OWN_BASIS },
                                         { "currency", required_argument, NULL, OWN_CURRENCY },
                                         { "record", required_argument, NULL, OWN_RECORD },
                                         { "keys", required_argument, NULL, OWN_KEYS },
                                         { "at", required_argument, NULL, OWN_AT },
                                         { 0 } };
    struct options options = { .record = NULL };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (options.record != NULL)
        return argc == optind ? cli_explain_record(cli, options.record, options.keys) : CLI_USAGE;
    if (argc == optind) {
        cli_say("which product?");
        return CLI_USAGE;
    }
    if (options.past)
        return explain_at(cli, options.request.zone, options.at_ms, (size_t)(argc - optind), argv + optind);
    bool named = argc - optind > 1; /* one operand alone is a product */
    if (named && strcmp(argv[optind], "-") != 0)
        options.request.customer = argv[optind];
    return explain_now(cli, &options.request, (size_t)(argc - optind - named), argv + optind + named);
}

const struct cli_command cli_explain = {
    .name = "explain",
    .usage = "explain [OPTIONS] [CUSTOMER|-] SKU... | explain --at TIME SKU... | explain --record FILE [--keys FILE]",
    .summary = "why a price is what it is, step by step from the list price",
    .help =
        "Shows the way from list price to amount: each factor with its input, the value, where and how long ago it "
        "was\n"
        "observed; guardrails that spoke; what the customer's permitted data did, row by row with the consent that it\n"
        "rests on; each rounding. Every line follows from the one above it; the last one is the amount that\n"
        "`rialto quote` gives now. It is the owner of the product that answers, and nothing changes by asking.\n"
        "CUSTOMER is as for `rialto quote`. What a customer's data did is shown only to who can read the service's "
        "data\n"
        "folder (data_dir).\n"
        "\n"
        "  --zone ZONE       where; else the customer's own zone, else the world\n"
        "  --basis BASIS     what the zone rests on: store (default), address, device, ip\n"
        "  --currency CUR    only prices in this currency\n"
        "  --record FILE     what a signed record says (`rialto quote --record`; - reads standard input), after its\n"
        "                    signature was checked; no product is named then\n"
        "  --keys FILE       public keys for that (`rialto keys`); else the service is asked for them\n"
        "  --at TIME         what the baseline price of each SKU was then (RFC 3339), which factors made it, and the\n"
        "                    lowest price of the 30 days before; from the price journal, which knows no customers\n"
        "\n"
        "  rialto explain milk-1l --zone c1/s25       why does milk cost that in shop 25?\n"
        "  rialto explain milk-1l --zone c1/s25 --at 2026-11-20T09:00:00Z\n"
        "  rialto explain C17850 milk-1l              and for this customer?\n"
        "  rialto explain milk-1l --json | jq '.steps[] | select(.step == \"factor\") | {name, times}'\n",
    .run = run,
};
