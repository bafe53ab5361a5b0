/* main.c - rialtod: arguments, configuration, and on to the role. What each role does stands in roles.h. */
#include "cache/layout_describe.h"
#include "pricing/model.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/roles.h"
#include "service/signal.h"
#include "service/size.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#ifndef RIALTO_VERSION
#define RIALTO_VERSION "0"
#endif

#define ASSIGNMENTS_MAX 64
#define EXIT_USAGE      2

/* Read by jemalloc where it is linked: without this an idle process never gives memory back. Its thread does not live
 * on in a forked child, but every child of ours is executed anew. */
__attribute__((visibility("default"))) extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:1000";

static const char help_text[] =
    "rialtod - keeps every customer's price ready in shared memory\n"
    "\n"
    "  rialtod [--config FILE] [--set KEY=VALUE]...    run until SIGTERM or Ctrl-C\n"
    "  rialtod --check [--config FILE] ...             check configuration and models, and end\n"
    "  rialtod --size [--config FILE] ...              how much memory the configuration needs, and end\n"
    "\n"
    "rialtod needs no configuration: it reads models/*.json, keeps its data in ./run and prices in /dev/shm/rialto, "
    "and\n"
    "runs a redis-server of its own when it is told of none. A first try, in three terminals:\n"
    "\n"
    "  rialtod\n"
    "  rialto signal --json-text "
    "'{\"type\":\"product\",\"sku\":\"milk-1l\",\"category\":\"fresh/dairy\",\"list\":189,\"currency\":\"CNY\"}'\n"
    "  rialto quote milk-1l\n"
    "\n"
    "Options\n"
    "  -c, --config FILE       settings as JSON; // and /* */ comments are allowed\n"
    "  -s, --set KEY=VALUE     one setting, after the file; may be given more than once\n"
    "      --check             exit 0 if configuration and models are good, else say file, line and reason and exit 1\n"
    "      --size              shared memory, state and Redis when full, and with 1, 10 and 100 million customers, as Markdown\n"
    "      --describe-config   all settings with defaults and bounds, as a Markdown table\n"
    "      --describe-metrics  all metrics, as a Markdown table\n"
    "      --describe-signals  all signals and their fields, as Markdown tables\n"
    "      --describe-layout   the files in shared memory, byte by byte, as Markdown tables\n"
    "  -V, --version           version\n"
    "  -h, --help              this text\n"
    "      --role, --index     used by rialtod to start its own processes\n"
    "\n"
    "Settings most often changed\n"
    "  models_dir=FOLDER       pricing models                        models\n"
    "  data_dir=FOLDER         private data, mode 0700               run\n"
    "  redis_url=URL           tcp://HOST:PORT or unix:PATH          its own redis-server\n"
    "  worker_count=N          pricing processes                     cores - 1\n"
    "  instance=NAME           a second rialtod on this machine      rialto\n"
    "  cache_on_stop=remove    leave no tables behind                keep\n"
    "\n"
    "Signals: SIGTERM, SIGINT end it cleanly; a second one kills.   Exit: 0 clean, 1 refused or failed, 2 wrong "
    "arguments.\n"
    "The log goes to standard error, one event a line. Manual: man rialtod.\n";

enum { OPTION_CHECK = 256, OPTION_SIZE, OPTION_DESCRIBE_CONFIG, OPTION_DESCRIBE_METRICS, OPTION_DESCRIBE_SIGNALS, OPTION_DESCRIBE_LAYOUT, OPTION_ROLE, OPTION_INDEX };

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "set", required_argument, NULL, 's' },
    { "check", no_argument, NULL, OPTION_CHECK },
    { "size", no_argument, NULL, OPTION_SIZE },
    { "describe-config", no_argument, NULL, OPTION_DESCRIBE_CONFIG },
    { "describe-metrics", no_argument, NULL, OPTION_DESCRIBE_METRICS },
    { "describe-signals", no_argument, NULL, OPTION_DESCRIBE_SIGNALS },
    { "describe-layout", no_argument, NULL, OPTION_DESCRIBE_LAYOUT },
    { "role", required_argument, NULL, OPTION_ROLE },
    { "index", required_argument, NULL, OPTION_INDEX },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct arguments {
    const char *config;
    const char *assignment[ASSIGNMENTS_MAX];
    int assignment_count;
    const char *role; /* NULL = supervisor */
    uint32_t index;
    int show; /* an option that only prints; 0 = none */
    bool check, size;
};

static bool index_parse(const char *text, uint32_t *ret)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n >= RIALTO_WORKERS_MAX)
        return false;
    *ret = (uint32_t)n;
    return true;
}

static bool option_take(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c': arguments->config = optarg; return true;
    case 's':
        if (arguments->assignment_count == ASSIGNMENTS_MAX) {
            (void)fprintf(stderr, "rialtod: more than %d --set; use a file\n", ASSIGNMENTS_MAX);
            return false;
        }
        arguments->assignment[arguments->assignment_count++] = optarg;
        return true;
    case OPTION_CHECK: arguments->check = true; return true;
    case OPTION_SIZE: arguments->size = true; return true;
    case OPTION_ROLE: arguments->role = optarg; return true;
    case OPTION_INDEX: return index_parse(optarg, &arguments->index);
    case 'V':
    case 'h':
    case OPTION_DESCRIBE_CONFIG:
    case OPTION_DESCRIBE_METRICS:
    case OPTION_DESCRIBE_SIGNALS:
    case OPTION_DESCRIBE_LAYOUT: arguments->show = option; return true;
    default: return false;
    }
}

