/* prices.c - what is for sale and what it costs, out of shared memory: librialto and nothing else. */
#include "web/shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool shop_prices_setup(struct shop *shop)
{
    shop->catalogue.product = calloc(SHOP_PRODUCTS_MAX, sizeof *shop->catalogue.product);
    (void)pthread_rwlock_init(&shop->prices_lock, NULL);
    (void)pthread_mutex_init(&shop->catalogue_lock, NULL);
    return shop->catalogue.product != NULL;
}

void shop_prices_teardown(struct shop *shop)
{
    rialto_close(shop->prices);
    shop->prices = NULL;
    free(shop->catalogue.product);
    (void)pthread_mutex_destroy(&shop->catalogue_lock);
    (void)pthread_rwlock_destroy(&shop->prices_lock);
}

/* The tables were made anew, or there were none: look again. Nobody reads meanwhile. */
static enum rialto_status reopen(struct shop *shop)
{
    (void)pthread_rwlock_wrlock(&shop->prices_lock);
    struct rialto *found = NULL;
    enum rialto_status status = rialto_open(shop->cache, &found);
    if (status == RIALTO_OK) {
        rialto_close(shop->prices);
        shop->prices = found;
    }
    (void)pthread_rwlock_unlock(&shop->prices_lock);
    return status;
}

/* ---- the catalogue ------------------------------------------------------------------------------------------------------ */

static void add_zone(struct shop_catalogue *catalogue, const char *zone)
{
    for (uint32_t i = 0; i < catalogue->zone_count; i++)
        if (strcmp(catalogue->zone[i], zone) == 0)
            return;
    if (catalogue->zone_count < SHOP_ZONES_MAX)
        (void)snprintf(catalogue->zone[catalogue->zone_count++], RIALTO_ID_MAX, "%s", zone);
}

static void add_cell(struct shop_catalogue *catalogue, const struct rialto_cell *cell)
{
    if (cell->zone[0] != '\0') {
        add_zone(catalogue, cell->zone);
    } else if (cell->sku[0] == '\0') {
        return; /* its names are not there yet */
    } else if (catalogue->count == SHOP_PRODUCTS_MAX) {
        catalogue->is_cut = true;
    } else {
        struct shop_product *product = &catalogue->product[catalogue->count++];
        memcpy(product->sku, cell->sku, sizeof product->sku);
        memcpy(product->category, cell->category, sizeof product->category);
        memcpy(product->title, cell->title, sizeof product->title);
    }
}

static int by_title(const void *left, const void *right)
{
    const struct shop_product *a = left, *b = right;
    int order = strcasecmp(a->title, b->title);
    return order != 0 ? order : strcmp(a->sku, b->sku);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Every product has a price in the world; a cell of a zone tells that the zone is there. */
static void sweep(const struct rialto *prices, struct shop_catalogue *catalogue)
{
    catalogue->count = catalogue->zone_count = 0;
    catalogue->is_cut = false;
    for (uint32_t partition = 0; partition < RIALTO_PARTITIONS; partition++) {
        struct rialto_cell cell;
        enum rialto_status status;
        for (uint64_t slot = 0; (status = rialto_cell_at(prices, partition, slot, &cell)) != RIALTO_BAD_INPUT; slot++)
            if (status == RIALTO_OK)
                add_cell(catalogue, &cell);
    }
    qsort(catalogue->product, catalogue->count, sizeof *catalogue->product, by_title);
    qsort(catalogue->zone, catalogue->zone_count, sizeof catalogue->zone[0], by_name);
    catalogue->read_ms = now_ms();
}

/* ---- one page -------------------------------------------------------------------------------------------------------------- */

static size_t department_bytes(const struct shop_product *product)
{
    return strcspn(product->category, "/");
}

static bool is_in(const struct shop_product *product, const char *department)
{
    size_t bytes = department_bytes(product);
    return department == NULL || department[0] == '\0' ||
           (strlen(department) == bytes && memcmp(department, product->category, bytes) == 0);
}

static bool is_found(const struct shop_product *product, const char *find)
{
    return find == NULL || find[0] == '\0' || strcasestr(product->title, find) != NULL ||
           strcasestr(product->sku, find) != NULL;
}

struct department {
    const char *name;
    size_t bytes;
    uint32_t products;
};

static cJSON *departments_of(const struct shop_catalogue *catalogue)
{
    struct department list[SHOP_DEPARTMENTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < catalogue->count; i++) {
        const struct shop_product *product = &catalogue->product[i];
        size_t bytes = department_bytes(product);
        uint32_t at = 0;
        while (at < count && (list[at].bytes != bytes || memcmp(list[at].name, product->category, bytes) != 0))
            at++;
        if (at == count && count < SHOP_DEPARTMENTS_MAX)
            list[count++] = (struct department){ product->category, bytes, 0 };
        if (at < count)
            list[at].products++;
    }
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)list[i].bytes, list[i].name);
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(item, "name", name);
        (void)cJSON_AddNumberToObject(item, "products", list[i].products);
        (void)cJSON_AddItemToArray(array, item);
    }
    return array;
}

