/* gateway_lock.c - a price is asked to be promised, is promised, and the promise signed.
 *
 *   {"control":"lock","customer":"C1","sku":"A","amount":114,"until":...,  and any of "zone","basis","currency","id"}
 *      --"prices"--> owner of the product: what it cost in the last lock_grace_s; learns of no customer
 *      --record in a batch--> owner of the customer: was it their quote? kept, with what is acknowledged together, in state and Redis
 *      --"lock"--> the same: what was promised --> signed --> answered
 *
 * The same request again (the same id and members) is answered with the same lock, whoever died in between. Nothing is signed that is
 * not durable, unless this service has no Redis at all. */
#include "service/gateway.h"

#include "cache/keys.h"
#include "pricing/json_member.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_BYTES_MAX 40u

static void refuse(struct gateway *gateway, uint32_t slot, enum signal_reason reason, const char *pointer, const char *why)
{
    struct fault fault;
    fault_set(&fault, NULL, 0, pointer, "%s", why);
    answer_refused(gateway, slot, reason, &fault);
}

/* The answer of the one worker that was asked; NULL after the requester was told why there is none. */
static cJSON *reply_take(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    cJSON *reply = NULL;
    for (uint32_t i = 0; i < gateway->link_count && reply == NULL; i++)
        if (request->reply[i] != NULL)
            reply = cJSON_Parse(request->reply[i]);
    ask_drop(request);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")))
        return reply;
    refuse(gateway, slot, REASON_no_answer, "", reply != NULL ? json_string(reply, "text") : "out of memory");
    cJSON_Delete(reply);
    return NULL;
}

/* ---- promised: signed ---------------------------------------------------------------------------------------------- */

static void lock_told(struct gateway *gateway, uint32_t slot)
{
    cJSON *reply = reply_take(gateway, slot), *job = gateway->request[slot].job;
    if (reply == NULL)
        return;
    char also[SIGN_ALSO_MAX];
    (void)snprintf(also, sizeof also, ",\"durable\":\"%s\"", json_string(job, "durable"));
    cJSON *lock = cJSON_CreateObject();
    cJSON_AddStringToObject(lock, "kind", "lock");
    cJSON_AddStringToObject(lock, "customer", json_string(job, "customer"));
    cJSON_AddStringToObject(lock, "sku", json_string(job, "sku"));
    cJSON_AddStringToObject(lock, "zone", json_string(job, "named"));
    cJSON_AddNumberToObject(lock, "amount", json_number(reply, "amount"));
    cJSON_AddStringToObject(lock, "currency", json_string(reply, "currency"));
    cJSON_AddNumberToObject(lock, "from", json_number(reply, "from"));
    cJSON_AddNumberToObject(lock, "until", json_number(reply, "until"));
    cJSON_AddStringToObject(lock, "nonce", json_string(reply, "nonce"));
    cJSON_Delete(reply);
    sign_answer(gateway, slot, "lock", lock, also);
}

static void ask_one(struct gateway *gateway, uint32_t slot, const cJSON *question, const char *owner,
                    void (*asked)(struct gateway *gateway, uint32_t slot))
{
    char *text = cJSON_PrintUnformatted(question);
    struct request *request = &gateway->request[slot];
    request->kind = REQUEST_ASK;
    request->deadline_ms = mono_ms() + gateway->config->answer_timeout_ms;
    request->durable_deadline_ms = 0;
    if (text != NULL)
        ask_owner(gateway, slot, owner, text, strlen(text), asked);
    else
        refuse(gateway, slot, REASON_no_answer, "", "out of memory");
    free(text);
}

static void kept(struct gateway *gateway, uint32_t slot, const char *durable)
{
    struct request *request = &gateway->request[slot];
    if (request->rejected > 0) {
        enum signal_reason reason = request->refused_for != REASON_none ? request->refused_for : REASON_no_answer;
        refuse(gateway, slot, reason, reason == REASON_not_quoted ? "/amount" : "", signal_reason_text(reason));
        return;
    }
    if (strcmp(durable, "no") == 0 && !gateway->config->alone) {
        refuse(gateway, slot, REASON_no_answer, "", "kept, but not durable yet: ask again with the same id");
        return;
    }
    cJSON_AddStringToObject(request->job, "durable", durable);
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "ask", "lock");
    cJSON_AddStringToObject(question, "customer", json_string(request->job, "customer"));
    cJSON_AddStringToObject(question, "sku", json_string(request->job, "sku"));
    cJSON_AddStringToObject(question, "request", json_string(request->job, "request"));
    ask_one(gateway, slot, question, json_string(request->job, "customer"), lock_told);
    cJSON_Delete(question);
}

