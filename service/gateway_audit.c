/* gateway_audit.c - questions and erasures that go on record (audit.h): noted when they are asked, written with their answer.
 *
 *   control_take() --audit_note()--> request.audit ... answer_text() --audit_answered()--> DATA_DIR/audit.ndjson
 *   a forget signal, routed --audit_forget_signal()--> fold --> DATA_DIR/access.ndjson
 *
 * Bounded    what is read of customers, and erased by signals, is written at once; what is the same in all but its time within
 *            AUDIT_FOLD_MS (of signals: their sender) becomes one more line that counts. AUDIT_FOLDS different ones, then they are
 *            counted by action alone.
 * Crash      a gateway that dies between the two writes no line, nor a count that it did not tell yet; a change that came into force
 *            stands in `rialto changes`. */
#include "service/gateway.h"

#include "cache/keys.h"
#include "pricing/json_member.h"
#include "service/audit.h"
#include "service/change.h"

#include <stdio.h>
#include <string.h>

#define NAMES_AGE_EVERY_MS (INT64_C(3600) * 1000)

static struct rialto_key key_of_customer(const struct gateway *gateway, const char *id)
{
    return key_of_id(gateway->control->secret, id, strlen(id));
}

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
    note->if_refused = false;
    note->kind = AUDIT_OF_NOBODY;
    note->customer = (struct rialto_key){ .lo = 0 };
    (void)snprintf(note->action, sizeof note->action, "%s", action);
    (void)snprintf(note->who, sizeof note->who, "%s", who);
    (void)snprintf(note->from, sizeof note->from, "%s", from);
    (void)snprintf(note->what, sizeof note->what, "%s", what);
}

static const char *const OF_CUSTOMERS[] = {
    [AUDIT_OF_NOBODY] = "", [AUDIT_EXPLAIN] = "explain", [AUDIT_EXPORT] = "export", [AUDIT_FORGET] = "forget"
};
_Static_assert(sizeof OF_CUSTOMERS / sizeof OF_CUSTOMERS[0] == AUDIT_OF_CUSTOMERS, "a word for each");

static enum audit_of_customers of_customers(const char *control)
{
    if (strcmp(control, "terms") == 0)
        return AUDIT_EXPLAIN;
    return strcmp(control, "export") == 0   ? AUDIT_EXPORT
           : strcmp(control, "forget") == 0 ? AUDIT_FORGET
                                            : AUDIT_OF_NOBODY;
}

void audit_note_control(struct gateway *gateway, const struct received *received, const cJSON *object)
{
    const char *control = json_string(object, "control"), *action = NULL, *customer = json_string(object, "customer");
    enum audit_of_customers kind = of_customers(control);
    struct audit_note *note = &gateway->request[received->slot].audit;
    bool look = strcmp(control, "diff") == 0 || strcmp(control, "budgets") == 0;
    if (look)
        action = control;
    else if (strcmp(control, "change") == 0)
        action = change_action(object);
    else if (kind != AUDIT_OF_NOBODY)
        action = OF_CUSTOMERS[kind];
    else if (strcmp(control, "keys") == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "rotate")))
        action = "rotate keys";
    if (action == NULL)
        return;
    /* "what" is a change's own; of a customer nothing is said */
    audit_note(gateway, (uint32_t)received->slot, action, json_string(object, "who"), received->sender.from,
               strcmp(control, "change") == 0 ? json_string(object, "what") : "");
    note->if_refused = look;
    note->kind = kind;
    if (kind != AUDIT_OF_NOBODY && kind != AUDIT_FORGET && customer[0] != '\0' && strlen(customer) < RIALTO_ID_MAX)
        note->customer = key_of_customer(gateway, customer);
}

void audit_note_receipt(struct gateway *gateway, uint32_t slot, const char *nonce)
{
    (void)snprintf(gateway->request[slot].audit.receipt, sizeof gateway->request[slot].audit.receipt, "%s", nonce);
}

/* ---- many of the same ----------------------------------------------------------------------------------------------- */

static struct audit_entry entry_of(const struct audit_fold *fold)
{
    return (struct audit_entry){ .action = fold->action,
                                 .outcome = fold->outcome,
                                 .who = fold->who,
                                 .from = fold->from,
                                 .whose = fold->whose,
                                 .of_customers = true };
}

/* The line counts itself. */
static void tell_more(struct gateway *gateway, struct audit_fold *fold)
{
    struct audit_entry entry = entry_of(fold);
    entry.more = fold->more - 1;
    (void)audit_add(gateway->config, &entry);
    fold->more = 0;
}

static struct audit_fold fold_of(const struct audit_entry *entry)
{
    struct audit_fold fold = { .used = true, .since_ms = mono_ms() };
    (void)snprintf(fold.action, sizeof fold.action, "%s", entry->action);
    (void)snprintf(fold.outcome, sizeof fold.outcome, "%s", entry->outcome);
    (void)snprintf(fold.who, sizeof fold.who, "%s", entry->who);
    (void)snprintf(fold.from, sizeof fold.from, "%s", entry->from);
    (void)snprintf(fold.whose, sizeof fold.whose, "%s", entry->whose);
    return fold;
}

static bool is_same(const struct audit_fold *a, const struct audit_fold *b)
{
    return strcmp(a->action, b->action) == 0 && strcmp(a->outcome, b->outcome) == 0 && strcmp(a->who, b->who) == 0 &&
           strcmp(a->from, b->from) == 0 && strcmp(a->whose, b->whose) == 0;
}

