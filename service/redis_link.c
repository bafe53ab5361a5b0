/* redis_link.c - connect, authenticate, count. See redis_link.h.
 *
 * Invariant  pending == commands appended - replies read. A reply left unread would be handed to the next command, so
 *            any doubt (error, time-out, half a reply) ends the context, and the next one starts at zero. */
#include "service/redis_link.h"

#include "service/log.h"
#include "service/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WORDS_MAX              16
#define PASSWORD_BYTES_MAX     512
#define OUT_BYTES_FIRST        4096u
#define LENGTH_DIGITS          20u
#define HEAD_BYTES             (LENGTH_DIGITS + 3u) /* of a command, or of one of its words */
#define REPORTS_MAX            4u /* lines about one outage: the reason may change (refused, loading, wrong password) */

#define STATE_ROW_(name, text) { #name, text },
static const struct {
    const char *name, *text;
} STATES[] = { REDIS_STATES(STATE_ROW_) };
#undef STATE_ROW_

const char *redis_state_name(uint64_t state)
{
    return STATES[state < REDIS_STATE_COUNT ? state : REDIS_unknown].name;
}

const char *redis_state_text(uint64_t state)
{
    return STATES[state < REDIS_STATE_COUNT ? state : REDIS_unknown].text;
}

enum redis_state redis_state_of_error(const char *text)
{
    static const struct {
        const char *word;
        enum redis_state state;
    } words[] = {
        { "LOADING ", REDIS_loading },    { "OOM ", REDIS_full },          { "MISCONF ", REDIS_disk },
        { "READONLY ", REDIS_read_only }, { "WRONGPASS ", REDIS_refused }, { "NOAUTH ", REDIS_refused },
        { "NOPERM ", REDIS_refused },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(text, words[i].word, strlen(words[i].word)) == 0)
            return words[i].state;
    return REDIS_failing;
}

bool redis_version_old(const char *info)
{
    unsigned major, minor;
    const char *at = strstr(info, "redis_version:");
    if (at == NULL || sscanf(at, "redis_version:%4u.%4u", &major, &minor) != 2)
        return false;
    return major < REDIS_MAJOR_MIN || (major == REDIS_MAJOR_MIN && minor < REDIS_MINOR_MIN);
}

static void report(struct redis_link *link, const char *doing, const char *reason)
{
    if (link->reports >= REPORTS_MAX || strncmp(link->reason, reason, sizeof link->reason - 1) == 0)
        return;
    link->reports++;
    (void)snprintf(link->reason, sizeof link->reason, "%s", reason);
    log_line(LOG_WARNING, "REDIS-DOWN", "link=%s state=%s url=%s doing=\"%s\" reason=\"%s\"", link->who,
             redis_state_name(link->state),
             link->config->redis_url[0] != '\0' ? link->config->redis_url : "DATA_DIR/redis.sock", doing, reason);
}

void redis_link_close(struct redis_link *link)
{
    if (link->context != NULL)
        redisFree(link->context);
    link->context = NULL;
    link->pending = 0;
    free(link->out);
    link->out = NULL;
    link->out_bytes = link->out_room = 0;
}

static void refused_as(struct redis_link *link, enum redis_state otherwise, const char *doing, const redisReply *reply)
{
    bool error = reply->type == REDIS_REPLY_ERROR;
    enum redis_state state = error ? redis_state_of_error(reply->str) : REDIS_failing;
    link->state = state == REDIS_failing ? otherwise : state;
    report(link, doing, error ? reply->str : "an answer of an unexpected kind");
    redis_link_close(link);
}

void redis_link_refused(struct redis_link *link, const char *doing, const redisReply *reply)
{
    refused_as(link, REDIS_failing, doing, reply);
}

static bool fail(struct redis_link *link, const char *doing)
{
    const redisContext *context = link->context;
    link->state = REDIS_away;
    if (context == NULL)
        report(link, doing, "out of memory");
    else
        report(link, doing, (context->err == 0 || context->err == REDIS_ERR_IO) && errno != 0 ? strerror(errno) : context->errstr);
    redis_link_close(link);
    return false;
}

bool redis_is_odd(const redisReply *reply)
{
    static const char WRONG[] = "WRONGTYPE ";
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, WRONG, sizeof WRONG - 1) == 0;
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

static struct timeval time_limit(const struct config *config)
{
    return (struct timeval){ .tv_sec = config->redis_timeout_ms / 1000,
                             .tv_usec = (suseconds_t)(config->redis_timeout_ms % 1000) * 1000 };
}

static redisContext *connect_unix(const struct config *config)
{
    char path[CONFIG_TEXT_MAX + 16];
    if (config->redis_url[0] == '\0')
        (void)snprintf(path, sizeof path, "%s/redis.sock", config->data_dir);
    else
        (void)snprintf(path, sizeof path, "%s", config->redis_url + strlen("unix:"));
    return redisConnectUnixWithTimeout(path, time_limit(config));
}

