/* gateway_record.c - a quote as a signed record that a shop keeps with the order.
 *
 *   {"control":"record","customer":"C1","sku":"A", and any of "zone","basis","currency"} --librialto--> quote --> signed
 *
 * The quote is read out of shared memory by the function that every storefront calls; nothing of the record is kept. */
#include "service/gateway.h"

#include "cache/reader.h"
#include "service/publisher.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum signal_reason reason_of(enum rialto_status status, struct fault *fault)
{
    bool unknown = status == RIALTO_UNKNOWN_PRODUCT, currency = status == RIALTO_OTHER_CURRENCY;
    fault_set(fault, NULL, 0, unknown ? "/sku" : currency ? "/currency" : "", "%s", rialto_status_text(status));
    return unknown ? REASON_unknown_product : currency ? REASON_other_currency : REASON_no_answer;
}

bool gateway_prices(struct gateway *gateway)
{
    if (gateway->prices != NULL && reader_retired(gateway->prices)) { /* made anew */
        rialto_close(gateway->prices);
        gateway->prices = NULL;
    }
    return gateway->prices != NULL || rialto_open(gateway->config->cache_dir, &gateway->prices) == RIALTO_OK;
}

enum signal_reason gateway_quote(struct gateway *gateway, const struct rialto_request *request, const char *sku,
                                 struct rialto_quote *ret, struct rialto_rule_row *ret_rule, struct fault *fault)
{
    enum rialto_status status = RIALTO_NO_CACHE;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!gateway_prices(gateway))
            break;
        status = rialto_quote(gateway->prices, request, sku, ret);
        if (status != RIALTO_RETIRED) /* made anew just now: once more */
            break;
    }
    if (status == RIALTO_OK && ret_rule != NULL && rialto_rule(gateway->prices, ret->rule, ret_rule) != RIALTO_OK)
        status = RIALTO_NOT_FOUND;
    return status == RIALTO_OK ? REASON_none : reason_of(status, fault);
}

/* ---- members that locks and records share ------------------------------------------------------------------------- */

enum signal_reason control_members(const cJSON *object, const char *const known[], size_t count, struct fault *fault)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = strcmp(member->string, known[i]) == 0;
        if (found)
            continue;
        fault_set(fault, NULL, 0, "", "\"%.40s\" is no member of this request", member->string);
        return REASON_unknown_field;
    }
    return REASON_none;
}

enum signal_reason control_basis(const cJSON *object, enum rialto_zone_basis *ret, struct fault *fault)
{
    static const char *const NAME[] = { "store", "address", "device", "ip" }; /* order of enum rialto_zone_basis */
    const cJSON *basis = cJSON_GetObjectItemCaseSensitive(object, "basis");
    for (unsigned i = 0; i < 4 && basis != NULL; i++) {
        if (!cJSON_IsString(basis) || strcmp(basis->valuestring, NAME[i]) != 0)
            continue;
        *ret = (enum rialto_zone_basis)i;
        return REASON_none;
    }
    if (basis == NULL)
        return REASON_none;
    fault_set(fault, NULL, 0, "/basis", "must be one of store|address|device|ip");
    return REASON_out_of_range;
}

/* ---- the record ------------------------------------------------------------------------------------------------------ */

static void add_numbers(const struct gateway *gateway, const struct rialto_quote *quote, const struct rialto_rule_row *rule, cJSON *to)
{
    char hash[20];
    cJSON_AddNumberToObject(to, "at_ms", (double)clock_now_ms(gateway));
    cJSON_AddNumberToObject(to, "as_of_ms", (double)quote->as_of_ms);
    cJSON_AddNumberToObject(to, "age_ms", quote->age_ms);
    cJSON_AddNumberToObject(to, "floor", (double)quote->floor);
    cJSON_AddNumberToObject(to, "ceiling", (double)quote->ceiling);
    cJSON_AddNumberToObject(to, "arithmetic", rule->arithmetic);
    cJSON_AddNumberToObject(to, "ending_step", rule->ending_step);
    cJSON_AddNumberToObject(to, "ending_less", rule->ending_less);
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, rule->model_hash);
    cJSON_AddStringToObject(to, "model_hash", hash);
}

static cJSON *record_make(const struct gateway *gateway, const struct signal *signal, const struct rialto_quote *quote,
                          const struct rialto_rule_row *rule)
{
    char json[3072], hex[40];
    unsigned char nonce[16];
    size_t bytes = quote_json(quote, rule, sizeof json, json);
    cJSON *told = bytes < sizeof json ? cJSON_Parse(json) : NULL, *record = cJSON_CreateObject();
    randombytes_buf(nonce, sizeof nonce);
    cJSON_AddStringToObject(record, "kind", "quote");
    cJSON_AddStringToObject(record, "instance", gateway->config->instance);
    cJSON_AddStringToObject(record, "customer", signal->customer);
    cJSON_AddStringToObject(record, "sku", signal->sku);
    cJSON_AddStringToObject(record, "zone_asked", signal->zone);
    cJSON_AddStringToObject(record, "nonce", sodium_bin2hex(hex, sizeof hex, nonce, sizeof nonce));
    add_numbers(gateway, quote, rule, record);
    for (cJSON *item; told != NULL && (item = told->child) != NULL;)
        cJSON_AddItemToObject(record, item->string, cJSON_DetachItemViaPointer(told, item));
    cJSON_Delete(told);
    return record;
}

void record_begin(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    static const char *const KNOWN[] = { "control", "key", "who", "customer", "sku", "zone", "basis", "currency" };
    uint32_t slot = (uint32_t)received->slot;
    struct signal signal = { .present = 0 };
    struct rialto_request asked = { .customer = signal.customer, .zone = signal.zone, .currency = signal.currency };
    struct rialto_quote quote;
    struct rialto_rule_row rule;
    struct fault fault;
    enum signal_reason reason = control_members(object, KNOWN, sizeof KNOWN / sizeof KNOWN[0], &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "sku", SIGNAL_FIELD_sku, true, &signal, &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "customer", SIGNAL_FIELD_customer, false, &signal, &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "zone", SIGNAL_FIELD_zone, false, &signal, &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "currency", SIGNAL_FIELD_currency, false, &signal, &fault);
    if (reason == REASON_none)
        reason = control_basis(object, &asked.basis, &fault);
    if (reason == REASON_none)
        reason = gateway_quote(gateway, &asked, signal.sku, &quote, &rule, &fault);
    if (reason != REASON_none) {
        answer_refused(gateway, slot, reason, &fault);
        return;
    }
    request_begin(gateway, slot, received->arrived_us, REQUEST_SIGN);
    sign_answer(gateway, slot, "record", record_make(gateway, &signal, &quote, &rule), "");
}
