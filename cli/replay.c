/* replay.c - `rialto replay`: plays recorded data to a running instance, in its order and at its pace. */
#include "demo/replay.h"

#include "cli/cli.h"
#include "service/data_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_MS 2000

enum { OWN_SECONDS = CLI_OWN, OWN_FRESH, OWN_RETAIL, OWN_SIGNALS, OWN_OUT, OWN_DRY_RUN, OWN_AT, OWN_RECORDED };

struct options {
    struct tape_source source;
    const char *out;
    bool dry_run;
    bool recorded;
    double seconds;
    bool at_given;
    int64_t at_ms;
};

static bool take_time(const char *argument, struct options *options)
{
    char *end, text[32];
    long long ms = strtoll(argument, &end, 10);
    options->at_given = true;
    if (end != argument && *end == 0) {
        options->at_ms = ms;
        return ms >= 0;
    }
    snprintf(text, sizeof text, "%s", argument);
    size_t bytes = strlen(text);
    if (bytes > 0 && text[bytes - 1] == 'Z')
        text[bytes - 1] = 0;
    char *t = strchr(text, 'T');
    if (t != NULL)
        *t = ' ';
    if (text_time(text, &options->at_ms))
        return true;
    cli_say("--at wants a time in UTC such as 2026-03-02T00:00:00Z, or Unix milliseconds, not \"%s\"", argument);
    return false;
}

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_SECONDS: return cli_number("--seconds", argument, 0, 1e7, &options->seconds);
    case OWN_FRESH: options->source.fresh_dir = argument; return true;
    case OWN_RETAIL: options->source.retail_file = argument; return true;
    case OWN_SIGNALS: options->source.signals_file = argument; return true;
    case OWN_RECORDED: options->recorded = true; return true;
    case OWN_OUT: options->out = argument; return true;
    case OWN_DRY_RUN: options->dry_run = true; return true;
    case OWN_AT: return take_time(argument, options);
    default: return false;
    }
}

/* ---- to a file, or nowhere -------------------------------------------------------------------------------------- */

static int write_tape(const struct options *options, const struct tape_survey *survey)
{
    struct fault fault = { 0 };
    struct tape *tape;
    if (tape_open(&options->source, &tape, &fault) != RIALTO_OK) {
        cli_fault(&fault);
        return CLI_BAD_FILE;
    }
    FILE *out = strcmp(options->out, "-") == 0 ? stdout : fopen(options->out, "we");
    if (out == NULL) {
        cli_say("%s: %s", options->out, strerror(errno));
        tape_close(tape);
        return CLI_BAD_FILE;
    }
    if (options->at_given)
        tape_move(tape, options->at_ms - survey->begin_ms);
    struct tape_line line;
    enum recorded_next got;
    while ((got = tape_next(tape, &line, &fault)) == RECORDED_ITEM && !cli_stop)
        fwrite(line.text, 1, line.bytes, out);
    tape_close(tape);
    bool failed = ferror(out) != 0;
    failed |= out != stdout && fclose(out) != 0;
    if (got == RECORDED_BROKEN)
        cli_fault(&fault);
    else if (failed)
        cli_say("%s: not written: %s", options->out, strerror(errno));
    return got == RECORDED_BROKEN || failed ? CLI_BAD_FILE : CLI_OK;
}

static void print_survey_json(const struct tape_survey *survey)
{
    printf("{\"signals\":%" PRIu64 ",\"ticks\":%" PRIu64 ",\"begin_ms\":%" PRId64 ",\"end_ms\":%" PRId64 ",\"files\":[",
           survey->signals, survey->ticks, survey->begin_ms, survey->end_ms);
    for (uint32_t i = 0; i < survey->account_count; i++) {
        printf("%s{\"file\":\"%s\",\"rows\":%" PRIu64 ",\"rules\":{", i ? "," : "", survey->account[i].file,
               survey->account[i].rows);
        const char *separator = "";
        for (enum account_rule rule = 0; rule < ACCOUNT_COUNT; rule++) {
            if (survey->account[i].by_rule[rule] == 0)
                continue;
            printf("%s\"%s\":%" PRIu64, separator, account_rule_name(rule), survey->account[i].by_rule[rule]);
            separator = ",";
        }
        printf("}}");
    }
    printf("]}\n");
}

