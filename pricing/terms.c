/* terms.c - what one customer's permitted data do to prices: one multiplier per price group.
 *
 * Consent comes first, literally: permitted() is asked before any field of that kind is touched, so that data which
 * a customer has not permitted cannot move a price, not even by being there. */
#include "pricing/distance.h"
#include "pricing/model.h"
#include "pricing/scope.h"

#include <string.h>

static bool permitted(const struct model_personal *personal, const struct terms_inputs *in)
{
    return personal_permitted(personal, in->consent);
}

static const struct model_point *row_of(const struct model_personal *personal, const char *word)
{
    for (uint32_t i = 0; i < personal->point_count; i++)
        if (strcmp(personal->word[i], word) == 0)
            return &personal->point[i];
    return NULL;
}

/* What others say counts only where partner data are permitted too. */
static bool may_read(unsigned party, const struct terms_inputs *in)
{
    return !party_is_other(party) || (in->consent & RIALTO_KIND_PARTNER) != 0;
}

static uint8_t kinds_of(const struct model_personal *personal, unsigned party)
{
    return (uint8_t)(personal->consent | (party_is_other(party) ? RIALTO_KIND_PARTNER : 0));
}

/* Each of these: the kinds of data that were read (RIALTO_KIND_*), with *ret the multiplier in micro; 0: the customer has no such data,
 * so none were read. */
static uint8_t read_tier(const struct model_personal *personal, const struct terms_inputs *in, int64_t *ret)
{
    if (!may_read(in->tier_party, in) || in->tier[0] == '\0')
        return 0;
    const struct model_point *row = row_of(personal, in->tier);
    *ret = row != NULL ? row->y_micro : MICRO;
    return kinds_of(personal, in->tier_party);
}

/* The most favourable of the segments that the table names; a segment that it does not name says nothing. */
static uint8_t read_segment(const struct model_personal *personal, const struct terms_inputs *in, int64_t *ret)
{
    uint32_t count = in->segment_count < TERMS_SEGMENTS_MAX ? in->segment_count : TERMS_SEGMENTS_MAX;
    const struct model_point *best = NULL;
    uint8_t kinds = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!may_read(in->segment_party[i], in))
            continue;
        kinds |= kinds_of(personal, in->segment_party[i]);
        const struct model_point *row = row_of(personal, in->segment[i]);
        if (row != NULL && (best == NULL || row->y_micro < best->y_micro))
            best = row;
    }
    *ret = best != NULL ? best->y_micro : MICRO;
    return kinds;
}

/* Pounds spent are no yuan spent: they count where the model prices in pounds. */
static uint8_t read_spend(const struct model *model, const struct model_personal *personal,
                          const struct terms_inputs *in, int64_t *ret)
{
    if (!may_read(in->spend_party, in) || !scope_has_currency(model, in->spend_currency))
        return 0;
    *ret = model_curve(personal->curve, personal->point_count, personal->point, in->spend_micro);
    return kinds_of(personal, in->spend_party);
}

static uint8_t read_month(const struct model *model, const struct model_personal *personal,
                          const struct terms_inputs *in, int64_t *ret)
{
    if (!scope_has_currency(model, in->month_currency))
        return 0;
    *ret = model_curve(personal->curve, personal->point_count, personal->point, in->month_micro);
    return personal->consent;
}

/* Of each part that is permitted, there, and not too old. */
static uint8_t read_affinity(const struct model *model, const struct model_personal *personal,
                             const struct terms_inputs *in, int64_t *ret)
{
    static const uint8_t KIND[AFFINITY_PARTS] = { [AFFINITY_BEHAVIOUR] = RIALTO_KIND_BEHAVIOUR,
                                                  [AFFINITY_PURCHASES] = RIALTO_KIND_PURCHASES };
    const int64_t prior_micro = model->affinity.prior_micro, age_ms = (int64_t)model->affinity_age_s * 1000;
    unsigned parts = 0;
    uint8_t kinds = 0;
    for (unsigned part = 0; part < AFFINITY_PARTS; part++) {
        if ((in->consent & KIND[part]) == 0 || in->affinity.age_ms[part] >= age_ms ||
            affinity_share(&in->affinity, 1u << part, model->group, prior_micro) < 0)
            continue;
        parts |= 1u << part;
        kinds |= KIND[part];
    }
    if (parts != 0)
        *ret = model_curve(personal->curve, personal->point_count, personal->point,
                           affinity_share(&in->affinity, parts, model->group, prior_micro));
    return kinds;
}

