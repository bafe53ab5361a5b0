/* packed.c - see packed.h. Words are copied without a branch: which of them are zero is different in each record. */
#include "service/packed.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)

static size_t group_of(size_t words)
{
    return words < PACKED_GROUP ? words : PACKED_GROUP;
}

size_t packed_put(const void *image, size_t bytes, void *ret)
{
    const unsigned char *from = image;
    unsigned char *to = ret;
    assert(bytes % WORD == 0);
    for (size_t left = bytes / WORD; left > 0;) {
        size_t group = group_of(left), kept = 0;
        uint64_t mask = 0, word;
        for (size_t i = 0; i < group; i++) {
            memcpy(&word, from + i * WORD, WORD);
            memcpy(to + WORD + kept * WORD, &word, WORD); /* the next one takes the place of a zero */
            mask |= (uint64_t)(word != 0) << i;
            kept += word != 0;
        }
        memcpy(to, &mask, WORD);
        to += (1 + kept) * WORD;
        from += group * WORD;
        left -= group;
    }
    return (size_t)(to - (unsigned char *)ret);
}

bool packed_take(const void *packed, size_t packed_bytes, void *ret, size_t bytes)
{
    const unsigned char *from = packed, *end = from + packed_bytes;
    unsigned char *to = ret;
    assert(bytes % WORD == 0);
    if (packed_bytes % WORD != 0)
        return false;
    memset(ret, 0, bytes);
    for (size_t left = bytes / WORD; left > 0;) {
        size_t group = group_of(left);
        uint64_t mask, word;
        if (from == end)
            return false;
        memcpy(&mask, from, WORD);
        from += WORD;
        if ((group < PACKED_GROUP && mask >> group != 0) ||
            (size_t)(end - from) / WORD < (size_t)__builtin_popcountll(mask))
            return false;
        for (; mask != 0; mask &= mask - 1, from += WORD) {
            memcpy(&word, from, WORD);
            if (word == 0)
                return false;
            memcpy(to + (size_t)__builtin_ctzll(mask) * WORD, &word, WORD);
        }
        to += group * WORD;
        left -= group;
    }
    return from == end;
}
