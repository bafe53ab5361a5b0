/* notice.c - `rialto notice`: the page for customers. Which data can move which prices, and by how much at most, out of the models and
 * policies that are in force; nothing on it is written by hand, so that it cannot say anything else than what the service does.
 *
 *   DATA_DIR/models/N, or a folder --model_reach()--> struct page --> text | a page of HTML that needs nothing else | JSON */
#include "cli/cli.h"
#include "pricing/model.h"
#include "pricing/money.h"
#include "pricing/reach.h"
#include "service/change.h"

#include <rialto/bindings.h>
#include <rialto/quote.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TITLE "How your data can move our prices"

enum { OWN_HTML = CLI_OWN, OWN_TITLE };

struct options {
    const char *html, *title;
};

struct notice { /* what there is to say */
    const struct model_set *set;
    const char *title;
    int64_t now_ms;
};

static const struct kind {
    uint8_t bit;
    const char *name, *what;
} kinds[] = {
    { RIALTO_KIND_LOCATION, "location", "where you are, and the store that is yours" },
    { RIALTO_KIND_BEHAVIOUR, "behaviour", "what you look at, search for and put into your cart" },
    { RIALTO_KIND_PURCHASES, "purchases", "what you bought, and how much you spent" },
    { RIALTO_KIND_PROFILE, "profile", "your loyalty tier, and groups that you belong to" },
    { RIALTO_KIND_PARTNER, "partner", "what others tell us about you" },
};
#define KINDS    (sizeof kinds / sizeof kinds[0])
#define ALL_BITS 0x1Fu
_Static_assert((RIALTO_KIND_LOCATION | RIALTO_KIND_BEHAVIOUR | RIALTO_KIND_PURCHASES | RIALTO_KIND_PROFILE |
                RIALTO_KIND_PARTNER) == ALL_BITS,
               "every kind of data is on the page");

/* Half a page would say something else than the whole. */
_Noreturn static void no_memory(void)
{
    cli_say("out of memory");
    exit(CLI_NO);
}

/* ---- a page, as text or HTML ------------------------------------------------------------------------------------------ */

struct page {
    FILE *out;
    bool html;
};

static void put(const struct page *page, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        const char *entity = !page->html ? NULL
                             : *c == '&' ? "&amp;"
                             : *c == '<' ? "&lt;"
                             : *c == '>' ? "&gt;"
                             : *c == '"' ? "&quot;"
                                         : NULL;
        if (entity != NULL)
            (void)fputs(entity, page->out);
        else
            (void)fputc(*c, page->out);
    }
}

/* One element: in HTML between tags, in text after an indent. */
__attribute__((format(printf, 4, 5))) static void line(const struct page *page, const char *tag, const char *indent,
                                                       const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) == -1)
        no_memory();
    va_end(args);
    if (page->html)
        (void)fprintf(page->out, "<%s>", tag);
    else
        (void)fputs(indent, page->out);
    put(page, text);
    if (page->html)
        (void)fprintf(page->out, "</%s>", tag);
    (void)fputc('\n', page->out);
    free(text);
}

static void heading(const struct page *page, const char *text)
{
    if (!page->html)
        (void)fputc('\n', page->out);
    line(page, "h2", "", "%s", text);
}

static void html_only(const struct page *page, const char *markup)
{
    if (page->html)
        (void)fputs(markup, page->out);
}

