/* web_access.c - may this exchange do what its route asks for? http_tokens_file says; it is read each time, so that a token that is
 * taken out of it is worth nothing from then on. What cannot be read lets nobody in. */
#include "service/web.h"

#include "service/audit.h"
#include "service/clock.h"
#include "service/log.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEME "Bearer "

static void tokens_seen(const struct config *config, const char *text, size_t bytes, const struct stat *info,
                        const struct tokens *tokens);

static bool tokens_load(const struct config *config, struct tokens *ret)
{
    const char *path = config->http_tokens_file;
    static _Atomic int64_t said_ms; /* a line a second or so: anybody may ask */
    struct fault fault = { 0 };
    struct stat info;
    char *text = NULL, said[512];
    size_t bytes = 0;
    enum rialto_status status = file_read(path, &text, &bytes, &fault);
    if (status == RIALTO_OK && (stat(path, &info) == -1 || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0))
        status = fault_set(&fault, NULL, 0, "", "others may write it: chmod go-w");
    if (status == RIALTO_OK)
        status = tokens_parse(text, ret, &fault);
    if (status == RIALTO_OK)
        tokens_seen(config, text, bytes, &info, ret);
    free(text);
    if (status == RIALTO_OK || mono_ms() - atomic_load(&said_ms) < 1000)
        return status == RIALTO_OK;
    atomic_store(&said_ms, mono_ms());
    (void)snprintf(fault.file, sizeof fault.file, "%.120s", path);
    (void)fault_text(&fault, sizeof said, said);
    log_line(LOG_ERROR, "WEB-TOKENS-REFUSED", "%s", said);
    return false;
}

static const char *presented(const struct exchange *exchange)
{
    const char *header =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    bool bearer = header != NULL && strncasecmp(header, SCHEME, strlen(SCHEME)) == 0;
    return bearer ? header + strlen(SCHEME) : NULL;
}

/* Whenever another file of tokens is first seen, whose tokens it holds goes on record. */
static void tokens_seen(const struct config *config, const char *text, size_t bytes, const struct stat *info,
                        const struct tokens *tokens)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint8_t seen[crypto_hash_sha256_BYTES];
    uint8_t hash[crypto_hash_sha256_BYTES];
    char names[AUDIT_NAMES_MAX] = "", owner[32];
    (void)crypto_hash_sha256(hash, (const unsigned char *)text, bytes);
    (void)pthread_mutex_lock(&lock);
    bool known = memcmp(seen, hash, sizeof seen) == 0;
    memcpy(seen, hash, sizeof seen);
    (void)pthread_mutex_unlock(&lock);
    if (known)
        return;
    for (uint32_t i = 0, at = 0; i < tokens->count && at < sizeof names; i++)
        at += (uint32_t)snprintf(names + at, sizeof names - at, "%s%s %s", i > 0 ? ", " : "",
                                 role_name(tokens->token[i].role), tokens->token[i].name);
    (void)snprintf(owner, sizeof owner, "file of uid %u", (unsigned)info->st_uid);
    (void)audit_add(
        config, &(struct audit_entry){
                    .action = "tokens", .from = owner, .what = names[0] != '\0' ? names : "none", .outcome = "read" });
}

/* Somebody wanted what needs a role, and showed no token of it. */
static void intruder(const struct exchange *exchange, const struct token *token)
{
    char who[TOKEN_NAME_MAX + 16] = "", from[INET6_ADDRSTRLEN], what[128];
    exchange_address(exchange, from);
    if (token != NULL)
        (void)snprintf(who, sizeof who, "%s over HTTP", token->name);
    (void)snprintf(what, sizeof what, "%s %s", exchange->route->method, exchange->route->path);
    (void)audit_add_intruder(exchange->web->config,
                             &(struct audit_entry){ .action = "http",
                                                    .who = who,
                                                    .from = from,
                                                    .what = what,
                                                    .outcome = token == NULL ? "unauthorized" : "forbidden" });
}

bool exchange_may(struct exchange *exchange, enum role needed, enum MHD_Result *ret_refused)
{
    const char *path = exchange->web->config->http_tokens_file;
    struct tokens tokens;
    if (needed == ROLE_NONE)
        return true;
    if (path[0] == '\0') {
        *ret_refused = problem(exchange, MHD_HTTP_FORBIDDEN, "closed", "Nobody may do this over HTTP",
                               "http_tokens_file is not set");
        return false;
    }
    if (!tokens_load(exchange->web->config, &tokens)) {
        *ret_refused = problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "no-tokens", "Nobody can be let in now",
                               "the file of tokens cannot be used; the service's log says why");
        return false;
    }
    const struct token *token = tokens_find(&tokens, presented(exchange));
    if (token != NULL && token->role >= needed) {
        exchange->role = token->role;
        (void)snprintf(exchange->token, sizeof exchange->token, "%s", token->name);
        (void)snprintf(exchange->who, sizeof exchange->who, "%s over HTTP", token->name);
        return true;
    }
    metric_add(METRIC_http_unauthorized_total, 1);
    intruder(exchange, token);
    *ret_refused = token == NULL ? problem(exchange, MHD_HTTP_UNAUTHORIZED, "unauthorized", "Who are you?",
                                           "this needs a bearer token of the role %s", role_name(needed))
                                 : problem(exchange, MHD_HTTP_FORBIDDEN, "forbidden", "Not with this token",
                                           "this needs a bearer token of the role %s", role_name(needed));
    return false;
}

bool exchange_sender(struct exchange *exchange, enum MHD_Result *ret_refused)
{
    const struct config *config = exchange->web->config;
    bool tokens_are_known = config->http_tokens_file[0] != '\0', shown = presented(exchange) != NULL;
    if (!tokens_are_known && (config_http_is_local(config) || config->insecure_tcp != 0))
        return true;
    if (tokens_are_known && !shown && config->http_open_signals != 0) {
        exchange->for_no_customer = true;
        return true;
    }
    if (!exchange_may(exchange, ROLE_PRODUCER, ret_refused))
        return false;
    exchange->for_no_customer = exchange->role < ROLE_SHOP;
    return true;
}
