/* simulate.c - `rialto simulate`: recorded signals through two sets of models, side by side, in this process.
 *
 *   FILE... --tape--> signals and ticks --> replica [0] against, replica [1] models --> prices compared at every tick
 *
 * Nothing is sent anywhere. Orders are valued at the price that stood before them, in the quantities that were recorded: how
 * customers would have reacted to other prices is not known here, and not guessed. */
#include "cli/simulate.h"

#include "cache/keys.h"
#include "cli/replica.h"
#include "demo/replay.h"
#include "demo/tape.h"
#include "pricing/money.h"
#include "service/change.h"
#include "service/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX    64u
#define BATCH_MAX    4096u /* signals of one tick that are priced together */
#define PRODUCTS_MAX (1u << 20)

struct run {
    struct simulation *found;
    struct replica side[2];
    uint32_t *slot; /* of products by key: index + 1 */
    uint32_t slots, waiting;
    int64_t now_ms;
    const struct cli *cli;
};

/* ---- tallies ------------------------------------------------------------------------------------------------------- */

static struct tally *tally_of(struct tally tally[], uint32_t *count, const char *name, const struct currency *currency)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(tally[i].name, name) == 0 && strcmp(tally[i].currency, currency->letters) == 0)
            return &tally[i];
    struct tally *next = &tally[*count];
    if (*count == SIMULATE_TALLIES_MAX) {
        (void)snprintf(next->name, sizeof next->name, "(others)");
        return next;
    }
    ++*count;
    (void)snprintf(next->name, sizeof next->name, "%s", name);
    (void)snprintf(next->currency, sizeof next->currency, "%s", currency->letters);
    next->decimals = currency->decimals;
    return next;
}

static void tally_look(struct tally *tally, double pct)
{
    tally->least_pct = tally->looks == 0 || pct < tally->least_pct ? pct : tally->least_pct;
    tally->most_pct = tally->looks == 0 || pct > tally->most_pct ? pct : tally->most_pct;
    tally->looks++;
    tally->up += pct > 0;
    tally->down += pct < 0;
    tally->sum_pct += pct;
}

static struct tally *product_tally(struct run *run, const struct product_record *product,
                                   const struct currency *currency)
{
    struct simulation *found = run->found;
    uint32_t at = (uint32_t)product->head.key.lo & (run->slots - 1);
    for (; run->slot[at] != 0; at = (at + 1) & (run->slots - 1)) {
        struct tally *tally = &found->product[run->slot[at] - 1];
        if (strcmp(tally->name, product->sku) == 0 && strcmp(tally->currency, currency->letters) == 0)
            return tally;
    }
    if (found->product_count == run->slots / 2)
        return NULL;
    struct tally *fresh = &found->product[found->product_count++];
    run->slot[at] = found->product_count;
    memcpy(fresh->name, product->sku, sizeof fresh->name);
    memcpy(fresh->currency, currency->letters, sizeof fresh->currency);
    fresh->decimals = currency->decimals;
    return fresh;
}

/* ---- comparing ----------------------------------------------------------------------------------------------------- */

static void look_at(struct run *run, const struct product_record *product, const struct cell_record *a,
                    const struct cell_record *b, const char *zone)
{
    struct simulation *found = run->found;
    const struct currency *currency = currency_by_number(a->published_currency);
    if (currency == NULL || a->published_currency != b->published_currency)
        return;
    double pct = ((double)b->published / (double)a->published - 1) * 100;
    found->least_pct = found->looks == 0 || pct < found->least_pct ? pct : found->least_pct;
    found->most_pct = found->looks == 0 || pct > found->most_pct ? pct : found->most_pct;
    found->looks++;
    found->up += pct > 0;
    found->down += pct < 0;
    found->sum_pct += pct;
    tally_look(tally_of(found->total, &found->total_count, "", currency), pct);
    tally_look(tally_of(found->category, &found->category_count, product->category, currency), pct);
    tally_look(tally_of(found->zone, &found->zone_count, zone, currency), pct);
    struct tally *tally = product_tally(run, product, currency);
    if (tally != NULL)
        tally_look(tally, pct);
}

/* Every price that one side has, beside the one that answers for the same product and zone on the other; those that both have
 * count once. */
