/* test_redis_endless.c - a Redis whose cursors never come back to their end: who reads it gives up, and says so. */
#include "service/metrics.h"
#include "service/mirror.h"
#include "service/publisher_parts.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    int listener;
    struct config config;
    atomic_uint asked, last; /* pages asked for; the one whose cursor is the end, 0: none is */
} fake;

/* One command is asked at a time: what is heard in one go is one command, and its name stands behind its length. */
static const char *answer_to(const char *heard)
{
    if (strstr(heard, "PING") != NULL)
        return "+PONG\r\n";
    if (strstr(heard, "SCAN") == NULL)
        return "$-1\r\n";
    return atomic_fetch_add(&fake.asked, 1) + 1 == atomic_load(&fake.last) ? "*2\r\n$1\r\n0\r\n*0\r\n"
                                                                           : "*2\r\n$2\r\n17\r\n*0\r\n";
}

static void *serve(void *unused)
{
    (void)unused;
    for (;;) {
        char heard[4096];
        ssize_t got;
        int link = accept(fake.listener, NULL, NULL);
        while (link != -1 && (got = read(link, heard, sizeof heard - 1)) > 0) {
            heard[got] = '\0';
            const char *answer = answer_to(heard);
            if (write(link, answer, strlen(answer)) != (ssize_t)strlen(answer))
                break;
        }
        if (link != -1)
            (void)close(link);
    }
    return NULL;
}

static const char *path(void)
{
    return fake.config.redis_url + strlen("unix:");
}

static void setup(unsigned last)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct fault fault;
    pthread_t thread;
    (void)signal(SIGPIPE, SIG_IGN);
    config_defaults(&fake.config);
    (void)snprintf(fake.config.redis_url, sizeof fake.config.redis_url, "unix:/tmp/rialto-endless.%d", (int)getpid());
    cr_assert_eq(config_finish(&fake.config, &fault), RIALTO_OK);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.*s", (int)sizeof address.sun_path - 1, path());
    atomic_store(&fake.last, last);
    fake.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fake.listener, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fake.listener, 4), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    cr_assert_eq(pthread_detach(thread), 0);
}

static uint64_t endless(void)
{
    return atomic_load(&metrics_own->word[METRIC_redis_scans_endless_total]);
}

static void no_record(void *user, char kind, struct rialto_key key, const void *value, size_t bytes)
{
    (void)user, (void)kind, (void)key, (void)value, (void)bytes;
    cr_assert(false, "a record out of nothing");
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

static enum rialto_status load(uint64_t *ret_mark)
{
    return mirror_load(&fake.config, 3, 0, no_record, NULL, ret_mark);
}

/* Limits as those of the suite ahead of this one: where a limit ends before one that runs already, Criterion 2.4 loses 48 bytes, and says
 * so under ASan. */
Test(redis_endless, half_a_partition_is_never_taken_for_all_of_it, .timeout = 120)
{
    uint64_t mark = 77;
    setup(0);
    cr_expect_eq(load(&mark), RIALTO_SYSTEM);
    cr_expect_eq(mark, 77, "a failed load must not touch the result");
    cr_expect_eq(atomic_load(&fake.asked), 65536);
    cr_expect_eq(endless(), 1);
    (void)unlink(path());
}

Test(redis_endless, the_last_page_that_is_asked_for_may_be_the_end, .timeout = 120)
{
    uint64_t mark = 77;
    setup(65536);
    cr_expect_eq(load(&mark), RIALTO_OK);
    cr_expect_eq(mark, 0);
    cr_expect_eq(atomic_load(&fake.asked), 65536);
    cr_expect_eq(endless(), 0);
    (void)unlink(path());
}

/* ---- quotes ------------------------------------------------------------------------------------------------------ */

Test(redis_endless, quotes_go_on_with_the_watches_that_were_found, .timeout = 120)
{
    static struct publishing publishing;
    setup(0);
    publishing.config = &fake.config;
    publishing.link = (struct redis_link){ .config = &fake.config, .who = "test" };
    cr_assert(redis_link_open(&publishing.link));
    cr_expect(quotes_take_up(&publishing));
    cr_expect_not_null(publishing.link.context, "the link is not to blame");
    cr_expect_eq(atomic_load(&fake.asked), 65536);
    cr_expect_eq(endless(), 1);
    redis_link_close(&publishing.link);
    (void)unlink(path());
}
