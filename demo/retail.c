/* retail.c - reads invoice rows one by one; each row becomes up to three signals. */
#include "demo/retail.h"

#include "demo/block.h"
#include "demo/csv.h"
#include "demo/names.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE       "retail"
#define PRICE_MAX    1000000.0 /* pounds; the data's largest is 38,970 */
#define QUANTITY_MAX 1000000.0

enum { INVOICE, CODE, TITLE, QUANTITY, DATE, PRICE, CUSTOMER, COUNTRY, FIELDS };
static const char *const column[FIELDS] = { "InvoiceNo",   "StockCode", "Description", "Quantity",
                                            "InvoiceDate", "UnitPrice", "CustomerID",  "Country" };

struct retail {
    struct csv *csv;
    const char *field[FIELDS]; /* the row ahead */
    int64_t at_ms;             /* when it was; INT64_MAX = no more rows */
    int64_t begin_ms;
    struct account account;
    struct names *sku;
    struct names *zone;
    struct block block;
};

struct sale { /* a row that is worth a signal */
    char sku[RIALTO_ID_MAX];
    double quantity; /* > 0 */
    double price;    /* pounds, > 0 */
    bool is_return;
};

const char *country_zone(const char *country)
{
    static const struct {
        const char *name, *zone;
    } known[] = {
        { "United Kingdom", "gb" },
        { "Germany", "de" },
        { "France", "fr" },
        { "EIRE", "ie" },
        { "Netherlands", "nl" },
        { "Spain", "es" },
        { "Belgium", "be" },
        { "Switzerland", "ch" },
        { "Australia", "au" },
        { "Portugal", "pt" },
        { "Norway", "no" },
        { "Channel Islands", "je" },
        { "Cyprus", "cy" },
        { "Italy", "it" },
        { "Finland", "fi" },
        { "Japan", "jp" },
        { "Sweden", "se" },
        { "Hong Kong", "hk" },
        { "Poland", "pl" },
        { "Denmark", "dk" },
        { "Austria", "at" },
        { "Singapore", "sg" },
        { "Iceland", "is" },
        { "Greece", "gr" },
        { "Canada", "ca" },
        { "Malta", "mt" },
        { "Lebanon", "lb" },
        { "Israel", "il" },
        { "Lithuania", "lt" },
        { "Brazil", "br" },
        { "RSA", "za" },
        { "United Arab Emirates", "ae" },
        { "USA", "us" },
        { "Bahrain", "bh" },
        { "Czech Republic", "cz" },
        { "Saudi Arabia", "sa" },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(country, known[i].name) == 0)
            return known[i].zone;
    return ""; /* "Unspecified", "European Community" and whatever else is no country */
}

/* Articles have five digits and perhaps letters (85123A). All else is postage, fees, samples, vouchers. */
static bool article_sku(const char *code, char ret[RIALTO_ID_MAX])
{
    size_t bytes = strlen(code);
    if (bytes < 5 || bytes > 12)
        return false;
    ret[0] = 'G';
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)code[i];
        if (i < 5 ? !isdigit(c) : !isalpha(c))
            return false;
        ret[i + 1] = (char)toupper(c);
    }
    ret[bytes + 1] = 0;
    return true;
}

/* Which rule a row falls under; for emitted, *ret is filled. */
static enum account_rule judge(const char *const field[FIELDS], struct sale *ret)
{
    double quantity, price;
    if (!text_number(field[QUANTITY], &quantity) || !text_number(field[PRICE], &price) || quantity == 0 ||
        fabs(quantity) > QUANTITY_MAX || fabs(price) > PRICE_MAX || strlen(field[CUSTOMER]) > 32)
        return ACCOUNT_malformed;
    bool cancelled = field[INVOICE][0] == 'C';
    if (!article_sku(field[CODE], ret->sku))
        return ACCOUNT_not_article;
    if (quantity < 0 && !cancelled)
        return ACCOUNT_stock_correction;
    if (quantity > 0 && cancelled)
        return ACCOUNT_malformed;
    if (llround(price * 100) < 1)
        return ACCOUNT_no_price;
    ret->quantity = fabs(quantity);
    ret->price = price;
    ret->is_return = cancelled;
    return ACCOUNT_emitted;
}

static void set_row_id(const struct retail *retail, struct recorded *item, char what)
{
    snprintf(item->id, sizeof item->id, "i%" PRIu64 "%c", csv_row(retail->csv), what);
}

static void announce_zone(struct retail *retail, const char *zone)
{
    bool is_new = false;
    if (zone[0] != 0)
        names_add(retail->zone, zone, &is_new);
    if (!is_new)
        return;
    struct recorded *item = block_add(&retail->block, RANK_ZONE, retail->at_ms, SOURCE);
    snprintf(item->zone, sizeof item->zone, "%s", zone);
    set_row_id(retail, item, 'z');
    recorded_set_body(item, "\"utc_offset_min\":0"); /* all rows carry the shop's clock */
}