static void look_at_side(struct run *run, uint32_t side)
{
    struct worker *worker = run->side[side].worker;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        const struct state *state = worker->partition[p].state;
        for (uint32_t i = 0; i < state_capacity(state, POOL_CELLS); i++) {
            const struct cell_record *cell = state_at(state, POOL_CELLS, i);
            if (key_is_none(cell->head.key) || cell->published == 0)
                continue;
            uint32_t at = state_find(state, POOL_PRODUCTS, cell->product);
            if (at == STATE_NONE)
                continue;
            const struct product_record *product = state_at(state, POOL_PRODUCTS, at);
            const struct cell_record *other = replica_price(&run->side[1 - side], product->sku, cell->zone, NULL);
            if (other == NULL)
                run->found->missing[1 - side]++;
            else if (side == 0)
                look_at(run, product, cell, other, cell->zone);
            else if (!key_equal(other->head.key, cell->head.key))
                look_at(run, product, other, cell, cell->zone);
        }
    }
}

static void look(struct run *run)
{
    struct simulation *found = run->found;
    double sum = found->sum_pct;
    uint64_t looks = found->looks;
    look_at_side(run, 0);
    look_at_side(run, 1);
    found->ticks++;
    if (found->looks == looks)
        return;
    if (found->point_count == SIMULATE_POINTS_MAX) { /* half of them are enough, from here on too */
        for (uint32_t i = 0; i < SIMULATE_POINTS_MAX / 2; i++)
            found->point[i] = found->point[2 * i];
        found->point_count /= 2;
    }
    found->point[found->point_count].at_ms = run->now_ms;
    found->point[found->point_count++].pct = (found->sum_pct - sum) / (double)(found->looks - looks);
}

static void count_changes(struct run *run, uint32_t side)
{
    struct worker *worker = run->side[side].worker;
    for (uint32_t p = 0; p < RIALTO_PARTITIONS; p++) {
        const struct state *state = worker->partition[p].state;
        uint64_t at = 0;
        enum state_pool pool;
        uint32_t index;
        const struct state_head *head;
        while (state_applied(state) == worker->batch && state_changed(state, &at, &pool, &index, &head)) {
            if (pool != POOL_CELLS)
                continue;
            const struct cell_record *old = (const void *)head, *now = state_at(state, pool, index);
            run->found->changes[side] += old->published != now->published;
            for (uint32_t guard = 0; guard < GUARD_COUNT; guard++)
                run->found->guard[side][guard] += (now->guards >> guard & 1u) && !(old->guards >> guard & 1u);
        }
    }
}

static bool apply(struct run *run)
{
    run->waiting = 0;
    for (uint32_t side = 0; side < 2; side++) {
        if (!replica_apply(&run->side[side], run->now_ms))
            return false;
        count_changes(run, side);
    }
    return true;
}

/* ---- signals ------------------------------------------------------------------------------------------------------- */

static void value_order(struct run *run, const struct signal *signal)
{
    struct simulation *found = run->found;
    const struct product_record *product;
    const struct cell_record *a = replica_price(&run->side[0], signal->sku, signal->zone, &product);
    const struct cell_record *b = replica_price(&run->side[1], signal->sku, signal->zone, NULL);
    const struct currency *currency = a != NULL ? currency_by_number(a->published_currency) : NULL;
    found->orders++;
    if (b == NULL || currency == NULL || a->published_currency != b->published_currency) {
        found->unpriced++;
        return;
    }
    double units = signal_has(signal, SIGNAL_FIELD_quantity) ? (double)signal->quantity / MICRO : 1;
    double scale = pow(10, currency->decimals);
    struct tally *tally[] = { tally_of(found->category, &found->category_count, product->category, currency),
                              tally_of(found->zone, &found->zone_count, a->zone, currency),
                              tally_of(found->total, &found->total_count, "", currency),
                              product_tally(run, product, currency) };
    for (uint32_t i = 0; i < 4; i++) {
        if (tally[i] == NULL)
            continue;
        tally[i]->units += units;
        tally[i]->turnover[0] += units * (double)a->published / scale;
        tally[i]->turnover[1] += units * (double)b->published / scale;
    }
}

/* Its line in the file: that of the fault counts from the beginning of the signal. */
static void note_refused(const struct tape_line *line, struct fault *fault, struct simulation *found)
{
    fault->line = line->line;
    if (line->file != NULL)
        fault_path(fault->file, line->file);
    (void)fault_text(fault, sizeof found->first_refused, found->first_refused);
}