/* A row of a table: what, and how far. */
static void row(const struct page *page, const char *class_name, const char *name, const char *what, const char *reach)
{
    if (!page->html) {
        (void)fprintf(page->out, "  %-12s %-55s %s\n", name, what, reach);
        return;
    }
    (void)fprintf(page->out, "<tr class=\"%s\"><th>", class_name);
    put(page, name);
    (void)fputs("<small>", page->out);
    put(page, what);
    (void)fputs("</small></th><td>", page->out);
    put(page, reach);
    (void)fputs("</td></tr>\n", page->out);
}

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light "
    "dark;--ink:#1d2430;--soft:#5c6675;--line:#d9dee6;--paper:#fff;--card:#f5f7fa;--mark:#0b6b4f}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#a3adbb;--line:#343c48;--paper:#14181f;--card:#"
    "1c222b;--mark:#5fd0a8}}\n"
    "body{margin:0 auto;max-width:46rem;padding:2.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);"
    "font:17px/1.6 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem}p{margin:.4rem 0}\n"
    ".when{color:var(--soft);font-size:.9rem}section{border:1px solid "
    "var(--line);border-radius:.6rem;background:var(--card);"
    "padding:.2rem 1.1rem 1rem;margin:1.2rem 0}section h2{margin-top:.8rem}\n"
    "table{width:100%;border-collapse:collapse;margin:.6rem 0}th,td{text-align:left;vertical-align:top;padding:.5rem 0;"
    "border-top:1px solid var(--line);font-weight:400}th{padding-right:1rem}th "
    "small{display:block;color:var(--soft);font-size:.85rem}\n"
    "td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;font-weight:600}.no "
    "td{color:var(--soft);font-weight:400}\n"
    ".all th,.all td{border-top:2px solid var(--ink);font-weight:600}.all td{color:var(--mark)}\n"
    "@media(max-width:30rem){td{white-space:normal}}\n"
    "</style>\n";

/* ---- words ------------------------------------------------------------------------------------------------------------- */

/* A part of 10000 in percent, never less than it is. */
static void percent(unsigned e4, char ret[16])
{
    if (e4 % 100 == 0)
        (void)snprintf(ret, 16, "%u %%", e4 / 100);
    else
        (void)snprintf(ret, 16, "%u.%u %%", (e4 + 9) / 1000 * 10 + (e4 + 9) % 1000 / 100, (e4 + 9) % 100 / 10);
}

static void reach_text(const struct reach *reach, char *ret)
{
    char lower[16], higher[16];
    percent(10000u - reach->low, lower);
    percent(reach->high - 10000u, higher);
    if (reach->low < 10000 && reach->high > 10000)
        (void)snprintf(ret, 96, "at most %s lower, %s higher", lower, higher);
    else if (reach->low < 10000)
        (void)snprintf(ret, 96, "at most %s lower, never higher", lower);
    else if (reach->high > 10000)
        (void)snprintf(ret, 96, "at most %s higher", higher);
    else
        (void)snprintf(ret, 96, "moves no price");
}

/* One more word of a list, which is NULL at first and the caller's (free). */
static void add(char **list, const char *separator, const char *word)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s%s%s", *list != NULL ? *list : "", *list != NULL ? separator : "", word) == -1)
        no_memory();
    free(*list);
    *list = longer;
}

static const char *category_text(const char *category, char ret[96])
{
    size_t bytes = strlen(category);
    if (strcmp(category, "*") == 0)
        (void)snprintf(ret, 96, "everything");
    else if (bytes > 2 && strcmp(category + bytes - 2, "/*") == 0)
        (void)snprintf(ret, 96, "all of %.*s", (int)bytes - 2, category);
    else
        (void)snprintf(ret, 96, "%.63s", category);
    return ret;
}

/* Categories and products, places, currencies; the caller's. */
static char *scope_text(const struct model *model)
{
    char category[96], *ret = NULL;
    for (uint32_t i = 0; i < model->category_count; i++)
        add(&ret, ", ", category_text(model->category[i], category));
    for (uint32_t i = 0; i < model->sku_count; i++)
        add(&ret, ", ", model->sku[i]);
    if (ret == NULL)
        add(&ret, "", "everything");
    for (uint32_t i = 0; i < model->zone_count; i++)
        add(&ret, i == 0 ? ", in " : ", ", model->zone[i]);
    for (uint32_t i = 0; i < model->currency_count; i++)
        add(&ret, i == 0 ? ", priced in " : ", ", model->currency[i]);
    return ret;
}

static void day_text(int64_t ms, char ret[16])
{
    char clock[32];
    cli_clock_text(ms, clock);
    (void)snprintf(ret, 16, "%.10s", clock);
}

