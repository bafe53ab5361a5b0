/* explain_at.c - `rialto explain SKU --at TIME`: what a price was, and what made it, out of the price journal in Redis.
 *
 *   zone, those around it by name, the world --> entries of each, narrowest first --> the first that had a price then
 *                                                                                 --> the lowest of the 30 days before: of its own price,
 *                                                                                     and of those around it while it had none
 *
 * A cell without any entry has not moved for as long as the journal goes back: its price is the one that stands, which
 * its worker tells. */
#include "cli/explain_at.h"

#include "cache/reader.h"
#include "cache/zone_path.h"
#include "pricing/explain.h"
#include "pricing/guardrails.h"
#include "pricing/json_member.h"
#include "pricing/money.h"
#include "service/change.h"
#include "service/clock.h"
#include "service/explained.h"
#include "service/journal.h"
#include "service/redis_link.h"
#include "service/silence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 131072u /* of one price; a month of one a minute is a third of it */
#define LOWEST_DAYS 30

struct look { /* one question */
    const struct cli *cli;
    const char *sku;
    const char *zone; /* asked for */
    int64_t at_ms;
    struct rialto *prices;
    struct redis_link link;
    struct requester *requester; /* NULL: nobody is there to say what stands */
    struct zone_chain chain;     /* of `zone` */
    struct journal_found around; /* entries of a zone around the one that answers */
    struct silence silence[SILENCES_MAX]; /* of the product's partition, in the 30 days */
    uint32_t silences;
};

/* The zones that may answer, from its own outwards; the last is the world. */
static const char *zone_at(const struct look *look, uint32_t level)
{
    return level < look->chain.count ? look->chain.name[level] : "";
}

/* ---- entries ------------------------------------------------------------------------------------------------------- */

static bool read_cell(struct look *look, const char *zone, struct journal_found *found)
{
    int64_t at = look->at_ms / JOURNAL_DAY_MS, back = (int64_t)look->cli->config.journal_days + 1;
    struct rialto_key product = key_of_id(look->prices->secret, look->sku, strlen(look->sku));
    const struct journal_of of = {
        .sku = look->sku, .zone = zone, .partition = key_partition(product), .to_ms = JOURNAL_TIME_MAX
    };
    found->count = 0;
    for (int64_t day = at - (back > LOWEST_DAYS ? back : LOWEST_DAYS + 1); day <= at; day++)
        if (!journal_read_day(&look->link, &of, day, ENTRIES_MAX + 1, found))
            return false;
    uint32_t before = found->count;
    for (int64_t day = at + 1; day <= at + back && found->count == before;
         day++) /* what came next says what stood until then */
        if (!journal_read_day(&look->link, &of, day, JOURNAL_TIED_MAX, found))
            return false;
    found->count = journal_sort(found->entry, found->count);
    return true;
}

/* ---- the price that stands now --------------------------------------------------------------------------------------- */

static uint32_t guards_of(const cJSON *names)
{
    uint32_t guards = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, names)
    {
        for (unsigned i = 0; i < GUARD_COUNT; i++)
            if (cJSON_IsString(item) && strcmp(item->valuestring, guard_names[i]) == 0)
                guards |= 1u << i;
    }
    return guards;
}

