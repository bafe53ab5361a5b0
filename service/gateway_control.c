/* gateway_control.c - what a request may ask beside signals, one object a message:
 *
 *   {"control":"ping"}                                    how the service is
 *   {"control":"tick","time":1767225600000}               move the service clock forward (recordings; clock_replay)
 *   {"control":"watch","customer":"C1","skus":["A","B"]}  keep these quotes fresh in Redis for watch_ttl_s
 *   {"control":"explain","sku":"A","zone":"c1/s25"}       why the baseline price is what it is
 *   {"control":"change","key":"...","who":"...","what":"...", and any of "stage", "models", "rollback", "allow_uncovered",
 *    "pin", "mode", "freeze", "thaw_all"}                 bring models or frozen prices into force: gateway_change.c
 *   {"control":"diff","key":"...","stage":"stage.x"}      what those models would change now
 *   {"control":"budgets","key":"..."}                     what is left for the offers that models make
 *   {"control":"terms","customer":"C1","sku":"A","group":0,"key":"..."}
 *                                                         what the customer's data do to it; the key is DATA_DIR/key,
 *                                                         which only the service's own user can read
 *   {"control":"forget","customer":"C1"}                  erase them, with a signed receipt
 *   {"control":"lock",...}, {"control":"record",...}      promise a price, sign a quote: gateway_lock.c, gateway_record.c
 *   {"control":"export","customer":"C1","key":"..."}      all that is kept of them, with meaning and source
 *   {"control":"keys"}                                    public keys of what is signed; "rotate":true with the key: a new one */
#include "service/gateway.h"

#include "service/change.h"
#include "service/signal_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_BYTES_MAX (256u << 10)
#define PING_BYTES_MAX    (16384u + RIALTO_WORKERS_MAX * 160u)
#define CONTROLS          "ping|tick|watch|explain|terms|export|forget|lock|record|keys|change|diff|budgets"

static void refuse(struct gateway *gateway, uint32_t slot, enum signal_reason reason, const char *pointer,
                   const char *text)
{
    struct fault fault;
    fault_set(&fault, NULL, 0, pointer, "%s", text);
    answer_refused(gateway, slot, reason, &fault);
}

static bool key_fits(const struct config *config, const cJSON *given)
{
    return cJSON_IsString(given) && data_key_fits(config, given->valuestring);
}

/* ---- ping ------------------------------------------------------------------------------------------------------ */

static void ping(struct gateway *gateway, uint32_t slot)
{
    char text[PING_BYTES_MAX];
    int at = snprintf(text, sizeof text,
                      "{\"ok\":true,\"service_time_ms\":%" PRId64 ",\"tick_ms\":%" PRId64 ",\"workers\":[",
                      clock_now_ms(gateway), gateway->clock.tick_ms);
    for (uint32_t i = 0; i < gateway->link_count; i++) {
        const struct link *link = &gateway->link[i];
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "%s{\"index\":%u,\"connected\":%s,\"applied\":%" PRIu64 ",\"durable\":%" PRIu64
                       ",\"waiting\":%u,\"redis\":%s}",
                       i == 0 ? "" : ",", i, link->ready ? "true" : "false", link->applied, link->durable, link->count,
                       link->flags & WIRE_REDIS_UP ? "true" : "false");
    }
    cJSON *change = change_json();
    char *in_force = cJSON_PrintUnformatted(change);
    at += snprintf(text + at, sizeof text - (size_t)at, "],\"change\":%s}", in_force != NULL ? in_force : "null");
    cJSON_Delete(change);
    free(in_force);
    answer_text(gateway, slot, text, (size_t)at);
}

/* ---- tick ------------------------------------------------------------------------------------------------------- */

static void tick(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot;
    struct fault fault;
    struct signal signal = { .present = 0 };
    /* A time is checked as in `until`: within the range of times, but as far ahead as the recording goes. */
    const cJSON *time = cJSON_GetObjectItemCaseSensitive(object, "time");
    if (!gateway->config->clock_replay) {
        refuse(gateway, slot, REASON_clock_is_live, "", signal_reason_text(REASON_clock_is_live));
        return;
    }
    if (time == NULL) {
        refuse(gateway, slot, REASON_missing_field, "/time", "to which time?");
        return;
    }
    enum signal_reason reason = signal_take(SIGNAL_FIELD_until_ms, time, &gateway->rules, "/time", &signal, &fault);
    if (reason != REASON_none) {
        answer_refused(gateway, slot, reason, &fault);
        return;
    }
    clock_move(gateway, signal.until_ms);
    request_begin(gateway, slot, received->arrived_us, REQUEST_TICK);
    for (uint32_t i = 0; i < gateway->link_count; i++)
        if (gateway->link[i].ready)
            request_need(&gateway->request[slot], i, gateway->link[i].last_seq);
    request_wait(gateway, slot);
}