static bool take_signal(struct run *run, const struct tape_line *line)
{
    struct fault fault = { 0 };
    struct signal signal;
    cJSON *object = json_parse(line->text, line->bytes, 0, &fault);
    run->found->signals++;
    for (uint32_t side = 0; side < 2; side++)
        run->side[side].rules.now_ms = run->now_ms;
    bool good = object != NULL && signal_parse(object, &run->side[0].rules, &signal, &fault) == REASON_none;
    cJSON_Delete(object);
    if (!good) {
        if (run->found->first_refused[0] == '\0')
            note_refused(line, &fault, run->found);
        run->found->refused[0]++;
        run->found->refused[1]++;
        return true;
    }
    if (signal.type == SIGNAL_demand && (enum demand_event)signal.event == DEMAND_ORDER)
        value_order(run, &signal);
    if (!replica_add(&run->side[0], &signal) || !replica_add(&run->side[1], &signal))
        return false;
    return ++run->waiting < BATCH_MAX || apply(run);
}

static bool tick_to(struct run *run, int64_t at_ms, bool is_tick)
{
    int64_t grid = run->cli->config.tick_ms, tick = at_ms / grid * grid;
    if (tick <= run->now_ms)
        return !is_tick || run->waiting == 0 || apply(run); /* a further batch of the same tick begins */
    if (run->now_ms != 0) {
        if (run->waiting > 0 && !apply(run))
            return false;
        look(run);
    } else {
        run->found->begin_ms = tick;
    }
    run->now_ms = run->found->end_ms = tick;
    return apply(run); /* the tick itself: what time does comes before what is told */
}

