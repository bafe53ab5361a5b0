/* Which part of a request's target is no path: RFC 9112, 3.2.1 and 3.2.2; RFC 9110, 4.2 (an empty host and a user are refused). */
#include "service/web.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

Test(web_target, a_path_has_no_head)
{
    static const char *const PATHS[] = { "/",
                                         "/livez",
                                         "/v1/quotes/http://x/y",
                                         "//host/livez",
                                         "*",
                                         "",
                                         "livez",
                                         "host:80",
                                         "ftp://host/livez",
                                         "http:/host",
                                         "http%3A//host/livez",
                                         "httpx://a/" };
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        cr_assert_eq(web_target_head(PATHS[i], false), 0, "%s", PATHS[i]);
        cr_assert_eq(web_target_head(PATHS[i], true), 0, "%s", PATHS[i]);
    }
}

Test(web_target, an_address_begins_with_scheme_and_host)
{
    static const char *const HEADS[] = {
        "http://host",  "HTTP://Shop.Example.com",    "http://host:80",  "http://host:", "http://127.0.0.1:7480",
        "http://[::1]", "http://[2001:db8::1]:65535", "http://a_b-c~d.e"
    };
    static const char *const TAILS[] = { "/livez", "/", "", "?a=b", "?a=/b", "/v1/quotes/a%2Fb?c", "//x" };
    char target[256];
    for (size_t h = 0; h < sizeof HEADS / sizeof HEADS[0]; h++)
        for (size_t t = 0; t < sizeof TAILS / sizeof TAILS[0]; t++) {
            (void)snprintf(target, sizeof target, "%s%s", HEADS[h], TAILS[t]);
            cr_assert_eq(web_target_head(target, false), (int)strlen(HEADS[h]), "%s", target);
            cr_assert_eq(web_target_head(target, true), (int)strlen(HEADS[h]), "%s", target);
        }
}

Test(web_target, an_address_that_two_could_read_in_two_ways_is_refused)
{
    static const char *const BAD[] = { "http://",
                                       "http:///livez",
                                       "http://?a",
                                       "http://:80/livez",
                                       "http://user@host/livez",
                                       "http://user:secret@host/livez",
                                       "http://a%2Fv1/livez",
                                       "http://a%00/livez",
                                       "http://host%2F/livez",
                                       "http://a\\b/livez",
                                       "http://host:80x/livez",
                                       "http://host:123456/",
                                       "http://host:-1/",
                                       "http://host#/livez",
                                       "http://[::1/livez",
                                       "http://[]/livez",
                                       "http://[::1]x/livez",
                                       "http://a,b/livez",
                                       "http://a b/livez",
                                       "http://h\xC3\xB6st/livez" };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        cr_assert_eq(web_target_head(BAD[i], true), WEB_TARGET_BAD, "%s", BAD[i]);
    char longest[300] = "http://";
    memset(longest + 7, 'a', 253);
    cr_assert_eq(web_target_head(longest, false), 260);
    longest[260] = 'a';
    cr_assert_eq(web_target_head(longest, false), WEB_TARGET_BAD);
}

/* RFC 9110, 7.4: https is asked for over a secured connection, or somebody between has taken that away. */
Test(web_target, https_is_asked_for_over_tls)
{
    cr_assert_eq(web_target_head("https://host/livez", true), (int)strlen("https://host"));
    cr_assert_eq(web_target_head("HTTPS://host:443/livez", true), (int)strlen("https://host:443"));
    cr_assert_eq(web_target_head("https://host/livez", false), WEB_TARGET_BAD);
    cr_assert_eq(web_target_head("https:///livez", true), WEB_TARGET_BAD);
}