/* ---- priced: to the customer's owner ----------------------------------------------------------------------------------- */

static bool hex_take(const char *hex, void *ret, size_t n)
{
    size_t bytes = 0;
    return sodium_hex2bin(ret, n, hex, strlen(hex), NULL, &bytes, NULL) == 0 && bytes == n;
}

static void signal_fill(const struct gateway *gateway, const cJSON *job, struct wire_lock *lock, struct signal *signal)
{
    *signal = (struct signal){ .time_ms = gateway->rules.now_ms,
                               .amount = (int64_t)json_number(job, "amount"),
                               .until_ms = (int64_t)json_number(job, "until_ms"),
                               .lock = lock };
    signal->type = (enum signal_type)WIRE_TYPE_LOCK;
    signal->present = UINT64_C(1) << SIGNAL_FIELD_customer | UINT64_C(1) << SIGNAL_FIELD_sku | UINT64_C(1) << SIGNAL_FIELD_amount |
                      UINT64_C(1) << SIGNAL_FIELD_currency | UINT64_C(1) << SIGNAL_FIELD_until_ms;
    (void)snprintf(signal->customer, sizeof signal->customer, "%s", json_string(job, "customer"));
    (void)snprintf(signal->sku, sizeof signal->sku, "%s", json_string(job, "sku"));
    (void)snprintf(signal->currency, sizeof signal->currency, "%s", json_string(job, "currency"));
    lock->request = strtoull(json_string(job, "request"), NULL, 16);
}

static void prices_told(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    struct wire_lock lock = { .count = 0 };
    struct signal signal;
    cJSON *reply = reply_take(gateway, slot);
    if (reply == NULL)
        return;
    bool good = hex_take(json_string(request->job, "nonce"), lock.nonce, sizeof lock.nonce);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(reply, "prices");
    for (const cJSON *price = list != NULL ? list->child : NULL; price != NULL && lock.count < WIRE_PRICES_MAX && good;
         price = price->next) {
        struct wire_price *to = &lock.price[lock.count++];
        to->from_us = (int64_t)json_number(price, "from_us");
        good = hex_take(json_string(price, "line"), &to->line, sizeof to->line);
    }
    cJSON_Delete(reply);
    signal_fill(gateway, request->job, &lock, &signal);
    request->kind = REQUEST_SIGNALS;
    request->phase = REQUEST_TAKING;
    request->finished = kept;
    request->deadline_ms = mono_ms() + gateway->config->answer_timeout_ms;
    if (good && batch_route(gateway, &signal, request, 0))
        request_wait(gateway, slot);
    else
        refuse(gateway, slot, REASON_no_answer, "", signal_reason_text(REASON_no_answer));
}

/* ---- asked for ----------------------------------------------------------------------------------------------------------- */

static enum signal_reason until_check(const struct gateway *gateway, const struct signal *signal, struct fault *fault)
{
    int64_t ahead_ms = signal->until_ms - gateway->rules.now_ms;
    if (signal->amount < 1) {
        fault_set(fault, NULL, 0, "/amount", "must be at least 1 minor unit");
        return REASON_out_of_range;
    }
    if (ahead_ms >= 1000 && ahead_ms <= (int64_t)gateway->config->lock_max_s * 1000)
        return REASON_none;
    fault_set(fault, NULL, 0, "/until", "must lie 1 to %u s ahead (lock_max_s)", gateway->config->lock_max_s);
    return REASON_out_of_range;
}

