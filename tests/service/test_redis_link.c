/* test_redis_link.c - what is sent, and what is read out of Redis's errors and of its version. The texts are those of Redis 6.2, 7.0 and 8.0. */
#include "service/redis_link.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMANDS   400u
#define WORDS      7u
#define WORD_BYTES 900u
#define MOST_BYTES (COMMANDS * WORDS * (WORD_BYTES + 32u))

/* ---- what is sent: to a socket whose other end is ours ----------------------------------------------------------- */

struct wire {
    struct config config;
    struct redis_link link;
    int peer;
    size_t got;
    char *bytes;
};

static void wire_setup(struct wire *w)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    memset(w, 0, sizeof *w);
    config_defaults(&w->config);
    w->link = (struct redis_link){ .config = &w->config, .who = "test", .context = redisConnectFd(ends[0]) };
    w->peer = ends[1];
    w->bytes = malloc(MOST_BYTES);
    cr_assert(w->link.context != NULL && w->bytes != NULL);
}

static void wire_teardown(struct wire *w)
{
    redis_link_close(&w->link);
    if (w->peer != -1)
        (void)close(w->peer);
    free(w->bytes);
}

/* Whatever has come by now. */
static void receive(struct wire *w)
{
    for (ssize_t n; (n = recv(w->peer, w->bytes + w->got, MOST_BYTES - w->got, MSG_DONTWAIT)) > 0; w->got += (size_t)n)
        ;
}

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Goal: commands of any words, empty and binary ones too, travel as hiredis would write them. */
Test(redis_link, commands_travel_to_the_byte_as_hiredis_formats_them)
{
    struct wire w;
    wire_setup(&w);
    char *wanted = malloc(MOST_BYTES);
    size_t wanted_bytes = 0;
    uint64_t random = 88172645463325252u;
    cr_assert_not_null(wanted);
    for (uint32_t c = 0; c < COMMANDS; c++) {
        char word[WORDS][WORD_BYTES];
        const char *argv[WORDS];
        size_t bytes[WORDS];
        int argc = 1 + (int)(next_random(&random) % WORDS);
        for (int i = 0; i < argc; i++) {
            argv[i] = word[i];
            bytes[i] = next_random(&random) % 3 == 0 ? next_random(&random) % 12 : next_random(&random) % WORD_BYTES;
            for (size_t b = 0; b < bytes[i]; b++)
                word[i][b] = (char)next_random(&random);
        }
        char *text = NULL;
        long long length = redisFormatCommandArgv(&text, argc, argv, bytes);
        cr_assert_gt(length, 0);
        memcpy(wanted + wanted_bytes, text, (size_t)length);
        wanted_bytes += (size_t)length;
        redisFreeCommand(text);
        cr_assert(redis_link_append(&w.link, argc, argv, bytes));
        cr_assert_eq(w.link.pending, c + 1);
        receive(&w);
        cr_assert_lt(wanted_bytes - w.got, REDIS_OUT_BYTES, "queued for ever");
    }
    cr_assert_lt(w.got, wanted_bytes, "the last ones are queued");
    cr_assert_gt(w.got, 3 * REDIS_OUT_BYTES);
    cr_assert(redis_link_flush(&w.link));
    receive(&w);
    cr_assert_eq(w.got, wanted_bytes);
    cr_assert_arr_eq(w.bytes, wanted, wanted_bytes);
    free(wanted);
    wire_teardown(&w);
}

/* Goal: a peer that is gone is noticed when something is sent, and the link is closed, not kept in doubt. */
Test(redis_link, a_link_whose_peer_is_gone_is_closed)
{
    struct wire w;
    wire_setup(&w);
    (void)signal(SIGPIPE, SIG_DFL);
    cr_assert(redis_link_append(&w.link, 1, (const char *[]){ "PING" }, (const size_t[]){ 4 }));
    (void)close(w.peer);
    w.peer = -1;
    cr_assert_not(redis_link_flush(&w.link));
    cr_assert_null(w.link.context);
    cr_assert_eq(w.link.pending, 0);
    cr_assert_eq(w.link.state, REDIS_away);
    cr_assert_not(redis_link_append(&w.link, 1, (const char *[]){ "PING" }, (const size_t[]){ 4 }));
    wire_teardown(&w);
}

/* ---- what is read -------------------------------------------------------------------------------------------------- */

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