/* "zone.size_m2" as "size m2 (of the place)". */
static void add_attributes(const struct model *model, char **ret)
{
    for (uint32_t i = 0; i < model->attributes.count; i++) {
        const struct model_attribute *row = &model->attributes.row[i];
        char words[ATTRIBUTE_NAME_MAX + 32];
        if (!model_reads(model, attribute_input(i)))
            continue;
        (void)snprintf(words, sizeof words, "%s (of the %s)", strchr(row->name, '.') + 1,
                       row->of_zone ? "place" : "product");
        for (char *c = words; *c != '\0'; c++)
            if (*c == '_')
                *c = ' ';
        add(ret, ", ", words);
    }
}

/* What moves the price for everybody alike, in words of customers; the caller's, NULL for nothing. */
static char *everybody_text(const struct model *model)
{
    static const struct {
        const char *text;
        enum model_input input[9];
        unsigned count;
    } words[] = {
        { "how many people want it",
          { INPUT_demand_pressure, INPUT_views_per_day, INPUT_carts_per_day, INPUT_orders_per_day },
          4 },
        { "how much there is of it", { INPUT_available, INPUT_available_ratio, INPUT_capacity, INPUT_cover_days }, 4 },
        { "how long it keeps", { INPUT_hours_to_expiry }, 1 },
        { "the weather", { INPUT_temperature_c, INPUT_precipitation_mm_h, INPUT_wind_m_s, INPUT_humidity }, 4 },
        { "the time and the day", { INPUT_hour, INPUT_weekday, INPUT_month, INPUT_day_of_month }, 4 },
        { "prices of competitors", { INPUT_competitor_ratio, INPUT_competitor_median }, 2 },
        { "promotions", { INPUT_promotion }, 1 },
        { "its list price and what it costs us", { INPUT_list, INPUT_cost, INPUT_cost_ratio }, 3 },
        { "the place", { INPUT_zone_level, INPUT_distance_km }, 2 },
    };
    char *ret = NULL;
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        bool read = false;
        for (unsigned i = 0; i < words[w].count; i++)
            read = read || model_reads(model, words[w].input[i]);
        if (read)
            add(&ret, ", ", words[w].text);
    }
    add_attributes(model, &ret);
    return ret;
}

/* ---- sections ------------------------------------------------------------------------------------------------------------ */

static bool has_ended(const struct notice *notice, const struct model *model)
{
    return model->until_ms <= notice->now_ms;
}

/* Prices differ by place, and a customer's location says which place is theirs. */
static bool chooses_place(const struct model *model, uint8_t kind)
{
    return kind == RIALTO_KIND_LOCATION && model->zone_depth_max > 0;
}

/* What others say of tier, groups and spend counts within what these may do, for who permits both kinds. */
static bool counts_beside(const struct model *model, uint8_t kind)
{
    return kind == RIALTO_KIND_PARTNER && (model->group_reads & RIALTO_KIND_PARTNER) != 0;
}

/* Something of this kind may lead to an offer that the model makes. */
static bool leads_to_offers(const struct model *model, uint8_t kind)
{
    uint8_t kinds_read = 0;
    for (uint32_t i = 0; i < model->offer_count; i++)
        kinds_read = (uint8_t)(kinds_read | model->offer[i].kinds);
    return (kinds_read & kind) != 0;
}

/* "3 days", "1 hour": in the largest unit that says it exactly. */
static const char *span_text(uint32_t seconds, char ret[32])
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
    size_t u = 0;
    while (seconds % units[u].seconds != 0)
        u++;
    uint32_t count = seconds / units[u].seconds;
    (void)snprintf(ret, 32, "%u %s%s", count, units[u].name, count == 1 ? "" : "s");
    return ret;
}

