/* change.c - the change in force and the models that belong to it, as files. See change.h. */
#include "service/change.h"

#include "pricing/json_member.h"
#include "pricing/model_parse.h"
#include "service/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HISTORY_BYTES_MAX (1u << 19) /* then its older half goes */
#define FILES_MAX         1024u      /* looked at in a folder */
#define POLICIES          "/policies/"

static const char *const MODE[] = { "normal", "list", "frozen" };
static const char *const BY[] = { "sku", "category", "zone" };

const char *change_mode_name(enum rialto_mode mode)
{
    return MODE[mode];
}

const char *freeze_by_name(enum freeze_by by)
{
    return BY[by];
}

const char *freeze_fault(const struct freeze *freeze)
{
    const char *pattern = freeze->pattern, *star = strchr(pattern, '*');
    if (freeze->by == FREEZE_ZONE)
        return star != NULL ? "a zone is named without a star: all that lies inside it is held, too"
                            : zone_fault(pattern);
    if (star != NULL && star[1] != '\0')
        return "a star stands at the end";
    if (freeze->by == FREEZE_CATEGORY &&
        (pattern[0] == '/' || pattern[strlen(pattern) - 1] == '/' || strstr(pattern, "//") != NULL))
        return "a category is names joined by single slashes";
    return NULL;
}

bool freeze_covers(const struct freeze *freeze, const char *name)
{
    const char *pattern = freeze->pattern;
    size_t length = strlen(pattern);
    bool star = length > 0 && pattern[length - 1] == '*', category = freeze->by == FREEZE_CATEGORY;
    if (star && !(category && length > 2 && pattern[length - 2] == '/'))
        return strncmp(pattern, name, length - 1) == 0;
    length -= star ? 2 : 0; /* fresh/(star) is fresh */
    return strncmp(pattern, name, length) == 0 && (name[length] == '\0' || (category && name[length] == '/'));
}

/* ---- as JSON ------------------------------------------------------------------------------------------------------ */

static void text_take(const cJSON *object, const char *member, size_t n, char *ret)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    (void)snprintf(ret, n, "%s", cJSON_IsString(item) ? item->valuestring : "");
}

static int name_find(const char *const names[], int count, const cJSON *object, const char *member)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
    for (int i = 0; i < count && cJSON_IsString(item); i++)
        if (strcmp(names[i], item->valuestring) == 0)
            return i;
    return -1;
}

static bool freezes_take(const cJSON *object, struct change *ret)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "freeze"))
    {
        int by = name_find(BY, 3, item, "by"), mode = name_find(MODE, 3, item, "to");
        if (ret->freeze_count == CHANGE_FREEZES_MAX || by < 0 || mode == RIALTO_MODE_NORMAL || mode < 0)
            return false;
        struct freeze *freeze = &ret->freeze[ret->freeze_count++];
        freeze->by = (enum freeze_by)by;
        freeze->to_list = mode == RIALTO_MODE_LIST;
        text_take(item, "pattern", sizeof freeze->pattern, freeze->pattern);
    }
    return true;
}

static bool change_take(const cJSON *object, struct change *ret)
{
    char hash[24];
    memset(ret, 0, sizeof *ret);
    int mode = name_find(MODE, 3, object, "mode");
    ret->number = (uint64_t)json_whole(object, "change");
    ret->models = (uint64_t)json_whole(object, "models");
    ret->pinned = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "pinned"));
    ret->mode = mode < 0 ? RIALTO_MODE_NORMAL : (enum rialto_mode)mode;
    ret->when_ms = json_whole(object, "when_ms");
    text_take(object, "source_hash", sizeof hash, hash);
    ret->source_hash = strtoull(hash, NULL, 16);
    text_take(object, "who", sizeof ret->who, ret->who);
    text_take(object, "what", sizeof ret->what, ret->what);
    return ret->number > 0 && ret->models > 0 && ret->models <= ret->number && mode >= 0 && freezes_take(object, ret);
}