static void entry_of(const cJSON *answer, struct journal_entry *e)
{
    const cJSON *item;
    memset(e, 0, sizeof *e);
    (void)snprintf(e->sku, sizeof e->sku, "%s", json_string(answer, "sku"));
    (void)snprintf(e->zone, sizeof e->zone, "%s", json_string(answer, "zone"));
    (void)snprintf(e->currency, sizeof e->currency, "%.3s", json_string(answer, "currency"));
    (void)snprintf(e->model, sizeof e->model, "%s", json_string(answer, "model"));
    (void)snprintf(e->version, sizeof e->version, "%s", json_string(answer, "version"));
    e->when_ms = e->first_ms = e->low_ms = json_whole(answer, "since_ms");
    e->amount = e->low = json_whole(answer, "baseline");
    e->before = JOURNAL_UNKNOWN;
    e->list = json_whole(answer, "list");
    e->floor = json_whole(answer, "floor");
    e->ceiling = json_whole(answer, "ceiling");
    e->ending_step = (uint32_t)json_whole(answer, "ending_step");
    e->ending_less = (uint32_t)json_whole(answer, "ending_less");
    e->guards = guards_of(cJSON_GetObjectItemCaseSensitive(answer, "guardrails"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "steps"))
    {
        if (strcmp(json_string(item, "step"), "factor") != 0 || e->factor_count == MODEL_FACTORS_MAX)
            continue;
        struct journal_factor *factor = &e->factor[e->factor_count++];
        (void)snprintf(factor->name, sizeof factor->name, "%s", json_string(item, "name"));
        factor->micro = (int32_t)(strtod(json_string(item, "times"), NULL) * MICRO + 0.5); /* six decimals */
    }
}

/* Does a wider one of these zones have the price itself? */
static bool has_level(const struct look *look, const char *zone)
{
    for (uint32_t level = 0; level <= look->chain.count; level++)
        if (strcmp(zone_at(look, level), zone) == 0)
            return true;
    return false;
}

/* The price that stands, as the only entry. One of a wider zone is that one's: its own entries say more. */
static void add_standing(struct look *look, const char *zone, struct journal_found *found)
{
    char why[REQUEST_WHY_MAX];
    cJSON *question = cJSON_CreateObject();
    cJSON_AddStringToObject(question, "control", "explain");
    cJSON_AddStringToObject(question, "sku", look->sku);
    cJSON_AddStringToObject(question, "zone", zone);
    char *text = cJSON_PrintUnformatted(question);
    cJSON *answer = text != NULL && look->requester != NULL
                        ? requester_ask(look->requester, text, strlen(text), 3, NULL, why)
                        : NULL;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"))) {
        entry_of(answer, &found->entry[0]);
        found->count = strcmp(found->entry[0].zone, zone) == 0 || !has_level(look, found->entry[0].zone);
    }
    free(text);
    cJSON_Delete(question);
    cJSON_Delete(answer);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

/* Why the lowest price may not be that of all 30 days: word for programs, words for people. */
enum missing { MISSING_JOURNAL, MISSING_LIST_MODE, MISSING_CHANGES, MISSING_PARENTS, MISSING_SILENCE, MISSING_COUNT };
static const struct {
    const char *word, *text;
} missing_words[MISSING_COUNT] = {
    [MISSING_JOURNAL] = { "journal", "the journal has not all of that time" },
    [MISSING_LIST_MODE] = { "list_mode", "every quote stood at list price for a part of it, see rialto changes" },
    [MISSING_CHANGES] = { "changes", "the data folder's record of changes does not tell for all of it whether quotes "
                                     "stood at list price" },
    [MISSING_PARENTS] = { "parents", "a signal declared what is around a zone, and only names are looked up" },
    [MISSING_SILENCE] = { "silence",
                          "for a part of it nobody priced, and quotes may have stood at a list price that is lower" },
};

struct answer {
    struct journal_price price;
    struct journal_lowest lowest;
    int64_t since_ms; /* when the first of all prices that were looked at began to stand */
    int64_t silent_list; /* the lowest list price in a silence; 0: not known, INT64_MAX: there was none */
    unsigned missing; /* 1 << MISSING_* */
    const char *currency, *zone, *lowest_zone;
    uint8_t decimals;
    bool explained;
    struct explain steps;
};

static void explain_entry(struct answer *a)
{
    const struct journal_entry *e = a->price.entry;
    if (a->price.known != JOURNAL_KNOWN || e == NULL || e->amount == 0 || e->list == 0)
        return;
    struct explain_made made = { .list = e->list,
                                 .floor = e->floor,
                                 .ceiling = e->ceiling,
                                 .margin = (e->guards & GUARD_MARGIN) != 0,
                                 .ending_step = e->ending_step,
                                 .ending_less = e->ending_less,
                                 .factor_count = e->factor_count };
    for (uint32_t i = 0; i < e->factor_count; i++)
        made.factor_micro[i] = e->factor[i].micro;
    a->explained = explain_made(&made, e->amount, e->guards, &a->steps) == RIALTO_OK;
}

