/* model_set.c - all models of a folder, loaded whole or refused whole.
 *
 *   folder --list, sorted--> file --model_parse--> model ... --sorted by name, checked against each other--> set
 *
 * A set is immutable once model_set_number_groups() has run, so that any thread may price with it. */
#include "pricing/model.h"
#include "pricing/scope.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 4096

struct file_list {
    uint32_t count;
    bool too_many;
    char *name[MODELS_MAX];
};

static enum rialto_status refuse(struct fault *fault, const char *file, const char *reason)
{
    fault_path(fault->file, file);
    return fault_set(fault, NULL, 0, "", "%s", reason);
}

/* ---- the files of a folder ------------------------------------------------------------------------------ */

static bool is_model_file(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".json") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void files_free(struct file_list *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        free(files->name[i]);
    files->count = 0;
}

/* False with errno when reading fails. */
static bool collect(DIR *folder, struct file_list *files)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            return errno == 0;
        if (!is_model_file(entry->d_name))
            continue;
        if (files->count == MODELS_MAX) {
            files->too_many = true;
            return true;
        }
        files->name[files->count] = strdup(entry->d_name);
        if (files->name[files->count] == NULL)
            return false;
        files->count++;
    }
}

static enum rialto_status files_of(const char *folder, struct file_list *files, struct fault *fault)
{
    DIR *open_folder = opendir(folder);
    if (open_folder == NULL)
        return refuse(fault, folder, strerror(errno));
    bool collected = collect(open_folder, files);
    int error = errno;
    (void)closedir(open_folder);
    if (!collected)
        return refuse(fault, folder, strerror(error));
    if (files->too_many)
        return refuse(fault, folder, "more than 64 models in one folder");
    if (files->count == 0)
        return refuse(fault, folder, "no model (*.json) in this folder");
    qsort(files->name, files->count, sizeof files->name[0], compare_names);
    return RIALTO_OK;
}

/* ---- what models must agree about ------------------------------------------------------------------------ */

/* A customer's events are counted once, whichever models look at them. */
static bool measure_alike(const struct model *a, const struct model *b)
{
    return !model_reads_affinity(a) || !model_reads_affinity(b) ||
           (a->affinity.half_life_s == b->affinity.half_life_s &&
            memcmp(a->affinity.weight_micro, b->affinity.weight_micro, sizeof a->affinity.weight_micro) == 0);
}

/* Both give personal terms to the same group, at the same time, and neither of them as an exception with dates. */
static bool give_alike(const struct model *a, const struct model *b)
{
    return a->personal_count > 0 && b->personal_count > 0 && strcmp(a->group_name, b->group_name) == 0 &&
           a->from_ms < b->until_ms && b->from_ms < a->until_ms && scope_is_dated(a) == scope_is_dated(b);
}

/* What a model says against one of the files before it; the text gives the place. */
static enum rialto_status check_pair(const struct model *a, const struct model *b, const char *text, size_t bytes,
                                     struct fault_list *faults)
{
    struct fault fault = { 0 };
    fault_path(fault.file, b->file);
    if (strcmp(a->name, b->name) == 0) { /* perhaps a copy: what else they share would only repeat it */
        (void)fault_set(&fault, text, bytes, "/model", "%.100s has a model of the same name", a->file);
        return fault_add(faults, &fault);
    }
    enum rialto_status status = RIALTO_OK;
    char claim[160];
    if (give_alike(a, b)) {
        (void)fault_set(&fault, text, bytes, "/personal", "model %s gives personal terms to the group \"%s\" already",
                        a->name, a->group_name);
        status = fault_add(faults, &fault);
    }
    if (!measure_alike(a, b)) {
        (void)fault_set(&fault, text, bytes, "/affinity",
                        "model %s measures affinity by another half_life or other weights", a->name);
        status = fault_add(faults, &fault);
    }
    if (scope_conflict(a, b, sizeof claim, claim)) {
        (void)fault_set(&fault, text, bytes, "/scope", "model %s claims %s just as precisely", a->name, claim);
        status = fault_add(faults, &fault);
    }
    return status;
}

/* A model against those of the files before it. */
static enum rialto_status check_against_earlier(const struct model_set *set, const struct model *model,
                                                const char *text, size_t bytes, struct fault_list *faults)
{
    enum rialto_status status = RIALTO_OK;
    for (uint32_t i = 0; i < set->count; i++)
        if (check_pair(&set->model[i], model, text, bytes, faults) != RIALTO_OK)
            status = RIALTO_REFUSED;
    return status;
}

/* The sensitive attribute that a word of a personal factor names, or -1. */
static int sensitive_word(const struct model_personal *personal, uint32_t word)
{
    bool words = personal->kind == PERSONAL_TIER || personal->kind == PERSONAL_SEGMENT;
    return words ? policy_sensitive(personal->word[word]) : -1;
}

