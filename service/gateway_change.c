/* gateway_change.c - models and frozen prices come into force, on all workers or on none.
 *
 *   {"control":"change","key":...} --> next = in force + what is asked --> staged models adopted, groups and rules entered
 *     --> every worker has them ready (one refusal ends it) --> DATA_DIR/change.json --> mode word --> a batch with the
 *     number --> every worker has applied it --> answered
 *
 * Invariant  at most one change is on its way, and none begins before every worker has applied the one before.
 * Crash      before change.json was replaced nothing has happened; after it the number is handed out again at the start. */
#include "service/gateway.h"

#include "service/change.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/models_enter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANGUP_STAGE "stage.hangup"

static struct { /* one main thread, one change at a time */
    struct change now, next;
    struct offering offering; /* of the next */
    bool orders, next_orders; /* does it order to freeze by name? */
    bool busy;
    uint32_t slot;
    uint64_t seq; /* of the last change's batch */
} change;

const struct change *change_in_force(void)
{
    return &change.now;
}

static void refused(struct gateway *gateway, uint32_t slot, enum signal_reason reason, const char *pointer,
                    const char *text)
{
    struct fault fault;
    if (change.slot == slot)
        change.busy = false;
    metric_add(METRIC_changes_refused_total, 1);
    log_line(LOG_WARNING, "CHANGE-REFUSED", "who=\"%s\" what=\"%s\" why=\"%s\"", change.next.who, change.next.what, text);
    fault_set(&fault, NULL, 0, pointer, "%s", text);
    answer_refused(gateway, slot, reason, &fault);
}

/* ---- committing --------------------------------------------------------------------------------------------------- */

static void commit(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    ask_drop(request);
    if (!batch_has_room(gateway)) {
        refused(gateway, slot, REASON_no_answer, "", "a worker is behind: nothing was changed; try again");
        return;
    }
    if (!change_save(gateway->config, &change.next)) {
        refused(gateway, slot, REASON_no_answer, "", "it could not be written to the data folder: nothing was changed");
        return;
    }
    change.now = change.next;
    change.orders = change.next_orders;
    gateway->offering = change.offering;
    change.busy = false;
    atomic_store(&gateway->control->mode, (uint32_t)change.now.mode);
    metric_set(METRIC_change, change.now.number);
    metric_add(METRIC_changes_total, 1);
    log_line(LOG_INFO, "CHANGE", "change=%" PRIu64 " models=%" PRIu64 " mode=%s who=\"%s\" what=\"%s\"", change.now.number,
             change.now.models, change_mode_name(change.now.mode), change.now.who, change.now.what);
    change.seq = batch_change(gateway, change.now.number);
    request->kind = REQUEST_CHANGE;
    for (uint32_t i = 0; i < gateway->link_count; i++)
        request_need(request, i, change.seq);
    request_wait(gateway, slot);
}

/* The first worker's refusal, if any: "models/shop.json:3:7: ..." */
static cJSON *first_refusal(const struct gateway *gateway, const struct request *request)
{
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        cJSON *reply = request->reply[i] != NULL ? cJSON_Parse(request->reply[i]) : NULL;
        if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")))
            return reply != NULL ? reply : cJSON_CreateObject();
        cJSON_Delete(reply);
    }
    return NULL;
}

static void prepared(struct gateway *gateway, uint32_t slot)
{
    cJSON *refusal = first_refusal(gateway, &gateway->request[slot]);
    if (refusal == NULL) {
        commit(gateway, slot);
        return;
    }
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(refusal, "text");
    refused(gateway, slot, REASON_models_refused, "", cJSON_IsString(text) ? text->valuestring : "a worker refused the models");
    cJSON_Delete(refusal);
}

/* ---- the models --------------------------------------------------------------------------------------------------- */

