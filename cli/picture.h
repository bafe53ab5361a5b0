/* picture.h - what a factor makes of an input, as a picture. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "pricing/model.h"

struct picture {
    const struct model *model;
    const struct model_factor *factor;
    struct price_inputs in; /* what else is known */
    enum model_input over;  /* the input along the bottom; INPUT_NONE for tables by word, whose rows are drawn */
    double from, to;        /* of it, from < to */
};

/* picture_print - an SVG on a FILE *: the same bytes for the same picture. */
void picture_print(const struct picture *picture, void *stream);
#endif
