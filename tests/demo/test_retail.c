/* test_retail.c - invoice rows, clean and dirty, and the bundled file against counts made elsewhere. */
#include "demo/retail.h"
#include "tests/demo/files.h"

static char folder[128], path[192];
static struct fault fault;

static void setup(void)
{
    folder_make(folder);
}

static void teardown(void)
{
    folder_remove(folder);
}

TestSuite(retail, .init = setup, .fini = teardown);

#define HEAD "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

static struct recorded item[64];
static uint32_t count;
static struct account account;

static enum recorded_next read_all(const char *from)
{
    struct retail *retail;
    struct recorded one;
    enum recorded_next got;
    cr_assert_eq(retail_open(from, &retail, &fault), RIALTO_OK, "%s", fault.reason);
    for (count = 0; (got = retail_next(retail, &one, &fault)) == RECORDED_ITEM; count++)
        if (count < 64)
            item[count] = one;
    account = *retail_account(retail);
    retail_close(retail);
    return got;
}

static enum recorded_next read_text(const char *rows)
{
    char text[4096];
    snprintf(text, sizeof text, HEAD "%s", rows);
    return read_all(file_make(folder, "r.csv", text, path));
}

Test(retail, a_first_row_announces_zone_and_product_and_orders)
{
    cr_assert_eq(read_text("1,85123a,\" WHITE \"\"HEART\"\" \",6,2011-05-09 08:26:00,2.55,17850,Germany\n"
                           "1,85123A,WHITE,2,2011-05-09 08:27:00,2.95,17850,Germany\n"),
                 RECORDED_END);
    cr_assert_eq(count, 4);
    cr_assert_eq(item[0].rank, RANK_ZONE);
    cr_assert_str_eq(item[0].zone, "de");
    cr_assert_str_eq(item[1].sku, "G85123A");
    cr_assert_str_eq(item[1].body,
                     "\"category\":\"gifts/all\",\"title\":\"WHITE \\\"HEART\\\"\",\"list\":255,\"currency\":\"GBP\"");
    cr_assert_str_eq(item[2].customer, "C17850");
    cr_assert_str_eq(item[2].body, "\"event\":\"order\",\"quantity\":6,\"amount\":1530,\"currency\":\"GBP\"");
    cr_assert_eq(item[2].at_ms, INT64_C(1304929560000)); /* date -u -d '2011-05-09 08:26' +%s */
    cr_assert_str_eq(item[3].sku, "G85123A", "the same article whatever its letters' case; its list price stays");
}

Test(retail, a_cancellation_is_a_return_and_a_row_without_customer_is_anonymous)
{
    cr_assert_eq(read_text("C2,21730,GLASS,-3,2011-05-09 08:26:00,4.25,,Unspecified\n"), RECORDED_END);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(item[1].body, "\"event\":\"return\",\"quantity\":3,\"amount\":1275,\"currency\":\"GBP\"");
    cr_assert_str_eq(item[1].customer, "");
    cr_assert_str_eq(item[1].zone, "", "no country: the world");
}

Test(retail, dirty_rows_are_passed_over_each_under_its_rule)
{
    cr_assert_eq(read_text("1,POST,POSTAGE,1,2011-05-09 08:26:00,18,1,France\n"
                           "1,gift_0001_20,VOUCHER,1,2011-05-09 08:26:00,20,1,France\n"
                           "1,21730,damaged,-10,2011-05-09 08:26:00,0,,France\n"
                           "1,21730,GLASS,1,2011-05-09 08:26:00,0,,France\n"
                           "1,21730,GLASS,1,2011-05-09 08:26:00,-11.5,,France\n"
                           "1,21730,GLASS,many,2011-05-09 08:26:00,1,,France\n"
                           "1,21730,GLASS,0,2011-05-09 08:26:00,1,,France\n"
                           "1,21730,GLASS,1,yesterday,1,,France\n"
                           "1,21730,GLASS\n"),
                 RECORDED_END);
    cr_assert_eq(count, 0);
    cr_assert(account_adds_up(&account));
    cr_assert_eq(account.rows, 9);
    cr_assert_eq(account.by_rule[ACCOUNT_not_article], 2);
    cr_assert_eq(account.by_rule[ACCOUNT_stock_correction], 1);
    cr_assert_eq(account.by_rule[ACCOUNT_no_price], 2);
    cr_assert_eq(account.by_rule[ACCOUNT_malformed], 4);
}

Test(retail, a_file_out_of_order_is_refused)
{
    cr_assert_eq(
        read_text("1,21730,GLASS,1,2011-05-09 08:26:00,1,,France\n1,21730,GLASS,1,2011-05-09 08:25:00,1,,France\n"),
        RECORDED_BROKEN);
    cr_assert_not_null(strstr(fault.reason, "row 2"));
}

/* Counted with Python's csv module over the same file: 33,076 orders, 534 returns. */
Test(retail, the_bundled_file_comes_to_what_was_counted_elsewhere)
{
    cr_assert_eq(read_all(BUNDLED_RETAIL), RECORDED_END);
    cr_assert(account_adds_up(&account));
    cr_assert_eq(account.rows, 34036);
    cr_assert_eq(account.by_rule[ACCOUNT_emitted], 33076 + 534);
    cr_assert_eq(account.by_rule[ACCOUNT_not_article], 242);
    cr_assert_eq(account.by_rule[ACCOUNT_stock_correction], 76);
    cr_assert_eq(account.by_rule[ACCOUNT_no_price], 108);
}

Test(retail, texts_become_safe_insides_of_json_strings)
{
    char text[32];
    json_escaped("  a\"b\\c \t", sizeof text, text);
    cr_assert_str_eq(text, "a\\\"b\\\\c");
    json_escaped("\x01x\xC3\xA9\xFF\xED\xA0\x80z\x7F", sizeof text, text);
    cr_assert_str_eq(text, "x\xC3\xA9z", "control characters, broken UTF-8 and surrogates are dropped");
    char small[4];
    json_escaped("ab\xC3\xA9", sizeof small, small);
    cr_assert_str_eq(small, "ab", "never half a character");
}

Test(retail, numbers_and_times_are_taken_whole_or_not_at_all)
{
    double number = 7;
    int64_t ms = 7;
    const char *bad[] = { "", " 1", "1 ", "0x10", "1e999", "nan", "inf", "1,5", "--1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(text_number(bad[i], &number), "%s", bad[i]);
    cr_assert_eq(number, 7, "a failed parse must not touch the result");
    cr_assert(text_number("-2.5e1", &number));
    cr_assert_eq(number, -25);
    const char *bad_time[] = {
        "", "2024", "2024-13-01", "2024-00-01", "2024-04-01x", "2024-04-01 25:00:00", "2024-04-01 10:00"
    };
    for (size_t i = 0; i < sizeof bad_time / sizeof bad_time[0]; i++)
        cr_assert_not(text_time(bad_time[i], &ms), "%s", bad_time[i]);
    cr_assert(text_time("2024-02-29", &ms));
    cr_assert_eq(ms, INT64_C(1709164800000)); /* date -u -d 2024-02-29 +%s */
}
