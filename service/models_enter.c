/* models_enter.c - the numbers that lines carry: price groups and rows of rules, for a set of models that is to come into
 * force. Both only ever grow, so that entering a set that is refused afterwards harms nobody. */
#include "service/models_enter.h"

#include "pricing/money.h"
#include "service/data_dir.h"

#include <stdio.h>
#include <string.h>

#define QUOTE_ARITHMETIC 1u

/* Terms that were written under another numbering must read as neutral: then the map gets a new version. */
static void control_set_groups(struct rialto_control *control, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX],
                               uint8_t count)
{
    bool extends = control->group_map != 0 && control->group_count <= count;
    for (uint8_t i = 0; extends && i < control->group_count; i++)
        extends = strncmp(control->groups[i], groups[i], RIALTO_NAME_MAX) == 0;
    memcpy(control->groups, groups, sizeof control->groups);
    control->group_count = count;
    if (!extends)
        control->group_map = (uint8_t)(control->group_map == UINT8_MAX ? 1 : control->group_map + 1);
}

static enum rialto_status groups_enter(const struct config *config, struct model_set *set, struct cache *cache,
                                       struct fault *fault)
{
    char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX];
    uint8_t count = 0;
    if (!groups_load(config, groups, &count))
        return fault_set(fault, NULL, 0, "", "the price groups cannot be read");
    uint8_t before = count;
    enum rialto_status status = model_set_number_groups(set, groups, &count, fault);
    if (status == RIALTO_OK && count != before && !groups_save(config, groups, count))
        status = fault_set(fault, NULL, 0, "", "the price groups cannot be saved");
    if (status == RIALTO_OK)
        control_set_groups(cache_control(cache), groups, count);
    return status;
}

static enum rialto_status rule_enter(struct cache *cache, const struct model_set *set, const struct model *model,
                                     const char *letters, uint32_t policies, struct fault *fault)
{
    const struct currency *currency = currency_find(letters);
    if (currency == NULL)
        return fault_set(fault, NULL, 0, "", "model %s: %s is not an ISO 4217 currency", model->name, letters);
    struct rialto_rule_row row = {
        .currency_number = currency->number,
        .decimals = currency->decimals,
        .arithmetic = QUOTE_ARITHMETIC,
        .ending_step = model->ending_step > 0 ? model->ending_step : 1,
        .ending_less = model->ending_less,
        .stale_limit_s = model->stale_limit_s,
        .reads = model->group_reads,
        .forbidden = model_forbidden(set, model, policies),
        .model_hash = model_rule_hash(set, model, policies),
    };
    policies_describe(&set->policies, policies, &row);
    (void)snprintf(row.currency, sizeof row.currency, "%s", currency->letters);
    (void)snprintf(row.model, sizeof row.model, "%s", model->name);
    (void)snprintf(row.version, sizeof row.version, "%s", model->version);
    uint16_t rule = 0;
    enum rialto_status status = rule_append(cache, &row, &rule);
    if (status == RIALTO_OK)
        return RIALTO_OK;
    return fault_set(fault, NULL, 0, "",
                     "no room in the table of rules for model %s: %u rows are the most; stop rialtod with "
                     "cache_on_stop=remove once to begin anew",
                     model->name, RIALTO_RULES_MAX);
}

enum rialto_status models_enter(const struct config *config, struct cache *cache, struct model_set *set,
                                struct fault *fault)
{
    enum rialto_status status = groups_enter(config, set, cache, fault);
    for (uint32_t m = 0; m < set->count; m++)
        for (uint32_t c = 0; c < set->model[m].currency_count; c++)
            for (uint32_t p = 0; p < set->policies.mask_count && status == RIALTO_OK; p++)
                status = rule_enter(cache, set, &set->model[m], set->model[m].currency[c], p, fault);
    return status;
}
