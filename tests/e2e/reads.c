/* reads.c - a storefront that asks for quotes in every way between two marks: test_reads.py runs it under strace, and counts.
 *
 *   reads CACHE ROUNDS     prints "mapped MODE" for each mapping of the cache, "allocations N" and "amounts N"
 *
 * The marks are calls of getppid(), which nothing else here makes. Allocation is counted by taking the allocator's names. */
#define _GNU_SOURCE
#include <rialto/quote.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRODUCTS 64u

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static unsigned long allocations;

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    allocations++;
    return __libc_realloc(old, bytes);
}

struct keys {
    char name[PRODUCTS][16];
    const char *sku[PRODUCTS];
    struct rialto_product_handle product[PRODUCTS];
    struct rialto_customer_handle customer;
    struct rialto_zone_handle zone;
};

static bool keys_fill(const struct rialto *prices, struct keys *ret)
{
    bool good = rialto_customer_handle(prices, "anna", &ret->customer) == RIALTO_OK &&
                rialto_zone_handle(prices, "c1/s25", &ret->zone) == RIALTO_OK;
    for (unsigned i = 0; i < PRODUCTS; i++) {
        (void)snprintf(ret->name[i], sizeof ret->name[i], "p%u", i);
        ret->sku[i] = ret->name[i];
        good = good && rialto_product_handle(prices, ret->sku[i], &ret->product[i]) == RIALTO_OK;
    }
    return good;
}

/* Every way to ask, for people and nobody, in a zone and nowhere, for what there is and what there is not. */
static unsigned long ask(const struct rialto *prices, const struct keys *keys, unsigned long rounds)
{
    static struct rialto_quote quote[PRODUCTS];
    static enum rialto_status status[PRODUCTS];
    struct rialto_rule_row rule;
    unsigned long amounts = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        const struct rialto_request request = { .customer = i % 3 == 0 ? NULL : "anna", .zone = i % 2 == 0 ? "c1/s25" : NULL };
        const struct rialto_handle_request kept = { .customer = i % 3 == 0 ? NULL : &keys->customer,
                                                    .zone = i % 2 == 0 ? &keys->zone : NULL };
        unsigned one = (unsigned)(i % PRODUCTS);
        amounts += rialto_quote(prices, &request, keys->sku[one], &quote[0]) == RIALTO_OK;
        amounts += rialto_rule(prices, quote[0].rule, &rule) == RIALTO_OK;
        amounts += rialto_quote_handle(prices, &kept, &keys->product[one], &quote[0]) == RIALTO_OK;
        (void)rialto_quote(prices, &request, "nothing-of-the-kind", &quote[0]);
        (void)rialto_quote_page(prices, &request, PRODUCTS, keys->sku, quote, status);
        for (unsigned p = 0; p < PRODUCTS; p++)
            amounts += status[p] == RIALTO_OK;
        (void)rialto_quote_page_handles(prices, &kept, PRODUCTS, keys->product, quote, status);
        for (unsigned p = 0; p < PRODUCTS; p++)
            amounts += status[p] == RIALTO_OK;
        amounts += rialto_now_ms(prices) > 0;
    }
    return amounts;
}

static void print_mappings(const char *folder)
{
    char line[1024], mode[8];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, folder) != NULL && sscanf(line, "%*s %7s", mode) == 1)
            (void)printf("mapped %s\n", mode);
    if (maps != NULL)
        (void)fclose(maps);
}

int main(int argc, char *argv[])
{
    static struct keys keys;
    struct rialto *prices;
    if (argc != 3 || rialto_open(argv[1], &prices) != RIALTO_OK || !keys_fill(prices, &keys))
        return 1;
    print_mappings(argv[1]);
    (void)ask(prices, &keys, 10); /* pages come in, the linker binds names */
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    (void)getppid();
    unsigned long before = allocations;
    unsigned long amounts = ask(prices, &keys, rounds);
    unsigned long made = allocations - before;
    (void)getppid();
    (void)printf("allocations %lu\namounts %lu\n", made, amounts);
    rialto_close(prices);
    return 0;
}
