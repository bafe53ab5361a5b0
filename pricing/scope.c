/* scope.c - a model claims the products that match one of its categories (if it names any) and one of its skus (if it
 * names any), in the zones that it names (or everywhere) while it is in effect. Precision, from high to low: deeper zone, exact
 * sku, longer sku prefix, exact category, deeper category pattern, star; last, a model with dates before one without. */
#include "pricing/scope.h"

#include <stdio.h>
#include <string.h>

#define RANK_EXACT 1000
#define RANK_SKU   4096 /* one step of sku precision outweighs every category */

const char *scope_category_fault(const char *pattern)
{
    if (strcmp(pattern, "*") == 0)
        return NULL;
    size_t length = strlen(pattern);
    bool star = length >= 2 && strcmp(pattern + length - 2, "/*") == 0;
    size_t name = star ? length - 2 : length;
    if (name == 0 || pattern[0] == '/' || pattern[name - 1] == '/' || strstr(pattern, "//") != NULL)
        return "a category is names joined by single slashes";
    if (memchr(pattern, '*', name) != NULL)
        return "a star stands alone, or at the end after a slash";
    return NULL;
}

const char *scope_sku_fault(const char *pattern)
{
    const char *star = strchr(pattern, '*');
    if (star == pattern)
        return "a star needs a prefix before it; leave skus out to mean all";
    return star != NULL && star[1] != '\0' ? "a star stands at the end" : NULL;
}

static int sku_rank(const char *pattern, const char *sku)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*')
        return strncmp(pattern, sku, length - 1) == 0 ? (int)length : -1;
    return strcmp(pattern, sku) == 0 ? RANK_EXACT : -1;
}

int scope_category_rank(const char *pattern, const char *category)
{
    if (strcmp(pattern, "*") == 0)
        return 0;
    size_t length = strlen(pattern);
    if (length < 2 || strcmp(pattern + length - 2, "/*") != 0)
        return strcmp(pattern, category) == 0 ? RANK_EXACT : -1;
    size_t name = length - 2; /* it and all below */
    if (strncmp(pattern, category, name) != 0 || (category[name] != '\0' && category[name] != '/'))
        return -1;
    int depth = 1;
    for (size_t i = 0; i < name; i++)
        depth += pattern[i] == '/';
    return depth;
}

int scope_rank(const struct model *model, const char *category, const char *sku)
{
    int best_category = model->category_count == 0 ? 0 : -1;
    for (uint32_t i = 0; i < model->category_count; i++) {
        int rank = scope_category_rank(model->category[i], category);
        best_category = rank > best_category ? rank : best_category;
    }
    int best_sku = model->sku_count == 0 ? 0 : -1;
    for (uint32_t i = 0; i < model->sku_count; i++) {
        int rank = sku_rank(model->sku[i], sku);
        best_sku = rank > best_sku ? rank : best_sku;
    }
    return best_category < 0 || best_sku < 0 ? -1 : best_sku * RANK_SKU + best_category;
}

bool scope_has_currency(const struct model *model, const char *currency)
{
    for (uint32_t i = 0; i < model->currency_count; i++)
        if (strcmp(model->currency[i], currency) == 0)
            return true;
    return false;
}

static bool share_currency(const struct model *a, const struct model *b)
{
    for (uint32_t i = 0; i < a->currency_count; i++)
        if (scope_has_currency(b, a->currency[i]))
            return true;
    return false;
}

/* No list means everything: the star for categories, the empty prefix for skus. */
static const char *category_at(const struct model *model, uint32_t i)
{
    return model->category_count == 0 ? "*" : model->category[i];
}

static const char *sku_at(const struct model *model, uint32_t i)
{
    return model->sku_count == 0 ? "" : model->sku[i];
}

static const char *common_sku(const struct model *a, const struct model *b)
{
    for (uint32_t i = 0; i < a->sku_count + (a->sku_count == 0); i++)
        for (uint32_t j = 0; j < b->sku_count + (b->sku_count == 0); j++)
            if (strcmp(sku_at(a, i), sku_at(b, j)) == 0)
                return sku_at(a, i);
    return NULL;
}

static const char *common_category(const struct model *a, const struct model *b)
{
    for (uint32_t i = 0; i < a->category_count + (a->category_count == 0); i++)
        for (uint32_t j = 0; j < b->category_count + (b->category_count == 0); j++)
            if (strcmp(category_at(a, i), category_at(b, j)) == 0)
                return category_at(a, i);
    return NULL;
}

int scope_zone_rank(const struct model *model, uint32_t zone_count, const char (*zone)[RIALTO_ID_MAX])
{
    if (model->zone_count == 0)
        return 0;
    for (uint32_t level = 0; level < zone_count; level++)
        for (uint32_t i = 0; i < model->zone_count; i++)
            if (strcmp(model->zone[i], zone[level]) == 0)
                return (int)(zone_count - level);
    return -1;
}

bool scope_is_dated(const struct model *model)
{
    return model->from_ms != INT64_MIN || model->until_ms != INT64_MAX;
}

static const char *zone_at(const struct model *model, uint32_t i)
{
    return model->zone_count == 0 ? "" : model->zone[i];
}

static const char *common_zone(const struct model *a, const struct model *b)
{
    for (uint32_t i = 0; i < a->zone_count + (a->zone_count == 0); i++)
        for (uint32_t j = 0; j < b->zone_count + (b->zone_count == 0); j++)
            if (strcmp(zone_at(a, i), zone_at(b, j)) == 0)
                return zone_at(a, i);
    return NULL;
}

