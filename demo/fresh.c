/* fresh.c - reads four files side by side, one recorded hour at a time.
 *
 *   cursors (one row ahead)  --hour of the earliest row-->  block of that hour, sorted  -->  fresh_next()
 *
 * The files must be in the order of their days (and hours): then nothing has to be held but one hour. */
#include "demo/fresh.h"

#include "demo/block.h"
#include "demo/csv.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE         "fresh"
#define OPEN_HOUR      6 /* the stock-out flag counts from 6 to 22 h, when the shops are open */
#define CLOSE_HOUR     22
#define SHELF_CAPACITY 10 /* made up: the data say only whether there is stock */
#define COST_PERCENT   40

enum file { HOURLY, DAILY, WEATHER, PRODUCT };
static const char *const file_name[FRESH_FILES] = { "fresh_hourly.csv", "fresh_daily_price.csv",
                                                    "fresh_store_weather.csv", "fresh_product.csv" };

#define FIELDS_MAX 7u
enum { H_DT, H_HOUR, H_CITY, H_STORE, H_PRODUCT, H_SALE, H_STOCKOUT, H_FIELDS };
enum { D_DT, D_CITY, D_STORE, D_PRODUCT, D_DISCOUNT, D_FIELDS };
enum { W_DT, W_CITY, W_STORE, W_RAIN, W_TEMPERATURE, W_HUMIDITY, W_WIND, W_FIELDS };
enum { P_PRODUCT, P_FIRST, P_SECOND, P_FIELDS };
static const char *const column[FRESH_FILES][FIELDS_MAX] = {
    [HOURLY] = { "dt", "hour", "city_id", "store_id", "product_id", "hourly_sale", "hourly_stockout" },
    [DAILY] = { "dt", "city_id", "store_id", "product_id", "discount" },
    [WEATHER] = { "dt", "city_id", "store_id", "precpt", "avg_temperature", "avg_humidity", "avg_wind_level" },
    [PRODUCT] = { "product_id", "first_category_id", "second_category_id" },
};
static const uint32_t column_count[FRESH_FILES] = { H_FIELDS, D_FIELDS, W_FIELDS, P_FIELDS };

struct cursor { /* a file, one good row ahead */
    struct csv *csv;
    const char *field[FIELDS_MAX];
    int64_t hour; /* local hours since 1970 of that row; INT64_MAX = no more rows */
};

struct category {
    int first, second;
};

struct fresh {
    struct cursor cursor[FRESH_FILES];
    struct account account[FRESH_FILES];
    struct names *product;     /* product ids of fresh_product */
    struct category *category; /* by number of product */
    struct names *sku;         /* announced */
    struct names *store;       /* announced shops' zones */
    struct names *city;
    struct names *series; /* shop and sku */
    int8_t *stock;        /* by number of series: 1 in stock, -1 out, 0 not known yet */
    struct block block;
    int64_t first_day, last_day; /* with rows of the hourly file so far, local days since 1970 */
};

struct place { /* whose row it is */
    int city, store, product;
    char zone[RIALTO_ID_MAX], sku[RIALTO_ID_MAX];
};

/* ---- small things ----------------------------------------------------------------------------------------------- */

int64_t fresh_list_price(int first_category, int product)
{
    /* Made up: what such goods might cost, by first category, and a step so that neighbours differ. */
    static const struct {
        int first, fen;
    } price[] = {
        { 4, 590 },   { 5, 690 },   { 6, 890 },   { 7, 1290 },  { 8, 790 },   { 9, 1590 },  { 10, 990 },  { 11, 1890 },
        { 12, 1690 }, { 14, 2190 }, { 15, 1190 }, { 16, 1490 }, { 18, 1990 }, { 20, 650 },  { 21, 850 },  { 22, 2490 },
        { 24, 1090 }, { 25, 2690 }, { 27, 3290 }, { 28, 1390 }, { 29, 2290 }, { 30, 1790 }, { 31, 1250 },
    };
    int64_t fen = 1290;
    for (size_t i = 0; i < sizeof price / sizeof price[0]; i++)
        if (price[i].first == first_category)
            fen = price[i].fen;
    return fen + 30 * (product % 8);
}

double wind_m_s(double beaufort)
{
    return 0.836 * beaufort * sqrt(beaufort);
}

