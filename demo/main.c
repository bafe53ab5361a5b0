/* main.c - rialto-demo: the whole service on recorded data, with a storefront that reads prices and a board that shows
 * them.
 *
 *   rialto-demo --child--> rialtod (gateway, workers, redis-server)
 *     replay thread  ----signals, ticks---->  gateway
 *     storefront thread <---shared memory---  tables
 *     main thread: board, 5 times a second
 *
 * Ends with nothing left behind but DIR: no process, no table. A second run on the same DIR finds everything again. */
#include "demo/board.h"
#include "demo/daemon.h"
#include "demo/keys.h"
#include "demo/replay.h"
#include "demo/sample.h"
#include "demo/storefront.h"
#include "service/clock.h"
#include "service/config.h"
#include "service/metrics.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READY_LIMIT_MS  20000
#define SETTLE_LIMIT_MS 20000
#define STOP_LIMIT_MS   20000
#define FRAME_MS        200
#define OWN_SETS        6
#define SETS_MAX        (DAEMON_SETS_MAX - OWN_SETS)

struct demo {
    /* options */
    const char *data_dir;
    double seconds;
    bool once;
    const char *set[DAEMON_SETS_MAX];
    uint32_t set_count;
    char own_set[OWN_SETS][4200];
    struct tape_source source;

    struct config config;
    struct daemon daemon;
    struct rialto *prices;
    const struct metrics_file *metrics;
    struct sample sample;
    struct storefront storefront;
    struct replay_settings replay;
    struct replay_progress progress;
    pthread_t replay_thread;
    bool replay_started, replay_good;
    _Atomic bool replay_done;
    struct board board;
    bool is_settled;
    char found[256]; /* what an earlier run left */
    char console[256];
    char why[512]; /* the first thing that went wrong */
};

