/* ask.c - questions that the gateway hands on to a worker, and what the worker says: why a price is what it is, and what
 * a customer's data do to it. A question changes nothing that prices rest on; its answer is of the state between two
 * batches.
 *
 *   {"ask":"explain","sku":"milk-1l","zone":"c1/s25"}      the owner of the product: service/explain.c
 *   {"ask":"prepare","models":7}                           all: load them, and say whether they would do; change_over.c
 *   {"ask":"diff","stage":"stage.x"}                       all: what would they change now? diff.c
 *   {"ask":"budgets"}                                      all: what is left for models' offers? ask_budgets.c
 *   {"ask":"terms","customer":"C1","group":0,"sku":"..."}  the owner of the customer, for who may see personal data
 *   and what a lock needs: ask_lock.c */
#include "service/ask.h"
#include "cache/keys.h"

#include <string.h>

static const struct {
    const char *name;
    cJSON *(*answer)(struct worker *worker, const cJSON *question);
} QUESTION[] = {
    { "explain", ask_explain },
    { "terms", ask_terms },
    { "export", ask_export },
    { "erased", ask_erased },
    { "prices", ask_prices },
    { "lock", ask_lock },
    { "prepare", ask_prepare },
    { "diff", ask_diff },
    { "budgets", ask_budgets },
};

cJSON *ask_refusal(const char *reason, const char *text)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", false);
    cJSON_AddStringToObject(answer, "reason", reason);
    cJSON_AddStringToObject(answer, "text", text);
    return answer;
}

const char *ask_text(const cJSON *question, const char *member)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(question, member);
    return cJSON_IsString(item) && strlen(item->valuestring) < RIALTO_ID_MAX ? item->valuestring : "";
}

struct partition *ask_partition(struct worker *worker, const char *id, struct rialto_key *ret_key)
{
    *ret_key = key_of_id(worker->control->secret, id, strlen(id));
    struct partition *partition = &worker->partition[key_partition(*ret_key)];
    return partition->state != NULL ? partition : NULL;
}

char *ask_answer(struct worker *worker, const char *text, size_t bytes)
{
    struct fault fault;
    cJSON *question = json_parse(text, bytes, 0, &fault), *answer = NULL;
    const char *name = ask_text(question, "ask");
    bool known = false;
    for (size_t i = 0; i < sizeof QUESTION / sizeof QUESTION[0] && !known; i++) {
        known = strcmp(name, QUESTION[i].name) == 0;
        if (known)
            answer = QUESTION[i].answer(worker, question);
    }
    if (!known)
        answer = ask_refusal("not_understood", "the worker does not know this question");
    char *said = answer != NULL ? cJSON_PrintUnformatted(answer) : NULL;
    cJSON_Delete(answer);
    cJSON_Delete(question);
    return said;
}
