/* web_models.c - models over HTTP: look at them, check new ones, see what they would change, bring them into force, go back.
 *
 *   {"files":{"shop.json":"..."}} --> DATA_DIR/models/stage.webN --checked here--> faults by file, line and column
 *                                                                 --"diff", "change"--> gateway (service/gateway_change.c)
 *
 * Bounded    STAGES_MAX requests may have models staged at once; a stage is gone when its exchange ends, or with the next that takes it.
 * Not here   what a change is, and that it happens on all workers or on none: gateway_change.c. */
#include "pricing/json_member.h"
#include "pricing/model.h"
#include "pricing/remark.h"
#include "service/change.h"
#include "service/clock.h"
#include "service/diff_merge.h"
#include "service/web.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGES_MAX         8
#define FILES_MAX          256 /* in one request, and listed of one change */
#define NAME_CHARS_MAX     60
#define CHANGES_LISTED     50
#define MOVES_LISTED       50
#define HTTP_UNPROCESSABLE 422 /* its name in libmicrohttpd changed */

static enum MHD_Result bad(struct exchange *exchange, const char *why)
{
    return problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "The body cannot be taken like this", "%s", why);
}

/* ---- what is there ------------------------------------------------------------------------------------------------------- */

/* The model files of a kept change: their names as a list, or names and texts as an object. NULL: there are none. */
static cJSON *files_of(const struct config *config, uint64_t change, bool texts)
{
    char folder[DATA_PATH_MAX], path[DATA_PATH_MAX + NAME_CHARS_MAX + 256];
    change_models_path(config, change, folder);
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return NULL;
    cJSON *files = texts ? cJSON_CreateObject() : cJSON_CreateArray();
    int count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && count < FILES_MAX; entry = readdir(dir)) {
        struct fault fault = { 0 };
        char *text = NULL;
        size_t bytes = 0;
        if (!change_is_model_name(entry->d_name))
            continue;
        count++;
        if (!texts) {
            cJSON_AddItemToArray(files, cJSON_CreateString(entry->d_name));
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (file_read(path, &text, &bytes, &fault) == RIALTO_OK)
            cJSON_AddStringToObject(files, entry->d_name, text);
        free(text);
    }
    (void)closedir(dir);
    return files;
}

static bool is_listed(const cJSON *kept, uint64_t change)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, kept)
    {
        if (json_member(item, "change")->valuedouble == (double)change)
            return true;
    }
    return false;
}

/* The last lines of changes.ndjson, the newest first; *ret_kept: those whose models are kept, with the names of their files. */
static cJSON *changes_of(const struct config *config, cJSON **ret_kept)
{
    char path[DATA_PATH_MAX], *text = NULL;
    struct fault fault = { 0 };
    size_t bytes = 0;
    cJSON *list = cJSON_CreateArray();
    *ret_kept = cJSON_CreateArray();
    data_path(config, "changes.ndjson", path);
    if (file_read(path, &text, &bytes, &fault) != RIALTO_OK)
        return list;
    for (char *end = text + bytes; end > text && cJSON_GetArraySize(list) < CHANGES_LISTED;) {
        char *line = end - 1; /* on the line feed */
        while (line > text && line[-1] != '\n')
            line--;
        cJSON *change = json_parse(line, (size_t)(end - line), 0, &fault);
        end = line;
        if (change == NULL)
            continue;
        cJSON_DeleteItemFromObject(change, "source_hash");
        const cJSON *models = json_member(change, "models");
        uint64_t number = cJSON_IsNumber(models) ? (uint64_t)models->valuedouble : 0;
        cJSON *files = !is_listed(*ret_kept, number) ? files_of(config, number, false) : NULL;
        if (files != NULL) {
            cJSON *kept = cJSON_CreateObject();
            cJSON_AddNumberToObject(kept, "change", (double)number);
            cJSON_AddItemToObject(kept, "files", files);
            cJSON_AddItemToArray(*ret_kept, kept);
        }
        cJSON_AddItemToArray(list, change);
    }
    free(text);
    return list;
}

