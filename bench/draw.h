/* draw.h - who asks for what: requests drawn at random and written down before they are timed. */
#ifndef BENCH_DRAW_H
#define BENCH_DRAW_H

#include "bench/shop.h"

#define DRAW_PAGE 50u

struct draw { /* one request to come */
    uint64_t customer_number;
    uint64_t product_number[DRAW_PAGE];
    uint32_t zone; /* that the customer is at home in */
    uint32_t offers;
    bool nobody; /* the customer permits nothing: there are no terms, and the shop names the zone */
    char customer[SHOP_ID_BYTES];
    char sku[DRAW_PAGE][SHOP_ID_BYTES];
    const char *sku_list[DRAW_PAGE];
};

/* Numbers below n, uniform or by Zipf's law; the frequent ones lie scattered, not side by side. */
struct zipf {
    uint64_t n;
    double exponent; /* 0 = uniform */
    double h_first, h_last, squeeze;
};

/* Source: W. Hoermann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", ACM TOMACS 6(3), 1996, pp. 169-184. */
void zipf_init(struct zipf *z, uint64_t n, double exponent);
uint64_t zipf_draw(const struct zipf *z, uint64_t *random);

struct drawer {
    struct shop_size size;
    struct zipf customers;
    struct zipf products;
    uint64_t random;
};

void drawer_init(struct drawer *d, const struct shop_size *size, double exponent, uint64_t seed);

/* drawer_draw - one customer and n products (at most DRAW_PAGE). */
void drawer_draw(struct drawer *d, size_t n, struct draw *ret);

/* drawer_draw_offer - a customer who has an offer, if there is one, and first the product that it is for. */
void drawer_draw_offer(struct drawer *d, size_t n, struct draw *ret);
#endif
