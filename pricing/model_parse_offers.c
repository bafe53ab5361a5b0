/* model_parse_offers.c - personal offers that a model issues by itself: what leads to one, what it is, how many there may be. */
#include "pricing/model_parse.h"
#include "pricing/money.h"

#include <string.h>

/* What leads to an offer: the word in the file, as a demand signal says it, and the consent that it needs. */
static const struct {
    const char *word;
    enum demand_event event;
    uint8_t kind;
} EVENT[] = { { "view", DEMAND_VIEW, RIALTO_KIND_BEHAVIOUR },
              { "cart", DEMAND_CART, RIALTO_KIND_BEHAVIOUR },
              { "order", DEMAND_ORDER, RIALTO_KIND_PURCHASES } };
#define EVENTS       (sizeof EVENT / sizeof EVENT[0])
#define EVENT_SHAPE  "\"enum\":[\"view\",\"cart\",\"order\"]"
#define AMOUNT_MAX   1000000000 /* minor units, of one offer */
#define BUDGET_MAX   4000000000 /* minor units, or offers */
#define PERCENT_STEP 10000      /* micro: an offer's line holds 1e-4 parts */
_Static_assert(BUDGET_MAX <= UINT32_MAX, "counts are 32 bits");

const char *model_offer_event(enum demand_event event)
{
    for (size_t i = 0; i < EVENTS; i++)
        if (EVENT[i].event == event)
            return EVENT[i].word;
    return "";
}

static enum rialto_status read_event_word(struct reader *reader, const cJSON *value, uint8_t *ret, uint8_t *kinds)
{
    for (size_t i = 0; i < EVENTS && cJSON_IsString(value); i++) {
        if (strcmp(value->valuestring, EVENT[i].word) != 0)
            continue;
        *ret = (uint8_t)EVENT[i].event;
        *kinds |= EVENT[i].kind;
        return RIALTO_OK;
    }
    return reader_refuse(reader, "expected \"view\", \"cart\" or \"order\"");
}

static enum rialto_status read_event(struct reader *reader, const cJSON *value, void *target)
{
    struct model_offer *offer = target;
    return read_event_word(reader, value, &offer->event, &offer->kinds);
}

static enum rialto_status read_unless(struct reader *reader, const cJSON *value, void *target)
{
    struct model_offer *offer = target;
    offer->has_unless = true;
    return read_event_word(reader, value, &offer->unless, &offer->kinds);
}

static const struct field trigger_fields[] = {
    { .key = "event",
      .text = "What the customer does with the product. Consent: behaviour for view and cart, purchases for order.",
      .shape = EVENT_SHAPE,
      .kind = FIELD_PART,
      .required = true,
      .part = read_event },
    { .key = "times",
      .text = "How often.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = OFFER_TIMES_MAX,
      .offset = offsetof(struct model_offer, times) },
    { .key = "within",
      .text = "In how long. 1m to 180d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 60,
      .high = 180 * DAY,
      .offset = offsetof(struct model_offer, within_s) },
    { .key = "apart",
      .text = "What comes sooner after the one before counts with it. 0s to 60d.",
      .preset = "\"1m\"",
      .kind = FIELD_SPAN,
      .low = 0,
      .high = 60 * DAY,
      .offset = offsetof(struct model_offer, apart_s) },
    { .key = "unless",
      .text = "Not if this happened in the same time; if it happens later, the offer ends. Needs its consent, too.",
      .shape = EVENT_SHAPE,
      .kind = FIELD_PART,
      .part = read_unless },
};
TABLE(trigger, "trigger");

static enum rialto_status read_trigger(struct reader *reader, const cJSON *value, void *target)
{
    const struct model_offer *offer = target;
    enum rialto_status status = fields_read(reader, &model_table_trigger, value, target);
    if (status != RIALTO_OK)
        return status;
    if (offer->has_unless && offer->unless == offer->event)
        return reader_refuse(reader, "\"unless\" must be another event than \"event\"");
    if ((uint64_t)offer->apart_s * (offer->times - 1) >= offer->within_s)
        return reader_refuse(reader, "so many \"times\" so far \"apart\" do not happen \"within\" this time");
    return RIALTO_OK;
}

/* ---- what it is ----------------------------------------------------------------------------------------------- */

static enum rialto_status claim_discount(struct reader *reader, struct model_offer *offer, uint8_t kind)
{
    if (offer->kind != RIALTO_OFFER_NONE)
        return reader_refuse(reader, "one offer is one of \"percent\", \"amount_off\" and \"fixed\"");
    offer->kind = kind;
    return RIALTO_OK;
}

