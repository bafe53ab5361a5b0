#include "pricing/distance.h"
#include "pricing/nano.h"

#include <string.h>

#define DEGREE_RADIAN_NANO INT64_C(17453293)     /* pi / 180 */
#define KM_PER_DEGREE_NANO INT64_C(111195080234) /* 6371.0088 pi / 180 */

/* cos x for |x| <= pi / 2: its series to x^14. */
static int64_t cos_nano(int64_t x)
{
    int64_t square = nano_mul(x, x), term = NANO, sum = NANO;
    for (int64_t k = 1; k <= 7; k++) {
        term = -nano_div(nano_mul(term, square), (2 * k - 1) * 2 * k * NANO);
        sum += term;
    }
    return sum;
}

static uint64_t root_down(uint64_t n) /* the largest r with r x r <= n, bit by bit */
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

int64_t distance_km_micro(const int64_t a_micro[2], const int64_t b_micro[2])
{
    int64_t north = a_micro[0] - b_micro[0], east = a_micro[1] - b_micro[1];
    if (east > 180 * MICRO)
        east -= 360 * MICRO;
    if (east < -180 * MICRO)
        east += 360 * MICRO;
    int64_t middle = (a_micro[0] + b_micro[0]) * (NANO_PER_MICRO / 2); /* nano degrees */
    int64_t x = nano_mul(east, cos_nano(nano_mul(middle, DEGREE_RADIAN_NANO)));
    uint64_t degrees_micro = root_down((uint64_t)(x * x + north * north)); /* below 2^59 */
    return nano_mul((int64_t)degrees_micro, KM_PER_DEGREE_NANO);
}

/* The middle of cell `index` of 2^bits, from -half to half degrees. Bits are at most 30: far from an overflow. */
static int64_t middle_micro(int64_t half_degrees, uint64_t index, unsigned bits)
{
    int64_t width = 2 * half_degrees * MICRO, steps = (int64_t)(2 * index + 1);
    return -half_degrees * MICRO + (int64_t)((int128)width * steps >> (bits + 1));
}

bool geohash_middle(const char *zone, int64_t ret_micro[2])
{
    static const char LETTERS[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t index[2] = { 0, 0 }; /* latitude, longitude */
    unsigned bits[2] = { 0, 0 };
    if (strncmp(zone, "gh:", 3) != 0 || zone[3] == '\0' || strlen(zone) > 3 + 12)
        return false;
    for (const char *at = zone + 3; *at != '\0'; at++) {
        const char *letter = strchr(LETTERS, *at);
        if (letter == NULL)
            return false;
        for (int bit = 4; bit >= 0; bit--) {
            unsigned axis = bits[0] == bits[1]; /* longitude first */
            index[axis] = index[axis] << 1 | (uint64_t)((letter - LETTERS) >> bit & 1);
            bits[axis]++;
        }
    }
    ret_micro[0] = middle_micro(90, index[0], bits[0]);
    ret_micro[1] = middle_micro(180, index[1], bits[1]);
    return true;
}
