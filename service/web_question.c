/* web_question.c - what the gateway answers with {"ok":...}, asked on behalf of somebody whose token was looked at. A refusal becomes the
 * problem that it is. */
#include "pricing/json_member.h"
#include "service/data_dir.h"
#include "service/web.h"

#include <stdlib.h>
#include <string.h>

#define HTTP_UNPROCESSABLE 422 /* its name in libmicrohttpd changed */

cJSON *question_of(const struct exchange *exchange, const char *control)
{
    char key[DATA_KEY_MAX];
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", control);
    if (data_key(exchange->web->config, false, key))
        cJSON_AddStringToObject(question, "key", key); /* else the gateway refuses what needs it */
    cJSON_AddStringToObject(question, "who", exchange->who);
    return question;
}

enum MHD_Result question_ask(struct exchange *exchange, cJSON *question, web_handler finish)
{
    const struct config *config = exchange->web->config;
    char *text = cJSON_PrintUnformatted(question);
    cJSON_Delete(question);
    if (text == NULL)
        return MHD_NO;
    /* A change and an erasure wait for workers twice. */
    enum MHD_Result result =
        forward(exchange, text, strlen(text), forward_limit_ms(config) + config->answer_timeout_ms, finish);
    free(text);
    return result;
}

static enum MHD_Result refusal(struct exchange *exchange, const cJSON *answer)
{
    static const struct {
        const char *reason;
        unsigned status;
        const char *name, *title;
    } known[] = {
        { "no_answer", MHD_HTTP_SERVICE_UNAVAILABLE, "not-now", "Not at this moment" },
        { "not_allowed", MHD_HTTP_SERVICE_UNAVAILABLE, "no-key", "The service's own key cannot be read" },
        { "unknown_customer", MHD_HTTP_NOT_FOUND, "unknown-customer", "Nothing is kept of this customer" },
        { "unknown_product", MHD_HTTP_NOT_FOUND, "unknown-product", "No price for this product" },
        { "not_quoted", MHD_HTTP_CONFLICT, "not-quoted", "That was not this customer's price" },
        { "locks_full", MHD_HTTP_SERVICE_UNAVAILABLE, "locks-full", "As many prices are promised as may be" },
        { "models_refused", HTTP_UNPROCESSABLE, "models-refused", "The models were refused: nothing was changed" },
        { "pinned", MHD_HTTP_CONFLICT, "pinned", "The models are pinned: nothing was changed" },
    };
    const char *reason = json_string(answer, "reason");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(reason, known[i].reason) == 0)
            return problem(exchange, known[i].status, known[i].name, known[i].title, "%s", json_string(answer, "text"));
    return problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "It cannot be asked for like this", "%s: %s",
                   json_string(answer, "pointer"), json_string(answer, "text"));
}

cJSON *question_answer(struct exchange *exchange, enum MHD_Result *ret_refused)
{
    bool failed = atomic_load(&exchange->forwarded) == FORWARD_FAILED || exchange->answer.failed;
    cJSON *answer = failed ? NULL : cJSON_ParseWithLength(exchange->answer.data, exchange->answer.used);
    if (answer == NULL) {
        *ret_refused = problem(exchange, MHD_HTTP_GATEWAY_TIMEOUT, "no-answer", "The gateway did not answer in time",
                               "it may or may not have done what was asked for");
        return NULL;
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
        return answer;
    *ret_refused = refusal(exchange, answer);
    cJSON_Delete(answer);
    return NULL;
}

enum MHD_Result question_pass_on(struct exchange *exchange)
{
    enum MHD_Result refused;
    cJSON *answer = question_answer(exchange, &refused);
    if (answer == NULL)
        return refused;
    cJSON_DeleteItemFromObject(answer, "ok");
    return respond_json(exchange, MHD_HTTP_OK, answer);
}

cJSON *body_json(struct exchange *exchange, const char *const known[], enum MHD_Result *ret_refused)
{
    struct fault fault;
    const struct text *body = &exchange->body;
    cJSON *object = body->used == 0 ? cJSON_CreateObject() : json_parse(body->data, body->used, 0, &fault);
    if (object == NULL) {
        *ret_refused = problem(exchange, MHD_HTTP_BAD_REQUEST, "not-json", "The body is not JSON",
                               "line %u, column %u: %s", fault.line, fault.column, fault.reason);
        return NULL;
    }
    const char *wrong = cJSON_IsObject(object) ? NULL : "the body must be an object";
    for (const cJSON *member = wrong == NULL ? object->child : NULL; member != NULL && wrong == NULL;
         member = member->next) {
        wrong = member->string;
        for (size_t i = 0; known[i] != NULL && wrong != NULL; i++)
            wrong = strcmp(member->string, known[i]) == 0 ? NULL : wrong;
    }
    if (wrong == NULL)
        return object;
    *ret_refused = problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "The body cannot be taken like this", "%s%s",
                           cJSON_IsObject(object) ? "no such member: " : "", wrong);
    cJSON_Delete(object);
    return NULL;
}
