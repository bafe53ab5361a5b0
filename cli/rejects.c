/* rejects.c - `rialto rejects`: the dead letters in Redis: read, counted, sent again. */
#include "cli/cli.h"
#include "pricing/json_member.h"
#include "service/audit.h"
#include "service/redis_link.h"
#include "service/reject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE_ENTRIES 500u
/* The gateway keeps a thousand rejected signals a second: what is rejected again is to be among them. */
#define PAGE_MS      1000
#define ATTEMPTS     3u
#define TURNS_MAX    60u /* that a page waits for, where signals are more than our share */
#define ENTRY_ID_MAX 48u

enum { OWN_REASON = CLI_OWN, OWN_SOURCE, OWN_TYPE, OWN_LIMIT, OWN_COUNT, OWN_RESEND };

struct options {
    const char *reason, *source, *type;
    double limit;
    bool count, resend;
};

struct entry { /* of the stream; the texts are the reply's, "" where it has none */
    const char *id;
    const char *value[REJECT_FIELD_COUNT];
};

struct view { /* one run of the command */
    const struct cli *cli;
    const struct options *options;
    struct redis_link link;
    char key[RIALTO_NAME_MAX + 16];
    uint64_t shown, total;
    uint64_t by_reason[REASON_COUNT], other;
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    switch (option) {
    case OWN_REASON: options->reason = argument; return true;
    case OWN_SOURCE: options->source = argument; return true;
    case OWN_TYPE: options->type = argument; return true;
    case OWN_LIMIT: return cli_number("--limit", argument, 1, 1e9, &options->limit);
    case OWN_COUNT: options->count = true; return true;
    case OWN_RESEND: options->resend = true; return true;
    default: return false;
    }
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

/* What somebody else put into the stream is passed over, but has an id; without even that ret->id is NULL. */
static bool entry_read(const redisReply *reply, struct entry *ret)
{
    ret->id = NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len >= ENTRY_ID_MAX || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    *ret = (struct entry){ .id = reply->element[0]->str };
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        for (unsigned f = 0; f < REJECT_FIELD_COUNT; f++)
            if (pairs->element[i]->type == REDIS_REPLY_STRING && pairs->element[i + 1]->type == REDIS_REPLY_STRING &&
                strcmp(pairs->element[i]->str, reject_field_name[f]) == 0)
                ret->value[f] = pairs->element[i + 1]->str;
    for (unsigned f = 0; f < REJECT_FIELD_COUNT; f++)
        if (ret->value[f] == NULL)
            ret->value[f] = "";
    return ret->value[REJECT_FIELD_reason][0] != '\0';
}

static bool matches(const char *wanted, const char *found)
{
    return wanted == NULL || strcmp(wanted, found) == 0;
}

static bool is_wanted(const struct options *options, const struct entry *entry)
{
    return matches(options->reason, entry->value[REJECT_FIELD_reason]) &&
           matches(options->source, entry->value[REJECT_FIELD_source]) &&
           matches(options->type, entry->value[REJECT_FIELD_type]);
}

static cJSON *signal_of(const struct entry *entry)
{
    struct fault fault;
    const char *text = entry->value[REJECT_FIELD_signal];
    cJSON *signal = text[0] == '\0' ? NULL : json_parse(text, strlen(text), 0, &fault);
    if (signal != NULL && !cJSON_IsObject(signal)) {
        cJSON_Delete(signal);
        signal = NULL;
    }
    return signal;
}

/* ---- showing ------------------------------------------------------------------------------------------------------ */

static void show_column(const char *text, int width)
{
    cli_line_text(text);
    printf("%*s", width + 1 - (int)strnlen(text, (size_t)width), "");
}

/* Whoever can write to Redis can write an entry: it has no line but its own. */
static void show_text(const struct entry *entry)
{
    char clock[32];
    const char *const *v = entry->value;
    cli_clock_text(strtoll(v[REJECT_FIELD_at], NULL, 10), clock);
    printf("%s  ", clock);
    show_column(v[REJECT_FIELD_reason], 15);
    show_column(v[REJECT_FIELD_by], 10);
    cli_line_text(v[REJECT_FIELD_pointer]);
    printf("%s", v[REJECT_FIELD_pointer][0] != '\0' ? ": " : "");
    cli_line_text(v[REJECT_FIELD_text]);
    printf("\n    ");
    cli_line_text(v[REJECT_FIELD_source][0] != '\0' ? v[REJECT_FIELD_source] : "(no source)");
    printf(": ");
    cli_line_text(v[REJECT_FIELD_signal][0] != '\0' ? v[REJECT_FIELD_signal] : v[REJECT_FIELD_type]);
    printf("%s\n", v[REJECT_FIELD_whole][0] == '1'     ? ""
                   : v[REJECT_FIELD_signal][0] != '\0' ? "  (not all of it)"
                                                       : "  (not kept)");
}

static void show_json(const struct entry *entry)
{
    cJSON *signal = signal_of(entry);
    printf("{\"entry\":");
    cli_json_text(entry->id);
    for (unsigned f = 0; f < REJECT_FIELD_COUNT; f++) {
        printf(",\"%s\":", reject_field_name[f]);
        const char *value = entry->value[f];
        bool number = f == REJECT_FIELD_at || f == REJECT_FIELD_index;
        if (f == REJECT_FIELD_whole)
            printf("%s", value[0] == '1' ? "true" : "false");
        else if (f == REJECT_FIELD_signal)
            printf("%s", signal != NULL ? value : "null");
        else if (number)
            printf("%s", value[0] != '\0' && strspn(value, "0123456789") == strlen(value) ? value : "null");
        else
            cli_json_text(value);
    }
    printf("}\n");
    cJSON_Delete(signal);
}

static void count_entry(struct view *view, const struct entry *entry)
{
    view->total++;
    for (int i = 1; i < REASON_COUNT; i++) {
        if (strcmp(entry->value[REJECT_FIELD_reason], signal_reason_name((enum signal_reason)i)) != 0)
            continue;
        view->by_reason[i]++;
        return;
    }
    view->other++;
}

static void show_counts(const struct view *view)
{
    if (view->cli->json)
        printf("{\"total\":%" PRIu64 ",\"reasons\":{", view->total);
    bool first = true;
    for (int i = 0; i < REASON_COUNT; i++) {
        uint64_t count = i == 0 ? view->other : view->by_reason[i];
        const char *name = i == 0 ? "other" : signal_reason_name((enum signal_reason)i);
        if (count == 0)
            continue;
        if (view->cli->json)
            printf("%s\"%s\":%" PRIu64, first ? "" : ",", name, count);
        else
            printf("%8" PRIu64 "  %s\n", count, name);
        first = false;
    }
    if (view->cli->json)
        printf("}}\n");
    else
        printf("%8" PRIu64 "  in all\n", view->total);
}

/* ---- pages of the stream ------------------------------------------------------------------------------------------- */

static redisReply *ask(struct view *view, const char *const words[])
{
    redisReply *reply = redis_link_call(&view->link, words);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        redis_link_refused(&view->link, "reading rejected signals", reply);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

/* Newest first, until the limit. False: Redis went away. */
static bool show_all(struct view *view)
{
    char from[ENTRY_ID_MAX + 1] = "+", page[16];
    (void)snprintf(page, sizeof page, "%u", PAGE_ENTRIES);
    for (bool more = true; more;) {
        redisReply *reply = ask(view, (const char *const[]){ "XREVRANGE", view->key, from, "-", "COUNT", page, NULL });
        if (reply == NULL)
            return false;
        more = reply->type == REDIS_REPLY_ARRAY && reply->elements == PAGE_ENTRIES;
        for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
            struct entry entry;
            bool good = entry_read(reply->element[i], &entry);
            if (entry.id != NULL)
                (void)snprintf(from, sizeof from, "(%s", entry.id);
            if (!good || !is_wanted(view->options, &entry))
                continue;
            if (view->options->count)
                count_entry(view, &entry);
            else
                (view->cli->json ? show_json : show_text)(&entry);
            if (++view->shown >= (uint64_t)view->options->limit && !view->options->count) {
                more = false;
                break;
            }
        }
        freeReplyObject(reply);
    }
    return true;
}

/* ---- sending again --------------------------------------------------------------------------------------------------- */

struct resend {
    struct requester *requester;
    cJSON *signals;                      /* one message */
    char id[PAGE_ENTRIES][ENTRY_ID_MAX]; /* entries that they come from */
    uint32_t count;
    uint64_t accepted, rejected, kept_back, deleted;
};

/* An id of its own, so that it counts once however often it is sent again. */
static bool resend_add(struct resend *resend, const struct entry *entry)
{
    char id[RIALTO_ID_MAX];
    cJSON *signal = entry->value[REJECT_FIELD_whole][0] == '1' ? signal_of(entry) : NULL;
    if (signal == NULL)
        return false;
    const char *source = entry->value[REJECT_FIELD_source];
    (void)snprintf(id, sizeof id, "reject-%s", entry->id);
    bool good = cJSON_HasObjectItem(signal, "source") ||
                cJSON_AddStringToObject(signal, "source", source[0] != '\0' ? source : "rejects") != NULL;
    good = good && (cJSON_HasObjectItem(signal, "id") || cJSON_AddStringToObject(signal, "id", id) != NULL);
    good = good && cJSON_AddItemToArray(resend->signals, signal);
    if (!good) {
        cJSON_Delete(signal);
        return false;
    }
    (void)snprintf(resend->id[resend->count++], ENTRY_ID_MAX, "%s", entry->id);
    return true;
}

static bool finding_is(const cJSON *finding, enum signal_reason reason)
{
    const cJSON *said = cJSON_GetObjectItemCaseSensitive(finding, "reason");
    return cJSON_IsString(said) && strcmp(said->valuestring, signal_reason_name(reason)) == 0;
}

/* What is rejected once more stands in the stream anew, with the new reason: the old entry goes all the same. Only what
 * was not looked at stays. */
static bool resend_delete(struct view *view, struct resend *resend, const cJSON *answer)
{
    bool stays[PAGE_ENTRIES] = { false };
    const cJSON *finding;
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(answer, "findings"))
    {
        double index = json_number(finding, "index");
        if (index >= 0 && index < resend->count &&
            (finding_is(finding, REASON_no_answer) || finding_is(finding, REASON_rate_limited)))
            stays[(uint32_t)index] = true;
    }
    /* Findings that were not listed may be such, too. */
    bool unsure = json_number(answer, "more_findings") > 0;
    for (uint32_t i = 0; i < resend->count && !unsure; i++) {
        if (stays[i])
            continue;
        redisReply *reply = ask(view, (const char *const[]){ "XDEL", view->key, resend->id[i], NULL });
        if (reply == NULL)
            return false;
        resend->deleted += reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        freeReplyObject(reply);
    }
    return true;
}