static int survey_tape(const struct cli *cli, const struct options *options, struct tape_survey *survey)
{
    struct fault fault = { 0 };
    if (tape_measure(&options->source, survey, &fault) != RIALTO_OK) {
        cli_fault(&fault);
        return CLI_BAD_FILE;
    }
    bool text_is_out = options->out != NULL && strcmp(options->out, "-") == 0; /* then the tape has standard output */
    if (cli->json && !text_is_out)
        print_survey_json(survey);
    else if (!cli->json)
        tape_print_survey(survey, text_is_out ? stderr : stdout);
    for (uint32_t i = 0; i < survey->account_count; i++) {
        if (!account_adds_up(&survey->account[i])) {
            cli_say("%s: rows read and rows accounted for differ", survey->account[i].file);
            return CLI_NO;
        }
    }
    return CLI_OK;
}

/* ---- to a service ----------------------------------------------------------------------------------------------- */

struct player {
    struct replay_settings settings;
    struct replay_progress progress;
    _Atomic bool is_done;
    bool good;
};

static void *play(void *user)
{
    struct player *player = user;
    player->good = replay_run(&player->settings, &player->progress);
    player->is_done = true;
    return NULL;
}

static void print_progress(const struct replay_progress *progress, const char *end)
{
    uint64_t total = progress->ticks_total;
    char clock[32];
    cli_clock_text(progress->recorded_ms, clock);
    fprintf(stderr,
            "%3.0f %%  recorded %s  %" PRIu64 " of %" PRIu64 " signals, %" PRIu64 " accepted, %" PRIu64 " rejected%s",
            total ? 100.0 * (double)progress->ticks / (double)total : 0, clock, (uint64_t)progress->sent,
            (uint64_t)progress->signals_total, (uint64_t)progress->accepted, (uint64_t)progress->rejected, end);
}

/* A line that is written over on a terminal, and a new one every few seconds elsewhere. */
static void show_progress(const struct player *player)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    for (uint32_t round = 0; !player->is_done; round++) {
        nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
        if (terminal && round % 2 == 0)
            print_progress(&player->progress, "\033[K\r");
        else if (!terminal && round % 50 == 49)
            print_progress(&player->progress, "\n");
    }
    if (terminal)
        fputs("\033[K", stderr);
}

