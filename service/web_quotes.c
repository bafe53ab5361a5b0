/* web_quotes.c - quotes over HTTP: the library's own, as the JSON that also stands in Redis. */
#include "pricing/json_text.h"
#include "service/publisher.h"
#include "service/web.h"

#include <stdlib.h>
#include <string.h>

#define QUOTE_BYTES_MAX 3072u

const struct rialto *prices_lock(struct web *web)
{
    (void)pthread_rwlock_rdlock(&web->prices_lock);
    return web->prices;
}

void prices_unlock(struct web *web)
{
    (void)pthread_rwlock_unlock(&web->prices_lock);
}

bool prices_replaced(struct web *web)
{
    struct rialto *fresh = NULL;
    if (rialto_open(web->config->cache_dir, &fresh) != RIALTO_OK)
        return false;
    (void)pthread_rwlock_wrlock(&web->prices_lock);
    struct rialto *old = web->prices;
    web->prices = fresh;
    (void)pthread_rwlock_unlock(&web->prices_lock);
    rialto_close(old);
    return true;
}

static bool basis_of(const char *name, enum rialto_zone_basis *ret)
{
    static const char *const names[] = { "store", "address", "device", "ip" }; /* order of enum rialto_zone_basis */
    for (unsigned i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum rialto_zone_basis)i;
            return true;
        }
    }
    return name == NULL;
}

/* A page out of the tables that are there now, the folder opened once more if they were replaced meanwhile. */
static enum rialto_status page_read(struct web *web, const struct rialto_request *request, size_t n,
                                    const char *const sku[], struct rialto_quote quote[], enum rialto_status status[],
                                    struct rialto_rule_row rule[])
{
    enum rialto_status page = RIALTO_NO_CACHE;
    for (int attempt = 0; attempt < 2; attempt++) {
        const struct rialto *prices = prices_lock(web);
        page = prices == NULL ? RIALTO_NO_CACHE : rialto_quote_page(prices, request, n, sku, quote, status);
        for (size_t i = 0; page == RIALTO_OK && i < n; i++)
            if (status[i] == RIALTO_OK && rialto_rule(prices, quote[i].rule, &rule[i]) != RIALTO_OK)
                memset(&rule[i], 0, sizeof rule[i]);
        prices_unlock(web);
        if ((page != RIALTO_RETIRED && page != RIALTO_NO_CACHE) || !prices_replaced(web))
            break;
    }
    metric_add(METRIC_http_quotes_total, page == RIALTO_OK ? n : 0);
    return page;
}

#define PUT(text, literal) text_append(text, literal, sizeof(literal) - 1)

static void put_count(struct text *text, uint32_t number)
{
    char digits[10];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    text_append(text, digits + at, sizeof digits - at);
}

/* Without printf, and the quote right where it is to stand: a page has fifty of them. */
static void put_quote(struct text *text, const char *sku, enum rialto_status status, const struct rialto_quote *quote,
                      const struct rialto_rule_row *rule)
{
    const char *name = rialto_status_name(status);
    PUT(text, "{\"sku\":");
    text_quoted(text, sku);
    PUT(text, ",\"status\":\"");
    text_append(text, name, strlen(name));
    PUT(text, "\"");
    if (status == RIALTO_OK) {
        PUT(text, ",\"age_ms\":");
        put_count(text, quote->age_ms);
        PUT(text, ",\"quote\":");
        if (text_reserve(text, QUOTE_BYTES_MAX)) {
            size_t bytes = quote_json(quote, rule, QUOTE_BYTES_MAX, text->data + text->used);
            text->used += bytes < QUOTE_BYTES_MAX ? bytes : 0;
            if (bytes >= QUOTE_BYTES_MAX)
                PUT(text, "null");
        }
    }
    PUT(text, "}");
}

enum MHD_Result web_quote_one(struct exchange *exchange)
{
    const char *sku = exchange->tail;
    if (query_text(exchange, "record") != NULL)
        return web_record(exchange);
    struct rialto_request request = { .customer = query_text(exchange, "customer"),
                                      .zone = query_text(exchange, "zone"),
                                      .currency = query_text(exchange, "currency") };
    if (!basis_of(query_text(exchange, "basis"), &request.basis))
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "bad-request", "No such basis",
                       "basis must be store, address, device or ip");
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    enum rialto_status status = RIALTO_OK;
    enum rialto_status page = page_read(exchange->web, &request, 1, &sku, &quote, &status, &rule);
    if (page != RIALTO_OK || status != RIALTO_OK)
        return problem_of(exchange, page != RIALTO_OK ? page : status);
    struct text text = { 0 };
    put_quote(&text, sku, status, &quote, &rule);
    text_append(&text, "\n", 1);
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, &text);
}