static void discount_text(const struct model_offer *offer, char ret[96])
{
    char number[64];
    const struct currency *currency = currency_find(offer->currency);
    if (offer->kind == RIALTO_OFFER_PERCENT) {
        percent((unsigned)offer->value, number);
        (void)snprintf(ret, 96, "%.16s off", number);
        return;
    }
    (void)rialto_money_text(offer->value, offer->currency, currency != NULL ? currency->decimals : 0, sizeof number,
                            number);
    (void)snprintf(ret, 96, offer->kind == RIALTO_OFFER_FIXED ? "a price of %s" : "%s off", number);
}

static const char *did_text(unsigned event)
{
    return event == DEMAND_VIEW   ? "look at a product"
           : event == DEMAND_CART ? "put a product into your cart"
                                  : "order a product";
}

static const char *did_not_text(unsigned event)
{
    return event == DEMAND_VIEW   ? "do not look at it"
           : event == DEMAND_CART ? "do not put it into your cart"
                                  : "do not order it";
}

/* What may lead to an offer that the model makes, what it is, and how many there are at most. */
static void write_offer(const struct page *page, const struct model_offer *offer)
{
    char within[32], discount[96], lives[32], per[32], times[32] = "", *rests = NULL;
    for (size_t k = 0; k < KINDS; k++)
        if (offer->kinds & kinds[k].bit)
            add(&rests, " and ", kinds[k].name);
    if (offer->times > 1)
        (void)snprintf(times, sizeof times, " %u times", offer->times);
    discount_text(offer, discount);
    line(page, "p", "  ",
         "If you %s%s within %s%s%s, you may be offered %s for %s%s. It rests on your %s, and only if you permit that. "
         "At most %u such "
         "offer%s in %s.",
         did_text(offer->event), times, span_text(offer->within_s, within), offer->has_unless ? " and " : "",
         offer->has_unless ? did_not_text(offer->unless) : "", discount, span_text(offer->valid_s, lives),
         offer->stackable && offer->kind != RIALTO_OFFER_FIXED ? ", off your own price" : "", rests,
         offer->customer_offers, offer->customer_offers == 1 ? "" : "s", span_text(offer->customer_per_s, per));
    free(rests);
}

static void write_kind(const struct page *page, const struct notice *notice, const struct model *model,
                       const struct kind *kind)
{
    char text[96];
    struct reach reach = model_reach(notice->set, model, kind->bit, false, notice->now_ms);
    bool place = chooses_place(model, kind->bit), beside = counts_beside(model, kind->bit);
    if (reach.kinds == 0)
        (void)snprintf(text, sizeof text, "%s",
                       place    ? "chooses the place"
                       : beside ? "counts as one of the others, never beyond"
                                : "not used");
    else if (reach.low == 10000 && reach.high == 10000)
        (void)snprintf(text, sizeof text, "read, moves no price");
    else
        reach_text(&reach, text);
    char *said = NULL;
    add(&said, "", text);
    if (reach.kinds != 0 && place)
        add(&said, "; ", "chooses the place");
    if (leads_to_offers(model, kind->bit) && reach.kinds == 0 && !place && !beside) {
        free(said);
        said = NULL;
        add(&said, "", "may lead to offers, below");
    } else if (leads_to_offers(model, kind->bit)) {
        add(&said, "; ", "may lead to offers, below");
    }
    row(page, reach.kinds != 0 || place || beside || leads_to_offers(model, kind->bit) ? "yes" : "no", kind->name,
        kind->what, said);
    free(said);
}

static void write_model(const struct page *page, const struct notice *notice, const struct model *model)
{
    char reached[96], low[16], high[16], day[16];
    char *scope = scope_text(model), *follows = everybody_text(model);
    html_only(page, "<section>");
    heading(page, scope);
    if (model->from_ms > notice->now_ms) {
        day_text(model->from_ms, day);
        line(page, "p", "  ", "From %s on.", day);
    }
    html_only(page, "<table>\n");
    for (size_t k = 0; k < KINDS; k++)
        write_kind(page, notice, model, &kinds[k]);
    struct reach all = model_reach(notice->set, model, ALL_BITS, false, notice->now_ms);
    reach_text(&all, reached);
    row(page, "all", "together", "everything that you permit", reached);
    html_only(page, "</table>\n");
    for (uint32_t i = 0; i < model->offer_count; i++)
        write_offer(page, &model->offer[i]);
    percent((unsigned)((model->guard.floor_micro + 99) / 100), low);
    percent((unsigned)((model->guard.ceiling_micro + 99) / 100), high);
    line(page, "p", "  ", "The price for everybody lies between %s and %s of the list price%s%s.", low, high,
         follows != NULL ? ". It follows " : "", follows != NULL ? follows : "");
    html_only(page, "</section>\n");
    free(scope);
    free(follows);
}

