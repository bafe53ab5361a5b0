/* explained.c - see explained.h. */
#include "service/explained.h"

#include "pricing/json_member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool text_is(const cJSON *object, const char *member, const char *text)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    return strcmp(cJSON_IsString(item) ? item->valuestring : "", text) == 0;
}

bool explained_agrees(const struct explained *explained)
{
    const struct rialto_quote *quote = &explained->quote;
    const cJSON *product = explained->product;
    return json_whole(product, "baseline") == quote->baseline && json_whole(product, "list") == quote->list &&
           json_whole(product, "floor") == quote->floor && json_whole(product, "ceiling") == quote->ceiling &&
           text_is(product, "model", explained->rule.model) && text_is(product, "version", explained->rule.version);
}

void explained_exact(const struct explain_step *step, char ret[48])
{
    (void)snprintf(ret, 48, "%" PRId64 ".%06d", step->minor, (int)step->micro);
}

static cJSON *personal_json(const struct explained *explained)
{
    cJSON *steps = cJSON_CreateArray();
    char text[48];
    for (uint32_t i = 0; i < explained->personal.count; i++) {
        const struct explain_step *step = &explained->personal.step[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "step", explain_op_name(step->op));
        if (step->times_micro != MICRO) {
            (void)snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, step->times_micro / MICRO,
                           step->times_micro % MICRO);
            cJSON_AddStringToObject(item, "times", text);
        }
        explained_exact(step, text);
        cJSON_AddStringToObject(item, "amount_minor", text);
        cJSON_AddItemToArray(steps, item);
    }
    return steps;
}

cJSON *explained_json(struct explained *explained, const char *customer_id)
{
    cJSON *all = explained->product;
    explained->product = NULL;
    cJSON_DeleteItemFromObject(all, "ok");
    cJSON_AddStringToObject(all, "customer", customer_id != NULL ? customer_id : "");
    cJSON_AddNumberToObject(all, "amount", (double)explained->quote.amount);
    cJSON_AddItemToObject(all, "personal_steps", personal_json(explained));
    if (explained->customer != NULL) {
        cJSON_DeleteItemFromObject(explained->customer, "ok");
        cJSON_AddItemToObject(all, "personal", explained->customer);
        explained->customer = NULL;
    } else if (explained->why_not != NULL) {
        cJSON_AddStringToObject(all, "personal_note", explained->why_not);
    }
    return all;
}
