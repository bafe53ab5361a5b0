/* attributes.c - see attributes.h. */
#include "pricing/attributes.h"

#include "pricing/policy.h"

#include <stdbool.h>
#include <string.h>

static bool is_name(const char *name)
{
    if (name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

const char *attribute_name_fault(const char *name)
{
    if (strlen(name) >= ATTRIBUTE_NAME_MAX)
        return "the name of an attribute has at most 31 bytes";
    if (!is_name(name))
        return "the name of an attribute is a lower-case letter, then lower-case letters, digits and _";
    if (policy_sensitive(name) >= 0)
        return "no price may rest on this: the name has a word that stands for a sensitive attribute of people";
    return NULL;
}

const char *attributes_at(const struct attributes_said *said, unsigned index, int64_t *ret_micro)
{
    const char *name = said->names, *end = said->names + sizeof said->names;
    for (unsigned i = 0; i < ATTRIBUTES_MAX && name < end && *name != '\0'; i++, name += strlen(name) + 1) {
        if (i < index)
            continue;
        *ret_micro = said->micro[i];
        return name;
    }
    return NULL;
}

bool attributes_find(const struct attributes_said *said, const char *name, int64_t *ret_micro)
{
    const char *at = said->names, *end = said->names + sizeof said->names;
    for (unsigned i = 0; i < ATTRIBUTES_MAX && at < end && *at != '\0'; i++, at += strlen(at) + 1) {
        if (strcmp(at, name) != 0)
            continue;
        *ret_micro = said->micro[i];
        return true;
    }
    return false;
}

bool attributes_add(struct attributes_said *said, const char *name, int64_t micro)
{
    size_t at = 0, bytes = strlen(name) + 1;
    unsigned count = 0;
    for (; at < sizeof said->names && said->names[at] != '\0'; at += strlen(said->names + at) + 1)
        count++;
    if (count == ATTRIBUTES_MAX || bytes < 2 || at + bytes > sizeof said->names)
        return false;
    memcpy(said->names + at, name, bytes);
    said->micro[count] = micro;
    return true;
}
