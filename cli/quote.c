/* quote.c - `rialto quote`: prices out of shared memory, with what they rest on. */
#include "cli/cli.h"
#include "service/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_ZONE = CLI_OWN, OWN_BASIS, OWN_CURRENCY, OWN_WATCH, OWN_RECORD };

struct options {
    struct rialto_request request;
    const char *basis; /* as it was written */
    bool watch, record;
};

static bool take(void *user, int option, const char *argument)
{
    static const char *const basis[] = { "store", "address", "device", "ip" }; /* order of enum rialto_zone_basis */
    struct options *options = user;
    switch (option) {
    case OWN_ZONE: options->request.zone = argument; return cli_zone(argument);
    case OWN_CURRENCY: options->request.currency = argument; return true;
    case OWN_WATCH: options->watch = true; return true;
    case OWN_RECORD: options->record = true; return true;
    case OWN_BASIS:
        options->basis = argument;
        for (unsigned i = 0; i < 4; i++) {
            if (strcmp(argument, basis[i]) == 0) {
                options->request.basis = (enum rialto_zone_basis)i;
                return true;
            }
        }
        cli_say("--basis is store, address, device or ip, not \"%s\"", argument);
        return false;
    default: return false;
    }
}

struct word {
    uint32_t bit;
    const char *text;
};

static void print_words(const struct word *word, size_t count, uint32_t bits)
{
    const char *separator = "";
    for (size_t i = 0; i < count; i++) {
        if ((bits & word[i].bit) == 0)
            continue;
        printf("%s%s", separator, word[i].text);
        separator = ", ";
    }
}

static void print_flags(uint32_t flags)
{
    static const struct word words[] = {
        { RIALTO_FLAG_ANONYMOUS, "nobody in particular, or no terms" },
        { RIALTO_FLAG_PERSONAL, "personal terms" },
        { RIALTO_FLAG_OFFER, "personal offer" },
        { RIALTO_FLAG_LOCK, "price lock" },
        { RIALTO_FLAG_STALE, "STALE: older than it should be" },
        { RIALTO_FLAG_WIDER_ZONE, "answered by a wider zone" },
        { RIALTO_FLAG_BOUNDED, "held by floor or ceiling" },
        { RIALTO_FLAG_GUARDED, "baseline held by a guardrail" },
        { RIALTO_FLAG_IGNORED_ZONE, "zone not used: no consent to location" },
        { RIALTO_FLAG_LIST_MODE, "list prices ordered by the operator" },
        { RIALTO_FLAG_DEMO, "recorded data" },
        { RIALTO_FLAG_NEUTRAL, "personal terms out of date, not used" },
        { RIALTO_FLAG_SUPERSEDED, "SUPERSEDED: another version has taken over" },
        { RIALTO_FLAG_STARTING, "STARTING: a list price, until its worker is back" },
    };
    print_words(words, sizeof words / sizeof words[0], flags);
}

static void print_kinds(uint16_t kinds)
{
    static const struct word words[] = {
        { RIALTO_KIND_LOCATION, "location" },   { RIALTO_KIND_BEHAVIOUR, "behaviour" },
        { RIALTO_KIND_PURCHASES, "purchases" }, { RIALTO_KIND_PROFILE, "profile" },
        { RIALTO_KIND_PARTNER, "partner" },
    };
    print_words(words, sizeof words / sizeof words[0], kinds);
}

static const char *money(const struct rialto_quote *quote, int64_t amount, char ret[48])
{
    rialto_money_text(amount, quote->currency, quote->decimals, 48, ret);
    return ret;
}

