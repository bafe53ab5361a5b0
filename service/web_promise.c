/* web_promise.c - prices that the service puts its name to: a lock for a customer, a quote as a signed record. The gateway judges the members. */
#include "service/web.h"

#include <string.h>

enum MHD_Result web_lock(struct exchange *exchange)
{
    static const char *const known[] = { "customer", "sku", "amount", "until", "zone", "basis", "currency", "id", NULL };
    enum MHD_Result refused;
    cJSON *body = body_json(exchange, known, &refused);
    if (body == NULL)
        return refused;
    cJSON *question = question_of(exchange, "lock");
    for (cJSON *member; (member = body->child) != NULL;)
        cJSON_AddItemToObject(question, member->string, cJSON_DetachItemViaPointer(body, member));
    cJSON_Delete(body);
    return question_ask(exchange, question, question_pass_on);
}

enum MHD_Result web_record(struct exchange *exchange)
{
    static const char *const passed[] = { "customer", "zone", "basis", "currency" };
    cJSON *question = question_of(exchange, "record");
    cJSON_AddStringToObject(question, "sku", exchange->tail);
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        const char *value = query_text(exchange, passed[i]);
        if (value != NULL && value[0] != '\0')
            cJSON_AddStringToObject(question, passed[i], value);
    }
    return question_ask(exchange, question, question_pass_on);
}