static void pause_ms(double ms)
{
    nanosleep(&(struct timespec){ (time_t)(ms / 1000), (long)ms % 1000 * 1000000L }, NULL);
}

/* The answer to the signals; NULL: there was none. A message of more than our share is not looked at before its turn. */
static cJSON *resend_ask(struct resend *resend)
{
    char why[REQUEST_WHY_MAX] = "out of memory";
    char *text = cJSON_PrintUnformatted(resend->signals);
    cJSON *answer = NULL;
    for (unsigned turns = 0; text != NULL; turns++) {
        answer = requester_ask(resend->requester, text, strlen(text), ATTEMPTS, NULL, why);
        if (!finding_is(answer, REASON_rate_limited) || turns == TURNS_MAX)
            break;
        pause_ms(json_number(answer, "retry_after_ms") + 1);
        cJSON_Delete(answer);
    }
    free(text);
    if (answer != NULL && cJSON_HasObjectItem(answer, "accepted"))
        return answer;
    cli_say("%s", answer == NULL ? why : "the gateway did not take the signals");
    cJSON_Delete(answer);
    return NULL;
}

static int resend_flush(struct view *view, struct resend *resend)
{
    if (resend->count == 0)
        return CLI_OK;
    int status = CLI_UNREACHABLE;
    cJSON *answer = resend_ask(resend);
    if (answer != NULL) {
        double rejected = json_number(answer, "rejected");
        resend->accepted += (uint64_t)json_number(answer, "accepted");
        resend->rejected += (uint64_t)rejected;
        status = resend_delete(view, resend, answer) ? CLI_OK : CLI_UNREACHABLE;
        pause_ms(rejected * PAGE_MS / PAGE_ENTRIES);
    }
    cJSON_Delete(answer);
    cJSON_Delete(resend->signals);
    resend->signals = cJSON_CreateArray();
    resend->count = 0;
    return resend->signals == NULL ? CLI_UNREACHABLE : status;
}

