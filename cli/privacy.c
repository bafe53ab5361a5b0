/* privacy.c - `rialto forget`, `export`, `inventory`, `keys`: what is kept of customers, for them and for who answers for it. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_ROTATE = CLI_OWN };

static const struct option no_options[] = { { 0 } };

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

static bool add_key(const struct cli *cli, cJSON *question)
{
    char key[DATA_KEY_MAX];
    if (!cli_key(cli, "what is kept of customers is for", key))
        return false;
    cJSON_AddStringToObject(question, "key", key);
    return true;
}

static cJSON *question_of(const char *control, const char *customer)
{
    char who[CLI_WHO_MAX];
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", control);
    if (customer != NULL)
        cJSON_AddStringToObject(question, "customer", customer);
    cli_who(who);
    cJSON_AddStringToObject(question, "who", who);
    return question;
}

static void print(const cJSON *json, bool line)
{
    char *text = line ? cJSON_PrintUnformatted(json) : cJSON_Print(json);
    if (text != NULL)
        printf("%s\n", text);
    free(text);
}

/* One operand, the customer. */
static int parse_customer(struct cli *cli, int argc, char *argv[], const char **ret)
{
    int status = cli_parse(cli, argc, argv, no_options, NULL, NULL);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc - optind != 1)
        return CLI_USAGE;
    *ret = argv[optind];
    return CLI_OK;
}

/* ---- forget, export ---------------------------------------------------------------------------------------------------- */

static int run_forget(struct cli *cli, int argc, char *argv[])
{
    const char *customer = NULL;
    int status = parse_customer(cli, argc, argv, &customer);
    if (status != CLI_OK || cli->help)
        return status;
    cJSON *answer = cli_ask(cli, question_of("forget", customer), &status);
    if (answer == NULL)
        return status;
    return cli_print_signed(cli, answer, "receipt");
}

static int run_export(struct cli *cli, int argc, char *argv[])
{
    const char *customer = NULL;
    int status = parse_customer(cli, argc, argv, &customer);
    if (status != CLI_OK || cli->help)
        return status;
    cJSON *question = question_of("export", customer);
    if (!add_key(cli, question)) {
        cJSON_Delete(question);
        return CLI_NO;
    }
    cJSON *answer = cli_ask(cli, question, &status);
    if (answer == NULL)
        return status;
    cJSON_DeleteItemFromObject(answer, "ok");
    print(answer, cli->json);
    cJSON_Delete(answer);
    return CLI_OK;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------------- */

static bool take_keys(void *user, int option, const char *argument)
{
    (void)argument;
    *(bool *)user = option == OWN_ROTATE;
    return true;
}

static int run_keys(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "rotate", no_argument, NULL, OWN_ROTATE }, { 0 } };
    bool rotate = false;
    int status = cli_parse(cli, argc, argv, own, take_keys, &rotate);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    cJSON *question = question_of("keys", NULL);
    if (rotate) {
        cJSON_AddTrueToObject(question, "rotate");
        if (!add_key(cli, question)) {
            cJSON_Delete(question);
            return CLI_NO;
        }
    }
    cJSON *answer = cli_ask(cli, question, &status);
    if (answer == NULL)
        return status;
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(answer, "keys");
    if (cli->json)
        print(answer, true);
    else
        printf("%s", cJSON_IsString(keys) ? keys->valuestring : "");
    cJSON_Delete(answer);
    return CLI_OK;
}

/* ---- inventory -------------------------------------------------------------------------------------------------------------- */

