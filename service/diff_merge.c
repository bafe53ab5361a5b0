/* diff_merge.c - see diff_merge.h. Each worker compares the prices that it owns: sums add up, lists are put together. */
#include "service/diff_merge.h"

#include "pricing/json_member.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 64

static bool all_well(const cJSON *answer)
{
    return cJSON_IsTrue(json_member(answer, "ok"));
}

static int by_size(const void *a, const void *b)
{
    double x = fabs(json_number(*(cJSON *const *)a, "pct")), y = fabs(json_number(*(cJSON *const *)b, "pct"));
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The workers' lists as one: moves by size; categories and zones of one name added up. */
static cJSON *moves_merged(const cJSON *workers, int count_max)
{
    cJSON *all[WORKERS_MAX * 50], *list = cJSON_CreateArray();
    int count = 0;
    const cJSON *worker;
    cJSON *move;
    cJSON_ArrayForEach(worker, workers)
    {
        cJSON_ArrayForEach(move, json_member(worker, "moves"))
        {
            if (count < WORKERS_MAX * 50)
                all[count++] = move;
        }
    }
    qsort(all, (size_t)count, sizeof all[0], by_size);
    for (int i = 0; i < count && i < count_max; i++)
        cJSON_AddItemToArray(list, cJSON_Duplicate(all[i], true));
    return list;
}

static cJSON *tallies_merged(const cJSON *workers, const char *name)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *worker, *tally;
    cJSON_ArrayForEach(worker, workers)
    {
        cJSON_ArrayForEach(tally, json_member(worker, name))
        {
            cJSON *same;
            cJSON_ArrayForEach(same, list)
            {
                if (strcmp(json_string(same, "name"), json_string(tally, "name")) == 0)
                    break;
            }
            if (same == NULL) {
                cJSON_AddItemToArray(list, cJSON_Duplicate(tally, true));
                continue;
            }
            static const char *const SUM[] = { "prices", "up", "down", "sum_pct" };
            for (size_t i = 0; i < sizeof SUM / sizeof SUM[0]; i++)
                cJSON_SetNumberHelper(cJSON_GetObjectItemCaseSensitive(same, SUM[i]),
                                      json_number(same, SUM[i]) + json_number(tally, SUM[i]));
        }
    }
    return list;
}

cJSON *diff_merge(const cJSON *answer, int count)
{
    static const char *const SUM[] = { "prices", "up", "down", "uncovered", "frozen", "sum_pct" };
    const cJSON *workers = json_member(answer, "workers"), *worker;
    cJSON *all = cJSON_CreateObject();
    double most = 0;
    for (size_t i = 0; i < sizeof SUM / sizeof SUM[0]; i++) {
        double sum = 0;
        cJSON_ArrayForEach(worker, workers) sum += json_number(worker, SUM[i]);
        cJSON_AddNumberToObject(all, SUM[i], sum);
    }
    cJSON_ArrayForEach(worker, workers) most = fmax(most, fabs(json_number(worker, "most_pct")));
    cJSON_AddNumberToObject(all, "max_change_pct", most);
    cJSON_AddItemToObject(all, "moves", moves_merged(workers, count));
    cJSON_AddItemToObject(all, "categories", tallies_merged(workers, "categories"));
    cJSON_AddItemToObject(all, "zones", tallies_merged(workers, "zones"));
    return all;
}

const cJSON *diff_refusal(const cJSON *answer)
{
    const cJSON *worker;
    cJSON_ArrayForEach(worker, json_member(answer, "workers"))
    {
        if (!all_well(worker))
            return worker;
    }
    return all_well(answer) ? NULL : answer;
}