/* As many as a message may hold. */
static uint32_t page_entries(const struct view *view)
{
    uint32_t most = view->cli->config.message_signals_max;
    return most < PAGE_ENTRIES ? most : PAGE_ENTRIES;
}

/* One page, oldest first. *from moves on; *more: there is another page. */
static int resend_page(struct view *view, struct resend *resend, char from[ENTRY_ID_MAX + 1], const char *last,
                       bool *more)
{
    char page[16];
    (void)snprintf(page, sizeof page, "%u", page_entries(view));
    redisReply *reply = ask(view, (const char *const[]){ "XRANGE", view->key, from, last, "COUNT", page, NULL });
    if (reply == NULL)
        return CLI_UNREACHABLE;
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    *more = count == page_entries(view);
    for (size_t i = 0; i < count; i++) {
        struct entry entry;
        bool good = entry_read(reply->element[i], &entry);
        if (entry.id != NULL)
            (void)snprintf(from, ENTRY_ID_MAX + 1, "(%s", entry.id);
        if (!good || !is_wanted(view->options, &entry) || view->shown >= (uint64_t)view->options->limit)
            continue;
        view->shown++;
        resend->kept_back += !resend_add(resend, &entry);
    }
    freeReplyObject(reply);
    *more = *more && view->shown < (uint64_t)view->options->limit;
    return resend_flush(view, resend);
}

