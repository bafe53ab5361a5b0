/* test_fresh.c - rows of the groceries, rule by rule, and the bundled files against counts made elsewhere. */
#include "demo/fresh.h"
#include "tests/demo/files.h"

#include <math.h>

static char folder[128], path[192];
static struct fault fault;

static void setup(void)
{
    folder_make(folder);
    file_make(folder, "fresh_product.csv", "product_id,first_category_id,second_category_id\n7,4,28\n", path);
}

static void teardown(void)
{
    folder_remove(folder);
}

TestSuite(fresh, .init = setup, .fini = teardown);

#define HOURLY_HEAD  "dt,hour,city_id,store_id,product_id,hourly_sale,hourly_stockout\n"
#define DAILY_HEAD   "dt,city_id,store_id,product_id,discount,holiday_flag,activity_flag\n"
#define WEATHER_HEAD "dt,city_id,store_id,precpt,avg_temperature,avg_humidity,avg_wind_level\n"
#define DAY_UTC_MS   (INT64_C(1711900800000)) /* 2024-04-01 00:00 in UTC+8 */

struct seen {
    uint32_t count;
    struct recorded item[64];
    struct account account[FRESH_FILES];
};

static enum recorded_next read_all(const char *from, struct seen *ret)
{
    struct fresh *fresh;
    cr_assert_eq(fresh_open(from, &fresh, &fault), RIALTO_OK, "%s: %s", fault.file, fault.reason);
    ret->count = 0;
    struct recorded item;
    enum recorded_next got;
    int64_t last_ms = INT64_MIN;
    while ((got = fresh_next(fresh, &item, &fault)) == RECORDED_ITEM) {
        cr_assert_geq(item.at_ms, last_ms, "out of order");
        last_ms = item.at_ms;
        if (ret->count < 64)
            ret->item[ret->count] = item;
        ret->count++;
    }
    memcpy(ret->account, fresh_accounts(fresh), sizeof ret->account);
    fresh_close(fresh);
    return got;
}

static const struct recorded *find(const struct seen *seen, enum recorded_rank rank, uint32_t skip)
{
    for (uint32_t i = 0; i < seen->count; i++)
        if (seen->item[i].rank == rank && skip-- == 0)
            return &seen->item[i];
    return NULL;
}

static uint32_t count_rank(const struct seen *seen, enum recorded_rank rank)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < seen->count; i++)
        count += seen->item[i].rank == rank;
    return count;
}

Test(fresh, a_sale_is_an_order_within_its_hour_after_place_and_product)
{
    static struct seen seen;
    file_make(folder, "fresh_hourly.csv", HOURLY_HEAD "2024-04-01,9,1,25,7,0.25,0\n", path);
    cr_assert_eq(read_all(folder, &seen), RECORDED_END);
    cr_assert_eq(seen.count, 5);
    cr_assert_str_eq(seen.item[0].zone, "c1");
    cr_assert_str_eq(seen.item[1].zone, "c1/s25");
    cr_assert_eq(seen.item[2].rank, RANK_PRODUCT);
    cr_assert_not_null(strstr(seen.item[2].body, "\"category\":\"fresh/4/28\""));
    cr_assert_not_null(strstr(seen.item[2].body, "\"list\":800,\"cost\":320,\"currency\":\"CNY\""));
    cr_assert_eq(seen.item[3].rank, RANK_SUPPLY);
    const struct recorded *order = &seen.item[4];
    cr_assert_eq(order->rank, RANK_DEMAND);
    cr_assert_str_eq(order->sku, "F7");
    cr_assert_str_eq(order->zone, "c1/s25");
    cr_assert_str_eq(order->body, "\"event\":\"order\",\"quantity\":0.25");
    cr_assert_geq(order->at_ms, DAY_UTC_MS + 9 * HOUR_MS);
    cr_assert_lt(order->at_ms, DAY_UTC_MS + 10 * HOUR_MS);
}

Test(fresh, stock_is_told_when_it_changes_in_opening_hours)
{
    static struct seen seen;
    file_make(folder, "fresh_hourly.csv",
              HOURLY_HEAD "2024-04-01,5,1,25,7,0,1\n"  /* closed: the flag says nothing */
                          "2024-04-01,6,1,25,7,0,0\n"  /* first value */
                          "2024-04-01,7,1,25,7,0,0\n"  /* no change */
                          "2024-04-01,21,1,25,7,0,1\n" /* out */
                          "2024-04-01,22,1,25,7,0,0\n" /* closed */
                          "2024-04-02,6,1,25,7,0,1\n"  /* still out */
                          "2024-04-02,8,1,25,7,0.1,0\n" /* in again, and a sale */,
              path);
    cr_assert_eq(read_all(folder, &seen), RECORDED_END);
    cr_assert_eq(count_rank(&seen, RANK_SUPPLY), 3);
    cr_assert_str_eq(find(&seen, RANK_SUPPLY, 0)->body, "\"available\":10,\"capacity\":10");
    cr_assert_eq(find(&seen, RANK_SUPPLY, 0)->at_ms, DAY_UTC_MS + 6 * HOUR_MS);
    cr_assert_str_eq(find(&seen, RANK_SUPPLY, 1)->body, "\"available\":0,\"capacity\":10");
    cr_assert_str_eq(find(&seen, RANK_SUPPLY, 2)->body, "\"available\":10,\"capacity\":10");
    cr_assert_eq(seen.account[0].rows, 7);
    cr_assert_eq(seen.account[0].by_rule[ACCOUNT_emitted], 3);
    cr_assert_eq(seen.account[0].by_rule[ACCOUNT_no_event], 4);
}