/* tcp://HOST:PORT, where HOST may be [IPv6]. config.c has checked the form. */
static redisContext *connect_tcp(const struct config *config)
{
    char host[CONFIG_TEXT_MAX];
    (void)snprintf(host, sizeof host, "%s", config->redis_url + strlen("tcp://"));
    char *colon = strrchr(host, ':');
    if (colon == NULL)
        return NULL;
    *colon = '\0';
    int port = atoi(colon + 1);
    size_t length = strlen(host);
    char *name = host;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        name++;
    }
    return redisConnectWithTimeout(name, port, time_limit(config));
}

static bool password_read(const char *path, char ret[PASSWORD_BYTES_MAX])
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool read = fgets(ret, PASSWORD_BYTES_MAX, file) != NULL;
    (void)fclose(file);
    if (read)
        ret[strcspn(ret, "\r\n")] = '\0';
    return read;
}

/* Read anew at each connect: a changed password needs no restart. */
static bool authenticate(struct redis_link *link)
{
    const struct config *config = link->config;
    char password[PASSWORD_BYTES_MAX];
    if (config->redis_password_file[0] == '\0')
        return true;
    if (!password_read(config->redis_password_file, password)) {
        link->state = REDIS_refused;
        report(link, "reading redis_password_file", strerror(errno));
        redis_link_close(link);
        return false;
    }
    bool named = config->redis_user[0] != '\0';
    redisReply *reply =
        redis_link_call(link, named ? (const char *const[]){ "AUTH", config->redis_user, password, NULL }
                                    : (const char *const[]){ "AUTH", password, NULL });
    explicit_bzero(password, sizeof password);
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_STATUS;
    if (!good) /* whatever its words, such as "ERR AUTH <password> called without any password configured" */
        refused_as(link, REDIS_refused, "AUTH", reply);
    freeReplyObject(reply);
    return good;
}

/* "run_id:<40 hex digits>" of INFO. */
uint64_t redis_server_of(const char *info)
{
    static const char NAME[] = "run_id:";
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    const char *at = strstr(info, NAME);
    size_t digits = at == NULL ? 0 : strspn(at + sizeof NAME - 1, "0123456789abcdef");
    for (size_t i = 0; i < digits; i++)
        hash = (hash ^ (unsigned char)at[sizeof NAME - 1 + i]) * UINT64_C(1099511628211);
    return digits < 16 ? 0 : hash != 0 ? hash : 1;
}

/* "loading_loaded_perc:42.17" of INFO, in permille; 0 when it is not there. */
uint32_t redis_loaded_permille(const char *info)
{
    unsigned whole, part = 0;
    const char *at = strstr(info, "loading_loaded_perc:");
    if (at == NULL || sscanf(at, "loading_loaded_perc:%3u.%1u", &whole, &part) < 1 || whole > 100)
        return 0;
    return whole == 100 ? 1000 : whole * 10 + part;
}

/* A server that is loading answers INFO all the same. */
static void ask_how_far(struct redis_link *link)
{
    redisReply *reply = redis_link_call(link, (const char *const[]){ "INFO", "persistence", NULL });
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_STRING)
        link->loaded_permille = redis_loaded_permille(reply->str);
    freeReplyObject(reply);
}

static bool ping(struct redis_link *link)
{
    redisReply *reply = redis_link_call(link, (const char *const[]){ "PING", NULL });
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    if (reply->type == REDIS_REPLY_ERROR && redis_state_of_error(reply->str) == REDIS_loading)
        ask_how_far(link);
    if (!good)
        redis_link_refused(link, "PING", reply);
    freeReplyObject(reply);
    return good;
}

/* INFO may be forbidden: then the version is not looked at. */
static bool new_enough(struct redis_link *link)
{
    redisReply *reply = redis_link_call(link, (const char *const[]){ "INFO", "server", NULL });
    if (reply == NULL)
        return false;
    bool good = reply->type != REDIS_REPLY_STRING || !redis_version_old(reply->str);
    link->server = reply->type == REDIS_REPLY_STRING ? redis_server_of(reply->str) : 0;
    freeReplyObject(reply);
    if (!good) {
        link->state = REDIS_too_old;
        report(link, "asking for the version", "older than 6.2");
        redis_link_close(link);
    }
    return good;
}

bool redis_link_open(struct redis_link *link)
{
    redis_link_close(link);
    link->loaded_permille = 0;
    errno = 0;
    bool tcp = strncmp(link->config->redis_url, "tcp://", 6) == 0;
    link->context = tcp ? connect_tcp(link->config) : connect_unix(link->config);
    if (link->context == NULL || link->context->err != 0)
        return fail(link, "connecting");
    (void)fcntl(link->context->fd, F_SETFD, FD_CLOEXEC);
    if (redisSetTimeout(link->context, time_limit(link->config)) != REDIS_OK)
        return fail(link, "setting a time-out");
    if (tcp && redisEnableKeepAlive(link->context) != REDIS_OK)
        return fail(link, "setting keep-alive");
    return authenticate(link) && ping(link) && new_enough(link);
}