static int play(struct run *run, const struct tape_source *source)
{
    struct tape_survey survey;
    struct tape *tape = NULL;
    struct tape_line line;
    struct fault fault = { 0 };
    bool good = true;
    if (tape_measure(source, &survey, &fault) != RIALTO_OK || tape_open(source, &tape, &fault) != RIALTO_OK) {
        cli_fault(&fault);
        return CLI_BAD_FILE;
    }
    enum recorded_next next;
    while (good && (next = tape_next(tape, &line, &fault)) == RECORDED_ITEM) {
        if (line.is_tick || survey.ticks == 0 || run->now_ms == 0)
            good = tick_to(run, line.at_ms, line.is_tick);
        if (good && !line.is_tick)
            good = take_signal(run, &line);
    }
    tape_close(tape);
    if (good && next == RECORDED_END)
        return CLI_OK;
    if (good)
        cli_fault(&fault);
    return CLI_BAD_FILE;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

struct options {
    const char *models, *against, *html, *prices;
    const char *file[FILES_MAX];
    uint32_t file_count;
    double max_change_pct, max_mean_pct, max_loss_pct; /* negative = any */
};

static int by_gain(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    double gain_x = x->turnover[1] - x->turnover[0], gain_y = y->turnover[1] - y->turnover[0];
    return gain_x != gain_y ? (gain_x < gain_y) - (gain_x > gain_y) : strcmp(x->name, y->name);
}

static void check_gates(const struct options *options, struct simulation *found)
{
    double mean = found->looks > 0 ? found->sum_pct / (double)found->looks : 0;
    bool lost = false;
    for (uint32_t i = 0; i < found->total_count; i++)
        lost |= found->total[i].turnover[1] < found->total[i].turnover[0] * (1 - options->max_loss_pct / 100);
    if (options->max_change_pct >= 0 && fmax(found->most_pct, -found->least_pct) > options->max_change_pct)
        found->failed[found->failed_count++] = "max-change-pct";
    if (options->max_mean_pct >= 0 && fabs(mean) > options->max_mean_pct)
        found->failed[found->failed_count++] = "max-mean-pct";
    if (options->max_loss_pct >= 0 && lost)
        found->failed[found->failed_count++] = "max-loss-pct";
    if (found->looks ==
        0) /* an empty file, or signals that were all refused: that must not look like models that move nothing */
        found->failed[found->failed_count++] = "no price was compared";
    if (found->missing[1] > 0)
        found->failed[found->failed_count++] = "prices that the models do not make any more";
}

static int play_all(struct run *run, const struct options *options)
{
    int status = CLI_OK;
    for (uint32_t i = 0; i < options->file_count && status == CLI_OK; i++)
        status = play(run, &(struct tape_source){ .signals_file = options->file[i] });
    struct tape_source bundled;
    if (options->file_count == 0 && !replay_bundled(&bundled)) {
        cli_say("the bundled recordings (demo/data) are not here: --signals says what to play");
        return CLI_BAD_FILE;
    }
    if (options->file_count == 0)
        status = play(run, &bundled);
    if (status == CLI_OK && run->waiting > 0 && !apply(run))
        status = CLI_BAD_FILE;
    if (status == CLI_OK && run->now_ms != 0)
        look(run);
    for (uint32_t side = 0; side < 2; side++)
        run->found->refused[side] += run->side[side].refused;
    return status;
}

static void write_cell(FILE *out, const struct product_record *product, const struct cell_record *cell)
{
    cJSON *object = cJSON_CreateObject();
    const struct currency *currency = currency_by_number(cell->published_currency);
    cJSON_AddStringToObject(object, "sku", product->sku);
    cJSON_AddStringToObject(object, "zone", cell->zone);
    cJSON_AddNumberToObject(object, "baseline", (double)cell->published);
    cJSON_AddNumberToObject(object, "list", (double)cell->published_list);
    cJSON_AddStringToObject(object, "currency", currency != NULL ? currency->letters : "");
    char *text = cJSON_PrintUnformatted(object);
    fprintf(out, "%s\n", text != NULL ? text : "");
    free(text);
    cJSON_Delete(object);
}

static bool write_prices(const struct replica *replica, const char *path)
{
    FILE *out = fopen(path, "we");
    for (uint32_t p = 0; p < RIALTO_PARTITIONS && out != NULL; p++) {
        const struct state *state = replica->worker->partition[p].state;
        for (uint32_t i = 0; i < state_capacity(state, POOL_CELLS); i++) {
            const struct cell_record *cell = state_at(state, POOL_CELLS, i);
            uint32_t at = key_is_none(cell->head.key) ? STATE_NONE : state_find(state, POOL_PRODUCTS, cell->product);
            if (at != STATE_NONE && cell->published != 0)
                write_cell(out, state_at(state, POOL_PRODUCTS, at), cell);
        }
    }
    bool written = out != NULL && !ferror(out);
    if (out != NULL && fclose(out) != 0)
        written = false;
    if (!written)
        cli_say("%s cannot be written", path);
    return written;
}

static int report(const struct cli *cli, const struct options *options, struct simulation *found)
{
    qsort(found->product, found->product_count, sizeof found->product[0], by_gain);
    check_gates(options, found);
    (cli->json ? simulate_json : simulate_text)(found);
    if (options->html != NULL && !simulate_html(found, options->html))
        return CLI_BAD_FILE;
    return found->failed_count > 0 ? CLI_NO : CLI_OK;
}

static int simulate(const struct cli *cli, const struct options *options, const char *against)
{
    struct simulation *found = calloc(1, sizeof *found);
    struct run *run = calloc(1, sizeof *run);
    int status = CLI_BAD_FILE;
    if (found != NULL && run != NULL) {
        *run = (struct run){ .found = found, .cli = cli, .slots = 1024 };
        while (run->slots / 2 < cli->config.products_max && run->slots < PRODUCTS_MAX)
            run->slots *= 2;
        run->slot = calloc(run->slots, sizeof *run->slot);
        found->product = calloc(run->slots / 2, sizeof *found->product);
        found->models = options->models;
        found->against = options->against;
        found->file = options->file;
        found->file_count = options->file_count;
    }
    log_setup("simulate", "error", "text");
    if (found == NULL || run == NULL || run->slot == NULL || found->product == NULL)
        cli_say("out of memory");
    else if (replica_open(&run->side[0], &cli->config, against) &&
             replica_open(&run->side[1], &cli->config, options->models))
        status = play_all(run, options);
    if (status == CLI_OK && options->prices != NULL && !write_prices(&run->side[1], options->prices))
        status = CLI_BAD_FILE;
    if (status == CLI_OK)
        status = report(cli, options, found);
    for (uint32_t side = 0; run != NULL && side < 2; side++)
        replica_close(&run->side[side]);
    if (run != NULL)
        free(run->slot);
    if (found != NULL)
        free(found->product);
    free(run);
    free(found);
    return status;
}

enum { OWN_MODELS = CLI_OWN, OWN_AGAINST, OWN_SIGNALS, OWN_HTML, OWN_PRICES, OWN_CHANGE, OWN_MEAN, OWN_LOSS };

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_MODELS: options->models = argument; return true;
    case OWN_AGAINST: options->against = argument; return true;
    case OWN_HTML: options->html = argument; return true;
    case OWN_PRICES: options->prices = argument; return true;
    case OWN_CHANGE: return cli_number("--max-change-pct", argument, 0, 1e6, &options->max_change_pct);
    case OWN_MEAN: return cli_number("--max-mean-pct", argument, 0, 1e6, &options->max_mean_pct);
    case OWN_LOSS: return cli_number("--max-loss-pct", argument, 0, 100, &options->max_loss_pct);
    case OWN_SIGNALS:
        if (options->file_count == FILES_MAX) {
            cli_say("--signals may be given at most %u times", FILES_MAX);
            return false;
        }
        options->file[options->file_count++] = argument;
        return true;
    default: return false;
    }
}