static const char *factor_name(const struct answer *a, const struct explain_step *step)
{
    return step->op == EXPLAIN_factor ? a->price.entry->factor[step->factor].name : NULL;
}

/* Did nobody price at the time that is asked about? */
static bool is_silent(const struct look *look)
{
    for (uint32_t i = 0; i < look->silences; i++)
        if (look->silence[i].from_ms <= look->at_ms && look->at_ms < look->silence[i].to_ms)
            return true;
    return false;
}

static void print_json(const struct look *look, const struct answer *a)
{
    const struct journal_entry *e = a->price.entry;
    cJSON *all = cJSON_CreateObject();
    cJSON_AddStringToObject(all, "sku", look->sku);
    cJSON_AddStringToObject(all, "zone", a->zone);
    cJSON_AddNumberToObject(all, "at_ms", (double)look->at_ms);
    cJSON_AddStringToObject(all, "known", a->price.known == JOURNAL_MOVED ? "moved" : "exactly");
    cJSON_AddNumberToObject(all, a->price.known == JOURNAL_MOVED ? "at_least" : "baseline", (double)a->price.amount);
    cJSON_AddStringToObject(all, "currency", a->currency);
    cJSON_AddNumberToObject(all, "decimals", a->decimals);
    cJSON_AddBoolToObject(all, "silent", is_silent(look));
    if (a->explained) {
        cJSON_AddNumberToObject(all, "list", (double)e->list);
        cJSON_AddNumberToObject(all, "floor", (double)e->floor);
        cJSON_AddNumberToObject(all, "ceiling", (double)e->ceiling);
        cJSON_AddNumberToObject(all, "since_ms", (double)e->when_ms);
        cJSON_AddStringToObject(all, "model", e->model);
        cJSON_AddStringToObject(all, "version", e->version);
        cJSON *guards = cJSON_AddArrayToObject(all, "guardrails");
        for (unsigned i = 0; i < GUARD_COUNT; i++)
            if (e->guards >> i & 1u)
                cJSON_AddItemToArray(guards, cJSON_CreateString(guard_names[i]));
        cJSON *steps = cJSON_AddArrayToObject(all, "steps");
        for (uint32_t i = 0; i < a->steps.count; i++)
            cJSON_AddItemToArray(steps, explained_step_json(&a->steps.step[i], factor_name(a, &a->steps.step[i])));
    }
    cJSON *lowest = cJSON_AddObjectToObject(all, "lowest_30_days");
    cJSON_AddNumberToObject(lowest, "baseline", (double)a->lowest.amount);
    cJSON_AddNumberToObject(lowest, "since_ms", (double)a->lowest.when_ms);
    cJSON_AddStringToObject(lowest, "zone", a->lowest_zone);
    cJSON_AddBoolToObject(lowest, "complete", a->missing == 0);
    cJSON *missing = cJSON_AddArrayToObject(lowest, "missing");
    for (unsigned i = 0; i < MISSING_COUNT; i++)
        if (a->missing >> i & 1u)
            cJSON_AddItemToArray(missing, cJSON_CreateString(missing_words[i].word));
    char *text = cJSON_PrintUnformatted(all);
    printf("%s\n", text != NULL ? text : "null");
    free(text);
    cJSON_Delete(all);
}

