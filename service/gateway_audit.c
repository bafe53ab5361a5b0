/* gateway_audit.c - questions that go on record (audit.h): noted when they are asked, written with their answer.
 *
 *   control_take() --audit_note()--> request.audit ... answer_text() --audit_answered()--> DATA_DIR/audit.ndjson
 *
 * Crash      a gateway that dies between the two writes no line; a change that came into force stands in `rialto changes`. */
#include "service/gateway.h"

#include "pricing/json_member.h"
#include "service/audit.h"
#include "service/change.h"

#include <stdio.h>
#include <string.h>

static bool has(const cJSON *object, const char *member)
{
    return cJSON_GetObjectItemCaseSensitive(object, member) != NULL;
}

/* What kind of change is asked for; a change may be several things at once, the first of these names it. */
static const char *change_action(const cJSON *object)
{
    if (has(object, "stage"))
        return "apply";
    if (has(object, "rollback") || has(object, "models"))
        return "rollback";
    if (has(object, "pin"))
        return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "pin")) ? "pin" : "unpin";
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "thaw_all")))
        return "thaw";
    return "freeze";
}

void audit_note(struct gateway *gateway, uint32_t slot, const char *action, const char *who, const char *from,
                const char *what)
{
    struct audit_note *note = &gateway->request[slot].audit;
    note->receipt[0] = '\0';
    (void)snprintf(note->action, sizeof note->action, "%s", action);
    (void)snprintf(note->who, sizeof note->who, "%s", who);
    (void)snprintf(note->from, sizeof note->from, "%s", from);
    (void)snprintf(note->what, sizeof note->what, "%s", what);
}

void audit_note_control(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    const char *control = json_string(object, "control"), *action = NULL;
    if (strcmp(control, "change") == 0)
        action = change_action(object);
    else if (strcmp(control, "export") == 0 || strcmp(control, "forget") == 0)
        action = control;
    else if (strcmp(control, "keys") == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "rotate")))
        action = "rotate keys";
    if (action == NULL)
        return;
    /* "what" is a change's own; of a customer nothing is said */
    audit_note(gateway, (uint32_t)received->slot, action, json_string(object, "who"), received->sender.from,
               strcmp(control, "change") == 0 ? json_string(object, "what") : "");
}

void audit_note_receipt(struct gateway *gateway, uint32_t slot, const char *nonce)
{
    (void)snprintf(gateway->request[slot].audit.receipt, sizeof gateway->request[slot].audit.receipt, "%s", nonce);
}

void audit_answered(struct gateway *gateway, uint32_t slot, const char *text, size_t bytes)
{
    static const char GOOD[] = "{\"ok\":true";
    struct request *request = &gateway->request[slot];
    struct audit_note *note = &request->audit;
    if (note->action[0] == '\0')
        return;
    bool good = bytes >= strlen(GOOD) && memcmp(text, GOOD, strlen(GOOD)) == 0;
    cJSON *refusal = good ? NULL : cJSON_ParseWithLength(text, bytes);
    const char *reason = json_string(refusal, "reason");
    struct audit_entry entry = { .action = note->action,
                                 .who = note->who,
                                 .from = note->from,
                                 .what = note->what,
                                 .receipt = good ? note->receipt : NULL,
                                 .outcome = good                ? "done"
                                            : reason[0] != '\0' ? reason
                                                                : "refused",
                                 .change = good && request->kind == REQUEST_CHANGE ? change_in_force()->number : 0 };
    if (strcmp(entry.outcome, signal_reason_name(REASON_not_allowed)) == 0)
        (void)audit_add_intruder(gateway->config, &entry);
    else
        (void)audit_add(gateway->config, &entry);
    cJSON_Delete(refusal);
    note->action[0] = '\0';
}
