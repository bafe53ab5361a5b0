/* scope.h - which products a model claims, and how precisely. Private to pricing/. Pure. */
#ifndef PRICING_SCOPE_H
#define PRICING_SCOPE_H

#include "pricing/model.h"

/* scope_category_fault, scope_sku_fault - NULL, or why a pattern is not one. */
const char *scope_category_fault(const char *pattern);
const char *scope_sku_fault(const char *pattern);

/* scope_rank - precision of the model's best claim on a product, from 0 (least) up; -1 if it claims none. */
int scope_rank(const struct model *model, const char *category, const char *sku);

/* scope_category_rank - precision of one pattern for a category, -1 if it does not match. */
int scope_category_rank(const char *pattern, const char *category);

/* scope_zone_rank - how deep the zone lies that the model names for a cell: 0 = it names none, or 1 (outermost) and up; -1 = it
 * names others. zone: own first, then around it. */
int scope_zone_rank(const struct model *model, uint32_t zone_count, const char (*zone)[RIALTO_ID_MAX]);

/* scope_is_dated - does the model begin or end at a date? */
bool scope_is_dated(const struct model *model);

bool scope_has_currency(const struct model *model, const char *currency);

/* scope_conflict - do two models claim some product in a common currency in the same zone at the same time, equally precisely?
 * Two patterns of one precision meet only where they are the same, so that this is decided by comparing claims. On true, the
 * common claim is in ret_claim. */
bool scope_conflict(const struct model *a, const struct model *b, size_t size, char *ret_claim);

/* scope_winner - of two models without a conflict that claim some product in common: 1 if a wins wherever both claim, -1 if b does,
 * 2 if it depends on the product; 0 if they share nothing. *ret_why: what decides, "zone", "sku", "category" or "dates". */
int scope_winner(const struct model *a, const struct model *b, const char **ret_why);
#endif