static enum signal_reason members_take(struct gateway *gateway, const cJSON *object, struct signal *signal,
                                       struct rialto_request *request, struct fault *fault)
{
    static const struct {
        const char *name;
        enum signal_field field;
        bool needed;
    } MEMBER[] = { { "customer", SIGNAL_FIELD_customer, true },  { "sku", SIGNAL_FIELD_sku, true },
                   { "amount", SIGNAL_FIELD_amount, true },      { "until", SIGNAL_FIELD_until_ms, true },
                   { "zone", SIGNAL_FIELD_zone, false },         { "currency", SIGNAL_FIELD_currency, false },
                   { "id", SIGNAL_FIELD_id, false } };
    static const char *const KNOWN[] = { "control", "key", "who", "customer", "sku", "amount", "until", "zone", "basis", "currency", "id" };
    enum signal_reason reason = control_members(object, KNOWN, sizeof KNOWN / sizeof KNOWN[0], fault);
    for (size_t i = 0; i < sizeof MEMBER / sizeof MEMBER[0] && reason == REASON_none; i++)
        reason = control_member(gateway, object, MEMBER[i].name, MEMBER[i].field, MEMBER[i].needed, signal, fault);
    if (reason == REASON_none)
        reason = control_basis(object, &request->basis, fault);
    request->customer = signal->customer;
    request->zone = signal->zone;
    request->currency = signal->currency;
    return reason == REASON_none ? until_check(gateway, signal, fault) : reason;
}

/* Equal for the same request, and says nothing of it. */
static uint64_t request_hash(const struct gateway *gateway, const struct signal *signal)
{
    char text[5 * RIALTO_ID_MAX + 64];
    int bytes = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n%s\n%" PRId64 "\n%" PRId64, signal->id, signal->customer, signal->sku,
                         signal->zone, signal->currency, signal->amount, signal->until_ms);
    uint64_t hash = key_of_id(gateway->control->secret, text, (size_t)bytes).lo;
    return hash != 0 ? hash : 1;
}

static cJSON *job_make(const struct gateway *gateway, const struct signal *signal, const struct rialto_quote *quote)
{
    unsigned char nonce[16];
    char hex[HEX_BYTES_MAX];
    bool ignored = (quote->flags & RIALTO_FLAG_IGNORED_ZONE) != 0;
    cJSON *job = cJSON_CreateObject();
    randombytes_buf(nonce, sizeof nonce);
    cJSON_AddStringToObject(job, "nonce", sodium_bin2hex(hex, sizeof hex, nonce, sizeof nonce));
    cJSON_AddStringToObject(job, "customer", signal->customer);
    cJSON_AddStringToObject(job, "sku", signal->sku);
    /* What was asked for with, and so may be told: a zone that only the customer's terms know is not. */
    cJSON_AddStringToObject(job, "named", ignored ? "" : signal->zone);
    cJSON_AddStringToObject(job, "zone", ignored || signal->zone[0] == '\0' ? quote->zone : signal->zone);
    cJSON_AddStringToObject(job, "currency", quote->currency);
    cJSON_AddNumberToObject(job, "amount", (double)signal->amount);
    cJSON_AddNumberToObject(job, "until_ms", (double)signal->until_ms);
    (void)snprintf(hex, sizeof hex, "%016" PRIx64, request_hash(gateway, signal));
    cJSON_AddStringToObject(job, "request", hex);
    return job;
}

void lock_begin(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot;
    struct signal signal = { .present = 0 };
    struct rialto_request asked = { .customer = NULL };
    struct rialto_quote quote;
    struct fault fault;
    enum signal_reason reason = members_take(gateway, object, &signal, &asked, &fault);
    if (reason == REASON_none)
        reason = gateway_quote(gateway, &asked, signal.sku, &quote, NULL, &fault);
    if (reason != REASON_none) {
        answer_refused(gateway, slot, reason, &fault);
        return;
    }
    if (signal.id[0] == '\0') { /* nobody can ask again */
        unsigned char own[12];
        randombytes_buf(own, sizeof own);
        (void)sodium_bin2hex(signal.id, sizeof signal.id, own, sizeof own);
    }
    request_begin(gateway, slot, received->arrived_us, REQUEST_ASK);
    struct request *request = &gateway->request[slot];
    request->job = job_make(gateway, &signal, &quote);
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "ask", "prices");
    cJSON_AddStringToObject(question, "sku", signal.sku);
    cJSON_AddStringToObject(question, "zone", json_string(request->job, "zone"));
    cJSON_AddStringToObject(question, "currency", quote.currency);
    batch_seal(gateway, false); /* what was taken before the request is in the answer */
    ask_one(gateway, slot, question, signal.sku, prices_told);
    cJSON_Delete(question);
}