static void print_text(const struct look *look, const struct answer *a)
{
    char money[48], clock[32];
    cli_clock_text(look->at_ms, clock);
    rialto_money_text(a->price.amount, a->currency, a->decimals, sizeof money, money);
    printf("%s in %s at %s UTC: %s%s\n", look->sku, a->zone[0] ? a->zone : "the world", clock,
           a->price.known == JOURNAL_MOVED ? "moving, never below " : "", money);
    if (a->explained) {
        cli_clock_text(a->price.entry->when_ms, clock);
        printf("  model %s %s; stood since %s UTC\n\n", a->price.entry->model, a->price.entry->version, clock);
    } else if (a->price.known == JOURNAL_KNOWN) {
        printf("  what made it is older than the journal\n");
    }
    if (is_silent(look))
        printf("  nobody priced then: quotes were stale, at list price where that is lower, or past the model's "
               "stale_limit\n");
    for (uint32_t i = 0; a->explained && i < a->steps.count; i++) {
        cli_step_of(&a->steps.step[i], factor_name(a, &a->steps.step[i]), a->decimals);
        printf("\n");
    }
    if (a->lowest.amount > 0) {
        cli_clock_text(a->lowest.when_ms, clock);
        rialto_money_text(a->lowest.amount, a->currency, a->decimals, sizeof money, money);
        const char *zone = a->lowest_zone[0] ? a->lowest_zone : "the world";
        printf("\nlowest price of the 30 days before: %s, from %s UTC%s%s\n", money, clock,
               a->lowest_zone != a->zone ? ", by the price of " : "", a->lowest_zone != a->zone ? zone : "");
        for (unsigned i = 0; i < MISSING_COUNT; i++)
            if (a->missing >> i & 1u)
                printf("  of what is known: %s\n", missing_words[i].text);
    } else {
        printf("\nno price is known of the 30 days before\n");
    }
}

/* When the first of these began to stand; INT64_MIN if something stood before it. */
static int64_t first_since(const struct journal_found *found)
{
    return found->count > 0 && found->entry[0].before == 0 ? found->entry[0].first_ms : INT64_MIN;
}

/* While nobody prices quotes go on, stale: at list price where that is lower, or past the model's stale limit. */
static void list_in_silences(const struct look *look, const struct journal_found *found, struct journal_gap of,
                             struct answer *a)
{
    for (uint32_t i = 0; i < look->silences; i++) {
        int64_t from_ms = look->silence[i].from_ms > of.from_ms ? look->silence[i].from_ms : of.from_ms;
        int64_t to_ms = look->silence[i].to_ms < of.to_ms ? look->silence[i].to_ms : of.to_ms;
        if (from_ms >= to_ms)
            continue;
        int64_t list = journal_list_lowest(found->entry, found->count, from_ms, to_ms, a->currency);
        a->silent_list = list < a->silent_list ? list : a->silent_list;
    }
}

/* The lowest in a gap of the price, whose entries are `around`. */
static void lowest_in(const struct look *look, struct journal_gap gap, const char *zone, struct answer *a)
{
    struct journal_lowest here =
        journal_lowest(look->around.entry, look->around.count, gap.from_ms, gap.to_ms, a->currency);
    a->lowest.complete &= here.complete;
    if (here.amount == 0 || (a->lowest.amount != 0 && here.amount >= a->lowest.amount))
        return;
    a->lowest.amount = here.amount;
    a->lowest.when_ms = here.when_ms;
    a->lowest_zone = zone;
}

/* While the price that answers was not there, who asked in its zone was told that of the zone around it, and while that was not there ...
 * False: it was there all along. */
static bool lowest_around(struct look *look, uint32_t level, const struct journal_found *found, struct answer *a)
{
    struct journal_gap gap[JOURNAL_GAPS_MAX], inner[JOURNAL_GAPS_MAX], before;
    before = (struct journal_gap){ look->at_ms - LOWEST_DAYS * JOURNAL_DAY_MS, look->at_ms };
    uint32_t gaps = journal_gaps(found->entry, found->count, before, gap);
    if (gaps == 0)
        return false;
    while (gaps > 0 && level++ < look->chain.count) {
        const char *zone = zone_at(look, level);
        look->around.too_many = false;
        if (!read_cell(look, zone, &look->around) || look->around.too_many) {
            a->lowest.complete = false;
            break;
        }
        if (look->around.count == 0)
            add_standing(look, zone, &look->around);
        if (look->around.count > 0 && first_since(&look->around) < a->since_ms)
            a->since_ms = first_since(&look->around);
        uint32_t left = 0;
        for (uint32_t i = 0; i < gaps && look->around.count > 0; i++) {
            struct journal_gap some[JOURNAL_GAPS_MAX];
            lowest_in(look, gap[i], zone, a);
            list_in_silences(look, &look->around, gap[i], a);
            uint32_t more = journal_gaps(look->around.entry, look->around.count, gap[i], some);
            for (uint32_t j = 0; j < more && left < JOURNAL_GAPS_MAX; j++)
                inner[left++] = some[j];
        }
        if (look->around.count == 0) /* never a price of its own */
            continue;
        memcpy(gap, inner, left * sizeof inner[0]);
        gaps = left;
    }
    return true;
}