static _Atomic bool stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = true;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Only the first reason is kept: what follows from it would hide it. */
__attribute__((format(printf, 2, 3))) static bool failed(struct demo *demo, const char *format, ...)
{
    if (demo->why[0] == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(demo->why, sizeof demo->why, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static const char help[] =
    "rialto-demo - Rialto on recorded data: a gift shop's invoices and a city's groceries, 28 days in a minute\n"
    "\n"
    "Usage: rialto-demo [--data DIR] [--seconds S] [--once] [--set KEY=VALUE]...\n"
    "\n"
    "Starts rialtod, plays the recordings to it, and reads the prices of random customers out of shared memory all the "
    "time.\n"
    "Goes on serving until Ctrl-C. DIR keeps the state; a second run on it finds everything again.\n"
    "\n"
    "  --data DIR       state, log and sockets; default run\n"
    "  --seconds S      how long the replay should take; 0 = as fast as it goes; default 60\n"
    "  --once           end after the replay, when all is saved. The last line is then\n"
    "                   ok: signals=N rejected=M quotes=K quote_p50_us=X quote_p99_us=Y guardrail_breaches=0 lost=0\n"
    "                   and the exit status 0, or it begins with \"failed:\" and the status is 1\n"
    "  --fresh DIR, --retail FILE\n"
    "                   other recordings, as for `rialto replay`\n"
    "  --set KEY=VALUE  a setting of rialtod, such as instance=demo2 (needed when another instance runs here)\n"
    "\n"
    "From a second terminal: rialto quote C17850 F45, rialto watch, rialto status. The console is at\n"
    "http://127.0.0.1:7480/console/, its token in DIR/console.token; DIR/shop.token is for rialto-shop.\n"
    "NO_COLOR is respected. Without a terminal a line is printed every few seconds.\n";

enum { OPTION_DATA = 1, OPTION_SECONDS, OPTION_ONCE, OPTION_SET, OPTION_FRESH, OPTION_RETAIL, OPTION_HELP };

static bool take_option(struct demo *demo, int option, const char *argument)
{
    char *end;
    switch (option) {
    case OPTION_DATA: demo->data_dir = argument; return true;
    case OPTION_ONCE: demo->once = true; return true;
    case OPTION_FRESH: demo->source.fresh_dir = argument; return true;
    case OPTION_RETAIL: demo->source.retail_file = argument; return true;
    case OPTION_SECONDS:
        demo->seconds = strtod(argument, &end);
        if (end != argument && *end == 0 && demo->seconds >= 0 && demo->seconds <= 1e7)
            return true;
        fprintf(stderr, "rialto-demo: --seconds wants a number from 0 on, not \"%s\"\n", argument);
        return false;
    case OPTION_SET:
        if (demo->set_count < SETS_MAX) {
            demo->set[demo->set_count++] = argument;
            return true;
        }
        fprintf(stderr, "rialto-demo: at most %u times --set\n", SETS_MAX);
        return false;
    default: return false;
    }
}

/* Returns -1 to go on, else the exit status. */
static int take_options(struct demo *demo, int argc, char *argv[])
{
    static const struct option options[] = {
        { "data", required_argument, NULL, OPTION_DATA },   { "seconds", required_argument, NULL, OPTION_SECONDS },
        { "once", no_argument, NULL, OPTION_ONCE },         { "set", required_argument, NULL, OPTION_SET },
        { "fresh", required_argument, NULL, OPTION_FRESH }, { "retail", required_argument, NULL, OPTION_RETAIL },
        { "help", no_argument, NULL, OPTION_HELP },         { 0 }
    };
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPTION_HELP || option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (!take_option(demo, option, optarg))
            return 2;
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "rialto-demo: what is \"%s\"? rialto-demo --help explains the options\n", argv[optind]);
    return 2;
}

/* Ours go first, so that what the user sets goes before. */
static void add_own_sets(struct demo *demo)
{
    char models[4096];
    uint32_t own = 0;
    snprintf(demo->own_set[own++], sizeof demo->own_set[0], "data_dir=%s", demo->data_dir);
    snprintf(demo->own_set[own++], sizeof demo->own_set[0], "demo=1");
    snprintf(demo->own_set[own++], sizeof demo->own_set[0], "cache_on_stop=remove");
    snprintf(demo->own_set[own++], sizeof demo->own_set[0], "http_tokens_file=%s/http.tokens", demo->data_dir);
    snprintf(demo->own_set[own++], sizeof demo->own_set[0], "http_open_signals=1"); /* curl, from this machine */
    if (find_beside_program("models", sizeof models, models))
        snprintf(demo->own_set[own++], sizeof demo->own_set[0], "models_dir=%s", models);
    memmove(demo->set + own, demo->set, demo->set_count * sizeof demo->set[0]);
    for (uint32_t i = 0; i < own; i++)
        demo->set[i] = demo->own_set[i];
    demo->set_count += own;
}

static bool configure(struct demo *demo)
{
    struct fault fault = { 0 };
    char why[KEYS_WHY_MAX];
    if (!keys_make(demo->data_dir, why))
        return failed(demo, "%s", why);
    add_own_sets(demo);
    enum rialto_status status = config_load(NULL, &demo->config, &fault);
    for (uint32_t i = 0; status == RIALTO_OK && i < demo->set_count; i++)
        status = config_set(&demo->config, demo->set[i], &fault);
    if (status == RIALTO_OK)
        status = config_finish(&demo->config, &fault);
    if (status != RIALTO_OK) {
        char text[512];
        fault_text(&fault, sizeof text, text);
        return failed(demo, "%s", text);
    }
    const struct tape_source *source = &demo->source;
    if (source->fresh_dir == NULL && source->retail_file == NULL && !replay_bundled(&demo->source))
        return failed(demo, "the bundled recordings (demo/data) are not here");
    return true;
}

/* ---- the service ------------------------------------------------------------------------------------------------ */

/* Somebody else's tables under the same name would be replaced under their feet. */
static bool is_place_free(struct demo *demo)
{
    const struct metrics_file *metrics = metrics_read(demo->config.cache_dir);
    if (metrics == NULL)
        return true;
    uint64_t tick_ms = atomic_load(&metrics->block[1].word[METRIC_tick_ms]);
    sleep_ms(2 * (long)demo->config.tick_ms + 300);
    bool lives = atomic_load(&metrics->block[1].word[METRIC_tick_ms]) != tick_ms;
    munmap((void *)(uintptr_t)metrics, sizeof *metrics);
    return !lives || failed(demo, "an instance is running on %s already: end it, or take --set instance=another",
                            demo->config.cache_dir);
}

/* Ready: the tables are there, the gateway answers and every worker is connected to it. */
static bool is_ready(struct demo *demo)
{
    static const char question[] = "{\"control\":\"ping\"}";
    char why[REQUEST_WHY_MAX];
    if (demo->prices == NULL && rialto_open(demo->config.cache_dir, &demo->prices) != RIALTO_OK)
        return false;
    if (demo->metrics == NULL && (demo->metrics = metrics_read(demo->config.cache_dir)) == NULL)
        return false;
    struct requester *requester =
        requester_open(&(struct requester_settings){ demo->config.request_urls, 1000, 0 }, why);
    if (requester == NULL)
        return false;
    cJSON *answer = requester_ask(requester, question, sizeof question - 1, 1, NULL, why);
    bool ready = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
    const cJSON *worker;
    cJSON_ArrayForEach(worker, cJSON_GetObjectItemCaseSensitive(answer, "workers"))
    {
        ready &= cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(worker, "connected"));
    }
    cJSON_Delete(answer);
    requester_close(requester);
    return ready;
}

static bool start_service(struct demo *demo)
{
    char why[REQUEST_WHY_MAX];
    if (!is_place_free(demo))
        return false;
    if (!daemon_start(&demo->daemon, demo->config.data_dir, demo->set_count, demo->set, why))
        return failed(demo, "%s", why);
    int64_t start = mono_ms();
    while (!stop_wanted && daemon_runs(&demo->daemon) && mono_ms() - start < READY_LIMIT_MS) {
        if (is_ready(demo)) {
            printf("rialtod is ready after %.1f s; its log is %s\n", (double)(mono_ms() - start) / 1000,
                   demo->daemon.log);
            return true;
        }
        sleep_ms(20);
    }
    if (stop_wanted)
        return failed(demo, "stopped");
    bool runs = daemon_runs(&demo->daemon);
    daemon_print_log(&demo->daemon, 12);
    return failed(demo, runs ? "rialtod is not ready after %d s" : "rialtod ended before it was ready",
                  READY_LIMIT_MS / 1000);
}

static struct board_system read_system(const struct metrics_file *metrics)
{
    struct board_system system = { 0 };
    for (uint32_t i = 0; metrics != NULL && i < METRICS_BLOCKS_MAX; i++) {
        const struct metrics_block *block = &metrics->block[i];
        if (block->who[0] == 0)
            continue;
        system.restarts += atomic_load(&block->word[METRIC_restarts_total]);
        system.products += atomic_load(&block->word[METRIC_products]);
        system.customers += atomic_load(&block->word[METRIC_customers]);
        system.cells += atomic_load(&block->word[METRIC_cells]);
        system.no_consent += atomic_load(&block->word[METRIC_signals_no_consent_total]);
        if (i < METRICS_FIRST_WORKER || i == METRICS_WEB)
            continue;
        system.workers++;
        system.workers_with_redis += atomic_load(&block->word[METRIC_redis_up]) != 0;
        system.lag_batches += atomic_load(&block->word[METRIC_mirror_lag_batches]);
    }
    return system;
}

/* What an earlier run left in DIR: its products go into the sample at once. */
static void find_again(struct demo *demo)
{
    static char seen[RIALTO_ID_MAX];
    uint64_t prices = 0;
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++) {
        struct rialto_cell cell;
        enum rialto_status status;
        for (uint64_t slot = 0; (status = rialto_cell_at(demo->prices, partition, slot, &cell)) != RIALTO_BAD_INPUT;
             slot++) {
            if (status != RIALTO_OK)
                continue;
            prices++;
            if (strcmp(seen, cell.sku) != 0 && cell.zone[0] == 0)
                sample_add_product(&demo->sample, cell.sku, cell.category);
        }
    }
    struct board_system system = read_system(demo->metrics);
    if (prices == 0)
        snprintf(demo->found, sizeof demo->found, "%.60s is new: nothing is known yet", demo->config.data_dir);
    else
        snprintf(demo->found, sizeof demo->found,
                 "Found again in %.60s: %" PRIu64 " products, %" PRIu64 " customers, %" PRIu64 " prices from before",
                 demo->config.data_dir, system.products, system.customers, prices);
    printf("%s\n", demo->found);
    fflush(stdout);
}