static struct audit_fold *fold_find(struct audit *audit, const struct audit_fold *wanted)
{
    struct audit_fold *free_one = NULL;
    for (uint32_t i = 0; i < AUDIT_FOLDS; i++) {
        struct audit_fold *fold = &audit->fold[i];
        if (fold->used && is_same(fold, wanted))
            return fold;
        if (!fold->used && free_one == NULL)
            free_one = fold;
    }
    return free_one;
}

static void add_folded(struct gateway *gateway, enum audit_of_customers kind, const struct audit_entry *entry)
{
    struct audit_fold wanted = fold_of(entry), *fold = fold_find(&gateway->audit, &wanted);
    if (fold == NULL) {
        const struct audit_entry crowd = {
            .action = OF_CUSTOMERS[kind], .outcome = AUDIT_LEFT_OUT, .who = "", .from = "", .whose = ""
        };
        wanted = fold_of(&crowd);
        fold = &gateway->audit.fold[AUDIT_FOLDS + (uint32_t)kind];
    }
    if (fold->used) {
        fold->more++;
        return;
    }
    *fold = wanted;
    const struct audit_entry line = entry_of(fold);
    (void)audit_add(gateway->config, &line);
}

void audit_step(struct gateway *gateway)
{
    struct audit *audit = &gateway->audit;
    int64_t now = mono_ms();
    for (uint32_t i = 0; i < AUDIT_FOLDS + AUDIT_OF_CUSTOMERS; i++) {
        struct audit_fold *fold = &audit->fold[i];
        if (!fold->used || now - fold->since_ms < AUDIT_FOLD_MS)
            continue;
        fold->used = fold->more > 0; /* it may go on */
        fold->since_ms = now;
        if (fold->used)
            tell_more(gateway, fold);
    }
    if (now - audit->aged_ms < NAMES_AGE_EVERY_MS)
        return;
    audit->aged_ms = now;
    audit_names_age(audit->names, unix_ms());
}

bool audit_setup(struct gateway *gateway)
{
    gateway->audit.names = audit_names_open(gateway->config); /* without them lines name nobody */
    gateway->audit.aged_ms = mono_ms() - NAMES_AGE_EVERY_MS;
    return true;
}

void audit_teardown(struct gateway *gateway)
{
    for (uint32_t i = 0; i < AUDIT_FOLDS + AUDIT_OF_CUSTOMERS; i++)
        if (gateway->audit.fold[i].used && gateway->audit.fold[i].more > 0)
            tell_more(gateway, &gateway->audit.fold[i]);
    audit_names_close(gateway->audit.names);
    gateway->audit.names = NULL;
}

/* ---- erasures ------------------------------------------------------------------------------------------------------- */

void audit_forgotten(struct gateway *gateway, const char *customer)
{
    struct rialto_key key = key_of_customer(gateway, customer);
    audit_names_forget(gateway->audit.names, key);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) /* an answer from before is not to name them anew */
        if (key_equal(gateway->request[i].audit.customer, key))
            gateway->request[i].audit.customer = (struct rialto_key){ .lo = 0 };
}

/* Whether a worker takes it is known later, to whoever waits for it: it cannot be refused for what it says. */
void audit_forget_signal(struct gateway *gateway, const struct received *received, const char *customer)
{
    static const char TOKEN[] = "token:";
    struct sender sender = received->sender;
    char who[RATES_NAME_MAX + 16] = "";
    audit_forgotten(gateway, customer);
    if (received->slot < 0)
        sender_of(received->message, &sender); /* whoever pushes is not looked at otherwise, unless rates are */
    if (strncmp(sender.name, TOKEN, strlen(TOKEN)) == 0)
        (void)snprintf(who, sizeof who, "%.48s over HTTP", sender.name + strlen(TOKEN));
    add_folded(gateway, AUDIT_FORGET,
               &(struct audit_entry){ .action = OF_CUSTOMERS[AUDIT_FORGET],
                                      .outcome = "signal taken",
                                      .who = who,
                                      .from = sender.from[0] != '\0' ? sender.from : "gone since",
                                      .whose = "" });
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static void add_answered(struct gateway *gateway, const struct audit_note *note, const struct audit_entry *entry)
{
    if (strcmp(entry->outcome, signal_reason_name(REASON_not_allowed)) == 0)
        (void)audit_add_intruder(gateway->config, entry);
    else if (note->if_refused)
        return;
    else if (note->kind != AUDIT_OF_NOBODY && note->receipt[0] == '\0')
        add_folded(gateway, note->kind, entry);
    else
        (void)audit_add(gateway->config, entry);
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
    char whose[AUDIT_NAME_MAX] = "";
    if (good && !key_is_none(note->customer)) /* of whom nothing is kept nothing was read */
        audit_names_take(gateway->audit.names, note->customer, unix_ms(), whose);
    const struct audit_entry entry = { .action = note->action,
                                       .who = note->who,
                                       .from = note->from,
                                       .what = note->what,
                                       .whose = whose,
                                       .of_customers = note->kind != AUDIT_OF_NOBODY,
                                       .receipt = good ? note->receipt : NULL,
                                       .outcome = good                ? "done"
                                                  : reason[0] != '\0' ? reason
                                                                      : "refused",
                                       .change =
                                           good && request->kind == REQUEST_CHANGE ? change_in_force()->number : 0 };
    add_answered(gateway, note, &entry);
    cJSON_Delete(refusal);
    note->action[0] = '\0';
    note->customer = (struct rialto_key){ .lo = 0 };
}