/* What discriminates against people moves no price, whatever it is called, unless a policy in force says that it may. */
static enum rialto_status check_attributes(const struct policy_book *policies, const struct model *model, const char *text,
                                           size_t bytes, struct fault_list *faults)
{
    enum rialto_status status = RIALTO_OK;
    for (uint32_t i = 0; i < model->personal_count; i++) {
        const struct model_personal *personal = &model->personal[i];
        for (uint32_t w = 0; w < personal->point_count; w++) {
            int attribute = sensitive_word(personal, w);
            if (attribute < 0 || policies_permit(policies, attribute))
                continue;
            struct fault fault = { 0 };
            char pointer[64];
            (void)snprintf(pointer, sizeof pointer, "/personal/%u", i);
            fault_path(fault.file, model->file);
            (void)fault_set(&fault, text, bytes, pointer, "\"%.31s\" is about %s, which moves no price unless a policy permits it",
                            personal->word[w], policy_sensitive_name(attribute));
            status = fault_add(faults, &fault);
        }
    }
    return status;
}

/* What the rules of each model tell of its whole price group. */
static void tell_groups(struct model_set *set)
{
    for (uint32_t m = 0; m < set->count; m++) {
        struct model *model = &set->model[m];
        for (uint32_t i = 0; i < set->count; i++) {
            const struct model *other = &set->model[i];
            for (uint32_t p = 0; strcmp(other->group_name, model->group_name) == 0 && p < other->personal_count; p++) {
                const struct model_personal *personal = &other->personal[p];
                model->group_reads = (uint8_t)(model->group_reads | personal->consent |
                                               (personal_takes_others(personal->kind) ? RIALTO_KIND_PARTNER : 0));
                for (uint32_t w = 0; w < personal->point_count; w++)
                    if (sensitive_word(personal, w) >= 0)
                        model->group_sensitive |= 1u << sensitive_word(personal, w);
            }
        }
        model->rule_hash = model->text_hash ^ policy_mix((uint64_t)model->group_sensitive << 8 | model->group_reads);
    }
}

/* ---- loading ---------------------------------------------------------------------------------------------- */

/* One more model at the end of the set, if it is a good one. */
static enum rialto_status load_one(const char *folder, const char *name, struct model_set *set,
                                   struct fault_list *faults)
{
    char path[PATH_BYTES_MAX], *text;
    size_t bytes;
    struct fault fault = { 0 };
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || length >= (int)sizeof path) {
        (void)refuse(&fault, name, "the path of this file is too long");
        return fault_add(faults, &fault);
    }
    if (file_read(path, &text, &bytes, &fault) != RIALTO_OK)
        return fault_add(faults, &fault);
    struct model *model = &set->model[set->count];
    enum rialto_status status = model_parse_all(text, bytes, path, model, faults);
    if (status == RIALTO_OK)
        status = check_attributes(&set->policies, model, text, bytes, faults);
    if (status == RIALTO_OK)
        status = check_against_earlier(set, model, text, bytes, faults);
    if (status == RIALTO_OK && set->offer_count + model->offer_count > OFFERS_MAX) {
        memcpy(fault.file, model->file, sizeof fault.file);
        status = fault_set(&fault, text, bytes, "/offers", "more than 64 offers in the models of one folder");
        (void)fault_add(faults, &fault);
    }
    if (status == RIALTO_OK) {
        set->zoned = set->zoned || model->zone_count > 0;
        set->offer_count += model->offer_count;
        set->affinity = set->affinity || model_reads_affinity(model);
        set->located = set->located || model_reads_location(model);
        set->count++;
    }
    free(text);
    return status;
}

static int compare_models(const void *a, const void *b)
{
    return strcmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

static enum rialto_status load_files(const char *folder, const struct file_list *files, struct model_set **ret,
                                     struct fault_list *faults)
{
    struct model_set *set = calloc(1, sizeof *set + files->count * sizeof set->model[0]);
    if (set == NULL) {
        struct fault fault = { 0 };
        (void)refuse(&fault, folder, "out of memory");
        return fault_add(faults, &fault);
    }
    enum rialto_status status = RIALTO_OK;
    if (policies_load(folder, &set->policies, faults) != RIALTO_OK)
        status = RIALTO_REFUSED;
    for (uint32_t i = 0; i < files->count; i++)
        if (load_one(folder, files->name[i], set, faults) != RIALTO_OK)
            status = RIALTO_REFUSED;
    if (status != RIALTO_OK) {
        free(set);
        return status;
    }
    qsort(set->model, set->count, sizeof set->model[0], compare_models);
    tell_groups(set);
    *ret = set;
    return RIALTO_OK;
}

enum rialto_status model_set_load_all(const char *folder, struct model_set **ret, struct fault_list *faults)
{
    struct file_list files = { .count = 0 };
    struct fault fault = { 0 };
    enum rialto_status status = files_of(folder, &files, &fault);
    if (status != RIALTO_OK)
        status = fault_add(faults, &fault);
    else
        status = load_files(folder, &files, ret, faults);
    files_free(&files);
    return status;
}

enum rialto_status model_set_load(const char *folder, struct model_set **ret, struct fault *fault)
{
    struct fault_list *faults = calloc(1, sizeof *faults);
    if (faults == NULL)
        return refuse(fault, folder, "out of memory");
    enum rialto_status status = model_set_load_all(folder, ret, faults);
    if (status != RIALTO_OK)
        *fault = faults->fault[0];
    free(faults);
    return status;
}

void model_set_free(struct model_set *set)
{
    free(set);
}

/* ---- groups and products ----------------------------------------------------------------------------------- */

static int group_find(char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX], uint8_t count, const char *name)
{
    for (uint8_t i = 0; i < count; i++)
        if (strncmp(groups[i], name, RIALTO_NAME_MAX) == 0)
            return i;
    return -1;
}

