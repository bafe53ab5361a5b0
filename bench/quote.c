/* quote.c - how long a price takes: one quote and a page of 50, beside Redis with the same information.
 *
 * Customers and products are drawn uniformly, which is the worst case for any cache of the processor. One thread asks. */
#include "bench/bench.h"
#include "bench/redis_peer.h"
#include "bench/shop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define PAGE        50u
#define DRAWS       64u /* requests written down ahead of being timed; they stay in the processor's cache */
#define SAMPLES_MAX 4000000u
#define ROWS_MAX    4u

struct draw { /* one request to come */
    char customer[SHOP_ID_BYTES];
    char sku[PAGE][SHOP_ID_BYTES];
    const char *sku_list[PAGE];
};

struct asker { /* who is measured */
    struct shop *shop;
    struct redis_peer *redis; /* NULL = Rialto */
    size_t n;                 /* products in one request */
    uint64_t failed;
};

struct row {
    const char *name;
    const char *key; /* in JSON */
    double p50, p99, p999;
    size_t samples;
    uint64_t failed;
    const struct row *against; /* the row that a ratio is taken to, or NULL */
};

static void make_draws(const struct asker *a, uint64_t *random, struct draw *draws)
{
    uint64_t customers = a->redis != NULL ? a->redis->customers : a->shop->customers;
    uint64_t products = a->redis != NULL ? a->redis->products : a->shop->products;
    for (size_t i = 0; i < DRAWS; i++) {
        shop_customer_id(bench_random(random) % customers, draws[i].customer);
        for (size_t k = 0; k < a->n; k++) {
            shop_sku(bench_random(random) % products, draws[i].sku[k]);
            draws[i].sku_list[k] = draws[i].sku[k];
        }
    }
}

/* The timed part. Returns whether every product was answered. */
static bool ask(struct asker *a, const struct draw *d)
{
    static struct rialto_quote quote[PAGE];
    enum rialto_status status[PAGE];
    if (a->redis != NULL)
        return redis_peer_ask(a->redis, d->customer, a->n, d->sku_list);
    const struct rialto_request request = { .customer = d->customer };
    if (a->n == 1)
        return rialto_quote(a->shop->prices, &request, d->sku[0], quote) == RIALTO_OK;
    if (rialto_quote_page(a->shop->prices, &request, a->n, d->sku_list, quote, status) != RIALTO_OK)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (status[i] != RIALTO_OK)
            return false;
    }
    return true;
}

static bool measure(struct asker *a, uint64_t seconds, struct row *ret)
{
    struct samples s;
    struct draw *draws = malloc(DRAWS * sizeof *draws);
    if (draws == NULL || !samples_setup(&s, SAMPLES_MAX)) {
        free(draws);
        return false;
    }
    uint64_t random = 42;
    double spent_ns = 0, limit_ns = (double)seconds * 1e9;
    for (int round = 0; spent_ns < limit_ns && s.count + DRAWS <= s.capacity; round++) {
        make_draws(a, &random, draws);
        for (size_t i = 0; i < DRAWS && spent_ns < limit_ns; i++) {
            uint64_t from = clock_begin();
            bool answered = ask(a, &draws[i]);
            uint64_t ticks = clock_end() - from;
            spent_ns += clock_ns(ticks);
            a->failed += !answered;
            if (round > 0) /* the first round touches pages and fills predictors */
                samples_add(&s, ticks);
        }
    }
    samples_sort(&s);
    ret->p50 = samples_at(&s, 0.5);
    ret->p99 = samples_at(&s, 0.99);
    ret->p999 = samples_at(&s, 0.999);
    ret->samples = s.count;
    ret->failed = a->failed;
    samples_teardown(&s);
    free(draws);
    return true;
}

/* ---- words --------------------------------------------------------------------------------------------- */

static void time_text(double ns, char ret[16])
{
    if (ns < 10000)
        (void)snprintf(ret, 16, "%.0f ns", ns);
    else
        (void)snprintf(ret, 16, "%.1f us", ns / 1000);
}

static void print_table(const struct shop *shop, size_t n, const struct row row[])
{
    struct utsname machine = { 0 };
    (void)uname(&machine);
    printf("quotes for %" PRIu64 " customers, %" PRIu64 " cells (%" PRIu64
           " MiB), uniformly drawn, one thread, %s %s\n",
           shop->customers, shop->products * 2, shop->file_bytes >> 20, machine.sysname, machine.release);
    printf("%-34s %12s %12s %12s %10s %9s\n", "", "p50", "p99", "p99.9", "samples", "ratio");
    for (size_t i = 0; i < n; i++) {
        char p50[16], p99[16], p999[16], ratio[16] = "";
        time_text(row[i].p50, p50);
        time_text(row[i].p99, p99);
        time_text(row[i].p999, p999);
        if (row[i].against != NULL)
            (void)snprintf(ratio, sizeof ratio, "x %.0f", row[i].p50 / row[i].against->p50);
        printf("%-34s %12s %12s %12s %10zu %9s\n", row[i].name, p50, p99, p999, row[i].samples, ratio);
        if (row[i].failed > 0)
            printf("  %" PRIu64 " requests were not answered\n", row[i].failed);
    }
    printf("each time includes the clock's own %.0f ns (%s)\n", clock_cost_ns(), clock_name());
}

static void print_json(const struct shop *shop, size_t n, const struct row row[])
{
    printf("{\"bench\":\"quote\",\"customers\":%" PRIu64 ",\"cells\":%" PRIu64 ",\"file_bytes\":%" PRIu64
           ",\"clock\":\"%s\",\"clock_ns\":%.1f",
           shop->customers, shop->products * 2, shop->file_bytes, clock_name(), clock_cost_ns());
    for (size_t i = 0; i < n; i++)
        printf(",\"%s\":{\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"samples\":%zu,\"failed\":%" PRIu64 "}",
               row[i].key, row[i].p50, row[i].p99, row[i].p999, row[i].samples, row[i].failed);
    printf("}\n");
}

int bench_quote(const struct bench_options *options)
{
    struct shop shop;
    struct redis_peer redis;
    struct row row[ROWS_MAX] = {
        { .name = "Rialto, one product", .key = "quote" },
        { .name = "Rialto, page of 50", .key = "page" },
        { .name = "Redis, one product", .key = "redis_quote", .against = &row[0] },
        { .name = "Redis, page of 50", .key = "redis_page", .against = &row[1] },
    };
    size_t rows = 2;
    if (!shop_setup(&shop, options->customers, options->cells))
        return 1;
    bool ok = measure(&(struct asker){ .shop = &shop, .n = 1 }, options->seconds, &row[0]) &&
              measure(&(struct asker){ .shop = &shop, .n = PAGE }, options->seconds, &row[1]);
    if (ok && options->peers && redis_peer_setup(&redis, shop.customers, shop.products)) {
        ok = measure(&(struct asker){ .shop = &shop, .redis = &redis, .n = 1 }, options->seconds, &row[2]) &&
             measure(&(struct asker){ .shop = &shop, .redis = &redis, .n = PAGE }, options->seconds, &row[3]);
        rows = 4;
        redis_peer_teardown(&redis);
    } else if (ok && options->peers && !options->json) {
        printf("(no redis-server here to compare with)\n");
    }
    if (ok && options->json)
        print_json(&shop, rows, row);
    else if (ok)
        print_table(&shop, rows, row);
    shop_teardown(&shop);
    bool failed = false;
    for (size_t i = 0; i < rows; i++)
        failed = failed || row[i].failed > 0;
    return ok && !failed ? 0 : 1;
}
