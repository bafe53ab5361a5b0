/* scope.c - a model claims the products that match one of its categories (if it names any) and one of its skus (if it
 * names any). Precision, from high to low: exact sku, longer sku prefix, exact category, deeper category pattern,
 * star. */
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

static int category_rank(const char *pattern, const char *category)
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
        int rank = category_rank(model->category[i], category);
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

bool scope_conflict(const struct model *a, const struct model *b, size_t size, char *ret_claim)
{
    const char *sku = common_sku(a, b), *category = common_category(a, b);
    if (sku == NULL || category == NULL || !share_currency(a, b))
        return false;
    if (sku[0] != '\0')
        (void)snprintf(ret_claim, size, "sku \"%s\" in category \"%s\"", sku, category);
    else
        (void)snprintf(ret_claim, size, "category \"%s\"", category);
    return true;
}
