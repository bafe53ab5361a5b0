/* test_log.c - one event is one line, whatever is in it and however many write at once. */
#include "service/log.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int said; /* where standard error goes meanwhile */

static void listen_begin(void)
{
    char path[] = "/tmp/rialto-log.XXXXXX";
    said = mkstemp(path);
    cr_assert_neq(said, -1);
    (void)unlink(path);
    cr_assert_eq(dup2(said, STDERR_FILENO), STDERR_FILENO);
}

static size_t heard(char *text, size_t room)
{
    ssize_t n = pread(said, text, room - 1, 0);
    cr_assert_geq(n, 0);
    text[n] = '\0';
    return (size_t)n;
}

static bool matches(const char *pattern, const char *text)
{
    regex_t regex;
    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return match;
}

Test(log, a_line_has_time_level_speaker_id_and_values)
{
    char text[4096];
    listen_begin();
    log_setup("worker.2", "info", "text");
    log_line(LOG_WARNING, "CHILD-DIED", "who=%s signal=%d", "worker.2", 9);
    (void)heard(text, sizeof text);
    cr_assert(
        matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z warning worker[.]2 CHILD-DIED "
                "who=worker[.]2 signal=9\n$",
                text),
        "%s", text);
}

/* Goal: whatever a value is made of, a collector reads the line, and reads the same. */
Test(log, as_json_a_line_is_one_object_with_the_same_in_it)
{
    char text[8192], longest[4000];
    listen_begin();
    log_setup("shop/worker.2", "info", "json");
    log_line(LOG_WARNING, "CHILD-DIED", "who=%s reason=\"%s\"", "worker.2", "a \\ b\n\x01 \xC3\xA9 \xC3 \xFF");
    size_t n = heard(text, sizeof text);
    cr_assert_eq(text[n - 1], '\n');
    cr_assert_null(memchr(text, '\n', n - 1));
    cJSON *line = cJSON_Parse(text);
    cr_assert_not_null(line, "%s", text);
    cr_assert_str_eq(cJSON_GetObjectItem(line, "level")->valuestring, "warning");
    cr_assert_str_eq(cJSON_GetObjectItem(line, "process")->valuestring, "shop/worker.2");
    cr_assert_str_eq(cJSON_GetObjectItem(line, "event")->valuestring, "CHILD-DIED");
    cr_assert_str_eq(cJSON_GetObjectItem(line, "text")->valuestring, "who=worker.2 reason=\"a \\ b   \xC3\xA9 ? ?\"");
    cr_assert(matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$", cJSON_GetObjectItem(line, "time")->valuestring));
    cJSON_Delete(line);
    memset(longest, '"', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_assert_eq(ftruncate(said, 0), 0);
    cr_assert_eq(lseek(said, 0, SEEK_SET), 0);
    log_line(LOG_INFO, "LONG", "%s", longest);
    n = heard(text, sizeof text);
    cr_assert_leq(n, 4096, "in one piece through a pipe");
    line = cJSON_Parse(text);
    cr_assert_not_null(line);
    cJSON_Delete(line);
}

Test(log, what_is_below_the_level_is_not_said)
{
    char text[4096];
    listen_begin();
    log_setup("gateway", "warning", "text");
    log_line(LOG_INFO, "LISTENING", "url=x");
    log_line(LOG_DEBUG, "DETAIL", "x=1");
    cr_assert_eq(heard(text, sizeof text), 0);
    log_line(LOG_ERROR, "BAD", "x=1");
    cr_assert_gt(heard(text, sizeof text), 0);
}

/* Goal: a value from outside cannot forge a line nor talk to a terminal. */
Test(log, values_cannot_end_the_line)
{
    char text[4096];
    listen_begin();
    log_setup("gateway", "info", "text");
    log_line(LOG_INFO, "ID", "value=%s", "a\n2026 error gateway FORGED\r\x1b[2J");
    size_t n = heard(text, sizeof text);
    cr_assert_eq(strchr(text, '\n'), text + n - 1, "one line, ended");
    cr_assert_null(strchr(text, '\x1b'));
}

Test(log, a_line_that_is_too_long_is_cut_and_still_ends)
{
    char text[8192], *value = calloc(1, 6000);
    listen_begin();
    memset(value, 'v', 5999);
    log_setup("gateway", "info", "text");
    log_line(LOG_INFO, "LONG", "value=%s", value);
    size_t n = heard(text, sizeof text);
    cr_assert(n > 1000 && n <= 2048, "%zu bytes", n);
    cr_assert_eq(text[n - 1], '\n');
    free(value);
}

static void *chatter(void *argument)
{
    for (int i = 0; i < 500; i++)
        log_line(LOG_INFO, "CHATTER", "who=%s n=%d end=1", (const char *)argument, i);
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    static char text[400000];
    pthread_t thread[4];
    listen_begin();
    log_setup("gateway", "info", "text");
    cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, O_APPEND), 0);
    for (int t = 0; t < 4; t++)
        cr_assert_eq(pthread_create(&thread[t], NULL, chatter, "somebody"), 0);
    for (int t = 0; t < 4; t++)
        cr_assert_eq(pthread_join(thread[t], NULL), 0);
    (void)heard(text, sizeof text);
    int lines = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), lines++)
        cr_assert(matches("^[^ ]+ info gateway CHATTER who=somebody n=[0-9]+ end=1$", line), "%s", line);
    cr_assert_eq(lines, 2000);
}
