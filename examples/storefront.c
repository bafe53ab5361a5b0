/* storefront.c - what does this customer pay for this product? And if nobody answers: the shop's own list price.
 *
 *   cc -o storefront storefront.c $(pkg-config --cflags --libs rialto) && ./storefront anna milk-1l 120 */
#include <rialto/quote.h>
#include <stdio.h>
#include <stdlib.h>

static struct rialto *prices; /* mapped once, kept open; any number of threads may ask it */

static enum rialto_status ask(const char *customer, const char *sku, struct rialto_quote *quote)
{
    if (prices == NULL && rialto_open(NULL, &prices) != RIALTO_OK)
        return RIALTO_NO_CACHE;
    enum rialto_status status = rialto_quote(prices, &(struct rialto_request){ .customer = customer }, sku, quote);
    if (status == RIALTO_RETIRED) { /* the tables were made anew: let go of these, the next call opens those */
        rialto_close(prices);
        prices = NULL;
    }
    return status;
}

int main(int argc, char *argv[])
{
    if (argc != 4)
        return fprintf(stderr, "usage: storefront CUSTOMER SKU LIST_PRICE_IN_PENCE\n"), 2;
    struct rialto_quote quote = { .amount = strtoll(argv[3], NULL, 10), .currency = "GBP", .decimals = 2 };
    struct rialto_quote answer;
    enum rialto_status status = ask(argv[1], argv[2], &answer);
    if (status == RIALTO_OK)
        quote = answer;

    char text[32];
    (void)rialto_money_text(quote.amount, quote.currency, quote.decimals, sizeof text, text);
    printf("%s pays %s for %s (%s)\n", argv[1], text, argv[2], status == RIALTO_OK ? "Rialto" : "list price");
    return 0;
}
