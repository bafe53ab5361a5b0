/* try.c - rialto try: one model file as a pocket calculator. Inputs are said on the command line, nothing else is known. */
#include "cli/cli.h"
#include "cli/picture.h"
#include "pricing/explain.h"
#include "pricing/guardrails.h"
#include "pricing/json_text.h"
#include "pricing/local_clock.h"
#include "pricing/money.h"
#include "pricing/quote.h"
#include "service/explained.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS        INT64_C(86400000)
#define MINUTE_MS     INT64_C(60000)
#define NOON_MS       INT64_C(1767787200000) /* of Wednesday, 7 January 2026 */
#define LIST          1000
#define TRY_SPEND_MAX 1e9
#define MANY_EVENTS_MICRO (INT64_C(100000000) * MICRO) /* a hundred times the largest prior */

struct attempt {
    const struct model *model;
    struct price_inputs in;
    struct terms_inputs terms;
    char zone[RIALTO_ZONE_LEVELS - 1][RIALTO_ID_MAX];
    const char *zone_name, *picture, *over;
    double from, to, spend, month_spend, affinity;
    int64_t published, published_minutes;
    bool good;
};

enum own_option {
    OPTION_LIST = CLI_OWN,
    OPTION_COST,
    OPTION_AT,
    OPTION_ZONE,
    OPTION_CATEGORY,
    OPTION_TIER,
    OPTION_SEGMENT,
    OPTION_SPEND,
    OPTION_MONTH_SPEND,
    OPTION_AFFINITY,
    OPTION_PUBLISHED,
    OPTION_MINUTES,
    OPTION_PICTURE,
    OPTION_OVER,
    OPTION_FROM,
    OPTION_TO
};

/* ---- options ------------------------------------------------------------------------------------------------------ */

static bool take_amount(const char *option, const char *text, double low, int64_t *ret)
{
    double value;
    if (!cli_number(option, text, low, (double)RIALTO_BOUND_MAX, &value))
        return false;
    if (value != floor(value))
        cli_say("%s is a whole number of minor units, such as 999 for 9.99, not \"%s\"", option, text);
    *ret = (int64_t)value;
    return value == floor(value);
}

static bool take_real(const char *option, const char *text, double *ret)
{
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    if (errno == 0 && end != text && *end == '\0' && isfinite(*ret) && fabs(*ret) <= TRY_SPEND_MAX)
        return true;
    cli_say("%s: \"%.40s\" is no number up to a billion", option, text);
    return false;
}

static bool take_share(const char *option, const char *text, double *ret)
{
    if (!take_real(option, text, ret))
        return false;
    if (*ret >= 0 && *ret <= 1)
        return true;
    cli_say("%s: from 0 to 1", option);
    return false;
}

/* "2026-11-28 23:00", on the model's own clock. */
static bool take_time(const char *text, int64_t *ret)
{
    int year, month, day, hour, minute, end = 0;
    int32_t days = INT32_MIN;
    if (sscanf(text, "%4d-%2d-%2d%*1[ T]%2d:%2d%n", &year, &month, &day, &hour, &minute, &end) == 5 &&
        text[end] == '\0' && hour >= 0 && hour < 24 && minute >= 0 && minute < 60)
        days = date_days(year, month, day);
    if (days == INT32_MIN)
        cli_say("--at: expected a time such as 2026-11-28T23:00");
    else
        *ret = days * DAY_MS + (hour * 60 + minute) * MINUTE_MS;
    return days != INT32_MIN;
}

static bool take_name(const char *option, const char *text, size_t room, char *ret)
{
    if (strlen(text) < room) {
        memcpy(ret, text, strlen(text) + 1);
        return true;
    }
    cli_say("%s: at most %zu bytes", option, room - 1);
    return false;
}

static bool take_segment(struct attempt *a, const char *text)
{
    if (a->terms.segment_count == TERMS_SEGMENTS_MAX) {
        cli_say("--segment: at most %u", TERMS_SEGMENTS_MAX);
        return false;
    }
    return take_name("--segment", text, RIALTO_NAME_MAX, a->terms.segment[a->terms.segment_count++]);
}

