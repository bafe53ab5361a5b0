/* policy.c - which policies hold where and when, and what they ask together. Pure. */
#include "pricing/policy.h"

#include "pricing/scope.h"

#include <string.h>

/* Of the region that is said: 0 = not covered, else how much of it the policy names. */
static size_t covers(const struct policy *policy, const char *region)
{
    size_t best = 0;
    for (uint32_t i = 0; i < policy->region_count; i++) {
        size_t length = strlen(policy->region[i]);
        bool inside =
            strncmp(policy->region[i], region, length) == 0 && (region[length] == '\0' || region[length] == '-');
        if (inside && length > best)
            best = length;
    }
    return best;
}

static bool holds(const struct policy *policy, int64_t now_ms)
{
    return policy->status == POLICY_IN_FORCE && now_ms >= policy->from_ms && now_ms < policy->until_ms;
}

static uint32_t mask_at(const struct policy_book *book, const char *region, int64_t now_ms)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < book->count && region[0] != '\0'; i++)
        if (holds(&book->policy[i], now_ms) && covers(&book->policy[i], region) > 0)
            mask |= 1u << i;
    return mask;
}

uint32_t policies_at(const struct policy_book *book, const char *region, int64_t now_ms)
{
    uint32_t mask = mask_at(book, region, now_ms);
    for (uint32_t i = 0; i < book->mask_count; i++)
        if (book->mask[i] == mask)
            return i;
    return 0; /* policies_masks() has found them all */
}

uint64_t policy_mix(uint64_t hash)
{
    hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94D049BB133111EB);
    return hash ^ hash >> 31;
}

static uint64_t hash_of(const struct policy_book *book, uint32_t mask)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < book->count; i++)
        if (mask >> i & 1u)
            hash += policy_mix(book->policy[i].text_hash);
    return hash;
}

static bool masks_add(struct policy_book *book, uint32_t mask)
{
    for (uint32_t i = 0; i < book->mask_count; i++)
        if (book->mask[i] == mask)
            return true;
    if (book->mask_count == POLICY_MASKS_MAX)
        return false;
    book->hash[book->mask_count] = hash_of(book, mask);
    book->mask[book->mask_count++] = mask;
    return true;
}

/* What holds changes only at the names of regions and at beginnings and ends: a region that no policy names is covered by the
 * same ones as the longest named region that it begins with. */
bool policies_masks(struct policy_book *book)
{
    book->mask_count = 1;
    book->mask[0] = 0;
    book->hash[0] = 0;
    for (uint32_t t = 0; t < book->count * 2 + 1; t++) {
        const struct policy *edge = &book->policy[t / 2];
        int64_t at = t == book->count * 2 ? INT64_MIN : t % 2 == 0 ? edge->from_ms : edge->until_ms;
        for (uint32_t i = 0; i < book->count; i++)
            for (uint32_t r = 0; r < book->policy[i].region_count; r++)
                if (!masks_add(book, mask_at(book, book->policy[i].region[r], at)))
                    return false;
    }
    return true;
}

int64_t policies_change_ms(const struct policy_book *book, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < book->count; i++) {
        const int64_t edge[2] = { book->policy[i].from_ms, book->policy[i].until_ms };
        for (int j = 0; j < 2; j++)
            if (edge[j] > now_ms && edge[j] < next)
                next = edge[j];
    }
    return next;
}

/* The longest name of a region that a policy has: a state's goes before a country's. */
static size_t precision(const struct policy *policy)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < policy->region_count; i++)
        if (strlen(policy->region[i]) > longest)
            longest = strlen(policy->region[i]);
    return longest;
}

