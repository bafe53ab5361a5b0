/* web_explain.c - why does it cost that, for anybody or for this customer? As `rialto explain --json`.
 *
 *   quote out of shared memory --> "explain" to the gateway --> of the same price? else both again, LOOKS_MAX times
 *                              --> "terms" of the customer --> one object */
#include "service/explained.h"
#include "service/web.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 20

struct look {
    struct explained e;
    int looks;
};

static void look_free(void *job)
{
    struct look *look = job;
    cJSON_Delete(look->e.product);
    cJSON_Delete(look->e.customer);
    free(look);
}

static enum rialto_status quote_read(struct exchange *exchange, struct explained *e)
{
    struct web *web = exchange->web;
    const struct rialto_request request = { .customer = query_text(exchange, "customer"),
                                            .zone = query_text(exchange, "zone") };
    enum rialto_status status = RIALTO_NO_CACHE;
    for (int attempt = 0; attempt < 2; attempt++) {
        const struct rialto *prices = prices_lock(web);
        status =
            prices == NULL ? RIALTO_NO_CACHE : reader_quote(prices, &request, exchange->tail, &e->lines, &e->quote);
        if (status == RIALTO_OK) {
            (void)rialto_rule(prices, e->quote.rule, &e->rule);
            e->personal.count = 0;
            explain_quote(&e->lines.inputs, &e->personal); /* the lines may point into the tables */
        }
        prices_unlock(web);
        if ((status != RIALTO_RETIRED && status != RIALTO_NO_CACHE) || !prices_replaced(web))
            break;
    }
    return status;
}

static enum MHD_Result tell(struct exchange *exchange)
{
    struct look *look = exchange->job;
    return respond_json(exchange, MHD_HTTP_OK, explained_json(&look->e, query_text(exchange, "customer")));
}

/* A customer of whom nothing is kept pays what anybody pays: no refusal. */
static enum MHD_Result customer_told(struct exchange *exchange)
{
    struct explained *e = &((struct look *)exchange->job)->e;
    enum MHD_Result refused;
    if (memmem(exchange->answer.data, exchange->answer.used, "\"reason\":\"unknown_customer\"", 27) != NULL)
        e->why_not = "nothing is kept of this customer: they pay the baseline price";
    else if ((e->customer = question_answer(exchange, &refused)) == NULL)
        return refused;
    return tell(exchange);
}

static enum MHD_Result ask_product(struct exchange *exchange);

static enum MHD_Result product_told(struct exchange *exchange)
{
    struct look *look = exchange->job;
    enum MHD_Result refused;
    cJSON_Delete(look->e.product);
    look->e.product = question_answer(exchange, &refused);
    if (look->e.product == NULL)
        return refused;
    if (!explained_agrees(&look->e)) /* it changed between the two looks */
        return ask_product(exchange);
    if (query_text(exchange, "customer") == NULL)
        return tell(exchange);
    cJSON *question = question_of(exchange, "terms");
    cJSON_AddStringToObject(question, "customer", query_text(exchange, "customer"));
    cJSON_AddStringToObject(question, "sku", exchange->tail);
    cJSON_AddNumberToObject(question, "group", look->e.quote.group);
    return question_ask(exchange, question, customer_told);
}

static enum MHD_Result ask_product(struct exchange *exchange)
{
    struct look *look = exchange->job;
    if (look->looks++ == LOOKS_MAX)
        return problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "busy", "Try again",
                       "the price changes faster than it can be explained");
    enum rialto_status status = quote_read(exchange, &look->e);
    if (status != RIALTO_OK)
        return problem_of(exchange, status);
    cJSON *question = question_of(exchange, "explain");
    cJSON_AddStringToObject(question, "sku", exchange->tail);
    cJSON_AddStringToObject(question, "zone", look->e.quote.zone);
    return question_ask(exchange, question, product_told);
}

enum MHD_Result web_explain(struct exchange *exchange)
{
    exchange->job = calloc(1, sizeof(struct look));
    exchange->job_free = look_free;
    return exchange->job == NULL ? MHD_NO : ask_product(exchange);
}
