/* explained.h - one quote and everything that explains it, put together where somebody asks: `rialto explain`, HTTP.
 *
 *   librialto: quote and its lines --+
 *   "explain" of the product's worker --+--> of one and the same price (explained_agrees) --> explained_json()
 *   "terms" of the customer's worker ---+ */
#ifndef SERVICE_EXPLAINED_H
#define SERVICE_EXPLAINED_H

#include "cache/reader.h"
#include "pricing/explain.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct explained { /* may not move: `lines` points into itself */
    struct rialto_quote quote;
    struct reader_lines lines;
    struct rialto_rule_row rule;
    struct explain personal; /* steps from baseline to amount */
    cJSON *product;          /* the product's worker */
    cJSON *customer;         /* the customer's worker; NULL = nobody in particular, or not to be seen from here */
    const char *why_not;     /* why `customer` is NULL, or NULL */
};

/* explained_agrees - do quote and worker speak of the same price? Between the two looks it may have changed. */
bool explained_agrees(const struct explained *explained);

/* explained_step_texts - of a step: what it multiplies by ("": it does not) and the amount after it in minor units, with six decimals.
 * explained_step_json - the same as an object, the caller's; `factor` is the name of the model's, where it is one. */
void explained_step_texts(const struct explain_step *step, char ret_times[24], char ret_minor[48]);
cJSON *explained_step_json(const struct explain_step *step, const char *factor);

/* explained_json - all of it as one object, the caller's (cJSON_Delete); takes `product` and `customer` out of *explained.
 * `customer_id`: NULL = nobody in particular. */
cJSON *explained_json(struct explained *explained, const char *customer_id);
#endif
