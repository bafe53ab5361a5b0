/* bindings.c - struct rialto_quote described to bindings in other languages. */
#include <rialto/bindings.h>

#define FIELD(member, kind)                                                                                            \
    {                                                                                                                  \
#member, (uint32_t)offsetof(struct rialto_quote, member),                                                      \
            (uint16_t)sizeof(((struct rialto_quote *)0)->member), kind                                                 \
    }

const struct rialto_field *rialto_quote_fields(void)
{
    static const struct rialto_field fields[] = {
        FIELD(amount, 'i'),
        FIELD(baseline, 'i'),
        FIELD(list, 'i'),
        FIELD(floor, 'i'),
        FIELD(ceiling, 'i'),
        FIELD(as_of_ms, 'i'),
        FIELD(valid_until_ms, 'i'),
        FIELD(age_ms, 'u'),
        FIELD(flags, 'u'),
        FIELD(multiplier_e4, 'u'),
        FIELD(rule, 'u'),
        FIELD(kinds, 'u'),
        FIELD(disclosure, 'u'),
        FIELD(decimals, 'u'),
        FIELD(zone_level, 'u'),
        FIELD(group, 'u'),
        FIELD(currency, 's'),
        FIELD(zone, 's'),
        FIELD(used, 'u'),
        { NULL, (uint32_t)sizeof(struct rialto_quote), 0, 0 },
    };
    return fields;
}

#define BIT(name, bit) { #name, bit },

const struct rialto_bit *rialto_flag_names(void)
{
    static const struct rialto_bit names[] = { RIALTO_FLAGS(BIT){ NULL, 0 } };
    return names;
}

const struct rialto_bit *rialto_kind_names(void)
{
    static const struct rialto_bit names[] = { RIALTO_KINDS(BIT){ NULL, 0 } };
    return names;
}
