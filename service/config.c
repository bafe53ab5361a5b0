/* config.c - from the table of settings in config.h to a checked struct config.
 *
 *   defaults --> file (JSON with comments) --> --set key=value ... --> config_finish(): what depends on several keys
 *
 * Each value is checked where it is set, so that a fault names the line it stands on. Nothing is read or written here
 * but the configuration file itself and time zone data: whether folders exist is found out by who uses them. */
#include "service/config.h"

#include "pricing/local_clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_DIR_BYTES_MAX 80 /* DATA_DIR/worker.63.ipc must fit into the 108 bytes of a Unix socket's name */
#define OWN_DOOR           "/web.ipc" /* gateway_sender.h */
#define GEOHASH_CHARS_MAX  12u
#define PATH_DEPTH_MAX     8u

struct source { /* where a value came from, for messages */
    const char *text;
    size_t bytes;
    const char *pointer; /* "/key" */
    struct fault *fault;
};

#define refuse(source, ...) fault_set((source)->fault, (source)->text, (source)->bytes, (source)->pointer, __VA_ARGS__)

typedef enum rialto_status (*text_check)(const char *value, const struct source *source);

const char *config_url(const char *urls, char ret[CONFIG_TEXT_MAX])
{
    const char *at = urls + strspn(urls, " ");
    size_t bytes = strcspn(at, " ");
    if (bytes == 0)
        return NULL;
    (void)snprintf(ret, CONFIG_TEXT_MAX, "%.*s", (int)bytes, at);
    return at + bytes;
}

/* ---- what a text must look like --------------------------------------------------------------------------------- */

static enum rialto_status check_none(const char *value, const struct source *source)
{
    (void)value;
    (void)source;
    return RIALTO_OK;
}

/* The instance becomes part of a path and of Redis keys and patterns. */
static enum rialto_status check_month_zone(const char *value, const struct source *source)
{
    struct local_clock clock;
    const char *reason;
    return local_clock_load(value, &clock, &reason) ? RIALTO_OK : refuse(source, "%s", reason);
}

static enum rialto_status check_instance(const char *value, const struct source *source)
{
    size_t length = strlen(value);
    if (length == 0 || length >= RIALTO_NAME_MAX)
        return refuse(source, "a name of 1 to %u characters is needed", RIALTO_NAME_MAX - 1);
    if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
        return refuse(source, "only small letters, digits, - and _ may be in the name of an instance");
    return RIALTO_OK;
}

static enum rialto_status check_data_dir(const char *value, const struct source *source)
{
    size_t length = strlen(value);
    if (length == 0 || length > DATA_DIR_BYTES_MAX)
        return refuse(source, "1 to %d bytes: names of sockets in this folder must fit into 107", DATA_DIR_BYTES_MAX);
    if (strchr(value, ' ') != NULL)
        return refuse(source, "may not have a blank in it: sockets in this folder stand in lists that blanks divide");
    return RIALTO_OK;
}

static enum rialto_status check_not_empty(const char *value, const struct source *source)
{
    return value[0] == '\0' ? refuse(source, "may not be empty") : RIALTO_OK;
}

static enum rialto_status check_urls(const char *value, const struct source *source)
{
    char url[CONFIG_TEXT_MAX];
    uint32_t count = 0;
    for (const char *at = config_url(value, url); at != NULL; at = config_url(at, url)) {
        size_t bytes = strlen(url), own = strlen(OWN_DOOR);
        if (strncmp(url, "tcp://", 6) != 0 && strncmp(url, "ipc://", 6) != 0 && strncmp(url, "tls+tcp://", 10) != 0)
            return refuse(source, "\"%.60s\" is neither tcp://HOST:PORT, tls+tcp://HOST:PORT nor ipc://PATH", url);
        if (bytes >= own && strcmp(url + bytes - own, OWN_DOOR) == 0)
            return refuse(source, "\"%.60s\": a socket of this name is our own", url);
        if (++count > CONFIG_URLS_MAX)
            return refuse(source, "at most %u urls", CONFIG_URLS_MAX);
    }
    return RIALTO_OK;
}