static void write_policy(const struct page *page, const struct policy *policy)
{
    char day[16];
    char *regions = NULL, *unmoved = NULL, *capped = NULL;
    for (uint32_t i = 0; i < policy->region_count; i++)
        add(&regions, ", ", policy->region[i]);
    html_only(page, "<section>");
    heading(page, regions != NULL ? regions : "");
    line(page, "p", "  ", "%s (%s)", policy->about, policy->name);
    if (policy->from_ms != INT64_MIN) {
        day_text(policy->from_ms, day);
        line(page, "p", "  ", "From %s on.", day);
    }
    if (policy->until_ms != INT64_MAX) {
        day_text(policy->until_ms - 1, day);
        line(page, "p", "  ", "Until %s.", day);
    }
    if (policy->notice[0] != '\0')
        line(page, "p", "  ", "%s (%s)", policy->notice, policy->notice_citation);
    if (policy->disclosure_code != 0)
        line(page, "p", "  ", "Beside every price for which your data were read you see: \"%s\" (%s)",
             policy->disclosure_text, policy->disclosure_citation);
    for (size_t k = 0; k < KINDS; k++)
        if (policy->forbidden & kinds[k].bit)
            add(&unmoved, ", ", kinds[k].name);
    if (unmoved != NULL)
        line(page, "p", "  ", "Moves no price there: %s (%s)", unmoved, policy->forbidden_citation);
    for (uint32_t i = 0; i < policy->never_above_count; i++)
        add(&capped, ", ", policy->never_above[i]);
    if (capped != NULL)
        line(page, "p", "  ", "Your data lift no price of %s above the price for everybody (%s)", capped,
             policy->never_above_citation);
    if (policy->rise_micro >= 0) {
        char rise[16];
        percent((unsigned)((policy->rise_micro + 99) / 100), rise);
        line(page, "p", "  ", "No price rises by more than %s over the one before that time (%s)", rise,
             policy->rise_citation);
    }
    if (policy->prior_days != 0)
        line(page, "p", "  ", "Beside an announced reduction stands the lowest price of the %u days before (%s)",
             policy->prior_days, policy->prior_citation);
    html_only(page, "</section>\n");
    free(regions);
    free(unmoved);
    free(capped);
}

static bool holds_or_will(const struct notice *notice, const struct policy *policy)
{
    return policy->status == POLICY_IN_FORCE && policy->until_ms > notice->now_ms;
}

static void write_rights(const struct page *page)
{
    line(page, "p", "",
         "None of your data moves a price until you permit that kind of data. Without your permission, and for "
         "everybody who does not log in, the price is "
         "the one for everybody, and no more.");
    line(page, "p", "",
         "You can permit each kind by itself and take it back at any time: from then on it moves nothing, and what we "
         "kept of it is erased.");
    line(page, "p", "",
         "Every price that you are shown carries the price for everybody beside it, which way yours lies from it, and "
         "which of your data were read.");
    line(page, "p", "",
         "A personal offer, where we make you one, is said to be one, and what it rests on. It stays within the lowest "
         "and the highest price below. "
         "A price that we promised you holds until the time that we named.");
    line(page, "p", "",
         "Where prices differ by place, your location chooses the place whose price for everybody you see. What "
         "anybody looks at "
         "or buys counts as demand for everybody, whoever it was.");
    line(page, "p", "", "Percentages are of the price for everybody, before it is rounded to an amount.");
}