static char *change_text(const struct change *change)
{
    char hash[24];
    cJSON *object = cJSON_CreateObject();
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, change->source_hash);
    cJSON_AddNumberToObject(object, "change", (double)change->number);
    cJSON_AddNumberToObject(object, "models", (double)change->models);
    cJSON_AddStringToObject(object, "source_hash", hash);
    cJSON_AddBoolToObject(object, "pinned", change->pinned);
    cJSON_AddStringToObject(object, "mode", MODE[change->mode]);
    cJSON *list = cJSON_AddArrayToObject(object, "freeze");
    for (uint32_t i = 0; i < change->freeze_count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "by", BY[change->freeze[i].by]);
        cJSON_AddStringToObject(item, "pattern", change->freeze[i].pattern);
        cJSON_AddStringToObject(item, "to", MODE[change->freeze[i].to_list ? RIALTO_MODE_LIST : RIALTO_MODE_FROZEN]);
        cJSON_AddItemToArray(list, item);
    }
    cJSON_AddNumberToObject(object, "when_ms", (double)change->when_ms);
    cJSON_AddStringToObject(object, "who", change->who);
    cJSON_AddStringToObject(object, "what", change->what);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static char *text_read(const struct config *config, const char *name, size_t *ret_bytes, struct fault *fault)
{
    char path[DATA_PATH_MAX], *text = NULL;
    data_path(config, name, path);
    return file_read(path, &text, ret_bytes, fault) == RIALTO_OK ? text : NULL;
}

enum rialto_status change_load(const struct config *config, struct change *ret)
{
    struct fault fault = { 0 };
    char path[DATA_PATH_MAX];
    size_t bytes = 0;
    data_path(config, "change.json", path);
    if (access(path, F_OK) == -1 && errno == ENOENT)
        return RIALTO_NOT_FOUND;
    char *text = text_read(config, "change.json", &bytes, &fault);
    cJSON *object = text != NULL ? json_parse(text, bytes, 0, &fault) : NULL;
    bool good = object != NULL && change_take(object, ret);
    cJSON_Delete(object);
    free(text);
    if (!good)
        log_line(LOG_ERROR, "CHANGE", "path=%s is not what was written: %s", path, fault.reason);
    return good ? RIALTO_OK : RIALTO_REFUSED;
}

/* The newest half, from the beginning of a line on. */
static void history_cut(const struct config *config)
{
    char path[DATA_PATH_MAX];
    struct fault fault = { 0 };
    struct stat info;
    size_t bytes = 0;
    data_path(config, "changes.ndjson", path);
    if (stat(path, &info) == -1 || info.st_size < (off_t)HISTORY_BYTES_MAX)
        return;
    char *text = text_read(config, "changes.ndjson", &bytes, &fault);
    const char *half = text != NULL ? memchr(text + bytes / 2, '\n', bytes - bytes / 2) : NULL;
    if (half != NULL)
        (void)file_replace(path, half + 1, bytes - (size_t)(half + 1 - text));
    free(text);
}

/* The record is for people: a change is not refused because it cannot be written down. */
static void history_add(const struct config *config, const char *text)
{
    char path[DATA_PATH_MAX];
    history_cut(config);
    data_path(config, "changes.ndjson", path);
    FILE *file = fopen(path, "ae");
    bool written = file != NULL && fprintf(file, "%s\n", text) > 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file != NULL)
        (void)fclose(file);
    if (!written)
        log_line(LOG_WARNING, "CHANGE-NOT-RECORDED", "path=%s error=\"%s\"", path, strerror(errno));
}

bool change_save(const struct config *config, const struct change *change)
{
    char path[DATA_PATH_MAX];
    char *text = change_text(change);
    data_path(config, "change.json", path);
    bool saved = text != NULL && file_replace(path, text, strlen(text));
    if (saved)
        history_add(config, text);
    else
        log_line(LOG_ERROR, "CHANGE", "path=%s error=\"%s\"", path, strerror(errno));
    free(text);
    return saved;
}

void change_models_path(const struct config *config, uint64_t models, char ret[DATA_PATH_MAX])
{
    (void)snprintf(ret, DATA_PATH_MAX, "%s/models/%" PRIu64, config->data_dir, models);
}

bool change_stage_path(const struct config *config, const char *stage, char ret[DATA_PATH_MAX])
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = strlen(stage);
    if (length < 7 || length > 26 || strncmp(stage, "stage.", 6) != 0 || strspn(stage + 6, ALLOWED) != length - 6)
        return false;
    (void)snprintf(ret, DATA_PATH_MAX, "%s/models/%s", config->data_dir, stage);
    return true;
}

