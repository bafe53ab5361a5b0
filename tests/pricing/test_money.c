/* test_money.c - the table of currencies. Decimals of the currencies that do not have two are those of ISO 4217. */
#include "pricing/money.h"

#include <criterion/criterion.h>
#include <string.h>

Test(money, finds_currencies_by_letters_and_number)
{
    const struct {
        const char *letters;
        uint16_t number;
        uint8_t decimals;
    } known[] = { { "AED", 784, 2 }, { "BHD", 48, 3 },  { "CLP", 152, 0 }, { "CNY", 156, 2 },
                  { "EUR", 978, 2 }, { "GBP", 826, 2 }, { "HUF", 348, 2 }, { "ISK", 352, 0 },
                  { "JPY", 392, 0 }, { "KWD", 414, 3 }, { "NOK", 578, 2 }, { "TND", 788, 3 },
                  { "USD", 840, 2 }, { "VND", 704, 0 }, { "XOF", 952, 0 }, { "ZWG", 924, 2 } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct currency *by_letters = currency_find(known[i].letters);
        cr_assert_not_null(by_letters, "%s", known[i].letters);
        cr_assert_str_eq(by_letters->letters, known[i].letters);
        cr_assert_eq(by_letters->number, known[i].number, "%s", known[i].letters);
        cr_assert_eq(by_letters->decimals, known[i].decimals, "%s", known[i].letters);
        cr_assert_eq(currency_by_number(known[i].number), by_letters);
    }
}

Test(money, knows_nothing_else)
{
    const char *const unknown[] = { "", "EU", "EURO", "eur", "ZZZ", "AAA", "XXX", "XAU", "HRK", "\xFF\xFF\xFF" };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        cr_assert_null(currency_find(unknown[i]), "%s", unknown[i]);
    cr_assert_null(currency_find(NULL));
    cr_assert_null(currency_by_number(0));
    cr_assert_null(currency_by_number(999));
}

/* Goal: the search by halves reaches every row, which it only does while they are sorted; no number stands twice. */
Test(money, every_number_leads_back_to_its_own_row)
{
    int count = 0;
    for (uint32_t number = 0; number <= UINT16_MAX; number++) {
        const struct currency *currency = currency_by_number((uint16_t)number);
        if (currency == NULL)
            continue;
        count++;
        cr_assert_eq(currency_find(currency->letters), currency, "%s", currency->letters);
        cr_assert_eq(strlen(currency->letters), 3);
        cr_assert_leq(currency->decimals, 3);
    }
    cr_assert_geq(count, 150);
}