enum MHD_Result web_models_list(struct exchange *exchange)
{
    cJSON *all = cJSON_CreateObject(), *kept;
    cJSON *changes = changes_of(exchange->web->config, &kept);
    cJSON_AddItemToObject(all, "changes", changes);
    cJSON_AddItemToObject(all, "kept", kept);
    return respond_json(exchange, MHD_HTTP_OK, all);
}

enum MHD_Result web_models_show(struct exchange *exchange)
{
    size_t digits = strspn(exchange->tail, "0123456789");
    bool number = digits > 0 && digits < 16 && exchange->tail[digits] == '\0';
    uint64_t change = number ? strtoull(exchange->tail, NULL, 10) : 0;
    cJSON *files = change > 0 ? files_of(exchange->web->config, change, true) : NULL;
    if (files == NULL)
        return problem(exchange, MHD_HTTP_NOT_FOUND, "unknown-change", "No such models",
                       "models are named by the change that brought them; the last 16 are kept");
    cJSON *all = cJSON_CreateObject();
    cJSON_AddNumberToObject(all, "change", (double)change);
    cJSON_AddItemToObject(all, "files", files);
    return respond_json(exchange, MHD_HTTP_OK, all);
}

/* ---- staging --------------------------------------------------------------------------------------------------------------- */

static void stage_name(const struct exchange *exchange, char ret[32])
{
    (void)snprintf(ret, 32, "stage.web%d", exchange->stage);
}

static bool stage_take(struct exchange *exchange)
{
    for (int i = 0; i < STAGES_MAX && exchange->stage == 0; i++)
        if ((atomic_fetch_or(&exchange->web->stages, 1u << i) >> i & 1u) == 0)
            exchange->stage = i + 1;
    return exchange->stage != 0;
}

void models_stage_drop(struct exchange *exchange)
{
    char name[32];
    if (exchange->stage == 0)
        return;
    stage_name(exchange, name);
    change_stage_drop(exchange->web->config, name); /* nothing is there if it came into force */
    (void)atomic_fetch_and(&exchange->web->stages, ~(1u << (exchange->stage - 1)));
    exchange->stage = 0;
}

static bool name_fits(const char *name)
{
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);
    return change_is_model_name(name) && length <= NAME_CHARS_MAX && strspn(name, ALLOWED) == length;
}

/* NULL, or why it could not be written. A text keeps its lines, and comments; an object is printed. */
static const char *file_write(const char *folder, const cJSON *file)
{
    char path[DATA_PATH_MAX + NAME_CHARS_MAX + 2];
    if (!name_fits(file->string))
        return "a file's name is at most 60 letters, digits, dots, dashes and underscores, and ends in .json";
    if (!cJSON_IsString(file) && !cJSON_IsObject(file))
        return "a file is its text, or an object";
    char *text = cJSON_IsString(file) ? strdup(file->valuestring) : cJSON_Print(file);
    (void)snprintf(path, sizeof path, "%s/%s", folder, file->string);
    bool written = text != NULL && file_replace(path, text, strlen(text));
    free(text);
    return written ? NULL : "the service cannot write into its data folder";
}

static void fault_put(cJSON *list, const struct fault *fault)
{
    const char *slash = strrchr(fault->file, '/');
    cJSON *item = cJSON_CreateObject();
    const char *file = slash != NULL ? slash + 1 : fault->file;
    cJSON_AddStringToObject(item, "file", strncmp(file, "stage.", 6) == 0 ? "" : file);
    cJSON_AddNumberToObject(item, "line", fault->line);
    cJSON_AddNumberToObject(item, "column", fault->column);
    cJSON_AddStringToObject(item, "pointer", fault->pointer);
    cJSON_AddStringToObject(item, "reason", fault->reason);
    cJSON_AddItemToArray(list, item);
}

static enum MHD_Result faults_answer(struct exchange *exchange, const struct fault_list *faults)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < faults->count; i++)
        fault_put(list, &faults->fault[i]);
    char *printed = cJSON_PrintUnformatted(list);
    struct text text = { 0 };
    cJSON_Delete(list);
    problem_begin(&text, exchange, HTTP_UNPROCESSABLE, "models-refused", "The models were refused: nothing was changed",
                  "faults says where and why");
    text_put(&text, ",\"faults\":%s,\"more_faults\":%u}\n", printed != NULL ? printed : "[]", faults->dropped);
    free(printed);
    return respond(exchange, HTTP_UNPROCESSABLE, TYPE_PROBLEM, &text);
}