/* ---- watch ------------------------------------------------------------------------------------------------------- */

/* All skus are checked before the first is routed. */
static enum signal_reason watch_check(struct gateway *gateway, const cJSON *object, struct signal *signal,
                                      struct fault *fault)
{
    const cJSON *customer = cJSON_GetObjectItemCaseSensitive(object, "customer");
    const cJSON *skus = cJSON_GetObjectItemCaseSensitive(object, "skus");
    const char *missing = customer == NULL ? "/customer" : skus == NULL ? "/skus" : NULL;
    if (missing != NULL) {
        fault_set(fault, NULL, 0, missing, "a watch needs it");
        return REASON_missing_field;
    }
    if (!cJSON_IsArray(skus)) {
        fault_set(fault, NULL, 0, "/skus", "must be a list of ids");
        return REASON_wrong_type;
    }
    enum signal_reason reason =
        signal_take(SIGNAL_FIELD_customer, customer, &gateway->rules, "/customer", signal, fault);
    uint32_t count = 0;
    for (const cJSON *sku = skus->child; sku != NULL && reason == REASON_none; sku = sku->next, count++) {
        char pointer[32];
        (void)snprintf(pointer, sizeof pointer, "/skus/%u", count);
        if (count == gateway->config->watch_skus_max) {
            fault_set(fault, NULL, 0, pointer, "at most %u products", gateway->config->watch_skus_max);
            return REASON_out_of_range;
        }
        reason = signal_take(SIGNAL_FIELD_sku, sku, &gateway->rules, pointer, signal, fault);
    }
    return reason;
}

static void watch(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot, index = 0;
    struct fault fault;
    struct signal signal = { .time_ms = gateway->rules.now_ms, .lease_s = gateway->config->watch_ttl_s };
    enum signal_reason reason = watch_check(gateway, object, &signal, &fault);
    if (reason != REASON_none) {
        answer_refused(gateway, slot, reason, &fault);
        return;
    }
    signal.type = (enum signal_type)WIRE_TYPE_WATCH;
    signal.present |= UINT64_C(1) << SIGNAL_FIELD_lease_s;
    struct request *request = &gateway->request[slot];
    request_begin(gateway, slot, received->arrived_us, REQUEST_WATCH);
    const cJSON *sku = cJSON_GetObjectItemCaseSensitive(object, "skus")->child;
    for (; sku != NULL; sku = sku->next, index++) {
        memset(signal.sku, 0, sizeof signal.sku);
        memcpy(signal.sku, sku->valuestring, strlen(sku->valuestring)); /* checked above */
        if (!batch_route(gateway, &signal, request, index)) {
            refuse(gateway, slot, REASON_no_answer, "", signal_reason_text(REASON_no_answer));
            return;
        }
    }
    request->watched = index;
    request_wait(gateway, slot);
}

/* ---- explain, terms ------------------------------------------------------------------------------------------------ */

/* The question as the worker takes it; its members were checked, and nothing else goes on. */
static void hand_on(struct gateway *gateway, const struct received *received, const char *name,
                    const struct signal *signal, const char *owner, const cJSON *object)
{
    cJSON *question = cJSON_CreateObject();
    const cJSON *group = cJSON_GetObjectItemCaseSensitive(object, "group");
    cJSON_AddStringToObject(question, "ask", name);
    cJSON_AddStringToObject(question, "sku", signal->sku);
    cJSON_AddStringToObject(question, "zone", signal->zone);
    cJSON_AddStringToObject(question, "customer", signal->customer);
    cJSON_AddNumberToObject(question, "group", cJSON_IsNumber(group) ? group->valueint : 0);
    char *text = cJSON_PrintUnformatted(question);
    cJSON_Delete(question);
    request_begin(gateway, (uint32_t)received->slot, received->arrived_us, REQUEST_ASK);
    batch_seal(gateway, false); /* what was taken before the question is in the answer */
    if (text != NULL)
        ask_owner(gateway, (uint32_t)received->slot, owner, text, strlen(text), ask_pass_on);
    else
        refuse(gateway, (uint32_t)received->slot, REASON_no_answer, "", signal_reason_text(REASON_no_answer));
    free(text);
}