static bool port_valid(const char *text)
{
    char *end = NULL;
    unsigned long port = strtoul(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && port >= 1 && port <= 65535;
}

static enum rialto_status check_http_listen(const char *value, const struct source *source)
{
    char host[INET6_ADDRSTRLEN + 2];
    unsigned char address[sizeof(struct in6_addr)];
    const char *colon = strrchr(value, ':');
    if (value[0] == '\0' || strcmp(value, "off") == 0)
        return RIALTO_OK;
    if (colon == NULL || (size_t)(colon - value) >= sizeof host || colon == value || !port_valid(colon + 1))
        return refuse(source, "must be ADDRESS:PORT, [ADDRESS]:PORT or off");
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - value), value);
    bool six = host[0] == '[' && colon[-1] == ']';
    if (six)
        host[colon - value - 1] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, six ? host + 1 : host, address) != 1)
        return refuse(source, "\"%.60s\" is not an address: 127.0.0.1, or [::1]", host);
    return RIALTO_OK;
}

static enum rialto_status check_redis_url(const char *value, const struct source *source)
{
    if (value[0] == '\0')
        return RIALTO_OK;
    if (strncmp(value, "unix:", 5) == 0)
        return value[5] != '\0' ? RIALTO_OK : refuse(source, "unix: needs the path of a socket behind it");
    const char *colon = strrchr(value, ':');
    if (strncmp(value, "tcp://", 6) != 0 || colon <= value + 6 || !port_valid(colon + 1))
        return refuse(source, "\"%.60s\" is neither unix:PATH nor tcp://HOST:PORT", value);
    return RIALTO_OK;
}

