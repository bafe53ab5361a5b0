/* web_signals.c - signals over HTTP: the gateway is the only judge of them, and its answer is handed on as it is. One that did not
 * come in time (504) may still take effect: the sender sends them again with the same ids, and each counts once. */
#include "pricing/json_text.h"
#include "service/web.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HTTP_UNPROCESSABLE 422 /* its name in libmicrohttpd changed */

static bool answer_says(const struct text *answer, const char *what)
{
    return memmem(answer->data, answer->used, what, strlen(what)) != NULL;
}

/* The gateway begins its answers with what they come to: {"accepted":N,"rejected":M,... or {"ok":false,"reason":... */
static unsigned status_of(const struct exchange *exchange)
{
    const struct text *answer = &exchange->answer;
    unsigned accepted = 0, rejected = 0;
    char head[64] = "";
    memcpy(head, answer->data, answer->used < sizeof head - 1 ? answer->used : sizeof head - 1);
    bool counted = sscanf(head, "{\"accepted\":%u,\"rejected\":%u", &accepted, &rejected) == 2;
    if (counted && (accepted > 0 || rejected == 0))
        return MHD_HTTP_OK;
    if (answer_says(answer, "\"reason\":\"rate_limited\""))
        return MHD_HTTP_TOO_MANY_REQUESTS;
    if (answer_says(answer, "\"reason\":\"no_answer\""))
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    if (answer_says(answer, "\"reason\":\"no_token\""))
        return exchange->role == ROLE_NONE ? MHD_HTTP_UNAUTHORIZED : MHD_HTTP_FORBIDDEN;
    if (counted)
        return HTTP_UNPROCESSABLE;
    return answer_says(answer, "\"ok\":true") ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST;
}

static enum MHD_Result too_fast(struct exchange *exchange)
{
    cJSON *answer = cJSON_ParseWithLength(exchange->answer.data, exchange->answer.used);
    const cJSON *wait_ms = cJSON_GetObjectItemCaseSensitive(answer, "retry_after_ms");
    exchange->retry_after_s = cJSON_IsNumber(wait_ms) ? (uint32_t)((wait_ms->valuedouble + 999) / 1000) : 1;
    cJSON_Delete(answer);
    return problem(exchange, MHD_HTTP_TOO_MANY_REQUESTS, "rate-limited", "More signals than one producer may send",
                   "nothing of this request was taken; send it again after %u s (producer_signals_per_s)",
                   exchange->retry_after_s);
}

enum MHD_Result signals_answer(struct exchange *exchange)
{
    if (atomic_load(&exchange->forwarded) == FORWARD_FAILED || exchange->answer.used == 0 || exchange->answer.failed)
        return problem(
            exchange, MHD_HTTP_GATEWAY_TIMEOUT, "no-answer", "The gateway did not answer in time",
            "signals may have been taken or not: send them again with the same source and id, and each counts once");
    unsigned status = status_of(exchange);
    if (status == MHD_HTTP_TOO_MANY_REQUESTS)
        return too_fast(exchange);
    text_append(&exchange->answer, "\n", 1);
    if (exchange->for_no_customer && answer_says(&exchange->answer, "\"reason\":\"no_token\""))
        metric_add(METRIC_http_unauthorized_total, 1);
    return respond(exchange, status, TYPE_JSON, &exchange->answer);
}

static bool type_taken(const struct exchange *exchange)
{
    static const char *const taken[] = { "application/json", "application/x-ndjson", "application/cloudevents+json",
                                         "application/cloudevents-batch+json" };
    const char *type = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    for (size_t i = 0; type != NULL && i < sizeof taken / sizeof taken[0]; i++) {
        size_t bytes = strlen(taken[i]);
        if (strncasecmp(type, taken[i], bytes) == 0 &&
            (type[bytes] == '\0' || type[bytes] == ';' || type[bytes] == ' '))
            return true;
    }
    return false;
}

static bool is_packed(const struct exchange *exchange)
{
    const char *coding =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);
    return coding != NULL && strcasecmp(coding, "identity") != 0;
}

/* The gateway's own test (gateway_control.c): what it would take for a question is none of everybody's. */
static bool is_question(const struct text *body)
{
    struct fault fault;
    if (memmem(body->data, body->used, "\"control\"", 9) == NULL)
        return false;
    cJSON *object = json_parse(body->data, body->used, 0, &fault);
    bool question = cJSON_GetObjectItemCaseSensitive(object, "control") != NULL;
    cJSON_Delete(object);
    return question;
}

enum MHD_Result web_signals(struct exchange *exchange)
{
    if (!type_taken(exchange))
        return problem(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "media-type", "Signals are JSON",
                       "Content-Type must be application/json or application/x-ndjson, or CloudEvents in JSON");
    if (is_packed(exchange))
        return problem(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "content-encoding", "Signals are not packed",
                       "a body is taken as it is: nothing is unpacked here");
    if (exchange->body.used == 0)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "empty", "No signals", "the body is empty");
    if (is_question(&exchange->body))
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "That is no signal",
                       "what may be asked over HTTP has places of its own: see /openapi.json");
    enum MHD_Result refused;
    if (!exchange_sender(exchange, &refused))
        return refused;
    return forward(exchange, exchange->body.data, exchange->body.used, forward_limit_ms(exchange->web->config),
                   signals_answer);
}