static bool at_one_time(const struct model *a, const struct model *b)
{
    return a->from_ms < b->until_ms && b->from_ms < a->until_ms;
}

bool scope_conflict(const struct model *a, const struct model *b, size_t size, char *ret_claim)
{
    const char *sku = common_sku(a, b), *category = common_category(a, b), *zone = common_zone(a, b);
    if (sku == NULL || category == NULL || zone == NULL || !share_currency(a, b) || !at_one_time(a, b) ||
        scope_is_dated(a) != scope_is_dated(b))
        return false;
    int length = sku[0] != '\0' ? snprintf(ret_claim, size, "sku \"%s\" in category \"%s\"", sku, category)
                                : snprintf(ret_claim, size, "category \"%s\"", category);
    if (zone[0] != '\0' && length > 0 && (size_t)length < size)
        (void)snprintf(ret_claim + length, size - (size_t)length, " in zone \"%s\"", zone);
    return true;
}

/* ---- who wins: claims compared pattern by pattern ------------------------------------------------------------------- */

struct verdict {
    int winner;
    const char *why;
};

static void judge(struct verdict *verdict, int difference, const char *why)
{
    int winner = difference > 0 ? 1 : -1;
    if (verdict->winner == 0)
        *verdict = (struct verdict){ winner, why };
    else if (verdict->winner != winner)
        verdict->winner = 2;
}

static bool starts_with(const char *text, const char *prefix, size_t bytes)
{
    return strncmp(text, prefix, bytes) == 0;
}

/* The pattern's fixed part and whether anything may follow it. */
static bool skus_meet(const char *a, const char *b, int *ret_difference)
{
    size_t a_bytes = strcspn(a, "*"), b_bytes = strcspn(b, "*");
    bool a_open = a[0] == '\0' || a[a_bytes] == '*', b_open = b[0] == '\0' || b[b_bytes] == '*';
    int a_rank = a_open ? (int)a_bytes : RANK_EXACT, b_rank = b_open ? (int)b_bytes : RANK_EXACT;
    *ret_difference = a_rank - b_rank;
    if (a_open && a_bytes <= b_bytes)
        return starts_with(b, a, a_bytes);
    if (b_open && b_bytes <= a_bytes)
        return starts_with(a, b, b_bytes);
    return strcmp(a, b) == 0;
}

static bool categories_meet(const char *a, const char *b, int *ret_difference)
{
    char bare[2][RIALTO_ID_MAX + 1];
    const char *pattern[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        size_t bytes = strlen(pattern[i]);
        bool star = bytes >= 2 && strcmp(pattern[i] + bytes - 2, "/*") == 0;
        (void)snprintf(bare[i], sizeof bare[i], "%.*s", (int)(star ? bytes - 2 : bytes), pattern[i]);
    }
    int a_in_b = scope_category_rank(b, strcmp(a, "*") == 0 ? "" : bare[0]);
    int b_in_a = scope_category_rank(a, strcmp(b, "*") == 0 ? "" : bare[1]);
    int a_rank = strcmp(a, "*") == 0 ? 0 : scope_category_rank(a, bare[0]);
    int b_rank = strcmp(b, "*") == 0 ? 0 : scope_category_rank(b, bare[1]);
    *ret_difference = a_rank - b_rank;
    return a_in_b >= 0 || b_in_a >= 0;
}

/* One zone inside another shows in its name, or in parents that were declared later: then it is said of the cells. */
static bool zones_meet(const char *a, const char *b, int *ret_difference)
{
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    *ret_difference = (a_bytes > b_bytes) - (a_bytes < b_bytes);
    bool b_in_a = starts_with(b, a, a_bytes) && (a_bytes == 0 || b[a_bytes] == '\0' || b[a_bytes] == '/');
    bool a_in_b = starts_with(a, b, b_bytes) && (b_bytes == 0 || a[b_bytes] == '\0' || a[b_bytes] == '/');
    return a_in_b || b_in_a;
}

static void judge_claims(const struct model *a, const struct model *b, const char *zones[2], struct verdict *verdict)
{
    int zone, sku, category;
    if (!zones_meet(zones[0], zones[1], &zone))
        return;
    for (uint32_t i = 0; i < a->sku_count + (a->sku_count == 0); i++)
        for (uint32_t j = 0; j < b->sku_count + (b->sku_count == 0); j++)
            for (uint32_t k = 0; k < a->category_count + (a->category_count == 0); k++)
                for (uint32_t l = 0; l < b->category_count + (b->category_count == 0); l++) {
                    if (!skus_meet(sku_at(a, i), sku_at(b, j), &sku) ||
                        !categories_meet(category_at(a, k), category_at(b, l), &category))
                        continue;
                    if (zone != 0)
                        judge(verdict, zone, "zone");
                    else if (sku != 0)
                        judge(verdict, sku, "sku");
                    else if (category != 0)
                        judge(verdict, category, "category");
                    else
                        judge(verdict, scope_is_dated(a) - scope_is_dated(b), "dates");
                }
}

int scope_winner(const struct model *a, const struct model *b, const char **ret_why)
{
    struct verdict verdict = { 0, "" };
    if (share_currency(a, b) && at_one_time(a, b))
        for (uint32_t i = 0; i < a->zone_count + (a->zone_count == 0); i++)
            for (uint32_t j = 0; j < b->zone_count + (b->zone_count == 0); j++) {
                const char *zones[2] = { zone_at(a, i), zone_at(b, j) };
                judge_claims(a, b, zones, &verdict);
            }
    *ret_why = verdict.why;
    return verdict.winner;
}
