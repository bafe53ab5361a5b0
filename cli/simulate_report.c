/* simulate_report.c - what a simulation found: as text, as JSON, and as a page that needs nothing but itself. */
#include "cli/simulate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define CHART_WIDTH  860
#define CHART_HEIGHT 180

static double mean_of(double sum, uint64_t count)
{
    return count > 0 ? sum / (double)count : 0;
}

static double gain_of(const struct tally *tally)
{
    return tally->turnover[1] - tally->turnover[0];
}

static const char *zone_name(const struct tally *tally)
{
    return tally->name[0] != '\0' ? tally->name : "(world)";
}

/* Winners from the front, losers from the back of the products. NULL at the end of the list. */
static const struct tally *listed(const struct simulation *s, bool winners, uint32_t i)
{
    if (i >= SIMULATE_LISTED || i >= s->product_count)
        return NULL;
    const struct tally *tally = &s->product[winners ? i : s->product_count - 1 - i];
    return (winners ? gain_of(tally) > 0 : gain_of(tally) < 0) ? tally : NULL;
}

/* ---- text ----------------------------------------------------------------------------------------------------------- */

static void text_tally(const struct tally *tally)
{
    cli_column(zone_name(tally), 28, true);
    printf(" %10" PRIu64 " %8.2f%% %8.2f%% %8.2f%% %14.2f %14.2f %s\n", tally->looks,
           mean_of(tally->sum_pct, tally->looks), tally->least_pct, tally->most_pct, tally->turnover[0],
           tally->turnover[1], tally->currency);
}

static void text_tallies(const char *title, const struct tally tally[], uint32_t count)
{
    printf("\n%-28s %10s %9s %9s %9s %14s %14s\n", title, "compared", "mean", "least", "most", "turnover", "would be");
    for (uint32_t i = 0; i <= count && i <= SIMULATE_TALLIES_MAX; i++)
        if (tally[i].looks > 0 || tally[i].units > 0)
            text_tally(&tally[i]);
}

static void text_products(const struct simulation *s, bool winners)
{
    printf("\n%s\n",
           winners ? "Products that would have brought most more" : "Products that would have brought most less");
    for (uint32_t i = 0; listed(s, winners, i) != NULL; i++) {
        const struct tally *tally = listed(s, winners, i);
        printf("  ");
        cli_column(tally->name, 24, true);
        printf(" %8.2f%% %12.2f -> %12.2f %s\n", mean_of(tally->sum_pct, tally->looks), tally->turnover[0],
               tally->turnover[1], tally->currency);
    }
    if (listed(s, winners, 0) == NULL)
        printf("  none\n");
}