Test(fresh, a_discount_is_a_promotion_until_the_end_of_the_day)
{
    static struct seen seen;
    file_make(folder, "fresh_hourly.csv", HOURLY_HEAD "2024-04-01,9,1,25,7,0,0\n2024-04-02,9,1,25,7,0,0\n", path);
    file_make(folder, "fresh_daily_price.csv",
              DAILY_HEAD "2024-03-31,1,25,7,0.5,0,0\n" /* the day before the first sales */
                         "2024-04-01,1,25,7,0.882,0,1\n"
                         "2024-04-01,1,26,7,1,0,0\n"
                         "2024-04-01,1,27,7,0,0,0\n"
                         "2024-04-01,1,28,7,,0,0\n"
                         "2024-04-01,1,29,7,cheap,0,0\n"
                         "2024-04-01,1,,7,0.5,0,0\n"
                         "2024-04-03,1,25,7,0.5,0,0\n" /* after the last ones */,
              path);
    cr_assert_eq(read_all(folder, &seen), RECORDED_END);
    cr_assert_eq(count_rank(&seen, RANK_PROMOTION), 1);
    const struct recorded *promotion = find(&seen, RANK_PROMOTION, 0);
    cr_assert_str_eq(promotion->zone, "c1/s25");
    cr_assert_eq(promotion->at_ms, DAY_UTC_MS);
    cr_assert_eq(promotion->until_ms, DAY_UTC_MS + DAY_MS);
    cr_assert_not_null(strstr(promotion->body, "\"promotion\":0.882"));
    const struct account *account = &seen.account[1];
    cr_assert(account_adds_up(account));
    cr_assert_eq(account->rows, 8);
    cr_assert_eq(account->by_rule[ACCOUNT_emitted], 1);
    cr_assert_eq(account->by_rule[ACCOUNT_no_promotion], 1);
    cr_assert_eq(account->by_rule[ACCOUNT_missing_discount], 2);
    cr_assert_eq(account->by_rule[ACCOUNT_malformed], 2);
    cr_assert_eq(account->by_rule[ACCOUNT_outside], 2);
}

Test(fresh, weather_of_a_day_is_told_in_rialtos_units)
{
    static struct seen seen;
    file_make(folder, "fresh_hourly.csv", HOURLY_HEAD "2024-04-01,9,1,25,7,0,0\n", path);
    file_make(folder, "fresh_store_weather.csv", WEATHER_HEAD "2024-04-01,1,25,24,-3.5,80,4\n2024-04-01,1,26,x,1,1,1\n",
              path);
    cr_assert_eq(read_all(folder, &seen), RECORDED_END);
    cr_assert_str_eq(find(&seen, RANK_WEATHER, 0)->body,
                     "\"temperature_c\":-3.50,\"precipitation_mm_h\":1.0000,\"wind_m_s\":6.69,\"humidity\":0.8000");
    cr_assert_eq(seen.account[2].by_rule[ACCOUNT_malformed], 1);
    cr_assert_lt(fabs(wind_m_s(12) - 34.75), 0.01, "force 12 begins at 32.7 m/s and its formula's value is 34.8");
}

Test(fresh, a_file_out_of_order_is_refused_with_its_row)
{
    static struct seen seen;
    file_make(folder, "fresh_hourly.csv",
              HOURLY_HEAD "2024-04-01,9,1,25,7,0,0\n2024-04-01,10,1,25,7,0,0\n2024-04-01,9,1,25,7,0,0\n", path);
    cr_assert_eq(read_all(folder, &seen), RECORDED_BROKEN);
    cr_assert_not_null(strstr(fault.reason, "row 3 is older"));
}

Test(fresh, without_the_hourly_file_there_is_nothing_to_play)
{
    struct fresh *fresh = NULL;
    cr_assert_eq(fresh_open(folder, &fresh, &fault), RIALTO_REFUSED);
    cr_assert_not_null(strstr(fault.reason, "fresh_hourly.csv"));
}

/* Counted with Python's csv module over the same files. */
Test(fresh, the_bundled_files_come_to_what_was_counted_elsewhere)
{
    static struct seen seen;
    cr_assert_eq(read_all(BUNDLED_FRESH, &seen), RECORDED_END);
    const struct account *account = seen.account;
    for (uint32_t i = 0; i < FRESH_FILES; i++)
        cr_assert(account_adds_up(&account[i]));
    cr_assert_eq(account[0].rows, 303072);
    cr_assert_eq(account[0].by_rule[ACCOUNT_emitted], 73093);
    cr_assert_eq(account[0].by_rule[ACCOUNT_no_event], 229979);
    cr_assert_eq(account[1].rows, 12628);
    cr_assert_eq(account[1].by_rule[ACCOUNT_emitted], 6157);
    cr_assert_eq(account[1].by_rule[ACCOUNT_no_promotion], 6331);
    cr_assert_eq(account[1].by_rule[ACCOUNT_missing_discount], 140);
    cr_assert_eq(account[2].rows, 392);
    cr_assert_eq(account[3].rows, 87);
    /* 62,692 orders, 451 first and 11,381 later stocks, 6,157 promotions, 392 weathers, 87 products, 15 zones */
    cr_assert_eq(seen.count, 62692 + 451 + 11381 + 6157 + 392 + 87 + 15);
}
