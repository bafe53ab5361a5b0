/* gateway_forget.c - erasure with a receipt: what was removed, where, and what may still be somewhere for how long.
 *
 *   {"control":"forget"} --forget signal with an id of its own--> owner: removed, noted under that id
 *                        --in Redis--> "erased" of the owner: what it removed; is anything held now? --> receipt, signed
 *
 * The receipt is for who asked; nothing of it is kept. */
#include "service/gateway.h"

#include "pricing/json_member.h"
#include "service/clock.h"
#include "service/superseded.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKS_MAX 200 /* for the customer's quotes in Redis, which another thread deletes */

static void refuse(struct gateway *gateway, uint32_t slot, const char *why)
{
    struct fault fault;
    fault_set(&fault, NULL, 0, "", "%s", why);
    answer_refused(gateway, slot, REASON_no_answer, &fault);
}

static void add_redis(const struct gateway *gateway, const cJSON *job, const cJSON *erased, cJSON *receipt)
{
    bool durable = strcmp(json_string(job, "durable"), "no") != 0;
    bool quotes = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(erased, "quotes_deleted"));
    char file[96];
    cJSON *redis = cJSON_AddObjectToObject(receipt, "redis");
    cJSON_AddStringToObject(redis, "state", durable ? "deleted" : "deleted as soon as Redis answers");
    cJSON_AddStringToObject(redis, "quotes", quotes ? "deleted" : "deleted as soon as Redis answers");
    if (gateway->config->redis_url[0] == '\0')
        (void)snprintf(file, sizeof file, "rewritten without it within %u s", gateway->config->erase_rewrite_s + 2);
    else
        (void)snprintf(file, sizeof file, "not ours: rewrite it (BGREWRITEAOF), and delete dumps");
    cJSON_AddStringToObject(redis, "append_only_file", file);
}

/* Nothing of another layout's tables is written, so a frozen copy of the customer's line stays in them for the rest of the grace. */
static void add_superseded(const struct gateway *gateway, cJSON *receipt)
{
    int64_t left_ms = superseded_left_ms(gateway->config);
    char said[96] = "there are none";
    if (left_ms >= 0)
        (void)snprintf(said, sizeof said, "frozen, a line may be in them, removed within %" PRId64 " s",
                       left_ms / 1000 + 2);
    cJSON_AddStringToObject(receipt, "superseded_tables", said);
}

static void receipt_make(struct gateway *gateway, uint32_t slot, const cJSON *erased)
{
    const struct request *request = &gateway->request[slot];
    cJSON *receipt = cJSON_CreateObject(), *removed = cJSON_GetObjectItemCaseSensitive(erased, "removed");
    cJSON_AddStringToObject(receipt, "kind", "erasure");
    cJSON_AddStringToObject(receipt, "instance", gateway->config->instance);
    cJSON_AddStringToObject(receipt, "customer", json_string(request->job, "customer"));
    cJSON_AddStringToObject(receipt, "nonce", json_string(request->job, "nonce"));
    cJSON_AddNumberToObject(receipt, "at_ms", (double)gateway->clock.tick_ms);
    cJSON_AddItemToObject(receipt, "removed", cJSON_Duplicate(removed, true));
    cJSON_AddBoolToObject(receipt, "held_now", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(erased, "held")));
    add_redis(gateway, request->job, erased, receipt);
    add_superseded(gateway, receipt);
    cJSON_AddStringToObject(receipt, "dead_letters", "hold nothing of customers");
    cJSON_AddStringToObject(receipt, "logs", "hold nothing of customers");
    sign_answer(gateway, slot, "receipt", receipt, "");
}

static void ask_erased(struct gateway *gateway, uint32_t slot);

static void erased_told(struct gateway *gateway, uint32_t slot)
{
    struct request *request = &gateway->request[slot];
    cJSON *erased = NULL, *asks = cJSON_GetObjectItemCaseSensitive(request->job, "asks");
    for (uint32_t i = 0; i < gateway->link_count && erased == NULL; i++)
        if (request->reply[i] != NULL)
            erased = cJSON_Parse(request->reply[i]);
    ask_drop(request);
    bool good = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(erased, "ok"));
    bool wait = good && !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(erased, "quotes_deleted")) &&
                asks->valuedouble < ASKS_MAX && mono_ms() < request->deadline_ms;
    if (wait) {
        cJSON_SetNumberValue(asks, asks->valuedouble + 1);
        ask_erased(gateway, slot);
    } else if (good) {
        receipt_make(gateway, slot, erased);
    } else {
        refuse(gateway, slot, "erased, but the worker cannot say what: ask again for a receipt");
    }
    cJSON_Delete(erased);
}

static void ask_erased(struct gateway *gateway, uint32_t slot)
{
    const struct request *request = &gateway->request[slot];
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "ask", "erased");
    cJSON_AddStringToObject(question, "customer", json_string(request->job, "customer"));
    cJSON_AddStringToObject(question, "id", json_string(request->job, "id"));
    char *text = cJSON_PrintUnformatted(question);
    cJSON_Delete(question);
    if (text != NULL)
        ask_owner(gateway, slot, json_string(request->job, "customer"), text, strlen(text), erased_told);
    else
        refuse(gateway, slot, "out of memory");
    free(text);
}

static void forgotten(struct gateway *gateway, uint32_t slot, const char *durable)
{
    struct request *request = &gateway->request[slot];
    if (request->rejected > 0) {
        refuse(gateway, slot, signal_reason_text(REASON_no_answer));
        return;
    }
    cJSON_AddStringToObject(request->job, "durable", durable);
    request->kind = REQUEST_ASK;
    request->deadline_ms = mono_ms() + gateway->config->answer_timeout_ms;
    request->durable_deadline_ms = 0;
    ask_erased(gateway, slot);
}

void forget_begin(struct gateway *gateway, const struct received *received, const struct signal *wanted)
{
    uint32_t slot = (uint32_t)received->slot;
    struct request *request = &gateway->request[slot];
    struct signal signal = *wanted;
    unsigned char nonce[16];
    char hex[2 * sizeof nonce + 1], id[24];
    randombytes_buf(nonce, sizeof nonce);
    (void)sodium_bin2hex(hex, sizeof hex, nonce, sizeof nonce);
    (void)snprintf(signal.source, sizeof signal.source, "rialto forget");
    (void)snprintf(signal.id, sizeof signal.id, "%s", hex);
    (void)snprintf(id, sizeof id, "%016" PRIx64, batch_id_hash(gateway, &signal));
    request_begin(gateway, slot, received->arrived_us, REQUEST_SIGNALS);
    audit_note_receipt(gateway, slot, hex);
    request->finished = forgotten;
    request->job = cJSON_CreateObject();
    cJSON_AddStringToObject(request->job, "customer", signal.customer);
    cJSON_AddStringToObject(request->job, "nonce", hex);
    cJSON_AddStringToObject(request->job, "id", id);
    cJSON_AddNumberToObject(request->job, "asks", 0);
    if (!batch_route(gateway, &signal, request, 0)) {
        refuse(gateway, slot, signal_reason_text(REASON_no_answer));
        return;
    }
    audit_forgotten(gateway, signal.customer);
    request_wait(gateway, slot);
}