enum signal_reason control_member(struct gateway *gateway, const cJSON *object, const char *member, enum signal_field field,
                                  bool needed, struct signal *signal, struct fault *fault)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, member);
    char pointer[32];
    (void)snprintf(pointer, sizeof pointer, "/%s", member);
    if (value == NULL && needed) {
        fault_set(fault, NULL, 0, pointer, "it is needed");
        return REASON_missing_field;
    }
    bool world = cJSON_IsString(value) && value->valuestring[0] == '\0' && !needed;
    return value == NULL || world ? REASON_none : signal_take(field, value, &gateway->rules, pointer, signal, fault);
}

static void explain(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    struct signal signal = { .present = 0 };
    struct fault fault;
    enum signal_reason reason = control_member(gateway, object, "sku", SIGNAL_FIELD_sku, true, &signal, &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "zone", SIGNAL_FIELD_zone, false, &signal, &fault);
    if (reason == REASON_none)
        hand_on(gateway, received, "explain", &signal, signal.sku, object);
    else
        answer_refused(gateway, (uint32_t)received->slot, reason, &fault);
}

static enum signal_reason check_key(const struct gateway *gateway, const cJSON *object, struct fault *fault)
{
    if (key_fits(gateway->config, cJSON_GetObjectItemCaseSensitive(object, "key")))
        return REASON_none;
    fault_set(fault, NULL, 0, "/key", "%s", signal_reason_text(REASON_not_allowed));
    return REASON_not_allowed;
}

/* "terms", "export": what is known of a customer, for who may see it. */
static void of_customer(struct gateway *gateway, const struct received *received, const cJSON *object, const char *ask)
{
    struct signal signal = { .present = 0 };
    struct fault fault;
    enum signal_reason reason = control_member(gateway, object, "customer", SIGNAL_FIELD_customer, true, &signal, &fault);
    if (reason == REASON_none)
        reason = control_member(gateway, object, "sku", SIGNAL_FIELD_sku, false, &signal, &fault);
    if (reason == REASON_none || reason == REASON_missing_field)
        reason = check_key(gateway, object, &fault) != REASON_none ? REASON_not_allowed : reason;
    if (reason == REASON_none)
        hand_on(gateway, received, ask, &signal, signal.customer, object);
    else
        answer_refused(gateway, (uint32_t)received->slot, reason, &fault);
}

/* Whoever may send signals may send a forget; this one is answered with a receipt. */
static void forget(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    struct signal signal = { .type = SIGNAL_forget, .time_ms = gateway->rules.now_ms };
    struct fault fault;
    enum signal_reason reason = control_member(gateway, object, "customer", SIGNAL_FIELD_customer, true, &signal, &fault);
    if (reason == REASON_none)
        forget_begin(gateway, received, &signal);
    else
        answer_refused(gateway, (uint32_t)received->slot, reason, &fault);
}

static void keys(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    struct fault fault;
    bool rotate = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "rotate"));
    if (rotate && check_key(gateway, object, &fault) != REASON_none)
        answer_refused(gateway, (uint32_t)received->slot, REASON_not_allowed, &fault);
    else
        signer_keys(gateway, (uint32_t)received->slot, rotate);
}

/* ---- change, diff, budgets --------------------------------------------------------------------------------------------------- */

/* What staged models, or kept ones, would change now. */
static void diff(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot;
    char folder[DATA_PATH_MAX], question[128];
    const cJSON *stage = cJSON_GetObjectItemCaseSensitive(object, "stage");
    if (!cJSON_IsString(stage) || !change_stage_path(gateway->config, stage->valuestring, folder)) {
        refuse(gateway, slot, REASON_out_of_range, "/stage", "must be the name of a stage");
        return;
    }
    int bytes = snprintf(question, sizeof question, "{\"ask\":\"diff\",\"stage\":\"%.26s\"}", stage->valuestring);
    request_begin(gateway, slot, received->arrived_us, REQUEST_ASK);
    batch_seal(gateway, false);
    ask_workers(gateway, slot, UINT64_MAX >> (64 - gateway->link_count), question, (size_t)bytes, ask_gather);
}

