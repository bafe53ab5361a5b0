/* money.h - currencies: ISO 4217 letters, number and decimals of the minor unit. Pure, thread-safe.
 * Source: ISO 4217:2015 with its amendments, list one. */
#ifndef PRICING_MONEY_H
#define PRICING_MONEY_H

#include <stdint.h>

struct currency {
    char letters[4];
    uint16_t number;
    uint8_t decimals;
};

/* currency_find - by letters ("EUR"), or NULL. currency_by_number - or NULL. */
const struct currency *currency_find(const char *letters);
const struct currency *currency_by_number(uint16_t number);
#endif