static void print_text(const char *sku, const struct rialto_quote *quote, const struct rialto_rule_row *rule)
{
    char text[48], clock[32];
    printf("%s  %s\n", sku, money(quote, quote->amount, text));
    printf("    baseline   %s", money(quote, quote->baseline, text));
    if (quote->multiplier_e4 != 10000)
        printf("  x %u.%04u personal, from: ", quote->multiplier_e4 / 10000u, quote->multiplier_e4 % 10000u);
    else if (quote->kinds != 0)
        printf("  changed for this customer, from: ");
    print_kinds(quote->kinds);
    printf("\n    list       %s", money(quote, quote->list, text));
    printf("  bounds %s", money(quote, quote->floor, text));
    printf(" to %s\n", money(quote, quote->ceiling, text));
    printf("    zone       %s\n", quote->zone[0] ? quote->zone : "world");
    cli_clock_text(quote->as_of_ms, clock);
    printf("    since      %s UTC, ", clock);
    if (quote->age_ms == UINT32_MAX)
        printf("not known when it was right last\n");
    else
        printf("known to be right %u ms ago\n", quote->age_ms);
    if (quote->valid_until_ms != 0) {
        cli_clock_text(quote->valid_until_ms, clock);
        printf("    until      %s UTC\n", clock);
    }
    printf("    model      %.31s %.31s\n", rule->model, rule->version);
    if (rule->policy[0] != '\0' || quote->used != 0) {
        printf("    policy     %.31s", rule->policy[0] != '\0' ? rule->policy : "none");
        printf("; data read: ");
        print_kinds(quote->used);
        printf("%s\n", quote->used == 0 ? "none" : "");
    }
    if (quote->disclosure != 0)
        printf("    disclosure %u: %.127s\n", quote->disclosure, rule->disclosure_text);
    if (quote->flags != 0) {
        printf("    notes      ");
        print_flags(quote->flags);
        printf("\n");
    }
}

/* The service's own rendering, opened up for what only the command line knows. */
static void print_json(const struct rialto_request *request, const char *sku, enum rialto_status status,
                       const struct rialto_quote *quote, const struct rialto_rule_row *rule)
{
    printf("{\"sku\":");
    cli_json_text(sku);
    printf(",\"customer\":");
    cli_json_text(request->customer != NULL ? request->customer : "");
    printf(",\"status\":\"%s\"", rialto_status_name(status));
    if (status != RIALTO_OK) {
        printf(",\"text\":\"%s\"}\n", rialto_status_text(status));
        return;
    }
    char text[3072];
    size_t bytes = quote_json(quote, rule, sizeof text, text);
    printf(",\"age_ms\":%u,\"quote\":%s}\n", quote->age_ms, bytes < sizeof text ? text : "null");
}

static int print_page(const struct cli *cli, const struct options *options, size_t count, char *skus[])
{
    struct rialto *prices;
    if (cli_open_cache(cli, &prices) != RIALTO_OK)
        return CLI_UNREACHABLE;
    int result = CLI_OK;
    for (size_t i = 0; i < count; i++) {
        struct rialto_quote quote;
        struct rialto_rule_row rule = { 0 };
        enum rialto_status status = rialto_quote(prices, &options->request, skus[i], &quote);
        if (status == RIALTO_OK)
            (void)rialto_rule(prices, quote.rule, &rule);
        else
            result = CLI_NO;
        if (cli->json)
            print_json(&options->request, skus[i], status, &quote, &rule);
        else if (status == RIALTO_OK)
            print_text(skus[i], &quote, &rule);
        else
            printf("%s  %s\n", skus[i], rialto_status_text(status));
    }
    rialto_close(prices);
    return result;
}

/* Asks the service to keep these quotes fresh in Redis. */
static int watch(const struct cli *cli, const char *customer, size_t count, char *skus[])
{
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "watch");
    cJSON_AddStringToObject(question, "customer", customer);
    cJSON *list = cJSON_AddArrayToObject(question, "skus");
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(skus[i]));
    char *text = cJSON_PrintUnformatted(question);
    cJSON_Delete(question);

    struct requester *requester = text != NULL ? cli_connect(cli, 0) : NULL;
    if (requester == NULL) {
        free(text);
        return CLI_UNREACHABLE;
    }
    char why[REQUEST_WHY_MAX];
    cJSON *answer = requester_ask(requester, text, strlen(text), 3, NULL, why);
    free(text);
    requester_close(requester);
    if (answer == NULL) {
        cli_say("%s", why);
        return CLI_UNREACHABLE;
    }
    bool refused = cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
    bool barred = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer, "findings")) > 0;
    if (refused)
        cli_say("not watched: the service refused it");
    else if (barred)
        cli_say("not watched: the customer permits neither behaviour nor purchases, so what they look at is stored nowhere");
    else
        cli_say("watched: fresh quotes stand in Redis under %s:quote:{%s} for a while", cli->config.redis_prefix,
                customer);
    cJSON_Delete(answer);
    return refused || barred ? CLI_NO : CLI_OK;
}

