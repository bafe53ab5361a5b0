/* rates.c - see rates.h. Levels are integers of 1e-6 signals: a rate in signals a second is one of them a microsecond. */
#include "service/rates.h"

#include "service/metrics.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL INT64_C(1000000)

_Static_assert((RATES_SETS & (RATES_SETS - 1)) == 0, "a set is a few bits of a hash");

struct bucket {
    char name[RATES_NAME_MAX]; /* "" = free */
    int64_t level;             /* 1e-6 signals; below nothing: a debt */
    int64_t at_us;             /* when it was that */
};

struct rates {
    int64_t per_s;
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct bucket bucket[RATES_SETS][RATES_WAYS];
};

struct rates *rates_create(uint32_t per_s)
{
    struct rates *rates = sodium_init() >= 0 ? calloc(1, sizeof *rates) : NULL;
    if (rates == NULL)
        return NULL;
    rates->per_s = per_s;
    crypto_shorthash_keygen(rates->key);
    return rates;
}

void rates_destroy(struct rates *rates)
{
    free(rates);
}

static void fill(const struct rates *rates, struct bucket *bucket, int64_t now_us)
{
    int64_t full = rates->per_s * SIGNAL;
    int64_t enough_us = (full - bucket->level) / rates->per_s + 1; /* so that no long silence overflows */
    int64_t passed_us = now_us - bucket->at_us;
    if (passed_us <= 0)
        return;
    bucket->level = passed_us >= enough_us ? full : bucket->level + passed_us * rates->per_s;
    bucket->at_us = now_us;
}

static struct bucket *bucket_of(struct rates *rates, const char *name, int64_t now_us)
{
    unsigned char hash[crypto_shorthash_BYTES];
    size_t length = strnlen(name, RATES_NAME_MAX - 1);
    uint32_t set;
    (void)crypto_shorthash(hash, (const unsigned char *)name, length, rates->key);
    memcpy(&set, hash, sizeof set);
    struct bucket *ways = rates->bucket[set & (RATES_SETS - 1)], *room = NULL;
    for (uint32_t i = 0; i < RATES_WAYS; i++) {
        if (strncmp(ways[i].name, name, RATES_NAME_MAX - 1) == 0 && ways[i].name[0] != '\0') {
            fill(rates, &ways[i], now_us);
            return &ways[i];
        }
        if (room != NULL)
            continue;
        if (ways[i].name[0] != '\0')
            fill(rates, &ways[i], now_us);
        if (ways[i].name[0] == '\0' || ways[i].level == rates->per_s * SIGNAL)
            room = &ways[i];
    }
    if (room == NULL) {
        metric_add(METRIC_producers_crowded_total, 1);
        return &ways[RATES_WAYS - 1];
    }
    memset(room, 0, sizeof *room);
    memcpy(room->name, name, length);
    room->level = rates->per_s * SIGNAL;
    room->at_us = now_us;
    return room;
}

int64_t rates_wait_us(struct rates *rates, const char *name, int64_t now_us)
{
    const struct bucket *bucket = bucket_of(rates, name, now_us);
    return bucket->level >= SIGNAL ? 0 : (SIGNAL - bucket->level + rates->per_s - 1) / rates->per_s;
}

void rates_charge(struct rates *rates, const char *name, uint32_t signals, int64_t now_us)
{
    bucket_of(rates, name, now_us)->level -= signals * SIGNAL;
}