static enum rialto_status read_percent(struct reader *reader, const cJSON *value, void *target)
{
    static const struct field row = { .kind = FIELD_MICRO, .low = PERCENT_STEP, .high = 90 * MICRO };
    struct model_offer *offer = target;
    enum rialto_status status = claim_discount(reader, offer, RIALTO_OFFER_PERCENT);
    if (status == RIALTO_OK)
        status = value_read(reader, &row, value, &offer->value);
    if (status == RIALTO_OK && offer->value % PERCENT_STEP != 0)
        status = reader_refuse(reader, "a percentage may have at most 2 decimals");
    offer->value /= PERCENT_STEP;
    return status;
}

static enum rialto_status read_money(struct reader *reader, const cJSON *value, struct model_offer *offer, uint8_t kind)
{
    static const struct field row = { .kind = FIELD_COUNT, .low = 1, .high = AMOUNT_MAX };
    uint32_t amount = 0;
    enum rialto_status status = claim_discount(reader, offer, kind);
    if (status == RIALTO_OK)
        status = value_read(reader, &row, value, &amount);
    offer->value = amount;
    return status;
}

static enum rialto_status read_amount_off(struct reader *reader, const cJSON *value, void *target)
{
    return read_money(reader, value, target, RIALTO_OFFER_AMOUNT_OFF);
}

static enum rialto_status read_fixed(struct reader *reader, const cJSON *value, void *target)
{
    return read_money(reader, value, target, RIALTO_OFFER_FIXED);
}

static const struct field discount_fields[] = {
    { .key = "percent",
      .text = "Percent off, at most 2 decimals.",
      .shape = "\"type\":\"number\",\"minimum\":0.01,\"maximum\":90",
      .kind = FIELD_PART,
      .part = read_percent },
    { .key = "amount_off",
      .text = "Minor units off.",
      .shape = "\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000",
      .kind = FIELD_PART,
      .part = read_amount_off },
    { .key = "fixed",
      .text = "The price, in minor units.",
      .shape = "\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000",
      .kind = FIELD_PART,
      .part = read_fixed },
    { .key = "currency",
      .text = "Of amounts in this offer and its budget, and of the prices that it is for. Default: the model's, if it "
              "is one.",
      .kind = FIELD_NAME,
      .low = 3,
      .high = 3,
      .offset = offsetof(struct model_offer, currency) },
    { .key = "stackable",
      .text = "True: off the customer's own price instead of the baseline.",
      .preset = "false",
      .kind = FIELD_FLAG,
      .offset = offsetof(struct model_offer, stackable) },
};
TABLE_WITH(discount, "discount",
           "\"oneOf\":[{\"required\":[\"percent\"]},{\"required\":[\"amount_off\"]},{\"required\":[\"fixed\"]}]");

static enum rialto_status read_discount(struct reader *reader, const cJSON *value, void *target)
{
    const struct model_offer *offer = target;
    enum rialto_status status = fields_read(reader, &model_table_discount, value, target);
    if (status == RIALTO_OK && offer->kind == RIALTO_OFFER_NONE)
        return reader_refuse(reader, "a discount needs \"percent\", \"amount_off\" or \"fixed\"");
    if (status == RIALTO_OK && offer->kind == RIALTO_OFFER_FIXED && offer->stackable)
        return reader_refuse(reader, "a fixed price is not stackable");
    return status;
}

/* ---- how many ------------------------------------------------------------------------------------------------- */

static const struct field per_customer_fields[] = {
    { .key = "offers",
      .text = "At most so many for one customer, of all products.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = OFFER_PRODUCTS_MAX,
      .offset = offsetof(struct model_offer, customer_offers) },
    { .key = "per",
      .text = "In this time. 1h to 365d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 3600,
      .high = 365 * DAY,
      .offset = offsetof(struct model_offer, customer_per_s) },
};
TABLE(per_customer, "per_customer");

static enum rialto_status read_per_customer(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_per_customer, value, target);
}

/* Each partition has its share: of fewer offers than there are partitions each in its turn (model_offer_share). */
static const struct field budget_fields[] = {
    { .key = "offers",
      .text = "At most so many for all customers.",
      .kind = FIELD_COUNT,
      .required = true,
      .low = 1,
      .high = BUDGET_MAX,
      .offset = offsetof(struct model_offer, budget_offers) },
    { .key = "amount",
      .text = "And at most so much given away, in minor units: of each offer what it takes off one unit when it is "
              "made. Left out: any.",
      .kind = FIELD_COUNT,
      .low = RIALTO_PARTITIONS,
      .high = BUDGET_MAX,
      .offset = offsetof(struct model_offer, budget_amount) },
    { .key = "per",
      .text = "Windows of this length since 1970. 1h to 365d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 3600,
      .high = 365 * DAY,
      .offset = offsetof(struct model_offer, budget_per_s) },
};
TABLE(budget, "budget");