static cJSON *models_described(const struct model_set *set)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < set->count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", set->model[i].name);
        cJSON_AddStringToObject(item, "version", set->model[i].version);
        cJSON_AddStringToObject(item, "group", set->model[i].group_name);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static void remarks_put(cJSON *list, uint32_t count, const struct remark remark[])
{
    for (uint32_t i = 0; i < count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "remark", remark[i].word);
        cJSON_AddStringToObject(item, "model", remark[i].model);
        cJSON_AddStringToObject(item, remark[i].of, remark[i].name);
        for (int n = 0; n < 2; n++)
            cJSON_AddNumberToObject(item, remark[i].number_name[n], remark[i].number[n]);
        cJSON_AddStringToObject(item, "text", remark[i].text);
        cJSON_AddItemToArray(list, item);
    }
}

static cJSON *remarks_of(const struct model_set *set)
{
    struct remark remark[REMARKS_MAX];
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < set->count; i++)
        remarks_put(list, remark_factors(&set->model[i], remark), remark);
    for (uint32_t i = 0; i < set->count; i++)
        remarks_put(list, remark_offers(set, &set->model[i], unix_ms(), remark), remark);
    return list;
}

static cJSON *winners_of(const struct model_set *set)
{
    cJSON *list = cJSON_CreateArray();
    struct remark_winner winner;
    for (uint32_t i = 0; i < set->count; i++)
        for (uint32_t j = i + 1; j < set->count; j++) {
            if (!remark_winner(&set->model[i], &set->model[j], &winner))
                continue;
            cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "winner", winner.winner);
            cJSON_AddItemToObject(item, "models", cJSON_CreateStringArray(winner.model, 2));
            cJSON_AddStringToObject(item, "by", winner.by);
            cJSON_AddStringToObject(item, "where", winner.where);
            cJSON_AddStringToObject(item, "text", winner.text);
            cJSON_AddItemToArray(list, item);
        }
    return list;
}

/* What `rialto check` says of good models. */
static cJSON *set_checked(const struct model_set *set)
{
    cJSON *all = cJSON_CreateObject();
    cJSON_AddItemToObject(all, "models", models_described(set));
    cJSON_AddItemToObject(all, "remarks", remarks_of(set));
    cJSON_AddItemToObject(all, "winners", winners_of(set));
    return all;
}

/* The body's files as a stage, checked. What is said of good models, or NULL: *ret_refused was answered. */
static cJSON *stage_checked(struct exchange *exchange, const cJSON *body, enum MHD_Result *ret_refused)
{
    const struct config *config = exchange->web->config;
    const cJSON *files = json_member(body, "files"), *file;
    char folder[DATA_PATH_MAX], name[32];
    struct fault fault = { 0 };
    if (!cJSON_IsObject(files) || files->child == NULL || cJSON_GetArraySize(files) > FILES_MAX) {
        *ret_refused = bad(exchange, "files must be an object of at most 256 model files by name");
        return NULL;
    }
    if (!stage_take(exchange)) {
        metric_add(METRIC_http_crowded_total, 1);
        *ret_refused = problem(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "crowded", "Too many models are being looked at",
                               "try again");
        return NULL;
    }
    stage_name(exchange, name);
    const char *wrong = change_stage_empty(config, name, folder, &fault) == RIALTO_OK ? NULL : fault.reason;
    cJSON_ArrayForEach(file, files)
    {
        if (wrong == NULL)
            wrong = file_write(folder, file);
    }
    if (wrong != NULL) {
        *ret_refused = bad(exchange, wrong);
        return NULL;
    }
    struct fault_list *faults = calloc(1, sizeof *faults);
    struct model_set *set = NULL;
    cJSON *checked = NULL;
    if (faults == NULL)
        *ret_refused = MHD_NO;
    else if (model_set_load_all(folder, &set, faults) != RIALTO_OK)
        *ret_refused = faults_answer(exchange, faults);
    else
        checked = set_checked(set);
    model_set_free(set);
    free(faults);
    return checked;
}

