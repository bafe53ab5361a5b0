/* web_access.c - may this exchange do what its route asks for? http_tokens_file says; it is read each time, so that a token that is
 * taken out of it is worth nothing from then on. What cannot be read lets nobody in. */
#include "service/web.h"

#include "service/clock.h"
#include "service/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEME "Bearer "

static bool tokens_load(const char *path, struct tokens *ret)
{
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
    if (!tokens_load(path, &tokens)) {
        *ret_refused = problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "no-tokens", "Nobody can be let in now",
                               "the file of tokens cannot be used; the service's log says why");
        return false;
    }
    const struct token *token = tokens_find(&tokens, presented(exchange));
    if (token != NULL && token->role >= needed) {
        (void)snprintf(exchange->token, sizeof exchange->token, "%s", token->name);
        (void)snprintf(exchange->who, sizeof exchange->who, "%s over HTTP", token->name);
        return true;
    }
    metric_add(METRIC_http_unauthorized_total, 1);
    *ret_refused = token == NULL ? problem(exchange, MHD_HTTP_UNAUTHORIZED, "unauthorized", "Who are you?",
                                           "this needs a bearer token of the role %s", role_name(needed))
                                 : problem(exchange, MHD_HTTP_FORBIDDEN, "forbidden", "Not with this token",
                                           "this needs a bearer token of the role %s", role_name(needed));
    return false;
}

bool exchange_sender(struct exchange *exchange, enum MHD_Result *ret_refused)
{
    if (exchange->web->config->http_tokens_file[0] == '\0')
        return true;
    exchange->from_anybody = presented(exchange) == NULL;
    return exchange->from_anybody || exchange_may(exchange, ROLE_SHOP, ret_refused);
}