static bool whole_number(const char *text, int low, int high, int *ret)
{
    int value = 0, digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 9; digits++)
        value = 10 * value + (text[digits] - '0');
    if (digits == 0 || text[digits] != 0 || value < low || value > high)
        return false;
    *ret = value;
    return true;
}

static bool parse_place(const char *city, const char *store, const char *product, struct place *ret)
{
    if (!whole_number(city, 0, 999999, &ret->city) || !whole_number(store, 0, 999999, &ret->store))
        return false;
    snprintf(ret->zone, sizeof ret->zone, "c%d/s%d", ret->city, ret->store);
    if (product == NULL)
        return true;
    if (!whole_number(product, 0, 99999999, &ret->product))
        return false;
    snprintf(ret->sku, sizeof ret->sku, "F%d", ret->product);
    return true;
}

static int64_t utc_ms(int64_t local_hour)
{
    return local_hour * HOUR_MS - FRESH_UTC_OFFSET_MIN * INT64_C(60000);
}

static void count_row(struct fresh *fresh, enum file file, enum account_rule rule)
{
    fresh->account[file].rows++;
    fresh->account[file].by_rule[rule]++;
}

/* An id names the file and the row that a signal comes from, and what of it. */
static void set_row_id(struct fresh *fresh, struct recorded *item, enum file file, char what)
{
    static const char letter[FRESH_FILES] = "hdwp";
    snprintf(item->id, sizeof item->id, "%c%" PRIu64 "%c", letter[file], csv_row(fresh->cursor[file].csv), what);
}

/* ---- announcements ---------------------------------------------------------------------------------------------- */

static void announce_zone(struct fresh *fresh, int64_t at_ms, const char *zone)
{
    struct recorded *item = block_add(&fresh->block, RANK_ZONE, at_ms, SOURCE);
    snprintf(item->zone, sizeof item->zone, "%s", zone);
    snprintf(item->id, sizeof item->id, "z%.32s", zone);
    recorded_set_body(item, "\"utc_offset_min\":%d", FRESH_UTC_OFFSET_MIN);
}

static void announce_place(struct fresh *fresh, int64_t at_ms, const struct place *place)
{
    bool is_new;
    char city[RIALTO_ID_MAX];
    snprintf(city, sizeof city, "c%d", place->city);
    names_add(fresh->city, city, &is_new);
    if (is_new)
        announce_zone(fresh, at_ms, city);
    names_add(fresh->store, place->zone, &is_new);
    if (is_new)
        announce_zone(fresh, at_ms, place->zone);
}

static struct category category_of(const struct fresh *fresh, int product)
{
    char id[16];
    snprintf(id, sizeof id, "%d", product);
    uint32_t number = names_find(fresh->product, id);
    return number == NAME_NONE ? (struct category){ 0, 0 } : fresh->category[number];
}

