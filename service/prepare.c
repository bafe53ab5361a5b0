/* prepare.c - the step before any other process runs: 0 = models and tables are ready, 1 = it said why not.
 *
 *   models_dir --copy, check--> DATA_DIR/models/N, change.json (when it is not what was taken before)
 *   config, secret ------------> cache_create(): tables in CACHE_DIR, kept when they fit
 *   models ---------------------> numbers of price groups (DATA_DIR/groups, control), rows of rules
 */
#include "cache/table.h"
#include "pricing/model.h"
#include "service/audit.h"
#include "service/capacity.h"
#include "service/change.h"
#include "service/clock.h"
#include "service/data_dir.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/models_enter.h"
#include "service/roles.h"
#include "service/state.h"
#include "service/superseded.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* ---- models ----------------------------------------------------------------------------------------------------- */

#define STAGE_START  "stage.start"
#define STAGE_HANGUP "stage.hangup"

/* The copy was read; the one who edits models wants to hear of the original. */
static void fault_name_original(const struct config *config, struct fault *fault)
{
    const char *slash = strrchr(fault->file, '/');
    char name[FAULT_FILE_MAX];
    bool folder = slash == NULL || strstr(slash, "/stage.") != NULL;
    (void)snprintf(name, sizeof name, "%s", folder ? "" : slash);
    (void)snprintf(fault->file, sizeof fault->file, "%.*s%.*s", (int)(FAULT_FILE_MAX - 1 - strlen(name)),
                   config->models_dir, (int)strlen(name), name);
}

/* models_dir as a stage, checked. NULL after a log line: then there is no stage. */
static struct model_set *models_stage(const struct config *config, const char *stage)
{
    char folder[DATA_PATH_MAX], said[512];
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    enum rialto_status status = change_stage(config, config->models_dir, stage, &fault);
    if (status == RIALTO_OK && change_stage_path(config, stage, folder)) {
        status = model_set_load(folder, &set, &fault);
        if (status != RIALTO_OK)
            fault_name_original(config, &fault);
    }
    if (set != NULL)
        return set;
    (void)fault_text(&fault, sizeof said, said);
    log_line(LOG_ERROR, "MODELS-REFUSED", "%s", status == RIALTO_REFUSED ? said : rialto_status_text(status));
    change_stage_drop(config, stage);
    return NULL;
}

/* The models that stay in force: nothing new in models_dir, or nothing that could be taken. NULL after a log line. */
static struct model_set *models_keep(const struct config *config, const struct change *change)
{
    char folder[DATA_PATH_MAX], said[512];
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    change_models_path(config, change->models, folder);
    if (model_set_load(folder, &set, &fault) == RIALTO_OK)
        return set;
    (void)fault_text(&fault, sizeof said, said);
    log_line(LOG_ERROR, "MODELS-REFUSED", "%s", said);
    return NULL;
}

static bool change_begin(const struct config *config, uint64_t hash, struct change *change)
{
    change->number++;
    if (!change_adopt(config, STAGE_START, change->number, change))
        return false;
    change->models = change->number;
    change->source_hash = hash;
    change->when_ms = unix_ms();
    (void)snprintf(change->who, sizeof change->who, "rialtod");
    (void)snprintf(change->what, sizeof change->what, "start with %.160s", config->models_dir);
    if (!change_save(config, change))
        return false;
    (void)audit_add(
        config,
        &(struct audit_entry){
            .action = "apply", .who = change->who, .what = change->what, .outcome = "done", .change = change->number });
    return true;
}

/* A folder that was changed since it was last taken is taken; one that was not says nothing new, so that models that were
 * applied from elsewhere, or rolled back, stay over a restart. */
static struct model_set *models_take(const struct config *config, struct change *change)
{
    enum rialto_status known = change_load(config, change);
    if (known == RIALTO_REFUSED)
        return NULL;
    if (known != RIALTO_OK)
        memset(change, 0, sizeof *change);
    uint64_t hash = change_folder_hash(config->models_dir);
    bool kept = change_has_models(config, change->models);
    if (kept && (change->pinned || hash == change->source_hash))
        return models_keep(config, change);
    struct model_set *set = models_stage(config, STAGE_START);
    if (set == NULL && kept) {
        log_line(LOG_WARNING, "MODELS-KEPT", "change=%llu: the models that were in force stay so",
                 (unsigned long long)change->number);
        return models_keep(config, change);
    }
    if (set != NULL && change_begin(config, hash, change))
        return set;
    model_set_free(set);
    return NULL;
}

int stage_main(const struct config *config)
{
    struct model_set *set = models_stage(config, STAGE_HANGUP);
    bool staged = set != NULL;
    model_set_free(set);
    return staged ? EXIT_SUCCESS : EXIT_FAILURE;
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

static void cache_refused(const struct config *config, enum rialto_status status, uint64_t bytes_missing,
                          uint64_t superseded)
{
    if (status == RIALTO_NO_SPACE && superseded > 0)
        log_line(LOG_ERROR, "CACHE-NO-SPACE",
                 "superseded_bytes=%llu are kept for readers of another layout: superseded_grace_s=0 gives them back",
                 (unsigned long long)superseded);
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
    uint64_t bytes_missing = 0, superseded = superseded_make_room(config);
    if (!plan_make(config, &plan))
        return NULL;
    enum rialto_status status = cache_create(&plan, &kept, &bytes_missing);
    if (status == RIALTO_OK && bytes_missing > 0)
        log_line(LOG_WARNING, "CACHE-TIGHT",
                 "cache_dir=%s bytes_missing=%llu: tables are kept, and have no room to grow to the whole",
                 config->cache_dir, (unsigned long long)bytes_missing);
    if (status == RIALTO_OK && (status = metrics_create(config->cache_dir, plan.group_id)) == RIALTO_NO_SPACE)
        bytes_missing = sizeof(struct metrics_file); /* at most: somebody else was faster */
    if (status == RIALTO_OK)
        status = cache_open(config->cache_dir, &cache);
    if (status != RIALTO_OK) {
        cache_refused(config, status, bytes_missing, superseded);
        return NULL;
    }
    log_line(LOG_INFO, "CACHE-READY", "cache_dir=%s tables=%s workers=%u", config->cache_dir, kept ? "kept" : "new",
             config->workers);
    return cache;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static bool models_ready(const struct config *config, struct cache *cache, struct model_set *set)
{
    char said[512];
    struct fault fault = { 0 };
    if (models_enter(config, cache, set, &fault) == RIALTO_OK)
        return true;
    (void)fault_text(&fault, sizeof said, said);
    log_line(LOG_ERROR, "MODELS-REFUSED", "%s", said);
    return false;
}

int prepare_main(const struct config *config)
{
    char key[DATA_KEY_MAX];
    static struct change change;
    struct model_set *set = data_key(config, true, key) ? models_take(config, &change) : NULL;
    struct cache *cache = set != NULL ? cache_make(config) : NULL;
    bool ready = cache != NULL && models_ready(config, cache, set);
    if (ready) {
        atomic_store(&cache_control(cache)->mode, (uint32_t)change.mode);
        superseded_mark(config);
        for (uint32_t m = 0; m < set->count; m++)
            log_line(LOG_INFO, "MODEL", "name=%s version=%s group=%s currencies=%u", set->model[m].name,
                     set->model[m].version, set->model[m].group_name, set->model[m].currency_count);
    }
    if (cache != NULL)
        cache_close(cache);
    model_set_free(set);
    return ready ? EXIT_SUCCESS : EXIT_FAILURE;
}
