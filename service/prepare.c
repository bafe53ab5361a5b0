/* prepare.c - the step before any other process runs: 0 = models and tables are ready, 1 = it said why not.
 *
 *   models_dir --copy, check--> DATA_DIR/models
 *   config, secret ------------> cache_create(): tables in CACHE_DIR, kept when they fit
 *   models ---------------------> numbers of price groups (DATA_DIR/groups, control), rows of rules
 */
#include "cache/table.h"
#include "pricing/model.h"
#include "pricing/money.h"
#include "service/capacity.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/roles.h"
#include "service/state.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTE_ARITHMETIC        1u

/* ---- models ----------------------------------------------------------------------------------------------------- */

/* The copy was read; the one who edits models wants to hear of the original. */
static void fault_name_original(const struct config *config, struct fault *fault)
{
    const char *slash = strrchr(fault->file, '/');
    char name[FAULT_FILE_MAX];
    bool folder = slash == NULL || strstr(slash, "/models.new") != NULL;
    (void)snprintf(name, sizeof name, "%s", folder ? "" : slash);
    (void)snprintf(fault->file, sizeof fault->file, "%.*s%.*s", (int)(FAULT_FILE_MAX - 1 - strlen(name)),
                   config->models_dir, (int)strlen(name), name);
}

static struct model_set *models_take(const struct config *config)
{
    char folder[DATA_PATH_MAX], said[512];
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    if (!models_copy(config))
        return NULL;
    data_path(config, "models.new", folder);
    enum rialto_status status = model_set_load(folder, &set, &fault);
    if (status != RIALTO_OK) {
        fault_name_original(config, &fault);
        (void)fault_text(&fault, sizeof said, said);
        log_line(LOG_ERROR, "MODELS-REFUSED", "%s", status == RIALTO_REFUSED ? said : rialto_status_text(status));
        return NULL;
    }
    if (!models_accept(config)) {
        model_set_free(set);
        return NULL;
    }
    return set;
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static bool group_find(const struct config *config, int64_t *ret)
{
    *ret = -1;
    if (config->group[0] == '\0')
        return true;
    errno = 0;
    const struct group *group = getgrnam(config->group);
    if (group == NULL) {
        log_line(LOG_ERROR, "GROUP-UNKNOWN", "group=%s: no such group on this machine", config->group);
        return false;
    }
    *ret = (int64_t)group->gr_gid;
    return true;
}

static bool plan_make(const struct config *config, struct cache_plan *ret)
{
    capacity_plan(config, ret);
    return secret_load(config, ret->secret) && group_find(config, &ret->group_id);
}

static void cache_refused(const struct config *config, enum rialto_status status, uint64_t bytes_missing)
{
    if (status == RIALTO_NO_SPACE)
        log_line(LOG_ERROR, "CACHE-NO-SPACE",
                 "cache_dir=%s bytes_missing=%llu (%llu MiB): make that file system larger, or lower "
                 "customers_max, cells_max, zones_max, offers_max or products_max",
                 config->cache_dir, (unsigned long long)bytes_missing, (unsigned long long)((bytes_missing >> 20) + 1));
    else
        log_line(LOG_ERROR, "CACHE-REFUSED", "cache_dir=%s status=%s errno=\"%s\": %s", config->cache_dir,
                 rialto_status_name(status), strerror(errno), rialto_status_text(status));
}

static struct cache *cache_make(const struct config *config)
{
    struct cache_plan plan;
    struct cache *cache = NULL;
    bool kept = false;
    uint64_t bytes_missing = 0;
    if (!plan_make(config, &plan))
        return NULL;
    enum rialto_status status = cache_create(&plan, &kept, &bytes_missing);
    if (status == RIALTO_OK)
        status = metrics_create(config->cache_dir);
    if (status == RIALTO_OK)
        status = cache_open(config->cache_dir, &cache);
    if (status != RIALTO_OK) {
        cache_refused(config, status, bytes_missing);
        return NULL;
    }
    log_line(LOG_INFO, "CACHE-READY", "cache_dir=%s tables=%s workers=%u", config->cache_dir, kept ? "kept" : "new",
             config->workers);
    return cache;
}

/* ---- numbers that lines carry ----------------------------------------------------------------------------------- */

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

static bool groups_number(const struct config *config, struct model_set *set, struct cache *cache)
{
    char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], said[512];
    uint8_t count = 0;
    struct fault fault = { 0 };
    if (!groups_load(config, groups, &count))
        return false;
    uint8_t before = count;
    if (model_set_number_groups(set, groups, &count, &fault) != RIALTO_OK) {
        (void)fault_text(&fault, sizeof said, said);
        log_line(LOG_ERROR, "GROUPS", "%s", said);
        return false;
    }
    if (count != before && !groups_save(config, groups, count))
        return false;
    control_set_groups(cache_control(cache), groups, count);
    return true;
}

static bool rule_add(struct cache *cache, const struct model *model, const char *letters)
{
    const struct currency *currency = currency_find(letters);
    if (currency == NULL) {
        log_line(LOG_ERROR, "MODELS-REFUSED", "model=%s currency=%s is not an ISO 4217 currency", model->name, letters);
        return false;
    }
    struct rialto_rule_row row = {
        .currency_number = currency->number,
        .decimals = currency->decimals,
        .arithmetic = QUOTE_ARITHMETIC,
        .ending_step = model->ending_step > 0 ? model->ending_step : 1,
        .ending_less = model->ending_less,
        .stale_limit_s = model->stale_limit_s,
        .model_hash = model->text_hash,
    };
    (void)snprintf(row.currency, sizeof row.currency, "%s", currency->letters);
    (void)snprintf(row.model, sizeof row.model, "%s", model->name);
    (void)snprintf(row.version, sizeof row.version, "%s", model->version);
    uint16_t rule = 0;
    enum rialto_status status = rule_append(cache, &row, &rule);
    if (status != RIALTO_OK)
        log_line(LOG_ERROR, "RULES",
                 "model=%s currency=%s status=%s: %s; %u rows are the most, stop rialtod with cache_on_stop=remove "
                 "once to begin anew",
                 model->name, letters, rialto_status_name(status), rialto_status_text(status), RIALTO_RULES_MAX);
    return status == RIALTO_OK;
}

static bool rules_add(struct cache *cache, const struct model_set *set)
{
    for (uint32_t m = 0; m < set->count; m++) {
        for (uint32_t c = 0; c < set->model[m].currency_count; c++) {
            if (!rule_add(cache, &set->model[m], set->model[m].currency[c]))
                return false;
        }
    }
    return true;
}

int prepare_main(const struct config *config)
{
    char key[DATA_KEY_MAX];
    struct model_set *set = data_key(config, true, key) ? models_take(config) : NULL;
    struct cache *cache = set != NULL ? cache_make(config) : NULL;
    bool ready = cache != NULL && groups_number(config, set, cache) && rules_add(cache, set);
    if (ready) {
        for (uint32_t m = 0; m < set->count; m++)
            log_line(LOG_INFO, "MODEL", "name=%s version=%s group=%s currencies=%u", set->model[m].name,
                     set->model[m].version, set->model[m].group_name, set->model[m].currency_count);
    }
    if (cache != NULL)
        cache_close(cache);
    model_set_free(set);
    return ready ? EXIT_SUCCESS : EXIT_FAILURE;
}
