/* money_text.c - amounts as text. */
#include <rialto/quote.h>

#include <string.h>

#define DECIMALS_MAX 18u
#define TEXT_MAX     48u /* sign, 20 digits, point, a zero before it, space, currency */

size_t rialto_money_text(int64_t amount, const char *currency, uint8_t decimals, size_t n, char *ret)
{
    char text[TEXT_MAX];
    unsigned places = decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
    uint64_t rest = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount; /* INT64_MIN has no int64 of its own size */
    size_t at = TEXT_MAX;
    unsigned written = 0;
    /* From the last digit to the first; at least one stands before the point. */
    for (; rest != 0 || written <= places; rest /= 10, written++) {
        if (written == places && places > 0)
            text[--at] = '.';
        text[--at] = (char)('0' + rest % 10);
    }
    if (amount < 0)
        text[--at] = '-';

    size_t digits = TEXT_MAX - at, letters = currency == NULL ? 0 : strlen(currency);
    size_t length = digits + (letters > 0 ? 1 + letters : 0);
    if (n == 0)
        return length;
    size_t room = n - 1, take = digits < room ? digits : room;
    memcpy(ret, text + at, take);
    if (letters > 0 && take < room) {
        ret[take++] = ' ';
        letters = letters < room - take ? letters : room - take;
        memcpy(ret + take, currency, letters);
        take += letters;
    }
    ret[take] = '\0';
    return length;
}