/* The products that the view shows, copied: the catalogue may be read anew before they are quoted. */
static uint32_t choose(const struct shop_catalogue *catalogue, const struct shop_view *view,
                       struct shop_product ret[SHOP_PAGE_SIZE], uint32_t *ret_total)
{
    uint32_t shown = 0;
    *ret_total = 0;
    for (uint32_t i = 0; i < catalogue->count; i++) {
        const struct shop_product *product = &catalogue->product[i];
        if (!is_in(product, view->department) || !is_found(product, view->find))
            continue;
        if (*ret_total >= view->from && shown < SHOP_PAGE_SIZE)
            ret[shown++] = *product;
        (*ret_total)++;
    }
    return shown;
}

static void add_flags(cJSON *object, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = { { RIALTO_FLAG_PERSONAL, "personal" },
                  { RIALTO_FLAG_OFFER, "offer" },
                  { RIALTO_FLAG_LOCK, "lock" },
                  { RIALTO_FLAG_STALE, "stale" },
                  { RIALTO_FLAG_LIST_MODE, "list" },
                  { RIALTO_FLAG_DEMO, "demo" },
                  { RIALTO_FLAG_BOUNDED, "bounded" },
                  { RIALTO_FLAG_NEUTRAL, "neutral" },
                  { RIALTO_FLAG_SUPERSEDED, "superseded" },
                  { RIALTO_FLAG_STARTING, "starting" } };
    cJSON *array = cJSON_AddArrayToObject(object, "flags");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (flags & names[i].flag)
            (void)cJSON_AddItemToArray(array, cJSON_CreateString(names[i].name));
}

static void add_kinds(cJSON *object, const char *member, uint32_t kinds)
{
    static const char *const names[] = { "location", "behaviour", "purchases", "profile", "partner" };
    cJSON *array = cJSON_AddArrayToObject(object, member);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kinds >> i & 1u)
            (void)cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
}

static void add_quote(const struct rialto *prices, cJSON *item, const struct rialto_quote *quote)
{
    struct rialto_rule_row rule;
    (void)cJSON_AddNumberToObject(item, "amount", (double)quote->amount);
    (void)cJSON_AddNumberToObject(item, "baseline", (double)quote->baseline);
    (void)cJSON_AddNumberToObject(item, "list", (double)quote->list);
    (void)cJSON_AddStringToObject(item, "currency", quote->currency);
    (void)cJSON_AddNumberToObject(item, "decimals", quote->decimals);
    (void)cJSON_AddStringToObject(item, "zone", quote->zone);
    (void)cJSON_AddNumberToObject(item, "age_ms", quote->age_ms);
    (void)cJSON_AddNumberToObject(item, "valid_until_ms", (double)quote->valid_until_ms);
    add_flags(item, quote->flags);
    add_kinds(item, "rests_on", quote->kinds);
    add_kinds(item, "data_used", quote->used);
    if (rialto_rule(prices, quote->rule, &rule) == RIALTO_OK) {
        (void)cJSON_AddStringToObject(item, "model", rule.model);
        (void)cJSON_AddStringToObject(item, "version", rule.version);
        if (quote->disclosure != 0)
            (void)cJSON_AddStringToObject(item, "disclosure", rule.disclosure_text);
    }
}