static void add_text(cJSON *object, const char *member, const char *text)
{
    if (text != NULL && text[0] != '\0')
        cJSON_AddStringToObject(object, member, text);
}

/* Each quote as a signed record: it is the service that signs. */
static int print_records(const struct cli *cli, const struct options *options, size_t count, char *skus[])
{
    int result = CLI_OK;
    for (size_t i = 0; i < count && result != CLI_UNREACHABLE; i++) {
        int status;
        cJSON *question = cJSON_CreateObject();
        cJSON_AddStringToObject(question, "control", "record");
        cJSON_AddStringToObject(question, "sku", skus[i]);
        add_text(question, "customer", options->request.customer);
        add_text(question, "zone", options->request.zone);
        add_text(question, "basis", options->basis);
        add_text(question, "currency", options->request.currency);
        cJSON *answer = cli_ask(cli, question, &status);
        if (answer != NULL)
            status = cli_print_signed(cli, answer, "record");
        result = status > result ? status : result;
    }
    return result;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "zone", required_argument, NULL, OWN_ZONE },
                                         { "basis", required_argument, NULL, OWN_BASIS },
                                         { "currency", required_argument, NULL, OWN_CURRENCY },
                                         { "watch", no_argument, NULL, OWN_WATCH },
                                         { "record", no_argument, NULL, OWN_RECORD },
                                         { 0 } };
    struct options options = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc == optind) {
        cli_say("which product?");
        return CLI_USAGE;
    }
    bool named = argc - optind > 1; /* one operand alone is a product */
    const char *customer = named ? argv[optind] : "-";
    if (strcmp(customer, "-") != 0)
        options.request.customer = customer;
    else if (options.watch) {
        cli_say("--watch needs a customer");
        return CLI_USAGE;
    }
    char **skus = argv + optind + named;
    size_t count = (size_t)(argc - optind - named);
    if (options.record)
        return print_records(cli, &options, count, skus);
    status = print_page(cli, &options, count, skus);
    if (options.watch && status != CLI_UNREACHABLE) {
        fflush(stdout);
        int watched = watch(cli, customer, count, skus);
        status = watched != CLI_OK ? watched : status;
    }
    return status;
}

const struct cli_command cli_quote = {
    .name = "quote",
    .usage = "quote [OPTIONS] [CUSTOMER|-] SKU...",
    .summary = "what a customer pays for products, out of shared memory",
    .help =
        "CUSTOMER is the shop's pseudonymous id; - asks for nobody in particular and gives the baseline price. One "
        "operand\n"
        "alone is a product.\n"
        "No message is sent: this is what a storefront reads, by the same function.\n"
        "\n"
        "  --zone ZONE       where; else the customer's own zone if they permit it to be known, else the world\n"
        "  --basis BASIS     what the zone rests on: store (default), address, device, ip; the last two are location\n"
        "                    data and count only with the customer's consent\n"
        "  --currency CUR    only prices in this currency\n"
        "  --record          as a record signed by the service, to be kept with the order: `rialto explain --record` reads it\n"
        "  --watch           keep these quotes fresh in Redis for a while, if the customer permits behaviour or purchases\n"
        "\n"
        "  rialto quote F45                          the baseline price, everywhere\n"
        "  rialto quote C17850 F45 F50 --zone c1/s25 in the shop that is being visited\n"
        "  rialto quote C17850 F45 --json | jq .quote.amount\n",
    .run = run,
};
