/* web_text.c - answers as text: JSON strings, problem details (RFC 9457), and off they go. */
#include "service/web.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM_MIN 512u

bool text_reserve(struct text *text, size_t bytes)
{
    if (text->failed || bytes <= text->room - text->used)
        return !text->failed;
    size_t room = text->room == 0 ? TEXT_ROOM_MIN : text->room;
    while (room - text->used < bytes)
        room *= 2;
    char *data = realloc(text->data, room);
    text->failed = data == NULL;
    if (data == NULL)
        return false;
    text->data = data;
    text->room = room;
    return true;
}

void text_append(struct text *text, const char *data, size_t bytes)
{
    if (!text_reserve(text, bytes))
        return;
    memcpy(text->data + text->used, data, bytes);
    text->used += bytes;
}

void text_put(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = text->room - text->used;
    int length = vsnprintf(room > 0 ? text->data + text->used : NULL, room, format, arguments);
    va_end(arguments);
    if (length < 0 || !text_reserve(text, (size_t)length + 1))
        return;
    if ((size_t)length >= room) { /* it did not fit: once more */
        va_start(arguments, format);
        (void)vsnprintf(text->data + text->used, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    text->used += (size_t)length;
}

/* How many of the first bytes stand in JSON as they are. */
static size_t plain_bytes(const char *at, const char *end)
{
    size_t n = 0;
    while (at + n < end && at[n] >= 0x20 && at[n] < 0x7F && at[n] != '"' && at[n] != '\\')
        n++;
    return n;
}

/* The text is UTF-8 already, or comes from a query: bytes that are no UTF-8 become U+FFFD, one each. */
void text_quoted(struct text *text, const char *string)
{
    text_append(text, "\"", 1);
    for (const char *at = string, *end = string + strlen(string); at < end;) {
        size_t plain = plain_bytes(at, end);
        text_append(text, at, plain);
        at += plain;
        if (at == end)
            break;
        size_t bytes = json_utf8_bytes(at, (size_t)(end - at));
        if (*at == '"' || *at == '\\')
            text_put(text, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            text_put(text, "\\u%04x", *at);
        else if (bytes == 0)
            text_append(text, "\xEF\xBF\xBD", 3);
        else
            text_append(text, at, bytes);
        at += bytes == 0 ? 1 : bytes;
    }
    text_append(text, "\"", 1);
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){ 0 };
}

enum MHD_Result respond(struct exchange *exchange, unsigned status, const char *type, struct text *text)
{
    struct MHD_Response *response =
        text->failed ? NULL : MHD_create_response_from_buffer(text->used, text->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        text_free(text);
        return MHD_NO; /* out of memory: the connection is closed */
    }
    *text = (struct text){ 0 };
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                  "no-store"); /* a price is for now, and for one */
    (void)MHD_add_response_header(response, "X-Request-Id", exchange->id);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (strncmp(type, "text/html", 9) == 0) /* a page runs nothing but its own files, and nobody frames it */
        (void)MHD_add_response_header(response, "Content-Security-Policy",
                                      "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, WEB_RETRY_AFTER_S);
    if (status == MHD_HTTP_TOO_MANY_REQUESTS) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", exchange->retry_after_s);
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (exchange->location != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, exchange->location);
    if (status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, exchange->allow);
    if (exchange_is_leaving(exchange))
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    metric_add(status >= 500   ? METRIC_http_failed_total
               : status >= 400 ? METRIC_http_refused_total
                               : METRIC_http_answered_total,
               1);
    return result;
}

void problem_begin(struct text *text, const struct exchange *exchange, unsigned status, const char *name,
                   const char *title, const char *detail)
{
    text_put(text, "{\"type\":\"/problems/%s\",\"title\":", name);
    text_quoted(text, title);
    text_put(text, ",\"status\":%u,\"detail\":", status);
    text_quoted(text, detail);
    text_put(text, ",\"request_id\":\"%s\"", exchange->id);
}

enum MHD_Result respond_json(struct exchange *exchange, unsigned status, cJSON *json)
{
    struct text text = { 0 };
    char *printed = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (printed == NULL)
        return MHD_NO; /* out of memory: the connection is closed */
    text_append(&text, printed, strlen(printed));
    text_append(&text, "\n", 1);
    free(printed);
    return respond(exchange, status, TYPE_JSON, &text);
}

enum MHD_Result problem(struct exchange *exchange, unsigned status, const char *name, const char *title,
                        const char *detail, ...)
{
    char said[512];
    va_list arguments;
    va_start(arguments, detail);
    (void)vsnprintf(said, sizeof said, detail, arguments);
    va_end(arguments);
    struct text text = { 0 };
    problem_begin(&text, exchange, status, name, title, said);
    text_append(&text, "}\n", 2);
    return respond(exchange, status, TYPE_PROBLEM, &text);
}

enum MHD_Result problem_of(struct exchange *exchange, enum rialto_status status)
{
    static const struct {
        enum rialto_status status;
        unsigned http;
        const char *name, *title;
    } known[] = {
        { RIALTO_UNKNOWN_PRODUCT, MHD_HTTP_NOT_FOUND, "unknown-product", "No price for this product" },
        { RIALTO_OTHER_CURRENCY, MHD_HTTP_NOT_FOUND, "other-currency", "No price in this currency" },
        { RIALTO_BAD_INPUT, MHD_HTTP_BAD_REQUEST, "bad-request", "An id, zone or currency is not one" },
        { RIALTO_BUSY, MHD_HTTP_SERVICE_UNAVAILABLE, "busy", "Try again" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return problem(exchange, known[i].http, known[i].name, known[i].title, "%s", rialto_status_text(status));
    return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "no-prices", "Prices cannot be read now", "%s",
                   rialto_status_text(status));
}

const char *query_text(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}
