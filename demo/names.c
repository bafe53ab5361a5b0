/* names.c - open addressing over an array of texts. */
#include "demo/names.h"

#include "demo/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names {
    uint32_t *slot;      /* 1 + number, 0 = free */
    uint64_t slot_count; /* a power of two, more than twice the number of texts */
    char **text;
    uint32_t count;
};

static void out_of_memory(void)
{
    fputs("out of memory\n", stderr);
    exit(1);
}

void *grown(void *array, uint64_t count, uint64_t bytes)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array; /* not at a power of two: there is room */
    uint64_t room = count == 0 ? 1 : 2 * count;
    char *larger = realloc(array, room * bytes);
    if (larger == NULL)
        out_of_memory();
    memset(larger + count * bytes, 0, (room - count) * bytes);
    return larger;
}

struct names *names_create(void)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return NULL;
    names->slot_count = 256;
    names->slot = calloc(names->slot_count, sizeof *names->slot);
    if (names->slot == NULL) {
        free(names);
        return NULL;
    }
    return names;
}

void names_destroy(struct names *names)
{
    if (names == NULL)
        return;
    for (uint32_t i = 0; i < names->count; i++)
        free(names->text[i]);
    free(names->text);
    free(names->slot);
    free(names);
}

/* Where a text stands, or the free place where it would. */
static uint64_t place_of(const struct names *names, const char *text)
{
    uint64_t mask = names->slot_count - 1;
    uint64_t at = text_hash("names", text) & mask;
    while (names->slot[at] != 0 && strcmp(names->text[names->slot[at] - 1], text) != 0)
        at = (at + 1) & mask;
    return at;
}

static void widen(struct names *names)
{
    free(names->slot);
    names->slot_count *= 2;
    names->slot = calloc(names->slot_count, sizeof *names->slot);
    if (names->slot == NULL)
        out_of_memory();
    for (uint32_t i = 0; i < names->count; i++)
        names->slot[place_of(names, names->text[i])] = i + 1;
}

uint32_t names_find(const struct names *names, const char *text)
{
    return names->slot[place_of(names, text)] - 1; /* 0 - 1 is NAME_NONE */
}

uint32_t names_add(struct names *names, const char *text, bool *ret_new)
{
    uint32_t known = names_find(names, text);
    if (ret_new != NULL)
        *ret_new = known == NAME_NONE;
    if (known != NAME_NONE)
        return known;
    if (2u * (names->count + 1u) >= names->slot_count)
        widen(names);
    names->text = grown(names->text, names->count, sizeof *names->text);
    names->text[names->count] = strdup(text);
    if (names->text[names->count] == NULL)
        out_of_memory();
    names->slot[place_of(names, text)] = ++names->count;
    return names->count - 1;
}

const char *names_at(const struct names *names, uint32_t number)
{
    return names->text[number];
}

uint32_t names_count(const struct names *names)
{
    return names->count;
}
