#include "pricing/distance.h"
#include "pricing/nano.h"

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