/* ---- a page --------------------------------------------------------------------------------------------------------- */

#define ANSWER_BYTES_EACH 448u /* what a quote takes as a rule: room for a page at once, and not by halves */

/* One block, as large as the page is: at its most it is 200 KB, which the allocator would get from the kernel, zeroed, each time. */
struct page {
    struct rialto_request request;
    size_t count;
    struct rialto_quote *quote;
    struct rialto_rule_row *rule;
    const char **sku;
    enum rialto_status *status;
};

_Static_assert(sizeof(struct page) % _Alignof(struct rialto_quote) == 0 &&
                   sizeof(struct rialto_quote) % _Alignof(struct rialto_rule_row) == 0 &&
                   sizeof(struct rialto_rule_row) % _Alignof(const char *) == 0,
               "each part begins aligned behind the one before");

static struct page *page_make(size_t count)
{
    struct page *page = malloc(
        sizeof *page + count * (sizeof *page->quote + sizeof *page->rule + sizeof *page->sku + sizeof *page->status));
    if (page == NULL)
        return NULL;
    *page = (struct page){ .quote = (void *)(page + 1) };
    page->rule = (void *)(page->quote + count);
    page->sku = (void *)(page->rule + count);
    page->status = (void *)(page->sku + count);
    return page;
}

static bool text_member(const cJSON *object, const char *name, const char **ret)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    *ret = cJSON_IsString(member) ? member->valuestring : NULL;
    return member == NULL || cJSON_IsString(member) || cJSON_IsNull(member);
}

/* Fills the page from the body. NULL, or what is wrong with it. */
static const char *page_parse(const cJSON *body, struct page *page)
{
    static const char *const known[] = { "customer", "zone", "basis", "currency", "skus" };
    const char *basis = NULL;
    if (!cJSON_IsObject(body))
        return "the body must be an object with \"skus\"";
    for (const cJSON *member = body->child; member != NULL; member = member->next) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            found = found || strcmp(member->string, known[i]) == 0;
        if (!found)
            return "members are skus, customer, zone, basis, currency and no others";
    }
    if (!text_member(body, "customer", &page->request.customer) || !text_member(body, "zone", &page->request.zone) ||
        !text_member(body, "currency", &page->request.currency) || !text_member(body, "basis", &basis))
        return "customer, zone, basis and currency are texts";
    if (!basis_of(basis, &page->request.basis))
        return "basis must be store, address, device or ip";
    const cJSON *skus = cJSON_GetObjectItemCaseSensitive(body, "skus");
    if (!cJSON_IsArray(skus))
        return "skus must be a list of ids";
    for (const cJSON *sku = skus->child; sku != NULL; sku = sku->next) {
        if (!cJSON_IsString(sku))
            return "skus must be a list of ids";
        if (page->count == WEB_SKUS_MAX)
            return "at most 512 skus";
        page->sku[page->count++] = sku->valuestring;
    }
    return NULL;
}

static enum MHD_Result page_answer(struct exchange *exchange, struct page *page)
{
    enum rialto_status status =
        page_read(exchange->web, &page->request, page->count, page->sku, page->quote, page->status, page->rule);
    if (status != RIALTO_OK)
        return problem_of(exchange, status);
    struct text text = { 0 };
    (void)text_reserve(&text, page->count * ANSWER_BYTES_EACH + QUOTE_BYTES_MAX);
    PUT(&text, "{\"quotes\":[");
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0)
            text_append(&text, ",", 1);
        put_quote(&text, page->sku[i], page->status[i], &page->quote[i], &page->rule[i]);
    }
    PUT(&text, "]}\n");
    return respond(exchange, MHD_HTTP_OK, TYPE_JSON, &text);
}

enum MHD_Result web_quote_page(struct exchange *exchange)
{
    struct fault fault;
    cJSON *body = json_parse(exchange->body.data != NULL ? exchange->body.data : "", exchange->body.used, 0, &fault);
    if (body == NULL)
        return problem(exchange, MHD_HTTP_BAD_REQUEST, "not-json", "The body is not JSON", "line %u, column %u: %s",
                       fault.line, fault.column, fault.reason);
    int skus = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(body, "skus")); /* 0 where it is none */
    struct page *page = page_make(skus < (int)WEB_SKUS_MAX ? (size_t)skus : WEB_SKUS_MAX);
    const char *wrong = page == NULL ? "out of memory" : page_parse(body, page);
    enum MHD_Result result =
        wrong != NULL ? problem(exchange, page == NULL ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_BAD_REQUEST,
                                "bad-request", "The page cannot be asked for like this", "%s", wrong)
                      : page_answer(exchange, page);
    free(page);
    cJSON_Delete(body);
    return result;
}
