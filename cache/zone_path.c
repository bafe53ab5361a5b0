/* zone_path.c - zone names: validity, the levels in use, geohash cells. */
#include "cache/zone_path.h"

#include <string.h>

#define GEOHASH_PREFIX    "gh:"
#define GEOHASH_CHARS_MAX 12u
#define PATH_PARTS_MAX    8u

static const char GEOHASH_ALPHABET[] = "0123456789bcdefghjkmnpqrstuvwxyz";

static bool is_world(const char *name, size_t bytes)
{
    return bytes == 0 || (bytes == 5 && memcmp(name, "world", 5) == 0);
}

static bool is_geohash(const char *name, size_t bytes)
{
    return bytes >= 3 && memcmp(name, GEOHASH_PREFIX, 3) == 0;
}

static bool geohash_valid(const char *digits, size_t count)
{
    if (count == 0 || count > GEOHASH_CHARS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] == '\0' || strchr(GEOHASH_ALPHABET, digits[i]) == NULL)
            return false;
    }
    return true;
}

static bool path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == ':' || c == '-';
}

static bool path_valid(const char *name, size_t bytes)
{
    size_t parts = 1, part_bytes = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] == '/') {
            if (part_bytes == 0)
                return false;
            parts++;
            part_bytes = 0;
        } else if (path_char(name[i])) {
            part_bytes++;
        } else {
            return false;
        }
    }
    return part_bytes > 0 && parts <= PATH_PARTS_MAX;
}

bool zone_name_valid(const char *name, size_t bytes)
{
    if (bytes >= RIALTO_ID_MAX)
        return false;
    if (is_world(name, bytes))
        return true;
    if (is_geohash(name, bytes))
        return geohash_valid(name + 3, bytes - 3);
    return path_valid(name, bytes);
}

static void chain_add(struct zone_chain *chain, const char *name, size_t bytes)
{
    if (chain->count >= RIALTO_ZONE_LEVELS - 1)
        return;
    char *to = chain->name[chain->count++];
    memcpy(to, name, bytes);
    to[bytes] = '\0';
}

/* Bytes of the first `depth` parts; 0 when the name has fewer. */
static size_t path_prefix_bytes(const char *name, size_t bytes, uint32_t depth)
{
    uint32_t parts = 0;
    for (size_t i = 0; i <= bytes; i++) {
        if ((i == bytes || name[i] == '/') && ++parts == depth)
            return i;
    }
    return 0;
}

bool zone_chain_of(const struct zone_levels *levels, const char *name, size_t bytes, struct zone_chain *ret)
{
    if (!zone_name_valid(name, bytes))
        return false;
    ret->count = 0;
    if (is_world(name, bytes))
        return true;
    if (is_geohash(name, bytes)) {
        for (size_t i = sizeof levels->geohash_lengths; i-- > 0;) {
            size_t length = levels->geohash_lengths[i];
            if (length > 0 && length <= bytes - 3)
                chain_add(ret, name, 3 + length);
        }
        return true;
    }
    for (size_t i = sizeof levels->path_depths; i-- > 0;) {
        uint32_t depth = levels->path_depths[i];
        size_t prefix = depth == 0 ? 0 : path_prefix_bytes(name, bytes, depth);
        if (prefix > 0)
            chain_add(ret, name, prefix);
    }
    return true;
}

/* One bit of the position: which half of the range it lies in; the range becomes that half. */
static uint32_t halve(double value, double range[2])
{
    double middle = (range[0] + range[1]) / 2;
    uint32_t upper = value >= middle;
    range[upper ? 0 : 1] = middle;
    return upper;
}

void zone_geohash(const struct zone_levels *levels, double lat, double lon, char ret[RIALTO_ID_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < sizeof levels->geohash_lengths; i++) {
        if (levels->geohash_lengths[i] > length && levels->geohash_lengths[i] <= GEOHASH_CHARS_MAX)
            length = levels->geohash_lengths[i];
    }
    ret[0] = '\0';
    if (length == 0 || !(lat >= -90 && lat <= 90) || !(lon >= -180 && lon <= 180))
        return;

    double lat_range[2] = { -90, 90 }, lon_range[2] = { -180, 180 };
    memcpy(ret, GEOHASH_PREFIX, 3);
    bool even = true; /* bits alternate, longitude first */
    for (size_t i = 0; i < length; i++) {
        uint32_t digit = 0;
        for (int bit = 0; bit < 5; bit++, even = !even)
            digit = digit << 1 | (even ? halve(lon, lon_range) : halve(lat, lat_range));
        ret[3 + i] = GEOHASH_ALPHABET[digit];
    }
    ret[3 + length] = '\0';
}
