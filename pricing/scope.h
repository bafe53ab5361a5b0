/* scope.h - which products a model claims, and how precisely. Private to pricing/. Pure. */
#ifndef PRICING_SCOPE_H
#define PRICING_SCOPE_H

#include "pricing/model.h"

/* scope_category_fault, scope_sku_fault - NULL, or why a pattern is not one. */
const char *scope_category_fault(const char *pattern);
const char *scope_sku_fault(const char *pattern);

/* scope_rank - precision of the model's best claim on a product, from 0 (least) up; -1 if it claims none. */
int scope_rank(const struct model *model, const char *category, const char *sku);

bool scope_has_currency(const struct model *model, const char *currency);

/* scope_conflict - do two models claim some product in a common currency equally precisely? Two patterns of one
 * precision meet only where they are the same, so that this is decided by comparing claims. On true, the common claim
 * is in ret_claim. */
bool scope_conflict(const struct model *a, const struct model *b, size_t size, char *ret_claim);
#endif
