/* policy.h - what the law or the house asks of prices in a region, as data: models/policies/NAME.json.
 *
 *   files --policies_load()--> struct policy_book --policies_at(region, time)--> mask --> what holds for a cell
 *
 * A policy holds in its regions (a region covers what begins with it and a "-": "US" covers "US-NY") while it is in force. Where
 * several hold, prices keep all of them: kinds of data that any of them forbids are not used, the smallest rise counts, and what
 * is told to customers is told by the most precise region's. A book is loaded whole or refused whole, and is immutable: any
 * thread may read it. Nothing here is legal advice (docs/policies.md). */
#ifndef PRICING_POLICY_H
#define PRICING_POLICY_H

#include "pricing/json_text.h"

#include <rialto/layout.h>

#define POLICIES_MAX          32u /* files */
#define POLICY_REGIONS_MAX    32u /* of one policy */
#define POLICY_CATEGORIES_MAX 8u
#define POLICY_ATTRIBUTES_MAX 8u
#define POLICY_MASKS_MAX      64u /* sets of policies that hold together somewhere, at some time */
#define POLICY_CITATION_MAX   160u
#define POLICY_DISCLOSURE_MAX 128u
#define POLICY_NOTICE_MAX     512u

enum policy_status { POLICY_IN_FORCE, POLICY_DRAFT, POLICY_UNCERTAIN, POLICY_OFF }; /* only the first does anything */

struct policy {
    char name[RIALTO_NAME_MAX];
    char version[RIALTO_NAME_MAX];
    char about[256];
    char file[FAULT_FILE_MAX];
    uint64_t text_hash;
    enum policy_status status;
    uint32_t region_count;
    char region[POLICY_REGIONS_MAX][RIALTO_NAME_MAX];
    int64_t from_ms, until_ms; /* INT64_MIN, INT64_MAX = open */

    uint32_t disclosure_code; /* 0 = asks for none */
    char disclosure_text[POLICY_DISCLOSURE_MAX];
    char disclosure_citation[POLICY_CITATION_MAX];

    uint32_t never_above_count; /* category patterns; 0 = does not ask */
    char never_above[POLICY_CATEGORIES_MAX][64];
    char never_above_citation[POLICY_CITATION_MAX];

    uint8_t forbidden; /* RIALTO_KIND_* that may move no price */
    char forbidden_citation[POLICY_CITATION_MAX];

    int64_t rise_micro; /* largest rise over the price at from_ms; -1 = does not ask */
    char rise_citation[POLICY_CITATION_MAX];

    uint32_t permitted_count; /* sensitive attributes that models may use here: "age" */
    char permitted[POLICY_ATTRIBUTES_MAX][RIALTO_NAME_MAX];
    char permitted_citation[POLICY_CITATION_MAX];

    char notice[POLICY_NOTICE_MAX]; /* for the page that customers read; "" = none */
    char notice_citation[POLICY_CITATION_MAX];

    uint32_t prior_days; /* the lowest price of so many days is to be told with a reduction; 0 = does not ask */
    char prior_citation[POLICY_CITATION_MAX];
};

struct policy_book {
    uint32_t count;
    struct policy policy[POLICIES_MAX]; /* sorted by name */
    uint32_t mask_count;                /* >= 1 */
    uint32_t mask[POLICY_MASKS_MAX];    /* bit i: policy[i] holds; mask[0] = 0 */
    uint64_t hash[POLICY_MASKS_MAX];    /* of the texts of what holds; hash[0] = 0 */
};

/* policies_load - every *.json under FOLDER/policies; no such folder: an empty book. RIALTO_OK, or REFUSED with faults. */
enum rialto_status policies_load(const char *folder, struct policy_book *ret, struct fault_list *faults);

/* policy_parse - one file's text. RIALTO_OK, or REFUSED with faults added. */
enum rialto_status policy_parse(const char *text, size_t bytes, const char *file, struct policy *ret,
                                struct fault_list *faults);

/* policies_masks - find all sets of policies that may hold together. False: more than POLICY_MASKS_MAX. */
bool policies_masks(struct policy_book *book);

/* policies_at - index into book->mask of what holds in a region ("" = not said: nothing) at a time. */
uint32_t policies_at(const struct policy_book *book, const char *region, int64_t now_ms);

/* policies_change_ms - when, after now, a policy begins or ends; INT64_MAX = never. */
int64_t policies_change_ms(const struct policy_book *book, int64_t now_ms);

/* policies_describe - what readers need to know of it: policy, disclosure, its text, forbidden kinds. */
void policies_describe(const struct policy_book *book, uint32_t at, struct rialto_rule_row *row);

/* policies_never_above - may personal data lift no price of this category (NULL = not known) above its baseline? */
bool policies_never_above(const struct policy_book *book, uint32_t at, const char *category);

/* policies_rise - the policy whose largest rise counts, or NULL. */
const struct policy *policies_rise(const struct policy_book *book, uint32_t at);

/* policies_permit - does a policy with status in_force, anywhere and at any time, permit models to name a sensitive attribute? */
bool policies_permit(const struct policy_book *book, int attribute);

/* policies_permitted - the sensitive attributes, a bit each, that what holds permits to be used. */
uint32_t policies_permitted(const struct policy_book *book, uint32_t at);

/* policy_sensitive - number of the sensitive attribute that is one of the words of a name ("age:25-34", "sex_f"), or -1. Words
 * are what stands between all that is no letter. policy_sensitive_name - its name; NULL = there is none of this number. */
int policy_sensitive(const char *name);
const char *policy_sensitive_name(int attribute);

/* policy_mix - the finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014): hashes that are put together stay apart. */
uint64_t policy_mix(uint64_t hash);

const char *policy_status_text(enum policy_status status);

/* policy_schema_print - models/schema/policy.schema.json on a FILE *. */
void policy_schema_print(void *stream);
#endif
