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

void explained_step_texts(const struct explain_step *step, char ret_times[24], char ret_minor[48])
{
    ret_times[0] = '\0';
    if (step->op == EXPLAIN_factor || step->times_micro != MICRO)
        (void)snprintf(ret_times, 24, "%" PRId64 ".%06" PRId64, step->times_micro / MICRO, step->times_micro % MICRO);
    (void)snprintf(ret_minor, 48, "%" PRId64 ".%06d", step->minor, (int)step->micro);
}

cJSON *explained_step_json(const struct explain_step *step, const char *factor)
{
    char times[24], minor[48];
    cJSON *item = cJSON_CreateObject();
    explained_step_texts(step, times, minor);
    cJSON_AddStringToObject(item, "step", explain_op_name(step->op));
    if (step->op == EXPLAIN_factor)
        cJSON_AddStringToObject(item, "name", factor);
    if (times[0] != '\0')
        cJSON_AddStringToObject(item, "times", times);
    cJSON_AddStringToObject(item, "amount_minor", minor);
    return item;
}

static cJSON *personal_json(const struct explained *explained)
{
    cJSON *steps = cJSON_CreateArray();
    for (uint32_t i = 0; i < explained->personal.count; i++)
        cJSON_AddItemToArray(steps, explained_step_json(&explained->personal.step[i], NULL));
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
