/* short_bytes.h - names, ids and words of a few bytes, by the million: a call of memcmp() or memcpy() takes longer than they do. Two words
 * that overlap cover 4 to 16 bytes; others are the library's. */
#ifndef SERVICE_SHORT_BYTES_H
#define SERVICE_SHORT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Are they the same? */
static inline bool same_bytes(const char *a, const char *b, size_t bytes)
{
    uint64_t a8, b8;
    uint32_t a4, b4;
    if (bytes >= sizeof a8 && bytes <= 2 * sizeof a8) {
        memcpy(&a8, a, sizeof a8);
        memcpy(&b8, b, sizeof b8);
        if (a8 != b8)
            return false;
        memcpy(&a8, a + bytes - sizeof a8, sizeof a8);
        memcpy(&b8, b + bytes - sizeof b8, sizeof b8);
        return a8 == b8;
    }
    if (bytes >= sizeof a4 && bytes < sizeof a8) {
        memcpy(&a4, a, sizeof a4);
        memcpy(&b4, b, sizeof b4);
        if (a4 != b4)
            return false;
        memcpy(&a4, a + bytes - sizeof a4, sizeof a4);
        memcpy(&b4, b + bytes - sizeof b4, sizeof b4);
        return a4 == b4;
    }
    return memcmp(a, b, bytes) == 0;
}

/* Copied; no byte behind them is touched. */
static inline void copy_bytes(char *to, const char *from, size_t bytes)
{
    uint64_t first8, last8;
    uint32_t first4, last4;
    if (bytes >= sizeof first8 && bytes <= 2 * sizeof first8) {
        memcpy(&first8, from, sizeof first8);
        memcpy(&last8, from + bytes - sizeof last8, sizeof last8);
        memcpy(to, &first8, sizeof first8);
        memcpy(to + bytes - sizeof last8, &last8, sizeof last8);
    } else if (bytes >= sizeof first4 && bytes < sizeof first8) {
        memcpy(&first4, from, sizeof first4);
        memcpy(&last4, from + bytes - sizeof last4, sizeof last4);
        memcpy(to, &first4, sizeof first4);
        memcpy(to + bytes - sizeof last4, &last4, sizeof last4);
    } else {
        memcpy(to, from, bytes);
    }
}

/* For a table of what was seen before: any number will do, and what is found is compared. */
static inline uint64_t hash_bytes(const char *text, size_t bytes)
{
    uint64_t first = 0, last = 0;
    if (bytes >= sizeof first) {
        memcpy(&first, text, sizeof first);
        memcpy(&last, text + bytes - sizeof last, sizeof last);
    } else {
        for (size_t i = 0; i < bytes; i++)
            first = first << 8 | (unsigned char)text[i];
    }
    return ((first ^ (last << 29 | last >> 35)) + bytes) * UINT64_C(0x9E3779B97F4A7C15) >> 32;
}

/* The high bit of each byte that is below 0x20, DEL or not ASCII; above the first one also of others. */
static inline uint64_t not_plain(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101), del = word ^ (each * 0x7F);
    return ((word - each * 0x20) | word | ((del - each) & ~del)) & (each * 0x80);
}

/* Printable ASCII and nothing else? */
static inline bool is_printable(const char *text, size_t bytes)
{
    uint64_t word;
    if (bytes < sizeof word) {
        bool good = true;
        for (size_t i = 0; i < bytes; i++)
            good = good && text[i] >= 0x20 && text[i] < 0x7F;
        return good;
    }
    memcpy(&word, text + bytes - sizeof word, sizeof word); /* the last one overlaps the one before */
    uint64_t found = not_plain(word);
    for (size_t at = 0; at + sizeof word < bytes; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        found |= not_plain(word);
    }
    return found == 0;
}
#endif
