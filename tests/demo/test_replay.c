/* test_replay.c - what a replay makes of good, late, partial and cut answers. A thread plays the gateway. */
#include "demo/replay.h"
#include "tests/demo/files.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>

#define MESSAGES_MAX 256

/* What the gateway does with a message of signals: n-th message, its lines -> answer; "" = no answer at all. */
typedef void answer_function(uint32_t nth, uint32_t lines, char *ret, size_t n);

static struct gateway {
    nng_socket socket;
    char url[192];
    pthread_t thread;
    answer_function *answer;
    uint32_t messages;
    uint32_t lines[MESSAGES_MAX];
    char text[MESSAGES_MAX][4096]; /* beginning of each message of signals */
} gateway;
static char folder[128], path[192];

static uint32_t count_lines(const char *text, size_t bytes)
{
    uint32_t lines = 0;
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    return lines;
}

static bool answer_one(const char *text, size_t bytes)
{
    char answer[65536] = "{\"ok\":true,\"service_time_ms\":1000000000}";
    if (strstr(text, "\"control\"") == NULL) {
        uint32_t nth = gateway.messages++;
        cr_assert_lt(nth, MESSAGES_MAX);
        gateway.lines[nth] = count_lines(text, bytes);
        snprintf(gateway.text[nth], sizeof gateway.text[0], "%.4000s", text);
        gateway.answer(nth, gateway.lines[nth], answer, sizeof answer);
    }
    return answer[0] == 0 || nng_send(gateway.socket, answer, strlen(answer), 0) == 0;
}

static void *serve(void *unused)
{
    (void)unused;
    static char text[1 << 20];
    for (;;) {
        size_t bytes = sizeof text - 1;
        int error = nng_recv(gateway.socket, text, &bytes, 0);
        if (error == NNG_ETIMEDOUT)
            continue;
        if (error != 0)
            return NULL;
        text[bytes] = 0;
        if (!answer_one(text, bytes))
            return NULL;
    }
}

static void setup(void)
{
    folder_make(folder);
    snprintf(gateway.url, sizeof gateway.url, "ipc://%s/r.ipc", folder);
    cr_assert_eq(nng_rep0_open(&gateway.socket), 0);
    cr_assert_eq(nng_socket_set_size(gateway.socket, NNG_OPT_RECVMAXSZ, 1 << 20), 0);
    cr_assert_eq(nng_socket_set_ms(gateway.socket, NNG_OPT_RECVTIMEO, 50), 0);
    cr_assert_eq(nng_listen(gateway.socket, gateway.url, NULL, 0), 0);
}

static void teardown(void)
{
    nng_close(gateway.socket);
    pthread_join(gateway.thread, NULL);
    folder_remove(folder);
}

TestSuite(replay, .init = setup, .fini = teardown);

static bool run(answer_function *answer, uint32_t signals, struct replay_progress *progress)
{
    char *text = malloc(signals * 64 + 128), *at = text;
    at += sprintf(at, "{\"control\":\"tick\",\"time\":2000000000}\n");
    for (uint32_t i = 0; i < signals; i++)
        at += sprintf(at, "{\"type\":\"demand\",\"id\":\"n%u.\"}\n", i);
    gateway.answer = answer;
    cr_assert_eq(pthread_create(&gateway.thread, NULL, serve, NULL), 0);
    const struct replay_settings settings = {
        .source = { NULL, NULL, file_make(folder, "t.ndjson", text, path) },
        .requester = { gateway.url, 300, 1000 },
        .at_given = true,
        .at_ms = 2000000000,
    };
    memset(progress, 0, sizeof *progress);
    bool good = replay_run(&settings, progress);
    free(text);
    return good;
}

static void accept_all(uint32_t nth, uint32_t lines, char *ret, size_t n)
{
    (void)nth;
    snprintf(ret, n, "{\"accepted\":%u,\"rejected\":0,\"durable\":\"redis\",\"findings\":[]}", lines);
}

static struct replay_progress progress;

Test(replay, everything_accepted_is_counted_once)
{
    cr_assert(run(accept_all, 600, &progress), "%s", progress.why);
    cr_assert_eq(progress.sent, 600);
    cr_assert_eq(progress.accepted, 600);
    cr_assert_eq(progress.rejected + progress.lost + progress.repeats, 0);
    cr_assert_eq(gateway.messages, 3, "256 + 256 + 88");
    cr_assert_str_eq(progress.durable, "redis");
}