enum MHD_Result web_models_check(struct exchange *exchange)
{
    static const char *const known[] = { "files", NULL };
    enum MHD_Result refused;
    cJSON *body = body_json(exchange, known, &refused);
    cJSON *checked = body != NULL ? stage_checked(exchange, body, &refused) : NULL;
    cJSON_Delete(body);
    return checked == NULL ? refused : respond_json(exchange, MHD_HTTP_OK, checked);
}

/* ---- what would change -------------------------------------------------------------------------------------------------- */

static enum MHD_Result diff_told(struct exchange *exchange)
{
    enum MHD_Result result;
    cJSON *answer = question_answer(exchange, &result);
    if (answer == NULL)
        return result;
    const cJSON *refusal = diff_refusal(answer), *why = json_member(refusal, "text");
    if (refusal != NULL)
        result = problem(exchange, HTTP_UNPROCESSABLE, "models-refused", "The models were refused: nothing was changed",
                         "%s", cJSON_IsString(why) ? why->valuestring : "a worker refused them");
    else
        result = respond_json(exchange, MHD_HTTP_OK, diff_merge(answer, MOVES_LISTED));
    cJSON_Delete(answer);
    return result;
}

enum MHD_Result web_models_diff(struct exchange *exchange)
{
    static const char *const known[] = { "files", NULL };
    enum MHD_Result refused;
    char name[32];
    cJSON *body = body_json(exchange, known, &refused);
    cJSON *checked = body != NULL ? stage_checked(exchange, body, &refused) : NULL;
    cJSON_Delete(body);
    if (checked == NULL)
        return refused;
    cJSON_Delete(checked);
    stage_name(exchange, name);
    cJSON *question = question_of(exchange, "diff");
    cJSON_AddStringToObject(question, "stage", name);
    return question_ask(exchange, question, diff_told);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------------- */

/* "what" for the record: what was done, and the note. False: the note is no text, or too long. */
static bool add_what(cJSON *question, const cJSON *body, const char *what)
{
    char text[CHANGE_WHAT_MAX];
    const cJSON *note = json_member(body, "note");
    const char *said = cJSON_IsString(note) ? note->valuestring : "";
    if ((note != NULL && !cJSON_IsString(note)) || strlen(said) > CHANGE_NOTE_MAX)
        return false;
    (void)snprintf(text, sizeof text, "%.180s%s%s", what, said[0] != '\0' ? ": " : "", said);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    cJSON_AddStringToObject(question, "what", text);
    return true;
}

static bool bool_member(const cJSON *body, const char *name, bool *ret)
{
    const cJSON *item = json_member(body, name);
    *ret = cJSON_IsTrue(item);
    return item == NULL || cJSON_IsBool(item);
}

/* Frees body and question. */
static enum MHD_Result change_ask(struct exchange *exchange, cJSON *body, cJSON *question, const char *what,
                                  const char *wrong)
{
    if (wrong == NULL && !add_what(question, body, what))
        wrong = "note is a text of at most 120 bytes";
    cJSON_Delete(body);
    if (wrong == NULL)
        return question_ask(exchange, question, question_pass_on);
    cJSON_Delete(question);
    return bad(exchange, wrong);
}

enum MHD_Result web_models_apply(struct exchange *exchange)
{
    static const char *const known[] = { "files", "note", "allow_uncovered", NULL };
    enum MHD_Result refused;
    bool uncovered = false;
    char name[32];
    cJSON *body = body_json(exchange, known, &refused);
    cJSON *checked = body != NULL ? stage_checked(exchange, body, &refused) : NULL;
    if (checked == NULL) {
        cJSON_Delete(body);
        return refused;
    }
    cJSON_Delete(checked);
    const char *wrong = bool_member(body, "allow_uncovered", &uncovered) ? NULL : "allow_uncovered is true or false";
    cJSON *question = question_of(exchange, "change");
    stage_name(exchange, name);
    cJSON_AddStringToObject(question, "stage", name);
    cJSON_AddBoolToObject(question, "allow_uncovered", uncovered);
    return change_ask(exchange, body, question, "apply", wrong);
}

enum MHD_Result web_models_rollback(struct exchange *exchange)
{
    static const char *const known[] = { "to", "note", "allow_uncovered", NULL };
    enum MHD_Result refused;
    bool uncovered = false;
    char what[48] = "rollback";
    cJSON *body = body_json(exchange, known, &refused);
    if (body == NULL)
        return refused;
    const char *wrong = bool_member(body, "allow_uncovered", &uncovered) ? NULL : "allow_uncovered is true or false";
    const cJSON *to = json_member(body, "to");
    cJSON *question = question_of(exchange, "change");
    if (to == NULL)
        cJSON_AddBoolToObject(question, "rollback", true);
    else if (!cJSON_IsNumber(to) || to->valuedouble < 1 || to->valuedouble > 9e15 ||
             to->valuedouble != (double)(uint64_t)to->valuedouble)
        wrong = "to is the number of a change";
    else {
        cJSON_AddNumberToObject(question, "models", to->valuedouble);
        (void)snprintf(what, sizeof what, "rollback to %.0f", to->valuedouble);
    }
    cJSON_AddBoolToObject(question, "allow_uncovered", uncovered);
    return change_ask(exchange, body, question, what, wrong);
}

enum MHD_Result web_models_pin(struct exchange *exchange)
{
    static const char *const known[] = { "pinned", "note", NULL };
    enum MHD_Result refused;
    cJSON *body = body_json(exchange, known, &refused);
    if (body == NULL)
        return refused;
    const cJSON *pinned = json_member(body, "pinned");
    cJSON *question = question_of(exchange, "change");
    cJSON_AddBoolToObject(question, "pin", cJSON_IsTrue(pinned));
    return change_ask(exchange, body, question, cJSON_IsTrue(pinned) ? "pin" : "pin taken back",
                      cJSON_IsBool(pinned) ? NULL : "pinned is true or false");
}

/* ---- freezing -------------------------------------------------------------------------------------------------------------- */

/* {"all":true} or one of sku, category and zone; "to": list, last, off. Fills the question and `what`; NULL, or what is wrong. */
static const char *freeze_take(const cJSON *body, cJSON *question, size_t n, char *what)
{
    static const char *const BY[] = { "sku", "category", "zone" };
    const cJSON *to = json_member(body, "to"), *pattern = NULL;
    const char *word = cJSON_IsString(to) ? to->valuestring : to == NULL ? "last" : "", *by = NULL;
    const char *mode = strcmp(word, "off") == 0    ? "normal"
                       : strcmp(word, "list") == 0 ? "list"
                       : strcmp(word, "last") == 0 ? "frozen"
                                                   : NULL;
    int count = cJSON_IsTrue(json_member(body, "all"));
    for (size_t i = 0; i < sizeof BY / sizeof BY[0]; i++) {
        if (json_member(body, BY[i]) == NULL)
            continue;
        count++;
        by = BY[i];
        pattern = json_member(body, by);
    }
    if (mode == NULL)
        return "to is list, last or off";
    if (count != 1 || (by != NULL && !cJSON_IsString(pattern)))
        return "one of all (true), sku, category and zone (texts) says which prices";
    if (by == NULL && strcmp(mode, "normal") == 0)
        cJSON_AddBoolToObject(question, "thaw_all", true);
    else if (by == NULL)
        cJSON_AddStringToObject(question, "mode", mode);
    else {
        cJSON *item = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(question, "freeze");
        cJSON_AddStringToObject(item, "by", by);
        cJSON_AddStringToObject(item, "pattern", pattern->valuestring);
        cJSON_AddStringToObject(item, "to", mode);
        cJSON_AddItemToArray(list, item);
    }
    bool off = strcmp(word, "off") == 0;
    (void)snprintf(what, n, "%s %s%s%.64s%s%s", off ? "thaw" : "freeze", by != NULL ? by : "all", by != NULL ? " " : "",
                   by != NULL ? pattern->valuestring : "", off ? "" : " to ", off ? "" : word);
    return NULL;
}

enum MHD_Result web_freeze(struct exchange *exchange)
{
    static const char *const known[] = { "all", "sku", "category", "zone", "to", "note", NULL };
    enum MHD_Result refused;
    char what[128] = "";
    cJSON *body = body_json(exchange, known, &refused);
    if (body == NULL)
        return refused;
    cJSON *question = question_of(exchange, "change");
    const char *wrong = freeze_take(body, question, sizeof what, what);
    return change_ask(exchange, body, question, what, wrong);
}
