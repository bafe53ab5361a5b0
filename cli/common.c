/* common.c - options and the way to the instance. */
#include "cache/zone_path.h"
#include "cli/cli.h"
#include "service/signal_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_MAX 32
#define SAY_BYTES   8192u

_Atomic bool cli_stop;

enum { OPTION_CACHE = 1, OPTION_URL, OPTION_CONFIG, OPTION_SET, OPTION_TIMEOUT, OPTION_JSON, OPTION_HELP };

static const struct option common[] = {
    { "cache", required_argument, NULL, OPTION_CACHE },
    { "url", required_argument, NULL, OPTION_URL },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "set", required_argument, NULL, OPTION_SET },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT },
    { "json", no_argument, NULL, OPTION_JSON },
    { "help", no_argument, NULL, OPTION_HELP },
};
#define COMMON_COUNT (sizeof common / sizeof common[0])

void cli_say(const char *format, ...)
{
    char text[SAY_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs("rialto: ", stderr);
    cli_plain_text(text, stderr); /* an answer or a name of somebody else's may be in it */
    fputc('\n', stderr);
}

void cli_fault(const struct fault *fault)
{
    char text[FAULT_FILE_MAX + FAULT_POINTER_MAX + FAULT_REASON_MAX + 64];
    fault_text(fault, sizeof text, text);
    cli_say("%s", text);
}

void cli_json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

bool cli_number(const char *option, const char *text, double low, double high, double *ret)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || errno != 0 || !(value >= low) || !(value <= high)) {
        cli_say("%s wants a number from %.10g to %.10g, not \"%s\"", option, low, high, text);
        return false;
    }
    *ret = value;
    return true;
}

bool cli_time(const char *option, const char *text, int64_t *ret_ms)
{
    char *end;
    errno = 0;
    long long ms = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && ms > 0) {
        *ret_ms = ms;
        return true;
    }
    if (time_parse(text, ret_ms) && *ret_ms > 0)
        return true;
    cli_say("%s wants a time like 2026-11-26T14:00:00Z, not \"%s\"", option, text);
    return false;
}

static void on_signal(int number)
{
    (void)number;
    cli_stop = true;
}

