/* factor.c - what one factor multiplies by: curves, tables, conditions, expressions, optimal prices, and when it speaks at all. */
#include "pricing/markup.h"
#include "pricing/model.h"
#include "pricing/nano.h"
#include "pricing/scope.h"

#include <string.h>

#define DAY_MS     INT64_C(86400000)
#define MINUTE_MS  INT64_C(60000)
#define FACTOR_LOW (MICRO / 10)
#define FACTOR_TOP (MICRO * 10)

/* ---- time ----------------------------------------------------------------------------------------------------- */

int64_t model_local_ms(const struct model *model, int64_t now_ms, int32_t zone_offset_min)
{
    if (model->clock.name[0] == '\0')
        return now_ms + (int64_t)zone_offset_min * MINUTE_MS;
    return now_ms + (int64_t)local_clock_offset(&model->clock, now_ms) * 1000;
}

static int64_t day_of(int64_t local_ms)
{
    return (local_ms - (local_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS;
}

static bool in_calendar(const struct model_calendar *calendar, int64_t day)
{
    for (uint32_t i = 0; i < calendar->count; i++)
        if (calendar->day[i] == day)
            return true;
    return false;
}

/* A window over midnight belongs to the day on which it began. */
static bool window_open(const struct model *model, const struct model_window *window, int64_t local_ms)
{
    int64_t day = day_of(local_ms), minute = (local_ms - day * DAY_MS) / MINUTE_MS;
    if (window->from_min < window->until_min) {
        if (minute < window->from_min || minute >= window->until_min)
            return false;
    } else if (window->from_min > window->until_min) {
        if (minute < window->until_min)
            day--;
        else if (minute < window->from_min)
            return false;
    }
    if (day < window->from_day || (window->until_day != 0 && day >= window->until_day))
        return false;
    int64_t weekday = ((day + 3) % 7 + 7) % 7; /* 1 January 1970 was a Thursday */
    if (window->weekdays != 0 && (window->weekdays >> weekday & 1u) == 0)
        return false;
    return window->calendar == 0 || in_calendar(&model->calendar[window->calendar - 1], day);
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static int64_t category_value(const struct model_factor *factor, const char *category)
{
    int best = -1;
    int64_t value = MICRO;
    for (uint32_t i = 0; i < factor->point_count && category != NULL; i++) {
        int rank = scope_category_rank(factor->word[i], category);
        if (rank > best) {
            best = rank;
            value = factor->point[i].y_micro;
        }
    }
    return value;
}

static int64_t zone_value(const struct model_factor *factor, const struct price_inputs *in)
{
    for (uint32_t level = 0; level < in->zone_count; level++)
        for (uint32_t i = 0; i < factor->point_count; i++)
            if (strcmp(factor->word[i], in->zone[level]) == 0)
                return factor->point[i].y_micro;
    return MICRO;
}

/* ---- optimal prices: parts of list in nano are multipliers ---------------------------------------------------------- */

static bool has(const struct price_inputs *in, enum model_input input)
{
    return (in->present >> input) & 1u;
}

static int64_t micro_within(int64_t nano)
{
    return clamp_i64(micro_of_nano(nano), FACTOR_LOW, FACTOR_TOP);
}

static bool markup_value(const struct model_factor *factor, const struct price_inputs *in, int64_t *ret_micro)
{
    if (in->cost < 0 || in->list <= 0)
        return false;
    int64_t cost = nano_cut(div_half_even((int128)in->cost * NANO, in->list));
    *ret_micro =
        micro_within(factor->elasticity_nano != 0 ? markup_elastic(cost, factor->elasticity_nano)
                                                  : markup_logit(cost, factor->utility_nano, factor->sensitivity_nano));
    return true;
}

/* Time that is left to sell in, in nano days. */
static bool clearing_days(const struct model_factor *factor, const struct price_inputs *in, int64_t *ret)
{
    if (factor->clearing_until_min < 0) {
        if (!has(in, INPUT_hours_to_expiry))
            return false;
        *ret = nano_div(nano_of_micro(clamp_i64(in->input_micro[INPUT_hours_to_expiry], 0,
                                                model_inputs[INPUT_hours_to_expiry].high)),
                        24 * NANO);
        return true;
    }
    int64_t left_ms = factor->clearing_until_min * MINUTE_MS - (in->local_ms - day_of(in->local_ms) * DAY_MS);
    *ret = nano_cut(div_half_even((int128)(left_ms > 0 ? left_ms : left_ms + DAY_MS) * NANO, DAY_MS));
    return true;
}

static bool clearing_value(const struct model_factor *factor, const struct price_inputs *in, int64_t *ret_micro)
{
    int64_t days, customers;
    if (!has(in, INPUT_available) || !clearing_days(factor, in, &days) ||
        !expression_value(&factor->program, in->input_micro, in->present, &customers))
        return false;
    int64_t units = clamp_i64(in->input_micro[INPUT_available] / MICRO, 1, INT64_C(1000000000));
    customers = nano_mul(customers > 0 ? customers : 0, days);
    *ret_micro = micro_within(markup_clearing(units, customers, factor->sensitivity_nano));
    return true;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

static bool value_of(const struct model_factor *factor, const struct price_inputs *in, int64_t *ret_micro)
{
    int64_t nano;
    switch (factor->form) {
    case FACTOR_CURVE:
    case FACTOR_STEPS:
        if (!has(in, factor->input))
            return false;
        *ret_micro = model_curve(factor->kind, factor->point_count, factor->point, in->input_micro[factor->input]);
        return true;
    case FACTOR_CATEGORY: *ret_micro = category_value(factor, in->category); return true;
    case FACTOR_ZONE: *ret_micro = zone_value(factor, in); return true;
    case FACTOR_CASES:
    case FACTOR_EXPRESSION:
        if (!expression_value(&factor->program, in->input_micro, in->present, &nano))
            return false;
        *ret_micro = micro_within(nano);
        return true;
    case FACTOR_MARKUP: return markup_value(factor, in, ret_micro);
    case FACTOR_CLEARING: return clearing_value(factor, in, ret_micro);
    case FACTOR_FORM_COUNT: break;
    }
    return false;
}

int64_t model_factor_value(const struct model *model, const struct model_factor *factor, const struct price_inputs *in,
                           bool *ret_known)
{
    int64_t value = MICRO;
    *ret_known = !factor->when.limited || window_open(model, &factor->when, in->local_ms);
    if (!*ret_known)
        return MICRO;
    *ret_known = value_of(factor, in, &value);
    return *ret_known ? value : factor->missing_micro;
}

int64_t model_factor_cut(const struct model_factor *factor)
{
    if (factor->form != FACTOR_EXPRESSION)
        return 0;
    if (micro_of_nano(factor->program.high) < FACTOR_LOW)
        return FACTOR_LOW;
    return micro_of_nano(factor->program.low) > FACTOR_TOP ? FACTOR_TOP : 0;
}

const char *model_form_key(enum factor_form form)
{
#define KEY(form, key, text) key,
    static const char *const keys[FACTOR_FORM_COUNT] = { FACTOR_FORMS(KEY) };
#undef KEY
    return form < FACTOR_FORM_COUNT ? keys[form] : "";
}

void model_state_attributes(const struct model *model, struct price_inputs *in)
{
    for (uint32_t i = 0; i < model->attributes.count; i++) {
        const struct model_attribute *row = &model->attributes.row[i];
        enum model_input input = attribute_input(i);
        if (has(in, input) || row->missing_micro == ATTRIBUTE_NOT_STATED)
            continue;
        in->input_micro[input] = row->missing_micro;
        in->present |= UINT64_C(1) << input;
    }
}

bool model_reads_clock(const struct model *model)
{
    static const uint64_t clocks = UINT64_C(1) << INPUT_hour | UINT64_C(1) << INPUT_weekday |
                                   UINT64_C(1) << INPUT_month | UINT64_C(1) << INPUT_day_of_month;
    for (uint32_t i = 0; i < model->factor_count; i++)
        if (model->factor[i].when.limited || model->factor[i].form == FACTOR_CLEARING ||
            (model->factor[i].reads & clocks) != 0)
            return true;
    return false;
}

bool model_moves(const struct model *model)
{
    return model_reads_clock(model) || model_reads(model, INPUT_hours_to_expiry) || model->guard.rise_window_s != 0;
}
