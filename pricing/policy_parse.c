/* policy_parse.c - a policy file by its tables, and all of a folder. See policy.h; docs/policies.md explains every key. */
#include "pricing/local_clock.h"
#include "pricing/model_fields.h"
#include "pricing/policy.h"
#include "pricing/scope.h"

#include <rialto/bindings.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 4096
#define DAY_MS         INT64_C(86400000)
#define MICRO          INT64_C(1000000)

/* What a file is read into. */
struct policy_target {
    struct policy policy; /* first: offsets into the policy are offsets into this */
    int32_t from_day, until_day;
    char time_zone[LOCAL_CLOCK_NAME_MAX];
    bool disclosure, never_above, forbidden, rise, permitted, notice, prior;
};

#define TABLE(table, object)                                                                                           \
    static const struct field_table table = { object, table##_fields,                                                  \
                                              sizeof table##_fields / sizeof table##_fields[0], NULL }
#define CITATION(member)                                                                                               \
    {                                                                                                                  \
        .key = "citation", .text = "Where that is written.", .kind = FIELD_TEXT, .required = true, .low = 1,           \
        .high = POLICY_CITATION_MAX - 1, .offset = offsetof(struct policy, member)                                     \
    }

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static const char *region_fault(const char *region)
{
    size_t letters = strspn(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    bool good = letters > 0 && strspn(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == strlen(region) &&
                region[strlen(region) - 1] != '-' && strstr(region, "--") == NULL;
    return good ? NULL : "expected a region in capitals, such as \"US-NY\" or \"DE\" (ISO 3166)";
}

static const char *attribute_fault(const char *attribute)
{
    const char *found = policy_sensitive_name(policy_sensitive(attribute));
    return found != NULL && strcmp(found, attribute) == 0
               ? NULL
               : "not one of the sensitive attributes: anything else needs no permission";
}

/* Texts into rows of `size` bytes, none twice. */
static enum rialto_status read_texts(struct reader *reader, const cJSON *list, uint32_t most, size_t size,
                                     const char *(*check)(const char *), char *rows, uint32_t *ret_count)
{
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > (int)most)
        return reader_refuse(reader, "expected a list of 1 to %u entries", most);
    const struct field row = { .kind = FIELD_TEXT, .low = 1, .high = (int64_t)size - 1 };
    enum rialto_status status = RIALTO_OK;
    uint32_t index = 0;
    for (const cJSON *child = list->child; child != NULL; child = child->next, index++) {
        size_t back = reader_enter_index(reader, index);
        char *text = rows + index * size;
        const char *fault = NULL;
        if (value_read(reader, &row, child, text) != RIALTO_OK)
            status = RIALTO_REFUSED;
        else
            fault = check(text);
        for (uint32_t i = 0; fault == NULL && i < index; i++)
            if (strcmp(rows + i * size, text) == 0)
                fault = "this entry stands twice in the list";
        if (fault != NULL)
            status = reader_refuse(reader, "%s", fault);
        reader_leave(reader, back);
    }
    *ret_count = index;
    return status;
}

static enum rialto_status read_regions(struct reader *reader, const cJSON *value, void *target)
{
    struct policy *policy = target;
    return read_texts(reader, value, POLICY_REGIONS_MAX, sizeof policy->region[0], region_fault, policy->region[0],
                      &policy->region_count);
}

static enum rialto_status read_categories(struct reader *reader, const cJSON *value, void *target)
{
    struct policy *policy = target;
    return read_texts(reader, value, POLICY_CATEGORIES_MAX, sizeof policy->never_above[0], scope_category_fault,
                      policy->never_above[0], &policy->never_above_count);
}

static enum rialto_status read_attributes(struct reader *reader, const cJSON *value, void *target)
{
    struct policy *policy = target;
    return read_texts(reader, value, POLICY_ATTRIBUTES_MAX, sizeof policy->permitted[0], attribute_fault,
                      policy->permitted[0], &policy->permitted_count);
}

static const struct {
    const char *name;
    uint8_t bit;
} kinds[] = {
#define KIND(name, bit) { #name, bit },
    RIALTO_KINDS(KIND)
#undef KIND
};

static const char *kind_fault(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return NULL;
    return "expected location, behaviour, purchases, profile or partner";
}

static enum rialto_status read_kinds(struct reader *reader, const cJSON *value, void *target)
{
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    struct policy *policy = target;
    char name[KINDS][RIALTO_NAME_MAX];
    uint32_t count = 0;
    enum rialto_status status = read_texts(reader, value, KINDS, sizeof name[0], kind_fault, name[0], &count);
    for (uint32_t i = 0; status == RIALTO_OK && i < count; i++)
        for (size_t k = 0; k < KINDS; k++)
            if (strcmp(kinds[k].name, name[i]) == 0)
                policy->forbidden = (uint8_t)(policy->forbidden | kinds[k].bit);
    return status;
}

/* ---- single values ---------------------------------------------------------------------------------------------- */

static enum rialto_status read_day(struct reader *reader, const cJSON *value, void *target)
{
    int year, month, day, used = 0;
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    int32_t days = INT32_MIN;
    if (strlen(text) == 10 && strspn(text, "0123456789-") == 10 &&
        sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used == 10)
        days = date_days(year, month, day);
    if (days == INT32_MIN)
        return reader_refuse(reader, "expected a date such as \"2026-12-24\"");
    *(int32_t *)target = days;
    return RIALTO_OK;
}

static enum rialto_status read_status(struct reader *reader, const cJSON *value, void *target)
{
    for (enum policy_status status = POLICY_IN_FORCE; status <= POLICY_OFF; status++)
        if (cJSON_IsString(value) && strcmp(value->valuestring, policy_status_text(status)) == 0) {
            *(enum policy_status *)target = status;
            return RIALTO_OK;
        }
    return reader_refuse(reader, "expected in_force, draft, uncertain or off");
}

/* ---- what it asks ------------------------------------------------------------------------------------------------ */

#define SHAPE_LIST(most)                                                                                               \
    "\"type\":\"array\",\"minItems\":1,\"maxItems\":" #most ",\"uniqueItems\":true,\"items\":{\"type\":\"string\"}"

static const struct field disclosure_fields[] = {
    { .key = "code",
      .text = "The number that quotes carry.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = UINT16_MAX,
      .offset = offsetof(struct policy, disclosure_code) },
    { .key = "text",
      .text = "The words that stand beside such a price.",
      .kind = FIELD_TEXT,
      .required = true,
      .low = 1,
      .high = POLICY_DISCLOSURE_MAX - 1,
      .offset = offsetof(struct policy, disclosure_text) },
    CITATION(disclosure_citation),
};
TABLE(disclosure, "disclosure");

static const struct field never_above_fields[] = {
    { .key = "categories",
      .text = "\"fresh/dairy\", \"fresh/*\" (it and all below) or \"*\".",
      .shape = SHAPE_LIST(8),
      .kind = FIELD_PART,
      .required = true,
      .part = read_categories },
    CITATION(never_above_citation),
};
TABLE(never_above, "never_above_baseline");

static const struct field forbidden_fields[] = {
    { .key = "kinds",
      .text = "location, behaviour, purchases, profile, partner.",
      .shape =
          "\"type\":\"array\",\"minItems\":1,\"maxItems\":5,\"uniqueItems\":true,\"items\":{\"enum\":[\"location\","
          "\"behaviour\",\"purchases\",\"profile\",\"partner\"]}",
      .kind = FIELD_PART,
      .required = true,
      .part = read_kinds },
    CITATION(forbidden_citation),
};
TABLE(forbidden, "forbidden_data");

static const struct field rise_fields[] = {
    { .key = "share",
      .text = "No price higher than this part over the one that stood when the policy came into force.",
      .kind = FIELD_MICRO,
      .required = true,
      .low = 0,
      .high = 10 * MICRO,
      .offset = offsetof(struct policy, rise_micro) },
    CITATION(rise_citation),
};
TABLE(rise, "largest_rise");

static const struct field permitted_fields[] = {
    { .key = "attributes",
      .text = "Sensitive attributes that personal factors may name: age, sex, ...",
      .shape = SHAPE_LIST(8),
      .kind = FIELD_PART,
      .required = true,
      .part = read_attributes },
    CITATION(permitted_citation),
};
TABLE(permitted, "permitted_attributes");

static const struct field notice_fields[] = {
    { .key = "text",
      .text = "Said on the page for customers (rialto notice).",
      .kind = FIELD_TEXT,
      .required = true,
      .low = 1,
      .high = POLICY_NOTICE_MAX - 1,
      .offset = offsetof(struct policy, notice) },
    CITATION(notice_citation),
};
TABLE(notice, "notice");

static const struct field prior_fields[] = {
    { .key = "days",
      .text = "A reduction is announced with the lowest price of so many days before; rialto explain --at knows that "
              "of 30.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 30,
      .high = 30,
      .offset = offsetof(struct policy, prior_days) },
    CITATION(prior_citation),
};
TABLE(prior, "lowest_prior_price");

#define PART(name)                                                                                                     \
    static enum rialto_status read_##name(struct reader *reader, const cJSON *value, void *target)                     \
    {                                                                                                                  \
        return fields_read(reader, &name, value, target);                                                              \
    }
PART(disclosure)
PART(never_above)
PART(forbidden)
PART(rise)
PART(permitted)
PART(notice)
PART(prior)
#undef PART

#define ASKS(key_, name, text_)                                                                                        \
    {                                                                                                                  \
        .key = key_, .text = text_, .shape = "\"$ref\":\"#/$defs/" key_ "\"", .kind = FIELD_PART, .part = read_##name  \
    }

static const struct field policy_file_fields[] = {
    { .key = "policy",
      .text = "Its name.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct policy, name) },
    { .key = "version",
      .text = "Of this file, for people.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = RIALTO_NAME_MAX - 1,
      .offset = offsetof(struct policy, version) },
    { .key = "about",
      .text = "What it is.",
      .kind = FIELD_TEXT,
      .required = true,
      .low = 1,
      .high = 255,
      .offset = offsetof(struct policy, about) },
    { .key = "status",
      .text = "in_force; draft, uncertain and off say why it does nothing.",
      .shape = "\"enum\":[\"in_force\",\"draft\",\"uncertain\",\"off\"]",
      .kind = FIELD_PART,
      .required = true,
      .offset = offsetof(struct policy, status),
      .part = read_status },
    { .key = "regions",
      .text = "As zone signals say them (`region`): \"US-NY\", or \"US\" for all that begins with \"US-\" too.",
      .shape = "\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"uniqueItems\":true,\"items\":{\"type\":\"string\","
               "\"pattern\":\"^[A-Z0-9]+(-[A-Z0-9]+)*$\"}",
      .kind = FIELD_PART,
      .required = true,
      .part = read_regions },
    { .key = "time_zone",
      .text = "IANA name, for the dates. Left out: UTC.",
      .kind = FIELD_TEXT,
      .low = 1,
      .high = LOCAL_CLOCK_NAME_MAX - 1,
      .offset = offsetof(struct policy_target, time_zone) },
    { .key = "from",
      .text = "First day in force.",
      .shape = "\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct policy_target, from_day),
      .part = read_day },
    { .key = "until",
      .text = "First day no longer in force.",
      .shape = "\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\"",
      .kind = FIELD_PART,
      .offset = offsetof(struct policy_target, until_day),
      .part = read_day },
    ASKS("disclosure", disclosure, "Words beside every price that personal data were read for."),
    ASKS("never_above_baseline", never_above,
         "Personal data lift no price above the baseline, whatever the model says."),
    ASKS("forbidden_data", forbidden, "Kinds of personal data that move no price here."),
    ASKS("largest_rise", rise, "A cap while it is in force, as in an emergency; needs \"from\"."),
    ASKS("permitted_attributes", permitted, "Sensitive attributes that models may use."),
    ASKS("notice", notice, "A sentence for customers."),
    ASKS("lowest_prior_price", prior, "For announcing reductions."),
};
TABLE(policy_file, "policy");

const struct field_table *const policy_tables[] = { &policy_file, &disclosure, &never_above, &forbidden,
                                                    &rise,        &permitted,  &notice,      &prior };
const uint32_t policy_table_count = sizeof policy_tables / sizeof policy_tables[0];

/* ---- a file ------------------------------------------------------------------------------------------------------ */

static uint64_t hash_text(const char *text, size_t bytes) /* FNV-1a, as of models */
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static enum rialto_status set_dates(struct reader *reader, struct policy_target *target)
{
    struct policy *policy = &target->policy;
    struct local_clock *clock = calloc(1, sizeof *clock);
    const char *reason;
    if (clock == NULL)
        return reader_refuse(reader, "out of memory");
    enum rialto_status status = RIALTO_OK;
    if (target->time_zone[0] != '\0' && !local_clock_load(target->time_zone, clock, &reason)) {
        size_t back = reader_enter(reader, "time_zone");
        status = reader_refuse(reader, "%s", reason);
        reader_leave(reader, back);
    }
    policy->from_ms = target->from_day == INT32_MIN ? INT64_MIN : local_clock_utc_ms(clock, target->from_day * DAY_MS);
    policy->until_ms =
        target->until_day == INT32_MIN ? INT64_MAX : local_clock_utc_ms(clock, target->until_day * DAY_MS);
    free(clock);
    if (policy->until_ms <= policy->from_ms)
        status = reader_refuse(reader, "\"until\" is the first day after it and must come later than \"from\"");
    if (policy->rise_micro >= 0 && target->from_day == INT32_MIN)
        status = reader_refuse(reader, "\"largest_rise\" counts from a day: \"from\" is missing");
    return status;
}

enum rialto_status policy_parse(const char *text, size_t bytes, const char *file, struct policy *ret,
                                struct fault_list *faults)
{
    struct reader reader = { .text = text, .bytes = bytes, .file = file != NULL ? file : "", .faults = faults };
    struct policy_target target = { .policy = { .rise_micro = -1 }, .from_day = INT32_MIN, .until_day = INT32_MIN };
    struct fault broken = { 0 };
    fault_path(broken.file, reader.file);
    cJSON *tree = json_parse(text, bytes, JSON_COMMENTS, &broken);
    if (tree == NULL)
        return fault_add(faults, &broken);
    enum rialto_status status = fields_read(&reader, &policy_file, tree, &target);
    cJSON_Delete(tree);
    if (status == RIALTO_OK)
        status = set_dates(&reader, &target);
    if (status != RIALTO_OK)
        return status;
    *ret = target.policy;
    fault_path(ret->file, reader.file);
    ret->text_hash = hash_text(text, bytes);
    return RIALTO_OK;
}

/* ---- a folder ---------------------------------------------------------------------------------------------------- */

static enum rialto_status refuse(struct fault_list *faults, const char *file, const char *reason)
{
    struct fault fault = { 0 };
    fault_path(fault.file, file);
    (void)fault_set(&fault, NULL, 0, "", "%s", reason);
    return fault_add(faults, &fault);
}

static int is_policy(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".json") == 0;
}

static enum rialto_status load_one(const char *folder, const char *name, struct policy_book *book,
                                   struct fault_list *faults)
{
    char path[PATH_BYTES_MAX], *text = NULL;
    size_t bytes = 0;
    struct fault fault = { 0 };
    int length = snprintf(path, sizeof path, "%s/policies/%s", folder, name);
    if (length < 0 || length >= (int)sizeof path)
        return refuse(faults, name, "the path of this file is too long");
    if (book->count == POLICIES_MAX)
        return refuse(faults, path, "more than 32 policies in one folder");
    if (file_read(path, &text, &bytes, &fault) != RIALTO_OK)
        return fault_add(faults, &fault);
    struct policy *policy = &book->policy[book->count];
    enum rialto_status status = policy_parse(text, bytes, path, policy, faults);
    free(text);
    for (uint32_t i = 0; status == RIALTO_OK && i < book->count; i++)
        if (strcmp(book->policy[i].name, policy->name) == 0)
            status = refuse(faults, path, "another file has a policy of the same name");
    if (status == RIALTO_OK)
        book->count++;
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct policy *)a)->name, ((const struct policy *)b)->name);
}

enum rialto_status policies_load(const char *folder, struct policy_book *ret, struct fault_list *faults)
{
    char path[PATH_BYTES_MAX];
    struct dirent **entry = NULL;
    memset(ret, 0, sizeof *ret);
    ret->mask_count = 1;
    int length = snprintf(path, sizeof path, "%s/policies", folder);
    if (length < 0 || length >= (int)sizeof path)
        return refuse(faults, folder, "the path of this folder is too long");
    int count = scandir(path, &entry, is_policy, alphasort);
    if (count < 0)
        return errno == ENOENT ? RIALTO_OK : refuse(faults, path, strerror(errno));
    enum rialto_status status = RIALTO_OK;
    for (int i = 0; i < count; i++) {
        if (load_one(folder, entry[i]->d_name, ret, faults) != RIALTO_OK)
            status = RIALTO_REFUSED;
        free(entry[i]);
    }
    free(entry);
    if (status != RIALTO_OK)
        return status;
    qsort(ret->policy, ret->count, sizeof ret->policy[0], by_name);
    if (!policies_masks(ret))
        return refuse(faults, path, "more than 64 different sets of these policies may hold together: merge some");
    return RIALTO_OK;
}