static void write_page(const struct page *page, const struct notice *notice)
{
    char clock[32];
    bool regions = false;
    if (page->html) {
        (void)fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                    "content=\"width=device-width\">\n",
                    page->out);
        line(page, "title", "", "%s", notice->title);
        (void)fputs(style, page->out);
    }
    line(page, "h1", "", "%s", notice->title);
    cli_clock_text(notice->now_ms, clock);
    html_only(page, "<div class=\"when\">");
    line(page, "p", "", "Written from the prices in force at %s UTC.", clock);
    html_only(page, "</div>\n");
    if (!page->html)
        (void)fputc('\n', page->out);
    write_rights(page);
    for (uint32_t i = 0; i < notice->set->count; i++)
        if (!has_ended(notice, &notice->set->model[i]))
            write_model(page, notice, &notice->set->model[i]);
    for (uint32_t i = 0; i < notice->set->policies.count; i++) {
        const struct policy *policy = &notice->set->policies.policy[i];
        if (!holds_or_will(notice, policy))
            continue;
        if (!regions)
            heading(page, "By region");
        regions = true;
        write_policy(page, policy);
    }
    html_only(page, "</html>\n");
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */

static void add_reach(cJSON *object, const char *name, const struct reach *reach)
{
    cJSON *item = cJSON_AddObjectToObject(object, name);
    cJSON_AddBoolToObject(item, "read", reach->kinds != 0);
    cJSON_AddNumberToObject(item, "lowest", reach->low / 1e4);
    cJSON_AddNumberToObject(item, "highest", reach->high / 1e4);
}

static void add_offers(cJSON *item, const struct model *model)
{
    cJSON *list = cJSON_AddArrayToObject(item, "offers");
    for (uint32_t i = 0; i < model->offer_count; i++) {
        const struct model_offer *offer = &model->offer[i];
        char text[96];
        cJSON *one = cJSON_CreateObject();
        discount_text(offer, text);
        cJSON_AddStringToObject(one, "offer", offer->name);
        cJSON_AddStringToObject(one, "discount", text);
        cJSON *rests = cJSON_AddArrayToObject(one, "rests_on");
        for (size_t k = 0; k < KINDS; k++)
            if (offer->kinds & kinds[k].bit)
                cJSON_AddItemToArray(rests, cJSON_CreateString(kinds[k].name));
        cJSON_AddStringToObject(one, "event", model_offer_event((enum demand_event)offer->event));
        cJSON_AddNumberToObject(one, "times", offer->times);
        cJSON_AddNumberToObject(one, "within_s", offer->within_s);
        if (offer->has_unless)
            cJSON_AddStringToObject(one, "unless", model_offer_event((enum demand_event)offer->unless));
        cJSON_AddNumberToObject(one, "valid_for_s", offer->valid_s);
        cJSON_AddNumberToObject(one, "per_customer", offer->customer_offers);
        cJSON_AddNumberToObject(one, "per_s", offer->customer_per_s);
        cJSON_AddItemToArray(list, one);
    }
}

static void print_json(const struct notice *notice)
{
    cJSON *all = cJSON_CreateObject();
    cJSON_AddNumberToObject(all, "at_ms", (double)notice->now_ms);
    cJSON *models = cJSON_AddArrayToObject(all, "models");
    for (uint32_t i = 0; i < notice->set->count; i++) {
        const struct model *model = &notice->set->model[i];
        if (has_ended(notice, model))
            continue;
        char *scope = scope_text(model);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(models, item);
        cJSON_AddStringToObject(item, "model", model->name);
        cJSON_AddStringToObject(item, "version", model->version);
        cJSON_AddStringToObject(item, "prices", scope);
        free(scope);
        cJSON_AddNumberToObject(item, "floor", (double)model->guard.floor_micro / 1e6);
        cJSON_AddNumberToObject(item, "ceiling", (double)model->guard.ceiling_micro / 1e6);
        add_offers(item, model);
        for (size_t k = 0; k <= KINDS; k++) {
            struct reach reach =
                model_reach(notice->set, model, k < KINDS ? kinds[k].bit : ALL_BITS, false, notice->now_ms);
            add_reach(item, k < KINDS ? kinds[k].name : "together", &reach);
            if (k < KINDS && chooses_place(model, kinds[k].bit))
                cJSON_AddTrueToObject(cJSON_GetObjectItemCaseSensitive(item, kinds[k].name), "chooses_place");
        }
    }
    cJSON *policies = cJSON_AddArrayToObject(all, "policies");
    for (uint32_t i = 0; i < notice->set->policies.count; i++)
        if (holds_or_will(notice, &notice->set->policies.policy[i]))
            cJSON_AddItemToArray(policies, cJSON_CreateString(notice->set->policies.policy[i].name));
    char *text = cJSON_PrintUnformatted(all);
    printf("%s\n", text != NULL ? text : "null");
    free(text);
    cJSON_Delete(all);
}