/* The nearest zone around the customer that the table names. */
static uint8_t read_zone(const struct model_personal *personal, const struct terms_inputs *in, int64_t *ret)
{
    uint32_t count = in->zone_count < RIALTO_ZONE_LEVELS - 1 ? in->zone_count : RIALTO_ZONE_LEVELS - 1;
    const struct model_point *row = NULL;
    for (uint32_t i = 0; i < count && row == NULL; i++)
        row = row_of(personal, in->zone[i]);
    *ret = row != NULL ? row->y_micro : MICRO;
    return count > 0 ? personal->consent : 0;
}

int64_t personal_km_micro(const struct model_personal *personal, const struct terms_inputs *in)
{
    int64_t nearest = INT64_MAX;
    for (uint32_t i = 0; i < personal->place_count; i++) {
        int64_t km_micro = distance_km_micro(personal->place_micro[i], in->position_micro);
        nearest = km_micro < nearest ? km_micro : nearest;
    }
    return nearest;
}

static uint8_t read_distance(const struct model_personal *personal, const struct terms_inputs *in, int64_t *ret)
{
    if (!in->has_position)
        return 0;
    *ret = model_curve(personal->curve, personal->point_count, personal->point, personal_km_micro(personal, in));
    return personal->consent;
}

static uint8_t read_personal(const struct model *model, const struct model_personal *personal,
                             const struct terms_inputs *in, int64_t *ret)
{
    switch (personal->kind) {
    case PERSONAL_TIER: return read_tier(personal, in, ret);
    case PERSONAL_SEGMENT: return read_segment(personal, in, ret);
    case PERSONAL_SPEND: return read_spend(model, personal, in, ret);
    case PERSONAL_ZONE: return read_zone(personal, in, ret);
    case PERSONAL_MONTH: return read_month(model, personal, in, ret);
    case PERSONAL_AFFINITY: return read_affinity(model, personal, in, ret);
    case PERSONAL_DISTANCE: return read_distance(personal, in, ret);
    }
    return 0;
}

const char *personal_kind_name(enum personal_kind kind)
{
    static const char *const NAME[] = { "tier", "segment", "spend", "zone", "month_spend", "affinity", "distance" };
    return NAME[kind];
}

bool model_set_reads_month(const struct model_set *set)
{
    for (uint32_t m = 0; m < set->count; m++)
        for (uint32_t i = 0; i < set->model[m].personal_count; i++)
            if (set->model[m].personal[i].kind == PERSONAL_MONTH)
                return true;
    return false;
}

static uint16_t multiplier_e4(const struct model *model, const struct terms_inputs *in, uint16_t *kinds)
{
    int64_t product = MICRO;
    for (uint32_t i = 0; i < model->personal_count; i++) {
        const struct model_personal *personal = &model->personal[i];
        int64_t value;
        uint8_t read = permitted(personal, in) ? read_personal(model, personal, in, &value) : 0;
        if (read == 0)
            continue;
        *kinds |= read;
        if (!mul_div_half_even(product, value, MICRO, &product))
            product = INT64_MAX; /* not with a parsed model; the clamp below ends it */
    }
    product = clamp_i64(product, model->guard.personal_low_micro, model->guard.personal_high_micro);
    return (uint16_t)div_half_even(product, MICRO / 10000);
}

void model_terms_rows(const struct model *model, const struct terms_inputs *in,
                      struct terms_row ret[MODEL_PERSONAL_MAX])
{
    int64_t product = MICRO;
    for (uint32_t i = 0; i < model->personal_count; i++) {
        struct terms_row *row = &ret[i];
        *row = (struct terms_row){ .permitted = permitted(&model->personal[i], in), .value_micro = MICRO };
        row->kinds = row->permitted ? read_personal(model, &model->personal[i], in, &row->value_micro) : 0;
        row->read = row->kinds != 0;
        if (row->read && !mul_div_half_even(product, row->value_micro, MICRO, &product))
            product = INT64_MAX;
        row->product_micro = product;
    }
}

void model_terms(const struct model_set *set, const struct terms_inputs *in,
                 uint16_t ret_multiplier_e4[RIALTO_GROUPS_MAX], uint16_t *ret_kinds)
{
    *ret_kinds = 0;
    for (uint32_t g = 0; g < RIALTO_GROUPS_MAX; g++)
        ret_multiplier_e4[g] = 10000;
    /* Models without dates first: one with dates speaks instead of them while it is in effect. */
    for (int dated = 0; dated < 2; dated++) {
        for (uint32_t m = 0; m < set->count; m++) {
            const struct model *model = &set->model[m];
            if (scope_is_dated(model) == dated && in->now_ms >= model->from_ms && in->now_ms < model->until_ms &&
                model->personal_count > 0 && model->group < RIALTO_GROUPS_MAX)
                ret_multiplier_e4[model->group] = multiplier_e4(model, in, ret_kinds);
        }
    }
}