enum rialto_status model_set_number_groups(struct model_set *set, char groups[RIALTO_GROUPS_MAX][RIALTO_NAME_MAX],
                                           uint8_t *count, struct fault *fault)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct model *model = &set->model[i];
        int number = group_find(groups, *count, model->group_name);
        if (number < 0) {
            if (*count >= RIALTO_GROUPS_MAX)
                return refuse(fault, model->file,
                              "more than 16 price groups; a number is never given to another group");
            number = (*count)++;
            memcpy(groups[number], model->group_name, RIALTO_NAME_MAX);
        }
        model->group = (uint8_t)number;
    }
    return RIALTO_OK;
}

struct claim_rank {
    int zone, product;
    bool dated;
};

static bool beats(struct claim_rank a, struct claim_rank b)
{
    if (a.zone != b.zone)
        return a.zone > b.zone;
    return a.product != b.product ? a.product > b.product : a.dated && !b.dated;
}

int model_for_cell(const struct model_set *set, const struct model_claim *claim)
{
    int best = -1;
    struct claim_rank best_rank = { -1, -1, false };
    for (uint32_t i = 0; i < set->count; i++) {
        const struct model *model = &set->model[i];
        if (claim->now_ms < model->from_ms || claim->now_ms >= model->until_ms ||
            !scope_has_currency(model, claim->currency))
            continue;
        struct claim_rank rank = { scope_zone_rank(model, claim->zone_count, claim->zone),
                                   scope_rank(model, claim->category, claim->sku), scope_is_dated(model) };
        if (rank.zone < 0 || rank.product < 0 || !beats(rank, best_rank))
            continue;
        best_rank = rank;
        best = (int)i;
    }
    return best;
}

bool model_reads_affinity(const struct model *model)
{
    for (uint32_t i = 0; i < model->personal_count; i++)
        if (model->personal[i].kind == PERSONAL_AFFINITY)
            return true;
    return false;
}

bool model_reads_location(const struct model *model)
{
    for (uint32_t i = 0; i < model->personal_count; i++)
        if (model->personal[i].consent & RIALTO_KIND_LOCATION)
            return true;
    return false;
}

static bool is_in_effect(const struct model *model, int64_t now_ms)
{
    return now_ms >= model->from_ms && now_ms < model->until_ms;
}

const struct affinity_settings *model_set_affinity(const struct model_set *set, int64_t now_ms, uint32_t *ret_groups)
{
    const struct affinity_settings *settings = NULL;
    *ret_groups = 0;
    for (uint32_t i = 0; i < set->count && set->affinity; i++) {
        const struct model *model = &set->model[i];
        if (!is_in_effect(model, now_ms) || !model_reads_affinity(model) || model->group >= RIALTO_GROUPS_MAX)
            continue;
        settings = &model->affinity;
        *ret_groups |= 1u << model->group;
    }
    return settings;
}

int model_group_of(const struct model_set *set, const struct model_claim *claim)
{
    int best_rank = -1, group = -1;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct model *model = &set->model[i];
        if (!is_in_effect(model, claim->now_ms) ||
            (claim->currency[0] != '\0' && !scope_has_currency(model, claim->currency)))
            continue;
        int rank = scope_rank(model, claim->category, claim->sku);
        if (rank <= best_rank)
            continue;
        best_rank = rank;
        group = model->group < RIALTO_GROUPS_MAX ? model->group : -1;
    }
    return group;
}

/* Tiers and segments are a customer's profile; nothing else is named by words that people choose. */
uint8_t model_forbidden(const struct model_set *set, const struct model *model, uint32_t policies)
{
    return (model->group_sensitive & ~policies_permitted(&set->policies, policies)) != 0 ? RIALTO_KIND_PROFILE : 0;
}

uint32_t model_depth(const struct model *model, uint32_t zone_count, const char (*zone)[RIALTO_ID_MAX])
{
    int named = scope_zone_rank(model, zone_count, zone);
    return named > (int)model->zone_depth_max ? (uint32_t)named : model->zone_depth_max;
}

int64_t model_set_changes_ms(const struct model_set *set, int64_t now_ms)
{
    int64_t next = policies_change_ms(&set->policies, now_ms);
    for (uint32_t i = 0; i < set->count; i++) {
        const int64_t at[2] = { set->model[i].from_ms, set->model[i].until_ms };
        for (int j = 0; j < 2; j++)
            if (at[j] > now_ms && at[j] < next)
                next = at[j];
    }
    return next;
}
