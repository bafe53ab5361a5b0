/* draw.c - random requests. */
#include "bench/draw.h"

#include "bench/bench.h"

#include <math.h>
#include <stddef.h>

#define SCATTER UINT64_C(2654435761) /* a prime above any n: multiplying by it modulo n is a permutation */

/* (exp(x) - 1) / x and log(1 + x) / x, which are 1 at 0. */
static double exp_ratio(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

static double log_ratio(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

/* The law's density, its integral, and the integral's inverse. */
static double density(const struct zipf *z, double x)
{
    return exp(-z->exponent * log(x));
}

static double integral(const struct zipf *z, double x)
{
    return exp_ratio((1 - z->exponent) * log(x)) * log(x);
}

static double inverse(const struct zipf *z, double x)
{
    double t = x * (1 - z->exponent);
    return exp(log_ratio(t < -1 ? -1 : t) * x);
}

void zipf_init(struct zipf *z, uint64_t n, double exponent)
{
    *z = (struct zipf){ .n = n, .exponent = exponent };
    if (exponent <= 0)
        return;
    z->h_first = integral(z, 1.5) - 1;
    z->h_last = integral(z, (double)n + 0.5);
    z->squeeze = 2 - inverse(z, integral(z, 2.5) - density(z, 2));
}

uint64_t zipf_draw(const struct zipf *z, uint64_t *random)
{
    if (z->exponent <= 0)
        return bench_random(random) % z->n;
    for (;;) {
        double u = z->h_last + (double)(bench_random(random) >> 11) * 0x1p-53 * (z->h_first - z->h_last);
        double x = inverse(z, u), k = floor(x + 0.5);
        k = k < 1 ? 1 : k > (double)z->n ? (double)z->n : k;
        if (k - x <= z->squeeze || u >= integral(z, k + 0.5) - density(z, k))
            return ((uint64_t)k - 1) * SCATTER % z->n;
    }
}

void drawer_init(struct drawer *d, const struct shop_size *size, double exponent, uint64_t seed)
{
    d->size = *size;
    d->random = seed;
    zipf_init(&d->customers, size->customers, exponent);
    zipf_init(&d->products, size->products, exponent);
}

static void write_down(struct drawer *d, size_t n, struct draw *ret)
{
    ret->nobody = false;
    uint64_t first = 0;
    ret->zone = shop_customer_zone(ret->customer_number);
    ret->offers = (uint32_t)shop_offers_of(&d->size, ret->customer_number, &first);
    shop_customer_id(ret->customer_number, ret->customer);
    for (size_t i = 0; i < n; i++) {
        shop_sku(ret->product_number[i], ret->sku[i]);
        ret->sku_list[i] = ret->sku[i];
    }
}

void drawer_draw(struct drawer *d, size_t n, struct draw *ret)
{
    ret->customer_number = zipf_draw(&d->customers, &d->random);
    for (size_t i = 0; i < n; i++)
        ret->product_number[i] = zipf_draw(&d->products, &d->random);
    write_down(d, n, ret);
}

void drawer_draw_offer(struct drawer *d, size_t n, struct draw *ret)
{
    drawer_draw(d, n, ret);
    if (d->size.offers == 0)
        return;
    /* The customer of a random offer: the first whose offers begin at or before it and go on behind it. */
    uint64_t offer = bench_random(&d->random) % d->size.offers, first = 0;
    uint64_t customer = offer * d->size.customers / d->size.offers;
    while (customer > 0 && shop_offers_of(&d->size, customer, &first) > 0 && first > offer)
        customer--;
    while (customer + 1 < d->size.customers && first + shop_offers_of(&d->size, customer, &first) <= offer)
        customer++;
    uint64_t count = shop_offers_of(&d->size, customer, &first);
    ret->customer_number = customer;
    if (count > 0)
        ret->product_number[0] = shop_offer_product(&d->size, customer, bench_random(&d->random) % count);
    write_down(d, n, ret);
}
