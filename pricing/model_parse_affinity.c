/* model_parse_affinity.c - how affinity is measured. */
#include "pricing/model_parse.h"

#define WEIGHT(name, event, default_text)                                                                              \
    {                                                                                                                  \
        .key = name, .text = "", .preset = default_text, .kind = FIELD_MICRO, .low = 0, .high = 100 * MICRO,           \
        .offset = offsetof(struct affinity_settings, weight_micro) + (event) * sizeof(int64_t)                         \
    }
static const struct field affinity_weights_fields[] = {
    WEIGHT("view", AFFINITY_VIEW, "0.1"),
    WEIGHT("cart", AFFINITY_CART, "0.5"),
    WEIGHT("order", AFFINITY_ORDER, "1"),
};
TABLE(affinity_weights, "affinity_weights");

static enum rialto_status read_weights(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_affinity_weights, value, target);
}

static const struct field affinity_fields[] = {
    { .key = "half_life",
      .text = "After so long an event counts half. 1h to 365d.",
      .preset = "\"30d\"",
      .kind = FIELD_SPAN,
      .low = AFFINITY_HALF_LIFE_MIN_S,
      .high = AFFINITY_HALF_LIFE_MAX_S,
      .offset = offsetof(struct affinity_settings, half_life_s) },
    { .key = "prior_events",
      .text = "So many events in no price group are mixed in: few events say little.",
      .preset = "3",
      .kind = FIELD_MICRO,
      .low = MICRO / 1000,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct affinity_settings, prior_micro) },
    { .key = "weights",
      .text = "What one event counts, whatever its quantity.",
      .shape = "\"$ref\":\"#/$defs/affinity_weights\"",
      .kind = FIELD_PART,
      .part = read_weights },
};
TABLE(affinity, "affinity");

enum rialto_status read_affinity_section(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_affinity, value, target);
}