/* One row per kind of personal data and place. A field of struct customer_record or struct offer_record that is not here is missing. */
static const struct {
    const char *data, *where, *why, *how_long;
    const char *export; /* what `rialto export` calls it; "no: " and why it is not there */
} INVENTORY[] = {
    { "customer id (a pseudonym)", "state, Redis: state", "to find the record again", "as long as a consent, an offer or a lock is there; a refusal for signal_age_max_s", "customer" },
    { "customer id (a pseudonym)", "Redis: quotes", "names the quotes that a customer looks at", "watch_ttl_s after the last look", "customer" },
    { "keyed hash of the customer id", "shared memory: terms, offers; state; Redis: state", "names the lines", "as long as the line", "no: it is made of the id" },
    { "consent by kind; when, by whom or where, and on which wording each was given or refused", "state, Redis: state; shared memory: terms (kinds only)", "nothing else is used without it; to show that it was given", "until the customer opts out of everything, or is forgotten", "consent" },
    { "that a customer opted out of everything", "state, Redis: state", "no consent is taken", "until taken back, or forgotten", "opt_out" },
    { "tier, segments and statuses, each with its end and whose word it is", "state, Redis: state", "personal terms", "until each one's end (attribute_age_max_s at most), or until consent to profile (of others' word: to partner) is revoked", "tier, segments" },
    { "spend, spend of two calendar months, and its currency", "state, Redis: state", "personal terms", "attribute_age_max_s after the last purchase, or until consent to purchases (of others' word: to partner) is revoked", "spend, month_spend" },
    { "affinity: how much the customer looked at, put into the cart and ordered lately, as one decayed number for each price group (not what, and no time finer than an eighth of the half-life)", "state, Redis: state", "personal terms, where a model in force asks for it; otherwise nothing is counted", "it fades; attribute_age_max_s after the newest event, or until consent to behaviour (of views and carts) or to purchases (of orders) is revoked", "affinity_behaviour, affinity_purchases" },
    { "zone (never a position) and its end", "state, Redis: state; shared memory: terms", "the zone of a quote, personal terms", "its lease, at most 30 days, or until the customer leaves or revokes consent to location", "zone" },
    { "time of the last zone", "state, Redis: state", "an older one that arrives late does not count", "signal_age_max_s after the customer was there, left, or revoked consent to location, whose time takes its place then", "zone_time, or with zone" },
    { "multipliers by price group", "shared memory: terms", "what the above does to prices", "as long as a consent is there", "no: `rialto explain` works it out, out of the above" },
    { "personal offers", "state, Redis: state; shared memory: offers", "a personal offer", "until it ends, is withdrawn, or what it rests on is revoked", "offer" },
    { "how many units of a personal offer the customer has ordered, where the shop offers so many", "state, Redis: state", "the offer is over when they are ordered, and the same offer does not come twice", "until the offer's end, used up or not, until it is withdrawn, or until consent to purchases (or to what else it rests on) is revoked", "offer" },
    { "times of views, carts and orders of a product (8 of each and the last, 16 products), where a model in force makes offers of them", "state, Redis: state", "leads to a personal offer", "a window of the model (180 days at most) after the last one, until it has led to an offer, or until consent to behaviour (of orders: to purchases) is revoked", "offer_events" },
    { "when the shop last gave or took back a personal offer for a product, of one that it took back or that took the place of a longer one", "state, Redis: state", "an older offer that arrives late does not stand again", "signal_age_max_s after that time (beside an offer that stands: as long as it), or until consent to what the offer rests on is revoked; less where offers_max is more than half used", "offer_time" },
    { "which model made the last offer for a product, when, by which of its rules", "state, Redis: state", "explains the offer; the next one waits", "the offer's cooldown (365 days at most), or until consent to what it rests on is revoked", "offer_made" },
    { "price locks", "state, Redis: state; shared memory: offers", "a price that is owed", "until it ends; survives a revocation", "lock" },
    { "terms and offers of the last moments", "memory of the worker", "whether an amount that is to be locked was the customer's quote", "lock_grace_s, or until a consent is revoked", "no: they are copies of the above" },
    { "products that a customer looks at, and the customer's quotes for them", "Redis: quotes; memory of the publisher", "pages that read Redis; keeps the quotes fresh", "watch_ttl_s; until consent to behaviour or purchases is revoked", "looked_at" },
    { "visits (keyed hashes under a key that changes)", "memory of the gateway", "what one visit repeats counts once", "at most twice repeat_window_s", "no: nobody can tell whose they are" },
    { "ids of signals (keyed hashes)", "state, Redis: ids", "what is sent twice counts once", "counts for ten to twenty minutes; then until its place, in Redis its ten minutes', is written over", "no: nobody can tell whose they are" },
    { "names of zones in which customers are or were", "shared memory: zones", "the zone of a quote, by name", "as long as the tables", "no: nobody can tell who was there" },
    { "keyed hash of the id of a customer whose data somebody read", "data folder: audit.names", "says whose name in the audit log that is (rialto audit --customer)", "until forgotten, or 400 days after the last look", "no: it is made of the id" },
    { "who looked at a customer's data, when and from where, under a number drawn by chance", "data folder: access.ndjson", "staff answer for it", "until audit_bytes_max pushes it out; nobody's as soon as the customer is forgotten", "no: `rialto audit --customer` tells it" },
    { "history of all of the above", "append-only file of the own Redis", "survives a power cut", "until it is rewritten: erase_rewrite_s after an erasure", "no: what it holds last is above" },
};