/* ---- the command --------------------------------------------------------------------------------------------------------- */

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    if (option == OWN_HTML)
        options->html = argument;
    else
        options->title = argument;
    return true;
}

/* The models in force, or of a folder. NULL after having said why. */
static struct model_set *load(const struct cli *cli, const char *folder, int *ret_status)
{
    char live[DATA_PATH_MAX];
    static struct change change;
    struct fault fault = { 0 };
    struct model_set *set = NULL;
    *ret_status = CLI_BAD_FILE;
    if (folder == NULL) {
        if (change_load(&cli->config, &change) != RIALTO_OK) {
            cli_say("%s: no models are in force there (--set data_dir=..., --config, or name a folder of models)",
                    cli->config.data_dir);
            *ret_status = CLI_UNREACHABLE;
            return NULL;
        }
        change_models_path(&cli->config, change.models, live);
        folder = live;
    }
    if (model_set_load(folder, &set, &fault) != RIALTO_OK) {
        cli_fault(&fault);
        return NULL;
    }
    return set;
}

static bool write_html(const char *file, const struct notice *notice)
{
    FILE *out = strcmp(file, "-") == 0 ? stdout : fopen(file, "w");
    if (out != NULL)
        write_page(&(struct page){ out, true }, notice);
    bool good = out != NULL && !ferror(out);
    if (out != NULL && out != stdout)
        good = fclose(out) == 0 && good;
    if (!good)
        cli_say("%s: %s", file, strerror(errno));
    return good;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "html", required_argument, NULL, OWN_HTML },
                                         { "title", required_argument, NULL, OWN_TITLE },
                                         { 0 } };
    struct options options = { .title = TITLE };
    struct timespec now;
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (argc - optind > 1)
        return CLI_USAGE;
    struct model_set *set = load(cli, argv[optind], &status); /* argv ends with NULL */
    if (set == NULL)
        return status;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct notice notice = { .set = set, .title = options.title, .now_ms = (int64_t)now.tv_sec * 1000 };
    status = CLI_OK;
    if (options.html != NULL)
        status = write_html(options.html, &notice) ? CLI_OK : CLI_NO;
    else if (cli->json)
        print_json(&notice);
    else
        write_page(&(struct page){ stdout, false }, &notice);
    model_set_free(set);
    return status;
}

const struct cli_command cli_notice = {
    .name = "notice",
    .usage = "notice [OPTIONS] [FOLDER]",
    .summary = "the page for customers: which data can move which prices, and how far",
    .help = "Writes the page out of the models and policies in force (in the service's data folder), or out of those "
            "of a folder. All percentages "
            "are\nupper limits that follow from the models alone; a test holds them against quotes. Policies that are "
            "drafts, uncertain or off are "
            "not on it.\nIt is no legal advice: have it read before it is put up.\n"
            "\n"
            "  --html FILE         as a page of HTML that needs no other file; - is standard output\n"
            "  --title TEXT        its headline\n"
            "\n"
            "  rialto notice models\n"
            "  rialto notice --set data_dir=run --html notice.html --title \"How your data can move prices at Corner "
            "Shop\"\n",
    .run = run,
};