void cli_catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void cli_clock_text(int64_t unix_ms, char ret[32])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(ret, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

void cli_exact_text(const char *minor, uint8_t decimals, char ret[64])
{
    char digits[64];
    const char *point = strchr(minor, '.');
    bool negative = minor[0] == '-';
    (void)snprintf(digits, sizeof digits, "%0*" PRId64 "%s", decimals + 1 + negative, (int64_t)strtoll(minor, NULL, 10),
                   point != NULL ? point + 1 : "");
    size_t end = strlen(digits), fraction = decimals + (point != NULL ? strlen(point + 1) : 0);
    (void)snprintf(ret, 64, "%.*s.%s", (int)(end - fraction), digits, digits + end - fraction);
    size_t length = strlen(ret), least = end - fraction + (decimals > 0 ? 1u + decimals : 0);
    while (length > least && (ret[length - 1] == '0' || ret[length - 1] == '.'))
        ret[--length] = '\0';
}

void cli_short_number(const char *text, char ret[40])
{
    (void)snprintf(ret, 40, "%.39s", text);
    size_t length = strlen(ret);
    while (strchr(ret, '.') != NULL && (ret[length - 1] == '0' || ret[length - 1] == '.')) {
        bool point = ret[length - 1] == '.';
        ret[--length] = '\0';
        if (point)
            break;
    }
}

bool cli_zone(const char *zone)
{
    bool good = zone_name_valid(zone, strlen(zone));
    if (!good)
        cli_say("\"%s\" is not the name of a zone", zone);
    return good;
}

bool cli_key(const struct cli *cli, const char *what, char ret[DATA_KEY_MAX])
{
    if (data_key(&cli->config, false, ret))
        return true;
    cli_say("%s/key cannot be read: %s who may write in the service's data folder (--set data_dir=..., or --config "
            "with its configuration)",
            cli->config.data_dir, what);
    return false;
}

void cli_who(char ret[CLI_WHO_MAX])
{
    char host[32] = "";
    const struct passwd *user = getpwuid(getuid());
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(ret, CLI_WHO_MAX, "%.31s@%.31s", user != NULL ? user->pw_name : "?", host);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

struct taken { /* options that make the configuration: applied when all are known */
    const char *config_file;
    const char *set[OPTIONS_MAX];
    uint32_t set_count;
    const char *cache, *url;
};

static int take_common(struct cli *cli, struct taken *taken, int option, const char *argument)
{
    double number;
    switch (option) {
    case OPTION_CACHE: taken->cache = argument; return CLI_OK;
    case OPTION_URL: taken->url = argument; return CLI_OK;
    case OPTION_CONFIG: taken->config_file = argument; return CLI_OK;
    case OPTION_JSON: cli->json = true; return CLI_OK;
    case OPTION_HELP: cli->help = true; return CLI_OK;
    case OPTION_TIMEOUT:
        if (!cli_number("--timeout", argument, 1, 600000, &number))
            return CLI_USAGE;
        cli->timeout_ms = (uint32_t)number;
        return CLI_OK;
    case OPTION_SET:
        if (taken->set_count == OPTIONS_MAX) {
            cli_say("--set may be given at most %d times", OPTIONS_MAX);
            return CLI_USAGE;
        }
        taken->set[taken->set_count++] = argument;
        return CLI_OK;
    default: return CLI_USAGE; /* getopt has said why */
    }
}

/* In quotation marks of a shell where one needs them. */
static void put_option(FILE *out, const char *name, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=,@%+";
    (void)fprintf(out, " %s ", name);
    if (text[0] != 0 && strspn(text, plain) == strlen(text)) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('\'', out);
    for (; *text != 0; text++)
        (void)fputs(*text == '\'' ? "'\\''" : (const char[]){ *text, 0 }, out);
    (void)fputc('\'', out);
}

static char *where_text(const struct taken *taken)
{
    char *ret = NULL;
    size_t bytes;
    FILE *out = open_memstream(&ret, &bytes);
    if (out == NULL)
        return NULL;
    if (taken->config_file != NULL)
        put_option(out, "--config", taken->config_file);
    for (uint32_t i = 0; i < taken->set_count; i++)
        put_option(out, "--set", taken->set[i]);
    if (taken->cache != NULL)
        put_option(out, "--cache", taken->cache);
    (void)fclose(out);
    return ret;
}

static int find_instance(struct cli *cli, const struct taken *taken)
{
    struct fault fault = { 0 };
    enum rialto_status status = config_load(taken->config_file, &cli->config, &fault);
    for (uint32_t i = 0; status == RIALTO_OK && i < taken->set_count; i++)
        status = config_set(&cli->config, taken->set[i], &fault);
    if (status == RIALTO_OK)
        status = config_finish(&cli->config, &fault);
    if (status != RIALTO_OK) {
        cli_fault(&fault);
        return CLI_BAD_FILE;
    }
    const char *cache = taken->cache;
    if (cache == NULL && taken->config_file == NULL && taken->set_count == 0)
        cache = getenv("RIALTO_CACHE"); /* as librialto does; a configuration that is named goes before it */
    if (cache == NULL || cache[0] == 0)
        cache = cli->config.cache_dir;
    snprintf(cli->cache, sizeof cli->cache, "%s", cache);
    snprintf(cli->urls, sizeof cli->urls, "%s", taken->url != NULL ? taken->url : cli->config.request_urls);
    cli->where = where_text(taken);
    return CLI_OK;
}

int cli_parse(struct cli *cli, int argc, char *argv[], const struct option own[],
              bool (*take)(void *user, int option, const char *argument), void *user)
{
    struct option all[OPTIONS_MAX + 1];
    size_t count = COMMON_COUNT;
    memcpy(all, common, sizeof common);
    for (size_t i = 0; own != NULL && own[i].name != NULL && count < OPTIONS_MAX; i++)
        all[count++] = own[i];
    all[count] = (struct option){ 0 };

    struct taken taken = { 0 };
    for (int option; (option = getopt_long(argc, argv, "", all, NULL)) != -1;) {
        int status = option >= CLI_OWN ? (take(user, option, optarg) ? CLI_OK : CLI_USAGE)
                                       : take_common(cli, &taken, option, optarg);
        if (status != CLI_OK)
            return status;
    }
    return cli->help ? CLI_OK : find_instance(cli, &taken);
}

/* ---- the instance ----------------------------------------------------------------------------------------------- */

enum rialto_status cli_open_cache(const struct cli *cli, struct rialto **ret)
{
    enum rialto_status status = rialto_open(cli->cache, ret);
    if (status != RIALTO_OK)
        cli_say("%s: %s%s", cli->cache, rialto_status_text(status),
                status == RIALTO_NO_CACHE ? "; is rialtod running? (--cache, --config and --set instance=... say where)"
                                          : "");
    return status;
}

struct requester *cli_connect(const struct cli *cli, uint32_t wait_ms)
{
    char why[REQUEST_WHY_MAX];
    const struct requester_settings settings = { cli->urls, cli->timeout_ms, wait_ms };
    struct requester *requester = requester_open(&settings, why);
    if (requester == NULL)
        cli_say("%s", why);
    return requester;
}