bool change_has_models(const struct config *config, uint64_t models)
{
    char path[DATA_PATH_MAX];
    struct stat info;
    change_models_path(config, models, path);
    return models > 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

uint64_t change_models_before(const struct config *config, const struct change *change)
{
    struct fault fault = { 0 };
    size_t bytes = 0;
    char *text = text_read(config, "changes.ndjson", &bytes, &fault);
    uint64_t before = 0, current = 0;
    for (char *line = text, *end; line != NULL && line < text + bytes; line = end + 1) {
        end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (end == NULL)
            break;
        cJSON *object = json_parse(line, (size_t)(end - line), 0, &fault);
        uint64_t models = (uint64_t)json_whole(object, "models");
        if (models != current && models != 0) {
            before = current;
            current = models;
        }
        cJSON_Delete(object);
    }
    free(text);
    return current == change->models && change_has_models(config, before) ? before : 0;
}

struct listed_walk { /* through the record, the oldest change first */
    int64_t from_ms, to_ms;
    int64_t since_ms; /* the last change that was read */
    uint64_t number;
    enum change_listed is, found; /* since it; in all */
};

static void listed_until(struct listed_walk *walk, int64_t until_ms, bool gap)
{
    enum change_listed was = gap && walk->is == CHANGE_LISTED_NOT ? CHANGE_LISTED_UNKNOWN : walk->is;
    if (walk->since_ms < walk->to_ms && until_ms > walk->from_ms && was > walk->found)
        walk->found = was;
}

static void listed_step(struct listed_walk *walk, const cJSON *object)
{
    uint64_t number = (uint64_t)json_whole(object, "change");
    if (number == 0) /* a line that was cut short: it is missed by its number */
        return;
    int64_t when_ms = json_whole(object, "when_ms");
    listed_until(walk, when_ms, number != walk->number + 1);
    walk->is = name_find(MODE, 3, object, "mode") == RIALTO_MODE_LIST ? CHANGE_LISTED : CHANGE_LISTED_NOT;
    walk->since_ms = when_ms;
    walk->number = number;
}

enum change_listed change_listed(const struct config *config, int64_t from_ms, int64_t to_ms)
{
    /* What was before the first line is not known: older ones are cut off, or a data folder was lost. */
    struct listed_walk walk = { from_ms, to_ms, INT64_MIN, 0, CHANGE_LISTED_UNKNOWN, CHANGE_LISTED_NOT };
    struct fault fault = { 0 };
    struct change now;
    size_t bytes = 0;
    char *text = text_read(config, "changes.ndjson", &bytes, &fault);
    if (text == NULL || change_load(config, &now) != RIALTO_OK) {
        free(text);
        return CHANGE_LISTED_UNKNOWN;
    }
    for (char *line = text, *end; line < text + bytes; line = end + 1) {
        end = memchr(line, '\n', bytes - (size_t)(line - text));
        if (end == NULL)
            break;
        cJSON *object = json_parse(line, (size_t)(end - line), 0, &fault);
        listed_step(&walk, object);
        cJSON_Delete(object);
    }
    free(text);
    listed_until(&walk, INT64_MAX, now.number != walk.number);
    return walk.found;
}

/* ---- folders of models --------------------------------------------------------------------------------------------- */

bool change_is_model_name(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".json") == 0 && name[0] != '.';
}

/* Our own copies only: other files in there keep rmdir() from working, and are left alone. */
static void files_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (change_is_model_name(entry->d_name))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(folder);
}

static void folder_remove(const char *folder)
{
    char policies[DATA_PATH_MAX + sizeof POLICIES];
    (void)snprintf(policies, sizeof policies, "%s" POLICIES, folder);
    files_remove(policies);
    files_remove(folder);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is to stand before the names: "" or "policies/". False: the folder cannot be read. */
static bool names_add(const char *folder, const char *before, char *names[FILES_MAX], uint32_t *count)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL && *count < FILES_MAX; entry = readdir(dir)) {
        size_t bytes = strlen(before) + strlen(entry->d_name) + 1;
        if (!change_is_model_name(entry->d_name) || (names[*count] = malloc(bytes)) == NULL)
            continue;
        (void)snprintf(names[(*count)++], bytes, "%s%s", before, entry->d_name);
    }
    (void)closedir(dir);
    return true;
}

/* The names of a folder's models and policies, in order; to be freed one by one. False: it cannot be read. */
static bool names_of(const char *folder, char *names[FILES_MAX], uint32_t *ret_count)
{
    char policies[2 * CONFIG_TEXT_MAX];
    *ret_count = 0;
    if (!names_add(folder, "", names, ret_count))
        return false;
    if (snprintf(policies, sizeof policies, "%s" POLICIES, folder) < (int)sizeof policies)
        (void)names_add(policies, &POLICIES[1], names, ret_count); /* most folders have none */
    qsort(names, *ret_count, sizeof names[0], by_name);
    return true;
}