/* Up to what is the newest entry now: what is rejected again comes behind it. */
static bool newest_entry(struct view *view, char ret[ENTRY_ID_MAX])
{
    struct entry entry;
    redisReply *reply = ask(view, (const char *const[]){ "XREVRANGE", view->key, "+", "-", "COUNT", "1", NULL });
    if (reply == NULL)
        return false;
    bool there = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && entry_read(reply->element[0], &entry);
    (void)snprintf(ret, ENTRY_ID_MAX, "%s", there ? entry.id : "0");
    freeReplyObject(reply);
    return true;
}

static int resend_all(struct view *view)
{
    static struct resend resend; /* large */
    char from[ENTRY_ID_MAX + 1] = "-", last[ENTRY_ID_MAX];
    resend.requester = cli_connect(view->cli, 0);
    resend.signals = cJSON_CreateArray();
    int status =
        resend.requester == NULL || resend.signals == NULL || !newest_entry(view, last) ? CLI_UNREACHABLE : CLI_OK;
    for (bool more = true; more && status == CLI_OK;)
        status = resend_page(view, &resend, from, last, &more);
    if (status == CLI_OK && view->cli->json)
        printf("{\"accepted\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"not_whole\":%" PRIu64 ",\"deleted\":%" PRIu64
               "}\n",
               resend.accepted, resend.rejected, resend.kept_back, resend.deleted);
    else if (status == CLI_OK)
        printf("%" PRIu64 " accepted, %" PRIu64 " rejected again, %" PRIu64 " not sent: not whole\n", resend.accepted,
               resend.rejected, resend.kept_back);
    if (status == CLI_OK && (resend.rejected > 0 || resend.kept_back > 0))
        status = CLI_NO;
    cJSON_Delete(resend.signals);
    if (resend.requester != NULL)
        requester_close(resend.requester);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------------ */

/* Who may write in the service's data folder goes on record; who reads Redis from elsewhere is known to Redis alone. */
static void on_record(const struct view *view)
{
    char who[CLI_WHO_MAX];
    if (access(view->cli->config.data_dir, W_OK) != 0)
        return;
    cli_who(who);
    (void)audit_add(&view->cli->config, &(struct audit_entry){ .action = "rejects",
                                                               .who = who,
                                                               .from = "command line",
                                                               .what = view->options->resend  ? "sent again"
                                                                       : view->options->count ? "counted"
                                                                                              : "read",
                                                               .outcome = "done" });
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "reason", required_argument, NULL, OWN_REASON },
                                         { "source", required_argument, NULL, OWN_SOURCE },
                                         { "type", required_argument, NULL, OWN_TYPE },
                                         { "limit", required_argument, NULL, OWN_LIMIT },
                                         { "count", no_argument, NULL, OWN_COUNT },
                                         { "resend", no_argument, NULL, OWN_RESEND },
                                         { 0 } };
    struct options options = { .limit = 0 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (optind < argc || (options.count && options.resend)) {
        cli_say(optind < argc ? "there are no operands" : "either --count or --resend");
        return CLI_USAGE;
    }
    if (options.limit < 1)
        options.limit = options.resend ? 1e9 : 100;
    struct view view = { .cli = cli, .options = &options, .link = { .config = &cli->config, .who = "rejects" } };
    (void)snprintf(view.key, sizeof view.key, REJECTS_KEY_FORMAT, cli->config.redis_prefix);
    if (!redis_link_open(&view.link)) {
        cli_say("Redis %s (--config and --set say where it is)", redis_state_text(view.link.state));
        return CLI_UNREACHABLE;
    }
    if (options.resend)
        status = resend_all(&view);
    else if (!show_all(&view))
        status = CLI_UNREACHABLE;
    else if (options.count)
        show_counts(&view);
    redis_link_close(&view.link);
    on_record(&view);
    return status;
}