static cJSON *products_json(const struct rialto *prices, uint32_t n, const struct shop_product product[],
                            const struct rialto_quote quote[], const enum rialto_status status[])
{
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < n; i++) {
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(item, "sku", product[i].sku);
        (void)cJSON_AddStringToObject(item, "title", product[i].title[0] ? product[i].title : product[i].sku);
        (void)cJSON_AddStringToObject(item, "category", product[i].category);
        if (status[i] == RIALTO_OK)
            add_quote(prices, item, &quote[i]);
        else
            (void)cJSON_AddStringToObject(item, "no_price", rialto_status_text(status[i]));
        (void)cJSON_AddItemToArray(array, item);
    }
    return array;
}

static cJSON *page_of(struct shop *shop, const struct shop_view *view, enum rialto_status *ret_status)
{
    struct shop_product product[SHOP_PAGE_SIZE];
    struct rialto_quote quote[SHOP_PAGE_SIZE];
    enum rialto_status status[SHOP_PAGE_SIZE];
    const char *sku[SHOP_PAGE_SIZE];
    uint32_t total, n;
    cJSON *page = cJSON_CreateObject(), *zones;
    (void)pthread_mutex_lock(&shop->catalogue_lock);
    if (shop->catalogue.read_ms == 0 || now_ms() - shop->catalogue.read_ms > SHOP_CATALOGUE_MS)
        sweep(shop->prices, &shop->catalogue);
    n = choose(&shop->catalogue, view, product, &total);
    (void)cJSON_AddItemToObject(page, "departments", departments_of(&shop->catalogue));
    zones = cJSON_AddArrayToObject(page, "zones");
    for (uint32_t i = 0; i < shop->catalogue.zone_count; i++)
        (void)cJSON_AddItemToArray(zones, cJSON_CreateString(shop->catalogue.zone[i]));
    (void)cJSON_AddBoolToObject(page, "is_cut", shop->catalogue.is_cut);
    (void)pthread_mutex_unlock(&shop->catalogue_lock);

    for (uint32_t i = 0; i < n; i++)
        sku[i] = product[i].sku;
    struct rialto_request request = { .customer = view->customer, .zone = view->zone, .basis = RIALTO_BASIS_STORE };
    *ret_status =
        n == 0 ? rialto_state(shop->prices, NULL) : rialto_quote_page(shop->prices, &request, n, sku, quote, status);
    if (n == 0 && *ret_status == RIALTO_SUPERSEDED)
        *ret_status = RIALTO_OK;
    if (*ret_status == RIALTO_OK) {
        (void)cJSON_AddNumberToObject(page, "service_time_ms", (double)rialto_now_ms(shop->prices));
        (void)cJSON_AddNumberToObject(page, "total", total);
        (void)cJSON_AddNumberToObject(page, "from", view->from);
        (void)cJSON_AddNumberToObject(page, "size", SHOP_PAGE_SIZE);
        (void)cJSON_AddItemToObject(page, "products", products_json(shop->prices, n, product, quote, status));
        return page;
    }
    cJSON_Delete(page);
    return NULL;
}

cJSON *shop_page(struct shop *shop, const struct shop_view *view, enum rialto_status *ret_status)
{
    for (int attempt = 0;; attempt++) {
        cJSON *page = NULL;
        (void)pthread_rwlock_rdlock(&shop->prices_lock);
        *ret_status = RIALTO_RETIRED;
        if (shop->prices != NULL)
            page = page_of(shop, view, ret_status);
        (void)pthread_rwlock_unlock(&shop->prices_lock);
        if (*ret_status != RIALTO_RETIRED || attempt == 1)
            return page;
        *ret_status = reopen(shop);
        if (*ret_status != RIALTO_OK)
            return NULL;
        (void)pthread_mutex_lock(&shop->catalogue_lock);
        shop->catalogue.read_ms = 0;
        (void)pthread_mutex_unlock(&shop->catalogue_lock);
    }
}
