/* test_bindings.c - what a binding is told of struct rialto_quote covers all of it, and finds what C put there. */
#include <criterion/criterion.h>
#include <rialto/bindings.h>
#include <string.h>

static const struct rialto_field *field(const char *name)
{
    const struct rialto_field *f = rialto_quote_fields();
    while (f->name != NULL && strcmp(f->name, name) != 0)
        f++;
    return f;
}

Test(bindings, name_every_byte_of_a_quote_once_but_for_the_gap_at_its_end)
{
    unsigned char covered[sizeof(struct rialto_quote)] = { 0 };
    const struct rialto_field *f = rialto_quote_fields();
    for (; f->name != NULL; f++) {
        for (uint32_t i = 0; i < f->bytes; i++)
            cr_assert_eq(covered[f->offset + i]++, 0, "%s", f->name);
    }
    cr_assert_eq(f->offset, sizeof(struct rialto_quote));
    size_t last = offsetof(struct rialto_quote, zone) + RIALTO_ID_MAX;
    for (size_t i = 0; i < last; i++)
        cr_assert_eq(covered[i], 1, "byte %zu has no name", i);
}

Test(bindings, lead_to_the_members_that_C_knows)
{
    struct rialto_quote q = {
        .amount = -5, .age_ms = 7, .kinds = 9, .decimals = 2, .currency = "EUR", .zone = "c1/s25"
    };
    const char *at = (const char *)&q;
    int64_t amount;
    uint32_t age;
    uint16_t kinds;
    memcpy(&amount, at + field("amount")->offset, sizeof amount);
    memcpy(&age, at + field("age_ms")->offset, sizeof age);
    memcpy(&kinds, at + field("kinds")->offset, sizeof kinds);
    cr_assert_eq(amount, -5);
    cr_assert_eq(age, 7);
    cr_assert_eq(kinds, 9);
    cr_assert_str_eq(at + field("zone")->offset, "c1/s25");
    cr_assert_str_eq(at + field("currency")->offset, "EUR");
    cr_assert_eq(field("amount")->kind, 'i');
    cr_assert_eq(field("age_ms")->kind, 'u');
    cr_assert_eq(field("zone")->kind, 's');
    cr_assert_eq(field("amount")->bytes, 8);
}

Test(bindings, name_each_bit_of_flags_and_kinds_once)
{
    uint32_t flags = 0, kinds = 0;
    for (const struct rialto_bit *b = rialto_flag_names(); b->name != NULL; b++) {
        cr_assert_eq(flags & b->bit, 0u, "%s", b->name);
        flags |= b->bit;
    }
    for (const struct rialto_bit *b = rialto_kind_names(); b->name != NULL; b++) {
        cr_assert_eq(kinds & b->bit, 0u, "%s", b->name);
        kinds |= b->bit;
    }
    cr_assert_eq(flags, 0x3FFFu);
    cr_assert_eq(kinds, 0x1fu);
    cr_assert_str_eq(rialto_flag_names()[0].name, "ANONYMOUS");
    cr_assert_str_eq(rialto_kind_names()[1].name, "behaviour");
}
