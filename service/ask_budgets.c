/* ask_budgets.c - {"ask":"budgets"}: what models' offers have given away in the window that runs, and what is left, of this worker's partitions.
 * Of each offer that is in force; OFFERS_MAX at most. */
#include "service/apply_customer.h"
#include "service/ask.h"

static void add(cJSON *list, const struct model *model, const struct model_offer *rule, const struct budget_look *look)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddItemToArray(list, row);
    cJSON_AddStringToObject(row, "model", model->name);
    cJSON_AddStringToObject(row, "version", model->version);
    cJSON_AddStringToObject(row, "offer", rule->name);
    cJSON_AddStringToObject(row, "currency", rule->currency);
    cJSON_AddNumberToObject(row, "offers", rule->budget_offers);
    cJSON_AddNumberToObject(row, "offers_given", (double)look->offers_given);
    cJSON_AddNumberToObject(row, "offers_left", (double)look->offers_left);
    if (rule->budget_amount != 0) {
        cJSON_AddNumberToObject(row, "amount", rule->budget_amount);
        cJSON_AddNumberToObject(row, "amount_given", (double)look->amount_given);
        cJSON_AddNumberToObject(row, "amount_left", (double)look->amount_left);
    }
    cJSON_AddNumberToObject(row, "partitions", look->partitions);
    cJSON_AddNumberToObject(row, "partitions_used_up", look->used_up);
    cJSON_AddNumberToObject(row, "from_ms", (double)look->from_ms);
    cJSON_AddNumberToObject(row, "until_ms", (double)look->until_ms);
}

cJSON *ask_budgets(struct worker *worker, const cJSON *question)
{
    (void)question;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON *list = cJSON_AddArrayToObject(answer, "budgets");
    for (uint32_t m = 0; m < worker->models->count; m++) {
        const struct model *model = &worker->models->model[m];
        for (uint32_t i = 0; i < model->offer_count; i++) {
            struct budget_look look = { 0 };
            budget_look(worker, model, &model->offer[i], &look);
            add(list, model, &model->offer[i], &look);
        }
    }
    return answer;
}
