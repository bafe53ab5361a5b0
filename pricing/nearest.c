#include "pricing/nearest.h"

#include <string.h>

#define WORD_MAX 40

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned *now = row[i % 3], *before = row[(i - 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            unsigned replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], row[(i - 2) % 3][j - 2] + 1);
        }
    }
    return row[a_bytes % 3][b_bytes];
}

const char *nearest_name(const char *word, size_t count, const char *const name[])
{
    size_t bytes = strlen(word);
    const char *best = NULL;
    unsigned best_distance = bytes / 3 > 2 ? (unsigned)(bytes / 3) + 1 : 3;
    for (size_t i = 0; i < count && bytes <= WORD_MAX; i++) {
        size_t name_bytes = strlen(name[i]);
        unsigned d = name_bytes <= WORD_MAX ? distance(word, bytes, name[i], name_bytes) : best_distance;
        if (d < best_distance && d < name_bytes) {
            best_distance = d;
            best = name[i];
        }
    }
    return best;
}
