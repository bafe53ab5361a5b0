/* money_text.c - amounts as text. */
#include <rialto/quote.h>

#include <inttypes.h>
#include <stdio.h>

#define DECIMALS_MAX 18u

size_t rialto_money_text(int64_t amount, const char *currency, uint8_t decimals, size_t n, char *ret)
{
    unsigned places = decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
    uint64_t unit = 1;
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    uint64_t size = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount; /* INT64_MIN has no int64 of its own size */
    const char *sign = amount < 0 ? "-" : "";
    const char *space = currency == NULL || currency[0] == '\0' ? "" : " ";

    int length = places == 0
                     ? snprintf(ret, n, "%s%" PRIu64 "%s%s", sign, size, space, currency == NULL ? "" : currency)
                     : snprintf(ret, n, "%s%" PRIu64 ".%0*" PRIu64 "%s%s", sign, size / unit, (int)places, size % unit,
                                space, currency == NULL ? "" : currency);
    return length < 0 ? 0 : (size_t)length;
}
