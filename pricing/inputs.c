/* inputs.c - the rows of MODEL_INPUTS as data, and behind them what a model declares. */
#include "pricing/inputs.h"

#include <string.h>

#define ROW(name, unit, low, high, age, gone, text) { #name, unit, age, gone, text, low, high },
const struct model_input_row model_inputs[INPUT_COUNT] = { MODEL_INPUTS(ROW) };

enum model_input model_input_find(const struct model_attributes *own, const char *name)
{
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        if (strcmp(model_inputs[i].name, name) == 0)
            return (enum model_input)i;
    for (uint32_t i = 0; own != NULL && i < own->count; i++)
        if (strcmp(own->row[i].name, name) == 0)
            return attribute_input(i);
    return INPUT_NONE;
}

struct model_input_row model_input_row(const struct model_attributes *own, enum model_input input)
{
    if (input < INPUT_COUNT)
        return model_inputs[input];
    const struct model_attribute *row = &own->row[input - INPUT_COUNT];
    const char *text =
        row->of_zone ? "attribute of the zone, or of the nearest around it that says it" : "attribute of the product";
    return (struct model_input_row){ row->name, row->unit, row->age_s > 0 ? "attribute" : "none", "", text,
                                     row->low,  row->high };
}

size_t model_input_names(const struct model_attributes *own, const char *ret[INPUT_SLOTS])
{
    size_t count = 0;
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        ret[count++] = model_inputs[i].name;
    for (uint32_t i = 0; own != NULL && i < own->count; i++)
        ret[count++] = own->row[i].name;
    return count;
}