/* "3,5" into numbers; false unless they ascend within 1..limit. No number at all is allowed: none in use. */
static bool levels_parse(const char *text, size_t count, uint8_t ret[], unsigned limit)
{
    memset(ret, 0, count);
    unsigned long before = 0;
    for (size_t i = 0; *text != '\0'; i++) {
        char *end = NULL;
        if (i == count || !isdigit((unsigned char)*text))
            return false;
        unsigned long n = strtoul(text, &end, 10);
        if (n <= before || n > limit || (*end != '\0' && (*end != ',' || end[1] == '\0')))
            return false;
        ret[i] = (uint8_t)n;
        before = n;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static enum rialto_status check_geohash_lengths(const char *value, const struct source *source)
{
    uint8_t lengths[2];
    if (!levels_parse(value, 2, lengths, GEOHASH_CHARS_MAX))
        return refuse(source, "at most two ascending numbers from 1 to %u, as in \"3,5\"", GEOHASH_CHARS_MAX);
    return RIALTO_OK;
}

static enum rialto_status check_path_depths(const char *value, const struct source *source)
{
    uint8_t depths[3];
    if (!levels_parse(value, 3, depths, PATH_DEPTH_MAX))
        return refuse(source, "at most three ascending numbers from 1 to %u, as in \"1,2,3\"", PATH_DEPTH_MAX);
    return RIALTO_OK;
}

static enum rialto_status check_cache_on_stop(const char *value, const struct source *source)
{
    if (strcmp(value, "keep") != 0 && strcmp(value, "remove") != 0)
        return refuse(source, "must be keep or remove");
    return RIALTO_OK;
}

static enum rialto_status check_log_level(const char *value, const struct source *source)
{
    if (strcmp(value, "debug") != 0 && strcmp(value, "info") != 0 && strcmp(value, "warning") != 0 &&
        strcmp(value, "error") != 0)
        return refuse(source, "must be debug, info, warning or error");
    return RIALTO_OK;
}

static enum rialto_status check_log_format(const char *value, const struct source *source)
{
    if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
        return refuse(source, "must be text or json");
    return RIALTO_OK;
}

#define SENSITIVE_WORDS_MAX 32u

static enum rialto_status check_sensitive_categories(const char *value, const struct source *source)
{
    size_t words = 0;
    for (const char *word = value; *value != '\0'; word++) { /* over the comma */
        size_t bytes = strcspn(word, ",");
        if (bytes == 0 || bytes >= RIALTO_ID_MAX || memchr(word, '/', bytes) != NULL || ++words > SENSITIVE_WORDS_MAX)
            return refuse(source,
                          "must be at most %u steps of category paths, separated by commas, as in \"health,adult\"",
                          SENSITIVE_WORDS_MAX);
        word += bytes;
        if (*word == '\0')
            break;
    }
    return RIALTO_OK;
}

/* ---- the rows --------------------------------------------------------------------------------------------------- */

#define check_cache_dir           check_none
#define check_models_dir          check_not_empty
#define check_push_urls           check_urls
#define check_request_urls        check_urls
#define check_redis_user          check_none
#define check_redis_password_file check_none
#define check_group               check_none
#define check_http_tokens_file    check_none
#define check_http_certificate_file check_none
#define check_http_key_file         check_none
#define check_producer_certificate_file check_none
#define check_producer_key_file         check_none
#define check_producer_authority_file   check_none

static const struct text_row {
    const char *key, *value, *unit, *text;
    size_t offset;
    text_check check;
} text_rows[] = {
#define CONFIG_TEXT_ROW_(key, value, unit, text) { #key, value, unit, text, offsetof(struct config, key), check_##key },
    CONFIG_TEXTS(CONFIG_TEXT_ROW_)
#undef CONFIG_TEXT_ROW_
};
#define TEXT_ROWS (sizeof text_rows / sizeof text_rows[0])

static const struct number_row {
    const char *key;
    uint32_t value, low, high;
    const char *unit, *text;
    size_t offset;
} number_rows[] = {
#define CONFIG_NUMBER_ROW_(key, value, low, high, unit, text)                                                          \
    { #key, value, low, high, unit, text, offsetof(struct config, key) },
    CONFIG_NUMBERS(CONFIG_NUMBER_ROW_)
#undef CONFIG_NUMBER_ROW_
};
#define NUMBER_ROWS (sizeof number_rows / sizeof number_rows[0])

static const struct text_row *text_row_find(const char *key)
{
    for (size_t i = 0; i < TEXT_ROWS; i++) {
        if (strcmp(text_rows[i].key, key) == 0)
            return &text_rows[i];
    }
    return NULL;
}

static const struct number_row *number_row_find(const char *key)
{
    for (size_t i = 0; i < NUMBER_ROWS; i++) {
        if (strcmp(number_rows[i].key, key) == 0)
            return &number_rows[i];
    }
    return NULL;
}

static char *text_of(struct config *config, const struct text_row *row)
{
    return (char *)config + row->offset;
}

static const uint32_t *number_at(const struct config *config, const struct number_row *row)
{
    return (const uint32_t *)(const void *)((const char *)config + row->offset);
}

static enum rialto_status text_store(struct config *config, const struct text_row *row, const char *value,
                                     const struct source *source)
{
    if (strlen(value) >= CONFIG_TEXT_MAX)
        return refuse(source, "longer than %u bytes", CONFIG_TEXT_MAX - 1);
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return refuse(source, "has a control character in it");
    }
    if (!json_is_utf8(value, strlen(value))) /* --set takes any bytes, the file of settings does not */
        return refuse(source, "is not UTF-8");
    enum rialto_status status = row->check(value, source);
    if (status == RIALTO_OK)
        (void)snprintf(text_of(config, row), CONFIG_TEXT_MAX, "%s", value);
    return status;
}

static enum rialto_status number_store(struct config *config, const struct number_row *row, double value,
                                       const struct source *source)
{
    if (value != floor(value))
        return refuse(source, "must be a whole number (%s)", row->unit);
    if (value < row->low || value > row->high)
        return refuse(source, "must be from %u to %u %s", row->low, row->high, row->unit);
    uint32_t number = (uint32_t)value;
    memcpy((char *)config + row->offset, &number, sizeof number);
    return RIALTO_OK;
}

void config_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < TEXT_ROWS; i++)
        (void)snprintf(text_of(config, &text_rows[i]), CONFIG_TEXT_MAX, "%s", text_rows[i].value);
    for (size_t i = 0; i < NUMBER_ROWS; i++)
        memcpy((char *)config + number_rows[i].offset, &number_rows[i].value, sizeof(uint32_t));
}