static bool take(void *user, int option, const char *text)
{
    struct attempt *a = user;
    double minutes;
    switch ((enum own_option)option) {
    case OPTION_LIST: return take_amount("--list", text, 1, &a->in.list);
    case OPTION_COST: return take_amount("--cost", text, 0, &a->in.cost);
    case OPTION_AT: return take_time(text, &a->in.local_ms);
    case OPTION_ZONE: a->zone_name = text; return true;
    case OPTION_CATEGORY: a->in.category = text; return true;
    case OPTION_TIER: return take_name("--tier", text, sizeof a->terms.tier, a->terms.tier);
    case OPTION_SEGMENT: return take_segment(a, text);
    case OPTION_SPEND: return take_real("--spend", text, &a->spend);
    case OPTION_MONTH_SPEND: return take_real("--month-spend", text, &a->month_spend);
    case OPTION_AFFINITY: return take_share("--affinity", text, &a->affinity);
    case OPTION_PUBLISHED: return take_amount("--published", text, 1, &a->published);
    case OPTION_MINUTES:
        if (!cli_number("--minutes", text, 0, 1e6, &minutes))
            return false;
        a->published_minutes = (int64_t)minutes;
        return true;
    case OPTION_PICTURE: a->picture = text; return true;
    case OPTION_OVER: a->over = text; return true;
    case OPTION_FROM: return take_real("--from", text, &a->from);
    case OPTION_TO: return take_real("--to", text, &a->to);
    }
    return false;
}

/* ---- inputs ---------------------------------------------------------------------------------------------------------- */

static void say(struct attempt *a, enum model_input input, int64_t micro)
{
    struct model_input_row row = model_input_row(&a->model->attributes, input);
    a->in.input_micro[input] = clamp_i64(micro, row.low, row.high);
    a->in.present |= UINT64_C(1) << input;
}

static bool has(const struct attempt *a, enum model_input input)
{
    return a->in.present >> input & 1u;
}