/* Does a signal say what is around one of the zones asked about, other than their names do? As readers see it now. */
static bool parents_declared(const struct look *look)
{
    for (uint32_t i = 0; i < look->chain.count; i++) {
        union zone_image zone;
        struct rialto_key key = key_of_id(look->prices->secret, look->chain.name[i], strlen(look->chain.name[i]));
        if (!reader_zone(look->prices, key, &zone))
            continue;
        if (zone.line.ancestor_count != look->chain.count - i - 1)
            return true;
        for (uint32_t k = 0; k < zone.line.ancestor_count; k++)
            if (zone.line.ancestor_name_bytes[k] != strlen(look->chain.name[i + 1 + k]))
                return true;
    }
    return false;
}

/* What keeps the lowest price from being that of all 30 days. Where its own price stood all along, nothing around the zone answered. */
static unsigned missing_of(const struct look *look, const struct answer *a, bool around)
{
    int64_t from_ms = look->at_ms - LOWEST_DAYS * JOURNAL_DAY_MS;
    enum change_listed listed =
        change_listed(&look->cli->config, a->since_ms > from_ms ? a->since_ms : from_ms, look->at_ms);
    unsigned missing = a->lowest.complete ? 0 : 1u << MISSING_JOURNAL;
    if (listed != CHANGE_LISTED_NOT)
        missing |= 1u << (listed == CHANGE_LISTED ? MISSING_LIST_MODE : MISSING_CHANGES);
    if (around && parents_declared(look))
        missing |= 1u << MISSING_PARENTS;
    if (a->silent_list < a->lowest.amount)
        missing |= 1u << MISSING_SILENCE;
    return missing;
}

/* When nobody priced this product, one that lasts until now among them. A record that cannot be read leaves all of the time open. */
static void read_silences(struct look *look)
{
    struct rialto_key product = key_of_id(look->prices->secret, look->sku, strlen(look->sku));
    uint32_t partition = key_partition(product);
    struct silence of = { look->at_ms - LOWEST_DAYS * JOURNAL_DAY_MS, look->at_ms + 1 };
    look->silences = 0;
    if (silence_now(look->prices->folder.control, look->prices->folder.rules, partition, mono_ms(), &look->silence[0]))
        look->silences = 1;
    if (!silence_read(&look->cli->config, partition, of, &look->silences, look->silence))
        look->silence[(look->silences = 1) - 1] = of;
}

/* CLI_OK, or CLI_NO: there was no price in this zone then. Other statuses after having said why. */
static int answer_zone(struct look *look, uint32_t level, struct journal_found *found)
{
    const char *zone = zone_at(look, level);
    if (!read_cell(look, zone, found)) {
        cli_say("the price journal in Redis cannot be read");
        return CLI_UNREACHABLE;
    }
    if (found->too_many) {
        cli_say("%s: more than %u entries in the journal", look->sku, ENTRIES_MAX);
        return CLI_NO;
    }
    if (found->count == 0)
        add_standing(look, zone, found);
    static struct answer a;
    a = (struct answer){ .price = journal_price_at(found->entry, found->count, look->at_ms), .zone = zone };
    if (a.price.known == JOURNAL_NOT_KNOWN || a.price.amount == 0)
        return CLI_NO;
    a.currency = a.price.entry != NULL ? a.price.entry->currency : found->entry[0].currency;
    const struct currency *currency = currency_find(a.currency);
    a.decimals = currency != NULL ? currency->decimals : 0;
    a.lowest =
        journal_lowest(found->entry, found->count, look->at_ms - LOWEST_DAYS * JOURNAL_DAY_MS, look->at_ms, a.currency);
    a.lowest_zone = zone;
    a.since_ms = first_since(found);
    a.silent_list = INT64_MAX;
    list_in_silences(look, found, (struct journal_gap){ look->at_ms - LOWEST_DAYS * JOURNAL_DAY_MS, look->at_ms }, &a);
    bool around = lowest_around(look, level, found, &a);
    a.missing = missing_of(look, &a, around || level > 0);
    explain_entry(&a);
    if (look->cli->json)
        print_json(look, &a);
    else
        print_text(look, &a);
    return CLI_OK;
}