static void announce_product(struct retail *retail, const struct sale *sale)
{
    bool is_new;
    names_add(retail->sku, sale->sku, &is_new);
    if (!is_new)
        return;
    char title[96];
    json_escaped(retail->field[TITLE], sizeof title, title);
    struct recorded *item = block_add(&retail->block, RANK_PRODUCT, retail->at_ms, SOURCE);
    memcpy(item->sku, sale->sku, sizeof item->sku);
    set_row_id(retail, item, 'n');
    recorded_set_body(item, "\"category\":\"gifts/all\",\"title\":\"%s\",\"list\":%lld,\"currency\":\"GBP\"",
                      title[0] ? title : sale->sku, llround(sale->price * 100));
}

static void add_demand(struct retail *retail, const struct sale *sale, const char *zone)
{
    struct recorded *item = block_add(&retail->block, RANK_DEMAND, retail->at_ms, SOURCE);
    memcpy(item->sku, sale->sku, sizeof item->sku);
    snprintf(item->zone, sizeof item->zone, "%s", zone);
    if (retail->field[CUSTOMER][0] != 0) {
        char id[40];
        json_escaped(retail->field[CUSTOMER], sizeof id, id);
        snprintf(item->customer, sizeof item->customer, "C%s", id);
    }
    set_row_id(retail, item, 'o');
    recorded_set_body(item, "\"event\":\"%s\",\"quantity\":%.10g,\"amount\":%lld,\"currency\":\"GBP\"",
                      sale->is_return ? "return" : "order", sale->quantity,
                      llround(sale->quantity * sale->price * 100));
}

static void count_row(struct retail *retail, enum account_rule rule)
{
    retail->account.rows++;
    retail->account.by_rule[rule]++;
}

/* Move to the next row that says when it was. */
static bool advance(struct retail *retail, struct fault *fault)
{
    int64_t before = retail->at_ms;
    for (;;) {
        enum csv_next got = csv_next(retail->csv, retail->field, fault);
        if (got == CSV_BROKEN)
            return false;
        if (got == CSV_END) {
            retail->at_ms = INT64_MAX;
            return true;
        }
        if (got == CSV_ROW && text_time(retail->field[DATE], &retail->at_ms))
            break;
        count_row(retail, ACCOUNT_malformed);
    }
    if (retail->at_ms >= before)
        return true;
    *fault = (struct fault){ 0 };
    snprintf(fault->file, sizeof fault->file, "%s", retail->account.file);
    snprintf(fault->reason, sizeof fault->reason,
             "row %" PRIu64 " is older than the one before it: sort the file by time", csv_row(retail->csv));
    return false;
}

static void use_row(struct retail *retail)
{
    struct sale sale;
    enum account_rule rule = judge(retail->field, &sale);
    count_row(retail, rule);
    if (rule != ACCOUNT_emitted)
        return;
    const char *zone = country_zone(retail->field[COUNTRY]);
    announce_zone(retail, zone);
    announce_product(retail, &sale);
    add_demand(retail, &sale, zone);
}

enum rialto_status retail_open(const char *path, struct retail **ret, struct fault *fault)
{
    struct retail *retail = calloc(1, sizeof *retail);
    if (retail == NULL)
        return RIALTO_NO_MEMORY;
    retail->account.file = "online_retail.csv";
    retail->at_ms = INT64_MIN;
    retail->sku = names_create();
    retail->zone = names_create();
    enum rialto_status status = RIALTO_NO_MEMORY;
    if (retail->sku != NULL && retail->zone != NULL)
        status = csv_open(path, FIELDS, column, &retail->csv, fault);
    if (status == RIALTO_OK && !advance(retail, fault))
        status = RIALTO_REFUSED;
    if (status != RIALTO_OK) {
        retail_close(retail);
        return status;
    }
    retail->begin_ms = retail->at_ms == INT64_MAX ? 0 : retail->at_ms - retail->at_ms % DAY_MS;
    *ret = retail;
    return RIALTO_OK;
}

void retail_close(struct retail *retail)
{
    if (retail == NULL)
        return;
    block_fini(&retail->block);
    names_destroy(retail->zone);
    names_destroy(retail->sku);
    csv_close(retail->csv);
    free(retail);
}

enum recorded_next retail_next(struct retail *retail, struct recorded *ret, struct fault *fault)
{
    while (!block_take(&retail->block, ret)) {
        if (retail->at_ms == INT64_MAX)
            return RECORDED_END;
        use_row(retail);
        if (!advance(retail, fault))
            return RECORDED_BROKEN;
    }
    return RECORDED_ITEM;
}

int64_t retail_begin_ms(const struct retail *retail)
{
    return retail->begin_ms;
}

const struct account *retail_account(const struct retail *retail)
{
    return &retail->account;
}