void policies_describe(const struct policy_book *book, uint32_t at, struct rialto_rule_row *row)
{
    size_t told = 0, named = 0;
    for (uint32_t i = 0; i < book->count; i++) {
        const struct policy *policy = &book->policy[i];
        if ((book->mask[at] >> i & 1u) == 0)
            continue;
        row->forbidden = (uint8_t)(row->forbidden | policy->forbidden);
        if (precision(policy) > named) {
            named = precision(policy);
            memcpy(row->policy, policy->name, sizeof row->policy);
        }
        if (policy->disclosure_code != 0 && precision(policy) > told) {
            told = precision(policy);
            row->disclosure = (uint16_t)policy->disclosure_code;
            memcpy(row->disclosure_text, policy->disclosure_text, sizeof row->disclosure_text);
        }
    }
    if (told > 0) /* who asks for the words is who is named */
        for (uint32_t i = 0; i < book->count; i++)
            if ((book->mask[at] >> i & 1u) && book->policy[i].disclosure_code == row->disclosure &&
                precision(&book->policy[i]) == told)
                memcpy(row->policy, book->policy[i].name, sizeof row->policy);
}

bool policies_never_above(const struct policy_book *book, uint32_t at, const char *category)
{
    for (uint32_t i = 0; i < book->count; i++)
        for (uint32_t c = 0; (book->mask[at] >> i & 1u) && c < book->policy[i].never_above_count; c++)
            if (scope_category_rank(book->policy[i].never_above[c], category == NULL ? "" : category) >= 0)
                return true;
    return false;
}

const struct policy *policies_rise(const struct policy_book *book, uint32_t at)
{
    const struct policy *least = NULL;
    for (uint32_t i = 0; i < book->count; i++) {
        const struct policy *policy = &book->policy[i];
        if ((book->mask[at] >> i & 1u) && policy->rise_micro >= 0 &&
            (least == NULL || policy->rise_micro < least->rise_micro))
            least = policy;
    }
    return least;
}

/* Characteristics protected by Charter of Fundamental Rights of the EU art. 21 and, in the USA, by 42 U.S.C. 2000a and state
 * civil rights laws, and their like. */
static const char *const sensitive[] = { "sex",        "gender",  "age",         "birth",     "occupation",
                                         "profession", "income",  "salary",      "wealth",    "race",
                                         "ethnicity",  "ethnic",  "nationality", "religion",  "belief",
                                         "disability", "health",  "pregnant",    "pregnancy", "orientation",
                                         "marital",    "genetic", "political",   "union",     "language",
                                         "veteran",    "female",  "male",        "sexual",   "disabled",
                                         "citizenship" };
enum { SENSITIVE_COUNT = sizeof sensitive / sizeof sensitive[0] };
_Static_assert(SENSITIVE_COUNT <= 32, "sets of them are words of 32 bits");

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool same_letters(const char *text, const char *word, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((text[i] | 0x20) != word[i])
            return false;
    return true;
}

int policy_sensitive(const char *name)
{
    while (*name != '\0') {
        size_t bytes = 0;
        while (is_letter(name[bytes]))
            bytes++;
        for (int i = 0; bytes > 0 && i < SENSITIVE_COUNT; i++)
            if (strlen(sensitive[i]) == bytes && same_letters(name, sensitive[i], bytes))
                return i;
        name += bytes > 0 ? bytes : 1;
    }
    return -1;
}

const char *policy_sensitive_name(int attribute)
{
    return attribute >= 0 && attribute < SENSITIVE_COUNT ? sensitive[attribute] : NULL;
}

static uint32_t permitted_by(const struct policy *policy)
{
    uint32_t bits = 0;
    for (uint32_t a = 0; a < policy->permitted_count; a++) {
        int attribute = policy_sensitive(policy->permitted[a]);
        if (attribute >= 0)
            bits |= 1u << attribute;
    }
    return bits;
}

bool policies_permit(const struct policy_book *book, int attribute)
{
    for (uint32_t i = 0; i < book->count; i++)
        if (book->policy[i].status == POLICY_IN_FORCE && (permitted_by(&book->policy[i]) >> attribute & 1u))
            return true;
    return false;
}

uint32_t policies_permitted(const struct policy_book *book, uint32_t at)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < book->count; i++)
        if (book->mask[at] >> i & 1u)
            bits |= permitted_by(&book->policy[i]);
    return bits;
}

const char *policy_status_text(enum policy_status status)
{
    static const char *const text[] = { "in_force", "draft", "uncertain", "off" };
    return text[status];
}