const struct cli_command cli_rejects = {
    .name = "rejects",
    .usage = "rejects [OPTIONS]",
    .summary = "signals that were rejected, and why; send them again",
    .help =
        "Reads the dead letters that the service keeps in Redis, newest first: when, why, who said it was no good, the "
        "field, the\n"
        "source, and what may be kept of the signal. Nothing of a customer is ever kept. The newest 100 by default.\n"
        "\n"
        "  --reason REASON   only these, such as unknown_product; docs/signals.md lists all reasons\n"
        "  --source SOURCE   only of this source\n"
        "  --type TYPE       only of this type of signal\n"
        "  --limit N         at most N\n"
        "  --count           how many for each reason, of all that are kept\n"
        "  --resend          send them again, oldest first, after what was wrong is mended. What is answered is taken "
        "out\n"
        "                    of the stream; what is rejected once more stands there anew. Only whole signals are sent\n"
        "                    (\"whole\": nothing was left out). Exit status 1 if some were not, or were rejected "
        "again.\n"
        "                    Those are at most 500 a second, because no more than 1000 a second are kept.\n"
        "\n"
        "  rialto rejects --count\n"
        "  rialto rejects --reason unknown_product --json | jq -r .signal.sku | sort | uniq -c\n"
        "  rialto rejects --reason no_model --resend\n",
    .run = run,
};
