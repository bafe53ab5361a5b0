/* checksum.h - of what lies outside for a while, and may come back damaged: records in Redis, files of list prices. Against accidents, not
 * against anybody: who can write there can reckon, too. */
#ifndef SERVICE_CHECKSUM_H
#define SERVICE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHECKSUM_BEGIN UINT64_C(0xCBF29CE484222325)

/* checksum_add - of whole 8-byte words behind what came to `sum`. Each step is a bijection of the sum: no change of one word goes unseen. */
static inline uint64_t checksum_add(uint64_t sum, const void *from, size_t bytes)
{
    const unsigned char *at = from;
    uint64_t word;
    for (; bytes >= sizeof word; at += sizeof word, bytes -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 32;
    }
    return sum;
}

/* checksum_short - 32 bits of it. The upper half, on which all bits of the last word bear; the lower one is mixed with it already, and what came of
 * mixing them again would say nothing of that word's upper half. */
static inline uint32_t checksum_short(uint64_t sum)
{
    return (uint32_t)(sum >> 32);
}
#endif