static int answer_sku(struct look *look, struct journal_found *found)
{
    struct zone_levels levels = { 0 };
    look->chain.count = 0;
    memcpy(levels.geohash_lengths, look->cli->config.geohash_length, sizeof levels.geohash_lengths);
    memcpy(levels.path_depths, look->cli->config.path_depth, sizeof levels.path_depths);
    if (look->zone != NULL && !zone_chain_of(&levels, look->zone, strlen(look->zone), &look->chain)) {
        cli_say("\"%s\" is not the name of a zone", look->zone);
        return CLI_USAGE;
    }
    int status = CLI_NO;
    read_silences(look);
    for (uint32_t level = 0; status == CLI_NO && !found->too_many && level <= look->chain.count; level++)
        status = answer_zone(look, level, found);
    if (status == CLI_NO && !found->too_many)
        cli_say("%s: no price is known of that time", look->sku);
    return status;
}

/* What stands now need not stand then: no price is known of a time that has not come. Told by the clock that the gateway tells time by: that of
 * readers goes in steps of some milliseconds, and the moment that was just told would still be to come. */
static bool has_come(const struct look *look)
{
    int64_t now_ms =
        mono_ms() + atomic_load_explicit(&look->prices->folder.control->clock_offset_ms, memory_order_acquire);
    if (look->at_ms <= now_ms)
        return true;
    char now[32];
    cli_clock_text(now_ms, now);
    cli_say("that time is still to come: service time is %s UTC", now);
    return false;
}

int explain_at(const struct cli *cli, const char *zone, int64_t at_ms, size_t count, char *skus[])
{
    struct look look = {
        .cli = cli, .zone = zone, .at_ms = at_ms, .link = { .config = &cli->config, .who = "explain" }
    };
    struct journal_found found = { .entry = calloc(ENTRIES_MAX, sizeof *found.entry), .room = ENTRIES_MAX };
    int result = CLI_UNREACHABLE;
    look.around = (struct journal_found){ .entry = calloc(ENTRIES_MAX, sizeof *found.entry), .room = ENTRIES_MAX };
    if (found.entry == NULL || look.around.entry == NULL) {
        cli_say("out of memory");
    } else if (cli_open_cache(cli, &look.prices) == RIALTO_OK) {
        if (!has_come(&look)) {
            result = CLI_NO;
            count = 0;
        } else if (redis_link_open(&look.link)) {
            char why[REQUEST_WHY_MAX];
            look.requester = requester_open(&(struct requester_settings){ cli->urls, cli->timeout_ms, 0 }, why);
            result = CLI_OK;
        } else {
            cli_say("Redis, where the price journal is, does not answer");
        }
    }
    for (size_t i = 0; i < count && result != CLI_UNREACHABLE; i++) {
        look.sku = skus[i];
        found.too_many = false;
        int status = strlen(skus[i]) < RIALTO_ID_MAX ? answer_sku(&look, &found) : CLI_USAGE;
        result = status > result ? status : result;
    }
    requester_close(look.requester);
    redis_link_close(&look.link);
    rialto_close(look.prices);
    free(look.around.entry);
    free(found.entry);
    return result;
}