uint64_t change_folder_hash(const char *folder)
{
    char *names[FILES_MAX], path[2 * CONFIG_TEXT_MAX];
    uint32_t count;
    uint64_t hash = 1;
    if (!names_of(folder, names, &count))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct fault fault = { 0 };
        char *text = NULL;
        size_t bytes = 0;
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, names[i]) < (int)sizeof path;
        hash = XXH3_64bits_withSeed(names[i], strlen(names[i]) + 1, hash);
        if (fits && file_read(path, &text, &bytes, &fault) == RIALTO_OK)
            hash = XXH3_64bits_withSeed(text, bytes, hash);
        free(text);
        free(names[i]);
    }
    return hash != 0 ? hash : 1;
}

static enum rialto_status file_copy(const char *from, const char *to, const char *name, struct fault *fault)
{
    char source[2 * CONFIG_TEXT_MAX], target[DATA_PATH_MAX + 300], *text = NULL;
    size_t bytes = 0;
    int a = snprintf(source, sizeof source, "%s/%s", from, name);
    int b = snprintf(target, sizeof target, "%s/%s", to, name);
    if (a < 0 || b < 0 || (size_t)a >= sizeof source || (size_t)b >= DATA_PATH_MAX)
        return fault_set(fault, NULL, 0, "", "%.60s: the name is too long", name);
    if (file_read(source, &text, &bytes, fault) != RIALTO_OK)
        return RIALTO_REFUSED;
    bool copied = file_replace(target, text, bytes);
    free(text);
    return copied ? RIALTO_OK : fault_set(fault, NULL, 0, "", "%.100s: %.60s", target, strerror(errno));
}

enum rialto_status change_stage_empty(const struct config *config, const char *stage, char ret_folder[DATA_PATH_MAX],
                                      struct fault *fault)
{
    char models[DATA_PATH_MAX], policies[DATA_PATH_MAX + sizeof POLICIES];
    data_path(config, "models", models);
    if (!change_stage_path(config, stage, ret_folder))
        return fault_set(fault, NULL, 0, "", "%.40s is no name of a stage", stage);
    folder_remove(ret_folder);
    (void)snprintf(policies, sizeof policies, "%s" POLICIES, ret_folder);
    if ((mkdir(models, 0700) == -1 && errno != EEXIST) || (mkdir(ret_folder, 0700) == -1 && errno != EEXIST) ||
        (mkdir(policies, 0700) == -1 && errno != EEXIST))
        return fault_set(fault, NULL, 0, "", "%.100s: %.60s", ret_folder, strerror(errno));
    return RIALTO_OK;
}

enum rialto_status change_stage(const struct config *config, const char *folder, const char *stage, struct fault *fault)
{
    char *names[FILES_MAX], target[DATA_PATH_MAX];
    uint32_t count;
    if (!names_of(folder, names, &count))
        return fault_set(fault, NULL, 0, "", "%.100s: %.60s", folder, strerror(errno));
    enum rialto_status status = change_stage_empty(config, stage, target, fault);
    for (uint32_t i = 0; i < count; i++) {
        if (status == RIALTO_OK)
            status = file_copy(folder, target, names[i], fault);
        free(names[i]);
    }
    if (status != RIALTO_OK)
        change_stage_drop(config, stage);
    return status;
}

void change_stage_drop(const struct config *config, const char *stage)
{
    char path[DATA_PATH_MAX];
    if (change_stage_path(config, stage, path))
        folder_remove(path);
}

static void remove_old(const struct config *config, const struct change *keep)
{
    char path[DATA_PATH_MAX];
    uint64_t number[FILES_MAX];
    uint32_t count = 0, newer;
    data_path(config, "models", path);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL && count < FILES_MAX; entry = readdir(dir)) {
        char *end;
        uint64_t value = strtoull(entry->d_name, &end, 10);
        if (value > 0 && *end == '\0')
            number[count++] = value;
    }
    (void)closedir(dir);
    for (uint32_t i = 0; i < count; i++) {
        newer = 0;
        for (uint32_t j = 0; j < count; j++)
            newer += number[j] > number[i];
        change_models_path(config, number[i], path);
        if (newer >= CHANGE_MODELS_KEPT && number[i] != keep->models)
            folder_remove(path);
    }
}

bool change_adopt(const struct config *config, const char *stage, uint64_t number, const struct change *keep)
{
    char from[DATA_PATH_MAX], to[DATA_PATH_MAX];
    change_models_path(config, number, to);
    folder_remove(to); /* of a change that never came into force */
    if (!change_stage_path(config, stage, from) || rename(from, to) == -1) {
        log_line(LOG_ERROR, "MODELS", "path=%s error=\"%s\"", to, strerror(errno));
        return false;
    }
    remove_old(config, keep);
    return true;
}
