/* zone_path.h - zones by name: what a valid zone is, where it is cut, and which zones are around it.
 *
 *   ""  or "world"               the world: around everything
 *   "gh:u4pru"                   a geohash cell; around it the shorter lengths in use: "gh:u4p", then the world
 *   "de/south/store:25/dairy"    a path of the user's own; around it its parents at the depths in use, then the world
 *
 * Finer positions than the levels in use are cut before anything is stored. Pure, thread-safe. */
#ifndef CACHE_ZONE_PATH_H
#define CACHE_ZONE_PATH_H

#include <rialto/layout.h>
#include <stdbool.h>
#include <stddef.h>

struct zone_levels {
    uint8_t geohash_lengths[2]; /* ascending, 0 = unused; default 3, 5 */
    uint8_t path_depths[3];     /* ascending, 0 = unused; default 1, 2, 3 */
};

struct zone_chain { /* own zone first; the world is not listed */
    uint32_t count; /* 0 (the world) to RIALTO_ZONE_LEVELS - 1 */
    char name[RIALTO_ZONE_LEVELS - 1][RIALTO_ID_MAX];
};

/* zone_name_valid - [A-Za-z0-9_.:-] components joined by single slashes, at most 8, at most RIALTO_ID_MAX - 1 bytes; after
 * "gh:" 1..12 characters of the geohash alphabet. "" and "world" are valid. */
bool zone_name_valid(const char *name, size_t bytes);

/* zone_chain_of - cut to the levels in use and list the zone and its prefix ancestors. False if the name is not valid. */
bool zone_chain_of(const struct zone_levels *levels, const char *name, size_t bytes, struct zone_chain *ret);

/* zone_geohash - the "gh:" name of a position at the longest length in use; "" where no length is in use.
 * Source: G. Niemeyer's geohash, 2008; base32 "0123456789bcdefghjkmnpqrstuvwxyz". lat -90..90, lon -180..180. */
void zone_geohash(const struct zone_levels *levels, double lat, double lon, char ret[RIALTO_ID_MAX]);
#endif
