/* sample.h - products, shops and customers that the storefront asks for: filled by the replay, read by others
 * meanwhile.
 *
 * One writer appends; what is acknowledged by the service is published with a count, so that a reader never asks for a
 * product before the service has said that it knows it. */
#ifndef DEMO_SAMPLE_H
#define DEMO_SAMPLE_H

#include "demo/recording.h"

#include <stdatomic.h>

#define SAMPLE_MAX 65536u

struct sample_list {
    char (*text)[RIALTO_ID_MAX];
    uint32_t added;         /* writer only */
    _Atomic uint32_t count; /* published */
    struct names *known;    /* writer only */
};

struct sample_person { /* a customer for the board; its text is constant once `found` is set */
    char id[RIALTO_ID_MAX];
    char zone[RIALTO_ID_MAX];
    _Atomic bool found;
};

struct sample {
    struct sample_list products, groceries, stores, customers;
    struct sample_person gold, near, nobody;
};

bool sample_setup(struct sample *sample);
void sample_teardown(struct sample *sample);

/* For struct replay_settings: user = struct sample *. */
void sample_seen(void *user, const struct recorded *item);
void sample_acknowledged(void *user);

/* sample_add_product - one that is known from before the replay; published at once. */
void sample_add_product(struct sample *sample, const char *sku, const char *category);
#endif