/* ---- the replay ------------------------------------------------------------------------------------------------- */

static void *play(void *user)
{
    struct demo *demo = user;
    demo->replay_good = replay_run(&demo->replay, &demo->progress);
    demo->replay_done = true;
    return NULL;
}

static bool start_replay(struct demo *demo)
{
    demo->replay = (struct replay_settings){
        .source = demo->source,
        .requester = { demo->config.request_urls, 5000, 2000 },
        .cache_dir = demo->config.cache_dir,
        .seconds = demo->seconds,
        .stop = &stop_wanted,
        .user = &demo->sample,
        .seen = sample_seen,
        .acknowledged = sample_acknowledged,
    };
    demo->replay_started = pthread_create(&demo->replay_thread, NULL, play, demo) == 0;
    return demo->replay_started || failed(demo, "no thread for the replay");
}

static void judge_replay(struct demo *demo)
{
    if (demo->progress.why[0])
        failed(demo, "replay: %s", demo->progress.why);
    else if (!demo->replay_good)
        failed(demo, "%" PRIu64 " signals were lost", demo->progress.lost);
    if (demo->why[0])
        demo->board.found = demo->why;
}

/* All workers have Redis, and nothing waits for it. */
static bool is_saved(const struct demo *demo)
{
    struct board_system system = read_system(demo->metrics);
    return system.workers > 0 && system.workers_with_redis == system.workers && system.lag_batches == 0;
}

