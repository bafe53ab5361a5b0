/* test_redis_link.c - what is read out of Redis's errors and of its version. The texts are those of Redis 6.2, 7.0 and 8.0. */
#include "service/redis_link.h"

#include <criterion/criterion.h>
#include <string.h>

Test(redis_link, an_error_says_in_what_state_the_server_is)
{
    static const struct {
        const char *text;
        enum redis_state state;
    } rows[] = {
        { "LOADING Redis is loading the dataset in memory", REDIS_loading },
        { "OOM command not allowed when used memory > 'maxmemory'.", REDIS_full },
        { "MISCONF Errors writing to the AOF file: No space left on device", REDIS_disk },
        { "READONLY You can't write against a read only replica.", REDIS_read_only },
        { "WRONGPASS invalid username-password pair or user is disabled.", REDIS_refused },
        { "NOAUTH Authentication required.", REDIS_refused },
        { "NOPERM this user has no permissions to run the 'hset' command", REDIS_refused },
        { "ERR unknown command 'XADD'", REDIS_failing },
        { "EXECABORT Transaction discarded because of previous errors.", REDIS_failing },
        { "OOMPH", REDIS_failing },
        { "", REDIS_failing },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(redis_state_of_error(rows[i].text), rows[i].state, "%s", rows[i].text);
}

Test(redis_link, every_state_has_a_name_and_words_and_no_number_goes_beyond_them)
{
    for (uint64_t a = 0; a < REDIS_STATE_COUNT; a++) {
        cr_assert_gt(strlen(redis_state_text(a)), 4u);
        for (uint64_t b = 0; b < a; b++)
            cr_assert_str_neq(redis_state_name(a), redis_state_name(b));
    }
    cr_assert_str_eq(redis_state_name(REDIS_STATE_COUNT), "unknown");
    cr_assert_str_eq(redis_state_name(UINT64_MAX), "unknown");
}

Test(redis_link, versions_before_the_first_that_will_do_are_old)
{
    cr_assert(redis_version_old("# Server\r\nredis_version:5.0.14\r\nredis_git_sha1:0\r\n"));
    cr_assert(redis_version_old("redis_version:6.0.16\r\n"));
    cr_assert(redis_version_old("redis_version:2.8.24"));
    cr_assert_not(redis_version_old("redis_version:6.2.0\r\n"));
    cr_assert_not(redis_version_old("redis_version:7.0.15\r\n"));
    cr_assert_not(redis_version_old("redis_version:10.0.1\r\n"));
}

/* Goal: how far a loading server is, by its own words; nothing else is taken for it. */
Test(redis_link, a_loading_server_says_how_far_it_is)
{
    cr_assert_eq(redis_loaded_permille("# Persistence\r\nloading:1\r\nloading_loaded_perc:42.17\r\nloading_eta_seconds:3\r\n"), 421);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:0.50\r\n"), 5);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:100.00\r\n"), 1000);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:7\r\n"), 70);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:101.3\r\n"), 0);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:-3\r\n"), 0);
    cr_assert_eq(redis_loaded_permille("loading_loaded_perc:"), 0);
    cr_assert_eq(redis_loaded_permille("loading:0\r\n"), 0);
}

Test(redis_link, a_version_that_cannot_be_read_is_not_called_old)
{
    cr_assert_not(redis_version_old(""));
    cr_assert_not(redis_version_old("redis_version:"));
    cr_assert_not(redis_version_old("redis_version:five.0"));
    cr_assert_not(redis_version_old("redis_version:5"));
}
