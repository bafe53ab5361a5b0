/* diff_merge.h - what all workers said to "diff", as one comparison. */
#ifndef SERVICE_DIFF_MERGE_H
#define SERVICE_DIFF_MERGE_H

#include <cjson/cJSON.h>

/* diff_merge - `answer` is the gateway's, with one comparison a worker (service/diff.c); `count`: how many of the prices that move
 * most are listed. The caller's (cJSON_Delete). Thread-safe. */
cJSON *diff_merge(const cJSON *answer, int count);

/* diff_refusal - the part of the answer that refused, or NULL: all workers compared. Lives as long as the answer. */
const cJSON *diff_refusal(const cJSON *answer);
#endif