/* ---- the board -------------------------------------------------------------------------------------------------- */

static void draw(struct demo *demo, enum board_phase phase)
{
    struct board_system system = read_system(demo->metrics);
    demo->board.prices = demo->prices;
    board_draw(&demo->board, phase, &system);
}

/* Runs until the replay is over (and saved), and without --once until it is stopped. */
static void watch(struct demo *demo)
{
    int64_t settle_end = 0;
    uint32_t saved_frames = 0;
    while (!stop_wanted) {
        enum board_phase phase = !demo->replay_done ? BOARD_PLAYING : demo->is_settled ? BOARD_SERVING : BOARD_SETTLING;
        draw(demo, phase);
        sleep_ms(FRAME_MS);
        if (!daemon_runs(&demo->daemon)) {
            failed(demo, "rialtod ended by itself; see %s", demo->daemon.log);
            return;
        }
        if (!demo->replay_done || demo->is_settled)
            continue;
        if (settle_end == 0) {
            settle_end = mono_ms() + SETTLE_LIMIT_MS;
            judge_replay(demo);
        }
        saved_frames = is_saved(demo) ? saved_frames + 1 : 0;
        demo->is_settled = saved_frames >= 3 || mono_ms() > settle_end;
        if (demo->is_settled && saved_frames < 3)
            failed(demo, "not everything was saved in Redis within %d s", SETTLE_LIMIT_MS / 1000);
        if (demo->is_settled && demo->once)
            return;
    }
    if (demo->once)
        failed(demo, "stopped");
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void stop_all(struct demo *demo)
{
    storefront_stop(&demo->storefront);
    stop_wanted = true;
    if (demo->replay_started)
        pthread_join(demo->replay_thread, NULL);
    board_end(&demo->board);
    rialto_close(demo->prices);
    demo->prices = NULL;
    if (demo->daemon.pid != 0 && !daemon_stop(&demo->daemon, STOP_LIMIT_MS)) {
        daemon_print_log(&demo->daemon, 12);
        failed(demo, "rialtod did not end cleanly");
    }
    struct stat info;
    if (strcmp(demo->config.cache_on_stop, "remove") == 0 && demo->metrics != NULL &&
        stat(demo->config.cache_dir, &info) == 0)
        failed(demo, "%s was left behind", demo->config.cache_dir);
}

static void judge_quotes(struct demo *demo)
{
    const struct storefront *storefront = &demo->storefront;
    if (storefront->breaches > 0)
        failed(demo, "prices outside their bounds were read");
    if (storefront->missing > 0)
        failed(demo, "%" PRIu64 " quotes of known products did not come", storefront->missing);
    if (demo->once && storefront->quotes == 0)
        failed(demo, "no quote was read");
}

static void print_result(const struct demo *demo)
{
    const struct replay_progress *progress = &demo->progress;
    const struct storefront *storefront = &demo->storefront;
    for (uint32_t i = 0; i < progress->reason_count; i++)
        printf("%10" PRIu64 " signals %s: %s\n", progress->reason[i].count,
               progress->reason[i].rejects ? "rejected" : "accepted with a note", progress->reason[i].text);
    if (demo->why[0])
        printf("failed: %s; ", demo->why);
    else
        printf("ok: ");
    printf("signals=%" PRIu64 " rejected=%" PRIu64 " quotes=%" PRIu64
           " quote_p50_us=%.3f quote_p99_us=%.3f guardrail_breaches=%" PRIu64 " lost=%" PRIu64 "\n",
           (uint64_t)progress->sent, (uint64_t)progress->rejected, (uint64_t)storefront->quotes,
           (double)latency_at(&storefront->latency, 0.5) / 1000, (double)latency_at(&storefront->latency, 0.99) / 1000,
           (uint64_t)storefront->breaches, progress->lost);
}

static bool start_all(struct demo *demo)
{
    if (!configure(demo) || !start_service(demo))
        return false;
    if (!sample_setup(&demo->sample))
        return failed(demo, "out of memory");
    find_again(demo);
    demo->storefront.cache_dir = demo->config.cache_dir;
    demo->storefront.sample = &demo->sample;
    if (!storefront_start(&demo->storefront)) {
        demo->storefront.cache_dir = NULL;
        return failed(demo, "no thread for the storefront");
    }
    return start_replay(demo);
}

/* Where the console is, and with which token; "" without HTTP. */
static const char *console_note(struct demo *demo)
{
    if (strcmp(demo->config.http_listen, "off") == 0 || demo->config.http_listen[0] == '\0')
        return "";
    snprintf(demo->console, sizeof demo->console, "Console: %s://%.60s/console/   Its token: %.120s/console.token",
             demo->config.http_certificate_file[0] != '\0' ? "https" : "http", demo->config.http_listen,
             demo->data_dir);
    printf("%s\n", demo->console);
    fflush(stdout);
    return demo->console;
}

int main(int argc, char *argv[])
{
    static struct demo demo = { .data_dir = "run", .seconds = 60 };
    int status = take_options(&demo, argc, argv);
    if (status >= 0)
        return status;
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (start_all(&demo)) {
        demo.board.progress = &demo.progress;
        demo.board.storefront = &demo.storefront;
        demo.board.sample = &demo.sample;
        demo.board.found = demo.found;
        demo.board.instance_note = "In a second terminal: rialto quote C17850 F320    rialto watch    rialto status";
        demo.board.console_note = console_note(&demo);
        movers_start(&demo.board.movers, demo.prices);
        board_setup(&demo.board);
        watch(&demo);
    }
    stop_all(&demo);
    judge_quotes(&demo);
    print_result(&demo);
    sample_teardown(&demo.sample);
    return demo.why[0] ? 1 : 0;
}