/* Numbers for groups and rules; a fault of staged models is told with the stage's path taken off. */
static bool enter(struct gateway *gateway, const char *folder, char *why, size_t n)
{
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    enum rialto_status status = model_set_load(folder, &set, &fault);
    if (status == RIALTO_OK)
        status = models_enter(gateway->config, gateway->cache, set, &fault);
    if (status == RIALTO_OK)
        offering_of(set, &change.offering);
    model_set_free(set);
    if (status == RIALTO_OK)
        return true;
    const char *slash = strrchr(fault.file, '/');
    if (slash != NULL)
        memmove(fault.file, slash + 1, strlen(slash));
    (void)fault_text(&fault, n, why);
    return false;
}

static void prepare(struct gateway *gateway, uint32_t slot, const char *stage, bool allow_uncovered)
{
    char folder[DATA_PATH_MAX], why[512], question[128];
    if (stage != NULL)
        (void)change_stage_path(gateway->config, stage, folder);
    else
        change_models_path(gateway->config, change.next.models, folder);
    if (!enter(gateway, folder, why, sizeof why)) {
        refused(gateway, slot, REASON_models_refused, "", why);
        return;
    }
    if (stage != NULL) {
        uint64_t hash = change_folder_hash(folder);
        if (hash == change_folder_hash(gateway->config->models_dir))
            change.next.source_hash = hash; /* a restart need not take it again, not even after a rollback */
        change.next.models = change.next.number;
        if (!change_adopt(gateway->config, stage, change.next.number, &change.now)) {
            refused(gateway, slot, REASON_models_refused, "/stage", "the staged models cannot be taken");
            return;
        }
    }
    int bytes = snprintf(question, sizeof question, "{\"ask\":\"prepare\",\"models\":%" PRIu64 ",\"allow_uncovered\":%s}",
                         change.next.models, allow_uncovered ? "true" : "false");
    ask_workers(gateway, slot, UINT64_MAX >> (64 - gateway->link_count), question, (size_t)bytes, prepared);
}

/* ---- what is asked for -------------------------------------------------------------------------------------------- */

static const char *text_member(const cJSON *object, const char *member, size_t bytes_max)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= bytes_max)
        return NULL;
    for (const char *c = item->valuestring; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return NULL;
    return item->valuestring;
}

static bool is_same(const struct freeze *a, const struct freeze *b)
{
    return a->by == b->by && strcmp(a->pattern, b->pattern) == 0;
}

/* False: it was not there. */
static bool freeze_remove(struct change *next, const struct freeze *freeze)
{
    uint32_t kept = 0, before = next->freeze_count;
    for (uint32_t i = 0; i < before; i++)
        if (!is_same(&next->freeze[i], freeze))
            next->freeze[kept++] = next->freeze[i];
    next->freeze_count = kept;
    return kept < before;
}

/* {"by":"sku"|"category"|"zone","pattern":"...","to":"list"|"frozen"|"normal"}; normal = thawed. NULL, or why not: who freezes prices is in
 * a hurry, and must not believe that some are held which none of this means. */
static const char *take_freeze(const cJSON *item, struct change *next)
{
    const char *by = text_member(item, "by", 16), *to = text_member(item, "to", 16);
    const char *pattern = text_member(item, "pattern", RIALTO_ID_MAX);
    struct freeze freeze = { .by = FREEZE_SKU };
    if (by == NULL || to == NULL || pattern == NULL || pattern[0] == '\0')
        return "not what it may be";
    while (freeze.by <= FREEZE_ZONE && strcmp(by, freeze_by_name(freeze.by)) != 0)
        if (++freeze.by > FREEZE_ZONE)
            return "by is sku, category or zone";
    freeze.to_list = strcmp(to, "list") == 0;
    memcpy(freeze.pattern, pattern, strlen(pattern));
    bool was_there = freeze_remove(next, &freeze);
    if (strcmp(to, "normal") == 0)
        return was_there ? NULL : "nothing is frozen by these words; rialto status says what is";
    if (!freeze.to_list && strcmp(to, "frozen") != 0)
        return "to is list, frozen or normal";
    if (next->freeze_count == CHANGE_FREEZES_MAX)
        return "64 such orders are in force: take back some, or freeze a category, a zone or all";
    next->freeze[next->freeze_count++] = freeze;
    change.next_orders = true;
    return freeze_fault(&freeze);
}