void simulate_text(const struct simulation *s)
{
    printf("%s against %s: %" PRIu64 " signals, %" PRIu64 " ticks, %" PRIu64 " comparisons of a price\n", s->models,
           s->against, s->signals, s->ticks, s->looks);
    printf("played: %s", s->file_count == 0 ? "the bundled data" : "");
    for (uint32_t i = 0; i < s->file_count; i++)
        printf("%s%s", i > 0 ? ", " : "", s->file[i]);
    printf("\n");
    printf("prices: mean %+.2f %%, from %+.2f %% to %+.2f %%; %" PRIu64 " higher, %" PRIu64 " lower\n",
           mean_of(s->sum_pct, s->looks), s->least_pct, s->most_pct, s->up, s->down);
    if (s->missing[0] + s->missing[1] > 0)
        printf("without a price: %" PRIu64 " times only with the new models, %" PRIu64 " times only with the others\n",
               s->missing[1], s->missing[0]);
    for (uint32_t i = 0; i < s->total_count && s->total_count > 1; i++)
        printf("prices in %s: mean %+.2f %%, from %+.2f %% to %+.2f %%\n", s->total[i].currency,
               mean_of(s->total[i].sum_pct, s->total[i].looks), s->total[i].least_pct, s->total[i].most_pct);
    for (uint32_t i = 0; i < s->total_count; i++)
        printf("turnover of %.6g recorded units: %.2f -> %.2f %s (%+.2f %%), customers' reaction left out\n",
               s->total[i].units, s->total[i].turnover[0], s->total[i].turnover[1], s->total[i].currency,
               s->total[i].turnover[0] > 0 ? (s->total[i].turnover[1] / s->total[i].turnover[0] - 1) * 100 : 0);
    printf("orders: %" PRIu64 ", %" PRIu64 " of them without a price\n", s->orders, s->unpriced);
    printf("changes of a price: %" PRIu64 " -> %" PRIu64 "; refused signals: %" PRIu64 " -> %" PRIu64 "\n",
           s->changes[0], s->changes[1], s->refused[0], s->refused[1]);
    if (s->first_refused[0] != '\0')
        printf("the first that is no signal: %s\n", s->first_refused);
    printf("guardrails began to speak:");
    for (uint32_t i = 0; i < GUARD_COUNT; i++)
        if (s->guard[0][i] + s->guard[1][i] > 0)
            printf(" %s %" PRIu64 " -> %" PRIu64, guard_names[i], s->guard[0][i], s->guard[1][i]);
    printf("\n");
    text_tallies("Category", s->category, s->category_count);
    text_tallies("Zone", s->zone, s->zone_count);
    text_products(s, true);
    text_products(s, false);
    for (uint32_t i = 0; i < s->failed_count; i++)
        printf("\nNOT PASSED: %s", s->failed[i]);
    if (s->failed_count > 0)
        printf("\n");
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

static void json_tally(const struct tally *tally, bool first)
{
    printf("%s{\"name\":", first ? "" : ",");
    cli_json_text(tally->name);
    printf(",\"currency\":\"%s\",\"compared\":%" PRIu64 ",\"up\":%" PRIu64 ",\"down\":%" PRIu64
           ",\"mean_pct\":%.9g,\"least_pct\":%.9g,\"most_pct\":%.9g,\"units\":%.9g,\"turnover\":[%.6f,%.6f]}",
           tally->currency, tally->looks, tally->up, tally->down, mean_of(tally->sum_pct, tally->looks),
           tally->least_pct, tally->most_pct, tally->units, tally->turnover[0], tally->turnover[1]);
}

static void json_tallies(const char *name, const struct tally tally[], uint32_t count)
{
    bool first = true;
    printf(",\"%s\":[", name);
    for (uint32_t i = 0; i <= count && i <= SIMULATE_TALLIES_MAX; i++) {
        if (tally[i].looks == 0 && tally[i].units <= 0)
            continue;
        json_tally(&tally[i], first);
        first = false;
    }
    printf("]");
}

static void json_products(const struct simulation *s, const char *name, bool winners)
{
    printf(",\"%s\":[", name);
    for (uint32_t i = 0; listed(s, winners, i) != NULL; i++)
        json_tally(listed(s, winners, i), i == 0);
    printf("]");
}

void simulate_json(const struct simulation *s)
{
    printf("{\"ok\":%s,\"models\":", s->failed_count == 0 ? "true" : "false");
    cli_json_text(s->models);
    printf(",\"against\":");
    cli_json_text(s->against);
    printf(",\"signal_files\":[");
    for (uint32_t i = 0; i < s->file_count; i++) {
        printf("%s", i > 0 ? "," : "");
        cli_json_text(s->file[i]);
    }
    printf("],\"bundled_data\":%s,\"signals\":%" PRIu64 ",\"ticks\":%" PRIu64 ",\"begin_ms\":%" PRId64
           ",\"end_ms\":%" PRId64 ",\"compared\":%" PRIu64 ",\"up\":%" PRIu64 ",\"down\":%" PRIu64
           ",\"mean_pct\":%.9g,\"least_pct\":%.9g,\"most_pct\":%.9g",
           s->file_count == 0 ? "true" : "false", s->signals, s->ticks, s->begin_ms, s->end_ms, s->looks, s->up,
           s->down, mean_of(s->sum_pct, s->looks), s->least_pct, s->most_pct);
    printf(",\"orders\":%" PRIu64 ",\"unpriced\":%" PRIu64 ",\"missing\":[%" PRIu64 ",%" PRIu64
           "],\"changes\":[%" PRIu64 ",%" PRIu64 "],\"refused\":[%" PRIu64 ",%" PRIu64
           "],\"customers_reaction\":\"left out\",\"guardrails\":{",
           s->orders, s->unpriced, s->missing[0], s->missing[1], s->changes[0], s->changes[1], s->refused[0],
           s->refused[1]);
    for (uint32_t i = 0; i < GUARD_COUNT; i++)
        printf("%s\"%s\":[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "", guard_names[i], s->guard[0][i], s->guard[1][i]);
    printf("}");
    json_tallies("totals", s->total, s->total_count);
    json_tallies("categories", s->category, s->category_count);
    json_tallies("zones", s->zone, s->zone_count);
    json_products(s, "winners", true);
    json_products(s, "losers", false);
    printf(",\"first_refused\":");
    cli_json_text(s->first_refused);
    printf(",\"failed\":[");
    for (uint32_t i = 0; i < s->failed_count; i++)
        printf("%s\"%s\"", i > 0 ? "," : "", s->failed[i]);
    printf("]}\n");
}

/* ---- HTML ----------------------------------------------------------------------------------------------------------- */

static void html_escape(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
    }
}

static void html_curve(FILE *out, const struct simulation *s)
{
    double low = 0, high = 0;
    for (uint32_t i = 0; i < s->point_count; i++) {
        low = fmin(low, s->point[i].pct);
        high = fmax(high, s->point[i].pct);
    }
    double span = high - low > 1e-9 ? high - low : 1;
    double from = s->point_count > 0 ? (double)s->point[0].at_ms : 0;
    double wide = s->point_count > 1 ? (double)s->point[s->point_count - 1].at_ms - from : 1;
    char begin[32] = "", end[32] = "";
    cli_clock_text(s->begin_ms, begin);
    cli_clock_text(s->end_ms, end);
    fprintf(out,
            "<h2>Mean move of all prices over time</h2><div class='wide' tabindex='0'><svg class='chart' viewBox='-60 "
            "-10 %d %d' role='img'>",
            CHART_WIDTH + 70, CHART_HEIGHT + 40);
    double zero = CHART_HEIGHT * high / span;
    fprintf(out, "<line x1='0' x2='%d' y1='%.1f' y2='%.1f' class='axis'/>", CHART_WIDTH, zero, zero);
    fprintf(out, "<polyline class='curve' points='");
    for (uint32_t i = 0; i < s->point_count; i++)
        fprintf(out, "%.1f,%.1f ", ((double)s->point[i].at_ms - from) / wide * CHART_WIDTH,
                CHART_HEIGHT * (high - s->point[i].pct) / span);
    fprintf(out, "'/><text x='-6' y='8' class='end'>%+.2f %%</text><text x='-6' y='%d' class='end'>%+.2f %%</text>",
            high, CHART_HEIGHT, low);
    fprintf(out, "<text x='0' y='%d'>%s</text><text x='%d' y='%d' class='end'>%s UTC</text></svg></div>\n",
            CHART_HEIGHT + 22, begin, CHART_WIDTH, CHART_HEIGHT + 22, end);
}

static void html_bar(FILE *out, double value, double largest)
{
    double width = largest > 0 ? fabs(value) / largest * 90 : 0;
    fprintf(out,
            "<td><svg class='bar' viewBox='-92 0 184 14'><line x1='0' x2='0' y1='0' y2='14' class='axis'/>"
            "<rect x='%.1f' y='2' width='%.1f' height='10' class='%s'/></svg></td>",
            value < 0 ? -width : 0, width, value < 0 ? "down" : "up");
}

static void html_row(FILE *out, const struct tally *tally, double shown, double largest)
{
    fprintf(out, "<tr><td>");
    html_escape(out, zone_name(tally));
    fprintf(out, "</td>");
    html_bar(out, shown, largest);
    fprintf(out, "<td>%+.2f %%</td><td>%+.2f %%</td><td>%+.2f %%</td><td>%.2f</td><td>%.2f</td><td>%s</td></tr>\n",
            mean_of(tally->sum_pct, tally->looks), tally->least_pct, tally->most_pct, tally->turnover[0],
            tally->turnover[1], tally->currency);
}

static void html_head_row(FILE *out, const char *title, const char *first, const char *bar)
{
    fprintf(out,
            "<h2>%s</h2><div class='wide' "
            "tabindex='0'><table><tr><th>%s</th><th>%s</th><th>mean</th><th>least</th><th>most</th><th>turnover</th>"
            "<th>would be</th><th></th></tr>\n",
            title, first, bar);
}

static void html_tallies(FILE *out, const char *title, const struct tally tally[], uint32_t count)
{
    double largest = 0;
    for (uint32_t i = 0; i <= count && i <= SIMULATE_TALLIES_MAX; i++)
        largest = fmax(largest, fabs(mean_of(tally[i].sum_pct, tally[i].looks)));
    html_head_row(out, title, "name", "mean move");
    for (uint32_t i = 0; i <= count && i <= SIMULATE_TALLIES_MAX; i++)
        if (tally[i].looks > 0 || tally[i].units > 0)
            html_row(out, &tally[i], mean_of(tally[i].sum_pct, tally[i].looks), largest);
    fprintf(out, "</table></div>\n");
}

static void html_products(FILE *out, const struct simulation *s, bool winners)
{
    double largest = listed(s, winners, 0) != NULL ? fabs(gain_of(listed(s, winners, 0))) : 0;
    html_head_row(out, winners ? "Would have brought most more" : "Would have brought most less", "product",
                  "turnover");
    for (uint32_t i = 0; listed(s, winners, i) != NULL; i++)
        html_row(out, listed(s, winners, i), gain_of(listed(s, winners, i)), largest);
    fprintf(out, "</table></div>\n");
}

static void html_played(FILE *out, const struct simulation *s)
{
    fprintf(out, "<p>Played: %s", s->file_count == 0 ? "the bundled data" : "");
    for (uint32_t i = 0; i < s->file_count; i++) {
        fprintf(out, "%s", i > 0 ? ", " : "");
        html_escape(out, s->file[i]);
    }
    fprintf(out, ".</p>\n");
}

static void html_summary(FILE *out, const struct simulation *s)
{
    html_played(out, s);
    fprintf(out,
            "<p>%" PRIu64 " signals, %" PRIu64 " ticks, %" PRIu64 " comparisons of a price. Prices move by %+.2f %% on "
            "average, from %+.2f %% to %+.2f %%.</p>\n",
            s->signals, s->ticks, s->looks, mean_of(s->sum_pct, s->looks), s->least_pct, s->most_pct);
    for (uint32_t i = 0; i < s->total_count && s->total_count > 1; i++)
        fprintf(out, "<p>Those in %s move by %+.2f %% on average, from %+.2f %% to %+.2f %%.</p>\n",
                s->total[i].currency, mean_of(s->total[i].sum_pct, s->total[i].looks), s->total[i].least_pct,
                s->total[i].most_pct);
    if (s->missing[0] + s->missing[1] > 0)
        fprintf(out,
                "<p>Without a price: %" PRIu64 " times only with the new models, %" PRIu64
                " times only with the others.</p>\n",
                s->missing[1], s->missing[0]);
    fprintf(out,
            "<p>Of %" PRIu64 " orders %" PRIu64 " were without a price. Prices changed %" PRIu64 " &rarr; %" PRIu64
            " times; signals refused: %" PRIu64 " &rarr; %" PRIu64 ".</p>\n",
            s->orders, s->unpriced, s->changes[0], s->changes[1], s->refused[0], s->refused[1]);
    if (s->first_refused[0] != '\0') {
        fprintf(out, "<p>The first that is no signal: ");
        html_escape(out, s->first_refused);
        fprintf(out, "</p>\n");
    }
    for (uint32_t i = 0; i < s->total_count; i++)
        fprintf(out,
                "<p>Turnover of the %.6g units that were ordered: %.2f &rarr; <b>%.2f %s</b>. How customers would have "
                "reacted to other prices is not known, and left out.</p>\n",
                s->total[i].units, s->total[i].turnover[0], s->total[i].turnover[1], s->total[i].currency);
    for (uint32_t i = 0; i < s->failed_count; i++)
        fprintf(out, "<p class='bad'>Not passed: %s</p>\n", s->failed[i]);
    fprintf(out, "<h2>Guardrails</h2><table><tr><th>began to speak</th><th>against</th><th>models</th></tr>\n");
    for (uint32_t i = 0; i < GUARD_COUNT; i++)
        fprintf(out, "<tr><td>%s</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n", guard_names[i], s->guard[0][i],
                s->guard[1][i]);
    fprintf(out, "</table>\n");
}

/* What is wider than the window scrolls by itself, so that the page is read on a telephone, too. */
static const char HTML_HEAD[] =
    "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width, "
    "initial-scale=1'><title>Simulation</title><style>"
    ":root{color-scheme:light "
    "dark;--ink:#1b2430;--soft:#5a6675;--line:#e3e7ec;--axis:#aab4c0;--paper:#fff;--curve:#1f6feb;"
    "--up:#c2570c;--down:#0b7285;--bad:#b00020}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#a3adbb;--line:#343c48;--axis:#5a6675;--paper:#"
    "14181f;"
    "--curve:#79b0ff;--up:#f0975a;--down:#4fc3d6;--bad:#ff8a95}}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:var(--ink);"
    "background:var(--paper)}h1{overflow-wrap:anywhere}.wide{overflow-x:auto}"
    "p{overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}th{text-align:right;font-weight:600;color:var(--soft)}"
    "td,th{padding:3px 8px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child{text-align:left}svg.chart{width:100%;min-width:620px}svg.bar{width:184px;height:"
    "14px}"
    "text{font-size:12px;fill:var(--soft)}.end{text-anchor:end}.axis{stroke:var(--axis)}"
    ".curve{fill:none;stroke:var(--curve);stroke-width:2}.up{fill:var(--up)}.down{fill:var(--down)}"
    ".bad{color:var(--bad);font-weight:600}</style>\n<h1>";

bool simulate_html(const struct simulation *s, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        cli_say("%s cannot be written", path);
        return false;
    }
    (void)fputs(HTML_HEAD, out);
    html_escape(out, s->models);
    fprintf(out, " against ");
    html_escape(out, s->against);
    fprintf(out, "</h1>\n");
    html_summary(out, s);
    html_curve(out, s);
    html_tallies(out, "Categories", s->category, s->category_count);
    html_tallies(out, "Zones", s->zone, s->zone_count);
    html_products(out, s, true);
    html_products(out, s, false);
    fprintf(out, "</html>\n");
    bool written = !ferror(out);
    if (fclose(out) != 0 || !written) {
        cli_say("%s cannot be written", path);
        return false;
    }
    return true;
}