static void print_result_json(const struct player *player)
{
    const struct replay_progress *progress = &player->progress;
    const char *durable = progress->durable;
    printf("{\"ok\":%s,\"signals\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"lost\":%" PRIu64,
           player->good ? "true" : "false", (uint64_t)progress->sent, (uint64_t)progress->accepted,
           (uint64_t)progress->rejected, progress->lost);
    printf(",\"seconds\":%.3f,\"messages\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"not_durable\":%" PRIu64
           ",\"durable\":\"%s\"",
           progress->seconds, (uint64_t)progress->messages, (uint64_t)progress->repeats,
           (uint64_t)progress->not_durable, durable != NULL ? durable : "");
    printf(",\"service_begin_ms\":%" PRId64 ",\"reasons\":{", progress->begin_ms + progress->shift_ms);
    for (uint32_t i = 0; i < progress->reason_count; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", progress->reason[i].name, progress->reason[i].count);
    printf("}");
    if (progress->why[0]) {
        printf(",\"why\":");
        cli_json_text(progress->why);
    }
    printf("}\n");
}

static void print_result(const struct player *player)
{
    const struct replay_progress *progress = &player->progress;
    printf("%" PRIu64 " signals sent in %.1f s (%.0f a second), %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64
           " lost%s\n",
           (uint64_t)progress->sent, progress->seconds,
           progress->seconds > 0 ? (double)progress->sent / progress->seconds : 0, (uint64_t)progress->accepted,
           (uint64_t)progress->rejected, progress->lost,
           progress->counted_twice ? " (the gateway's own count agrees)" : "");
    const char *durable = progress->durable;
    printf("%" PRIu64 " messages, %" PRIu64 " sent again, durable: %s%s\n", (uint64_t)progress->messages,
           (uint64_t)progress->repeats, durable != NULL ? durable : "not said",
           progress->not_durable ? "; some answers said no" : "");
    for (uint32_t i = 0; i < progress->reason_count; i++)
        printf("  %10" PRIu64 "  %s: %s\n", progress->reason[i].count,
               progress->reason[i].rejects ? "rejected" : "accepted with a note", progress->reason[i].text);
}

static int send_tape(struct cli *cli, const struct options *options, const struct tape_survey *survey)
{
    static struct player player;
    player.settings = (struct replay_settings){
        .source = options->source,
        .survey = survey,
        .requester = { cli->urls, cli->timeout_ms, CONNECT_MS },
        .cache_dir = cli->cache,
        .seconds = options->seconds,
        .at_given = options->at_given,
        .at_ms = options->at_ms,
        .stop = &cli_stop,
    };
    pthread_t thread;
    if (pthread_create(&thread, NULL, play, &player) != 0) {
        cli_say("no thread: %s", strerror(errno));
        return CLI_NO;
    }
    show_progress(&player);
    pthread_join(thread, NULL);
    (cli->json ? print_result_json : print_result)(&player);
    if (player.progress.why[0])
        cli_say("%s", player.progress.why);
    if (player.good)
        return CLI_OK;
    return player.progress.messages == 0 ? CLI_UNREACHABLE : CLI_NO;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = {
        { "seconds", required_argument, NULL, OWN_SECONDS }, { "fresh", required_argument, NULL, OWN_FRESH },
        { "retail", required_argument, NULL, OWN_RETAIL },   { "signals", required_argument, NULL, OWN_SIGNALS },
        { "out", required_argument, NULL, OWN_OUT },         { "dry-run", no_argument, NULL, OWN_DRY_RUN },
        { "at", required_argument, NULL, OWN_AT },           { "dump", required_argument, NULL, OWN_OUT },
        { "recorded", no_argument, NULL, OWN_RECORDED },     { 0 }
    };
    struct options options = { .seconds = 60 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    struct tape_source *source = &options.source;
    char folder[DATA_PATH_MAX];
    bool recorded = source->fresh_dir != NULL || source->retail_file != NULL;
    if (optind != argc || recorded + (source->signals_file != NULL) + options.recorded > 1) {
        cli_say(optind != argc ? "there are no operands" : "--signals, --recorded, and --fresh with --retail exclude each other");
        return CLI_USAGE;
    }
    if (options.recorded) {
        data_path(&cli->config, "recordings", folder);
        source->signals_file = folder;
    }
    if (!recorded && source->signals_file == NULL && !replay_bundled(source)) {
        cli_say("the bundled recordings (demo/data) are not here: --fresh, --retail or --signals says what to play");
        return CLI_BAD_FILE;
    }
    cli_catch_signals();
    struct tape_survey survey;
    status = survey_tape(cli, &options, &survey);
    if (status != CLI_OK)
        return status;
    if (options.out != NULL)
        return write_tape(&options, &survey);
    return options.dry_run ? CLI_OK : send_tape(cli, &options, &survey);
}

const struct cli_command cli_replay = {
    .name = "replay",
    .usage = "replay [OPTIONS]",
    .summary = "play recorded data to a running instance",
    .help = "Turns rows of recorded data into signals, in the order in which things happened, and sends them with the "
            "clock ticks\n"
            "that belong to them, each message acknowledged. Says first what became of every row: made into signals, "
            "or passed\n"
            "over under a counted rule. The recording is moved by whole weeks to where the service's clock stands, so "
            "weekdays\n"
            "and hours stay; the service must allow its clock to be moved (clock_replay, on by default).\n"
            "Ends with status 1 if anything was lost.\n"
            "\n"
            "  --seconds S       how long it should take; 0 = as fast as it goes; default 60\n"
            "  --fresh DIR       groceries: fresh_hourly.csv, fresh_daily_price.csv, fresh_store_weather.csv,\n"
            "                    fresh_product.csv, plain or .gz; any cut of the data, also of several cities\n"
            "  --retail FILE     gift shop: a cut of UCI Online Retail, plain or .gz\n"
            "  --signals FILE    signals as they are, one JSON object a line, with {\"control\":\"tick\",\"time\":MS} "
            "between them;\n"
            "                    a folder: all *.ndjson in it, in the order of their names\n"
            "  --recorded        what the service of --set data_dir=DIR has recorded (record_files_max)\n"
            "                    Without any of these: the bundled recordings (demo/README.md).\n"
            "  --at TIME         the moment at which the recording begins\n"
            "  --dry-run         send nothing, only account for the rows\n"
            "  --dump FILE       send nothing, write the lines that would be sent; - = standard output (also: --out)\n"
            "\n"
            "  rialto replay --seconds 20\n"
            "  rialto replay --dry-run --fresh my/cut\n"
            "  rialto replay --dump week.ndjson && rialto replay --signals week.ndjson --seconds 0\n",
    .run = run,
};
