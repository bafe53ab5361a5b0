/* web_customers.c - what a customer may ask for, through their shop: consent, everything that is kept, to be forgotten. */
#include "service/web.h"

#include <stdlib.h>
#include <string.h>

static enum MHD_Result ask_of_customer(struct exchange *exchange, const char *control)
{
    cJSON *question = question_of(exchange, control);
    cJSON_AddStringToObject(question, "customer", exchange->tail);
    return question_ask(exchange, question, question_pass_on);
}

enum MHD_Result web_customer_export(struct exchange *exchange)
{
    return ask_of_customer(exchange, "export");
}

enum MHD_Result web_customer_forget(struct exchange *exchange)
{
    return ask_of_customer(exchange, "forget");
}

/* The header that browsers send: W3C, Global Privacy Control, "Sec-GPC: 1". */
static bool has_gpc(const struct exchange *exchange)
{
    const char *value = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Sec-GPC");
    return value != NULL && strcmp(value, "1") == 0;
}

/* {"profile":true,"location":false} becomes a `customer` signal: kinds left out stay as they are. Which kinds there are, and what may be
 * said of one ({"granted":true,"source":"app","text":"2026-11"}), the gateway knows. An opt-out stands beside them. */
enum MHD_Result web_customer_consent(struct exchange *exchange)
{
    static const char *const kinds[] = { "location", "behaviour", "purchases", "profile", "partner", "opt_out", NULL };
    enum MHD_Result refused;
    cJSON *consent = body_json(exchange, kinds, &refused), *signal;
    if (consent == NULL)
        return refused;
    signal = cJSON_CreateObject();
    cJSON_AddStringToObject(signal, "type", "customer");
    cJSON_AddStringToObject(signal, "customer", exchange->tail);
    cJSON *opt_out = cJSON_DetachItemFromObjectCaseSensitive(consent, "opt_out");
    cJSON_AddItemToObject(signal, "consent", consent);
    if (opt_out != NULL)
        cJSON_AddItemToObject(signal, "opt_out", opt_out);
    if (has_gpc(exchange))
        cJSON_AddTrueToObject(signal, "gpc");
    char *text = cJSON_PrintUnformatted(signal);
    cJSON_Delete(signal);
    if (text == NULL)
        return MHD_NO;
    enum MHD_Result result =
        forward(exchange, text, strlen(text), forward_limit_ms(exchange->web->config), signals_answer);
    free(text);
    return result;
}