static void budgets(struct gateway *gateway, const struct received *received)
{
    static const char QUESTION[] = "{\"ask\":\"budgets\"}";
    request_begin(gateway, (uint32_t)received->slot, received->arrived_us, REQUEST_ASK);
    batch_seal(gateway, false);
    ask_workers(gateway, (uint32_t)received->slot, UINT64_MAX >> (64 - gateway->link_count), QUESTION,
                sizeof QUESTION - 1, ask_gather);
}

static void for_key_holders(struct gateway *gateway, const struct received *received, const cJSON *object,
                            const char *name)
{
    if (!key_fits(gateway->config, cJSON_GetObjectItemCaseSensitive(object, "key")))
        refuse(gateway, (uint32_t)received->slot, REASON_not_allowed, "/key", signal_reason_text(REASON_not_allowed));
    else if (strcmp(name, "diff") == 0)
        diff(gateway, received, object);
    else if (strcmp(name, "budgets") == 0)
        budgets(gateway, received);
    else
        change_control(gateway, received, object);
}

/* ---- which one ----------------------------------------------------------------------------------------------------
 */

static cJSON *control_parse(const nng_msg *const_message)
{
    struct fault fault;
    nng_msg *message = (nng_msg *)(uintptr_t)const_message; /* NNG's getters take no const */
    const char *text = nng_msg_body(message);
    size_t bytes = nng_msg_len(message);
    /* Most requests are signals: they shall not be parsed twice. */
    if (bytes > CONTROL_BYTES_MAX || memmem(text, bytes, "\"control\"", 9) == NULL)
        return NULL;
    cJSON *object = json_parse(text, bytes, 0, &fault);
    if (object != NULL && cJSON_GetObjectItemCaseSensitive(object, "control") == NULL) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static void act(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    uint32_t slot = (uint32_t)received->slot;
    const cJSON *control = cJSON_GetObjectItemCaseSensitive(object, "control");
    const char *name = cJSON_IsString(control) ? control->valuestring : "";
    if (strcmp(name, "ping") == 0)
        ping(gateway, slot);
    else if (strcmp(name, "tick") == 0)
        tick(gateway, received, object);
    else if (strcmp(name, "watch") == 0)
        watch(gateway, received, object);
    else if (strcmp(name, "explain") == 0)
        explain(gateway, received, object);
    else if (strcmp(name, "terms") == 0)
        of_customer(gateway, received, object, "terms");
    else if (strcmp(name, "export") == 0)
        of_customer(gateway, received, object, "export");
    else if (strcmp(name, "forget") == 0)
        forget(gateway, received, object);
    else if (strcmp(name, "lock") == 0)
        lock_begin(gateway, received, object);
    else if (strcmp(name, "record") == 0)
        record_begin(gateway, received, object);
    else if (strcmp(name, "keys") == 0)
        keys(gateway, received, object);
    else if (strcmp(name, "change") == 0 || strcmp(name, "diff") == 0 || strcmp(name, "budgets") == 0)
        for_key_holders(gateway, received, object, name);
    else
        refuse(gateway, slot, REASON_out_of_range, "/control", "must be one of " CONTROLS);
}

bool control_take(struct gateway *gateway, const struct received *received, enum control_which which)
{
    if (received->slot < 0)
        return false;
    cJSON *object = control_parse(received->message);
    if (object == NULL)
        return false;
    const cJSON *control = cJSON_GetObjectItemCaseSensitive(object, "control");
    bool is_ping = cJSON_IsString(control) && strcmp(control->valuestring, "ping") == 0;
    bool taken = which != CONTROL_PING || is_ping;
    if (taken && !is_ping)
        audit_note_control(gateway, received, object);
    if (which == CONTROL_REFUSE && !is_ping)
        refuse(gateway, (uint32_t)received->slot, REASON_no_answer, "", signal_reason_text(REASON_no_answer));
    else if (taken)
        act(gateway, received, object);
    cJSON_Delete(object);
    return taken;
}
