/* reader.c - a storefront that shows prices, straight out of Rialto's shared memory.
 *
 *   reader [-c CUSTOMER] [-z ZONE] [-n ROUNDS] [-i MILLISECONDS] [SKU...]
 *
 * Each round quotes one page and prints a line per product. Without a SKU it shows the first products that the cache
 * holds. It maps the cache read-only (folder: $RIALTO_CACHE, else /dev/shm/rialto), waits for it to appear, opens it
 * again when it was replaced, and needs no network and no right to write anything.
 *
 *   cc -o reader reader.c $(pkg-config --cflags --libs rialto) */
#define _POSIX_C_SOURCE 200809L
#include <rialto/quote.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_MAX 10u

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void sleep_ms(long ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&t, NULL); /* a signal ends it early, and that is wanted */
}

/* first_products - fill `sku` with products that have a price in the whole world; returns how many there are. */
static size_t first_products(const struct rialto *prices, char sku[PAGE_MAX][RIALTO_ID_MAX])
{
    size_t n = 0;
    struct rialto_cell cell;
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS && n < PAGE_MAX; partition++) {
        enum rialto_status s = RIALTO_OK;
        for (uint64_t slot = 0; s != RIALTO_BAD_INPUT && n < PAGE_MAX; slot++) {
            s = rialto_cell_at(prices, partition, slot, &cell);
            if (s == RIALTO_OK && cell.sku[0] != 0 && cell.zone[0] == 0)
                memcpy(sku[n++], cell.sku, RIALTO_ID_MAX);
        }
    }
    return n;
}

static void print_quote(const char *sku, const struct rialto_quote *q)
{
    char amount[32], baseline[32], list[32];
    (void)rialto_money_text(q->amount, q->currency, q->decimals, sizeof amount, amount);
    (void)rialto_money_text(q->baseline, q->currency, q->decimals, sizeof baseline, baseline);
    (void)rialto_money_text(q->list, q->currency, q->decimals, sizeof list, list);
    printf("%-24s %14s   baseline %14s   list %14s   %s%s%s%s%s\n", sku, amount, baseline, list,
           q->zone[0] != 0 ? q->zone : "world", (q->flags & RIALTO_FLAG_PERSONAL) != 0 ? ", personal" : "",
           (q->flags & RIALTO_FLAG_OFFER) != 0 ? ", offer" : "", (q->flags & RIALTO_FLAG_LOCK) != 0 ? ", locked" : "",
           (q->flags & RIALTO_FLAG_STALE) != 0 ? ", stale" : "");
}

/* show_page - quote and print `n` products. Returns RIALTO_OK, or what stands against the page as a whole. */
static enum rialto_status show_page(const struct rialto *prices, const struct rialto_request *request, size_t n,
                                    const char *const sku[])
{
    struct rialto_quote quote[PAGE_MAX];
    enum rialto_status status[PAGE_MAX];
    enum rialto_status s = rialto_quote_page(prices, request, n, sku, quote, status);
    if (s != RIALTO_OK)
        return s;
    for (size_t i = 0; i < n; i++) {
        if (status[i] == RIALTO_OK)
            print_quote(sku[i], &quote[i]);
        else
            printf("%-24s %s\n", sku[i], rialto_status_text(status[i]));
    }
    return RIALTO_OK;
}

/* show_round - one page of the named products, or of the first ones there are. */
static enum rialto_status show_round(const struct rialto *prices, const struct rialto_request *request, size_t n,
                                     char *const named[])
{
    char found[PAGE_MAX][RIALTO_ID_MAX];
    const char *sku[PAGE_MAX];
    if (n > PAGE_MAX)
        n = PAGE_MAX;
    for (size_t i = 0; i < n; i++)
        sku[i] = named[i];
    if (n == 0) {
        n = first_products(prices, found);
        for (size_t i = 0; i < n; i++)
            sku[i] = found[i];
    }
    if (n == 0)
        puts("no products yet");
    return n == 0 ? RIALTO_OK : show_page(prices, request, n, sku);
}

int main(int argc, char *argv[])
{
    struct rialto_request request = { 0 };
    long rounds = 0, interval_ms = 1000;
    int option;
    while ((option = getopt(argc, argv, "c:z:n:i:")) != -1) {
        switch (option) {
        case 'c': request.customer = optarg; break;
        case 'z': request.zone = optarg; break;
        case 'n': rounds = strtol(optarg, NULL, 10); break;
        case 'i': interval_ms = strtol(optarg, NULL, 10); break;
        default:
            fprintf(stderr, "usage: reader [-c CUSTOMER] [-z ZONE] [-n ROUNDS] [-i MILLISECONDS] [SKU...]\n");
            return 2;
        }
    }
    struct sigaction act = { .sa_handler = on_signal };
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    struct rialto *prices = NULL;
    enum rialto_status said = RIALTO_OK; /* the last thing that stood in the way: said once, not each round */
    for (long round = 0; !stop && (rounds == 0 || round < rounds); round++) {
        enum rialto_status s = prices != NULL ? RIALTO_OK : rialto_open(NULL, &prices);
        if (s == RIALTO_OK)
            s = show_round(prices, &request, (size_t)(argc - optind), argv + optind);
        if (s == RIALTO_RETIRED) {
            rialto_close(prices);
            prices = NULL;
        }
        if (s != RIALTO_OK && s != said)
            fprintf(stderr, "reader: %s\n", rialto_status_text(s));
        said = s;
        if (!stop && (rounds == 0 || round + 1 < rounds))
            sleep_ms(interval_ms);
    }
    rialto_close(prices);
    return said == RIALTO_OK ? 0 : 1;
}