/* A member that is no good, as a JSON pointer, and *ret_why; NULL: all are good. */
static const char *take_switches(const cJSON *object, struct change *next, const char **ret_why)
{
    const cJSON *pin = cJSON_GetObjectItemCaseSensitive(object, "pin");
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(object, "mode");
    const cJSON *thaw = cJSON_GetObjectItemCaseSensitive(object, "thaw_all"), *item;
    if (pin != NULL && !cJSON_IsBool(pin))
        return "/pin";
    if (pin != NULL)
        next->pinned = cJSON_IsTrue(pin);
    if (cJSON_IsTrue(thaw)) {
        next->freeze_count = 0;
        next->mode = RIALTO_MODE_NORMAL;
    }
    if (mode != NULL) {
        int number = 0;
        while (number < 3 && !(cJSON_IsString(mode) && strcmp(mode->valuestring, change_mode_name((enum rialto_mode)number)) == 0))
            number++;
        if (number == 3)
            return "/mode";
        next->mode = (enum rialto_mode)number;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "freeze"))
    {
        const char *why = take_freeze(item, next);
        if (why != NULL) {
            *ret_why = why;
            return "/freeze";
        }
    }
    return NULL;
}

static void change_begin(const struct gateway *gateway, uint32_t slot, const char *who, const char *what)
{
    change.next = change.now;
    change.next_orders = false;
    change.offering = gateway->offering; /* until other models are entered: most changes bring none */
    change.next.number = change.now.number + 1;
    change.next.when_ms = unix_ms();
    (void)snprintf(change.next.who, sizeof change.next.who, "%s", who);
    (void)snprintf(change.next.what, sizeof change.next.what, "%s", what);
    change.slot = slot;
}

/* NULL, or why no change may begin now. */
static const char *not_now(const struct gateway *gateway)
{
    if (change.busy)
        return "another change is on its way: try again";
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (gateway->link[i].applied < change.seq)
            return "the change before is not yet in force everywhere: try again";
    return NULL;
}

static void go(struct gateway *gateway, uint32_t slot, const char *stage, uint64_t models, bool allow_uncovered)
{
    const char *wait = not_now(gateway);
    bool other = stage != NULL || (models != 0 && models != change.now.models);
    if (wait != NULL)
        refused(gateway, slot, REASON_no_answer, "", wait);
    else if (other && change.now.pinned && change.next.pinned)
        refused(gateway, slot, REASON_pinned, "", signal_reason_text(REASON_pinned));
    else if (models != 0 && !change_has_models(gateway->config, models))
        refused(gateway, slot, REASON_models_refused, "/models", "those models are not kept (any more)");
    else {
        change.busy = true;
        change.next.models = models != 0 ? models : change.now.models;
        if (other)
            prepare(gateway, slot, stage, allow_uncovered);
        else
            commit(gateway, slot);
    }
}

void change_control(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot;
    char folder[DATA_PATH_MAX];
    const char *who = text_member(object, "who", CHANGE_WHO_MAX), *what = text_member(object, "what", CHANGE_WHAT_MAX);
    const char *stage = text_member(object, "stage", 32);
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, "models");
    uint64_t models = cJSON_IsNumber(number) && number->valuedouble >= 1 && number->valuedouble < 9e15 ? (uint64_t)number->valuedouble : 0;
    request_begin(gateway, slot, received->arrived_us, REQUEST_ASK);
    if (change.busy) { /* what `next` holds is another one's */
        struct fault fault;
        fault_set(&fault, NULL, 0, "", "%s", not_now(gateway));
        answer_refused(gateway, slot, REASON_no_answer, &fault);
        return;
    }
    change_begin(gateway, slot, who != NULL ? who : "", what != NULL ? what : "");
    const char *why = "not what it may be";
    const char *wrong = who == NULL ? "/who" : what == NULL ? "/what" : take_switches(object, &change.next, &why);
    if (wrong == NULL && stage == NULL && cJSON_GetObjectItemCaseSensitive(object, "stage") != NULL)
        wrong = "/stage";
    if (wrong == NULL && stage != NULL && !change_stage_path(gateway->config, stage, folder))
        wrong = "/stage";
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "rollback"))) {
        models = change_models_before(gateway->config, &change.now);
        if (models == 0) {
            refused(gateway, slot, REASON_models_refused, "/rollback", "no models from before are kept");
            return;
        }
    }
    if (wrong != NULL)
        refused(gateway, slot, REASON_out_of_range, wrong, why);
    else
        go(gateway, slot, stage, models, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "allow_uncovered")));
}

