/* watch.c - `rialto watch`: follows the change rings, one line per changed baseline price. */
#include "service/clock.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_MS     20
#define REOPEN_EVERY 50 /* pauses between looks whether the tables were replaced */

enum { OWN_ZONE = CLI_OWN, OWN_COUNT, OWN_SECONDS };

struct options {
    const char *zone;
    double count, seconds; /* 0 = no end */
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_ZONE: options->zone = strcmp(argument, "world") == 0 ? "" : argument; return true;
    case OWN_COUNT: return cli_number("--count", argument, 1, 1e15, &options->count);
    case OWN_SECONDS: return cli_number("--seconds", argument, 0.001, 1e9, &options->seconds);
    default: return false;
    }
}

static bool is_wanted(const struct options *options, int sku_count, char *skus[], const struct rialto_change *change)
{
    if (change->entry.table != RIALTO_TABLE_CELLS || change->entry.before == change->entry.after || /* bounds, flags */
        (options->zone != NULL && strcmp(options->zone, change->zone) != 0))
        return false;
    for (int i = 0; i < sku_count; i++)
        if (strcmp(skus[i], change->sku) == 0)
            return true;
    return sku_count == 0;
}

static void print_text(const struct rialto_change *change)
{
    char clock[32], before[48] = "new", after[48];
    cli_clock_text(change->entry.when_ms, clock);
    if (change->entry.before != 0)
        rialto_money_text(change->entry.before, "", change->decimals, sizeof before, before);
    rialto_money_text(change->entry.after, change->currency, change->decimals, sizeof after, after);
    printf("%s  ", clock);
    cli_column(change->sku, 10, false);
    printf(" %-10s %10s -> %-14s %s", change->zone[0] ? change->zone : "world", before, after, change->entry.reason);
    if (change->entry.reason_ppm != 0 && change->entry.reason_ppm != 1000000)
        printf(" x%.4g", change->entry.reason_ppm / 1e6);
    printf("  %s\n", change->title);
}

static void print_json(const struct rialto_change *change)
{
    printf("{\"time\":%lld,\"sku\":", (long long)change->entry.when_ms);
    cli_json_text(change->sku);
    printf(",\"zone\":");
    cli_json_text(change->zone);
    printf(",\"before\":%lld,\"after\":%lld,\"currency\":\"%s\",\"decimals\":%u,\"reason\":",
           (long long)change->entry.before, (long long)change->entry.after, change->currency, change->decimals);
    cli_json_text(change->entry.reason);
    printf(",\"factor\":%.6f,\"title\":", change->entry.reason_ppm / 1e6);
    cli_json_text(change->title);
    printf("}\n");
}

/* New tables under the same name: go on with them. */
static bool is_retired(const struct rialto *prices)
{
    struct rialto_quote quote;
    return rialto_quote(prices, &(struct rialto_request){ 0 }, "-", &quote) == RIALTO_RETIRED;
}

/* Prints what is there now. Returns how many lines, at most `limit`. */
static uint64_t drain(const struct cli *cli, const struct options *options, int sku_count, char *skus[],
                      const struct rialto *prices, struct rialto_follower *follower, uint64_t limit)
{
    uint64_t printed = 0;
    struct rialto_change change;
    while (printed < limit && !cli_stop && rialto_next_change(prices, follower, &change)) {
        if (!is_wanted(options, sku_count, skus, &change))
            continue;
        (cli->json ? print_json : print_text)(&change);
        printed++;
    }
    if (printed > 0)
        fflush(stdout);
    if (follower->missed > 0) {
        cli_say("%llu changes came faster than they could be read and were passed over",
                (unsigned long long)follower->missed);
        follower->missed = 0;
    }
    return printed;
}

static int follow(const struct cli *cli, const struct options *options, int sku_count, char *skus[])
{
    struct rialto *prices;
    if (cli_open_cache(cli, &prices) != RIALTO_OK)
        return CLI_UNREACHABLE;
    struct rialto_follower follower;
    rialto_follow(prices, &follower);
    uint64_t left = options->count > 0 ? (uint64_t)options->count : UINT64_MAX;
    int64_t end = options->seconds > 0 ? mono_ms() + (int64_t)(options->seconds * 1000) : INT64_MAX;
    for (uint32_t round = 1; left > 0 && !cli_stop && mono_ms() < end && !ferror(stdout); round++) {
        left -= drain(cli, options, sku_count, skus, prices, &follower, left);
        if (left > 0)
            nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
        if (round % REOPEN_EVERY != 0 || !is_retired(prices))
            continue;
        rialto_close(prices);
        if (cli_open_cache(cli, &prices) != RIALTO_OK)
            return CLI_UNREACHABLE;
        rialto_follow(prices, &follower);
    }
    rialto_close(prices);
    return options->count > 0 && left > 0 ? CLI_NO : CLI_OK;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "zone", required_argument, NULL, OWN_ZONE },
                                         { "count", required_argument, NULL, OWN_COUNT },
                                         { "seconds", required_argument, NULL, OWN_SECONDS },
                                         { 0 } };
    struct options options = { 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    cli_catch_signals();
    return follow(cli, &options, argc - optind, argv + optind);
}

const struct cli_command cli_watch = {
    .name = "watch",
    .usage = "watch [OPTIONS] [SKU...]",
    .summary = "follow price changes as they happen",
    .help = "One line per changed baseline price: service time (UTC), product, zone, before -> after, the factor that "
            "moved it\n"
            "most. Follows the rings in shared memory; the service does not notice. Ends at Ctrl-C.\n"
            "\n"
            "  --zone ZONE       only this zone (\"world\": only the world)\n"
            "  --count N         end after N lines; exit status 1 if fewer came before the end\n"
            "  --seconds S       end after S seconds\n"
            "\n"
            "  rialto watch                              everything\n"
            "  rialto watch F45 F50 --zone c1/s25        two products in one shop\n"
            "  rialto watch --json --count 100 > changes.ndjson\n",
    .run = run,
};