static int run_command(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "models", required_argument, NULL, OWN_MODELS },
                                         { "against", required_argument, NULL, OWN_AGAINST },
                                         { "signals", required_argument, NULL, OWN_SIGNALS },
                                         { "html", required_argument, NULL, OWN_HTML },
                                         { "prices", required_argument, NULL, OWN_PRICES },
                                         { "max-change-pct", required_argument, NULL, OWN_CHANGE },
                                         { "max-mean-pct", required_argument, NULL, OWN_MEAN },
                                         { "max-loss-pct", required_argument, NULL, OWN_LOSS },
                                         { 0 } };
    struct options options = { .against = "live", .max_change_pct = -1, .max_mean_pct = -1, .max_loss_pct = -1 };
    char live[DATA_PATH_MAX];
    static struct change change;
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    while (optind < argc && options.file_count < FILES_MAX) /* --signals a b c */
        options.file[options.file_count++] = argv[optind++];
    if (options.models == NULL || optind < argc) {
        cli_say(options.models == NULL ? "--models says what to try" : "at most %u files", FILES_MAX);
        return CLI_USAGE;
    }
    const char *against = options.against;
    if (strcmp(against, "live") == 0) {
        if (change_load(&cli->config, &change) != RIALTO_OK) {
            cli_say("no models are in force in %s; --set data_dir=... says where the service keeps them, --against DIR "
                    "takes "
                    "others",
                    cli->config.data_dir);
            return CLI_UNREACHABLE;
        }
        change_models_path(&cli->config, change.models, live);
        against = live;
    }
    return simulate(cli, &options, against);
}

const struct cli_command cli_simulate = {
    .name = "simulate",
    .usage = "simulate --models DIR [--signals FILE...] [OPTIONS]",
    .summary = "what would other models have done with recorded signals?",
    .help =
        "Plays recorded signals to two sets of models side by side, in this process, with the code that prices live, "
        "and "
        "compares\n"
        "their baseline prices at every tick. The same files give the same numbers, however often they are played. "
        "Needs no\n"
        "running service. Turnover is that of the recorded orders at the prices of each side: how customers would "
        "have\n"
        "reacted to other prices is not known, and left out.\n"
        "\n"
        "  --models DIR           the models to try\n"
        "  --against DIR          those to compare with; \"live\" (the default): those in force in data_dir\n"
        "  --signals FILE...      lines of signals with {\"control\":\"tick\",\"time\":MS} between them, as `rialto "
        "replay "
        "--out`\n"
        "                         writes them, plain or .gz; several are played one after the other. Without it: the "
        "bundled\n"
        "                         recordings\n"
        "  --html FILE            a page with charts, too\n"
        "  --prices FILE          every price of the tried models as it stands at the end, one JSON object a line\n"
        "  --max-change-pct N     exit status 1 if any price differs by more\n"
        "  --max-mean-pct N       exit status 1 if all prices together differ by more on average\n"
        "  --max-loss-pct N       exit status 1 if turnover in any currency falls by more\n"
        "\n"
        "Exit status 1 also if the models do not make a price that the others make, or if there was no price to "
        "compare.\n"
        "\n"
        "  rialto simulate --models new/                        the bundled recordings, against what is in force\n"
        "  rialto replay --out day.ndjson\n"
        "  rialto simulate --models new/ --against models/ --signals day.ndjson --html report.html --max-change-pct "
        "15\n",
    .run = run_command,
};