/* SIGHUP: the supervisor had models_dir staged and checked. Nobody waits for an answer; the log tells. */
void change_hangup(struct gateway *gateway)
{
    char what[CHANGE_WHAT_MAX];
    if (change.busy || gateway->request[INTERNAL_SLOT].phase != REQUEST_IDLE) {
        log_line(LOG_WARNING, "CHANGE-REFUSED", "why=\"another change is on its way\"");
        return;
    }
    (void)snprintf(what, sizeof what, "SIGHUP: apply %.150s", gateway->config->models_dir);
    request_begin(gateway, INTERNAL_SLOT, mono_us(), REQUEST_ASK);
    audit_note(gateway, INTERNAL_SLOT, "apply", "SIGHUP", "", what);
    change_begin(gateway, INTERNAL_SLOT, "SIGHUP", what);
    go(gateway, INTERNAL_SLOT, HANGUP_STAGE, 0, false);
}

/* ---- start, answers ------------------------------------------------------------------------------------------------ */

/* Which of the models in force make offers, and whether any reads affinity. Workers refuse to start with models that cannot be read. */
static void offering_start(struct gateway *gateway)
{
    char folder[DATA_PATH_MAX];
    struct model_set *set = NULL;
    struct fault fault = { 0 };
    change_models_path(gateway->config, change.now.models, folder);
    if (model_set_load(folder, &set, &fault) == RIALTO_OK)
        offering_of(set, &gateway->offering);
    model_set_free(set);
}

bool change_start(struct gateway *gateway)
{
    if (change_load(gateway->config, &change.now) != RIALTO_OK)
        return false;
    offering_start(gateway);
    metric_set(METRIC_change, change.now.number);
    /* Should the gateway have died between the file and the batch: who has the number already passes it over. */
    change.seq = batch_change(gateway, change.now.number);
    return true;
}

void change_given_up(struct gateway *gateway, uint32_t slot)
{
    (void)gateway;
    if (change.busy && change.slot == slot)
        change.busy = false;
}

int64_t change_held(const struct gateway *gateway)
{
    int64_t held = 0;
    for (uint32_t i = 0; i < gateway->link_count && change.orders; i++) {
        if (gateway->link[i].held == 0)
            return -1;
        held += gateway->link[i].held - 1;
    }
    return change.orders ? held : -1;
}

cJSON *change_json(void)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "number", (double)change.now.number);
    cJSON_AddNumberToObject(object, "models", (double)change.now.models);
    cJSON_AddBoolToObject(object, "pinned", change.now.pinned);
    cJSON_AddStringToObject(object, "mode", change_mode_name(change.now.mode));
    cJSON *list = cJSON_AddArrayToObject(object, "freeze");
    for (uint32_t i = 0; i < change.now.freeze_count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "by", freeze_by_name(change.now.freeze[i].by));
        cJSON_AddStringToObject(item, "pattern", change.now.freeze[i].pattern);
        cJSON_AddStringToObject(item, "to", change.now.freeze[i].to_list ? "list" : "frozen");
        cJSON_AddItemToArray(list, item);
    }
    cJSON_AddNumberToObject(object, "when_ms", (double)change.now.when_ms);
    cJSON_AddStringToObject(object, "who", change.now.who);
    cJSON_AddStringToObject(object, "what", change.now.what);
    return object;
}