/* "available=12" */
static bool take_input(struct attempt *a, const char *text)
{
    char name[ATTRIBUTE_NAME_MAX + 8];
    const char *equals = strchr(text, '=');
    double value;
    if (equals == NULL || (size_t)(equals - text) >= sizeof name) {
        cli_say("\"%.40s\": expected INPUT=VALUE", text);
        return false;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    enum model_input input = model_input_find(&a->model->attributes, name);
    if (input == INPUT_NONE) {
        cli_say("there is no input \"%s\"; `rialto check --inputs` lists them, and the model its attributes", name);
        return false;
    }
    if (!take_real(name, equals + 1, &value))
        return false;
    say(a, input, llround(value * (double)MICRO));
    return true;
}

/* What a worker knows without being told: the clock, money, rates of nothing, and what follows from others. */
static void say_the_rest(struct attempt *a)
{
    int64_t of_day, unit = MICRO;
    int year, month, day;
    if (has(a, INPUT_hour))
        a->in.local_ms = a->in.local_ms / DAY_MS * DAY_MS + a->in.input_micro[INPUT_hour] * 36 / 10;
    of_day = a->in.local_ms % DAY_MS;
    date_split((int32_t)(a->in.local_ms / DAY_MS), &year, &month, &day);
    const struct currency *currency = currency_find(a->model->currency[0]);
    for (unsigned i = 0; i < currency->decimals; i++)
        unit /= 10;
    const struct {
        enum model_input input;
        bool known;
        int64_t micro;
    } rest[] = {
        { INPUT_hour, true, (int64_t)div_half_even((int128)of_day * 24 * MICRO, DAY_MS) },
        { INPUT_weekday, true, ((a->in.local_ms / DAY_MS + 3) % 7 + 1) * MICRO },
        { INPUT_month, true, month * MICRO },
        { INPUT_day_of_month, true, day * MICRO },
        { INPUT_views_per_day, true, 0 },
        { INPUT_carts_per_day, true, 0 },
        { INPUT_orders_per_day, true, 0 },
        { INPUT_list, true, clamp_i64(a->in.list, 0, INT64_MAX / MICRO) * unit },
        { INPUT_cost, a->in.cost >= 0, clamp_i64(a->in.cost, 0, INT64_MAX / MICRO) * unit },
        { INPUT_cost_ratio, a->in.cost >= 0, (int64_t)div_half_even((int128)a->in.cost * MICRO, a->in.list) },
        { INPUT_zone_level, true, a->in.zone_count * MICRO },
    };
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        if (rest[i].known && !has(a, rest[i].input))
            say(a, rest[i].input, rest[i].micro);
    int64_t orders = a->in.input_micro[INPUT_orders_per_day], cover;
    if (!has(a, INPUT_cover_days) && has(a, INPUT_available) && orders > 0 &&
        mul_div_half_even(a->in.input_micro[INPUT_available], MICRO, orders, &cover))
        say(a, INPUT_cover_days, cover);
    model_state_attributes(a->model, &a->in);
    a->in.now_ms = a->in.local_ms;
}

/* "c1/s25": itself, and what its name says lies around it. */
static bool say_zone(struct attempt *a)
{
    char name[RIALTO_ID_MAX];
    if (a->zone_name == NULL)
        return true;
    if (!take_name("--zone", a->zone_name, sizeof name, name))
        return false;
    for (char *slash = name; slash != NULL && a->in.zone_count < RIALTO_ZONE_LEVELS - 1;) {
        memcpy(a->zone[a->in.zone_count++], name, sizeof name);
        slash = strrchr(name, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    a->in.zone = (const char(*)[RIALTO_ID_MAX])a->zone;
    memcpy(a->terms.zone, a->zone, sizeof a->zone);
    a->terms.zone_count = a->in.zone_count;
    return true;
}

static void say_published(struct attempt *a)
{
    a->in.published = a->published;
    a->in.published_list = a->in.list;
    a->in.changed_ms = a->in.now_ms - a->published_minutes * MINUTE_MS;
    a->in.reference = 0;
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

struct answer {
    struct price_result result;
    bool known[MODEL_FACTORS_MAX];
    int64_t multiplier_e4, amount;
    struct explain steps;
    uint32_t baseline_steps; /* the first of them lead to the baseline */
};

/* So much of so many events that the prior makes out the rest. */
static void say_affinity(struct attempt *a)
{
    const int64_t all = MANY_EVENTS_MICRO - a->model->affinity.prior_micro;
    int64_t *micro = a->terms.affinity.micro[AFFINITY_BEHAVIOUR];
    int64_t here = llround(a->affinity * (double)MANY_EVENTS_MICRO);
    if (a->affinity < 0)
        return;
    micro[a->model->group] = here < all ? here : all;
    micro[AFFINITY_ELSEWHERE] = all - micro[a->model->group];
}

/* The lines that a service would publish of it, quoted as it would quote them. */
static void quote(const struct model *model, struct answer *answer)
{
    const struct price_result *r = &answer->result;
    bool never_above = model_personal_never_above(model, r->baseline, r->floor, r->ceiling);
    const struct rialto_cell_line cell = {
        .baseline = r->baseline,
        .list = answer->steps.step[0].minor,
        .lo_product = (uint64_t)model_personal_floor(model, r->baseline, r->floor, r->ceiling),
        .hi_place = (uint64_t)r->ceiling,
        .group = model->group,
        .flags = never_above ? RIALTO_CELL_NEVER_ABOVE : 0,
    };
    const struct rialto_rule_row rule = { .ending_step = model->ending_step, .ending_less = model->ending_less };
    struct rialto_terms_line terms = { .consent = UINT8_MAX };
    terms.multiplier_e4[model->group] = (uint16_t)answer->multiplier_e4;
    const struct quote_inputs in = { .cell = &cell, .rule = &rule, .terms = &terms, .now_ms = NOON_MS };
    answer->baseline_steps = answer->steps.count;
    explain_quote(&in, &answer->steps);
    answer->amount = answer->steps.step[answer->steps.count - 1].minor;
}

/* All data that were said are permitted. */
static void personal(struct attempt *a, struct answer *answer)
{
    struct terms_row row[MODEL_PERSONAL_MAX];
    const struct model *model = a->model;
    int64_t product = MICRO;
    a->terms.consent = UINT8_MAX;
    a->terms.now_ms = a->in.now_ms;
    a->terms.spend_micro = (int64_t)llround(a->spend * (double)MICRO);
    memcpy(a->terms.spend_currency, a->spend > 0 ? model->currency[0] : "", a->spend > 0 ? 4 : 1);
    a->terms.month_micro = (int64_t)llround(a->month_spend * (double)MICRO);
    memcpy(a->terms.month_currency, a->month_spend > 0 ? model->currency[0] : "", a->month_spend > 0 ? 4 : 1);
    say_affinity(a);
    model_terms_rows(model, &a->terms, row);
    if (model->personal_count > 0)
        product = clamp_i64(row[model->personal_count - 1].product_micro, model->guard.personal_low_micro,
                            model->guard.personal_high_micro);
    answer->multiplier_e4 = (int64_t)div_half_even(product, 100);
    quote(model, answer);
}

static bool compute(struct attempt *a, struct answer *answer)
{
    for (uint32_t i = 0; i < a->model->factor_count; i++)
        (void)model_factor_value(a->model, &a->model->factor[i], &a->in, &answer->known[i]);
    const struct price_result *r = &answer->result;
    if (model_price(a->model, &a->in, &answer->result) != RIALTO_OK ||
        explain_baseline(a->model, &a->in, r->baseline, r->guards, &answer->steps) != RIALTO_OK) {
        cli_say("that is no amount of money any more");
        return false;
    }
    personal(a, answer);
    return true;
}

static const char *factor_of(const struct attempt *a, const struct explain_step *step)
{
    return step->op == EXPLAIN_factor ? a->model->factor[step->factor].name : NULL;
}

static void print_steps(const struct attempt *a, const struct answer *answer, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct explain_step *step = &answer->steps.step[i];
        cli_step_of(step, factor_of(a, step), 0);
        if (step->op == EXPLAIN_factor)
            printf("%s%s", model_form_key(a->model->factor[step->factor].form),
                   answer->known[step->factor] ? "" : ": does not speak");
        printf("\n");
    }
}

static void print_text(const struct attempt *a, const struct answer *answer)
{
    print_steps(a, answer, 0, answer->baseline_steps);
    cli_step_total("= baseline", answer->result.baseline, 0);
    printf("what anybody without personal data in play pays\n");
    print_steps(a, answer, answer->baseline_steps, answer->steps.count);
    cli_step_total("= amount", answer->amount, 0);
    printf("minor units of %s\n", a->model->currency[0]);
}

static void print_json_steps(const struct attempt *a, const struct answer *answer)
{
    for (uint32_t i = 0; i < answer->steps.count; i++) {
        const struct explain_step *step = &answer->steps.step[i];
        cJSON *item = explained_step_json(step, factor_of(a, step));
        char *text = cJSON_PrintUnformatted(item);
        printf("%s%s", i > 0 ? "," : "", text != NULL ? text : "null");
        free(text);
        cJSON_Delete(item);
    }
}

static void print_json(const struct attempt *a, const struct answer *answer)
{
    printf("{\"list\":%lld,\"factors\":[", (long long)a->in.list);
    for (uint32_t i = 0; i < a->model->factor_count; i++) {
        printf("%s{\"name\":", i > 0 ? "," : "");
        cli_json_text(a->model->factor[i].name);
        printf(",\"times\":%.6f,\"speaks\":%s}", (double)answer->result.factor_micro[i] / (double)MICRO,
               answer->known[i] ? "true" : "false");
    }
    printf("],\"guardrails\":[");
    const char *comma = "";
    for (unsigned i = 0; i < GUARD_COUNT; i++) {
        if (answer->result.guards >> i & 1u) {
            printf("%s\"%s\"", comma, guard_names[i]);
            comma = ",";
        }
    }
    printf("],\"steps\":[");
    print_json_steps(a, answer);
    printf("],\"baseline\":%lld,\"multiplier\":%.4f,\"amount\":%lld}\n", (long long)answer->result.baseline,
           (double)answer->multiplier_e4 / 10000, (long long)answer->amount);
}

/* ---- pictures -------------------------------------------------------------------------------------------------------- */

static const struct model_factor *factor_named(const struct model *model, const char *name)
{
    for (uint32_t i = 0; i < model->factor_count; i++)
        if (strcmp(model->factor[i].name, name) == 0)
            return &model->factor[i];
    cli_say("the model has no factor \"%s\"", name);
    return NULL;
}

static int draw(const struct attempt *a)
{
    struct picture picture = { .model = a->model,
                               .factor = factor_named(a->model, a->picture),
                               .in = a->in,
                               .over = INPUT_NONE,
                               .from = a->from,
                               .to = a->to };
    if (picture.factor == NULL)
        return CLI_NO;
    if (picture.factor->form != FACTOR_CATEGORY && picture.factor->form != FACTOR_ZONE) {
        const struct model_attributes *own = &a->model->attributes;
        picture.over = a->over != NULL ? model_input_find(own, a->over) : picture.factor->input;
        if (picture.over == INPUT_NONE || a->from >= a->to) {
            cli_say("a picture needs --over INPUT --from X --to Y, with X below Y");
            return CLI_USAGE;
        }
    }
    picture_print(&picture, stdout);
    return CLI_OK;
}

/* ---- the command ------------------------------------------------------------------------------------------------------- */

static int load(const char *path, struct model *model)
{
    struct fault fault;
    char *text;
    size_t bytes;
    enum rialto_status status = file_read(path, &text, &bytes, &fault);
    if (status == RIALTO_OK) {
        status = model_parse(text, bytes, path, model, &fault);
        free(text);
    }
    if (status == RIALTO_OK)
        return CLI_OK;
    cli_fault(&fault);
    return CLI_BAD_FILE;
}

static int answer_attempt(const struct cli *cli, struct attempt *a)
{
    struct answer answer = { .amount = 0 };
    if (a->picture != NULL)
        return draw(a);
    if (!compute(a, &answer))
        return CLI_NO;
    if (cli->json)
        print_json(a, &answer);
    else
        print_text(a, &answer);
    return CLI_OK;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "list", required_argument, NULL, OPTION_LIST },
                                         { "cost", required_argument, NULL, OPTION_COST },
                                         { "at", required_argument, NULL, OPTION_AT },
                                         { "zone", required_argument, NULL, OPTION_ZONE },
                                         { "category", required_argument, NULL, OPTION_CATEGORY },
                                         { "tier", required_argument, NULL, OPTION_TIER },
                                         { "segment", required_argument, NULL, OPTION_SEGMENT },
                                         { "spend", required_argument, NULL, OPTION_SPEND },
                                         { "month-spend", required_argument, NULL, OPTION_MONTH_SPEND },
                                         { "affinity", required_argument, NULL, OPTION_AFFINITY },
                                         { "published", required_argument, NULL, OPTION_PUBLISHED },
                                         { "minutes", required_argument, NULL, OPTION_MINUTES },
                                         { "picture", required_argument, NULL, OPTION_PICTURE },
                                         { "over", required_argument, NULL, OPTION_OVER },
                                         { "from", required_argument, NULL, OPTION_FROM },
                                         { "to", required_argument, NULL, OPTION_TO },
                                         { 0 } };
    struct attempt a = { .in = { .list = LIST, .cost = -1, .local_ms = NOON_MS }, .published_minutes = 1440, .affinity = -1 };
    int status = cli_parse(cli, argc, argv, own, take, &a);
    if (status != CLI_OK || cli->help)
        return status;
    if (optind == argc)
        return CLI_USAGE;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return CLI_NO;
    a.model = model;
    status = load(argv[optind++], model);
    for (; status == CLI_OK && optind < argc; optind++)
        status = take_input(&a, argv[optind]) ? CLI_OK : CLI_USAGE;
    if (status == CLI_OK && !say_zone(&a))
        status = CLI_USAGE;
    if (status == CLI_OK) {
        say_the_rest(&a);
        say_published(&a);
        status = answer_attempt(cli, &a);
    }
    free(model);
    return status;
}

const struct cli_command cli_try = {
    .name = "try",
    .usage = "try [OPTIONS] FILE [INPUT=VALUE...]",
    .summary = "what does a model make of a price? On paper",
    .help = "Computes one price by one model file, as if the inputs were what you say, and nothing else were known: no "
            "service,\n"
            "no signals. Amounts are in minor units. What customers permit is taken for granted.\n"
            "\n"
            "  --list AMOUNT       list price, default 1000\n"
            "  --cost AMOUNT       unit cost, default: not known\n"
            "  --at TIME           2026-11-28T23:00 on the model's clock; default: noon of a Wednesday in January\n"
            "  --zone ZONE         where, such as c1/s25; default: the world\n"
            "  --category TEXT     of the product\n"
            "  --tier NAME         of the customer; --segment NAME (may be repeated), --spend MONEY (major units),\n"
            "                      --month-spend MONEY (in the running month), --affinity 0..1 (to the price group)\n"
            "  --published AMOUNT  what stands published: then steps, dwell and dead band count, too\n"
            "  --minutes N         since it last changed, default 1440\n"
            "\n"
            "  --picture FACTOR    print a picture (SVG) of what one factor makes of an input\n"
            "  --over INPUT        which; default: its own\n"
            "  --from X --to Y     from where to where\n"
            "\n"
            "  rialto try models/groceries.json temperature_c=34 available_ratio=0.2\n"
            "  rialto try models/gifts.json --list 425 --tier gold --spend 1000\n"
            "  rialto try models/rides.json --at 2026-11-28T23:00 orders_per_day=960 available=10\n"
            "  rialto try models/groceries.json --picture heat --from 20 --to 40 > heat.svg\n",
    .run = run,
};