static void announce_product(struct fresh *fresh, int64_t at_ms, const struct place *place)
{
    bool is_new;
    names_add(fresh->sku, place->sku, &is_new);
    if (!is_new)
        return;
    struct category category = category_of(fresh, place->product);
    int64_t list = fresh_list_price(category.first, place->product);
    struct recorded *item = block_add(&fresh->block, RANK_PRODUCT, at_ms, SOURCE);
    snprintf(item->sku, sizeof item->sku, "%s", place->sku);
    snprintf(item->id, sizeof item->id, "n%.32s", place->sku);
    recorded_set_body(item,
                      "\"category\":\"fresh/%d/%d\",\"title\":\"Fresh %d (%d/%d)\",\"list\":%" PRId64
                      ",\"cost\":%" PRId64 ",\"currency\":\"CNY\"",
                      category.first, category.second, place->product, category.first, category.second, list,
                      list * COST_PERCENT / 100);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static enum account_rule use_daily(struct fresh *fresh, const struct cursor *row)
{
    struct place place;
    double discount = 0;
    const char *text = row->field[D_DISCOUNT];
    if (!parse_place(row->field[D_CITY], row->field[D_STORE], row->field[D_PRODUCT], &place) ||
        (text[0] != 0 && !text_number(text, &discount)))
        return ACCOUNT_malformed;

    int64_t at_ms = utc_ms(row->hour);
    announce_place(fresh, at_ms, &place);
    announce_product(fresh, at_ms, &place);
    if (discount < 0.01)
        return ACCOUNT_missing_discount;
    if (discount >= 1)
        return ACCOUNT_no_promotion;

    int64_t list = fresh_list_price(category_of(fresh, place.product).first, place.product);
    struct recorded *item = block_add(&fresh->block, RANK_PROMOTION, at_ms, SOURCE);
    memcpy(item->sku, place.sku, sizeof item->sku);
    memcpy(item->zone, place.zone, sizeof item->zone);
    item->until_ms = at_ms + DAY_MS;
    set_row_id(fresh, item, DAILY, 'p');
    recorded_set_body(item, "\"list\":%" PRId64 ",\"cost\":%" PRId64 ",\"currency\":\"CNY\",\"promotion\":%.6g", list,
                      list * COST_PERCENT / 100, discount);
    return ACCOUNT_emitted;
}

static enum account_rule use_weather(struct fresh *fresh, const struct cursor *row)
{
    struct place place;
    double rain, temperature, humidity, wind;
    if (!parse_place(row->field[W_CITY], row->field[W_STORE], NULL, &place) ||
        !text_number(row->field[W_RAIN], &rain) || rain < 0 || rain > 2000 ||
        !text_number(row->field[W_TEMPERATURE], &temperature) || fabs(temperature) > 60 ||
        !text_number(row->field[W_HUMIDITY], &humidity) || humidity < 0 || !text_number(row->field[W_WIND], &wind) ||
        wind < 0 || wind > 17)
        return ACCOUNT_malformed;

    int64_t at_ms = utc_ms(row->hour);
    announce_place(fresh, at_ms, &place);
    struct recorded *item = block_add(&fresh->block, RANK_WEATHER, at_ms, SOURCE);
    memcpy(item->zone, place.zone, sizeof item->zone);
    item->until_ms = at_ms + DAY_MS;
    set_row_id(fresh, item, WEATHER, 'w');
    recorded_set_body(item, "\"temperature_c\":%.2f,\"precipitation_mm_h\":%.4f,\"wind_m_s\":%.2f,\"humidity\":%.4f",
                      temperature, rain / 24, wind_m_s(wind), fmin(humidity / 100, 1));
    return ACCOUNT_emitted;
}

/* A change of the stock-out flag while the shop is open, or its first value: what is on the shelf now. */
static bool add_supply(struct fresh *fresh, const struct place *place, int64_t hour, bool in_stock)
{
    char name[2 * RIALTO_ID_MAX];
    snprintf(name, sizeof name, "%s|%s", place->zone, place->sku);
    bool is_new;
    uint32_t series = names_add(fresh->series, name, &is_new);
    if (is_new)
        fresh->stock = grown(fresh->stock, series, sizeof *fresh->stock);

    int hour_of_day = (int)(hour % 24);
    int8_t stock = in_stock ? 1 : -1;
    if (hour_of_day < OPEN_HOUR || hour_of_day >= CLOSE_HOUR || fresh->stock[series] == stock)
        return false;
    fresh->stock[series] = stock;

    struct recorded *item = block_add(&fresh->block, RANK_SUPPLY, utc_ms(hour), SOURCE);
    memcpy(item->sku, place->sku, sizeof item->sku);
    memcpy(item->zone, place->zone, sizeof item->zone);
    set_row_id(fresh, item, HOURLY, 's');
    recorded_set_body(item, "\"available\":%d,\"capacity\":%d", in_stock ? SHELF_CAPACITY : 0, SHELF_CAPACITY);
    return true;
}

/* The data give one sum an hour. It goes out as one order at a second of that hour that depends on the series and
 * the hour only, so that not everybody buys on the hour. */
static void add_order(struct fresh *fresh, const struct place *place, int64_t hour, double sale)
{
    char salt[32];
    snprintf(salt, sizeof salt, "%" PRId64 "/%d", hour, place->product);
    int64_t second = (int64_t)(text_hash(salt, place->zone) % 3600);
    struct recorded *item = block_add(&fresh->block, RANK_DEMAND, utc_ms(hour) + second * 1000, SOURCE);
    memcpy(item->sku, place->sku, sizeof item->sku);
    memcpy(item->zone, place->zone, sizeof item->zone);
    set_row_id(fresh, item, HOURLY, 'o');
    recorded_set_body(item, "\"event\":\"order\",\"quantity\":%.6g", sale);
}

static enum account_rule use_hourly(struct fresh *fresh, const struct cursor *row)
{
    struct place place;
    double sale;
    int stockout;
    if (!parse_place(row->field[H_CITY], row->field[H_STORE], row->field[H_PRODUCT], &place) ||
        !text_number(row->field[H_SALE], &sale) || sale < 0 || sale > 100000 ||
        !whole_number(row->field[H_STOCKOUT], 0, 1, &stockout))
        return ACCOUNT_malformed;

    int64_t at_ms = utc_ms(row->hour);
    announce_place(fresh, at_ms, &place);
    announce_product(fresh, at_ms, &place);
    bool changed = add_supply(fresh, &place, row->hour, stockout == 0);
    bool sold = sale >= 0.000001;
    if (sold)
        add_order(fresh, &place, row->hour, sale);
    return changed || sold ? ACCOUNT_emitted : ACCOUNT_no_event;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static bool row_hour(enum file file, const char *const field[], int64_t *ret)
{
    int64_t day_ms;
    int hour = 0;
    if (!text_time(field[0], &day_ms) || (file == HOURLY && !whole_number(field[H_HOUR], 0, 23, &hour)))
        return false;
    *ret = day_ms / HOUR_MS + hour;
    return true;
}

/* Move a cursor to its next row that says when it was; rows that do not are counted and left. */
static bool advance(struct fresh *fresh, enum file file, struct fault *fault)
{
    struct cursor *cursor = &fresh->cursor[file];
    if (cursor->csv == NULL)
        return true;
    int64_t before = cursor->hour;
    for (;;) {
        enum csv_next got = csv_next(cursor->csv, cursor->field, fault);
        if (got == CSV_BROKEN)
            return false;
        if (got == CSV_END) {
            cursor->hour = INT64_MAX;
            return true;
        }
        if (got == CSV_ROW && row_hour(file, cursor->field, &cursor->hour))
            break;
        count_row(fresh, file, ACCOUNT_malformed);
    }
    if (cursor->hour >= before)
        return true;
    *fault = (struct fault){ 0 };
    snprintf(fault->file, sizeof fault->file, "%s", fresh->account[file].file);
    snprintf(fault->reason, sizeof fault->reason,
             "row %" PRIu64 " is older than the one before it: sort the file by time", csv_row(cursor->csv));
    return false;
}

/* The files may have been cut at different days: what lies around the sales would only be a long silence. */
static bool is_outside(const struct fresh *fresh, int64_t hour)
{
    int64_t day = hour / 24;
    return day < fresh->first_day || (fresh->cursor[HOURLY].hour == INT64_MAX && day > fresh->last_day);
}

static enum account_rule use_row(struct fresh *fresh, enum file file, const struct cursor *row)
{
    if (file == HOURLY) {
        fresh->last_day = row->hour / 24;
        return use_hourly(fresh, row);
    }
    if (is_outside(fresh, row->hour))
        return ACCOUNT_outside;
    return file == DAILY ? use_daily(fresh, row) : use_weather(fresh, row);
}

/* All rows of one file that belong to an hour. */
static bool use_hour(struct fresh *fresh, enum file file, int64_t hour, struct fault *fault)
{
    struct cursor *cursor = &fresh->cursor[file];
    while (cursor->hour == hour) {
        count_row(fresh, file, use_row(fresh, file, cursor));
        if (!advance(fresh, file, fault))
            return false;
    }
    return true;
}

static int64_t earliest_hour(const struct fresh *fresh)
{
    int64_t hour = INT64_MAX;
    for (enum file file = HOURLY; file <= WEATHER; file++)
        if (fresh->cursor[file].hour < hour)
            hour = fresh->cursor[file].hour;
    return hour;
}

static enum rialto_status read_products(struct fresh *fresh, struct fault *fault)
{
    struct cursor *cursor = &fresh->cursor[PRODUCT];
    for (;;) {
        enum csv_next got = csv_next(cursor->csv, cursor->field, fault);
        if (got == CSV_END)
            return RIALTO_OK;
        if (got == CSV_BROKEN)
            return RIALTO_REFUSED;
        struct category category;
        int product;
        if (got == CSV_MALFORMED || !whole_number(cursor->field[P_PRODUCT], 0, 99999999, &product) ||
            !whole_number(cursor->field[P_FIRST], 0, 99999, &category.first) ||
            !whole_number(cursor->field[P_SECOND], 0, 99999, &category.second)) {
            count_row(fresh, PRODUCT, ACCOUNT_malformed);
            continue;
        }
        char id[16];
        snprintf(id, sizeof id, "%d", product);
        bool is_new;
        uint32_t number = names_add(fresh->product, id, &is_new);
        if (is_new)
            fresh->category = grown(fresh->category, number, sizeof *fresh->category);
        fresh->category[number] = category;
        count_row(fresh, PRODUCT, ACCOUNT_names);
    }
}

/* Only the hourly file must be there: without prices there are no promotions, without products one category. */
static enum rialto_status open_files(struct fresh *fresh, const char *folder, struct fault *fault)
{
    for (enum file file = HOURLY; file < FRESH_FILES; file++) {
        char path[4096];
        fresh->cursor[file].hour = file == PRODUCT ? INT64_MAX : INT64_MIN;
        if (!csv_find(folder, file_name[file], sizeof path, path)) {
            fresh->cursor[file].hour = INT64_MAX;
            if (file != HOURLY)
                continue;
            *fault = (struct fault){ 0 };
            snprintf(fault->file, sizeof fault->file, "%s", folder);
            snprintf(fault->reason, sizeof fault->reason, "there is no %s or %s.gz that can be read", file_name[file],
                     file_name[file]);
            return RIALTO_REFUSED;
        }
        fresh->account[file].file = file_name[file];
        enum rialto_status status = csv_open(path, column_count[file], column[file], &fresh->cursor[file].csv, fault);
        if (status != RIALTO_OK)
            return status;
        if (file == PRODUCT && read_products(fresh, fault) != RIALTO_OK)
            return RIALTO_REFUSED;
        if (file != PRODUCT && !advance(fresh, file, fault))
            return RIALTO_REFUSED;
    }
    return RIALTO_OK;
}

enum rialto_status fresh_open(const char *folder, struct fresh **ret, struct fault *fault)
{
    struct fresh *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return RIALTO_NO_MEMORY;
    struct names **const all[] = { &fresh->product, &fresh->sku, &fresh->store, &fresh->city, &fresh->series };
    enum rialto_status status = RIALTO_OK;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && status == RIALTO_OK; i++)
        if ((*all[i] = names_create()) == NULL)
            status = RIALTO_NO_MEMORY;
    if (status == RIALTO_OK)
        status = open_files(fresh, folder, fault);
    if (status != RIALTO_OK) {
        fresh_close(fresh);
        return status;
    }
    int64_t first = fresh->cursor[HOURLY].hour;
    fresh->first_day = fresh->last_day = first == INT64_MAX ? INT64_MAX : first / 24;
    *ret = fresh;
    return RIALTO_OK;
}

void fresh_close(struct fresh *fresh)
{
    if (fresh == NULL)
        return;
    block_fini(&fresh->block);
    free(fresh->stock);
    free(fresh->category);
    names_destroy(fresh->series);
    names_destroy(fresh->city);
    names_destroy(fresh->store);
    names_destroy(fresh->sku);
    names_destroy(fresh->product);
    for (uint32_t i = 0; i < FRESH_FILES; i++)
        csv_close(fresh->cursor[i].csv);
    free(fresh);
}

enum recorded_next fresh_next(struct fresh *fresh, struct recorded *ret, struct fault *fault)
{
    while (!block_take(&fresh->block, ret)) {
        int64_t hour = earliest_hour(fresh);
        if (hour == INT64_MAX)
            return RECORDED_END;
        static const enum file order[] = { DAILY, WEATHER, HOURLY };
        for (int i = 0; i < 3; i++)
            if (!use_hour(fresh, order[i], hour, fault))
                return RECORDED_BROKEN;
        block_sort(&fresh->block);
    }
    return RECORDED_ITEM;
}

int64_t fresh_begin_ms(const struct fresh *fresh)
{
    return fresh->first_day == INT64_MAX ? 0 : utc_ms(fresh->first_day * 24);
}

const struct account *fresh_accounts(const struct fresh *fresh)
{
    return fresh->account;
}

const struct names *fresh_skus(const struct fresh *fresh)
{
    return fresh->sku;
}

const struct names *fresh_stores(const struct fresh *fresh)
{
    return fresh->store;
}