/* ---- file and command line -------------------------------------------------------------------------------------- */

static enum rialto_status refuse_key(const struct source *source)
{
    return refuse(source, "no such setting; rialtod --describe-config lists them");
}

static enum rialto_status item_store(struct config *config, const cJSON *item, const struct source *source)
{
    const struct text_row *text = text_row_find(item->string);
    const struct number_row *number = number_row_find(item->string);
    if (text != NULL)
        return cJSON_IsString(item) ? text_store(config, text, item->valuestring, source)
                                    : refuse(source, "must be a string (%s)", text->unit);
    if (number == NULL)
        return refuse_key(source);
    if (cJSON_IsBool(item) && strcmp(number->unit, "switch") == 0)
        return number_store(config, number, cJSON_IsTrue(item) ? 1 : 0, source);
    return cJSON_IsNumber(item) ? number_store(config, number, item->valuedouble, source)
                                : refuse(source, "must be a number (%s)", number->unit);
}

/* RFC 6901: in a pointer ~ is ~0 and / is ~1. */
static void pointer_to(const char *key, char ret[FAULT_POINTER_MAX])
{
    size_t n = 0;
    ret[n++] = '/';
    for (; *key != '\0' && n < FAULT_POINTER_MAX - 2; key++) {
        if (*key == '~' || *key == '/') {
            ret[n++] = '~';
            ret[n++] = *key == '~' ? '0' : '1';
        } else {
            ret[n++] = *key;
        }
    }
    ret[n] = '\0';
}

static enum rialto_status text_load(const char *text, size_t bytes, struct config *ret, struct fault *fault)
{
    cJSON *root = json_parse(text, bytes, JSON_COMMENTS, fault);
    if (root == NULL)
        return RIALTO_REFUSED;
    enum rialto_status status = RIALTO_OK;
    if (!cJSON_IsObject(root))
        status = fault_set(fault, text, bytes, "", "a configuration is a JSON object");
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, root)
    {
        if (status != RIALTO_OK)
            break;
        char pointer[FAULT_POINTER_MAX];
        pointer_to(item->string, pointer);
        status = item_store(ret, item, &(struct source){ text, bytes, pointer, fault });
    }
    cJSON_Delete(root);
    return status;
}

enum rialto_status config_parse(const char *text, size_t bytes, struct config *ret, struct fault *fault)
{
    struct config config;
    config_defaults(&config);
    enum rialto_status status = text_load(text, bytes, &config, fault);
    if (status == RIALTO_OK)
        *ret = config;
    return status;
}

enum rialto_status config_load(const char *path, struct config *ret, struct fault *fault)
{
    if (path == NULL) {
        config_defaults(ret);
        return RIALTO_OK;
    }
    char *text = NULL;
    size_t bytes = 0;
    memset(fault, 0, sizeof *fault);
    enum rialto_status status = file_read(path, &text, &bytes, fault);
    if (status != RIALTO_OK)
        return status;
    (void)snprintf(fault->file, sizeof fault->file, "%s", path);
    status = config_parse(text, bytes, ret, fault);
    free(text);
    return status;
}

static enum rialto_status number_parse(struct config *config, const struct number_row *row, const char *text,
                                       const struct source *source)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || !isfinite(value))
        return refuse(source, "\"%.40s\" is not a number", text);
    return number_store(config, row, value, source);
}

enum rialto_status config_set(struct config *config, const char *assignment, struct fault *fault)
{
    char key[64], pointer[FAULT_POINTER_MAX];
    const char *equals = strchr(assignment, '=');
    memset(fault, 0, sizeof *fault);
    (void)snprintf(fault->file, sizeof fault->file, "--set");
    if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof key)
        return fault_set(fault, NULL, 0, "", "\"%.60s\" is not of the form key=value", assignment);
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = '\0';
    pointer_to(key, pointer);

    struct source source = { NULL, 0, pointer, fault };
    const struct text_row *text = text_row_find(key);
    if (text != NULL)
        return text_store(config, text, equals + 1, &source);
    const struct number_row *number = number_row_find(key);
    return number != NULL ? number_parse(config, number, equals + 1, &source) : refuse_key(&source);
}

