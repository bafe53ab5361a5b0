/* test_status.c - every code has its number, a name and a sentence. */
#include <criterion/criterion.h>
#include <rialto/status.h>
#include <string.h>

Test(status, every_code_has_a_name_and_a_text)
{
#define CHECK_(name, code, text)                                                                                       \
    cr_expect_eq((int)RIALTO_##name, code);                                                                            \
    cr_expect_str_eq(rialto_status_name(RIALTO_##name), #name);                                                        \
    cr_expect_str_eq(rialto_status_text(RIALTO_##name), text);
    RIALTO_STATUSES(CHECK_)
#undef CHECK_
}

Test(status, other_numbers_have_an_answer_too)
{
    cr_expect_str_eq(rialto_status_text((enum rialto_status)9999), "unknown status");
    cr_expect_str_eq(rialto_status_name((enum rialto_status)9999), "UNKNOWN_STATUS");
}
