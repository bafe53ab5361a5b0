/* inputs.c - the rows of MODEL_INPUTS as data. */
#include "pricing/inputs.h"

#include <string.h>

#define ROW(name, unit, low, high, age, text) { #name, unit, age, text, low, high },
const struct model_input_row model_inputs[INPUT_COUNT] = { MODEL_INPUTS(ROW) };

enum model_input model_input_find(const char *name)
{
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        if (strcmp(model_inputs[i].name, name) == 0)
            return (enum model_input)i;
    return INPUT_COUNT;
}