/* ---- what depends on more than one key -------------------------------------------------------------------------- */

static uint32_t workers_of(const struct config *config)
{
    if (config->worker_count != 0)
        return config->worker_count;
    cpu_set_t cpus;
    int cores = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    uint32_t workers = cores > 1 ? (uint32_t)cores - 1 : 1;
    return workers < RIALTO_WORKERS_MAX ? workers : RIALTO_WORKERS_MAX;
}

/* Only one instance of a machine can have the well-known ports. */
static void urls_default(const struct config *config, const char *name, const char *tcp, char urls[CONFIG_TEXT_MAX])
{
    if (urls[0] != '\0')
        return;
    bool has_tcp = strcmp(config->instance, "rialto") == 0;
    (void)snprintf(urls, CONFIG_TEXT_MAX, "ipc://%.*s/%s.ipc%s%s", DATA_DIR_BYTES_MAX, config->data_dir, name,
                   has_tcp ? " " : "", has_tcp ? tcp : "");
}

static enum rialto_status finish_refuse(struct fault *fault, const char *key, const char *reason)
{
    char pointer[FAULT_POINTER_MAX];
    pointer_to(key, pointer);
    return fault_set(fault, NULL, 0, pointer, "%s", reason);
}

/* HOST of tcp://HOST:PORT: this machine alone? */
static bool is_loopback(const char *host)
{
    char text[INET6_ADDRSTRLEN + 2];
    struct in_addr four;
    struct in6_addr six;
    const char *colon = strrchr(host, ':');
    size_t bytes = colon != NULL ? (size_t)(colon - host) : strlen(host);
    if (bytes >= sizeof text)
        return false;
    memcpy(text, host, bytes);
    text[bytes] = '\0';
    if (strcmp(text, "localhost") == 0)
        return true;
    if (text[0] == '[' && bytes > 2 && text[bytes - 1] == ']') {
        text[bytes - 1] = '\0';
        return inet_pton(AF_INET6, text + 1, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
    }
    return inet_pton(AF_INET, text, &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool config_http_is_local(const struct config *config)
{
    return is_loopback(config->http_listen);
}

/* Where others than this machine may come, they show who they are, or somebody has said that they need not. */
static enum rialto_status endpoints_check(const struct config *config, const char *key, const char *urls,
                                          struct fault *fault)
{
    char url[CONFIG_TEXT_MAX];
    for (const char *at = config_url(urls, url); at != NULL; at = config_url(at, url)) {
        if (strncmp(url, "tls+tcp://", 10) == 0 &&
            (config->producer_certificate_file[0] == '\0' || config->producer_key_file[0] == '\0' ||
             config->producer_authority_file[0] == '\0'))
            return finish_refuse(
                fault, key,
                "tls+tcp:// needs producer_certificate_file, producer_key_file and producer_authority_file");
        if (strncmp(url, "tcp://", 6) == 0 && !is_loopback(url + 6) && config->insecure_tcp == 0)
            return finish_refuse(fault, key,
                                 "tcp:// on an address that others reach asks nobody who he is: use tls+tcp://, or "
                                 "insecure_tcp 1 if only machines of yours reach it");
    }
    return RIALTO_OK;
}

static enum rialto_status relations_check(const struct config *config, struct fault *fault)
{
    if (config->redis_url[0] == '\0' && (config->redis_user[0] != '\0' || config->redis_password_file[0] != '\0'))
        return finish_refuse(fault, config->redis_user[0] != '\0' ? "redis_user" : "redis_password_file",
                             "needs a redis_url: the redis-server that rialtod runs itself is behind a private socket");
    if (config->redis_user[0] != '\0' && config->redis_password_file[0] == '\0')
        return finish_refuse(fault, "redis_user", "needs a redis_password_file");
    if ((config->http_certificate_file[0] == '\0') != (config->http_key_file[0] == '\0'))
        return finish_refuse(fault, config->http_key_file[0] == '\0' ? "http_certificate_file" : "http_key_file",
                             "certificate and key belong together: http_certificate_file and http_key_file");
    enum rialto_status status = endpoints_check(config, "push_urls", config->push_urls, fault);
    if (status == RIALTO_OK)
        status = endpoints_check(config, "request_urls", config->request_urls, fault);
    if (status != RIALTO_OK)
        return status;
    if (config->restart_backoff_max_ms < config->restart_backoff_ms)
        return finish_refuse(fault, "restart_backoff_max_ms", "may not be less than restart_backoff_ms");
    if (config->cells_max < config->products_max)
        return finish_refuse(fault, "cells_max",
                             "may not be less than products_max: each product has at least one price");
    return RIALTO_OK;
}

enum rialto_status config_finish(struct config *config, struct fault *fault)
{
    enum rialto_status status = relations_check(config, fault);
    if (status != RIALTO_OK)
        return status;
    if (config->cache_dir[0] == '\0')
        (void)snprintf(config->cache_dir, sizeof config->cache_dir, "/dev/shm/%.*s", (int)RIALTO_NAME_MAX - 1,
                       config->instance);
    urls_default(config, "push", "tcp://127.0.0.1:7411", config->push_urls);
    urls_default(config, "request", "tcp://127.0.0.1:7412", config->request_urls);
    if (config->http_listen[0] == '\0')
        (void)snprintf(config->http_listen, sizeof config->http_listen,
                       strcmp(config->instance, "rialto") == 0 ? "127.0.0.1:7480" : "off");
    config->workers = workers_of(config);
    (void)levels_parse(config->geohash_lengths, 2, config->geohash_length, GEOHASH_CHARS_MAX); /* checked when set */
    (void)levels_parse(config->path_depths, 3, config->path_depth, PATH_DEPTH_MAX);
    (void)snprintf(config->redis_prefix, sizeof config->redis_prefix, "%.*s", (int)sizeof config->redis_prefix - 1,
                   config->instance);
    return RIALTO_OK;
}

/* ---- written out ------------------------------------------------------------------------------------------------ */

static void json_string_write(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) { /* control characters were refused */
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static bool stream_write(const struct config *config, FILE *out)
{
    (void)fprintf(out, "// What rialtod runs with now. Written at each start; changes here are lost.\n{\n");
    for (size_t i = 0; i < TEXT_ROWS; i++) {
        (void)fprintf(out, "    \"%s\": ", text_rows[i].key);
        json_string_write(out, (const char *)config + text_rows[i].offset);
        (void)fprintf(out, ",\n");
    }
    for (size_t i = 0; i < NUMBER_ROWS; i++) {
        bool workers = number_rows[i].offset == offsetof(struct config, worker_count);
        (void)fprintf(out, "    \"%s\": %u%s\n", number_rows[i].key,
                      workers ? config->workers : *number_at(config, &number_rows[i]), i + 1 < NUMBER_ROWS ? "," : "");
    }
    (void)fprintf(out, "}\n");
    return fflush(out) == 0 && ferror(out) == 0;
}

bool config_save(const struct config *config, const char *path)
{
    char fresh[CONFIG_TEXT_MAX + 32];
    int length = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd == -1 ? NULL : fdopen(fd, "w");
    if (out == NULL) {
        if (fd != -1)
            (void)close(fd);
        return false;
    }
    bool written = stream_write(config, out);
    written = fclose(out) == 0 && written;
    return written && rename(fresh, path) == 0;
}

void config_describe(void *out)
{
    (void)fprintf(out, "| key | default | least | most | unit | what it changes |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < TEXT_ROWS; i++)
        (void)fprintf(out, "| `%s` | `\"%s\"` | | | %s | %s |\n", text_rows[i].key, text_rows[i].value,
                      text_rows[i].unit, text_rows[i].text);
    for (size_t i = 0; i < NUMBER_ROWS; i++)
        (void)fprintf(out, "| `%s` | %u | %u | %u | %s | %s |\n", number_rows[i].key, number_rows[i].value,
                      number_rows[i].low, number_rows[i].high, number_rows[i].unit, number_rows[i].text);
}