static bool arguments_parse(int argc, char *argv[], struct arguments *ret)
{
    for (int option = getopt_long(argc, argv, "c:s:Vh", options, NULL); option != -1;
         option = getopt_long(argc, argv, "c:s:Vh", options, NULL)) {
        if (!option_take(ret, option))
            return false;
    }
    if (optind < argc)
        (void)fprintf(stderr, "rialtod: \"%s\" is not an option\n", argv[optind]);
    return optind == argc;
}

static int show(int option)
{
    if (option == 'h')
        (void)fputs(help_text, stdout);
    else if (option == 'V')
        (void)puts("rialtod " RIALTO_VERSION);
    else if (option == OPTION_DESCRIBE_CONFIG)
        config_describe(stdout);
    else if (option == OPTION_DESCRIBE_SIGNALS)
        signal_describe(stdout);
    else if (option == OPTION_DESCRIBE_LAYOUT)
        layout_describe(stdout);
    else
        metrics_describe(stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool configure(const struct arguments *arguments, struct config *ret)
{
    struct fault fault = { 0 };
    enum rialto_status status = config_load(arguments->config, ret, &fault);
    for (int i = 0; status == RIALTO_OK && i < arguments->assignment_count; i++)
        status = config_set(ret, arguments->assignment[i], &fault);
    if (status == RIALTO_OK) {
        memset(&fault, 0, sizeof fault);
        status = config_finish(ret, &fault);
    }
    if (status == RIALTO_OK)
        return true;
    char text[512];
    (void)fault_text(&fault, sizeof text, text);
    (void)fprintf(stderr, "rialtod: %s\n", text);
    return false;
}

static int check(const struct config *config)
{
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    char text[512];
    if (model_set_load(config->models_dir, &set, &fault) != RIALTO_OK) {
        (void)fault_text(&fault, sizeof text, text);
        (void)fprintf(stderr, "rialtod: %s\n", text);
        return EXIT_FAILURE;
    }
    (void)printf("configuration: ok (instance %s, %u workers, data in %s, prices in %s)\n", config->instance,
                 config->workers, config->data_dir, config->cache_dir);
    for (uint32_t m = 0; m < set->count; m++)
        (void)printf("model %s %s: ok (%s)\n", set->model[m].name, set->model[m].version, set->model[m].file);
    model_set_free(set);
    return EXIT_SUCCESS;
}

/* What top and ps -e show; executed as /proc/self/exe, we would all be called "exe". */
static void process_name(const char *role, uint32_t index)
{
    char name[16] = "rialtod";
    if (strcmp(role, "worker") == 0)
        (void)snprintf(name, sizeof name, "rialtod-w%u", index);
    else if (strcmp(role, "supervisor") != 0)
        (void)snprintf(name, sizeof name, "rialtod-%.7s", role);
    (void)prctl(PR_SET_NAME, name);
}

/* With the default instance the log says "gateway"; with others, whose: "shop2/gateway". */
static void log_start(const struct config *config, const char *role, uint32_t index)
{
    char speaker[64];
    bool named = strcmp(config->instance, "rialto") != 0;
    bool worker = strcmp(role, "worker") == 0;
    int n = snprintf(speaker, sizeof speaker, "%.*s%s%s", (int)RIALTO_NAME_MAX - 1, named ? config->instance : "",
                     named ? "/" : "", role);
    if (worker && n > 0 && (size_t)n < sizeof speaker)
        (void)snprintf(speaker + n, sizeof speaker - (size_t)n, ".%u", index);
    log_setup(speaker, config->log_level, config->log_format);
}

static int role_run(const struct config *config, const struct arguments *arguments, int argc, char *argv[])
{
    const char *role = arguments->role != NULL ? arguments->role : "supervisor";
    process_name(role, arguments->index);
    log_start(config, role, arguments->index);
    if (strcmp(role, "supervisor") == 0)
        return supervisor_main(config, argc, argv);
    if (strcmp(role, "prepare") == 0)
        return prepare_main(config);
    if (strcmp(role, "stage") == 0)
        return stage_main(config);
    if (strcmp(role, "gateway") == 0)
        return gateway_main(config);
    if (strcmp(role, "web") == 0)
        return web_main(config);
    if (strcmp(role, "worker") == 0 && arguments->index < config->workers)
        return worker_main(config, arguments->index);
    (void)fprintf(stderr, "rialtod: no role %s with index %u\n", role, arguments->index);
    return EXIT_USAGE;
}

int main(int argc, char *argv[])
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write, not the end of the process */
    struct arguments arguments = { 0 };
    if (!arguments_parse(argc, argv, &arguments)) {
        (void)fputs("rialtod --help tells how to use it\n", stderr);
        return EXIT_USAGE;
    }
    if (arguments.show != 0)
        return show(arguments.show);
    static struct config config;
    if (!configure(&arguments, &config))
        return EXIT_FAILURE;
    if (arguments.size) {
        size_describe(&config, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return arguments.check ? check(&config) : role_run(&config, &arguments, argc, argv);
}
