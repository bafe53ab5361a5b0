/* curve.c - the value of a curve. x strictly ascends (model_parse_values.c refuses anything else). */
#include "pricing/fixed.h"
#include "pricing/model.h"

int64_t model_curve(enum curve_kind kind, uint32_t count, const struct model_point point[], int64_t x_micro)
{
    if (count == 0)
        return MICRO;
    if (x_micro < point[0].x_micro)
        return point[0].y_micro;
    uint32_t left = 0; /* the last point at or left of x */
    while (left + 1 < count && point[left + 1].x_micro <= x_micro)
        left++;
    if (kind == CURVE_STEPS || left + 1 == count)
        return point[left].y_micro;

    const struct model_point *a = &point[left], *b = &point[left + 1];
    int128 rise = (int128)(b->y_micro - a->y_micro) * (x_micro - a->x_micro);
    return a->y_micro + (int64_t)div_half_even(rise, b->x_micro - a->x_micro);
}
