/* model_parse_demand.c - how a model measures demand. */
#include "pricing/model_parse.h"

#define WEIGHT(name, event, default_text)                                                                              \
    {                                                                                                                  \
        .key = name, .text = "", .preset = default_text, .kind = FIELD_MICRO, .low = 0, .high = 1000 * MICRO,          \
        .offset = offsetof(struct demand_settings, weight_micro) + (event) * sizeof(int64_t)                           \
    }
static const struct field weights_fields[] = {
    WEIGHT("view", DEMAND_VIEW, "0.1"), WEIGHT("search", DEMAND_SEARCH, "0.1"), WEIGHT("cart", DEMAND_CART, "0.5"),
    WEIGHT("order", DEMAND_ORDER, "1"), WEIGHT("return", DEMAND_RETURN, "0"),
};
TABLE(weights, "weights");

static enum rialto_status read_weights(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_weights, value, target);
}

static const struct field demand_fields[] = {
    { .key = "half_life",
      .text = "After so long an event counts half. 1s to 30d.",
      .preset = "\"6h\"",
      .kind = FIELD_SPAN,
      .low = SECOND,
      .high = 30 * DAY,
      .offset = offsetof(struct demand_settings, half_life_s) },
    { .key = "slow_half_life",
      .text = "What is usual: longer than half_life. 2s to 365d.",
      .preset = "\"7d\"",
      .kind = FIELD_SPAN,
      .low = 2 * SECOND,
      .high = 365 * DAY,
      .offset = offsetof(struct demand_settings, slow_half_life_s) },
    { .key = "prior_events",
      .text = "So many usual events are mixed in: few events say little.",
      .preset = "5",
      .kind = FIELD_MICRO,
      .low = MICRO / 1000,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, prior_micro) },
    { .key = "min_events",
      .text = "A zone with fewer asks the zone around it.",
      .preset = "10",
      .kind = FIELD_MICRO,
      .low = 0,
      .high = 1000000 * MICRO,
      .offset = offsetof(struct demand_settings, min_events_micro) },
    { .key = "weights",
      .text = "What one event counts, times its quantity.",
      .shape = "\"$ref\":\"#/$defs/weights\"",
      .kind = FIELD_PART,
      .part = read_weights },
};
TABLE(demand, "demand");

enum rialto_status read_demand(struct reader *reader, const cJSON *value, void *target)
{
    const struct demand_settings *settings = target;
    enum rialto_status status = fields_read(reader, &model_table_demand, value, target);
    if (status == RIALTO_OK && settings->slow_half_life_s <= settings->half_life_s)
        return reader_refuse(reader, "slow_half_life must be longer than half_life");
    return status;
}