static enum rialto_status read_budget(struct reader *reader, const cJSON *value, void *target)
{
    return fields_read(reader, &model_table_budget, value, target);
}

/* ---- one rule, and all of them --------------------------------------------------------------------------------- */

static const struct field offer_fields[] = {
    { .key = "name",
      .text = "Appears in explanations.",
      .kind = FIELD_NAME,
      .required = true,
      .low = 1,
      .high = OFFER_NAME_MAX - 1,
      .offset = offsetof(struct model_offer, name) },
    { .key = "trigger",
      .text = "What leads to it, of the same customer and product.",
      .shape = "\"$ref\":\"#/$defs/trigger\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_trigger },
    { .key = "discount",
      .text = "What is offered.",
      .shape = "\"$ref\":\"#/$defs/discount\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_discount },
    { .key = "valid_for",
      .text = "How long the offer lives. 1m to 90d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 60,
      .high = 90 * DAY,
      .offset = offsetof(struct model_offer, valid_s) },
    { .key = "cooldown",
      .text = "No other offer for the same customer and product in this time, counted from the one before. 1h to 365d.",
      .kind = FIELD_SPAN,
      .required = true,
      .low = 3600,
      .high = 365 * DAY,
      .offset = offsetof(struct model_offer, cooldown_s) },
    { .key = "per_customer",
      .text = "How many one customer may get.",
      .shape = "\"$ref\":\"#/$defs/per_customer\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_per_customer },
    { .key = "budget",
      .text = "How many there may be in all.",
      .shape = "\"$ref\":\"#/$defs/budget\"",
      .kind = FIELD_PART,
      .required = true,
      .part = read_budget },
};
TABLE(offer, "offer");

/* What is remembered of an offer that was made lasts for its cooldown, and answers all questions about it. */
static enum rialto_status check_spans(struct reader *reader, const struct model_offer *offer)
{
    if (offer->valid_s > offer->cooldown_s)
        return reader_refuse(reader, "\"cooldown\" must be at least as long as \"valid_for\"");
    if (offer->customer_per_s > offer->cooldown_s)
        return reader_refuse(reader, "\"cooldown\" must be at least as long as \"per_customer\" counts");
    if (offer->kind == RIALTO_OFFER_AMOUNT_OFF && offer->budget_amount != 0 &&
        offer->budget_amount / RIALTO_PARTITIONS < offer->value)
        return reader_refuse(reader,
                             "\"budget\": a share of the amount (a 64th of it) must pay for one offer at least");
    return RIALTO_OK;
}

static enum rialto_status read_offer(struct reader *reader, const cJSON *value, void *target)
{
    struct model *model = target;
    struct model_offer *offer = &model->offer[model->offer_count];
    offer->apart_s = 60;
    enum rialto_status status = fields_read(reader, &model_table_offer, value, offer);
    if (status == RIALTO_OK)
        status = check_spans(reader, offer);
    for (uint32_t i = 0; i < model->offer_count; i++)
        if (offer->name[0] != '\0' && strcmp(model->offer[i].name, offer->name) == 0)
            status = reader_refuse(reader, "another offer has the name \"%s\" already", offer->name);
    model->offer_count++;
    return status;
}

enum rialto_status read_offers(struct reader *reader, const cJSON *value, void *target)
{
    return read_each(reader, value, 0, MODEL_OFFERS_MAX, read_offer, target);
}

static enum rialto_status offer_finish(struct reader *reader, const struct model *model, struct model_offer *offer)
{
    bool money = offer->kind != RIALTO_OFFER_PERCENT || offer->budget_amount != 0;
    bool priced = offer->currency[0] == '\0';
    if (money && priced && model->currency_count != 1)
        return reader_refuse(
            reader, "an offer with amounts says its \"currency\" in \"discount\" where the model prices in several");
    if (money && priced)
        memcpy(offer->currency, model->currency[0], sizeof offer->currency);
    for (uint32_t i = 0; i < model->currency_count && !priced; i++)
        priced = strcmp(model->currency[i], offer->currency) == 0;
    if (!priced)
        return reader_refuse(reader, "the model does not price in \"%s\"", offer->currency);
    offer->currency_number = offer->currency[0] != '\0' ? currency_find(offer->currency)->number : 0;
    return RIALTO_OK;
}

enum rialto_status offers_finish(struct reader *reader, struct model *model)
{
    enum rialto_status status = RIALTO_OK;
    size_t back = reader_enter(reader, "offers");
    for (uint32_t i = 0; i < model->offer_count; i++) {
        size_t offers = reader_enter_index(reader, i);
        if (offer_finish(reader, model, &model->offer[i]) != RIALTO_OK)
            status = RIALTO_REFUSED;
        reader_leave(reader, offers);
    }
    reader_leave(reader, back);
    return status;
}
