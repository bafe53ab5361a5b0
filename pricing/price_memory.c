/* price_memory.c - what a price has in common with the one before it. Cells are priced product by product: most of what their factors look at
 * (weather, date, demand and competitors around them, list price) is what it was a cell ago. */
#include "pricing/model.h"

uint64_t model_factor_looks(const struct model_factor *factor)
{
    uint64_t looks = factor->reads;
    if (factor->when.limited)
        looks |= LOOKS_TIME;
    switch (factor->form) {
    case FACTOR_CATEGORY: return looks | LOOKS_CATEGORY;
    case FACTOR_ZONE: return looks | LOOKS_ZONE;
    case FACTOR_MARKUP: return looks | LOOKS_MONEY;
    case FACTOR_CLEARING: return looks | LOOKS_TIME;
    default: return looks;
    }
}

#define INPUT_BIT(name) (UINT64_C(1) << INPUT_##name)
_Static_assert(MODEL_FACTORS_MAX < 32, "zone_factors has a bit for each");

uint64_t model_zone_looks(const struct model *model)
{
    uint64_t looks = LOOKS_ZONE | LOOKS_TIME | INPUT_BIT(temperature_c) | INPUT_BIT(precipitation_mm_h) |
                     INPUT_BIT(wind_m_s) | INPUT_BIT(humidity) | INPUT_BIT(hour) | INPUT_BIT(weekday) |
                     INPUT_BIT(month) | INPUT_BIT(day_of_month) | INPUT_BIT(zone_level) | INPUT_BIT(distance_km);
    for (uint32_t i = 0; i < model->attributes.count; i++)
        if (model->attributes.row[i].of_zone)
            looks |= UINT64_C(1) << attribute_input(i);
    return looks;
}

/* Everything but the inputs. */
static uint64_t others_differ(struct price_memory *memory, const struct price_inputs *in)
{
    uint64_t differ = LOOKS_ZONE;
    if (memory->list != in->list || memory->cost != in->cost)
        differ |= LOOKS_MONEY;
    if (memory->local_ms != in->local_ms)
        differ |= LOOKS_TIME;
    if (memory->category != in->category)
        differ |= LOOKS_CATEGORY;
    memory->list = in->list;
    memory->cost = in->cost;
    memory->local_ms = in->local_ms;
    memory->category = in->category;
    return differ;
}

uint64_t price_memory_differs(struct price_memory *memory, const struct model *model, const struct price_inputs *in)
{
    static const uint64_t inputs = (UINT64_C(1) << INPUT_SLOTS) - 1;
    bool zoned = memory->zone != NULL, known = memory->model == model && memory->zoned == zoned;
    uint64_t looks = zoned ? model->cell_looks & inputs : model->reads;
    uint64_t differ = others_differ(memory, in) | ((memory->present ^ in->present) & looks);
    for (uint64_t left = known ? looks & ~memory->same : looks; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        differ |= (uint64_t)(memory->input_micro[i] != in->input_micro[i]) << i;
        memory->input_micro[i] = in->input_micro[i];
    }
    memory->present = in->present;
    if (!known)
        differ = UINT64_MAX;
    memory->model = model;
    memory->zoned = zoned;
    return differ;
}