static int run_inventory(struct cli *cli, int argc, char *argv[])
{
    int status = cli_parse(cli, argc, argv, no_options, NULL, NULL);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc != optind)
        return CLI_USAGE;
    for (size_t i = 0; i < sizeof INVENTORY / sizeof INVENTORY[0]; i++) {
        if (!cli->json) {
            printf("%s%s\n    where     %s\n    why       %s\n    how long  %s\n    export    %s\n", i > 0 ? "\n" : "",
                   INVENTORY[i].data, INVENTORY[i].where, INVENTORY[i].why, INVENTORY[i].how_long, INVENTORY[i].export);
            continue;
        }
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "data", INVENTORY[i].data);
        cJSON_AddStringToObject(row, "where", INVENTORY[i].where);
        cJSON_AddStringToObject(row, "why", INVENTORY[i].why);
        cJSON_AddStringToObject(row, "how_long", INVENTORY[i].how_long);
        cJSON_AddStringToObject(row, "export", INVENTORY[i].export);
        print(row, true);
        cJSON_Delete(row);
    }
    if (!cli->json)
        printf("\nDead letters, logs, recordings (record_files_max) and the price journal (Redis, journal_days) hold nothing of customers.\n");
    return CLI_OK;
}

const struct cli_command cli_forget = {
    .name = "forget",
    .usage = "forget [OPTION...] [--] CUSTOMER",
    .summary = "remove everything about a customer, with a signed receipt",
    .help = "Removes consent, data, offers and price locks of a customer from state, shared memory and Redis, and prints a receipt:\n"
            "what was removed where, and what leaves later. Its last line is the signed text; who has the public keys\n"
            "(`rialto keys`) can check it with librialto-verify. The append-only file of rialtod's own Redis is rewritten within\n"
            "erase_rewrite_s; a Redis of your own is yours to rewrite.\n",
    .run = run_forget,
};

const struct cli_command cli_export = {
    .name = "export",
    .usage = "export [OPTION...] [--] CUSTOMER",
    .summary = "all that is kept of a customer, with meaning and source",
    .help = "Prints one JSON object with every datum that is kept of the customer: what it means, where it came from, how long it\n"
            "stays (GDPR art. 15 and 20). Only for who can read the service's data folder. Exit status 1: nothing is kept.\n",
    .run = run_export,
};

const struct cli_command cli_inventory = {
    .name = "inventory",
    .usage = "inventory [OPTION...]",
    .summary = "which kinds of personal data are stored, where, why, for how long",
    .help = "Needs no running service: it tells what this version of Rialto stores at all.\n",
    .run = run_inventory,
};

const struct cli_command cli_keys = {
    .name = "keys",
    .usage = "keys [--rotate] [OPTION...]",
    .summary = "the public keys of what Rialto signs",
    .help = "One key a line, the newest first: its name, the public key in hexadecimal digits (Ed25519), since when it signs.\n"
            "\n"
            "  --rotate          make a new key first, which signs from now on; older ones stay in the list. Only for who can\n"
            "                    read the service's data folder.\n",
    .run = run_keys,
};