static void first_message_is_lost(uint32_t nth, uint32_t lines, char *ret, size_t n)
{
    ret[0] = 0;
    if (nth > 0)
        accept_all(nth, lines, ret, n);
}

Test(replay, a_message_without_an_answer_goes_again_with_the_same_ids)
{
    cr_assert(run(first_message_is_lost, 10, &progress), "%s", progress.why);
    cr_assert_eq(gateway.messages, 2);
    cr_assert_str_eq(gateway.text[0], gateway.text[1]);
    cr_assert_eq(progress.sent, 10);
    cr_assert_eq(progress.accepted, 10);
    cr_assert_eq(progress.repeats, 1);
}

static void some_unanswered(uint32_t nth, uint32_t lines, char *ret, size_t n)
{
    if (nth > 0)
        accept_all(nth, lines, ret, n);
    else
        snprintf(
            ret, n,
            "{\"accepted\":%u,\"rejected\":4,\"durable\":\"no\",\"findings\":["
            "{\"index\":2,\"reason\":\"no_answer\",\"text\":\"\"},{\"index\":5,\"reason\":\"unknown_product\",\"text\":"
            "\"\"},"
            "{\"index\":7,\"reason\":\"no_answer\",\"text\":\"\"},{\"index\":8,\"reason\":\"no_answer\",\"text\":\"\"},"
            "{\"index\":7,\"reason\":\"no_consent\",\"text\":\"\"}]}",
            lines - 4);
}

Test(replay, what_no_worker_answered_for_goes_again_alone)
{
    cr_assert(run(some_unanswered, 10, &progress), "%s", progress.why);
    cr_assert_eq(gateway.messages, 3);
    cr_assert_eq(gateway.lines[1], 1);
    cr_assert_not_null(strstr(gateway.text[1], "\"n2.\""));
    cr_assert_eq(gateway.lines[2], 2);
    cr_assert_not_null(strstr(gateway.text[2], "\"n7.\""));
    cr_assert_not_null(strstr(gateway.text[2], "\"n8.\""));
    cr_assert_eq(progress.accepted, 9);
    cr_assert_eq(progress.rejected, 1, "a real rejection stays one");
    cr_assert_eq(progress.lost, 0);
    cr_assert_eq(progress.not_durable, 1);
    cr_assert_eq(progress.reason_count, 2);
}

/* Rejects all, and names at most 100 of them, as the gateway does. */
static void reject_all(uint32_t nth, uint32_t lines, char *ret, size_t n)
{
    (void)nth;
    size_t used =
        (size_t)snprintf(ret, n, "{\"accepted\":0,\"rejected\":%u,\"durable\":\"redis\",\"findings\":[", lines);
    uint32_t listed = lines < 100 ? lines : 100;
    for (uint32_t i = 0; i < listed; i++)
        used += (size_t)snprintf(ret + used, n - used, "%s{\"index\":%u,\"reason\":\"no_model\",\"text\":\"\"}",
                                 i ? "," : "", i);
    used += (size_t)snprintf(ret + used, n - used, "]");
    if (lines > listed)
        used += (size_t)snprintf(ret + used, n - used, ",\"more_findings\":%u", lines - listed);
    snprintf(ret + used, n - used, "}");
}

Test(replay, an_answer_that_does_not_name_all_rejections_is_asked_for_in_halves)
{
    cr_assert(run(reject_all, 200, &progress), "rejected is not lost: %s", progress.why);
    cr_assert_eq(gateway.messages, 3, "200, then 100 and 100");
    cr_assert_eq(progress.rejected, 200);
    cr_assert_eq(progress.accepted, 0);
    cr_assert_eq(progress.reason[0].count, 200);
    cr_assert(progress.reason[0].rejects);
}

static void talk_nonsense(uint32_t nth, uint32_t lines, char *ret, size_t n)
{
    (void)nth;
    (void)lines;
    snprintf(ret, n, "{\"ok\":true}");
}

Test(replay, an_answer_that_counts_nothing_ends_it_and_the_signals_are_lost)
{
    cr_assert_not(run(talk_nonsense, 10, &progress));
    cr_assert_eq(progress.lost, 10);
    cr_assert_neq(progress.why[0], 0);
}
