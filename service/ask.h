/* ask.h - inside of ask.c: what the answers to questions share. Private to service/. */
#ifndef SERVICE_ASK_H
#define SERVICE_ASK_H

#include "service/worker.h"

#include <cjson/cJSON.h>

/* ask_refusal - {"ok":false,"reason":...,"text":...}. ask_text - a string member shorter than an id, or "". */
cJSON *ask_refusal(const char *reason, const char *text);
const char *ask_text(const cJSON *question, const char *member);

/* ask_partition - where the record of an id is; NULL: another worker owns it. */
struct partition *ask_partition(struct worker *worker, const char *id, struct rialto_key *ret_key);

/* explain.c */
cJSON *ask_explain(struct worker *worker, const cJSON *question);
cJSON *ask_terms(struct worker *worker, const cJSON *question);
/* ask_kinds - names of RIALTO_KIND_* as a list. */
cJSON *ask_kinds(unsigned kinds);

/* export.c */
cJSON *ask_export(struct worker *worker, const cJSON *question);
cJSON *ask_erased(struct worker *worker, const cJSON *question);

/* ask_lock.c */
cJSON *ask_prices(struct worker *worker, const cJSON *question);
cJSON *ask_lock(struct worker *worker, const cJSON *question);

/* change_over.c */
cJSON *ask_prepare(struct worker *worker, const cJSON *question);

/* ask_budgets.c */
cJSON *ask_budgets(struct worker *worker, const cJSON *question);

/* diff.c */
cJSON *ask_diff(struct worker *worker, const cJSON *question);
#endif