void redis_link_works(struct redis_link *link)
{
    if (link->reports > 0)
        log_line(LOG_INFO, "REDIS-UP", "link=%s", link->who);
    link->state = REDIS_up;
    link->reports = 0;
    link->reason[0] = '\0';
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

/* Commands are written as they travel, once, into a buffer that stays: hiredis prints each length, copies a command twice more, and lets its
 * buffer grow anew for every megabyte. */
static bool out_reserve(struct redis_link *link, size_t bytes)
{
    if (link->out_room - link->out_bytes >= bytes)
        return true;
    size_t room = link->out_room == 0 ? OUT_BYTES_FIRST : link->out_room;
    while (room - link->out_bytes < bytes)
        room *= 2;
    char *larger = realloc(link->out, room);
    if (larger == NULL)
        return false;
    link->out = larger;
    link->out_room = room;
    return true;
}

static char *put_length(char *at, char kind, size_t length)
{
    char digits[LENGTH_DIGITS];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + length % 10);
    while ((length /= 10) != 0);
    *at++ = kind;
    memcpy(at, digits + n, sizeof digits - n);
    at += sizeof digits - n;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

bool redis_link_append(struct redis_link *link, int argc, const char **argv, const size_t *argv_bytes)
{
    size_t most = HEAD_BYTES;
    if (link->context == NULL)
        return false;
    for (int i = 0; i < argc; i++)
        most += argv_bytes[i] + HEAD_BYTES + 2;
    if (!out_reserve(link, most)) {
        errno = ENOMEM;
        return fail(link, "queueing a command");
    }
    char *at = put_length(link->out + link->out_bytes, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        at = put_length(at, '$', argv_bytes[i]);
        memcpy(at, argv[i], argv_bytes[i]);
        at += argv_bytes[i];
        *at++ = '\r';
        *at++ = '\n';
    }
    link->out_bytes = (size_t)(at - link->out);
    link->pending++;
    return link->out_bytes < REDIS_OUT_BYTES || redis_link_flush(link);
}

/* The socket waits for room, no longer than its time-out. */
bool redis_link_flush(struct redis_link *link)
{
    if (link->context == NULL)
        return false;
    for (size_t sent = 0; sent < link->out_bytes;) {
        ssize_t n = send(link->context->fd, link->out + sent, link->out_bytes - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return fail(link, "sending");
        sent += n > 0 ? (size_t)n : 0;
    }
    link->out_bytes = 0;
    return true;
}

redisReply *redis_link_reply(struct redis_link *link)
{
    void *reply = NULL;
    if (link->context == NULL || link->pending == 0 || !redis_link_flush(link))
        return NULL;
    errno = 0;
    if (redisGetReply(link->context, &reply) != REDIS_OK || reply == NULL) {
        (void)fail(link, "waiting for an answer");
        return NULL;
    }
    link->pending--;
    return reply;
}

redisReply *redis_link_call(struct redis_link *link, const char *const words[])
{
    const char *argv[WORDS_MAX];
    size_t bytes[WORDS_MAX];
    int argc = 0;
    for (; argc < WORDS_MAX && words[argc] != NULL; argc++) {
        argv[argc] = words[argc];
        bytes[argc] = strlen(words[argc]);
    }
    return redis_link_append(link, argc, argv, bytes) ? redis_link_reply(link) : NULL;
}

/* ---- passes over many pages ------------------------------------------------------------------------------------- */

const redisReply *redis_scan_page(struct redis_scan *scan, const redisReply *answer)
{
    if (answer->type != REDIS_REPLY_ARRAY || answer->elements != 2 || answer->element[0]->type != REDIS_REPLY_STRING ||
        answer->element[1]->type != REDIS_REPLY_ARRAY)
        return NULL;
    (void)snprintf(scan->cursor, sizeof scan->cursor, "%s", answer->element[0]->str);
    scan->pages++;
    return answer->element[1];
}

bool redis_scan_done(const struct redis_scan *scan)
{
    return strcmp(scan->cursor, "0") == 0;
}

bool redis_scan_endless(const struct redis_link *link, const struct redis_scan *scan)
{
    if (redis_scan_done(scan) || scan->pages < REDIS_SCAN_PAGES_MAX)
        return false;
    metric_add(METRIC_redis_scans_endless_total, 1);
    log_line(LOG_ERROR, "REDIS-SCAN-ENDLESS", "link=%s pages=%u", link->who, scan->pages);
    return true;
}
