/* test_audit.c - a line of the audit log is whole, one line whatever is said in it, and the file does not grow for ever. */
#include "pricing/json_member.h"
#include "service/audit.h"
#include "service/data_dir.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;

static void setup(void)
{
    config_defaults(&config);
    config.audit_bytes_max = 65536;
    (void)snprintf(config.data_dir, sizeof config.data_dir, "/tmp/audit.XXXXXX");
    cr_assert_not_null(mkdtemp(config.data_dir));
}

static void teardown(void)
{
    char path[DATA_PATH_MAX];
    data_path(&config, AUDIT_FILE, path);
    (void)unlink(path);
    data_path(&config, AUDIT_FILE_OLD, path);
    (void)unlink(path);
    cr_expect_eq(rmdir(config.data_dir), 0, "nothing else is left");
}

/* Lines of a file, each parsed: {"at":...}. Returns how many; *ret_last is the last one, the caller's. */
static uint32_t lines_of(const char *name, cJSON **ret_last)
{
    char path[DATA_PATH_MAX], line[8192];
    uint32_t count = 0;
    data_path(&config, name, path);
    FILE *file = fopen(path, "r");
    if (ret_last != NULL)
        *ret_last = NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        cJSON *object = cJSON_Parse(line);
        cr_assert(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(object, "at")), "%s", line);
        count++;
        if (ret_last != NULL) {
            cJSON_Delete(*ret_last);
            *ret_last = object;
        } else {
            cJSON_Delete(object);
        }
    }
    if (file != NULL)
        (void)fclose(file);
    return count;
}

TestSuite(audit, .init = setup, .fini = teardown);

Test(audit, a_line_says_what_was_said_and_nobody_else_reads_the_file)
{
    char path[DATA_PATH_MAX];
    struct stat info;
    cJSON *line;
    cr_assert(audit_add(&config, &(struct audit_entry){ .action = "apply",
                                                        .who = "alice",
                                                        .from = "10.0.0.7",
                                                        .outcome = "done",
                                                        .what = "apply: \"winter\"",
                                                        .change = 7 }));
    cr_assert_eq(lines_of(AUDIT_FILE, &line), 1);
    cr_expect_str_eq(json_string(line, "action"), "apply");
    cr_expect_str_eq(json_string(line, "who"), "alice");
    cr_expect_str_eq(json_string(line, "from"), "10.0.0.7");
    cr_expect_str_eq(json_string(line, "what"), "apply: \"winter\"");
    cr_expect_eq(cJSON_GetObjectItemCaseSensitive(line, "change")->valueint, 7);
    cr_expect_null(cJSON_GetObjectItemCaseSensitive(line, "receipt"));
    cJSON_Delete(line);
    data_path(&config, AUDIT_FILE, path);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0600);
}

Test(audit, nobody_writes_a_second_line_nor_half_a_character)
{
    char who[400];
    cJSON *line;
    memset(who, 'x', sizeof who);
    who[0] = '\n';
    memcpy(who + AUDIT_TEXT_MAX - 1, "\xC3\xA9", 3); /* an e with an accent, over the edge */
    cr_assert(audit_add(&config, &(struct audit_entry){ .action = "freeze",
                                                        .outcome = "done",
                                                        .who = who,
                                                        .what = "a\x7F"
                                                                "b\r\n{\"at\":\"never\"}" }));
    cr_assert_eq(lines_of(AUDIT_FILE, &line), 1);
    cr_expect_eq(strlen(json_string(line, "who")), AUDIT_TEXT_MAX - 1);
    cr_expect_eq(json_string(line, "who")[0], ' ');
    cr_expect_str_eq(json_string(line, "what"), "a b  {\"at\":\"never\"}");
    cJSON_Delete(line);
}

/* A limit of the process for the size of a file ends a write in its middle, as a full disk does. */
Test(audit, a_disk_that_is_full_in_the_middle_of_a_line_leaves_no_half_of_it)
{
    const struct audit_entry entry = { .action = "freeze", .outcome = "done", .what = "what is said in some length" };
    char path[DATA_PATH_MAX];
    struct stat info, after;
    struct rlimit limit;
    cJSON *line;
    cr_assert(audit_add(&config, &entry));
    data_path(&config, AUDIT_FILE, path);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_neq(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ (rlim_t)info.st_size + 20, limit.rlim_max }), 0);
    cr_expect_not(audit_add(&config, &entry));
    cr_assert_eq(stat(path, &after), 0);
    cr_expect_eq(after.st_size, info.st_size);

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert(audit_add(&config, &entry));
    cr_assert_eq(lines_of(AUDIT_FILE, &line), 2);
    cr_expect_str_eq(json_string(line, "action"), "freeze");
    cJSON_Delete(line);
}

static void *writer(void *user)
{
    for (int i = 0; i < 400; i++)
        cr_assert(
            audit_add(&config, &(struct audit_entry){ .action = user,
                                                      .outcome = "done",
                                                      .what = "a text of some length, so that files are full soon" }));
    return NULL;
}

Test(audit, a_full_file_is_put_aside_and_writers_side_by_side_lose_nothing)
{
    pthread_t thread[2];
    char path[DATA_PATH_MAX];
    struct stat info;
    config.audit_bytes_max = 100000; /* 800 lines of about 140 bytes: once, not twice */
    cr_assert_eq(pthread_create(&thread[0], NULL, writer, "one"), 0);
    cr_assert_eq(pthread_create(&thread[1], NULL, writer, "two"), 0);
    (void)pthread_join(thread[0], NULL);
    (void)pthread_join(thread[1], NULL);
    uint32_t now = lines_of(AUDIT_FILE, NULL), old = lines_of(AUDIT_FILE_OLD, NULL);
    cr_expect_gt(old, 0, "nothing was put aside");
    cr_expect_eq(now + old, 800);
    data_path(&config, AUDIT_FILE_OLD, path);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_leq(info.st_size, 100000 + 200);
}

Test(audit, a_flood_of_strangers_is_a_line_a_second_that_counts_them)
{
    struct audit_entry entry = { .action = "http", .outcome = "unauthorized" };
    cJSON *line;
    for (int i = 0; i < 1000; i++)
        cr_assert(audit_add_intruder(&config, &entry));
    uint32_t said = lines_of(AUDIT_FILE, NULL);
    cr_expect(said >= 1 && said <= 3, "%u lines", said);
    (void)usleep(1100000);
    cr_assert(audit_add_intruder(&config, &entry));
    cr_assert_eq(lines_of(AUDIT_FILE, &line), said + 1);
    cr_expect_gt(cJSON_GetObjectItemCaseSensitive(line, "more")->valueint, 900);
    cJSON_Delete(line);
}

Test(audit, what_cannot_be_written_is_no_crash)
{
    struct config nowhere = config;
    (void)snprintf(nowhere.data_dir, sizeof nowhere.data_dir, "/tmp/audit.nowhere.%d", (int)getpid());
    cr_expect_not(audit_add(&nowhere, &(struct audit_entry){ .action = "apply", .outcome = "done" }));
}
